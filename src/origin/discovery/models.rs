//! Models, applied and defined.

use serde_json::{Value, json};

use crate::inventory::ResourceType;
use crate::origin::discovery::read::fields::{begin, catalog, last_run, parents, relation, tests};
use crate::origin::discovery::read::page::document;
use crate::origin::discovery::read::scalars::*;
use crate::origin::draft::{Draft, Properties, layer, path, text, time, without_nulls, word};

document!(AppliedModels, "queries/models.graphql", applied_models, "models", applied.models(), applied);
document!(
    DefinitionModels,
    "queries/definition_models.graphql",
    definition_models,
    "defined models",
    definition.models(unique_ids),
    defined
);

/// What the applied and the definition state say in the same words.
macro_rules! both {
    ($item:ident, $is_applied:literal, $module:ident) => {{
        let mut draft = begin!($item, ResourceType::Model, Some($is_applied));
        let mut properties = Properties::default();
        relation!(draft, $item, alias);
        parents!(draft, $item, $module);
        tests!(draft, $item);
        let node = &mut draft.node;
        node.layer = layer($item.modeling_layer.as_deref(), node.name.as_deref(), node.file_path.as_deref());
        node.materialization = word($item.materialized_type);
        node.access = word($item.access);
        node.group_name = text($item.group);
        node.contract_enforced = $item.contract_enforced;
        node.version = text($item.version);
        node.latest_version = text($item.latest_version);
        node.deprecation_date = time($item.deprecation_date);
        node.language = word($item.language);
        draft.package($item.package_name, $item.fqn);
        properties.text("patch_path", path($item.patch_path));
        properties.text("release_version", $item.release_version);
        let constraint = $item.constraints.into_iter().map(|constraint| {
            without_nulls(json!({
                "name": constraint.name,
                "type": constraint.type_,
                "expression": constraint.expression,
                "columns": constraint.columns,
                "warn_unenforced": constraint.warn_unenforced,
                "warn_unsupported": constraint.warn_unsupported,
            }))
        });
        properties.value("constraints", constraint.collect::<Value>());
        (draft, properties)
    }};
}

fn applied(item: applied_models::Item) -> Draft {
    let (mut draft, mut properties) = both!(item, true, applied_models);
    draft.code(item.raw_code, item.compiled_code);
    draft.node.relation_name = text(item.relation_name);
    if let Some(info) = item.execution_info {
        draft.node.last_run = last_run!(draft, info);
    }
    properties.value("config", item.config);
    properties.value("is_description_inherited", item.is_description_inherited.map(Value::Bool));
    catalog!(draft, item, properties);
    draft.node.properties = properties.json();
    draft
}

fn defined(item: definition_models::Item) -> Draft {
    let (mut draft, properties) = both!(item, false, definition_models);
    draft.code(item.raw_code, None);
    draft.node.properties = properties.json();
    draft
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::from_value;

    fn item() -> Value {
        let text = r#"{
            "uniqueId": "model.shop.stg_orders", "name": "stg_orders", "description": "", "filePath": "models/x/stg_orders.sql",
            "isDescriptionInherited": false, "packageName": null, "patchPath": "shop://models/x.yml",
            "database": "dev", "schema": "main", "alias": "orders_v1", "relationName": "dev.main.orders_v1",
            "materializedType": "TABLE", "access": "Public", "group": "", "modelingLayer": null, "contractEnforced": true,
            "version": "1", "latestVersion": "2", "releaseVersion": "somethingNew", "deprecationDate": "2027-01-01T00:00:00Z",
            "fqn": ["shop", "x", "stg_orders"], "tags": ["a"], "meta": {"owner": "Ana"}, "config": {"enabled": true},
            "constraints": [{"name": null, "type": "check", "expression": "id > 0", "columns": ["id"], "warnUnenforced": true, "warnUnsupported": null}],
            "language": "sql", "rawCode": "select 1\u0000\nfrom x", "compiledCode": "",
            "executionInfo": {
                "lastRunStatus": "Error", "lastRunGeneratedAt": "2026-11-01T06:00:00Z", "lastRunError": "boom", "lastRunId": "12",
                "lastJobDefinitionId": 3, "lastSuccessRunId": 11, "executeCompletedAt": "2026-10-31T06:00:00Z", "executionTime": 1.5
            },
            "catalog": {
                "type": "BASE TABLE", "owner": "dbt", "comment": null,
                "stats": [null, {"id": "row_count", "label": "Rows", "value": 5, "description": null, "include": true}],
                "columns": [
                    {"name": "id", "index": 1, "type": "INTEGER", "description": "", "comment": null, "tags": [], "meta": {}},
                    {"name": null, "index": 2, "type": "x", "description": null, "comment": null, "tags": [], "meta": null},
                    {"name": "id", "index": 3, "type": "TEXT", "description": null, "comment": null, "tags": [], "meta": null}
                ]
            },
            "tests": [{"uniqueId": "test.shop.t"}],
            "parents": [
                {"__typename": "SourceAppliedStateNestedNode", "uniqueId": "source.shop.raw"},
                {"__typename": "MacroDefinitionNestedNode", "uniqueId": "macro.shop.m", "resourceType": "macro"},
                {"__typename": "ExternalModelNode", "uniqueId": "model.core.users", "name": "users", "packageName": null,
                 "dbtProjectName": "core", "description": ""},
                {"__typename": "SomethingNewNode", "uniqueId": "new.shop.n"}
            ],
            "unheardOf": 1
        }"#;
        serde_json::from_str(text).expect("JSON")
    }

    #[test]
    fn an_applied_model_is_read_in_full() {
        let draft = applied(from_value(item()).expect("a model"));
        let node = &draft.node;
        assert_eq!(
            (node.is_applied, node.name.as_deref(), node.description.as_deref()),
            (Some(true), Some("stg_orders"), None)
        );
        assert_eq!((node.package_name.as_deref(), node.group_name.as_deref()), (Some("shop"), None));
        assert_eq!(
            (node.identifier.as_deref(), node.relation_name.as_deref()),
            (Some("orders_v1"), Some("dev.main.orders_v1"))
        );
        assert_eq!((node.materialization.as_deref(), node.access.as_deref()), (Some("table"), Some("public")));
        assert_eq!((node.layer.as_deref(), node.contract_enforced), (Some("staging"), Some(true)));
        assert_eq!(node.raw_code.as_ref().map(|code| code.lines), Some(2));
        assert_eq!(node.compiled_code, None);
        assert_eq!(draft.texts[0].text, "select 1\u{fffd}\nfrom x");
        let parents: Vec<&str> = node.parents.iter().map(|id| id.as_str()).collect();
        assert_eq!(parents, ["source.shop.raw", "model.core.users", "new.shop.n"]);
        assert_eq!(draft.externals[0].package_name.as_deref(), Some("core"));
        assert_eq!(draft.tests.len(), 1);
    }

    #[test]
    fn run_facts_and_the_warehouse_of_a_model() {
        let draft = applied(from_value(item()).expect("a model"));
        let run = &draft.node.last_run;
        assert_eq!(
            (run.status.as_deref(), run.run_id.as_deref(), run.job_id, run.success_run_id.as_deref()),
            (Some("error"), Some("12"), Some(3), Some("11"))
        );
        assert_eq!((run.execution_seconds, run.error.as_deref()), (Some(1.5), Some("boom")));
        assert_eq!(draft.node.columns.len(), 1, "unnamed and repeated columns are left out");
        assert_eq!(draft.node.columns[0].data_type.as_deref(), Some("INTEGER"));
        assert_eq!((draft.warnings.len(), draft.lacks_catalog), (2, false));
        assert_eq!(
            draft.node.properties.value(),
            json!({
                "patch_path": "shop://models/x.yml", "release_version": "somethingNew", "config": {"enabled": true},
                "constraints": [{"type": "check", "expression": "id > 0", "columns": ["id"], "warn_unenforced": true}],
                "is_description_inherited": false, "relation_type": "BASE TABLE", "relation_owner": "dbt",
                "stats": [{"id": "row_count", "label": "Rows", "value": 5, "include": true}]
            })
        );
    }

    #[test]
    fn a_model_without_catalog_or_runs_is_known_to_lack_them() {
        let mut item = item();
        item["catalog"] = Value::Null;
        item["executionInfo"] = Value::Null;
        let fields = item.as_object_mut().expect("a map");
        fields.remove("relationName");
        let draft = applied(from_value(item).expect("a model"));
        assert!(draft.lacks_catalog && draft.node.columns.is_empty());
        assert_eq!((draft.node.last_run.status, draft.node.relation_name), (None, None));
    }

    #[test]
    fn null_where_the_schema_has_none_is_an_error() {
        for field in ["uniqueId", "fqn", "parents", "filePath"] {
            let mut item = item();
            item[field] = Value::Null;
            assert!(from_value::<applied_models::Item>(item).is_err(), "{field}");
        }
    }

    #[test]
    fn a_defined_model_is_not_applied() {
        let mut item = item();
        item["parents"] = json!([{"__typename": "ModelDefinitionNestedNode", "uniqueId": "model.shop.a"}]);
        let draft = defined(from_value(item).expect("a model"));
        assert_eq!(draft.node.is_applied, Some(false));
        assert!(!draft.lacks_catalog && draft.node.last_run.status.is_none());
        assert_eq!(draft.node.properties.value().get("config"), None);
    }
}
