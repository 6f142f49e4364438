//! `POST /api/v1/sync`: marks environments as due, also those that rest after a failure. JSON: the new rows of the view `syncs`.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, LOCATION};
use axum::http::{HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use url::form_urlencoded;

use super::App;
use super::peers::Peer;
use super::problem::Problem;
use super::query::{Query, cursor};
use super::reading::{Written, read};
use super::waiting::{self, LOOK, Waiting};
use crate::answers::{Error, Order, Question, Reader, Table};
use crate::catalog::Trigger;

/// A sync has its row after a moment.
const SOON: Duration = Duration::from_millis(50);

/// Starts a sync
#[utoipa::path(
    post,
    path = "/api/v1/sync",
    tag = "syncs",
    params(
        ("environment" = Option<Vec<String>>, Query, description = "which ones, by name or number; all if left out"),
        ("wait" = Option<String>, Query, description = "waits so long for the end: from `1s` to `60s`")
    ),
    responses(
        (status = 200, description = "with `wait`: the rows of the syncs, which have ended", body = Vec<Value>),
        (status = 202, description = "it begins: the new rows of the view `syncs`, as far as they are there; `Location` has all of them",
            body = Vec<Value>),
        (status = 400, description = "there is no such environment, or `wait` is no such time"),
        (status = 401, description = "the token is missing or wrong"),
        (status = 403, description = "asked by another web site"),
        (status = 409, description = "a sync runs"),
        (status = 503, description = "too many are reading: nothing was started")
    )
)]
pub(super) async fn sync(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Arc<Peer>>,
    uri: Uri,
) -> Result<Response, Problem> {
    let query = Query::with_filters(&uri, &["environment", "wait"], &["environment"])?;
    let wait = waiting::asked(&query)?;
    let ids = wanted(&app, &query)?;
    let last = read(&app, &app.readers, newest).await??;
    if ids.iter().any(|id| app.state.due.is_running(*id)) {
        return Err(Problem::Conflict("a sync runs: wait for its end in `/api/v1/syncs`".to_owned()));
    }
    for id in &ids {
        app.state.due.mark(*id, Trigger::Api);
    }
    let (time, every) = wait.map_or((app.state.limits.begin, SOON), |wait| (wait, LOOK));
    let waiting = Waiting::begin(&app, &peer, time, every);
    Started { ids, last, for_end: wait.is_some() }.answer(&app, waiting).await
}

/// The environments that are asked for, all if none is named.
fn wanted(app: &App, query: &Query) -> Result<Vec<i64>, Problem> {
    let all = app.state.served.borrow().environments.clone();
    let ids = query.all("environment").map(|wanted| {
        let found = all.iter().find(|(_, name)| name == wanted);
        let found = found.or_else(|| all.iter().find(|(id, _)| id.to_string() == wanted));
        let names = || all.iter().map(|(_, name)| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        found
            .map(|(id, _)| *id)
            .ok_or_else(|| Problem::Bad(format!("no environment is called `{wanted}`, but {}", names())))
    });
    let mut ids = ids.collect::<Result<Vec<_>, _>>()?;
    if ids.is_empty() {
        ids = all.iter().map(|(id, _)| *id).collect();
    }
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
}

/// The number of the newest sync, 0 if there was none.
fn newest(reader: &Reader) -> Result<i64, Error> {
    let question = Question { limit: Some(1), order: Order::Last, ..Question::default() };
    Ok(reader.rows("syncs", &question)?.iter().filter_map(|row| row.int("sync_id")).max().unwrap_or_default())
}

/// What was started: the syncs of these environments after the one that was the newest.
struct Started {
    ids: Vec<i64>,
    last: i64,
    /// Whether their end is waited for, or only their rows.
    for_end: bool,
}

impl Started {
    async fn answer(&self, app: &App, mut waiting: Waiting) -> Result<Response, Problem> {
        loop {
            // They were started, whether their rows can be read or not.
            let rows = self.rows(app).await.unwrap_or_default();
            let is_over = self.is_over(app, &rows);
            let is_there = is_over || (!self.for_end && self.has_begun(&rows));
            if is_there || !waiting.goes_on().await {
                return self.told(&rows, self.for_end && is_over);
            }
        }
    }

    async fn rows(&self, app: &App) -> Result<Table, Problem> {
        let question = Question { after: Some(vec![self.last.into()]), ..Question::default() };
        let question = question.only("environment_id", &self.ids);
        Ok(read(app, &app.readers, move |reader| reader.rows("syncs", &question)).await??)
    }

    fn has_begun(&self, rows: &Table) -> bool {
        self.ids.iter().all(|id| rows.iter().any(|row| row.int("environment_id") == Some(*id)))
    }

    fn is_over(&self, app: &App, rows: &Table) -> bool {
        let has_ended = rows.iter().all(|row| row.text("outcome").is_some());
        self.has_begun(rows) && has_ended && !self.ids.iter().any(|id| app.state.due.is_running(*id))
    }

    /// Where the rows are, also those that are not there yet.
    fn location(&self, rows: &Table) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        if self.has_begun(rows) {
            query.extend_pairs(rows.iter().filter_map(|row| Some(("sync_id", row.int("sync_id")?.to_string()))));
        } else {
            query.extend_pairs(self.ids.iter().map(|id| ("environment", id.to_string())));
            query.append_pair("after", &cursor(&[Value::from(self.last)]));
        }
        format!("/api/v1/syncs?{}", query.finish())
    }

    fn told(&self, rows: &Table, has_ended: bool) -> Result<Response, Problem> {
        let status = if has_ended { StatusCode::OK } else { StatusCode::ACCEPTED };
        let mut response = (status, [(CONTENT_TYPE, "application/json")], Written::json(rows)?.body).into_response();
        // Letters, digits and signs of addresses: always a valid header.
        if let Ok(location) = HeaderValue::from_str(&self.location(rows)) {
            response.headers_mut().insert(LOCATION, location);
        }
        Ok(response)
    }
}
