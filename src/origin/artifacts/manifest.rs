//! The manifest that says what there is: its sections, node by node.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserializer;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use super::externals::Others;
use super::files::Parse;
use super::json::{EachSeed, Keys, Misfits, Raw};
use super::metadata::Metadata;
use super::node::{self, type_of, wanted};
use crate::inventory::{Code, Pool, ResourceType, UniqueId};
use crate::origin::draft::Draft;

/// Whom source texts are told.
pub(super) type TellCode<'a> = &'a mut dyn FnMut(&Code, String);

/// What a manifest holds.
#[derive(Default)]
pub(super) struct Manifest {
    pub metadata: Metadata,
    pub drafts: BTreeMap<UniqueId, Draft>,
    /// It has its main section.
    pub has_nodes: bool,
    pub misfits: Misfits,
    /// Texts that nodes say again and again are held once.
    pub pool: Pool,
    others: Others,
}

impl Manifest {
    /// Adds the parents that are not the project's own.
    pub(super) fn resolve_parents(&mut self) {
        std::mem::take(&mut self.others).resolve(&mut self.drafts, &mut self.misfits);
    }
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
            let kind = match key.as_str() {
                "nodes" => None,
                "sources" => Some(ResourceType::Source),
                "exposures" => Some(ResourceType::Exposure),
                "metrics" => Some(ResourceType::Metric),
                "groups" => Some(ResourceType::Group),
                "semantic_models" => Some(ResourceType::SemanticModel),
                "saved_queries" => Some(ResourceType::SavedQuery),
                "unit_tests" => Some(ResourceType::UnitTest),
                "functions" => Some(ResourceType::Function),
                "metadata" => {
                    self.manifest.metadata = Metadata::of(&map.next_value()?);
                    continue;
                }
                "disabled" => {
                    self.manifest.others.disable(map.next_value::<Keys>()?.0);
                    continue;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            let mut each = |id: String, raw: Raw| {
                self.add(kind, id, raw);
                true
            };
            let is_section = map.next_value_seed(EachSeed { wanted, each: &mut each })?;
            self.manifest.has_nodes |= key == "nodes" && is_section;
        }
        Ok(self.manifest)
    }
}

impl Sections<'_> {
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
        for text in draft.texts.drain(..) {
            (self.code)(&text.code, text.text);
        }
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
