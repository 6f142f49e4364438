//! What the daemon tells Prometheus. Labels are bounded: names of configured environments, resource types, and words of ours.
//!
//! Gauges, and what syncs came to, are read from the catalog when somebody asks: so they are right after a restart, and a sync that
//! another process made counts, too. Counters begin at 0 with the process.

mod labels;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry};

pub use self::labels::Delivery;
use self::labels::{CodeLabels, InterfaceLabels, NodeLabels, Of, ReceiverLabels, ResultLabels, SyncLabels};
use crate::answers::{self, Delivery as Delivered, Ended, OUTCOMES, RESOURCE_TYPES, Reader, Watched};
use crate::time::Timestamp;

/// Status codes that the server is known to answer with.
const CODES: [u16; 15] = [200, 202, 304, 400, 401, 403, 404, 405, 408, 409, 410, 413, 421, 500, 503];

/// Upper bounds of the durations, in seconds.
const SECONDS: [f64; 11] = [0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0];

type Moment = Gauge<f64, AtomicU64>;

/// The metrics of one daemon. Clones share them.
#[derive(Debug, Clone)]
pub struct Telemetry {
    registry: Arc<Registry>,
    environments: Arc<Mutex<Vec<(i64, String)>>>,
    began: Timestamp,
    seen: Arc<Mutex<Seen>>,
    syncs: Family<SyncLabels, Counter>,
    duration: Family<Of, Histogram, fn() -> Histogram>,
    requests: Family<Of, Counter>,
    retries: Family<Of, Counter>,
    bytes: Family<Of, Counter>,
    cooldown: Family<Of, Moment>,
    last_complete: Family<Of, Moment>,
    last_attempt: Family<Of, Moment>,
    held: Family<Of, Gauge>,
    nodes: Family<NodeLabels, Gauge>,
    interface_failing_since: Family<InterfaceLabels, Moment>,
    catalog_bytes: Gauge,
    wal_bytes: Gauge,
    readable: Gauge,
    deliveries: Family<ResultLabels, Counter>,
    answers: Family<CodeLabels, Counter>,
    receiver_events: Family<ReceiverLabels, Counter>,
    receiver_failures: Family<ReceiverLabels, Counter>,
    receiver_behind: Family<ReceiverLabels, Gauge>,
    receiver_failing_since: Family<ReceiverLabels, Moment>,
    receiver_last_arrival: Family<ReceiverLabels, Moment>,
}

/// What of the catalog is shown and counted already.
#[derive(Debug, Default)]
struct Seen {
    /// What [`Reader::stamp`] said when the gauges were read.
    stamp: Option<String>,
    /// By environment, the last sync that was counted.
    counted: BTreeMap<i64, i64>,
}

impl Telemetry {
    /// Counters at 0, with a series for each of these environments (id and name).
    pub fn new(environments: &[(i64, String)]) -> Self {
        let mut registry = Registry::default();
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        registry.register("lineaged_build", "The program that runs", Info::new(version));
        let mut telemetry = Self {
            environments: Arc::default(),
            began: Timestamp::now(),
            seen: Arc::default(),
            syncs: listed(&mut registry, "lineaged_syncs", "Syncs that ended, by outcome"),
            duration: Family::new_with_constructor(|| Histogram::new(SECONDS)),
            requests: listed(&mut registry, "lineaged_requests", "Requests sent to the Discovery API"),
            retries: listed(&mut registry, "lineaged_retries", "Requests sent again after a failure"),
            bytes: listed(&mut registry, "lineaged_bytes", "Decompressed bytes of the Discovery API's answers"),
            cooldown: listed(
                &mut registry,
                "lineaged_cooldown_until_timestamp_seconds",
                "Until when the environment is not read because it was refused or failed, 0 if it is read",
            ),
            last_complete: listed(
                &mut registry,
                "lineaged_last_complete_sync_timestamp_seconds",
                "When the last sync ended that was applied or found nothing changed, 0 if none did",
            ),
            last_attempt: listed(
                &mut registry,
                "lineaged_last_sync_attempt_timestamp_seconds",
                "When the last sync began, however it ended, 0 if none did",
            ),
            held: listed(&mut registry, "lineaged_held", "1 while a sync waits for approval"),
            nodes: listed(&mut registry, "lineaged_nodes", "Nodes in the catalog"),
            interface_failing_since: listed(
                &mut registry,
                "lineaged_interface_failing_since_timestamp_seconds",
                "Since when one of the platform's other interfaces does not answer, 0 if all is well",
            ),
            catalog_bytes: listed(&mut registry, "lineaged_catalog_bytes", "Size of the catalog's file"),
            wal_bytes: listed(
                &mut registry,
                "lineaged_catalog_wal_bytes",
                "Size of the catalog's write-ahead log, which grows while a reader keeps a transaction open",
            ),
            readable: listed(
                &mut registry,
                "lineaged_catalog_readable",
                "1 if the catalog could be read for this answer",
            ),
            deliveries: listed(&mut registry, "lineaged_webhook_deliveries", "Calls of the webhook, by result"),
            answers: listed(
                &mut registry,
                "lineaged_http_requests",
                "HTTP requests that were answered, by status code",
            ),
            receiver_events: listed(&mut registry, "lineaged_receiver_events", "Events that a receiver has taken"),
            receiver_failures: listed(
                &mut registry,
                "lineaged_receiver_failures",
                "Tries after which a receiver had not taken an event",
            ),
            receiver_behind: listed(
                &mut registry,
                "lineaged_receiver_behind_changes",
                "Changes of the environment that have not arrived at the receiver",
            ),
            receiver_failing_since: listed(
                &mut registry,
                "lineaged_receiver_failing_since_timestamp_seconds",
                "Since when nothing arrives at the receiver, 0 if all is well",
            ),
            receiver_last_arrival: listed(
                &mut registry,
                "lineaged_receiver_last_arrival_timestamp_seconds",
                "When all there was had arrived at the receiver, 0 if it never had",
            ),
            registry: Arc::default(),
        };
        registry.register("lineaged_sync_duration_seconds", "How long syncs took", telemetry.duration.clone());
        telemetry.registry = Arc::new(registry);
        environments.iter().for_each(|(id, name)| telemetry.add(*id, name));
        telemetry.initialise();
        telemetry
    }

    /// Counters at 0 for one more environment. The gauges have no series before the catalog was read: a 0 would be a lie.
    pub fn add(&self, id: i64, environment: &str) {
        let mut environments = self.environments.lock().unwrap_or_else(PoisonError::into_inner);
        if environments.iter().any(|(known, _)| *known == id) {
            return;
        }
        environments.push((id, environment.to_owned()));
        let of = Of { environment: environment.to_owned() };
        drop(self.duration.get_or_create(&of));
        for family in [&self.requests, &self.retries, &self.bytes] {
            drop(family.get_or_create(&of));
        }
        drop(self.cooldown.get_or_create(&of));
        for outcome in OUTCOMES {
            drop(self.syncs.get_or_create(&labels(environment, outcome)));
        }
    }

    fn environments(&self) -> Vec<(i64, String)> {
        self.environments.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn initialise(&self) {
        for delivery in Delivery::ALL {
            drop(self.deliveries.get_or_create(&ResultLabels { result: delivery.as_str() }));
        }
        for code in CODES {
            drop(self.answers.get_or_create(&CodeLabels { code }));
        }
    }

    /// Takes over what the catalog says; nothing more than that nothing has happened, if it has not.
    pub fn observe(&self, reader: &Reader) -> Result<(), answers::Error> {
        let mut seen = self.seen();
        let stamp = reader.stamp("syncs")?;
        if seen.stamp.as_ref() == Some(&stamp) {
            return Ok(());
        }
        let watched = reader.watched()?;
        for (id, environment) in &self.environments() {
            let last = seen.counted.get(id).copied();
            for ended in reader.ended_since(*id, last, self.began)? {
                self.count(environment, &ended);
                seen.counted.insert(*id, ended.sync_id);
            }
        }
        self.show_all(&watched);
        seen.stamp = Some(stamp);
        Ok(())
    }

    fn count(&self, environment: &str, ended: &Ended) {
        let of = Of { environment: environment.to_owned() };
        self.syncs.get_or_create(&labels(environment, &ended.outcome)).inc();
        self.duration.get_or_create(&of).observe(ended.seconds);
        self.requests.get_or_create(&of).inc_by(ended.requests);
        self.bytes.get_or_create(&of).inc_by(ended.bytes);
    }

    fn show_all(&self, watched: &BTreeMap<i64, Watched>) {
        let nothing = Watched::default();
        // A type that is gone has no series any more.
        self.nodes.clear();
        for (id, environment) in &self.environments() {
            self.show(environment, watched.get(id).unwrap_or(&nothing));
        }
    }

    fn show(&self, environment: &str, watched: &Watched) {
        let of = Of { environment: environment.to_owned() };
        self.last_complete.get_or_create(&of).set(watched.last_complete.map_or(0.0, seconds));
        self.last_attempt.get_or_create(&of).set(watched.last_attempt.map_or(0.0, seconds));
        self.held.get_or_create(&of).set(watched.is_held.into());
        let none = RESOURCE_TYPES.iter().map(|resource_type| (*resource_type, 0));
        for (resource_type, count) in none.chain(watched.nodes.iter().map(|(name, count)| (name.as_str(), *count))) {
            let labels = NodeLabels { environment: environment.to_owned(), resource_type: resource_type.to_owned() };
            self.nodes.get_or_create(&labels).set(count);
        }
        for (interface, since) in &watched.interfaces {
            let labels = InterfaceLabels { environment: environment.to_owned(), interface: interface.clone() };
            self.interface_failing_since.get_or_create(&labels).set(since.map_or(0.0, seconds));
        }
    }

    /// How large the catalog's files are, and whether it could be read.
    pub fn catalog(&self, path: &Path, is_readable: bool) {
        let size =
            |path: &Path| std::fs::metadata(path).map_or(0, |file| i64::try_from(file.len()).unwrap_or(i64::MAX));
        let mut wal = path.as_os_str().to_owned();
        wal.push("-wal");
        self.catalog_bytes.set(size(path));
        self.wal_bytes.set(size(Path::new(&wal)));
        self.readable.set(is_readable.into());
    }

    /// A question of the environment was asked again.
    pub fn retried(&self, environment: &str, times: u64) {
        self.retries.get_or_create(&Of { environment: environment.to_owned() }).inc_by(times);
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The environment is not read before `until`; `None`: it is read again.
    pub fn cooldown(&self, environment: &str, until: Option<Timestamp>) {
        let of = Of { environment: environment.to_owned() };
        self.cooldown.get_or_create(&of).set(until.map_or(0.0, seconds));
    }

    /// The webhook was called.
    pub fn webhook(&self, delivery: Delivery) {
        self.deliveries.get_or_create(&ResultLabels { result: delivery.as_str() }).inc();
    }

    /// A request was answered.
    pub fn answered(&self, code: u16) {
        self.answers.get_or_create(&CodeLabels { code }).inc();
    }

    /// A receiver has taken an event of the environment.
    pub fn receiver_took(&self, receiver: &str, environment: &str) {
        self.receiver_events.get_or_create(&of_receiver(receiver, environment)).inc();
    }

    /// A receiver has not taken an event of the environment.
    pub fn receiver_failed(&self, receiver: &str, environment: &str) {
        self.receiver_failures.get_or_create(&of_receiver(receiver, environment)).inc();
    }

    /// What the catalog says of a receiver and the environment.
    pub fn receiver(&self, environment: &str, known: &Delivered) {
        let of = of_receiver(&known.receiver, environment);
        let moment = |text: &Option<String>| text.as_deref().and_then(Timestamp::parse).map_or(0.0, seconds);
        for counter in [&self.receiver_events, &self.receiver_failures] {
            drop(counter.get_or_create(&of));
        }
        self.receiver_behind.get_or_create(&of).set(known.behind);
        self.receiver_failing_since.get_or_create(&of).set(moment(&known.failing_since));
        self.receiver_last_arrival.get_or_create(&of).set(moment(&known.arrived_at));
    }

    /// All of it, in the text format of OpenMetrics.
    pub fn render(&self) -> String {
        // Not while gauges are being replaced.
        let _seen = self.seen();
        let mut text = String::new();
        // Writing to a `String` does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

fn listed<M: Metric + Clone + Default>(registry: &mut Registry, name: &str, help: &str) -> M {
    let metric = M::default();
    registry.register(name, help, metric.clone());
    metric
}

fn labels(environment: &str, outcome: &str) -> SyncLabels {
    SyncLabels { environment: environment.to_owned(), outcome: outcome.to_owned() }
}

fn of_receiver(receiver: &str, environment: &str) -> ReceiverLabels {
    ReceiverLabels { receiver: receiver.to_owned(), environment: environment.to_owned() }
}

fn seconds(at: Timestamp) -> f64 {
    at.millis() as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_counters_are_there_from_the_start_and_no_gauge() {
        let text = Telemetry::new(&[(1, "prod".to_owned()), (2, "stage".to_owned())]).render();
        for environment in ["prod", "stage"] {
            for series in [
                format!("lineaged_syncs_total{{environment=\"{environment}\",outcome=\"held\"}} 0"),
                format!("lineaged_sync_duration_seconds_count{{environment=\"{environment}\"}} 0"),
                format!("lineaged_requests_total{{environment=\"{environment}\"}} 0"),
                format!("lineaged_retries_total{{environment=\"{environment}\"}} 0"),
                format!("lineaged_bytes_total{{environment=\"{environment}\"}} 0"),
                format!("lineaged_cooldown_until_timestamp_seconds{{environment=\"{environment}\"}} 0"),
            ] {
                assert!(text.contains(&series), "{series}: {text}");
            }
        }
        for gauge in ["lineaged_last_complete_sync_timestamp_seconds{", "lineaged_held{", "lineaged_nodes{"] {
            assert!(!text.contains(gauge), "{text}");
        }
        for result in ["forged", "ahead", "undated"] {
            assert!(text.contains(&format!("lineaged_webhook_deliveries_total{{result=\"{result}\"}} 0")), "{text}");
        }
        assert!(text.contains("lineaged_http_requests_total{code=\"421\"} 0"), "{text}");
        assert!(text.contains("lineaged_build_info{version="), "{text}");
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn a_receiver_has_its_series_when_something_is_known_of_it() {
        let telemetry = Telemetry::new(&[(1, "prod".to_owned())]);
        assert!(!telemetry.render().contains("lineaged_receiver_failures_total{"), "nobody is configured");
        let since = Some("2026-11-24T10:00:00.500Z".to_owned());
        let known =
            Delivered { receiver: "marquez".to_owned(), behind: 3, failing_since: since, ..Delivered::default() };
        telemetry.receiver("prod", &known);
        telemetry.receiver_took("marquez", "prod");
        let text = telemetry.render();
        for series in [
            "lineaged_receiver_events_total{receiver=\"marquez\",environment=\"prod\"} 1\n",
            "lineaged_receiver_failures_total{receiver=\"marquez\",environment=\"prod\"} 0\n",
            "lineaged_receiver_behind_changes{receiver=\"marquez\",environment=\"prod\"} 3\n",
            "lineaged_receiver_failing_since_timestamp_seconds{receiver=\"marquez\",environment=\"prod\"} 1795514400.5\n",
            "lineaged_receiver_last_arrival_timestamp_seconds{receiver=\"marquez\",environment=\"prod\"} 0.0\n",
        ] {
            assert!(text.contains(series), "{series}: {text}");
        }
    }

    #[test]
    fn what_the_catalog_says_is_shown_and_what_it_no_longer_says_is_not() {
        let telemetry = Telemetry::new(&[(1, "prod".to_owned())]);
        let at = Timestamp::from_millis(1_700_000_000_500);
        let nodes = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), 7)).collect();
        let interfaces = BTreeMap::from([("jobs".to_owned(), None), ("runs".to_owned(), at)]);
        let nodes = nodes(&["model", "odd"]);
        let watched = Watched { last_complete: at, last_attempt: at, is_held: true, nodes, interfaces };
        telemetry.show_all(&BTreeMap::from([(1, watched)]));
        let text = telemetry.render();
        for series in [
            "lineaged_last_complete_sync_timestamp_seconds{environment=\"prod\"} 1700000000.5",
            "lineaged_last_sync_attempt_timestamp_seconds{environment=\"prod\"} 1700000000.5",
            "lineaged_held{environment=\"prod\"} 1",
            "lineaged_nodes{environment=\"prod\",resource_type=\"model\"} 7",
            "lineaged_nodes{environment=\"prod\",resource_type=\"odd\"} 7",
            "lineaged_nodes{environment=\"prod\",resource_type=\"seed\"} 0",
            "lineaged_interface_failing_since_timestamp_seconds{environment=\"prod\",interface=\"jobs\"} 0.0",
            "lineaged_interface_failing_since_timestamp_seconds{environment=\"prod\",interface=\"runs\"} 1700000000.5",
        ] {
            assert!(text.contains(&format!("{series}\n")), "{series}: {text}");
        }
        telemetry.show_all(&BTreeMap::new());
        let text = telemetry.render();
        assert!(text.contains("lineaged_nodes{environment=\"prod\",resource_type=\"model\"} 0\n"), "{text}");
        assert!(!text.contains("odd"), "{text}");
        assert!(text.contains("lineaged_last_complete_sync_timestamp_seconds{environment=\"prod\"} 0.0\n"), "{text}");
    }

    #[test]
    fn a_failed_sync_counts_like_any_other() {
        let telemetry = Telemetry::new(&[(1, "prod".to_owned())]);
        let ended = Ended { sync_id: 1, outcome: "failed".to_owned(), requests: 7, bytes: 900, seconds: 3.0 };
        telemetry.count("prod", &ended);
        telemetry.count("prod", &Ended { outcome: "applied".to_owned(), ..ended });
        let text = telemetry.render();
        for series in [
            "lineaged_syncs_total{environment=\"prod\",outcome=\"failed\"} 1",
            "lineaged_requests_total{environment=\"prod\"} 14",
            "lineaged_bytes_total{environment=\"prod\"} 1800",
            "lineaged_sync_duration_seconds_bucket{le=\"5.0\",environment=\"prod\"} 2",
            "lineaged_sync_duration_seconds_bucket{le=\"2.0\",environment=\"prod\"} 0",
        ] {
            assert!(text.contains(&format!("{series}\n")), "{series}: {text}");
        }
    }

    #[test]
    fn alerts_and_the_dashboard_watch_what_is_told() {
        let telemetry = Telemetry::new(&[(1, "prod".to_owned())]);
        let interfaces = BTreeMap::from([("runs".to_owned(), None)]);
        telemetry.show("prod", &Watched { interfaces, ..Watched::default() });
        telemetry.catalog(Path::new("nowhere"), false);
        telemetry.receiver("prod", &Delivered::default());
        let text = telemetry.render();
        let watching = concat!(include_str!("../../deploy/alerts.yml"), include_str!("../../deploy/grafana.json"));
        let words =
            watching.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| word.starts_with("lineaged_"));
        let words: std::collections::BTreeSet<&str> = words.collect();
        assert!(words.len() >= 12, "{words:?}");
        for word in words {
            assert!(text.contains(&format!("{word}{{")) || text.contains(&format!("{word} ")), "{word}: {text}");
        }
    }

    #[test]
    fn the_size_of_the_write_ahead_log_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.db");
        std::fs::write(&path, [0; 30]).expect("written");
        std::fs::write(folder.path().join("a.db-wal"), [0; 40]).expect("written");
        let telemetry = Telemetry::new(&[]);
        telemetry.catalog(&path, true);
        let text = telemetry.render();
        for series in ["lineaged_catalog_bytes 30", "lineaged_catalog_wal_bytes 40", "lineaged_catalog_readable 1"] {
            assert!(text.contains(&format!("{series}\n")), "{text}");
        }
    }
}
