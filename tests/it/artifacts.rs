//! Files as an origin against the same files told by the Discovery API: the same nodes, field by field.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lineaged::demo::{Project, Server};
use lineaged::inventory::{Inventory, Node, Reading, ResourceType};
use lineaged::origin::artifacts::{Place, probe, read};
use lineaged::origin::discovery::{self, Client, Limits};
use lineaged::plan::carry_over;
use lineaged::time::Timestamp;
use serde_json::{Value, json};

use crate::support::sample;

const SAMPLES: [&str; 20] = [
    "hubspot-v4",
    "openlineage-spark-v4",
    "jaffle-v5",
    "quickbooks-v6",
    "dbterd-shopify-v7",
    "netsuite-v8",
    "dbt-docs-ci-v9",
    "salesforce-v10",
    "tuva-2024-v11",
    "dbt-bouncer-1.12",
    "dbt-bouncer-2.0",
    "dwh-sm2-1.12",
    "dwh-sm2-1.9",
    "jaffle-semantic-1.12",
    "mesh-downstream",
    "mesh-upstream",
    "quickbooks-1.6-local",
    "shopify-1.8-local",
    "tuva-0.14-snowflake-large",
    "tuva-0.18-large",
];

fn complete(reading: Reading) -> Inventory {
    let mut inventory = carry_over(reading, &Inventory::default()).inventory;
    inventory.add_externals();
    inventory
}

fn from_files(folder: &Path) -> Inventory {
    let place = Place { paths: vec![folder.to_owned()], ..Place::default() };
    let read = read(&place, &mut |_, _| {}, &|_, _, _| {}).expect("read");
    assert_eq!(probe(&place, Some(&read.stamps)).expect("probed").text, read.stamps, "what was read is what is there");
    complete(read.reading)
}

fn from_the_api(folder: &Path, now: Timestamp) -> Inventory {
    let project = Project::load(folder, now).expect("loaded");
    let server = Server::start(vec![(1, project)]).expect("a server");
    let config = lineaged::config::Config::for_one(1, "prod", server.url(), server.token().into(), "unused.db".into());
    let config = config.expect("valid");
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let client = Client::new(
            &config.environments[0].origin.platform().expect("of the platform").access,
            &Limits::new(4, 100_000),
        )
        .expect("a client");
        let (code, mut texts) = tokio::sync::mpsc::channel(64);
        let emptied = tokio::spawn(async move { while texts.recv().await.is_some() {} });
        let (reading, _) = discovery::fetch(&client, 1, code, &|_, _, _| {}).await.expect("fetched");
        emptied.await.expect("emptied");
        complete(reading)
    })
}

/// The newest time in a folder's files: a server that takes it for now shifts nothing.
fn newest(folder: &Path) -> Timestamp {
    let mut times = Vec::new();
    for name in ["manifest", "catalog", "run_results", "sources"] {
        let Ok(text) = std::fs::read(folder.join(format!("{name}.json"))) else { continue };
        let file: Value = serde_json::from_slice(&text).expect("JSON");
        times.extend(file["metadata"]["generated_at"].as_str().and_then(Timestamp::parse));
        for result in file["results"].as_array().into_iter().flatten() {
            let steps = result["timing"].as_array().into_iter().flatten().map(|step| &step["completed_at"]);
            let ends = steps.chain([&result["snapshotted_at"]]);
            times.extend(ends.filter_map(|time| Timestamp::parse(time.as_str()?)));
        }
    }
    times.into_iter().max().expect("a time")
}

/// A node as JSON, with what is no change, and without what one of the two can't know.
fn comparable(node: &Node) -> Value {
    let mut whole = node.to_json();
    let run = &node.last_run;
    whole["run"] = json!({
        "attempt": run.attempt, "error": run.error, "failures": run.failures,
        "executed_at": run.executed_at.map(|at| at.to_string()), "seconds": run.execution_seconds,
    });
    whole["checked_at"] = json!(node.freshness.checked_at.map(|at| at.to_string()));
    whole["max_loaded_at"] = json!(node.freshness.max_loaded_at.map(|at| at.to_string()));
    whole["compiled"] = json!(node.compiled_code.as_ref().map(|code| code.sha256.clone()));
    // The API does not tell the columns that are declared alone, nor which are declared.
    if let Some(columns) = whole["columns"].as_array_mut() {
        columns.retain(|column| column["in_warehouse"] == 1);
        columns.iter_mut().for_each(|column| column["is_declared"] = Value::Null);
    }
    // It tells the full name of models alone; and whether a description is inherited, which files do not.
    if node.resource_type != ResourceType::Model {
        whole["relation_name"] = Value::Null;
    }
    if let Some(properties) = whole["properties"].as_object_mut() {
        properties.remove("is_description_inherited");
    }
    // It has no functions: they are external there, with nothing above them.
    if node.unique_id.as_str().starts_with("function.") || node.resource_type == ResourceType::External {
        whole = json!({"unique_id": node.unique_id.as_str(), "name": node.name, "package_name": node.package_name});
    }
    whole
}

/// How many nodes there are, and what of them differs.
fn compare(folder: &Path) -> (usize, Vec<String>) {
    let files = from_files(folder);
    let api = from_the_api(folder, newest(folder));
    let nodes = |inventory: &Inventory| -> BTreeMap<String, Value> {
        // A function that nothing reads is not told at all by the API.
        let is_read = |node: &Node| {
            !node.unique_id.as_str().starts_with("function.")
                || inventory.nodes.values().any(|child| child.parents.contains(&node.unique_id))
        };
        let nodes = inventory.nodes.iter().filter(|(_, node)| is_read(node));
        nodes.map(|(id, node)| (id.to_string(), comparable(node))).collect()
    };
    let (files, api) = (nodes(&files), nodes(&api));
    let mut wrong = Vec::new();
    for id in files.keys().chain(api.keys()).collect::<std::collections::BTreeSet<_>>() {
        let (one, other) = (files.get(id).unwrap_or(&Value::Null), api.get(id).unwrap_or(&Value::Null));
        if one == other {
            continue;
        }
        let empty = serde_json::Map::new();
        let (one, other) = (one.as_object().unwrap_or(&empty), other.as_object().unwrap_or(&empty));
        for key in one.keys().chain(other.keys()).collect::<std::collections::BTreeSet<_>>() {
            let (a, b) = (one.get(key).unwrap_or(&Value::Null), other.get(key).unwrap_or(&Value::Null));
            if a != b {
                let short = |value: &Value| value.to_string().chars().take(300).collect::<String>();
                wrong.push(format!("{id} {key}: files {} api {}", short(a), short(b)));
            }
        }
    }
    (files.len(), wrong)
}

#[test]
fn real_projects_are_the_same_from_files_and_from_the_api() {
    let found: Vec<(&str, PathBuf)> = SAMPLES.into_iter().filter_map(|name| Some((name, sample(name)?))).collect();
    let compared = |(name, folder): &(&str, PathBuf)| {
        let (nodes, wrong) = compare(folder);
        assert!(nodes > 10, "{name}: {nodes}");
        let few: Vec<String> = wrong.iter().take(8).cloned().collect();
        (!wrong.is_empty()).then(|| format!("{name}: {} differences, first {few:#?}", wrong.len()))
    };
    let wrong: Vec<String> = found.iter().filter_map(compared).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_bundled_project_is_the_same_from_files_and_from_the_api() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/demo/mini_shop");
    let (nodes, wrong) = compare(&folder);
    assert!(nodes > 50 && wrong.is_empty(), "{nodes}: {wrong:#?}");
}
