//! What each file says of itself, and whether it is what its name says.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::Deserializer;
use serde::de::{Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use super::Error;
use super::files::{FileKind, Parse};
use crate::config::EnvKeys;
use crate::inventory::{Age, Text, shape};
use crate::origin::draft::clean;
use crate::time::Timestamp;

/// The versions of the manifest whose every part is known.
const OLDEST: u32 = 4;
const NEWEST: u32 = 12;
/// The version of dbt v2's engine, which holds what the newest holds.
const ENGINE: u32 = 20;

/// The part `metadata` of a file.
#[derive(Debug, Clone, Default)]
pub(super) struct Metadata {
    pub schema: String,
    pub dbt_version: Option<String>,
    pub generated_at: Option<Timestamp>,
    pub started_at: Option<Timestamp>,
    pub project_name: Option<String>,
    pub adapter_type: Option<String>,
    pub invocation_id: Option<Text>,
    env: BTreeMap<String, String>,
}

impl Metadata {
    pub(super) fn of(value: &Value) -> Self {
        let said = |key: &str| shape::text(&value[key]).map(clean).filter(|text| !text.is_empty());
        let time = |key: &str| value[key].as_str().and_then(Timestamp::parse);
        let env = value["env"].as_object().into_iter().flatten();
        Self {
            schema: said("dbt_schema_version").unwrap_or_default(),
            dbt_version: said("dbt_version"),
            generated_at: time("generated_at"),
            started_at: time("invocation_started_at"),
            project_name: said("project_name"),
            adapter_type: said("adapter_type"),
            invocation_id: said("invocation_id").map(Text::from),
            env: env.filter_map(|(key, value)| Some((key.clone(), shape::text(value)?))).collect(),
        }
    }

    /// What the environment of the run says under this name: dbt leaves `DBT_ENV_CUSTOM_ENV_` out.
    fn env(&self, key: &Option<String>) -> Option<Text> {
        let key = key.as_deref()?;
        let bare = key.strip_prefix("DBT_ENV_CUSTOM_ENV_").unwrap_or(key);
        let found = self.env.get(bare).or_else(|| self.env.get(&format!("DBT_ENV_CUSTOM_ENV_{bare}")));
        found.filter(|value| !value.is_empty()).map(|value| clean(value.clone()).into())
    }

    pub(super) fn git_sha(&self, keys: &EnvKeys) -> Option<Text> {
        self.env(&keys.git_sha)
    }

    pub(super) fn job_name(&self, keys: &EnvKeys) -> Option<Text> {
        self.env(&keys.job_name)
    }

    pub(super) fn cause(&self, keys: &EnvKeys) -> Option<Text> {
        self.env(&keys.cause)
    }

    /// How young the file is by its own word.
    pub(super) fn age(&self, now: Timestamp) -> Age {
        Age::of(self.generated_at, now)
    }

    /// What to say of a manifest that is of the future.
    pub(super) fn of_future(&self, file: &Path, now: Timestamp) -> Option<String> {
        let Age::Future(at) = self.age(now) else { return None };
        Some(format!(
            "`{}` says that it was written at {at}, which has not come: it counts as older than any other manifest",
            file.display()
        ))
    }

    /// The version of the file's schema, if it is of this kind.
    fn version(&self, kind: FileKind) -> Option<u32> {
        let (_, version) = self.schema.split_once(kind.schema())?;
        version.strip_prefix('v')?.strip_suffix(".json")?.parse().ok()
    }

    /// Refuses a file that is something else, or too old. Returns a warning where it is newer than what is known.
    pub(super) fn check(&self, kind: FileKind, file: &Path) -> Result<Option<String>, Error> {
        let wanted = kind.as_str();
        let version = self.version(kind).ok_or_else(|| Error::Foreign { file: file.to_owned(), wanted })?;
        if kind != FileKind::Manifest {
            return Ok(None);
        }
        let is_engine = version == ENGINE || self.dbt_version.as_ref().is_some_and(|by| by.starts_with("2."));
        match version {
            found if found >= OLDEST && is_engine => Ok(Some(format!(
                "`{}` is written by the engine of dbt v2, in version {found}: what it has beyond version {NEWEST} is left out",
                file.display()
            ))),
            OLDEST..=NEWEST => Ok(None),
            found if found < OLDEST => Err(Error::Version { file: file.to_owned(), found }),
            newer => Ok(Some(format!(
                "`{}` is written in version {newer}, and {NEWEST} is the newest that is known here: what it has beyond that is left out",
                file.display()
            ))),
        }
    }
}

/// Reads `metadata` alone, and no further than that.
#[derive(Default)]
pub(super) struct Head(Option<Metadata>);

impl Parse for Head {
    type Out = Metadata;

    fn parse<'de, D: Deserializer<'de>>(&mut self, json: D) -> Result<Metadata, D::Error> {
        self.0 = None;
        json.deserialize_map(HeadVisitor(&mut self.0))
    }

    fn enough(&mut self) -> Option<Metadata> {
        self.0.take()
    }
}

/// Reads a file to its end, and keeps `metadata` alone.
pub(super) struct ToItsEnd;

impl Parse for ToItsEnd {
    type Out = Metadata;

    fn parse<'de, D: Deserializer<'de>>(&mut self, json: D) -> Result<Metadata, D::Error> {
        json.deserialize_map(Self)
    }
}

impl<'de> Visitor<'de> for ToItsEnd {
    type Value = Metadata;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("what dbt writes")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Metadata, A::Error> {
        let mut metadata = Metadata::default();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "metadata" => metadata = Metadata::of(&map.next_value()?),
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(metadata)
    }
}

struct HeadVisitor<'a>(&'a mut Option<Metadata>);

impl<'de> Visitor<'de> for HeadVisitor<'_> {
    type Value = Metadata;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("what dbt writes")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Metadata, A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            if key == "metadata" {
                *self.0 = Some(Metadata::of(&map.next_value()?));
                return Err(A::Error::custom("enough was read"));
            }
            map.next_value::<IgnoredAny>()?;
        }
        Ok(Metadata::default())
    }
}
