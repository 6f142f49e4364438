//! The commands that list what the catalog holds: `status`, `ls`, `freshness`.

use std::io::Write;

use super::sync::{SHOWN, loss_lines};
use super::{Choosing, Exit, Files, Printing, Reading, note};
use crate::answers::{self, Table};
use crate::catalog::{self, SyncId};
use crate::config::Need;
use crate::inventory::ResourceType;
use crate::output::sanitize;
use crate::sync;

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
        let connection = self.reading.open(files)?;
        let id = self.reading.environment_id(&connection)?;
        let mut table = answers::environments(&connection)?;
        table.rows.retain(|row| id.is_none_or(|id| row[0] == id));
        if !self.printing.is_table() {
            self.printing.print(table, out)?;
            return Ok(Exit::Done);
        }
        let columns = [
            "environment_id",
            "name",
            "project_name",
            "node_count",
            "edge_count",
            "applied_at",
            "last_synced_at",
            "last_outcome",
        ];
        self.printing.print(table.only(&columns), out)?;
        let is_wanted = |environment: i64| self.reading.as_of.is_none() && id.is_none_or(|id| id == environment);
        for sync::Environment { id: _, config } in sync::environments(&config)?.iter().filter(|it| is_wanted(it.id)) {
            let (name, next) = (sanitize(&config.name), config.schedule.next_three());
            writeln!(out, "\n{name}: with `lineaged serve`, the next syncs are at {next}")?;
        }
        for held in
            catalog::held_syncs(&connection)?.into_iter().filter(|held| id.is_none_or(|id| held.environment_id == id))
        {
            let SyncId(sync) = held.sync_id;
            writeln!(
                out,
                "\nsync {sync} of {} is held since {}: {}",
                sanitize(&held.environment),
                held.finished_at,
                sanitize(&held.why)
            )?;
            for line in loss_lines(&held.losses, if self.all { usize::MAX } else { SHOWN }) {
                writeln!(out, "{line}")?;
            }
            writeln!(
                out,
                "it is read again by itself; if this is really so, run `lineaged approve {sync}` and then `lineaged sync`"
            )?;
        }
        for failure in answers::failures(&connection)?.rows.iter().filter(|row| id.is_none_or(|id| row[1] == id)) {
            writeln!(out, "\n{}: the last sync failed: {}", text(&failure[2]), sanitize(text(&failure[3])))?;
        }
        Ok(Exit::Done)
    }
}

fn text(value: &serde_json::Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[derive(Debug, clap::Args)]
pub(super) struct Ls {
    /// Only of this resource type (may be given more than once)
    #[arg(long, value_name = "TYPE", value_parser = ResourceType::ALL.map(ResourceType::as_str))]
    resource_type: Vec<String>,
    #[command(flatten)]
    choosing: Choosing,
    #[command(flatten)]
    reading: Reading,
    #[command(flatten)]
    printing: Printing,
}

impl Ls {
    pub(super) fn run(self, files: &Files, out: &mut dyn Write) -> anyhow::Result<Exit> {
        let connection = self.reading.open(files)?;
        let environment_id = self.reading.environment_id(&connection)?;
        let mut table = answers::list(&connection, environment_id, &self.resource_type)?;
        self.choosing.keep(&connection, environment_id, &mut table)?;
        if self.printing.is_table() {
            let several = answers::Environment::all(&connection)?.len() > 1 && environment_id.is_none();
            let columns =
                ["environment_id", "unique_id", "materialization", "last_run_status", "owner_name", "description"];
            table = table.only(&columns[usize::from(!several)..]);
        }
        drop(connection);
        self.printing.print(table, out)?;
        Ok(Exit::Done)
    }
}

#[derive(Debug, clap::Args)]
pub(super) struct Freshness {
    /// Only what is late or was never checked
    #[arg(long)]
    stale: bool,
    /// End with exit code 3 if a source is as bad as this, or worse
    #[arg(long, value_name = "STATUS", value_parser = ["warn", "overdue", "error"])]
    fail_on: Option<String>,
    #[command(flatten)]
    choosing: Choosing,
    #[command(flatten)]
    reading: Reading,
    #[command(flatten)]
    printing: Printing,
}

impl Freshness {
    pub(super) fn run(self, files: &Files, out: &mut dyn Write) -> anyhow::Result<Exit> {
        let connection = self.reading.open(files)?;
        let environment_id = self.reading.environment_id(&connection)?;
        let mut table = answers::freshness(&connection, environment_id, self.stale)?;
        self.choosing.keep(&connection, environment_id, &mut table)?;
        let bad: &[&str] = match self.fail_on.as_deref() {
            Some("warn") => &["warn", "overdue", "error"],
            Some("overdue") => &["overdue", "error"],
            Some(_) => &["error"],
            None => &[],
        };
        let [id, resource_type, status] = ["unique_id", "resource_type", "status"]
            .map(|name| table.columns.iter().position(|column| column == name).unwrap_or_default());
        let is_bad =
            |row: &&Vec<serde_json::Value>| row[resource_type] == "source" && bad.contains(&text(&row[status]));
        let failed: Vec<String> =
            table.rows.iter().filter(is_bad).map(|row| sanitize(text(&row[id])).into_owned()).collect();
        let table = if self.printing.is_table() { readable(table).without_empty() } else { table };
        drop(connection);
        self.printing.print(table, out)?;
        if failed.is_empty() {
            return Ok(Exit::Done);
        }
        note(&format!("{} sources fail the check: {}", failed.len(), failed.join(", ")));
        Ok(Exit::No)
    }
}

/// For people: how old, not since when to the millisecond.
fn readable(table: Table) -> Table {
    let columns =
        ["unique_id", "status", "age_seconds", "max_loaded_at", "worst_upstream_id", "last_built_at", "needs_run"];
    let mut table = table.only(&columns);
    for row in &mut table.rows {
        if let Some(seconds) = row[2].as_f64() {
            row[2] = age(seconds).into();
        }
    }
    if let Some(column) = table.columns.iter_mut().find(|column| *column == "age_seconds") {
        *column = "age".to_owned();
    }
    table
}

/// A time span for people.
pub(super) fn age(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7_200.0 => format!("{:.0} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.0} h", s / 3600.0),
        s => format!("{:.0} d", s / 86_400.0),
    }
}
