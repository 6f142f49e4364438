//! What programs ask the server for: filters, formats, what they wait for.

use std::io::{Read, Write};
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

#[test]
fn the_rows_of_a_view_come_as_json_csv_or_ndjson() {
    let world = two();
    let site = Site::of(&world);
    let get = |path: &str, accept: &str| site.get_with(&format!("/api/v1/{path}"), &format!("Accept: {accept}"));
    let json = site.get("/api/v1/nodes?environment=prod&limit=5000");
    for accept in ["*/*", "application/json", "text/html, */*;q=0.1"] {
        let answer = get("nodes?environment=prod&limit=5000", accept);
        assert_eq!((answer.header("content-type"), answer.rows()), (Some("application/json"), json.rows()), "{accept}");
        assert!(answer.header("vary").is_some_and(|vary| vary.contains("accept")), "{answer:?}");
    }
    let csv = get("nodes?environment=prod&limit=5000", "text/csv");
    assert_eq!((csv.code, csv.header("content-type")), (200, Some("text/csv; charset=utf-8; header=present")));
    assert_eq!(csv.text(), world.ok(&["ls", "--environment", "prod", "--format", "csv"]));
    assert_ne!(csv.header("etag"), json.header("etag"), "another form is another answer");
    let known = format!("If-None-Match: {}\r\nAccept: text/csv", csv.header("etag").expect("a tag"));
    assert_eq!(site.get_with("/api/v1/nodes?environment=prod&limit=5000", &known).code, 304);
    let page = get("edges?limit=3", "text/csv");
    assert_eq!(page.text().lines().count(), 4);
    assert_eq!(
        get(&page.next().expect("more")["/api/v1/".len()..], "text/csv").text().lines().next(),
        page.text().lines().next()
    );
    let page = get("edges?limit=3", "application/x-ndjson");
    assert_eq!(page.text().lines().count(), 3);
    assert!(page.next().is_some());
    let refused = get("nodes", "text/html");
    assert_eq!(refused.code, 406);
    assert!(refused.text().contains("application/x-ndjson"), "{}", refused.text());
}

#[test]
fn ndjson_without_a_limit_is_the_whole_view() {
    let world = two();
    let site = Site::of(&world);
    let get = |path: &str| site.get_with(&format!("/api/v1/{path}"), "Accept: application/x-ndjson");
    let catalog = world.cells("SELECT catalog_id FROM catalog_info").remove(0);
    assert_eq!(site.get("/api/v1/nodes").header("lineaged-catalog"), Some(catalog.as_str()));
    for view in lineaged::answers::VIEWS {
        let answer = get(view);
        assert_eq!((answer.code, answer.header("content-type")), (200, Some("application/x-ndjson")), "{view}");
        assert!(answer.header("lineaged-seq").is_some(), "{view}");
        assert_eq!(answer.header("lineaged-catalog"), Some(catalog.as_str()), "{view}");
        let rows: Result<Vec<Value>, _> = answer.text().lines().map(serde_json::from_str).collect();
        let count = rows.expect("an object in each line").len();
        assert_eq!(count.to_string(), world.cells(&format!("SELECT count(*) FROM {view}"))[0], "{view}");
    }
    let lines = |path: &str| get(path).text().lines().count();
    assert_eq!(lines("nodes?name=only_here"), 1);
    let last =
        site.get("/api/v1/nodes").header("lineaged-seq").and_then(|seq| seq.parse::<usize>().ok()).expect("a seq");
    assert_eq!(lines("changes?after=3"), last - 3);
    assert_eq!(lines(&format!("changes?after={last}")), 0);
    let then = world.cells("SELECT max(finished_at) FROM syncs").remove(0);
    let before = get(&format!("nodes?environment=prod&as_of={then}"));
    assert_eq!(before.header("lineaged-as-of"), Some(&*then));
    assert_eq!(before.text().lines().count(), lines("nodes?environment=prod"));
    for (path, code) in [("nodes?environment=nowhere", 400), ("nodes?as_of=2026-01-01", 400), ("nodes?colour=red", 400)]
    {
        assert_eq!(get(path).code, code, "{path}");
    }
}

/// Nodes with so long descriptions that an answer with all of them fits no buffer.
fn large() -> World {
    let world = World::bundled();
    world.ok(&["sync"]);
    let catalog = rusqlite::Connection::open(world.catalog()).expect("the catalog");
    let sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
               INSERT INTO node (node_key, environment_id, unique_id, resource_type, name, description, properties, first_seen_at, last_changed_at)
               SELECT 1000000 + i, 834, printf('model.large.m%05d', i), 'model', 'm' || i, hex(zeroblob(1000)), '{}', '', '' FROM n";
    catalog.execute(sql, []).expect("inserted");
    world
}

#[test]
fn who_takes_the_whole_of_a_view_too_slowly_is_cut_off_and_keeps_nobody_waiting() {
    let world = large();
    let site = Site::with(&world, |state| {
        state.limits.readers = 2;
        state.limits.reader_wait = Duration::from_secs(20);
        state.limits.write = Duration::from_millis(300);
    });
    let mut slow = site.connect();
    let request = "GET /api/v1/nodes HTTP/1.1\r\nHost: localhost\r\nAccept: application/x-ndjson\r\n\r\n";
    slow.write_all(request.as_bytes()).expect("sent");
    let mut some = [0; 12];
    slow.read_exact(&mut some).expect("it begins");
    assert_eq!(&some, b"HTTP/1.1 200");
    assert_eq!(site.get("/api/v1/nodes?limit=1").rows().len(), 1, "pages have their turns");
    let whole = site.get_with("/api/v1/nodes", "Accept: application/x-ndjson").text();
    assert_eq!(whole.lines().count().to_string(), world.cells("SELECT count(*) FROM nodes")[0]);
    let mut rest = Vec::new();
    let _ = slow.read_to_end(&mut rest);
    assert!(rest.len() < whole.len() && !rest.ends_with(b"0\r\n\r\n"), "nobody takes it for the whole");
}

#[test]
fn who_waits_for_a_change_has_it_when_it_is_there() {
    let world = World::bundled();
    world.ok(&["sync"]);
    let site = Site::with(&world, |state| {
        state.limits.readers = 1;
        state.limits.request = Duration::from_millis(500);
    });
    let seq = || site.get("/api/v1/catalog_info").rows()[0]["last_seq"].as_i64().expect("a seq");
    let last = seq();
    let at_once = site.get(&format!("/api/v1/changes?after={}&wait=60s", last - 1));
    assert_eq!(at_once.rows()[0]["seq"], last);
    let nothing = site.get(&format!("/api/v1/changes?after={last}&wait=1s"));
    assert_eq!((nothing.text().as_str(), nothing.header("etag")), ("[]\n", None), "beyond the limit of a request");
    let found = std::thread::scope(|scope| {
        let any = scope.spawn(|| site.get(&format!("/api/v1/changes?after={last}&wait=60s")));
        let gone = scope.spawn(|| site.get(&format!("/api/v1/changes?after={last}&wait=60s&kind=removed")));
        world.change(|project| project.describe("model.mini_shop.orders", "New words."));
        world.ok(&["sync"]);
        let any = any.join().expect("an answer");
        assert_eq!(site.get("/api/v1/nodes?limit=1").rows().len(), 1, "who waits holds no reader");
        world.change(|project| project.remove("exposure.mini_shop.churn_notebook"));
        world.ok(&["sync"]);
        (any.rows(), gone.join().expect("an answer").rows())
    });
    assert!(found.0.iter().all(|row| row["kind"] == "changed" && row["seq"].as_i64() > Some(last)), "{:?}", found.0);
    assert!(!found.1.is_empty() && found.1.iter().all(|row| row["kind"] == "removed"), "{:?}", found.1);
    for (query, text) in
        [("wait=0s", "`1s` to `60s`"), ("wait=1m", "`1s` to `60s`"), ("wait=5s&as_of=1d", "leave one out")]
    {
        let answer = site.get(&format!("/api/v1/changes?{query}"));
        assert_eq!(answer.code, 400, "{query}");
        assert!(answer.text().contains(text), "{}", answer.text());
    }
    assert_eq!(site.get("/api/v1/nodes?wait=5s").code, 400, "only the feed waits");
}

#[test]
fn who_waits_is_answered_when_the_server_stops_and_woken_by_its_syncs() {
    let world = World::bundled();
    world.ok(&["sync"]);
    let (tell, ended) = tokio::sync::watch::channel(());
    let site = Site::with(&world, |state| state.ended = ended);
    let last = site.get("/api/v1/catalog_info").rows()[0]["last_seq"].as_i64().expect("a seq");
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| site.get(&format!("/api/v1/changes?after={last}&wait=60s")));
        world.change(|project| project.describe("model.mini_shop.orders", "New words."));
        world.ok(&["sync"]);
        tell.send_replace(());
        assert!(!waiting.join().expect("an answer").rows().is_empty());
        let mut waiting = site.connect();
        let path = format!("/api/v1/changes?after={}&wait=60s", last + 1000);
        waiting.write_all(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes()).expect("sent");
        // It is asked for before the next request is answered, as far as that can be told from here.
        assert_eq!(site.get("/-/healthy").code, 200);
        site.tell_to_stop();
        let answer = crate::support::site::answer(&mut waiting).expect("an answer");
        assert_eq!((answer.code, answer.text().as_str()), (200, "[]\n"));
    });
}

#[test]
fn what_commands_answer_is_served_as_their_json() {
    let world = World::bundled();
    world.ok(&["sync"]);
    world.change(|project| project.describe("model.mini_shop.orders", "New words."));
    world.ok(&["sync"]);
    let site = Site::of(&world);
    let same = |path: &str, command: &[&str]| {
        let told = crate::support::json(&world.ok(&[command, &["--format", "json"]].concat()));
        assert_eq!(site.get(&format!("/api/v1/{path}")).rows(), told, "{path}");
        assert!(!told.is_empty(), "{path}");
    };
    same("coverage/summary", &["coverage"]);
    same(
        "coverage/summary?by=layer&packages=all&inherit=1",
        &["coverage", "--by", "layer", "--packages", "all", "--inherit"],
    );
    same(
        "coverage/summary?select=orders&environment=prod",
        &["coverage", "--select", "orders", "--environment", "prod"],
    );
    same("coverage/missing", &["coverage", "--missing"]);
    same("coverage/missing?by=owner&inherit=true", &["coverage", "--missing", "--by", "owner", "--inherit"]);
    same("impact?node=stg_orders", &["impact", "stg_orders"]);
    let column =
        world.cells("SELECT name FROM columns WHERE unique_id = 'model.mini_shop.stg_orders' LIMIT 1").remove(0);
    let whole = format!("stg_orders.{column}");
    same(&format!("impact?node={whole}"), &["impact", &whole]);
    same(&format!("impact?node=stg_orders&column={column}"), &["impact", &whole]);
    let health = site.get("/api/v1/health/summary").rows();
    let count = |status: &str| {
        let told = crate::support::json(&world.ok(&["health", "--status", status, "--format", "json"]));
        Value::from(told.len())
    };
    assert_eq!((&health[0]["environment"], health.len()), (&Value::from("prod"), 1));
    for status in lineaged::answers::HEALTH {
        assert_eq!(health[0][status], count(status), "{status}");
    }
    let overview = site.get("/api/v1/overview").rows();
    assert_eq!((&overview[0]["name"], &overview[0]["health"]), (&Value::from("prod"), &health[0]));
    let types = overview[0]["resource_types"].as_array().expect("a list");
    let models = types.iter().find(|row| row["resource_type"] == "model").expect("models");
    assert_eq!(models["nodes"].to_string(), world.cells("SELECT count(*) FROM nodes WHERE resource_type = 'model'")[0]);
    let trend = site.get("/api/v1/coverage/trend").rows();
    let summary = site.get("/api/v1/coverage/summary").rows();
    let (last, total) = (trend.last().expect("a point"), summary.last().expect("the total"));
    for figure in ["node_count", "documented", "documented_columns", "tested", "tested_percent"] {
        assert_eq!(last[figure], total[figure], "{figure}");
    }
    for (path, text) in [
        ("coverage/summary?by=colour", "one of environment, owner"),
        ("coverage/missing?packages=some", "one of own, all"),
        ("coverage/summary?inherit=yes", "one of 0, 1"),
        ("coverage/trend?environment=nowhere", "`prod`"),
        ("health/summary?colour=red", "`environment`"),
        ("overview?environment=nowhere", "`prod`"),
        ("impact?node=stg_orders.order_id&column=order_id", "leave out `column`"),
    ] {
        let answer = site.get(&format!("/api/v1/{path}"));
        assert_eq!(answer.code, 400, "{path}: {}", answer.text());
        assert!(answer.text().contains(text), "{path}: {}", answer.text());
    }
}

#[test]
fn a_change_of_code_is_told_with_the_code_before_and_after() {
    let world = World::bundled();
    world.ok(&["sync"]);
    world.change(|project| project.set_code("model.mini_shop.orders", "select 1 as new_words"));
    world.ok(&["sync"]);
    let site = Site::of(&world);
    let seq = world.cells("SELECT seq FROM changes WHERE kind = 'changed' AND field = 'raw_code'").remove(0);
    let change = site.get(&format!("/api/v1/changes/{seq}/code")).json();
    let now = world.cells("SELECT raw_code FROM code WHERE unique_id = 'model.mini_shop.orders'").remove(0);
    assert_eq!((&change["unique_id"], &change["after"]), (&Value::from("model.mini_shop.orders"), &Value::from(now)));
    assert!(change["difference"].as_str().is_some_and(|text| text.contains("\n+select 1 as new_words")), "{change}");
    assert!(change["before"].as_str().is_some_and(|text| !text.contains("new_words")), "{change}");
    for (seq, code) in [("1", 404), ("999999", 404), ("one", 400), ("0", 400)] {
        assert_eq!(site.get(&format!("/api/v1/changes/{seq}/code")).code, code, "{seq}");
    }
}

#[test]
fn the_description_names_every_schema_and_every_answer() {
    let world = two();
    let site = Site::of(&world);
    let described = site.get("/openapi.json").json();
    let schema = |view: &str, column: &str| described["components"]["schemas"][view]["properties"][column].clone();
    assert_eq!(schema("changes", "seq")["minimum"], 1);
    assert_eq!(schema("environments", "node_count")["minimum"], 0);
    assert_eq!(schema("syncs", "started_at")["format"], "date-time");
    assert_eq!(
        schema("tests", "status")["enum"],
        serde_json::json!(["pass", "warn", "fail", "error", "skipped", null])
    );
    let parameter = |view: &str, name: &str| {
        let all = described["paths"][format!("/api/v1/{view}")]["get"]["parameters"].as_array().expect("a list");
        all.iter().find(|it| it["name"] == name).expect("a parameter")["schema"].clone()
    };
    assert_eq!(parameter("nodes", "limit")["maximum"], 5000);
    assert_eq!(
        (&parameter("nodes", "name")["type"], &parameter("changes", "after")["minimum"]),
        (&"array".into(), &0.into())
    );
    assert!(
        parameter("nodes", "resource_type")["items"]["enum"]
            .as_array()
            .is_some_and(|words| words.contains(&"model".into()))
    );
    let answers = |path: &str, method: &str| {
        let responses = described["paths"][path][method]["responses"].as_object().expect("answers");
        let problem = "/content/application~1problem+json/schema/$ref";
        for (code, response) in responses.iter().filter(|(code, _)| code.as_str() >= "400") {
            let has_body = response.pointer(problem).is_some() || path == "/-/ready";
            assert!(has_body, "{method} {path} {code}");
        }
        responses.keys().cloned().collect::<Vec<_>>().join(" ")
    };
    for (path, item) in described["paths"].as_object().expect("paths") {
        for method in item.as_object().expect("methods").keys() {
            answers(path, method);
        }
    }
    assert_eq!(answers("/api/v1/changes", "get"), "200 304 400 401 403 406 410 421 503");
    assert_eq!(answers("/api/v1/sync", "post"), "200 202 400 401 403 409 421 503");
    assert_eq!(answers("/api/v1/nodes/{unique_id}", "get"), "200 304 400 401 403 404 409 421 503");
}
