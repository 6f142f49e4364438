//! How fast one (host, token) is asked: at most so many requests in any minute, and a common silence after a 429.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// In any span of this length the allowance holds.
const WINDOW: Duration = Duration::from_secs(60);

/// The pace of one (host, token), shared by all who ask it.
#[derive(Debug)]
pub(crate) struct Pace(Mutex<State>);

#[derive(Debug)]
struct State {
    /// When the requests of the last minute were sent, oldest first.
    sent: VecDeque<Instant>,
    /// Until when nobody asks.
    quiet_until: Instant,
}

impl Pace {
    /// A pace that begins with requests that others sent: how long ago, and how many.
    pub(crate) fn after(spent: &[(Duration, usize)]) -> Self {
        let now = Instant::now();
        let mut sent = Vec::new();
        for (age, count) in spent {
            let at = now.checked_sub(*age).unwrap_or(now);
            sent.extend(std::iter::repeat_n(at, *count));
        }
        sent.sort_unstable();
        Self(Mutex::new(State { sent: sent.into(), quiet_until: now }))
    }

    /// Waits until a request may be sent; whether it then still may, [`Pace::take`] decides. `Err` says how long a silence lasts that
    /// ends after `deadline`; then there was no wait.
    pub(crate) async fn wait(&self, per_minute: usize, deadline: Instant) -> Result<(), Duration> {
        loop {
            let now = Instant::now();
            let (free, quiet_until) = {
                let mut state = self.lock();
                (state.free(per_minute, now), state.quiet_until)
            };
            if quiet_until > now.max(deadline) {
                return Err(quiet_until - now);
            }
            let at = free.max(quiet_until);
            if at <= now {
                return Ok(());
            }
            sleep_until(at).await;
        }
    }

    /// Counts a request that is sent now. False if others took the last of the allowance, or met a 429.
    pub(crate) fn take(&self, per_minute: usize) -> bool {
        let now = Instant::now();
        let mut state = self.lock();
        let may = state.free(per_minute, now) <= now && state.quiet_until <= now;
        if may {
            state.sent.push_back(now);
        }
        may
    }

    /// Nobody asks for `wait` from now on; a longer silence stays.
    pub(crate) fn keep_quiet(&self, wait: Duration) {
        let mut state = self.lock();
        state.quiet_until = state.quiet_until.max(Instant::now() + wait);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// When there is room for one more: now, or once the oldest that is in its way is a minute old.
    fn free(&mut self, per_minute: usize, now: Instant) -> Instant {
        while self.sent.front().is_some_and(|sent| *sent + WINDOW <= now) {
            self.sent.pop_front();
        }
        let in_the_way = self.sent.len().checked_sub(per_minute).and_then(|index| self.sent.get(index));
        in_the_way.map_or(now, |sent| *sent + WINDOW)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn far() -> Instant {
        Instant::now() + Duration::from_secs(3600)
    }

    async fn send(pace: &Pace, per_minute: usize) -> Instant {
        pace.wait(per_minute, far()).await.expect("a turn");
        assert!(pace.take(per_minute));
        Instant::now()
    }

    #[tokio::test(start_paused = true)]
    async fn the_allowance_is_spent_at_once_and_never_exceeded_in_any_minute() {
        let pace = Pace::after(&[]);
        let start = Instant::now();
        let mut sent = Vec::new();
        for number in 0..1200 {
            if number == 100 {
                tokio::time::advance(Duration::from_secs(20)).await;
            }
            sent.push(send(&pace, 400).await);
        }
        let at = |number: usize| (sent[number] - start).as_secs_f64().round();
        assert_eq!([0, 99, 100, 399, 400, 499, 500, 799].map(at), [0., 0., 20., 20., 60., 60., 80., 80.]);
        for window in sent.windows(401) {
            assert!(window[400] - window[0] >= WINDOW);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_waited_for_the_last_of_the_allowance_does_not_share_it() {
        let pace = Pace::after(&[]);
        for _ in 0..2 {
            pace.wait(1, far()).await.expect("there is room");
        }
        assert!(pace.take(1) && !pace.take(1));
    }

    #[tokio::test(start_paused = true)]
    async fn what_others_sent_counts_until_it_is_a_minute_old() {
        let seconds = Duration::from_secs;
        let pace = Pace::after(&[(seconds(10), 5), (seconds(40), 3), (seconds(61), 100)]);
        let start = Instant::now();
        let mut waited = Vec::new();
        for _ in 0..10 {
            waited.push((send(&pace, 10).await - start).as_secs());
        }
        assert_eq!(waited, [0, 0, 20, 20, 20, 50, 50, 50, 50, 50]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_silence_holds_for_all_and_is_refused_beyond_the_deadline() {
        let pace = Pace::after(&[]);
        pace.wait(400, far()).await.expect("a turn");
        pace.keep_quiet(Duration::from_secs(300));
        pace.keep_quiet(Duration::from_secs(1));
        assert!(!pace.take(400), "a 429 came in between");
        let start = Instant::now();
        let refused = pace.wait(400, start + Duration::from_secs(60)).await;
        assert_eq!(refused, Err(Duration::from_secs(300)));
        assert_eq!(start.elapsed(), Duration::ZERO);
        pace.wait(400, start + Duration::from_secs(600)).await.expect("a turn");
        assert!(start.elapsed() >= Duration::from_secs(300));
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_window_is_waited_for_whatever_the_patience() {
        let pace = Pace::after(&[(Duration::ZERO, 400)]);
        let start = Instant::now();
        pace.wait(400, start).await.expect("a turn");
        assert_eq!(start.elapsed(), WINDOW);
    }
}
