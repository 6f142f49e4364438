//! How much one evaluation may take: selectors come from strangers, too.

use std::cell::Cell;
use std::time::Instant;

/// So many characters compared and edges followed. Real projects and selectors need a hundredth of it.
const MOST_STEPS: u64 = 1_000_000_000;

/// After so many steps the clock is looked at.
const LOOK: u64 = 16_384;

/// Why an evaluation was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Over {
    /// It would take too many steps.
    #[error("the selectors need more than {MOST_STEPS} steps of comparing and walking: use fewer or simpler ones")]
    Steps,
    /// Its time was over.
    #[error("selecting took too long: use fewer or simpler selectors")]
    Time,
}

/// The steps and the time that are left to an evaluation.
#[derive(Debug)]
pub(crate) struct Budget {
    steps: Cell<u64>,
    look_at: Cell<u64>,
    deadline: Option<Instant>,
    over: Cell<Option<Over>>,
}

impl Budget {
    /// All steps there are, until `deadline`.
    pub(crate) fn until(deadline: Option<Instant>) -> Self {
        Self { steps: Cell::new(0), look_at: Cell::new(LOOK), deadline, over: Cell::new(None) }
    }

    /// Takes so many steps; false once nothing is left.
    pub(super) fn spend(&self, steps: usize) -> bool {
        let taken = self.steps.get().saturating_add(steps as u64);
        self.steps.set(taken);
        if taken >= self.look_at.get() && self.over.get().is_none() {
            self.look_at.set(taken + LOOK);
            if taken > MOST_STEPS {
                self.over.set(Some(Over::Steps));
            } else if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                self.over.set(Some(Over::Time));
            }
        }
        self.over.get().is_none()
    }

    #[cfg(test)]
    pub(super) fn spent(&self) -> u64 {
        self.steps.get()
    }

    /// An error once nothing is left.
    pub(super) fn check(&self) -> Result<(), Over> {
        self.over.get().map_or(Ok(()), Err)
    }
}
