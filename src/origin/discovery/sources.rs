//! Sources, applied and defined.

use serde_json::{Value, json};

use crate::inventory::ResourceType;
use crate::origin::discovery::read::fields::{begin, catalog, relation, tests};
use crate::origin::discovery::read::page::document;
use crate::origin::discovery::read::scalars::*;
use crate::origin::draft::{Draft, Properties, path, without_nulls, word};

document!(AppliedSources, "queries/sources.graphql", applied_sources, "sources", applied.sources(), applied);
document!(
    DefinitionSources,
    "queries/definition_sources.graphql",
    definition_sources,
    "defined sources",
    definition.sources(unique_ids),
    defined
);

/// What the applied and the definition state say in the same words.
macro_rules! both {
    ($item:ident, $is_applied:literal) => {{
        let mut draft = begin!($item, ResourceType::Source, Some($is_applied));
        let mut properties = Properties::default();
        relation!(draft, $item, identifier);
        tests!(draft, $item);
        draft.package(None, $item.fqn);
        properties.text("patch_path", path($item.patch_path));
        properties.text("source_name", $item.source_name);
        properties.text("source_description", $item.source_description);
        properties.text("loader", $item.loader);
        (draft, properties)
    }};
}

fn applied(item: applied_sources::Item) -> Draft {
    let (mut draft, mut properties) = both!(item, true);
    let check = item.freshness;
    draft.freshness(check.freshness_status, check.snapshotted_at, check.max_loaded_at);
    properties.value("freshness_checked", check.freshness_checked.map(Value::Bool));
    let warn = check.criteria.warn_after.and_then(|after| threshold(after.count, after.period));
    let error = check.criteria.error_after.and_then(|after| threshold(after.count, after.period));
    if warn.is_some() || error.is_some() {
        properties.value("freshness", without_nulls(json!({"warn_after": warn, "error_after": error})));
    }
    catalog!(draft, item, properties);
    draft.node.properties = properties.json();
    draft
}

fn defined(item: definition_sources::Item) -> Draft {
    let (mut draft, properties) = both!(item, false);
    draft.node.properties = properties.json();
    draft
}

/// A threshold that is set: without a count it is none.
fn threshold(count: Option<i64>, period: Option<TimePeriod>) -> Option<Value> {
    Some(without_nulls(json!({"count": count?, "period": word(period)})))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::from_value;

    fn item(warn: Value, loaded: &str) -> Value {
        json!({
            "uniqueId": "source.shop.raw.orders", "name": "orders", "description": "Raw.", "filePath": "models/s.yml",
            "patchPath": null, "database": "raw", "schema": "shop", "identifier": "ORDERS", "sourceName": "raw",
            "sourceDescription": "", "loader": "fivetran", "fqn": ["shop", "raw", "orders"], "tags": [], "meta": null,
            "freshness": {
                "freshnessChecked": true, "freshnessStatus": "Warn", "snapshottedAt": "2026-11-01T06:00:00Z",
                "maxLoadedAt": loaded, "criteria": {"warnAfter": warn, "errorAfter": {"count": null, "period": null}}
            },
            "catalog": null, "tests": []
        })
    }

    #[test]
    fn a_source_keeps_its_check_and_its_thresholds() {
        let draft = applied(
            from_value(item(json!({"count": 12, "period": "hour"}), "2026-11-01T05:00:00Z")).expect("a source"),
        );
        let check = &draft.node.freshness;
        assert_eq!(check.status.as_deref(), Some("warn"));
        assert!(check.max_loaded_at.is_some() && check.checked_at.is_some());
        assert_eq!(
            (draft.node.identifier.as_deref(), draft.node.package_name.as_deref()),
            (Some("ORDERS"), Some("shop"))
        );
        assert_eq!(
            draft.node.properties.value(),
            json!({"source_name": "raw", "loader": "fivetran", "freshness_checked": true,
                   "freshness": {"warn_after": {"count": 12, "period": "hour"}}})
        );
        assert!(draft.lacks_catalog);
        assert_eq!(draft.node.meta, None);
    }

    #[test]
    fn year_one_is_never_loaded_and_no_count_is_no_threshold() {
        let draft = applied(from_value(item(Value::Null, "0001-01-01T00:00:00.000Z")).expect("a source"));
        assert_eq!(draft.node.freshness.max_loaded_at, None);
        assert_eq!(draft.node.properties.value().get("freshness"), None);
    }

    #[test]
    fn a_defined_source_is_not_applied() {
        let draft = defined(from_value(item(Value::Null, "")).expect("a source"));
        assert_eq!((draft.node.is_applied, draft.lacks_catalog), (Some(false), false));
    }
}
