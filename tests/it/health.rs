//! What is not well, and why: the command, the API and the configuration.

use crate::support::{World, json};

const STG: &str = "model.mini_shop.stg_customers";

fn status(world: &World, id: &str) -> String {
    let rows = json(&world.ok(&["health", "--format", "json"]));
    let row = rows.iter().find(|row| row["unique_id"] == id).expect("a row");
    format!("{} {}", row["status"].as_str().expect("a status"), row["reasons"].as_str().expect("reasons"))
}

#[test]
fn a_node_is_as_well_as_its_build_tests_and_sources_and_the_root_is_named() {
    let world = World::bundled();
    world.change(|project| {
        project.freshness("source.mini_shop.raw_shop.customers", "pass", Some(lineaged::inventory::Timestamp::now()));
        project.build(STG);
    });
    world.ok(&["sync"]);
    assert_eq!(status(&world, STG), "healthy []");
    world.change(|project| project.fail_test("test.mini_shop.unique_stg_customers_customer_id.c7614daada", 3, "three"));
    world.ok(&["sync"]);
    let found = status(&world, STG);
    assert!(found.starts_with("degraded [{\"code\":\"test_failed\""), "{found}");
    assert!(found.contains("failed with 3 rows"), "{found}");
    assert!(found.contains("\"root_id\":\"test.mini_shop.unique_stg_customers_customer_id.c7614daada\""), "{found}");
    let shown = world.run(&["health", "--fail-on", "degraded", "--status", "degraded"]);
    assert_eq!(shown.code, Some(3), "{shown:?}");
    assert!(shown.stdout.contains(STG) && shown.stderr.contains("nodes fail the check"), "{shown:?}");
    assert!(shown.stdout.lines().any(|line| line.contains(" degraded, ") && line.contains(" healthy")), "{shown:?}");
    let unknown = world.run(&["health", "--fail-on", "unknown"]);
    assert_eq!(unknown.code, Some(0), "{unknown:?}");
}

#[test]
fn the_threshold_is_the_configurations() {
    let world = World::bundled();
    world.ok(&["sync"]);
    let path = world.folder.path().join("lineaged.toml");
    let config = std::fs::read_to_string(&path).expect("the configuration");
    std::fs::write(&path, format!("[health]\nstale_after_days = 1000\n{config}")).expect("written");
    world.ok(&["sync"]);
    let days =
        "SELECT count(*) FROM health WHERE reasons LIKE '%not_built_recently%' OR reasons LIKE '%source_not_checked%'";
    assert_eq!(world.cells(days), ["0"]);
    assert_eq!(world.cells("SELECT value FROM setting WHERE name = 'stale_after_days'"), ["1000"]);
}
