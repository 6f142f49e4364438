//! The server on a real port, asked byte by byte: pages, guards, the webhook, and clients that misbehave.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit, Mac};
use lineaged::answers::VIEWS;
use lineaged::demo::Project;
use lineaged::time::Timestamp;
use serde_json::Value;
use sha2::Sha256;

use crate::support::site::{SECRET, Site, answer};
use crate::support::{ENVIRONMENT, World};

const TOKEN: &str = "a token of the api";

#[test]
fn as_of_a_time_the_api_shows_what_was_then() {
    let world = synced();
    let then = world.cells("SELECT max(finished_at) FROM syncs").remove(0);
    world.change(|project| {
        project.describe("model.mini_shop.orders", "new words");
        project.add_model("late_model", &["model.mini_shop.orders"]);
    });
    world.ok(&["sync"]);
    let site = Site::of(&world);
    let count = |path: &str| site.get(path).rows().len();
    assert_eq!(count("/api/v1/nodes"), count(&format!("/api/v1/nodes?as_of={then}")) + 1);
    let answer = site.get(&format!("/api/v1/nodes/model.mini_shop.orders?as_of={then}"));
    assert_eq!(answer.json()["description"], "Order facts.");
    assert_eq!(answer.header("etag"), None, "settings are as of now");
    assert_eq!(answer.header("lineaged-as-of"), Some(&*then));
    assert_eq!(answer.header("lineaged-of-now"), Some("settings, column_lineage, jobs, metric_dimensions"));
    assert_eq!(site.get("/api/v1/nodes").header("lineaged-as-of"), None);
    let seq = site.get("/api/v1/nodes").header("lineaged-seq").map(str::to_owned);
    assert_ne!(answer.header("lineaged-seq").map(str::to_owned), seq);
    let below = |query: &str| site.get(&format!("/api/v1/nodes/model.mini_shop.orders/lineage?{query}")).text();
    assert!(below("direction=downstream").contains("late_model"));
    assert!(!below(&format!("direction=downstream&as_of={then}")).contains("late_model"));
    let found =
        |query: &str| site.get(&format!("/api/v1/search?q=late_model{query}")).json()["hits"][0]["unique_id"].clone();
    assert_eq!((found(""), found(&format!("&as_of={then}"))), ("model.mini_shop.late_model".into(), Value::Null));
    for (time, text) in [("2026-01-01", "its history begins at"), ("soon", "is no time")] {
        let answer = site.get(&format!("/api/v1/nodes?as_of={time}"));
        assert_eq!(answer.code, 400);
        assert!(answer.text().contains(text), "{}", answer.text());
    }
}

#[test]
fn many_who_ask_for_other_moments_at_once_are_all_answered() {
    let world = World::bundled();
    let mut moments = Vec::new();
    for number in 0..4 {
        world.change(|project| project.add_model(&format!("late_{number}"), &["model.mini_shop.orders"]));
        world.ok(&["sync"]);
        moments.push(world.cells("SELECT max(finished_at) FROM syncs").remove(0));
    }
    let site = Site::of(&world);
    let count = |query: &str| site.get(&format!("/api/v1/nodes?resource_type=model{query}")).rows().len();
    let now = count("");
    std::thread::scope(|scope| {
        for (number, moment) in (0..4).zip(&moments).chain((0..4).zip(&moments)) {
            let count = &count;
            scope.spawn(move || assert_eq!(count(&format!("&as_of={moment}")), now - 3 + number));
            scope.spawn(move || assert_eq!(count(""), now));
        }
    });
}

fn synced() -> World {
    let world = World::bundled();
    world.ok(&["sync"]);
    world
}

/// What grows while the pages are read is left out.
fn without_age(mut rows: Vec<Value>) -> Vec<String> {
    for row in &mut rows {
        row.as_object_mut().expect("a row").remove("age_seconds");
    }
    rows.iter().map(Value::to_string).collect()
}

#[test]
fn pages_walk_every_view_exactly_once() {
    let world = World::bundled();
    for _ in 0..3 {
        world.ok(&["sync"]);
        world.change(|project| {
            project.touch();
            let words = format!("Words {}.", project.ids().len());
            project.describe("model.mini_shop.orders", &words);
            if project.node("exposure.mini_shop.churn_notebook").is_some() {
                project.remove("exposure.mini_shop.churn_notebook");
            }
        });
    }
    let site = Site::of(&world);
    for view in VIEWS {
        let whole = site.get(&format!("/api/v1/{view}?limit=5000").replace("catalog_info?limit=5000", "catalog_info"));
        let expected = whole.rows();
        assert_eq!(expected.len().to_string(), world.cells(&format!("SELECT count(*) FROM {view}"))[0], "{view}");
        let columns: BTreeSet<String> =
            lineaged::answers::view(view).expect(view).columns.iter().map(|column| column.name.to_owned()).collect();
        for row in &expected {
            assert_eq!(row.as_object().expect("a row").keys().cloned().collect::<BTreeSet<_>>(), columns, "{view}");
        }
        if view == "catalog_info" {
            continue;
        }
        for limit in [1, 7] {
            if limit == 1 && expected.len() > 60 {
                continue;
            }
            let (mut found, mut next) = (Vec::new(), Some(format!("/api/v1/{view}?limit={limit}")));
            while let Some(path) = next {
                let page = site.get(&path);
                found.extend(page.rows());
                assert!(page.header("lineaged-seq").is_some(), "{view}");
                next = page.next();
            }
            assert_eq!(without_age(found), without_age(expected.clone()), "{view} by {limit}");
        }
    }
}

#[test]
fn filters_are_those_that_are_named_and_unknown_ones_are_refused() {
    let world = synced();
    let site = Site::of(&world);
    for (path, sql) in [
        ("nodes?resource_type=model", "nodes WHERE resource_type = 'model'"),
        ("nodes?environment=prod&resource_type=source", "nodes WHERE resource_type = 'source'"),
        ("edges?child_id=model.mini_shop.orders", "edges WHERE child_id = 'model.mini_shop.orders'"),
        ("columns?unique_id=model.mini_shop.orders", "columns WHERE unique_id = 'model.mini_shop.orders'"),
        ("tests?status=pass", "tests WHERE status = 'pass'"),
        ("changes?kind=added&after=3", "changes WHERE kind = 'added' AND seq > 3"),
        ("changes?sync_id=1", "changes WHERE sync_id = 1"),
        ("syncs?trigger=manual&outcome=applied", "syncs WHERE outcome = 'applied'"),
        ("nodes?name=x%27%20OR%201=1", "nodes WHERE 0"),
        (
            "nodes?select=stg_orders%20stg_customers&exclude=resource_type:test",
            "nodes WHERE name IN ('stg_orders', 'stg_customers')",
        ),
        ("columns?select=stg_orders", "columns WHERE unique_id = 'model.mini_shop.stg_orders'"),
        (
            "changes?since=1d&select=stg_orders&exclude=test_type:data",
            "changes WHERE unique_id = 'model.mini_shop.stg_orders'",
        ),
        ("changes?until=1d", "changes WHERE 0"),
        ("health?status=degraded", "health WHERE status = 'degraded'"),
    ] {
        let found = site.get(&format!("/api/v1/{path}")).rows().len().to_string();
        assert_eq!(found, world.cells(&format!("SELECT count(*) FROM {sql}"))[0], "{path}");
    }
    for (path, code, text) in [
        ("nodes?colour=red", 400, "`resource_type`"),
        ("nodes?colour=red&limit=1", 400, "`limit`, `after`, `environment`"),
        ("nodes?select=stat:x", 400, "there is no method `stat`"),
        ("nodes?select=+orders", 400, "write `%2B`"),
        ("changes?since=soon", 400, "is no time"),
        ("nodes?limit=0", 400, "at least 1"),
        ("nodes?limit=5001", 400, "5000"),
        ("nodes?after=7", 400, "`Link`"),
        ("changes?after=-1", 400, "at least 0"),
        ("changes?sync_id=one", 400, "whole number"),
        ("nodes?environment=nowhere", 400, "`prod`"),
        ("catalog_info?limit=1", 400, "`as_of`"),
        ("nowhere", 404, "openapi"),
    ] {
        let answer = site.get(&format!("/api/v1/{path}"));
        assert_eq!(answer.code, code, "{path}: {}", answer.text());
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{path}");
        let problem = answer.json();
        assert_eq!(problem["status"], code, "{path}");
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains(text)), "{path}: {problem}");
    }
    assert_eq!(site.post("/api/v1/nodes", "").code, 405);
}

#[test]
fn a_node_comes_with_what_is_around_it_and_an_unknown_one_with_the_nearest() {
    let world = World::with(
        vec![(ENVIRONMENT, Project::bundled(Timestamp::now())), (2, Project::bundled(Timestamp::now()))],
        "",
    );
    world.server.change(2, |project| drop(project.add_model("only_here", &["model.mini_shop.orders"])));
    world.ok(&["sync"]);
    let site = Site::of(&world);
    let several = site.get("/api/v1/nodes/model.mini_shop.orders");
    assert_eq!(several.code, 409);
    assert!(several.text().contains("`env2` or `prod`"), "{}", several.text());
    let node = site.get("/api/v1/nodes/model.mini_shop.orders?environment=prod").json();
    assert_eq!(node["unique_id"], "model.mini_shop.orders");
    let list = |name: &str| node[name].as_array().expect(name).len().to_string();
    let of = "environment_id = 834 AND";
    let id = "'model.mini_shop.orders'";
    assert_eq!(list("columns"), world.cells(&format!("SELECT count(*) FROM columns WHERE {of} unique_id = {id}"))[0]);
    assert_eq!(list("parents"), world.cells(&format!("SELECT count(*) FROM edges WHERE {of} child_id = {id}"))[0]);
    assert_eq!(list("children"), world.cells(&format!("SELECT count(*) FROM edges WHERE {of} parent_id = {id}"))[0]);
    assert!(node["parents"][0].is_string(), "{node}");
    assert_eq!(site.get("/api/v1/nodes/model.mini_shop.only_here").json()["environment_id"], 2);
    let unknown = site.get("/api/v1/nodes/model.mini_shop.oders");
    assert_eq!(unknown.code, 404);
    assert_eq!(unknown.json()["nearest"][0], "model.mini_shop.orders");
    assert!(unknown.header("lineaged-seq").is_some());
    assert_eq!(site.get("/api/v1/nodes/%00%F0%9F%98%80'\"").code, 404);
}

#[test]
fn lineage_is_signed_and_as_deep_as_asked() {
    if !VIEWS.contains(&"lineage") {
        return;
    }
    let world = synced();
    let site = Site::of(&world);
    let of = |question: &str| site.get(&format!("/api/v1/nodes/model.mini_shop.orders/lineage{question}")).rows();
    let up = "SELECT count(*) FROM lineage WHERE descendant_id = 'model.mini_shop.orders'";
    let down = "SELECT count(*) FROM lineage WHERE ancestor_id = 'model.mini_shop.orders'";
    let all = of("");
    let count = |wanted: fn(i64) -> bool| {
        all.iter().filter(|row| wanted(row["depth"].as_i64().expect("a depth"))).count().to_string()
    };
    assert_eq!(
        [count(|depth| depth < 0), count(|depth| depth > 0)],
        [world.cells(up)[0].clone(), world.cells(down)[0].clone()]
    );
    assert!(of("?direction=upstream&depth=1").iter().all(|row| row["depth"] == -1));
    assert!(of("?direction=downstream").iter().all(|row| row["depth"].as_i64() > Some(0)));
    let wrong = site.get("/api/v1/nodes/model.mini_shop.orders/lineage?direction=sideways");
    assert_eq!(wrong.code, 400);
}

#[test]
fn an_etag_holds_until_a_sync_is_applied() {
    let world = synced();
    let site = Site::of(&world);
    let first = site.get("/api/v1/nodes");
    let tag = first.header("etag").expect("a tag").to_owned();
    let again = site.get_with("/api/v1/nodes", &format!("If-None-Match: \"x\", {tag}"));
    assert_eq!((again.code, again.body.len()), (304, 0));
    assert_eq!(again.header("lineaged-seq"), first.header("lineaged-seq"));
    assert_ne!(site.get("/api/v1/edges").header("etag"), Some(tag.as_str()));
    assert_ne!(site.get("/api/v1/nodes?limit=1").header("etag"), Some(tag.as_str()));
    let syncs = site.get("/api/v1/syncs").header("etag").expect("a tag").to_owned();
    world.ok(&["sync"]);
    let same = |path: &str, tag: &str| site.get_with(path, &format!("If-None-Match: {tag}")).code;
    assert_eq!(same("/api/v1/nodes", &tag), 304, "an unchanged sync changes no node");
    assert_eq!(same("/api/v1/syncs", &syncs), 200, "but there is one sync more");
    world.change(|project| project.describe("model.mini_shop.orders", "New words."));
    world.ok(&["sync"]);
    assert_eq!(same("/api/v1/nodes", &tag), 200);
}

#[test]
fn what_the_clock_moves_has_no_etag() {
    let world = synced();
    let site = Site::of(&world);
    for (path, kept) in [
        ("changes", true),
        ("changes?since=2026-01-01", true),
        ("changes?since=2026-01-01T00:00:00Z&until=2999-01-01", true),
        ("changes?since=5m", false),
        ("changes?until=1h", false),
        ("changes?since=2026-01-01&until=0m", false),
        ("changes?since=%205m", false),
        ("freshness", false),
        ("health", false),
        ("nodes?as_of=0m", false),
    ] {
        let answer = site.get(&format!("/api/v1/{path}"));
        assert_eq!((answer.code, answer.header("etag").is_some()), (200, kept), "{path}");
        let again = site.get_with(&format!("/api/v1/{path}"), "If-None-Match: *");
        assert_eq!(again.code, if kept { 304 } else { 200 }, "{path}");
    }
}

#[test]
fn an_approval_is_not_hidden_by_an_etag() {
    let world = synced();
    let site = Site::of(&world);
    let tag = site.get("/api/v1/syncs").header("etag").expect("a tag").to_owned();
    let writer = rusqlite::Connection::open(world.catalog()).expect("open");
    writer.execute("UPDATE sync SET approved_at = '2026-11-24T12:00:00.000Z'", []).expect("approved");
    assert_eq!(site.get_with("/api/v1/syncs", &format!("If-None-Match: {tag}")).code, 200);
}

#[test]
fn the_feed_says_where_history_begins() {
    let world = synced();
    let site = Site::of(&world);
    assert_eq!(site.get("/api/v1/changes?after=0&limit=2").next().expect("more"), "/api/v1/changes?limit=2&after=2");
    let last = world.cells("SELECT last_seq FROM catalog_info")[0].clone();
    assert!(site.get(&format!("/api/v1/changes?after={last}")).rows().is_empty());
    let writer = rusqlite::Connection::open(world.catalog()).expect("open");
    writer.execute_batch("DELETE FROM change WHERE seq <= 5; UPDATE identity SET oldest_seq = 6").expect("forgotten");
    let gone = site.get("/api/v1/changes?after=4");
    assert_eq!((gone.code, &gone.json()["oldest_seq"]), (410, &Value::from(6)));
    assert_eq!(site.get("/api/v1/changes?after=5&limit=1").rows()[0]["seq"], 6);
    assert_eq!(site.get("/api/v1/changes?limit=1").rows()[0]["seq"], 6);
    writer.execute_batch("DELETE FROM change; UPDATE identity SET oldest_seq = last_seq + 1").expect("forgotten");
    assert_eq!(site.get("/api/v1/changes?after=5").code, 410);
    assert!(site.get(&format!("/api/v1/changes?after={last}")).rows().is_empty());
}

#[test]
fn answers_are_compressed_for_those_who_ask() {
    let world = synced();
    let site = Site::of(&world);
    let plain = site.get("/api/v1/nodes");
    let packed = site.get_with("/api/v1/nodes", "Accept-Encoding: gzip");
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    let mut text = Vec::new();
    flate2::read::GzDecoder::new(packed.body.as_slice()).read_to_end(&mut text).expect("gzip");
    assert_eq!(text, plain.body);
    assert!(packed.body.len() < plain.body.len() / 3);
}

#[test]
fn only_our_hosts_are_served() {
    let world = synced();
    let site = Site::of(&world);
    let port = site.address.port();
    for (line, served) in [
        ("Host: localhost".to_owned(), true),
        (format!("Host: localhost:{port}"), true),
        ("Host: LocalHost.".to_owned(), true),
        ("Host: 127.0.0.1:1".to_owned(), true),
        ("Host: [::1]:8585".to_owned(), true),
        ("Host: catalog.EXAMPLE".to_owned(), true),
        ("Host: catalog.example.:443".to_owned(), true),
        ("Host: evil.example".to_owned(), false),
        ("Host: localhost.evil.example".to_owned(), false),
        ("Host: localhost..".to_owned(), false),
        ("Host: user@localhost".to_owned(), false),
        ("Host: 127.0.0.2".to_owned(), false),
        ("Host: ".to_owned(), false),
        ("Host: localhost\r\nHost: localhost".to_owned(), false),
        ("Accept: */*".to_owned(), false),
    ] {
        for path in ["/api/v1/catalog_info", "/metrics", "/-/healthy", "/"] {
            let answer = site.send(&format!("GET {path} HTTP/1.1\r\n{line}"), b"");
            let refused = matches!(answer.code, 421 | 400);
            assert_eq!((answer.code == 200, refused), (served, !served), "{line} {path}: {}", answer.code);
        }
    }
    let whole = site.send("GET http://evil.example/-/healthy HTTP/1.1\r\nHost: localhost", b"");
    assert_eq!(whole.code, 421);
}

#[test]
fn no_other_web_site_starts_a_sync() {
    let world = synced();
    let site = Site::with(&world, |state| state.limits.begin = Duration::ZERO);
    let own = format!("http://{}", site.address);
    for (headers, code) in [
        (String::new(), 202),
        ("\r\nSec-Fetch-Site: same-origin".to_owned(), 202),
        ("\r\nSec-Fetch-Site: none".to_owned(), 202),
        ("\r\nSec-Fetch-Site: same-site".to_owned(), 403),
        ("\r\nSec-Fetch-Site: cross-site".to_owned(), 403),
        ("\r\nSec-Fetch-Site: none\r\nSec-Fetch-Site: none".to_owned(), 403),
        (format!("\r\nOrigin: {own}"), 202),
        (format!("\r\nOrigin: {own}\r\nSec-Fetch-Site: cross-site"), 403),
        ("\r\nOrigin: null".to_owned(), 403),
        ("\r\nOrigin: http://evil.example".to_owned(), 403),
        (format!("\r\nOrigin: http://127.0.0.1:{}", site.address.port().wrapping_add(1)), 403),
        (format!("\r\nOrigin: {own}.evil.example"), 403),
    ] {
        let answer = site.post("/api/v1/sync", &headers);
        assert_eq!(answer.code, code, "{headers}: {}", answer.text());
        assert!(answer.headers.iter().all(|(name, _)| !name.starts_with("access-control")), "{answer:?}");
    }
    assert_eq!(site.get("/api/v1/sync").code, 405);
    assert_eq!(site.post("/api/v1/sync?environment=nowhere", "").code, 400);
    for path in ["/", "/metrics", "/api/v1/nodes", "/nowhere"] {
        let answer = site.get(path);
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"), "{path}");
        assert!(answer.header("content-security-policy").is_some_and(|policy| policy.contains("'none'")), "{path}");
    }
}

#[test]
fn beyond_loopback_every_route_of_the_api_needs_the_token() {
    let world = synced();
    let beyond = |token: Option<&'static str>| {
        Site::with(&world, move |state| {
            state.http.listen = "0.0.0.0:8585".parse().expect("an address");
            state.http.api_token = token.map(Into::into);
            (state.limits.wrong_token, state.limits.begin) = (Duration::ZERO, Duration::ZERO);
        })
    };
    let site = beyond(Some(TOKEN));
    for path in [
        "/api/v1/nodes",
        "/api/v1/catalog_info",
        "/api/v1/nodes/model.mini_shop.orders",
        "/api/v1/changes?after=0",
        "/metrics",
        "/openapi.json",
    ] {
        assert_eq!(site.get_with(path, &format!("Authorization: Bearer {TOKEN}")).code, 200, "{path}");
        for wrong in [
            "Bearer",
            "Bearer ",
            "Bearer a token of the apj",
            "Basic a token of the api",
            "bearer a token of the api",
            TOKEN,
        ] {
            assert_eq!(site.get_with(path, &format!("Authorization: {wrong}")).code, 401, "{path} {wrong}");
        }
        let refused = site.get(path);
        assert_eq!((refused.code, refused.header("www-authenticate")), (401, Some("Bearer")), "{path}");
        for method in ["HEAD", "OPTIONS", "POST", "PUT", "X"] {
            let answer = site.send(&format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0"), b"");
            assert_eq!(answer.code, 401, "{method} {path}");
        }
    }
    assert_eq!(site.get("/api/v1/nowhere").code, 401, "not even which routes there are");
    for open in ["/", "/-/healthy", "/-/ready"] {
        assert_eq!(site.get(open).code, 200, "{open}");
    }
    assert_eq!(site.get("/api/v1/nodes?api_token=a%20token%20of%20the%20api").code, 401);
    assert_eq!(site.post("/api/v1/sync", "").code, 401);
    assert_eq!(site.post("/api/v1/sync", &format!("\r\nAuthorization: Bearer {TOKEN}")).code, 202);
    assert_eq!(beyond(None).get("/api/v1/nodes").code, 401, "without a token nobody is let in");
}

#[test]
fn a_wrong_token_waits_for_its_answer_and_makes_room_for_others() {
    let world = synced();
    let site = Site::with(&world, |state| {
        state.http.api_token = Some(TOKEN.into());
        state.limits.connections = 3;
        state.limits.wrong_token = Duration::from_secs(600);
    });
    let guess = || {
        let mut stream = site.connect();
        let head = format!("GET /api/v1/nodes HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer x\r\n\r\n", site.address);
        stream.write_all(head.as_bytes()).expect("sent");
        stream
    };
    let mut guesses: Vec<TcpStream> = (0..5).map(|_| guess()).collect();
    // Each of the first ones made room for a later one, without an answer.
    assert!(answer(&mut guesses[0]).is_none());
    assert_eq!(site.get_with("/api/v1/catalog_info", &format!("Authorization: Bearer {TOKEN}")).code, 200);
    assert_eq!(site.get("/api/v1/nodes").code, 401, "who has none is told at once");
}

#[test]
fn no_other_web_site_reads_through_a_browser() {
    let world = synced();
    let site = Site::of(&world);
    let own = format!("Origin: http://{}", site.address);
    for (header, code) in [
        ("Accept: */*", 200),
        ("Sec-Fetch-Site: same-origin", 200),
        ("Sec-Fetch-Site: none", 200),
        (own.as_str(), 200),
        ("Sec-Fetch-Site: same-site", 403),
        ("Sec-Fetch-Site: cross-site", 403),
        ("Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document", 403),
        ("Sec-Fetch-Site: Cross-Site", 403),
        ("Sec-Fetch-Site: ", 403),
        ("Sec-Fetch-Site: none\r\nSec-Fetch-Site: none", 403),
        ("Origin: http://evil.example", 403),
        ("Origin: null", 403),
    ] {
        for path in ["/api/v1/catalog_info", "/api/v1/nodes/model.mini_shop.orders", "/api/v1/search?q=a", "/metrics"] {
            assert_eq!(site.get_with(path, header).code, code, "{path} {header}");
            let head = site.send(
                &format!(
                    "HEAD {path} HTTP/1.1\r\nHost: localhost:{}\r\n{}",
                    site.address.port(),
                    header.replace("127.0.0.1", "localhost")
                ),
                b"",
            );
            assert_eq!(head.code, code, "HEAD {path} {header}");
        }
        for path in ["/", "/-/healthy", "/-/ready"] {
            assert_eq!(site.get_with(path, header).code, 200, "{path} {header}");
        }
    }
    for method in ["OPTIONS", "POST", "X"] {
        let line = format!("{method} /api/v1/nodes HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: cross-site");
        assert_eq!(site.send(&line, b"").code, 403, "{method}");
    }
}

#[test]
fn a_selector_of_a_stranger_is_bounded_and_says_how() {
    let world = synced();
    let site = Site::of(&world);
    let begun = Instant::now();
    for (selector, bound) in [
        (format!("*[{}", "a-z".repeat(3_000)), "1000 characters"),
        (format!("path:{}", "**/".repeat(3_000)), "1000 characters"),
        (format!("config.{}x:y", "a.".repeat(3_000)), "1000 characters"),
        (vec!["a"; 2_001].join("%20"), "2000 criteria"),
        ("a,".repeat(2_001) + "a", "2000 criteria"),
    ] {
        for path in ["nodes?select=", "nodes?exclude=", "search?q=a&select=", "changes?exclude="] {
            let answer = site.get(&format!("/api/v1/{path}{selector}"));
            let problem = answer.text();
            assert_eq!(answer.code, 400, "{path}: {problem}");
            assert!(problem.contains(bound) && problem.len() < 1_000, "{path}: {problem}");
        }
    }
    for selector in
        ["*a".repeat(490), "*[a-z]".repeat(150), format!("path:{}", "**/*a*/".repeat(140)), vec!["@*"; 300].join("%20")]
    {
        assert_eq!(site.get(&format!("/api/v1/nodes?select={selector}&limit=1")).code, 200, "{selector}");
    }
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
    let ran = world.run(&["ls", "--select", &"x".repeat(1_001)]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.stderr.contains("1000 characters"), "{ran:?}");
}

fn signed(body: &[u8]) -> String {
    let mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("any length").chain_update(body);
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn event(number: usize) -> String {
    format!(
        r#"{{"accountId":1,"eventId":"wev_{number}","timestamp":"{}","eventType":"job.run.completed","data":{{"environmentId":"834"}}}}"#,
        Timestamp::now()
    )
}

#[test]
fn a_signed_delivery_makes_an_environment_due_and_nothing_else_does() {
    let world = synced();
    let site = Site::of(&world);
    let body = event(1);
    let signature = signed(body.as_bytes());
    let authorization = |text: &str| format!("\r\nAuthorization: {text}");
    for place in 0..body.len() {
        let mut forged = body.clone().into_bytes();
        forged[place] ^= 1;
        assert_eq!(site.deliver(&forged, &authorization(&signature)).code, 401, "byte {place} of the body");
    }
    for place in 0..signature.len() {
        let mut forged = signature.clone().into_bytes();
        forged[place] = if forged[place] == b'0' { b'1' } else { b'0' };
        let forged = String::from_utf8(forged).expect("text");
        assert_eq!(site.deliver(body.as_bytes(), &authorization(&forged)).code, 401, "digit {place}");
    }
    for wrong in [
        String::new(),
        authorization(&signature.to_uppercase()),
        authorization(&format!("Bearer {signature}")),
        authorization(&signature[..62]),
        format!("{0}{0}", authorization(&signature)),
    ] {
        let refused = site.deliver(body.as_bytes(), &wrong);
        assert_eq!((refused.code, refused.header("www-authenticate")), (401, None), "{wrong}");
        assert_eq!(refused.json()["detail"], "the signature does not match `webhook.secret`");
    }
    let first = site.deliver(body.as_bytes(), &authorization(&signature));
    assert_eq!((first.code, first.json()["result"].as_str()), (200, Some("accepted")));
    let replayed = site.deliver(body.as_bytes(), &authorization(&signature));
    assert_eq!((replayed.code, replayed.json()["result"].as_str()), (200, Some("duplicate")));
    let metrics = site.get("/metrics").text();
    assert!(metrics.contains("lineaged_webhook_deliveries_total{result=\"accepted\"} 1\n"), "{metrics}");
    let broken = site.deliver(b"{", &authorization(&signed(b"{")));
    assert_eq!((broken.code, broken.json()["result"].as_str()), (200, Some("unreadable")));
    let forged = metrics.lines().find(|line| line.starts_with("lineaged_webhook_deliveries_total{result=\"forged\"}"));
    assert!(forged.is_some_and(|line| !line.ends_with(" 0")), "{metrics}");
    for (time, result) in [("2099-01-01T00:00:00Z", "ahead"), ("2020-01-01T00:00:00Z", "old"), ("", "undated")] {
        let body = event(2);
        let at = body.find("20").expect("a time");
        let body = format!("{}{time}{}", &body[..at], &body[at + 24..]);
        let answer = site.deliver(body.as_bytes(), &authorization(&signed(body.as_bytes())));
        assert_eq!((answer.code, answer.json()["result"].as_str()), (200, Some(result)), "{body}");
    }
}

#[test]
fn an_oversized_delivery_is_refused_and_without_a_secret_there_is_no_webhook() {
    let world = synced();
    let site = Site::of(&world);
    let large = vec![b' '; (1 << 20) + 1];
    let authorization = format!("\r\nAuthorization: {}", signed(&large));
    assert_eq!(site.deliver(&large, &authorization).code, 413);
    let head = format!("POST /webhooks/dbt HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked{authorization}");
    let chunk = [format!("{:x}\r\n", large.len()).as_bytes(), &large, b"\r\n0\r\n\r\n"].concat();
    assert_eq!(site.send(&head, &chunk).code, 413);
    let fits = vec![b' '; 1 << 20];
    assert_eq!(site.deliver(&fits, &format!("\r\nAuthorization: {}", signed(&fits))).code, 200);
    let closed = Site::with(&world, |state| state.webhook_secret = None);
    assert_eq!(closed.deliver(b"{}", &format!("\r\nAuthorization: {}", signed(b"{}"))).code, 404);
}

#[test]
fn a_thousand_deliveries_mark_one_environment() {
    let world = synced();
    let site = Site::of(&world);
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let site = &site;
            scope.spawn(move || {
                for number in 0..250 {
                    let body = event(worker * 250 + number);
                    let authorization = format!("\r\nAuthorization: {}", signed(body.as_bytes()));
                    assert_eq!(site.deliver(body.as_bytes(), &authorization).code, 200);
                }
            });
        }
    });
    let metrics = site.get("/metrics").text();
    assert!(metrics.contains("lineaged_webhook_deliveries_total{result=\"accepted\"} 1000\n"), "{metrics}");
    assert!(format!("{:?}", site.due).contains("Webhook"), "{:?}", site.due);
}

#[test]
fn slow_and_silent_clients_are_cut_off() {
    let world = synced();
    let site = Site::with(&world, |state| {
        state.limits.header = Duration::from_millis(200);
        state.limits.body = Duration::from_millis(200);
    });
    for begin in ["", "GET / HT", "GET / HTTP/1.1\r\nHost: localhost\r\n"] {
        let mut stream = site.connect();
        stream.write_all(begin.as_bytes()).expect("sent");
        let begun = Instant::now();
        let end = answer(&mut stream).map(|answer| answer.code);
        assert!(matches!(end, None | Some(408)), "{begin}: {end:?}");
        assert!(begun.elapsed() < Duration::from_secs(5), "{begin}");
    }
    let mut idle = site.connect();
    idle.write_all(b"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("sent");
    assert_eq!(answer(&mut idle).expect("an answer").code, 200, "and then the end of the connection");
    let head = "POST /webhooks/dbt HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100";
    assert_eq!(site.send(head, b"half of").code, 408);
    let long = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}", "x".repeat(100_000));
    assert_eq!(site.send(&long, b"").code, 431);
}

#[test]
fn whoever_is_silent_longest_makes_room_for_the_next() {
    let world = synced();
    let site = Site::with(&world, |state| {
        state.limits.connections = 8;
        state.limits.per_address = 8;
        state.limits.header = Duration::from_secs(600);
        state.limits.body = Duration::from_secs(600);
    });
    let mut idle = site.connect();
    idle.write_all(b"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("sent");
    let begins: [&str; 4] = [
        "",
        "GET / HT",
        "GET / HTTP/1.1\r\nHost: localhost\r\nX: y",
        "POST /webhooks/dbt HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nhalf",
    ];
    let slow = |number: usize| {
        let mut stream = site.connect();
        // It may be sent away before it has said anything.
        let _ = stream.write_all(begins[number % begins.len()].as_bytes());
        stream
    };
    let mut silent: Vec<TcpStream> = (0..500).map(slow).collect();
    for _ in 0..5 {
        assert_eq!(site.get("/-/healthy").code, 200);
        assert_eq!(site.get("/api/v1/catalog_info").code, 200);
    }
    assert!(answer(&mut silent[0]).is_none(), "it was sent away");
    drop(silent);
    let begun = Instant::now();
    assert!(site.stop() < Duration::from_secs(10) && begun.elapsed() < Duration::from_secs(10));
}

#[test]
fn who_takes_no_answers_is_cut_off() {
    let world = synced();
    let site = Site::with(&world, |state| {
        state.limits.connections = 1;
        state.limits.write = Duration::from_millis(200);
    });
    let mut greedy = site.connect();
    greedy.set_nonblocking(true).expect("set");
    let request = "GET /api/v1/nodes?limit=5000 HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(2000);
    // As much as fits; none of the answers is read.
    let _ = greedy.write_all(request.as_bytes());
    assert_eq!(site.get("/-/healthy").code, 200, "when the greedy one has gone");
}

#[test]
fn a_read_waits_for_its_turn_and_gives_up() {
    let world = synced();
    let site = Site::with(&world, |state| {
        state.limits.readers = 0;
        state.limits.reader_wait = Duration::from_millis(50);
    });
    let busy = site.get("/api/v1/nodes");
    assert_eq!((busy.code, busy.header("retry-after")), (503, Some("2")));
    assert_eq!(site.get("/-/ready").code, 200, "who watches us does not wait behind them");
    assert_eq!(site.get("/-/healthy").code, 200);
    assert!(site.get("/metrics").text().contains("lineaged_catalog_readable 1\n"));
    let late = Site::with(&world, |state| state.limits.request = Duration::ZERO);
    assert_eq!(late.get("/api/v1/nodes").code, 503);
}

#[test]
fn the_server_stops_whoever_hangs_on() {
    let world = synced();
    let site = Site::with(&world, |state| state.limits.grace = Duration::from_millis(500));
    let mut half = site.connect();
    half.write_all(b"GET / HTTP/1.1\r\nHost: loc").expect("sent");
    let mut body = site.connect();
    body.write_all(b"POST /webhooks/dbt HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{").expect("sent");
    let mut idle = site.connect();
    idle.write_all(b"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("sent");
    let mut some = [0; 12];
    idle.read_exact(&mut some).expect("an answer");
    let took = site.stop();
    assert!(took < Duration::from_secs(3), "{took:?}");
}

#[test]
fn it_is_ready_once_a_sync_was_complete() {
    let world = World::bundled();
    let site = Site::of(&world);
    assert_eq!(site.get("/-/healthy").code, 200);
    let early = site.get("/-/ready");
    assert_eq!((early.code, early.json()["ready"].as_bool()), (503, Some(false)));
    assert_eq!(site.get("/api/v1/nodes").code, 503);
    world.ok(&["sync"]);
    assert_eq!(site.get("/-/ready").code, 200);
    assert_eq!(site.get("/api/v1/nodes").code, 200);
}

#[test]
fn metrics_parse_line_by_line() {
    let world = synced();
    let site = Site::of(&world);
    let answer = site.get("/metrics");
    assert!(answer.header("content-type").is_some_and(|kind| kind.starts_with("application/openmetrics-text")));
    let text = answer.text();
    let mut types = BTreeSet::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            types.insert(rest.split(' ').next().expect("a name").to_owned());
            continue;
        }
        if line.starts_with('#') {
            continue;
        }
        let (series, value) = line.rsplit_once(' ').expect(line);
        value.parse::<f64>().expect(line);
        let name = series.split('{').next().expect("a name");
        assert!(types.iter().any(|known| name.starts_with(known.as_str())), "{line}");
    }
    for name in ["lineaged_syncs", "lineaged_sync_duration_seconds", "lineaged_nodes", "lineaged_http_requests"] {
        assert!(types.contains(name), "{name}");
    }
}

#[test]
fn the_description_is_openapi_3_1_and_names_every_route() {
    let world = synced();
    let site = Site::of(&world);
    let described = site.get("/openapi.json").json();
    assert!(described["openapi"].as_str().is_some_and(|version| version.starts_with("3.1.")), "{described}");
    let standard: Value = serde_json::from_str(include_str!("openapi-3.1.schema.json")).expect("the standard");
    let mut compiler = boon::Compiler::new();
    compiler.add_resource("https://openapi.test/schema", standard).expect("added");
    let mut schemas = boon::Schemas::new();
    let schema = compiler.compile("https://openapi.test/schema", &mut schemas).expect("compiled");
    schemas.validate(&described, schema).unwrap_or_else(|error| panic!("{error:#}"));
    let mut expected: BTreeSet<String> = VIEWS.iter().map(|view| format!("/api/v1/{view}")).collect();
    let others = "/api/v1/nodes/{unique_id} /api/v1/nodes/{unique_id}/lineage \
                  /api/v1/nodes/{unique_id}/columns/{name}/lineage /api/v1/impact /api/v1/search /api/v1/sync \
                  /api/v1/overview /api/v1/health/summary /api/v1/coverage/summary /api/v1/coverage/missing \
                  /api/v1/coverage/trend /api/v1/changes/{seq}/code /webhooks/dbt / \
                  /metrics /-/healthy /-/ready /openapi.json";
    expected.extend(others.split_whitespace().map(str::to_owned));
    let paths = described["paths"].as_object().expect("paths");
    assert_eq!(paths.keys().cloned().collect::<BTreeSet<_>>(), expected);
    let mut operations = BTreeSet::new();
    for (path, item) in paths {
        for (method, operation) in item.as_object().expect("an item") {
            let id = operation["operationId"].as_str().expect("an id");
            assert!(operations.insert(id.to_owned()), "`{id}` is there twice");
            let address = path.replace("{unique_id}", "model.mini_shop.orders").replace("{name}", "amount");
            let address = address.replace("{seq}", "no_number");
            let code = if method == "get" { site.get(&address).code } else { site.post(&address, "").code };
            assert!(!matches!(code, 404 | 405), "{method} {address}: {code}");
        }
    }
    let text = described.to_string();
    let references = text.match_indices("\"$ref\":\"#").map(|(at, found)| &text[at + found.len()..]);
    for reference in references {
        let pointer = reference.split('"').next().expect("a reference");
        assert!(described.pointer(pointer).is_some(), "{pointer} leads nowhere");
    }
}

#[test]
fn the_rows_of_every_view_are_as_they_are_described() {
    let world = World::bundled();
    world.ok(&["sync"]);
    world.change(|project| {
        project.describe("model.mini_shop.orders", "New words.");
        project.remove("exposure.mini_shop.churn_notebook");
    });
    world.ok(&["sync"]);
    let site = Site::of(&world);
    let described = site.get("/openapi.json").json();
    for view in lineaged::answers::SHAPES {
        let pointer =
            format!("/paths/~1api~1v1~1{}/get/responses/200/content/application~1json/schema/items/$ref", view.name);
        assert_eq!(described.pointer(&pointer), Some(&format!("#/components/schemas/{}", view.name).into()));
        let row = described.pointer(&format!("/components/schemas/{}", view.name)).expect("a schema");
        let properties = row["properties"].as_object().expect("columns");
        let schema = serde_json::json!({ "type": "array", "items": row });
        assert_eq!(properties.len(), view.columns.len(), "{}", view.name);
        let (mut compiler, mut schemas) = (boon::Compiler::new(), boon::Schemas::new());
        compiler.enable_format_assertions();
        compiler.add_resource("https://rows.test/schema", schema).expect("added");
        let compiled = compiler.compile("https://rows.test/schema", &mut schemas).expect("compiled");
        let rows = site.get(&format!("/api/v1/{}", view.name)).json();
        schemas.validate(&rows, compiled).unwrap_or_else(|error| panic!("{}: {error:#}", view.name));
    }
    let of = |view: &str, column: &str| described["components"]["schemas"][view]["properties"][column]["type"].clone();
    assert_eq!(of("nodes", "tags"), serde_json::json!(["array", "null"]));
    assert_eq!(of("nodes", "properties"), serde_json::json!(["object", "null"]));
    assert_eq!(of("changes", "seq"), "integer");
    assert!(of("changes", "before").is_null(), "any JSON");
}

#[test]
fn a_search_answers_like_the_command_and_says_what_it_left_out() {
    let world = synced();
    let site = Site::of(&world);
    let expected = crate::support::json(&world.ok(&["search", "orders", "tag:nightly", "--format", "json"]));
    let answer = site.get("/api/v1/search?q=orders+tag:nightly&limit=500");
    assert_eq!(answer.code, 200, "{answer:?}");
    assert_eq!(answer.json(), serde_json::json!({"hits": expected, "left_out": 0}));
    assert!(answer.header("etag").is_some() && answer.header("lineaged-seq").is_some(), "{answer:?}");
    let short = site.get("/api/v1/search?q=orders&limit=2").json();
    assert_eq!(short["hits"].as_array().map(Vec::len), Some(2));
    assert!(short["left_out"].as_i64().is_some_and(|more| more > 10), "{short}");
    for (query, code, part) in [
        ("", 400, "`q` is missing"),
        ("?q=a&limit=501", 400, "500 at most"),
        ("?q=a&limit=x", 400, "whole number"),
        ("?q=a&page=2", 400, "no parameter `page`"),
        ("?q=a&environment=nowhere", 400, "no environment `nowhere`"),
    ] {
        let answer = site.get(&format!("/api/v1/search{query}"));
        assert_eq!(answer.code, code, "{query}: {answer:?}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        assert!(answer.text().contains(part), "{query}: {}", answer.text());
    }
    for hostile in ["%22", "%00", "%22%22%20AND%20(", "NEAR(", "%F0%9F%8E%89", "*", "col:%22", "%FF"] {
        let answer = site.get(&format!("/api/v1/search?q={hostile}"));
        assert_eq!((answer.code, &answer.json()["left_out"]), (200, &Value::from(0)), "{hostile}: {answer:?}");
    }
}
