//! What the platform holds around the environments: accounts, projects, jobs, runs, webhooks. Plain data, for the owner to change;
//! what of it follows from the served projects is in `follow`.

use super::follow::Told;
use crate::time::Timestamp;

/// What is there, and not deleted.
pub const ACTIVE: i64 = 1;
/// What is deleted, which the API still tells to those who ask.
pub const DELETED: i64 = 2;

/// Everything that the platform's Admin API tells of.
#[derive(Debug, Clone, Default)]
pub struct Platform {
    /// The accounts that the token sees.
    pub accounts: Vec<Account>,
    /// The jobs of all environments.
    pub jobs: Vec<Job>,
    /// The runs of all environments, in any order.
    pub runs: Vec<Run>,
    /// The webhooks of all accounts.
    pub subscriptions: Vec<Subscription>,
    pub(super) told: Told,
}

/// An account of the platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its id.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// [`ACTIVE`] or [`DELETED`].
    pub state: i64,
    /// Its projects.
    pub projects: Vec<PlatformProject>,
}

/// A project of the platform, which need not be called as the dbt project is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlatformProject {
    /// Its id.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// [`ACTIVE`] or [`DELETED`].
    pub state: i64,
    /// Its environments.
    pub environments: Vec<PlatformEnvironment>,
}

/// An environment as the platform manages it, whether its nodes are served or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlatformEnvironment {
    /// Its id, by which the other interfaces know it.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// `production`, `staging`, or neither.
    pub deployment_type: Option<String>,
    /// The API's `type`: `deployment` or `development`.
    pub kind: String,
    /// The dbt that it runs.
    pub dbt_version: Option<String>,
    /// [`ACTIVE`] or [`DELETED`].
    pub state: i64,
}

impl PlatformEnvironment {
    /// An environment of this `type`, in no special role.
    pub fn new(id: i64, name: &str, kind: &str) -> Self {
        let dbt_version = Some("latest".to_owned());
        let (name, kind) = (name.to_owned(), kind.to_owned());
        Self { id, name, deployment_type: None, kind, dbt_version, state: ACTIVE }
    }
}

/// A job of an environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its id.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// The environment that it runs in.
    pub environment_id: i64,
    /// `scheduled`, `ci`, `merge`, `other`, …
    pub job_type: String,
    /// Whether its schedule starts it.
    pub is_scheduled: bool,
    /// Its schedule.
    pub cron: Option<String>,
    /// When its schedule starts it next.
    pub next_run: Option<Timestamp>,
    /// Whether it writes the catalog.
    pub generate_docs: bool,
    /// Whether it checks the freshness of sources.
    pub generate_sources: bool,
    /// [`ACTIVE`] or [`DELETED`].
    pub state: i64,
}

impl Job {
    /// A job that nothing starts by itself.
    pub fn new(id: i64, name: &str, environment_id: i64) -> Self {
        Self {
            id,
            name: name.to_owned(),
            environment_id,
            job_type: "other".to_owned(),
            is_scheduled: false,
            cron: None,
            next_run: None,
            generate_docs: false,
            generate_sources: false,
            state: ACTIVE,
        }
    }
}

/// How a run stands: the API's number for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
#[allow(missing_docs)] // The variants are the platform's own words.
pub enum RunStatus {
    #[default]
    Queued = 1,
    Starting = 2,
    Running = 3,
    Success = 10,
    Error = 20,
    Cancelled = 30,
}

impl RunStatus {
    /// Whether the run has ended, well or not.
    pub fn is_complete(self) -> bool {
        self >= Self::Success
    }
}

/// A run of a job: queued, unless it is told otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Run {
    /// Its id.
    pub id: i64,
    /// The job that it is a run of.
    pub job_id: i64,
    /// The environment that it runs in.
    pub environment_id: i64,
    /// How it stands.
    pub status: RunStatus,
    /// What the platform says of how it stands.
    pub status_message: Option<String>,
    /// The commit that it ran.
    pub git_sha: Option<String>,
    /// The branch that it ran.
    pub git_branch: Option<String>,
    /// Why it ran.
    pub cause: Option<String>,
    /// When it was queued.
    pub created_at: Option<Timestamp>,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

impl Run {
    /// The same run, begun at this moment, after it was queued for some seconds.
    #[must_use]
    pub fn begun(self, at: Timestamp) -> Self {
        let created_at = Some(at.plus_millis(-4_000));
        Self { created_at, started_at: Some(at), finished_at: None, status: RunStatus::Running, ..self }
    }

    /// The same run, ended at this moment, after a minute and five seconds.
    #[must_use]
    pub fn ended(self, at: Timestamp, status: RunStatus) -> Self {
        Self { finished_at: Some(at), status, ..self.begun(at.plus_millis(-65_000)) }
    }
}

/// A webhook that an account has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// Its id, `wsu_…`.
    pub id: String,
    /// The account that it belongs to.
    pub account_id: i64,
    /// Its name.
    pub name: String,
    /// Where events are sent.
    pub client_url: String,
    /// The events that are sent.
    pub event_types: Vec<String>,
    /// The jobs whose events are sent; all if it is empty.
    pub job_ids: Vec<i64>,
    /// Whether events are sent.
    pub is_active: bool,
    /// The last answer's status, `0` if there was none yet.
    pub http_status_code: String,
    /// Why it is no longer active.
    pub deactivate_reason: Option<String>,
}

impl Subscription {
    /// An active webhook of the first account, for all jobs' ended runs.
    pub fn new(id: &str, client_url: &str) -> Self {
        Self {
            id: id.to_owned(),
            account_id: super::follow::ACCOUNT,
            name: "lineaged".to_owned(),
            client_url: client_url.to_owned(),
            event_types: vec!["job.run.completed".to_owned()],
            job_ids: Vec::new(),
            is_active: true,
            http_status_code: "0".to_owned(),
            deactivate_reason: None,
        }
    }
}

/// Where an environment is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'p> {
    pub account: &'p Account,
    pub project: &'p PlatformProject,
    pub environment: &'p PlatformEnvironment,
}

impl Platform {
    /// The environment with this id, for reading or changing it.
    pub fn environment(&mut self, id: i64) -> Option<&mut PlatformEnvironment> {
        let projects = self.accounts.iter_mut().flat_map(|account| &mut account.projects);
        projects.flat_map(|project| &mut project.environments).find(|environment| environment.id == id)
    }

    /// The job with this id.
    pub fn job(&mut self, id: i64) -> Option<&mut Job> {
        self.jobs.iter_mut().find(|job| job.id == id)
    }

    /// The run with this id.
    pub fn run(&mut self, id: i64) -> Option<&mut Run> {
        self.runs.iter_mut().find(|run| run.id == id)
    }

    /// Every environment, and where it is.
    pub(super) fn places(&self) -> impl Iterator<Item = Place<'_>> {
        let projects = self.accounts.iter().flat_map(|account| account.projects.iter().map(move |it| (account, it)));
        projects.flat_map(|(account, project)| {
            project.environments.iter().map(move |environment| Place { account, project, environment })
        })
    }
}
