//! Metrics, which only the definition state has.

use crate::inventory::ResourceType;
use crate::origin::discovery::read::fields::{begin, parents};
use crate::origin::discovery::read::page::document;
use crate::origin::draft::{Draft, Properties, path, text};

document!(DefinitionMetrics, "queries/metrics.graphql", definition_metrics, "metrics", definition.metrics(), draft);

fn draft(item: definition_metrics::Item) -> Draft {
    let mut draft = begin!(item, ResourceType::Metric, None);
    let mut properties = Properties::default();
    parents!(draft, item, definition_metrics);
    draft.package(item.package_name, item.fqn);
    draft.node.group_name = text(item.group);
    properties.text("patch_path", path(item.patch_path));
    properties.text("type", item.type_);
    properties.value("type_params", item.type_params);
    properties.value("filter", item.filter);
    properties.text("formula", item.formula);
    draft.node.properties = properties.json();
    draft
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_value, json};

    #[test]
    fn a_metric_is_neither_applied_nor_not() {
        let item = json!({
            "uniqueId": "metric.shop.m", "name": "m", "description": "", "filePath": "m.yml", "packageName": "shop",
            "patchPath": null, "group": "g", "type": "simple", "typeParams": {"measure": "x"}, "filter": null, "formula": "",
            "fqn": ["shop", "m"], "tags": [], "meta": null,
            "parents": [{"__typename": "SemanticModelDefinitionNestedNode", "uniqueId": "semantic_model.shop.s"}]
        });
        let draft = draft(from_value(item).expect("a metric"));
        assert_eq!((draft.node.is_applied, draft.node.group_name.as_deref()), (None, Some("g")));
        assert_eq!(draft.node.properties.value(), json!({"type": "simple", "type_params": {"measure": "x"}}));
    }
}
