//! The ids of what is defined: which of them the applied state lacks is decided later. One answer tells all of them with how many
//! there are; where it does not prove itself they are read page by page, which does.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use tokio::try_join;

use crate::inventory::{ResourceType, UniqueId};
use crate::origin::discovery::error::{Error, Kind, Place};
use crate::origin::discovery::read::page::{Reader, document};
use crate::origin::discovery::read::scalars::*;
use crate::origin::discovery::wire::retry::Ask;
use crate::origin::draft::{Draft, clean};

document!(
    DefinitionIds,
    "queries/definition_ids.graphql",
    definition_ids,
    "definition ids",
    definition.resources(types),
    draft
);
document!(DefinitionLineage, "queries/definition_lineage.graphql");

/// The types that differ between the two states.
pub(crate) const TYPES: [&str; 6] = ["Model", "Source", "Seed", "Snapshot", "Test", "Exposure"];

/// An id of the definition state, its type, and what is odd about it.
pub(crate) type DefinedId = (UniqueId, ResourceType, Vec<String>);

/// The ids of everything that is defined, proved to be all of them.
pub(crate) async fn read(reader: Reader<'_>) -> Result<Vec<DefinedId>, Error> {
    match by_lineage(reader).await {
        Ok(ids) => Ok(ids),
        Err(error) if matches!(error.kind(), Kind::Moved { .. }) => Err(error),
        // Whatever else is wrong: the lists prove themselves, or fail the read.
        Err(error) => {
            tracing::info!(%error, "the lineage does not tell what is defined: its lists are read");
            by_lists(reader).await
        }
    }
}

async fn by_lineage(reader: Reader<'_>) -> Result<Vec<DefinedId>, Error> {
    let mut ask = reader.client.ask(reader.environment_id, "lineage").once();
    let variables = |ask: &Ask| definition_lineage::Variables {
        environment_id: BigInt(ask.place.environment_id),
        types: TYPES.map(str::to_owned).into(),
    };
    let environment = reader.client.answer::<DefinitionLineage>(&mut ask, variables).await?.environment;
    let failed = |kind| Error::at(&ask.place, kind);
    let null = || failed(Kind::Incomplete { what: "the definition is null".to_owned() });
    let definition = environment.definition.ok_or_else(null)?;
    let applied_at = environment.applied.map(|state| state.last_updated_at);
    reader.at_same_moment(applied_at, Some(definition.last_updated_at)).map_err(failed)?;
    let totals = [
        (ResourceType::Model, definition.models.total_count),
        (ResourceType::Source, definition.sources.total_count),
        (ResourceType::Seed, definition.seeds.total_count),
        (ResourceType::Snapshot, definition.snapshots.total_count),
        (ResourceType::Test, definition.tests.total_count),
        (ResourceType::Exposure, definition.exposures.total_count),
    ];
    let nodes = definition.lineage.into_iter().map(|node| (node.unique_id, node.resource_type));
    proved(nodes, &totals).map_err(failed)
}

/// The ids, if of each type there are as many as its list counts.
fn proved(
    nodes: impl Iterator<Item = (String, String)>,
    totals: &[(ResourceType, i64)],
) -> Result<Vec<DefinedId>, Kind> {
    let incomplete = |what: String| Err(Kind::Incomplete { what });
    let mut types = BTreeMap::new();
    let mut counts: BTreeMap<ResourceType, i64> = BTreeMap::new();
    for (id, word) in nodes {
        let Some(kind) = known_type(&word) else { continue };
        match types.entry(UniqueId::from(clean(id))) {
            Entry::Vacant(new) if new.key().as_str().trim().is_empty() => {
                return incomplete("a node came whose `uniqueId` is empty".to_owned());
            }
            Entry::Vacant(new) => {
                new.insert(kind);
                *counts.entry(kind).or_default() += 1;
            }
            Entry::Occupied(known) if *known.get() == kind => {}
            Entry::Occupied(known) => {
                return incomplete(format!("`{}` came as {} and as {kind}", known.key(), known.get()));
            }
        }
    }
    for (kind, total) in totals {
        let came = counts.get(kind).copied().unwrap_or_default();
        if came != *total {
            return incomplete(format!("{came} ids of type {kind} came, `totalCount` is {total}"));
        }
    }
    Ok(types.into_iter().map(|(id, kind)| (id, kind, Vec::new())).collect())
}

/// The lists of all types at the same time: one of all types together would be the longest chain of a read.
async fn by_lists(reader: Reader<'_>) -> Result<Vec<DefinedId>, Error> {
    let slim = |draft: Draft| (draft.node.unique_id, draft.node.resource_type, draft.warnings);
    let of = |resource, word: &str| {
        let mut ask = reader.client.ask(reader.environment_id, resource);
        ask.types = vec![word.to_owned()];
        Box::pin(reader.read_pages::<DefinitionIds, _>(ask, slim))
    };
    let [model, source, seed, snapshot, test, exposure] = TYPES;
    let (models, sources, seeds, snapshots, tests, exposures) = try_join!(
        of("ids of defined models", model),
        of("ids of defined sources", source),
        of("ids of defined seeds", seed),
        of("ids of defined snapshots", snapshot),
        of("ids of defined tests", test),
        of("ids of defined exposures", exposure),
    )?;
    let mut ids = BTreeMap::new();
    for (id, kind, warnings) in [models, sources, seeds, snapshots, tests, exposures].into_iter().flatten() {
        if let Some((other, _)) = ids.insert(id.clone(), (kind, warnings)) {
            let place = Place { environment_id: reader.environment_id, resource: "definition ids", page: 0 };
            let what = format!("`{id}` is in two lists, one of them of type {other}");
            return Err(Error::at(&place, Kind::Incomplete { what }));
        }
    }
    Ok(ids.into_iter().map(|(id, (kind, warnings))| (id, kind, warnings)).collect())
}

fn draft(item: definition_ids::Item) -> Draft {
    let kind = known_type(&item.resource_type);
    let mut draft = Draft::new(item.unique_id, kind.unwrap_or(ResourceType::External), Some(false));
    if kind.is_none() {
        let (id, unknown) = (&draft.node.unique_id, crate::origin::printable(&item.resource_type, 40));
        draft.warnings.push(format!("`{id}` is defined, but its type `{unknown}` is unknown: it is left out"));
    }
    draft
}

/// Which of the types a word means, however it is spelled. Unit tests are tests here.
fn known_type(word: &str) -> Option<ResourceType> {
    match word.to_lowercase().replace(['_', ' ', '-'], "").as_str() {
        "model" => Some(ResourceType::Model),
        "source" => Some(ResourceType::Source),
        "seed" => Some(ResourceType::Seed),
        "snapshot" => Some(ResourceType::Snapshot),
        "test" | "datatest" | "unittest" => Some(ResourceType::Test),
        "exposure" => Some(ResourceType::Exposure),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_value, json};

    #[test]
    fn a_type_of_any_spelling_is_known_and_a_new_one_is_a_warning() {
        let read = |resource_type: &str| {
            let item = json!({"__typename": "XDefinitionNode", "uniqueId": "x.shop.x", "resourceType": resource_type});
            draft(from_value(item).expect("an id"))
        };
        assert_eq!(read("unit_test").node.resource_type, ResourceType::Test);
        assert_eq!(read("Model").node.resource_type, ResourceType::Model);
        assert!(read("snapshot").warnings.is_empty());
        assert_eq!(read("analysis").warnings.len(), 1);
    }

    fn proof(nodes: &[(&str, &str)], models: i64, tests: i64) -> Option<Vec<(String, ResourceType)>> {
        let nodes = nodes.iter().map(|(id, word)| ((*id).to_owned(), (*word).to_owned()));
        let ids = proved(nodes, &[(ResourceType::Model, models), (ResourceType::Test, tests)]).ok()?;
        Some(ids.into_iter().map(|(id, kind, _)| (id.to_string(), kind)).collect())
    }

    #[test]
    fn ids_that_are_as_many_of_each_type_as_is_counted_are_all_of_them() {
        let all = [("a", "Model"), ("t", "Test"), ("u", "UnitTest")];
        let known = [("a", ResourceType::Model), ("t", ResourceType::Test), ("u", ResourceType::Test)];
        let known = known.map(|(id, kind)| (id.to_owned(), kind)).to_vec();
        assert_eq!(proof(&all, 1, 2), Some(known.clone()));
        // What is of another type was not asked for; what came twice is one.
        assert_eq!(proof(&[&all[..], &[("m", "Macro"), ("t", "Test")]].concat(), 1, 2), Some(known));
        assert_eq!(proof(&[], 0, 0), Some(Vec::new()));
    }

    #[test]
    fn ids_that_do_not_add_up_prove_nothing() {
        assert_eq!(proof(&[("a", "Model")], 2, 0), None, "one is missing");
        assert_eq!(proof(&[("a", "Model"), ("a", "Model")], 2, 0), None, "one stands for another");
        assert_eq!(proof(&[("a", "Model"), ("b", "Model")], 1, 0), None, "one too many");
        assert_eq!(proof(&[("a", "Model"), ("b", "Test")], 2, 0), None, "one is of another type");
        assert_eq!(proof(&[("a", "Model"), ("a", "Test")], 1, 1), None, "one is of two types");
        assert_eq!(proof(&[(" ", "Model")], 1, 0), None, "one has no id");
    }
}
