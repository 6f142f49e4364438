//! What is done with what was read: made comparable, judged, compared, applied or held.

use super::Outcome;
use super::read::Found;
use super::request::{Interrupted, Request};
use crate::catalog::{self, Applied, Catalog, Ending, Known, Mode, Standing, Stored, SyncId};
use crate::inventory::{Inventory, Pool};
use crate::origin::{Cost, Whole};
use crate::plan::{Before, Doubts, Held, Plan, Rules, Verdict, diff};
use crate::time::Timestamp;

/// How it ended, how many nodes were read, and what the user should know.
pub(super) type Finished = (Outcome, Option<u64>, Vec<String>);

/// What concluding a sync needs besides what was found.
pub(super) struct Job {
    pub(super) request: Request,
    /// `None` for a dry run.
    pub(super) catalog: Option<Catalog>,
    pub(super) sync: Option<SyncId>,
    pub(super) cost: Cost,
    /// What a first look came to, of which this is the second.
    pub(super) first: Option<Look>,
}

/// A read that is not yet decided on.
pub(super) struct Look {
    /// Why it would have been held.
    reasons: Vec<String>,
    /// The doubts with those of this read.
    doubts: Doubts,
}

/// What comes next.
pub(super) enum Step {
    /// It is decided and written.
    Done(Finished),
    /// The environment is read once more first.
    LookAgain(Option<Catalog>, Look),
}

/// Concludes a sync, and closes its row whatever happened.
pub(super) fn conclude(job: Job, found: anyhow::Result<Found>) -> anyhow::Result<Step> {
    let Job { request, catalog, sync, cost, first } = job;
    let (Some(mut catalog), Some(sync)) = (catalog, sync) else {
        return match found? {
            Found::Whole(whole) => plan_only(&request, *whole).map(Step::Done),
            Found::Known(..) => Ok(Step::Done((Outcome::Unchanged, None, Vec::new()))),
        };
    };
    let mode = if matches!(found, Ok(Found::Known(..))) { Mode::Probe } else { Mode::Full };
    let ending = Ending { mode, requests: cost.requests, bytes: cost.bytes, ..Ending::default() };
    let concluded = match found {
        Ok(Found::Whole(whole)) => match decide(&request, &mut catalog, sync, *whole, &ending, first) {
            Ok(Decided::LookAgain(look)) => return Ok(Step::LookAgain(Some(catalog), look)),
            Ok(Decided::Done(finished)) => Ok(finished),
            Err(error) => Err(error),
        },
        Ok(Found::Known(known, stamps)) => {
            leave(&request, &mut catalog, sync, known, &Ending { stamps: Some(stamps), ..ending.clone() })
        }
        Err(error) => Err(error),
    };
    let concluded = concluded.map_err(Interrupted::or);
    if let Err(error) = &concluded {
        // If even this can't be written, the row is closed as interrupted by the next writer; the first error matters more.
        let _ = if error.is::<Interrupted>() {
            catalog.interrupt_sync(sync, &ending, Timestamp::now())
        } else {
            catalog.fail_sync(sync, &ending, &format!("{error:#}"), Timestamp::now())
        };
    }
    if concluded.is_ok() {
        prune(&request, &mut catalog);
    }
    let _ = catalog.checkpoint();
    concluded.map(Step::Done)
}

/// Forgets history that is older than the configuration wants it.
fn prune(request: &Request, catalog: &mut Catalog) {
    let Some(history) = request.config.catalog.history else { return };
    match catalog.prune(history, Timestamp::now()) {
        Ok(0) => {}
        Ok(changes) => tracing::info!(changes, "forgot old history"),
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
        Known::Held { sync: before, losses } => {
            let reasons = vec![format!("as sync {} was, and nothing has moved since", before.0)];
            catalog.hold_sync(
                sync,
                ending,
                &Held { reasons: reasons.clone(), losses: Vec::new() },
                Timestamp::now(),
            )?;
            Ok((Outcome::Held(before, Held { reasons, losses }), None, Vec::new()))
        }
    }
}

/// What a complete read came to.
enum Decided {
    Done(Finished),
    LookAgain(Look),
}

/// Decides what to do with a complete read, and does it.
fn decide(
    request: &Request,
    catalog: &mut Catalog,
    sync: SyncId,
    whole: Whole,
    ending: &Ending,
    first: Option<Look>,
) -> anyhow::Result<Decided> {
    let environment_id = request.environment.id;
    let Whole { mut reading, stamps } = whole;
    let mut pool = std::mem::take(&mut reading.pool);
    let stored = Stored::load(catalog.connection(), environment_id, &mut pool, &reading.inventory)?;
    drop(pool);
    let Standing { doubts, is_first } = Standing::load(catalog.connection(), environment_id)?;
    let (reasons, doubts) = first.map_or((None, doubts), |first| (Some(first.reasons), first.doubts));
    let before = Before { stored: &stored.inventory, doubts, is_first };
    let Plan { fetched, mut warnings, verdict, doubts, history } = Plan::make(reading, before, &rules(request));
    let Verdict { held, look_again, is_certain, warnings: more } = verdict;
    if look_again && reasons.is_none() {
        let reasons = held.map(|held| held.reasons).unwrap_or_default();
        tracing::warn!(reasons = reasons.join("; "), "looking a second time");
        return Ok(Decided::LookAgain(Look { reasons, doubts }));
    }
    warnings.extend(more);
    let still = held.as_ref().map(|held| held.reasons.as_slice()).unwrap_or_default();
    let gone = reasons.into_iter().flatten().filter(|reason| !still.contains(reason));
    warnings.extend(gone.map(|reason| format!("a first look said: {reason}; a second one did not confirm it")));
    let seen = fetched.node_count() as u64;
    let ending = Ending {
        seen: Some(seen),
        warnings: warnings.clone(),
        // What is held is compared with the next probe, too: it is read again when that moves.
        stamps: stamps.filter(|_| is_certain || held.is_some()),
        doubts: Some(doubts),
        ..ending.clone()
    };
    if let Some(held) = held {
        catalog.hold_sync(sync, &ending, &held, Timestamp::now())?;
        return Ok(Decided::Done((Outcome::Held(sync, held), Some(seen), warnings)));
    }
    let diff = diff(&stored.inventory, &fetched, &stored.tombstones);
    let counts = diff.counts();
    let ending = Ending { counts: Some(counts), ..ending };
    let environment = &fetched.environment;
    // Files that were read are applied, also where all that is new is an older result, or nothing.
    if diff.is_empty() && history.is_none() {
        catalog.leave_unchanged(sync, &ending, environment, Timestamp::now())?;
        return Ok(Decided::Done((Outcome::Unchanged, Some(seen), warnings)));
    }
    let history = history.as_ref();
    let applied = Applied { sync, environment_id, fetched: &fetched, diff: &diff, history, ending: &ending };
    catalog.apply(&applied, Timestamp::now())?;
    Ok(Decided::Done((Outcome::Applied(counts), Some(seen), warnings)))
}

/// What a sync would do, without a lock and without a write.
fn plan_only(request: &Request, whole: Whole) -> anyhow::Result<Finished> {
    let environment_id = request.environment.id;
    let (stored, standing) = match catalog::open_if_there(&request.config.catalog.path)? {
        Some(connection) => (
            Stored::load(&connection, environment_id, &mut Pool::default(), &Inventory::default())?,
            Standing::load(&connection, environment_id)?,
        ),
        None => (Stored::default(), Standing { is_first: true, ..Standing::default() }),
    };
    let Standing { doubts, is_first } = standing;
    let before = Before { stored: &stored.inventory, doubts, is_first };
    let Plan { fetched, mut warnings, verdict, .. } = Plan::make(whole.reading, before, &rules(request));
    warnings.extend(verdict.warnings);
    let diff = diff(&stored.inventory, &fetched, &stored.tombstones);
    let lines = diff.changes.iter().map(ToString::to_string).collect();
    Ok((Outcome::Planned(lines, diff.counts(), verdict.held), Some(fetched.node_count() as u64), warnings))
}

/// What the configuration says of a read, and the time that it is judged at.
fn rules(request: &Request) -> Rules<'_> {
    Rules {
        owner_meta_keys: &request.config.coverage.owner_meta_keys,
        policy: request.environment.config.policy,
        now: Timestamp::now(),
    }
}
