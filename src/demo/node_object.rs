//! The resolvers of nodes, and of the JSON inside them. Leaf fields come straight from the nodes' fields, under the API's own names;
//! only relations and stamps are computed.

use std::borrow::Cow;
use std::collections::{BTreeSet, VecDeque};

use apollo_compiler::resolvers::{FieldError, ObjectValue, ResolveInfo, ResolvedValue};
use apollo_compiler::response::JsonMap;
use apollo_compiler::schema::{ExtendedType, Type};
use serde_json::{Value, json};

use super::objects::{Environment, Resolved};
use super::project::{Kind, Node, Side};
use super::results::JOB;
use crate::inventory::shape;

/// A node, whole or as another node's relation ("nested").
pub(super) struct NodeObject<'e> {
    pub environment: Environment<'e>,
    pub side: Side,
    pub nested: bool,
    pub id: &'e str,
    pub node: &'e Node,
}

impl<'e> NodeObject<'e> {
    /// The nodes with these ids, as relations of this one.
    fn nested<'i>(&self, ids: impl IntoIterator<Item = &'i str>) -> Vec<ResolvedValue<'e>> {
        let found = ids.into_iter().filter_map(|id| self.environment.project.nodes.get_key_value(id));
        let objects = found.map(|(id, node)| NodeObject {
            environment: self.environment,
            side: self.side,
            nested: true,
            id,
            node,
        });
        objects.map(ResolvedValue::object).collect()
    }

    /// Of nodes that point here, those that this state has.
    fn present<'i>(&self, ids: &'i [String]) -> impl Iterator<Item = &'i str> {
        let is_there = move |id: &&str| {
            self.side == Side::Definition || self.environment.project.node(id).is_some_and(Node::is_applied)
        };
        ids.iter().map(String::as_str).filter(is_there)
    }

    /// Everything upstream, of these types (all, if none are given), nearest first.
    fn ancestors(&self, types: &[String]) -> Vec<&'e str> {
        let mut seen = BTreeSet::new();
        let mut waiting: VecDeque<&'e str> = self.node.parents.iter().map(String::as_str).collect();
        let mut found = Vec::new();
        while let Some(id) = waiting.pop_front() {
            let Some(node) = self.environment.project.node(id).filter(|_| seen.insert(id)) else { continue };
            waiting.extend(node.parents.iter().map(String::as_str));
            if types.is_empty() || types.iter().any(|it| it == node.kind.type_word()) {
                found.push(id);
            }
        }
        found
    }

    fn versions(&self) -> Vec<ResolvedValue<'e>> {
        let ids =
            if self.node.field("version").is_null() { &[][..] } else { self.environment.index.versions(self.node) };
        let nodes = ids.iter().filter_map(|id| self.environment.project.node(id));
        let version = |node: &Node| json!({"name": node.field("name"), "releaseVersion": node.field("releaseVersion"), "uniqueId": node.field("uniqueId")});
        nodes.map(|node| ResolvedValue::object(Json::owned(self.environment, "ModelVersion", version(node)))).collect()
    }

    fn members(&self) -> Vec<&'e str> {
        let project = self.environment.project;
        let models = self.environment.index.listed(Side::Definition, Kind::Model).iter().map(String::as_str);
        models.filter(|id| project.node(id).is_some_and(|it| it.field("group") == self.node.field("name"))).collect()
    }

    /// What is not the node's own: who made it, and when.
    fn stamped(&self, name: &str) -> Option<Value> {
        let stamp = self.environment.project.stamp(if self.node.kind.is_definition_only() {
            Side::Definition
        } else {
            self.side
        });
        Some(match name {
            "runGeneratedAt" | "manifestGeneratedAt" => {
                stamp.generated_at.map_or(Value::Null, |at| at.to_string().into())
            }
            "runId" => stamp.run_id.into(),
            "jobId" | "jobDefinitionId" => JOB.into(),
            "dbtVersion" => self.environment.project.dbt_version.clone().into(),
            _ => return None,
        })
    }

    fn test_statuses(&self) -> Value {
        let tests = self.present(self.environment.index.tests(self.id));
        let status =
            |id: &str| self.environment.project.node(id).map(|it| it.field("executionInfo")["lastRunStatus"].clone());
        tests.filter_map(|id| Some((id.to_owned(), status(id)?))).collect::<serde_json::Map<_, _>>().into()
    }
}

impl ObjectValue for NodeObject<'_> {
    fn type_name(&self) -> &str {
        type_name(self.node.kind, self.side, self.nested)
    }

    fn resolve_field<'a>(&'a self, info: &'a ResolveInfo<'a>) -> Resolved<'a> {
        let index = self.environment.index;
        let name = info.field_name();
        Ok(match name {
            "parents" => ResolvedValue::list(self.nested(self.node.parents.iter().map(String::as_str))),
            "children" => ResolvedValue::list(self.nested(self.present(index.children(self.id)))),
            "tests" => ResolvedValue::list(self.nested(self.present(index.tests(self.id)))),
            "ancestors" => {
                let types = strings(&argument(info.arguments(), "types"));
                ResolvedValue::list(self.nested(self.ancestors(&types)))
            }
            "models" => ResolvedValue::list(self.nested(self.members())),
            "modelCount" => ResolvedValue::leaf(self.members().len() as i64),
            "versions" => ResolvedValue::list(self.versions()),
            "testStatuses" => leaf(&self.test_statuses()),
            _ => match self.node.fields.get(name).map(|value| &**value) {
                None => match self.stamped(name) {
                    Some(value) => leaf(&value),
                    None => resolve(self.environment, self.id, info, None),
                },
                value => resolve(self.environment, self.id, info, value),
            },
        })
    }
}

fn type_name(kind: Kind, side: Side, nested: bool) -> &'static str {
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
        Kind::Model => names!("Model"),
        Kind::Source => names!("Source"),
        Kind::Seed => names!("Seed"),
        Kind::Snapshot => names!("Snapshot"),
        Kind::Test | Kind::UnitTest => names!("Test"),
        Kind::Exposure => names!("Exposure"),
        Kind::Metric => names!(defined "Metric"),
        Kind::SemanticModel => names!(defined "SemanticModel"),
        Kind::SavedQuery => names!(defined "SavedQuery"),
        Kind::Group => "GroupNode",
        Kind::External => "ExternalModelNode",
    }
}

/// An object that is nothing but JSON, of a node's or made for the answer.
struct Json<'e> {
    environment: Environment<'e>,
    id: &'e str,
    type_name: String,
    value: Cow<'e, Value>,
}

impl<'e> Json<'e> {
    fn owned(environment: Environment<'e>, type_name: &str, value: Value) -> Self {
        Self { environment, id: "", type_name: type_name.to_owned(), value: Cow::Owned(value) }
    }
}

impl ObjectValue for Json<'_> {
    fn type_name(&self) -> &str {
        &self.type_name
    }

    fn resolve_field<'a>(&'a self, info: &'a ResolveInfo<'a>) -> Resolved<'a> {
        Ok(resolve(self.environment, self.id, info, self.value.get(info.field_name())))
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
    if value.is_null() && !given.is_null() {
        environment.project.note_misfit(id, info.field_name(), given);
    }
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
