//! Code texts that wait for their sync to be applied, in a temporary table: as a whole they are too large for memory. Readers don't see them,
//! and they are gone with the writer's connection.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, Statement};

use super::{Catalog, Error};
use crate::inventory::{Code, Text, UniqueId};

/// One text after the other, as they come: by their hashes they would be sorted in anywhere.
pub(super) const STAGED: &str = "CREATE TEMP TABLE staged_code (place INTEGER PRIMARY KEY, code TEXT NOT NULL)";

/// Where each text stands, by its hash.
pub(super) type Places = HashMap<Text, i64>;

impl Catalog {
    /// Whether the node has this code stored, as its compiled or its raw one. It then stays stored as long as the node keeps it:
    /// what is forgotten with history is code that no node has.
    pub fn holds_code(
        &self,
        environment_id: i64,
        node: &UniqueId,
        code: &Code,
        is_compiled: bool,
    ) -> Result<bool, Error> {
        let stored = if is_compiled {
            "SELECT c.sha256 = ?3 FROM node n JOIN compiled_code c USING (node_key)"
        } else {
            "SELECT n.raw_code_sha256 = ?3 FROM node n"
        };
        let sql = format!("{stored} WHERE n.environment_id = ?1 AND n.unique_id = ?2 AND n.removed_at IS NULL");
        let found = |connection: &Connection| {
            let mut statement = connection.prepare_cached(&sql)?;
            let holds = statement.query_row((environment_id, node.as_str(), &code.sha256), |row| row.get(0));
            Ok(holds.optional()?.flatten().unwrap_or_default())
        };
        found(&self.connection).map_err(Error::sqlite("read"))
    }

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
