//! `lineaged ls`: the nodes.

use std::io::Write;

use super::reading::{ENVIRONMENT, with_environment};
use super::{Choosing, Exit, Files, Printing, Reading};
use crate::answers::RESOURCE_TYPES;

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
    #[command(flatten)]
    choosing: Choosing,
    #[command(flatten)]
    reading: Reading,
    #[command(flatten)]
    printing: Printing,
}

impl Ls {
    pub(super) fn run(self, files: &Files, out: &mut dyn Write) -> anyhow::Result<Exit> {
        let (reader, environment_id) = self.reading.open(files)?;
        let mut question = self.choosing.question(&reader, environment_id)?.only("resource_type", &self.resource_type);
        if self.printing.is_for_people() {
            question.columns = &READ;
        }
        let (table, several) = (reader.rows("nodes", &question)?, self.reading.several(&reader)?);
        drop(reader);
        match self.printing.is_for_people() {
            true => self.printing.print_as(table, |table| with_environment(table, &several).only(&COLUMNS), out)?,
            false => self.printing.print(table, out)?,
        }
        Ok(Exit::Done)
    }
}
