//! A node with its columns, its last run and its last check; and its facts, one by one, as they are compared, stored and sent.

use std::collections::BTreeSet;

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::RawValue;

use super::placeholder::is_blank;
use super::{Code, Json, ResourceType, Text, Timestamp, UniqueId};

/// A column of the warehouse's relation, with what the project says of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Column {
    /// Name as the warehouse gives it.
    pub name: Text,
    /// Position, as the warehouse counts (most from 1).
    pub position: Option<i64>,
    /// The warehouse's type.
    pub data_type: Option<Text>,
    /// The project's description.
    pub description: Option<Text>,
    /// The warehouse's comment.
    pub comment: Option<Text>,
    /// JSON list of tags.
    pub tags: Option<Json>,
    /// JSON map.
    pub meta: Option<Json>,
    /// Whether the warehouse has it; `None` where what the warehouse has is unknown.
    pub in_warehouse: Option<bool>,
    /// Whether the project declares it; `None` where that is not told.
    pub is_declared: Option<bool>,
}

/// The last run of a node, and what the platform pins of its last success. Not history: only a changed status is a change.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LastRun {
    /// Status of the last attempt, in lower case; of a test its last known result, if the platform tells one.
    pub status: Option<Text>,
    /// The status of the last attempt itself: of a test it may be `skipped` where the known result is older.
    pub attempt: Option<Text>,
    /// When the invocation of the last attempt ended.
    pub at: Option<Timestamp>,
    /// Message of the last attempt.
    pub error: Option<Text>,
    /// Run of the last attempt: the platform's number, or another id of the invocation.
    pub run_id: Option<Text>,
    /// Job of the last attempt.
    pub job_id: Option<i64>,
    /// Failing rows of a test.
    pub failures: Option<i64>,
    /// When the last *successful* execution ended.
    pub executed_at: Option<Timestamp>,
    /// How long the last *successful* execution took, in seconds.
    pub execution_seconds: Option<f64>,
    /// Run of the last success.
    pub success_run_id: Option<Text>,
}

impl LastRun {
    /// Whether the last attempt is the one whose execution times the platform shows.
    pub fn succeeded(&self) -> bool {
        let good = matches!(self.attempt.as_deref(), Some("success" | "pass" | "warn"));
        good && (self.success_run_id.is_none() || self.success_run_id == self.run_id)
    }
}

/// The last freshness check of a source.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FreshnessCheck {
    /// dbt's verdict in lower case (pass, warn, error, …).
    pub status: Option<Text>,
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
    pub name: Option<Text>,
    pub package_name: Option<Text>,
    pub file_path: Option<Text>,
    pub description: Option<Text>,
    pub database_name: Option<Text>,
    pub schema_name: Option<Text>,
    pub identifier: Option<Text>,
    pub relation_name: Option<Text>,
    pub materialization: Option<Text>,
    pub access: Option<Text>,
    pub group_name: Option<Text>,
    pub owner_name: Option<Text>,
    pub owner_email: Option<Text>,
    pub layer: Option<Text>,
    pub contract_enforced: Option<bool>,
    pub version: Option<Text>,
    pub latest_version: Option<Text>,
    pub deprecation_date: Option<Timestamp>,
    /// JSON list.
    pub fqn: Option<Json>,
    /// JSON list.
    pub tags: Option<Json>,
    /// JSON map.
    pub meta: Option<Json>,
    /// JSON map of what only this resource type has, under dbt's own names.
    pub properties: Json,
    pub language: Option<Text>,
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

impl Serialize for Fact<'_> {
    /// The fact as a JSON value: code as `{lines, sha256}`, a time as RFC 3339 text.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Fact::Null => serializer.serialize_unit(),
            Fact::Text(text) => serializer.serialize_str(text),
            Fact::Integer(number) => serializer.serialize_i64(*number),
            Fact::Bool(yes) => serializer.serialize_i64((*yes).into()),
            Fact::Time(time) => serializer.collect_str(time),
            // It is canonical as it stands. Only a damaged catalog can hold text that is no JSON.
            Fact::Json(json) => match serde_json::from_str::<&RawValue>(json.as_str()) {
                Ok(raw) => raw.serialize(serializer),
                Err(_) => serializer.serialize_unit(),
            },
            Fact::Code(Code { sha256, lines }) => {
                let mut map = serializer.serialize_map(Some(2))?;
                map.serialize_entry("lines", lines)?;
                map.serialize_entry("sha256", &**sha256)?;
                map.end()
            }
        }
    }
}

/// What a whole node or column consists of beside its facts, so that all of it can be sorted by name.
enum Part<'a> {
    Fact(Fact<'a>),
    Columns(&'a [Column]),
    Parents(&'a [UniqueId]),
}

impl Serialize for Part<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Part::Fact(fact) => fact.serialize(serializer),
            Part::Columns(columns) => serializer.collect_seq(*columns),
            Part::Parents(parents) => serializer.collect_seq(parents.iter().map(UniqueId::as_str)),
        }
    }
}

fn by_name<'a, S: Serializer>(
    facts: impl IntoIterator<Item = (&'static str, Fact<'a>)>,
    others: impl IntoIterator<Item = (&'static str, Part<'a>)>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let facts = facts.into_iter().map(|(name, fact)| (name, Part::Fact(fact)));
    let mut parts: Vec<(&str, Part<'_>)> = facts.chain(others).collect();
    parts.sort_unstable_by_key(|(name, _)| *name);
    serializer.collect_map(parts)
}

fn text(value: &Option<Text>) -> Fact<'_> {
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

    /// Sorts parents and columns into their fixed order; an id or a column name that stands twice is kept once, the first. A
    /// description in which nothing can be seen is none.
    pub fn normalize(&mut self) {
        let descriptions = self.columns.iter_mut().map(|column| &mut column.description);
        for description in descriptions.chain([&mut self.description]) {
            description.take_if(|text| is_blank(text));
        }
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

impl Serialize for Node {
    /// The whole node as the feed carries it: its facts, its columns and its parents, by name.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let others = [
            ("unique_id", Part::Fact(Fact::Text(self.unique_id.as_str()))),
            ("columns", Part::Columns(&self.columns)),
            ("parents", Part::Parents(&self.parents)),
        ];
        by_name(self.facts(), others, serializer)
    }
}

impl Serialize for Column {
    /// The whole column as the feed carries it.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        by_name(self.facts(), [("name", Part::Fact(Fact::Text(&self.name)))], serializer)
    }
}

/// How many facts a node has.
pub const FACTS: usize = 28;

impl Column {
    /// The facts of a column, by the names of the view `columns`, in a fixed order; the name itself is its identity.
    pub fn facts(&self) -> [(&'static str, Fact<'_>); 8] {
        let Self { name: _, position, data_type, description, comment, tags, meta, in_warehouse, is_declared } = self;
        [
            ("position", position.map_or(Fact::Null, Fact::Integer)),
            ("data_type", text(data_type)),
            ("description", text(description)),
            ("comment", text(comment)),
            ("tags", json(tags)),
            ("meta", json(meta)),
            ("in_warehouse", flag(*in_warehouse)),
            ("is_declared", flag(*is_declared)),
        ]
    }
}
