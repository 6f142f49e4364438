//! All nodes and edges of one environment at one moment, as plain data. What was fetched and what is stored are both an
//! [`Inventory`]; nothing here knows the network, SQL or the clock.

mod carry;
mod owners;
mod time;

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde_json::Value;
use sha2::{Digest, Sha256};

pub use carry::carry_over;
pub use owners::resolve_owners;
pub use time::Timestamp;

/// The id that dbt gives a node, e.g. `model.shop.orders`. Opaque: it is compared, never split.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UniqueId(Arc<str>);

impl UniqueId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for UniqueId {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<String> for UniqueId {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl Borrow<str> for UniqueId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UniqueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What kind of thing a node is: dbt's word, or [`External`](Self::External) for a node that edges name and that was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)] // The variants are dbt's own words.
pub enum ResourceType {
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
    /// Another project's public model, or whatever else an edge names without that it could be read.
    External,
}

impl ResourceType {
    /// Every resource type, in the order in which they are listed to users.
    pub const ALL: [Self; 12] = [
        Self::Model,
        Self::Source,
        Self::Seed,
        Self::Snapshot,
        Self::Test,
        Self::UnitTest,
        Self::Exposure,
        Self::Metric,
        Self::SemanticModel,
        Self::SavedQuery,
        Self::Group,
        Self::External,
    ];

    /// dbt's word in snake_case, as the views show it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Source => "source",
            Self::Seed => "seed",
            Self::Snapshot => "snapshot",
            Self::Test => "test",
            Self::UnitTest => "unit_test",
            Self::Exposure => "exposure",
            Self::Metric => "metric",
            Self::SemanticModel => "semantic_model",
            Self::SavedQuery => "saved_query",
            Self::Group => "group",
            Self::External => "external",
        }
    }

    /// True where a node is built or checked in the warehouse, so that "applied" and "defined" differ.
    pub fn has_applied_state(self) -> bool {
        match self {
            Self::Model | Self::Source | Self::Seed | Self::Snapshot | Self::Test | Self::UnitTest | Self::Exposure => {
                true
            }
            Self::Metric | Self::SemanticModel | Self::SavedQuery | Self::Group | Self::External => false,
        }
    }
}

impl fmt::Display for ResourceType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for ResourceType {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        found.ok_or_else(|| format!("unknown resource type `{text}`"))
    }
}

/// JSON text in canonical form (sorted keys, no blanks), so that equal values are equal text. A tree of values per node
/// would cost several times the memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Json(Box<str>);

impl Json {
    /// The canonical text of `value`.
    pub fn new(value: &Value) -> Self {
        Self(value.to_string().into())
    }

    /// Takes text that [`Json::new`] made, as the catalog holds it.
    pub fn from_canonical(text: String) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The value; null if the text is no JSON, which only a damaged catalog can hold.
    pub fn value(&self) -> Value {
        serde_json::from_str(&self.0).unwrap_or_default()
    }
}

/// Source text, by its content: what is compared is the hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Code {
    /// SHA-256 of the UTF-8 text, 64 lower-case hex digits.
    pub sha256: Box<str>,
    /// Number of lines.
    pub lines: i64,
}

impl Code {
    /// The hash and length of `text`.
    pub fn of(text: &str) -> Self {
        let digest = Sha256::digest(text.as_bytes());
        let sha256: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        Self { sha256: sha256.into(), lines: text.lines().count() as i64 }
    }
}

/// A column of the warehouse's relation, with what the project says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Name as the warehouse gives it.
    pub name: String,
    /// Position, as the warehouse counts (most from 1).
    pub position: Option<i64>,
    /// The warehouse's type.
    pub data_type: Option<String>,
    /// The project's description.
    pub description: Option<String>,
    /// The warehouse's comment.
    pub comment: Option<String>,
    /// JSON list of tags.
    pub tags: Option<Json>,
    /// JSON map.
    pub meta: Option<Json>,
}

/// The last run of a node, and what the platform pins of its last success. Not history: only a changed status is a change.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LastRun {
    /// Status of the last attempt, in lower case. For a test its last known result.
    pub status: Option<String>,
    /// When the invocation of the last attempt ended.
    pub at: Option<Timestamp>,
    /// Message of the last attempt.
    pub error: Option<String>,
    /// Run of the last attempt.
    pub run_id: Option<i64>,
    /// Job of the last attempt.
    pub job_id: Option<i64>,
    /// Failing rows of a test.
    pub failures: Option<i64>,
    /// When the last *successful* execution ended.
    pub executed_at: Option<Timestamp>,
    /// How long the last *successful* execution took, in seconds.
    pub execution_seconds: Option<f64>,
    /// Run of the last success.
    pub success_run_id: Option<i64>,
}

impl LastRun {
    /// Whether the last attempt is the one whose execution times the platform shows.
    pub fn succeeded(&self) -> bool {
        let good = matches!(self.status.as_deref(), Some("success" | "pass" | "warn"));
        good && (self.success_run_id.is_none() || self.success_run_id == self.run_id)
    }
}

/// The last freshness check of a source.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FreshnessCheck {
    /// dbt's verdict in lower case (pass, warn, error, …).
    pub status: Option<String>,
    /// When the check ran.
    pub checked_at: Option<Timestamp>,
    /// The newest row it saw.
    pub max_loaded_at: Option<Timestamp>,
}

/// Anything that dbt gives a unique id. Empty text is never stored: what is unknown is `None`.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)] // The fields are the columns of the view `nodes`, described in README.
pub struct Node {
    pub unique_id: UniqueId,
    pub resource_type: ResourceType,
    /// `Some(false)`: defined, not built. `None` where the difference does not exist.
    pub is_applied: Option<bool>,
    pub name: Option<String>,
    pub package_name: Option<String>,
    pub file_path: Option<String>,
    pub description: Option<String>,
    pub database_name: Option<String>,
    pub schema_name: Option<String>,
    pub identifier: Option<String>,
    pub relation_name: Option<String>,
    pub materialization: Option<String>,
    pub access: Option<String>,
    pub group_name: Option<String>,
    pub owner_name: Option<String>,
    pub owner_email: Option<String>,
    pub layer: Option<String>,
    pub contract_enforced: Option<bool>,
    pub version: Option<String>,
    pub latest_version: Option<String>,
    pub deprecation_date: Option<Timestamp>,
    /// JSON list.
    pub fqn: Option<Json>,
    /// JSON list.
    pub tags: Option<Json>,
    /// JSON map.
    pub meta: Option<Json>,
    /// JSON map of what only this resource type has, under dbt's own names.
    pub properties: Json,
    pub language: Option<String>,
    pub raw_code: Option<Code>,
    /// Only as last seen, not history.
    pub compiled_code: Option<Code>,
    pub last_run: LastRun,
    pub freshness: FreshnessCheck,
    /// The warehouse's columns, by position and name; empty where they are unknown.
    pub columns: Vec<Column>,
    /// The nodes that this one reads, sorted, each once. Edges point parent → child, the way data flows.
    pub parents: Vec<UniqueId>,
}

/// One fact of a node or column, ready to be compared, stored or written as JSON.
#[derive(Debug, Clone, Copy, PartialEq)]
#[allow(missing_docs)]
pub enum Fact<'a> {
    Null,
    Text(&'a str),
    Integer(i64),
    Bool(bool),
    Time(Timestamp),
    Json(&'a Json),
    Code(&'a Code),
}

impl Fact<'_> {
    /// The fact as a JSON value: code as `{sha256, lines}`, a time as RFC 3339 text.
    pub fn to_json(self) -> Value {
        match self {
            Fact::Null => Value::Null,
            Fact::Text(text) => text.into(),
            Fact::Integer(number) => number.into(),
            Fact::Bool(yes) => i64::from(yes).into(),
            Fact::Time(time) => time.to_string().into(),
            Fact::Json(json) => json.value(),
            Fact::Code(code) => serde_json::json!({"sha256": code.sha256, "lines": code.lines}),
        }
    }
}

fn text(value: &Option<String>) -> Fact<'_> {
    value.as_deref().map_or(Fact::Null, Fact::Text)
}

fn json(value: &Option<Json>) -> Fact<'_> {
    value.as_ref().map_or(Fact::Null, Fact::Json)
}

fn flag(value: Option<bool>) -> Fact<'static> {
    value.map_or(Fact::Null, Fact::Bool)
}

impl Node {
    /// A node of which nothing is known but its id and type.
    pub fn new(unique_id: impl Into<UniqueId>, resource_type: ResourceType) -> Self {
        Self {
            unique_id: unique_id.into(),
            resource_type,
            is_applied: None,
            name: None,
            package_name: None,
            file_path: None,
            description: None,
            database_name: None,
            schema_name: None,
            identifier: None,
            relation_name: None,
            materialization: None,
            access: None,
            group_name: None,
            owner_name: None,
            owner_email: None,
            layer: None,
            contract_enforced: None,
            version: None,
            latest_version: None,
            deprecation_date: None,
            fqn: None,
            tags: None,
            meta: None,
            properties: Json::new(&serde_json::json!({})),
            language: None,
            raw_code: None,
            compiled_code: None,
            last_run: LastRun::default(),
            freshness: FreshnessCheck::default(),
            columns: Vec::new(),
            parents: Vec::new(),
        }
    }

    /// What a change of is history, by the names of the view `nodes` (and `code`, `freshness`), in a fixed order. Run facts
    /// other than the two statuses are left out, and so are columns and parents, which have changes of their own.
    pub fn facts(&self) -> [(&'static str, Fact<'_>); FACTS] {
        // Without `..`: a new field does not compile until it is decided here whether its changes are history.
        let Self {
            unique_id: _,
            resource_type,
            is_applied,
            name,
            package_name,
            file_path,
            description,
            database_name,
            schema_name,
            identifier,
            relation_name,
            materialization,
            access,
            group_name,
            owner_name,
            owner_email,
            layer,
            contract_enforced,
            version,
            latest_version,
            deprecation_date,
            fqn,
            tags,
            meta,
            properties,
            language,
            raw_code,
            compiled_code: _,
            last_run,
            freshness,
            columns: _,
            parents: _,
        } = self;
        [
            ("resource_type", Fact::Text(resource_type.as_str())),
            ("is_applied", flag(*is_applied)),
            ("name", text(name)),
            ("package_name", text(package_name)),
            ("file_path", text(file_path)),
            ("description", text(description)),
            ("database_name", text(database_name)),
            ("schema_name", text(schema_name)),
            ("identifier", text(identifier)),
            ("relation_name", text(relation_name)),
            ("materialization", text(materialization)),
            ("access", text(access)),
            ("group_name", text(group_name)),
            ("owner_name", text(owner_name)),
            ("owner_email", text(owner_email)),
            ("layer", text(layer)),
            ("contract_enforced", flag(*contract_enforced)),
            ("version", text(version)),
            ("latest_version", text(latest_version)),
            ("deprecation_date", deprecation_date.map_or(Fact::Null, Fact::Time)),
            ("fqn", json(fqn)),
            ("tags", json(tags)),
            ("meta", json(meta)),
            ("properties", Fact::Json(properties)),
            ("language", text(language)),
            ("raw_code", raw_code.as_ref().map_or(Fact::Null, Fact::Code)),
            ("last_run_status", text(&last_run.status)),
            ("checked_status", text(&freshness.status)),
        ]
    }

    /// The whole node as the feed carries it: its facts, its columns and its parents.
    pub fn to_json(&self) -> Value {
        let mut whole: serde_json::Map<String, Value> =
            self.facts().into_iter().map(|(name, fact)| (name.to_owned(), fact.to_json())).collect();
        whole.insert("unique_id".into(), self.unique_id.as_str().into());
        whole.insert("columns".into(), self.columns.iter().map(Column::to_json).collect());
        whole.insert("parents".into(), self.parents.iter().map(|parent| Value::from(parent.as_str())).collect());
        Value::Object(whole)
    }

    /// Sorts parents and columns into their fixed order; an id or a column name that stands twice is kept once, the first.
    pub fn normalize(&mut self) {
        self.parents.sort_unstable();
        self.parents.dedup();
        let mut seen = BTreeSet::new();
        self.columns.retain(|column| seen.insert(column.name.clone()));
        self.columns.sort_by(|a, b| {
            let place = |column: &Column| column.position.unwrap_or(i64::MAX);
            place(a).cmp(&place(b)).then_with(|| a.name.cmp(&b.name))
        });
    }
}

/// How many facts a node has.
pub const FACTS: usize = 28;

impl Column {
    /// The facts of a column, by the names of the view `columns`, in a fixed order; the name itself is its identity.
    pub fn facts(&self) -> [(&'static str, Fact<'_>); 6] {
        let Self { name: _, position, data_type, description, comment, tags, meta } = self;
        [
            ("position", position.map_or(Fact::Null, Fact::Integer)),
            ("data_type", text(data_type)),
            ("description", text(description)),
            ("comment", text(comment)),
            ("tags", json(tags)),
            ("meta", json(meta)),
        ]
    }

    /// The whole column as the feed carries it.
    pub fn to_json(&self) -> Value {
        let mut whole: serde_json::Map<String, Value> =
            self.facts().into_iter().map(|(name, fact)| (name.to_owned(), fact.to_json())).collect();
        whole.insert("name".into(), self.name.as_str().into());
        Value::Object(whole)
    }
}

/// What the platform says of the environment as a whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EnvironmentFacts {
    /// The dbt project's name.
    pub project_name: Option<String>,
    /// The warehouse's adapter, e.g. `snowflake`.
    pub adapter_type: Option<String>,
    /// `lastUpdatedAt` of the applied state.
    pub applied_at: Option<Timestamp>,
    /// `lastUpdatedAt` of the definition state.
    pub definition_at: Option<Timestamp>,
    /// The git commit of the applied state.
    pub git_sha: Option<String>,
}

/// All nodes of one environment, each with its columns and parents.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Inventory {
    /// The environment itself.
    pub environment: EnvironmentFacts,
    /// By id, so that everything that walks them is sorted.
    pub nodes: BTreeMap<UniqueId, Node>,
}

impl Inventory {
    /// The number of nodes that were read, i.e. without `external` ones.
    pub fn node_count(&self) -> usize {
        self.nodes.values().filter(|node| node.resource_type != ResourceType::External).count()
    }

    /// The number of edges.
    pub fn edge_count(&self) -> usize {
        self.nodes.values().map(|node| node.parents.len()).sum()
    }

    /// Adds an `external` node for each parent that is named and was not read. Returns one warning for each.
    pub fn add_externals(&mut self) -> Vec<String> {
        let mut missing: BTreeMap<UniqueId, Vec<UniqueId>> = BTreeMap::new();
        for node in self.nodes.values() {
            for parent in node.parents.iter().filter(|parent| !self.nodes.contains_key(*parent)) {
                missing.entry(parent.clone()).or_default().push(node.unique_id.clone());
            }
        }
        for id in missing.keys() {
            self.nodes.insert(id.clone(), Node::new(id.clone(), ResourceType::External));
        }
        // Those that the platform described itself are external, too, and are not in `missing`.
        for node in self.nodes.values() {
            for parent in &node.parents {
                if self.nodes.get(parent).is_some_and(|node| node.resource_type == ResourceType::External) {
                    let children = missing.entry(parent.clone()).or_default();
                    if !children.contains(&node.unique_id) {
                        children.push(node.unique_id.clone());
                    }
                }
            }
        }
        let warn = |(id, children): (UniqueId, Vec<UniqueId>)| {
            let first = children.first().map(UniqueId::as_str).unwrap_or_default();
            let others = match children.len() {
                0 | 1 => String::new(),
                count => format!(" and {} more", count - 1),
            };
            format!("`{id}` was not read, but is a parent of `{first}`{others}: kept as an external node")
        };
        missing.into_iter().map(warn).collect()
    }
}

/// What one complete read of an environment answered, and what it did not.
#[derive(Debug, Default)]
pub struct Reading {
    /// The nodes that were read.
    pub inventory: Inventory,
    /// What was not answered, so is unknown and not gone.
    pub unanswered: Unanswered,
    /// What the reader should know, one sentence each.
    pub warnings: Vec<String>,
}

/// The parts of a read that the platform did not answer.
#[derive(Debug, Default)]
pub struct Unanswered {
    /// `applied` was null.
    pub applied: bool,
    /// `definition` was null.
    pub definition: bool,
    /// Nodes whose `catalog` was null: columns and statistics are unknown.
    pub catalog: BTreeSet<UniqueId>,
    /// The server does not know `relationName` of models.
    pub relation_name: bool,
    /// Tests whose status is unknown, because the server does not know `lastKnownResult`.
    pub test_status: BTreeSet<UniqueId>,
}
