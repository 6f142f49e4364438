//! run_results.json and sources.json: what each command says that it did.

use std::fmt;

use serde::Deserializer;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use super::files::Parse;
use super::json::{EachSeed, Fit, Misfits, Raw, Shape};
use super::metadata::Metadata;
use super::place::place_of;
use crate::inventory::{UniqueId, shape};
use crate::origin::draft::clean;
use crate::time::Timestamp;

/// What a command tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Command {
    /// It builds, or tests: its results are results.
    Runs,
    /// It calls everything a success, and has only compiled it.
    Compiles,
    /// Nothing.
    Nothing,
}

impl Command {
    fn of(which: Option<&str>) -> Self {
        match which {
            None | Some("run" | "build" | "seed" | "snapshot" | "clone" | "retry" | "test") => Self::Runs,
            Some("generate" | "docs generate" | "docs" | "compile" | "show") => Self::Compiles,
            Some(_) => Self::Nothing,
        }
    }
}

/// The results of one file.
#[derive(Debug, Default)]
pub(super) struct Results {
    pub metadata: Metadata,
    /// `args.which`
    pub which: Option<String>,
    pub elapsed: Option<f64>,
    pub outcomes: Vec<Outcome>,
    /// Its results are a list, as they should be.
    pub has_list: bool,
    pub misfits: Misfits,
}

impl Results {
    pub(super) fn command(&self) -> Command {
        Command::of(self.which.as_deref())
    }
}

/// What became of one node.
#[derive(Debug, Clone)]
pub(super) struct Outcome {
    pub id: UniqueId,
    pub status: String,
    pub message: Option<String>,
    pub failures: Option<i64>,
    /// When its own execution ended.
    pub completed_at: Option<Timestamp>,
    pub seconds: Option<f64>,
    pub place: Option<String>,
    pub compiled: Option<String>,
    /// Of a freshness check.
    pub checked_at: Option<String>,
    pub max_loaded_at: Option<String>,
}

/// Reads a file of results. Compiled code is kept only of nodes that `wants_code` picks.
pub(super) struct ResultsParser<'a> {
    pub wants_code: &'a dyn Fn(&str) -> bool,
}

fn wanted(key: &str) -> Option<&'static str> {
    const KEYS: [&str; 11] = [
        "unique_id",
        "status",
        "timing",
        "execution_time",
        "message",
        "failures",
        "relation_name",
        "compiled_code",
        "snapshotted_at",
        "max_loaded_at",
        "error",
    ];
    KEYS.into_iter().find(|known| *known == key)
}

impl Parse for ResultsParser<'_> {
    type Out = Results;

    fn parse<'de, D: Deserializer<'de>>(&mut self, json: D) -> Result<Results, D::Error> {
        json.deserialize_map(Parts { wants_code: self.wants_code })
    }
}

struct Parts<'a> {
    wants_code: &'a dyn Fn(&str) -> bool,
}

impl<'de> Visitor<'de> for Parts<'_> {
    type Value = Results;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("results of dbt")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Results, A::Error> {
        let mut results = Results::default();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "metadata" => results.metadata = Metadata::of(&map.next_value()?),
                "elapsed_time" => results.elapsed = shape::float(&map.next_value()?),
                "args" => results.which = map.next_value::<Value>()?["which"].as_str().map(str::to_owned),
                "results" => {
                    let Results { outcomes, misfits, .. } = &mut results;
                    let mut each = |_: String, raw: Raw| {
                        outcomes.extend(outcome(raw, self.wants_code, misfits));
                        true
                    };
                    let shape = map.next_value_seed(EachSeed { wanted, each: &mut each })?;
                    results.has_list = shape == Shape::List;
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(results)
    }
}

fn outcome(mut raw: Raw, wants_code: &dyn Fn(&str) -> bool, misfits: &mut Misfits) -> Option<Outcome> {
    let id = clean(raw.take("unique_id").as_str()?.to_owned());
    let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(|text| clean(text.to_owned()));
    let steps = raw.peek("timing").as_array().into_iter().flatten();
    let execute = steps.filter(|step| step["name"] == "execute").find_map(|step| step["completed_at"].as_str());
    let completed_at = execute.and_then(Timestamp::parse);
    let mut fit = Fit { id: &id, misfits };
    let failures = fit.integer("failures", raw.peek("failures"));
    let seconds = fit.float("execution_time", raw.peek("execution_time"));
    let compiled = if wants_code(&id) { text(raw.peek("compiled_code")) } else { None };
    Some(Outcome {
        status: text(raw.peek("status")).unwrap_or_default(),
        message: text(raw.peek("message")).or_else(|| text(raw.peek("error"))),
        failures,
        completed_at,
        seconds,
        place: raw.peek("relation_name").as_str().and_then(place_of),
        compiled,
        checked_at: text(raw.peek("snapshotted_at")),
        max_loaded_at: text(raw.peek("max_loaded_at")),
        id: id.into(),
    })
}
