//! Whether models, sources and exposures are well, from the view `health`.

use rusqlite::Connection;

use super::{Error, Found, Table, table};

/// The states, the worst first.
pub const HEALTH: [&str; 4] = ["degraded", "caution", "unknown", "healthy"];

/// The view `health`, the worst first, then by environment and id; of some states or (if none are named) all.
pub fn health(connection: &Connection, environment_id: Option<i64>, states: &[String]) -> Result<Table, Error> {
    let (states, order) = (serde_json::Value::from(states.to_vec()).to_string(), serde_json::Value::from(&HEALTH[..]));
    let sql = "SELECT h.* FROM health h JOIN json_each(?3) o ON o.value = h.status
               WHERE (?1 IS NULL OR environment_id = ?1) AND (?2 = '[]' OR status IN (SELECT value FROM json_each(?2)))
               ORDER BY o.key, environment_id, unique_id";
    table(connection, sql, &[&environment_id, &states, &order.to_string()])
}

/// The row of `health` of one node; none for a type that has no health.
pub fn health_of(connection: &Connection, node: &Found) -> Result<Table, Error> {
    let sql = "SELECT * FROM health WHERE environment_id = ?1 AND unique_id = ?2";
    table(connection, sql, &[&node.environment_id, &node.unique_id])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A catalog of a model `m` that is well, on a source `s` that is well; `change` spoils something.
    fn spoiled(change: &str) -> Vec<(String, String, Vec<String>)> {
        let connection = Connection::open_in_memory().expect("a database");
        connection.execute_batch(include_str!("../../schema.sql")).expect("the schema");
        connection.pragma_update(None, "foreign_keys", false).expect("set");
        let attached = |id: &str| format!("{{\"attached_node\":\"{id}\",\"test_type\":\"generic\"}}");
        let checked = "{\"freshness\":{\"warn_after\":{\"count\":1,\"period\":\"day\"}}}";
        let sql = format!(
            "INSERT INTO environment VALUES (1, 'prod', 'p', 'duckdb');
             INSERT INTO node (node_key, environment_id, unique_id, resource_type, name, description, properties,
                 last_run_status, executed_at, checked_status, checked_at, first_seen_at, last_changed_at)
             SELECT *, 'x', 'x' FROM (VALUES
                 (1, 1, 's', 'source', 's', 'd', '{checked}', NULL, NULL, 'pass', strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-1 day')),
                 (2, 1, 'm', 'model', 'm', 'd', '{{}}', 'success', strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-1 day'), NULL, NULL),
                 (3, 1, 't', 'test', 't', NULL, '{}', 'pass', NULL, NULL, NULL),
                 (4, 1, 'e', 'exposure', 'e', NULL, '{{}}', NULL, NULL, NULL, NULL));
             INSERT INTO reach VALUES (2, 1, 1), (4, 2, 1), (4, 1, 2);
             {change}",
            attached("m")
        );
        connection.execute_batch(&sql).expect(change);
        let table = health(&connection, Some(1), &[]).expect("the view");
        let of = |row: &Vec<serde_json::Value>| {
            let reasons: Vec<serde_json::Value> =
                serde_json::from_str(row[4].as_str().expect("reasons")).expect("a list");
            let reason = |reason: &serde_json::Value| {
                let root = reason["root_id"].as_str().map_or(String::new(), |root| format!(" {root}"));
                format!("{}{root}", reason["code"].as_str().expect("a code"))
            };
            let text = |n: usize| row[n].as_str().expect("text").to_owned();
            (text(1), text(3), reasons.iter().map(reason).collect())
        };
        let mut rows: Vec<_> = table.rows.iter().map(of).collect();
        rows.retain(|(_, status, _): &(String, String, Vec<String>)| status != "healthy");
        rows.sort();
        rows
    }

    #[test]
    fn each_reason_has_its_code_its_root_and_its_weight() {
        let old = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-31 days')";
        let upstream = "INSERT INTO node (node_key, environment_id, unique_id, resource_type, name, description, properties,
            last_run_status, first_seen_at, last_changed_at) VALUES (5, 1, 'up', 'model', 'up', 'd', '{}', 'error', 'x', 'x');
            INSERT INTO reach VALUES (2, 5, 1); UPDATE node SET last_run_status = 'skipped' WHERE unique_id = 'm'; ";
        for (change, expected) in [
            ("", ""),
            (
                "UPDATE node SET last_run_status = 'error' WHERE unique_id = 'm'",
                "e degraded upstream_model_failed m; m degraded build_failed",
            ),
            (
                "UPDATE node SET last_run_status = 'fail' WHERE unique_id = 't'",
                "e degraded upstream_test_failed t; m degraded test_failed t",
            ),
            (
                "UPDATE node SET last_run_status = 'error' WHERE unique_id = 't'",
                "e degraded upstream_test_failed t; m degraded test_failed t",
            ),
            (
                "UPDATE node SET last_run_status = 'warn' WHERE unique_id = 't'",
                "e caution upstream_test_warned t; m caution test_warned t",
            ),
            ("UPDATE node SET last_run_status = 'skipped' WHERE unique_id = 't'", ""),
            ("UPDATE node SET removed_at = 'x' WHERE unique_id = 't'", "m caution no_tests"),
            ("UPDATE node SET description = NULL", "m caution no_description; s caution no_description"),
            (&format!("UPDATE node SET executed_at = {old} WHERE unique_id = 'm'"), "m caution not_built_recently"),
            (
                "UPDATE node SET executed_at = NULL, last_run_status = NULL WHERE unique_id = 'm'",
                "e unknown never_built m; m unknown never_built",
            ),
            (
                "UPDATE node SET executed_at = NULL, last_run_status = NULL, materialization = 'ephemeral' WHERE unique_id = 'm'",
                "",
            ),
            (
                "UPDATE node SET checked_status = 'error' WHERE unique_id = 's'",
                "e degraded source_error s; m degraded source_error s; s degraded source_error",
            ),
            (
                "UPDATE node SET checked_status = 'warn' WHERE unique_id = 's'",
                "e caution source_warn s; m caution source_warn s; s caution source_warn",
            ),
            (
                &format!("UPDATE node SET checked_at = {old} WHERE unique_id = 's'"),
                "m degraded source_not_checked s; s caution source_not_checked",
            ),
            (
                "UPDATE node SET checked_at = NULL, checked_status = NULL WHERE unique_id = 's'",
                "m degraded source_not_checked s; s caution source_not_checked",
            ),
            ("UPDATE node SET properties = '{}' WHERE unique_id = 's'", "s caution source_no_criteria"),
            (
                "UPDATE node SET last_run_status = 'skipped' WHERE unique_id = 'm'",
                "e caution upstream_model_skipped m; m caution upstream_model_skipped",
            ),
            (
                upstream,
                "e caution upstream_model_skipped up; m caution upstream_model_failed up; up degraded build_failed no_tests",
            ),
            (
                &format!(
                    "INSERT INTO setting VALUES ('stale_after_days', '40'); UPDATE node SET executed_at = {old}, checked_at = {old}"
                ),
                "",
            ),
        ] {
            let found: Vec<String> = spoiled(change)
                .into_iter()
                .map(|(id, status, reasons)| format!("{id} {status} {}", reasons.join(" ")))
                .collect();
            assert_eq!(found.join("; "), expected, "{change}");
        }
    }
}
