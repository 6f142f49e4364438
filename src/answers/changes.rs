//! What changed, from the view `changes`: the feed that a follower reads, and the history that people look at.

use rusqlite::{Connection, OptionalExtension, ToSql};
use serde_json::Value;

use super::{Chosen, Error, Table, table};
use crate::time::Timestamp;

/// Which changes are wanted.
#[derive(Debug, Default)]
pub struct ChangesFilter {
    /// Only of this environment.
    pub environment_id: Option<i64>,
    /// Only of this node.
    pub unique_id: Option<String>,
    /// Only of these nodes.
    pub chosen: Option<Chosen>,
    /// Only of these kinds (`added`, `changed`, …); empty for all.
    pub kinds: Vec<String>,
    /// Only of these fields; empty for all.
    pub fields: Vec<String>,
    /// Only what was committed at this time or later.
    pub since: Option<Timestamp>,
    /// Only what was committed at this time or earlier.
    pub until: Option<Timestamp>,
    /// Only what came after this `seq`.
    pub after: Option<i64>,
    /// At most so many: the first ones after `after`, else the last ones there are.
    pub limit: Option<usize>,
}

/// The changes that `filter` asks for, by `seq`, and how many more it would have matched without its limit.
pub fn changes(connection: &Connection, filter: &ChangesFilter) -> Result<(Table, u64), Error> {
    let ChangesFilter { environment_id, unique_id, chosen, kinds, fields, since, until, after, limit } = filter;
    let (kinds, fields) = (Value::from(kinds.clone()).to_string(), Value::from(fields.clone()).to_string());
    let chosen = chosen.as_ref().map(Chosen::to_json);
    let [since, until] = [since, until].map(|time| time.map(|time| time.to_string()));
    let matching = "FROM changes
         WHERE (?1 IS NULL OR environment_id = ?1) AND (?2 IS NULL OR unique_id = ?2)
         AND (?3 = '[]' OR kind IN (SELECT value FROM json_each(?3))) AND seq > coalesce(?4, 0)
         AND (?5 = '[]' OR field IN (SELECT value FROM json_each(?5)))
         AND (?6 IS NULL OR changed_at >= ?6) AND (?7 IS NULL OR changed_at <= ?7)
         AND (?8 IS NULL OR environment_id || ' ' || unique_id IN (SELECT value FROM json_each(?8)))";
    let values: [&dyn ToSql; 8] = [environment_id, unique_id, &kinds, after, &fields, &since, &until, &chosen];
    let total: i64 =
        connection.query_row(&format!("SELECT count(*) {matching}"), values.as_slice(), |row| row.get(0))?;
    let order = if after.is_some() { "ASC" } else { "DESC" };
    let limit = limit.map_or(-1, |limit| i64::try_from(limit).unwrap_or(i64::MAX));
    let sql = format!("SELECT * FROM (SELECT * {matching} ORDER BY seq {order} LIMIT {limit}) ORDER BY seq");
    let found = table(connection, &sql, &values)?;
    let left_out = (total as u64).saturating_sub(found.rows.len() as u64);
    Ok((found, left_out))
}

/// What stands on a node, and so may break with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consumers {
    /// How many nodes stand on it, tests left out.
    pub nodes: i64,
    /// The names of the exposures among them, sorted.
    pub exposures: Vec<String>,
    /// Who owns what stands on it, sorted.
    pub owners: Vec<String>,
}

/// What stands on a node now; `None` if nothing does.
pub fn consumers(connection: &Connection, environment_id: i64, unique_id: &str) -> Result<Option<Consumers>, Error> {
    let sql = "WITH below AS (
                   SELECT n.* FROM lineage l
                   CROSS JOIN nodes n ON n.environment_id = ?1 AND n.unique_id = l.descendant_id
                   WHERE l.environment_id = ?1 AND l.ancestor_id = ?2)
               SELECT (SELECT count(*) FROM below),
                   (SELECT json_group_array(name) FROM (
                       SELECT DISTINCT coalesce(name, unique_id) AS name FROM below WHERE resource_type = 'exposure' ORDER BY 1)),
                   (SELECT json_group_array(owner_name) FROM (
                       SELECT DISTINCT owner_name FROM below WHERE owner_name IS NOT NULL ORDER BY 1))";
    let list = |text: String| serde_json::from_str::<Vec<String>>(&text).unwrap_or_default();
    let consumers = |row: &rusqlite::Row<'_>| {
        Ok(Consumers { nodes: row.get(0)?, exposures: list(row.get(1)?), owners: list(row.get(2)?) })
    };
    let found = connection.query_row(sql, (environment_id, unique_id), consumers)?;
    Ok((found.nodes > 0).then_some(found))
}

/// Raw code by its hash, as `changes` names it; `None` if it is not kept.
pub fn raw_code(connection: &Connection, sha256: &str) -> Result<Option<String>, Error> {
    let sql = "SELECT code FROM raw_code WHERE sha256 = ?1";
    Ok(connection.query_row(sql, [sha256], |row| row.get(0)).optional()?)
}
