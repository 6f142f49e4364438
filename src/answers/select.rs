//! Which nodes selectors mean.

use std::collections::{BTreeSet, HashSet};
use std::time::Instant;

use rusqlite::Connection;
use serde_json::Value;

use super::{Environment, Error, Table};
use crate::catalog;
use crate::selection::{self, Budget, Over, Selector};

/// The nodes that `--select` and `--exclude` leave.
#[derive(Debug, Default)]
pub struct Chosen {
    nodes: HashSet<(i64, String)>,
    /// The parts of the selectors that match nothing in any environment.
    pub unmatched: BTreeSet<String>,
}

impl Chosen {
    /// What the selectors mean in one environment, or in each if none is named. `None` if both lists are empty: then everything is
    /// meant. Groups and external nodes are never chosen.
    ///
    /// # Errors
    /// [`Error::Malformed`] if a selector can't be understood; the text points at the place.
    pub fn load(
        connection: &Connection,
        environment_id: Option<i64>,
        select: &[String],
        exclude: &[String],
    ) -> Result<Option<Self>, Error> {
        Self::load_until(connection, environment_id, select, exclude, None)
    }

    /// The same, given up at `deadline`.
    ///
    /// # Errors
    /// [`Error::TookTooLong`] then, else as [`Chosen::load`].
    pub fn load_until(
        connection: &Connection,
        environment_id: Option<i64>,
        select: &[String],
        exclude: &[String],
        deadline: Option<Instant>,
    ) -> Result<Option<Self>, Error> {
        if select.is_empty() && exclude.is_empty() {
            return Ok(None);
        }
        let parse = |texts: &[String]| selection::parse(texts).map_err(|error| Error::Malformed(error.to_string()));
        let selected = if select.is_empty() { None } else { Some(parse(select)?) };
        let excluded = parse(exclude)?;
        let with_config = selected.as_ref().is_some_and(Selector::needs_config) || excluded.needs_config();
        let (mut chosen, budget) = (Self::default(), Budget::until(deadline));
        let mut unmatched: Option<BTreeSet<String>> = None;
        let environments = Environment::all(connection)?.into_iter().map(|environment| environment.id);
        for id in environments.filter(|id| environment_id.is_none_or(|only| only == *id)) {
            let (project, ids) = catalog::selectable(connection, id, with_config)?;
            let found =
                selection::select(&project, selected.as_ref(), &excluded, &budget).map_err(|over| match over {
                    Over::Steps => Error::Malformed(over.to_string()),
                    Over::Time => Error::TookTooLong(over.to_string()),
                })?;
            chosen.nodes.extend(found.nodes.iter().map(|place| (id, ids[*place].clone())));
            let here: BTreeSet<String> = found.unmatched.into_iter().collect();
            unmatched = Some(unmatched.map_or_else(|| here.clone(), |before| &before & &here));
        }
        chosen.unmatched = unmatched.unwrap_or_default();
        Ok(Some(chosen))
    }

    /// True if the node was chosen.
    pub fn contains(&self, environment_id: i64, unique_id: &str) -> bool {
        self.nodes.contains(&(environment_id, unique_id.to_owned()))
    }

    /// The nodes as a JSON list of texts, each the environment's id, a blank and the node's id: for SQL.
    pub fn to_json(&self) -> String {
        self.nodes
            .iter()
            .map(|(environment, id)| Value::from(format!("{environment} {id}")))
            .collect::<Value>()
            .to_string()
    }

    /// Adds those of another choice.
    pub fn extend(&mut self, other: Self) {
        self.nodes.extend(other.nodes);
        self.unmatched.retain(|part| other.unmatched.contains(part));
    }

    /// Leaves those rows of a view that are of chosen nodes, by its columns `environment_id` and `unique_id`.
    pub fn keep(&self, table: &mut Table) {
        let place = |name: &str| table.columns.iter().position(|column| column == name);
        let (Some(environment), Some(id)) = (place("environment_id"), place("unique_id")) else { return };
        table.rows.retain(|row| match (row[environment].as_i64(), row[id].as_str()) {
            (Some(environment), Some(id)) => self.contains(environment, id),
            _ => false,
        });
    }
}
