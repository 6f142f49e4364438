//! Where columns come from, in the bundled project and in samples of real ones.

use std::path::Path;

use rusqlite::Connection;

use crate::support::{World, binary, json, rows, run, sample};

#[test]
fn the_columns_of_the_bundled_project_are_resolved() {
    let world = World::bundled();
    world.ok(&["sync"]);
    let status = "SELECT status || ' ' || count(*) FROM column_lineage_status GROUP BY status ORDER BY 1";
    let statuses = world.cells(status);
    assert!(statuses.iter().any(|line| line.starts_with("resolved ")), "{statuses:?}");
    assert!(statuses.iter().all(|line| !line.starts_with("partial") && !line.starts_with("unparsed")), "{statuses:?}");
    let strays = "SELECT count(*) FROM column_lineage l WHERE is_listed AND NOT EXISTS (
        SELECT 1 FROM columns c WHERE c.unique_id = l.parent_id AND c.name = l.parent_column)
        AND EXISTS (SELECT 1 FROM columns c WHERE c.unique_id = l.parent_id AND c.in_warehouse)";
    assert_eq!(world.cells(strays), ["0"], "what is listed is a column of the view `columns`");
    let others = "SELECT count(*) FROM column_lineage l WHERE NOT EXISTS (
        SELECT 1 FROM edges e WHERE e.parent_id = l.parent_id AND e.child_id = l.child_id)";
    assert_eq!(world.cells(others), ["0"], "lineage of columns follows that of nodes");
    let before = world.cells("SELECT last_revision || '' FROM catalog_info");
    world.ok(&["sync", "--full"]);
    assert_eq!(world.cells("SELECT last_revision || '' FROM catalog_info"), before, "nothing moved");
}

const ORDERS: &str = "model.mini_shop.orders";
const INCREMENTAL: &str = "model.mini_shop.orders_incremental";

#[test]
fn a_column_that_went_is_followed_also_where_its_reader_changed_with_it() {
    let world = World::bundled();
    world.ok(&["sync"]);
    world.change(|project| {
        project.remove_column(ORDERS, "status");
        project.set_code(INCREMENTAL, "select order_id, amount from \"mini_shop\".\"analytics\".\"orders\"");
    });
    world.ok(&["sync"]);
    let read =
        "SELECT count(*) FROM column_lineage WHERE parent_id = 'model.mini_shop.orders' AND parent_column = 'status'";
    assert_eq!(world.cells(read), ["0"], "nothing reads it any more");
    let changes = world.ok(&["changes", "--kind", "column_removed"]);
    let (_, told) = changes.split_once("! model.mini_shop.orders: column status is gone").expect("it is marked");
    assert!(told.contains("\n      columns: model.mini_shop.orders_incremental.status"), "{changes}");
    let impact = &json(&world.ok(&["impact", &format!("{ORDERS}.status"), "--format", "json"]))[0];
    assert_eq!(impact["columns"][0]["unique_id"], INCREMENTAL, "{impact}");
}

#[test]
fn a_node_that_went_is_told_with_what_read_it_until_then() {
    let world = World::bundled();
    world.ok(&["sync"]);
    world.change(|project| {
        project.set_code(INCREMENTAL, "select 1 as one");
        project.remove(ORDERS);
    });
    world.ok(&["sync", "--full"]);
    let page = world.ok(&["changes", "--kind", "removed", "--format", "markdown"]);
    let told = page.lines().any(|line| {
        line.contains("⚠ `model.mini_shop.orders`: removed")
            && line.contains("model.mini_shop.orders_incremental.amount")
    });
    assert!(told, "{page}");
    for what in ["orders.amount".to_owned(), ORDERS.to_owned()] {
        let what = what.replace("orders.amount", &format!("{ORDERS}.amount"));
        let impact = &json(&world.ok(&["impact", &what, "--format", "json"]))[0];
        assert!(impact["gone_with"].is_i64(), "{impact}");
        let columns = impact["columns"].as_array().expect("a list");
        assert!(columns.iter().any(|it| it["unique_id"] == INCREMENTAL && it["column_name"] == "amount"), "{impact}");
    }
    for arguments in [["show", ORDERS], ["lineage", ORDERS], ["lineage", "model.mini_shop.orders.amount"]] {
        let ran = world.run(&arguments);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.stderr.contains("`model.mini_shop.orders` was removed at 2"), "{ran:?}");
    }
}

#[test]
fn what_is_not_resolved_counts_as_touched_and_is_named() {
    let world = World::bundled();
    world.change(|project| project.set_code(INCREMENTAL, "select {{ left }} from orders"));
    world.ok(&["sync"]);
    let impact = &json(&world.ok(&["impact", &format!("{ORDERS}.status"), "--format", "json"]))[0];
    let unresolved = impact["unresolved"].as_array().expect("a list");
    assert!(unresolved.iter().any(|it| it["unique_id"] == INCREMENTAL && it["status"] == "unparsed"), "{impact}");
    let ran = world.run(&["lineage", &format!("{ORDERS}.status"), "--downstream", "9"]);
    let told = "there may be more: not all columns are known of model.mini_shop.orders_incremental (unparsed)";
    assert!(ran.stderr.contains(told), "{ran:?}");
    assert!(world.ok(&["show", INCREMENTAL]).contains("lineage of columns is not fully known (unparsed: "));
    let touched = serde_json::json!({"unique_id": INCREMENTAL, "resource_type": "model"});
    assert!(impact["nodes"].as_array().expect("a list").contains(&touched), "{impact}");
}

#[test]
fn a_column_is_found_by_what_follows_the_node_and_one_that_is_not_there_is_told() {
    let world = World::bundled();
    world.ok(&["sync"]);
    // `orders` is a source, a model and a semantic model: only one has the column.
    assert!(world.ok(&["lineage", "orders.AMOUNT"]).starts_with("model.mini_shop.orders.amount\n"));
    assert!(
        world.ok(&["lineage", "dim_customers.v2"]).starts_with("model.mini_shop.dim_customers.v2\n"),
        "a node first"
    );
    assert!(world.ok(&["impact", "dim_customers.v2.country"]).starts_with("model.mini_shop.dim_customers.v2.country:"));
    assert!(world.ok(&["impact", "raw_shop.orders.status"]).starts_with("source.mini_shop.raw_shop.orders.status:"));
    let ran = world.run(&["impact", "stg_orders.amount"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.stderr.contains("has no column `amount`; it has customer_id, order_date, order_id, status"), "{ran:?}");
}

#[test]
fn a_follower_reads_the_nodes_past_a_revision() {
    let world = World::served("interval = \"1h\"");
    world.ok(&["sync"]);
    let daemon = world.serve();
    let get = |question: &str| daemon.connect().get(&format!("/api/v1/{question}")).json();
    let last = get("catalog_info")[0]["last_revision"].as_i64().expect("a number");
    for view in ["column_lineage", "column_uses", "column_lineage_status"] {
        assert_eq!(get(&format!("{view}?after_revision={last}")).as_array().map(Vec::len), Some(0), "{view}");
        assert_eq!(get(&format!("{view}?after_revision=0")), get(view), "{view}");
    }
    world.change(|project| {
        project.set_code(INCREMENTAL, "select order_id from \"mini_shop\".\"analytics\".\"orders\" where amount > 0");
    });
    world.ok(&["sync"]);
    let moved = get(&format!("column_lineage_status?after_revision={last}"));
    assert_eq!((moved[0]["unique_id"].as_str(), moved[1].is_null()), (Some(INCREMENTAL), true), "{moved}");
    let uses = get(&format!("column_uses?after_revision={last}"));
    assert_eq!(
        (uses[0]["parent_column"].as_str(), uses[0]["clause"].as_str()),
        (Some("amount"), Some("filter")),
        "{uses}"
    );
    let impact = get(&format!("impact?node={ORDERS}&column=amount"));
    assert_eq!(impact[0]["shaped"][0]["unique_id"], INCREMENTAL, "{impact}");
    assert_eq!(daemon.connect().get(&format!("/api/v1/impact?node={ORDERS}&column=none")).status, 404);
}

/// The samples of real projects; figures of each are printed.
const SAMPLES: [&str; 20] = [
    "dbt-bouncer-1.12",
    "dbt-bouncer-2.0",
    "dbt-docs-ci-v9",
    "dbterd-shopify-v7",
    "dwh-sm2-1.12",
    "dwh-sm2-1.9",
    "hubspot-v4",
    "jaffle-semantic-1.12",
    "jaffle-v5",
    "mesh-downstream",
    "mesh-upstream",
    "netsuite-v8",
    "openlineage-spark-v4",
    "quickbooks-1.6-local",
    "quickbooks-v6",
    "salesforce-v10",
    "shopify-1.8-local",
    "tuva-0.14-snowflake-large",
    "tuva-0.18-large",
    "tuva-2024-v11",
];

/// Of one sample: models and snapshots with SQL, those that were parsed, their columns, and those whose origins are known.
fn figures(folder: &Path) -> [i64; 4] {
    let place = tempfile::tempdir().expect("a folder");
    let config =
        format!("[[environments]]\nname = \"core\"\norigin = \"artifacts\"\npaths = [{:?}]\n", folder.display());
    std::fs::write(place.path().join("lineaged.toml"), config).expect("written");
    let sync = run(&mut binary(place.path(), &["sync"]));
    assert_eq!(sync.code, Some(0), "{}: {sync:?}", folder.display());
    let catalog = Connection::open(place.path().join("lineaged.db")).expect("the catalog");
    for line in rows(
        &catalog,
        "SELECT unique_id, status, reason FROM column_lineage_status WHERE status NOT IN ('resolved', 'no_code', 'not_sql')",
    ) {
        eprintln!("{line:?}");
    }
    let sql = "SELECT count(*), count(column_count), coalesce(sum(column_count), 0), coalesce(sum(resolved_columns), 0)
               FROM column_lineage_status WHERE status NOT IN ('no_code', 'not_sql')";
    catalog.query_row(sql, [], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?])).expect("figures")
}

#[test]
fn nearly_all_columns_of_real_projects_are_resolved() {
    let mut total = [0; 4];
    for name in SAMPLES {
        let Some(folder) = sample(name) else { continue };
        let figures = figures(&folder);
        eprintln!("{name}: {figures:?}");
        total.iter_mut().zip(figures).for_each(|(total, figure)| *total += figure);
    }
    let [models, parsed, columns, resolved] = total;
    eprintln!("{models} models with SQL, {parsed} parsed, {columns} columns, {resolved} resolved");
    assert!(parsed * 1000 >= models * 995, "{parsed} of {models} are parsed");
    assert!((columns - resolved) * 1000 <= columns, "{resolved} of {columns} are resolved");
}
