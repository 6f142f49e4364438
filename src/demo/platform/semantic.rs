//! What the Semantic Layer says of metrics: made from the metrics and semantic models of a project, as JSON in the words of its schema. What
//! an inventory does not hold (how a dimension is computed, what it is labelled) is null.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::demo::project::{Project, Side};
use crate::inventory::{Node, ResourceType};

/// The granularities, each finer than the next.
const GRANULARITIES: [&str; 11] =
    ["NANOSECOND", "MICROSECOND", "MILLISECOND", "SECOND", "MINUTE", "HOUR", "DAY", "WEEK", "MONTH", "QUARTER", "YEAR"];
/// The types that metrics of the Semantic Layer have; those of before it had others.
const TYPES: [&str; 5] = ["SIMPLE", "RATIO", "CUMULATIVE", "DERIVED", "CONVERSION"];

/// The metrics of a project, in the order of their names.
pub(super) fn metrics(project: &Project) -> Vec<Value> {
    let nodes = project.of(Side::Definition).filter(|(_, node)| node.resource_type == ResourceType::Metric);
    let mut metrics: Vec<Value> = nodes.filter_map(|(_, node)| metric(project, node)).collect();
    metrics.sort_by_key(|metric| metric["name"].to_string());
    metrics
}

fn metric(project: &Project, node: &Node) -> Option<Value> {
    let kind = upper(&node.properties.value()["type"]);
    if !TYPES.contains(&kind.as_str()) {
        return None;
    }
    let mut models = BTreeMap::new();
    stands_on(project, node, &mut BTreeSet::new(), &mut models);
    let (mut dimensions, mut entities) = (BTreeMap::new(), BTreeMap::new());
    for model in models.values() {
        dimensions.extend(dimensions_of(model));
        entities.extend(entities_of(model));
    }
    let times = dimensions.values().filter(|it| it["type"] == "TIME");
    let granularities =
        times.map(|it| it["queryableGranularities"].clone()).max_by_key(length).unwrap_or_else(|| json!([]));
    if granularities != json!([]) {
        dimensions.insert("metric_time".to_owned(), metric_time(&granularities));
    }
    let name = node.name.as_deref()?;
    Some(json!({
        "name": name, "label": label(name), "description": node.description, "type": kind,
        "queryableGranularities": granularities, "queryableTimeGranularities": granularities,
        "dimensions": dimensions.into_values().collect::<Value>(), "entities": entities.into_values().collect::<Value>(),
    }))
}

/// The semantic models below a metric, by way of other metrics too.
fn stands_on<'p>(
    project: &'p Project,
    node: &'p Node,
    seen: &mut BTreeSet<&'p str>,
    models: &mut BTreeMap<&'p str, &'p Node>,
) {
    for parent in node.parents.iter().filter_map(|id| project.node(id.as_str())) {
        match parent.resource_type {
            ResourceType::SemanticModel => drop(models.insert(parent.unique_id.as_str(), parent)),
            ResourceType::Metric if seen.insert(parent.unique_id.as_str()) => stands_on(project, parent, seen, models),
            _ => {}
        }
    }
}

/// The dimensions of a semantic model by their qualified names. Of time dimensions the API says that one for the name, too.
fn dimensions_of(model: &Node) -> Vec<(String, Value)> {
    let own = model.properties.value();
    let primary = list(&own["entities"]).find(|it| it["type"] == "primary").and_then(|it| it["name"].as_str());
    let named = list(&own["dimensions"]).filter_map(|it| Some((it["name"].as_str()?, it)));
    let dimensions = named.map(|(name, it)| {
        let qualified = primary.map_or_else(|| name.to_owned(), |entity| format!("{entity}__{name}"));
        let kind = upper(&it["type"]);
        let granularities =
            if kind == "TIME" { from(&upper(&it["type_params"]["time_granularity"])) } else { json!([]) };
        let dimension = json!({
            "name": if kind == "TIME" { &qualified } else { name }, "qualifiedName": qualified, "type": kind,
            "description": it["description"], "label": null, "isPartition": false, "expr": null,
            "queryableGranularities": granularities, "queryableTimeGranularities": granularities,
        });
        (qualified, dimension)
    });
    dimensions.collect()
}

fn entities_of(model: &Node) -> Vec<(String, Value)> {
    let own = model.properties.value();
    let named = list(&own["entities"]).filter_map(|it| Some((it["name"].as_str()?.to_owned(), it)));
    let entity = |name: &str, it: &Value| json!({"name": name, "description": it["description"], "type": upper(&it["type"]), "role": null, "expr": null});
    named.map(|(name, it)| (name.clone(), entity(&name, it))).collect()
}

/// The time of whatever the metric measures.
fn metric_time(granularities: &Value) -> Value {
    json!({
        "name": "metric_time", "qualifiedName": "metric_time", "type": "TIME", "description": "Event time for metrics.",
        "label": null, "isPartition": false, "expr": null,
        "queryableGranularities": granularities, "queryableTimeGranularities": granularities,
    })
}

/// A granularity and all that are coarser; days where it is not told.
fn from(granularity: &str) -> Value {
    let first = GRANULARITIES.iter().position(|it| *it == granularity).unwrap_or(6);
    json!(GRANULARITIES[first..])
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn length(list: &Value) -> usize {
    list.as_array().map_or(0, Vec::len)
}

fn upper(word: &Value) -> String {
    word.as_str().unwrap_or_default().to_uppercase()
}

/// A name as people write it; the label itself is not in the inventory.
fn label(name: &str) -> String {
    let words = name.replace('_', " ");
    let (first, rest) = words.split_at(words.chars().next().map_or(0, char::len_utf8));
    first.to_uppercase() + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    #[test]
    fn the_bundled_metrics_can_be_grouped_by_what_they_stand_on() {
        let metrics = metrics(&Project::bundled(Timestamp::now()));
        let names: Vec<&Value> = metrics.iter().map(|metric| &metric["name"]).collect();
        assert_eq!(names, ["average_order_value", "orders_count", "revenue", "revenue_growth"]);
        for metric in &metrics {
            let dimensions = list(&metric["dimensions"]).map(|it| (it["name"].as_str(), it["qualifiedName"].as_str()));
            let expected = [
                (Some("metric_time"), Some("metric_time")),
                (Some("order_id__order_date"), Some("order_id__order_date")),
                (Some("status"), Some("order_id__status")),
            ];
            assert_eq!(dimensions.collect::<Vec<_>>(), expected, "{metric}");
            assert_eq!(metric["queryableGranularities"], json!(["DAY", "WEEK", "MONTH", "QUARTER", "YEAR"]));
            let entities = list(&metric["entities"]).map(|it| (it["name"].as_str(), it["type"].as_str()));
            let expected = [(Some("customer"), Some("FOREIGN")), (Some("order_id"), Some("PRIMARY"))];
            assert_eq!(entities.collect::<Vec<_>>(), expected);
        }
        assert_eq!((&metrics[0]["type"], &metrics[0]["label"]), (&json!("RATIO"), &json!("Average order value")));
    }

    #[test]
    fn a_metric_without_time_has_no_time_to_group_by() {
        let mut project = Project::bundled(Timestamp::now());
        project.edit("semantic_model.mini_shop.orders", |node| {
            node.properties =
                crate::inventory::Json::new(&json!({"dimensions": [{"name": "kind", "type": "categorical"}]}));
        });
        let metric = &metrics(&project)[0];
        assert_eq!(
            (&metric["dimensions"][0]["qualifiedName"], &metric["dimensions"][1]),
            (&json!("kind"), &Value::Null)
        );
        assert_eq!(metric["queryableGranularities"], json!([]));
    }
}
