//! Writes a diff: everything in one transaction, or nothing.

use std::collections::HashMap;

use rusqlite::types::{ToSqlOutput, Value};
use rusqlite::{ToSql, Transaction};

use super::environments::name_environment;
use super::feed::note_feed;
use super::history::write_history;
use super::settings::renew_coverage;
use super::syncs::{Ending, SyncId, finish, note_environment};
use super::{Catalog, Error};
use crate::derive::coverage::note_coverage;
use crate::derive::health::note_health;
use crate::derive::lineage::write_lineage;
use crate::derive::tests::write_tests;
use crate::derive::words::{forget_words, index_words};
use crate::inventory::{Column, FACTS, Fact, History, Inventory, LastRun, Node, ResourceType, UniqueId};
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
        let moved = diff.changes.iter().any(moves_lineage);
        self.check_daily(now)?;
        self.write(|transaction| {
            let is_renamed = name_environment(transaction, sync.0, environment)?;
            let mut writer = Writer {
                transaction,
                environment_id: *environment_id,
                sync: *sync,
                now: now.to_string(),
                keys: keys(transaction, *environment_id)?,
            };
            forget_words(transaction, diff, &writer.keys)?;
            writer.write_nodes(diff)?;
            for change in &diff.changes {
                writer.write_parts(change)?;
                writer.record(change)?;
            }
            for node in &diff.refreshed {
                writer.write_run_facts(node)?;
            }
            if let Some(history) = history {
                write_history(transaction, (*environment_id, *sync), history, &writer.keys)?;
            }
            index_words(transaction, diff, &writer.keys)?;
            if !diff.changes.is_empty() {
                write_tests(transaction, fetched, &writer.keys)?;
            }
            if moved {
                write_lineage(transaction, *environment_id, fetched, &writer.keys)?;
            }
            finish(transaction, *sync, "applied", ending, None, now)?;
            note_environment(transaction, *sync, environment)?;
            if !diff.changes.is_empty() || is_renamed {
                note_feed(transaction)?;
                renew_coverage(transaction, *environment_id)?;
                note_coverage(transaction, *environment_id, sync.0)?;
            }
            note_health(transaction, *environment_id, sync.0, now)
        })?;
        if moved {
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

pub(super) fn keys(transaction: &Transaction<'_>, environment_id: i64) -> rusqlite::Result<HashMap<UniqueId, i64>> {
    let mut statement = transaction.prepare("SELECT unique_id, node_key FROM node WHERE environment_id = ?1")?;
    let key = |row: &rusqlite::Row<'_>| Ok((UniqueId::from(row.get::<_, String>(0)?), row.get(1)?));
    statement.query_map([environment_id], key)?.collect()
}

struct Writer<'a> {
    transaction: &'a Transaction<'a>,
    environment_id: i64,
    sync: SyncId,
    now: String,
    keys: HashMap<UniqueId, i64>,
}

impl Writer<'_> {
    /// The rows of all nodes that are new, back or have a changed field: first of all, since edges refer to them.
    fn write_nodes(&mut self, diff: &Diff<'_>) -> rusqlite::Result<()> {
        let mut last: Option<&UniqueId> = None;
        for change in &diff.changes {
            let id = &change.node.unique_id;
            let whole = matches!(change.kind, ChangeKind::Added | ChangeKind::Restored | ChangeKind::Changed { .. });
            if whole && last != Some(id) {
                let key = self.write_node(change.node)?;
                self.keys.insert(id.clone(), key);
                last = Some(id);
            }
        }
        Ok(())
    }

    fn write_node(&self, node: &Node) -> rusqlite::Result<i64> {
        if let Some(code) = &node.raw_code {
            let sql = "INSERT OR IGNORE INTO raw_code (sha256, code)
                       SELECT sha256, code FROM temp.staged_code WHERE sha256 = ?1";
            self.transaction.prepare_cached(sql)?.execute([&code.sha256])?;
        }
        let facts = node.facts();
        // Where the fact `raw_code` stands, the table has its hash.
        let column = |name: &'static str| if name == "raw_code" { "raw_code_sha256" } else { name };
        let names: Vec<&str> = facts.iter().map(|(name, _)| column(name)).collect();
        let marks: Vec<String> = (1..=FACTS).map(|number| format!("?{}", number + 4)).collect();
        let updates: Vec<String> = names.iter().map(|name| format!("{name} = excluded.{name}")).collect();
        let sql = format!(
            "INSERT INTO node (environment_id, unique_id, first_seen_at, last_changed_at, raw_code_lines, {})
             VALUES (?1, ?2, ?3, ?3, ?4, {})
             ON CONFLICT (environment_id, unique_id) DO UPDATE SET
                 last_changed_at = excluded.last_changed_at, removed_at = NULL, removed_by = NULL,
                 raw_code_lines = excluded.raw_code_lines, {}
             RETURNING node_key",
            names.join(", "),
            marks.join(", "),
            updates.join(", ")
        );
        let id = node.unique_id.as_str();
        let lines = node.raw_code.as_ref().map(|code| code.lines);
        let mut values: Vec<&dyn ToSql> = vec![&self.environment_id, &id, &self.now, &lines];
        values.extend(facts.iter().map(|(_, fact)| fact as &dyn ToSql));
        self.transaction.prepare_cached(&sql)?.query_row(values.as_slice(), |row| row.get(0))
    }

    /// What belongs to a node and has rows of its own: columns, edges, and for a removed one its tombstone.
    fn write_parts(&self, change: &Change<'_>) -> rusqlite::Result<()> {
        let node = change.node;
        let key = self.key(&node.unique_id)?;
        match &change.kind {
            ChangeKind::Added | ChangeKind::Restored => {
                for column in &node.columns {
                    self.write_column(key, column)?;
                }
                for parent in &node.parents {
                    self.write_edge(parent, key)?;
                }
            }
            ChangeKind::Removed => self.bury(key)?,
            ChangeKind::Changed { .. } => {}
            ChangeKind::EdgeAdded(parent) => self.write_edge(parent, key)?,
            ChangeKind::EdgeRemoved(parent) => {
                let sql = "DELETE FROM edge WHERE child_key = ?1 AND parent_key = ?2";
                self.transaction.prepare_cached(sql)?.execute((key, self.key(parent)?))?;
            }
            ChangeKind::ColumnAdded(column) => self.write_column(key, column)?,
            ChangeKind::ColumnRemoved(column) => {
                let sql = "DELETE FROM node_column WHERE node_key = ?1 AND name = ?2";
                self.transaction.prepare_cached(sql)?.execute((key, &column.name))?;
            }
            ChangeKind::ColumnChanged { column, field, after, .. } => {
                let sql = format!("UPDATE node_column SET {field} = ?3 WHERE node_key = ?1 AND name = ?2");
                self.transaction.prepare_cached(&sql)?.execute((key, column, after))?;
            }
        }
        Ok(())
    }

    fn write_column(&self, key: i64, column: &Column) -> rusqlite::Result<()> {
        let facts = column.facts();
        let names: Vec<&str> = facts.iter().map(|(name, _)| *name).collect();
        let marks: Vec<String> = (3..).take(names.len()).map(|number| format!("?{number}")).collect();
        let sql = format!(
            "INSERT INTO node_column (node_key, name, {}) VALUES (?1, ?2, {})",
            names.join(", "),
            marks.join(", ")
        );
        let mut values: Vec<&dyn ToSql> = vec![&key, &column.name];
        values.extend(facts.iter().map(|(_, fact)| fact as &dyn ToSql));
        self.transaction.prepare_cached(&sql)?.execute(values.as_slice()).map(drop)
    }

    fn write_edge(&self, parent: &UniqueId, child_key: i64) -> rusqlite::Result<()> {
        let sql = "INSERT INTO edge (parent_key, child_key) VALUES (?1, ?2)";
        self.transaction.prepare_cached(sql)?.execute((self.key(parent)?, child_key)).map(drop)
    }

    fn bury(&self, key: i64) -> rusqlite::Result<()> {
        for sql in [
            "DELETE FROM node_column WHERE node_key = ?1",
            "DELETE FROM edge WHERE child_key = ?1",
            "DELETE FROM compiled_code WHERE node_key = ?1",
        ] {
            self.transaction.prepare_cached(sql)?.execute([key])?;
        }
        let sql = "UPDATE node SET removed_at = ?2, removed_by = ?3 WHERE node_key = ?1";
        self.transaction.prepare_cached(sql)?.execute((key, &self.now, self.sync.0)).map(drop)
    }

    /// The row of the change feed; its `seq` is the next one.
    fn record(&self, change: &Change<'_>) -> rusqlite::Result<()> {
        let key = self.key(&change.node.unique_id)?;
        let (before, after) = change.values();
        self.transaction
            .prepare_cached(
                "INSERT INTO change (sync_id, node_key, resource_type, kind, field, parent_id, column_name, before, after)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?
            .execute((
                self.sync.0,
                key,
                change.node.resource_type.as_str(),
                change.kind.as_str(),
                change.field(),
                change.parent_id(),
                change.column_name(),
                before.map(|value| value.to_string()),
                after.map(|value| value.to_string()),
            ))?;
        let sql = "UPDATE node SET last_changed_at = ?2 WHERE node_key = ?1 AND last_changed_at <> ?2";
        self.transaction.prepare_cached(sql)?.execute((key, &self.now)).map(drop)
    }

    /// The last run, the last freshness check and the compiled code, with a row of history for a run or check not seen before.
    fn write_run_facts(&self, node: &Node) -> rusqlite::Result<()> {
        let key = self.key(&node.unique_id)?;
        let LastRun {
            status,
            attempt,
            at,
            error,
            run_id,
            job_id,
            failures,
            executed_at,
            execution_seconds,
            success_run_id,
        } = &node.last_run;
        let (checked_at, max_loaded_at) = (text(node.freshness.checked_at), text(node.freshness.max_loaded_at));
        let sql = "UPDATE node SET last_run_status = ?2, last_run_at = ?3, last_run_error = ?4, last_run_id = ?5,
                       last_job_id = ?6, last_run_failures = ?7, executed_at = ?8, execution_seconds = ?9,
                       success_run_id = ?10, checked_at = ?11, max_loaded_at = ?12, attempt_status = ?13
                   WHERE node_key = ?1";
        self.transaction.prepare_cached(sql)?.execute(rusqlite::params![
            key,
            status,
            text(*at),
            error,
            run_id,
            job_id,
            failures,
            text(*executed_at),
            execution_seconds,
            success_run_id,
            checked_at,
            max_loaded_at,
            attempt
        ])?;
        self.write_compiled_code(key, node)?;
        self.record_attempt(key, &node.last_run)?;
        self.record_success(key, node)?;
        let sql = "INSERT INTO freshness_result (node_key, sync_id, checked_at, max_loaded_at, status)
                   SELECT ?1, ?2, ?3, ?4, ?5 WHERE (?3, ?4, ?5) IS NOT (
                       SELECT checked_at, max_loaded_at, status FROM freshness_result
                       WHERE node_key = ?1 ORDER BY sync_id DESC LIMIT 1)";
        let values = (key, self.sync.0, checked_at, max_loaded_at, &node.freshness.status);
        self.transaction.prepare_cached(sql)?.execute(values).map(drop)
    }

    fn write_compiled_code(&self, key: i64, node: &Node) -> rusqlite::Result<()> {
        let sha256 = node.compiled_code.as_ref().map(|code| &*code.sha256);
        let sql = "DELETE FROM compiled_code WHERE node_key = ?1 AND sha256 IS NOT ?2";
        self.transaction.prepare_cached(sql)?.execute((key, sha256))?;
        if let Some(code) = &node.compiled_code {
            let sql = "INSERT INTO compiled_code (node_key, sha256, lines, code)
                       SELECT ?1, sha256, ?3, code FROM temp.staged_code WHERE sha256 = ?2 ON CONFLICT DO NOTHING";
            self.transaction.prepare_cached(sql)?.execute((key, &code.sha256, code.lines))?;
        }
        Ok(())
    }

    /// A row for the last attempt, where it is another than the one before. One that did not succeed has no times but its own.
    fn record_attempt(&self, key: i64, run: &LastRun) -> rusqlite::Result<()> {
        let succeeded = run.succeeded();
        let (completed_at, seconds) =
            if succeeded { (run.executed_at.or(run.at), run.execution_seconds) } else { (run.at, None) };
        let sql = "INSERT INTO run_result (node_key, sync_id, is_attempt, is_success, run_id, job_id, status, generated_at,
                       completed_at, execution_seconds, error, failures)
                   SELECT ?1, ?2, 1, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11
                   WHERE (nullif(?3, 0), ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) IS NOT (
                       SELECT nullif(is_success, 0), run_id, job_id, status, generated_at, completed_at, execution_seconds, error, failures
                       FROM run_result WHERE node_key = ?1 AND is_attempt ORDER BY sync_id DESC LIMIT 1)";
        self.transaction.prepare_cached(sql)?.execute(rusqlite::params![
            key,
            self.sync.0,
            succeeded,
            run.run_id,
            run.job_id,
            run.attempt,
            text(run.at),
            text(completed_at),
            seconds,
            run.error,
            run.failures
        ])?;
        Ok(())
    }

    /// A row for the success that the platform pins, where no row tells of it yet. With which word a test passed then is unknown.
    fn record_success(&self, key: i64, node: &Node) -> rusqlite::Result<()> {
        let run = &node.last_run;
        let run_id = run.success_run_id.as_ref().or(run.run_id.as_ref().filter(|_| run.succeeded()));
        let is_test = matches!(node.resource_type, ResourceType::Test | ResourceType::UnitTest);
        let status = run_id.filter(|_| !is_test).map(|_| "success");
        let sql = "INSERT INTO run_result (node_key, sync_id, is_attempt, is_success, run_id, status, completed_at,
                       execution_seconds)
                   SELECT ?1, ?2, 0, 1, ?3, ?4, ?5, ?6 WHERE (?3, ?5, ?6) IS NOT (
                       SELECT run_id, completed_at, execution_seconds FROM run_result
                       WHERE node_key = ?1 AND is_success ORDER BY sync_id DESC, is_attempt LIMIT 1)";
        let values = (key, self.sync.0, run_id, status, text(run.executed_at), run.execution_seconds);
        self.transaction.prepare_cached(sql)?.execute(values).map(drop)
    }

    /// The key of a node; every id in a diff has one by now, so a missing one is a broken diff.
    fn key(&self, id: &UniqueId) -> rusqlite::Result<i64> {
        self.keys.get(id).copied().ok_or(rusqlite::Error::QueryReturnedNoRows)
    }
}

fn text(time: Option<Timestamp>) -> Option<String> {
    time.map(|time| time.to_string())
}

impl ToSql for Fact<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Fact::Null => ToSqlOutput::Owned(Value::Null),
            Fact::Text(text) => (*text).into(),
            Fact::Integer(number) => (*number).into(),
            Fact::Bool(yes) => (*yes).into(),
            Fact::Time(time) => time.to_string().into(),
            Fact::Json(json) => json.as_str().into(),
            Fact::Code(code) => (&*code.sha256).into(),
        })
    }
}
