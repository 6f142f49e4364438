//! `[[environments]]`: which there are, where each is read from, when, and what a read of it may take away.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use figment::value::{Dict, Value};

use super::load::{FLOOR, Need, PERCENT, URL_HELP, read_schedule, readable_by_others, valid_url};
use super::reader::{Reader, variable};
use super::{
    ArtifactsConfig, Config, DiscoveryConfig, Elsewhere, EnvKeys, EnvironmentConfig, FindConfig, InterfacesConfig,
    OriginConfig, PlatformConfig, addresses, interfaces,
};
use crate::plan::Policy;
use crate::schedule::Schedule;

/// What all environments share where they do not say otherwise.
struct Shared<'a> {
    discovery: &'a DiscoveryConfig,
    cron: Option<String>,
    interval: Option<String>,
    need: Need,
}

/// One of the list: where it stands, for people, and what it says.
struct Entry<'a> {
    place: String,
    dict: &'a Dict,
}

/// Reads them into `config`.
pub(super) fn read(reader: &mut Reader, discovery: &DiscoveryConfig, need: Need, config: &mut Config) {
    let (mut ids, mut names) = (BTreeSet::new(), BTreeSet::new());
    let cron = reader.figment.contains("schedule.cron").then(|| reader.text("schedule.cron")).flatten();
    let shared = Shared { discovery, cron, interval: reader.text("schedule.interval"), need };
    let dicts = reader.dicts(
        "environments",
        "[[environments]] with id and name in the file, or LINEAGED_ENVIRONMENTS='[{id=834,name=\"prod\"}]'",
    );
    let which = interfaces::which(reader);
    // The schedule is checked also where nothing uses it yet.
    if (dicts.is_empty() || which.is_some())
        && let Some(schedule) = schedule(reader, &Entry { place: String::new(), dict: &Dict::new() }, &shared)
    {
        config.find = which.map(|which| FindConfig { which, access: discovery.clone(), schedule });
    }
    if need == Need::Origins && config.find.is_some() && discovery.token.is_none() {
        let help = format!("is missing: set {} or discovery.token_file", variable("discovery.token"));
        reader.problems.add("discovery.token", "not set", help);
    }
    if need == Need::Origins && dicts.is_empty() && config.find.is_none() {
        let help = "there is none: add [[environments]] with the id and a name of each environment to read (`lineaged discover` \
                    lists them), or with a name, origin = \"artifacts\" and the paths of dbt's files";
        reader.problems.add("environments", "not set", help);
    }
    for (at, dict) in dicts.iter().enumerate() {
        let entry = &Entry { place: format!("environments[{at}]"), dict };
        let identity = (number(reader, entry, "id"), name(reader, entry));
        let mut twice: Vec<String> = Vec::new();
        twice.extend(identity.0.filter(|id| !ids.insert(*id)).map(|id| format!("id {id}")));
        twice.extend(
            identity.1.as_ref().filter(|name| !names.insert((*name).clone())).map(|name| format!("name `{name}`")),
        );
        for what in twice {
            reader.problems.add(&entry.place, &what, format!("{what} is there twice: each environment needs its own"));
        }
        let environment = environment(reader, entry, &shared, config, identity);
        config.environments.extend(environment);
    }
}

fn environment(
    reader: &mut Reader,
    entry: &Entry<'_>,
    shared: &Shared<'_>,
    config: &mut Config,
    (id, name): (Option<i64>, Option<String>),
) -> Option<EnvironmentConfig> {
    let Entry { place, dict } = entry;
    let in_files = match dict.get("origin") {
        None => false,
        Some(value) => reader.parse_value(&format!("{place}.origin"), value, ORIGIN_HELP, |text| match text {
            "discovery" => Some(false),
            "artifacts" => Some(true),
            _ => None,
        })?,
    };
    complain_of_the_other_origin(reader, entry, in_files);
    let origin = match in_files {
        true => artifacts(reader, entry).map(OriginConfig::Artifacts),
        false => {
            platform(reader, entry, shared, config, (id, name.as_deref())).map(|it| OriginConfig::Discovery(it.into()))
        }
    };
    let schedule = schedule(reader, entry, shared);
    let policy = policy(reader, entry, config.sync.policy);
    let elsewhere = elsewhere(reader, entry);
    Some(EnvironmentConfig { id, name: name?, origin: origin?, schedule: schedule?, policy, elsewhere })
}

fn elsewhere(reader: &mut Reader, entry: &Entry<'_>) -> Elsewhere {
    let Entry { place, dict } = entry;
    let mut said = |key: &str, help: &str, is_good: fn(&str) -> bool| {
        let good = |text: &str| Some(text.to_owned()).filter(|text| is_good(text));
        reader.parse_value(&format!("{place}.{key}"), dict.get(key)?, help, good)
    };
    Elsewhere {
        namespace: said("namespace", NAMESPACE_HELP, |text| !text.is_empty() && !text.contains(char::is_whitespace)),
        repository: said("repository", REPOSITORY_HELP, |text| {
            let address = url::Url::parse(text).ok();
            text.contains("{path}") && address.is_some_and(|it| matches!(it.scheme(), "http" | "https"))
        }),
    }
}

const NAMESPACE_HELP: &str =
    "the warehouse's name in OpenLineage, e.g. snowflake://org-account, postgres://host:5432 or bigquery";
const REPOSITORY_HELP: &str =
    "an http address with {path} in it, e.g. https://github.com/shop/dbt/blob/{git_sha}/{path}";

const ORIGIN_HELP: &str = "discovery, or artifacts for the files of dbt Core";

/// The keys that only one origin has.
const OF_DISCOVERY: [&str; 5] = ["platform_id", "account_id", "url", "token", "token_file"];
const OF_ARTIFACTS: [&str; 3] = ["paths", "project", "env_keys"];

fn complain_of_the_other_origin(reader: &mut Reader, entry: &Entry<'_>, in_files: bool) {
    let Entry { place, dict } = entry;
    let (others, help) = match in_files {
        true => (&OF_DISCOVERY[..], "files have no such key: leave it out"),
        false => (&OF_ARTIFACTS[..], "only files have this key: add origin = \"artifacts\""),
    };
    for key in others {
        if let Some(value) = dict.get(*key) {
            reader.complain(&format!("{place}.{key}"), value, help.to_owned());
        }
    }
}

fn name(reader: &mut Reader, entry: &Entry<'_>) -> Option<String> {
    let Entry { place, dict } = entry;
    let help = "a short name of your own, e.g. prod";
    let named = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    reader.required(place, dict, "name", help, named)
}

fn required(reader: &mut Reader, entry: &Entry<'_>, key: &str, expected: &str) -> Option<Value> {
    let Entry { place, dict } = entry;
    let found = dict.get(key).cloned();
    if found.is_none() {
        reader.problems.add(&format!("{place}.{key}"), "not set", format!("is missing: use {expected}"));
    }
    found
}

const NUMBER_HELP: &str = "a whole number from 1 on";
const ID_HELP: &str = "the number in the URL of the environment's page";

fn number(reader: &mut Reader, entry: &Entry<'_>, key: &str) -> Option<i64> {
    let Entry { place, dict } = entry;
    let help = if key == "id" { ID_HELP } else { NUMBER_HELP };
    let positive = |text: &str| text.parse().ok().filter(|number| *number > 0);
    reader.parse_value(&format!("{place}.{key}"), dict.get(key)?, help, positive)
}

/// How the platform is reached for an environment. `identity`: its number and name, as far as they could be read.
fn platform(
    reader: &mut Reader,
    entry: &Entry<'_>,
    shared: &Shared<'_>,
    config: &mut Config,
    (id, name): (Option<i64>, Option<&str>),
) -> Option<PlatformConfig> {
    let Entry { place, dict: _ } = entry;
    required(reader, entry, "id", ID_HELP);
    let access = access(reader, entry, shared.discovery, config);
    if let (Need::Origins, None, Some(name)) = (shared.need, &access.token, name) {
        let help = format!(
            "set {} or discovery.token_file to a service token with the permission set Metadata Only",
            variable("discovery.token")
        );
        let text = format!("there is no token for `{name}`: {help}");
        reader.problems.add(&format!("{place}.token"), "not set", text);
    }
    let platform_id = number(reader, entry, "platform_id").or(id)?;
    let account_id = number(reader, entry, "account_id");
    let interfaces = interfaces_of(reader, entry, &access, config);
    let interfaces = interfaces.map(|found| InterfacesConfig { account_id: account_id.or(found.account_id), ..found });
    Some(PlatformConfig { platform_id, account_id, access, interfaces })
}

/// The other interfaces of an environment: everybody's, unless it is of another region. There only its own token goes.
fn interfaces_of(
    reader: &Reader,
    entry: &Entry<'_>,
    access: &DiscoveryConfig,
    config: &Config,
) -> Option<InterfacesConfig> {
    if !interfaces::is_asked(reader) {
        return None;
    }
    let shared = config.interfaces.clone()?;
    let Entry { place: _, dict } = entry;
    let own_token = if has_token(dict) { access.token.clone() } else { None };
    let elsewhere = dict.get("url").and_then(|_| access.access_url());
    match elsewhere.filter(|elsewhere| *elsewhere != shared.access) {
        None => {
            let token = own_token.filter(|_| !reader.is_said("platform.token")).or(shared.token);
            Some(InterfacesConfig { token, ..shared })
        }
        Some(elsewhere) => Some(InterfacesConfig {
            token: Some(own_token?),
            semantic_layer: shared.semantic_layer.and_then(|_| addresses::semantic_layer(&elsewhere)),
            access: elsewhere,
            is_access_said: false,
            ..shared
        }),
    }
}

fn has_token(dict: &Dict) -> bool {
    dict.contains_key("token") || dict.contains_key("token_file")
}

const PATHS_HELP: &str = "paths = [\"target\"]: folders or globs with dbt's manifest.json and its other files";

/// Where the files of an environment lie. Relative paths start at the configuration's folder.
fn artifacts(reader: &mut Reader, entry: &Entry<'_>) -> Option<ArtifactsConfig> {
    let Entry { place, dict } = entry;
    let key = format!("{place}.paths");
    let value = required(reader, entry, "paths", PATHS_HELP)?;
    let folder = reader.folder_of_value(Some(&value));
    let folder = std::path::absolute(&folder).or_else(|_| std::env::current_dir()).unwrap_or(folder);
    let texts: Option<Vec<String>> =
        value.as_array().and_then(|items| items.iter().map(|item| item.as_str().map(str::to_owned)).collect());
    let texts = texts.filter(|texts| !texts.is_empty() && texts.iter().all(|text| !text.trim().is_empty()));
    let Some(texts) = texts else {
        reader.complain(&key, &value, format!("is no list of texts: use {PATHS_HELP}"));
        return None;
    };
    if let Some(address) = texts.iter().find(|text| text.contains("://")) {
        let text = format!("`{address}` is no path on this machine: copy it first, e.g. with your cloud's own command");
        reader.complain(&key, &value, text);
        return None;
    }
    let project = dict.get("project").and_then(|value| {
        reader.parse_value(&format!("{place}.project"), value, "the name of a dbt project", |text| {
            Some(text.to_owned()).filter(|text| !text.is_empty())
        })
    });
    let env_keys = env_keys(reader, entry);
    let path = |text: &String| match text.contains(['*', '?', '[']) {
        // The folder is meant as it is, whatever letters it has.
        true => literal(&folder).join(home(text)),
        false => folder.join(home(text)),
    };
    Some(ArtifactsConfig { paths: texts.iter().map(path).collect(), project, env_keys })
}

/// A folder as the beginning of a pattern that matches it alone.
fn literal(folder: &Path) -> PathBuf {
    let quoted = |letter: char| if "*?[".contains(letter) { format!("[{letter}]") } else { letter.to_string() };
    folder.to_string_lossy().chars().map(quoted).collect::<String>().into()
}

/// `~/x` is a path of the user's own folder.
fn home(text: &str) -> PathBuf {
    let rest = text.strip_prefix("~/").zip(std::env::var_os("HOME"));
    rest.map_or_else(|| PathBuf::from(text), |(rest, home)| PathBuf::from(home).join(rest))
}

fn env_keys(reader: &mut Reader, entry: &Entry<'_>) -> EnvKeys {
    let Entry { place, dict } = entry;
    let mut keys = EnvKeys::default();
    let Some(value) = dict.get("env_keys") else { return keys };
    let place = format!("{place}.env_keys");
    let Some(map) = value.as_dict() else {
        reader.complain(&place, value, "is no map: use { git_sha = \"GITHUB_SHA\" }".to_owned());
        return keys;
    };
    for (name, value) in map {
        let key = format!("{place}.{name}");
        let Some(slot) = (match name.as_str() {
            "git_sha" => Some(&mut keys.git_sha),
            "job_name" => Some(&mut keys.job_name),
            "cause" => Some(&mut keys.cause),
            _ => None,
        }) else {
            reader.complain(&key, value, "there is no such key: use git_sha, job_name or cause".to_owned());
            continue;
        };
        *slot = reader.parse_value(&key, value, "the name of a variable", |text| Some(text.to_owned()));
    }
    keys
}

/// When it is synced: by its own word, else by everybody's.
fn schedule(reader: &mut Reader, entry: &Entry<'_>, shared: &Shared<'_>) -> Option<Schedule> {
    let Entry { place, dict } = entry;
    let own = |reader: &mut Reader, key: &str| {
        let value = dict.get(key)?;
        reader.parse_value(&format!("{place}.{key}"), value, "text", |text| Some(text.to_owned()))
    };
    let (cron_key, interval_key) = (format!("{place}.cron"), format!("{place}.interval"));
    let own_cron = own(reader, "cron").map(|text| (cron_key.as_str(), text));
    let own_interval = own(reader, "interval").map(|text| (interval_key.as_str(), text));
    if own_cron.is_some() || own_interval.is_some() {
        return read_schedule(reader, own_cron, own_interval);
    }
    let cron = shared.cron.clone().map(|text| ("schedule.cron", text));
    read_schedule(reader, cron, shared.interval.clone().map(|text| ("schedule.interval", text)))
}

/// What a read may take away, with what an environment says otherwise.
fn policy(reader: &mut Reader, entry: &Entry<'_>, shared: Policy) -> Policy {
    let Entry { place, dict } = entry;
    let mut policy = shared;
    let percent = |text: &str| text.parse().ok().filter(|percent| (0.0..=100.0).contains(percent));
    if let Some(value) = dict.get("max_removed_percent")
        && let Some(number) = reader.parse_value(&format!("{place}.max_removed_percent"), value, PERCENT, percent)
    {
        policy.max_removed_percent = number;
    }
    if let Some(value) = dict.get("min_removed_floor")
        && let Some(number) =
            reader.parse_value(&format!("{place}.min_removed_floor"), value, FLOOR, |text| text.parse().ok())
    {
        policy.min_removed_floor = number;
    }
    policy
}

/// The shared way to the platform, with what an environment says otherwise.
fn access(reader: &mut Reader, entry: &Entry<'_>, shared: &DiscoveryConfig, config: &mut Config) -> DiscoveryConfig {
    let Entry { place, dict } = entry;
    let mut discovery = shared.clone();
    if let Some(value) = dict.get("url")
        && let Some(url) = reader.parse_value(&format!("{place}.url"), value, URL_HELP, valid_url)
    {
        // Another host must not be sent the token that was given for the first one.
        let same_host = |a: &str, b: &str| {
            let host = |text: &str| url::Url::parse(text).ok().map(|url| url.origin());
            host(a) == host(b)
        };
        if !same_host(&url, &shared.url) && !has_token(dict) && shared.token.is_some() {
            config.warnings.push(format!("{place} has a url of its own, so `discovery.token` is sent there, too"));
        }
        discovery.url = url;
    }
    if has_token(dict) {
        let found = reader.secret_of(&format!("{place}.token"), dict.get("token"), dict.get("token_file"));
        config.warnings.extend(found.as_ref().and_then(readable_by_others));
        discovery.token = found.map(|found| found.secret);
    }
    discovery
}
