//! What receivers of exports have taken. Nobody waits for them, so it is written outside of any sync.

use super::{Catalog, Error};
use crate::redact::redact;
use crate::time::Timestamp;

/// How far an environment was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Of which catalog the numbers are.
    pub catalog_id: String,
    /// The last change.
    pub seq: i64,
    /// The last change of column lineage.
    pub revision: i64,
    /// The environment's last sync that was applied.
    pub sync_id: i64,
}

impl Catalog {
    /// Notes that a receiver has taken all of an environment up to `mark`, so that nothing is wrong any more.
    ///
    /// # Errors
    /// If the catalog can't be written, or no longer holds the environment.
    pub fn note_arrival(
        &mut self,
        (receiver, environment_id): (&str, i64),
        mark: &Mark,
        now: Timestamp,
    ) -> Result<(), Error> {
        let Mark { catalog_id, seq, revision, sync_id } = mark;
        self.write(|transaction| {
            let sql = "INSERT OR REPLACE INTO delivery
                           (receiver, environment_id, catalog_id, seq, revision, sync_id, arrived_at)
                       VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
            transaction
                .execute(sql, (receiver, environment_id, catalog_id, seq, revision, sync_id, now.to_string()))
                .map(drop)
        })
    }

    /// Notes why a receiver takes nothing; since when stays as it is. The same reason is not written again.
    ///
    /// # Errors
    /// As [`Catalog::note_arrival`].
    pub fn note_refusal(
        &mut self,
        (receiver, environment_id): (&str, i64),
        error: &str,
        now: Timestamp,
    ) -> Result<(), Error> {
        self.write(|transaction| {
            let sql = "INSERT INTO delivery (receiver, environment_id, failing_since, error) VALUES (?1, ?2, ?3, ?4)
                       ON CONFLICT DO UPDATE SET failing_since = coalesce(failing_since, ?3), error = ?4
                       WHERE error IS NOT ?4";
            transaction.execute(sql, (receiver, environment_id, now.to_string(), redact(error))).map(drop)
        })
    }
}
