//! OpenLineage 2-0-2, an event in each line: static ones (a dataset event for each relation, a job event for what builds or reads it), or
//! one complete run event for each node that was built. Names follow the specification: a relation is `database.schema.identifier` in the
//! namespace of its warehouse, a job is the node's id in `dbt://ENVIRONMENT`. Of a node that is gone, its job is told without outputs;
//! that its relation is dropped is told only if that is so.

mod columns;
mod facets;

use std::io::Write;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use self::facets::{dataset_facets, facet, job_facets};
use super::Error;
use super::scope::{CODE, COLUMNS, LINEAGE, PARENTS, Part, Scope, USES};
use crate::answers::Question;
use crate::output;

/// How events are told.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct OpenLineage {
    /// One complete run for each node that was built, instead of static events.
    pub(crate) runs: bool,
    /// Whether the relations of models, seeds and snapshots that are gone are told to be dropped. Those of sources never are.
    pub(crate) drops_removed: bool,
}

/// The schema of events.
const CORE: &str = "https://openlineage.io/spec/2-0-2/OpenLineage.json";

/// Whom the events come from.
const PRODUCER: &str = concat!("urn:lineaged:", env!("CARGO_PKG_VERSION"));

/// What takes part in events: relations, and exposures, which read them.
const TYPES: [&str; 5] = ["exposure", "model", "seed", "snapshot", "source"];

/// Writes the events of one environment.
///
/// # Errors
/// If the catalog can't answer, or `out` can't be written to.
pub(crate) fn openlineage(scope: &Scope<'_>, how: OpenLineage, out: &mut dyn Write) -> Result<(), Error> {
    let teller = Teller { scope, namespace: namespace(scope), jobs: format!("dbt://{}", scope.name) };
    let beside = [COLUMNS, CODE, PARENTS, LINEAGE, USES];
    scope.each(&TYPES, &beside, &mut |part| {
        let events = if how.runs { teller.of_run(part)?.into_iter().collect() } else { teller.of_state(part) };
        events.iter().try_for_each(|event| Ok(output::write_line(event, out)?))
    })?;
    if !how.runs {
        teller.gone(how.drops_removed).iter().try_for_each(|event| output::write_line(event, out))?;
    }
    Ok(())
}

/// The namespace of the environment's warehouse; where none is configured, one that is no other's.
fn namespace(scope: &Scope<'_>) -> String {
    match &scope.elsewhere.namespace {
        Some(namespace) => namespace.clone(),
        None if scope.adapter == "bigquery" => "bigquery".to_owned(),
        None => format!("{}://{}", if scope.adapter.is_empty() { "warehouse" } else { &scope.adapter }, scope.name),
    }
}

/// What to say where none is configured.
pub(crate) fn without_namespace(scope: &Scope<'_>) -> Option<String> {
    let is_known = scope.elsewhere.namespace.is_some() || scope.adapter == "bigquery";
    (!is_known).then(|| {
        format!(
            "no namespace is configured for `{}`: its warehouse is called `{}`, which no other tool does; set \
             `namespace` in its [[environments]], e.g. \"snowflake://org-account\"",
            scope.name,
            namespace(scope)
        )
    })
}

/// What is said of nodes, under which names.
struct Teller<'a> {
    scope: &'a Scope<'a>,
    namespace: String,
    jobs: String,
}

impl Teller<'_> {
    fn event(&self, kind: &str, time: &str, members: Value) -> Value {
        let mut event = json!({"eventTime": time, "producer": PRODUCER, "schemaURL": format!("{CORE}#/$defs/{kind}")});
        if let (Value::Object(event), Value::Object(members)) = (&mut event, members) {
            event.extend(members);
        }
        event
    }

    fn dataset(&self, name: &str, facets: Map<String, Value>) -> Value {
        match facets.is_empty() {
            true => json!({"namespace": self.namespace, "name": name}),
            false => json!({"namespace": self.namespace, "name": name, "facets": facets}),
        }
    }

    fn job(&self, id: &str, facets: Map<String, Value>) -> Value {
        json!({"namespace": self.jobs, "name": id, "facets": facets})
    }

    fn inputs(&self, part: &Part<'_>) -> Vec<Value> {
        let inputs = self.scope.inputs(part);
        let names = inputs.iter().filter_map(|id| self.scope.relation(id));
        names.map(|name| self.dataset(name, Map::new())).collect()
    }

    /// A dataset event for its relation, and a job event for what it does.
    fn of_state(&self, part: &Part<'_>) -> Vec<Value> {
        let (relation, time) = (self.scope.own_relation(part), &self.scope.moment);
        let dataset = relation.map(|name| self.dataset(name, dataset_facets(self, part)));
        let mut events: Vec<Value> =
            dataset.into_iter().map(|dataset| self.event("DatasetEvent", time, json!({"dataset": dataset}))).collect();
        let kind = part.row.str("resource_type");
        if kind == "exposure" || kind != "source" && relation.is_some() {
            let outputs: Vec<Value> =
                relation.into_iter().map(|name| self.dataset(name, self.column_lineage(part))).collect();
            let job = self.job(part.id, job_facets(self, part));
            let members = json!({"job": job, "inputs": self.inputs(part), "outputs": outputs});
            events.push(self.event("JobEvent", time, members));
        }
        events
    }

    /// The last run that built it, if one did.
    fn of_run(&self, part: &Part<'_>) -> Result<Option<Value>, Error> {
        let is_built = !["source", "exposure"].contains(&part.row.str("resource_type"));
        let built = part.row.text("last_built_at").zip(self.scope.relation(part.id)).filter(|_| is_built);
        let Some((time, name)) = built else { return Ok(None) };
        let run = self.run(part, time)?;
        let mut facets = dataset_facets(self, part);
        facets.extend(self.column_lineage(part));
        let (inputs, output) = (self.inputs(part), self.dataset(name, facets));
        let job = self.job(part.id, job_facets(self, part));
        let run_id = Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("{}/{}/{run}", self.jobs, part.id).as_bytes());
        let members = json!({
            "eventType": "COMPLETE", "run": {"runId": run_id.to_string()}, "job": job, "inputs": inputs, "outputs": [output],
        });
        Ok(Some(self.event("RunEvent", time, members)))
    }

    /// The run that built a node last; where another one has failed since, it is among the earlier ones.
    fn run(&self, part: &Part<'_>, built_at: &str) -> Result<String, Error> {
        let last = part.row.text("last_run_id").filter(|_| part.row.str("last_run_status") == "success");
        if let Some(run) = last {
            return Ok(run.to_owned());
        }
        let question = Question::of(Some(self.scope.id)).only("unique_id", &[part.id]).only("status", &["success"]);
        let runs = self.scope.reader.rows("run_results", &question)?;
        let run = runs.iter().find(|row| row.str("completed_at") == built_at).and_then(|row| row.text("run_id"));
        Ok(run.unwrap_or(built_at).to_owned())
    }

    /// What is to be said of nodes that are gone.
    fn gone(&self, drops: bool) -> Vec<Value> {
        let mut events = Vec::new();
        let built = self.scope.gone.iter().filter(|(_, (kind, _))| kind != "source");
        for (id, (_, name)) in built {
            let members = json!({"job": self.job(id, Map::new()), "inputs": [], "outputs": []});
            events.push(self.event("JobEvent", &self.scope.moment, members));
            if drops {
                let drop = facet("1-0-1", "LifecycleStateChangeDatasetFacet", json!({"lifecycleStateChange": "DROP"}));
                let dataset = self.dataset(name, [("lifecycleStateChange".to_owned(), drop)].into_iter().collect());
                events.push(self.event("DatasetEvent", &self.scope.moment, json!({"dataset": dataset})));
            }
        }
        events
    }
}
