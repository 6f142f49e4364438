//! The views page by page, in one snapshot and within a time limit: what is served to other programs stands on this.

use std::time::{Duration, Instant};

use rusqlite::types::Value as Bound;
use rusqlite::{Connection, ErrorCode, params_from_iter};
use serde_json::Value;

use super::{Chosen, Environment, Error, Found, Table, cell, table};
use crate::time::Timestamp;

/// A page ends early where its text passes this many bytes, so that what one answer holds in memory is bounded.
const PAGE_BYTES: usize = 4 << 20;

/// After so many steps of SQLite the clock is looked at.
const STEPS: i32 = 10_000;

/// How many ids are offered for one that does not exist.
const OFFERS: usize = 5;

/// How one view is paged and filtered.
#[derive(Debug)]
pub struct Shape {
    /// The view's name.
    pub view: &'static str,
    /// The columns that identify a row, in the order of the pages; none for a view of one row.
    pub key: &'static [&'static str],
    /// Those of `key` that may be NULL.
    pub may_be_null: &'static [&'static str],
    /// The columns that a question may ask to be equal to something, besides `environment`.
    pub filters: &'static [&'static str],
}

const fn shaped(view: &'static str, key: &'static [&'static str], filters: &'static [&'static str]) -> Shape {
    Shape { view, key, may_be_null: &[], filters }
}

/// The views that only a sync that was applied changes.
const PARTS_OF_NODES: [&str; 12] = [
    "nodes",
    "code",
    "edges",
    "lineage",
    "columns",
    "tests",
    "coverage",
    "coverage_history",
    "changes",
    "run_results",
    "runs",
    "freshness_results",
];

const NODE: &[&str] = &["environment_id", "unique_id"];

/// How each view is paged. Edges and lineage start with the end whose environment the view shows, so that an index gives the order.
pub const SHAPES: &[Shape] = &[
    shaped("environments", &["environment_id"], &["name"]),
    shaped(
        "nodes",
        NODE,
        &["unique_id", "resource_type", "name", "package_name", "materialization", "group_name", "owner_name", "layer"],
    ),
    shaped("code", NODE, &["unique_id", "language"]),
    shaped("edges", &["environment_id", "child_id", "parent_id"], &["parent_id", "child_id"]),
    shaped("lineage", &["environment_id", "descendant_id", "ancestor_id"], &["ancestor_id", "descendant_id", "depth"]),
    shaped("columns", &["environment_id", "unique_id", "name"], &["unique_id", "name"]),
    shaped("tests", NODE, &["unique_id", "tested_id", "column_name", "test_type", "status"]),
    shaped("freshness", NODE, &["unique_id", "resource_type", "status", "needs_run"]),
    shaped("health", NODE, &["unique_id", "resource_type", "status"]),
    shaped("health_history", &["environment_id", "unique_id", "sync_id"], &["unique_id", "sync_id", "status"]),
    shaped(
        "coverage",
        NODE,
        &[
            "unique_id",
            "resource_type",
            "package_name",
            "owner_name",
            "group_name",
            "layer",
            "is_documented",
            "is_excluded",
        ],
    ),
    Shape {
        view: "coverage_history",
        key: &["environment_id", "sync_id", "resource_type", "package_name", "owner_name"],
        may_be_null: &["package_name", "owner_name"],
        filters: &["sync_id", "resource_type", "package_name", "owner_name"],
    },
    Shape {
        view: "owners",
        key: &["environment_id", "owner_name", "owner_email"],
        may_be_null: &["owner_name", "owner_email"],
        filters: &["owner_name", "owner_email"],
    },
    shaped(
        "changes",
        &["seq"],
        &["unique_id", "resource_type", "kind", "field", "parent_id", "column_name", "sync_id"],
    ),
    shaped("runs", &["environment_id", "run_id"], &["run_id", "job_id"]),
    shaped("run_results", &["environment_id", "unique_id", "run_id"], &["unique_id", "run_id", "job_id", "status"]),
    shaped("freshness_results", &["environment_id", "unique_id", "checked_at"], &["unique_id", "status"]),
    shaped("syncs", &["sync_id"], &["sync_id", "trigger", "mode", "outcome"]),
    shaped("held_losses", &["environment_id", "unique_id", "kind"], &["sync_id", "unique_id", "kind"]),
    shaped("removed_nodes", NODE, &["unique_id", "resource_type", "sync_id"]),
    shaped("catalog_info", &[], &[]),
];

/// How the view called `name` is paged.
pub fn shape(name: &str) -> Option<&'static Shape> {
    SHAPES.iter().find(|shape| shape.view == name)
}

impl Shape {
    /// True if the rows are of one environment each.
    pub fn has_environment(&self) -> bool {
        !self.key.is_empty()
    }

    /// True if the rows are of one node each, so that they can be selected by dbt's grammar.
    pub fn has_nodes(&self) -> bool {
        !matches!(self.view, "removed_nodes" | "held_losses") && self.filters.contains(&"unique_id")
    }

    /// True if what the view says depends on the time of day.
    pub fn moves_with_the_clock(&self) -> bool {
        matches!(self.view, "freshness" | "health" | "owners")
    }

    /// True if this filter's column holds whole numbers.
    pub fn is_number(filter: &str) -> bool {
        matches!(filter, "sync_id" | "job_id" | "depth" | "needs_run" | "is_documented" | "is_excluded")
    }

    /// The columns of the view, as the schema has them.
    pub fn columns(&self) -> Result<Vec<String>, Error> {
        let connection = Connection::open_in_memory()?;
        connection.execute_batch(include_str!("../../schema.sql"))?;
        let statement = connection.prepare(&format!("SELECT * FROM {}", self.view))?;
        Ok(statement.column_names().map(str::to_owned).collect())
    }

    fn order(&self) -> String {
        let term = |name: &&str| match self.may_be_null.contains(name) {
            // '' stands for NULL: no view has an empty text in a key.
            true => format!("coalesce({name}, '')"),
            false => (*name).to_owned(),
        };
        self.key.iter().map(term).collect::<Vec<_>>().join(", ")
    }
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
    /// Columns (of the shape's `filters`) and what they must be equal to: numbers or texts.
    pub equal: Vec<(&'static str, Value)>,
    /// The key of the row after which to begin: as many values as the shape's key has columns.
    pub after: Option<Vec<Value>>,
    /// At most so many rows.
    pub limit: usize,
}

/// Some rows of a view.
#[derive(Debug)]
pub struct Page {
    /// The rows.
    pub table: Table,
    /// The key of the last one, if more follow.
    pub next: Option<Vec<Value>>,
}

/// What an id turned out to be.
#[derive(Debug)]
pub enum Located {
    /// The node.
    One(Found),
    /// It is in several environments, of these names.
    Several(Vec<String>),
    /// There is none; these ids are the nearest.
    None(Vec<String>),
}

/// The catalog at one moment: everything that is read through it belongs together.
#[derive(Debug)]
pub struct Snapshot {
    connection: Connection,
    /// When reading is given up.
    pub deadline: Instant,
    /// The `seq` of the last change.
    pub last_seq: i64,
    /// The `seq` of the first change that is still there.
    pub oldest_seq: i64,
    identity: String,
}

impl Snapshot {
    /// Begins to read. Whatever is not read when `patience` has passed is given up ([`Error::is_interrupted`]).
    pub fn of(mut connection: Connection, patience: Duration) -> Result<Self, Error> {
        let deadline = Instant::now() + patience;
        connection.progress_handler(STEPS, Some(move || Instant::now() >= deadline))?;
        connection.execute_batch("BEGIN")?;
        let sql = "SELECT last_seq, oldest_seq, catalog_id || '/' || lineaged_version FROM catalog_info";
        let (last_seq, oldest_seq, identity) =
            connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        Ok(Self { connection, deadline, last_seq, oldest_seq, identity })
    }

    /// Ends the moment, and gives the connection back.
    pub fn end(mut self) -> Result<Connection, Error> {
        self.connection.progress_handler(0, None::<fn() -> bool>)?;
        self.connection.execute_batch("ROLLBACK")?;
        Ok(self.connection)
    }

    /// A text that differs whenever what `view` says may differ (but for the time of day).
    pub fn stamp(&self, view: &str) -> Result<String, Error> {
        // What tells of syncs differs with each of them, and when one is approved; the others only with one that was applied.
        let of = if PARTS_OF_NODES.contains(&view) { "outcome = 'applied'" } else { "TRUE" };
        let sql = format!(
            "SELECT coalesce((SELECT max(sync_id) || ' ' || count(outcome) || ' ' || count(approved_at)
                              FROM sync WHERE {of}), '') || '/' ||
             coalesce((SELECT group_concat(name || value) FROM (SELECT name, value FROM setting ORDER BY name)), '')"
        );
        let syncs: String = self.connection.query_row(&sql, [], |row| row.get(0))?;
        Ok(format!("{}/{}/{}/{syncs}", self.identity, self.last_seq, self.oldest_seq))
    }

    /// The nodes that selectors mean; as [`Chosen::load`], within the time for reading.
    pub fn chosen(
        &self,
        environment_id: Option<i64>,
        select: &[String],
        exclude: &[String],
    ) -> Result<Option<Chosen>, Error> {
        Chosen::load_until(&self.connection, environment_id, select, exclude, Some(self.deadline))
    }

    /// The id of the environment that is called `name`.
    pub fn environment_id(&self, name: &str) -> Result<i64, Error> {
        Environment::named(&self.connection, name).map(|environment| environment.id)
    }

    /// True once one sync was complete.
    pub fn has_complete_sync(&self) -> Result<bool, Error> {
        let sql = "SELECT EXISTS (SELECT 1 FROM syncs WHERE outcome IN ('applied', 'unchanged'))";
        Ok(self.connection.query_row(sql, [], |row| row.get(0))?)
    }

    /// The rows that `question` asks for, in the order of the shape's key.
    pub fn page(&self, shape: &Shape, question: &Question) -> Result<Page, Error> {
        let (sql, values) = sql(shape, question);
        let mut statement = self.connection.prepare(&sql)?;
        let mut found = Table { columns: statement.column_names().map(str::to_owned).collect(), rows: Vec::new() };
        let (mut bytes, mut more) = (0, false);
        let mut rows = statement.query(params_from_iter(values))?;
        while let Some(row) = rows.next()? {
            if found.rows.len() == question.limit || bytes > PAGE_BYTES {
                more = true;
                break;
            }
            let cells = (0..found.columns.len()).map(|place| row.get_ref(place).map(cell));
            let cells = cells.collect::<Result<Vec<_>, _>>()?;
            bytes += cells.iter().map(|value| value.as_str().map_or(8, str::len)).sum::<usize>();
            found.rows.push(cells);
        }
        let last = found.rows.last().filter(|_| more);
        let next = last.map(|row| shape.key.iter().map(|name| key_cell(&found.columns, row, name)).collect());
        Ok(Page { table: found, next })
    }

    /// The connection that reads this moment.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Finds the node that has this id.
    pub fn locate(&self, environment: Option<&str>, unique_id: &str) -> Result<Located, Error> {
        let environment_id = environment.map(|name| self.environment_id(name)).transpose()?;
        let sql = "SELECT n.environment_id, e.name FROM nodes n JOIN environments e USING (environment_id)
                   WHERE n.unique_id = ?2 AND (?1 IS NULL OR n.environment_id = ?1) ORDER BY e.name";
        let mut statement = self.connection.prepare(sql)?;
        let rows = statement.query_map((environment_id, unique_id), |row| {
            Ok(Found { environment_id: row.get(0)?, environment: row.get(1)?, unique_id: unique_id.to_owned() })
        })?;
        let mut found = rows.collect::<Result<Vec<_>, _>>()?;
        Ok(match found.len() {
            0 => Located::None(self.nearest(environment_id, unique_id)?),
            1 => Located::One(found.swap_remove(0)),
            _ => Located::Several(found.into_iter().map(|node| node.environment).collect()),
        })
    }

    fn nearest(&self, environment_id: Option<i64>, wanted: &str) -> Result<Vec<String>, Error> {
        let sql = "SELECT DISTINCT unique_id FROM nodes WHERE (?1 IS NULL OR environment_id = ?1)";
        let mut statement = self.connection.prepare(sql)?;
        let ids = statement.query_map([environment_id], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
        // Comparing costs the product of the lengths: nobody's slip of the pen is this long.
        let wanted: String = wanted.chars().take(300).collect();
        let length = wanted.chars().count();
        let limit = (length / 2).max(2);
        let mut near: Vec<(usize, String)> = Vec::new();
        for id in ids.into_iter().filter(|id| id.chars().count().abs_diff(length) <= limit) {
            if Instant::now() >= self.deadline {
                return Err(Error::TookTooLong("looking for ids that come near took too long".to_owned()));
            }
            let distance = strsim::levenshtein(&wanted, &id);
            if distance <= limit {
                near.push((distance, id));
            }
        }
        near.sort();
        Ok(near.into_iter().take(OFFERS).map(|(_, id)| id).collect())
    }

    /// The node's row of `nodes`, and its rows of `columns` by position.
    pub fn node(&self, node: &Found) -> Result<(Table, Table), Error> {
        Ok((super::node(&self.connection, node)?, super::columns_of(&self.connection, node)?))
    }

    /// The ids of the node's parents, and of its children.
    pub fn around(&self, node: &Found) -> Result<[Vec<String>; 2], Error> {
        let ids = |wanted: &str, given: &str| -> Result<Vec<String>, Error> {
            let sql =
                format!("SELECT {wanted} FROM edges WHERE environment_id = ?1 AND {given} = ?2 ORDER BY {wanted}");
            let mut statement = self.connection.prepare(&sql)?;
            let rows = statement.query_map((node.environment_id, &node.unique_id), |row| row.get(0))?;
            Ok(rows.collect::<Result<_, _>>()?)
        };
        Ok([ids("parent_id", "child_id")?, ids("child_id", "parent_id")?])
    }

    /// What the node is built from (negative depth) and what is built from it, up to `depth`, at most `limit` rows: unique_id,
    /// resource_type, name, depth.
    pub fn lineage(
        &self,
        node: &Found,
        [upstream, downstream]: [bool; 2],
        depth: u32,
        limit: usize,
    ) -> Result<Table, Error> {
        // CROSS: the pairs are found first, then their names; SQLite might begin with all nodes.
        let side = |sign: &str, wanted: &str, given: &str| {
            format!(
                "SELECT n.unique_id, n.resource_type, n.name, {sign}l.depth AS depth FROM lineage l
                 CROSS JOIN nodes n ON n.environment_id = ?1 AND n.unique_id = l.{wanted}
                 WHERE l.environment_id = ?1 AND l.{given} = ?2 AND l.depth <= ?3"
            )
        };
        let up = upstream.then(|| side("-", "ancestor_id", "descendant_id"));
        let down = downstream.then(|| side("", "descendant_id", "ancestor_id"));
        let sides: Vec<String> = up.into_iter().chain(down).collect();
        let sql = format!("{} ORDER BY 4, 1 LIMIT {limit}", sides.join(" UNION ALL "));
        table(&self.connection, &sql, &[&node.environment_id, &node.unique_id, &depth])
    }
}

impl Error {
    /// True if the time for reading was over.
    pub fn is_interrupted(&self) -> bool {
        match self {
            Self::Sqlite(error) => error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted),
            Self::TookTooLong(_) => true,
            Self::Question(_) | Self::Malformed(_) => false,
        }
    }
}

/// The query for a page, and one row more. Names come from the shape only; whatever was asked is bound.
fn sql(shape: &Shape, question: &Question) -> (String, Vec<Bound>) {
    let Question { environment_id, chosen, since, until, equal, after, limit } = question;
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
    for (column, value) in equal {
        conditions.push(format!("{column} = ?"));
        values.push(bound(value));
    }
    let order = shape.order();
    if let Some(after) = after {
        conditions.push(format!("({order}) > ({})", vec!["?"; shape.key.len()].join(", ")));
        values.extend(after.iter().map(bound));
    }
    let by = if shape.key.is_empty() { String::new() } else { format!(" ORDER BY {order}") };
    let sql = format!("SELECT * FROM {} WHERE {}{by} LIMIT {}", shape.view, conditions.join(" AND "), limit + 1);
    (sql, values)
}

fn bound(value: &Value) -> Bound {
    match (value.as_i64(), value.as_str()) {
        (Some(number), _) => Bound::Integer(number),
        (None, Some(text)) => Bound::Text(text.to_owned()),
        (None, None) => Bound::Text(String::new()),
    }
}

/// What a row has in a column of the key; '' for NULL.
fn key_cell(columns: &[String], row: &[Value], name: &str) -> Value {
    let value = columns.iter().position(|column| column == name).map(|place| row[place].clone());
    value.filter(|value| !value.is_null()).unwrap_or_else(|| "".into())
}

#[cfg(test)]
mod tests {
    use super::super::VIEWS;
    use super::*;
    use crate::catalog::{self, Catalog, Writers};

    #[test]
    fn every_view_has_a_shape_of_columns_that_it_has() {
        for view in VIEWS {
            let shape = shape(view).unwrap_or_else(|| panic!("`{view}` has no shape"));
            let columns = shape.columns().expect(view);
            for name in shape.key.iter().chain(shape.filters) {
                assert!(columns.iter().any(|column| column == name), "{view} has no column `{name}`");
            }
            assert_eq!(columns.iter().any(|column| column == "environment_id"), shape.has_environment(), "{view}");
        }
    }

    #[test]
    fn what_reads_the_clock_is_never_kept() {
        let schema = include_str!("../../schema.sql");
        let views: Vec<(&str, &str)> = schema
            .split("CREATE VIEW ")
            .skip(1)
            .filter_map(|text| text.split_once(" AS\n"))
            .map(|(name, text)| (name, text.split(";\n").next().unwrap_or_default()))
            .collect();
        let names = |text: &str| -> Vec<String> {
            text.split(|c: char| !c.is_alphanumeric() && c != '_').map(str::to_owned).collect()
        };
        let mut moving: Vec<&str> = Vec::new();
        while let Some((name, _)) = views.iter().find(|(name, text)| {
            let reads = |word: &String| moving.contains(&word.as_str());
            !moving.contains(name) && (text.contains("'now'") || names(text).iter().any(reads))
        }) {
            moving.push(name);
        }
        assert!(moving.contains(&"health") && moving.contains(&"freshness"), "{moving:?}");
        for shape in SHAPES {
            assert_eq!(shape.moves_with_the_clock(), moving.contains(&shape.view), "{}", shape.view);
        }
    }

    #[test]
    fn a_read_that_takes_too_long_is_given_up() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("lineaged.db");
        drop(Catalog::open(&path, &Writers::default(), "test", &|_| {}).expect("a catalog"));
        let connection = catalog::open_to_read(&path).expect("open");
        let snapshot = Snapshot::of(connection, Duration::from_millis(200)).expect("a snapshot");
        let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
        let error = table(&snapshot.connection, endless, &[]).expect_err("for ever");
        assert!(error.is_interrupted(), "{error:?}");
    }
}
