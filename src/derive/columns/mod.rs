//! Keeps where the columns of models and snapshots come from: the tables `column_status`, `derived_column`, `column_origin` and
//! `column_use`. A node is resolved again only where its code, its own columns or what it can read are others than before; parents first,
//! since the columns of a parent may be known from its code alone. A failure is a status, and no failed sync.

mod inputs;
mod order;
mod resolver;
mod store;
mod thread;

use std::collections::{HashMap, HashSet};

use rusqlite::{OptionalExtension, Transaction};

use super::index::Indexes;
use crate::inventory::{Inventory, Node, UniqueId};
use crate::plan::{Change, ChangeKind};
use inputs::VERSION;
use order::Order;
use resolver::{Dialect, Failure, Relation, Status};
use store::{Renewed, Rows, Store};
use thread::{Job, Thread, with_thread};

/// What a sync has read, and what of it is new.
pub(crate) struct Pass<'a> {
    pub(crate) environment_id: i64,
    pub(crate) sync_id: i64,
    pub(crate) inventory: &'a Inventory,
    /// Of all nodes that are there or were.
    pub(crate) keys: &'a HashMap<UniqueId, i64>,
    /// The nodes of which something changed that [`moves_columns`], or whose compiled code did.
    pub(crate) moved: &'a HashSet<&'a UniqueId>,
    /// Whether the environment itself is described otherwise.
    pub(crate) is_renamed: bool,
}

/// Whether a change can tell otherwise where columns come from.
pub(crate) fn moves_columns(change: &Change<'_>) -> bool {
    match &change.kind {
        ChangeKind::Added | ChangeKind::Restored | ChangeKind::Removed => true,
        ChangeKind::EdgeAdded(_) | ChangeKind::EdgeRemoved(_) => true,
        ChangeKind::ColumnAdded(_) | ChangeKind::ColumnRemoved(_) => true,
        ChangeKind::ColumnChanged { field, .. } => ["in_warehouse", "position"].contains(field),
        ChangeKind::Changed { field, .. } => [
            "resource_type",
            "name",
            "database_name",
            "schema_name",
            "identifier",
            "relation_name",
            "materialization",
            "language",
            "raw_code",
        ]
        .contains(field),
    }
}

/// Brings column lineage up to date with what a sync has read.
pub(crate) fn write_columns(transaction: &Transaction<'_>, pass: &Pass<'_>) -> rusqlite::Result<()> {
    let sql = "SELECT resolver_version FROM environment WHERE environment_id = ?1";
    let version: Option<i64> = transaction.query_row(sql, [pass.environment_id], |row| row.get(0))?;
    let all = version != Some(VERSION) || pass.is_renamed;
    if !all && pass.moved.is_empty() {
        return Ok(());
    }
    let mut store = Store::new(transaction, pass.sync_id)?;
    let order = Order::of(pass.inventory);
    let mut is_due = vec![all; order.nodes.len()];
    for id in pass.moved {
        match order.places.get(id.as_str()) {
            Some(place) => {
                is_due[*place] = true;
                order.children(*place).iter().for_each(|child| is_due[*child] = true);
            }
            None => forget_removed(pass, id, &mut store)?,
        }
    }
    let names = ["column_origin_by_parent", "column_use_by_parent"];
    let indexes = Indexes::take(transaction, "column_status", &names)?;
    let renewed = with_thread(|thread| {
        let mut renewal = Renewal { transaction, pass, order: &order, store, thread, lists: HashMap::new() };
        renewal.run(&mut is_due)?;
        renewal.store.flush()?;
        let Store { revision, first_revision, .. } = renewal.store;
        let sql = "UPDATE identity SET last_revision = ?1 WHERE ?1 <> ?2";
        transaction.execute(sql, (revision, first_revision)).map(drop)
    });
    indexes.give_back(transaction)?;
    let version = match renewed {
        Ok(renewed) => renewed.map(|()| Some(VERSION))?,
        Err(error) => {
            tracing::warn!(%error, "columns could not be resolved; the next sync tries again");
            None
        }
    };
    let sql = "UPDATE environment SET resolver_version = ?2 WHERE environment_id = ?1 AND resolver_version IS NOT ?2";
    transaction.execute(sql, (pass.environment_id, version)).map(drop)
}

/// What is gone has no lineage, and what read it is looked at by its own changes.
fn forget_removed(pass: &Pass<'_>, id: &UniqueId, store: &mut Store<'_>) -> rusqlite::Result<()> {
    match pass.keys.get(id) {
        Some(key) => store.forget(*key),
        None => Ok(()),
    }
}

/// Resolves what is due.
struct Renewal<'a> {
    transaction: &'a Transaction<'a>,
    pass: &'a Pass<'a>,
    order: &'a Order<'a>,
    store: Store<'a>,
    thread: &'a Thread,
    /// The columns that nodes give by their code, as far as they were asked for.
    lists: HashMap<usize, Option<Vec<String>>>,
}

impl Renewal<'_> {
    fn run(&mut self, is_due: &mut [bool]) -> rusqlite::Result<()> {
        for place in self.order.parents_first() {
            if !is_due[place] {
                continue;
            }
            let node = self.order.nodes[place];
            if !inputs::is_resolved(node) {
                self.store.forget(self.key(node)?)?;
            } else if self.renew(place, node)? {
                self.order.children(place).iter().for_each(|child| is_due[*child] = true);
            }
        }
        Ok(())
    }

    fn key(&self, node: &Node) -> rusqlite::Result<i64> {
        self.pass.keys.get(&node.unique_id).copied().ok_or(rusqlite::Error::QueryReturnedNoRows)
    }

    /// Tells whether the node gives other columns than before.
    fn renew(&mut self, place: usize, node: &Node) -> rusqlite::Result<bool> {
        let key = self.key(node)?;
        let dialect = Dialect::of(self.pass.inventory.environment.adapter_type.as_deref());
        let relations = self.relations(node, key)?;
        let stamp = inputs::stamp(node, dialect, &relations);
        let known = self.store.known(key)?;
        if known.as_ref().is_some_and(|known| known.stamp == stamp) {
            return Ok(false);
        }
        let before = self.list(place)?;
        let (keys, relations): (Vec<i64>, Vec<Relation>) = relations.into_iter().unzip();
        let outcome = match self.code(node, key)? {
            Ok(code) => self.thread.resolve(Job { code, dialect, relations }),
            Err(failure) => Err(failure),
        };
        let rows = Rows::of(outcome, &keys);
        let after = rows.list();
        self.store.put(key, Renewed { rows, known, stamp })?;
        let is_other = before != after;
        self.lists.insert(place, after);
        Ok(is_other)
    }

    /// What the node can read: its parents, and itself.
    fn relations(&mut self, node: &Node, key: i64) -> rusqlite::Result<Vec<(i64, Relation)>> {
        let mut relations = Vec::with_capacity(node.parents.len() + 1);
        for parent in &node.parents {
            let Some(place) = self.order.places.get(parent.as_str()).copied() else { continue };
            let parent = self.order.nodes[place];
            if inputs::is_relation(parent) && parent.unique_id != node.unique_id {
                let derived = if inputs::is_resolved(parent) { self.list(place)? } else { None };
                relations.push((self.key(parent)?, inputs::relation(parent, derived.as_deref())));
            }
        }
        relations.push((key, inputs::own(node)));
        Ok(relations)
    }

    fn list(&mut self, place: usize) -> rusqlite::Result<Option<Vec<String>>> {
        if let Some(list) = self.lists.get(&place) {
            return Ok(list.clone());
        }
        let key = self.key(self.order.nodes[place])?;
        let list = self.store.list(key)?;
        self.lists.insert(place, list.clone());
        Ok(list)
    }

    /// The node's code, or why there is none to resolve.
    fn code(&mut self, node: &Node, key: i64) -> rusqlite::Result<Result<String, Failure>> {
        let failure = |status, reason: &str| Err(Failure { status, reason: reason.to_owned() });
        if let Some(language) = node.language.as_deref().filter(|language| *language != "sql") {
            return Ok(failure(Status::NotSql, &format!("it is written in {language}")));
        }
        let sql = "SELECT code FROM compiled_code WHERE node_key = ?1";
        let code = self.transaction.prepare_cached(sql)?.query_row([key], |row| row.get(0)).optional()?;
        Ok(match code {
            Some(code) => Ok(code),
            None if node.raw_code.is_some() => {
                failure(Status::NoCode, "it was not compiled, or not since its code changed")
            }
            None => failure(Status::NoCode, "its code is not known: the token may not read it, or there is none"),
        })
    }
}
