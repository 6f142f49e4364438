//! `lineaged ls`: the nodes.

use std::io::Write;

use super::{Choosing, Exit, Files, Printing, Reading};
use crate::answers::RESOURCE_TYPES;

/// What people see of a node; its environment only where there are several.
const COLUMNS: [&str; 6] =
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
        if self.printing.is_table() {
            question.columns = &COLUMNS[usize::from(!self.reading.has_several(&reader)?)..];
        }
        let table = reader.rows("nodes", &question)?;
        drop(reader);
        self.printing.print(table, out)?;
        Ok(Exit::Done)
    }
}
