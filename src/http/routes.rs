//! All routes, and their description.

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use tower_http::compression::CompressionLayer;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{Components, InfoBuilder, OpenApi, OpenApiBuilder, SecurityRequirement};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::problem::{no_such_method, no_such_route};
use super::{App, code, columns, describe, guard, nodes, rows, search, status, summaries, trigger, webhook};
use crate::answers::SHAPES;

/// The routes, with everything that stands around them.
pub(super) fn router(app: &Arc<App>) -> Router {
    let (routes, openapi) = listed(app).split_for_parts();
    // Made of our own types: it can be written.
    let described = serde_json::to_value(&openapi).map(describe::complete).unwrap_or_default();
    let _ = app.openapi.set(described.to_string());
    routes
        .fallback(no_such_route)
        .method_not_allowed_fallback(no_such_method)
        .layer(CompressionLayer::new())
        .layer(from_fn_with_state(Arc::clone(app), guard::everywhere))
        .with_state(Arc::clone(app))
}

/// The list.
fn listed(app: &Arc<App>) -> OpenApiRouter<Arc<App>> {
    let mut api = OpenApiRouter::new();
    for view in SHAPES {
        api = api.routes(rows::route(view)); // GET /api/v1/<view>
    }
    let api = api
        .routes(routes!(nodes::node)) // GET /api/v1/nodes/{unique_id}
        .routes(routes!(nodes::lineage)) // GET /api/v1/nodes/{unique_id}/lineage
        .routes(routes!(columns::lineage)) // GET /api/v1/nodes/{unique_id}/columns/{name}/lineage
        .routes(routes!(columns::impact)) // GET /api/v1/impact
        .routes(routes!(code::code)) // GET /api/v1/changes/{seq}/code
        .routes(routes!(summaries::overview)) // GET /api/v1/overview
        .routes(routes!(summaries::health)) // GET /api/v1/health/summary
        .routes(routes!(summaries::covered)) // GET /api/v1/coverage/summary
        .routes(routes!(summaries::missing)) // GET /api/v1/coverage/missing
        .routes(routes!(summaries::trend)) // GET /api/v1/coverage/trend
        .routes(routes!(search::search)) // GET /api/v1/search
        .routes(routes!(trigger::sync)); // POST /api/v1/sync
    let open = OpenApiRouter::new()
        .routes(routes!(status::page)) // GET /
        .routes(routes!(status::metrics)) // GET /metrics
        .routes(routes!(status::healthy)) // GET /-/healthy
        .routes(routes!(status::ready)) // GET /-/ready
        .routes(routes!(status::openapi)); // GET /openapi.json
    let open = match app.state.webhook_secret {
        Some(_) => open.routes(routes!(webhook::dbt)), // POST /webhooks/dbt
        None => open,
    };
    OpenApiRouter::with_openapi(about()).merge(api).merge(open)
}

fn about() -> OpenApi {
    let info = InfoBuilder::new()
        .title("lineaged")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some("A local, trustworthy catalog of a dbt project. Errors are application/problem+json."));
    let token = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    let mut components = Components::new();
    components.add_security_scheme("api_token", token);
    // Either: no token is needed on loopback without one.
    let either = [SecurityRequirement::default(), SecurityRequirement::new("api_token", Vec::<String>::new())];
    OpenApiBuilder::new().info(info).components(Some(components)).security(Some(either)).build()
}
