//! Shapes that real projects have: small inputs rebuilt from the bundled project, read by `lineaged demo`, and odd values over the API.

use lineaged::demo::{Action, Fault};
use serde_json::{Map, Value, json};

use crate::support::{Ran, World, binary, rows, run};

/// A target folder in the making.
struct Target {
    manifest: Value,
    catalog: Value,
    run_results: Value,
    sources: Value,
}

/// What `lineaged demo` made of it.
struct Demo {
    folder: tempfile::TempDir,
    ran: Ran,
}

fn bundled() -> Target {
    let read = |text: &str| serde_json::from_str(text).expect("JSON");
    Target {
        manifest: read(include_str!("../../src/demo/mini_shop/manifest.json")),
        catalog: read(include_str!("../../src/demo/mini_shop/catalog.json")),
        run_results: read(include_str!("../../src/demo/mini_shop/run_results.json")),
        sources: read(include_str!("../../src/demo/mini_shop/sources.json")),
    }
}

const ORDERS: &str = "model.mini_shop.orders";
const STG_ORDERS: &str = "model.mini_shop.stg_orders";
const STG_CUSTOMERS: &str = "model.mini_shop.stg_customers";

impl Target {
    fn node(&mut self, id: &str) -> &mut Value {
        &mut self.manifest["nodes"][id]
    }

    /// A copy of a node under another id and name.
    fn copy(&mut self, id: &str, new: &str, name: &str) -> &mut Value {
        let mut node = self.node(id).clone();
        node["unique_id"] = new.into();
        node["name"] = name.into();
        self.manifest["nodes"][new] = node;
        self.node(new)
    }

    fn result(&mut self, id: &str) -> &mut Value {
        let results = self.run_results["results"].as_array_mut().expect("results");
        results.iter_mut().find(|result| result["unique_id"] == id).expect(id)
    }

    fn keep_results(&mut self, keep: impl Fn(&Value) -> bool) {
        self.run_results["results"].as_array_mut().expect("results").retain(keep);
    }

    fn read(self) -> Demo {
        self.read_as(|text| text)
    }

    /// With the text of each file changed last.
    fn read_as(self, text: impl Fn(String) -> String) -> Demo {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("target")).expect("a folder");
        let files = [
            ("manifest", self.manifest),
            ("catalog", self.catalog),
            ("run_results", self.run_results),
            ("sources", self.sources),
        ];
        for (name, value) in files.into_iter().filter(|(_, value)| !value.is_null()) {
            let file = folder.path().join(format!("target/{name}.json"));
            std::fs::write(file, text(value.to_string())).expect("written");
        }
        let ran = run(&mut binary(folder.path(), &["demo", "target"]));
        assert_eq!(ran.code, Some(0), "{ran:?}");
        Demo { folder, ran }
    }
}

impl Demo {
    fn lines(&self, sql: &str) -> Vec<String> {
        let catalog = rusqlite::Connection::open(self.folder.path().join("lineaged.db")).expect("the catalog");
        rows(&catalog, sql).into_iter().map(|row| row.join("|")).collect()
    }

    /// The ids that a selector means.
    fn selected(&self, selector: &str) -> Vec<String> {
        let ran = run(&mut binary(self.folder.path(), &["ls", "--format", "json", "--select", selector]));
        let rows: Vec<Value> = serde_json::from_str(&ran.stdout).unwrap_or_default();
        rows.iter().filter_map(|row| row["unique_id"].as_str().map(str::to_owned)).collect()
    }
}

#[test]
fn a_test_of_a_quoted_column_is_of_the_column() {
    let mut target = bundled();
    let quoted = [("order_id", "\"order_id\""), ("customer_id", "`customer_id`"), ("amount", "[AMOUNT]")];
    for node in target.manifest["nodes"].as_object_mut().expect("nodes").values_mut() {
        let name = quoted.iter().find(|(name, _)| node["attached_node"] == ORDERS && node["column_name"] == *name);
        if let Some((_, quoted)) = name {
            node["column_name"] = (*quoted).into();
            node["test_metadata"]["kwargs"]["column_name"] = (*quoted).into();
        }
    }
    let demo = target.read();
    let sql =
        "SELECT DISTINCT column_name FROM tests WHERE tested_id = 'model.mini_shop.orders' AND column_name IS NOT NULL
               ORDER BY 1";
    assert_eq!(demo.lines(sql), ["AMOUNT", "customer_id", "order_id"]);
    let shown = run(&mut binary(demo.folder.path(), &["show", ORDERS])).stdout;
    for (column, test) in [("order_id", "unique"), ("customer_id", "relationships"), ("amount", "not_null")] {
        let line = |line: &&str| line.trim_start().starts_with(column) && line.contains(&format!("{test} ("));
        assert!(shown.lines().any(|text| line(&text)), "{column}: {shown}");
    }
}

#[test]
fn columns_that_differ_in_case_have_their_own_words_and_tests() {
    let mut target = bundled();
    let column = |name: &str| (name.to_owned(), json!({"name": name, "type": "TEXT", "index": 1, "comment": null}));
    let said = |(name, words): (&str, &str)| {
        (name.to_owned(), json!({"name": name, "description": words, "meta": {}, "tags": []}))
    };
    target.catalog["nodes"][STG_CUSTOMERS]["columns"] =
        ["id", "ID", "Straße"].map(column).into_iter().collect::<Map<_, _>>().into();
    target.node(STG_CUSTOMERS)["columns"] =
        [("ID", "upper"), ("Id", "either"), ("STRASSE", "street")].map(said).into_iter().collect::<Map<_, _>>().into();
    let demo = target.read();
    let sql = "SELECT name, description FROM columns WHERE unique_id = 'model.mini_shop.stg_customers' ORDER BY name";
    assert_eq!(demo.lines(sql), ["ID|upper", "Straße|street", "id|"]);
}

#[test]
fn a_test_is_of_the_node_that_its_argument_names() {
    let mut target = bundled();
    let test = "test.mini_shop.unique_stg_orders_order_id.e3b841c71a";
    target.copy(STG_ORDERS, "model.alpha.stg_orders", "stg_orders")["package_name"] = "alpha".into();
    let (v1, v2) = ("model.mini_shop.dim_customers.v1", "model.mini_shop.dim_customers.v2");
    let (own, other, source) = (STG_ORDERS, "model.alpha.stg_orders", "source.mini_shop.raw_shop.orders");
    let expected = [
        ("a", "ref('dim_customers', v='1')", [v1, v2], v1),
        ("b", "ref('mini_shop', 'dim_customers', version=1)", [v1, v2], v1),
        ("c", "ref('dim_customers')", [v2, v1], v2),
        ("d", "ref('alpha', 'stg_orders')", [own, other], other),
        ("e", "ref('stg_orders')", [own, other], own),
        ("f", "source('raw_shop', 'orders')", [source, own], source),
        // No node that has a name, and files do not say whose tests include it: the last parent.
        ("g", "my_own_macro()", [other, own], own),
    ];
    for (name, model, parents, _) in expected {
        let node = target.copy(test, &format!("test.mini_shop.{name}.1"), name);
        node["attached_node"] = if name == "d" { "model.gone.stg_orders".into() } else { Value::Null };
        node["depends_on"]["nodes"] = json!(parents);
        node["test_metadata"]["kwargs"]["model"] = format!("{{{{ get_where_subquery({model}) }}}}").into();
    }
    let demo = target.read();
    let found = demo.lines("SELECT tested_id FROM tests WHERE unique_id LIKE 'test.mini_shop._.1' ORDER BY unique_id");
    assert_eq!(found, expected.map(|(.., of)| of));
    assert!(demo.lines("SELECT 1 FROM tests WHERE tested_id NOT IN (SELECT unique_id FROM nodes)").is_empty());
}

#[test]
fn a_unit_test_is_of_its_model_in_its_version() {
    let mut target = bundled();
    let base = "unit_test.mini_shop.customer_segments.test_customer_segments_gold";
    let mut add = |key: &str, model: &str, version: Value, parents: Value, tested: Value| {
        let mut test = target.manifest["unit_tests"][base].clone();
        let id = format!("unit_test.mini_shop.{key}");
        for (field, value) in [
            ("unique_id", json!(id)),
            ("name", json!(key)),
            ("model", json!(model)),
            ("version", version),
            ("tested_node_unique_id", tested),
        ] {
            test[field] = value;
        }
        test["depends_on"]["nodes"] = parents;
        target.manifest["unit_tests"][&id] = test;
    };
    let (v1, v2) = ("model.mini_shop.dim_customers.v1", "model.mini_shop.dim_customers.v2");
    add("core", "dim_customers", json!(1), json!([v2, v1]), Value::Null);
    add("fusion", "dim_customers", json!(1), json!([v2, v1]), json!(v1));
    add("inputs", "orders", Value::Null, json!([STG_ORDERS, ORDERS]), Value::Null);
    let demo = target.read();
    let sql = "SELECT tested_id FROM tests WHERE test_type = 'unit' AND test_name IN ('core', 'fusion', 'inputs') ORDER BY test_name";
    assert_eq!(demo.lines(sql), [v1, v1, ORDERS]);
}

#[test]
fn what_a_file_leaves_out_is_not_denied() {
    // After `dbt test` without documents, and after `dbt seed` with those of before.
    for (command, kind, has_catalog) in [("test", "test.", false), ("seed", "seed.", true)] {
        let mut target = bundled();
        target.keep_results(|result| result["unique_id"].as_str().is_some_and(|id| id.starts_with(kind)));
        target.run_results["args"]["which"] = command.into();
        if !has_catalog {
            target.catalog = Value::Null;
        }
        let demo = target.read();
        assert_eq!(demo.lines("SELECT count(*) FROM nodes WHERE is_applied = 0"), ["0"], "{command}");
        let sql = "SELECT count(*) FROM health
                   WHERE unique_id = 'model.mini_shop.stg_orders' AND reasons LIKE '%no run has processed it%'";
        assert_eq!(demo.lines(sql), ["0"], "{command}");
    }
}

#[test]
fn tests_of_a_command_that_ran_nothing_have_no_status() {
    let mut target = bundled();
    target.run_results["args"] = json!({});
    for result in target.run_results["results"].as_array_mut().expect("results") {
        result["status"] = "success".into();
        result["failures"] = Value::Null;
    }
    let demo = target.read();
    assert_eq!(demo.lines("SELECT DISTINCT status FROM tests"), [""]);
    assert!(demo.lines("SELECT 1 FROM run_results WHERE unique_id LIKE 'test.%'").is_empty());
    assert_eq!(demo.lines("SELECT last_run_status FROM nodes WHERE unique_id = 'model.mini_shop.orders'"), ["success"]);
}

#[test]
fn an_outcome_is_a_word_of_the_contract_whatever_dbt_calls_it() {
    let mut target = bundled();
    let (reused, nothing, new) = (
        "test.mini_shop.unique_orders_order_id.fed79b3a6e",
        "test.mini_shop.not_null_orders_amount.106140f9fd",
        "test.mini_shop.assert_fails",
    );
    for (id, status) in [
        (reused, "reused"),
        (nothing, "no-op"),
        (new, "exploded"),
        (STG_ORDERS, "reused"),
        (ORDERS, "partial success"),
        (STG_CUSTOMERS, "exploded"),
    ] {
        target.result(id)["status"] = status.into();
    }
    let demo = target.read();
    let tests =
        format!("SELECT status FROM tests WHERE unique_id IN ('{reused}', '{nothing}', '{new}') ORDER BY unique_id");
    assert_eq!(demo.lines(&tests), ["", "skipped", "pass"]);
    let nodes = format!(
        "SELECT last_run_status FROM nodes WHERE unique_id IN ('{ORDERS}', '{STG_CUSTOMERS}', '{STG_ORDERS}') ORDER BY unique_id"
    );
    assert_eq!(demo.lines(&nodes), ["error", "", "success"]);
    let known = "SELECT 1 FROM tests WHERE status NOT IN ('pass', 'warn', 'fail', 'error', 'skipped')";
    assert!(demo.lines(known).is_empty());
    let told = "the status `exploded` of `model.mini_shop.stg_customers` and 1 more is none that this version knows";
    assert!(demo.ran.stderr.contains(told), "{}", demo.ran.stderr);
}

#[test]
fn a_value_of_another_type_refuses_no_project() {
    let mut target = bundled();
    let failing = "test.mini_shop.assert_fails";
    target.result(failing)["failures"] = "100".into();
    target.result(STG_ORDERS)["execution_time"] = 0.into();
    target.result(STG_CUSTOMERS)["execution_time"] = "fast".into();
    target.run_results["elapsed_time"] = "7".into();
    target.run_results["results"].as_array_mut().expect("results").push("none".into());
    target.catalog["nodes"][STG_ORDERS]["columns"]["order_id"]["index"] = "1".into();
    target.catalog["nodes"][STG_CUSTOMERS] = json!([]);
    target.manifest["nodes"]["model.mini_shop.nothing"] = Value::Null;
    target.manifest["metrics"] = json!([]);
    let odd = target.node(STG_ORDERS);
    for (field, value) in [
        ("description", json!(["a"])),
        ("tags", json!("one")),
        ("meta", json!("x")),
        ("fqn", json!(5)),
        ("version", json!(2)),
        ("constraints", json!(["x", null])),
        ("contract", json!("yes")),
        ("depends_on", json!({"nodes": ["source.mini_shop.raw_shop.orders", 5, null]})),
    ] {
        odd[field] = value;
    }
    target.manifest["exposures"]["exposure.mini_shop.weekly_revenue_dashboard"]["owner"] = "Ana".into();
    let demo = target.read();
    for told in ["note: `execution_time` of `model.mini_shop.stg_customers`", "note: `description` of"] {
        assert!(demo.ran.stderr.contains(told), "{}", demo.ran.stderr);
    }
    assert_eq!(
        demo.lines("SELECT failures, typeof(failures) FROM tests WHERE test_name = 'assert_fails'"),
        ["100|integer"]
    );
    let sql = "SELECT execution_seconds, typeof(execution_seconds) FROM nodes
               WHERE unique_id IN ('model.mini_shop.stg_orders', 'model.mini_shop.stg_customers') ORDER BY unique_id";
    assert_eq!(demo.lines(sql), ["|null", "0|real"]);
    let sql = "SELECT description, tags, meta, fqn, version FROM nodes WHERE unique_id = 'model.mini_shop.stg_orders'";
    assert_eq!(demo.lines(sql), ["|[\"one\"]||[]|2"]);
    let sql = "SELECT position FROM columns WHERE unique_id = 'model.mini_shop.stg_orders' AND name = 'order_id'";
    assert_eq!(demo.lines(sql), ["1"]);
    assert_eq!(
        demo.lines("SELECT parent_id FROM edges WHERE child_id = 'model.mini_shop.stg_orders'"),
        ["source.mini_shop.raw_shop.orders"]
    );
}

#[test]
fn bare_nan_is_null_and_a_newer_manifest_is_read_both_with_a_note() {
    let mut target = bundled();
    target.manifest["metadata"]["dbt_schema_version"] = "https://schemas.getdbt.com/dbt/manifest/v20.json".into();
    target.node("test.mini_shop.assert_fails")["config"]["limit"] = "@nan".into();
    let demo = target.read_as(|text| text.replace("\"@nan\"", "NaN"));
    assert_eq!(demo.lines("SELECT count(*) FROM nodes"), ["55"]);
    for part in ["manifest.json` holds `NaN`", "version 20"] {
        assert!(demo.ran.stderr.contains(part), "{}", demo.ran.stderr);
    }
}

#[test]
fn owners_and_texts_that_say_nothing_are_null_and_several_are_joined() {
    let mut target = bundled();
    target.manifest["groups"]["group.mini_shop.finance"]["owner"] =
        json!({"name": " ", "email": ["a@example.com", "b@example.com"]});
    for (id, meta, config) in [
        (STG_CUSTOMERS, json!({}), json!({"owner": "@core"})),
        (STG_ORDERS, json!({"owner": ["@ana", null, ""]}), json!({})),
        ("model.mini_shop.stg_payments", json!({"owner": {"name": "Ana", "email": "ana@example.com"}}), json!({})),
        ("model.mini_shop.int_order_payments", json!({"owner": []}), json!({})),
    ] {
        let node = target.node(id);
        (node["group"], node["config"]["group"]) = (Value::Null, Value::Null);
        (node["meta"], node["config"]["meta"]) = (meta, config);
        (node["database"], node["description"]) = ("None".into(), " \n".into());
    }
    let demo = target.read();
    let sql = "SELECT name, owner_name, owner_email, database_name, description FROM nodes
               WHERE name IN ('stg_customers', 'stg_orders', 'stg_payments', 'int_order_payments') ORDER BY name";
    let expected = [
        "int_order_payments||||",
        "stg_customers|@core|||",
        "stg_orders|@ana|||",
        "stg_payments|Ana|ana@example.com||",
    ];
    assert_eq!(demo.lines(sql), expected);
    let sql = "SELECT DISTINCT owner_name, owner_email FROM nodes WHERE group_name = 'finance'";
    assert_eq!(demo.lines(sql), ["|a@example.com, b@example.com"]);
}

#[test]
fn what_was_not_read_is_external_with_its_name_and_the_cut_is_told() {
    let mut target = bundled();
    let ids =
        ["model.upstream.my.orders.v2", "model.upstream.dim.v2", "model.up.word.valpha", "function.mini_shop.to_cents"];
    target.node(ORDERS)["depends_on"]["nodes"].as_array_mut().expect("parents").extend(ids.map(Value::from));
    target.node(ORDERS)["refs"]
        .as_array_mut()
        .expect("refs")
        .push(json!({"name": "word", "package": "up", "version": "alpha"}));
    let demo = target.read();
    let sql = "SELECT unique_id, package_name, name FROM nodes WHERE resource_type = 'external' ORDER BY 1";
    assert_eq!(
        demo.lines(sql),
        [
            "function.mini_shop.to_cents|mini_shop|to_cents",
            "model.up.word.valpha|up|word",
            "model.upstream.dim.v2|upstream|dim",
            "model.upstream.my.orders.v2|upstream|my.orders",
        ]
    );
    let told = |line: &str| {
        ["`function.mini_shop.to_cents`", ORDERS, "paths above it are cut"].iter().all(|part| line.contains(part))
    };
    assert!(demo.ran.stderr.lines().any(told), "{}", demo.ran.stderr);
}

#[test]
fn paths_are_the_same_with_either_slash_and_a_slash_at_the_end_means_a_folder() {
    let posix = bundled().read();
    assert!(!posix.ran.stderr.contains("note:"), "nothing of the bundled project is odd: {}", posix.ran.stderr);
    let mut target = bundled();
    for section in ["nodes", "sources", "exposures", "metrics", "unit_tests"] {
        for node in target.manifest[section].as_object_mut().expect("a section").values_mut() {
            for field in ["path", "original_file_path", "patch_path"] {
                if let Some(path) = node[field].as_str() {
                    node[field] = path.replace("://", "\0").replace('/', "\\").replace('\0', "://").into();
                }
            }
        }
    }
    let windows = target.read();
    for selector in
        ["path:models/marts", "models/marts/*.sql", "file:orders.sql", "path:models/staging/_sources.yml", "path:seeds"]
    {
        let found = posix.selected(selector);
        assert!(!found.is_empty(), "{selector}");
        assert_eq!(windows.selected(selector), found, "{selector}");
        assert_eq!(posix.selected(&selector.replace('/', "\\")), found, "{selector}");
    }
    assert!(posix.selected("path:models/marts/orders.sql/").is_empty());
    assert!(posix.selected("path:models/marts/o*/").is_empty());
    assert_eq!(posix.selected("path:models/m*/"), posix.selected("path:models/marts"));
}

#[test]
fn what_a_configuration_would_say_is_found_in_meta_and_tags() {
    let mut target = bundled();
    for source in target.manifest["sources"].as_object_mut().expect("sources").values_mut() {
        if source["source_name"] == "raw_shop" {
            source["meta"] = json!({"system": "postgres"});
            source["tags"] = json!(["raw"]);
        }
    }
    let demo = target.read();
    // Their tests ride along.
    let sources = |selector: &str| {
        let mut ids = demo.selected(selector);
        ids.retain(|id| id.starts_with("source."));
        ids
    };
    assert_eq!(sources("tag:raw").len(), 3);
    assert_eq!(sources("config.tags:raw"), sources("tag:raw"));
    assert_eq!(sources("config.meta.system:postgres"), sources("tag:raw"));
    assert!(sources("config.meta.system:mysql").is_empty());
}

#[test]
fn an_odd_value_in_an_answer_is_unknown_told_and_not_asked_again() {
    let world = World::bundled();
    world.ok(&["sync"]);
    let before = world.rows("SELECT unique_id FROM nodes ORDER BY 1");
    let odd = |node: &mut Value| {
        node["executionInfo"]["executionTime"] = "fast".into();
        node["executionInfo"]["lastRunId"] = "70403001".into();
        node["catalog"]["comment"] = json!(["x"]);
        node["version"] = 3.into();
    };
    world.server.add_fault(Fault::new(Action::RewriteNode(Box::new(odd))).on("AppliedModels").always());
    let ran = world.run(&["sync", "--full"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(world.rows("SELECT unique_id FROM nodes ORDER BY 1"), before);
    for part in ["`executionTime` of `model.mini_shop.", "more is of another type than it should be (`\"fast\"`)"] {
        assert!(ran.stderr.contains(part), "{part}: {}", ran.stderr);
    }
    assert_eq!(world.cells("SELECT DISTINCT version FROM nodes WHERE resource_type = 'model'"), ["3"]);
    let seconds = "SELECT count(execution_seconds), count(last_run_id) > 0 FROM nodes WHERE resource_type = 'model'";
    assert_eq!(world.rows(seconds), [["0", "1"]]);
}
