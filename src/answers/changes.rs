//! What changed, and what may break by it: beside the view `changes`, which is the feed that a follower reads, and the history that
//! people look at.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use rusqlite::OptionalExtension;
use serde::{Serialize, Serializer};

use super::{Error, Question, Reader, Row, Table};

/// What changed. Written as JSON it is rows of the view `changes`.
#[derive(Debug)]
pub struct Changes {
    /// The rows, by `seq`.
    pub rows: Table,
    /// How many more there are beyond the limit.
    pub left_out: usize,
}

impl Serialize for Changes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.rows.serialize(serializer)
    }
}

/// A column that is gone or has another type, so that whoever reads it may fail.
#[derive(Debug)]
pub struct Breaking<'a> {
    /// The change.
    pub row: Row<'a>,
    /// What stands on the column's node.
    pub consumers: Consumers,
}

/// True if raw code changed.
pub fn is_of_code(row: Row<'_>) -> bool {
    row.str("kind") == "changed" && row.str("field") == "raw_code"
}

fn may_break(row: &Row<'_>) -> bool {
    row.str("kind") == "column_removed" || row.str("kind") == "column_changed" && row.str("field") == "data_type"
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

impl Reader {
    /// The changes that `question` asks for.
    pub fn changes(&self, question: &Question) -> Result<Changes, Error> {
        let rows = self.rows("changes", question)?;
        let left_out = self.count("changes", question)?.saturating_sub(rows.rows.len());
        Ok(Changes { rows, left_out })
    }

    /// What may break by these changes, with what stands on it: of nodes on which something stands.
    pub fn breaking<'a>(&self, changes: &'a Table) -> Result<Vec<Breaking<'a>>, Error> {
        let mut known: BTreeMap<(i64, &str), Option<Consumers>> = BTreeMap::new();
        let mut found = Vec::new();
        for row in changes.iter().filter(may_break) {
            let (environment, id) = (row.int("environment_id").unwrap_or_default(), row.str("unique_id"));
            let consumers = match known.entry((environment, id)) {
                Entry::Occupied(entry) => entry.into_mut(),
                Entry::Vacant(entry) => entry.insert(self.consumers(environment, id)?),
            };
            found.extend(consumers.clone().map(|consumers| Breaking { row, consumers }));
        }
        Ok(found)
    }

    /// What stands on a node now; `None` if nothing does.
    fn consumers(&self, environment_id: i64, unique_id: &str) -> Result<Option<Consumers>, Error> {
        let below = serde_json::json!(self.walk(environment_id, unique_id, 1)?).to_string();
        let sql = "WITH below AS (SELECT node.* FROM json_each(?1) walked CROSS JOIN node ON node_key = walked.value ->> 0)
               SELECT (SELECT count(*) FROM below),
                   (SELECT json_group_array(name) FROM (
                       SELECT DISTINCT coalesce(name, unique_id) AS name FROM below WHERE resource_type = 'exposure' ORDER BY 1)),
                   (SELECT json_group_array(owner_name) FROM (
                       SELECT DISTINCT owner_name FROM below WHERE owner_name IS NOT NULL ORDER BY 1))";
        let list = |text: String| serde_json::from_str::<Vec<String>>(&text).unwrap_or_default();
        let consumers = |row: &rusqlite::Row<'_>| {
            Ok(Consumers { nodes: row.get(0)?, exposures: list(row.get(1)?), owners: list(row.get(2)?) })
        };
        let found = self.connection.query_row(sql, [below], consumers)?;
        Ok((found.nodes > 0).then_some(found))
    }

    /// Raw code by its hash, as `changes` names it; `None` if it is not kept.
    pub fn raw_code(&self, sha256: &str) -> Result<Option<String>, Error> {
        let sql = "SELECT code FROM raw_code WHERE sha256 = ?1";
        Ok(self.connection.query_row(sql, [sha256], |row| row.get(0)).optional()?)
    }
}
