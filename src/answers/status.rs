//! How the catalog is: its environments, and what waits for a person.

use rusqlite::Row;
use serde::{Serialize, Serializer};

use super::table::table;
use super::{Error, Question, Reader, Table};
use crate::catalog::{self, HeldSync};
use crate::time::Timestamp;

/// How the environments are. Written as JSON it is the view `environments`.
#[derive(Debug)]
pub struct Status {
    /// The view `environments`.
    pub environments: Table,
    /// What is held, oldest first.
    pub held: Vec<HeldSync>,
    /// The environments whose last sync failed or was interrupted, by name, and why.
    pub failures: Vec<(String, String)>,
}

impl Serialize for Status {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.environments.serialize(serializer)
    }
}

impl Reader {
    /// How an environment is, or all of them.
    pub fn status(&self, environment_id: Option<i64>) -> Result<Status, Error> {
        let mut held = catalog::held_syncs(&self.connection)?;
        held.retain(|held| environment_id.is_none_or(|id| held.environment_id == id));
        let sql = "SELECT e.name, coalesce(s.error, 'it was interrupted')
                   FROM environments e JOIN syncs s ON s.sync_id = e.last_sync_id
                   WHERE s.outcome IN ('failed', 'interrupted') AND (?1 IS NULL OR e.environment_id = ?1) ORDER BY e.name";
        let mut statement = self.connection.prepare(sql)?;
        let failure = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
        let failures = statement.query_map([environment_id], failure)?.collect::<Result<_, _>>()?;
        Ok(Status { environments: self.rows("environments", &Question::of(environment_id))?, held, failures })
    }

    /// True if no sync of this catalog was anything but a demo.
    pub fn has_only_demos(&self) -> Result<bool, Error> {
        let sql = "SELECT NOT EXISTS (SELECT 1 FROM syncs WHERE trigger <> 'demo')";
        Ok(self.connection.query_row(sql, [], |row| row.get(0))?)
    }

    /// True once one sync was complete.
    pub fn has_complete_sync(&self) -> Result<bool, Error> {
        let sql = "SELECT EXISTS (SELECT 1 FROM syncs WHERE outcome IN ('applied', 'unchanged'))";
        Ok(self.connection.query_row(sql, [], |row| row.get(0))?)
    }

    /// How many nodes of each resource type an environment has: resource_type, nodes, described, failing.
    pub fn summary(&self, environment_id: i64) -> Result<Table, Error> {
        let sql = "SELECT resource_type, count(*) AS nodes, count(description) AS described,
                          count(*) FILTER (WHERE last_run_status IN ('error', 'fail')) AS failing
                   FROM nodes WHERE environment_id = ?1 GROUP BY resource_type ORDER BY nodes DESC, resource_type";
        table(&self.connection, sql, &[&environment_id])
    }

    /// When the last sync of the environment began that is not of the future of `now`; `None` if there was none, or if the newest one
    /// failed, was interrupted or is held: then it is time for the next.
    pub fn last_sync_at(&self, environment_id: i64, now: Timestamp) -> Result<Option<Timestamp>, Error> {
        let sql = "SELECT max(started_at) FROM syncs WHERE environment_id = ?1 AND started_at <= ?2
                   AND (SELECT outcome FROM syncs WHERE environment_id = ?1 ORDER BY sync_id DESC LIMIT 1)
                       IN ('applied', 'unchanged')";
        let text: Option<String> =
            self.connection.query_row(sql, (environment_id, now.to_string()), |row| row.get(0))?;
        Ok(text.as_deref().and_then(Timestamp::parse))
    }
}
