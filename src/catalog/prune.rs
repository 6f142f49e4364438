//! Forgets history that is older than is wanted, from the old end, whole syncs at a time. What the catalog holds of the present is
//! never touched.

use rusqlite::Transaction;

use super::{Catalog, Error};
use crate::inventory::Timestamp;

impl Catalog {
    /// Forgets the changes of syncs that ended before `before`, the code that only they needed, results of runs and checks of that
    /// time, and those syncs' own rows, as far as nothing refers to them. `coverage_history` stays whole. Writes nothing if no
    /// sync ended before `due`, which may lie before `before`, so that the work is not done for every single sync.
    ///
    /// Returns how many changes were forgotten.
    pub fn prune(&mut self, before: Timestamp, due: Timestamp) -> Result<usize, Error> {
        let sql = "SELECT EXISTS (SELECT 1 FROM sync WHERE finished_at < ?1
                   AND finished_at > coalesce((SELECT pruned_at FROM horizon), ''))";
        let is_due = self.connection.query_row(sql, [due.to_string()], |row| row.get(0));
        if !is_due.map_err(Error::sqlite("read"))? {
            return Ok(0);
        }
        self.write(|transaction| prune(transaction, &before.to_string()))
    }
}

fn prune(transaction: &Transaction<'_>, before: &str) -> rusqlite::Result<usize> {
    transaction.execute(
        "INSERT INTO horizon (only_row, pruned_at) SELECT 1, max(finished_at) FROM sync WHERE finished_at < ?1
         ON CONFLICT DO UPDATE SET pruned_at = excluded.pruned_at WHERE pruned_at < excluded.pruned_at",
        [before],
    )?;
    // All before the first change of a sync that is kept: so `seq` has no holes, even if a clock was set back.
    let forgotten = transaction.execute(
        "DELETE FROM change WHERE seq < coalesce(
             (SELECT min(seq) FROM change WHERE sync_id IN (SELECT sync_id FROM sync WHERE finished_at >= ?1)),
             (SELECT max(seq) + 1 FROM change))",
        [before],
    )?;
    if forgotten > 0 {
        transaction.execute(UNUSED_CODE, [])?;
    }
    for sql in [
        "DELETE FROM run_result WHERE completed_at < ?1
         AND run_id IS NOT (SELECT last_run_id FROM node WHERE node.node_key = run_result.node_key)",
        "DELETE FROM freshness_result WHERE checked_at < ?1
         AND checked_at IS NOT (SELECT checked_at FROM node WHERE node.node_key = freshness_result.node_key)",
    ] {
        transaction.execute(sql, [before])?;
    }
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

/// Old syncs that nothing refers to. Of each environment the last good one stays: it is how the history that is left begins.
const OLD_SYNCS: &str = "
    INSERT INTO temp.forgotten
    SELECT s.sync_id FROM sync s WHERE s.sync_id < (
        SELECT max(g.sync_id) FROM sync g WHERE g.environment_id = s.environment_id
        AND g.finished_at < ?1 AND g.outcome IN ('applied', 'unchanged'))
    AND NOT EXISTS (SELECT 1 FROM change c WHERE c.sync_id = s.sync_id)
    AND NOT EXISTS (SELECT 1 FROM coverage_count c WHERE c.sync_id = s.sync_id)
    AND s.sync_id NOT IN (SELECT removed_by FROM node WHERE removed_by IS NOT NULL)";

/// Code that neither a node nor a change refers to.
const UNUSED_CODE: &str = "
    DELETE FROM raw_code
    WHERE sha256 NOT IN (SELECT raw_code_sha256 FROM node WHERE raw_code_sha256 IS NOT NULL)
    AND sha256 NOT IN (
        SELECT code FROM (
            SELECT before ->> '$.sha256' AS code FROM change WHERE field = 'raw_code'
            UNION ALL SELECT after ->> '$.sha256' FROM change WHERE field = 'raw_code'
            UNION ALL SELECT coalesce(after, before) ->> '$.raw_code.sha256' FROM change
                WHERE kind IN ('added', 'removed', 'restored'))
        WHERE code IS NOT NULL)";
