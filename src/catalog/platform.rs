//! What the platform's other interfaces told, in a transaction of its own: the sync's has ended by then, since it waits for none of them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use serde_json::{Value, json};

use super::feed::note_feed;
use super::history::{text, write_run};
use super::syncs::SyncId;
use super::{Catalog, Error};
use crate::derive::words::{forget_touched, index_touched};
use crate::inventory::Text;
use crate::inventory::platform::{Dimension, Interface, Job, Told};
use crate::redact::redact;
use crate::time::Timestamp;

/// What is known of one of the interfaces of an environment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InterfaceState {
    /// The account that it was asked for.
    pub account_id: Option<i64>,
    /// When it last told something.
    pub answered_at: Option<Timestamp>,
    /// Of the Semantic Layer: the stamp of the definition that it was asked about.
    pub read_to: Option<String>,
    /// Why it does not answer.
    pub error: Option<String>,
}

/// What one of the interfaces said after a sync.
#[derive(Debug)]
pub struct Spoken {
    /// Which one.
    pub interface: Interface,
    /// The account that it was asked for, where that is known.
    pub account_id: Option<i64>,
    /// What it told; or why it did not.
    pub told: Result<Told, String>,
    /// What was odd, one sentence each.
    pub warnings: Vec<String>,
}

/// What the catalog knows by the interfaces of an environment.
#[derive(Debug, Default)]
pub struct InterfacesKnown {
    /// Those that were asked.
    pub states: BTreeMap<Interface, InterfaceState>,
    /// When the last run ended that is known.
    pub last_end: Option<Timestamp>,
    /// The runs that ended shortly before that, or then: how each ended, when, why it was and of which commit.
    pub last_runs: BTreeMap<String, [Option<String>; 4]>,
    /// When the next job runs, as it was told.
    pub next_job_at: Option<Timestamp>,
    /// The stamp of the definition that was read last.
    pub definition: Option<String>,
    /// The names of the metrics that are there.
    pub metrics: BTreeSet<String>,
}

/// What the catalog knows by the interfaces of an environment at `now`; of runs, those that ended up to `overlap` before the last.
///
/// # Errors
/// If the catalog can't be read.
pub fn interfaces_known(
    connection: &Connection,
    environment_id: i64,
    (overlap, now): (Duration, Timestamp),
) -> Result<InterfacesKnown, Error> {
    let read = || {
        let time = |sql: &str| -> rusqlite::Result<Option<Timestamp>> {
            connection.query_row(sql, [environment_id], |row| row.get(0)).map(moment)
        };
        // A stamp of the future tells nothing of what ended before it.
        let sql = "SELECT max(finished_at) FROM run WHERE environment_id = ?1 AND finished_at <= ?2";
        let last_end = moment(connection.query_row(sql, (environment_id, now.to_string()), |row| row.get(0))?);
        let since =
            last_end.map(|end| end.plus_millis(-i64::try_from(overlap.as_millis()).unwrap_or_default()).to_string());
        let sql = "SELECT run_id, status, finished_at, cause, git_sha FROM run WHERE environment_id = ?1 AND finished_at >= ?2";
        let last = |row: &Row<'_>| Ok((row.get(0)?, [row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?]));
        let last_runs =
            connection.prepare(sql)?.query_map((environment_id, since), last)?.collect::<rusqlite::Result<_>>()?;
        let sql = "SELECT name FROM node WHERE environment_id = ?1 AND resource_type = 'metric' AND removed_at IS NULL AND name IS NOT NULL";
        let metrics =
            connection.prepare(sql)?.query_map([environment_id], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
        let sql = "SELECT definition_at FROM environments WHERE environment_id = ?1";
        let definition: Option<Option<String>> =
            connection.query_row(sql, [environment_id], |row| row.get(0)).optional()?;
        Ok(InterfacesKnown {
            states: states(connection, environment_id)?,
            last_end,
            last_runs,
            next_job_at: time("SELECT min(next_run_at) FROM job WHERE environment_id = ?1")?,
            definition: definition.flatten(),
            metrics,
        })
    };
    read().map_err(Error::sqlite("read"))
}

fn moment(text: Option<String>) -> Option<Timestamp> {
    text.as_deref().and_then(Timestamp::parse)
}

fn states(connection: &Connection, environment_id: i64) -> rusqlite::Result<BTreeMap<Interface, InterfaceState>> {
    let sql =
        "SELECT account_id, answered_at, read_to, error FROM interface WHERE environment_id = ?1 AND interface = ?2";
    let mut statement = connection.prepare(sql)?;
    let mut states = BTreeMap::new();
    for interface in Interface::ALL {
        let state = statement.query_row((environment_id, interface.as_str()), |row| {
            let answered_at = moment(row.get(1)?);
            Ok(InterfaceState { account_id: row.get(0)?, answered_at, read_to: row.get(2)?, error: row.get(3)? })
        });
        states.extend(state.optional()?.map(|state| (interface, state)));
    }
    Ok(states)
}

impl Catalog {
    /// Keeps what the interfaces said, each by itself: one that failed leaves what is known of it. What was odd goes to the warnings of the newest
    /// sync that has ended.
    ///
    /// # Errors
    /// If the catalog can't be written; then nothing of it is.
    pub fn keep_spoken(&mut self, environment_id: i64, spoken: &[Spoken], now: Timestamp) -> Result<(), Error> {
        self.write(|transaction| {
            let sql = "SELECT max(sync_id) FROM sync WHERE environment_id = ?1 AND outcome IS NOT NULL";
            let Some(sync) = transaction.query_row(sql, [environment_id], |row| row.get(0))? else { return Ok(()) };
            let sync = SyncId(sync);
            for said in spoken {
                if let Ok(told) = &said.told {
                    write_told(transaction, (environment_id, sync), told)?;
                }
                write_state(transaction, environment_id, said, now)?;
            }
            add_warnings(transaction, sync, spoken)
        })
    }
}

fn write_told(
    transaction: &Transaction<'_>,
    (environment_id, sync): (i64, SyncId),
    told: &Told,
) -> rusqlite::Result<()> {
    match told {
        Told::Runs(runs) => runs.iter().try_for_each(|run| write_run(transaction, environment_id, sync, run).map(drop)),
        Told::Jobs(jobs) => write_jobs(transaction, environment_id, jobs),
        Told::Metrics(metrics, _) => write_dimensions(transaction, (environment_id, sync), metrics),
    }
}

/// What failed before and answers now is known to do so, even where it tells nothing new.
fn write_state(
    transaction: &Transaction<'_>,
    environment_id: i64,
    said: &Spoken,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let error = said.told.as_ref().err().map(|error| redact(error));
    let (answered_at, failing_since) = match error {
        None => (Some(now.to_string()), None),
        Some(_) => (None, Some(now.to_string())),
    };
    let read_to = match &said.told {
        Ok(Told::Metrics(_, stamp)) => stamp.clone(),
        _ => None,
    };
    let sql = "INSERT INTO interface (environment_id, interface, account_id, answered_at, read_to, failing_since, error)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
               ON CONFLICT DO UPDATE SET account_id = coalesce(excluded.account_id, account_id),
                   answered_at = coalesce(excluded.answered_at, answered_at), read_to = coalesce(excluded.read_to, read_to),
                   failing_since = iif(excluded.error IS NULL, NULL, coalesce(failing_since, excluded.failing_since)),
                   error = excluded.error";
    let interface = said.interface.as_str();
    let values = params![environment_id, interface, said.account_id, answered_at, read_to, failing_since, error];
    transaction.execute(sql, values).map(drop)
}

/// The jobs are those that were told: a deleted one is gone.
fn write_jobs(transaction: &Transaction<'_>, environment_id: i64, jobs: &[Job]) -> rusqlite::Result<()> {
    transaction.execute("DELETE FROM job WHERE environment_id = ?1", [environment_id])?;
    let sql = "INSERT OR REPLACE INTO job (environment_id, job_id, name, job_type, cron, is_scheduled, next_run_at, generates_docs,
                   checks_freshness, last_run_id, last_run_status, last_run_at)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
    let mut insert = transaction.prepare(sql)?;
    for job in jobs {
        let Job { job_id, name, job_type, cron, is_scheduled, next_run_at, .. } = job;
        let Job { generates_docs, checks_freshness, last_run_id, last_run_status, last_run_at, .. } = job;
        insert.execute(params![
            environment_id,
            job_id,
            name,
            job_type,
            cron,
            is_scheduled,
            text(*next_run_at),
            generates_docs,
            checks_freshness,
            last_run_id,
            last_run_status,
            text(*last_run_at)
        ])?;
    }
    transaction.execute(LATER_RUNS, [environment_id]).map(drop)
}

/// A run that is known and ended after the one that the platform names with its job.
const LATER_RUNS: &str = "
    UPDATE job SET (last_run_id, last_run_status, last_run_at) = (
        SELECT r.run_id, r.status, r.finished_at FROM run r
        WHERE r.environment_id = job.environment_id AND r.job_id = job.job_id ORDER BY r.finished_at DESC LIMIT 1)
    WHERE environment_id = ?1 AND coalesce(last_run_at, '') < (
        SELECT max(r.finished_at) FROM run r WHERE r.environment_id = job.environment_id AND r.job_id = job.job_id)";

/// Writes the dimensions of the metrics that are other than before, with a row of the feed for each such metric. One that is told for the
/// first time has not changed.
fn write_dimensions(
    transaction: &Transaction<'_>,
    (environment_id, sync): (i64, SyncId),
    metrics: &[(Text, Vec<Dimension>)],
) -> rusqlite::Result<()> {
    let metrics: BTreeMap<&str, &Vec<Dimension>> = metrics.iter().map(|(name, list)| (&**name, list)).collect();
    let sql = "SELECT node_key, name, EXISTS (SELECT 1 FROM interface i WHERE i.environment_id = node.environment_id
                   AND i.interface = 'semantic_layer' AND i.answered_at > node.first_seen_at)
               FROM node WHERE environment_id = ?1 AND resource_type = 'metric' AND removed_at IS NULL ORDER BY unique_id";
    let mut statement = transaction.prepare(sql)?;
    let known = statement.query_map([environment_id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let known: Vec<(i64, Option<String>, bool)> = known.collect::<rusqlite::Result<_>>()?;
    transaction.execute("DELETE FROM temp.touched", [])?;
    let mut other = Vec::new();
    for (key, name, was_told) in known {
        let Some(told) = name.as_deref().and_then(|name| metrics.get(name)) else { continue };
        let mut after = (*told).clone();
        after.sort();
        after.dedup();
        let before = dimensions(transaction, key)?;
        if before != after {
            transaction.execute("INSERT INTO temp.touched VALUES (?1)", [key])?;
            other.push((key, (was_told || !before.is_empty()).then_some(before), after));
        }
    }
    forget_touched(transaction)?;
    for (key, before, after) in &other {
        transaction.execute("DELETE FROM metric_dimension WHERE node_key = ?1", [key])?;
        for Dimension { name, kind, granularities, entity_path } in after {
            let granularities = (&**kind == "time").then(|| json!(granularities).to_string());
            let sql = "INSERT INTO metric_dimension (node_key, name, type, granularities, entity_path) VALUES (?1, ?2, ?3, ?4, ?5)";
            transaction.execute(sql, params![key, name, kind, granularities, entity_path])?;
        }
        if let Some(before) = before {
            let sql = "INSERT INTO change (sync_id, node_key, resource_type, kind, field, before, after)
                       VALUES (?1, ?2, 'metric', 'changed', 'dimensions', ?3, ?4)";
            transaction.execute(sql, (sync.0, key, json!(before).to_string(), json!(after).to_string()))?;
        }
    }
    index_touched(transaction)?;
    note_feed(transaction)
}

fn dimensions(transaction: &Transaction<'_>, key: i64) -> rusqlite::Result<Vec<Dimension>> {
    let sql = "SELECT name, type, granularities, entity_path FROM metric_dimension WHERE node_key = ?1";
    let mut statement = transaction.prepare_cached(sql)?;
    let dimension = |row: &Row<'_>| {
        let granularities: Option<String> = row.get(2)?;
        let granularities = granularities.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
        Ok(Dimension { name: row.get(0)?, kind: row.get(1)?, granularities, entity_path: row.get(3)? })
    };
    let mut found: Vec<Dimension> = statement.query_map([key], dimension)?.collect::<rusqlite::Result<_>>()?;
    found.sort();
    Ok(found)
}

/// Adds to what the sync's row says.
fn add_warnings(transaction: &Transaction<'_>, sync: SyncId, spoken: &[Spoken]) -> rusqlite::Result<()> {
    let warnings: Vec<String> = spoken.iter().flat_map(Spoken::told_people).collect();
    if warnings.is_empty() {
        return Ok(());
    }
    let sql = "SELECT coalesce(warnings, '[]') FROM sync WHERE sync_id = ?1";
    let before: Option<String> = transaction.query_row(sql, [sync.0], |row| row.get(0)).optional()?;
    let mut all: Vec<Value> = before.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    all.extend(warnings.iter().map(|warning| Value::from(redact(warning))));
    let sql = "UPDATE sync SET warnings = ?2 WHERE sync_id = ?1";
    transaction.execute(sql, (sync.0, json!(all).to_string())).map(drop)
}

impl Spoken {
    /// What people should know of it, a sentence each.
    pub fn told_people(&self) -> Vec<String> {
        let failed = self.told.as_ref().err();
        let failed = failed.map(|error| format!("{}: {error}; what was known of it stays", self.interface));
        failed.into_iter().chain(self.warnings.iter().map(|odd| format!("{}: {odd}", self.interface))).collect()
    }
}
