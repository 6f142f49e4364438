//! Reads a project as the origin of files does, and moves it in time, so that its newest moment is now.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Error;
use super::object::JOB;
use super::project::Project;
use crate::config::ArtifactsConfig;
use crate::inventory::{Inventory, Text};
use crate::origin::artifacts;
use crate::plan::{Carried, carry_over};
use crate::time::Timestamp;

/// The newest run's id; every change of the project is one run more.
const NEWEST_RUN: i64 = 70_403_001;

const MINI_SHOP: [(&str, &str); 4] = [
    ("manifest.json", include_str!("mini_shop/manifest.json")),
    ("catalog.json", include_str!("mini_shop/catalog.json")),
    ("run_results.json", include_str!("mini_shop/run_results.json")),
    ("sources.json", include_str!("mini_shop/sources.json")),
];

impl Project {
    /// Reads a dbt `target` folder: manifest.json, and catalog.json, run_results.json and sources.json where they are. All times
    /// are shifted by one constant, so that the newest of them is `now`.
    ///
    /// # Errors
    /// When a file cannot be read, is not JSON, or is a manifest of an unknown version.
    pub fn load(folder: &Path, now: Timestamp) -> Result<Self, Error> {
        let absolute = |source| Error::Folder { folder: folder.to_owned(), source };
        let place = ArtifactsConfig {
            paths: vec![std::path::absolute(folder).map_err(absolute)?],
            ..ArtifactsConfig::default()
        };
        // Whatever the files' newest moment is, it becomes `now`.
        let clock = now.max(Timestamp::now());
        let mut texts: HashMap<Text, Text> = HashMap::new();
        let read = artifacts::read(
            &place,
            clock,
            &mut |told| drop(texts.insert(told.code.sha256, told.text.into())),
            &|_, _, _| {},
        )?;
        let notes = read.reading.warnings.clone();
        let Carried { mut inventory, .. } = carry_over(read.reading, &Inventory::default(), clock);
        // The sync that reads them over the API tells which they are.
        inventory.add_externals();
        let facts = &mut inventory.environment;
        facts.applied_at = facts.applied_at.max(facts.definition_at);
        number_run(&mut inventory);
        let shift = newest(&inventory).map_or(0, |newest| now.since(newest));
        move_times(&mut inventory, shift);
        let (removed, null) = (HashMap::new(), Vec::new());
        Ok(Self { inventory, texts, removed, null, clock: now, run_id: NEWEST_RUN, notes })
    }

    /// The small project that ships with the program, by way of a folder for temporary files.
    ///
    /// # Errors
    /// When that folder cannot be written.
    pub fn unpacked(now: Timestamp) -> Result<Self, Error> {
        let folder = Temporary(std::env::temp_dir().join(format!("lineaged-demo-{:016x}", fastrand::u64(..))));
        let failed = |source| Error::Folder { folder: folder.0.clone(), source };
        std::fs::create_dir(&folder.0).map_err(failed)?;
        for (name, text) in MINI_SHOP {
            std::fs::write(folder.0.join(name), text).map_err(failed)?;
        }
        Self::load(&folder.0, now)
    }

    /// The same, for tests.
    ///
    /// # Panics
    /// Where it is an error there.
    #[allow(clippy::expect_used)]
    pub fn bundled(now: Timestamp) -> Self {
        Self::unpacked(now).expect("the bundled project can be unpacked and read")
    }
}

/// A folder that is removed when it is no longer needed.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        // What is left there does no harm.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Gives the run a number, as the platform does: files know it by another id.
fn number_run(inventory: &mut Inventory) {
    for run in inventory.nodes.values_mut().map(Arc::make_mut).map(|node| &mut node.last_run) {
        run.job_id = run.run_id.is_some().then_some(JOB);
        for id in [&mut run.run_id, &mut run.success_run_id].into_iter().flatten() {
            *id = NEWEST_RUN.to_string().into();
        }
    }
}

/// The newest moment of which the project tells.
fn newest(inventory: &Inventory) -> Option<Timestamp> {
    let facts = [inventory.environment.applied_at, inventory.environment.definition_at];
    let nodes = inventory.nodes.values();
    let times = nodes.flat_map(|node| [node.last_run.at, node.last_run.executed_at, node.freshness.checked_at]);
    facts.into_iter().chain(times).flatten().max()
}

/// Moves all times but those that people wrote.
fn move_times(inventory: &mut Inventory, millis: i64) {
    let facts = &mut inventory.environment;
    let mut times = vec![&mut facts.applied_at, &mut facts.definition_at];
    for node in inventory.nodes.values_mut().map(Arc::make_mut) {
        times.extend([&mut node.last_run.at, &mut node.last_run.executed_at]);
        times.extend([&mut node.freshness.checked_at, &mut node.freshness.max_loaded_at]);
    }
    times.into_iter().flatten().for_each(|time| *time = time.plus_millis(millis));
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use serde_json::Value;

    use super::super::Side;
    use super::*;

    /// The folder with real projects' artifacts, if there is one: said aloud if not, since the tests then prove less.
    pub(in super::super) fn sample_data() -> Option<PathBuf> {
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
            assert!(project.last_updated_at(Side::Applied) <= Some(now()), "{name}");
            assert_eq!(newest(&project.inventory), Some(now()), "{name}");
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
    fn a_folder_without_a_manifest_is_named() {
        let error = Project::load(Path::new("/nowhere/target"), now()).expect_err("missing");
        assert!(error.to_string().contains("`/nowhere/target`"), "{error}");
    }

    #[test]
    fn the_bundled_project_has_both_states_and_both_clocks() {
        let project = Project::bundled(now());
        assert_eq!(project.name(), Some("mini_shop"));
        assert_eq!(project.ids().len(), 12 + 2 + 1 + 25 + 1 + 4 + 2 + 4 + 2 + 1 + 1);
        let broken = &project.node("model.mini_shop.broken_model").expect("there").last_run;
        assert_eq!((broken.attempt.as_deref(), broken.executed_at), (Some("error"), None));
        let orders = project.node("model.mini_shop.orders").expect("there");
        assert_eq!(orders.last_run.run_id.as_deref(), Some("70403001"), "runs have numbers");
        assert!(orders.last_run.at.is_some() && orders.last_run.at <= Some(now()));
        assert_eq!(project.columns()["model.mini_shop.orders"][0].description.as_deref(), Some("Primary key"));
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
        let nodes = project.nodes().filter(|(_, node)| node.resource_type.has_applied_state());
        assert!(nodes.into_iter().all(|(_, node)| node.is_applied == Some(true)));
    }
}
