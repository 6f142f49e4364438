//! One list of columns from two: what the warehouse has, and what the project declares.

use std::collections::HashMap;

use serde_json::Value;

use super::spelling::column_named;
use super::{Column, Json};

/// The warehouse's columns, each with what the project declares of it: under its own name, else in another case, if only this one can be
/// meant. What is declared alone comes after them.
pub fn merged_columns(mut warehouse: Vec<Column>, declared: Vec<Column>) -> Vec<Column> {
    let mut said: HashMap<usize, Column> = HashMap::new();
    let mut alone = Vec::new();
    let place: HashMap<_, _> =
        warehouse.iter().enumerate().map(|(place, column)| (column.name.clone(), place)).collect();
    for column in declared {
        let found = place.get(&column.name).copied();
        let found = found.or_else(|| place.get(&column_named(&warehouse, &column.name)?.name).copied());
        match found {
            // Two spellings of one column: its own counts.
            Some(found) if said.contains_key(&found) && column.name != warehouse[found].name => {}
            Some(found) => drop(said.insert(found, column)),
            None => alone.push(column),
        }
    }
    for (place, column) in warehouse.iter_mut().enumerate() {
        let said = said.remove(&place);
        column.is_declared = Some(said.is_some());
        let none = || Json::new(&Value::Array(Vec::new()));
        let Column { description, tags, meta, .. } = said.unwrap_or_default();
        column.description = description;
        column.tags = tags.or_else(|| Some(none()));
        column.meta = meta;
    }
    warehouse.extend(alone);
    warehouse
}
