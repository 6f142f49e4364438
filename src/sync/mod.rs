//! One sync: the whole pipeline, and the only place that knows its order. Every command and timer that syncs ends in [`run`].

mod beside;
mod conclude;
mod due;
mod environments;
mod found;
mod named;
mod read;
mod request;

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::task::spawn_blocking;
use tracing::Instrument;

use crate::catalog::{self, Catalog, SyncId};
use crate::origin::discovery::Limits;
use crate::origin::{Cost, Origin};
use crate::plan::Counts;
use crate::plan::Held;
use crate::time::Timestamp;

pub use beside::ask_beside;
use conclude::{Job, Step, conclude};
pub use due::{DEBOUNCE, Due, Marked};
pub use environments::{Environment, configured, environments};
pub use found::{Failed, Found, as_found, list, with_found, with_kept};
pub use named::{Named, name};
use read::{find, sharers};
pub use request::{Interrupted, Request, Stop, Watch};

/// In any minute the platform lets so many requests through.
const MINUTE: i64 = 60_000;

/// How a sync ended that did not fail.
#[derive(Debug)]
pub enum Outcome {
    /// The catalog was changed.
    Applied(Counts),
    /// The platform holds what the catalog holds.
    Unchanged,
    /// A person has to look at it first. Nothing was applied.
    Held(SyncId, Held),
    /// What a sync would do, of a dry run: one line for each change, and whether it would be held.
    Planned(Vec<String>, Counts, Option<Held>),
}

/// What a sync did.
#[derive(Debug)]
pub struct Report {
    /// How it ended.
    pub outcome: Outcome,
    /// How many nodes were read; `None` where the probe was enough.
    pub seen: Option<u64>,
    /// What it cost.
    pub cost: Cost,
    /// How long it took.
    pub took: Duration,
    /// What the user should know, one sentence each.
    pub warnings: Vec<String>,
}

/// Syncs one environment.
///
/// | difference | what is done |
/// | --- | --- |
/// | the read is not proved complete | nothing; the sync's row says why |
/// | it would take away too much, or is older than what was read | it is read again; if that stands nothing: held for `lineaged approve` |
/// | a list contradicts the platform's own count | it is read again; if that stands a warning |
/// | a node is new, gone, back, or has another field, edge or column | applied, one row each in `changes` |
/// | a run or a freshness check that was not seen before | a row in `run_results`, `freshness_results` |
/// | a parent was not read | an `external` node, and a warning |
/// | a part was not answered | what is stored stays, and the next sync reads again |
/// | nothing | the sync's own row |
///
/// A failed sync needs no repair, only another sync.
///
/// # Errors
/// If the environment can't be read completely, or the catalog can't be written. The catalog then is as it was.
pub async fn run(request: &Request, limits: &Limits) -> anyhow::Result<Report> {
    let began = Instant::now();
    let begun = begin(request.clone()).await.map_err(Interrupted::or)?;
    let sync = begun.writing.as_ref().map(|(_, sync)| *sync);
    let span =
        tracing::info_span!("sync", sync = sync.map(|SyncId(id)| id), environment = request.environment.config.name);
    proceed(request, limits, begun, began).instrument(span).await
}

async fn proceed(
    request: &Request,
    limits: &Limits,
    Begun { writing, spent }: Begun,
    began: Instant,
) -> anyhow::Result<Report> {
    let origin = Origin::new(&request.environment.config.origin, limits, &spent);
    let cost = || origin.as_ref().map(Origin::cost).unwrap_or_default();
    let (mut catalog, sync) = writing.unzip();
    let mut first = None;
    let (outcome, seen, warnings) = loop {
        let found = match &origin {
            Ok(origin) => find(request, origin, &mut catalog, first.is_some()).await,
            Err(error) => Err(error.clone().into()),
        };
        let job = Job { request: request.clone(), catalog: catalog.take(), sync, cost: cost(), first: first.take() };
        match spawn_blocking(move || conclude(job, found)).await.context("the sync ended early")?? {
            Step::Done(finished) => break finished,
            Step::LookAgain(own, look) => (catalog, first) = (own, Some(look)),
        }
    };
    let cost = cost();
    let report = Report { outcome, seen, cost, took: began.elapsed(), warnings };
    tracing::info!(
        outcome = %report.outcome,
        nodes = report.seen.unwrap_or_default(),
        requests = cost.requests,
        bytes = cost.bytes,
        took = report.took.as_secs_f64(),
        "synced"
    );
    Ok(report)
}

/// What a sync has before it asks anything.
struct Begun {
    /// The catalog and the sync's number; `None` in a dry run.
    writing: Option<(Catalog, SyncId)>,
    /// What was asked in the last minute: how long ago, and how many requests.
    spent: Vec<(Duration, usize)>,
}

/// Opens the catalog, stores what views need of the configuration, and notes that a sync begins. A dry run only looks.
async fn begin(request: Request) -> anyhow::Result<Begun> {
    let open = move || -> Result<_, catalog::Error> {
        let (names, now) = (sharers(&request), Timestamp::now());
        let since = now.plus_millis(-MINUTE);
        if request.dry_run {
            let spent = match catalog::open_if_there(&request.config.catalog.path)? {
                Some(connection) => catalog::requests_since(&connection, &names, since, now)?,
                None => Vec::new(),
            };
            return Ok(Begun { writing: None, spent });
        }
        let purpose = format!("sync of {}", request.environment.config.name);
        let mut catalog =
            Catalog::open(&request.config.catalog.path, &request.writers, &purpose, &*request.watch.waiting)?;
        catalog.configure(&request.config.settings(), &configured(&request.config))?;
        let Environment { id, config } = &request.environment;
        let sync = catalog.start_sync(*id, &config.name, request.trigger, Timestamp::now())?;
        let spent = catalog::requests_since(catalog.connection(), &names, since, now)?;
        Ok(Begun { writing: Some((catalog, sync)), spent })
    };
    Ok(spawn_blocking(open).await.context("the sync ended early")??)
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Applied(_) => "applied",
            Self::Unchanged => "unchanged",
            Self::Held(..) => "held",
            Self::Planned(..) => "planned",
        })
    }
}
