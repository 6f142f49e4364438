//! The ids of what is defined: which of them the applied state lacks is decided later.

use crate::inventory::ResourceType;
use crate::origin::discovery::read::page::document;
use crate::origin::discovery::read::scalars::*;
use crate::origin::draft::Draft;

document!(
    DefinitionIds,
    "queries/definition_ids.graphql",
    definition_ids,
    "definition ids",
    definition.resources(types),
    draft
);

/// The types that differ between the two states.
pub(crate) const TYPES: [&str; 6] = ["Model", "Source", "Seed", "Snapshot", "Test", "Exposure"];

fn draft(item: definition_ids::Item) -> Draft {
    let kind = match item.resource_type.to_lowercase().replace(['_', ' ', '-'], "").as_str() {
        "model" => Some(ResourceType::Model),
        "source" => Some(ResourceType::Source),
        "seed" => Some(ResourceType::Seed),
        "snapshot" => Some(ResourceType::Snapshot),
        "test" | "datatest" | "unittest" => Some(ResourceType::Test),
        "exposure" => Some(ResourceType::Exposure),
        _ => None,
    };
    let mut draft = Draft::new(item.unique_id, kind.unwrap_or(ResourceType::External), Some(false));
    if kind.is_none() {
        let (id, unknown) = (&draft.node.unique_id, crate::origin::printable(&item.resource_type, 40));
        draft.warnings.push(format!("`{id}` is defined, but its type `{unknown}` is unknown: it is left out"));
    }
    draft
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_value, json};

    #[test]
    fn a_type_of_any_spelling_is_known_and_a_new_one_is_a_warning() {
        let read = |resource_type: &str| {
            let item = json!({"__typename": "XDefinitionNode", "uniqueId": "x.shop.x", "resourceType": resource_type});
            draft(from_value(item).expect("an id"))
        };
        assert_eq!(read("unit_test").node.resource_type, ResourceType::Test);
        assert_eq!(read("Model").node.resource_type, ResourceType::Model);
        assert!(read("snapshot").warnings.is_empty());
        assert_eq!(read("analysis").warnings.len(), 1);
    }
}
