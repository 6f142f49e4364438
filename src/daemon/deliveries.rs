//! A task for each receiver and each environment that it is told of: so one that is down delays nobody.

use tokio::time::sleep;

use super::Shared;
use crate::deliver::{Delivery, Failure, Tries};
use crate::telemetry::Telemetry;

/// Delivers whatever has not arrived: at the start, and when a sync of the environment was applied. After a failure it rests; only what
/// was refused is tried again with the next such sync.
pub(super) async fn keep_delivered(shared: Shared, mut delivery: Delivery, environment_id: i64) {
    let mut applied = shared.applied(environment_id).subscribe();
    let (mut stop, telemetry) = (shared.stop.clone(), shared.telemetry.clone());
    let (receiver, environment) = (delivery.receiver().to_owned(), delivery.environment().to_owned());
    let took = || telemetry.receiver_took(&receiver, &environment);
    let (mut tries, mut told) = (Tries::default(), String::new());
    show(&telemetry, &delivery).await;
    loop {
        applied.mark_unchanged();
        let went = tokio::select! {
            went = delivery.go_on(&took) => went,
            () = stop.pulled() => return,
        };
        show(&telemetry, &delivery).await;
        let failure = match went {
            Ok(more) => {
                (tries, told) = (Tries::default(), String::new());
                if more {
                    continue;
                }
                tokio::select! {
                    _ = applied.changed() => continue,
                    () = stop.pulled() => return,
                }
            }
            Err(failure) => failure,
        };
        telemetry.receiver_failed(&receiver, &environment);
        let rest = tries.rest_after(&failure);
        complain(&delivery, &failure, &told);
        tokio::select! {
            () = sleep(rest) => {}
            _ = applied.changed(), if failure.is_final => {}
            () = stop.pulled() => return,
        }
        told = failure.text;
    }
}

/// The same is said once.
fn complain(delivery: &Delivery, failure: &Failure, told: &str) {
    let (receiver, environment) = (delivery.receiver(), delivery.environment());
    match failure.text == told {
        true => tracing::debug!(receiver, environment, error = failure.text, "delivery failed again"),
        false => tracing::warn!(receiver, environment, error = failure.text, "delivery failed"),
    }
}

/// Shows what the catalog says of it; where it can't be read that is told elsewhere.
async fn show(telemetry: &Telemetry, delivery: &Delivery) {
    if let Ok(known) = delivery.known().await {
        telemetry.receiver(delivery.environment(), &known);
    }
}
