//! What the platform's other interfaces tell, asked when a sync has ended however it did: it waits for none of them, and none of them
//! for another. One that fails leaves what was known, and says so in the sync's warnings.

use std::time::Duration;

use anyhow::Context;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::request::Request;
use crate::catalog::{self, Catalog, InterfaceState, InterfacesKnown, Spoken, SyncId};
use crate::config::PlatformConfig;
use crate::inventory::Run;
use crate::inventory::platform::{Interface, Told};
use crate::origin::discovery::Limits;
use crate::origin::platform::{Client, Error};
use crate::time::Timestamp;

/// Runs are told again that ended so long before the last: one that is told late is not lost.
const OVERLAP: Duration = Duration::from_secs(600);

/// The first time, runs of so many days are read.
const FIRST_DAYS: i64 = 30;

/// Asks what there is to ask beside the sync, and keeps it. What people should know of it, a sentence each.
///
/// # Errors
/// If the catalog can't be read or written.
pub(super) async fn ask(request: &Request, sync: SyncId, limits: &Limits) -> anyhow::Result<Vec<String>> {
    let Some(platform) = request.environment.config.origin.platform().filter(|it| it.interfaces.is_some()) else {
        return Ok(Vec::new());
    };
    let (path, id) = (request.config.catalog.path.clone(), request.environment.id);
    let look = move || catalog::interfaces_known(&catalog::open_to_read(&path)?, id, OVERLAP);
    let known = spawn_blocking(look).await.context("the sync ended early")??;
    let asker = Asker { request, platform, known, now: Timestamp::now() };
    let mut stop = request.stop.clone();
    let spoken = tokio::select! {
        spoken = asker.ask(limits) => spoken,
        () = stop.pulled() => return Ok(Vec::new()),
    };
    let warnings = spoken.iter().flat_map(Spoken::told_people).collect();
    if !spoken.is_empty() {
        keep(request.clone(), sync, spoken).await?;
    }
    Ok(warnings)
}

async fn keep(request: Request, sync: SyncId, spoken: Vec<Spoken>) -> anyhow::Result<()> {
    let keep = move || {
        let (path, purpose) = (&request.config.catalog.path, format!("runs of {}", request.environment.config.name));
        let mut catalog = Catalog::open(path, &request.writers, &purpose, &*request.watch.waiting)?;
        catalog.keep_spoken((request.environment.id, sync), &spoken, Timestamp::now())?;
        catalog.checkpoint()
    };
    Ok(spawn_blocking(keep).await.context("the sync ended early")??)
}

/// Asks the interfaces of one environment, once.
struct Asker<'a> {
    request: &'a Request,
    platform: &'a PlatformConfig,
    known: InterfacesKnown,
    now: Timestamp,
}

impl Asker<'_> {
    async fn ask(&self, limits: &Limits) -> Vec<Spoken> {
        let Some(config) = &self.platform.interfaces else { return Vec::new() };
        let client = match Client::new(config, limits) {
            Ok(client) => client,
            Err(error) => return vec![spoken(Interface::Runs, None, Err(error.to_string()))],
        };
        let mut all = Vec::new();
        match self.in_time(self.runs(&client)).await {
            Ok((account, told, warnings)) => {
                let has_news = !told.is_empty();
                if has_news || !warnings.is_empty() || self.is_new_or_failed(Interface::Runs) {
                    all.push(Spoken { warnings, ..spoken(Interface::Runs, Some(account), Ok(Told::Runs(told))) });
                }
                if has_news || self.jobs_are_due() {
                    let jobs = self.in_time(client.jobs(account, self.platform.platform_id)).await;
                    all.push(spoken(Interface::Jobs, Some(account), jobs.map(Told::Jobs)));
                }
            }
            Err(error) => all.push(spoken(Interface::Runs, None, Err(error))),
        }
        if client.asks_semantic_layer() && self.dimensions_are_due() {
            let metrics = self.in_time(client.metrics(self.platform.platform_id)).await;
            let told = metrics.map(|metrics| Told::Metrics(metrics, self.known.definition.clone()));
            all.push(spoken(Interface::SemanticLayer, None, told));
        }
        all
    }

    /// The account, the runs that were not known, and what is odd about them.
    async fn runs(&self, client: &Client) -> Result<(i64, Vec<Run>, Vec<String>), Error> {
        let remembered = self.state(Interface::Runs).and_then(|state| state.account_id);
        let configured = self.platform.interfaces.as_ref().and_then(|config| config.account_id);
        let account = match configured.or(remembered) {
            Some(account) => account,
            None => client.account().await?,
        };
        let from = match self.known.last_end {
            Some(end) => end.plus_millis(-(OVERLAP.as_millis() as i64)),
            None => self.now.plus_millis(-FIRST_DAYS * 86_400_000),
        };
        let (mut runs, warnings) = client.runs(account, self.platform.platform_id, (from, self.now)).await?;
        runs.retain(|run| {
            let known = self.known.last_runs.get(&*run.run_id);
            known.is_none_or(|(status, end)| status.as_deref() != run.status.as_deref() || *end != run.finished_at)
        });
        Ok((account, runs, warnings))
    }

    /// Within what is allowed for all tries of one page.
    async fn in_time<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, String> {
        let patience = self.platform.access.give_up_after;
        match timeout(patience, work).await {
            Ok(done) => done.map_err(|error| error.to_string()),
            Err(_) => Err(format!("it was not done after {} s (`discovery.give_up_after`)", patience.as_secs())),
        }
    }

    fn state(&self, interface: Interface) -> Option<&InterfaceState> {
        self.known.states.get(&interface)
    }

    fn is_new_or_failed(&self, interface: Interface) -> bool {
        self.state(interface).is_none_or(|state| state.answered_at.is_none() || state.error.is_some())
    }

    /// True if everything is to be read anyway, or what is known of an interface is older than a full read may be.
    fn is_old(&self, interface: Interface) -> bool {
        let full_every = i64::try_from(self.request.config.sync.full_every.as_millis()).unwrap_or(i64::MAX);
        let answered_at = self.state(interface).and_then(|state| state.answered_at);
        self.request.full
            || self.is_new_or_failed(interface)
            || answered_at.is_none_or(|at| self.now.since(at) >= full_every)
    }

    /// Without a new run, jobs are asked for when one of them should have begun since.
    fn jobs_are_due(&self) -> bool {
        let answered_at = self.state(Interface::Jobs).and_then(|state| state.answered_at);
        let has_begun = |next| next <= self.now && answered_at.is_some_and(|at| at < next);
        self.is_old(Interface::Jobs) || self.known.next_job_at.is_some_and(has_begun)
    }

    /// Dimensions move with the definition.
    fn dimensions_are_due(&self) -> bool {
        let read_to = self.state(Interface::SemanticLayer).and_then(|state| state.read_to.as_ref());
        self.is_old(Interface::SemanticLayer) || read_to != self.known.definition.as_ref()
    }
}

fn spoken(interface: Interface, account_id: Option<i64>, told: Result<Told, String>) -> Spoken {
    Spoken { interface, account_id, told, warnings: Vec::new() }
}
