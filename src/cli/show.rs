//! `lineaged show`: one node on one screen.

use std::io::Write;

use rusqlite::Connection;
use serde_json::Value;

use super::{Exit, Files, Printing, Reading};
use crate::output::{self, Format, sanitize};
use crate::views::{self, ChangesFilter, Found, Table};

/// So many of its last changes are shown.
const CHANGES_SHOWN: usize = 5;

#[derive(Debug, clap::Args)]
pub(super) struct Show {
    /// The node: its unique_id, or a name that is unique
    node: String,
    #[command(flatten)]
    reading: Reading,
    #[command(flatten)]
    printing: Printing,
}

impl Show {
    pub(super) fn run(self, files: &Files, out: &mut dyn Write) -> anyhow::Result<Exit> {
        let connection = self.reading.open(files)?;
        let environment_id = self.reading.environment_id(&connection)?;
        let found = views::find(&connection, environment_id, &self.node)?;
        let node = views::node(&connection, &found)?;
        if self.printing.is_table() {
            screen(&connection, &found, &node, out)?;
        } else {
            self.printing.print(node, out)?;
        }
        Ok(Exit::Done)
    }
}

fn screen(connection: &Connection, found: &Found, node: &Table, out: &mut dyn Write) -> anyhow::Result<()> {
    for (name, value) in node.columns.iter().zip(node.rows.first().into_iter().flatten()) {
        let text = match value {
            Value::Null => continue,
            Value::String(text) if text == "[]" || text == "{}" => continue,
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        writeln!(out, "{name:<18} {}", sanitize(&text))?;
    }
    section(out, "columns", views::columns_of(connection, found)?.only(&["name", "data_type", "description"]))?;
    section(out, "around it", views::neighbours(connection, found)?)?;
    let filter = ChangesFilter {
        environment_id: Some(found.environment_id),
        unique_id: Some(found.unique_id.clone()),
        limit: Some(CHANGES_SHOWN),
        ..ChangesFilter::default()
    };
    let (changes, _) = views::changes(connection, &filter)?;
    section(out, "last changes", changes.only(&["seq", "changed_at", "kind", "field", "related"]))
}

fn section(out: &mut dyn Write, title: &str, table: Table) -> anyhow::Result<()> {
    if !table.rows.is_empty() {
        writeln!(out, "\n{title}")?;
        output::write(&table, Format::Table, out)?;
    }
    Ok(())
}
