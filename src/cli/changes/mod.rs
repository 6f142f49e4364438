//! `lineaged changes`: what changed, as rows, as a page of Markdown, or as a difference of code; and what may break by it.

mod code;
mod dimensions;
mod page;

use std::io::Write;

use serde_json::Value;

use super::impact::in_brief;
use super::reading::{ENVIRONMENT, since, until, with_environment};
use super::{Choosing, Exit, Files, Misuse, Reading, note};
use crate::answers::{self, Breaking, Chosen, Environment, KINDS, Order, Question, Reader, Table};
use crate::catalog;
use crate::config::Need;
use crate::output::{self, Format, sanitize};
use crate::time::Timestamp;

/// So many changes are listed for people, unless told otherwise.
const SHOWN: usize = 50;

const EXAMPLES: &str = "\
Examples:
  lineaged changes --since 7d
  lineaged changes --since 2026-03-01 --until 2026-03-31 --select path:models/marts --format markdown
  lineaged changes --kind column_removed --kind column_changed
  lineaged changes --node stg_orders --diff
  lineaged changes --after 1200 --format json

A column that was removed or retyped while something reads it is marked with `!`, and listed with the columns that
come from it, the nodes whose rows it shapes, and the exposures and owners behind them.";

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

impl Changes {
    pub(super) fn run(self, files: &Files, out: &mut dyn Write) -> anyhow::Result<Exit> {
        let is_for_people = matches!(self.format, Format::Table | Format::Markdown);
        if self.diff && !is_for_people {
            let text = "`--diff` is for people: use it with `--format table` or `markdown`";
            return Err(Misuse(text.to_owned()).into());
        }
        let (reader, environment_id) = self.reading.open(files)?;
        let question = self.question(files, &reader, environment_id)?;
        let answers::Changes { rows, left_out } = reader.changes(&question)?;
        match self.format {
            Format::Markdown => page::page(&reader, &rows, &self, out)?,
            Format::Table if self.diff => code::print(&reader, &rows, out)?,
            Format::Table => print(&reader, &rows, &self.reading.several(&reader)?, out)?,
            format => {
                drop(reader);
                output::write(&rows, format, out)?;
            }
        }
        if left_out > 0 {
            let which = if self.after.is_some() { "later" } else { "earlier" };
            note(&format!("{left_out} {which} changes are left out: raise `--limit`"));
        }
        Ok(Exit::Done)
    }

    fn question(&self, files: &Files, reader: &Reader, mut environment_id: Option<i64>) -> anyhow::Result<Question> {
        let mut node = Vec::new();
        if let Some(text) = &self.node {
            let found = reader.find_ever(environment_id, text)?;
            environment_id = Some(found.environment_id);
            node.push(found.unique_id);
        }
        let fields = if self.diff { vec!["raw_code".to_owned()] } else { self.field.clone() };
        let question = Question {
            chosen: self.chosen(files, reader, environment_id)?,
            since: self.since,
            until: self.until,
            after: self.after.map(|seq| vec![seq.into()]),
            limit: self.limit.or((self.format == Format::Table).then_some(SHOWN)),
            order: if self.after.is_some() { Order::Listed } else { Order::Last },
            ..Question::of(environment_id)
        };
        Ok(question.only("unique_id", &node).only("kind", &self.kind).only("field", &fields))
    }

    /// What is selected now, and what was when the time in question began: else nobody would see what was removed since.
    fn chosen(&self, files: &Files, reader: &Reader, environment_id: Option<i64>) -> anyhow::Result<Option<Chosen>> {
        let Some(mut chosen) = self.choosing.chosen(reader, environment_id)? else { return Ok(None) };
        if let Some(since) = self.since {
            match Reader::open(&files.load(Need::Reading)?.catalog.path, Some(since)) {
                Ok(then) => chosen.extend(self.choosing.chosen(&then, environment_id)?.unwrap_or_default()),
                Err(answers::Error::Catalog(catalog::Error::TooEarly { .. })) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Some(chosen))
    }
}

fn print(reader: &Reader, rows: &Table, several: &[Environment], out: &mut dyn Write) -> anyhow::Result<()> {
    let breaking = reader.breaking(rows)?;
    let mut table = readable(rows.clone());
    for (row, cells) in rows.iter().zip(&mut table.rows) {
        if breaking.iter().any(|change| change.row.get("seq") == row.get("seq")) {
            cells[2] = format!("{} !", row.str("kind")).into();
        }
    }
    if !several.is_empty() {
        let names = with_environment(rows.clone(), several).only(&[ENVIRONMENT]).rows.concat();
        table = table.led_by(ENVIRONMENT, names);
    }
    output::write(&table.without_empty(), Format::Table, out)?;
    if !breaking.is_empty() {
        writeln!(out, "\nmay break what stands on it:")?;
    }
    for Breaking { row, impact } in breaking {
        let (id, column) = (sanitize(row.str("unique_id")), sanitize(row.str("column_name")));
        let what = match row.str("kind") {
            "removed" => "it is gone".to_owned(),
            "column_removed" => format!("column {column} is gone"),
            _ => format!("column {column} has another type"),
        };
        let mut lines = in_brief(&impact, |name| sanitize(name).into_owned()).into_iter();
        let touched = lines.next().unwrap_or_default();
        output::write_after("  ! ", &format!("{id}: {what} (seq {}); {touched}", row.get("seq")), out)?;
        lines.try_for_each(|line| output::write_text(6, &line, out))?;
    }
    Ok(())
}

/// For people: whole nodes are left to the other formats.
pub(super) fn readable(table: Table) -> Table {
    let columns = ["seq", "changed_at", "kind", "unique_id", "field", "parent_id", "column_name", "before", "after"];
    let mut table = table.only(&columns);
    for row in &mut table.rows {
        let whole = !matches!(row[2].as_str(), Some("changed" | "column_changed"));
        if row[4] == "dimensions" {
            let (gone, new) = dimensions::differing(&row[7], &row[8]);
            let words = |list: Vec<String>| (!list.is_empty()).then(|| list.join(", "));
            (row[7], row[8]) = (words(gone).into(), words(new).into());
        }
        for value in &mut row[7..] {
            *value = match value.as_str() {
                Some(text) if !whole => text.into(),
                _ => Value::Null,
            };
        }
    }
    table
}
