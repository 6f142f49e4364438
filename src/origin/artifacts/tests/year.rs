//! A year of a project: builds of all and of a part, tests, docs, edits, new models and renamed ones, a folder that is deleted or half
//! written. Whatever was read, what is known is what the files said so far, told a second time here from what was done.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

/// What one node is known to be.
#[derive(Debug, Clone, Default, PartialEq)]
struct Known {
    raw: u32,
    is_applied: bool,
    compiled: Option<u32>,
    /// Status and hour of the last attempt.
    last: Option<(String, i64)>,
    built_at: Option<i64>,
    columns: BTreeSet<String>,
}

/// What lies in the folder.
#[derive(Debug, Clone, Default)]
struct Files {
    /// Of each model its raw code, and whether it is compiled.
    manifest: BTreeMap<String, (u32, bool)>,
    /// Which command, and what became of each node at which hour.
    results: Option<(&'static str, i64, BTreeMap<String, String>)>,
    catalog: Option<BTreeMap<String, BTreeSet<String>>>,
}

fn id(name: &str) -> String {
    format!("model.shop.{name}")
}

fn hour(hours: i64) -> String {
    let start = Timestamp::parse("2025-01-01T00:00:00Z").expect("a time");
    start.plus_millis(hours * 3_600_000).to_string()
}

fn written(files: &Files, now: i64) -> Target {
    let nodes = files.manifest.iter().map(|(name, (raw, is_compiled))| {
        let mut node = model(name, &[]);
        node["raw_code"] = format!("select {raw}").into();
        node["compiled_code"] = if *is_compiled { format!("compiled {raw}").into() } else { Value::Null };
        (id(name), node)
    });
    let nodes: serde_json::Map<String, Value> = nodes.collect();
    let stamped = |kind: &str, version: u32, at: i64| {
        let mut metadata = metadata(kind, version, "00", &format!("run {at}"));
        metadata["generated_at"] = hour(at).into();
        metadata
    };
    let target =
        Target::new().with("manifest.json", &json!({"metadata": stamped("manifest", 12, now), "nodes": nodes}));
    let target = match &files.results {
        None => target,
        Some((which, at, outcomes)) => {
            let outcomes: Vec<Value> = outcomes
                .iter()
                .map(|(name, status)| json!({"unique_id": id(name), "status": status, "timing": []}))
                .collect();
            let results =
                json!({"metadata": stamped("run-results", 6, *at), "args": {"which": which}, "results": outcomes});
            target.with("run_results.json", &results)
        }
    };
    match &files.catalog {
        None => target,
        Some(named) => {
            let lists: Vec<(String, Vec<&str>)> =
                named.iter().map(|(name, columns)| (id(name), columns.iter().map(String::as_str).collect())).collect();
            let named: Vec<(&str, &[&str])> =
                lists.iter().map(|(id, columns)| (id.as_str(), columns.as_slice())).collect();
            target.with("catalog.json", &catalog("00", &named))
        }
    }
}

/// What the files add to what was known.
fn told(files: &Files, known: &BTreeMap<String, Known>) -> BTreeMap<String, Known> {
    let is_first = known.is_empty();
    let node = |(name, (raw, is_compiled)): (&String, &(u32, bool))| {
        let before = known.get(name);
        let mut now = before.cloned().unwrap_or_default();
        if before.is_none_or(|before| before.raw != *raw) {
            now.compiled = None;
        }
        now.raw = *raw;
        if *is_compiled {
            now.compiled = Some(*raw);
        }
        now.is_applied |= is_first;
        if let Some((which, at, outcomes)) = &files.results
            && ["build", "run"].contains(which)
            && let Some(status) = outcomes.get(name)
        {
            now.is_applied |= status != "skipped";
            if now.last.as_ref().is_none_or(|(_, last)| last <= at) {
                now.last = Some((status.clone(), *at));
            }
            if status == "success" {
                now.built_at = now.built_at.max(Some(*at));
            }
        }
        if let Some(columns) = files.catalog.as_ref().and_then(|catalog| catalog.get(name)) {
            now.is_applied = true;
            now.columns.clone_from(columns);
        }
        (name.clone(), now)
    };
    files.manifest.iter().map(node).collect()
}

fn shown(inventory: &Inventory) -> BTreeMap<String, Known> {
    let start = Timestamp::parse("2025-01-01T00:00:00Z").expect("a time");
    let hours = |at: Option<Timestamp>| at.map(|at| at.since(start) / 3_600_000);
    let of = |node: &Node| {
        let code = |text: &str, code: &Option<Code>| (0..500).find(|n| *code == Some(Code::of(&format!("{text} {n}"))));
        let run = &node.last_run;
        Known {
            raw: code("select", &node.raw_code).expect("raw code"),
            is_applied: node.is_applied == Some(true),
            compiled: code("compiled", &node.compiled_code),
            last: run.status.as_ref().map(|status| status.to_string()).zip(hours(run.at)),
            built_at: hours(run.executed_at),
            columns: node.columns.iter().map(|column| column.name.to_string()).collect(),
        }
    };
    inventory.nodes.values().map(|node| (node.name.as_deref().expect("a name").to_owned(), of(node))).collect()
}

#[test]
fn what_is_known_is_what_the_files_said_so_far() {
    for seed in 0..3 {
        a_year(&mut fastrand::Rng::with_seed(seed));
    }
}

fn a_year(random: &mut fastrand::Rng) {
    let mut files = Files::default();
    let mut raw = 0;
    let mut fresh = || {
        raw += 1;
        raw
    };
    for name in 0..8 {
        files.manifest.insert(format!("m{name}"), (fresh(), false));
    }
    let (mut stored, mut known) = (Inventory::default(), BTreeMap::new());
    let mut names = 8;
    for step in 1..=120_i64 {
        let now = step * 24;
        let all: Vec<String> = files.manifest.keys().cloned().collect();
        let some: Vec<String> = all.iter().filter(|_| random.u8(0..3) == 0).cloned().collect();
        let selected = if random.bool() { &all } else { &some };
        let compile = |files: &mut Files, names: &[String]| {
            // Each command parses anew: what it does not compile is not compiled.
            files.manifest.values_mut().for_each(|(_, is_compiled)| *is_compiled = false);
            for name in names {
                files.manifest.entry(name.clone()).and_modify(|it| it.1 = true);
            }
        };
        match random.u8(0..8) {
            0..3 => {
                compile(&mut files, selected);
                let which = if random.bool() { "build" } else { "run" };
                let mut status = || ["success", "success", "error", "skipped"][random.usize(0..4)].to_owned();
                files.results = Some((which, now, selected.iter().map(|name| (name.clone(), status())).collect()));
            }
            3 => {
                compile(&mut files, &[]);
                files.results = Some(("test", now, BTreeMap::new()));
            }
            4 => {
                compile(&mut files, selected);
                files.results =
                    Some(("generate", now, selected.iter().map(|name| (name.clone(), "success".to_owned())).collect()));
                let mut columns = |_: &String| (0..3).filter(|_| random.bool()).map(|n| format!("c{n}")).collect();
                files.catalog = Some(selected.iter().map(|name| (name.clone(), columns(name))).collect());
            }
            5 => {
                compile(&mut files, &[]);
                files.manifest.extend(selected.iter().take(2).map(|name| (name.clone(), (fresh(), false))));
            }
            6 => {
                compile(&mut files, &[]);
                files.manifest.insert(format!("m{names}"), (fresh(), false));
                names += 1;
                if let Some(gone) = some.first().filter(|_| random.bool()) {
                    files.manifest.remove(gone);
                }
            }
            _ => {
                // A folder that is gone, or half written, changes nothing.
                let target = written(&files, now);
                std::fs::remove_file(target.0.path().join("manifest.json")).expect("removed");
                assert!(target.read("").is_err());
                files.results = None;
            }
        }
        // Not each command is followed by a sync.
        if random.u8(0..4) > 0 {
            let target = written(&files, now);
            stored = target.fold("", &stored).inventory;
            known = told(&files, &known);
            assert_eq!(shown(&stored), known, "step {step}: {files:?}");
        }
    }
}
