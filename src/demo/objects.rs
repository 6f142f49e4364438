//! The resolvers above the nodes: the root, environments, their two states, and lineage. Nodes are in `node_object`, paging and
//! filters in `connection`.

use std::collections::BTreeMap;

use apollo_compiler::resolvers::{FieldError, ObjectValue, ResolveInfo, ResolvedValue};
use serde_json::Value;

use super::connection::{Connection, Filter};
use super::node_object::{argument, error, leaf, resolve};
use super::object::{member, object};
use super::project::{Index, Project, Side, is_listed};
use crate::inventory::{Node, ResourceType, UniqueId};

pub(super) type Resolved<'a> = Result<ResolvedValue<'a>, FieldError>;

/// One environment, ready to be asked.
#[derive(Clone, Copy)]
pub(super) struct Environment<'a> {
    pub id: i64,
    pub project: &'a Project,
    pub index: &'a Index,
}

/// The root of all queries: the environments by id.
pub(super) struct Query<'a>(pub BTreeMap<i64, Environment<'a>>);

impl ObjectValue for Query<'_> {
    fn type_name(&self) -> &str {
        "Query"
    }

    fn resolve_field<'a>(&'a self, info: &'a ResolveInfo<'a>) -> Resolved<'a> {
        if info.field_name() != "environment" {
            return Err(error(format!("`{}` is not served here: only `environment` is", info.field_name())));
        }
        let id = argument(info.arguments(), "id");
        let id = id.as_i64().or_else(|| id.as_str()?.parse().ok());
        let environment = id.and_then(|id| self.0.get(&id));
        environment
            .map(|it| ResolvedValue::object(*it))
            .ok_or_else(|| error("There is no data available for this input"))
    }
}

impl ObjectValue for Environment<'_> {
    fn type_name(&self) -> &str {
        "Environment"
    }

    fn resolve_field<'a>(&'a self, info: &'a ResolveInfo<'a>) -> Resolved<'a> {
        let state = |side| (!self.project.null.contains(&side)).then_some(State { environment: *self, side });
        let facts = &self.project.inventory.environment;
        Ok(match info.field_name() {
            "applied" => ResolvedValue::nullable_object(state(Side::Applied)),
            "definition" => ResolvedValue::nullable_object(state(Side::Definition)),
            "adapterType" => ResolvedValue::leaf(facts.adapter_type.clone()),
            "dbtProjectName" => ResolvedValue::leaf(facts.project_name.clone()),
            _ => return Err(self.unknown_field_error(info)),
        })
    }
}

struct State<'e> {
    environment: Environment<'e>,
    side: Side,
}

/// What the API's `ResourceNodeType` calls a type; unit tests are tests there.
pub(super) fn type_word(kind: ResourceType) -> &'static str {
    match kind {
        ResourceType::Model | ResourceType::External | ResourceType::Function => "Model",
        ResourceType::Source => "Source",
        ResourceType::Seed => "Seed",
        ResourceType::Snapshot => "Snapshot",
        ResourceType::Test | ResourceType::UnitTest => "Test",
        ResourceType::Exposure => "Exposure",
        ResourceType::Metric => "Metric",
        ResourceType::SemanticModel => "SemanticModel",
        ResourceType::SavedQuery => "SavedQuery",
        ResourceType::Group => "Group",
    }
}

/// The types that `resources` lists, as the counts name them.
fn resources() -> Vec<ResourceType> {
    ResourceType::ALL.into_iter().filter(|kind| is_listed(*kind) && *kind != ResourceType::Group).collect()
}

impl State<'_> {
    fn counts(&self) -> Value {
        let kinds = ResourceType::ALL.into_iter().filter(|kind| is_listed(*kind));
        let kinds = kinds.filter(|kind| self.side == Side::Definition || kind.has_applied_state());
        let count = |kind: ResourceType| {
            (kind.as_str().to_owned(), self.environment.index.listed(self.side, kind).len().into())
        };
        kinds.map(count).collect::<serde_json::Map<_, _>>().into()
    }

    fn lineage<'a>(&'a self, info: &'a ResolveInfo<'a>) -> Resolved<'a> {
        let filter = argument(info.arguments(), "filter");
        for key in ["select", "exclude", "columnNames"] {
            if !filter[key].is_null() {
                return Err(error(format!("`{key}` of the lineage filter is not served here")));
            }
        }
        let filter = Filter::of(filter);
        let (environment, project) = (self.environment, self.environment.project);
        let nodes = project.of(self.side).filter(|(_, node)| node.resource_type != ResourceType::Group);
        let objects = nodes.map(move |(_, node)| (node, object(project, node)));
        let matching = objects.filter(move |(node, object)| filter.matches(node, object));
        Ok(ResolvedValue::list(
            matching.map(move |(node, object)| ResolvedValue::object(Lineage { environment, node, object })),
        ))
    }
}

impl ObjectValue for State<'_> {
    fn type_name(&self) -> &str {
        match self.side {
            Side::Applied => "AppliedState",
            Side::Definition => "DefinitionState",
        }
    }

    fn resolve_field<'a>(&'a self, info: &'a ResolveInfo<'a>) -> Resolved<'a> {
        use ResourceType::*;
        let project = self.environment.project;
        let listed = |kinds: &[ResourceType]| {
            Connection::of(self.environment, self.side, kinds, info).map(ResolvedValue::object)
        };
        match info.field_name() {
            "models" => listed(&[Model]),
            "sources" => listed(&[Source]),
            "seeds" => listed(&[Seed]),
            "snapshots" => listed(&[Snapshot]),
            "tests" => listed(&[Test, UnitTest]),
            "exposures" => listed(&[Exposure]),
            "metrics" => listed(&[Metric]),
            "semanticModels" => listed(&[SemanticModel]),
            "savedQueries" => listed(&[SavedQuery]),
            "groups" => listed(&[Group]),
            "macros" => listed(&[]),
            "resources" => listed(&resources()),
            "lineage" => self.lineage(info),
            "lastUpdatedAt" => Ok(ResolvedValue::leaf(project.last_updated_at(self.side).map(|at| at.to_string()))),
            "latestGitSha" => Ok(ResolvedValue::leaf(project.git_sha())),
            "resourceCounts" => Ok(leaf(&self.counts())),
            name => Err(error(format!("`{name}` is not served here"))),
        }
    }
}

/// A node in the answer to `lineage`.
struct Lineage<'e> {
    environment: Environment<'e>,
    node: &'e Node,
    object: Value,
}

impl ObjectValue for Lineage<'_> {
    fn type_name(&self) -> &str {
        match type_word(self.node.resource_type) {
            "Source" => "SourceLineageNode",
            "Seed" => "SeedLineageNode",
            "Snapshot" => "SnapshotLineageNode",
            "Test" => "TestLineageNode",
            "Exposure" => "ExposureLineageNode",
            "Metric" => "MetricLineageNode",
            "SemanticModel" => "SemanticModelLineageNode",
            "SavedQuery" => "SavedQueryLineageNode",
            _ => "ModelLineageNode",
        }
    }

    fn resolve_field<'a>(&'a self, info: &'a ResolveInfo<'a>) -> Resolved<'a> {
        let ids = |listed: bool| {
            let is_wanted = move |id: &&UniqueId| self.environment.project.is_listed(id.as_str()) == listed;
            ResolvedValue::list(self.node.parents.iter().filter(is_wanted).map(|id| ResolvedValue::leaf(id.as_str())))
        };
        Ok(match info.field_name() {
            "parentIds" => ids(true),
            "publicParentIds" => ids(false),
            "resourceType" => ResolvedValue::leaf(type_word(self.node.resource_type)),
            "materializationType" => leaf(&self.object["materializedType"]),
            "lastRunStatus" => leaf(&self.object["executionInfo"]["lastRunStatus"]),
            "matchesMethod" => ResolvedValue::leaf(true),
            name => resolve(self.environment, self.node.unique_id.as_str(), info, member(&self.object, name)),
        })
    }
}
