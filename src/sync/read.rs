//! Reading: the probe, and where something has moved the whole environment, whose code waits in the catalog.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use super::request::{Interrupted, Request};
use crate::catalog::{self, Catalog, Known};
use crate::discovery::{self, Client, CodeText, Cost, Limits};
use crate::inventory::{Reading, Timestamp};

/// How many code texts may wait for the catalog before the reader waits.
const CODE_IN_FLIGHT: usize = 64;

/// What reading came to.
pub(super) struct Read {
    pub(super) found: anyhow::Result<Found>,
    /// What the probe said.
    pub(super) stamps: Option<String>,
    pub(super) catalog: Option<Catalog>,
    pub(super) cost: Cost,
}

/// What the platform answered.
pub(super) enum Found {
    /// Nothing has moved.
    Known(Known),
    /// The whole environment.
    Reading(Box<Reading>),
}

/// Probes, and where something has moved reads the whole environment; code waits in the catalog's temporary table, so that it
/// never stands in memory as a whole.
pub(super) async fn read(request: &Request, limits: &Limits, catalog: Option<Catalog>) -> anyhow::Result<Read> {
    let client = match Client::new(&request.environment.discovery, limits) {
        Ok(client) => client,
        Err(error) => return Ok(Read { found: Err(error.into()), stamps: None, catalog, cost: Cost::default() }),
    };
    let (code, arriving) = mpsc::channel::<CodeText>(CODE_IN_FLIGHT);
    let known = KnownAs::of(request);
    let stage = spawn_blocking(move || stage(catalog, arriving));
    let mut stamps = None;
    let mut stop = request.stop.clone();
    let reading = async {
        if !request.dry_run {
            stamps = Some(discovery::probe(&client, request.environment.id).await?);
            if let Some(known) = known.compare(stamps.clone()).await? {
                return Ok(Found::Known(known));
            }
        }
        let reading = discovery::fetch(&client, request.environment.id, code, &*request.watch.page).await?;
        Ok(Found::Reading(Box::new(reading)))
    };
    let found: anyhow::Result<Found> = tokio::select! {
        found = reading => found,
        () = stop.pulled() => Err(Interrupted.into()),
    };
    let (catalog, staged) = stage.await.context("the sync ended early")?;
    let found = match (found, staged) {
        (Ok(_), Err(error)) => Err(error.into()),
        (found, _) => found,
    };
    Ok(Read { found, stamps, catalog, cost: client.cost() })
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

/// What the catalog knows of the environment, to compare a probe with.
struct KnownAs {
    catalog: PathBuf,
    environment_id: i64,
    full: bool,
    full_every: Duration,
}

impl KnownAs {
    fn of(request: &Request) -> Self {
        Self {
            catalog: request.config.catalog.path.clone(),
            environment_id: request.environment.id,
            full: request.full,
            full_every: request.config.sync.full_every,
        }
    }

    /// What is known, if the stamps have not moved and a full read is not due.
    async fn compare(self, stamps: Option<String>) -> anyhow::Result<Option<Known>> {
        let Some(stamps) = stamps.filter(|_| !self.full) else { return Ok(None) };
        let look = move || -> Result<Option<Known>, catalog::Error> {
            let connection = catalog::open_to_read(&self.catalog)?;
            let age = i64::try_from(self.full_every.as_millis()).unwrap_or(i64::MAX);
            catalog::known(&connection, self.environment_id, &stamps, Timestamp::now().plus_millis(-age))
        };
        Ok(spawn_blocking(look).await.context("the sync ended early")??)
    }
}
