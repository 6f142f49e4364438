//! Pages: which nodes a connection lists, in the order of their ids, and which of them one request gets.

use std::collections::BTreeSet;

use apollo_compiler::resolvers::{FieldError, ObjectValue, ResolveInfo, ResolvedValue};
use serde_json::{Value, json};

use super::node_object::{LineageNode, NodeObject, argument, error, not_served, strings};
use super::object::{member, object};
use super::objects::{Environment, type_word};
use super::project::Side;
use crate::inventory::{Node, ResourceType, UniqueId};

/// The most nodes of a page, as documented.
const MOST: i64 = 500;
/// The nodes of a page whose request does not say.
const DEFAULT: i64 = 100;

/// One page of a connection.
pub(super) struct Connection<'e> {
    environment: Environment<'e>,
    side: Side,
    type_name: String,
    ids: Vec<&'e str>,
    total: usize,
    has_previous: bool,
    has_next: bool,
}

impl<'e> Connection<'e> {
    /// The page that the field's arguments ask for.
    pub(super) fn of(
        environment: Environment<'e>,
        side: Side,
        kinds: &[ResourceType],
        info: &ResolveInfo<'_>,
    ) -> Result<Self, FieldError> {
        let first = argument(info.arguments(), "first").as_i64().unwrap_or(DEFAULT);
        if !(0..=MOST).contains(&first) {
            return Err(error(format!("first must be between 0 and {MOST}, not {first}")));
        }
        let sort = argument(info.arguments(), "sort");
        if !sort.is_null() && (sort["field"] != "uniqueId" || sort["direction"] != "asc") {
            return Err(error("only the order of uniqueId, ascending, is served here"));
        }
        let filter = Filter::of(argument(info.arguments(), "filter"));
        let matching = matching(environment, side, kinds, &filter);
        let after = argument(info.arguments(), "after");
        let start = match after.as_str().filter(|cursor| !cursor.is_empty()) {
            None => 0,
            Some(cursor) => {
                let id = id_at(cursor).ok_or_else(|| error("the cursor is not one of this connection"))?;
                matching.partition_point(|it| *it <= id.as_str())
            }
        };
        let end = matching.len().min(start + first as usize);
        let type_name = info.field_definition().ty.inner_named_type().to_string();
        let (total, has_next) = (matching.len(), end < matching.len());
        Ok(Self {
            environment,
            side,
            type_name,
            ids: matching[start..end].to_vec(),
            total,
            has_previous: start > 0,
            has_next,
        })
    }

    fn page_info(&self) -> Value {
        let cursor = |id: Option<&&str>| id.map(|id| cursor_of(id));
        json!({
            "startCursor": cursor(self.ids.first()), "endCursor": cursor(self.ids.last()),
            "hasNextPage": self.has_next, "hasPreviousPage": self.has_previous,
        })
    }
}

impl ObjectValue for Connection<'_> {
    fn type_name(&self) -> &str {
        &self.type_name
    }

    fn resolve_field<'a>(&'a self, info: &'a ResolveInfo<'a>) -> Result<ResolvedValue<'a>, FieldError> {
        Ok(match info.field_name() {
            "totalCount" => ResolvedValue::leaf(self.total as i64),
            "pageInfo" => ResolvedValue::object(PageInfo(self.page_info())),
            "edges" => ResolvedValue::list(self.ids.iter().map(|&id| {
                let type_name = info.field_definition().ty.inner_named_type();
                ResolvedValue::object(Edge { environment: self.environment, side: self.side, type_name, id })
            })),
            _ => return Err(self.unknown_field_error(info)),
        })
    }
}

struct PageInfo(Value);

impl ObjectValue for PageInfo {
    fn type_name(&self) -> &str {
        "PageInfo"
    }

    fn resolve_field<'a>(&'a self, info: &'a ResolveInfo<'a>) -> Result<ResolvedValue<'a>, FieldError> {
        Ok(ResolvedValue::leaf(self.0[info.field_name()].clone()))
    }
}

struct Edge<'e> {
    environment: Environment<'e>,
    side: Side,
    type_name: &'e str,
    id: &'e str,
}

impl ObjectValue for Edge<'_> {
    fn type_name(&self) -> &str {
        self.type_name
    }

    fn resolve_field<'a>(&'a self, info: &'a ResolveInfo<'a>) -> Result<ResolvedValue<'a>, FieldError> {
        let node = self.environment.project.node(self.id).ok_or_else(|| error("the node is gone"))?;
        Ok(match info.field_name() {
            "cursor" => ResolvedValue::leaf(cursor_of(self.id)),
            "node" => ResolvedValue::object(NodeObject::new(self.environment, self.side, node)),
            _ => return Err(self.unknown_field_error(info)),
        })
    }
}

/// All nodes that the field's filter lets through, as the lineage shows them.
pub(super) fn lineage<'e>(
    environment: Environment<'e>,
    side: Side,
    kinds: &[ResourceType],
    info: &ResolveInfo<'_>,
) -> Result<ResolvedValue<'e>, FieldError> {
    let filter = Filter::of(argument(info.arguments(), "filter"));
    if let Some((unserved, _)) = filter.rest.iter().find(|(key, _)| key != "tags") {
        return Err(not_served(unserved));
    }
    let nodes = matching(environment, side, kinds, &filter).into_iter().filter_map(|id| environment.project.node(id));
    let nodes = nodes.map(|node| ResolvedValue::object(LineageNode::new(node)));
    Ok(ResolvedValue::list(nodes.collect::<Vec<_>>()))
}

/// The ids of these kinds that the filter lets through, sorted.
fn matching<'e>(environment: Environment<'e>, side: Side, kinds: &[ResourceType], filter: &Filter) -> Vec<&'e str> {
    let kinds = kinds.iter().filter(|kind| filter.admits(**kind));
    let ids = kinds.flat_map(|&kind| environment.index.listed(side, kind)).map(UniqueId::as_str);
    let matches = |node: &Node| filter.rest.is_empty() || filter.matches(node, &object(environment.project, node));
    let is_let_through =
        |id: &&str| filter.is_empty() || filter.has_id(id) && environment.project.node(id).is_some_and(matches);
    let mut ids: Vec<&str> = ids.filter(is_let_through).collect();
    ids.sort_unstable();
    ids
}

/// A filter argument of any connection. Lists let through what is in them, an empty list everything; the rest must be equal.
pub(super) struct Filter {
    ids: Option<BTreeSet<String>>,
    types: Vec<String>,
    rest: Vec<(String, Value)>,
}

impl Filter {
    pub(super) fn of(argument: Value) -> Self {
        let mut filter = Self { ids: None, types: Vec::new(), rest: Vec::new() };
        let Value::Object(conditions) = argument else { return filter };
        let has_plural =
            conditions.get("lastKnownResults").is_some_and(|it| it.as_array().is_some_and(|it| !it.is_empty()));
        for (key, value) in conditions {
            let is_nothing = value.is_null() || value.as_array().is_some_and(Vec::is_empty);
            match key.as_str() {
                _ if is_nothing => {}
                "uniqueIds" => filter.ids = Some(strings(&value).into_iter().collect()),
                "types" => filter.types = strings(&value),
                "lastKnownResult" if has_plural => {}
                _ => filter.rest.push((key, value)),
            }
        }
        filter
    }

    fn is_empty(&self) -> bool {
        self.ids.is_none() && self.rest.is_empty()
    }

    fn admits(&self, kind: ResourceType) -> bool {
        self.types.is_empty() || self.types.iter().any(|it| it == type_word(kind))
    }

    fn has_id(&self, id: &str) -> bool {
        self.ids.as_ref().is_none_or(|ids| ids.contains(id))
    }

    /// Whether the node, which is this object of the API, meets every condition.
    pub(super) fn matches(&self, node: &Node, object: &Value) -> bool {
        let is_met = |(key, wanted): &(String, Value)| match wanted {
            Value::Array(wanted) if key == "tags" => {
                object["tags"].as_array().is_some_and(|tags| tags.iter().any(|tag| wanted.contains(tag)))
            }
            Value::Array(wanted) => wanted.contains(subject(object, key)),
            wanted => subject(object, key) == wanted,
        };
        self.admits(node.resource_type) && self.has_id(node.unique_id.as_str()) && self.rest.iter().all(is_met)
    }
}

/// What of the node a condition is about.
fn subject<'v>(object: &'v Value, condition: &str) -> &'v Value {
    match condition {
        "status" | "lastRunStatus" => &object["executionInfo"]["lastRunStatus"],
        "freshnessChecked" | "freshnessStatus" => &object["freshness"][condition],
        "sourceNames" => &object["source_name"],
        "testTypes" => &object["testType"],
        "lastKnownResults" => &object["lastKnownResult"],
        same => member(object, same).unwrap_or(&Value::Null),
    }
}

/// An opaque text for a place in the list.
fn cursor_of(id: &str) -> String {
    id.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn id_at(cursor: &str) -> Option<String> {
    let pairs = cursor.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
    String::from_utf8(pairs.collect::<Option<Vec<u8>>>()?).ok()
}
