//! What is answered when a request can't be: `application/problem+json` (RFC 9457).

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::redact::redact;
use crate::{answers, catalog, output};

/// Why a request is not answered as it wished. Texts are for people.
#[derive(Debug)]
pub(super) enum Problem {
    /// The question can't be understood.
    Bad(String),
    /// The token is missing or wrong.
    Unauthorized,
    /// A delivery is not signed with our secret.
    Forged,
    /// Another web site asks through somebody's browser.
    Forbidden(&'static str),
    /// It is not there; the ids that come nearest.
    NotFound(String, Vec<String>),
    /// There is no such method here.
    Method,
    /// No form that is asked for is one of ours.
    NotAcceptable,
    /// The body did not come in time.
    BodyTooSlow,
    /// It can't be done now.
    Conflict(String),
    /// History does not reach back so far, but to this `seq`.
    Gone(i64),
    /// The body is too large: more than so many bytes.
    TooLarge(usize),
    /// We are not the host that was meant.
    Misdirected,
    /// Not now, for this reason; later perhaps.
    Unavailable(String),
    /// Our fault; told to the log.
    Internal,
}

impl Problem {
    fn status(&self) -> StatusCode {
        match self {
            Self::Bad(_) => StatusCode::BAD_REQUEST,
            Self::Unauthorized | Self::Forged => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::NotFound(..) => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
            Self::BodyTooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::Gone(_) => StatusCode::GONE,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Misdirected => StatusCode::MISDIRECTED_REQUEST,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn detail(&self) -> String {
        match self {
            Self::Bad(text) | Self::NotFound(text, _) | Self::Conflict(text) | Self::Unavailable(text) => text.clone(),
            Self::Unauthorized => "the header `Authorization` must be `Bearer` and the `api_token`".to_owned(),
            Self::Forged => "the signature does not match `webhook.secret`".to_owned(),
            Self::Forbidden(text) => (*text).to_owned(),
            Self::Method => "this method is not allowed here: see `/openapi.json`".to_owned(),
            Self::NotAcceptable => {
                "`Accept` must allow one of `application/json`, `text/csv`, `application/x-ndjson`".to_owned()
            }
            Self::BodyTooSlow => "the body did not come in time".to_owned(),
            Self::Gone(oldest) => {
                format!(
                    "changes before seq {oldest} are no longer kept: read the views anew, then go on from their seq"
                )
            }
            Self::TooLarge(most) => format!("the body has more than {most} bytes"),
            Self::Misdirected => "this host is not served here: add it to `http.allowed_hosts`".to_owned(),
            Self::Internal => "an error of the server: its log says more".to_owned(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status();
        let mut body = json!({
            "type": "about:blank",
            "title": status.canonical_reason().unwrap_or_default(),
            "status": status.as_u16(),
            "detail": redact(&self.detail()),
        });
        match &self {
            Self::Gone(oldest) => body["oldest_seq"] = Value::from(*oldest),
            Self::NotFound(_, nearest) if !nearest.is_empty() => body["nearest"] = Value::from(nearest.clone()),
            _ => {}
        }
        let body = output::json(&body).unwrap_or_default();
        let mut response = (status, [(CONTENT_TYPE, "application/problem+json")], body).into_response();
        let extra = match &self {
            Self::Unauthorized => Some((WWW_AUTHENTICATE, "Bearer")),
            Self::Unavailable(_) => Some((RETRY_AFTER, "2")),
            _ => None,
        };
        if let Some((name, value)) = extra {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

impl From<answers::Error> for Problem {
    fn from(error: answers::Error) -> Self {
        match error {
            answers::Error::Catalog(error) => error.into(),
            answers::Error::Question(text) => Self::NotFound(text, Vec::new()),
            answers::Error::Unknown { text, removed_at: Some(time), nearest } => {
                Self::NotFound(format!("`{text}` was removed at {time}"), nearest)
            }
            answers::Error::Unknown { text, removed_at: None, nearest } => {
                Self::NotFound(format!("there is no node `{text}`"), nearest)
            }
            answers::Error::Several { text, found }
                if found.windows(2).any(|pair| pair[0].unique_id != pair[1].unique_id) =>
            {
                let ids: Vec<String> = found.iter().map(|node| format!("`{}`", node.unique_id)).collect();
                Self::Conflict(format!(
                    "`{text}` is the name of several nodes: give the unique_id of one of {}",
                    ids.join(", ")
                ))
            }
            answers::Error::Several { found, .. } => {
                let names: Vec<String> = found.iter().map(|node| format!("`{}`", node.environment)).collect();
                Self::Conflict(format!("several environments have it: add `environment` with {}", names.join(" or ")))
            }
            answers::Error::Malformed(text) => Self::Bad(text),
            error if error.is_interrupted() => Self::Unavailable("the answer took too long: ask for less".to_owned()),
            error => {
                tracing::error!(error = ?error, "the catalog could not be read");
                Self::Internal
            }
        }
    }
}

impl From<catalog::Error> for Problem {
    fn from(error: catalog::Error) -> Self {
        if matches!(error, catalog::Error::TooEarly { .. }) {
            return Self::Bad(error.to_string());
        }
        if error.is_interrupted() {
            let text = "going back so far took too long: `--as-of` on the command line has no limit of time";
            return Self::Unavailable(text.to_owned());
        }
        tracing::warn!(%error, "the catalog could not be opened");
        Self::Unavailable("the catalog can't be opened: see `/-/ready`".to_owned())
    }
}

/// For what no route knows.
pub(super) async fn no_such_route() -> Problem {
    Problem::NotFound("there is nothing here: `/openapi.json` lists what there is".to_owned(), Vec::new())
}

/// For a route that knows another method only. The server adds which.
pub(super) async fn no_such_method() -> Problem {
    Problem::Method
}
