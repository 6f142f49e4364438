//! A task for each receiver and each environment that it is told of: so one that is down delays nobody.

use tokio::time::sleep;

use super::Shared;
use crate::deliver::{Delivery, Tries};

/// Delivers whatever has not arrived: at the start, and when a sync of the environment has ended. After a failure it rests; only what was
/// refused is tried again with the next sync.
pub(super) async fn keep_delivered(shared: Shared, mut delivery: Delivery, environment_id: i64) {
    let Some(mut synced) = shared.synced.get(&environment_id).map(|synced| synced.subscribe()) else { return };
    let (mut stop, telemetry) = (shared.stop.clone(), &shared.telemetry);
    let (receiver, environment) = (delivery.receiver().to_owned(), delivery.environment().to_owned());
    let (mut tries, mut told) = (Tries::default(), None);
    let took = || telemetry.receiver_took(&receiver, &environment);
    loop {
        synced.mark_unchanged();
        let failure = tokio::select! {
            went = delivery.go_on(&took) => went.err(),
            () = stop.pulled() => return,
        };
        if let Ok(known) = delivery.known().await {
            telemetry.receiver(&environment, &known);
        }
        let rest = failure.as_ref().map(|failure| tries.rest_after(failure));
        if let (Some(failure), Some(rest)) = (&failure, rest) {
            telemetry.receiver_failed(&receiver, &environment);
            let (error, rest) = (&failure.text, rest.as_secs_f64());
            // The same is said once.
            if told.as_ref() == Some(error) {
                tracing::debug!(receiver, environment, error, rest, "delivery failed again");
            } else {
                tracing::warn!(receiver, environment, error, rest, "delivery failed");
            }
        } else {
            tries = Tries::default();
        }
        let is_down = failure.as_ref().is_some_and(|failure| !failure.is_final);
        told = failure.map(|failure| failure.text);
        tokio::select! {
            () = sleep(rest.unwrap_or_default()), if rest.is_some() => {}
            _ = synced.changed(), if !is_down => {}
            () = stop.pulled() => return,
        }
    }
}
