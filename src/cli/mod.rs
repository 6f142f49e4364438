//! The command line: what can be said, and one arm for each command. No SQL and no HTTP.

mod changes;
mod check;
mod coverage;
#[cfg(feature = "demo")]
mod demo;
mod forget;
mod health;
mod lineage;
mod packages;
mod progress;
mod read;
mod search;
mod serve;
mod show;
mod stop;
mod sync;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::answers::{Chosen, Table};
use crate::config::{self, Config, Need, Problems, Source};
use crate::output::Format;
use crate::redact::{Redacted, redact};
use crate::sync::Interrupted;
use crate::time::Timestamp;
use crate::{answers, catalog, logging, output};

/// Keeps a local, trustworthy catalog of a dbt project in one SQLite file.
#[derive(Debug, Parser)]
#[command(name = "lineaged", version, about, max_term_width = 100, after_help = EXAMPLES)]
pub struct Cli {
    #[command(flatten)]
    files: Files,
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  lineaged demo                      see it work, without network or configuration
  lineaged demo target/              the same with the artifacts of your own dbt project
  lineaged init                      write a commented lineaged.toml
  lineaged check                     is the configuration right, and can the platform be reached?
  lineaged sync                      bring the catalog up to date
  lineaged search customer email     nodes with these words, in names, descriptions, columns, tags …
  lineaged show stg_orders           everything about one node
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

/// What commands that read have in common.
#[derive(Debug, Args)]
struct Reading {
    /// Only this environment
    #[arg(long, value_name = "NAME")]
    environment: Option<String>,
    /// The catalog as it was then: 2026-03-31 (to the end of that day), 2026-03-31T06:00, 7d (ago)
    #[arg(long, value_name = "TIME", value_parser = until)]
    as_of: Option<Timestamp>,
}

impl Reading {
    /// A connection that reads one moment of the catalog, as it is or as it was. Commands let go of it before they print what may be
    /// long: as long as somebody leafs through it, the file could not shrink its log.
    fn open(&self, files: &Files) -> anyhow::Result<rusqlite::Connection> {
        let config = files.load(Need::Reading)?;
        match self.as_of {
            None => Ok(catalog::open_moment(&config.catalog.path)?),
            Some(time) => {
                // The time to come has not happened yet.
                let time = time.min(Timestamp::now());
                note(&format!("as of {time}; settings are as of now, and of compiled code only the last is kept"));
                Ok(catalog::open_as_of(&config.catalog.path, time, None)?)
            }
        }
    }

    /// The id of the environment that was named, if one was.
    fn environment_id(&self, connection: &rusqlite::Connection) -> Result<Option<i64>, answers::Error> {
        let named = |name: &String| answers::Environment::named(connection, name).map(|environment| environment.id);
        self.environment.as_ref().map(named).transpose()
    }
}

/// How rows are printed, and how many.
#[derive(Debug, Args)]
struct Printing {
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// At most so many rows
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
}

impl Printing {
    /// True if people read it.
    fn is_table(&self) -> bool {
        self.format == Format::Table
    }

    /// Prints the rows up to the limit, and tells on standard error how many it left out.
    fn print(&self, table: Table, out: &mut dyn Write) -> std::io::Result<()> {
        self.print_as(table, |table| table, out)
    }

    /// The same, the rows that are left in the form that `form` gives them.
    fn print_as(
        &self,
        mut table: Table,
        form: impl FnOnce(Table) -> Table,
        out: &mut dyn Write,
    ) -> std::io::Result<()> {
        let left_out = self.limit.map_or(0, |limit| table.rows.len().saturating_sub(limit));
        table.rows.truncate(table.rows.len() - left_out);
        output::write(&form(table), self.format, out)?;
        if left_out > 0 {
            note(&format!("{left_out} more rows are left out: raise `--limit`"));
        }
        Ok(())
    }
}

/// Which nodes, in dbt's selection grammar.
#[derive(Debug, Args)]
struct Choosing {
    /// Only these nodes, in dbt's selection grammar: +orders, tag:nightly, path:models/marts
    #[arg(long, short = 's', value_name = "SELECTOR", num_args = 1..)]
    select: Vec<String>,
    /// Not these nodes
    #[arg(long, value_name = "SELECTOR", num_args = 1..)]
    exclude: Vec<String>,
}

impl Choosing {
    /// True if anything was said.
    fn is_given(&self) -> bool {
        !self.select.is_empty() || !self.exclude.is_empty()
    }

    /// The nodes that were chosen; `None` if nothing was said, so all.
    fn chosen(
        &self,
        connection: &rusqlite::Connection,
        environment_id: Option<i64>,
    ) -> Result<Option<Chosen>, answers::Error> {
        let chosen = Chosen::load(connection, environment_id, &self.select, &self.exclude)?;
        for part in chosen.iter().flat_map(|chosen| &chosen.unmatched) {
            note(&format!("warning: `{}` matches no node", output::sanitize(part)));
        }
        Ok(chosen)
    }

    /// Leaves those rows of `table` that are of chosen nodes.
    fn keep(
        &self,
        connection: &rusqlite::Connection,
        environment_id: Option<i64>,
        table: &mut Table,
    ) -> Result<(), answers::Error> {
        if let Some(chosen) = self.chosen(connection, environment_id)? {
            chosen.keep(table);
        }
        Ok(())
    }
}

/// A time at whose end something lies: a bare date means the end of that day.
fn until(text: &str) -> Result<Timestamp, String> {
    Timestamp::of_people(text, Timestamp::now(), true)
}

/// A time at whose beginning something lies: a bare date means the beginning of that day.
fn since(text: &str) -> Result<Timestamp, String> {
    Timestamp::of_people(text, Timestamp::now(), false)
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
    /// Read the environments completely and bring the catalog up to date
    Sync(sync::Sync),
    /// Sync on schedule and on events, and serve the catalog over HTTP
    Serve,
    /// Show the environments, their last syncs, and what is held for approval
    Status(read::Status),
    /// Approve what a held sync would remove
    Approve(sync::Approve),
    /// Delete an environment and its history from the catalog
    Forget(forget::Forget),
    /// List what changed, and what may break by it
    Changes(changes::Changes),
    /// List the nodes
    Ls(read::Ls),
    /// Find nodes by words, wherever they stand
    Search(search::Search),
    /// Show one node: what and where it is, who owns it, how fresh it is, its columns, tests and history
    Show(show::Show),
    /// Show what a node stands on and what stands on it
    Lineage(lineage::Lineage),
    /// Show how fresh sources are now, and what is built on them
    Freshness(read::Freshness),
    /// Show which models, sources and exposures are not well, and why
    Health(health::Health),
    /// Show how much is documented and tested, what is missing, and whether it got better
    Coverage(coverage::Coverage),
    /// Make a verified copy of the catalog, also while it is being written
    Backup(serve::Backup),
    /// Write completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// How a command ended, as its exit code tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Everything was done.
    Done = 0,
    /// Something failed: network, API or I/O.
    Failed = 1,
    /// The command or the configuration is wrong.
    Usage = 2,
    /// A check said no.
    No = 3,
    /// A sync was held for approval.
    Held = 4,
    /// It was told to end before it was done.
    Interrupted = 130,
}

impl Exit {
    /// What tells of several ends: the first that holds.
    fn of_all(exits: &[Self]) -> Self {
        let order = [Self::Interrupted, Self::Usage, Self::Failed, Self::Held, Self::No];
        order.into_iter().find(|exit| exits.contains(exit)).unwrap_or(Self::Done)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
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
        let Self { files, command } = self;
        let level = if matches!(command, Command::Serve) { "info" } else { "warn" };
        logging::init(level).map_err(anyhow::Error::msg)?;
        let mut out = std::io::stdout().lock();
        match command {
            #[cfg(feature = "demo")]
            Command::Demo(demo) => block_on(demo.run(&files, &mut out)),
            Command::Init => {
                let path = files.config.unwrap_or_else(|| PathBuf::from(config::DEFAULT_FILE));
                config::init(&path)?;
                writeln!(
                    out,
                    "wrote {}: set the token and the environments, then run `lineaged check`",
                    path.display()
                )?;
                Ok(Exit::Done)
            }
            Command::Check(check) => check.run(&files, &mut Redacted::new(out)),
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
            Command::Freshness(freshness) => freshness.run(&files, &mut out),
            Command::Health(health) => health.run(&files, &mut out),
            Command::Coverage(coverage) => coverage.run(&files, &mut out),
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

fn exit_of(error: &anyhow::Error) -> Exit {
    if error.is::<Interrupted>() {
        return Exit::Interrupted;
    }
    let usage = error.is::<Problems>()
        || error.is::<Misuse>()
        || matches!(error.downcast_ref(), Some(answers::Error::Question(_) | answers::Error::Malformed(_)))
        || matches!(
            error.downcast_ref(),
            Some(
                catalog::Error::NotHeld(_)
                    | catalog::Error::TooEarly { .. }
                    | catalog::Error::NumberTaken { .. }
                    | catalog::Error::NoEnvironment { .. }
            )
        );
    if usage { Exit::Usage } else { Exit::Failed }
}

/// The command can't be done as it was given; the text says what to do instead.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Misuse(String);

#[cfg(test)]
mod tests {
    use super::Exit::{self, Done, Failed, Held, Interrupted, No, Usage};

    #[test]
    fn the_gravest_of_several_ends_is_told() {
        let grave = [Interrupted, Usage, Failed, Held, No, Done];
        for (place, exit) in grave.into_iter().enumerate() {
            let mut rest = grave[place..].to_vec();
            rest.reverse();
            assert_eq!(Exit::of_all(&rest), exit);
        }
        assert_eq!(Exit::of_all(&[]), Done);
    }
}
