//! A node on its way from the API's words to ours: the rules that all resource types share.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::CodeText;
use super::scalars::BigInt;
use crate::inventory::{Code, Column, FreshnessCheck, Json, Node, ResourceType, Text, Timestamp, UniqueId};

/// A node, and what is known of it until all types are read.
#[derive(Debug)]
pub(super) struct Draft {
    pub node: Node,
    /// Other projects' models among the parents, as the API describes them.
    pub externals: Vec<Node>,
    /// The tests that the API lists for this node.
    pub tests: Vec<UniqueId>,
    /// Source texts, on their way to the catalog.
    pub texts: Vec<CodeText>,
    pub warnings: Vec<String>,
    /// `catalog` was asked for and was null.
    pub lacks_catalog: bool,
    /// Neither known result nor last status came for a test.
    pub lacks_status: bool,
    /// Which node a test is of.
    pub tested: Tested,
}

/// Which node a test is of.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Tested {
    /// Said, or no test at all.
    Known,
    /// The last parent, in the API's order.
    LastParent,
    /// The parent whose tests include it, else the last parent.
    ParentThatListsIt,
}

/// A warehouse's catalog entry, of whatever resource type.
pub(super) struct Catalog {
    pub relation_type: Option<String>,
    pub owner: Option<String>,
    pub comment: Option<String>,
    pub stats: Option<Vec<Value>>,
    pub columns: Option<Vec<CatalogColumn>>,
}

/// A column of it.
pub(super) struct CatalogColumn {
    pub name: Option<String>,
    pub index: Option<i64>,
    pub data_type: Option<String>,
    pub description: Option<String>,
    pub comment: Option<String>,
    pub tags: Vec<String>,
    pub meta: Option<Value>,
}

impl Draft {
    pub(super) fn new(id: String, resource_type: ResourceType, is_applied: Option<bool>) -> Self {
        let node = Node { is_applied, ..Node::new(clean(id), resource_type) };
        Self {
            node,
            externals: Vec::new(),
            tests: Vec::new(),
            texts: Vec::new(),
            warnings: Vec::new(),
            lacks_catalog: false,
            lacks_status: false,
            tested: Tested::Known,
        }
    }

    /// The package as given, else the first part of fqn.
    pub(super) fn package(&mut self, given: Option<String>, fqn: Vec<String>) {
        self.node.package_name = text(given).or_else(|| text(fqn.first().cloned()));
        self.node.fqn = Some(list(fqn));
    }

    /// The code of the node: the hash stays, the text goes on.
    pub(super) fn code(&mut self, raw: Option<String>, compiled: Option<String>) {
        self.node.raw_code = self.keep_text(raw);
        self.node.compiled_code = self.keep_text(compiled);
    }

    fn keep_text(&mut self, given: Option<String>) -> Option<Code> {
        let text = said(given)?;
        let code = Code::of(&text);
        self.texts.push(CodeText { code: code.clone(), text });
        Some(code)
    }

    pub(super) fn external(&mut self, external: Node) {
        self.node.parents.push(external.unique_id.clone());
        self.externals.push(external);
    }

    /// Columns, and the properties that the warehouse's catalog adds.
    pub(super) fn catalog(&mut self, catalog: Option<Catalog>, properties: &mut Properties) {
        let Some(catalog) = catalog else {
            self.lacks_catalog = true;
            return;
        };
        properties.text("relation_type", catalog.relation_type);
        properties.text("relation_owner", catalog.owner);
        properties.text("relation_comment", catalog.comment);
        properties.value("stats", catalog.stats.map(Value::Array));
        self.lacks_catalog = catalog.columns.is_none();
        let mut names = BTreeSet::new();
        for column in catalog.columns.unwrap_or_default() {
            let id = &self.node.unique_id;
            let Some(name) = text(column.name) else {
                self.warnings.push(format!("a column of `{id}` has no name: it is left out"));
                continue;
            };
            if !names.insert(name.clone()) {
                self.warnings.push(format!("the column `{name}` of `{id}` came twice: the first is kept"));
                continue;
            }
            self.node.columns.push(Column {
                name,
                position: column.index,
                data_type: text(column.data_type),
                description: text(column.description),
                comment: text(column.comment),
                tags: Some(list(column.tags)),
                meta: json(column.meta),
            });
        }
    }
}

/// `properties` of a node, under dbt's own names: what is null is left out.
#[derive(Debug, Default)]
pub(super) struct Properties(Map<String, Value>);

impl Properties {
    pub(super) fn text(&mut self, name: &str, value: Option<String>) {
        self.value(name, said(value).map(Value::String));
    }

    pub(super) fn value(&mut self, name: &str, value: impl Into<Option<Value>>) {
        if let Some(value) = value.into().filter(|value| !value.is_null()) {
            self.0.insert(name.to_owned(), value);
        }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(super) fn json(self) -> Json {
        Json::new(&Value::Object(self.0))
    }
}

/// A JSON map without the members that are null.
pub(super) fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(map) => map.into_iter().filter(|(_, value)| !value.is_null()).collect(),
        other => other,
    }
}

/// Text that says something: not empty, and without NUL, which SQLite's shell and many readers take for an end.
pub(super) fn text(given: Option<String>) -> Option<Text> {
    said(given).map(Text::from)
}

fn said(given: Option<String>) -> Option<String> {
    given.filter(|text| !text.is_empty()).map(clean)
}

pub(super) fn clean(text: String) -> String {
    if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text }
}

/// A word of an enum, in lower case.
pub(super) fn word(given: Option<String>) -> Option<Text> {
    said(given).map(|text| text.to_lowercase().into())
}

pub(super) fn time(given: Option<String>) -> Option<Timestamp> {
    Timestamp::parse(&given?)
}

pub(super) fn json(given: Option<Value>) -> Option<Json> {
    given.filter(|value| !value.is_null()).map(|value| Json::new(&value))
}

pub(super) fn list(given: Vec<String>) -> Json {
    Json::new(&given.into())
}

pub(super) fn number(given: Option<BigInt>) -> Option<i64> {
    given.map(|BigInt(number)| number)
}

/// staging, intermediate or mart: the API's word, else by dbt's naming rules, prefix before folder.
pub(super) fn layer(api: Option<&str>, name: Option<&str>, file_path: Option<&str>) -> Option<Text> {
    let said = match api.map(str::to_lowercase).as_deref() {
        Some("staging" | "stage" | "stg") => Some("staging"),
        Some("intermediate" | "int") => Some("intermediate"),
        Some("mart" | "marts") => Some("mart"),
        _ => None,
    };
    let (name, path) = (name.unwrap_or_default(), format!("/{}", file_path.unwrap_or_default().replace('\\', "/")));
    let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    let within = |folders: &[&str]| folders.iter().any(|folder| path.contains(folder));
    let named = || match () {
        () if starts(&["stg_"]) => Some("staging"),
        () if starts(&["int_"]) => Some("intermediate"),
        () if starts(&["fct_", "dim_"]) => Some("mart"),
        () if within(&["/staging/"]) => Some("staging"),
        () if within(&["/int/", "/intermediate/"]) => Some("intermediate"),
        () if within(&["/marts/"]) => Some("mart"),
        () => None,
    };
    said.or_else(named).map(Text::from)
}

/// dbt's verdict on a source, under our names.
pub(super) fn freshness(status: Option<String>, checked: Option<String>, loaded: Option<String>) -> FreshnessCheck {
    FreshnessCheck { status: word(status), checked_at: time(checked), max_loaded_at: time(loaded) }
}

/// What every resource type has: name, description, path, tags and meta.
macro_rules! begin {
    ($item:ident, $kind:expr, $is_applied:expr) => {{
        let mut draft = $crate::discovery::draft::Draft::new($item.unique_id, $kind, $is_applied);
        draft.node.name = $crate::discovery::draft::text($item.name);
        draft.node.description = $crate::discovery::draft::text($item.description);
        draft.node.file_path = $crate::discovery::draft::text(Some($item.file_path));
        draft.node.tags = Some($crate::discovery::draft::list($item.tags));
        draft.node.meta = $crate::discovery::draft::json($item.meta);
        draft
    }};
}

/// Where the relation is in the warehouse.
macro_rules! relation {
    ($draft:ident, $item:ident, $identifier:ident) => {
        $draft.node.database_name = $crate::discovery::draft::text($item.database);
        $draft.node.schema_name = $crate::discovery::draft::text($item.schema);
        $draft.node.identifier = $crate::discovery::draft::text($item.$identifier);
    };
}

/// Parents in the API's order, without macros.
macro_rules! parents {
    ($draft:ident, $item:ident, $module:ident) => {
        for parent in $item.parents {
            match parent.on {
                $module::ParentOn::MacroDefinitionNestedNode(_) => {}
                $module::ParentOn::ExternalModelNode(external) => $draft.external($crate::inventory::Node {
                    name: $crate::discovery::draft::text(external.name),
                    package_name: $crate::discovery::draft::text(external.package_name)
                        .or($crate::discovery::draft::text(external.dbt_project_name)),
                    description: $crate::discovery::draft::text(external.description),
                    ..$crate::inventory::Node::new(
                        $crate::discovery::draft::clean(parent.unique_id),
                        $crate::inventory::ResourceType::External,
                    )
                }),
                _ => $draft.node.parents.push($crate::discovery::draft::clean(parent.unique_id).into()),
            }
        }
    };
}

/// The tests that a node lists.
macro_rules! tests {
    ($draft:ident, $item:ident) => {
        $draft.tests =
            $item.tests.into_iter().map(|test| $crate::discovery::draft::clean(test.unique_id).into()).collect();
    };
}

macro_rules! last_run {
    ($info:expr) => {{
        let info = $info;
        let status = $crate::discovery::draft::word(info.last_run_status);
        $crate::inventory::LastRun {
            status: status.clone(),
            attempt: status,
            at: $crate::discovery::draft::time(info.last_run_generated_at),
            error: $crate::discovery::draft::text(info.last_run_error),
            run_id: $crate::discovery::draft::number(info.last_run_id),
            job_id: $crate::discovery::draft::number(info.last_job_definition_id),
            failures: None,
            executed_at: $crate::discovery::draft::time(info.execute_completed_at),
            execution_seconds: info.execution_time,
            success_run_id: $crate::discovery::draft::number(info.last_success_run_id),
        }
    }};
}

macro_rules! catalog {
    ($draft:ident, $item:ident, $properties:ident) => {
        let catalog = $item.catalog.map(|catalog| $crate::discovery::draft::Catalog {
            relation_type: catalog.type_,
            owner: catalog.owner,
            comment: catalog.comment,
            stats: catalog.stats.map(|stats| {
                let stats = stats.into_iter().flatten();
                stats
                    .map(|stat| {
                        $crate::discovery::draft::without_nulls(serde_json::json!({
                            "id": stat.id,
                            "label": stat.label,
                            "value": stat.value,
                            "description": stat.description,
                            "include": stat.include,
                        }))
                    })
                    .collect()
            }),
            columns: catalog.columns.map(|columns| {
                let columns = columns.into_iter();
                columns
                    .map(|column| $crate::discovery::draft::CatalogColumn {
                        name: column.name,
                        index: column.index,
                        data_type: column.type_,
                        description: column.description,
                        comment: column.comment,
                        tags: column.tags,
                        meta: column.meta,
                    })
                    .collect()
            }),
        });
        $draft.catalog(catalog, &mut $properties);
    };
}

pub(super) use {begin, catalog, last_run, parents, relation, tests};

#[cfg(test)]
mod rules {
    use super::*;

    #[test]
    fn a_layer_is_said_or_named_by_prefix_before_folder() {
        let by_name = |name, path| layer(None, Some(name), Some(path));
        assert_eq!(layer(Some("Marts"), Some("stg_a"), None).as_deref(), Some("mart"));
        assert_eq!(layer(Some("something new"), Some("int_a"), None).as_deref(), Some("intermediate"));
        assert_eq!(by_name("stg_a", "models/marts/stg_a.sql").as_deref(), Some("staging"));
        assert_eq!(by_name("fct_a", "models/a.sql").as_deref(), Some("mart"));
        assert_eq!(by_name("a", "staging/a.sql").as_deref(), Some("staging"));
        assert_eq!(by_name("a", "models/marts/staging_a.sql").as_deref(), Some("mart"));
        assert_eq!(by_name("a", "models/a.sql"), None);
    }

    #[test]
    fn empty_text_is_unknown_and_nul_is_replaced() {
        assert_eq!(text(Some(String::new())), None);
        assert_eq!(text(Some("a\0b".into())).as_deref(), Some("a\u{fffd}b"));
        assert_eq!(word(Some("PASS".into())).as_deref(), Some("pass"));
        assert_eq!(time(Some("0001-01-01T00:00:00.000Z".into())), None);
    }
}
