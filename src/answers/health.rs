//! How models, sources and exposures are, and why: the view `health`.

use std::collections::HashSet;

use rusqlite::Row;

use super::{Environment, Error, HEALTH, Reader};

/// The states that are as bad as this one, or worse.
pub fn as_bad_as(state: &str) -> &'static [&'static str] {
    let place = HEALTH.iter().position(|other| *other == state);
    place.map_or(&[], |place| &HEALTH[..=place])
}

/// The statuses of `freshness` that tell of something late, the worst last.
pub const LATE: [&str; 4] = ["never_checked", "warn", "overdue", "error"];

/// The statuses of `freshness` that are as bad as this one, or worse.
pub fn as_late_as(status: &str) -> &'static [&'static str] {
    let place = LATE.iter().position(|other| *other == status);
    place.map_or(&[], |place| &LATE[place..])
}

impl Reader {
    /// The nodes of packages that are installed. Where it is unknown which package is the project's own, each may be.
    pub fn installed(&self, environment_id: Option<i64>) -> Result<HashSet<(i64, String)>, Error> {
        let sql = "SELECT environment_id, unique_id FROM coverage
                   WHERE NOT is_own_package AND (?1 IS NULL OR environment_id = ?1)";
        let mut statement = self.connection.prepare(sql)?;
        let node = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
        Ok(statement.query_map([environment_id], node)?.collect::<Result<_, _>>()?)
    }

    /// The environments of which it is unknown which package is the project's own, with what the project is called, if that is known.
    pub fn without_own_package(
        &self,
        environment_id: Option<i64>,
    ) -> Result<Vec<(Environment, Option<String>)>, Error> {
        let sql = "SELECT environment_id, name, project_name FROM environments e
                   WHERE (?1 IS NULL OR environment_id = ?1) AND EXISTS (
                       SELECT 1 FROM coverage c WHERE c.environment_id = e.environment_id
                       AND c.is_own_package IS NULL AND c.package_name IS NOT NULL)
                   ORDER BY name";
        let mut statement = self.connection.prepare(sql)?;
        let environment = |row: &Row<'_>| Ok((Environment { id: row.get(0)?, name: row.get(1)? }, row.get(2)?));
        Ok(statement.query_map([environment_id], environment)?.collect::<Result<_, _>>()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answers::Question;
    use serde_json::Value;

    const NOW: &str = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')";

    /// source `s` → models `a` → `b` → exposure `e`, everything well; each model has a test, `ta` and `tb`.
    fn well() -> Reader {
        let fresh = r#"{"source_name":"raw","freshness":{"warn_after":{"count":1,"period":"day"},
                        "error_after":{"count":2,"period":"day"}}}"#;
        let sql = format!(
            "INSERT INTO environment (environment_id, name) VALUES (1, 'prod');
             INSERT INTO node (node_key, environment_id, unique_id, resource_type, name, description, materialization,
                 properties, last_run_status, executed_at, checked_status, checked_at, max_loaded_at, first_seen_at,
                 last_changed_at, tested_id) VALUES
             (1, 1, 's', 'source', 's', 'words', NULL, '{fresh}', NULL, NULL, 'pass', {NOW}, {NOW}, '', '', NULL),
             (2, 1, 'a', 'model', 'a', 'words', 'table', '{{}}', 'success', {NOW}, NULL, NULL, NULL, '', '', NULL),
             (3, 1, 'b', 'model', 'b', 'words', 'table', '{{}}', 'success', {NOW}, NULL, NULL, NULL, '', '', NULL),
             (4, 1, 'e', 'exposure', 'e', NULL, NULL, '{{}}', NULL, NULL, NULL, NULL, NULL, '', '', NULL),
             (5, 1, 'ta', 'test', 'ta', NULL, NULL, '{{}}', 'pass', NULL, NULL, NULL, NULL, '', '', 'a'),
             (6, 1, 'tb', 'test', 'tb', NULL, NULL, '{{}}', 'pass', NULL, NULL, NULL, NULL, '', '', 'b');
             INSERT INTO reach (ancestor_key, descendant_key, depth) VALUES
             (1, 2, 1), (1, 3, 2), (1, 4, 3), (2, 3, 1), (2, 4, 2), (3, 4, 1);"
        );
        Reader::over(&sql)
    }

    /// What a node's health is after `change`: the state, then each reason as `code root`.
    fn after(change: &str, id: &str) -> Vec<String> {
        let connection = well().connection;
        connection.execute_batch(change).expect(change);
        let sql = "SELECT status, reasons FROM health WHERE environment_id = 1 AND unique_id = ?1";
        let (status, reasons): (String, String) =
            connection.query_row(sql, [id], |row| Ok((row.get(0)?, row.get(1)?))).expect("a row");
        let reasons: Vec<Value> = serde_json::from_str(&reasons).expect("JSON");
        let reason = |reason: &Value| {
            let keys: Vec<&String> = reason.as_object().expect("an object").keys().collect();
            assert_eq!(keys, ["code", "root_id", "sentence"]);
            let text = |name: &str| reason[name].as_str().unwrap_or_default().to_owned();
            format!("{} {}", text("code"), text("root_id")).trim().to_owned()
        };
        std::iter::once(status).chain(reasons.iter().map(reason)).collect()
    }

    fn sentences(change: &str, id: &str) -> Vec<String> {
        let connection = well().connection;
        connection.execute_batch(change).expect(change);
        let sql = "SELECT r.value ->> 'sentence' FROM health h JOIN json_each(h.reasons) r WHERE h.unique_id = ?1";
        let mut statement = connection.prepare(sql).expect("prepared");
        let found = statement.query_map([id], |row| row.get(0)).expect("rows");
        found.collect::<Result<_, _>>().expect("text")
    }

    fn set(id: &str, what: &str) -> String {
        format!("UPDATE node SET {what} WHERE unique_id = '{id}';")
    }

    fn days_ago(days: f64) -> String {
        format!("strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-{days} days')")
    }

    #[test]
    fn where_every_rule_is_kept_all_is_healthy_without_a_reason() {
        for id in ["s", "a", "b", "e"] {
            assert_eq!(after("", id), ["healthy"], "{id}");
        }
    }

    #[test]
    fn each_rule_of_a_model_has_its_state_and_its_code() {
        let stale = set("a", &format!("executed_at = {}", days_ago(30.1)));
        for (change, expected) in [
            (set("a", "last_run_status = 'error'"), ["degraded", "build_failed"]),
            (set("ta", "last_run_status = 'fail'"), ["degraded", "test_failed ta"]),
            (set("ta", "last_run_status = 'error'"), ["degraded", "test_failed ta"]),
            (set("ta", "last_run_status = 'warn'"), ["caution", "test_warned ta"]),
            (set("ta", "removed_at = 'x'"), ["caution", "no_tests"]),
            (set("a", "description = NULL"), ["caution", "no_description"]),
            (stale, ["caution", "not_built_recently"]),
            (set("a", "last_run_status = 'skipped'"), ["caution", "upstream_model_skipped"]),
            (
                set("a", "last_run_status = NULL, executed_at = NULL, description = NULL")
                    + &set("ta", "last_run_status = NULL"),
                ["unknown", "never_built"],
            ),
            (set("s", "checked_status = 'error'"), ["degraded", "source_error s"]),
            (set("s", "checked_status = 'warn'"), ["caution", "source_warn s"]),
            (set("s", &format!("checked_at = {}", days_ago(30.1))), ["degraded", "source_not_checked s"]),
            (set("s", "checked_status = NULL, checked_at = NULL"), ["degraded", "source_not_checked s"]),
            (set("s", "checked_status = 'unknown'"), ["degraded", "source_not_checked s"]),
        ] {
            assert_eq!(after(&change, "a"), expected, "{change}");
        }
    }

    #[test]
    fn what_is_no_rule_of_a_model_is_no_reason() {
        for change in [
            set("s", "properties = '{}', checked_status = NULL, checked_at = NULL"),
            set("s", "description = NULL"),
            set("a", &format!("executed_at = {}", days_ago(29.9))),
            set("s", &format!("checked_at = {}", days_ago(29.9))),
            set("s", &format!("max_loaded_at = {}", days_ago(9.0))),
            set("ta", "last_run_status = 'skipped'"),
            set("a", "materialization = 'ephemeral', last_run_status = NULL, executed_at = NULL"),
            // Its test has read it, or the warehouse has its columns: some run has built it.
            set("a", "last_run_status = NULL, executed_at = NULL"),
            set("a", "last_run_status = NULL, executed_at = NULL")
                + &set("ta", "last_run_status = NULL")
                + "INSERT INTO node_column (node_key, name) VALUES (2, 'id');",
        ] {
            assert_eq!(after(&change, "a"), ["healthy"], "{change}");
        }
        let upstream = set("a", "last_run_status = 'error'") + &set("ta", "last_run_status = 'fail'");
        assert_eq!(after(&upstream, "b"), ["healthy"], "a model inherits from its sources only");
    }

    #[test]
    fn a_source_warning_older_than_allowed_counts_as_a_check_that_has_not_run() {
        let old = set("s", &format!("checked_status = 'warn', checked_at = {}", days_ago(40.0)));
        assert_eq!(after(&old, "a"), ["degraded", "source_not_checked s"]);
        assert_eq!(after(&old, "s"), ["caution", "source_not_checked", "source_warn"]);
    }

    #[test]
    fn each_rule_of_a_source_has_its_state_and_its_code() {
        for (change, expected) in [
            (set("s", "checked_status = 'error'"), ["degraded", "source_error"]),
            (set("s", "checked_status = 'warn'"), ["caution", "source_warn"]),
            (set("s", "properties = '{}'"), ["caution", "source_no_criteria"]),
            (set("s", &format!("checked_at = {}", days_ago(30.1))), ["caution", "source_not_checked"]),
            (set("s", "checked_status = NULL, checked_at = NULL"), ["caution", "source_not_checked"]),
            (set("s", "description = NULL"), ["caution", "no_description"]),
        ] {
            assert_eq!(after(&change, "s"), expected, "{change}");
        }
    }

    #[test]
    fn each_rule_of_an_exposure_has_its_state_its_code_and_its_root() {
        for (change, expected) in [
            (set("s", "checked_status = 'error'"), ["degraded", "source_error s"]),
            (set("s", "checked_status = 'warn'"), ["caution", "source_warn s"]),
            (set("a", "last_run_status = 'error'"), ["degraded", "upstream_model_failed a"]),
            (set("ta", "last_run_status = 'fail'"), ["degraded", "upstream_test_failed ta"]),
            (set("ta", "last_run_status = 'warn'"), ["caution", "upstream_test_warned ta"]),
            (set("b", "last_run_status = 'skipped'"), ["caution", "upstream_model_skipped b"]),
            (
                set("a", "last_run_status = NULL, executed_at = NULL") + &set("ta", "last_run_status = NULL"),
                ["unknown", "never_built a"],
            ),
        ] {
            assert_eq!(after(&change, "e"), expected, "{change}");
        }
        let no_rule = set("s", "checked_at = NULL, checked_status = NULL, description = NULL")
            + &set("a", &format!("description = NULL, executed_at = {}", days_ago(40.0)))
            + &set("tb", "removed_at = 'x'");
        assert_eq!(after(&no_rule, "e"), ["healthy"]);
    }

    #[test]
    fn what_was_skipped_names_what_held_it_up() {
        let failed = set("a", "last_run_status = 'error'") + &set("b", "last_run_status = 'skipped'");
        assert_eq!(after(&failed, "b"), ["caution", "upstream_model_failed a"]);
        assert_eq!(after(&failed, "e"), ["degraded", "upstream_model_failed a", "upstream_model_skipped a"]);
        let tested = set("ta", "last_run_status = 'fail'") + &set("b", "last_run_status = 'skipped'");
        assert_eq!(after(&tested, "b"), ["caution", "upstream_test_failed ta"]);
        assert_eq!(after(&tested, "e"), ["degraded", "upstream_test_failed ta", "upstream_model_skipped ta"]);
        let both = failed + &set("ta", "last_run_status = 'fail'");
        assert_eq!(after(&both, "b"), ["caution", "upstream_model_failed a"], "what failed to build goes before");
        let warned = set("ta", "last_run_status = 'warn'") + &set("b", "last_run_status = 'skipped'");
        assert_eq!(after(&warned, "b"), ["caution", "upstream_model_skipped"], "a warning holds nothing up");
    }

    #[test]
    fn all_reasons_are_listed_and_the_worst_comes_first() {
        let change = set("s", "checked_status = 'warn'")
            + &set("a", "last_run_status = 'error', description = NULL")
            + &set("ta", "last_run_status = 'fail'");
        let expected = ["degraded", "build_failed", "test_failed ta", "no_description", "source_warn s"];
        assert_eq!(after(&change, "a"), expected);
    }

    #[test]
    fn the_limit_of_days_comes_from_the_settings() {
        let built = set("a", &format!("executed_at = {}", days_ago(8.5)));
        assert_eq!(after(&built, "a"), ["healthy"]);
        let limit = |days| built.clone() + &format!("INSERT INTO setting VALUES ('stale_after_days', '{days}');");
        assert_eq!(after(&limit(9), "a"), ["healthy"]);
        assert_eq!(after(&limit(7), "a"), ["caution", "not_built_recently"]);
        assert_eq!(sentences(&limit(7), "a"), ["it was last built more than 8 days ago, the limit is 7"]);
    }

    #[test]
    fn sentences_say_it_with_names_and_numbers() {
        let late = format!("max_loaded_at = {}, checked_at = {}", days_ago(4.5), days_ago(1.0));
        let error = set("s", &format!("checked_status = 'error', {late}"));
        let fail = |rows| set("ta", &format!("last_run_status = 'fail', last_run_failures = {rows}"));
        let held_up = set("a", "last_run_status = 'error'") + &set("b", "last_run_status = 'skipped'");
        for (change, id, expected) in [
            (
                error.clone(),
                "s",
                "the last freshness check returned an error: its data was 3.5 days old, the limit is 48 hours",
            ),
            (
                error,
                "a",
                "the last freshness check of `raw.s` returned an error: its data was 3.5 days old, the limit is 48 hours",
            ),
            (
                set(
                    "s",
                    &format!(
                        "checked_status = 'error', max_loaded_at = {}, checked_at = {}",
                        days_ago(4.0),
                        days_ago(1.0)
                    ),
                ) + &set("s", "properties = replace(properties, '\"count\":2', '\"count\":2.5')"),
                "s",
                "the last freshness check returned an error: its data was 72 hours old, the limit is 60 hours",
            ),
            (
                set("s", "checked_status = 'error', max_loaded_at = NULL"),
                "s",
                "the last freshness check returned an error",
            ),
            (fail(3), "a", "the test `ta` failed with 3 rows"),
            (fail(1) + &set("ta", "name = '100% of %s'"), "a", "the test `100% of %s` failed with 1 row"),
            (fail(1) + &set("ta", "resource_type = 'unit_test'"), "a", "the unit test `ta` failed"),
            (set("ta", "last_run_status = 'error'"), "a", "the test `ta` ended in an error"),
            (held_up, "b", "the last run skipped it: the model `a` failed to build"),
        ] {
            assert_eq!(sentences(&change, id), [expected], "{change}");
        }
    }

    #[test]
    fn the_worst_nodes_are_listed_first_and_states_can_be_chosen() {
        let reader = well();
        let change = set("b", "last_run_status = 'error'") + &set("a", "description = NULL");
        reader.connection.execute_batch(&change).expect("changed");
        let listed = |environment: i64, states: &[&str]| {
            let question = Question::of(Some(environment)).only("status", states);
            let rows = reader.rows("health", &question).expect("rows");
            rows.iter().map(|row| row.str("unique_id").to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(listed(1, &[]), ["b", "e", "a", "s"]);
        assert_eq!(listed(1, &["caution", "healthy"]), ["a", "s"]);
        assert_eq!(listed(2, &[]), [""; 0]);
    }
}
