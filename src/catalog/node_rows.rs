//! The rows of nodes, and what has rows of its own beside them: columns, edges, tombstones, and the change feed.

use std::collections::{HashMap, HashSet};

use rusqlite::types::{ToSqlOutput, Value};
use rusqlite::{Statement, ToSql, Transaction};

use super::run_rows::RUN_FACTS;
use super::staged::Staged;
use super::syncs::SyncId;
use crate::derive::tests::Tested;
use crate::inventory::{Column, Fact, Inventory, Node, ResourceType, UniqueId};
use crate::plan::{Change, ChangeKind, Diff};

/// Writes the rows of one sync.
pub(super) struct NodeRows<'a> {
    transaction: &'a Transaction<'a>,
    sync: SyncId,
    now: String,
    environment_id: i64,
    add_node: Statement<'a>,
    update_node: Statement<'a>,
    add_code: Statement<'a>,
    add_column: Statement<'a>,
    add_edge: Statement<'a>,
    add_change: Statement<'a>,
    /// Of all nodes that were ever there.
    pub(super) keys: HashMap<UniqueId, i64>,
    /// The nodes whose row was written whole.
    pub(super) written: HashSet<i64>,
    /// Those that were never there before.
    pub(super) new: HashSet<i64>,
}

impl<'a> NodeRows<'a> {
    pub(super) fn new(
        transaction: &'a Transaction<'a>,
        environment_id: i64,
        sync: SyncId,
        now: String,
    ) -> rusqlite::Result<Self> {
        Ok(Self {
            transaction,
            sync,
            now,
            environment_id,
            add_node: transaction.prepare(&add_node())?,
            update_node: transaction.prepare(&update_node())?,
            add_code: transaction.prepare("INSERT OR IGNORE INTO raw_code (sha256, code) VALUES (?1, ?2)")?,
            add_column: transaction.prepare(&add_column())?,
            add_edge: transaction.prepare("INSERT INTO edge (parent_key, child_key) VALUES (?1, ?2)")?,
            add_change: transaction.prepare(
                "INSERT INTO change (sync_id, node_key, resource_type, kind, field, parent_id, column_name, before, after)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?,
            keys: keys(transaction, environment_id)?,
            written: HashSet::new(),
            new: HashSet::new(),
        })
    }

    /// The rows of all nodes that are new, back or have a changed field: first of all, since edges refer to them.
    pub(super) fn write_nodes(
        &mut self,
        diff: &Diff<'_>,
        fetched: &Inventory,
        staged: &mut Staged<'_>,
    ) -> rusqlite::Result<()> {
        let mut last: Option<&UniqueId> = None;
        for change in &diff.changes {
            let id = &change.node.unique_id;
            let whole = matches!(change.kind, ChangeKind::Added | ChangeKind::Restored | ChangeKind::Changed { .. });
            if whole && last != Some(id) {
                if let Some(code) = &change.node.raw_code {
                    staged.with(code, |text| self.add_code.execute((&code.sha256, text)))?;
                }
                let key = self.write_node(change.node, &Tested::by(change.node, fetched))?;
                self.written.insert(key);
                last = Some(id);
            }
        }
        Ok(())
    }

    /// The row of a node, new or as it is now. Two statements: what returns a row, or may do either, keeps the pages that it changes as
    /// they were.
    fn write_node(&mut self, node: &Node, tested: &Tested) -> rusqlite::Result<i64> {
        let known = self.keys.get(&node.unique_id).copied();
        let whose = known.unwrap_or(self.environment_id);
        let lines = node.raw_code.as_ref().map(|code| code.lines);
        let facts = node.facts();
        let run = RUN_FACTS.map(|(_, fact)| fact(node));
        let Tested { tested_id, column_name, tested_column, test_name, test_type } = tested;
        let (id, now) = (node.unique_id.as_str(), &self.now);
        let own: [&dyn ToSql; 9] =
            [&whose, &id, now, &lines, tested_id, column_name, tested_column, test_name, test_type];
        let facts = facts.iter().map(|(_, fact)| fact as &dyn ToSql);
        let values = own.into_iter().chain(facts).chain(run.iter().map(|value| value as &dyn ToSql));
        let values = rusqlite::params_from_iter(values);
        if let Some(key) = known {
            self.update_node.execute(values)?;
            return Ok(key);
        }
        self.add_node.execute(values)?;
        let key = self.transaction.last_insert_rowid();
        self.keys.insert(node.unique_id.clone(), key);
        self.new.insert(key);
        Ok(key)
    }

    /// What belongs to a node and has rows of its own, and the row of the change feed; its `seq` is the next one.
    pub(super) fn write_change(&mut self, change: &Change<'_>) -> rusqlite::Result<()> {
        let node = change.node;
        let key = self.key(&node.unique_id)?;
        match &change.kind {
            ChangeKind::Added | ChangeKind::Restored => {
                for column in &node.columns {
                    self.write_column(key, column)?;
                }
                for parent in &node.parents {
                    self.write_edge(parent, key)?;
                }
            }
            ChangeKind::Removed => self.bury(key)?,
            ChangeKind::Changed { .. } => {}
            ChangeKind::EdgeAdded(parent) => self.write_edge(parent, key)?,
            ChangeKind::EdgeRemoved(parent) => {
                let sql = "DELETE FROM edge WHERE child_key = ?1 AND parent_key = ?2";
                self.transaction.prepare_cached(sql)?.execute((key, self.key(parent)?))?;
            }
            ChangeKind::ColumnAdded(column) => self.write_column(key, column)?,
            ChangeKind::ColumnRemoved(column) => {
                let sql = "DELETE FROM node_column WHERE node_key = ?1 AND name = ?2";
                self.transaction.prepare_cached(sql)?.execute((key, &column.name))?;
            }
            ChangeKind::ColumnChanged { column, field, after, .. } => {
                let sql = format!("UPDATE node_column SET {field} = ?3 WHERE node_key = ?1 AND name = ?2");
                self.transaction.prepare_cached(&sql)?.execute((key, column, after))?;
            }
        }
        self.record(key, change)
    }

    fn write_column(&mut self, key: i64, column: &Column) -> rusqlite::Result<()> {
        let facts = column.facts();
        let own: [&dyn ToSql; 2] = [&key, &column.name];
        let values = own.into_iter().chain(facts.iter().map(|(_, fact)| fact as &dyn ToSql));
        self.add_column.execute(rusqlite::params_from_iter(values)).map(drop)
    }

    fn write_edge(&mut self, parent: &UniqueId, child_key: i64) -> rusqlite::Result<()> {
        let parent_key = self.key(parent)?;
        self.add_edge.execute((parent_key, child_key)).map(drop)
    }

    fn bury(&mut self, key: i64) -> rusqlite::Result<()> {
        for sql in [
            "DELETE FROM node_column WHERE node_key = ?1",
            "DELETE FROM edge WHERE child_key = ?1",
            "DELETE FROM compiled_code WHERE node_key = ?1",
        ] {
            self.transaction.prepare_cached(sql)?.execute([key])?;
        }
        let sql = "UPDATE node SET removed_at = ?2, removed_by = ?3 WHERE node_key = ?1";
        self.transaction.prepare_cached(sql)?.execute((key, &self.now, self.sync.0)).map(drop)
    }

    fn record(&mut self, key: i64, change: &Change<'_>) -> rusqlite::Result<()> {
        let (before, after) = change.values().map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
        self.add_change.execute((
            self.sync.0,
            key,
            change.node.resource_type.as_str(),
            change.kind.as_str(),
            change.field(),
            change.parent_id(),
            change.column_name(),
            before,
            after,
        ))?;
        if self.written.contains(&key) {
            return Ok(());
        }
        let sql = "UPDATE node SET last_changed_at = ?2 WHERE node_key = ?1 AND last_changed_at <> ?2";
        self.transaction.prepare_cached(sql)?.execute((key, &self.now)).map(drop)
    }

    /// The key of a node; every id in a diff has one by now, so a missing one is a broken diff.
    pub(super) fn key(&self, id: &UniqueId) -> rusqlite::Result<i64> {
        self.keys.get(id).copied().ok_or(rusqlite::Error::QueryReturnedNoRows)
    }
}

/// The keys of all nodes that an environment has or had.
pub(super) fn keys(transaction: &Transaction<'_>, environment_id: i64) -> rusqlite::Result<HashMap<UniqueId, i64>> {
    let mut statement = transaction.prepare("SELECT unique_id, node_key FROM node WHERE environment_id = ?1")?;
    let key = |row: &rusqlite::Row<'_>| Ok((UniqueId::from(row.get::<_, String>(0)?), row.get(1)?));
    statement.query_map([environment_id], key)?.collect()
}

/// The columns of a node's row that say what it is, with the number of the value that each gets.
fn own_columns() -> impl Iterator<Item = (&'static str, usize)> {
    let own = ["raw_code_lines", "tested_id", "column_name", "tested_column", "test_name", "test_type"];
    // Where the fact `raw_code` stands, the table has its hash.
    let column = |name: &'static str| if name == "raw_code" { "raw_code_sha256" } else { name };
    let facts = Node::new("", ResourceType::Model).facts().map(|(name, _)| column(name));
    own.into_iter().chain(facts).chain(RUN_FACTS.map(|(name, _)| name)).zip(4..)
}

fn add_node() -> String {
    let (names, marks): (Vec<_>, Vec<_>) = own_columns().map(|(name, mark)| (name, format!("?{mark}"))).unzip();
    format!(
        "INSERT INTO node (environment_id, unique_id, first_seen_at, last_changed_at, {}) VALUES (?1, ?2, ?3, ?3, {})",
        names.join(", "),
        marks.join(", ")
    )
}

/// The first value is its key, where that of a new one is its environment. The second is its id, which stays.
fn update_node() -> String {
    let updates: Vec<String> = own_columns().map(|(name, mark)| format!("{name} = ?{mark}")).collect();
    format!(
        "UPDATE node SET last_changed_at = ?3, removed_at = NULL, removed_by = NULL, {} WHERE node_key = ?1",
        updates.join(", ")
    )
}

fn add_column() -> String {
    let names = Column::default().facts().map(|(name, _)| name);
    let marks: Vec<String> = (3..).take(names.len()).map(|number| format!("?{number}")).collect();
    format!("INSERT INTO node_column (node_key, name, {}) VALUES (?1, ?2, {})", names.join(", "), marks.join(", "))
}

impl ToSql for Fact<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Fact::Null => ToSqlOutput::Owned(Value::Null),
            Fact::Text(text) => (*text).into(),
            Fact::Integer(number) => (*number).into(),
            Fact::Bool(yes) => (*yes).into(),
            Fact::Time(time) => time.to_string().into(),
            Fact::Json(json) => json.as_str().into(),
            Fact::Code(code) => (&*code.sha256).into(),
        })
    }
}
