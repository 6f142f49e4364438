//! The configuration: what may be said, its defaults, and every problem with it at once.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

/// A valid configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// `[catalog]`
    pub catalog: CatalogConfig,
    /// `[sync]`
    pub sync: SyncConfig,
    /// `[[environments]]`, each with the defaults of `[discovery]` filled in.
    pub environments: Vec<EnvironmentConfig>,
}

/// Where the catalog is.
#[derive(Debug, Clone)]
pub struct CatalogConfig {
    /// The SQLite file.
    pub path: PathBuf,
}

/// When a read that removes nodes is held, and when a full read is due.
#[derive(Debug, Clone)]
pub struct SyncConfig {
    /// Per resource type, in percent; above it the sync is held.
    pub max_removed_percent: f64,
    /// This many removals of a type, or fewer, are never held.
    pub min_removed_floor: u64,
    /// A full read at least this often.
    pub full_every: Duration,
}

/// One environment to read.
#[derive(Debug, Clone)]
pub struct EnvironmentConfig {
    /// dbt's environment id.
    pub id: i64,
    /// Unique name, as used on the command line.
    pub name: String,
    /// How to reach the platform for it.
    pub discovery: DiscoveryConfig,
}

/// How to reach the Discovery API.
#[derive(Debug, Clone)]
pub struct DiscoveryConfig {
    /// The GraphQL endpoint; `http` only to loopback addresses.
    pub url: String,
    /// The token; `None` only for commands that do not need one.
    pub token: Option<SecretString>,
    /// Nodes per page, 1 to 500.
    pub page_size: u32,
    /// Requests in flight, whole process.
    pub concurrency: u32,
    /// Pace, per host and token.
    pub requests_per_minute: u32,
    /// One request, in all.
    pub timeout: Duration,
    /// All tries of one page together.
    pub give_up_after: Duration,
    /// How long to wait after a 429 that does not say.
    pub cooldown: Duration,
    /// A PEM file with extra certificate authorities.
    pub ca_file: Option<PathBuf>,
    /// Sent as `X-dbt-partner-source`.
    pub partner_source: Option<String>,
}
