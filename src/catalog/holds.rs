//! What is held or in doubt: the losses that a held sync lists, what a person approves of them, what the last reads could not make
//! sure of, and when a held environment is read again.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, Row};

use super::doubts::{doubts, write_doubts};
use super::syncs::{Ending, SyncId, finish};
use super::{Catalog, Error};
use crate::plan::{About, Doubts, Held, Loss, LossKind};
use crate::time::Timestamp;

/// A held environment is read in full again after so long, in milliseconds, however often it fires.
pub const LOOK_AGAIN: i64 = 3_600_000;

/// A sync that waits for a person: of an environment the newest that read everything, as long as no later one was good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldSync {
    /// Its number.
    pub sync_id: SyncId,
    /// Its environment's id.
    pub environment_id: i64,
    /// Its environment's name.
    pub environment: String,
    /// When it ended.
    pub finished_at: String,
    /// Why it is held.
    pub why: String,
    /// When it was approved, if it was.
    pub approved_at: Option<String>,
    /// What each node would lose, sorted.
    pub losses: Vec<Loss>,
}

/// Who approves a held sync, and why.
#[derive(Debug, Clone, Default)]
pub struct Approval {
    /// The user's name, as the operating system tells it.
    pub by: Option<String>,
    /// What the user says.
    pub reason: Option<String>,
}

impl Catalog {
    /// Closes a sync that is not applied. What it would take away replaces what a former one listed; a repetition that read
    /// nothing lists nothing.
    pub fn hold_sync(&mut self, sync: SyncId, ending: &Ending, held: &Held, now: Timestamp) -> Result<(), Error> {
        self.write(|transaction| {
            finish(transaction, sync, "held", ending, Some(&held.to_string()), now)?;
            if ending.doubts.is_none() {
                return Ok(());
            }
            let environment = "(SELECT environment_id FROM sync WHERE sync_id = ?1)";
            transaction.execute(
                &format!("DELETE FROM held_loss WHERE sync_id IN (SELECT sync_id FROM sync WHERE environment_id = {environment})"),
                [sync.0],
            )?;
            let sql = "INSERT INTO held_loss (sync_id, kind, unique_id) VALUES (?1, ?2, ?3)";
            let mut insert = transaction.prepare(sql)?;
            for loss in &held.losses {
                insert.execute((sync.0, loss.kind.as_str(), loss.unique_id.as_str()))?;
            }
            Ok(())
        })
    }

    /// Approves one held sync, by its number or that of a repetition: the next read may take away exactly what it listed.
    ///
    /// # Errors
    /// If there is no such sync, or it waits for no approval.
    pub fn approve(&mut self, sync: SyncId, approval: &Approval, now: Timestamp) -> Result<HeldSync, Error> {
        let mut waiting = waiting(&self.connection)?.into_iter();
        let is_it =
            |(numbers, held): &(BTreeSet<SyncId>, HeldSync)| numbers.contains(&sync) && held.approved_at.is_none();
        let Some((_, held)) = waiting.find(is_it) else { return Err(Error::NotHeld(self.why_not_held(sync)?)) };
        let mut doubts = doubts(&self.connection, held.environment_id)?;
        doubts.approve(About::Losses, held.losses.iter().map(Loss::to_string));
        for about in [About::Counts, About::Lag] {
            let listed = doubts.about(about).map(|doubt| doubt.list.clone()).unwrap_or_default();
            doubts.approve(about, listed);
        }
        self.write(|transaction| {
            transaction.execute(
                "UPDATE sync SET approved_at = ?2, approved_by = ?3, approve_reason = ?4 WHERE sync_id = ?1",
                (held.sync_id.0, now.to_string(), &approval.by, &approval.reason),
            )?;
            write_doubts(transaction, held.sync_id.0, &doubts)
        })?;
        Ok(held)
    }

    fn why_not_held(&self, sync: SyncId) -> Result<String, Error> {
        let sql = "SELECT coalesce(outcome, 'running'), approved_at FROM sync WHERE sync_id = ?1";
        let found = self
            .connection
            .query_row(sql, [sync.0], |row| Ok((row.get::<_, String>(0)?, row.get::<_, Option<String>>(1)?)))
            .optional()
            .map_err(Error::sqlite("read"))?;
        let SyncId(id) = sync;
        Ok(match found {
            None => format!("there is no sync {id}: `lineaged status` lists those that are held"),
            Some((_, Some(at))) => format!("sync {id} was approved at {at}: run `lineaged sync`"),
            Some((outcome, None)) if outcome == "held" => {
                format!(
                    "sync {id} is out of date, since a later one read everything: `lineaged status` shows what is held now"
                )
            }
            Some((outcome, None)) => format!("sync {id} is not held, its outcome is `{outcome}`"),
        })
    }
}

/// The held syncs that nobody has approved, oldest first.
pub fn held_syncs(connection: &Connection) -> Result<Vec<HeldSync>, Error> {
    let held = waiting(connection)?.into_iter().map(|(_, held)| held);
    Ok(held.filter(|held| held.approved_at.is_none()).collect())
}

/// The held sync of each environment that no later good one has overtaken, with the numbers under which it may be named: its own, and
/// those of the repetitions that read nothing.
fn waiting(connection: &Connection) -> Result<Vec<(BTreeSet<SyncId>, HeldSync)>, Error> {
    let sql = "SELECT s.sync_id, s.environment_id, e.name, s.finished_at, s.error, s.approved_at,
                   (SELECT json_group_array(r.sync_id) FROM sync r WHERE r.environment_id = s.environment_id
                    AND r.sync_id > s.sync_id AND r.outcome = 'held')
               FROM sync s JOIN environment e ON e.environment_id = s.environment_id
               WHERE s.sync_id = (
                   SELECT max(h.sync_id) FROM sync h WHERE h.environment_id = s.environment_id
                   AND h.outcome = 'held' AND h.mode = 'full')
               AND NOT EXISTS (
                   SELECT 1 FROM sync good WHERE good.environment_id = s.environment_id
                   AND good.sync_id > s.sync_id AND good.outcome IN ('applied', 'unchanged'))
               ORDER BY s.sync_id";
    let held = |row: &Row<'_>| {
        let sync_id = SyncId(row.get(0)?);
        let repetitions = serde_json::from_str::<Vec<i64>>(&row.get::<_, String>(6)?).unwrap_or_default();
        let numbers = repetitions.into_iter().map(SyncId).chain([sync_id]).collect();
        let held = HeldSync {
            sync_id,
            environment_id: row.get(1)?,
            environment: row.get(2)?,
            finished_at: row.get(3)?,
            why: row.get::<_, Option<String>>(4)?.unwrap_or_default(),
            approved_at: row.get(5)?,
            losses: losses_of(connection, sync_id)?,
        };
        Ok((numbers, held))
    };
    let read = || connection.prepare(sql)?.query_map([], held)?.collect::<rusqlite::Result<_>>();
    read().map_err(Error::sqlite("read"))
}

fn losses_of(connection: &Connection, sync: SyncId) -> rusqlite::Result<Vec<Loss>> {
    let mut statement = connection.prepare_cached("SELECT kind, unique_id FROM held_loss WHERE sync_id = ?1")?;
    let loss = |row: &Row<'_>| {
        let (word, id): (String, String) = (row.get(0)?, row.get(1)?);
        let kind = LossKind::ALL.into_iter().find(|kind| kind.as_str() == word);
        Ok(kind.map(|kind| Loss { kind, unique_id: id.into() }))
    };
    let found = statement.query_map([sync.0], loss)?.collect::<rusqlite::Result<Vec<_>>>()?;
    let losses: BTreeSet<Loss> = found.into_iter().flatten().collect();
    Ok(losses.into_iter().collect())
}

/// What a probe is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// The last complete read was applied or found unchanged.
    Good,
    /// It was held, and it is not yet time to read again.
    Held {
        /// Which sync read it.
        sync: SyncId,
        /// What it would take away.
        losses: Vec<Loss>,
    },
}

/// What is known of an environment whose probe says `stamps`: `None` if it has moved since the last complete read, if that read was
/// not relied upon, if the last full read ended before `full_since`, or if it was held and is to be looked at again.
///
/// A stamp of the future says nothing about how long ago it was, so it counts as old.
pub fn known(
    connection: &Connection,
    environment_id: i64,
    stamps: &str,
    full_since: Timestamp,
    now: Timestamp,
) -> Result<Option<Known>, Error> {
    let sql = "SELECT s.outcome FROM sync s JOIN probe p ON p.sync_id = s.sync_id
               WHERE s.environment_id = ?1 AND p.stamps = ?2
               AND s.sync_id = (SELECT max(sync_id) FROM sync WHERE environment_id = ?1
                                AND outcome IN ('applied', 'unchanged', 'held'))
               AND EXISTS (SELECT 1 FROM sync f WHERE f.environment_id = ?1 AND f.mode = 'full'
                           AND f.outcome IN ('applied', 'unchanged', 'held') AND f.finished_at BETWEEN ?3 AND ?4)";
    let read = || -> rusqlite::Result<Option<Known>> {
        let values = (environment_id, stamps, full_since.to_string(), now.to_string());
        let found = connection.query_row(sql, values, |row| row.get::<_, String>(0)).optional()?;
        match found.as_deref() {
            None => Ok(None),
            Some("held") => still_held(connection, environment_id, now),
            Some(_) => Ok(Some(Known::Good)),
        }
    };
    read().map_err(Error::sqlite("read"))
}

/// What the probe of the newest sync that read said, where that is remembered.
pub fn last_stamps(connection: &Connection, environment_id: i64) -> Result<Option<String>, Error> {
    let sql = "SELECT p.stamps FROM sync s JOIN probe p ON p.sync_id = s.sync_id
               WHERE s.environment_id = ?1 ORDER BY s.sync_id DESC LIMIT 1";
    connection.query_row(sql, [environment_id], |row| row.get(0)).optional().map_err(Error::sqlite("read"))
}

/// The hold that a probe repeats. The environment is read in full again after 1, 2, 4, … firings or after an hour, and at once when the
/// hold was approved: so that a glitch heals by itself.
fn still_held(connection: &Connection, environment_id: i64, now: Timestamp) -> rusqlite::Result<Option<Known>> {
    let sql = "WITH good AS (
                   SELECT coalesce(max(sync_id), 0) AS sync_id FROM sync
                   WHERE environment_id = ?1 AND outcome IN ('applied', 'unchanged')
               ),
               looks AS (
                   SELECT count(*) AS number, max(s.sync_id) AS last FROM sync s, good
                   WHERE s.environment_id = ?1 AND s.outcome = 'held' AND s.mode = 'full' AND s.sync_id > good.sync_id
               )
               SELECT looks.number, last.sync_id, last.finished_at,
                   (SELECT count(*) FROM sync WHERE environment_id = ?1 AND sync_id > last.sync_id AND outcome IS NOT NULL)
               FROM looks JOIN sync last ON last.sync_id = looks.last WHERE last.approved_at IS NULL";
    let look = |row: &Row<'_>| {
        Ok((row.get::<_, u32>(0)?, SyncId(row.get(1)?), row.get::<_, String>(2)?, row.get::<_, i64>(3)?))
    };
    let Some((looks, last, finished_at, since)) = connection.query_row(sql, [environment_id], look).optional()? else {
        return Ok(None);
    };
    let age = Timestamp::parse(&finished_at).map(|then| now.since(then));
    let is_fresh = age.is_some_and(|age| (0..LOOK_AGAIN).contains(&age));
    let after = 2_i64.saturating_pow(looks.saturating_sub(1));
    if !is_fresh || since + 1 >= after {
        return Ok(None);
    }
    Ok(Some(Known::Held { sync: last, losses: losses_of(connection, last)? }))
}

/// How an environment stands before a read.
#[derive(Debug, Default)]
pub struct Standing {
    /// What the last reads could not make sure of.
    pub doubts: Doubts,
    /// No read of it was ever applied.
    pub is_first: bool,
}

impl Standing {
    /// Loads it; nothing is in doubt of an environment that was never read.
    pub fn load(connection: &Connection, environment_id: i64) -> Result<Self, Error> {
        let sql = "SELECT NOT EXISTS (SELECT 1 FROM sync WHERE environment_id = ?1
                                      AND outcome IN ('applied', 'unchanged'))";
        let is_first = connection.query_row(sql, [environment_id], |row| row.get(0)).map_err(Error::sqlite("read"))?;
        Ok(Self { doubts: doubts(connection, environment_id)?, is_first })
    }
}
