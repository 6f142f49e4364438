//! The daemon as the platform, its users and its operating system meet it: when it syncs, what that costs, and how it ends.

use std::io::Write;
use std::time::{Duration, Instant};

use lineaged::demo::{Action, Fault, Project, Server};
use lineaged::time::Timestamp;

use crate::support::daemon::{Daemon, Http, run_completed, signature};
use crate::support::{ENVIRONMENT, World, assert_same};

const ORDERS: &str = "model.mini_shop.orders";
const SELDOM: &str = "interval = \"12h\"";
const OFTEN: &str = "interval = \"1s\"";

impl World {
    /// How many syncs have ended.
    fn ended(&self) -> usize {
        self.ended_where("true")
    }

    fn ended_where(&self, condition: &str) -> usize {
        let count = self.cells(&format!("SELECT count(*) FROM syncs WHERE outcome IS NOT NULL AND {condition}"));
        count[0].parse().expect("a number")
    }

    fn last_sync(&self) -> usize {
        self.cells("SELECT coalesce(max(sync_id), 0) FROM syncs")[0].parse().expect("a number")
    }

    /// A daemon whose first sync has ended.
    fn serve_synced(&self) -> Daemon {
        let mut daemon = self.serve();
        daemon.until("the first sync", || self.ended() == 1);
        daemon
    }
}

#[test]
fn an_unchanged_environment_costs_one_request_per_firing_and_a_change_comes_with_the_next() {
    let world = World::served(OFTEN);
    let mut daemon = world.serve_synced();
    assert_eq!(world.rows("SELECT trigger, mode, outcome FROM syncs LIMIT 1"), [["startup", "full", "applied"]]);
    assert_same(&world.content(), &world.truth(), "first sync");
    let (first, began) = (world.server.requests().len(), Instant::now());
    daemon.until("four firings", || world.ended() >= 5);
    assert!(began.elapsed() > Duration::from_millis(2500), "four firings in {:?}", began.elapsed());
    let rows = world.rows("SELECT trigger, mode, outcome, requests FROM syncs WHERE sync_id BETWEEN 2 AND 5");
    assert_eq!(rows, [["cron", "probe", "unchanged", "1"]; 4]);
    assert_eq!(world.server.requests().len(), first + world.last_sync() - 1, "one request each");
    let before = world.last_sync();
    world.change(|project| project.describe(ORDERS, "New words."));
    let told = format!("SELECT description FROM nodes WHERE unique_id = '{ORDERS}'");
    daemon.until("the change", || world.cells(&told) == ["New words."]);
    // A firing may have been under way.
    assert!(world.last_sync() <= before + 2, "{} after {before}", world.last_sync());
    assert_same(&world.content(), &world.truth(), "the change");
    let (status, took) = daemon.end();
    assert_eq!(status.code(), Some(0));
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[test]
fn a_signed_webhook_leads_to_one_full_sync_and_nothing_else_does() {
    let world = World::served(SELDOM);
    let mut daemon = world.serve_synced();
    world.change(|project| project.describe(ORDERS, "From a run."));
    let body = run_completed("wev_1");
    let reply = daemon.webhook(&body);
    assert_eq!((reply.status, reply.json()["result"].as_str()), (200, Some("accepted")));
    daemon.until("its sync", || world.ended() == 2);
    let row = world.rows("SELECT trigger, mode, outcome FROM syncs WHERE sync_id = 2");
    assert_eq!(row, [["webhook", "full", "applied"]]);
    assert_same(&world.content(), &world.truth(), "the run");
    let again = daemon.webhook(&body);
    assert_eq!((again.status, again.json()["result"].as_str()), (200, Some("duplicate")));
    let mut http = daemon.connect();
    let forged = run_completed("wev_2");
    for signature in [signature(&body), String::new(), signature(&forged).to_uppercase()] {
        let reply = daemon.connect().ask("POST", "/webhooks/dbt", &[("Authorization", &signature)], &forged);
        assert_eq!(reply.status, 401, "{signature}");
    }
    let large = http.send("POST", "/webhooks/dbt", &[("Authorization", &signature(""))], (1 << 20) + 1, "");
    assert_eq!(large.status, 413);
    // Also where nothing has moved, a webhook's sync does not end at the probe; what was refused would have been synced with it.
    assert_eq!(daemon.webhook(&run_completed("wev_3")).status, 200);
    daemon.until("the sync of the third", || world.ended() == 3);
    let row = world.rows("SELECT trigger, mode, outcome FROM syncs WHERE sync_id > 2");
    assert_eq!(row, [["webhook", "full", "unchanged"]]);
}

#[test]
fn a_thousand_webhooks_lead_to_at_most_two_syncs() {
    let world = World::served(SELDOM);
    let mut daemon = world.serve_synced();
    std::thread::scope(|scope| {
        for sender in 0..4 {
            let address = &daemon.address;
            scope.spawn(move || {
                let mut http = Http::connect(address);
                for number in 0..250 {
                    let body = run_completed(&format!("wev_{sender}_{number}"));
                    let reply = http.ask("POST", "/webhooks/dbt", &[("Authorization", &signature(&body))], &body);
                    assert_eq!(reply.status, 200, "{reply:?}");
                }
            });
        }
    });
    let accepted = |daemon: &Daemon| {
        let metrics = String::from_utf8(daemon.connect().get("/metrics").body).expect("text");
        metrics.lines().filter(|line| line.contains("webhook") && line.ends_with(" 1000")).count()
    };
    assert_eq!(accepted(&daemon), 1, "all are counted");
    daemon.until("the webhooks' sync", || world.ended_where("trigger = 'webhook'") >= 1);
    // What is still due coalesces with this one, so that after it nothing is.
    let before = asked_for(&world, &daemon);
    daemon.until("a sync by hand", || world.ended() > before);
    let (status, _) = daemon.end();
    assert_eq!(status.code(), Some(0));
    let syncs = world.rows("SELECT trigger, mode, outcome FROM syncs");
    let webhooks = syncs.iter().filter(|row| row[0] == "webhook").count();
    assert!((1..=2).contains(&webhooks) && syncs.len() <= 4, "{syncs:?}");
}

#[test]
fn metrics_tell_of_the_catalog_whoever_synced_and_of_what_failures_cost() {
    let world = World::served(SELDOM);
    world.ok(&["sync"]);
    let mut daemon = world.serve();
    let metrics = |daemon: &Daemon| String::from_utf8(daemon.connect().get("/metrics").body).expect("text");
    let value = |text: &str, series: &str| -> f64 {
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("{series}: {text}")).parse().expect("a number")
    };
    let models = "lineaged_nodes{environment=\"prod\",resource_type=\"model\"}";
    let complete = "lineaged_last_complete_sync_timestamp_seconds{environment=\"prod\"}";
    let attempt = "lineaged_last_sync_attempt_timestamp_seconds{environment=\"prod\"}";
    let of = |name: &str| format!("lineaged_{name}_total{{environment=\"prod\"}}");
    let ended = |outcome: &str| format!("lineaged_syncs_total{{environment=\"prod\",outcome=\"{outcome}\"}}");
    let first = metrics(&daemon);
    assert!(value(&first, models) > 0.0 && value(&first, complete) > 1e9 && value(&first, attempt) > 1e9, "{first}");
    assert_eq!(
        (value(&first, &ended("applied")), value(&first, &of("requests"))),
        (0.0, 0.0),
        "it was another process"
    );
    world.change(|project| drop(project.add_model("late", &[ORDERS])));
    world.ok(&["sync"]);
    let beside = metrics(&daemon);
    assert_eq!(value(&beside, models), value(&first, models) + 1.0);
    assert!(value(&beside, complete) > value(&first, complete));
    assert_eq!(value(&beside, &ended("applied")), 1.0);
    assert!(value(&beside, &of("requests")) > 1.0 && value(&beside, &of("bytes")) > 1000.0, "{beside}");
    world.server.add_fault(Fault::new(Action::Status(503, Vec::new(), String::new())).on("AppliedTests"));
    world.server.add_fault(Fault::new(Action::HtmlPage).on("AppliedTests").always());
    world.change(|project| project.touch());
    asked_for(&world, &daemon);
    daemon.line("sync failed");
    let failed = metrics(&daemon);
    assert_eq!(value(&failed, &ended("failed")), 1.0);
    for name in ["requests", "bytes", "retries"] {
        assert!(value(&failed, &of(name)) > value(&beside, &of(name)), "{name}: {failed}");
    }
    assert_eq!(value(&failed, complete), value(&beside, complete));
    assert!(value(&failed, attempt) > value(&beside, attempt));
    assert!(value(&failed, "lineaged_catalog_bytes") > 1000.0, "{failed}");
    assert!(failed.contains("lineaged_catalog_wal_bytes "), "{failed}");
}

#[test]
fn a_forged_webhook_is_told_to_the_log() {
    let world = World::served(SELDOM);
    let mut daemon = world.serve_synced();
    for _ in 0..3 {
        let reply = daemon.connect().ask("POST", "/webhooks/dbt", &[("Authorization", &signature("other"))], "{}");
        assert_eq!(reply.status, 401);
    }
    let line = daemon.line("a webhook's signature does not match `webhook.secret`: it is refused");
    assert_eq!(line["level"], "WARN");
    let (status, _) = daemon.end();
    assert_eq!(status.code(), Some(0));
}

#[test]
fn a_sync_that_is_asked_for_over_http_says_so() {
    let world = World::served(SELDOM);
    let mut daemon = world.serve_synced();
    world.change(|project| project.describe(ORDERS, "By hand."));
    asked_for(&world, &daemon);
    daemon.until("the sync", || world.ended() == 2);
    let row = world.rows("SELECT trigger, mode, outcome FROM syncs WHERE sync_id = 2");
    assert_eq!(row, [["api", "full", "applied"]]);
    assert_same(&world.content(), &world.truth(), "by hand");
    let unknown = daemon.connect().ask("POST", "/api/v1/sync?environment=prd", &[], "");
    assert_eq!(unknown.status, 400, "{unknown:?}");
}

#[test]
fn told_to_end_in_a_slow_read_it_drops_the_read_and_says_so() {
    let faults: [fn() -> Action; 3] = [
        || Action::Delay(Duration::from_secs(60)),
        || Action::Drip(1, Duration::from_millis(100)),
        || Action::Status(503, Vec::new(), String::new()),
    ];
    for (number, fault) in faults.into_iter().enumerate() {
        let world = World::served(SELDOM);
        let mut daemon = world.serve_synced();
        let before = world.content();
        world.change(|project| drop(project.add_model("late", &[ORDERS])));
        world.server.add_fault(Fault::new(fault()).on("AppliedModels").always());
        world.server.clear_requests();
        asked_for(&world, &daemon);
        daemon.until("a slow read", || world.server.requests().iter().any(|it| it.operation == "AppliedModels"));
        let (status, took) = daemon.end();
        assert_eq!(status.code(), Some(0), "{number}");
        assert!(took < Duration::from_secs(10), "{number}: {took:?}");
        assert_eq!(world.cells("SELECT outcome FROM syncs ORDER BY sync_id"), ["applied", "interrupted"], "{number}");
        assert_same(&world.content(), &before, "interrupted");
        world.server.clear_faults();
        world.ok(&["sync"]);
        assert_same(&world.content(), &world.truth(), "the next sync");
    }
}

#[test]
fn a_second_daemon_of_the_same_catalog_is_refused_and_the_first_goes_on() {
    let world = World::served(OFTEN);
    let mut daemon = world.serve_synced();
    let second = world.run(&["serve"]);
    assert_eq!(second.code, Some(1), "{second:?}");
    assert!(second.stderr.contains(&format!("process {}", daemon.pid())), "{second:?}");
    let before = world.ended();
    daemon.until("another firing", || world.ended() > before);
    let (status, _) = daemon.end();
    assert_eq!(status.code(), Some(0));
    // The lock went with its holder.
    let third = world.serve();
    assert_eq!(third.connect().get("/-/ready").status, 200);
}

#[test]
fn sync_and_approve_work_beside_a_daemon() {
    let world = World::served(OFTEN);
    let ids: Vec<String> =
        world.change(|project| (0..30).map(|n| project.add_model(&format!("extra_{n:02}"), &[ORDERS])).collect());
    let mut daemon = world.serve_synced();
    for round in 0..4 {
        world.change(|project| project.describe(ORDERS, &format!("Round {round}.")));
        world.ok(&["sync", "--full"]);
    }
    assert_same(&world.content(), &world.truth(), "beside a daemon");
    let before = world.content();
    world.change(|project| ids.iter().take(20).for_each(|id| project.remove(id)));
    daemon.until("a held sync", || world.ended_where("outcome = 'held'") > 0);
    assert_same(&world.content(), &before, "held");
    let approved = world.ok(&["approve", "--all"]);
    assert!(approved.contains("prod: approved sync"), "{approved}");
    daemon.until("the approved sync", || world.content() == world.truth());
    assert_eq!(world.ended_where("outcome IN ('failed', 'interrupted')"), 0);
}

#[test]
fn one_environment_in_trouble_does_not_delay_the_others() {
    let broken = Server::start(vec![(1, Project::bundled(Timestamp::now()))]).expect("a server");
    broken.add_fault(Fault::new(Action::Reset).always());
    let slow = Server::start(vec![(1, Project::bundled(Timestamp::now()))]).expect("a server");
    slow.add_fault(Fault::new(Action::Delay(Duration::from_secs(60))).always());
    let world = World::served(OFTEN);
    let file = world.folder.path().join("lineaged.toml");
    let mut config = std::fs::OpenOptions::new().append(true).open(file).expect("the configuration");
    let token = world.server.token();
    for (id, name, url, token) in [
        (2, "unknown", world.server.url(), token),
        (3, "refused", world.server.url(), "wrong"),
        (4, "broken", broken.url(), token),
        (5, "slow", slow.url(), slow.token()),
    ] {
        writeln!(config, "[[environments]]\nid = {id}\nname = \"{name}\"\nurl = \"{url}\"\ntoken = \"{token}\"")
            .expect("written");
    }
    let mut daemon = world.serve();
    let prod = format!("environment_id = {ENVIRONMENT} AND outcome IN ('applied', 'unchanged')");
    daemon.until("the first sync", || world.ended_where(&prod) >= 1);
    let (before, began) = (world.ended_where(&prod), Instant::now());
    daemon.until("six firings", || world.ended_where(&prod) >= before + 6);
    assert!(began.elapsed() < Duration::from_secs(10), "six firings in {:?}", began.elapsed());
    let failed = "SELECT count(*) FROM syncs WHERE outcome = 'failed' AND environment_id";
    daemon.until("the others' failures", || {
        world.cells(&format!("{failed} IN (2, 3)")) == ["2"]
            && world.cells(&format!("{failed} = {ENVIRONMENT}")) == ["0"]
    });
    let (status, took) = daemon.end();
    assert_eq!(status.code(), Some(0));
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[test]
fn a_missed_firing_runs_once_at_the_start() {
    let now = Timestamp::now();
    // An hour ago and, from then on, once a day: HH:MM of an RFC 3339 time.
    let (fired, text) = (now.plus_millis(-3_600_000), now.plus_millis(-3_600_000).to_string());
    let world = World::served(&format!("cron = \"{} {} * * *\"", &text[14..16], &text[11..13]));
    world.ok(&["sync"]);
    let old = fired.plus_millis(-5 * 86_400_000).to_string();
    let writer = rusqlite::Connection::open(world.catalog()).expect("the catalog");
    writer.execute("UPDATE sync SET started_at = ?1, finished_at = ?1", [old]).expect("aged");
    drop(writer);
    let mut daemon = world.serve();
    daemon.until("the missed firing", || world.ended() == 2);
    assert_eq!(world.cells("SELECT trigger FROM syncs"), ["manual", "startup"]);
    let (status, _) = daemon.end();
    assert_eq!(status.code(), Some(0));
    // Nothing was missed since.
    let mut daemon = world.serve();
    let before = asked_for(&world, &daemon);
    daemon.until("a sync by hand", || world.ended() > before);
    assert_eq!(world.cells("SELECT trigger FROM syncs"), ["manual", "startup", "api"]);
}

#[test]
fn a_failed_sync_comes_back_by_itself_and_a_request_does_not_wait_for_that() {
    let world = World::served(SELDOM);
    let mut daemon = world.serve_synced();
    world.server.add_fault(Fault::new(Action::Status(404, Vec::new(), String::new())).always());
    world.change(|project| project.describe(ORDERS, "After an outage."));
    asked_for(&world, &daemon);
    daemon.until("a failure", || world.ended_where("outcome = 'failed'") == 1);
    // It rests for some fifteen seconds; whoever asks in the meantime gets a sync at once.
    let began = Instant::now();
    asked_for(&world, &daemon);
    daemon.until("the second failure", || world.ended_where("outcome = 'failed'") == 2);
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    world.server.clear_faults();
    daemon.until("the next try", || world.ended() == 4);
    let rows = world.rows("SELECT trigger, outcome FROM syncs WHERE sync_id > 1");
    assert_eq!(rows, [["api", "failed"], ["api", "failed"], ["retry", "applied"]]);
}

#[test]
fn what_failed_before_a_restart_is_tried_at_the_start() {
    let world = World::served(SELDOM);
    world.ok(&["sync"]);
    world.server.add_fault(Fault::new(Action::Status(404, Vec::new(), String::new())).always());
    assert_eq!(world.run(&["sync"]).code, Some(1));
    world.server.clear_faults();
    let mut daemon = world.serve();
    daemon.until("the sync at the start", || world.ended() == 3);
    assert_eq!(world.cells("SELECT trigger FROM syncs"), ["manual", "manual", "startup"]);
}

#[test]
fn an_environment_whose_pages_hang_does_not_delay_the_others() {
    let slow = Server::start(vec![(1, Project::bundled(Timestamp::now()))]).expect("a server");
    for operation in
        ["AppliedModels", "AppliedSources", "AppliedSeeds", "AppliedSnapshots", "AppliedTests", "AppliedExposures"]
    {
        slow.add_fault(Fault::new(Action::Delay(Duration::from_secs(60))).on(operation).always());
    }
    let world = World::served(OFTEN);
    let file = world.folder.path().join("lineaged.toml");
    let mut config = std::fs::OpenOptions::new().append(true).open(file).expect("the configuration");
    writeln!(
        config,
        "[[environments]]\nid = 1\nname = \"slow\"\nurl = \"{}\"\ntoken = \"{}\"",
        slow.url(),
        slow.token()
    )
    .expect("written");
    let mut daemon = world.serve();
    daemon.until("slow pages", || slow.requests().iter().any(|it| it.operation == "AppliedSources"));
    let meanwhile = format!(
        "SELECT count(*) FROM syncs other, (SELECT started_at, coalesce(finished_at, '9999') AS finished_at FROM syncs
             WHERE environment_id = 1 ORDER BY sync_id LIMIT 1) slow
         WHERE other.environment_id = {ENVIRONMENT}
         AND other.started_at >= slow.started_at AND other.finished_at <= slow.finished_at"
    );
    daemon.until("three firings while it reads", || world.cells(&meanwhile)[0].parse::<i64>().expect("a number") >= 3);
}

/// Asks for a sync as soon as none runs (its row is closed a moment before it has ended); how many had ended before.
fn asked_for(world: &World, daemon: &Daemon) -> usize {
    loop {
        let before = world.ended();
        match daemon.connect().ask("POST", "/api/v1/sync?environment=prod", &[], "").status {
            202 => return before,
            status => assert_eq!(status, 409),
        }
    }
}
