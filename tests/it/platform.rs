//! The platform's other interfaces: jobs, runs and dimensions beside a sync, each failing by itself.

use std::process::Command;

use lineaged::demo::{Action, Fault, Project, Run, RunStatus};
use lineaged::time::Timestamp;

use super::support::{ENVIRONMENT, Ran, World, run};

/// The binary, with the second token and the Semantic Layer.
fn command(world: &World, arguments: &[&str]) -> Command {
    let mut command = world.command(arguments);
    command.env("LINEAGED_PLATFORM__TOKEN", world.server.platform_token());
    command.env("LINEAGED_PLATFORM__SEMANTIC_LAYER", "true");
    command
}

/// With time enough for whatever is tried again.
fn world() -> World {
    World::with(vec![(ENVIRONMENT, Project::bundled(Timestamp::now()))], "give_up_after = \"30s\"\ntimeout = \"20s\"\n")
}

#[track_caller]
fn sync(world: &World) -> Ran {
    let ran = run(&mut command(world, &["sync"]));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    ran
}

/// The targets of the requests since the last look, without their queries.
fn asked(world: &World) -> Vec<String> {
    let requests = world.server.requests();
    world.server.clear_requests();
    let path = |target: &str| target.split('?').next().unwrap_or_default().to_owned();
    requests.iter().map(|request| path(&request.target)).filter(|path| path != "/graphql").collect()
}

fn warnings(world: &World) -> String {
    world.cells("SELECT warnings FROM syncs ORDER BY sync_id DESC LIMIT 1").swap_remove(0)
}

const RUNS: &str = "/api/v2/accounts/1/runs/";
const JOBS: &str = "/api/v2/accounts/1/jobs/";
const METRICS: &str = "/api/graphql";

#[test]
fn jobs_runs_and_dimensions_arrive_with_a_sync_and_an_idle_one_asks_once() {
    let world = world();
    sync(&world);
    let mut all = asked(&world);
    all.sort();
    assert_eq!(all, [METRICS, JOBS, RUNS, "/api/v3/accounts/"]);
    assert!(world.rows("SELECT * FROM runs WHERE status IS NOT NULL AND node_count IS NULL").len() >= 20);
    let joined = "SELECT job_name, status, cause FROM runs WHERE node_count > 0 AND finished_at IS NOT NULL LIMIT 1";
    assert_eq!(world.rows(joined).len(), 1, "{:?}", world.rows("SELECT * FROM runs"));
    assert!(world.rows("SELECT name FROM jobs WHERE next_run_at IS NOT NULL AND is_scheduled = 1 AND last_run_status IS NOT NULL").len() == 1);
    let dimensions =
        world.rows("SELECT name, type, granularities, entity_path FROM metric_dimensions ORDER BY metric_id, name");
    assert!(
        dimensions.iter().any(|row| row[0] == "metric_time" && row[1] == "time" && row[3].is_empty()),
        "{dimensions:?}"
    );
    assert!(
        dimensions.iter().any(|row| row[1] == "entity" && row[2].is_empty() && row[3].is_empty()),
        "{dimensions:?}"
    );
    assert!(
        world.cells("SELECT 1 FROM changes WHERE field = 'dimensions'").is_empty(),
        "what is told first has not changed"
    );
    assert_eq!(warnings(&world), "[]");
    let before = std::fs::read(world.catalog()).expect("read");
    sync(&world);
    assert_eq!(asked(&world), [RUNS]);
    assert_eq!(world.cells("SELECT outcome FROM syncs ORDER BY sync_id"), ["applied", "unchanged"]);
    drop(before);
}

#[test]
fn a_run_that_ends_or_is_told_late_is_not_lost() {
    let world = world();
    sync(&world);
    let last = world.cells("SELECT max(finished_at) FROM runs").swap_remove(0);
    let last = Timestamp::parse(&last).expect("a time");
    // It ended before the last one that is known, and was told after it.
    let late = |id: i64, minutes: i64| {
        let run = Run { id, job_id: 5001, environment_id: ENVIRONMENT, ..Run::default() };
        run.ended(last.plus_millis(-minutes * 60_000), RunStatus::Cancelled)
    };
    world.server.change_platform(|platform| platform.runs.push(late(99, 9)));
    sync(&world);
    let told = || world.rows("SELECT run_id, status, job_name FROM runs WHERE run_id = '99'");
    assert_eq!(told(), [["99", "cancelled", "Nightly"]]);
    // It was run again from where it had ended.
    world.server.change_platform(|platform| {
        let run = platform.run(99).expect("a run");
        *run = run.clone().ended(last, RunStatus::Success);
    });
    sync(&world);
    assert_eq!(told(), [["99", "success", "Nightly"]]);
}

#[test]
fn each_interface_fails_alone_and_what_was_known_of_it_stays() {
    for (operation, action, says) in [
        ("runs", Action::Status(401, Vec::new(), String::new()), "the platform's runs: dbt refused the token (401)"),
        ("runs", Action::Status(503, Vec::new(), String::new()), "the platform's runs"),
        ("runs", Action::HtmlPage, "did not answer as this interface"),
        ("runs", Action::EnvelopeError(400, "no such filter".into()), "no such filter"),
        ("runs", Action::TotalOff(5), "the list of runs is not complete"),
        ("runs", Action::LosePage, "the list of runs is not complete"),
        ("runs", Action::Status(200, Vec::new(), r#"{"message":"Unauthorized"}"#.into()), "an answer holds no list"),
        (
            "runs",
            Action::Status(200, Vec::new(), r#"{"status":{"code":401,"user_message":"no"}}"#.into()),
            "(401, `no`)",
        ),
        ("jobs", Action::Status(200, Vec::new(), "{}".into()), "the platform's jobs: the list of jobs is not complete"),
        ("Metrics", Action::NullAt("/dimensions".into()), "came without its dimensions"),
        ("Metrics", Action::UnknownField("Metric.name".into()), "Cannot query field"),
        ("Metrics", Action::Status(403, Vec::new(), String::new()), "the Semantic Layer: dbt refused the token (403)"),
        ("Metrics", Action::DropLastNode, "the list of metrics is not complete"),
    ] {
        let world = world();
        sync(&world);
        let held = |what: &str| world.rows(&format!("SELECT * FROM {what} ORDER BY 1, 2, 3, 4"));
        let views: &[&str] = match operation {
            "runs" | "jobs" => &["runs WHERE node_count IS NULL", "jobs"],
            _ => &["metric_dimensions"],
        };
        let before: Vec<_> = views.iter().map(|view| held(view)).collect();
        world.change(|project| project.describe("model.mini_shop.orders", "one row per order, at last"));
        world.server.add_fault(Fault::new(action).on(operation).always());
        world.ok(&["status"]);
        let ran = run(&mut command(&world, &["sync", "--full"]));
        assert_eq!(ran.code, Some(0), "{operation} {says}: {ran:?}");
        assert!(ran.stderr.contains(says) && warnings(&world).contains(says), "{says}: {}", warnings(&world));
        assert_eq!(views.iter().map(|view| held(view)).collect::<Vec<_>>(), before, "{says}");
        assert!(world.cells("SELECT 1 FROM changes WHERE after LIKE '%at last%'").len() == 1, "Discovery went on");
        world.server.clear_faults();
        let ran = run(&mut command(&world, &["sync"]));
        assert_eq!((ran.code, warnings(&world).as_str()), (Some(0), "[]"), "the next sync repairs it: {ran:?}");
    }
}

#[test]
fn pages_that_shift_or_are_short_are_read_to_their_end() {
    for action in [Action::PageCount(Some(0)), Action::ShortPage(7), Action::ItemCameBefore, Action::ItemWentBefore] {
        let world = world();
        let end = Timestamp::now().plus_millis(-86_400_000);
        world.server.change_platform(|platform| {
            let more = |id: i64| {
                let run = Run { id, job_id: 5001, environment_id: ENVIRONMENT, ..Run::default() };
                run.ended(end.plus_millis(-id * 1000), RunStatus::Success)
            };
            platform.runs.extend((1..=250).map(more));
        });
        world.server.add_fault(Fault::new(action).on("runs"));
        let ran = sync(&world);
        assert_eq!(warnings(&world), "[]", "{ran:?}");
        assert_eq!(world.cells("SELECT count(*) FROM runs WHERE CAST(run_id AS INTEGER) BETWEEN 1 AND 250"), ["250"]);
    }
}

#[test]
fn a_metrics_new_dimension_is_a_row_of_the_feed() {
    let world = world();
    sync(&world);
    let metric =
        world.cells("SELECT metric_id FROM metric_dimensions WHERE type = 'categorical' LIMIT 1").swap_remove(0);
    let rename = |node: &mut serde_json::Value| {
        for dimension in node["dimensions"].as_array_mut().into_iter().flatten() {
            if dimension["type"] == "CATEGORICAL" {
                dimension["qualifiedName"] = "order__brand_new".into();
            }
        }
    };
    world.server.add_fault(Fault::new(Action::RewriteNode(Box::new(rename))).on("Metrics").always());
    sync(&world);
    assert!(world.cells("SELECT 1 FROM changes WHERE field = 'dimensions'").is_empty(), "the definition has not moved");
    world.change(|project| project.move_last_updated_at(lineaged::demo::Side::Definition));
    sync(&world);
    let rows = world.rows("SELECT unique_id, kind, resource_type, before LIKE '%brand_new%', after LIKE '%brand_new%' FROM changes WHERE field = 'dimensions'");
    assert!(rows.contains(&[metric.as_str(), "changed", "metric", "0", "1"].map(str::to_owned).to_vec()), "{rows:?}");
    let found = world.ok(&["search", "brand_new", "--format", "json"]);
    assert!(found.contains(&metric) && found.contains("\"dimension\""), "{found}");
    let last = world.cells("SELECT max(seq) FROM changes");
    assert_eq!(world.cells("SELECT last_seq FROM catalog_info"), last);
}

#[test]
fn nothing_is_asked_where_nothing_is_said_of_these_interfaces() {
    let world = world();
    world.ok(&["sync"]);
    assert_eq!(asked(&world), [""; 0]);
    assert!(world.rows("SELECT * FROM jobs").is_empty() && world.rows("SELECT * FROM metric_dimensions").is_empty());
}

#[test]
fn a_token_that_one_of_them_repeats_is_neither_printed_nor_stored() {
    let world = world();
    sync(&world);
    let token = world.server.platform_token().to_owned();
    let said =
        format!(r#"{{"status":{{"user_message":"no access for Token {token}"}},"errors":[{{"message":"{token}"}}]}}"#);
    for status in [200, 400, 401, 403, 404, 500] {
        world.server.add_fault(Fault::new(Action::Status(status, Vec::new(), said.clone())).on("runs").always());
        world.server.add_fault(Fault::new(Action::Status(status, Vec::new(), said.clone())).on("Metrics").always());
        let ran = run(command(&world, &["sync", "--full"]).env("LINEAGED_LOG", "trace"));
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(!format!("{ran:?}").contains(&token), "{status}: {ran:?}");
        let stored = world.cells("SELECT group_concat(error) FROM interface").concat() + &warnings(&world);
        assert!(!stored.contains(&token), "{status}: {stored}");
        world.server.clear_faults();
    }
    for (path, bytes) in std::fs::read_dir(world.folder.path()).expect("a folder").map(|entry| {
        let path = entry.expect("an entry").path();
        (path.clone(), std::fs::read(path).expect("read"))
    }) {
        assert!(!bytes.windows(token.len()).any(|window| window == token.as_bytes()), "{path:?}");
    }
}

#[test]
fn no_request_carries_a_token_to_where_a_redirect_points() {
    let (world, elsewhere) = (world(), world());
    let to = vec![("Location".to_owned(), format!("{}api/v2/accounts/1/runs/", elsewhere.server.platform_url()))];
    world.server.add_fault(Fault::new(Action::Status(302, to.clone(), String::new())).on("runs").always());
    world.server.add_fault(Fault::new(Action::Status(302, to, String::new())).on("Metrics").always());
    let ran = sync(&world);
    assert!(ran.stderr.contains("redirects elsewhere"), "{ran:?}");
    assert!(elsewhere.server.requests().is_empty());
}

#[test]
fn an_interface_that_hangs_delays_no_commit_and_one_that_asks_for_rest_is_left_alone() {
    // It gives up after a second.
    let world = World::bundled();
    let long = std::time::Duration::from_secs(3600);
    world.server.add_fault(Fault::new(Action::Delay(long)).on("runs").always());
    let ran = sync(&world);
    assert!(ran.stderr.contains("was not done after 1 s"), "{ran:?}");
    let outcome = world.rows("SELECT outcome, error IS NULL, json_array_length(warnings) FROM syncs");
    assert_eq!(outcome, [["applied", "1", "1"]]);
    world.server.clear_faults();
    world.server.add_fault(Fault::new(Action::Status(429, Vec::new(), String::new())).on("runs").always());
    world.server.clear_requests();
    let ran = sync(&world);
    assert!(ran.stderr.contains("the rate limit is reached (429)"), "{ran:?}");
    assert_eq!(asked(&world).iter().filter(|path| *path == RUNS).count(), 1, "once, and no more");
}

#[test]
fn a_semantic_layer_that_lacks_pages_or_a_field_is_asked_in_other_words() {
    for field in ["metricsPaginated", "queryableTimeGranularities", "qualifiedName"] {
        let world = world();
        world.server.add_fault(Fault::new(Action::UnknownField(field.to_owned())).on("Metrics").always());
        sync(&world);
        assert_eq!(warnings(&world), "[]", "{field}");
        assert!(world.rows("SELECT * FROM metric_dimensions").len() > 5, "{field}");
    }
}

#[test]
fn a_metric_that_the_semantic_layer_does_not_know_keeps_what_was_known_with_a_warning() {
    let world = world();
    sync(&world);
    let before = world.rows("SELECT * FROM metric_dimensions ORDER BY 1, 2, 3");
    world.server.add_fault(Fault::new(Action::EmptyList).on("Metrics").always());
    run(&mut command(&world, &["sync", "--full"]));
    let warnings = warnings(&world);
    assert!(warnings.contains("it does not tell of the metric `average_order_value` and 3 more"), "{warnings}");
    assert_eq!(world.rows("SELECT * FROM metric_dimensions ORDER BY 1, 2, 3"), before);
}

#[test]
fn a_daemon_goes_on_syncing_while_an_interface_hangs() {
    let world = World::served("interval = \"1s\"");
    let path = world.folder.path().join("lineaged.toml");
    let config = std::fs::read_to_string(&path).expect("read");
    let platform = format!("[platform]\ntoken = \"{}\"\n", world.server.platform_token());
    std::fs::write(&path, format!("{config}\n{platform}")).expect("written");
    world.server.add_fault(Fault::new(Action::Delay(std::time::Duration::from_secs(3600))).on("accounts").always());
    let mut daemon = world.serve();
    let ended = || world.rows("SELECT * FROM syncs WHERE finished_at IS NOT NULL").len();
    daemon.until("three syncs", || ended() >= 3);
    let hanging = world.server.requests().iter().filter(|request| request.operation == "accounts").count();
    assert!(hanging <= 1, "one question at a time");
    let (status, took) = daemon.end();
    assert!(status.success() && took < std::time::Duration::from_secs(8), "{status} {took:?}");
}
