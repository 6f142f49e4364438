//! The manifest that says what there is: its sections, node by node.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Deserializer;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use super::externals::Others;
use super::files::Parse;
use super::json::{EachSeed, Keys, Misfits, Raw, Shape};
use super::metadata::Metadata;
use super::node::{self, type_of, wanted};
use crate::inventory::{Pool, ResourceType, UniqueId};
use crate::origin::CodeText;
use crate::origin::draft::Draft;

/// Whom source texts are told.
pub(super) type TellCode<'a> = &'a mut dyn FnMut(CodeText);

/// What a manifest holds.
#[derive(Default)]
pub(super) struct Manifest {
    pub metadata: Metadata,
    pub drafts: BTreeMap<UniqueId, Draft>,
    /// It has its main section, in whatever shape.
    pub has_nodes: bool,
    /// Its sections that are there and are no map.
    pub untold: Vec<&'static str>,
    pub misfits: Misfits,
    /// Texts that nodes say again and again are held once.
    pub pool: Pool,
    others: Others,
}

impl Manifest {
    /// The types that its unreadable sections hold.
    pub(super) fn untold_types(&self) -> BTreeSet<ResourceType> {
        const OF_NODES: [ResourceType; 4] =
            [ResourceType::Model, ResourceType::Seed, ResourceType::Snapshot, ResourceType::Test];
        let types = |name: &&str| match section(name) {
            Some((_, Some(kind))) => vec![kind],
            _ => OF_NODES.to_vec(),
        };
        self.untold.iter().flat_map(types).collect()
    }

    /// Adds the parents that are not the project's own.
    pub(super) fn resolve_parents(&mut self) {
        std::mem::take(&mut self.others).resolve(&mut self.drafts, &mut self.misfits);
    }
}

/// A section that is read, and the type of its nodes; `nodes` has several.
fn section(key: &str) -> Option<(&'static str, Option<ResourceType>)> {
    Some(match key {
        "nodes" => ("nodes", None),
        "sources" => ("sources", Some(ResourceType::Source)),
        "exposures" => ("exposures", Some(ResourceType::Exposure)),
        "metrics" => ("metrics", Some(ResourceType::Metric)),
        "groups" => ("groups", Some(ResourceType::Group)),
        "semantic_models" => ("semantic_models", Some(ResourceType::SemanticModel)),
        "saved_queries" => ("saved_queries", Some(ResourceType::SavedQuery)),
        "unit_tests" => ("unit_tests", Some(ResourceType::UnitTest)),
        "functions" => ("functions", Some(ResourceType::Function)),
        _ => return None,
    })
}

/// Reads a whole manifest. The name of its project is known from its head.
pub(super) struct ManifestParser<'a> {
    pub project: Option<&'a str>,
    pub code: TellCode<'a>,
}

impl Parse for ManifestParser<'_> {
    type Out = Manifest;

    fn parse<'de, D: Deserializer<'de>>(&mut self, json: D) -> Result<Manifest, D::Error> {
        let sections = Sections { project: self.project, code: &mut *self.code, manifest: Manifest::default() };
        json.deserialize_map(sections)
    }
}

struct Sections<'a> {
    project: Option<&'a str>,
    code: TellCode<'a>,
    manifest: Manifest,
}

impl<'de> Visitor<'de> for Sections<'_> {
    type Value = Manifest;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a manifest")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Manifest, A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "metadata" => self.manifest.metadata = Metadata::of(&map.next_value()?),
                "disabled" => self.manifest.others.disable(map.next_value::<Keys>()?.0),
                key => match section(key) {
                    Some((name, kind)) => self.section(name, kind, &mut map)?,
                    None => drop(map.next_value::<IgnoredAny>()?),
                },
            }
        }
        Ok(self.manifest)
    }
}

impl Sections<'_> {
    fn section<'de, A: MapAccess<'de>>(
        &mut self,
        name: &'static str,
        kind: Option<ResourceType>,
        map: &mut A,
    ) -> Result<(), A::Error> {
        // A list has no ids: nothing of it is taken.
        let mut each = |id: String, raw: Raw| {
            if !id.is_empty() {
                self.add(kind, id, raw);
            }
            true
        };
        let shape = map.next_value_seed(EachSeed { wanted, each: &mut each })?;
        self.manifest.has_nodes |= name == "nodes" && shape != Shape::Null;
        if shape != Shape::Map {
            self.manifest.untold.push(name);
        }
        Ok(())
    }

    fn add(&mut self, kind: Option<ResourceType>, id: String, raw: Raw) {
        let Manifest { drafts, misfits, others, pool, .. } = &mut self.manifest;
        if raw.peek("config")["enabled"] == Value::Bool(false) {
            others.disable([id]);
            return;
        }
        let Some(kind) = kind.or_else(|| type_of(raw.peek("resource_type").as_str()?)) else {
            others.inject(id, raw, false);
            return;
        };
        if is_foreign(&raw, kind, self.project) {
            others.inject(id, raw, true);
            return;
        }
        others.note_names(raw.peek("refs"));
        let mut draft = node::draft(kind, id, raw, misfits);
        draft.texts.drain(..).for_each(&mut *self.code);
        pool.share_node(&mut draft.node);
        drafts.insert(draft.node.unique_id.clone(), draft);
    }
}

/// A public model of another project comes without a file and without code.
fn is_foreign(raw: &Raw, kind: ResourceType, project: Option<&str>) -> bool {
    let is_injected = raw.peek("original_file_path") == "" && raw.peek("package_name").as_str() != project;
    let may_be = matches!(kind, ResourceType::Model | ResourceType::Seed | ResourceType::Snapshot);
    may_be && project.is_some() && is_injected
}
