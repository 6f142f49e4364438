//! What a node of a manifest, of any version, becomes: the same node that the platform's API would tell of it. What is built is here, what
//! describes it in `meaning`.

use serde_json::{Map, Value, json};

use super::declared::declared;
use super::json::{Fit, Misfits, Raw, list, part};
use super::meaning;
use crate::inventory::{Node, ResourceType, UniqueId};
use crate::origin::draft::{Draft, Properties, clean, database, layer, path, prose, text, time, without_nulls, word};

/// The members of a node that are read.
pub(super) fn wanted(key: &str) -> Option<&'static str> {
    const KEYS: [&str; 61] = [
        "access",
        "alias",
        "attached_node",
        "calculation_method",
        "column_name",
        "columns",
        "compiled_code",
        "compiled_sql",
        "config",
        "constraints",
        "contract",
        "database",
        "depends_on",
        "deprecation_date",
        "description",
        "dimensions",
        "entities",
        "expect",
        "exports",
        "expression",
        "filter",
        "fqn",
        "freshness",
        "given",
        "group",
        "identifier",
        "label",
        "language",
        "latest_version",
        "loader",
        "maturity",
        "measures",
        "meta",
        "model",
        "name",
        "original_file_path",
        "overrides",
        "owner",
        "package_name",
        "patch_path",
        "path",
        "query_params",
        "raw_code",
        "raw_sql",
        "refs",
        "relation_name",
        "resource_type",
        "schema",
        "source_description",
        "source_name",
        "sql",
        "tags",
        "test_metadata",
        "tested_node_unique_id",
        "time_grains",
        "timestamp",
        "type",
        "type_params",
        "url",
        "version",
        "window",
    ];
    KEYS.binary_search(&key).ok().map(|place| KEYS[place])
}

/// The type that dbt calls by this word, if there is one of its own for it.
pub(super) fn type_of(word: &str) -> Option<ResourceType> {
    word.parse().ok().filter(|kind| *kind != ResourceType::External)
}

/// A node under way, with what is known only of it.
pub(super) struct Making<'a> {
    pub draft: Draft,
    pub raw: Raw,
    pub properties: Properties,
    pub misfits: &'a mut Misfits,
}

impl Making<'_> {
    fn fit(&mut self) -> (Fit<'_>, &mut Raw) {
        (Fit { id: self.draft.node.unique_id.as_str(), misfits: self.misfits }, &mut self.raw)
    }

    /// A member as text.
    pub(super) fn text(&mut self, key: &'static str) -> Option<String> {
        let (mut fit, raw) = self.fit();
        fit.text(key, raw.take(key))
    }

    /// The same of what else may stand for it.
    pub(super) fn text_of(&mut self, field: &'static str, value: Value) -> Option<String> {
        self.fit().0.text(field, value)
    }

    pub(super) fn texts(&mut self, key: &'static str) -> Vec<String> {
        let (mut fit, raw) = self.fit();
        fit.texts(key, raw.take(key))
    }

    pub(super) fn flag_of(&mut self, field: &'static str, value: &Value) -> Option<bool> {
        self.fit().0.flag(field, value)
    }

    pub(super) fn integer_of(&mut self, field: &'static str, value: &Value) -> Option<i64> {
        self.fit().0.integer(field, value)
    }

    /// A member, else what `config` says of it, as text.
    pub(super) fn or_config(&mut self, key: &'static str) -> Option<String> {
        let value = self.raw.or_config(key);
        self.text_of(key, value)
    }

    /// A member that goes into the properties as it is.
    pub(super) fn keep(&mut self, key: &'static str) {
        let value = self.raw.take(key);
        self.properties.value(key, value);
    }

    pub(super) fn keep_text(&mut self, key: &'static str) {
        let value = self.text(key);
        self.properties.text(key, value);
    }
}

/// The node of the definition state, with the parents that the manifest names.
pub(super) fn draft(kind: ResourceType, id: String, raw: Raw, misfits: &mut Misfits) -> Draft {
    let is_applied = kind.has_applied_state().then_some(true);
    let draft = Draft::new(id, kind, is_applied);
    let mut making = Making { draft, raw, properties: Properties::default(), misfits };
    common(&mut making);
    match kind {
        ResourceType::Model => model(&mut making),
        ResourceType::Seed => {
            relation(&mut making, "alias");
            making.draft.node.materialization = Some("seed".into());
        }
        ResourceType::Snapshot => {
            relation(&mut making, "alias");
            code(&mut making);
            making.draft.node.materialization = Some("snapshot".into());
            making.keep("config");
        }
        ResourceType::Function => function(&mut making),
        ResourceType::Source => source(&mut making),
        ResourceType::Test => meaning::data_test(&mut making),
        ResourceType::UnitTest => meaning::unit_test(&mut making),
        ResourceType::Exposure => meaning::exposure(&mut making),
        ResourceType::Metric => meaning::metric(&mut making),
        ResourceType::SemanticModel => meaning::semantic_model(&mut making),
        ResourceType::SavedQuery => meaning::saved_query(&mut making),
        ResourceType::Group => meaning::group(&mut making),
        ResourceType::External => {}
    }
    let Making { mut draft, properties, .. } = making;
    draft.node.properties = properties.json();
    draft
}

fn common(making: &mut Making<'_>) {
    making.draft.node.name = text(making.text("name"));
    making.draft.node.description = prose(making.text("description"));
    let file = making.raw.first(&["original_file_path", "path"]);
    making.draft.node.file_path = path(making.text_of("original_file_path", file)).map(Into::into);
    let tags = making.raw.or_config("tags");
    let tags = making.fit().0.texts("tags", tags);
    making.draft.node.tags = Some(crate::origin::draft::list(tags));
    let meta = making.raw.or_config("meta");
    making.draft.meta(Some(meta));
    let (package, fqn) = (making.text("package_name"), making.texts("fqn"));
    match making.draft.node.resource_type {
        ResourceType::Group => making.draft.node.package_name = text(package),
        _ => making.draft.package(package, fqn),
    }
    let patch = making.text("patch_path");
    if making.draft.node.resource_type != ResourceType::Group {
        making.properties.text("patch_path", path(patch));
    }
    making.draft.node.parents = parents(&making.raw);
    making.draft.node.columns = declared(making);
}

/// What a node depends on, without macros.
pub(super) fn parents(raw: &Raw) -> Vec<UniqueId> {
    let nodes = raw.peek("depends_on")["nodes"].as_array().into_iter().flatten();
    let ids = nodes.filter_map(Value::as_str).filter(|id| !id.starts_with("macro."));
    ids.map(|id| UniqueId::from(clean(id.to_owned()))).collect()
}

/// Where the relation is in the warehouse.
fn relation(making: &mut Making<'_>, identifier: &'static str) {
    making.draft.node.database_name = database(making.text("database"));
    making.draft.node.schema_name = text(making.text("schema"));
    making.draft.node.identifier = text(making.text(identifier));
    making.draft.node.relation_name = text(making.text("relation_name"));
}

pub(super) fn code(making: &mut Making<'_>) {
    let raw = making.raw.first(&["raw_code", "raw_sql"]);
    let compiled = making.raw.first(&["compiled_code", "compiled_sql"]);
    let (raw, compiled) = (making.text_of("raw_code", raw), making.text_of("compiled_code", compiled));
    making.draft.code(raw, compiled);
}

fn language(making: &mut Making<'_>) {
    making.draft.node.language = word(making.text("language").or_else(|| Some("sql".to_owned())));
}

fn model(making: &mut Making<'_>) {
    relation(making, "alias");
    code(making);
    language(making);
    let materialized = making.raw.peek("config")["materialized"].clone();
    let node = &making.draft.node;
    let layer = layer(layer_of_api(node), node.name.as_deref(), node.file_path.as_deref());
    making.draft.node.layer = layer;
    making.draft.node.materialization = word(making.text_of("materialized", materialized));
    making.draft.node.access = word(making.or_config("access"));
    making.draft.node.group_name = text(making.or_config("group"));
    let enforced = part(&mut making.raw.or_config("contract"), "enforced");
    making.draft.node.contract_enforced = making.flag_of("contract", &enforced);
    making.draft.node.deprecation_date = time(making.text("deprecation_date"));
    let (version, latest) = (making.text("version"), making.text("latest_version"));
    making.properties.text("release_version", Some(release(version.as_deref(), latest.as_deref()).to_owned()));
    making.draft.node.version = text(version);
    making.draft.node.latest_version = text(latest);
    let constraints = list(making.raw.take("constraints")).into_iter().filter(Value::is_object).map(|mut it| {
        let members = ["name", "type", "expression", "columns", "warn_unenforced", "warn_unsupported"];
        without_nulls(members.into_iter().map(|key| (key.to_owned(), part(&mut it, key))).collect::<Map<_, _>>().into())
    });
    making.properties.value("constraints", constraints.collect::<Value>());
    making.keep("config");
}

/// The layer that the platform derives: by the prefix of the name, else it is the folder of marts that counts, whatever lies within it.
fn layer_of_api(node: &Node) -> Option<&'static str> {
    let name = node.name.as_deref().unwrap_or_default();
    let has_prefix = ["stg_", "int_", "fct_", "dim_"].iter().any(|prefix| name.starts_with(prefix));
    let is_mart = !has_prefix && node.file_path.as_deref().is_some_and(|path| path.contains("/marts/"));
    is_mart.then_some("marts")
}

/// How a version stands to the latest, in the API's words.
fn release(version: Option<&str>, latest: Option<&str>) -> &'static str {
    let number = |text: &str| text.parse::<f64>().ok();
    match (version, latest) {
        (None, _) | (_, None) => "none",
        (Some(version), Some(latest)) if version == latest => "latest",
        (Some(version), Some(latest)) if number(version) > number(latest) => "prerelease",
        _ => "old",
    }
}

fn function(making: &mut Making<'_>) {
    relation(making, "alias");
    code(making);
    language(making);
    making.draft.node.materialization = Some("function".into());
    making.draft.node.access = word(making.or_config("access"));
    making.draft.node.group_name = text(making.or_config("group"));
    making.keep("config");
}

fn source(making: &mut Making<'_>) {
    relation(making, "identifier");
    for key in ["source_name", "source_description", "loader"] {
        making.keep_text(key);
    }
    making.properties.value("freshness_checked", Value::Bool(false));
    let freshness = making.raw.or_config("freshness");
    let mut threshold = |key: &str| {
        let count = making.integer_of("freshness", &freshness[key]["count"])?;
        let period = making.text_of("freshness", freshness[key]["period"].clone());
        Some(without_nulls(json!({"count": count, "period": word(period)})))
    };
    let (warn, error) = (threshold("warn_after"), threshold("error_after"));
    if warn.is_some() || error.is_some() {
        making.properties.value("freshness", without_nulls(json!({"warn_after": warn, "error_after": error})));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wanted_is_found_by_its_name() {
        for key in ["access", "name", "window", "depends_on", "raw_code", "tested_node_unique_id"] {
            assert_eq!(wanted(key), Some(key));
        }
        assert_eq!(wanted("checksum"), None);
    }

    #[test]
    fn a_version_stands_somewhere_to_the_latest() {
        for (version, latest, word) in [
            (None, None, "none"),
            (Some("2"), Some("2"), "latest"),
            (Some("12"), Some("2"), "prerelease"),
            (Some("1"), Some("2"), "old"),
            (Some("alpha"), Some("beta"), "old"),
        ] {
            assert_eq!(release(version, latest), word);
        }
    }
}
