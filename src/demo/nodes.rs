//! What a node of the manifest, of any version, looks like in the API. What it became when it ran is in `results`.

use serde_json::{Map, Value, json};

use super::project::{Kind, Node, Project};
use crate::inventory::shape;

/// A node as the manifest writes it; fields are taken out of it one by one.
pub(super) struct Raw(pub Map<String, Value>);

impl Raw {
    pub(super) fn peek(&self, key: &str) -> &Value {
        self.0.get(key).unwrap_or(&Value::Null)
    }

    pub(super) fn take(&mut self, key: &str) -> Value {
        self.0.remove(key).unwrap_or(Value::Null)
    }

    /// The first of these keys that is not null.
    fn first(&mut self, keys: &[&str]) -> Value {
        keys.iter().map(|key| self.take(key)).find(|value| !value.is_null()).unwrap_or(Value::Null)
    }

    /// The field, else what `config` says of it. What is empty says nothing.
    fn or_config(&mut self, key: &str) -> Value {
        let value = self.take(key);
        if says_something(&value) { value } else { self.peek("config")[key].clone() }
    }
}

fn says_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => !map.is_empty(),
        _ => true,
    }
}

/// A member taken out of a map; null where it is no map.
fn part(value: &mut Value, key: &str) -> Value {
    value.get_mut(key).map(Value::take).unwrap_or_default()
}

/// A node of the definition state, with the parents that the manifest names.
pub(super) fn node(kind: Kind, id: String, mut raw: Raw) -> Node {
    let mut node = Node::new(kind);
    node.set("uniqueId", id.into());
    node.set("resourceType", kind.word().into());
    if let Value::Array(parents) = raw.peek("depends_on")["nodes"].clone() {
        node.parents = parents.into_iter().filter_map(|id| id.as_str().map(str::to_owned)).collect();
    }
    common(&mut node, &mut raw);
    match kind {
        Kind::Model => model(&mut node, &mut raw),
        Kind::Seed => relation(&mut node, &mut raw),
        Kind::Snapshot => {
            relation(&mut node, &mut raw);
            code(&mut node, &mut raw);
        }
        Kind::Source => source(&mut node, &mut raw),
        Kind::Test => data_test(&mut node, &mut raw),
        Kind::UnitTest => unit_test(&mut node, &mut raw),
        Kind::Exposure => exposure(&mut node, &mut raw),
        Kind::Metric => metric(&mut node, &mut raw),
        Kind::SemanticModel => semantic_model(&mut node, &mut raw),
        Kind::SavedQuery => saved_query(&mut node, &mut raw),
        Kind::Group => group(&mut node, &mut raw),
        Kind::External => {}
    }
    if matches!(kind, Kind::Model | Kind::Snapshot | Kind::Test | Kind::UnitTest) {
        node.set("config", raw.take("config"));
    }
    node
}

/// Another project's model, or a node of a kind that the API does not have; `raw` is what the manifest knows of it, often nothing.
pub(super) fn external(id: &str, mut raw: Raw, package: String, name: String) -> Node {
    let mut node = Node::new(Kind::External);
    let kind = id.split_once('.').map_or("model", |(kind, _)| kind);
    common(&mut node, &mut raw);
    relation(&mut node, &mut raw);
    let alias = raw.take("alias");
    node.set("identifier", if alias.is_null() { node.field("alias").clone() } else { alias });
    for (field, by_id) in [("name", name), ("packageName", package)] {
        if node.text(field).is_empty() {
            node.set(field, by_id.into());
        }
    }
    node.set("dbtProjectName", node.field("packageName").clone());
    node.set("resourceType", kind.into());
    node.set("version", text_of(raw.take("version")));
    node.set("latestVersion", text_of(raw.take("latest_version")));
    node.set("environmentId", 2.into());
    node.set("projectId", 2.into());
    node.set("uniqueId", id.into());
    node
}

/// The package and the name that an id without its type is made of. Packages have no dots, but names do, and a version is behind them.
pub(super) fn named_by_id(id: &str) -> (String, String) {
    let (package, name) = id.split_once('.').unwrap_or(("", id));
    let is_version = |text: &str| text.starts_with(|c: char| c.is_ascii_digit()) && text.parse::<f64>().is_ok();
    let unversioned = name.rsplit_once(".v").filter(|(rest, version)| !rest.is_empty() && is_version(version));
    (package.to_owned(), unversioned.map_or(name, |(rest, _)| rest).to_owned())
}

fn common(node: &mut Node, raw: &mut Raw) {
    for (name, key) in [
        ("name", "name"),
        ("description", "description"),
        ("fqn", "fqn"),
        ("packageName", "package_name"),
        ("patchPath", "patch_path"),
    ] {
        node.set(name, raw.take(key));
    }
    let path = raw.first(&["original_file_path", "path"]);
    node.set("filePath", if path.is_null() { "".into() } else { path });
    node.set("meta", raw.or_config("meta"));
    let tags = match raw.or_config("tags") {
        Value::String(tag) => json!([tag]),
        tags => tags,
    };
    node.set("tags", tags);
}

fn relation(node: &mut Node, raw: &mut Raw) {
    for (name, key) in
        [("alias", "alias"), ("database", "database"), ("schema", "schema"), ("relationName", "relation_name")]
    {
        node.set(name, raw.take(key));
    }
}

fn code(node: &mut Node, raw: &mut Raw) {
    node.set("rawCode", raw.first(&["raw_code", "raw_sql"]));
    node.set("compiledCode", raw.first(&["compiled_code", "compiled_sql"]));
}

fn model(node: &mut Node, raw: &mut Raw) {
    relation(node, raw);
    code(node, raw);
    let language = raw.take("language");
    node.set("language", if language.is_null() { "sql".into() } else { language });
    node.set("materializedType", raw.peek("config")["materialized"].clone());
    node.set("access", raw.or_config("access"));
    node.set("group", raw.or_config("group"));
    node.set("contractEnforced", part(&mut raw.or_config("contract"), "enforced"));
    node.set("deprecationDate", raw.take("deprecation_date"));
    let constraints = list(raw.take("constraints")).into_iter().map(|mut constraint| {
        let (enforced, supported) = (part(&mut constraint, "warn_unenforced"), part(&mut constraint, "warn_unsupported"));
        json!({"type": part(&mut constraint, "type"), "name": part(&mut constraint, "name"), "columns": part(&mut constraint, "columns"),
            "expression": part(&mut constraint, "expression"), "warnUnenforced": enforced, "warnUnsupported": supported})
    });
    node.set("constraints", constraints.collect());
    let (version, latest) = (text_of(raw.take("version")), text_of(raw.take("latest_version")));
    node.set("releaseVersion", release(&version, &latest).into());
    node.set("version", version);
    node.set("latestVersion", latest);
    node.set("modelingLayer", layer(node.text("name"), node.text("filePath")).map_or(Value::Null, Value::from));
}

fn release(version: &Value, latest: &Value) -> &'static str {
    let number = |value: &Value| value.as_str().and_then(|text| text.parse::<f64>().ok());
    match (version, latest) {
        (Value::Null, _) | (_, Value::Null) => "none",
        _ if version == latest => "latest",
        _ if number(version) > number(latest) => "prerelease",
        _ => "old",
    }
}

fn layer(name: &str, path: &str) -> Option<&'static str> {
    let path = path.replace('\\', "/");
    let starts = |prefix| name.starts_with(prefix);
    if starts("stg_") {
        Some("staging")
    } else if starts("int_") {
        Some("intermediate")
    } else if starts("fct_") || starts("dim_") || path.contains("/marts/") {
        Some("marts")
    } else {
        None
    }
}

fn source(node: &mut Node, raw: &mut Raw) {
    relation(node, raw);
    node.set("identifier", raw.take("identifier"));
    node.set("sourceName", raw.take("source_name"));
    node.set("sourceDescription", raw.take("source_description"));
    node.set("loader", raw.take("loader"));
    let freshness = raw.or_config("freshness");
    node.set("freshness", json!({"criteria": criteria(&freshness), "freshnessChecked": false}));
}

/// Freshness thresholds as the API writes them; a threshold without a count is none.
pub(super) fn criteria(freshness: &Value) -> Value {
    let threshold = |key: &str| match &freshness[key] {
        info if info["count"].is_null() => Value::Null,
        info => json!({"count": info["count"], "period": info["period"]}),
    };
    json!({"warnAfter": threshold("warn_after"), "errorAfter": threshold("error_after")})
}

fn data_test(node: &mut Node, raw: &mut Raw) {
    code(node, raw);
    node.set("columnName", raw.take("column_name"));
    let mut metadata = raw.take("test_metadata");
    let test_type = if metadata.is_null() { "SINGULAR_DATA_TEST" } else { "GENERIC_DATA_TEST" };
    node.set("testType", test_type.into());
    if metadata.is_object() {
        let column = metadata["kwargs"]["column_name"].clone();
        node.set(
            "testMetadata",
            json!({"columnName": column, "kwargs": part(&mut metadata, "kwargs"), "name": part(&mut metadata, "name"),
                "namespace": part(&mut metadata, "namespace")}),
        );
    }
    attach(node, raw.take("attached_node"));
}

fn unit_test(node: &mut Node, raw: &mut Raw) {
    node.set("testType", "UNIT_TEST".into());
    for key in ["model", "given", "expect", "overrides"] {
        node.set(key, raw.take(key));
    }
    let rows = |input: &Value| input["rows"].as_array().map_or(0, Vec::len);
    let given = node.field("given").as_array().map_or(&[][..], Vec::as_slice);
    let (inputs, given_rows) = (given.len(), given.iter().map(rows).sum::<usize>());
    let expected = rows(node.field("expect"));
    node.set("numGiven", inputs.into());
    node.set("numGivenRows", given_rows.into());
    node.set("numExpectRows", expected.into());
    node.set("version", text_of(raw.take("version")));
    attach(node, raw.take("tested_node_unique_id"));
}

/// Says which node each unit test is of, where the manifest says only a model's name and version.
pub(super) fn attach_unit_tests(project: &mut Project) {
    let waiting = project.nodes.iter().filter(|(_, node)| node.kind == Kind::UnitTest && node.attached.is_none());
    let found: Vec<(String, String)> = waiting
        .filter_map(|(id, test)| {
            let is_of = |parent: &&String| {
                let Some(parent) = project.nodes.get(*parent) else { return false };
                let version = test.field("version");
                parent.kind == Kind::Model
                    && parent.field("name") == test.field("model")
                    && (version.is_null() || parent.field("version") == version)
            };
            Some((id.clone(), test.parents.iter().find(is_of)?.clone()))
        })
        .collect();
    for (id, tested) in found {
        if let Some(test) = project.nodes.get_mut(&id) {
            attach(test, tested.into());
        }
    }
}

fn attach(node: &mut Node, tested: Value) {
    node.attached = tested.as_str().map(str::to_owned);
    node.set("resource", tested.as_str().unwrap_or_default().into());
    node.set("testedNodeUniqueId", tested);
}

fn exposure(node: &mut Node, raw: &mut Raw) {
    for (name, key) in [("exposureType", "type"), ("label", "label"), ("maturity", "maturity"), ("url", "url")] {
        node.set(name, raw.take(key));
    }
    owner(node, raw);
}

/// Several names or addresses are one text, parted by commas.
fn owner(node: &mut Node, raw: &mut Raw) {
    let owner = raw.take("owner");
    let text = |key: &str| owner.get(key).and_then(shape::joined).map_or(Value::Null, Value::from);
    node.set("ownerName", text("name"));
    node.set("ownerEmail", text("email"));
}

/// Metrics up to manifest 10 had other fields; the API shows those as type, formula and type parameters.
fn metric(node: &mut Node, raw: &mut Raw) {
    node.set("type", raw.first(&["type", "calculation_method"]));
    node.set("formula", raw.first(&["expression", "sql"]));
    node.set("filter", raw.take("filter"));
    node.set("group", raw.or_config("group"));
    let parameters = match raw.take("type_params") {
        Value::Null => {
            let keys = ["timestamp", "time_grains", "dimensions", "window"].into_iter();
            keys.map(|key| (key.to_owned(), raw.take(key))).collect::<Map<_, _>>().into()
        }
        parameters => parameters,
    };
    node.set("typeParams", parameters);
}

fn semantic_model(node: &mut Node, raw: &mut Raw) {
    let entities = list(raw.take("entities")).into_iter();
    let entities = entities.map(
        |mut it| json!({"name": part(&mut it, "name"), "type": part(&mut it, "type"), "description": part(&mut it, "description")}),
    );
    node.set("entities", entities.collect());
    let dimensions = list(raw.take("dimensions")).into_iter().map(|mut it| {
        json!({"name": part(&mut it, "name"), "type": part(&mut it, "type"), "description": part(&mut it, "description"),
            "typeParams": part(&mut it, "type_params")})
    });
    node.set("dimensions", dimensions.collect());
    let measures = list(raw.take("measures")).into_iter().map(|mut it| {
        json!({"name": part(&mut it, "name"), "agg": part(&mut it, "agg"), "description": part(&mut it, "description"),
            "expr": text_of(part(&mut it, "expr")), "createMetric": part(&mut it, "create_metric")})
    });
    node.set("measures", measures.collect());
}

fn saved_query(node: &mut Node, raw: &mut Raw) {
    let mut params = raw.take("query_params");
    let filters = list(part(&mut part(&mut params, "where"), "where_filters")).into_iter();
    let filters: Vec<Value> =
        filters.map(|mut it| json!({"whereSqlTemplate": part(&mut it, "where_sql_template")})).collect();
    let query = json!({
        "metrics": list(part(&mut params, "metrics")), "groupBy": list(part(&mut params, "group_by")),
        "orderBy": list(part(&mut params, "order_by")), "limit": part(&mut params, "limit"),
        "where": if filters.is_empty() { Value::Null } else { json!({"whereFilters": filters}) },
    });
    node.set("queryParams", query);
    let exports = list(raw.take("exports")).into_iter().map(|mut export| {
        let mut config = part(&mut export, "config");
        let export_as = text_of(part(&mut config, "export_as"));
        let config = json!({"alias": part(&mut config, "alias"), "database": part(&mut config, "database"),
            "schema": part(&mut config, "schema_name"), "exportAs": export_as.as_str().unwrap_or("table")});
        json!({"name": part(&mut export, "name"), "config": config})
    });
    node.set("exports", exports.collect());
    node.set("group", raw.or_config("group"));
}

fn group(node: &mut Node, raw: &mut Raw) {
    owner(node, raw);
}

fn list(value: Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items,
        _ => Vec::new(),
    }
}

/// Numbers as text, as the API gives versions.
fn text_of(value: Value) -> Value {
    match value {
        Value::Number(number) => number.to_string().into(),
        value => value,
    }
}
