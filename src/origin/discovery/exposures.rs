//! Exposures, applied and defined.

use crate::inventory::ResourceType;
use crate::origin::discovery::read::fields::{begin, parents};
use crate::origin::discovery::read::page::document;
use crate::origin::draft::{Draft, Properties, path, prose};

document!(AppliedExposures, "queries/exposures.graphql", applied_exposures, "exposures", applied.exposures(), applied);
document!(
    DefinitionExposures,
    "queries/definition_exposures.graphql",
    definition_exposures,
    "defined exposures",
    definition.exposures(unique_ids),
    defined
);

/// The applied and the definition state say the same.
macro_rules! both {
    ($item:ident, $is_applied:literal, $module:ident) => {{
        let mut draft = begin!($item, ResourceType::Exposure, Some($is_applied));
        let mut properties = Properties::default();
        parents!(draft, $item, $module);
        draft.package($item.package_name, $item.fqn);
        draft.node.owner_name = prose($item.owner_name);
        draft.node.owner_email = prose($item.owner_email);
        properties.text("patch_path", path($item.patch_path));
        properties.text("type", $item.exposure_type);
        properties.text("label", $item.label);
        properties.text("url", $item.url);
        properties.text("maturity", $item.maturity);
        draft.node.properties = properties.json();
        draft
    }};
}

fn applied(item: applied_exposures::Item) -> Draft {
    both!(item, true, applied_exposures)
}

fn defined(item: definition_exposures::Item) -> Draft {
    both!(item, false, definition_exposures)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_value, json};

    #[test]
    fn an_exposure_has_an_owner_and_its_own_facts() {
        let item = json!({
            "uniqueId": "exposure.shop.e", "name": "e", "description": "D", "filePath": "m.yml", "packageName": "shop",
            "patchPath": null, "exposureType": "dashboard", "label": "E", "url": "https://bi", "maturity": "high",
            "ownerName": "Ana", "ownerEmail": "", "fqn": ["shop", "e"], "tags": [], "meta": {},
            "parents": [{"__typename": "MetricDefinitionNestedNode", "uniqueId": "metric.shop.m"}]
        });
        let draft = applied(from_value(item.clone()).expect("an exposure"));
        assert_eq!((draft.node.owner_name.as_deref(), draft.node.owner_email.as_deref()), (Some("Ana"), None));
        let facts = json!({"type": "dashboard", "label": "E", "url": "https://bi", "maturity": "high"});
        assert_eq!(draft.node.properties.value(), facts);
        assert_eq!(draft.node.parents.len(), 1);
        assert_eq!(defined(from_value(item).expect("an exposure")).node.is_applied, Some(false));
    }
}
