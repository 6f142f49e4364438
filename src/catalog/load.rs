//! Reads what is stored back into an [`Inventory`].

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use rusqlite::types::{FromSql, Type, ValueRef};
use rusqlite::{Connection, OptionalExtension, Row, Rows};

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
    /// Loads the environment, as a reader or a writer sees it; empty if it was never synced. Texts that are in `pool` are not held
    /// twice, and no node that equals one of `read`: most do.
    pub fn load(
        connection: &Connection,
        environment_id: i64,
        pool: &mut Pool,
        read: &Inventory,
    ) -> Result<Self, Error> {
        // One snapshot for all the queries, also for a reader beside a writer.
        let snapshot = connection.unchecked_transaction().map_err(Error::sqlite("read"))?;
        Self::read(&snapshot, environment_id, pool, read).map_err(Error::sqlite("read"))
    }

    /// The same within a transaction.
    pub(super) fn read(
        snapshot: &Connection,
        environment_id: i64,
        pool: &mut Pool,
        read: &Inventory,
    ) -> rusqlite::Result<Self> {
        let mut stored = Self {
            inventory: Inventory { environment: environment(snapshot, environment_id)?, ..Inventory::default() },
            ..Self::default()
        };
        stored.add_nodes(snapshot, environment_id, pool, read)?;
        Ok(stored)
    }

    /// Nodes, columns and edges lie in the order of the nodes' keys: they are read beside each other, and one node at a time is
    /// put together.
    fn add_nodes(
        &mut self,
        snapshot: &Connection,
        environment_id: i64,
        pool: &mut Pool,
        read: &Inventory,
    ) -> rusqlite::Result<()> {
        let ids = ids(snapshot, environment_id, pool)?;
        let (Some(first), Some(last)) = (ids.keys().min(), ids.keys().max()) else { return Ok(()) };
        let mut nodes = snapshot.prepare(NODES)?;
        let mut columns = snapshot.prepare(COLUMNS)?;
        let mut parents = snapshot.prepare(PARENTS)?;
        let mut columns = Beside { rows: columns.query((first, last))?, next: None };
        let mut parents = Beside { rows: parents.query((first, last))?, next: None };
        let mut rows = nodes.query((first, last, environment_id))?;
        while let Some(row) = rows.next()? {
            let mut cells = Cells { row, next: 0, pool };
            let (key, is_removed): (i64, bool) = (cells.value()?, cells.value()?);
            if is_removed {
                self.tombstones.insert(cells.id()?);
                continue;
            }
            let mut node = node(cells)?;
            node.columns = columns.of(key, |row| column(Cells { row, next: 1, pool }))?;
            let parents = parents.of(key, |row| row.get::<_, i64>(1))?;
            node.parents = parents.iter().filter_map(|key| ids.get(key).cloned()).collect();
            node.normalize();
            let equal = read.nodes.get(&node.unique_id).filter(|read| ***read == node);
            let node = equal.map_or_else(|| Arc::new(node), Arc::clone);
            self.inventory.nodes.insert(node.unique_id.clone(), node);
        }
        Ok(())
    }
}

/// The ids of an environment's nodes, by their keys.
fn ids(snapshot: &Connection, environment_id: i64, pool: &mut Pool) -> rusqlite::Result<HashMap<i64, UniqueId>> {
    let mut statement = snapshot.prepare("SELECT node_key, unique_id FROM node WHERE environment_id = ?1")?;
    let mut rows = statement.query([environment_id])?;
    let mut ids = HashMap::new();
    while let Some(row) = rows.next()? {
        let mut cells = Cells { row, next: 0, pool };
        ids.insert(cells.value()?, cells.id()?);
    }
    Ok(ids)
}

/// Rows that are read beside others, both in the order of a node's key, which is their first value.
struct Beside<'a, T> {
    rows: Rows<'a>,
    next: Option<(i64, T)>,
}

impl<T> Beside<'_, T> {
    /// Those of `key`; those of keys before it are left out.
    fn of(&mut self, key: i64, mut read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>) -> rusqlite::Result<Vec<T>> {
        let mut found = Vec::new();
        loop {
            match self.next.take() {
                Some((of, value)) if of == key => found.push(value),
                Some(later) if later.0 > key => {
                    self.next = Some(later);
                    break;
                }
                _ => {}
            }
            let Some(row) = self.rows.next()? else { break };
            let of: i64 = row.get(0)?;
            if of >= key {
                self.next = Some((of, read(row)?));
            }
        }
        found.shrink_to_fit();
        Ok(found)
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

/// The nodes of an environment in the order of their keys, which lie close together: what [`node`] reads, in its order.
const NODES: &str = "
    SELECT node_key, removed_at IS NOT NULL, unique_id, resource_type, is_applied, name, package_name, file_path, description, database_name, schema_name,
    identifier, relation_name, materialization, access, group_name, owner_name, owner_email, layer, contract_enforced, version,
    latest_version, deprecation_date, fqn, tags, meta, properties, language, raw_code_sha256, raw_code_lines, last_run_status,
    attempt_status, last_run_at, last_run_error, last_run_id, last_job_id, last_run_failures, executed_at, execution_seconds,
    success_run_id, checked_status, checked_at, max_loaded_at, compiled_code.sha256, compiled_code.lines
    FROM node LEFT JOIN compiled_code USING (node_key)
    WHERE node_key BETWEEN ?1 AND ?2 AND +environment_id = ?3 ORDER BY node_key";

/// The columns of nodes in the same order.
const COLUMNS: &str = "
    SELECT node_key, name, position, data_type, description, comment, tags, meta, in_warehouse, is_declared
    FROM node_column WHERE node_key BETWEEN ?1 AND ?2 ORDER BY node_key";

/// The parents of nodes in the same order.
const PARENTS: &str = "
    SELECT child_key, parent_key FROM edge WHERE child_key BETWEEN ?1 AND ?2 ORDER BY child_key";

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

fn column(mut cells: Cells<'_>) -> rusqlite::Result<Column> {
    Ok(Column {
        name: cells.text()?.unwrap_or_default(),
        position: cells.value()?,
        data_type: cells.text()?,
        description: cells.text()?,
        comment: cells.text()?,
        tags: cells.json()?,
        meta: cells.json()?,
        in_warehouse: cells.value()?,
        is_declared: cells.value()?,
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
