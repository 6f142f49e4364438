//! The history of health: what syncs note, and since when a status holds.

use super::*;

/// A model with a description and a test that has this status.
fn tested(status: &str, removed: bool) -> Inventory {
    let run = |status: &str| LastRun {
        status: Some(status.into()),
        attempt: Some(status.into()),
        executed_at: Some(days_before(1)),
        ..LastRun::default()
    };
    let model = Node {
        description: Some("words".into()),
        last_run: run("success"),
        ..Node::new("model.a", ResourceType::Model)
    };
    let test = Node {
        properties: Json::new(&json!({"attached_node": "model.a"})),
        parents: vec!["model.a".into()],
        last_run: run(status),
        ..Node::new("test.t", ResourceType::Test)
    };
    let nodes = if removed { vec![] } else { vec![model, test] };
    Inventory {
        nodes: nodes.into_iter().map(|node| (node.unique_id.clone(), node.into())).collect(),
        ..Inventory::default()
    }
}

fn noted(test: &TestCatalog) -> Vec<String> {
    let reader = open_to_read(&test.path()).expect("a catalog");
    texts(
        &reader,
        "SELECT sync_id || ' ' || changed_at || ' ' || coalesce(status, '-') || ' ' || root_ids FROM health_history
         WHERE unique_id = 'model.a' ORDER BY sync_id",
    )
}

#[test]
fn a_row_is_written_when_a_sync_finds_another_status_and_when_a_node_goes() {
    let mut test = TestCatalog::new();
    let mut ends = Vec::new();
    for inventory in [
        tested("pass", false),
        tested("fail", false),
        tested("error", false),
        tested("pass", false),
        tested("pass", true),
        tested("pass", false),
    ] {
        test.sync(&inventory);
        ends.push(Timestamp::from_millis(test.clock).expect("a time"));
    }
    let row = |sync: usize, rest: &str| format!("{sync} {} {rest}", ends[sync - 1]);
    let roots = "[\"test.t\"]";
    assert_eq!(
        noted(&test),
        [
            row(1, "healthy []"),
            row(2, &format!("degraded {roots}")),
            row(4, "healthy []"),
            row(5, "- []"),
            row(6, "healthy []")
        ]
    );
}

#[test]
fn a_status_is_told_with_its_beginning_unless_the_clock_alone_has_moved_it() {
    let mut test = TestCatalog::new();
    test.sync(&tested("fail", false));
    let first = Timestamp::from_millis(test.clock).expect("a time");
    test.sync(&tested("error", false));
    let since = "SELECT status || ' ' || coalesce(since, '-') FROM health WHERE unique_id = 'model.a'";
    let then = |days: i64| open_as_of(&test.path(), first.plus_millis(days * 86_400_000), None).expect("then");
    assert_eq!(texts(&then(1), since), [format!("degraded {first}")], "the same status for another reason");
    test.sync(&tested("pass", false));
    let well = Timestamp::from_millis(test.clock).expect("a time");
    let then = |days: i64| open_as_of(&test.path(), first.plus_millis(days * 86_400_000), None).expect("then");
    assert_eq!(texts(&then(1), since), [format!("healthy {well}")]);
    // It was built a day before the first sync: now no sync has said so, but it is too long ago.
    assert_eq!(texts(&then(40), since), ["caution -"]);
}

#[test]
fn what_the_clock_has_moved_is_noted_by_the_next_sync_that_applies() {
    let mut test = TestCatalog::new();
    test.sync(&tested("pass", false));
    test.clock += 40 * 86_400_000;
    test.sync(&tested("pass", false));
    assert_eq!(noted(&test).len(), 1, "an unchanged sync writes nothing but its own row");
    let mut other = tested("pass", false);
    let metric = Node::new("metric.m", ResourceType::Metric);
    other.nodes.insert(metric.unique_id.clone(), metric.into());
    test.sync(&other);
    let last = noted(&test).pop().expect("a row");
    assert!(last.starts_with("3 ") && last.ends_with(" caution []"), "{last}");
}
