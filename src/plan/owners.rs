//! Who owns a node: its own owner, else its group's, else what its meta says.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::inventory::{Inventory, Json, Node, ResourceType, Text, shape};

/// Fills in the owners of all nodes that have none of their own: the group's, else the first of `meta_keys` found in meta. So a
/// group's new owner is a change of each member.
pub(crate) fn resolve_owners(inventory: &mut Inventory, meta_keys: &[String]) {
    let groups = Groups::of(inventory);
    for node in inventory.nodes.values_mut() {
        if matches!(node.resource_type, ResourceType::Group | ResourceType::Exposure)
            && (node.owner_name.is_some() || node.owner_email.is_some())
        {
            continue;
        }
        let (name, email) = match groups.owner(node) {
            Some((name, email)) if name.is_some() || email.is_some() => (name.clone(), email.clone()),
            _ => meta_owner(node, meta_keys).unwrap_or_default(),
        };
        // What is stored may share the node, and mostly says the same.
        if (&name, &email) != (&node.owner_name, &node.owner_email) {
            let node = Arc::make_mut(node);
            (node.owner_name, node.owner_email) = (name, email);
        }
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

fn meta_owner(node: &Node, meta_keys: &[String]) -> Option<Owner> {
    let meta = node.meta.as_ref().map(Json::value)?;
    meta_keys.iter().find_map(|key| owner_in(meta.get(key)?))
}

/// An owner is written as text, as a map with a name and an email, or as a list of such.
fn owner_in(value: &Value) -> Option<Owner> {
    let text = |value: Option<&Value>| value.and_then(shape::joined).map(Text::from);
    let (name, email) = match value {
        Value::Array(list) => {
            let owners: Vec<Owner> = list.iter().filter_map(owner_in).collect();
            let all = |part: fn(&Owner) -> &Option<Text>| {
                let texts: Vec<&str> = owners.iter().filter_map(|owner| part(owner).as_deref()).collect();
                Some(texts.join(", ")).filter(|text| !text.is_empty()).map(Text::from)
            };
            (all(|(name, _)| name), all(|(_, email)| email))
        }
        Value::Object(map) => (text(map.get("name")), text(map.get("email"))),
        value => (text(Some(value)), None),
    };
    (name.is_some() || email.is_some()).then_some((name, email))
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
        inventory.nodes.extend(nodes.into_iter().map(|node| (node.unique_id.clone(), node.into())));
        resolve_owners(&mut inventory, &["owner".into()]);
        let owner = |id: &str| inventory.nodes[id].owner_name.clone();
        assert_eq!(owner("e").as_deref(), Some("Ana"));
        assert_eq!(owner("m1").as_deref(), Some("Fin"));
        assert_eq!(inventory.nodes["m1"].owner_email.as_deref(), Some("fin@example.com"));
        assert_eq!(owner("m2").as_deref(), Some("@x, @y"));
        assert_eq!(owner("m3"), None);
    }

    #[test]
    fn an_owner_in_meta_has_many_shapes() {
        for (owner, name, email) in [
            (json!("@core"), Some("@core"), None),
            (json!(" @core "), Some("@core"), None),
            (json!(["@ana", null, "", "@bo"]), Some("@ana, @bo"), None),
            (json!({"name": "Ana", "email": "ana@example.com"}), Some("Ana"), Some("ana@example.com")),
            (
                json!({"name": "", "email": ["a@example.com", "b@example.com"]}),
                None,
                Some("a@example.com, b@example.com"),
            ),
            (
                json!([{"name": "Ana", "email": "a@example.com"}, "Bo", {"email": "c@example.com"}]),
                Some("Ana, Bo"),
                Some("a@example.com, c@example.com"),
            ),
            (json!(4711), Some("4711"), None),
            (json!(""), None, None),
            (json!([]), None, None),
            (json!({"team": "x"}), None, None),
            (json!(true), None, None),
            (Value::Null, None, None),
        ] {
            let mut inventory = Inventory::default();
            let node = Node { meta: Some(Json::new(&json!({"owner": owner}))), ..Node::new("m", ResourceType::Model) };
            inventory.nodes.insert("m".into(), node.into());
            resolve_owners(&mut inventory, &["team".into(), "owner".into()]);
            let found = &inventory.nodes["m"];
            assert_eq!((found.owner_name.as_deref(), found.owner_email.as_deref()), (name, email), "{owner}");
        }
    }
}
