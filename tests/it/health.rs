//! Health from end to end: what the bundled project's runs and checks say, the limits of the configuration, and the command.

use lineaged::demo::Project;
use lineaged::inventory::LastRun;
use lineaged::time::Timestamp;
use serde_json::Value;

use crate::support::{ENVIRONMENT, World, json};

const DAY: i64 = 86_400_000;

impl World {
    /// Each node's state and reasons, as `state: code root, …` with the bundled project's prefixes left out.
    fn health(&self) -> Vec<(String, String)> {
        let short = |text: &str| text.replace("mini_shop.", "");
        let line = |row: Vec<String>| {
            let reasons: Vec<Value> = serde_json::from_str(&row[2]).expect("JSON");
            let reason = |reason: &Value| {
                let text = |name: &str| reason[name].as_str().unwrap_or_default().to_owned();
                assert!(!text("sentence").is_empty(), "{reason}");
                short(&format!("{} {}", text("code"), text("root_id"))).trim().to_owned()
            };
            (short(&row[0]), format!("{}: {}", row[1], reasons.iter().map(reason).collect::<Vec<_>>().join(", ")))
        };
        let rows = self.rows("SELECT unique_id, status, reasons FROM health ORDER BY unique_id");
        rows.into_iter().map(line).collect()
    }

    fn health_of(&self, id: &str) -> String {
        self.health().into_iter().find(|(found, _)| found == id).unwrap_or_else(|| panic!("no `{id}`")).1
    }
}

#[test]
fn the_bundled_project_is_judged_by_each_rule() {
    let world = World::bundled();
    world.ok(&["sync"]);
    let (error, warn) = ("source_error source.raw_shop.payments", "source_warn source.raw_shop.orders");
    for (id, health) in [
        (
            "exposure.churn_notebook",
            format!("degraded: {error}, {warn}, upstream_test_warned test.assert_no_returned_orders"),
        ),
        (
            "exposure.weekly_revenue_dashboard",
            format!("degraded: {error}, {warn}, upstream_test_warned test.assert_no_returned_orders"),
        ),
        (
            "model.after_broken",
            format!("degraded: {error}, no_description, no_tests, {warn}, upstream_model_failed model.broken_model"),
        ),
        ("model.broken_model", format!("degraded: build_failed, {error}, no_tests, {warn}")),
        (
            "model.customer_segments",
            format!("degraded: {error}, test_failed test.assert_fails, no_description, {warn}"),
        ),
        ("model.int_order_payments", format!("degraded: {error}, no_description, no_tests")),
        ("model.orders", format!("degraded: {error}, {warn}, test_warned test.assert_no_returned_orders")),
        ("model.stg_customers", "healthy: ".to_owned()),
        ("model.stg_orders", format!("caution: {warn}")),
        ("model.time_spine_daily", "caution: no_tests".to_owned()),
        ("source.raw_shop.customers", "healthy: ".to_owned()),
        ("source.raw_shop.orders", "caution: source_warn".to_owned()),
        ("source.raw_shop.payments", "degraded: source_error".to_owned()),
        ("source.raw_unused.refunds", "caution: source_no_criteria".to_owned()),
    ] {
        assert_eq!(world.health_of(id), health, "{id}");
    }
    assert_eq!(world.health().len(), 18);
}

#[test]
fn health_follows_what_the_next_runs_say() {
    let world = World::bundled();
    world.ok(&["sync"]);
    world.change(|project| {
        for source in ["orders", "payments"] {
            let id = format!("source.mini_shop.raw_shop.{source}");
            project.freshness(&id, "pass", Some(Timestamp::now()));
        }
        project.pass_test("test.mini_shop.assert_no_returned_orders");
        project.break_node("model.mini_shop.stg_customers", "no such table");
        project.fail_test("test.mini_shop.unique_stg_orders_order_id.e3b841c71a", 2, "Got 2 results");
    });
    world.ok(&["sync"]);
    assert_eq!(world.health_of("model.orders"), "healthy: ");
    assert_eq!(world.health_of("model.stg_customers"), "degraded: build_failed");
    assert_eq!(world.health_of("model.stg_orders"), "degraded: test_failed test.unique_stg_orders_order_id.e3b841c71a");
    assert_eq!(
        world.health_of("exposure.weekly_revenue_dashboard"),
        "degraded: upstream_model_failed model.stg_customers, \
         upstream_test_failed test.unique_stg_orders_order_id.e3b841c71a"
    );
    world.change(|project| project.build("model.mini_shop.stg_customers"));
    world.ok(&["sync"]);
    assert_eq!(world.health_of("model.stg_customers"), "healthy: ");
}

#[test]
fn the_limit_of_days_is_configured_and_counts_for_builds_and_checks() {
    let ago = || Project::bundled(Timestamp::now().plus_millis(-10 * DAY));
    for (days, model, source) in [(11, "healthy: ", "healthy: "), (9, "not_built_recently", "source_not_checked")] {
        let world = World::with(vec![(ENVIRONMENT, ago())], &format!("[health]\nstale_after_days = {days}"));
        world.ok(&["sync"]);
        assert!(world.health_of("model.stg_customers").contains(model), "{days}: {:?}", world.health());
        assert!(world.health_of("source.raw_shop.customers").contains(source), "{days}: {:?}", world.health());
    }
}

#[test]
fn a_project_that_no_run_has_built_is_unknown_and_not_blamed() {
    let mut project = Project::bundled(Timestamp::now());
    project.unapply("model.mini_shop.time_spine_daily");
    project.edit("model.mini_shop.time_spine_daily", |node| node.last_run = LastRun::default());
    let world = World::of(project);
    world.ok(&["sync"]);
    assert_eq!(world.health_of("model.time_spine_daily"), "unknown: never_built");
}

#[test]
fn the_command_lists_the_worst_first_and_can_fail_a_check() {
    let world = World::bundled();
    world.ok(&["sync"]);
    let listed = json(&world.ok(&["health", "--format", "json"]));
    let columns: Vec<&String> = listed[0].as_object().expect("a row").keys().collect();
    assert_eq!(columns, ["environment_id", "reasons", "resource_type", "since", "status", "unique_id"]);
    let statuses: Vec<&str> = listed.iter().map(|row| row["status"].as_str().expect("text")).collect();
    assert_eq!((listed.len(), statuses[0], statuses[17]), (18, "degraded", "healthy"));
    let ran = world.run(&["health"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    for line in ["caution   model.mini_shop.time_spine_daily", "the last run failed to build it"] {
        assert!(ran.stdout.contains(line), "{}", ran.stdout);
    }
    let since = listed[0]["since"].as_str().expect("a time");
    assert_eq!(since, world.cells("SELECT finished_at FROM syncs")[0]);
    assert!(ran.stdout.contains(since), "{}", ran.stdout);
    assert!(ran.stderr.contains("12 degraded, 4 caution, 0 unknown, 2 healthy"), "{}", ran.stderr);
    let ran = world.run(&["health", "--fail-on", "degraded", "--limit", "1"]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.stderr.contains("12 nodes fail the check: exposure.mini_shop.churn_notebook, "), "{}", ran.stderr);
    assert!(ran.stderr.contains("and 2 more"), "{}", ran.stderr);
    assert_eq!(world.run(&["health", "--fail-on", "degraded", "--status", "caution"]).code, Some(0));
    assert_eq!(world.run(&["health", "--fail-on", "caution", "--status", "caution"]).code, Some(3));
    let healthy = json(&world.ok(&["health", "--status", "healthy", "--format", "json", "--fail-on", "caution"]));
    assert_eq!(healthy.len(), 2, "{healthy:?}");
    assert_eq!(world.run(&["health", "--status", "fine"]).code, Some(2));
}
