//! What a catalog says of its environments to whoever watches it: `/metrics` shows it.

use std::collections::BTreeMap;

use rusqlite::Row;

use super::{Error, Reader};
use crate::time::Timestamp;

/// How one environment is doing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Watched {
    /// When the last sync ended that was applied or found nothing changed.
    pub last_complete: Option<Timestamp>,
    /// When the last sync began, however it ended.
    pub last_attempt: Option<Timestamp>,
    /// True while a sync waits for approval.
    pub is_held: bool,
    /// How many nodes it has of each resource type.
    pub nodes: BTreeMap<String, i64>,
    /// Those of the platform's other interfaces that were asked: since when each does not answer, if it does not.
    pub interfaces: BTreeMap<String, Option<Timestamp>>,
}

/// A sync that has ended, and what it cost.
#[derive(Debug, Clone, PartialEq)]
pub struct Ended {
    /// Its number.
    pub sync_id: i64,
    /// How it ended.
    pub outcome: String,
    /// Requests that were sent.
    pub requests: u64,
    /// Bytes of decompressed answers.
    pub bytes: u64,
    /// How long it took.
    pub seconds: f64,
}

impl Reader {
    /// All environments that the catalog holds, by their ids.
    pub fn watched(&self) -> Result<BTreeMap<i64, Watched>, Error> {
        let mut all: BTreeMap<i64, Watched> = BTreeMap::new();
        let sql = "SELECT s.environment_id, max(s.finished_at) FILTER (WHERE s.outcome IN ('applied', 'unchanged')),
                   max(s.started_at),
                   coalesce(max(s.sync_id) FILTER (WHERE s.outcome = 'held' AND s.mode = 'full'
                                                   AND s.approved_at IS NULL), 0)
                       > coalesce(max(s.sync_id) FILTER (WHERE s.outcome IN ('applied', 'unchanged')
                                                         OR s.approved_at IS NOT NULL), 0)
               FROM sync s GROUP BY s.environment_id";
        let mut statement = self.connection.prepare(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let time = |column: usize| -> rusqlite::Result<Option<Timestamp>> {
                Ok(row.get_ref(column)?.as_str_or_null()?.and_then(Timestamp::parse))
            };
            let watched =
                Watched { last_complete: time(1)?, last_attempt: time(2)?, is_held: row.get(3)?, ..Watched::default() };
            all.insert(row.get(0)?, watched);
        }
        let sql = "SELECT environment_id, resource_type, count(*) FROM nodes GROUP BY environment_id, resource_type";
        let mut statement = self.connection.prepare(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            all.entry(row.get(0)?).or_default().nodes.insert(row.get(1)?, row.get(2)?);
        }
        let mut statement =
            self.connection.prepare("SELECT environment_id, interface, failing_since FROM interface")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let since: Option<String> = row.get(2)?;
            let since = since.as_deref().and_then(Timestamp::parse);
            all.entry(row.get(0)?).or_default().interfaces.insert(row.get(1)?, since);
        }
        Ok(all)
    }

    /// The syncs of an environment after `sync_id` that have ended, up to the first that has not. Without a number, those that ended
    /// after `began`.
    pub fn ended_since(
        &self,
        environment_id: i64,
        sync_id: Option<i64>,
        began: Timestamp,
    ) -> Result<Vec<Ended>, Error> {
        let sql = "SELECT sync_id, outcome, coalesce(requests, 0), coalesce(bytes, 0),
                   coalesce((julianday(finished_at) - julianday(started_at)) * 86400.0, 0.0)
               FROM syncs s
               WHERE environment_id = ?1 AND outcome IS NOT NULL
               AND CASE WHEN ?2 IS NULL THEN finished_at >= ?3 ELSE sync_id > ?2 END
               AND NOT EXISTS (SELECT 1 FROM syncs r WHERE r.environment_id = ?1 AND r.outcome IS NULL
                               AND r.sync_id > coalesce(?2, 0) AND r.sync_id < s.sync_id)
               ORDER BY sync_id";
        let mut statement = self.connection.prepare(sql)?;
        let count =
            |row: &Row<'_>, column: usize| Ok::<_, rusqlite::Error>(row.get::<_, i64>(column)?.try_into().unwrap_or(0));
        let ended = |row: &Row<'_>| {
            let (requests, bytes) = (count(row, 2)?, count(row, 3)?);
            Ok(Ended { sync_id: row.get(0)?, outcome: row.get(1)?, requests, bytes, seconds: row.get(4)? })
        };
        let rows = statement.query_map((environment_id, sync_id, began.to_string()), ended)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sync(id: u32, finished_at: &str, outcome: &str) -> String {
        format!(
            "INSERT INTO sync (sync_id, environment_id, trigger, mode, started_at, finished_at, outcome, requests, bytes)
             VALUES ({id}, 1, 'cron', 'full', '2026-11-24T12:00:0{id}.000Z', {finished_at}, {outcome}, 7, 900);"
        )
    }

    #[test]
    fn each_sync_that_has_ended_is_told_once_and_none_before_one_that_runs() {
        let node =
            "INSERT INTO node (environment_id, unique_id, resource_type, properties, first_seen_at, last_changed_at)
                    VALUES (1, 'model.a', 'model', '{}', '', '');";
        let reader =
            Reader::over(&format!("INSERT INTO environment (environment_id, name) VALUES (1, 'prod'); {node}"));
        let run = |sql: &str| reader.connection.execute_batch(sql).expect(sql);
        run(&sync(1, "'2026-11-24T12:00:01.500Z'", "'applied'"));
        run(&sync(2, "'2026-11-24T12:00:05.000Z'", "'held'"));
        run(&sync(3, "'2026-11-24T12:00:06.000Z'", "'failed'"));
        run(&sync(4, "NULL", "NULL"));
        run(&sync(5, "'2026-11-24T12:00:07.000Z'", "'failed'"));
        run("INSERT INTO interface (environment_id, interface, failing_since, error)
             VALUES (1, 'jobs', NULL, NULL), (1, 'runs', '2026-11-24T11:00:00.000Z', 'refused')");
        let time = |text: &str| Timestamp::parse(text);
        let all = reader.watched().expect("read");
        let prod = Watched {
            last_complete: time("2026-11-24T12:00:01.500Z"),
            last_attempt: time("2026-11-24T12:00:05.000Z"),
            is_held: true,
            nodes: BTreeMap::from([("model".to_owned(), 1)]),
            interfaces: BTreeMap::from([("jobs".to_owned(), None), ("runs".to_owned(), time("2026-11-24T11:00:00Z"))]),
        };
        assert_eq!(all, BTreeMap::from([(1, prod)]));
        let began = time("2026-11-24T12:00:02Z").expect("a time");
        let ids = |after: Option<i64>| -> Vec<i64> {
            reader.ended_since(1, after, began).expect("read").iter().map(|ended| ended.sync_id).collect()
        };
        assert_eq!((ids(None), ids(Some(2)), ids(Some(3))), (vec![2, 3], vec![3], vec![]));
        let ended = reader.ended_since(1, Some(2), began).expect("read").remove(0);
        assert_eq!((ended.outcome.as_str(), ended.requests, ended.bytes), ("failed", 7, 900));
        assert!((ended.seconds - 3.0).abs() < 0.01, "{ended:?}");
        run("UPDATE sync SET outcome = 'unchanged', finished_at = '2026-11-24T12:00:08.000Z' WHERE sync_id = 4");
        assert_eq!(ids(Some(3)), [4, 5]);
        assert!(!reader.watched().expect("read")[&1].is_held, "a later sync was complete");
    }
}
