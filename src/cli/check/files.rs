//! What dbt's own files say of an environment.

use std::io::Write;

use super::Finding;
use crate::config::ArtifactsConfig;
use crate::origin::artifacts;
use crate::output::sanitize;

/// Says which files there are, of which dbt version and when, and what they can't tell.
pub(super) fn look(place: &ArtifactsConfig, out: &mut dyn Write) -> std::io::Result<Vec<Finding>> {
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
