//! Which environments are due: marked by timers, webhooks and requests, taken one after the other by the task of each.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::catalog::Trigger;

/// So long a sync waits after a webhook for others of the same run.
pub const DEBOUNCE: Duration = Duration::from_secs(2);

/// Which environments are due, shared by everything that may make one due.
#[derive(Debug, Clone)]
pub struct Due(Arc<Mutex<BTreeMap<i64, State>>>);

#[derive(Debug, Default)]
struct State {
    running: bool,
    /// After a failure nothing but a request of a person starts a sync before this.
    rests_until: Option<Instant>,
    pending: Option<Pending>,
    changed: Arc<Notify>,
}

#[derive(Debug, Clone, Copy)]
struct Pending {
    trigger: Trigger,
    not_before: Instant,
}

/// What marking an environment came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marked {
    /// It will be synced as soon as possible.
    Pending,
    /// It is being synced now; it will be synced once more after that.
    Running,
    /// There is no such environment.
    Unknown,
}

impl Due {
    /// Nothing is due yet, of the environments with these numbers.
    pub fn new(environments: impl IntoIterator<Item = i64>) -> Self {
        Self(Arc::new(Mutex::new(environments.into_iter().map(|id| (id, State::default())).collect())))
    }

    /// One more environment may be due from now on.
    pub fn add(&self, environment_id: i64) {
        self.lock().entry(environment_id).or_default();
    }

    /// True while the environment is being synced.
    pub fn is_running(&self, environment_id: i64) -> bool {
        self.lock().get(&environment_id).is_some_and(|state| state.running)
    }

    /// Marks an environment as due. However often that happens before it is synced, it is synced once; a webhook among the
    /// marks is remembered, since its sync does not end at the probe. One that rests after a failure is due when it has rested,
    /// and at once if a person asks for it.
    pub fn mark(&self, environment_id: i64, trigger: Trigger) -> Marked {
        let mut states = self.lock();
        let Some(state) = states.get_mut(&environment_id) else { return Marked::Unknown };
        state.add(trigger);
        if state.running { Marked::Running } else { Marked::Pending }
    }

    /// Waits until the environment is due, and takes it: it is running from then until [`Due::done`].
    pub async fn take(&self, environment_id: i64) -> Trigger {
        loop {
            let (changed, wait) = {
                let mut states = self.lock();
                let state = states.entry(environment_id).or_default();
                match state.pending {
                    Some(pending) if pending.not_before <= Instant::now() => {
                        state.pending = None;
                        state.running = true;
                        return pending.trigger;
                    }
                    Some(pending) => (Arc::clone(&state.changed), Some(pending.not_before)),
                    None => (Arc::clone(&state.changed), None),
                }
            };
            match wait {
                // A timer's mark in the meantime is not debounced.
                Some(moment) => tokio::select! {
                    () = tokio::time::sleep_until(moment) => {}
                    () = changed.notified() => {}
                },
                None => changed.notified().await,
            }
        }
    }

    /// The environment's sync has ended.
    pub fn done(&self, environment_id: i64) {
        if let Some(state) = self.lock().get_mut(&environment_id) {
            (state.running, state.rests_until) = (false, None);
        }
    }

    /// The environment's sync has failed: it rests, and is due again after that by itself.
    pub fn failed(&self, environment_id: i64, rest: Duration) {
        if let Some(state) = self.lock().get_mut(&environment_id) {
            let until = Instant::now() + rest;
            (state.running, state.rests_until) = (false, Some(until));
            if let Some(pending) = state.pending.as_mut().filter(|pending| pending.trigger != Trigger::Api) {
                pending.not_before = pending.not_before.max(until);
            }
            state.add(Trigger::Retry);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<i64, State>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn add(&mut self, trigger: Trigger) {
        let now = Instant::now();
        let rested = self.rests_until.unwrap_or(now).max(now);
        let not_before = match trigger {
            Trigger::Api => now,
            Trigger::Webhook => rested.max(now + DEBOUNCE),
            _ => rested,
        };
        self.pending = Some(match self.pending {
            None => Pending { trigger, not_before },
            Some(old) => {
                // What comes by itself does not take the place of what made it due before.
                let stays = old.trigger == Trigger::Webhook || matches!(trigger, Trigger::Cron | Trigger::Retry);
                let trigger = if stays { old.trigger } else { trigger };
                Pending { trigger, not_before: old.not_before.min(not_before) }
            }
        });
        self.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn marks_coalesce_into_one_pending_sync() {
        let due = Due::new([1]);
        assert_eq!(due.mark(9, Trigger::Cron), Marked::Unknown);
        for _ in 0..1000 {
            assert_eq!(due.mark(1, Trigger::Webhook), Marked::Pending);
        }
        assert_eq!(due.mark(1, Trigger::Cron), Marked::Pending);
        assert_eq!(due.take(1).await, Trigger::Webhook, "the webhook is remembered");
        assert!(due.is_running(1));
        assert_eq!(due.mark(1, Trigger::Api), Marked::Running);
        due.done(1);
        assert_eq!(due.take(1).await, Trigger::Api);
        due.done(1);
        let nothing = tokio::time::timeout(Duration::from_secs(3600), due.take(1)).await;
        assert!(nothing.is_err(), "nothing else is due");
    }

    #[tokio::test(start_paused = true)]
    async fn a_webhook_waits_for_others_and_a_timer_does_not() {
        let due = Due::new([1]);
        let began = Instant::now();
        due.mark(1, Trigger::Webhook);
        due.take(1).await;
        assert!(began.elapsed() >= DEBOUNCE);
        due.done(1);
        let began = Instant::now();
        due.mark(1, Trigger::Cron);
        due.take(1).await;
        assert_eq!(began.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_failure_it_is_due_by_itself_when_it_has_rested() {
        const REST: Duration = Duration::from_secs(60);
        let due = Due::new([1]);
        due.mark(1, Trigger::Cron);
        due.take(1).await;
        // A firing and a webhook, before and after the failure, do not end the rest.
        due.mark(1, Trigger::Cron);
        let began = Instant::now();
        due.failed(1, REST);
        due.mark(1, Trigger::Cron);
        due.mark(1, Trigger::Webhook);
        assert_eq!(due.take(1).await, Trigger::Webhook);
        assert_eq!(began.elapsed(), REST);
        due.failed(1, REST);
        due.mark(1, Trigger::Cron);
        assert_eq!(due.take(1).await, Trigger::Retry);
        assert_eq!(began.elapsed(), 2 * REST);
        due.done(1);
        due.mark(1, Trigger::Cron);
        due.take(1).await;
        assert_eq!(began.elapsed(), 2 * REST, "what was good does not rest");
    }

    #[tokio::test(start_paused = true)]
    async fn a_person_does_not_wait_for_the_end_of_a_rest() {
        let due = Due::new([1]);
        due.mark(1, Trigger::Cron);
        due.take(1).await;
        due.failed(1, Duration::from_secs(3600));
        let began = Instant::now();
        assert_eq!(due.mark(1, Trigger::Api), Marked::Pending);
        assert_eq!(due.take(1).await, Trigger::Api);
        assert_eq!(began.elapsed(), Duration::ZERO);
    }
}
