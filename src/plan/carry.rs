//! What was not answered is unknown, not gone: carries such facts over from the stored inventory, before anything is compared.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;

use super::fold::fold;
use crate::inventory::{
    FreshnessCheck, History, Inventory, Json, LastRun, Node, Reading, ResourceType, Told, Unanswered,
};
use crate::time::Timestamp;

/// The facts in `properties` that only the warehouse's catalog provides.
const CATALOG_PROPERTIES: [&str; 4] = ["stats", "relation_type", "relation_owner", "relation_comment"];

/// A reading, completed.
#[derive(Debug, Default)]
pub struct Carried {
    /// The inventory to compare.
    pub inventory: Inventory,
    /// Where a stored value stands in place of an answer that was null: `definition`, `applied`, or `catalog` and a node's id. A
    /// null where nothing was stored, and a field that the server lacks, are no such case: for most projects these are for ever.
    pub kept: BTreeSet<String>,
    /// Those of the read, and those that carrying over adds.
    pub warnings: Vec<String>,
    /// What files told of runs and checks; `None` for an answer of the platform. Such a read is applied also where nothing else is new.
    pub history: Option<History>,
}

/// Completes `reading` with what `stored` knows and the platform did not answer this time. `now` tells which stamps are of the future.
pub fn carry_over(reading: Reading, stored: &Inventory, now: Timestamp) -> Carried {
    let Reading { mut inventory, unanswered, mut warnings, tallies: _, told, pool: _ } = reading;
    let mut kept = BTreeSet::new();
    if unanswered.definition {
        let nodes = keep_defined(&mut inventory, stored, &mut warnings);
        if nodes > 0 || stored.environment.definition_at.is_some() {
            kept.insert("definition".to_owned());
        }
    }
    if unanswered.applied && stored.environment.git_sha.is_some() {
        inventory.environment.git_sha.clone_from(&stored.environment.git_sha);
        kept.insert("applied".to_owned());
    }
    for (id, node) in &mut inventory.nodes {
        if unanswered.is_about(node)
            && let Some(old) = stored.nodes.get(id)
            && keep_unanswered(Arc::make_mut(node), old, &unanswered)
        {
            kept.insert(format!("catalog {id}"));
        }
    }
    let history = told.map(|told| {
        warnings.extend(fold(&mut inventory, stored, &told, now));
        let Told { history, .. } = told;
        history
    });
    Carried { inventory, kept, warnings, history }
}

/// `definition: null`: the nodes that only it provides stay as they are; what is no longer applied is at least still defined,
/// as far as anybody knows. Returns how many are kept.
fn keep_defined(inventory: &mut Inventory, stored: &Inventory, warnings: &mut Vec<String>) -> usize {
    let mut kept = 0_usize;
    for (id, old) in &stored.nodes {
        if old.resource_type == ResourceType::External || inventory.nodes.contains_key(id) {
            continue;
        }
        let mut node = Node::clone(old);
        if old.is_applied == Some(true) {
            // That it is no longer applied was answered: what only the applied state says of it is gone.
            node.is_applied = Some(false);
            node.columns.clear();
            node.compiled_code = None;
            node.last_run = LastRun::default();
            node.freshness = FreshnessCheck::default();
        }
        inventory.nodes.insert(id.clone(), node.into());
        kept += 1;
    }
    inventory.environment.definition_at = stored.environment.definition_at;
    warnings.push(format!(
        "the platform answered `definition: null`: {kept} nodes that only the definition state provides are kept as they were"
    ));
    kept
}

/// Returns whether anything of the warehouse's catalog was kept.
fn keep_unanswered(node: &mut Node, old: &Node, unanswered: &Unanswered) -> bool {
    let applied = node.is_applied == Some(true);
    let ephemeral = node.materialization.as_deref() == Some("ephemeral");
    let mut kept = false;
    if unanswered.catalog.contains(&node.unique_id) && applied && !ephemeral {
        let properties = with_catalog_properties(&node.properties, &old.properties);
        kept = !old.columns.is_empty() || properties != node.properties;
        node.columns.clone_from(&old.columns);
        node.properties = properties;
    }
    if unanswered.relation_name && node.resource_type == ResourceType::Model && applied {
        node.relation_name.clone_from(&old.relation_name);
    }
    if unanswered.test_status.contains(&node.unique_id) && applied {
        node.last_run.status.clone_from(&old.last_run.status);
    }
    kept
}

pub(super) fn with_catalog_properties(new: &Json, old: &Json) -> Json {
    let (Value::Object(mut new), Value::Object(mut old)) = (new.value(), old.value()) else {
        return new.clone();
    };
    new.extend(CATALOG_PROPERTIES.into_iter().filter_map(|name| old.remove_entry(name)));
    Json::new(&Value::Object(new))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::{Column, UniqueId};
    use serde_json::json;

    fn now() -> Timestamp {
        Timestamp::parse("2026-11-24T12:00:00Z").expect("a time")
    }

    fn column(name: &str) -> Column {
        Column { name: name.into(), position: Some(1), ..Column::default() }
    }

    fn model(id: &str) -> Node {
        Node { is_applied: Some(true), ..Node::new(id, ResourceType::Model) }
    }

    fn inventory(nodes: Vec<Node>) -> Inventory {
        let nodes = nodes.into_iter().map(|node| (node.unique_id.clone(), node.into())).collect();
        Inventory { nodes, ..Inventory::default() }
    }

    #[test]
    fn an_unanswered_catalog_keeps_columns_and_statistics_unless_the_node_turned_ephemeral() {
        let old = Node {
            columns: vec![column("a")],
            properties: Json::new(&json!({"stats": [1], "config": {"x": 1}})),
            ..model("m")
        };
        for (materialization, kept) in [("table", 1), ("ephemeral", 0)] {
            let new = Node {
                materialization: Some(materialization.into()),
                properties: Json::new(&json!({"config": {"x": 2}})),
                ..model("m")
            };
            let unanswered = Unanswered { catalog: [UniqueId::from("m")].into(), ..Unanswered::default() };
            let reading = Reading { inventory: inventory(vec![new]), unanswered, ..Reading::default() };
            let carried = carry_over(reading, &inventory(vec![old.clone()]), now());
            assert_eq!(carried.kept.len(), kept);
            let node = &carried.inventory.nodes["m"];
            assert_eq!(node.columns.len(), kept, "{materialization}");
            assert_eq!(node.properties.value()["config"], json!({"x": 2}));
            assert_eq!(node.properties.value().get("stats").is_some(), kept == 1);
        }
    }

    #[test]
    fn a_null_definition_keeps_what_only_it_provides_and_says_so() {
        let stored =
            inventory(vec![Node::new("metric.m", ResourceType::Metric), model("model.gone"), model("model.here")]);
        let unanswered = Unanswered { definition: true, ..Unanswered::default() };
        let reading = Reading { inventory: inventory(vec![model("model.here")]), unanswered, ..Reading::default() };
        let Carried { inventory: result, kept, warnings, .. } = carry_over(reading, &stored, now());
        assert_eq!(kept.into_iter().collect::<Vec<_>>(), ["definition"]);
        assert_eq!(result.nodes.len(), 3);
        assert_eq!(result.nodes["model.gone"].is_applied, Some(false));
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].contains("2 nodes"), "{}", warnings[0]);
    }

    #[test]
    fn a_null_where_nothing_was_stored_keeps_nothing() {
        let unanswered =
            || Unanswered { catalog: [UniqueId::from("m")].into(), definition: true, ..Unanswered::default() };
        let reading =
            || Reading { inventory: inventory(vec![model("m")]), unanswered: unanswered(), ..Reading::default() };
        assert_eq!(
            carry_over(reading(), &inventory(vec![model("m")]), now()).kept,
            BTreeSet::new(),
            "columns never known"
        );
        assert_eq!(carry_over(reading(), &Inventory::default(), now()).kept, BTreeSet::new(), "the first read");
    }
}
