//! The rows of a view that somebody asks for: the one way to them, for lists, pages and the feed.

use rusqlite::params_from_iter;
use rusqlite::types::Value as Bound;
use serde_json::Value;

use super::table::{cells, head};
use super::{Chosen, Error, Found, Reader, Table, View, view};
use crate::time::Timestamp;

/// A page ends early where its text passes this many bytes, so that what one answer holds in memory is bounded.
const PAGE_BYTES: usize = 4 << 20;

/// In which order rows come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    /// In that of the view's key, from a row on: page by page.
    #[default]
    Key,
    /// As people want them.
    Listed,
    /// In that of the key, the last ones if there are too many.
    Last,
}

/// Which rows of a view are wanted.
#[derive(Debug, Default)]
pub struct Question {
    /// Only of this environment.
    pub environment_id: Option<i64>,
    /// Only of these nodes.
    pub chosen: Option<Chosen>,
    /// Of changes: only those that were committed at this time or later.
    pub since: Option<Timestamp>,
    /// Of changes: only those that were committed at this time or earlier.
    pub until: Option<Timestamp>,
    /// Columns, and what they must be equal to (any of it): numbers or texts.
    pub equal: Vec<(&'static str, Vec<Value>)>,
    /// The key of the row after which to begin: as many values as the view's key has columns.
    pub after: Option<Vec<Value>>,
    /// At most so many rows.
    pub limit: Option<usize>,
    /// In which order.
    pub order: Order,
}

impl Question {
    /// All rows of an environment (or of each), as people want them.
    pub fn of(environment_id: Option<i64>) -> Self {
        Self { environment_id, order: Order::Listed, ..Self::default() }
    }

    /// Only rows that have one of `words` in a column; no word means any.
    pub fn only<T: Clone + Into<Value>>(mut self, column: &'static str, words: &[T]) -> Self {
        if !words.is_empty() {
            self.equal.push((column, words.iter().cloned().map(Into::into).collect()));
        }
        self
    }
}

/// Some rows of a view.
#[derive(Debug)]
pub struct Page {
    /// The rows.
    pub table: Table,
    /// The key of the last one, if more follow.
    pub next: Option<Vec<Value>>,
}

impl Reader {
    /// The rows that `question` asks for.
    pub fn page(&self, view: &View, question: &Question) -> Result<Page, Error> {
        let limit = question.limit.unwrap_or(usize::MAX);
        let is_page = question.order == Order::Key && question.limit.is_some();
        let most = if is_page { PAGE_BYTES } else { usize::MAX };
        let (conditions, values) = conditions(view, question);
        let mut statement = self.connection.prepare(&sql(view, question, &conditions))?;
        let mut found = Table { columns: head(view), rows: Vec::new() };
        let (mut bytes, mut more) = (0, false);
        let mut rows = statement.query(params_from_iter(values))?;
        while let Some(row) = rows.next()? {
            if found.rows.len() >= limit || bytes > most {
                more = true;
                break;
            }
            let cells = cells(row, found.columns.len())?;
            bytes += cells.iter().map(|value| value.as_str().map_or(8, str::len)).sum::<usize>();
            found.rows.push(cells);
        }
        let last = found.iter().last().filter(|_| more);
        // '' stands for NULL: no view has an empty text in a key.
        let cell = |value: &Value| if value.is_null() { "".into() } else { value.clone() };
        let next = last.map(|row| view.key.iter().map(|name| cell(row.get(name))).collect());
        Ok(Page { table: found, next })
    }

    /// The rows of the view called `name`, as [`Reader::page`].
    pub fn rows(&self, name: &str, question: &Question) -> Result<Table, Error> {
        Ok(self.page(named(name)?, question)?.table)
    }

    /// The rows of the view called `name` that are of one node, as people want them.
    pub fn rows_of(&self, name: &str, node: &Found) -> Result<Table, Error> {
        let id = [node.unique_id.as_str()];
        self.rows(name, &Question::of(Some(node.environment_id)).only("unique_id", &id))
    }

    /// How many rows `question` asks for, without its limit.
    pub fn count(&self, name: &str, question: &Question) -> Result<usize, Error> {
        let (conditions, values) = conditions(named(name)?, question);
        let sql = format!("SELECT count(*) FROM {name} WHERE {conditions}");
        let count: i64 = self.connection.query_row(&sql, params_from_iter(values), |row| row.get(0))?;
        Ok(usize::try_from(count).unwrap_or_default())
    }
}

fn named(name: &str) -> Result<&'static View, Error> {
    view(name).ok_or_else(|| Error::Question(format!("there is no view `{name}`")))
}

/// Names come from the view only; whatever was asked is bound. One row more than the limit tells whether more follow.
fn sql(view: &View, question: &Question, conditions: &str) -> String {
    let limit = question.limit.map_or(-1, |limit| i64::try_from(limit).unwrap_or(i64::MAX));
    let from = format!("SELECT * FROM {} WHERE {conditions}", view.name);
    let key = key(view);
    match question.order {
        _ if view.key.is_empty() => from,
        Order::Last => {
            let (down, up) = (key.join(" DESC, "), key.join(", "));
            format!("SELECT * FROM ({from} ORDER BY {down} DESC LIMIT {limit}) ORDER BY {up}")
        }
        Order::Listed if !view.listed.is_empty() => format!("{from} ORDER BY {}", view.listed),
        _ => format!("{from} ORDER BY {} LIMIT {}", key.join(", "), limit.saturating_add(i64::from(limit >= 0))),
    }
}

fn key(view: &View) -> Vec<String> {
    let term = |name: &&str| match view.may_be_null.contains(name) {
        true => format!("coalesce({name}, '')"),
        false => (*name).to_owned(),
    };
    view.key.iter().map(term).collect()
}

fn conditions(view: &View, question: &Question) -> (String, Vec<Bound>) {
    let Question { environment_id, chosen, since, until, equal, after, limit: _, order: _ } = question;
    let (mut conditions, mut values) = (vec!["TRUE".to_owned()], Vec::new());
    if let Some(id) = environment_id {
        conditions.push("environment_id = ?".to_owned());
        values.push(Bound::Integer(*id));
    }
    if let Some(chosen) = chosen {
        conditions.push("environment_id || ' ' || unique_id IN (SELECT value FROM json_each(?))".to_owned());
        values.push(Bound::Text(chosen.to_json()));
    }
    for (time, condition) in [(since, "changed_at >= ?"), (until, "changed_at <= ?")] {
        if let Some(time) = time {
            conditions.push(condition.to_owned());
            values.push(Bound::Text(time.to_string()));
        }
    }
    for (column, any) in equal {
        conditions.push(format!("{column} IN ({})", vec!["?"; any.len()].join(", ")));
        values.extend(any.iter().map(bound));
    }
    if let Some(after) = after {
        conditions.push(format!("({}) > ({})", key(view).join(", "), vec!["?"; view.key.len()].join(", ")));
        values.extend(after.iter().map(bound));
    }
    (conditions.join(" AND "), values)
}

fn bound(value: &Value) -> Bound {
    match (value.as_i64(), value.as_str()) {
        (Some(number), _) => Bound::Integer(number),
        (None, Some(text)) => Bound::Text(text.to_owned()),
        (None, None) => Bound::Text(String::new()),
    }
}
