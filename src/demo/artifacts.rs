//! Reads the artifacts of a dbt project, a `target` folder or the bundled texts, into a [`Project`]. What a manifest's parts
//! become is told in `nodes` and `results`; this file knows files, versions, and which nodes exist where.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::{Map, Value};

use super::nodes::Raw;
use super::project::{Kind, Node, Project, Stamp};
use super::{Error, nodes, results};
use crate::inventory::Timestamp;

/// The first run's id; every change of the project is one run more.
const FIRST_RUN: i64 = 70_403_001;

type Section = Option<BTreeMap<String, Map<String, Value>>>;

/// The parts of a manifest that the API shows. The rest (macros, docs, maps) is not kept while reading.
#[derive(Deserialize)]
struct Manifest {
    metadata: Metadata,
    nodes: Section,
    sources: Section,
    exposures: Section,
    metrics: Section,
    groups: Section,
    semantic_models: Section,
    saved_queries: Section,
    unit_tests: Section,
    disabled: Option<HashMap<String, IgnoredAny>>,
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(default)]
    dbt_schema_version: String,
    dbt_version: Option<String>,
    generated_at: Option<String>,
    project_name: Option<String>,
    adapter_type: Option<String>,
}

/// catalog.json
#[derive(Deserialize)]
pub(super) struct Catalog {
    metadata: Metadata,
    #[serde(default)]
    nodes: BTreeMap<String, Value>,
    #[serde(default)]
    sources: BTreeMap<String, Value>,
}

/// run_results.json and sources.json
#[derive(Deserialize)]
pub(super) struct Results {
    metadata: Metadata,
    #[serde(default)]
    results: Vec<Map<String, Value>>,
    elapsed_time: Option<f64>,
    #[serde(default)]
    args: Value,
}

impl Results {
    /// Whether these are of a command that builds or tests: `dbt docs generate` and `dbt compile` write "success" for everything,
    /// and have done nothing.
    fn is_execution(&self) -> bool {
        !matches!(self.args["which"].as_str(), Some("generate" | "compile" | "parse" | "list" | "ls" | "show"))
    }
}

/// What a folder holds, read but not understood yet.
struct Artifacts {
    manifest: Manifest,
    catalog: Option<Catalog>,
    run_results: Option<Results>,
    sources: Option<Results>,
}

impl Project {
    /// Reads a dbt `target` folder: manifest.json, and catalog.json, run_results.json and sources.json where they are. All times
    /// are shifted by one constant, so that the newest of them is `now`.
    ///
    /// # Errors
    /// When a file cannot be read, is not JSON, or is a manifest of an unknown version.
    pub fn load(folder: &Path, now: Timestamp) -> Result<Self, Error> {
        let artifacts = Artifacts {
            manifest: read(&folder.join("manifest.json"))?,
            catalog: read_if_there(&folder.join("catalog.json"))?,
            run_results: read_if_there(&folder.join("run_results.json"))?,
            sources: read_if_there(&folder.join("sources.json"))?,
        };
        artifacts.check_version(&folder.join("manifest.json"))?;
        Ok(artifacts.into_project(now))
    }

    /// The small project that ships with the program.
    #[allow(clippy::missing_panics_doc, clippy::expect_used)]
    pub fn bundled(now: Timestamp) -> Self {
        let artifacts = Artifacts {
            manifest: embedded(include_str!("mini_shop/manifest.json")),
            catalog: Some(embedded(include_str!("mini_shop/catalog.json"))),
            run_results: Some(embedded(include_str!("mini_shop/run_results.json"))),
            sources: Some(embedded(include_str!("mini_shop/sources.json"))),
        };
        artifacts.into_project(now)
    }
}

fn embedded<T: DeserializeOwned>(text: &str) -> T {
    serde_json::from_str(text).expect("the bundled artifacts are valid")
}

fn read<T: DeserializeOwned>(file: &Path) -> Result<T, Error> {
    let bytes = std::fs::read(file).map_err(|source| Error::Read { file: file.to_owned(), source })?;
    let error = |source: serde_json::Error| Error::Json { file: file.to_owned(), line: source.line(), source };
    serde_json::from_slice(&bytes).map_err(error)
}

fn read_if_there<T: DeserializeOwned>(file: &Path) -> Result<Option<T>, Error> {
    match read(file) {
        Err(Error::Read { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => Ok(None),
        read => read.map(Some),
    }
}

impl Artifacts {
    fn check_version(&self, file: &Path) -> Result<(), Error> {
        let found = &self.manifest.metadata.dbt_schema_version;
        let number = found.rsplit_once("/v").and_then(|(_, rest)| rest.strip_suffix(".json"));
        match number.and_then(|number| number.parse::<u32>().ok()) {
            Some(4..=12) => Ok(()),
            _ => Err(Error::Version { file: file.to_owned(), found: number.unwrap_or("unknown").to_owned() }),
        }
    }

    /// By how much all times move: the newest stamp becomes `now`.
    fn shift(&self, now: Timestamp) -> results::Shift {
        let runs = [&self.run_results, &self.sources].into_iter().flatten();
        let stamped = [&self.manifest.metadata]
            .into_iter()
            .chain(self.catalog.iter().map(|catalog| &catalog.metadata))
            .chain(runs.clone().map(|run| &run.metadata))
            .filter_map(|metadata| Timestamp::parse(metadata.generated_at.as_deref()?));
        let timed = runs.flat_map(|run| &run.results).filter_map(results::latest);
        results::Shift::new(stamped.chain(timed).max(), now)
    }

    fn into_project(self, now: Timestamp) -> Project {
        let shift = self.shift(now);
        let Self { manifest, catalog, run_results, sources } = self;
        let generated = |metadata: &Metadata| metadata.generated_at.as_deref().and_then(|text| shift.time(text));
        let defined_at = generated(&manifest.metadata);
        let artifacts = [catalog.as_ref().map(|file| &file.metadata), run_results.as_ref().map(|file| &file.metadata)];
        let newest = artifacts.into_iter().chain([sources.as_ref().map(|file| &file.metadata)]).flatten();
        let applied_at = newest.filter_map(generated).max().or(defined_at);
        let stamp = |at| Stamp { is_null: false, last_updated_at: at, generated_at: at, run_id: FIRST_RUN };
        let mut project = Project {
            name: manifest.metadata.project_name.clone(),
            adapter: manifest.metadata.adapter_type.clone(),
            dbt_version: manifest.metadata.dbt_version.clone(),
            nodes: BTreeMap::new(),
            removed: HashMap::new(),
            applied: stamp(applied_at),
            definition: stamp(defined_at),
            clock: now,
            run_id: FIRST_RUN,
        };
        let yaml_columns = define(&mut project, manifest);
        let run_results = run_results.filter(|run| run.results.iter().any(|result| names_a_node(result, &project)));
        let everything = run_results.is_none();
        for node in project.nodes.values_mut() {
            let is_there = matches!(node.kind, Kind::Source | Kind::Exposure) || node.kind.is_definition_only();
            node.applied = is_there || everything || node.field("materializedType") == "ephemeral";
        }
        if let Some(catalog) = catalog {
            let at = generated(&catalog.metadata);
            let stamp = results::Run { id: FIRST_RUN, at, elapsed: None, shift };
            results::apply_catalog(
                &mut project,
                catalog.nodes.into_iter().chain(catalog.sources),
                &yaml_columns,
                &stamp,
            );
        }
        if let Some(run) = run_results {
            let stamp = results::Run { id: FIRST_RUN, at: generated(&run.metadata), elapsed: run.elapsed_time, shift };
            if run.is_execution() {
                results::apply_run(&mut project, run.results, &stamp);
            } else {
                results::apply_names(&mut project, &run.results);
            }
        }
        let (at, checks) = sources.map(|run| (generated(&run.metadata), run.results)).unwrap_or_default();
        results::apply_freshness(&mut project, checks, &results::Run { id: FIRST_RUN, at, elapsed: None, shift });
        project
    }
}

fn names_a_node(result: &Map<String, Value>, project: &Project) -> bool {
    result.get("unique_id").and_then(Value::as_str).is_some_and(|id| project.nodes.contains_key(id))
}

/// Makes the nodes of the definition state. Returns what YAML says of columns, for the catalog to merge.
fn define(project: &mut Project, manifest: Manifest) -> HashMap<String, Value> {
    let mut columns = HashMap::new();
    let mut externals = BTreeMap::new();
    let mut outside: BTreeSet<String> = manifest.disabled.unwrap_or_default().into_keys().collect();
    let sections = [
        (manifest.nodes, None),
        (manifest.sources, Some(Kind::Source)),
        (manifest.exposures, Some(Kind::Exposure)),
        (manifest.metrics, Some(Kind::Metric)),
        (manifest.groups, Some(Kind::Group)),
        (manifest.semantic_models, Some(Kind::SemanticModel)),
        (manifest.saved_queries, Some(Kind::SavedQuery)),
        (manifest.unit_tests, Some(Kind::UnitTest)),
    ];
    for (section, kind) in sections {
        for (id, map) in section.unwrap_or_default() {
            let mut raw = Raw(map);
            let kind = kind.or_else(|| Kind::of(raw.peek("resource_type").as_str()?));
            let Some(kind) = kind.filter(|_| raw.peek("config")["enabled"] != Value::Bool(false)) else {
                outside.insert(id);
                continue;
            };
            if is_foreign(&raw, kind, project.name.as_deref()) {
                externals.insert(id.clone(), nodes::external(id, raw));
                continue;
            }
            columns.insert(id.clone(), raw.take("columns"));
            project.nodes.insert(id.clone(), nodes::node(kind, id, raw));
        }
    }
    resolve_parents(project, externals, &outside);
    columns
}

/// A public model of another project comes without a file and without code.
fn is_foreign(raw: &Raw, kind: Kind, project: Option<&str>) -> bool {
    let is_injected = raw.peek("original_file_path") == "" && raw.peek("package_name").as_str() != project;
    matches!(kind, Kind::Model | Kind::Seed | Kind::Snapshot) && project.is_some() && is_injected
}

/// Leaves out parents that the API does not have, and makes the models of other projects that remain.
fn resolve_parents(project: &mut Project, mut externals: BTreeMap<String, Node>, outside: &BTreeSet<String>) {
    let known: BTreeSet<String> = project.nodes.keys().cloned().collect();
    let mut needed = BTreeSet::new();
    for node in project.nodes.values_mut() {
        let mut seen = BTreeSet::new();
        node.parents.retain(|id| {
            let is_external = !known.contains(id) && !outside.contains(id) && id.starts_with("model.");
            if is_external || externals.contains_key(id) {
                needed.insert(id.clone());
            }
            (known.contains(id) || needed.contains(id)) && seen.insert(id.clone())
        });
    }
    for id in needed {
        let node = externals.remove(&id).unwrap_or_else(|| nodes::external(id.clone(), Raw(Map::new())));
        project.nodes.insert(id, node);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The folder with real projects' artifacts, if there is one: said aloud if not, since the tests then prove less.
    pub(in super::super) fn sample_data() -> Option<std::path::PathBuf> {
        let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
        let folder = std::env::var_os("SAMPLE_DATA").map_or_else(beside, Into::into);
        if !folder.is_dir() {
            eprintln!("skipped: no sample data at {}", folder.display());
            return None;
        }
        Some(folder)
    }

    fn now() -> Timestamp {
        Timestamp::parse("2026-11-24T12:00:00Z").expect("a time")
    }

    fn sample(name: &str) -> Option<Project> {
        let folder = sample_data()?.join(name);
        folder.is_dir().then(|| Project::load(&folder, now()).expect(name))
    }

    #[test]
    fn every_sample_loads_without_dangling_edges() {
        let Some(folder) = sample_data() else { return };
        for entry in std::fs::read_dir(folder).expect("readable") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().expect("named").to_string_lossy().into_owned();
            if !path.join("manifest.json").exists() || name.starts_with('_') {
                continue;
            }
            let project = Project::load(&path, now()).expect(&name);
            assert!(!project.ids().is_empty(), "{name}");
            let edges = project.edges();
            let dangling =
                edges.iter().find(|(parent, child)| project.node(parent).is_none() || project.node(child).is_none());
            assert_eq!(dangling, None, "{name}");
            assert!(project.last_updated_at(super::super::Side::Applied) <= Some(now()), "{name}");
        }
    }

    /// The manifest read a second time, naively: what is enabled, and what of its dependencies is there.
    #[test]
    fn ids_and_edges_are_the_manifests() {
        let Some(folder) = sample_data() else { return };
        for name in [
            "hubspot-v4",
            "netsuite-v8",
            "dbt-docs-ci-v9",
            "dbt-bouncer-1.12",
            "jaffle-semantic-1.12",
            "tuva-0.18-large",
        ] {
            let Some(project) = sample(name) else { continue };
            let text = std::fs::read(folder.join(name).join("manifest.json")).expect(name);
            let manifest: Value = serde_json::from_slice(&text).expect(name);
            let sections = [
                "nodes",
                "sources",
                "exposures",
                "metrics",
                "groups",
                "semantic_models",
                "saved_queries",
                "unit_tests",
            ];
            let all = sections.iter().flat_map(|it| manifest[*it].as_object().into_iter().flatten());
            let of_the_api = |id: &str| !["analysis.", "operation."].iter().any(|it| id.starts_with(it));
            let nodes: BTreeMap<&String, &Value> =
                all.filter(|(id, node)| of_the_api(id) && node["config"]["enabled"] != false).collect();
            assert!(project.ids().keys().eq(nodes.keys().copied()), "{name}");
            let parents = |node: &Value| super::super::node_object::strings(&node["depends_on"]["nodes"]);
            let edges = nodes.iter().flat_map(|(id, node)| parents(node).into_iter().map(|it| (it, (*id).clone())));
            let edges: BTreeSet<(String, String)> = edges.filter(|(parent, _)| nodes.contains_key(parent)).collect();
            assert_eq!(project.edges(), edges, "{name}");
        }
    }

    #[test]
    fn a_malformed_manifest_is_named_with_its_line() {
        let Some(folder) = sample_data() else { return };
        let error = Project::load(&folder.join("_malformed-hubspot-merge-conflict"), now()).expect_err("broken");
        let Error::Json { file, line, .. } = &error else { panic!("{error}") };
        assert!(line > &0 && error.to_string().contains(&file.display().to_string()), "{error}");
    }

    #[test]
    fn a_missing_manifest_is_named() {
        let error = Project::load(Path::new("/nowhere/target"), now()).expect_err("missing");
        assert!(error.to_string().starts_with("cannot read `/nowhere/target/manifest.json`"), "{error}");
    }

    #[test]
    fn a_manifest_of_an_old_version_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let text = r#"{"metadata": {"dbt_schema_version": "https://schemas.getdbt.com/dbt/manifest/v3.json"}}"#;
        std::fs::write(folder.path().join("manifest.json"), text).expect("written");
        assert!(matches!(Project::load(folder.path(), now()), Err(Error::Version { found, .. }) if found == "3"));
    }

    #[test]
    fn the_bundled_project_has_both_states_and_both_clocks() {
        let project = Project::bundled(now());
        assert_eq!(project.name(), Some("mini_shop"));
        assert_eq!(project.ids().len(), 12 + 2 + 1 + 25 + 1 + 4 + 2 + 4 + 2 + 1 + 1);
        let broken = project.node("model.mini_shop.broken_model").expect("there");
        assert_eq!(broken.field("executionInfo")["lastRunStatus"], "error");
        assert!(broken.field("executionInfo")["runGeneratedAt"].is_null());
        let orders = project.node("model.mini_shop.orders").expect("there");
        assert_eq!(orders.field("executionInfo")["runGeneratedAt"], now().to_string());
        assert_eq!(project.columns()["model.mini_shop.orders"][0]["description"], "Primary key");
        assert!(project.node("model.mini_shop.disabled_model").is_none());
    }

    #[test]
    fn another_projects_models_are_external() {
        let Some(project) = sample("mesh-downstream") else { return };
        let externals = project.externals();
        assert!(
            externals.contains("model.upstream.stg_customers") && !externals.iter().any(|id| id.starts_with("seed."))
        );
        assert!(project.ids().keys().all(|id| id.contains(".downstream.")));
    }

    #[test]
    fn without_run_results_everything_is_applied() {
        let Some(project) = sample("tuva-2024-v11") else { return };
        let nodes = project.nodes().filter(|(_, node)| !node.kind().is_definition_only());
        assert!(nodes.into_iter().all(|(_, node)| node.is_applied()));
    }
}
