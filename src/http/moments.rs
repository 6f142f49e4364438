//! The moments that `?as_of=` asks for: copies of the catalog, made two at a time at most. The last two are kept for a while and
//! shared, since a page asks several questions of one.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Mutex as Turns, OwnedMutexGuard, Semaphore};
use tokio::time::{sleep, timeout_at};

use super::problem::Problem;
use crate::answers::{Error, Reader};

/// So many copies are made at once, and so many are kept.
const MOMENTS: usize = 2;

/// How long a copy is kept.
const KEPT: Duration = Duration::from_secs(300);

/// A copy, for whoever's turn it is; none until it is made.
pub(super) type Copy = OwnedMutexGuard<Option<Reader>>;

#[derive(Debug)]
pub(super) struct Moments {
    making: Arc<Semaphore>,
    /// The newest last.
    kept: Mutex<VecDeque<Moment>>,
}

#[derive(Debug)]
struct Moment {
    /// Between which syncs it lies.
    state: String,
    begun: Instant,
    copy: Arc<Turns<Option<Reader>>>,
}

impl Moments {
    pub(super) fn new() -> Self {
        Self { making: Arc::new(Semaphore::new(MOMENTS)), kept: Mutex::default() }
    }

    /// The copy of `state`, made by `make` unless it is kept, when nobody else reads it. Whoever asks for what is being made waits
    /// for that. What is not there at `end` is given up.
    pub(super) async fn copy(
        self: &Arc<Self>,
        state: String,
        now: Instant,
        end: Instant,
        make: impl FnOnce() -> Result<Reader, Error> + Send + 'static,
    ) -> Result<Copy, Problem> {
        let busy = || Problem::Unavailable("too many other moments are asked for: try again".to_owned());
        let slot = self.slot(state, now);
        let turn = timeout_at(end.into(), Arc::clone(&slot).lock_owned()).await;
        let mut copy = turn.map_err(|_| busy())?;
        if copy.is_some() {
            return Ok(copy);
        }
        let making = timeout_at(end.into(), Arc::clone(&self.making).acquire_owned()).await;
        let Ok(Ok(making)) = making else { return Err(busy()) };
        // The copy is finished, and kept, even if nobody waits for the answer any more.
        let made = tokio::task::spawn_blocking(move || {
            let _making = making;
            *copy = Some(make()?);
            Ok::<_, Error>(copy)
        });
        let made = made.await.map_err(|error| {
            tracing::error!(%error, "going back in time panicked");
            Problem::Internal
        });
        let made = made.and_then(|made| made.map_err(Problem::from));
        if made.is_err() {
            self.all().retain(|moment| !Arc::ptr_eq(&moment.copy, &slot));
        } else {
            self.expire_later();
        }
        made
    }

    /// Lets go of what has been kept long enough. Whoever reads it may finish.
    pub(super) fn expire(&self, now: Instant) {
        self.all().retain(|moment| now.saturating_duration_since(moment.begun) < KEPT);
    }

    /// A copy takes room on the disk: it goes also when nobody asks any more.
    fn expire_later(self: &Arc<Self>) {
        let moments = Arc::downgrade(self);
        tokio::spawn(async move {
            sleep(KEPT).await;
            if let Some(moments) = moments.upgrade() {
                moments.expire(Instant::now());
            }
        });
    }

    fn slot(&self, state: String, now: Instant) -> Arc<Turns<Option<Reader>>> {
        self.expire(now);
        let mut kept = self.all();
        if let Some(moment) = kept.iter().find(|moment| moment.state == state) {
            return Arc::clone(&moment.copy);
        }
        let moment = Moment { state, begun: now, copy: Arc::default() };
        let copy = Arc::clone(&moment.copy);
        kept.push_back(moment);
        if kept.len() > MOMENTS {
            kept.pop_front();
        }
        copy
    }

    fn all(&self) -> std::sync::MutexGuard<'_, VecDeque<Moment>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    /// Asks for each of `states` at so many seconds after the first; tells how often something was made.
    async fn made(asked: &[(&str, u64)]) -> Vec<usize> {
        let (moments, begin, count) = (Arc::new(Moments::new()), Instant::now(), Arc::new(AtomicUsize::new(0)));
        let mut counts = Vec::new();
        for (state, seconds) in asked {
            let made = Arc::clone(&count);
            let make = move || {
                made.fetch_add(1, Ordering::SeqCst);
                Ok(Reader::nothing())
            };
            let now = begin + Duration::from_secs(*seconds);
            let copy = moments.copy((*state).to_owned(), now, soon(), make).await.expect("a copy");
            assert!(copy.is_some());
            counts.push(count.load(Ordering::SeqCst));
        }
        counts
    }

    #[tokio::test]
    async fn the_last_two_moments_are_kept_for_five_minutes_and_shared() {
        assert_eq!(made(&[("a", 0), ("b", 1), ("a", 2), ("b", 299), ("a", 299)]).await, [1, 2, 2, 2, 2]);
        assert_eq!(made(&[("a", 0), ("b", 1), ("c", 2), ("b", 3), ("a", 4)]).await, [1, 2, 3, 3, 4]);
        assert_eq!(made(&[("a", 0), ("a", 299), ("a", 300), ("a", 301)]).await, [1, 1, 2, 2]);
    }

    #[tokio::test]
    async fn what_has_expired_is_let_go_without_another_question() {
        let (moments, now) = (Arc::new(Moments::new()), Instant::now());
        let make = || Ok(Reader::nothing());
        drop(moments.copy("a".to_owned(), now, soon(), make).await.expect("a copy"));
        moments.expire(now + KEPT - Duration::from_secs(1));
        assert_eq!(moments.all().len(), 1);
        moments.expire(now + KEPT);
        assert_eq!(moments.all().len(), 0);
    }

    #[tokio::test]
    async fn a_copy_that_could_not_be_made_is_tried_again() {
        let (moments, now) = (Arc::new(Moments::new()), Instant::now());
        let fails = || Err(Error::Question("nowhere".to_owned()));
        assert!(moments.copy("a".to_owned(), now, soon(), fails).await.is_err());
        let make = || Ok(Reader::nothing());
        assert!(moments.copy("a".to_owned(), now, soon(), make).await.is_ok());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn two_are_made_at_once_and_a_third_is_given_up_in_time() {
        let (moments, now) = (Arc::new(Moments::new()), Instant::now());
        let (begun, begins) = mpsc::channel();
        let mut making = Vec::new();
        let mut go = Vec::new();
        for state in ["a", "b"] {
            let (moments, begun, (ready, wait)) = (Arc::clone(&moments), begun.clone(), mpsc::channel::<()>());
            let make = move || {
                begun.send(()).expect("told");
                wait.recv().expect("told to go on");
                Ok(Reader::nothing())
            };
            let state = state.to_owned();
            making.push(tokio::spawn(async move { moments.copy(state, now, soon(), make).await.map(drop) }));
            go.push(ready);
        }
        for _ in 0..2 {
            tokio::task::block_in_place(|| begins.recv()).expect("begun");
        }
        let third = moments
            .copy("c".to_owned(), now, Instant::now() + Duration::from_millis(50), || panic!("two are being made"));
        assert!(matches!(third.await, Err(Problem::Unavailable(_))));
        go.iter().for_each(|go| go.send(()).expect("told"));
        for one in making {
            one.await.expect("ended").expect("made");
        }
    }
}
