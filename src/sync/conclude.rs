//! What is done with what was read: made comparable, judged, compared, applied or held.

use std::collections::BTreeSet;

use super::Outcome;
use super::read::Found;
use super::request::{Interrupted, Request};
use crate::catalog::{self, Applied, Catalog, Ending, Known, Mode, Stored, SyncId};
use crate::diff::diff;
use crate::discovery::Cost;
use crate::graph::cycle_warnings;
use crate::guard::{self, Held, Policy};
use crate::inventory::{Inventory, Pool, Reading, Timestamp, UniqueId, carry_over, resolve_owners};

/// How it ended, how many nodes were read, and what the user should know.
pub(super) type Finished = (Outcome, Option<u64>, Vec<String>);

/// Concludes a sync, and closes its row whatever happened.
pub(super) fn finish(
    request: &Request,
    catalog: &mut Catalog,
    sync: SyncId,
    found: anyhow::Result<Found>,
    stamps: Option<String>,
    cost: Cost,
) -> anyhow::Result<Finished> {
    let mode = if matches!(found, Ok(Found::Known(_))) { Mode::Probe } else { Mode::Full };
    let ending = Ending { mode, stamps, requests: cost.requests, bytes: cost.bytes, ..Ending::default() };
    let concluded = match found {
        Ok(Found::Reading(reading)) => conclude(request, catalog, sync, *reading, &ending),
        Ok(Found::Known(known)) => leave(request, catalog, sync, known, &ending),
        Err(error) => Err(error),
    };
    if let Err(error) = &concluded {
        // If even this can't be written, the row is closed as interrupted by the next writer; the first error matters more.
        let _ = if error.is::<Interrupted>() {
            catalog.interrupt_sync(sync, &ending, Timestamp::now())
        } else {
            catalog.fail_sync(sync, &ending, &format!("{error:#}"), Timestamp::now())
        };
    }
    if concluded.is_ok() {
        prune(request, catalog);
    }
    let _ = catalog.checkpoint();
    concluded
}

/// Forgets history that is older than the configuration wants it, at most a hundredth of that late.
fn prune(request: &Request, catalog: &mut Catalog) {
    let Some(history) = request.config.catalog.history else { return };
    let millis = i64::try_from(history.as_millis()).unwrap_or(i64::MAX);
    let before = Timestamp::now().plus_millis(-millis);
    match catalog.prune(before, before.plus_millis(-millis / 100)) {
        Ok(0) => {}
        Ok(changes) => tracing::info!(changes, %before, "forgot old history"),
        // What was synced is synced; the next sync tries again.
        Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "old history could not be forgotten"),
    }
}

/// Nothing has moved: what was good is good, what was held is held.
fn leave(
    request: &Request,
    catalog: &mut Catalog,
    sync: SyncId,
    known: Known,
    ending: &Ending,
) -> anyhow::Result<Finished> {
    match known {
        Known::Good => {
            let environment = catalog::environment_facts(catalog.connection(), request.environment.id)?;
            catalog.leave_unchanged(sync, ending, &environment, Timestamp::now())?;
            Ok((Outcome::Unchanged, None, Vec::new()))
        }
        Known::Held(SyncId(before), removals) => {
            let held = Held { reasons: vec![format!("as sync {before} was, and nothing has moved since")], removals };
            catalog.hold_sync(sync, ending, &held, Timestamp::now())?;
            Ok((Outcome::Held(sync, held), None, Vec::new()))
        }
    }
}

/// Decides what to do with a complete read, and does it.
fn conclude(
    request: &Request,
    catalog: &mut Catalog,
    sync: SyncId,
    mut reading: Reading,
    cost: &Ending,
) -> anyhow::Result<Finished> {
    let environment_id = request.environment.id;
    let mut pool = Pool::default();
    pool.share(&mut reading.inventory);
    let stored = Stored::load(catalog.connection(), environment_id, &mut pool)?;
    drop(pool);
    let approved = catalog::approved_removals(catalog.connection(), environment_id)?;
    let Plan { fetched, warnings, held } = Plan::make(request, reading, &stored, &approved);
    let seen = fetched.node_count() as u64;
    let ending = Ending {
        seen: Some(seen),
        warnings: warnings.clone(),
        stamps: cost.stamps.clone(),
        mode: cost.mode,
        requests: cost.requests,
        bytes: cost.bytes,
        counts: None,
    };
    if let Some(held) = held {
        catalog.hold_sync(sync, &ending, &held, Timestamp::now())?;
        return Ok((Outcome::Held(sync, held), Some(seen), warnings));
    }
    let diff = diff(&stored.inventory, &fetched, &stored.tombstones);
    let counts = diff.counts();
    let ending = Ending { counts: Some(counts), ..ending };
    let environment = &fetched.environment;
    if diff.is_empty() {
        catalog.leave_unchanged(sync, &ending, environment, Timestamp::now())?;
        return Ok((Outcome::Unchanged, Some(seen), warnings));
    }
    let applied = Applied { sync, environment_id, fetched: &fetched, diff: &diff, ending: &ending };
    catalog.apply(&applied, Timestamp::now())?;
    Ok((Outcome::Applied(counts), Some(seen), warnings))
}

/// What a sync would do, without a lock and without a write.
pub(super) fn plan_only(request: &Request, reading: Reading) -> anyhow::Result<Finished> {
    let environment_id = request.environment.id;
    let (stored, approved) = match catalog::open_to_read(&request.config.catalog.path) {
        Ok(connection) => (
            Stored::load(&connection, environment_id, &mut Pool::default())?,
            catalog::approved_removals(&connection, environment_id)?,
        ),
        Err(catalog::Error::Missing(_)) => (Stored::default(), BTreeSet::new()),
        Err(error) => return Err(error.into()),
    };
    let Plan { fetched, warnings, held } = Plan::make(request, reading, &stored, &approved);
    let diff = diff(&stored.inventory, &fetched, &stored.tombstones);
    let lines = diff.changes.iter().map(ToString::to_string).collect();
    Ok((Outcome::Planned(lines, diff.counts(), held), Some(fetched.node_count() as u64), warnings))
}

/// A complete read, made comparable, with the guard's verdict on it.
struct Plan {
    fetched: Inventory,
    warnings: Vec<String>,
    held: Option<Held>,
}

impl Plan {
    fn make(request: &Request, reading: Reading, stored: &Stored, approved: &BTreeSet<UniqueId>) -> Self {
        let config = &request.config;
        let applied_is_null = reading.unanswered.applied;
        let (mut fetched, mut warnings) = carry_over(reading, &stored.inventory);
        resolve_owners(&mut fetched, &config.coverage.owner_meta_keys);
        warnings.extend(fetched.add_externals());
        warnings.extend(cycle_warnings(&fetched));
        let read = guard::Read {
            stored: &stored.inventory,
            fetched: &fetched,
            applied_is_null,
            approved,
            now: Timestamp::now(),
        };
        let policy = Policy {
            max_removed_percent: config.sync.max_removed_percent,
            min_removed_floor: config.sync.min_removed_floor,
        };
        let held = guard::judge(&read, policy);
        Self { fetched, warnings, held }
    }
}
