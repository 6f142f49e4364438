//! The rows of a view that somebody asks for: the one way to them, for lists, pages and the feed.

use rusqlite::params_from_iter;
use rusqlite::types::Value as Bound;
use serde_json::Value;

use super::table::cells;
use super::{Chosen, Column, Error, Found, Head, Reader, Table, View, view};
use crate::time::Timestamp;

/// A page ends early where its text passes this many bytes, so that what one answer holds in memory is bounded.
const PAGE_BYTES: usize = 1 << 20;

/// The feed is read by `seq`: the bounds of what was committed in a time, so that the rest of the history is not looked at.
const FROM: &str = "seq >= (SELECT min((SELECT min(c.seq) FROM change c WHERE c.sync_id = s.sync_id))
    FROM sync s WHERE s.finished_at >= ?)";
const TO: &str = "seq <= (SELECT max((SELECT max(c.seq) FROM change c WHERE c.sync_id = s.sync_id))
    FROM sync s WHERE s.finished_at <= ?)";

/// A view of pairs of nodes: the column with the node by which its pages go, how many rows each has at least, and which have any.
pub(super) struct Pairs {
    view: &'static str,
    column: &'static str,
    count: &'static str,
    has_any: &'static str,
}

const PAIRS: [Pairs; 3] = [
    Pairs {
        view: "lineage",
        column: "descendant_id",
        // Where pairs are walked, `reach` does not have all of them.
        count: "max(1, (SELECT count(*) FROM reach WHERE descendant_key = n.node_key))",
        has_any:
            "n.resource_type NOT IN ('test', 'unit_test', 'group')
                  AND EXISTS (SELECT 1 FROM edge e JOIN node p ON p.node_key = e.parent_key
                              WHERE e.child_key = n.node_key AND p.resource_type NOT IN ('test', 'unit_test', 'group'))",
    },
    Pairs {
        view: "column_lineage",
        column: "child_id",
        count: "(SELECT count(*) FROM column_origin WHERE child_key = n.node_key)",
        has_any: "n.resource_type IN ('model', 'snapshot')",
    },
    Pairs {
        view: "column_uses",
        column: "child_id",
        count: "(SELECT count(*) FROM column_use WHERE child_key = n.node_key)",
        has_any: "n.resource_type IN ('model', 'snapshot')",
    },
];

impl Pairs {
    pub(super) fn of(view: &View) -> Option<&'static Self> {
        PAIRS.iter().find(|pairs| pairs.view == view.name)
    }

    /// The nodes after one, in the order of the pages, and how many rows they have.
    fn sql(&self) -> String {
        let Self { count, has_any, .. } = self;
        format!(
            "SELECT n.environment_id, n.unique_id, {count} FROM node n
             WHERE (n.environment_id, n.unique_id) > (?1, ?2) AND n.environment_id <= ?3 AND n.removed_at IS NULL AND {has_any}
             ORDER BY n.environment_id, n.unique_id"
        )
    }
}

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
    /// Of column lineage: only the rows of nodes whose revision is greater.
    pub after_revision: Option<i64>,
    /// The key of the row after which to begin: as many values as the view's key has columns.
    pub after: Option<Vec<Value>>,
    /// At most so many rows.
    pub limit: Option<usize>,
    /// In which order.
    pub order: Order,
    /// Only these columns, in this order; all of the view's if none is named. Not for pages, which end with a key.
    pub columns: &'static [&'static str],
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
        let (mut conditions, mut values) = conditions(view, question);
        let is_whole = question.equal.is_empty() && question.chosen.is_none() && question.after_revision.is_none();
        if let Some(pairs) = Pairs::of(view).filter(|_| is_page && is_whole) {
            let (until, last) = self.until(pairs, question, limit)?;
            conditions.push_str(&until);
            values.extend(last);
        }
        let mut statement = self.connection.prepare(&sql(view, question, &conditions))?;
        let mut found = Table { columns: columns(view, question).map(Head::from).collect(), rows: Vec::new() };
        let (mut bytes, mut more) = (0, false);
        let mut rows = statement.query(params_from_iter(values))?;
        while let Some(row) = rows.next()? {
            if found.rows.len() >= limit || bytes > most {
                more = true;
                break;
            }
            let cells = cells(row, found.columns.len())?;
            bytes += bytes_of(&cells);
            found.rows.push(cells);
        }
        let last = found.iter().last().filter(|_| more);
        // '' stands for NULL: no view has an empty text in a key.
        let cell = |value: &Value| if value.is_null() { "".into() } else { value.clone() };
        let next = last.map(|row| view.key.iter().map(|name| cell(row.get(name))).collect());
        Ok(Page { table: found, next })
    }

    /// Where the nodes lie that a page of pairs tells of, as a condition: beyond them there are more rows than the page has, and SQLite
    /// would sort all pairs for the first hundred. The node after which it begins may have rows left.
    fn until(&self, pairs: &Pairs, question: &Question, limit: usize) -> Result<(String, Vec<Bound>), Error> {
        let after: Vec<Bound> = question.after.iter().flatten().map(bound).collect();
        let mut first = match after.as_slice() {
            [environment_id, descendant, ..] => Some((environment_id.clone(), descendant.clone())),
            _ => None,
        };
        let mut last = first.clone();
        let begin = first.clone().unwrap_or((question.environment_id.unwrap_or(i64::MIN).into(), String::new().into()));
        let most = question.environment_id.unwrap_or(i64::MAX);
        let mut statement = self.connection.prepare_cached(&pairs.sql())?;
        let mut rows = statement.query((&begin.0, &begin.1, most))?;
        let mut told = 0;
        while let Some(row) = rows.next()? {
            last = Some((row.get(0)?, row.get(1)?));
            first = first.or_else(|| last.clone());
            told += row.get::<_, i64>(2)?;
            if usize::try_from(told).is_ok_and(|told| told > limit) {
                break;
            }
        }
        let Some((first, last)) = first.zip(last) else { return Ok((" AND FALSE".to_owned(), Vec::new())) };
        let column = pairs.column;
        Ok(if first.0 == last.0 {
            // Of one environment SQLite finds descendants by the index; with pairs of values it begins at the ancestors.
            (format!(" AND environment_id = ? AND {column} BETWEEN ? AND ?"), vec![last.0, first.1, last.1])
        } else {
            (format!(" AND (environment_id, {column}) <= (?, ?)"), vec![last.0, last.1])
        })
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

/// About how much memory the cells take.
pub(super) fn bytes_of(cells: &[Value]) -> usize {
    cells.iter().map(|value| value.as_str().map_or(8, str::len)).sum()
}

fn named(name: &str) -> Result<&'static View, Error> {
    view(name).ok_or_else(|| Error::Question(format!("there is no view `{name}`")))
}

pub(super) fn columns(view: &View, question: &Question) -> impl Iterator<Item = &'static Column> {
    let all = view.columns.iter().filter(|_| question.columns.is_empty());
    all.chain(question.columns.iter().filter_map(|name| view.column(name)))
}

/// Names come from the view only; whatever was asked is bound. One row more than the limit tells whether more follow.
pub(super) fn sql(view: &View, question: &Question, conditions: &str) -> String {
    let limit = question.limit.map_or(-1, |limit| i64::try_from(limit).unwrap_or(i64::MAX));
    let columns: Vec<&str> = columns(view, question).map(|column| column.name).collect();
    let from = format!("SELECT {} FROM {} WHERE {conditions}", columns.join(", "), view.name);
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

pub(super) fn conditions(view: &View, question: &Question) -> (String, Vec<Bound>) {
    let Question { environment_id, chosen, since, until, equal, after_revision, after, limit: _, order: _, columns: _ } =
        question;
    let (mut conditions, mut values) = (vec!["TRUE".to_owned()], Vec::new());
    if let Some(id) = environment_id {
        // `=` would have SQLite look through all syncs before the feed.
        conditions.push(format!("environment_id {} ?", if view.has_span() { "IS" } else { "=" }));
        values.push(Bound::Integer(*id));
    }
    if let Some(chosen) = chosen {
        // By the key, so that only those nodes are read.
        let ids = chosen.by_environment();
        let each = vec!["environment_id = ? AND unique_id IN (SELECT value FROM json_each(?))"; ids.len()];
        conditions.push(if ids.is_empty() { "FALSE".to_owned() } else { format!("({})", each.join(" OR ")) });
        values.extend(ids.into_iter().flat_map(|(environment_id, ids)| [environment_id.into(), ids.into()]));
    }
    for (time, condition, bound) in [(since, "changed_at >= ?", FROM), (until, "changed_at <= ?", TO)] {
        if let Some(time) = time {
            conditions.extend([condition.to_owned(), bound.to_owned()]);
            values.extend([Bound::Text(time.to_string()), Bound::Text(time.to_string())]);
        }
    }
    if let (Some(node), Some(revision)) = (view.resolved_node(), after_revision) {
        conditions.push(format!(
            "(environment_id, {node}) IN (SELECT environment_id, unique_id FROM column_lineage_status WHERE revision > ?)"
        ));
        values.push(Bound::Integer(*revision));
    }
    for (column, any) in equal {
        // By an index of environments SQLite would look through all syncs before the feed, as above.
        let plus = if view.has_span() && *column == "environment_id" { "+" } else { "" };
        conditions.push(format!("{plus}{column} IN ({})", vec!["?"; any.len()].join(", ")));
        values.extend(any.iter().map(bound));
    }
    if view.name == "health" && equal.iter().any(|(column, any)| *column == "status" && *any == ["degraded"]) {
        conditions.push("(environment_id, unique_id) IN (SELECT * FROM _may_be_degraded)".to_owned());
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    /// Models that stand on one source each, and have a test; and syncs that each changed ten of them, and found their health another.
    fn grown(models: i64, syncs: i64) -> Reader {
        let counted =
            |to: i64| format!("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {to})");
        let (models_sql, syncs_sql, changes) = (counted(models), counted(syncs), counted(10));
        let now = Timestamp::now();
        let node =
            "INSERT INTO node (node_key, environment_id, unique_id, resource_type, name, description, properties,
                        last_run_status, executed_at, checked_status, checked_at, max_loaded_at, first_seen_at,
                        last_changed_at, tested_id)";
        Reader::over(&format!(
            "INSERT INTO environment (environment_id, name) VALUES (1, 'prod');
             {node} {models_sql} SELECT i * 3, 1, printf('model.shop.m%05d', i), 'model', 'm' || i, 'words', '{{}}', 'success', '{now}',
                 NULL, NULL, NULL, '', '', NULL FROM n;
             {node} {models_sql} SELECT i * 3 + 1, 1, printf('source.shop.s%05d', i), 'source', 's' || i, 'words',
                 '{{\"freshness\":{{\"warn_after\":{{\"count\":9,\"period\":\"day\"}}}}}}', NULL, NULL, 'pass', '{now}', '{now}', '', '',
                 NULL FROM n;
             {node} {models_sql} SELECT i * 3 + 2, 1, printf('test.shop.t%05d', i), 'test', 't' || i, NULL, '{{}}', 'pass', NULL, NULL,
                 NULL, NULL, '', '', printf('model.shop.m%05d', i) FROM n;
             INSERT INTO reach (descendant_key, ancestor_key, depth) {models_sql} SELECT i * 3, i * 3 + 1, 1 FROM n;
             INSERT INTO edge (child_key, parent_key) {models_sql} SELECT i * 3, i * 3 + 1 FROM n;
             INSERT INTO column_origin (child_key, child_column, parent_key, parent_column, kind, is_listed)
                 {models_sql} SELECT i * 3, 'a', i * 3 + 1, 'a', 'passthrough', 1 FROM n;
             INSERT INTO column_use (child_key, parent_key, parent_column, clause)
                 {models_sql} SELECT i * 3, i * 3 + 1, 'a', 'filter' FROM n;
             INSERT INTO sync (sync_id, environment_id, trigger, mode, started_at, finished_at, outcome)
                 {syncs_sql} SELECT i, 1, 'cron', 'full', '', strftime('%Y-%m-%dT%H:%M:%fZ', '{now}', '-' || ({syncs} - i) || ' hours'),
                 'applied' FROM n;
             INSERT INTO change (sync_id, node_key, resource_type, kind, field)
                 {changes} SELECT s.sync_id, n.i * 3, 'model', 'changed', 'description' FROM sync s, n;
             INSERT INTO health_note (node_key, sync_id, changed_at, status, root_ids)
                 {changes} SELECT n.i * 3, s.sync_id, '', 'healthy', '[]' FROM sync s, n;"
        ))
    }

    /// What the page costs: the steps of SQLite's machine, of which each row that is looked at takes some.
    fn steps(reader: &mut Reader, name: &str, question: &Question) -> (u64, usize) {
        let steps = Arc::new(AtomicU64::new(0));
        let counting = Arc::clone(&steps);
        let count = move || {
            counting.fetch_add(1, Ordering::Relaxed);
            false
        };
        reader.connection.progress_handler(1, Some(count)).expect("set");
        let rows = reader.rows(name, question).expect("rows").rows.len();
        reader.connection.progress_handler(0, None::<fn() -> bool>).expect("set");
        (steps.load(Ordering::Relaxed), rows)
    }

    fn page_after(after: Value, key: &[Value]) -> Question {
        let after = key.iter().cloned().chain([after]).collect();
        Question { after: Some(after), limit: Some(20), ..Question::default() }
    }

    #[test]
    fn pages_of_lineage_miss_no_pair_whichever_way_it_is_kept() {
        let mut sql = String::new();
        // The second environment's pairs are walked.
        for (environment, longest_way) in [(1, "NULL"), (2, "4"), (3, "NULL")] {
            let key = |place: i64| environment * 100 + place;
            sql += &format!(
                "INSERT INTO environment (environment_id, name, longest_way) VALUES ({environment}, 'e{environment}', {longest_way});"
            );
            for place in 0..5 {
                sql += &format!(
                    "INSERT INTO node (node_key, environment_id, unique_id, resource_type, properties, first_seen_at, last_changed_at)
                     VALUES ({}, {environment}, 'model.shop.m{place}', 'model', '{{}}', '', '');",
                    key(place)
                );
                for above in (0..place).filter(|_| longest_way == "NULL") {
                    let depth = place - above;
                    sql += &format!("INSERT INTO reach VALUES ({}, {}, {depth});", key(place), key(above));
                }
                if place > 0 {
                    sql += &format!("INSERT INTO edge VALUES ({}, {});", key(place), key(place - 1));
                }
            }
        }
        let reader = Reader::over(&sql);
        for environment_id in [None, Some(1), Some(2)] {
            let whole = reader.rows("lineage", &Question { environment_id, ..Question::default() }).expect("rows").rows;
            assert_eq!(whole.len(), if environment_id.is_some() { 10 } else { 30 });
            for size in 1..12 {
                let (mut after, mut paged) = (None, Vec::new());
                loop {
                    let question = Question { environment_id, after, limit: Some(size), ..Question::default() };
                    let page = reader.page(named("lineage").expect("a view"), &question).expect("a page");
                    paged.extend(page.table.rows);
                    after = page.next;
                    if after.is_none() {
                        break;
                    }
                }
                assert_eq!(paged, whole, "pages of {size}");
            }
        }
    }

    #[test]
    fn a_page_costs_what_it_shows_however_long_the_history_is() {
        let (environment_id, limit) = (Some(1), Some(20));
        let model = || page_after("model.shop.m00010".into(), &[1.into()]);
        let pair = || page_after("".into(), &[1.into(), "model.shop.m00010".into()]);
        let questions = [
            ("changes", page_after(30.into(), &[])),
            ("changes", Question { environment_id, ..page_after(30.into(), &[]) }),
            ("changes", Question { environment_id, limit, order: Order::Last, ..Question::default() }),
            ("nodes", model()),
            ("lineage", pair()),
            ("lineage", Question { environment_id, ..pair() }),
            ("lineage", Question { environment_id, limit, ..Question::default() }),
            ("column_lineage", Question { limit, ..Question::default() }),
            ("column_uses", Question { limit, ..Question::default() }),
            ("health", model()),
            ("health", Question { environment_id, ..model() }),
            ("freshness", model()),
        ];
        // The planner must find the way with what it knows of the tables, and without.
        for analyze in ["", "ANALYZE"] {
            let [mut short, mut long, mut wide] =
                [(50, 10), (50, 300), (500, 10)].map(|(models, syncs)| grown(models, syncs));
            for (name, question) in &questions {
                let cost = |reader: &mut Reader| {
                    reader.connection.execute_batch(analyze).expect("analyzed");
                    let (steps, rows) = steps(reader, name, question);
                    assert_eq!(rows, 20, "{name}");
                    steps
                };
                let (short, long) = (cost(&mut short), cost(&mut long));
                assert!(long <= short + short / 10, "{name} {analyze}: {short} steps, with more history {long}");
                // What is said of health and freshness begins with all sources; and without statistics pairs are not found in their order.
                let is_of_pairs = PAIRS.iter().any(|pairs| pairs.view == *name);
                let looks_at_all = ["health", "freshness"].contains(name) || is_of_pairs && analyze.is_empty();
                if !looks_at_all {
                    let wide = cost(&mut wide);
                    assert!(wide <= short + short / 10, "{name} {analyze}: {short} steps, with more nodes {wide}");
                }
            }
        }
    }
}
