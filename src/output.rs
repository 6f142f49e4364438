//! A table of a view as text, JSON, CSV or Markdown. Knows no view by name. Whatever text from outside goes to a terminal goes through
//! [`sanitize`].

use std::borrow::Cow;
use std::io::{self, Write};

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table as TextTable, TableStyle};
use serde_json::Value;

use crate::views::Table;

/// How a table is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people; fitted to the terminal.
    Table,
    /// A list of objects whose keys are the names of the columns.
    Json,
    /// With a header; text that a spreadsheet would run as a formula gets a leading apostrophe.
    Csv,
    /// For a pull request or a mail.
    Markdown,
}

/// Prints `table`.
///
/// # Errors
/// If `out` can't be written to.
pub fn write(table: &Table, format: Format, out: &mut dyn Write) -> io::Result<()> {
    match format {
        Format::Table => write_text(table, out),
        Format::Json => write_json(table, out),
        Format::Csv => write_csv(table, out),
        Format::Markdown => write_markdown(table, out),
    }
}

fn write_markdown(table: &Table, out: &mut dyn Write) -> io::Result<()> {
    let line = |cells: Vec<String>| format!("| {} |", cells.join(" | "));
    writeln!(out, "{}", line(table.columns.clone()))?;
    writeln!(out, "{}", line(vec!["---".to_owned(); table.columns.len()]))?;
    for row in &table.rows {
        let cells = row.iter().map(|value| match value {
            Value::Null => String::new(),
            Value::String(text) => markdown(text),
            number => number.to_string(),
        });
        writeln!(out, "{}", line(cells.collect()))?;
    }
    Ok(())
}

/// Makes text from outside inert in Markdown, also in the cell of a table: no markup, link, HTML or mention.
pub fn markdown(text: &str) -> String {
    let text = sanitize(text);
    let mut safe = String::with_capacity(text.len());
    let mut before = ' ';
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let within_word = before.is_alphanumeric() && rest.peek().is_some_and(|next| next.is_alphanumeric());
        match c {
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '&' => safe.push_str("&amp;"),
            // Else `@name` would send a mail, and an address would become a link.
            '@' => safe.push_str("&#64;"),
            ':' if rest.peek() == Some(&'/') => safe.push_str("&#58;"),
            '.' if before.eq_ignore_ascii_case(&'w') => safe.push_str("&#46;"),
            '_' if within_word => safe.push('_'),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '#' | '!' => safe.extend(['\\', c]),
            c => safe.push(c),
        }
        before = c;
    }
    safe
}

/// Text from outside as a code span of Markdown, in which nothing is markup.
pub fn markdown_code(text: &str) -> String {
    format!("`{}`", sanitize(text).replace('`', "'"))
}

fn write_text(table: &Table, out: &mut dyn Write) -> io::Result<()> {
    let mut text = TextTable::new();
    text.load_style(TableStyle::new()).set_content_arrangement(ContentArrangement::Dynamic);
    // A terminal tells its width; whoever captures a table may.
    if !text.is_tty()
        && let Some(width) = std::env::var("COLUMNS").ok().and_then(|width| width.parse().ok())
    {
        text.set_width(width);
    }
    text.set_header(table.columns.iter().map(|name| name.to_uppercase()));
    for row in &table.rows {
        text.add_row(row.iter().map(|value| match value {
            Value::Null => Cell::new(""),
            Value::String(text) => Cell::new(sanitize(text)),
            number => Cell::new(number).set_alignment(CellAlignment::Right),
        }));
    }
    for line in text.lines() {
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// Prints facts, each after its label, in lines that fit the terminal (or 100 columns where there is none).
///
/// # Errors
/// If `out` can't be written to.
pub fn write_facts(facts: &[(&str, String)], out: &mut dyn Write) -> io::Result<()> {
    let mut text = TextTable::new();
    text.load_style(TableStyle::new()).set_content_arrangement(ContentArrangement::Dynamic);
    if !text.is_tty() {
        text.set_width(100);
    }
    for (label, fact) in facts {
        text.add_row([Cell::new(label), Cell::new(sanitize(fact))]);
    }
    for line in text.lines() {
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// Written by hand, since an object of `serde_json` would sort the columns.
fn write_json(table: &Table, out: &mut dyn Write) -> io::Result<()> {
    write!(out, "[")?;
    for (number, row) in table.rows.iter().enumerate() {
        write!(out, "{}\n  {{", if number == 0 { "" } else { "," })?;
        for (place, (name, value)) in table.columns.iter().zip(row).enumerate() {
            let comma = if place == 0 { "" } else { ", " };
            write!(out, "{comma}{}: {}", serde_json::to_string(name)?, serde_json::to_string(value)?)?;
        }
        write!(out, "}}")?;
    }
    writeln!(out, "{}]", if table.rows.is_empty() { "" } else { "\n" })
}

fn write_csv(table: &Table, out: &mut dyn Write) -> io::Result<()> {
    csv_rows(table, out).map_err(|error| match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    })
}

fn csv_rows(table: &Table, out: &mut dyn Write) -> csv::Result<()> {
    let mut csv = csv::Writer::from_writer(out);
    csv.write_record(&table.columns)?;
    for row in &table.rows {
        csv.write_record(row.iter().map(|value| match value {
            Value::Null => String::new(),
            Value::String(text) if text.starts_with(['=', '+', '-', '@', '\t', '\r']) => format!("'{text}"),
            Value::String(text) => text.clone(),
            number => number.to_string(),
        }))?;
    }
    Ok(csv.flush()?)
}

/// Replaces what could move the cursor, hide text or reverse it: control characters, bidirectional marks and what has no width.
/// Line breaks and tabs become blanks.
pub fn sanitize(text: &str) -> Cow<'_, str> {
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{2069}' | '\u{FEFF}' | '\u{061C}')
    };
    if !text.contains(hidden) {
        return Cow::Borrowed(text);
    }
    let replace = |c: char| match c {
        '\n' | '\t' | '\r' => ' ',
        c if hidden(c) => '\u{FFFD}',
        c => c,
    };
    Cow::Owned(text.chars().map(replace).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn printed(format: Format, rows: Vec<Vec<Value>>) -> String {
        let table = Table { columns: vec!["z_name".into(), "a_count".into()], rows };
        let mut out = Vec::new();
        write(&table, format, &mut out).expect("written");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn json_keeps_the_order_of_the_columns_and_all_text_as_it_is() {
        let text = printed(Format::Json, vec![vec![json!("a\u{1b}[31m\"b"), json!(1)], vec![Value::Null, json!(2.5)]]);
        assert!(text.find("z_name") < text.find("a_count"), "{text}");
        let value: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(value, json!([{"z_name": "a\u{1b}[31m\"b", "a_count": 1}, {"z_name": null, "a_count": 2.5}]));
        assert_eq!(printed(Format::Json, vec![]), "[]\n");
    }

    #[test]
    fn markdown_makes_markup_links_and_mentions_inert() {
        let text = printed(
            Format::Markdown,
            vec![vec![json!("<b>[x](javascript:1)|*@ops* www.e.com http://e.com snake_case _i_\n# a"), json!(1)]],
        );
        let cell =
            "&lt;b&gt;\\[x\\](javascript:1)\\|\\*&#64;ops\\* www&#46;e.com http&#58;//e.com snake_case \\_i\\_ \\# a";
        assert_eq!(text, format!("| z_name | a_count |\n| --- | --- |\n| {cell} | 1 |\n"));
        assert_eq!(markdown_code("a`b\u{1b}"), "`a'b\u{FFFD}`");
    }

    #[test]
    fn csv_makes_formulas_inert_and_leaves_numbers_alone() {
        let text = printed(Format::Csv, vec![vec![json!("=cmd()"), json!(-1)], vec![json!("a,\"b\""), Value::Null]]);
        assert_eq!(text, "z_name,a_count\n'=cmd(),-1\n\"a,\"\"b\"\"\",\n");
    }

    #[test]
    fn what_a_terminal_would_obey_is_replaced_in_a_table() {
        let text = printed(Format::Table, vec![vec![json!("a\u{1b}]0;x\u{7}\u{202e}b\nc"), json!(7)]]);
        assert!(!text.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{text:?}");
        assert!(text.contains("b c"), "{text:?}");
        assert!(text.starts_with(" Z_NAME"), "{text:?}");
    }
}
