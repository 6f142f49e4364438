//! Who owns a node: its own owner, else its group's, else what its meta says.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Inventory, Node, ResourceType, Text};

/// Fills in the owners of all nodes that have none of their own: the group's, else the first of `meta_keys` found in meta. So a
/// group's new owner is a change of each member.
pub fn resolve_owners(inventory: &mut Inventory, meta_keys: &[String]) {
    let groups = Groups::of(inventory);
    for node in inventory.nodes.values_mut() {
        if matches!(node.resource_type, ResourceType::Group | ResourceType::Exposure)
            && (node.owner_name.is_some() || node.owner_email.is_some())
        {
            continue;
        }
        let (name, email) = match groups.owner(node) {
            Some((name, email)) if name.is_some() || email.is_some() => (name.clone(), email.clone()),
            _ => (meta_owner(node, meta_keys).map(Text::from), None),
        };
        node.owner_name = name;
        node.owner_email = email;
    }
}

type Owner = (Option<Text>, Option<Text>);

/// The owners of groups, by name, each with its package: packages may have groups of the same name.
struct Groups(BTreeMap<Text, Vec<(Option<Text>, Owner)>>);

impl Groups {
    fn of(inventory: &Inventory) -> Self {
        let mut groups: BTreeMap<Text, Vec<(Option<Text>, Owner)>> = BTreeMap::new();
        for node in inventory.nodes.values().filter(|node| node.resource_type == ResourceType::Group) {
            if let Some(name) = &node.name {
                let owner = (node.owner_name.clone(), node.owner_email.clone());
                groups.entry(name.clone()).or_default().push((node.package_name.clone(), owner));
            }
        }
        Self(groups)
    }

    /// The owner of a node's group: of its own package, else of the only one of that name.
    fn owner(&self, node: &Node) -> Option<&Owner> {
        let named = self.0.get(node.group_name.as_ref()?)?;
        let own = named.iter().find(|(package, _)| *package == node.package_name);
        let only = match named.as_slice() {
            [only] => Some(only),
            _ => None,
        };
        own.or(only).map(|(_, owner)| owner)
    }
}

fn meta_owner(node: &Node, meta_keys: &[String]) -> Option<String> {
    let meta = node.meta.as_ref().map(super::Json::value)?;
    meta_keys.iter().find_map(|key| owner_text(meta.get(key)?))
}

/// An owner is written as text, as a list of owners or as a map with a name.
fn owner_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        Value::Array(list) => {
            let owners: Vec<String> = list.iter().filter_map(owner_text).collect();
            Some(owners.join(", ")).filter(|text| !text.is_empty())
        }
        Value::Object(map) => ["name", "email"].iter().find_map(|key| owner_text(map.get(*key)?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::Json;
    use serde_json::json;

    #[test]
    fn own_owner_beats_group_beats_meta() {
        let mut inventory = Inventory::default();
        let nodes = [
            Node {
                name: Some("finance".into()),
                owner_name: Some("Fin".into()),
                owner_email: Some("fin@example.com".into()),
                ..Node::new("g", ResourceType::Group)
            },
            Node { owner_name: Some("Ana".into()), ..Node::new("e", ResourceType::Exposure) },
            Node {
                group_name: Some("finance".into()),
                meta: Some(Json::new(&json!({"owner": "@x"}))),
                ..Node::new("m1", ResourceType::Model)
            },
            Node { meta: Some(Json::new(&json!({"owner": ["@x", "@y"]}))), ..Node::new("m2", ResourceType::Model) },
            // A former member: nothing of the group is left.
            Node { owner_name: Some("Fin".into()), ..Node::new("m3", ResourceType::Model) },
        ];
        inventory.nodes.extend(nodes.into_iter().map(|node| (node.unique_id.clone(), node)));
        resolve_owners(&mut inventory, &["owner".into()]);
        let owner = |id: &str| inventory.nodes[id].owner_name.clone();
        assert_eq!(owner("e").as_deref(), Some("Ana"));
        assert_eq!(owner("m1").as_deref(), Some("Fin"));
        assert_eq!(inventory.nodes["m1"].owner_email.as_deref(), Some("fin@example.com"));
        assert_eq!(owner("m2").as_deref(), Some("@x, @y"));
        assert_eq!(owner("m3"), None);
    }
}
