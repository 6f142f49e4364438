//! One GraphQL request to one answer: parsed, validated against a public schema, executed from its root. Refusals read
//! as Apollo's do, with HTTP 400.

use apollo_compiler::collections::HashMap;
use apollo_compiler::executable::ExecutableDocument;
use apollo_compiler::resolvers::{Execution, ObjectValue};
use apollo_compiler::response::{GraphQLError, JsonMap};
use apollo_compiler::schema::{ExtendedType, Implementers};
use apollo_compiler::validation::{DiagnosticList, Valid};
use apollo_compiler::{Name, Schema};
use serde_json::json;

/// The public schema of the Discovery API.
pub(super) const DISCOVERY: &str = include_str!("../../queries/schema/discovery.graphql");
/// What is known of the schema of the Semantic Layer.
pub(super) const SEMANTIC_LAYER: &str = include_str!("../../queries/schema/semantic_layer.graphql");

/// A request as its body states it.
#[derive(Debug, Clone, Default, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Body {
    #[serde(default)]
    pub query: String,
    pub operation_name: Option<String>,
    pub variables: Option<serde_json::Value>,
}

impl Body {
    /// The operation's name: as stated, else as the document says.
    pub(super) fn operation(&self) -> String {
        let in_document = || {
            let rest = self.query.split_once("query ").map_or("", |(_, rest)| rest).trim_start();
            rest.split(|it: char| !it.is_alphanumeric() && it != '_').next().unwrap_or_default().to_owned()
        };
        self.operation_name.clone().unwrap_or_else(in_document)
    }
}

/// The schema, as this server knows it.
pub(super) struct Engine {
    schema: Valid<Schema>,
    implementers: HashMap<Name, Implementers>,
}

impl Engine {
    /// An engine of this schema that lacks these fields, each `field` (of every type) or `Type.field`.
    #[allow(clippy::expect_used)]
    pub(super) fn without(schema: &str, fields: &[&str]) -> Self {
        let mut schema = Schema::parse(schema, "schema.graphql").expect("the public schema can be read");
        for &field in fields {
            let (type_name, field) = field.split_once('.').map_or((None, field), |(ty, field)| (Some(ty), field));
            for (name, ty) in schema.types.iter_mut().filter(|(name, _)| type_name.is_none_or(|it| it == name.as_str()))
            {
                debug_assert!(!name.is_empty());
                match ty {
                    ExtendedType::Object(ty) => drop(ty.make_mut().fields.shift_remove(field)),
                    ExtendedType::Interface(ty) => drop(ty.make_mut().fields.shift_remove(field)),
                    _ => {}
                }
            }
        }
        let schema = schema.validate().expect("the public schema is valid");
        let implementers = schema.implementers_map();
        Self { schema, implementers }
    }

    /// The status and the JSON text of the answer.
    pub(super) fn execute(&self, body: &Body, root: &dyn ObjectValue) -> (u16, Vec<u8>) {
        let document = match ExecutableDocument::parse(&self.schema, &body.query, "query.graphql") {
            Ok(document) => {
                document.validate(&self.schema).map_err(|invalid| ("GRAPHQL_VALIDATION_FAILED", invalid.errors))
            }
            Err(invalid) => Err((refusal_code(&invalid.errors), invalid.errors)),
        };
        let document = match document {
            Ok(document) => document,
            Err((code, errors)) => {
                return refusal(errors.iter().map(|error| with_code(error.unstable_to_json_compat(), code)).collect());
            }
        };
        let variables = body.variables.as_ref().and_then(|it| serde_json::from_value::<JsonMap>(it.clone()).ok());
        let variables = variables.unwrap_or_default();
        let execution = Execution::new(&self.schema, &document).implementers_map(&self.implementers);
        let execution = execution.raw_variable_values(&variables).enable_schema_introspection(true);
        let name = body.operation_name.as_deref();
        let response = execution.operation_name(name).and_then(|it| it.execute_sync(root));
        match response {
            Ok(mut response) => {
                response.errors =
                    response.errors.into_iter().map(|it| with_code(it, "INTERNAL_SERVER_ERROR")).collect();
                (200, serde_json::to_vec(&response).unwrap_or_default())
            }
            Err(error) => refusal(vec![with_code(error.to_graphql_error(&document.sources), "BAD_USER_INPUT")]),
        }
    }
}

/// Apollo tells a text that is no GraphQL from one that does not fit the schema.
fn refusal_code(errors: &DiagnosticList) -> &'static str {
    let is_syntax = errors.iter().any(|error| error.unstable_to_json_compat().message.starts_with("syntax error"));
    if is_syntax { "GRAPHQL_PARSE_FAILED" } else { "GRAPHQL_VALIDATION_FAILED" }
}

fn refusal(errors: Vec<GraphQLError>) -> (u16, Vec<u8>) {
    (400, serde_json::to_vec(&json!({"errors": errors})).unwrap_or_default())
}

fn with_code(mut error: GraphQLError, code: &str) -> GraphQLError {
    if let Some(message) = error.message.strip_prefix("resolver error: ") {
        error.message = message.to_owned();
    }
    error.extensions.insert("code", code.into());
    error
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::objects::{Environment, Query};
    use super::super::project::{Index, Project};
    use super::*;
    use crate::time::Timestamp;
    use apollo_compiler::schema::FieldDefinition;
    use serde_json::Value;

    fn ask(engine: &Engine, project: &Project, query: &str) -> (u16, Value) {
        let index = Index::of(project);
        let environments = BTreeMap::from([(1, Environment { project, index: &index })]);
        let body = Body { query: query.to_owned(), operation_name: None, variables: None };
        let (status, bytes) = engine.execute(&body, &Query(environments));
        (status, serde_json::from_slice(&bytes).expect("JSON"))
    }

    /// What an inventory does not hold, so that no answer would be true.
    const REFUSED: &[&str] = &[
        "accountId",
        "ancestors",
        "children",
        "environmentId",
        "jobId",
        "lineage",
        "modelCount",
        "models",
        "projectId",
        "runId",
        "testStatuses",
        "versions",
    ];

    /// Every other field of a type that needs no argument, relations one level deep.
    fn all_fields(schema: &Schema, type_name: &str, depth: usize) -> String {
        let fields = match &schema.types[type_name] {
            ExtendedType::Object(ty) => &ty.fields,
            ExtendedType::Interface(ty) => &ty.fields,
            _ => return String::new(),
        };
        let mut text = String::from("{ __typename");
        let is_asked = |field: &FieldDefinition| {
            field.arguments.iter().all(|it| !it.is_required()) && !REFUSED.contains(&field.name.as_str())
        };
        for (name, field) in fields.iter().filter(|(_, field)| is_asked(field)) {
            let inner = field.ty.inner_named_type();
            let is_leaf = schema.types[inner].is_scalar() || schema.types[inner].is_enum();
            if is_leaf || depth > 0 {
                text.push_str(&format!(" {name} {}", all_fields(schema, inner, depth.saturating_sub(1))));
            }
        }
        text + " }"
    }

    #[test]
    fn every_field_of_every_type_is_answered() {
        let engine = Engine::without(DISCOVERY, &[]);
        every_field_is_answered(&engine, &Project::bundled(Timestamp::now()), 4, true);
        let Some(folder) = super::super::load::tests::sample_data() else { return };
        for name in [
            "hubspot-v4",
            "dbt-docs-ci-v9",
            "mesh-downstream",
            "dbt-bouncer-2.0",
            "dwh-sm2-1.12",
            "jaffle-semantic-1.12",
        ] {
            if folder.join(name).is_dir() {
                let project = Project::load(&folder.join(name), Timestamp::now()).expect(name);
                every_field_is_answered(&engine, &project, 3, false);
            }
        }
    }

    #[test]
    fn what_an_inventory_does_not_hold_is_refused_by_name() {
        let (engine, project) = (Engine::without(DISCOVERY, &[]), Project::bundled(Timestamp::now()));
        for field in ["environmentId", "ancestors(types: []) { uniqueId }", "children { uniqueId }"] {
            let query =
                format!("{{ environment(id: 1) {{ applied {{ models {{ edges {{ node {{ {field} }} }} }} }} }} }}");
            let (_, answer) = ask(&engine, &project, &query);
            let message = answer["errors"][0]["message"].as_str().unwrap_or_default();
            assert!(message.ends_with("is not served here"), "{field}: {answer}");
        }
    }

    fn every_field_is_answered(engine: &Engine, project: &Project, depth: usize, has_all: bool) {
        for (state, type_name) in [("applied", "AppliedState"), ("definition", "DefinitionState")] {
            let ExtendedType::Object(ty) = &engine.schema.types[type_name] else { panic!("an object") };
            for (name, field) in &ty.fields {
                let is_listed = field.ty.inner_named_type().ends_with("Connection");
                if !is_listed {
                    continue;
                }
                let argument =
                    if name == "resources" { "(filter: {types: [Model, Test, Metric, Source]})" } else { "" };
                let selection = all_fields(&engine.schema, field.ty.inner_named_type(), depth);
                let query = format!("{{ environment(id: 1) {{ {state} {{ {name}{argument} {selection} }} }} }}");
                let (status, answer) = ask(engine, project, &query);
                assert_eq!((status, &answer["errors"]), (200, &Value::Null), "{state} {name}");
                let total = &answer["data"]["environment"][state][name.as_str()]["totalCount"];
                assert!(!has_all || total.as_i64() > Some(0) || name == "macros", "{state} {name}");
            }
        }
    }

    #[test]
    fn an_unknown_environment_has_no_data() {
        let (status, answer) = ask(
            &Engine::without(DISCOVERY, &[]),
            &Project::bundled(Timestamp::now()),
            "{ environment(id: 7) { adapterType } }",
        );
        assert_eq!((status, &answer["data"]), (200, &Value::Null));
        assert_eq!(answer["errors"][0]["message"], "There is no data available for this input");
    }

    #[test]
    fn refusals_read_as_apollos_do() {
        let project = Project::bundled(Timestamp::now());
        let (engine, poorer) = (Engine::without(DISCOVERY, &[]), Engine::without(DISCOVERY, &["relationName"]));
        let query = "{ environment(id: 1) { applied { models { edges { node { relationName } } } } } }";
        assert_eq!(ask(&engine, &project, query).0, 200);
        let (status, answer) = ask(&poorer, &project, query);
        assert_eq!(status, 400);
        assert_eq!(
            answer["errors"][0]["message"],
            r#"Cannot query field "relationName" on type "ModelAppliedStateNode"."#
        );
        assert_eq!(answer["errors"][0]["extensions"]["code"], "GRAPHQL_VALIDATION_FAILED");
        let (status, answer) = ask(&engine, &project, "{ environment(");
        assert_eq!((status, &answer["errors"][0]["extensions"]["code"]), (400, &"GRAPHQL_PARSE_FAILED".into()));
    }

    #[test]
    fn filters_let_through_what_they_name() {
        let (engine, project) = (Engine::without(DISCOVERY, &[]), Project::bundled(Timestamp::now()));
        for (field, expected) in [
            ("models(filter: {uniqueIds: [\"model.mini_shop.orders\", \"model.mini_shop.gone\"]})", 1),
            ("models(filter: {lastRunStatus: error})", 1),
            ("models(filter: {identifier: \"dim_customers_v1\"})", 1),
            ("tests(filter: {testTypes: [UNIT_TEST, SINGULAR_DATA_TEST]})", 4),
            ("tests(filter: {lastKnownResults: [fail, warn], lastKnownResult: pass})", 2),
            ("sources(filter: {freshnessStatus: Error})", 1),
            ("sources(filter: {freshnessChecked: false})", 1),
            ("resources(filter: {types: [Seed], tags: []})", 2),
        ] {
            let (_, answer) = ask(
                &engine,
                &project,
                &format!("{{ environment(id: 1) {{ applied {{ it: {field} {{ totalCount }} }} }} }}"),
            );
            assert_eq!(answer["data"]["environment"]["applied"]["it"]["totalCount"], expected, "{field}: {answer}");
        }
    }
}
