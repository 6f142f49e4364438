//! Reading: the probe, and where something has moved the whole environment, whose code waits in the catalog.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use super::request::{Interrupted, Request};
use crate::catalog::{self, Catalog, Known};
use crate::config::EnvironmentConfig;
use crate::origin::discovery::share_a_pace;
use crate::origin::{CodeText, Origin, Stamps, Whole};
use crate::time::Timestamp;

/// How many code texts may wait for the catalog before the reader waits.
const CODE_IN_FLIGHT: usize = 64;

/// What the origin answered.
pub(super) enum Found {
    /// Nothing has moved; and what to remember of that.
    Known(Known, String),
    /// The whole environment.
    Whole(Box<Whole>),
}

/// Probes, and where something has moved reads the whole environment. A dry run reads in any case.
pub(super) async fn find(
    request: &Request,
    origin: &Origin,
    catalog: &mut Option<Catalog>,
    stamps: &mut Option<Stamps>,
) -> anyhow::Result<Found> {
    if !request.dry_run {
        let before = remembered(request).await?;
        let probe = origin.probe(before.as_deref());
        let probed = unless_stopped(request, async { Ok(probe.await?) }).await?;
        let known = compare(request, probed.text().to_owned()).await?;
        let renewed = probed.renewed().to_owned();
        *stamps = Some(probed);
        if let Some(known) = known {
            return Ok(Found::Known(known, renewed));
        }
    }
    let whole = read(request, origin, catalog, stamps.as_ref()).await?;
    Ok(Found::Whole(Box::new(whole)))
}

/// Reads the whole environment. Code waits in the catalog's temporary table, so that it never stands in memory as a whole.
pub(super) async fn read(
    request: &Request,
    origin: &Origin,
    catalog: &mut Option<Catalog>,
    stamps: Option<&Stamps>,
) -> anyhow::Result<Whole> {
    let (code, arriving) = mpsc::channel::<CodeText>(CODE_IN_FLIGHT);
    let own = catalog.take();
    let stage = spawn_blocking(move || stage(own, arriving));
    let read = origin.read(stamps, code, Arc::clone(&request.watch.page));
    let whole = unless_stopped(request, async { Ok(read.await?) }).await;
    let (own, staged) = stage.await.context("the sync ended early")?;
    *catalog = own;
    let whole = whole?;
    staged?;
    Ok(whole)
}

async fn unless_stopped<T>(request: &Request, work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let mut stop = request.stop.clone();
    tokio::select! {
        done = work => done,
        () = stop.pulled() => Err(Interrupted.into()),
    }
}

/// Keeps what arrives for the catalog until a sync is applied.
fn stage(
    catalog: Option<Catalog>,
    mut arriving: mpsc::Receiver<CodeText>,
) -> (Option<Catalog>, Result<(), catalog::Error>) {
    let mut staged = Ok(());
    while let Some(CodeText { code, text }) = arriving.blocking_recv() {
        if let (Some(catalog), Ok(())) = (&catalog, &staged) {
            staged = catalog.stage_code(&code, &text);
        }
    }
    (catalog, staged)
}

/// What the last probe that is remembered said.
async fn remembered(request: &Request) -> anyhow::Result<Option<String>> {
    let (path, id) = (request.config.catalog.path.clone(), request.environment.id);
    let look = move || catalog::last_stamps(&catalog::open_to_read(&path)?, id);
    Ok(spawn_blocking(look).await.context("the sync ended early")??)
}

/// What is known of the environment, if the stamps have not moved and a full read is not due.
async fn compare(request: &Request, stamps: String) -> anyhow::Result<Option<Known>> {
    if request.full {
        return Ok(None);
    }
    let (path, id) = (request.config.catalog.path.clone(), request.environment.id);
    let age = millis(request.config.sync.full_every);
    let look = move || -> Result<Option<Known>, catalog::Error> {
        let (connection, now) = (catalog::open_to_read(&path)?, Timestamp::now());
        catalog::known(&connection, id, &stamps, now.plus_millis(-age), now)
    };
    Ok(spawn_blocking(look).await.context("the sync ended early")??)
}

/// The names of the environments whose requests count together with this one's.
pub(super) fn sharers(request: &Request) -> Vec<&str> {
    let Some(own) = request.environment.config.origin.platform() else { return Vec::new() };
    let shares = |other: &&EnvironmentConfig| {
        other.origin.platform().is_some_and(|platform| share_a_pace(&own.access, &platform.access))
    };
    request.config.environments.iter().filter(shares).map(|environment| environment.name.as_str()).collect()
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
