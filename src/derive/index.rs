//! Indexes that are made when all rows of a first sync are there: row by row, each would be sorted into them by itself.

use rusqlite::Transaction;

/// The texts of indexes that were taken away.
pub(super) struct Indexes(Vec<String>);

impl Indexes {
    /// Takes these away, if `table` has no row yet; else none.
    pub(super) fn take(transaction: &Transaction<'_>, table: &str, names: &[&str]) -> rusqlite::Result<Self> {
        let sql = format!("SELECT NOT EXISTS (SELECT 1 FROM {table})");
        let is_empty: bool = transaction.query_row(&sql, [], |row| row.get(0))?;
        let take = |name: &&str| {
            let sql = "SELECT sql FROM sqlite_schema WHERE name = ?1";
            let text: String = transaction.query_row(sql, [name], |row| row.get(0))?;
            transaction.execute_batch(&format!("DROP INDEX {name}"))?;
            Ok(text)
        };
        Ok(Self(names.iter().filter(|_| is_empty).map(take).collect::<rusqlite::Result<_>>()?))
    }

    pub(super) fn give_back(self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        self.0.iter().try_for_each(|sql| transaction.execute_batch(sql))
    }
}
