//! `lineaged check`: asks each environment one small question per document, and says in plain words what is wrong and what to do;
//! or looks whether the catalog's file is whole.

use std::io::Write;

use secrecy::ExposeSecret;

use super::{Exit, Files};
use crate::catalog;
use crate::config::{ArtifactsConfig, Need, OriginConfig, PlatformConfig};
use crate::origin::artifacts;
use crate::origin::discovery::{self, CheckReport, Client, Error, Kind, Limits, StateStamp};
use crate::output::sanitize;
use crate::sync::{self, Environment};
use crate::time::Timestamp;

#[derive(Debug, clap::Args)]
pub(super) struct Check {
    /// Read the catalog's file instead, and say whether it is whole
    #[arg(long)]
    integrity: bool,
}

impl Check {
    pub(super) fn run(self, files: &Files, out: &mut dyn Write) -> anyhow::Result<Exit> {
        if !self.integrity {
            return super::block_on(ask(files, out));
        }
        let path = files.load(Need::Reading)?.catalog.path;
        catalog::check_integrity(&path)?;
        writeln!(out, "{} is whole", path.display())?;
        Ok(Exit::Done)
    }
}

async fn ask(files: &Files, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let config = files.load(Need::Origins)?;
    writeln!(out, "the configuration is valid; the catalog is {}", config.catalog.path.display())?;
    let limits = Limits::new(config.concurrency(), 1);
    let mut exit = Exit::Done;
    for environment in sync::environments(&config)? {
        let Environment { id, config } = environment;
        let name = sanitize(&config.name);
        let findings = match &config.origin {
            OriginConfig::Discovery(platform) => {
                writeln!(out, "\n{name} (environment {id}) at {}", platform.access)?;
                writeln!(out, "  `lineaged serve` syncs next at {}", config.schedule.next_three())?;
                ask_platform(platform, &limits, out).await?
            }
            OriginConfig::Artifacts(files) => {
                let paths: Vec<String> = files.paths.iter().map(|path| path.display().to_string()).collect();
                writeln!(out, "\n{name} (environment {id}) in {}", sanitize(&paths.join(", ")))?;
                writeln!(out, "  `lineaged serve` syncs next at {}", config.schedule.next_three())?;
                look_at_files(files, out)?
            }
        };
        for Finding { wrong, text } in findings {
            writeln!(out, "  {} {}", if wrong { "✗" } else { "!" }, sanitize(&text))?;
            exit = if wrong { Exit::Failed } else { exit };
        }
    }
    Ok(exit)
}

async fn ask_platform(
    platform: &PlatformConfig,
    limits: &Limits,
    out: &mut dyn Write,
) -> std::io::Result<Vec<Finding>> {
    match Client::new(&platform.access, limits) {
        Ok(client) => {
            let report = discovery::check(&client, platform.platform_id).await;
            print_counts(&report, out)?;
            Ok(examine(platform, &report))
        }
        Err(error) => Ok(vec![Finding::wrong(error.to_string())]),
    }
}

/// Something to tell: either no sync can work, or one works but with less than there could be.
struct Finding {
    wrong: bool,
    text: String,
}

impl Finding {
    fn wrong(text: impl Into<String>) -> Self {
        Self { wrong: true, text: text.into() }
    }

    fn note(text: impl Into<String>) -> Self {
        Self { wrong: false, text: text.into() }
    }
}

/// Says which files there are, of which dbt version and when, and what they can't tell.
fn look_at_files(place: &ArtifactsConfig, out: &mut dyn Write) -> std::io::Result<Vec<Finding>> {
    let survey = match artifacts::survey(place) {
        Ok(survey) => survey,
        Err(error) => return Ok(vec![Finding::wrong(told(&error))]),
    };
    let unknown = || "unknown".to_owned();
    let (project, adapter) = (survey.project_name.unwrap_or_else(unknown), survey.adapter_type.unwrap_or_else(unknown));
    writeln!(out, "  project {} on {}", sanitize(&project), sanitize(&adapter))?;
    for file in &survey.files {
        let command = file.command.as_ref().map_or_else(String::new, |command| format!(" of `dbt {command}`"));
        let (version, at) = (file.dbt_version.clone().unwrap_or_else(unknown), file.generated_at);
        let at = at.map_or_else(unknown, |at| at.to_string());
        let what = format!("{}{command}, dbt {version}, {at}", file.kind.as_str());
        let path = file.path.display().to_string();
        writeln!(out, "  {}  {}", sanitize(&path), sanitize(&what))?;
    }
    Ok(survey.notes.into_iter().map(Finding::note).collect())
}

/// An error with its causes, in one line.
fn told(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |told, cause| format!("{told}: {cause}"))
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
