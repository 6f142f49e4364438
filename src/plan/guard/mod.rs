//! A catalog that can be trusted: decides whether a complete read is applied, held for a person, or applied and not relied upon.
//! Pure.

mod doubts;
mod losses;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use crate::inventory::{Inventory, Node, ResourceType, State, Tally};
use crate::time::Timestamp;

pub(crate) use doubts::{About, Doubt, Doubts};
pub(crate) use losses::{Loss, LossKind};

/// After so many days without a run the platform forgets an environment, so what is missing then says nothing.
pub(crate) const FORGOTTEN_AFTER_DAYS: i64 = 60;

/// How many ids a message names.
const NAMED: usize = 20;

/// When a loss is too large to be applied unseen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Policy {
    /// Held above this share of one resource type, in percent …
    pub max_removed_percent: f64,
    /// … and above this number of it.
    pub min_removed_floor: u64,
}

/// Why a read is held, and what it would have taken away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// One sentence for each reason.
    pub reasons: Vec<String>,
    /// What each node would lose, sorted; empty where it is not about losses.
    pub losses: Vec<Loss>,
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "held: {}", self.reasons.join("; "))?;
        let named: Vec<String> = self
            .losses
            .iter()
            .take(NAMED)
            .map(|loss| format!("`{}` ({})", loss.unique_id, loss.kind.as_str()))
            .collect();
        match self.losses.len() {
            0 => Ok(()),
            count if count > NAMED => write!(f, "; it is about {} and {} more", named.join(", "), count - NAMED),
            _ => write!(f, "; it is about {}", named.join(", ")),
        }
    }
}

/// What the guard looks at.
#[derive(Debug)]
pub(crate) struct Read<'a> {
    /// What the catalog holds.
    pub stored: &'a Inventory,
    /// What was fetched, complete, with what was not answered carried over.
    pub fetched: &'a Inventory,
    /// The stored values that were kept in place of an answer that was null.
    pub kept: &'a BTreeSet<String>,
    /// The lengths of the lists beside what the platform counts.
    pub tallies: &'a [Tally],
    /// The platform answered `applied: null`, without an error. Where it answers nothing but empty lists, that is as good as null.
    pub applied_is_null: bool,
    /// It is of files: a whole manifest agrees with itself, and reading the same file again says the same.
    pub is_of_files: bool,
    /// No read of this environment was ever applied.
    pub is_first: bool,
    /// The present moment.
    pub now: Timestamp,
}

/// What is done with a read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Why it is not applied.
    pub held: Option<Held>,
    /// It is held, or the platform contradicts itself, and the read before this one was not: a second look comes first.
    pub look_again: bool,
    /// Nothing about it is in doubt: it is remembered as the state that the next probe is compared with.
    pub is_certain: bool,
    /// What the user should know, one sentence each.
    pub warnings: Vec<String>,
}

/// Decides on a complete read, and takes it into account for the reads to come. A read that loses nothing and contradicts nothing
/// is never held.
pub(crate) fn judge(read: &Read<'_>, policy: Policy, doubts: &mut Doubts) -> Verdict {
    let mut verdict = Verdict { held: None, look_again: false, is_certain: true, warnings: Vec::new() };
    let mut held = Held { reasons: Vec::new(), losses: Vec::new() };
    weigh_losses(read, policy, doubts, &mut held, &mut verdict);
    weigh_counts(read, doubts, &mut held, &mut verdict);
    weigh_lag(read, doubts, &mut held, &mut verdict);
    let unsure = doubts.hear(About::Kept, read.kept.clone(), read.kept, read.now, |_| true);
    if !unsure.is_empty() {
        verdict.is_certain = false;
        verdict.warnings.push(format!(
            "{} stored values were kept, since the platform answered null: the next sync reads again",
            unsure.len()
        ));
    }
    if !held.reasons.is_empty() {
        verdict.held = Some(held);
    }
    verdict
}

/// A reason to hold, and the losses that it is about.
struct Concern<'a> {
    reason: String,
    losses: Vec<&'a Loss>,
    /// Three reads that agree are as good as a person.
    settles: bool,
}

fn weigh_losses(read: &Read<'_>, policy: Policy, doubts: &mut Doubts, held: &mut Held, verdict: &mut Verdict) {
    let lost = losses::losses(read, |place| doubts.believes(About::Places, place));
    let all: BTreeSet<String> = lost.iter().map(Loss::to_string).collect();
    // What is believed or approved counts as already gone.
    let believed: BTreeSet<&Loss> =
        lost.iter().filter(|loss| doubts.believes(About::Losses, &loss.to_string())).collect();
    let open = lost.iter().filter(|loss| !believed.contains(loss)).collect();
    let scale = Scale { read, policy, open, believed: &believed };
    let concerns = scale.concerns();
    let listed: BTreeSet<String> =
        concerns.iter().flat_map(|concern| &concern.losses).map(|loss| loss.to_string()).collect();
    let grave: BTreeSet<String> = concerns
        .iter()
        .filter(|concern| !concern.settles || read.is_of_files)
        .flat_map(|concern| &concern.losses)
        .map(|loss| loss.to_string())
        .collect();
    let repeated = doubts.repeats(About::Losses, &listed);
    verdict.is_certain &= read.is_of_files
        || !scale.open.iter().any(|loss| !listed.contains(&loss.to_string()) && !scale.is_confirmed(loss));
    let doubted = doubts.hear(About::Losses, listed, &all, read.now, |item| !grave.contains(item));
    for concern in concerns {
        if concern.losses.iter().any(|loss| doubted.contains(&loss.to_string())) {
            held.reasons.push(concern.reason);
        }
    }
    held.losses = lost.iter().filter(|loss| doubted.contains(&loss.to_string())).cloned().collect();
    verdict.look_again |= !held.losses.is_empty() && !repeated && !read.is_of_files;
    verdict.warnings.extend(scale.small_types());
    remember_places(read, &believed, doubts);
}

/// Where nodes were let move, and whence: going there and back is no loss again.
fn remember_places(read: &Read<'_>, believed: &BTreeSet<&Loss>, doubts: &mut Doubts) {
    let moved = believed.iter().filter(|loss| loss.kind == LossKind::Moved);
    let nodes =
        moved.flat_map(|loss| [read.stored, read.fetched].map(|inventory| inventory.nodes.get(&loss.unique_id)));
    let places: BTreeSet<String> = nodes.flatten().map(|node| losses::place(node)).collect();
    if !places.is_empty() {
        doubts.approve(About::Places, places);
    }
}

/// Lists that contradict the platform's own counts: a warning, and before anything was ever read a reason to wait.
fn weigh_counts(read: &Read<'_>, doubts: &mut Doubts, held: &mut Held, verdict: &mut Verdict) {
    let wrong: Vec<&Tally> = read.tallies.iter().filter(|tally| tally.listed != tally.counted).collect();
    let listed: BTreeSet<String> =
        wrong.iter().map(|tally| format!("{} {}", tally.state, tally.resource_type)).collect();
    let repeated = doubts.repeats(About::Counts, &listed);
    let doubted = doubts.hear(About::Counts, listed.clone(), &listed, read.now, |_| true);
    verdict.look_again |= !doubted.is_empty() && !repeated;
    verdict.is_certain &= doubted.is_empty();
    let tell = |tally: &&Tally| {
        let Tally { state, resource_type, listed, counted } = tally;
        format!("the platform lists {listed} {state} {resource_type} nodes, and counts {counted}")
    };
    let told = wrong.iter().map(tell);
    match read.is_first && !doubted.is_empty() {
        true => held.reasons.extend(told),
        false => verdict.warnings.extend(told),
    }
}

/// A state that is older than the one that was read before: a replica that lags answers so.
fn weigh_lag(read: &Read<'_>, doubts: &mut Doubts, held: &mut Held, verdict: &mut Verdict) {
    let (before, now) = (&read.stored.environment, &read.fetched.environment);
    if read.is_of_files {
        return;
    }
    let states = [
        (State::Applied, before.applied_at, now.applied_at),
        (State::Definition, before.definition_at, now.definition_at),
    ];
    let lagging: Vec<(State, Timestamp, Timestamp)> = states
        .into_iter()
        .filter_map(|(state, before, now)| Some((state, before?, now?)))
        .filter(|(_, before, now)| now < before)
        .collect();
    let listed: BTreeSet<String> = lagging.iter().map(|(state, ..)| state.to_string()).collect();
    let repeated = doubts.repeats(About::Lag, &listed);
    let doubted = doubts.hear(About::Lag, listed.clone(), &listed, read.now, |_| true);
    verdict.look_again |= !doubted.is_empty() && !repeated;
    for (state, before, now) in lagging.iter().filter(|(state, ..)| doubted.contains(&state.to_string())) {
        held.reasons.push(format!(
            "the platform shows the {state} state of {now}, which is older than that of {before}, which was read before"
        ));
    }
}

/// What is lost, beside what there is to lose.
struct Scale<'a> {
    read: &'a Read<'a>,
    policy: Policy,
    /// The losses that nobody has approved.
    open: Vec<&'a Loss>,
    believed: &'a BTreeSet<&'a Loss>,
}

impl<'a> Scale<'a> {
    fn concerns(&self) -> Vec<Concern<'a>> {
        let mut concerns = Vec::new();
        for kind in LossKind::ALL {
            concerns.extend(self.too_many(kind));
            concerns.extend(self.whole_types(kind));
        }
        concerns.extend(self.fallen_lists());
        concerns.extend(self.applied_state());
        concerns.extend(self.other_project());
        let removed = || self.losses(|loss, _| loss.kind == LossKind::Removed);
        if !removed().is_empty() {
            let grave = |reason| Concern { reason, losses: removed(), settles: false };
            let is_empty = self.read.fetched.node_count() == 0;
            concerns.extend(is_empty.then(|| grave("the environment would be left empty".to_owned())));
            concerns.extend(self.forgotten().filter(|_| !self.read.is_of_files).map(grave));
        }
        concerns
    }

    /// The open losses that a condition on them and their stored nodes picks.
    fn losses(&self, is_it: impl Fn(&Loss, &Node) -> bool) -> Vec<&'a Loss> {
        let node = |loss: &Loss| self.read.stored.nodes.get(&loss.unique_id);
        self.open.iter().copied().filter(|loss| node(loss).is_some_and(|node| is_it(loss, node))).collect()
    }

    /// How many nodes of each group have what `kind` takes.
    fn at_stake<G: Ord>(&self, kind: LossKind, group: impl Fn(&Node) -> G) -> BTreeMap<G, u64> {
        let mut counts = BTreeMap::new();
        for node in self.read.stored.nodes.values().filter(|node| kind.is_at_stake(node)) {
            if !self.believed.contains(&Loss { kind, unique_id: node.unique_id.clone() }) {
                *counts.entry(group(node)).or_default() += 1;
            }
        }
        counts
    }

    /// Groups of one type of which too large a share would be lost; removals are counted over applied and defined nodes apart.
    fn too_many(&self, kind: LossKind) -> Vec<Concern<'a>> {
        let group = |node: &Node| (node.resource_type, node.is_applied.filter(|_| kind == LossKind::Removed));
        let Policy { max_removed_percent, min_removed_floor } = self.policy;
        let concern = |((resource_type, is_applied), of): ((ResourceType, Option<bool>), u64)| {
            let losses = self.losses(|loss, node| loss.kind == kind && group(node) == (resource_type, is_applied));
            let gone = losses.len() as u64;
            let percent = gone as f64 * 100.0 / of as f64;
            let state = match is_applied {
                Some(true) => "applied ",
                Some(false) => "defined ",
                None => "",
            };
            (percent > max_removed_percent && gone > min_removed_floor).then(|| Concern {
                reason: format!(
                    "{gone} of {of} {state}{resource_type} nodes {} ({percent:.0} %, more than sync.max_removed_percent = \
                     {max_removed_percent})",
                    kind.verb()
                ),
                losses,
                settles: false,
            })
        };
        self.at_stake(kind, group).into_iter().filter_map(concern).collect()
    }

    /// Small types of which all would be lost, and no other answer says so.
    fn whole_types(&self, kind: LossKind) -> Vec<Concern<'a>> {
        let concern = |(resource_type, of): (ResourceType, u64)| {
            let losses = self.losses(|loss, node| loss.kind == kind && node.resource_type == resource_type);
            let is_whole = losses.len() as u64 == of && of <= self.policy.min_removed_floor;
            (is_whole && !losses.iter().all(|loss| self.is_confirmed(loss))).then(|| Concern {
                reason: match self.read.is_of_files {
                    true => format!("all {of} {resource_type} nodes {}", kind.verb()),
                    false => format!(
                        "all {of} {resource_type} nodes {}: this is applied when three reads over an hour agree",
                        kind.verb()
                    ),
                },
                losses,
                settles: true,
            })
        };
        self.at_stake(kind, |node| node.resource_type).into_iter().filter_map(concern).collect()
    }

    /// Of files: small types that are lost as a whole, which is applied at once.
    fn small_types(&self) -> Vec<String> {
        let told = |kind: LossKind| {
            let whole = move |(resource_type, of): (ResourceType, u64)| {
                let losses = self.losses(|loss, node| loss.kind == kind && node.resource_type == resource_type);
                let is_whole = losses.len() as u64 == of && of <= self.policy.min_removed_floor;
                is_whole.then(|| format!("all {of} {resource_type} nodes {}, as the manifest says", kind.verb()))
            };
            self.at_stake(kind, |node| node.resource_type).into_iter().filter_map(whole)
        };
        let kinds = [LossKind::Removed, LossKind::Parents].into_iter().filter(|_| self.read.is_of_files);
        kinds.flat_map(told).collect()
    }

    /// Of files: they are of another project, or made for another warehouse.
    fn other_project(&self) -> Option<Concern<'a>> {
        let loss = self.open.iter().copied().find(|loss| loss.kind == LossKind::Project)?;
        let both = loss.unique_id.as_str();
        let (before, now) = both.split_once(" -> ").unwrap_or((both, ""));
        let reason = format!("the manifest is of {now}, and the catalog holds {before}");
        Some(Concern { reason, losses: vec![loss], settles: false })
    }

    /// Lists that fell against what is stored, while the platform's count did not.
    fn fallen_lists(&self) -> Vec<Concern<'a>> {
        let stored = |tally: &Tally| {
            let is_of = |node: &&Arc<Node>| {
                node.resource_type == tally.resource_type
                    && (tally.state == State::Definition || node.is_applied == Some(true))
            };
            self.read.stored.nodes.values().filter(is_of).count() as u64
        };
        let fell = |tally: &&Tally| tally.listed < tally.counted && tally.listed < stored(tally);
        let concern = |tally: &Tally| {
            let Tally { state, resource_type, listed, counted } = tally;
            let losses = self.losses(|loss, node| {
                matches!(loss.kind, LossKind::Removed | LossKind::Unapplied) && node.resource_type == *resource_type
            });
            let reason = format!(
                "the platform lists {listed} {state} {resource_type} nodes, and counts {counted}: {} that the catalog holds are not listed",
                losses.len()
            );
            (!losses.is_empty()).then_some(Concern { reason, losses, settles: true })
        };
        self.read.tallies.iter().filter(fell).filter_map(concern).collect()
    }

    /// The applied state as a whole must not vanish unseen.
    fn applied_state(&self) -> Option<Concern<'a>> {
        let still_applied = self.read.fetched.nodes.values().any(|node| node.is_applied == Some(true));
        if still_applied && !self.read.applied_is_null {
            return None;
        }
        let losses = self.losses(|loss, node| {
            matches!(loss.kind, LossKind::Removed | LossKind::Unapplied) && node.is_applied == Some(true)
        });
        let answer = match (self.read.is_of_files, self.read.applied_is_null) {
            (true, _) => "files show nothing to be built",
            (false, true) => "platform answered `applied: null`",
            (false, false) => "platform lists nothing as applied",
        };
        let ids: BTreeSet<_> = losses.iter().map(|loss| &loss.unique_id).collect();
        let reason = format!("the {answer}, and the catalog holds {} applied nodes", ids.len());
        (!losses.is_empty()).then_some(Concern { reason, losses, settles: false })
    }

    /// Whether another answer than the list itself says the same, so that no second read is needed to rely on it.
    fn is_confirmed(&self, loss: &Loss) -> bool {
        let Some(node) = self.read.stored.nodes.get(&loss.unique_id) else { return false };
        let counted = |state: State| {
            let of = |tally: &&Tally| tally.state == state && tally.resource_type == node.resource_type;
            self.read.tallies.iter().find(of).is_some_and(|tally| tally.listed == tally.counted)
        };
        match loss.kind {
            // Where it was applied, both states had it, and neither lists it any more.
            LossKind::Removed => self.read.is_of_files || node.is_applied == Some(true) || counted(State::Definition),
            LossKind::Unapplied => self.read.is_of_files || counted(State::Applied),
            LossKind::Parents | LossKind::Columns => self.read.is_of_files,
            LossKind::Moved | LossKind::Project => false,
        }
    }

    fn forgotten(&self) -> Option<String> {
        let environment = &self.read.fetched.environment;
        let updated = environment.applied_at.or(environment.definition_at)?;
        let age = self.read.now.since(updated);
        (age > FORGOTTEN_AFTER_DAYS * 86_400_000).then(|| {
            let days = age / 86_400_000;
            format!("the environment was last updated {days} days ago, and the platform forgets idle environments")
        })
    }
}

#[cfg(test)]
mod tests;
