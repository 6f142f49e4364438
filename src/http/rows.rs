//! `GET /api/v1/<view>`: the rows of each view, page by page. JSON: `[{"<column>": value, …}, …]`, as the view has them,
//! lists and maps as values of their own. Also as csv and ndjson, as the command line writes them.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::header::VARY;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::Value;
use utoipa::openapi::path::{HttpMethod, Paths};
use utoipa_axum::router::UtoipaMethodRouter;

use super::accept::Form;
use super::peers::Peer;
use super::problem::Problem;
use super::query::{self, Query};
use super::reading::{Kept, Nothing, Written, answer};
use super::stream::{Sink, stream};
use super::waiting::{self, LOOK, Waiting};
use super::{App, describe, filters};
use crate::answers::{Question, Reader, View};
use crate::time::Timestamp;

/// The route of one view, with its description.
pub(super) fn route(view: &'static View) -> UtoipaMethodRouter<Arc<App>> {
    let mut paths = Paths::new();
    paths.add_path_operation(path(view), vec![HttpMethod::Get], describe::operation(view));
    let handler = move |State(app): State<Arc<App>>, Extension(peer): Extension<Arc<Peer>>, asked: Parts| async move {
        let mut response = rows(&app, &peer, view, &asked).await.into_response();
        response.headers_mut().append(VARY, HeaderValue::from_static("accept"));
        response
    };
    (vec![(view.name.to_owned(), describe::row(view))], paths, get(handler))
}

async fn rows(app: &Arc<App>, peer: &Arc<Peer>, view: &'static View, asked: &Parts) -> Result<Response, Problem> {
    let form = Form::of(&asked.headers)?;
    let names: Vec<&str> = describe::parameters(view).iter().map(|parameter| parameter.0).collect();
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
