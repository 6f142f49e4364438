//! The answers as plain structs: what a program needs that stores nodes, edges, columns, code and runs.
#![allow(dead_code)]

use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Deserialize)]
pub(crate) struct Answer {
    pub data: Data,
}

#[derive(Deserialize)]
pub(crate) struct Data {
    pub environment: Environment,
}

#[derive(Deserialize)]
pub(crate) struct Environment {
    #[serde(default)]
    pub applied: State,
    #[serde(default)]
    pub definition: State,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct State {
    last_updated_at: Option<String>,
    latest_git_sha: Option<String>,
    resource_counts: Option<Box<RawValue>>,
    models: Option<List>,
    tests: Option<List>,
    sources: Option<List>,
    seeds: Option<List>,
    snapshots: Option<List>,
    exposures: Option<List>,
    metrics: Option<List>,
    semantic_models: Option<List>,
    saved_queries: Option<List>,
    groups: Option<List>,
    resources: Option<List>,
    lineage: Option<Vec<Node>>,
}

impl State {
    /// How many nodes the lists of this page hold.
    pub(crate) fn nodes(&self) -> usize {
        let lists =
            [&self.models, &self.tests, &self.sources, &self.seeds, &self.snapshots, &self.exposures, &self.metrics];
        let more = [&self.semantic_models, &self.saved_queries, &self.groups, &self.resources];
        let listed: usize = lists.into_iter().chain(more).flatten().map(|list| list.edges.len()).sum();
        listed + self.lineage.as_ref().map_or(0, Vec::len)
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct List {
    total_count: Option<i64>,
    edges: Vec<Edge>,
}

#[derive(Deserialize)]
struct Edge {
    node: Node,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Node {
    unique_id: String,
    resource_type: Option<String>,
    name: Option<String>,
    description: Option<String>,
    file_path: Option<String>,
    package_name: Option<String>,
    database: Option<String>,
    schema: Option<String>,
    alias: Option<String>,
    identifier: Option<String>,
    relation_name: Option<String>,
    materialized_type: Option<String>,
    access: Option<String>,
    group: Option<String>,
    modeling_layer: Option<String>,
    contract_enforced: Option<bool>,
    language: Option<String>,
    raw_code: Option<String>,
    compiled_code: Option<String>,
    fqn: Option<Box<RawValue>>,
    tags: Option<Box<RawValue>>,
    meta: Option<Box<RawValue>>,
    config: Option<Box<RawValue>>,
    test_metadata: Option<Box<RawValue>>,
    freshness: Option<Box<RawValue>>,
    column_name: Option<String>,
    tested_node_unique_id: Option<String>,
    execution_info: Option<Execution>,
    catalog: Option<Catalog>,
    parents: Option<Vec<Parent>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Execution {
    last_run_status: Option<String>,
    last_run_generated_at: Option<String>,
    last_run_error: Option<String>,
    last_run_id: Option<i64>,
    last_job_definition_id: Option<i64>,
    execute_completed_at: Option<String>,
    execution_time: Option<f64>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Catalog {
    stats: Option<Box<RawValue>>,
    columns: Option<Vec<Column>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Column {
    name: Option<String>,
    index: Option<i64>,
    r#type: Option<String>,
    description: Option<String>,
    comment: Option<String>,
    tags: Option<Box<RawValue>>,
    meta: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Parent {
    unique_id: String,
}
