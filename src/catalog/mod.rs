//! The SQLite file: opening it safely, and the only writes to it. What it holds is read by `answers`.

mod apply;
mod as_of;
mod backup;
mod deliveries;
mod doubts;
mod environments;
mod error;
mod feed;
mod file;
mod found;
mod history;
mod holds;
mod integrity;
mod load;
mod lock;
mod migrations;
mod node_rows;
mod platform;
mod prune;
mod run_rows;
mod schema;
mod selectable;
mod settings;
mod staged;
mod syncs;
#[cfg(test)]
mod tests;
mod undo;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::derive::words::TOUCHED;
use file::FileId;
use schema::{Texts, state};
use staged::STAGED;

pub use apply::Applied;
pub use as_of::{open_as_of, set_clock, state_at};
pub use backup::backup;
pub use deliveries::Mark;
pub use environments::{Configured, numbers};
pub use error::Error;
pub use file::canonical;
pub use found::{Kept, found_for, kept, taken_numbers};
pub use holds::{Approval, HeldSync, Known, LOOK_AGAIN, Standing, held_syncs, known, last_stamps};
pub use integrity::check_integrity;
pub use load::{Stored, environment_facts};
pub use lock::{DaemonLock, PATIENCE, Writers};
pub use migrations::SCHEMA_VERSION;
pub use platform::{InterfaceState, InterfacesKnown, Spoken, interfaces_known};
pub use selectable::selectable;
pub use syncs::{Ending, Mode, SyncId, Trigger, requests_since};

/// How long SQLite itself waits for a lock inside the file: longer than the largest commit of a neighbour takes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// So many steps of SQLite's are done before a writer looks whether it was told to give up.
const STEPS: i32 = 1000;

/// How a file is opened that may be written, and made. No name is an address.
const WRITING: OpenFlags =
    OpenFlags::SQLITE_OPEN_READ_WRITE.union(OpenFlags::SQLITE_OPEN_CREATE).union(OpenFlags::SQLITE_OPEN_NO_MUTEX);

/// The catalog, open for writing: this process is the only one that writes as long as it lives.
#[derive(Debug)]
pub struct Catalog {
    connection: Connection,
    path: PathBuf,
    /// Which file was opened: what is written to a file that was removed or replaced would be lost without a word.
    file: Option<FileId>,
    staged: staged::Places,
    lock: Arc<lock::WriterLock>,
}

/// Opens the catalog at `path` for reading. Readers never block the writer, nor the other way round.
///
/// # Errors
/// If there is none, or if it is not ours, of another version or damaged.
pub fn open_to_read(path: &Path) -> Result<Connection, Error> {
    let real = file::canonical(path)?;
    let missing = || Error::Missing(path.to_owned());
    if !file::is_there(&real)? {
        return Err(missing());
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(&real, flags).map_err(opened(&real))?;
    harden(&connection).map_err(opened(&real))?;
    let state = state(&connection).map_err(opened(&real))?;
    if !state.check(&real)? {
        return Err(missing());
    }
    if state.version < SCHEMA_VERSION {
        return Err(Error::Older { path: real, found: state.version, known: SCHEMA_VERSION });
    }
    Ok(connection)
}

/// The same, for whom a catalog that is not there yet is an empty one: `None`.
///
/// # Errors
/// If it is not ours, of another version or damaged.
pub fn open_if_there(path: &Path) -> Result<Option<Connection>, Error> {
    match open_to_read(path) {
        Ok(connection) => Ok(Some(connection)),
        Err(Error::Missing(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Begins a transaction that reads: SQLite chooses its moment with the first read.
fn begin_to_read(connection: &Connection) -> Result<(), Error> {
    connection.execute_batch("BEGIN; SELECT 1 FROM sqlite_schema").map_err(Error::sqlite("read"))
}

impl Catalog {
    /// Opens the catalog at `path` for writing, makes it if it is new, and migrates it if it is old. Waits up to [`PATIENCE`] for
    /// another process that writes; `on_wait` is told once for whom. Syncs that a killed process left open are closed as `interrupted`,
    /// once the file was found whole.
    ///
    /// # Errors
    /// If the file is not ours, newer than this program or damaged (it is then left as it is), or if another writer does not end.
    pub fn open(path: &Path, writers: &Writers, purpose: &str, on_wait: &dyn Fn(&str)) -> Result<Self, Error> {
        let path = file::canonical(path)?;
        file::is_there(&path)?;
        let _opening = writers.opening();
        let (lock, alone) = writers.lock(&path, purpose, PATIENCE, on_wait)?;
        let mut connection = connect(&path, writers)?;
        let state = state(&connection).map_err(opened(&path))?;
        if state.check(&path)? {
            migrations::migrate(&mut connection, &path, migrations::STEPS, state.version)?;
        } else {
            schema::create(&mut connection).map_err(Error::sqlite("made"))?;
        }
        durable(&connection).map_err(opened(&path))?;
        let texts = Texts::fresh().map_err(Error::sqlite("opened"))?;
        texts.refuse_other_tables(&connection, &path)?;
        let mut catalog = Self { file: FileId::of(&path), staged: staged::Places::new(), connection, path, lock };
        if alone {
            catalog.take_over()?;
        }
        texts.refresh_views(&mut catalog.connection).map_err(Error::sqlite("migrated"))?;
        catalog.connection.execute_batch(&format!("{STAGED}; {TOUCHED}")).map_err(Error::sqlite("written"))?;
        Ok(catalog)
    }

    /// Puts right what those before this writer left: a sync that was killed, and a backup that is now the catalog.
    fn take_over(&self) -> Result<(), Error> {
        let sql = "SELECT EXISTS (SELECT 1 FROM sync WHERE outcome IS NULL)";
        let is_open: bool = self.connection.query_row(sql, [], |row| row.get(0)).map_err(Error::sqlite("read"))?;
        if is_open || self.lock.was_left() {
            self.check().inspect_err(|_| self.lock.keep_name())?;
        }
        self.connection
            .execute_batch(
                "UPDATE sync SET outcome = 'interrupted', finished_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
                 WHERE outcome IS NULL;
                 UPDATE identity SET catalog_id = lower(hex(randomblob(16))), is_copy = 0 WHERE is_copy = 1;",
            )
            .map_err(Error::sqlite("written"))
    }

    /// The connection, to look at what is stored.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Moves what was written from the write-ahead log into the file itself, as far as readers allow, and empties the log where
    /// nobody reads it. It waits for nobody.
    pub fn checkpoint(&self) -> Result<(), Error> {
        let run = |connection: &Connection| {
            connection.busy_timeout(Duration::ZERO)?;
            let done = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
            connection.busy_timeout(BUSY_TIMEOUT)?;
            done
        };
        run(&self.connection).map_err(Error::sqlite("checkpointed"))
    }
}

/// The pages that the writer keeps in memory, as SQLite writes it: less than nothing means so many kibibytes.
const WRITING_CACHE: i64 = -16_384;

/// For `map_err`: what may be wrong with the file that was opened.
fn opened(path: &Path) -> impl FnOnce(rusqlite::Error) -> Error {
    move |error| match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => Error::NotOurs(path.to_owned()),
        Some(ErrorCode::DatabaseCorrupt) => Error::Damaged { path: path.to_owned(), what: error.to_string() },
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => Error::Closed(path.to_owned()),
        _ => Error::sqlite("opened")(error),
    }
}

/// Opens a file to write it, and makes it if there is none. What it does ends when `writers` are interrupted.
fn connect(path: &Path, writers: &Writers) -> Result<Connection, Error> {
    let is_new = !path.exists();
    let mut connection = Connection::open_with_flags(path, WRITING).map_err(opened(path))?;
    if is_new {
        file::owner_only(path)?;
    }
    connection.set_prepared_statement_cache_capacity(64);
    harden(&connection).map_err(opened(path))?;
    let writers = writers.clone();
    connection.progress_handler(STEPS, Some(move || writers.is_interrupted())).map_err(opened(path))?;
    Ok(connection)
}

/// Settings of every connection: mistakes in SQL are errors, and a crafted file can't run anything.
fn harden(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DDL, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.pragma_update(None, "cell_size_check", true)
}

/// Settings of the writer: a commit is on the disk when it returns.
fn durable(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // A first sync needs again soon what it has written: pages that do not fit are read back from the file.
    connection.pragma_update(None, "cache_size", WRITING_CACHE)?;
    // Else a statement that is bound to other values may be planned anew: for partial indexes, each time.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.pragma_update(None, "foreign_keys", true)
}
