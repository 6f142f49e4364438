//! Reads all lists of an environment page by page, proves that each is complete and of one moment, and assembles their nodes.

pub(crate) mod definition_ids;
pub(crate) mod environment;
pub(crate) mod fields;
pub(crate) mod page;
pub(crate) mod scalars;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use tokio::sync::mpsc::Sender;
use tokio::try_join;

use self::definition_ids::DefinedId;
use self::environment::Stamps;
use self::page::Reader;
use super::{Client, Error, Kind, Place};
use super::{
    data_tests, exposures, groups, metrics, models, saved_queries, seeds, semantic_models, snapshots, sources,
};
use crate::inventory::{Reading, ResourceType, State, Tally};
use crate::origin::assembly::Assembly;
use crate::origin::draft::Draft;
use crate::origin::{CodeText, Progress};

/// How often an environment is read that keeps moving.
const READS: u32 = 3;

/// Reads the environment whole, or fails at the client's deadline; with it the state that was asked after its last page, whose moment
/// is that of all pages. `before` is the state as it was asked just now, if it was. Source texts go to `code` while the read goes on,
/// so its receiver must be emptied at the same time; a read that starts again sends them again.
pub async fn fetch(
    client: &Client,
    (environment_id, before): (i64, Option<Stamps>),
    code: Sender<Vec<CodeText>>,
    progress: Progress<'_>,
) -> Result<(Reading, Stamps), Error> {
    let deadline = client.read_deadline();
    let late = |_| {
        let place = Place { environment_id, resource: "environment", page: 0 };
        Error::at(&place, Kind::PastDeadline { deadline })
    };
    tokio::time::timeout(deadline, fetch_settled(client, (environment_id, before), code, progress))
        .await
        .map_err(late)?
}

/// Reads until the environment rests during a whole read.
async fn fetch_settled(
    client: &Client,
    (environment_id, before): (i64, Option<Stamps>),
    code: Sender<Vec<CodeText>>,
    progress: Progress<'_>,
) -> Result<(Reading, Stamps), Error> {
    let mut before = match before {
        Some(before) => before,
        None => environment::state(client, environment_id).await?,
    };
    for read in 1..=READS {
        let pool = Mutex::default();
        let reader = Reader { client, environment_id, before: &before, code: &code, pool: &pool, progress };
        let result = read_once(reader).await;
        let may_be_a_move = match &result {
            Ok(_) => true,
            Err(error) => matches!(error.kind(), Kind::Incomplete { .. } | Kind::Moved { .. } | Kind::Refused { .. }),
        };
        if !may_be_a_move {
            return result.map(|reading| (reading, before));
        }
        let after = environment::state(client, environment_id).await?;
        let moved =
            !before.same_moment(&after) || matches!(&result, Err(error) if matches!(error.kind(), Kind::Moved { .. }));
        if !moved {
            return result.map(|reading| (reading, after));
        }
        tracing::info!(environment_id, read, "the environment changed while it was read");
        before = after;
    }
    let place = Place { environment_id, resource: "environment", page: 0 };
    Err(Error::at(&place, Kind::Busy { reads: READS }))
}

async fn read_once(reader: Reader<'_>) -> Result<Reading, Error> {
    let (applied, defined, ids) = try_join!(
        Box::pin(read_applied(reader)),
        Box::pin(read_defined(reader)),
        Box::pin(read_definition_ids(reader)),
    )?;
    let place = Place { environment_id: reader.environment_id, resource: "all lists", page: 0 };
    let twice = |what| Error::at(&place, Kind::Incomplete { what });
    let mut assembly = Assembly::default();
    let tallies = tallies(reader.before, &applied, &defined, &ids);
    for drafts in applied.into_iter().chain(defined) {
        assembly.add(drafts).map_err(twice)?;
    }
    let missing = missing(&mut assembly, ids);
    for drafts in read_missing(reader, missing).await? {
        assembly.add(drafts).map_err(twice)?;
    }
    let dropped = reader.client.dropped();
    let environment = reader.before.facts();
    assembly.warn(reader.client.misfits().warnings());
    let mut reading = assembly.finish(environment.project_name.as_deref());
    reading.tallies = tallies;
    reading.inventory.environment = environment;
    reading.unanswered.applied = reader.before.applied.is_none();
    reading.unanswered.definition = reader.before.definition.is_none();
    reading.unanswered.relation_name = dropped.contains("relationName");
    if !dropped.contains("lastKnownResult") {
        // The server answered: these tests have no status yet.
        reading.unanswered.test_status.clear();
    }
    reading.pool = std::mem::take(&mut *reader.pool.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(reading)
}

/// The lengths of the lists as they came, beside what the platform counts.
fn tallies(before: &Stamps, applied: &[Vec<Draft>], defined: &[Vec<Draft>], ids: &[DefinedId]) -> Vec<Tally> {
    let count = |types: &[ResourceType], listed: &mut dyn Iterator<Item = ResourceType>| {
        let mut counts: BTreeMap<ResourceType, u64> = types.iter().map(|kind| (*kind, 0)).collect();
        listed.for_each(|kind| *counts.entry(kind).or_default() += 1);
        counts
    };
    let of = |drafts: &Vec<Draft>| drafts.iter().map(|draft| draft.node.resource_type).collect::<Vec<_>>();
    let (built, only_defined): (Vec<_>, Vec<_>) = ResourceType::ALL
        .into_iter()
        // Functions are not listed, whatever is counted.
        .filter(|kind| !matches!(kind, ResourceType::External | ResourceType::Function))
        .partition(|kind| kind.has_applied_state());
    let mut tallies = Vec::new();
    if before.applied.is_some() {
        let listed = count(&built, &mut applied.iter().flat_map(of));
        tallies.extend(before.tallies(State::Applied, listed));
    }
    if before.definition.is_some() {
        let listed = count(&only_defined, &mut defined.iter().flat_map(of));
        tallies.extend(before.tallies(State::Definition, listed));
        // The list of ids calls unit tests tests.
        let listed = count(&built, &mut ids.iter().map(|(_, kind, _)| *kind));
        let unit_tests = before.counted(State::Definition, ResourceType::UnitTest).unwrap_or_default();
        let mut ids = before.tallies(State::Definition, listed);
        ids.retain(|tally| tally.resource_type != ResourceType::UnitTest);
        ids.iter_mut().filter(|tally| tally.resource_type == ResourceType::Test).for_each(|tally| {
            tally.counted += unit_tests;
        });
        tallies.extend(ids);
    }
    tallies
}

async fn read_applied(reader: Reader<'_>) -> Result<Vec<Vec<Draft>>, Error> {
    if reader.before.applied.is_none() {
        return Ok(Vec::new());
    }
    let (models, sources, seeds, snapshots, tests, exposures) = try_join!(
        Box::pin(reader.read::<models::AppliedModels>()),
        Box::pin(reader.read::<sources::AppliedSources>()),
        Box::pin(reader.read::<seeds::AppliedSeeds>()),
        Box::pin(reader.read::<snapshots::AppliedSnapshots>()),
        Box::pin(reader.read::<data_tests::AppliedTests>()),
        Box::pin(reader.read::<exposures::AppliedExposures>()),
    )?;
    Ok(vec![models, sources, seeds, snapshots, tests, exposures])
}

async fn read_defined(reader: Reader<'_>) -> Result<Vec<Vec<Draft>>, Error> {
    if reader.before.definition.is_none() {
        return Ok(Vec::new());
    }
    let (metrics, semantic_models, saved_queries, groups) = try_join!(
        Box::pin(reader.read::<metrics::DefinitionMetrics>()),
        Box::pin(reader.read::<semantic_models::DefinitionSemanticModels>()),
        Box::pin(reader.read::<saved_queries::DefinitionSavedQueries>()),
        Box::pin(reader.read::<groups::DefinitionGroups>()),
    )?;
    Ok(vec![metrics, semantic_models, saved_queries, groups])
}

async fn read_definition_ids(reader: Reader<'_>) -> Result<Vec<DefinedId>, Error> {
    if reader.before.definition.is_none() {
        return Ok(Vec::new());
    }
    definition_ids::read(reader).await
}

/// The defined ids that the applied state lacks, by type: where both have a node, applied wins.
fn missing(assembly: &mut Assembly, ids: Vec<DefinedId>) -> BTreeMap<ResourceType, Vec<String>> {
    let mut missing: BTreeMap<ResourceType, Vec<String>> = BTreeMap::new();
    for (id, resource_type, warnings) in ids {
        if !assembly.holds(id.as_str()) {
            assembly.warn(warnings);
            missing.entry(resource_type).or_default().push(id.to_string());
        }
    }
    missing
}

async fn read_missing(
    reader: Reader<'_>,
    mut missing: BTreeMap<ResourceType, Vec<String>>,
) -> Result<[Vec<Draft>; 6], Error> {
    let mut of = |kind| missing.remove(&kind).unwrap_or_default();
    let (models, sources, seeds, snapshots, tests, exposures) = try_join!(
        Box::pin(reader.read_ids::<models::DefinitionModels>(of(ResourceType::Model))),
        Box::pin(reader.read_ids::<sources::DefinitionSources>(of(ResourceType::Source))),
        Box::pin(reader.read_ids::<seeds::DefinitionSeeds>(of(ResourceType::Seed))),
        Box::pin(reader.read_ids::<snapshots::DefinitionSnapshots>(of(ResourceType::Snapshot))),
        Box::pin(reader.read_ids::<data_tests::DefinitionTests>(of(ResourceType::Test))),
        Box::pin(reader.read_ids::<exposures::DefinitionExposures>(of(ResourceType::Exposure))),
    )?;
    Ok([models, sources, seeds, snapshots, tests, exposures])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, DiscoveryConfig};
    use crate::demo::{Action, Fault, Page, Project, Request, Server, Side};
    use crate::inventory::{Code, UniqueId};
    use crate::origin::discovery::{Limits, check};
    use crate::time::Timestamp;
    use tokio::sync::mpsc;

    const ENVIRONMENT: i64 = 834;
    const ORDERS: &str = "model.mini_shop.orders";
    const EXPOSURE: &str = "exposure.mini_shop.churn_notebook";

    /// The bundled project, of which an exposure is only defined.
    fn server() -> Server {
        let mut project = Project::bundled(Timestamp::now());
        project.set_code(ORDERS, "select 1\nfrom x");
        project.unapply(EXPOSURE);
        Server::start(vec![(ENVIRONMENT, project)]).expect("a server")
    }

    fn client(url: String, token: &str) -> Client {
        let config = Config::for_one(ENVIRONMENT, "prod", url, token.into(), "unused.db".into()).expect("valid");
        let access = config.environments[0].origin.platform().expect("a platform").access.clone();
        let config = DiscoveryConfig { page_size: 10, ..access };
        Client::new(&config, &Limits::new(4, 1)).expect("a client").hurried(1 << 20)
    }

    async fn read(server: &Server) -> (Result<Reading, Error>, Vec<CodeText>, Client) {
        let client = client(server.url(), server.token());
        let (sender, mut receiver) = mpsc::channel(1000);
        let reading = fetch(&client, (ENVIRONMENT, None), sender, &|_, _, _| {}).await.map(|(reading, _)| reading);
        let mut texts = Vec::new();
        while let Some(page) = receiver.recv().await {
            texts.extend(page);
        }
        (reading, texts, client)
    }

    fn asked(server: &Server, operation: &str) -> Vec<Request> {
        server.requests().into_iter().filter(|asked| asked.operation == operation).collect()
    }

    fn ids(inventory: &crate::inventory::Inventory) -> Vec<&str> {
        inventory.nodes.keys().map(UniqueId::as_str).collect()
    }

    #[tokio::test]
    async fn an_environment_is_read_whole() {
        let server = server();
        let (reading, texts, client) = read(&server).await;
        let Reading { inventory, unanswered, .. } = reading.expect("a reading");
        let (truth, edges) = server.change(ENVIRONMENT, |project| (project.ids(), project.edges()));
        assert_eq!(ids(&inventory), truth.keys().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(inventory.edge_count(), edges.len());
        assert_eq!(inventory.nodes[ORDERS].is_applied, Some(true), "applied wins");
        assert_eq!(inventory.nodes[EXPOSURE].is_applied, Some(false));
        assert_eq!(inventory.environment.project_name.as_deref(), Some("mini_shop"));
        assert!(inventory.environment.git_sha.is_some());
        assert!(!unanswered.applied && !unanswered.definition && !unanswered.relation_name);
        let code = Code::of("select 1\nfrom x");
        assert_eq!(inventory.nodes[ORDERS].raw_code, Some(code.clone()));
        let text = "select 1\nfrom x".into();
        assert!(texts.contains(&CodeText { node: ORDERS.into(), is_compiled: false, code, text }));
        assert_eq!(asked(&server, "AppliedTests").len(), 3);
        assert_eq!(asked(&server, "DefinitionExposures")[0].variables["uniqueIds"], serde_json::json!([EXPOSURE]));
        assert_eq!(client.cost().requests, server.requests().len() as u64);
    }

    #[tokio::test]
    async fn a_read_starts_again_when_the_environment_moves() {
        let server = server();
        server.add_fault(Fault::new(Action::MoveBefore(Side::Applied)).on("AppliedTests").page(Page::Middle));
        let (reading, ..) = read(&server).await;
        assert_eq!(reading.expect("a reading").inventory.node_count(), 55);
        assert_eq!(asked(&server, "EnvironmentState").len(), 3, "before, between and after");
        assert_eq!(asked(&server, "AppliedTests").len(), 2 + 3);
    }

    #[tokio::test]
    async fn an_environment_that_never_rests_is_busy() {
        let server = server();
        server.add_fault(Fault::new(Action::MoveBefore(Side::Applied)).on("EnvironmentState").always());
        let (reading, ..) = read(&server).await;
        let error = reading.expect_err("busy");
        assert_eq!(*error.kind(), Kind::Busy { reads: 3 });
        assert!(error.is_transient());
        assert_eq!(asked(&server, "EnvironmentState").len(), 4);
    }

    #[tokio::test]
    async fn a_lost_node_is_an_error_that_says_where() {
        let server = server();
        server.add_fault(Fault::new(Action::DropLastNode).on("AppliedTests").page(Page::Last).always());
        let (reading, ..) = read(&server).await;
        let error = reading.expect_err("one is missing");
        assert!(error.to_string().starts_with("environment 834, tests, page 3: "), "{error}");
        assert!(error.to_string().contains("25 nodes came, `totalCount` is 26"), "{error}");
    }

    #[tokio::test]
    async fn details_of_other_ids_than_asked_are_an_error() {
        let server = server();
        let other = |node: &mut serde_json::Value| node["uniqueId"] = "exposure.mini_shop.other".into();
        server.add_fault(Fault::new(Action::RewriteNode(Box::new(other))).on("DefinitionExposures").always());
        let (reading, ..) = read(&server).await;
        assert!(matches!(reading.expect_err("not asked for").kind(), Kind::Incomplete { .. }));
    }

    #[tokio::test]
    async fn a_null_applied_state_is_unanswered_and_its_types_are_not_asked() {
        let server = server();
        server.change(ENVIRONMENT, |project| project.set_null_applied(true));
        let (reading, ..) = read(&server).await;
        let reading = reading.expect("a reading");
        assert!(reading.unanswered.applied && asked(&server, "AppliedModels").is_empty());
        assert_eq!(reading.inventory.nodes[ORDERS].is_applied, Some(false));
    }

    #[tokio::test]
    async fn a_null_definition_state_is_unanswered() {
        let server = server();
        server.change(ENVIRONMENT, |project| project.set_null_definition(true));
        let (reading, ..) = read(&server).await;
        let reading = reading.expect("a reading");
        assert!(reading.unanswered.definition && asked(&server, "DefinitionIds").is_empty());
        let nodes = reading.inventory.nodes.values();
        let built = nodes.filter(|node| node.resource_type.has_applied_state()).count();
        assert_eq!(built, server.change(ENVIRONMENT, |project| project.applied_ids().len()));
    }

    #[tokio::test]
    async fn an_optional_field_that_the_server_lacks_is_left_out_and_unanswered() {
        let server = server();
        let unknown = Action::UnknownField("ModelAppliedStateNode.relationName".to_owned());
        server.add_fault(Fault::new(unknown).on("AppliedModels").always());
        let (reading, ..) = read(&server).await;
        let reading = reading.expect("a reading");
        assert!(reading.unanswered.relation_name && reading.unanswered.test_status.is_empty());
        // The first page twice, and the second.
        assert_eq!(asked(&server, "AppliedModels").len(), 3);
        let report = check(&client(server.url(), server.token()), ENVIRONMENT).await;
        assert_eq!(report.missing_fields, ["relationName"]);
    }

    #[tokio::test]
    async fn any_other_unknown_field_fails_and_is_named() {
        let server = server();
        let unknown = Action::UnknownField("ModelAppliedStateNode.modelingLayer".to_owned());
        server.add_fault(Fault::new(unknown).on("AppliedModels").always());
        let (reading, ..) = read(&server).await;
        let error = reading.expect_err("an unknown field").to_string();
        assert!(
            error.contains("models, page 1") && error.contains("`modelingLayer` of `ModelAppliedStateNode`"),
            "{error}"
        );
        assert_eq!(asked(&server, "AppliedModels").len(), 1);
    }

    #[tokio::test]
    async fn check_asks_every_document_and_goes_on_after_a_failure() {
        let server = server();
        server.add_fault(Fault::new(Action::Status(403, Vec::new(), String::new())).on("AppliedSeeds").always());
        let report = check(&client(server.url(), server.token()), ENVIRONMENT).await;
        assert!(report.stamps.is_ok());
        assert_eq!(report.documents.len(), 17);
        assert_eq!(report.documents.iter().filter(|document| document.outcome.is_err()).count(), 1);
        let total = |name| {
            report.documents.iter().find(|document| document.resource == name)?.outcome.as_ref().ok().copied()?
        };
        assert_eq!((total("groups"), total("tests")), (Some(1), Some(26)));
        assert_eq!(report.catalog_seen, Some(true));
    }

    #[tokio::test]
    async fn a_read_may_run_on_any_thread() {
        fn is_send<T: Send>(_: &T) {}
        is_send(&fetch(&client("http://localhost/".into(), "t"), (1, None), mpsc::channel(1).0, &|_, _, _| {}));
    }
}
