//! What the platform's things look like in the Admin API, version 2 and 3.

use serde_json::{Value, json};

use super::state::{Account, Job, Place, Platform, Run, RunStatus, Subscription};
use crate::time::Timestamp;

pub(super) fn account(account: &Account) -> Value {
    json!({"id": account.id, "name": account.name, "state": account.state, "plan": "enterprise", "locked": false,
        "static_subdomain": null, "vanity_subdomain": null})
}

pub(super) fn project(account: &Account, project: &super::state::PlatformProject) -> Value {
    json!({"id": project.id, "account_id": account.id, "name": project.name, "state": project.state, "description": null,
        "semantic_layer_config_id": null, "dbt_project_subdirectory": null})
}

pub(super) fn environment(place: Place<'_>) -> Value {
    let environment = place.environment;
    json!({"id": environment.id, "account_id": place.account.id, "project_id": place.project.id, "name": environment.name,
        "type": environment.kind, "deployment_type": environment.deployment_type, "dbt_version": environment.dbt_version,
        "state": environment.state, "use_custom_branch": false, "custom_branch": null})
}

/// The API writes both names of whether a job checks sources.
pub(super) fn job(place: Place<'_>, job: &Job) -> Value {
    json!({"id": job.id, "account_id": place.account.id, "project_id": place.project.id,
        "environment_id": job.environment_id, "name": job.name, "job_type": job.job_type, "state": job.state,
        "triggers": {"schedule": job.is_scheduled, "github_webhook": false, "git_provider_webhook": false, "on_merge": false},
        "schedule": {"cron": job.cron}, "next_run": job.next_run.map(|at| at.to_string()),
        "generate_docs": job.generate_docs, "run_generate_sources": job.generate_sources,
        "generate_sources": job.generate_sources, "most_recent_run": null, "most_recent_completed_run": null})
}

pub(super) fn run(place: Place<'_>, run: &Run) -> Value {
    let humanized = format!("{:?}", run.status);
    json!({"id": run.id, "account_id": place.account.id, "project_id": place.project.id,
        "environment_id": run.environment_id, "job_definition_id": run.job_id, "job_id": run.job_id,
        "status": run.status as i64, "status_humanized": humanized, "status_message": run.status_message,
        "git_sha": run.git_sha, "git_branch": run.git_branch, "created_at": time(run.created_at),
        "started_at": time(run.started_at), "finished_at": time(run.finished_at), "duration": duration(run),
        "in_progress": !run.status.is_complete(), "is_complete": run.status.is_complete(),
        "is_success": run.status == RunStatus::Success, "is_error": run.status == RunStatus::Error,
        "is_cancelled": run.status == RunStatus::Cancelled, "job": null, "trigger": null})
}

pub(super) fn job_of(platform: &Platform, run: &Run) -> Value {
    let job = platform.jobs.iter().find(|job| job.id == run.job_id && job.environment_id == run.environment_id);
    job.map_or(Value::Null, |job| json!({"id": job.id, "name": job.name}))
}

pub(super) fn trigger_of(run: &Run) -> Value {
    json!({"cause": run.cause, "git_sha": run.git_sha, "git_branch": run.git_branch, "job_definition_id": run.job_id})
}

pub(super) fn subscription(hook: &Subscription) -> Value {
    json!({"id": hook.id, "account_id": hook.account_id, "name": hook.name, "description": null,
        "client_url": hook.client_url, "event_types": hook.event_types, "job_ids": hook.job_ids, "active": hook.is_active,
        "http_status_code": hook.http_status_code, "deactivate_reason": hook.deactivate_reason})
}

/// A moment as version 2 writes it: `2026-11-24 05:00:00.123000+00:00`.
fn time(at: Option<Timestamp>) -> Value {
    at.map_or(Value::Null, |at| at.to_string().replace('T', " ").replace('Z', "000+00:00").into())
}

/// How long the run took: `00:01:05`.
fn duration(run: &Run) -> String {
    let seconds = run.started_at.zip(run.finished_at).map_or(0, |(from, to)| to.since(from) / 1000);
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}
