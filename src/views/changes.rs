//! What changed, from the view `changes`: the feed that a follower reads, and the history that people look at.

use rusqlite::{Connection, ToSql};

use super::{Error, Table, table};

/// Which changes are wanted.
#[derive(Debug, Clone, Default)]
pub struct ChangesFilter {
    /// Only of this environment.
    pub environment_id: Option<i64>,
    /// Only of this node.
    pub unique_id: Option<String>,
    /// Only of these kinds (`added`, `changed`, …); empty for all.
    pub kinds: Vec<String>,
    /// Only what came after this `seq`.
    pub after: Option<i64>,
    /// At most so many: the first ones after `after`, else the last ones there are.
    pub limit: Option<u32>,
}

/// The changes that `filter` asks for, by `seq`, and how many more it would have matched without its limit.
pub fn changes(connection: &Connection, filter: &ChangesFilter) -> Result<(Table, u64), Error> {
    let ChangesFilter { environment_id, unique_id, kinds, after, limit } = filter;
    let kinds = serde_json::Value::from(kinds.clone()).to_string();
    let matching = "FROM changes
         WHERE (?1 IS NULL OR environment_id = ?1) AND (?2 IS NULL OR unique_id = ?2)
         AND (?3 = '[]' OR kind IN (SELECT value FROM json_each(?3))) AND seq > coalesce(?4, 0)";
    let values: [&dyn ToSql; 4] = [environment_id, unique_id, &kinds, after];
    let total: i64 =
        connection.query_row(&format!("SELECT count(*) {matching}"), values.as_slice(), |row| row.get(0))?;
    let order = if after.is_some() { "ASC" } else { "DESC" };
    let limit = limit.map_or(-1, i64::from);
    let sql = format!("SELECT * FROM (SELECT * {matching} ORDER BY seq {order} LIMIT {limit}) ORDER BY seq");
    let found = table(connection, &sql, &values)?;
    let left_out = (total as u64).saturating_sub(found.rows.len() as u64);
    Ok((found, left_out))
}
