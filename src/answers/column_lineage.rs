//! Where a column comes from, and what comes from it: a walk along the rows of `column_lineage`. It is of now, also in a catalog as it was.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use rusqlite::OptionalExtension;
use serde::Serialize;
use serde_json::Value;

use super::{Error, Found, Head, Lineage, LineageNode, Reach, Reader, Table};
use crate::inventory::fold;
use crate::plan::Direction;

/// How many columns are offered for one that does not exist.
const OFFERS: usize = 20;

/// A node as a whole, or one of its columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The node.
    pub node: Found,
    /// Its column, as the catalog spells it.
    pub column_name: Option<String>,
}

/// A column that comes from another, or from which that comes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ColumnNode {
    /// Its node.
    pub unique_id: String,
    /// Its name.
    pub column_name: String,
    /// The node's type.
    pub resource_type: String,
    /// Hops: negative upstream, 0 for the column itself, positive downstream.
    pub depth: i64,
}

/// A model or snapshot whose columns are not all known: what comes from it, or it comes from, may be more.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Unresolved {
    /// Its id.
    pub unique_id: String,
    /// How far it is resolved: partial, unparsed, no_code, not_sql or too_large.
    pub status: String,
    /// Why not further.
    pub reason: Option<String>,
}

/// A column with everything around it that was asked for.
#[derive(Debug)]
pub struct ColumnLineage {
    /// The column itself first, then by depth, node and name.
    pub columns: Vec<ColumnNode>,
    /// The rows of the view `column_lineage` among them.
    pub rows: Table,
    /// Nodes on the way that are not resolved.
    pub unresolved: Vec<Unresolved>,
    /// How many more columns there are beyond the reach.
    pub left_out: u64,
}

/// What a column is tied to, by the column's name, in words.
pub type Ties = BTreeMap<String, Vec<String>>;

/// The first and the last of some syncs, what they dropped of column lineage counting as if it were there.
pub(super) type Dropped = (i64, i64);

/// None of them.
pub(super) const NOTHING: Dropped = (1, 0);

/// A column by its node's key.
pub(super) type Place = (i64, String);

/// The columns that a walk found, with the hops to each, nearest first.
pub(super) type Walked = Vec<(Place, i64)>;

const UP: &str = "SELECT parent_key, parent_column FROM column_origin WHERE child_key = ?1 AND child_column = ?2";

/// With what some syncs dropped: a column that went may have been read.
const DOWN: &str = "
    SELECT child_key, child_column FROM column_origin WHERE parent_key = ?1 AND parent_column = ?2
    UNION SELECT child_key, child_column FROM column_gone
    WHERE sync_id BETWEEN ?3 AND ?4 AND parent_key = ?1 AND parent_column = ?2 AND child_column <> ''
    AND (SELECT removed_at IS NULL FROM node WHERE node_key = child_key)";

/// What a node is called in a few words, so that it is found by that: as dbt calls sources and versions.
const CALLED: &str = "coalesce(n.properties ->> 'source_name' || '.', '') || coalesce(n.name, n.unique_id) || coalesce('.v' || n.version, '')";

const FROM: &str = "
    SELECT o.child_column, {called} || '.' || o.parent_column || ' (' || o.kind || iif(o.is_listed, ')', ', not in its list of columns)')
    FROM column_origin o JOIN node n ON n.node_key = o.parent_key WHERE o.child_key = ?1 ORDER BY 1, 2";

const TO: &str = "
    SELECT o.parent_column, {called} || '.' || o.child_column
    FROM column_origin o JOIN node n ON n.node_key = o.child_key WHERE o.parent_key = ?1
    UNION ALL
    SELECT parent_column, {called} || ' (' || group_concat(u.clause, ', ') || ')'
    FROM (SELECT * FROM column_use WHERE parent_key = ?1 ORDER BY child_key, parent_column, clause) u
    JOIN node n ON n.node_key = u.child_key GROUP BY u.child_key, u.parent_column
    ORDER BY 1, 2";

const ROW: &str = "
    SELECT kind, expression, is_listed FROM column_origin o
    WHERE o.child_key = ?1 AND o.child_column = ?2 AND o.parent_key = ?3 AND o.parent_column = ?4";

impl Reader {
    /// What `text` means: a node as [`Reader::find_ever`] has it; else what follows the longest part of it that is a node is a column, and
    /// what stands in quotes at its end.
    ///
    /// # Errors
    /// As [`Reader::find`]; and [`Error::Question`] if the node has no such column, which names those that it has.
    pub fn find_target(&self, environment_id: Option<i64>, text: &str) -> Result<Target, Error> {
        // In quotes it is a column in any case, also where a node is called like both together.
        if let Some((node, column)) = text.strip_suffix('"').and_then(|text| text.rsplit_once(".\"")) {
            let node = self.find_ever(environment_id, node)?;
            let column_name = Some(self.find_column(&node, column)?);
            return Ok(Target { node, column_name });
        }
        if let Some(node) = self.ever(environment_id, text)? {
            return Ok(Target { node, column_name: None });
        }
        for (dot, _) in text.rmatch_indices('.') {
            match self.ever(environment_id, &text[..dot]) {
                Ok(Some(node)) => {
                    let column_name = Some(self.find_column(&node, &text[dot + 1..])?);
                    return Ok(Target { node, column_name });
                }
                Ok(None) => {}
                // A name may be that of a source and of the model on it: the column tells which is meant.
                Err(Error::Several { found, text: name }) => {
                    let column = &text[dot + 1..];
                    let having: Vec<Target> = found.iter().filter_map(|node| self.having(node, column)).collect();
                    return match having.as_slice() {
                        [only] => Ok(only.clone()),
                        [] => Err(Error::Several { text: name, found }),
                        several => Err(Error::Several {
                            text: name,
                            found: several.iter().map(|target| target.node.clone()).collect(),
                        }),
                    };
                }
                Err(error) => return Err(error),
            }
        }
        self.unknown(environment_id, text).map(|node| Target { node, column_name: None })
    }

    fn having(&self, node: &Found, column: &str) -> Option<Target> {
        let column_name = Some(self.find_column(node, column).ok()?);
        Some(Target { node: node.clone(), column_name })
    }

    /// Where each column of a node comes from, and what reads it, in a few words: `orders.amount (rename)`, `mart (join)`.
    pub fn column_ties(&self, node: &Found) -> Result<(Ties, Ties), Error> {
        let key = self.key_of(node)?;
        let ties = |sql: &str| -> Result<Ties, Error> {
            let mut statement = self.connection.prepare(&sql.replace("{called}", CALLED))?;
            let mut rows = statement.query([key])?;
            let mut ties = Ties::new();
            while let Some(row) = rows.next()? {
                ties.entry(row.get(0)?).or_default().push(row.get(1)?);
            }
            Ok(ties)
        };
        Ok((ties(FROM)?, ties(TO)?))
    }

    /// The column of this name: exactly, or without case where only one matches so. One that is gone is found while it is remembered.
    pub fn find_column(&self, node: &Found, name: &str) -> Result<String, Error> {
        let key = self.key_of(node)?;
        let sql = "SELECT name FROM node_column WHERE node_key = ?1
                   UNION SELECT name FROM derived_column WHERE node_key = ?1
                   UNION SELECT parent_column FROM column_origin WHERE parent_key = ?1
                   UNION SELECT parent_column FROM column_use WHERE parent_key = ?1
                   UNION SELECT parent_column FROM column_gone WHERE parent_key = ?1 AND parent_column = ?2";
        let mut statement = self.connection.prepare(sql)?;
        let names = statement.query_map((key, name), |row| row.get(0))?;
        let names = names.collect::<Result<Vec<String>, _>>()?;
        if names.iter().any(|known| known == name) {
            return Ok(name.to_owned());
        }
        let wanted = fold(name);
        let alike: Vec<&String> = names.iter().filter(|known| fold(known) == wanted).collect();
        match alike.as_slice() {
            [only] => Ok(String::clone(only)),
            _ => Err(Error::Question(told_columns(node, name, &names))),
        }
    }

    /// What a column comes from, and what comes from it.
    pub fn column_lineage(&self, node: &Found, column: &str, reach: Reach) -> Result<ColumnLineage, Error> {
        let start: Place = (self.key_of(node)?, column.to_owned());
        let mut names = Names::of(self);
        let mut columns = vec![names.column(&start, 0)?];
        let (mut pairs, mut left_out, mut seen) = (Vec::new(), 0, Vec::new());
        for (direction, most) in [(Direction::Upstream, reach.upstream), (Direction::Downstream, reach.downstream)] {
            let sign = if direction == Direction::Upstream { -1 } else { 1 };
            let most = most.map_or(i64::MAX, i64::from);
            let (walked, steps) = self.walk_columns(&start, direction, NOTHING)?;
            let near: HashSet<&Place> = [&start]
                .into_iter()
                .chain(walked.iter().filter(|(_, hops)| *hops <= most).map(|(place, _)| place))
                .collect();
            left_out += walked.len() + 1 - near.len();
            for (place, hops) in walked.iter().filter(|(place, _)| near.contains(place)) {
                columns.push(names.column(place, sign * hops)?);
            }
            pairs.extend(steps.iter().filter(|(child, parent)| near.contains(child) && near.contains(parent)).cloned());
            seen.push(near.iter().map(|place| place.0).collect::<Vec<i64>>());
        }
        columns[1..]
            .sort_by(|a, b| (a.depth, &a.unique_id, &a.column_name).cmp(&(b.depth, &b.unique_id, &b.column_name)));
        let mut unresolved = self.unresolved(&seen[0], Whose::Own)?;
        unresolved.extend(self.unresolved(&seen[1], Whose::Children)?);
        unresolved.sort();
        unresolved.dedup();
        let rows = self.column_rows(node.environment_id, &pairs, &mut names)?;
        Ok(ColumnLineage { columns, rows, unresolved, left_out: left_out as u64 })
    }

    /// The columns in one direction, and the steps between them, as (child, parent).
    pub(super) fn walk_columns(
        &self,
        start: &Place,
        direction: Direction,
        dropped: Dropped,
    ) -> Result<(Walked, Vec<(Place, Place)>), Error> {
        let mut next = self.connection.prepare(if direction == Direction::Upstream { UP } else { DOWN })?;
        let (mut seen, mut walked, mut steps) = (HashSet::from([start.clone()]), Vec::new(), Vec::new());
        let mut open = VecDeque::from([(start.clone(), 0)]);
        while let Some((place, hops)) = open.pop_front() {
            let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
            let found: Vec<Place> = match direction {
                Direction::Upstream => next.query_map((place.0, &place.1), read)?.collect::<Result<_, _>>()?,
                Direction::Downstream => {
                    next.query_map((place.0, &place.1, dropped.0, dropped.1), read)?.collect::<Result<_, _>>()?
                }
            };
            for neighbour in found {
                steps.push(match direction {
                    Direction::Upstream => (place.clone(), neighbour.clone()),
                    Direction::Downstream => (neighbour.clone(), place.clone()),
                });
                if seen.insert(neighbour.clone()) {
                    walked.push((neighbour.clone(), hops + 1));
                    open.push_back((neighbour, hops + 1));
                }
            }
        }
        Ok((walked, steps))
    }

    /// Which of some nodes, or of their children, are not resolved.
    pub(super) fn unresolved(&self, keys: &[i64], whose: Whose) -> Result<Vec<Unresolved>, Error> {
        let of = match whose {
            Whose::Own => "SELECT value AS node_key FROM json_each(?1)",
            Whose::Children => {
                "SELECT child_key AS node_key FROM edge WHERE parent_key IN (SELECT value FROM json_each(?1))"
            }
        };
        let sql = format!(
            "SELECT DISTINCT n.unique_id, s.status, s.reason FROM ({of}) JOIN column_status s USING (node_key)
             JOIN node n USING (node_key) WHERE s.status <> 'resolved' ORDER BY 1"
        );
        let mut statement = self.connection.prepare(&sql)?;
        let read = |row: &rusqlite::Row<'_>| {
            Ok(Unresolved { unique_id: row.get(0)?, status: row.get(1)?, reason: row.get(2)? })
        };
        let found = statement.query_map([serde_json::json!(keys).to_string()], read)?;
        Ok(found.collect::<Result<_, _>>()?)
    }

    fn column_rows(
        &self,
        environment_id: i64,
        pairs: &[(Place, Place)],
        names: &mut Names<'_>,
    ) -> Result<Table, Error> {
        let mut of_pair = self.connection.prepare(ROW)?;
        let mut rows = Vec::new();
        for (child, parent) in pairs {
            let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
            let row = of_pair.query_row((child.0, &child.1, parent.0, &parent.1), read).optional()?;
            let Some((kind, expression, is_listed)) = row else { continue };
            let (kind, expression, is_listed): (String, Option<String>, i64) = (kind, expression, is_listed);
            let ids = [names.of_key(parent.0)?.0, names.of_key(child.0)?.0];
            let [parent_id, child_id] = ids.map(Value::from);
            let (parent_column, child_column) = (parent.1.clone().into(), child.1.clone().into());
            rows.push(vec![
                environment_id.into(),
                parent_id,
                parent_column,
                child_id,
                child_column,
                kind.into(),
                expression.into(),
                is_listed.into(),
            ]);
        }
        let by_key = |row: &Vec<Value>| [3, 4, 1, 2].map(|place: usize| row[place].as_str().map(str::to_owned));
        rows.sort_by_cached_key(by_key);
        rows.dedup();
        let view = super::view("column_lineage").map(|view| view.columns).unwrap_or_default();
        Ok(Table { columns: view.iter().map(Head::from).collect(), rows })
    }
}

/// Whose status is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// That of the nodes themselves.
    Own,
    /// That of the nodes that read them.
    Children,
}

/// The ids and types of nodes, by their keys.
pub(super) struct Names<'a> {
    reader: &'a Reader,
    known: HashMap<i64, (String, String)>,
}

impl<'a> Names<'a> {
    pub(super) fn of(reader: &'a Reader) -> Self {
        Self { reader, known: HashMap::new() }
    }

    pub(super) fn of_key(&mut self, key: i64) -> Result<(String, String), Error> {
        if let Some(known) = self.known.get(&key) {
            return Ok(known.clone());
        }
        let sql = "SELECT unique_id, resource_type FROM node WHERE node_key = ?1";
        let mut statement = self.reader.connection.prepare_cached(sql)?;
        let found: (String, String) = statement.query_row([key], |row| Ok((row.get(0)?, row.get(1)?)))?;
        self.known.insert(key, found.clone());
        Ok(found)
    }

    pub(super) fn column(&mut self, (key, column): &Place, depth: i64) -> Result<ColumnNode, Error> {
        let (unique_id, resource_type) = self.of_key(*key)?;
        Ok(ColumnNode { unique_id, column_name: column.clone(), resource_type, depth })
    }
}

impl ColumnLineage {
    /// The same as lineage of things that are called by node and column, to be drawn.
    pub fn drawn(&self) -> Lineage {
        let written = |id: &str, column: &str| format!("{id}.{column}");
        let node = |column: &ColumnNode| LineageNode {
            unique_id: written(&column.unique_id, &column.column_name),
            resource_type: column.resource_type.clone(),
            name: Some(column.column_name.clone()),
            last_run_status: None,
            depth: column.depth,
        };
        let kinds: BTreeMap<(String, String), String> = self
            .rows
            .iter()
            .map(|row| {
                let parent = written(row.str("parent_id"), row.str("parent_column"));
                let child = written(row.str("child_id"), row.str("child_column"));
                let unlisted = if row.is("is_listed") { "" } else { ", not in its list of columns" };
                ((parent, child), format!("{}{unlisted}", row.str("kind")))
            })
            .collect();
        let mut edges: Vec<(String, String)> = kinds.keys().cloned().collect();
        edges.sort();
        Lineage { nodes: self.columns.iter().map(node).collect(), edges, kinds, left_out: self.left_out }
    }
}

fn told_columns(node: &Found, name: &str, names: &[String]) -> String {
    let id = &node.unique_id;
    if names.is_empty() {
        return format!("no column `{name}` of `{id}` is known: the catalog knows none of its columns");
    }
    let shown: Vec<&str> = names.iter().take(OFFERS).map(String::as_str).collect();
    let more = names.len().saturating_sub(OFFERS);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("`{id}` has no column `{name}`; it has {}{more}", shown.join(", "))
}
