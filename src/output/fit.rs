//! Which columns a table for people has, and how wide they are, so that it fits: first times are made shorter and free text is folded, then
//! ids and long words are shortened, then columns are left out.

use super::cell::width;
use super::column::{Column, Role, Times};

/// Columns that may be left out, the least important first.
const LEAST: [&str; 23] = [
    "edge_count",
    "project_name",
    "resource_type",
    "layer",
    "inherited",
    "placeholders",
    "unknown",
    "applied_at",
    "oldest_upstream_id",
    "worst_upstream_id",
    "last_built_at",
    "commit",
    "took",
    "cause",
    "materialization",
    "failures",
    "max_loaded_at",
    "owner_name",
    "matched_fields",
    "changed_at",
    "last_run_at",
    "since",
    "parent_id",
];

/// Between two columns.
pub(super) const GAP: usize = 2;

/// Before the first one.
pub(super) const MARGIN: usize = 1;

/// Where nothing has to fit, one long cell does not move what stands in other lines further than this.
const FAR: usize = 60;

/// A table that fits.
#[derive(Debug)]
pub(super) struct Fitted {
    /// Its columns, each with its width.
    pub(super) columns: Vec<(Column, usize)>,
    /// The names of those that are left out.
    pub(super) left_out: Vec<String>,
}

/// Fits the columns into `room`; `None` if there is no way but to print each row as a block.
pub(super) fn fit(columns: &[Column], room: Option<usize>) -> Option<Fitted> {
    let Some(room) = room else { return Some(unbounded(columns)) };
    for times in [Times::Whole, Times::Minutes, Times::Days] {
        let columns: Vec<Column> = columns.iter().map(|column| column.with(times)).collect();
        let widths: Vec<usize> = columns.iter().map(Column::widest).collect();
        if total(&widths) <= room {
            return Some(Fitted { columns: columns.into_iter().zip(widths).collect(), left_out: Vec::new() });
        }
    }
    let columns: Vec<Column> = columns.iter().map(|column| column.with(Times::Days)).collect();
    narrowed(columns, room)
}

/// As wide as it needs; the last column pads nothing.
fn unbounded(columns: &[Column]) -> Fitted {
    let near = |column: &Column| column.cells.iter().map(|cell| width(cell)).filter(|width| *width <= FAR).max();
    let padded = |column: &Column| near(column).unwrap_or_default().max(width(&column.header()));
    Fitted { columns: columns.iter().map(|column| (column.clone(), padded(column))).collect(), left_out: Vec::new() }
}

/// Shortens what can be, and leaves out columns only where that is not enough.
fn narrowed(mut columns: Vec<Column>, room: usize) -> Option<Fitted> {
    let mut left_out = Vec::new();
    let mut least = LEAST.iter();
    loop {
        if let Some(widths) = widths(&columns, room) {
            return Some(Fitted { columns: columns.into_iter().zip(widths).collect(), left_out });
        }
        // What stands first says what a row is of.
        let place = least.find_map(|name| columns.iter().skip(1).position(|column| column.name == **name))?;
        left_out.push(columns.remove(place + 1).name);
    }
}

/// How wide the columns are in `room`, if they can be: what has to give way first does, and each only as far as it must.
fn widths(columns: &[Column], room: usize) -> Option<Vec<usize>> {
    let bounds = |bound: fn(&Column) -> (usize, usize)| columns.iter().map(bound).collect::<Vec<_>>();
    let both = bounds(|column| (column.comfortable(), column.widest()));
    let words = bounds(|column| match column.role {
        Role::Text => (column.comfortable(), column.comfortable()),
        _ => (column.narrowest(), column.comfortable()),
    });
    let tight = bounds(|column| (column.tight(), column.comfortable()));
    let all = bounds(|column| (column.narrowest(), column.tight()));
    [both, words, tight, all].iter().find_map(|bounds| shared(bounds, room))
}

/// Shares `room` among columns that need and want so much: the widest give way first.
fn shared(bounds: &[(usize, usize)], room: usize) -> Option<Vec<usize>> {
    let at = |level: usize| bounds.iter().map(|(least, most)| level.clamp(*least, *most)).collect::<Vec<_>>();
    let level = (0..=room).rev().find(|level| total(&at(*level)) <= room)?;
    let mut widths = at(level);
    let mut rest = room - total(&widths);
    for (width, (_, most)) in widths.iter_mut().zip(bounds) {
        let more = usize::from(rest > 0 && *width < *most && *width == level);
        *width += more;
        rest -= more;
    }
    Some(widths)
}

/// How wide a line is.
fn total(widths: &[usize]) -> usize {
    MARGIN + widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::answers::Table;

    #[test]
    fn ids_give_way_before_free_text_gets_narrow() {
        let row = |name: &str| {
            vec![json!(format!("model.mini_shop.{name}_by_day_and_customer_{name}")), json!("word ".repeat(40))]
        };
        let table = Table::new(["unique_id", "message"], vec![row("orders"), row("payments")]);
        let widths = |room| {
            let fitted = fit(&Column::all(&table), Some(room)).expect("a table");
            fitted.columns.iter().map(|(_, width)| *width).collect::<Vec<_>>()
        };
        assert_eq!(widths(120), [53, 64], "ids are whole where text has room");
        assert_eq!(widths(80), [37, 40]);
        assert_eq!(widths(55), [20, 32]);
        assert_eq!(widths(40), [16, 21]);
    }

    #[test]
    fn room_is_shared_among_the_widest() {
        assert_eq!(shared(&[(5, 50), (5, 50), (2, 8)], 50), Some(vec![19, 18, 8]));
        assert_eq!(shared(&[(30, 50), (30, 50)], 50), None);
    }
}
