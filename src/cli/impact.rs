//! `lineaged impact`: what may break by a node or a column, asked before it is changed; and the words for it.

use std::collections::BTreeSet;
use std::io::Write;

use clap::ValueEnum;
use serde_json::Value;

use super::reading::named;
use super::{Exit, Files, Reading};
use crate::answers::{self, Impact as Answer, Table};
use crate::output::{self, Format, sanitize};

/// So many names of a kind are told on a line.
const NAMED: usize = 5;

const EXAMPLES: &str = "\
Examples:
  lineaged impact stg_orders.amount
  lineaged impact model.shop.orders --format json
  lineaged impact orders.customer_id orders.amount --fail-on exposure

A column is written NODE.COLUMN, or NODE.\"COLUMN\" where a node has that name. Where columns are not resolved, what reads
the node may be touched, and is named. What went is told with what read it until then.";

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
            Format::Csv | Format::Markdown => output::write(&one_by_one(&impacts), self.format, out)?,
            Format::Json => output::write_json(&impacts, out)?,
            Format::Ndjson => impacts.iter().try_for_each(|impact| output::write_line(impact, out))?,
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

/// A row for each thing that is touched.
fn one_by_one(impacts: &[Answer]) -> Table {
    let rows = impacts.iter().flat_map(|impact| {
        lists(impact).flat_map(|(what, names)| {
            let of = [Value::from(impact.unique_id.as_str()), impact.column_name.as_deref().into(), what.into()];
            names.into_iter().map(move |name| of.iter().cloned().chain([name.into()]).collect())
        })
    });
    Table::new(["unique_id", "column_name", "touched", "name"], rows.collect())
}

/// How many nodes, whether only by their rows, and when that was.
fn touched(impact: &Answer) -> String {
    let count = match impact.nodes.len() {
        0 => "no node".to_owned(),
        1 => "1 node".to_owned(),
        count => format!("{count} nodes"),
    };
    let verb = if impact.nodes.len() == 1 { "reads" } else { "read" };
    let mut words = match (impact.gone_with, impact.column_name.is_some()) {
        (Some(sync), _) => format!("it went with sync {sync}; {count} {verb} it until then"),
        (None, true) => format!("{count} may be touched"),
        (None, false) => format!("{count} may be touched, which stand on it"),
    };
    if impact.column_name.is_some() && impact.columns.is_empty() && !impact.shaped.is_empty() {
        words.push_str("; no column comes from it, only rows are touched");
    }
    words
}

/// What is touched, by what it is: whom to tell first.
fn lists(impact: &Answer) -> impl Iterator<Item = (&'static str, Vec<String>)> {
    let column = |column: &answers::ColumnNode| format!("{}.{}", column.unique_id, column.column_name);
    let shaped = |shaped: &answers::Shaped| {
        let clauses: Vec<&str> = shaped.clauses.iter().map(String::as_str).collect();
        format!("{} ({})", shaped.unique_id, clauses.join(", "))
    };
    let named: BTreeSet<&String> = [
        impact.columns.iter().map(|it| &it.unique_id).collect::<Vec<_>>(),
        impact.shaped.iter().map(|it| &it.unique_id).collect(),
        impact.unresolved.iter().map(|it| &it.unique_id).collect(),
    ]
    .into_iter()
    .flatten()
    .collect();
    let is_other = |it: &&answers::Touched| !named.contains(&it.unique_id) && it.resource_type != "exposure";
    let others = impact.nodes.iter().filter(is_other).map(|it| it.unique_id.clone());
    let lists = [
        ("exposures", impact.exposures.clone()),
        ("owners", impact.owners.clone()),
        ("columns", impact.columns.iter().map(column).collect::<Vec<_>>()),
        ("rows", impact.shaped.iter().map(shaped).collect()),
        ("not resolved", impact.unresolved.iter().map(|it| format!("{} ({})", it.unique_id, it.status)).collect()),
        ("what stands on these", others.collect()),
    ];
    lists.into_iter().filter(|(_, names)| !names.is_empty())
}

/// The same in few lines, for where it is one of several; `written` makes a name from outside inert.
pub(super) fn in_brief(impact: &Answer, written: impl Fn(&str) -> String) -> Vec<String> {
    let lists = lists(impact).map(|(what, names)| format!("{what}: {}", named(&names, NAMED, &written)));
    std::iter::once(touched(impact)).chain(lists).collect()
}
