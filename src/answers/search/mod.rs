//! Which nodes have the words that somebody searches for, best first, and where the words stand. The index is the table `search`,
//! which only its writer and this file know.

mod context;
mod words;

use std::time::Instant;

use rusqlite::Connection;
use serde_json::Value;

use self::words::Words;
use super::{Error, Table, table};

/// How much a word counts, by where it stands: name, columns, description, their descriptions, tags, meta, owner, path.
const WEIGHTS: &str = "10, 4, 3, 1, 3, 1, 2, 1";

/// What somebody searches for.
#[derive(Debug)]
pub struct Search(Words);

impl Search {
    /// Understands `text`: words (all must be found, each at the beginning of a word), `"a phrase"`, `col:`, `owner:`, `tag:` and
    /// `meta.KEY:VALUE`. No text is an error of syntax.
    ///
    /// # Errors
    /// [`Error::Malformed`] if there are too many words.
    pub fn of(text: &str) -> Result<Self, Error> {
        Words::of(text).map(Self)
    }

    /// The nodes that match, of one environment or all: environment_id, unique_id, resource_type, name, matched_fields, context,
    /// description. First those whose name it is (what the warehouse holds before metrics and the like), then those whose name
    /// begins so (the shortest first), then by how much the words count where they stand; tests come last. `matched_fields` and
    /// `context` are NULL until [`Search::explain`] fills them. Given up at `deadline`.
    pub fn hits(
        &self,
        connection: &Connection,
        environment_id: Option<i64>,
        deadline: Option<Instant>,
    ) -> Result<Table, Error> {
        let Words { expression, free, meta, plain: _ } = &self.0;
        // An expression that is empty would be an error; a search for nothing finds nothing.
        let sql = format!(
            "WITH hit AS MATERIALIZED (
                 SELECT rowid AS node_key, bm25(search, {WEIGHTS}) AS score FROM search
                 WHERE ?1 <> '' AND search MATCH nullif(?1, '')
             )
             SELECT n.environment_id, n.unique_id, n.resource_type, n.name, NULL AS matched_fields, NULL AS context,
                 n.description
             FROM hit JOIN node k ON k.node_key = hit.node_key
             JOIN nodes n ON n.environment_id = k.environment_id AND n.unique_id = k.unique_id
             WHERE ?2 IS NULL OR n.environment_id = ?2
             ORDER BY CASE
                 WHEN lower(?3) IN (lower(n.name), lower(n.unique_id), lower(n.identifier)) THEN (n.is_applied IS NULL) / 2.0
                 WHEN n.resource_type IN ('test', 'unit_test') THEN 1e9
                 WHEN ?3 <> '' AND lower(substr(n.name, 1, length(?3))) = lower(?3) THEN length(n.name)
                 ELSE 1e8 END,
                 hit.score, n.unique_id, n.environment_id"
        );
        let mut found = table(connection, &sql, &[expression, &environment_id, free])?;
        if !meta.is_empty() {
            let mut kept = Vec::new();
            for row in found.rows {
                if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                    return Err(Error::TookTooLong("looking into `meta` took too long: add words".to_owned()));
                }
                if has_meta(connection, &row, meta)? {
                    kept.push(row);
                }
            }
            found.rows = kept;
        }
        Ok(found)
    }

    /// Tells of each hit where the words stand: fills `matched_fields` and `context`, where they are put between « and ».
    pub fn explain(&self, connection: &Connection, hits: &mut Table) -> Result<(), Error> {
        context::fill(connection, &self.0, hits)
    }

    /// The ids of at most five nodes that have, somewhere in their name, nearly what was searched for. Tests are left out.
    pub fn nearest(&self, connection: &Connection, environment_id: Option<i64>) -> Result<Vec<String>, Error> {
        // Comparing costs the product of the lengths: nobody's slip of the pen is this long.
        let wanted: String = self.0.free.to_lowercase().replace(' ', "_").chars().take(100).collect();
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let sql = "SELECT DISTINCT unique_id, name FROM nodes
                   WHERE (?1 IS NULL OR environment_id = ?1) AND resource_type NOT IN ('test', 'unit_test')
                   AND name IS NOT NULL";
        let names = table(connection, sql, &[&environment_id])?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut near: Vec<(usize, String)> =
            names.rows.iter().map(|row| (distance(&wanted, &text(&row[1])), text(&row[0]))).collect();
        near.sort();
        let limit = wanted.chars().count().div_ceil(4);
        Ok(near.into_iter().take_while(|(distance, _)| *distance <= limit).take(5).map(|(_, id)| id).collect())
    }

    /// True if there is no word to search for.
    pub fn is_empty(&self) -> bool {
        self.0.expression.is_empty()
    }
}

/// How far `wanted` is from that part of the name, from the beginning of a word on, which comes nearest.
fn distance(wanted: &str, name: &str) -> usize {
    let (length, name) = (wanted.chars().count(), name.to_lowercase().chars().collect::<Vec<_>>());
    let begins = |n: &usize| name[*n].is_alphanumeric() && (*n == 0 || !name[*n - 1].is_alphanumeric());
    let part = |n: usize| name[n..].iter().take(length).collect::<String>();
    let distances = (0..name.len()).filter(begins).map(|n| strsim::levenshtein(wanted, &part(n)));
    distances.min().unwrap_or(usize::MAX)
}

/// Whether the meta of the node, or of one of its columns, has all those keys with such values. The index knows only that the words
/// are somewhere in it.
fn has_meta(connection: &Connection, row: &[Value], wanted: &[(String, String)]) -> Result<bool, Error> {
    let sql = "SELECT meta FROM nodes WHERE environment_id = ?1 AND unique_id = ?2
               UNION ALL SELECT meta FROM columns WHERE environment_id = ?1 AND unique_id = ?2";
    let (environment_id, unique_id) = (row[0].as_i64(), row[1].as_str());
    let maps = table(connection, sql, &[&environment_id, &unique_id])?;
    let maps: Vec<Value> = maps.rows.iter().filter_map(|row| serde_json::from_str(row[0].as_str()?).ok()).collect();
    Ok(wanted.iter().all(|(key, value)| maps.iter().any(|map| has_key(map, key, value))))
}

/// Whether `key` (a dot leads into a map) is in the map, with a value that contains `wanted`, without case.
fn has_key(map: &Value, key: &str, wanted: &str) -> bool {
    let Value::Object(map) = map else { return false };
    map.iter().any(|(name, value)| {
        let name = name.to_lowercase();
        let inside = key.strip_prefix(&name).and_then(|rest| rest.strip_prefix('.'));
        name == key && contains(value, wanted) || inside.is_some_and(|key| has_key(value, key, wanted))
    })
}

fn contains(value: &Value, wanted: &str) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => text.to_lowercase().contains(wanted),
        Value::Array(list) => list.iter().any(|value| contains(value, wanted)),
        Value::Object(map) => map.values().any(|value| contains(value, wanted)),
        other => other.to_string().contains(wanted),
    }
}

#[cfg(test)]
mod tests;
