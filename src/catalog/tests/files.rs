//! Files that are not ours, damaged, cut or of an older version.

use super::*;

#[test]
fn a_file_that_is_not_ours_is_newer_or_damaged_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| folder.path().join(name);
    std::fs::write(file("text.db"), "this is a diary, not a database, and longer than a header").expect("written");
    Connection::open(file("other.db")).expect("open").execute_batch("CREATE TABLE t (x)").expect("a table");
    for (name, damage) in [("newer.db", false), ("damaged.db", true)] {
        drop(Catalog::open(&file(name), &Writers::default(), "test", &|_| {}).expect("a catalog"));
        if damage {
            let mut bytes = std::fs::read(file(name)).expect("read");
            let (start, end) = (5000, bytes.len());
            bytes[start..end].fill(0xA5);
            std::fs::write(file(name), bytes).expect("written");
        } else {
            Connection::open(file(name)).expect("open").pragma_update(None, "user_version", 999).expect("set");
        }
    }
    let expected = [
        ("text.db", "is not a catalog"),
        ("other.db", "is not a catalog"),
        ("newer.db", "newer lineaged"),
        ("damaged.db", "is damaged"),
    ];
    for (name, message) in expected {
        let before = std::fs::read(file(name)).expect("read");
        let error = Catalog::open(&file(name), &Writers::default(), "test", &|_| {}).expect_err(name);
        assert!(error.to_string().contains(message), "{name}: {error}");
        assert_eq!(std::fs::read(file(name)).expect("read"), before, "{name} was touched");
    }
    assert!(matches!(open_to_read(&file("none.db")), Err(Error::Missing(_))));
}

#[test]
fn truncated_anywhere_the_file_is_refused_or_read_but_never_touched() {
    let mut test = TestCatalog::new();
    test.sync(&one_node());
    test.open().checkpoint().expect("checkpointed");
    let whole = std::fs::read(test.path()).expect("read");
    for length in (512..whole.len()).step_by(512) {
        let cut = test.folder.path().join(format!("cut{length}.db"));
        std::fs::write(&cut, &whole[..length]).expect("written");
        match Catalog::open(&cut, &Writers::default(), "test", &|_| {}) {
            Err(_) => assert_eq!(std::fs::read(&cut).expect("read").len(), length),
            // All that is missing is a page that held nothing.
            Ok(catalog) => {
                let stored = Stored::load(&catalog.connection, 1, &mut Pool::default()).expect("whole");
                assert_eq!(stored.inventory.nodes, one_node().nodes, "cut at {length}");
                assert!(length + 4096 > whole.len(), "cut at {length}");
            }
        }
    }
}

#[test]
fn views_whose_text_differs_are_made_anew_by_a_writer() {
    let test = TestCatalog::new();
    test.open().connection.execute_batch("DROP VIEW runs; CREATE VIEW nodes_old AS SELECT 1").expect("changed");
    let texts = view_texts(&test.open().connection).expect("read");
    let fresh = Connection::open_in_memory().expect("open");
    fresh.execute_batch(SCHEMA).expect("the schema");
    assert_eq!(texts, view_texts(&fresh).expect("read"));
}

fn schema_texts(connection: &Connection) -> Vec<(String, String)> {
    let mut statement = connection
        .prepare(
            "SELECT type || ' ' || name, coalesce(sql, '') FROM sqlite_schema WHERE name NOT LIKE 'sqlite_stat%' ORDER BY 1",
        )
        .expect("SQL");
    let texts = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("rows");
    texts.collect::<Result<_, _>>().expect("texts")
}

#[test]
fn a_migrated_old_catalog_equals_a_fresh_one_and_keeps_its_content() {
    let mut test = TestCatalog::new();
    let old = Connection::open(test.path()).expect("open");
    old.execute_batch(include_str!("../../../tests/fixtures/catalogs/v1.sql")).expect("version 1");
    old.execute_batch(
        "PRAGMA application_id = 0x4C4E4744; PRAGMA user_version = 1;
         INSERT INTO identity VALUES (1, 'abc', '2026-01-01T00:00:00.000Z', 1, '0.0.1');
         INSERT INTO environment VALUES (1, 'prod', 'shop', 'duckdb');
         INSERT INTO sync (environment_id, trigger, mode, started_at, finished_at, outcome)
         VALUES (1, 'manual', 'full', '2026-01-01T00:00:00.000Z', '2026-01-01T00:00:01.000Z', 'applied');
         INSERT INTO node (node_key, environment_id, unique_id, resource_type, properties, first_seen_at, last_changed_at)
         VALUES (1, 1, 'source.s', 'source', '{}', 'x', 'x'), (2, 1, 'model.a', 'model', '{}', 'x', 'x'),
                (3, 1, 'model.b', 'model', '{}', 'x', 'x');
         INSERT INTO edge VALUES (1, 2), (2, 3);",
    )
    .expect("content");
    drop(old);
    assert!(matches!(open_to_read(&test.path()), Err(Error::Older { found: 1, .. })));
    let migrated = test.open();
    let fresh = TestCatalog::new();
    assert_eq!(schema_texts(migrated.connection()), schema_texts(fresh.open().connection()));
    let version = "SELECT schema_version FROM catalog_info";
    assert_eq!(numbers(migrated.connection(), version), [SCHEMA_VERSION]);
    assert_eq!(numbers(migrated.connection(), "SELECT depth FROM lineage ORDER BY 1"), [1, 1, 2]);
    assert_eq!(numbers(migrated.connection(), "SELECT rowid FROM search WHERE search MATCH 'model'"), [2, 3]);
    drop(migrated);
    assert!(test.folder.path().join("c.db.v1").exists(), "the old file is kept");
    assert_eq!(test.stored().nodes.len(), 3);
    test.sync(&one_node());
}
