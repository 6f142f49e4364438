//! The resolvers of nodes, and of the JSON inside them. Leaf fields come straight from what `object` makes of the node; only relations are
//! looked up. What an inventory does not hold, and the schema does not allow to be null, is refused by name.

use std::cell::OnceCell;

use apollo_compiler::resolvers::{FieldError, ObjectValue, ResolveInfo, ResolvedValue};
use apollo_compiler::response::JsonMap;
use apollo_compiler::schema::{ExtendedType, Type};
use serde_json::{Value, json};

use super::object::{kind_word, member, object};
use super::objects::{Environment, Resolved, type_word};
use super::project::Side;
use crate::inventory::{Node, ResourceType, UniqueId, shape};

/// A node, whole or as another node's relation ("nested").
pub(super) struct NodeObject<'e> {
    environment: Environment<'e>,
    side: Side,
    type_name: String,
    node: &'e Node,
    /// Made when the first field is asked for that is more than the id.
    object: OnceCell<Value>,
}

impl<'e> NodeObject<'e> {
    /// The node as its list shows it.
    pub(super) fn new(environment: Environment<'e>, side: Side, node: &'e Node) -> Self {
        Self { environment, side, type_name: type_name(node.resource_type, side, ""), node, object: OnceCell::new() }
    }

    /// The nodes with these ids that there are, as relations of this one.
    fn nested<'i>(&self, ids: impl IntoIterator<Item = &'i UniqueId>) -> ResolvedValue<'e> {
        let found = ids.into_iter().filter_map(|id| self.environment.project.node(id.as_str()));
        let nested = |node: &'e Node| NodeObject {
            type_name: type_name(node.resource_type, self.side, "Nested"),
            ..Self::new(self.environment, self.side, node)
        };
        ResolvedValue::list(found.map(|node| ResolvedValue::object(nested(node))).collect::<Vec<_>>())
    }
}

impl ObjectValue for NodeObject<'_> {
    fn type_name(&self) -> &str {
        &self.type_name
    }

    fn resolve_field<'a>(&'a self, info: &'a ResolveInfo<'a>) -> Resolved<'a> {
        let Environment { project, index, .. } = self.environment;
        let id = self.node.unique_id.as_str();
        let is_there = |id: &&UniqueId| project.node(id.as_str()).is_some_and(|node| self.side.has(node));
        match info.field_name() {
            "uniqueId" => Ok(ResolvedValue::leaf(id)),
            "resourceType" => Ok(ResolvedValue::leaf(kind_word(self.node))),
            "parents" => Ok(self.nested(&self.node.parents)),
            "tests" => Ok(self.nested(index.tests(id).iter().filter(is_there))),
            name @ ("ancestors" | "children" | "models" | "versions" | "testStatuses") => Err(not_served(name)),
            name => resolve(info, member(self.object.get_or_init(|| object(project, self.node)), name)),
        }
    }
}

/// A node as the lineage shows it.
pub(super) struct LineageNode<'e> {
    type_name: String,
    node: &'e Node,
}

impl<'e> LineageNode<'e> {
    pub(super) fn new(node: &'e Node) -> Self {
        Self { type_name: format!("{}LineageNode", type_word(node.resource_type)), node }
    }
}

impl ObjectValue for LineageNode<'_> {
    fn type_name(&self) -> &str {
        &self.type_name
    }

    fn resolve_field<'a>(&'a self, info: &'a ResolveInfo<'a>) -> Resolved<'a> {
        Ok(match info.field_name() {
            "uniqueId" => ResolvedValue::leaf(self.node.unique_id.as_str()),
            "resourceType" => ResolvedValue::leaf(type_word(self.node.resource_type)),
            "name" => ResolvedValue::leaf(self.node.name.as_deref()),
            "parentIds" => ResolvedValue::list(self.node.parents.iter().map(|id| ResolvedValue::leaf(id.as_str()))),
            name => return Err(not_served(name)),
        })
    }
}

fn type_name(kind: ResourceType, side: Side, nested: &str) -> String {
    let word = type_word(kind);
    match (kind, side) {
        (ResourceType::Group, _) => "GroupNode".to_owned(),
        (ResourceType::External | ResourceType::Function, _) => "ExternalModelNode".to_owned(),
        (kind, Side::Applied) if kind.has_applied_state() => format!("{word}AppliedState{nested}Node"),
        _ => format!("{word}Definition{nested}Node"),
    }
}

/// An object that is nothing but JSON.
pub(super) struct Json<'e> {
    type_name: &'e str,
    value: &'e Value,
}

impl<'e> Json<'e> {
    /// The object as this type of the schema.
    pub(super) fn new(type_name: &'e str, value: &'e Value) -> Self {
        Self { type_name, value }
    }
}

impl ObjectValue for Json<'_> {
    fn type_name(&self) -> &str {
        self.type_name
    }

    fn resolve_field<'a>(&'a self, info: &'a ResolveInfo<'a>) -> Resolved<'a> {
        resolve(info, member(self.value, info.field_name()))
    }
}

const NOTHING: &Value = &Value::Null;

/// A field whose value is this JSON. What the schema forbids to be null is empty where that says nothing.
fn resolve<'a>(info: &'a ResolveInfo<'a>, value: Option<&'a Value>) -> Resolved<'a> {
    let ty: &Type = &info.field_definition().ty;
    let type_name = ty.inner_named_type().as_str();
    let is_object = matches!(info.schema().types.get(type_name), Some(ExtendedType::Object(_)));
    let object = move |value: &'a Value| ResolvedValue::object(Json { type_name, value });
    let fits = move |item: &Value| if is_object { item.is_object() } else { fitted(type_name, item, info).is_some() };
    let scalar = move |item: &Value| ResolvedValue::leaf(fitted(type_name, item, info).unwrap_or_default());
    let value = value.filter(|value| if ty.is_list() { value.is_array() } else { fits(value) }).unwrap_or(NOTHING);
    Ok(match value {
        Value::Null if !ty.is_non_null() => ResolvedValue::null(),
        Value::Null if ty.is_list() => ResolvedValue::list([]),
        Value::Null if is_object => object(NOTHING),
        Value::Null => match type_name {
            "String" => ResolvedValue::leaf(""),
            "JSONObject" => ResolvedValue::leaf(json!({})),
            _ => return Err(not_served(info.field_name())),
        },
        Value::Array(items) if ty.is_list() => {
            let items = items.iter().filter(move |item| fits(item));
            if is_object { ResolvedValue::list(items.map(object)) } else { ResolvedValue::list(items.map(scalar)) }
        }
        value if is_object => object(value),
        value => scalar(value),
    })
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

/// An argument as plain JSON; null if it was not given.
pub(super) fn argument(arguments: &JsonMap, name: &str) -> Value {
    arguments.get(name).and_then(|value| serde_json::to_value(value).ok()).unwrap_or_default()
}

/// The texts of a list.
pub(super) fn strings(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(|item| item.as_str().map(str::to_owned)).collect()
}

/// What is said of a field for which an inventory has nothing.
pub(super) fn not_served(field: &str) -> FieldError {
    error(format!("`{field}` is not served here"))
}

/// What the API says when a field cannot be answered.
pub(super) fn error(message: impl Into<String>) -> FieldError {
    FieldError { message: message.into() }
}
