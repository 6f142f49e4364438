//! What stands around a node and what happened to it: columns, tests, parents, children, changes and runs, each list bounded.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use super::facts::{brief, shortened};
use crate::answers::{Found, Neighbour, Order, Overview, Question, Reader, Row, Table, Ties};
use crate::cli::reading::{dimension_name, named};
use crate::output::{self, Format, sanitize};

/// So many of the last changes and runs are shown.
const LAST: usize = 5;

/// So many columns are named that a column comes from, or that come from it.
const TIES: usize = 3;

/// So many characters of a description or a message are shown.
const TEXT: usize = 160;

pub(super) fn print(
    reader: &Reader,
    found: &Found,
    overview: Overview,
    shown: usize,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let tests = reader.tests_of(found)?;
    let names: Vec<String> = overview.columns.iter().map(|column| column.str("name").to_owned()).collect();
    let columns = columns(&overview.columns, &tests);
    section(out, &format!("columns: {}", columns.rows.len()), columns, shown)?;
    list_ties(reader, found, names, shown, out)?;
    list_dimensions(reader, found, shown, out)?;
    list_tests(&tests, shown, out)?;
    let mut children = overview.children;
    children.retain(|child| !matches!(child.resource_type.as_str(), "test" | "unit_test"));
    list(out, "parents", &overview.parents.iter().map(label).collect::<Vec<_>>(), shown)?;
    list(out, "children", &children.iter().map(label).collect::<Vec<_>>(), shown)?;
    let Some(node) = overview.node.iter().next() else { return Ok(()) };
    if node.str("resource_type") == "group" {
        let of_group = Question::of(Some(found.environment_id)).only("group_name", &[node.str("name")]);
        let members = reader.rows("nodes", &of_group)?.filter(|node| node.str("resource_type") != "group");
        list(out, "members", &members.iter().map(|node| node.str("unique_id").to_owned()).collect::<Vec<_>>(), shown)?;
    }
    last_changes(reader, found, out)?;
    last_runs(reader, found, out)
}

fn label(node: &Neighbour) -> String {
    match node.last_run_status.as_deref() {
        None | Some("success" | "pass") => node.unique_id.clone(),
        Some(status) => format!("{} [{status}]", node.unique_id),
    }
}

/// The columns with what tests them.
fn columns(columns: &Table, tests: &Table) -> Table {
    let mut by_column: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for test in tests.iter() {
        if let Some(column) = test.text("column_name") {
            let test = format!("{} ({})", test.str("test_name"), status(test));
            by_column.entry(column).or_default().push(test);
        }
    }
    let row = |column: Row<'_>| {
        let [name, kind] = ["name", "data_type"].map(|name| column.get(name).clone());
        let tests = by_column.get(column.str("name")).map(|tests| tests.join(", "));
        vec![name, kind, extra(column).into(), tests.into()]
    };
    Table::new(["name", "type", "description", "tests"], columns.iter().map(row).collect()).without_empty()
}

/// Where columns come from, and what reads them; those that the node no longer has at the end.
fn list_ties(
    reader: &Reader,
    found: &Found,
    mut names: Vec<String>,
    shown: usize,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let (from, to) = reader.column_ties(found)?;
    let status = reader.rows_of("column_lineage_status", found)?;
    if let Some(status) = status.iter().next().filter(|status| status.str("status") != "resolved") {
        let reason = status.text("reason").map(|reason| format!(": {}", shortened(reason, TEXT))).unwrap_or_default();
        writeln!(out, "\nlineage of columns is not fully known ({}{})", status.str("status"), sanitize(&reason))?;
    }
    let others: BTreeSet<&String> = from.keys().chain(to.keys()).filter(|name| !names.contains(name)).collect();
    names.extend(others.into_iter().cloned().collect::<Vec<_>>());
    names.retain(|name| from.contains_key(name) || to.contains_key(name));
    if names.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nlineage of columns: {}", names.len())?;
    let tied =
        |ties: &Ties, name: &str| ties.get(name).map(|words| named(words, TIES, |word| sanitize(word).into_owned()));
    let width = names.iter().take(shown).map(|name| name.chars().count()).max().unwrap_or_default();
    for name in names.iter().take(shown) {
        let mut label = sanitize(name).into_owned();
        for (way, ties) in [("from", &from), ("to", &to)] {
            if let Some(words) = tied(ties, name) {
                output::write_after(&format!("  {label:width$}  {way:4} "), &words, out)?;
                label.clear();
            }
        }
    }
    Ok(more(out, names.len(), shown)?)
}

/// What a metric can be grouped by: each with the way to it, as queries name it.
fn list_dimensions(reader: &Reader, found: &Found, shown: usize, out: &mut dyn Write) -> anyhow::Result<()> {
    let dimensions = reader.dimensions_of(found)?;
    let row = |dimension: Row<'_>| {
        let name = dimension_name(dimension.text("entity_path"), dimension.str("name"));
        let granularities: Vec<String> = dimension.json("granularities");
        let granularities = (!granularities.is_empty()).then(|| granularities.join(", "));
        vec![name.into(), dimension.get("type").clone(), granularities.into()]
    };
    let rows: Vec<_> = dimensions.iter().map(row).collect();
    let title = format!("dimensions: {}", rows.len());
    Ok(section(out, &title, Table::new(["name", "type", "granularities"], rows).without_empty(), shown)?)
}

/// A column's description (else the warehouse's comment), tags and meta.
fn extra(column: Row<'_>) -> Option<String> {
    let words = column.text("description").or(column.text("comment")).map(|text| shortened(text, TEXT));
    let noted = ["tags", "meta"].map(|name| (name, brief(&column.json(name))));
    let noted = noted.into_iter().filter(|(_, text)| !text.is_empty());
    let noted = noted.map(|(name, text)| format!("[{name} {}]", shortened(&text, TEXT)));
    let parts: Vec<String> = words.into_iter().chain(noted).collect();
    (!parts.is_empty()).then(|| parts.join(" "))
}

/// How a test ended last.
fn status(test: Row<'_>) -> &str {
    test.text("status").unwrap_or("not run")
}

/// The tests, the worst first; those that did not pass with their ids and messages.
fn list_tests(tests: &Table, shown: usize, out: &mut dyn Write) -> std::io::Result<()> {
    if tests.rows.is_empty() {
        return Ok(());
    }
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for test in tests.iter() {
        *counts.entry(status(test)).or_default() += 1;
    }
    let counts: Vec<String> = counts.iter().map(|(status, count)| format!("{count} {}", sanitize(status))).collect();
    writeln!(out, "\ntests: {} ({})", tests.rows.len(), counts.join(", "))?;
    for test in tests.iter().take(shown) {
        let on = test.text("column_name").map(|column| format!(" on {column}")).unwrap_or_default();
        let name = format!("{}{on}", test.str("test_name"));
        writeln!(out, "  {}: {}", output::state(&sanitize(status(test))), sanitize(&name))?;
        if status(test) != "pass" {
            let message = test.text("message").map(|message| format!(": {}", shortened(message, TEXT)));
            let line = format!("{}{}", test.str("unique_id"), message.unwrap_or_default());
            output::write_text(6, &line, out)?;
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
    table.cut(Some(shown));
    writeln!(out, "\n{title}")?;
    output::write(&table, Format::Table, out)?;
    more(out, there, shown)
}

fn last_changes(reader: &Reader, found: &Found, out: &mut dyn Write) -> anyhow::Result<()> {
    let id = [found.unique_id.as_str()];
    let question = Question { limit: Some(LAST), order: Order::Last, ..Question::of(Some(found.environment_id)) };
    let changes = reader.changes(&question.only("unique_id", &id))?;
    let title = match changes.left_out {
        0 => "changes".to_owned(),
        before => {
            format!("last changes ({before} before them: `lineaged changes --node {}`)", sanitize(&found.unique_id))
        }
    };
    let columns = ["seq", "changed_at", "kind", "field", "parent_id", "column_name"];
    Ok(section(out, &title, changes.rows.only(&columns).without_empty(), LAST)?)
}

fn last_runs(reader: &Reader, found: &Found, out: &mut dyn Write) -> anyhow::Result<()> {
    let columns = ["run_id", "status", "completed_at", "execution_seconds", "failures", "error"];
    let mut runs = reader.rows_of("run_results", found)?.only(&columns);
    let title = match runs.cut(Some(LAST)) {
        0 => "runs".to_owned(),
        before => format!("last runs ({before} before them: the view `run_results`)"),
    };
    for row in &mut runs.rows {
        if let Some(seconds) = row[3].as_f64() {
            row[3] = ((seconds * 1000.0).round() / 1000.0).into();
        }
        if let Some(error) = row[5].as_str() {
            row[5] = shortened(error, TEXT).into();
        }
    }
    Ok(section(out, &title, runs.without_empty(), LAST)?)
}
