//! Takes the changes of one environment back, from the newest: what was added goes, what was removed is there again with its columns
//! and parents, and what was changed is as before.

use std::collections::HashMap;

use rusqlite::types::Value as Sql;
use rusqlite::{OptionalExtension, Row, Transaction};
use serde_json::Value;

use super::node_rows::keys;
use crate::inventory::{Column, Node, ResourceType, UniqueId};

/// Takes back what `temp.later` lists of the environment. Tells whether nodes were connected or parted by it; `None` if nothing changed.
pub(super) fn undo_changes(transaction: &Transaction<'_>, environment_id: i64) -> rusqlite::Result<Option<bool>> {
    let (node_facts, column_facts) = fact_names();
    let mut undo =
        Undo { transaction, keys: keys(transaction, environment_id)?, node_facts, column_facts, moved: false };
    let sql = "SELECT c.seq, c.node_key, c.kind, c.field, c.parent_id, c.column_name, c.before FROM change c
               WHERE c.sync_id IN (SELECT l.sync_id FROM temp.later l JOIN sync s ON s.sync_id = l.sync_id
                                   WHERE s.environment_id = ?1) ORDER BY c.seq DESC";
    let mut statement = transaction.prepare(sql)?;
    let mut rows = statement.query([environment_id])?;
    let mut changed = false;
    while let Some(row) = rows.next()? {
        changed = true;
        undo.change(&Change::of(row)?)?;
    }
    Ok(changed.then_some(undo.moved))
}

/// A row of the history.
struct Change {
    seq: i64,
    key: i64,
    kind: String,
    field: Option<String>,
    parent_id: Option<String>,
    column_name: Option<String>,
    before: Value,
}

impl Change {
    fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        let before: Option<String> = row.get(6)?;
        let before = before.as_deref().map_or(Ok(Value::Null), serde_json::from_str);
        Ok(Self {
            seq: row.get(0)?,
            key: row.get(1)?,
            kind: row.get(2)?,
            field: row.get(3)?,
            parent_id: row.get(4)?,
            column_name: row.get(5)?,
            before: before.map_err(|error| broken(&error.to_string()))?,
        })
    }
}

/// A history that can't be what this program wrote.
fn broken(what: &str) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, what.to_owned().into())
}

/// Takes changes back in one environment.
struct Undo<'a> {
    transaction: &'a Transaction<'a>,
    keys: HashMap<UniqueId, i64>,
    node_facts: Vec<&'static str>,
    column_facts: Vec<&'static str>,
    /// Whether nodes were connected or parted.
    moved: bool,
}

impl Undo<'_> {
    fn change(&mut self, change: &Change) -> rusqlite::Result<()> {
        let key = change.key;
        let field = || change.field.as_deref().ok_or_else(|| broken("a change without a field"));
        let parent = || change.parent_id.as_deref().ok_or_else(|| broken("an edge without a parent"));
        let column = || change.column_name.as_deref().ok_or_else(|| broken("a column without a name"));
        self.moved |= !matches!(change.kind.as_str(), "changed" | "column_added" | "column_removed" | "column_changed")
            || change.field.as_deref() == Some("resource_type");
        match change.kind.as_str() {
            "added" => self.delete(key),
            "restored" => self.bury_again(change),
            "removed" => self.revive(key, &change.before),
            "changed" => self.set_facts(key, [(field()?, &change.before)]),
            "edge_added" => {
                let sql = "DELETE FROM edge WHERE child_key = ?1 AND parent_key = ?2";
                self.transaction.prepare_cached(sql)?.execute((key, self.key(parent()?)?)).map(drop)
            }
            "edge_removed" => self.connect(key, parent()?),
            "column_added" => {
                let sql = "DELETE FROM node_column WHERE node_key = ?1 AND name = ?2";
                self.transaction.prepare_cached(sql)?.execute((key, column()?)).map(drop)
            }
            "column_removed" => self.add_column(key, &change.before),
            "column_changed" => {
                let (field, name) = (known(field()?, &self.column_facts)?, column()?);
                let sql = format!("UPDATE node_column SET {field} = ?3 WHERE node_key = ?1 AND name = ?2");
                self.transaction.prepare_cached(&sql)?.execute((key, name, sql_value(field, &change.before))).map(drop)
            }
            other => Err(broken(&format!("a change of the kind `{other}`"))),
        }
    }

    /// It did not exist.
    fn delete(&self, key: i64) -> rusqlite::Result<()> {
        self.part(key)?;
        for table in [
            "compiled_code",
            "run_result",
            "freshness_result",
            "told_result",
            "told_check",
            "health_note",
            "node_coverage",
            "column_status",
            "derived_column",
            "metric_dimension",
            "node",
        ] {
            let sql = format!("DELETE FROM {table} WHERE node_key = ?1");
            self.transaction.prepare_cached(&sql)?.execute([key])?;
        }
        for sql in [
            "DELETE FROM reach WHERE descendant_key = ?1 OR ancestor_key = ?1",
            "DELETE FROM column_origin WHERE child_key = ?1 OR parent_key = ?1",
            "DELETE FROM column_use WHERE child_key = ?1 OR parent_key = ?1",
        ] {
            self.transaction.prepare_cached(sql)?.execute([key])?;
        }
        Ok(())
    }

    /// Takes its columns and parents from it.
    fn part(&self, key: i64) -> rusqlite::Result<()> {
        self.transaction.prepare_cached("DELETE FROM node_column WHERE node_key = ?1")?.execute([key])?;
        self.transaction.prepare_cached("DELETE FROM edge WHERE child_key = ?1")?.execute([key]).map(drop)
    }

    /// It was gone, as the removal before its return had left it; where that was pruned, since the horizon at the latest.
    fn bury_again(&self, change: &Change) -> rusqlite::Result<()> {
        self.part(change.key)?;
        let sql = "SELECT c.before, s.finished_at, s.sync_id FROM change c JOIN sync s ON s.sync_id = c.sync_id
                   WHERE c.node_key = ?1 AND c.seq < ?2 AND c.kind = 'removed' ORDER BY c.seq DESC LIMIT 1";
        let removal = self.transaction.prepare_cached(sql)?.query_row((change.key, change.seq), |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, i64>(2)?))
        });
        let removal = removal.optional()?;
        if let Some((before, ..)) = &removal {
            let before: Value = serde_json::from_str(before).map_err(|error| broken(&error.to_string()))?;
            self.set_facts(change.key, facts(&before))?;
        }
        let (at, sync) = removal.map(|(_, at, sync)| (at, sync)).unzip();
        let sql =
            "UPDATE node SET removed_by = ?3, removed_at = coalesce(?2, (SELECT pruned_at FROM horizon), first_seen_at)
                   WHERE node_key = ?1";
        self.transaction.prepare_cached(sql)?.execute((change.key, at, sync)).map(drop)
    }

    /// It was there, with its columns and parents.
    fn revive(&self, key: i64, before: &Value) -> rusqlite::Result<()> {
        let sql = "UPDATE node SET removed_at = NULL, removed_by = NULL WHERE node_key = ?1";
        self.transaction.prepare_cached(sql)?.execute([key])?;
        self.set_facts(key, facts(before))?;
        for column in before["columns"].as_array().into_iter().flatten() {
            self.add_column(key, column)?;
        }
        let parents = before["parents"].as_array().into_iter().flatten();
        parents.filter_map(Value::as_str).try_for_each(|parent| self.connect(key, parent))
    }

    fn set_facts<'v>(&self, key: i64, facts: impl IntoIterator<Item = (&'v str, &'v Value)>) -> rusqlite::Result<()> {
        for (field, value) in facts {
            if field == "raw_code" {
                let sql = "UPDATE node SET raw_code_sha256 = ?2, raw_code_lines = ?3 WHERE node_key = ?1";
                let values = (key, value["sha256"].as_str(), value["lines"].as_i64());
                self.transaction.prepare_cached(sql)?.execute(values)?;
            } else {
                let field = known(field, &self.node_facts)?;
                let sql = format!("UPDATE node SET {field} = ?2 WHERE node_key = ?1");
                self.transaction.prepare_cached(&sql)?.execute((key, sql_value(field, value)))?;
            }
        }
        Ok(())
    }

    fn add_column(&self, key: i64, column: &Value) -> rusqlite::Result<()> {
        let name = column["name"].as_str().ok_or_else(|| broken("a column without a name"))?;
        let sql = "INSERT INTO node_column (node_key, name) VALUES (?1, ?2)";
        self.transaction.prepare_cached(sql)?.execute((key, name))?;
        for field in &self.column_facts {
            let sql = format!("UPDATE node_column SET {field} = ?3 WHERE node_key = ?1 AND name = ?2");
            self.transaction.prepare_cached(&sql)?.execute((key, name, sql_value(field, &column[*field])))?;
        }
        Ok(())
    }

    fn connect(&self, child_key: i64, parent: &str) -> rusqlite::Result<()> {
        let sql = "INSERT INTO edge (parent_key, child_key) VALUES (?1, ?2)";
        self.transaction.prepare_cached(sql)?.execute((self.key(parent)?, child_key)).map(drop)
    }

    fn key(&self, id: &str) -> rusqlite::Result<i64> {
        self.keys.get(id).copied().ok_or_else(|| broken(&format!("a change names `{id}`, which is no node")))
    }
}

/// The names of the facts that a change of a node can carry, and of a column. They are columns of the tables.
fn fact_names() -> (Vec<&'static str>, Vec<&'static str>) {
    let (node, column) = (Node::new("", ResourceType::Model), Column::default());
    (node.facts().map(|(name, _)| name).to_vec(), column.facts().map(|(name, _)| name).to_vec())
}

/// The facts of a whole node, as the feed carries it.
fn facts(whole: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let parts = ["unique_id", "columns", "parents"];
    let facts = whole.as_object().into_iter().flatten().map(|(name, value)| (name.as_str(), value));
    facts.filter(move |(name, _)| !parts.contains(name))
}

/// The name of a column, which goes into SQL as it is.
fn known(field: &str, fields: &[&'static str]) -> rusqlite::Result<&'static str> {
    let found = fields.iter().find(|known| **known == field).copied();
    found.ok_or_else(|| broken(&format!("a change of the field `{field}`")))
}

/// A value as its column holds it: lists and maps as canonical text.
fn sql_value(field: &str, value: &Value) -> Sql {
    let is_json = matches!(field, "fqn" | "tags" | "meta" | "properties");
    match value {
        Value::Null => Sql::Null,
        Value::String(text) if !is_json => Sql::Text(text.clone()),
        Value::Number(number) if !is_json => number.as_i64().map_or(Sql::Null, Sql::Integer),
        other => Sql::Text(other.to_string()),
    }
}
