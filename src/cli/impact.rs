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

fn print(impact: &Answer, out: &mut dyn Write) -> std::io::Result<()> {
    let column = impact.column_name.as_deref().map(|column| format!(".{}", sanitize(column))).unwrap_or_default();
    let clean = |name: &str| sanitize(name).into_owned();
    writeln!(out, "{}{column}", sanitize(&impact.unique_id))?;
    for line in in_words(impact, usize::MAX, clean) {
        writeln!(out, "  {line}")?;
    }
    Ok(())
}

/// What stands on a node or a column, in words; `written` makes a name from outside inert, and at most so many are told of each kind.
pub(super) fn in_words(impact: &Answer, most: usize, written: impl Fn(&str) -> String) -> Vec<String> {
    let mut words = Vec::new();
    let nodes = match (impact.node_count, impact.column_name.is_some()) {
        (0, true) => "nothing reads it".to_owned(),
        (0, false) => "nothing stands on it".to_owned(),
        (1, true) => "1 node may be touched".to_owned(),
        (1, false) => "1 node stands on it".to_owned(),
        (count, true) => format!("{count} nodes may be touched"),
        (count, false) => format!("{count} nodes stand on it"),
    };
    words.push(nodes);
    let columns: Vec<String> =
        impact.columns.iter().map(|column| format!("{}.{}", column.unique_id, column.column_name)).collect();
    if columns.is_empty() && !impact.shaped.is_empty() {
        words.push("no column comes from it: only rows are touched".to_owned());
    }
    let clauses = |shaped: &answers::Shaped| {
        let clauses: Vec<&str> = shaped.clauses.iter().map(String::as_str).collect();
        format!("{} ({})", shaped.unique_id, clauses.join(", "))
    };
    let unresolved = |node: &answers::Unresolved| match &node.reason {
        Some(reason) => format!("{} ({}: {reason})", node.unique_id, node.status),
        None => format!("{} ({})", node.unique_id, node.status),
    };
    let lists = [
        ("columns", columns),
        ("rows", impact.shaped.iter().map(clauses).collect()),
        ("not resolved", impact.unresolved.iter().map(unresolved).collect()),
        ("exposures", impact.exposures.clone()),
        ("owners", impact.owners.clone()),
    ];
    let told = lists.into_iter().filter(|(_, names)| !names.is_empty());
    words.extend(told.map(|(what, names)| format!("{what}: {}", named(&names, most, &written))));
    words
}

/// The same in one line, for where it is one of several.
pub(super) fn in_brief(impact: &Answer, written: impl Fn(&str) -> String) -> String {
    in_words(impact, NAMED, written).join("; ")
}
