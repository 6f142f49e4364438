//! What a sync is asked to do, who looks on, and how it is stopped.

use std::fmt;
use std::sync::Arc;

use tokio::sync::watch;

use super::environments::Environment;
use crate::catalog::{self, Trigger, Writers};
use crate::config::Config;

/// What to sync, and how.
#[derive(Debug, Clone)]
pub struct Request {
    /// The configuration, shared by all syncs of the process.
    pub config: Arc<Config>,
    /// The environment to read, one of the configuration's.
    pub environment: Environment,
    /// What started this sync.
    pub trigger: Trigger,
    /// Only tell what would change.
    pub dry_run: bool,
    /// Read everything, whatever the probe would say.
    pub full: bool,
    /// The right to write the catalog, shared by all syncs of the process.
    pub writers: Writers,
    /// Ends the sync early.
    pub stop: Stop,
    /// Who looks on.
    pub watch: Watch,
}

/// Ends syncs early: what is read is dropped, what is being committed is finished.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<bool>);

impl Stop {
    /// A stop, and what pulls it.
    pub fn new() -> (watch::Sender<bool>, Self) {
        let (pull, stop) = watch::channel(false);
        (pull, Self(stop))
    }

    /// True once it is pulled.
    pub fn is_pulled(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns when it is pulled.
    pub async fn pulled(&mut self) {
        if self.0.wait_for(|pulled| *pulled).await.is_err() {
            // Nobody is left who could pull it.
            std::future::pending().await
        }
    }
}

/// The sync was stopped before it was done; nothing was changed.
#[derive(Debug, thiserror::Error)]
#[error("stopped before it was done; nothing was changed")]
pub struct Interrupted;

impl Interrupted {
    /// This, where the catalog says that it was told to end; else the error as it is.
    pub(super) fn or(error: anyhow::Error) -> anyhow::Error {
        let interrupted = error.downcast_ref::<catalog::Error>().is_some_and(catalog::Error::is_interrupted);
        if interrupted { Self.into() } else { error }
    }
}

/// Is told what a sync is doing, while it does it.
#[derive(Clone)]
pub struct Watch {
    /// A page arrived: so many of so many nodes of a resource type are read.
    pub page: Arc<dyn Fn(&'static str, u64, u64) + Send + Sync>,
    /// The sync waits for another process that writes the catalog.
    pub waiting: Arc<dyn Fn(&str) + Send + Sync>,
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watch")
    }
}

impl Watch {
    /// Nobody looks on.
    pub fn nobody() -> Self {
        Self { page: Arc::new(|_, _, _| ()), waiting: Arc::new(|_| ()) }
    }
}
