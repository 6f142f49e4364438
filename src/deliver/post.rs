//! One event to one receiver, once, as OpenLineage's own clients do it; and what it means that it was not taken.

use std::time::Duration;

use chrono::Utc;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Client, Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::outbound::{self, chain, printable, retry_after};

/// Where OpenLineage's receivers take events, if an address names no other path.
const PATH: &str = "/api/v1/lineage";

/// One request, in all.
const TIMEOUT: Duration = Duration::from_secs(30);

/// So much of an answer is read, so that the connection can be used again …
const ANSWER: usize = 64 << 10;

/// … and so many characters of it are told.
const TOLD: usize = 200;

/// Why an event was not taken.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub(crate) struct Failure {
    /// For people; what the receiver says is made fit to print.
    pub(crate) text: String,
    /// True if the same event would be refused again.
    pub(crate) is_final: bool,
    /// How long the receiver asks to wait.
    pub(crate) wait: Option<Duration>,
    /// True if others were taken just before.
    pub(crate) has_moved: bool,
}

impl Failure {
    /// What may go better the next time.
    pub(crate) fn of(text: String) -> Self {
        Self { text, is_final: false, wait: None, has_moved: false }
    }
}

/// Where events are posted.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    url: Url,
    host: String,
    client: Client,
}

/// Where events go that are for this address: its path, else the standard's.
pub(crate) fn endpoint(url: &Url) -> Url {
    let mut url = url.clone();
    if url.path().trim_matches('/').is_empty() {
        url.set_path(PATH);
    }
    url
}

impl Target {
    /// The token goes to this host alone: no redirect is followed.
    ///
    /// # Errors
    /// If the token is no header's value, or TLS can't be set up.
    pub(crate) fn new(url: &Url, token: Option<&SecretString>) -> Result<Self, Failure> {
        let headers = match token {
            Some(token) => outbound::headers(token.expose_secret(), None).map_err(Failure::of)?,
            None => HeaderMap::new(),
        };
        let name = url.host_str().unwrap_or_default();
        let build = |builder: reqwest::ClientBuilder| builder.default_headers(headers.clone()).timeout(TIMEOUT);
        let client = outbound::client(name, build).map_err(|why| Failure::of(format!("can't set up TLS: {why}")))?;
        let host = url.port().map_or_else(|| name.to_owned(), |port| format!("{name}:{port}"));
        Ok(Self { url: endpoint(url), host, client })
    }

    /// Posts an event, once.
    ///
    /// # Errors
    /// If the receiver can't be reached, or does not take it.
    pub(super) async fn post(&self, event: String) -> Result<(), Failure> {
        let request = self.client.post(self.url.clone()).header(CONTENT_TYPE, "application/json").body(event);
        let sent = request.send().await;
        let reason = |error: reqwest::Error| format!("can't reach {}: {}", self.host, chain(&error.without_url()));
        let response = sent.map_err(|error| Failure::of(reason(error)))?;
        let (status, wait) = (response.status(), retry_after(response.headers(), Utc::now()));
        let said = said(response).await;
        if status.is_success() {
            return Ok(());
        }
        let said = match said.as_str() {
            _ if status.is_redirection() => ": redirects are not followed, so name the address itself".to_owned(),
            "" => String::new(),
            said => format!(": {said}"),
        };
        let text = format!("{} answered {status}{said}", self.host);
        Err(Failure { is_final: is_final(status), wait, ..Failure::of(text) })
    }
}

/// True where the same request would get the same answer.
fn is_final(status: StatusCode) -> bool {
    let comes_too_soon = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS];
    !status.is_server_error() && !comes_too_soon.contains(&status)
}

/// The beginning of an answer. That it breaks off changes nothing.
async fn said(mut response: Response) -> String {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await
        && body.len() < ANSWER
    {
        body.extend_from_slice(&chunk);
    }
    body.truncate(ANSWER);
    printable(&String::from_utf8_lossy(&body), TOLD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_without_a_path_gets_the_standards() {
        for (given, path) in [
            ("http://marquez:5000", "/api/v1/lineage"),
            ("http://marquez:5000/", "/api/v1/lineage"),
            ("https://h.example/api/v1/openlineage/lineage?x=1", "/api/v1/openlineage/lineage"),
        ] {
            let found = endpoint(&Url::parse(given).expect("an address"));
            assert_eq!(found.path(), path);
            assert_eq!(found.query().is_some(), given.contains('?'));
        }
    }

    #[test]
    fn only_what_may_pass_by_itself_is_tried_again() {
        for (code, expected) in [(301, true), (400, true), (401, true), (404, true), (422, true)] {
            assert_eq!(is_final(StatusCode::from_u16(code).expect("a code")), expected, "{code}");
        }
        for code in [408, 425, 429, 500, 502, 503, 504] {
            assert!(!is_final(StatusCode::from_u16(code).expect("a code")), "{code}");
        }
    }
}
