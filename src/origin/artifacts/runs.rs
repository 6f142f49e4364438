//! What of many invocations counts, and what became of each node in them: each result counts at its own end, and the newest wins.

use std::collections::{BTreeMap, HashMap};

use super::manifest::TellCode;
use super::older::Invocations;
use super::place::{is_same_place, place_of_node};
use super::results::{Command, Outcome, Results};
use crate::config::EnvKeys;
use crate::inventory::{Age, Check, Code, LastRun, ResourceType, Run, RunResult, Text, Told, UniqueId};
use crate::origin::CodeText;
use crate::origin::draft::{Draft, text, time};
use crate::time::Timestamp;

/// The nodes that results are told of, and what they come to.
pub(super) struct Runs<'a> {
    pub drafts: &'a mut BTreeMap<UniqueId, Draft>,
    pub invocations: &'a Invocations,
    pub keys: &'a EnvKeys,
    pub told: &'a mut Told,
    pub warnings: &'a mut Vec<String>,
    /// When the newest invocation that counts ended, and the commit that it ran.
    pub newest: Option<(Timestamp, Option<Text>)>,
    /// A result of later than this is older than any that is not.
    pub now: Timestamp,
}

/// The id of a run: dbt's, else when it wrote its results.
fn run_id(results: &Results) -> Option<Text> {
    let metadata = &results.metadata;
    metadata.invocation_id.clone().or_else(|| metadata.generated_at.map(|at| at.to_string().into()))
}

impl Runs<'_> {
    /// Takes the results of all files: those of one invocation are one run, wherever they lie.
    pub(super) fn tell(&mut self, files: Vec<Results>, code: TellCode<'_>) {
        let mut runs: BTreeMap<Text, Results> = BTreeMap::new();
        for file in files.into_iter().filter(|file| file.command() != Command::Nothing) {
            let Some(run_id) = run_id(&file) else { continue };
            match runs.get_mut(&run_id) {
                None => drop(runs.insert(run_id, file)),
                Some(known) => known.outcomes.extend(file.outcomes),
            }
        }
        let mut last: HashMap<UniqueId, Vec<RunResult>> = HashMap::new();
        for (run_id, mut run) in runs {
            self.keep_what_is_here(&run_id, &mut run);
            self.compiled_code(&run_id, &mut run, code);
            if run.command() != Command::Runs {
                continue;
            }
            let mut results: BTreeMap<UniqueId, RunResult> = BTreeMap::new();
            for outcome in std::mem::take(&mut run.outcomes) {
                if let Some(result) = self.result(&run_id, &run, outcome) {
                    results.insert(result.unique_id.clone(), result);
                }
            }
            if results.is_empty() {
                continue;
            }
            self.note_invocation(run_id, &run, results.values());
            for (id, result) in results {
                last.entry(id).or_default().push(result);
            }
        }
        for (id, mut results) in last {
            results.sort_by_key(|result| Age::of(result.completed_at, self.now));
            if let Some(draft) = self.drafts.get_mut(&id) {
                draft.node.last_run = last_run(&results);
            }
            self.told.history.results.append(&mut results);
        }
        self.told.history.results.sort_by(|a, b| (&a.unique_id, a.completed_at).cmp(&(&b.unique_id, b.completed_at)));
    }

    /// Leaves out what was built in another place than the node is in, and with it all that its invocation did there: tests name no
    /// relation.
    fn keep_what_is_here(&mut self, run_id: &Text, run: &mut Results) {
        let own = |outcome: &Outcome| self.drafts.get(&outcome.id).and_then(|draft| place_of_node(&draft.node));
        let elsewhere = run.outcomes.iter().find_map(|outcome| {
            let (place, own) = (outcome.place.as_ref()?, own(outcome)?);
            (!is_same_place(place, &own)).then(|| format!("`{place}`, and the manifest's `{}` in `{own}`", outcome.id))
        });
        let by_manifest = self.invocations.is_elsewhere.get(run_id).copied().unwrap_or_default();
        if elsewhere.is_none() && !by_manifest {
            return;
        }
        let before = run.outcomes.len();
        let is_here = |outcome: &Outcome| {
            let places = outcome.place.as_ref().zip(own(outcome));
            places.is_some_and(|(place, own)| is_same_place(place, &own))
        };
        let kept: Vec<Outcome> = run.outcomes.iter().filter(|outcome| is_here(outcome)).cloned().collect();
        let where_it_is = elsewhere.unwrap_or_else(|| "another place, as its own manifest says".to_owned());
        self.warnings.push(format!(
            "the invocation `{run_id}` ran in {where_it_is}: {} of its {before} results do not count",
            before - kept.len()
        ));
        run.outcomes = kept;
    }

    /// Compiled code that the manifest lacks, where the invocation's own manifest has the raw code of now.
    fn compiled_code(&mut self, run_id: &Text, run: &mut Results, code: TellCode<'_>) {
        for outcome in &mut run.outcomes {
            let Some(compiled) = outcome.compiled.take() else { continue };
            let Some(draft) = self.drafts.get_mut(&outcome.id) else { continue };
            let node = &mut draft.node;
            let raw = node.raw_code.as_ref().map(|raw| &raw.sha256);
            let had = self.invocations.raw.get(&(run_id.clone(), outcome.id.clone()));
            if node.compiled_code.is_none() && raw.is_some() && raw == had {
                let hash = Code::of(&compiled);
                node.compiled_code = Some(hash.clone());
                code(CodeText { node: outcome.id.clone(), is_compiled: true, code: hash, text: compiled });
            }
        }
    }

    fn result(&mut self, run_id: &Text, run: &Results, outcome: Outcome) -> Option<RunResult> {
        let draft = self.drafts.get_mut(&outcome.id)?;
        let is_test = match draft.node.resource_type {
            ResourceType::Test | ResourceType::UnitTest => true,
            ResourceType::Model | ResourceType::Seed | ResourceType::Snapshot | ResourceType::Function => false,
            _ => return None,
        };
        // A command that ran nothing calls a test so; and `test` is one that runs tests alone.
        if is_test && outcome.status == "success" || !is_test && run.which.as_deref() == Some("test") {
            return None;
        }
        let status = draft.status(Some(outcome.status))?;
        let is_shown = if is_test { matches!(&*status, "pass" | "warn" | "fail") } else { &*status != "skipped" };
        let completed_at = outcome.completed_at.or(run.metadata.generated_at);
        if is_shown {
            let known = self.told.built.entry(outcome.id.clone()).or_default();
            if Age::of(*known, self.now) < Age::of(completed_at, self.now) {
                *known = completed_at;
            }
        }
        let has_failed = matches!(&*status, "error" | "fail" | "warn");
        Some(RunResult {
            unique_id: outcome.id,
            run_id: run_id.clone(),
            completed_at,
            execution_seconds: outcome.seconds,
            error: text(outcome.message.filter(|_| has_failed)),
            failures: outcome.failures.filter(|_| is_test),
            status: Some(status),
        })
    }

    fn note_invocation<'r>(&mut self, run_id: Text, run: &Results, results: impl Iterator<Item = &'r RunResult>) {
        let metadata = &run.metadata;
        let finished_at = metadata.generated_at;
        let has_failed =
            results.map(|result| result.status.as_deref()).any(|status| matches!(status, Some("error" | "fail")));
        let began = || Some(finished_at?.plus_millis(-((run.elapsed? * 1000.0) as i64)));
        let git_sha = metadata.git_sha(self.keys);
        if let Some(at) = finished_at
            && self
                .newest
                .as_ref()
                .is_none_or(|(newest, _)| Age::of(Some(*newest), self.now) < Age::of(Some(at), self.now))
        {
            self.newest = Some((at, git_sha.clone()));
        }
        self.told.history.runs.push(Run {
            run_id,
            job_id: None,
            job_name: metadata.job_name(self.keys),
            status: Some(if has_failed { "error" } else { "success" }.into()),
            started_at: metadata.started_at.or_else(began),
            finished_at,
            duration_seconds: run.elapsed,
            git_sha,
            cause: metadata.cause(self.keys),
            error: None,
        });
    }

    /// What the newest check of each source said. One that failed as it ran has seen nothing: it counts at the end of its command, and has no
    /// time of its own, as over the API.
    pub(super) fn tell_checks(&mut self, files: Vec<Results>) {
        let mut checks: BTreeMap<(UniqueId, Timestamp), Check> = BTreeMap::new();
        for file in files {
            for outcome in file.outcomes {
                let Some(draft) = self.drafts.get_mut(&outcome.id) else { continue };
                if draft.node.resource_type != ResourceType::Source {
                    continue;
                }
                let checked_at = time(outcome.checked_at);
                let ended_at = checked_at.or(file.metadata.generated_at);
                let before = std::mem::take(&mut draft.node.freshness);
                draft.freshness(Some(outcome.status), None, outcome.max_loaded_at);
                draft.node.freshness.checked_at = checked_at;
                if let Some(at) = checked_at {
                    let check = Check { unique_id: outcome.id.clone(), check: draft.node.freshness.clone() };
                    checks.insert((outcome.id.clone(), at), check);
                }
                let known = self.told.checked.entry(outcome.id).or_default();
                if Age::of(*known, self.now) > Age::of(ended_at, self.now) {
                    draft.node.freshness = before;
                } else {
                    *known = ended_at;
                }
            }
        }
        self.told.history.checks = checks.into_values().collect();
    }
}

/// The last run of a node, of its results in the order of their ends.
fn last_run(results: &[RunResult]) -> LastRun {
    let Some(last) = results.last() else { return LastRun::default() };
    let success = results.iter().rev().find(|result| result.is_success());
    LastRun {
        status: last.status.clone(),
        attempt: last.status.clone(),
        at: last.completed_at,
        error: last.error.clone(),
        run_id: Some(last.run_id.clone()),
        job_id: None,
        failures: last.failures,
        executed_at: success.and_then(|success| success.completed_at),
        execution_seconds: success.and_then(|success| success.execution_seconds),
        success_run_id: success.map(|success| success.run_id.clone()),
    }
}
