//! `lineaged export`: the catalog in the forms that other programs read.

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context;
use clap::ValueEnum;

use super::progress::Progress;
use super::{Choosing, Exit, Files, Misuse, Reading, note};
use crate::answers::{Environment, Reader};
use crate::config::{self, Config, Need};
use crate::deliver::{Batch, Target, endpoint};
use crate::export::{self, DataHub, Drawing, OpenLineage, Scope, Shape, Told, Wanted};

const EXAMPLES: &str = "\
Examples:
  lineaged export openlineage --output events.ndjson     what there is, an event in each line
  lineaged export openlineage --events run               one complete run for each node that was built
  lineaged export openlineage --to http://localhost:5000 each event posted to a receiver, e.g. Marquez
  lineaged export datahub --lowercase --output shop.json for DataHub's file source
  lineaged export artifacts --output target              what dbt leaves, for whatever reads that
  lineaged export mermaid --select +orders               a drawing for Markdown

Set `namespace` (and `repository`) of each environment in the configuration, so that names are those of the warehouse's other tools.";

/// Which form, and what of it.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, subcommand_value_name = "FORMAT", subcommand_help_heading = "Formats")]
pub(super) struct Export {
    #[command(subcommand)]
    format: Format,
}

#[derive(Debug, clap::Subcommand)]
enum Format {
    /// OpenLineage 2-0-2, one event in each line: for Marquez, OpenMetadata, Atlan and others
    Openlineage(ToOpenLineage),
    /// A list of metadata change proposals, for DataHub's file source
    Datahub(ToDataHub),
    /// A folder with manifest.json, catalog.json, run_results.json and sources.json, for whatever reads dbt's files
    Artifacts(ToArtifacts),
    /// A drawing for Graphviz
    Dot(Asking),
    /// A drawing for Mermaid, e.g. in Markdown
    Mermaid(Asking),
}

#[derive(Debug, clap::Args)]
struct Asking {
    #[command(flatten)]
    choosing: Choosing,
    /// Only what changed after this change (its `seq`, see `lineaged changes`), what reads it, and what is gone
    #[arg(long, value_name = "SEQ")]
    since: Option<i64>,
    #[command(flatten)]
    reading: Reading,
    /// Write into this file [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// The words that DataHub knows for stages.
const STAGES: [&str; 15] =
    ["CORP", "DEV", "EI", "NON_PROD", "PRD", "PRE", "PROD", "QA", "RVW", "SANDBOX", "SBX", "SIT", "STG", "TEST", "UAT"];

/// Says where files can't be pointed to.
fn tell_missing_commits(scopes: &[Scope<'_>]) {
    scopes.iter().filter_map(Scope::without_commit).for_each(|missing| note(&format!("warning: {missing}")));
}

/// Which events are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Events {
    /// What there is: dataset events and job events
    Static,
    /// One complete run for each node that was built, for receivers that take run events only
    Run,
}

#[derive(Debug, clap::Args)]
struct ToOpenLineage {
    /// Which events
    #[arg(long, value_enum, default_value_t = Events::Static)]
    events: Events,
    /// With --since: say that the relations of models, seeds and snapshots that are gone are dropped in the warehouse, too
    #[arg(long, requires = "since")]
    drop_removed: bool,
    /// Post each event to this address, with the token that one of `[[receivers]]` has for it; without a path to /api/v1/lineage
    #[arg(long, value_name = "URL", conflicts_with = "output")]
    to: Option<String>,
    #[command(flatten)]
    asking: Asking,
}

#[derive(Debug, clap::Args)]
struct ToDataHub {
    /// The instance under which DataHub knows the warehouse, where it knows several
    #[arg(long, value_name = "NAME")]
    platform_instance: Option<String>,
    /// DataHub's word for what stage the data are of
    #[arg(long, value_name = "WORD", default_value = "PROD", value_parser = STAGES)]
    env: String,
    /// Write names in small letters, as DataHub does for Snowflake
    #[arg(long)]
    lowercase: bool,
    #[command(flatten)]
    asking: Asking,
}

#[derive(Debug, clap::Args)]
struct ToArtifacts {
    #[command(flatten)]
    reading: Reading,
    /// The folder; never one in which dbt itself writes
    #[arg(long, short, value_name = "FOLDER")]
    output: PathBuf,
}

impl Export {
    pub(super) fn run(self, files: &Files, out: &mut dyn Write) -> anyhow::Result<Exit> {
        match self.format {
            Format::Openlineage(it) => it.run(files, out),
            Format::Datahub(it) => it.run(files, out),
            Format::Artifacts(it) => it.run(files),
            Format::Dot(it) => it.draw(Shape::Dot, files, out),
            Format::Mermaid(it) => it.draw(Shape::Mermaid, files, out),
        }?;
        Ok(Exit::Done)
    }
}

impl ToOpenLineage {
    fn run(self, files: &Files, out: &mut dyn Write) -> anyhow::Result<()> {
        let how = OpenLineage { runs: self.events == Events::Run, drops_removed: self.drop_removed };
        let write = |scopes: &[Scope<'_>], out: &mut dyn Write| {
            tell_missing_commits(scopes);
            for scope in scopes {
                if let Some(missing) = export::without_namespace(scope) {
                    note(&format!("warning: {missing}"));
                }
                export::openlineage(scope, how, out)?;
            }
            Ok(())
        };
        let Some(to) = &self.to else { return self.asking.export(files, out, write) };
        let target = target(files, to)?;
        let mut batch = None;
        let last_seq = self.asking.gather(files, out, |scopes, _| {
            batch = Some(Batch::pack(|out| write(scopes, out))?);
            Ok(())
        })?;
        if let Some(batch) = batch {
            super::block_on(post(batch, &target))?;
        }
        note_next(last_seq);
        Ok(())
    }
}

/// So long an event is tried again before it is given up.
const PATIENCE: Duration = Duration::from_secs(60);

/// The receiver at an address. A token is its own: it is sent nowhere else.
fn target(files: &Files, to: &str) -> anyhow::Result<Target> {
    let wrong = || Misuse("`--to` is no address: use https://…, or http://…, without user and password".to_owned());
    let url = config::receiver_url(to).ok_or_else(wrong)?;
    let receivers = files.load(Need::Reading)?.receivers;
    let same = receivers.iter().find(|receiver| endpoint(&receiver.url) == endpoint(&url));
    Ok(Target::new(&url, same.and_then(|receiver| receiver.token.as_ref()))?)
}

async fn post(mut batch: Batch, target: &Target) -> anyhow::Result<()> {
    let (bar, taken, count) = (Progress::start("export").watch(), AtomicU64::new(0), batch.count);
    let tell = || (bar.page)("events", taken.fetch_add(1, Ordering::Relaxed) + 1, count);
    batch.deliver(target, PATIENCE, &tell).await?;
    drop(bar);
    note(&format!("{count} events have arrived"));
    Ok(())
}

impl ToDataHub {
    fn run(self, files: &Files, out: &mut dyn Write) -> anyhow::Result<()> {
        let Self { platform_instance, env, lowercase, asking } = self;
        let how = DataHub { platform_instance, env, lowercase };
        asking.export(files, out, |scopes, out| {
            if scopes.len() > 1 {
                note("warning: DataHub knows a relation once: where environments share one, what is told last stays");
            }
            tell_missing_commits(scopes);
            export::datahub(scopes, &how, out)
        })
    }
}

impl ToArtifacts {
    fn run(self, files: &Files) -> anyhow::Result<()> {
        let config = files.load(Need::Reading)?;
        let (reader, id) = self.reading.open(files)?;
        let environment = only(&reader, id)?;
        let scope = Scope::open(&reader, &environment, wanted(&config, &environment, None)).map_err(told)?;
        if has_others_files(&self.output) {
            let folder = self.output.display();
            return Err(
                Misuse(format!("`{folder}` holds files that dbt itself has written: name another folder")).into()
            );
        }
        let create = |name: &str| {
            std::fs::create_dir_all(&self.output)?;
            let file: Box<dyn Write> = Box::new(BufWriter::new(File::create(self.output.join(name))?));
            Ok(file)
        };
        let left_out = export::artifacts(&scope, &create).map_err(told);
        for line in left_out.with_context(|| format!("can't write `{}`", self.output.display()))? {
            note(&line);
        }
        Ok(())
    }
}

impl Asking {
    fn draw(self, shape: Shape, files: &Files, out: &mut dyn Write) -> anyhow::Result<()> {
        let (reader, id) = self.reading.open(files)?;
        only(&reader, id)?;
        drop(reader);
        self.export(files, out, |scopes, out| {
            scopes.iter().try_for_each(|scope| Ok(Drawing::of(scope)?.write(shape, out)?))
        })
    }

    /// [`gather`](Self::gather), and says what to ask for the next time.
    fn export(
        self,
        files: &Files,
        out: &mut dyn Write,
        write: impl FnOnce(&[Scope<'_>], &mut dyn Write) -> Result<(), export::Error>,
    ) -> anyhow::Result<()> {
        note_next(self.gather(files, out, write)?);
        Ok(())
    }

    /// Opens what is wanted of each environment, and writes it to the file or to standard output. The catalog stays open meanwhile: what
    /// is written comes page by page. With `--since` it returns the last change.
    fn gather(
        self,
        files: &Files,
        out: &mut dyn Write,
        write: impl FnOnce(&[Scope<'_>], &mut dyn Write) -> Result<(), export::Error>,
    ) -> anyhow::Result<Option<i64>> {
        let config = files.load(Need::Reading)?;
        let (reader, id) = self.reading.open(files)?;
        let chosen = self.choosing.chosen(&reader, id)?;
        let mut scopes = Vec::new();
        for environment in reader.environments()?.iter().filter(|it| id.is_none_or(|id| id == it.id)) {
            let wanted = Wanted { chosen: chosen.clone(), ..wanted(&config, environment, self.since) };
            scopes.push(Scope::open(&reader, environment, wanted).map_err(told)?);
        }
        let write = |out: &mut dyn Write| -> anyhow::Result<()> {
            let mut out = BufWriter::new(out);
            write(&scopes, &mut out).map_err(told)?;
            Ok(out.flush()?)
        };
        match &self.output {
            None => write(out)?,
            Some(path) => {
                let cant = || format!("can't write `{}`", path.display());
                write(&mut File::create(path).with_context(cant)?).with_context(cant)?;
            }
        }
        Ok(self.since.map(|_| reader.last_seq))
    }
}

fn note_next(last_seq: Option<i64>) {
    if let Some(seq) = last_seq {
        note(&format!("the last change is {seq}: next time `--since {seq}`"));
    }
}

fn wanted(config: &Config, environment: &Environment, since: Option<i64>) -> Wanted {
    let own = config.environments.iter().find(|it| it.name == environment.name);
    let since = since.map(|seq| Told { seq, ..Told::default() });
    Wanted { chosen: None, since, elsewhere: own.map(|it| it.elsewhere.clone()).unwrap_or_default() }
}

/// True for a folder with a manifest that is not ours: it may be the only one that there is.
fn has_others_files(folder: &Path) -> bool {
    let Ok(file) = File::open(folder.join("manifest.json")) else { return false };
    let mut head = Vec::new();
    // One that can't be read is not ours to replace.
    file.take(1000).read_to_end(&mut head).is_err() || !String::from_utf8_lossy(&head).contains(export::MARK)
}

/// The one environment that is meant.
fn only(reader: &Reader, id: Option<i64>) -> anyhow::Result<Environment> {
    let mut all = reader.environments()?;
    all.retain(|environment| id.is_none_or(|id| id == environment.id));
    match all.len() {
        1 => Ok(all.swap_remove(0)),
        0 => Err(Misuse("the catalog holds no environment yet: run `lineaged sync` first".to_owned()).into()),
        _ => {
            let names: Vec<String> = all.iter().map(|it| format!("`{}`", it.name)).collect();
            let choose =
                format!("this format is of one environment: add `--environment` with one of {}", names.join(", "));
            Err(Misuse(choose).into())
        }
    }
}

/// As the error that it is: how a command ends depends on that.
fn told(error: export::Error) -> anyhow::Error {
    match error {
        export::Error::Answers(error) => error.into(),
        export::Error::Io(error) => error.into(),
    }
}
