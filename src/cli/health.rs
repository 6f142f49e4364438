//! `lineaged health`: which models, sources and exposures are not well, and why.

use std::io::Write;

use serde_json::Value;

use super::{Choosing, Exit, Files, Printing, Reading, note};
use crate::output::sanitize;
use crate::views::{self, HEALTH, Table};

/// So many of the nodes that fail a check are named.
const NAMED: usize = 10;

const EXAMPLES: &str = "\
Examples:
  lineaged health
  lineaged health --select path:models/marts --fail-on degraded
  lineaged health --status unknown --format json

A model is degraded if its last build or a test failed, or if the freshness check of a source that it stands on
failed or did not run for `health.stale_after_days`; caution: it has warnings, no tests, no description, or was
not built for so long; unknown: no run has built it. A source goes by its last freshness check, an exposure by
whatever it stands on.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Health {
    /// Only nodes in this state (may be given more than once) [default: in a table all but healthy, else all]
    #[arg(long, value_name = "STATUS", value_parser = HEALTH)]
    status: Vec<String>,
    /// End with exit code 3 if a node is as bad as this, or worse; unknown is never worse
    #[arg(long, value_name = "STATUS", value_parser = ["caution", "degraded", "unknown"])]
    fail_on: Option<String>,
    #[command(flatten)]
    choosing: Choosing,
    #[command(flatten)]
    reading: Reading,
    #[command(flatten)]
    printing: Printing,
}

impl Health {
    pub(super) fn run(self, files: &Files, out: &mut dyn Write) -> anyhow::Result<Exit> {
        let connection = self.reading.open(files)?;
        let environment_id = self.reading.environment_id(&connection)?;
        let mut all = views::health(&connection, environment_id, &[])?;
        self.choosing.keep(&connection, environment_id, &mut all)?;
        let failed = self.failed(&all);
        let counts = counts(&all);
        let wanted = |row: &Vec<Value>| match self.status.as_slice() {
            [] => !self.printing.is_table() || row[STATUS] != "healthy",
            wanted => wanted.iter().any(|status| row[STATUS] == status.as_str()),
        };
        all.rows.retain(wanted);
        if self.printing.is_table() {
            self.printing.print(readable(all), out)?;
            writeln!(out, "\n{counts}")?;
        } else {
            self.printing.print(all, out)?;
        }
        if failed.is_empty() {
            return Ok(Exit::Done);
        }
        let mut named = failed.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
        if failed.len() > NAMED {
            named.push_str(&format!(" and {} more", failed.len() - NAMED));
        }
        note(&format!("{} nodes fail the check: {named}", failed.len()));
        Ok(Exit::No)
    }

    /// The ids of nodes that `--fail-on` does not let pass.
    fn failed(&self, table: &Table) -> Vec<String> {
        let bad: &[&str] = match self.fail_on.as_deref() {
            Some("caution") => &["caution", "degraded"],
            Some("degraded") => &["degraded"],
            Some(_) => &["unknown"],
            None => &[],
        };
        let is_bad = |row: &&Vec<Value>| bad.iter().any(|status| row[STATUS] == *status);
        let id = |row: &Vec<Value>| sanitize(row[UNIQUE_ID].as_str().unwrap_or_default()).into_owned();
        table.rows.iter().filter(is_bad).map(id).collect()
    }
}

/// Places in the view's rows.
const UNIQUE_ID: usize = 1;
const STATUS: usize = 3;
const REASONS: usize = 4;

/// How many nodes are in each state.
fn counts(table: &Table) -> String {
    let counts = HEALTH.map(|status| (table.rows.iter().filter(|row| row[STATUS] == status).count(), status));
    let counts = counts.iter().filter(|(count, _)| *count > 0);
    let counts: Vec<String> = counts.map(|(count, status)| format!("{count} {status}")).collect();
    if counts.is_empty() { "no models, sources or exposures".to_owned() } else { counts.join(", ") }
}

/// For people: the sentences of all reasons.
fn readable(table: Table) -> Table {
    let row = |row: &Vec<Value>| {
        let reasons: Vec<Value> = serde_json::from_str(row[REASONS].as_str().unwrap_or_default()).unwrap_or_default();
        let sentences: Vec<&str> = reasons.iter().filter_map(|reason| reason["sentence"].as_str()).collect();
        vec![row[STATUS].clone(), row[UNIQUE_ID].clone(), sentences.join("; ").into()]
    };
    let columns = ["status", "unique_id", "reasons"].map(str::to_owned).into();
    Table { columns, rows: table.rows.iter().map(row).collect() }
}
