//! `lineaged tests`: how data tests and unit tests ended, the worst first.

use std::io::Write;

use super::reading::minute;
use super::show::shortened;
use super::{Choosing, Exit, Files, Printing, Reading};
use crate::answers::{Environment, Row, Table};

/// How a test ends.
const STATUSES: [&str; 5] = ["error", "fail", "warn", "skipped", "pass"];

/// So many characters of a message are shown to people.
const MESSAGE: usize = 120;

const EXAMPLES: &str = "\
Examples:
  lineaged tests
  lineaged tests --status error,fail,warn
  lineaged tests --select path:models/marts --format json";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Tests {
    /// Only those that ended so: a list, as in error,fail (may be given more than once)
    #[arg(long, value_name = "STATUS", value_delimiter = ',', value_parser = STATUSES)]
    status: Vec<String>,
    #[command(flatten)]
    choosing: Choosing,
    #[command(flatten)]
    reading: Reading,
    #[command(flatten)]
    printing: Printing,
}

impl Tests {
    pub(super) fn run(self, files: &Files, out: &mut dyn Write) -> anyhow::Result<Exit> {
        let (reader, environment_id) = self.reading.open(files)?;
        let question = self.choosing.question(&reader, environment_id)?.only("status", &self.status);
        let table = reader.rows("tests", &question)?;
        let several = if self.reading.has_several(&reader)? { reader.environments()? } else { Vec::new() };
        drop(reader);
        match self.printing.is_table() {
            true => self.printing.print_as(table, |table| readable(&table, &several), out)?,
            false => self.printing.print(table, out)?,
        }
        Ok(Exit::Done)
    }
}

/// For people: the environment where there are several, and messages shortened.
fn readable(table: &Table, several: &[Environment]) -> Table {
    let row = |test: Row<'_>| {
        let environment = several.iter().find(|known| test.int("environment_id") == Some(known.id));
        let name = test.text("test_name").unwrap_or(test.str("unique_id"));
        let message = test.text("message").map(|text| shortened(text, MESSAGE));
        vec![
            environment.map(|known| known.name.clone()).into(),
            name.into(),
            test.get("tested_id").clone(),
            test.get("column_name").clone(),
            test.get("status").clone(),
            test.get("failures").clone(),
            test.text("last_run_at").map(minute).into(),
            message.into(),
        ]
    };
    let columns =
        ["environment", "test_name", "tested_id", "column_name", "status", "failures", "last_run_at", "message"];
    let table = Table::new(columns, table.iter().map(row).collect());
    table.only(if several.is_empty() { &columns[1..] } else { &columns }).without_empty()
}
