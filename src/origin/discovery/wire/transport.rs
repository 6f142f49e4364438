//! The HTTP client below the questions: address, certificates, proxies, timeouts, and what its failures mean.

use reqwest::{ClientBuilder, Url};

use crate::config::DiscoveryConfig;
use crate::origin::discovery::error::{Error, Kind};
use crate::outbound::{self, chain, is_loopback};

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
    let extra = outbound::certificates(config.ca_file.as_deref()).map_err(Error::setup)?;
    let headers = outbound::headers(token, config.partner_source.as_deref()).map_err(Error::setup)?;
    let build = |builder: ClientBuilder| {
        let builder = builder.default_headers(headers.clone()).https_only(!is_loopback(host));
        builder.tls_certs_merge(extra.iter().cloned())
    };
    outbound::client(host, build).map_err(|why| Error::setup(format!("cannot set up TLS: {why}")))
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
