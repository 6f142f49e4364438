//! `GET /api/v1/nodes/{unique_id}`: a node's row with `columns` (objects), `parents` and `children` (ids); and its lineage:
//! `[{"unique_id", "resource_type", "name", "depth"}, …]`, where depth is −1 for a parent, 1 for a child.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use serde_json::{Map, Value};

use super::App;
use super::problem::Problem;
use super::query::Query;
use super::reading::{Json, Kept, answer};
use crate::answers::{Found, Located, Snapshot, Table};
use crate::output::{self, Format};

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
    let environment = query.get("environment").map(str::to_owned);
    answer(&app, &query, kept, move |snapshot| {
        let node = located(snapshot, environment.as_deref(), &unique_id)?;
        whole(snapshot, &node)
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
    let sides = match query.get("direction") {
        None | Some("both") => [true, true],
        Some("upstream") => [true, false],
        Some("downstream") => [false, true],
        Some(_) => return Err(Problem::Bad("`direction` must be `upstream`, `downstream` or `both`".to_owned())),
    };
    let depth = query.number("depth", 1)?.map_or(u32::MAX, |depth| u32::try_from(depth).unwrap_or(u32::MAX));
    let kept = Kept::while_same("lineage", format!("lineage/{unique_id}?{}", query.canonical()), &headers);
    let environment = query.get("environment").map(str::to_owned);
    answer(&app, &query, kept, move |snapshot| {
        let node = located(snapshot, environment.as_deref(), &unique_id)?;
        let found = snapshot.lineage(&node, sides, depth, MOST + 1)?;
        if found.rows.len() > MOST {
            let text = "more than 10,000 nodes: give a `depth`, or page through /api/v1/lineage";
            return Err(Problem::Bad(text.to_owned()));
        }
        let mut body = Vec::new();
        output::write(&found, Format::Json, &mut body).map_err(|_| Problem::Internal)?;
        Ok(Json { body, next: None })
    })
    .await
}

fn located(snapshot: &Snapshot, environment: Option<&str>, unique_id: &str) -> Result<Found, Problem> {
    match snapshot.locate(environment, unique_id)? {
        Located::One(found) => Ok(found),
        Located::Several(names) => {
            let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
            Err(Problem::Conflict(format!(
                "several environments have it: add `environment` with {}",
                names.join(" or ")
            )))
        }
        Located::None(nearest) => Err(Problem::NotFound(format!("there is no node `{unique_id}`"), nearest)),
    }
}

fn whole(snapshot: &Snapshot, node: &Found) -> Result<Json, Problem> {
    let (row, columns) = snapshot.node(node)?;
    let mut object = objects(row).into_iter().next().unwrap_or_default();
    let facts = ["name", "position", "data_type", "description", "comment", "tags", "meta"];
    let columns = objects(columns.only(&facts)).into_iter().map(Value::Object).collect();
    object.insert("columns".to_owned(), Value::Array(columns));
    let [parents, children] = snapshot.around(node)?;
    object.insert("parents".to_owned(), parents.into());
    object.insert("children".to_owned(), children.into());
    Ok(Json { body: output::json(&Value::Object(object)).into_bytes(), next: None })
}

fn objects(table: Table) -> Vec<Map<String, Value>> {
    let object = |row: Vec<Value>| table.columns.iter().cloned().zip(row).collect();
    table.rows.into_iter().map(object).collect()
}
