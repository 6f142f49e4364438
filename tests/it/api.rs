//! What programs ask the server for: filters, formats, what they wait for.

use std::time::Duration;

use lineaged::demo::Project;
use lineaged::time::Timestamp;
use serde_json::Value;

use crate::support::site::Site;
use crate::support::{ENVIRONMENT, World};

/// Two environments, both synced.
fn two() -> World {
    let project = || Project::bundled(Timestamp::now());
    let mut other = project();
    other.add_model("only_here", &["model.mini_shop.orders"]);
    let world = World::with(vec![(834, project()), (835, other)], "");
    world.ok(&["sync"]);
    world
}

#[test]
fn a_filter_may_be_repeated_and_any_of_its_values_is_meant() {
    let world = two();
    let site = Site::of(&world);
    let ids = world.cells("SELECT environment_id FROM environments ORDER BY name DESC");
    for (path, sql) in [
        (
            "nodes?resource_type=model&resource_type=source&environment=prod".to_owned(),
            "nodes WHERE resource_type IN ('model', 'source') AND environment_id = (SELECT environment_id FROM environments WHERE name = 'prod')",
        ),
        (
            format!("nodes?environment=env2&environment={}&name=only_here&name=orders", ids[0]),
            "nodes WHERE name IN ('only_here', 'orders')",
        ),
        (format!("nodes?environment={}&environment=env2&name=only_here", ids[1]), "nodes WHERE name = 'only_here'"),
        (
            "changes?environment=prod&environment=env2&kind=added&kind=removed&limit=5000".to_owned(),
            "changes WHERE kind IN ('added', 'removed')",
        ),
        ("lineage?environment=prod&environment=env2&limit=5000".to_owned(), "lineage"),
        ("freshness?needs_run=true&needs_run=0".to_owned(), "freshness WHERE needs_run IN (0, 1)"),
        ("tests?status=pass&status=fail".to_owned(), "tests WHERE status IN ('pass', 'fail')"),
        (
            "nodes?select=orders&select=only_here&resource_type=model".to_owned(),
            "nodes WHERE name IN ('orders', 'only_here') AND resource_type = 'model'",
        ),
    ] {
        let found = site.get(&format!("/api/v1/{path}")).rows().len().to_string();
        assert_eq!(found, world.cells(&format!("SELECT count(*) FROM {sql}"))[0], "{path}");
    }
    let (mut pages, mut next) = (
        0,
        Some(
            "/api/v1/nodes?name=orders&name=only_here&resource_type=model&environment=prod&environment=env2&limit=2"
                .to_owned(),
        ),
    );
    while let Some(path) = next {
        let page = site.get(&path);
        pages += page.rows().len();
        next = page.next();
    }
    assert_eq!(pages, 3, "the link keeps all of them");
}

#[test]
fn what_a_view_cannot_hold_is_refused_with_what_it_can() {
    let world = two();
    let site = Site::of(&world);
    for (path, text) in [
        ("nodes?resource_type=modle", "`resource_type` is never `modle`, but one of model,"),
        ("nodes?resource_type=model&resource_type=modle", "`resource_type` is never `modle`"),
        ("tests?status=passed", "one of pass, warn, fail, error, skipped"),
        ("freshness?needs_run=maybe", "one of 0, 1, false, true"),
        ("changes?sync_id=1&sync_id=one", "a whole number"),
        ("nodes?name=", "never empty"),
        ("nodes?environment=prod&environment=nowhere", "no environment `nowhere`"),
        ("nodes?environment=", "no environment ``"),
        ("nodes?limit=1&limit=2", "more than once"),
        ("search?q=a&environment=nowhere", "no environment `nowhere`"),
        ("nodes/model.mini_shop.orders?environment=nowhere", "no environment `nowhere`"),
        ("nodes/model.mini_shop.orders/lineage?environment=nowhere", "no environment `nowhere`"),
        ("impact?node=model.mini_shop.orders&environment=nowhere", "no environment `nowhere`"),
    ] {
        let answer = site.get(&format!("/api/v1/{path}"));
        assert_eq!(answer.code, 400, "{path}: {}", answer.text());
        assert!(
            answer.json()["detail"].as_str().is_some_and(|detail| detail.contains(text)),
            "{path}: {}",
            answer.text()
        );
    }
}

#[test]
fn a_sync_that_is_asked_for_is_answered_with_its_rows() {
    let world = World::served("interval = \"1h\"");
    let mut daemon = world.serve();
    daemon.line("synced");
    let address = daemon.address.clone();
    let ask = |path: &str| crate::support::daemon::Http::connect(&address).ask("POST", path, &[], "");
    // The first sync, of the start, may still be ending.
    let (mut begun, mut ended) = (Value::Null, Value::Null);
    for (path, code, reply) in [("/api/v1/sync", 202, &mut begun), ("/api/v1/sync?wait=60s", 200, &mut ended)] {
        let found = std::cell::RefCell::new(Value::Null);
        daemon.until(path, || {
            let answer = ask(path);
            assert!([409, code].contains(&answer.status), "{path}: {answer:?}");
            found.replace(answer.json());
            answer.status == code
        });
        *reply = found.into_inner();
    }
    let columns: Vec<&str> =
        lineaged::answers::view("syncs").expect("a view").columns.iter().map(|it| it.name).collect();
    for rows in [&begun, &ended] {
        let [row] = rows.as_array().expect("a list").as_slice() else { panic!("{rows}") };
        assert!(columns.iter().all(|name| row.get(name).is_some()), "{row}");
        assert_eq!((&row["trigger"], &row["environment_id"]), (&Value::from("api"), &Value::from(ENVIRONMENT)));
    }
    assert_eq!(ended[0]["outcome"], "unchanged");
    assert!(ended[0]["sync_id"].as_i64() > begun[0]["sync_id"].as_i64());
}

#[test]
fn who_waits_for_a_sync_is_told_of_its_end_or_where_it_will_be_found() {
    let world = two();
    let site = Site::with(&world, |state| state.limits.begin = Duration::ZERO);
    for (query, text) in [("wait=0s", "`1s` to `60s`"), ("wait=2m", "`1s` to `60s`"), ("environment=x", "`prod`")] {
        let answer = site.post(&format!("/api/v1/sync?{query}"), "");
        assert_eq!(answer.code, 400, "{query}");
        assert!(answer.text().contains(text), "{}", answer.text());
    }
    let started = site.post("/api/v1/sync?environment=prod&environment=834", "");
    assert_eq!((started.code, started.json()), (202, serde_json::json!([])), "it has no row yet");
    let location = started.header("location").expect("an address").to_owned();
    assert!(site.get(&location).rows().is_empty(), "{location}");
    let due = site.due.clone();
    let take = || site.runtime.block_on(due.take(ENVIRONMENT));
    take();
    assert_eq!(site.post("/api/v1/sync", "").code, 409);
    due.done(ENVIRONMENT);
    let ended = std::thread::scope(|scope| {
        let asked = scope.spawn(|| site.post("/api/v1/sync?environment=prod&wait=60s", ""));
        take();
        world.ok(&["sync", "--environment", "prod"]);
        due.done(ENVIRONMENT);
        asked.join().expect("an answer")
    });
    assert_eq!((ended.code, ended.rows().len()), (200, 1));
    assert_eq!(site.get(ended.header("location").expect("an address")).rows(), ended.rows());
    assert_eq!(site.get(&location).rows(), ended.rows());
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| site.post("/api/v1/sync?environment=prod&wait=60s", ""));
        take();
        site.tell_to_stop();
        assert_eq!(asked.join().expect("an answer").code, 202, "the server ends");
    });
}
