//! Keeps the full-text index `search` true: in the transaction that changes a node, its old words are taken out and its new ones put
//! in. The index keeps no text, so what a node's words were must be read (from the view `_search_text`) before anything is written.
//! All nodes at once: with every statement that may fail halfway SQLite makes the index write what it has gathered so far.

use std::collections::HashMap;

use rusqlite::{Connection, Transaction};

use crate::inventory::UniqueId;
use crate::plan::{Change, ChangeKind, Diff};

/// The nodes whose words change.
pub(crate) const TOUCHED: &str = "CREATE TEMP TABLE touched (node_key INTEGER PRIMARY KEY)";

/// Takes out the words of the stored nodes whose words change. Call it before the nodes are written.
pub(crate) fn forget_words(
    transaction: &Transaction<'_>,
    diff: &Diff<'_>,
    keys: &HashMap<UniqueId, i64>,
) -> rusqlite::Result<()> {
    touch(transaction, reworded(diff).filter(|change| !is_new(change)), keys)?;
    forget_touched(transaction)
}

/// Puts in the words of the nodes whose words have changed. Call it when the nodes are written.
pub(crate) fn index_words(
    transaction: &Transaction<'_>,
    diff: &Diff<'_>,
    keys: &HashMap<UniqueId, i64>,
) -> rusqlite::Result<()> {
    touch(transaction, reworded(diff), keys)?;
    index_touched(transaction)
}

/// Makes `temp.touched` the nodes of these changes.
fn touch<'a>(
    transaction: &Transaction<'_>,
    changes: impl Iterator<Item = &'a Change<'a>>,
    keys: &HashMap<UniqueId, i64>,
) -> rusqlite::Result<()> {
    transaction.execute("DELETE FROM temp.touched", [])?;
    let mut insert = transaction.prepare("INSERT INTO temp.touched VALUES (?1)")?;
    for change in changes {
        insert.execute([keys.get(&change.node.unique_id)])?;
    }
    Ok(())
}

/// Takes out the words of the nodes that are in `temp.touched`. Call it before they are written.
pub(crate) fn forget_touched(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    let sql = "DELETE FROM search WHERE rowid IN (
                   SELECT node_key FROM node JOIN temp.touched USING (node_key) WHERE removed_at IS NULL)";
    transaction.execute(sql, []).map(drop)
}

/// Puts in the words of the nodes that are in `temp.touched`. Call it when they are written.
pub(crate) fn index_touched(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    let sql = "INSERT INTO search (rowid, name, columns, description, column_descriptions, tags, meta, owner, path, dimensions)
               SELECT node_key, name, columns, description, column_descriptions, tags, meta, owner, path, dimensions
               FROM temp.touched CROSS JOIN _search_text USING (node_key)";
    transaction.execute(sql, []).map(drop)
}
/// Indexes all nodes anew.
pub(crate) fn rebuild(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute("INSERT INTO search (search) VALUES ('rebuild')", []).map(drop)
}

/// One change for each node whose words change. The changes of a node stand together.
fn reworded<'a>(diff: &'a Diff<'a>) -> impl Iterator<Item = &'a Change<'a>> {
    let mut last: Option<&UniqueId> = None;
    diff.changes.iter().filter(move |change| {
        let wanted = has_other_words(&change.kind) && last != Some(&change.node.unique_id);
        if wanted {
            last = Some(&change.node.unique_id);
        }
        wanted
    })
}

fn is_new(change: &Change<'_>) -> bool {
    matches!(change.kind, ChangeKind::Added | ChangeKind::Restored)
}

/// Whether a change touches what the view `_search_text` reads.
fn has_other_words(kind: &ChangeKind<'_>) -> bool {
    match kind {
        ChangeKind::Added | ChangeKind::Restored | ChangeKind::Removed => true,
        ChangeKind::ColumnAdded(_) | ChangeKind::ColumnRemoved(_) => true,
        ChangeKind::ColumnChanged { field, .. } => matches!(*field, "description" | "comment" | "tags" | "meta"),
        ChangeKind::EdgeAdded(_) | ChangeKind::EdgeRemoved(_) => false,
        ChangeKind::Changed { field, .. } => matches!(
            *field,
            "name"
                | "identifier"
                | "description"
                | "tags"
                | "meta"
                | "owner_name"
                | "owner_email"
                | "group_name"
                | "file_path"
                | "relation_name"
        ),
    }
}
