//! What is kept of lineage where all pairs would be too many: those that the views `freshness` and `health` look for. The view `lineage`
//! then walks the edges. Written anew by each sync that applies, since what is broken moves with every run.

use super::lineage::{FORGET, Places};
use super::tests::Tested;
use crate::inventory::{FreshnessCheck, Inventory, Node, ResourceType};
use crate::plan::Direction;

/// Keeps only the pairs whose ancestor matters to what stands on it.
pub(super) fn write_watched(places: &Places<'_>) -> rusqlite::Result<()> {
    let Places { transaction, environment_id, inventory, graph, keys, kept } = places;
    transaction.execute(FORGET, [environment_id])?;
    let nodes: Vec<&Node> = inventory.nodes.values().map(|node| &**node).collect();
    let watches = watches(&nodes, inventory);
    let mut insert = transaction.prepare("INSERT OR IGNORE INTO reach VALUES (?1, ?2, 0)")?;
    let whose: Vec<bool> = watches.iter().map(|watch| matches!(watch, Watch::All | Watch::Exposures)).collect();
    graph.each_connected(Direction::Downstream, kept, &whose, |of, descendants| {
        for (descendant, _) in descendants {
            if watches[of] == Watch::All || nodes[*descendant].resource_type == ResourceType::Exposure {
                insert.execute((keys[*descendant], keys[of]))?;
            }
        }
        Ok::<_, rusqlite::Error>(())
    })?;
    let plain = (0..nodes.len()).filter(|place| watches[*place] == Watch::First);
    for (descendant, first) in graph.first_above(kept, plain).into_iter().enumerate() {
        if let Some(first) = first {
            insert.execute((keys[descendant], keys[first]))?;
        }
    }
    let sql = "UPDATE environment SET pair_count = 0, longest_way = ?2 WHERE environment_id = ?1";
    transaction.execute(sql, (environment_id, graph.longest_way() as i64)).map(drop)
}

/// For whose sake the pairs of an ancestor are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Watch {
    /// Nobody's.
    None,
    /// Whatever stands on it.
    All,
    /// What stands on it and is an exposure: what was never built makes that unknown.
    Exposures,
    /// Whatever stands on it, but only the first such source is named.
    First,
}

fn watches(nodes: &[&Node], inventory: &Inventory) -> Vec<Watch> {
    let mut watches: Vec<Watch> = nodes.iter().map(|node| watch(node)).collect();
    let is_bad_test = |node: &&&Node| {
        matches!(node.resource_type, ResourceType::Test | ResourceType::UnitTest)
            && matches!(node.last_run.status.as_deref(), Some("error" | "fail" | "warn"))
    };
    for test in nodes.iter().filter(is_bad_test) {
        let tested = Tested::by(test, inventory).tested_id;
        if let Ok(place) = nodes.binary_search_by_key(&tested.as_deref(), |node| Some(node.unique_id.as_str())) {
            watches[place] = Watch::All;
        }
    }
    watches
}

fn watch(node: &Node) -> Watch {
    let status = node.last_run.status.as_deref();
    match node.resource_type {
        ResourceType::Source => {
            let is_checked =
                node.freshness != FreshnessCheck::default() || !node.properties.value()["freshness"].is_null();
            if is_checked { Watch::All } else { Watch::First }
        }
        ResourceType::Model | ResourceType::Seed | ResourceType::Snapshot
            if matches!(status, Some("error" | "skipped")) =>
        {
            Watch::All
        }
        ResourceType::Model if status.is_none() && node.last_run.executed_at.is_none() => Watch::Exposures,
        _ => Watch::None,
    }
}
