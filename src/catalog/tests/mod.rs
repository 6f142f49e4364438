//! The catalog against random histories: what was applied is what is stored, and the changes alone rebuild it.

mod clocks;
mod columns;
mod coverage;
mod environments;
mod files;
mod health;
mod history;
mod holds;
mod lineage;
mod told;
mod words;
mod writers;

use std::collections::BTreeMap;
use std::path::PathBuf;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::schema::SCHEMA;
use super::*;
use crate::plan::diff;

use crate::inventory::{
    Code, Column, EnvironmentFacts, FreshnessCheck, Inventory, Json, LastRun, Node, Pool, ResourceType, UniqueId,
};
use crate::time::Timestamp;

struct TestCatalog {
    folder: tempfile::TempDir,
    clock: i64,
    /// Code besides that of [`source`].
    texts: Vec<String>,
}

impl TestCatalog {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder"), clock: 1_790_000_000_000, texts: Vec::new() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("c.db")
    }

    fn open(&self) -> Catalog {
        Catalog::open(&self.path(), &Writers::default(), "test", &|_| {}).expect("a catalog")
    }

    fn now(&mut self) -> Timestamp {
        self.clock += 1000;
        Timestamp::from_millis(self.clock).expect("a time")
    }

    /// One sync, as `sync` does it; returns the number of changes.
    fn sync(&mut self, fetched: &Inventory) -> usize {
        self.try_sync(fetched).expect("applied")
    }

    fn try_sync(&mut self, fetched: &Inventory) -> Result<usize, Error> {
        self.sync_of(1, fetched)
    }

    fn sync_of(&mut self, environment_id: i64, fetched: &Inventory) -> Result<usize, Error> {
        self.counted(environment_id, fetched).map(|(changes, _)| changes)
    }

    /// A sync, with how many changes it found and how many rows it wrote, in all tables.
    fn counted(&mut self, environment_id: i64, fetched: &Inventory) -> Result<(usize, u64), Error> {
        let mut catalog = self.open();
        let (started, ended) = (self.now(), self.now());
        let sync = catalog.start_sync(environment_id, &format!("env{environment_id}"), Trigger::Manual, started);
        let sync = sync.expect("started");
        for node in fetched.nodes.values() {
            for (code, is_compiled) in [(&node.raw_code, false), (&node.compiled_code, true)] {
                let Some(code) = code else { continue };
                if catalog.holds_code(environment_id, &node.unique_id, code, is_compiled).expect("looked up") {
                    continue;
                }
                let mut known = (0..10).map(source).chain(self.texts.iter().cloned());
                let text = known.find(|text| Code::of(text) == *code).expect("a known text");
                catalog.stage_code(code, &text).expect("staged");
            }
        }
        let stored = Stored::load(catalog.connection(), environment_id, &mut Pool::default()).expect("loaded");
        let diff = diff(&stored.inventory, fetched, &stored.tombstones);
        let ending = Ending { counts: Some(diff.counts()), ..Ending::default() };
        if diff.is_empty() {
            catalog.leave_unchanged(sync, &ending, &fetched.environment, ended)?;
        } else {
            let applied = Applied { sync, environment_id, fetched, diff: &diff, history: None, ending: &ending };
            catalog.apply(&applied, ended)?;
        }
        Ok((diff.changes.len(), catalog.connection().total_changes()))
    }

    fn stored(&self) -> Inventory {
        Stored::load(&open_to_read(&self.path()).expect("a catalog"), 1, &mut Pool::default())
            .expect("loaded")
            .inventory
    }
}

fn source(number: u8) -> String {
    format!("select {number}\nfrom t")
}

fn arbitrary_node() -> impl Strategy<Value = Node> {
    let facts =
        (prop::option::of(0_u8..3), any::<bool>(), prop::option::of(0_u8..3), 0_u8..3, 0_u8..3, arbitrary_run());
    let columns = prop::collection::btree_map(0_u8..4, prop::option::of(0_u8..2), 0..4);
    (0_u8..8, facts, columns, prop::collection::btree_set(0_u8..8, 0..4)).prop_map(
        |(number, (text, applied, code, run, check, last_run), columns, parents)| {
            let types = [ResourceType::Model, ResourceType::Source, ResourceType::Test, ResourceType::Exposure];
            let resource_type = types[usize::from(number) % 4];
            let criteria =
                json!({"warn_after": {"count": 12, "period": "hour"}, "error_after": {"count": 1, "period": "day"}});
            let mut node = Node {
                is_applied: resource_type.has_applied_state().then_some(applied),
                name: Some(format!("name_{run}").into()),
                owner_name: text.map(|n| format!("team {n}").into()),
                meta: Some(Json::new(&json!({"level": check}))),
                description: text.map(|n| format!("text {n}").into()),
                contract_enforced: Some(applied),
                deprecation_date: Timestamp::from_millis(1_700_000_000_000 + i64::from(run)),
                tags: Some(Json::new(&json!([run]))),
                properties: Json::new(
                    &json!({"config": {"b": run, "a": [check]}, "freshness": criteria, "attached_node": format!("n{}", run + check),
                    "column_name": format!("C{run}"), "test_type": "generic"}),
                ),
                raw_code: code.map(|n| Code::of(&source(n))),
                compiled_code: code.map(|n| Code::of(&source(n + 3))),
                last_run,
                freshness: FreshnessCheck {
                    status: Some(["pass", "warn", "error"][usize::from(check)].into()),
                    checked_at: Some(days_before(20 * i64::from(check))),
                    max_loaded_at: text.map(|n| days_before(i64::from(n))),
                },
                columns: columns.into_iter().map(|(name, kind)| column(name, kind)).collect(),
                parents: parents.into_iter().map(|n| UniqueId::from(format!("n{n}"))).collect(),
                ..Node::new(format!("n{number}"), resource_type)
            };
            node.normalize();
            node
        },
    )
}

/// So many days before the syncs.
fn days_before(days: i64) -> Timestamp {
    Timestamp::from_millis(1_790_000_000_000 - days * 86_400_000).expect("a time")
}

fn arbitrary_run() -> impl Strategy<Value = LastRun> {
    let words = ["success", "error", "skipped", "pass", "fail"];
    let success = prop::option::of((prop::option::of(0_u8..3), prop::option::of(0_i64..4), prop::option::of(0_u8..3)));
    (prop::option::of(0_usize..5), 0_usize..5, prop::option::of(0_u8..3), 0_i64..3, success).prop_map(
        move |(status, attempt, run, day, success)| {
            let (success_run, executed, seconds) = success.unwrap_or_default();
            status.map_or_else(LastRun::default, |status| LastRun {
                status: Some(words[status].into()),
                attempt: Some(words[attempt].into()),
                at: Some(days_before(day)),
                error: (attempt == 1).then(|| "boom".into()),
                run_id: run.map(|run| run.to_string().into()),
                job_id: run.map(i64::from),
                failures: (attempt == 4).then_some(day),
                executed_at: executed.map(|k| days_before(k * 15)),
                execution_seconds: seconds.map(|n| f64::from(n) / 3.0),
                success_run_id: success_run.map(|run| run.to_string().into()),
            })
        },
    )
}

fn column(name: u8, data_type: Option<u8>) -> Column {
    Column {
        name: format!("c{name}").into(),
        position: Some(i64::from(name)),
        data_type: data_type.map(|n| format!("type{n}").into()),
        description: data_type.map(|n| format!("words {n}\nand more").into()),
        tags: Some(Json::new(&json!([]))),
        in_warehouse: data_type.map(|n| n == 0),
        ..Column::default()
    }
}

fn arbitrary_inventory() -> impl Strategy<Value = Inventory> {
    prop::collection::vec(arbitrary_node(), 0..8).prop_map(|nodes| {
        let nodes = nodes.into_iter().map(|node| (node.unique_id.clone(), node)).collect();
        let mut inventory = Inventory { nodes, ..Inventory::default() };
        inventory.add_externals();
        inventory
    })
}

/// A reader of the feed who knows nothing but the contract: nodes with their columns and parents, built from the changes alone.
fn follow(connection: &Connection) -> BTreeMap<String, Value> {
    let mut nodes: BTreeMap<String, Value> = BTreeMap::new();
    let mut statement = connection
        .prepare("SELECT unique_id, kind, field, parent_id, column_name, after FROM changes WHERE seq > 0 ORDER BY seq")
        .expect("the view");
    let mut rows = statement.query([]).expect("rows");
    while let Some(row) = rows.next().expect("a row") {
        let text = |n: usize| row.get::<_, Option<String>>(n).expect("text");
        let (id, kind) = (text(0).expect("an id"), text(1).expect("a kind"));
        let (field, parent, column) = (text(2), text(3), text(4));
        let after: Value = text(5).map_or(Value::Null, |text| serde_json::from_str(&text).expect("JSON"));
        if kind == "removed" {
            nodes.remove(&id);
            continue;
        }
        let node = nodes.entry(id).or_default();
        let list = |node: &mut Value, name: &str| node[name].as_array_mut().expect("a list").clone();
        match kind.as_str() {
            "added" | "restored" => *node = after,
            "changed" => node[field.expect("a field")] = after,
            "edge_added" | "edge_removed" => {
                let parent = Value::from(parent.expect("a parent"));
                let mut parents = list(node, "parents");
                parents.retain(|p| *p != parent);
                if kind == "edge_added" {
                    parents.push(parent);
                }
                parents.sort_by_key(|p| p.to_string());
                node["parents"] = parents.into();
            }
            _ => {
                let name = Value::from(column.expect("a column"));
                let mut columns = list(node, "columns");
                match kind.as_str() {
                    "column_added" => columns.push(after),
                    "column_removed" => columns.retain(|c| c["name"] != name),
                    "column_changed" => {
                        let column = columns.iter_mut().find(|c| c["name"] == name).expect("the column");
                        column[field.expect("a field")] = after;
                    }
                    other => panic!("unknown kind {other}"),
                }
                columns.sort_by_key(|c| (c["position"].as_i64(), c["name"].to_string()));
                node["columns"] = columns.into();
            }
        }
    }
    nodes
}

fn as_json(inventory: &Inventory) -> BTreeMap<String, Value> {
    inventory
        .nodes
        .values()
        .map(|node| (node.unique_id.to_string(), serde_json::to_value(node).expect("JSON")))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn what_was_applied_is_stored_and_the_changes_alone_rebuild_it(history in prop::collection::vec(arbitrary_inventory(), 1..6)) {
        let mut catalog = TestCatalog::new();
        for inventory in &history {
            catalog.sync(inventory);
            prop_assert_eq!(&catalog.stored().nodes, &inventory.nodes);
            prop_assert_eq!(catalog.sync(inventory), 0, "the second sync of the same input changes nothing");
        }
        let reader = open_to_read(&catalog.path()).expect("a catalog");
        prop_assert_eq!(follow(&reader), as_json(&catalog.stored()));
        let seqs: Vec<i64> = numbers(&reader, "SELECT seq FROM changes ORDER BY seq");
        prop_assert_eq!(&seqs, &(1..=seqs.len() as i64).collect::<Vec<_>>());
        prop_assert!(numbers(&reader, "SELECT count(*) FROM pragma_foreign_key_check").iter().all(|n| *n == 0));
    }
}

fn numbers(connection: &Connection, sql: &str) -> Vec<i64> {
    let mut statement = connection.prepare(sql).expect("SQL");
    statement.query_map([], |row| row.get(0)).expect("rows").collect::<Result<_, _>>().expect("numbers")
}

fn one_node() -> Inventory {
    let mut inventory = Inventory {
        environment: EnvironmentFacts { project_name: Some("shop".into()), ..EnvironmentFacts::default() },
        ..Inventory::default()
    };
    let node = Node { raw_code: Some(Code::of(&source(1))), ..Node::new("model.a", ResourceType::Model) };
    inventory.nodes.insert(node.unique_id.clone(), node);
    inventory
}

#[test]
fn an_unchanged_sync_writes_its_own_row_and_nothing_else() {
    let mut catalog = TestCatalog::new();
    catalog.sync(&one_node());
    let dump = |catalog: &TestCatalog| -> Vec<i64> {
        let reader = open_to_read(&catalog.path()).expect("a catalog");
        let tables = ["identity", "setting", "environment", "raw_code", "node", "edge", "node_column", "change"];
        let mut counts: Vec<i64> =
            tables.iter().flat_map(|t| numbers(&reader, &format!("SELECT count(*) FROM {t}"))).collect();
        counts.extend(numbers(&reader, "SELECT last_seq FROM catalog_info"));
        counts
    };
    let before = dump(&catalog);
    catalog.sync(&one_node());
    assert_eq!(dump(&catalog), before);
    let reader = open_to_read(&catalog.path()).expect("a catalog");
    assert_eq!(numbers(&reader, "SELECT count(*) FROM syncs"), [2]);
    assert_eq!(numbers(&reader, "SELECT count(*) FROM syncs WHERE outcome = 'unchanged'"), [1]);
}

#[test]
fn a_removed_node_is_marked_not_deleted_and_keeps_its_identity_when_it_returns() {
    let mut catalog = TestCatalog::new();
    catalog.sync(&one_node());
    let text = |sql: &str, catalog: &TestCatalog| -> String {
        open_to_read(&catalog.path()).expect("a catalog").query_row(sql, [], |row| row.get(0)).expect(sql)
    };
    let first_seen = text("SELECT first_seen_at FROM nodes", &catalog);
    catalog.sync(&Inventory::default());
    assert_eq!(text("SELECT group_concat(unique_id) FROM removed_nodes", &catalog), "model.a");
    assert_eq!(catalog.stored().nodes.len(), 0);
    catalog.sync(&one_node());
    assert_eq!(text("SELECT first_seen_at FROM nodes", &catalog), first_seen);
    assert_eq!(text("SELECT group_concat(kind) FROM changes", &catalog), "added,removed,restored");
    assert_eq!(text("SELECT raw_code FROM code", &catalog), source(1));
}

#[test]
fn a_sync_that_a_killed_process_left_open_is_closed_as_interrupted() {
    let catalog = TestCatalog::new();
    catalog.open().start_sync(1, "prod", Trigger::Manual, Timestamp::now()).expect("started");
    let writer = catalog.open();
    let outcome: String =
        writer.connection().query_row("SELECT outcome FROM syncs", [], |row| row.get(0)).expect("a row");
    assert_eq!(outcome, "interrupted");
}

/// The same by recursion over the public views, as somebody would without `reach`.
const RECURSIVE_LINEAGE: &str = "
    WITH RECURSIVE own AS (
        SELECT e.parent_id, e.child_id FROM edges e
        JOIN nodes p ON p.unique_id = e.parent_id AND p.resource_type NOT IN ('test', 'unit_test', 'group')
        JOIN nodes c ON c.unique_id = e.child_id AND c.resource_type NOT IN ('test', 'unit_test', 'group')
    ),
    pair(a, d, depth) AS (
        SELECT parent_id, child_id, 1 FROM own
        UNION
        SELECT pair.a, own.child_id, depth + 1 FROM pair JOIN own ON own.parent_id = pair.d WHERE depth < 9
    )
    SELECT a || ' ' || d || ' ' || min(depth) FROM pair GROUP BY a, d ORDER BY 1";

fn texts(connection: &Connection, sql: &str) -> Vec<String> {
    let mut statement = connection.prepare(sql).expect("SQL");
    statement.query_map([], |row| row.get(0)).expect("rows").collect::<Result<_, _>>().expect("texts")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn lineage_equals_a_recursive_query_after_every_sync(history in prop::collection::vec(arbitrary_inventory(), 1..5)) {
        let mut catalog = TestCatalog::new();
        for inventory in &history {
            catalog.sync(inventory);
            let reader = open_to_read(&catalog.path()).expect("a catalog");
            let kept = texts(&reader, "SELECT ancestor_id || ' ' || descendant_id || ' ' || depth FROM lineage ORDER BY 1");
            prop_assert_eq!(kept, texts(&reader, RECURSIVE_LINEAGE));
        }
    }

    #[test]
    fn the_last_row_of_each_group_of_coverage_history_is_the_coverage_of_now(
        history in prop::collection::vec(arbitrary_inventory(), 1..5),
    ) {
        let mut catalog = TestCatalog::new();
        for inventory in &history {
            catalog.sync(inventory);
        }
        let reader = open_to_read(&catalog.path()).expect("a catalog");
        let figures = "resource_type || ' ' || node_count || ' ' || documented || ' ' || placeholders || ' ' || tested || ' '
                       || coalesce(column_count, '-') || ' ' || coalesce(documented_columns, '-') || ' '
                       || coalesce(tested_columns, '-')";
        let noted = format!("SELECT {figures} FROM (SELECT *, max(sync_id) FROM coverage_history
                             GROUP BY resource_type, package_name, owner_name) WHERE node_count > 0 ORDER BY 1");
        let now = format!("SELECT {figures} FROM (SELECT resource_type, count(*) AS node_count, sum(is_documented) AS documented,
                           sum(is_placeholder) AS placeholders, sum(test_count > 0) AS tested,
                           sum(column_count) AS column_count, sum(documented_columns) AS documented_columns,
                           sum(tested_columns) AS tested_columns
                           FROM coverage GROUP BY resource_type, package_name, owner_name) ORDER BY 1");
        prop_assert_eq!(texts(&reader, &noted), texts(&reader, &now));
    }
}

#[test]
fn freshness_is_as_of_now_and_tells_the_checks_word_from_the_clocks() {
    let connection = Connection::open_in_memory().expect("open");
    connection.execute_batch(SCHEMA).expect("the schema");
    connection
        .execute_batch("INSERT INTO environment (environment_id, name) VALUES (1, 'prod')")
        .expect("an environment");
    let criteria = r#"{"freshness": {"warn_after": {"count": 24, "period": "hour"}, "error_after": {"count": 2, "period": "day"}}}"#;
    // Name, criteria, dbt's verdict, hours since the data were loaded, and what is to be told now.
    let cases = [
        ("fresh", criteria, Some("pass"), Some(1), "pass"),
        ("late_since", criteria, Some("pass"), Some(30), "overdue"),
        ("warned", criteria, Some("warn"), Some(30), "warn"),
        ("warned_and_later_still", criteria, Some("warn"), Some(50), "overdue"),
        ("failed", criteria, Some("error"), Some(1), "error"),
        ("never", criteria, None, None, "never_checked"),
        ("free", "{}", Some("pass"), Some(1000), "no_criteria"),
    ];
    for (name, properties, verdict, hours, _) in cases {
        let loaded = hours.map(|hours: i64| Timestamp::now().plus_millis(-hours * 3_600_000).to_string());
        connection
            .execute(
                "INSERT INTO node (environment_id, unique_id, resource_type, properties, checked_status, max_loaded_at,
                                   first_seen_at, last_changed_at)
                 VALUES (1, ?1, 'source', ?2, ?3, ?4, 'x', 'x')",
                (name, properties, verdict, loaded),
            )
            .expect("a source");
    }
    for (name, _, _, hours, status) in cases {
        let sql = "SELECT status, age_seconds, warn_after_seconds FROM freshness WHERE unique_id = ?1";
        let row = connection.query_row(sql, [name], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, Option<f64>>(1)?, row.get::<_, Option<f64>>(2)?))
        });
        let (found, age, warn_after) = row.expect(name);
        assert_eq!(found, status, "{name}");
        assert_eq!(age.map(|age| (age / 3600.0).round() as i64), hours, "{name}");
        assert_eq!(warn_after, (name != "free").then_some(86_400.0), "{name}");
    }
    // A model on all of them is as bad as the worst; the oldest is told apart.
    connection
        .execute_batch(
            "INSERT INTO node (node_key, environment_id, unique_id, resource_type, properties, executed_at, first_seen_at,
                               last_changed_at)
             VALUES (100, 1, 'model', 'model', '{}', strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-2 hours'), 'x', 'x');
             INSERT INTO reach SELECT 100, node_key, 1 FROM node WHERE resource_type = 'source';
             INSERT INTO edge (parent_key, child_key) SELECT node_key, 100 FROM node WHERE resource_type = 'source'",
        )
        .expect("a model");
    let sql =
        "SELECT status || ' ' || worst_upstream_id || ' ' || oldest_upstream_id || ' ' || needs_run FROM freshness
               WHERE unique_id = 'model'";
    assert_eq!(texts(&connection, sql), ["error failed free 1"]);
}

/// What the table says of each test: the node, the column as the test has it, and the column that this means.
fn tested(test: &TestCatalog) -> Vec<String> {
    let connection = open_to_read(&test.path()).expect("a catalog");
    let sql = "SELECT unique_id || coalesce(' ' || tested_id, '') || coalesce(' ' || column_name, '') || coalesce(' ' || tested_column, '') FROM node
               WHERE resource_type = 'test' ORDER BY 1";
    let mut statement = connection.prepare(sql).expect("SQL");
    statement.query_map([], |row| row.get(0)).expect("rows").collect::<Result<_, _>>().expect("texts")
}

#[test]
fn a_test_is_of_a_column_in_another_case_until_two_columns_could_be_meant() {
    let mut test = TestCatalog::new();
    let of =
        |id: &str, properties: Value| Node { properties: Json::new(&properties), ..Node::new(id, ResourceType::Test) };
    let named = |name: &str| Column { name: name.into(), ..Column::default() };
    let mut nodes = vec![
        Node { columns: vec![named("ID"), named("Größe")], ..Node::new("model", ResourceType::Model) },
        of("t1", json!({"attached_node": "model", "column_name": "id"})),
        of("t2", json!({"attached_node": "model", "column_name": "GRÖSSE"})),
        of("t3", json!({"attached_node": "model", "column_name": "none"})),
        of("t4", json!({"attached_node": "gone", "column_name": "id"})),
    ];
    let inventory = |nodes: &[Node]| Inventory {
        nodes: nodes.iter().map(|node| (node.unique_id.clone(), node.clone())).collect(),
        ..Inventory::default()
    };
    test.sync(&inventory(&nodes));
    assert_eq!(tested(&test), ["t1 model id ID", "t2 model GRÖSSE Größe", "t3 model none", "t4 id"]);
    // The test is what it was, but the node has another column now.
    nodes[0].columns.push(named("Id"));
    test.sync(&inventory(&nodes));
    assert_eq!(tested(&test)[0], "t1 model id");
    let connection = open_to_read(&test.path()).expect("a catalog");
    let typed = "SELECT count(*) FROM pragma_table_xinfo('tests') WHERE name NOT IN ('failures', 'environment_id') AND type <> 'TEXT'";
    assert_eq!(numbers(&connection, typed), [0]);
    assert_eq!(
        numbers(&connection, "SELECT type = 'INTEGER' FROM pragma_table_xinfo('tests') WHERE name = 'failures'"),
        [1]
    );
}
