//! The resolvers above the nodes: the root, environments, their two states, and what they list. Nodes are in `node_object`, paging and
//! filters in `connection`.

use std::collections::BTreeMap;

use apollo_compiler::resolvers::{FieldError, ObjectValue, ResolveInfo, ResolvedValue};
use serde_json::Value;

use super::connection::{Connection, lineage};
use super::node_object::{argument, error, not_served};
use super::project::{Index, Project, Side, is_listed};
use crate::inventory::ResourceType;

pub(super) type Resolved<'a> = Result<ResolvedValue<'a>, FieldError>;

/// One environment, ready to be asked.
#[derive(Clone, Copy)]
pub(super) struct Environment<'a> {
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
            return Err(not_served(info.field_name()));
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
        ResourceType::Source => "Source",
        ResourceType::Seed => "Seed",
        ResourceType::Snapshot => "Snapshot",
        ResourceType::Test | ResourceType::UnitTest => "Test",
        ResourceType::Exposure => "Exposure",
        ResourceType::Metric => "Metric",
        ResourceType::SemanticModel => "SemanticModel",
        ResourceType::SavedQuery => "SavedQuery",
        ResourceType::Group => "Group",
        ResourceType::Model | ResourceType::External | ResourceType::Function => "Model",
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
            "lineage" => lineage(self.environment, self.side, &resources(), info),
            "lastUpdatedAt" => Ok(ResolvedValue::leaf(project.last_updated_at(self.side).map(|at| at.to_string()))),
            "latestGitSha" => Ok(ResolvedValue::leaf(project.git_sha())),
            "resourceCounts" => Ok(ResolvedValue::leaf(self.counts())),
            name => Err(not_served(name)),
        }
    }
}
