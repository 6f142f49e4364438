//! The state of the environment as a whole: what is asked before and after each read.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::inventory::{EnvironmentFacts, FreshnessCheck, Inventory, ResourceType, State, Tally, UniqueId};
use crate::origin::discovery::error::Error;
use crate::origin::discovery::read::page::document;
use crate::origin::discovery::read::scalars::*;
use crate::origin::discovery::wire::client::Client;
use crate::origin::discovery::wire::retry::Ask;
use crate::origin::draft::Draft;
use crate::time::Timestamp;

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
    pub(crate) fn same_moment(&self, other: &Self) -> bool {
        let moment = |state: &Option<StateStamp>| {
            state.as_ref().map(|state| (state.last_updated_at.clone(), state.git_sha.clone()))
        };
        moment(&self.applied) == moment(&other.applied) && moment(&self.definition) == moment(&other.definition)
    }

    /// What the platform counts of a type, where its key is known: it is free JSON, whose keys are not documented.
    pub(crate) fn counted(&self, state: State, resource_type: ResourceType) -> Option<u64> {
        let stamp = match state {
            State::Applied => self.applied.as_ref(),
            State::Definition => self.definition.as_ref(),
        };
        let bare = |text: &str| text.to_lowercase().replace(['_', '-', ' '], "");
        let wanted = bare(resource_type.as_str());
        let (plural, counts) = (plural(&wanted), stamp?.resource_counts.as_ref()?.as_object()?);
        let is_it = |key: &String| [&wanted, &plural].contains(&&bare(key));
        counts.iter().find(|(key, _)| is_it(key)).and_then(|(_, count)| count.as_u64())
    }

    /// The lengths of the lists of one state beside what the platform counts. A list of tests holds unit tests, too: where those
    /// have no count of their own, either sum may be meant.
    pub(crate) fn tallies(&self, state: State, mut listed: BTreeMap<ResourceType, u64>) -> Vec<Tally> {
        let unit_tests = listed.get(&ResourceType::UnitTest).copied().unwrap_or_default();
        if self.counted(state, ResourceType::UnitTest).is_none()
            && let Some(tests) = listed.get_mut(&ResourceType::Test)
            && self.counted(state, ResourceType::Test) != Some(*tests)
        {
            *tests += unit_tests;
        }
        let tally = |(resource_type, listed)| {
            let counted = self.counted(state, resource_type)?;
            Some(Tally { state, resource_type, listed, counted })
        };
        listed.into_iter().filter_map(tally).collect()
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

/// Which moment of an environment the platform shows, as one small question tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Moment {
    /// All of it as canonical text: equal texts mean that nothing has moved, as far as the platform tells.
    pub text: String,
    /// The state of the environment: a read that follows begins with it.
    pub stamps: Stamps,
    /// The last check of each source that was checked, of the first page of them.
    freshness: BTreeMap<UniqueId, FreshnessCheck>,
}

impl Moment {
    /// Whether a read that ended with these stamps, and has these nodes, saw this very moment. One of several replicas may
    /// answer a probe, and another one, which lags behind, the pages.
    pub fn is_of(&self, after: &Stamps, inventory: &Inventory) -> bool {
        let read = |id: &UniqueId| inventory.nodes.get(id).map(|node| &node.freshness);
        self.stamps.applied == after.applied
            && self.stamps.definition == after.definition
            && self.freshness.iter().all(|(id, check)| read(id) == Some(check))
    }
}

/// Asks whether anything has moved, in one request: the stamps of both states, the commit, the numbers of nodes and the freshness
/// stamps of checked sources.
pub async fn probe(client: &Client, environment_id: i64) -> Result<Moment, Error> {
    let mut ask = client.ask(environment_id, "probe");
    let variables =
        |ask: &Ask| probe::Variables { environment_id: BigInt(ask.place.environment_id), first: ask.first.into() };
    let environment = client.answer::<Probe>(&mut ask, variables).await?.environment;
    let mut freshness = BTreeMap::new();
    let mut checked = None;
    let applied = environment.applied.map(|state| {
        checked = Some(state.sources.total_count);
        for edge in state.sources.edges {
            let said = edge.node.freshness;
            let mut source = Draft::new(edge.node.unique_id, ResourceType::Source, Some(true));
            source.freshness(said.freshness_status, said.snapshotted_at, said.max_loaded_at);
            freshness.insert(source.node.unique_id, source.node.freshness);
        }
        StateStamp {
            last_updated_at: state.last_updated_at,
            git_sha: state.latest_git_sha,
            resource_counts: state.resource_counts,
        }
    });
    let definition = environment.definition.map(|state| StateStamp {
        last_updated_at: state.last_updated_at,
        git_sha: None,
        resource_counts: state.resource_counts,
    });
    let stamp = |state: &Option<StateStamp>| {
        state.as_ref().map(|state| json!([state.last_updated_at, state.git_sha, state.resource_counts]))
    };
    let checks: BTreeMap<&str, Value> = freshness.iter().map(|(id, check)| (id.as_str(), check_text(check))).collect();
    let text = json!({
        "applied": stamp(&applied), "definition": stamp(&definition), "checkedSources": checked, "freshness": checks,
    });
    let stamps = Stamps {
        adapter_type: environment.adapter_type,
        project_name: environment.dbt_project_name,
        applied,
        definition,
    };
    Ok(Moment { text: text.to_string(), stamps, freshness })
}

fn check_text(check: &FreshnessCheck) -> Value {
    let text = |time: Option<Timestamp>| time.map(|time| time.to_string());
    json!([check.status, text(check.checked_at), text(check.max_loaded_at)])
}

fn plural(word: &str) -> String {
    word.strip_suffix('y').map_or_else(|| format!("{word}s"), |stem| format!("{stem}ies"))
}

/// Asks for the environment's state: one small question.
pub(crate) async fn state(client: &Client, environment_id: i64) -> Result<Stamps, Error> {
    ask(client, client.ask(environment_id, "environment")).await
}

pub(crate) async fn ask(client: &Client, mut ask: Ask) -> Result<Stamps, Error> {
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
