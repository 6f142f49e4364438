//! What each part of a sync costs, relative to loading the stored inventory, in one run: `cargo bench`. Absolute times say
//! little on another machine; a ratio that moves says that a part got slower than its neighbours.

#![allow(missing_docs, clippy::print_stdout)]

use std::collections::BTreeSet;
use std::hint::black_box;
use std::time::{Duration, Instant};

use lineaged::catalog::{Applied, Catalog, Ending, Stored, Trigger, Writers};
use lineaged::inventory::{Code, Column, Inventory, Json, Node, Pool, ResourceType, UniqueId};
use lineaged::plan::cycle_warnings;
use lineaged::plan::diff;
use lineaged::time::Timestamp;

const MODELS: usize = 10_000;
const ROUNDS: usize = 5;

fn inventory(description: &str) -> Inventory {
    let mut inventory = Inventory::default();
    let column = |number: usize| Column {
        name: format!("column_{number}").into(),
        position: Some(number as i64),
        data_type: Some("VARCHAR".into()),
        description: Some("What it means.".into()),
        comment: None,
        tags: Some(Json::new(&serde_json::json!([]))),
        in_warehouse: Some(true),
        ..Column::default()
    };
    for number in 0..MODELS {
        let parents = [1, 7, 100].into_iter().filter_map(|back| number.checked_sub(back));
        let mut node = Node {
            is_applied: Some(true),
            name: Some(format!("model_{number}").into()),
            description: Some(if number % 100 == 0 { description.into() } else { "Some words.".into() }),
            properties: Json::new(&serde_json::json!({"config": {"materialized": "table", "tags": ["a"]}})),
            raw_code: Some(Code::of(&code(number))),
            columns: (1..11).map(column).collect(),
            parents: parents.map(|parent| UniqueId::from(format!("model.bench.model_{parent}"))).collect(),
            ..Node::new(format!("model.bench.model_{number}"), ResourceType::Model)
        };
        node.normalize();
        inventory.nodes.insert(node.unique_id.clone(), node);
    }
    inventory
}

fn code(number: usize) -> String {
    format!("select * from t{number}\n").repeat(20)
}

/// The fastest of some rounds: what the work costs when nothing disturbs it.
fn best<T>(mut work: impl FnMut() -> T) -> Duration {
    let time = |_| {
        let began = Instant::now();
        black_box(work());
        began.elapsed()
    };
    (0..ROUNDS).map(time).min().unwrap_or_default()
}

fn apply(catalog: &mut Catalog, fetched: &Inventory) -> Duration {
    let began = Instant::now();
    let sync = catalog.start_sync(1, "bench", Trigger::Manual, Timestamp::now()).expect("started");
    for (number, node) in fetched.nodes.values().enumerate() {
        let text = node.name.as_deref().and_then(|name| name.strip_prefix("model_")?.parse().ok()).unwrap_or(number);
        catalog.stage_code(node.raw_code.as_ref().expect("code"), &code(text)).expect("staged");
    }
    let stored = Stored::load(catalog.connection(), 1, &mut Pool::default()).expect("loaded");
    let diff = diff(&stored.inventory, fetched, &stored.tombstones);
    let ending = Ending { counts: Some(diff.counts()), ..Ending::default() };
    let applied = Applied { sync, environment_id: 1, fetched, diff: &diff, history: None, ending: &ending };
    catalog.apply(&applied, Timestamp::now()).expect("applied");
    began.elapsed()
}

fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut catalog =
        Catalog::open(&folder.path().join("bench.db"), &Writers::default(), "bench", &|_| {}).expect("a catalog");
    let (old, new) = (inventory("Old words."), inventory("New words."));
    let first = apply(&mut catalog, &old);
    let load = best(|| Stored::load(catalog.connection(), 1, &mut Pool::default()).expect("loaded"));
    let none = BTreeSet::new();
    let rows = [
        ("load the stored inventory", load),
        ("diff, nothing changed", best(|| diff(&old, &old, &none).changes.len())),
        ("diff, 1 % changed", best(|| diff(&old, &new, &none).changes.len())),
        ("graph and cycles", best(|| cycle_warnings(&old))),
        ("stage, load, diff, apply: all new", first),
        ("stage, load, diff, apply: 1 % changed", apply(&mut catalog, &new)),
    ];
    println!("{MODELS} models, 10 columns and 3 parents each; ratios to the first line");
    for (what, time) in rows {
        println!("{what:<40} {:>8.1} ms {:>7.2}", time.as_secs_f64() * 1e3, time.as_secs_f64() / load.as_secs_f64());
    }
}
