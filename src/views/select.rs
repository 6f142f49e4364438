//! Which nodes selectors mean: what selection needs, read from the views.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Instant;

use rusqlite::{Connection, Row};
use serde_json::Value;

use super::{Environment, Error, Table};
use crate::selection::{self, Budget, Candidate, Over, Project, Selector};

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
            let (project, ids) = load(connection, id, with_config)?;
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

/// What can be selected in an environment, and the ids of those nodes.
fn load(connection: &Connection, environment_id: i64, with_config: bool) -> Result<(Project, Vec<String>), Error> {
    // The platform has no configuration of seeds and sources; but whatever it knows is enabled, and is built in a known way. What would
    // be in a configuration beside that stands in meta and tags.
    let config = match with_config {
        true => {
            "json_patch(
                 json_object('meta', json(coalesce(meta, '{}')), 'tags', json(coalesce(tags, '[]'))),
                 coalesce(json_extract(properties, '$.config'), CASE
                     WHEN resource_type IN ('model', 'seed', 'snapshot', 'source', 'test')
                     THEN json_object('materialized', materialization, 'enabled', json('true')) END, '{}'))"
        }
        false => "NULL",
    };
    let sql = format!(
        "SELECT unique_id, resource_type, coalesce(name, ''), coalesce(package_name, ''), coalesce(file_path, ''),
             json_extract(properties, '$.patch_path'), fqn, tags, access,
             coalesce(json_extract(properties, '$.config.group'), group_name), version, latest_version,
             json_extract(properties, '$.source_name'), json_extract(properties, '$.test_metadata.name'),
             json_extract(properties, '$.test_type'), {config}
         FROM nodes WHERE environment_id = ?1 AND resource_type <> 'group' ORDER BY unique_id"
    );
    let (mut project, mut ids, mut places) = (Project::default(), Vec::new(), HashMap::new());
    let sql_name = "SELECT project_name FROM environments WHERE environment_id = ?1";
    project.name = connection.query_row(sql_name, [environment_id], |row| row.get(0))?;
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query([environment_id])?;
    while let Some(row) = rows.next()? {
        let id: String = row.get(0)?;
        let Some(candidate) = candidate(row)? else { continue };
        places.insert(id.clone(), ids.len());
        ids.push(id);
        project.nodes.push(candidate);
    }
    project.parents = vec![Vec::new(); ids.len()];
    project.children = vec![Vec::new(); ids.len()];
    let mut statement = connection.prepare("SELECT parent_id, child_id FROM edges WHERE environment_id = ?1")?;
    let mut rows = statement.query([environment_id])?;
    while let Some(row) = rows.next()? {
        let place = |column: usize| Ok::<_, rusqlite::Error>(places.get(row.get_ref(column)?.as_str()?).copied());
        if let (Some(parent), Some(child)) = (place(0)?, place(1)?) {
            project.parents[child].push(parent);
            project.children[parent].push(child);
        }
    }
    Ok((project, ids))
}

/// `None` for a resource type that this program does not know, which only a newer one can have written.
fn candidate(row: &Row<'_>) -> rusqlite::Result<Option<Candidate>> {
    let list = |column: usize| -> rusqlite::Result<Vec<String>> {
        let text: Option<String> = row.get(column)?;
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default())
    };
    let Ok(resource_type) = row.get_ref(1)?.as_str()?.parse() else { return Ok(None) };
    let patch: Option<String> = row.get(5)?;
    let config: Option<String> = row.get(15)?;
    Ok(Some(Candidate {
        resource_type,
        name: row.get(2)?,
        package_name: row.get(3)?,
        file_path: row.get(4)?,
        // `package://folder/file.yml`
        patch_path: patch.map(|path| path.split_once("://").map_or(path.clone(), |(_, path)| path.to_owned())),
        fqn: list(6)?,
        tags: list(7)?,
        access: row.get(8)?,
        group: row.get(9)?,
        version: row.get(10)?,
        latest_version: row.get(11)?,
        source_name: row.get(12)?,
        test_name: row.get(13)?,
        test_type: row.get(14)?,
        config: config.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default(),
    }))
}
