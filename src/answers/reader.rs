//! One moment of one catalog: whatever is read through a [`Reader`] belongs together. It is the only way to read.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, Row};

use super::{Chosen, Error, View, view};
use crate::catalog;
use crate::time::Timestamp;

/// After so many steps of SQLite the clock is looked at.
const STEPS: i32 = 10_000;

/// So much of a catalog at most is mapped into memory: whatever is beyond is read as usual.
const MAPPED: i64 = 1 << 32;

/// An environment that the catalog holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    /// Its number.
    pub id: i64,
    /// Its name on the command line.
    pub name: String,
}

/// A catalog at one moment, in one transaction. As long as it lives, the catalog's log can't shrink: let go of it before something
/// long is printed.
#[derive(Debug)]
pub struct Reader {
    pub(super) connection: Connection,
    /// When reading is given up.
    deadline: Arc<Mutex<Option<Instant>>>,
    /// The `seq` of the last change.
    pub last_seq: i64,
    /// The `seq` of the first change that is still there.
    pub oldest_seq: i64,
    identity: String,
}

impl Reader {
    /// Reads the catalog at `path` as it is now, or as it was at a time: then in a copy, which is gone with the reader.
    ///
    /// # Errors
    /// If there is none, if it can't be read, or if its history does not reach back so far.
    pub fn open(path: &Path, as_of: Option<Timestamp>) -> Result<Self, Error> {
        match as_of {
            None => Self::begin(catalog::open_to_read(path)?),
            Some(time) => Self::open_as_of(path, time, None),
        }
    }

    /// Reads the catalog as it was; what takes longer than until `end` is given up ([`Error::is_interrupted`]).
    ///
    /// # Errors
    /// As [`Reader::open`].
    pub fn open_as_of(path: &Path, time: Timestamp, end: Option<Instant>) -> Result<Self, Error> {
        Self::begin(catalog::open_as_of(path, time, end)?)
    }

    fn begin(connection: Connection) -> Result<Self, Error> {
        let mut reader =
            Self { connection, deadline: Arc::default(), last_seq: 0, oldest_seq: 0, identity: String::new() };
        reader.renew()?;
        Ok(reader)
    }

    /// What tells this catalog from its copies.
    pub fn catalog_id(&self) -> &str {
        self.identity.split('/').next().unwrap_or_default()
    }

    /// Reads through the system's own pages of the file instead of copies of them: for a command, which reads much once. A server would
    /// not outlive that somebody cuts the file off below it.
    pub fn map(&self) -> Result<(), Error> {
        Ok(self.connection.pragma_update(None, "mmap_size", MAPPED)?)
    }

    /// SQLite chooses its moment with the first read.
    fn renew(&mut self) -> Result<(), Error> {
        self.connection.execute_batch("BEGIN")?;
        let sql = "SELECT last_seq, oldest_seq, catalog_id || '/' || lineaged_version FROM catalog_info";
        (self.last_seq, self.oldest_seq, self.identity) =
            self.connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        Ok(())
    }

    /// From now on, what is not read when `patience` has passed is given up ([`Error::is_interrupted`]).
    pub fn within(&mut self, patience: Duration) -> Result<(), Error> {
        self.go_on_within(patience);
        let deadline = Arc::clone(&self.deadline);
        let is_over = move || locked(&deadline).is_some_and(|deadline| Instant::now() >= deadline);
        Ok(self.connection.progress_handler(STEPS, Some(is_over))?)
    }

    /// The same for what follows of a read that is [`Reader::within`] a time.
    pub fn go_on_within(&self, patience: Duration) {
        *locked(&self.deadline) = Some(Instant::now() + patience);
    }

    /// When reading is given up.
    pub(super) fn deadline(&self) -> Option<Instant> {
        *locked(&self.deadline)
    }

    /// Puts the clock of a copy to another moment, between the same syncs, and begins to read anew.
    pub fn turn_to(&mut self, time: Timestamp) -> Result<(), Error> {
        *locked(&self.deadline) = None;
        self.connection.progress_handler(0, None::<fn() -> bool>)?;
        if !self.connection.is_autocommit() {
            self.connection.execute_batch("ROLLBACK")?;
        }
        catalog::set_clock(&self.connection, time)?;
        self.renew()
    }

    /// What tells the copies of two times apart: those with the same text differ by their clocks alone.
    ///
    /// # Errors
    /// If history does not reach back to `time`.
    pub fn state_at(&self, time: Timestamp) -> Result<String, Error> {
        Ok(catalog::state_at(&self.connection, time)?)
    }

    /// [`Error::TookTooLong`] if the time for reading is over.
    pub(super) fn in_time(&self, what: &str) -> Result<(), Error> {
        match self.deadline() {
            Some(deadline) if Instant::now() >= deadline => Err(Error::TookTooLong(format!("{what} took too long"))),
            _ => Ok(()),
        }
    }

    /// A text that differs whenever what the view of this name says may differ (but for the time of day).
    pub fn stamp(&self, name: &str) -> Result<String, Error> {
        // What tells of syncs differs with each of them, and when one is approved; the others only with one that was applied.
        let of = if view(name).is_some_and(View::is_part_of_nodes) { "outcome = 'applied'" } else { "TRUE" };
        let sql = format!(
            "SELECT coalesce((SELECT max(sync_id) || ' ' || count(outcome) || ' ' || count(approved_at)
                              FROM sync WHERE {of}), '') || '/' ||
             coalesce((SELECT group_concat(name || value) FROM (SELECT name, value FROM setting ORDER BY name)), '') || '/' ||
             coalesce((SELECT group_concat(interface || coalesce(answered_at, '') || coalesce(error, '')) FROM interface), '')"
        );
        let syncs: String = self.connection.query_row(&sql, [], |row| row.get(0))?;
        Ok(format!("{}/{}/{}/{syncs}", self.identity, self.last_seq, self.oldest_seq))
    }

    /// All environments of the catalog, by name.
    pub fn environments(&self) -> Result<Vec<Environment>, Error> {
        let mut statement = self.connection.prepare("SELECT environment_id, name FROM environments ORDER BY name")?;
        let environment = |row: &Row<'_>| Ok(Environment { id: row.get(0)?, name: row.get(1)? });
        Ok(statement.query_map([], environment)?.collect::<Result<_, _>>()?)
    }

    /// The environment of this name, or with this number.
    ///
    /// # Errors
    /// [`Error::Question`] if the catalog holds none; the text lists those that it holds.
    pub fn environment(&self, name: &str) -> Result<Environment, Error> {
        let all = self.environments()?;
        let of_name = all.iter().find(|environment| environment.name == name);
        if let Some(found) = of_name.or_else(|| all.iter().find(|environment| environment.id.to_string() == name)) {
            return Ok(found.clone());
        }
        let names: Vec<String> = all.iter().map(|environment| format!("`{}`", environment.name)).collect();
        let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        Err(Error::Question(format!("the catalog holds no environment `{name}`, but {known}")))
    }

    /// The number of the environment of this name, or with this number, if one is named.
    ///
    /// # Errors
    /// As [`Reader::environment`].
    pub fn environment_id(&self, name: Option<&str>) -> Result<Option<i64>, Error> {
        Ok(name.map(|name| self.environment(name)).transpose()?.map(|environment| environment.id))
    }

    /// The nodes that selectors mean in one environment, or in each if none is named; `None` if there is no selector: then all are
    /// meant. Groups and external nodes are never chosen.
    ///
    /// # Errors
    /// [`Error::Malformed`] if a selector can't be understood; the text points at the place.
    pub fn chosen(
        &self,
        environment_id: Option<i64>,
        select: &[String],
        exclude: &[String],
    ) -> Result<Option<Chosen>, Error> {
        Chosen::load(self, environment_id, select, exclude)
    }
}

fn locked(deadline: &Mutex<Option<Instant>>) -> MutexGuard<'_, Option<Instant>> {
    deadline.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Error {
    /// True if the time for reading was over.
    pub fn is_interrupted(&self) -> bool {
        match self {
            Self::Sqlite(error) => error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted),
            Self::Catalog(error) => error.is_interrupted(),
            Self::TookTooLong(_) => true,
            _ => false,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::answers::table::table;
    use crate::catalog::{Catalog, Writers};

    impl Reader {
        /// Reads an empty catalog that is nowhere.
        pub(crate) fn nothing() -> Self {
            Self::over("")
        }

        /// Reads what `sql` has put into an empty catalog that is nowhere.
        pub(crate) fn over(sql: &str) -> Self {
            let connection = Connection::open_in_memory().expect("open");
            connection.execute_batch(include_str!("../../schema.sql")).expect("the schema");
            connection.execute_batch(sql).expect("the rows");
            Self { connection, deadline: Arc::default(), last_seq: 0, oldest_seq: 0, identity: String::new() }
        }
    }

    #[test]
    fn a_read_that_takes_too_long_is_given_up() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("lineaged.db");
        drop(Catalog::open(&path, &Writers::default(), "test", &|_| {}).expect("a catalog"));
        let mut reader = Reader::open(&path, None).expect("a moment");
        reader.within(Duration::from_millis(200)).expect("set");
        let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
        let error = table(&reader.connection, endless, &[]).expect_err("for ever");
        assert!(error.is_interrupted(), "{error:?}");
    }
}
