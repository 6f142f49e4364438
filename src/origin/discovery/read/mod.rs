//! Reads all lists of an environment page by page, proves that each is complete and of one moment, and assembles their nodes.

pub(crate) mod definition_ids;
pub(crate) mod environment;
pub(crate) mod fields;
pub(crate) mod page;
pub(crate) mod scalars;

use std::collections::BTreeMap;
use std::sync::Mutex;

use tokio::sync::mpsc::Sender;
use tokio::try_join;

use self::environment::Stamps;
use self::page::Reader;
use super::{Client, Error, Kind, Place};
use super::{
    data_tests, exposures, groups, metrics, models, saved_queries, seeds, semantic_models, snapshots, sources,
};
use crate::inventory::{Reading, ResourceType, State, Tally, UniqueId};
use crate::origin::assembly::Assembly;
use crate::origin::draft::Draft;
use crate::origin::{CodeText, Progress};

/// How often an environment is read that keeps moving.
const READS: u32 = 3;

/// Reads the environment whole, or fails at the client's deadline; with it the stamps that all its pages carried. Source texts go to `code` while the read goes on, so its
/// receiver must be emptied at the same time; a read that starts again sends them again.
pub async fn fetch(
    client: &Client,
    environment_id: i64,
    code: Sender<CodeText>,
    progress: Progress<'_>,
) -> Result<(Reading, Stamps), Error> {
    let deadline = client.read_deadline();
    let late = |_| {
        let place = Place { environment_id, resource: "environment", page: 0 };
        Error::at(&place, Kind::PastDeadline { deadline })
    };
    tokio::time::timeout(deadline, fetch_settled(client, environment_id, code, progress)).await.map_err(late)?
}

/// Reads until the environment rests during a whole read.
async fn fetch_settled(
    client: &Client,
    environment_id: i64,
    code: Sender<CodeText>,
    progress: Progress<'_>,
) -> Result<(Reading, Stamps), Error> {
    let mut before = environment::state(client, environment_id).await?;
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
            return result.map(|reading| (reading, before));
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

/// An id of the definition state, its type, and what is odd about it.
type DefinedId = (UniqueId, ResourceType, Vec<String>);

async fn read_definition_ids(reader: Reader<'_>) -> Result<Vec<DefinedId>, Error> {
    if reader.before.definition.is_none() {
        return Ok(Vec::new());
    }
    let mut ask = reader.client.ask(reader.environment_id, "definition ids");
    ask.types = definition_ids::TYPES.map(str::to_owned).into();
    let slim = |draft: Draft| (draft.node.unique_id, draft.node.resource_type, draft.warnings);
    reader.read_pages::<definition_ids::DefinitionIds, _>(ask, slim).await
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
    use crate::inventory::Code;
    use crate::origin::discovery::server::{Answer, Environment, Server};
    use crate::origin::discovery::{Limits, check};
    use serde_json::{Value, json};
    use tokio::sync::mpsc;

    fn group(number: usize) -> Value {
        json!({"uniqueId": format!("group.shop.g{number}"), "name": "g", "description": null, "filePath": "g.yml",
            "packageName": "shop", "ownerName": "Ana", "ownerEmail": null, "tags": [], "meta": null})
    }

    fn exposure(id: &str) -> Value {
        json!({"uniqueId": id, "name": "e", "description": "D", "filePath": "m.yml", "packageName": "shop", "patchPath": null,
            "exposureType": null, "label": null, "url": null, "maturity": null, "ownerName": null, "ownerEmail": null,
            "fqn": ["shop", "e"], "tags": [], "meta": {}, "parents": []})
    }

    fn snapshot(id: &str) -> Value {
        json!({"uniqueId": id, "name": "s", "description": null, "filePath": "s.sql", "packageName": "shop", "patchPath": null,
            "database": null, "schema": null, "alias": null, "fqn": ["shop", "s"], "tags": [], "meta": {}, "config": null,
            "rawCode": "select 1", "compiledCode": null, "executionInfo": null, "catalog": null, "tests": [], "parents": []})
    }

    fn shop() -> Environment {
        let id = |id: &str, kind: &str| json!({"__typename": "X", "uniqueId": id, "resourceType": kind});
        Environment::default()
            .with("DefinitionGroups", (0..250).map(group).collect())
            .with("AppliedExposures", vec![exposure("exposure.shop.both")])
            .with("DefinitionExposures", vec![exposure("exposure.shop.both"), exposure("exposure.shop.defined")])
            .with("AppliedSnapshots", vec![snapshot("snapshot.shop.s")])
            .with(
                "DefinitionIds",
                vec![
                    id("exposure.shop.both", "exposure"),
                    id("exposure.shop.defined", "exposure"),
                    id("x.shop.x", "analysis"),
                ],
            )
    }

    async fn read(server: &Server) -> (Result<Reading, Error>, Vec<CodeText>, Client) {
        let client = server.client();
        let (sender, mut receiver) = mpsc::channel(1000);
        let reading = fetch(&client, 834, sender, &|_, _, _| {}).await.map(|(reading, _)| reading);
        let mut texts = Vec::new();
        while let Some(text) = receiver.recv().await {
            texts.push(text);
        }
        (reading, texts, client)
    }

    #[tokio::test]
    async fn an_environment_is_read_whole() {
        let server = Server::start(|asked| Answer::Json(shop().answer(asked, "2026-11-01T06:00:00Z"))).await;
        let (reading, texts, client) = read(&server).await;
        let Reading { inventory, unanswered, warnings, .. } = reading.expect("a reading");
        assert_eq!(inventory.nodes.len(), 250 + 2 + 1);
        assert_eq!(inventory.nodes["exposure.shop.both"].is_applied, Some(true), "applied wins");
        assert_eq!(inventory.nodes["exposure.shop.defined"].is_applied, Some(false));
        assert_eq!(inventory.environment.project_name.as_deref(), Some("shop"));
        assert_eq!(inventory.environment.git_sha.as_deref(), Some("abc"));
        assert_eq!(unanswered.catalog.len(), 1);
        assert!(!unanswered.applied && !unanswered.definition && !unanswered.relation_name);
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert_eq!(texts, [CodeText { code: Code::of("select 1"), text: "select 1".into() }]);
        assert_eq!(server.asked("DefinitionGroups").len(), 3);
        assert_eq!(server.asked("DefinitionExposures")[0].variables["uniqueIds"], json!(["exposure.shop.defined"]));
        // Two probes, eleven lists of which one has three pages, and one list by ids.
        assert_eq!(client.cost().requests, 2 + 11 + 2 + 1);
    }

    #[tokio::test]
    async fn a_read_starts_again_when_the_environment_moves() {
        let moved = std::sync::atomic::AtomicBool::new(false);
        let server = Server::start(move |asked| {
            // The state moves between two pages of the groups.
            let second_page = asked.operation == "DefinitionGroups" && asked.earlier == 1;
            let moved = moved.fetch_or(second_page, std::sync::atomic::Ordering::SeqCst) || second_page;
            Answer::Json(shop().answer(asked, if moved { "later" } else { "early" }))
        });
        let server = server.await;
        let (reading, ..) = read(&server).await;
        assert_eq!(reading.expect("a reading").inventory.nodes.len(), 253);
        assert_eq!(server.asked("EnvironmentState").len(), 3, "before, between and after");
        assert_eq!(server.asked("DefinitionGroups").len(), 2 + 3);
    }

    #[tokio::test]
    async fn an_environment_that_never_rests_is_busy() {
        let server = Server::start(|asked| {
            let moment = if asked.operation == "EnvironmentState" { asked.earlier.to_string() } else { "x".into() };
            Answer::Json(shop().answer(asked, &moment))
        });
        let server = server.await;
        let (reading, ..) = read(&server).await;
        let error = reading.expect_err("busy");
        assert_eq!(*error.kind(), Kind::Busy { reads: 3 });
        assert!(error.is_transient());
        assert_eq!(server.asked("EnvironmentState").len(), 4);
    }

    #[tokio::test]
    async fn a_lost_node_is_an_error_that_says_where() {
        let server = Server::start(|asked| {
            let mut answer = shop().answer(asked, "t");
            if asked.operation == "DefinitionGroups" && asked.earlier == 2 {
                answer["data"]["environment"]["definition"]["groups"]["edges"].as_array_mut().expect("a list").pop();
            }
            Answer::Json(answer)
        });
        let (reading, ..) = read(&server.await).await;
        let error = reading.expect_err("one is missing");
        assert!(error.to_string().starts_with("environment 834, groups, page 3: "), "{error}");
        assert!(error.to_string().contains("249 nodes came, `totalCount` is 250"), "{error}");
    }

    #[tokio::test]
    async fn details_of_other_ids_than_asked_are_an_error() {
        let server = Server::start(|asked| {
            let mut answer = shop().answer(asked, "t");
            if asked.operation == "DefinitionExposures" {
                answer["data"]["environment"]["definition"]["exposures"]["edges"][0]["node"] =
                    exposure("exposure.shop.other");
            }
            Answer::Json(answer)
        });
        let (reading, ..) = read(&server.await).await;
        assert!(matches!(reading.expect_err("not asked for").kind(), Kind::Incomplete { .. }));
    }

    #[tokio::test]
    async fn a_null_applied_state_is_unanswered_and_its_types_are_not_asked() {
        let server = Server::start(|asked| {
            let mut answer = shop().answer(asked, "t");
            answer["data"]["environment"]["applied"] = Value::Null;
            Answer::Json(answer)
        });
        let server = server.await;
        let (reading, ..) = read(&server).await;
        let reading = reading.expect("a reading");
        assert!(reading.unanswered.applied && server.asked("AppliedModels").is_empty());
        assert_eq!(reading.inventory.nodes["exposure.shop.both"].is_applied, Some(false));
    }

    #[tokio::test]
    async fn a_null_definition_state_is_unanswered() {
        let server = Server::start(|asked| {
            let mut answer = shop().answer(asked, "t");
            answer["data"]["environment"]["definition"] = Value::Null;
            Answer::Json(answer)
        });
        let server = server.await;
        let (reading, ..) = read(&server).await;
        let reading = reading.expect("a reading");
        assert!(reading.unanswered.definition && server.asked("DefinitionIds").is_empty());
        assert_eq!(reading.inventory.nodes.len(), 2);
    }

    fn unknown(field: &str, type_name: &str) -> Answer {
        let message = format!("Cannot query field \"{field}\" on type \"{type_name}\".");
        let body = json!({"errors": [{"message": message}]}).to_string();
        Answer::Status(400, "content-type: application/json\r\n", body.leak())
    }

    #[tokio::test]
    async fn an_optional_field_that_the_server_lacks_is_left_out_and_unanswered() {
        let server = Server::start(|asked| {
            if asked.operation == "AppliedModels" && asked.query.contains("  relationName\n") {
                return unknown("relationName", "ModelAppliedStateNode");
            }
            Answer::Json(shop().answer(asked, "t"))
        });
        let server = server.await;
        let (reading, ..) = read(&server).await;
        let reading = reading.expect("a reading");
        assert!(reading.unanswered.relation_name && reading.unanswered.test_status.is_empty());
        assert_eq!(server.asked("AppliedModels").len(), 2);
        let report = check(&server.client(), 834).await;
        assert_eq!(report.missing_fields, ["relationName"]);
    }

    #[tokio::test]
    async fn any_other_unknown_field_fails_and_is_named() {
        let server = Server::start(|asked| match asked.operation.as_str() {
            "AppliedModels" => unknown("modelingLayer", "ModelAppliedStateNode"),
            _ => Answer::Json(shop().answer(asked, "t")),
        });
        let server = server.await;
        let (reading, ..) = read(&server).await;
        let error = reading.expect_err("an unknown field").to_string();
        assert!(
            error.contains("models, page 1") && error.contains("`modelingLayer` of `ModelAppliedStateNode`"),
            "{error}"
        );
        assert_eq!(server.asked("AppliedModels").len(), 1);
    }

    #[tokio::test]
    async fn check_asks_every_document_and_goes_on_after_a_failure() {
        let server = Server::start(|asked| match asked.operation.as_str() {
            "AppliedSeeds" => Answer::Status(403, "", ""),
            "FreshnessChecked" => {
                Answer::Json(json!({"data": {"environment": {"applied": {"sources": {"totalCount": 0}}}}}))
            }
            _ => Answer::Json(shop().answer(asked, "t")),
        });
        let report = check(&server.await.client(), 834).await;
        assert!(report.stamps.is_ok());
        assert_eq!(report.documents.len(), 17);
        assert_eq!(report.documents.iter().filter(|document| document.outcome.is_err()).count(), 1);
        let total = |name| {
            report.documents.iter().find(|document| document.resource == name)?.outcome.as_ref().ok().copied()?
        };
        assert_eq!((total("groups"), total("defined models")), (Some(250), None));
        assert_eq!((report.catalog_seen, report.freshness_checked), (None, Some(0)));
    }

    #[test]
    fn a_read_may_run_on_any_thread() {
        fn is_send<T: Send>(_: &T) {}
        let config = crate::config::DiscoveryConfig {
            url: "http://localhost/".into(),
            token: Some("t".to_owned().into()),
            page_size: 1,
            concurrency: 1,
            requests_per_minute: 1,
            timeout: std::time::Duration::ZERO,
            give_up_after: std::time::Duration::ZERO,
            read_deadline: std::time::Duration::ZERO,
            cooldown: std::time::Duration::ZERO,
            ca_file: None,
            partner_source: None,
        };
        let client = tokio::runtime::Runtime::new()
            .expect("a runtime")
            .block_on(async { Client::new(&config, &Limits::new(1, 1)) });
        is_send(&fetch(&client.expect("a client"), 1, mpsc::channel(1).0, &|_, _, _| {}));
    }
}
