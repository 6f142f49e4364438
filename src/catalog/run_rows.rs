//! What a sync saw of runs: the last one and the last freshness check stand in the node's row, and have a row of history where they were not
//! seen before; compiled code only as last seen.

use rusqlite::types::Value;
use rusqlite::{Statement, Transaction};

use super::syncs::SyncId;
use crate::inventory::{LastRun, Node, ResourceType};
use crate::time::Timestamp;

/// A column of a node's row that says something of its last run or check, and what it says.
type RunFact = (&'static str, fn(&Node) -> Value);

/// What is no history of a node's row. The statuses of its last run and check are facts of the node.
pub(super) const RUN_FACTS: [RunFact; 11] = [
    ("attempt_status", |node| words(&node.last_run.attempt)),
    ("last_run_at", |node| time(node.last_run.at)),
    ("last_run_error", |node| words(&node.last_run.error)),
    ("last_run_id", |node| words(&node.last_run.run_id)),
    ("last_job_id", |node| node.last_run.job_id.into()),
    ("last_run_failures", |node| node.last_run.failures.into()),
    ("executed_at", |node| time(node.last_run.executed_at)),
    ("execution_seconds", |node| node.last_run.execution_seconds.into()),
    ("success_run_id", |node| words(&node.last_run.success_run_id)),
    ("checked_at", |node| time(node.freshness.checked_at)),
    ("max_loaded_at", |node| time(node.freshness.max_loaded_at)),
];

fn words(text: &Option<crate::inventory::Text>) -> Value {
    text.as_deref().map(str::to_owned).into()
}

fn time(time: Option<Timestamp>) -> Value {
    time.map(|time| time.to_string()).into()
}

/// Writes what one sync saw of runs.
pub(super) struct RunRows<'a> {
    sync: SyncId,
    update: Statement<'a>,
    forget_code: Statement<'a>,
    add_code: Statement<'a>,
    add_attempt: Statement<'a>,
    add_success: Statement<'a>,
    add_check: Statement<'a>,
}

impl<'a> RunRows<'a> {
    pub(super) fn new(transaction: &'a Transaction<'a>, sync: SyncId) -> rusqlite::Result<Self> {
        let updates: Vec<String> = (2..).zip(RUN_FACTS).map(|(mark, (name, _))| format!("{name} = ?{mark}")).collect();
        Ok(Self {
            sync,
            update: transaction.prepare(&format!("UPDATE node SET {} WHERE node_key = ?1", updates.join(", ")))?,
            forget_code: transaction.prepare("DELETE FROM compiled_code WHERE node_key = ?1 AND sha256 IS NOT ?2")?,
            add_code: transaction.prepare(
                "INSERT INTO compiled_code (node_key, sha256, lines, code)
                 SELECT ?1, sha256, ?3, code FROM temp.staged_code WHERE sha256 = ?2 ON CONFLICT DO NOTHING",
            )?,
            add_attempt: transaction.prepare(ADD_ATTEMPT)?,
            add_success: transaction.prepare(ADD_SUCCESS)?,
            add_check: transaction.prepare(ADD_CHECK)?,
        })
    }

    /// `is_written`: whether the node's row was written by this sync.
    pub(super) fn write(&mut self, key: i64, node: &Node, is_written: bool) -> rusqlite::Result<()> {
        if !is_written {
            let values = RUN_FACTS.iter().map(|(_, fact)| fact(node));
            self.update.execute(rusqlite::params_from_iter([key.into()].into_iter().chain(values)))?;
        }
        let sha256 = node.compiled_code.as_ref().map(|code| &*code.sha256);
        self.forget_code.execute((key, sha256))?;
        if let Some(code) = &node.compiled_code {
            self.add_code.execute((key, &code.sha256, code.lines))?;
        }
        self.write_attempt(key, &node.last_run)?;
        self.write_success(key, node)?;
        let check = &node.freshness;
        let values = (key, self.sync.0, time(check.checked_at), time(check.max_loaded_at), &check.status);
        self.add_check.execute(values).map(drop)
    }

    /// A row for the last attempt, where it is another than the one before. One that did not succeed has no times but its own.
    fn write_attempt(&mut self, key: i64, run: &LastRun) -> rusqlite::Result<()> {
        let succeeded = run.succeeded();
        let (completed_at, seconds) =
            if succeeded { (run.executed_at.or(run.at), run.execution_seconds) } else { (run.at, None) };
        self.add_attempt.execute(rusqlite::params![
            key,
            self.sync.0,
            succeeded,
            run.run_id,
            run.job_id,
            run.attempt,
            time(run.at),
            time(completed_at),
            seconds,
            run.error,
            run.failures
        ])?;
        Ok(())
    }

    /// A row for the success that the platform pins, where no row tells of it yet. With which word a test passed then is unknown.
    fn write_success(&mut self, key: i64, node: &Node) -> rusqlite::Result<()> {
        let run = &node.last_run;
        let run_id = run.success_run_id.as_ref().or(run.run_id.as_ref().filter(|_| run.succeeded()));
        let is_test = matches!(node.resource_type, ResourceType::Test | ResourceType::UnitTest);
        let status = run_id.filter(|_| !is_test).map(|_| "success");
        let values = (key, self.sync.0, run_id, status, time(run.executed_at), run.execution_seconds);
        self.add_success.execute(values).map(drop)
    }
}

const ADD_ATTEMPT: &str = "
    INSERT INTO run_result (node_key, sync_id, is_attempt, is_success, run_id, job_id, status, generated_at,
        completed_at, execution_seconds, error, failures)
    SELECT ?1, ?2, 1, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11
    WHERE (nullif(?3, 0), ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) IS NOT (
        SELECT nullif(is_success, 0), run_id, job_id, status, generated_at, completed_at, execution_seconds, error, failures
        FROM run_result WHERE node_key = ?1 AND is_attempt ORDER BY sync_id DESC LIMIT 1)";

const ADD_SUCCESS: &str = "
    INSERT INTO run_result (node_key, sync_id, is_attempt, is_success, run_id, status, completed_at, execution_seconds)
    SELECT ?1, ?2, 0, 1, ?3, ?4, ?5, ?6 WHERE (?3, ?5, ?6) IS NOT (
        SELECT run_id, completed_at, execution_seconds FROM run_result
        WHERE node_key = ?1 AND is_success ORDER BY sync_id DESC, is_attempt LIMIT 1)";

const ADD_CHECK: &str = "
    INSERT INTO freshness_result (node_key, sync_id, checked_at, max_loaded_at, status)
    SELECT ?1, ?2, ?3, ?4, ?5 WHERE (?3, ?4, ?5) IS NOT (
        SELECT checked_at, max_loaded_at, status FROM freshness_result
        WHERE node_key = ?1 ORDER BY sync_id DESC LIMIT 1)";
