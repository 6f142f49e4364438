//! run_results.json and sources.json: the last result of each node and the last check of each source, whatever command they are of.

use serde_json::{Value, json};

use super::members::Members;
use crate::answers::{Question, Row};
use crate::export::Error;
use crate::export::scope::{Beside, Part, Scope};
use crate::time::Timestamp;

const TESTS: Beside = ("tests", "unique_id");

pub(super) fn run_results(scope: &Scope<'_>, file: &mut Members<'_>) -> Result<(), Error> {
    file.list("results", |add| {
        let types = ["function", "model", "seed", "snapshot", "test", "unit_test"];
        scope.each(&types, &[TESTS], &mut |part| match part.row.text("last_run_status") {
            Some(status) => add(&result(part, status)),
            None => Ok(()),
        })
    })?;
    Ok(rest(file, json!({"which": "build"}))?)
}

fn result(part: &Part<'_>, status: &str) -> Value {
    let (row, test) = (part.row, part.all(TESTS).first());
    let at = row.get("last_run_at");
    let is_done = matches!(status, "success" | "pass");
    // The seconds that are kept of a node are those of its last success.
    let seconds = row.number("execution_seconds").filter(|_| is_done || test.is_some()).unwrap_or_default();
    json!({
        "unique_id": part.id, "status": status, "message": row.get("last_run_error"),
        "failures": test.map_or(&Value::Null, |test| test.get("failures")),
        "execution_time": seconds, "thread_id": "", "adapter_response": {}, "relation_name": row.get("relation_name"),
        "timing": [{"name": "execute", "started_at": at, "completed_at": at}],
        "compiled": null, "compiled_code": null,
    })
}

pub(super) fn sources(scope: &Scope<'_>, file: &mut Members<'_>) -> Result<(), Error> {
    let question = Question::of(Some(scope.id)).only("resource_type", &["source"]);
    let checks = scope.reader.rows("freshness", &question)?;
    file.list("results", |add| checks.iter().filter_map(check).try_for_each(|check| add(&check)))?;
    Ok(rest(file, json!({"which": "source-freshness"}))?)
}

/// What dbt writes where there was no row, as text and in milliseconds.
const NO_ROW: &str = "0001-01-01T00:00:00+00:00";
const NO_ROW_MILLIS: i64 = -62_135_596_800_000;

/// A check that found nothing has no times: dbt tells it apart.
fn check(row: Row<'_>) -> Option<Value> {
    let (id, status) = (row.str("unique_id"), row.text("checked_status")?);
    if row.get("checked_at").is_null() {
        return Some(json!({"unique_id": id, "status": "runtime error", "error": null}));
    }
    let after = |name: &str| match row.number(name) {
        Some(seconds) => json!({"count": (seconds / 60.0) as i64, "period": "minute"}),
        None => json!({"count": null, "period": null}),
    };
    Some(json!({
        "unique_id": id, "status": status, "max_loaded_at": row.text("max_loaded_at").unwrap_or(NO_ROW), "snapshotted_at": row.get("checked_at"),
        "criteria": {"warn_after": after("warn_after_seconds"), "error_after": after("error_after_seconds"), "filter": null},
        "max_loaded_at_time_ago_in_s": age(row), "adapter_response": {}, "timing": [], "thread_id": "",
        "execution_time": 0.0,
    }))
}

/// How old the newest row was when it was looked for.
fn age(row: Row<'_>) -> Option<f64> {
    let time = |name: &str| Timestamp::parse(row.str(name)).map(Timestamp::millis);
    Some((time("checked_at")? - time("max_loaded_at").unwrap_or(NO_ROW_MILLIS)) as f64 / 1000.0)
}

fn rest(file: &mut Members<'_>, args: Value) -> std::io::Result<()> {
    file.add("elapsed_time", &json!(0.0))?;
    file.add("args", &args)
}
