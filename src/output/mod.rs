//! A table of a view as text, JSON, CSV or Markdown. Knows no view by name. Text from outside is inert in each of them: nothing in it
//! moves a cursor, is run, or looks like other text.

mod cell;
mod colour;
mod column;
mod fit;
mod people;

use std::borrow::Cow;
use std::io::{self, Write};

use comfy_table::{Cell, ContentArrangement, Table as TextTable, TableStyle};
use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{Formatter, Serializer};

use crate::answers::Table;

pub(crate) use self::colour::{Colour, state};
use self::people::Sheet;
pub(crate) use self::people::{write_after, write_text};

/// Facts are so wide where no terminal is.
const FACTS: usize = 100;

/// How a table is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people; fitted to the terminal.
    Table,
    /// A list of objects whose keys are the names of the columns.
    Json,
    /// The same objects, one in each line.
    Ndjson,
    /// With a header; text that a spreadsheet would run as a formula gets a leading apostrophe.
    Csv,
    /// For a pull request or a mail.
    Markdown,
}

/// Prints `table`.
///
/// # Errors
/// If `out` can't be written to.
pub(crate) fn write(table: &Table, format: Format, out: &mut dyn Write) -> io::Result<()> {
    match format {
        Format::Table => write_people(table, out),
        Format::Json => write_json(table, out),
        Format::Ndjson => write_ndjson(table, out),
        Format::Csv => write_csv(table, out),
        Format::Markdown => write_markdown(table, out),
    }
}

/// Prints an answer whose rows are structs without lists and maps.
///
/// # Errors
/// If `out` can't be written to.
pub(crate) fn write_rows<T: Serialize + Default>(rows: &[T], format: Format, out: &mut dyn Write) -> io::Result<()> {
    match format {
        Format::Json => write_json(rows, out),
        format => write(&Table::of(rows)?, format, out),
    }
}

fn write_markdown(table: &Table, out: &mut dyn Write) -> io::Result<()> {
    let line = |cells: Vec<String>| format!("| {} |", cells.join(" | "));
    writeln!(out, "{}", line(table.names().map(str::to_owned).collect()))?;
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
pub(crate) fn markdown(text: &str) -> String {
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
pub(crate) fn markdown_code(text: &str) -> String {
    format!("`{}`", sanitize(text).replace('`', "'"))
}

/// What has no room is told on standard error.
fn write_people(table: &Table, out: &mut dyn Write) -> io::Result<()> {
    let sheet = Sheet { room: people::room(), has_colours: colour::is_on() };
    let left_out = people::write(table, sheet, out)?;
    match left_out.is_empty() {
        true => Ok(()),
        false => writeln!(io::stderr(), "left out for the width: {}", left_out.join(", ")),
    }
}

/// Prints facts, each after its label, in lines that fit the terminal (or the width that is told, or 100 columns).
///
/// # Errors
/// If `out` can't be written to.
pub(crate) fn write_facts(facts: &[(String, String)], out: &mut dyn Write) -> io::Result<()> {
    let mut text = TextTable::new();
    text.load_style(TableStyle::new()).set_content_arrangement(ContentArrangement::Dynamic);
    text.set_width(u16::try_from(people::room().unwrap_or(FACTS)).unwrap_or(u16::MAX));
    for (label, fact) in facts {
        text.add_row([Cell::new(label), Cell::new(sanitize(fact))]);
    }
    for line in text.lines() {
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// Writes an answer as JSON: the elements of a list each in a line of its own.
///
/// # Errors
/// If `out` can't be written to, or the answer is no JSON.
pub(crate) fn write_json<T: Serialize + ?Sized>(answer: &T, out: &mut dyn Write) -> io::Result<()> {
    let layout = Layout { has_lines: true, ..Layout::default() };
    answer.serialize(&mut Serializer::with_formatter(&mut *out, layout))?;
    writeln!(out)
}

/// Writes each row as a JSON object in a line of its own.
fn write_ndjson(table: &Table, out: &mut dyn Write) -> io::Result<()> {
    table.iter().try_for_each(|row| write_line(&row, out))
}

/// Writes a value as JSON in a line of its own.
///
/// # Errors
/// If `out` can't be written to, or the value is no JSON.
pub(crate) fn write_line<T: Serialize + ?Sized>(value: &T, out: &mut dyn Write) -> io::Result<()> {
    write_value(value, out)?;
    writeln!(out)
}

/// Writes a value as JSON without a break of lines.
///
/// # Errors
/// As [`write_line`].
pub(crate) fn write_value<T: Serialize + ?Sized>(value: &T, out: &mut dyn Write) -> io::Result<()> {
    Ok(value.serialize(&mut Serializer::with_formatter(&mut *out, Layout::default()))?)
}

/// An answer as JSON, for who takes it as bytes.
pub(crate) fn json<T: Serialize + ?Sized>(answer: &T) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    write_json(answer, &mut bytes)?;
    Ok(bytes)
}

/// JSON in which what [`sanitize`] would replace is escaped, so that it arrives as it is and is inert on the way.
#[derive(Debug, Default)]
struct Layout {
    /// The elements of the outermost list stand in lines of their own.
    has_lines: bool,
    depth: usize,
    is_filled: bool,
}

impl Formatter for Layout {
    fn begin_array<W: Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.depth += 1;
        self.is_filled &= self.depth > 1;
        out.write_all(b"[")
    }

    fn begin_array_value<W: Write + ?Sized>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        let comma: &[u8] = if first { b"" } else { b"," };
        out.write_all(comma)?;
        let breaks = self.has_lines && self.depth == 1;
        self.is_filled |= breaks;
        out.write_all(if breaks { b"\n  " } else { b"" })
    }

    fn end_array<W: Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.depth -= 1;
        out.write_all(if self.is_filled && self.depth == 0 { b"\n]" } else { b"]" })
    }

    fn write_string_fragment<W: Write + ?Sized>(&mut self, out: &mut W, text: &str) -> io::Result<()> {
        out.write_all(inert(text).as_bytes())
    }

    fn write_raw_fragment<W: Write + ?Sized>(&mut self, out: &mut W, text: &str) -> io::Result<()> {
        out.write_all(inert(text).as_bytes())
    }
}

fn write_csv(table: &Table, out: &mut dyn Write) -> io::Result<()> {
    csv_rows(table, out).map_err(|error| match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    })
}

fn csv_rows(table: &Table, out: &mut dyn Write) -> csv::Result<()> {
    let mut csv = csv::Writer::from_writer(out);
    csv.write_record(table.names())?;
    for row in &table.rows {
        csv.write_record(row.iter().map(|value| match value {
            Value::Null => String::new(),
            Value::String(text) => csv_cell(text),
            number => number.to_string(),
        }))?;
    }
    Ok(csv.flush()?)
}

/// Text as a cell of CSV: its lines stay, and no spreadsheet runs it.
fn csv_cell(text: &str) -> String {
    let lines = text.replace("\r\n", "\n");
    let keep = |c: char| if is_hidden(c) && !matches!(c, '\n' | '\t') { instead_of(c) } else { c };
    let cell: String = lines.chars().map(keep).collect();
    // Some also take the wide forms of these signs for a formula.
    match cell.starts_with(['=', '+', '-', '@', '\t', '\n', '\r', '＝', '＋', '－', '＠']) || text.starts_with('\r')
    {
        true => format!("'{cell}"),
        false => cell,
    }
}

/// The inside of a text of JSON, or JSON without breaks of lines.
fn inert(json: &str) -> Cow<'_, str> {
    if !json.contains(is_hidden) {
        return Cow::Borrowed(json);
    }
    let mut escaped = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        match is_hidden(c) {
            true => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| escaped.push_str(&format!("\\u{unit:04x}"))),
            false => escaped.push(c),
        }
    }
    Cow::Owned(escaped)
}

/// True for what could move the cursor, hide text or reverse it: control characters, other ends of a line, marks of direction, and
/// what has no width.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}' | '\u{180B}'..='\u{180F}'
            | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FEFF}'
            | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}' | '\u{1BCA0}'..='\u{1BCA3}' | '\u{1D173}'..='\u{1D17A}'
            | '\u{E0000}'..='\u{E0FFF}')
}

/// A blank for what parts lines or words, else the sign for something that can't be shown.
fn instead_of(c: char) -> char {
    match c {
        '\n' | '\t' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}' => ' ',
        _ => '\u{FFFD}',
    }
}

/// Replaces what could move the cursor, hide text or reverse it. Line breaks and tabs become blanks.
pub(crate) fn sanitize(text: &str) -> Cow<'_, str> {
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(|c| if is_hidden(c) { instead_of(c) } else { c }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answers::Head;
    use serde_json::json;

    fn printed(format: Format, rows: Vec<Vec<Value>>) -> String {
        let table = Table::new(["z_name", "a_count"], rows);
        let mut out = Vec::new();
        write(&table, format, &mut out).expect("written");
        String::from_utf8(out).expect("text")
    }

    /// What makes a terminal, a browser or a reader see something else than what is written.
    const HOSTILE: &str = "a\0\u{7}\u{8}\u{1b}[2J\u{1b}]0;x\u{7}\u{7f}\u{85}\u{90}\u{9b}31m\u{9d}\r\u{ad}\u{34f}\u{61c}\u{115f}\
        \u{180e}\u{200b}\u{200d}\u{200e}\u{200f}\u{2028}\u{2029}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2060}\u{2061}\u{2066}\u{2067}\
        \u{2068}\u{2069}\u{206a}\u{206f}\u{3164}\u{feff}\u{ffa0}\u{fff9}\u{fffb}\u{1d173}\u{e0001}\u{e0041}\u{e007f}z";

    #[test]
    fn hostile_text_is_inert_in_every_format() {
        let ours = |format| if format == Format::Csv { vec!['\n', '\t'] } else { vec!['\n'] };
        for format in [Format::Table, Format::Json, Format::Ndjson, Format::Csv, Format::Markdown] {
            let text = printed(format, vec![vec![json!(HOSTILE), json!(1)], vec![json!("ü → 表 é 😀"), Value::Null]]);
            let raw: Vec<char> = text.chars().filter(|c| is_hidden(*c) && !ours(format).contains(c)).collect();
            assert!(raw.is_empty(), "{format:?}: {raw:?}");
            assert!(text.contains("ü → 表 é 😀"), "{format:?}: {text}");
        }
        let value: Value =
            serde_json::from_str(&printed(Format::Json, vec![vec![json!(HOSTILE), json!(1)]])).expect("JSON");
        assert_eq!(value[0]["z_name"], HOSTILE, "JSON says what it was");
        assert_eq!(sanitize("a\u{2028}b\u{85}c\u{2029}d\ne"), "a b c d e");
    }

    #[test]
    fn csv_keeps_lines_and_runs_nothing() {
        for (text, cell) in [
            ("two\r\nlines\tand a tab", "two\nlines\tand a tab"),
            ("a\rb", "a b"),
            ("\r=1", "' =1"),
            ("\n=1", "'\n=1"),
            ("\t=1", "'\t=1"),
            ("＝1", "'＝1"),
            ("\u{200b}=1", "\u{FFFD}=1"),
            ("-1", "'-1"),
            ("a=1", "a=1"),
        ] {
            assert_eq!(csv_cell(text), cell, "{text:?}");
        }
    }

    #[test]
    fn json_keeps_the_order_of_the_columns_and_all_text_as_it_is() {
        let text = printed(Format::Json, vec![vec![json!("a\u{1b}[31m\"b"), json!(1)], vec![Value::Null, json!(2.5)]]);
        assert!(text.find("z_name") < text.find("a_count"), "{text}");
        let value: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(value, json!([{"z_name": "a\u{1b}[31m\"b", "a_count": 1}, {"z_name": null, "a_count": 2.5}]));
        assert_eq!(printed(Format::Json, vec![]), "[]\n");
        assert_eq!(
            printed(Format::Json, vec![vec![json!("a"), json!(1)]]),
            "[\n  {\"z_name\":\"a\",\"a_count\":1}\n]\n"
        );
        let lines = printed(Format::Ndjson, vec![vec![json!("a\nb"), json!(1)], vec![Value::Null, json!(2.5)]]);
        assert_eq!(lines, "{\"z_name\":\"a\\nb\",\"a_count\":1}\n{\"z_name\":null,\"a_count\":2.5}\n");
    }

    #[test]
    fn lists_and_maps_are_values_in_json_and_inert_there() {
        let meta = Head { name: "meta".into(), is_json: true };
        let table = Table { columns: vec![meta], rows: vec![vec![json!(json!({"k": [HOSTILE, 1.5]}).to_string())]] };
        for format in [Format::Json, Format::Ndjson, Format::Csv] {
            let mut out = Vec::new();
            write(&table, format, &mut out).expect("written");
            let text = String::from_utf8(out).expect("text");
            assert!(!text.replace('\n', "").contains(is_hidden), "{format:?}: {text:?}");
            let read = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
            match format {
                Format::Json => assert_eq!(read(&text)[0]["meta"]["k"], json!([HOSTILE, 1.5])),
                Format::Ndjson => assert_eq!(read(&text)["meta"]["k"], json!([HOSTILE, 1.5])),
                _ => assert!(text.starts_with("meta\n\"{\"\"k\"\":["), "{text}"),
            }
        }
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
