//! The rows of one node: what is stored, and how it is made what was resolved. What is equal is not written.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension, Statement, Transaction};

use super::resolver::{Clause, Failure, Parent, Resolved};

/// By the child's column, the parent's key and its column: the kind, the expression, and whether it is listed.
type Origins = BTreeMap<(String, i64, String), (String, Option<String>, bool)>;

/// All rows of a node.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Rows {
    pub(super) status: &'static str,
    pub(super) reason: Option<String>,
    pub(super) column_count: Option<i64>,
    pub(super) resolved_columns: Option<i64>,
    pub(super) is_whole: bool,
    /// By name: the position.
    pub(super) derived: BTreeMap<String, i64>,
    pub(super) origins: Origins,
    /// By the parent's key, its column and the clause.
    pub(super) uses: BTreeMap<(i64, String, String), ()>,
}

impl Rows {
    /// What was resolved; `keys` are those of the relations.
    pub(super) fn of(outcome: Result<Resolved, Failure>, keys: &[i64]) -> Self {
        let resolved = match outcome {
            Ok(resolved) => resolved,
            Err(Failure { status, reason }) => {
                return Self { status: status.as_str(), reason: Some(reason), ..Self::default() };
            }
        };
        let Resolved { status, reason, columns, resolved_columns, is_whole, origins, uses } = resolved;
        let mut derived = BTreeMap::new();
        let count = columns.len();
        for (position, column) in (1..).zip(columns) {
            derived.entry(column).or_insert(position);
        }
        let key = |parent: &Parent| keys[parent.relation];
        let origin = |((column, parent), origin): ((String, Parent), super::resolver::Origin)| {
            let key = (column, key(&parent), parent.column);
            (key, (origin.kind.as_str().to_owned(), origin.expression, origin.is_listed))
        };
        let used = |((parent, clause), ()): ((Parent, Clause), ())| {
            ((key(&parent), parent.column, clause.as_str().to_owned()), ())
        };
        Self {
            status: status.as_str(),
            reason,
            column_count: Some(count as i64),
            resolved_columns: Some(resolved_columns as i64),
            is_whole,
            derived,
            origins: origins.into_iter().map(origin).collect(),
            uses: uses.into_iter().map(used).collect(),
        }
    }

    /// The names of the columns in their order, if all are known.
    pub(super) fn list(&self) -> Option<Vec<String>> {
        let mut names: Vec<(i64, &String)> = self.derived.iter().map(|(name, place)| (*place, name)).collect();
        names.sort_unstable();
        self.is_whole.then(|| names.into_iter().map(|(_, name)| name.clone()).collect())
    }
}

/// What is stored of a node's status.
pub(super) struct Known {
    status: String,
    reason: Option<String>,
    column_count: Option<i64>,
    resolved_columns: Option<i64>,
    is_whole: bool,
    revision: i64,
    pub(super) stamp: i64,
}

impl Known {
    fn says(&self, rows: &Rows) -> bool {
        let Self { status, reason, column_count, resolved_columns, is_whole, revision: _, stamp: _ } = self;
        *status == rows.status
            && (reason, column_count, resolved_columns, is_whole)
                == (&rows.reason, &rows.column_count, &rows.resolved_columns, &rows.is_whole)
    }
}

/// What a node was resolved to, to be written in place of what is stored.
pub(super) struct Renewed {
    pub(super) rows: Rows,
    pub(super) known: Option<Known>,
    pub(super) stamp: i64,
}

/// Nodes are resolved parents first, and lie in the tables by their keys: one by one each would be written to another page.
const MOST_WAITING: usize = 1000;

/// Reads and writes the rows of nodes, for one sync.
pub(super) struct Store<'a> {
    sync_id: i64,
    known: Statement<'a>,
    list: Statement<'a>,
    derived: Statement<'a>,
    origins: Statement<'a>,
    uses: Statement<'a>,
    // Without a conflict to resolve: else SQLite keeps each page aside before a statement writes to it.
    drop_status: Statement<'a>,
    put_status: Statement<'a>,
    put_derived: Statement<'a>,
    put_origin: Statement<'a>,
    put_use: Statement<'a>,
    drop_derived: Statement<'a>,
    drop_origin: Statement<'a>,
    drop_use: Statement<'a>,
    keep_gone: Statement<'a>,
    waiting: BTreeMap<i64, Renewed>,
    pub(super) revision: i64,
    pub(super) first_revision: i64,
}

impl<'a> Store<'a> {
    pub(super) fn new(transaction: &'a Transaction<'_>, sync_id: i64) -> rusqlite::Result<Self> {
        let revision = transaction.query_row("SELECT last_revision FROM identity", [], |row| row.get(0))?;
        Ok(Self {
            sync_id,
            known: transaction.prepare(
                "SELECT status, reason, column_count, resolved_columns, is_whole, revision, stamp FROM column_status WHERE node_key = ?1",
            )?,
            list: transaction.prepare(
                "SELECT name FROM derived_column d JOIN column_status s USING (node_key)
                 WHERE node_key = ?1 AND is_whole ORDER BY position",
            )?,
            derived: transaction.prepare("SELECT name, position FROM derived_column WHERE node_key = ?1")?,
            origins: transaction.prepare(
                "SELECT child_column, parent_key, parent_column, kind, expression, is_listed FROM column_origin WHERE child_key = ?1",
            )?,
            uses: transaction.prepare("SELECT parent_key, parent_column, clause FROM column_use WHERE child_key = ?1")?,
            drop_status: transaction.prepare("DELETE FROM column_status WHERE node_key = ?1")?,
            put_status: transaction.prepare(
                "INSERT INTO column_status (node_key, status, reason, column_count, resolved_columns, is_whole, stamp, revision)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?,
            put_derived: transaction.prepare(
                "INSERT INTO derived_column (node_key, name, position) VALUES (?1, ?2, ?3)",
            )?,
            put_origin: transaction.prepare(
                "INSERT INTO column_origin (child_key, child_column, parent_key, parent_column, kind, expression, is_listed)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?,
            put_use: transaction.prepare(
                "INSERT INTO column_use (child_key, parent_key, parent_column, clause) VALUES (?1, ?2, ?3, ?4)",
            )?,
            drop_derived: transaction.prepare("DELETE FROM derived_column WHERE node_key = ?1 AND name = ?2")?,
            drop_origin: transaction.prepare(
                "DELETE FROM column_origin
                 WHERE child_key = ?1 AND child_column = ?2 AND parent_key = ?3 AND parent_column = ?4",
            )?,
            drop_use: transaction.prepare(
                "DELETE FROM column_use WHERE child_key = ?1 AND parent_key = ?2 AND parent_column = ?3 AND clause = ?4",
            )?,
            keep_gone: transaction.prepare(
                "INSERT OR REPLACE INTO column_gone (sync_id, parent_key, parent_column, child_key, child_column, how)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?,
            waiting: BTreeMap::new(),
            revision,
            first_revision: revision,
        })
    }

    pub(super) fn known(&mut self, key: i64) -> rusqlite::Result<Option<Known>> {
        let known = self.known.query_row([key], |row| {
            Ok(Known {
                status: row.get(0)?,
                reason: row.get(1)?,
                column_count: row.get(2)?,
                resolved_columns: row.get(3)?,
                is_whole: row.get(4)?,
                revision: row.get(5)?,
                stamp: row.get(6)?,
            })
        });
        known.optional()
    }

    /// The columns that a node's code gives, as stored, if all are known.
    pub(super) fn list(&mut self, key: i64) -> rusqlite::Result<Option<Vec<String>>> {
        let names = self.list.query_map([key], |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()?;
        Ok((!names.is_empty()).then_some(names))
    }

    /// Makes the rows of a node these, at the latest with [`Store::flush`].
    pub(super) fn put(&mut self, key: i64, renewed: Renewed) -> rusqlite::Result<()> {
        self.waiting.insert(key, renewed);
        if self.waiting.len() < MOST_WAITING { Ok(()) } else { self.flush() }
    }

    /// Writes what waits, in the order of the keys. A revision is counted where that changes any row of a node.
    pub(super) fn flush(&mut self) -> rusqlite::Result<()> {
        for (key, Renewed { rows, known, stamp }) in std::mem::take(&mut self.waiting) {
            let wrote = self.write_parts(key, &rows, known.is_none())?;
            if known.is_some() {
                self.drop_status.execute([key])?;
            }
            let same = known.filter(|known| !wrote && known.says(&rows));
            let revision = same.map_or_else(|| self.next_revision(), |known| known.revision);
            let Rows { status, reason, column_count, resolved_columns, is_whole, .. } = rows;
            let values = (key, status, reason, column_count, resolved_columns, is_whole, stamp, revision);
            self.put_status.execute(values)?;
        }
        Ok(())
    }

    fn next_revision(&mut self) -> i64 {
        self.revision += 1;
        self.revision
    }

    /// Tells whether anything was written.
    fn write_parts(&mut self, key: i64, rows: &Rows, is_new: bool) -> rusqlite::Result<bool> {
        let Stored { derived, origins, uses } = if is_new { Stored::default() } else { self.stored(key)? };
        let mut wrote = false;
        for (name, _) in derived.iter().filter(|(name, value)| rows.derived.get(*name) != Some(value)) {
            wrote |= self.drop_derived.execute((key, name))? > 0;
        }
        for (row, value) in rows.derived.iter().filter(|(row, value)| derived.get(*row) != Some(value)) {
            wrote |= self.put_derived.execute((key, row, value))? > 0;
        }
        for (row, value) in origins.iter().filter(|(row, value)| rows.origins.get(*row) != Some(value)) {
            let (column, parent, of) = row;
            wrote |= self.drop_origin.execute((key, column, parent, of))? > 0;
            if !rows.origins.contains_key(row) {
                self.keep_gone.execute((self.sync_id, parent, of, key, column, &value.0))?;
            }
        }
        for (row, value) in rows.origins.iter().filter(|(row, value)| origins.get(*row) != Some(value)) {
            wrote |= self.put_origin.execute((key, &row.0, row.1, &row.2, &value.0, &value.1, value.2))? > 0;
        }
        for (parent, of, clause) in uses.keys().filter(|row| !rows.uses.contains_key(*row)) {
            wrote |= self.drop_use.execute((key, parent, of, clause))? > 0;
            self.keep_gone.execute((self.sync_id, parent, of, key, "", clause))?;
        }
        for row in rows.uses.keys().filter(|row| !uses.contains_key(*row)) {
            wrote |= self.put_use.execute((key, row.0, &row.1, &row.2))? > 0;
        }
        Ok(wrote)
    }

    fn stored(&mut self, key: i64) -> rusqlite::Result<Stored> {
        let derived = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
        let origin = |row: &rusqlite::Row<'_>| {
            Ok(((row.get(0)?, row.get(1)?, row.get(2)?), (row.get(3)?, row.get(4)?, row.get(5)?)))
        };
        let used = |row: &rusqlite::Row<'_>| Ok(((row.get(0)?, row.get(1)?, row.get(2)?), ()));
        Ok(Stored {
            derived: self.derived.query_map([key], derived)?.collect::<rusqlite::Result<_>>()?,
            origins: self.origins.query_map([key], origin)?.collect::<rusqlite::Result<_>>()?,
            uses: self.uses.query_map([key], used)?.collect::<rusqlite::Result<_>>()?,
        })
    }

    /// Takes all rows of a node away, and keeps what they said with the sync.
    pub(super) fn forget(&mut self, key: i64) -> rusqlite::Result<()> {
        if self.known(key)?.is_none() {
            return Ok(());
        }
        self.write_parts(key, &Rows::default(), false)?;
        self.next_revision();
        self.drop_status.execute([key]).map(drop)
    }
}

/// The rows that are stored.
#[derive(Default)]
struct Stored {
    derived: BTreeMap<String, i64>,
    origins: Origins,
    uses: BTreeMap<(i64, String, String), ()>,
}
