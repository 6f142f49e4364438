//! Keeps what the view `tests` says of a test beside its runs: which node and which of its columns it is of, and what it is called.

use std::collections::{HashMap, HashSet};

use rusqlite::Transaction;
use serde_json::Value;

use crate::inventory::{Inventory, Node, ResourceType, Text, UniqueId, column_named};

/// What a test is of, by the columns of its row; all unknown for a node of another type.
#[derive(Debug, Default)]
pub(crate) struct Tested {
    /// The id of the node.
    pub(crate) tested_id: Option<String>,
    /// The column, as the test says it.
    pub(crate) column_name: Option<String>,
    /// The column of the node that it means.
    pub(crate) tested_column: Option<Text>,
    /// What the test is called.
    pub(crate) test_name: Option<String>,
    /// Of which kind it is.
    pub(crate) test_type: Option<String>,
}

impl Tested {
    /// Taken from all nodes together, since a test means another column once the columns of the node that it is of are others.
    pub(crate) fn by(node: &Node, inventory: &Inventory) -> Self {
        if !is_test(node) {
            return Self::default();
        }
        let properties = node.properties.value();
        let said = |place: &str| properties.pointer(place).and_then(Value::as_str).map(str::to_owned);
        let column_name = said("/column_name");
        let of = said("/attached_node").and_then(|id| inventory.nodes.get(id.as_str()));
        let meant = of.zip(column_name.as_deref()).and_then(|(of, column)| column_named(&of.columns, column));
        Self {
            tested_id: of.map(|of| of.unique_id.as_str().to_owned()),
            tested_column: meant.map(|column| column.name.clone()),
            column_name,
            test_name: said("/test_metadata/name").or(node.name.as_deref().map(str::to_owned)),
            test_type: said("/test_type"),
        }
    }
}

/// Writes it for the tests of which another is written, but for those with the keys `written`.
pub(crate) fn write_tests(
    transaction: &Transaction<'_>,
    inventory: &Inventory,
    keys: &HashMap<UniqueId, i64>,
    written: &HashSet<i64>,
) -> rusqlite::Result<()> {
    let sql = "UPDATE node SET tested_id = ?2, column_name = ?3, tested_column = ?4, test_name = ?5, test_type = ?6
               WHERE node_key = ?1 AND (tested_id IS NOT ?2 OR column_name IS NOT ?3 OR tested_column IS NOT ?4
                   OR test_name IS NOT ?5 OR test_type IS NOT ?6)";
    let mut statement = transaction.prepare(sql)?;
    for node in inventory.nodes.values().filter(|node| is_test(node)) {
        let key = keys.get(&node.unique_id).ok_or(rusqlite::Error::QueryReturnedNoRows)?;
        if !written.contains(key) {
            let Tested { tested_id, column_name, tested_column, test_name, test_type } = Tested::by(node, inventory);
            statement.execute((key, tested_id, column_name, tested_column, test_name, test_type))?;
        }
    }
    Ok(())
}

fn is_test(node: &Node) -> bool {
    matches!(node.resource_type, ResourceType::Test | ResourceType::UnitTest)
}
