//! Whether the file is whole: its structure, never its content, of which SQLite keeps no checksums. It is looked at in a backup, when
//! `serve` starts, after a writer that was killed, before the first apply of a day, and when somebody asks.

use std::path::Path;

use rusqlite::Connection;

use super::{Catalog, Error, open_to_read};
use crate::time::Timestamp;

/// Reads the whole catalog at `path` and says what is broken.
///
/// # Errors
/// If it is damaged, or can't be read.
pub fn check_integrity(path: &Path) -> Result<(), Error> {
    integrity(&open_to_read(path)?, path)
}

pub(super) fn integrity(connection: &Connection, path: &Path) -> Result<(), Error> {
    let damaged = |what: String| Error::Damaged { path: path.to_owned(), what };
    match connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get::<_, String>(0)) {
        Ok(text) if text == "ok" => Ok(()),
        Ok(text) => Err(damaged(text.lines().collect::<Vec<_>>().join(" "))),
        Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::OperationInterrupted) => {
            Err(Error::Interrupted)
        }
        Err(error) => Err(damaged(error.to_string())),
    }
}

impl Catalog {
    /// Reads the whole file and says what is broken.
    ///
    /// # Errors
    /// If it is damaged.
    pub fn check(&self) -> Result<(), Error> {
        integrity(&self.connection, &self.path)
    }

    /// The same, unless a sync was applied on this day (in UTC).
    pub(super) fn check_daily(&self, now: Timestamp) -> Result<(), Error> {
        let now = now.to_string();
        let day = format!("{}T00:00:00.000Z", &now[..10]);
        let sql = "SELECT EXISTS (SELECT 1 FROM sync WHERE outcome = 'applied' AND finished_at BETWEEN ?1 AND ?2)";
        let is_checked = self.connection.query_row(sql, (day, now), |row| row.get(0)).map_err(Error::sqlite("read"))?;
        if is_checked { Ok(()) } else { self.check() }
    }
}
