//! Clocks that were wrong for a while: stamps of the future count as old, and cost no history.

use super::*;
use crate::answers::Reader;

const DAY: i64 = 86_400_000;
const TEN_YEARS: i64 = 3_652 * DAY;

impl TestCatalog {
    /// A full read that found nothing new.
    fn read_in_full(&mut self) {
        let (mut catalog, started, ended) = (self.open(), self.now(), self.now());
        let sync = catalog.start_sync(1, "prod", Trigger::Manual, started).expect("started");
        let ending = Ending { stamps: Some("as it was".into()), ..Ending::default() };
        catalog.leave_unchanged(sync, &ending, &EnvironmentFacts::default(), ended).expect("closed");
    }

    fn is_known(&mut self) -> bool {
        let now = self.now();
        let reader = open_to_read(&self.path()).expect("a catalog");
        known(&reader, 1, "as it was", now.plus_millis(-DAY), now).expect("read").is_some()
    }

    fn last_sync_at(&self) -> Option<Timestamp> {
        let reader = Reader::open(&self.path(), None).expect("a catalog");
        reader.last_sync_at(1, Timestamp::from_millis(self.clock).expect("a time")).expect("read")
    }
}

#[test]
fn a_full_read_of_the_future_is_as_old_as_none() {
    let mut test = TestCatalog::new();
    test.clock += TEN_YEARS;
    test.read_in_full();
    assert!(test.is_known(), "as long as the clock says so");
    test.clock -= TEN_YEARS;
    assert!(!test.is_known());
    assert_eq!(test.last_sync_at(), None, "nor is a firing taken for done");
    test.read_in_full();
    assert!(test.is_known());
    assert!(test.last_sync_at().is_some());
}

#[test]
fn a_sync_that_did_not_end_well_is_no_last_one() {
    let mut test = TestCatalog::new();
    test.read_in_full();
    let (mut catalog, now) = (test.open(), test.now());
    let sync = catalog.start_sync(1, "prod", Trigger::Manual, now).expect("started");
    assert_eq!(test.last_sync_at(), None, "it is open");
    catalog.fail_sync(sync, &Ending::default(), "an outage", now).expect("closed");
    assert_eq!(test.last_sync_at(), None);
    drop(catalog);
    test.read_in_full();
    assert!(test.last_sync_at().is_some());
}

/// So many days of history, each with a change.
fn days(test: &mut TestCatalog, count: i64) {
    for day in 0..count {
        let changed = if day % 2 == 0 { one_node() } else { Inventory::default() };
        assert_ne!(test.sync(&changed), 0);
        test.clock += DAY;
    }
}

fn prune(test: &mut TestCatalog, days: u64) -> usize {
    let now = test.now();
    test.open().prune(Duration::from_secs(days * 86_400), now).expect("pruned")
}

#[test]
fn a_clock_that_jumps_ahead_forgets_nothing() {
    let mut test = TestCatalog::new();
    days(&mut test, 4);
    test.clock += TEN_YEARS;
    for _ in 0..3 {
        test.read_in_full();
        assert_eq!(prune(&mut test, 2), 0);
    }
    // What it says for a month is so.
    for _ in 0..2 {
        test.clock += 20 * DAY;
        test.read_in_full();
    }
    assert_eq!(prune(&mut test, 2), 4);
}

#[test]
fn a_sync_of_the_future_is_forgotten_with_its_neighbours() {
    let mut test = TestCatalog::new();
    days(&mut test, 2);
    test.clock += TEN_YEARS;
    days(&mut test, 2);
    test.clock -= TEN_YEARS;
    days(&mut test, 4);
    let seqs = |test: &TestCatalog| numbers(&open_to_read(&test.path()).expect("a catalog"), "SELECT seq FROM changes");
    // Kept is what the last of the eight brought.
    assert_eq!(prune(&mut test, 2), 7);
    assert_eq!(seqs(&test), [8]);
    // What comes last is not old because its stamp is wrong.
    test.clock += TEN_YEARS;
    days(&mut test, 1);
    test.clock -= TEN_YEARS - 40 * DAY;
    assert_eq!(prune(&mut test, 2), 1);
    assert_eq!(seqs(&test), [9]);
}
