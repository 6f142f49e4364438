//! `[platform]`: the platform's other interfaces, and which environments are found by themselves.

use url::Url;

use super::addresses::{self, is_of_an_interface};
use super::load::{URL_HELP, readable_by_others, valid_url};
use super::reader::Reader;
use super::{Config, DiscoveryConfig, InterfacesConfig, Which, keys};

const ACCESS_HELP: &str = "https://… as you open the platform with, e.g. https://cloud.getdbt.com or https://ab123.us1.dbt.com; \
                           http:// only to a loopback address";
const ACCOUNT_HELP: &str = "the number behind `accounts/` or `deploy/` in the address of the platform's pages";
pub(super) const WHICH_HELP: &str = "\"production\", \"all\", or a list of project names";

/// Reads them into `config`. Discovery's address follows from the access URL, where that alone is given.
pub(super) fn read(reader: &mut Reader, discovery: &mut DiscoveryConfig, config: &mut Config) {
    let url = reader.parse("platform.url", ACCESS_HELP, access_url);
    if let Some(url) = &url
        && !reader.figment.contains("discovery.url")
    {
        match addresses::discovery(url) {
            Some(found) => discovery.url = found.into(),
            None => reader.problems.add(
                "discovery.url",
                "not set",
                format!("does not follow from `platform.url`: use {URL_HELP}"),
            ),
        }
    }
    let of_discovery = discovery.access_url();
    if let (Some(url), Some(other)) = (&url, of_discovery.as_ref().filter(|other| Some(*other) != url.as_ref())) {
        config
            .warnings
            .push(format!("`platform.url` is {url}, and `discovery.url` is of {other}: are these one account?"));
    }
    let found = reader.secret("platform.token");
    config.warnings.extend(found.as_ref().and_then(readable_by_others));
    let token = found.map(|found| found.secret).or_else(|| discovery.token.clone());
    let account_id = reader.parse("platform.account_id", ACCOUNT_HELP, |text| text.parse().ok().filter(|id| *id > 0));
    let is_access_said = url.is_some();
    let access = url.or(of_discovery);
    let semantic_layer = semantic_layer(reader, access.as_ref());
    let Some(access) = access else {
        if is_asked(reader) {
            let help = format!("does not follow from `discovery.url`: use {ACCESS_HELP}");
            reader.problems.add("platform.url", "not set", help);
        }
        return;
    };
    let DiscoveryConfig { ca_file, partner_source, .. } = discovery.clone();
    config.interfaces =
        Some(InterfacesConfig { access, is_access_said, account_id, token, semantic_layer, ca_file, partner_source });
}

/// An access URL: as every address, and no interface's own.
fn access_url(text: &str) -> Option<Url> {
    let url = Url::parse(&valid_url(text)?).ok().filter(|url| !is_of_an_interface(url))?;
    Some(addresses::origin(&url))
}

fn semantic_layer(reader: &mut Reader, access: Option<&Url>) -> Option<Url> {
    let own = reader.parse("platform.semantic_layer_url", URL_HELP, |text| Url::parse(&valid_url(text)?).ok());
    let is_wanted: bool = reader.parse("platform.semantic_layer", "true or false", |text| text.parse().ok())?;
    if !is_wanted {
        return None;
    }
    let found = own.or_else(|| addresses::semantic_layer(access?));
    if found.is_none() {
        let help = format!("does not follow from `platform.url`: use {URL_HELP}");
        reader.problems.add("platform.semantic_layer_url", "not set", help);
    }
    found
}

/// True if anything is said of these interfaces: else nobody asks them, since most tokens do not reach them.
pub(super) fn is_asked(reader: &Reader) -> bool {
    let is_off = |key: &str| key == "platform.semantic_layer" && reader.is_default(key);
    let keys = keys::KEYS.iter().map(|(key, _)| *key).filter(|key| key.starts_with("platform."));
    keys.into_iter().any(|key| reader.is_said(key) && !is_off(key))
}

/// Which environments are to be found, if any.
pub(super) fn which(reader: &mut Reader) -> Option<Which> {
    let key = "platform.environments";
    let value = reader.figment.find_value(key).ok()?;
    let found = match value.as_str() {
        Some("production") => Some(Which::Production),
        Some("all") => Some(Which::All),
        _ => {
            let items = value.as_array().filter(|items| !items.is_empty());
            let names = items.map(|items| items.iter().map(|item| item.as_str().map(str::to_owned)).collect());
            names.flatten().map(Which::Projects)
        }
    };
    if found.is_none() {
        reader.complain(key, &value, format!("means no environments: use {WHICH_HELP}"));
    }
    found
}
