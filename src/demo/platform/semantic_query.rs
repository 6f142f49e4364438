//! The resolvers of the Semantic Layer: the root of its queries, and pages of metrics. The metrics themselves are JSON.

use std::collections::BTreeMap;

use apollo_compiler::resolvers::{FieldError, ObjectValue, ResolveInfo, ResolvedValue};
use serde_json::Value;

use super::semantic::metrics;
use crate::demo::node_object::{Json, argument, error};
use crate::demo::objects::Resolved;
use crate::demo::project::Project;

/// The root: the metrics of the environments by id.
pub(in crate::demo) struct SemanticQuery(BTreeMap<i64, Vec<Value>>);

impl SemanticQuery {
    pub(in crate::demo) fn of<'p>(served: impl IntoIterator<Item = (i64, &'p Project)>) -> Self {
        Self(served.into_iter().map(|(id, project)| (id, metrics(project))).collect())
    }
}

impl ObjectValue for SemanticQuery {
    fn type_name(&self) -> &str {
        "Query"
    }

    fn resolve_field<'a>(&'a self, info: &'a ResolveInfo<'a>) -> Resolved<'a> {
        let id = argument(info.arguments(), "environmentId");
        let id = id.as_i64().or_else(|| id.as_str()?.parse().ok());
        let metrics = id.and_then(|id| self.0.get(&id));
        let metrics = metrics.ok_or_else(|| error("The Semantic Layer is not set up for this environment"))?;
        match info.field_name() {
            "metrics" => Ok(objects(metrics)),
            "metricsPaginated" => Page::of(metrics, info).map(ResolvedValue::object),
            _ => Err(self.unknown_field_error(info)),
        }
    }
}

/// A page of metrics.
struct Page<'m> {
    items: Vec<&'m Value>,
    number: usize,
    size: Option<usize>,
    total: usize,
}

impl<'m> Page<'m> {
    fn of(metrics: &'m [Value], info: &ResolveInfo<'_>) -> Result<Self, FieldError> {
        let number = |name| argument(info.arguments(), name).as_u64().and_then(|it| usize::try_from(it).ok());
        let wanted = argument(info.arguments(), "search").as_str().unwrap_or_default().to_lowercase();
        let is_found = |metric: &&Value| {
            let texts =
                ["name", "label", "description"].map(|key| metric[key].as_str().unwrap_or_default().to_lowercase());
            texts.iter().any(|text| text.contains(&wanted))
        };
        let found: Vec<&Value> = metrics.iter().filter(is_found).collect();
        let first = number("pageNum").filter(|it| *it > 0).ok_or_else(|| error("pageNum must be at least 1"))?;
        let size = number("pageSize").filter(|it| *it > 0);
        let page = size.unwrap_or(usize::MAX);
        let items = found.iter().copied().skip((first - 1).saturating_mul(page)).take(page).collect();
        Ok(Self { items, number: first, size, total: found.len() })
    }
}

impl ObjectValue for Page<'_> {
    fn type_name(&self) -> &str {
        "MetricResultPage"
    }

    fn resolve_field<'a>(&'a self, info: &'a ResolveInfo<'a>) -> Resolved<'a> {
        let pages = self.size.map_or(1, |size| self.total.div_ceil(size));
        Ok(match info.field_name() {
            "items" => objects(self.items.iter().copied()),
            "pageNum" => ResolvedValue::leaf(self.number as i64),
            "pageSize" => ResolvedValue::leaf(self.size.map(|size| size as i64)),
            "totalItems" => ResolvedValue::leaf(self.total as i64),
            "totalPages" => ResolvedValue::leaf(pages as i64),
            _ => return Err(self.unknown_field_error(info)),
        })
    }
}

fn objects<'a>(metrics: impl IntoIterator<Item = &'a Value>) -> ResolvedValue<'a> {
    let objects: Vec<_> = metrics.into_iter().map(|it| ResolvedValue::object(Json::new("Metric", it))).collect();
    ResolvedValue::list(objects)
}
