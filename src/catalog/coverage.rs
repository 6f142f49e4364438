//! Keeps the history of coverage: a row for each group whose figures changed.

use rusqlite::Transaction;

use super::SyncId;

/// The figures of now, by resource type, package and owner, and those last noted; what differs is written. A group that is gone is
/// noted with no nodes.
pub(super) fn note_coverage(transaction: &Transaction<'_>, environment_id: i64, sync: SyncId) -> rusqlite::Result<()> {
    let figures = "node_count, documented, placeholders, tested, column_count, documented_columns, tested_columns";
    let of = |table: &str| figures.split(", ").map(|name| format!("{table}.{name}")).collect::<Vec<_>>().join(", ");
    let differs = figures.split(", ").map(|name| format!("noted.{name} IS NOT now.{name}")).collect::<Vec<_>>();
    let sql = format!(
        "WITH now AS (
            SELECT resource_type, package_name, owner_name, count(*) AS node_count, sum(is_documented) AS documented,
                sum(is_placeholder) AS placeholders, sum(test_count > 0) AS tested, sum(column_count) AS column_count,
                sum(documented_columns) AS documented_columns, sum(tested_columns) AS tested_columns
            FROM coverage WHERE environment_id = ?1 GROUP BY resource_type, package_name, owner_name
        ),
        noted AS (
            SELECT c.resource_type, c.package_name, c.owner_name, {}, max(c.sync_id)
            FROM coverage_count c JOIN sync s ON s.sync_id = c.sync_id
            WHERE s.environment_id = ?1 GROUP BY c.resource_type, c.package_name, c.owner_name
        )
        INSERT INTO coverage_count (sync_id, resource_type, package_name, owner_name, {figures})
        SELECT ?2, now.resource_type, now.package_name, now.owner_name, {}
        FROM now LEFT JOIN noted ON noted.resource_type = now.resource_type
            AND noted.package_name IS now.package_name AND noted.owner_name IS now.owner_name
        WHERE {}
        UNION ALL
        SELECT ?2, noted.resource_type, noted.package_name, noted.owner_name, 0, 0, 0, 0, NULL, NULL, NULL
        FROM noted WHERE noted.node_count > 0 AND NOT EXISTS (
            SELECT 1 FROM now WHERE now.resource_type = noted.resource_type
            AND now.package_name IS noted.package_name AND now.owner_name IS noted.owner_name)",
        of("c"),
        of("now"),
        differs.join(" OR ")
    );
    transaction.execute(&sql, (environment_id, sync.0)).map(drop)
}
