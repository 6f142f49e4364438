//! Runs: which there were, and what happened in one of them; and which jobs they are of.

use std::collections::BTreeSet;

use rusqlite::OptionalExtension;

use super::{Environment, Error, Question, Reader, Row, Table};
use crate::time::Timestamp;

/// So many runs are offered for one that nobody knows.
const OFFERS: usize = 5;

/// Which runs are wanted.
#[derive(Debug, Default)]
pub struct Wanted {
    /// Only of the job of this name, or with this number.
    pub job: Option<String>,
    /// Only those that ended badly, or in which a node did.
    pub failed: bool,
    /// Only those that ended at this time or later.
    pub since: Option<Timestamp>,
    /// Only those that ended at this time or earlier.
    pub until: Option<Timestamp>,
}

/// One run.
#[derive(Debug)]
pub struct RunStory {
    /// The environment that it was of.
    pub environment: Environment,
    /// Its row of the view `runs`.
    pub run: Table,
    /// What the platform says of its failure.
    pub error: Option<String>,
    /// Its rows of the view `run_results`.
    pub results: Table,
}

impl Wanted {
    /// Whether this row of the view `runs` is wanted, whatever its job.
    fn takes(&self, run: Row<'_>) -> bool {
        let ended = ["finished_at", "completed_at", "started_at"].into_iter().find_map(|name| run.text(name));
        let ended = ended.and_then(Timestamp::parse);
        let is_in = |bound: Option<Timestamp>, fits: fn(Timestamp, Timestamp) -> bool| {
            bound.is_none_or(|bound| ended.is_some_and(|ended| fits(ended, bound)))
        };
        let is_bad = matches!(run.str("status"), "error" | "cancelled") || run.int("failed_count") > Some(0);
        is_in(self.since, |ended, since| ended >= since)
            && is_in(self.until, |ended, until| ended <= until)
            && (is_bad || !self.failed)
    }
}

impl Reader {
    /// The rows of the view `runs` that are wanted, the newest first.
    ///
    /// # Errors
    /// [`Error::Question`] if there is no such job; the text lists those that there are.
    pub fn runs(&self, environment_id: Option<i64>, wanted: &Wanted) -> Result<Table, Error> {
        let mut runs = self.rows("runs", &Question::of(environment_id))?;
        if let Some(job) = &wanted.job {
            let jobs = self.jobs_called(environment_id, &runs, job)?;
            runs = runs.filter(|run| jobs.contains(&Job::of_run(run)));
        }
        Ok(runs.filter(|run| wanted.takes(run)))
    }

    /// The jobs that `text` means: those of this name, else those with this number.
    fn jobs_called(&self, environment_id: Option<i64>, runs: &Table, text: &str) -> Result<BTreeSet<Job>, Error> {
        let listed = self.rows("jobs", &Question::of(environment_id))?;
        let mut all: BTreeSet<Job> = runs.iter().map(Job::of_run).collect();
        all.extend(listed.iter().map(|row| Job::of(row, "name")));
        let called = |is_it: fn(&Job, &str) -> bool| -> BTreeSet<Job> {
            all.iter().filter(|job| is_it(job, text)).cloned().collect()
        };
        let of_name = called(|job, text| job.name.as_deref() == Some(text));
        // Runs of before it was renamed are of the same job.
        let numbers: BTreeSet<(i64, i64)> = of_name.iter().filter_map(Job::key).collect();
        let found: BTreeSet<Job> = match of_name.is_empty() {
            true => called(|job, text| job.id.is_some_and(|id| id.to_string() == text)),
            false => all.iter().filter(|job| job.key().is_some_and(|key| numbers.contains(&key))).cloned().collect(),
        };
        let found: BTreeSet<Job> = found.union(&of_name).cloned().collect();
        match found.is_empty() {
            true => Err(Error::Question(told_jobs(text, &all))),
            false => Ok(found),
        }
    }

    /// What happened in a run.
    ///
    /// # Errors
    /// [`Error::Question`] if nobody knows the run, or if several environments have it.
    pub fn run(&self, environment_id: Option<i64>, run_id: &str) -> Result<RunStory, Error> {
        let run = self.rows("runs", &Question::of(environment_id).only("run_id", &[run_id]))?;
        let environments = self.environments()?;
        let is_of = |known: &&Environment| run.iter().any(|row| row.int("environment_id") == Some(known.id));
        let mut found: Vec<Environment> = environments.iter().filter(is_of).cloned().collect();
        let environment = match (found.pop(), found.is_empty()) {
            (Some(environment), true) => environment,
            (Some(last), false) => {
                found.push(last);
                return Err(Error::Question(told_several(run_id, &found)));
            }
            (None, _) => return self.unknown_run(environment_id, run_id),
        };
        let question = Question::of(Some(environment.id)).only("run_id", &[run_id]);
        let sql = "SELECT error FROM run WHERE environment_id = ?1 AND run_id = ?2";
        let error: Option<Option<String>> =
            self.connection.query_row(sql, (environment.id, run_id), |row| row.get(0)).optional()?;
        Ok(RunStory { results: self.rows("run_results", &question)?, environment, run, error: error.flatten() })
    }

    fn unknown_run(&self, environment_id: Option<i64>, run_id: &str) -> Result<RunStory, Error> {
        let runs = self.rows("runs", &Question { columns: &["run_id"], ..Question::of(environment_id) })?;
        let newest: Vec<String> = runs.iter().take(OFFERS).map(|run| format!("`{}`", run.str("run_id"))).collect();
        let known = match newest.as_slice() {
            [] => "no run is known so far".to_owned(),
            newest => format!("the newest are {}", newest.join(", ")),
        };
        Err(Error::Question(format!("no run `{run_id}` is known: {known}")))
    }
}

/// A job, as a run or the platform names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Job {
    name: Option<String>,
    id: Option<i64>,
    environment_id: Option<i64>,
}

impl Job {
    fn of(row: Row<'_>, name: &str) -> Self {
        let name = row.text(name).map(str::to_owned);
        Self { name, id: row.int("job_id"), environment_id: row.int("environment_id") }
    }

    fn of_run(run: Row<'_>) -> Self {
        Self::of(run, "job_name")
    }

    /// What tells it from all others, where it has a number.
    fn key(&self) -> Option<(i64, i64)> {
        self.environment_id.zip(self.id)
    }
}

fn told_jobs(text: &str, all: &BTreeSet<Job>) -> String {
    let written = |job: &Job| match (&job.name, job.id) {
        (Some(name), _) => Some(format!("`{name}`")),
        (None, id) => id.map(|id| format!("`{id}`")),
    };
    let names: BTreeSet<String> = all.iter().filter_map(written).collect();
    match names.is_empty() {
        true => format!("there is no job `{text}`: none is known"),
        false => format!("there is no job `{text}`, but {}", names.into_iter().collect::<Vec<_>>().join(", ")),
    }
}

fn told_several(run_id: &str, environments: &[Environment]) -> String {
    let names: Vec<String> = environments.iter().map(|environment| format!("`{}`", environment.name)).collect();
    format!("run `{run_id}` is in several environments: add `--environment` with one of {}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    /// Two environments with a run each that nodes tell of, one that only the Admin API knows, and one of files.
    const RUNS: &str = "
        INSERT INTO environment (environment_id, name) VALUES (1, 'prod'), (2, 'core');
        INSERT INTO node (node_key, environment_id, unique_id, resource_type, properties, first_seen_at, last_changed_at)
        VALUES (1, 1, 'model.a.x', 'model', '{}', '', ''), (2, 1, 'model.a.y', 'model', '{}', '', ''),
               (3, 2, 'model.a.x', 'model', '{}', '', '');
        INSERT INTO run_result (node_key, sync_id, is_attempt, is_success, run_id, job_id, status, completed_at, error)
        VALUES (1, 1, 1, 1, '100', 5, 'success', '2026-03-01T06:00:00.000Z', NULL),
               (2, 1, 1, 0, '100', 5, 'error', '2026-03-01T06:01:00.000Z', 'no such table'),
               (3, 1, 1, 1, '100', NULL, 'success', '2026-03-02T06:00:00.000Z', NULL);
        INSERT INTO told_result (node_key, run_id, sync_id, status, completed_at)
        VALUES (3, 'an-invocation', 1, 'fail', '2026-03-01T00:00:00.000Z');
        INSERT INTO job (environment_id, job_id, name) VALUES (1, 5, 'Nightly'), (1, 6, 'Hourly'), (1, 7, '5');
        INSERT INTO run (environment_id, run_id, sync_id, job_id, job_name, status, started_at, finished_at, error)
        VALUES (1, '100', 1, 5, 'Night', 'error', '2026-03-01T05:00:00.000Z', '2026-03-01T06:30:00.000Z', 'dbt failed'),
               (1, '99', 1, 5, NULL, 'cancelled', NULL, '2026-02-28T06:30:00.000Z', NULL);";

    fn ids(wanted: &Wanted) -> Vec<String> {
        let runs = Reader::over(RUNS).runs(None, wanted).expect("runs");
        runs.iter().map(|run| format!("{} {}", run.get("environment_id"), run.str("run_id"))).collect()
    }

    fn at(text: &str) -> Option<Timestamp> {
        Some(Timestamp::parse(text).expect("a time"))
    }

    #[test]
    fn the_newest_run_comes_first_and_the_end_of_the_run_counts() {
        assert_eq!(ids(&Wanted::default()), ["2 100", "1 100", "2 an-invocation", "1 99"]);
        let since = at("2026-03-01T06:15:00Z");
        assert_eq!(ids(&Wanted { since, ..Wanted::default() }), ["2 100", "1 100"]);
        let until = at("2026-03-01T06:15:00Z");
        assert_eq!(ids(&Wanted { until, ..Wanted::default() }), ["2 an-invocation", "1 99"]);
    }

    #[test]
    fn a_run_failed_if_it_says_so_or_a_node_does() {
        assert_eq!(ids(&Wanted { failed: true, ..Wanted::default() }), ["1 100", "2 an-invocation", "1 99"]);
    }

    #[test]
    fn a_job_is_found_by_a_name_that_it_has_or_had_and_by_its_number() {
        let of = |job: &str| ids(&Wanted { job: Some(job.to_owned()), ..Wanted::default() });
        for job in ["Nightly", "Night"] {
            assert_eq!(of(job), ["1 100", "1 99"], "{job}");
        }
        assert_eq!(of("Hourly"), [""; 0], "it has not run");
        assert_eq!(of("5"), [""; 0], "a name wins over a number");
        assert_eq!(of("6"), [""; 0]);
        let wanted = Wanted { job: Some("nightly".to_owned()), ..Wanted::default() };
        let error = Reader::over(RUNS).runs(None, &wanted).expect_err("unknown").to_string();
        assert_eq!(error, "there is no job `nightly`, but `5`, `Hourly`, `Night`, `Nightly`");
        let error = Reader::over("").runs(None, &wanted).expect_err("unknown").to_string();
        assert_eq!(error, "there is no job `nightly`: none is known");
    }

    #[test]
    fn a_run_is_told_with_its_nodes_and_what_the_platform_says() {
        let reader = Reader::over(RUNS);
        let story = reader.run(Some(1), "100").expect("a run");
        assert_eq!((story.environment.name.as_str(), story.error.as_deref()), ("prod", Some("dbt failed")));
        let nodes: Vec<&str> = story.results.iter().map(|row| row.str("unique_id")).collect();
        assert_eq!(nodes, ["model.a.x", "model.a.y"]);
        let story = reader.run(None, "99").expect("a run");
        assert_eq!((story.results.rows.len(), story.run.rows.len()), (0, 1));
    }

    #[test]
    fn a_run_that_nobody_knows_or_that_two_have_is_refused_in_words() {
        let reader = Reader::over(RUNS);
        let told = |id: Option<i64>, run: &str| reader.run(id, run).expect_err("refused").to_string();
        assert_eq!(told(Some(1), "101"), "no run `101` is known: the newest are `100`, `99`");
        assert_eq!(
            told(None, "100"),
            "run `100` is in several environments: add `--environment` with one of `core`, `prod`"
        );
        assert_eq!(
            Reader::over("").run(None, "1").expect_err("refused").to_string(),
            "no run `1` is known: no run is known so far"
        );
    }

    /// Runs of ten nodes each, one after the other.
    fn grown(runs: i64) -> Reader {
        let counted =
            |to: i64| format!("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {to})");
        Reader::over(&format!(
            "INSERT INTO environment (environment_id, name) VALUES (1, 'prod');
             INSERT INTO node (node_key, environment_id, unique_id, resource_type, properties, first_seen_at, last_changed_at)
                 {} SELECT i, 1, 'model.a.m' || i, 'model', '{{}}', '', '' FROM n;
             INSERT INTO run_result (node_key, sync_id, is_attempt, is_success, run_id, status, completed_at)
                 {} SELECT node_key, i, 1, 1, 1000 + i, 'success', '' FROM n, node;
             INSERT INTO told_result (node_key, sync_id, run_id, status, completed_at)
                 {} SELECT node_key, i, 'told ' || i, 'success', '' FROM n, node;
             INSERT INTO run (environment_id, run_id, sync_id, status) {} SELECT 1, 1000 + i, i, 'success' FROM n;",
            counted(10),
            counted(runs),
            counted(runs),
            counted(runs)
        ))
    }

    #[test]
    fn a_run_costs_what_it_shows_however_many_there_are() {
        for analyze in ["", "ANALYZE"] {
            let cost = |runs: i64, run: &str| {
                let mut reader = grown(runs);
                reader.connection.execute_batch(analyze).expect("analyzed");
                let steps = Arc::new(AtomicU64::new(0));
                let counting = Arc::clone(&steps);
                let count = move || {
                    counting.fetch_add(1, Ordering::Relaxed);
                    false
                };
                reader.connection.progress_handler(1, Some(count)).expect("set");
                assert_eq!(reader.run(Some(1), run).expect("a run").results.rows.len(), 10);
                steps.load(Ordering::Relaxed)
            };
            for run in ["1007", "told 7"] {
                let (few, many) = (cost(20, run), cost(400, run));
                assert!(many <= few + few / 10, "{run} {analyze}: {few} steps, with more runs {many}");
            }
        }
    }

    /// The view counts over the tables, by parts; it must say what the rows of `run_results` say together.
    #[test]
    fn runs_count_what_run_results_tell_wherever_the_rows_are_kept() {
        let mut number: u64 = 7;
        let mut next = |most: u64| {
            number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (number >> 33) % most
        };
        for _ in 0..40 {
            let mut sql = "INSERT INTO environment (environment_id, name) VALUES (1, 'a'), (2, 'b');".to_owned();
            for key in 1..7 {
                sql += &format!(
                    "INSERT INTO node (node_key, environment_id, unique_id, resource_type, properties, first_seen_at, last_changed_at)
                     VALUES ({key}, {}, 'n{key}', 'model', '{{}}', '', '');",
                    1 + key % 2
                );
            }
            let statuses = ["'success'", "'error'", "'fail'", "NULL"];
            let times = ["'2026-01'", "'2026-02'", "NULL"];
            for _ in 0..next(14) {
                let (key, sync, is_attempt, run) = (1 + next(6), 1 + next(3), next(2), next(3));
                let (status, time) = (statuses[next(4) as usize], times[next(3) as usize]);
                sql += &format!("INSERT OR IGNORE INTO run_result (node_key, sync_id, is_attempt, is_success, run_id, job_id, status, completed_at)
                                 VALUES ({key}, {sync}, {is_attempt}, 0, 'r{run}', 5, {status}, {time});");
            }
            for _ in 0..next(10) {
                let (key, run) = (1 + next(6), next(3));
                let (status, time) = (statuses[next(4) as usize], times[next(3) as usize]);
                sql += &format!(
                    "INSERT OR IGNORE INTO told_result (node_key, run_id, sync_id, status, completed_at)
                                 VALUES ({key}, 'r{run}', 1, {status}, {time});"
                );
            }
            let reader = Reader::over(&sql);
            let counted = "SELECT environment_id, run_id, max(job_id) AS job_id, count(*) AS node_count,
                               count(*) FILTER (WHERE status IN ('error', 'fail')) AS failed_count, max(completed_at) AS completed_at
                           FROM run_results GROUP BY environment_id, run_id ORDER BY 1, 2";
            let expected = super::super::table::table(&reader.connection, counted, &[]).expect("counted");
            let runs = reader.rows("runs", &Question::default()).expect("runs");
            let names: Vec<&str> = expected.names().collect();
            assert_eq!(runs.only(&names).rows, expected.rows, "{sql}");
        }
    }
}
