//! Those who run dbt Core have a `target` folder, in which each command writes over its own file. A year of such a project: at each step what
//! the catalog knows is what the files have said so far.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use lineaged::time::Timestamp;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::{Ran, binary, rows, run};

const NIGHTS: i64 = 24;
const DAY: i64 = 86_400_000;

/// What the files have said of a node so far.
#[derive(Debug, Clone, Default, PartialEq)]
struct Known {
    is_applied: bool,
    status: String,
    at: String,
    columns: usize,
}

/// A project, the folder in which dbt leaves its files, and what is to be known of it.
struct Core {
    folder: tempfile::TempDir,
    manifest: Value,
    catalog: Value,
    clock: i64,
    runs: usize,
    known: BTreeMap<String, Known>,
}

impl Core {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let bundled = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/demo/mini_shop");
        let file = |name: &str| -> Value {
            serde_json::from_slice(&std::fs::read(bundled.join(name)).expect(name)).expect("JSON")
        };
        let config = "[[environments]]\nname = \"core\"\norigin = \"artifacts\"\npaths = [\"target\"]\n";
        std::fs::write(folder.path().join("lineaged.toml"), config).expect("written");
        let clock = Timestamp::parse("2025-11-01T03:00:00Z").expect("a time").millis();
        let (manifest, catalog) = (file("manifest.json"), file("catalog.json"));
        Self { folder, manifest, catalog, clock, runs: 0, known: BTreeMap::new() }
    }

    fn target(&self) -> PathBuf {
        self.folder.path().join("target")
    }

    fn now(&self) -> String {
        Timestamp::from_millis(self.clock).expect("a time").to_string()
    }

    fn write(&self, name: &str, file: &Value) {
        std::fs::create_dir_all(self.target()).expect("a folder");
        std::fs::write(self.target().join(name), file.to_string()).expect("written");
    }

    /// The ids of nodes that a build runs, with their types; ephemeral ones are built nowhere.
    fn buildable(&self) -> Vec<(String, String)> {
        let nodes = self.manifest["nodes"].as_object().expect("nodes").iter();
        let kinds = ["model", "seed", "snapshot", "test"];
        let buildable = nodes.filter(|(_, node)| {
            kinds.contains(&node["resource_type"].as_str().unwrap_or_default())
                && node["config"]["materialized"] != "ephemeral"
        });
        buildable
            .map(|(id, node)| (id.clone(), node["resource_type"].as_str().unwrap_or_default().to_owned()))
            .collect()
    }

    /// What each command writes first.
    fn parse(&mut self) {
        self.clock += 1000;
        self.runs += 1;
        self.manifest["metadata"]["generated_at"] = json!(self.now());
        self.manifest["metadata"]["invocation_id"] = json!(format!("run-{}", self.runs));
        self.write("manifest.json", &self.manifest);
        // What left the manifest is gone; what is new in it is defined, and with the first manifest assumed to be there.
        let first = self.known.is_empty();
        let ids: BTreeSet<String> = self.manifest["nodes"]
            .as_object()
            .expect("nodes")
            .iter()
            .filter(|(_, node)| {
                ["model", "seed", "snapshot", "test"].contains(&node["resource_type"].as_str().unwrap_or_default())
            })
            .map(|(id, _)| id.clone())
            .collect();
        self.known.retain(|id, _| ids.contains(id));
        // What comes back comes with what the files then say: the last catalog may still name it.
        let is_there = self.target().join("catalog.json").exists();
        for id in ids {
            let columns =
                self.catalog["nodes"][&id]["columns"].as_object().filter(|_| is_there).map(serde_json::Map::len);
            let is_applied = first || columns.is_some();
            let columns = columns.unwrap_or_default();
            self.known.entry(id).or_insert_with(|| Known { is_applied, columns, ..Known::default() });
        }
    }

    /// `dbt build --select …`: those that `selects` chooses, some of which fail.
    fn build(&mut self, selects: impl Fn(&str) -> bool, fails: impl Fn(&str) -> bool) {
        self.parse();
        let mut results = Vec::new();
        for (id, kind) in self.buildable().into_iter().filter(|(id, _)| selects(id)) {
            self.clock += 1000;
            let status = match (kind == "test", fails(&id)) {
                (true, false) => "pass",
                (true, true) => "fail",
                (false, false) => "success",
                (false, true) => "error",
            };
            let at = self.now();
            let known = self.known.get_mut(&id).expect("it is in the manifest");
            (known.status, known.at, known.is_applied) = (status.to_owned(), at.clone(), true);
            // A test that looked at a relation has found it.
            let tested = self.manifest["nodes"][&id]["attached_node"].as_str().filter(|_| kind == "test");
            if let Some(tested) = tested.and_then(|tested| self.known.get_mut(tested)) {
                tested.is_applied = true;
            }
            results.push(json!({
                "unique_id": id, "status": status, "execution_time": 0.5, "message": null, "failures": null,
                "thread_id": "Thread-1", "adapter_response": {}, "relation_name": null,
                "timing": [{"name": "execute", "started_at": at, "completed_at": at}],
            }));
        }
        // A result of a model that stands in the manifest with children makes ephemeral parents follow.
        self.follow();
        self.clock += 1000;
        let file = json!({
            "metadata": self.head("run-results/v6"), "args": {"which": "build"}, "elapsed_time": 1.0, "results": results,
        });
        self.write("run_results.json", &file);
    }

    /// Ephemeral nodes are there as soon as something that reads them is.
    fn follow(&mut self) {
        loop {
            let mut grew = false;
            for (_, node) in self.manifest["nodes"].as_object().expect("nodes") {
                let is_built =
                    node["unique_id"].as_str().and_then(|id| self.known.get(id)).is_some_and(|it| it.is_applied);
                for parent in node["depends_on"]["nodes"].as_array().into_iter().flatten().filter(|_| is_built) {
                    let parent = parent.as_str().unwrap_or_default();
                    let is_ephemeral = self.manifest["nodes"][parent]["config"]["materialized"] == "ephemeral";
                    if let Some(known) = self.known.get_mut(parent).filter(|it| is_ephemeral && !it.is_applied) {
                        (known.is_applied, grew) = (true, true);
                    }
                }
            }
            if !grew {
                return;
            }
        }
    }

    fn head(&self, version: &str) -> Value {
        json!({
            "dbt_schema_version": format!("https://schemas.getdbt.com/dbt/{version}.json"),
            "dbt_version": self.manifest["metadata"]["dbt_version"], "generated_at": self.now(),
            "invocation_id": format!("run-{}", self.runs), "env": {},
        })
    }

    /// `dbt docs generate`: writes over the results with `success` for everything, which means nothing.
    fn docs(&mut self) {
        self.parse();
        let results: Vec<Value> = self
            .buildable()
            .into_iter()
            .map(|(id, _)| json!({"unique_id": id, "status": "success", "execution_time": 0.0, "timing": [], "thread_id": "", "adapter_response": {}}))
            .collect();
        let file = json!({
            "metadata": self.head("run-results/v6"), "args": {"which": "generate"}, "elapsed_time": 1.0, "results": results,
        });
        self.write("run_results.json", &file);
        self.catalog["metadata"]["generated_at"] = json!(self.now());
        self.write("catalog.json", &self.catalog);
        for (id, node) in self.catalog["nodes"].as_object().expect("nodes") {
            if let Some(known) = self.known.get_mut(id) {
                known.is_applied = true;
                known.columns = node["columns"].as_object().map_or(0, serde_json::Map::len);
            }
        }
        self.follow();
    }

    /// A model gets another name, and with it its file, its tests, and whoever reads it.
    fn rename(&mut self, old: &str, new: &str) {
        self.manifest = serde_json::from_str(&self.manifest.to_string().replace(old, new)).expect("JSON");
    }

    fn sync(&self) -> Ran {
        run(&mut binary(self.folder.path(), &["sync"]))
    }

    fn reader(&self) -> Connection {
        Connection::open(self.folder.path().join("lineaged.db")).expect("the catalog")
    }

    fn found(&self) -> BTreeMap<String, Known> {
        let sql = "SELECT n.unique_id, n.is_applied, n.last_run_status, n.last_run_at,
                       (SELECT count(*) FROM columns c WHERE c.unique_id = n.unique_id AND c.in_warehouse)
                   FROM nodes n WHERE resource_type IN ('model', 'seed', 'snapshot', 'test')";
        let known = |row: Vec<String>| {
            let known = Known {
                is_applied: row[1] == "1",
                status: row[2].clone(),
                at: row[3].clone(),
                columns: row[4].parse().expect("a number"),
            };
            (row[0].clone(), known)
        };
        rows(&self.reader(), sql).into_iter().map(known).collect()
    }

    /// Syncs, and compares what is known with what was said; the next sync has nothing to read.
    #[track_caller]
    fn check(&self, step: &str) {
        let ran = self.sync();
        assert_eq!(ran.code, Some(0), "{step}: {ran:?}");
        let found = self.found();
        let differs = |(id, known): &(&String, &Known)| found.get(*id) != Some(*known);
        let wrong: Vec<_> = self.known.iter().filter(differs).map(|(id, known)| (id, known, found.get(id))).collect();
        assert!(wrong.is_empty(), "{step}: (id, said, found) {wrong:#?}");
        assert_eq!(found.len(), self.known.len(), "{step}");
        let again = self.sync();
        assert!(again.stdout.contains("unchanged"), "{step}: {again:?}");
    }

    /// A sync that can't read: it says so with exit code 1, and what was known stays.
    #[track_caller]
    fn check_stays(&self, step: &str, why: &str) {
        let before = self.found();
        let ran = self.sync();
        assert_eq!(ran.code, Some(1), "{step}: {ran:?}");
        assert!(ran.stderr.contains(why), "{step}: {ran:?}");
        assert_eq!(self.found(), before, "{step}");
    }
}

#[test]
fn a_year_of_a_core_project_is_known_as_its_files_have_told_it() {
    let mut core = Core::new();
    core.build(|_| true, |_| false);
    core.check("the first build");
    core.docs();
    core.check("the first docs");
    for night in 0..NIGHTS {
        core.clock += DAY * 15;
        let pick = |id: &str, of: usize| id.bytes().map(usize::from).sum::<usize>() % of == night as usize % of;
        match night % 8 {
            0 => core.build(|_| true, |_| false),
            1 => core.build(|id| pick(id, 3), |_| false),
            2 => core.build(|_| true, |id| pick(id, 11)),
            3 => core.build(|id| id.starts_with("test."), |id| pick(id, 7)),
            4 => core.docs(),
            5 => core.rename("stg_payments", "stg_payments_new"),
            6 => core.rename("stg_payments_new", "stg_payments"),
            _ => core.build(|id| !id.starts_with("test."), |_| false),
        }
        if matches!(night % 8, 5 | 6) {
            // It is parsed first, and built only some time later.
            core.parse();
            core.check(&format!("night {night}, parsed"));
            core.build(|id| pick(id, 2), |_| false);
        }
        core.check(&format!("night {night}"));
        if night == 6 {
            let whole = std::fs::read(core.target().join("manifest.json")).expect("read");
            std::fs::write(core.target().join("manifest.json"), &whole[..whole.len() / 2]).expect("written");
            core.check_stays("a half-written manifest", "manifest.json");
        }
        if night == 12 {
            std::fs::remove_dir_all(core.target()).expect("removed");
            core.check_stays("a deleted target folder", "target");
        }
        if night == 18 {
            core.manifest["metadata"]["dbt_version"] = json!("1.13.0");
            core.parse();
            core.check("dbt was upgraded, and has only parsed");
        }
    }
    let connection = core.reader();
    let gone = rows(&connection, "SELECT unique_id, count(*) FROM changes WHERE kind = 'removed' GROUP BY 1");
    assert!(gone.iter().any(|row| row[0] == "model.mini_shop.stg_payments"), "{gone:?}");
    let outcomes = rows(&connection, "SELECT outcome, count(*) FROM syncs GROUP BY 1 ORDER BY 1");
    assert_eq!(outcomes.iter().map(|row| row[0].as_str()).collect::<Vec<_>>(), ["applied", "failed", "unchanged"]);
}
