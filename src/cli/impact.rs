//! `lineaged impact`: what may break by a node or a column, asked before it is changed; and the words for it.

use std::io::Write;

use clap::ValueEnum;

use super::reading::named;
use super::{Exit, Files, Reading};
use crate::answers::{self, Impact as Answer};
use crate::output::{self, Format, sanitize};

/// So many names of a kind are told on a line.
const NAMED: usize = 5;

const EXAMPLES: &str = "\
Examples:
  lineaged impact stg_orders.amount
  lineaged impact model.shop.orders --format json
  lineaged impact orders.customer_id orders.amount --fail-on exposure

A column is written NODE.COLUMN. Where columns are not resolved, what reads the node may be touched, and is named.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Impact {
    /// Nodes or columns: a unique_id or a name that is unique, with `.COLUMN` after it for a column
    #[arg(value_name = "NODE[.COLUMN]", required = true)]
    what: Vec<String>,
    /// Exit with 3 if any of this may be touched
    #[arg(long, value_enum, value_name = "WHAT")]
    fail_on: Option<FailOn>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    #[command(flatten)]
    reading: Reading,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum FailOn {
    /// A dashboard, notebook or whatever else the project exposes
    Exposure,
}

impl Impact {
    pub(super) fn run(self, files: &Files, out: &mut dyn Write) -> anyhow::Result<Exit> {
        let (reader, environment_id) = self.reading.open(files)?;
        let mut impacts = Vec::new();
        for text in &self.what {
            let target = reader.find_target(environment_id, text)?;
            impacts.push(reader.impact(&target)?);
        }
        drop(reader);
        match self.format {
            Format::Table => impacts.iter().try_for_each(|impact| print(impact, out))?,
            format => output::write(&Answer::table(&impacts), format, out)?,
        }
        let is_refused = self.fail_on.is_some() && impacts.iter().any(|impact| !impact.exposures.is_empty());
        Ok(if is_refused { Exit::No } else { Exit::Done })
    }
}

/// Each name on a line of its own, since they are long.
fn print(impact: &Answer, out: &mut dyn Write) -> std::io::Result<()> {
    let column = impact.column_name.as_deref().map(|column| format!(".{}", sanitize(column))).unwrap_or_default();
    writeln!(out, "{}{column}: {}", sanitize(&impact.unique_id), touched(impact))?;
    for (what, names) in lists(impact) {
        writeln!(out, "  {what}: {}", names.len())?;
        names.iter().try_for_each(|name| writeln!(out, "    {}", sanitize(name)))?;
    }
    Ok(())
}

/// How many nodes, and whether only by their rows.
fn touched(impact: &Answer) -> String {
    let of_column = impact.column_name.is_some();
    let nodes = match (impact.node_count, of_column) {
        (0, true) => "nothing reads it".to_owned(),
        (0, false) => "nothing stands on it".to_owned(),
        (1, true) => "1 node may be touched".to_owned(),
        (1, false) => "1 node stands on it".to_owned(),
        (count, true) => format!("{count} nodes may be touched"),
        (count, false) => format!("{count} nodes stand on it"),
    };
    match impact.columns.is_empty() && !impact.shaped.is_empty() {
        true => format!("{nodes}; no column comes from it, only rows are touched"),
        false => nodes,
    }
}

/// What is touched, by what it is.
fn lists(impact: &Answer) -> impl Iterator<Item = (&'static str, Vec<String>)> {
    let column = |column: &answers::ColumnNode| format!("{}.{}", column.unique_id, column.column_name);
    let shaped = |shaped: &answers::Shaped| {
        let clauses: Vec<&str> = shaped.clauses.iter().map(String::as_str).collect();
        format!("{} ({})", shaped.unique_id, clauses.join(", "))
    };
    let unresolved = |node: &answers::Unresolved| match &node.reason {
        Some(reason) => format!("{} ({}: {reason})", node.unique_id, node.status),
        None => format!("{} ({})", node.unique_id, node.status),
    };
    let lists = [
        ("columns", impact.columns.iter().map(column).collect::<Vec<_>>()),
        ("rows", impact.shaped.iter().map(shaped).collect()),
        ("not resolved", impact.unresolved.iter().map(unresolved).collect()),
        ("exposures", impact.exposures.clone()),
        ("owners", impact.owners.clone()),
    ];
    lists.into_iter().filter(|(_, names)| !names.is_empty())
}

/// The same in one line, for where it is one of several; `written` makes a name from outside inert.
pub(super) fn in_brief(impact: &Answer, written: impl Fn(&str) -> String) -> String {
    let lists = lists(impact).map(|(what, names)| format!("{what}: {}", named(&names, NAMED, &written)));
    std::iter::once(touched(impact)).chain(lists).collect::<Vec<_>>().join("; ")
}
