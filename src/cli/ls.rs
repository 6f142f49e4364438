//! `lineaged ls`: the nodes.

use std::io::Write;

use super::reading::{ENVIRONMENT, tell_left_out, with_environment};
use super::{Choosing, Exit, Files, Printing, Reading};
use crate::answers::{RESOURCE_TYPES, Table};
use crate::output::{Format, sanitize};

/// What people see of a node; its environment only where there are several.
const COLUMNS: [&str; 6] =
    [ENVIRONMENT, "unique_id", "materialization", "last_run_status", "owner_name", "description"];

/// What is read for them.
const READ: [&str; 6] =
    ["environment_id", "unique_id", "materialization", "last_run_status", "owner_name", "description"];

#[derive(Debug, clap::Args)]
pub(super) struct Ls {
    /// Only of this resource type (may be given more than once)
    #[arg(long, value_name = "TYPE", value_parser = RESOURCE_TYPES)]
    resource_type: Vec<String>,
    /// How to print
    #[arg(long, value_enum, default_value_t = LsFormat::Table)]
    format: LsFormat,
    /// At most so many rows
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    #[command(flatten)]
    choosing: Choosing,
    #[command(flatten)]
    reading: Reading,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum LsFormat {
    /// For people; fitted to the terminal.
    Table,
    /// A list of objects whose keys are the names of the columns.
    Json,
    /// The same objects, one in each line.
    Ndjson,
    /// With a header; text that a spreadsheet would run as a formula gets a leading apostrophe.
    Csv,
    /// For a pull request or a mail.
    Markdown,
    /// Nothing but unique ids, one in each line.
    Ids,
}

impl LsFormat {
    /// The format of a table; none for ids.
    fn of_table(self) -> Option<Format> {
        match self {
            Self::Table => Some(Format::Table),
            Self::Json => Some(Format::Json),
            Self::Ndjson => Some(Format::Ndjson),
            Self::Csv => Some(Format::Csv),
            Self::Markdown => Some(Format::Markdown),
            Self::Ids => None,
        }
    }
}

impl Ls {
    pub(super) fn run(self, files: &Files, out: &mut dyn Write) -> anyhow::Result<Exit> {
        let (reader, environment_id) = self.reading.open(files)?;
        let mut question = self.choosing.question(&reader, environment_id)?.only("resource_type", &self.resource_type);
        let printing = self.format.of_table().map(|format| Printing { format, limit: self.limit });
        let is_whole = printing.as_ref().is_some_and(|printing| !printing.is_for_people());
        if !is_whole {
            question.columns = &READ;
        }
        let (table, several) = (reader.rows("nodes", &question)?, self.reading.several(&reader)?);
        drop(reader);
        match printing {
            None => self.print_ids(table, out)?,
            Some(printing) if is_whole => printing.print(table, out)?,
            Some(printing) => {
                printing.print_as(table, |table| with_environment(table, &several).only(&COLUMNS), out)?
            }
        }
        Ok(Exit::Done)
    }

    fn print_ids(&self, mut table: Table, out: &mut dyn Write) -> std::io::Result<()> {
        let left_out = table.cut(self.limit);
        table.iter().try_for_each(|row| writeln!(out, "{}", sanitize(row.str("unique_id"))))?;
        tell_left_out(left_out);
        Ok(())
    }
}
