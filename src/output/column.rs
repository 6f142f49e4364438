//! What stands in a column of a table for people, told by its name and its cells; and how narrow it may become.

use std::collections::BTreeSet;

use serde_json::Value;

use super::cell::{Cut, shortened, width};
use super::sanitize;
use crate::answers::Table;

/// Columns of free text.
const TEXTS: [&str; 15] = [
    "description",
    "comment",
    "message",
    "context",
    "reason",
    "reasons",
    "error",
    "last_run_error",
    "warnings",
    "before",
    "after",
    "missing",
    "tests",
    "expression",
    "granularities",
];

/// A text that is longer, and has blanks, is free text whatever its column is called; an id that is longer is a test's.
const LONG: usize = 60;

/// Free text is not made narrower than this before something else is.
const COMFORTABLE: usize = 40;

/// Nor than this before ids and long words are as short as can be.
const TIGHT: usize = 32;

/// A word of free text is not broken if it is not longer.
const WORD: usize = 24;

/// What is not longer is not shortened.
const SHORT: usize = 16;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Numbers, shares and percentages, which are compared by their ends.
    Figure,
    /// Times.
    Time,
    /// Ids, names, and other words.
    Word(Cut),
    /// Free text.
    Text,
}

/// How much of a time is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Times {
    /// As in JSON.
    Whole,
    /// Without seconds.
    Minutes,
    /// Without the year, too, where it is the same in all rows.
    Days,
}

/// A column for people.
#[derive(Debug, Clone)]
pub(super) struct Column {
    /// Its name, as the table has it.
    pub(super) name: String,
    /// What it holds.
    pub(super) role: Role,
    /// Its cells as text that is inert; empty where there is nothing.
    pub(super) cells: Vec<String>,
}

impl Column {
    /// The columns of a table.
    pub(super) fn all(table: &Table) -> Vec<Self> {
        let column = |(place, name): (usize, &str)| {
            let values = || table.rows.iter().map(|row| &row[place]);
            let cells: Vec<String> = values().map(text).collect();
            let role = if values().any(Value::is_number) && !values().any(Value::is_string) {
                Role::Figure
            } else {
                role(name, &cells)
            };
            Self { name: name.to_owned(), role, cells }
        };
        table.names().enumerate().map(column).collect()
    }

    /// What stands above it.
    pub(super) fn header(&self) -> String {
        self.name.to_uppercase()
    }

    /// True if its words tell how something is.
    pub(super) fn is_state(&self) -> bool {
        ["status", "outcome"].iter().any(|end| self.name.ends_with(end))
    }

    /// How wide it is if nothing is shortened.
    pub(super) fn widest(&self) -> usize {
        self.cells.iter().map(|cell| width(cell)).fold(width(&self.header()), usize::max)
    }

    /// How wide it is to be if free text is folded, and only what is very long is shortened.
    pub(super) fn comfortable(&self) -> usize {
        let least = if self.role == Role::Text { COMFORTABLE } else { LONG };
        self.widest().min(least).max(self.narrowest())
    }

    /// How wide it is to be if only free text keeps some room.
    pub(super) fn tight(&self) -> usize {
        if self.role == Role::Text { self.comfortable().min(TIGHT.max(self.narrowest())) } else { self.narrowest() }
    }

    /// How wide it must be, so that its header is whole, and its cells are told apart if they are.
    pub(super) fn narrowest(&self) -> usize {
        let (header, widest) = (width(&self.header()), self.widest());
        let least = match self.role {
            Role::Figure | Role::Time => widest,
            Role::Text => widest.min(SHORT).max(self.longest_word().min(WORD)),
            Role::Word(cut) => self.distinct(cut, widest.min(SHORT), widest),
        };
        least.max(header)
    }

    fn longest_word(&self) -> usize {
        self.cells.iter().flat_map(|cell| cell.split(' ')).map(width).max().unwrap_or_default()
    }

    /// The least width, from `least` to `most`, at which different cells are still different. What differs at one differs at any that is more.
    fn distinct(&self, cut: Cut, least: usize, most: usize) -> usize {
        let cells: BTreeSet<&String> = self.cells.iter().collect();
        let differ = |room: usize| {
            let short: BTreeSet<_> = cells.iter().map(|cell| shortened(cell, room, cut)).collect();
            short.len() == cells.len()
        };
        let (mut low, mut high) = (least, most);
        while low < high {
            let middle = low.midpoint(high);
            if differ(middle) { high = middle } else { low = middle + 1 }
        }
        low
    }

    /// The same with so much of its times.
    pub(super) fn with(&self, times: Times) -> Self {
        let year = self.cells.iter().find_map(|cell| cell.get(..4)).unwrap_or_default();
        let is_one_year = self.cells.iter().all(|cell| cell.is_empty() || cell.starts_with(year));
        let from = if times == Times::Days && is_one_year { 5 } else { 0 };
        let short = |cell: &String| cell.get(from..16).map_or(cell.clone(), |time| format!("{time}Z"));
        let cells = match (self.role, times) {
            (Role::Time, Times::Minutes | Times::Days) => self.cells.iter().map(short).collect(),
            _ => self.cells.clone(),
        };
        Self { cells, ..self.clone() }
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => sanitize(text).into_owned(),
        number => number.to_string(),
    }
}

fn role(name: &str, cells: &[String]) -> Role {
    let all =
        |is: fn(&str) -> bool| cells.iter().any(|cell| is(cell)) && cells.iter().all(|it| it.is_empty() || is(it));
    let is_id = name.ends_with("_id") || name.ends_with("name") || name.ends_with("path");
    if all(is_time) {
        Role::Time
    } else if TEXTS.contains(&name) || cells.iter().any(|cell| cell.contains(' ') && width(cell) > LONG) {
        Role::Text
    } else if is_id {
        Role::Word(Cut::Beginning)
    } else if all(is_figure) {
        Role::Figure
    } else {
        Role::Word(Cut::Middle)
    }
}

/// True for a time as JSON has it.
fn is_time(text: &str) -> bool {
    text.len() == 24
        && text.ends_with('Z')
        && text.as_bytes()[10] == b'T'
        && text.starts_with(|c: char| c.is_ascii_digit())
}

/// True for a figure, and for what stands in its place.
fn is_figure(text: &str) -> bool {
    matches!(text, "unknown" | "=") || text.chars().all(|c| c.is_ascii_digit() || "+-./% ".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, cells: &[&str]) -> Column {
        let cells: Vec<String> = cells.iter().map(|cell| (*cell).to_owned()).collect();
        Column { name: name.to_owned(), role: role(name, &cells), cells }
    }

    #[test]
    fn names_and_cells_tell_what_a_column_holds() {
        for (name, cells, expected) in [
            ("since", ["2026-11-28T01:13:03.294Z", ""], Role::Time),
            ("run_id", ["70403001", ""], Role::Word(Cut::Beginning)),
            ("documented", ["3/4 75%", "unknown"], Role::Figure),
            ("change", ["+1.5", "="], Role::Figure),
            ("took", ["65 s", "2 h"], Role::Word(Cut::Middle)),
            ("description", ["", ""], Role::Text),
            (
                "anything",
                ["a", "words, and so many of them that nobody takes them for a name of something"],
                Role::Text,
            ),
        ] {
            assert_eq!(column(name, &cells).role, expected, "{name}");
        }
    }

    #[test]
    fn times_lose_their_year_only_where_it_is_one() {
        let one = column("since", &["2026-11-28T01:13:03.294Z", ""]);
        assert_eq!(one.with(Times::Minutes).cells, ["2026-11-28T01:13Z", ""]);
        assert_eq!(one.with(Times::Days).cells, ["11-28T01:13Z", ""]);
        let two = column("since", &["2026-11-28T01:13:03.294Z", "2025-11-28T01:13:03.294Z"]);
        assert_eq!(two.with(Times::Days).cells, ["2026-11-28T01:13Z", "2025-11-28T01:13Z"]);
    }

    #[test]
    fn ids_stay_as_long_as_tells_them_apart() {
        let apart = column("unique_id", &["model.mini_shop.stg_orders", "model.mini_shop.stg_payments"]);
        assert_eq!(apart.narrowest(), 16);
        let alike =
            column("unique_id", &["model.one_shop.all_orders_of_customers", "model.two_shop.all_orders_of_customers"]);
        assert_eq!(alike.narrowest(), "…e_shop.all_orders_of_customers".chars().count());
        assert_eq!(column("last_run_status", &["ok"]).narrowest(), 15, "a header is whole");
    }
}
