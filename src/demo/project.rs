//! The state of one environment: the inventory of a dbt project, the texts of its code, and the clock of its runs. Nothing is read
//! here (see `load`), nothing is changed (see `changes`), and no GraphQL is known.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde_json::Value;

use super::object::object;
use crate::inventory::{Code, Column, Inventory, Node, ResourceType, Text, UniqueId};
use crate::time::Timestamp;

/// One of the two states of an environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// What exists in the warehouse.
    Applied,
    /// What the newest manifest says.
    Definition,
}

impl Side {
    /// Whether this state has the node.
    pub(super) fn has(self, node: &Node) -> bool {
        is_listed(node.resource_type) && (self == Self::Definition || node.is_applied == Some(true))
    }
}

/// Whether the API lists nodes of this type. It names others only where some node depends on them.
pub(super) fn is_listed(kind: ResourceType) -> bool {
    !matches!(kind, ResourceType::External | ResourceType::Function)
}

/// One environment: the nodes of a dbt project, both states of them, and the clock of its runs.
#[derive(Debug, Clone)]
pub struct Project {
    pub(super) inventory: Inventory,
    /// Source texts by their hash.
    pub(super) texts: HashMap<Text, Text>,
    /// What was removed, with the children that depended on it.
    pub(super) removed: HashMap<String, (Arc<Node>, Vec<UniqueId>)>,
    /// The states that are answered as null.
    pub(super) null: Vec<Side>,
    pub(super) clock: Timestamp,
    pub(super) run_id: i64,
    pub(super) notes: Vec<String>,
}

impl Project {
    /// What was odd about the files that it was read from, a sentence each.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The dbt project's name, where the manifest states it (version 10 and later).
    pub fn name(&self) -> Option<&str> {
        self.inventory.environment.project_name.as_deref()
    }

    /// The id and resource type of every node that the API lists.
    pub fn ids(&self) -> BTreeMap<String, &'static str> {
        self.of(Side::Definition).map(|(id, node)| (id.to_owned(), node.resource_type.as_str())).collect()
    }

    /// The ids that the applied state lists.
    pub fn applied_ids(&self) -> BTreeSet<String> {
        self.of(Side::Applied).map(|(id, _)| id.to_owned()).collect()
    }

    /// The ids of what nodes depend on and the API does not list, such as other projects' models.
    pub fn externals(&self) -> BTreeSet<String> {
        self.edges().into_iter().map(|(parent, _)| parent).filter(|id| !self.is_listed(id)).collect()
    }

    /// Every dependency that the API tells, as (parent, child).
    pub fn edges(&self) -> BTreeSet<(String, String)> {
        let pair = |parent: &UniqueId, child: &str| (parent.to_string(), child.to_owned());
        let pairs =
            self.of(Side::Definition).flat_map(|(id, node)| node.parents.iter().map(move |parent| pair(parent, id)));
        pairs.collect()
    }

    /// The warehouse's columns of every applied node, in its order.
    pub fn columns(&self) -> BTreeMap<String, Vec<&Column>> {
        self.of(Side::Applied).map(|(id, node)| (id.to_owned(), in_warehouse(node).collect())).collect()
    }

    /// All nodes, other projects' included, by id.
    pub fn nodes(&self) -> impl Iterator<Item = (&str, &Node)> {
        self.inventory.nodes.iter().map(|(id, node)| (id.as_str(), &**node))
    }

    /// The node with this id.
    pub fn node(&self, id: &str) -> Option<&Node> {
        self.inventory.nodes.get(id).map(|node| &**node)
    }

    /// What the API says of this node; null if there is none.
    pub fn told(&self, id: &str) -> Value {
        self.node(id).map_or(Value::Null, |node| object(self, node))
    }

    /// When the state last moved, as the API says it.
    pub fn last_updated_at(&self, side: Side) -> Option<Timestamp> {
        match side {
            Side::Applied => self.inventory.environment.applied_at,
            Side::Definition => self.inventory.environment.definition_at,
        }
    }

    /// A commit that moves with every run, made up.
    pub(super) fn git_sha(&self) -> String {
        self.git_sha_of(self.run_id)
    }

    /// The commit that a run ran.
    pub(super) fn git_sha_of(&self, run_id: i64) -> String {
        let text = format!("{}{run_id}", self.name().unwrap_or_default());
        Code::of(&text).sha256[..40].to_owned()
    }

    /// The nodes that a state lists.
    pub(super) fn of(&self, side: Side) -> impl Iterator<Item = (&str, &Node)> {
        self.nodes().filter(move |(_, node)| side.has(node))
    }

    pub(super) fn is_listed(&self, id: &str) -> bool {
        self.node(id).is_some_and(|node| is_listed(node.resource_type))
    }

    /// The text of some code.
    pub(super) fn text(&self, code: Option<&Code>) -> Option<&Text> {
        self.texts.get(&code?.sha256)
    }
}

/// The columns that the warehouse has; the API does not tell of those that are declared alone.
pub(super) fn in_warehouse(node: &Node) -> impl Iterator<Item = &Column> {
    node.columns.iter().filter(|column| column.in_warehouse == Some(true))
}

/// The nodes that it tests, if it is a test.
pub(super) fn tested(node: &Node) -> Vec<UniqueId> {
    if !matches!(node.resource_type, ResourceType::Test | ResourceType::UnitTest) {
        return Vec::new();
    }
    let properties = node.properties.value();
    if properties["test_type"] == "singular" {
        return node.parents.clone();
    }
    properties["attached_node"].as_str().map(UniqueId::from).into_iter().collect()
}

/// What can be looked up only from the other end, made anew after a change.
#[derive(Debug, Default)]
pub(super) struct Index {
    by_kind: HashMap<(Side, ResourceType), Vec<UniqueId>>,
    tests: HashMap<UniqueId, Vec<UniqueId>>,
}

impl Index {
    pub(super) fn of(project: &Project) -> Self {
        let mut index = Self::default();
        for (id, node) in &project.inventory.nodes {
            for side in [Side::Applied, Side::Definition].into_iter().filter(|side| side.has(node)) {
                index.by_kind.entry((side, node.resource_type)).or_default().push(id.clone());
            }
            for tested in tested(node) {
                index.tests.entry(tested).or_default().push(id.clone());
            }
        }
        index
    }

    pub(super) fn listed(&self, side: Side, kind: ResourceType) -> &[UniqueId] {
        self.by_kind.get(&(side, kind)).map_or(&[], Vec::as_slice)
    }

    pub(super) fn tests(&self, id: &str) -> &[UniqueId] {
        self.tests.get(id).map_or(&[], Vec::as_slice)
    }
}
