//! The page of Markdown: what somebody pastes into a pull request or a weekly mail.

use std::collections::BTreeMap;
use std::io::Write;

use rusqlite::Connection;
use serde_json::Value;

use super::{Changes, Row, breaking, code, in_words, shorten};
use crate::output::{markdown, markdown_code};

/// The page that is pasted into a pull request or a mail.
pub(super) fn page(
    connection: &Connection,
    rows: &[Row<'_>],
    asked: &Changes,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let span = match (rows.first(), rows.last()) {
        (Some(first), Some(last)) => format!(", {} to {}", day(first.changed_at), day(last.changed_at)),
        _ => String::new(),
    };
    let environment =
        asked.reading.environment.as_deref().map_or(String::new(), |name| format!(" in {}", markdown(name)));
    writeln!(out, "## Changes{environment}{span}\n")?;
    if rows.is_empty() {
        writeln!(out, "Nothing changed.")?;
        return Ok(());
    }
    let mut nodes: BTreeMap<(i64, &str), Vec<&Row<'_>>> = BTreeMap::new();
    for row in rows {
        nodes.entry((row.environment_id, row.unique_id)).or_default().push(row);
    }
    let sections = Section::of(&nodes);
    let counts: Vec<String> =
        sections.iter().map(|section| format!("{} {}", section.nodes.len(), section.word)).collect();
    writeln!(out, "Nodes: {}.", counts.join(", "))?;
    let breaking = breaking(connection, rows)?;
    if !breaking.is_empty() {
        writeln!(out, "\n### May break what stands on it\n")?;
    }
    for (row, consumers) in &breaking {
        let words = in_words(consumers, markdown);
        writeln!(out, "- ⚠ {}: {}. {words}.", markdown_code(row.unique_id), what(row))?;
    }
    for section in &sections {
        section.write(out)?;
    }
    if asked.diff {
        code::print_markdown(connection, rows, out)?;
    }
    Ok(())
}

fn day(time: &str) -> &str {
    time.get(..10).unwrap_or(time)
}

/// The nodes to which the same happened.
struct Section<'a> {
    word: &'static str,
    nodes: Vec<(&'a str, &'a [&'a Row<'a>])>,
}

impl<'a> Section<'a> {
    /// By the last thing that happened to each node; empty sections are left out.
    fn of(nodes: &'a BTreeMap<(i64, &'a str), Vec<&'a Row<'a>>>) -> Vec<Self> {
        let word = |rows: &[&Row<'_>]| {
            let whole = |row: &&&Row<'_>| matches!(row.kind, "added" | "removed" | "restored");
            match rows.iter().rfind(whole).map(|row| row.kind) {
                Some("added") => "added",
                Some("removed") => "removed",
                Some("restored") => "restored",
                _ => "changed",
            }
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
            for row in rows.iter().filter(|row| !matches!(row.kind, "added" | "removed" | "restored")) {
                writeln!(out, "  - {}", what(row))?;
            }
        }
        Ok(())
    }
}

/// What happened, in a few words.
fn what(row: &Row<'_>) -> String {
    let (before, after) = (short(&row.before), short(&row.after));
    let (parent, column) = (markdown_code(row.parent_id), markdown_code(row.column_name));
    match row.kind {
        "changed" if row.is_of_code() => {
            format!("its code changed, from {} to {} lines", lines(&row.before), lines(&row.after))
        }
        "changed" => format!("{}: {before} → {after}", row.field),
        "edge_added" => format!("now reads {parent}"),
        "edge_removed" => format!("no longer reads {parent}"),
        "column_added" => format!("new column {column} {}", short(&row.after["data_type"])),
        "column_removed" => format!("column {column} is gone"),
        "column_changed" if row.field == "data_type" => format!("column {column}: {before} → {after}"),
        "column_changed" => format!("column {column}, {}: {before} → {after}", row.field),
        other => other.to_owned(),
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
