//! Which node is meant: by its id, or by a name that is unique; and if there is none, what comes near.

use rusqlite::{Row, ToSql};

use super::{Error, Reader};

/// How many ids are offered for one that does not exist.
const OFFERS: usize = 5;

/// Nobody's slip of the pen is longer, and comparing costs the product of the lengths.
const COMPARED: usize = 300;

/// A node that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its environment's id.
    pub environment_id: i64,
    /// Its environment's name.
    pub environment: String,
    /// Its id.
    pub unique_id: String,
}

impl Reader {
    /// Finds the one node that `text` means: its unique_id, or a name that only one node has (a model wins over its tests' names), as
    /// dbt writes it: `NAME.vVERSION` of a model, `SOURCE.TABLE` of a source.
    ///
    /// # Errors
    /// [`Error::Unknown`] if there is none, [`Error::Several`] if there are more.
    pub fn find(&self, environment_id: Option<i64>, text: &str) -> Result<Found, Error> {
        match self.present(environment_id, text)? {
            Some(found) => Ok(found),
            None => self.unknown(environment_id, text),
        }
    }

    fn present(&self, environment_id: Option<i64>, text: &str) -> Result<Option<Found>, Error> {
        let mut conditions =
            vec!["n.unique_id = ?2", "n.name = ?2 AND n.resource_type NOT IN ('test', 'unit_test')", "n.name = ?2"];
        if text.contains(".v") {
            conditions.push("n.version IS NOT NULL AND n.name || '.v' || n.version = ?2");
        }
        if text.contains('.') {
            conditions.push("n.resource_type = 'source' AND n.properties ->> 'source_name' || '.' || n.name = ?2");
        }
        for condition in conditions {
            if let Some(found) = self.one(environment_id, text, condition)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Finds the node that has this id; else as [`Reader::find`].
    pub fn find_by_id(&self, environment_id: Option<i64>, unique_id: &str) -> Result<Found, Error> {
        match self.one(environment_id, unique_id, "n.unique_id = ?2")? {
            Some(found) => Ok(found),
            None => self.unknown(environment_id, unique_id),
        }
    }

    fn one(&self, environment_id: Option<i64>, text: &str, condition: &str) -> Result<Option<Found>, Error> {
        let sql = format!(
            "SELECT n.environment_id, e.name, n.unique_id FROM nodes n JOIN environment e USING (environment_id)
             WHERE n.environment_id IN (SELECT environment_id FROM environment WHERE ?1 IS NULL OR environment_id = ?1)
             AND {condition} ORDER BY n.unique_id, e.name"
        );
        let mut statement = self.connection.prepare(&sql)?;
        let found =
            |row: &Row<'_>| Ok(Found { environment_id: row.get(0)?, environment: row.get(1)?, unique_id: row.get(2)? });
        let values: [&dyn ToSql; 2] = [&environment_id, &text];
        let mut found = statement.query_map(values.as_slice(), found)?.collect::<Result<Vec<_>, _>>()?;
        match found.len() {
            0 | 1 => Ok(found.pop()),
            _ => Err(Error::Several { text: text.to_owned(), found }),
        }
    }

    pub(super) fn unknown(&self, environment_id: Option<i64>, text: &str) -> Result<Found, Error> {
        let removed_at = self.past(environment_id, text)?.map(|(_, removed_at)| removed_at);
        let nearest = if removed_at.is_some() { Vec::new() } else { self.nearest(environment_id, text)? };
        Err(Error::Unknown { text: text.to_owned(), removed_at, nearest })
    }

    /// The same as [`Reader::find`], also of a node that was removed.
    pub fn find_ever(&self, environment_id: Option<i64>, text: &str) -> Result<Found, Error> {
        match self.ever(environment_id, text)? {
            Some(found) => Ok(found),
            None => self.unknown(environment_id, text),
        }
    }

    /// The same; `None` where there is none, without looking for what comes near.
    pub(super) fn ever(&self, environment_id: Option<i64>, text: &str) -> Result<Option<Found>, Error> {
        match self.present(environment_id, text)? {
            Some(found) => Ok(Some(found)),
            None => Ok(self.past(environment_id, text)?.map(|(found, _)| found)),
        }
    }

    /// The only node of this id, or else name, that was removed, and when.
    fn past(&self, environment_id: Option<i64>, text: &str) -> Result<Option<(Found, String)>, Error> {
        let sql = "SELECT r.environment_id, e.name, r.unique_id, r.removed_at FROM removed_nodes r JOIN environment e USING (environment_id)
                   WHERE (?1 IS NULL OR r.environment_id = ?1) AND (r.unique_id = ?2 OR r.name = ?2)
                   ORDER BY r.unique_id <> ?2, r.unique_id LIMIT 2";
        let mut statement = self.connection.prepare(sql)?;
        let past = |row: &Row<'_>| {
            let found = Found { environment_id: row.get(0)?, environment: row.get(1)?, unique_id: row.get(2)? };
            Ok((found, row.get(3)?))
        };
        let mut found = statement.query_map((environment_id, text), past)?.collect::<Result<Vec<_>, _>>()?;
        let is_clear = found.len() == 1 || found.first().is_some_and(|(node, _)| node.unique_id == text);
        Ok((is_clear && !found.is_empty()).then(|| found.swap_remove(0)))
    }

    /// The ids of the nodes whose id or name comes nearest to `text`. Tests are left out.
    fn nearest(&self, environment_id: Option<i64>, text: &str) -> Result<Vec<String>, Error> {
        let wanted: String = text.chars().take(COMPARED).collect();
        let length = wanted.chars().count();
        let limit = (length / 2).max(2);
        let distance = |name: &str| match name.chars().count().abs_diff(length) <= limit {
            true => strsim::levenshtein(&wanted, name),
            false => usize::MAX,
        };
        let sql = "SELECT DISTINCT unique_id, coalesce(name, unique_id) FROM nodes
                   WHERE (?1 IS NULL OR environment_id = ?1) AND resource_type NOT IN ('test', 'unit_test')";
        let mut statement = self.connection.prepare(sql)?;
        let mut rows = statement.query([environment_id])?;
        let mut near: Vec<(usize, String)> = Vec::new();
        while let Some(row) = rows.next()? {
            self.in_time("looking for ids that come near")?;
            let (id, name): (String, String) = (row.get(0)?, row.get(1)?);
            let distance = distance(&id).min(distance(&name));
            if distance <= limit {
                near.push((distance, id));
            }
        }
        near.sort();
        near.dedup();
        Ok(near.into_iter().take(OFFERS).map(|(_, id)| id).collect())
    }
}

/// Why there is no such node, and what to write instead.
pub(super) fn told_unknown(text: &str, removed_at: Option<&str>, nearest: &[String]) -> String {
    if let Some(time) = removed_at {
        return format!(
            "`{text}` was removed at {time}: `lineaged changes --node {text}` tells of it, `--as-of` shows it as it was"
        );
    }
    let offers: Vec<String> = nearest.iter().map(|id| format!("  {id}")).collect();
    match offers.len() {
        0 => format!("no node has the id or name `{text}`: `lineaged search` looks for parts of names"),
        _ => format!("no node has the id or name `{text}`: the nearest are\n{}", offers.join("\n")),
    }
}

/// Which nodes there are, and how to choose one.
pub(super) fn told_several(text: &str, found: &[Found]) -> String {
    if found.windows(2).all(|pair| pair[0].unique_id == pair[1].unique_id) {
        let names: Vec<String> = found.iter().map(|node| format!("`{}`", node.environment)).collect();
        return format!("`{text}` is in several environments: add `--environment` with one of {}", names.join(", "));
    }
    let ids: Vec<String> = found.iter().map(|node| format!("  {} ({})", node.unique_id, node.environment)).collect();
    format!("`{text}` is the name of {} nodes: use the unique_id of one of\n{}", found.len(), ids.join("\n"))
}
