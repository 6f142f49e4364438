//! What is told of runs and checks beside the last of each node: files hold the results of several runs.

use super::{FreshnessCheck, Text, UniqueId};
use crate::time::Timestamp;

/// Results of runs, checks of sources, and the runs themselves: those that count, whether they were seen before or not.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History {
    /// By run and node, each once.
    pub results: Vec<RunResult>,
    /// By source and moment, each once.
    pub checks: Vec<Check>,
    /// The runs that have results here.
    pub runs: Vec<Run>,
}

/// What became of one node in one run.
#[derive(Debug, Clone, PartialEq)]
pub struct RunResult {
    /// Which node.
    pub unique_id: UniqueId,
    /// In which run.
    pub run_id: Text,
    /// How it ended, in the words of [`LastRun`](super::LastRun).
    pub status: Option<Text>,
    /// When it ended, else when its run did.
    pub completed_at: Option<Timestamp>,
    /// How long it took.
    pub execution_seconds: Option<f64>,
    /// The message of one that did not do well.
    pub error: Option<Text>,
    /// Failing rows of a test.
    pub failures: Option<i64>,
}

impl RunResult {
    /// Whether it is one that the clock of successes counts.
    pub fn is_success(&self) -> bool {
        matches!(self.status.as_deref(), Some("success" | "pass" | "warn"))
    }
}

/// One freshness check of one source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Which source.
    pub unique_id: UniqueId,
    /// What it said.
    pub check: FreshnessCheck,
}

/// One run of dbt, as it tells of itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Run {
    /// Its id: the platform's number, or that of the invocation.
    pub run_id: Text,
    /// The platform's number of the job.
    pub job_id: Option<i64>,
    /// The job that it was part of.
    pub job_name: Option<Text>,
    /// success, error or cancelled.
    pub status: Option<Text>,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// How long it took.
    pub duration_seconds: Option<f64>,
    /// The commit of the project that it ran.
    pub git_sha: Option<Text>,
    /// Why it ran.
    pub cause: Option<Text>,
    /// What the platform says of one that did not do well.
    pub error: Option<Text>,
}
