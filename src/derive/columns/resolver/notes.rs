//! What is gathered on the way: sources of columns, and what is used by each query under a name, since only what is read counts.

use std::collections::BTreeSet;
use std::rc::Rc;

use super::Clause;
use super::relation::Place;

/// What is done to a column on one way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    Copy,
    Transformation,
    Aggregation,
}

/// What a column comes from: each place once, with the strongest step of all ways from there.
#[derive(Debug, Clone)]
pub(super) struct Sources(Option<Rc<[(Place, Step)]>>);

impl Sources {
    pub(super) fn none() -> Self {
        Self(None)
    }

    pub(super) fn one(place: Place, step: Step) -> Self {
        Self(Some(Rc::new([(place, step)])))
    }

    pub(super) fn of(mut all: Vec<(Place, Step)>) -> Self {
        if all.is_empty() {
            return Self(None);
        }
        // The strongest first, which is the one that stays.
        all.sort_unstable_by_key(|(place, step)| (*place, std::cmp::Reverse(*step)));
        all.dedup_by_key(|(place, _)| *place);
        Self(Some(all.into()))
    }

    /// What all of these come from.
    pub(super) fn all<'s>(sources: impl Iterator<Item = &'s Self>) -> Self {
        Self::of(sources.flat_map(Self::iter).collect())
    }

    /// The same, with at least this step.
    pub(super) fn raised(&self, least: Step) -> Self {
        Self::of(self.iter().map(|(place, step)| (place, step.max(least))).collect())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Place, Step)> {
        self.0.iter().flat_map(|all| all.iter().copied())
    }

    pub(super) fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |all| all.len())
    }

    fn step(&self, place: Place) -> Option<Step> {
        let all = self.0.as_ref()?;
        all.binary_search_by_key(&place, |(place, _)| *place).ok().map(|found| all[found].1)
    }

    /// Whether this place comes by this step.
    pub(super) fn has(&self, place: Place, step: Step) -> bool {
        self.step(place) == Some(step)
    }

    /// Whether all of the others are among these.
    pub(super) fn covers(&self, others: &Self) -> bool {
        others.iter().all(|(place, step)| self.has(place, step))
    }
}

/// What stands in one query that has a name, or in the outermost.
#[derive(Default)]
struct Part {
    uses: Vec<(Place, Clause)>,
    named: Vec<Place>,
    reasons: Vec<String>,
    /// The parts that it reads.
    reads: Vec<usize>,
    /// It is the code of another node.
    is_inlined: bool,
}

/// What stands where.
pub(super) struct Notes {
    parts: Vec<Part>,
    current: usize,
    /// Where an expression is looked at, what the clauses of its subqueries name belongs to it.
    captured: Vec<Vec<(Place, Step)>>,
}

impl Default for Notes {
    fn default() -> Self {
        Self { parts: vec![Part::default()], current: 0, captured: Vec::new() }
    }
}

/// So many reasons are told.
const MOST_REASONS: usize = 3;

impl Notes {
    /// Begins a part; what is noted until [`Self::leave`] belongs to it. Returns its number, and the part before.
    pub(super) fn enter(&mut self, is_inlined: bool) -> (usize, usize) {
        let is_inlined = is_inlined || self.parts[self.current].is_inlined;
        self.parts.push(Part { is_inlined, ..Part::default() });
        let part = self.parts.len() - 1;
        (part, std::mem::replace(&mut self.current, part))
    }

    pub(super) fn leave(&mut self, before: usize) {
        self.current = before;
    }

    pub(super) fn reads(&mut self, part: usize) {
        let reads = &mut self.parts[self.current].reads;
        if !reads.contains(&part) {
            reads.push(part);
        }
    }

    pub(super) fn capture(&mut self) {
        self.captured.push(Vec::new());
    }

    pub(super) fn captured(&mut self) -> Vec<(Place, Step)> {
        self.captured.pop().unwrap_or_default()
    }

    pub(super) fn uses(&mut self, clause: Clause, sources: &Sources) {
        match self.captured.last_mut() {
            Some(captured) => captured.extend(sources.iter()),
            None => self.parts[self.current].uses.extend(sources.iter().map(|(place, _)| (place, clause))),
        }
    }

    pub(super) fn named(&mut self, sources: &Sources) {
        self.parts[self.current].named.extend(sources.iter().map(|(place, _)| place));
    }

    pub(super) fn reason(&mut self, reason: String) {
        let reasons = &mut self.parts[self.current].reasons;
        if reasons.len() < MOST_REASONS && !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }

    /// All uses of what is read, and why not everything is resolved. What is named and neither used nor in `lineage` is only read.
    pub(super) fn finish(self, lineage: &Sources) -> (BTreeSet<(Place, Clause)>, Vec<String>) {
        let mut is_read = vec![false; self.parts.len()];
        let mut next = vec![0];
        while let Some(part) = next.pop() {
            if !std::mem::replace(&mut is_read[part], true) {
                next.extend(&self.parts[part].reads);
            }
        }
        let (mut uses, mut named, mut reasons) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
        for (part, is_read) in self.parts.into_iter().zip(is_read) {
            if is_read {
                uses.extend(part.uses);
            } else if part.is_inlined {
                continue;
            } else {
                named.extend(part.uses.into_iter().map(|(place, _)| place));
            }
            named.extend(part.named);
            let new = part.reasons.into_iter().filter(|reason| !reasons.contains(reason));
            let new: Vec<String> = new.collect();
            reasons.extend(new);
        }
        let used: BTreeSet<Place> = uses.iter().map(|(place, _)| *place).collect();
        let only_read = named.into_iter().filter(|place| !used.contains(place) && lineage.step(*place).is_none());
        uses.extend(only_read.map(|place| (place, Clause::Other)));
        reasons.truncate(MOST_REASONS);
        (uses, reasons)
    }
}
