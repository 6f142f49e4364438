//! `GET /api/v1/changes/{seq}/code`: how raw code changed: `{"seq", "changed_at", "environment_id", "unique_id", "before", "after",
//! "difference"}`.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;

use super::App;
use super::problem::Problem;
use super::query::{self, Query};
use super::reading::{Kept, Written, answer};

/// The code before and after a change, and how it differs
#[utoipa::path(
    get,
    path = "/api/v1/changes/{seq}/code",
    operation_id = "code_of_change",
    tag = "nodes",
    params(("seq" = i64, Path, description = "the number of a change whose `field` is `raw_code`")),
    responses(
        (status = 200, description = "`before` and `after` (null where it is not kept), and their `difference`, line by line", body = Value),
        (status = 304, description = "what `If-None-Match` names is still true"),
        (status = 400, description = "`seq` is no number"),
        (status = 404, description = "there is no such change, or it is not of code"),
        (status = 410, description = "history no longer reaches back so far: `oldest_seq`")
    )
)]
pub(super) async fn code(
    State(app): State<Arc<App>>,
    Path(seq): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let query = Query::of(&uri, &[])?;
    let seq = query::number("seq", &seq, 1)?;
    let kept = Kept::while_same("changes", format!("code/{seq}"), &headers);
    answer(&app, &query, kept, move |reader| match reader.code_change(seq)? {
        Some(change) => Written::json(&change),
        None if seq < reader.oldest_seq => Err(Problem::Gone(reader.oldest_seq)),
        None => Err(Problem::NotFound(format!("there is no change of code with seq {seq}"), Vec::new())),
    })
    .await
}
