//! `lineaged health`: how models, sources and exposures are, the worst first, and why.

use std::io::Write;

use rusqlite::Connection;
use serde_json::Value;

use super::packages::Packages;
use super::{Choosing, Exit, Files, Printing, Reading, note};
use crate::answers::{self, HEALTH, Table};
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
        let connection = self.reading.open(files)?;
        let environment_id = self.reading.environment_id(&connection)?;
        let mut table = answers::health(&connection, environment_id, &self.status)?;
        self.choosing.keep(&connection, environment_id, &mut table)?;
        self.keep_packages(&connection, environment_id, &mut table)?;
        let nodes = table.clone().only(&["status", "unique_id"]).rows;
        if self.printing.is_table() {
            let is_shown: Vec<bool> = nodes.iter().map(|row| !self.status.is_empty() || row[0] != "healthy").collect();
            let mut is_shown = is_shown.into_iter();
            table.rows.retain(|_| is_shown.next().unwrap_or(true));
            let several = answers::Environment::all(&connection)?.len() > 1 && environment_id.is_none();
            drop(connection);
            self.printing.print_as(table, |table| readable(table, several), out)?;
            note(&summary(&nodes));
        } else {
            drop(connection);
            self.printing.print(table, out)?;
        }
        let worst = |limit: &String| HEALTH.iter().position(|status| status == limit);
        let bad = &HEALTH[..self.fail_on.as_ref().and_then(worst).map_or(0, |place| place + 1)];
        let failed: Vec<&str> =
            nodes.iter().filter(|row| bad.contains(&text(&row[0]))).map(|row| text(&row[1])).collect();
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

impl Health {
    /// Leaves the nodes of the packages that are wanted, and says what was left out.
    fn keep_packages(
        &self,
        connection: &Connection,
        environment_id: Option<i64>,
        table: &mut Table,
    ) -> anyhow::Result<()> {
        let packages = answers::packages(connection, environment_id)?;
        let of = |row: &Vec<Value>| packages.get(&(row[0].as_i64()?, row[1].as_str()?.to_owned()));
        let nodes = table.rows.iter().filter_map(|row| Some((row[0].as_i64()?, of(row)?)));
        let nodes = nodes.map(|(id, (is_own, package))| (id, *is_own, package));
        self.packages.warn(connection, &answers::Environment::all(connection)?, nodes)?;
        let all = table.rows.len();
        table.rows.retain(|row| self.packages.want(of(row).and_then(|(is_own, _)| *is_own)));
        self.packages.tell(all - table.rows.len());
        Ok(())
    }
}

/// For people: a line for each reason.
fn readable(table: Table, with_environment: bool) -> Table {
    let columns = ["status", "unique_id", "environment_id", "since", "reasons"];
    let table = table.only(&columns);
    let mut lines = Table { columns: columns.map(str::to_owned).into(), rows: Vec::new() };
    for mut row in table.rows {
        let reasons: Vec<Value> =
            row.pop().and_then(|reasons| serde_json::from_str(text(&reasons)).ok()).unwrap_or_default();
        if let Some(minute) = row.last().and_then(|since| since.as_str()?.get(..16).map(str::to_owned)) {
            row[3] = format!("{minute}Z").into();
        }
        let mut sentences = reasons.into_iter().map(|mut reason| reason["sentence"].take());
        row.push(sentences.next().unwrap_or_default());
        lines.rows.push(row);
        lines.rows.extend(sentences.map(|sentence| vec![Value::Null, Value::Null, Value::Null, Value::Null, sentence]));
    }
    let shown: Vec<&str> = columns.into_iter().filter(|name| with_environment || *name != "environment_id").collect();
    lines.only(&shown)
}

fn summary(nodes: &[Vec<Value>]) -> String {
    let count = |status: &str| nodes.iter().filter(|row| text(&row[0]) == status).count();
    let counts = HEALTH.map(|status| format!("{} {status}", count(status)));
    counts.join(", ")
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
