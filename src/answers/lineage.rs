//! What a node stands on, and what stands on it: a walk along the edges, since not every catalog holds all connected pairs.

use std::collections::{BTreeMap, HashSet, VecDeque};

use rusqlite::{OptionalExtension, Row};
use serde::Serialize;

use super::{Error, Found, Reader, Table};
use crate::plan::Direction;

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
    /// What is done to a column on its way along an edge; empty where these are whole nodes.
    pub kinds: BTreeMap<(String, String), String>,
    /// How many more there are beyond the reach.
    pub left_out: u64,
}

/// The neighbours that have lineage, in one direction.
const NEXT: &str = "
    SELECT e.{there} FROM edge e CROSS JOIN node n ON n.node_key = e.{there}
    WHERE e.{here} = ?1 AND n.resource_type NOT IN ('test', 'unit_test', 'group')";

const NODES: &str = "
    SELECT unique_id, resource_type, name, last_run_status, walked.value ->> 1
    FROM json_each(?1) walked CROSS JOIN node ON node_key = walked.value ->> 0
    WHERE (?2 = '[]' OR resource_type IN (SELECT value FROM json_each(?2)))
    ORDER BY 5, 1";

impl Reader {
    /// The lineage of `node`, of some resource types or (if none are named) all, at most `limit` nodes to each side. The node itself
    /// is always there.
    pub fn lineage(&self, node: &Found, reach: Reach, types: &[String], limit: usize) -> Result<Lineage, Error> {
        let types = serde_json::Value::from(types.to_vec()).to_string();
        let sql = "SELECT unique_id, resource_type, name, last_run_status, 0 FROM nodes
                   WHERE environment_id = ?1 AND unique_id = ?2";
        let id = (node.environment_id, &node.unique_id);
        let mut nodes = vec![self.connection.query_row(sql, id, |row| lineage_node(row, 0))?];
        let mut left_out = 0;
        let key = self.key_of(node)?;
        for (direction, depth) in [(Direction::Upstream, reach.upstream), (Direction::Downstream, reach.downstream)] {
            let sign = if direction == Direction::Upstream { -1 } else { 1 };
            let walked = serde_json::json!(self.walk(&[key], direction)?).to_string();
            let mut statement = self.connection.prepare(NODES)?;
            let found = statement.query_map((walked, &types), |row| lineage_node(row, sign))?;
            let found = found.collect::<Result<Vec<_>, _>>()?;
            let depth = depth.map_or(i64::MAX, i64::from);
            let near = found.iter().take_while(|node| node.depth.abs() <= depth).count();
            left_out += found.len() - near;
            nodes.extend(found.into_iter().take(near.min(limit)));
        }
        let edges = self.edges_among(node.environment_id, &nodes)?;
        Ok(Lineage { nodes, edges, kinds: BTreeMap::new(), left_out: left_out as u64 })
    }

    /// The key of a node.
    pub(super) fn key_of(&self, node: &Found) -> Result<i64, Error> {
        let sql = "SELECT node_key FROM node WHERE environment_id = ?1 AND unique_id = ?2";
        Ok(self.connection.query_row(sql, (node.environment_id, &node.unique_id), |row| row.get(0))?)
    }

    /// All that some nodes stand on, or that stands on them: the key of each, and the hops to it. Nearest first. Tests and groups have
    /// no lineage.
    pub(super) fn walk(&self, from: &[i64], direction: Direction) -> Result<Vec<(i64, i64)>, Error> {
        let (here, there) = match direction {
            Direction::Upstream => ("child_key", "parent_key"),
            Direction::Downstream => ("parent_key", "child_key"),
        };
        let sql = "SELECT resource_type NOT IN ('test', 'unit_test', 'group') FROM node WHERE node_key = ?1";
        let mut has_lineage = self.connection.prepare(sql)?;
        let mut next = self.connection.prepare(&NEXT.replace("{here}", here).replace("{there}", there))?;
        let (mut seen, mut found, mut open) = (HashSet::new(), Vec::new(), VecDeque::new());
        for key in from {
            if has_lineage.query_row([key], |row| row.get(0)).optional()?.unwrap_or_default() {
                open.push_back((*key, 0));
            }
        }
        while let Some((node, depth)) = open.pop_front() {
            let mut rows = next.query([node])?;
            while let Some(row) = rows.next()? {
                let neighbor = (row.get(0)?, depth + 1);
                if seen.insert(neighbor.0) {
                    found.push(neighbor);
                    open.push_back(neighbor);
                }
            }
        }
        Ok(found)
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

    /// What is done to a column on its way between two that the tree shows one below the other.
    pub fn kind(&self, from: &str, id: &str, upstream: bool) -> Option<&str> {
        let (parent, child) = if upstream { (id, from) } else { (from, id) };
        self.kinds.get(&(parent.to_owned(), child.to_owned())).map(String::as_str)
    }

    /// Those of some rows of the view `column_lineage` both of whose ends are shown.
    pub fn rows_among(&self, rows: &Table) -> Table {
        let shown: HashSet<&str> = self.nodes.iter().map(|node| node.unique_id.as_str()).collect();
        let is_shown = |id: &str, column: &str| shown.contains(format!("{id}.{column}").as_str());
        rows.clone().filter(|row| {
            is_shown(row.str("parent_id"), row.str("parent_column"))
                && is_shown(row.str("child_id"), row.str("child_column"))
        })
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
