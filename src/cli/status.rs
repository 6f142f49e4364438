//! `lineaged status`: the environments, and what waits for a person.

use std::io::Write;

use super::sync::{SHOWN, loss_lines};
use super::{Exit, Files, Printing, Reading};
use crate::answers::{Delivery, Job, Reader, Schedule, Silence, Status as Answer};
use crate::catalog::SyncId;
use crate::config::{Config, Need};
use crate::output::write_text;
use crate::sync;
use crate::time::Timestamp;

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
        let config = sync::with_kept(files.load(Need::Reading)?)?;
        let (reader, id) = self.reading.open(files)?;
        let mut status = reader.status(id)?;
        // What has arrived is of now, and so is what the platform's other interfaces say.
        let (deliveries, platform) = match self.reading.as_of {
            None => (deliveries(&config, &reader, &status)?, platform(&reader, id)?),
            Some(_) => (Vec::new(), Vec::new()),
        };
        drop(reader);
        if !config.receivers.is_empty() && self.reading.as_of.is_none() {
            let cells =
                deliveries.iter().map(|(_, list)| serde_json::to_string(list)).collect::<Result<Vec<_>, _>>()?;
            status.environments.add_json("receivers", cells);
        }
        if !self.printing.is_table() {
            let is_page = self.printing.is_for_people();
            let table = if is_page { status.environments.only(&COLUMNS) } else { status.environments };
            self.printing.print(table, out)?;
            return Ok(Exit::Done);
        }
        let left = status.environments.iter().filter(|row| row.int("is_configured") == Some(0));
        let left: Vec<String> = left.map(|row| row.str("name").to_owned()).collect();
        self.printing.print(status.environments.only(&COLUMNS), out)?;
        for name in left {
            tell(
                &format!(
                    "{name} is no longer in the configuration, or on the platform, so it stays as it is: `lineaged forget \"{name}\"` deletes it. Was it renamed in the configuration? Then give it its number as `id`, too"
                ),
                out,
            )?;
        }
        let is_wanted = |environment: i64| self.reading.as_of.is_none() && id.is_none_or(|id| id == environment);
        for sync::Environment { id: _, config } in sync::environments(&config)?.iter().filter(|it| is_wanted(it.id)) {
            let (name, next) = (&config.name, config.schedule.next_three());
            tell(&format!("{name}: `lineaged serve` syncs next at {next}"), out)?;
        }
        for line in platform {
            tell(&line, out)?;
        }
        for held in &status.held {
            let SyncId(sync) = held.sync_id;
            let (name, why) = (&held.environment, &held.why);
            tell(&format!("sync {sync} of {name} is held since {}: {why}", held.finished_at), out)?;
            for line in loss_lines(&held.losses, if self.all { usize::MAX } else { SHOWN }) {
                writeln!(out, "{line}")?;
            }
            let way = format!("run `lineaged approve {sync}` and then `lineaged sync`");
            write_text(0, &format!("it is read again by itself; if this is really so, {way}"), out)?;
        }
        for (name, deliveries) in &deliveries {
            for line in deliveries.iter().filter_map(|delivery| told(name, delivery)) {
                tell(&line, out)?;
            }
        }
        for (name, error) in &status.failures {
            tell(&format!("{name}: the last sync failed: {error}"), out)?;
        }
        Ok(Exit::Done)
    }
}

/// A sentence below the table.
fn tell(text: &str, out: &mut dyn Write) -> std::io::Result<()> {
    writeln!(out)?;
    write_text(0, text, out)
}

/// For each environment, its name, and what is known of the receivers that are told of it.
fn deliveries(config: &Config, reader: &Reader, status: &Answer) -> anyhow::Result<Vec<(String, Vec<Delivery>)>> {
    let mut found = Vec::new();
    for row in status.environments.iter() {
        let (id, name) = (row.int("environment_id").unwrap_or_default(), row.str("name"));
        let is_configured = config.environments.iter().any(|environment| environment.name == name);
        let takers = config.receivers.iter().filter(|receiver| is_configured && receiver.takes(name));
        let known = takers.map(|it| reader.delivery(&it.name, id)).collect::<Result<_, _>>()?;
        found.push((name.to_owned(), known));
    }
    Ok(found)
}

/// What the platform's other interfaces tell of jobs, and which of them do not answer.
fn platform(reader: &Reader, id: Option<i64>) -> anyhow::Result<Vec<String>> {
    let mut lines: Vec<String> = reader.schedules(id, Timestamp::now())?.iter().map(scheduled).collect();
    lines.extend(reader.silences(id)?.into_iter().map(|silence| {
        let Silence { environment, interface, since, error } = silence;
        let since = since.map(|since| format!(" since {since}")).unwrap_or_default();
        format!("{environment}: no answer from {interface}{since}: {error}; what was known of it stays")
    }));
    Ok(lines)
}

/// The line of an environment's jobs.
fn scheduled(schedule: &Schedule) -> String {
    let named = |job: &Job| match &job.name {
        Some(name) => format!("job `{name}` ({})", job.job_id),
        None => format!("job {}", job.job_id),
    };
    let last = schedule.last.as_ref().map(|job| {
        let run = job.last_run_id.as_ref().map(|run| format!("run {run}, ")).unwrap_or_default();
        let how = job.last_run_status.as_deref().unwrap_or("ended");
        format!("{} ran last ({run}{how} at {})", named(job), job.last_run_at.as_deref().unwrap_or_default())
    });
    let next = schedule
        .next
        .as_ref()
        .map(|job| format!("{} runs next, at {}", named(job), job.next_run_at.as_deref().unwrap_or_default()));
    let parts: Vec<String> = last.into_iter().chain(next).collect();
    format!("{}: {}", schedule.environment, parts.join("; "))
}

/// The line of a receiver that fails, or does not have everything.
fn told(environment: &str, delivery: &Delivery) -> Option<String> {
    let Delivery { receiver, behind, failing_since, error, .. } = delivery;
    let behind = match behind {
        0 => format!("receiver `{receiver}` of {environment}"),
        1 => format!("receiver `{receiver}` of {environment} is 1 change behind"),
        count => format!("receiver `{receiver}` of {environment} is {count} changes behind"),
    };
    match (failing_since, error, delivery.behind) {
        (Some(since), Some(error), _) => Some(format!("{behind}; nothing arrives since {since}: {error}")),
        (_, _, 0) => None,
        _ => Some(format!("{behind}: `lineaged serve`, or the next `lineaged sync`, delivers them")),
    }
}
