//! What changed, and how the catalog was: the commands and the HTTP API, on a project that lives on.

use lineaged::demo::Project;

use crate::support::{ENVIRONMENT, World, json};

const ORDERS: &str = "model.mini_shop.orders";

/// When the last sync had ended.
fn now(world: &World) -> String {
    world.cells("SELECT max(finished_at) FROM syncs").remove(0)
}

/// A world that was synced, changed by `change` and synced again; and the moments after both syncs.
fn changed(change: impl FnOnce(&mut Project)) -> (World, String) {
    let world = World::bundled();
    world.ok(&["sync"]);
    let first = now(&world);
    world.change(change);
    world.ok(&["sync"]);
    (world, first)
}

#[test]
fn a_column_that_is_gone_or_retyped_is_marked_with_what_stands_on_it() {
    let (world, first) = changed(|project| {
        project.remove_column(ORDERS, "status");
        project.retype_column(ORDERS, "amount", "VARCHAR");
        project.retype_column("model.mini_shop.customer_segments", "segment", "BIGINT");
        project.describe_column(ORDERS, "order_id", "other words");
    });
    let table = world.ok(&["changes", "--since", &first, "--until", "0m"]);
    // Each with what is touched, on lines of their own.
    let marks: Vec<&str> = table.split("\n  ! ").skip(1).collect();
    assert_eq!(marks.len(), 2, "nothing stands on customer_segments: {table}");
    assert!(marks[0].contains("orders: column amount has another type"), "{table}");
    assert!(marks[1].contains("orders: column status is gone"), "{table}");
    assert!(
        marks[0].contains("\n      exposures: churn_notebook, weekly_revenue_dashboard\n      owners: Ana Finance"),
        "{table}"
    );
    assert!(
        marks[1].contains("\n      exposures: weekly_revenue_dashboard\n"),
        "only what reads the column itself: {table}"
    );
    assert!(marks[1].contains("\n      columns: model.mini_shop.orders_incremental.status\n"), "{table}");
    assert_eq!(table.matches("column_removed !").count(), 1, "{table}");
    let page = world.ok(&["changes", "--since", &first, "--format", "markdown"]);
    assert!(page.contains("### May break what stands on it"), "{page}");
    assert!(page.contains("- ⚠ `model.mini_shop.orders`: column `status` is gone. "), "{page}");
    assert!(page.contains("column `order_id`, description: `Primary key` → `other words`"), "{page}");
    let rows = json(&world.ok(&["changes", "--field", "data_type", "--format", "json"]));
    assert_eq!(rows.len(), 2, "{rows:?}");
    assert!(rows.iter().all(|row| row["kind"] == "column_changed"), "{rows:?}");
}

#[test]
fn changes_are_of_the_time_that_was_asked_for() {
    let (world, first) = changed(|project| project.describe(ORDERS, "new"));
    let count = |arguments: &[&str]| json(&world.ok(&[&["changes", "--format", "json"], arguments].concat())).len();
    let all = count(&[]);
    assert_eq!(count(&["--until", &first]), all - 1);
    assert_eq!(count(&["--since", &now(&world)]), 1);
    assert_eq!(count(&["--since", "1d"]), all);
    assert_eq!(count(&["--until", "1d"]), 0);
    let wrong = world.run(&["changes", "--since", "yesteryear"]);
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
    assert!(wrong.stderr.contains("is no time: write 2026-03-31"), "{wrong:?}");
}

#[test]
fn code_is_compared_line_by_line_also_when_it_has_changed_again() {
    let (world, _) = changed(|project| project.set_code(ORDERS, "select 1 as a\nfrom {{ ref('x') }}"));
    world.change(|project| project.set_code(ORDERS, "select 2 as a\nfrom {{ ref('x') }}\u{1b}[31m"));
    world.ok(&["sync"]);
    let text = world.ok(&["changes", "--node", ORDERS, "--field", "raw_code", "--diff"]);
    for line in ["+select 1 as a", "-select 1 as a", "+select 2 as a", "+from {{ ref('x') }}\u{FFFD}[31m"] {
        assert!(text.lines().any(|other| other == line), "{line}: {text}");
    }
    let page = world.ok(&["changes", "--diff", "--format", "markdown"]);
    assert_eq!(page.matches("```diff").count(), 2, "{page}");
    let wrong = world.run(&["changes", "--diff", "--format", "json"]);
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
}

#[test]
fn as_of_a_time_every_command_shows_what_was_then() {
    let (world, first) = changed(|project| {
        project.describe(ORDERS, "new words");
        project.add_model("late_model", &[ORDERS]);
        project.remove("model.mini_shop.dim_customers.v1");
    });
    let ids = |arguments: &[&str]| -> Vec<String> {
        let rows = json(&world.ok(&[&["ls", "--format", "json"], arguments].concat()));
        rows.iter().map(|row| row["unique_id"].to_string()).collect()
    };
    let (then, is) = (ids(&["--as-of", &first]), ids(&[]));
    let late = "\"model.mini_shop.late_model\"".to_owned();
    let gone = "\"model.mini_shop.dim_customers.v1\"".to_owned();
    assert!(is.contains(&late) && !is.contains(&gone));
    assert!(!then.contains(&late) && then.contains(&gone));
    let show = |arguments: &[&str]| json(&world.ok(&[&["show", ORDERS, "--format", "json"], arguments].concat()));
    assert_eq!(show(&[])[0]["description"], "new words");
    assert_eq!(show(&["--as-of", &first])[0]["description"], "Order facts.");
    let below = world.ok(&["lineage", ORDERS, "--downstream", "1"]);
    assert!(below.contains("late_model"), "{below}");
    let below = world.ok(&["lineage", ORDERS, "--downstream", "1", "--as-of", &first]);
    assert!(!below.contains("late_model"), "{below}");
    let changes = json(&world.ok(&["changes", "--format", "json", "--as-of", &first, "--kind", "changed"]));
    assert!(changes.is_empty(), "{changes:?}");
    let early = world.run(&["ls", "--as-of", "2026-01-01"]);
    assert_eq!(early.code, Some(2), "{early:?}");
    assert!(early.stderr.contains("its history begins at"), "{early:?}");
    let said = world.run(&["status", "--as-of", &first]);
    assert!(said.stderr.contains("settings, column lineage, jobs and dimensions are as of now"), "{said:?}");
}

#[test]
fn as_of_a_time_statuses_runs_and_health_are_those_of_then() {
    const TEST: &str = "test.mini_shop.not_null_orders_amount.106140f9fd";
    let read = |world: &World, arguments: &[&str]| json(&world.ok(&[arguments, &["--format", "json"]].concat()));
    let world = World::served("interval = \"1h\"");
    world.ok(&["sync"]);
    let first = world.cells("SELECT max(finished_at) FROM syncs").remove(0);
    let of_node = |as_of: &[&str]| read(&world, &[&["show", ORDERS], as_of].concat()).remove(0);
    let of_health = |as_of: &[&str]| {
        read(&world, &[&["health", "--select", "orders,resource_type:model"], as_of].concat()).remove(0)
    };
    let freshness = |as_of: &[&str]| {
        let rows = read(&world, &[&["freshness", "--select", "source:raw_shop.customers"], as_of].concat());
        (rows[0]["status"].clone(), rows[0]["checked_at"].clone())
    };
    let before = (of_node(&[]), of_health(&[]), freshness(&["--as-of", &first]));
    world.change(|project| {
        project.break_node(ORDERS, "boom");
        project.fail_test(TEST, 3, "Got 3 results");
        project.freshness("source.mini_shop.raw_shop.customers", "error", None);
    });
    world.ok(&["sync"]);
    let failed = of_node(&[]);
    assert_eq!((&failed["last_run_status"], &failed["last_run_error"]), (&"error".into(), &"boom".into()));
    assert_eq!(failed["last_built_at"], before.0["last_built_at"], "the last success is pinned");
    let then = (of_node(&["--as-of", &first]), of_health(&["--as-of", &first]), freshness(&["--as-of", &first]));
    assert_eq!(then, before);
    assert_ne!(of_health(&[]), before.1);
    let site = world.serve();
    let served = |path: &str| site.connect().get(&format!("/api/v1/{path}")).json();
    let failed = format!("run_results?status=error&unique_id={ORDERS}");
    assert_eq!(served(&failed).as_array().map(Vec::len), Some(1));
    assert_eq!(served(&format!("{failed}&as_of={first}")).as_array().map(Vec::len), Some(0));
    let status = |query: &str| served(&format!("tests?unique_id={TEST}{query}"))[0]["status"].clone();
    assert_eq!((status(&format!("&as_of={first}")), status("")), ("pass".into(), "fail".into()));
}

#[test]
fn history_that_is_older_than_is_wanted_is_forgotten_by_the_next_sync() {
    let world = World::with(vec![(ENVIRONMENT, Project::bundled(lineaged::time::Timestamp::now()))], "");
    let path = world.folder.path().join("lineaged.toml");
    let config = std::fs::read_to_string(&path).expect("the configuration");
    world.ok(&["sync"]);
    world.change(|project| project.describe(ORDERS, "new words"));
    world.ok(&["sync"]);
    assert_eq!(world.cells("SELECT oldest_seq FROM catalog_info"), ["1"]);
    std::fs::write(&path, format!("[catalog]\nhistory = \"1ms\"\n{config}")).expect("written");
    let nodes = world.cells("SELECT count(*) FROM nodes");
    world.ok(&["sync"]);
    let (last, oldest) = (world.cells("SELECT last_seq + 1 FROM catalog_info"), "SELECT oldest_seq FROM catalog_info");
    assert_eq!(world.cells(oldest), last, "all of it was old");
    assert_eq!(world.cells("SELECT count(*) FROM nodes"), nodes);
    world.change(|project| project.describe(ORDERS, "newer words"));
    world.ok(&["sync"]);
    assert_eq!(
        world.cells("SELECT description FROM nodes WHERE name = 'orders' AND resource_type = 'model'"),
        ["newer words"]
    );
}
