//! The SQLite file: opening it safely, and the only writes to it. What it holds is read by `views`.

mod apply;
mod as_of;
mod backup;
mod coverage;
mod error;
mod holds;
mod lineage;
mod load;
mod lock;
mod migrations;
mod prune;
mod search;
mod settings;
mod syncs;
mod tested;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use crate::inventory::{Code, Timestamp};

pub use apply::Applied;
pub use as_of::open_as_of;
pub use backup::backup;
pub use error::Error;
pub use holds::{Approval, HeldSync, Known, LOOK_AGAIN, Standing, held_syncs, known};
pub use load::{Stored, environment_facts};
pub use lock::{DaemonLock, PATIENCE, Writers};
pub use migrations::SCHEMA_VERSION;
pub use syncs::{Ending, Mode, SyncId, Trigger};

/// "LNGD": marks the file as ours.
const APPLICATION_ID: i64 = 0x4C4E_4744;

const SCHEMA: &str = include_str!("../../schema.sql");

/// How long SQLite itself waits for a lock inside the file: longer than the largest commit of a neighbour takes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// The catalog, open for writing: this process is the only one that writes as long as it lives.
#[derive(Debug)]
pub struct Catalog {
    connection: Connection,
    path: PathBuf,
    /// Which file was opened: what is written to a file that was removed or replaced would be lost without a word.
    file: Option<FileId>,
    _lock: Arc<lock::WriterLock>,
}

/// Opens the catalog at `path` for reading. Readers never block the writer, nor the other way round.
///
/// # Errors
/// If there is none, or if it is not ours, of another version or damaged.
pub fn open_to_read(path: &Path) -> Result<Connection, Error> {
    let (connection, version) = open_existing(path)?.ok_or_else(|| Error::Missing(path.to_owned()))?;
    if version < SCHEMA_VERSION {
        return Err(Error::Older { path: path.to_owned(), found: version, known: SCHEMA_VERSION });
    }
    Ok(connection)
}

impl Catalog {
    /// Opens the catalog at `path` for writing, makes it if it is new, and migrates it if it is old. Waits up to [`PATIENCE`] for
    /// another process that writes; `on_wait` is told once for whom. Syncs that a killed process left open are closed as `interrupted`.
    ///
    /// # Errors
    /// If the file is not ours, newer than this program or damaged (it is then left as it is), or if another writer does not end.
    pub fn open(path: &Path, writers: &Writers, purpose: &str, on_wait: &dyn Fn(&str)) -> Result<Self, Error> {
        if path.is_dir() {
            return Err(Error::Folder(path.to_owned()));
        }
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.is_dir()) {
            return Err(Error::NoFolder(folder.to_owned()));
        }
        let (lock, alone) = writers.lock(path, purpose, PATIENCE, on_wait)?;
        let version = match open_existing(path)? {
            Some((connection, version)) => {
                quick_check(&connection, path)?;
                Some(version)
            }
            None => None,
        };
        let mut connection = Connection::open(path).map_err(Error::sqlite("opened"))?;
        connection.set_prepared_statement_cache_capacity(64);
        harden(&connection).and_then(|()| durable(&connection)).map_err(Error::sqlite("opened"))?;
        match version {
            None => create(&mut connection).map_err(Error::sqlite("made"))?,
            Some(version) if version < SCHEMA_VERSION => {
                keep_copy(&connection, path, version)?;
                migrations::migrate(&mut connection, migrations::MIGRATIONS, version)
                    .map_err(Error::sqlite("migrated"))?;
            }
            Some(_) => {}
        }
        refresh_views(&mut connection).map_err(Error::sqlite("migrated"))?;
        if version == Some(1) {
            apply::fill_lineage(&mut connection)?;
        }
        connection
            .execute_batch("CREATE TEMP TABLE staged_code (sha256 TEXT PRIMARY KEY, code TEXT NOT NULL)")
            .map_err(Error::sqlite("written"))?;
        if alone {
            connection
                .execute_batch(
                    "UPDATE sync SET outcome = 'interrupted', finished_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
                     WHERE outcome IS NULL",
                )
                .map_err(Error::sqlite("written"))?;
        }
        Ok(Self { connection, path: path.to_owned(), file: FileId::of(path), _lock: lock })
    }

    /// Keeps the text of `code` aside until a sync is applied. Readers don't see it, and it is gone with this connection.
    pub fn stage_code(&self, code: &Code, text: &str) -> Result<(), Error> {
        let mut statement = self
            .connection
            .prepare_cached("INSERT OR IGNORE INTO temp.staged_code (sha256, code) VALUES (?1, ?2)")
            .map_err(Error::sqlite("written"))?;
        statement.execute((&code.sha256, text)).map(drop).map_err(Error::sqlite("written"))
    }

    /// The connection, to look at what is stored.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Moves what was written from the write-ahead log into the file itself, as far as readers allow.
    pub fn checkpoint(&self) -> Result<(), Error> {
        let run = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        run.map_err(Error::sqlite("checkpointed"))
    }
}

/// What tells a file from another one of the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileId(u64, u64);

impl FileId {
    #[cfg(unix)]
    fn of(path: &Path) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        std::fs::metadata(path).ok().map(|file| Self(file.dev(), file.ino()))
    }

    #[cfg(not(unix))]
    fn of(path: &Path) -> Option<Self> {
        path.exists().then_some(Self(0, 0))
    }
}

/// Opens an existing catalog read-only and tells its version; `None` if there is no file or it is empty.
fn open_existing(path: &Path) -> Result<Option<(Connection, i64)>, Error> {
    match std::fs::metadata(path) {
        Ok(file) if file.len() == 0 => return Ok(None),
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(Error::File { what: "open", path: path.to_owned(), source }),
    }
    let damaged = |error: rusqlite::Error| match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::NotADatabase) => Error::NotOurs(path.to_owned()),
        Some(rusqlite::ErrorCode::DatabaseCorrupt) => Error::Damaged { path: path.to_owned(), what: error.to_string() },
        _ => Error::Sqlite { doing: "opened", source: error },
    };
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(damaged)?;
    harden(&connection).map_err(damaged)?;
    let pragma = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).map_err(damaged);
    if pragma("application_id")? != APPLICATION_ID {
        return Err(Error::NotOurs(path.to_owned()));
    }
    let version = pragma("user_version")?;
    if version > SCHEMA_VERSION {
        return Err(Error::Newer { path: path.to_owned(), found: version, known: SCHEMA_VERSION });
    }
    Ok(Some((connection, version)))
}

fn quick_check(connection: &Connection, path: &Path) -> Result<(), Error> {
    let found = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0));
    let what = match found {
        Ok(text) if text == "ok" => return Ok(()),
        Ok(text) => text,
        Err(error) => error.to_string(),
    };
    Err(Error::Damaged { path: path.to_owned(), what: what.lines().collect::<Vec<_>>().join(" ") })
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
    connection.pragma_update(None, "foreign_keys", true)
}

fn create(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    transaction.execute_batch(SCHEMA)?;
    transaction.execute(
        "INSERT INTO identity (only_row, catalog_id, created_at, schema_version, lineaged_version)
         VALUES (1, lower(hex(randomblob(16))), ?1, ?2, ?3)",
        (Timestamp::now().to_string(), SCHEMA_VERSION, env!("CARGO_PKG_VERSION")),
    )?;
    transaction.commit()
}

/// Before a migration: a whole copy of the old file, so that the older program can be used again.
fn keep_copy(connection: &Connection, path: &Path, version: i64) -> Result<(), Error> {
    let mut copy = path.as_os_str().to_owned();
    copy.push(format!(".v{version}"));
    let copy = PathBuf::from(copy);
    if copy.exists() {
        return Ok(());
    }
    connection
        .execute("VACUUM INTO ?1", [copy.to_string_lossy()])
        .map(drop)
        .map_err(Error::sqlite("copied before its migration"))
}

/// Makes the views anew where their text differs from this program's, and notes its version. Then the words are indexed anew, too:
/// the index is of what a view says.
fn refresh_views(connection: &mut Connection) -> rusqlite::Result<()> {
    let fresh = Connection::open_in_memory()?;
    fresh.execute_batch(SCHEMA)?;
    let wanted = view_texts(&fresh)?;
    let version = env!("CARGO_PKG_VERSION");
    let same_version =
        connection.query_row("SELECT lineaged_version = ?1 FROM identity", [version], |row| row.get::<_, bool>(0))?;
    if view_texts(connection)? == wanted && same_version {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for (name, _) in view_texts(&transaction)? {
        transaction.execute_batch(&format!("DROP VIEW \"{name}\""))?;
    }
    for (_, sql) in wanted {
        transaction.execute_batch(&sql)?;
    }
    search::rebuild(&transaction)?;
    transaction.execute("UPDATE identity SET lineaged_version = ?1", [version])?;
    transaction.commit()
}

fn view_texts(connection: &Connection) -> rusqlite::Result<Vec<(String, String)>> {
    let mut statement =
        connection.prepare("SELECT name, sql FROM main.sqlite_schema WHERE type = 'view' ORDER BY rowid")?;
    statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}
