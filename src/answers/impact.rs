//! What may break by a column, or a whole node: the columns that come from it, the nodes whose rows it shapes, and who is behind them.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::OptionalExtension;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::column_lineage::{Dropped, NOTHING, Names, Place, Whose};
use super::{ColumnNode, Error, Reader, Target, Unresolved};
use crate::plan::Direction;

/// A node whose rows a column shapes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Shaped {
    /// Its id.
    pub unique_id: String,
    /// Where columns stand in its code: join, filter, group, having, order, set; `other` if they are only read.
    pub clauses: BTreeSet<String>,
}

/// A node that may be touched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Touched {
    /// Its id.
    pub unique_id: String,
    /// Its type.
    pub resource_type: String,
}

/// What stands on a node or a column, and so may break with it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Impact {
    /// The environment.
    pub environment_id: i64,
    /// The node.
    pub unique_id: String,
    /// The column; none for the whole node.
    pub column_name: Option<String>,
    /// The sync with which it went, if it is not there any more: then what read it until then is told.
    pub gone_with: Option<i64>,
    /// The columns that come from the column, nearest first.
    pub columns: Vec<ColumnNode>,
    /// The nodes whose rows the column, or one that comes from it, shapes.
    pub shaped: Vec<Shaped>,
    /// Nodes that may be touched, for all that is known of their columns.
    pub unresolved: Vec<Unresolved>,
    /// All that may be touched, tests left out, by id: nodes with such columns, those that are shaped, those that are not resolved, and what
    /// stands on these as a whole.
    pub nodes: Vec<Touched>,
    /// The names of the exposures among them, sorted.
    pub exposures: Vec<String>,
    /// Who owns any of them, sorted.
    pub owners: Vec<String>,
}

impl Impact {
    /// Sorts what was found column by column, and names each once.
    fn tidy(&mut self) {
        let place = |column: &ColumnNode| (column.depth, column.unique_id.clone(), column.column_name.clone());
        self.columns.sort_by_cached_key(place);
        self.columns.dedup_by(|a, b| (&a.unique_id, &a.column_name) == (&b.unique_id, &b.column_name));
        let mut shaped: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for Shaped { unique_id, clauses } in std::mem::take(&mut self.shaped) {
            shaped.entry(unique_id).or_default().extend(clauses);
        }
        self.shaped = shaped.into_iter().map(|(unique_id, clauses)| Shaped { unique_id, clauses }).collect();
        self.unresolved.sort();
        self.unresolved.dedup();
    }

    /// True if something may break.
    pub fn is_any(&self) -> bool {
        !self.nodes.is_empty()
    }
}

/// What reads a column beside columns, with what some syncs dropped.
const USES: &str = "
    SELECT child_key, clause FROM column_use WHERE parent_key = ?1 AND parent_column = ?2
    UNION SELECT child_key, how FROM column_gone
    WHERE sync_id BETWEEN ?3 AND ?4 AND parent_key = ?1 AND parent_column = ?2 AND child_column = ''
    AND (SELECT removed_at IS NULL FROM node WHERE node_key = child_key)";

/// The columns of a node that was removed, as far as they were read.
const COLUMNS_GONE: &str =
    "SELECT DISTINCT parent_column FROM column_gone WHERE parent_key = ?1 AND sync_id BETWEEN ?2 AND ?3 ORDER BY 1";

/// What stands on a node, and can't be told by columns: it has none of its own, or they are not resolved.
const WHOLE: &str = "
    SELECT e.child_key FROM edge e JOIN node n ON n.node_key = e.child_key
    LEFT JOIN column_status s ON s.node_key = e.child_key
    WHERE e.parent_key = ?1 AND n.resource_type NOT IN ('test', 'unit_test', 'group') AND coalesce(s.status, '') <> 'resolved'";

impl Reader {
    /// What stands on a node, or on one of its columns.
    pub fn impact(&self, target: &Target) -> Result<Impact, Error> {
        let gone_with = self.went_with(target)?;
        let dropped = gone_with.map_or(NOTHING, |sync| (sync, sync));
        Ok(Impact { gone_with, ..self.impact_with(target, dropped)? })
    }

    /// The same, with what some syncs, from the first to the last of two, dropped of column lineage.
    pub(super) fn impact_with(&self, target: &Target, dropped: Dropped) -> Result<Impact, Error> {
        let Target { node, column_name } = target;
        let key = self.key_of(node)?;
        let mut impact = Impact {
            environment_id: node.environment_id,
            unique_id: node.unique_id.clone(),
            column_name: column_name.clone(),
            ..Impact::default()
        };
        let mut touched = BTreeSet::new();
        let columns = match column_name {
            Some(column) => vec![column.clone()],
            None => {
                let mut statement = self.connection.prepare(COLUMNS_GONE)?;
                let columns = statement.query_map((key, dropped.0, dropped.1), |row| row.get(0))?;
                columns.collect::<Result<Vec<String>, _>>()?
            }
        };
        let mut wholly = if column_name.is_none() { vec![key] } else { Vec::new() };
        for column in columns {
            wholly.extend(self.by_columns(&(key, column), dropped, &mut impact, &mut touched)?);
        }
        impact.tidy();
        touched.extend(wholly.iter().copied());
        touched.extend(self.walk(&wholly, Direction::Downstream)?.into_iter().map(|(key, _)| key));
        touched.remove(&key);
        self.name_touched(&touched, &mut impact)?;
        Ok(impact)
    }

    /// Follows a column; what has such columns is `touched`. Returns the nodes that are touched as a whole.
    fn by_columns(
        &self,
        start: &Place,
        dropped: Dropped,
        impact: &mut Impact,
        touched: &mut BTreeSet<i64>,
    ) -> Result<Vec<i64>, Error> {
        let (walked, _) = self.walk_columns(start, Direction::Downstream, dropped)?;
        let mut names = Names::of(self);
        let mut uses = self.connection.prepare(USES)?;
        let mut shaped: BTreeMap<i64, BTreeSet<String>> = BTreeMap::new();
        for place in [start].into_iter().chain(walked.iter().map(|(place, _)| place)) {
            touched.insert(place.0);
            let mut rows = uses.query((place.0, &place.1, dropped.0, dropped.1))?;
            while let Some(row) = rows.next()? {
                shaped.entry(row.get(0)?).or_default().insert(row.get(1)?);
            }
        }
        for (place, hops) in &walked {
            impact.columns.push(names.column(place, *hops)?);
        }
        let parents: Vec<i64> = touched.iter().copied().collect();
        impact.unresolved.extend(self.unresolved(&parents, Whose::Children)?);
        let mut wholly = self.touched_whole(&parents)?;
        wholly.extend(shaped.keys().copied());
        for (key, clauses) in shaped {
            impact.shaped.push(Shaped { unique_id: names.of_key(key)?.0, clauses });
        }
        Ok(wholly)
    }

    fn touched_whole(&self, parents: &[i64]) -> Result<Vec<i64>, Error> {
        let mut statement = self.connection.prepare(WHOLE)?;
        let mut found = Vec::new();
        for parent in parents {
            let children = statement.query_map([parent], |row| row.get(0))?;
            found.extend(children.collect::<Result<Vec<i64>, _>>()?);
        }
        Ok(found)
    }

    fn name_touched(&self, touched: &BTreeSet<i64>, impact: &mut Impact) -> Result<(), Error> {
        let sql = "WITH touched AS (
                       SELECT node.* FROM json_each(?1) CROSS JOIN node ON node_key = value WHERE removed_at IS NULL)
                   SELECT (SELECT json_group_array(json_object('unique_id', unique_id, 'resource_type', resource_type))
                        FROM (SELECT * FROM touched ORDER BY unique_id)),
                       (SELECT json_group_array(name) FROM (
                           SELECT DISTINCT coalesce(name, unique_id) AS name FROM touched
                           WHERE resource_type = 'exposure' ORDER BY 1)),
                       (SELECT json_group_array(owner_name) FROM (
                           SELECT DISTINCT owner_name FROM touched WHERE owner_name IS NOT NULL ORDER BY 1))";
        fn list<T: DeserializeOwned>(text: String) -> Vec<T> {
            serde_json::from_str(&text).unwrap_or_default()
        }
        let keys = serde_json::json!(touched).to_string();
        let read = |row: &rusqlite::Row<'_>| Ok((list(row.get(0)?), list(row.get(1)?), list(row.get(2)?)));
        (impact.nodes, impact.exposures, impact.owners) = self.connection.query_row(sql, [keys], read)?;
        Ok(())
    }

    /// The sync with which a node went, or a column of it, that is not there now.
    fn went_with(&self, target: &Target) -> Result<Option<i64>, Error> {
        let Target { node, column_name } = target;
        let (id, environment_id) = (&node.unique_id, node.environment_id);
        let sql = "SELECT sync_id FROM removed_nodes WHERE environment_id = ?1 AND unique_id = ?2";
        let removed = self.connection.query_row(sql, (environment_id, id), |row| row.get(0)).optional()?;
        let (Some(column), None) = (column_name, removed) else { return Ok(removed) };
        let sql = "SELECT max(sync_id) FROM changes
                   WHERE environment_id IS ?1 AND unique_id = ?2 AND column_name = ?3 AND kind = 'column_removed'
                   AND NOT EXISTS (SELECT 1 FROM columns WHERE environment_id = ?1 AND unique_id = ?2 AND name = ?3)";
        let found = self.connection.query_row(sql, (environment_id, id, column), |row| row.get(0));
        Ok(found.optional()?.flatten())
    }
}
