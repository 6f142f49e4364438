//! What the catalog keeps of the configuration, since its views need it.

use rusqlite::Transaction;
use serde_json::Value;

use super::{Catalog, Error};

impl Catalog {
    /// Keeps `settings`, and which environments are configured: `environments` are their ids. Without any of those nothing is known
    /// of them, since only commands that sync demand them. What is the same as before is not written.
    pub fn configure(&mut self, settings: &[(&'static str, Value)], environments: &[i64]) -> Result<(), Error> {
        self.write(|transaction| {
            for (name, value) in settings {
                set(transaction, name, value)?;
            }
            if environments.is_empty() { Ok(()) } else { mark_configured(transaction, environments) }
        })
    }
}

fn set(transaction: &Transaction<'_>, name: &str, value: &Value) -> rusqlite::Result<()> {
    let sql = "INSERT INTO setting (name, value) VALUES (?1, ?2)
               ON CONFLICT (name) DO UPDATE SET value = excluded.value WHERE value <> excluded.value";
    transaction.execute(sql, (name, value.to_string())).map(drop)
}

fn mark_configured(transaction: &Transaction<'_>, environments: &[i64]) -> rusqlite::Result<()> {
    let sql = "UPDATE environment SET is_configured = NOT is_configured
               WHERE is_configured <> (environment_id IN (SELECT value FROM json_each(?1)))";
    transaction.execute(sql, [Value::from(environments).to_string()]).map(drop)
}
