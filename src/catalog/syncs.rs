//! The rows of `sync`: each run leaves one, and a held one can be approved.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};

use super::{Catalog, Error, FileId};
use crate::diff::Counts;
use crate::guard::Held;
use crate::inventory::{EnvironmentFacts, Timestamp, UniqueId};

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
#[derive(Debug, Default)]
pub struct Ending {
    /// How far it went.
    pub mode: Mode,
    /// What the platform said of the environment's state before the read; kept where the read was complete.
    pub stamps: Option<String>,
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

/// A sync that waits for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldSync {
    /// Its number.
    pub sync_id: SyncId,
    /// Its environment's id.
    pub environment_id: i64,
    /// Its environment's name.
    pub environment: String,
    /// When it ended.
    pub finished_at: String,
    /// The nodes that would go, sorted.
    pub removals: Vec<UniqueId>,
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
            // A name means one environment: whatever had it before is told apart by its id.
            transaction.execute(
                "UPDATE environment SET name = name || ' (' || environment_id || ')'
                 WHERE name = ?2 AND environment_id <> ?1",
                (environment_id, name),
            )?;
            transaction.execute(
                "INSERT INTO environment (environment_id, name, platform_id) VALUES (?1, ?2, ?1)
                 ON CONFLICT (environment_id) DO UPDATE SET name = excluded.name, is_configured = 1
                 WHERE name <> excluded.name OR NOT is_configured",
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
            super::apply::name_environment(transaction, sync, environment)
        })
    }

    /// Closes a sync that would remove too much, with the list of what would go. Nothing else is written.
    pub fn hold_sync(&mut self, sync: SyncId, ending: &Ending, held: &Held, now: Timestamp) -> Result<(), Error> {
        self.write(|transaction| {
            finish(transaction, sync, "held", ending, Some(&held.to_string()), now)?;
            let mut insert = transaction.prepare("INSERT INTO held_removal (sync_id, unique_id) VALUES (?1, ?2)")?;
            for id in &held.removals {
                insert.execute((sync.0, id.as_str()))?;
            }
            Ok(())
        })
    }

    /// Approves the list of one held sync: the next read may remove those ids.
    ///
    /// # Errors
    /// If there is no such sync, or it waits for no approval.
    pub fn approve(&mut self, sync: SyncId, now: Timestamp) -> Result<HeldSync, Error> {
        let Some(held) = held_syncs(&self.connection)?.into_iter().find(|held| held.sync_id == sync) else {
            return Err(Error::NotHeld(self.why_not_held(sync)?));
        };
        let sql = "UPDATE sync SET approved_at = ?2 WHERE sync_id = ?1";
        self.connection.execute(sql, (sync.0, now.to_string())).map_err(Error::sqlite("written"))?;
        Ok(held)
    }

    fn why_not_held(&self, sync: SyncId) -> Result<String, Error> {
        let sql = "SELECT coalesce(outcome, 'running'), approved_at FROM sync WHERE sync_id = ?1";
        let found = self
            .connection
            .query_row(sql, [sync.0], |row| Ok((row.get::<_, String>(0)?, row.get::<_, Option<String>>(1)?)))
            .optional()
            .map_err(Error::sqlite("read"))?;
        let SyncId(id) = sync;
        Ok(match found {
            None => format!("there is no sync {id}: `lineaged status` lists those that are held"),
            Some((_, Some(at))) => format!("sync {id} was approved at {at}: run `lineaged sync`"),
            Some((outcome, None)) if outcome == "held" => {
                format!("sync {id} is out of date, since a later one was complete and good: nothing is held any more")
            }
            Some((outcome, None)) => format!("sync {id} is not held, its outcome is `{outcome}`"),
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
        let result = run(&mut self.connection).map_err(Error::sqlite("written"))?;
        if same() { Ok(result) } else { Err(Error::Replaced(self.path.clone())) }
    }
}

/// What a probe is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// The last complete read was applied or found unchanged, and saw these stamps.
    Good,
    /// It was held, and nobody has approved it.
    Held(SyncId, Vec<UniqueId>),
}

/// What is known of an environment whose probe says `stamps`: `None` if it has moved since the last complete read, or if the last
/// full read ended before `full_since`.
pub fn known(
    connection: &Connection,
    environment_id: i64,
    stamps: &str,
    full_since: Timestamp,
) -> Result<Option<Known>, Error> {
    let sql = "SELECT s.sync_id, s.outcome FROM sync s JOIN probe p ON p.sync_id = s.sync_id
               WHERE s.environment_id = ?1 AND p.stamps = ?2 AND s.approved_at IS NULL
               AND s.sync_id = (SELECT max(sync_id) FROM sync WHERE environment_id = ?1
                                AND outcome IN ('applied', 'unchanged', 'held'))
               AND EXISTS (SELECT 1 FROM sync f WHERE f.environment_id = ?1 AND f.mode = 'full'
                           AND f.outcome IN ('applied', 'unchanged', 'held') AND f.finished_at >= ?3)";
    let read = || -> rusqlite::Result<Option<Known>> {
        let values = (environment_id, stamps, full_since.to_string());
        let found = connection.query_row(sql, values, |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)));
        let Some((sync, outcome)) = found.optional()? else { return Ok(None) };
        if outcome != "held" {
            return Ok(Some(Known::Good));
        }
        let mut statement = connection.prepare("SELECT unique_id FROM held_removal WHERE sync_id = ?1")?;
        let ids = statement.query_map([sync], |row| Ok(UniqueId::from(row.get::<_, String>(0)?)))?;
        Ok(Some(Known::Held(SyncId(sync), ids.collect::<Result<_, _>>()?)))
    };
    read().map_err(Error::sqlite("read"))
}

/// The held syncs that no later good sync has overtaken and nobody has approved, oldest first.
pub fn held_syncs(connection: &Connection) -> Result<Vec<HeldSync>, Error> {
    let sql = "SELECT s.sync_id, s.environment_id, e.name, s.finished_at,
                   (SELECT json_group_array(unique_id) FROM (
                       SELECT unique_id FROM held_removal h WHERE h.sync_id = s.sync_id ORDER BY unique_id))
               FROM sync s JOIN environment e ON e.environment_id = s.environment_id
               WHERE s.outcome = 'held' AND s.approved_at IS NULL AND NOT EXISTS (
                   SELECT 1 FROM sync good WHERE good.environment_id = s.environment_id
                   AND good.sync_id > s.sync_id AND good.outcome IN ('applied', 'unchanged'))
               ORDER BY s.sync_id";
    let held = |row: &rusqlite::Row<'_>| {
        let removals = serde_json::from_str::<Vec<String>>(&row.get::<_, String>(4)?).unwrap_or_default();
        Ok(HeldSync {
            sync_id: SyncId(row.get(0)?),
            environment_id: row.get(1)?,
            environment: row.get(2)?,
            finished_at: row.get(3)?,
            removals: removals.into_iter().map(UniqueId::from).collect(),
        })
    };
    let read = || connection.prepare(sql)?.query_map([], held)?.collect::<rusqlite::Result<_>>();
    read().map_err(Error::sqlite("read"))
}

/// Ids whose removal was approved since the last good sync of the environment.
pub fn approved_removals(connection: &Connection, environment_id: i64) -> Result<BTreeSet<UniqueId>, Error> {
    let sql = "SELECT h.unique_id FROM held_removal h JOIN sync s ON s.sync_id = h.sync_id
               WHERE s.environment_id = ?1 AND s.approved_at IS NOT NULL AND s.sync_id > coalesce(
                   (SELECT max(sync_id) FROM sync
                    WHERE environment_id = ?1 AND outcome IN ('applied', 'unchanged')), 0)";
    let read = || -> rusqlite::Result<BTreeSet<UniqueId>> {
        let mut statement = connection.prepare(sql)?;
        statement.query_map([environment_id], |row| Ok(UniqueId::from(row.get::<_, String>(0)?)))?.collect()
    };
    read().map_err(Error::sqlite("read"))
}

/// Writes the end of a sync into its row.
pub(super) fn finish(
    transaction: &Transaction<'_>,
    sync: SyncId,
    outcome: &str,
    ending: &Ending,
    error: Option<&str>,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let Ending { mode, stamps, requests, bytes, seen, counts, warnings } = ending;
    let mode = match mode {
        Mode::Probe => "probe",
        Mode::Full => "full",
    };
    let warnings = serde_json::Value::from(warnings.clone()).to_string();
    transaction.execute(
        "UPDATE sync SET outcome = ?2, finished_at = ?3, requests = ?4, bytes = ?5, seen = ?6, added = ?7, changed = ?8,
             removed = ?9, warnings = ?10, error = ?11, mode = ?12
         WHERE sync_id = ?1",
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
            error,
            mode,
        ],
    )?;
    if matches!(outcome, "applied" | "unchanged" | "held") {
        transaction
            .execute("INSERT INTO probe (sync_id, stamps) SELECT ?1, ?2 WHERE ?2 IS NOT NULL", (sync.0, stamps))?;
    }
    Ok(())
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
