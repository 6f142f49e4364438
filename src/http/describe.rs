//! What `/openapi.json` says of views, of their parameters, and of what any route may answer besides.

use serde_json::{Value, json};
use utoipa::openapi::path::{Operation, OperationBuilder, ParameterBuilder, ParameterIn};
use utoipa::openapi::response::{ResponseBuilder, Responses, ResponsesBuilder};
use utoipa::openapi::schema::{
    ArrayBuilder, KnownFormat, Object, ObjectBuilder, Schema, SchemaFormat, SchemaType, Type,
};
use utoipa::openapi::{ContentBuilder, Header, Ref, RefOr, Required};

use super::accept::Form;
use super::filters::{self, DEFAULT_LIMIT, MAX_LIMIT};
use crate::answers::{Column, Kind, View};

/// What the platform or dbt numbers, so that nothing is known of how small it may be.
const OTHERS_NUMBERS: [&str; 6] = ["platform_id", "account_id", "job_id", "last_job_id", "position", "failures"];

/// A parameter: its name, what it is, and what that means.
type Parameter = (&'static str, RefOr<Schema>, String);

/// The parameters of a view's route.
pub(super) fn parameters(view: &View) -> Vec<Parameter> {
    let text = || ObjectBuilder::new().schema_type(Type::String);
    let number = |least: usize| ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(least));
    let mut all: Vec<(&'static str, ObjectBuilder, String)> = Vec::new();
    let mut add = |name, schema, about: &str| all.push((name, schema, about.to_owned()));
    if !view.key.is_empty() {
        let limit = number(1).maximum(Some(MAX_LIMIT)).default(Some(DEFAULT_LIMIT.into()));
        add("limit", limit, "at most so many rows; of ndjson all if left out");
        match view.has_span() {
            true => add("after", number(0), "only changes after this `seq`"),
            false => add("after", text(), "the rows after a page: from its `Link` header"),
        }
    }
    if view.has_environment() {
        add("environment", text(), "only of the environment of this name, or with this number");
    }
    add("as_of", text(), "the catalog as it was then: a date or time, or how long ago (7d)");
    if view.has_nodes() {
        add("select", text(), "only these nodes, in dbt's selection grammar: `+orders tag:nightly`");
        add("exclude", text(), "not these nodes, in dbt's selection grammar");
    }
    if view.resolved_node().is_some() {
        add("after_revision", number(0), "only of nodes whose rows changed after this revision");
    }
    if view.has_span() {
        let wait = text().pattern(Some("^([1-9]|[1-5][0-9]|60)s$"));
        add("wait", wait, "waits so long for the first row, from `1s` to `60s`; then the answer is empty");
        add("since", text(), "only from then on: a date or time, or how long ago (7d)");
        add("until", text(), "only until then; a date counts to its end");
    }
    for column in view.filters() {
        add(column.name, filter(column), &format!("only where this is it: {}", column.about));
    }
    let many = filters::names(view);
    let whole = |(name, schema, about): (&'static str, ObjectBuilder, String)| match many.contains(&name) {
        true => (name, ArrayBuilder::new().items(schema).into(), about),
        false => (name, schema.into(), about),
    };
    all.into_iter().map(whole).collect()
}

/// What a filter takes.
fn filter(column: &Column) -> ObjectBuilder {
    let text = ObjectBuilder::new().schema_type(Type::String);
    match column.kind {
        Kind::Word(words) => text.enum_values(Some(words.iter().copied())),
        Kind::Flag => text.enum_values(Some(["0", "1", "false", "true"])),
        Kind::Integer => ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)),
        _ => text,
    }
}

/// What OpenAPI says about the route of a view.
pub(super) fn operation(view: &View) -> Operation {
    let mut operation = OperationBuilder::new()
        .operation_id(Some(format!("list_{}", view.name)))
        .tag("views")
        .summary(Some(format!("The view `{}`, page by page: {}", view.name, view.about)));
    for (name, schema, about) in parameters(view) {
        let parameter = ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Query)
            .required(Required::False)
            .description(Some(about))
            .schema(Some(schema));
        operation = operation.parameter(parameter);
    }
    operation.responses(responses(view)).build()
}

/// A row of the view.
pub(super) fn row(view: &View) -> RefOr<Schema> {
    let mut row = ObjectBuilder::new().description(Some(view.about));
    for column in view.columns {
        row = row.property(column.name, cell(view, column)).required(column.name);
    }
    row.into()
}

/// What stands in a column, NULL where the key does not forbid it.
fn cell(view: &View, column: &Column) -> ObjectBuilder {
    let is_null = !view.key.contains(&column.name) || view.may_be_null.contains(&column.name);
    let of = |kind: Type| match is_null {
        true => SchemaType::from_iter([kind, Type::Null]),
        false => kind.into(),
    };
    let schema = ObjectBuilder::new().description(Some(column.about));
    let format = |format| Some(SchemaFormat::KnownFormat(format));
    let words = |words: Vec<Value>| words.into_iter().chain(is_null.then_some(Value::Null));
    match column.kind {
        Kind::Text => schema.schema_type(of(Type::String)),
        Kind::Time => schema.schema_type(of(Type::String)).format(format(KnownFormat::DateTime)),
        Kind::Word(list) => schema
            .schema_type(of(Type::String))
            .enum_values(Some(words(list.iter().map(|word| Value::from(*word)).collect()))),
        Kind::Integer => {
            schema.schema_type(of(Type::Integer)).format(format(KnownFormat::Int64)).minimum(least(column))
        }
        Kind::Real => schema.schema_type(of(Type::Number)).format(format(KnownFormat::Double)),
        Kind::Flag => schema.schema_type(of(Type::Integer)).enum_values(Some(words(vec![0.into(), 1.into()]))),
        Kind::List => schema.schema_type(of(Type::Array)),
        Kind::Map => schema.schema_type(of(Type::Object)),
        Kind::Json => schema.schema_type(SchemaType::AnyValue),
    }
}

/// The least number that may stand in a column, where that is known.
fn least(column: &Column) -> Option<usize> {
    match column.name {
        "seq" | "sync_id" | "depth" => Some(1),
        name if OTHERS_NUMBERS.contains(&name) => None,
        _ => Some(0),
    }
}

fn responses(view: &View) -> Responses {
    let header = |text: &str| {
        let mut header = Header::new(Object::with_type(Type::String));
        header.description = Some(text.to_owned());
        header
    };
    let rows = ArrayBuilder::new().items(Ref::from_schema_name(view.name));
    let text = || ContentBuilder::new().schema(Some(Object::with_type(Type::String))).build();
    let ok = ResponseBuilder::new()
        .description("the rows, in the order of the view's key")
        .header("Lineaged-Seq", header("the `seq` of the last change; if it moves between pages, begin again"))
        .header("Lineaged-Catalog", header("which catalog it is of; a copy is another: a follower begins again"))
        .header("Link", header("`rel=\"next\"`, where more rows follow"))
        .content(Form::Json.name(), ContentBuilder::new().schema(Some(rows)).build())
        .content(Form::Csv.name(), text())
        .content(Form::Ndjson.name(), text());
    let mut responses = ResponsesBuilder::new().response("200", ok);
    let gone = view.has_span().then_some(("410", "history no longer reaches back so far: `oldest_seq`"));
    let kept = (!view.moves_with_the_clock()).then_some(("304", "what `If-None-Match` names is still true"));
    let others = [
        ("400", "the question can't be understood, or asks for what the view can't hold"),
        ("406", "`Accept` allows no form in which rows are answered"),
    ];
    for (code, text) in gone.into_iter().chain(kept).chain(others) {
        responses = responses.response(code, ResponseBuilder::new().description(text));
    }
    responses.build()
}

/// Adds to the description of all routes what may be answered before a route is asked, and what problems look like.
pub(super) fn complete(mut openapi: Value) -> Value {
    openapi["components"]["schemas"]["problem"] = json!({
        "description": "why a request is not answered as it wished (RFC 9457)",
        "type": "object",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": { "type": "string" },
            "title": { "type": "string" },
            "status": { "type": "integer", "minimum": 400, "maximum": 599 },
            "detail": { "type": "string", "description": "what is wrong and what to do, for people" },
            "nearest": { "type": "array", "items": { "type": "string" }, "description": "with 404: the ids that come nearest" },
            "oldest_seq": { "type": "integer", "minimum": 0, "description": "with 410: where history begins" }
        }
    });
    for (path, item) in openapi["paths"].as_object_mut().into_iter().flatten() {
        for operation in item.as_object_mut().into_iter().flat_map(|item| item.values_mut()) {
            if let Some(responses) = operation["responses"].as_object_mut() {
                add_problems(path, responses);
            }
        }
    }
    openapi
}

fn add_problems(path: &str, responses: &mut serde_json::Map<String, Value>) {
    let (is_api, is_open) = (path.starts_with("/api/"), path == "/" || path.starts_with("/-/"));
    let needs_token = is_api || path == "/metrics" || path == "/openapi.json";
    let besides = [
        ("401", needs_token, "the token is missing or wrong"),
        ("403", is_api || path == "/metrics", "asked by another web site"),
        ("421", true, "this host is not served here"),
        ("503", !is_open, "not now: too many are reading, or it took too long"),
    ];
    for (code, _, text) in besides.into_iter().filter(|(_, may_be, _)| *may_be) {
        responses.entry(code).or_insert_with(|| json!({ "description": text }));
    }
    for (code, response) in responses.iter_mut() {
        if code.as_str() >= "400" && response.get("content").is_none() {
            let schema = json!({ "schema": { "$ref": "#/components/schemas/problem" } });
            response["content"] = json!({ "application/problem+json": schema });
        }
    }
}
