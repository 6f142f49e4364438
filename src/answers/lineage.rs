//! What a node stands on, and what stands on it: from the views `lineage` and `edges`.

use std::collections::{BTreeMap, HashSet};

use rusqlite::{Connection, Row};

use super::{Error, Found, Table, table};

/// How far to look; `None` for all the way, `Some(0)` for not at all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reach {
    /// Towards parents.
    pub upstream: Option<u32>,
    /// Towards children.
    pub downstream: Option<u32>,
}

/// A node around another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineageNode {
    /// Its id.
    pub unique_id: String,
    /// Its type.
    pub resource_type: String,
    /// Its last run's status.
    pub last_run_status: Option<String>,
    /// Hops: negative upstream, 0 for the node itself, positive downstream.
    pub depth: i64,
}

/// A node with everything around it that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lineage {
    /// The node itself first, then by depth and id.
    pub nodes: Vec<LineageNode>,
    /// The dependencies among those nodes, as (parent, child).
    pub edges: Vec<(String, String)>,
    /// How many more there are beyond the reach.
    pub left_out: u64,
}

impl Lineage {
    /// Loads the lineage of `node`, of some resource types or (if none are named) all. The node itself is always there.
    pub fn load(connection: &Connection, node: &Found, reach: Reach, types: &[String]) -> Result<Self, Error> {
        let types = serde_json::Value::from(types.to_vec()).to_string();
        let (mut nodes, mut left_out) = (vec![root(connection, node)?], 0);
        for (sign, limit, here, there) in [
            (-1, reach.upstream, "descendant_id", "ancestor_id"),
            (1, reach.downstream, "ancestor_id", "descendant_id"),
        ] {
            let sql = format!(
                "SELECT n.unique_id, n.resource_type, n.last_run_status, l.depth
                 FROM lineage l JOIN nodes n ON n.environment_id = l.environment_id AND n.unique_id = l.{there}
                 WHERE l.environment_id = ?1 AND l.{here} = ?2
                 AND (?3 = '[]' OR n.resource_type IN (SELECT value FROM json_each(?3)))
                 ORDER BY l.depth, n.unique_id"
            );
            let mut statement = connection.prepare(&sql)?;
            let mut rows = statement.query((node.environment_id, &node.unique_id, &types))?;
            while let Some(row) = rows.next()? {
                let found = lineage_node(row, sign)?;
                match limit {
                    Some(limit) if found.depth.abs() > i64::from(limit) => left_out += 1,
                    _ => nodes.push(found),
                }
            }
        }
        let edges = edges_among(connection, node.environment_id, &nodes)?;
        Ok(Self { nodes, edges, left_out })
    }

    /// Leaves the node itself and the `limit` nearest ones around it.
    pub fn nearest(&mut self, limit: usize) {
        let mut nearest: Vec<(i64, String)> =
            self.nodes.iter().skip(1).map(|node| (node.depth.abs(), node.unique_id.clone())).collect();
        nearest.sort();
        let far: HashSet<String> = nearest.into_iter().skip(limit).map(|(_, id)| id).collect();
        self.left_out += far.len() as u64;
        self.nodes.retain(|node| !far.contains(&node.unique_id));
        self.edges.retain(|(parent, child)| !far.contains(parent) && !far.contains(child));
    }

    /// The neighbours of each node in one direction, sorted, by the node's id.
    pub fn next(&self, upstream: bool) -> BTreeMap<&str, Vec<&str>> {
        let mut next: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (parent, child) in &self.edges {
            let (from, to) = if upstream { (child, parent) } else { (parent, child) };
            next.entry(from).or_default().push(to);
        }
        next
    }

    /// As people read it: depth, unique_id, resource_type, last_run_status.
    pub fn table(&self) -> Table {
        let columns = ["depth", "unique_id", "resource_type", "last_run_status"].map(str::to_owned).into();
        let row = |node: &LineageNode| {
            vec![
                node.depth.into(),
                node.unique_id.clone().into(),
                node.resource_type.clone().into(),
                node.last_run_status.clone().into(),
            ]
        };
        Table { columns, rows: self.nodes.iter().map(row).collect() }
    }

    /// As the view `lineage` has it: a row for each pair of the node and one around it.
    pub fn pairs(&self, environment_id: i64) -> Table {
        let columns = ["environment_id", "ancestor_id", "descendant_id", "depth"].map(str::to_owned).into();
        let root = self.nodes.first().map(|node| node.unique_id.clone()).unwrap_or_default();
        let row = |node: &LineageNode| {
            let (ancestor, descendant) =
                if node.depth < 0 { (&node.unique_id, &root) } else { (&root, &node.unique_id) };
            vec![environment_id.into(), ancestor.clone().into(), descendant.clone().into(), node.depth.abs().into()]
        };
        Table { columns, rows: self.nodes.iter().skip(1).map(row).collect() }
    }
}

fn lineage_node(row: &Row<'_>, sign: i64) -> rusqlite::Result<LineageNode> {
    Ok(LineageNode {
        unique_id: row.get(0)?,
        resource_type: row.get(1)?,
        last_run_status: row.get(2)?,
        depth: sign * row.get::<_, i64>(3)?,
    })
}

fn root(connection: &Connection, node: &Found) -> Result<LineageNode, Error> {
    let sql = "SELECT unique_id, resource_type, last_run_status, 0 FROM nodes
               WHERE environment_id = ?1 AND unique_id = ?2";
    Ok(connection.query_row(sql, (node.environment_id, &node.unique_id), |row| lineage_node(row, 0))?)
}

fn edges_among(
    connection: &Connection,
    environment_id: i64,
    nodes: &[LineageNode],
) -> Result<Vec<(String, String)>, Error> {
    let ids: Vec<&str> = nodes.iter().map(|node| node.unique_id.as_str()).collect();
    let sql = "SELECT e.parent_id, e.child_id FROM edges e
               WHERE e.environment_id = ?1 AND e.child_id IN (SELECT value FROM json_each(?2))
               AND e.parent_id IN (SELECT value FROM json_each(?2)) ORDER BY 1, 2";
    let mut statement = connection.prepare(sql)?;
    let values = (environment_id, serde_json::Value::from(ids).to_string());
    let edges = statement.query_map(values, |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(edges.collect::<Result<_, _>>()?)
}

/// The view `freshness`, by environment and id, with only what is worse than `pass` if `stale` is wanted.
pub fn freshness(connection: &Connection, environment_id: Option<i64>, stale: bool) -> Result<Table, Error> {
    let sql = "SELECT * FROM freshness WHERE (?1 IS NULL OR environment_id = ?1)
               AND (NOT ?2 OR status IN ('error', 'overdue', 'warn', 'never_checked'))
               ORDER BY environment_id, resource_type <> 'source', unique_id";
    table(connection, sql, &[&environment_id, &stale])
}
