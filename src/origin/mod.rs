//! Where an environment is read from: asked whether anything has moved, and read whole. What a read costs, what tells two moments
//! apart and what can go wrong is told in the same words for every origin.

pub mod artifacts;
mod assembly;
pub mod discovery;
mod draft;
pub mod platform;
mod reference;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::mpsc::Sender;

use crate::config::{ArtifactsConfig, OriginConfig};
use crate::inventory::{Code, Reading, UniqueId};
pub(crate) use crate::outbound::printable;
use crate::time::Timestamp;

/// A source text on its way to the catalog; nodes hold only the hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeText {
    /// Whose it is.
    pub node: UniqueId,
    /// Whether it is the compiled code, else the raw one.
    pub is_compiled: bool,
    /// The hash under which nodes refer to it.
    pub code: Code,
    /// The text itself.
    pub text: String,
}

/// Called while a read goes on: with a list's name, the nodes seen so far and their total; or with a kind of files, how many are read
/// and how many there are.
pub type Progress<'a> = &'a (dyn Fn(&'static str, u64, u64) + Send + Sync);

/// What has been asked of an origin so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    /// Requests sent.
    pub requests: u64,
    /// Bytes of decompressed answers, or of files that were read.
    pub bytes: u64,
    /// Questions asked again after a failure.
    pub retries: u64,
}

/// Why an origin could not be read.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The Discovery API.
    #[error(transparent)]
    Discovery(#[from] discovery::Error),
    /// dbt's files.
    #[error(transparent)]
    Artifacts(#[from] Arc<artifacts::Error>),
}

impl Error {
    /// The platform's, if it is one of the platform.
    pub fn platform(&self) -> Option<&discovery::Error> {
        match self {
            Self::Discovery(error) => Some(error),
            Self::Artifacts(_) => None,
        }
    }
}

/// Where one environment is read from.
#[derive(Debug)]
pub enum Origin {
    /// The Discovery API, and the platform's own id of the environment.
    Discovery(Box<discovery::Client>, i64),
    /// The files that dbt leaves, and how many bytes of them were read.
    Artifacts(Arc<ArtifactsConfig>, AtomicU64),
}

/// What an origin says of the moment that it shows.
#[derive(Debug)]
pub enum Stamps {
    /// The platform's stamps and counts.
    Discovery(Box<discovery::Moment>),
    /// Which files there are, how large and old they are, and what they hold.
    Artifacts {
        /// As they are now.
        now: String,
        /// What was remembered of them, where they hold the same, though some may have been touched since.
        same: Option<String>,
    },
}

impl Stamps {
    /// All of it as text: equal texts mean that nothing has moved, as far as the origin tells.
    pub fn text(&self) -> &str {
        match self {
            Self::Discovery(moment) => &moment.text,
            Self::Artifacts { now, same } => same.as_ref().unwrap_or(now),
        }
    }

    /// What to remember where nothing has moved.
    pub fn renewed(&self) -> &str {
        match self {
            Self::Discovery(moment) => &moment.text,
            Self::Artifacts { now, .. } => now,
        }
    }
}

/// A complete read.
#[derive(Debug)]
pub struct Whole {
    /// What was read.
    pub reading: Reading,
    /// What the next probe is compared with, if the read saw one moment that is known: else the next firing reads again.
    pub stamps: Option<String>,
}

impl Origin {
    /// Prepares what reading needs. Nothing is asked yet. `spent` tells of requests that other processes sent to the same host with the
    /// same token: how long ago, and how many.
    ///
    /// # Errors
    /// If there is no token, or a file that is needed can't be read.
    pub fn new(config: &OriginConfig, limits: &discovery::Limits, spent: &[(Duration, usize)]) -> Result<Self, Error> {
        match config {
            OriginConfig::Discovery(platform) => {
                let client = discovery::Client::after(&platform.access, limits, spent)?;
                Ok(Self::Discovery(Box::new(client), platform.platform_id))
            }
            OriginConfig::Artifacts(files) => Ok(Self::Artifacts(Arc::new(files.clone()), AtomicU64::new(0))),
        }
    }

    /// Asks as cheaply as possible which moment there is to see. `before`: the text of the stamps that were remembered last.
    ///
    /// # Errors
    /// If the origin can't be reached.
    pub async fn probe(&self, before: Option<&str>) -> Result<Stamps, Error> {
        match self {
            Self::Discovery(client, id) => Ok(Stamps::Discovery(Box::new(discovery::probe(client, *id).await?))),
            Self::Artifacts(place, bytes) => {
                let (place, last) = (Arc::clone(place), before.map(str::to_owned));
                let probed = blocking(move || artifacts::probe(&place, last.as_deref())).await?;
                bytes.fetch_add(probed.bytes, Ordering::Relaxed);
                let same = before.filter(|_| probed.is_same).map(str::to_owned);
                Ok(Stamps::Artifacts { now: probed.text, same })
            }
        }
    }

    /// Reads everything, proved to be complete and of one moment, which was probed just before if it was. Source texts go to `code` while the read goes on, so its receiver
    /// must be emptied at the same time.
    ///
    /// # Errors
    /// If anything is missing.
    pub async fn read(
        &self,
        probed: Option<&Stamps>,
        code: Sender<Vec<CodeText>>,
        progress: Arc<dyn Fn(&'static str, u64, u64) + Send + Sync>,
    ) -> Result<Whole, Error> {
        match self {
            Self::Discovery(client, id) => {
                let moment = match probed {
                    Some(Stamps::Discovery(moment)) => Some(moment),
                    Some(Stamps::Artifacts { .. }) | None => None,
                };
                let before = moment.map(|moment| moment.stamps.clone());
                let (reading, after) = discovery::fetch(client, (*id, before), code, &*progress).await?;
                let seen = moment.filter(|moment| moment.is_of(&after, &reading.inventory));
                let stamps = seen.map(|moment| moment.text.clone());
                Ok(Whole { reading, stamps })
            }
            Self::Artifacts(place, bytes) => {
                let (place, mut code) = (Arc::clone(place), Some(code));
                let read = blocking(move || {
                    let mut send = |text: CodeText| {
                        // Nobody takes it any more where the sync has ended, and then nothing of it is used.
                        let sent = code.as_ref().map(|code| code.blocking_send(vec![text]));
                        if matches!(sent, Some(Err(_))) {
                            code = None;
                        }
                    };
                    artifacts::read(&place, Timestamp::now(), &mut send, &*progress)
                });
                let artifacts::Read { reading, stamps, bytes: read } = read.await?;
                bytes.fetch_add(read, Ordering::Relaxed);
                Ok(Whole { reading, stamps: Some(stamps) })
            }
        }
    }

    /// What has been asked so far.
    pub fn cost(&self) -> Cost {
        match self {
            Self::Discovery(client, _) => client.cost(),
            Self::Artifacts(_, bytes) => Cost { bytes: bytes.load(Ordering::Relaxed), ..Cost::default() },
        }
    }
}

/// Reads files off the threads that serve others.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, artifacts::Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => Ok(done.map_err(Arc::new)?),
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
