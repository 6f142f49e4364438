//! All types together: one inventory, in which every id is unique, and which node each test is of.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use serde_json::Value;

use crate::inventory::{Inventory, Json, Node, Reading, ResourceType, Unanswered, UniqueId};
use crate::origin::draft::Draft;
use crate::origin::reference::Named;

/// The drafts of a read, by id.
#[derive(Default)]
pub(crate) struct Assembly {
    drafts: BTreeMap<UniqueId, Box<Draft>>,
    warnings: Vec<String>,
}

impl Assembly {
    /// Takes the nodes of one list. An id that another list had is an error, which says so.
    pub(crate) fn add(&mut self, drafts: Vec<Draft>) -> Result<(), String> {
        for mut draft in drafts {
            self.warnings.append(&mut draft.warnings);
            let id = draft.node.unique_id.clone();
            if let Some(other) = self.drafts.insert(id.clone(), Box::new(draft)) {
                return Err(format!("`{id}` is in two lists, one of them of type {}", other.node.resource_type));
            }
        }
        Ok(())
    }

    pub(crate) fn warn(&mut self, warnings: impl IntoIterator<Item = String>) {
        self.warnings.extend(warnings);
    }

    pub(crate) fn holds(&self, id: &str) -> bool {
        self.drafts.contains_key(id)
    }

    /// The reading that all this comes to. `root` is the name of the environment's own project.
    pub(crate) fn finish(mut self, root: Option<&str>) -> Reading {
        self.attach_tests(root);
        self.tell_new_words();
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
            nodes.insert(id, Arc::new(node));
        }
        for (id, external) in externals {
            nodes.entry(id).or_insert_with(|| external.into());
        }
        let inventory = Inventory { nodes, ..Inventory::default() };
        Reading { inventory, unanswered, warnings: self.warnings, ..Reading::default() }
    }

    /// One warning for each word that is new, however many nodes have it.
    fn tell_new_words(&mut self) {
        let mut words: BTreeMap<&str, (&UniqueId, usize)> = BTreeMap::new();
        for (id, draft) in &self.drafts {
            let once: BTreeSet<&String> = draft.new_words.iter().collect();
            for word in once {
                words.entry(word).or_insert((id, 0)).1 += 1;
            }
        }
        let warning = |(word, (id, count)): (&str, (&UniqueId, usize))| {
            let others = if count == 1 { String::new() } else { format!(" and {} more", count - 1) };
            format!("the {word} of `{id}`{others} is none that this version knows: taken as unknown")
        };
        let warnings: Vec<String> = words.into_iter().map(warning).collect();
        self.warnings.extend(warnings);
    }

    /// Settles which node each test is of.
    fn attach_tests(&mut self, root: Option<&str>) {
        let mut listed_by: HashMap<UniqueId, Vec<UniqueId>> = HashMap::new();
        for (id, draft) in &mut self.drafts {
            for test in std::mem::take(&mut draft.tests) {
                listed_by.entry(test).or_default().push(id.clone());
            }
        }
        let nodes = Nodes::of(&self.drafts);
        let tests = self.drafts.iter().filter(|(_, draft)| draft.tested.is_some());
        let tested = tests.map(|(id, draft)| {
            let listing = listed_by.get(id).map(Vec::as_slice).unwrap_or_default();
            (id.clone(), nodes.tested(draft, listing, root))
        });
        let tested: Vec<(UniqueId, Option<UniqueId>)> = tested.collect();
        for (test, tested) in tested {
            if let (Some(draft), Some(tested)) = (self.drafts.get_mut(&test), tested) {
                set_attached_node(&mut draft.node, &tested);
            }
        }
    }
}

/// What was read, to look up what tests name. A parent that was not read is there, too: it becomes an external node.
struct Nodes<'a> {
    drafts: &'a BTreeMap<UniqueId, Box<Draft>>,
    externals: HashMap<&'a UniqueId, &'a Node>,
    parents: HashSet<&'a UniqueId>,
}

impl<'a> Nodes<'a> {
    fn of(drafts: &'a BTreeMap<UniqueId, Box<Draft>>) -> Self {
        let externals = drafts.values().flat_map(|draft| &draft.externals);
        Self {
            drafts,
            externals: externals.map(|node| (&node.unique_id, node)).collect(),
            parents: drafts.values().flat_map(|draft| &draft.node.parents).collect(),
        }
    }

    /// The node that a test is of: the one that it names by id, if there is such a node; else the parent that its `model` argument names;
    /// else the only parent, else the only one that lists it, else the last in the API's order.
    fn tested(&self, test: &Draft, listing: &[UniqueId], root: Option<&str>) -> Option<UniqueId> {
        let tested = test.tested.as_ref()?;
        let is_there = |id: &&UniqueId| self.drafts.contains_key(*id) || self.parents.contains(id);
        if let Some(id) = tested.id.as_ref().filter(is_there) {
            return Some(id.clone());
        }
        let parents = &test.node.parents;
        let named = || {
            let sources: Vec<Option<String>> = parents.iter().map(|id| self.source_name(id)).collect();
            let parents: Vec<_> =
                parents.iter().zip(&sources).map(|(id, source)| (id, self.named(id, source.as_deref()))).collect();
            tested.reference.as_ref()?.among(&parents, root, test.node.package_name.as_deref())
        };
        if let Some(id) = named() {
            return Some(id);
        }
        let mut listing: Vec<&UniqueId> = parents.iter().filter(|parent| listing.contains(parent)).collect();
        listing.dedup();
        match (parents.as_slice(), listing.as_slice()) {
            ([only], _) => Some(only.clone()),
            (_, [only]) => Some(UniqueId::clone(only)),
            _ => parents.last().cloned(),
        }
    }

    fn node(&self, id: &UniqueId) -> Option<&Node> {
        self.drafts.get(id).map(|draft| &draft.node).or_else(|| self.externals.get(id).copied())
    }

    fn source_name(&self, id: &UniqueId) -> Option<String> {
        let node = self.node(id).filter(|node| node.resource_type == ResourceType::Source)?;
        node.properties.value()["source_name"].as_str().map(str::to_owned)
    }

    fn named<'n>(&'n self, id: &UniqueId, source: Option<&'n str>) -> Named<'n> {
        let Some(node) = self.node(id) else { return Named::default() };
        Named {
            name: node.name.as_deref(),
            package: node.package_name.as_deref(),
            version: node.version.as_deref(),
            latest_version: node.latest_version.as_deref(),
            source,
        }
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
    use crate::origin::draft::Tested;
    use crate::origin::reference::Reference;

    fn draft(id: &str, kind: ResourceType) -> Draft {
        Draft::new(id.to_owned(), kind, Some(true))
    }

    fn test(parents: &[&str], id: Option<&str>, model: &str) -> Draft {
        let tested = Tested { id: id.map(UniqueId::from), reference: Reference::parse(model) };
        let mut draft = Draft { tested: Some(tested), ..draft("test.t", ResourceType::Test) };
        draft.node.parents = parents.iter().map(|id| UniqueId::from(*id)).collect();
        draft
    }

    fn attached(listing: &[&str], test: Draft) -> Value {
        let mut assembly = Assembly::default();
        for name in ["a", "b", "c"] {
            let id = format!("model.{name}");
            let tests = if listing.contains(&id.as_str()) { vec![UniqueId::from("test.t")] } else { Vec::new() };
            let mut draft = Draft { tests, ..draft(&id, ResourceType::Model) };
            draft.node.name = Some(name.into());
            assembly.add(vec![draft]).expect("a new id");
        }
        assembly.add(vec![test]).expect("a new id");
        assembly.finish(None).inventory.nodes["test.t"].properties.value()["attached_node"].clone()
    }

    #[test]
    fn a_test_is_of_the_node_named_else_of_its_argument_else_of_a_parent() {
        let parents = ["model.b", "model.c", "model.a"];
        let of = |id, model, listing: &[&str]| attached(listing, test(&parents, id, model));
        assert_eq!(of(Some("model.b"), "ref('c')", &[]), "model.b");
        assert_eq!(of(Some("model.gone"), "ref('c')", &["model.b"]), "model.c", "an id that no node has");
        assert_eq!(of(None, "ref('gone')", &["model.b"]), "model.b", "the only parent that lists it");
        assert_eq!(of(None, "", &["model.b", "model.c"]), "model.a", "two list it: the last parent");
        assert_eq!(of(None, "", &[]), "model.a");
        assert_eq!(attached(&[], test(&["model.b"], Some("model.gone"), "")), "model.b", "the only parent");
        assert_eq!(
            attached(&[], test(&["model.unread"], Some("model.unread"), "")),
            "model.unread",
            "it will be external"
        );
        assert_eq!(attached(&["model.c"], test(&[], Some("model.gone"), "ref('c')")), Value::Null);
    }

    #[test]
    fn a_word_that_is_new_is_told_once_with_how_many_have_it() {
        let mut assembly = Assembly::default();
        for id in ["a", "b"] {
            let words = vec!["status `x`".to_owned(), "status `x`".to_owned()];
            assembly.add(vec![Draft { new_words: words, ..draft(id, ResourceType::Model) }]).expect("a new id");
        }
        let told = ["the status `x` of `a` and 1 more is none that this version knows: taken as unknown"];
        assert_eq!(assembly.finish(None).warnings, told);
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
        let nodes = assembly.finish(None).inventory.nodes;
        assert_eq!(nodes["model.other"].resource_type, ResourceType::External);
        assert_eq!(nodes["model.read"].resource_type, ResourceType::Model);
        assert_eq!(nodes["model.child"].parents.len(), 2);
    }
}
