//! What was doubted in the last reads, and since when: three reads that agree, over at least an hour, are believed. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::time::Timestamp;

/// So many reads that agree are believed …
const AGREEING: u32 = 3;
/// … over at least so long, in milliseconds.
const OVER: i64 = 3_600_000;

/// What a doubt is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum About {
    /// Losses that are held.
    Losses,
    /// Stored values that were kept because their answer was null.
    Kept,
    /// Lists that contradict the platform's own counts.
    Counts,
    /// States that are older than what was read before.
    Lag,
    /// Databases and schemas to which a person let nodes move, and from which: never listed, only believed.
    Places,
}

impl About {
    /// Every subject.
    pub const ALL: [Self; 5] = [Self::Losses, Self::Kept, Self::Counts, Self::Lag, Self::Places];

    /// The word under which the catalog keeps it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Losses => "losses",
            Self::Kept => "kept",
            Self::Counts => "counts",
            Self::Lag => "lag",
            Self::Places => "places",
        }
    }
}

/// What the last reads listed of one subject.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Doubt {
    /// What the last read listed.
    pub list: BTreeSet<String>,
    /// How many reads in a row listed exactly that …
    pub reads: u32,
    /// … since when.
    pub since: Option<Timestamp>,
    /// What is believed, by three reads that agree or by a person, for as long as it is listed.
    pub believed: BTreeSet<String>,
}

impl Doubt {
    /// Takes what one more read lists. What is no longer listed was answered, and is no longer believed.
    fn hear(&mut self, listed: BTreeSet<String>, all: &BTreeSet<String>, now: Timestamp) {
        self.believed.retain(|item| all.contains(item));
        // A moment that is yet to come says nothing about how long ago it was.
        let agrees = !listed.is_empty() && self.list == listed && self.since.is_some_and(|since| since <= now);
        if !agrees {
            (self.reads, self.since) = (0, Some(now));
        }
        self.reads = if listed.is_empty() { 0 } else { self.reads.saturating_add(1) };
        self.list = listed;
    }

    /// True if as many reads agreed as it takes.
    fn is_settled(&self, now: Timestamp) -> bool {
        self.reads >= AGREEING && self.since.is_some_and(|since| now.since(since) >= OVER)
    }
}

/// The doubts about one environment, by subject.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Doubts(BTreeMap<About, Doubt>);

impl Doubts {
    /// Those that the catalog keeps.
    pub fn new(doubts: BTreeMap<About, Doubt>) -> Self {
        Self(doubts)
    }

    /// What is known of a subject.
    pub fn about(&self, about: About) -> Option<&Doubt> {
        self.0.get(&about)
    }

    /// True if a read of this was listed just so by the last one.
    pub(super) fn repeats(&self, about: About, listed: &BTreeSet<String>) -> bool {
        self.0.get(&about).is_some_and(|doubt| doubt.reads > 0 && doubt.list == *listed)
    }

    /// True if it is believed.
    pub(super) fn believes(&self, about: About, item: &str) -> bool {
        self.0.get(&about).is_some_and(|doubt| doubt.believed.contains(item))
    }

    /// Takes what one more read lists about a subject, out of `all` that it says of it. Returns what of it is still doubted; what
    /// `may_settle` picks is believed from the third read on that agrees.
    pub(super) fn hear(
        &mut self,
        about: About,
        listed: BTreeSet<String>,
        all: &BTreeSet<String>,
        now: Timestamp,
        may_settle: impl Fn(&str) -> bool,
    ) -> BTreeSet<String> {
        let doubt = self.0.entry(about).or_default();
        doubt.hear(listed, all, now);
        if doubt.is_settled(now) {
            doubt.believed.extend(doubt.list.iter().filter(|item| may_settle(item)).cloned());
        }
        doubt.list.difference(&doubt.believed).cloned().collect()
    }

    /// Believes what a person has approved.
    pub fn approve(&mut self, about: About, items: impl IntoIterator<Item = String>) {
        self.0.entry(about).or_default().believed.extend(items);
    }

    /// Each subject of which anything is kept.
    pub fn iter(&self) -> impl Iterator<Item = (About, &Doubt)> {
        let kept = |(_, doubt): &(&About, &Doubt)| doubt.reads > 0 || !doubt.believed.is_empty();
        self.0.iter().filter(kept).map(|(about, doubt)| (*about, doubt))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(items: &[&str]) -> BTreeSet<String> {
        items.iter().map(|item| (*item).to_owned()).collect()
    }

    fn at(minute: i64) -> Timestamp {
        Timestamp::parse("2026-11-01T00:00:00Z").expect("a time").plus_millis(minute * 60_000)
    }

    /// What is still doubted after each of these reads.
    fn doubted(reads: &[(i64, &[&str])]) -> Vec<usize> {
        let mut doubts = Doubts::default();
        let hear = |(minute, items): &(i64, &[&str])| {
            doubts.hear(About::Kept, list(items), &list(items), at(*minute), |_| true).len()
        };
        reads.iter().map(hear).collect()
    }

    #[test]
    fn three_reads_that_agree_over_an_hour_are_believed() {
        assert_eq!(doubted(&[(0, &["a"]), (15, &["a"]), (61, &["a"]), (70, &["a"])]), [1, 1, 0, 0]);
        assert_eq!(doubted(&[(0, &["a"]), (1, &["a"]), (2, &["a"]), (59, &["a"]), (60, &["a"])]), [1, 1, 1, 1, 0]);
        assert_eq!(doubted(&[(0, &["a"]), (90, &["a"])]), [1, 1], "two are too few");
    }

    #[test]
    fn another_list_begins_anew_and_a_part_of_what_is_believed_is_believed() {
        assert_eq!(doubted(&[(0, &["a"]), (30, &["a", "b"]), (90, &["a"]), (120, &["a"])]), [1, 2, 1, 1]);
        let believed = [(0, &["a", "b"][..]), (30, &["a", "b"]), (60, &["a", "b"])];
        assert_eq!(doubted(&[&believed[..], &[(75, &["b"][..])]].concat()), [2, 2, 0, 0]);
        let answered = [&believed[..], &[(75, &[][..]), (90, &["a"])]].concat();
        assert_eq!(doubted(&answered), [2, 2, 0, 0, 1], "what was answered is doubted anew");
        let more = [&believed[..], &[(75, &["a", "b", "c"][..])]].concat();
        assert_eq!(doubted(&more), [2, 2, 0, 1]);
    }

    #[test]
    fn a_clock_that_was_ahead_is_no_hour() {
        assert_eq!(doubted(&[(600, &["a"]), (0, &["a"]), (15, &["a"]), (30, &["a"])]), [1, 1, 1, 1]);
    }

    #[test]
    fn what_a_person_approves_is_believed_until_it_is_answered() {
        let mut doubts = Doubts::default();
        doubts.approve(About::Losses, ["a".to_owned()]);
        assert!(doubts.believes(About::Losses, "a"));
        doubts.hear(About::Losses, list(&[]), &list(&["a"]), at(0), |_| false);
        assert!(doubts.believes(About::Losses, "a"), "still said, and no longer listed as a loss since it is approved");
        doubts.hear(About::Losses, list(&[]), &list(&[]), at(1), |_| false);
        assert!(!doubts.believes(About::Losses, "a"));
    }
}
