//! One project, read from its files and over the Discovery API: two catalogs that hold the same, view by view and field by field.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lineaged::demo::Project;
use lineaged::time::Timestamp;
use rusqlite::Connection;
use serde_json::Value;

use crate::support::{World, binary, rows, run, sample};

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

/// The views that are compared, the columns that tell a row, and those that one of the two origins can't know or tells of another clock:
/// the numbers of runs and jobs are the platform's, and of an attempt the API tells when its run ended, files when the node did.
const COMPARED: [(&str, &str, &[&str]); 6] = [
    ("nodes", "unique_id", &["first_seen_at", "last_changed_at", "last_run_id", "last_job_id", "last_run_at"]),
    ("edges", "parent_id || ' ' || child_id", &[]),
    ("columns", "unique_id || ' ' || name", &["is_declared"]),
    ("tests", "unique_id", &["last_run_at"]),
    ("freshness", "unique_id", &["age_seconds"]),
    ("coverage", "unique_id", &[]),
];

/// What the API does not tell at all: functions and what they read, columns that are declared alone, and more of what is external than
/// its names.
const UNTOLD: [(&str, &str); 6] = [
    ("nodes", "resource_type NOT IN ('function', 'external')"),
    ("edges", "child_id NOT IN (SELECT unique_id FROM nodes WHERE resource_type IN ('function', 'external'))"),
    ("columns", "in_warehouse"),
    ("tests", "true"),
    ("freshness", "resource_type <> 'function'"),
    ("coverage", "true"),
];

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

/// The rows of a view by what tells them, each as a map of its fields.
fn told(connection: &Connection, view: &str, key: &str, left_out: &[&str]) -> BTreeMap<String, Value> {
    let names = rows(connection, &format!("SELECT name FROM pragma_table_info('{view}')"));
    let names = names.into_iter().map(|mut row| row.swap_remove(0));
    let fields: Vec<String> = names
        .filter(|name| name != "environment_id" && !left_out.contains(&name.as_str()))
        .map(|name| format!("'{name}', {}", comparable(view, &name)))
        .collect();
    let (_, told) = UNTOLD.iter().find(|(of, _)| *of == view).expect("a view");
    let sql = format!("SELECT {key}, json_object({}) FROM {view} WHERE {told}", fields.join(", "));
    let row = |row: Vec<String>| (row[0].clone(), serde_json::from_str(&row[1]).expect("JSON"));
    rows(connection, &sql).into_iter().map(row).collect()
}

/// The API tells the full name of models alone, and whether a description is inherited, which files do not.
fn comparable(view: &str, name: &str) -> String {
    match (view, name) {
        ("nodes", "relation_name") => "CASE WHEN resource_type = 'model' THEN relation_name END".to_owned(),
        ("nodes", "properties") => "json_remove(properties, '$.is_description_inherited')".to_owned(),
        _ => name.to_owned(),
    }
}

fn from_files(folder: &Path, catalog: &Path) -> Connection {
    let config = format!(
        "[[environments]]\nname = \"prod\"\norigin = \"artifacts\"\npaths = [{}]\n",
        Value::from(folder.canonicalize().expect("a folder").display().to_string())
    );
    std::fs::write(catalog.join("lineaged.toml"), config).expect("written");
    let ran = run(&mut binary(catalog, &["sync"]));
    assert_eq!(ran.code, Some(0), "{}: {ran:?}", folder.display());
    Connection::open(catalog.join("lineaged.db")).expect("the catalog")
}

/// Where the two differ, a line for each field, the first few of each view.
fn differences(folder: &Path) -> Vec<String> {
    let own = tempfile::tempdir().expect("a folder");
    let files = from_files(folder, own.path());
    let world = World::of(Project::load(folder, newest(folder)).expect("loaded"));
    world.ok(&["sync"]);
    let api = world.reader();
    let mut wrong = Vec::new();
    for (view, key, left_out) in COMPARED {
        let (one, other) = (told(&files, view, key, left_out), told(&api, view, key, left_out));
        assert!(view != "nodes" || !one.is_empty(), "{}: no nodes", folder.display());
        let keys: std::collections::BTreeSet<&String> = one.keys().chain(other.keys()).collect();
        let differs = keys.into_iter().filter(|key| one.get(*key) != other.get(*key));
        wrong.extend(differs.take(3).map(|key| {
            let (one, other) = (one.get(key).unwrap_or(&Value::Null), other.get(key).unwrap_or(&Value::Null));
            let fields = one.as_object().into_iter().chain(other.as_object()).flat_map(serde_json::Map::keys);
            let fields: std::collections::BTreeSet<&String> =
                fields.filter(|field| one[*field] != other[*field]).collect();
            let field = |field: &&String| format!("{field}: files {} api {}", one[*field], other[*field]);
            format!("{view} {key} {}", fields.iter().map(field).collect::<Vec<_>>().join(", "))
        }));
    }
    wrong
}

#[test]
fn a_catalog_from_files_holds_what_one_over_the_api_holds() {
    let bundled = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/demo/mini_shop");
    let samples = SAMPLES.into_iter().filter_map(sample);
    let folders: Vec<PathBuf> = std::iter::once(bundled).chain(samples).collect();
    let mut wrong = Vec::new();
    for folder in &folders {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        wrong.extend(differences(folder).into_iter().map(|line| format!("{name}: {line}")));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The artifacts read a third time, naively: what is enabled, and what of its dependencies is there.
#[test]
fn ids_and_edges_are_those_of_the_manifest() {
    for folder in SAMPLES.into_iter().filter_map(sample) {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let text = std::fs::read(folder.join("manifest.json")).expect("read");
        let manifest: Value = serde_json::from_slice(&text).expect("JSON");
        let own = tempfile::tempdir().expect("a folder");
        let catalog = from_files(&folder, own.path());
        let sections =
            ["nodes", "sources", "exposures", "metrics", "groups", "semantic_models", "saved_queries", "unit_tests"];
        let all = sections.iter().flat_map(|section| manifest[*section].as_object().into_iter().flatten());
        let project = &manifest["metadata"]["project_name"];
        let is_own = |(id, node): &(&String, &Value)| {
            let is_foreign =
                project.is_string() && node["original_file_path"] == "" && node["package_name"] != *project;
            !["analysis.", "operation.", "rpc.", "sql_operation."].iter().any(|kind| id.starts_with(kind))
                && node["config"]["enabled"] != false
                && !is_foreign
        };
        let nodes: BTreeMap<&String, &Value> = all.filter(is_own).collect();
        let ids = rows(&catalog, "SELECT unique_id FROM nodes WHERE resource_type <> 'external' ORDER BY 1");
        assert!(ids.iter().map(|row| &row[0]).eq(nodes.keys().copied()), "{name}");
        let of_node = |(id, node): (&&String, &&Value)| -> Vec<String> {
            let parents = node["depends_on"]["nodes"].as_array().cloned().unwrap_or_default();
            let parents = parents.into_iter().filter_map(|parent| Some(parent.as_str()?.to_owned()));
            parents.filter(|parent| nodes.contains_key(parent)).map(|parent| format!("{parent} {id}")).collect()
        };
        let mut edges: Vec<String> = nodes.iter().flat_map(of_node).collect();
        edges.sort();
        edges.dedup();
        let sql = "SELECT parent_id || ' ' || child_id FROM edges WHERE parent_id NOT IN (
                       SELECT unique_id FROM nodes WHERE resource_type = 'external') ORDER BY 1";
        let found: Vec<String> = rows(&catalog, sql).into_iter().map(|mut row| row.swap_remove(0)).collect();
        assert_eq!(found, edges, "{name}");
    }
}

/// Nothing is read where nothing has moved, however long the project's history is.
#[test]
fn unchanged_files_cost_a_look_and_one_row() {
    let own = tempfile::tempdir().expect("a folder");
    let target = own.path().join("target");
    let bundled = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/demo/mini_shop");
    std::fs::create_dir(&target).expect("a folder");
    for name in ["manifest.json", "catalog.json", "run_results.json", "sources.json"] {
        std::fs::copy(bundled.join(name), target.join(name)).expect("copied");
        // So old that its time tells it apart from what comes later.
        let file = std::fs::File::options().write(true).open(target.join(name)).expect("open");
        file.set_modified(std::time::SystemTime::now() - std::time::Duration::from_secs(3600)).expect("dated");
    }
    let catalog = from_files(&target, own.path());
    let changes = rows(&catalog, "SELECT count(*) FROM changes");
    let ran = run(&mut binary(own.path(), &["sync"]));
    assert!(ran.stdout.contains("unchanged; 0 B"), "{ran:?}");
    // Touched, and the same: it is hashed, and that is all.
    let file = std::fs::File::options().write(true).open(target.join("manifest.json")).expect("open");
    file.set_modified(std::time::SystemTime::now() - std::time::Duration::from_secs(60)).expect("dated");
    let ran = run(&mut binary(own.path(), &["sync"]));
    assert!(ran.stdout.contains("unchanged"), "{ran:?}");
    let last = rows(&catalog, "SELECT outcome, mode FROM syncs ORDER BY sync_id");
    assert_eq!(last, [["applied", "full"], ["unchanged", "probe"], ["unchanged", "probe"]]);
    assert_eq!(rows(&catalog, "SELECT count(*) FROM changes"), changes);
    assert!(Timestamp::parse(&rows(&catalog, "SELECT last_synced_at FROM environments")[0][0]).is_some());
}
