//! How the catalog is: its environments, and what waits for a person.

use rusqlite::{Connection, Row};

use super::{Error, Table, table};
use crate::time::Timestamp;

/// An environment that the catalog holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    /// dbt's environment id.
    pub id: i64,
    /// Its name on the command line.
    pub name: String,
}

/// The view `environments`, by name.
pub fn environments(connection: &Connection) -> Result<Table, Error> {
    table(connection, "SELECT * FROM environments ORDER BY name", &[])
}

impl Environment {
    /// All environments of the catalog, by name.
    pub fn all(connection: &Connection) -> Result<Vec<Self>, Error> {
        let mut statement = connection.prepare("SELECT environment_id, name FROM environments ORDER BY name")?;
        let environment = |row: &Row<'_>| Ok(Self { id: row.get(0)?, name: row.get(1)? });
        Ok(statement.query_map([], environment)?.collect::<Result<_, _>>()?)
    }

    /// The environment that is called `name`.
    ///
    /// # Errors
    /// If the catalog holds none of that name; the text lists those that it holds.
    pub fn named(connection: &Connection, name: &str) -> Result<Self, Error> {
        let all = Self::all(connection)?;
        let names: Vec<String> = all.iter().map(|environment| format!("`{}`", environment.name)).collect();
        let missing = || {
            let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            Error::Question(format!("the catalog holds no environment `{name}`, but {known}"))
        };
        all.into_iter().find(|environment| environment.name == name).ok_or_else(missing)
    }
}

/// The last syncs that failed or were interrupted, of environments whose last sync that is: sync_id, environment_id, name, error.
pub fn failures(connection: &Connection) -> Result<Table, Error> {
    let sql = "SELECT s.sync_id, e.environment_id, e.name, coalesce(s.error, 'it was interrupted') AS error
               FROM environments e JOIN syncs s ON s.sync_id = e.last_sync_id
               WHERE s.outcome IN ('failed', 'interrupted') ORDER BY e.name";
    table(connection, sql, &[])
}

/// The `seq` of the last change there is; 0 if there is none.
pub fn last_seq(connection: &Connection) -> Result<i64, Error> {
    Ok(connection.query_row("SELECT last_seq FROM catalog_info", [], |row| row.get(0))?)
}

/// True if no sync of this catalog was anything but a demo.
pub fn only_demos(connection: &Connection) -> Result<bool, Error> {
    let sql = "SELECT NOT EXISTS (SELECT 1 FROM syncs WHERE trigger <> 'demo')";
    Ok(connection.query_row(sql, [], |row| row.get(0))?)
}

/// How many nodes of each resource type an environment has: resource_type, nodes, described, failing.
pub fn summary(connection: &Connection, environment_id: i64) -> Result<Table, Error> {
    let sql = "SELECT resource_type, count(*) AS nodes, count(description) AS described,
                      count(*) FILTER (WHERE last_run_status IN ('error', 'fail')) AS failing
               FROM nodes WHERE environment_id = ?1 GROUP BY resource_type ORDER BY nodes DESC, resource_type";
    table(connection, sql, &[&environment_id])
}

/// When the last sync of the environment began that is not of the future of `now`; `None` if there was none, or if the newest one
/// failed, was interrupted or is held: then it is time for the next.
pub fn last_sync_at(connection: &Connection, environment_id: i64, now: Timestamp) -> Result<Option<Timestamp>, Error> {
    let sql = "SELECT max(started_at) FROM syncs WHERE environment_id = ?1 AND started_at <= ?2
               AND (SELECT outcome FROM syncs WHERE environment_id = ?1 ORDER BY sync_id DESC LIMIT 1)
                   IN ('applied', 'unchanged')";
    let text: Option<String> = connection.query_row(sql, (environment_id, now.to_string()), |row| row.get(0))?;
    Ok(text.as_deref().and_then(Timestamp::parse))
}
