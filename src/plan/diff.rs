//! The difference between what is stored and what was fetched, as a sorted list of changes. Pure: no clock, no SQL, no network.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde_json::to_string;

use crate::inventory::{Column, Fact, Inventory, Node, ResourceType, UniqueId};

/// One difference, at the grain of the change feed.
#[derive(Debug, Clone, PartialEq)]
pub struct Change<'a> {
    /// The node as it is afterwards; for a removed one as it was.
    pub node: &'a Node,
    /// What happened to it.
    pub kind: ChangeKind<'a>,
}

/// What happened to a node.
#[derive(Debug, Clone, PartialEq)]
pub enum ChangeKind<'a> {
    /// It is new.
    Added,
    /// It is gone, with its columns and the edges to its parents.
    Removed,
    /// It was removed once and is back.
    Restored,
    /// A field of it has another value.
    Changed {
        /// The column of the view `nodes` (or `raw_code`, `language`, `checked_status`).
        field: &'static str,
        /// The stored value.
        before: Fact<'a>,
        /// The fetched value.
        after: Fact<'a>,
    },
    /// It reads one more node.
    EdgeAdded(&'a UniqueId),
    /// It no longer reads that node.
    EdgeRemoved(&'a UniqueId),
    /// It has a new column.
    ColumnAdded(&'a Column),
    /// It lost a column.
    ColumnRemoved(&'a Column),
    /// A field of a column has another value.
    ColumnChanged {
        /// The column's name.
        column: &'a str,
        /// The column of the view `columns`.
        field: &'static str,
        /// The stored value.
        before: Fact<'a>,
        /// The fetched value.
        after: Fact<'a>,
    },
}

impl ChangeKind<'_> {
    /// The word of the view `changes`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Restored => "restored",
            Self::Changed { .. } => "changed",
            Self::EdgeAdded(_) => "edge_added",
            Self::EdgeRemoved(_) => "edge_removed",
            Self::ColumnAdded(_) => "column_added",
            Self::ColumnRemoved(_) => "column_removed",
            Self::ColumnChanged { .. } => "column_changed",
        }
    }
}

impl Change<'_> {
    /// Which field changed, of the node or of a column.
    pub fn field(&self) -> Option<&'static str> {
        match &self.kind {
            ChangeKind::Changed { field, .. } | ChangeKind::ColumnChanged { field, .. } => Some(field),
            _ => None,
        }
    }

    /// The parent of an edge.
    pub fn parent_id(&self) -> Option<&str> {
        match &self.kind {
            ChangeKind::EdgeAdded(parent) | ChangeKind::EdgeRemoved(parent) => Some(parent.as_str()),
            _ => None,
        }
    }

    /// The name of a column.
    pub fn column_name(&self) -> Option<&str> {
        match &self.kind {
            ChangeKind::ColumnAdded(column) | ChangeKind::ColumnRemoved(column) => Some(&column.name),
            ChangeKind::ColumnChanged { column, .. } => Some(column),
            _ => None,
        }
    }

    /// The values before and after, as JSON text: the whole node, the whole column or the field.
    ///
    /// # Errors
    /// Never, as far as is known: nothing of a node can't be written as JSON.
    pub fn values(&self) -> serde_json::Result<(Option<String>, Option<String>)> {
        Ok(match &self.kind {
            ChangeKind::Added | ChangeKind::Restored => (None, Some(to_string(self.node)?)),
            ChangeKind::Removed => (Some(to_string(self.node)?), None),
            ChangeKind::Changed { before, after, .. } | ChangeKind::ColumnChanged { before, after, .. } => {
                (Some(to_string(before)?), Some(to_string(after)?))
            }
            ChangeKind::ColumnAdded(column) => (None, Some(to_string(*column)?)),
            ChangeKind::ColumnRemoved(column) => (Some(to_string(*column)?), None),
            ChangeKind::EdgeAdded(_) | ChangeKind::EdgeRemoved(_) => (None, None),
        })
    }
}

impl fmt::Display for Change<'_> {
    /// One line for people: `~ model.shop.orders description: "old" → "new"`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = &self.node.unique_id;
        let short = |fact: &Fact<'_>| {
            let text = to_string(fact).unwrap_or_default();
            match text.char_indices().nth(60) {
                Some((end, _)) => format!("{}…", &text[..end]),
                None => text,
            }
        };
        match &self.kind {
            ChangeKind::Added => write!(f, "+ {id}"),
            ChangeKind::Removed => write!(f, "- {id}"),
            ChangeKind::Restored => write!(f, "+ {id} (restored)"),
            ChangeKind::Changed { field, before, after } => {
                write!(f, "~ {id} {field}: {} → {}", short(before), short(after))
            }
            ChangeKind::EdgeAdded(parent) => write!(f, "~ {id} + parent {parent}"),
            ChangeKind::EdgeRemoved(parent) => write!(f, "~ {id} - parent {parent}"),
            ChangeKind::ColumnAdded(column) => write!(f, "~ {id} + column {}", column.name),
            ChangeKind::ColumnRemoved(column) => write!(f, "~ {id} - column {}", column.name),
            ChangeKind::ColumnChanged { column, field, before, after } => {
                write!(f, "~ {id} column {column} {field}: {} → {}", short(before), short(after))
            }
        }
    }
}

/// Everything that applying a read has to write.
#[derive(Debug, Default, PartialEq)]
pub struct Diff<'a> {
    /// What becomes history, sorted by id; of one node its fields, then edges, then columns.
    pub changes: Vec<Change<'a>>,
    /// Nodes whose run facts or compiled code moved: they are written, and are no history.
    pub refreshed: Vec<&'a Node>,
}

impl Diff<'_> {
    /// True if there is nothing to write.
    pub fn is_empty(&self) -> bool {
        let Self { changes, refreshed } = self;
        changes.is_empty() && refreshed.is_empty()
    }

    /// How many nodes were added (or came back), changed and removed.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        let mut last = None;
        for change in &self.changes {
            match change.kind {
                // An external node was not read, so it does not count.
                _ if change.node.resource_type == ResourceType::External => {}
                ChangeKind::Added | ChangeKind::Restored => counts.added += 1,
                ChangeKind::Removed => counts.removed += 1,
                _ if last == Some(&change.node.unique_id) => {}
                _ => counts.changed += 1,
            }
            last = Some(&change.node.unique_id);
        }
        counts
    }
}

/// Numbers of nodes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// New or restored.
    pub added: u64,
    /// With at least one change.
    pub changed: u64,
    /// Gone.
    pub removed: u64,
}

/// What turns `stored` into `fetched`. `tombstones` are the ids that were removed before, so come back as restored.
pub fn diff<'a>(stored: &'a Inventory, fetched: &'a Inventory, tombstones: &BTreeSet<UniqueId>) -> Diff<'a> {
    let mut diff = Diff::default();
    let ids: BTreeSet<&UniqueId> = stored.nodes.keys().chain(fetched.nodes.keys()).collect();
    for id in ids {
        match (stored.nodes.get(id), fetched.nodes.get(id)) {
            (Some(old), Some(new)) if Arc::ptr_eq(old, new) => {}
            (Some(old), Some(new)) => compare(old, new, &mut diff),
            (Some(old), None) => diff.changes.push(Change { node: old, kind: ChangeKind::Removed }),
            (None, Some(new)) => {
                let kind = if tombstones.contains(id) { ChangeKind::Restored } else { ChangeKind::Added };
                diff.changes.push(Change { node: new, kind });
                diff.refreshed.push(new);
            }
            (None, None) => {}
        }
    }
    diff
}

fn compare<'a>(old: &'a Node, new: &'a Node, diff: &mut Diff<'a>) {
    for ((field, before), (_, after)) in old.facts().into_iter().zip(new.facts()) {
        if before != after {
            diff.changes.push(Change { node: new, kind: ChangeKind::Changed { field, before, after } });
        }
    }
    let edge = |kind| Change { node: new, kind };
    diff.changes.extend(missing(&new.parents, &old.parents).map(|parent| edge(ChangeKind::EdgeAdded(parent))));
    diff.changes.extend(missing(&old.parents, &new.parents).map(|parent| edge(ChangeKind::EdgeRemoved(parent))));
    compare_columns(old, new, diff);
    if old.last_run != new.last_run || old.freshness != new.freshness || old.compiled_code != new.compiled_code {
        diff.refreshed.push(new);
    }
}

/// Those of `list` that `other` lacks; both are sorted.
fn missing<'a>(list: &'a [UniqueId], other: &'a [UniqueId]) -> impl Iterator<Item = &'a UniqueId> {
    list.iter().filter(|id| other.binary_search(id).is_err())
}

fn compare_columns<'a>(old: &'a Node, new: &'a Node, diff: &mut Diff<'a>) {
    if old.columns == new.columns {
        return;
    }
    let by_name = |node: &'a Node| -> BTreeMap<&'a str, &'a Column> {
        node.columns.iter().map(|column| (&*column.name, column)).collect()
    };
    let (before, after) = (by_name(old), by_name(new));
    let names: BTreeSet<&str> = before.keys().chain(after.keys()).copied().collect();
    for name in names {
        match (before.get(name), after.get(name)) {
            (None, Some(column)) => diff.changes.push(Change { node: new, kind: ChangeKind::ColumnAdded(column) }),
            (Some(column), None) => diff.changes.push(Change { node: new, kind: ChangeKind::ColumnRemoved(column) }),
            (Some(old), Some(column)) => {
                for ((field, before), (_, after)) in old.facts().into_iter().zip(column.facts()) {
                    if before != after {
                        let kind = ChangeKind::ColumnChanged { column: &column.name, field, before, after };
                        diff.changes.push(Change { node: new, kind });
                    }
                }
            }
            (None, None) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::{Code, LastRun, Text};

    fn column(name: &str, data_type: &str) -> Column {
        let (name, data_type) = (name.into(), Some(data_type.into()));
        Column { name, position: Some(1), data_type, ..Column::default() }
    }

    fn inventory(nodes: Vec<Node>) -> Inventory {
        let nodes = nodes.into_iter().map(|node| (node.unique_id.clone(), node.into())).collect();
        Inventory { nodes, ..Inventory::default() }
    }

    fn lines(stored: &Inventory, fetched: &Inventory, tombstones: &[&str]) -> Vec<String> {
        let tombstones = tombstones.iter().map(|id| UniqueId::from(*id)).collect();
        diff(stored, fetched, &tombstones).changes.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_kind_of_change_is_one_row_in_a_fixed_order() {
        let stored = inventory(vec![
            Node::new("a", ResourceType::Model),
            Node {
                description: Some("old".into()),
                raw_code: Some(Code::of("select 1")),
                columns: vec![column("x", "int"), column("y", "int")],
                parents: vec!["a".into()],
                ..Node::new("b", ResourceType::Model)
            },
        ]);
        let fetched = inventory(vec![
            Node {
                description: Some("new".into()),
                raw_code: Some(Code::of("select 2")),
                columns: vec![column("x", "text"), column("z", "int")],
                parents: vec!["c".into()],
                ..Node::new("b", ResourceType::Model)
            },
            Node::new("c", ResourceType::Source),
            Node::new("d", ResourceType::Seed),
        ]);
        let lines = lines(&stored, &fetched, &["d"]);
        let code: Vec<&String> = lines.iter().filter(|line| line.contains("raw_code")).collect();
        assert_eq!(code.len(), 1, "{lines:?}");
        let others: Vec<&str> = lines.iter().filter(|line| !line.contains("raw_code")).map(String::as_str).collect();
        assert_eq!(
            others,
            [
                "- a",
                "~ b description: \"old\" → \"new\"",
                "~ b + parent c",
                "~ b - parent a",
                "~ b column x data_type: \"int\" → \"text\"",
                "~ b - column y",
                "~ b + column z",
                "+ c",
                "+ d (restored)",
            ]
        );
    }

    #[test]
    fn run_facts_are_refreshed_without_history_but_a_changed_status_is_history() {
        let run = |status: &str, run_id| LastRun {
            status: Some(status.into()),
            run_id: Some(Text::from(run_id)),
            ..LastRun::default()
        };
        let with = |last_run| inventory(vec![Node { last_run, ..Node::new("m", ResourceType::Model) }]);
        let (first, second, third) = (with(run("success", "1")), with(run("success", "2")), with(run("error", "3")));
        let none = BTreeSet::new();
        let rerun = diff(&first, &second, &none);
        assert!(rerun.changes.is_empty());
        assert_eq!(rerun.refreshed.len(), 1);
        assert_eq!(lines(&second, &third, &[]), ["~ m last_run_status: \"success\" → \"error\""]);
        assert!(diff(&first, &first, &none).is_empty());
    }

    #[test]
    fn counts_are_of_nodes_not_of_rows() {
        let stored = inventory(vec![Node::new("a", ResourceType::Model), Node::new("b", ResourceType::Model)]);
        let fetched = inventory(vec![
            Node { name: Some("x".into()), layer: Some("mart".into()), ..Node::new("a", ResourceType::Model) },
            Node::new("c", ResourceType::Model),
        ]);
        let counts = diff(&stored, &fetched, &BTreeSet::new()).counts();
        assert_eq!(counts, Counts { added: 1, changed: 1, removed: 1 });
    }
}
