//! The numbers of environments, and what is left when one is forgotten.

use super::*;

fn configured(id: Option<i64>, name: &str, origin: &'static str) -> Configured {
    Configured { id, name: name.to_owned(), origin, platform_id: id, account_id: None }
}

fn rows(catalog: &Catalog, sql: &str) -> Vec<String> {
    let mut statement = catalog.connection().prepare(sql).expect(sql);
    statement.query_map([], |row| row.get(0)).expect(sql).collect::<Result<_, _>>().expect(sql)
}

#[test]
fn files_get_the_smallest_free_number_and_keep_it_with_their_name() {
    let test = TestCatalog::new();
    let mut catalog = test.open();
    let first = [configured(Some(1), "prod", "discovery"), configured(None, "core", "artifacts")];
    catalog.configure(&[], &first).expect("configured");
    let second = [
        configured(None, "other", "artifacts"),
        configured(Some(2), "staging", "discovery"),
        configured(None, "core", "artifacts"),
    ];
    let taken = super::super::numbers(Some(catalog.connection()), &second).expect_err("2 is core's");
    assert!(taken.to_string().contains("environment 2 is"), "{taken}");
    let second = [second[0].clone(), configured(Some(3), "staging", "discovery"), second[2].clone()];
    assert_eq!(super::super::numbers(Some(catalog.connection()), &second).expect("numbered"), [4, 3, 2]);
    catalog.configure(&[], &second).expect("configured");
    let told =
        "SELECT environment_id || ' ' || name || ' ' || origin || ' ' || is_configured FROM environments ORDER BY 1";
    let expected = ["1 prod discovery 0", "2 core artifacts 1", "3 staging discovery 1", "4 other artifacts 1"];
    assert_eq!(rows(&catalog, told), expected);
    assert_eq!(super::super::numbers(None, &second).expect("numbered"), [1, 3, 2], "without a catalog");
}

#[test]
fn an_environment_that_leaves_the_configuration_stays_and_its_name_is_free() {
    let test = TestCatalog::new();
    let mut catalog = test.open();
    catalog.configure(&[], &[configured(Some(834), "prod", "discovery")]).expect("configured");
    catalog.configure(&[], &[configured(None, "prod", "artifacts")]).expect("configured");
    let told = "SELECT environment_id || ' ' || name || ' ' || is_configured FROM environments ORDER BY environment_id";
    assert_eq!(rows(&catalog, told), ["1 prod 1", "834 prod (834) 0"]);
}

/// Whatever refers to nodes, syncs or environments goes with them: a table that is not deleted from would refuse.
#[test]
fn a_table_that_holds_something_of_an_environment_is_deleted_from() {
    let connection = Connection::open_in_memory().expect("open");
    connection.execute_batch(SCHEMA).expect("the schema");
    let sql = "SELECT DISTINCT m.name FROM sqlite_schema m JOIN pragma_foreign_key_list(m.name) k
               WHERE m.type = 'table' AND k.\"table\" IN ('environment', 'sync', 'node')";
    let mut statement = connection.prepare(sql).expect(sql);
    let tables: Vec<String> =
        statement.query_map([], |row| row.get(0)).expect(sql).collect::<Result<_, _>>().expect(sql);
    let deleted: Vec<&str> = super::super::environments::OF_AN_ENVIRONMENT.iter().map(|(table, _)| *table).collect();
    for table in tables {
        let is_last = ["node", "sync"].contains(&table.as_str());
        assert!(is_last || deleted.contains(&table.as_str()), "{table} keeps an environment from being forgotten");
    }
}

#[test]
fn a_number_is_not_taken_from_whoever_has_it() {
    let test = TestCatalog::new();
    let mut catalog = test.open();
    let files = [configured(None, "core", "artifacts"), configured(None, "up", "artifacts")];
    catalog.configure(&[], &files).expect("configured");
    let refused = |configured: &[Configured]| {
        super::super::numbers(Some(catalog.connection()), configured).expect_err("refused").to_string()
    };
    let swapped = [configured(Some(2), "core", "artifacts"), configured(Some(1), "up", "artifacts")];
    assert!(refused(&swapped).contains("environment 2 is `up`"), "{}", refused(&swapped));
    let cloud = [configured(Some(1), "cloud", "discovery")];
    assert!(refused(&cloud).contains("environment 1 is `core`"), "{}", refused(&cloud));
    // Another name for the same one is fine, and so is another origin under the same name.
    let renamed = [configured(Some(1), "shop", "artifacts"), configured(Some(2), "up", "discovery")];
    assert_eq!(super::super::numbers(Some(catalog.connection()), &renamed).expect("numbered"), [1, 2]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn a_forgotten_environment_leaves_nothing_and_takes_nothing_of_others(
        history in prop::collection::vec((1_i64..3, arbitrary_inventory()), 2..6),
    ) {
        let mut test = TestCatalog::new();
        let mut alone = TestCatalog::new();
        for (environment, fetched) in &history {
            test.sync_of(*environment, fetched).expect("synced");
            alone.clock = test.clock - 2000;
            if *environment == 1 {
                alone.sync_of(1, fetched).expect("synced");
            }
        }
        let mut catalog = test.open();
        catalog.forget_environment(2).expect("forgotten");
        let broken: Vec<String> = rows(&catalog, "SELECT \"table\" FROM pragma_foreign_key_check");
        prop_assert!(broken.is_empty(), "{:?}", broken);
        // Its numbers of changes are gone, so only what stands beside them can be compared.
        let told = |catalog: &Catalog| {
            ["nodes", "columns", "edges", "lineage", "tests", "coverage", "owners", "code", "removed_nodes"].map(|view| {
                let columns = rows(catalog, &format!("SELECT name FROM pragma_table_info('{view}') WHERE name <> 'sync_id'"));
                rows(catalog, &format!("SELECT json_array({}) FROM {view} ORDER BY 1", columns.join(", ")))
            })
        };
        prop_assert_eq!(told(&catalog), told(&alone.open()));
        let left = rows(&catalog, "SELECT CAST(count(*) AS TEXT) FROM raw_code WHERE sha256 NOT IN (
            SELECT raw_code_sha256 FROM node WHERE raw_code_sha256 IS NOT NULL)
            AND NOT EXISTS (SELECT 1 FROM change)");
        prop_assert_eq!(left, ["0"]);
        let words = rows(&catalog, "SELECT CAST(count(*) AS TEXT) FROM search('name')");
        let nodes = rows(&catalog, "SELECT CAST(count(*) AS TEXT) FROM node WHERE removed_at IS NULL AND name IS NOT NULL");
        prop_assert!(words[0].parse::<i64>().expect("a number") <= nodes[0].parse().expect("a number"));
        catalog.connection().execute("INSERT INTO search (search) VALUES ('integrity-check')", []).expect("the index is true");
    }
}
