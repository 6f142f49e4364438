//! One request to one of the interfaces: who may be asked, how long, and what an answer means that is none.

use std::time::Duration;

use chrono::Utc;
use reqwest::header::CONTENT_TYPE;
use reqwest::{RequestBuilder, Response};
use secrecy::ExposeSecret;
use serde_json::Value;
use url::Url;

use super::error::Error;
use super::value::text;
use crate::config::InterfacesConfig;
use crate::origin::discovery::Limits;
use crate::outbound::{self, chain, is_loopback, printable, retry_after};

/// One request to the Admin API, and one to the Semantic Layer, in all.
const ADMIN_TIMEOUT: Duration = Duration::from_secs(15);
const SEMANTIC_LAYER_TIMEOUT: Duration = Duration::from_secs(40);

/// After a 429 that does not say how long.
const COOLDOWN: Duration = Duration::from_secs(300);

/// The largest answer that is taken.
const BODY_LIMIT: usize = 32 << 20;

/// A question is asked so often, and after such a pause again, twice as long each time.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_millis(250);

/// What the token of each interface must be allowed to do.
const FOR_ADMIN: &str = "one that may read jobs and runs: the permission set Job Viewer or Read-Only, for example; Metadata Only is not enough";
const FOR_SEMANTIC_LAYER: &str = "one with the permission sets Semantic Layer Only and Metadata Only, and see that the plan includes it and that metrics are deployed";

/// Asks the interfaces of one account, with one token.
#[derive(Debug)]
pub struct Client {
    http: reqwest::Client,
    access: Url,
    semantic_layer: Option<Url>,
    account_id: Option<i64>,
    limits: Limits,
}

impl Client {
    /// A client for what `config` says.
    ///
    /// # Errors
    /// If there is no token, or TLS can't be set up.
    pub fn new(config: &InterfacesConfig, limits: &Limits) -> Result<Self, Error> {
        let InterfacesConfig { access, account_id, token, semantic_layer, ca_file, partner_source, is_access_said: _ } =
            config;
        let missing =
            || Error::Setup("there is no token: set `LINEAGED_PLATFORM__TOKEN`, or `platform.token_file`".into());
        let token = token.as_ref().ok_or_else(missing)?;
        let headers = outbound::headers(token.expose_secret(), partner_source.as_deref()).map_err(Error::Setup)?;
        let extra = outbound::certificates(ca_file.as_deref()).map_err(Error::Setup)?;
        let host = access.host_str().unwrap_or_default();
        let build = |builder: reqwest::ClientBuilder| {
            let builder = builder.default_headers(headers.clone()).https_only(!is_loopback(host));
            builder.tls_certs_merge(extra.iter().cloned())
        };
        let http = outbound::client(host, build).map_err(|why| Error::Setup(format!("cannot set up TLS: {why}")))?;
        let (access, semantic_layer) = (access.clone(), semantic_layer.clone());
        Ok(Self { http, access, semantic_layer, account_id: *account_id, limits: limits.clone() })
    }

    /// The account that was configured.
    pub(super) fn account_id(&self) -> Option<i64> {
        self.account_id
    }

    /// True if the Semantic Layer is to be asked.
    pub fn asks_semantic_layer(&self) -> bool {
        self.semantic_layer.is_some()
    }

    /// The answer of the Admin API to a question for `path`, envelope and all.
    pub(super) async fn get(&self, path: &str, query: &[(&str, String)]) -> Result<Value, Error> {
        let mut url = self.access.join(path).map_err(|error| Error::Setup(format!("`platform.url`: {error}")))?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let host = host(&self.access);
        let ask = || self.http.get(url.clone()).timeout(ADMIN_TIMEOUT);
        let answer = self.answer(&Place { host: &host, need: FOR_ADMIN, name: "admin" }, ask).await?;
        // Refusals come with a good status, too.
        let status = &answer["status"];
        let codes = [&status["code"], &status["error_code"], &answer["error_code"]];
        let code =
            codes.into_iter().find_map(Value::as_u64).and_then(|code| u16::try_from(code).ok()).unwrap_or_default();
        if status["is_success"] == false || code >= 300 {
            return Err(refusal(&host, FOR_ADMIN, code, said(&answer)));
        }
        Ok(answer)
    }

    /// The answer of the Semantic Layer, as GraphQL gives it.
    pub(super) async fn post(&self, question: &Value) -> Result<Value, Error> {
        let url =
            self.semantic_layer.as_ref().ok_or_else(|| Error::Setup("`platform.semantic_layer` is off".into()))?;
        let place = Place { host: &host(url), need: FOR_SEMANTIC_LAYER, name: "semantic layer" };
        let body = question.to_string();
        let ask = || {
            let request = self.http.post(url.clone()).timeout(SEMANTIC_LAYER_TIMEOUT);
            request.header(CONTENT_TYPE, "application/json").body(body.clone())
        };
        let answer = self.answer(&place, ask).await?;
        let said = said(&answer);
        match said.to_lowercase().contains("authorized") {
            true => Err(Error::Refused { status: 200, said, need: place.need }),
            false => Ok(answer),
        }
    }

    /// Asks until there is an answer, or the failure will not pass by itself.
    async fn answer(&self, place: &Place<'_>, ask: impl Fn() -> RequestBuilder) -> Result<Value, Error> {
        let name = format!("{} {}", place.name, place.host);
        let (mut tried, mut pause) = (1, PAUSE);
        loop {
            if let Some(wait) = self.limits.quiet(&name) {
                return Err(Error::RateLimited { wait });
            }
            let error = match exchange(place, ask()).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            if let Error::RateLimited { wait } = error {
                self.limits.keep_quiet(&name, wait);
            }
            if tried == TRIES || !error.is_transient() {
                return Err(error);
            }
            tracing::debug!(%error, interface = place.name, "asking again");
            tokio::time::sleep(pause).await;
            (tried, pause) = (tried + 1, pause * 2);
        }
    }
}

/// Whom a request goes to, and what its token must be allowed to do.
struct Place<'a> {
    host: &'a str,
    need: &'static str,
    name: &'static str,
}

fn host(url: &Url) -> String {
    let name = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| name.to_owned(), |port| format!("{name}:{port}"))
}

/// One try.
async fn exchange(place: &Place<'_>, request: RequestBuilder) -> Result<Value, Error> {
    let Place { host, need, .. } = place;
    let response = request.send().await.map_err(|error| failure(error, host))?;
    let status = response.status();
    if status.is_redirection() {
        return Err(Error::Redirect { host: (*host).to_owned(), status: status.as_u16() });
    }
    if status.as_u16() == 429 {
        return Err(Error::RateLimited { wait: retry_after(response.headers(), Utc::now()).unwrap_or(COOLDOWN) });
    }
    let body = read(response, host).await?;
    let start = || printable(&String::from_utf8_lossy(&body[..body.len().min(400)]), 80);
    let foreign = || Error::Foreign { host: (*host).to_owned(), status: status.as_u16(), start: start() };
    let answer: Option<Value> = serde_json::from_slice(&body).ok().filter(Value::is_object);
    match (status.as_u16(), answer) {
        (200..300, Some(answer)) => Ok(answer),
        // GraphQL says with 400 what it does not understand.
        (400, Some(answer)) if answer["errors"].is_array() => Ok(answer),
        (code @ (401 | 403 | 404), answer) => {
            Err(refusal(host, need, code, answer.map(|it| said(&it)).unwrap_or_default()))
        }
        (code, Some(answer)) => Err(refusal(host, need, code, said(&answer))),
        (500.., None) => Err(Error::Failed { host: (*host).to_owned(), status: status.as_u16(), said: String::new() }),
        (_, None) => Err(foreign()),
    }
}

fn refusal(host: &str, need: &'static str, status: u16, said: String) -> Error {
    let host = host.to_owned();
    match status {
        401 | 403 => Error::Refused { status, said, need },
        404 => Error::Missing { host, status, said },
        _ => Error::Failed { host, status, said },
    }
}

/// What an answer says of a failure: the envelope of the Admin API, or GraphQL's first error.
fn said(answer: &Value) -> String {
    let status = &answer["status"];
    let places = [
        &status["user_message"],
        &status["developer_message"],
        &answer["errors"][0]["message"],
        &answer["data"]["reason"],
    ];
    let words = places.into_iter().find_map(text);
    words.map_or_else(String::new, |words| format!(", `{}`", printable(&words, 200)))
}

async fn read(mut response: Response, host: &str) -> Result<Vec<u8>, Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| failure(error, host))? {
        if body.len() + chunk.len() > BODY_LIMIT {
            return Err(Error::Cut { host: host.to_owned(), reason: "the answer is larger than 32 MiB".into() });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn failure(error: reqwest::Error, host: &str) -> Error {
    let error = error.without_url();
    let (host, reason) = (host.to_owned(), chain(&error));
    if error.is_timeout() && !error.is_connect() {
        Error::TimedOut { host }
    } else if error.is_connect() {
        Error::Unreachable { host, reason }
    } else if error.is_builder() {
        Error::Setup(reason)
    } else {
        Error::Cut { host, reason }
    }
}
