//! Files that are not ours, damaged, cut or of an older version; copies; who may read them.

use std::path::Path;

use super::*;

/// The names in a folder.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn raw(path: &Path, sql: &str) {
    Connection::open(path).expect("open").execute_batch(sql).expect(sql);
}

fn open(path: &Path) -> Result<Catalog, Error> {
    Catalog::open(path, &Writers::default(), "test", &|_| {})
}

#[test]
fn what_can_be_no_catalog_is_refused_in_plain_words_and_nothing_is_made_beside_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| folder.path().join(name);
    std::fs::create_dir(file("folder.db")).expect("made");
    std::fs::write(file("text.db"), "this is a diary, not a database, and longer than a header").expect("written");
    std::fs::write(file("short.db"), "x").expect("written");
    raw(&file("other.db"), "PRAGMA journal_mode = WAL; CREATE TABLE t (x)");
    for (name, version) in [("minus.db", -1), ("least.db", i32::MIN), ("old.db", 3), ("newer.db", 999), ("two.db", 0)] {
        drop(open(&file(name)).expect("a catalog"));
        if version != 0 {
            raw(&file(name), &format!("PRAGMA user_version = {version}"));
        }
        std::fs::remove_file(file(&format!("{name}.lock"))).expect("removed");
    }
    std::fs::hard_link(file("two.db"), file("one.db")).expect("linked");
    let mut expected = vec![
        ("folder.db", "is a folder"),
        ("text.db", "is not a catalog"),
        ("short.db", "is not a catalog"),
        ("other.db", "is not a catalog"),
        ("minus.db", "its version is -1"),
        ("least.db", "its version is -2147483648"),
        ("old.db", "before the first release"),
        ("newer.db", "newer lineaged"),
        ("two.db", "has 2 names"),
        ("one.db", "has 2 names"),
        ("none/c.db", "there is no folder"),
    ];
    if std::process::Command::new("mkfifo").arg(file("pipe.db")).status().is_ok_and(|status| status.success()) {
        expected.push(("pipe.db", "is no ordinary file"));
    }
    let before = names(folder.path());
    for (name, message) in expected {
        let path = file(name);
        let errors = [
            open(&path).map(drop),
            open_to_read(&path).map(drop),
            DaemonLock::take(&path).map(drop),
            backup(&path, &file("copy.db")),
            check_integrity(&path),
        ];
        for error in errors {
            let error = error.expect_err(name).to_string();
            assert!(error.contains(message), "{name}: {error}");
        }
        assert_eq!(names(folder.path()), before, "{name}");
    }
    assert!(matches!(open_to_read(&file("none.db")), Err(Error::Missing(_))));
    if Path::new("/dev/null").exists() {
        assert!(matches!(open(Path::new("/dev/null")), Err(Error::NoFile(_))));
        assert!(!Path::new("/dev/null.lock").exists());
    }
}

#[test]
fn a_file_whose_tables_are_others_was_made_before_the_first_release() {
    let test = TestCatalog::new();
    drop(test.open());
    raw(&test.path(), "ALTER TABLE horizon RENAME COLUMN pruned_at TO was_pruned_at");
    let error = open(&test.path()).expect_err("other tables").to_string();
    assert!(error.contains("c.db") && error.contains("move it away and run `lineaged sync`"), "{error}");
}

#[test]
fn a_process_that_was_killed_while_it_made_the_file_left_none() {
    let test = TestCatalog::new();
    std::fs::write(test.path(), "").expect("made");
    assert!(matches!(open_to_read(&test.path()), Err(Error::Missing(_))));
    drop(test.open());
    std::fs::remove_file(test.path()).expect("removed");
    // The header, and nothing in it.
    raw(&test.path(), "PRAGMA application_id = 0x4C4E4744; PRAGMA journal_mode = WAL");
    assert!(matches!(open_to_read(&test.path()), Err(Error::Missing(_))));
    drop(test.open());
    open_to_read(&test.path()).expect("a catalog");
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
                let stored =
                    Stored::load(&catalog.connection, 1, &mut Pool::default(), &Inventory::default()).expect("whole");
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
    let views = |connection: &Connection| schema::Texts::of(connection).expect("read").views;
    let fresh = Connection::open_in_memory().expect("open");
    fresh.execute_batch(SCHEMA).expect("the schema");
    assert_eq!(views(&test.open().connection), views(&fresh));
}

/// Breaks a page that a sync does not need.
fn break_it(path: &Path) {
    use std::io::{Seek, Write};
    let connection = Connection::open(path).expect("open");
    let page = numbers(&connection, "SELECT (rootpage - 1) * 4096 FROM sqlite_schema WHERE name = 'horizon'");
    drop(connection);
    let mut file = std::fs::OpenOptions::new().write(true).open(path).expect("open");
    file.seek(std::io::SeekFrom::Start(page[0].unsigned_abs())).expect("there");
    file.write_all(&[0xA5; 4096]).expect("broken");
}

#[test]
fn damage_is_found_in_a_copy_before_the_first_apply_of_a_day_and_when_somebody_asks() {
    let mut test = TestCatalog::new();
    test.sync(&one_node());
    check_integrity(&test.path()).expect("whole");
    break_it(&test.path());
    let copies = || names(test.folder.path()).iter().any(|name| name.starts_with("copy"));
    for error in [check_integrity(&test.path()), backup(&test.path(), &test.folder.path().join("copy.db"))] {
        let error = error.expect_err("damaged").to_string();
        assert!(error.contains("is damaged"), "{error}");
    }
    assert!(!copies(), "a failed backup leaves nothing");
    test.sync(&Inventory::default());
    test.sync(&Inventory::default());
    test.clock += 86_400_000;
    test.sync(&Inventory::default());
    let error = test.try_sync(&one_node()).expect_err("the first apply of the next day");
    assert!(matches!(error, Error::Damaged { .. }), "{error}");
    assert_eq!(test.stored().nodes.len(), 0);
}

#[test]
fn damage_is_found_after_a_writer_that_was_killed_for_as_long_as_it_is_there() {
    let mut test = TestCatalog::new();
    test.sync(&one_node());
    break_it(&test.path());
    drop(test.open());
    let lock = test.folder.path().join("c.db.lock");
    std::fs::write(&lock, "sync of prod (process 1)").expect("written");
    for _ in 0..2 {
        assert!(matches!(open(&test.path()), Err(Error::Damaged { .. })));
    }
    std::fs::write(&lock, "").expect("written");
    drop(test.open());
    let started = test.now();
    test.open().start_sync(1, "prod", Trigger::Manual, started).expect("started");
    for _ in 0..2 {
        assert!(matches!(open(&test.path()), Err(Error::Damaged { .. })));
    }
}

#[test]
fn a_check_ends_when_it_is_told_to() {
    let mut test = TestCatalog::new();
    test.sync(&one_node());
    let writers = Writers::default();
    let mut catalog = Catalog::open(&test.path(), &writers, "test", &|_| {}).expect("a catalog");
    let sync = catalog.start_sync(1, "prod", Trigger::Manual, test.now()).expect("started");
    // Enough to do for more than one look.
    let many = "WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
                INSERT INTO raw_code SELECT hex(randomblob(16)), hex(randomblob(200)) FROM n";
    catalog.connection.execute_batch(many).expect("filled");
    writers.interrupt();
    assert!(catalog.check().expect_err("told to end").is_interrupted());
    let error = catalog.write(|transaction| transaction.execute_batch(many)).expect_err("told to end");
    assert!(error.is_interrupted(), "{error}");
    catalog.interrupt_sync(sync, &Ending::default(), test.now()).expect("its row says so");
    assert_eq!(texts(&catalog.connection, "SELECT outcome FROM syncs WHERE sync_id = 2"), ["interrupted"]);
}

#[test]
fn a_backup_gets_another_identity_from_the_first_writer_that_opens_it() {
    let mut test = TestCatalog::new();
    test.sync(&one_node());
    let copy = test.folder.path().join("copy.db");
    backup(&test.path(), &copy).expect("copied");
    let id = |path: &Path| {
        let ids = texts(&open_to_read(path).expect("a catalog"), "SELECT catalog_id FROM catalog_info");
        ids.into_iter().next().expect("an id")
    };
    let first = id(&test.path());
    assert_eq!(id(&copy), first, "a reader changes nothing");
    drop(open(&copy).expect("restored"));
    let second = id(&copy);
    assert_ne!(second, first);
    drop(open(&copy).expect("open"));
    assert_eq!(id(&copy), second);
    drop(test.open());
    assert_eq!(id(&test.path()), first);
}

#[cfg(unix)]
#[test]
fn files_are_their_owners_alone_and_a_copy_is_as_readable_as_the_catalog() {
    use std::os::unix::fs::PermissionsExt;
    let mut test = TestCatalog::new();
    let mode = |name: &str| {
        let file = std::fs::metadata(test.folder.path().join(name)).expect(name);
        file.permissions().mode() & 0o777
    };
    let open = test.open();
    for name in ["c.db", "c.db-wal", "c.db-shm", "c.db.lock"] {
        assert_eq!(mode(name), 0o600, "{name}");
    }
    drop(open);
    std::fs::set_permissions(test.path(), std::fs::Permissions::from_mode(0o640)).expect("set");
    backup(&test.path(), &test.folder.path().join("copy.db")).expect("copied");
    assert_eq!((mode("c.db"), mode("copy.db")), (0o640, 0o640));
    test.sync(&one_node());
}

#[test]
fn a_stale_part_of_a_copy_is_made_anew_and_a_file_is_never_written_over() {
    let test = TestCatalog::new();
    drop(test.open());
    let copy = test.folder.path().join("copy.db");
    for ending in [".part", ".part-journal", ".part-wal"] {
        std::fs::write(test.folder.path().join(format!("copy.db{ending}")), "what was left").expect("written");
    }
    backup(&test.path(), &copy).expect("copied");
    let copies = names(test.folder.path()).into_iter().filter(|name| name.starts_with("copy"));
    assert_eq!(copies.collect::<Vec<_>>(), ["copy.db"]);
    let error = backup(&test.path(), &copy).expect_err("it is there");
    assert!(matches!(error, Error::File { .. }), "{error}");
    let error = backup(&test.path(), &test.folder.path().join("none/copy.db")).expect_err("no folder");
    assert!(matches!(error, Error::NoFolder(_)), "{error}");
}

/// SQLite 3.40, which a user may have, takes another order for damage.
#[test]
fn the_columns_of_a_table_without_a_rowid_begin_with_its_key() {
    let connection = Connection::open_in_memory().expect("open");
    connection.execute_batch(SCHEMA).expect("the schema");
    let wrong = "SELECT t.name || '.' || c.name FROM pragma_table_list t, pragma_table_xinfo(t.name) c
                 WHERE t.schema = 'main' AND t.wr AND c.pk > 0 AND c.cid <> c.pk - 1";
    assert_eq!(texts(&connection, wrong), [""; 0]);
}

#[test]
fn the_shell_of_sqlite_finds_the_file_whole() {
    let mut test = TestCatalog::new();
    let mut inventory = one_node();
    let child = Node { parents: vec!["model.a".into()], ..Node::new("model.b", ResourceType::Model) };
    inventory.nodes.insert(child.unique_id.clone(), child.into());
    test.sync(&inventory);
    let ask = |pragma: &str| std::process::Command::new("sqlite3").arg(test.path()).arg(pragma).output();
    for pragma in ["PRAGMA integrity_check", "PRAGMA quick_check"] {
        match ask(pragma) {
            Ok(output) => assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "ok", "{pragma}"),
            Err(error) => eprintln!("skipped: sqlite3 can't be run ({error})"),
        }
    }
}
