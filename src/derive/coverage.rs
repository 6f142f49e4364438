//! Keeps what the views `coverage`, `coverage_history` and `owners` show, with its type: SQL alone can't fold letters, and what a view
//! computes arrives in other programs as text.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use rusqlite::{Connection, Transaction};

use super::owners::renew_owners;
use crate::inventory::Placeholders;

/// Brings everything that is kept of an environment's coverage up to date with its nodes, columns and tests and with the settings.
/// `excluded` are the nodes that are shown and not counted. Only what differs is written.
pub(crate) fn renew_coverage(
    transaction: &Transaction<'_>,
    environment_id: i64,
    excluded: HashSet<String>,
) -> rusqlite::Result<()> {
    let facts = Facts::read(transaction, environment_id, excluded)?;
    let rows: BTreeMap<i64, Row> = facts.nodes.iter().map(|node| (node.key, facts.judge(node))).collect();
    write_rows(transaction, environment_id, &rows)?;
    renew_owners(transaction, environment_id)?;
    transaction.execute(COUNTS, [environment_id]).map(drop)
}

/// What an environment holds.
const COUNTS: &str = "
    UPDATE environment SET node_count = found.nodes, edge_count = found.edges
    FROM (SELECT
        (SELECT count(*) FROM node
         WHERE environment_id = ?1 AND removed_at IS NULL AND resource_type <> 'external') AS nodes,
        (SELECT count(*) FROM edge JOIN node ON node.node_key = edge.child_key WHERE environment_id = ?1) AS edges) found
    WHERE environment_id = ?1 AND (node_count IS NOT found.nodes OR edge_count IS NOT found.edges)";

/// A row of `node_coverage`.
#[derive(Debug, PartialEq)]
struct Row {
    is_own_package: Option<bool>,
    is_excluded: bool,
    is_documented: bool,
    is_placeholder: bool,
    /// How many columns the warehouse has, how many of them have a description, and how many a test.
    columns: Option<[i64; 3]>,
    test_count: i64,
}

struct NodeFacts {
    key: i64,
    unique_id: String,
    name: Option<String>,
    package_name: Option<String>,
    description: Option<String>,
}

/// Of each node the names and descriptions.
type Columns = HashMap<i64, Vec<(String, Option<String>)>>;

/// What coverage is judged by.
struct Facts {
    nodes: Vec<NodeFacts>,
    /// Those that the warehouse has.
    columns: Columns,
    /// For each test of a node the column that it is of, if it is of one.
    tests: HashMap<String, Vec<Option<String>>>,
    placeholders: Placeholders,
    excluded: HashSet<String>,
    /// The root project's package; `None` where its name is unknown or no package's, so that each package may be its own.
    own_package: Option<String>,
}

impl Facts {
    fn read(connection: &Connection, environment_id: i64, excluded: HashSet<String>) -> rusqlite::Result<Self> {
        Ok(Self {
            nodes: nodes(connection, environment_id)?,
            columns: columns(connection, environment_id)?,
            tests: tests(connection, environment_id)?,
            placeholders: Placeholders::new(&list_setting(connection, "placeholders")?),
            excluded,
            own_package: own_package(connection, environment_id)?,
        })
    }

    fn judge(&self, node: &NodeFacts) -> Row {
        let description = node.description.as_deref();
        let is_placeholder = description.is_some_and(|text| self.placeholders.include(text, node.name.as_deref()));
        let tests = self.tests.get(&node.unique_id).map(Vec::as_slice).unwrap_or_default();
        Row {
            is_own_package: self.own_package.as_ref().and_then(|own| Some(*own == *node.package_name.as_ref()?)),
            is_excluded: self.excluded.contains(&node.unique_id),
            is_documented: description.is_some() && !is_placeholder,
            is_placeholder,
            columns: self.columns.get(&node.key).map(|columns| self.count(columns, tests)),
            test_count: tests.len() as i64,
        }
    }

    fn count(&self, columns: &[(String, Option<String>)], tests: &[Option<String>]) -> [i64; 3] {
        let is_documented = |(name, description): &&(String, Option<String>)| {
            description.as_ref().is_some_and(|text| !self.placeholders.include(text, Some(name)))
        };
        let tested: BTreeSet<&String> = tests.iter().flatten().collect();
        let is_tested = |(name, _): &&(String, Option<String>)| tested.contains(name);
        let (documented, tested) = (columns.iter().filter(is_documented), columns.iter().filter(is_tested));
        [columns.len(), documented.count(), tested.count()].map(|count| count as i64)
    }
}

/// A setting that is a list of texts.
pub(crate) fn list_setting(connection: &Connection, name: &str) -> rusqlite::Result<Vec<String>> {
    let sql = "SELECT item.value FROM setting s, json_each(s.value) item WHERE s.name = ?1";
    connection.prepare(sql)?.query_map([name], |row| row.get(0))?.collect()
}

fn nodes(connection: &Connection, environment_id: i64) -> rusqlite::Result<Vec<NodeFacts>> {
    let sql = "SELECT node_key, unique_id, name, package_name, description FROM node
               WHERE environment_id = ?1 AND removed_at IS NULL AND resource_type IN (
                   'model', 'seed', 'snapshot', 'source', 'exposure', 'metric', 'semantic_model', 'saved_query')";
    let node = |row: &rusqlite::Row<'_>| {
        Ok(NodeFacts {
            key: row.get(0)?,
            unique_id: row.get(1)?,
            name: row.get(2)?,
            package_name: row.get(3)?,
            description: row.get(4)?,
        })
    };
    connection.prepare(sql)?.query_map([environment_id], node)?.collect()
}

fn columns(connection: &Connection, environment_id: i64) -> rusqlite::Result<Columns> {
    let sql = "SELECT c.node_key, c.name, c.description FROM node_column c JOIN node n ON n.node_key = c.node_key
               WHERE n.environment_id = ?1 AND c.in_warehouse";
    let mut found = Columns::new();
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([environment_id])?;
    while let Some(row) = rows.next()? {
        found.entry(row.get(0)?).or_default().push((row.get(1)?, row.get(2)?));
    }
    Ok(found)
}

fn tests(connection: &Connection, environment_id: i64) -> rusqlite::Result<HashMap<String, Vec<Option<String>>>> {
    let sql = "SELECT tested_id, tested_column FROM node
               WHERE environment_id = ?1 AND tested_id IS NOT NULL AND removed_at IS NULL
               AND resource_type IN ('test', 'unit_test')";
    let mut found: HashMap<String, Vec<_>> = HashMap::new();
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([environment_id])?;
    while let Some(row) = rows.next()? {
        found.entry(row.get(0)?).or_default().push(row.get(1)?);
    }
    Ok(found)
}

fn own_package(connection: &Connection, environment_id: i64) -> rusqlite::Result<Option<String>> {
    let sql = "SELECT (SELECT project_name FROM environment e WHERE e.environment_id = ?1 AND EXISTS (
                   SELECT 1 FROM node n WHERE n.environment_id = ?1 AND n.removed_at IS NULL
                   AND n.resource_type <> 'external' AND n.package_name = e.project_name))";
    connection.query_row(sql, [environment_id], |row| row.get(0))
}

fn write_rows(transaction: &Transaction<'_>, environment_id: i64, rows: &BTreeMap<i64, Row>) -> rusqlite::Result<()> {
    let stored = stored_rows(transaction, environment_id)?;
    let mut delete = transaction.prepare("DELETE FROM node_coverage WHERE node_key = ?1")?;
    for key in stored.keys().filter(|key| !rows.contains_key(key)) {
        delete.execute([key])?;
    }
    let mut insert = transaction.prepare(
        "INSERT OR REPLACE INTO node_coverage (node_key, is_own_package, is_excluded, is_documented, is_placeholder,
             column_count, documented_columns, tested_columns, test_count)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?;
    for (key, row) in rows.iter().filter(|(key, row)| stored.get(key) != Some(row)) {
        let [columns, documented, tested] = row.columns.map_or([None; 3], |counts| counts.map(Some));
        let flags = (row.is_own_package, row.is_excluded, row.is_documented, row.is_placeholder);
        insert.execute((key, flags.0, flags.1, flags.2, flags.3, columns, documented, tested, row.test_count))?;
    }
    Ok(())
}

fn stored_rows(connection: &Connection, environment_id: i64) -> rusqlite::Result<BTreeMap<i64, Row>> {
    let sql = "SELECT c.* FROM node_coverage c JOIN node n ON n.node_key = c.node_key WHERE n.environment_id = ?1";
    let row = |row: &rusqlite::Row<'_>| {
        let columns: Option<i64> = row.get("column_count")?;
        let columns = match columns {
            Some(count) => Some([count, row.get("documented_columns")?, row.get("tested_columns")?]),
            None => None,
        };
        let judged = Row {
            is_own_package: row.get("is_own_package")?,
            is_excluded: row.get("is_excluded")?,
            is_documented: row.get("is_documented")?,
            is_placeholder: row.get("is_placeholder")?,
            columns,
            test_count: row.get("test_count")?,
        };
        Ok((row.get("node_key")?, judged))
    };
    connection.prepare(sql)?.query_map([environment_id], row)?.collect()
}

/// The figures of now, by resource type, package and owner, and those last noted; what differs is written. A group that is gone is
/// noted with no nodes. What `coverage.exclude` leaves out is no part of it.
pub(crate) fn note_coverage(transaction: &Transaction<'_>, environment_id: i64, sync_id: i64) -> rusqlite::Result<()> {
    let figures = "node_count, documented, placeholders, tested, column_count, documented_columns, tested_columns";
    let of = |table: &str| figures.split(", ").map(|name| format!("{table}.{name}")).collect::<Vec<_>>().join(", ");
    let differs = figures.split(", ").map(|name| format!("noted.{name} IS NOT now.{name}")).collect::<Vec<_>>();
    let sql = format!(
        "WITH now AS (
            SELECT resource_type, package_name, owner_name, count(*) AS node_count, sum(is_documented) AS documented,
                sum(is_placeholder) AS placeholders, sum(test_count > 0) AS tested, sum(column_count) AS column_count,
                sum(documented_columns) AS documented_columns, sum(tested_columns) AS tested_columns
            FROM coverage WHERE environment_id = ?1 AND NOT is_excluded GROUP BY resource_type, package_name, owner_name
        ),
        noted AS (
            SELECT c.resource_type, c.package_name, c.owner_name, {}, max(c.sync_id)
            FROM coverage_count c JOIN sync s ON s.sync_id = c.sync_id
            WHERE s.environment_id = ?1 GROUP BY c.resource_type, c.package_name, c.owner_name
        )
        INSERT INTO coverage_count (sync_id, resource_type, package_name, owner_name, {figures})
        SELECT ?2, now.resource_type, now.package_name, now.owner_name, {}
        FROM now LEFT JOIN noted ON noted.resource_type = now.resource_type
            AND noted.package_name IS now.package_name AND noted.owner_name IS now.owner_name
        WHERE {}
        UNION ALL
        SELECT ?2, noted.resource_type, noted.package_name, noted.owner_name, 0, 0, 0, 0, NULL, NULL, NULL
        FROM noted WHERE noted.node_count > 0 AND NOT EXISTS (
            SELECT 1 FROM now WHERE now.resource_type = noted.resource_type
            AND now.package_name IS noted.package_name AND now.owner_name IS noted.owner_name)",
        of("c"),
        of("now"),
        differs.join(" OR ")
    );
    transaction.execute(&sql, (environment_id, sync_id)).map(drop)
}
