//! The hot paths one by one: `cargo bench`, or `cargo bench -- view` for those whose name holds a word. Absolute times say little on another
//! machine; Criterion tells what moved since the last run. What whole commands cost is in docs/performance.md.

#![allow(missing_docs)]

use std::collections::BTreeSet;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::Duration;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use lineaged::answers::{Order, Question, Reader, VIEWS, view};
use lineaged::catalog::{Applied, Catalog, Ending, Stored, Trigger, Writers};
use lineaged::demo::{Growth, Project, Server};
use lineaged::inventory::{Inventory, Pool};
use lineaged::origin::discovery::decode_models;
use lineaged::plan::{cycle_warnings, diff};
use lineaged::time::Timestamp;
use serde_json::json;

const MODELS: usize = 1_000;

fn project() -> Project {
    let mut project = Project::bundled(Timestamp::now());
    project.grow_to(&Growth { models: MODELS, sources_per_model: 1, is_deep: true });
    project
}

fn inventory(project: &Project) -> Inventory {
    let mut inventory = Inventory::default();
    for (_, node) in project.nodes() {
        inventory.nodes.insert(node.unique_id.clone(), node.clone().into());
    }
    inventory
}

fn models(project: &Project) -> Vec<String> {
    let models = project.ids().into_iter().filter(|(_, kind)| *kind == "model");
    models.map(|(id, _)| id).collect()
}

/// One in a hundred models is described anew.
fn described(project: &Project) -> Inventory {
    let mut project = project.clone();
    for id in models(&project).iter().step_by(100) {
        project.describe(id, "What it holds, told anew.");
    }
    inventory(&project)
}

/// One model in the middle stands on nothing.
fn rewired(project: &Project) -> Inventory {
    let mut project = project.clone();
    let models = models(&project);
    let has_parents = |id: &&String| project.node(id).is_some_and(|node| !node.parents.is_empty());
    let middle = models[MODELS / 2..].iter().find(has_parents).expect("a model with parents").clone();
    project.rewire(&middle, &[]);
    inventory(&project)
}

struct Filled {
    _folder: tempfile::TempDir,
    path: PathBuf,
    catalog: Catalog,
}

fn catalog() -> Filled {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("bench.db");
    let catalog = Catalog::open(&path, &Writers::default(), "bench", &|_| {}).expect("a catalog");
    Filled { _folder: folder, path, catalog }
}

fn apply(catalog: &mut Catalog, fetched: &Inventory, project: &Project) {
    let sync = catalog.start_sync(1, "bench", Trigger::Manual, Timestamp::now()).expect("started");
    stage(catalog, fetched, project);
    let stored = Stored::load(catalog.connection(), 1, &mut Pool::default(), &Inventory::default()).expect("loaded");
    let diff = diff(&stored.inventory, fetched, &stored.tombstones);
    let ending = Ending { counts: Some(diff.counts()), ..Ending::default() };
    let applied = Applied { sync, environment_id: 1, fetched, diff: &diff, history: None, ending: &ending };
    catalog.apply(&applied, Timestamp::now()).expect("applied");
}

/// Code only where the catalog has none yet: how it comes there is the read's business.
fn stage(catalog: &mut Catalog, fetched: &Inventory, project: &Project) {
    let is_empty = |_: &rusqlite::Row<'_>| Ok(());
    if catalog.connection().query_row("SELECT 1 FROM raw_code LIMIT 1", [], is_empty).is_ok() {
        return;
    }
    for (id, node) in &fetched.nodes {
        let told = project.told(id.as_str());
        for (code, name) in [(&node.raw_code, "rawCode"), (&node.compiled_code, "compiledCode")] {
            if let (Some(code), Some(text)) = (code, told[name].as_str()) {
                catalog.stage_code(code, text).expect("staged");
            }
        }
    }
}

/// A page of 500 models as the API sends it.
fn page(project: Project) -> Vec<u8> {
    let server = Server::start(vec![(1, project)]).expect("a server");
    let query = include_str!("../queries/models.graphql");
    let body = json!({"query": query, "variables": {"environmentId": 1, "first": 500}}).to_string();
    let ask = async {
        let asked = reqwest::Client::new().post(server.url()).bearer_auth(server.token()).body(body).send().await?;
        asked.bytes().await
    };
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(ask).expect("an answer").to_vec()
}

fn reading(bench: &mut Criterion) {
    let page = page(project());
    assert_eq!(decode_models(&page), Some(500));
    bench.bench_function("decode_page", |bench| bench.iter(|| decode_models(black_box(&page))));
}

fn comparing(bench: &mut Criterion) {
    let project = project();
    let (old, new, none) = (inventory(&project), described(&project), BTreeSet::new());
    bench.bench_function("diff_unchanged", |bench| bench.iter(|| diff(&old, black_box(&old), &none).changes.len()));
    bench.bench_function("diff_one_percent", |bench| bench.iter(|| diff(&old, black_box(&new), &none).changes.len()));
    bench.bench_function("cycles", |bench| bench.iter(|| cycle_warnings(black_box(&old))));
}

fn writing(bench: &mut Criterion) {
    let project = project();
    let (first, described, rewired) = (inventory(&project), described(&project), rewired(&project));
    bench.bench_function("apply_first", |bench| {
        bench.iter_batched_ref(catalog, |it| apply(&mut it.catalog, &first, &project), BatchSize::PerIteration);
    });
    let mut filled = catalog();
    apply(&mut filled.catalog, &first, &project);
    bench.bench_function("load_stored", |bench| {
        bench.iter(|| {
            Stored::load(filled.catalog.connection(), 1, &mut Pool::default(), &Inventory::default()).expect("loaded")
        });
    });
    for (name, other) in [("apply_one_percent", &described), ("apply_pairs", &rewired)] {
        let mut turns = [other, &first].into_iter().cycle();
        bench.bench_function(name, |bench| {
            bench.iter(|| apply(&mut filled.catalog, turns.next().expect("endless"), &project));
        });
        apply(&mut filled.catalog, &first, &project);
    }
}

fn answering(bench: &mut Criterion) {
    let project = project();
    let mut filled = catalog();
    apply(&mut filled.catalog, &inventory(&project), &project);
    apply(&mut filled.catalog, &described(&project), &project);
    let open = |path: &Path| Reader::open(path, None).expect("a reader");
    let selectors =
        [("selection_descendants", "model.mini_shop.stg_orders+"), ("selection_tags", "tag:nightly,+fct_*")];
    for (name, selector) in selectors {
        let select = [selector.to_owned()];
        bench.bench_function(name, |bench| {
            bench.iter(|| open(&filled.path).chosen(None, &select, &[]).expect("chosen"))
        });
    }
    for name in VIEWS {
        let view = view(name).expect("a view");
        let order = if view.key.is_empty() { Order::Listed } else { Order::Key };
        let question = Question { limit: Some(100), order, ..Question::default() };
        bench.bench_function(&format!("view_{name}"), |bench| {
            bench.iter(|| open(&filled.path).page(view, &question).expect("a page"));
        });
    }
}

criterion_group! {
    name = paths;
    config = Criterion::default().sample_size(10).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(2));
    targets = reading, comparing, writing, answering
}
criterion_main!(paths);
