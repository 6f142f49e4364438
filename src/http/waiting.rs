//! Requests that wait for something to come: how long they may, and when they look whether it has. They hold no reader meanwhile.

use std::sync::Arc;
use std::time::Duration;

use axum::http::Uri;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use url::form_urlencoded;

use super::App;
use super::peers::{During, Peer};
use super::problem::Problem;
use super::query::Query;

/// What other processes do is seen so often.
pub(super) const LOOK: Duration = Duration::from_secs(1);

/// How long a request asks to wait, if it does.
pub(super) fn asked(query: &Query) -> Result<Option<Duration>, Problem> {
    let wrong = || Problem::Bad("`wait` must be a time from `1s` to `60s`".to_owned());
    query.get("wait").map(|text| seconds(text).ok_or_else(wrong)).transpose()
}

/// By how much the limit of a request is put off, since it asked to wait.
pub(super) fn allowed(uri: &Uri) -> Duration {
    let mut pairs = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    let wait = pairs.find(|(name, _)| name == "wait");
    wait.and_then(|(_, text)| seconds(&text)).unwrap_or_default()
}

fn seconds(text: &str) -> Option<Duration> {
    let number: u64 = text.strip_suffix('s')?.parse().ok()?;
    (1..=60).contains(&number).then(|| Duration::from_secs(number))
}

/// A request that waits. Where there is no room for other connections, it is sent away like whoever keeps us waiting.
pub(super) struct Waiting {
    ended: watch::Receiver<()>,
    stopping: watch::Receiver<()>,
    end: Instant,
    every: Duration,
    _during: During,
}

impl Waiting {
    /// For `time` at most; looks after each sync of this process, and every so often.
    pub(super) fn begin(app: &App, peer: &Arc<Peer>, time: Duration, every: Duration) -> Self {
        let (ended, stopping) = (app.state.ended.clone(), app.stopping.clone());
        Self { ended, stopping, end: Instant::now() + time, every, _during: peer.waiting() }
    }

    /// True when it is time to look again; false when the time is over, or the server stops.
    pub(super) async fn goes_on(&mut self) -> bool {
        tokio::select! {
            // Nothing is ever sent: the sender is dropped when the server stops.
            _ = self.stopping.changed() => false,
            () = sleep_until(self.end) => false,
            Ok(()) = self.ended.changed() => true,
            () = sleep(self.every) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_from_one_second_to_a_minute() {
        for (text, expected) in [("1s", Some(1)), ("60s", Some(60)), ("30s", Some(30))] {
            assert_eq!(seconds(text), expected.map(Duration::from_secs), "{text}");
        }
        for text in ["", "s", "0s", "61s", "30", "1m", "-1s", "1.5s", "30 s"] {
            assert_eq!(seconds(text), None, "{text}");
        }
        assert_eq!(allowed(&Uri::from_static("/x?a=1&wait=7s")), Duration::from_secs(7));
        assert_eq!(allowed(&Uri::from_static("/x?wait=7000s")), Duration::ZERO);
    }
}
