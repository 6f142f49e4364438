//! What a read would take away: whole nodes, by type and by what they lose. Pure.

use std::collections::BTreeSet;
use std::fmt;

use crate::inventory::{Inventory, Node, ResourceType, UniqueId};

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
}

impl LossKind {
    /// Every kind, in the order in which they are told.
    pub const ALL: [Self; 4] = [Self::Removed, Self::Unapplied, Self::Parents, Self::Columns];

    /// The word of the view `held_losses`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Removed => "removed",
            Self::Unapplied => "unapplied",
            Self::Parents => "parents",
            Self::Columns => "columns",
        }
    }

    /// What so many nodes would do.
    pub(super) fn verb(self) -> &'static str {
        match self {
            Self::Removed => "would go",
            Self::Unapplied => "would no longer be applied",
            Self::Parents => "would lose all their parents",
            Self::Columns => "would lose all their columns",
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

/// Everything that `fetched` takes away of `stored`.
pub(super) fn losses(stored: &Inventory, fetched: &Inventory) -> BTreeSet<Loss> {
    let of = |kind: LossKind| {
        let lost = move |node: &&Node| kind.is_at_stake(node) && kind.is_lost(node, fetched);
        stored.nodes.values().filter(lost).map(move |node| Loss { kind, unique_id: node.unique_id.clone() })
    };
    LossKind::ALL.into_iter().flat_map(of).collect()
}
