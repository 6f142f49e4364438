//! Snapshots, in dbt's sense, applied and defined.

use crate::inventory::ResourceType;
use crate::origin::discovery::read::fields::{begin, catalog, last_run, parents, relation, tests};
use crate::origin::discovery::read::page::document;
use crate::origin::draft::{Draft, Properties, path};

document!(AppliedSnapshots, "queries/snapshots.graphql", applied_snapshots, "snapshots", applied.snapshots(), applied);
document!(
    DefinitionSnapshots,
    "queries/definition_snapshots.graphql",
    definition_snapshots,
    "defined snapshots",
    definition.snapshots(unique_ids),
    defined
);

/// What the applied and the definition state say in the same words.
macro_rules! both {
    ($item:ident, $is_applied:literal, $module:ident) => {{
        let mut draft = begin!($item, ResourceType::Snapshot, Some($is_applied));
        let mut properties = Properties::default();
        relation!(draft, $item, alias);
        parents!(draft, $item, $module);
        draft.node.materialization = Some("snapshot".into());
        draft.package($item.package_name, $item.fqn);
        properties.text("patch_path", path($item.patch_path));
        (draft, properties)
    }};
}

fn applied(item: applied_snapshots::Item) -> Draft {
    let (mut draft, mut properties) = both!(item, true, applied_snapshots);
    tests!(draft, item);
    draft.code(item.raw_code, item.compiled_code);
    if let Some(info) = item.execution_info {
        draft.node.last_run = last_run!(draft, info);
    }
    properties.value("config", item.config);
    catalog!(draft, item, properties);
    draft.node.properties = properties.json();
    draft
}

fn defined(item: definition_snapshots::Item) -> Draft {
    let (mut draft, properties) = both!(item, false, definition_snapshots);
    draft.code(item.raw_code, None);
    draft.node.properties = properties.json();
    draft
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_value, json};

    #[test]
    fn a_snapshot_has_code_and_parents() {
        let item = json!({
            "uniqueId": "snapshot.shop.s", "name": "s", "description": null, "filePath": "snapshots/s.sql", "packageName": "shop",
            "patchPath": null, "database": "d", "schema": "s", "alias": "s", "fqn": ["shop", "s"], "tags": [], "meta": {},
            "config": {"strategy": "check"}, "rawCode": "select 1", "compiledCode": "select 1", "executionInfo": null,
            "catalog": null, "tests": [],
            "parents": [{"__typename": "ModelAppliedStateNestedNode", "uniqueId": "model.shop.a"}]
        });
        let draft = applied(from_value(item.clone()).expect("a snapshot"));
        assert_eq!(draft.node.materialization.as_deref(), Some("snapshot"));
        assert_eq!((draft.node.parents.len(), draft.texts.len()), (1, 2));
        assert_eq!(draft.node.properties.value(), json!({"config": {"strategy": "check"}}));
        let draft = defined(from_value(item).expect("a snapshot"));
        assert_eq!((draft.node.is_applied, draft.texts.len()), (Some(false), 1));
    }
}
