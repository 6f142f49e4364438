//! From the sources to a valid configuration: defaults, then the file, then variables, then flags.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::{Env, Format, Toml};

use super::addresses::is_loopback;
use super::reader::{Found, Reader, variable};
use super::{
    CatalogConfig, Config, CoverageConfig, CoverageTargets, DEFAULT_FILE, DiscoveryConfig, HttpConfig, Problems,
    SyncConfig, environments, interfaces, keys, receivers,
};
use crate::plan::Policy;
use crate::redact;
use crate::schedule::Schedule;

/// Where a configuration for the whole machine lies.
const SYSTEM_FOLDER: &str = "/etc/lineaged";

/// What the flags say.
#[derive(Debug, Clone, Default)]
pub struct Source {
    /// `--config`: this file instead of the usual one.
    pub config: Option<PathBuf>,
    /// `--catalog`: this catalog, whatever the configuration says.
    pub catalog: Option<PathBuf>,
}

/// What a command needs of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Only the catalog.
    Reading,
    /// What is read from, so environments and tokens.
    Origins,
}

/// Reads and checks the configuration.
///
/// # Errors
/// With every problem there is, each with its key, its source and the way out.
pub fn load(source: &Source, need: Need) -> Result<Config, Problems> {
    keep_proxies();
    let mut problems = Problems::default();
    let file = choose_file(source, &mut problems);
    let mut figment = Figment::new();
    if let Some(file) = &file {
        match check_syntax(file) {
            Ok(()) => figment = figment.merge(Toml::file_exact(file)),
            Err(message) => problems.add("", file.display().to_string(), message),
        }
    }
    if !problems.0.is_empty() {
        // Nothing else can be judged as long as the file can't be read.
        return Err(problems);
    }
    let figment = figment.merge(variables());
    let mut reader = Reader { figment, file, problems };
    reader.complain_of_unknown_keys();
    let mut config = read(&mut reader, need);
    match &source.catalog {
        Some(catalog) => config.catalog.path.clone_from(catalog),
        None => demand_absolute_path(&mut reader),
    }
    if reader.problems.0.is_empty() { Ok(config) } else { Err(reader.problems) }
}

/// The HTTP client takes these from its environment, and they may name a password.
fn keep_proxies() {
    for name in ["https_proxy", "http_proxy", "all_proxy"] {
        let values = [name.to_owned(), name.to_uppercase()].into_iter().filter_map(|name| std::env::var(name).ok());
        values.for_each(|address| redact::keep_url(&address));
    }
}

fn empty_reader() -> Reader {
    Reader { figment: Figment::new(), file: None, problems: Problems::default() }
}

/// What holds where nothing is said.
pub(super) fn defaults() -> Result<Config, Problems> {
    let mut reader = empty_reader();
    let config = read_sections(&mut reader);
    if reader.problems.0.is_empty() { Ok(config) } else { Err(reader.problems) }
}

/// How an environment is reached and when it is synced, where nothing is said.
pub(super) fn shared_defaults() -> Result<(DiscoveryConfig, Schedule), Problems> {
    let mut reader = empty_reader();
    let (discovery, schedule) = (read_discovery(&mut reader), read_schedule(&mut reader, None, None));
    match schedule {
        Some(schedule) if reader.problems.0.is_empty() => Ok((discovery, schedule)),
        _ => Err(reader.problems),
    }
}

/// The configuration that is in use: the one that is named, else the nearest; `None` if there is none.
pub fn file(named: Option<&Path>) -> Option<PathBuf> {
    let source = Source { config: named.map(Path::to_owned), catalog: None };
    choose_file(&source, &mut Problems::default())
}

fn choose_file(source: &Source, problems: &mut Problems) -> Option<PathBuf> {
    let named = source.config.clone().or_else(|| std::env::var_os("LINEAGED_CONFIG").map(PathBuf::from));
    match named {
        Some(file) if file.is_file() => Some(file),
        Some(file) => {
            let file = file.display().to_string();
            problems.add("", file, "there is no such file: name another, or write it with `lineaged init`");
            None
        }
        None => places().into_iter().find(|file| file.is_file()),
    }
}

/// The files that are read where none is named, the nearest first.
pub(super) fn places() -> Vec<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|folder| folder.is_absolute());
    let own = folder("XDG_CONFIG_HOME").or_else(|| folder("HOME").map(|home| home.join(".config")));
    let own = own.map(|folder| folder.join("lineaged"));
    let folders = [Some(PathBuf::new()), own, Some(PathBuf::from(SYSTEM_FOLDER))];
    folders.into_iter().flatten().map(|folder| folder.join(DEFAULT_FILE)).collect()
}

/// Beside a file of the whole machine there is no place for a catalog.
pub(super) fn demand_absolute_path(reader: &mut Reader) {
    let of_the_system =
        reader.file.as_deref().and_then(Path::parent).is_some_and(|folder| folder == Path::new(SYSTEM_FOLDER));
    let (key, found) = ("catalog.path", reader.figment.find_value("catalog.path").ok());
    let is_relative = found.as_ref().and_then(|value| value.as_str()).is_none_or(|path| Path::new(path).is_relative());
    if of_the_system && is_relative && !reader.is_variable(found.as_ref()) {
        let help = "a file in /etc/lineaged needs an absolute path, e.g. /var/lib/lineaged/lineaged.db";
        let source = reader.file.as_ref().map_or_else(String::new, |file| file.display().to_string());
        reader.problems.add(key, source, help);
    }
}

/// The parser's own message would show the line, and with it what stands there. So it is asked only what and where.
fn check_syntax(file: &Path) -> Result<(), String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("can't be read: {}", error.kind()))?;
    let error = match text.parse::<toml::Table>() {
        Ok(_) => return Ok(()),
        Err(error) => error,
    };
    let before = &text[..error.span().map_or(0, |span| span.start).min(text.len())];
    let (line, column) =
        (before.matches('\n').count() + 1, before.chars().rev().take_while(|c| *c != '\n').count() + 1);
    // What it quotes stands in the file.
    let reason = error.message().lines().next().unwrap_or_default().split('`').next().unwrap_or_default().trim();
    let reason = if reason.is_empty() { String::new() } else { format!(": {reason}") };
    Err(format!("line {line}, column {column} is not valid TOML{reason}"))
}

/// All `LINEAGED_…` variables but those with a use of their own, and the secrets, which are read as they are.
fn variables() -> Env {
    Env::prefixed("LINEAGED_")
        .filter(|name| {
            let name = name.as_str().to_lowercase().replace("__", ".");
            let secret = keys::SECRETS.iter().any(|secret| name == *secret || name == format!("{secret}_file"));
            !secret && name != "config" && name != "log"
        })
        .split("__")
}

fn read(reader: &mut Reader, need: Need) -> Config {
    let mut config = read_sections(reader);
    let discovery = read_discovery(reader);
    let shared_token = reader.secret("discovery.token");
    config.warnings.extend(shared_token.as_ref().and_then(readable_by_others));
    let secrets = [reader.secret("webhook.secret"), reader.secret("http.api_token")];
    config.warnings.extend(secrets.iter().flatten().filter_map(readable_by_others));
    let [webhook, api] = secrets.map(|found| found.map(|found| found.secret));
    (config.webhook_secret, config.http.api_token) = (webhook, api);
    if !config.http.listen.ip().is_loopback() && config.http.api_token.is_none() {
        let help = format!("is not loopback, so `http.api_token` is needed: set it, or {}", variable("http.api_token"));
        reader.problems.add("http.listen", "http.api_token not set", help);
    }
    let mut shared = DiscoveryConfig { token: shared_token.map(|found| found.secret), ..discovery };
    interfaces::read(reader, &mut shared, &mut config);
    environments::read(reader, &shared, need, &mut config);
    receivers::read(reader, &mut config);
    config.warnings.sort();
    config.warnings.dedup();
    config
}

fn read_sections(reader: &mut Reader) -> Config {
    let catalog_folder = reader.folder_of("catalog.path");
    let listen = reader.parse("http.listen", "an address with a port, e.g. 127.0.0.1:8585", |text| text.parse().ok());
    Config {
        catalog: CatalogConfig {
            path: catalog_folder.join(reader.text("catalog.path").unwrap_or_default()),
            history: reader.duration("catalog.history"),
        },
        sync: SyncConfig {
            policy: Policy {
                max_removed_percent: reader.number("sync.max_removed_percent", 0.0, 100.0, PERCENT),
                min_removed_floor: reader.number("sync.min_removed_floor", 0, 1_000_000_000, FLOOR),
            },
            full_every: reader.duration("sync.full_every").unwrap_or_default(),
        },
        http: HttpConfig {
            listen: listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0))),
            allowed_hosts: reader.list("http.allowed_hosts"),
            api_token: None,
        },
        webhook_secret: None,
        webhook_url: reader.parse("webhook.public_url", WEBHOOK_URL_HELP, webhook_url),
        coverage: CoverageConfig {
            placeholders: reader.list("coverage.placeholders"),
            owner_meta_keys: reader.list("coverage.owner_meta_keys"),
            exclude: reader.selectors("coverage.exclude"),
            targets: CoverageTargets {
                nodes: read_percent(reader, "coverage.targets.nodes"),
                columns: read_percent(reader, "coverage.targets.columns"),
                tests: read_percent(reader, "coverage.targets.tests"),
            },
        },
        stale_after_days: reader.number("health.stale_after_days", 1, 36_500, "a whole number of days from 1 on"),
        interfaces: None,
        find: None,
        environments: Vec::new(),
        receivers: Vec::new(),
        warnings: Vec::new(),
    }
}

fn read_percent(reader: &mut Reader, key: &str) -> Option<f64> {
    let within = |text: &str| text.parse::<f64>().ok().filter(|number| (0.0..=100.0).contains(number));
    reader.parse(key, "a percentage, 0 to 100", within)
}

fn read_discovery(reader: &mut Reader) -> DiscoveryConfig {
    let folder = reader.folder_of("discovery.ca_file");
    let existing_file = |text: &str| Some(folder.join(text)).filter(|path| path.is_file());
    DiscoveryConfig {
        url: reader.parse("discovery.url", URL_HELP, valid_url).unwrap_or_default(),
        token: None,
        page_size: reader.number("discovery.page_size", 1, 500, "1 to 500, which is the platform's limit"),
        concurrency: reader.number("discovery.concurrency", 1, 64, "1 to 64"),
        requests_per_minute: reader.number("discovery.requests_per_minute", 1, 100_000, "a whole number from 1 on"),
        timeout: reader.duration("discovery.timeout").unwrap_or_default(),
        give_up_after: reader.duration("discovery.give_up_after").unwrap_or_default(),
        read_deadline: reader.duration("discovery.read_deadline").unwrap_or_default(),
        cooldown: reader.duration("discovery.cooldown").unwrap_or_default(),
        ca_file: reader.parse("discovery.ca_file", "the name of a file that exists", existing_file),
        partner_source: reader.text("discovery.partner_source"),
    }
}

pub(super) const PERCENT: &str = "0 to 100";
pub(super) const FLOOR: &str = "a whole number from 0 on";
pub(super) const URL_HELP: &str =
    "https://… as in Account settings > Access URLs, without user and password; http:// only to a loopback address";

const WEBHOOK_URL_HELP: &str =
    "the http(s) address under which the platform reaches this daemon, e.g. https://catalog.example.com";

/// Where the platform's webhooks go: to the route below the address, unless that ends with it.
fn webhook_url(text: &str) -> Option<url::Url> {
    let mut url = receivers::receiver_url(text)?;
    let base = url.path().trim_end_matches('/').trim_end_matches("/webhooks/dbt").to_owned();
    url.set_path(&format!("{base}/webhooks/dbt"));
    Some(url)
}

/// An https URL with a host and without a user; http only to loopback.
pub(super) fn valid_url(text: &str) -> Option<String> {
    redact::keep_url(text);
    let url = url::Url::parse(text).ok()?;
    let plain = url.has_host() && url.username().is_empty() && url.password().is_none();
    (plain && (url.scheme() == "https" || url.scheme() == "http" && is_loopback(&url))).then(|| text.to_owned())
}

pub(super) fn read_schedule(
    reader: &mut Reader,
    cron: Option<(&str, String)>,
    interval: Option<(&str, String)>,
) -> Option<Schedule> {
    let zone = reader.parse("schedule.timezone", "a time zone such as Europe/Vienna", |text| text.parse().ok())?;
    match (cron, interval) {
        (Some((key, _)), Some(_)) => {
            reader.problems.add(key, "with interval", "both cron and interval are given: use one of them");
            None
        }
        (None, Some((key, text))) => {
            let schedule = super::parse_duration(&text).and_then(Schedule::every);
            if schedule.is_none() {
                reader.problems.add(key, key, format!("is `{text}`: use at least 1s, e.g. 15m"));
            }
            schedule
        }
        (cron, None) => {
            let (key, text) = cron.unwrap_or(("schedule.cron", keys::default_of("schedule.cron").to_owned()));
            Schedule::cron(&text, zone).map_err(|message| reader.problems.add(key, format!("`{text}`"), message)).ok()
        }
    }
}

#[cfg(unix)]
pub(super) fn readable_by_others(found: &Found) -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    let file = found.file.as_ref()?;
    let mode = std::fs::metadata(file).ok()?.mode();
    (mode & 0o077 != 0).then(|| {
        let file = file.display();
        format!(
            "`{file}` holds a secret, and other users may read it (mode {:03o}): run `chmod 600 {file}`",
            mode & 0o777
        )
    })
}

#[cfg(not(unix))]
pub(super) fn readable_by_others(_: &Found) -> Option<String> {
    None
}
