//! `lineaged demo`: the whole thing in a few seconds, without network or configuration; or the server alone, to try clients against.

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use secrecy::SecretString;

use super::progress::Progress;
use super::stop::told_to_end;
use super::sync::tell;
use super::{Exit, Files, Misuse};
use crate::answers::{self, Question, Reader};
use crate::catalog::{self, Trigger, Writers};
use crate::config::Config;
use crate::demo::{Project, Server};
use crate::inventory::ResourceType;
use crate::origin::discovery::Limits;
use crate::output::{self, Format};
use crate::sync::{self, Request, Stop};
use crate::time::Timestamp;

const ENVIRONMENT: i64 = 1;
const NAME: &str = "demo";
const CATALOG: &str = "lineaged.db";

/// What a user may want to ask next; the tests run each of them.
pub(super) const QUERIES: [&str; 3] = [
    "select unique_id, last_run_status, last_run_error from nodes where last_run_status in ('error', 'fail')",
    "select changed_at, kind, unique_id, field, before, after from changes where kind not in ('added', 'removed')",
    "select c.unique_id, c.name, c.data_type from columns c where c.description is null",
];

#[derive(Debug, clap::Args)]
pub(super) struct Demo {
    /// A dbt project's target folder, with manifest.json and what else there is
    /// (catalog.json, run_results.json, sources.json) [default: a small bundled project]
    target_folder: Option<PathBuf>,
    /// Instead, serve the project as the dbt platform would, on 127.0.0.1, until Control-C or the end
    /// of standard input
    #[arg(long)]
    serve_platform: bool,
    /// Where to serve it [default: a free port]
    #[arg(long, value_name = "PORT", requires = "serve_platform")]
    port: Option<u16>,
}

impl Demo {
    pub(super) async fn run(self, files: &Files, out: &mut dyn Write) -> anyhow::Result<Exit> {
        if self.serve_platform {
            return self.serve_platform(out).await;
        }
        let path = files.catalog.clone().unwrap_or_else(|| PathBuf::from(CATALOG));
        start_afresh(&path)?;
        let (project, steps) = (self.project()?, if self.target_folder.is_some() { 0 } else { 2 });
        let server = Server::start(vec![(ENVIRONMENT, project)])?;
        let config = Arc::new(Config::for_one(
            ENVIRONMENT,
            NAME,
            server.url(),
            SecretString::from(server.token()),
            path.clone(),
        )?);
        writeln!(out, "A Discovery server with the project runs in this process. First sync:\n")?;
        sync_once(&config, out).await?;
        writeln!(out)?;
        output::write(&Reader::open(&path, None)?.summary(ENVIRONMENT)?, Format::Table, out)?;
        for step in 1..=steps {
            evolve(&server, step, &config, &path, out).await?;
        }
        writeln!(out, "\nThe catalog is {}. Try:\n", path.display())?;
        for query in QUERIES {
            writeln!(out, "  sqlite3 {} \"{query}\"", path.display())?;
        }
        let models = Question::of(None).only("resource_type", &["model"]);
        if let Some(model) = Reader::open(&path, None)?.rows("nodes", &models)?.iter().next() {
            writeln!(out, "  lineaged lineage {}", model.str("unique_id"))?;
        }
        writeln!(out, "  lineaged health\n  lineaged coverage --missing\n  lineaged search customer")?;
        match &self.target_folder {
            Some(folder) => tell_lasting_way(folder, out)?,
            None => writeln!(out, "\nWith a Discovery API and a token: `lineaged init`, then `lineaged check`.")?,
        }
        Ok(Exit::Done)
    }

    fn project(&self) -> anyhow::Result<Project> {
        let now = Timestamp::now();
        let project = match &self.target_folder {
            Some(folder) => Project::load(folder, now)?,
            None => Project::unpacked(now)?,
        };
        for odd in project.notes() {
            super::note(&format!("note: {}", output::sanitize(odd)));
        }
        Ok(project)
    }

    async fn serve_platform(&self, out: &mut dyn Write) -> anyhow::Result<Exit> {
        let project = self.project()?;
        let metric = project.nodes().find(|(_, node)| node.resource_type == ResourceType::Metric);
        let metric = metric.and_then(|(_, node)| node.name.as_deref()).unwrap_or("NODE").to_owned();
        let server = Server::start_on(
            SocketAddr::from(([127, 0, 0, 1], self.port.unwrap_or_default())),
            vec![(ENVIRONMENT, project)],
        )?;
        writeln!(out, "The project is served as the dbt platform would. In another terminal, in an empty folder:\n")?;
        for (name, value) in server.settings() {
            writeln!(out, "  export {name}={value}")?;
        }
        writeln!(out, "\n  lineaged init\n  lineaged discover --write\n  lineaged sync\n  lineaged runs")?;
        writeln!(out, "  lineaged show {}\n\nControl-C ends it.", output::sanitize(&metric))?;
        out.flush()?;
        let input = tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink()));
        tokio::select! {
            signal = told_to_end() => signal?,
            end = input => drop(end??),
        }
        Ok(Exit::Done)
    }
}

/// How to go on with a project's files: a demo reads them once.
fn tell_lasting_way(folder: &Path, out: &mut dyn Write) -> anyhow::Result<()> {
    let folder = std::path::absolute(folder)?;
    let folder = serde_json::Value::from(folder.to_string_lossy());
    writeln!(out, "\nThe lasting way to read these files is `origin = \"artifacts\"`. In lineaged.toml, write:\n")?;
    writeln!(out, "  [catalog]\n  path = \"core.db\"")?;
    writeln!(out, "  [[environments]]\n  name = \"core\"\n  origin = \"artifacts\"\n  paths = [{folder}]")?;
    Ok(())
}

/// A demo starts with an empty catalog. The file of an earlier demo is removed; any other file is left alone.
fn start_afresh(path: &Path) -> anyhow::Result<()> {
    let reader = match Reader::open(path, None) {
        Ok(reader) => reader,
        Err(answers::Error::Catalog(catalog::Error::Missing(_))) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    if !reader.has_only_demos()? {
        let path = path.display();
        return Err(Misuse(format!(
            "`{path}` holds more than a demo, so it is left alone: name another file with `--catalog`"
        ))
        .into());
    }
    drop(reader);
    let path = catalog::canonical(path)?;
    for suffix in ["", "-wal", "-shm"] {
        let mut file = path.as_os_str().to_owned();
        file.push(suffix);
        match std::fs::remove_file(&file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    Ok(())
}

async fn sync_once(config: &Arc<Config>, out: &mut dyn Write) -> anyhow::Result<()> {
    let environment = sync::environments(config)?.swap_remove(0);
    let watch = Progress::start(NAME).watch();
    let (_pull, stop) = Stop::new();
    let request = Request {
        config: Arc::clone(config),
        environment,
        trigger: Trigger::Demo,
        dry_run: false,
        full: false,
        writers: Writers::default(),
        stop,
        watch,
    };
    let report = sync::run(&request, &Limits::new(config.concurrency(), 1)).await?;
    drop(request);
    tell(NAME, &report, out)?;
    Ok(())
}

/// Lets the project live on for a step, syncs again, and shows what the catalog saw.
async fn evolve(
    server: &Server,
    step: usize,
    config: &Arc<Config>,
    path: &Path,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    writeln!(out, "\nThe project lives on:")?;
    for happened in server.change(ENVIRONMENT, |project| project.evolve(step)) {
        writeln!(out, "  {}: {}", happened.unique_id, happened.what)?;
    }
    let last = Reader::open(path, None)?.last_seq;
    writeln!(out)?;
    sync_once(config, out).await?;
    let question = Question { after: Some(vec![last.into()]), ..Question::of(None) };
    let changes = Reader::open(path, None)?.rows("changes", &question)?;
    writeln!(out, "\nWhat changed, by `lineaged changes --after {last}`:\n")?;
    output::write(&super::changes::readable(changes), Format::Table, out)?;
    Ok(())
}
