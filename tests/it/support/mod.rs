//! A server, a folder with a configuration, and the binary run in it. No assertions about behaviour here.

pub(crate) mod daemon;
pub(crate) mod receiver;
pub(crate) mod site;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use lineaged::catalog::{Trigger, Writers};
use lineaged::config::Config;
use lineaged::demo::{Project, Server};
use lineaged::origin::discovery::Limits;
use lineaged::sync::{self, Request, Stop, Watch};
use lineaged::time::Timestamp;
use rusqlite::{Connection, OpenFlags};
use serde_json::Value;

/// What a run of the binary left.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A Discovery server with one environment, and a folder from which the binary reads it.
pub(crate) struct World {
    pub(crate) server: Server,
    pub(crate) folder: tempfile::TempDir,
}

pub(crate) const ENVIRONMENT: i64 = 834;

impl World {
    pub(crate) fn bundled() -> Self {
        Self::of(Project::bundled(Timestamp::now()))
    }

    pub(crate) fn of(project: Project) -> Self {
        Self::with(vec![(ENVIRONMENT, project)], "")
    }

    /// Several environments are called `prod`, `env2`, `env3` … `extra` goes into the configuration's `[discovery]`.
    pub(crate) fn with(environments: Vec<(i64, Project)>, extra: &str) -> Self {
        let ids: Vec<i64> = environments.iter().map(|(id, _)| *id).collect();
        let server = Server::start(environments).expect("a server");
        let folder = tempfile::tempdir().expect("a folder");
        let mut config = format!("[discovery]\nurl = \"{}\"\nrequests_per_minute = 60000\n", server.url());
        for (key, value) in
            [("page_size", "10"), ("give_up_after", "\"1s\""), ("cooldown", "\"20ms\""), ("timeout", "\"800ms\"")]
        {
            if !extra.contains(key) {
                config.push_str(&format!("{key} = {value}\n"));
            }
        }
        config.push_str(&format!("{extra}\n"));
        for (number, id) in (1..).zip(ids) {
            let name = if number == 1 { "prod".to_owned() } else { format!("env{number}") };
            config.push_str(&format!("[[environments]]\nid = {id}\nname = \"{name}\"\n"));
        }
        std::fs::write(folder.path().join("lineaged.toml"), config).expect("written");
        Self { server, folder }
    }

    pub(crate) fn catalog(&self) -> PathBuf {
        self.folder.path().join("lineaged.db")
    }

    /// The binary, with nothing of this process's environment but the token.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = binary(self.folder.path(), arguments);
        command.env("LINEAGED_DISCOVERY__TOKEN", self.server.token());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        run(&mut self.command(arguments))
    }

    /// A run that must end with exit code 0.
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let ran = self.run(arguments);
        assert_eq!(ran.code, Some(0), "{arguments:?}: {ran:?}");
        ran.stdout
    }

    pub(crate) fn change<R>(&self, change: impl FnOnce(&mut Project) -> R) -> R {
        self.server.change(ENVIRONMENT, change)
    }

    /// Syncs in this process, as the binary would: for tests of many syncs.
    pub(crate) async fn sync_here(&self) {
        let token = self.server.token().into();
        let config = Config::for_one(ENVIRONMENT, "prod", self.server.url(), token, self.catalog()).expect("valid");
        let config = Arc::new(config);
        let (_pull, stop) = Stop::new();
        let request = Request {
            environment: sync::environments(&config).expect("numbered").swap_remove(0),
            config,
            trigger: Trigger::Manual,
            dry_run: false,
            full: false,
            writers: Writers::default(),
            stop,
            watch: Watch::nobody(),
        };
        sync::run(&request, &Limits::new(4, 1)).await.expect("synced");
    }

    pub(crate) fn reader(&self) -> Connection {
        Connection::open_with_flags(self.catalog(), OpenFlags::SQLITE_OPEN_READ_ONLY).expect("the catalog")
    }

    /// The rows of a query, each cell as text; NULL is empty.
    pub(crate) fn rows(&self, sql: &str) -> Vec<Vec<String>> {
        rows(&self.reader(), sql)
    }

    /// The first cell of each row.
    pub(crate) fn cells(&self, sql: &str) -> Vec<String> {
        self.rows(sql).into_iter().map(|mut row| row.swap_remove(0)).collect()
    }
}

pub(crate) fn binary(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lineaged"));
    command.args(arguments).current_dir(folder).env_clear().stdin(Stdio::null());
    command
}

pub(crate) fn run(command: &mut Command) -> Ran {
    let output = command.output().expect("the binary runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    Ran { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

pub(crate) fn rows(connection: &Connection, sql: &str) -> Vec<Vec<String>> {
    let mut statement = connection.prepare(sql).expect(sql);
    let width = statement.column_count();
    let cell = |row: &rusqlite::Row<'_>, place: usize| {
        let value: rusqlite::types::Value = row.get(place).expect("a value");
        match value {
            rusqlite::types::Value::Null => String::new(),
            rusqlite::types::Value::Integer(number) => number.to_string(),
            rusqlite::types::Value::Real(number) => number.to_string(),
            rusqlite::types::Value::Text(text) => text,
            rusqlite::types::Value::Blob(_) => panic!("no view has a blob"),
        }
    };
    let rows = statement.query_map([], |row| Ok((0..width).map(|place| cell(row, place)).collect()));
    rows.expect("rows").collect::<Result<_, _>>().expect("rows")
}

/// Everything that identifies what a catalog holds of one environment: ids with their types, edges, and columns.
#[derive(Debug, PartialEq)]
pub(crate) struct Content {
    pub(crate) ids: BTreeMap<String, String>,
    pub(crate) edges: BTreeSet<(String, String)>,
    pub(crate) columns: BTreeSet<(String, String, String)>,
}

impl Content {
    /// What the server's project says.
    pub(crate) fn truth(project: &Project) -> Self {
        let mut ids: BTreeMap<String, String> =
            project.ids().into_iter().map(|(id, kind)| (id, kind.to_owned())).collect();
        ids.extend(project.externals().into_iter().map(|id| (id, "external".to_owned())));
        let mut columns = BTreeSet::new();
        for (id, list) in project.columns() {
            let ephemeral = project.node(&id).is_some_and(|node| node.materialization.as_deref() == Some("ephemeral"));
            for column in list.iter().filter(|_| !ephemeral) {
                let data_type = column.data_type.as_deref().unwrap_or_default();
                columns.insert((id.clone(), column.name.to_string(), data_type.to_owned()));
            }
        }
        Self { ids, edges: project.edges(), columns }
    }

    /// What the catalog's public views say.
    pub(crate) fn of(connection: &Connection, environment: i64) -> Self {
        let of = |view: &str, columns: &str| {
            rows(connection, &format!("SELECT {columns} FROM {view} WHERE environment_id = {environment}"))
        };
        let pair = |row: Vec<String>| (row[0].clone(), row[1].clone());
        Self {
            ids: of("nodes", "unique_id, resource_type").into_iter().map(pair).collect(),
            edges: of("edges", "parent_id, child_id").into_iter().map(pair).collect(),
            columns: of("columns", "unique_id, name, data_type")
                .into_iter()
                .map(|row| (row[0].clone(), row[1].clone(), row[2].clone()))
                .collect(),
        }
    }
}

impl World {
    pub(crate) fn truth(&self) -> Content {
        self.change(|project| Content::truth(project))
    }

    pub(crate) fn content(&self) -> Content {
        Content::of(&self.reader(), ENVIRONMENT)
    }
}

/// Names the first differences instead of printing two worlds.
#[track_caller]
pub(crate) fn assert_same(found: &Content, truth: &Content, when: &str) {
    fn few<T: Ord + std::fmt::Debug>(a: &BTreeSet<T>, b: &BTreeSet<T>) -> String {
        format!("{:?}", a.difference(b).take(3).collect::<Vec<_>>())
    }
    let ids = |content: &Content| content.ids.clone().into_iter().collect::<BTreeSet<_>>();
    if found != truth {
        panic!(
            "{when}: only in the catalog: ids {} edges {} columns {}; only in the truth: ids {} edges {} columns {}",
            few(&ids(found), &ids(truth)),
            few(&found.edges, &truth.edges),
            few(&found.columns, &truth.columns),
            few(&ids(truth), &ids(found)),
            few(&truth.edges, &found.edges),
            few(&truth.columns, &found.columns),
        );
    }
}

/// The folder of a sample of a real project, if the samples are there; says so where they are not.
pub(crate) fn sample(name: &str) -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let folder = std::env::var_os("SAMPLE_DATA").map_or(beside, PathBuf::from).join(name);
    if !folder.join("manifest.json").exists() {
        eprintln!("skipped: there is no sample `{name}` (SAMPLE_DATA names the folder with the samples)");
        return None;
    }
    Some(folder)
}

/// A JSON answer of a command.
pub(crate) fn json(text: &str) -> Vec<Value> {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}
