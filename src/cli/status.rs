//! `lineaged status`: the environments, and what waits for a person.

use std::io::Write;

use super::sync::{SHOWN, loss_lines};
use super::{Exit, Files, Printing, Reading};
use crate::catalog::SyncId;
use crate::config::Need;
use crate::output::sanitize;
use crate::sync;

/// What people see of an environment.
const COLUMNS: [&str; 8] = [
    "environment_id",
    "name",
    "project_name",
    "node_count",
    "edge_count",
    "applied_at",
    "last_synced_at",
    "last_outcome",
];

#[derive(Debug, clap::Args)]
pub(super) struct Status {
    /// Show everything that a held sync lists, not only the first ten
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    reading: Reading,
    #[command(flatten)]
    printing: Printing,
}

impl Status {
    pub(super) fn run(self, files: &Files, out: &mut dyn Write) -> anyhow::Result<Exit> {
        let config = files.load(Need::Reading)?;
        let (reader, id) = self.reading.open(files)?;
        let status = reader.status(id)?;
        drop(reader);
        if !self.printing.is_table() {
            self.printing.print(status.environments, out)?;
            return Ok(Exit::Done);
        }
        let left = status.environments.iter().filter(|row| row.int("is_configured") == Some(0));
        let left: Vec<String> = left.map(|row| sanitize(row.str("name")).into_owned()).collect();
        self.printing.print(status.environments.only(&COLUMNS), out)?;
        for name in left {
            writeln!(
                out,
                "\n{name} is no longer in the configuration, so it stays as it is: `lineaged forget \"{name}\"` deletes it. Was it renamed? Then give it its number as `id`, too"
            )?;
        }
        let is_wanted = |environment: i64| self.reading.as_of.is_none() && id.is_none_or(|id| id == environment);
        for sync::Environment { id: _, config } in sync::environments(&config)?.iter().filter(|it| is_wanted(it.id)) {
            let (name, next) = (sanitize(&config.name), config.schedule.next_three());
            writeln!(out, "\n{name}: `lineaged serve` syncs next at {next}")?;
        }
        for held in &status.held {
            let SyncId(sync) = held.sync_id;
            let (name, why) = (sanitize(&held.environment), sanitize(&held.why));
            writeln!(out, "\nsync {sync} of {name} is held since {}: {why}", held.finished_at)?;
            for line in loss_lines(&held.losses, if self.all { usize::MAX } else { SHOWN }) {
                writeln!(out, "{line}")?;
            }
            writeln!(
                out,
                "it is read again by itself; if this is really so, run `lineaged approve {sync}` and then `lineaged sync`"
            )?;
        }
        for (name, error) in &status.failures {
            writeln!(out, "\n{}: the last sync failed: {}", sanitize(name), sanitize(error))?;
        }
        Ok(Exit::Done)
    }
}
