//! The page of Markdown: what somebody pastes into a pull request or a weekly mail.

use std::collections::BTreeMap;
use std::io::Write;

use serde_json::Value;

use super::{Changes, code, dimensions};
use crate::answers::{Reader, Row, Table, is_of_code};
use crate::cli::impact::in_brief;
use crate::cli::reading::named;
use crate::output::{markdown, markdown_code};

/// What is longer is shortened.
const VALUE: usize = 80;

/// So many dimensions of a change are named.
const DIMENSIONS: usize = 10;

/// The page that is pasted into a pull request or a mail.
pub(super) fn page(reader: &Reader, rows: &Table, asked: &Changes, out: &mut dyn Write) -> anyhow::Result<()> {
    let span = match (rows.iter().next(), rows.iter().last()) {
        (Some(first), Some(last)) => format!(", {} to {}", day(first), day(last)),
        _ => String::new(),
    };
    let environment =
        asked.reading.environment.as_deref().map_or(String::new(), |name| format!(" in {}", markdown(name)));
    writeln!(out, "## Changes{environment}{span}\n")?;
    if rows.rows.is_empty() {
        writeln!(out, "Nothing changed.")?;
        return Ok(());
    }
    let mut nodes: BTreeMap<(Option<i64>, &str), Vec<Row<'_>>> = BTreeMap::new();
    for row in rows.iter() {
        nodes.entry((row.int("environment_id"), row.str("unique_id"))).or_default().push(row);
    }
    let sections = Section::of(&nodes);
    let counts: Vec<String> =
        sections.iter().map(|section| format!("{} {}", section.nodes.len(), section.word)).collect();
    writeln!(out, "Nodes: {}.", counts.join(", "))?;
    let breaking = reader.breaking(rows)?;
    if !breaking.is_empty() {
        writeln!(out, "\n### May break what stands on it\n")?;
    }
    for change in &breaking {
        let words = in_brief(&change.impact, markdown).join("; ");
        writeln!(out, "- ⚠ {}: {}. {words}.", markdown_code(change.row.str("unique_id")), what(change.row))?;
    }
    for section in &sections {
        section.write(out)?;
    }
    if asked.diff {
        code::print_markdown(reader, rows, out)?;
    }
    Ok(())
}

fn day(row: Row<'_>) -> &str {
    let time = row.str("changed_at");
    time.get(..10).unwrap_or(time)
}

/// What happens to a node as a whole.
const WHOLE: [&str; 3] = ["added", "removed", "restored"];

fn is_whole(row: &Row<'_>) -> bool {
    WHOLE.contains(&row.str("kind"))
}

/// The nodes to which the same happened.
struct Section<'a> {
    word: &'static str,
    nodes: Vec<(&'a str, &'a [Row<'a>])>,
}

impl<'a> Section<'a> {
    /// By the last thing that happened to each node; empty sections are left out.
    fn of(nodes: &'a BTreeMap<(Option<i64>, &'a str), Vec<Row<'a>>>) -> Vec<Self> {
        let word = |rows: &[Row<'_>]| {
            let last = rows.iter().rfind(|row| is_whole(row)).map(|row| row.str("kind"));
            WHOLE.into_iter().find(|word| last == Some(word)).unwrap_or("changed")
        };
        let of = |wanted: &'static str| Section {
            word: wanted,
            nodes: nodes
                .iter()
                .filter(|(_, rows)| word(rows) == wanted)
                .map(|((_, id), rows)| (*id, rows.as_slice()))
                .collect(),
        };
        let sections = ["removed", "added", "restored", "changed"].map(of);
        sections.into_iter().filter(|section| !section.nodes.is_empty()).collect()
    }

    fn write(&self, out: &mut dyn Write) -> std::io::Result<()> {
        let mut title = self.word.to_owned();
        title[..1].make_ascii_uppercase();
        writeln!(out, "\n### {title}\n")?;
        for (id, rows) in &self.nodes {
            writeln!(out, "- {}", markdown_code(id))?;
            for row in rows.iter().filter(|row| !is_whole(row)) {
                writeln!(out, "  - {}", what(*row))?;
            }
        }
        Ok(())
    }
}

/// What happened, in a few words.
fn what(row: Row<'_>) -> String {
    let (before, after): (Value, Value) = (row.json("before"), row.json("after"));
    let (parent, column) = (markdown_code(row.str("parent_id")), markdown_code(row.str("column_name")));
    let (field, moved) = (row.str("field"), format!("{} → {}", short(&before), short(&after)));
    match row.str("kind") {
        "changed" if is_of_code(row) => {
            format!("its code changed, from {} to {} lines", lines(&before), lines(&after))
        }
        "changed" if field == "dimensions" => grouped(row),
        "changed" => format!("{field}: {moved}"),
        "edge_added" => format!("now reads {parent}"),
        "edge_removed" => format!("no longer reads {parent}"),
        "column_added" => format!("new column {column} {}", short(&after["data_type"])),
        "column_removed" => format!("column {column} is gone"),
        "column_changed" if field == "data_type" => format!("column {column}: {moved}"),
        "column_changed" => format!("column {column}, {field}: {moved}"),
        other => other.to_owned(),
    }
}

/// How the dimensions of a metric changed.
fn grouped(row: Row<'_>) -> String {
    let (gone, new) = dimensions::differing(row.get("before"), row.get("after"));
    let listed = |list: Vec<String>| named(&list, DIMENSIONS, markdown_code);
    match (gone.is_empty(), new.is_empty()) {
        (true, _) => format!("dimensions: new {}", listed(new)),
        (_, true) => format!("dimensions: {} gone", listed(gone)),
        _ => format!("dimensions: {} → {}", listed(gone), listed(new)),
    }
}

fn lines(code: &Value) -> i64 {
    code["lines"].as_i64().unwrap_or_default()
}

/// A value as a code span, shortened.
fn short(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::String(text) => markdown_code(&shorten(text)),
        other => markdown_code(&shorten(&other.to_string())),
    }
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(VALUE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
