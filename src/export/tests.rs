//! What goes through nodes that only stand between others, and what is told since some change, on rows that are put into an empty catalog.

use serde_json::{Value, json};

use super::*;
use crate::answers::{Environment, Reader};
use crate::config::Elsewhere;

/// A source, an ephemeral model that filters it and renames a column, and a model that aggregates that; an exposure of a metric of it; a view reads nothing, and a source means its relation. A snapshot
/// is gone, and a model whose relation the view has now.
const WORLD: &str = "
    INSERT INTO environment (environment_id, name, adapter_type, project_name) VALUES (1, 'prod', 'postgres', 'shop');
    INSERT INTO sync (sync_id, environment_id, trigger, mode, started_at, finished_at, outcome, git_sha)
        VALUES (1, 1, 'manual', 'full', '', '2026-01-01T00:00:00.000Z', 'applied', 'c0ffee'),
               (2, 1, 'manual', 'full', '', '2026-01-02T00:00:00.000Z', 'unchanged', 'c0ffee');
    INSERT INTO node (node_key, environment_id, unique_id, resource_type, is_applied, name, package_name, file_path, schema_name,
            identifier, materialization, properties, first_seen_at, last_changed_at, removed_at)
        VALUES (1, 1, 'source.shop.s', 'source', 1, 's', 'shop', NULL, 'raw', 's', NULL, '{}', '', '', NULL),
               (2, 1, 'model.shop.e', 'model', 1, 'e', 'shop', NULL, 'mart', 'e', 'ephemeral', '{}', '', '', NULL),
               (3, 1, 'model.shop.m', 'model', 1, 'm', 'shop', 'models/a m.sql', 'mart', 'm', 'table', '{}', '', '', NULL),
               (4, 1, 'model.shop.v', 'model', 1, 'v', 'other', 'models/v.sql', 'mart', 'v', 'view', '{}', '', '', NULL),
               (5, 1, 'model.shop.new', 'model', 0, 'new', 'shop', NULL, 'mart', 'new', 'table', '{}', '', '', NULL),
               (6, 1, 'snapshot.shop.gone', 'snapshot', 1, 'gone', 'shop', NULL, 'mart', 'gone', NULL, '{}', '', '', 'x'),
               (7, 1, 'model.shop.was_v', 'model', 1, 'was_v', 'shop', NULL, 'mart', 'v', NULL, '{}', '', '', 'x'),
               (8, 1, 'metric.shop.k', 'metric', NULL, 'k', 'shop', NULL, NULL, NULL, NULL, '{}', '', '', NULL),
               (9, 1, 'exposure.shop.x', 'exposure', 1, 'x', 'shop', NULL, NULL, NULL, NULL, '{}', '', '', NULL),
               (10, 1, 'source.shop.v', 'source', 1, 'v', 'shop', NULL, 'mart', 'v', NULL, '{}', '', '', NULL);
    INSERT INTO edge (child_key, parent_key) VALUES (2, 1), (3, 2), (8, 3), (8, 5), (9, 8);
    INSERT INTO derived_column (node_key, name, position) VALUES (3, 'total', 1);
    INSERT INTO column_origin (child_key, child_column, parent_key, parent_column, kind, expression, is_listed)
        VALUES (2, 'a2', 1, 'a', 'rename', NULL, 1), (3, 'total', 2, 'a2', 'aggregation', 'sum(a2)', 1),
               (3, 'a2', 2, 'a2', 'passthrough', NULL, 1);
    INSERT INTO column_use (child_key, parent_key, parent_column, clause)
        VALUES (2, 1, 'b', 'filter'), (3, 2, 'a2', 'group'), (3, 2, 'a2', 'other');
    INSERT INTO change (seq, sync_id, node_key, resource_type, kind, before)
        VALUES (1, 1, 4, 'model', 'added', NULL), (2, 1, 1, 'source', 'changed', NULL),
               (3, 1, 6, 'snapshot', 'removed', '{\"is_applied\":1,\"name\":\"gone\",\"schema_name\":\"mart\",\"identifier\":\"gone\"}'),
               (4, 1, 7, 'model', 'removed', '{\"is_applied\":1,\"name\":\"was_v\",\"schema_name\":\"mart\",\"identifier\":\"v\"}');
    UPDATE identity SET last_seq = 4, oldest_seq = 1;";

fn reader() -> Reader {
    let mut reader = Reader::over(WORLD);
    (reader.oldest_seq, reader.last_seq) = (1, 4);
    reader
}

fn scope<'r>(reader: &'r Reader, since: Option<i64>) -> Result<Scope<'r>, Error> {
    let elsewhere = Elsewhere {
        namespace: Some("postgres://db:5432".to_owned()),
        repository: Some("https://git.example/{git_sha}/{path}".to_owned()),
    };
    let environment = Environment { id: 1, name: "prod".to_owned() };
    let since = since.map(|seq| Told { seq, ..Told::default() });
    Scope::open(reader, &environment, Wanted { since, elsewhere, ..Wanted::default() })
}

fn events(since: Option<i64>, how: OpenLineage) -> Vec<Value> {
    let (reader, mut out) = (reader(), Vec::new());
    openlineage(&scope(&reader, since).expect("a scope"), how, &mut out).expect("written");
    out.split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).expect("JSON"))
        .collect()
}

/// What each event is about, and what it says of inputs and outputs.
fn told(events: &[Value]) -> Vec<String> {
    let names = |list: &Value| {
        let names = list.as_array().into_iter().flatten().map(|it| it["name"].as_str().unwrap_or_default());
        names.collect::<Vec<_>>().join(",")
    };
    let told = |event: &Value| match event["dataset"]["name"].as_str() {
        Some(name) => name.to_owned(),
        None => format!(
            "{} -> {} -> {}",
            names(&event["inputs"]),
            event["job"]["name"].as_str().unwrap_or("?"),
            names(&event["outputs"])
        ),
    };
    events.iter().map(told).collect()
}

#[test]
fn what_is_ephemeral_or_not_built_is_no_dataset_and_lineage_goes_through() {
    let events = events(None, OpenLineage::default());
    let expected = [
        "mart.m -> exposure.shop.x -> ",
        "mart.m",
        "raw.s -> model.shop.m -> mart.m",
        "mart.v",
        " -> model.shop.v -> mart.v",
        "raw.s",
    ];
    assert_eq!(told(&events), expected);
    assert!(
        events.iter().all(|event| event["eventTime"] == "2026-01-01T00:00:00.000Z"),
        "the last sync changed nothing"
    );
}

#[test]
fn columns_are_told_of_the_relations_at_both_ends() {
    let events = events(None, OpenLineage::default());
    let facet = &events[2]["outputs"][0]["facets"]["columnLineage"];
    let input = |field: &str, step: Value| json!({"namespace": "postgres://db:5432", "name": "raw.s", "field": field, "transformations": [step]});
    let fields = json!({
        "a2": {"inputFields": [input("a", json!({"type": "DIRECT", "subtype": "IDENTITY"}))]},
        "total": {"inputFields": [input("a", json!({"type": "DIRECT", "subtype": "AGGREGATION", "description": "sum(a2)"}))]},
    });
    assert_eq!(facet["fields"], fields);
    let dataset = [("a", "GROUP_BY"), ("b", "FILTER")];
    let dataset = dataset.map(|(field, subtype)| input(field, json!({"type": "INDIRECT", "subtype": subtype})));
    assert_eq!(facet["dataset"], json!(dataset));
}

#[test]
fn a_file_of_the_project_itself_has_an_address() {
    let events = events(None, OpenLineage::default());
    let address = &events[2]["job"]["facets"]["sourceCodeLocation"];
    assert_eq!(address["url"], "https://git.example/c0ffee/models/a%20m.sql");
    assert!(events[4]["job"]["facets"].get("sourceCodeLocation").is_none(), "another package lies elsewhere");
}

#[test]
fn since_a_change_is_what_moved_and_what_reads_it_and_what_is_gone() {
    let moved = events(Some(1), OpenLineage::default());
    let expected = ["mart.m", "raw.s -> model.shop.m -> mart.m", "raw.s", " -> snapshot.shop.gone -> "];
    assert_eq!(told(&moved), expected, "not what another node has now");
    assert!(told(&events(Some(4), OpenLineage::default())).is_empty());
    let drops = events(Some(2), OpenLineage { drops_removed: true, ..OpenLineage::default() });
    assert_eq!(told(&drops), [" -> snapshot.shop.gone -> ", "mart.gone"]);
    assert_eq!(drops[1]["dataset"]["facets"]["lifecycleStateChange"]["lifecycleStateChange"], "DROP");
    let reader = reader();
    for seq in [-1, 5] {
        let error = scope(&reader, Some(seq)).expect_err("not in this catalog").to_string();
        assert!(error.contains("1 to 4") && error.contains("without `--since`"), "{error}");
    }
}

#[test]
fn datahub_is_told_of_its_own_platform_alone_and_of_the_columns_between() {
    let (reader, mut out) = (reader(), Vec::new());
    let how = DataHub { platform_instance: Some("EU".to_owned()), env: "DEV".to_owned(), lowercase: true };
    datahub(&[scope(&reader, Some(1)).expect("a scope")], &how, &mut out).expect("written");
    let proposals: Vec<Value> = serde_json::from_slice(&out).expect("a list");
    let own = |name: &str| format!("urn:li:dataset:(urn:li:dataPlatform:dbt,{name},DEV)");
    assert!(proposals.iter().all(|it| it["entityUrn"].as_str().is_some_and(|urn| urn.contains("dataPlatform:dbt,"))));
    let said = |name: &str, aspect: &str| {
        let is_it = |it: &&Value| it["entityUrn"] == own(name).as_str() && it["aspectName"] == aspect;
        proposals.iter().find(is_it).map(|it| it["aspect"]["json"].clone()).unwrap_or_default()
    };
    assert_eq!(said("mart.gone", "status"), json!({"removed": true}));
    assert_eq!(
        said("mart.m", "siblings")["siblings"][0],
        "urn:li:dataset:(urn:li:dataPlatform:postgres,eu.mart.m,DEV)"
    );
    let lineage = said("mart.m", "upstreamLineage");
    assert_eq!(lineage["upstreams"][0]["dataset"], own("raw.s").as_str());
    let total = &lineage["fineGrainedLineages"][1];
    assert_eq!(total["upstreams"], json!([format!("urn:li:schemaField:({},a)", own("raw.s"))]));
    assert_eq!(
        (&total["transformOperation"], &total["downstreams"][0]),
        (&json!("AGGREGATION"), &json!(format!("urn:li:schemaField:({},total)", own("mart.m"))))
    );
}

#[test]
fn a_list_of_nothing_is_a_list() {
    let mut out = Vec::new();
    let how = DataHub { platform_instance: None, env: "PROD".to_owned(), lowercase: false };
    datahub(&[], &how, &mut out).expect("written");
    assert_eq!(out, b"[]\n");
}
