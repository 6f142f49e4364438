//! `GET /api/v1/search?q=`: `{"hits": [{"environment_id", "unique_id", "resource_type", "name", "matched_fields", "context",
//! "description"}, …], "left_out": 0}`, the best hit first.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;

use super::App;
use super::problem::Problem;
use super::query::Query;
use super::reading::{Kept, Written, answer};
use crate::answers::Search;

const DEFAULT_LIMIT: usize = 20;
const MAX_LIMIT: usize = 500;

/// The nodes that have these words, best first
#[utoipa::path(
    get,
    path = "/api/v1/search",
    tag = "nodes",
    params(
        ("q" = String, Query, description = "words, all of which must be found, each at the beginning of a word; \
            `\"a phrase\"`, `col:`, `owner:`, `tag:`, `meta.KEY:VALUE`"),
        ("environment" = Option<String>, Query, description = "only of the environment of this name"),
        ("select" = Option<String>, Query, description = "only these nodes, in dbt's selection grammar"),
        ("exclude" = Option<String>, Query, description = "not these nodes"),
        ("as_of" = Option<String>, Query, description = "the catalog as it was then: a date or time, or how long ago (7d)"),
        ("limit" = Option<u32>, Query, description = "at most so many hits (20 if left out, 500 at most)")
    ),
    responses(
        (status = 200, description = "`hits`, where each hit stands (between « and »), and how many are `left_out`", body = Value),
        (status = 304, description = "what `If-None-Match` names is still true"),
        (status = 400, description = "the question can't be understood, or there is no such environment")
    )
)]
pub(super) async fn search(State(app): State<Arc<App>>, uri: Uri, headers: HeaderMap) -> Result<Response, Problem> {
    let known = ["q", "environment", "as_of", "select", "exclude", "limit"];
    let query = Query::with_filters(&uri, &known, &["select", "exclude"])?;
    let text = query.get("q").ok_or_else(|| Problem::Bad("`q` is missing: give the words to search for".to_owned()))?;
    let search = Search::of(text)?;
    let limit = query.limit(DEFAULT_LIMIT, MAX_LIMIT)?;
    let kept = Kept::while_same("nodes", format!("search?{}", query.canonical()), &headers);
    answer(&app, &query.clone(), kept, move |reader| {
        let environment_id = query.environment_id(reader)?;
        let chosen = query.chosen(reader, environment_id)?;
        Written::json(&reader.search(&search, environment_id, chosen.as_ref(), limit)?)
    })
    .await
}
