//! The command line: what can be said, and one arm for each command. No SQL and no HTTP.

mod approve;
mod backup;
mod changes;
mod check;
mod coverage;
#[cfg(feature = "demo")]
mod demo;
mod discover;
mod exit;
mod export;
mod forget;
mod freshness;
mod health;
mod impact;
mod init;
mod lineage;
mod ls;
mod packages;
mod progress;
mod reading;
mod runs;
mod search;
mod serve;
mod show;
mod status;
mod stop;
mod sync;
mod tests;

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, CommandFactory, Parser, Subcommand};

use self::exit::{Misuse, exit_of};
use self::reading::{Choosing, Printing, Reading};
use crate::config::{self, Config, Need, Problems, Source};
use crate::output::Colour;
use crate::redact::{Redacted, redact};
use crate::{logging, output};

pub use self::exit::Exit;

/// Keeps a local, trustworthy catalog of a dbt project in one SQLite file.
#[derive(Debug, Parser)]
#[command(name = "lineaged", version, about, max_term_width = 100, after_help = EXAMPLES)]
pub struct Cli {
    #[command(flatten)]
    files: Files,
    /// Colours for states: on a terminal without NO_COLOR, also elsewhere, or not at all
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t = Colour::Auto)]
    color: Colour,
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  lineaged demo                      see it work, without network or configuration
  lineaged demo target/              the same with the artifacts of your own dbt project
  lineaged init                      write a commented lineaged.toml
  lineaged discover --write          name the platform's production environments in it
  lineaged check                     is the configuration right, and can the platform be reached?
  lineaged sync                      bring the catalog up to date
  lineaged search customer email     nodes with these words, in names, descriptions, columns, tags …
  lineaged show stg_orders           everything about one node
  lineaged runs --failed             which runs did not end well
  sqlite3 lineaged.db 'select * from nodes limit 3'

Exit codes: 0 done, 1 failed (network, API, I/O), 2 usage or configuration, 3 a check said no,
4 held for approval, 130 interrupted. Where several hold: the first of 130, 2, 1, 4, 3.";

#[derive(Debug, Args)]
struct Files {
    /// The configuration [default: $LINEAGED_CONFIG, else lineaged.toml in the working directory, in
    /// $XDG_CONFIG_HOME/lineaged or in /etc/lineaged]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The catalog [default: catalog.path of the configuration, else ./lineaged.db]
    #[arg(long, global = true, value_name = "PATH")]
    catalog: Option<PathBuf>,
}

impl Files {
    fn load(&self, need: Need) -> Result<Config, Problems> {
        let config = config::load(&Source { config: self.config.clone(), catalog: self.catalog.clone() }, need)?;
        if need == Need::Origins {
            for warning in &config.warnings {
                note(&format!("warning: {warning}"));
            }
        }
        Ok(config)
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show what this is, on a small bundled project or on your own dbt artifacts
    #[cfg(feature = "demo")]
    Demo(demo::Demo),
    /// Write a commented lineaged.toml, never over an existing one
    Init,
    /// Check the configuration, the token and each environment, and say what to mend
    Check(check::Check),
    /// List the environments that the platform has, and append them to the configuration
    Discover(discover::Discover),
    /// Read the environments completely and bring the catalog up to date
    Sync(sync::Sync),
    /// Sync on schedule and on events, and serve the catalog over HTTP
    Serve,
    /// Show the environments, their last syncs, and what is held for approval
    Status(status::Status),
    /// Approve what a held sync would remove
    Approve(approve::Approve),
    /// Delete an environment and its history from the catalog
    Forget(forget::Forget),
    /// List what changed, and what may break by it
    Changes(changes::Changes),
    /// List the nodes
    Ls(ls::Ls),
    /// Find nodes by words, wherever they stand
    Search(search::Search),
    /// Show one node: what and where it is, who owns it, how fresh it is, its columns, tests and history
    Show(show::Show),
    /// Show what a node or a column stands on and what stands on it
    Lineage(lineage::Lineage),
    /// Show what may break by a node or a column, before it is changed
    Impact(impact::Impact),
    /// Show how fresh sources are now, and what is built on them
    Freshness(freshness::Freshness),
    /// Show which models, sources and exposures are not well, and why
    Health(health::Health),
    /// Show how tests ended, the worst first
    Tests(tests::Tests),
    /// List the runs, or show what happened in one
    Runs(runs::Runs),
    /// Show how much is documented and tested, what is missing, and whether it got better
    Coverage(coverage::Coverage),
    /// Write the catalog for other programs: OpenLineage, DataHub, dbt's files, drawings
    Export(export::Export),
    /// Make a verified copy of the catalog, also while it is being written
    Backup(backup::Backup),
    /// Write completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

impl Cli {
    /// Runs the command, prints what it has to say, and tells how it ended.
    pub fn run(self) -> Exit {
        match self.dispatch() {
            Ok(exit) => exit,
            Err(error) if is_broken_pipe(&error) => Exit::Done,
            Err(error) => {
                match error.downcast_ref::<Problems>() {
                    Some(problems) => note(&problems.to_string()),
                    None => complain("error", &error),
                }
                exit_of(&error)
            }
        }
    }

    fn dispatch(self) -> anyhow::Result<Exit> {
        let Self { files, color, command } = self;
        let level = if matches!(command, Command::Serve) { "info" } else { "warn" };
        logging::init(level, color.is_wanted(true)).map_err(anyhow::Error::msg)?;
        color.choose();
        let mut out = std::io::stdout().lock();
        match command {
            #[cfg(feature = "demo")]
            Command::Demo(demo) => block_on(demo.run(&files, &mut out)),
            Command::Init => init::run(files, &mut out),
            Command::Check(check) => check.run(&files, &mut Redacted::new(out)),
            Command::Discover(discover) => block_on(discover.run(&files, &mut out)),
            Command::Sync(sync) => block_on(sync.run(&files, &mut Redacted::new(out))),
            Command::Forget(forget) => forget.run(&files, &mut out),
            Command::Approve(approve) => approve.run(&files, &mut out),
            Command::Status(status) => status.run(&files, &mut out),
            Command::Changes(changes) => changes.run(&files, &mut out),
            Command::Ls(ls) => ls.run(&files, &mut out),
            Command::Search(search) => search.run(&files, &mut out),
            Command::Show(show) => show.run(&files, &mut out),
            Command::Serve => block_on(serve::run(&files)),
            Command::Lineage(lineage) => lineage.run(&files, &mut out),
            Command::Impact(impact) => impact.run(&files, &mut out),
            Command::Freshness(freshness) => freshness.run(&files, &mut out),
            Command::Health(health) => health.run(&files, &mut out),
            Command::Tests(tests) => tests.run(&files, &mut out),
            Command::Runs(runs) => runs.run(&files, &mut out),
            Command::Coverage(coverage) => coverage.run(&files, &mut out),
            Command::Export(export) => export.run(&files, &mut out),
            Command::Backup(backup) => backup.run(&files, &mut out),
            Command::Completions { shell } => {
                clap_complete::generate(shell, &mut Self::command(), "lineaged", &mut out);
                Ok(Exit::Done)
            }
        }
    }
}

fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).enable_all().build().context("can't start the asynchronous runtime")?;
    let result = runtime.block_on(work);
    // A thread that still sleeps or reads has nothing to say any more, and nobody waits for it.
    runtime.shutdown_background();
    result
}

/// Prints a line for people to standard error, without secrets.
fn note(line: &str) {
    // Nothing can be done where even this fails.
    let _ = writeln!(std::io::stderr(), "{}", redact(line));
}

/// Prints an error; its lines are ours, what stands in them may come from outside.
fn complain(what: &str, error: &anyhow::Error) {
    let text = format!("{error:#}");
    let lines: Vec<_> = text.lines().map(output::sanitize).collect();
    note(&format!("{what}: {}", lines.join("\n")));
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}
