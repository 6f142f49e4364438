//! Code texts that wait for their sync to be applied, in a temporary table: as a whole they are too large for memory. Readers don't see them,
//! and they are gone with the writer's connection.

use std::collections::HashMap;

use rusqlite::{Connection, Statement};

use super::{Catalog, Error};
use crate::inventory::{Code, Text};

/// One text after the other, as they come: by their hashes they would be sorted in anywhere.
pub(super) const STAGED: &str = "CREATE TEMP TABLE staged_code (place INTEGER PRIMARY KEY, code TEXT NOT NULL)";

/// Where each text stands, by its hash.
pub(super) type Places = HashMap<Text, i64>;

impl Catalog {
    /// Keeps the text of `code` aside until a sync is applied.
    pub fn stage_code(&mut self, code: &Code, text: &str) -> Result<(), Error> {
        if self.staged.contains_key(&code.sha256) {
            return Ok(());
        }
        let mut stage = || -> rusqlite::Result<()> {
            let sql = "INSERT INTO temp.staged_code (code) VALUES (?1)";
            self.connection.prepare_cached(sql)?.execute([text])?;
            self.staged.insert(Text::clone(&code.sha256), self.connection.last_insert_rowid());
            Ok(())
        };
        stage().map_err(Error::sqlite("written"))
    }
}

/// Reads staged texts.
pub(super) struct Staged<'a> {
    places: &'a Places,
    select: Statement<'a>,
}

impl<'a> Staged<'a> {
    pub(super) fn new(connection: &'a Connection, places: &'a Places) -> rusqlite::Result<Self> {
        Ok(Self { places, select: connection.prepare("SELECT code FROM temp.staged_code WHERE place = ?1")? })
    }

    /// Hands the text to `write`, if it is staged: what is stored already may not be.
    pub(super) fn with(
        &mut self,
        code: &Code,
        write: impl FnOnce(&str) -> rusqlite::Result<usize>,
    ) -> rusqlite::Result<()> {
        let Some(place) = self.places.get(&code.sha256) else { return Ok(()) };
        let mut rows = self.select.query([place])?;
        match rows.next()? {
            Some(row) => write(row.get_ref(0)?.as_str()?).map(drop),
            None => Ok(()),
        }
    }
}
