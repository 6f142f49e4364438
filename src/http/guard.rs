//! Who may ask: the right host (DNS rebinding), the right page (CSRF), the right token. And what every answer carries.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, HeaderName, ORIGIN, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use secrecy::ExposeSecret;
use subtle::ConstantTimeEq;
use tokio::time::{sleep, timeout};

use super::peers::Peer;
use super::problem::Problem;
use super::{App, waiting};

/// The address at which a connection arrived.
#[derive(Debug, Clone, Copy)]
pub(super) struct Local(pub(super) SocketAddr);

/// Headers of every answer, unless the handler said otherwise.
const ALWAYS: [(HeaderName, &str); 4] = [
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "no-referrer"),
    (CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"),
    (CACHE_CONTROL, "no-store"),
];

/// Around everything: time, host, token, other web sites, headers, and a line in the log (without the query and without headers: they may hold secrets).
pub(super) async fn everywhere(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let patience = app.state.limits.request + waiting::allowed(request.uri());
    let (begun, method, path) = (Instant::now(), request.method().clone(), request.uri().path().to_owned());
    let answered = async {
        match admit(&app, &request) {
            Ok(()) => next.run(request).await,
            Err(problem) => {
                if matches!(problem, Problem::Unauthorized) && request.headers().contains_key(AUTHORIZATION) {
                    // Whoever guesses waits, and whoever waits goes first where there is no room.
                    let _waiting = request.extensions().get::<Arc<Peer>>().map(Peer::waiting);
                    drop(request);
                    sleep(app.state.limits.wrong_token).await;
                }
                problem.into_response()
            }
        }
    };
    let too_long = || Problem::Unavailable("the answer took too long".to_owned()).into_response();
    let mut response = timeout(patience, answered).await.unwrap_or_else(|_| too_long());
    for (name, value) in ALWAYS {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    let status = response.status().as_u16();
    app.state.telemetry.answered(status);
    tracing::debug!(%method, path, status, took = ?begun.elapsed(), "answered");
    response
}

/// Whatever the method, and whether there is such a route or not: what tells of the catalog needs the token, and no other web site
/// asks for it through somebody's browser. The page's own files, and what says that we run, are open.
fn admit(app: &App, request: &Request) -> Result<(), Problem> {
    if !host_is_ours(app, request) {
        return Err(Problem::Misdirected);
    }
    let path = request.uri().path();
    let tells = path == "/metrics" || path == "/api" || path.starts_with("/api/");
    if tells {
        same_site(request.headers())?;
    }
    if !(tells || path == "/openapi.json") || has_token(app, request.headers()) {
        return Ok(());
    }
    Err(Problem::Unauthorized)
}

/// A token is needed at any address but loopback, and wherever one is configured.
fn has_token(app: &App, headers: &HeaderMap) -> bool {
    let http = &app.state.http;
    let Some(token) = &http.api_token else { return http.listen.ip().is_loopback() };
    let given = only(headers, &AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
    given.is_some_and(|given| given.as_bytes().ct_eq(token.expose_secret().as_bytes()).into())
}

fn same_site(headers: &HeaderMap) -> Result<(), Problem> {
    let site = HeaderName::from_static("sec-fetch-site");
    if headers.contains_key(&site) && !matches!(only(headers, &site), Some("same-origin" | "none")) {
        return Err(Problem::Forbidden("`Sec-Fetch-Site` says that another web site asks"));
    }
    if headers.contains_key(ORIGIN) {
        let own = only(headers, &HOST).map(str::to_ascii_lowercase);
        let origin = only(headers, &ORIGIN).map(str::to_ascii_lowercase);
        let origin = origin.as_deref().and_then(|text| text.strip_prefix("http://").or(text.strip_prefix("https://")));
        if origin.is_none() || origin != own.as_deref() {
            return Err(Problem::Forbidden("`Origin` is another web site"));
        }
    }
    Ok(())
}

/// True if exactly one `Host` is named and it is one of ours, and so is the address, if the request line holds a whole one.
fn host_is_ours(app: &App, request: &Request) -> bool {
    let local = request.extensions().get::<Local>().map(|local| local.0);
    let http = &app.state.http;
    let is_ours = |given: &str| {
        let Some(given) = host_name(given) else { return false };
        let addresses = [Some(http.listen), local].into_iter().flatten().map(|address| match address {
            SocketAddr::V4(address) => address.ip().to_string(),
            SocketAddr::V6(address) => format!("[{}]", address.ip()),
        });
        let configured = http.allowed_hosts.iter().filter_map(|host| host_name(host));
        let loopback = ["localhost", "127.0.0.1", "[::1]"].map(str::to_owned);
        loopback.into_iter().chain(addresses).chain(configured).any(|host| host == given)
    };
    let whole = request.uri().authority();
    only(request.headers(), &HOST).is_some_and(is_ours) && whole.is_none_or(|address| is_ours(address.as_str()))
}

/// The name in `name`, `name.`, `name:port` or `[address]:port`, in lower case.
fn host_name(text: &str) -> Option<String> {
    let (name, port) = match text.rfind(']') {
        Some(end) => text.split_at(end + 1),
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let port_is_fine = port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok());
    let name = name.strip_suffix('.').unwrap_or(name);
    (port_is_fine && !name.is_empty()).then(|| name.to_ascii_lowercase())
}

/// The value of a header that is there exactly once, as text.
pub(super) fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_and_perhaps_a_port() {
        for (text, name) in [
            ("localhost", Some("localhost")),
            ("LOCALHOST.:8585", Some("localhost")),
            ("[::1]", Some("[::1]")),
            ("[::1]:8585", Some("[::1]")),
            ("localhost:", None),
            ("localhost:80x", None),
            ("localhost:99999", None),
            ("", None),
            (":80", None),
            ("user@localhost", Some("user@localhost")),
        ] {
            assert_eq!(host_name(text).as_deref(), name, "{text}");
        }
    }
}
