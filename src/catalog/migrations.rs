//! From one version to the next. Append only: a released step is never edited.

use std::path::Path;

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::Error;
use super::backup::whole_copy;
use super::file::beside;

/// What leads from one version to the next: its SQL, and whatever has to be computed for the new tables, in one transaction.
pub(super) type Step = fn(&Transaction<'_>) -> rusqlite::Result<()>;

/// The first version that is not refused. Versions before it were never released.
pub(super) const FIRST_VERSION: i64 = 4;

/// The step at index n leads from version `FIRST_VERSION` + n to the next. `schema.sql` always holds the result of all of them.
pub(super) const STEPS: &[Step] = &[];

/// The version that `schema.sql` makes.
pub const SCHEMA_VERSION: i64 = FIRST_VERSION + STEPS.len() as i64;

/// Takes a catalog of version `from` to the end of `steps`: all of them, or none. Before that a whole copy of it is put aside, with
/// which the older program can go on.
pub(super) fn migrate(connection: &mut Connection, path: &Path, steps: &[Step], from: i64) -> Result<(), Error> {
    let missing = usize::try_from(from - FIRST_VERSION).ok().and_then(|done| steps.get(done..));
    let Some(missing) = missing.filter(|steps| !steps.is_empty()) else { return Ok(()) };
    whole_copy(connection, path, &beside(path, &format!(".v{from}")))?;
    let to = FIRST_VERSION + steps.len() as i64;
    let run = |connection: &mut Connection| -> rusqlite::Result<()> {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for step in missing {
            step(&transaction)?;
        }
        transaction.pragma_update(None, "user_version", to)?;
        transaction.execute("UPDATE identity SET schema_version = ?1", [to])?;
        transaction.commit()
    };
    run(connection).map_err(Error::sqlite("migrated"))
}

#[cfg(test)]
mod tests {
    use super::super::schema::state;
    use super::super::{Catalog, Writers, check_integrity};
    use super::*;

    /// A made-up step: a table, and what is computed of the old ones.
    fn step(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        transaction.execute_batch("CREATE TABLE setting_length (name TEXT PRIMARY KEY, length INTEGER) STRICT")?;
        let mut statement = transaction.prepare("SELECT name, value FROM setting")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (name, value): (String, String) = (row.get(0)?, row.get(1)?);
            transaction.execute("INSERT INTO setting_length VALUES (?1, ?2)", (name, value.len() as i64))?;
        }
        Ok(())
    }

    /// The same, and at its end it is as if the process were gone: nothing is committed.
    fn killed(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        step(transaction)?;
        Err(rusqlite::Error::QueryReturnedNoRows)
    }

    fn lengths(connection: &Connection) -> rusqlite::Result<i64> {
        connection.query_row("SELECT sum(length) FROM setting_length", [], |row| row.get(0))
    }

    #[test]
    fn a_step_comes_whole_with_what_it_computes_or_not_at_all_and_a_copy_is_put_aside_before() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("c.db");
        let mut catalog = Catalog::open(&path, &Writers::default(), "test", &|_| {}).expect("a catalog");
        catalog.configure(&[("placeholders", serde_json::json!(["todo"]))], &[]).expect("set");
        drop(catalog);
        let mut connection = Connection::open(&path).expect("open");
        let copy = folder.path().join("c.db.v4");
        // What a process leaves that is killed while it copies: nothing usable under either name.
        std::fs::write(&copy, "").expect("written");
        std::fs::write(beside(&copy, ".part"), "half a co").expect("written");
        std::fs::write(beside(&copy, ".part-journal"), "and its journal").expect("written");
        migrate(&mut connection, &path, &[killed], FIRST_VERSION).expect_err("killed");
        let version = |connection: &Connection| state(connection).expect("read").version;
        assert_eq!(version(&connection), FIRST_VERSION);
        assert!(lengths(&connection).is_err(), "nothing of the step is there");
        check_integrity(&copy).expect("a copy that can be used");
        migrate(&mut connection, &path, &[step], FIRST_VERSION).expect("migrated");
        assert_eq!((version(&connection), lengths(&connection).expect("computed")), (FIRST_VERSION + 1, 8));
        let old = Connection::open(&copy).expect("open");
        assert_eq!(version(&old), FIRST_VERSION);
        assert!(lengths(&old).is_err());
        // Nothing is missing any more.
        migrate(&mut connection, &path, &[killed], FIRST_VERSION + 1).expect("nothing to do");
        let names = std::fs::read_dir(folder.path()).expect("read");
        let parts = names.filter(|name| name.as_ref().expect("a name").file_name().to_string_lossy().contains("part"));
        assert_eq!(parts.count(), 0);
    }
}
