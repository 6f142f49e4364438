//! The runs of an environment that have ended.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::client::Client;
use super::error::Error;
use super::list::List;
use super::value::{number, run_status, shared, time};
use crate::inventory::Run;
use crate::time::Timestamp;

impl Client {
    /// The runs that ended from `from` to `to`, in the environment with this id of the platform's; and what was odd about them.
    ///
    /// # Errors
    /// If the list can't be read completely.
    pub async fn runs(
        &self,
        account_id: i64,
        environment_id: i64,
        (from, to): (Timestamp, Timestamp),
    ) -> Result<(Vec<Run>, Vec<String>), Error> {
        let path = format!("api/v2/accounts/{account_id}/runs/");
        let query = vec![
            ("environment_id", environment_id.to_string()),
            ("finished_at__range", json!([from.to_string(), to.to_string()]).to_string()),
            ("order_by", "finished_at".to_owned()),
            ("include_related", "['job','trigger']".to_owned()),
        ];
        let items = self.list(List { what: "runs", path: &path, query }).await?;
        let is_its = |run: &&Value| number(&run["environment_id"]).is_none_or(|id| id == environment_id);
        let items: Vec<&Value> = items.iter().filter(is_its).filter(|run| !run["finished_at"].is_null()).collect();
        let all = items.len();
        let items: Vec<&Value> = items.into_iter().filter(|run| time(&run["finished_at"]).is_some()).collect();
        let untimed = (all > items.len())
            .then(|| format!("{} runs have an end that is no time: they are left out", all - items.len()));
        let unknown: BTreeSet<String> = items
            .iter()
            .filter(|run| run_status(&run["status"]).is_none())
            .map(|run| run["status"].to_string())
            .collect();
        let odd = unknown.into_iter().map(|status| format!("the status {status} of a run is unknown: it is left open"));
        Ok((items.into_iter().filter_map(run).collect(), odd.chain(untimed).collect()))
    }
}

fn run(item: &Value) -> Option<Run> {
    let (started_at, finished_at) = (time(&item["started_at"]), time(&item["finished_at"]));
    let millis =
        started_at.zip(finished_at).map(|(started, finished)| finished.since(started)).filter(|millis| *millis >= 0);
    let status = run_status(&item["status"]);
    Some(Run {
        run_id: number(&item["id"])?.to_string().into(),
        job_id: number(&item["job_definition_id"]).or_else(|| number(&item["job_id"])),
        job_name: shared(&item["job"]["name"]),
        status: status.map(Into::into),
        started_at,
        finished_at,
        duration_seconds: millis.map(|millis| millis as f64 / 1000.0),
        git_sha: shared(&item["git_sha"]).or_else(|| shared(&item["trigger"]["git_sha"])),
        cause: shared(&item["trigger"]["cause"]),
        error: shared(&item["status_message"]).filter(|_| status != Some("success")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_lasts_from_its_start_to_its_end_and_what_is_not_told_is_unknown() {
        let item = json!({
            "id": 70403004, "job_definition_id": "5001", "status": 20, "status_message": "Command failed", "git_sha": "abc",
            "created_at": "2026-11-24 04:59:00+00:00", "started_at": "2026-11-24 05:00:00.250000+00:00",
            "finished_at": "2026-11-24 05:01:05.500000+00:00", "job": {"name": "Nightly"}, "trigger": {"cause": "Scheduled"},
        });
        let told = run(&item).expect("a run");
        assert_eq!((&*told.run_id, told.job_id, told.duration_seconds), ("70403004", Some(5001), Some(65.25)));
        assert_eq!((told.status.as_deref(), told.error.as_deref()), (Some("error"), Some("Command failed")));
        assert_eq!((told.job_name.as_deref(), told.cause.as_deref()), (Some("Nightly"), Some("Scheduled")));
        let bare = run(&json!({"id": 1, "status": 77, "job": null, "trigger": null})).expect("a run");
        assert_eq!(bare, Run { run_id: "1".into(), ..Run::default() });
    }
}
