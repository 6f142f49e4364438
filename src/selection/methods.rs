//! The methods: which nodes one value of each means.

use serde_json::Value;

use super::pattern::{matches, matches_path};
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
}

/// Their names, but for `config`, which takes arguments.
pub(super) const METHODS: [(&str, Method); 17] = [
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
        let one_of = |known: &[&str]| match known.contains(&value) {
            true => Ok(()),
            false => Err(format!("`{value}` is none of {}", known.join(", "))),
        };
        let parts = |most: usize| match value.split('.').count() <= most {
            true => Ok(()),
            false => Err(format!("`{value}` has more parts than the {most} that are expected at most")),
        };
        match self {
            Self::ResourceType => one_of(&RESOURCE_TYPES),
            Self::TestType => one_of(&["generic", "singular", "unit", "data", "schema"]),
            Self::Version => one_of(&["latest", "prerelease", "old", "none"]),
            Self::Source => parts(3),
            Self::Named(_) => parts(2),
            _ => Ok(()),
        }
    }

    /// True if the method's value means this node.
    pub(super) fn finds(&self, node: &Candidate, value: &str, project: &Project) -> bool {
        let is = |wanted: ResourceType| node.resource_type == wanted;
        let is_any = |text: &Option<String>, pattern: &str| text.as_ref().is_some_and(|text| matches(text, pattern));
        match self {
            Self::Fqn => !is(ResourceType::Source) && by_fqn(node, value),
            Self::Tag => node.tags.iter().any(|tag| matches(tag, value)),
            Self::Group => is_any(&node.group, value),
            // dbt's own default, for projects from before there was access.
            Self::Access => is(ResourceType::Model) && node.access.as_deref().unwrap_or("protected") == value,
            Self::Source => is(ResourceType::Source) && by_source(node, value),
            Self::Path => by_path(node, value),
            Self::File => by_file(node, value),
            Self::Package => {
                let this = project.name.as_deref().filter(|_| value == "this");
                matches(&node.package_name, this.unwrap_or(value))
            }
            Self::Config(keys) => by_config(&node.config, keys, value),
            Self::TestName => match node.resource_type {
                ResourceType::Test => is_any(&node.test_name, value),
                ResourceType::UnitTest => matches(&node.name, value),
                _ => false,
            },
            Self::TestType => match value {
                "data" => is(ResourceType::Test),
                "unit" => is(ResourceType::UnitTest),
                "schema" => is(ResourceType::Test) && node.test_type.as_deref() == Some("generic"),
                value => is(ResourceType::Test) && node.test_type.as_deref() == Some(value),
            },
            Self::ResourceType => node.resource_type.as_str() == value,
            Self::Named(wanted) => is(*wanted) && by_name(node, value),
            Self::Version => is(ResourceType::Model) && by_version(node, value),
        }
    }
}

/// By qualified name, with or without the package.
fn by_fqn(node: &Candidate, value: &str) -> bool {
    let is_versioned = node.resource_type == ResourceType::Model && node.version.is_some();
    let unscoped = node.fqn.get(1..).unwrap_or_default();
    is_named(&node.fqn, value, is_versioned) || is_named(unscoped, value, is_versioned)
}

fn is_named(fqn: &[String], value: &str, is_versioned: bool) -> bool {
    let wanted: Vec<&str> = value.split('.').collect();
    let leaf = match (is_versioned, fqn) {
        (true, [.., name, version]) => {
            let last_two = wanted[wanted.len().saturating_sub(2)..].join("_");
            if name == value || format!("{name}_{version}") == last_two {
                return true;
            }
            name
        }
        (_, [.., name]) => name,
        (_, []) => return false,
    };
    if !is_versioned && leaf == value {
        return true;
    }
    // Dots in names part them further.
    let flat: Vec<&str> = fqn.iter().flat_map(|part| part.split('.')).collect();
    if flat.len() < wanted.len() {
        return false;
    }
    let is_wild = |part: &&str| part.contains(['*', '?', '[', ']']);
    let literal = wanted.iter().position(is_wild).unwrap_or(wanted.len());
    if flat[..literal] != wanted[..literal] {
        return false;
    }
    literal == wanted.len()
        || matches(&flat[literal..].join("."), &wanted[literal..].join("."))
        || (wanted.len() == 1 && matches(leaf, value))
}

/// `source`, `source.table` or `package.source.table`.
fn by_source(node: &Candidate, value: &str) -> bool {
    let parts: Vec<&str> = value.split('.').collect();
    let (package, source, table) = match parts.as_slice() {
        [source] => ("*", *source, "*"),
        [source, table] => ("*", *source, *table),
        [package, source, table] => (*package, *source, *table),
        _ => return false,
    };
    matches(&node.package_name, package)
        && node.source_name.as_ref().is_some_and(|name| matches(name, source))
        && matches(&node.name, table)
}

/// `name` or `package.name`.
fn by_name(node: &Candidate, value: &str) -> bool {
    match value.split_once('.') {
        Some((package, name)) => matches(&node.package_name, package) && matches(&node.name, name),
        None => matches(&node.name, value),
    }
}

/// By the node's file, the file of its properties, or a folder that the former is in; with a slash at the end only by a folder.
fn by_path(node: &Candidate, value: &str) -> bool {
    let file = node.file_path.trim_end_matches('/');
    if file.is_empty() {
        return false;
    }
    // As it is written on Windows.
    let value = value.replace('\\', "/");
    let folders = file.match_indices('/').map(|(end, _)| &file[..end]).chain([""]);
    let files = [Some(file), node.patch_path.as_deref()].into_iter().flatten().filter(|_| !value.ends_with('/'));
    folders.chain(files).any(|path| matches_path(path, &value))
}

/// By the name of its file, with or without the ending.
fn by_file(node: &Candidate, value: &str) -> bool {
    let name = node.file_path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| if stem.is_empty() { name } else { stem });
    !name.is_empty() && (matches(name, value) || matches(stem, value))
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
