//! `lineaged show`: one screen for each kind of node, its code, and that no text does harm.

use serde_json::json as value;

use crate::support::{World, json};

fn synced(change: impl FnOnce(&mut lineaged::demo::Project)) -> World {
    let world = World::bundled();
    world.change(change);
    world.ok(&["sync"]);
    world
}

#[track_caller]
fn assert_shows(screen: &str, parts: &[&str]) {
    for part in parts {
        assert!(screen.contains(part), "`{part}` is missing in\n{screen}");
    }
}

#[test]
fn a_model_is_told_whole_on_one_screen() {
    let world = synced(|project| {
        project.fail_test("test.mini_shop.not_null_orders_amount.106140f9fd", 3, "Got 3 results");
        project.set_meta(
            "model.mini_shop.orders",
            value!({"owner": "@finance", "nested": {"level": [1, 2]}, "none": null}),
        );
    });
    world.change(|project| project.describe_column("model.mini_shop.orders", "status", "Where it stands."));
    world.ok(&["sync"]);
    let screen = world.ok(&["show", "model.mini_shop.orders"]);
    assert!(screen.starts_with("model.mini_shop.orders in prod\n"), "{screen}");
    assert_shows(
        &screen,
        &[
            "  Order facts.\n",
            "  model, table\n",
            "  \"mini_shop\".\"analytics\".\"orders\"\n",
            "  models/marts/orders.sql\n",
            "  Finance <finance@example.com>, group finance\n",
            "  access public, contract enforced\n",
            "  marts, nightly\n",
            "  nested (level: 1, 2); owner: @finance\n",
            ", job 5001\n",
            "because of source.mini_shop.raw_shop.",
            "columns: 5\n",
            "unique (pass)",
            "not_null (fail)",
            "Where it stands.",
            "tests: 4 (1 fail, 2 pass, 1 warn)\n  fail: not_null on amount\n      test.mini_shop.not_null_orders_amount.",
            "parents: 2\n",
            "children: 6\n",
            "  model.mini_shop.broken_model [error]\n",
            "column_changed  description  status",
            "\nruns\n",
        ],
    );
    assert!(screen.lines().all(|line| line.chars().count() <= 120), "{screen}");
}

#[test]
fn each_type_shows_what_only_it_has() {
    let world = synced(|project| project.unapply("model.mini_shop.stg_customers"));
    let cases: [(&str, &[&str]); 7] = [
        (
            "source.mini_shop.raw_shop.orders",
            &["warn, the newest row is 30 h old", "fails after 2 d", "raw_shop", "airbyte"],
        ),
        (
            "exposure.mini_shop.weekly_revenue_dashboard",
            &["dashboard", "high", "https://bi.example.com/dashboards/1", "Ana"],
        ),
        (
            "metric.mini_shop.average_order_value",
            &["ratio", "denominator: orders_count; input_measures: order_total, order_count"],
        ),
        ("group.mini_shop.finance", &["members: 8\n", "  model.mini_shop.orders\n", "Finance <finance@example.com>"]),
        ("semantic_model.mini_shop.orders", &["order_id (type: primary), customer (type: foreign)", "agg: sum"]),
        (
            "unit_test.mini_shop.customer_segments.test_customer_segments_gold",
            &["tests", "model.mini_shop.customer_segments"],
        ),
        ("model.mini_shop.stg_customers", &["defined but not built"]),
    ];
    for (id, parts) in cases {
        assert_shows(&world.ok(&["show", id]), parts);
    }
    let test = world.cells("SELECT unique_id FROM tests WHERE test_name = 'accepted_values'")[0].clone();
    let screen = world.ok(&["show", &test]);
    assert_shows(&screen, &["model.mini_shop.stg_orders, column status", "accepted_values (values: placed, shipped"]);
    let screen = world.ok(&["show", "model.mini_shop.broken_model"]);
    assert_shows(&screen, &["deliberate failure", "error at 20"]);
}

#[test]
fn an_external_node_is_told_as_such() {
    let world = synced(|_| {});
    let catalog = rusqlite::Connection::open(world.catalog()).expect("the catalog");
    let id = "model.mini_shop.int_order_payments";
    let sql = "UPDATE node SET resource_type = 'external', properties = '{}' WHERE unique_id = ?1";
    assert_eq!(catalog.execute(sql, [id]).expect("made external"), 1);
    let screen = world.ok(&["show", id]);
    assert_shows(&screen, &["external: edges name it, and it was not read", "children: 1\n  model.mini_shop.orders\n"]);
}

#[test]
fn lists_are_bounded_and_say_what_they_left_out() {
    let world = synced(|project| {
        for number in 0..25 {
            project.add_column("model.mini_shop.orders", &format!("extra_{number:02}"), "INT");
            project.add_model(&format!("reader_{number:02}"), &["model.mini_shop.orders"]);
        }
        project.describe("model.mini_shop.orders", &"word ".repeat(1000));
    });
    let screen = world.ok(&["show", "model.mini_shop.orders"]);
    assert_shows(
        &screen,
        &["columns: 30\n", "  … 10 more: raise `--limit`\n", "children: 31\n", "  … 11 more: raise `--limit`\n"],
    );
    assert_shows(&screen, &["more characters)"]);
    assert!(!screen.contains("extra_24"), "{screen}");
    let screen = world.ok(&["show", "model.mini_shop.orders", "--limit", "40"]);
    assert!(screen.contains("extra_24") && !screen.contains("raise `--limit`"), "{screen}");
    for number in 0..7 {
        world.change(|project| project.describe("model.mini_shop.orders", &format!("Text {number}.")));
        world.ok(&["sync"]);
    }
    assert_shows(
        &world.ok(&["show", "model.mini_shop.orders"]),
        &["last changes (3 before them: `lineaged changes --node model"],
    );
}

#[test]
fn code_is_printed_as_it_is_or_the_way_out_is_told() {
    let world = synced(|project| project.set_code("model.mini_shop.orders", "select 1\n\t-- \u{1b}[31m ünï"));
    assert_eq!(world.ok(&["show", "model.mini_shop.orders", "--code", "raw"]), "select 1\n\t-- \u{1b}[31m ünï");
    let compiled = world.cells("SELECT compiled_code FROM code WHERE unique_id = 'model.mini_shop.stg_orders'");
    assert_eq!(world.ok(&["show", "stg_orders", "--code", "compiled"]), compiled[0]);
    for (id, which, way_out) in [
        ("source.mini_shop.raw_shop.orders", "raw", "`lineaged show source.mini_shop.raw_shop.orders` shows"),
        ("source.mini_shop.raw_shop.orders", "compiled", "`--code raw` prints it"),
    ] {
        let ran = world.run(&["show", id, "--code", which]);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{ran:?}");
        assert!(ran.stderr.contains(way_out), "{ran:?}");
    }
    assert_eq!(world.run(&["show", "stg_orders", "--code", "raw", "--format", "json"]).code, Some(2));
}

#[test]
fn hostile_text_is_inert_on_the_screen_and_whole_in_json() {
    let hostile = "=cmd() \u{1b}]0;title\u{7}\u{202e}desrever\u{2066}\n[a](javascript:b) <script>";
    let world = synced(|project| {
        let orders = "model.mini_shop.orders";
        project.describe(orders, hostile);
        project.describe_column(orders, "status", hostile);
        project.add_column(orders, "\u{1b}[2Jname", "\u{202e}TYPE");
        project.set_tags(orders, &[hostile]);
        project.set_meta(orders, value!({ hostile: hostile }));
        project.set_group_owner("group.mini_shop.finance", hostile, hostile);
        project.fail_test("test.mini_shop.assert_no_returned_orders", 1, hostile);
        project.break_node("model.mini_shop.broken_model", hostile);
    });
    for id in ["model.mini_shop.orders", "model.mini_shop.broken_model", "test.mini_shop.assert_no_returned_orders"] {
        let screen = world.ok(&["show", id]);
        assert!(screen.contains("desrever"), "{screen}");
        assert!(!screen.contains(['\u{1b}', '\u{7}', '\u{202e}', '\u{2066}']), "{screen:?}");
        let markdown = world.ok(&["show", id, "--format", "markdown"]);
        assert!(!markdown.contains(['\u{1b}', '\u{202e}', '<']) && !markdown.contains("[a]("), "{markdown}");
    }
    let csv = world.ok(&["show", "model.mini_shop.orders", "--format", "csv"]);
    assert!(csv.contains(",\"'=cmd()"), "{csv}");
    let rows = json(&world.ok(&["show", "model.mini_shop.orders", "--format", "json"]));
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["description"], hostile);
}
