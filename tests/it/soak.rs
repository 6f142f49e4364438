//! A daemon that syncs all the time from a project that changes all the time, over a bad line, while others read: nothing is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use lineaged::demo::{Action, Fault, Length, Project, Side};
use lineaged::inventory::UniqueId;
use lineaged::time::Timestamp;
use serde_json::Value;

use crate::support::daemon::Http;
use crate::support::{ENVIRONMENT, World, assert_same, rows};

/// When the daemon has warmed up: from here on it must not grow.
const WARM: Duration = Duration::from_secs(5);

#[test]
fn nothing_is_lost_or_leaked_under_change_faults_readers_and_a_follower() {
    soak(Duration::from_secs(20), 0x50a4);
}

#[test]
#[ignore = "takes half an hour; for a release"]
fn nothing_is_lost_or_leaked_in_half_an_hour() {
    soak(Duration::from_secs(30 * 60), 0x1_50a4);
}

fn soak(length: Duration, seed: u64) {
    let project = Project::bundled(Timestamp::now());
    let world = World::all_served(
        vec![(ENVIRONMENT, project)],
        "interval = \"1s\"\n[sync]\nmax_removed_percent = 100\nfull_every = \"10s\"",
    );
    let mut daemon = world.serve();
    daemon.until("the first sync", || world.cells("SELECT count(*) FROM syncs WHERE outcome = 'applied'") == ["1"]);
    let began = Instant::now();
    let (done, last_seq, reads) = (AtomicBool::new(false), AtomicI64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for reader in 0..4 {
            let (world, done, reads) = (&world, &done, &reads);
            scope.spawn(move || read(world, reader, done, reads));
        }
        let address = daemon.address.clone();
        let (follow_done, seq) = (&done, &last_seq);
        let follower = scope.spawn(move || follow(&address, follow_done, seq));
        // However this ends, the threads do.
        let stop = Stop(&done);
        let mut evolution = Evolution::new(seed);
        let (mut warm, mut handled) = (None, 0);
        let (_never, tick) = channel::<()>();
        let (mut mutations, mut faults) = (0, 0);
        while began.elapsed() < length {
            // Nothing is ever sent: this is the pace.
            let _ = tick.recv_timeout(Duration::from_millis(100));
            let last = &world.rows("SELECT sync_id, outcome IS NULL FROM syncs ORDER BY sync_id DESC LIMIT 1")[0];
            let (sync, is_running) = (last[0].parse::<i64>().expect("a number"), last[1] == "1");
            // One move while a read is under way, and one by a fault: the third reading is whole.
            if !is_running || handled != sync {
                world.change(|project| evolution.step(project));
                mutations += 1;
            }
            if handled != sync {
                world.server.clear_faults();
                faults += evolution.spoil(&world);
                handled = sync;
            }
            if warm.is_none() && began.elapsed() >= WARM {
                warm = Some(usage(daemon.pid()));
            }
        }
        world.server.clear_faults();
        let before: i64 = world.cells("SELECT max(sync_id) FROM syncs")[0].parse().expect("a number");
        let good =
            format!("SELECT count(*) FROM syncs WHERE outcome IN ('applied', 'unchanged') AND sync_id > {before}");
        daemon.until("the last sync", || world.cells(&good) != ["0"]);
        let seq: i64 = world.cells("SELECT last_seq FROM catalog_info")[0].parse().expect("a number");
        daemon.until("the follower's end", || last_seq.load(Ordering::SeqCst) == seq || follower.is_finished());
        let (warm, end) = (warm.expect("longer than it takes to warm up"), usage(daemon.pid()));
        drop(stop);
        let followed = follower.join().expect("the follower");
        assert_same(&world.content(), &world.truth(), "at the end");
        same_as_views(&followed, &world);
        let seqs = world.rows("SELECT count(*), count(DISTINCT seq), min(seq), max(seq) FROM changes");
        assert_eq!(seqs, [[seq.to_string(), seq.to_string(), "1".to_owned(), seq.to_string()]]);
        assert_eq!(world.cells("PRAGMA integrity_check"), ["ok"]);
        assert_eq!(world.rows("PRAGMA foreign_key_check").len(), 0);
        let outcomes = world.rows("SELECT outcome, count(*), sum(requests) FROM syncs GROUP BY outcome");
        eprintln!(
            "{mutations} mutations, {faults} faults, {} reads, {seq} changes, syncs {outcomes:?}, warm {warm:?}, end {end:?}",
            reads.load(Ordering::Relaxed)
        );
        let applied: u64 =
            world.cells("SELECT count(*) FROM syncs WHERE outcome = 'applied'")[0].parse().expect("a number");
        assert!(applied >= length.as_secs() / 4, "{outcomes:?}");
        assert!(end.resident_kb < warm.resident_kb + 30_000, "memory: {warm:?} {end:?}");
        assert!(end.descriptors < warm.descriptors + 10, "descriptors: {warm:?} {end:?}");
    });
    let (status, took) = daemon.end();
    assert_eq!(status.code(), Some(0));
    assert!(took < Duration::from_secs(10), "{took:?}");
}

/// Ends the threads when it is dropped.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// What happens to the project and to the line, as a seed has it.
struct Evolution {
    rng: fastrand::Rng,
    step: usize,
    /// Added models that are there.
    present: Vec<String>,
    removed: Vec<String>,
    failed: bool,
}

const ORDERS: &str = "model.mini_shop.orders";
const TEST: &str = "test.mini_shop.unique_orders_order_id.fed79b3a6e";
const SOURCE: &str = "source.mini_shop.raw_shop.customers";

impl Evolution {
    fn new(seed: u64) -> Self {
        Self { rng: fastrand::Rng::with_seed(seed), step: 0, present: Vec::new(), removed: Vec::new(), failed: false }
    }

    fn step(&mut self, project: &mut Project) {
        self.step += 1;
        let step = self.step;
        let one = self.rng.choice(&self.present).cloned().unwrap_or_else(|| ORDERS.to_owned());
        match self.rng.u8(0..12) {
            0 => project.describe(&one, &format!("As of step {step}.")),
            1 | 2 if self.present.len() + self.removed.len() < 40 => {
                let id = project.add_model(&format!("grown_{step:06}"), &[&one, ORDERS]);
                self.present.push(id);
            }
            1..=3 if !self.present.is_empty() => {
                let id = self.present.swap_remove(self.rng.usize(..self.present.len()));
                project.remove(&id);
                self.removed.push(id);
            }
            4 if !self.removed.is_empty() => {
                let id = self.removed.swap_remove(self.rng.usize(..self.removed.len()));
                project.restore(&id);
                // What it depended on may have gone since.
                let parents = project.node(&id).expect("restored").parents.clone();
                let there: Vec<&str> =
                    parents.iter().map(UniqueId::as_str).filter(|id| project.node(id).is_some()).collect();
                if there.len() < parents.len() {
                    project.rewire(&id, &there);
                }
                self.present.push(id);
            }
            5 => project.retype_column(ORDERS, "amount", ["DOUBLE", "INTEGER", "DECIMAL(18,4)"][step % 3]),
            6 if !self.present.is_empty() => {
                // Names sort by age, so that no cycle comes about.
                let older: Vec<&str> = self.present.iter().filter(|id| **id < one).map(String::as_str).collect();
                let parent = self.rng.choice(older).unwrap_or("model.mini_shop.stg_orders").to_owned();
                project.rewire(&one, &[&parent]);
            }
            7 => {
                self.failed = !self.failed;
                if self.failed { project.fail_test(TEST, 3, "3 rows") } else { project.pass_test(TEST) }
            }
            8 => project.add_column(&one, &format!("column_{step}"), "TEXT"),
            9 => project.set_code(&one, &format!("select {step}")),
            10 => project.freshness(SOURCE, ["pass", "warn", "error"][step % 3], Some(Timestamp::now())),
            _ => project.touch(),
        }
    }

    /// Spoils one of the next answers in a way that a sync survives; how many faults that is.
    fn spoil(&mut self, world: &World) -> usize {
        let skip = self.rng.usize(0..16);
        let add = |action: Action| world.server.add_fault(Fault::new(action).skip(skip));
        match self.rng.u8(0..9) {
            0 => add(Action::Status(503, Vec::new(), "busy".to_owned())),
            1 => add(Action::Reset),
            2 => add(Action::CutBody(self.rng.usize(0..200), Length::Whole)),
            3 => add(Action::CutBody(self.rng.usize(0..200), Length::Missing)),
            4 => add(Action::GraphqlErrors { keep_data: true, code: None, message: "upstream timeout".to_owned() }),
            5 => add(Action::Status(429, vec![("Retry-After".to_owned(), "0".to_owned())], String::new())),
            6 => add(Action::MoveAfter(Side::Applied)),
            7 => {
                // A page is lost because the environment moves.
                add(Action::LosePage);
                add(Action::MoveAfter(Side::Definition));
            }
            _ => return 0,
        }
        1
    }
}

/// Reads views as any SQLite client does; what one transaction shows must fit together.
fn read(world: &World, reader: usize, done: &AtomicBool, reads: &AtomicU64) {
    let connection = world.reader();
    connection.busy_timeout(Duration::ZERO).expect("set");
    let views =
        ["nodes", "columns", "lineage", "freshness", "coverage", "tests", "code", "removed_nodes", "run_results"];
    let (_never, tick) = channel::<()>();
    for round in reader.. {
        if done.load(Ordering::SeqCst) {
            break;
        }
        connection.execute_batch("BEGIN").expect("a snapshot");
        let fits = rows(
            &connection,
            "SELECT last_seq - (SELECT max(seq) FROM changes),
                 (SELECT count(*) FROM edges WHERE parent_id NOT IN (SELECT unique_id FROM nodes)
                     OR child_id NOT IN (SELECT unique_id FROM nodes)),
                 (SELECT count(*) FROM columns WHERE unique_id NOT IN (SELECT unique_id FROM nodes))
             FROM catalog_info",
        );
        assert_eq!(fits, [["0", "0", "0"]]);
        rows(&connection, &format!("SELECT * FROM {}", views[round % views.len()]));
        connection.execute_batch("COMMIT").expect("read");
        reads.fetch_add(1, Ordering::Relaxed);
        let _ = tick.recv_timeout(Duration::from_millis(20));
    }
}

/// Rebuilds nodes with their columns and parents from the feed alone, page by page.
struct Follower<'a> {
    address: &'a str,
    http: Http,
    asked: u32,
    seq: i64,
    nodes: BTreeMap<String, Value>,
}

impl<'a> Follower<'a> {
    fn new(address: &'a str) -> Self {
        Self { address, http: Http::connect(address), asked: 0, seq: 0, nodes: BTreeMap::new() }
    }

    /// Takes one page of the feed, and tells if there was something in it.
    fn step(&mut self) -> bool {
        self.asked += 1;
        if self.asked.is_multiple_of(100) {
            // No connection is kept for ever.
            self.http = Http::connect(self.address);
        }
        let reply = self.http.get(&format!("/api/v1/changes?after={}&limit=97", self.seq));
        assert_eq!(reply.status, 200, "{reply:?}");
        let page = reply.json();
        let changes = page.as_array().expect("a list");
        for change in changes {
            self.seq += 1;
            assert_eq!(change["seq"], self.seq, "none is lost, none comes twice");
            apply(&mut self.nodes, change);
        }
        !changes.is_empty()
    }
}

/// Follows until it is told to stop.
fn follow(address: &str, done: &AtomicBool, last_seq: &AtomicI64) -> BTreeMap<String, Value> {
    let mut follower = Follower::new(address);
    let (_never, tick) = channel::<()>();
    while !done.load(Ordering::SeqCst) {
        let more = follower.step();
        last_seq.store(follower.seq, Ordering::SeqCst);
        if !more {
            let _ = tick.recv_timeout(Duration::from_millis(50));
        }
    }
    follower.nodes
}

#[test]
fn the_feed_alone_rebuilds_the_catalog_across_two_hundred_random_syncs() {
    let project = Project::bundled(Timestamp::now());
    let world = World::all_served(vec![(ENVIRONMENT, project)], "interval = \"24h\"");
    let mut daemon = world.serve();
    daemon.until("the first sync", || world.cells("SELECT count(*) FROM syncs WHERE outcome = 'applied'") == ["1"]);
    let address = daemon.address.clone();
    let mut follower = Follower::new(&address);
    let mut evolution = Evolution::new(200);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    for _ in 0..200 {
        for _ in 0..1 + evolution.rng.usize(0..4) {
            world.change(|project| evolution.step(project));
        }
        runtime.block_on(world.sync_here());
        // On a busy machine a sync may take longer than a connection waits for a request.
        follower.http = Http::connect(&address);
        while follower.step() {}
        same_as_views(&follower.nodes, &world);
    }
    let kinds = world.rows("SELECT kind, count(*) FROM changes GROUP BY kind ORDER BY kind");
    let seen: Vec<&str> = kinds.iter().map(|row| row[0].as_str()).collect();
    let all =
        ["added", "changed", "column_added", "column_changed", "edge_added", "edge_removed", "removed", "restored"];
    assert!(all.iter().all(|kind| seen.contains(kind)), "{kinds:?}");
    assert!(
        world.cells("SELECT count(*) FROM syncs WHERE outcome = 'applied'")[0].parse::<i64>().expect("a number") > 150
    );
    assert_same(&world.content(), &world.truth(), "at the end");
    let (status, _) = daemon.end();
    assert_eq!(status.code(), Some(0));
}

fn apply(nodes: &mut BTreeMap<String, Value>, change: &Value) {
    let text = |name: &str| change[name].as_str().unwrap_or_default().to_owned();
    let (id, kind, field) = (text("unique_id"), text("kind"), text("field"));
    let (parent, column) = (Value::from(text("parent_id")), Value::from(text("column_name")));
    let after = change["after"].clone();
    if kind == "removed" {
        assert!(nodes.remove(&id).is_some(), "{change}");
        return;
    }
    let is_new = matches!(kind.as_str(), "added" | "restored");
    assert_eq!(nodes.contains_key(&id), !is_new, "{change}");
    let node = nodes.entry(id).or_default();
    match kind.as_str() {
        "added" | "restored" => *node = after,
        "changed" => node[&field] = after,
        "edge_added" => node["parents"].as_array_mut().expect("parents").push(parent),
        "edge_removed" => node["parents"].as_array_mut().expect("parents").retain(|it| *it != parent),
        "column_added" => node["columns"].as_array_mut().expect("columns").push(after),
        "column_removed" => node["columns"].as_array_mut().expect("columns").retain(|it| it["name"] != column),
        "column_changed" => {
            let columns = node["columns"].as_array_mut().expect("columns");
            columns.iter_mut().find(|it| it["name"] == column).expect("the column")[&field] = after;
        }
        other => panic!("unknown kind {other}"),
    }
}

/// JSON that a view has as text; NULL is null.
fn json_of(cell: &Value) -> Value {
    cell.as_str().map_or(Value::Null, |text| serde_json::from_str(text).expect("JSON"))
}

/// Compares what a follower has with the views `nodes` (without the facts of runs), `edges` and `columns`.
fn same_as_views(followed: &BTreeMap<String, Value>, world: &World) {
    const RUN_FACTS: [&str; 6] =
        ["last_run_at", "last_run_error", "last_built_at", "execution_seconds", "last_run_id", "last_job_id"];
    const NOT_OF_THE_FEED: [&str; 3] = ["environment_id", "first_seen_at", "last_changed_at"];
    const JSON: [&str; 4] = ["fqn", "tags", "meta", "properties"];
    let objects = |view: &str| -> Vec<BTreeMap<String, Value>> {
        let connection = world.reader();
        let mut statement = connection.prepare(&format!("SELECT * FROM {view}")).expect(view);
        let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let cell = |row: &rusqlite::Row<'_>, name: &str| match row.get(name).expect("a cell") {
            rusqlite::types::Value::Text(text) if JSON.contains(&name) => json_of(&text.into()),
            rusqlite::types::Value::Text(text) => text.into(),
            rusqlite::types::Value::Integer(number) => number.into(),
            rusqlite::types::Value::Real(number) => number.into(),
            _ => Value::Null,
        };
        let is_rebuilt = |name: &&String| ![&RUN_FACTS[..], &NOT_OF_THE_FEED].concat().contains(&name.as_str());
        let object =
            |row: &rusqlite::Row<'_>| Ok(names.iter().filter(is_rebuilt).map(|n| (n.clone(), cell(row, n))).collect());
        statement.query_map([], object).expect(view).collect::<Result<_, _>>().expect(view)
    };
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let nodes = objects("nodes");
    let ids: BTreeSet<String> = nodes.iter().map(|node| text(&node["unique_id"])).collect();
    assert_eq!(followed.keys().cloned().collect::<BTreeSet<_>>(), ids);
    for node in nodes {
        let mine = &followed[&text(&node["unique_id"])];
        for (name, value) in node {
            assert_eq!(mine[&name], value, "{name} of {}", mine["unique_id"]);
        }
    }
    let all = |list: &str| -> Vec<(String, Value)> {
        let of = |(id, node): (&String, &Value)| -> Vec<(String, Value)> {
            node[list].as_array().expect(list).iter().map(|it| (id.clone(), it.clone())).collect()
        };
        followed.iter().flat_map(of).collect()
    };
    let edges: BTreeSet<(String, String)> =
        objects("edges").iter().map(|edge| (text(&edge["parent_id"]), text(&edge["child_id"]))).collect();
    let parents = all("parents");
    assert_eq!(parents.len(), edges.len());
    assert_eq!(parents.iter().map(|(id, parent)| (text(parent), id.clone())).collect::<BTreeSet<_>>(), edges);
    let mut columns: BTreeMap<(String, String), Value> = BTreeMap::new();
    for mut column in objects("columns") {
        let id = column.remove("unique_id").expect("an id");
        columns.insert((text(&id), text(&column["name"])), column.into_iter().collect());
    }
    let mine = all("columns");
    assert_eq!(mine.len(), columns.len());
    for (id, column) in mine {
        assert_eq!(Some(&column), columns.get(&(id.clone(), text(&column["name"]))), "{id}");
    }
}

/// What a process has in use.
#[derive(Debug)]
struct Usage {
    resident_kb: u64,
    descriptors: usize,
}

/// Zeros where there is no `/proc`.
fn usage(pid: u32) -> Usage {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let resident_kb = resident.and_then(|text| text.trim().split(' ').next()?.parse().ok()).unwrap_or_default();
    let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, |list| list.count());
    Usage { resident_kb, descriptors }
}
