//! The resolvers above the nodes: the root, environments, their two states, and lineage. Nodes are in `node_object`, paging and
//! filters in `connection`.

use std::collections::BTreeMap;

use apollo_compiler::resolvers::{FieldError, ObjectValue, ResolveInfo, ResolvedValue};
use serde_json::Value;

use super::connection::{Connection, Filter};
use super::node_object::{argument, error, leaf, resolve};
use super::project::{Index, Kind, Node, Project, Side};

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
        let state = |side| (!self.project.stamp(side).is_null).then_some(State { environment: *self, side });
        Ok(match info.field_name() {
            "applied" => ResolvedValue::nullable_object(state(Side::Applied)),
            "definition" => ResolvedValue::nullable_object(state(Side::Definition)),
            "adapterType" => ResolvedValue::leaf(self.project.adapter.clone()),
            "dbtProjectName" => ResolvedValue::leaf(self.project.name.clone()),
            _ => return Err(self.unknown_field_error(info)),
        })
    }
}

struct State<'e> {
    environment: Environment<'e>,
    side: Side,
}

impl State<'_> {
    fn counts(&self) -> Value {
        let kinds = Kind::LISTED.iter().filter(|kind| self.side == Side::Definition || !kind.is_definition_only());
        let count =
            |&kind: &Kind| (kind.word().to_owned(), self.environment.index.listed(self.side, kind).len().into());
        kinds.map(count).collect::<serde_json::Map<_, _>>().into()
    }

    /// All nodes of the state, in the order of their ids.
    fn nodes(&self) -> impl Iterator<Item = (&str, &Node)> {
        self.environment
            .project
            .nodes()
            .filter(|(_, node)| node.kind() != Kind::External && (self.side == Side::Definition || node.is_applied()))
    }

    fn lineage<'a>(&'a self, info: &'a ResolveInfo<'a>) -> Resolved<'a> {
        let filter = argument(info.arguments(), "filter");
        for key in ["select", "exclude", "columnNames"] {
            if !filter[key].is_null() {
                return Err(error(format!("`{key}` of the lineage filter is not served here")));
            }
        }
        let filter = Filter::of(filter);
        let nodes = self.nodes().filter(move |(_, node)| node.kind() != Kind::Group && filter.matches(node));
        Ok(ResolvedValue::list(
            nodes.map(|(id, node)| ResolvedValue::object(Lineage { environment: self.environment, id, node })),
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
        use Kind::*;
        let stamp = self.environment.project.stamp(self.side);
        let listed =
            |kinds: &[Kind]| Connection::of(self.environment, self.side, kinds, info).map(ResolvedValue::object);
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
            "resources" => listed(&Kind::LISTED[..10]),
            "lineage" => self.lineage(info),
            "lastUpdatedAt" => Ok(ResolvedValue::leaf(stamp.last_updated_at.map(|at| at.to_string()))),
            "latestGitSha" => Ok(ResolvedValue::leaf(self.environment.project.git_sha())),
            "resourceCounts" => Ok(leaf(&self.counts())),
            name => Err(error(format!("`{name}` is not served here"))),
        }
    }
}

/// A node in the answer to `lineage`.
struct Lineage<'e> {
    environment: Environment<'e>,
    id: &'e str,
    node: &'e Node,
}

impl ObjectValue for Lineage<'_> {
    fn type_name(&self) -> &str {
        match self.node.kind {
            Kind::Model | Kind::External | Kind::Group => "ModelLineageNode",
            Kind::Source => "SourceLineageNode",
            Kind::Seed => "SeedLineageNode",
            Kind::Snapshot => "SnapshotLineageNode",
            Kind::Test | Kind::UnitTest => "TestLineageNode",
            Kind::Exposure => "ExposureLineageNode",
            Kind::Metric => "MetricLineageNode",
            Kind::SemanticModel => "SemanticModelLineageNode",
            Kind::SavedQuery => "SavedQueryLineageNode",
        }
    }

    fn resolve_field<'a>(&'a self, info: &'a ResolveInfo<'a>) -> Resolved<'a> {
        let project = self.environment.project;
        let is_external = |id: &&String| project.node(id).is_some_and(|node| node.kind == Kind::External);
        let ids = |public: bool| {
            let ids = self.node.parents.iter().filter(move |id| is_external(id) == public);
            ResolvedValue::list(ids.map(|id| ResolvedValue::leaf(id.as_str())))
        };
        Ok(match info.field_name() {
            "parentIds" => ids(false),
            "publicParentIds" => ids(true),
            "resourceType" => ResolvedValue::leaf(self.node.kind.type_word()),
            "materializationType" => leaf(self.node.field("materializedType")),
            "lastRunStatus" => leaf(&self.node.field("executionInfo")["lastRunStatus"]),
            "matchesMethod" => ResolvedValue::leaf(true),
            name => resolve(self.environment, self.id, info, self.node.fields.get(name).map(|value| &**value)),
        })
    }
}
