//! What the catalog keeps of the configuration, since its views need it.

use std::collections::HashSet;

use rusqlite::{Connection, Transaction};
use serde_json::Value;

use super::environments::{Configured, note_configured, numbers};
use super::selectable::selectable;
use super::{Catalog, Error};
use crate::derive::coverage;
use crate::selection::{self, Budget};

impl Catalog {
    /// Keeps `settings`, and which environments are configured. What is the same as before is not written.
    ///
    /// # Errors
    /// If two environments would have one number, or the catalog can't be written.
    pub fn configure(&mut self, settings: &[(&'static str, Value)], environments: &[Configured]) -> Result<(), Error> {
        let numbers = numbers(Some(&self.connection), environments)?;
        let configured: Vec<(i64, &Configured)> = numbers.into_iter().zip(environments).collect();
        self.write(|transaction| {
            let mut changed = Vec::new();
            for (name, value) in settings {
                if set(transaction, name, value)? {
                    changed.push(*name);
                }
            }
            if changed.contains(&"placeholders") || changed.contains(&"exclude") {
                renew_all(transaction)?;
            }
            if changed.contains(&"owner_meta_keys") {
                // Owners are told by a read: so the next sync reads, whatever the probe says.
                transaction.execute("DELETE FROM probe", [])?;
            }
            note_configured(transaction, &configured)
        })
    }
}

/// Whether the setting is another one than before.
fn set(transaction: &Transaction<'_>, name: &str, value: &Value) -> rusqlite::Result<bool> {
    let sql = "INSERT INTO setting (name, value) VALUES (?1, ?2)
               ON CONFLICT (name) DO UPDATE SET value = excluded.value WHERE value <> excluded.value";
    Ok(transaction.execute(sql, (name, value.to_string()))? > 0)
}

fn renew_all(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare("SELECT environment_id FROM environment")?;
    let ids = statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<Vec<i64>>>()?;
    ids.into_iter().try_for_each(|id| renew_coverage(transaction, id))
}

/// Brings what is kept of an environment's coverage up to date with its nodes and the settings.
pub(super) fn renew_coverage(transaction: &Transaction<'_>, environment_id: i64) -> rusqlite::Result<()> {
    let excluded = excluded(transaction, environment_id)?;
    coverage::renew_coverage(transaction, environment_id, excluded)
}

/// The nodes that `coverage.exclude` names. The setting was checked when it was configured: only a newer program can have written what
/// this one does not understand.
fn excluded(connection: &Connection, environment_id: i64) -> rusqlite::Result<HashSet<String>> {
    let texts = coverage::list_setting(connection, "exclude")?;
    if texts.is_empty() {
        return Ok(HashSet::new());
    }
    let unreadable = |error| rusqlite::Error::ToSqlConversionFailure(error);
    let selector = selection::parse(&texts).map_err(|error| unreadable(error.into()))?;
    let (project, ids) = selectable(connection, environment_id, selector.needs())?;
    let nothing = selection::Selector::default();
    let found = selection::select(&project, Some(&selector), &nothing, &Budget::until(None))
        .map_err(|over| unreadable(over.to_string().into()))?;
    Ok(found.nodes.into_iter().map(|place| ids[place].clone()).collect())
}
