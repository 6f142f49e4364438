//! The state of the environment as a whole: what is asked before and after each read.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::client::Client;
use super::error::Error;
use super::page::document;
use super::retry::Ask;
use super::scalars::*;
use crate::inventory::{EnvironmentFacts, Timestamp};

document!(EnvironmentState, "queries/environment.graphql");
document!(Probe, "queries/probe.graphql");

/// What tells two moments of an environment apart. Equal stamps: nothing moved, as far as the platform says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stamps {
    /// The warehouse's adapter.
    pub adapter_type: Option<String>,
    /// The dbt project's name.
    pub project_name: Option<String>,
    /// The applied state; `None` where it is null.
    pub applied: Option<StateStamp>,
    /// The definition state; `None` where it is null.
    pub definition: Option<StateStamp>,
}

/// The stamp of one state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StateStamp {
    /// `lastUpdatedAt` as the server wrote it: it is compared as text.
    pub last_updated_at: Option<String>,
    /// The git commit; the applied state alone has one.
    pub git_sha: Option<String>,
    /// Nodes per resource type, in the platform's own form.
    pub resource_counts: Option<Value>,
}

impl Stamps {
    /// True if both are of the same moment.
    pub(super) fn same_moment(&self, other: &Self) -> bool {
        let moment = |state: &Option<StateStamp>| {
            state.as_ref().map(|state| (state.last_updated_at.clone(), state.git_sha.clone()))
        };
        moment(&self.applied) == moment(&other.applied) && moment(&self.definition) == moment(&other.definition)
    }

    /// The facts that the catalog keeps of the environment.
    pub fn facts(&self) -> EnvironmentFacts {
        let at = |state: &Option<StateStamp>| Timestamp::parse(state.as_ref()?.last_updated_at.as_deref()?);
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        EnvironmentFacts {
            project_name: given(&self.project_name),
            adapter_type: given(&self.adapter_type),
            applied_at: at(&self.applied),
            definition_at: at(&self.definition),
            git_sha: self.applied.as_ref().and_then(|state| given(&state.git_sha)),
        }
    }
}

/// Asks whether anything has moved, in one request: the stamps of both states, the commit, the numbers of nodes and the freshness
/// stamps of checked sources, as canonical text. Equal texts: nothing has moved, as far as the platform tells.
pub async fn probe(client: &Client, environment_id: i64) -> Result<String, Error> {
    let mut ask = client.ask(environment_id, "probe");
    let variables =
        |ask: &Ask| probe::Variables { environment_id: BigInt(ask.place.environment_id), first: ask.first.into() };
    let environment = client.answer::<Probe>(&mut ask, variables).await?.environment;
    let applied = environment.applied.map(|state| {
        let sources: BTreeMap<String, Value> = state
            .sources
            .edges
            .into_iter()
            .map(|edge| {
                let freshness = edge.node.freshness;
                let stamps = json!([freshness.freshness_status, freshness.snapshotted_at, freshness.max_loaded_at]);
                (edge.node.unique_id, stamps)
            })
            .collect();
        json!({
            "lastUpdatedAt": state.last_updated_at,
            "latestGitSha": state.latest_git_sha,
            "resourceCounts": state.resource_counts,
            "checkedSources": state.sources.total_count,
            "freshness": sources,
        })
    });
    let definition = environment
        .definition
        .map(|state| json!({"lastUpdatedAt": state.last_updated_at, "resourceCounts": state.resource_counts}));
    Ok(json!({"applied": applied, "definition": definition}).to_string())
}

/// Asks for the environment's state: one small question.
pub(super) async fn state(client: &Client, environment_id: i64) -> Result<Stamps, Error> {
    ask(client, client.ask(environment_id, "environment")).await
}

pub(super) async fn ask(client: &Client, mut ask: Ask) -> Result<Stamps, Error> {
    let variables = |ask: &Ask| environment_state::Variables { environment_id: BigInt(ask.place.environment_id) };
    let environment = client.answer::<EnvironmentState>(&mut ask, variables).await?.environment;
    Ok(Stamps {
        adapter_type: environment.adapter_type,
        project_name: environment.dbt_project_name,
        applied: environment.applied.map(|state| StateStamp {
            last_updated_at: state.last_updated_at,
            git_sha: state.latest_git_sha,
            resource_counts: state.resource_counts,
        }),
        definition: environment.definition.map(|state| StateStamp {
            last_updated_at: state.last_updated_at,
            git_sha: None,
            resource_counts: state.resource_counts,
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamps(applied: Option<&str>, sha: &str) -> Stamps {
        let state = StateStamp {
            last_updated_at: applied.map(str::to_owned),
            git_sha: Some(sha.into()),
            resource_counts: None,
        };
        Stamps { applied: Some(state), ..Stamps::default() }
    }

    #[test]
    fn a_moment_is_the_raw_text_and_null_equals_null() {
        assert!(stamps(None, "a").same_moment(&stamps(None, "a")));
        assert!(!stamps(None, "a").same_moment(&stamps(Some("2026-11-01T06:00:00Z"), "a")));
        assert!(!stamps(None, "a").same_moment(&stamps(None, "b")));
        assert!(!stamps(Some("2026-11-01T06:00:00Z"), "a").same_moment(&stamps(Some("2026-11-01T06:00:00.000Z"), "a")));
        assert!(!stamps(None, "a").same_moment(&Stamps::default()));
    }

    #[test]
    fn facts_are_parsed_and_empty_text_is_unknown() {
        let facts = stamps(Some("2026-11-01T06:00:00Z"), "").facts();
        assert_eq!(facts.applied_at.expect("a time").to_string(), "2026-11-01T06:00:00.000Z");
        assert_eq!((facts.git_sha, facts.definition_at), (None, None));
    }
}
