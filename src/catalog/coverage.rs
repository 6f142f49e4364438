//! Keeps the history of coverage: a row for each group whose figures changed.

use rusqlite::Transaction;

use super::SyncId;

/// The figures of now, by resource type, package and owner, and those last noted; what differs is written. A group that is gone is
/// noted with no nodes.
pub(super) fn note_coverage(transaction: &Transaction<'_>, environment_id: i64, sync: SyncId) -> rusqlite::Result<()> {
    let sql = "
        WITH now AS (
            SELECT resource_type, package_name, owner_name, count(*) AS nodes, sum(is_documented) AS documented,
                sum(columns) AS columns, sum(documented_columns) AS documented_columns,
                sum(tested_columns) AS tested_columns, sum(is_placeholder) AS placeholders
            FROM coverage WHERE environment_id = ?1 GROUP BY resource_type, package_name, owner_name
        ),
        noted AS (
            SELECT c.resource_type, c.package_name, c.owner_name, c.nodes, c.documented, c.columns, c.documented_columns,
                c.tested_columns, c.placeholders, max(c.sync_id)
            FROM coverage_count c JOIN sync s ON s.sync_id = c.sync_id
            WHERE s.environment_id = ?1 GROUP BY c.resource_type, c.package_name, c.owner_name
        )
        INSERT INTO coverage_count (sync_id, resource_type, package_name, owner_name, nodes, documented, columns,
            documented_columns, tested_columns, placeholders)
        SELECT ?2, now.resource_type, now.package_name, now.owner_name, now.nodes, now.documented, now.columns,
            now.documented_columns, now.tested_columns, now.placeholders
        FROM now LEFT JOIN noted ON noted.resource_type = now.resource_type
            AND noted.package_name IS now.package_name AND noted.owner_name IS now.owner_name
        WHERE noted.nodes IS NOT now.nodes OR noted.documented IS NOT now.documented
            OR noted.columns IS NOT now.columns OR noted.documented_columns IS NOT now.documented_columns
            OR noted.tested_columns IS NOT now.tested_columns OR noted.placeholders IS NOT now.placeholders
        UNION ALL
        SELECT ?2, noted.resource_type, noted.package_name, noted.owner_name, 0, 0, NULL, NULL, NULL, 0
        FROM noted WHERE noted.nodes > 0 AND NOT EXISTS (
            SELECT 1 FROM now WHERE now.resource_type = noted.resource_type
            AND now.package_name IS noted.package_name AND now.owner_name IS noted.owner_name)";
    transaction.execute(sql, (environment_id, sync.0)).map(drop)
}
