//! Environments that were found on the platform and are not configured: their numbers are given once, and kept.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, Row};

use super::environments::claim_name;
use super::{Catalog, Error};
use crate::time::Timestamp;

/// The setting that says which environments were meant when they were found.
const FOUND_FOR: &str = "found_for";

/// An environment of the platform that the catalog holds, or that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Its number in the catalog.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// The platform's id of it.
    pub platform_id: i64,
    /// The account that it is of, where that is known.
    pub account_id: Option<i64>,
    /// When the platform last listed it, if it was found there.
    pub found_at: Option<Timestamp>,
}

impl Kept {
    /// Whether it is the environment with these ids of the platform's. One whose account is not known is, if no other account has the id.
    pub fn is(&self, (platform_id, account_id): (i64, i64), is_alone: bool) -> bool {
        self.platform_id == platform_id && self.account_id.map_or(is_alone, |own| own == account_id)
    }
}

/// The environments of the platform that the catalog holds, configured or found.
///
/// # Errors
/// If the catalog can't be read.
pub fn kept(connection: &Connection) -> Result<Vec<Kept>, Error> {
    let sql = "SELECT environment_id, name, platform_id, account_id, found_at FROM environment
               WHERE origin = 'discovery' AND platform_id IS NOT NULL ORDER BY environment_id";
    let kept = |row: &Row<'_>| {
        let found_at: Option<String> = row.get(4)?;
        Ok(Kept {
            id: row.get(0)?,
            name: row.get(1)?,
            platform_id: row.get(2)?,
            account_id: row.get(3)?,
            found_at: found_at.as_deref().and_then(Timestamp::parse),
        })
    };
    let read = || connection.prepare(sql)?.query_map([], kept)?.collect::<rusqlite::Result<_>>();
    read().map_err(Error::sqlite("read"))
}

/// Which environments were meant when those that the catalog keeps were found.
///
/// # Errors
/// If the catalog can't be read.
pub fn found_for(connection: &Connection) -> Result<Option<String>, Error> {
    let sql = "SELECT value FROM setting WHERE name = ?1";
    connection.query_row(sql, [FOUND_FOR], |row| row.get(0)).optional().map_err(Error::sqlite("read"))
}

/// All numbers that environments of the catalog have, of files, too.
///
/// # Errors
/// If the catalog can't be read.
pub fn taken_numbers(connection: &Connection) -> Result<BTreeSet<i64>, Error> {
    let read = || {
        connection
            .prepare("SELECT environment_id FROM environment")?
            .query_map([], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()
    };
    read().map_err(Error::sqlite("read"))
}

impl Catalog {
    /// Keeps the environments that were found now, each with its number, and which were `meant`.
    ///
    /// # Errors
    /// If the catalog can't be written.
    pub fn keep_found(&mut self, found: &[Kept], meant: &str) -> Result<(), Error> {
        self.write(|transaction| {
            let sql = "INSERT INTO setting (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
            transaction.execute(sql, (FOUND_FOR, meant))?;
            for Kept { id, name, platform_id, account_id, found_at } in found {
                claim_name(transaction, *id, name)?;
                transaction.execute(
                    "INSERT INTO environment (environment_id, name, platform_id, account_id, found_at) VALUES (?1, ?2, ?3, ?4, ?5)
                     ON CONFLICT (environment_id) DO UPDATE SET name = ?2, platform_id = ?3, account_id = ?4, found_at = ?5",
                    (id, name, platform_id, account_id, found_at.map(|at| at.to_string())),
                )?;
            }
            Ok(())
        })
    }
}
