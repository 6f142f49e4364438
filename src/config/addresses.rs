//! The addresses of the platform's interfaces: each follows from the access URL, and that from Discovery's. None of them is ever on a
//! host that neither names, since a token must not go to another region.

use url::{Host, Url};

/// The label that Discovery's host has more than the access URL's, and the path there.
const DISCOVERY: (&str, &str) = ("metadata", "/graphql");
/// The same of the Semantic Layer.
const SEMANTIC_LAYER: (&str, &str) = ("semantic-layer", "/api/graphql");

/// Discovery's address, for the account that is reached at `access`.
pub(super) fn discovery(access: &Url) -> Option<Url> {
    beside(access, DISCOVERY)
}

/// The Semantic Layer's address, for the account that is reached at `access`.
pub(super) fn semantic_layer(access: &Url) -> Option<Url> {
    beside(access, SEMANTIC_LAYER)
}

/// The access URL of the account whose Discovery API is at `discovery`; `None` where its host does not tell.
pub(super) fn access(discovery: &Url) -> Option<Url> {
    let mut access = origin(discovery);
    if is_loopback(discovery) {
        return Some(access);
    }
    let (label, _) = DISCOVERY;
    let labels: Vec<&str> = discovery.host_str()?.split('.').collect();
    // A prefix that is called like the label would be a strange one.
    let at = labels.iter().take(2).position(|part| *part == label)?;
    let rest: Vec<&str> = labels.iter().enumerate().filter(|(place, _)| *place != at).map(|(_, part)| *part).collect();
    access.set_host(Some(&rest.join("."))).ok()?;
    Some(access)
}

/// True if the host has a label by which one of the other interfaces is told: then it is no access URL.
pub(super) fn is_of_an_interface(url: &Url) -> bool {
    let labels = url.host_str().into_iter().flat_map(|host| host.split('.')).take(2);
    labels.into_iter().any(|part| [DISCOVERY.0, SEMANTIC_LAYER.0].contains(&part))
}

/// Without path and query.
pub(super) fn origin(url: &Url) -> Url {
    let mut origin = url.clone();
    origin.set_path("/");
    origin.set_query(None);
    origin.set_fragment(None);
    origin
}

/// True for the addresses of this machine, which serve every interface themselves.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// An account's own prefix stands before the label (`prefix.metadata.us1.dbt.com`); elsewhere the label is the first part of the host.
fn beside(access: &Url, (label, path): (&str, &str)) -> Option<Url> {
    let mut url = origin(access);
    url.set_path(path);
    if is_loopback(access) {
        return Some(url);
    }
    let Some(Host::Domain(host)) = access.host() else { return None };
    let host = match host.split_once('.') {
        Some((prefix, rest)) if rest.ends_with(".dbt.com") => format!("{prefix}.{label}.{rest}"),
        _ => format!("{label}.{host}"),
    };
    url.set_host(Some(&host)).ok()?;
    Some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Access URL, Discovery, Semantic Layer.
    const FORMS: [[&str; 3]; 8] = [
        [
            "https://cloud.getdbt.com/",
            "https://metadata.cloud.getdbt.com/graphql",
            "https://semantic-layer.cloud.getdbt.com/api/graphql",
        ],
        [
            "https://emea.dbt.com/",
            "https://metadata.emea.dbt.com/graphql",
            "https://semantic-layer.emea.dbt.com/api/graphql",
        ],
        ["https://au.dbt.com/", "https://metadata.au.dbt.com/graphql", "https://semantic-layer.au.dbt.com/api/graphql"],
        [
            "https://ab123.us1.dbt.com/",
            "https://ab123.metadata.us1.dbt.com/graphql",
            "https://ab123.semantic-layer.us1.dbt.com/api/graphql",
        ],
        [
            "https://acme.vpc.us1.dbt.com/",
            "https://acme.metadata.vpc.us1.dbt.com/graphql",
            "https://acme.semantic-layer.vpc.us1.dbt.com/api/graphql",
        ],
        [
            "https://abc123.getdbt.com/",
            "https://metadata.abc123.getdbt.com/graphql",
            "https://semantic-layer.abc123.getdbt.com/api/graphql",
        ],
        [
            "https://dbt.example.com/",
            "https://metadata.dbt.example.com/graphql",
            "https://semantic-layer.dbt.example.com/api/graphql",
        ],
        ["http://127.0.0.1:8080/", "http://127.0.0.1:8080/graphql", "http://127.0.0.1:8080/api/graphql"],
    ];

    fn url(text: &str) -> Url {
        Url::parse(text).expect("an address")
    }

    #[test]
    fn every_form_of_an_access_url_gives_the_others_and_discoverys_gives_it_back() {
        for [own, its_discovery, its_semantic_layer] in FORMS {
            let own = url(own);
            assert_eq!(discovery(&own), Some(url(its_discovery)));
            assert_eq!(semantic_layer(&own), Some(url(its_semantic_layer)));
            assert_eq!(access(&url(its_discovery)), Some(own));
        }
        assert_eq!(discovery(&url("https://cloud.getdbt.com/deploy/1/?x=1")), Some(url(FORMS[0][1])));
    }

    #[test]
    fn a_host_that_names_no_interface_gives_no_access_url() {
        for unknown in ["https://dbt-proxy.example.com/graphql", "https://10.0.0.7/graphql"] {
            assert_eq!(access(&url(unknown)), None, "{unknown}");
        }
        assert_eq!(discovery(&url("https://10.0.0.7/")), None);
        assert!(is_of_an_interface(&url(FORMS[3][1])) && !is_of_an_interface(&url(FORMS[3][0])));
    }
}
