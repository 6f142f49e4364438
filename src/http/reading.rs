//! Answers out of the catalog: each of one moment, off the threads that serve connections, a few at a time.

use std::sync::Arc;
use std::time::Instant;

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, LINK};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::App;
use super::accept::Form;
use super::problem::Problem;
use super::query::Query;
use crate::answers::{Reader, Table};
use crate::output;
use crate::time::Timestamp;

/// The `seq` of the last change that an answer knows.
const SEQ: &str = "lineaged-seq";

/// Which catalog it is of: copies have another.
const CATALOG: &str = "lineaged-catalog";

/// As of when an answer is, where that was asked for.
const AS_OF: HeaderName = HeaderName::from_static("lineaged-as-of");

/// What of such an answer is as of now, since it has no history.
const OF_NOW: (HeaderName, HeaderValue) = (
    HeaderName::from_static("lineaged-of-now"),
    HeaderValue::from_static("settings, column_lineage, jobs, metric_dimensions"),
);

/// Whether an answer may be kept by the client.
pub(super) enum Kept {
    /// No: it depends on the time of day, or on the settings, as what is as of another time does.
    No,
    /// Until the catalog has changed in what `view` shows. The question tells answers of one view apart.
    While { view: &'static str, question: String, known: Option<String> },
}

impl Kept {
    /// An answer that a client may keep, and which it has.
    pub(super) fn while_same(view: &'static str, question: String, headers: &HeaderMap) -> Self {
        let known: Vec<&str> = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok()).collect();
        Self::While { view, question, known: (!known.is_empty()).then(|| known.join(",")) }
    }
}

/// An answer as it is sent, and where the rest of it is.
pub(super) struct Written {
    pub(super) body: Vec<u8>,
    form: Form,
    pub(super) next: Option<String>,
    is_empty: bool,
}

impl Written {
    /// An answer that is whole, as JSON.
    pub(super) fn json<T: Serialize>(answer: &T) -> Result<Self, Problem> {
        let body = output::json(answer).map_err(unwritten)?;
        Ok(Self { body, form: Form::Json, next: None, is_empty: false })
    }

    /// Rows in some form.
    pub(super) fn rows(table: &Table, form: Form) -> Result<Self, Problem> {
        let mut body = Vec::new();
        output::write(table, form.format(), &mut body).map_err(unwritten)?;
        Ok(Self { body, form, next: None, is_empty: table.rows.is_empty() })
    }
}

fn unwritten(error: std::io::Error) -> Problem {
    tracing::error!(%error, "an answer could not be written");
    Problem::Internal
}

/// Stands in the extensions of an answer that has no row.
#[derive(Debug, Clone)]
pub(super) struct Nothing;

/// Reads the catalog when it is this request's turn among those that share `turns`.
pub(super) async fn read<T: Send + 'static>(
    app: &App,
    turns: &Arc<Semaphore>,
    read: impl FnOnce(&Reader) -> T + Send + 'static,
) -> Result<T, Problem> {
    let (path, patience) = (app.state.catalog.clone(), app.state.limits.reading);
    in_turn(app, turns, move || {
        let mut reader = Reader::open(&path, None)?;
        reader.within(patience)?;
        Ok(read(&reader))
    })
    .await
}

/// Reads the catalog as it is, or as it was.
pub(super) async fn moment<T: Send + 'static>(
    app: &App,
    as_of: Option<Timestamp>,
    read_then: impl FnOnce(&Reader) -> T + Send + 'static,
) -> Result<T, Problem> {
    match as_of {
        None => read(app, &app.readers, read_then).await,
        Some(time) => read_as_of(app, time, read_then).await,
    }
}

/// Reads the catalog as it was. While it is taken back, others have their turns.
async fn read_as_of<T: Send + 'static>(
    app: &App,
    time: Timestamp,
    read_then: impl FnOnce(&Reader) -> T + Send + 'static,
) -> Result<T, Problem> {
    let state = read(app, &app.readers, move |reader| reader.state_at(time)).await??;
    let (now, limits) = (Instant::now(), &app.state.limits);
    let (path, end) = (app.state.catalog.clone(), now + limits.going_back);
    let make = move || Reader::open_as_of(&path, time, Some(end));
    let mut copy = app.moments.copy(state, now, end, make).await?;
    let patience = limits.reading;
    in_turn(app, &app.readers, move || {
        let mut reader = copy.take().ok_or(Problem::Internal)?;
        reader.turn_to(time)?;
        reader.within(patience)?;
        let answer = read_then(&reader);
        *copy = Some(reader);
        Ok(answer)
    })
    .await
}

/// Does `work` off the threads that serve connections, when there is a turn.
async fn in_turn<T: Send + 'static>(
    app: &App,
    turns: &Arc<Semaphore>,
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let turn = timeout(app.state.limits.reader_wait, Arc::clone(turns).acquire_owned()).await;
    let Ok(Ok(turn)) = turn else { return Err(Problem::Unavailable("too many are reading: try again".to_owned())) };
    let task = tokio::task::spawn_blocking(move || {
        // Kept until the end, even if nobody waits for the answer any more.
        let _turn = turn;
        work()
    });
    task.await.unwrap_or_else(|error| {
        tracing::error!(%error, "a read of the catalog panicked");
        Err(Problem::Internal)
    })
}

/// Answers with one moment, or that what the client has is still true.
///
/// The parameter `as_of` of `query` tells as of when.
pub(super) async fn answer(
    app: &App,
    query: &Query,
    kept: Kept,
    make: impl FnOnce(&Reader) -> Result<Written, Problem> + Send + 'static,
) -> Result<Response, Problem> {
    let as_of = query.as_of()?;
    let kept = if as_of.is_some() { Kept::No } else { kept };
    let answer = move |reader: &Reader| {
        let mut response = response(reader, kept, make).unwrap_or_else(Problem::into_response);
        Moment::of(reader, as_of).tell(&mut response);
        response
    };
    moment(app, as_of, answer).await
}

/// Which moment of which catalog an answer is of.
#[derive(Debug, Clone)]
pub(super) struct Moment {
    seq: i64,
    catalog: String,
    as_of: Option<Timestamp>,
}

impl Moment {
    pub(super) fn of(reader: &Reader, as_of: Option<Timestamp>) -> Self {
        Self { seq: reader.last_seq, catalog: reader.catalog_id().to_owned(), as_of }
    }

    /// Says so in the headers.
    pub(super) fn tell(&self, response: &mut Response) {
        let headers = response.headers_mut();
        headers.insert(SEQ, HeaderValue::from(self.seq));
        // An id and a time have only letters, digits and dashes: always valid headers.
        if let Ok(catalog) = HeaderValue::from_str(&self.catalog) {
            headers.insert(CATALOG, catalog);
        }
        if let Some(time) = self.as_of.and_then(|time| HeaderValue::from_str(&time.to_string()).ok()) {
            headers.extend([(AS_OF, time), OF_NOW]);
        }
    }
}

fn response(
    reader: &Reader,
    kept: Kept,
    make: impl FnOnce(&Reader) -> Result<Written, Problem>,
) -> Result<Response, Problem> {
    let Kept::While { view, question, known } = kept else { return Ok(written(make(reader)?)) };
    let tag = tag(&reader.stamp(view)?, &question);
    let is_known = known.is_some_and(|known| known.split(',').any(|one| one.trim() == tag || one.trim() == "*"));
    let mut response = if is_known { StatusCode::NOT_MODIFIED.into_response() } else { written(make(reader)?) };
    // Made of hexadecimal digits: always a valid header.
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(ETAG, tag);
    }
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    Ok(response)
}

fn written(written: Written) -> Response {
    let mut response = ([(CONTENT_TYPE, written.form.content_type())], written.body).into_response();
    let link = written.next.and_then(|next| HeaderValue::from_str(&format!("<{next}>; rel=\"next\"")).ok());
    if let Some(link) = link {
        response.headers_mut().insert(LINK, link);
    }
    if written.is_empty {
        response.extensions_mut().insert(Nothing);
    }
    response
}

/// Weak, because the same answer may come compressed or not.
fn tag(stamp: &str, question: &str) -> String {
    let digest = Sha256::new().chain_update(stamp).chain_update("\n").chain_update(question).finalize();
    let digits: String = digest.iter().take(12).map(|byte| format!("{byte:02x}")).collect();
    format!("W/\"{digits}\"")
}
