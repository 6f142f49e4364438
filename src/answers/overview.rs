//! One node and what is around it: the screen of `show`, and what is served of a node.

use rusqlite::Row;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::table::table;
use super::{Error, Found, Reader, Table};

/// A node beside another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neighbour {
    /// Its id.
    pub unique_id: String,
    /// Its type.
    pub resource_type: String,
    /// Its last run's status.
    pub last_run_status: Option<String>,
}

/// A node. Written as JSON it is its row, with `columns` (objects), `parents` and `children` (ids).
#[derive(Debug)]
pub struct Overview {
    /// Its row of the view `nodes`.
    pub node: Table,
    /// Its rows of the view `columns`, by position.
    pub columns: Table,
    /// What it reads.
    pub parents: Vec<Neighbour>,
    /// What reads it, its tests among them.
    pub children: Vec<Neighbour>,
}

impl Serialize for Overview {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for row in self.node.iter() {
            row.entries(&mut map)?;
        }
        map.serialize_entry("columns", &self.columns)?;
        let ids = |nodes: &[Neighbour]| nodes.iter().map(|node| node.unique_id.clone()).collect::<Vec<_>>();
        map.serialize_entry("parents", &ids(&self.parents))?;
        map.serialize_entry("children", &ids(&self.children))?;
        map.end()
    }
}

impl Reader {
    /// A node with what is around it.
    pub fn overview(&self, node: &Found) -> Result<Overview, Error> {
        let facts = ["name", "position", "data_type", "description", "comment", "tags", "meta"];
        Ok(Overview {
            node: self.rows_of("nodes", node)?,
            columns: self.rows_of("columns", node)?.only(&facts),
            parents: self.neighbours(node, "parent_id", "child_id")?,
            children: self.neighbours(node, "child_id", "parent_id")?,
        })
    }

    fn neighbours(&self, node: &Found, wanted: &str, given: &str) -> Result<Vec<Neighbour>, Error> {
        let sql = format!(
            "SELECT n.unique_id, n.resource_type, n.last_run_status FROM edges e
             JOIN nodes n ON n.environment_id = ?1 AND n.unique_id = e.{wanted}
             WHERE e.environment_id = ?1 AND e.{given} = ?2 ORDER BY 1"
        );
        let mut statement = self.connection.prepare(&sql)?;
        let neighbour = |row: &Row<'_>| {
            Ok(Neighbour { unique_id: row.get(0)?, resource_type: row.get(1)?, last_run_status: row.get(2)? })
        };
        let rows = statement.query_map((node.environment_id, &node.unique_id), neighbour)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// What tests the node, the worst first: unique_id, test_name, column_name (as `columns` has it, where it has it), status,
    /// failures, message.
    pub fn tests_of(&self, node: &Found) -> Result<Table, Error> {
        let sql = "SELECT t.unique_id, t.test_name, coalesce(n.tested_column, t.column_name) AS column_name, t.status, t.failures,
                       t.message
                   FROM tests t JOIN node n ON n.environment_id = t.environment_id AND n.unique_id = t.unique_id
                   WHERE t.environment_id = ?1 AND t.tested_id = ?2
                   ORDER BY CASE t.status WHEN 'error' THEN 0 WHEN 'fail' THEN 1 WHEN 'warn' THEN 2 WHEN 'pass' THEN 4 ELSE 3 END,
                       3, 2, 1";
        table(&self.connection, sql, &[&node.environment_id, &node.unique_id])
    }
}
