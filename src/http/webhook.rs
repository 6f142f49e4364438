//! `POST /webhooks/dbt`: the dbt platform says that a run has ended. The signature is over the raw bytes and is looked at before
//! anything else. The platform switches a webhook off that fails often, so whatever is authentic is answered with 200. What it
//! says is never used as data: it only makes an environment due.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, CONTENT_LENGTH};
use hmac::{Hmac, KeyInit, Mac};
use http_body_util::LengthLimitError;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::time::timeout;

use super::App;
use super::guard::only;
use super::problem::Problem;
use crate::catalog::Trigger;
use crate::daemon::{Due, Marked};
use crate::inventory::Timestamp;
use crate::telemetry::Delivery;

/// How many events are remembered.
const REMEMBERED: usize = 10_000;

/// Older events start nothing.
const OLD_MILLIS: i64 = 3_600_000;

/// The events that were delivered, as digests, so that long ids take no more room than short ones.
#[derive(Debug, Default)]
pub(super) struct Deliveries(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    order: VecDeque<[u8; 32]>,
    known: HashSet<[u8; 32]>,
}

impl Deliveries {
    /// True if the event is new; it is not from now on.
    fn is_new(&self, event_id: &str) -> bool {
        let digest: [u8; 32] = Sha256::digest(event_id.as_bytes()).into();
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !seen.known.insert(digest) {
            return false;
        }
        seen.order.push_back(digest);
        if seen.order.len() > REMEMBERED
            && let Some(oldest) = seen.order.pop_front()
        {
            seen.known.remove(&oldest);
        }
        true
    }
}

/// Told by the dbt platform that a run has ended
#[utoipa::path(
    post,
    path = "/webhooks/dbt",
    tag = "syncs",
    params(("Authorization" = String, Header, description = "HMAC-SHA256 of the body, 64 lower-case hexadecimal digits")),
    request_body(content = Value, description = "what the dbt platform sends", content_type = "application/json"),
    responses(
        (status = 200, description = "it is authentic; `result` says what became of it", body = Value),
        (status = 401, description = "it is not signed with the secret"),
        (status = 408, description = "the body did not come in time"),
        (status = 413, description = "the body is too large")
    )
)]
pub(super) async fn dbt(State(app): State<Arc<App>>, headers: HeaderMap, body: Body) -> Result<Json<Value>, Problem> {
    let count = |delivery: Delivery| app.state.telemetry.webhook(delivery);
    let body = raw(&app, &headers, body).await.inspect_err(|_| count(Delivery::Refused))?;
    let secret = app.state.webhook_secret.as_ref();
    if !secret.is_some_and(|secret| is_authentic(secret, &headers, &body)) {
        count(Delivery::Forged);
        return Err(Problem::Unauthorized);
    }
    let delivery = take(&app.state.due, &app.deliveries, &body, Timestamp::now());
    count(delivery);
    tracing::info!(result = delivery.as_str(), "webhook");
    Ok(Json(json!({ "result": delivery.as_str() })))
}

async fn raw(app: &App, headers: &HeaderMap, body: Body) -> Result<Vec<u8>, Problem> {
    let limits = &app.state.limits;
    let most = limits.body_bytes;
    let announced = only(headers, &CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
    if announced.is_some_and(|length| length > most as u64) {
        return Err(Problem::TooLarge(most));
    }
    match timeout(limits.body, to_bytes(body, most)).await {
        Ok(Ok(bytes)) => Ok(bytes.to_vec()),
        Ok(Err(error)) if std::error::Error::source(&error).is_some_and(|source| source.is::<LengthLimitError>()) => {
            Err(Problem::TooLarge(most))
        }
        Ok(Err(_)) => Err(Problem::Bad("the body could not be read".to_owned())),
        Err(_) => Err(Problem::BodyTooSlow),
    }
}

/// Compared in constant time; anything but 64 lower-case digits in one header is wrong.
fn is_authentic(secret: &SecretString, headers: &HeaderMap, body: &[u8]) -> bool {
    let Some(signature) = only(headers, &AUTHORIZATION).and_then(digest) else { return false };
    let mac = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes());
    mac.is_ok_and(|mac| mac.chain_update(body).verify_slice(&signature).is_ok())
}

fn digest(text: &str) -> Option<[u8; 32]> {
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    let nibble = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let bytes: Option<Vec<u8>> = pairs.iter().map(|[high, low]| Some(nibble(*high)? << 4 | nibble(*low)?)).collect();
    bytes?.try_into().ok()
}

/// What we look at. Ids come as texts or as numbers; whatever is missing is looked at as unknown.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    event_id: Option<String>,
    event_type: Option<String>,
    timestamp: Option<String>,
    #[serde(default)]
    data: Data,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    environment_id: Option<Value>,
}

/// Decides what an authentic delivery comes to.
fn take(due: &Due, deliveries: &Deliveries, body: &[u8], now: Timestamp) -> Delivery {
    let Ok(event) = serde_json::from_slice::<Event>(body) else { return Delivery::Unreadable };
    if event.event_id.is_some_and(|id| !deliveries.is_new(&id)) {
        return Delivery::Duplicate;
    }
    if event.event_type.as_deref() != Some("job.run.completed") {
        return Delivery::Ignored;
    }
    let happened = event.timestamp.as_deref().and_then(Timestamp::parse);
    if happened.is_some_and(|happened| now.since(happened) > OLD_MILLIS) {
        return Delivery::Old;
    }
    let id = event.data.environment_id.and_then(|id| id.as_i64().or_else(|| id.as_str()?.parse().ok()));
    match id.map(|id| due.mark(id, Trigger::Webhook)) {
        Some(Marked::Pending | Marked::Running) => Delivery::Accepted,
        Some(Marked::Unknown) | None => Delivery::UnknownEnvironment,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(id: usize, kind: &str, timestamp: &str, environment: &str) -> String {
        format!(
            r#"{{"eventId":"wev_{id}","eventType":"{kind}","timestamp":"{timestamp}","data":{{"environmentId":{environment}}}}}"#
        )
    }

    #[test]
    fn what_a_delivery_comes_to() {
        let due = Due::new([(834, "prod".to_owned())]);
        let deliveries = Deliveries::default();
        let now = Timestamp::parse("2026-11-24T12:00:00Z").expect("a time");
        let (fresh, old) = ("2026-11-24T11:59:59.123456789Z", "2026-11-24T10:59:59Z");
        for (number, (body, expected)) in [
            (event(1, "job.run.completed", fresh, "\"834\""), Delivery::Accepted),
            (event(1, "job.run.completed", fresh, "\"834\""), Delivery::Duplicate),
            (event(2, "job.run.completed", fresh, "834"), Delivery::Accepted),
            (event(3, "job.run.completed", old, "834"), Delivery::Old),
            (event(4, "job.run.completed", "", "834"), Delivery::Accepted),
            (event(5, "job.run.errored", fresh, "834"), Delivery::Ignored),
            (event(6, "job.run.completed", fresh, "835"), Delivery::UnknownEnvironment),
            (event(7, "job.run.completed", fresh, "null"), Delivery::UnknownEnvironment),
            (event(8, "job.run.completed", fresh, "{\"a\":[]}"), Delivery::UnknownEnvironment),
            ("{}".to_owned(), Delivery::Ignored),
            ("not json".to_owned(), Delivery::Unreadable),
            ("[]".to_owned(), Delivery::Unreadable),
            (String::new(), Delivery::Unreadable),
        ]
        .into_iter()
        .enumerate()
        {
            assert_eq!(take(&due, &deliveries, body.as_bytes(), now), expected, "{number}: {body}");
        }
    }

    #[test]
    fn the_memory_of_events_is_bounded_and_the_oldest_is_forgotten_first() {
        let deliveries = Deliveries::default();
        for number in 0..=REMEMBERED {
            assert!(deliveries.is_new(&number.to_string()));
        }
        assert!(!deliveries.is_new("1"));
        assert!(deliveries.is_new("0"));
        assert_eq!(deliveries.0.lock().expect("a lock").known.len(), REMEMBERED);
    }

    #[test]
    fn a_signature_is_64_lower_case_digits() {
        let good = "0123456789abcdef".repeat(4);
        assert!(digest(&good).is_some());
        for wrong in [&good[1..], &good[2..], &good.to_uppercase(), &format!("{good}00"), &format!(" {good}"), ""] {
            assert!(digest(wrong).is_none(), "{wrong}");
        }
    }
}
