//! A task for each receiver and each environment that it is told of: so one that is down delays nobody.

use tokio::sync::watch;
use tokio::time::sleep;

use super::Shared;
use crate::deliver::{Delivery, Tries};
use crate::telemetry::Telemetry;

/// Delivers whatever has not arrived: at the start, and when a sync of the environment was applied. After a failure it rests; only what
/// was refused is tried again with the next such sync.
pub(super) async fn keep_delivered(shared: Shared, mut delivery: Delivery, environment_id: i64) {
    let Some(mut applied) = shared.applied.get(&environment_id).map(watch::Sender::subscribe) else { return };
    let (mut stop, telemetry) = (shared.stop.clone(), shared.telemetry.clone());
    let (receiver, environment) = (delivery.receiver().to_owned(), delivery.environment().to_owned());
    let (mut tries, mut told) = (Tries::default(), None);
    let took = || telemetry.receiver_took(&receiver, &environment);
    show(&telemetry, &delivery).await;
    loop {
        applied.mark_unchanged();
        let failure = tokio::select! {
            went = delivery.go_on(&took) => went.err(),
            () = stop.pulled() => return,
        };
        show(&telemetry, &delivery).await;
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
            _ = applied.changed(), if !is_down => {}
            () = stop.pulled() => return,
        }
    }
}

/// Shows what the catalog says of it; where it can't be read that is told elsewhere.
async fn show(telemetry: &Telemetry, delivery: &Delivery) {
    if let Ok(known) = delivery.known().await {
        telemetry.receiver(delivery.environment(), &known);
    }
}
