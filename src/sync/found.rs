//! Which environments of the platform are found by themselves, and added to those of the configuration.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Context;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::named::{is_it, kept, name};
use crate::catalog::{self, Catalog, Kept, Writers};
use crate::config::{Config, EnvironmentConfig, InterfacesConfig, OriginConfig, PlatformConfig, Which};
use crate::origin::discovery::Limits;
use crate::origin::platform::{Client, PlatformEnvironment};
use crate::time::Timestamp;

/// A configuration with the environments that were found, and what is to be said of that.
#[derive(Debug)]
pub struct Found {
    /// The configuration.
    pub config: Config,
    /// What is new, renamed or gone, a sentence each.
    pub news: Vec<String>,
    /// What failed; those that were found before are there all the same.
    pub failed: Option<Failed>,
}

/// Why environments could not be found.
#[derive(Debug)]
pub struct Failed {
    /// For people.
    pub text: String,
    /// True if the configuration means what is not there: else it may go better the next time.
    pub is_misuse: bool,
}

/// Adds the environments that are to be found by themselves: as the catalog keeps them; and where that is older than a full read may be, was for
/// another setting, or everything is to be read anew, as the platform lists them now.
///
/// # Errors
/// If the catalog can't be read or written.
pub async fn with_found(config: Config, limits: &Limits, writers: &Writers, full: bool) -> anyhow::Result<Found> {
    let Some(find) = &config.find else { return Ok(Found { config, news: Vec::new(), failed: None }) };
    let now = Timestamp::now();
    let (before, meant) = (last(kept(&config.catalog.path)?), format!("{:?}", (&find.which, place(&config))));
    let age = newest(&before).map(|at| now.since(at));
    let full_every = i64::try_from(config.sync.full_every.as_millis()).unwrap_or(i64::MAX);
    let is_young = age.is_some_and(|age| (0..full_every).contains(&age));
    if !full && is_young && meant_before(&config.catalog.path)? == Some(meant.clone()) {
        return Ok(Found { config: with(config, &before), news: Vec::new(), failed: None });
    }
    match look(&config, limits, now).await {
        Ok(found) => {
            let news = if before.is_empty() { Vec::new() } else { news(&before, &found) };
            Ok(Found { config: keep(config, found, (writers.clone(), meant)).await?, news, failed: None })
        }
        Err(failed) => Ok(Found { config: with(config, &before), news: Vec::new(), failed: Some(failed) }),
    }
}

/// The same as the platform lists them now; nothing of it is kept.
///
/// # Errors
/// If the catalog can't be read.
pub async fn as_found(config: Config, limits: &Limits) -> Result<Found, catalog::Error> {
    if config.find.is_none() {
        return Ok(Found { config, news: Vec::new(), failed: None });
    }
    let (config, failed) = match look(&config, limits, Timestamp::now()).await {
        Ok(found) => (with(config, &found), None),
        Err(failed) => (with_kept(config)?, Some(failed)),
    };
    Ok(Found { config, news: Vec::new(), failed })
}

/// Whom the platform's Admin API is asked of.
fn place(config: &Config) -> Option<(&str, Option<i64>)> {
    config.interfaces.as_ref().map(|interfaces| (interfaces.access.as_str(), interfaces.account_id))
}

/// Those that the platform lists now, but for those that the configuration names.
async fn look(config: &Config, limits: &Limits, now: Timestamp) -> Result<Vec<Kept>, Failed> {
    let Some(find) = &config.find else { return Ok(Vec::new()) };
    let failed = |text: String, is_misuse| Failed {
        text: format!("environments can't be looked for (`platform.environments`): {text}"),
        is_misuse,
    };
    let listed = match timeout(find.access.give_up_after, list(config, limits)).await {
        Ok(listed) => listed.map_err(|error| failed(format!("{error:#}"), false))?,
        Err(_) => return Err(failed("the platform did not list them in time".to_owned(), false)),
    };
    if let Some(text) = nothing_meant(&find.which, &listed) {
        return Err(failed(text, true));
    }
    let broken = |error: catalog::Error| failed(format!("{:#}", anyhow::Error::from(error)), false);
    let named = name(config, &find.which, listed).map_err(broken)?;
    if named.is_empty() {
        let is_first = last(kept(&config.catalog.path).map_err(broken)?).is_empty();
        let text = match is_first {
            true => "the platform lists none that is meant",
            false => "the platform lists none of those that were found before: they are kept",
        };
        return Err(failed(text.to_owned(), is_first));
    }
    Ok(named.into_iter().filter(|it| !it.is_configured).map(|named| named.kept(now)).collect())
}

/// What names of projects mean nothing, in words.
fn nothing_meant(which: &Which, listed: &[PlatformEnvironment]) -> Option<String> {
    let Which::Projects(names) = which else { return None };
    let known: BTreeSet<&str> = listed.iter().map(|environment| environment.project.as_str()).collect();
    let unknown = names.iter().find(|name| !known.contains(name.as_str()))?;
    let known: Vec<String> = known.into_iter().map(|name| format!("`{name}`")).collect();
    Some(format!("there is no project `{unknown}`: the token sees {}", known.join(", ")))
}

/// What differs between two lists.
fn news(before: &[Kept], after: &[Kept]) -> Vec<String> {
    let of = |list: &'_ [Kept], id: i64| list.iter().find(|kept| kept.id == id).map(|kept| kept.name.clone());
    let mut news = Vec::new();
    for Kept { id, name, .. } in after {
        match of(before, *id) {
            None => news.push(format!("found the environment `{name}`")),
            Some(old) if old != *name => news.push(format!("the environment {id}, `{old}`, is called `{name}` now")),
            Some(_) => {}
        }
    }
    let gone = before.iter().filter(|kept| of(after, kept.id).is_none());
    news.extend(gone.map(|kept| format!("the platform lists `{}` no longer: it is not synced any more", kept.name)));
    news
}

/// The same as the catalog keeps them, without asking anybody.
///
/// # Errors
/// If the catalog can't be read.
pub fn with_kept(config: Config) -> Result<Config, catalog::Error> {
    match config.find {
        Some(_) => Ok(with(config.clone(), &last(kept(&config.catalog.path)?))),
        None => Ok(config),
    }
}

/// All environments that the token sees.
///
/// # Errors
/// If no address of the Admin API is known, or it does not list them completely.
pub async fn list(config: &Config, limits: &Limits) -> anyhow::Result<Vec<PlatformEnvironment>> {
    let missing = "the address of the Admin API does not follow from `discovery.url`: set `platform.url`";
    let interfaces = config.interfaces.as_ref().context(missing)?;
    Ok(Client::new(interfaces, limits)?.environments().await?)
}

fn newest(kept: &[Kept]) -> Option<Timestamp> {
    kept.iter().filter_map(|kept| kept.found_at).max()
}

/// Those of the last list.
fn last(kept: Vec<Kept>) -> Vec<Kept> {
    let newest = newest(&kept);
    kept.into_iter().filter(|kept| newest.is_some() && kept.found_at == newest).collect()
}

/// For which setting the catalog keeps what was found.
fn meant_before(path: &Path) -> Result<Option<String>, catalog::Error> {
    catalog::open_if_there(path)?.map_or(Ok(None), |connection| catalog::found_for(&connection))
}

async fn keep(config: Config, found: Vec<Kept>, (writers, meant): (Writers, String)) -> anyhow::Result<Config> {
    let keep = move || -> Result<Config, catalog::Error> {
        let waiting = |holder: &str| tracing::warn!(holder, "waiting for another process that writes the catalog");
        let mut catalog = Catalog::open(&config.catalog.path, &writers, "search for environments", &waiting)?;
        catalog.keep_found(&found, &meant)?;
        let config = with(config, &found);
        // One that vanished is marked at once.
        catalog.configure(&config.settings(), &super::configured(&config))?;
        Ok(config)
    };
    Ok(spawn_blocking(keep).await.context("the search for environments ended early")??)
}

/// The configuration with these, but for those that it names itself.
fn with(mut config: Config, found: &[Kept]) -> Config {
    let Some(find) = config.find.clone() else { return config };
    for Kept { id, name, platform_id, account_id, found_at: _ } in found {
        let is_alone = found.iter().filter(|other| other.platform_id == *platform_id).count() == 1;
        if config.environments.iter().any(|own| is_it(own, (*platform_id, *account_id), is_alone)) {
            continue;
        }
        let interfaces = config.interfaces.clone().map(|shared| InterfacesConfig { account_id: *account_id, ..shared });
        let (platform_id, account_id) = (*platform_id, *account_id);
        let platform = PlatformConfig { platform_id, account_id, access: find.access.clone(), interfaces };
        config.environments.push(EnvironmentConfig {
            id: Some(*id),
            name: name.clone(),
            origin: OriginConfig::Discovery(platform.into()),
            schedule: find.schedule.clone(),
            policy: config.sync.policy,
            elsewhere: Default::default(),
        });
    }
    config
}
