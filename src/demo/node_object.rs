//! The resolvers of nodes, and of the JSON inside them. Leaf fields come straight from what `object` makes of the node; only relations and
//! stamps are computed.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::{BTreeSet, VecDeque};

use apollo_compiler::resolvers::{FieldError, ObjectValue, ResolveInfo, ResolvedValue};
use apollo_compiler::response::JsonMap;
use apollo_compiler::schema::{ExtendedType, Type};
use serde_json::{Value, json};

use super::object::{JOB, member, object, time};
use super::objects::{Environment, Resolved, type_word};
use super::project::{Side, is_listed};
use crate::inventory::{Node, ResourceType, UniqueId, shape};

/// A node, whole or as another node's relation ("nested").
pub(super) struct NodeObject<'e> {
    environment: Environment<'e>,
    side: Side,
    nested: bool,
    node: &'e Node,
    /// Made when the first field is asked for that is more than the id.
    object: OnceCell<Value>,
}

impl<'e> NodeObject<'e> {
    /// The node as its list shows it.
    pub(super) fn new(environment: Environment<'e>, side: Side, node: &'e Node) -> Self {
        Self { environment, side, nested: false, node, object: OnceCell::new() }
    }

    fn object(&self) -> &Value {
        self.object.get_or_init(|| object(self.environment.project, self.node))
    }

    /// The nodes with these ids, as relations of this one.
    fn nested<'i>(&self, ids: impl IntoIterator<Item = &'i UniqueId>) -> ResolvedValue<'e> {
        let found = ids.into_iter().filter_map(|id| self.environment.project.node(id.as_str()));
        let objects = found.map(|node| NodeObject { nested: true, ..Self::new(self.environment, self.side, node) });
        ResolvedValue::list(objects.map(ResolvedValue::object).collect::<Vec<_>>())
    }

    /// Of nodes that point here, those that this state has.
    fn present<'i>(&self, ids: &'i [UniqueId]) -> impl Iterator<Item = &'i UniqueId> {
        let is_there = move |id: &&UniqueId| {
            let node = self.environment.project.node(id.as_str());
            node.is_some_and(|node| self.side.has(node) || !node.resource_type.has_applied_state())
        };
        ids.iter().filter(is_there)
    }

    /// Everything upstream, of these types (all, if none are given), nearest first. What is above another project's is not told.
    fn ancestors(&self, types: &[String]) -> Vec<&'e UniqueId> {
        let mut seen = BTreeSet::new();
        let mut waiting: VecDeque<&'e UniqueId> = self.node.parents.iter().collect();
        let mut found = Vec::new();
        while let Some(id) = waiting.pop_front() {
            let Some(node) = self.environment.project.node(id.as_str()).filter(|_| seen.insert(id)) else { continue };
            if is_listed(node.resource_type) {
                waiting.extend(&node.parents);
            }
            if types.is_empty() || types.iter().any(|it| it == type_word(node.resource_type)) {
                found.push(id);
            }
        }
        found
    }

    /// The models that meet a condition.
    fn models(&self, is_wanted: impl Fn(&Node) -> bool) -> Vec<&'e UniqueId> {
        let models = self.environment.index.listed(Side::Definition, ResourceType::Model).iter();
        let project = self.environment.project;
        models.filter(|id| project.node(id.as_str()).is_some_and(&is_wanted)).collect()
    }

    fn versions(&self) -> ResolvedValue<'e> {
        let key = |node: &'e Node| (&node.package_name, &node.name);
        let ids = self.models(|node| node.version.is_some() && (&node.package_name, &node.name) == key(self.node));
        let nodes = ids.into_iter().filter_map(|id| self.environment.project.node(id.as_str()));
        let versions = nodes.map(|node| Json {
            environment: self.environment,
            id: "",
            type_name: "ModelVersion".to_owned(),
            value: Cow::Owned(object(self.environment.project, node)),
        });
        ResolvedValue::list(versions.map(ResolvedValue::object).collect::<Vec<_>>())
    }

    fn members(&self) -> Vec<&'e UniqueId> {
        self.models(|node| node.group_name.is_some() && node.group_name == self.node.name)
    }

    /// What is not the node's own: who made it, and when.
    fn stamped(&self, name: &str) -> Option<Value> {
        let project = self.environment.project;
        let side = if self.node.resource_type.has_applied_state() { self.side } else { Side::Definition };
        Some(match name {
            "runGeneratedAt" | "manifestGeneratedAt" => time(project.last_updated_at(side)),
            "runId" => project.run_id.into(),
            "jobId" | "jobDefinitionId" => JOB.into(),
            _ => return None,
        })
    }

    fn test_statuses(&self) -> Value {
        let tests = self.present(self.environment.index.tests(self.node.unique_id.as_str()));
        let status = |id: &UniqueId| Some(json!(self.environment.project.node(id.as_str())?.last_run.attempt));
        tests.filter_map(|id| Some((id.to_string(), status(id)?))).collect::<serde_json::Map<_, _>>().into()
    }
}

impl ObjectValue for NodeObject<'_> {
    fn type_name(&self) -> &str {
        type_name(self.node.resource_type, self.side, self.nested)
    }

    fn resolve_field<'a>(&'a self, info: &'a ResolveInfo<'a>) -> Resolved<'a> {
        let (index, id) = (self.environment.index, self.node.unique_id.as_str());
        Ok(match info.field_name() {
            "uniqueId" => ResolvedValue::leaf(id),
            "parents" => self.nested(&self.node.parents),
            "children" => self.nested(self.present(index.children(id))),
            "tests" => self.nested(self.present(index.tests(id))),
            "ancestors" => self.nested(self.ancestors(&strings(&argument(info.arguments(), "types")))),
            "models" => self.nested(self.members()),
            "modelCount" => ResolvedValue::leaf(self.members().len() as i64),
            "versions" => self.versions(),
            "testStatuses" => leaf(&self.test_statuses()),
            name => match self.stamped(name) {
                Some(value) => leaf(&value),
                None => resolve(self.environment, id, info, member(self.object(), name)),
            },
        })
    }
}

fn type_name(kind: ResourceType, side: Side, nested: bool) -> &'static str {
    macro_rules! names {
        ($name:literal) => {
            match (side, nested) {
                (Side::Applied, false) => concat!($name, "AppliedStateNode"),
                (Side::Applied, true) => concat!($name, "AppliedStateNestedNode"),
                (Side::Definition, false) => concat!($name, "DefinitionNode"),
                (Side::Definition, true) => concat!($name, "DefinitionNestedNode"),
            }
        };
        (defined $name:literal) => {
            if nested { concat!($name, "DefinitionNestedNode") } else { concat!($name, "DefinitionNode") }
        };
    }
    match kind {
        ResourceType::Model => names!("Model"),
        ResourceType::Source => names!("Source"),
        ResourceType::Seed => names!("Seed"),
        ResourceType::Snapshot => names!("Snapshot"),
        ResourceType::Test | ResourceType::UnitTest => names!("Test"),
        ResourceType::Exposure => names!("Exposure"),
        ResourceType::Metric => names!(defined "Metric"),
        ResourceType::SemanticModel => names!(defined "SemanticModel"),
        ResourceType::SavedQuery => names!(defined "SavedQuery"),
        ResourceType::Group => "GroupNode",
        ResourceType::External | ResourceType::Function => "ExternalModelNode",
    }
}

/// An object that is nothing but JSON, of a node's or made for the answer.
struct Json<'e> {
    environment: Environment<'e>,
    id: &'e str,
    type_name: String,
    value: Cow<'e, Value>,
}

impl ObjectValue for Json<'_> {
    fn type_name(&self) -> &str {
        &self.type_name
    }

    fn resolve_field<'a>(&'a self, info: &'a ResolveInfo<'a>) -> Resolved<'a> {
        Ok(resolve(self.environment, self.id, info, member(&self.value, info.field_name())))
    }
}

const NOTHING: &Value = &Value::Null;

/// A field whose value is this JSON, of the node with this id. What the schema forbids to be null is empty where it can be.
pub(super) fn resolve<'a>(
    environment: Environment<'a>,
    id: &'a str,
    info: &'a ResolveInfo<'a>,
    value: Option<&'a Value>,
) -> ResolvedValue<'a> {
    let ty: &Type = &info.field_definition().ty;
    let type_name = ty.inner_named_type();
    let is_object = matches!(info.schema().types.get(type_name), Some(ExtendedType::Object(_)));
    let object = move |value: &'a Value| {
        ResolvedValue::object(Json { environment, id, type_name: type_name.to_string(), value: Cow::Borrowed(value) })
    };
    let own = match info.field_name() {
        "environmentId" => Some(environment.id),
        "accountId" | "projectId" => Some(1),
        _ => None,
    };
    let fits = move |item: &Value| if is_object { item.is_object() } else { fitted(type_name, item, info).is_some() };
    let scalar = move |item: &Value| ResolvedValue::leaf(fitted(type_name, item, info).unwrap_or_default());
    let given = value.unwrap_or(NOTHING);
    let value =
        Some(given).filter(|value| if ty.is_list() { value.is_array() } else { fits(value) }).unwrap_or(NOTHING);
    match value {
        Value::Null if info.field_name() == "uniqueId" => ResolvedValue::leaf(id),
        Value::Null if own.is_some() => ResolvedValue::leaf(own),
        Value::Null if ty.is_non_null() && ty.is_list() => ResolvedValue::list([]),
        Value::Null if ty.is_non_null() && is_object => object(NOTHING),
        Value::Null if ty.is_non_null() => ResolvedValue::leaf(empty(type_name)),
        Value::Null => ResolvedValue::null(),
        Value::Array(items) if ty.is_list() => {
            let items = items.iter().filter(move |item| fits(item));
            if is_object { ResolvedValue::list(items.map(object)) } else { ResolvedValue::list(items.map(scalar)) }
        }
        value if is_object => object(value),
        value => scalar(value),
    }
}

/// A value as one of the schema's type; `None` if it can't be one.
fn fitted(type_name: &str, value: &Value, info: &ResolveInfo<'_>) -> Option<Value> {
    match type_name {
        "Int" | "BigInt" => shape::integer(value).map(Value::from),
        "Float" => shape::float(value).map(Value::from),
        "Boolean" => value.as_bool().map(Value::from),
        "String" | "ID" | "DateTime" => shape::text(value).map(Value::from),
        _ => match info.schema().types.get(type_name) {
            Some(ExtendedType::Enum(words)) => {
                value.as_str().filter(|word| words.values.contains_key(*word)).map(Value::from)
            }
            _ => Some(value.clone()).filter(|value| !value.is_null()),
        },
    }
}

/// What stands where there is nothing, and the schema has no null.
fn empty(type_name: &str) -> Value {
    match type_name {
        "Int" | "BigInt" => 0.into(),
        "Float" => 0.0.into(),
        "Boolean" => false.into(),
        "JSONObject" => json!({}),
        _ => "".into(),
    }
}

/// JSON as it is.
pub(super) fn leaf<'a>(value: &Value) -> ResolvedValue<'a> {
    ResolvedValue::leaf(value.clone())
}

/// An argument as plain JSON; null if it was not given.
pub(super) fn argument(arguments: &JsonMap, name: &str) -> Value {
    arguments.get(name).and_then(|value| serde_json::to_value(value).ok()).unwrap_or_default()
}

/// The texts of a list.
pub(super) fn strings(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(|item| item.as_str().map(str::to_owned)).collect()
}

/// What the API says when a field cannot be answered.
pub(super) fn error(message: impl Into<String>) -> FieldError {
    FieldError { message: message.into() }
}
