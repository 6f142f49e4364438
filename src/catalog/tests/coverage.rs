//! What the catalog keeps of coverage and owners: as the nodes, their tests and the settings have it.

use super::*;

fn node(id: &str, resource_type: ResourceType) -> Node {
    let fqn = Some(Json::new(&json!(["shop", id])));
    Node { name: Some(id.into()), package_name: Some("shop".into()), fqn, ..Node::new(id, resource_type) }
}

fn described(id: &str, description: &str) -> Node {
    let mut node = Node { description: Some(description.into()), ..node(id, ResourceType::Model) };
    node.normalize();
    node
}

fn test_of(id: &str, tested: &str, column: Option<&str>) -> Node {
    let properties = Json::new(&json!({"attached_node": tested, "column_name": column, "test_type": "generic"}));
    Node { properties, ..node(id, ResourceType::Test) }
}

fn with_columns(mut node: Node, columns: &[(&str, Option<&str>, Option<bool>)]) -> Node {
    node.columns = columns
        .iter()
        .map(|(name, description, in_warehouse)| Column {
            name: (*name).into(),
            description: description.map(Into::into),
            in_warehouse: *in_warehouse,
            ..Column::default()
        })
        .collect();
    node.normalize();
    node
}

fn inventory(project: Option<&str>, nodes: Vec<Node>) -> Inventory {
    let environment = EnvironmentFacts { project_name: project.map(str::to_owned), ..EnvironmentFacts::default() };
    Inventory { environment, nodes: nodes.into_iter().map(|node| (node.unique_id.clone(), node.into())).collect() }
}

fn configured(test: &TestCatalog, placeholders: &[&str], exclude: &[&str]) {
    let settings = [("placeholders", json!(placeholders)), ("exclude", json!(exclude))];
    test.open().configure(&settings, &[]).expect("configured");
}

fn told(test: &TestCatalog, sql: &str) -> Vec<String> {
    texts(&open_to_read(&test.path()).expect("a catalog"), sql)
}

const FLAGS: &str =
    "SELECT unique_id || ' ' || is_documented || is_placeholder || is_excluded FROM coverage ORDER BY 1";

#[test]
fn a_placeholder_is_not_documented_and_what_is_blank_is_no_description() {
    let mut test = TestCatalog::new();
    configured(&test, &["todo", "à compléter"], &[]);
    let nodes = vec![
        described("a", "words"),
        described("b", "\u{a0}ToDo\u{3000}\n"),
        described("c", "À COMPLÉTER"),
        described("d", "\u{2028}D\t"),
        described("e", "\u{200b} \u{feff}"),
    ];
    test.sync(&inventory(Some("shop"), nodes));
    assert_eq!(told(&test, FLAGS), ["a 100", "b 010", "c 010", "d 010", "e 000"]);
    assert_eq!(told(&test, "SELECT unique_id FROM nodes WHERE description IS NULL"), ["e"]);
    let history =
        "SELECT node_count || ' ' || documented || ' ' || placeholders || ' ' || tested FROM coverage_history";
    assert_eq!(told(&test, history), ["5 1 3 0"]);
}

#[test]
fn a_changed_setting_changes_what_is_kept_without_a_read() {
    let mut test = TestCatalog::new();
    test.sync(&inventory(Some("shop"), vec![described("a", "later"), described("b", "words")]));
    assert_eq!(told(&test, FLAGS), ["a 100", "b 100"]);
    configured(&test, &["LATER"], &["b"]);
    assert_eq!(told(&test, FLAGS), ["a 010", "b 101"]);
    configured(&test, &[], &[]);
    assert_eq!(told(&test, FLAGS), ["a 100", "b 100"]);
}

#[test]
fn excluded_nodes_are_in_no_history() {
    let mut test = TestCatalog::new();
    configured(&test, &[], &["b"]);
    test.sync(&inventory(Some("shop"), vec![described("a", "words"), described("b", "words")]));
    assert_eq!(told(&test, "SELECT node_count || ' ' || documented FROM coverage_history"), ["1 1"]);
}

#[test]
fn columns_are_counted_as_the_warehouse_has_them_and_tests_at_the_one_that_they_mean() {
    let mut test = TestCatalog::new();
    configured(&test, &["todo"], &[]);
    let there = Some(true);
    let columns = [
        ("id", Some("words"), there),
        ("ID", None, there),
        ("Id", Some("TODO "), there),
        ("STATUS", Some("status"), there),
        ("Straße", Some("words"), there),
        ("declared", Some("words"), Some(false)),
        ("maybe", Some("words"), None),
    ];
    let nodes = vec![
        with_columns(node("m", ResourceType::Model), &columns),
        with_columns(node("u", ResourceType::Model), &[("a", Some("words"), None)]),
        node("n", ResourceType::Source),
        test_of("t1", "m", Some("ID")),
        test_of("t2", "m", Some("iD")),
        test_of("t3", "m", Some("status")),
        test_of("t4", "m", Some("Status")),
        test_of("t5", "m", Some("STRASSE")),
        test_of("t6", "m", None),
        test_of("t7", "m", Some("declared")),
        test_of("t8", "u", Some("a")),
    ];
    test.sync(&inventory(Some("shop"), nodes));
    let sql =
        "SELECT unique_id || ' ' || coalesce(column_count || ' ' || documented_columns || ' ' || tested_columns, '-')
                   || ' ' || test_count FROM coverage ORDER BY 1";
    assert_eq!(told(&test, sql), ["m 5 2 3 7", "n - 0", "u - 1"]);
}

#[test]
fn whose_package_is_own_is_unknown_where_no_package_is_called_like_the_project() {
    let mut test = TestCatalog::new();
    let nodes = || vec![described("a", "x"), Node { package_name: Some("installed".into()), ..described("b", "x") }];
    let own = "SELECT unique_id || ' ' || coalesce(is_own_package, '?') FROM coverage ORDER BY 1";
    for (project, expected) in
        [(Some("other"), ["a ?", "b ?"]), (Some("shop"), ["a 1", "b 0"]), (Some("installed"), ["a 0", "b 1"])]
    {
        test.sync(&inventory(project, nodes()));
        assert_eq!(told(&test, own), expected, "{project:?}: the nodes are the same, the project's name is not");
    }
}

#[test]
fn owners_are_told_with_what_they_lack_and_how_they_are_reached() {
    let mut test = TestCatalog::new();
    configured(&test, &["todo"], &["scratch"]);
    let owned = |node: Node, name: Option<&str>, email: Option<&str>| Node {
        owner_name: name.map(Into::into),
        owner_email: email.map(Into::into),
        ..node
    };
    let group = |id: &str, meta: Value| Node { meta: Some(Json::new(&meta)), ..node(id, ResourceType::Group) };
    let finance = |node: Node| owned(node, Some("Finance"), Some("fin@example.com"));
    let mut failed = described("failed", "words");
    failed.last_run.status = Some("error".into());
    let nodes = vec![
        finance(group("g", json!({"slack": " ", "url": "https://x", "channel": ["#fin", "#all"], "teams": {"a": 1}}))),
        owned(group("h", json!({"url": "https://y", "slack": "#ops"})), Some("Ops"), None),
        finance(failed),
        finance(described("todo", "TODO")),
        finance(node("scratch", ResourceType::Model)),
        finance(test_of("t", "failed", None)),
        owned(node("e", ResourceType::Exposure), None, Some("ana@example.com")),
        owned(described("meta", "words"), Some("Finance"), Some("other@example.com")),
    ];
    test.sync(&inventory(Some("shop"), nodes));
    let sql =
        "SELECT coalesce(owner_name, '-') || '|' || coalesce(owner_email, '-') || '|' || coalesce(contact, '-') || '|'
                   || node_count || ' ' || undocumented || ' ' || untested || ' ' || degraded FROM owners ORDER BY 1";
    assert_eq!(
        told(&test, sql),
        [
            "-|ana@example.com|-|1 1 0 0",
            "Finance|fin@example.com, other@example.com|#fin, #all|4 1 2 1",
            "Ops|-|#ops|0 0 0 0"
        ]
    );
    let failed = "SELECT count(*) FROM owners WHERE typeof(node_count) <> 'integer'";
    assert_eq!(told(&test, &failed.replace("count(*)", "'' || count(*)")), ["0"]);
}

#[test]
fn other_owner_keys_are_read_at_once() {
    let test = TestCatalog::new();
    let mut catalog = test.open();
    let now = Timestamp::now();
    let configure =
        |catalog: &mut Catalog, keys: Value| catalog.configure(&[("owner_meta_keys", keys)], &[]).expect("kept");
    configure(&mut catalog, json!(["owner"]));
    let sync = catalog.start_sync(1, "prod", Trigger::Manual, now).expect("started");
    let ending = Ending { mode: Mode::Full, stamps: Some("s".into()), ..Ending::default() };
    catalog.leave_unchanged(sync, &ending, &EnvironmentFacts::default(), now).expect("closed");
    let is_known = |catalog: &Catalog| known(catalog.connection(), 1, "s", now, now).expect("read").is_some();
    configure(&mut catalog, json!(["owner"]));
    assert!(is_known(&catalog));
    configure(&mut catalog, json!(["team"]));
    assert!(!is_known(&catalog), "whatever the probe says");
}
