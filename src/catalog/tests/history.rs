//! The catalog as it was, and what pruning leaves of its history.

use crate::answers::{Question, Reader};
use std::sync::Arc;
use std::time::Instant;

use rusqlite::types::ValueRef;

use super::*;

/// Compiled code is not kept, what a file is has no history, and column lineage is of now.
fn query(view: &str) -> String {
    let columns = match view {
        "code" => "environment_id, unique_id, language, raw_code",
        "catalog_info" => "contract_version, schema_version, lineaged_version, last_seq, oldest_seq",
        _ => "*",
    };
    let only = if view == "code" { "WHERE raw_code IS NOT NULL" } else { "" };
    format!("SELECT {columns} FROM {view} {only}")
}

/// Every view, each row a line.
type Shown = BTreeMap<String, Vec<String>>;

fn lines(connection: &Connection, sql: &str) -> Vec<String> {
    let mut statement = connection.prepare(sql).expect(sql);
    let width = statement.column_count();
    let line = |row: &rusqlite::Row<'_>| {
        let cell = |n: usize| match row.get_ref(n).expect("a cell") {
            ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
            other => format!("{other:?}"),
        };
        Ok((0..width).map(cell).collect::<Vec<_>>().join(" "))
    };
    let mut lines = statement.query_map([], line).expect(sql).collect::<Result<Vec<_>, _>>().expect(sql);
    lines.sort();
    lines
}

fn shown(connection: &Connection) -> Shown {
    let views = texts(connection, "SELECT name FROM sqlite_schema WHERE type = 'view'");
    let of_then = views.into_iter().filter(|view| !view.starts_with("column_"));
    let mut shown: Shown = of_then.map(|view| (view.clone(), lines(connection, &query(&view)))).collect();
    // What coverage stands on, and no view shows.
    let meant = "SELECT environment_id, unique_id, tested_column FROM node
                 WHERE removed_at IS NULL AND resource_type IN ('test', 'unit_test')";
    shown.insert("tested_column".to_owned(), lines(connection, meant));
    shown
}

/// The same, with the clock at `time`.
fn shown_at(path: &std::path::Path, time: Timestamp) -> Shown {
    let connection = Connection::open(path).expect("open");
    let clock = format!("BEGIN; INSERT INTO fixed_clock VALUES (1, '{time}')");
    connection.execute_batch(&clock).expect("the clock");
    shown(&connection)
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis).expect("a time")
}

fn as_of(path: &std::path::Path, time: Timestamp) -> Result<Connection, Error> {
    open_as_of(path, time, None)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn as_of_equals_a_catalog_of_only_the_syncs_until_then(
        history in prop::collection::vec((1_i64..3, arbitrary_inventory()), 2..7),
        cut in 1_usize..6,
        later in 0_i64..1999,
    ) {
        let cut = cut.min(history.len() - 1);
        let (mut whole, mut part) = (TestCatalog::new(), TestCatalog::new());
        for (environment, inventory) in &history {
            whole.sync_of(*environment, inventory).expect("applied");
        }
        for (environment, inventory) in &history[..cut] {
            part.sync_of(*environment, inventory).expect("applied");
        }
        // A sync begins and ends a second after what was before it: until the next one has ended, nothing is different.
        let time = at(part.clock + later);
        let then = as_of(&whole.path(), time).expect("the catalog of then");
        let (is, was) = (shown(&then), shown_at(&part.path(), time));
        for (view, rows) in &was {
            prop_assert_eq!(&is[view], rows, "view {}", view);
        }
        for word in ["name", "text", "words", "c1"] {
            let hits = format!("SELECT rowid FROM search WHERE search MATCH '{word}' ORDER BY 1");
            let ids = |connection: &Connection| {
                texts(connection, &format!("SELECT environment_id || unique_id FROM node WHERE node_key IN ({hits}) ORDER BY 1"))
            };
            prop_assert_eq!(ids(&then), ids(&open_to_read(&part.path()).expect("a catalog")), "{}", word);
        }
        prop_assert!(then.execute("DELETE FROM change", []).is_err(), "it is for reading only");
    }
}

#[test]
fn a_time_before_the_first_sync_has_no_answer() {
    let mut test = TestCatalog::new();
    test.sync(&one_node());
    let early = at(test.clock - 1);
    let error = as_of(&test.path(), early).expect_err("too early");
    assert!(error.to_string().contains("its history begins at 2026"), "{error}");
    let copy = as_of(&test.path(), early.plus_millis(1)).expect("the catalog of then");
    assert_eq!(copy.path(), Some(""), "a file without a name is gone with its process");
    assert!(as_of(&test.path(), early.plus_millis(1_000_000_000)).is_ok(), "the future has no other syncs than now");
}

#[test]
fn a_copy_that_is_not_done_in_time_is_given_up() {
    let mut test = TestCatalog::new();
    test.sync(&one_node());
    let error = open_as_of(&test.path(), at(test.clock), Some(Instant::now())).expect_err("at once");
    assert!(error.is_interrupted(), "{error:?}");
}

#[test]
fn what_is_committed_later_does_not_show_in_an_open_moment() {
    let mut test = TestCatalog::new();
    test.sync(&one_node());
    let moment = Reader::open(&test.path(), None).expect("a moment");
    test.sync(&Inventory::default());
    let count = |reader: &Reader, view| reader.count(view, &Question::default()).expect("a number");
    assert_eq!((count(&moment, "nodes"), count(&moment, "syncs")), (1, 1));
    assert_eq!(count(&Reader::open(&test.path(), None).expect("a moment"), "nodes"), 0);
}

#[test]
fn times_between_the_same_syncs_are_one_state_with_two_clocks() {
    let mut test = TestCatalog::new();
    test.sync(&one_node());
    let (first, path) = (test.clock, test.path());
    test.sync(&Inventory::default());
    let state = |time| state_at(&open_to_read(&path).expect("a catalog"), at(time)).expect("a state");
    assert_eq!(state(first), state(first + 999));
    assert_ne!(state(first), state(test.clock));
    let copy = as_of(&path, at(first)).expect("the catalog of then");
    set_clock(&copy, at(first + 999)).expect("set");
    let clock = format!("SELECT CAST(round((day - julianday('{}')) * 86400000) AS INTEGER) FROM _clock", at(first));
    assert_eq!(numbers(&copy, &clock), [999]);
    assert!(copy.execute("DELETE FROM change", []).is_err(), "it is for reading only");
    let before = state(test.clock);
    test.open().forget(at(test.clock), at(test.clock)).expect("pruned");
    assert_ne!(state(test.clock), before, "history was forgotten");
    test.open().connection.execute_batch("INSERT INTO setting VALUES ('stale_after_days', '7')").expect("set");
    assert_ne!(state(test.clock), before, "settings are as of now");
}

fn with_run(last_run: LastRun) -> Inventory {
    let mut inventory = one_node();
    for node in inventory.nodes.values_mut().map(Arc::make_mut) {
        node.last_run = last_run.clone();
    }
    inventory
}

#[test]
fn a_success_that_is_pinned_is_a_row_of_its_own_and_a_run_told_twice_is_one() {
    let mut test = TestCatalog::new();
    let failed = LastRun {
        status: Some("error".into()),
        attempt: Some("error".into()),
        at: Some(days_before(1)),
        error: Some("boom".into()),
        run_id: Some("6".into()),
        job_id: Some(3),
        failures: None,
        executed_at: Some(days_before(2)),
        execution_seconds: Some(1.5),
        success_run_id: Some("5".into()),
    };
    test.sync(&with_run(failed.clone()));
    let first = at(test.clock);
    test.sync(&with_run(LastRun { error: Some("boom, in other words".into()), ..failed }));
    let results = "SELECT run_id, status, completed_at, execution_seconds, error, job_id FROM run_results";
    let pinned = format!("5 success {} Real(1.5) Null Null", days_before(2));
    let told = |error: &str| format!("6 error {} Null {error} Integer(3)", days_before(1));
    let now = open_to_read(&test.path()).expect("a catalog");
    assert_eq!(lines(&now, results), [pinned.clone(), told("boom, in other words")]);
    let then = as_of(&test.path(), first).expect("the catalog of then");
    assert_eq!(lines(&then, results), [pinned, told("boom")]);
    let error = "SELECT last_run_error FROM nodes";
    assert_eq!((texts(&then, error), texts(&now, error)), (vec!["boom".into()], vec!["boom, in other words".into()]));
}

#[test]
fn the_clock_of_then_tells_how_late_a_source_was() {
    let mut test = TestCatalog::new();
    let criteria = json!({"freshness": {"warn_after": {"count": 1, "period": "hour"}}});
    let source = Node {
        properties: Json::new(&criteria),
        freshness: FreshnessCheck {
            status: Some("pass".into()),
            checked_at: Some(days_before(0)),
            max_loaded_at: Some(days_before(0)),
        },
        ..Node::new("source.s", ResourceType::Source)
    };
    test.sync(&Inventory { nodes: [(source.unique_id.clone(), source.into())].into(), ..Inventory::default() });
    let status = "SELECT status || ' ' || CAST(round(age_seconds) AS INTEGER) FROM freshness";
    for (minutes, expected) in [(30, "pass 1800"), (90, "overdue 5400")] {
        let then = as_of(&test.path(), days_before(0).plus_millis(minutes * 60_000)).expect("the catalog of then");
        assert_eq!(texts(&then, status), [expected]);
    }
}

/// What a pruned catalog still says of a time that it reaches back to.
fn without_the_pruned(mut shown: Shown) -> Shown {
    let runs = ["run_results", "runs", "_run_figures", "_seen_results", "_told_beside"];
    let listed = ["changes", "catalog_info", "syncs", "freshness_results", "health_history"].into_iter().chain(runs);
    let listed: Vec<&str> = listed.collect();
    shown.retain(|view, _| !listed.contains(&view.as_str()));
    shown
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn pruning_forgets_whole_syncs_from_the_old_end_and_nothing_else(
        history in prop::collection::vec(arbitrary_inventory(), 2..7),
        cut in 0_usize..6,
    ) {
        let mut test = TestCatalog::new();
        let ends: Vec<i64> = history.iter().map(|inventory| { test.sync(inventory); test.clock }).collect();
        let path = test.path();
        let read = || open_to_read(&path).expect("a catalog");
        let now = at(test.clock);
        let (before, state) = (shown_at(&path, now), follow(&read()));
        let kept_from = at(ends[cut.min(ends.len() - 1)]);
        let seqs = "SELECT seq FROM changes ORDER BY seq";
        let kept = numbers(&read(), &format!("SELECT seq FROM changes WHERE changed_at >= '{kept_from}' ORDER BY seq"));
        let forgotten = numbers(&read(), seqs).len() - kept.len();
        // When a node changed, or went, is known until the horizon at most.
        let then = |end: &&i64| as_of(&path, at(**end)).ok().map(|then| {
            then.execute_batch("PRAGMA query_only = off; UPDATE node SET last_changed_at = ''").expect("levelled");
            let mut shown = without_the_pruned(shown(&then));
            shown.retain(|view, _| !["removed_nodes", "environments", "coverage_history"].contains(&view.as_str()));
            shown
        });
        let thens: Vec<_> = ends.iter().filter(|end| **end >= kept_from.millis()).map(|end| (end, then(&end))).collect();
        prop_assert_eq!(test.open().forget(kept_from, at(ends[ends.len() - 1])).expect("pruned"), forgotten);
        prop_assert_eq!(numbers(&read(), seqs), kept.clone());
        let oldest = kept.first().copied().unwrap_or(before["changes"].len() as i64 + 1);
        prop_assert_eq!(numbers(&read(), "SELECT oldest_seq FROM catalog_info"), [oldest]);
        let is = shown_at(&path, now);
        for (view, was) in without_the_pruned(before) {
            prop_assert_eq!(&was, &is[&view], "view {}", view);
        }
        prop_assert_eq!(numbers(&read(), "SELECT count(*) FROM pragma_foreign_key_check"), [0]);
        prop_assert_eq!(numbers(&read(), UNRESOLVED_CODE), [0], "code is kept as long as something refers to it");
        // What is left of the history still leads from its beginning to now.
        for (end, was) in thens {
            prop_assert_eq!(was, then(&end), "as of {}", end);
        }
        let early = as_of(&path, at(ends[0] - 1)).expect_err("forgotten");
        prop_assert!(matches!(early, Error::TooEarly { .. }), "{early:?}");
        test.sync(&history[0]);
        test.sync(&history[history.len() - 1]);
        prop_assert_eq!(as_json(&test.stored()), state, "syncs go on as before");
    }
}

const UNRESOLVED_CODE: &str = "
    SELECT count(*) FROM (
        SELECT before ->> '$.sha256' AS code FROM changes WHERE field = 'raw_code'
        UNION ALL SELECT after ->> '$.sha256' FROM changes WHERE field = 'raw_code'
        UNION ALL SELECT after ->> '$.raw_code.sha256' FROM changes WHERE kind IN ('added', 'restored'))
    WHERE code IS NOT NULL AND code NOT IN (SELECT sha256 FROM raw_code)";
