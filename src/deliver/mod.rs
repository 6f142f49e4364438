//! Exports to those who are configured to get them. What has not arrived is read at one moment, the catalog is let go of, and each event
//! is posted until it is taken. That it has arrived is noted when all of it has: so it arrives in order, and at least once.

mod batch;
mod post;

use std::path::PathBuf;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use crate::answers::{self, Environment, Reader};
use crate::catalog::{self, Catalog, Mark, Writers};
use crate::config::{Config, Elsewhere, EnvironmentConfig, ReceiverConfig};
use crate::export::{self, OpenLineage, Scope, Told, Wanted};
use crate::time::Timestamp;

pub(crate) use batch::Batch;
pub(crate) use post::{Failure, Target, endpoint};

/// The rest after a first failure; it doubles with each further one …
const FIRST_REST: Duration = Duration::from_millis(200);

/// … up to this, so that a receiver that is back is noticed.
const LONGEST_REST: Duration = Duration::from_secs(300);

/// What was refused is refused again, until somebody has mended something.
const REST_OF_THE_REFUSED: Duration = Duration::from_secs(3600);

/// One receiver and one environment: what it is told of it.
pub(crate) struct Delivery {
    what: What,
    target: Target,
    writers: Writers,
    /// What is on its way, and how far the receiver has been told when it has arrived.
    under_way: Option<(Batch, Mark)>,
}

/// Who is told of what.
#[derive(Debug, Clone)]
struct What {
    receiver: String,
    environment: Environment,
    runs: bool,
    elsewhere: Elsewhere,
    catalog: PathBuf,
}

impl Delivery {
    /// What is to be delivered of an environment: one for each receiver that takes it.
    ///
    /// # Errors
    /// If a client can't be set up.
    pub(crate) fn all(
        config: &Config,
        (id, environment): (i64, &EnvironmentConfig),
        writers: &Writers,
    ) -> Result<Vec<Self>, Failure> {
        let takes = |receiver: &&ReceiverConfig| receiver.takes(&environment.name);
        let delivery = |receiver: &ReceiverConfig| {
            let what = What {
                receiver: receiver.name.clone(),
                environment: Environment { id, name: environment.name.clone() },
                runs: receiver.runs,
                elsewhere: environment.elsewhere.clone(),
                catalog: config.catalog.path.clone(),
            };
            let target = Target::new(&receiver.url, receiver.token.as_ref())?;
            Ok(Self { what, target, writers: writers.clone(), under_way: None })
        };
        config.receivers.iter().filter(takes).map(delivery).collect()
    }

    /// The receiver's name.
    pub(crate) fn receiver(&self) -> &str {
        &self.what.receiver
    }

    /// The environment's name.
    pub(crate) fn environment(&self) -> &str {
        &self.what.environment.name
    }

    /// Delivers what has not arrived; `taken` is told of each event. After a failure it goes on where it was. False if there was nothing;
    /// else more may have come meanwhile.
    ///
    /// # Errors
    /// With the first event that is not taken, which is noted in the catalog, or if that can't be read or written.
    pub(crate) async fn go_on(&mut self, taken: &(dyn Fn() + Sync)) -> Result<bool, Failure> {
        if self.under_way.is_none() {
            let what = self.what.clone();
            self.under_way = blocking(move || what.prepare()).await?;
        }
        let Some((batch, mark)) = &mut self.under_way else { return Ok(false) };
        let mark = mark.clone();
        if let Err(failure) = batch.send(&self.target, taken).await {
            if failure.is_final {
                self.under_way = None;
            }
            let text = failure.text.clone();
            if let Err(error) = self.note(move |catalog, of, now| catalog.note_refusal(of, &text, now)).await {
                tracing::warn!(%error, "a failed delivery could not be noted");
            }
            return Err(failure);
        }
        self.note(move |catalog, of, now| catalog.note_arrival(of, &mark, now)).await?;
        self.under_way = None;
        Ok(true)
    }

    /// The same until there is nothing left, also after failures, as long as there is `patience`.
    ///
    /// # Errors
    /// If an event is refused, or none was taken for so long.
    pub(crate) async fn finish(&mut self, patience: Duration, taken: &(dyn Fn() + Sync)) -> Result<(), Failure> {
        let mut tries = Tries::default();
        loop {
            match self.go_on(taken).await {
                Ok(true) => tries = Tries::default(),
                Ok(false) => return Ok(()),
                Err(failure) => tries.pause(failure, patience).await?,
            }
        }
    }

    /// What the catalog says of it.
    pub(crate) async fn known(&self) -> Result<answers::Delivery, Failure> {
        let What { receiver, environment, catalog, .. } = self.what.clone();
        blocking(move || Ok(Reader::open(&catalog, None)?.delivery(&receiver, environment.id)?)).await
    }

    async fn note(
        &self,
        write: impl FnOnce(&mut Catalog, (&str, i64), Timestamp) -> Result<(), catalog::Error> + Send + 'static,
    ) -> Result<(), Failure> {
        let (what, writers) = (self.what.clone(), self.writers.clone());
        let note = move || -> Result<(), catalog::Error> {
            let purpose = format!("delivery to {}", what.receiver);
            let mut catalog = Catalog::open(&what.catalog, &writers, &purpose, &|_| ())?;
            write(&mut catalog, (&what.receiver, what.environment.id), Timestamp::now())
        };
        blocking(move || Ok(note()?)).await
    }
}

impl What {
    /// What has not arrived, of this moment; `None` if everything has. A receiver that was told of another catalog, or of changes that
    /// history no longer reaches back to, is told everything.
    fn prepare(&self) -> anyhow::Result<Option<(Batch, Mark)>> {
        let reader = Reader::open(&self.catalog, None)?;
        let Some(now) = reader.mark(self.environment.id)? else { return Ok(None) };
        let told = reader.told(&self.receiver, self.environment.id)?;
        if told.as_ref() == Some(&now) {
            return Ok(None);
        }
        let is_known = |told: &Mark| {
            told.catalog_id == now.catalog_id && (reader.oldest_seq - 1..=reader.last_seq).contains(&told.seq)
        };
        let since = told.filter(is_known).map(|told| Told {
            seq: told.seq,
            revision: Some(told.revision),
            sync_id: self.runs.then_some(told.sync_id),
        });
        let wanted = Wanted { chosen: None, since, elsewhere: self.elsewhere.clone() };
        let how = OpenLineage { runs: self.runs, drops_removed: false };
        let scope = Scope::open(&reader, &self.environment, wanted)?;
        let batch = Batch::pack(|out| export::openlineage(&scope, how, out))?;
        if let Some(missing) = export::without_namespace(&scope).filter(|_| batch.count > 0) {
            tracing::warn!(receiver = self.receiver, "{missing}");
        }
        Ok(Some((batch, now)))
    }
}

/// Work with the catalog, off the threads that wait for the network.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> anyhow::Result<T> + Send + 'static) -> Result<T, Failure> {
    let done = spawn_blocking(work).await.map_err(anyhow::Error::from).flatten();
    done.map_err(|error| Failure::of(format!("{error:#}")))
}

/// Failures in a row, without an event that was taken.
#[derive(Debug, Default)]
pub(crate) struct Tries {
    failures: u32,
    since: Option<Instant>,
}

impl Tries {
    /// How long to rest after one more failure: longer with each, at least as long as the receiver asks, and long where the same would
    /// be refused again.
    pub(crate) fn rest_after(&mut self, failure: &Failure) -> Duration {
        if failure.has_moved {
            *self = Self::default();
        }
        self.since.get_or_insert_with(Instant::now);
        self.failures = self.failures.saturating_add(1);
        if failure.is_final {
            return REST_OF_THE_REFUSED;
        }
        let grown = FIRST_REST.saturating_mul(1 << (self.failures - 1).min(16)).min(LONGEST_REST);
        // Not all at once.
        grown.mul_f64(0.5 + fastrand::f64() / 2.0).max(failure.wait.unwrap_or_default())
    }

    /// Rests after a failure.
    ///
    /// # Errors
    /// The failure, if the rest would outlast `patience`, which begins with the first in a row.
    async fn pause(&mut self, failure: Failure, patience: Duration) -> Result<(), Failure> {
        let rest = self.rest_after(&failure);
        let waited = self.since.map(|since| since.elapsed()).unwrap_or_default();
        if waited + rest > patience {
            return Err(failure);
        }
        sleep(rest).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure() -> Failure {
        Failure::of("down".to_owned())
    }

    #[test]
    fn the_rest_grows_to_five_minutes_and_is_never_shorter_than_is_asked_for() {
        let mut tries = Tries::default();
        let rests: Vec<Duration> = (0..40).map(|_| tries.rest_after(&failure())).collect();
        assert!(rests[0] <= FIRST_REST && rests[5] > rests[0], "{rests:?}");
        assert!(rests[39] >= LONGEST_REST / 2 && rests.iter().all(|rest| *rest <= LONGEST_REST), "{rests:?}");
        let moved = Failure { has_moved: true, ..failure() };
        assert!(tries.rest_after(&moved) <= FIRST_REST, "it goes on");
        let asked = Failure { wait: Some(Duration::from_secs(7000)), ..failure() };
        assert_eq!(tries.rest_after(&asked), Duration::from_secs(7000));
        let refused = Failure { is_final: true, ..failure() };
        assert_eq!(Tries::default().rest_after(&refused), REST_OF_THE_REFUSED, "not in a tight loop");
    }

    #[tokio::test(start_paused = true)]
    async fn patience_ends_when_nothing_was_taken_for_so_long() {
        let (began, patience) = (Instant::now(), Duration::from_secs(30));
        let mut tries = Tries::default();
        while tries.pause(failure(), patience).await.is_ok() {}
        assert!(began.elapsed() <= patience && tries.failures > 5, "{:?} {}", began.elapsed(), tries.failures);
        let moved = Failure { has_moved: true, ..failure() };
        tries.pause(moved, patience).await.expect("it begins anew");
        let refused = Failure { is_final: true, ..failure() };
        Tries::default().pause(refused, patience).await.expect_err("no use");
        let asked = Failure { wait: Some(Duration::from_secs(31)), ..failure() };
        Tries::default().pause(asked, patience).await.expect_err("it would take too long");
    }
}
