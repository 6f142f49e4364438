//! The descriptions that columns would inherit: a column that is handed on as it is, or under another name, means what it meant.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use super::NodeCoverage;
use crate::answers::{Error, Reader};

/// A description that a column without one would inherit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inherited {
    /// The text.
    pub description: String,
    /// The node that it is of.
    pub from_id: String,
    /// That node's column.
    pub from_column: String,
}

/// What columns without a description of their own would inherit, by their nodes' keys.
#[derive(Debug, Default)]
pub struct Inheritance(HashMap<i64, BTreeMap<String, Inherited>>);

impl Inheritance {
    /// What a column of `node` would inherit.
    pub fn of(&self, node: &NodeCoverage, column: &str) -> Option<&Inherited> {
        self.0.get(&node.node_key)?.get(column)
    }

    /// How many columns of `node` would inherit.
    pub fn count(&self, node: &NodeCoverage) -> u64 {
        self.0.get(&node.node_key).map_or(0, |columns| columns.len() as u64)
    }
}

type Place = (i64, String);

/// Each column that is handed on, with those that it comes from.
const HANDED_ON: &str = "
    SELECT child_key, child_column, parent_key, parent_column FROM column_origin WHERE kind IN ('passthrough', 'rename')
    ORDER BY child_key, child_column, parent_key, parent_column";

impl Reader {
    /// What the warehouse's columns without a description (or with a placeholder) would inherit: the description of the nearest column
    /// from which they come unchanged. Of several that are as near it is that of the node that the catalog has known longest.
    pub fn inheritance(&self) -> Result<Inheritance, Error> {
        let mut above: HashMap<Place, Vec<Place>> = HashMap::new();
        let mut statement = self.connection.prepare(HANDED_ON)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            above.entry((row.get(0)?, row.get(1)?)).or_default().push((row.get(2)?, row.get(3)?));
        }
        if above.is_empty() {
            return Ok(Inheritance::default());
        }
        let placeholders = self.placeholders()?;
        let sql = "SELECT node_key, name, description, coalesce(in_warehouse, 0) FROM node_column";
        let mut statement = self.connection.prepare(sql)?;
        let mut rows = statement.query([])?;
        let (mut described, mut lacking) = (HashMap::new(), Vec::new());
        while let Some(row) = rows.next()? {
            let place: Place = (row.get(0)?, row.get(1)?);
            match row.get::<_, Option<String>>(2)? {
                Some(text) if !placeholders.include(&text, Some(&place.1)) => {
                    described.insert(place, text);
                }
                _ if row.get(3)? => lacking.push(place),
                _ => {}
            }
        }
        let mut found = Inheritance::default();
        for place in lacking {
            if let Some(from) = nearest(&above, &described, &place) {
                let inherited = Inherited {
                    description: described[from].clone(),
                    from_id: self.id_of(from.0)?,
                    from_column: from.1.clone(),
                };
                found.0.entry(place.0).or_default().insert(place.1, inherited);
            }
        }
        Ok(found)
    }

    fn id_of(&self, key: i64) -> Result<String, Error> {
        let sql = "SELECT unique_id FROM node WHERE node_key = ?1";
        Ok(self.connection.prepare_cached(sql)?.query_row([key], |row| row.get(0))?)
    }
}

/// The nearest column above that is described.
fn nearest<'a>(
    above: &'a HashMap<Place, Vec<Place>>,
    described: &HashMap<Place, String>,
    start: &'a Place,
) -> Option<&'a Place> {
    let mut seen = HashSet::from([start]);
    let mut open = VecDeque::from([start]);
    while let Some(place) = open.pop_front() {
        for parent in above.get(place).into_iter().flatten() {
            if described.contains_key(parent) {
                return Some(parent);
            }
            if seen.insert(parent) {
                open.push_back(parent);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answers::coverage::tests::model;

    #[test]
    fn a_description_goes_down_what_is_handed_on_and_no_further() {
        let nodes = ["a", "b", "c", "d"].iter().zip(1..).map(|(name, key)| {
            format!(
                "INSERT INTO node (node_key, environment_id, unique_id, resource_type, properties, first_seen_at, last_changed_at)
                 VALUES ({key}, 1, 'model.shop.{name}', 'model', '{{}}', '', '');
                 INSERT INTO node_column (node_key, name, description, in_warehouse)
                 VALUES ({key}, 'id', iif({key} = 1, 'The key', NULL), 1);"
            )
        });
        // c takes b's as it is, which takes a's under another name; d computes.
        let ways =
            [(2, "id", 1, "id", "rename"), (3, "id", 2, "id", "passthrough"), (4, "id", 3, "id", "transformation")];
        let ways = ways.map(|(child, to, parent, from, kind)| {
            format!(
                "INSERT INTO column_origin (child_key, child_column, parent_key, parent_column, kind, is_listed)
                 VALUES ({child}, '{to}', {parent}, '{from}', '{kind}', 1);"
            )
        });
        let environment = "INSERT INTO environment (environment_id, name) VALUES (1, 'prod');".to_owned();
        let sql: String = std::iter::once(environment).chain(nodes).chain(ways).collect();
        let found = Reader::over(&sql).inheritance().expect("read");
        let of = |key: i64| {
            let node = NodeCoverage { node_key: key, ..model("x") };
            found.of(&node, "id").map(|it| format!("{} of {}.{}", it.description, it.from_id, it.from_column))
        };
        let of_a = Some("The key of model.shop.a.id".to_owned());
        assert_eq!([1, 2, 3, 4].map(of), [None, of_a.clone(), of_a, None]);
    }
}
