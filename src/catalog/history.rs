//! What files told of runs and checks that were not seen before, and of the runs themselves. The last of each node is written with the node.

use std::collections::HashMap;

use rusqlite::Transaction;

use super::syncs::SyncId;
use crate::inventory::{Check, History, Run, RunResult, UniqueId};
use crate::time::Timestamp;

/// Writes what no row tells of yet: the same invocation twice changes nothing. A node that is not there has no history here.
pub(super) fn write_history(
    transaction: &Transaction<'_>,
    (environment_id, sync): (i64, SyncId),
    history: &History,
    keys: &HashMap<UniqueId, i64>,
) -> rusqlite::Result<()> {
    let History { results, checks, runs } = history;
    for result in results {
        if let Some(key) = keys.get(&result.unique_id) {
            write_result(transaction, sync, *key, result)?;
        }
    }
    for Check { unique_id, check } in checks {
        let sql = "INSERT INTO told_check (node_key, checked_at, sync_id, max_loaded_at, status)
                   SELECT ?1, ?2, ?3, ?4, ?5 WHERE ?2 IS NOT NULL AND NOT EXISTS (
                       SELECT 1 FROM freshness_result WHERE node_key = ?1 AND checked_at = ?2)
                   ON CONFLICT DO NOTHING";
        if let Some(key) = keys.get(unique_id) {
            let values = (key, text(check.checked_at), sync.0, text(check.max_loaded_at), &check.status);
            transaction.prepare_cached(sql)?.execute(values)?;
        }
    }
    runs.iter().try_for_each(|run| write_run(transaction, environment_id, sync, run).map(drop))
}

fn write_result(transaction: &Transaction<'_>, sync: SyncId, key: i64, result: &RunResult) -> rusqlite::Result<()> {
    let RunResult { unique_id: _, run_id, status, completed_at, execution_seconds, error, failures } = result;
    // As a row of the last attempt: one that did not succeed has no seconds.
    let seconds = execution_seconds.filter(|_| result.is_success());
    let sql =
        "INSERT INTO told_result (node_key, run_id, sync_id, status, completed_at, execution_seconds, error, failures)
               SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8 WHERE NOT EXISTS (
                   SELECT 1 FROM run_result WHERE run_id = ?2 AND node_key = ?1 AND is_attempt)
               ON CONFLICT DO NOTHING";
    let values = (key, run_id, sync.0, status, text(*completed_at), seconds, error, failures);
    transaction.prepare_cached(sql)?.execute(values).map(drop)
}

/// What is told later may be more of a run that is known, or the end of one that was not over. What is the same as before is not written.
pub(super) fn write_run(
    transaction: &Transaction<'_>,
    environment_id: i64,
    sync: SyncId,
    run: &Run,
) -> rusqlite::Result<usize> {
    let Run { run_id, job_id, job_name, status, started_at, finished_at, duration_seconds, git_sha, cause, error } =
        run;
    let facts =
        ["job_id", "job_name", "status", "started_at", "finished_at", "duration_seconds", "git_sha", "cause", "error"];
    let list = |form: fn(&str) -> String| facts.map(form).join(", ");
    let sql = format!(
        "INSERT INTO run (environment_id, run_id, sync_id, {}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
         ON CONFLICT DO UPDATE SET {} WHERE ({}) IS NOT ({})",
        list(str::to_owned),
        list(|fact| format!("{fact} = coalesce(excluded.{fact}, {fact})")),
        list(str::to_owned),
        list(|fact| format!("coalesce(excluded.{fact}, {fact})")),
    );
    transaction.prepare_cached(&sql)?.execute(rusqlite::params![
        environment_id,
        run_id,
        sync.0,
        job_id,
        job_name,
        status,
        text(*started_at),
        text(*finished_at),
        duration_seconds,
        git_sha,
        cause,
        error
    ])
}

pub(super) fn text(time: Option<Timestamp>) -> Option<String> {
    time.map(|time| time.to_string())
}
