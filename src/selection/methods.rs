//! The methods: which nodes one value of each means.

use serde_json::Value;

use super::budget::Budget;
use super::pattern::{PathPattern, Pattern};
use super::{Candidate, Project};
use crate::inventory::ResourceType;

/// What a value is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Method {
    Fqn,
    Tag,
    Group,
    Access,
    Source,
    Path,
    File,
    Package,
    Config(Vec<String>),
    TestName,
    TestType,
    ResourceType,
    /// Nodes of this type by name, or by package and name.
    Named(ResourceType),
    Version,
    /// How the last run ended.
    Result,
    /// What the last freshness check saw.
    SourceStatus,
}

/// Their names, but for `config`, which takes arguments.
pub(super) const METHODS: [(&str, Method); 19] = [
    ("fqn", Method::Fqn),
    ("tag", Method::Tag),
    ("group", Method::Group),
    ("access", Method::Access),
    ("source", Method::Source),
    ("path", Method::Path),
    ("file", Method::File),
    ("package", Method::Package),
    ("test_name", Method::TestName),
    ("test_type", Method::TestType),
    ("resource_type", Method::ResourceType),
    ("exposure", Method::Named(ResourceType::Exposure)),
    ("metric", Method::Named(ResourceType::Metric)),
    ("semantic_model", Method::Named(ResourceType::SemanticModel)),
    ("saved_query", Method::Named(ResourceType::SavedQuery)),
    ("unit_test", Method::Named(ResourceType::UnitTest)),
    ("version", Method::Version),
    ("result", Method::Result),
    ("source_status", Method::SourceStatus),
];

/// dbt's resource types that a selector may name; those that the platform does not serve match nothing.
const RESOURCE_TYPES: [&str; 13] = [
    "model",
    "source",
    "seed",
    "snapshot",
    "test",
    "unit_test",
    "exposure",
    "metric",
    "semantic_model",
    "saved_query",
    "analysis",
    "function",
    "macro",
];

/// How a run can end: the words of the views.
const RESULTS: [&str; 6] = ["error", "fail", "pass", "skipped", "success", "warn"];

/// A value, taken apart once for all nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) text: String,
    whole: Pattern,
    path: PathPattern,
    /// What dots part.
    parts: Vec<String>,
    /// The same as patterns.
    patterns: Vec<Pattern>,
    /// How many parts come before the first with a wildcard; and all from there on.
    literal: usize,
    rest: Pattern,
}

impl Wanted {
    pub(super) fn new(text: &str) -> Self {
        let parts: Vec<String> = text.split('.').map(str::to_owned).collect();
        let is_wild = |part: &String| part.contains(['*', '?', '[', ']']);
        let literal = parts.iter().position(is_wild).unwrap_or(parts.len());
        Self {
            text: text.to_owned(),
            whole: Pattern::new(text),
            // As it is written on Windows, too.
            path: PathPattern::new(&text.replace('\\', "/")),
            patterns: parts.iter().map(|part| Pattern::new(part)).collect(),
            literal,
            rest: Pattern::new(&parts[literal..].join(".")),
            parts,
        }
    }
}

impl Method {
    /// The method of a value that names none.
    pub(super) fn of_value(value: &str) -> Self {
        let lower = value.to_lowercase();
        if value.contains(['/', '\\']) {
            Self::Path
        } else if [".sql", ".py", ".csv"].iter().any(|end| lower.ends_with(end)) {
            Self::File
        } else {
            Self::Fqn
        }
    }

    /// Whether a value can mean anything; the error says what could.
    pub(super) fn check(&self, value: &str) -> Result<(), String> {
        let one_of = |known: &[&str]| match known {
            _ if known.contains(&value) => Ok(()),
            [only] => Err(format!("`{value}` is not `{only}`, the only value there is")),
            _ => Err(format!("`{value}` is none of {}", known.join(", "))),
        };
        let parts = |most: usize| match value.split('.').count() <= most {
            true => Ok(()),
            false => Err(format!("`{value}` has more parts than the {most} that are expected at most")),
        };
        match self {
            Self::ResourceType => one_of(&RESOURCE_TYPES),
            Self::TestType => one_of(&["generic", "singular", "unit", "data", "schema"]),
            Self::Version => one_of(&["latest", "prerelease", "old", "none"]),
            Self::Result => one_of(&RESULTS),
            Self::SourceStatus => one_of(&["fresher"]),
            Self::Source => parts(3),
            Self::Named(_) => parts(2),
            _ => Ok(()),
        }
    }

    /// True if the method's value means this node.
    pub(super) fn finds(&self, node: &Candidate, wanted: &Wanted, project: &Project, budget: &Budget) -> bool {
        let value = wanted.text.as_str();
        let is = |wanted: ResourceType| node.resource_type == wanted;
        let like = |text: &str| wanted.whole.matches(text, budget);
        match self {
            Self::Fqn => !is(ResourceType::Source) && by_fqn(node, wanted, budget),
            Self::Tag => node.tags.iter().any(|tag| like(tag)),
            Self::Group => node.group.as_deref().is_some_and(like),
            // dbt's own default, for projects from before there was access.
            Self::Access => is(ResourceType::Model) && node.access.as_deref().unwrap_or("protected") == value,
            Self::Source => is(ResourceType::Source) && by_source(node, &wanted.patterns, budget),
            Self::Path => by_path(node, wanted, budget),
            Self::File => by_file(node, &wanted.whole, budget),
            Self::Package => match &project.name {
                Some(name) if value == "this" => node.package_name == *name,
                _ => like(&node.package_name),
            },
            Self::Config(keys) => by_config(&node.config, keys, value),
            Self::TestName => match node.resource_type {
                ResourceType::Test => node.test_name.as_deref().is_some_and(like),
                ResourceType::UnitTest => like(&node.name),
                _ => false,
            },
            Self::TestType => match value {
                "data" => is(ResourceType::Test),
                "unit" => is(ResourceType::UnitTest),
                "schema" => is(ResourceType::Test) && node.test_type.as_deref() == Some("generic"),
                value => is(ResourceType::Test) && node.test_type.as_deref() == Some(value),
            },
            Self::ResourceType => node.resource_type.as_str() == value,
            Self::Named(wanted_type) => is(*wanted_type) && by_name(node, &wanted.patterns, budget),
            Self::Version => is(ResourceType::Model) && by_version(node, value),
            Self::Result => node.last_run_status.as_deref() == Some(value),
            // There is no other word.
            Self::SourceStatus => is(ResourceType::Source) && node.is_fresher,
        }
    }
}

/// By qualified name, with or without the package.
fn by_fqn(node: &Candidate, wanted: &Wanted, budget: &Budget) -> bool {
    let is_versioned = node.resource_type == ResourceType::Model && node.version.is_some();
    let unscoped = node.fqn.get(1..).unwrap_or_default();
    is_named(&node.fqn, wanted, is_versioned, budget) || is_named(unscoped, wanted, is_versioned, budget)
}

fn is_named(fqn: &[String], wanted: &Wanted, is_versioned: bool, budget: &Budget) -> bool {
    let Wanted { text, whole, parts, literal, rest, .. } = wanted;
    let leaf = match (is_versioned, fqn) {
        (true, [.., name, version]) => {
            let last_two = parts[parts.len().saturating_sub(2)..].join("_");
            if name == text || format!("{name}_{version}") == last_two {
                return true;
            }
            name
        }
        (_, [.., name]) => name,
        (_, []) => return false,
    };
    if !is_versioned && leaf == text {
        return true;
    }
    // Dots in names part them further.
    let mut flat = fqn.iter().flat_map(|part| part.split('.'));
    if parts[..*literal].iter().any(|part| flat.next() != Some(part)) {
        return false;
    }
    let flat: Vec<&str> = flat.collect();
    if flat.len() + literal < parts.len() {
        return false;
    }
    *literal == parts.len()
        || rest.matches(&flat.join("."), budget)
        || (parts.len() == 1 && whole.matches(leaf, budget))
}

/// `source`, `source.table` or `package.source.table`.
fn by_source(node: &Candidate, wanted: &[Pattern], budget: &Budget) -> bool {
    let (package, source, table) = match wanted {
        [source] => (None, source, None),
        [source, table] => (None, source, Some(table)),
        [package, source, table] => (Some(package), source, Some(table)),
        _ => return false,
    };
    package.is_none_or(|package| package.matches(&node.package_name, budget))
        && node.source_name.as_ref().is_some_and(|name| source.matches(name, budget))
        && table.is_none_or(|table| table.matches(&node.name, budget))
}

/// `name` or `package.name`.
fn by_name(node: &Candidate, wanted: &[Pattern], budget: &Budget) -> bool {
    match wanted {
        [package, name] => package.matches(&node.package_name, budget) && name.matches(&node.name, budget),
        [name] => name.matches(&node.name, budget),
        _ => false,
    }
}

/// By the node's file, the file of its properties, or a folder that the former is in; with a slash at the end only by a folder.
fn by_path(node: &Candidate, wanted: &Wanted, budget: &Budget) -> bool {
    let file = node.file_path.trim_end_matches('/');
    if file.is_empty() {
        return false;
    }
    if wanted.text.ends_with(['/', '\\']) {
        return wanted.path.matches_or_holds(file.rsplit_once('/').map_or("", |(folder, _)| folder), budget);
    }
    wanted.path.matches_or_holds(file, budget)
        || node.patch_path.as_ref().is_some_and(|path| wanted.path.matches(path, budget))
}

/// By the name of its file, with or without the ending.
fn by_file(node: &Candidate, wanted: &Pattern, budget: &Budget) -> bool {
    let name = node.file_path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| if stem.is_empty() { name } else { stem });
    !name.is_empty() && (wanted.matches(name, budget) || wanted.matches(stem, budget))
}

fn by_config(config: &Value, keys: &[String], value: &str) -> bool {
    let mut found = config;
    for key in keys {
        match found.get(key) {
            Some(inner) => found = inner,
            None => return false,
        }
    }
    let is_same = |found: &Value| match found {
        Value::String(text) if keys == ["severity"] => text.eq_ignore_ascii_case(value),
        Value::String(text) => text == value,
        Value::Bool(yes) => value.eq_ignore_ascii_case(if *yes { "true" } else { "false" }),
        _ => false,
    };
    match found {
        Value::Array(list) => list.iter().any(is_same),
        found => !keys.is_empty() && is_same(found),
    }
}

fn by_version(node: &Candidate, value: &str) -> bool {
    let (Some(version), Some(latest)) = (&node.version, &node.latest_version) else {
        return value == "none" && node.version.is_none();
    };
    let order = match (version.parse::<f64>(), latest.parse::<f64>()) {
        (Ok(version), Ok(latest)) => version.total_cmp(&latest),
        _ => version.cmp(latest),
    };
    match value {
        "latest" => order.is_eq(),
        "prerelease" => order.is_gt(),
        "old" => order.is_lt(),
        _ => false,
    }
}
