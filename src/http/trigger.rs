//! `POST /api/v1/sync`: marks environments as due, also those that rest after a failure. JSON: `{"environments": ["prod"]}`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use serde_json::{Value, json};

use super::App;
use super::problem::Problem;
use super::query::Query;
use crate::catalog::Trigger;

/// Starts a sync
#[utoipa::path(
    post,
    path = "/api/v1/sync",
    tag = "syncs",
    params(("environment" = Option<String>, Query, description = "which one; all if left out")),
    responses(
        (status = 202, description = "these `environments` will be synced as soon as possible", body = Value),
        (status = 400, description = "there is no such environment"),
        (status = 401, description = "the token is missing or wrong"),
        (status = 403, description = "asked by another web site"),
        (status = 409, description = "a sync runs")
    )
)]
pub(super) async fn sync(State(app): State<Arc<App>>, uri: Uri) -> Result<(StatusCode, Json<Value>), Problem> {
    let query = Query::of(&uri, &["environment"])?;
    let (due, wanted) = (&app.state.due, query.get("environment"));
    let all = app.state.served.borrow().environments.clone();
    let chosen: Vec<&(i64, String)> = all
        .iter()
        .filter(|(id, name)| wanted.is_none_or(|wanted| wanted == name || wanted == id.to_string()))
        .collect();
    if let (Some(wanted), []) = (wanted, chosen.as_slice()) {
        let names: Vec<String> = all.iter().map(|(_, name)| format!("`{name}`")).collect();
        let text = format!("no environment is called `{wanted}`, but {}", names.join(", "));
        return Err(Problem::Bad(text));
    }
    if chosen.iter().any(|(id, _)| due.is_running(*id)) {
        return Err(Problem::Conflict("a sync runs: wait for its end in `/api/v1/syncs`".to_owned()));
    }
    for (id, _) in &chosen {
        due.mark(*id, Trigger::Api);
    }
    let names: Vec<&str> = chosen.iter().map(|(_, name)| name.as_str()).collect();
    Ok((StatusCode::ACCEPTED, Json(json!({ "environments": names }))))
}
