//! How raw code changed, line by line.

use std::io::Write;

use rusqlite::Connection;
use serde_json::Value;

use super::Row;
use crate::answers;
use crate::output::sanitize;

/// For a terminal or a pager.
pub(super) fn print(connection: &Connection, rows: &[Row<'_>], out: &mut dyn Write) -> anyhow::Result<()> {
    for row in rows.iter().filter(|row| row.is_of_code()) {
        writeln!(out, "seq {}, {}\n{}", row.seq, row.changed_at, difference(connection, row)?)?;
    }
    Ok(())
}

/// For a page of Markdown: a block for each change.
pub(super) fn print_markdown(connection: &Connection, rows: &[Row<'_>], out: &mut dyn Write) -> anyhow::Result<()> {
    for row in rows.iter().filter(|row| row.is_of_code()) {
        let text = difference(connection, row)?;
        // Longer than any fence within.
        let fence = "`".repeat(text.split(|c| c != '`').map(str::len).max().unwrap_or(0).max(2) + 1);
        writeln!(out, "\n{fence}diff\n{text}{fence}")?;
    }
    Ok(())
}

fn difference(connection: &Connection, row: &Row<'_>) -> Result<String, answers::Error> {
    let (before, after) = (lines(connection, &row.before)?, lines(connection, &row.after)?);
    let diff = similar::TextDiff::from_lines(&before, &after);
    let [before, after] = ["before", "after"].map(|when| format!("{} {when}", sanitize(row.unique_id)));
    Ok(diff.unified_diff().context_radius(3).header(&before, &after).to_string())
}

/// The code that a change names by its hash; empty where there was none. Its own line breaks are all that may reach a terminal.
fn lines(connection: &Connection, code: &Value) -> Result<String, answers::Error> {
    let Some(sha256) = code["sha256"].as_str() else { return Ok(String::new()) };
    let text = answers::raw_code(connection, sha256)?.unwrap_or_else(|| format!("(code {sha256} is not kept)"));
    Ok(text.split('\n').map(|line| format!("{}\n", sanitize(line.trim_end_matches('\r')))).collect())
}
