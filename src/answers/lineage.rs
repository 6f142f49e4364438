//! What a node stands on, and what stands on it: from the views `lineage` and `edges`.

use std::collections::{BTreeMap, HashSet};

use rusqlite::Row;
use serde::Serialize;

use super::{Error, Found, Reader, Table};

/// How far to look; `None` for all the way, `Some(0)` for not at all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reach {
    /// Towards parents.
    pub upstream: Option<u32>,
    /// Towards children.
    pub downstream: Option<u32>,
}

/// A node around another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LineageNode {
    /// Its id.
    pub unique_id: String,
    /// Its type.
    pub resource_type: String,
    /// Its name.
    pub name: Option<String>,
    /// Its last run's status.
    #[serde(skip)]
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

/// The pairs are found first, then their names; without CROSS, SQLite might begin with all nodes.
const AROUND: &str = "
    SELECT n.unique_id, n.resource_type, n.name, n.last_run_status, l.depth FROM lineage l
    CROSS JOIN nodes n ON n.environment_id = ?1 AND n.unique_id = l.{there}
    WHERE l.environment_id = ?1 AND l.{here} = ?2 AND l.depth <= ?4
    AND (?3 = '[]' OR n.resource_type IN (SELECT value FROM json_each(?3)))
    ORDER BY l.depth, n.unique_id LIMIT ?5";

const BEYOND: &str = "
    SELECT count(*) FROM lineage l
    WHERE l.environment_id = ?1 AND l.{here} = ?2 AND l.depth > ?4
    AND (?3 = '[]' OR EXISTS (
        SELECT 1 FROM nodes n WHERE n.environment_id = ?1 AND n.unique_id = l.{there}
        AND n.resource_type IN (SELECT value FROM json_each(?3))))";

impl Reader {
    /// The lineage of `node`, of some resource types or (if none are named) all, at most `limit` nodes to each side. The node itself
    /// is always there.
    pub fn lineage(&self, node: &Found, reach: Reach, types: &[String], limit: usize) -> Result<Lineage, Error> {
        let types = serde_json::Value::from(types.to_vec()).to_string();
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let sql = "SELECT unique_id, resource_type, name, last_run_status, 0 FROM nodes
                   WHERE environment_id = ?1 AND unique_id = ?2";
        let id = (node.environment_id, &node.unique_id);
        let mut nodes = vec![self.connection.query_row(sql, id, |row| lineage_node(row, 0))?];
        let mut left_out = 0;
        for (sign, depth, here, there) in [
            (-1, reach.upstream, "descendant_id", "ancestor_id"),
            (1, reach.downstream, "ancestor_id", "descendant_id"),
        ] {
            let sql = |text: &str| text.replace("{here}", here).replace("{there}", there);
            let (far, depth) = (depth.is_some(), depth.unwrap_or(u32::MAX));
            let mut statement = self.connection.prepare(&sql(AROUND))?;
            let values = (id.0, id.1, &types, depth, limit);
            let found = statement.query_map(values, |row| lineage_node(row, sign))?.collect::<Result<Vec<_>, _>>()?;
            nodes.extend(found);
            if far {
                let values = (id.0, id.1, &types, depth);
                left_out += self.connection.query_row(&sql(BEYOND), values, |row| row.get::<_, i64>(0))?.unsigned_abs();
            }
        }
        let edges = self.edges_among(node.environment_id, &nodes)?;
        Ok(Lineage { nodes, edges, left_out })
    }

    fn edges_among(&self, environment_id: i64, nodes: &[LineageNode]) -> Result<Vec<(String, String)>, Error> {
        let ids: Vec<&str> = nodes.iter().map(|node| node.unique_id.as_str()).collect();
        let sql = "SELECT e.parent_id, e.child_id FROM edges e
                   WHERE e.environment_id = ?1 AND e.child_id IN (SELECT value FROM json_each(?2))
                   AND e.parent_id IN (SELECT value FROM json_each(?2)) ORDER BY 1, 2";
        let mut statement = self.connection.prepare(sql)?;
        let values = (environment_id, serde_json::Value::from(ids).to_string());
        let edges = statement.query_map(values, |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(edges.collect::<Result<_, _>>()?)
    }
}

impl Lineage {
    /// What is around the node: what it is built from, the farthest first, then what is built from it.
    pub fn around(&self) -> Vec<&LineageNode> {
        let mut around: Vec<&LineageNode> = self.nodes.iter().skip(1).collect();
        around.sort_by_key(|node| (node.depth, &node.unique_id));
        around
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
        let row = |node: &LineageNode| {
            let LineageNode { unique_id, resource_type, name: _, last_run_status, depth } = node.clone();
            vec![depth.into(), unique_id.into(), resource_type.into(), last_run_status.into()]
        };
        let rows = self.nodes.iter().map(row).collect();
        Table::new(["depth", "unique_id", "resource_type", "last_run_status"], rows)
    }

    /// As the view `lineage` has it: a row for each pair of the node and one around it.
    pub fn pairs(&self, environment_id: i64) -> Table {
        let root = self.nodes.first().map(|node| node.unique_id.as_str()).unwrap_or_default();
        let row = |node: &LineageNode| {
            let id = node.unique_id.as_str();
            let (ancestor, descendant) = if node.depth < 0 { (id, root) } else { (root, id) };
            vec![environment_id.into(), ancestor.into(), descendant.into(), node.depth.abs().into()]
        };
        let rows = self.nodes.iter().skip(1).map(row).collect();
        Table::new(["environment_id", "ancestor_id", "descendant_id", "depth"], rows)
    }
}

fn lineage_node(row: &Row<'_>, sign: i64) -> rusqlite::Result<LineageNode> {
    Ok(LineageNode {
        unique_id: row.get(0)?,
        resource_type: row.get(1)?,
        name: row.get(2)?,
        last_run_status: row.get(3)?,
        depth: sign * row.get::<_, i64>(4)?,
    })
}
