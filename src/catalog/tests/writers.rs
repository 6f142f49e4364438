//! Several writers, and readers beside them: one lock for all names of a file, no sync over another one, no wait for a reader; and how
//! much work forgetting is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::*;
use crate::plan::Held;

#[cfg(unix)]
#[test]
fn a_link_and_the_file_that_it_leads_to_have_one_lock() {
    let test = TestCatalog::new();
    let link = test.folder.path().join("link.db");
    std::os::unix::fs::symlink("c.db", &link).expect("linked");
    let held = Catalog::open(&link, &Writers::default(), "the first", &|_| {}).expect("made where the link leads");
    assert!(test.path().is_file());
    let other = Writers::default();
    let wait = |holder: &str| {
        assert!(holder.contains("the first"), "{holder}");
        other.stop_waiting();
    };
    let error = Catalog::open(&test.path(), &other, "the second", &wait).expect_err("held");
    assert!(error.is_interrupted(), "{error}");
    drop(held);
    let _daemon = DaemonLock::take(&link).expect("free");
    assert!(matches!(DaemonLock::take(&test.path()), Err(Error::Busy { .. })));
}

#[test]
fn a_sync_that_another_one_has_overtaken_writes_nothing() {
    let mut test = TestCatalog::new();
    let mut slow = test.open();
    let (started, ended) = (test.now(), test.now());
    let sync = slow.start_sync(1, "prod", Trigger::Manual, started).expect("started");
    let stored = Stored::load(slow.connection(), 1, &mut Pool::default(), &Inventory::default()).expect("loaded");
    let fetched = one_node();
    let diff = diff(&stored.inventory, &fetched, &stored.tombstones);
    let ending = Ending::default();
    // Its lock is gone without its knowledge, as where two machines share a disk.
    std::fs::remove_file(test.folder.path().join("c.db.lock")).expect("removed");
    test.sync(&one_node());
    for state in ["closed by the other", "open, and the other is later"] {
        let applied =
            Applied { sync, environment_id: 1, fetched: &fetched, diff: &diff, history: None, ending: &ending };
        let held = Held { reasons: vec!["too many".into()], losses: Vec::new() };
        for result in [
            slow.apply(&applied, ended),
            slow.leave_unchanged(sync, &ending, &fetched.environment, ended),
            slow.hold_sync(sync, &ending, &held, ended),
        ] {
            assert!(matches!(result, Err(Error::Overtaken)), "{state}: {result:?}");
        }
        assert_eq!(numbers(slow.connection(), "SELECT seq FROM changes"), [1], "{state}");
        slow.connection.execute("UPDATE sync SET outcome = NULL WHERE sync_id = 1", []).expect("opened");
    }
    slow.fail_sync(sync, &ending, "overtaken", ended).expect("that may be said");
}

#[test]
fn a_reader_does_not_hold_up_the_checkpoint_and_the_log_is_emptied_when_it_has_gone() {
    let mut test = TestCatalog::new();
    test.sync(&one_node());
    let reader = open_to_read(&test.path()).expect("a catalog");
    reader.execute_batch("BEGIN").expect("begun");
    assert_eq!(numbers(&reader, "SELECT count(*) FROM nodes"), [1]);
    test.sync(&Inventory::default());
    let catalog = test.open();
    let log = || std::fs::metadata(test.folder.path().join("c.db-wal")).expect("a log").len();
    let began = Instant::now();
    catalog.checkpoint().expect("as far as it goes");
    assert!(began.elapsed() < BUSY_TIMEOUT / 4, "{:?}", began.elapsed());
    assert_ne!(log(), 0);
    assert_eq!(numbers(&reader, "SELECT count(*) FROM nodes"), [1], "its moment is still there");
    drop(reader);
    catalog.checkpoint().expect("checkpointed");
    assert_eq!(log(), 0);
    let timeout = numbers(&catalog.connection, "PRAGMA busy_timeout");
    assert_eq!(timeout, [BUSY_TIMEOUT.as_millis() as i64], "a neighbour that writes is waited for as before");
}

#[test]
fn every_foreign_key_is_looked_up_by_an_index() {
    let connection = Connection::open_in_memory().expect("open");
    connection.execute_batch(SCHEMA).expect("the schema");
    let keys = "SELECT t.name || ' ' || f.\"from\" FROM sqlite_schema t, pragma_foreign_key_list(t.name) f
                WHERE t.type = 'table'";
    let keys = texts(&connection, keys);
    assert!(keys.len() > 10, "{keys:?}");
    for key in keys {
        let (table, column) = key.split_once(' ').expect("two words");
        let sql = format!("EXPLAIN QUERY PLAN SELECT 1 FROM \"{table}\" WHERE \"{column}\" = 1");
        let plan: String = connection.query_row(&sql, [], |row| row.get("detail")).expect("a plan");
        assert!(plan.starts_with("SEARCH"), "{key}: {plan}");
    }
}

/// How many steps SQLite takes to forget so many syncs, each with a change, a code and a node of its own.
fn steps_to_forget(syncs: i64) -> u64 {
    let test = TestCatalog::new();
    let mut catalog = test.open();
    catalog
        .connection
        .execute_batch(&format!(
            "CREATE TEMP TABLE n (i INTEGER PRIMARY KEY);
             WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < {syncs})
             INSERT INTO temp.n SELECT i FROM n;
             INSERT INTO environment (environment_id, name) VALUES (1, 'prod');
             INSERT INTO sync (environment_id, trigger, mode, started_at, finished_at, outcome)
             SELECT 1, 'cron', 'full', '2026-01-01T00:00:00.000Z', '2026-01-01T00:00:00.000Z', 'applied' FROM n;
             INSERT INTO sync (environment_id, trigger, mode, started_at, finished_at, outcome)
             VALUES (1, 'cron', 'full', '2026-06-01T00:00:00.000Z', '2026-06-01T00:00:00.000Z', 'applied');
             INSERT INTO raw_code SELECT 'old' || i, 'select 1' FROM n UNION ALL SELECT 'new' || i, 'select 2' FROM n;
             INSERT INTO node (node_key, environment_id, unique_id, resource_type, properties, raw_code_sha256,
                               first_seen_at, last_changed_at, removed_at, removed_by)
             SELECT i, 1, 'n' || i, 'model', '{{}}', 'new' || i, 'x', 'x', 'x', {syncs} + 1 FROM n;
             INSERT INTO change (sync_id, node_key, resource_type, kind, field, before, after)
             SELECT i, i, 'model', 'changed', 'raw_code', json_object('sha256', 'old' || i),
                    json_object('sha256', 'new' || i) FROM n;"
        ))
        .expect("filled");
    let steps = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&steps);
    let counted = move || {
        count.fetch_add(1, Ordering::Relaxed);
        false
    };
    catalog.connection.progress_handler(50, Some(counted)).expect("counted");
    let at = |text: &str| Timestamp::parse(text).expect("a time");
    let forgotten = catalog.forget(at("2026-05-01"), at("2026-06-02")).expect("forgotten");
    assert_eq!(forgotten, usize::try_from(syncs).expect("a number"));
    assert_eq!(numbers(&catalog.connection, "SELECT count(*) FROM sync"), [2], "the last old one, and the new one");
    assert_eq!(numbers(&catalog.connection, "SELECT count(*) FROM raw_code"), [syncs]);
    steps.load(Ordering::Relaxed)
}

#[test]
fn to_forget_twice_as_much_is_twice_the_work() {
    let (some, twice) = (steps_to_forget(400), steps_to_forget(800));
    assert!(twice < 3 * some, "{some} steps, and {twice}");
}

/// Whoever opens first takes the catalog over and closes what was left open: none of its own process may have begun by then.
#[test]
fn several_that_begin_at_the_same_time_interrupt_none_of_each_other() {
    let started = Timestamp::from_millis(1_790_000_000_000).expect("a time");
    for _ in 0..8 {
        let test = TestCatalog::new();
        let (path, writers) = (test.path(), Writers::default());
        let begin = |environment: i64| {
            let mut catalog = Catalog::open(&path, &writers, "test", &|_| {}).expect("a catalog");
            let name = format!("env{environment}");
            let sync = catalog.start_sync(environment, &name, Trigger::Startup, started).expect("started");
            (catalog, sync)
        };
        let begun: Vec<_> = std::thread::scope(|scope| {
            let begin = &begin;
            let threads: Vec<_> = (1..=4).map(|environment| scope.spawn(move || begin(environment))).collect();
            threads.into_iter().map(|thread| thread.join().expect("begun")).collect()
        });
        for (mut catalog, sync) in begun {
            catalog.fail_sync(sync, &Ending::default(), "x", started).expect("nobody has closed it");
        }
    }
}
