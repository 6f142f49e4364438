//! `GET /api/v1/nodes/{unique_id}`: a node's row with `columns` (objects), `parents` and `children` (ids); and its lineage:
//! `[{"unique_id", "resource_type", "name", "depth"}, …]`, where depth is −1 for a parent, 1 for a child.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;

use super::App;
use super::problem::Problem;
use super::query::Query;
use super::reading::{Kept, Written, answer};
use crate::answers::{Found, Reach, Reader};

/// A lineage of more rows than this is read from the view.
const MOST: usize = 10_000;

/// One node with its columns, parents and children
#[utoipa::path(
    get,
    path = "/api/v1/nodes/{unique_id}",
    tag = "nodes",
    params(
        ("unique_id" = String, Path, description = "the node's unique_id"),
        ("environment" = Option<String>, Query, description = "needed where several environments have the node"),
        ("as_of" = Option<String>, Query, description = "the catalog as it was then: a date or time, or how long ago (7d)")
    ),
    responses(
        (status = 200, description = "the row of the view `nodes`, with `columns`, `parents` and `children`", body = Value),
        (status = 304, description = "what `If-None-Match` names is still true"),
        (status = 400, description = "the question can't be understood"),
        (status = 404, description = "there is no such node; `nearest` has ids that come near"),
        (status = 409, description = "several environments have it; the text names them")
    )
)]
pub(super) async fn node(
    State(app): State<Arc<App>>,
    Path(unique_id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let query = Query::of(&uri, &["environment", "as_of"])?;
    let kept = Kept::while_same("nodes", format!("node/{unique_id}?{}", query.canonical()), &headers);
    answer(&app, &query.clone(), kept, move |reader| {
        let node = found(reader, &query, &unique_id)?;
        Written::json(&reader.overview(&node)?)
    })
    .await
}

/// What a node is built from, and what is built from it
#[utoipa::path(
    get,
    path = "/api/v1/nodes/{unique_id}/lineage",
    tag = "nodes",
    params(
        ("unique_id" = String, Path, description = "the node's unique_id"),
        ("environment" = Option<String>, Query, description = "needed where several environments have the node"),
        ("as_of" = Option<String>, Query, description = "the catalog as it was then: a date or time, or how long ago (7d)"),
        ("direction" = Option<String>, Query, description = "`upstream`, `downstream` or `both` (if left out)"),
        ("depth" = Option<u32>, Query, description = "only so far; all if left out")
    ),
    responses(
        (status = 200, description = "unique_id, resource_type, name and depth (negative: upstream)", body = Vec<Value>),
        (status = 304, description = "what `If-None-Match` names is still true"),
        (status = 400, description = "the question can't be understood, or more than 10,000 nodes answer it"),
        (status = 404, description = "there is no such node; `nearest` has ids that come near"),
        (status = 409, description = "several environments have it; the text names them")
    )
)]
pub(super) async fn lineage(
    State(app): State<Arc<App>>,
    Path(unique_id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let query = Query::of(&uri, &["environment", "as_of", "direction", "depth"])?;
    let reach = reach(&query)?;
    let kept = Kept::while_same("lineage", format!("lineage/{unique_id}?{}", query.canonical()), &headers);
    answer(&app, &query.clone(), kept, move |reader| {
        let node = found(reader, &query, &unique_id)?;
        let lineage = reader.lineage(&node, reach, &[], MOST + 1)?;
        let around = lineage.around();
        if around.len() > MOST {
            let text = "more than 10,000 nodes: give a `depth`, or page through /api/v1/lineage";
            return Err(Problem::Bad(text.to_owned()));
        }
        Written::json(&around)
    })
    .await
}

/// How far lineage is asked for, by `direction` and `depth`.
pub(super) fn reach(query: &Query) -> Result<Reach, Problem> {
    let depth = query.number("depth", 1)?.map(|depth| u32::try_from(depth).unwrap_or(u32::MAX));
    match query.get("direction") {
        None | Some("both") => Ok(Reach { upstream: depth, downstream: depth }),
        Some("upstream") => Ok(Reach { upstream: depth, downstream: Some(0) }),
        Some("downstream") => Ok(Reach { upstream: Some(0), downstream: depth }),
        Some(_) => Err(Problem::Bad("`direction` must be `upstream`, `downstream` or `both`".to_owned())),
    }
}

pub(super) fn found(reader: &Reader, query: &Query, unique_id: &str) -> Result<Found, Problem> {
    Ok(reader.find_by_id(query.environment_id(reader)?, unique_id)?)
}
