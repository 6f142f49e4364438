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

/// How many pages' code texts may wait for the catalog before the reader waits.
const PAGES_IN_FLIGHT: usize = 1;

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
    let (code, arriving) = mpsc::channel(PAGES_IN_FLIGHT);
    let (own, id) = (catalog.take(), request.environment.id);
    let stage = spawn_blocking(move || stage(own, id, arriving));
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

/// Keeps what arrives, and the catalog does not hold, until a sync is applied.
fn stage(
    mut catalog: Option<Catalog>,
    environment_id: i64,
    mut arriving: mpsc::Receiver<Vec<CodeText>>,
) -> (Option<Catalog>, Result<(), catalog::Error>) {
    let keep = |catalog: &mut Catalog, texts: Vec<CodeText>| {
        for CodeText { node, is_compiled, code, text } in texts {
            if !catalog.holds_code(environment_id, &node, &code, is_compiled)? {
                catalog.stage_code(&code, &text)?;
            }
        }
        Ok(())
    };
    let mut staged = Ok(());
    while let Some(texts) = arriving.blocking_recv() {
        if let (Some(catalog), Ok(())) = (&mut catalog, &staged) {
            staged = keep(catalog, texts);
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

#[cfg(test)]
mod tests {
    use super::super::{begin, run};
    use super::*;
    use crate::catalog::{Trigger, Writers};
    use crate::config::Config;
    use crate::demo::{Project, Server};
    use crate::origin::discovery::Limits;
    use crate::sync::{Stop, Watch, environments};

    fn request(server: &Server, catalog: std::path::PathBuf) -> Request {
        let config = Config::for_one(1, "prod", server.url(), server.token().into(), catalog).expect("valid");
        Request {
            environment: environments(&config).expect("numbered").swap_remove(0),
            config: Arc::new(config),
            trigger: Trigger::Manual,
            dry_run: false,
            full: false,
            writers: Writers::default(),
            stop: Stop::new().1,
            watch: Watch::nobody(),
        }
    }

    /// How many texts a full read keeps aside.
    async fn staged(request: &Request) -> i64 {
        let begun = begin(request.clone()).await.expect("begun");
        let mut catalog = begun.writing.map(|(catalog, _)| catalog);
        let origin = Origin::new(&request.environment.config.origin, &Limits::new(4, 1), &[]).expect("an origin");
        read(request, &origin, &mut catalog, None).await.expect("read");
        let count = "SELECT count(*) FROM temp.staged_code";
        catalog.expect("given back").connection().query_row(count, [], |row| row.get(0)).expect("counted")
    }

    #[tokio::test]
    async fn only_code_that_its_node_does_not_have_is_kept_aside() {
        let server = Server::start(vec![(1, Project::bundled(Timestamp::now()))]).expect("a server");
        let folder = tempfile::tempdir().expect("a folder");
        let request = request(&server, folder.path().join("c.db"));
        assert!(staged(&request).await > 10, "all of it before the first sync");
        run(&request, &Limits::new(4, 1)).await.expect("synced");
        assert_eq!(staged(&request).await, 0);
        server.change(1, |project| project.set_code("model.mini_shop.orders", "select 'new'"));
        assert_eq!(staged(&request).await, 1);
    }
}
