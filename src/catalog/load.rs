//! Reads what is stored back into an [`Inventory`].

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rusqlite::types::{FromSql, Type, ValueRef};
use rusqlite::{Connection, OptionalExtension, Row};

use super::Error;
use crate::inventory::{
    Code, Column, EnvironmentFacts, FreshnessCheck, Inventory, Json, LastRun, Node, Pool, ResourceType, Text, UniqueId,
};
use crate::time::Timestamp;

/// What the catalog holds of one environment.
#[derive(Debug, Default)]
pub struct Stored {
    /// All nodes that are not removed.
    pub inventory: Inventory,
    /// The ids of those that are.
    pub tombstones: BTreeSet<UniqueId>,
}

impl Stored {
    /// Loads the environment, as a reader or a writer sees it; empty if it was never synced. Texts that are in `pool` are not
    /// held twice.
    pub fn load(connection: &Connection, environment_id: i64, pool: &mut Pool) -> Result<Self, Error> {
        // One snapshot for all the queries, also for a reader beside a writer.
        let snapshot = connection.unchecked_transaction().map_err(Error::sqlite("read"))?;
        Self::read(&snapshot, environment_id, pool).map_err(Error::sqlite("read"))
    }

    /// The same within a transaction.
    pub(super) fn read(snapshot: &Connection, environment_id: i64, pool: &mut Pool) -> rusqlite::Result<Self> {
        let (nodes, tombstones) = nodes(snapshot, environment_id, pool)?;
        let environment = environment(snapshot, environment_id)?;
        Ok(Self { inventory: Inventory { environment, nodes }, tombstones })
    }
}

/// What the last good read saw of the environment as a whole.
pub fn environment_facts(connection: &Connection, environment_id: i64) -> Result<EnvironmentFacts, Error> {
    environment(connection, environment_id).map_err(Error::sqlite("read"))
}

fn environment(connection: &Connection, environment_id: i64) -> rusqlite::Result<EnvironmentFacts> {
    let sql = "SELECT project_name, adapter_type, applied_at, definition_at, git_sha FROM environments
               WHERE environment_id = ?1";
    let time = |row: &Row<'_>, column| {
        Ok::<_, rusqlite::Error>(row.get_ref(column)?.as_str_or_null()?.and_then(Timestamp::parse))
    };
    let facts = |row: &Row<'_>| {
        Ok(EnvironmentFacts {
            project_name: row.get(0)?,
            adapter_type: row.get(1)?,
            applied_at: time(row, 2)?,
            definition_at: time(row, 3)?,
            git_sha: row.get(4)?,
        })
    };
    Ok(connection.query_row(sql, [environment_id], facts).optional()?.unwrap_or_default())
}

type Nodes = BTreeMap<UniqueId, Node>;

fn nodes(
    connection: &Connection,
    environment_id: i64,
    pool: &mut Pool,
) -> rusqlite::Result<(Nodes, BTreeSet<UniqueId>)> {
    let mut by_key: HashMap<i64, Node> = HashMap::new();
    let mut tombstones = BTreeSet::new();
    let mut statement = connection.prepare(&format!(
        "SELECT node_key, removed_at IS NOT NULL, {NODE}, compiled_code.sha256, compiled_code.lines
         FROM node LEFT JOIN compiled_code USING (node_key) WHERE environment_id = ?1"
    ))?;
    let mut rows = statement.query([environment_id])?;
    while let Some(row) = rows.next()? {
        let mut cells = Cells { row, next: 0, pool };
        let (key, is_removed): (i64, bool) = (cells.value()?, cells.value()?);
        if is_removed {
            tombstones.insert(cells.id()?);
        } else {
            by_key.insert(key, node(cells)?);
        }
    }
    add_columns(connection, environment_id, &mut by_key, pool)?;
    add_parents(connection, environment_id, &mut by_key)?;
    let nodes = by_key.into_values().map(|mut node| {
        node.normalize();
        (node.unique_id.clone(), node)
    });
    Ok((nodes.collect(), tombstones))
}

fn add_columns(
    connection: &Connection,
    environment_id: i64,
    nodes: &mut HashMap<i64, Node>,
    pool: &mut Pool,
) -> rusqlite::Result<()> {
    let sql =
        "SELECT c.node_key, c.name, c.position, c.data_type, c.description, c.comment, c.tags, c.meta, c.in_warehouse,
                   c.is_declared
               FROM node_column c JOIN node n ON n.node_key = c.node_key WHERE n.environment_id = ?1";
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([environment_id])?;
    while let Some(row) = rows.next()? {
        let mut cells = Cells { row, next: 0, pool };
        if let Some(node) = nodes.get_mut(&cells.value()?) {
            node.columns.push(Column {
                name: cells.text()?.unwrap_or_default(),
                position: cells.value()?,
                data_type: cells.text()?,
                description: cells.text()?,
                comment: cells.text()?,
                tags: cells.json()?,
                meta: cells.json()?,
                in_warehouse: cells.value()?,
                is_declared: cells.value()?,
            });
        }
    }
    Ok(())
}

fn add_parents(connection: &Connection, environment_id: i64, nodes: &mut HashMap<i64, Node>) -> rusqlite::Result<()> {
    let sql = "SELECT e.parent_key, e.child_key FROM edge e JOIN node n ON n.node_key = e.child_key
               WHERE n.environment_id = ?1";
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([environment_id])?;
    while let Some(row) = rows.next()? {
        let parent = nodes.get(&row.get(0)?).map(|parent| parent.unique_id.clone());
        if let (Some(parent), Some(child)) = (parent, nodes.get_mut(&row.get(1)?)) {
            child.parents.push(parent);
        }
    }
    Ok(())
}

/// What [`node`] reads, in its order.
const NODE: &str = "unique_id, resource_type, is_applied, name, package_name, file_path, description, database_name, schema_name,
    identifier, relation_name, materialization, access, group_name, owner_name, owner_email, layer, contract_enforced, version,
    latest_version, deprecation_date, fqn, tags, meta, properties, language, raw_code_sha256, raw_code_lines, last_run_status,
    attempt_status, last_run_at, last_run_error, last_run_id, last_job_id, last_run_failures, executed_at, execution_seconds,
    success_run_id, checked_status, checked_at, max_loaded_at";

/// The values of a struct are read in the order in which they are written here.
fn node(mut cells: Cells<'_>) -> rusqlite::Result<Node> {
    Ok(Node {
        unique_id: cells.id()?,
        resource_type: cells.resource_type()?,
        is_applied: cells.value()?,
        name: cells.text()?,
        package_name: cells.text()?,
        file_path: cells.text()?,
        description: cells.text()?,
        database_name: cells.text()?,
        schema_name: cells.text()?,
        identifier: cells.text()?,
        relation_name: cells.text()?,
        materialization: cells.text()?,
        access: cells.text()?,
        group_name: cells.text()?,
        owner_name: cells.text()?,
        owner_email: cells.text()?,
        layer: cells.text()?,
        contract_enforced: cells.value()?,
        version: cells.text()?,
        latest_version: cells.text()?,
        deprecation_date: cells.time()?,
        fqn: cells.json()?,
        tags: cells.json()?,
        meta: cells.json()?,
        properties: cells.json()?.unwrap_or_else(|| Json::new(&serde_json::json!({}))),
        language: cells.text()?,
        raw_code: cells.code()?,
        last_run: last_run(&mut cells)?,
        freshness: FreshnessCheck { status: cells.text()?, checked_at: cells.time()?, max_loaded_at: cells.time()? },
        compiled_code: cells.code()?,
        columns: Vec::new(),
        parents: Vec::new(),
    })
}

fn last_run(cells: &mut Cells<'_>) -> rusqlite::Result<LastRun> {
    Ok(LastRun {
        status: cells.text()?,
        attempt: cells.text()?,
        at: cells.time()?,
        error: cells.text()?,
        run_id: cells.text()?,
        job_id: cells.value()?,
        failures: cells.value()?,
        executed_at: cells.time()?,
        execution_seconds: cells.value()?,
        success_run_id: cells.text()?,
    })
}

/// The cells of a row, one after the other: by name each would be searched for.
struct Cells<'a> {
    row: &'a Row<'a>,
    next: usize,
    pool: &'a mut Pool,
}

impl<'a> Cells<'a> {
    fn raw(&mut self) -> rusqlite::Result<ValueRef<'a>> {
        self.next += 1;
        self.row.get_ref(self.next - 1)
    }

    fn value<T: FromSql>(&mut self) -> rusqlite::Result<T> {
        self.next += 1;
        self.row.get(self.next - 1)
    }

    fn text(&mut self) -> rusqlite::Result<Option<Text>> {
        Ok(self.raw()?.as_str_or_null()?.map(|text| self.pool.text(text)))
    }

    fn id(&mut self) -> rusqlite::Result<UniqueId> {
        Ok(UniqueId::from(self.text()?.unwrap_or_default()))
    }

    fn time(&mut self) -> rusqlite::Result<Option<Timestamp>> {
        Ok(self.raw()?.as_str_or_null()?.and_then(Timestamp::parse))
    }

    fn json(&mut self) -> rusqlite::Result<Option<Json>> {
        Ok(self.text()?.map(Json::from_canonical))
    }

    /// The hash, and the number of lines.
    fn code(&mut self) -> rusqlite::Result<Option<Code>> {
        let (sha256, lines) = (self.text()?, self.value::<Option<i64>>()?);
        Ok(sha256.map(|sha256| Code { sha256, lines: lines.unwrap_or_default() }))
    }

    fn resource_type(&mut self) -> rusqlite::Result<ResourceType> {
        let (column, text) = (self.next, self.raw()?.as_str()?);
        let invalid = |error: String| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, error.into());
        text.parse().map_err(invalid)
    }
}
