//! What watches the daemon, what describes it, and the page at `/`.

use std::fmt::Write;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{Html, IntoResponse};
use serde_json::{Value, json};

use super::App;
use super::reading::read;
use crate::answers::VIEWS;

/// Answers as long as the process does
#[utoipa::path(get, path = "/-/healthy", tag = "daemon", responses((status = 200, description = "it runs", body = Value)))]
pub(super) async fn healthy() -> Json<Value> {
    Json(json!({ "healthy": true }))
}

/// Whether there is something to serve
#[utoipa::path(
    get,
    path = "/-/ready",
    tag = "daemon",
    responses(
        (status = 200, description = "the catalog can be read and has a complete sync", body = Value),
        (status = 503, description = "it is not ready; `reasons` says why", body = Value)
    )
)]
pub(super) async fn ready(State(app): State<Arc<App>>) -> (StatusCode, Json<Value>) {
    let complete = read(&app, &app.readiness, |reader| reader.has_complete_sync()).await;
    let reason = match complete {
        Ok(Ok(true)) => None,
        Ok(Ok(false)) => Some("no sync was complete yet"),
        Ok(Err(_)) | Err(_) => Some("the catalog can't be read: see the log"),
    };
    let status = if reason.is_none() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({ "ready": reason.is_none(), "reasons": Vec::from_iter(reason) })))
}

/// For Prometheus
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "daemon",
    responses(
        (status = 200, description = "OpenMetrics", body = String, content_type = "application/openmetrics-text"),
        (status = 401, description = "the token is missing or wrong"),
        (status = 403, description = "asked by another web site")
    )
)]
pub(super) async fn metrics(State(app): State<Arc<App>>) -> impl IntoResponse {
    let (telemetry, catalog) = (app.state.telemetry.clone(), app.state.catalog.clone());
    let observed = read(&app, &app.scrapes, move |reader| telemetry.observe(reader)).await;
    let is_readable = match observed {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            tracing::warn!(%error, "the catalog could not be read for `/metrics`");
            false
        }
        // It is told already.
        Err(_) => false,
    };
    app.state.telemetry.catalog(&catalog, is_readable);
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(CONTENT_TYPE, kind)], app.state.telemetry.render())
}

/// This description
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "daemon",
    responses(
        (status = 200, description = "OpenAPI 3.1", body = Value),
        (status = 401, description = "the token is missing or wrong")
    )
)]
pub(super) async fn openapi(State(app): State<Arc<App>>) -> impl IntoResponse {
    let text = app.openapi.get().cloned().unwrap_or_default();
    ([(CONTENT_TYPE, "application/json")], text)
}

/// A page that lists what is served
#[utoipa::path(
    get,
    path = "/",
    tag = "daemon",
    responses((status = 200, description = "a page for people", body = String, content_type = "text/html"))
)]
pub(super) async fn page() -> Html<String> {
    let mut list = String::new();
    for view in VIEWS {
        // Writing to a `String` does not fail.
        let _ = write!(list, "<li><a href=\"/api/v1/{view}\">/api/v1/{view}</a></li>");
    }
    for other in ["/metrics", "/-/healthy", "/-/ready", "/openapi.json"] {
        let _ = write!(list, "<li><a href=\"{other}\">{other}</a></li>");
    }
    Html(format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>lineaged</title></head>\
         <body><h1>lineaged {}</h1><ul>{list}</ul></body></html>",
        env!("CARGO_PKG_VERSION")
    ))
}
