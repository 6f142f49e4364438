//! Which nodes a selector means.

use std::collections::HashSet;

use rusqlite::Connection;
use serde_json::Value;

use super::{Error, Table};

/// The nodes that `--select` and `--exclude` leave.
#[derive(Debug, Default)]
pub struct Chosen(HashSet<(i64, String)>);

impl Chosen {
    /// What the selectors mean in one environment, or in each if none is named. `None` if both lists are empty: then everything is
    /// meant.
    ///
    /// # Errors
    /// [`Error::Question`] if a selector can't be understood; the text points at the place.
    pub fn load(
        _connection: &Connection,
        _environment_id: Option<i64>,
        select: &[String],
        exclude: &[String],
    ) -> Result<Option<Self>, Error> {
        if select.is_empty() && exclude.is_empty() {
            return Ok(None);
        }
        Err(Error::Question("selection is not built yet".to_owned()))
    }

    /// True if the node was chosen.
    pub fn contains(&self, environment_id: i64, unique_id: &str) -> bool {
        self.0.contains(&(environment_id, unique_id.to_owned()))
    }

    /// The nodes as a JSON list of texts, each the environment's id, a blank and the node's id: for SQL.
    pub fn to_json(&self) -> String {
        self.0.iter().map(|(environment, id)| Value::from(format!("{environment} {id}"))).collect::<Value>().to_string()
    }

    /// Adds those of another choice.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Leaves those rows of a view that are of chosen nodes, by its columns `environment_id` and `unique_id`.
    pub fn keep(&self, table: &mut Table) {
        let place = |name: &str| table.columns.iter().position(|column| column == name);
        let (Some(environment), Some(id)) = (place("environment_id"), place("unique_id")) else { return };
        table.rows.retain(|row| match (&row[environment], &row[id]) {
            (Value::Number(environment), Value::String(id)) => {
                environment.as_i64().is_some_and(|environment| self.contains(environment, id))
            }
            _ => false,
        });
    }
}
