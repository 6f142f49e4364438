//! The questions that people ask of the Discovery API, each answered by SQL from the catalog alone and by a command,
//! against what is known of the bundled project.

use std::collections::BTreeSet;
use std::collections::btree_map::{BTreeMap, Entry};

use lineaged::demo::Project;
use lineaged::time::Timestamp;
use serde_json::Value;

use crate::support::{World, json};

/// A question by its number, in words, the commands that answer it, and the SQL that answers it for the bundled project.
const QUESTIONS: [(usize, &str, &str, &[&str]); 24] = [
    (
        1,
        "How long did each model take to run, and how has that changed?",
        "lineaged show NODE",
        &["SELECT r.unique_id, r.run_id, r.execution_seconds, r.execution_seconds
               - lag(r.execution_seconds) OVER (PARTITION BY r.unique_id ORDER BY r.completed_at) AS change
           FROM run_results r JOIN nodes n USING (environment_id, unique_id)
           WHERE n.resource_type = 'model' AND r.execution_seconds IS NOT NULL ORDER BY r.unique_id, r.completed_at"],
    ),
    (
        2,
        "What is the latest state of each model: last run, last success, error?",
        "lineaged ls --resource-type model",
        &["SELECT unique_id, last_run_status, last_run_at, last_built_at, last_run_error
           FROM nodes WHERE resource_type = 'model' ORDER BY unique_id"],
    ),
    (
        3,
        "What happened in run N (here the last one)?",
        "lineaged runs RUN",
        &["SELECT run_id, unique_id, status, execution_seconds, failures, error
           FROM run_results WHERE run_id = (SELECT last_run_id FROM nodes ORDER BY last_run_at DESC LIMIT 1) ORDER BY unique_id"],
    ),
    (
        4,
        "Which models need to run, since a parent is newer or their code was changed and not built since?",
        "lineaged freshness --select NODE\nlineaged changes --field raw_code --since 7d",
        &["SELECT n.unique_id, (
               SELECT f.needs_run FROM freshness f
               WHERE f.environment_id = n.environment_id AND f.unique_id = n.unique_id) AS parent_is_newer, EXISTS (
               SELECT 1 FROM changes c
               WHERE c.environment_id = n.environment_id AND c.unique_id = n.unique_id AND c.field = 'raw_code'
               AND n.last_built_at < (SELECT max(s.finished_at) FROM syncs s WHERE s.environment_id = n.environment_id
                   AND s.sync_id < c.sync_id AND s.outcome IN ('applied', 'unchanged'))) AS code_is_newer
           FROM nodes n WHERE n.resource_type = 'model' ORDER BY n.unique_id"],
    ),
    (
        5,
        "Which models and tests failed, and with which message?",
        "lineaged health --status degraded\nlineaged tests --status error,fail",
        &["SELECT unique_id, last_run_status, last_run_error
           FROM nodes WHERE last_run_status IN ('error', 'fail') ORDER BY unique_id"],
    ),
    (
        6,
        "How often did each model and test fail in the last 30 days?",
        "lineaged show NODE",
        &["SELECT unique_id, count(*) AS runs, count(*) FILTER (WHERE status IN ('error', 'fail')) AS failed
           FROM run_results WHERE completed_at >= strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-30 days')
           GROUP BY environment_id, unique_id ORDER BY failed DESC, unique_id"],
    ),
    (
        7,
        "When was the data that a model uses last refreshed?",
        "lineaged freshness --select +NODE",
        &["SELECT l.ancestor_id, n.resource_type, coalesce((
               SELECT f.max_loaded_at FROM freshness f
               WHERE f.environment_id = l.environment_id AND f.unique_id = l.ancestor_id), n.last_built_at) AS refreshed_at
           FROM lineage l
           JOIN nodes n ON n.environment_id = l.environment_id AND n.unique_id = l.ancestor_id
           WHERE l.descendant_id = 'model.mini_shop.orders' ORDER BY l.ancestor_id"],
    ),
    (
        8,
        "Are the sources fresh, against their own criteria, now?",
        "lineaged freshness --select 'source:*'",
        &["SELECT unique_id, status, max_loaded_at, age_seconds, warn_after_seconds, error_after_seconds
           FROM freshness WHERE resource_type = 'source' ORDER BY unique_id"],
    ),
    (
        9,
        "What is the test coverage and status, by model and column?",
        "lineaged coverage --by schema\nlineaged show NODE",
        &[
            "SELECT unique_id, column_count, tested_columns, test_count FROM coverage
             WHERE resource_type = 'model' ORDER BY unique_id",
            "SELECT n.unique_id, c.name AS column_name, t.test_name, t.status
             FROM nodes n
             JOIN columns c USING (environment_id, unique_id)
             LEFT JOIN tests t ON t.environment_id = n.environment_id AND t.tested_id = n.unique_id
                 AND lower(t.column_name) = lower(c.name)
             WHERE n.resource_type = 'model' ORDER BY n.unique_id, c.position, t.test_name",
        ],
    ),
    (
        10,
        "How is a model contracted and versioned?",
        "lineaged show NODE",
        &[
            "SELECT unique_id, contract_enforced, version, latest_version, deprecation_date,
                 json_extract(properties, '$.constraints') AS constraints
             FROM nodes WHERE resource_type = 'model' ORDER BY unique_id",
            "SELECT name, data_type FROM columns WHERE unique_id = 'model.mini_shop.orders' ORDER BY position",
        ],
    ),
    (
        11,
        "What do a dataset (database, schema, identifier) and its columns mean?",
        "lineaged search 'customer id'\nlineaged show NODE",
        &["SELECT n.unique_id, n.description, c.name, c.data_type, c.description AS column_description
           FROM nodes n LEFT JOIN columns c USING (environment_id, unique_id)
           WHERE lower(n.database_name) = 'mini_shop' AND lower(n.schema_name) = 'analytics'
           AND lower(n.identifier) = 'orders' ORDER BY c.position"],
    ),
    (
        12,
        "What is the full lineage?",
        "lineaged lineage NODE",
        &["SELECT ancestor_id, descendant_id, depth FROM lineage ORDER BY 1, 2"],
    ),
    (
        13,
        "Which metrics, semantic models and saved queries are there, and on which models do they stand?",
        "lineaged ls --select 'metric:*' 'semantic_model:*' 'saved_query:*'",
        &["SELECT n.unique_id, l.ancestor_id, l.depth
           FROM nodes n
           LEFT JOIN lineage l ON l.environment_id = n.environment_id AND l.descendant_id = n.unique_id
               AND l.ancestor_id LIKE 'model.%'
           WHERE n.resource_type IN ('metric', 'semantic_model', 'saved_query')
           ORDER BY n.unique_id, l.depth, l.ancestor_id"],
    ),
    (
        14,
        "Who is responsible for a model, and who for what is shown of it?",
        "lineaged show NODE",
        &["SELECT n.unique_id, n.group_name, n.owner_name, n.owner_email FROM nodes n
           WHERE n.unique_id = 'model.mini_shop.orders'
           OR n.resource_type = 'exposure' AND EXISTS (
               SELECT 1 FROM lineage l WHERE l.environment_id = n.environment_id
               AND l.ancestor_id = 'model.mini_shop.orders' AND l.descendant_id = n.unique_id)
           ORDER BY n.unique_id DESC"],
    ),
    (
        15,
        "Who can use a model (access, contract, version, deprecation)?",
        "lineaged ls --select access:public",
        &["SELECT unique_id, access, group_name, contract_enforced, version, version = latest_version AS is_latest,
               deprecation_date
           FROM nodes WHERE resource_type = 'model' ORDER BY unique_id"],
    ),
    (
        16,
        "How much is documented, by owner, group, package and layer, and is it getting better?",
        "lineaged coverage --by owner\nlineaged coverage --missing",
        &[
            "SELECT owner_name, group_name, package_name, layer, count(*) AS models, sum(is_documented) AS documented
             FROM coverage WHERE resource_type = 'model' GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4",
            "SELECT changed_at, owner_name, node_count, documented FROM coverage_history
             WHERE resource_type = 'model' ORDER BY owner_name, sync_id",
        ],
    ),
    (
        17,
        "How is a model used downstream: by which exposures, and how healthy are they?",
        "lineaged lineage NODE --downstream 99 --types exposure\nlineaged health --select NODE+,resource_type:exposure",
        &["SELECT h.unique_id, h.status, r.value ->> 'code' AS code, r.value ->> 'root_id' AS root_id
           FROM lineage l
           JOIN health h ON h.environment_id = l.environment_id AND h.unique_id = l.descendant_id
           LEFT JOIN json_each(h.reasons) r
           WHERE l.ancestor_id = 'model.mini_shop.dim_customers.v2' AND h.resource_type = 'exposure'
           ORDER BY h.unique_id, r.key"],
    ),
    (
        18,
        "How has a model changed over time: code, columns, parents?",
        "lineaged changes --node NODE",
        &["SELECT changed_at, kind, field, parent_id, column_name, before, after
           FROM changes WHERE unique_id = 'model.mini_shop.orders' ORDER BY seq"],
    ),
    (
        19,
        "Which nodes depend on a source?",
        "lineaged ls --select source:raw_shop.orders+",
        &["SELECT descendant_id, depth FROM lineage
           WHERE ancestor_id = 'source.mini_shop.raw_shop.orders' ORDER BY depth, descendant_id"],
    ),
    (
        20,
        "Where does this column come from?",
        "lineaged lineage NODE.COLUMN --upstream 99",
        &["WITH RECURSIVE above (environment_id, unique_id, name) AS (
               SELECT environment_id, parent_id, parent_column FROM column_lineage
               WHERE child_id = 'model.mini_shop.orders' AND child_column = 'amount'
               UNION
               SELECT l.environment_id, l.parent_id, l.parent_column FROM above a
               JOIN column_lineage l ON l.environment_id = a.environment_id
                   AND l.child_id = a.unique_id AND l.child_column = a.name)
           SELECT unique_id, name FROM above ORDER BY 1, 2"],
    ),
    (
        21,
        "What uses this column: which columns come from it, and whose rows does it shape?",
        "lineaged impact NODE.COLUMN",
        &["WITH RECURSIVE below (environment_id, unique_id, name) AS (
               SELECT environment_id, unique_id, name FROM columns
               WHERE unique_id = 'model.mini_shop.stg_orders' AND name = 'order_id'
               UNION
               SELECT l.environment_id, l.child_id, l.child_column FROM below b
               JOIN column_lineage l ON l.environment_id = b.environment_id
                   AND l.parent_id = b.unique_id AND l.parent_column = b.name)
           SELECT unique_id, name, NULL AS clause FROM below
           UNION
           SELECT u.child_id, NULL, u.clause FROM below b
           JOIN column_uses u ON u.environment_id = b.environment_id
               AND u.parent_id = b.unique_id AND u.parent_column = b.name
           ORDER BY 1, 2, 3"],
    ),
    (
        22,
        "Which exposures show data of this source column?",
        "lineaged impact raw_shop.payments.amount_cents --fail-on exposure",
        &["WITH RECURSIVE below (environment_id, unique_id, name) AS (
               SELECT environment_id, child_id, child_column FROM column_lineage
               WHERE parent_id = 'source.mini_shop.raw_shop.payments' AND parent_column = 'amount_cents'
               UNION
               SELECT l.environment_id, l.child_id, l.child_column FROM below b
               JOIN column_lineage l ON l.environment_id = b.environment_id
                   AND l.parent_id = b.unique_id AND l.parent_column = b.name)
           SELECT DISTINCT x.unique_id, e.parent_id FROM below b
           JOIN edges e ON e.environment_id = b.environment_id AND e.parent_id = b.unique_id
           JOIN nodes x ON x.environment_id = e.environment_id AND x.unique_id = e.child_id
           WHERE x.resource_type = 'exposure' ORDER BY 1, 2"],
    ),
    (
        23,
        "Which columns does nobody use?",
        "lineaged show NODE",
        &["SELECT c.unique_id, c.name FROM columns c
           JOIN nodes n ON n.environment_id = c.environment_id AND n.unique_id = c.unique_id
           WHERE n.resource_type IN ('model', 'source', 'seed') AND c.in_warehouse
           AND NOT EXISTS (SELECT 1 FROM column_lineage l WHERE l.environment_id = c.environment_id
               AND l.parent_id = c.unique_id AND l.parent_column = c.name)
           AND NOT EXISTS (SELECT 1 FROM column_uses u WHERE u.environment_id = c.environment_id
               AND u.parent_id = c.unique_id AND u.parent_column = c.name)
           -- What is read as a whole, or by code that is not resolved, may be used.
           AND NOT EXISTS (SELECT 1 FROM edges e
               JOIN nodes reader ON reader.environment_id = e.environment_id AND reader.unique_id = e.child_id
               LEFT JOIN column_lineage_status s ON s.environment_id = e.environment_id AND s.unique_id = e.child_id
               WHERE e.environment_id = c.environment_id AND e.parent_id = c.unique_id
               AND reader.resource_type NOT IN ('test', 'unit_test') AND s.status IS NOT 'resolved')
           ORDER BY 1, 2"],
    ),
    (
        24,
        "Where does personal data flow (here: columns with the tag `money`)?",
        "lineaged impact stg_payments.amount",
        &["WITH RECURSIVE flow (environment_id, unique_id, name) AS (
               SELECT c.environment_id, c.unique_id, c.name FROM columns c, json_each(c.tags) tag WHERE tag.value = 'money'
               UNION
               SELECT l.environment_id, l.child_id, l.child_column FROM flow f
               JOIN column_lineage l ON l.environment_id = f.environment_id
                   AND l.parent_id = f.unique_id AND l.parent_column = f.name)
           SELECT unique_id, name FROM flow ORDER BY 1, 2"],
    ),
];

const ORDERS: &str = "model.mini_shop.orders";
const BROKEN: &str = "model.mini_shop.broken_model";
const DEPRECATED: &str = "2027-06-01T00:00:00.000Z";
const AMOUNT_TEST: &str = "test.mini_shop.not_null_orders_amount.106140f9fd";

/// The answer to a question; to its part `part` (from 0) if it has several.
fn answer(world: &World, number: usize, part: usize) -> Vec<Vec<String>> {
    let (_, _, _, sql) = QUESTIONS.iter().find(|(found, ..)| *found == number).expect("a question");
    world.rows(sql[part])
}

/// Only the rows whose first cell is this.
fn of(rows: &[Vec<String>], id: &str) -> Vec<Vec<String>> {
    rows.iter().filter(|row| row[0] == id).cloned().collect()
}

fn synced() -> World {
    let world = World::bundled();
    world.ok(&["sync"]);
    world
}

/// What a field of the server's node says.
fn told(world: &World, id: &str, object: &str, field: &str) -> Value {
    world.change(|project| project.told(id)[object][field].clone())
}

/// The rows of a command's JSON, by the text of one column.
fn by(rows: &[Value], column: &str) -> BTreeMap<String, Value> {
    rows.iter().map(|row| (row[column].as_str().expect("text").to_owned(), row.clone())).collect()
}

/// Every connected pair with its shortest distance, from the server's own edges; tests and groups left out.
fn truth(world: &World) -> BTreeMap<(String, String), u32> {
    let is_left_out = |id: &str| id.starts_with("test.") || id.starts_with("unit_test.") || id.starts_with("group.");
    let mut children: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (parent, child) in world.truth().edges {
        if !is_left_out(&parent) && !is_left_out(&child) {
            children.entry(parent).or_default().push(child);
        }
    }
    let mut pairs = BTreeMap::new();
    for ancestor in children.keys() {
        let (mut level, mut depth) = (vec![ancestor], 0);
        while !level.is_empty() {
            depth += 1;
            let below: Vec<&String> = level.into_iter().flat_map(|id| children.get(id).into_iter().flatten()).collect();
            let mut is_new = |id: &&String| match pairs.entry((ancestor.clone(), (*id).clone())) {
                Entry::Vacant(entry) => Some(entry.insert(depth)).is_some(),
                Entry::Occupied(_) => false,
            };
            level = below.into_iter().filter(|id| is_new(id)).collect();
        }
    }
    pairs
}

#[test]
fn question_01_how_long_did_each_model_take() {
    let world = synced();
    let before = told(&world, ORDERS, "executionInfo", "executionTime").as_f64().expect("seconds");
    world.change(|project| project.build(ORDERS));
    world.ok(&["sync"]);
    let runs = of(&answer(&world, 1, 0), ORDERS);
    assert_eq!(runs.len(), 2, "{runs:?}");
    let seconds = |row: usize, cell: usize| runs[row][cell].parse::<f64>().expect("seconds");
    assert_eq!((seconds(0, 2), runs[0][3].as_str(), seconds(1, 2)), (before, "", 0.5));
    assert!((seconds(1, 3) - (0.5 - before)).abs() < 1e-9, "{runs:?}");
    assert_eq!(of(&answer(&world, 1, 0), BROKEN).len(), 0, "what failed has no seconds");
    let shown = json(&world.ok(&["show", ORDERS, "--format", "json"]));
    assert_eq!(shown[0]["execution_seconds"], 0.5);
}

#[test]
fn question_02_what_is_the_latest_state_of_each_model() {
    let world = synced();
    let built = of(&answer(&world, 2, 0), ORDERS)[0][3].clone();
    world.change(|project| project.break_node(ORDERS, "no such column"));
    world.ok(&["sync"]);
    let failed_at = told(&world, ORDERS, "executionInfo", "lastRunGeneratedAt");
    let states = answer(&world, 2, 0);
    let failed_at = failed_at.as_str().expect("a time");
    assert_eq!(of(&states, ORDERS), [[ORDERS, "error", failed_at, &built, "no such column"]]);
    let broken = &of(&states, BROKEN)[0];
    assert_eq!((broken[1].as_str(), broken[3].as_str()), ("error", ""), "it was never built");
    assert!(broken[4].contains("deliberate failure"), "{broken:?}");
    let listed = json(&world.ok(&["ls", "--resource-type", "model", "--format", "json"]));
    assert_eq!(listed.len(), states.len());
    let orders = &by(&listed, "unique_id")[ORDERS];
    assert_eq!((&orders["last_run_status"], &orders["last_run_error"]), (&"error".into(), &"no such column".into()));
    assert_eq!(orders["last_built_at"], built.as_str());
}

#[test]
fn question_03_what_happened_in_a_run() {
    let world = World::served("interval = \"1h\"");
    world.ok(&["sync"]);
    let first = answer(&world, 3, 0);
    assert_eq!(first.len(), 40, "the run of the artifacts executed so many nodes");
    assert_eq!(first.iter().filter(|row| ["error", "fail"].contains(&row[2].as_str())).count(), 2);
    world.change(|project| project.fail_test(AMOUNT_TEST, 3, "Got 3 results"));
    world.ok(&["sync"]);
    let last = answer(&world, 3, 0);
    let run = told(&world, AMOUNT_TEST, "executionInfo", "lastRunId").to_string();
    assert_eq!(last, [[&run, AMOUNT_TEST, "fail", "", "3", "Got 3 results"]]);
    let told = json(&world.ok(&["runs", &run, "--format", "json"]));
    assert_eq!(
        (told.len(), &told[0]["unique_id"], &told[0]["error"]),
        (1, &AMOUNT_TEST.into(), &"Got 3 results".into())
    );
    let screen = world.ok(&["runs", &first[0][0]]);
    assert!(screen.contains("\nnodes: 40 (1 error, 1 fail, ") && screen.contains("deliberate failure"), "{screen}");
    let daemon = world.serve();
    let served = daemon.connect().get(&format!("/api/v1/run_results?run_id={run}")).json();
    assert_eq!(served.as_array().expect("rows").len(), 1, "{served}");
    assert_eq!((&served[0]["unique_id"], &served[0]["failures"]), (&AMOUNT_TEST.into(), &3.into()));
    let served = daemon.connect().get(&format!("/api/v1/run_results?run_id={}", first[0][0])).json();
    assert_eq!(served.as_array().expect("rows").len(), 40);
}

#[test]
fn question_04_does_a_model_need_to_run() {
    let world = World::of(Project::bundled(Timestamp::now().plus_millis(-3_600_000)));
    world.ok(&["sync"]);
    let needed = |id: &str| {
        let rows = of(&answer(&world, 4, 0), id);
        (rows[0][1].clone(), rows[0][2].clone())
    };
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    assert_eq!(needed(ORDERS), pair("0", "0"), "all was built in one run");
    world.change(|project| project.build("model.mini_shop.stg_orders"));
    world.ok(&["sync"]);
    assert_eq!(needed(ORDERS), pair("1", "0"), "a parent was built after it");
    world.change(|project| project.build(ORDERS));
    world.ok(&["sync"]);
    assert_eq!(needed(ORDERS), pair("0", "0"));
    // The code is changed, and the run that should have built it fails.
    world.change(|project| {
        project.break_node(ORDERS, "no such column");
        project.set_code(ORDERS, "select 2");
    });
    world.ok(&["sync"]);
    assert_eq!(needed(ORDERS), pair("0", "1"));
    let freshness = by(&json(&world.ok(&["freshness", "--format", "json"])), "unique_id");
    assert_eq!(freshness[ORDERS]["needs_run"], 0);
    assert_eq!(freshness["model.mini_shop.orders_incremental"]["needs_run"], 1, "orders was built after it");
    let changes = json(&world.ok(&["changes", "--node", ORDERS, "--kind", "changed", "--format", "json"]));
    assert!(changes.iter().any(|row| row["field"] == "raw_code"), "{changes:?}");
}

#[test]
fn question_05_which_models_and_tests_failed() {
    let world = synced();
    world.change(|project| project.fail_test(AMOUNT_TEST, 3, "Got 3 results, configured to fail if != 0"));
    world.ok(&["sync"]);
    let failed = answer(&world, 5, 0);
    let ids: Vec<&str> = failed.iter().map(|row| row[0].as_str()).collect();
    assert_eq!(ids, [BROKEN, "test.mini_shop.assert_fails", AMOUNT_TEST]);
    assert!(failed[0][2].contains("deliberate failure"), "{failed:?}");
    assert_eq!(failed[1][1..], ["fail", "Got 100 results, configured to fail if != 0"]);
    assert_eq!(failed[2][1..], ["fail", "Got 3 results, configured to fail if != 0"]);
    let listed = json(&world.ok(&["ls", "--format", "json"]));
    let is_failed = |row: &&Value| matches!(row["last_run_status"].as_str(), Some("error" | "fail"));
    let listed: Vec<Value> = listed.iter().filter(is_failed).map(|row| row["unique_id"].clone()).collect();
    assert_eq!(listed, ids);
    assert!(world.ok(&["show", BROKEN]).contains("deliberate failure"));
    let tests = json(&world.ok(&["tests", "--status", "error,fail", "--format", "json"]));
    let tests: BTreeSet<&str> = tests.iter().filter_map(|row| row["unique_id"].as_str()).collect();
    assert_eq!(tests, BTreeSet::from([ids[1], ids[2]]));
}

#[test]
fn question_06_how_often_did_a_test_fail() {
    let world = synced();
    for fails in [true, true, false] {
        world.change(|project| match fails {
            true => project.fail_test(AMOUNT_TEST, 3, "Got 3 results"),
            false => project.pass_test(AMOUNT_TEST),
        });
        world.ok(&["sync"]);
    }
    let often = answer(&world, 6, 0);
    assert_eq!(often[0], [AMOUNT_TEST, "4", "2"], "the worst first");
    assert_eq!(of(&often, BROKEN), [[BROKEN, "1", "1"]]);
    assert_eq!(of(&often, ORDERS), [[ORDERS, "1", "0"]]);
    assert_eq!(json(&world.ok(&["show", AMOUNT_TEST, "--format", "json"]))[0]["last_run_status"], "pass");
}

#[test]
fn question_07_when_was_upstream_data_refreshed() {
    let world = synced();
    let refreshed = answer(&world, 7, 0);
    let ids: Vec<&str> = refreshed.iter().map(|row| row[0].as_str()).collect();
    let [payments, orders] = ["payments", "orders"].map(|name| format!("source.mini_shop.raw_shop.{name}"));
    let ephemeral = "model.mini_shop.int_order_payments";
    let staged = ["model.mini_shop.stg_orders", "model.mini_shop.stg_payments"];
    assert_eq!(ids, [ephemeral, staged[0], staged[1], &orders, &payments]);
    for id in [&orders, &payments] {
        let loaded = told(&world, id, "freshness", "maxLoadedAt");
        assert_eq!(of(&refreshed, id)[0][2], loaded.as_str().expect("a time"), "{id}");
    }
    for id in staged {
        let built = told(&world, id, "executionInfo", "executeCompletedAt");
        assert_eq!(of(&refreshed, id)[0][2], built.as_str().expect("a time"), "{id}");
    }
    assert_eq!(of(&refreshed, ephemeral)[0][2], "", "what is never built has no time of its own");
    let freshness = by(&json(&world.ok(&["freshness", "--format", "json"])), "unique_id");
    assert_eq!(freshness[ORDERS]["oldest_upstream_id"], payments.as_str());
    assert_eq!(freshness[ORDERS]["oldest_upstream_loaded_at"], told(&world, &payments, "freshness", "maxLoadedAt"));
}

#[test]
fn question_08_are_sources_fresh_now() {
    let world = synced();
    let sources = answer(&world, 8, 0);
    let found: Vec<[&str; 2]> = sources.iter().map(|row| [row[0].as_str(), row[1].as_str()]).collect();
    assert_eq!(
        found,
        [
            ["source.mini_shop.raw_shop.customers", "pass"],
            ["source.mini_shop.raw_shop.orders", "warn"],
            ["source.mini_shop.raw_shop.payments", "error"],
            ["source.mini_shop.raw_unused.refunds", "no_criteria"],
        ]
    );
    let hours: Vec<i64> =
        sources.iter().filter_map(|row| row[3].parse::<f64>().ok()).map(|age| (age / 3600.0).round() as i64).collect();
    assert_eq!(hours[1..], [30, 72], "as old as its description says");
    assert_eq!(sources[1][4..], ["86400", "172800"]);
    let listed = by(&json(&world.ok(&["freshness", "--stale", "--format", "json"])), "unique_id");
    assert_eq!(listed["source.mini_shop.raw_shop.payments"]["status"], "error");
    assert!(!listed.contains_key("source.mini_shop.raw_shop.customers"), "it is fresh");
}

#[test]
fn question_09_what_is_tested_and_how_did_it_end() {
    let world = synced();
    assert_eq!(of(&answer(&world, 9, 0), ORDERS), [[ORDERS, "5", "3", "4"]]);
    assert_eq!(of(&answer(&world, 9, 0), "model.mini_shop.time_spine_daily")[0][3], "0");
    let columns: Vec<Vec<String>> =
        of(&answer(&world, 9, 1), ORDERS).into_iter().map(|row| row[1..].to_vec()).collect();
    assert_eq!(
        columns,
        [
            ["order_id", "unique", "pass"],
            ["customer_id", "relationships", "pass"],
            ["order_date", "", ""],
            ["status", "", ""],
            ["amount", "not_null", "pass"],
        ]
    );
    let shown = world.ok(&["show", ORDERS]);
    for part in ["pass: not_null on amount", "test.mini_shop.assert_no_returned_orders", "unique (pass)"] {
        assert!(shown.contains(part), "{shown}");
    }
    let arguments = ["coverage", "--select", "orders,resource_type:model", "--format", "json"];
    let rows = json(&world.ok(&arguments));
    let total = rows.iter().find(|row| row["group"] == "model").expect("models");
    assert_eq!([&total["column_count"], &total["tested_columns"]], [5, 3], "{rows:?}");
}

#[test]
fn question_10_how_is_a_model_contracted_and_versioned() {
    let world = synced();
    let models = answer(&world, 10, 0);
    let orders = &of(&models, ORDERS)[0];
    assert_eq!(orders[1..5], ["1", "", "", ""]);
    assert!(orders[5].contains("amount >= 0"), "{orders:?}");
    let versions: Vec<_> =
        models.iter().filter(|row| row[0].contains("dim_customers")).map(|row| row[1..4].to_vec()).collect();
    assert_eq!(versions, [["0", "1", "2"], ["0", "2", "2"]]);
    assert_eq!(of(&models, "model.mini_shop.dim_customers.v1")[0][4], DEPRECATED);
    assert_eq!(of(&models, "model.mini_shop.dim_customers.v2")[0][4], "");
    let typed = answer(&world, 10, 1);
    assert_eq!(typed[0], ["order_id", "BIGINT"]);
    assert!(typed.contains(&vec!["amount".to_owned(), "DECIMAL(16,2)".to_owned()]), "{typed:?}");
    let shown = world.ok(&["show", ORDERS]);
    assert!(shown.contains("contract enforced") && shown.contains("DECIMAL(16,2)"), "{shown}");
}

#[test]
fn question_11_what_does_a_dataset_mean() {
    let world = synced();
    let dataset = answer(&world, 11, 0);
    assert_eq!(dataset.len(), 5, "{dataset:?}");
    assert_eq!(dataset[0], [ORDERS, "Order facts.", "order_id", "BIGINT", "Primary key"]);
    assert_eq!(dataset[3][2..], ["status", "VARCHAR", ""], "not described");
    let shown = world.ok(&["show", ORDERS]);
    assert!(shown.contains("Order facts.") && shown.contains("Total amount"), "{shown}");
}

#[test]
fn question_12_what_is_the_full_lineage() {
    let world = synced();
    let pairs: BTreeMap<(String, String), u32> = answer(&world, 12, 0)
        .into_iter()
        .map(|row| ((row[0].clone(), row[1].clone()), row[2].parse().expect("a number")))
        .collect();
    let truth = truth(&world);
    assert!(truth.len() > 100, "{}", truth.len());
    assert_eq!(pairs, truth);
    let around = json(&world.ok(&["lineage", ORDERS, "--format", "json"]));
    let around: BTreeMap<(String, String), u32> = around
        .iter()
        .map(|row| {
            let text = |name: &str| row[name].as_str().expect("text").to_owned();
            ((text("ancestor_id"), text("descendant_id")), row["depth"].as_u64().expect("a number") as u32)
        })
        .collect();
    let expected = truth.into_iter().filter(|((ancestor, descendant), _)| ancestor == ORDERS || descendant == ORDERS);
    assert_eq!(around, expected.collect());
}

#[test]
fn question_13_what_is_in_the_semantic_layer() {
    let world = synced();
    let layer = answer(&world, 13, 0);
    let mut ids: Vec<&str> =
        layer.iter().map(|row| row[0].strip_prefix("metric.mini_shop.").unwrap_or(&row[0])).collect();
    ids.dedup();
    let metrics = ["average_order_value", "orders_count", "revenue", "revenue_growth"];
    let others = [
        "saved_query.mini_shop.revenue_by_country",
        "semantic_model.mini_shop.customers",
        "semantic_model.mini_shop.orders",
    ];
    assert_eq!(ids, [&metrics[..], &others].concat());
    let below = |id: &str| of(&layer, id).into_iter().map(|row| row[1..].join(" ")).collect::<Vec<_>>();
    assert_eq!(
        below("metric.mini_shop.revenue"),
        [
            "model.mini_shop.orders 2",
            "model.mini_shop.int_order_payments 3",
            "model.mini_shop.stg_orders 3",
            "model.mini_shop.stg_payments 4",
        ]
    );
    assert_eq!(below("semantic_model.mini_shop.orders")[0], "model.mini_shop.orders 1");
    let listed = json(&world.ok(&["ls", "--resource-type", "metric", "--format", "json"]));
    let listed: Vec<&str> = listed.iter().filter_map(|row| row["name"].as_str()).collect();
    assert_eq!(listed, metrics);
    let upstream = world.ok(&["lineage", "revenue", "--upstream", "9", "--types", "model,semantic_model"]);
    assert!(upstream.contains("semantic_model.mini_shop.orders") && upstream.contains(ORDERS), "{upstream}");
}

#[test]
fn question_14_who_is_responsible() {
    let world = synced();
    assert_eq!(
        answer(&world, 14, 0),
        [
            [ORDERS, "finance", "Finance", "finance@example.com"],
            ["exposure.mini_shop.weekly_revenue_dashboard", "", "Ana Finance", "ana@example.com"],
            ["exposure.mini_shop.churn_notebook", "", "", "ds@example.com"],
        ]
    );
    world.change(|project| project.set_group_owner("group.mini_shop.finance", "Money", "money@example.com"));
    world.ok(&["sync"]);
    assert_eq!(answer(&world, 14, 0)[0][2..], ["Money", "money@example.com"]);
    let shown = world.ok(&["show", ORDERS]);
    assert!(shown.contains("money@example.com"), "{shown}");
}

#[test]
fn question_15_who_can_use_a_model() {
    let world = synced();
    let models = answer(&world, 15, 0);
    assert_eq!(of(&models, ORDERS)[0][1..], ["public", "finance", "1", "", "", ""]);
    assert_eq!(of(&models, "model.mini_shop.stg_orders")[0][1..3], ["protected", ""]);
    let [v1, v2] =
        ["v1", "v2"].map(|version| of(&models, &format!("model.mini_shop.dim_customers.{version}"))[0].clone());
    assert_eq!((v1[5].as_str(), v2[5].as_str()), ("0", "1"), "the second is the latest");
    assert_eq!((v1[6].as_str(), v2[6].as_str()), (DEPRECATED, ""), "only the first is to go");
    let listed = by(&json(&world.ok(&["ls", "--resource-type", "model", "--format", "json"])), "unique_id");
    assert_eq!((&listed[ORDERS]["access"], &listed[ORDERS]["group_name"]), (&"public".into(), &"finance".into()));
}

#[test]
fn question_16_how_much_is_documented() {
    let world = synced();
    let groups = answer(&world, 16, 0);
    let mart = |rows: &[Vec<String>]| of(rows, "Finance").into_iter().find(|row| row[3] == "mart").expect("a row");
    assert_eq!(mart(&groups), ["Finance", "finance", "mini_shop", "mart", "7", "5"]);
    assert_eq!(of(&groups, "@data-platform").len(), 2, "staging, and one without a layer: {groups:?}");
    world.change(|project| project.describe("model.mini_shop.customer_segments", "Customers by what they spend."));
    world.ok(&["sync"]);
    assert_eq!(mart(&answer(&world, 16, 0))[5], "6");
    let history: Vec<Vec<String>> =
        answer(&world, 16, 1).into_iter().filter(|row| row[1] == "Finance").map(|row| row[2..].to_vec()).collect();
    assert_eq!(history, [["8", "5"], ["8", "6"]], "it got better");
    let out = world.ok(&["changes", "--node", "customer_segments", "--format", "json"]);
    assert_eq!(json(&out).last().expect("a change")["field"], "description");
}

#[test]
fn question_17_which_exposures_use_a_model_and_how_are_they() {
    let world = synced();
    world.change(|project| {
        for name in ["orders", "payments"] {
            let id = format!("source.mini_shop.raw_shop.{name}");
            project.freshness(&id, "pass", Some(Timestamp::now()));
        }
        project.fail_test(AMOUNT_TEST, 3, "Got 3 results");
    });
    world.ok(&["sync"]);
    let board = "exposure.mini_shop.weekly_revenue_dashboard";
    assert_eq!(
        answer(&world, 17, 0),
        [
            [board, "degraded", "upstream_test_failed", AMOUNT_TEST],
            [board, "degraded", "upstream_test_warned", "test.mini_shop.assert_no_returned_orders"],
        ]
    );
    let downstream = world.ok(&["lineage", ORDERS, "--downstream", "9", "--types", "exposure", "--format", "json"]);
    let used: Vec<Value> = json(&downstream).iter().map(|row| row["descendant_id"].clone()).collect();
    assert!(used.contains(&board.into()), "{used:?}");
    let health = by(&json(&world.ok(&["health", "--format", "json"])), "unique_id");
    assert_eq!(health[board]["status"], "degraded");
    assert!(health[board]["reasons"].to_string().contains("failed with 3 rows"), "{:?}", health[board]);
}

#[test]
fn question_18_how_has_a_model_changed() {
    let world = synced();
    world.change(|project| {
        project.set_code(ORDERS, "select 2");
        project.retype_column(ORDERS, "amount", "DOUBLE");
        project.rewire(ORDERS, &["model.mini_shop.stg_orders", "model.mini_shop.stg_payments"]);
    });
    world.ok(&["sync"]);
    let changes = answer(&world, 18, 0);
    let found: Vec<String> = changes.iter().map(|row| row[1..5].join(" ").trim().to_owned()).collect();
    assert_eq!(found[0], "added");
    for change in [
        "changed raw_code",
        "column_changed data_type  amount",
        "edge_added  model.mini_shop.stg_payments",
        "edge_removed  model.mini_shop.int_order_payments",
    ] {
        assert_eq!(found.iter().filter(|found| *found == change).count(), 1, "{change}: {found:?}");
    }
    let retyped = changes.iter().find(|row| row[4] == "amount").expect("a change");
    assert_eq!(retyped[5..], ["\"DECIMAL(16,2)\"", "\"DOUBLE\""]);
    let listed = json(&world.ok(&["changes", "--node", ORDERS, "--format", "json"]));
    let listed: Vec<&str> = listed.iter().filter_map(|row| row["kind"].as_str()).collect();
    assert_eq!(listed, changes.iter().map(|row| row[1].as_str()).collect::<Vec<_>>());
}

#[test]
fn question_19_what_depends_on_a_source() {
    let world = synced();
    let source = "source.mini_shop.raw_shop.orders";
    let found: BTreeMap<String, u32> =
        answer(&world, 19, 0).into_iter().map(|row| (row[0].clone(), row[1].parse().expect("a number"))).collect();
    let pairs = truth(&world).into_iter().filter(|((ancestor, _), _)| ancestor == source);
    assert_eq!(found, pairs.map(|((_, descendant), depth)| (descendant, depth)).collect());
    assert_eq!(found["model.mini_shop.stg_orders"], 1);
    assert_eq!(found[ORDERS], 2);
    assert!(found.contains_key("snapshot.mini_shop.orders_snapshot"));
    assert!(!found.contains_key("model.mini_shop.stg_payments"));
    let listed = json(&world.ok(&["lineage", source, "--downstream", "99", "--format", "json"]));
    let listed = listed.iter().map(|row| row["descendant_id"].as_str().expect("text").to_owned());
    assert_eq!(listed.collect::<BTreeSet<_>>(), found.into_keys().collect());
}

/// What docs/questions.md says. `BLESS=1 cargo test questions` writes it.
#[test]
fn question_20_where_does_a_column_come_from() {
    let world = synced();
    let above = [
        ["model.mini_shop.int_order_payments", "amount"],
        ["model.mini_shop.stg_payments", "amount"],
        ["source.mini_shop.raw_shop.payments", "amount_cents"],
    ];
    assert_eq!(answer(&world, 20, 0), above);
    let rows = json(&world.ok(&["lineage", "orders.amount", "--upstream", "99", "--format", "json"]));
    let ends: BTreeSet<_> = rows
        .iter()
        .map(|row| [&row["parent_id"], &row["parent_column"]].map(|it| it.as_str().expect("text")))
        .collect();
    assert_eq!(ends, above.into_iter().collect());
    let served = World::served("interval = \"1h\"");
    served.ok(&["sync"]);
    let route = format!("/api/v1/nodes/{ORDERS}/columns/AMOUNT/lineage?direction=upstream");
    assert_eq!(served.serve().connect().get(&route).json().as_array(), Some(&rows));
}

#[test]
fn question_21_what_uses_a_column() {
    let world = synced();
    let uses = answer(&world, 21, 0);
    let below = [
        ["model.mini_shop.dim_customers.v2", "number_of_orders", ""],
        [ORDERS, "", "join"],
        [ORDERS, "order_id", ""],
        ["model.mini_shop.orders_incremental", "order_id", ""],
        ["model.mini_shop.stg_orders", "order_id", ""],
    ];
    for row in below {
        assert!(uses.iter().any(|found| found == &row), "{row:?}: {uses:?}");
    }
    let impact = &json(&world.ok(&["impact", "stg_orders.order_id", "--format", "json"]))[0];
    let columns = impact["columns"].as_array().expect("a list");
    assert!(columns.iter().any(|it| it["unique_id"] == ORDERS), "{impact}");
    assert_eq!(impact["shaped"][0], serde_json::json!({"unique_id": ORDERS, "clauses": ["join"]}), "{impact}");
    let rows_only = world.ok(&["impact", "stg_customers.country_code"]);
    assert!(rows_only.contains("no column comes from it, only rows are touched"), "{rows_only}");
}

#[test]
fn question_22_which_exposures_show_a_source_column() {
    let world = synced();
    let exposures = answer(&world, 22, 0);
    assert!(exposures.iter().any(|row| row[0] == "exposure.mini_shop.weekly_revenue_dashboard"), "{exposures:?}");
    let impact = world.run(&["impact", "raw_shop.payments.amount_cents", "--fail-on", "exposure"]);
    assert_eq!(impact.code, Some(3), "{impact:?}");
    assert!(impact.stdout.contains("weekly_revenue_dashboard"), "{impact:?}");
    assert_eq!(world.run(&["impact", "customer_segments.segment", "--fail-on", "exposure"]).code, Some(0));
}

#[test]
fn question_23_which_columns_does_nobody_use() {
    let world = synced();
    let unused = answer(&world, 23, 0);
    let has = |id: &str, name: &str| unused.iter().any(|row| row == &[id, name]);
    assert!(has("model.mini_shop.customer_segments", "segment"), "{unused:?}");
    assert!(!has("model.mini_shop.stg_orders", "order_id"), "{unused:?}");
    assert!(!has(ORDERS, "amount"), "a dashboard reads it as a whole: {unused:?}");
}

#[test]
fn question_24_where_does_personal_data_flow() {
    let world = synced();
    let flow: Vec<String> = answer(&world, 24, 0).into_iter().map(|row| row.join(".")).collect();
    assert!(flow.contains(&"model.mini_shop.stg_payments.amount".to_owned()), "{flow:?}");
    let impact = &json(&world.ok(&["impact", "stg_payments.amount", "--format", "json"]))[0];
    let columns = impact["columns"].as_array().expect("a list").iter();
    let columns: BTreeSet<String> = columns
        .map(|it| format!("{}.{}", it["unique_id"].as_str().expect("text"), it["column_name"].as_str().expect("text")))
        .collect();
    let others: BTreeSet<String> =
        flow.into_iter().filter(|name| name != "model.mini_shop.stg_payments.amount").collect();
    assert_eq!(columns, others);
}

#[test]
fn the_page_of_questions_is_what_is_tested_here_and_its_commands_run() {
    let mut page = "# Questions and answers\n\nWhat people ask of a dbt project, answered from the catalog alone: by a command (`NODE` stands \
        for a node's\nname or unique_id, `RUN` for the number of a run), and by SQL in any SQLite client. A test runs all of this on the bundled project and checks \
        the\nanswers.\n"
        .to_owned();
    for (number, question, commands, sqls) in QUESTIONS {
        page.push_str(&format!("\n## {number}. {question}\n\n```sh\n{commands}\n```\n"));
        for sql in sqls {
            let indent = sql.lines().skip(1).map(|line| line.len() - line.trim_start().len()).min().unwrap_or(0);
            let lines: Vec<&str> =
                sql.lines().enumerate().map(|(n, line)| if n == 0 { line } else { &line[indent..] }).collect();
            page.push_str(&format!("```sql\n{}\n```\n", lines.join("\n")));
        }
    }
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/questions.md");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &page).expect("written");
    }
    assert_eq!(std::fs::read_to_string(&path).expect("docs/questions.md"), page);
    let world = synced();
    let run = answer(&world, 3, 0)[0][0].clone();
    for command in QUESTIONS.iter().flat_map(|(_, _, commands, _)| commands.lines()) {
        let Some(command) = command.strip_prefix("lineaged ") else { continue };
        let command =
            command.replace("NODE", ORDERS).replace("COLUMN", "amount").replace("RUN", &run).replace('\'', "");
        let arguments: Vec<&str> = match command.strip_prefix("search ") {
            Some(words) => vec!["search", words],
            None => command.split(' ').collect(),
        };
        let ran = world.run(&arguments);
        let expected = if command.contains("--fail-on") { 3 } else { 0 };
        assert_eq!(ran.code, Some(expected), "{command}: {ran:?}");
    }
}
