//! Which nodes selectors mean.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde_json::Value;

use super::{Error, Reader};
use crate::catalog;
use crate::selection::{self, Budget, Over, Selector};

/// The nodes that `--select` and `--exclude` leave.
#[derive(Debug, Default, Clone)]
pub struct Chosen {
    nodes: HashSet<(i64, String)>,
    /// The parts of the selectors that match nothing in any environment.
    pub unmatched: BTreeSet<String>,
}

impl Chosen {
    /// As [`Reader::chosen`], within the time for reading.
    pub(super) fn load(
        reader: &Reader,
        environment_id: Option<i64>,
        select: &[String],
        exclude: &[String],
    ) -> Result<Option<Self>, Error> {
        if select.is_empty() && exclude.is_empty() {
            return Ok(None);
        }
        let parse = |texts: &[String]| selection::parse(texts).map_err(|error| Error::Malformed(error.to_string()));
        let selected = if select.is_empty() { None } else { Some(parse(select)?) };
        let excluded = parse(exclude)?;
        let needs = selected.as_ref().map(Selector::needs).unwrap_or_default().and(excluded.needs());
        let (mut chosen, budget) = (Self::default(), Budget::until(reader.deadline()));
        let mut unmatched: Option<BTreeSet<String>> = None;
        let environments = reader.environments()?.into_iter().map(|environment| environment.id);
        for id in environments.filter(|id| environment_id.is_none_or(|only| only == *id)) {
            let (project, ids) = catalog::selectable(&reader.connection, id, needs)?;
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

    /// The nodes of each environment that has any, their ids as a JSON list: for SQL.
    pub(super) fn by_environment(&self) -> BTreeMap<i64, String> {
        let mut ids: BTreeMap<i64, Vec<&str>> = BTreeMap::new();
        for (environment_id, id) in &self.nodes {
            ids.entry(*environment_id).or_default().push(id);
        }
        ids.into_iter().map(|(environment_id, ids)| (environment_id, Value::from(ids).to_string())).collect()
    }

    /// Adds those of another choice.
    pub fn extend(&mut self, other: Self) {
        self.nodes.extend(other.nodes);
        self.unmatched.retain(|part| other.unmatched.contains(part));
    }
}
