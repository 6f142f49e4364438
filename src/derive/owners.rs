//! Keeps what the view `owners` shows: who owns how much, how to reach them, and what of theirs is to be written.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, Transaction};
use serde_json::Value;

/// The keys of a group's meta under which it can be reached, the first of which counts.
const CONTACTS: [&str; 4] = ["slack", "teams", "channel", "url"];

/// An owner is told by the name; where there is none, by the address.
type Key = (Option<String>, Option<String>);

/// A row of `owner`.
#[derive(Debug, Default, PartialEq)]
struct Owner {
    owner_name: Option<String>,
    owner_email: Option<String>,
    contact: Option<String>,
    node_count: i64,
    undocumented: i64,
    untested: i64,
}

/// Makes the owners of an environment those of its nodes and groups, whose coverage is kept. Writes nothing if they are the same.
pub(crate) fn renew_owners(transaction: &Transaction<'_>, environment_id: i64) -> rusqlite::Result<()> {
    let owners = owners(transaction, environment_id)?;
    if owners == stored(transaction, environment_id)? {
        return Ok(());
    }
    transaction.execute("DELETE FROM owner WHERE environment_id = ?1", [environment_id])?;
    let mut insert = transaction.prepare(
        "INSERT INTO owner (environment_id, owner_name, owner_email, contact, node_count, undocumented, untested)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    for it in owners {
        let texts = (it.owner_name, it.owner_email, it.contact);
        insert.execute((environment_id, texts.0, texts.1, texts.2, it.node_count, it.undocumented, it.untested))?;
    }
    Ok(())
}

/// By name, and those without one by address. What `coverage.exclude` leaves out is owned, but lacks nothing.
fn owners(connection: &Connection, environment_id: i64) -> rusqlite::Result<Vec<Owner>> {
    let sql = "SELECT n.owner_name, n.owner_email, n.resource_type = 'group', n.meta, c.node_key IS NOT NULL,
                   coalesce(NOT c.is_excluded AND NOT c.is_documented, FALSE),
                   coalesce(NOT c.is_excluded AND c.test_count = 0
                       AND n.resource_type IN ('model', 'seed', 'snapshot', 'source'), FALSE)
               FROM node n LEFT JOIN node_coverage c ON c.node_key = n.node_key
               WHERE n.environment_id = ?1 AND n.removed_at IS NULL
               AND (n.owner_name IS NOT NULL OR n.owner_email IS NOT NULL)
               AND (c.node_key IS NOT NULL OR n.resource_type = 'group') ORDER BY n.unique_id";
    let mut owners: BTreeMap<Key, (Owner, BTreeSet<String>)> = BTreeMap::new();
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([environment_id])?;
    while let Some(row) = rows.next()? {
        let (name, email): Key = (row.get(0)?, row.get(1)?);
        let key = (name.clone(), email.clone().filter(|_| name.is_none()));
        let (owner, emails) = owners.entry(key).or_default();
        owner.owner_name = name;
        emails.extend(email);
        if row.get(2)? && owner.contact.is_none() {
            owner.contact = contact(row.get(3)?);
        }
        owner.node_count += row.get::<_, i64>(4)?;
        owner.undocumented += row.get::<_, i64>(5)?;
        owner.untested += row.get::<_, i64>(6)?;
    }
    let join = |(owner, emails): (Owner, BTreeSet<String>)| {
        let emails: Vec<String> = emails.into_iter().collect();
        Owner { owner_email: Some(emails.join(", ")).filter(|emails| !emails.is_empty()), ..owner }
    };
    Ok(owners.into_values().map(join).collect())
}

/// How a group can be reached, as its meta tells it.
fn contact(meta: Option<String>) -> Option<String> {
    let meta: Value = serde_json::from_str(&meta?).ok()?;
    CONTACTS.iter().find_map(|key| words(meta.get(*key)?))
}

/// One text, or several.
fn words(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        Value::Array(list) => {
            Some(list.iter().filter_map(words).collect::<Vec<_>>().join(", ")).filter(|text| !text.is_empty())
        }
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn stored(connection: &Connection, environment_id: i64) -> rusqlite::Result<Vec<Owner>> {
    let sql = "SELECT owner_name, owner_email, contact, node_count, undocumented, untested FROM owner
               WHERE environment_id = ?1 ORDER BY rowid";
    let owner = |row: &rusqlite::Row<'_>| {
        Ok(Owner {
            owner_name: row.get(0)?,
            owner_email: row.get(1)?,
            contact: row.get(2)?,
            node_count: row.get(3)?,
            undocumented: row.get(4)?,
            untested: row.get(5)?,
        })
    };
    connection.prepare(sql)?.query_map([environment_id], owner)?.collect()
}
