//! The tasks of one environment: a timer that makes it due, and one that syncs it whenever it is.

use std::time::Duration;

use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::Instant;

use super::Shared;
use crate::answers::Reader;
use crate::catalog::{self, Trigger};
use crate::origin;
use crate::origin::discovery::{self, Kind, Limits};
use crate::schedule::Schedule;
use crate::sync::{self, Environment, Interrupted, Outcome, Report, Request, Watch};
use crate::time::Timestamp;

/// The clock is looked at this often, so that a suspended machine or a clock that jumps is noticed.
const LOOK: Duration = Duration::from_secs(30);

/// After a failed sync the environment rests so long, twice as long after each further one …
const FIRST_REST: Duration = Duration::from_secs(15);

/// … and at most so long.
const LONGEST_REST: Duration = Duration::from_secs(3600);

/// After so long what is held is read again.
const LOOK_AGAIN: Duration = Duration::from_millis(catalog::LOOK_AGAIN.unsigned_abs());

/// Marks the environment at each firing of its schedule, and once at the start if one was missed or the last sync failed.
pub(super) async fn keep_time(shared: Shared, environment: Environment) {
    let path = shared.config().catalog.path.clone();
    let id = environment.id;
    let last = spawn_blocking(move || {
        let reader = Reader::open(&path, None).ok()?;
        reader.last_sync_at(id, Timestamp::now()).ok().flatten()
    });
    let last = last.await.ok().flatten();
    let missed =
        last.is_none_or(|last| environment.config.schedule.next(last).is_some_and(|next| next <= Timestamp::now()));
    if missed {
        shared.due.mark(id, Trigger::Startup);
    }
    let mut stop = shared.stop.clone();
    let mut asked = Timestamp::now();
    while let Some(next) = environment.config.schedule.next(asked) {
        tracing::info!(environment = environment.config.name, at = %next, "next firing");
        let came = tokio::select! {
            came = wait_until(next, asked, &environment.config.schedule) => came,
            () = stop.pulled() => return,
        };
        // One that vanished from the platform may come back.
        if came && shared.has(id) {
            shared.due.mark(id, Trigger::Cron);
        }
        asked = Timestamp::now();
    }
}

/// Waits for a moment on the clock on the wall, and then a little more, so that not everybody asks the platform at once. False if
/// the clock was set back meanwhile: then another moment is the next.
async fn wait_until(moment: Timestamp, asked: Timestamp, schedule: &Schedule) -> bool {
    let mut before = asked;
    loop {
        let now = Timestamp::now();
        match look(before, now, moment) {
            Look::Come => break,
            Look::SetBack => return false,
            Look::Ahead(wait) => tokio::time::sleep(wait).await,
        }
        before = now;
    }
    let gap = schedule.next(moment).map_or(0, |next| next.since(moment)).clamp(0, 600_000).unsigned_abs();
    tokio::time::sleep(Duration::from_millis(fastrand::u64(0..=gap / 20))).await;
    true
}

/// What a look at the clock says of a moment that is waited for.
#[derive(Debug, PartialEq, Eq)]
enum Look {
    /// It has come.
    Come,
    /// Look again after this.
    Ahead(Duration),
    /// The clock was wrong when the moment was chosen.
    SetBack,
}

fn look(before: Timestamp, now: Timestamp, moment: Timestamp) -> Look {
    if Duration::from_millis(before.since(now).max(0).unsigned_abs()) > LOOK {
        return Look::SetBack;
    }
    match moment.since(now) {
        ..=0 => Look::Come,
        left => Look::Ahead(LOOK.min(Duration::from_millis(left.unsigned_abs()))),
    }
}

/// Syncs the environment whenever it is due. Its trouble is its own: it rests, and the others go on.
pub(super) async fn keep_synced(shared: Shared, environment: Environment) {
    let mut stop = shared.stop.clone();
    let mut failures = 0;
    // What a webhook told of is still unread after a failure.
    let mut full = false;
    // What is held is looked at again, however rarely the schedule fires.
    let mut look_again: Option<Instant> = None;
    // No sync waits for the platform's other interfaces; one question at a time is enough.
    let mut beside: Option<JoinHandle<()>> = None;
    loop {
        let trigger = tokio::select! {
            trigger = shared.due.take(environment.id) => trigger,
            () = tokio::time::sleep_until(look_again.unwrap_or_else(Instant::now)), if look_again.is_some() => {
                look_again = None;
                shared.due.mark(environment.id, Trigger::Retry);
                continue;
            }
            () = stop.pulled() => return,
        };
        full |= trigger == Trigger::Webhook;
        let request = Request {
            config: shared.config(),
            environment: environment.clone(),
            trigger,
            dry_run: false,
            full,
            writers: shared.writers.clone(),
            stop: shared.stop.clone(),
            watch: Watch::nobody(),
        };
        let result = sync::run(&request, &shared.limits).await;
        look_again = match &result {
            // A firing that only probed does not put the next look off.
            Ok(Report { outcome: Outcome::Held(..), seen: None, .. }) => look_again,
            Ok(Report { outcome: Outcome::Held(..), .. }) => Some(Instant::now() + LOOK_AGAIN),
            _ => None,
        };
        if let Ok(Report { outcome: Outcome::Applied(_), .. }) = &result {
            shared.applied(environment.id).send_replace(());
        }
        if beside.as_ref().is_none_or(JoinHandle::is_finished) && !shared.stop.is_pulled() {
            beside = Some(tokio::spawn(ask_beside(request, shared.limits.clone())));
        }
        let (telemetry, name) = (&shared.telemetry, environment.config.name.as_str());
        if let Some(platform) = environment.config.origin.platform() {
            telemetry.retried(name, shared.limits.take_retries(platform.platform_id));
        }
        let Err(error) = result else {
            telemetry.cooldown(name, None);
            shared.due.done(environment.id);
            shared.ended.send_replace(());
            (failures, full) = (0, false);
            continue;
        };
        if error.is::<Interrupted>() {
            return;
        }
        let rest = rest_after(&error, failures);
        failures += 1;
        telemetry
            .cooldown(name, Some(Timestamp::now().plus_millis(i64::try_from(rest.as_millis()).unwrap_or(i64::MAX))));
        tracing::error!(environment = name, error = format!("{error:#}"), rest = rest.as_secs(), "sync failed");
        shared.due.failed(environment.id, rest);
        shared.ended.send_replace(());
    }
}

/// What was odd is in the sync's row, too.
async fn ask_beside(request: Request, limits: Limits) {
    let environment = &request.environment.config.name;
    match sync::ask_beside(&request, &limits).await {
        Ok(odd) => odd.iter().for_each(|odd| tracing::warn!(environment, "{odd}")),
        Err(error) => tracing::warn!(environment, error = format!("{error:#}"), "the platform's other interfaces"),
    }
}

/// How long an environment rests: as long as the platform asks, else longer with each failure; an hour where only a person can help.
fn rest_after(error: &anyhow::Error, failures: u32) -> Duration {
    let grown = FIRST_REST.saturating_mul(2_u32.saturating_pow(failures.min(16))).min(LONGEST_REST);
    let kind = error.downcast_ref::<origin::Error>().and_then(origin::Error::platform).map(discovery::Error::kind);
    match kind {
        Some(Kind::RateLimited { wait }) => (*wait).max(FIRST_REST),
        Some(Kind::Unauthorized { .. } | Kind::Forbidden { .. }) if failures > 0 => LONGEST_REST,
        _ => grown.mul_f64(0.75 + fastrand::f64() / 2.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_grows_with_each_failure_and_ends_at_an_hour() {
        let error = anyhow::anyhow!("the network is gone");
        let rests: Vec<Duration> = (0..12).map(|failures| rest_after(&error, failures)).collect();
        assert!(rests[0] < Duration::from_secs(20), "{rests:?}");
        assert!(rests[3] > rests[0], "{rests:?}");
        assert!(rests.iter().all(|rest| *rest <= LONGEST_REST.mul_f64(1.25)), "{rests:?}");
    }

    #[test]
    fn a_clock_that_is_set_back_while_a_moment_is_waited_for_chooses_another() {
        let at = |seconds: i64| Timestamp::from_millis(1_790_000_000_000 + seconds * 1000).expect("a time");
        assert_eq!(look(at(0), at(0), at(10)), Look::Ahead(Duration::from_secs(10)));
        assert_eq!(look(at(0), at(30), at(900)), Look::Ahead(LOOK));
        assert_eq!(look(at(0), at(11), at(10)), Look::Come);
        assert_eq!(look(at(5), at(3), at(10)), Look::Ahead(Duration::from_secs(7)), "a clock that is put right");
        assert_eq!(look(at(315_360_000), at(0), at(315_360_900)), Look::SetBack);
    }
}
