//! What a read would take away: whole nodes, by type and by what they lose. Pure.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use super::Read;
use crate::inventory::{EnvironmentFacts, Inventory, Node, ResourceType, Text, UniqueId, fold};

/// How a node loses something as a whole. That columns are retyped or a parent is replaced is ordinary life, and no loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LossKind {
    /// It goes.
    Removed,
    /// It was applied, and is only defined.
    Unapplied,
    /// It stays, and loses all its parents.
    Parents,
    /// It stays applied, and loses all its columns.
    Columns,
    /// Of files: its relation is in another database or schema, as a developer's own would be.
    Moved,
    /// Of files: they are another project's, or another adapter's. In place of a node it names both.
    Project,
}

impl LossKind {
    /// Every kind, in the order in which they are told.
    pub const ALL: [Self; 6] =
        [Self::Removed, Self::Unapplied, Self::Parents, Self::Columns, Self::Moved, Self::Project];

    /// The word of the view `held_losses`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Removed => "removed",
            Self::Unapplied => "unapplied",
            Self::Parents => "parents",
            Self::Columns => "columns",
            Self::Moved => "moved",
            Self::Project => "project",
        }
    }

    /// What so many nodes would do.
    pub(super) fn verb(self) -> &'static str {
        match self {
            Self::Removed => "would go",
            Self::Unapplied => "would no longer be applied",
            Self::Parents => "would lose all their parents",
            Self::Columns => "would lose all their columns",
            Self::Moved => "would move to another database or schema",
            Self::Project => "would be of another project",
        }
    }

    /// Whether a stored node has what this kind takes.
    pub(super) fn is_at_stake(self, node: &Node) -> bool {
        node.resource_type != ResourceType::External
            && match self {
                Self::Removed => true,
                Self::Unapplied => node.is_applied == Some(true),
                Self::Parents => !node.parents.is_empty(),
                Self::Columns => node.is_applied == Some(true) && !node.columns.is_empty(),
                Self::Moved => has_relation(node),
                Self::Project => false,
            }
    }

    /// Whether a node that has it loses it. A node that edges still name, but that is no longer read, is gone as far as a removal
    /// goes; an ephemeral one is built nowhere, so loses nothing by that.
    fn is_lost(self, node: &Node, fetched: &Inventory) -> bool {
        let now = fetched.nodes.get(&node.unique_id).filter(|now| now.resource_type != ResourceType::External);
        let Some(now) = now else { return self == Self::Removed };
        let ephemeral = now.materialization.as_deref() == Some("ephemeral");
        match self {
            Self::Removed => false,
            Self::Unapplied => now.is_applied != Some(true) && !ephemeral,
            Self::Parents => now.parents.is_empty(),
            Self::Columns => now.is_applied == Some(true) && now.columns.is_empty() && !ephemeral,
            Self::Moved => has_relation(now) && place(now) != place(node),
            Self::Project => false,
        }
    }
}

/// One node, and what it would lose.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Loss {
    /// How.
    pub kind: LossKind,
    /// Which node.
    pub unique_id: UniqueId,
}

impl Loss {
    /// Reads what `Display` writes.
    pub fn parse(text: &str) -> Option<Self> {
        let (word, id) = text.split_once(' ')?;
        let kind = LossKind::ALL.into_iter().find(|kind| kind.as_str() == word)?;
        Some(Self { kind, unique_id: id.into() })
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.as_str(), self.unique_id)
    }
}

/// Whether a node is built as a relation of its own. What the project only reads lies where others put it.
fn has_relation(node: &Node) -> bool {
    let is_built = matches!(
        node.resource_type,
        ResourceType::Model | ResourceType::Seed | ResourceType::Snapshot | ResourceType::Function
    );
    is_built && node.relation_name.is_some() && node.schema_name.is_some()
}

/// Where a node's relation is. Case is nothing: warehouses differ in how they spell the same name.
pub(super) fn place(node: &Node) -> String {
    let part = |name: &Option<Text>| name.as_deref().map(fold).unwrap_or_default();
    format!("{}.{}", part(&node.database_name), part(&node.schema_name))
}

/// Everything that `fetched` takes away of `stored`; of files also what moves to a place that is not yet known.
pub(super) fn losses(read: &Read<'_>, knows_place: impl Fn(&str) -> bool) -> BTreeSet<Loss> {
    let Read { stored, fetched, is_of_files, .. } = read;
    let kinds = LossKind::ALL.into_iter().filter(|kind| *is_of_files || *kind != LossKind::Moved);
    let of = |kind: LossKind| {
        let is_known = |node: &Node| {
            kind == LossKind::Moved && fetched.nodes.get(&node.unique_id).is_some_and(|now| knows_place(&place(now)))
        };
        let lost = |node: &&Arc<Node>| kind.is_at_stake(node) && kind.is_lost(node, fetched) && !is_known(node);
        let lost: Vec<Loss> =
            stored.nodes.values().filter(lost).map(|node| Loss { kind, unique_id: node.unique_id.clone() }).collect();
        lost
    };
    let project = other_project(read).map(|both| Loss { kind: LossKind::Project, unique_id: both.into() });
    kinds.flat_map(of).chain(project).collect()
}

/// Both projects with their adapters, where the files are of another than what is stored.
fn other_project(read: &Read<'_>) -> Option<String> {
    let (before, now) = (&read.stored.environment, &read.fetched.environment);
    let differ = |one: &Option<String>, other: &Option<String>| one.is_some() && other.is_some() && one != other;
    let is_other = differ(&before.project_name, &now.project_name) || differ(&before.adapter_type, &now.adapter_type);
    let name = |facts: &EnvironmentFacts| {
        let part = |part: &Option<String>| part.clone().unwrap_or_else(|| "?".to_owned());
        format!("{} ({})", part(&facts.project_name), part(&facts.adapter_type))
    };
    (read.is_of_files && is_other).then(|| format!("{} -> {}", name(before), name(now)))
}
