//! What runs left behind, as the API shows it: the warehouse's columns, the outcome of each node's last run, the freshness of
//! sources. All times pass through [`Shift`].

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::nodes::criteria;
use super::project::{Kind, Node, Project};
use crate::inventory::{Column, column_named, shape, unquoted};
use crate::time::Timestamp;

/// The one job of the platform that all runs here belong to.
pub(super) const JOB: i64 = 5_001;

/// How the platform writes "none" where a time is wanted.
const NO_TIME: &str = "0001-01-01T00:00:00.000Z";

/// The one constant by which all times of the artifacts move, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shift(i64);

impl Shift {
    pub(super) fn new(newest: Option<Timestamp>, now: Timestamp) -> Self {
        Self(newest.map_or(0, |newest| now.since(newest)))
    }

    pub(super) fn time(self, text: &str) -> Option<Timestamp> {
        Some(Timestamp::parse(text)?.plus_millis(self.0))
    }

    /// The time as the API writes it; the year 1 stays what it is.
    fn text(self, value: &Value) -> Value {
        match value.as_str() {
            Some(text) if text.starts_with("0001-") => NO_TIME.into(),
            Some(text) => self.time(text).map_or(Value::Null, |time| time.to_string().into()),
            None => Value::Null,
        }
    }
}

/// One run of dbt: who writes the results, and when.
pub(super) struct Run {
    pub id: i64,
    pub at: Option<Timestamp>,
    pub elapsed: Option<f64>,
    pub shift: Shift,
}

impl Run {
    fn at_text(&self) -> Value {
        self.at.map_or(Value::Null, |at| at.to_string().into())
    }
}

/// The newest time in a result.
pub(super) fn latest(result: &Map<String, Value>) -> Option<Timestamp> {
    let timing = result.get("timing").and_then(Value::as_array).into_iter().flatten();
    let completed = timing.map(|step| &step["completed_at"]).chain(result.get("snapshotted_at"));
    completed.filter_map(|time| Timestamp::parse(time.as_str()?)).max()
}

/// Gives nodes what catalog.json knows of them.
pub(super) fn apply_catalog(
    project: &mut Project,
    entries: impl Iterator<Item = (String, Value)>,
    yaml: &HashMap<String, Value>,
    run: &Run,
) {
    for (id, mut entry) in entries {
        let Some(node) = project.nodes.get_mut(&id).filter(|node| node.kind != Kind::External) else { continue };
        let mut part = |key: &str| entry.get_mut(key).map(Value::take).unwrap_or_default();
        let mut columns = columns(part("columns"), yaml.get(&id).unwrap_or(&Value::Null));
        columns.sort_by_key(|column| shape::integer(&column["index"]));
        let stats = match part("stats") {
            Value::Object(stats) => stats.into_iter().map(|(_, stat)| as_stat(stat)).collect(),
            _ => Vec::new(),
        };
        let stat = |names: &[&str]| {
            let found = stats.iter().find(|stat: &&Value| names.iter().any(|name| stat["id"] == *name));
            found.and_then(|stat| shape::float(&stat["value"])).map(|number| number as i64)
        };
        let metadata = &entry["metadata"];
        let catalog = json!({
            "type": metadata["type"], "owner": metadata["owner"], "comment": metadata["comment"],
            "rowCountStat": stat(&["row_count", "num_rows"]), "bytesStat": stat(&["bytes", "num_bytes"]),
            "runId": run.id, "jobDefinitionId": JOB, "runGeneratedAt": run.at_text(),
            "columns": columns, "stats": stats,
        });
        node.set("catalog", catalog);
    }
}

/// The warehouse's columns, each with what YAML says of it: under its own name, else in another case, if only this one can be meant.
fn columns(columns: Value, yaml: &Value) -> Vec<Value> {
    let Value::Object(columns) = columns else { return Vec::new() };
    let names: Vec<Column> =
        columns.keys().map(|name| Column { name: name.as_str().into(), ..Column::default() }).collect();
    let said = yaml.as_object().into_iter().flatten();
    let described: HashMap<String, &Value> = said
        .filter_map(|(name, said)| Some((column_named(&names, &unquoted(name))?.name.to_string(), name, said)))
        // Two spellings in YAML of one column: its own counts.
        .fold(HashMap::new(), |mut found, (column, name, said)| {
            if *name == column || !found.contains_key(&column) {
                found.insert(column, said);
            }
            found
        });
    let merged = columns.into_iter().map(|(key, column)| {
        let yaml = described.get(&key).copied().unwrap_or(&Value::Null);
        let or_config =
            |name: &str| if yaml[name].is_null() { yaml["config"][name].clone() } else { yaml[name].clone() };
        let tags = match or_config("tags") {
            Value::String(tag) => json!([tag]),
            tags => tags,
        };
        let name = if column["name"].is_string() { column["name"].clone() } else { key.into() };
        json!({
            "name": name, "index": column["index"], "type": column["type"], "comment": column["comment"],
            "description": yaml["description"], "meta": or_config("meta"), "tags": tags,
        })
    });
    merged.collect()
}

/// Gives nodes the outcome that run_results.json tells of them. A test that "succeeded" was not run: commands that run nothing call it so.
pub(super) fn apply_run(project: &mut Project, results: impl Iterator<Item = Map<String, Value>>, run: &Run) {
    for result in results {
        let node = result.get("unique_id").and_then(Value::as_str).and_then(|id| project.nodes.get_mut(id));
        let is_run = |kind: Kind| match kind {
            Kind::Test | Kind::UnitTest => result.get("status").is_none_or(|status| status != "success"),
            kind => kind.is_executed(),
        };
        if let Some(node) = node.filter(|node| is_run(node.kind)) {
            record(node, &Outcome::of(&result), &result, run);
        }
    }
}

/// A statistic with the types of the API's schema: old adapters write numbers where it has booleans.
fn as_stat(mut stat: Value) -> Value {
    if let Some(include) = stat["include"].as_f64() {
        // Its member was just read: it is a map.
        stat["include"] = (include != 0.0).into();
    }
    stat
}

/// What became of a node in a run.
#[derive(Debug, Clone, Default)]
pub(super) struct Outcome {
    pub status: String,
    pub message: Option<String>,
    pub failures: Option<i64>,
}

impl Outcome {
    fn of(result: &Map<String, Value>) -> Self {
        let text = |key: &str| result.get(key).and_then(Value::as_str).map(str::to_owned);
        let failures = result.get("failures").and_then(shape::integer);
        Self { status: text("status").unwrap_or_default(), message: text("message"), failures }
    }

    /// The platform's word. Models know three; tests keep dbt's.
    pub(super) fn word(&self, kind: Kind) -> &str {
        match self.status.as_str() {
            status if matches!(kind, Kind::Test | Kind::UnitTest) => status,
            "no-op" | "reused" | "warn" => "success",
            "partial success" | "runtime error" => "error",
            status => status,
        }
    }
}

/// Writes the outcome into the two clocks of `executionInfo`: the last attempt always, the last success only if it was one.
fn record(node: &mut Node, outcome: &Outcome, result: &Map<String, Value>, run: &Run) {
    let timing = |step: &str, key: &str| {
        let steps = result.get("timing").and_then(Value::as_array).into_iter().flatten();
        steps.filter(|it| it["name"] == step).map(|it| run.shift.text(&it[key])).next().unwrap_or(Value::Null)
    };
    let times = [
        ("compileStartedAt", timing("compile", "started_at")),
        ("compileCompletedAt", timing("compile", "completed_at")),
        ("executeStartedAt", timing("execute", "started_at")),
        ("executeCompletedAt", timing("execute", "completed_at")),
        ("executionTime", result.get("execution_time").cloned().unwrap_or_default()),
        ("runElapsedTime", run.elapsed.map_or(Value::Null, Value::from)),
    ];
    attempt(node, outcome, run.id, &run.at_text());
    if succeeded(node) {
        pin(node, run.id, &run.at_text(), times);
    }
}

/// The clock of the last attempt.
pub(super) fn attempt(node: &mut Node, outcome: &Outcome, run_id: i64, at: &Value) {
    let word = outcome.word(node.kind).to_owned();
    let is_test = matches!(node.kind, Kind::Test | Kind::UnitTest);
    let failed = matches!(word.as_str(), "error" | "fail" | "warn");
    let info = node.field_mut("executionInfo");
    info["lastRunId"] = run_id.into();
    info["lastJobDefinitionId"] = JOB.into();
    info["lastRunGeneratedAt"] = at.clone();
    info["lastRunError"] = outcome.message.clone().filter(|_| failed).map_or(Value::Null, Value::from);
    if is_test {
        info["lastRunFailures"] = outcome.failures.map_or(Value::Null, Value::from);
    }
    if node.kind == Kind::Seed {
        node.field_mut("executionInfo")["lastRunSkip"] = (word == "skipped").into();
    }
    if is_test {
        let is_known = matches!(word.as_str(), "pass" | "fail" | "warn" | "error" | "skipped");
        node.set("lastKnownResult", if is_known { word.clone().into() } else { Value::Null });
    }
    node.field_mut("executionInfo")["lastRunStatus"] = word.into();
}

/// Whether the last attempt is one that the clock of successes counts.
pub(super) fn succeeded(node: &Node) -> bool {
    matches!(node.field("executionInfo")["lastRunStatus"].as_str(), Some("success" | "pass" | "warn" | "reused"))
}

/// The clock of the last success.
pub(super) fn pin(node: &mut Node, run_id: i64, at: &Value, times: impl IntoIterator<Item = (&'static str, Value)>) {
    let info = node.field_mut("executionInfo");
    info["lastSuccessRunId"] = run_id.into();
    info["lastSuccessJobDefinitionId"] = JOB.into();
    info["runGeneratedAt"] = at.clone();
    for (key, value) in times {
        info[key] = value;
    }
}

/// Gives sources what sources.json found when it checked them.
pub(super) fn apply_freshness(project: &mut Project, checks: impl Iterator<Item = Map<String, Value>>, run: &Run) {
    for check in checks {
        let check = Value::Object(check);
        let node = check["unique_id"].as_str().and_then(|id| project.nodes.get_mut(id));
        let Some(node) = node.filter(|node| node.kind == Kind::Source) else { continue };
        let own = node.field("freshness")["criteria"].clone();
        let has_own = !own["warnAfter"].is_null() || !own["errorAfter"].is_null();
        let criteria = if has_own { own } else { criteria(&check["criteria"]) };
        node.set(
            "freshness",
            json!({
                "criteria": criteria, "freshnessChecked": true,
                "freshnessStatus": freshness_word(check["status"].as_str().unwrap_or_default()),
                "maxLoadedAt": run.shift.text(&check["max_loaded_at"]),
                "snapshottedAt": run.shift.text(&check["snapshotted_at"]),
                "maxLoadedAtTimeAgoInS": check["max_loaded_at_time_ago_in_s"],
                "freshnessRunId": run.id, "freshnessJobDefinitionId": JOB, "freshnessRunGeneratedAt": run.at_text(),
            }),
        );
    }
}

/// The platform's word for a source's status.
pub(super) fn freshness_word(status: &str) -> &'static str {
    match status {
        "pass" => "Pass",
        "warn" => "Warn",
        "error" | "runtime error" => "Error",
        "skipped" => "Skipped",
        _ => "Unknown",
    }
}
