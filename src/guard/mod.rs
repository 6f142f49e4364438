//! Deletion that can be trusted: decides whether a complete read that removes nodes is applied or held for a person. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::inventory::{Inventory, Node, ResourceType, Timestamp, UniqueId};

/// After so many days without a run the platform forgets an environment, so what is missing then says nothing.
pub const FORGOTTEN_AFTER_DAYS: i64 = 60;

/// When a removal is too large to be applied unseen.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// Held above this share of one resource type, in percent …
    pub max_removed_percent: f64,
    /// … and above this number of it.
    pub min_removed_floor: u64,
}

/// Why a read is held, and what it would have removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// One sentence for each reason.
    pub reasons: Vec<String>,
    /// All nodes that would go (or would no longer be applied, where the platform has lost the applied state), sorted.
    pub removals: Vec<UniqueId>,
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<String> = self.removals.iter().map(|id| format!("`{id}`")).collect();
        write!(f, "held for approval: {}; would remove {}", self.reasons.join("; "), ids.join(", "))
    }
}

/// What the guard looks at.
#[derive(Debug)]
pub struct Read<'a> {
    /// What the catalog holds.
    pub stored: &'a Inventory,
    /// What was fetched, complete.
    pub fetched: &'a Inventory,
    /// The platform answered `applied: null`, without an error. Where it answers nothing but empty lists, that is as good as null.
    pub applied_is_null: bool,
    /// Ids whose removal a person has approved: they count as already gone.
    pub approved: &'a BTreeSet<UniqueId>,
    /// The present moment.
    pub now: Timestamp,
}

/// Decides on a complete read: `None` to apply it, else why it is held. A read that removes nothing is never held, except that
/// the applied state as a whole must not vanish unseen.
pub fn judge(read: &Read<'_>, policy: Policy) -> Option<Held> {
    let counted: Vec<&Node> = read
        .stored
        .nodes
        .values()
        .filter(|node| node.resource_type != ResourceType::External && !read.approved.contains(&node.unique_id))
        .collect();
    let removals: Vec<&Node> = counted.iter().copied().filter(|node| is_gone(node, read.fetched)).collect();
    let mut reasons = Vec::new();
    let mut going: BTreeSet<&UniqueId> = removals.iter().map(|node| &node.unique_id).collect();
    let still_applied = read.fetched.nodes.values().any(|node| node.is_applied == Some(true));
    if read.applied_is_null || !still_applied {
        let applied: Vec<&UniqueId> =
            counted.iter().filter(|node| node.is_applied == Some(true)).map(|node| &node.unique_id).collect();
        if !applied.is_empty() {
            let answer = if read.applied_is_null { "answered `applied: null`" } else { "lists nothing as applied" };
            reasons.push(format!("the platform {answer}, and the catalog holds {} applied nodes", applied.len()));
            going.extend(applied);
        }
    }
    if !removals.is_empty() {
        reasons.extend(too_many(&counted, &removals, policy));
        if read.fetched.node_count() == 0 {
            reasons.push("the environment would be left empty".to_owned());
        }
        reasons.extend(forgotten(read));
    }
    let held = Held { reasons, removals: going.into_iter().cloned().collect() };
    (!held.reasons.is_empty()).then_some(held)
}

/// A node that edges still name, but that is no longer read, is gone as far as a removal goes.
fn is_gone(node: &Node, fetched: &Inventory) -> bool {
    fetched.nodes.get(&node.unique_id).is_none_or(|node| node.resource_type == ResourceType::External)
}

fn too_many(counted: &[&Node], removals: &[&Node], policy: Policy) -> Vec<String> {
    let count = |nodes: &[&Node]| {
        let mut counts: BTreeMap<(ResourceType, Option<bool>), u64> = BTreeMap::new();
        for node in nodes {
            *counts.entry((node.resource_type, node.is_applied)).or_default() += 1;
        }
        counts
    };
    let all = count(counted);
    let too_many = |((resource_type, applied), gone): ((ResourceType, Option<bool>), u64)| {
        let of = all.get(&(resource_type, applied)).copied().unwrap_or(gone);
        let percent = gone as f64 * 100.0 / of as f64;
        let state = match applied {
            Some(true) => "applied ",
            Some(false) => "defined ",
            None => "",
        };
        (percent > policy.max_removed_percent && gone > policy.min_removed_floor).then(|| {
            format!(
                "{gone} of {of} {state}{resource_type} nodes would go ({percent:.0} %, more than sync.max_removed_percent = {})",
                policy.max_removed_percent
            )
        })
    };
    count(removals).into_iter().filter_map(too_many).collect()
}

fn forgotten(read: &Read<'_>) -> Option<String> {
    let environment = &read.fetched.environment;
    let updated = environment.applied_at.or(environment.definition_at)?;
    let age = read.now.since(updated);
    (age > FORGOTTEN_AFTER_DAYS * 86_400_000).then(|| {
        let days = age / 86_400_000;
        format!("the environment was last updated {days} days ago, and the platform forgets idle environments")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: Policy = Policy { max_removed_percent: 20.0, min_removed_floor: 10 };

    fn inventory(groups: &[(ResourceType, Option<bool>, std::ops::Range<usize>)]) -> Inventory {
        let mut inventory = Inventory::default();
        for (resource_type, is_applied, numbers) in groups {
            for number in numbers.clone() {
                let id = format!("{resource_type}.{is_applied:?}.{number:04}");
                let node = Node { is_applied: *is_applied, ..Node::new(id, *resource_type) };
                inventory.nodes.insert(node.unique_id.clone(), node);
            }
        }
        inventory
    }

    fn judged(stored: &Inventory, fetched: &Inventory, approved: &[UniqueId]) -> Option<Held> {
        let approved = approved.iter().cloned().collect();
        let now = Timestamp::parse("2026-11-01T00:00:00Z").expect("a time");
        judge(&Read { stored, fetched, applied_is_null: false, approved: &approved, now }, POLICY)
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
        assert_eq!(held.removals.len(), 20);
    }

    #[test]
    fn a_node_that_is_only_named_by_edges_any_more_counts_as_removed() {
        let stored = inventory(&[(Model, APPLIED, 0..20)]);
        let mut fetched = stored.clone();
        for node in fetched.nodes.values_mut().take(15) {
            node.resource_type = External;
        }
        assert_eq!(judged(&stored, &fetched, &[]).expect("held").removals.len(), 15);
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
        assert_eq!(judged(&stored, &fetched, &held.removals), None);
        // The approval is of that list alone: eleven more of the twenty that are left are too many again.
        let fewer = inventory(&[(Model, APPLIED, 31..40)]);
        assert_eq!(judged(&stored, &fewer, &held.removals).expect("held").removals.len(), 11);
        assert_eq!(judged(&stored, &Inventory::default(), &stored.nodes.keys().cloned().collect::<Vec<_>>()), None);
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
        for node in fetched.nodes.values_mut() {
            node.is_applied = DEFINED;
        }
        let now = Timestamp::parse("2026-11-01T00:00:00Z").expect("a time");
        let none = BTreeSet::new();
        for applied_is_null in [true, false] {
            let read = Read { stored: &stored, fetched: &fetched, applied_is_null, approved: &none, now };
            let held = judge(&read, POLICY).expect("held");
            assert_eq!(held.removals.len(), 3);
            let approved = held.removals.into_iter().collect();
            assert_eq!(judge(&Read { approved: &approved, ..read }, POLICY), None);
        }
    }
}
