//! The catalog over HTTP, the webhook, and what watches the daemon. Nothing here knows SQL, and nothing here syncs: it marks
//! environments as due.
//!
//! ```text
//! server (connections) ──▶ guard (who may ask) ──▶ rows | nodes | summaries | trigger | webhook | … ──▶ reading, stream ──▶ answers
//! ```

mod accept;
mod code;
mod columns;
mod describe;
mod filters;
mod guard;
mod moments;
mod nodes;
mod peers;
mod problem;
mod query;
mod reading;
mod routes;
mod rows;
mod search;
mod server;
mod status;
mod stream;
mod summaries;
mod trigger;
mod waiting;
mod webhook;

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use secrecy::SecretString;
use tokio::sync::{Semaphore, watch};

use crate::config::{CoverageTargets, HttpConfig};
use crate::sync::Due;
use crate::telemetry::Telemetry;

pub use server::serve;
pub use webhook::Platform;

/// The environments that may be synced.
#[derive(Debug, Clone, Default)]
pub struct Served {
    /// All of them (id and name).
    pub environments: Vec<(i64, String)>,
    /// Those of the platform, as webhooks name them.
    pub platforms: Vec<Platform>,
}

/// What is served, and to whom.
#[derive(Debug, Clone)]
pub struct State {
    /// Where requests and the webhook mark what is due.
    pub due: Due,
    /// Which environments there are.
    pub served: watch::Receiver<Served>,
    /// Told whenever a sync of this process has ended.
    pub ended: watch::Receiver<()>,
    /// The catalog's file.
    pub catalog: PathBuf,
    /// `[http]`.
    pub http: HttpConfig,
    /// `[webhook] secret`; without it there is no webhook.
    pub webhook_secret: Option<SecretString>,
    /// What is counted.
    pub telemetry: Telemetry,
    /// What coverage is to reach.
    pub targets: CoverageTargets,
    /// How much one client, and all together, may take.
    pub limits: Limits,
}

/// How much one client, and all together, may take. Whoever is slower or greedier is cut off.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections at once. One more takes the place of the one whose header or body we wait for longest; else it waits.
    pub connections: usize,
    /// Connections of one address at once (of one network of IPv6). One more likewise; else it is refused.
    pub per_address: usize,
    /// How long a wrong token waits for its answer.
    pub wrong_token: Duration,
    /// From the begin of a connection, or the end of an answer, to the end of the next request's header.
    pub header: Duration,
    /// For the body of a request.
    pub body: Duration,
    /// The size of the body of a request.
    pub body_bytes: usize,
    /// From the end of the header to the begin of the answer.
    pub request: Duration,
    /// While a client takes nothing of an answer.
    pub write: Duration,
    /// A connection, in all.
    pub connection: Duration,
    /// How long a request that starts a sync waits for the sync's row.
    pub begin: Duration,
    /// At the end: for requests that are under way.
    pub grace: Duration,
    /// Reads of the catalog at once.
    pub readers: usize,
    /// How long a read waits for its turn.
    pub reader_wait: Duration,
    /// One read.
    pub reading: Duration,
    /// Going back to the moment that a read asks for, before it.
    pub going_back: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 256,
            per_address: 64,
            wrong_token: Duration::from_secs(1),
            header: Duration::from_secs(10),
            body: Duration::from_secs(30),
            body_bytes: 1 << 20,
            request: Duration::from_secs(30),
            write: Duration::from_secs(30),
            connection: Duration::from_secs(600),
            begin: Duration::from_secs(1),
            grace: Duration::from_secs(4),
            readers: 4,
            reader_wait: Duration::from_secs(2),
            reading: Duration::from_secs(5),
            going_back: Duration::from_secs(20),
        }
    }
}

/// What all handlers share.
#[derive(Debug)]
struct App {
    state: State,
    /// Its sender is dropped when the server stops; nothing is ever sent.
    stopping: watch::Receiver<()>,
    /// One permit for each read that may run.
    readers: Arc<Semaphore>,
    /// Reads that last as long as a client takes their answers: at most half of all, so that they do not keep the others from theirs.
    streams: Arc<Semaphore>,
    /// Whoever watches us never waits behind those who read.
    readiness: Arc<Semaphore>,
    scrapes: Arc<Semaphore>,
    /// The catalog as it was.
    moments: Arc<moments::Moments>,
    deliveries: webhook::Deliveries,
    forgeries: webhook::Forgeries,
    /// The description of the routes, once they are made.
    openapi: OnceLock<String>,
}

impl App {
    fn new(state: State, stopping: watch::Receiver<()>) -> Arc<Self> {
        let readers = Arc::new(Semaphore::new(state.limits.readers));
        let streams = Arc::new(Semaphore::new(state.limits.readers.div_ceil(2)));
        Arc::new(Self {
            state,
            stopping,
            readers,
            streams,
            moments: Arc::new(moments::Moments::new()),
            readiness: Arc::new(Semaphore::new(1)),
            scrapes: Arc::new(Semaphore::new(1)),
            deliveries: webhook::Deliveries::default(),
            forgeries: webhook::Forgeries::default(),
            openapi: OnceLock::new(),
        })
    }
}
