//! Keeps what the view `tests` says of a test beside its runs: which node and which of its columns it is of, and what it is called.

use std::collections::HashMap;

use rusqlite::Transaction;
use serde_json::Value;

use crate::inventory::{Inventory, Node, ResourceType, UniqueId, column_named};

/// Writes it for the tests of which it is not written yet. It is taken from all nodes together, since a test means another column once
/// the columns of the node that it is of are others.
pub(crate) fn write_tests(
    transaction: &Transaction<'_>,
    inventory: &Inventory,
    keys: &HashMap<UniqueId, i64>,
) -> rusqlite::Result<()> {
    let sql = "UPDATE node SET tested_id = ?2, column_name = ?3, tested_column = ?4, test_name = ?5, test_type = ?6
               WHERE node_key = ?1 AND (tested_id IS NOT ?2 OR column_name IS NOT ?3 OR tested_column IS NOT ?4
                   OR test_name IS NOT ?5 OR test_type IS NOT ?6)";
    let mut statement = transaction.prepare(sql)?;
    let is_test = |node: &&Node| matches!(node.resource_type, ResourceType::Test | ResourceType::UnitTest);
    for node in inventory.nodes.values().filter(is_test) {
        let key = keys.get(&node.unique_id).ok_or(rusqlite::Error::QueryReturnedNoRows)?;
        let properties = node.properties.value();
        let said = |place: &str| properties.pointer(place).and_then(Value::as_str);
        let (tested, column) = (said("/attached_node"), said("/column_name"));
        let of = tested.and_then(|id| inventory.nodes.get(id));
        let tested = of.map(|of| of.unique_id.as_str());
        let meant = of.zip(column).and_then(|(of, column)| column_named(&of.columns, column));
        let name = said("/test_metadata/name").or(node.name.as_deref());
        statement.execute((key, tested, column, meant.map(|column| &column.name), name, said("/test_type")))?;
    }
    Ok(())
}
