//! The order of reading: which manifest counts, then its nodes, then what else tells of them.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Error;
use super::catalog::CatalogParser;
use super::files::{FileKind, Reader, find};
use super::manifest::{Manifest, ManifestParser, TellCode};
use super::metadata::{Head, Metadata};
use super::older::{Invocations, OlderParser};
use super::results::{Results, ResultsParser};
use super::runs::Runs;
use super::stamps::text_of;
use crate::config::ArtifactsConfig;
use crate::inventory::{Age, EnvironmentFacts, Reading, ResourceType, Told, UniqueId};
use crate::origin::CodeText;
use crate::origin::assembly::Assembly;
use crate::origin::draft::Draft;
use crate::time::Timestamp;

/// What the files came to.
#[derive(Debug)]
pub struct Read {
    /// All that they tell.
    pub reading: Reading,
    /// The text to remember of exactly the bytes that were read. Where a file is of the future, one that no files equal.
    pub stamps: String,
    /// How many those were.
    pub bytes: u64,
}

/// Reads all files of an environment. `code` is told each source text as it comes; a file that is read again tells its texts again.
/// What is stamped later than `now` is of a wrong clock, and counts as old. `progress` is called with the kind of the files, how many are read, and how many there are.
///
/// # Errors
/// If there is no manifest, or a file is not whole, not dbt's, or moves whenever it is read. What is known stays as it is.
pub fn read(
    place: &ArtifactsConfig,
    now: Timestamp,
    code: &mut dyn FnMut(CodeText),
    progress: &dyn Fn(&'static str, u64, u64),
) -> Result<Read, Error> {
    let mut reader = Reader::new(progress);
    let found = find(place)?;
    let of = |kind: FileKind| found.iter().filter(move |file| file.kind == kind).map(|file| &*file.path).collect();
    let (newest, older) = manifests(&mut reader, place, now, of(FileKind::Manifest))?;
    let mut manifest = newest_manifest(&mut reader, &newest, code)?;
    let mut told = Told { untold: manifest.untold_types(), ..Told::default() };
    let mut warnings = std::mem::take(&mut reader.warnings);
    let invocations = older_manifests(&mut reader, older, &mut manifest, code)?;
    let catalogued_at = catalogs(&mut reader, now, of(FileKind::Catalog), &mut manifest, &mut told, &mut warnings)?;
    let wanting = |drafts: &BTreeMap<UniqueId, Draft>, id: &str| drafts.get(id).is_some_and(lacks_code);
    let wants_code = |id: &str| wanting(&manifest.drafts, id);
    let results = files_of_results(&mut reader, now, FileKind::RunResults, of(FileKind::RunResults), &wants_code)?;
    let checks = files_of_results(&mut reader, now, FileKind::Sources, of(FileKind::Sources), &|_| false)?;
    let checked_at = checks.iter().map(|file| file.metadata.generated_at).max_by_key(|at| Age::of(*at, now)).flatten();
    let mut runs = Runs {
        drafts: &mut manifest.drafts,
        invocations: &invocations,
        keys: &place.env_keys,
        told: &mut told,
        warnings: &mut warnings,
        newest: None,
        now,
    };
    runs.tell(results, code);
    runs.tell_checks(checks);
    let ran = runs.newest;
    let environment = EnvironmentFacts {
        project_name: manifest.metadata.project_name.clone(),
        adapter_type: manifest.metadata.adapter_type.clone(),
        applied_at: [catalogued_at, checked_at, ran.as_ref().map(|(at, _)| *at)]
            .into_iter()
            .max_by_key(|at| Age::of(*at, now))
            .flatten(),
        definition_at: manifest.metadata.generated_at,
        git_sha: ran.and_then(|(_, sha)| sha).map(|sha| sha.to_string()),
    };
    warnings.append(&mut reader.warnings);
    let reading = assemble(manifest, environment, told, warnings);
    let files = if reader.saw_future { BTreeMap::new() } else { std::mem::take(&mut reader.stamps) };
    Ok(Read { reading, stamps: text_of(place, files), bytes: reader.bytes })
}

/// Whether compiled code of a node may still be found.
fn lacks_code(draft: &Draft) -> bool {
    draft.node.raw_code.is_some() && draft.node.compiled_code.is_none()
}

/// A manifest, by what it says of itself.
pub(super) struct Headed {
    pub path: PathBuf,
    pub metadata: Metadata,
}

/// The newest manifest of the project, and those that are older, newest first.
fn manifests(
    reader: &mut Reader<'_>,
    place: &ArtifactsConfig,
    now: Timestamp,
    paths: Vec<&Path>,
) -> Result<(Headed, Vec<Headed>), Error> {
    let mut headed = Vec::new();
    for path in paths {
        let metadata = reader.head(path, &mut Head::default())?;
        let warning = metadata.check(FileKind::Manifest, path)?;
        headed.push((Headed { path: path.to_owned(), metadata }, warning));
    }
    let mut of_project = Vec::new();
    let wanted = wanted_project(place, headed.iter().map(|(headed, _)| &headed.metadata))?;
    for (headed, warning) in headed {
        if wanted.is_none() || headed.metadata.project_name == wanted {
            reader.saw_future |= headed.metadata.age(now).is_future();
            reader.warnings.extend(headed.metadata.of_future(&headed.path, now));
            of_project.push((headed, warning));
        } else {
            // Of another project that lies beside: remembered, so that the probe knows it.
            reader.skip(&headed.path)?;
        }
    }
    of_project.sort_by_key(|(headed, _)| Reverse(headed.metadata.age(now)));
    let mut of_project = of_project.into_iter();
    let Some((newest, warning)) = of_project.next() else {
        let paths: Vec<String> = place.paths.iter().map(|path| format!("`{}`", path.display())).collect();
        return Err(Error::NoManifest { paths: paths.join(", ") });
    };
    reader.warnings.extend(warning);
    Ok((newest, of_project.map(|(older, _)| older).collect()))
}

/// The project that counts, where manifests name theirs (version 10 and later do).
pub(super) fn wanted_project<'m>(
    place: &ArtifactsConfig,
    heads: impl Iterator<Item = &'m Metadata>,
) -> Result<Option<String>, Error> {
    let mut names: Vec<&str> = heads.filter_map(|metadata| metadata.project_name.as_deref()).collect();
    names.sort_unstable();
    names.dedup();
    match &place.project {
        Some(wanted) if names.contains(&wanted.as_str()) => return Ok(Some(wanted.clone())),
        // None says which project it is of.
        Some(_) if names.is_empty() => return Ok(None),
        None if names.len() < 2 => return Ok(None),
        _ => {}
    }
    let named: Vec<String> = names.iter().map(|name| format!("the project `{name}`")).collect();
    Err(Error::Projects { found: named.join(" and ") })
}

fn newest_manifest(reader: &mut Reader<'_>, newest: &Headed, code: TellCode<'_>) -> Result<Manifest, Error> {
    (reader.progress)("manifest", 0, 1);
    let mut parser = ManifestParser { project: newest.metadata.project_name.as_deref(), code };
    let mut manifest = reader.read(&newest.path, &mut parser)?;
    if !manifest.has_nodes {
        return Err(Error::NoNodes { file: newest.path.clone() });
    }
    let file = newest.path.display();
    reader.warnings.extend(manifest.untold.iter().map(|section| {
        format!("`{section}` of `{file}` is no map: what it holds is unknown, and what was known of that stays")
    }));
    manifest.resolve_parents();
    (reader.progress)("manifest", 1, 1);
    Ok(manifest)
}

fn older_manifests(
    reader: &mut Reader<'_>,
    older: Vec<Headed>,
    manifest: &mut Manifest,
    code: TellCode<'_>,
) -> Result<Invocations, Error> {
    let mut invocations = Invocations::default();
    if let Some(invocation) = &manifest.metadata.invocation_id {
        let lacking = manifest.drafts.values().filter(|draft| lacks_code(draft));
        let raw = lacking.filter_map(|draft| {
            let raw = draft.node.raw_code.as_ref()?.sha256.clone();
            Some(((invocation.clone(), draft.node.unique_id.clone()), raw))
        });
        invocations.raw.extend(raw);
    }
    let total = older.len() as u64;
    for (done, file) in (1..).zip(older) {
        let invocation = file.metadata.invocation_id;
        let (drafts, invocations) = (&mut manifest.drafts, &mut invocations);
        let mut parser = OlderParser { invocation, drafts, invocations, code: &mut *code };
        reader.read(&file.path, &mut parser)?;
        (reader.progress)("older manifests", done, total);
    }
    if let Some(invocation) = &manifest.metadata.invocation_id {
        // A copy of it is no other place.
        invocations.is_elsewhere.remove(invocation);
    }
    Ok(invocations)
}

/// Reads catalogs, the newest first. Returns when the newest was made.
fn catalogs(
    reader: &mut Reader<'_>,
    now: Timestamp,
    paths: Vec<&Path>,
    manifest: &mut Manifest,
    told: &mut Told,
    warnings: &mut Vec<String>,
) -> Result<Option<Timestamp>, Error> {
    let mut headed = Vec::new();
    for path in paths {
        let metadata = reader.head(path, &mut Head::default())?;
        metadata.check(FileKind::Catalog, path)?;
        reader.saw_future |= metadata.age(now).is_future();
        headed.push(Headed { path: path.to_owned(), metadata });
    }
    headed.sort_by_key(|file| Reverse(file.metadata.age(now)));
    let newest = headed.first().and_then(|file| file.metadata.generated_at);
    let total = headed.len() as u64;
    for (done, file) in (1..).zip(headed) {
        let Manifest { drafts, misfits, pool, .. } = manifest;
        let mut parser = CatalogParser {
            at: file.metadata.generated_at,
            drafts,
            told,
            misfits,
            pool,
            warnings: &mut *warnings,
            applied: Vec::new(),
        };
        reader.read(&file.path, &mut parser)?;
        (reader.progress)("catalogs", done, total);
    }
    Ok(newest)
}

fn files_of_results(
    reader: &mut Reader<'_>,
    now: Timestamp,
    kind: FileKind,
    paths: Vec<&Path>,
    wants_code: &dyn Fn(&str) -> bool,
) -> Result<Vec<Results>, Error> {
    let total = paths.len() as u64;
    let mut files = Vec::new();
    for (done, path) in (1..).zip(paths) {
        let mut results = reader.read(path, &mut ResultsParser { wants_code })?;
        results.metadata.check(kind, path)?;
        reader.saw_future |= results.metadata.age(now).is_future();
        if !results.has_list {
            let warning = format!("`results` of `{}` is no list: what the command did is unknown", path.display());
            reader.warnings.push(warning);
            results.outcomes.clear();
        }
        reader.warnings.extend(std::mem::take(&mut results.misfits).warnings());
        files.push(results);
        (reader.progress)(kind.as_str(), done, total);
    }
    Ok(files)
}

fn assemble(manifest: Manifest, environment: EnvironmentFacts, told: Told, warnings: Vec<String>) -> Reading {
    let Manifest { drafts, misfits, pool, .. } = manifest;
    let mut assembly = Assembly::default();
    assembly.warn(warnings);
    assembly.warn(misfits.warnings());
    // The ids of a map are unique, and that is all that adding them can fail at.
    let _ = assembly.add(drafts.into_values().collect());
    let mut reading = assembly.finish(environment.project_name.as_deref());
    for node in reading
        .inventory
        .nodes
        .values_mut()
        .map(Arc::make_mut)
        .filter(|node| node.resource_type == ResourceType::External)
    {
        node.is_applied = None;
    }
    reading.inventory.environment = environment;
    (reading.told, reading.pool) = (Some(told), pool);
    reading
}
