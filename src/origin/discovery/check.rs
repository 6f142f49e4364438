//! What `lineaged check` needs to know: whether each document is answered, and what is missing.

use std::time::Duration;

use super::{data_tests, exposures, groups, metrics, models, saved_queries, seeds, semantic_models};
use super::{snapshots, sources};
use crate::origin::discovery::error::Error;
use crate::origin::discovery::read::definition_ids;
use crate::origin::discovery::read::environment::{self, Stamps};
use crate::origin::discovery::read::page::{Document, document};
use crate::origin::discovery::read::scalars::*;
use crate::origin::discovery::wire::client::Client;
use crate::origin::discovery::wire::retry::Ask;

document!(FreshnessChecked, "queries/freshness_checked.graphql");

/// Somebody waits for the answer: no page is tried for longer.
const PATIENCE: Duration = Duration::from_secs(30);
/// How many models are looked at for a catalog: the first may be ephemeral.
const MODELS: u32 = 100;
/// Asked for where a document wants ids; there is no such node.
const NO_NODE: &str = "lineaged.check";

/// The answers to one question of each document.
#[derive(Debug)]
#[non_exhaustive]
pub struct CheckReport {
    /// The environment's state; if it cannot be asked, nothing else is.
    pub stamps: Result<Stamps, Error>,
    /// The documents, in the order in which they were asked.
    pub documents: Vec<DocumentCheck>,
    /// Optional fields that the server does not know.
    pub missing_fields: Vec<&'static str>,
    /// Whether any of the first models has a catalog; `None` if there is no model.
    pub catalog_seen: Option<bool>,
    /// How many sources had a freshness check; `None` if that was not answered.
    pub freshness_checked: Option<u64>,
}

/// The answer to one document.
#[derive(Debug)]
#[non_exhaustive]
pub struct DocumentCheck {
    /// What the document lists, e.g. `models`.
    pub resource: &'static str,
    /// How many nodes there are; `None` where the state is null or the document asks for ids.
    pub outcome: Result<Option<u64>, Error>,
}

/// Asks each document for one node.
pub async fn check(client: &Client, environment_id: i64) -> CheckReport {
    let ask = |resource| client.ask(environment_id, resource).within(PATIENCE);
    let stamps = environment::ask(client, ask("environment")).await;
    let mut report = CheckReport {
        stamps,
        documents: Vec::new(),
        missing_fields: Vec::new(),
        catalog_seen: None,
        freshness_checked: None,
    };
    if report.stamps.is_err() {
        return report;
    }
    let mut checker = Checker { client, ask: &ask, documents: Vec::new() };
    checker.list::<models::AppliedModels>(false).await;
    report.catalog_seen = if checker.counted_any() { catalog_seen(client, ask("models")).await } else { None };
    checker.all().await;
    report.documents = checker.documents;
    report.freshness_checked = freshness_checked(client, ask("sources")).await;
    report.missing_fields = client.dropped().into_iter().collect();
    report
}

struct Checker<'a, A> {
    client: &'a Client,
    ask: &'a A,
    documents: Vec<DocumentCheck>,
}

impl<A: Fn(&'static str) -> Ask> Checker<'_, A> {
    async fn all(&mut self) {
        self.list::<sources::AppliedSources>(false).await;
        self.list::<seeds::AppliedSeeds>(false).await;
        self.list::<snapshots::AppliedSnapshots>(false).await;
        self.list::<data_tests::AppliedTests>(false).await;
        self.list::<exposures::AppliedExposures>(false).await;
        self.list::<metrics::DefinitionMetrics>(false).await;
        self.list::<semantic_models::DefinitionSemanticModels>(false).await;
        self.list::<saved_queries::DefinitionSavedQueries>(false).await;
        self.list::<groups::DefinitionGroups>(false).await;
        self.list::<definition_ids::DefinitionIds>(false).await;
        self.list::<models::DefinitionModels>(true).await;
        self.list::<sources::DefinitionSources>(true).await;
        self.list::<seeds::DefinitionSeeds>(true).await;
        self.list::<snapshots::DefinitionSnapshots>(true).await;
        self.list::<data_tests::DefinitionTests>(true).await;
        self.list::<exposures::DefinitionExposures>(true).await;
    }

    /// Asks for the first node of a document, and notes the outcome.
    async fn list<D: Document>(&mut self, by_ids: bool) {
        let mut ask = (self.ask)(D::RESOURCE);
        ask.first = 1;
        ask.types = definition_ids::TYPES.map(str::to_owned).into();
        ask.unique_ids = vec![NO_NODE.to_owned()];
        let outcome = self.client.answer::<D>(&mut ask, D::variables).await.map(|data| {
            let total = D::page(data).list.and_then(|list| u64::try_from(list.total).ok());
            total.filter(|_| !by_ids)
        });
        self.documents.push(DocumentCheck { resource: D::RESOURCE, outcome });
    }

    fn counted_any(&self) -> bool {
        self.documents.iter().any(|document| matches!(document.outcome, Ok(Some(1..))))
    }
}

/// Whether any of the first models has a catalog.
async fn catalog_seen(client: &Client, mut ask: Ask) -> Option<bool> {
    ask.first = ask.first.min(MODELS);
    let data = client.answer::<models::AppliedModels>(&mut ask, models::AppliedModels::variables).await.ok()?;
    let list = models::AppliedModels::page(data).list?;
    Some(list.nodes.iter().any(|model| model.catalog.is_some()))
}

async fn freshness_checked(client: &Client, mut ask: Ask) -> Option<u64> {
    let variables = |ask: &Ask| freshness_checked::Variables { environment_id: BigInt(ask.place.environment_id) };
    let data = client.answer::<FreshnessChecked>(&mut ask, variables).await.ok()?;
    u64::try_from(data.environment.applied?.sources.total_count).ok()
}
