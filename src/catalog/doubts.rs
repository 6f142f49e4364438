//! What the last reads of an environment could not make sure of: kept and loaded.

use std::collections::BTreeSet;

use rusqlite::{Connection, Row, Transaction};

use super::Error;
use crate::plan::{About, Doubt, Doubts};
use crate::time::Timestamp;

/// What is in doubt of an environment.
pub(super) fn doubts(connection: &Connection, environment_id: i64) -> Result<Doubts, Error> {
    let sql = "SELECT about, list, reads, since, believed FROM doubt WHERE environment_id = ?1";
    let doubt = |row: &Row<'_>| {
        let list = |text: String| serde_json::from_str::<BTreeSet<String>>(&text).unwrap_or_default();
        let doubt = Doubt {
            list: list(row.get(1)?),
            reads: row.get(2)?,
            since: row.get::<_, Option<String>>(3)?.as_deref().and_then(Timestamp::parse),
            believed: list(row.get(4)?),
        };
        Ok((row.get::<_, String>(0)?, doubt))
    };
    let read = || -> rusqlite::Result<Vec<(String, Doubt)>> {
        connection.prepare(sql)?.query_map([environment_id], doubt)?.collect()
    };
    let about = |word: &str| About::ALL.into_iter().find(|about| about.as_str() == word);
    let found = read().map_err(Error::sqlite("read"))?;
    Ok(Doubts::new(found.into_iter().filter_map(|(word, doubt)| Some((about(&word)?, doubt))).collect()))
}

/// Keeps what is in doubt of the environment of this sync.
pub(super) fn write_doubts(transaction: &Transaction<'_>, sync_id: i64, doubts: &Doubts) -> rusqlite::Result<()> {
    let of = "(SELECT environment_id FROM sync WHERE sync_id = ?1)";
    transaction.execute(&format!("DELETE FROM doubt WHERE environment_id = {of}"), [sync_id])?;
    let sql = format!(
        "INSERT INTO doubt (environment_id, about, list, reads, since, believed) VALUES ({of}, ?2, ?3, ?4, ?5, ?6)"
    );
    let mut insert = transaction.prepare(&sql)?;
    for (about, Doubt { list, reads, since, believed }) in doubts.iter() {
        let text = |list: &BTreeSet<String>| serde_json::json!(list).to_string();
        let since = since.map(|since| since.to_string());
        insert.execute((sync_id, about.as_str(), text(list), reads, since, text(believed)))?;
    }
    Ok(())
}
