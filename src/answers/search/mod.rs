//! Which nodes have the words that somebody searches for, best first, and where the words stand. The index is the table `search`,
//! which only its writer and this file know.

mod context;
mod words;

use rusqlite::{Row, params};
use serde::Serialize;
use serde_json::Value;

use self::words::Words;
use super::{Chosen, Error, Reader};

/// How much a word counts, by where it stands: name, columns, description, their descriptions, tags, meta, owner, path,
/// dimensions.
const WEIGHTS: &str = "10, 4, 3, 1, 3, 1, 2, 1, 4";

/// What somebody searches for.
#[derive(Debug)]
pub struct Search(Words);

/// A node that matches.
#[derive(Debug, Default, Serialize)]
pub struct Hit {
    /// Its environment's id.
    pub environment_id: i64,
    /// Its id.
    pub unique_id: String,
    /// Its type.
    pub resource_type: String,
    /// Its name.
    pub name: Option<String>,
    /// Where the words stand.
    pub matched_fields: String,
    /// What stands there, the words between « and ».
    pub context: String,
    /// Its description.
    pub description: Option<String>,
}

/// What was found, the best first.
#[derive(Debug, Serialize)]
pub struct Hits {
    /// The nodes.
    pub hits: Vec<Hit>,
    /// How many more there are.
    pub left_out: usize,
}

impl Search {
    /// Understands `text`: words (all must be found, each at the beginning of a word), `"a phrase"`, `col:`, `owner:`, `tag:` and
    /// `meta.KEY:VALUE`. No text is an error of syntax.
    ///
    /// # Errors
    /// [`Error::Malformed`] if there are too many words.
    pub fn of(text: &str) -> Result<Self, Error> {
        Words::of(text).map(Self)
    }

    /// True if there is no word to search for.
    pub fn is_empty(&self) -> bool {
        self.0.expression.is_empty()
    }
}

impl Reader {
    /// The nodes that match, of one environment or all, of those that are chosen. First those whose name it is (what the warehouse
    /// holds before metrics and the like), then those whose name begins so (the shortest first), then by how much the words count
    /// where they stand; tests come last.
    pub fn search(
        &self,
        search: &Search,
        environment_id: Option<i64>,
        chosen: Option<&Chosen>,
        limit: usize,
    ) -> Result<Hits, Error> {
        let mut hits = self.hits(&search.0, environment_id)?;
        hits.retain(|hit| chosen.is_none_or(|chosen| chosen.contains(hit.environment_id, &hit.unique_id)));
        let left_out = hits.len().saturating_sub(limit);
        hits.truncate(limit);
        context::fill(self, &search.0, &mut hits)?;
        Ok(Hits { hits, left_out })
    }

    fn hits(&self, words: &Words, environment_id: Option<i64>) -> Result<Vec<Hit>, Error> {
        let Words { expression, free, meta, plain: _ } = words;
        // An expression that is empty would be an error; a search for nothing finds nothing.
        let sql = format!(
            "WITH hit AS MATERIALIZED (
                 SELECT rowid AS node_key, bm25(search, {WEIGHTS}) AS score FROM search
                 WHERE ?1 <> '' AND search MATCH nullif(?1, '')
             )
             SELECT n.environment_id, n.unique_id, n.resource_type, n.name, n.description
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
        let mut statement = self.connection.prepare(&sql)?;
        let hit = |row: &Row<'_>| {
            Ok(Hit {
                environment_id: row.get(0)?,
                unique_id: row.get(1)?,
                resource_type: row.get(2)?,
                name: row.get(3)?,
                matched_fields: String::new(),
                context: String::new(),
                description: row.get(4)?,
            })
        };
        let found = statement.query_map(params![expression, environment_id, free], hit)?;
        let mut hits = Vec::new();
        for hit in found {
            let hit = hit?;
            if meta.is_empty() || self.has_meta(&hit, meta)? {
                hits.push(hit);
            }
        }
        Ok(hits)
    }

    /// Whether the meta of the node, or of one of its columns, has all those keys with such values. The index knows only that the
    /// words are somewhere in it.
    fn has_meta(&self, hit: &Hit, wanted: &[(String, String)]) -> Result<bool, Error> {
        self.in_time("looking into `meta`")?;
        let sql = "SELECT meta FROM nodes WHERE environment_id = ?1 AND unique_id = ?2
                   UNION ALL SELECT meta FROM columns WHERE environment_id = ?1 AND unique_id = ?2";
        let mut statement = self.connection.prepare_cached(sql)?;
        let maps = statement.query_map((hit.environment_id, &hit.unique_id), |row| row.get::<_, Option<String>>(0))?;
        let maps = maps.collect::<Result<Vec<_>, _>>()?;
        let maps: Vec<Value> = maps.iter().flatten().filter_map(|text| serde_json::from_str(text).ok()).collect();
        Ok(wanted.iter().all(|(key, value)| maps.iter().any(|map| has_key(map, key, value))))
    }

    /// The ids of at most five nodes that have, somewhere in their name, nearly what was searched for. Tests are left out.
    pub fn nearly(&self, search: &Search, environment_id: Option<i64>) -> Result<Vec<String>, Error> {
        // Comparing costs the product of the lengths: nobody's slip of the pen is this long.
        let wanted: String = search.0.free.to_lowercase().replace(' ', "_").chars().take(100).collect();
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let sql = "SELECT DISTINCT unique_id, name FROM nodes
                   WHERE (?1 IS NULL OR environment_id = ?1) AND resource_type NOT IN ('test', 'unit_test')
                   AND name IS NOT NULL";
        let mut statement = self.connection.prepare(sql)?;
        let near = |row: &Row<'_>| Ok((distance(&wanted, &row.get::<_, String>(1)?), row.get::<_, String>(0)?));
        let mut near = statement.query_map([environment_id], near)?.collect::<Result<Vec<_>, _>>()?;
        near.sort();
        let limit = wanted.chars().count().div_ceil(4);
        Ok(near.into_iter().take_while(|(distance, _)| *distance <= limit).take(5).map(|(_, id)| id).collect())
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
