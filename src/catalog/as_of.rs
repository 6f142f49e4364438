//! The catalog as it was: a copy in which whatever was committed later is undone, and whose clock stands at that moment. It has the
//! same schema, so that no view knows about time.

use std::collections::HashSet;
use std::path::Path;
use std::time::Instant;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, ffi};

use super::feed::note_feed;
use super::load::Stored;
use super::node_rows::keys;
use super::settings::renew_coverage;
use super::undo::undo_changes;
use super::{Error, begin_to_read, harden, open_to_read};
use crate::derive::lineage::write_lineage;
use crate::derive::tests::write_tests;
use crate::derive::words::{TOUCHED, forget_touched, index_touched};
use crate::inventory::{Inventory, Pool};
use crate::time::Timestamp;

/// Pages that are copied before the clock is looked at.
const PAGES: i32 = 1024;

/// After so many steps of SQLite the clock is looked at.
const STEPS: i32 = 10_000;

/// Opens a temporary copy of the catalog at `path`, as it was after each environment's last sync that ended at or before `time`,
/// with the clock at `time`. The copy has no name and is gone with the connection, or with the process. Compiled code is not kept,
/// and settings are as of now. What is not done at `end` is given up ([`Error::is_interrupted`]).
///
/// # Errors
/// If there is no catalog, if `time` is before its first sync, or before what pruning has left of its history.
pub fn open_as_of(path: &Path, time: Timestamp, end: Option<Instant>) -> Result<Connection, Error> {
    let source = open_to_read(path)?;
    // The copy is of one moment: without a transaction it would begin anew whenever a sync commits.
    begin_to_read(&source)?;
    // Without a name: a temporary file that SQLite deletes when it has opened it.
    let mut copy = Connection::open("").map_err(Error::sqlite("copied"))?;
    copy_all(&source, &mut copy, end).map_err(Error::sqlite("copied"))?;
    drop(source);
    within_reach(&copy, time)?;
    let back = |copy: &mut Connection| {
        copy.pragma_update(None, "foreign_keys", false)?;
        harden(copy)?;
        copy.progress_handler(STEPS, Some(move || is_over(end)))?;
        go_back(copy, time)?;
        copy.progress_handler(STEPS, None::<fn() -> bool>)?;
        copy.pragma_update(None, "query_only", true)
    };
    back(&mut copy).map_err(Error::sqlite("taken back in time"))?;
    Ok(copy)
}

/// Puts the clock of a copy that [`open_as_of`] made to another moment, between the same syncs.
pub fn set_clock(copy: &Connection, time: Timestamp) -> Result<(), Error> {
    let set = || {
        copy.pragma_update(None, "query_only", false)?;
        put_clock(copy, time)?;
        copy.pragma_update(None, "query_only", true)
    };
    set().map_err(Error::sqlite("taken back in time"))
}

/// What tells the copies of [`open_as_of`] apart: those of two times with the same text differ by their clocks alone.
///
/// # Errors
/// As [`open_as_of`].
pub fn state_at(connection: &Connection, time: Timestamp) -> Result<String, Error> {
    within_reach(connection, time)?;
    let sql = "
        SELECT json_array(
            (SELECT catalog_id FROM identity),
            (SELECT pruned_at FROM horizon),
            (SELECT json_group_array(json_array(environment_id, name)) FROM environment),
            (SELECT json_group_array(json_array(name, value)) FROM setting),
            (SELECT count(*) FROM sync WHERE approved_at <= ?1),
            (SELECT json_group_array(last) FROM (
                SELECT max(sync_id) AS last FROM sync WHERE finished_at <= ?1 GROUP BY environment_id ORDER BY environment_id)))";
    connection.query_row(sql, [time.to_string()], |row| row.get(0)).map_err(Error::sqlite("read"))
}

fn is_over(end: Option<Instant>) -> bool {
    end.is_some_and(|end| Instant::now() >= end)
}

fn copy_all(source: &Connection, copy: &mut Connection, end: Option<Instant>) -> rusqlite::Result<()> {
    let backup = Backup::new(source, copy)?;
    while !is_over(end) {
        if backup.step(PAGES)? == StepResult::Done {
            return Ok(());
        }
    }
    Err(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_INTERRUPT), None))
}

/// Whether the history reaches back to `time`.
fn within_reach(connection: &Connection, time: Timestamp) -> Result<(), Error> {
    let sql = "SELECT (SELECT pruned_at FROM horizon), (SELECT min(finished_at) FROM sync WHERE outcome IN ('applied', 'unchanged'))";
    let read =
        connection.query_row(sql, [], |row| Ok((row.get::<_, Option<String>>(0)?, row.get::<_, Option<String>>(1)?)));
    let (pruned, first) = read.map_err(Error::sqlite("read"))?;
    let first = pruned.or(first);
    match first.as_deref().and_then(Timestamp::parse) {
        Some(first) if first <= time => Ok(()),
        first => Err(Error::TooEarly { asked: time, first }),
    }
}

fn go_back(copy: &mut Connection, time: Timestamp) -> rusqlite::Result<()> {
    let transaction = copy.transaction()?;
    // By number and not by time alone, since clocks are set back.
    transaction.execute_batch(&format!("CREATE TEMP TABLE later (sync_id INTEGER PRIMARY KEY); {TOUCHED}"))?;
    let sql = "INSERT INTO temp.later SELECT s.sync_id FROM sync s WHERE s.sync_id > coalesce(
                   (SELECT max(t.sync_id) FROM sync t
                    WHERE t.environment_id = s.environment_id AND t.finished_at <= ?1), 0)";
    transaction.execute(sql, [time.to_string()])?;
    let sql = "INSERT INTO temp.touched SELECT DISTINCT node_key FROM change
               WHERE sync_id IN (SELECT sync_id FROM temp.later)";
    transaction.execute(sql, [])?;
    forget_touched(&transaction)?;
    let mut statement = transaction.prepare("SELECT DISTINCT environment_id FROM sync")?;
    let environments = statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<Vec<i64>>>()?;
    drop(statement);
    for environment in environments {
        let Some(moved) = undo_changes(&transaction, environment)? else { continue };
        let keys = keys(&transaction, environment)?;
        let stored = Stored::read(&transaction, environment, &mut Pool::default(), &Inventory::default())?;
        write_tests(&transaction, &stored.inventory, &keys, &HashSet::new())?;
        renew_coverage(&transaction, environment)?;
        let moved = if moved { keys.keys().collect() } else { HashSet::new() };
        write_lineage(&transaction, (environment, &stored.inventory), &keys, &moved)?;
    }
    transaction.execute(LAST_CHANGES, [])?;
    index_touched(&transaction)?;
    transaction.execute_batch(RUN_FACTS)?;
    let sql = "UPDATE sync SET approved_at = NULL, approved_by = NULL, approve_reason = NULL WHERE approved_at > ?1";
    transaction.execute(sql, [time.to_string()])?;
    transaction.execute_batch(FORGET)?;
    note_feed(&transaction)?;
    put_clock(&transaction, time)?;
    transaction.commit()
}

fn put_clock(connection: &Connection, time: Timestamp) -> rusqlite::Result<()> {
    let sql = "INSERT INTO fixed_clock (only_row, moment) VALUES (1, ?1)
               ON CONFLICT DO UPDATE SET moment = excluded.moment";
    connection.execute(sql, [time.to_string()]).map(drop)
}

/// When each node that changed later had changed before.
const LAST_CHANGES: &str = "
    UPDATE node SET last_changed_at = coalesce(
        (SELECT s.finished_at FROM change c JOIN sync s ON s.sync_id = c.sync_id
         WHERE c.node_key = node.node_key AND c.sync_id NOT IN (SELECT sync_id FROM temp.later)
         ORDER BY c.seq DESC LIMIT 1), (SELECT pruned_at FROM horizon), first_seen_at)
    WHERE node_key IN (SELECT node_key FROM temp.touched)";

/// Run facts come from the rows that syncs until then had brought; what these do not hold is unknown. The two statuses are history.
const RUN_FACTS: &str = "
    CREATE TEMP TABLE moved AS
    SELECT node_key FROM run_result WHERE sync_id IN (SELECT sync_id FROM temp.later)
    UNION SELECT node_key FROM freshness_result WHERE sync_id IN (SELECT sync_id FROM temp.later);
    DELETE FROM run_result WHERE sync_id IN (SELECT sync_id FROM temp.later);
    DELETE FROM freshness_result WHERE sync_id IN (SELECT sync_id FROM temp.later);
    DELETE FROM told_result WHERE sync_id IN (SELECT sync_id FROM temp.later);
    DELETE FROM told_check WHERE sync_id IN (SELECT sync_id FROM temp.later);
    DELETE FROM run WHERE sync_id IN (SELECT sync_id FROM temp.later);
    UPDATE node SET
        (last_run_id, last_job_id, attempt_status, last_run_at, last_run_error, last_run_failures) = (
            SELECT run_id, job_id, status, generated_at, error, failures FROM run_result r
            WHERE r.node_key = node.node_key AND is_attempt ORDER BY sync_id DESC LIMIT 1),
        (success_run_id, executed_at, execution_seconds) = (
            SELECT run_id, completed_at, execution_seconds FROM run_result r
            WHERE r.node_key = node.node_key AND is_success ORDER BY sync_id DESC, is_attempt LIMIT 1),
        (checked_at, max_loaded_at) = (
            SELECT checked_at, max_loaded_at FROM freshness_result f
            WHERE f.node_key = node.node_key ORDER BY sync_id DESC LIMIT 1)
    WHERE node_key IN (SELECT node_key FROM temp.moved);
    DROP TABLE temp.moved;";

/// Takes away what the later syncs left beside the nodes: their own rows, and environments that did not exist. Of compiled code only
/// the last is kept.
const FORGET: &str = "
    DELETE FROM compiled_code;
    UPDATE sqlite_sequence SET seq = coalesce(
        (SELECT max(seq) FROM change WHERE sync_id NOT IN (SELECT sync_id FROM temp.later)),
        (SELECT min(seq) - 1 FROM change), seq) WHERE name = 'change';
    DELETE FROM change WHERE sync_id IN (SELECT sync_id FROM temp.later);
    DELETE FROM health_note WHERE sync_id IN (SELECT sync_id FROM temp.later);
    DELETE FROM coverage_count WHERE sync_id IN (SELECT sync_id FROM temp.later);
    DELETE FROM held_loss WHERE sync_id IN (SELECT sync_id FROM temp.later);
    DELETE FROM probe WHERE sync_id IN (SELECT sync_id FROM temp.later);
    DELETE FROM column_gone WHERE sync_id IN (SELECT sync_id FROM temp.later);
    DELETE FROM sync WHERE sync_id IN (SELECT sync_id FROM temp.later);
    DELETE FROM owner WHERE environment_id NOT IN (SELECT environment_id FROM sync);
    DELETE FROM environment WHERE environment_id NOT IN (SELECT environment_id FROM sync);
    DROP TABLE temp.later;
    DROP TABLE temp.touched;";
