//! Reads the artifacts of a dbt project, a `target` folder or the bundled texts, into a [`Project`]. What a manifest's parts
//! become is told in `nodes` and `results`; this file knows files, versions, and which nodes exist where.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::nodes::Raw;
use super::project::{Kind, Node, Project, Stamp};
use super::{Error, nodes, results};
use crate::inventory::shape;
use crate::time::Timestamp;

/// The first run's id; every change of the project is one run more.
const FIRST_RUN: i64 = 70_403_001;

/// The newest version of the manifest whose every part is known.
const NEWEST: u32 = 12;

type Section = BTreeMap<String, Value>;

/// The parts of a manifest that the API shows. The rest (macros, docs, maps) is not kept while reading.
#[derive(Deserialize)]
struct Manifest {
    metadata: Metadata,
    nodes: Option<Section>,
    #[serde(default, deserialize_with = "or_default")]
    sources: Section,
    #[serde(default, deserialize_with = "or_default")]
    exposures: Section,
    #[serde(default, deserialize_with = "or_default")]
    metrics: Section,
    #[serde(default, deserialize_with = "or_default")]
    groups: Section,
    #[serde(default, deserialize_with = "or_default")]
    semantic_models: Section,
    #[serde(default, deserialize_with = "or_default")]
    saved_queries: Section,
    #[serde(default, deserialize_with = "or_default")]
    unit_tests: Section,
    #[serde(default, deserialize_with = "or_default")]
    disabled: HashMap<String, IgnoredAny>,
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(default, deserialize_with = "or_default")]
    dbt_schema_version: String,
    #[serde(default, deserialize_with = "or_default")]
    dbt_version: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    generated_at: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    project_name: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    adapter_type: Option<String>,
}

/// catalog.json
#[derive(Deserialize)]
pub(super) struct Catalog {
    metadata: Metadata,
    #[serde(default, deserialize_with = "or_default")]
    nodes: Section,
    #[serde(default, deserialize_with = "or_default")]
    sources: Section,
}

/// run_results.json and sources.json
#[derive(Deserialize)]
pub(super) struct Results {
    metadata: Metadata,
    #[serde(default, deserialize_with = "or_default")]
    results: Vec<Value>,
    #[serde(default)]
    elapsed_time: Value,
    #[serde(default)]
    args: Value,
}

/// A part of another type than it should be is as good as absent.
fn or_default<'de, D: Deserializer<'de>, T: DeserializeOwned + Default>(deserializer: D) -> Result<T, D::Error> {
    Ok(serde_json::from_value(Value::deserialize(deserializer)?).unwrap_or_default())
}

impl Results {
    /// Whether these are of a command that builds or tests: `dbt docs generate` and `dbt compile` write "success" for everything,
    /// and have done nothing.
    fn is_execution(&self) -> bool {
        !matches!(self.args["which"].as_str(), Some("generate" | "compile" | "parse" | "list" | "ls" | "show"))
    }

    fn results(self) -> impl Iterator<Item = Map<String, Value>> {
        self.results.into_iter().filter_map(|result| match result {
            Value::Object(result) => Some(result),
            _ => None,
        })
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
        let mut notes = Vec::new();
        let artifacts = Artifacts {
            manifest: read(&folder.join("manifest.json"), &mut notes)?,
            catalog: read_if_there(&folder.join("catalog.json"), &mut notes)?,
            run_results: read_if_there(&folder.join("run_results.json"), &mut notes)?,
            sources: read_if_there(&folder.join("sources.json"), &mut notes)?,
        };
        notes.extend(artifacts.check_version(&folder.join("manifest.json"))?);
        Ok(Project { notes, ..artifacts.into_project(now) })
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

fn read<T: DeserializeOwned>(file: &Path, notes: &mut Vec<String>) -> Result<T, Error> {
    let bytes = std::fs::read(file).map_err(|source| Error::Read { file: file.to_owned(), source })?;
    if [&b"\xEF\xBB\xBF"[..], b"\xFF\xFE", b"\xFE\xFF"].iter().any(|mark| bytes.starts_with(mark)) {
        return Err(Error::ByteOrderMark { file: file.to_owned() });
    }
    let error = |source: serde_json::Error| Error::Json { file: file.to_owned(), line: source.line(), source };
    serde_json::from_slice(&bytes).or_else(|broken| {
        let bytes = shape::without_bare_numbers(&bytes).ok_or(broken).map_err(error)?;
        notes.push(format!("`{}` holds `NaN` or `Infinity`, which JSON does not have: read as null", file.display()));
        serde_json::from_slice(&bytes).map_err(error)
    })
}

fn read_if_there<T: DeserializeOwned>(file: &Path, notes: &mut Vec<String>) -> Result<Option<T>, Error> {
    match read(file, notes) {
        Err(Error::Read { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => Ok(None),
        read => read.map(Some),
    }
}

impl Artifacts {
    /// A note on a manifest that is newer than this program.
    fn check_version(&self, file: &Path) -> Result<Option<String>, Error> {
        let found = &self.manifest.metadata.dbt_schema_version;
        let number = found.rsplit_once("/v").and_then(|(_, rest)| rest.strip_suffix(".json"));
        match number.and_then(|number| number.parse::<u32>().ok()) {
            Some(4..=NEWEST) => Ok(None),
            Some(newer) if newer > NEWEST => Ok(Some(format!(
                "`{}` is written in version {newer}, and {NEWEST} is the newest that is known here: what it has beyond that is left out",
                file.display()
            ))),
            Some(older) => Err(Error::Version { file: file.to_owned(), found: older.to_string() }),
            None => Err(Error::Foreign { file: file.to_owned() }),
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
        let timed = runs.flat_map(|run| &run.results).filter_map(|result| results::latest(result.as_object()?));
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
            notes: Vec::new(),
            misfits: Arc::default(),
        };
        let yaml_columns = define(&mut project, manifest);
        // Files tell of what they name: a node that they leave out was not selected, and is there as far as anybody knows.
        for node in project.nodes.values_mut() {
            node.applied = node.kind != Kind::External;
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
        if let Some(run) = run_results.filter(Results::is_execution) {
            let elapsed = shape::float(&run.elapsed_time);
            let stamp = results::Run { id: FIRST_RUN, at: generated(&run.metadata), elapsed, shift };
            results::apply_run(&mut project, run.results(), &stamp);
        }
        if let Some(run) = sources {
            let stamp = results::Run { id: FIRST_RUN, at: generated(&run.metadata), elapsed: None, shift };
            results::apply_freshness(&mut project, run.results(), &stamp);
        }
        project
    }
}

/// Makes the nodes of the definition state. Returns what YAML says of columns, for the catalog to merge.
fn define(project: &mut Project, manifest: Manifest) -> HashMap<String, Value> {
    let mut columns = HashMap::new();
    let mut others = Others::default();
    let mut outside: BTreeSet<String> = manifest.disabled.into_keys().collect();
    let sections = [
        (manifest.nodes.unwrap_or_default(), None),
        (manifest.sources, Some(Kind::Source)),
        (manifest.exposures, Some(Kind::Exposure)),
        (manifest.metrics, Some(Kind::Metric)),
        (manifest.groups, Some(Kind::Group)),
        (manifest.semantic_models, Some(Kind::SemanticModel)),
        (manifest.saved_queries, Some(Kind::SavedQuery)),
        (manifest.unit_tests, Some(Kind::UnitTest)),
    ];
    for (section, kind) in sections {
        for (id, node) in section {
            let Value::Object(map) = node else { continue };
            let mut raw = Raw(map);
            if raw.peek("config")["enabled"] == Value::Bool(false) {
                outside.insert(id);
                continue;
            }
            // Of a kind that the API does not have: left out, unless others stand on it.
            let Some(kind) = kind.or_else(|| Kind::of(raw.peek("resource_type").as_str()?)) else { continue };
            if is_foreign(&raw, kind, project.name.as_deref()) {
                others.injected.insert(id, raw);
                continue;
            }
            others.note_names(raw.peek("refs"));
            columns.insert(id.clone(), raw.take("columns"));
            project.nodes.insert(id.clone(), nodes::node(kind, id, raw));
        }
    }
    nodes::attach_unit_tests(project);
    resolve_parents(project, others, &outside);
    columns
}

/// A public model of another project comes without a file and without code.
fn is_foreign(raw: &Raw, kind: Kind, project: Option<&str>) -> bool {
    let is_injected = raw.peek("original_file_path") == "" && raw.peek("package_name").as_str() != project;
    matches!(kind, Kind::Model | Kind::Seed | Kind::Snapshot) && project.is_some() && is_injected
}

/// What is known of nodes that are not this project's.
#[derive(Default)]
struct Others {
    /// What the manifest holds of them.
    injected: BTreeMap<String, Raw>,
    /// By id without its type, the package and the name under which some node refers to it.
    names: HashMap<String, (String, String)>,
}

impl Others {
    fn note_names(&mut self, refs: &Value) {
        for reference in refs.as_array().into_iter().flatten() {
            let (package, name) = match reference {
                Value::Array(parts) => match parts.as_slice() {
                    [package, name] => (package, name),
                    _ => continue,
                },
                reference => (&reference["package"], &reference["name"]),
            };
            if let (Some(package), Some(name)) = (package.as_str(), name.as_str()) {
                let key = format!("{package}.{name}");
                self.names.entry(key).or_insert_with(|| (package.to_owned(), name.to_owned()));
            }
        }
    }

    fn node(&mut self, id: &str) -> Node {
        let raw = self.injected.remove(id).unwrap_or_else(|| Raw(Map::new()));
        let without_type = id.split_once('.').map_or(id, |(_, rest)| rest);
        let unversioned = without_type.rsplit_once(".v").map_or(without_type, |(rest, _)| rest);
        let known = self.names.get(without_type).or_else(|| self.names.get(unversioned));
        let (package, name) = known.cloned().unwrap_or_else(|| nodes::named_by_id(without_type));
        nodes::external(id, raw, package, name)
    }
}

/// Leaves out parents that are not there at all, and makes those that are not this project's, or of no kind that the API has.
fn resolve_parents(project: &mut Project, mut others: Others, outside: &BTreeSet<String>) {
    let known: BTreeSet<String> = project.nodes.keys().cloned().collect();
    let mut needed = BTreeSet::new();
    for node in project.nodes.values_mut() {
        let mut seen = BTreeSet::new();
        node.parents.retain(|id| {
            if !known.contains(id) && !outside.contains(id) && !id.starts_with("macro.") {
                needed.insert(id.clone());
            }
            (known.contains(id) || needed.contains(id)) && seen.insert(id.clone())
        });
    }
    for id in needed {
        let node = others.node(&id);
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
    fn a_file_that_is_not_dbts_own_is_told_apart_from_a_broken_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let refused = |bytes: &[u8]| {
            std::fs::write(folder.path().join("manifest.json"), bytes).expect("written");
            Project::load(folder.path(), now()).expect_err("refused")
        };
        assert!(matches!(refused(br#"{"metadata": {"dbt_schema_version": null}}"#), Error::Foreign { .. }));
        assert!(matches!(refused(b"\xEF\xBB\xBF{}"), Error::ByteOrderMark { .. }));
        assert!(matches!(refused(b"\xFF\xFE{\0}\0"), Error::ByteOrderMark { .. }));
        assert!(matches!(refused(br#"{"metadata": NaN"#), Error::Json { .. }));
    }

    #[test]
    fn an_external_id_is_taken_apart_by_what_refers_to_it_else_without_a_version() {
        for (id, package, name) in [
            ("upstream.dim.v2", "upstream", "dim"),
            ("upstream.my.orders.v2", "upstream", "my.orders"),
            ("upstream.my.orders", "upstream", "my.orders"),
            ("upstream.dim.v1.5", "upstream", "dim"),
            ("upstream.a.very.good", "upstream", "a.very.good"),
            ("dim", "", "dim"),
        ] {
            assert_eq!(nodes::named_by_id(id), (package.to_owned(), name.to_owned()), "{id}");
        }
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
