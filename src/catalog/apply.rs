//! Writes a diff: everything in one transaction, or nothing.

use std::collections::HashSet;

use super::environments::name_environment;
use super::feed::note_feed;
use super::history::write_history;
use super::node_rows::NodeRows;
use super::run_rows::{Row, RunRows};
use super::settings::renew_coverage;
use super::staged::Staged;
use super::syncs::{Ending, SyncId, finish, note_environment};
use super::{Catalog, Error};
use crate::derive::columns::{Pass, moves_columns, write_columns};
use crate::derive::coverage::note_coverage;
use crate::derive::health::note_health;
use crate::derive::lineage::write_lineage;
use crate::derive::tests::write_tests;
use crate::derive::words::{forget_words, index_words};
use crate::inventory::{History, Inventory, UniqueId};
use crate::plan::{Change, ChangeKind, Diff};
use crate::time::Timestamp;

/// A good read, ready to be written.
#[derive(Debug)]
pub struct Applied<'a> {
    /// Which sync read it.
    pub sync: SyncId,
    /// Which environment.
    pub environment_id: i64,
    /// What was fetched.
    pub fetched: &'a Inventory,
    /// How that differs from what is stored.
    pub diff: &'a Diff<'a>,
    /// What files told of runs and checks beside the last of each node.
    pub history: Option<&'a History>,
    /// What the sync's row says.
    pub ending: &'a Ending,
}

impl Catalog {
    /// Applies a diff that was made against what this catalog holds now, assigns each change its `seq`, and closes the sync as
    /// `applied` at `now`. On an error nothing of it is written; the first apply of a day looks before whether the file is whole.
    pub fn apply(&mut self, applied: &Applied<'_>, now: Timestamp) -> Result<(), Error> {
        let Applied { sync, environment_id, fetched, diff, history, ending } = applied;
        let environment = &fetched.environment;
        let moved: HashSet<&UniqueId> =
            diff.changes.iter().filter(|change| moves_lineage(change)).map(|change| &change.node.unique_id).collect();
        self.check_daily(now)?;
        let places = std::mem::take(&mut self.staged);
        self.write(|transaction| {
            let is_renamed = name_environment(transaction, sync.0, environment)?;
            let mut rows = NodeRows::new(transaction, *environment_id, *sync, now.to_string())?;
            forget_words(transaction, diff, &rows.keys)?;
            let mut staged = Staged::new(transaction, &places)?;
            rows.write_nodes(diff, fetched, &mut staged)?;
            for change in &diff.changes {
                rows.write_change(change)?;
            }
            let mut runs = RunRows::new(transaction, *sync)?;
            let mut recoded: HashSet<&UniqueId> =
                diff.changes.iter().filter(|it| moves_columns(it)).map(|it| &it.node.unique_id).collect();
            for node in &diff.refreshed {
                let key = rows.key(&node.unique_id)?;
                let row = Row { key, is_written: rows.written.contains(&key), is_new: rows.new.contains(&key) };
                if runs.write(node, row, &mut staged)? {
                    recoded.insert(&node.unique_id);
                }
            }
            if let Some(history) = history {
                write_history(transaction, (*environment_id, *sync), history, &rows.keys)?;
            }
            index_words(transaction, diff, &rows.keys)?;
            if !diff.changes.is_empty() {
                write_tests(transaction, fetched, &rows.keys, &rows.written)?;
            }
            write_lineage(transaction, (*environment_id, fetched), &rows.keys, &moved)?;
            let pass = Pass {
                environment_id: *environment_id,
                sync_id: sync.0,
                inventory: fetched,
                keys: &rows.keys,
                moved: &recoded,
                is_renamed,
            };
            write_columns(transaction, &pass)?;
            finish(transaction, *sync, "applied", ending, None, now)?;
            note_environment(transaction, *sync, environment)?;
            if !diff.changes.is_empty() || is_renamed {
                note_feed(transaction)?;
                renew_coverage(transaction, *environment_id)?;
                note_coverage(transaction, *environment_id, sync.0)?;
            }
            note_health(transaction, *environment_id, sync.0, now)
        })?;
        if !moved.is_empty() {
            // Without statistics SQLite looks up an ancestor by reading all pairs. What is applied stays so if this fails.
            let analyzed = self.connection.execute_batch("PRAGMA analysis_limit = 400; ANALYZE");
            if let Err(error) = analyzed {
                tracing::warn!(%error, "the catalog's statistics could not be renewed");
            }
        }
        Ok(())
    }
}

/// Whether a change can connect or part nodes.
fn moves_lineage(change: &Change<'_>) -> bool {
    match &change.kind {
        ChangeKind::Added | ChangeKind::Restored | ChangeKind::Removed => true,
        ChangeKind::EdgeAdded(_) | ChangeKind::EdgeRemoved(_) => true,
        ChangeKind::Changed { field, .. } => *field == "resource_type",
        ChangeKind::ColumnAdded(_) | ChangeKind::ColumnRemoved(_) | ChangeKind::ColumnChanged { .. } => false,
    }
}
