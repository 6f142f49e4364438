//! `GET /api/v1/<view>`: the rows of each view, page by page. JSON: `[{"<column>": value, …}, …]`, as the view has them.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use axum::routing::get;
use serde_json::Value;
use utoipa::openapi::path::{HttpMethod, Operation, OperationBuilder, ParameterBuilder, ParameterIn, Paths};
use utoipa::openapi::response::{ResponseBuilder, ResponsesBuilder};
use utoipa::openapi::schema::{ArrayBuilder, Object, ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{ContentBuilder, Header, Required};
use utoipa_axum::router::UtoipaMethodRouter;

use super::App;
use super::problem::Problem;
use super::query::{self, Query};
use super::reading::{Json, Kept, answer};
use crate::answers::{Question, Shape, Snapshot};
use crate::output::{self, Format};
use crate::time::Timestamp;

const DEFAULT_LIMIT: usize = 500;
const MAX_LIMIT: usize = 5000;

/// The route of one view, with its description.
pub(super) fn route(shape: &'static Shape) -> UtoipaMethodRouter<Arc<App>> {
    let mut paths = Paths::new();
    paths.add_path_operation(path(shape), vec![HttpMethod::Get], describe(shape));
    let handler = move |State(app): State<Arc<App>>, uri: Uri, headers: HeaderMap| rows(app, shape, uri, headers);
    (Vec::new(), paths, get(handler))
}

async fn rows(app: Arc<App>, shape: &'static Shape, uri: Uri, headers: HeaderMap) -> Result<Response, Problem> {
    let query = Query::of(&uri, &parameters(shape))?;
    let question = question(shape, &query)?;
    let moves = ["since", "until"].iter().filter_map(|name| query.get(name)).any(is_relative);
    let kept = match moves || shape.moves_with_the_clock() {
        true => Kept::No,
        false => Kept::while_same(shape.view, format!("{}?{}", shape.view, query.canonical()), &headers),
    };
    answer(&app, &query.clone(), kept, move |snapshot| page(snapshot, shape, question, &query)).await
}

fn page(snapshot: &Snapshot, shape: &Shape, mut question: Question, query: &Query) -> Result<Json, Problem> {
    if let Some(name) = query.get("environment") {
        question.environment_id = Some(snapshot.environment_id(name)?);
    }
    let (select, exclude) = (query.selector("select")?, query.selector("exclude")?);
    question.chosen = snapshot.chosen(question.environment_id, &select, &exclude)?;
    if shape.view == "changes" && reaches_too_far_back(&question, snapshot.oldest_seq) {
        return Err(Problem::Gone(snapshot.oldest_seq));
    }
    let page = snapshot.page(shape, &question)?;
    let mut body = Vec::new();
    output::write(&page.table, Format::Json, &mut body).map_err(|_| Problem::Internal)?;
    let next = page.next.map(|key| format!("{}?{}", path(shape), query.with_after(&written(shape, &key))));
    Ok(Json { body, next })
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

fn question(shape: &Shape, query: &Query) -> Result<Question, Problem> {
    let mut question = Question::default();
    let limit = query.number("limit", 1)?.map_or(DEFAULT_LIMIT, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    if limit > MAX_LIMIT {
        return Err(Problem::Bad(format!("`limit` may be {MAX_LIMIT} at most")));
    }
    question.limit = limit;
    for name in shape.filters {
        let value = match Shape::is_number(name) {
            true => query.number(name, 0)?.map(Value::from),
            false => query.get(name).map(Value::from),
        };
        question.equal.extend(value.map(|value| (*name, value)));
    }
    // How long ago something was is counted from the moment that is asked for.
    let now = query.as_of()?.unwrap_or_else(Timestamp::now);
    let time = |name: &str, end_of_day: bool| {
        let time = query.get(name).map(|text| Timestamp::of_people(text, now, end_of_day));
        time.transpose().map_err(Problem::Bad)
    };
    (question.since, question.until) = (time("since", false)?, time("until", true)?);
    question.after = match query.get("after") {
        None => None,
        Some(_) if shape.view == "changes" => query.number("after", 0)?.map(|seq| vec![seq.into()]),
        Some(text) => Some(query::key(text, shape.key.len()).ok_or_else(|| {
            Problem::Bad("`after` is not from a `Link` header of this view: follow that, or leave it out".to_owned())
        })?),
    };
    Ok(question)
}

/// A cursor; for the feed the plain `seq`.
fn written(shape: &Shape, key: &[Value]) -> String {
    match key {
        [seq] if shape.view == "changes" => seq.to_string(),
        key => query::cursor(key),
    }
}

fn path(shape: &Shape) -> String {
    format!("/api/v1/{}", shape.view)
}

fn parameters(shape: &Shape) -> Vec<&'static str> {
    let paged: &[&str] = if shape.key.is_empty() { &[] } else { &["limit", "after"] };
    let environment: &[&str] = if shape.has_environment() { &["environment"] } else { &[] };
    let selected: &[&str] = if shape.has_nodes() { &["select", "exclude"] } else { &[] };
    let spanned: &[&str] = if shape.view == "changes" { &["since", "until"] } else { &[] };
    [paged, environment, &["as_of"], selected, spanned, shape.filters].concat()
}

/// What OpenAPI says about the route.
fn describe(shape: &Shape) -> Operation {
    let mut operation = OperationBuilder::new()
        .operation_id(Some(format!("list_{}", shape.view)))
        .tag("views")
        .summary(Some(format!("The view `{}`, page by page", shape.view)));
    for name in parameters(shape) {
        let (kind, text) = match name {
            "limit" => (Type::Integer, "at most so many rows (500 if left out, 5000 at most)".to_owned()),
            "after" if shape.view == "changes" => (Type::Integer, "only changes after this `seq`".to_owned()),
            "after" => (Type::String, "the rows after a page: from its `Link` header".to_owned()),
            "select" => {
                (Type::String, "only these nodes, in dbt's selection grammar: `+orders tag:nightly`".to_owned())
            }
            "exclude" => (Type::String, "not these nodes, in dbt's selection grammar".to_owned()),
            "since" => (Type::String, "only from then on: a date or time, or how long ago (7d)".to_owned()),
            "until" => (Type::String, "only until then; a date counts to its end".to_owned()),
            "as_of" => (Type::String, "the catalog as it was then: a date or time, or how long ago (7d)".to_owned()),
            "environment" => (Type::String, "only of the environment of this name".to_owned()),
            name if Shape::is_number(name) => (Type::Integer, format!("only where `{name}` is this number")),
            name => (Type::String, format!("only where `{name}` is exactly this")),
        };
        let parameter = ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Query)
            .required(Required::False)
            .description(Some(text))
            .schema(Some(Object::with_type(kind)));
        operation = operation.parameter(parameter);
    }
    operation.responses(responses(shape)).build()
}

fn responses(shape: &Shape) -> utoipa::openapi::Responses {
    let mut row = ObjectBuilder::new().description(Some("a row of the view; lists and maps are JSON text"));
    // The schema is ours and tested; without its columns the description would be poorer, not wrong.
    for column in shape.columns().unwrap_or_default() {
        let any = SchemaType::from_iter([Type::String, Type::Number, Type::Null]);
        row = row.property(&column, ObjectBuilder::new().schema_type(any)).required(column);
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
    let gone = (shape.view == "changes").then_some(("410", "history no longer reaches back so far: `oldest_seq`"));
    let kept = (!shape.moves_with_the_clock()).then_some(("304", "what `If-None-Match` names is still true"));
    let others = [("400", "the question can't be understood"), ("401", "the token is missing or wrong")];
    for (code, text) in gone.into_iter().chain(kept).chain(others) {
        responses = responses.response(code, ResponseBuilder::new().description(text));
    }
    responses.build()
}
