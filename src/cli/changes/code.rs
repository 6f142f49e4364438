//! How raw code changed, line by line.

use std::io::Write;

use serde_json::Value;

use crate::answers::{self, Error, Reader, Row, Table, is_of_code};
use crate::output::sanitize;

/// For a terminal or a pager.
pub(super) fn print(reader: &Reader, rows: &Table, out: &mut dyn Write) -> anyhow::Result<()> {
    for row in rows.iter().filter(|row| is_of_code(*row)) {
        writeln!(out, "seq {}, {}\n{}", row.get("seq"), row.str("changed_at"), difference(reader, row)?)?;
    }
    Ok(())
}

/// For a page of Markdown: a block for each change.
pub(super) fn print_markdown(reader: &Reader, rows: &Table, out: &mut dyn Write) -> anyhow::Result<()> {
    for row in rows.iter().filter(|row| is_of_code(*row)) {
        let text = difference(reader, row)?;
        // Longer than any fence within.
        let fence = "`".repeat(text.split(|c| c != '`').map(str::len).max().unwrap_or(0).max(2) + 1);
        writeln!(out, "\n{fence}diff\n{text}{fence}")?;
    }
    Ok(())
}

fn difference(reader: &Reader, row: Row<'_>) -> Result<String, Error> {
    let (before, after) = (lines(reader, &row.json("before"))?, lines(reader, &row.json("after"))?);
    Ok(answers::difference(&sanitize(row.str("unique_id")), &before, &after))
}

/// The code that a change names by its hash; empty where there was none. Its own line breaks are all that may reach a terminal.
fn lines(reader: &Reader, code: &Value) -> Result<String, Error> {
    let Some(sha256) = code["sha256"].as_str() else { return Ok(String::new()) };
    let text = reader.raw_code(sha256)?.unwrap_or_else(|| format!("(code {sha256} is not kept)"));
    Ok(text.split('\n').map(|line| format!("{}\n", sanitize(line.trim_end_matches('\r')))).collect())
}
