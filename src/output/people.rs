//! A table for people, in lines that fit; or a block for each row where no table does.

use std::io::{self, Write};

use comfy_table::Table as TextTable;

use super::cell::{folded, shortened, width};
use super::colour::painted;
use super::column::{Column, Role, Times};
use super::fit::{Fitted, GAP, MARGIN, fit};
use super::sanitize;
use crate::answers::Table;

/// In a block, a value has at least so much room.
const VALUE: usize = 10;

/// What a table is printed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sheet {
    /// How wide a line may be; `None` in a pipe.
    pub(super) room: Option<usize>,
    /// True if states have colours.
    pub(super) has_colours: bool,
}

/// How wide a line may be: as the terminal is, else as whoever captures the output says, else as it comes.
pub(super) fn room() -> Option<usize> {
    let terminal = TextTable::new().width().map(usize::from);
    let told = || std::env::var("COLUMNS").ok().and_then(|width| width.parse().ok());
    terminal.or_else(told).filter(|width| *width > 0)
}

/// Prints `table`; the names of the columns that had no room.
///
/// # Errors
/// If `out` can't be written to.
pub(super) fn write(table: &Table, sheet: Sheet, out: &mut dyn Write) -> io::Result<Vec<String>> {
    let columns = Column::all(table);
    match (fit(&columns, sheet.room), sheet.room) {
        (Some(fitted), _) => write_table(&fitted, sheet, out).map(|()| fitted.left_out),
        (None, room) => write_blocks(&columns, room.unwrap_or(usize::MAX), sheet, out).map(|()| Vec::new()),
    }
}

fn write_table(fitted: &Fitted, sheet: Sheet, out: &mut dyn Write) -> io::Result<()> {
    let header = fitted.columns.iter().map(|(column, _)| vec![column.header()]).collect();
    write_row(fitted, header, false, out)?;
    let count = fitted.columns.first().map_or(0, |(column, _)| column.cells.len());
    for row in 0..count {
        let cells = fitted.columns.iter().map(|(column, width)| lines(column, row, sheet.room.map(|_| *width)));
        write_row(fitted, cells.collect(), sheet.has_colours, out)?;
    }
    Ok(())
}

/// The lines of a cell.
fn lines(column: &Column, row: usize, room: Option<usize>) -> Vec<String> {
    let cell = &column.cells[row];
    match (column.role, room) {
        (Role::Text, Some(room)) => folded(cell, room),
        (Role::Word(cut), Some(room)) => vec![shortened(cell, room, cut).into_owned()],
        _ => vec![cell.clone()],
    }
}

fn write_row(fitted: &Fitted, cells: Vec<Vec<String>>, has_colours: bool, out: &mut dyn Write) -> io::Result<()> {
    for line in 0..cells.iter().map(Vec::len).max().unwrap_or_default() {
        // Blanks are written only before something, so that no line ends with them.
        let mut blanks = MARGIN;
        for ((column, room), cell) in fitted.columns.iter().zip(&cells) {
            let text = cell.get(line).map_or("", String::as_str);
            let rest = room.saturating_sub(width(text));
            let (before, after) = if column.role == Role::Figure { (rest, 0) } else { (0, rest) };
            blanks += before;
            if text.is_empty() {
                blanks += after + GAP;
                continue;
            }
            write!(out, "{:blanks$}{}", "", painted(text, has_colours && column.is_state()))?;
            blanks = after + GAP;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// Each row in lines of their own, a name and a value each. A row without its first cell goes on with the one above.
fn write_blocks(columns: &[Column], room: usize, sheet: Sheet, out: &mut dyn Write) -> io::Result<()> {
    let labels = columns.iter().map(|column| width(&column.name)).max().unwrap_or_default();
    let room = room.saturating_sub(MARGIN + labels + GAP).max(VALUE);
    let columns: Vec<Column> = columns.iter().map(|column| column.with(Times::Minutes)).collect();
    let count = columns.first().map_or(0, |column| column.cells.len());
    for row in 0..count {
        if row > 0 && !columns[0].cells[row].is_empty() {
            writeln!(out)?;
        }
        for column in columns.iter().filter(|column| !column.cells[row].is_empty()) {
            let mut label = column.name.as_str();
            for line in folded(&column.cells[row], room) {
                let value = painted(&line, sheet.has_colours && column.is_state());
                writeln!(out, "{:MARGIN$}{label:labels$}{:GAP$}{value}", "", "")?;
                label = "";
            }
        }
    }
    Ok(())
}

/// Prints text from outside in lines that fit, broken between words, each after so many blanks; in a pipe in one line.
///
/// # Errors
/// If `out` can't be written to.
pub(crate) fn write_text(indent: usize, text: &str, out: &mut dyn Write) -> io::Result<()> {
    write_after(&" ".repeat(indent), text, out)
}

/// Prints text from outside as [`write_text`] does, after a label, which is inert.
///
/// # Errors
/// As [`write_text`].
pub(crate) fn write_after(label: &str, text: &str, out: &mut dyn Write) -> io::Result<()> {
    let indent = width(label);
    let room = room().map_or(usize::MAX, |room| room.saturating_sub(indent));
    let mut label = label;
    wrapped(&sanitize(text), room)
        .iter()
        .try_for_each(|line| writeln!(out, "{:indent$}{}", std::mem::take(&mut label), line.trim_end()))
}

/// A text in lines of `room` columns. A word that has no room in one, an id perhaps, stays whole.
fn wrapped(text: &str, room: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if width(line).saturating_add(1 + width(word)) <= room => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    const ID: &str = "unique_id";

    fn printed(table: &Table, room: Option<usize>) -> (String, Vec<String>) {
        let mut out = Vec::new();
        let left_out = write(table, Sheet { room, has_colours: false }, &mut out).expect("written");
        (String::from_utf8(out).expect("text"), left_out)
    }

    fn widest(text: &str) -> usize {
        text.lines().map(width).max().unwrap_or_default()
    }

    /// Nodes as `ls` lists them.
    fn nodes() -> Table {
        let row = |name: &str, description: &str| {
            let id = format!("model.mini_shop.{name}");
            let at = "2026-11-28T01:13:03.294Z";
            vec![
                json!(id),
                json!("incremental"),
                json!("success"),
                json!(at),
                json!("The Finance Team"),
                json!(description),
            ]
        };
        let columns = [ID, "materialization", "last_run_status", "last_run_at", "owner_name", "description"];
        let long =
            "One row per order, with what was paid for it, by whom and when, and whether it was sent back. ".repeat(4);
        Table::new(
            columns,
            vec![row("orders", &long), row("stg_payments", "Short."), row("stg_orders_of_last_year", "")],
        )
    }

    #[test]
    fn a_pipe_gets_everything_and_one_long_cell_moves_no_other_line() {
        let (text, left_out) = printed(&nodes(), None);
        assert!(left_out.is_empty() && text.contains("2026-11-28T01:13:03.294Z"), "{text}");
        assert_eq!(text.lines().count(), 4, "{text}");
        let long = "x".repeat(90);
        let rows = vec![vec![json!("a"), json!("b")], vec![json!(long), json!("c")], vec![json!("abc"), Value::Null]];
        let (text, _) = printed(&Table::new([ID, "name"], rows), None);
        assert_eq!(text, format!(" UNIQUE_ID  NAME\n a          b\n {long}  c\n abc\n"));
    }

    #[test]
    fn a_wide_terminal_shows_all_columns_and_folds_free_text() {
        let (text, left_out) = printed(&nodes(), Some(200));
        assert!(left_out.is_empty() && widest(&text) <= 200, "{text}");
        assert!(text.contains("model.mini_shop.stg_orders_of_last_year") && text.contains('…'), "{text}");
        assert_eq!(text.lines().count(), 1 + 3 + 2, "{text}");
    }

    #[test]
    fn a_narrower_one_shortens_times_and_ids_but_tells_them_apart() {
        let (text, left_out) = printed(&nodes(), Some(120));
        assert!(left_out.is_empty() && widest(&text) <= 120, "{text}");
        assert!(text.contains("11-28T01:13Z") && !text.contains("2026"), "{text}");
        assert!(
            text.contains("shop.orders ") && text.contains("stg_payments") && text.contains("of_last_year"),
            "{text}"
        );
    }

    #[test]
    fn what_matters_least_is_left_out_and_told() {
        let (text, left_out) = printed(&nodes(), Some(80));
        assert_eq!(left_out, ["materialization", "owner_name"], "{text}");
        assert!(widest(&text) <= 80 && text.starts_with(" UNIQUE_ID"), "{text}");
    }

    #[test]
    fn where_no_table_fits_each_row_is_a_block() {
        let (text, left_out) = printed(&nodes(), Some(50));
        assert!(left_out.is_empty() && widest(&text) <= 50, "{text}");
        assert!(
            text.starts_with(" unique_id        model.mini_shop.orders\n materialization  incremental\n"),
            "{text}"
        );
        assert!(text.contains("\n\n unique_id        model.mini_shop.stg_payments\n"), "{text}");
    }

    #[test]
    fn states_have_colours_that_move_nothing() {
        let table = Table::new([ID, "status", "failures"], vec![vec![json!("error"), json!("error"), json!(3)]]);
        let mut out = Vec::new();
        write(&table, Sheet { room: None, has_colours: true }, &mut out).expect("written");
        let text = String::from_utf8(out).expect("text");
        assert_eq!(text, " UNIQUE_ID  STATUS  FAILURES\n error      \u{1b}[31merror\u{1b}[0m          3\n");
    }

    #[test]
    fn sentences_are_broken_between_words_and_ids_stay_whole() {
        assert_eq!(wrapped("one two model.shop.orders x", 9), ["one two", "model.shop.orders", "x"]);
        assert_eq!(wrapped("one  two", usize::MAX), ["one  two"]);
    }

    fn cells() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<i32>().prop_map(Value::from),
            "(model|source)\\.[a-z]{1,12}\\.[a-z_]{1,60}".prop_map(Value::from),
            "([a-zü表😀]{1,14} ){0,40}".prop_map(Value::from),
            Just(Value::from("2026-11-28T01:13:03.294Z")),
        ]
    }

    fn tables() -> impl Strategy<Value = Table> {
        let names =
            ["unique_id", "status", "description", "before", "owner_name", "edge_count", "since", "last_run_status"];
        let columns = proptest::sample::subsequence(names.to_vec(), 1..=names.len());
        columns.prop_flat_map(|names| {
            let row = proptest::collection::vec(cells(), names.len());
            proptest::collection::vec(row, 0..8).prop_map(move |rows| Table::new(names.clone(), rows))
        })
    }

    proptest! {
        #[test]
        fn every_line_fits_and_every_header_is_whole(table in tables(), room in 30_usize..240) {
            let (text, left_out) = printed(&table, Some(room));
            prop_assert!(widest(&text) <= room, "{room}\n{text}");
            let is_table = fit(&Column::all(&table), Some(room)).is_some();
            prop_assert!(!is_table || text.lines().count() <= 1 + 3 * table.rows.len(), "{room}\n{text}");
            let words: Vec<&str> = text.lines().next().unwrap_or_default().split_whitespace().collect();
            for name in table.names().filter(|name| is_table && !left_out.iter().any(|it| it == name)) {
                prop_assert!(words.contains(&name.to_uppercase().as_str()), "{name} at {room}\n{text}");
            }
        }
    }
}
