//! Reads what is stored back into an [`Inventory`].

use std::collections::{BTreeMap, BTreeSet, HashMap};

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
    let facts = |row: &Row<'_>| {
        Ok(EnvironmentFacts {
            project_name: row.get("project_name")?,
            adapter_type: row.get("adapter_type")?,
            applied_at: time(row, "applied_at")?,
            definition_at: time(row, "definition_at")?,
            git_sha: row.get("git_sha")?,
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
    let sql = "SELECT node.*, compiled_code.sha256 AS compiled_sha256, compiled_code.lines AS compiled_lines
               FROM node LEFT JOIN compiled_code USING (node_key) WHERE environment_id = ?1";
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([environment_id])?;
    while let Some(row) = rows.next()? {
        if row.get::<_, Option<String>>("removed_at")?.is_some() {
            tombstones.insert(id(row, pool)?);
        } else {
            by_key.insert(row.get("node_key")?, node(row, pool)?);
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
    let sql = "SELECT c.* FROM node_column c JOIN node n ON n.node_key = c.node_key WHERE n.environment_id = ?1";
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([environment_id])?;
    while let Some(row) = rows.next()? {
        if let Some(node) = nodes.get_mut(&row.get("node_key")?) {
            node.columns.push(Column {
                name: text(row, "name", pool)?.unwrap_or_default(),
                position: row.get("position")?,
                data_type: text(row, "data_type", pool)?,
                description: text(row, "description", pool)?,
                comment: text(row, "comment", pool)?,
                tags: json(row, "tags", pool)?,
                meta: json(row, "meta", pool)?,
                in_warehouse: row.get("in_warehouse")?,
                is_declared: row.get("is_declared")?,
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
        let parent = nodes.get(&row.get("parent_key")?).map(|parent| parent.unique_id.clone());
        if let (Some(parent), Some(child)) = (parent, nodes.get_mut(&row.get("child_key")?)) {
            child.parents.push(parent);
        }
    }
    Ok(())
}

fn node(row: &Row<'_>, pool: &mut Pool) -> rusqlite::Result<Node> {
    let resource_type: String = row.get("resource_type")?;
    let resource_type: ResourceType = resource_type.parse().map_err(|error: String| invalid(row, error))?;
    Ok(Node {
        unique_id: id(row, pool)?,
        resource_type,
        is_applied: row.get("is_applied")?,
        name: text(row, "name", pool)?,
        package_name: text(row, "package_name", pool)?,
        file_path: text(row, "file_path", pool)?,
        description: text(row, "description", pool)?,
        database_name: text(row, "database_name", pool)?,
        schema_name: text(row, "schema_name", pool)?,
        identifier: text(row, "identifier", pool)?,
        relation_name: text(row, "relation_name", pool)?,
        materialization: text(row, "materialization", pool)?,
        access: text(row, "access", pool)?,
        group_name: text(row, "group_name", pool)?,
        owner_name: text(row, "owner_name", pool)?,
        owner_email: text(row, "owner_email", pool)?,
        layer: text(row, "layer", pool)?,
        contract_enforced: row.get("contract_enforced")?,
        version: text(row, "version", pool)?,
        latest_version: text(row, "latest_version", pool)?,
        deprecation_date: time(row, "deprecation_date")?,
        fqn: json(row, "fqn", pool)?,
        tags: json(row, "tags", pool)?,
        meta: json(row, "meta", pool)?,
        properties: json(row, "properties", pool)?.unwrap_or_else(|| Json::new(&serde_json::json!({}))),
        language: text(row, "language", pool)?,
        raw_code: code(row, "raw_code_sha256", "raw_code_lines", pool)?,
        compiled_code: code(row, "compiled_sha256", "compiled_lines", pool)?,
        last_run: last_run(row, pool)?,
        freshness: FreshnessCheck {
            status: text(row, "checked_status", pool)?,
            checked_at: time(row, "checked_at")?,
            max_loaded_at: time(row, "max_loaded_at")?,
        },
        columns: Vec::new(),
        parents: Vec::new(),
    })
}

fn last_run(row: &Row<'_>, pool: &mut Pool) -> rusqlite::Result<LastRun> {
    Ok(LastRun {
        status: text(row, "last_run_status", pool)?,
        attempt: text(row, "attempt_status", pool)?,
        at: time(row, "last_run_at")?,
        error: text(row, "last_run_error", pool)?,
        run_id: text(row, "last_run_id", pool)?,
        job_id: row.get("last_job_id")?,
        failures: row.get("last_run_failures")?,
        executed_at: time(row, "executed_at")?,
        execution_seconds: row.get("execution_seconds")?,
        success_run_id: text(row, "success_run_id", pool)?,
    })
}

fn id(row: &Row<'_>, pool: &mut Pool) -> rusqlite::Result<UniqueId> {
    Ok(UniqueId::from(text(row, "unique_id", pool)?.unwrap_or_default()))
}

fn text(row: &Row<'_>, column: &str, pool: &mut Pool) -> rusqlite::Result<Option<Text>> {
    Ok(row.get_ref(column)?.as_str_or_null()?.map(|text| pool.text(text)))
}

fn time(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<Timestamp>> {
    Ok(row.get_ref(column)?.as_str_or_null()?.and_then(Timestamp::parse))
}

fn json(row: &Row<'_>, column: &str, pool: &mut Pool) -> rusqlite::Result<Option<Json>> {
    Ok(text(row, column, pool)?.map(Json::from_canonical))
}

fn code(row: &Row<'_>, sha256: &str, lines: &str, pool: &mut Pool) -> rusqlite::Result<Option<Code>> {
    let lines: Option<i64> = row.get(lines)?;
    Ok(text(row, sha256, pool)?.map(|sha256| Code { sha256, lines: lines.unwrap_or_default() }))
}

fn invalid(row: &Row<'_>, error: String) -> rusqlite::Error {
    let column = row.as_ref().column_index("resource_type").unwrap_or_default();
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, error.into())
}
