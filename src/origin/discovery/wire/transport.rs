//! The HTTP client below the questions: address, certificates, proxies, timeouts, and what its failures mean.

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Certificate, ClientBuilder, Url};

use crate::config::DiscoveryConfig;
use crate::origin::discovery::error::{Error, Kind};
use crate::outbound::{self, chain, is_loopback};

const PARTNER_SOURCE: HeaderName = HeaderName::from_static("x-dbt-partner-source");

/// The endpoint and its host. Anything but `https` is refused, except to this machine.
pub(crate) fn endpoint(url: &str) -> Result<(Url, String), Error> {
    let invalid = |why: &str| {
        Error::setup(format!("`discovery.url` {why}: it looks like `https://metadata.cloud.getdbt.com/graphql`"))
    };
    let url = Url::parse(url).map_err(|error| invalid(&format!("is no URL ({error})")))?;
    let host = url.host_str().ok_or_else(|| invalid("names no host"))?.to_owned();
    match url.scheme() {
        "https" => Ok((url, host)),
        "http" if is_loopback(&host) => Ok((url, host)),
        "http" => Err(invalid("must begin with `https://`, since the token would travel in clear")),
        _ => Err(invalid("must begin with `https://`")),
    }
}

/// The HTTP client of one Discovery API and token.
pub(crate) fn http_client(config: &DiscoveryConfig, host: &str, token: &str) -> Result<reqwest::Client, Error> {
    let (extra, headers) = (extra_certificates(config)?, headers(config, token)?);
    let build = |builder: ClientBuilder| {
        let builder = builder.default_headers(headers.clone()).https_only(!is_loopback(host));
        builder.tls_certs_merge(extra.iter().cloned())
    };
    outbound::client(host, build).map_err(|why| Error::setup(format!("cannot set up TLS: {why}")))
}

fn headers(config: &DiscoveryConfig, token: &str) -> Result<HeaderMap, Error> {
    let mut headers = HeaderMap::new();
    let unfit = |what: &str| Error::setup(format!("{what} holds characters that no HTTP header may hold"));
    let mut bearer = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| unfit("the token"))?;
    bearer.set_sensitive(true);
    headers.insert(AUTHORIZATION, bearer);
    if let Some(source) = &config.partner_source {
        let source = HeaderValue::try_from(source.as_str()).map_err(|_| unfit("`discovery.partner_source`"))?;
        headers.insert(PARTNER_SOURCE, source);
    }
    Ok(headers)
}

fn extra_certificates(config: &DiscoveryConfig) -> Result<Vec<Certificate>, Error> {
    let Some(file) = &config.ca_file else { return Ok(Vec::new()) };
    let unfit = |why: String| Error::setup(format!("`discovery.ca_file` `{}` {why}", file.display()));
    let pem = std::fs::read(file).map_err(|error| unfit(format!("cannot be read: {error}")))?;
    let certificates =
        Certificate::from_pem_bundle(&pem).map_err(|error| unfit(format!("is no PEM: {}", chain(&error))))?;
    if certificates.is_empty() { Err(unfit("holds no certificate".into())) } else { Ok(certificates) }
}

/// What a failure of the HTTP client means. Whatever breaks while a body arrives may go better the next time.
pub(crate) fn failure(error: reqwest::Error, host: &str) -> Kind {
    let error = error.without_url();
    let (host, reason) = (host.to_owned(), chain(&error));
    // The layers between wrap this error beyond recognition by type; the words are those of rustls.
    if reason.contains("invalid peer certificate") {
        Kind::Tls { host, reason }
    } else if error.is_timeout() && !error.is_connect() {
        Kind::TimedOut
    } else if error.is_connect() {
        Kind::Unreachable { host, reason }
    } else if error.is_builder() {
        Kind::Setup(reason)
    } else {
        Kind::Cut { reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_travels_in_clear_only_within_this_machine() {
        for url in [
            "https://metadata.cloud.getdbt.com/graphql",
            "http://127.0.0.1:1/graphql",
            "http://[::1]:1/",
            "http://localhost/x",
        ] {
            assert!(endpoint(url).is_ok(), "{url}");
        }
        for url in [
            "http://metadata.cloud.getdbt.com/graphql",
            "http://127.0.0.1.example.com/",
            "ftp://localhost/",
            "graphql",
            "",
        ] {
            let error = endpoint(url).expect_err(url).to_string();
            assert!(error.contains("`discovery.url`"), "{error}");
        }
    }
}
