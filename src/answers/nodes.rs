//! Nodes: listing them, finding one by id or name, and what stands around it.

use rusqlite::{Connection, OptionalExtension, Row, ToSql};

use super::{Error, Table, table};

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

/// The view `nodes`, by environment and id, of one environment or all, of some resource types or (if none are named) all.
pub fn list(connection: &Connection, environment_id: Option<i64>, resource_types: &[String]) -> Result<Table, Error> {
    let resource_types = serde_json::Value::from(resource_types.to_vec()).to_string();
    let sql = "SELECT * FROM nodes WHERE (?1 IS NULL OR environment_id = ?1)
               AND (?2 = '[]' OR resource_type IN (SELECT value FROM json_each(?2)))
               ORDER BY environment_id, unique_id";
    table(connection, sql, &[&environment_id, &resource_types])
}

/// Finds the one node that `text` means: its unique_id, or a name that only one node has (a model wins over its tests' names).
///
/// # Errors
/// [`Error::Question`] if there is none (the text offers the nearest ids) or more than one (the text lists them).
pub fn find(connection: &Connection, environment_id: Option<i64>, text: &str) -> Result<Found, Error> {
    let by = |condition: &str| -> Result<Vec<Found>, Error> {
        let sql = format!(
            "SELECT n.environment_id, e.name, n.unique_id FROM nodes n JOIN environment e USING (environment_id)
             WHERE (?1 IS NULL OR n.environment_id = ?1) AND {condition} ORDER BY n.unique_id, e.name"
        );
        let mut statement = connection.prepare(&sql)?;
        let found =
            |row: &Row<'_>| Ok(Found { environment_id: row.get(0)?, environment: row.get(1)?, unique_id: row.get(2)? });
        let values: [&dyn ToSql; 2] = [&environment_id, &text];
        Ok(statement.query_map(values.as_slice(), found)?.collect::<Result<_, _>>()?)
    };
    for condition in ["n.unique_id = ?2", "n.name = ?2 AND n.resource_type NOT IN ('test', 'unit_test')", "n.name = ?2"]
    {
        let mut found = by(condition)?;
        match found.len() {
            0 => {}
            1 => return Ok(found.remove(0)),
            _ => return Err(Error::Question(ambiguous(text, &found))),
        }
    }
    Err(Error::Question(unknown(connection, environment_id, text)?))
}

fn ambiguous(text: &str, found: &[Found]) -> String {
    let first = &found[0].unique_id;
    if found.iter().all(|node| node.unique_id == *first) {
        let names: Vec<String> = found.iter().map(|node| format!("`{}`", node.environment)).collect();
        return format!("`{text}` is in several environments: add `--environment` with one of {}", names.join(", "));
    }
    let ids: Vec<String> = found.iter().map(|node| format!("  {} ({})", node.unique_id, node.environment)).collect();
    format!("`{text}` is the name of {} nodes: use the unique_id of one of\n{}", found.len(), ids.join("\n"))
}

fn unknown(connection: &Connection, environment_id: Option<i64>, text: &str) -> Result<String, Error> {
    let sql = "SELECT unique_id, coalesce(name, unique_id) FROM nodes
               WHERE (?1 IS NULL OR environment_id = ?1) AND resource_type NOT IN ('test', 'unit_test')";
    let mut statement = connection.prepare(sql)?;
    let names =
        statement.query_map([environment_id], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
    let mut near: Vec<(usize, String)> = Vec::new();
    for pair in names {
        let (id, name) = pair?;
        let distance = strsim::levenshtein(text, &name).min(strsim::levenshtein(text, &id));
        near.push((distance, id));
    }
    near.sort();
    let limit = (text.chars().count() / 2).max(2);
    let offers: Vec<String> = near
        .into_iter()
        .take_while(|(distance, _)| *distance <= limit)
        .take(5)
        .map(|(_, id)| format!("  {id}"))
        .collect();
    Ok(match offers.len() {
        0 => format!("no node has the id or name `{text}`: `lineaged search` looks for parts of names"),
        _ => format!("no node has the id or name `{text}`: the nearest are\n{}", offers.join("\n")),
    })
}

/// The view `nodes` of one node.
pub fn node(connection: &Connection, node: &Found) -> Result<Table, Error> {
    let sql = "SELECT * FROM nodes WHERE environment_id = ?1 AND unique_id = ?2";
    table(connection, sql, &[&node.environment_id, &node.unique_id])
}

/// The view `columns` of one node, by position.
pub fn columns_of(connection: &Connection, node: &Found) -> Result<Table, Error> {
    let sql = "SELECT * FROM columns WHERE environment_id = ?1 AND unique_id = ?2 ORDER BY position, name";
    table(connection, sql, &[&node.environment_id, &node.unique_id])
}

/// The parents, children and tests of a node: `relation` (parent, child, test), unique_id, resource_type, last_run_status.
pub fn neighbours(connection: &Connection, node: &Found) -> Result<Table, Error> {
    let sql = "SELECT around.relation, n.unique_id, n.resource_type, n.last_run_status
               FROM (SELECT 1 AS rank, 'parent' AS relation, parent_id AS id FROM edges
                     WHERE environment_id = ?1 AND child_id = ?2
                     UNION ALL
                     SELECT 2, 'child', child_id FROM edges WHERE environment_id = ?1 AND parent_id = ?2) around
               JOIN nodes n ON n.environment_id = ?1 AND n.unique_id = around.id
               WHERE around.relation = 'parent' OR n.resource_type NOT IN ('test', 'unit_test')
               UNION ALL
               SELECT 'test', unique_id, CASE test_type WHEN 'unit' THEN 'unit_test' ELSE 'test' END, status
               FROM tests WHERE environment_id = ?1 AND tested_id = ?2
               ORDER BY 1 DESC, 2";
    table(connection, sql, &[&node.environment_id, &node.unique_id])
}

/// The view `tests` of what tests the node, the worst first: unique_id, test_name, column_name (as `columns` has it, where it has
/// it), status, failures, message.
pub fn tests_of(connection: &Connection, node: &Found) -> Result<Table, Error> {
    let sql = "SELECT t.unique_id, t.test_name, coalesce(n.tested_column, t.column_name) AS column_name, t.status, t.failures,
                   t.message
               FROM tests t JOIN node n ON n.environment_id = t.environment_id AND n.unique_id = t.unique_id
               WHERE t.environment_id = ?1 AND t.tested_id = ?2
               ORDER BY CASE t.status WHEN 'error' THEN 0 WHEN 'fail' THEN 1 WHEN 'warn' THEN 2 WHEN 'pass' THEN 4 ELSE 3 END,
                   3, 2, 1";
    table(connection, sql, &[&node.environment_id, &node.unique_id])
}

/// The view `freshness` of one node; no row where it has none.
pub fn freshness_of(connection: &Connection, node: &Found) -> Result<Table, Error> {
    let sql = "SELECT * FROM freshness WHERE environment_id = ?1 AND unique_id = ?2";
    table(connection, sql, &[&node.environment_id, &node.unique_id])
}

/// The runs of the node that syncs have seen, the last first: run_id, status, completed_at, execution_seconds, failures, error.
pub fn runs_of(connection: &Connection, node: &Found) -> Result<Table, Error> {
    let sql = "SELECT run_id, status, completed_at, execution_seconds, failures, error FROM run_results
               WHERE environment_id = ?1 AND unique_id = ?2 ORDER BY completed_at DESC, run_id DESC";
    table(connection, sql, &[&node.environment_id, &node.unique_id])
}

/// The ids of the nodes in the group of this name.
pub fn members_of(connection: &Connection, environment_id: i64, group: &str) -> Result<Vec<String>, Error> {
    let sql = "SELECT unique_id FROM nodes WHERE environment_id = ?1 AND group_name = ?2 AND resource_type <> 'group'
               ORDER BY unique_id";
    let mut statement = connection.prepare(sql)?;
    Ok(statement.query_map((environment_id, group), |row| row.get(0))?.collect::<Result<_, _>>()?)
}

/// The raw and the compiled code of a node, as far as they are known.
pub fn code_of(connection: &Connection, node: &Found) -> Result<[Option<String>; 2], Error> {
    let sql = "SELECT raw_code, compiled_code FROM code WHERE environment_id = ?1 AND unique_id = ?2";
    let values = (node.environment_id, &node.unique_id);
    let code = connection.query_row(sql, values, |row| Ok([row.get(0)?, row.get(1)?])).optional()?;
    Ok(code.unwrap_or_default())
}
