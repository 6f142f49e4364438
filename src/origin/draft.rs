//! A node on its way from the API's words to ours: the rules that all resource types share.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::inventory::{Code, Column, FreshnessCheck, Json, Node, ResourceType, Text, UniqueId};
use crate::origin::CodeText;
use crate::origin::printable;
use crate::origin::reference::Reference;
use crate::time::Timestamp;

/// A node, and what is known of it until all types are read.
#[derive(Debug)]
pub(crate) struct Draft {
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
    /// Of a test: what it says of the node that it is of.
    pub tested: Option<Tested>,
    /// What it says in words that are new, e.g. "status `x`": taken as unknown.
    pub new_words: Vec<String>,
}

/// What a test says of the node that it is of.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tested {
    /// Its id.
    pub id: Option<UniqueId>,
    /// What its `model` argument names.
    pub reference: Option<Reference>,
}

/// A warehouse's catalog entry, of whatever resource type.
pub(crate) struct Catalog {
    pub relation_type: Option<String>,
    pub owner: Option<String>,
    pub comment: Option<String>,
    pub stats: Option<Vec<Value>>,
    pub columns: Option<Vec<CatalogColumn>>,
}

/// A column of it.
pub(crate) struct CatalogColumn {
    pub name: Option<String>,
    pub index: Option<i64>,
    pub data_type: Option<String>,
    pub description: Option<String>,
    pub comment: Option<String>,
    pub tags: Vec<String>,
    pub meta: Option<Value>,
}

impl Draft {
    pub(crate) fn new(id: String, resource_type: ResourceType, is_applied: Option<bool>) -> Self {
        let node = Node { is_applied, ..Node::new(clean(id), resource_type) };
        Self {
            node,
            externals: Vec::new(),
            tests: Vec::new(),
            texts: Vec::new(),
            warnings: Vec::new(),
            lacks_catalog: false,
            lacks_status: false,
            tested: None,
            new_words: Vec::new(),
        }
    }

    /// Meta is a map or nothing.
    pub(crate) fn meta(&mut self, given: Option<Value>) {
        self.node.meta = json(given.filter(|meta| {
            let is_known = meta.is_object() || meta.is_null();
            if !is_known {
                self.warnings.push(format!("`meta` of `{}` is no map: taken as unknown", self.node.unique_id));
            }
            is_known
        }));
    }

    /// The package as given, else the first part of fqn.
    pub(crate) fn package(&mut self, given: Option<String>, fqn: Vec<String>) {
        self.node.package_name = text(given).or_else(|| text(fqn.first().cloned()));
        self.node.fqn = Some(list(fqn));
    }

    /// The code of the node: the hash stays, the text goes on.
    pub(crate) fn code(&mut self, raw: Option<String>, compiled: Option<String>) {
        self.node.raw_code = self.keep_text(raw, false);
        self.node.compiled_code = self.keep_text(compiled, true);
    }

    fn keep_text(&mut self, given: Option<String>, is_compiled: bool) -> Option<Code> {
        let text = said(given)?;
        let code = Code::of(&text);
        self.texts.push(CodeText { node: self.node.unique_id.clone(), is_compiled, code: code.clone(), text });
        Some(code)
    }

    /// One of the words that mean the outcome of a run. dbt has more of them than the views: what was reused is as good as done, and what
    /// had nothing to do is done, but a test of nothing was skipped.
    pub(crate) fn status(&mut self, given: Option<String>) -> Option<Text> {
        let given = said(given)?;
        let is_test = matches!(self.node.resource_type, ResourceType::Test | ResourceType::UnitTest);
        let letters: String = given.chars().filter(|c| c.is_alphanumeric()).collect::<String>().to_lowercase();
        let word = match (letters.as_str(), is_test) {
            ("error" | "runtimeerror" | "partialsuccess", _) => "error",
            ("skipped", _) | ("noop", true) => "skipped",
            ("pass" | "reused", true) => "pass",
            ("warn", true) => "warn",
            ("fail", true) => "fail",
            ("success" | "pass" | "warn" | "reused" | "noop", false) => "success",
            ("fail", false) => "error",
            _ => {
                self.new_words.push(format!("status `{}`", printable(&given, 40)));
                return None;
            }
        };
        Some(word.into())
    }

    /// dbt's verdict on a source, under our names.
    pub(crate) fn freshness(&mut self, status: Option<String>, checked: Option<String>, loaded: Option<String>) {
        let status = match word(status).as_deref() {
            Some("runtime error" | "runtimeerror") => Some("error".into()),
            Some(known @ ("pass" | "warn" | "error" | "skipped" | "unknown")) => Some(known.into()),
            None => None,
            Some(new) => {
                self.new_words.push(format!("freshness status `{}`", printable(new, 40)));
                None
            }
        };
        self.node.freshness = FreshnessCheck { status, checked_at: time(checked), max_loaded_at: time(loaded) };
    }

    pub(crate) fn external(&mut self, external: Node) {
        self.node.parents.push(external.unique_id.clone());
        self.externals.push(external);
    }

    /// Columns, and the properties that the warehouse's catalog adds.
    pub(crate) fn catalog(&mut self, catalog: Option<Catalog>, properties: &mut Properties) {
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
                description: prose(column.description),
                comment: prose(column.comment),
                tags: Some(list(column.tags)),
                meta: json(column.meta),
                in_warehouse: Some(true),
                is_declared: None,
            });
        }
    }
}

/// `properties` of a node, under dbt's own names: what is null is left out.
#[derive(Debug, Default)]
pub(crate) struct Properties(Map<String, Value>);

impl Properties {
    pub(crate) fn text(&mut self, name: &str, value: Option<String>) {
        self.value(name, said(value).map(Value::String));
    }

    pub(crate) fn value(&mut self, name: &str, value: impl Into<Option<Value>>) {
        if let Some(value) = value.into().filter(|value| !value.is_null()) {
            self.0.insert(name.to_owned(), value);
        }
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(crate) fn json(self) -> Json {
        Json::new(&Value::Object(self.0))
    }
}

/// A JSON map without the members that are null.
pub(crate) fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(map) => map.into_iter().filter(|(_, value)| !value.is_null()).collect(),
        other => other,
    }
}

/// Text that says something: not empty, and without NUL, which SQLite's shell and many readers take for an end.
pub(crate) fn text(given: Option<String>) -> Option<Text> {
    said(given).map(Text::from)
}

fn said(given: Option<String>) -> Option<String> {
    given.filter(|text| !text.is_empty()).map(clean)
}

pub(crate) fn clean(text: String) -> String {
    if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text }
}

/// Text for people: blanks alone say nothing.
pub(crate) fn prose(given: Option<String>) -> Option<Text> {
    text(given.filter(|text| !text.trim().is_empty()))
}

/// A path with slashes, also where dbt ran on Windows.
pub(crate) fn path(given: Option<String>) -> Option<String> {
    said(given).map(|path| path.replace('\\', "/"))
}

/// The name of a database: some adapters write Python's word for none.
pub(crate) fn database(given: Option<String>) -> Option<Text> {
    text(given.filter(|name| name != "None"))
}

/// A word of an enum, in lower case.
pub(crate) fn word(given: Option<String>) -> Option<Text> {
    said(given).map(|text| text.to_lowercase().into())
}

pub(crate) fn time(given: Option<String>) -> Option<Timestamp> {
    Timestamp::parse(&given?)
}

pub(crate) fn json(given: Option<Value>) -> Option<Json> {
    given.filter(|value| !value.is_null()).map(|value| Json::new(&value))
}

pub(crate) fn list(given: Vec<String>) -> Json {
    Json::new(&given.into())
}

/// staging, intermediate or mart: the API's word, else by dbt's naming rules, prefix before folder.
pub(crate) fn layer(api: Option<&str>, name: Option<&str>, file_path: Option<&str>) -> Option<Text> {
    let said = match api.map(str::to_lowercase).as_deref() {
        Some("staging" | "stage" | "stg") => Some("staging"),
        Some("intermediate" | "int") => Some("intermediate"),
        Some("mart" | "marts") => Some("mart"),
        _ => None,
    };
    let (name, path) = (name.unwrap_or_default(), format!("/{}", file_path.unwrap_or_default()));
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
        assert_eq!((prose(Some(" \n".into())), prose(Some(" a".into())).as_deref()), (None, Some(" a")));
        assert_eq!((database(Some("None".into())), database(Some("none".into())).as_deref()), (None, Some("none")));
        assert_eq!(path(Some("models\\marts\\a.sql".into())).as_deref(), Some("models/marts/a.sql"));
    }

    #[test]
    fn an_outcome_is_one_of_the_words_that_the_views_have() {
        let read = |kind, given: &str| {
            let mut draft = Draft::new("x".to_owned(), kind, Some(true));
            let status = draft.status(Some(given.to_owned()));
            (status.as_deref().map(str::to_owned), draft.new_words)
        };
        for (given, test, model) in [
            ("Pass", "pass", "success"),
            ("reused", "pass", "success"),
            ("no-op", "skipped", "success"),
            ("NoOp", "skipped", "success"),
            ("partial success", "error", "error"),
            ("runtime error", "error", "error"),
            ("warn", "warn", "success"),
            ("fail", "fail", "error"),
            ("skipped", "skipped", "skipped"),
        ] {
            assert_eq!(read(ResourceType::Test, given), (Some(test.to_owned()), Vec::new()), "{given}");
            assert_eq!(read(ResourceType::Seed, given), (Some(model.to_owned()), Vec::new()), "{given}");
        }
        // Only a command that ran nothing calls a test so.
        let unknown = |word: &str| (None, vec![format!("status `{word}`")]);
        assert_eq!(read(ResourceType::UnitTest, "success"), unknown("success"));
        assert_eq!(read(ResourceType::Model, "exploded"), unknown("exploded"));
    }
}
