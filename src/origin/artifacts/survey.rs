//! What `check` tells of files: which there are, of which dbt version and when, and what is missing and so unknown.

use std::path::PathBuf;

use super::Error;
use super::files::{FileKind, Reader, find};
use super::metadata::ToItsEnd;
use super::read::wanted_project;
use super::results::ResultsParser;
use crate::config::ArtifactsConfig;
use crate::time::Timestamp;

/// The files of an environment, and what they can't tell.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Survey {
    /// Each file, by kind and path.
    pub files: Vec<Surveyed>,
    /// The project whose nodes are read.
    pub project_name: Option<String>,
    /// Its warehouse's adapter.
    pub adapter_type: Option<String>,
    /// What is missing, or of no use, and what is unknown therefore: one sentence each.
    pub notes: Vec<String>,
}

/// One file.
#[derive(Debug, Clone, PartialEq)]
pub struct Surveyed {
    /// Where it is.
    pub path: PathBuf,
    /// What it is.
    pub kind: FileKind,
    /// The version of dbt that wrote it.
    pub dbt_version: Option<String>,
    /// When.
    pub generated_at: Option<Timestamp>,
    /// Which command, where it says so.
    pub command: Option<String>,
    /// It is the manifest that says what there is.
    pub counts: bool,
}

/// Looks at the files, without their nodes.
///
/// # Errors
/// As reading them would fail.
pub fn survey(place: &ArtifactsConfig) -> Result<Survey, Error> {
    survey_at(place, Timestamp::now())
}

pub(super) fn survey_at(place: &ArtifactsConfig, now: Timestamp) -> Result<Survey, Error> {
    let nobody = |_: &'static str, _: u64, _: u64| {};
    let mut reader = Reader::new(&nobody);
    let mut survey = Survey::default();
    let mut manifests = Vec::new();
    let mut is_run = false;
    for found in find(place)? {
        let (metadata, command) = match found.kind {
            FileKind::RunResults => {
                let results = reader.read(&found.path, &mut ResultsParser { wants_code: &|_| false })?;
                is_run |= results.command() == super::results::Command::Runs;
                let command = results.which.map(|which| match which.as_str() {
                    "generate" => "docs generate".to_owned(),
                    _ => which,
                });
                (results.metadata, command)
            }
            _ => (reader.read(&found.path, &mut ToItsEnd)?, None),
        };
        survey.notes.extend(metadata.check(found.kind, &found.path)?);
        if found.kind == FileKind::Manifest {
            survey.notes.extend(metadata.of_future(&found.path, now));
        }
        survey.files.push(Surveyed {
            path: found.path,
            kind: found.kind,
            dbt_version: metadata.dbt_version.clone(),
            generated_at: metadata.generated_at,
            command,
            counts: false,
        });
        if found.kind == FileKind::Manifest {
            manifests.push((survey.files.len() - 1, metadata));
        }
    }
    let wanted = wanted_project(place, manifests.iter().map(|(_, metadata)| metadata))?;
    let of_project = manifests.iter().filter(|(_, metadata)| wanted.is_none() || metadata.project_name == wanted);
    if let Some((place, metadata)) = of_project.rev().max_by_key(|(_, metadata)| metadata.age(now)) {
        survey.files[*place].counts = true;
        survey.project_name.clone_from(&metadata.project_name);
        survey.adapter_type.clone_from(&metadata.adapter_type);
    }
    let has = |kind: FileKind| survey.files.iter().any(|file| file.kind == kind);
    let (has_catalog, has_sources) = (has(FileKind::Catalog), has(FileKind::Sources));
    if !has_catalog {
        survey.notes.push("no catalog.json: columns are unknown until `dbt docs generate` has run".to_owned());
    }
    if !has_sources {
        survey.notes.push("no sources.json: freshness is unknown until `dbt source freshness` has run".to_owned());
    }
    if !is_run {
        let note = "no results of a build or a test: each command of dbt writes over those of the one before, and what the first manifest holds is assumed to be built";
        survey.notes.push(note.to_owned());
    }
    Ok(survey)
}
