//! From the tables of one version to the next. Append only: a released migration is never edited.

use rusqlite::{Connection, TransactionBehavior};

/// The migration at index n leads from version n + 1 to n + 2. `schema.sql` always holds the result of all of them.
pub(super) const MIGRATIONS: &[&str] = &[include_str!("to_v2.sql"), include_str!("to_v3.sql")];

/// The version that `schema.sql` makes.
pub const SCHEMA_VERSION: i64 = MIGRATIONS.len() as i64 + 1;

/// Runs those of `migrations` that a catalog of version `from` lacks, each in a transaction of its own with its new version.
pub(super) fn migrate(connection: &mut Connection, migrations: &[&str], from: i64) -> rusqlite::Result<()> {
    for (number, sql) in (1..).zip(migrations).skip_while(|(number, _)| *number < from) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(sql)?;
        transaction.pragma_update(None, "user_version", number + 1)?;
        transaction.execute("UPDATE identity SET schema_version = ?1", [number + 1])?;
        transaction.commit()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_missing_migration_runs_once_and_a_broken_one_leaves_the_version_before_it() {
        let mut connection = Connection::open_in_memory().expect("a database");
        connection
            .execute_batch("CREATE TABLE identity (schema_version INTEGER); INSERT INTO identity VALUES (1)")
            .expect("a table");
        let good = ["CREATE TABLE two (x)", "CREATE TABLE three (x)"];
        migrate(&mut connection, &good, 2).expect("only the second runs");
        let version = |connection: &Connection| {
            connection.query_row("SELECT schema_version FROM identity", [], |row| row.get::<_, i64>(0)).expect("a row")
        };
        assert_eq!(version(&connection), 3);
        assert!(connection.prepare("SELECT * FROM two").is_err());
        migrate(&mut connection, &["", "", "CREATE TABLE four (x); SELECT nonsense"], 3).expect_err("broken");
        assert_eq!(version(&connection), 3);
        assert!(connection.prepare("SELECT * FROM four").is_err());
    }
}
