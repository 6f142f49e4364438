//! What stands around a node and what happened to it: columns, tests, parents, children, changes and runs, each list bounded.

use std::collections::BTreeMap;
use std::io::Write;

use rusqlite::Connection;
use serde_json::Value;

use super::facts::{Facts, brief, shortened};
use crate::answers::{self, ChangesFilter, Found, Table};
use crate::output::{self, Format, sanitize};

/// So many of the last changes and runs are shown.
const LAST: usize = 5;

/// So many characters of a description or a message are shown.
const TEXT: usize = 160;

/// The status of a test that has none.
const NOT_RUN: &str = "not run";

pub(super) fn print(
    connection: &Connection,
    found: &Found,
    node: &Facts,
    shown: usize,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let tests = answers::tests_of(connection, found)?;
    let columns = columns(answers::columns_of(connection, found)?, &tests);
    let title = format!("columns: {}", columns.rows.len());
    section(out, &title, columns, shown)?;
    list_tests(&tests, shown, out)?;
    let around = answers::neighbours(connection, found)?;
    for (relation, title) in [("parent", "parents"), ("child", "children")] {
        let of = around.rows.iter().filter(|row| row[0] == relation);
        let ids: Vec<String> = of.map(|row| label(text(&row[1]), row[3].as_str())).collect();
        list(out, title, &ids, shown)?;
    }
    if let (Some("group"), Some(name)) = (node.get("resource_type").as_deref(), node.get("name")) {
        list(out, "members", &answers::members_of(connection, found.environment_id, &name)?, shown)?;
    }
    last_changes(connection, found, out)?;
    last_runs(connection, found, out)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn label(id: &str, status: Option<&str>) -> String {
    match status {
        None | Some("success" | "pass") => id.to_owned(),
        Some(status) => format!("{id} [{status}]"),
    }
}

/// The columns with what tests them.
fn columns(columns: Table, tests: &Table) -> Table {
    let mut by_column: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for test in &tests.rows {
        if let Some(column) = test[2].as_str() {
            let test = format!("{} ({})", text(&test[1]), test[3].as_str().unwrap_or(NOT_RUN));
            by_column.entry(column.to_owned()).or_default().push(test);
        }
    }
    let mut table = columns.only(&["name", "data_type", "description", "comment", "tags", "meta"]);
    for row in &mut table.rows {
        let (extra, tests) = (extra(row), by_column.get(text(&row[0])));
        row.truncate(2);
        row.extend([extra, tests.map(|tests| tests.join(", ")).into()]);
    }
    table.columns = ["name", "type", "description", "tests"].map(str::to_owned).into();
    without_empty_columns(table)
}

/// A column's description (else the warehouse's comment), tags and meta.
fn extra(row: &[Value]) -> Value {
    let words = row[2].as_str().or(row[3].as_str()).map(|text| shortened(text, TEXT));
    let json = |value: &Value| serde_json::from_str(text(value)).map(|value| brief(&value)).unwrap_or_default();
    let (tags, meta) = (json(&row[4]), json(&row[5]));
    let tags = (!tags.is_empty()).then(|| format!("[tags {}]", shortened(&tags, TEXT)));
    let meta = (!meta.is_empty()).then(|| format!("[meta {}]", shortened(&meta, TEXT)));
    let parts: Vec<String> = [words, tags, meta].into_iter().flatten().collect();
    if parts.is_empty() { Value::Null } else { parts.join(" ").into() }
}

fn without_empty_columns(table: Table) -> Table {
    let names = table.columns.clone();
    let is_told = |place: usize| table.rows.iter().any(|row| !row[place].is_null());
    let told: Vec<&str> = (0..names.len()).filter(|n| is_told(*n)).map(|n| names[n].as_str()).collect();
    table.only(&told)
}

/// The tests, the worst first; those that did not pass with their ids and messages.
fn list_tests(tests: &Table, shown: usize, out: &mut dyn Write) -> std::io::Result<()> {
    if tests.rows.is_empty() {
        return Ok(());
    }
    let status = |row: &[Value]| row[3].as_str().unwrap_or(NOT_RUN).to_owned();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for row in &tests.rows {
        *counts.entry(status(row)).or_default() += 1;
    }
    let counts: Vec<String> = counts.iter().map(|(status, count)| format!("{count} {}", sanitize(status))).collect();
    writeln!(out, "\ntests: {} ({})", tests.rows.len(), counts.join(", "))?;
    for row in tests.rows.iter().take(shown) {
        let on = row[2].as_str().map(|column| format!(" on {column}")).unwrap_or_default();
        let status = status(row);
        writeln!(out, "  {}: {}", sanitize(&status), sanitize(&format!("{}{on}", text(&row[1]))))?;
        if status != "pass" {
            let message = row[5].as_str().map(|message| format!(": {}", shortened(message, TEXT))).unwrap_or_default();
            writeln!(out, "      {}", sanitize(&format!("{}{message}", text(&row[0]))))?;
        }
    }
    more(out, tests.rows.len(), shown)
}

fn list(out: &mut dyn Write, title: &str, lines: &[String], shown: usize) -> std::io::Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{title}: {}", lines.len())?;
    for line in lines.iter().take(shown) {
        writeln!(out, "  {}", sanitize(line))?;
    }
    more(out, lines.len(), shown)
}

fn more(out: &mut dyn Write, there: usize, shown: usize) -> std::io::Result<()> {
    match there.saturating_sub(shown) {
        0 => Ok(()),
        left_out => writeln!(out, "  … {left_out} more: raise `--limit`"),
    }
}

fn section(out: &mut dyn Write, title: &str, mut table: Table, shown: usize) -> std::io::Result<()> {
    if table.rows.is_empty() {
        return Ok(());
    }
    let there = table.rows.len();
    table.rows.truncate(shown);
    writeln!(out, "\n{title}")?;
    output::write(&table, Format::Table, out)?;
    more(out, there, shown)
}

fn last_changes(connection: &Connection, found: &Found, out: &mut dyn Write) -> anyhow::Result<()> {
    let filter = ChangesFilter {
        environment_id: Some(found.environment_id),
        unique_id: Some(found.unique_id.clone()),
        limit: Some(LAST),
        ..ChangesFilter::default()
    };
    let (changes, left_out) = answers::changes(connection, &filter)?;
    let title = match left_out {
        0 => "changes".to_owned(),
        before => {
            format!("last changes ({before} before them: `lineaged changes --node {}`)", sanitize(&found.unique_id))
        }
    };
    let changes =
        without_empty_columns(changes.only(&["seq", "changed_at", "kind", "field", "parent_id", "column_name"]));
    Ok(section(out, &title, changes, LAST)?)
}

fn last_runs(connection: &Connection, found: &Found, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut runs = answers::runs_of(connection, found)?;
    let title = match runs.rows.len() {
        all if all > LAST => format!("last runs ({} before them: the view `run_results`)", all - LAST),
        _ => "runs".to_owned(),
    };
    runs.rows.truncate(LAST);
    for row in &mut runs.rows {
        if let Some(seconds) = row[3].as_f64() {
            row[3] = ((seconds * 1000.0).round() / 1000.0).into();
        }
        if let Some(error) = row.last_mut().filter(|error| error.is_string()) {
            *error = shortened(text(error), TEXT).into();
        }
    }
    Ok(section(out, &title, without_empty_columns(runs), LAST)?)
}
