//! What is told of single columns: their lineage, as rows of the view `column_lineage`, and what may break by them:
//! `[{"unique_id", "column_name", "columns", "shaped", "unresolved", "node_count", "exposures", "owners"}]`.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;

use super::App;
use super::nodes::{found, reach};
use super::problem::Problem;
use super::query::Query;
use super::reading::{Kept, Written, answer};
use crate::answers::{Reader, Target};

/// Where a column comes from, and what comes from it
#[utoipa::path(
    get,
    path = "/api/v1/nodes/{unique_id}/columns/{name}/lineage",
    operation_id = "lineage_of_column",
    tag = "nodes",
    params(
        ("unique_id" = String, Path, description = "the node's unique_id"),
        ("name" = String, Path, description = "the column's name"),
        ("environment" = Option<String>, Query, description = "needed where several environments have the node"),
        ("direction" = Option<String>, Query, description = "`upstream`, `downstream` or `both` (if left out)"),
        ("depth" = Option<u32>, Query, description = "only so far; all if left out")
    ),
    responses(
        (status = 200, description = "the rows of the view `column_lineage` on the way, of now", body = Vec<Value>),
        (status = 304, description = "what `If-None-Match` names is still true"),
        (status = 400, description = "the question can't be understood"),
        (status = 404, description = "there is no such node, or no such column: the text names those that it has"),
        (status = 409, description = "several environments have it; the text names them")
    )
)]
pub(super) async fn lineage(
    State(app): State<Arc<App>>,
    Path((unique_id, name)): Path<(String, String)>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let query = Query::of(&uri, &["environment", "direction", "depth"])?;
    let reach = reach(&query)?;
    let kept = Kept::while_same("column_lineage", format!("{unique_id}.{name}?{}", query.canonical()), &headers);
    answer(&app, &query.clone(), kept, move |reader| {
        let node = found(reader, &query, &unique_id)?;
        let column = reader.find_column(&node, &name)?;
        Written::json(&reader.column_lineage(&node, &column, reach)?.rows)
    })
    .await
}

/// What may break by a node or a column
#[utoipa::path(
    get,
    path = "/api/v1/impact",
    tag = "nodes",
    params(
        ("node" = String, Query, description = "a unique_id, or a name that is unique; with `.COLUMN` after it for a column"),
        ("column" = Option<String>, Query, description = "only this column of it"),
        ("environment" = Option<String>, Query, description = "needed where several environments have the node")
    ),
    responses(
        (status = 200, description = "a list of one object: the columns that come from it, the nodes whose rows it shapes, those that are not resolved, \
            and the exposures and owners behind them", body = Vec<Value>),
        (status = 304, description = "what `If-None-Match` names is still true"),
        (status = 400, description = "the question can't be understood"),
        (status = 404, description = "there is no such node, or no such column: the text names those that it has"),
        (status = 409, description = "several environments have it; the text names them")
    )
)]
pub(super) async fn impact(State(app): State<Arc<App>>, uri: Uri, headers: HeaderMap) -> Result<Response, Problem> {
    let query = Query::of(&uri, &["node", "column", "environment"])?;
    let what = query
        .get("node")
        .ok_or_else(|| Problem::Bad("`node` says of what: a unique_id or a name".to_owned()))?
        .to_owned();
    let kept = Kept::while_same("column_lineage", format!("impact?{}", query.canonical()), &headers);
    answer(&app, &query.clone(), kept, move |reader| Written::json(&[reader.impact(&target(reader, &query, &what)?)?]))
        .await
}

/// What is meant, as the command takes it: `orders`, `orders.amount`, or the column apart.
fn target(reader: &Reader, query: &Query, what: &str) -> Result<Target, Problem> {
    let target = reader.find_target(query.environment_id(reader)?, what)?;
    match (query.get("column"), &target.column_name) {
        (None, _) => Ok(target),
        (Some(_), Some(column)) => {
            Err(Problem::Bad(format!("`{what}` is the column `{column}` already: leave out `column`")))
        }
        (Some(name), None) => {
            let column_name = Some(reader.find_column(&target.node, name)?);
            Ok(Target { column_name, ..target })
        }
    }
}
