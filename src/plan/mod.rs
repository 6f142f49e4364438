//! What differs between what is stored and what was read, and whether it may be applied. Pure: no clock, no I/O, no SQL.

mod carry;
mod diff;
mod fold;
mod graph;
mod guard;
mod owners;

use crate::inventory::{History, Inventory, Reading};
use crate::time::Timestamp;
use owners::resolve_owners;

pub(crate) use graph::{Direction, Graph};
pub(crate) use guard::*;

pub use carry::{Carried, carry_over};
pub use diff::{Change, ChangeKind, Counts, Diff, diff};
pub use graph::cycle_warnings;

/// What is known of an environment before a read of it.
pub(crate) struct Before<'a> {
    /// What is stored.
    pub(crate) stored: &'a Inventory,
    /// What the last reads could not make sure of.
    pub(crate) doubts: Doubts,
    /// Nothing was read yet that can be relied on.
    pub(crate) is_first: bool,
}

/// What a read is judged by.
pub(crate) struct Rules<'a> {
    /// The keys of `meta` in which an owner stands.
    pub(crate) owner_meta_keys: &'a [String],
    /// What a read may take away.
    pub(crate) policy: Policy,
    /// The time of the judgement.
    pub(crate) now: Timestamp,
}

/// A complete read, made comparable with what is stored, and the verdict on it.
pub(crate) struct Plan {
    /// What was read, with what is kept of what was not told.
    pub(crate) fetched: Inventory,
    /// What the user should know, one sentence each.
    pub(crate) warnings: Vec<String>,
    /// Whether it may be applied.
    pub(crate) verdict: Verdict,
    /// The doubts with those of this read.
    pub(crate) doubts: Doubts,
    /// What files told of runs and checks; `None` for an answer of the platform.
    pub(crate) history: Option<History>,
}

impl Plan {
    /// Completes what was read with what is known, and judges it. The changes are told by [`diff`].
    pub(crate) fn make(reading: Reading, before: Before<'_>, rules: &Rules<'_>) -> Self {
        let Before { stored, mut doubts, is_first } = before;
        let applied_is_null = reading.unanswered.applied;
        let is_of_files = reading.told.is_some();
        let tallies = reading.tallies.clone();
        let Carried { inventory: mut fetched, kept, mut warnings, history } = carry_over(reading, stored, rules.now);
        resolve_owners(&mut fetched, rules.owner_meta_keys);
        warnings.extend(fetched.add_externals());
        warnings.extend(cycle_warnings(&fetched));
        let read = Read {
            stored,
            fetched: &fetched,
            kept: &kept,
            tallies: &tallies,
            applied_is_null,
            is_of_files,
            is_first,
            now: rules.now,
        };
        let verdict = judge(&read, rules.policy, &mut doubts);
        Self { fetched, warnings, verdict, doubts, history }
    }
}
