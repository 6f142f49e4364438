//! Selection, through the whole pipeline: compared with the recorded answers of `dbt ls`, and as the commands and the API take it.

use std::path::Path;

use lineaged::answers::{Question, Reader};
use lineaged::demo::Project;
use lineaged::time::Timestamp;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::support::{ENVIRONMENT, World, json, sample};

/// What `tests/selection/record.py` recorded: by project, selectors, exclusions, how many nodes, and a digest of their ids.
fn recorded() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/selection/dbt_ls.json");
    serde_json::from_slice(&std::fs::read(path).expect("dbt_ls.json")).expect("JSON")
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().expect("a list").iter().map(|text| text.as_str().expect("text").to_owned()).collect()
}

/// Compares all recorded selectors of a project; how many those are.
async fn compare(name: &str, project: Project) -> usize {
    let world = World::with(vec![(ENVIRONMENT, project)], "page_size = 500\ntimeout = \"60s\"");
    world.sync_here().await;
    let reader = Reader::open(&world.catalog(), None).expect("a moment");
    let recorded = recorded();
    let rows = recorded[name].as_array().expect("a project");
    let mut wrong = Vec::new();
    for row in rows {
        let (select, exclude) = (texts(&row[0]), texts(&row[1]));
        let chosen = reader.chosen(None, &select, &exclude).expect("a selector");
        let found = reader.rows("nodes", &Question { chosen, ..Question::of(None) }).expect("nodes");
        let ids: String = found.iter().map(|row| format!("{}\n", row.str("unique_id"))).collect();
        let digest: String = Sha256::digest(&ids).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        if row[2] != found.rows.len() || row[3] != digest.as_str() {
            wrong.push(format!(
                "{select:?} without {exclude:?}: dbt selects {}, this {}:\n{ids}",
                row[2],
                found.rows.len()
            ));
        }
    }
    assert!(wrong.is_empty(), "{name}: {} of {} differ\n{}", wrong.len(), rows.len(), wrong.join("\n"));
    rows.len()
}

#[tokio::test]
async fn selection_is_that_of_dbt_ls() {
    let mut compared = compare("mini_shop", Project::bundled(Timestamp::now())).await;
    let recorded = recorded();
    for name in
        recorded.as_object().expect("projects").keys().filter(|name| !["dbt", "mini_shop"].contains(&name.as_str()))
    {
        match sample(name) {
            Some(folder) => compared += compare(name, Project::load(&folder, Timestamp::now()).expect(name)).await,
            None => eprintln!("{name} is not here (SAMPLE_DATA): its selectors are not compared"),
        }
    }
    assert!(compared >= 150, "{compared}");
    eprintln!("{compared} selectors are those of dbt {}", recorded["dbt"]);
}

#[test]
fn commands_take_selectors_and_say_what_is_wrong_with_them() {
    let world = World::bundled();
    world.ok(&["sync"]);
    let ids = |arguments: &[&str]| -> Vec<String> {
        let rows = json(&world.ok(&[arguments, &["--format", "json"]].concat()));
        rows.iter().map(|row| row["unique_id"].as_str().expect("an id").to_owned()).collect()
    };
    let marts = ids(&["ls", "--select", "path:models/marts,resource_type:model", "--exclude", "orders"]);
    assert!(marts.contains(&"model.mini_shop.customer_segments".to_owned()), "{marts:?}");
    assert!(!marts.contains(&"model.mini_shop.orders".to_owned()), "{marts:?}");
    assert_eq!(ids(&["health", "-s", "stg_orders"]), ["model.mini_shop.stg_orders"]);
    assert_eq!(ids(&["freshness", "--select", "source:raw_shop.orders"]), ["source.mini_shop.raw_shop.orders"]);
    let changes = ids(&["changes", "--select", "stg_orders", "--exclude", "resource_type:test"]);
    assert_eq!(changes, ["model.mini_shop.stg_orders"]);
    let several = ids(&["ls", "--resource-type", "model", "--select", "stg_orders", "stg_customers"]);
    assert_eq!(several, ["model.mini_shop.stg_customers", "model.mini_shop.stg_orders"]);
    let wrong = world.run(&["ls", "--select", "tag:nightly,stat:x"]);
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
    assert!(wrong.stderr.contains("\n  tag:nightly,stat:x\n              ^"), "{}", wrong.stderr);
    let none = world.run(&["ls", "--select", "no_such_model", "stg_orders"]);
    assert!(none.stderr.contains("`no_such_model` matches no node"), "{none:?}");
}

#[test]
fn the_configuration_that_follows_from_what_is_known_can_be_selected() {
    let world = World::bundled();
    world.ok(&["sync"]);
    let seeds =
        json(&world.ok(&["ls", "--select", "config.materialized:seed", "--resource-type", "seed", "--format", "json"]));
    assert_eq!(seeds.len(), 2, "the platform has no configuration of seeds: {seeds:?}");
    let sources = ["ls", "--select", "config.enabled:true", "--resource-type", "source", "--format", "json"];
    assert_eq!(json(&world.ok(&sources)).len(), 4);
}

#[test]
fn what_the_last_runs_and_checks_left_can_be_selected() {
    const CUSTOMERS: &str = "source.mini_shop.raw_shop.customers";
    let world = World::bundled();
    world.ok(&["sync"]);
    let first = world.cells("SELECT max(finished_at) FROM syncs").remove(0);
    let ids = |arguments: &[&str]| -> Vec<String> {
        let rows = json(&world.ok(&[&["ls", "--format", "json"], arguments].concat()));
        rows.iter().map(|row| row["unique_id"].as_str().expect("an id").to_owned()).collect()
    };
    let broken = ["model.mini_shop.broken_model".to_owned()];
    assert_eq!(ids(&["-s", "result:error"]), broken);
    assert_eq!(ids(&["-s", "result:error+"]), ["model.mini_shop.after_broken", "model.mini_shop.broken_model"]);
    let fresher = |more: &[&str]| ids(&[&["-s", "source_status:fresher", "--resource-type", "source"], more].concat());
    assert_eq!(fresher(&[]).len(), 3, "each has had its first check");
    world.change(|project| {
        project.break_node("model.mini_shop.stg_orders", "boom");
        project.freshness(CUSTOMERS, "error", None);
        project.freshness("source.mini_shop.raw_shop.orders", "pass", Some(Timestamp::now()));
    });
    world.ok(&["sync"]);
    let stg_orders = "model.mini_shop.stg_orders".to_owned();
    assert!(ids(&["-s", "result:error"]).contains(&stg_orders));
    assert_eq!(ids(&["-s", "result:error", "--as-of", &first]), broken);
    assert!(!fresher(&[]).contains(&CUSTOMERS.to_owned()));
    assert_eq!(fresher(&["--as-of", &first]).len(), 3);
    assert!(ids(&["-s", "source_status:fresher+,result:error"]).contains(&stg_orders));
    let wrong = world.run(&["ls", "-s", "result:failed"]);
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
    assert!(
        wrong.stderr.contains("error, fail, pass, skipped, success, warn\n  result:failed\n         ^"),
        "{wrong:?}"
    );
}
