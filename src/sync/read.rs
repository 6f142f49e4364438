//! Reading: the probe, and where something has moved the whole environment, whose code waits in the catalog.

use std::time::Duration;

use anyhow::Context;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use super::request::{Interrupted, Request};
use crate::catalog::{self, Catalog, Known};
use crate::inventory::Reading;
use crate::origin::discovery::{self, Client, CodeText, Moment};
use crate::time::Timestamp;

/// How many code texts may wait for the catalog before the reader waits.
const CODE_IN_FLIGHT: usize = 64;

/// What the platform answered.
pub(super) enum Found {
    /// Nothing has moved.
    Known(Known),
    /// The whole environment.
    Whole(Box<Whole>),
}

/// A complete read.
pub(super) struct Whole {
    pub(super) reading: Reading,
    /// What the probe said, if the read saw that very moment: else the next firing reads again.
    pub(super) stamps: Option<String>,
}

/// Probes, and where something has moved reads the whole environment. A dry run reads in any case.
pub(super) async fn find(
    request: &Request,
    client: &Client,
    catalog: &mut Option<Catalog>,
    moment: &mut Option<Moment>,
) -> anyhow::Result<Found> {
    if !request.dry_run {
        let probe = discovery::probe(client, request.environment.id);
        let probed = unless_stopped(request, async { Ok(probe.await?) }).await?;
        let known = compare(request, probed.text.clone()).await?;
        *moment = Some(probed);
        if let Some(known) = known {
            return Ok(Found::Known(known));
        }
    }
    let whole = read(request, client, catalog, moment.as_ref()).await?;
    Ok(Found::Whole(Box::new(whole)))
}

/// Reads the whole environment. Code waits in the catalog's temporary table, so that it never stands in memory as a whole.
pub(super) async fn read(
    request: &Request,
    client: &Client,
    catalog: &mut Option<Catalog>,
    moment: Option<&Moment>,
) -> anyhow::Result<Whole> {
    let (code, arriving) = mpsc::channel::<CodeText>(CODE_IN_FLIGHT);
    let own = catalog.take();
    let stage = spawn_blocking(move || stage(own, arriving));
    let fetch = discovery::fetch(client, request.environment.id, code, &*request.watch.page);
    let fetched = unless_stopped(request, async { Ok(fetch.await?) }).await;
    let (own, staged) = stage.await.context("the sync ended early")?;
    *catalog = own;
    let (reading, before) = fetched?;
    staged?;
    let probed = moment.filter(|moment| moment.is_of(&before, &reading.inventory));
    Ok(Whole { reading, stamps: probed.map(|moment| moment.text.clone()) })
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

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
