//! What nodes become that describe or check others: tests, exposures, metrics, semantic models, saved queries and groups.

use serde_json::{Map, Value, json};

use super::json::{list, part};
use super::node::{Making, code};
use crate::inventory::{UniqueId, shape, unquoted};
use crate::origin::draft::{Tested, clean, prose, text, without_nulls};
use crate::origin::reference::Reference;

pub(super) fn data_test(making: &mut Making<'_>) {
    code(making);
    let mut metadata = making.raw.take("test_metadata");
    let test_type = if metadata.is_object() { "generic" } else { "singular" };
    making.properties.text("test_type", Some(test_type.to_owned()));
    let said = |key: &str| metadata["kwargs"][key].as_str().map(str::to_owned);
    let (model, argument) = (said("model"), said("column_name"));
    let column = making.text("column_name").filter(|name| !name.is_empty()).or(argument);
    making.properties.text("column_name", column.as_deref().map(unquoted));
    let attached = text(making.text("attached_node"));
    let reference = model.as_deref().and_then(Reference::parse);
    making.draft.tested = Some(Tested { id: attached.map(UniqueId::from), reference });
    if metadata.is_object() {
        let name = text(making.text_of("test_metadata", part(&mut metadata, "name")));
        let namespace = text(making.text_of("test_metadata", part(&mut metadata, "namespace")));
        let kwargs = part(&mut metadata, "kwargs");
        let metadata = without_nulls(json!({"name": name, "namespace": namespace, "kwargs": kwargs}));
        if metadata != json!({}) {
            making.properties.value("test_metadata", metadata);
        }
    }
    making.keep("config");
}

pub(super) fn unit_test(making: &mut Making<'_>) {
    making.properties.text("test_type", Some("unit".to_owned()));
    let (model, version) = (making.text("model"), making.text("version"));
    let reference = model.as_deref().map(|model| match (Reference::of_unit_test(model), version) {
        (Reference::Ref { package, name, version: None }, version) => Reference::Ref { package, name, version },
        (reference, _) => reference,
    });
    making.properties.text("model", model);
    for key in ["given", "expect", "overrides"] {
        making.keep(key);
    }
    let tested = text(making.text("tested_node_unique_id"));
    making.draft.tested = Some(Tested { id: tested.map(UniqueId::from), reference });
    making.keep("config");
}

pub(super) fn exposure(making: &mut Making<'_>) {
    for key in ["type", "label", "url", "maturity"] {
        making.keep_text(key);
    }
    owner(making);
}

/// Several names or addresses are one text, parted by commas.
fn owner(making: &mut Making<'_>) {
    let owner = making.raw.take("owner");
    let said = |key: &str| prose(owner.get(key).and_then(shape::joined).map(clean));
    making.draft.node.owner_name = said("name");
    making.draft.node.owner_email = said("email");
}

/// Metrics up to manifest 10 had other members; they are told as type, formula and type parameters.
pub(super) fn metric(making: &mut Making<'_>) {
    let (kind, formula) = (making.raw.first(&["type", "calculation_method"]), making.raw.first(&["expression", "sql"]));
    let (kind, formula) = (making.text_of("type", kind), making.text_of("expression", formula));
    making.properties.text("type", kind);
    making.properties.text("formula", formula);
    making.keep("filter");
    making.draft.node.group_name = text(making.or_config("group"));
    let parameters = match making.raw.take("type_params") {
        Value::Null => {
            let keys = ["timestamp", "time_grains", "dimensions", "window"].into_iter();
            keys.map(|key| (key.to_owned(), making.raw.take(key))).collect::<Map<_, _>>().into()
        }
        parameters => parameters,
    };
    making.properties.value("type_params", parameters);
}

pub(super) fn semantic_model(making: &mut Making<'_>) {
    for (key, members) in [
        ("entities", &["name", "type", "description"][..]),
        ("dimensions", &["name", "type", "type_params", "description"]),
        ("measures", &["name", "agg", "expr", "create_metric", "description"]),
    ] {
        let items = list(making.raw.take(key)).into_iter().filter(Value::is_object);
        let items = items.map(|mut item| {
            let member = |key: &&str| ((*key).to_owned(), digits(key, part(&mut item, key)));
            without_nulls(members.iter().map(member).collect::<Map<_, _>>().into())
        });
        making.properties.value(key, items.collect::<Value>());
    }
}

/// An expression that is a number is its digits.
fn digits(key: &str, value: Value) -> Value {
    match value {
        Value::Number(number) if key == "expr" => number.to_string().into(),
        value => value,
    }
}

pub(super) fn saved_query(making: &mut Making<'_>) {
    making.draft.node.group_name = text(making.or_config("group"));
    let mut params = making.raw.take("query_params");
    let filters = list(part(&mut part(&mut params, "where"), "where_filters")).into_iter();
    let filters: Vec<Value> =
        filters.map(|mut it| json!({"where_sql_template": part(&mut it, "where_sql_template")})).collect();
    let filters = (!filters.is_empty()).then(|| json!({"where_filters": filters}));
    let limit = part(&mut params, "limit");
    let params = json!({
        "metrics": list(part(&mut params, "metrics")),
        "group_by": list(part(&mut params, "group_by")),
        "order_by": list(part(&mut params, "order_by")),
        "limit": making.integer_of("limit", &limit),
        "where": filters,
    });
    making.properties.value("query_params", without_nulls(params));
    let exports = list(making.raw.take("exports")).into_iter().filter(Value::is_object).map(|mut export| {
        let mut config = part(&mut export, "config");
        let export_as = match part(&mut config, "export_as") {
            Value::String(word) => word,
            _ => "table".to_owned(),
        };
        let config = without_nulls(json!({
            "alias": part(&mut config, "alias"),
            "database": part(&mut config, "database"),
            "schema": part(&mut config, "schema_name"),
            "export_as": export_as,
        }));
        without_nulls(json!({"name": part(&mut export, "name"), "config": config}))
    });
    making.properties.value("exports", exports.collect::<Value>());
}

pub(super) fn group(making: &mut Making<'_>) {
    owner(making);
}
