//! Forgets history that is older than is wanted, from the old end, whole syncs at a time. What the catalog holds of the present is
//! never touched.

use std::time::Duration;

use rusqlite::Transaction;

use super::feed::{UNUSED_CODE, note_feed};
use super::{Catalog, Error};
use crate::time::Timestamp;

/// A pause between two syncs that is longer may be a clock that was set wrong, until as much time has passed again.
const PAUSE_DAYS: i64 = 30;

impl Catalog {
    /// Forgets the changes of syncs that ended longer than `history` before `now`, the code that only they needed, results of runs
    /// and checks of that time, and those syncs' own rows, as far as nothing refers to them. `coverage_history` stays whole. Writes
    /// nothing until a hundredth of `history` more has passed, so that the work is not done for every single sync, and nothing
    /// while it may be the clock that makes everything old.
    ///
    /// Returns how many changes were forgotten.
    pub fn prune(&mut self, history: Duration, now: Timestamp) -> Result<usize, Error> {
        let millis = i64::try_from(history.as_millis()).unwrap_or(i64::MAX);
        let before = now.plus_millis(-millis);
        let due = before.plus_millis(-millis / 100).to_string();
        let ask = |sql: &str, values: &[&dyn rusqlite::ToSql]| {
            self.connection.query_row(sql, values, |row| row.get::<_, bool>(0)).map_err(Error::sqlite("read"))
        };
        let is_due = "SELECT EXISTS (SELECT 1 FROM sync WHERE finished_at < ?1
                      AND finished_at > coalesce((SELECT pruned_at FROM horizon), ''))";
        let (present, lately) = (now.to_string(), now.plus_millis(-PAUSE_DAYS * 86_400_000).to_string());
        let has_jumped = "SELECT EXISTS (
            SELECT 1 FROM (SELECT finished_at, lag(finished_at) OVER (ORDER BY sync_id) AS before
                           FROM sync WHERE finished_at IS NOT NULL)
            WHERE finished_at BETWEEN ?1 AND ?2 AND julianday(finished_at) - julianday(before) > ?3)";
        if !ask(is_due, &[&due])? || ask(has_jumped, &[&lately, &present, &PAUSE_DAYS])? {
            return Ok(0);
        }
        self.forget(before, now)
    }

    /// Forgets what is older than `before`. A stamp of the future of `now` tells no age: such a sync goes with those after it.
    pub(super) fn forget(&mut self, before: Timestamp, now: Timestamp) -> Result<usize, Error> {
        self.write(|transaction| forget(transaction, &before.to_string(), &now.to_string()))
    }
}

fn forget(transaction: &Transaction<'_>, before: &str, now: &str) -> rusqlite::Result<usize> {
    transaction.execute(
        "INSERT INTO horizon (only_row, pruned_at) SELECT 1, max(finished_at) FROM sync WHERE finished_at < ?1
         HAVING max(finished_at) IS NOT NULL
         ON CONFLICT DO UPDATE SET pruned_at = excluded.pruned_at WHERE pruned_at < excluded.pruned_at",
        [before],
    )?;
    // All before the first change of a sync that is kept: so `seq` has no holes, even if a clock was set back.
    let forgotten = transaction.execute(
        "DELETE FROM change WHERE seq < coalesce(
             (SELECT min(seq) FROM change WHERE sync_id IN (
                 SELECT sync_id FROM sync WHERE finished_at BETWEEN ?1 AND ?2)),
             (SELECT max(seq) + 1 FROM change WHERE sync_id IN (SELECT sync_id FROM sync WHERE finished_at < ?1)),
             0)",
        [before, now],
    )?;
    if forgotten > 0 {
        note_feed(transaction)?;
        transaction.execute(UNUSED_CODE, [])?;
    }
    transaction.execute(GONE_COLUMNS, [before])?;
    forget_states(transaction, before)?;
    transaction.execute("CREATE TEMP TABLE forgotten (sync_id INTEGER PRIMARY KEY)", [])?;
    transaction.execute(OLD_SYNCS, [before])?;
    transaction.execute_batch(
        "DELETE FROM held_loss WHERE sync_id IN (SELECT sync_id FROM temp.forgotten);
         DELETE FROM probe WHERE sync_id IN (SELECT sync_id FROM temp.forgotten);
         DELETE FROM sync WHERE sync_id IN (SELECT sync_id FROM temp.forgotten);
         DROP TABLE temp.forgotten;",
    )?;
    Ok(forgotten)
}

/// Forgets what old syncs noted of runs, checks and health, but for the last of each node: from there its history goes on.
fn forget_states(transaction: &Transaction<'_>, before: &str) -> rusqlite::Result<()> {
    transaction.execute_batch(
        "CREATE TEMP TABLE beginning (
             node_key INTEGER PRIMARY KEY, sync_id INTEGER, attempt INTEGER, success INTEGER, checked INTEGER, noted INTEGER)",
    )?;
    transaction.execute(
        "INSERT INTO temp.beginning
         SELECT n.node_key, old.sync_id,
             (SELECT max(r.sync_id) FROM run_result r
              WHERE r.node_key = n.node_key AND r.is_attempt AND r.sync_id <= old.sync_id),
             (SELECT max(r.sync_id) FROM run_result r
              WHERE r.node_key = n.node_key AND r.is_success AND r.sync_id <= old.sync_id),
             (SELECT max(f.sync_id) FROM freshness_result f WHERE f.node_key = n.node_key AND f.sync_id <= old.sync_id),
             (SELECT max(h.sync_id) FROM health_note h WHERE h.node_key = n.node_key AND h.sync_id <= old.sync_id)
         FROM node n JOIN (SELECT environment_id, max(sync_id) AS sync_id FROM sync WHERE finished_at < ?1
                           GROUP BY environment_id) old USING (environment_id)",
        [before],
    )?;
    let forget = "DELETE FROM run_result AS r WHERE EXISTS (
             SELECT 1 FROM temp.beginning b WHERE b.node_key = r.node_key AND r.sync_id <= b.sync_id
             AND NOT (r.is_attempt AND r.sync_id = b.attempt) AND NOT (r.is_success AND r.sync_id = b.success));
         DELETE FROM freshness_result AS f WHERE EXISTS (
             SELECT 1 FROM temp.beginning b WHERE b.node_key = f.node_key AND f.sync_id < b.checked);
         DELETE FROM health_note AS h WHERE EXISTS (
             SELECT 1 FROM temp.beginning b WHERE b.node_key = h.node_key AND h.sync_id < b.noted);
         DELETE FROM told_result AS t WHERE EXISTS (
             SELECT 1 FROM temp.beginning b WHERE b.node_key = t.node_key AND t.sync_id <= b.sync_id);
         DELETE FROM told_check AS t WHERE EXISTS (
             SELECT 1 FROM temp.beginning b WHERE b.node_key = t.node_key AND t.sync_id <= b.sync_id);
         DROP TABLE temp.beginning;";
    transaction.execute_batch(forget)?;
    transaction.execute(OLD_RUNS, [before]).map(drop)
}

/// Runs that ended long ago, and of which no node tells any more.
const OLD_RUNS: &str = "
    DELETE FROM run AS i WHERE coalesce(finished_at, started_at, '') < ?1
    AND NOT EXISTS (SELECT 1 FROM run_result r WHERE r.run_id = i.run_id)
    AND NOT EXISTS (SELECT 1 FROM told_result t WHERE t.run_id = i.run_id)";

/// The column lineage that old syncs dropped.
const GONE_COLUMNS: &str = "
    DELETE FROM column_gone WHERE sync_id IN (SELECT sync_id FROM sync WHERE finished_at < ?1)";

/// Old syncs that nothing refers to. Of each environment the last good one stays: it is how the history that is left begins.
const OLD_SYNCS: &str = "
    INSERT INTO temp.forgotten
    SELECT s.sync_id FROM sync s JOIN (
        SELECT environment_id, max(sync_id) AS last FROM sync
        WHERE finished_at < ?1 AND outcome IN ('applied', 'unchanged') GROUP BY environment_id
    ) good ON good.environment_id = s.environment_id
    WHERE s.sync_id < good.last
    AND NOT EXISTS (SELECT 1 FROM change c WHERE c.sync_id = s.sync_id)
    AND NOT EXISTS (SELECT 1 FROM column_gone g WHERE g.sync_id = s.sync_id)
    AND NOT EXISTS (SELECT 1 FROM coverage_count c WHERE c.sync_id = s.sync_id)
    AND s.sync_id NOT IN (SELECT removed_by FROM node WHERE removed_by IS NOT NULL)";
