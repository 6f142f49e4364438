//! Equal texts held once: an environment says the same schema, type and configuration thousands of times, and what is stored
//! mostly equals what was fetched.

use std::collections::HashSet;

use super::{Code, Column, FreshnessCheck, Json, LastRun, Node, Text, UniqueId};

/// The texts seen so far.
#[derive(Debug, Default)]
pub struct Pool(HashSet<Text>);

impl Pool {
    /// The one text that equals `text`.
    pub fn text(&mut self, text: &str) -> Text {
        match self.0.get(text) {
            Some(known) => Text::clone(known),
            None => {
                let new = Text::from(text);
                self.0.insert(Text::clone(&new));
                new
            }
        }
    }

    fn one(&mut self, text: &mut Text) {
        match self.0.get(&**text) {
            Some(known) => *text = Text::clone(known),
            None => {
                self.0.insert(Text::clone(text));
            }
        }
    }

    fn maybe(&mut self, text: &mut Option<Text>) {
        if let Some(text) = text {
            self.one(text);
        }
    }

    fn json(&mut self, json: &mut Option<Json>) {
        if let Some(Json(text)) = json {
            self.one(text);
        }
    }

    fn code(&mut self, code: &mut Option<Code>) {
        if let Some(code) = code {
            self.one(&mut code.sha256);
        }
    }

    fn id(&mut self, UniqueId(text): &mut UniqueId) {
        self.one(text);
    }

    /// Lets the texts of one node be those that were seen before.
    pub fn share_node(&mut self, node: &mut Node) {
        // Without `..`: a new field does not compile until it is decided here whether it is shared.
        let Node {
            unique_id,
            resource_type: _,
            is_applied: _,
            name,
            package_name,
            file_path,
            description,
            database_name,
            schema_name,
            identifier,
            relation_name,
            materialization,
            access,
            group_name,
            owner_name,
            owner_email,
            layer,
            contract_enforced: _,
            version,
            latest_version,
            deprecation_date: _,
            fqn,
            tags,
            meta,
            properties: Json(properties),
            language,
            raw_code,
            compiled_code,
            last_run: LastRun { status, attempt, error, .. },
            freshness: FreshnessCheck { status: checked, .. },
            columns,
            parents,
        } = node;
        self.id(unique_id);
        for text in [name, package_name, file_path, description, database_name, schema_name, identifier, relation_name]
        {
            self.maybe(text);
        }
        for text in
            [materialization, access, group_name, owner_name, owner_email, layer, version, latest_version, language]
        {
            self.maybe(text);
        }
        for text in [status, attempt, error, checked] {
            self.maybe(text);
        }
        for list in [fqn, tags, meta] {
            self.json(list);
        }
        self.one(properties);
        self.code(raw_code);
        self.code(compiled_code);
        columns.iter_mut().for_each(|column| self.column(column));
        columns.shrink_to_fit();
        parents.iter_mut().for_each(|parent| self.id(parent));
        parents.shrink_to_fit();
    }

    fn column(&mut self, column: &mut Column) {
        let Column { name, position: _, data_type, description, comment, tags, meta, in_warehouse: _, is_declared: _ } =
            column;
        self.one(name);
        self.maybe(data_type);
        self.maybe(description);
        self.maybe(comment);
        self.json(tags);
        self.json(meta);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::inventory::{Inventory, ResourceType};

    #[test]
    fn equal_texts_become_one_and_the_inventory_stays_equal() {
        let node = |id: &str| Node {
            schema_name: Some("analytics".into()),
            parents: vec!["a".into()],
            ..Node::new(id, ResourceType::Model)
        };
        let mut inventory = Inventory::default();
        inventory.nodes.extend(["a", "b"].map(|id| (UniqueId::from(id), Arc::new(node(id)))));
        let before = inventory.clone();
        let mut pool = Pool::default();
        inventory.nodes.values_mut().map(Arc::make_mut).for_each(|node| pool.share_node(node));
        assert_eq!(inventory, before);
        let schema = |id: &str| inventory.nodes[id].schema_name.clone().expect("a schema");
        assert!(Text::ptr_eq(&schema("a"), &schema("b")));
        assert!(Text::ptr_eq(&schema("a"), &pool.text("analytics")));
    }
}
