//! How far receivers of exports have been told, and what there is that they were not.

use rusqlite::{OptionalExtension, Row};
use serde::Serialize;

use super::{Error, Reader};
use crate::catalog::Mark;

/// What is known of one receiver and one environment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Delivery {
    /// The receiver's name.
    pub receiver: String,
    /// The last change that has arrived; none if nothing ever has.
    pub seq: Option<i64>,
    /// The last change of column lineage that has arrived.
    pub revision: Option<i64>,
    /// When that was.
    pub arrived_at: Option<String>,
    /// How many changes of the environment have not arrived.
    pub behind: i64,
    /// Since when nothing arrives.
    pub failing_since: Option<String>,
    /// Why.
    pub error: Option<String>,
}

impl Reader {
    /// How far an environment can be told at this moment; `None` before a sync of it was applied.
    pub fn mark(&self, environment_id: i64) -> Result<Option<Mark>, Error> {
        let sql = "SELECT i.catalog_id, i.last_seq, i.last_revision, max(s.sync_id) FROM identity i
                   JOIN sync s ON s.environment_id = ?1 AND s.outcome = 'applied' GROUP BY i.only_row";
        Ok(self.connection.query_row(sql, [environment_id], mark).optional()?)
    }

    /// How far a receiver has been told of an environment, if it was.
    pub fn told(&self, receiver: &str, environment_id: i64) -> Result<Option<Mark>, Error> {
        let sql = "SELECT catalog_id, seq, revision, sync_id FROM delivery
                   WHERE receiver = ?1 AND environment_id = ?2 AND catalog_id IS NOT NULL";
        Ok(self.connection.query_row(sql, (receiver, environment_id), mark).optional()?)
    }

    /// What is known of a receiver and an environment.
    pub fn delivery(&self, receiver: &str, environment_id: i64) -> Result<Delivery, Error> {
        // What arrived of another catalog tells nothing of this one.
        let sql = "SELECT d.seq, d.revision, d.arrived_at, d.failing_since, d.error,
                       (SELECT count(*) FROM changes c
                        WHERE c.environment_id = e.environment_id AND c.seq > coalesce(d.seq, 0))
                   FROM environment e
                   LEFT JOIN (SELECT receiver, environment_id, arrived_at, failing_since, error,
                                  iif(catalog_id = (SELECT catalog_id FROM identity), seq, NULL) AS seq,
                                  iif(catalog_id = (SELECT catalog_id FROM identity), revision, NULL) AS revision
                              FROM delivery WHERE receiver = ?1) d USING (environment_id)
                   WHERE e.environment_id = ?2";
        let delivery = |row: &Row<'_>| {
            Ok(Delivery {
                receiver: receiver.to_owned(),
                seq: row.get(0)?,
                revision: row.get(1)?,
                arrived_at: row.get(2)?,
                failing_since: row.get(3)?,
                error: row.get(4)?,
                behind: row.get(5)?,
            })
        };
        let found = self.connection.query_row(sql, (receiver, environment_id), delivery).optional()?;
        Ok(found.unwrap_or_else(|| Delivery { receiver: receiver.to_owned(), ..Delivery::default() }))
    }

    /// The nodes of which a sync after this one has seen a run that built them.
    pub(crate) fn built_after(&self, environment_id: i64, sync_id: i64) -> Result<Vec<String>, Error> {
        let sql = "SELECT DISTINCT n.unique_id FROM node n JOIN run_result r USING (node_key)
                   WHERE n.environment_id = ?1 AND n.removed_at IS NULL AND r.sync_id > ?2 AND r.is_success";
        let mut statement = self.connection.prepare(sql)?;
        Ok(statement.query_map((environment_id, sync_id), |row| row.get(0))?.collect::<Result<_, _>>()?)
    }
}

fn mark(row: &Row<'_>) -> rusqlite::Result<Mark> {
    Ok(Mark { catalog_id: row.get(0)?, seq: row.get(1)?, revision: row.get(2)?, sync_id: row.get(3)? })
}
