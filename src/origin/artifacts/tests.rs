//! The rules of files, each with the least that shows it.

mod truth;
mod year;

use std::path::Path;

use serde_json::{Value, json};

use super::*;
use crate::config::{ArtifactsConfig, EnvKeys};
use crate::inventory::{Code, Inventory, Node};
use crate::plan::{Carried, carry_over};
use crate::time::Timestamp;

/// A folder with what dbt leaves; what is written later is younger.
struct Target(tempfile::TempDir);

impl Target {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn with(self, name: &str, content: &Value) -> Self {
        self.write(name, content.to_string().as_bytes());
        self
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.0.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        std::fs::write(path, bytes).expect("written");
    }

    fn place(&self, path: &str) -> ArtifactsConfig {
        ArtifactsConfig { paths: vec![self.0.path().join(path)], ..ArtifactsConfig::default() }
    }

    fn read(&self, path: &str) -> Result<Read, Error> {
        read(&self.place(path), now(), &mut |_| {}, &|_, _, _| {})
    }

    /// What the files come to beside what is stored.
    fn fold(&self, path: &str, stored: &Inventory) -> Carried {
        let carried = carry_over(self.read(path).expect("read").reading, stored, now());
        assert!(carried.kept.is_empty(), "keeping is the rule of files: {:?}", carried.kept);
        carried
    }
}

/// `06` is 2026-11-24T06:00:00Z.
fn at(hour: &str) -> String {
    format!("2026-11-24T{hour}:00:00.000000Z")
}

fn time(hour: &str) -> Option<Timestamp> {
    Timestamp::parse(&at(hour))
}

/// Later than all that is told.
fn now() -> Timestamp {
    Timestamp::parse("2026-11-25T00:00:00Z").expect("a time")
}

fn metadata(kind: &str, version: u32, hour: &str, invocation: &str) -> Value {
    json!({"dbt_schema_version": format!("https://schemas.getdbt.com/dbt/{kind}/v{version}.json"), "dbt_version": "1.12.0",
        "generated_at": at(hour), "invocation_id": invocation, "project_name": "shop", "adapter_type": "duckdb", "env": {}})
}

fn model(name: &str, parents: &[&str]) -> Value {
    json!({"resource_type": "model", "name": name, "package_name": "shop", "original_file_path": format!("models/{name}.sql"),
        "fqn": ["shop", name], "database": "db", "schema": "prod", "alias": name, "relation_name": format!("\"db\".\"prod\".\"{name}\""),
        "config": {"enabled": true, "materialized": "table"}, "depends_on": {"nodes": parents, "macros": []},
        "raw_code": format!("select * from {name}"), "compiled_code": "select 1", "columns": {}, "tags": [], "meta": {}})
}

fn test(name: &str, parent: &str) -> Value {
    json!({"resource_type": "test", "name": name, "package_name": "shop", "original_file_path": "models/x.yml", "fqn": ["shop", name],
        "config": {"enabled": true}, "depends_on": {"nodes": [parent]}, "raw_code": "x", "attached_node": parent, "column_name": "id",
        "test_metadata": {"name": "unique", "kwargs": {"column_name": "id"}}})
}

/// A manifest of these models and tests, and whatever else.
fn manifest(hour: &str, invocation: &str, nodes: &[(&str, Value)]) -> Value {
    let nodes: serde_json::Map<String, Value> =
        nodes.iter().map(|(id, node)| ((*id).to_owned(), node.clone())).collect();
    json!({"metadata": metadata("manifest", 12, hour, invocation), "nodes": nodes, "macros": {"macro.shop.m": {"macro_sql": "x"}}})
}

fn results(which: Option<&str>, hour: &str, invocation: &str, results: &[Value]) -> Value {
    json!({"metadata": metadata("run-results", 6, hour, invocation), "results": results, "elapsed_time": 60.0,
        "args": which.map_or(json!({}), |which| json!({"which": which}))})
}

fn result(id: &str, status: &str, hour: &str) -> Value {
    let timing = json!([{"name": "compile", "started_at": at(hour), "completed_at": at("00")},
        {"name": "execute", "started_at": at(hour), "completed_at": at(hour)}]);
    json!({"unique_id": id, "status": status, "timing": timing, "execution_time": 1.5, "message": "words", "failures": 7})
}

fn catalog(hour: &str, nodes: &[(&str, &[&str])]) -> Value {
    let entry = |columns: &[&str]| {
        let columns = columns.iter().enumerate().map(|(index, name)| {
            ((*name).to_owned(), json!({"name": name, "index": index + 1, "type": "TEXT", "comment": null}))
        });
        let columns: serde_json::Map<String, Value> = columns.collect();
        json!({"metadata": {"type": "BASE TABLE", "owner": null, "comment": ""}, "columns": columns,
            "stats": {"has_stats": {"id": "has_stats", "label": "Has Stats?", "value": false, "include": 0.0, "description": "d"}}})
    };
    let nodes: serde_json::Map<String, Value> =
        nodes.iter().map(|(id, columns)| ((*id).to_owned(), entry(columns))).collect();
    json!({"metadata": metadata("catalog", 1, hour, "docs"), "nodes": nodes, "sources": {}, "errors": null})
}

const A: &str = "model.shop.a";
const B: &str = "model.shop.b";
const T: &str = "test.shop.t.1";

fn shop(hour: &str, invocation: &str) -> Value {
    manifest(hour, invocation, &[(A, model("a", &[])), (B, model("b", &[A])), (T, test("t", A))])
}

fn status<'n>(inventory: &'n Inventory, id: &str) -> Option<&'n str> {
    inventory.nodes[id].last_run.status.as_deref()
}

#[test]
fn a_build_at_night_and_tests_at_noon_add_up() {
    let night = results(Some("build"), "02", "build", &[result(A, "success", "01"), result(B, "error", "02")]);
    let target = Target::new().with("manifest.json", &shop("01", "build")).with("run_results.json", &night);
    let first = target.fold("", &Inventory::default()).inventory;
    let target = target.with("manifest.json", &shop("12", "test"));
    let target = target.with("run_results.json", &results(Some("test"), "12", "test", &[result(T, "fail", "12")]));
    let Carried { inventory: second, history, .. } = target.fold("", &first);
    assert_eq!(
        [status(&second, A), status(&second, B), status(&second, T)],
        [Some("success"), Some("error"), Some("fail")]
    );
    let run = &second.nodes[A].last_run;
    assert_eq!((run.at, run.run_id.as_deref(), run.execution_seconds), (time("01"), Some("build"), Some(1.5)));
    assert_eq!(second.nodes[B].last_run.error.as_deref(), Some("words"));
    assert_eq!((second.nodes[T].last_run.failures, second.nodes[A].last_run.failures), (Some(7), None));
    let history = history.expect("of files");
    assert_eq!((history.results.len(), history.runs.len()), (1, 1));
    let run = &history.runs[0];
    assert_eq!(
        (run.status.as_deref(), run.started_at, run.duration_seconds),
        (Some("error"), Timestamp::parse("2026-11-24T11:59:00Z"), Some(60.0))
    );
    // Read again, nothing is other than it was.
    assert_eq!(target.fold("", &second).inventory, second);
}

#[test]
fn a_command_that_only_compiles_does_not_overwrite_a_build() {
    let build = results(Some("build"), "02", "1", &[result(A, "error", "01"), result(T, "fail", "02")]);
    for which in ["generate", "compile", "show", "parse", "list", "freshness"] {
        let later = results(Some(which), "05", "2", &[result(A, "success", "05"), result(T, "success", "05")]);
        let target = Target::new()
            .with("build/manifest.json", &shop("01", "1"))
            .with("build/run_results.json", &build)
            .with("later/manifest.json", &shop("05", "2"))
            .with("later/run_results.json", &later);
        let Carried { inventory, history, .. } = target.fold("*/", &Inventory::default());
        assert_eq!([status(&inventory, A), status(&inventory, T)], [Some("error"), Some("fail")], "{which}");
        assert_eq!(history.expect("of files").runs.len(), 1, "{which}");
    }
}

#[test]
fn a_test_that_is_a_success_was_not_run() {
    let unknown = results(None, "02", "1", &[result(A, "success", "01"), result(T, "success", "02")]);
    let target = Target::new().with("manifest.json", &shop("01", "1")).with("run_results.json", &unknown);
    let inventory = target.fold("", &Inventory::default()).inventory;
    assert_eq!([status(&inventory, A), status(&inventory, T)], [Some("success"), None]);
}

#[test]
fn a_test_run_tells_of_tests_alone_and_a_retry_is_a_build() {
    let tested = results(Some("test"), "02", "1", &[result(A, "success", "01"), result(T, "warn", "02")]);
    let target = Target::new().with("manifest.json", &shop("01", "1")).with("run_results.json", &tested);
    let first = target.fold("", &Inventory::default()).inventory;
    assert_eq!([status(&first, A), status(&first, T)], [None, Some("warn")]);
    let target = target.with("run_results.json", &results(Some("retry"), "03", "2", &[result(A, "success", "03")]));
    let second = target.fold("", &first).inventory;
    assert_eq!([status(&second, A), status(&second, T)], [Some("success"), Some("warn")]);
}

#[test]
fn the_newest_result_wins_and_all_are_history() {
    let target = Target::new()
        .with("manifest.json", &shop("01", "1"))
        .with("1/run_results.json", &results(Some("run"), "04", "late", &[result(A, "error", "04")]))
        .with("2/run_results.json", &results(Some("run"), "03", "early", &[result(A, "success", "03")]))
        .with("3/run_results.json", &results(Some("run"), "03", "early", &[result(A, "success", "03")]))
        .with(
            "4/run_results.json",
            &results(Some("run"), "05", "skipping", &[json!({"unique_id": A, "status": "skipped", "timing": []})]),
        );
    let place = ArtifactsConfig {
        paths: ["", "*/"].map(|path| target.0.path().join(path)).into(),
        ..ArtifactsConfig::default()
    };
    let reading = read(&place, now(), &mut |_| {}, &|_, _, _| {}).expect("read").reading;
    let carried = carry_over(reading, &Inventory::default(), now());
    let run = &carried.inventory.nodes[A].last_run;
    assert_eq!((run.status.as_deref(), run.at), (Some("skipped"), time("05")), "without a time of its own, its run's");
    assert_eq!((run.executed_at, run.success_run_id.as_deref()), (time("03"), Some("early")));
    let history = carried.history.expect("of files");
    let told: Vec<_> = history.results.iter().map(|result| (&*result.run_id, result.completed_at)).collect();
    assert_eq!(told, [("early", time("03")), ("late", time("04")), ("skipping", time("05"))]);
    assert_eq!(history.runs.len(), 3);
}

#[test]
fn older_files_do_not_take_back_what_newer_ones_said() {
    let target = Target::new().with("manifest.json", &shop("01", "1"));
    let newer = target.with("run_results.json", &results(Some("run"), "06", "new", &[result(A, "success", "06")]));
    let stored = newer.fold("", &Inventory::default()).inventory;
    let older = newer.with("run_results.json", &results(Some("run"), "03", "old", &[result(A, "error", "03")]));
    let Carried { inventory, history, .. } = older.fold("", &stored);
    assert_eq!(inventory, stored);
    assert_eq!(history.expect("of files").results.len(), 1, "it is history");
}

#[test]
fn what_the_first_manifest_holds_is_assumed_applied_and_later_nodes_are_shown() {
    let target = Target::new().with("manifest.json", &shop("01", "1"));
    let Carried { inventory: first, warnings, .. } = target.fold("", &Inventory::default());
    assert!(first.nodes.values().all(|node| node.is_applied == Some(true)));
    assert!(warnings[0].contains("assumed"), "{warnings:?}");
    let ids = ["built", "failed", "skipped", "found", "tested", "unseen"].map(|name| format!("model.shop.{name}"));
    let late = "test.shop.late.2";
    let mut nodes = vec![(A, model("a", &[])), (B, model("b", &[A])), (late, test("late", &ids[4]))];
    nodes.extend(ids.iter().map(|id| (id.as_str(), model(id.rsplit('.').next().expect("a name"), &[]))));
    let mut ephemeral = model("between", &[A]);
    ephemeral["config"]["materialized"] = "ephemeral".into();
    nodes.push(("model.shop.between", ephemeral.clone()));
    nodes.push(("model.shop.above", {
        let mut above = ephemeral.clone();
        above["name"] = "above".into();
        above
    }));
    let mut child = model("built", &["model.shop.between"]);
    child["name"] = "built".into();
    nodes.retain(|(id, _)| *id != ids[0]);
    nodes.push((&ids[0], child));
    let mut manifest = manifest("05", "2", &nodes);
    manifest["sources"]["source.shop.raw.s"] =
        json!({"name": "s", "source_name": "raw", "fqn": ["shop", "raw", "s"], "config": {}});
    let run = results(
        Some("build"),
        "06",
        "2",
        &[
            result(&ids[0], "success", "06"),
            result(&ids[1], "error", "06"),
            result(&ids[2], "skipped", "06"),
            result(late, "pass", "06"),
        ],
    );
    let target = target
        .with("manifest.json", &manifest)
        .with("run_results.json", &run)
        .with("catalog.json", &catalog("07", &[(&ids[3], &["id"])]));
    let second = target.fold("", &first).inventory;
    let applied = |id: &str| second.nodes[id].is_applied;
    assert_eq!([A, B, late, "source.shop.raw.s"].map(applied), [Some(true); 4]);
    let shown = ids.each_ref().map(|id| applied(id));
    assert_eq!(shown, [true, true, false, true, true, false].map(Some));
    assert_eq!((applied("model.shop.between"), applied("model.shop.above")), (Some(true), Some(false)));
    // It stays so when the results are gone.
    std::fs::remove_file(target.0.path().join("run_results.json")).expect("removed");
    assert_eq!(target.fold("", &second).inventory, second);
}

#[test]
fn compiled_code_stays_while_the_raw_code_does() {
    let target = Target::new().with("manifest.json", &shop("01", "1"));
    let first = target.fold("", &Inventory::default()).inventory;
    let (mut same, mut edited) = (model("a", &[]), model("b", &[A]));
    for node in [&mut same, &mut edited] {
        node.as_object_mut().expect("a map").remove("compiled_code");
    }
    edited["raw_code"] = "select 2".into();
    let target = target.with("manifest.json", &manifest("05", "2", &[(A, same), (B, edited)]));
    let second = target.fold("", &first).inventory;
    assert_eq!(second.nodes[A].compiled_code, first.nodes[A].compiled_code);
    assert!(second.nodes[A].compiled_code.is_some());
    assert_eq!(second.nodes[B].compiled_code, None);
    assert!(!second.nodes.contains_key(T), "what the manifest lacks is removed");
}

#[test]
fn compiled_code_comes_from_any_manifest_of_the_same_raw_code_and_from_results_of_one() {
    let bare = |name: &str, raw: &str| {
        let mut node = model(name, &[]);
        node.as_object_mut().expect("a map").remove("compiled_code");
        node["raw_code"] = raw.into();
        node
    };
    let mut compiled = result("model.shop.c", "success", "05");
    compiled["compiled_code"] = "select 'c'".into();
    let mut foreign = result("model.shop.d", "success", "05");
    foreign["compiled_code"] = "select 'd'".into();
    let newest = manifest(
        "05",
        "2",
        &[
            (A, bare("a", "select * from a")),
            (B, bare("b", "new")),
            ("model.shop.c", bare("c", "c")),
            ("model.shop.d", bare("d", "d")),
        ],
    );
    let target = Target::new()
        .with("1/manifest.json", &shop("01", "1"))
        .with("2/manifest.json", &newest)
        .with("2/run_results.json", &results(Some("build"), "05", "2", &[compiled]))
        .with("3/run_results.json", &results(Some("build"), "05", "no manifest", &[foreign]));
    let mut texts = Vec::new();
    let reading = read(&target.place("*/"), now(), &mut |told| texts.push((told.code, told.text)), &|_, _, _| {})
        .expect("read")
        .reading;
    let code = |id: &str| reading.inventory.nodes[id].compiled_code.clone();
    let text =
        |id: &str| texts.iter().find(|(known, _)| Some(known) == code(id).as_ref()).map(|(_, text)| text.as_str());
    assert_eq!([A, B, "model.shop.c", "model.shop.d"].map(text), [Some("select 1"), None, Some("select 'c'"), None]);
}

#[test]
fn columns_are_the_catalogs_and_those_declared_alone() {
    let mut declared = model("a", &[]);
    declared["columns"] = json!({"ID": {"name": "ID", "description": "Key", "tags": "pii", "meta": {"x": 1}}, "ghost": {"name": "ghost", "description": " "}});
    let nodes = [(A, declared), (B, model("b", &[]))];
    let target = Target::new()
        .with("manifest.json", &manifest("01", "1", &nodes))
        .with("run_results.json", &results(Some("run"), "02", "1", &[result(A, "success", "02")]))
        .with("catalog.json", &catalog("03", &[(A, &["id", "other"]), (B, &["b"])]));
    let first = target.fold("", &Inventory::default()).inventory;
    let told = |node: &Node| -> Vec<(String, Option<bool>, Option<bool>)> {
        node.columns.iter().map(|column| (column.name.to_string(), column.in_warehouse, column.is_declared)).collect()
    };
    let of = |name: &str, here, declared| (name.to_owned(), here, Some(declared));
    let whole = [of("id", Some(true), true), of("other", Some(true), false), of("ghost", Some(false), true)];
    assert_eq!(told(&first.nodes[A]), whole);
    let id = &first.nodes[A].columns[0];
    assert_eq!((id.description.as_deref(), id.position), (Some("Key"), Some(1)));
    assert_eq!(id.tags.as_ref().map(|tags| tags.as_str()), Some("[\"pii\"]"));
    assert_eq!(first.nodes[A].columns[2].description, None, "white space alone is no description");
    // A partial catalog clears nothing that it does not name.
    let target = target.with("catalog.json", &catalog("04", &[(B, &["b", "c"])]));
    let second = target.fold("", &first).inventory;
    assert_eq!(told(&second.nodes[A]), whole);
    assert_eq!(second.nodes[A].properties, first.nodes[A].properties, "with its statistics");
    assert_eq!(told(&second.nodes[B]).len(), 2);
    // Built again since: what it lacks is unknown.
    let target = target.with("run_results.json", &results(Some("run"), "05", "2", &[result(A, "success", "05")]));
    let third = target.fold("", &second).inventory;
    assert_eq!(told(&third.nodes[A])[2], of("ghost", None, true));
    assert_eq!(told(&target.fold("", &third).inventory.nodes[A]), told(&third.nodes[A]));
}

#[test]
fn an_ephemeral_node_has_no_columns_whatever_an_older_catalog_says() {
    let mut ephemeral = model("a", &[]);
    ephemeral["config"]["materialized"] = "ephemeral".into();
    let target = Target::new()
        .with("manifest.json", &manifest("05", "2", &[(A, ephemeral)]))
        .with("catalog.json", &catalog("01", &[(A, &["id"])]));
    let stored =
        Target::new().with("manifest.json", &shop("01", "1")).with("catalog.json", &catalog("01", &[(A, &["id"])]));
    let stored = stored.fold("", &Inventory::default()).inventory;
    assert_eq!(stored.nodes[A].columns.len(), 1);
    let now = target.fold("", &stored).inventory;
    assert!(now.nodes[A].columns.is_empty() && now.nodes[A].properties.value().get("stats").is_none());
}

#[test]
fn checks_of_sources_add_up_and_a_runtime_error_counts_when_it_was_written() {
    let source = |name: &str| {
        json!({"name": name, "source_name": "raw", "fqn": ["shop", "raw", name], "config": {},
        "freshness": {"warn_after": {"count": "12", "period": "hour"}, "error_after": {"count": null, "period": null}}})
    };
    let mut manifest = shop("01", "1");
    let (one, two) = ("source.shop.raw.one", "source.shop.raw.two");
    manifest["sources"] = json!({one: source("one"), two: source("two")});
    let checks =
        |hour: &str, results: Value| json!({"metadata": metadata("sources", 3, hour, "f"), "results": results});
    let good = json!({"unique_id": one, "status": "pass", "max_loaded_at": at("01"), "snapshotted_at": at("02")});
    let bad = json!({"unique_id": two, "status": "runtime error", "error": "no such table"});
    let target = Target::new().with("manifest.json", &manifest).with("sources.json", &checks("03", json!([good, bad])));
    let first = target.fold("", &Inventory::default()).inventory;
    let check = |inventory: &Inventory, id: &str| {
        let check = inventory.nodes[id].freshness.clone();
        (check.status.map(|status| status.to_string()), check.checked_at)
    };
    assert_eq!(check(&first, one), (Some("pass".into()), time("02")));
    assert_eq!(check(&first, two), (Some("error".into()), None), "it has seen nothing");
    let properties = first.nodes[one].properties.value();
    assert_eq!(properties["freshness"], json!({"warn_after": {"count": 12, "period": "hour"}}));
    assert_eq!(properties["freshness_checked"], true);
    let later = json!({"unique_id": two, "status": "warn", "max_loaded_at": at("01"), "snapshotted_at": at("04")});
    let target = target.with("sources.json", &checks("04", json!([later])));
    let Carried { inventory: second, history, .. } = target.fold("", &first);
    assert_eq!(check(&second, one), check(&first, one));
    assert_eq!(check(&second, two), (Some("warn".into()), time("04")));
    assert_eq!(second.nodes[one].properties, first.nodes[one].properties);
    assert_eq!(history.expect("of files").checks.len(), 1);
    let failed = |hour: &str| checks(hour, json!([{"unique_id": two, "status": "runtime error", "error": "gone"}]));
    let third = target.with("sources.json", &failed("05")).fold("", &second).inventory;
    assert_eq!(check(&third, two), (Some("error".into()), None), "it failed after the last good one");
    let target = Target::new().with("manifest.json", &manifest).with("sources.json", &failed("03"));
    assert_eq!(check(&target.fold("", &second).inventory, two), check(&second, two), "it failed before that");
}

#[test]
fn results_of_another_target_do_not_count_but_for_what_was_built_here() {
    let placed = |id: &str, place: &str, hour: &str| {
        let mut result = result(id, "error", hour);
        result["relation_name"] = format!("\"db\".\"{place}\".\"x\"").into();
        result
    };
    let dev = results(
        Some("build"),
        "05",
        "dev",
        &[placed(A, "dbt_ana", "05"), placed(B, "PROD", "05"), result(T, "fail", "05")],
    );
    let prod = results(Some("build"), "02", "prod", &[placed(A, "prod", "02"), result(T, "warn", "02")]);
    let target = Target::new()
        .with("manifest.json", &shop("06", "3"))
        .with("1/run_results.json", &prod)
        .with("2/run_results.json", &dev);
    let place = ArtifactsConfig {
        paths: ["", "*/"].map(|path| target.0.path().join(path)).into(),
        ..ArtifactsConfig::default()
    };
    let reading = read(&place, now(), &mut |_| {}, &|_, _, _| {}).expect("read").reading;
    let run = |id: &str| reading.inventory.nodes[id].last_run.run_id.clone();
    assert_eq!([A, B, T].map(run), [Some("prod".into()), Some("dev".into()), Some("prod".into())]);
    let warning = reading.warnings.iter().find(|warning| warning.contains("`dev`")).expect("a warning");
    assert!(warning.contains("db.dbt_ana") && warning.contains("2 of its 3 results"), "{warning}");
}

#[test]
fn tests_of_an_invocation_whose_own_manifest_is_of_another_place_do_not_count() {
    let mut elsewhere = shop("05", "dev");
    for id in [A, B] {
        elsewhere["nodes"][id]["relation_name"] = "db.dbt_ana.x".into();
    }
    let target = Target::new()
        .with("1/manifest.json", &shop("06", "prod"))
        .with("2/manifest.json", &elsewhere)
        .with("2/run_results.json", &results(Some("test"), "05", "dev", &[result(T, "fail", "05")]));
    let reading = target.read("*/").expect("read").reading;
    assert_eq!(reading.inventory.nodes[T].last_run.status, None);
    assert!(reading.warnings.iter().any(|warning| warning.contains("`dev`")), "{:?}", reading.warnings);
}

#[test]
fn a_run_tells_of_itself_what_the_environment_says() {
    let mut run = results(Some("build"), "02", "1", &[result(A, "success", "02")]);
    run["metadata"]["env"] = json!({"GITHUB_SHA": "abc", "DAG": "nightly", "WHY": ""});
    run["metadata"]["invocation_started_at"] = at("01").into();
    let target = Target::new().with("manifest.json", &shop("01", "1")).with("run_results.json", &run);
    let key = |name: &str| Some(name.to_owned());
    let env_keys = EnvKeys { git_sha: key("GITHUB_SHA"), job_name: key("DBT_ENV_CUSTOM_ENV_DAG"), cause: key("WHY") };
    let place = ArtifactsConfig { env_keys, ..target.place("") };
    let reading = read(&place, now(), &mut |_| {}, &|_, _, _| {}).expect("read").reading;
    let told = &reading.told.as_ref().expect("of files").history.runs[0];
    assert_eq!(
        (told.git_sha.as_deref(), told.job_name.as_deref(), told.cause.as_deref()),
        (Some("abc"), Some("nightly"), None)
    );
    assert_eq!((told.status.as_deref(), told.started_at, told.finished_at), (Some("success"), time("01"), time("02")));
    let facts = &reading.inventory.environment;
    assert_eq!(
        (facts.git_sha.as_deref(), facts.applied_at, facts.definition_at),
        (Some("abc"), time("02"), time("01"))
    );
}

#[test]
fn functions_and_types_without_a_name_come_with_their_parents() {
    let mut shop = manifest(
        "01",
        "1",
        &[(A, model("a", &[])), (B, model("b", &["function.shop.f", "gadget.shop.g", "model.shop.off"]))],
    );
    shop["functions"]["function.shop.f"] = json!({"resource_type": "function", "name": "f", "package_name": "shop", "fqn": ["shop", "f"],
        "depends_on": {"nodes": [A]}, "config": {"enabled": true}, "raw_code": "x", "schema": "s", "alias": "f"});
    shop["nodes"]["gadget.shop.g"] = json!({"resource_type": "gadget", "name": "g", "package_name": "shop", "depends_on": {"nodes": [A, "macro.shop.m"]}});
    shop["nodes"]["gadget.shop.alone"] = json!({"resource_type": "gadget", "name": "alone"});
    shop["disabled"] = json!({"model.shop.off": []});
    let mut inventory = Target::new().with("manifest.json", &shop).fold("", &Inventory::default()).inventory;
    let kind = |id: &str| inventory.nodes.get(id).map(|node| node.resource_type.as_str());
    assert_eq!(
        (kind("function.shop.f"), kind("gadget.shop.g"), kind("gadget.shop.alone")),
        (Some("function"), Some("external"), None)
    );
    let parents = |id: &str| inventory.nodes[id].parents.iter().map(|id| id.as_str()).collect::<Vec<_>>();
    assert_eq!((parents("function.shop.f"), parents("gadget.shop.g")), (vec![A], vec![A]));
    assert_eq!(parents(B), ["function.shop.f", "gadget.shop.g"], "what is disabled is no parent");
    assert_eq!(inventory.nodes["function.shop.f"].is_applied, Some(true));
    assert_eq!(inventory.add_externals(), Vec::<String>::new(), "no path is cut");
}

#[test]
fn another_projects_models_are_external() {
    let mut shop = manifest("01", "1", &[(A, model("a", &["model.up.pub.v2", "model.up.my.dim.v1"]))]);
    shop["nodes"]["model.up.pub.v2"] = json!({"resource_type": "model", "name": "pub", "package_name": "up", "original_file_path": "",
        "depends_on": {"nodes": ["model.up.hidden"]}, "config": {}, "description": "D"});
    let inventory = Target::new().with("manifest.json", &shop).fold("", &Inventory::default()).inventory;
    let node = &inventory.nodes["model.up.pub.v2"];
    assert_eq!(
        (node.resource_type.as_str(), node.description.as_deref(), node.is_applied),
        ("external", Some("D"), None)
    );
    let unknown = &inventory.nodes["model.up.my.dim.v1"];
    assert_eq!((unknown.name.as_deref(), unknown.package_name.as_deref()), (Some("my.dim"), Some("up")));
    assert!(!inventory.nodes.contains_key("model.up.hidden"));
}

#[test]
fn a_test_is_of_what_it_says() {
    let unit = |model: &str, version: Value, parents: &[&str]| {
        json!({"name": "u", "model": model, "version": version, "package_name": "shop",
        "depends_on": {"nodes": parents}, "given": [], "expect": {}, "config": {}})
    };
    let (v1, v2) = ("model.shop.c.v1", "model.shop.c.v2");
    let versioned = |version: i64| {
        let mut it = model("c", &[]);
        it["version"] = version.into();
        it["latest_version"] = 2.into();
        it
    };
    let mut shop =
        manifest("01", "1", &[(A, model("a", &[])), (v1, versioned(1)), (v2, versioned(2)), (T, test("t", A))]);
    shop["unit_tests"] = json!({"u1": unit("c", 1.into(), &[v2, v1]), "u2": unit("c", Value::Null, &[v1, v2]), "u3": unit("a", Value::Null, &[v1, A])});
    let inventory = Target::new().with("manifest.json", &shop).fold("", &Inventory::default()).inventory;
    let of = |id: &str| inventory.nodes[id].properties.value()["attached_node"].clone();
    assert_eq!([T, "u1", "u2", "u3"].map(of), [A, v1, v2, A]);
}

fn refusal(name: &str, bytes: &[u8]) -> String {
    let target = Target::new().with("manifest.json", &shop("01", "1"));
    target.write(name, bytes);
    let error = target.read("").expect_err("refused");
    let path = target.0.path().join(name).display().to_string();
    assert!(error.to_string().contains(&path), "{error}");
    error.to_string()
}

#[test]
fn a_file_that_is_not_dbts_is_named_with_the_way_out() {
    for (name, bytes, says) in [
        ("manifest.json", &b"\xEF\xBB\xBF{}"[..], "byte order mark"),
        ("run_results.json", b"\xFF\xFE{\0}\0", "byte order mark"),
        (
            "manifest.json",
            br#"{"metadata": {"dbt_schema_version": "x"}, "nodes": {}}"#,
            "does not say that it is a manifest",
        ),
        ("catalog.json", br#"{"a": 1}"#, "does not say that it is a catalog"),
        (
            "sources.json",
            br#"{"metadata": {"dbt_schema_version": "https://schemas.getdbt.com/dbt/catalog/v1.json"}}"#,
            "sources",
        ),
        (
            "manifest.json",
            br#"{"metadata": {"dbt_schema_version": "https://schemas.getdbt.com/dbt/manifest/v3.json"}}"#,
            "version 3",
        ),
        (
            "manifest.json",
            br#"{"metadata": {"dbt_schema_version": "https://schemas.getdbt.com/dbt/manifest/v12.json"}}"#,
            "without `nodes`",
        ),
        (
            "catalog.json",
            br#"{"metadata": {"dbt_schema_version": "https://schemas.getdbt.com/dbt/catalog/v1.json"}, "nodes": {"#,
            "not whole",
        ),
        ("run_results.json", b"", "not whole"),
        ("manifest.json", b"[]", "not whole"),
        ("catalog.json.gz", b"no gzip", "not whole"),
    ] {
        let text = refusal(name, bytes);
        assert!(text.contains(says), "{name}: {text}");
    }
}

#[test]
fn without_a_manifest_nothing_is_read_and_without_the_rest_everything_is() {
    let none = Target::new().with("run_results.json", &results(Some("run"), "01", "1", &[]));
    assert!(matches!(none.read(""), Err(Error::NoManifest { .. })));
    assert!(matches!(none.read("gone"), Err(Error::Nothing { .. })));
    assert!(matches!(Target::new().read(""), Err(Error::Nothing { .. })));
    assert!(matches!(none.read("gone/*/"), Err(Error::NoManifest { .. })));
    assert!(matches!(probe(&none.place(""), None), Err(Error::NoManifest { .. })));
    let only = Target::new().with("manifest.json", &shop("01", "1"));
    assert_eq!(only.read("").expect("read").reading.inventory.nodes.len(), 3);
}

#[test]
fn packed_files_and_names_of_ones_own_are_read() {
    use std::io::Write as _;
    let target = Target::new();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(shop("01", "1").to_string().as_bytes()).expect("packed");
    target.write("manifest-2026.json.gz", &packed.finish().expect("packed"));
    target.write("semantic_manifest.json", b"{}");
    let target = target.with("night_run_results.json", &results(Some("run"), "01", "1", &[result(A, "success", "01")]));
    let inventory = target.read("*.json*").expect("read").reading.inventory;
    assert_eq!((inventory.nodes.len(), status(&inventory, A)), (3, Some("success")));
}

#[test]
fn the_newest_manifest_of_the_project_counts() {
    let mut other = shop("09", "x");
    other["metadata"]["project_name"] = "other".into();
    let target = Target::new()
        .with("1/manifest.json", &manifest("05", "2", &[(A, model("a", &[]))]))
        .with("2/manifest.json", &shop("01", "1"))
        .with("3/manifest.json", &other);
    let error = target.read("*/").expect_err("two projects").to_string();
    assert!(error.contains("`other`") && error.contains("`shop`") && error.contains("`project`"), "{error}");
    let place = ArtifactsConfig { project: Some("shop".to_owned()), ..target.place("*/") };
    let read = read(&place, now(), &mut |_| {}, &|_, _, _| {}).expect("read");
    assert_eq!(read.reading.inventory.nodes.len(), 1);
    assert!(probe(&place, Some(&read.stamps)).expect("probed").is_same);
}

#[test]
fn bare_numbers_and_wrong_types_are_unknown_and_told() {
    let mut shop = shop("01", "1");
    shop["nodes"][A]["description"] = json!({"not": "a text"});
    shop["nodes"][A]["version"] = 2.into();
    shop["nodes"][A]["database"] = "None".into();
    shop["nodes"][B]["meta"] = json!([1]);
    shop["nodes"][B] = Value::from(5);
    let text = shop.to_string().replace("\"select 1\"", "NaN");
    let target = Target::new();
    target.write("manifest.json", text.as_bytes());
    let reading = target.read("").expect("read").reading;
    let node = &reading.inventory.nodes[A];
    assert_eq!(
        (node.description.as_deref(), node.version.as_deref(), node.database_name.as_deref()),
        (None, Some("2"), None)
    );
    assert_eq!(node.compiled_code, None);
    assert!(!reading.inventory.nodes.contains_key(B));
    let said = |word: &str| reading.warnings.iter().any(|warning| warning.contains(word));
    assert!(said("`NaN`") && said("`description` of `model.shop.a`"), "{:?}", reading.warnings);
}

#[test]
fn what_the_engine_of_dbt_v2_writes_is_read_with_a_warning() {
    let mut shop = shop("01", "1");
    shop["metadata"] = metadata("manifest", 20, "01", "1");
    let reading = Target::new().with("manifest.json", &shop).read("").expect("read").reading;
    assert_eq!(reading.inventory.nodes.len(), 3);
    assert!(reading.warnings[0].contains("dbt v2"), "{:?}", reading.warnings);
}

/// As if it had lain there for long.
fn settle(path: &Path, seconds: u64) {
    let file = std::fs::File::options().write(true).open(path).expect("open");
    let time = std::time::SystemTime::now() - std::time::Duration::from_secs(seconds);
    file.set_modified(time).expect("set");
}

#[test]
fn files_that_have_not_moved_are_not_read_and_touched_ones_are_found_equal() {
    let target = Target::new().with("manifest.json", &shop("01", "1"));
    let (file, place) = (target.0.path().join("manifest.json"), target.place(""));
    settle(&file, 3600);
    let read = target.read("").expect("read");
    assert_eq!(read.bytes, std::fs::metadata(&file).expect("there").len());
    let again = probe(&place, Some(&read.stamps)).expect("probed");
    assert_eq!((again.bytes, again.is_same, &again.text), (0, true, &read.stamps));
    settle(&file, 60);
    let touched = probe(&place, Some(&read.stamps)).expect("probed");
    assert_eq!((touched.bytes, touched.is_same), (read.bytes, true));
    assert_ne!(touched.text, read.stamps);
    assert_eq!(probe(&place, Some(&touched.text)).expect("probed").bytes, 0, "its new time is remembered");
    let target = target.with("manifest.json", &shop("02", "2"));
    assert!(!probe(&place, Some(&touched.text)).expect("probed").is_same, "of the same size");
    let target = target.with("catalog.json", &catalog("02", &[]));
    assert!(!probe(&place, Some(&read.stamps)).expect("probed").is_same);
    let other =
        ArtifactsConfig { env_keys: EnvKeys { cause: Some("X".to_owned()), ..EnvKeys::default() }, ..target.place("") };
    let first = probe(&place, None).expect("probed");
    assert_eq!((first.bytes, first.is_same), (0, false), "whoever reads hashes");
    let now = target.read("").expect("read").stamps;
    assert!(probe(&place, Some(&now)).expect("probed").is_same);
    assert!(!probe(&other, Some(&now)).expect("probed").is_same, "what it tells of runs is another");
}

#[test]
fn a_file_that_becomes_whole_is_read() {
    let target = Target::new();
    let text = shop("01", "1").to_string();
    target.write("manifest.json", &text.as_bytes()[..text.len() / 2]);
    let path = target.0.path().join("manifest.json");
    let writer = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(100));
        std::fs::write(path, text).expect("written");
    });
    assert_eq!(target.read("").expect("read").reading.inventory.nodes.len(), 3);
    writer.join().expect("done");
}

#[test]
fn a_survey_tells_what_is_there_and_what_is_unknown() {
    let target = Target::new()
        .with("manifest.json", &shop("01", "1"))
        .with("run_results.json", &results(Some("generate"), "01", "1", &[result(A, "success", "01")]));
    let survey = survey(&target.place("")).expect("surveyed");
    assert_eq!((survey.project_name.as_deref(), survey.adapter_type.as_deref()), (Some("shop"), Some("duckdb")));
    let told: Vec<_> =
        survey.files.iter().map(|file| (file.kind.as_str(), file.counts, file.command.as_deref())).collect();
    assert_eq!(told, [("manifest", true, None), ("run_results", false, Some("docs generate"))]);
    assert_eq!(survey.files[0].generated_at, time("01"));
    let notes = survey.notes.join("\n");
    assert!(["no catalog.json", "no sources.json", "no results"].iter().all(|note| notes.contains(note)), "{notes}");
}
