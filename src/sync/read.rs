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

/// Probes, and where something has moved, or this is a second look, reads the whole environment. A dry run, which has no catalog, reads
/// in any case.
pub(super) async fn find(
    request: &Request,
    origin: &Origin,
    catalog: &mut Option<Catalog>,
    is_second: bool,
) -> anyhow::Result<Found> {
    let mut probed = None;
    if catalog.is_some() {
        let id = request.environment.id;
        let before = look(catalog, move |own| catalog::last_stamps(own.connection(), id)).await?.flatten();
        let probe = origin.probe(before.as_deref());
        let stamps = unless_stopped(request, async { Ok(probe.await?) }).await?;
        let may_be_known = !request.full && !is_second;
        if may_be_known && let Some(known) = compare(request, catalog, stamps.text().to_owned()).await? {
            return Ok(Found::Known(known, stamps.renewed().to_owned()));
        }
        probed = Some(stamps);
    }
    let whole = read(request, origin, catalog, probed.as_ref()).await?;
    Ok(Found::Whole(Box::new(whole)))
}

/// Reads the whole environment. Code waits in the catalog's temporary table, so that it never stands in memory as a whole.
async fn read(
    request: &Request,
    origin: &Origin,
    catalog: &mut Option<Catalog>,
    probed: Option<&Stamps>,
) -> anyhow::Result<Whole> {
    let (code, arriving) = mpsc::channel::<CodeText>(CODE_IN_FLIGHT);
    let own = catalog.take();
    let stage = spawn_blocking(move || stage(own, arriving));
    let read = origin.read(probed, code, Arc::clone(&request.watch.page));
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

/// What is known of the environment, if the stamps have not moved and a full read is not due.
async fn compare(request: &Request, catalog: &mut Option<Catalog>, stamps: String) -> anyhow::Result<Option<Known>> {
    let (id, age) = (request.environment.id, millis(request.config.sync.full_every));
    let known = look(catalog, move |own| {
        let now = Timestamp::now();
        catalog::known(own.connection(), id, &stamps, now.plus_millis(-age), now)
    });
    Ok(known.await?.flatten())
}

/// What the writer's own connection says, which has read the schema already; `None` without one.
async fn look<T: Send + 'static>(
    catalog: &mut Option<Catalog>,
    ask: impl FnOnce(&Catalog) -> Result<T, catalog::Error> + Send + 'static,
) -> anyhow::Result<Option<T>> {
    let own = catalog.take();
    let look = move || {
        let answer = own.as_ref().map(ask).transpose();
        (own, answer)
    };
    let (own, answer) = spawn_blocking(look).await.context("the sync ended early")?;
    *catalog = own;
    Ok(answer?)
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
