//! `POST /webhooks/dbt`: the dbt platform says that a run has ended. The signature is over the raw bytes and is looked at before
//! anything else. The platform switches a webhook off that fails often, so whatever is authentic is answered with 200. What it
//! says is never used as data: it only makes an environment due.
//!
//! A signature is good for ever, so whoever has seen a delivery can send it again. What a delivery starts is therefore bound to its
//! time stamp, which the signature covers: one from more than an hour ago or more than a quarter of an hour ahead, or without one,
//! starts nothing, and within that time each event starts something once.

use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, CONTENT_LENGTH};
use axum::{Extension, Json};
use hmac::{Hmac, KeyInit, Mac};
use http_body_util::LengthLimitError;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::time::{Instant, timeout};

use super::App;
use super::guard::only;
use super::peers::Peer;
use super::problem::Problem;
use crate::catalog::Trigger;
use crate::sync::Due;
use crate::telemetry::Delivery;
use crate::time::Timestamp;

/// How many events are remembered. The platform sends a few for each run.
const REMEMBERED: usize = 20_000;

/// Older events start nothing: the platform has given up sending them by then.
const OLD_MILLIS: i64 = 3_600_000;

/// Events from further ahead start nothing: so far may two clocks be apart.
const AHEAD_MILLIS: i64 = 900_000;

/// Forged deliveries are told to the log once in this time.
const QUIET: Duration = Duration::from_secs(60);

/// The events that have started something and are not yet old, as digests, so that long ids take no more room than short ones.
#[derive(Debug, Default)]
pub(super) struct Deliveries(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    known: HashSet<[u8; 32]>,
    /// The same by their time stamps.
    by_time: BTreeSet<(Timestamp, [u8; 32])>,
    /// Everything up to here counts as delivered: what was known of it is forgotten.
    forgotten: Option<Timestamp>,
}

impl Deliveries {
    /// True if the event of that time is new; it is not from now on.
    fn is_new(&self, event: &str, happened: Timestamp, now: Timestamp) -> bool {
        let digest: [u8; 32] = Sha256::digest(event.as_bytes()).into();
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.forgotten.is_some_and(|forgotten| happened <= forgotten) || !seen.known.insert(digest) {
            return false;
        }
        seen.by_time.insert((happened, digest));
        // What is old by now is refused for that; where there are too many, the first of them are refused from now on.
        let old = now.plus_millis(-OLD_MILLIS);
        while let Some((time, digest)) = seen.by_time.first().copied() {
            if time >= old && seen.by_time.len() <= REMEMBERED {
                break;
            }
            seen.by_time.pop_first();
            seen.known.remove(&digest);
            seen.forgotten = Some(time).max(seen.forgotten);
        }
        true
    }
}

/// An environment of the platform, as webhooks name it.
#[derive(Debug, Clone, Copy)]
pub struct Platform {
    /// Its number in the catalog.
    pub id: i64,
    /// The platform's id of it. Two regions can give the same.
    pub platform_id: i64,
    /// The platform's account, where it is configured.
    pub account_id: Option<i64>,
}

impl Platform {
    /// Whether a delivery is of it. What is not told on one side is not compared.
    fn is(&self, environment: i64, account: Option<i64>) -> bool {
        self.platform_id == environment && self.account_id.zip(account).is_none_or(|(own, told)| own == told)
    }
}

/// When the last forged delivery was told to the log, and how many came since.
#[derive(Debug, Default)]
pub(super) struct Forgeries(Mutex<(Option<Instant>, u64)>);

impl Forgeries {
    fn tell(&self) {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.1 += 1;
        if told.0.is_none_or(|last| last.elapsed() >= QUIET) {
            let count = told.1;
            *told = (Some(Instant::now()), 0);
            tracing::warn!(count, "a webhook's signature does not match `webhook.secret`: it is refused");
        }
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
pub(super) async fn dbt(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Arc<Peer>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Value>, Problem> {
    let count = |delivery: Delivery| app.state.telemetry.webhook(delivery);
    let waiting = peer.waiting();
    let body = raw(&app, &headers, body).await.inspect_err(|_| count(Delivery::Refused))?;
    drop(waiting);
    let secret = app.state.webhook_secret.as_ref();
    if !secret.is_some_and(|secret| is_authentic(secret, &headers, &body)) {
        count(Delivery::Forged);
        app.forgeries.tell();
        return Err(Problem::Forged);
    }
    let (state, now) = (&app.state, Timestamp::now());
    let platforms = state.served.borrow().platforms.clone();
    let delivery = take(&platforms, &state.due, &app.deliveries, &body, now);
    count(delivery);
    match delivery {
        Delivery::Ahead => tracing::warn!("a webhook's time stamp is too far ahead: are the clocks right?"),
        delivery => tracing::info!(result = delivery.as_str(), "webhook"),
    }
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
    event_id: Option<Value>,
    event_type: Option<Value>,
    timestamp: Option<Value>,
    account_id: Option<Value>,
    #[serde(default)]
    data: Option<Data>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    environment_id: Option<Value>,
    run_id: Option<Value>,
}

/// Decides what an authentic delivery comes to.
fn take(platforms: &[Platform], due: &Due, deliveries: &Deliveries, body: &[u8], now: Timestamp) -> Delivery {
    let Ok(event) = serde_json::from_slice::<Event>(body) else { return Delivery::Unreadable };
    let data = event.data.unwrap_or_default();
    if event.event_type.as_ref().and_then(Value::as_str) != Some("job.run.completed") {
        return Delivery::Ignored;
    }
    let happened = event.timestamp.as_ref().and_then(Value::as_str).and_then(Timestamp::parse);
    let Some(happened) = happened else { return Delivery::Undated };
    match now.since(happened) {
        age if age > OLD_MILLIS => return Delivery::Old,
        age if age < -AHEAD_MILLIS => return Delivery::Ahead,
        _ => {}
    }
    let number = |value: Option<Value>| value.and_then(|id| id.as_i64().or_else(|| id.as_str()?.parse().ok()));
    let (environment, account) = (number(data.environment_id), number(event.account_id));
    let is_it = |platform: &&Platform| environment.is_some_and(|environment| platform.is(environment, account));
    let ids: Vec<i64> = platforms.iter().filter(is_it).map(|platform| platform.id).collect();
    let (Some(environment), false) = (environment, ids.is_empty()) else { return Delivery::UnknownEnvironment };
    // Without an id of its own, an event is the end of its run; and else its very bytes.
    let name = |value: Option<Value>| value.filter(|value| value.is_string() || value.is_number());
    let event = match (name(event.event_id), name(data.run_id)) {
        (Some(event), _) => format!("event {event}"),
        (None, Some(run)) => format!("run {run} of {environment}"),
        (None, None) => format!("body {}", String::from_utf8_lossy(body)),
    };
    if !deliveries.is_new(&event, happened, now) {
        return Delivery::Duplicate;
    }
    for id in ids {
        due.mark(id, Trigger::Webhook);
    }
    Delivery::Accepted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(id: usize, kind: &str, timestamp: &str, environment: &str) -> String {
        format!(
            r#"{{"eventId":"wev_{id}","eventType":"{kind}","timestamp":"{timestamp}","data":{{"environmentId":{environment}}}}}"#
        )
    }

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).expect("a time")
    }

    #[test]
    fn what_a_delivery_comes_to() {
        let due = Due::new([834]);
        let platforms = [Platform { id: 834, platform_id: 834, account_id: None }];
        let deliveries = Deliveries::default();
        let now = at("2026-11-24T12:00:00Z");
        let fresh = "2026-11-24T11:59:59.123456789Z";
        let run = |run: &str, more: &str| {
            format!(
                r#"{{"eventType":"job.run.completed","timestamp":"{fresh}",{more}"data":{{"environmentId":"834"{run}}}}}"#
            )
        };
        for (number, (body, expected)) in [
            (event(1, "job.run.completed", fresh, "\"834\""), Delivery::Accepted),
            (event(1, "job.run.completed", fresh, "\"834\""), Delivery::Duplicate),
            (event(2, "job.run.completed", fresh, "834"), Delivery::Accepted),
            (event(3, "job.run.completed", "2026-11-24T11:00:00Z", "834"), Delivery::Accepted),
            (event(4, "job.run.completed", "2026-11-24T10:59:59Z", "834"), Delivery::Old),
            (event(4, "job.run.completed", "1999-01-01T00:00:00Z", "834"), Delivery::Old),
            (event(5, "job.run.completed", "2026-11-24T12:15:00Z", "834"), Delivery::Accepted),
            (event(6, "job.run.completed", "2026-11-24T12:15:01Z", "834"), Delivery::Ahead),
            (event(6, "job.run.completed", "2099-01-01T00:00:00Z", "834"), Delivery::Ahead),
            (event(7, "job.run.completed", "", "834"), Delivery::Undated),
            (event(7, "job.run.completed", "0001-01-01T00:00:00Z", "834"), Delivery::Undated),
            (event(8, "job.run.errored", fresh, "834"), Delivery::Ignored),
            (event(9, "job.run.completed", fresh, "835"), Delivery::UnknownEnvironment),
            (event(10, "job.run.completed", fresh, "null"), Delivery::UnknownEnvironment),
            (event(11, "job.run.completed", fresh, "{\"a\":[]}"), Delivery::UnknownEnvironment),
            (run(",\"runId\":\"7\"", ""), Delivery::Accepted),
            (run(",\"runId\":\"7\"", "\"again\":1,"), Delivery::Duplicate),
            (run(",\"runId\":\"7\"", "\"eventId\":null,\"again\":2,"), Delivery::Duplicate),
            (run(",\"runId\":\"8\"", ""), Delivery::Accepted),
            (run("", ""), Delivery::Accepted),
            (run("", ""), Delivery::Duplicate),
            (run("", "\"eventId\":12,"), Delivery::Accepted),
            (run("", "\"eventId\":12,"), Delivery::Duplicate),
            ("{}".to_owned(), Delivery::Ignored),
            (r#"{"eventType":7,"data":null}"#.to_owned(), Delivery::Ignored),
            ("not json".to_owned(), Delivery::Unreadable),
            ("[]".to_owned(), Delivery::Unreadable),
            (String::new(), Delivery::Unreadable),
        ]
        .into_iter()
        .enumerate()
        {
            assert_eq!(take(&platforms, &due, &deliveries, body.as_bytes(), now), expected, "{number}: {body}");
        }
    }

    #[test]
    fn two_regions_may_give_the_same_number_and_the_account_tells_them_apart() {
        let due = Due::new([1, 2]);
        let platform = |id, account_id| Platform { id, platform_id: 834, account_id };
        let now = at("2026-11-24T12:00:00Z");
        let told = |platforms: &[Platform], account: &str| {
            let body = format!(
                r#"{{"eventType":"job.run.completed","timestamp":"2026-11-24T12:00:00Z",{account}"data":{{"environmentId":"834"}}}}"#
            );
            take(platforms, &due, &Deliveries::default(), body.as_bytes(), now)
        };
        let two = [platform(1, Some(7)), platform(2, Some(8))];
        assert_eq!(told(&two, "\"accountId\":8,"), Delivery::Accepted);
        assert_eq!(told(&two, "\"accountId\":9,"), Delivery::UnknownEnvironment);
        assert_eq!(told(&two, ""), Delivery::Accepted, "without an account both may be meant");
        assert_eq!(told(&[platform(1, None)], "\"accountId\":9,"), Delivery::Accepted);
    }

    #[test]
    fn an_event_starts_something_once_however_many_others_come_in_between() {
        let deliveries = Deliveries::default();
        let now = at("2026-11-24T12:00:00Z");
        let happened = |number: usize| now.plus_millis(number as i64 - 100_000);
        let count = REMEMBERED + 5_000;
        for number in 0..count {
            assert!(deliveries.is_new(&number.to_string(), happened(number), now), "{number}");
        }
        for number in (0..count).step_by(97) {
            assert!(!deliveries.is_new(&number.to_string(), happened(number), now), "{number}");
        }
        let seen = deliveries.0.lock().expect("a lock");
        assert_eq!((seen.known.len(), seen.by_time.len()), (REMEMBERED, REMEMBERED), "what is kept is bounded");
    }

    #[test]
    fn what_is_old_needs_no_memory() {
        let deliveries = Deliveries::default();
        let now = at("2026-11-24T12:00:00Z");
        assert!(deliveries.is_new("first", now, now));
        let later = now.plus_millis(OLD_MILLIS + 1);
        assert!(deliveries.is_new("second", later, later));
        assert_eq!(deliveries.0.lock().expect("a lock").known.len(), 1);
        assert!(!deliveries.is_new("first", now, later));
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
