//! `GET /api/v1/<view>`: the rows of each view, page by page. JSON: `[{"<column>": value, …}, …]`, as the view has them,
//! lists and maps as values of their own.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::header::VARY;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::Value;
use utoipa::openapi::path::{HttpMethod, Operation, OperationBuilder, ParameterBuilder, ParameterIn, Paths};
use utoipa::openapi::response::{ResponseBuilder, ResponsesBuilder};
use utoipa::openapi::schema::{ArrayBuilder, KnownFormat, Object, ObjectBuilder, SchemaFormat, SchemaType, Type};
use utoipa::openapi::{ContentBuilder, Header, Required};
use utoipa_axum::router::UtoipaMethodRouter;

use super::accept::Form;
use super::peers::Peer;
use super::problem::Problem;
use super::query::{self, Query};
use super::reading::{Kept, Nothing, Written, answer};
use super::stream::{Sink, stream};
use super::waiting::{self, LOOK, Waiting};
use super::{App, filters};
use crate::answers::{Column, Kind, Question, Reader, View};
use crate::time::Timestamp;

/// The route of one view, with its description.
pub(super) fn route(view: &'static View) -> UtoipaMethodRouter<Arc<App>> {
    let mut paths = Paths::new();
    paths.add_path_operation(path(view), vec![HttpMethod::Get], describe(view));
    let handler = move |State(app): State<Arc<App>>, Extension(peer): Extension<Arc<Peer>>, asked: Parts| async move {
        let mut response = rows(&app, &peer, view, &asked).await.into_response();
        response.headers_mut().append(VARY, HeaderValue::from_static("accept"));
        response
    };
    (Vec::new(), paths, get(handler))
}

async fn rows(app: &Arc<App>, peer: &Arc<Peer>, view: &'static View, asked: &Parts) -> Result<Response, Problem> {
    let form = Form::of(&asked.headers)?;
    let names: Vec<&str> = parameters(view).iter().map(|parameter| parameter.0).collect();
    let query = Query::with_filters(&asked.uri, &names, &filters::names(view))?;
    match waiting::asked(&query)? {
        Some(_) if query.get("as_of").is_some() => {
            Err(Problem::Bad("`wait` is for what is to come, and `as_of` for what was: leave one out".to_owned()))
        }
        Some(time) => first(app, (view, form), query, Waiting::begin(app, peer, time, LOOK)).await,
        None if form == Form::Ndjson && query.get("limit").is_none() => whole(app, view, query).await,
        None => some(app, (view, form), query, &asked.headers).await,
    }
}

/// A page.
async fn some(
    app: &App,
    (view, form): (&'static View, Form),
    query: Query,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let question = filters::question(view, &query)?;
    let moves = ["since", "until"].iter().filter_map(|name| query.get(name)).any(is_relative);
    let kept = match moves || view.moves_with_the_clock() {
        true => Kept::No,
        false => Kept::while_same(view.name, format!("{form:?} {}?{}", view.name, query.canonical()), headers),
    };
    answer(app, &query.clone(), kept, move |reader| page(reader, (view, form), question, &query)).await
}

/// The first page that has a row; an empty one where none comes in time.
async fn first(
    app: &App,
    (view, form): (&'static View, Form),
    query: Query,
    mut waiting: Waiting,
) -> Result<Response, Problem> {
    loop {
        let (question, own) = (filters::question(view, &query)?, query.clone());
        let look = move |reader: &Reader| page(reader, (view, form), question, &own);
        let response = answer(app, &query, Kept::No, look).await?;
        if response.extensions().get::<Nothing>().is_none() || !waiting.goes_on().await {
            return Ok(response);
        }
    }
}

/// All rows, one in each line.
async fn whole(app: &Arc<App>, view: &'static View, query: Query) -> Result<Response, Problem> {
    let (question, own, patience) = (filters::question(view, &query)?, query.clone(), app.state.limits.reading);
    let make = move |reader: &Reader, sink: &Sink| {
        let question = Question { limit: None, ..narrowed(reader, view, question, &own)? };
        let send = |part| {
            sink.send(&part)?;
            // Only reading counts, not how long a part waited to be taken.
            reader.go_on_within(patience);
            Ok(())
        };
        Ok(reader.parts(view, question, send)?)
    };
    stream(app, &query, make).await
}

fn page(reader: &Reader, (view, form): (&View, Form), question: Question, query: &Query) -> Result<Written, Problem> {
    let page = reader.page(view, &narrowed(reader, view, question, query)?)?;
    let mut written = Written::rows(&page.table, form)?;
    written.next = page.next.map(|key| format!("{}?{}", path(view), query.with_after(&cursor(view, &key))));
    Ok(written)
}

fn narrowed(reader: &Reader, view: &View, mut question: Question, query: &Query) -> Result<Question, Problem> {
    filters::narrow(&mut question, query, reader)?;
    if view.has_span() && reaches_too_far_back(&question, reader.oldest_seq) {
        return Err(Problem::Gone(reader.oldest_seq));
    }
    Ok(question)
}

/// True if such a time is another one at another moment (`7d`): then the same question has another answer, and nothing may be kept.
fn is_relative(text: &str) -> bool {
    let now = Timestamp::now();
    let at = |now| Timestamp::of_people(text, now, false).ok();
    at(now) != at(now.plus_millis(90_061_001))
}

/// True if changes are missing between what the follower has seen and the first that is kept.
fn reaches_too_far_back(question: &Question, oldest_seq: i64) -> bool {
    let after = question.after.as_ref().and_then(|key| key.first()).and_then(Value::as_i64);
    after.is_some_and(|after| after.saturating_add(1) < oldest_seq)
}

/// A cursor; for the feed the plain `seq`.
fn cursor(view: &View, key: &[Value]) -> String {
    match key {
        [seq] if view.has_span() => seq.to_string(),
        key => query::cursor(key),
    }
}

fn path(view: &View) -> String {
    format!("/api/v1/{}", view.name)
}

/// The parameters of a view's route: their names, what they are, and what that means.
fn parameters(view: &View) -> Vec<(&'static str, Object, String)> {
    let text = || Object::with_type(Type::String);
    let number = || Object::with_type(Type::Integer);
    let mut all: Vec<(&'static str, Object, String)> = Vec::new();
    let mut add = |name, schema, about: &str| all.push((name, schema, about.to_owned()));
    if !view.key.is_empty() {
        add("limit", number(), "at most so many rows (500 if left out, 5000 at most)");
        match view.has_span() {
            true => add("after", number(), "only changes after this `seq`"),
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
        add("after_revision", number(), "only of nodes whose rows changed after this revision");
    }
    if view.has_span() {
        add("wait", text(), "waits so long for the first row, from `1s` to `60s`; then the answer is empty");
        add("since", text(), "only from then on: a date or time, or how long ago (7d)");
        add("until", text(), "only until then; a date counts to its end");
    }
    for column in view.filters() {
        let schema = if column.kind.is_integer() { number() } else { text() };
        add(column.name, schema, &format!("only where this is it: {}", column.about));
    }
    all
}

/// What OpenAPI says about the route.
fn describe(view: &View) -> Operation {
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

/// What stands in a column, NULL where the key does not forbid it.
fn schema(view: &View, column: &Column) -> ObjectBuilder {
    let is_null = !view.key.contains(&column.name) || view.may_be_null.contains(&column.name);
    let of = |kind: Type| match is_null {
        true => SchemaType::from_iter([kind, Type::Null]),
        false => kind.into(),
    };
    let schema = ObjectBuilder::new().description(Some(column.about));
    let words = |words: Vec<Value>| words.into_iter().chain(is_null.then_some(Value::Null));
    match column.kind {
        Kind::Text => schema.schema_type(of(Type::String)),
        Kind::Time => {
            schema.schema_type(of(Type::String)).format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
        }
        Kind::Word(list) => schema
            .schema_type(of(Type::String))
            .enum_values(Some(words(list.iter().map(|word| Value::from(*word)).collect()))),
        Kind::Integer => schema.schema_type(of(Type::Integer)),
        Kind::Real => schema.schema_type(of(Type::Number)),
        Kind::Flag => schema.schema_type(of(Type::Integer)).enum_values(Some(words(vec![0.into(), 1.into()]))),
        Kind::List => schema.schema_type(of(Type::Array)),
        Kind::Map => schema.schema_type(of(Type::Object)),
        Kind::Json => schema.schema_type(SchemaType::AnyValue),
    }
}

fn responses(view: &View) -> utoipa::openapi::Responses {
    let mut row = ObjectBuilder::new().description(Some(view.about));
    for column in view.columns {
        row = row.property(column.name, schema(view, column)).required(column.name);
    }
    let rows = ContentBuilder::new().schema(Some(ArrayBuilder::new().items(row))).build();
    let header = |text: &str| {
        let mut header = Header::new(Object::with_type(Type::String));
        header.description = Some(text.to_owned());
        header
    };
    let ok = ResponseBuilder::new()
        .description("the rows, in the order of the view's key")
        .header("Lineaged-Seq", header("the `seq` of the last change; if it moves between pages, begin again"))
        .header("Link", header("`rel=\"next\"`, where more rows follow"))
        .content("application/json", rows);
    let mut responses = ResponsesBuilder::new().response("200", ok);
    let gone = view.has_span().then_some(("410", "history no longer reaches back so far: `oldest_seq`"));
    let kept = (!view.moves_with_the_clock()).then_some(("304", "what `If-None-Match` names is still true"));
    let others = [("400", "the question can't be understood"), ("401", "the token is missing or wrong")];
    for (code, text) in gone.into_iter().chain(kept).chain(others) {
        responses = responses.response(code, ResponseBuilder::new().description(text));
    }
    responses.build()
}
