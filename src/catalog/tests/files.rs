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
