//! What is held, for how long, and what approving does.

use super::*;
use crate::catalog::{Approval, Known, Standing, held_syncs, known};
use crate::plan::{About, Doubts, Held, Loss, LossKind};

fn loss(id: &str) -> Loss {
    Loss { kind: LossKind::Removed, unique_id: id.into() }
}

/// Holds a full read of the losses, as seen at these stamps.
fn hold(test: &TestCatalog, losses: &[&str], now: Timestamp) -> SyncId {
    let mut catalog = test.open();
    let sync = catalog.start_sync(1, "prod", Trigger::Manual, now).expect("started");
    let held = Held { reasons: vec!["too many".into()], losses: losses.iter().map(|id| loss(id)).collect() };
    let ending = Ending { stamps: Some("s".into()), doubts: Some(Doubts::default()), ..Ending::default() };
    catalog.hold_sync(sync, &ending, &held, now).expect("held");
    sync
}

fn repeat(test: &TestCatalog, now: Timestamp) -> SyncId {
    let mut catalog = test.open();
    let sync = catalog.start_sync(1, "prod", Trigger::Manual, now).expect("started");
    let ending = Ending { mode: Mode::Probe, stamps: Some("s".into()), ..Ending::default() };
    catalog
        .hold_sync(sync, &ending, &Held { reasons: vec!["as before".into()], losses: Vec::new() }, now)
        .expect("held");
    sync
}

fn known_now(test: &TestCatalog, now: Timestamp) -> Option<Known> {
    known(test.open().connection(), 1, "s", now.plus_millis(-86_400_000), now).expect("read")
}

fn believed(test: &TestCatalog, id: &str) -> bool {
    let doubts = Standing::load(test.open().connection(), 1).expect("read").doubts;
    doubts.about(About::Losses).is_some_and(|doubt| doubt.believed.contains(&loss(id).to_string()))
}

#[test]
fn an_approval_is_of_one_list_by_whichever_number() {
    let mut test = TestCatalog::new();
    test.sync(&one_node());
    let now = Timestamp::now();
    let (first, second) = (hold(&test, &["model.a"], now), hold(&test, &["model.b"], now));
    let third = repeat(&test, now);
    let mut catalog = test.open();
    let held = held_syncs(catalog.connection()).expect("read");
    assert_eq!(held.iter().map(|held| held.sync_id).collect::<Vec<_>>(), [second], "the newest alone");
    let approval = Approval { by: Some("ana".into()), reason: Some("they are gone".into()) };
    let old = catalog.approve(first, &approval, now).expect_err("out of date");
    assert!(old.to_string().contains("out of date"), "{old}");
    let approved = catalog.approve(third, &approval, now).expect("approved");
    assert_eq!((approved.sync_id, approved.losses), (second, vec![loss("model.b")]));
    let again = catalog.approve(second, &approval, now).expect_err("approved before");
    assert!(again.to_string().contains("was approved at"), "{again}");
    let unknown = catalog.approve(SyncId(99), &approval, now).expect_err("unknown");
    assert!(unknown.to_string().contains("there is no sync 99"), "{unknown}");
    let sql = "SELECT approved_by || ': ' || approve_reason FROM syncs WHERE approved_at IS NOT NULL";
    let said: String = catalog.connection().query_row(sql, [], |row| row.get(0)).expect("a row");
    assert_eq!(said, "ana: they are gone");
    drop(catalog);
    assert!(believed(&test, "model.b") && !believed(&test, "model.a"));
    assert_eq!(known_now(&test, now), None, "what is approved is read again");
}

#[test]
fn the_view_shows_the_losses_of_the_newest_hold_until_a_good_sync() {
    let mut test = TestCatalog::new();
    test.sync(&one_node());
    let listed = |test: &TestCatalog| {
        let sql = "SELECT group_concat(sync_id || ' ' || kind || ' ' || unique_id) FROM held_losses";
        test.open().connection().query_row(sql, [], |row| row.get::<_, Option<String>>(0)).expect("a row")
    };
    hold(&test, &["model.a"], Timestamp::now());
    hold(&test, &["model.b"], Timestamp::now());
    repeat(&test, Timestamp::now());
    assert_eq!(listed(&test).as_deref(), Some("3 removed model.b"));
    test.sync(&one_node());
    assert_eq!(listed(&test), None);
}

#[test]
fn a_held_environment_is_read_again_after_one_two_and_four_firings_or_an_hour() {
    let test = TestCatalog::new();
    let now = Timestamp::now();
    let mut read_after = Vec::new();
    for _ in 0..4 {
        hold(&test, &["model.a"], now);
        let mut firings = 1;
        while known_now(&test, now).is_some() {
            repeat(&test, now);
            firings += 1;
        }
        read_after.push(firings);
    }
    assert_eq!(read_after, [1, 2, 4, 8]);
    hold(&test, &["model.a"], now);
    assert!(known_now(&test, now).is_some());
    assert_eq!(known_now(&test, now.plus_millis(3_600_000)), None, "an hour later");
    assert_eq!(known_now(&test, now.plus_millis(-1_000)), None, "a hold of the future says nothing");
}
