//! What is held, what is applied, and what is not relied upon.

mod files;

use std::sync::Arc;

use super::*;
use crate::inventory::UniqueId;

const POLICY: Policy = Policy { max_removed_percent: 20.0, min_removed_floor: 10 };

fn inventory(groups: &[(ResourceType, Option<bool>, std::ops::Range<usize>)]) -> Inventory {
    let mut inventory = Inventory::default();
    for (resource_type, is_applied, numbers) in groups {
        for number in numbers.clone() {
            let id = format!("{resource_type}.{is_applied:?}.{number:04}");
            let node = Node { is_applied: *is_applied, ..Node::new(id, *resource_type) };
            inventory.nodes.insert(node.unique_id.clone(), node.into());
        }
    }
    inventory
}

const NONE: &BTreeSet<String> = &BTreeSet::new();

fn now() -> Timestamp {
    Timestamp::parse("2026-11-01T00:00:00Z").expect("a time")
}

fn read<'a>(stored: &'a Inventory, fetched: &'a Inventory) -> Read<'a> {
    Read {
        stored,
        fetched,
        kept: NONE,
        tallies: &[],
        applied_is_null: false,
        is_of_files: false,
        is_first: false,
        now: now(),
    }
}

fn approving(losses: &[Loss]) -> Doubts {
    let mut doubts = Doubts::default();
    doubts.approve(About::Losses, losses.iter().map(Loss::to_string));
    doubts
}

fn judged(stored: &Inventory, fetched: &Inventory, approved: &[Loss]) -> Option<Held> {
    judge(&read(stored, fetched), POLICY, &mut approving(approved)).held
}

fn removed(id: &UniqueId) -> Loss {
    Loss { kind: LossKind::Removed, unique_id: id.clone() }
}

use ResourceType::{External, Model, Source};
const APPLIED: Option<bool> = Some(true);
const DEFINED: Option<bool> = Some(false);

#[test]
fn a_type_is_held_above_both_the_share_and_the_floor() {
    for (of, gone, held) in [(100, 20, false), (100, 21, true), (10, 9, false), (11, 10, false), (12, 11, true)] {
        let stored = inventory(&[(Model, APPLIED, 0..of), (Source, APPLIED, 0..1000)]);
        let fetched = inventory(&[(Model, APPLIED, gone..of), (Source, APPLIED, 0..1000)]);
        assert_eq!(judged(&stored, &fetched, &[]).is_some(), held, "{gone} of {of}");
    }
}

#[test]
fn applied_and_defined_nodes_are_counted_apart_and_external_ones_not_at_all() {
    let stored = inventory(&[(Model, APPLIED, 0..1000), (Model, DEFINED, 0..20), (External, None, 0..50)]);
    let fetched = inventory(&[(Model, APPLIED, 0..1000)]);
    let held = judged(&stored, &fetched, &[]).expect("held");
    assert_eq!(held.reasons.len(), 1);
    assert!(held.reasons[0].starts_with("20 of 20 defined model nodes"), "{}", held.reasons[0]);
    assert_eq!(held.losses.len(), 20);
}

#[test]
fn a_node_that_is_only_named_by_edges_any_more_counts_as_removed() {
    let stored = inventory(&[(Model, APPLIED, 0..20)]);
    let mut fetched = stored.clone();
    for node in fetched.nodes.values_mut().map(Arc::make_mut).take(15) {
        node.resource_type = External;
    }
    assert_eq!(judged(&stored, &fetched, &[]).expect("held").losses.len(), 15);
}

#[test]
fn an_empty_environment_is_held_however_small_it_was() {
    let held = judged(&inventory(&[(Model, APPLIED, 0..2)]), &Inventory::default(), &[]).expect("held");
    assert!(held.reasons.contains(&"the environment would be left empty".to_owned()), "{:?}", held.reasons);
}

#[test]
fn approved_ids_count_as_already_gone() {
    let stored = inventory(&[(Model, APPLIED, 0..40)]);
    let fetched = inventory(&[(Model, APPLIED, 20..40)]);
    let held = judged(&stored, &fetched, &[]).expect("held");
    assert_eq!(judged(&stored, &fetched, &held.losses), None);
    // The approval is of that list alone: eleven more of the twenty that are left are too many again.
    let fewer = inventory(&[(Model, APPLIED, 31..40)]);
    assert_eq!(judged(&stored, &fewer, &held.losses).expect("held").losses.len(), 11);
    assert_eq!(judged(&stored, &Inventory::default(), &stored.nodes.keys().map(removed).collect::<Vec<_>>()), None);
}

#[test]
fn anything_removed_from_a_forgotten_environment_is_held_and_nothing_removed_never_is() {
    let stored = inventory(&[(Model, APPLIED, 0..100)]);
    let mut fetched = inventory(&[(Model, APPLIED, 1..100)]);
    assert_eq!(judged(&stored, &fetched, &[]), None);
    fetched.environment.applied_at = Timestamp::parse("2026-09-01T00:00:00Z");
    assert!(judged(&stored, &fetched, &[]).expect("held").reasons[0].contains("61 days"));
    let mut same = stored.clone();
    same.environment.applied_at = fetched.environment.applied_at;
    assert_eq!(judged(&stored, &same, &[]), None);
}

#[test]
fn a_lost_applied_state_is_held_as_long_as_applied_nodes_are_held() {
    let stored = inventory(&[(Model, APPLIED, 0..3)]);
    let mut fetched = stored.clone();
    for node in fetched.nodes.values_mut().map(Arc::make_mut) {
        node.is_applied = DEFINED;
    }
    for applied_is_null in [true, false] {
        let read = Read { applied_is_null, ..read(&stored, &fetched) };
        let held = judge(&read, POLICY, &mut Doubts::default()).held.expect("held");
        assert_eq!(held.losses.len(), 3);
        assert_eq!(judge(&read, POLICY, &mut approving(&held.losses)).held, None);
    }
}

/// Thirty applied models with a column and a parent each, and a source that is their parent.
fn wide() -> Inventory {
    let mut wide = inventory(&[(Model, APPLIED, 0..30), (Source, APPLIED, 0..1)]);
    let source = wide.nodes.keys().find(|id| id.as_str().starts_with("source")).cloned().expect("a source");
    for node in wide.nodes.values_mut().map(Arc::make_mut).filter(|node| node.resource_type == Model) {
        node.parents = vec![source.clone()];
        node.columns = vec![crate::inventory::Column { name: "a".into(), ..Default::default() }];
    }
    wide
}

/// The same with a change to the first so many models.
fn changed(count: usize, change: impl Fn(&mut Node)) -> Inventory {
    let mut changed = wide();
    changed
        .nodes
        .values_mut()
        .map(Arc::make_mut)
        .filter(|node| node.resource_type == Model)
        .take(count)
        .for_each(change);
    changed
}

#[test]
fn every_kind_of_loss_is_weighed_like_a_removal() {
    type Change = fn(&mut Node);
    let kinds: [(LossKind, Change); 3] = [
        (LossKind::Unapplied, |node| node.is_applied = DEFINED),
        (LossKind::Parents, |node| node.parents.clear()),
        (LossKind::Columns, |node| node.columns.clear()),
    ];
    for (kind, change) in kinds {
        for (count, is_held) in [(6, false), (10, false), (11, true), (30, true)] {
            let held = judged(&wide(), &changed(count, change), &[]);
            assert_eq!(held.is_some(), is_held, "{kind:?} of {count}");
            if let Some(held) = held {
                assert!(held.losses.len() == count && held.losses.iter().all(|loss| loss.kind == kind), "{held}");
                assert!(held.reasons[0].contains(kind.verb()), "{held}");
            }
        }
    }
}

#[test]
fn ordinary_life_is_no_loss() {
    type Change = fn(&mut Node);
    let staging: Change = |node| node.parents = vec!["model.staging".into()];
    let spelled: Change = |node| node.columns[0].name = "A".into();
    let ephemeral: Change = |node| {
        node.materialization = Some("ephemeral".into());
        node.columns.clear();
    };
    let ephemeral_and_unlisted: Change = |node| {
        node.materialization = Some("ephemeral".into());
        node.columns.clear();
        node.is_applied = DEFINED;
    };
    for (what, change) in
        [("staging", staging), ("spelled", spelled), ("ephemeral", ephemeral), ("unlisted", ephemeral_and_unlisted)]
    {
        let (stored, fetched) = (wide(), changed(29, change));
        let verdict = judge(&read(&stored, &fetched), POLICY, &mut Doubts::default());
        assert_eq!((verdict.held, verdict.is_certain, verdict.look_again), (None, true, false), "{what}");
    }
}

#[test]
fn a_small_loss_is_applied_and_not_relied_upon_until_it_is_seen_again() {
    let (stored, fetched) = (wide(), changed(3, |node| node.parents.clear()));
    let verdict = judge(&read(&stored, &fetched), POLICY, &mut Doubts::default());
    assert_eq!((verdict.held, verdict.is_certain), (None, false));
    assert!(judge(&read(&fetched, &fetched), POLICY, &mut Doubts::default()).is_certain);
    let gone = inventory(&[(Model, APPLIED, 0..29)]);
    let verdict = judge(&read(&inventory(&[(Model, APPLIED, 0..30)]), &gone), POLICY, &mut Doubts::default());
    assert!(verdict.is_certain, "two lists say that it is gone");
}

fn tally(state: State, resource_type: ResourceType, listed: u64, counted: u64) -> Tally {
    Tally { state, resource_type, listed, counted }
}

#[test]
fn a_small_type_that_falls_to_nothing_waits_for_another_answer_or_for_the_third_read() {
    use ResourceType::{Exposure, Metric};
    for (kind, state, tallies, is_held) in [
        (Metric, None, vec![], true),
        (Metric, None, vec![tally(State::Definition, Metric, 0, 0)], false),
        (Metric, None, vec![tally(State::Definition, Metric, 0, 9)], true),
        (Exposure, APPLIED, vec![], false),
    ] {
        let stored = inventory(&[(Model, APPLIED, 0..30), (kind, state, 0..9)]);
        let fetched = inventory(&[(Model, APPLIED, 0..30)]);
        let read = Read { tallies: &tallies, ..read(&stored, &fetched) };
        let mut doubts = Doubts::default();
        assert_eq!(judge(&read, POLICY, &mut doubts).held.is_some(), is_held, "{kind} {tallies:?}");
        let at = |minutes: i64| now().plus_millis(minutes * 60_000);
        judge(&Read { now: at(30), ..read }, POLICY, &mut doubts);
        let third = judge(&Read { now: at(60), ..read }, POLICY, &mut doubts);
        assert_eq!(third.held, None, "{kind} {tallies:?}");
    }
}

#[test]
fn above_the_floor_no_number_of_reads_is_as_good_as_a_person() {
    let (stored, fetched) = (wide(), changed(30, |node| node.columns.clear()));
    let mut doubts = Doubts::default();
    for minutes in [0, 30, 60, 90, 6000] {
        let now = now().plus_millis(minutes * 60_000);
        assert!(judge(&Read { now, ..read(&stored, &fetched) }, POLICY, &mut doubts).held.is_some(), "{minutes}");
    }
}

#[test]
fn a_list_that_fell_while_its_count_did_not_is_held_however_little_it_lost() {
    let stored = inventory(&[(Model, APPLIED, 0..30)]);
    let mut fetched = stored.clone();
    fetched.nodes.values_mut().map(Arc::make_mut).take(2).for_each(|node| node.is_applied = DEFINED);
    let tallies = [tally(State::Applied, Model, 28, 30)];
    let verdict = judge(&Read { tallies: &tallies, ..read(&stored, &fetched) }, POLICY, &mut Doubts::default());
    assert_eq!(verdict.held.expect("held").losses.len(), 2);
    let honest = [tally(State::Applied, Model, 28, 28)];
    let verdict = judge(&Read { tallies: &honest, ..read(&stored, &fetched) }, POLICY, &mut Doubts::default());
    assert_eq!((verdict.held, verdict.is_certain), (None, true));
}

#[test]
fn a_contradiction_is_looked_at_again_and_holds_only_the_first_read() {
    let nodes = inventory(&[(Model, APPLIED, 0..30)]);
    let tallies = [tally(State::Applied, Model, 30, 42)];
    let contradicting = Read { tallies: &tallies, ..read(&nodes, &nodes) };
    let mut doubts = Doubts::default();
    let first = judge(&contradicting, POLICY, &mut doubts);
    assert!(first.look_again && first.held.is_none() && !first.is_certain);
    let second = judge(&contradicting, POLICY, &mut doubts);
    assert!(!second.look_again && second.warnings[0].contains("lists 30 applied model nodes, and counts 42"));
    let third = judge(&Read { now: now().plus_millis(3_600_000), ..contradicting }, POLICY, &mut doubts);
    assert!(third.is_certain && !third.look_again);
    let none = Inventory::default();
    let begin = Read { stored: &none, is_first: true, ..contradicting };
    assert!(judge(&begin, POLICY, &mut Doubts::default()).held.is_some());
    assert_eq!(judge(&begin, POLICY, &mut doubts).held, None, "believed");
}

#[test]
fn an_older_state_is_not_applied_before_three_reads_agree() {
    let at = |text: &str| Timestamp::parse(text);
    let (mut stored, mut fetched) = (wide(), wide());
    stored.environment.applied_at = at("2026-10-31T12:00:00Z");
    fetched.environment.applied_at = at("2026-10-31T11:00:00Z");
    let mut doubts = Doubts::default();
    let held = |minutes: i64, doubts: &mut Doubts| {
        let now = now().plus_millis(minutes * 60_000);
        judge(&Read { now, ..read(&stored, &fetched) }, POLICY, doubts).held
    };
    assert!(held(0, &mut doubts).expect("held").reasons[0].contains("older"));
    assert!(held(30, &mut doubts).is_some());
    assert_eq!(held(60, &mut doubts), None);
}

#[test]
fn a_kept_value_is_applied_and_not_remembered_until_three_reads_agree() {
    let (nodes, kept) = (wide(), BTreeSet::from(["catalog m".to_owned()]));
    let mut doubts = Doubts::default();
    let certain = |minutes: i64, doubts: &mut Doubts| {
        let now = now().plus_millis(minutes * 60_000);
        let verdict = judge(&Read { now, kept: &kept, ..read(&nodes, &nodes) }, POLICY, doubts);
        assert!(verdict.held.is_none() && !verdict.look_again);
        verdict.is_certain
    };
    assert_eq!([0, 30, 60, 90].map(|minutes| certain(minutes, &mut doubts)), [false, false, true, true]);
}
