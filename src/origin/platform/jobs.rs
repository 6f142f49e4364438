//! The jobs of an environment.

use serde_json::Value;

use super::accounts::is_active;
use super::client::Client;
use super::error::Error;
use super::list::List;
use super::value::{number, run_status, shared, time};
use crate::inventory::platform::Job;

impl Client {
    /// All jobs of the environment with this id of the platform's; deleted ones are left out.
    ///
    /// # Errors
    /// If the list can't be read completely.
    pub async fn jobs(&self, account_id: i64, environment_id: i64) -> Result<Vec<Job>, Error> {
        let path = format!("api/v2/accounts/{account_id}/jobs/");
        let query = vec![
            ("environment_id", environment_id.to_string()),
            ("include_related", "['most_recent_run','most_recent_completed_run']".to_owned()),
        ];
        let jobs = self.list(List { what: "jobs", path: &path, query }).await?;
        let is_its =
            |job: &&Value| is_active(job) && number(&job["environment_id"]).is_none_or(|id| id == environment_id);
        Ok(jobs.iter().filter(is_its).filter_map(job).collect())
    }
}

fn job(item: &Value) -> Option<Job> {
    let last = [&item["most_recent_completed_run"], &item["most_recent_run"]];
    let last = last.into_iter().filter(|run| time(&run["finished_at"]).is_some());
    let last = last.max_by_key(|run| time(&run["finished_at"])).unwrap_or(&Value::Null);
    let flag = |name: &str| item[name].as_bool();
    Some(Job {
        job_id: number(&item["id"])?,
        name: shared(&item["name"]),
        job_type: shared(&item["job_type"]),
        cron: shared(&item["schedule"]["cron"]),
        is_scheduled: item["triggers"]["schedule"].as_bool(),
        next_run_at: time(&item["next_run"]),
        generates_docs: flag("generate_docs"),
        checks_freshness: flag("run_generate_sources").or_else(|| flag("generate_sources")),
        last_run_id: number(&last["id"]).map(|id| id.to_string().into()),
        last_run_status: run_status(&last["status"]).map(Into::into),
        last_run_at: time(&last["finished_at"]),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_last_run_of_a_job_is_the_last_that_has_ended() {
        let (running, ended) = (
            json!({"id": 8, "status": 3, "finished_at": null}),
            json!({"id": 7, "status": 20, "finished_at": "2026-11-24 05:10:00.5+00:00"}),
        );
        let item = |completed: &Value| json!({"id": 5001, "name": "Nightly", "most_recent_run": running, "most_recent_completed_run": completed});
        let known = job(&item(&ended)).expect("a job");
        assert_eq!(known.last_run_id.as_deref(), Some("7"));
        assert_eq!(known.last_run_status.as_deref(), Some("error"));
        assert_eq!(known.last_run_at.map(|at| at.to_string()).as_deref(), Some("2026-11-24T05:10:00.500Z"));
        let unknown = job(&item(&Value::Null)).expect("a job");
        assert_eq!((unknown.last_run_id, unknown.last_run_at, unknown.is_scheduled), (None, None, None));
    }
}
