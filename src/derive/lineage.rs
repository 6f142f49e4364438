//! Keeps the table `reach`: every connected pair, so that a stock client gets all ancestors or descendants by index. The pairs are
//! computed in memory; only those that differ are written. Where they would be too many, [`super::watched`] keeps those that matter.

use std::collections::{HashMap, HashSet};

use rusqlite::{Statement, Transaction};

use super::index::Indexes;
use super::watched::write_watched;
use crate::inventory::{Inventory, ResourceType, UniqueId};
use crate::plan::{Direction, Graph};

/// So many pairs of an environment are kept: some 270 MB, and ten seconds of a first sync.
const MOST_PAIRS: i64 = 10_000_000;

/// The nodes of one read, by their places in it.
pub(super) struct Places<'a> {
    pub(super) transaction: &'a Transaction<'a>,
    pub(super) environment_id: i64,
    pub(super) inventory: &'a Inventory,
    pub(super) graph: Graph<'a>,
    pub(super) keys: Vec<i64>,
    /// Those that have lineage.
    pub(super) kept: Vec<bool>,
}

/// Makes the stored pairs of an environment those of `inventory`, whose nodes all have a key. `moved` are the nodes whose own parents
/// or type are others than before, or that are new or gone: what stands on them may stand on others now.
pub(crate) fn write_lineage(
    transaction: &Transaction<'_>,
    (environment_id, inventory): (i64, &Inventory),
    keys: &HashMap<UniqueId, i64>,
    moved: &HashSet<&UniqueId>,
) -> rusqlite::Result<()> {
    write_pairs(transaction, (environment_id, inventory), keys, moved, MOST_PAIRS)
}

/// The same with another limit.
pub(crate) fn write_pairs(
    transaction: &Transaction<'_>,
    (environment_id, inventory): (i64, &Inventory),
    keys: &HashMap<UniqueId, i64>,
    moved: &HashSet<&UniqueId>,
    most: i64,
) -> rusqlite::Result<()> {
    let sql = "SELECT pair_count, longest_way IS NULL FROM environment WHERE environment_id = ?1";
    let (stored, has_all): (i64, bool) =
        transaction.query_row(sql, [environment_id], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if has_all && moved.is_empty() {
        return Ok(());
    }
    let key = |id: &UniqueId| keys.get(id).copied().ok_or(rusqlite::Error::QueryReturnedNoRows);
    let places = Places {
        transaction,
        environment_id,
        inventory,
        graph: Graph::build(inventory),
        keys: inventory.nodes.keys().map(key).collect::<rusqlite::Result<_>>()?,
        kept: inventory.nodes.values().map(|node| has_lineage(node.resource_type)).collect(),
    };
    let count =
        if has_all && stored > 0 { stored + replace_pairs(&places, moved, &key)? } else { count_pairs(&places, most) };
    if count > most {
        return write_watched(&places);
    }
    if !has_all || stored == 0 {
        transaction.execute(FORGET, [environment_id])?;
        write_all(&places)?;
    }
    let sql = "UPDATE environment SET pair_count = ?2, longest_way = NULL
               WHERE environment_id = ?1 AND (pair_count, longest_way) IS NOT (?2, NULL)";
    transaction.execute(sql, (environment_id, count)).map(drop)
}

/// Forgets all pairs of an environment.
pub(super) const FORGET: &str = "
    DELETE FROM reach WHERE descendant_key IN (SELECT node_key FROM node WHERE environment_id = ?1)";

/// How many pairs there are, or more than `most`.
fn count_pairs(places: &Places<'_>, most: i64) -> i64 {
    let mut count = 0;
    let add = |_: usize, ancestry: &[(usize, u32)]| {
        count += ancestry.len() as i64;
        if count > most { Err(()) } else { Ok(()) }
    };
    // That it ended early is told by the count.
    let _ = places.graph.each_connected(Direction::Upstream, &places.kept, &places.kept, add);
    count
}

/// Writes all pairs of an environment that has none.
fn write_all(places: &Places<'_>) -> rusqlite::Result<()> {
    let Places { transaction, graph, keys, kept, .. } = places;
    let mut pairs = Pairs::new(transaction, keys)?;
    let indexes = Indexes::take(transaction, "reach", &["reach_by_ancestor"])?;
    graph.each_connected(Direction::Upstream, kept, kept, |of, ancestry| pairs.insert(of, ancestry))?;
    drop(pairs);
    indexes.give_back(transaction)
}

/// Brings the pairs of whatever stands on `moved` up to date. Returns how many more there are than before.
fn replace_pairs(
    places: &Places<'_>,
    moved: &HashSet<&UniqueId>,
    key: &dyn Fn(&UniqueId) -> rusqlite::Result<i64>,
) -> rusqlite::Result<i64> {
    let Places { transaction, inventory, graph, keys, kept, .. } = places;
    let whose = graph.with_descendants(|id| moved.contains(id));
    let mut pairs = Pairs::new(transaction, keys)?;
    let mut more = 0;
    graph.each_connected(Direction::Upstream, kept, &whose, |of, ancestry| {
        more += pairs.replace(of, ancestry)?;
        Ok::<_, rusqlite::Error>(())
    })?;
    // What is gone, or no longer of a type that has lineage, stands on nothing.
    let is_kept = |id: &UniqueId| inventory.nodes.get(id).is_some_and(|node| has_lineage(node.resource_type));
    for id in moved.iter().filter(|id| !is_kept(id)) {
        let mut delete = transaction.prepare_cached("DELETE FROM reach WHERE descendant_key = ?1")?;
        more -= delete.execute([key(id)?])? as i64;
    }
    Ok(more)
}

/// Writes pairs. Nodes are told by their place in the inventory.
struct Pairs<'a> {
    keys: &'a [i64],
    stored: Statement<'a>,
    delete: Statement<'a>,
    insert: Statement<'a>,
    wanted: Vec<(i64, i64)>,
    found: Vec<(i64, i64)>,
}

impl<'a> Pairs<'a> {
    fn new(transaction: &'a Transaction<'_>, keys: &'a [i64]) -> rusqlite::Result<Self> {
        Ok(Self {
            keys,
            stored: transaction
                .prepare("SELECT ancestor_key, depth FROM reach WHERE descendant_key = ?1 ORDER BY ancestor_key")?,
            delete: transaction.prepare("DELETE FROM reach WHERE descendant_key = ?1 AND ancestor_key = ?2")?,
            insert: transaction
                .prepare("INSERT OR REPLACE INTO reach (descendant_key, ancestor_key, depth) VALUES (?1, ?2, ?3)")?,
            wanted: Vec::new(),
            found: Vec::new(),
        })
    }

    fn want(&mut self, ancestry: &[(usize, u32)]) {
        self.wanted.clear();
        self.wanted.extend(ancestry.iter().map(|(place, depth)| (self.keys[*place], i64::from(*depth))));
        self.wanted.sort_unstable();
    }

    /// Writes the pairs of a node that has none.
    fn insert(&mut self, of: usize, ancestry: &[(usize, u32)]) -> rusqlite::Result<()> {
        self.want(ancestry);
        for (ancestor, depth) in &self.wanted {
            self.insert.execute((self.keys[of], ancestor, depth))?;
        }
        Ok(())
    }

    /// Makes the pairs of a node these. Returns how many more it has than before.
    fn replace(&mut self, of: usize, ancestry: &[(usize, u32)]) -> rusqlite::Result<i64> {
        self.want(ancestry);
        let descendant = self.keys[of];
        self.found.clear();
        let mut rows = self.stored.query([descendant])?;
        while let Some(row) = rows.next()? {
            self.found.push((row.get(0)?, row.get(1)?));
        }
        drop(rows);
        for (ancestor, _) in &self.found {
            if self.wanted.binary_search_by_key(ancestor, |(key, _)| *key).is_err() {
                self.delete.execute((descendant, ancestor))?;
            }
        }
        for pair in self.wanted.iter().filter(|pair| self.found.binary_search(pair).is_err()) {
            self.insert.execute((descendant, pair.0, pair.1))?;
        }
        Ok(self.wanted.len() as i64 - self.found.len() as i64)
    }
}

/// Tests of every kind and groups are left out of lineage; macros are not read at all.
fn has_lineage(resource_type: ResourceType) -> bool {
    !matches!(resource_type, ResourceType::Test | ResourceType::UnitTest | ResourceType::Group)
}
