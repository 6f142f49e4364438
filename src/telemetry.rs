//! What the daemon tells Prometheus. Labels are bounded: names of configured environments, dbt's resource types, and words of ours.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry};

use crate::discovery::Cost;
use crate::inventory::Timestamp;

const OUTCOMES: [&str; 5] = ["applied", "unchanged", "failed", "held", "interrupted"];

const RESOURCE_TYPES: [&str; 12] = [
    "model",
    "source",
    "seed",
    "snapshot",
    "test",
    "unit_test",
    "exposure",
    "metric",
    "semantic_model",
    "saved_query",
    "group",
    "external",
];

/// Status codes that the server is known to answer with.
const CODES: [u16; 15] = [200, 202, 304, 400, 401, 403, 404, 405, 408, 409, 410, 413, 421, 500, 503];

/// Upper bounds of the durations, in seconds.
const SECONDS: [f64; 11] = [0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0];

/// What became of a call of the webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// It made an environment due.
    Accepted,
    /// Its event had been delivered before.
    Duplicate,
    /// Its event is too long ago.
    Old,
    /// Its event is of a kind that starts nothing.
    Ignored,
    /// Its environment is not one of ours.
    UnknownEnvironment,
    /// It is authentic, but can't be read.
    Unreadable,
    /// It is not signed with our secret.
    Forged,
    /// Its body is too large, or took too long.
    Refused,
}

impl Delivery {
    const ALL: [Self; 8] = [
        Self::Accepted,
        Self::Duplicate,
        Self::Old,
        Self::Ignored,
        Self::UnknownEnvironment,
        Self::Unreadable,
        Self::Forged,
        Self::Refused,
    ];

    /// The word for it in metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Duplicate => "duplicate",
            Self::Old => "old",
            Self::Ignored => "ignored",
            Self::UnknownEnvironment => "unknown_environment",
            Self::Unreadable => "unreadable",
            Self::Forged => "forged",
            Self::Refused => "refused",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Of {
    environment: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SyncLabels {
    environment: String,
    outcome: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct NodeLabels {
    environment: String,
    resource_type: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabels {
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CodeLabels {
    code: u16,
}

type Moment = Gauge<f64, AtomicU64>;

/// The metrics of one daemon. Clones share them.
#[derive(Debug, Clone)]
pub struct Telemetry {
    registry: Arc<Registry>,
    syncs: Family<SyncLabels, Counter>,
    duration: Family<Of, Histogram, fn() -> Histogram>,
    requests: Family<Of, Counter>,
    retries: Family<Of, Counter>,
    bytes: Family<Of, Counter>,
    cooldown: Family<Of, Moment>,
    last_complete: Family<Of, Moment>,
    held: Family<Of, Gauge>,
    nodes: Family<NodeLabels, Gauge>,
    deliveries: Family<ResultLabels, Counter>,
    answers: Family<CodeLabels, Counter>,
}

impl Telemetry {
    /// Metrics at 0, with a series for each of these environments (id and name).
    pub fn new(environments: &[(i64, String)]) -> Self {
        let mut registry = Registry::default();
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        registry.register("lineaged_build", "The program that runs", Info::new(version));
        let mut telemetry = Self {
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
            held: listed(&mut registry, "lineaged_held", "1 while a sync waits for approval"),
            nodes: listed(&mut registry, "lineaged_nodes", "Nodes in the catalog"),
            deliveries: listed(&mut registry, "lineaged_webhook_deliveries", "Calls of the webhook, by result"),
            answers: listed(
                &mut registry,
                "lineaged_http_requests",
                "HTTP requests that were answered, by status code",
            ),
            registry: Arc::default(),
        };
        registry.register("lineaged_sync_duration_seconds", "How long syncs took", telemetry.duration.clone());
        telemetry.registry = Arc::new(registry);
        telemetry.initialise(environments);
        telemetry
    }

    fn initialise(&self, environments: &[(i64, String)]) {
        for (_, environment) in environments {
            let of = Of { environment: environment.clone() };
            drop(self.duration.get_or_create(&of));
            for family in [&self.requests, &self.retries, &self.bytes] {
                drop(family.get_or_create(&of));
            }
            for family in [&self.cooldown, &self.last_complete] {
                drop(family.get_or_create(&of));
            }
            drop(self.held.get_or_create(&of));
            for outcome in OUTCOMES {
                drop(self.syncs.get_or_create(&labels(environment, outcome)));
            }
            for resource_type in RESOURCE_TYPES {
                self.nodes(environment, resource_type, 0);
            }
        }
        for delivery in Delivery::ALL {
            drop(self.deliveries.get_or_create(&ResultLabels { result: delivery.as_str() }));
        }
        for code in CODES {
            drop(self.answers.get_or_create(&CodeLabels { code }));
        }
    }

    /// A sync of the environment ended at `now`, after `took`.
    pub fn synced(&self, environment: &str, outcome: &str, took: Duration, cost: Cost, now: Timestamp) {
        let of = Of { environment: environment.to_owned() };
        self.syncs.get_or_create(&labels(environment, outcome)).inc();
        self.duration.get_or_create(&of).observe(took.as_secs_f64());
        self.requests.get_or_create(&of).inc_by(cost.requests);
        self.retries.get_or_create(&of).inc_by(cost.retries);
        self.bytes.get_or_create(&of).inc_by(cost.bytes);
        if matches!(outcome, "applied" | "unchanged") {
            self.last_complete(environment, now);
        }
    }

    /// When the environment's last complete sync ended; said once at start, from the catalog.
    pub fn last_complete(&self, environment: &str, at: Timestamp) {
        self.last_complete.get_or_create(&Of { environment: environment.to_owned() }).set(seconds(at));
    }

    /// The environment is not read before `until`; `None`: it is read again.
    pub fn cooldown(&self, environment: &str, until: Option<Timestamp>) {
        let of = Of { environment: environment.to_owned() };
        self.cooldown.get_or_create(&of).set(until.map_or(0.0, seconds));
    }

    /// How many nodes of a type the environment has.
    pub fn nodes(&self, environment: &str, resource_type: &str, count: i64) {
        let labels = NodeLabels { environment: environment.to_owned(), resource_type: resource_type.to_owned() };
        self.nodes.get_or_create(&labels).set(count);
    }

    /// Whether a sync of the environment waits for approval.
    pub fn held(&self, environment: &str, held: bool) {
        self.held.get_or_create(&Of { environment: environment.to_owned() }).set(held.into());
    }

    /// The webhook was called.
    pub fn webhook(&self, delivery: Delivery) {
        self.deliveries.get_or_create(&ResultLabels { result: delivery.as_str() }).inc();
    }

    /// A request was answered.
    pub fn answered(&self, code: u16) {
        self.answers.get_or_create(&CodeLabels { code }).inc();
    }

    /// All of it, in the text format of OpenMetrics.
    pub fn render(&self) -> String {
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

fn seconds(at: Timestamp) -> f64 {
    at.millis() as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_series_are_there_from_the_start() {
        let text = Telemetry::new(&[(1, "prod".to_owned()), (2, "stage".to_owned())]).render();
        for environment in ["prod", "stage"] {
            for series in [
                format!("lineaged_syncs_total{{environment=\"{environment}\",outcome=\"held\"}} 0"),
                format!("lineaged_sync_duration_seconds_count{{environment=\"{environment}\"}} 0"),
                format!("lineaged_requests_total{{environment=\"{environment}\"}} 0"),
                format!("lineaged_retries_total{{environment=\"{environment}\"}} 0"),
                format!("lineaged_bytes_total{{environment=\"{environment}\"}} 0"),
                format!("lineaged_cooldown_until_timestamp_seconds{{environment=\"{environment}\"}} 0"),
                format!("lineaged_last_complete_sync_timestamp_seconds{{environment=\"{environment}\"}} 0"),
                format!("lineaged_held{{environment=\"{environment}\"}} 0"),
                format!("lineaged_nodes{{environment=\"{environment}\",resource_type=\"semantic_model\"}} 0"),
            ] {
                assert!(text.contains(&series), "{series}: {text}");
            }
        }
        assert!(text.contains("lineaged_webhook_deliveries_total{result=\"forged\"} 0"), "{text}");
        assert!(text.contains("lineaged_http_requests_total{code=\"421\"} 0"), "{text}");
        assert!(text.contains("lineaged_build_info{version="), "{text}");
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn a_sync_is_counted_and_only_a_complete_one_moves_the_time() {
        let telemetry = Telemetry::new(&[(1, "prod".to_owned())]);
        let cost = Cost { requests: 7, bytes: 900, retries: 1 };
        let now = Timestamp::from_millis(1_700_000_000_500).expect("a time");
        telemetry.synced("prod", "failed", Duration::from_secs(3), cost, now);
        assert!(telemetry.render().contains("lineaged_last_complete_sync_timestamp_seconds{environment=\"prod\"} 0"));
        telemetry.synced("prod", "applied", Duration::from_secs(3), cost, now);
        let text = telemetry.render();
        assert!(
            text.contains("lineaged_last_complete_sync_timestamp_seconds{environment=\"prod\"} 1700000000.5"),
            "{text}"
        );
        assert!(text.contains("lineaged_requests_total{environment=\"prod\"} 14"), "{text}");
        assert!(text.contains("lineaged_sync_duration_seconds_bucket{le=\"5.0\",environment=\"prod\"} 2"), "{text}");
    }
}
