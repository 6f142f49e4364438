//! The index of words after random histories.

use super::*;

/// Every word of the index, with the node and the place where it stands.
fn indexed(connection: &Connection) -> Vec<String> {
    connection
        .execute_batch("CREATE VIRTUAL TABLE IF NOT EXISTS temp.word USING fts5vocab (main, search, instance)")
        .expect("the vocabulary");
    texts(connection, "SELECT doc || ' ' || col || ' ' || offset || ' ' || term FROM temp.word ORDER BY 1")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn the_index_of_words_equals_one_built_anew(history in prop::collection::vec(arbitrary_inventory(), 1..6)) {
        let mut test = TestCatalog::new();
        for inventory in &history {
            test.sync(inventory);
            let catalog = test.open();
            let compare = "INSERT INTO search (search, rank) VALUES ('integrity-check', 1)";
            prop_assert_eq!(catalog.connection.execute_batch(compare), Ok(()));
            let kept = indexed(&catalog.connection);
            crate::derive::words::rebuild(&catalog.connection).expect("rebuilt");
            prop_assert_eq!(kept, indexed(&catalog.connection));
        }
    }
}

#[test]
fn the_words_of_a_removed_node_are_gone_until_it_is_back() {
    let mut test = TestCatalog::new();
    let found = |test: &TestCatalog| {
        let reader = open_to_read(&test.path()).expect("a catalog");
        numbers(&reader, "SELECT count(*) FROM search WHERE search MATCH '\"model.a\"'")[0]
    };
    for (inventory, hits) in [(one_node(), 1), (Inventory::default(), 0), (one_node(), 1)] {
        test.sync(&inventory);
        assert_eq!(found(&test), hits);
    }
}

#[test]
fn views_that_are_made_anew_bring_a_new_index_of_words() {
    let mut test = TestCatalog::new();
    test.sync(&one_node());
    let words = indexed(&test.open().connection);
    assert!(!words.is_empty());
    let catalog = test.open();
    let spoil = "INSERT INTO search (search) VALUES ('delete-all'); UPDATE identity SET lineaged_version = 'older'";
    catalog.connection.execute_batch(spoil).expect("spoilt");
    assert_eq!(indexed(&catalog.connection), Vec::<String>::new());
    drop(catalog);
    assert_eq!(indexed(&test.open().connection), words);
}
