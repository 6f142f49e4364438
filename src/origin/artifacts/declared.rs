//! What the project says of the columns of a node, whether the warehouse has them or not.

use serde_json::{Map, Value};

use super::node::Making;
use crate::inventory::{Column, Json, unquoted};
use crate::origin::draft::{prose, text};

/// The columns that the project declares.
pub(super) fn declared(making: &mut Making<'_>) -> Vec<Column> {
    let Value::Object(columns) = making.raw.take("columns") else { return Vec::new() };
    let columns = columns.into_iter().filter_map(|(key, said)| {
        let Value::Object(mut said) = said else { return None };
        let name = said.get("name").and_then(Value::as_str).unwrap_or(&key);
        let name = text(Some(unquoted(name)))?;
        let description = said.remove("description");
        Some(Column {
            name,
            description: prose(making.text_of("description", description.unwrap_or_default())),
            tags: tags(&mut said),
            meta: or_config(&mut said, "meta").filter(Value::is_object).map(|meta| Json::new(&meta)),
            is_declared: Some(true),
            ..Column::default()
        })
    });
    columns.collect()
}

fn or_config(said: &mut Map<String, Value>, key: &str) -> Option<Value> {
    let own = said.remove(key).filter(|value| !value.is_null());
    own.or_else(|| said.get("config")?.get(key).cloned()).filter(|value| !value.is_null())
}

fn tags(said: &mut Map<String, Value>) -> Option<Json> {
    let tags = match or_config(said, "tags") {
        Some(Value::Array(tags)) => tags.into_iter().filter(Value::is_string).collect(),
        Some(Value::String(tag)) => vec![Value::String(tag)],
        _ => Vec::new(),
    };
    Some(Json::new(&Value::Array(tags)))
}
