//! Where columns come from, in the bundled project and in samples of real ones.

use std::path::Path;

use rusqlite::Connection;

use crate::support::{World, binary, rows, run, sample};

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
