//! The state of one environment: its nodes with their fields as the API names them, and what is true of it. No file is read
//! here (see `artifacts`), nothing is changed (see `changes`), and no GraphQL is known.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use crate::time::Timestamp;

/// What a node is, in dbt's words; `External` is another project's model that some node depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum Kind {
    Model,
    Source,
    Seed,
    Snapshot,
    Test,
    UnitTest,
    Exposure,
    Metric,
    SemanticModel,
    SavedQuery,
    Group,
    External,
}

impl Kind {
    /// All kinds that the API lists; the group, which `resources` leaves out, is the last.
    pub const LISTED: [Kind; 11] = [
        Kind::Model,
        Kind::Source,
        Kind::Seed,
        Kind::Snapshot,
        Kind::Test,
        Kind::UnitTest,
        Kind::Exposure,
        Kind::Metric,
        Kind::SemanticModel,
        Kind::SavedQuery,
        Kind::Group,
    ];

    /// dbt's word for it, `saved_query`.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Model => "model",
            Kind::Source => "source",
            Kind::Seed => "seed",
            Kind::Snapshot => "snapshot",
            Kind::Test => "test",
            Kind::UnitTest => "unit_test",
            Kind::Exposure => "exposure",
            Kind::Metric => "metric",
            Kind::SemanticModel => "semantic_model",
            Kind::SavedQuery => "saved_query",
            Kind::Group => "group",
            Kind::External => "external",
        }
    }

    /// The kind that dbt calls by this word, if the API has it.
    pub fn of(word: &str) -> Option<Kind> {
        Kind::LISTED.into_iter().find(|kind| kind.word() == word)
    }

    /// What the API's `ResourceNodeType` calls it; unit tests are tests there.
    pub(super) fn type_word(self) -> &'static str {
        match self {
            Kind::Model | Kind::External => "Model",
            Kind::Source => "Source",
            Kind::Seed => "Seed",
            Kind::Snapshot => "Snapshot",
            Kind::Test | Kind::UnitTest => "Test",
            Kind::Exposure => "Exposure",
            Kind::Metric => "Metric",
            Kind::SemanticModel => "SemanticModel",
            Kind::SavedQuery => "SavedQuery",
            Kind::Group => "Group",
        }
    }

    /// Whether only the definition state has it.
    pub(super) fn is_definition_only(self) -> bool {
        matches!(self, Kind::Metric | Kind::SemanticModel | Kind::SavedQuery | Kind::Group)
    }

    /// Whether dbt runs it.
    pub(super) fn is_executed(self) -> bool {
        matches!(self, Kind::Model | Kind::Seed | Kind::Snapshot | Kind::Test | Kind::UnitTest)
    }
}

/// One of the two states of an environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// What exists in the warehouse.
    Applied,
    /// What the newest manifest says.
    Definition,
}

/// Field values by the API's name. Shared, so that a copy of a node costs little; what is null is absent.
pub(super) type Fields = BTreeMap<&'static str, Arc<Value>>;

/// A node as the API shows it.
#[derive(Debug, Clone)]
pub struct Node {
    pub(super) kind: Kind,
    pub(super) applied: bool,
    pub(super) parents: Vec<String>,
    pub(super) attached: Option<String>,
    pub(super) fields: Fields,
}

impl Node {
    /// A node with nothing but its kind.
    pub(super) fn new(kind: Kind) -> Self {
        Self { kind, applied: kind.is_definition_only(), parents: Vec::new(), attached: None, fields: Fields::new() }
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether the applied state has it.
    pub fn is_applied(&self) -> bool {
        self.applied
    }

    /// The ids it depends on, in dbt's order.
    pub fn parents(&self) -> &[String] {
        &self.parents
    }

    /// A field by the API's name; null where the API would say so.
    pub fn field(&self, name: &str) -> &Value {
        self.fields.get(name).map_or(&Value::Null, |value| value)
    }

    /// A text field, empty if it is null.
    pub(super) fn text(&self, name: &str) -> &str {
        self.field(name).as_str().unwrap_or_default()
    }

    /// Sets a field; null takes it away.
    pub(super) fn set(&mut self, name: &'static str, value: Value) {
        match value {
            Value::Null => self.fields.remove(name),
            value => self.fields.insert(name, Arc::new(value)),
        };
    }

    /// A field to be changed in place; an object with nothing in it if there was none.
    pub(super) fn field_mut(&mut self, name: &'static str) -> &mut Value {
        Arc::make_mut(self.fields.entry(name).or_insert_with(|| Arc::new(Value::Object(serde_json::Map::new()))))
    }

    /// The nodes that it tests, if it is a test.
    pub(super) fn tested(&self) -> &[String] {
        let parents = self.parents.as_slice();
        match (self.kind, &self.attached) {
            (Kind::Test | Kind::UnitTest, Some(attached)) => std::slice::from_ref(attached),
            (Kind::Test, None) if self.field("testType") == "SINGULAR_DATA_TEST" => parents,
            (Kind::Test, None) if self.field("testMetadata")["name"] == "relationships" => {
                &parents[parents.len().saturating_sub(1)..]
            }
            (Kind::Test | Kind::UnitTest, None) => &parents[..parents.len().min(1)],
            _ => &[],
        }
    }
}

/// When a state last moved, and by which run.
#[derive(Debug, Clone, Default)]
pub(super) struct Stamp {
    pub is_null: bool,
    pub last_updated_at: Option<Timestamp>,
    pub generated_at: Option<Timestamp>,
    pub run_id: i64,
}

/// One environment: the nodes of a dbt project, both states of them, and the clock of its runs.
#[derive(Debug, Clone)]
pub struct Project {
    pub(super) name: Option<String>,
    pub(super) adapter: Option<String>,
    pub(super) dbt_version: Option<String>,
    pub(super) nodes: BTreeMap<String, Node>,
    /// What was removed, with the children that depended on it and the place it had among their parents.
    pub(super) removed: HashMap<String, (Node, Vec<(String, usize)>)>,
    pub(super) applied: Stamp,
    pub(super) definition: Stamp,
    pub(super) clock: Timestamp,
    pub(super) run_id: i64,
    pub(super) notes: Vec<String>,
    /// By field and node, what came that was of no use; filled while questions are answered.
    pub(super) misfits: Arc<Mutex<BTreeMap<(String, String), String>>>,
}

impl Project {
    /// What was odd about the files that it was read from, a sentence each.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// What of the files was asked for so far and could not be told, since it is of another type than the API's: a sentence each.
    pub fn misfits(&self) -> Vec<String> {
        let misfits = self.misfits.lock().unwrap_or_else(PoisonError::into_inner);
        let told = misfits.iter().map(|((field, id), value)| {
            format!("`{field}` of `{id}` is of another type than it should be (`{value}`): read as null")
        });
        told.collect()
    }

    pub(super) fn note_misfit(&self, id: &str, field: &str, value: &Value) {
        let mut misfits = self.misfits.lock().unwrap_or_else(PoisonError::into_inner);
        let value = value.to_string().chars().take(60).collect();
        misfits.insert((field.to_owned(), id.to_owned()), value);
    }

    /// The dbt project's name, where the manifest states it (version 10 and later).
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The id and resource type of every node that the API lists.
    pub fn ids(&self) -> BTreeMap<String, &'static str> {
        self.listed().map(|(id, node)| (id.clone(), node.kind.word())).collect()
    }

    /// The ids that the applied state lists.
    pub fn applied_ids(&self) -> BTreeSet<String> {
        let applied = self.listed().filter(|(_, node)| node.applied && !node.kind.is_definition_only());
        applied.map(|(id, _)| id.clone()).collect()
    }

    /// The ids of other projects' models that nodes depend on. The API does not list them.
    pub fn externals(&self) -> BTreeSet<String> {
        self.nodes.iter().filter(|(_, node)| node.kind == Kind::External).map(|(id, _)| id.clone()).collect()
    }

    /// Every dependency, as (parent, child).
    pub fn edges(&self) -> BTreeSet<(String, String)> {
        let pairs = self
            .nodes
            .iter()
            .flat_map(|(id, node)| node.parents.iter().map(move |parent| (parent.clone(), id.clone())));
        pairs.collect()
    }

    /// The warehouse columns of every applied node that has a catalog, as the API shows them, in its order.
    pub fn columns(&self) -> BTreeMap<String, Vec<Value>> {
        let applied = self.listed().filter(|(_, node)| node.applied);
        let columns =
            applied.filter_map(|(id, node)| Some((id.clone(), node.field("catalog")["columns"].as_array()?.clone())));
        columns.collect()
    }

    /// All nodes, other projects' included, by id.
    pub fn nodes(&self) -> impl Iterator<Item = (&str, &Node)> {
        self.nodes.iter().map(|(id, node)| (id.as_str(), node))
    }

    /// The node with this id.
    pub fn node(&self, id: &str) -> Option<&Node> {
        self.nodes.get(id)
    }

    /// When the state last moved, as the API says it.
    pub fn last_updated_at(&self, side: Side) -> Option<Timestamp> {
        self.stamp(side).last_updated_at
    }

    /// A commit that moves with every run, made up.
    pub(super) fn git_sha(&self) -> String {
        use sha2::Digest;
        let text = format!("{}{}", self.name.as_deref().unwrap_or_default(), self.run_id);
        let bytes = sha2::Sha256::digest(text.as_bytes());
        bytes.iter().take(20).map(|byte| format!("{byte:02x}")).collect()
    }

    pub(super) fn stamp(&self, side: Side) -> &Stamp {
        match side {
            Side::Applied => &self.applied,
            Side::Definition => &self.definition,
        }
    }

    pub(super) fn stamp_mut(&mut self, side: Side) -> &mut Stamp {
        match side {
            Side::Applied => &mut self.applied,
            Side::Definition => &mut self.definition,
        }
    }

    fn listed(&self) -> impl Iterator<Item = (&String, &Node)> {
        self.nodes.iter().filter(|(_, node)| node.kind != Kind::External)
    }
}

/// What can be looked up only from the other end, made anew after a change.
#[derive(Debug, Default)]
pub(super) struct Index {
    by_kind: HashMap<(Side, Kind), Vec<String>>,
    children: HashMap<String, Vec<String>>,
    tests: HashMap<String, Vec<String>>,
    versions: HashMap<(String, String), Vec<String>>,
}

impl Index {
    pub(super) fn of(project: &Project) -> Self {
        let mut index = Self::default();
        for (id, node) in &project.nodes {
            if node.kind != Kind::External {
                index.by_kind.entry((Side::Definition, node.kind)).or_default().push(id.clone());
                if node.applied {
                    index.by_kind.entry((Side::Applied, node.kind)).or_default().push(id.clone());
                }
            }
            for parent in &node.parents {
                index.children.entry(parent.clone()).or_default().push(id.clone());
            }
            for tested in node.tested() {
                index.tests.entry(tested.clone()).or_default().push(id.clone());
            }
            if node.kind == Kind::Model && !node.field("version").is_null() {
                index.versions.entry(version_key(node)).or_default().push(id.clone());
            }
        }
        index
    }

    pub(super) fn listed(&self, side: Side, kind: Kind) -> &[String] {
        self.by_kind.get(&(side, kind)).map_or(&[], Vec::as_slice)
    }

    pub(super) fn children(&self, id: &str) -> &[String] {
        self.children.get(id).map_or(&[], Vec::as_slice)
    }

    pub(super) fn tests(&self, id: &str) -> &[String] {
        self.tests.get(id).map_or(&[], Vec::as_slice)
    }

    pub(super) fn versions(&self, node: &Node) -> &[String] {
        self.versions.get(&version_key(node)).map_or(&[], Vec::as_slice)
    }
}

fn version_key(node: &Node) -> (String, String) {
    (node.text("packageName").to_owned(), node.text("name").to_owned())
}
