//! Tests of every kind, applied and defined.

use serde_json::json;

use crate::inventory::{ResourceType, UniqueId, unquoted};
use crate::origin::discovery::read::fields::{begin, last_run, parents};
use crate::origin::discovery::read::page::document;
use crate::origin::discovery::read::scalars::*;
use crate::origin::draft::{Draft, Properties, Tested, path, text, without_nulls, word};
use crate::origin::printable;
use crate::origin::reference::Reference;

document!(AppliedTests, "queries/tests.graphql", applied_tests, "tests", applied.tests(), applied);
document!(
    DefinitionTests,
    "queries/definition_tests.graphql",
    definition_tests,
    "defined tests",
    definition.tests(unique_ids),
    defined
);

/// What the applied and the definition state say in the same words. `$model` is what the test's argument of this name says.
macro_rules! both {
    ($item:ident, $is_applied:literal, $module:ident, $test_type:expr, $model:expr) => {{
        let test_type = test_type($test_type);
        let is_unit = test_type.as_deref() == Some("unit");
        let kind = if is_unit { ResourceType::UnitTest } else { ResourceType::Test };
        let mut draft = begin!($item, kind, Some($is_applied));
        let mut properties = Properties::default();
        parents!(draft, $item, $module);
        draft.package(None, $item.fqn);
        properties.text("patch_path", path($item.patch_path));
        properties.text("column_name", $item.column_name.as_deref().map(unquoted));
        let tested_model = $model;
        if is_unit {
            properties.text("model", $item.model);
            properties.value("given", serde_json::json!($item.given));
            properties.value("expect", $item.expect);
            properties.value("overrides", $item.overrides);
        }
        let named = |model: &str| if is_unit { Some(Reference::of_unit_test(model)) } else { Reference::parse(model) };
        let reference = tested_model.as_deref().and_then(named);
        draft.tested = Some(Tested { id: text($item.tested_node_unique_id).map(UniqueId::from), reference });
        properties.text("test_type", known_type(&mut draft, test_type));
        (draft, properties)
    }};
}

fn applied(item: applied_tests::Item) -> Draft {
    let metadata = item.test_metadata;
    let argument = metadata.kwargs.as_ref().and_then(|kwargs| kwargs.get("model")?.as_str().map(str::to_owned));
    let argument = argument.or_else(|| item.model.clone());
    let (mut draft, mut properties) = both!(item, true, applied_tests, Some(item.test_type), argument);
    draft.code(item.raw_code, item.compiled_code);
    let failures = number(item.execution_info.last_run_failures);
    draft.lacks_status = item.last_known_result.is_none() && item.execution_info.last_run_status.is_none();
    draft.node.last_run = last_run!(draft, item.execution_info);
    draft.node.last_run.failures = failures;
    if let Some(status) = draft.status(item.last_known_result) {
        draft.node.last_run.status = Some(status);
    }
    if !properties.has("column_name") {
        let argument = metadata.kwargs.as_ref().and_then(|kwargs| kwargs.get("column_name")?.as_str());
        properties.text("column_name", metadata.column_name.as_deref().or(argument).map(unquoted));
    }
    let (name, namespace) = (text(metadata.name), text(metadata.namespace));
    let metadata = without_nulls(json!({"name": name, "namespace": namespace, "kwargs": metadata.kwargs}));
    if metadata != json!({}) {
        properties.value("test_metadata", metadata);
    }
    properties.value("config", item.config);
    draft.node.properties = properties.json();
    draft
}

fn defined(item: definition_tests::Item) -> Draft {
    let name = item.name.as_deref().and_then(built_in);
    let (mut draft, mut properties) = both!(item, false, definition_tests, item.test_type, item.model.clone());
    if let Some(name) = name {
        properties.value("test_metadata", json!({"name": name}));
    }
    draft.code(item.raw_code, None);
    draft.node.properties = properties.json();
    draft
}

/// The definition state does not say which generic test it is; dbt's own begin with their name.
fn built_in(name: &str) -> Option<&'static str> {
    let name = name.strip_prefix("source_").unwrap_or(name);
    let starts = |test: &&str| name.strip_prefix(test).is_some_and(|rest| rest.starts_with('_'));
    ["unique", "not_null", "accepted_values", "relationships"].into_iter().find(|test| starts(test))
}

/// generic, singular or unit, or a word that is new.
fn test_type(given: Option<TestType>) -> Option<String> {
    let given = word(given)?;
    Some(given.trim_end_matches("_test").trim_end_matches("_data").to_owned())
}

fn known_type(draft: &mut Draft, test_type: Option<String>) -> Option<String> {
    test_type.filter(|word| {
        let is_known = matches!(word.as_str(), "generic" | "singular" | "unit");
        if !is_known {
            draft.new_words.push(format!("test type `{}`", printable(word, 40)));
        }
        is_known
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, from_value};

    fn item(test_type: &str, parents: &[&str]) -> Value {
        let nested = |id: &&str| json!({"__typename": "ModelAppliedStateNestedNode", "uniqueId": id});
        json!({
            "uniqueId": "test.shop.t", "name": "t", "description": null, "filePath": "models/x.yml", "patchPath": null,
            "columnName": null, "testType": test_type, "testedNodeUniqueId": null, "model": "orders",
            "given": [{"input": "ref('a')"}], "expect": {"rows": []}, "overrides": null, "fqn": ["shop", "t"], "tags": [],
            "meta": null, "config": {"severity": "ERROR"},
            "testMetadata": {"name": "relationships", "namespace": null, "kwargs": {"to": "ref('a')"}, "columnName": "id"},
            "rawCode": "x", "compiledCode": null, "lastKnownResult": "fail",
            "executionInfo": {"lastRunStatus": "skipped", "lastRunGeneratedAt": null, "lastRunError": null, "lastRunFailures": "7",
                "lastRunId": null, "lastJobDefinitionId": null, "lastSuccessRunId": null, "executeCompletedAt": null, "executionTime": null},
            "parents": parents.iter().map(nested).collect::<Vec<_>>()
        })
    }

    #[test]
    fn a_generic_test_says_what_it_tests() {
        let draft = applied(from_value(item("GENERIC_DATA_TEST", &["model.shop.a"])).expect("a test"));
        assert_eq!(draft.node.resource_type, ResourceType::Test);
        let properties = draft.node.properties.value();
        assert_eq!((&properties["test_type"], &properties["column_name"]), (&json!("generic"), &json!("id")));
        assert_eq!(properties["test_metadata"], json!({"name": "relationships", "kwargs": {"to": "ref('a')"}}));
        assert_eq!(properties.get("given"), None);
        assert_eq!(draft.node.last_run.status.as_deref(), Some("fail"), "the known result beats the last run's");
        assert_eq!(draft.node.last_run.failures, Some(7));
        assert_eq!(draft.node.package_name.as_deref(), Some("shop"));
    }

    #[test]
    fn a_test_tells_the_node_that_it_is_of_by_id_and_by_argument() {
        let mut named = item("GENERIC_DATA_TEST", &["model.shop.b", "model.shop.a"]);
        named["testedNodeUniqueId"] = "model.shop.b".into();
        named["testMetadata"]["kwargs"]["model"] = "{{ get_where_subquery(ref('b')) }}".into();
        named["columnName"] = "`order`.`id`".into();
        let draft = applied(from_value(named).expect("a test"));
        let tested = Tested { id: Some("model.shop.b".into()), reference: Reference::parse("ref('b')") };
        assert_eq!(draft.tested, Some(tested));
        assert_eq!(draft.node.properties.value()["column_name"], "order.id");
        let unit = applied(from_value(item("UNIT_TEST", &[])).expect("a test"));
        assert_eq!(unit.tested.expect("a test").reference, Some(Reference::of_unit_test("orders")));
        let plain = applied(from_value(item("SINGULAR_DATA_TEST", &[])).expect("a test"));
        assert_eq!(plain.tested, Some(Tested::default()));
    }

    #[test]
    fn a_test_type_that_is_new_is_unknown_and_told() {
        let draft = applied(from_value(item("CONTRACT_TEST", &[])).expect("a test"));
        assert_eq!(draft.node.properties.value().get("test_type"), None);
        assert_eq!(draft.new_words, ["test type `contract`"]);
    }

    #[test]
    fn a_unit_test_is_a_type_of_its_own() {
        let draft = applied(from_value(item("UNIT_TEST", &["model.shop.a"])).expect("a test"));
        assert_eq!(draft.node.resource_type, ResourceType::UnitTest);
        let properties = draft.node.properties.value();
        assert_eq!((&properties["test_type"], &properties["model"]), (&json!("unit"), &json!("orders")));
        assert_eq!(properties["given"], json!([{"input": "ref('a')"}]));
        assert_eq!(properties.get("overrides"), None);
    }

    #[test]
    fn without_the_known_result_the_last_run_counts() {
        let mut item = item("SINGULAR_DATA_TEST", &[]);
        item.as_object_mut().expect("a map").remove("lastKnownResult");
        let draft = applied(from_value(item.clone()).expect("a test"));
        assert_eq!((draft.node.last_run.status.as_deref(), draft.lacks_status), (Some("skipped"), false));
        item["executionInfo"]["lastRunStatus"] = Value::Null;
        assert!(applied(from_value(item).expect("a test")).lacks_status);
    }

    #[test]
    fn a_defined_test_may_not_know_its_type() {
        let mut item = item("UNIT_TEST", &[]);
        item["parents"] = json!([{"__typename": "ModelDefinitionNestedNode", "uniqueId": "model.shop.a"}]);
        let draft = defined(from_value(item.clone()).expect("a test"));
        assert_eq!((draft.node.resource_type, draft.node.is_applied), (ResourceType::UnitTest, Some(false)));
        item["testType"] = Value::Null;
        let draft = defined(from_value(item).expect("a test"));
        assert_eq!(draft.node.resource_type, ResourceType::Test);
        assert_eq!(draft.node.properties.value(), json!({}));
    }
}
