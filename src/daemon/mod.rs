//! `lineaged serve`: a task for each environment that waits until it is due and syncs it, timers that make it due, a look for new
//! environments, and the HTTP server. No pipeline logic, no SQL.

mod deliveries;
mod syncs;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinSet, spawn_blocking};

use crate::catalog::{self, Catalog, DaemonLock, Writers};
use crate::config::{Config, PlatformConfig};
use crate::deliver::Delivery;
use crate::http::{self, Served};
use crate::origin::discovery::Limits;
use crate::sync::{self, Due, Environment, Stop};
use crate::telemetry::Telemetry;

/// Whether new environments are to be looked for is seen this often at least …
const LOOK_FOR_NEW: Duration = Duration::from_secs(900);

/// … and after a failure this often.
const LOOK_AGAIN_FOR_NEW: Duration = Duration::from_secs(60);

/// What all tasks of the daemon share.
#[derive(Debug, Clone)]
struct Shared {
    /// With the environments that there are now.
    config: watch::Sender<Arc<Config>>,
    served: watch::Sender<Served>,
    due: Due,
    limits: Limits,
    writers: Writers,
    telemetry: Telemetry,
    stop: Stop,
    /// By environment, who is told when a sync of it was applied.
    applied: Arc<Mutex<BTreeMap<i64, watch::Sender<()>>>>,
    /// Whoever waits over HTTP is told when a sync has ended, whatever came of it.
    ended: watch::Sender<()>,
}

impl Shared {
    fn config(&self) -> Arc<Config> {
        Arc::clone(&self.config.borrow())
    }

    /// Whether there is such an environment now.
    fn has(&self, environment_id: i64) -> bool {
        self.served.borrow().environments.iter().any(|(id, _)| *id == environment_id)
    }

    fn applied(&self, environment_id: i64) -> watch::Sender<()> {
        let mut all = self.applied.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(environment_id).or_default().clone()
    }
}

/// Serves until `stop` is pulled: then the reads in hand are dropped, and a commit in hand is finished, or rolled back when `writers`
/// are interrupted. `configured`: without the environments that are found by themselves.
///
/// # Errors
/// If the catalog can't be opened, if another daemon serves it, or if the address can't be listened at.
pub(crate) async fn serve(configured: Config, writers: Writers, mut stop: Stop) -> anyhow::Result<()> {
    let _only = DaemonLock::take(&configured.catalog.path)?;
    let (limits, mut tasks) = (Limits::new(configured.concurrency(), configured.environments.len()), JoinSet::new());
    let config = tokio::select! {
        biased;
        () = stop.pulled() => {
            tracing::info!("told to end before it served");
            return Ok(());
        }
        prepared = prepare(&configured, &writers) => prepared?,
    };
    let listen = config.http.listen;
    let listener = TcpListener::bind(listen).await.with_context(|| format!("can't listen at {listen}"))?;
    let address = listener.local_addr().context("can't tell the address that is listened at")?;
    let (catalog, http, webhook_secret) =
        (config.catalog.path.clone(), config.http.clone(), config.webhook_secret.clone());
    let targets = config.coverage.targets;
    let shared = Shared {
        due: Due::new([]),
        limits,
        telemetry: Telemetry::new(&[]),
        applied: Arc::default(),
        ended: watch::Sender::default(),
        served: watch::Sender::default(),
        writers,
        stop: stop.clone(),
        config: watch::Sender::new(Arc::new(config)),
    };
    let (due, telemetry) = (shared.due.clone(), shared.telemetry.clone());
    let (served, ended, limits) = (shared.served.subscribe(), shared.ended.subscribe(), http::Limits::default());
    let state =
        http::State { due, catalog: catalog.clone(), http, webhook_secret, telemetry, served, ended, targets, limits };
    let mut begun = BTreeSet::new();
    begin(&shared, &mut begun, &mut tasks)?;
    let mut stop_http = stop.clone();
    let server = tokio::spawn(http::serve(listener, state, async move { stop_http.pulled().await }));
    tracing::info!(%address, catalog = %catalog.display(), "serving");
    // Only systemd listens; without it there is nobody to tell.
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    tokio::select! {
        ended = look_for_new(&shared, configured, (&mut begun, &mut tasks)) => ended?,
        () = stop.pulled() => {}
    }
    tracing::info!("ending");
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
    while tasks.join_next().await.is_some() {}
    server.await.context("the HTTP server did not end well")?;
    tracing::info!("ended");
    Ok(())
}

/// Begins the tasks of environments that have none, and tells everybody which environments there are now.
fn begin(shared: &Shared, begun: &mut BTreeSet<i64>, tasks: &mut JoinSet<()>) -> anyhow::Result<()> {
    let config = shared.config();
    let environments = sync::environments(&config)?;
    shared.served.send_replace(Served {
        environments: environments.iter().map(|it| (it.id, it.config.name.clone())).collect(),
        platforms: environments.iter().filter_map(platform).collect(),
    });
    for environment in environments {
        if !begun.insert(environment.id) {
            continue;
        }
        shared.due.add(environment.id);
        shared.telemetry.add(environment.id, &environment.config.name);
        for delivery in Delivery::all(&config, (environment.id, &environment.config), &shared.writers)? {
            tasks.spawn(deliveries::keep_delivered(shared.clone(), delivery, environment.id));
        }
        tasks.spawn(syncs::keep_time(shared.clone(), environment.clone()));
        tasks.spawn(syncs::keep_synced(shared.clone(), environment));
    }
    Ok(())
}

/// Looks for new environments for ever, where they are to be found by themselves. One that vanished is no longer made due; its tasks wait, since it may
/// come back.
async fn look_for_new(
    shared: &Shared,
    configured: Config,
    (begun, tasks): (&mut BTreeSet<i64>, &mut JoinSet<()>),
) -> anyhow::Result<()> {
    if configured.find.is_none() {
        std::future::pending::<()>().await;
    }
    loop {
        let found = sync::with_found(configured.clone(), &shared.limits, &shared.writers, false).await;
        let failed = match &found {
            Ok(found) => found.failed.as_ref().map(|failed| failed.text.clone()),
            Err(error) => Some(format!("{error:#}")),
        };
        if let Ok(found) = found {
            found.news.iter().for_each(|news| tracing::info!(news, "the platform's environments changed"));
            shared.config.send_replace(Arc::new(found.config));
            begin(shared, begun, tasks)?;
        }
        let pause = if failed.is_some() { LOOK_AGAIN_FOR_NEW } else { LOOK_FOR_NEW };
        if let Some(error) = failed {
            tracing::error!(error, "no environments could be looked for");
        }
        tokio::time::sleep(pause.min(configured.sync.full_every)).await;
    }
}

/// An environment as webhooks name it, if it is one of the platform.
fn platform(environment: &Environment) -> Option<http::Platform> {
    let PlatformConfig { platform_id, account_id, .. } = environment.config.origin.platform()?;
    Some(http::Platform { id: environment.id, platform_id: *platform_id, account_id: *account_id })
}

/// Makes or migrates the catalog, and looks whether its file is whole, before anybody reads it. The environments that were found before are
/// there at once; others are looked for later.
async fn prepare(configured: &Config, writers: &Writers) -> anyhow::Result<Config> {
    let config = sync::with_kept(configured.clone())?;
    let (path, writers) = (config.catalog.path.clone(), writers.clone());
    let (settings, environments) = (config.settings(), sync::configured(&config));
    let open = move || -> Result<(), catalog::Error> {
        let waiting = |holder: &str| tracing::warn!(holder, "waiting for another process that writes the catalog");
        let mut catalog = Catalog::open(&path, &writers, "start of serve", &waiting)?;
        catalog.configure(&settings, &environments)?;
        catalog.check()?;
        catalog.checkpoint()
    };
    spawn_blocking(open).await.context("the catalog could not be prepared")??;
    Ok(config)
}
