//! How fast one (host, token) is asked: an even pace with some burst, and a common silence after a 429.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// How much of a minute's allowance may be used at once.
const BURST: Duration = Duration::from_secs(6);

/// The pace of one (host, token), shared by all who ask it.
#[derive(Debug)]
pub(crate) struct Pace(Mutex<State>);

#[derive(Debug)]
struct State {
    /// When the next request would be due if all came evenly.
    due: Instant,
    /// Until when nobody asks.
    quiet_until: Instant,
}

impl Pace {
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        Self(Mutex::new(State { due: now, quiet_until: now }))
    }

    /// Waits for this request's turn, one each `interval` on average. `Err` says how long the turn is away if that is after
    /// `deadline`; then there was no wait.
    pub(crate) async fn turn(&self, interval: Duration, deadline: Instant) -> Result<(), Duration> {
        loop {
            let at = self.reserve(interval, deadline)?;
            sleep_until(at).await;
            // Somebody may have met a 429 in the meantime.
            if !self.is_quiet() {
                return Ok(());
            }
        }
    }

    fn reserve(&self, interval: Duration, deadline: Instant) -> Result<Instant, Duration> {
        let now = Instant::now();
        let mut state = self.lock();
        let due = state.due.max(now);
        let at = due.checked_sub(BURST).unwrap_or(now).max(now).max(state.quiet_until);
        if at > now && at > deadline {
            return Err(at - now);
        }
        state.due = due + interval;
        Ok(at)
    }

    /// Nobody asks for `wait` from now on; a longer silence stays.
    pub(crate) fn keep_quiet(&self, wait: Duration) {
        let mut state = self.lock();
        state.quiet_until = state.quiet_until.max(Instant::now() + wait);
    }

    /// True while nobody may ask.
    pub(crate) fn is_quiet(&self) -> bool {
        self.lock().quiet_until > Instant::now()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_millis(150); // 400 a minute

    fn far() -> Instant {
        Instant::now() + Duration::from_secs(3600)
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_free_and_then_the_pace_holds() {
        let pace = Pace::new();
        let start = Instant::now();
        for _ in 0..40 {
            pace.turn(INTERVAL, far()).await.expect("a turn");
        }
        assert!(start.elapsed() < Duration::from_millis(5), "{:?}", start.elapsed());
        for _ in 0..400 {
            pace.turn(INTERVAL, far()).await.expect("a turn");
        }
        let minute = start.elapsed().as_millis();
        assert!((59_000..61_000).contains(&minute), "{minute}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_silence_holds_for_all_and_is_refused_beyond_the_deadline() {
        let pace = Pace::new();
        pace.keep_quiet(Duration::from_secs(300));
        pace.keep_quiet(Duration::from_secs(1));
        let start = Instant::now();
        let refused = pace.turn(INTERVAL, start + Duration::from_secs(60)).await;
        assert_eq!(refused, Err(Duration::from_secs(300)));
        assert_eq!(start.elapsed(), Duration::ZERO);
        pace.turn(INTERVAL, start + Duration::from_secs(600)).await.expect("a turn");
        assert!(start.elapsed() >= Duration::from_secs(300));
    }
}
