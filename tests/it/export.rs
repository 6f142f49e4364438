//! What other programs are given, by the binary: each event is what OpenLineage's own schemas say, and what is written as dbt's files is
//! read back as the same catalog.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::{Ran, World, binary, rows, run, sample};

/// OpenLineage's schemas, each under its own id.
struct Standard {
    compiler: boon::Compiler,
    schemas: boon::Schemas,
}

impl Standard {
    fn new() -> Self {
        let mut compiler = boon::Compiler::new();
        compiler.enable_format_assertions();
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("vendor/openlineage");
        for file in std::fs::read_dir(folder).expect("the schemas") {
            let path = file.expect("a file").path();
            if path.extension().is_some_and(|extension| extension == "json") {
                let schema: Value = serde_json::from_slice(&std::fs::read(&path).expect("read")).expect("JSON");
                let id = schema["$id"].as_str().expect("an id").to_owned();
                compiler.add_resource(&id, schema).expect("added");
            }
        }
        Self { compiler, schemas: boon::Schemas::new() }
    }

    #[track_caller]
    fn validate(&mut self, schema: &Value, value: &Value) {
        let schema = schema.as_str().expect("an address");
        let compiled = self.compiler.compile(schema, &mut self.schemas).unwrap_or_else(|error| panic!("{error:#}"));
        self.schemas.validate(value, compiled).unwrap_or_else(|error| panic!("{error:#}: {value}"));
    }

    /// An event, and each facet in it by the schema that it names; how many facets there were.
    #[track_caller]
    fn check(&mut self, event: &Value) -> usize {
        self.validate(&event["schemaURL"], event);
        let list = |name: &str| event[name].as_array().cloned().unwrap_or_default();
        let parts = [list("inputs"), list("outputs"), vec![event["dataset"].clone(), event["job"].clone()]].concat();
        let facets = parts.iter().filter_map(|part| part["facets"].as_object()).flat_map(|facets| facets.values());
        facets.map(|facet| self.validate(&facet["_schemaURL"], facet)).count()
    }
}

fn events(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("an event in each line")).collect()
}

/// A folder in which files of dbt are read as an environment.
fn core(paths: &Path) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let config = format!(
        "[[environments]]\nname = \"core\"\norigin = \"artifacts\"\npaths = [{:?}]\n",
        paths.display().to_string()
    );
    std::fs::write(folder.path().join("lineaged.toml"), config).expect("written");
    folder
}

#[track_caller]
fn ok(folder: &Path, arguments: &[&str]) -> Ran {
    let ran = run(&mut binary(folder, arguments));
    assert_eq!(ran.code, Some(0), "{arguments:?}: {ran:?}");
    ran
}

/// The folders with dbt's files that there are: ours, and the samples.
fn projects() -> Vec<PathBuf> {
    let names = [
        "dbt-bouncer-1.12",
        "dwh-sm2-1.9",
        "jaffle-semantic-1.12",
        "mesh-downstream",
        "shopify-1.8-local",
        "tuva-2024-v11",
    ];
    let bundled = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/demo/mini_shop");
    names.into_iter().filter_map(sample).chain([bundled]).collect()
}

#[test]
fn every_event_of_the_demo_and_of_every_project_is_what_openlineage_says() {
    let mut standard = Standard::new();
    for project in projects() {
        let folder = core(&project);
        ok(folder.path(), &["sync"]);
        for kind in ["static", "run"] {
            let ran = ok(folder.path(), &["export", "openlineage", "--events", kind]);
            let facets: usize = events(&ran.stdout).iter().map(|event| standard.check(event)).sum();
            assert!(facets > 20 || kind == "run", "{}: {facets} facets", project.display());
            assert!(ran.stderr.contains("no namespace is configured for `core`"), "{ran:?}");
        }
    }
    let mut event = events(&demo().1).pop().expect("an event");
    event["eventTime"] = "noon".into();
    let refused = std::panic::catch_unwind(move || Standard::new().check(&event));
    assert!(refused.is_err(), "a wrong event is refused");
}

/// A folder with the demo's catalog, and the events of it.
fn demo() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().expect("a folder");
    ok(folder.path(), &["demo"]);
    let events = ok(folder.path(), &["export", "openlineage"]).stdout;
    (folder, events)
}

#[test]
fn an_export_names_what_the_configuration_says_and_is_the_same_each_time() {
    let (folder, first) = demo();
    assert_eq!(ok(folder.path(), &["export", "openlineage"]).stdout, first);
    let config = "[[environments]]\nid = 1\nname = \"demo\"\nnamespace = \"snowflake://org-account\"\n\
                  repository = \"https://git.example/{git_sha}/{path}\"\n";
    std::fs::write(folder.path().join("lineaged.toml"), config).expect("written");
    let ran = ok(folder.path(), &["export", "openlineage", "--select", "orders", "--output", "events.ndjson"]);
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("", ""));
    let text = std::fs::read_to_string(folder.path().join("events.ndjson")).expect("a file");
    let events = events(&text);
    assert_eq!(events.len(), 2, "{text}");
    assert_eq!(events[0]["dataset"]["namespace"], "snowflake://org-account");
    assert_eq!(events[0]["dataset"]["name"], "mini_shop.analytics.orders");
    let address = events[1]["job"]["facets"]["sourceCodeLocation"]["url"].as_str().expect("an address");
    assert!(address.ends_with("/models/marts/orders.sql") && !address.contains('{'), "{address}");
}

#[test]
fn columns_are_told_with_where_they_come_from() {
    let (_folder, text) = demo();
    let is_segments = |event: &Value| event["job"]["name"] == "model.mini_shop.customer_segments";
    let event = events(&text).into_iter().find(is_segments).expect("its job");
    let fields = &event["outputs"][0]["facets"]["columnLineage"]["fields"];
    let told = |column: &str| {
        let input = &fields[column]["inputFields"][0];
        [&input["name"], &input["field"], &input["transformations"][0]["subtype"]]
            .map(|it| it.as_str().unwrap_or("?").to_owned())
    };
    let customers = "mini_shop.analytics.dim_customers_v2";
    assert_eq!(told("customer_id"), [customers, "customer_id", "IDENTITY"]);
    assert_eq!(told("segment"), [customers, "lifetime_value", "TRANSFORMATION"]);
}

#[test]
fn runs_are_told_once_each_and_only_of_what_was_built() {
    let (folder, _) = demo();
    let told = |_: ()| events(&ok(folder.path(), &["export", "openlineage", "--events", "run"]).stdout);
    let runs = told(());
    let catalog = rusqlite::Connection::open(folder.path().join("lineaged.db")).expect("the catalog");
    let built = "SELECT unique_id, last_built_at FROM nodes WHERE last_built_at IS NOT NULL AND is_applied
                 AND resource_type IN ('model', 'seed', 'snapshot') AND materialization <> 'ephemeral' ORDER BY 1";
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let found: Vec<_> = runs.iter().map(|run| vec![text(&run["job"]["name"]), text(&run["eventTime"])]).collect();
    assert_eq!(found, rows(&catalog, built));
    let ids: std::collections::BTreeSet<_> = runs.iter().map(|run| text(&run["run"]["runId"])).collect();
    assert_eq!(ids.len(), runs.len());
    assert_eq!(told(()), runs);
}

/// What is compared: everything but run ids, jobs, and when a sync saw it.
const COMPARED: [&str; 5] = [
    "SELECT unique_id, resource_type, is_applied, name, package_name, file_path, description, database_name, schema_name, identifier,
         relation_name, materialization, access, group_name, owner_name, owner_email, layer, contract_enforced, version,
         latest_version, deprecation_date, fqn, tags, meta, properties, last_run_status, last_run_at, last_run_error
     FROM nodes ORDER BY 1",
    "SELECT parent_id, child_id FROM edges ORDER BY 1, 2",
    "SELECT unique_id, name, position, data_type, description, comment, tags, meta, in_warehouse, is_declared
     FROM columns ORDER BY 1, 2",
    "SELECT unique_id, tested_id, column_name, test_name, test_type, status, failures, message, last_run_at FROM tests ORDER BY 1",
    "SELECT unique_id, max_loaded_at, checked_at, checked_status, warn_after_seconds, error_after_seconds
     FROM freshness WHERE resource_type = 'source' ORDER BY 1",
];

#[test]
fn what_is_written_as_dbts_files_is_read_back_as_the_same_catalog() {
    for project in projects() {
        let first = core(&project);
        ok(first.path(), &["sync"]);
        let ran = ok(first.path(), &["export", "artifacts", "--output", "out"]);
        assert!(ran.stderr.contains("left out") && ran.stderr.contains("macros"), "{ran:?}");
        let second = core(&first.path().join("out"));
        ok(second.path(), &["sync"]);
        ok(first.path(), &["export", "artifacts", "--output", "out"]);
        let catalog = |folder: &Path| rusqlite::Connection::open(folder.join("lineaged.db")).expect("a catalog");
        for sql in COMPARED {
            let (before, after) = (rows(&catalog(first.path()), sql), rows(&catalog(second.path()), sql));
            for (before, after) in before.iter().zip(&after) {
                assert_eq!(before, after, "{}", project.display());
            }
            assert_eq!(before.len(), after.len(), "{}", project.display());
        }
    }
}

#[test]
fn what_the_api_told_is_written_as_dbts_files_too() {
    let world = World::bundled();
    world.ok(&["sync"]);
    world.ok(&["export", "artifacts", "--output", "out"]);
    let second = core(&world.folder.path().join("out"));
    ok(second.path(), &["sync"]);
    let found = rusqlite::Connection::open(second.path().join("lineaged.db")).expect("a catalog");
    for sql in [
        "SELECT unique_id, resource_type, owner_name, last_run_status FROM nodes ORDER BY 1",
        "SELECT parent_id, child_id FROM edges ORDER BY 1, 2",
        "SELECT unique_id, name, data_type, description FROM columns ORDER BY 1, 2",
        "SELECT unique_id, tested_id, column_name, status FROM tests ORDER BY 1",
    ] {
        assert_eq!(rows(&found, sql), world.rows(sql), "{sql}");
    }
}

#[test]
fn a_drawing_is_of_what_was_selected() {
    let (folder, _) = demo();
    let drawn = ok(folder.path(), &["export", "mermaid", "--select", "+int_order_payments"]).stdout;
    let expected = "flowchart LR\n  n0[\"model.mini_shop.int_order_payments\"]\n  n1[\"model.mini_shop.stg_payments\"]\n  \
                    n2[\"source.mini_shop.raw_shop.payments\"]\n";
    assert!(drawn.starts_with(expected) && drawn.ends_with("  n1 --> n0\n  n2 --> n1\n"), "{drawn}");
    let dot = ok(folder.path(), &["export", "dot", "--select", "stg_payments", "customer_segments"]).stdout;
    assert!(dot.contains("  \"model.mini_shop.stg_payments\";\n") && !dot.contains("->"), "{dot}");
}

#[test]
fn what_cant_be_exported_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let (demo, _) = demo();
    let world = World::with(
        vec![
            (1, lineaged::demo::Project::bundled(lineaged::time::Timestamp::now())),
            (2, lineaged::demo::Project::bundled(lineaged::time::Timestamp::now())),
        ],
        "",
    );
    world.ok(&["sync"]);
    let dbts = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/demo/mini_shop");
    for (ran, code, part) in [
        (run(&mut binary(folder.path(), &["export", "openlineage"])), 1, "no catalog"),
        (run(&mut binary(demo.path(), &["export", "openlineage", "--since", "999"])), 2, "without `--since`"),
        (
            run(&mut binary(demo.path(), &["export", "datahub", "--output", "no/such/file"])),
            1,
            "can't write `no/such/file`",
        ),
        (run(&mut binary(demo.path(), &["export", "dot", "--events", "run"])), 2, "--events"),
        (world.run(&["export", "artifacts", "--output", "out"]), 2, "`env2`, `prod`"),
        (
            run(&mut binary(demo.path(), &["export", "artifacts", "--output", &dbts.display().to_string()])),
            2,
            "dbt itself has written",
        ),
        (world.run(&["export", "dot"]), 2, "add `--environment`"),
    ] {
        assert_eq!(ran.code, Some(code), "{ran:?}");
        assert!(ran.stderr.contains(part), "{part}: {ran:?}");
    }
    assert!(world.ok(&["export", "datahub"]).contains("datasetProperties"), "several environments are one list");
}
