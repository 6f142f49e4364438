//! The configuration: what may be said, its defaults, and every problem with it at once.

mod addresses;
mod environments;
mod interfaces;
mod keys;
mod load;
mod problems;
mod reader;
mod receivers;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::plan::Policy;
use crate::redact;
use crate::schedule::Schedule;

pub use load::{Need, Source, file, load};
pub use problems::{Problem, Problems};
pub(crate) use receivers::receiver_url;

/// The file that is read from the working directory where no other is named.
pub const DEFAULT_FILE: &str = "lineaged.toml";

/// Every key with its default and a comment; `lineaged init` writes it.
pub const EXAMPLE: &str = include_str!("../../config.example.toml");

/// A valid configuration. `Debug` shows no secret.
#[derive(Debug, Clone)]
pub struct Config {
    /// `[catalog]`
    pub catalog: CatalogConfig,
    /// `[sync]`
    pub sync: SyncConfig,
    /// `[http]`
    pub http: HttpConfig,
    /// `[webhook] secret`; without it there is no webhook.
    pub webhook_secret: Option<SecretString>,
    /// `[webhook] public_url`, with the route's path.
    pub webhook_url: Option<Url>,
    /// `[coverage]`
    pub coverage: CoverageConfig,
    /// `[health] stale_after_days`: after so many days without a build or a check a node is stale.
    pub stale_after_days: u32,
    /// `[platform]`: the platform's other interfaces, where an address of them is known.
    pub interfaces: Option<InterfacesConfig>,
    /// `[platform] environments`: which environments are found by themselves.
    pub find: Option<FindConfig>,
    /// `[[environments]]`, each with the defaults of `[discovery]` and `[schedule]` filled in.
    pub environments: Vec<EnvironmentConfig>,
    /// `[[receivers]]`.
    pub receivers: Vec<ReceiverConfig>,
    /// What is valid but should be looked at, one sentence each.
    pub warnings: Vec<String>,
}

/// Where the catalog is, and how far its history reaches.
#[derive(Debug, Clone)]
pub struct CatalogConfig {
    /// The SQLite file.
    pub path: PathBuf,
    /// How long changes are kept; `None` for ever.
    pub history: Option<Duration>,
}

/// When a read that removes nodes is held, and when a full read is due.
#[derive(Debug, Clone)]
pub struct SyncConfig {
    /// What a read may take away of each environment that does not say otherwise.
    pub policy: Policy,
    /// A full read at least this often.
    pub full_every: Duration,
}

/// How the catalog is served.
#[derive(Debug, Clone)]
pub struct HttpConfig {
    /// The address to listen at.
    pub listen: SocketAddr,
    /// Further `Host` names that are served.
    pub allowed_hosts: Vec<String>,
    /// Needed for any other address than loopback.
    pub api_token: Option<SecretString>,
}

/// What counts as documented and as owned.
#[derive(Debug, Clone)]
pub struct CoverageConfig {
    /// Descriptions that say nothing.
    pub placeholders: Vec<String>,
    /// The keys of `meta` in which an owner stands, where a node has no group's.
    pub owner_meta_keys: Vec<String>,
    /// What no figure counts, in dbt's selection grammar.
    pub exclude: Vec<String>,
    /// What is to be reached.
    pub targets: CoverageTargets,
}

/// Percentages that are to be reached.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct CoverageTargets {
    /// Of nodes, with a description.
    pub nodes: Option<f64>,
    /// Of columns, with a description.
    pub columns: Option<f64>,
    /// Of models, seeds, snapshots and sources, with a test.
    pub tests: Option<f64>,
}

/// One environment to read.
#[derive(Debug, Clone)]
pub struct EnvironmentConfig {
    /// Its number in the catalog. `None`, which only files may have: the catalog gives one, and keeps it with the name.
    pub id: Option<i64>,
    /// Unique name, as used on the command line.
    pub name: String,
    /// Where it is read from.
    pub origin: OriginConfig,
    /// When to sync it.
    pub schedule: Schedule,
    /// What a read may take away.
    pub policy: Policy,
    /// Whose names its relations have elsewhere.
    pub elsewhere: Elsewhere,
}

/// How other programs name what is in an environment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Elsewhere {
    /// The warehouse, as OpenLineage names it: `snowflake://org-account`, `postgres://host:5432`, `bigquery`.
    pub namespace: Option<String>,
    /// Where a file of the project can be read: an address with `{path}`, and `{git_sha}` for the commit.
    pub repository: Option<String>,
}

/// Who is given exports after each sync that changed something.
#[derive(Debug, Clone)]
pub struct ReceiverConfig {
    /// Unique: what has arrived is remembered by it.
    pub name: String,
    /// Where events are sent; with a token `http` only to loopback addresses.
    pub url: Url,
    /// Sent to that host alone.
    pub token: Option<SecretString>,
    /// Run events instead of static ones.
    pub runs: bool,
    /// The names of the environments that it is told of; empty for all.
    pub environments: Vec<String>,
}

impl ReceiverConfig {
    /// True if it is told of the environment of this name.
    pub fn takes(&self, environment: &str) -> bool {
        self.environments.is_empty() || self.environments.iter().any(|name| name == environment)
    }
}

/// Where an environment is read from.
#[derive(Debug, Clone)]
pub enum OriginConfig {
    /// An environment of the dbt platform, through its Discovery API.
    Discovery(Box<PlatformConfig>),
    /// The files that dbt leaves.
    Artifacts(ArtifactsConfig),
}

/// An environment of the platform.
#[derive(Debug, Clone)]
pub struct PlatformConfig {
    /// dbt's own id of it.
    pub platform_id: i64,
    /// The account that it is of; needed where two regions give the same id.
    pub account_id: Option<i64>,
    /// How to reach it.
    pub access: DiscoveryConfig,
    /// How the platform's other interfaces are reached for it; `None` where they are not asked.
    pub interfaces: Option<InterfacesConfig>,
}

/// The platform's other interfaces: where they are, and what they are asked with.
#[derive(Debug, Clone)]
pub struct InterfacesConfig {
    /// The access URL of the region or tenant, below which the Admin API is.
    pub access: Url,
    /// True if `platform.url` says it; else it follows from Discovery's address.
    pub is_access_said: bool,
    /// The account; `None` where it is the only one that the token sees.
    pub account_id: Option<i64>,
    /// `platform.token`, else Discovery's; `None` only for commands that do not need one.
    pub token: Option<SecretString>,
    /// The Semantic Layer, where it is to be asked.
    pub semantic_layer: Option<Url>,
    /// A PEM file with extra certificate authorities.
    pub ca_file: Option<PathBuf>,
    /// Sent as `X-dbt-partner-source`.
    pub partner_source: Option<String>,
}

/// Which environments of the platform are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// Those that are marked production.
    Production,
    /// All but development environments.
    All,
    /// All but development environments of the projects with these names.
    Projects(Vec<String>),
}

/// What the environments have in common that are found by themselves.
#[derive(Debug, Clone)]
pub struct FindConfig {
    /// Which they are.
    pub which: Which,
    /// How Discovery is reached for them.
    pub access: DiscoveryConfig,
    /// When they are synced.
    pub schedule: Schedule,
}

/// Where dbt's files are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ArtifactsConfig {
    /// Folders or globs, absolute.
    pub paths: Vec<PathBuf>,
    /// Which project, where the files of several lie together.
    pub project: Option<String>,
    /// What of a run's environment tells of it.
    pub env_keys: EnvKeys,
}

/// The names of variables, in `metadata.env` of dbt's files, that tell of a run; with or without dbt's prefix `DBT_ENV_CUSTOM_ENV_`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvKeys {
    /// Which holds the git commit.
    pub git_sha: Option<String>,
    /// Which holds the name of the job.
    pub job_name: Option<String>,
    /// Which holds why it ran.
    pub cause: Option<String>,
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
    /// Requests in any 60 seconds, per host and token.
    pub requests_per_minute: u32,
    /// One request, in all.
    pub timeout: Duration,
    /// All tries of one page together.
    pub give_up_after: Duration,
    /// One whole read.
    pub read_deadline: Duration,
    /// How long to wait after a 429 that does not say.
    pub cooldown: Duration,
    /// A PEM file with extra certificate authorities.
    pub ca_file: Option<PathBuf>,
    /// Sent as `X-dbt-partner-source`.
    pub partner_source: Option<String>,
}

impl Config {
    /// The defaults, with one environment at `url`: what the demo runs on. Reads no file and no variable.
    ///
    /// # Errors
    /// Never, as long as the defaults are valid (a test sees to that).
    pub fn for_one(id: i64, name: &str, url: String, token: SecretString, catalog: PathBuf) -> Result<Self, Problems> {
        let mut config = load::defaults()?;
        let (discovery, schedule) = load::shared_defaults()?;
        redact::keep(token.expose_secret());
        // In the same process nothing is worth waiting for.
        let give_up_after = Duration::from_secs(20);
        let discovery =
            DiscoveryConfig { url, token: Some(token), requests_per_minute: 60_000, give_up_after, ..discovery };
        let policy = config.sync.policy;
        let platform = PlatformConfig { platform_id: id, account_id: None, access: discovery, interfaces: None };
        let origin = OriginConfig::Discovery(platform.into());
        config.environments = vec![EnvironmentConfig {
            id: Some(id),
            name: name.to_owned(),
            origin,
            schedule,
            policy,
            elsewhere: Elsewhere::default(),
        }];
        config.catalog.path = catalog;
        Ok(config)
    }

    /// How many requests may be in flight at once, in the whole process.
    pub fn concurrency(&self) -> u32 {
        let of = |environment: &EnvironmentConfig| environment.origin.platform().map(|it| it.access.concurrency);
        let of_found = self.find.as_ref().map(|find| find.access.concurrency);
        self.environments.iter().filter_map(of).chain(of_found).max().unwrap_or(1)
    }

    /// What views need of the configuration: it is stored in the catalog by the next command that writes.
    pub fn settings(&self) -> [(&'static str, serde_json::Value); 4] {
        [
            ("placeholders", self.coverage.placeholders.clone().into()),
            ("owner_meta_keys", self.coverage.owner_meta_keys.clone().into()),
            ("exclude", self.coverage.exclude.clone().into()),
            ("stale_after_days", self.stale_after_days.into()),
        ]
    }
}

impl DiscoveryConfig {
    /// The access URL that follows from Discovery's address, if one does.
    pub fn access_url(&self) -> Option<Url> {
        addresses::access(&Url::parse(&self.url).ok()?)
    }
}

impl OriginConfig {
    /// The word of the view `environments`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Discovery(_) => "discovery",
            Self::Artifacts(_) => "artifacts",
        }
    }

    /// The environment of the platform, if it is one.
    pub fn platform(&self) -> Option<&PlatformConfig> {
        match self {
            Self::Discovery(platform) => Some(platform),
            Self::Artifacts(_) => None,
        }
    }
}

/// Why the example could not be written.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// There is a file already.
    #[error("`{0}` is there already and is left as it is: move it away, or name another with `--config`")]
    Exists(PathBuf),
    /// It can't be written.
    #[error("can't write `{path}`")]
    Write {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
}

/// Writes the commented example to `path`, never over a file.
pub fn init(path: &Path) -> Result<(), InitError> {
    let write = || std::fs::File::create_new(path)?.write_all(EXAMPLE.as_bytes());
    write().map_err(|source| match source.kind() {
        std::io::ErrorKind::AlreadyExists => InitError::Exists(path.to_owned()),
        _ => InitError::Write { path: path.to_owned(), source },
    })
}

/// `90s`, `15m`, `24h`, `400d`, `500ms`.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let unit_at = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(unit_at);
    let number: u64 = number.parse().ok()?;
    let millis = match unit.trim() {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    // More than a century is a slip of the pen, and would overflow sums of times.
    number.checked_mul(millis).filter(|millis| *millis <= 36_525 * 86_400_000).map(Duration::from_millis)
}

impl fmt::Display for DiscoveryConfig {
    /// For `check`: the endpoint, without the token and without the query, which may hold another one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.url.split(['?', '#']).next().unwrap_or_default())
    }
}
