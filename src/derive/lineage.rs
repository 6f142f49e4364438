//! Keeps the table `reach`: every connected pair, so that a stock client gets all ancestors or descendants by index. The pairs are
//! computed in memory; only those that differ are written.

use std::collections::HashMap;

use rusqlite::Transaction;

use crate::inventory::{Inventory, ResourceType, UniqueId};
use crate::plan::Graph;

/// Makes the stored pairs of an environment those of `inventory`, whose nodes all have a key.
pub(crate) fn write_lineage(
    transaction: &Transaction<'_>,
    environment_id: i64,
    inventory: &Inventory,
    keys: &HashMap<UniqueId, i64>,
) -> rusqlite::Result<()> {
    let graph = Graph::build(inventory);
    let mut stored =
        transaction.prepare("SELECT ancestor_key, depth FROM reach WHERE descendant_key = ?1 ORDER BY ancestor_key")?;
    let mut delete = transaction.prepare("DELETE FROM reach WHERE descendant_key = ?1 AND ancestor_key = ?2")?;
    let mut upsert = transaction.prepare(
        "INSERT INTO reach (descendant_key, ancestor_key, depth) VALUES (?1, ?2, ?3)
         ON CONFLICT DO UPDATE SET depth = excluded.depth",
    )?;
    let mut wanted: Vec<(i64, i64)> = Vec::new();
    let mut found: Vec<(i64, i64)> = Vec::new();
    let mut written = Ok(());
    let mut write = |id: &UniqueId, ancestry: &[(&UniqueId, u32)]| -> rusqlite::Result<()> {
        let Some(&descendant) = keys.get(id) else { return Ok(()) };
        wanted.clear();
        wanted.extend(ancestry.iter().filter_map(|(id, depth)| Some((*keys.get(*id)?, i64::from(*depth)))));
        wanted.sort_unstable();
        found.clear();
        let mut rows = stored.query([descendant])?;
        while let Some(row) = rows.next()? {
            found.push((row.get(0)?, row.get(1)?));
        }
        if wanted == found {
            return Ok(());
        }
        for (ancestor, _) in &found {
            if wanted.binary_search_by_key(ancestor, |(key, _)| *key).is_err() {
                delete.execute((descendant, ancestor))?;
            }
        }
        for pair in wanted.iter().filter(|pair| found.binary_search(pair).is_err()) {
            upsert.execute((descendant, pair.0, pair.1))?;
        }
        Ok(())
    };
    let kept = |id: &UniqueId| inventory.nodes.get(id).is_some_and(|node| has_lineage(node.resource_type));
    graph.each_ancestry(kept, |id, ancestry| {
        if written.is_ok() {
            written = write(id, ancestry);
        }
    });
    written?;
    // What is gone, or no longer of a type that has lineage, stands on nothing.
    transaction.execute(
        "DELETE FROM reach WHERE descendant_key IN (
             SELECT node_key FROM node WHERE environment_id = ?1
             AND (removed_at IS NOT NULL OR resource_type IN ('test', 'unit_test', 'group')))",
        [environment_id],
    )?;
    Ok(())
}

/// Tests of every kind and groups are left out of lineage; macros are not read at all.
fn has_lineage(resource_type: ResourceType) -> bool {
    !matches!(resource_type, ResourceType::Test | ResourceType::UnitTest | ResourceType::Group)
}
