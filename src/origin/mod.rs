//! Where an environment is read from: asked whether anything has moved, and read whole. What a read costs, what tells two moments
//! apart and what can go wrong is told in the same words for every origin.

pub mod discovery;

use tokio::sync::mpsc::Sender;

use crate::config::OriginConfig;
use crate::inventory::{Code, Reading};

/// A source text on its way to the catalog; nodes hold only the hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeText {
    /// The hash under which nodes refer to it.
    pub code: Code,
    /// The text itself.
    pub text: String,
}

/// Called while a read goes on, with the list's or file's name, the nodes seen so far and their total.
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
}

impl Error {
    /// The platform's, if it is one of the platform.
    pub fn platform(&self) -> Option<&discovery::Error> {
        match self {
            Self::Discovery(error) => Some(error),
        }
    }
}

/// Where one environment is read from.
#[derive(Debug)]
pub enum Origin {
    /// The Discovery API, and the platform's own id of the environment.
    Discovery(discovery::Client, i64),
}

/// What an origin says of the moment that it shows.
#[derive(Debug)]
pub enum Stamps {
    /// The platform's stamps and counts.
    Discovery(discovery::Moment),
}

impl Stamps {
    /// All of it as text: equal texts mean that nothing has moved, as far as the origin tells.
    pub fn text(&self) -> &str {
        match self {
            Self::Discovery(moment) => &moment.text,
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
    /// Prepares what reading needs. Nothing is asked yet.
    ///
    /// # Errors
    /// If there is no token, or a file that is needed can't be read.
    pub fn new(config: &OriginConfig, limits: &discovery::Limits) -> Result<Self, Error> {
        match config {
            OriginConfig::Discovery(platform) => {
                Ok(Self::Discovery(discovery::Client::new(&platform.access, limits)?, platform.platform_id))
            }
            OriginConfig::Artifacts(_) => todo!(),
        }
    }

    /// Asks as cheaply as possible which moment there is to see. `before`: the text of the stamps that were remembered last.
    ///
    /// # Errors
    /// If the origin can't be reached.
    pub async fn probe(&self, _before: Option<&str>) -> Result<Stamps, Error> {
        match self {
            Self::Discovery(client, id) => Ok(Stamps::Discovery(discovery::probe(client, *id).await?)),
        }
    }

    /// Reads everything, proved to be complete and of one moment. Source texts go to `code` while the read goes on, so its receiver
    /// must be emptied at the same time.
    ///
    /// # Errors
    /// If anything is missing.
    pub async fn read(
        &self,
        probed: Option<&Stamps>,
        code: Sender<CodeText>,
        progress: Progress<'_>,
    ) -> Result<Whole, Error> {
        match self {
            Self::Discovery(client, id) => {
                let (reading, before) = discovery::fetch(client, *id, code, progress).await?;
                let Some(Stamps::Discovery(moment)) = probed else { return Ok(Whole { reading, stamps: None }) };
                let stamps = moment.is_of(&before, &reading.inventory).then(|| moment.text.clone());
                Ok(Whole { reading, stamps })
            }
        }
    }

    /// What has been asked so far.
    pub fn cost(&self) -> Cost {
        match self {
            Self::Discovery(client, _) => client.cost(),
        }
    }
}
