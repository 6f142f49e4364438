//! catalog.json: what the warehouse has.

use serde_json::{Map, Value, json};

use super::members::Members;
use crate::answers::Row;
use crate::export::Error;
use crate::export::scope::{COLUMNS, Part, Scope};

pub(super) fn write(scope: &Scope<'_>, file: &mut Members<'_>) -> Result<(), Error> {
    for (section, types) in [("nodes", &["external", "model", "seed", "snapshot"][..]), ("sources", &["source"])] {
        file.nest(section, |nodes| {
            scope.each(types, &[COLUMNS], &mut |part| match entry(part) {
                Some(entry) => Ok(nodes.add(part.id, &entry)?),
                None => Ok(()),
            })
        })?;
    }
    Ok(file.add("errors", &Value::Null)?)
}

/// What the warehouse has of a node, if it was asked.
fn entry(part: &Part<'_>) -> Option<Value> {
    let row = part.row;
    let properties: Map<String, Value> = row.json("properties");
    let there = part.all(COLUMNS).iter().filter(|row| row.is("in_warehouse"));
    let columns: Map<String, Value> = there.map(column).collect();
    if columns.is_empty() && !properties.contains_key("stats") {
        return None;
    }
    let said = |name: &str| properties.get(name).cloned().unwrap_or_default();
    let stats = properties.get("stats").and_then(Value::as_array).into_iter().flatten();
    let stats = stats.filter_map(|stat| Some((stat["id"].as_str()?.to_owned(), stat.clone())));
    Some(json!({
        "unique_id": part.id,
        "metadata": {
            "type": said("relation_type"), "owner": said("relation_owner"), "comment": said("relation_comment"),
            "database": row.get("database_name"), "schema": row.get("schema_name"), "name": row.get("identifier"),
        },
        "columns": columns,
        "stats": stats.collect::<Map<_, _>>(),
    }))
}

fn column(row: &Row<'_>) -> (String, Value) {
    let (name, index) = (row.str("name"), row.get("position"));
    let column = json!({"name": name, "index": index, "type": row.get("data_type"), "comment": row.get("comment")});
    (name.to_owned(), column)
}
