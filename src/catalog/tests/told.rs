//! What files told of runs and checks beside the last of each node.

use super::*;
use crate::inventory::{Check, History, Run, RunResult};
use crate::selection::Needs;

fn at(hour: i64) -> Option<Timestamp> {
    Timestamp::from_millis(1_780_000_000_000 + hour * 3_600_000)
}

fn result(run: &str, status: &str, hour: i64) -> RunResult {
    RunResult {
        unique_id: "m".into(),
        run_id: run.into(),
        status: Some(status.into()),
        completed_at: at(hour),
        execution_seconds: Some(1.5),
        error: (status == "error").then(|| "boom".into()),
        failures: None,
    }
}

fn check(hour: i64, status: &str) -> Check {
    let check = FreshnessCheck { status: Some(status.into()), checked_at: at(hour), max_loaded_at: at(hour - 1) };
    Check { unique_id: "s".into(), check }
}

/// The last of these results and checks is what the node says.
fn inventory(results: &[RunResult], checks: &[Check]) -> Inventory {
    let last = results.last().expect("a result");
    let success = results.iter().rev().find(|result| result.is_success());
    let last_run = LastRun {
        status: last.status.clone(),
        attempt: last.status.clone(),
        at: last.completed_at,
        error: last.error.clone(),
        run_id: Some(last.run_id.clone()),
        executed_at: success.and_then(|result| result.completed_at),
        execution_seconds: success.and_then(|result| result.execution_seconds),
        success_run_id: success.map(|result| result.run_id.clone()),
        ..LastRun::default()
    };
    let model = Node { is_applied: Some(true), last_run, ..Node::new("m", ResourceType::Model) };
    let freshness = checks.last().expect("a check").check.clone();
    let source = Node { is_applied: Some(true), freshness, ..Node::new("s", ResourceType::Source) };
    let nodes = [model, source].map(|node| (node.unique_id.clone(), node.into())).into();
    Inventory { nodes, ..Inventory::default() }
}

fn sync(world: &mut TestCatalog, results: &[RunResult], checks: &[Check], run: &Run) {
    let fetched = inventory(results, checks);
    let mut catalog = world.open();
    let (started, ended) = (world.now(), world.now());
    let sync = catalog.start_sync(1, "env1", Trigger::Manual, started).expect("started");
    let stored = Stored::load(catalog.connection(), 1, &mut Pool::default(), &Inventory::default()).expect("loaded");
    let diff = diff(&stored.inventory, &fetched, &stored.tombstones);
    let runs = ["1", "2"].map(|run_id| Run { run_id: run_id.into(), ..run.clone() }).into();
    let mut history = History { results: results.to_vec(), checks: checks.to_vec(), runs };
    // A node that is not there has no history.
    history.results.push(RunResult { unique_id: "gone".into(), ..result("9", "error", 9) });
    let ending = Ending { counts: Some(diff.counts()), ..Ending::default() };
    let history = Some(&history);
    let applied = Applied { sync, environment_id: 1, fetched: &fetched, diff: &diff, history, ending: &ending };
    catalog.apply(&applied, ended).expect("applied");
}

fn rows(connection: &Connection, sql: &str) -> Vec<String> {
    let mut statement = connection.prepare(sql).expect(sql);
    let row = |row: &rusqlite::Row<'_>| row.get::<_, Option<String>>(0).map(Option::unwrap_or_default);
    statement.query_map([], row).expect(sql).collect::<Result<_, _>>().expect(sql)
}

const RESULTS: &str =
    "SELECT run_id || ' ' || status || ' ' || coalesce(execution_seconds, '-') || ' ' || coalesce(error, '-')
    FROM run_results ORDER BY completed_at";
const CHECKS: &str = "SELECT status FROM freshness_results ORDER BY checked_at";

#[test]
fn each_result_and_check_is_one_row_however_often_it_is_read() {
    let mut world = TestCatalog::new();
    let results = [result("1", "error", 1), result("2", "success", 2), result("3", "error", 3)];
    let checks = [check(1, "pass"), check(2, "warn")];
    let run = Run { status: Some("error".into()), ..Run::default() };
    sync(&mut world, &results[..2], &checks[..1], &run);
    for _ in 0..2 {
        sync(&mut world, &results, &checks, &run);
        let reader = open_to_read(&world.path()).expect("a catalog");
        assert_eq!(rows(&reader, RESULTS), ["1 error - boom", "2 success 1.5 -", "3 error - boom"]);
        assert_eq!(rows(&reader, CHECKS), ["pass", "warn"]);
    }
    let reader = open_to_read(&world.path()).expect("a catalog");
    assert_eq!(rows(&reader, "SELECT DISTINCT outcome FROM syncs"), ["applied"], "also with nothing to change");
    assert_eq!(
        rows(&reader, "SELECT printf('%s %s %d %d', run_id, status, node_count, failed_count) FROM runs ORDER BY 1"),
        ["1 error 1 1", "2 error 1 0", "3  1 1"]
    );
}

#[test]
fn a_run_keeps_what_is_known_and_learns_what_is_told_later() {
    let mut world = TestCatalog::new();
    let (results, checks) = ([result("1", "success", 1)], [check(1, "pass")]);
    sync(&mut world, &results, &checks, &Run { cause: Some("cron".into()), ..Run::default() });
    let later = Run { git_sha: Some("abc".into()), ..Run::default() };
    sync(&mut world, &results, &checks, &later);
    let reader = open_to_read(&world.path()).expect("a catalog");
    assert_eq!(rows(&reader, "SELECT cause || ' ' || git_sha FROM runs WHERE node_count = 1"), ["cron abc"]);
}

#[test]
fn what_was_told_later_is_not_there_before_and_pruned_with_its_time() {
    let mut world = TestCatalog::new();
    let results = [result("1", "error", 1), result("2", "success", 2), result("3", "success", 3)];
    let checks = [check(1, "pass"), check(2, "warn"), check(3, "pass")];
    let run = Run { status: Some("success".into()), ..Run::default() };
    sync(&mut world, &results[1..2], &checks[1..2], &run);
    let then = world.now();
    sync(&mut world, &results, &checks, &run);
    let before = open_as_of(&world.path(), then, None).expect("as of then");
    assert_eq!(rows(&before, RESULTS), ["2 success 1.5 -"]);
    assert_eq!(rows(&before, CHECKS), ["warn"]);
    let now = world.now();
    let mut catalog = world.open();
    catalog.forget(now, now).expect("pruned");
    assert_eq!(
        rows(catalog.connection(), RESULTS),
        ["3 success 1.5 -"],
        "from the last of each node its history goes on"
    );
    assert_eq!(rows(catalog.connection(), CHECKS), ["pass"]);
    assert_eq!(rows(catalog.connection(), "SELECT run_id FROM run"), Vec::<String>::new());
}

/// A check at an hour that saw data of another; one without an hour has failed.
fn saw(hour: Option<i64>, loaded: Option<i64>) -> Check {
    let check = FreshnessCheck {
        status: Some(if loaded.is_some() { "pass" } else { "error" }.into()),
        checked_at: hour.and_then(at),
        max_loaded_at: loaded.and_then(at),
    };
    Check { unique_id: "s".into(), check }
}

/// What selection knows of the model's last run and of the source's last check.
fn selected_by(connection: &Connection) -> (Option<String>, bool) {
    let needs = Needs { last_run_status: true, is_fresher: true, ..Needs::default() };
    let (project, ids) = selectable(connection, 1, needs).expect("read");
    assert_eq!(ids, ["m", "s"]);
    (project.nodes[0].last_run_status.clone(), project.nodes[1].is_fresher)
}

#[test]
fn a_source_is_fresher_where_its_last_check_saw_newer_data_than_the_one_before() {
    let seen = |hour, loaded| saw(Some(hour), Some(loaded));
    let (nothing, failed) = (|hour| saw(Some(hour), None), || saw(None, None));
    let one_by_one = |checks: Vec<Check>| checks.into_iter().map(|check| vec![check]).collect::<Vec<_>>();
    let cases = [
        (one_by_one(vec![seen(1, 0)]), true),
        (one_by_one(vec![seen(1, 0), seen(2, 1)]), true),
        (one_by_one(vec![seen(1, 0), seen(2, 0)]), false),
        (one_by_one(vec![seen(2, 1), seen(3, 0)]), false),
        (one_by_one(vec![seen(1, 0), seen(2, 1), seen(3, 1)]), false),
        (one_by_one(vec![nothing(1)]), false),
        (one_by_one(vec![seen(1, 0), nothing(2)]), false),
        (one_by_one(vec![nothing(1), seen(2, 1)]), true),
        (one_by_one(vec![seen(1, 0), nothing(2), seen(3, 2)]), true),
        (one_by_one(vec![failed()]), false),
        (one_by_one(vec![seen(1, 0), failed()]), false),
        (one_by_one(vec![failed(), seen(2, 1)]), true),
        (one_by_one(vec![seen(1, 0), failed(), seen(3, 0)]), false),
        (one_by_one(vec![seen(1, 0), failed(), seen(3, 2)]), true),
        // Several that files tell at once; and one that they tell later than the one after it.
        (vec![vec![seen(1, 0), seen(2, 1)]], true),
        (vec![vec![seen(1, 0), seen(2, 0)]], false),
        (vec![vec![seen(1, 0)], vec![seen(2, 1), seen(3, 1)]], false),
        (vec![vec![seen(3, 1)], vec![seen(2, 1), seen(3, 1)]], false),
    ];
    for (number, (syncs, expected)) in cases.into_iter().enumerate() {
        let mut world = TestCatalog::new();
        for checks in &syncs {
            sync(&mut world, &[result("1", "success", 1)], checks, &Run::default());
        }
        let reader = open_to_read(&world.path()).expect("a catalog");
        assert_eq!(selected_by(&reader).1, expected, "case {number}: {syncs:?}");
    }
}

#[test]
fn a_check_is_not_the_first_where_the_one_before_was_forgotten() {
    let mut world = TestCatalog::new();
    let (same, run) = ([saw(Some(1), Some(0)), saw(Some(2), Some(0))], Run::default());
    sync(&mut world, &[result("1", "success", 1)], &same, &run);
    let now = world.now();
    let mut catalog = world.open();
    catalog.forget(now, now).expect("pruned");
    assert_eq!(rows(catalog.connection(), "SELECT count(*) || '' FROM freshness_results"), ["1"]);
    assert!(!selected_by(catalog.connection()).1);
}

#[test]
fn as_of_a_time_results_and_fresher_sources_are_those_of_then() {
    let mut world = TestCatalog::new();
    let run = Run::default();
    sync(&mut world, &[result("1", "error", 1)], &[saw(Some(1), Some(0))], &run);
    let then = world.now();
    sync(&mut world, &[result("2", "success", 2)], &[saw(Some(2), Some(0))], &run);
    let before = open_as_of(&world.path(), then, None).expect("as of then");
    assert_eq!(selected_by(&before), (Some("error".to_owned()), true));
    let now = open_to_read(&world.path()).expect("a catalog");
    assert_eq!(selected_by(&now), (Some("success".to_owned()), false));
    let unasked = selectable(&now, 1, Needs::default()).expect("read").0.nodes;
    assert!(unasked.iter().all(|node| node.last_run_status.is_none() && !node.is_fresher));
}
