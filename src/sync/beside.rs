//! What the platform's other interfaces tell, asked when a sync has ended however it did: it waits for none of them, and none of them
//! for another. One that fails leaves what was known, and says so in the sync's warnings.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Context;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::request::Request;
use crate::catalog::{self, Catalog, InterfaceState, InterfacesKnown, Spoken, Trigger};
use crate::config::PlatformConfig;
use crate::inventory::platform::{Interface, Told};
use crate::inventory::{Run, Text};
use crate::origin::discovery::Limits;
use crate::origin::platform::{Client, Error};
use crate::time::Timestamp;

/// Runs are told again that ended so long before the last: one that is told late is not lost.
const OVERLAP: Duration = Duration::from_secs(600);

/// The first time, runs of so many days are read.
const FIRST_DAYS: i64 = 30;

/// Asks what there is to ask beside a sync that has ended, however it did, and keeps it. What people should know of it, a sentence each.
///
/// # Errors
/// If the catalog can't be read or written.
pub async fn ask_beside(request: &Request, limits: &Limits) -> anyhow::Result<Vec<String>> {
    let Some(platform) = request.environment.config.origin.platform().filter(|it| it.interfaces.is_some()) else {
        return Ok(Vec::new());
    };
    let (path, id, now) = (request.config.catalog.path.clone(), request.environment.id, Timestamp::now());
    let look = move || catalog::interfaces_known(&catalog::open_to_read(&path)?, id, (OVERLAP, now));
    let known = spawn_blocking(look).await.context("the catalog could not be read")??;
    let asker = Asker { request, platform, known, now };
    let mut stop = request.stop.clone();
    let spoken = tokio::select! {
        spoken = asker.ask(limits) => spoken,
        () = stop.pulled() => return Ok(Vec::new()),
    };
    let warnings = spoken.iter().flat_map(Spoken::told_people).collect();
    if !spoken.is_empty() {
        keep(request.clone(), spoken).await?;
    }
    Ok(warnings)
}

async fn keep(request: Request, spoken: Vec<Spoken>) -> anyhow::Result<()> {
    let keep = move || {
        let (path, purpose) = (&request.config.catalog.path, format!("runs of {}", request.environment.config.name));
        let mut catalog = Catalog::open(path, &request.writers, &purpose, &*request.watch.waiting)?;
        catalog.keep_spoken(request.environment.id, &spoken, Timestamp::now())?;
        catalog.checkpoint()
    };
    Ok(spawn_blocking(keep).await.context("what was told could not be kept")??)
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
        let (mut all, dimensions) = tokio::join!(self.ask_admin(&client), self.ask_semantic_layer(&client));
        all.extend(dimensions);
        all
    }

    async fn ask_admin(&self, client: &Client) -> Vec<Spoken> {
        let (account, told, warnings) = match self.in_time(self.runs(client)).await {
            Ok(answer) => answer,
            Err(error) => return vec![spoken(Interface::Runs, None, Err(error))],
        };
        let (mut all, has_news) = (Vec::new(), !told.is_empty());
        if has_news || !warnings.is_empty() || self.is_new_or_failed(Interface::Runs) {
            all.push(Spoken { warnings, ..spoken(Interface::Runs, Some(account), Ok(Told::Runs(told))) });
        }
        if has_news || self.jobs_are_due() {
            let jobs = self.in_time(client.jobs(account, self.platform.platform_id)).await;
            all.push(spoken(Interface::Jobs, Some(account), jobs.map(Told::Jobs)));
        }
        all
    }

    async fn ask_semantic_layer(&self, client: &Client) -> Option<Spoken> {
        if !client.asks_semantic_layer() || !self.dimensions_are_due() {
            return None;
        }
        let told = self.in_time(client.metrics(self.platform.platform_id)).await;
        let names: BTreeSet<&str> = told.iter().flatten().map(|(name, _)| &**name).collect();
        let missing: Vec<&str> =
            self.known.metrics.iter().map(String::as_str).filter(|name| !names.contains(name)).collect();
        let warnings = match (&told, missing.as_slice()) {
            (Err(_), _) | (_, []) => Vec::new(),
            (_, [first, others @ ..]) => {
                let others = if others.is_empty() { String::new() } else { format!(" and {} more", others.len()) };
                vec![format!("it does not tell of the metric `{first}`{others}: what was known of it stays")]
            }
        };
        let told = told.map(|metrics| Told::Metrics(metrics, self.known.definition.clone()));
        Some(Spoken { warnings, ..spoken(Interface::SemanticLayer, None, told) })
    }

    /// The account, the runs that were not known, and what is odd about them.
    async fn runs(&self, client: &Client) -> Result<(i64, Vec<Run>, Vec<String>), Error> {
        let remembered = self.state(Interface::Runs).and_then(|state| state.account_id);
        let configured = self.platform.interfaces.as_ref().and_then(|config| config.account_id);
        let account = match configured.or(remembered) {
            Some(account) => account,
            None => client.account().await?,
        };
        // Whoever asks for everything gets everything; a webhook tells of a run that has just ended.
        let is_whole = self.request.full && self.request.trigger != Trigger::Webhook;
        let from = match self.known.last_end.filter(|_| !is_whole) {
            Some(end) => end.plus_millis(-(OVERLAP.as_millis() as i64)),
            None => self.now.plus_millis(-FIRST_DAYS * 86_400_000),
        };
        let (mut runs, warnings) = client.runs(account, self.platform.platform_id, (from, self.now)).await?;
        runs.retain(|run| {
            let text = |word: &Option<Text>| word.as_deref().map(str::to_owned);
            let told =
                [text(&run.status), run.finished_at.map(|at| at.to_string()), text(&run.cause), text(&run.git_sha)];
            self.known.last_runs.get(&*run.run_id) != Some(&told)
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
