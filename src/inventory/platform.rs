//! What the platform's other interfaces tell beside the nodes: jobs, runs, and what metrics can be grouped by.

use std::fmt;

use serde::Serialize;

use super::{Run, Text};
use crate::time::Timestamp;

/// One of the interfaces, each of which is asked and fails by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Interface {
    /// Runs, by the Admin API.
    Runs,
    /// Jobs, by the Admin API.
    Jobs,
    /// The dimensions of metrics, by the Semantic Layer.
    SemanticLayer,
}

impl Interface {
    /// All of them, in the order in which they are asked.
    pub const ALL: [Self; 3] = [Self::Runs, Self::Jobs, Self::SemanticLayer];

    /// Its word in the catalog and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Runs => "runs",
            Self::Jobs => "jobs",
            Self::SemanticLayer => "semantic_layer",
        }
    }
}

impl fmt::Display for Interface {
    /// For people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Runs => "the platform's runs",
            Self::Jobs => "the platform's jobs",
            Self::SemanticLayer => "the Semantic Layer",
        })
    }
}

/// What one of them answered.
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    /// Runs that have ended, each once.
    Runs(Vec<Run>),
    /// All jobs.
    Jobs(Vec<Job>),
    /// All metrics by name, as of the definition with this stamp.
    Metrics(Vec<(Text, Vec<Dimension>)>, Option<String>),
}

/// A job of the platform.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Job {
    /// Its number.
    pub job_id: i64,
    /// Its name.
    pub name: Option<Text>,
    /// The platform's word: ci, scheduled, merge, other, …
    pub job_type: Option<Text>,
    /// When it runs, in the platform's own cron: digits for weekdays, 0 is Sunday.
    pub cron: Option<Text>,
    /// Whether the schedule starts it.
    pub is_scheduled: Option<bool>,
    /// When it runs next, as the platform says.
    pub next_run_at: Option<Timestamp>,
    /// Whether its runs generate docs.
    pub generates_docs: Option<bool>,
    /// Whether its runs check the freshness of sources.
    pub checks_freshness: Option<bool>,
    /// The last run that has ended.
    pub last_run_id: Option<Text>,
    /// How that ended, in the words of [`Run`].
    pub last_run_status: Option<Text>,
    /// When that was.
    pub last_run_at: Option<Timestamp>,
}

/// What a metric can be grouped by.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Dimension {
    /// Its name, without the path.
    pub name: Text,
    /// categorical, time or entity.
    #[serde(rename = "type")]
    pub kind: Text,
    /// Of a time: day, week, …, or names of the project's own.
    pub granularities: Vec<Text>,
    /// The entities by which it is reached, joined by `__`.
    pub entity_path: Option<Text>,
}
