//! What the columns of a node are told from: its dialect and code, its own columns, and the relations that it may read. A hash of all of it
//! tells whether there is anything to resolve.

use std::collections::HashSet;

use sha2::{Digest, Sha256};

use super::resolver::{Dialect, INLINED, Relation};
use crate::inventory::{Column, Node, ResourceType};

/// Of the program's way to resolve: other numbers resolve everything anew.
pub(super) const VERSION: i64 = 1;

/// The columns that dbt adds to what a snapshot's code gives, as it names them unless told otherwise.
const OF_SNAPSHOTS: [&str; 4] = ["dbt_scd_id", "dbt_updated_at", "dbt_valid_from", "dbt_valid_to"];

/// Whether a node's columns are resolved.
pub(super) fn is_resolved(node: &Node) -> bool {
    matches!(node.resource_type, ResourceType::Model | ResourceType::Snapshot)
}

/// Whether other nodes can select from it.
pub(super) fn is_relation(node: &Node) -> bool {
    use ResourceType::{External, Seed, Source};
    is_resolved(node) || matches!(node.resource_type, Source | Seed | External)
}

/// A node as others see it. `derived` are the columns that its code gives, if all of them are known: they count where the warehouse's
/// own list is unknown, before what is declared.
pub(super) fn relation(node: &Node, derived: Option<&[String]>) -> Relation {
    let names = |which: &dyn Fn(&Column) -> bool| -> Vec<String> {
        node.columns.iter().filter(|column| which(column)).map(|column| column.name.to_string()).collect()
    };
    let built = names(&|column| column.in_warehouse == Some(true));
    let is_spelled = !built.is_empty();
    let (columns, unlisted) = match derived {
        _ if is_spelled => (built, names(&|column| column.in_warehouse != Some(true))),
        Some(derived) if !derived.is_empty() => {
            let known: HashSet<&str> = derived.iter().map(String::as_str).collect();
            let added = OF_SNAPSHOTS.iter().filter(|_| node.resource_type == ResourceType::Snapshot);
            let columns = derived.iter().cloned().chain(added.map(|name| (*name).to_owned())).collect();
            (columns, names(&|column| !known.contains(&*column.name)))
        }
        _ => (names(&|_| true), Vec::new()),
    };
    let is_ephemeral = node.materialization.as_deref() == Some("ephemeral");
    let identifiers = [&node.identifier, &node.name].into_iter().flatten();
    Relation {
        path: if is_ephemeral { Vec::new() } else { path(node) },
        inlined_as: identifiers
            .filter(|_| is_ephemeral)
            .map(|name| format!("{INLINED}{}", name.to_lowercase()))
            .collect(),
        columns,
        unlisted,
        is_spelled,
        is_own: false,
    }
}

/// A node as its own code sees it.
pub(super) fn own(node: &Node) -> Relation {
    Relation { path: path(node), is_own: true, ..relation(node, None) }
}

/// Database, schema and identifier: as the relation's name says, else one by one.
fn path(node: &Node) -> Vec<String> {
    let parts = node.relation_name.as_deref().map(parts).unwrap_or_default();
    if !parts.is_empty() {
        return parts;
    }
    let identifier = node.identifier.as_ref().or(node.name.as_ref());
    [node.database_name.as_ref(), node.schema_name.as_ref(), identifier]
        .into_iter()
        .flatten()
        .map(|it| it.to_string())
        .collect()
}

/// The parts of a relation's name, without their quotes. BigQuery may put all of them in one pair.
fn parts(name: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut quote = None;
    for c in name.trim().chars() {
        let part = parts.len() - 1;
        match (quote, c) {
            (None, '"' | '`') => quote = Some(c),
            (None, '[') => quote = Some(']'),
            (Some(close), c) if c == close => quote = None,
            (None | Some('`'), '.') => parts.push(String::new()),
            _ => parts[part].push(c),
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

/// Tells inputs apart.
pub(super) fn stamp(node: &Node, dialect: Dialect, relations: &[(i64, Relation)]) -> i64 {
    let mut hash = Sha256::new();
    let mut add = |text: &str| {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text.as_bytes());
    };
    add(&format!("{VERSION} {dialect:?} {:?}", node.language));
    add(node.compiled_code.as_ref().map_or("", |code| &code.sha256));
    add(node.raw_code.as_ref().map_or("", |_| "raw"));
    for (key, relation) in relations {
        let Relation { path, inlined_as, columns, unlisted, is_spelled, is_own } = relation;
        add(&format!("{key} {is_spelled} {is_own} {} {} {}", path.len(), inlined_as.len(), columns.len()));
        path.iter().chain(inlined_as).chain(columns).chain(unlisted).for_each(|text| add(text));
    }
    let digest = hash.finalize();
    digest.iter().take(8).fold(0_i64, |number, byte| number << 8 | i64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relations_name_is_told_from_the_quotes_of_every_warehouse() {
        for (name, path) in [
            (r#""db"."schema"."my table""#, vec!["db", "schema", "my table"]),
            ("`project-1`.`data`.`orders`", vec!["project-1", "data", "orders"]),
            ("`project-1.data.orders`", vec!["project-1", "data", "orders"]),
            ("DB.SCHEMA.ORDERS", vec!["DB", "SCHEMA", "ORDERS"]),
            ("[db].[dbo].[order.items]", vec!["db", "dbo", "order.items"]),
            ("", vec![]),
        ] {
            assert_eq!(parts(name), path, "{name}");
        }
    }
}
