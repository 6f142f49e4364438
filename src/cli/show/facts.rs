//! What a node is, where it is, who owns it, and how fresh it is: the upper part of the screen.

use std::io::Write;

use serde_json::{Map, Value};

use crate::answers::{Error, Found, Job, Overview, Reader, Row};
use crate::cli::reading::age;
use crate::output::{sanitize, write_facts};
use crate::time::Timestamp;

/// So many characters of a text are shown.
const LONG: usize = 600;
const SHORT: usize = 300;

/// Properties that are told elsewhere on the screen, or that say nothing to people.
const PROPERTIES_ELSEWHERE: [&str; 9] = [
    "attached_node",
    "column_name",
    "config",
    "freshness",
    "freshness_checked",
    "patch_path",
    "relation_type",
    "release_version",
    "stats",
];

/// What of dbt's configuration tells how a node is built or tested.
const CONFIG: [&str; 8] =
    ["unique_key", "incremental_strategy", "strategy", "check_cols", "updated_at", "severity", "where", "limit"];

/// The text or number in a column; nothing for NULL.
pub(super) fn get(row: Row<'_>, column: &str) -> Option<String> {
    match row.get(column) {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

pub(super) fn print(reader: &Reader, found: &Found, overview: &Overview, out: &mut dyn Write) -> anyhow::Result<()> {
    writeln!(out, "{} in {}", sanitize(&found.unique_id), sanitize(&found.environment))?;
    let Some(node) = overview.node.iter().next() else { return Ok(()) };
    let (freshness, health) = (reader.rows_of("freshness", found)?, reader.rows_of("health", found)?);
    let layer = get(node, "layer").map(|layer| format!("layer {layer}"));
    let mut facts: Vec<(&str, Option<String>)> = vec![
        ("", get(node, "description").map(|text| shortened(&text, LONG))),
        ("type", Some(kind(node))),
        ("where", place(node)),
        ("file", get(node, "file_path")),
        ("package", get(node, "package_name").map(|name| with(name, layer))),
        ("owner", owner(node)),
        ("terms", Some(terms(node))),
        ("tags", Some(brief(&node.json("tags")))),
        ("meta", Some(shortened(&brief(&node.json("meta")), SHORT))),
    ];
    let properties = properties(node);
    facts.extend(properties.iter().map(|(name, fact)| (name.as_str(), Some(fact.clone()))));
    facts.extend([
        ("last run", last_run(node, job(reader, found, node)?)),
        ("built", built(node)),
        ("fresh", freshness.iter().next().and_then(fresh)),
        ("health", health.iter().next().and_then(well)),
        ("known", known(node)),
    ]);
    let told =
        |(label, fact): (&'_ str, Option<String>)| Some((label.to_owned(), fact.filter(|fact| !fact.is_empty())?));
    let facts: Vec<(String, String)> = facts.into_iter().filter_map(told).collect();
    Ok(write_facts(&facts, out)?)
}

/// Since when it is known, and when it changed.
fn known(node: Row<'_>) -> Option<String> {
    let first = get(node, "first_seen_at")?;
    let last = get(node, "last_changed_at").filter(|last| *last != first);
    Some(with(format!("since {first}"), last.map(|last| format!("last changed {last}"))))
}

/// How it is, since when, and why.
fn well(health: Row<'_>) -> Option<String> {
    let status = get(health, "status")?;
    let status = get(health, "since").map_or(status.clone(), |since| format!("{status} since {since}"));
    let reasons: Vec<Value> = health.json("reasons");
    let sentences: Vec<&str> = reasons.iter().filter_map(|reason| reason["sentence"].as_str()).collect();
    Some(if sentences.is_empty() { status } else { format!("{status}: {}", sentences.join("; ")) })
}

/// `first, second`, or `first` alone.
fn with(first: String, second: Option<String>) -> String {
    second.map_or(first.clone(), |second| format!("{first}, {second}"))
}

fn kind(node: Row<'_>) -> String {
    let kind = get(node, "resource_type").unwrap_or_default();
    if kind == "external" {
        return "external: edges name it, and it was not read (another project's, perhaps)".to_owned();
    }
    let how = get(node, "materialization").filter(|how| *how != kind);
    let is_missing = node.number("is_applied") == Some(0.0);
    with(with(kind, how), is_missing.then(|| "defined but not built".to_owned()))
}

fn place(node: Row<'_>) -> Option<String> {
    let parts = ["database_name", "schema_name", "identifier"].map(|part| get(node, part));
    get(node, "relation_name").or_else(|| {
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        // An identifier alone is only the name again.
        (parts.len() > 1).then(|| parts.join("."))
    })
}

fn owner(node: Row<'_>) -> Option<String> {
    let email = get(node, "owner_email");
    let owner = match (get(node, "owner_name"), email) {
        (Some(name), Some(email)) => Some(format!("{name} <{email}>")),
        (name, email) => name.or(email),
    };
    let group = get(node, "group_name").map(|group| format!("group {group}"));
    match owner {
        Some(owner) => Some(with(owner, group)),
        None => group,
    }
}

/// What others may count on: access, contract, version, deprecation.
fn terms(node: Row<'_>) -> String {
    let version = get(node, "version").map(|version| match get(node, "latest_version") {
        Some(latest) if latest != version => format!("version {version} (the latest is {latest})"),
        _ => format!("version {version}"),
    });
    let access = get(node, "access").map(|access| format!("access {access}"));
    let contract = node.is("contract_enforced").then(|| "contract enforced".to_owned());
    let deprecation = get(node, "deprecation_date").map(|date| format!("deprecated from {date}"));
    [access, contract, version, deprecation].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// What only the node's type has, and what of its configuration tells how it is built.
fn properties(node: Row<'_>) -> Vec<(String, String)> {
    let Value::Object(properties) = node.json::<Value>("properties") else { return Vec::new() };
    let mut facts = Vec::new();
    let mut tested = properties.get("attached_node").map(brief).unwrap_or_default();
    if let Some(column) = properties.get("column_name").and_then(Value::as_str) {
        tested.push_str(&format!(", column {column}"));
    }
    facts.push(("tests".to_owned(), tested));
    for (name, value) in &properties {
        if name == "type" {
            facts.push(("kind".to_owned(), brief(value)));
        } else if name == "test_metadata" {
            facts.push(("test".to_owned(), test(value)));
        } else if !PROPERTIES_ELSEWHERE.contains(&name.as_str()) {
            facts.push((name.replace('_', " "), brief(value)));
        }
    }
    let config = properties.get("config").unwrap_or(&Value::Null);
    let chosen = CONFIG.iter().filter_map(|name| Some(((*name).to_owned(), config.get(name)?.clone())));
    facts.push(("config".to_owned(), brief(&Value::Object(chosen.collect()))));
    for (_, fact) in &mut facts {
        *fact = shortened(fact, SHORT);
    }
    facts
}

/// A generic test and its arguments but for those that are told elsewhere.
fn test(metadata: &Value) -> String {
    let mut arguments = metadata["kwargs"].clone();
    if let Value::Object(arguments) = &mut arguments {
        arguments.retain(|name, _| name != "model" && name != "column_name");
    }
    match brief(&arguments) {
        arguments if arguments.is_empty() => brief(&metadata["name"]),
        arguments => format!("{} ({arguments})", brief(&metadata["name"])),
    }
}

/// The job of the last run, if the platform tells of it.
fn job(reader: &Reader, found: &Found, node: Row<'_>) -> Result<Option<Job>, Error> {
    let job = node.int("last_job_id").map(|job_id| reader.job(found.environment_id, job_id));
    Ok(job.transpose()?.flatten())
}

fn last_run(node: Row<'_>, job: Option<Job>) -> Option<String> {
    let status = get(node, "last_run_status")?;
    let when = get(node, "last_run_at").map(|at| format!("{status} at {at}"));
    let run = get(node, "last_run_id").map(|run| format!("run {run}"));
    let number = get(node, "last_job_id");
    let text = match (job, run) {
        (Some(job), run) => with(when.unwrap_or(status), Some(of_job(run, &job))),
        (None, run) => with(with(when.unwrap_or(status), run), number.map(|job| format!("job {job}"))),
    };
    Some(match get(node, "last_run_error") {
        Some(error) => format!("{text}: {}", shortened(&error, SHORT)),
        None => text,
    })
}

/// `run 7 of job `Nightly` (5), which next runs at …`.
fn of_job(run: Option<String>, job: &Job) -> String {
    let name = job.name.as_ref().map(|name| format!("`{name}` ({})", job.job_id));
    let job_is = format!("job {}", name.unwrap_or(job.job_id.to_string()));
    let text = run.map_or(job_is.clone(), |run| format!("{run} of {job_is}"));
    match &job.next_run_at {
        Some(at) if Timestamp::parse(at).is_some_and(|at| at > Timestamp::now()) => {
            format!("{text}, which next runs at {at}")
        }
        Some(at) => format!("{text}, which was to run next at {at}"),
        None => text,
    }
}

fn built(node: Row<'_>) -> Option<String> {
    let at = get(node, "last_built_at")?;
    Some(with(at, node.number("execution_seconds").map(|seconds| format!("took {seconds:.1} s"))))
}

/// The row of `freshness` in words.
fn fresh(row: Row<'_>) -> Option<String> {
    let status = get(row, "status")?;
    let mut parts = vec![status.replace('_', " ")];
    let span = |column| row.number(column).map(age);
    parts.extend(span("age_seconds").map(|age| format!("the newest row is {age} old")));
    parts.extend(get(row, "checked_at").map(|at| format!("checked at {at}")));
    parts.extend(span("warn_after_seconds").map(|age| format!("warns after {age}")));
    parts.extend(span("error_after_seconds").map(|age| format!("fails after {age}")));
    parts.extend(get(row, "worst_upstream_id").map(|id| format!("because of {id}")));
    let oldest = get(row, "oldest_upstream_id").zip(get(row, "oldest_upstream_loaded_at"));
    parts.extend(oldest.map(|(id, at)| format!("the oldest data are {id}'s of {at}")));
    parts.extend(row.is("needs_run").then(|| "a parent is newer: it needs a run".to_owned()));
    Some(parts.join(", "))
}

/// A value in words: what says nothing (null, false, empty) is left out, and what has a name is called by it.
pub(super) fn brief(value: &Value) -> String {
    match value {
        Value::Null | Value::Bool(false) => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(list) => {
            let texts = list.iter().map(brief).filter(|text| !text.is_empty());
            texts.collect::<Vec<_>>().join(", ")
        }
        Value::Object(map) => match (map.get("name").map(brief).filter(|name| !name.is_empty()), pairs(map)) {
            (None, pairs) => pairs,
            (Some(name), pairs) if pairs.is_empty() => name,
            (Some(name), pairs) => format!("{name} ({pairs})"),
        },
        other => other.to_string(),
    }
}

/// A map in words, but for its name.
fn pairs(map: &Map<String, Value>) -> String {
    let mut pairs = Vec::new();
    for (name, value) in map.iter().filter(|(name, _)| *name != "name") {
        match (value, brief(value)) {
            (_, text) if text.is_empty() => {}
            (Value::Object(map), text) if !map.contains_key("name") => pairs.push(format!("{name} ({text})")),
            (_, text) => pairs.push(format!("{name}: {text}")),
        }
    }
    pairs.join("; ")
}

/// The beginning of a text, and how much was left out.
pub(in crate::cli) fn shortened(text: &str, most: usize) -> String {
    let text = text.trim();
    let left_out = text.chars().count().saturating_sub(most);
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}… ({left_out} more characters)", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_value_is_told_in_words_without_what_says_nothing() {
        for (value, expected) in [
            (
                json!({"owner": "ana", "tier": 1, "pii": true, "old": false, "none": null, "empty": [{}]}),
                "owner: ana; pii: true; tier: 1",
            ),
            (json!({"numerator": {"name": "revenue", "filter": null}}), "numerator: revenue"),
            (json!([{"name": "day", "type": "time"}, {"name": "id"}]), "day (type: time), id"),
            (json!({"a": {"b": [1, 2]}, "c": "d"}), "a (b: 1, 2); c: d"),
            (json!([]), ""),
        ] {
            assert_eq!(brief(&value), expected);
        }
    }

    #[test]
    fn a_shortened_text_says_how_much_is_missing() {
        assert_eq!(shortened(" äöü ", 3), "äöü");
        assert_eq!(shortened("äöüx", 2), "äö… (2 more characters)");
    }
}
