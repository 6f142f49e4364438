//! What is told of everything at once: environments in a few figures, how healthy and how covered they are. JSON: lists of objects.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;

use super::App;
use super::problem::Problem;
use super::query::Query;
use super::reading::{Kept, Written, answer};
use crate::answers::coverage::{self, By, NodeCoverage};
use crate::answers::{Environment, Reader};
use crate::config::CoverageTargets;

/// What may be said of coverage.
const COVERAGE: [&str; 7] = ["environment", "as_of", "select", "exclude", "by", "packages", "inherit"];

/// The environments in a few figures
#[utoipa::path(
    get,
    path = "/api/v1/overview",
    tag = "summaries",
    params(
        ("environment" = Option<String>, Query, description = "only this one, by name or number"),
        ("as_of" = Option<String>, Query, description = "the catalog as it was then: a date or time, or how long ago (7d)")
    ),
    responses(
        (status = 200, description = "the rows of the view `environments`, each with `resource_types` (how many nodes there are, are described, fail) \
            and `health` (how many are degraded, caution, unknown, healthy)", body = Vec<Value>),
        (status = 400, description = "the question can't be understood")
    )
)]
pub(super) async fn overview(State(app): State<Arc<App>>, uri: Uri) -> Result<Response, Problem> {
    let query = Query::of(&uri, &["environment", "as_of"])?;
    answer(&app, &query.clone(), Kept::No, move |reader| {
        Written::json(&reader.standing(query.environment_id(reader)?)?)
    })
    .await
}

/// How many nodes are degraded, caution, unknown, healthy
#[utoipa::path(
    get,
    path = "/api/v1/health/summary",
    tag = "summaries",
    params(
        ("environment" = Option<String>, Query, description = "only this one, by name or number"),
        ("select" = Option<Vec<String>>, Query, description = "only these nodes, in dbt's selection grammar"),
        ("exclude" = Option<Vec<String>>, Query, description = "not these nodes"),
        ("packages" = Option<String>, Query, description = "`own` (if left out) or `all`: also packages that are installed"),
        ("as_of" = Option<String>, Query, description = "the catalog as it was then: a date or time, or how long ago (7d)")
    ),
    responses(
        (status = 200, description = "for each environment `environment_id`, `environment`, and how many are `degraded`, `caution`, `unknown`, `healthy`",
            body = Vec<Value>),
        (status = 400, description = "the question can't be understood")
    )
)]
pub(super) async fn health(State(app): State<Arc<App>>, uri: Uri) -> Result<Response, Problem> {
    let known = ["environment", "select", "exclude", "packages", "as_of"];
    let query = Query::with_filters(&uri, &known, &["select", "exclude"])?;
    let all_packages = are_all(&query)?;
    answer(&app, &query.clone(), Kept::No, move |reader| {
        let environment_id = query.environment_id(reader)?;
        let chosen = query.chosen(reader, environment_id)?;
        Written::json(&reader.health_summary(environment_id, chosen, all_packages)?)
    })
    .await
}

/// How much is documented and tested, group by group
#[utoipa::path(
    get,
    path = "/api/v1/coverage/summary",
    operation_id = "coverage_summary",
    tag = "summaries",
    params(
        ("environment" = Option<String>, Query, description = "only this one, by name or number"),
        ("by" = Option<String>, Query, description = "what is a group, as `lineaged coverage --by` takes it"),
        ("packages" = Option<String>, Query, description = "`own` (if left out) or `all`: also packages that are installed"),
        ("inherit" = Option<bool>, Query, description = "count columns as documented that would inherit their description"),
        ("select" = Option<Vec<String>>, Query, description = "only these nodes, in dbt's selection grammar"),
        ("exclude" = Option<Vec<String>>, Query, description = "not these nodes"),
        ("as_of" = Option<String>, Query, description = "the catalog as it was then: a date or time, or how long ago (7d)")
    ),
    responses(
        (status = 200, description = "the JSON of `lineaged coverage`: a row for each group, and one for all", body = Vec<Value>),
        (status = 304, description = "what `If-None-Match` names is still true"),
        (status = 400, description = "the question can't be understood")
    )
)]
pub(super) async fn covered(State(app): State<Arc<App>>, uri: Uri, headers: HeaderMap) -> Result<Response, Problem> {
    let asked = Asked::of(&uri)?;
    let CoverageTargets { nodes, columns, tests } = app.state.targets;
    let kept = Kept::while_same("coverage", format!("summary?{}", asked.query.canonical()), &headers);
    answer(&app, &asked.query.clone(), kept, move |reader| {
        let environments = asked.environments(reader)?;
        let by = asked.by.unwrap_or(if environments.len() > 1 { By::Environment } else { By::ResourceType });
        let all = asked.nodes(reader)?;
        let (groups, total) = (coverage::grouped(&all, by, &environments), coverage::total(&all));
        Written::json(&coverage::figures(by, groups, total, [nodes, columns, tests]))
    })
    .await
}

/// What is to be documented and tested, gap by gap
#[utoipa::path(
    get,
    path = "/api/v1/coverage/missing",
    operation_id = "coverage_missing",
    tag = "summaries",
    params(
        ("environment" = Option<String>, Query, description = "only this one, by name or number"),
        ("by" = Option<String>, Query, description = "names the group of each, as `lineaged coverage --by` takes it"),
        ("packages" = Option<String>, Query, description = "`own` (if left out) or `all`: also packages that are installed"),
        ("inherit" = Option<bool>, Query, description = "leave out columns that would inherit their description"),
        ("select" = Option<Vec<String>>, Query, description = "only these nodes, in dbt's selection grammar"),
        ("exclude" = Option<Vec<String>>, Query, description = "not these nodes"),
        ("as_of" = Option<String>, Query, description = "the catalog as it was then: a date or time, or how long ago (7d)")
    ),
    responses(
        (status = 200, description = "the JSON of `lineaged coverage --missing`", body = Vec<Value>),
        (status = 304, description = "what `If-None-Match` names is still true"),
        (status = 400, description = "the question can't be understood")
    )
)]
pub(super) async fn missing(State(app): State<Arc<App>>, uri: Uri, headers: HeaderMap) -> Result<Response, Problem> {
    let asked = Asked::of(&uri)?;
    let kept = Kept::while_same("coverage", format!("missing?{}", asked.query.canonical()), &headers);
    answer(&app, &asked.query.clone(), kept, move |reader| {
        let (nodes, inheritance) = (asked.nodes(reader)?, reader.inheritance()?);
        let mut lacking = reader.gaps(&nodes)?;
        if asked.inherits {
            coverage::leave_inherited(&mut lacking, &inheritance);
        }
        if let Some(by) = asked.by {
            coverage::sort_by_group(&mut lacking, by);
        }
        Written::json(&coverage::missing(asked.by, &lacking, &inheritance))
    })
    .await
}

/// The moments at which the figures of coverage changed
#[utoipa::path(
    get,
    path = "/api/v1/coverage/trend",
    operation_id = "coverage_trend",
    tag = "summaries",
    params(
        ("environment" = Option<String>, Query, description = "only this one, by name or number"),
        ("packages" = Option<String>, Query, description = "`own` (if left out) or `all`: also packages that are installed"),
        ("as_of" = Option<String>, Query, description = "the catalog as it was then: a date or time, or how long ago (7d)")
    ),
    responses(
        (status = 200, description = "for each environment its totals from a moment on (`changed_at`), oldest first", body = Vec<Value>),
        (status = 304, description = "what `If-None-Match` names is still true"),
        (status = 400, description = "the question can't be understood")
    )
)]
pub(super) async fn trend(State(app): State<Arc<App>>, uri: Uri, headers: HeaderMap) -> Result<Response, Problem> {
    let query = Query::of(&uri, &["environment", "packages", "as_of"])?;
    let all_packages = are_all(&query)?;
    let kept = Kept::while_same("coverage_history", format!("trend?{}", query.canonical()), &headers);
    answer(&app, &query.clone(), kept, move |reader| {
        let environment_id = query.environment_id(reader)?;
        Written::json(&reader.coverage_trends(environment_id, all_packages)?)
    })
    .await
}

/// What is asked of coverage.
struct Asked {
    query: Query,
    by: Option<By>,
    all_packages: bool,
    inherits: bool,
}

impl Asked {
    fn of(uri: &Uri) -> Result<Self, Problem> {
        let query = Query::with_filters(uri, &COVERAGE, &["select", "exclude"])?;
        let by = query.get("by").map(|text| {
            let words = || By::ALL.map(By::as_str).join(", ");
            let wrong = || Problem::Bad(format!("`by` is never `{text}`, but one of {}", words()));
            By::ALL.into_iter().find(|by| by.as_str() == text).ok_or_else(wrong)
        });
        let inherits = match query.get("inherit") {
            None | Some("0" | "false") => false,
            Some("1" | "true") => true,
            Some(text) => {
                return Err(Problem::Bad(format!("`inherit` is never `{text}`, but one of 0, 1, false, true")));
            }
        };
        Ok(Self { by: by.transpose()?, all_packages: are_all(&query)?, inherits, query })
    }

    fn environments(&self, reader: &Reader) -> Result<Vec<Environment>, Problem> {
        let wanted = self.query.environment_id(reader)?;
        let mut all = reader.environments()?;
        all.retain(|environment| wanted.is_none_or(|id| id == environment.id));
        Ok(all)
    }

    /// The nodes that count, as `lineaged coverage` has them.
    fn nodes(&self, reader: &Reader) -> Result<Vec<NodeCoverage>, Problem> {
        let environment_id = self.query.environment_id(reader)?;
        let (chosen, inheritance) = (self.query.chosen(reader, environment_id)?, reader.inheritance()?);
        let mut nodes = reader.coverage(environment_id)?;
        let is_chosen = |node: &NodeCoverage| {
            chosen.as_ref().is_none_or(|chosen| chosen.contains(node.environment_id, &node.unique_id))
        };
        nodes.retain(|node| node.counts(self.all_packages) && is_chosen(node));
        nodes.iter_mut().for_each(|node| node.inherit(&inheritance, self.inherits));
        Ok(nodes)
    }
}

/// Whether packages that are installed count, too.
fn are_all(query: &Query) -> Result<bool, Problem> {
    match query.get("packages") {
        None | Some("own") => Ok(false),
        Some("all") => Ok(true),
        Some(text) => Err(Problem::Bad(format!("`packages` is never `{text}`, but one of own, all"))),
    }
}
