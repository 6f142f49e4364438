//! What a sync saw of runs: the last one and the last freshness check stand in the node's row, and have a row of history where they were not
//! seen before; compiled code only as last seen.

use rusqlite::types::Value;
use rusqlite::{Statement, Transaction};

use super::staged::Staged;
use super::syncs::SyncId;
use crate::inventory::{FreshnessCheck, LastRun, Node, ResourceType, Text};
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

fn words(text: &Option<Text>) -> Value {
    text.as_deref().map(str::to_owned).into()
}

fn time(time: Option<Timestamp>) -> Value {
    time.map(|time| time.to_string()).into()
}

/// The row of a node.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    pub(super) key: i64,
    /// Whether this sync has written it whole.
    pub(super) is_written: bool,
    /// Whether nothing was known of the node before.
    pub(super) is_new: bool,
}

/// Writes what one sync saw of runs. Each row is put in by itself and by its values: for an `INSERT` of what a `SELECT` finds, SQLite keeps
/// the pages that it changes as they were, in case it fails halfway.
pub(super) struct RunRows<'a> {
    sync: SyncId,
    update: Statement<'a>,
    forget_code: Statement<'a>,
    add_code: Statement<'a>,
    last_attempt: Statement<'a>,
    last_success: Statement<'a>,
    add_run: Statement<'a>,
    last_check: Statement<'a>,
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
                "INSERT INTO compiled_code (node_key, sha256, lines, code) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
            )?,
            last_attempt: transaction.prepare(
                "SELECT is_success, run_id, job_id, status, generated_at, completed_at, execution_seconds, error, failures
                 FROM run_result WHERE node_key = ?1 AND is_attempt ORDER BY sync_id DESC LIMIT 1",
            )?,
            last_success: transaction.prepare(
                "SELECT run_id, completed_at, execution_seconds FROM run_result
                 WHERE node_key = ?1 AND is_success ORDER BY sync_id DESC, is_attempt LIMIT 1",
            )?,
            add_run: transaction.prepare(
                "INSERT INTO run_result (node_key, sync_id, is_attempt, is_success, run_id, job_id, status, generated_at,
                     completed_at, execution_seconds, error, failures)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
            )?,
            last_check: transaction.prepare(
                "SELECT checked_at, max_loaded_at, status FROM freshness_result
                 WHERE node_key = ?1 ORDER BY sync_id DESC LIMIT 1",
            )?,
            add_check: transaction.prepare(
                "INSERT INTO freshness_result (node_key, sync_id, checked_at, max_loaded_at, status)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
            )?,
        })
    }

    /// Tells whether the node has other compiled code than before.
    pub(super) fn write(&mut self, node: &Node, row: Row, staged: &mut Staged<'_>) -> rusqlite::Result<bool> {
        let Row { key, is_written, is_new } = row;
        if !is_written {
            let values = RUN_FACTS.iter().map(|(_, fact)| fact(node));
            self.update.execute(rusqlite::params_from_iter([key.into()].into_iter().chain(values)))?;
        }
        let mut moved = 0;
        if !is_new {
            moved += self.forget_code.execute((key, node.compiled_code.as_ref().map(|code| &*code.sha256)))?;
        }
        if let Some(code) = &node.compiled_code {
            staged.with(code, |text| {
                moved += self.add_code.execute((key, &code.sha256, code.lines, text))?;
                Ok(moved)
            })?;
        }
        let attempt = self.write_attempt(key, &node.last_run, is_new)?;
        self.write_success(key, node, attempt.filter(|_| is_new))?;
        let FreshnessCheck { status, checked_at, max_loaded_at } = &node.freshness;
        let check = [time(*checked_at), time(*max_loaded_at), words(status)];
        if check != last(&mut self.last_check, key, is_new)? {
            let [checked_at, max_loaded_at, status] = check;
            self.add_check.execute((key, self.sync.0, checked_at, max_loaded_at, status))?;
        }
        Ok(moved > 0)
    }

    /// A row for the last attempt, where it is another than the one before. One that did not succeed has no times but its own. Returns what
    /// a new row says of a success.
    fn write_attempt(&mut self, key: i64, run: &LastRun, is_new: bool) -> rusqlite::Result<Option<[Value; 3]>> {
        let succeeded = run.succeeded();
        let (completed_at, seconds) =
            if succeeded { (run.executed_at.or(run.at), run.execution_seconds) } else { (run.at, None) };
        let attempt: [Value; 9] = [
            succeeded.into(),
            words(&run.run_id),
            run.job_id.into(),
            words(&run.attempt),
            time(run.at),
            time(completed_at),
            seconds.into(),
            words(&run.error),
            run.failures.into(),
        ];
        let mut before: [Value; 9] = last(&mut self.last_attempt, key, is_new)?;
        if before[0] == Value::Null {
            before[0] = false.into();
        }
        if attempt == before {
            return Ok(None);
        }
        let success = succeeded.then(|| [attempt[1].clone(), attempt[5].clone(), attempt[6].clone()]);
        let own: [Value; 3] = [key.into(), self.sync.0.into(), true.into()];
        self.add_run.execute(rusqlite::params_from_iter(own.into_iter().chain(attempt)))?;
        Ok(success)
    }

    /// A row for the success that the platform pins, where no row tells of it yet. With which word a test passed then is unknown.
    /// `told`: what the only row tells, if there is only one.
    fn write_success(&mut self, key: i64, node: &Node, told: Option<[Value; 3]>) -> rusqlite::Result<()> {
        let run = &node.last_run;
        let run_id = run.success_run_id.as_ref().or(run.run_id.as_ref().filter(|_| run.succeeded()));
        let is_test = matches!(node.resource_type, ResourceType::Test | ResourceType::UnitTest);
        let status = run_id.filter(|_| !is_test).map(|_| "success");
        let success = [words(&run_id.cloned()), time(run.executed_at), run.execution_seconds.into()];
        let before = match told {
            Some(told) => told,
            None => last(&mut self.last_success, key, false)?,
        };
        if success == before {
            return Ok(());
        }
        let [run_id, completed_at, seconds] = success;
        let none: Option<&str> = None;
        self.add_run.execute(rusqlite::params![
            key,
            self.sync.0,
            false,
            true,
            run_id,
            none,
            status,
            none,
            completed_at,
            seconds,
            none,
            none
        ])?;
        Ok(())
    }
}

/// The values of the last row of a node; all NULL where there is none.
fn last<const N: usize>(statement: &mut Statement<'_>, key: i64, is_new: bool) -> rusqlite::Result<[Value; N]> {
    let mut values = [const { Value::Null }; N];
    if is_new {
        return Ok(values);
    }
    let mut rows = statement.query([key])?;
    if let Some(row) = rows.next()? {
        for (place, value) in values.iter_mut().enumerate() {
            *value = row.get(place)?;
        }
    }
    Ok(values)
}
