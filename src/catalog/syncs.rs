//! The rows of `sync`: each run leaves one.

use std::time::Duration;

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::doubts::write_doubts;
use super::environments::{claim_name, name_environment};
use super::file::FileId;
use super::settings::renew_coverage;
use super::{Catalog, Error};
use crate::inventory::EnvironmentFacts;
use crate::plan::Counts;
use crate::plan::Doubts;
use crate::redact::redact;
use crate::time::Timestamp;

/// The number of a sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SyncId(pub i64);

/// What started a sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// A person, or a program that ran the command.
    Manual,
    /// The schedule.
    Cron,
    /// The dbt platform said that a run has finished.
    Webhook,
    /// A firing that was missed while nothing ran.
    Startup,
    /// A request over HTTP.
    Api,
    /// The failure of the sync before it.
    Retry,
    /// `lineaged demo`.
    Demo,
}

impl Trigger {
    fn as_str(self) -> &'static str {
        match self {
            Self::Manual => "manual",
            Self::Cron => "cron",
            Self::Webhook => "webhook",
            Self::Startup => "startup",
            Self::Api => "api",
            Self::Retry => "retry",
            Self::Demo => "demo",
        }
    }
}

/// How far a sync went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mode {
    /// The platform said that nothing had moved, so nothing was read.
    Probe,
    /// The whole environment was to be read.
    #[default]
    Full,
}

/// How a sync ended, as its row tells it.
#[derive(Debug, Clone, Default)]
pub struct Ending {
    /// How far it went.
    pub mode: Mode,
    /// What the platform said of the environment's state, where the next probe may be compared with it.
    pub stamps: Option<String>,
    /// What is in doubt after a read; left as it is where nothing was read.
    pub doubts: Option<Doubts>,
    /// Requests that were sent.
    pub requests: u64,
    /// Bytes of decompressed answers.
    pub bytes: u64,
    /// Nodes that were read; unknown if the read failed.
    pub seen: Option<u64>,
    /// What was written; unknown if nothing was decided.
    pub counts: Option<Counts>,
    /// One sentence each.
    pub warnings: Vec<String>,
}

impl Catalog {
    /// Notes that a full read of the environment begins.
    pub fn start_sync(
        &mut self,
        environment_id: i64,
        name: &str,
        trigger: Trigger,
        now: Timestamp,
    ) -> Result<SyncId, Error> {
        self.write(|transaction| {
            claim_name(transaction, environment_id, name)?;
            transaction.execute(
                "INSERT INTO environment (environment_id, name, platform_id) VALUES (?1, ?2, ?1)
                 ON CONFLICT (environment_id) DO UPDATE SET name = excluded.name WHERE name <> excluded.name",
                (environment_id, name),
            )?;
            transaction.execute(
                "INSERT INTO sync (environment_id, trigger, mode, started_at) VALUES (?1, ?2, 'full', ?3)",
                (environment_id, trigger.as_str(), now.to_string()),
            )?;
            Ok(SyncId(transaction.last_insert_rowid()))
        })
    }

    /// Closes a sync that was stopped before it had read everything. Nothing else is written.
    pub fn interrupt_sync(&mut self, sync: SyncId, ending: &Ending, now: Timestamp) -> Result<(), Error> {
        // This is short, and may be written even if nothing else may.
        self.connection.progress_handler(0, None::<fn() -> bool>).map_err(Error::sqlite("written"))?;
        self.write(|transaction| finish(transaction, sync, "interrupted", ending, None, now))
    }

    /// Closes a sync that failed. Nothing else is written.
    pub fn fail_sync(&mut self, sync: SyncId, ending: &Ending, error: &str, now: Timestamp) -> Result<(), Error> {
        let write = |transaction: &Transaction<'_>| finish(transaction, sync, "failed", ending, Some(error), now);
        self.write(write)
    }

    /// Closes a sync whose read found nothing new. Nothing else is written.
    pub fn leave_unchanged(
        &mut self,
        sync: SyncId,
        ending: &Ending,
        environment: &EnvironmentFacts,
        now: Timestamp,
    ) -> Result<(), Error> {
        self.write(|transaction| {
            finish(transaction, sync, "unchanged", ending, None, now)?;
            note_environment(transaction, sync, environment)?;
            if name_environment(transaction, sync.0, environment)? {
                renew_coverage(transaction, environment_of(transaction, sync)?)?;
            }
            Ok(())
        })
    }

    /// Runs `work` in one immediate transaction: all of it or nothing.
    pub(super) fn write<T>(&mut self, work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>) -> Result<T, Error> {
        let run = |connection: &mut Connection| -> rusqlite::Result<T> {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let result = work(&transaction)?;
            transaction.commit()?;
            Ok(result)
        };
        let same = || self.file == FileId::of(&self.path);
        if !same() {
            return Err(Error::Replaced(self.path.clone()));
        }
        let result = run(&mut self.connection).map_err(|error| match error {
            rusqlite::Error::StatementChangedRows(_) => Error::Overtaken,
            error => Error::sqlite("written")(error),
        })?;
        if same() { Ok(result) } else { Err(Error::Replaced(self.path.clone())) }
    }
}

/// So many syncs are looked at, from the newest on.
const NEWEST: i64 = 1000;

/// The requests of syncs that ended from `since` to `now`, of the environments of these names: how long ago each ended, and how many it
/// sent.
pub fn requests_since(
    connection: &Connection,
    names: &[&str],
    since: Timestamp,
    now: Timestamp,
) -> Result<Vec<(Duration, usize)>, Error> {
    let sql = "SELECT s.finished_at, s.requests FROM sync s JOIN environment e USING (environment_id)
               WHERE s.sync_id > (SELECT max(sync_id) FROM sync) - ?1 AND s.finished_at BETWEEN ?2 AND ?3
               AND s.requests > 0 AND e.name IN (SELECT value FROM json_each(?4))";
    let values = (NEWEST, since.to_string(), now.to_string(), serde_json::json!(names).to_string());
    let read = || -> rusqlite::Result<Vec<(String, u32)>> {
        connection.prepare(sql)?.query_map(values, |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
    };
    let age = |at: &str| Some(Duration::from_millis(now.since(Timestamp::parse(at)?).try_into().ok()?));
    let ended = read().map_err(Error::sqlite("read"))?.into_iter();
    Ok(ended.filter_map(|(at, requests)| Some((age(&at)?, requests as usize))).collect())
}

fn environment_of(transaction: &Transaction<'_>, sync: SyncId) -> rusqlite::Result<i64> {
    transaction.query_row("SELECT environment_id FROM sync WHERE sync_id = ?1", [sync.0], |row| row.get(0))
}

/// Writes the end of a sync into its row. A row that somebody else has closed, or after which another sync of the environment was
/// written, is left alone, as an error.
pub(super) fn finish(
    transaction: &Transaction<'_>,
    sync: SyncId,
    outcome: &str,
    ending: &Ending,
    error: Option<&str>,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let Ending { mode, stamps, doubts, requests, bytes, seen, counts, warnings } = ending;
    let mode = match mode {
        Mode::Probe => "probe",
        Mode::Full => "full",
    };
    // What the platform said may hold what it was sent.
    let warnings: Vec<_> = warnings.iter().map(|warning| redact(warning)).collect();
    let warnings = serde_json::json!(warnings).to_string();
    let closed = transaction.execute(
        "UPDATE sync SET outcome = ?2, finished_at = ?3, requests = ?4, bytes = ?5, seen = ?6, added = ?7, changed = ?8,
             removed = ?9, warnings = ?10, error = ?11, mode = ?12
         WHERE sync_id = ?1 AND outcome IS NULL AND (?2 IN ('failed', 'interrupted') OR NOT EXISTS (
             SELECT 1 FROM sync later WHERE later.environment_id = sync.environment_id AND later.sync_id > sync.sync_id
             AND later.outcome IN ('applied', 'unchanged', 'held')))",
        rusqlite::params![
            sync.0,
            outcome,
            now.to_string(),
            *requests as i64,
            *bytes as i64,
            seen.map(|n| n as i64),
            counts.map(|c| c.added as i64),
            counts.map(|c| c.changed as i64),
            counts.map(|c| c.removed as i64),
            warnings,
            error.map(redact),
            mode,
        ],
    )?;
    if closed == 0 {
        return Err(rusqlite::Error::StatementChangedRows(closed));
    }
    if matches!(outcome, "applied" | "unchanged" | "held") {
        transaction
            .execute("INSERT INTO probe (sync_id, stamps) SELECT ?1, ?2 WHERE ?2 IS NOT NULL", (sync.0, stamps))?;
    }
    doubts.as_ref().map_or(Ok(()), |doubts| write_doubts(transaction, sync.0, doubts))
}

/// Notes in the sync's row what a good read saw of the environment as a whole.
pub(super) fn note_environment(
    transaction: &Transaction<'_>,
    sync: SyncId,
    environment: &EnvironmentFacts,
) -> rusqlite::Result<()> {
    let EnvironmentFacts { project_name: _, adapter_type: _, applied_at, definition_at, git_sha } = environment;
    transaction.execute(
        "UPDATE sync SET applied_at = ?2, definition_at = ?3, git_sha = ?4 WHERE sync_id = ?1",
        (sync.0, applied_at.map(|t| t.to_string()), definition_at.map(|t| t.to_string()), git_sha),
    )?;
    Ok(())
}
