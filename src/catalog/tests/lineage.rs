//! Lineage where more nodes are connected than there may be rows, and how many rows a small change writes.

use std::sync::Arc;

use super::*;
use crate::catalog::node_rows::keys;
use crate::derive::lineage::write_pairs;

/// Keeps at most so many pairs of the environment from now on.
fn keep(catalog: &mut Catalog, inventory: &Inventory, most: i64) {
    let moved = inventory.nodes.keys().collect();
    let write = |transaction: &rusqlite::Transaction<'_>| {
        write_pairs(transaction, (1, inventory), &keys(transaction, 1)?, &moved, most)
    };
    catalog.write(write).expect("written");
}

fn answers(connection: &Connection) -> [Vec<String>; 3] {
    [
        "SELECT ancestor_id || ' ' || descendant_id || ' ' || depth FROM lineage ORDER BY 1",
        "SELECT unique_id || ' ' || status || coalesce(worst_upstream_id, '') || coalesce(oldest_upstream_id, '')
         FROM freshness ORDER BY 1",
        "SELECT unique_id || ' ' || status || ' ' || reasons FROM health ORDER BY 1",
    ]
    .map(|sql| texts(connection, sql))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn every_view_says_the_same_where_not_all_pairs_are_kept(
        history in prop::collection::vec(arbitrary_inventory(), 1..4),
    ) {
        let mut catalog = TestCatalog::new();
        for inventory in &history {
            catalog.sync(inventory);
            let stored = catalog.stored();
            let mut writer = catalog.open();
            let fix = "INSERT INTO fixed_clock VALUES (1, '2026-09-21T14:13:20.000Z')";
            writer.connection().execute(fix, []).expect("set");
            let rows = texts(writer.connection(), "SELECT ancestor_key || ' ' || descendant_key FROM reach ORDER BY 1");
            let expected = answers(writer.connection());
            keep(&mut writer, &stored, -1);
            prop_assert_eq!(&answers(writer.connection()), &expected);
            keep(&mut writer, &stored, 1000);
            let again = texts(writer.connection(), "SELECT ancestor_key || ' ' || descendant_key FROM reach ORDER BY 1");
            prop_assert_eq!(again, rows);
            writer.connection().execute("DELETE FROM fixed_clock", []).expect("deleted");
        }
    }
}

/// A hundred chains of five models, each with a column and a test, over one source.
fn chains() -> Inventory {
    let mut inventory = Inventory::default();
    let mut add = |mut node: Node| {
        node.normalize();
        inventory.nodes.insert(node.unique_id.clone(), node.into());
    };
    add(Node::new("source", ResourceType::Source));
    for chain in 0..100 {
        for link in 0..5 {
            let id = |link: i32| format!("model.{chain:02}.{link}");
            let parent = if link == 0 { "source".to_owned() } else { id(link - 1) };
            let columns = vec![column(1, Some(0))];
            add(Node { parents: vec![parent.into()], columns, ..Node::new(id(link), ResourceType::Model) });
            let properties = Json::new(&json!({"attached_node": id(link)}));
            let test = Node::new(format!("test.{chain:02}.{link}"), ResourceType::Test);
            add(Node { parents: vec![id(link).into()], properties, ..test });
        }
    }
    inventory
}

#[test]
fn a_small_change_writes_few_rows() {
    let mut catalog = TestCatalog::new();
    let mut inventory = chains();
    let (_, first) = catalog.counted(1, &inventory).expect("applied");
    assert!(first > 5000, "{first}");
    let (changes, unchanged) = catalog.counted(1, &inventory).expect("applied");
    assert_eq!(changes, 0);
    assert!(unchanged < 10, "{unchanged}");
    let mut change = |id: &str, change: &dyn Fn(&mut Node)| {
        change(inventory.nodes.get_mut(id).map(Arc::make_mut).expect("a node"));
        let (changes, rows) = catalog.counted(1, &inventory).expect("applied");
        assert!(changes > 0);
        rows
    };
    let described = change("model.00.0", &|node| node.description = Some("words".into()));
    assert!(described < 60, "{described}");
    let column = change("model.01.0", &|node| node.columns[0].data_type = Some("other".into()));
    assert!(column < 60, "{column}");
    let ran = change("model.02.0", &|node| node.last_run.status = Some("success".into()));
    assert!(ran < 60, "{ran}");
    // The last of another chain: only it stands on others now.
    let rewired = change("model.03.4", &|node| node.parents = vec!["model.04.3".into()]);
    assert!(rewired < 60, "{rewired}");
}
