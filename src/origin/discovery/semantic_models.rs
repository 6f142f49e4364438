//! Semantic models, which only the definition state has.

use serde_json::{Value, json};

use crate::inventory::ResourceType;
use crate::origin::discovery::read::fields::{begin, parents};
use crate::origin::discovery::read::page::document;
use crate::origin::draft::{Draft, Properties, path, without_nulls};

document!(
    DefinitionSemanticModels,
    "queries/semantic_models.graphql",
    definition_semantic_models,
    "semantic models",
    definition.semantic_models(),
    draft
);

fn draft(item: definition_semantic_models::Item) -> Draft {
    let mut draft = begin!(item, ResourceType::SemanticModel, None);
    let mut properties = Properties::default();
    parents!(draft, item, definition_semantic_models);
    draft.package(item.package_name, item.fqn);
    properties.text("patch_path", path(item.patch_path));
    let entities = item.entities.into_iter().map(|entity| {
        without_nulls(json!({"name": entity.name, "type": entity.type_, "description": entity.description}))
    });
    properties.value("entities", entities.collect::<Value>());
    let dimensions = item.dimensions.into_iter().map(|dimension| {
        without_nulls(json!({
            "name": dimension.name,
            "type": dimension.type_,
            "type_params": dimension.type_params,
            "description": dimension.description,
        }))
    });
    properties.value("dimensions", dimensions.collect::<Value>());
    let measures = item.measures.into_iter().map(|measure| {
        without_nulls(json!({
            "name": measure.name,
            "agg": measure.agg,
            "expr": measure.expr,
            "create_metric": measure.create_metric,
            "description": measure.description,
        }))
    });
    properties.value("measures", measures.collect::<Value>());
    draft.node.properties = properties.json();
    draft
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::from_value;

    #[test]
    fn a_semantic_model_lists_entities_dimensions_and_measures() {
        let item = json!({
            "uniqueId": "semantic_model.shop.s", "name": "s", "description": null, "filePath": "m.yml", "packageName": "shop",
            "patchPath": null, "entities": [{"name": "id", "type": "primary", "description": null}],
            "dimensions": [{"name": "at", "type": "time", "typeParams": {"time_granularity": "day"}, "description": null}],
            "measures": [{"name": "n", "agg": "sum", "expr": "1", "createMetric": false, "description": null}],
            "fqn": ["shop", "s"], "tags": [], "meta": {}, "parents": []
        });
        let draft = draft(from_value(item).expect("a semantic model"));
        let expected = json!({
            "entities": [{"name": "id", "type": "primary"}],
            "dimensions": [{"name": "at", "type": "time", "type_params": {"time_granularity": "day"}}],
            "measures": [{"name": "n", "agg": "sum", "expr": "1", "create_metric": false}]
        });
        assert_eq!(draft.node.properties.value(), expected);
    }
}
