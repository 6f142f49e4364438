//! `lineaged changes`: what changed, as rows, as a page of Markdown, or as a difference of code; and what may break by it.

mod code;
mod page;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io::Write;

use rusqlite::Connection;
use serde_json::Value;

use super::{Choosing, Exit, Files, Misuse, Reading, note, since, until};
use crate::answers::{self, ChangesFilter, Chosen, Consumers, Table};
use crate::catalog;
use crate::config::Need;
use crate::output::{self, Format, sanitize};
use crate::time::Timestamp;

/// So many changes are listed for people, unless told otherwise.
const SHOWN: usize = 50;

/// What is longer is shortened for people.
const VALUE: usize = 80;

const EXAMPLES: &str = "\
Examples:
  lineaged changes --since 7d
  lineaged changes --since 2026-03-01 --until 2026-03-31 --select path:models/marts --format markdown
  lineaged changes --kind column_removed --kind column_changed
  lineaged changes --node stg_orders --diff
  lineaged changes --after 1200 --format json

A column that was removed or retyped while other nodes stand on its node is marked with `!`, and what stands on
it is listed.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Changes {
    /// Only of this node (unique_id, or a name that is unique)
    #[arg(long, value_name = "NODE")]
    node: Option<String>,
    /// Only of this kind (may be given more than once)
    #[arg(long, value_name = "KIND", value_parser = KINDS)]
    kind: Vec<String>,
    /// Only of this field, e.g. description, raw_code, data_type (may be given more than once)
    #[arg(long, value_name = "FIELD")]
    field: Vec<String>,
    /// Only from then on: 2026-03-01, 2026-03-01T06:00, 7d (ago)
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<Timestamp>,
    /// Only until then; a day counts to its end
    #[arg(long, value_name = "TIME", value_parser = until)]
    until: Option<Timestamp>,
    /// Only what came after this seq, first ones first
    #[arg(long, value_name = "SEQ")]
    after: Option<i64>,
    /// At most so many [default: 50 in a table, else all]
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Show how raw code changed, line by line
    #[arg(long)]
    diff: bool,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    #[command(flatten)]
    choosing: Choosing,
    #[command(flatten)]
    reading: Reading,
}

const KINDS: [&str; 9] = [
    "added",
    "removed",
    "restored",
    "changed",
    "edge_added",
    "edge_removed",
    "column_added",
    "column_removed",
    "column_changed",
];

impl Changes {
    pub(super) fn run(self, files: &Files, out: &mut dyn Write) -> anyhow::Result<Exit> {
        if self.diff && matches!(self.format, Format::Json | Format::Csv) {
            let text = "`--diff` is for people: use it with `--format table` or `markdown`";
            return Err(Misuse(text.to_owned()).into());
        }
        let connection = self.reading.open(files)?;
        let filter = self.filter(files, &connection)?;
        let (table, left_out) = answers::changes(&connection, &filter)?;
        let rows = Row::all(&table);
        match self.format {
            Format::Json | Format::Csv => {
                drop(connection);
                output::write(&table, self.format, out)?;
            }
            Format::Markdown => page::page(&connection, &rows, &self, out)?,
            Format::Table if self.diff => code::print(&connection, &rows, out)?,
            Format::Table => print(&connection, &rows, table.clone(), out)?,
        }
        if left_out > 0 {
            let which = if self.after.is_some() { "later" } else { "earlier" };
            note(&format!("{left_out} {which} changes are left out: raise `--limit`"));
        }
        Ok(Exit::Done)
    }

    fn filter(&self, files: &Files, connection: &Connection) -> anyhow::Result<ChangesFilter> {
        let mut environment_id = self.reading.environment_id(connection)?;
        let mut unique_id = None;
        if let Some(node) = &self.node {
            let found = answers::find(connection, environment_id, node)?;
            (environment_id, unique_id) = (Some(found.environment_id), Some(found.unique_id));
        }
        Ok(ChangesFilter {
            environment_id,
            unique_id,
            chosen: self.chosen(files, connection, environment_id)?,
            kinds: self.kind.clone(),
            fields: if self.diff { vec!["raw_code".to_owned()] } else { self.field.clone() },
            since: self.since,
            until: self.until,
            after: self.after,
            limit: self.limit.or((self.format == Format::Table).then_some(SHOWN)),
        })
    }

    /// What is selected now, and what was when the time in question began: else nobody would see what was removed since.
    fn chosen(
        &self,
        files: &Files,
        connection: &Connection,
        environment_id: Option<i64>,
    ) -> anyhow::Result<Option<Chosen>> {
        let Some(mut chosen) = self.choosing.chosen(connection, environment_id)? else { return Ok(None) };
        if let Some(since) = self.since {
            let path = files.load(Need::Reading)?.catalog.path;
            match catalog::open_as_of(&path, since, None) {
                Ok(then) => chosen.extend(self.choosing.chosen(&then, environment_id)?.unwrap_or_default()),
                Err(catalog::Error::TooEarly { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Some(chosen))
    }
}

/// A row of the view, by name.
struct Row<'a> {
    seq: i64,
    environment_id: i64,
    changed_at: &'a str,
    unique_id: &'a str,
    kind: &'a str,
    field: &'a str,
    parent_id: &'a str,
    column_name: &'a str,
    before: Value,
    after: Value,
}

impl<'a> Row<'a> {
    fn all(table: &'a Table) -> Vec<Self> {
        let places: BTreeMap<&str, usize> =
            table.columns.iter().enumerate().map(|(place, name)| (name.as_str(), place)).collect();
        let of = |row: &'a Vec<Value>| {
            let cell = |name: &str| places.get(name).map_or(&Value::Null, |place| &row[*place]);
            let text = |name: &str| cell(name).as_str().unwrap_or_default();
            let json = |name: &str| serde_json::from_str(text(name)).unwrap_or_default();
            Self {
                seq: cell("seq").as_i64().unwrap_or_default(),
                environment_id: cell("environment_id").as_i64().unwrap_or_default(),
                changed_at: text("changed_at"),
                unique_id: text("unique_id"),
                kind: text("kind"),
                field: text("field"),
                parent_id: text("parent_id"),
                column_name: text("column_name"),
                before: json("before"),
                after: json("after"),
            }
        };
        table.rows.iter().map(of).collect()
    }

    /// True if raw code changed.
    fn is_of_code(&self) -> bool {
        self.kind == "changed" && self.field == "raw_code"
    }

    /// True if a column is gone or has another type: whoever reads it may fail.
    fn may_break(&self) -> bool {
        self.kind == "column_removed" || (self.kind == "column_changed" && self.field == "data_type")
    }
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(VALUE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// What may break, with what stands on it, once for each change.
fn breaking<'a>(connection: &Connection, rows: &'a [Row<'a>]) -> Result<Vec<(&'a Row<'a>, Consumers)>, answers::Error> {
    let mut known: BTreeMap<(i64, &str), Option<Consumers>> = BTreeMap::new();
    let mut found = Vec::new();
    for row in rows.iter().filter(|row| row.may_break()) {
        let consumers = match known.entry((row.environment_id, row.unique_id)) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(answers::consumers(connection, row.environment_id, row.unique_id)?),
        };
        found.extend(consumers.clone().map(|consumers| (row, consumers)));
    }
    Ok(found)
}

/// What stands on a node, in words: `written` makes a name from outside inert.
fn in_words(consumers: &Consumers, written: impl Fn(&str) -> String) -> String {
    let list = |names: &[String]| {
        let mut list: Vec<String> = names.iter().take(5).map(|name| written(name)).collect();
        if names.len() > 5 {
            list.push(format!("{} more", names.len() - 5));
        }
        list.join(", ")
    };
    let mut words = match consumers.nodes {
        1 => "1 node stands on it".to_owned(),
        nodes => format!("{nodes} nodes stand on it"),
    };
    for (what, names) in [("exposures", &consumers.exposures), ("owners", &consumers.owners)] {
        if !names.is_empty() {
            words.push_str(&format!("; {what}: {}", list(names)));
        }
    }
    words
}

fn print(connection: &Connection, rows: &[Row<'_>], table: Table, out: &mut dyn Write) -> anyhow::Result<()> {
    let breaking = breaking(connection, rows)?;
    let mut table = shortened(table);
    for (row, cells) in rows.iter().zip(&mut table.rows) {
        if breaking.iter().any(|(other, _)| other.seq == row.seq) {
            cells[2] = format!("{} !", row.kind).into();
        }
    }
    output::write(&table.without_empty(), Format::Table, out)?;
    if !breaking.is_empty() {
        writeln!(out, "\nmay break what stands on it:")?;
    }
    for (row, consumers) in breaking {
        let what = if row.kind == "column_removed" { "is gone" } else { "has another type" };
        let (id, column) = (sanitize(row.unique_id), sanitize(row.column_name));
        let words = in_words(&consumers, |name| sanitize(name).into_owned());
        writeln!(out, "  ! {id}: column {column} {what} (seq {}); {words}", row.seq)?;
    }
    Ok(())
}

/// For people: whole nodes are left to the other formats.
pub(super) fn shortened(table: Table) -> Table {
    let columns = ["seq", "changed_at", "kind", "unique_id", "field", "parent_id", "column_name", "before", "after"];
    let mut table = table.only(&columns);
    for row in &mut table.rows {
        let whole = !matches!(row[2].as_str(), Some("changed" | "column_changed"));
        for value in &mut row[7..] {
            *value = match value.as_str() {
                Some(text) if !whole => shorten(text).into(),
                _ => Value::Null,
            };
        }
    }
    table
}
