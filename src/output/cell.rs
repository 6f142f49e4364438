//! The text of one cell: how wide it is, and how it gets narrower.

use std::borrow::Cow;

use comfy_table::{ColumnConstraint, ContentArrangement, Row, Table as TextTable, TableStyle, Width};

/// So many lines of free text are shown.
const HEIGHT: usize = 3;

/// Where something is left out of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    /// At its beginning: the ends of ids differ, and say what they name.
    Beginning,
    /// In its middle.
    Middle,
}

/// How many columns of a terminal a text takes.
pub(super) fn width(text: &str) -> usize {
    if text.is_ascii() {
        return text.len();
    }
    let mut table = TextTable::new();
    table.add_row([text]);
    table.column_max_content_widths().first().map_or(0, |width| usize::from(*width))
}

/// A text in `room` columns; `…` stands for what is left out.
pub(super) fn shortened(text: &str, room: usize, cut: Cut) -> Cow<'_, str> {
    if width(text) <= room {
        return Cow::Borrowed(text);
    }
    let kept = room.saturating_sub(1);
    let before = if cut == Cut::Middle { kept / 2 } else { 0 };
    Cow::Owned(format!("{}…{}", beginning(text, before), end(text, kept - before)))
}

/// As much of the beginning of a text as has room.
fn beginning(text: &str, room: usize) -> &str {
    let ends = text.char_indices().map(|(place, c)| place + c.len_utf8()).take(room);
    ends.map(|end| &text[..end]).take_while(|part| width(part) <= room).last().unwrap_or_default()
}

/// As much of the end of a text as has room.
fn end(text: &str, room: usize) -> &str {
    let starts = text.char_indices().rev().map(|(place, _)| place).take(room);
    starts.map(|start| &text[start..]).take_while(|part| width(part) <= room).last().unwrap_or_default()
}

/// A text in lines that have room, broken between words; `…` stands for what no line has room for.
pub(super) fn folded(text: &str, room: usize) -> Vec<String> {
    if width(text) <= room {
        return vec![text.to_owned()];
    }
    let mut table = TextTable::new();
    table.load_style(TableStyle::new()).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_truncation_indicator("…");
    let mut row = Row::from([text.trim()]);
    row.max_height(HEIGHT);
    table.add_row(row);
    for column in table.column_iter_mut() {
        column.set_padding((0, 0));
        column.set_constraint(ColumnConstraint::Absolute(Width::Fixed(u16::try_from(room).unwrap_or(u16::MAX))));
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tells_ids_apart_is_kept() {
        assert_eq!(shortened("model.mini_shop.orders", 16, Cut::Beginning), "…ini_shop.orders");
        assert_eq!(shortened("model.mini_shop.orders", 16, Cut::Middle), "model.m…p.orders");
        assert_eq!(shortened("model.mini_shop.orders", 22, Cut::Beginning), "model.mini_shop.orders");
        assert_eq!(shortened("表表表表", 6, Cut::Beginning), "…表表", "a wide sign has no half");
    }

    #[test]
    fn text_is_folded_between_words_into_three_lines() {
        assert_eq!(folded("one two three", 8), ["one two", "three"]);
        let long = folded("one two three four five six seven eight", 8);
        assert_eq!(long.len(), 3, "{long:?}");
        assert!(long[2].ends_with('…') && long.iter().all(|line| width(line) <= 8), "{long:?}");
        assert_eq!(folded("表表表 表表表", 6), ["表表表", "表表表"]);
    }
}
