//! The files that dbt leaves, as an origin: what a `target` folder holds, or many of them, becomes a [`Reading`] of the same nodes that the
//! platform's API would tell. What of it depends on what was read before is settled where a reading is completed, not here.

mod catalog;
mod declared;
mod error;
mod externals;
mod files;
mod json;
mod manifest;
mod meaning;
mod metadata;
mod node;
mod older;
mod place;
mod read;
mod results;
mod runs;
mod stamps;
mod survey;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::config::{self, ArtifactsConfig};

pub use error::Error;
pub use files::FileKind;
pub use read::{Read, read};
pub use stamps::{Stamps, probe};
pub use survey::{Survey, Surveyed, survey};

/// Where the files of one environment are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// Absolute folders and files, which may hold glob characters.
    pub paths: Vec<PathBuf>,
    /// The project that is meant, where several lie together.
    pub project: Option<String>,
    /// Which parts of `metadata.env` tell of a run.
    pub env_keys: EnvKeys,
}

/// Names in `metadata.env`, with or without dbt's prefix `DBT_ENV_CUSTOM_ENV_`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvKeys {
    /// The commit that was run.
    pub git_sha: Option<String>,
    /// What the job is called.
    pub job_name: Option<String>,
    /// Why it ran.
    pub cause: Option<String>,
}

impl From<&ArtifactsConfig> for Place {
    fn from(config: &ArtifactsConfig) -> Self {
        let config::EnvKeys { git_sha, job_name, cause } = config.env_keys.clone();
        Self {
            paths: config.paths.clone(),
            project: config.project.clone(),
            env_keys: EnvKeys { git_sha, job_name, cause },
        }
    }
}
