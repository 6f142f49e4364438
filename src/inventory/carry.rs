//! What was not answered is unknown, not gone: carries such facts over from the stored inventory, before anything is compared.

use serde_json::Value;

use super::{FreshnessCheck, Inventory, Json, LastRun, Node, Reading, ResourceType, Unanswered};

/// The facts in `properties` that only the warehouse's catalog provides.
const CATALOG_PROPERTIES: [&str; 4] = ["stats", "relation_type", "relation_owner", "relation_comment"];

/// Completes `reading` with what `stored` knows and the platform did not answer this time. Returns the inventory to compare and
/// the warnings of the read, with those that carrying over adds.
pub fn carry_over(reading: Reading, stored: &Inventory) -> (Inventory, Vec<String>) {
    let Reading { mut inventory, unanswered, mut warnings } = reading;
    if unanswered.definition {
        keep_defined(&mut inventory, stored, &mut warnings);
    }
    if unanswered.applied {
        inventory.environment.git_sha.clone_from(&stored.environment.git_sha);
    }
    for (id, node) in &mut inventory.nodes {
        if let Some(old) = stored.nodes.get(id) {
            keep_unanswered(node, old, &unanswered);
        }
    }
    (inventory, warnings)
}

/// `definition: null`: the nodes that only it provides stay as they are; what is no longer applied is at least still defined,
/// as far as anybody knows.
fn keep_defined(inventory: &mut Inventory, stored: &Inventory, warnings: &mut Vec<String>) {
    let mut kept = 0_usize;
    for (id, old) in &stored.nodes {
        if old.resource_type == ResourceType::External || inventory.nodes.contains_key(id) {
            continue;
        }
        let mut node = old.clone();
        if old.is_applied == Some(true) {
            // That it is no longer applied was answered: what only the applied state says of it is gone.
            node.is_applied = Some(false);
            node.columns.clear();
            node.compiled_code = None;
            node.last_run = LastRun::default();
            node.freshness = FreshnessCheck::default();
        }
        inventory.nodes.insert(id.clone(), node);
        kept += 1;
    }
    inventory.environment.definition_at = stored.environment.definition_at;
    warnings.push(format!(
        "the platform answered `definition: null`: {kept} nodes that only the definition state provides are kept as they were"
    ));
}

fn keep_unanswered(node: &mut Node, old: &Node, unanswered: &Unanswered) {
    let applied = node.is_applied == Some(true);
    let ephemeral = node.materialization.as_deref() == Some("ephemeral");
    if unanswered.catalog.contains(&node.unique_id) && applied && !ephemeral {
        node.columns.clone_from(&old.columns);
        node.properties = with_catalog_properties(&node.properties, &old.properties);
    }
    if unanswered.relation_name && node.resource_type == ResourceType::Model && applied {
        node.relation_name.clone_from(&old.relation_name);
    }
    if unanswered.test_status.contains(&node.unique_id) && applied {
        node.last_run.status.clone_from(&old.last_run.status);
    }
}

fn with_catalog_properties(new: &Json, old: &Json) -> Json {
    let (Value::Object(mut new), Value::Object(mut old)) = (new.value(), old.value()) else {
        return new.clone();
    };
    new.extend(CATALOG_PROPERTIES.into_iter().filter_map(|name| old.remove_entry(name)));
    Json::new(&Value::Object(new))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::{Column, UniqueId};
    use serde_json::json;

    fn column(name: &str) -> Column {
        Column {
            name: name.into(),
            position: Some(1),
            data_type: None,
            description: None,
            comment: None,
            tags: None,
            meta: None,
        }
    }

    fn model(id: &str) -> Node {
        Node { is_applied: Some(true), ..Node::new(id, ResourceType::Model) }
    }

    fn inventory(nodes: Vec<Node>) -> Inventory {
        let nodes = nodes.into_iter().map(|node| (node.unique_id.clone(), node)).collect();
        Inventory { nodes, ..Inventory::default() }
    }

    #[test]
    fn an_unanswered_catalog_keeps_columns_and_statistics_unless_the_node_turned_ephemeral() {
        let old = Node {
            columns: vec![column("a")],
            properties: Json::new(&json!({"stats": [1], "config": {"x": 1}})),
            ..model("m")
        };
        for (materialization, kept) in [("table", 1), ("ephemeral", 0)] {
            let new = Node {
                materialization: Some(materialization.into()),
                properties: Json::new(&json!({"config": {"x": 2}})),
                ..model("m")
            };
            let unanswered = Unanswered { catalog: [UniqueId::from("m")].into(), ..Unanswered::default() };
            let reading = Reading { inventory: inventory(vec![new]), unanswered, ..Reading::default() };
            let (result, _) = carry_over(reading, &inventory(vec![old.clone()]));
            let node = &result.nodes["m"];
            assert_eq!(node.columns.len(), kept, "{materialization}");
            assert_eq!(node.properties.value()["config"], json!({"x": 2}));
            assert_eq!(node.properties.value().get("stats").is_some(), kept == 1);
        }
    }

    #[test]
    fn a_null_definition_keeps_what_only_it_provides_and_says_so() {
        let stored =
            inventory(vec![Node::new("metric.m", ResourceType::Metric), model("model.gone"), model("model.here")]);
        let unanswered = Unanswered { definition: true, ..Unanswered::default() };
        let reading = Reading { inventory: inventory(vec![model("model.here")]), unanswered, ..Reading::default() };
        let (result, warnings) = carry_over(reading, &stored);
        assert_eq!(result.nodes.len(), 3);
        assert_eq!(result.nodes["model.gone"].is_applied, Some(false));
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].contains("2 nodes"), "{}", warnings[0]);
    }
}
