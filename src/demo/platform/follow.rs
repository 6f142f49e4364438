//! What of the platform follows from the served projects: jobs and runs that their nodes name. It is taken over before each answer, so
//! that the interfaces cannot disagree; what the owner changed or removed since stays so.

use std::collections::BTreeMap;

use super::state::{ACTIVE, Account, Job, Platform, PlatformEnvironment, PlatformProject, Run, RunStatus};
use crate::demo::object::JOB;
use crate::demo::project::Project;
use crate::inventory::LastRun;
use crate::time::Timestamp;

pub(super) const ACCOUNT: i64 = 1;
const FIRST_PROJECT: i64 = 7_001;
const FIRST_DEVELOPMENT: i64 = 9_001;
/// The job that checks sources; nodes name it only if somebody makes them.
const FRESHNESS_JOB: i64 = 5_002;
const DAY: i64 = 86_400_000;
const FIVE_O_CLOCK: i64 = 5 * 3_600_000;
/// How many days of earlier runs there are.
const DAYS: i64 = 30;

/// What was taken over last, by environment and id.
#[derive(Debug, Clone, Default)]
pub(super) struct Told {
    jobs: BTreeMap<(i64, i64), Job>,
    runs: BTreeMap<(i64, i64), Run>,
}

impl Platform {
    /// The platform that would hold these environments: one account, and a project for each.
    pub(in crate::demo) fn of<'p>(served: impl IntoIterator<Item = (i64, &'p Project)>) -> Self {
        let mut platform = Self::default();
        let mut projects = Vec::new();
        for (number, (environment, project)) in (0..).zip(served) {
            projects.push(project_of(number, environment, project));
            platform.follow(environment, project);
            platform.runs.extend(earlier_runs(number, environment, project));
        }
        platform.accounts = vec![Account { id: ACCOUNT, name: "Shop".to_owned(), state: ACTIVE, projects }];
        platform
    }

    /// Takes over what the nodes of an environment say.
    pub(in crate::demo) fn follow(&mut self, environment: i64, project: &Project) {
        let jobs = jobs_of(environment, project);
        let runs = runs_of(environment, project).into_iter().map(|run| match self.told.runs.get(&key_of(&run)) {
            Some(before) => latest(before, run),
            None => run,
        });
        let runs = runs.collect();
        take_over(&mut self.runs, &mut self.told.runs, runs, key_of);
        take_over(&mut self.jobs, &mut self.told.jobs, jobs, |job| (job.environment_id, job.id));
    }
}

fn key_of(run: &Run) -> (i64, i64) {
    (run.environment_id, run.id)
}

fn take_over<T: Clone + PartialEq>(
    held: &mut Vec<T>,
    told: &mut BTreeMap<(i64, i64), T>,
    now: Vec<T>,
    key: impl Fn(&T) -> (i64, i64),
) {
    let places: BTreeMap<_, _> = held.iter().enumerate().map(|(place, it)| (key(it), place)).collect();
    for new in now {
        let before = told.insert(key(&new), new.clone());
        match (before, places.get(&key(&new))) {
            (None, None) => held.push(new),
            (Some(before), Some(&place)) if held[place] == before => held[place] = new,
            _ => {}
        }
    }
}

/// A run that has ended stays as it was, though its nodes were run again and no longer name it.
fn latest(before: &Run, now: Run) -> Run {
    let status = before.status.max(now.status);
    match before.finished_at.max(now.finished_at) {
        Some(at) => Run { status_message: before.status_message.clone().or(now.status_message), ..before.clone() }
            .ended(at, status),
        None => now,
    }
}

fn project_of(number: i64, environment: i64, project: &Project) -> PlatformProject {
    let production = PlatformEnvironment {
        deployment_type: Some("production".to_owned()),
        ..PlatformEnvironment::new(environment, "Production", "deployment")
    };
    let development = PlatformEnvironment::new(FIRST_DEVELOPMENT + number, "Development", "development");
    let id = FIRST_PROJECT + number;
    let name = project.name().map_or_else(|| format!("Project {id}"), str::to_owned);
    PlatformProject { id, name, state: ACTIVE, environments: vec![production, development] }
}

fn jobs_of(environment: i64, project: &Project) -> Vec<Job> {
    let mut ids: Vec<i64> = project.nodes().filter_map(|(_, node)| node.last_run.job_id).collect();
    ids.sort_unstable();
    ids.dedup();
    ids.into_iter().map(|id| job(id, environment, project.clock)).collect()
}

fn job(id: i64, environment: i64, clock: Timestamp) -> Job {
    let scheduled = |name: &str, cron: &str, next_run| Job {
        job_type: "scheduled".to_owned(),
        is_scheduled: true,
        cron: Some(cron.to_owned()),
        next_run: Some(next_run),
        generate_sources: true,
        ..Job::new(id, name, environment)
    };
    match id {
        JOB => Job { generate_docs: true, ..scheduled("Nightly", "0 5 * * 0-6", next_nightly(clock)) },
        FRESHNESS_JOB => {
            let hour = 3_600_000;
            scheduled("Hourly freshness", "0 * * * *", clock.plus_millis(hour - clock.millis().rem_euclid(hour)))
        }
        _ => Job::new(id, &format!("Job {id}"), environment),
    }
}

/// The next five o'clock.
fn next_nightly(clock: Timestamp) -> Timestamp {
    let today = clock.plus_millis(FIVE_O_CLOCK - clock.millis().rem_euclid(DAY));
    if today > clock { today } else { today.plus_millis(DAY) }
}

/// The runs that the nodes name, each ended when its last node did.
fn runs_of(environment: i64, project: &Project) -> Vec<Run> {
    let mut runs: BTreeMap<i64, Run> = BTreeMap::new();
    for (_, node) in project.nodes() {
        for (id, at, status) in named(&node.last_run) {
            let run =
                Run { id, environment_id: environment, job_id: node.last_run.job_id.unwrap_or(JOB), ..Run::default() };
            let run = run.ended(at, status);
            let run = runs.remove(&id).map_or(run.clone(), |before| latest(&before, run));
            runs.insert(id, run);
        }
    }
    runs.into_values().map(|run| with_origin(run, project)).collect()
}

/// The run of a node's last attempt and that of its last success, when they were done with it, and how.
fn named(last: &LastRun) -> impl Iterator<Item = (i64, Timestamp, RunStatus)> {
    let has_failed = matches!(last.attempt.as_deref(), Some("error" | "fail" | "runtime error"));
    let attempt = if has_failed { RunStatus::Error } else { RunStatus::Success };
    let runs = [(&last.run_id, last.at, attempt), (&last.success_run_id, last.executed_at, RunStatus::Success)];
    runs.into_iter().filter_map(|(id, at, status)| Some((id.as_deref()?.parse().ok()?, at?, status)))
}

/// What the platform says of why a run was and what it ran. The newest one ran the commit that the environment is at.
fn with_origin(run: Run, project: &Project) -> Run {
    // The same whatever day it is.
    let by_hand = run.id / 100 % 6 == 0;
    let cause = if by_hand { "Triggered by Ana" } else { "Scheduled" };
    let status_message = (run.status == RunStatus::Error).then(|| "dbt ended with errors".to_owned());
    Run {
        git_sha: Some(project.git_sha_of(run.id)),
        git_branch: Some("main".to_owned()),
        cause: Some(cause.to_owned()),
        status_message,
        ..run
    }
}

/// A run of each day before, that no node names any more.
fn earlier_runs(number: i64, environment: i64, project: &Project) -> Vec<Run> {
    let Some(oldest) = runs_of(environment, project).first().map(|run| run.id) else { return Vec::new() };
    let midnight = project.clock.plus_millis(-project.clock.millis().rem_euclid(DAY));
    let earlier = (1..=DAYS).map(|day| {
        let status = match day {
            11 => RunStatus::Cancelled,
            day if day % 7 == 3 => RunStatus::Error,
            _ => RunStatus::Success,
        };
        let id = oldest - 100 * day - number;
        let ended = midnight.plus_millis(FIVE_O_CLOCK + 65_000 - day * DAY);
        let run = Run { id, environment_id: environment, job_id: JOB, ..Run::default() };
        with_origin(run.ended(ended, status), project)
    });
    earlier.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORDERS: &str = "model.mini_shop.orders";

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).expect("a time")
    }

    fn bundled() -> (Project, Platform) {
        let project = Project::bundled(at("2026-11-24T12:00:00Z"));
        let platform = Platform::of([(1, &project)]);
        (project, platform)
    }

    #[test]
    fn a_run_ends_when_its_last_node_does() {
        let (project, platform) = bundled();
        let newest = platform.runs.iter().max_by_key(|run| run.id).expect("a run");
        let nodes = project.nodes().filter_map(|(_, node)| node.last_run.at);
        assert_eq!((newest.finished_at, newest.status), (nodes.max(), RunStatus::Error));
        let mut earlier: Vec<_> = platform.runs.iter().filter(|run| run.id != newest.id).collect();
        earlier.sort_by_key(|run| run.id);
        assert_eq!(earlier.len(), 30);
        assert!(earlier.windows(2).all(|pair| pair[0].finished_at < pair[1].finished_at));
        assert!(earlier.iter().any(|run| run.status == RunStatus::Cancelled));
    }

    #[test]
    fn a_run_stays_as_it_was_when_its_nodes_are_run_again() {
        let (mut project, mut platform) = bundled();
        let before = platform.runs.clone();
        project.touch();
        platform.follow(1, &project);
        assert_eq!(platform.runs.len(), before.len() + 1);
        assert!(before.iter().all(|run| platform.runs.contains(run)));
        project.rename("shop");
        platform.follow(1, &project);
        assert!(before.iter().all(|run| platform.runs.contains(run)));
    }

    #[test]
    fn what_the_owner_changed_or_removed_stays_so() {
        let (mut project, mut platform) = bundled();
        platform.job(JOB).expect("a job").name = "Mine".to_owned();
        platform.runs.clear();
        project.build(ORDERS);
        platform.follow(1, &project);
        assert_eq!(platform.jobs.iter().map(|job| job.name.as_str()).collect::<Vec<_>>(), ["Mine"]);
        assert_eq!(platform.runs.iter().map(|run| run.status).collect::<Vec<_>>(), [RunStatus::Success]);
    }

    #[test]
    fn the_nightly_job_runs_next_at_five() {
        for (clock, next) in
            [("2026-11-24T04:00:00Z", "2026-11-24T05:00:00Z"), ("2026-11-24T05:00:00Z", "2026-11-25T05:00:00Z")]
        {
            assert_eq!(next_nightly(at(clock)), at(next));
        }
    }
}
