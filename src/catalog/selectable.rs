//! Reads what selection knows of the nodes: for the settings that choose nodes, and for whoever asks with selectors.

use std::collections::HashMap;

use rusqlite::{Connection, Row};

use crate::selection::{Candidate, Needs, Project};

/// Whether the last check of a source saw newer data than the one before, or is the first that saw any, as dbt has it. One that saw no data is
/// not fresher; one that failed has no time, and is passed over. These are the rows of the view `freshness_results`, found by their keys:
/// through the view all checks there are would be read for each source. Where older ones were forgotten, an old one is not the first.
const IS_FRESHER: &str = "CASE WHEN resource_type = 'source' THEN
    checked_at IS NOT NULL AND max_loaded_at IS NOT NULL AND coalesce((
        SELECT ifnull(p.max_loaded_at < node.max_loaded_at, 1) FROM (
            SELECT * FROM (
                SELECT f.checked_at, f.max_loaded_at, f.sync_id FROM freshness_result f
                WHERE f.node_key = node.node_key AND f.checked_at < node.checked_at
                ORDER BY f.checked_at DESC, f.sync_id DESC LIMIT 1)
            UNION ALL
            SELECT * FROM (
                SELECT t.checked_at, t.max_loaded_at, 0 FROM told_check t
                WHERE t.node_key = node.node_key AND t.checked_at < node.checked_at
                ORDER BY t.checked_at DESC LIMIT 1)
        ) p ORDER BY p.checked_at DESC, p.sync_id DESC LIMIT 1), checked_at > coalesce((SELECT pruned_at FROM horizon), ''))
    END";

/// What can be selected in an environment, and the ids of those nodes. Of their properties only what is needed is there.
///
/// # Errors
/// If SQLite refuses.
pub fn selectable(
    connection: &Connection,
    environment_id: i64,
    needs: Needs,
) -> rusqlite::Result<(Project, Vec<String>)> {
    // The platform has no configuration of seeds and sources; but whatever it knows is enabled, and is built in a known way. What would
    // be in a configuration beside that stands in meta and tags.
    let config = "json_patch(
        json_object('meta', json(coalesce(meta, '{}')), 'tags', json(coalesce(tags, '[]'))),
        coalesce(json_extract(properties, '$.config'), CASE
            WHEN resource_type IN ('model', 'seed', 'snapshot', 'source', 'test')
            THEN json_object('materialized', materialization, 'enabled', json('true')) END, '{}'))";
    let group = "coalesce(json_extract(properties, '$.config.group'), group_name)";
    let [patch_path, group, source_name, test_name, test_type, config, last_run_status, is_fresher] = [
        (needs.patch_path, "json_extract(properties, '$.patch_path')"),
        (needs.group, group),
        (needs.source_name, "CASE resource_type WHEN 'source' THEN json_extract(properties, '$.source_name') END"),
        (needs.test, "CASE resource_type WHEN 'test' THEN json_extract(properties, '$.test_metadata.name') END"),
        (needs.test, "CASE resource_type WHEN 'test' THEN json_extract(properties, '$.test_type') END"),
        (needs.config, config),
        (needs.last_run_status, "last_run_status"),
        (needs.is_fresher, IS_FRESHER),
    ]
    .map(|(is_needed, sql)| if is_needed { sql } else { "NULL" });
    let sql = format!(
        "SELECT unique_id, resource_type, coalesce(name, ''), coalesce(package_name, ''), coalesce(file_path, ''),
             {patch_path}, fqn, tags, access, {group}, version, latest_version, {source_name}, {test_name}, {test_type}, {config},
             {last_run_status}, {is_fresher}, node_key
         FROM node WHERE environment_id = ?1 AND removed_at IS NULL AND resource_type <> 'group' ORDER BY unique_id"
    );
    let (mut project, mut ids, mut places) = (Project::default(), Vec::new(), HashMap::new());
    let sql_name = "SELECT project_name FROM environments WHERE environment_id = ?1";
    project.name = connection.query_row(sql_name, [environment_id], |row| row.get(0))?;
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query([environment_id])?;
    while let Some(row) = rows.next()? {
        let Some(candidate) = candidate(row)? else { continue };
        places.insert(row.get::<_, i64>(18)?, ids.len());
        ids.push(row.get(0)?);
        project.nodes.push(candidate);
    }
    project.parents = vec![Vec::new(); ids.len()];
    project.children = vec![Vec::new(); ids.len()];
    // By their keys: the ids at both ends of all edges take longer than all the rest. Those of other environments have no place.
    let mut statement = connection.prepare("SELECT parent_key, child_key FROM edge")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let place = |column: usize| Ok::<_, rusqlite::Error>(places.get(&row.get::<_, i64>(column)?).copied());
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
        last_run_status: row.get(16)?,
        is_fresher: row.get::<_, Option<bool>>(17)?.unwrap_or_default(),
    }))
}
