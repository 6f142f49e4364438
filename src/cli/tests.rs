//! `lineaged tests`: how data tests and unit tests ended, the worst first.

use std::io::Write;

use super::reading::{ENVIRONMENT, with_environment};
use super::{Choosing, Exit, Files, Printing, Reading};
use crate::answers::{Row, Table};

/// How a test ends.
const STATUSES: [&str; 5] = ["error", "fail", "warn", "skipped", "pass"];

/// What people see; the environment only where there are several.
const COLUMNS: [&str; 8] =
    [ENVIRONMENT, "test_name", "tested_id", "column_name", "status", "failures", "last_run_at", "message"];

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
        let several = self.reading.several(&reader)?;
        drop(reader);
        match self.printing.is_for_people() {
            true => self.printing.print_as(table, |table| readable(with_environment(table, &several)), out)?,
            false => self.printing.print(table, out)?,
        }
        Ok(Exit::Done)
    }
}

/// For people: by names; a test of code alone has only its id.
fn readable(mut table: Table) -> Table {
    let name = |test: Row<'_>| test.text("test_name").unwrap_or(test.str("unique_id")).into();
    let names: Vec<_> = table.iter().map(name).collect();
    if let Some(place) = table.place("test_name") {
        table.rows.iter_mut().zip(names).for_each(|(row, name)| row[place] = name);
    }
    table.only(&COLUMNS).without_empty()
}
