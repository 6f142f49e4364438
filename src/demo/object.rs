//! What a node looks like in the API. Fields stand here under the API's names, or under dbt's, of which the API's are the same words in
//! camel case (see [`member`]). The schema says which of them a type has in which state.

use serde_json::{Map, Value, json};

use super::project::{Project, in_warehouse};
use crate::inventory::{Column, FreshnessCheck, Json, LastRun, Node, ResourceType, Text};
use crate::time::Timestamp;

/// The one job of the platform that all runs here belong to.
pub(super) const JOB: i64 = 5_001;

/// What only the warehouse's catalog says of a node.
pub(super) const CATALOG: [&str; 4] = ["relation_type", "relation_owner", "relation_comment", "stats"];

/// The node as an object of the API, what the applied state says of it included.
pub(super) fn object(project: &Project, node: &Node) -> Value {
    let own = node.properties.value();
    let texts = [
        ("name", &node.name),
        ("description", &node.description),
        ("filePath", &node.file_path),
        ("packageName", &node.package_name),
        ("dbtProjectName", &node.package_name),
        ("database", &node.database_name),
        ("schema", &node.schema_name),
        ("alias", &node.identifier),
        ("identifier", &node.identifier),
        ("relationName", &node.relation_name),
        ("materializedType", &node.materialization),
        ("access", &node.access),
        ("group", &node.group_name),
        ("ownerName", &node.owner_name),
        ("ownerEmail", &node.owner_email),
        ("modelingLayer", &node.layer),
        ("version", &node.version),
        ("latestVersion", &node.latest_version),
        ("language", &node.language),
        ("lastKnownResult", &node.last_run.status),
    ];
    let others = [
        ("uniqueId", node.unique_id.as_str().into()),
        ("contractEnforced", node.contract_enforced.into()),
        ("deprecationDate", time(node.deprecation_date)),
        ("fqn", value(&node.fqn)),
        ("tags", value(&node.tags)),
        ("meta", value(&node.meta)),
        ("rawCode", json!(project.text(node.raw_code.as_ref()))),
        ("compiledCode", json!(project.text(node.compiled_code.as_ref()))),
        ("executionInfo", execution(&node.last_run)),
        ("freshness", freshness(&node.freshness, &own)),
        ("catalog", catalog(node, &own)),
        ("testType", test_type(&own).into()),
        ("testedNodeUniqueId", own["attached_node"].clone()),
        ("exposureType", own["type"].clone()),
    ];
    let mut fields = match own {
        Value::Object(own) => own,
        _ => Map::new(),
    };
    fields.extend(texts.map(|(name, text)| (name.to_owned(), json!(text))));
    fields.extend(others.map(|(name, value)| (name.to_owned(), value)));
    Value::Object(fields)
}

/// A member of an object by the API's name: the one called so, else the one that dbt calls so.
pub(super) fn member<'v>(object: &'v Value, name: &str) -> Option<&'v Value> {
    let in_dbts_words = || {
        let mut words = String::with_capacity(name.len() + 2);
        for letter in name.chars() {
            if letter.is_ascii_uppercase() {
                words.push('_');
            }
            words.push(letter.to_ascii_lowercase());
        }
        object.get(&words)
    };
    object.get(name).or_else(in_dbts_words)
}

/// dbt's word for the type; of what the API does not list the one that its id begins with.
pub(super) fn kind_word(node: &Node) -> &str {
    match node.resource_type {
        ResourceType::External => node.unique_id.as_str().split('.').next().unwrap_or("model"),
        kind => kind.as_str(),
    }
}

fn value(json: &Option<Json>) -> Value {
    json.as_ref().map_or(Value::Null, Json::value)
}

fn time(at: Option<Timestamp>) -> Value {
    at.map_or(Value::Null, |at| at.to_string().into())
}

/// The two clocks: of the last attempt, and of the last success.
fn execution(run: &LastRun) -> Value {
    json!({
        "lastRunStatus": run.attempt, "lastRunGeneratedAt": time(run.at), "lastRunError": run.error, "lastRunId": number(&run.run_id),
        "lastJobDefinitionId": run.job_id, "lastRunFailures": run.failures, "lastSuccessRunId": number(&run.success_run_id),
        "runGeneratedAt": time(run.executed_at), "executeCompletedAt": time(run.executed_at),
        "executionTime": run.execution_seconds,
    })
}

fn number(run: &Option<Text>) -> Option<i64> {
    run.as_deref()?.parse().ok()
}

fn freshness(check: &FreshnessCheck, own: &Value) -> Value {
    let status = check.status.as_deref().map(|word| {
        let (first, rest) = word.split_at(word.chars().next().map_or(0, char::len_utf8));
        first.to_uppercase() + rest
    });
    let age = || Some(check.checked_at?.since(check.max_loaded_at?) as f64 / 1000.0);
    json!({
        "criteria": own["freshness"], "freshnessChecked": *check != FreshnessCheck::default(), "freshnessStatus": status,
        "snapshottedAt": time(check.checked_at), "freshnessRunGeneratedAt": time(check.checked_at),
        "maxLoadedAt": time(check.max_loaded_at), "maxLoadedAtTimeAgoInS": age(),
    })
}

/// Null where the warehouse's catalog says nothing of the node.
fn catalog(node: &Node, own: &Value) -> Value {
    let columns: Vec<Value> = in_warehouse(node).map(column).collect();
    if columns.is_empty() && CATALOG.iter().all(|name| own[*name].is_null()) {
        return Value::Null;
    }
    json!({"type": own["relation_type"], "owner": own["relation_owner"], "comment": own["relation_comment"],
        "stats": own["stats"], "columns": columns})
}

fn column(column: &Column) -> Value {
    json!({"name": column.name, "index": column.position, "type": column.data_type, "description": column.description,
        "comment": column.comment, "tags": value(&column.tags), "meta": value(&column.meta)})
}

fn test_type(own: &Value) -> Option<&'static str> {
    match own["test_type"].as_str()? {
        "generic" => Some("GENERIC_DATA_TEST"),
        "singular" => Some("SINGULAR_DATA_TEST"),
        "unit" => Some("UNIT_TEST"),
        _ => None,
    }
}
