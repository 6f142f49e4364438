//! Seeds, applied and defined.

use crate::inventory::ResourceType;
use crate::origin::discovery::read::fields::{begin, catalog, last_run, relation, tests};
use crate::origin::discovery::read::page::document;
use crate::origin::draft::{Draft, Properties, path};

document!(AppliedSeeds, "queries/seeds.graphql", applied_seeds, "seeds", applied.seeds(), applied);
document!(
    DefinitionSeeds,
    "queries/definition_seeds.graphql",
    definition_seeds,
    "defined seeds",
    definition.seeds(unique_ids),
    defined
);

/// What the applied and the definition state say in the same words.
macro_rules! both {
    ($item:ident, $is_applied:literal) => {{
        let mut draft = begin!($item, ResourceType::Seed, Some($is_applied));
        let mut properties = Properties::default();
        relation!(draft, $item, alias);
        draft.node.materialization = Some("seed".into());
        draft.package($item.package_name, $item.fqn);
        properties.text("patch_path", path($item.patch_path));
        (draft, properties)
    }};
}

fn applied(item: applied_seeds::Item) -> Draft {
    let (mut draft, mut properties) = both!(item, true);
    tests!(draft, item);
    draft.node.last_run = last_run!(draft, item.execution_info);
    catalog!(draft, item, properties);
    draft.node.properties = properties.json();
    draft
}

fn defined(item: definition_seeds::Item) -> Draft {
    let (mut draft, properties) = both!(item, false);
    draft.node.properties = properties.json();
    draft
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, from_value, json};

    #[test]
    fn a_seed_is_its_own_materialization() {
        let item = json!({
            "uniqueId": "seed.shop.c", "name": "c", "description": null, "filePath": "seeds/c.csv", "packageName": "shop",
            "patchPath": null, "database": "d", "schema": "s", "alias": "c", "fqn": ["shop", "c"], "tags": [], "meta": {},
            "executionInfo": {"lastRunStatus": "success", "lastRunGeneratedAt": null, "lastRunError": null, "lastRunId": null,
                "lastJobDefinitionId": null, "lastSuccessRunId": null, "executeCompletedAt": null, "executionTime": null},
            "catalog": {"type": null, "owner": null, "comment": null, "stats": null, "columns": null},
            "tests": []
        });
        let draft = applied(from_value(item.clone()).expect("a seed"));
        assert_eq!(draft.node.materialization.as_deref(), Some("seed"));
        assert_eq!(draft.node.last_run.status.as_deref(), Some("success"));
        assert!(draft.lacks_catalog, "columns that are null are unknown");
        assert_eq!(draft.node.properties.value(), Value::Object(Default::default()));
        assert_eq!(defined(from_value(item).expect("a seed")).node.is_applied, Some(false));
    }
}
