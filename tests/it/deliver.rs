//! Receivers, as they meet what is sent to them: by `export --to`, after a sync, and by the daemon.

use std::time::Duration;

use lineaged::demo::Project;
use lineaged::time::Timestamp;
use rusqlite::Connection;
use serde_json::Value;

use crate::support::receiver::{Answer, Receiver, nobody, status};
use crate::support::{ENVIRONMENT, World, json, run};

const ORDERS: &str = "model.mini_shop.orders";
const SELDOM: &str = "interval = \"12h\"";
const OFTEN: &str = "interval = \"1s\"";
const TOKEN: &str = "receiver_canary_0a1b2c3d";

/// The configuration of a receiver; `extra` says more of it.
fn receiver(name: &str, url: &str, extra: &str) -> String {
    format!("[[receivers]]\nname = \"{name}\"\nurl = \"{url}\"\n{extra}\n")
}

/// One environment, and one receiver that is called `marquez`.
fn world(url: &str, extra: &str) -> World {
    let project = Project::bundled(Timestamp::now());
    World::with(vec![(ENVIRONMENT, project)], &receiver("marquez", url, extra))
}

fn exported(world: &World, arguments: &[&str]) -> Vec<Value> {
    let text = world.ok(&[&["export", "openlineage"], arguments].concat());
    text.lines().map(|line| serde_json::from_str(line).expect("an event")).collect()
}

/// What each event is about.
fn about(events: &[Value]) -> Vec<String> {
    let name = |event: &Value| event["dataset"]["name"].as_str().or(event["job"]["name"].as_str()).map(str::to_owned);
    events.iter().map(|event| name(event).expect("a name")).collect()
}

fn change(world: &World, sql: &str) {
    Connection::open(world.catalog()).expect("the catalog").execute_batch(sql).expect(sql);
}

fn metric(metrics: &str, name: &str, receiver: &str) -> f64 {
    let labels = format!("{name}{{receiver=\"{receiver}\",environment=\"prod\"}} ");
    let line = metrics.lines().find_map(|line| line.strip_prefix(&labels));
    line.unwrap_or_else(|| panic!("no {labels}in {metrics}")).parse().expect("a number")
}

#[test]
fn an_export_is_posted_event_by_event_where_openlineage_takes_them() {
    let (world, here) = (World::bundled(), Receiver::start());
    world.ok(&["sync"]);
    let ran = world.run(&["export", "openlineage", "--since", "1", "--to", &here.url()]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), ""), "{ran:?}");
    let posted = here.posted();
    let expected = exported(&world, &["--since", "1"]);
    assert!(expected.len() > 20 && posted.iter().map(|it| &it.event).eq(&expected), "in their order");
    assert!(posted.iter().all(|it| it.path == "/api/v1/lineage" && it.authorization.is_none()));
    let last = world.cells("SELECT last_seq FROM catalog_info").swap_remove(0);
    let said = format!("{} events have arrived", expected.len());
    assert!(ran.stderr.contains(&said) && ran.stderr.contains(&format!("--since {last}")), "{ran:?}");
    world.ok(&["export", "openlineage", "--select", "orders", "--to", &format!("{}/own/path?x=1", here.url())]);
    assert_eq!(here.posted().last().expect("a request").path, "/own/path?x=1");
}

#[test]
fn a_token_goes_to_its_own_address_and_is_told_nowhere() {
    let (here, other) = (Receiver::start(), Receiver::start());
    let world = world(&here.url(), &format!("token = \"{TOKEN}\""));
    here.answer([status(201, ""), status(400, &format!("no: Bearer {TOKEN}"))]);
    let ran = run(world.command(&["sync"]).env("LINEAGED_LOG", "trace"));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stderr.contains("<redacted>") && !format!("{ran:?}").contains(TOKEN), "{ran:?}");
    let bearer = format!("Bearer {TOKEN}");
    assert!(here.posted().iter().all(|it| it.authorization.as_ref() == Some(&bearer)));
    let status_json = world.ok(&["status", "--format", "json"]);
    assert!(status_json.contains("<redacted>") && !status_json.contains(TOKEN), "{status_json}");
    here.take();
    let to = |url: &str| world.run(&["export", "openlineage", "--select", "orders", "--to", url]);
    assert_eq!(to(&format!("{}/", here.url())).code, Some(0));
    assert_eq!(here.posted()[0].authorization, Some(bearer));
    for url in [other.url(), format!("{}/elsewhere", here.url())] {
        assert_eq!(to(&url).code, Some(0));
    }
    assert!(other.posted().iter().chain(here.posted().last()).all(|it| it.authorization.is_none()));
    other.take();
    let location = format!("Location: {}/api/v1/lineage\r\n", other.url());
    here.always(Some(Answer::Status(307, location.leak(), String::new())));
    let ran = to(&here.url());
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stderr.contains("307") && ran.stderr.contains("redirects are not followed"), "{ran:?}");
    assert!(other.posted().is_empty(), "nothing is sent to another host");
}

#[test]
fn what_is_refused_is_named_with_the_reason_and_is_asked_once() {
    let (world, here) = (World::bundled(), Receiver::start());
    world.ok(&["sync"]);
    here.answer([status(201, ""), status(201, ""), status(422, "no\u{1b}[31m such facet")]);
    let ran = world.run(&["export", "openlineage", "--to", &here.url()]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let refused = about(&[here.posted().pop().expect("a request").event]).swap_remove(0);
    for part in ["event 3 of ", "Event of `", refused.as_str(), "answered 422", "no [31m such facet"] {
        assert!(ran.stderr.contains(part), "{part}: {ran:?}");
    }
    assert_eq!(here.posted().len(), 3, "what follows waits");
    for url in ["nowhere", "ftp://h.example", "https://user:PASSw0rd@h.example/"] {
        let ran = world.run(&["export", "openlineage", "--to", url]);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.stderr.contains("`--to` is no address") && !ran.stderr.contains("PASSw0rd"), "{ran:?}");
    }
}

#[test]
fn what_is_down_for_a_moment_is_tried_again_and_nothing_is_lost_or_out_of_order() {
    let here = Receiver::start();
    let world = world(&here.url(), "");
    let soon = |code| Answer::Status(code, "Retry-After: 0\r\n", String::new());
    here.answer([soon(503), status(201, ""), soon(429), soon(500), status(201, ""), soon(408)]);
    world.ok(&["sync"]);
    assert_eq!(here.posted().len(), here.taken() + 4);
    assert_eq!(here.take(), exported(&world, &[]));
}

#[test]
fn a_receiver_is_told_everything_at_first_and_then_what_moved() {
    let here = Receiver::start();
    let world = world(&here.url(), "");
    assert!(world.ok(&["sync", "--dry-run"]).contains("nothing written"));
    assert!(here.posted().is_empty());
    world.ok(&["sync"]);
    let all = exported(&world, &[]);
    assert_eq!(here.take(), all);
    world.ok(&["sync", "--full"]);
    assert!(here.posted().is_empty(), "nothing moved");
    let seq = world.cells("SELECT last_seq FROM catalog_info").swap_remove(0);
    world.change(|project| project.describe(ORDERS, "New words."));
    world.ok(&["sync", "--full"]);
    let moved = here.take();
    assert!(about(&moved).contains(&ORDERS.to_owned()) && moved.len() < all.len() / 2, "{:?}", about(&moved));
    assert_eq!(moved, exported(&world, &["--since", &seq]));
    let short_lived = world.change(|project| project.add_model("short_lived", &[ORDERS]));
    world.ok(&["sync", "--full"]);
    assert!(about(&here.take()).contains(&short_lived));
    world.change(|project| project.remove(&short_lived));
    world.ok(&["sync", "--full"]);
    let gone = here.take();
    let of_it = gone.iter().find(|event| event["job"]["name"] == short_lived.as_str());
    assert_eq!(of_it.map(|event| &event["outputs"]), Some(&serde_json::json!([])), "{:?}", about(&gone));
    assert_eq!(json(&world.ok(&["status", "--format", "json"]))[0]["receivers"][0]["behind"], 0);
    assert!(!world.ok(&["status"]).contains("receiver"), "all is well");
}

#[test]
fn column_lineage_that_moved_by_itself_is_told() {
    let here = Receiver::start();
    let world = world(&here.url(), "");
    world.ok(&["sync"]);
    here.take();
    change(
        &world,
        "UPDATE identity SET last_revision = last_revision + 1;
         UPDATE column_status SET revision = (SELECT last_revision FROM identity)
         WHERE node_key = (SELECT node_key FROM node WHERE unique_id = 'model.mini_shop.orders')",
    );
    world.ok(&["sync"]);
    let told = here.take();
    assert!(about(&told).contains(&ORDERS.to_owned()), "{:?}", about(&told));
    assert!(!about(&told).contains(&"model.mini_shop.stg_orders".to_owned()), "what it reads is as it was");
    world.ok(&["sync"]);
    assert!(here.posted().is_empty());
}

#[test]
fn another_catalog_and_a_history_that_is_gone_are_told_as_a_whole() {
    let here = Receiver::start();
    let world = world(&here.url(), "");
    world.ok(&["sync"]);
    let all = here.take().len();
    for sql in [
        "UPDATE delivery SET catalog_id = 'another'",
        "UPDATE delivery SET seq = 0; UPDATE identity SET oldest_seq = last_seq + 1",
    ] {
        change(&world, sql);
        world.ok(&["sync"]);
        assert_eq!(here.take().len(), all, "{sql}");
    }
    world.ok(&["backup", "copy.db"]);
    world.ok(&["sync", "--catalog", "copy.db"]);
    world.ok(&["sync", "--catalog", "copy.db"]);
    assert_eq!(here.take().len(), all, "a restored backup is another catalog");
    assert_eq!(world.ok(&["forget", "prod", "--yes"]).lines().count(), 1);
    assert_eq!(world.cells("SELECT count(*) FROM delivery"), ["0"]);
}

#[test]
fn what_a_receiver_refuses_is_said_and_the_sync_is_good() {
    let (here, other) = (Receiver::start(), Receiver::start());
    let both = format!(
        "{}{}",
        receiver("marquez", &here.url(), "environments = [\"prod\"]"),
        receiver("second", &other.url(), "environments = [\"env2\"]")
    );
    let project = || Project::bundled(Timestamp::now());
    let world = World::with(vec![(ENVIRONMENT, project()), (2, project())], &both);
    here.always(Some(status(400, "not so")));
    let ran = world.run(&["sync"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stderr.contains("warning: prod: receiver `marquez` did not take all: event 1 of"), "{ran:?}");
    assert_eq!(here.posted().len(), 1, "not in a loop");
    let jobs = other.take();
    let of_env2 = |event: &Value| event["job"].is_null() || event["job"]["namespace"] == "dbt://env2";
    assert!(jobs.len() > 20 && jobs.iter().all(of_env2), "only what it takes");
    let told = world.ok(&["status"]);
    assert!(told.contains("receiver `marquez` of prod is ") && told.contains("answered 400"), "{told}");
    assert!(told.contains(" changes behind; nothing arrives since 20") && !told.contains("second"), "{told}");
    let known = json(&world.ok(&["status", "--format", "json"]));
    let of = |name: &str| known.iter().find(|it| it["name"] == name).expect("it")["receivers"].clone();
    assert_eq!((&of("prod")[0]["seq"], &of("env2")[0]["receiver"]), (&Value::Null, &"second".into()));
    here.always(None);
    here.take();
    world.ok(&["sync"]);
    assert_eq!(here.take(), exported(&world, &["--environment", "prod"]));
    assert!(!world.ok(&["status"]).contains("receiver"), "all is well");
}

#[test]
fn a_receiver_of_runs_is_told_of_each_new_build() {
    let here = Receiver::start();
    let world = world(&here.url(), "events = \"run\"");
    world.ok(&["sync"]);
    let first = here.take();
    assert_eq!(first, exported(&world, &["--events", "run"]));
    assert!(first.iter().all(|event| event["eventType"] == "COMPLETE"));
    world.change(|project| project.build(ORDERS));
    world.ok(&["sync", "--full"]);
    let again = here.take();
    assert_eq!(about(&again), [ORDERS]);
    assert!(first.iter().all(|event| event["run"] != again[0]["run"]), "a run of its own");
}

#[test]
fn a_receiver_that_is_down_delays_nobody_and_gets_everything_when_it_is_back() {
    let (down, here) = (nobody(), Receiver::start());
    let receivers = receiver("down", &format!("http://{down}"), "") + &receiver("here", &here.url(), "");
    let project = Project::bundled(Timestamp::now());
    let world = World::all_served(vec![(ENVIRONMENT, project)], &format!("{OFTEN}\n{receivers}"));
    let mut daemon = world.serve();
    daemon.until("the other has all", || here.taken() > 20);
    let is_noted = || world.catalog().exists() && world.ok(&["status"]).contains("receiver `down` of prod");
    daemon.until("it is noted", is_noted);
    here.take();
    world.change(|project| project.describe(ORDERS, "New words."));
    daemon.until("the change", || about_of(&here).contains(&ORDERS.to_owned()));
    let metrics = |daemon: &crate::support::daemon::Daemon| {
        String::from_utf8(daemon.connect().get("/metrics").body).expect("text")
    };
    let text = metrics(&daemon);
    assert!(metric(&text, "lineaged_receiver_failing_since_timestamp_seconds", "down") > 1e9, "{text}");
    assert!(metric(&text, "lineaged_receiver_behind_changes", "down") > 50.0, "{text}");
    assert!(metric(&text, "lineaged_receiver_failures_total", "down") >= 1.0);
    assert_eq!(metric(&text, "lineaged_receiver_failing_since_timestamp_seconds", "here"), 0.0);
    assert!(metric(&text, "lineaged_receiver_last_arrival_timestamp_seconds", "here") > 1e9);
    assert!(metric(&text, "lineaged_receiver_events_total", "here") > 20.0);
    let back = Receiver::at(&down);
    daemon.until("it has all", || !world.ok(&["status"]).contains("receiver"));
    let words = |event: &Value| event["dataset"]["facets"]["documentation"]["description"].clone();
    assert!(back.take().iter().any(|event| words(event) == "New words."), "also what came meanwhile");
    assert_eq!(metric(&metrics(&daemon), "lineaged_receiver_failing_since_timestamp_seconds", "down"), 0.0);
    let log = daemon.end_with_log().2;
    assert_eq!(log.iter().filter(|line| line.contains("delivery failed")).count(), 1, "it is said once: {log:#?}");
}

fn about_of(receiver: &Receiver) -> Vec<String> {
    about(&receiver.posted().into_iter().map(|posted| posted.event).collect::<Vec<_>>())
}

#[test]
fn a_delivery_under_way_ends_with_the_daemon_and_goes_on_at_its_next_start() {
    let here = Receiver::start();
    here.answer([status(201, ""), Answer::Hang]);
    let project = Project::bundled(Timestamp::now());
    let receivers = receiver("marquez", &here.url(), "");
    let world = World::all_served(vec![(ENVIRONMENT, project)], &format!("{SELDOM}\n{receivers}"));
    let mut daemon = world.serve();
    daemon.until("it hangs", || here.posted().len() == 2);
    // While nothing is answered the catalog is read by nobody, so that its log can be emptied.
    let emptied = "PRAGMA wal_checkpoint(TRUNCATE)";
    let connection = Connection::open(world.catalog()).expect("the catalog");
    assert_eq!(connection.query_row(emptied, [], |row| row.get::<_, i64>(0)).expect("asked"), 0, "a reader is open");
    drop(connection);
    let (ended, took) = daemon.end();
    assert_eq!(ended.code(), Some(0));
    assert!(took < Duration::from_secs(5), "{took:?}");
    here.take();
    let mut daemon = world.serve();
    let all = exported(&world, &[]);
    daemon.until("all of it", || here.taken() == all.len());
    assert_eq!(here.take(), all);
}

#[test]
fn what_is_refused_is_tried_again_only_when_something_was_changed() {
    let here = Receiver::start();
    here.always(Some(status(403, "")));
    let project = Project::bundled(Timestamp::now());
    let receivers = receiver("marquez", &here.url(), "");
    let world = World::all_served(vec![(ENVIRONMENT, project)], &format!("{OFTEN}\n{receivers}"));
    let ended = || world.cells("SELECT count(*) FROM syncs WHERE outcome IS NOT NULL")[0].parse().unwrap_or(0);
    let mut daemon = world.serve();
    daemon.until("four syncs", || ended() >= 4);
    assert_eq!(here.posted().len(), 1);
    here.always(None);
    world.change(|project| project.describe(ORDERS, "New words."));
    daemon.until("it has all", || !world.ok(&["status"]).contains("receiver"));
    assert_eq!(here.take(), exported(&world, &[]));
    let log = daemon.end_with_log().2;
    assert_eq!(log.iter().filter(|line| line.contains("delivery failed")).count(), 1, "it is said once: {log:#?}");
}
