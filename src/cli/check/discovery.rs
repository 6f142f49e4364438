//! What the Discovery API says of an environment: how much there is of each type, how old it is, and what is wrong.

use std::io::Write;

use secrecy::ExposeSecret;

use super::Finding;
use super::row::State;
use crate::config::PlatformConfig;
use crate::origin::discovery::{self, CheckReport, Client, Error, Kind, Limits, StateStamp};
use crate::output::sanitize;
use crate::time::Timestamp;

/// Asks an environment of the platform, prints what it holds, and says whether it is reached and what is wrong.
pub(super) async fn ask(
    platform: &PlatformConfig,
    limits: &Limits,
    out: &mut dyn Write,
) -> std::io::Result<(State, Vec<Finding>)> {
    match Client::new(&platform.access, limits) {
        Ok(client) => {
            let report = discovery::check(&client, platform.platform_id).await;
            print_counts(&report, out)?;
            Ok((state(&report), examine(platform, &report)))
        }
        Err(error) => Ok((State::Failed, vec![Finding::wrong(error.to_string())])),
    }
}

fn state(report: &CheckReport) -> State {
    match report.stamps.as_ref().map_err(Error::kind) {
        Ok(_) => State::Reached,
        Err(Kind::Unauthorized { .. }) => State::Refused,
        Err(_) => State::Failed,
    }
}

fn print_counts(report: &CheckReport, out: &mut dyn Write) -> std::io::Result<()> {
    let Ok(stamps) = &report.stamps else { return Ok(()) };
    let unknown = || "unknown".to_owned();
    let project = stamps.project_name.clone().unwrap_or_else(unknown);
    let adapter = stamps.adapter_type.clone().unwrap_or_else(unknown);
    writeln!(out, "  project {} on {}", sanitize(&project), sanitize(&adapter))?;
    for (state, stamp) in [("applied", &stamps.applied), ("definition", &stamps.definition)] {
        let at = match stamp {
            None => "there is none".to_owned(),
            Some(stamp) => stamp.last_updated_at.clone().unwrap_or_else(unknown),
        };
        writeln!(out, "  {state} state, last updated: {}", sanitize(&at))?;
    }
    for document in &report.documents {
        if let Ok(Some(total)) = document.outcome {
            writeln!(out, "  {:<20} {total:>8}", document.resource)?;
        }
    }
    Ok(())
}

fn examine(platform: &PlatformConfig, report: &CheckReport) -> Vec<Finding> {
    let mut findings = Vec::new();
    let stamps = match &report.stamps {
        Ok(stamps) => stamps,
        Err(error) => {
            findings.push(Finding::wrong(error.to_string()));
            findings.extend(about_token(platform, Some(error)));
            return findings;
        }
    };
    findings.extend(about_token(platform, None));
    let idle =
        "is the environment marked production or staging (its settings, deployment type), and has a job run in it?";
    match (&stamps.applied, &stamps.definition) {
        (None, None) => findings.push(Finding::wrong(format!("the environment has no state at all: {idle}"))),
        (None, Some(_)) => findings.push(Finding::wrong(format!("the environment has no applied state: {idle}"))),
        (Some(applied), definition) => {
            findings.extend(about_age(applied, idle));
            if definition.is_none() {
                let text = "the environment has no definition state: metrics, semantic models, saved queries and groups are not read";
                findings.push(Finding::note(text));
            }
        }
    }
    let failed = report.documents.iter().filter_map(|document| document.outcome.as_ref().err());
    findings.extend(failed.map(|error| Finding::wrong(error.to_string())));
    for field in &report.missing_fields {
        let text =
            format!("this server does not know the field `{field}`: it is left out, and what is stored of it stays");
        findings.push(Finding::note(text));
    }
    if report.catalog_seen == Some(false) {
        let text = "no model has columns: switch on \"Generate docs on run\" in a job of this environment";
        findings.push(Finding::note(text));
    }
    if report.freshness_checked == Some(0) && has_sources(report) {
        let text = "no source has a freshness check: run `dbt source freshness` in a job of this environment";
        findings.push(Finding::note(text));
    }
    findings
}

fn has_sources(report: &CheckReport) -> bool {
    report.documents.iter().any(|document| document.resource == "sources" && matches!(document.outcome, Ok(Some(1..))))
}

fn about_age(applied: &StateStamp, idle: &str) -> Option<Finding> {
    let Some(text) = &applied.last_updated_at else {
        return Some(Finding::note(format!("the applied state was never updated: {idle}")));
    };
    let days = Timestamp::now().since(Timestamp::parse(text)?) / 86_400_000;
    (days >= 30).then(|| {
        Finding::note(format!(
            "the applied state is {days} days old, and the platform forgets idle environments: {idle}"
        ))
    })
}

/// What can be told from the look of the token, without showing it.
fn about_token(platform: &PlatformConfig, error: Option<&Error>) -> Option<Finding> {
    let token = platform.access.token.as_ref()?.expose_secret();
    if ["Bearer ", "Token "].iter().any(|word| token.starts_with(word)) {
        return Some(Finding::wrong("the token begins with `Bearer` or `Token`: leave that word out, it is added"));
    }
    if token.starts_with("dbtu_") {
        let text = "this is a personal token, which ends with its owner's access: make a service token with the permission set \
                    Metadata Only (on Starter plans a personal token is the only way)";
        return Some(Finding::note(text));
    }
    let refused = matches!(error.map(Error::kind), Some(Kind::Unauthorized { .. }));
    (refused && !token.starts_with("dbtc_"))
        .then(|| Finding::wrong("the token does not begin with `dbtc_` or `dbtu_`: was it copied without its prefix?"))
}
