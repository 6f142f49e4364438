//! Which environments a catalog holds: their numbers and names, which of them are configured, and how one is forgotten.

use std::collections::BTreeSet;

use rusqlite::{Connection, Transaction};

use super::feed::{UNUSED_CODE, note_feed};
use super::{Catalog, Error};
use crate::inventory::EnvironmentFacts;

/// An environment as the configuration names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configured {
    /// Its number; `None` where the catalog gives one, and keeps it with the name.
    pub id: Option<i64>,
    /// Its name.
    pub name: String,
    /// discovery or artifacts.
    pub origin: &'static str,
    /// The platform's own id of it.
    pub platform_id: Option<i64>,
    /// The platform's account.
    pub account_id: Option<i64>,
}

/// An environment that the catalog holds.
struct Held {
    id: i64,
    name: String,
    origin: String,
    /// The platform's id and account, of one that was found there.
    found: Option<(Option<i64>, Option<i64>)>,
}

/// The numbers of `configured`, in their order: that under which the same environment was found on the platform, else its own, else the one that the catalog keeps with the name, else the smallest that is
/// free. `catalog` may be none yet.
///
/// # Errors
/// If a number that the configuration gives is one that the catalog keeps for another of `configured`.
pub fn numbers(catalog: Option<&Connection>, configured: &[Configured]) -> Result<Vec<i64>, Error> {
    let held = catalog.map(held).transpose().map_err(Error::sqlite("read"))?.unwrap_or_default();
    let mut taken: BTreeSet<i64> = held.iter().map(|held| held.id).collect();
    taken.extend(configured.iter().filter_map(|environment| environment.id));
    let mut numbers = Vec::new();
    for environment in configured {
        let ids = (environment.platform_id, environment.account_id);
        if let Some(found) = held.iter().find(|held| held.found == Some(ids)) {
            numbers.push(found.id);
            continue;
        }
        refuse_another(environment, &held)?;
        let of_name = |held: &&Held| held.name == environment.name && held.origin == environment.origin;
        let kept = held.iter().find(of_name).map(|held| held.id);
        let number = environment.id.or(kept).unwrap_or_else(|| {
            let free = (1..).find(|number| !taken.contains(number)).unwrap_or_default();
            taken.insert(free);
            free
        });
        numbers.push(number);
    }
    for (place, number) in numbers.iter().enumerate() {
        if let Some(other) = numbers[..place].iter().position(|other| other == number) {
            let names = [other, place].map(|place| configured[place].name.clone());
            return Err(Error::NumberTaken { number: *number, names });
        }
    }
    Ok(numbers)
}

/// A number stays with its environment, which may get another name or be read from elsewhere, but not both at once, and not the name of
/// another that the catalog holds; and one that was found on the platform keeps its number.
fn refuse_another(environment: &Configured, held: &[Held]) -> Result<(), Error> {
    let Some(own) = held.iter().find(|held| Some(held.id) == environment.id) else { return Ok(()) };
    let has_another = held.iter().any(|held| held.name == environment.name && held.id != own.id);
    let ids = (environment.platform_id, environment.account_id);
    if own.found.is_some_and(|found| found != ids)
        || own.name != environment.name && (has_another || own.origin != environment.origin)
    {
        let names = [own.name.clone(), environment.name.clone()];
        return Err(Error::NumberTaken { number: own.id, names });
    }
    Ok(())
}

fn held(connection: &Connection) -> rusqlite::Result<Vec<Held>> {
    let sql = "SELECT environment_id, name, origin, found_at IS NOT NULL, platform_id, account_id FROM environment
               ORDER BY environment_id";
    let held = |row: &rusqlite::Row<'_>| {
        let found = if row.get(3)? { Some((row.get(4)?, row.get(5)?)) } else { None };
        Ok(Held { id: row.get(0)?, name: row.get(1)?, origin: row.get(2)?, found })
    };
    connection.prepare(sql)?.query_map([], held)?.collect()
}

/// Notes which environments there are, by their numbers. Without any nothing is known of them, since only commands that sync demand
/// them. What is the same as before is not written.
pub(super) fn note_configured(
    transaction: &Transaction<'_>,
    configured: &[(i64, &Configured)],
) -> rusqlite::Result<()> {
    if configured.is_empty() {
        return Ok(());
    }
    for (number, environment) in configured {
        let Configured { id: _, name, origin, platform_id, account_id } = environment;
        claim_name(transaction, *number, name)?;
        transaction.execute(
            "INSERT INTO environment (environment_id, name, origin, platform_id, account_id) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (environment_id) DO UPDATE SET name = ?2, origin = ?3, platform_id = ?4, account_id = ?5,
                 is_configured = 1
             WHERE (name, origin, platform_id, account_id, is_configured) IS NOT (?2, ?3, ?4, ?5, 1)",
            (number, name, origin, platform_id, account_id),
        )?;
    }
    let numbers: serde_json::Value = configured.iter().map(|(number, _)| *number).collect();
    let sql = "UPDATE environment SET is_configured = 0
               WHERE is_configured AND environment_id NOT IN (SELECT value FROM json_each(?1))";
    transaction.execute(sql, [numbers.to_string()]).map(drop)
}

/// Notes the project's name and adapter, where they are other than what is noted, and tells whether they are.
pub(super) fn name_environment(
    transaction: &Transaction<'_>,
    sync_id: i64,
    environment: &EnvironmentFacts,
) -> rusqlite::Result<bool> {
    let EnvironmentFacts { project_name, adapter_type, applied_at: _, definition_at: _, git_sha: _ } = environment;
    let renamed = transaction.execute(
        "UPDATE environment SET project_name = coalesce(?2, project_name), adapter_type = coalesce(?3, adapter_type)
         WHERE environment_id = (SELECT environment_id FROM sync WHERE sync_id = ?1)
         AND (project_name IS NOT coalesce(?2, project_name) OR adapter_type IS NOT coalesce(?3, adapter_type))",
        (sync_id, project_name, adapter_type),
    )?;
    Ok(renamed > 0)
}

/// A name means one environment: whatever had it before is told apart by its number.
pub(super) fn claim_name(transaction: &Transaction<'_>, number: i64, name: &str) -> rusqlite::Result<()> {
    let sql = "UPDATE environment SET name = name || ' (' || environment_id || ')'
               WHERE name = ?2 AND environment_id <> ?1";
    transaction.execute(sql, (number, name)).map(drop)
}

/// What is deleted with an environment, in this order: each table with the condition that chooses its rows.
pub(super) const OF_AN_ENVIRONMENT: [(&str, &str); 27] = [
    // Words are found by the nodes' rows, so they go before those.
    ("search", "rowid IN (SELECT node_key FROM node WHERE environment_id = ?1 AND removed_at IS NULL)"),
    ("reach", "descendant_key IN (SELECT node_key FROM node WHERE environment_id = ?1)"),
    ("column_origin", "child_key IN (SELECT node_key FROM node WHERE environment_id = ?1)"),
    ("column_use", "child_key IN (SELECT node_key FROM node WHERE environment_id = ?1)"),
    ("column_status", "node_key IN (SELECT node_key FROM node WHERE environment_id = ?1)"),
    ("derived_column", "node_key IN (SELECT node_key FROM node WHERE environment_id = ?1)"),
    ("column_gone", "sync_id IN (SELECT sync_id FROM sync WHERE environment_id = ?1)"),
    ("edge", "child_key IN (SELECT node_key FROM node WHERE environment_id = ?1)"),
    ("node_column", "node_key IN (SELECT node_key FROM node WHERE environment_id = ?1)"),
    ("node_coverage", "node_key IN (SELECT node_key FROM node WHERE environment_id = ?1)"),
    ("compiled_code", "node_key IN (SELECT node_key FROM node WHERE environment_id = ?1)"),
    ("run_result", "node_key IN (SELECT node_key FROM node WHERE environment_id = ?1)"),
    ("told_result", "node_key IN (SELECT node_key FROM node WHERE environment_id = ?1)"),
    ("told_check", "node_key IN (SELECT node_key FROM node WHERE environment_id = ?1)"),
    ("run", "environment_id = ?1"),
    ("job", "environment_id = ?1"),
    ("interface", "environment_id = ?1"),
    ("metric_dimension", "node_key IN (SELECT node_key FROM node WHERE environment_id = ?1)"),
    ("freshness_result", "node_key IN (SELECT node_key FROM node WHERE environment_id = ?1)"),
    ("health_note", "node_key IN (SELECT node_key FROM node WHERE environment_id = ?1)"),
    ("change", "sync_id IN (SELECT sync_id FROM sync WHERE environment_id = ?1)"),
    ("coverage_count", "sync_id IN (SELECT sync_id FROM sync WHERE environment_id = ?1)"),
    ("held_loss", "sync_id IN (SELECT sync_id FROM sync WHERE environment_id = ?1)"),
    ("probe", "sync_id IN (SELECT sync_id FROM sync WHERE environment_id = ?1)"),
    ("owner", "environment_id = ?1"),
    ("doubt", "environment_id = ?1"),
    ("delivery", "environment_id = ?1"),
];

impl Catalog {
    /// Deletes the environment with this number and everything that is kept of it: nodes, history, syncs. Its numbers of changes are not
    /// used again.
    ///
    /// # Errors
    /// If the catalog can't be written.
    pub fn forget_environment(&mut self, id: i64) -> Result<(), Error> {
        self.write(|transaction| {
            for (table, condition) in OF_AN_ENVIRONMENT {
                transaction.execute(&format!("DELETE FROM {table} WHERE {condition}"), [id])?;
            }
            for table in ["node", "sync", "environment"] {
                transaction.execute(&format!("DELETE FROM {table} WHERE environment_id = ?1"), [id])?;
            }
            transaction.execute(UNUSED_CODE, [])?;
            note_feed(transaction)
        })
    }
}
