//! A question on its way from page to page, and when it is asked again.

use std::time::Duration;

use tokio::time::Instant;

use crate::origin::discovery::error::Place;

/// No page is halved below this.
const SMALLEST_PAGE: u32 = 25;
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);
const SHORTEST_BACKOFF: Duration = Duration::from_millis(50);

/// One question: where it goes, and the part of it that changes from page to page.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub place: Place,
    /// Nodes on the next page.
    pub first: u32,
    /// The most that may be asked for, since an answer of more was too large.
    most: u32,
    least: u32,
    pub after: Option<String>,
    pub unique_ids: Vec<String>,
    pub types: Vec<String>,
    /// All tries of one page together.
    pub patience: Duration,
    /// No more tries than this.
    pub tries: u32,
}

impl Ask {
    /// A question of full pages.
    pub(crate) fn new(place: Place, page_size: u32, patience: Duration) -> Self {
        Self {
            place,
            first: page_size,
            most: page_size,
            least: page_size.min(SMALLEST_PAGE),
            after: None,
            unique_ids: Vec::new(),
            types: Vec::new(),
            patience,
            tries: u32::MAX,
        }
    }

    /// The same question, asked only once.
    pub(crate) fn once(self) -> Self {
        Self { tries: 1, ..self }
    }

    /// The same question, with no more patience than this.
    pub(crate) fn within(self, patience: Duration) -> Self {
        Self { patience: self.patience.min(patience), ..self }
    }

    /// Asks for half as many nodes. False at the smallest page.
    pub(crate) fn halve(&mut self) -> bool {
        let half = (self.first / 2).max(self.least);
        let smaller = half < self.first;
        self.first = half;
        smaller
    }

    /// The same, and no page is larger from now on.
    pub(crate) fn halve_for_good(&mut self) -> bool {
        let smaller = self.halve();
        self.most = self.first;
        smaller
    }

    /// After a good page, the next may be larger again.
    pub(crate) fn recover(&mut self) {
        self.first = self.first.saturating_mul(2).min(self.most);
    }
}

/// The tries of one page.
#[derive(Debug, Default)]
pub(crate) struct Tries {
    /// When the first was sent: waiting for others does not count.
    started: Option<Instant>,
    pub count: u32,
    pub failures: u32,
}

impl Tries {
    pub(crate) fn begin(&mut self) {
        self.started.get_or_insert_with(Instant::now);
        self.count += 1;
    }

    pub(crate) fn deadline(&self, patience: Duration) -> Instant {
        self.started.unwrap_or_else(Instant::now) + patience
    }

    pub(crate) fn left(&self, patience: Duration) -> Duration {
        self.deadline(patience).saturating_duration_since(Instant::now())
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.started.map(|start| start.elapsed()).unwrap_or_default()
    }
}

/// Full jitter: anything from the shortest wait to `base`, doubled for each failure.
pub(crate) fn backoff(base: Duration, failures: u32) -> Duration {
    let shortest = SHORTEST_BACKOFF.min(base);
    let longest = base.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(LONGEST_BACKOFF);
    shortest.max(longest.mul_f64(fastrand::f64()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_grows_to_a_cap_and_is_never_nothing() {
        for failures in 1..200 {
            let wait = backoff(Duration::from_millis(200), failures);
            assert!(wait >= SHORTEST_BACKOFF && wait <= LONGEST_BACKOFF, "{failures}: {wait:?}");
            assert!(failures > 1 || wait <= Duration::from_millis(200));
        }
    }
}
