//! The Admin API: which paths it has, what each answers, and the envelope around all of it.

use serde_json::{Value, json};

use super::list::{Kind, Parameters, Refusal, page};
use super::objects;
use super::state::{Account, Platform};
use crate::demo::engine::Body;

/// What a path is about.
#[derive(Debug, Clone, Copy)]
enum Route {
    Accounts,
    Account(i64),
    Projects(i64),
    Environments(i64, i64),
    Jobs(i64),
    Runs(i64),
    Run(i64, i64),
    Webhooks(i64),
}

/// A request to the Admin API.
pub(in crate::demo) struct Call {
    route: Route,
    parameters: Parameters,
}

const BY_NAME: &[&str] = &["id", "name"];
const ACCOUNTS: Kind = Kind { filters: &["state"], orders: BY_NAME };
const PROJECTS: Kind = Kind { filters: &["state", "name"], orders: BY_NAME };
const ENVIRONMENTS: Kind = Kind { filters: &["state", "name", "type", "deployment_type", "id__gt"], orders: BY_NAME };
const JOBS: Kind = Kind { filters: &["state", "environment_id", "project_id"], orders: BY_NAME };
const RUNS: Kind = Kind {
    filters: &[
        "environment_id",
        "project_id",
        "job_definition_id",
        "status",
        "status__in",
        "id__gt",
        "created_at__range",
        "finished_at__range",
    ],
    orders: &["id", "created_at", "finished_at"],
};
const WEBHOOKS: Kind = Kind { filters: &[], orders: BY_NAME };

impl Call {
    /// The request for this path and query, if the API has such a path.
    pub(in crate::demo) fn parse(path: &str, query: &str) -> Option<Self> {
        let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
        let id = |text: &str| text.parse::<i64>().ok();
        let route = match segments[..] {
            ["api", "v3", "accounts"] => Route::Accounts,
            ["api", "v2", "accounts", account] => Route::Account(id(account)?),
            ["api", "v3", "accounts", account, "projects"] => Route::Projects(id(account)?),
            ["api", "v3", "accounts", account, "projects", project, "environments"] => {
                Route::Environments(id(account)?, id(project)?)
            }
            ["api", "v2", "accounts", account, "jobs"] => Route::Jobs(id(account)?),
            ["api", "v2", "accounts", account, "runs"] => Route::Runs(id(account)?),
            ["api", "v2", "accounts", account, "runs", run] => Route::Run(id(account)?, id(run)?),
            ["api", "v3", "accounts", account, "webhooks", "subscriptions"] => Route::Webhooks(id(account)?),
            _ => return None,
        };
        Some(Self { route, parameters: Parameters::parse(query) })
    }

    /// The request as faults and records know requests: its operation's name, and its parameters.
    pub(in crate::demo) fn body(&self) -> Body {
        let operation = match self.route {
            Route::Accounts => "accounts",
            Route::Account(_) => "account",
            Route::Projects(_) => "projects",
            Route::Environments(..) => "environments",
            Route::Jobs(_) => "jobs",
            Route::Runs(_) => "runs",
            Route::Run(..) => "run",
            Route::Webhooks(_) => "webhooks",
        };
        let variables = Some(self.parameters.variables());
        Body { query: String::new(), operation_name: Some(operation.to_owned()), variables }
    }

    /// Whether it asks for the beginning of a list.
    pub(in crate::demo) fn is_first(&self) -> bool {
        self.parameters.offset().is_ok_and(|offset| offset == 0)
    }

    /// The status and the envelope of the answer. `gone` items were removed before the page since the first was read.
    pub(in crate::demo) fn answer(&self, platform: &Platform, gone: i64) -> (u16, Value) {
        let list = |(items, kind): (Vec<Value>, Kind)| page(items, &self.parameters, &kind, gone);
        match (self.one(platform), self.items(platform).map(list)) {
            (Some(one), _) => (200, json!({"data": one, "status": status(200, "Success!"), "extra": {}})),
            (_, Some(Ok((data, extra)))) => {
                (200, json!({"data": data, "status": status(200, "Success!"), "extra": extra}))
            }
            (_, Some(Err(refusal))) => refused(400, &refusal),
            (None, None) => refused(404, "The requested resource was not found."),
        }
    }

    /// The one thing that is asked for, if it is there.
    fn one(&self, platform: &Platform) -> Option<Value> {
        match self.route {
            Route::Account(account) => Some(objects::account(known(platform, account)?)),
            Route::Run(account, id) => {
                let is_it = |item: &&Value| item["id"] == id;
                self.runs(platform, account).iter().find(is_it).cloned()
            }
            _ => None,
        }
    }

    /// All items of the list that is asked for, if there is one.
    fn items(&self, platform: &Platform) -> Option<(Vec<Value>, Kind)> {
        Some(match self.route {
            Route::Accounts => (platform.accounts.iter().map(objects::account).collect(), ACCOUNTS),
            Route::Projects(account) => {
                let account = known(platform, account)?;
                (account.projects.iter().map(|project| objects::project(account, project)).collect(), PROJECTS)
            }
            Route::Environments(account, project) => {
                known(platform, account)?.projects.iter().find(|it| it.id == project)?;
                let places = platform.places().filter(|it| it.account.id == account && it.project.id == project);
                (places.map(objects::environment).collect(), ENVIRONMENTS)
            }
            Route::Jobs(account) => (self.jobs(platform, known(platform, account)?.id), JOBS),
            Route::Runs(account) => (self.runs(platform, known(platform, account)?.id), RUNS),
            Route::Webhooks(account) => {
                let hooks = platform.subscriptions.iter().filter(|it| it.account_id == account);
                known(platform, account).map(|_| (hooks.map(objects::subscription).collect(), WEBHOOKS))?
            }
            Route::Account(_) | Route::Run(..) => return None,
        })
    }

    fn jobs(&self, platform: &Platform, account: i64) -> Vec<Value> {
        let mut items = Vec::new();
        for place in platform.places().filter(|place| place.account.id == account) {
            for job in platform.jobs.iter().filter(|job| job.environment_id == place.environment.id) {
                let mut item = objects::job(place, job);
                let is_its =
                    |run: &&super::state::Run| run.environment_id == job.environment_id && run.job_id == job.id;
                for (name, needs_end) in [("most_recent_run", false), ("most_recent_completed_run", true)] {
                    let runs = platform.runs.iter().filter(is_its).filter(|run| !needs_end || run.status.is_complete());
                    let newest = runs.max_by_key(|run| run.id).filter(|_| self.parameters.relates(name));
                    item[name] = newest.map_or(Value::Null, |run| objects::run(place, run));
                }
                items.push(item);
            }
        }
        items
    }

    fn runs(&self, platform: &Platform, account: i64) -> Vec<Value> {
        let mut items = Vec::new();
        for place in platform.places().filter(|place| place.account.id == account) {
            for run in platform.runs.iter().filter(|run| run.environment_id == place.environment.id) {
                let mut item = objects::run(place, run);
                if self.parameters.relates("job") {
                    item["job"] = objects::job_of(platform, run);
                }
                if self.parameters.relates("trigger") {
                    item["trigger"] = objects::trigger_of(run);
                }
                items.push(item);
            }
        }
        items
    }
}

/// The account, unless it is deleted.
fn known(platform: &Platform, id: i64) -> Option<&Account> {
    platform.accounts.iter().find(|account| account.id == id && account.state == super::state::ACTIVE)
}

/// An answer that refuses.
pub(in crate::demo) fn refused(code: u16, message: &str) -> (u16, Value) {
    let refusal: Refusal = message.to_owned();
    (code, json!({"data": null, "status": status(code, &refusal), "extra": {}}))
}

fn status(code: u16, message: &str) -> Value {
    json!({"code": code, "is_success": code < 400, "user_message": message, "developer_message": ""})
}

#[cfg(test)]
mod tests {
    use super::super::state::{DELETED, Run, RunStatus, Subscription};
    use super::*;
    use crate::demo::project::Project;
    use crate::time::Timestamp;

    fn now() -> Timestamp {
        Timestamp::parse("2026-11-24T12:00:00Z").expect("a time")
    }

    /// Two environments of the same dbt project.
    fn platform() -> Platform {
        let project = Project::bundled(now());
        Platform::of([(834, &project), (835, &project)])
    }

    fn ask(platform: &Platform, target: &str) -> (u16, Value) {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Call::parse(path, query).expect("a path").answer(platform, 0)
    }

    fn list(platform: &Platform, target: &str) -> Vec<Value> {
        let (status, envelope) = ask(platform, target);
        assert_eq!((status, &envelope["status"]["is_success"]), (200, &json!(true)), "{target}: {envelope}");
        envelope["data"].as_array().cloned().expect("a list")
    }

    fn encoded(from: &str, to: &str) -> String {
        let list = json!([from, to]).to_string();
        url::form_urlencoded::Serializer::new(String::new()).append_pair("finished_at__range", &list).finish()
    }

    #[test]
    fn an_environment_is_found_by_way_of_account_and_project() {
        let platform = platform();
        assert_eq!(list(&platform, "/api/v3/accounts/")[0]["name"], "Shop");
        assert_eq!(ask(&platform, "/api/v2/accounts/1/").1["data"]["id"], 1);
        let projects = list(&platform, "/api/v3/accounts/1/projects/?state=1");
        assert_eq!(projects.iter().map(|it| &it["name"]).collect::<Vec<_>>(), ["mini_shop", "mini_shop"]);
        let target = format!("/api/v3/accounts/1/projects/{}/environments/?state=1", projects[0]["id"]);
        let environments = list(&platform, &target);
        assert_eq!(environments[0]["id"], 834);
        assert_eq!(
            (&environments[0]["deployment_type"], &environments[0]["type"]),
            (&json!("production"), &json!("deployment"))
        );
        assert_eq!(
            (&environments[1]["deployment_type"], &environments[1]["type"]),
            (&Value::Null, &json!("development"))
        );
        assert_eq!(list(&platform, &format!("{target}&deployment_type=production")).len(), 1);
    }

    #[test]
    fn what_is_not_there_is_told_in_the_envelope() {
        for target in
            ["/api/v2/accounts/2/runs/", "/api/v2/accounts/1/runs/5/", "/api/v3/accounts/1/projects/5/environments/"]
        {
            let (status, envelope) = ask(&platform(), target);
            assert_eq!((status, &envelope["data"], &envelope["status"]["code"]), (404, &Value::Null, &json!(404)));
        }
        for parameters in ["finished_at__range=soon", "order_by=name", "limit=x", "nonsense=1"] {
            assert_eq!(ask(&platform(), &format!("/api/v2/accounts/1/runs/?{parameters}")).0, 400, "{parameters}");
        }
        assert!(Call::parse("/api/v2/accounts/x/runs", "").is_none());
    }

    #[test]
    fn what_is_deleted_is_left_out_unless_it_is_asked_for() {
        let mut platform = platform();
        platform.job(5001).expect("a job").state = DELETED;
        let jobs = "/api/v2/accounts/1/jobs/?environment_id=834";
        assert_eq!(list(&platform, jobs).len(), 0);
        assert_eq!(list(&platform, &format!("{jobs}&state=2")).len(), 1);
        assert_eq!(list(&platform, &format!("{jobs}&state=all")).len(), 1);
        assert_eq!(list(&platform, "/api/v2/accounts/1/jobs/?environment_id=835").len(), 1);
    }

    #[test]
    fn a_job_has_its_schedule_and_related_runs() {
        let mut platform = platform();
        let running = Run { id: 70_500_000, job_id: 5001, environment_id: 834, ..Run::default() }.begun(now());
        platform.runs.push(running);
        let job = &list(&platform, "/api/v2/accounts/1/jobs/?environment_id=834")[0];
        assert_eq!((&job["name"], &job["schedule"]["cron"]), (&json!("Nightly"), &json!("0 5 * * 0-6")));
        assert_eq!((&job["next_run"], &job["most_recent_run"]), (&json!("2026-11-25T05:00:00.000Z"), &Value::Null));
        let related = "include_related=['most_recent_run','most_recent_completed_run']&environment_id=834";
        let job = &list(&platform, &format!("/api/v2/accounts/1/jobs/?{related}"))[0];
        assert_eq!((&job["most_recent_run"]["id"], &job["most_recent_run"]["status"]), (&json!(70_500_000), &json!(3)));
        assert_eq!(job["most_recent_completed_run"]["id"], 70_403_001);
    }

    #[test]
    fn a_run_is_told_with_what_is_related_to_it() {
        let platform = platform();
        let run = &ask(&platform, "/api/v2/accounts/1/runs/70403001/").1["data"];
        assert_eq!((&run["status"], &run["is_error"], &run["is_complete"]), (&json!(20), &json!(true), &json!(true)));
        assert_eq!((&run["duration"], &run["job"]), (&json!("00:01:05"), &Value::Null));
        let at = Timestamp::parse(run["finished_at"].as_str().expect("a time"));
        assert!(at <= Some(now()) && run["finished_at"].as_str().is_some_and(|it| it.ends_with("000+00:00")), "{run}");
        let related =
            "/api/v2/accounts/1/runs/?environment_id=835&order_by=-id&limit=1&include_related=['job','trigger']";
        let run = &list(&platform, related)[0];
        assert_eq!((&run["job"]["name"], &run["trigger"]["cause"]), (&json!("Nightly"), &json!("Scheduled")));
        assert_eq!(run["environment_id"], 835);
    }

    #[test]
    fn a_range_takes_in_both_its_ends_and_no_run_that_has_not_ended() {
        let mut platform = platform();
        platform.runs.push(Run { id: 1, job_id: 5001, environment_id: 834, ..Run::default() }.begun(now()));
        let all = list(&platform, "/api/v2/accounts/1/runs/?environment_id=834&order_by=finished_at");
        assert_eq!(all.len(), 32);
        assert!(all[31]["finished_at"].is_null());
        let (from, to) =
            (all[3]["finished_at"].as_str().expect("a time"), all[9]["finished_at"].as_str().expect("a time"));
        let target = |range: &str| format!("/api/v2/accounts/1/runs/?environment_id=834&order_by=finished_at&{range}");
        assert_eq!(list(&platform, &target(&encoded(from, to))), all[3..=9]);
        let open = encoded("2000-01-01T00:00:00Z", "2100-01-01T00:00:00Z");
        assert_eq!(list(&platform, &target(&open)).len(), 31);
    }

    #[test]
    fn a_page_holds_at_most_a_hundred() {
        let mut platform = platform();
        let run = |id| Run { id, job_id: 5001, environment_id: 834, ..Run::default() }.ended(now(), RunStatus::Success);
        platform.runs.extend((1..=200).map(run));
        let (_, envelope) = ask(&platform, "/api/v2/accounts/1/runs/?limit=500&offset=50");
        assert_eq!(envelope["data"].as_array().map(Vec::len), Some(100));
        assert_eq!(envelope["extra"]["pagination"], json!({"count": 100, "total_count": 262}));
        assert_eq!((&envelope["data"][0]["id"], &envelope["extra"]["order_by"]), (&json!(51), &json!("id")));
        assert_eq!(list(&platform, "/api/v2/accounts/1/runs/?status__in=[3,30]").len(), 2);
    }

    #[test]
    fn webhooks_are_those_of_the_account() {
        let mut platform = platform();
        assert!(list(&platform, "/api/v3/accounts/1/webhooks/subscriptions").is_empty());
        platform.subscriptions.push(Subscription::new("wsu_1", "https://lineaged.example/hooks/dbt"));
        let hook = &list(&platform, "/api/v3/accounts/1/webhooks/subscriptions")[0];
        assert_eq!(
            (&hook["id"], &hook["active"], &hook["deactivate_reason"]),
            (&json!("wsu_1"), &json!(true), &Value::Null)
        );
    }
}
