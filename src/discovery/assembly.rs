//! All types together: one inventory, in which every id is unique, and which node each test is of.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use super::draft::{Draft, Tested};
use super::error::Kind;
use crate::inventory::{Inventory, Json, Node, Reading, ResourceType, Unanswered, UniqueId};

/// The drafts of a read, by id.
#[derive(Default)]
pub(super) struct Assembly {
    drafts: BTreeMap<UniqueId, Draft>,
    warnings: Vec<String>,
}

impl Assembly {
    /// Takes the nodes of one list. An id that another list had is an error.
    pub(super) fn add(&mut self, drafts: Vec<Draft>) -> Result<(), Kind> {
        for mut draft in drafts {
            self.warnings.append(&mut draft.warnings);
            let id = draft.node.unique_id.clone();
            if let Some(other) = self.drafts.insert(id.clone(), draft) {
                let what = format!("`{id}` is in two lists, one of them of type {}", other.node.resource_type);
                return Err(Kind::Incomplete { what });
            }
        }
        Ok(())
    }

    pub(super) fn warn(&mut self, warnings: impl IntoIterator<Item = String>) {
        self.warnings.extend(warnings);
    }

    pub(super) fn holds(&self, id: &str) -> bool {
        self.drafts.contains_key(id)
    }

    /// The reading that all this comes to.
    pub(super) fn finish(mut self) -> Reading {
        self.attach_tests();
        let mut unanswered = Unanswered::default();
        let mut externals = BTreeMap::new();
        let mut nodes = BTreeMap::new();
        for (id, draft) in self.drafts {
            let mut node = draft.node;
            if draft.lacks_catalog {
                unanswered.catalog.insert(id.clone());
            }
            if draft.lacks_status {
                unanswered.test_status.insert(id.clone());
            }
            for external in draft.externals {
                externals.entry(external.unique_id.clone()).or_insert(external);
            }
            node.normalize();
            nodes.insert(id, node);
        }
        for (id, external) in externals {
            nodes.entry(id).or_insert(external);
        }
        Reading { inventory: Inventory { nodes, ..Inventory::default() }, unanswered, warnings: self.warnings }
    }

    /// Settles the tests that do not say which of their parents they test.
    fn attach_tests(&mut self) {
        let mut listed_by: HashMap<UniqueId, Vec<UniqueId>> = HashMap::new();
        for (id, draft) in &mut self.drafts {
            for test in std::mem::take(&mut draft.tests) {
                listed_by.entry(test).or_default().push(id.clone());
            }
        }
        let unsettled = self.drafts.values_mut().filter(|draft| draft.tested != Tested::Known);
        for draft in unsettled {
            let listed = listed_by.get(&draft.node.unique_id).map(Vec::as_slice).unwrap_or_default();
            if let Some(tested) = tested(draft, listed) {
                set_attached_node(&mut draft.node, &tested);
            }
        }
    }
}

/// The tested node of a draft with several parents.
fn tested(draft: &Draft, listed: &[UniqueId]) -> Option<UniqueId> {
    let parents = &draft.node.parents;
    let mut listing: Vec<&UniqueId> = parents.iter().filter(|parent| listed.contains(parent)).collect();
    listing.dedup();
    match (&draft.tested, listing.as_slice()) {
        (Tested::ParentThatListsIt, [only]) => Some((*only).clone()),
        _ => parents.last().cloned(),
    }
}

fn set_attached_node(node: &mut Node, tested: &UniqueId) {
    debug_assert!(matches!(node.resource_type, ResourceType::Test | ResourceType::UnitTest));
    if let Value::Object(mut properties) = node.properties.value() {
        properties.insert("attached_node".to_owned(), tested.as_str().into());
        node.properties = Json::new(&Value::Object(properties));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(id: &str, kind: ResourceType) -> Draft {
        Draft::new(id.to_owned(), kind, Some(true))
    }

    fn test(parents: &[&str], tested: Tested) -> Draft {
        let mut draft = Draft { tested, ..draft("test.t", ResourceType::Test) };
        draft.node.parents = parents.iter().map(|id| UniqueId::from(*id)).collect();
        draft
    }

    fn attached(listing: &[&str], test: Draft) -> Value {
        let mut assembly = Assembly::default();
        for id in ["model.a", "model.b", "model.c"] {
            let tests = if listing.contains(&id) { vec![UniqueId::from("test.t")] } else { Vec::new() };
            assembly.add(vec![Draft { tests, ..draft(id, ResourceType::Model) }]).expect("a new id");
        }
        assembly.add(vec![test]).expect("a new id");
        assembly.finish().inventory.nodes["test.t"].properties.value()["attached_node"].clone()
    }

    #[test]
    fn a_relationships_test_is_of_the_parent_that_lists_it_else_of_the_last() {
        let parents = ["model.b", "model.c", "model.a"];
        assert_eq!(attached(&["model.c"], test(&parents, Tested::ParentThatListsIt)), "model.c");
        assert_eq!(attached(&["model.b", "model.c"], test(&parents, Tested::ParentThatListsIt)), "model.a");
        assert_eq!(attached(&[], test(&parents, Tested::ParentThatListsIt)), "model.a");
        assert_eq!(attached(&["model.c"], test(&parents, Tested::LastParent)), "model.a");
        assert_eq!(attached(&["model.c"], test(&[], Tested::LastParent)), Value::Null);
    }

    #[test]
    fn an_id_in_two_lists_is_an_error() {
        let mut assembly = Assembly::default();
        assembly.add(vec![draft("x", ResourceType::Model)]).expect("a new id");
        assert!(assembly.add(vec![draft("x", ResourceType::Seed)]).is_err());
    }

    #[test]
    fn a_described_external_parent_is_a_node_unless_it_was_read() {
        let mut child = draft("model.child", ResourceType::Model);
        for id in ["model.other", "model.read"] {
            child.external(Node { name: Some("said".into()), ..Node::new(id, ResourceType::External) });
        }
        let mut assembly = Assembly::default();
        assembly.add(vec![child, draft("model.read", ResourceType::Model)]).expect("new ids");
        let nodes = assembly.finish().inventory.nodes;
        assert_eq!(nodes["model.other"].resource_type, ResourceType::External);
        assert_eq!(nodes["model.read"].resource_type, ResourceType::Model);
        assert_eq!(nodes["model.child"].parents.len(), 2);
    }
}
