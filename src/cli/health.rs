//! `lineaged health`: how models, sources and exposures are, the worst first, and why.

use std::io::Write;

use serde_json::Value;

use super::packages::Packages;
use super::reading::{ENVIRONMENT, with_environment};
use super::{Choosing, Exit, Files, Printing, Reading, note};
use crate::answers::{HEALTH, Row, Table, as_bad_as};
use crate::output::sanitize;

/// So many nodes that fail the check are named.
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
    /// Only what is in this state (may be given more than once) [default: in a table all but healthy, else all]
    #[arg(long, value_name = "STATUS", value_parser = HEALTH)]
    status: Vec<String>,
    /// End with exit code 3 if a listed node is as bad as this, or worse
    #[arg(long, value_name = "STATUS", value_parser = ["caution", "degraded"])]
    fail_on: Option<String>,
    #[command(flatten)]
    packages: Packages,
    #[command(flatten)]
    choosing: Choosing,
    #[command(flatten)]
    reading: Reading,
    #[command(flatten)]
    printing: Printing,
}

impl Health {
    pub(super) fn run(self, files: &Files, out: &mut dyn Write) -> anyhow::Result<Exit> {
        let (reader, environment_id) = self.reading.open(files)?;
        let question = self.choosing.question(&reader, environment_id)?.only("status", &self.status);
        let mut table = reader.rows("health", &question)?;
        if !self.packages.are_all() {
            self.packages.warn(&reader, environment_id)?;
            let (all, installed) = (table.rows.len(), reader.installed(environment_id)?);
            let id = |row: Row<'_>| (row.int("environment_id").unwrap_or_default(), row.str("unique_id").to_owned());
            table = table.filter(|row| !installed.contains(&id(row)));
            self.packages.tell(all - table.rows.len());
        }
        let several = self.reading.several(&reader)?;
        drop(reader);
        let bad = self.fail_on.as_deref().map_or(&[][..], as_bad_as);
        let failed = table.iter().filter(|row| bad.contains(&row.str("status")));
        let failed: Vec<String> = failed.map(|row| row.str("unique_id").to_owned()).collect();
        if self.printing.is_for_people() {
            let (summary, is_table) = (summary(&table), self.printing.is_table());
            let is_shown = |row: Row<'_>| !is_table || !self.status.is_empty() || row.str("status") != "healthy";
            let readable = |table: Table| readable(&with_environment(table, &several));
            self.printing.print_as(table.filter(is_shown), readable, out)?;
            note(&summary);
        } else {
            self.printing.print(table, out)?;
        }
        if failed.is_empty() {
            return Ok(Exit::Done);
        }
        let more = failed.len().saturating_sub(NAMED);
        let mut names: Vec<String> = failed.iter().take(NAMED).map(|id| sanitize(id).into_owned()).collect();
        names.extend((more > 0).then(|| format!("and {more} more")));
        note(&format!("{} nodes fail the check: {}", failed.len(), names.join(", ")));
        Ok(Exit::No)
    }
}

/// For people: a line for each reason; the environment where rows name theirs.
fn readable(table: &Table) -> Table {
    let columns = ["status", "unique_id", "since", "reasons"];
    let mut rows = Vec::new();
    let mut environments = Vec::new();
    for row in table.iter() {
        let reasons: Vec<Value> = row.json("reasons");
        let mut sentences = reasons.into_iter().map(|mut reason| reason["sentence"].take());
        let [status, id, since] = [columns[0], columns[1], columns[2]].map(|name| row.get(name).clone());
        rows.push(vec![status, id, since, sentences.next().unwrap_or_default()]);
        rows.extend(sentences.map(|sentence| vec![Value::Null, Value::Null, Value::Null, sentence]));
        environments.push(row.get(ENVIRONMENT).clone());
        environments.resize(rows.len(), Value::Null);
    }
    let readable = Table::new(columns, rows);
    if table.names().any(|name| name == ENVIRONMENT) { readable.led_by(ENVIRONMENT, environments) } else { readable }
}

fn summary(table: &Table) -> String {
    let count = |status: &str| table.iter().filter(|row| row.str("status") == status).count();
    HEALTH.map(|status| format!("{} {status}", count(status))).join(", ")
}
