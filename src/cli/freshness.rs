//! `lineaged freshness`: how fresh sources are now, and what is built on them.

use std::io::Write;

use super::reading::{ENVIRONMENT, age, with_environment};
use super::{Choosing, Exit, Files, Printing, Reading, note};
use crate::answers::{LATE, Table, as_late_as};
use crate::output::sanitize;

/// What people see; the environment only where there are several.
const COLUMNS: [&str; 8] = [
    ENVIRONMENT,
    "unique_id",
    "status",
    "age_seconds",
    "max_loaded_at",
    "worst_upstream_id",
    "last_built_at",
    "needs_run",
];

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
        let (reader, environment_id) = self.reading.open(files)?;
        let wanted: &[&str] = if self.stale { &LATE } else { &[] };
        let table =
            reader.rows("freshness", &self.choosing.question(&reader, environment_id)?.only("status", wanted))?;
        let several = self.reading.several(&reader)?;
        drop(reader);
        let bad = self.fail_on.as_deref().map_or(&[][..], as_late_as);
        let sources = table.iter().filter(|row| row.str("resource_type") == "source");
        let failed = sources.filter(|row| bad.contains(&row.str("status")));
        let failed: Vec<String> = failed.map(|row| sanitize(row.str("unique_id")).into_owned()).collect();
        match self.printing.is_for_people() {
            true => self.printing.print_as(table, |table| readable(with_environment(table, &several)), out)?,
            false => self.printing.print(table, out)?,
        }
        if failed.is_empty() {
            return Ok(Exit::Done);
        }
        note(&format!("{} sources fail the check: {}", failed.len(), failed.join(", ")));
        Ok(Exit::No)
    }
}

/// For people: how old, not since when to the millisecond.
fn readable(table: Table) -> Table {
    let mut table = table.only(&COLUMNS);
    let Some(place) = table.place("age_seconds") else { return table };
    for row in &mut table.rows {
        if let Some(seconds) = row[place].as_f64() {
            row[place] = age(seconds).into();
        }
    }
    table.columns[place] = "age".into();
    table.without_empty()
}
