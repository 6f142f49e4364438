//! A node as a manifest has it: what the reader of manifests takes, and what dbt's own reader wants to be there.

use serde_json::{Map, Value, json};

use super::members;
use crate::answers::Row;
use crate::export::scope::{COLUMNS, Part};

pub(super) fn node(part: &Part<'_>) -> Value {
    let row = part.row;
    let kind = row.str("resource_type");
    let mut properties: Map<String, Value> = row.json("properties");
    let mut node = common(part);
    let taken = |names: &[&str], properties: &mut Map<String, Value>| -> Vec<(String, Value)> {
        names.iter().filter_map(|name| Some(((*name).to_owned(), properties.remove(*name)?))).collect()
    };
    match kind {
        "model" | "seed" | "snapshot" | "function" => {
            node.extend(relation(row, "alias"));
            node.extend(code(part));
            node.extend(built(row));
            node.insert("constraints".to_owned(), properties.remove("constraints").unwrap_or(json!([])));
            if kind == "function" {
                node.extend(json_map(json!({"arguments": [], "returns": {"data_type": ""}})));
            }
        }
        "source" => {
            node.extend(relation(row, "identifier"));
            node.extend(json_map(json!({"source_description": "", "loader": ""})));
            node.extend(taken(&["source_name", "source_description", "loader", "freshness"], &mut properties));
        }
        "test" => {
            node.extend(json_map(json!({"database": null, "schema": "", "alias": row.str("name")})));
            node.extend(code(part));
            node.extend(taken(&["test_metadata", "column_name", "attached_node"], &mut properties));
        }
        "unit_test" => {
            node.extend(taken(&["model", "given", "expect", "overrides"], &mut properties));
            node.insert("tested_node_unique_id".to_owned(), properties.remove("attached_node").unwrap_or_default());
        }
        "exposure" | "group" => {
            node.insert("owner".to_owned(), json!({"name": row.get("owner_name"), "email": row.get("owner_email")}));
            node.extend(taken(&["type", "label", "url", "maturity"], &mut properties));
        }
        "metric" => {
            node.extend(members(row, [("group", "group_name"), ("label", "name")]));
            node.insert("expression".to_owned(), properties.remove("formula").unwrap_or_default());
            node.extend(taken(&["type", "type_params", "filter"], &mut properties));
        }
        "semantic_model" => {
            node.extend(json_map(json!({"model": reference(part), "node_relation": null})));
            node.extend(taken(&["entities", "dimensions", "measures"], &mut properties));
        }
        "saved_query" => {
            node.extend(members(row, [("group", "group_name")]));
            node.extend(taken(&["query_params"], &mut properties));
            if let Some(params) = node.get_mut("query_params").and_then(Value::as_object_mut) {
                params.entry("where").or_insert(Value::Null);
            }
            node.insert("exports".to_owned(), exports(properties.remove("exports")));
        }
        _ => external(&mut node, part.id),
    }
    node.insert("config".to_owned(), config(row, properties.remove("config")));
    if let Some(patch) = properties.remove("patch_path") {
        node.insert("patch_path".to_owned(), patch);
    }
    node.into()
}

/// What a semantic model says of the model that it is of.
fn reference(part: &Part<'_>) -> String {
    let model = part.parents().find(|id| id.starts_with("model."));
    format!("ref('{}')", model.and_then(|id| id.split('.').nth(2)).unwrap_or_default())
}

fn json_map(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn common(part: &Part<'_>) -> Map<String, Value> {
    let row = part.row;
    let mut node = members(
        row,
        [
            ("unique_id", "unique_id"),
            ("resource_type", "resource_type"),
            ("name", "name"),
            ("package_name", "package_name"),
            ("original_file_path", "file_path"),
        ],
    );
    let file = row.str("file_path");
    node.insert("path".to_owned(), file.split_once('/').map_or(file, |(_, rest)| rest).into());
    node.insert("description".to_owned(), row.str("description").into());
    for name in ["fqn", "tags"] {
        node.insert(name.to_owned(), row.json::<Vec<Value>>(name).into());
    }
    node.extend(meta(row));
    let parents: Vec<&str> = part.parents().collect();
    node.insert("depends_on".to_owned(), json!({"macros": [], "nodes": parents}));
    node.insert("columns".to_owned(), declared(part));
    node.insert("checksum".to_owned(), json!({"name": "none", "checksum": ""}));
    node
}

/// What the project says of columns. Where nobody tells whether a column is declared, it is if anything is said of it, or if the warehouse
/// is not known to have it.
fn declared(part: &Part<'_>) -> Value {
    let is_declared = |row: &&Row<'_>| match row.int("is_declared") {
        Some(flag) => flag == 1,
        None => {
            let has = |name: &str| !matches!(row.text(name), None | Some("[]" | "{}"));
            row.int("in_warehouse") != Some(1) || has("description") || has("tags") || has("meta")
        }
    };
    let column = |row: &Row<'_>| {
        let mut column = members(*row, [("name", "name"), ("description", "description"), ("data_type", "data_type")]);
        column.insert("tags".to_owned(), row.json::<Vec<Value>>("tags").into());
        column.extend(meta(*row));
        (row.str("name").to_owned(), column.into())
    };
    part.all(COLUMNS).iter().filter(is_declared).map(column).collect::<Map<_, _>>().into()
}

/// Empty or not, if there is one.
fn meta(row: Row<'_>) -> Option<(String, Value)> {
    row.text("meta").map(|_| ("meta".to_owned(), row.json("meta")))
}

/// A warehouse may have no databases, but dbt's reader wants to be told.
fn relation(row: Row<'_>, identifier: &str) -> Map<String, Value> {
    let mut relation = members(
        row,
        [
            ("database", "database_name"),
            ("schema", "schema_name"),
            (identifier, "identifier"),
            ("relation_name", "relation_name"),
        ],
    );
    for (key, unknown) in [("database", Value::Null), ("schema", "".into()), (identifier, row.get("name").clone())] {
        relation.entry(key).or_insert(unknown);
    }
    relation
}

fn code(part: &Part<'_>) -> Map<String, Value> {
    let (raw, compiled) = (part.code("raw_code"), part.code("compiled_code"));
    let mut code = json!({"raw_code": raw.unwrap_or_default(), "language": part.code("language").unwrap_or("sql")});
    if let Some(compiled) = compiled {
        code["compiled"] = true.into();
        code["compiled_code"] = compiled.into();
    }
    json_map(code)
}

fn built(row: Row<'_>) -> Map<String, Value> {
    let mut built = members(
        row,
        [
            ("access", "access"),
            ("group", "group_name"),
            ("deprecation_date", "deprecation_date"),
            ("version", "version"),
            ("latest_version", "latest_version"),
        ],
    );
    // dbt writes versions that are numbers as numbers.
    for name in ["version", "latest_version"] {
        if let Some(number) = row.text(name).and_then(number) {
            built.insert(name.to_owned(), number.into());
        }
    }
    if let Some(enforced) = row.int("contract_enforced") {
        built.insert("contract".to_owned(), json!({"enforced": enforced == 1, "alias_types": true}));
    }
    built
}

/// A whole number that is written as such.
fn number(text: &str) -> Option<i64> {
    text.parse().ok().filter(|number: &i64| number.to_string() == text)
}

/// What is known of the configuration: the catalog keeps it whole for models, snapshots and tests.
fn config(row: Row<'_>, kept: Option<Value>) -> Value {
    let mut config = json_map(kept.unwrap_or_default());
    if let Some(materialization) = row.text("materialization") {
        config.entry("materialized").or_insert(materialization.into());
    }
    config.entry("enabled").or_insert(true.into());
    // A map that is empty counts only where it stands in the configuration.
    if row.text("meta").is_some() {
        config.entry("meta").or_insert(row.json("meta"));
    }
    config.into()
}

fn exports(kept: Option<Value>) -> Value {
    let mut exports = kept.unwrap_or(json!([]));
    for config in exports.as_array_mut().into_iter().flatten().filter_map(|export| export["config"].as_object_mut()) {
        if let Some(schema) = config.remove("schema") {
            config.insert("schema_name".to_owned(), schema);
        }
    }
    exports
}

/// Another project's node comes without a file, under the type that its id has.
fn external(node: &mut Map<String, Value>, id: &str) {
    node.insert("resource_type".to_owned(), id.split('.').next().unwrap_or_default().into());
    let name = node.get("name").cloned().unwrap_or_default();
    node.extend(json_map(json!({"original_file_path": "", "database": null, "schema": "", "alias": name})));
}
