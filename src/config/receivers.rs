//! `[[receivers]]`: who is given exports after each sync.

use std::collections::BTreeSet;

use figment::value::Dict;
use url::Url;

use super::addresses::is_loopback;
use super::load::readable_by_others;
use super::reader::Reader;
use super::{Config, ReceiverConfig};
use crate::redact;

const URL_HELP: &str = "https://…, or http://…, without user and password";

/// The address of a receiver: http or https, with a host and without a user.
pub(crate) fn receiver_url(text: &str) -> Option<Url> {
    redact::keep_url(text);
    let url = Url::parse(text).ok().filter(Url::has_host)?;
    let is_plain = url.username().is_empty() && url.password().is_none();
    (is_plain && matches!(url.scheme(), "http" | "https")).then_some(url)
}

/// Reads them into `config`, whose environments are read already.
pub(super) fn read(reader: &mut Reader, config: &mut Config) {
    let mut names = BTreeSet::new();
    for (at, dict) in reader.dicts("receivers", "[[receivers]] with name and url").iter().enumerate() {
        let place = format!("receivers[{at}]");
        let Some(receiver) = receiver(reader, &place, dict, config) else { continue };
        if !names.insert(receiver.name.clone()) {
            let text = format!("name `{}` is there twice: each receiver needs its own", receiver.name);
            reader.problems.add(&place, "name", text);
        }
        config.receivers.push(receiver);
    }
}

fn receiver(reader: &mut Reader, place: &str, dict: &Dict, config: &mut Config) -> Option<ReceiverConfig> {
    let filled = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    let name = reader.required(place, dict, "name", "a short name of your own, e.g. marquez", filled);
    let url = reader.required(place, dict, "url", URL_HELP, receiver_url);
    word(reader, place, dict, "format", &["openlineage"]);
    let runs = word(reader, place, dict, "events", &["static", "run"]) == Some(1);
    let found = reader.secret_of(&format!("{place}.token"), dict.get("token"), dict.get("token_file"));
    config.warnings.extend(found.as_ref().and_then(readable_by_others));
    let token = found.map(|found| found.secret);
    let environments = environments(reader, place, dict, config);
    let url = url?;
    if url.scheme() == "http" && !is_loopback(&url) && token.is_some() {
        let help = "the token would travel in clear: use https://…, or no token";
        reader.problems.add(&format!("{place}.url"), "with token", help);
    }
    Some(ReceiverConfig { name: name?, url, token, runs, environments })
}

/// Which of `words` a key is, the first of which is the default.
fn word(reader: &mut Reader, place: &str, dict: &Dict, key: &str, words: &'static [&str]) -> Option<usize> {
    let place_of = |text: &str| words.iter().position(|word| *word == text);
    reader.parse_value(&format!("{place}.{key}"), dict.get(key)?, &words.join(", or "), place_of)
}

fn environments(reader: &mut Reader, place: &str, dict: &Dict, config: &Config) -> Vec<String> {
    let Some(value) = dict.get("environments") else { return Vec::new() };
    // Of those that are found by themselves nobody knows the names yet.
    let is_own = |name: &str| config.environments.iter().any(|environment| environment.name == name);
    let named = |name: &str| config.find.is_some() || is_own(name);
    let names: Option<Vec<String>> =
        value.as_array().and_then(|items| items.iter().map(|item| item.as_str().map(str::to_owned)).collect());
    match names.filter(|names| !names.is_empty() && names.iter().all(|name| named(name))) {
        Some(names) => names,
        None => {
            let help = "is no list of environments: use the names of some of [[environments]], or leave it out for all";
            reader.complain(&format!("{place}.environments"), value, help.to_owned());
            Vec::new()
        }
    }
}
