//! `lineaged runs` and `tests`, and what `show`, `status` and `changes` tell of jobs and dimensions: over rows as the platform's other
//! interfaces leave them.

use lineaged::demo::Project;
use lineaged::time::Timestamp;
use rusqlite::Connection;
use serde_json::{Value, json as value};

use crate::support::{ENVIRONMENT, World, json};

const BROKEN: &str = "model.mini_shop.broken_model";
const AMOUNT_TEST: &str = "test.mini_shop.not_null_orders_amount.106140f9fd";
const REVENUE: &str = "metric.mini_shop.revenue";

/// The run of the bundled project's artifacts.
const FIRST: &str = "70403001";

/// What the other interfaces tell of a synced catalog.
fn tell(world: &World, sql: &str) {
    Connection::open(world.catalog()).expect("the catalog").execute_batch(sql).expect("the rows");
}

/// The bundled project, synced; its run is known to the Admin API, and so are one that no node names and two jobs.
fn told() -> World {
    let world = World::bundled();
    world.ok(&["sync"]);
    let soon = Timestamp::now().plus_millis(3_600_000);
    tell(
        &world,
        &format!(
            "INSERT INTO job (environment_id, job_id, name, job_type, next_run_at, last_run_id, last_run_status, last_run_at) VALUES
             ({ENVIRONMENT}, 5001, 'Nightly', 'scheduled', '{soon}', '{FIRST}', 'error', '2026-03-02T06:00:00.000Z'),
             ({ENVIRONMENT}, 5002, 'Never ran', 'other', NULL, NULL, NULL, NULL);
             INSERT INTO run (environment_id, run_id, sync_id, job_id, job_name, status, started_at, finished_at, duration_seconds,
                              git_sha, cause, error) VALUES
             ({ENVIRONMENT}, '{FIRST}', 1, 5001, 'Nightly', 'error', '2026-03-02T05:58:00.000Z', '2026-03-02T06:00:00.000Z', 119.6,
              '0123456789abcdef', 'scheduled', 'dbt build \u{1b}[31mfailed'),
             ({ENVIRONMENT}, '70402000', 1, 5001, 'Nightly', 'cancelled', '2026-03-01T05:58:00.000Z', '2026-03-01T06:00:00.000Z', 120,
              'fedcba9876543210', 'by ana@example.com', NULL);"
        ),
    );
    world
}

fn run_ids(world: &World, arguments: &[&str]) -> Vec<String> {
    let rows = json(&world.ok(&[&["runs", "--format", "json"], arguments].concat()));
    rows.iter().map(|row| row["run_id"].as_str().expect("an id").to_owned()).collect()
}

#[track_caller]
fn assert_shows(screen: &str, parts: &[&str]) {
    for part in parts {
        assert!(screen.contains(part), "`{part}` is missing in\n{screen}");
    }
}

#[test]
fn runs_are_listed_newest_first_and_by_job_end_and_time() {
    let world = told();
    assert_eq!(run_ids(&world, &[]), [FIRST, "70402000"]);
    assert_eq!(run_ids(&world, &["--failed"]), [FIRST, "70402000"]);
    for job in ["Nightly", "5001"] {
        assert_eq!(run_ids(&world, &["--job", job]), [FIRST, "70402000"], "{job}");
    }
    assert_eq!(run_ids(&world, &["--job", "Never ran"]), [""; 0]);
    assert_eq!(run_ids(&world, &["--until", "2026-03-01"]), ["70402000"]);
    assert_eq!(run_ids(&world, &["--since", "2026-03-02"]), [FIRST]);
    let unknown = world.run(&["runs", "--job", "Weekly"]);
    assert_eq!(unknown.code, Some(2), "{unknown:?}");
    assert!(unknown.stderr.contains("there is no job `Weekly`, but `Never ran`, `Nightly`"), "{unknown:?}");
    let few = world.run(&["runs", "--limit", "1"]);
    assert_shows(
        &few.stdout,
        &["RUN_ID", "Nightly", "2026-03-02T05:58:00.000Z", "120 s", " 40 ", "scheduled", "0123456\n"],
    );
    assert!(few.stderr.contains("1 more rows are left out"), "{few:?}");
    assert!(!few.stdout.contains("ENVIRONMENT") && !few.stdout.contains("COMPLETED_AT"), "{few:?}");
}

#[test]
fn people_see_the_last_twenty_runs_and_how_many_more_there_are() {
    let world = told();
    tell(
        &world,
        &format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30)
             INSERT INTO run (environment_id, run_id, sync_id) SELECT {ENVIRONMENT}, 'old ' || i, 1 FROM n"
        ),
    );
    let ran = world.run(&["runs"]);
    assert_eq!(ran.stdout.lines().count(), 21, "{ran:?}");
    assert!(ran.stderr.contains("12 more rows are left out"), "{ran:?}");
    assert_eq!(run_ids(&world, &[]).len(), 32, "json is whole");
}

#[test]
fn a_run_is_told_on_one_screen_and_as_rows_of_its_nodes() {
    let world = told();
    let screen = world.ok(&["runs", FIRST]);
    assert!(screen.starts_with(&format!("run {FIRST} in prod\n job ")), "{screen}");
    assert_shows(
        &screen,
        &[
            "Nightly (5001)\n",
            "error\n",
            "scheduled\n",
            "0123456789abcdef\n",
            "dbt build \u{FFFD}[31mfailed\n",
            "\nnodes: 40 (1 error, 1 fail, ",
            &format!("\n  error: {BROKEN}\n      "),
            "deliberate failure",
            "\n  fail: test.mini_shop.assert_fails\n      Got 100 results",
            "\nthe rest: ",
        ],
    );
    let short = world.ok(&["runs", FIRST, "--limit", "1"]);
    assert!(!short.contains("assert_fails") && short.contains(" more: raise `--limit`\n"), "{short}");
    let rows = json(&world.ok(&["runs", FIRST, "--format", "json"]));
    assert_eq!(rows.len(), 40);
    assert!(rows.iter().all(|row| row["run_id"] == FIRST && row["environment_id"] == ENVIRONMENT), "{rows:?}");
    let csv = world.ok(&["runs", FIRST, "--format", "csv"]);
    assert!(csv.starts_with("environment_id,unique_id,run_id,job_id,status,"), "{csv}");
    assert_eq!(world.run(&["runs", FIRST, "--failed"]).code, Some(2), "one run is no list");
}

#[test]
fn a_run_that_no_node_names_says_so_and_one_that_nobody_knows_is_refused() {
    let world = told();
    let screen = world.ok(&["runs", "70402000"]);
    assert_shows(&screen, &["cancelled\n", "by ana@example.com\n", "\nno node names this run any more: "]);
    let ran = world.run(&["runs", "70402000", "--format", "json"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "[]\n"), "{ran:?}");
    assert!(ran.stderr.contains("no node names this run any more"), "{ran:?}");
    let ran = world.run(&["runs", "1"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.stderr.contains(&format!("no run `1` is known: the newest are `{FIRST}`, `70402000`")), "{ran:?}");
}

#[test]
fn runs_of_several_environments_are_told_apart() {
    let project = || Project::bundled(Timestamp::now());
    let world = World::with(vec![(1, project()), (2, project())], "");
    world.ok(&["sync"]);
    let listed = world.ok(&["runs"]);
    assert_shows(&listed, &["ENVIRONMENT", " prod ", " env2 "]);
    let ran = world.run(&["runs", FIRST]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.stderr.contains("add `--environment` with one of `env2`, `prod`"), "{ran:?}");
    assert!(world.ok(&["runs", FIRST, "--environment", "env2"]).starts_with(&format!("run {FIRST} in env2\n")));
}

#[test]
fn runs_are_as_they_were_and_it_is_said_what_is_of_now() {
    let world = told();
    let then = world.cells("SELECT max(finished_at) FROM syncs").remove(0);
    world.change(|project| project.build("model.mini_shop.orders"));
    world.ok(&["sync"]);
    assert_eq!(run_ids(&world, &[]).len(), 3);
    let ran = world.run(&["runs", "--as-of", &then, "--format", "json"]);
    assert_eq!(json(&ran.stdout).len(), 2);
    assert!(ran.stderr.contains("jobs and dimensions are as of now"), "{ran:?}");
}

#[test]
fn tests_are_listed_the_worst_first_and_by_how_they_ended() {
    let world = World::bundled();
    world.change(|project| project.fail_test(AMOUNT_TEST, 3, "Got 3 results"));
    world.ok(&["sync"]);
    let rows = |arguments: &[&str]| json(&world.ok(&[&["tests", "--format", "json"], arguments].concat()));
    let all = rows(&[]);
    let statuses: Vec<&str> = all.iter().map(|row| row["status"].as_str().expect("a status")).collect();
    assert!(
        statuses.starts_with(&["error", "fail", "fail", "warn"]) || statuses.starts_with(&["fail", "fail", "warn"])
    );
    let ids = |rows: Vec<Value>| -> Vec<String> {
        rows.iter().map(|row| row["unique_id"].as_str().expect("an id").to_owned()).collect()
    };
    let failed = ids(rows(&["--status", "error,fail"]));
    assert!(failed.contains(&AMOUNT_TEST.to_owned()), "{failed:?}");
    assert_eq!(ids(rows(&["--status", "error", "--status", "fail"])), failed);
    let of_orders = rows(&["--select", "orders,resource_type:model", "+test_type:generic,orders"]);
    assert!(of_orders.iter().any(|row| row["unique_id"] == AMOUNT_TEST), "{of_orders:?}");
    assert_eq!(world.run(&["tests", "--status", "none"]).code, Some(2));
    let screen = world.run(&["tests", "--limit", "2"]);
    assert_shows(&screen.stdout, &["TEST_NAME", "TESTED_ID", "not_null", "Got 3 results"]);
    assert!(screen.stderr.contains("more rows are left out"), "{screen:?}");
}

#[test]
fn show_names_the_job_of_the_last_run_and_the_dimensions_of_a_metric() {
    let world = told();
    let screen = world.ok(&["show", "model.mini_shop.orders"]).split_whitespace().collect::<Vec<_>>().join(" ");
    assert_shows(&screen, &[&format!("run {FIRST} of job `Nightly` (5001), which next runs at 20")]);
    assert!(!world.ok(&["show", REVENUE]).contains("dimensions:"), "nobody told any");
    tell(
        &world,
        &format!(
            "UPDATE job SET next_run_at = '2026-01-01T00:00:00.000Z';
             INSERT INTO metric_dimension (node_key, name, type, granularities, entity_path)
             SELECT node_key, v.column1, v.column2, v.column3, v.column4 FROM node, (VALUES
                 ('metric_time', 'time', '[\"day\",\"week\"]', NULL), ('country', 'categorical', NULL, 'order__customer')) v
             WHERE unique_id = '{REVENUE}'"
        ),
    );
    let screen = world.ok(&["show", REVENUE]);
    assert_shows(
        &screen,
        &["\ndimensions: 2\n", " metric_time ", "day, week\n", " order__customer__country  categorical\n"],
    );
    let screen = world.ok(&["show", "model.mini_shop.orders"]).split_whitespace().collect::<Vec<_>>().join(" ");
    assert_shows(&screen, &["`Nightly` (5001), which was to run next at 2026-01-01"]);
}

#[test]
fn status_tells_of_jobs_and_of_interfaces_that_do_not_answer() {
    let world = told();
    let before = world.ok(&["status", "--format", "json"]);
    tell(
        &world,
        &format!(
            "INSERT INTO interface (environment_id, interface, failing_since, error) VALUES
             ({ENVIRONMENT}, 'semantic_layer', '2026-03-01T00:00:00.000Z', 'no such\u{1b} host')"
        ),
    );
    let screen = world.ok(&["status"]);
    assert_shows(
        &screen,
        &[
            &format!(
                "\nprod: job `Nightly` (5001) ran last (run {FIRST}, error at 2026-03-02T06:00:00.000Z); job `Nightly` (5001) runs next, at 20"
            ),
            "\nprod: no answer from the Semantic Layer since 2026-03-01T00:00:00.000Z: no such\u{FFFD} host; what was known of it stays\n",
        ],
    );
    assert_eq!(world.ok(&["status", "--format", "json"]), before);
    let now = Timestamp::now().to_string();
    assert!(!world.ok(&["status", "--as-of", &now]).contains("Nightly"), "jobs are of now");
}

#[test]
fn changes_of_dimensions_tell_only_what_differs() {
    let world = told();
    let list = |names: &[&str]| -> String {
        let one =
            |name: &&str| value!({"name": name, "type": "categorical", "granularities": [], "entity_path": "order"});
        Value::from(names.iter().map(one).collect::<Vec<_>>()).to_string()
    };
    let (before, after) = (list(&["country", "status"]), list(&["country", "channel"]));
    tell(
        &world,
        &format!(
            "INSERT INTO change (sync_id, node_key, resource_type, kind, field, before, after)
             SELECT 1, node_key, 'metric', 'changed', 'dimensions', '{before}', '{after}' FROM node WHERE unique_id = '{REVENUE}'"
        ),
    );
    let table = world.ok(&["changes", "--node", REVENUE, "--field", "dimensions"]);
    assert_shows(&table, &["order__status", "order__channel"]);
    assert!(!table.contains("country") && !table.contains('{'), "{table}");
    let page = world.ok(&["changes", "--node", REVENUE, "--field", "dimensions", "--format", "markdown"]);
    assert_shows(&page, &["  - dimensions: `order__status (categorical)` → `order__channel (categorical)`\n"]);
    let rows = json(&world.ok(&["changes", "--field", "dimensions", "--format", "json"]));
    assert_eq!(rows[0]["after"][1]["name"], "channel", "json is whole: {rows:?}");
}

#[test]
fn the_views_are_served_with_their_filters() {
    let world = World::served("interval = \"1h\"");
    world.ok(&["sync"]);
    tell(
        &world,
        &format!(
            "INSERT INTO job (environment_id, job_id, name) VALUES ({ENVIRONMENT}, 5001, 'Nightly');
             INSERT INTO run (environment_id, run_id, sync_id, status) VALUES ({ENVIRONMENT}, '7', 1, 'cancelled')"
        ),
    );
    let daemon = world.serve();
    let count = |path: &str| daemon.connect().get(path).json().as_array().map(Vec::len);
    assert_eq!(count("/api/v1/runs"), Some(2));
    assert_eq!(count("/api/v1/runs?job_name=Nightly"), Some(1));
    assert_eq!(count("/api/v1/runs?status=cancelled"), Some(1));
    assert_eq!(count("/api/v1/runs?run_id=7"), Some(1));
    assert_eq!(count("/api/v1/jobs?name=Nightly"), Some(1));
    assert_eq!(count("/api/v1/metric_dimensions"), Some(0));
    let refused = daemon.connect().get("/api/v1/runs?status=fine");
    assert!(refused.json()["detail"].to_string().contains("one of success, error, cancelled"), "{}", refused.json());
}
