//! What files told, folded into what is stored: each command of dbt writes of what it was to do, so runs add up, and what a file leaves out
//! keeps what is known of it. Keeping that is the rule of files, and no doubt.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use super::carry::with_catalog_properties;
use crate::inventory::{
    Age, Column, FreshnessCheck, Inventory, Json, LastRun, Node, ResourceType, Told, UniqueId, merged_columns,
};
use crate::time::Timestamp;

/// Completes `read` with what `stored` knows. Returns what the user should know of it.
pub(super) fn fold(read: &mut Inventory, stored: &Inventory, told: &Told, now: Timestamp) -> Vec<String> {
    let is_first =
        stored.environment.definition_at.is_none() && !stored.nodes.values().any(|node| has_to_be_built(node));
    for (id, node) in &mut read.nodes {
        let node = Arc::make_mut(node);
        let old = stored.nodes.get(id).filter(|old| old.resource_type != ResourceType::External);
        if let Some(old) = old {
            node.last_run = newer_run(std::mem::take(&mut node.last_run), &old.last_run, now);
            let ended_at = told.checked.get(id).copied();
            node.freshness = newer_check(std::mem::take(&mut node.freshness), ended_at, &old.freshness, now);
            if node.compiled_code.is_none() && node.raw_code == old.raw_code && node.raw_code.is_some() {
                node.compiled_code.clone_from(&old.compiled_code);
            }
        }
        note_check(node);
        fold_columns(node, old.map(|old| &**old), told, now);
    }
    keep_untold(read, stored, told);
    fold_environment(read, stored, told, now);
    if is_first {
        return assumed(read, told).into_iter().collect();
    }
    settle_applied(read, stored, told, now);
    Vec::new()
}

/// Nodes of the section `nodes`, which nothing but results and the catalog show to be there.
fn has_to_be_built(node: &Node) -> bool {
    matches!(node.resource_type, ResourceType::Model | ResourceType::Seed | ResourceType::Snapshot)
}

/// A section of the manifest that could not be read says nothing: what it held stays as it is, also where something else names it.
fn keep_untold(read: &mut Inventory, stored: &Inventory, told: &Told) {
    let untold = stored.nodes.iter().filter(|(_, node)| told.untold.contains(&node.resource_type));
    for (id, old) in untold {
        if read.nodes.get(id).is_none_or(|node| node.resource_type == ResourceType::External) {
            read.nodes.insert(id.clone(), old.clone());
        }
    }
}

/// The newer of two clocks, attempt and success apart. The same invocation told twice is told by the later read.
fn newer_run(read: LastRun, stored: &LastRun, now: Timestamp) -> LastRun {
    let is_later = |new: Option<Timestamp>, old| new.is_some() && Age::of(new, now) >= Age::of(old, now);
    let nothing_stored = stored.at.is_none() && stored.attempt.is_none();
    let attempt_is_new = is_later(read.at, stored.at) || nothing_stored;
    let success_is_new = is_later(read.executed_at, stored.executed_at);
    let attempt = if attempt_is_new { &read } else { stored };
    let success = if success_is_new { &read } else { stored };
    LastRun {
        status: attempt.status.clone(),
        attempt: attempt.attempt.clone(),
        at: attempt.at,
        error: attempt.error.clone(),
        run_id: attempt.run_id.clone(),
        job_id: attempt.job_id,
        failures: attempt.failures,
        executed_at: success.executed_at,
        execution_seconds: success.execution_seconds,
        success_run_id: success.success_run_id.clone(),
    }
}

/// `ended_at`: when the check that was read ended, if one was; one that failed as it ran tells no time itself.
fn newer_check(
    read: FreshnessCheck,
    ended_at: Option<Option<Timestamp>>,
    stored: &FreshnessCheck,
    now: Timestamp,
) -> FreshnessCheck {
    match ended_at {
        Some(ended_at) if Age::of(ended_at, now) >= Age::of(stored.checked_at, now) => read,
        _ => stored.clone(),
    }
}

/// Whether a source was ever checked, which is known also where this time no file says so.
fn note_check(node: &mut Node) {
    if node.resource_type == ResourceType::Source && node.freshness != FreshnessCheck::default() {
        set_property(node, "freshness_checked", Value::Bool(true));
    }
}

fn set_property(node: &mut Node, name: &str, value: Value) {
    if let Value::Object(mut properties) = node.properties.value()
        && properties.get(name) != Some(&value)
    {
        properties.insert(name.to_owned(), value);
        node.properties = Json::new(&Value::Object(properties));
    }
}

/// Columns as the catalog has them, else as they were in the last one that named the node; and those that are declared alone.
fn fold_columns(node: &mut Node, old: Option<&Node>, told: &Told, now: Timestamp) {
    let built_at = node.last_run.executed_at;
    if node.materialization.as_deref() == Some("ephemeral") {
        node.columns.retain(|column| column.in_warehouse != Some(true));
        return;
    }
    let is_current = match (told.catalogued.get(&node.unique_id), old) {
        (Some(at), _) => built_at.is_none() || Age::of(*at, now) >= Age::of(built_at, now),
        (None, Some(old)) => {
            let in_warehouse = old.columns.iter().filter(|column| column.in_warehouse == Some(true));
            let kept: Vec<Column> = in_warehouse.cloned().collect();
            if !kept.is_empty() {
                node.columns = merged_columns(kept, std::mem::take(&mut node.columns));
            }
            if node.properties != old.properties {
                node.properties = with_catalog_properties(&node.properties, &old.properties);
            }
            let was_current = old.columns.iter().any(|column| column.in_warehouse == Some(false));
            was_current && old.last_run.executed_at == built_at
        }
        (None, None) => false,
    };
    for column in node.columns.iter_mut().filter(|column| column.in_warehouse != Some(true)) {
        column.in_warehouse = is_current.then_some(false);
    }
    node.normalize();
}

fn fold_environment(read: &mut Inventory, stored: &Inventory, told: &Told, now: Timestamp) {
    let (new, old) = (&mut read.environment, &stored.environment);
    if told.untold.contains(&ResourceType::Model) {
        // It was no manifest of the models: the first that is one still counts as the first.
        new.definition_at = old.definition_at;
    }
    let is_older = Age::of(new.applied_at, now) < Age::of(old.applied_at, now);
    if new.git_sha.is_none() || is_older {
        new.git_sha.clone_from(&old.git_sha);
    }
    if is_older {
        new.applied_at = old.applied_at;
    }
    for (new, old) in [(&mut new.project_name, &old.project_name), (&mut new.adapter_type, &old.adapter_type)] {
        if new.is_none() {
            new.clone_from(old);
        }
    }
}

/// Of the first manifest everything is taken as built, and that is said: a later command may have written over the results of the build.
fn assumed(read: &Inventory, told: &Told) -> Option<String> {
    let is_assumed = |node: &&Arc<Node>| {
        let is_run = matches!(
            node.resource_type,
            ResourceType::Model | ResourceType::Seed | ResourceType::Snapshot | ResourceType::Function
        );
        let is_ephemeral = node.materialization.as_deref() == Some("ephemeral");
        is_run && !is_ephemeral && node.is_applied == Some(true) && !told.built.contains_key(&node.unique_id)
    };
    let mut assumed = read.nodes.values().filter(is_assumed);
    let first = &assumed.next()?.unique_id;
    let others = match assumed.count() {
        0 => String::new(),
        count => format!(" and {count} more"),
    };
    Some(format!(
        "no result and no catalog.json shows `{first}`{others} to be built: what the first manifest holds is assumed to be"
    ))
}

/// What was applied stays so while the manifest has it; what came later has to be shown to be there. Ephemeral nodes follow their children.
fn settle_applied(read: &mut Inventory, stored: &Inventory, told: &Told, now: Timestamp) {
    let waits = |node: &Node| {
        let was = stored.nodes.get(&node.unique_id).and_then(|old| old.is_applied);
        let is_with_manifest = matches!(node.resource_type, ResourceType::Source | ResourceType::Exposure);
        node.is_applied == Some(true)
            && was != Some(true)
            && !is_with_manifest
            && !told.built.contains_key(&node.unique_id)
    };
    let mut waiting: BTreeSet<UniqueId> =
        read.nodes.values().filter(|node| waits(node)).map(|node| node.unique_id.clone()).collect();
    if waiting.is_empty() {
        return;
    }
    // A test that looked at a relation has found it; but what it looked at before the node came was another.
    let defined_at = Age::of(stored.environment.definition_at, now);
    for test in read.nodes.values().filter(|node| node.resource_type == ResourceType::Test) {
        if let Some(ended_at) = told.built.get(&test.unique_id)
            && (defined_at == Age::Untold || Age::of(*ended_at, now) > defined_at)
            && let Some(tested) = test.properties.value()["attached_node"].as_str()
        {
            waiting.remove(tested);
        }
    }
    let mut children: BTreeMap<&UniqueId, Vec<&Node>> = BTreeMap::new();
    for node in read.nodes.values().filter(|node| node.resource_type != ResourceType::Exposure) {
        for parent in node.parents.iter().filter(|parent| waiting.contains(*parent)) {
            children.entry(parent).or_default().push(node);
        }
    }
    loop {
        let follows = |id: &&UniqueId| {
            let is_ephemeral =
                read.nodes.get(*id).is_some_and(|node| node.materialization.as_deref() == Some("ephemeral"));
            let is_built = |child: &&Node| child.is_applied == Some(true) && !waiting.contains(&child.unique_id);
            is_ephemeral && children.get(*id).is_some_and(|children| children.iter().any(is_built))
        };
        let shown: Vec<UniqueId> = waiting.iter().filter(follows).cloned().collect();
        if shown.is_empty() {
            break;
        }
        waiting.retain(|id| !shown.contains(id));
    }
    for id in waiting {
        if let Some(node) = read.nodes.get_mut(&id) {
            Arc::make_mut(node).is_applied = Some(false);
        }
    }
}
