//! Keeps the history of health: a row whenever a sync finds that a node's status is another one than was noted last.

use rusqlite::Transaction;

use crate::time::Timestamp;

/// Notes the status of each node of the environment, as of `now`, where it is another one than the last that was noted; and that it
/// has none any more, where the node is gone or of another type.
pub(crate) fn note_health(
    transaction: &Transaction<'_>,
    environment_id: i64,
    sync_id: i64,
    now: Timestamp,
) -> rusqlite::Result<()> {
    transaction.execute("INSERT INTO fixed_clock (only_row, moment) VALUES (1, ?1)", [now.to_string()])?;
    let sql = "
        WITH last AS NOT MATERIALIZED (
            SELECT n.node_key, n.environment_id, (
                SELECT h.status FROM health_note h WHERE h.node_key = n.node_key ORDER BY h.sync_id DESC LIMIT 1) AS status
            FROM node n
        ),
        found AS MATERIALIZED (
            SELECT node_key, status, reasons FROM _health_now WHERE environment_id = ?1
        )
        INSERT INTO health_note (node_key, sync_id, changed_at, status, root_ids)
        SELECT found.node_key, ?2, ?3, found.status, (
            SELECT json_group_array(root_id) FROM (
                SELECT DISTINCT r.value ->> 'root_id' AS root_id FROM json_each(found.reasons) r
                WHERE r.value ->> 'root_id' IS NOT NULL ORDER BY 1))
        FROM found CROSS JOIN last ON last.node_key = found.node_key
        WHERE last.status IS NOT found.status
        UNION ALL
        SELECT node_key, ?2, ?3, NULL, '[]' FROM last
        WHERE environment_id = ?1 AND status IS NOT NULL AND node_key NOT IN (SELECT node_key FROM found)";
    transaction.execute(sql, (environment_id, sync_id, now.to_string()))?;
    transaction.execute("DELETE FROM fixed_clock", []).map(drop)
}
