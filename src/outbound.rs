//! What all requests that leave this machine have in common: certificates and proxies, what their failures are called, and how long
//! somebody asks to wait. What is asked, and of whom, is elsewhere.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Certificate, Client, ClientBuilder, redirect};

const PARTNER_SOURCE: HeaderName = HeaderName::from_static("x-dbt-partner-source");

const USER_AGENT: &str = concat!("lineaged/", env!("CARGO_PKG_VERSION"));

/// True for the names and addresses of this machine.
pub(crate) fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// A client of one host, made by `build` from what is the same for all: no redirect is followed, so that nothing is sent to another host,
/// and this machine is reached without a proxy. Where the system has no certificates, those built in count.
///
/// # Errors
/// If TLS can't be set up; the text says why.
pub(crate) fn client(host: &str, build: impl Fn(ClientBuilder) -> ClientBuilder) -> Result<Client, String> {
    // Installed already if another client was built before, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = || {
        let builder = Client::builder()
            .user_agent(USER_AGENT)
            .redirect(redirect::Policy::none())
            .connect_timeout(Duration::from_secs(10))
            .read_timeout(Duration::from_secs(30));
        build(if is_loopback(host) { builder.no_proxy() } else { builder })
    };
    builder().build().or_else(|error| {
        tracing::warn!(reason = chain(&error), "no system certificates: using those built in");
        let roots = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter();
        let bundled = roots.filter_map(|root| Certificate::from_der(root).ok());
        builder().tls_certs_merge(bundled).build().map_err(|error| chain(&error.without_url()))
    })
}

/// The headers that go with every request to a host: a token, and who asks. Neither is ever printed.
///
/// # Errors
/// If one of them is no header's value; the text says which.
pub(crate) fn headers(token: &str, partner_source: Option<&str>) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    let unfit = |what: &str| format!("{what} holds characters that no HTTP header may hold");
    let mut bearer = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| unfit("the token"))?;
    bearer.set_sensitive(true);
    headers.insert(AUTHORIZATION, bearer);
    if let Some(source) = partner_source {
        let source = HeaderValue::try_from(source).map_err(|_| unfit("`discovery.partner_source`"))?;
        headers.insert(PARTNER_SOURCE, source);
    }
    Ok(headers)
}

/// The certificates of the file that `discovery.ca_file` names.
///
/// # Errors
/// If there is none in it; the text says why.
pub(crate) fn certificates(file: Option<&Path>) -> Result<Vec<Certificate>, String> {
    let Some(file) = file else { return Ok(Vec::new()) };
    let unfit = |why: String| format!("`discovery.ca_file` `{}` {why}", file.display());
    let pem = std::fs::read(file).map_err(|error| unfit(format!("cannot be read: {error}")))?;
    let found = Certificate::from_pem_bundle(&pem).map_err(|error| unfit(format!("is no PEM: {}", chain(&error))))?;
    if found.is_empty() { Err(unfit("holds no certificate".into())) } else { Ok(found) }
}

/// An error with its causes, on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    printable(&text, 300)
}

/// Text from outside, made fit to print: one line, no control characters, at most `limit` characters.
pub(crate) fn printable(text: &str, limit: usize) -> String {
    let clean = |c: char| {
        if c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}') { ' ' } else { c }
    };
    let mut short: String = text.trim().chars().take(limit).map(clean).collect();
    if text.trim().chars().nth(limit).is_some() {
        short.push('…');
    }
    short
}

/// How long an answer asks to wait: `Retry-After` in seconds or as a date, or dbt's own header.
pub(crate) fn retry_after(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let seconds = |text: &str| Duration::try_from_secs_f64(text.parse().ok()?).ok();
    let date = |text: &str| {
        let wait = DateTime::parse_from_rfc2822(text).ok()?.with_timezone(&Utc) - now;
        Some(wait.to_std().unwrap_or_default())
    };
    let standard = text(RETRY_AFTER.as_str()).and_then(|text| seconds(text).or_else(|| date(text)));
    // A wait beyond any sense would overflow the clock.
    let wait = standard.or_else(|| text("x-rate-limit-retry-after-seconds").and_then(seconds))?;
    Some(wait.min(Duration::from_secs(7 * 24 * 3600)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(name: &'static str, value: &'static str) -> Option<Duration> {
        let now = DateTime::parse_from_rfc3339("2026-11-24T10:00:00Z").expect("a time").with_timezone(&Utc);
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_static(value));
        retry_after(&headers, now)
    }

    #[test]
    fn an_answer_says_how_long_to_wait_in_three_ways() {
        assert_eq!(wait("retry-after", "7"), Some(Duration::from_secs(7)));
        assert_eq!(wait("retry-after", "Tue, 24 Nov 2026 10:00:30 GMT"), Some(Duration::from_secs(30)));
        assert_eq!(wait("retry-after", "Tue, 24 Nov 2026 09:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(wait("x-rate-limit-retry-after-seconds", "12"), Some(Duration::from_secs(12)));
        for nonsense in ["soon", "-1", "NaN", ""] {
            assert_eq!(wait("retry-after", nonsense), None, "{nonsense}");
        }
        assert_eq!(wait("retry-after", "1e18"), Some(Duration::from_secs(7 * 24 * 3600)));
    }
}
