//! The schema: how a fresh catalog is made, and whether the one in a file is this program's.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::Error;
use super::migrations::{FIRST_VERSION, SCHEMA_VERSION};
use crate::derive::words;
use crate::time::Timestamp;

/// "LNGD": marks the file as ours.
const APPLICATION_ID: i64 = 0x4C4E_4744;

pub(super) const SCHEMA: &str = include_str!("../../schema.sql");

/// What the header of a file says of it.
pub(super) struct State {
    application_id: i64,
    pub(super) version: i64,
    is_empty: bool,
}

pub(super) fn state(connection: &Connection) -> rusqlite::Result<State> {
    let pragma = |name: &str| connection.pragma_query_value(None, name, |row| row.get(0));
    let is_empty = "SELECT NOT EXISTS (SELECT 1 FROM sqlite_schema)";
    Ok(State {
        application_id: pragma("application_id")?,
        version: pragma("user_version")?,
        is_empty: connection.query_row(is_empty, [], |row| row.get(0))?,
    })
}

impl State {
    /// Whether there is a catalog; false if nothing was ever written, e.g. by a process that was killed before it could.
    ///
    /// # Errors
    /// If the file is somebody else's, or of a version that this program can't use.
    pub(super) fn check(&self, path: &Path) -> Result<bool, Error> {
        let Self { application_id, version, is_empty } = *self;
        let path = path.to_owned();
        match version {
            0 if is_empty && (application_id == 0 || application_id == APPLICATION_ID) => Ok(false),
            _ if application_id != APPLICATION_ID => Err(Error::NotOurs(path)),
            FIRST_VERSION..=SCHEMA_VERSION => Ok(true),
            1..FIRST_VERSION => Err(Error::Outdated(path)),
            ..=0 => Err(Error::Damaged { path, what: format!("its version is {version}") }),
            _ => Err(Error::Newer { path, found: version, known: SCHEMA_VERSION }),
        }
    }
}

/// Makes the schema in one transaction, before the file is in WAL mode: so its header tells whose it is from the first byte on.
pub(super) fn create(connection: &mut Connection) -> rusqlite::Result<()> {
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

/// The names and texts of what this program's schema makes.
pub(super) struct Texts {
    /// Tables and indexes.
    tables: Vec<(String, Option<String>)>,
    /// In the order in which they are made.
    pub(super) views: Vec<(String, Option<String>)>,
}

impl Texts {
    /// Of a fresh catalog.
    pub(super) fn fresh() -> rusqlite::Result<Self> {
        let fresh = Connection::open_in_memory()?;
        fresh.execute_batch(SCHEMA)?;
        Self::of(&fresh)
    }

    pub(super) fn of(connection: &Connection) -> rusqlite::Result<Self> {
        let texts = |condition: &str| -> rusqlite::Result<Vec<_>> {
            let sql = format!("SELECT name, sql FROM main.sqlite_schema WHERE {condition}");
            connection.prepare(&sql)?.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
        };
        Ok(Self {
            tables: texts("type IN ('table', 'index') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name")?,
            views: texts("type = 'view' ORDER BY rowid")?,
        })
    }

    /// Refuses a file whose tables are others: it was made while there were no migrations yet.
    pub(super) fn refuse_other_tables(&self, connection: &Connection, path: &Path) -> Result<(), Error> {
        let found = Self::of(connection).map_err(Error::sqlite("opened"))?;
        if found.tables == self.tables { Ok(()) } else { Err(Error::Outdated(path.to_owned())) }
    }

    /// Makes the views anew where their text differs from this program's, and notes its version. Then the words are indexed anew,
    /// too: the index is of what a view says.
    pub(super) fn refresh_views(&self, connection: &mut Connection) -> rusqlite::Result<()> {
        let version = env!("CARGO_PKG_VERSION");
        let same_version = connection
            .query_row("SELECT lineaged_version = ?1 FROM identity", [version], |row| row.get::<_, bool>(0))?;
        let old = Self::of(connection)?.views;
        if old == self.views && same_version {
            return Ok(());
        }
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for (name, _) in &old {
            transaction.execute_batch(&format!("DROP VIEW \"{name}\""))?;
        }
        for (_, sql) in &self.views {
            transaction.execute_batch(sql.as_deref().unwrap_or_default())?;
        }
        words::rebuild(&transaction)?;
        transaction.execute("UPDATE identity SET lineaged_version = ?1", [version])?;
        transaction.commit()
    }
}
