//! All nodes and edges of one environment at one moment, as plain data. What was fetched and what is stored are both an
//! [`Inventory`]; nothing here knows the network, SQL or the clock.

mod history;
mod merged;
mod node;
mod placeholder;
pub mod platform;
mod pool;
pub mod shape;
mod spelling;

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::time::Timestamp;

pub use history::{Check, History, Run, RunResult};
pub use merged::merged_columns;
pub use node::{Column, FACTS, Fact, FreshnessCheck, LastRun, Node};
pub use placeholder::Placeholders;
pub use pool::Pool;
pub use spelling::{column_named, fold, unquoted};

/// Text that may be shared: a [`Pool`] lets equal texts be one.
pub type Text = Arc<str>;

/// The id that dbt gives a node, e.g. `model.shop.orders`. Opaque: it is compared, never split.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UniqueId(Text);

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

impl From<Text> for UniqueId {
    fn from(text: Text) -> Self {
        Self(text)
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
    Function,
    Group,
    /// Another project's public model, or whatever else an edge names without that it could be read.
    External,
}

impl ResourceType {
    /// Every resource type, in the order in which they are listed to users.
    pub const ALL: [Self; 13] = [
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
        Self::Function,
        Self::Group,
        Self::External,
    ];

    /// dbt's word in snake_case, as the views show it.
    pub const fn as_str(self) -> &'static str {
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
            Self::Function => "function",
            Self::Group => "group",
            Self::External => "external",
        }
    }

    /// True where a node is built or checked in the warehouse, so that "applied" and "defined" differ.
    pub fn has_applied_state(self) -> bool {
        match self {
            Self::Model | Self::Source | Self::Seed | Self::Snapshot | Self::Function => true,
            Self::Test | Self::UnitTest | Self::Exposure => true,
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
pub struct Json(Text);

impl Json {
    /// The canonical text of `value`.
    pub fn new(value: &Value) -> Self {
        Self(value.to_string().into())
    }

    /// Takes text that [`Json::new`] made, as the catalog holds it.
    pub fn from_canonical(text: Text) -> Self {
        Self(text)
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
    pub sha256: Text,
    /// Number of lines.
    pub lines: i64,
}

impl Code {
    /// The hash and length of `text`.
    pub fn of(text: &str) -> Self {
        let digest = Sha256::digest(text.as_bytes());
        let half = |bytes: &[u8]| bytes.iter().fold(0_u128, |number, byte| number << 8 | u128::from(*byte));
        let sha256 = format!("{:032x}{:032x}", half(&digest[..16]), half(&digest[16..]));
        Self { sha256: sha256.into(), lines: text.lines().count() as i64 }
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
    /// By id, so that everything that walks them is sorted. What is stored and what was read share those that are equal.
    pub nodes: BTreeMap<UniqueId, Arc<Node>>,
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
            self.nodes.insert(id.clone(), Node::new(id.clone(), ResourceType::External).into());
        }
        // Those that the platform described itself are external, too, and are not in `missing`.
        for node in self.nodes.values() {
            for parent in &node.parents {
                // What lies above one is known where files tell its own parents.
                let is_end = |node: &Node| node.resource_type == ResourceType::External && node.parents.is_empty();
                if self.nodes.get(parent).is_some_and(|node| is_end(node)) {
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
            format!(
                "`{id}` was not read, but is a parent of `{first}`{others}: kept as an external node, and the paths above it are cut"
            )
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
    /// How many nodes of each type were listed and, asked apart, counted.
    pub tallies: Vec<Tally>,
    /// What the reader should know, one sentence each.
    pub warnings: Vec<String>,
    /// Of files alone, which tell of what they name: what they did and did not tell. `None` for an answer that is whole.
    pub told: Option<Told>,
    /// The texts of the nodes, each once: what is stored says mostly the same.
    pub pool: Pool,
}

/// How far the clock of who wrote a stamp may be ahead.
const SKEW_MILLIS: i64 = 5 * 60_000;

/// How young a stamp is: one of the future is of a wrong clock, and so older than any that is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Age {
    /// There is no stamp.
    Untold,
    /// It is of the future.
    Future(Timestamp),
    /// It has come.
    Come(Timestamp),
}

impl Age {
    /// Of this stamp, at this time.
    pub fn of(stamp: Option<Timestamp>, now: Timestamp) -> Self {
        match stamp {
            None => Self::Untold,
            Some(at) if at > now.plus_millis(SKEW_MILLIS) => Self::Future(at),
            Some(at) => Self::Come(at),
        }
    }

    /// The stamp is of the future.
    pub fn is_future(self) -> bool {
        matches!(self, Self::Future(_))
    }
}

/// What a read of files told, beside the nodes themselves: each command writes of what it was to do, and what it leaves out is not gone.
#[derive(Debug, Default)]
pub struct Told {
    /// The nodes that a result, or the warehouse's catalog, shows to be there, each with the newest time at which one did.
    pub built: BTreeMap<UniqueId, Option<Timestamp>>,
    /// The nodes that a catalog names, each with the time of the newest that does.
    pub catalogued: BTreeMap<UniqueId, Option<Timestamp>>,
    /// The sources that were checked, each with the end of its newest check, also where that saw nothing.
    pub checked: BTreeMap<UniqueId, Option<Timestamp>>,
    /// The types whose section of the manifest is there and cannot be read: what is stored of them stays as it is.
    pub untold: BTreeSet<ResourceType>,
    /// Results, checks and invocations, all that count.
    pub history: History,
}

/// One of the two states that the platform holds of an environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// What exists in the warehouse.
    Applied,
    /// What the newest manifest says.
    Definition,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Applied => "applied",
            Self::Definition => "defined",
        })
    }
}

/// A list's length, and what the platform's own count of it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// Of which state.
    pub state: State,
    /// Of which type.
    pub resource_type: ResourceType,
    /// The nodes that its list held.
    pub listed: u64,
    /// What `resourceCounts` says.
    pub counted: u64,
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

impl Unanswered {
    /// True if some fact of `node` may be unknown, and not only gone.
    pub fn is_about(&self, node: &Node) -> bool {
        let Self { applied: _, definition: _, catalog, relation_name, test_status } = self;
        *relation_name || catalog.contains(&node.unique_id) || test_status.contains(&node.unique_id)
    }
}
