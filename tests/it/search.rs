//! `lineaged search` and `GET /api/v1/search`: what people type, what they get, and that no text does harm.

use lineaged::demo::Project;
use lineaged::time::Timestamp;
use serde_json::{Value, json as value};

use crate::support::{ENVIRONMENT, World, json};

fn ids(world: &World, arguments: &[&str]) -> Vec<String> {
    let rows = json(&world.ok(&[&["search", "--format", "json"], arguments].concat()));
    rows.iter().map(|row| row["unique_id"].as_str().expect("an id").to_owned()).collect()
}

#[test]
fn exact_names_come_first_and_each_hit_tells_where_it_stands() {
    let world = World::bundled();
    world.ok(&["sync"]);
    assert_eq!(ids(&world, &["stg_orders"])[0], "model.mini_shop.stg_orders");
    assert_eq!(ids(&world, &["model.mini_shop.orders"])[0], "model.mini_shop.orders");
    let listed = world.ok(&["search", "order", "facts"]);
    assert!(listed.contains("\n model.mini_shop.orders           description     «Order» «facts».\n"), "{listed}");
    assert!(!listed.contains("DESCRIPTION"), "the context says it: {listed}");
    let hits = json(&world.ok(&["search", "col:order_id", "owner:finance", "--format", "json"]));
    let hit = hits.iter().find(|hit| hit["unique_id"] == "model.mini_shop.orders").expect("a hit");
    assert_eq!(
        hit,
        &value!({
            "environment_id": ENVIRONMENT, "unique_id": "model.mini_shop.orders", "resource_type": "model",
            "name": "orders", "matched_fields": "column, owner", "context": hit["context"],
            "description": "Order facts."
        })
    );
    assert_eq!(ids(&world, &["tag:money"]), ["model.mini_shop.stg_payments"]);
    assert_eq!(ids(&world, &["meta.unit:usd"]), ["model.mini_shop.stg_payments"]);
    assert!(ids(&world, &["meta.owner:data-platform"]).len() > 3);
}

#[test]
fn a_bounded_answer_says_what_it_left_out() {
    let world = World::bundled();
    world.ok(&["sync"]);
    let all = ids(&world, &["mini_shop"]);
    assert!(all.len() > 20, "json is whole: {all:?}");
    let shown = world.run(&["search", "mini_shop"]);
    assert_eq!(shown.stdout.lines().count(), 1 + 20, "{shown:?}");
    assert!(shown.stderr.contains(&format!("{} more hits are left out", all.len() - 20)), "{shown:?}");
    let few = world.run(&["search", "mini_shop", "--limit", "2", "--format", "json"]);
    assert_eq!(json(&few.stdout).len(), 2);
    assert!(few.stderr.contains(&format!("{} more hits", all.len() - 2)), "{few:?}");
    assert_eq!(ids(&world, &["mini_shop"]), all, "the order is stable");
}

#[test]
fn who_finds_nothing_gets_an_empty_list_and_a_hint() {
    let world = World::bundled();
    world.ok(&["sync"]);
    let ran = world.run(&["search", "stg_ordrs", "--format", "json"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "[]\n"), "{ran:?}");
    assert!(ran.stderr.contains("  model.mini_shop.stg_orders\n"), "{ran:?}");
    let ran = world.run(&["search", "…"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), ""), "{ran:?}");
    assert!(ran.stderr.contains("there is no word in `…`"), "{ran:?}");
    assert_eq!(world.run(&["search"]).code, Some(2));
}

#[test]
fn what_a_sync_changes_is_found_at_once_and_what_it_removes_no_more() {
    let world = World::bundled();
    world.ok(&["sync"]);
    let found = |text: &str| ids(&world, &[text]).contains(&"model.mini_shop.orders".to_owned());
    assert!(found("facts") && !found("zebra"));
    world.change(|project| {
        project.describe("model.mini_shop.orders", "A zebra.");
        project.add_column("model.mini_shop.orders", "quagga", "INT");
        project.set_tags("model.mini_shop.orders", &["okapi"]);
        project.set_meta("model.mini_shop.orders", value!({"herd": "gnu"}));
    });
    world.ok(&["sync"]);
    assert!(!found("facts") && found("zebra") && found("col:quagga") && found("tag:okapi") && found("meta.herd:gnu"));
    world.change(|project| project.remove("exposure.mini_shop.weekly_revenue_dashboard"));
    world.ok(&["sync"]);
    assert!(!ids(&world, &["dashboard"]).contains(&"exposure.mini_shop.weekly_revenue_dashboard".to_owned()));
    world.change(|project| project.restore("exposure.mini_shop.weekly_revenue_dashboard"));
    world.ok(&["sync"]);
    assert!(ids(&world, &["dashboard"]).contains(&"exposure.mini_shop.weekly_revenue_dashboard".to_owned()));
}

#[test]
fn the_environment_is_told_where_there_are_several() {
    let project = || Project::bundled(Timestamp::now());
    let world = World::with(vec![(1, project()), (2, project())], "");
    world.ok(&["sync"]);
    let both = world.ok(&["search", "model.mini_shop.stg_orders"]);
    assert!(both.contains("\n prod         model.mini_shop.stg_orders ") && both.contains("\n env2 "), "{both}");
    let one = world.ok(&["search", "model.mini_shop.stg_orders", "--environment", "env2"]);
    assert!(one.contains("\n model.mini_shop.stg_orders ") && !one.contains("env2"), "{one}");
}

#[test]
fn hostile_text_is_inert_in_what_is_asked_and_in_what_is_found() {
    let world = World::bundled();
    world.change(|project| {
        project.describe(
            "model.mini_shop.orders",
            "=HYPERLINK(\"x\") zebra \u{1b}]0;title\u{7}\u{202e}desrever [a](javascript:b)",
        );
        project.set_tags("model.mini_shop.orders", &["\u{1b}[31mzebra\u{2}"]);
    });
    world.ok(&["sync"]);
    for text in [
        "\"",
        "a\" OR name : b",
        "NEAR(a, 2)",
        "*",
        "^a",
        "(",
        "col:",
        "meta.:",
        "'; DROP TABLE node; --",
        "%_",
        "\u{1b}[2J",
    ] {
        let ran = world.run(&["search", "--", text]);
        assert_eq!(ran.code, Some(0), "{text}: {ran:?}");
        assert!(!ran.stderr.contains('\u{1b}'), "{ran:?}");
    }
    let listed = world.ok(&["search", "zebra"]);
    assert!(listed.contains("zebra"), "{listed}");
    assert!(!listed.contains(['\u{1b}', '\u{7}', '\u{202e}', '\u{2}']), "{listed:?}");
    let markdown = world.ok(&["search", "zebra", "--format", "markdown"]);
    assert!(!markdown.contains(['\u{1b}', '\u{202e}']) && !markdown.contains("[a](javascript"), "{markdown}");
    let csv = world.ok(&["search", "zebra", "--format", "csv"]);
    assert!(csv.contains(",\"'=HYPERLINK("), "{csv}");
    let rows = json(&world.ok(&["search", "zebra", "--format", "json"]));
    assert!(rows[0]["description"].as_str().is_some_and(|text| text.contains('\u{1b}')), "data stay as they are");
}

/// A client whose SQLite has no FTS5 sees a table that it can't open; nothing else stands on it.
#[test]
fn no_view_needs_the_index() {
    let world = World::bundled();
    world.ok(&["sync"]);
    let catalog = rusqlite::Connection::open(world.catalog()).expect("the catalog");
    catalog.execute_batch("DROP TABLE search").expect("dropped");
    for view in lineaged::answers::VIEWS {
        crate::support::rows(&catalog, &format!("SELECT * FROM {view}"));
    }
}

#[test]
fn a_copy_can_be_searched_and_its_index_is_whole() {
    let world = World::bundled();
    world.ok(&["sync"]);
    world.ok(&["backup", "copy.db"]);
    let expected = ids(&world, &["orders"]);
    assert_eq!(ids(&world, &["orders", "--catalog", "copy.db"]), expected);
    let copy = rusqlite::Connection::open(world.folder.path().join("copy.db")).expect("the copy");
    copy.execute_batch("VACUUM").expect("vacuumed");
    copy.execute_batch("INSERT INTO search (search, rank) VALUES ('integrity-check', 1)").expect("whole");
    assert_eq!(crate::support::rows(&copy, "PRAGMA integrity_check"), [["ok"]]);
    let hits: Vec<Value> = json(&world.ok(&["search", "orders", "--catalog", "copy.db", "--format", "json"]));
    assert_eq!(hits.len(), expected.len());
}
