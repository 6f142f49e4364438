//! Which rows of a view an address asks for: its filters, read by what the columns can hold.

use serde_json::Value;

use super::problem::Problem;
use super::query::{self, Query};
use crate::answers::{Column, Kind, Question, Reader, View};
use crate::time::Timestamp;

/// So many rows are on a page where nothing is said.
pub(super) const DEFAULT_LIMIT: usize = 500;

/// So many at most.
pub(super) const MAX_LIMIT: usize = 5000;

/// The parameters that may be repeated: any of their values is meant.
pub(super) fn names(view: &View) -> Vec<&'static str> {
    ["environment", "select", "exclude"].into_iter().chain(view.filters().map(|column| column.name)).collect()
}

/// What is asked of the view, as far as that can be told without the catalog.
pub(super) fn question(view: &View, query: &Query) -> Result<Question, Problem> {
    let mut question = Question { limit: Some(query.limit(DEFAULT_LIMIT, MAX_LIMIT)?), ..Question::default() };
    for column in view.filters() {
        let values: Vec<Value> = query.all(column.name).map(|text| value(column, text)).collect::<Result<_, _>>()?;
        question = question.only(column.name, &values);
    }
    if view.resolved_node().is_some() {
        question.after_revision = query.number("after_revision", 0)?;
    }
    // How long ago something was is counted from the moment that is asked for.
    let now = query.as_of()?.unwrap_or_else(Timestamp::now);
    let time = |name: &str, end_of_day: bool| {
        let time = query.get(name).map(|text| Timestamp::of_people(text, now, end_of_day));
        time.transpose().map_err(Problem::Bad)
    };
    (question.since, question.until) = (time("since", false)?, time("until", true)?);
    question.after = after(view, query)?;
    Ok(question)
}

/// Adds what only the catalog knows: its environments, and the nodes that selectors choose.
pub(super) fn narrow(question: &mut Question, query: &Query, reader: &Reader) -> Result<(), Problem> {
    let ids: Vec<i64> = query.environment_ids(reader)?.into_iter().collect();
    match ids.as_slice() {
        [] => {}
        [id] => question.environment_id = Some(*id),
        ids => question.equal.push(("environment_id", ids.iter().copied().map(Value::from).collect())),
    }
    question.chosen = query.chosen(reader, question.environment_id)?;
    Ok(())
}

/// The key of the row after which to begin.
fn after(view: &View, query: &Query) -> Result<Option<Vec<Value>>, Problem> {
    if view.has_span() {
        return Ok(query.number("after", 0)?.map(|seq| vec![seq.into()]));
    }
    let wrong =
        || Problem::Bad("`after` is not from a `Link` header of this view: follow that, or leave it out".to_owned());
    query.get("after").map(|text| query::key(text, view.key.len()).ok_or_else(wrong)).transpose()
}

/// The value of a filter, if its column can hold that.
fn value(column: &Column, text: &str) -> Result<Value, Problem> {
    let name = column.name;
    match column.kind {
        Kind::Word(words) if !words.contains(&text) => {
            Err(Problem::Bad(format!("`{name}` is never `{text}`, but one of {}", words.join(", "))))
        }
        Kind::Flag => match text {
            "1" | "true" => Ok(1.into()),
            "0" | "false" => Ok(0.into()),
            _ => Err(Problem::Bad(format!("`{name}` is never `{text}`, but one of 0, 1, false, true"))),
        },
        Kind::Integer => Ok(query::number(name, text, 0)?.into()),
        _ if text.is_empty() => Err(Problem::Bad(format!("`{name}` is never empty: give a value, or leave it out"))),
        _ => Ok(text.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answers::view;

    #[test]
    fn a_filter_takes_what_its_column_can_hold() {
        let of = |name: &str, column: &str, text: &str| {
            value(view(name).and_then(|view| view.column(column)).expect("a column"), text)
        };
        for (view, column, text, expected) in [
            ("nodes", "resource_type", "model", Value::from("model")),
            ("freshness", "needs_run", "true", 1.into()),
            ("freshness", "needs_run", "0", 0.into()),
            ("changes", "sync_id", "7", 7.into()),
            ("nodes", "name", "7", "7".into()),
        ] {
            assert_eq!(of(view, column, text).expect(text), expected);
        }
        for (view, column, text, told) in [
            ("nodes", "resource_type", "modle", "one of model, "),
            ("nodes", "resource_type", "", "one of model, "),
            ("freshness", "needs_run", "2", "one of 0, 1, false, true"),
            ("freshness", "needs_run", "yes", "one of 0, 1, false, true"),
            ("changes", "sync_id", "one", "a whole number of at least 0"),
            ("changes", "sync_id", "-1", "a whole number of at least 0"),
            ("changes", "sync_id", "1.5", "a whole number of at least 0"),
            ("nodes", "name", "", "never empty"),
        ] {
            assert!(
                matches!(of(view, column, text), Err(Problem::Bad(detail)) if detail.contains(told)),
                "{column}={text}"
            );
        }
    }
}
