//! The platform's jobs, which of its other interfaces do not answer, and what metrics can be grouped by: all of it as of now.

use rusqlite::{OptionalExtension, Row};

use super::{Error, Found, Question, Reader, Table};
use crate::inventory::platform::Interface;
use crate::time::Timestamp;

/// A job of the platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its number.
    pub job_id: i64,
    /// Its name.
    pub name: Option<String>,
    /// When it runs next, as the platform says.
    pub next_run_at: Option<String>,
    /// Its last run that has ended.
    pub last_run_id: Option<String>,
    /// How that ended.
    pub last_run_status: Option<String>,
    /// When that was.
    pub last_run_at: Option<String>,
}

/// What an environment's jobs did last, and do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// The environment's name.
    pub environment: String,
    /// The job that ran last.
    pub last: Option<Job>,
    /// The job that runs next.
    pub next: Option<Job>,
}

/// One of the platform's other interfaces that does not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Silence {
    /// The environment's name.
    pub environment: String,
    /// Which interface.
    pub interface: Interface,
    /// Since when.
    pub since: Option<String>,
    /// Why.
    pub error: String,
}

const JOB: &str = "job_id, name, next_run_at, last_run_id, last_run_status, last_run_at";

impl Reader {
    /// The job with this number.
    pub fn job(&self, environment_id: i64, job_id: i64) -> Result<Option<Job>, Error> {
        self.one_job("job_id = ?2", (environment_id, job_id))
    }

    /// For each environment that has jobs (or that one) which ran last, and which runs next after `now`.
    pub fn schedules(&self, environment_id: Option<i64>, now: Timestamp) -> Result<Vec<Schedule>, Error> {
        let mut found = Vec::new();
        for environment in self.environments()? {
            if environment_id.is_some_and(|id| id != environment.id) {
                continue;
            }
            let now = now.to_string();
            let next = self.one_job("next_run_at > ?2 ORDER BY next_run_at, job_id", (environment.id, &now))?;
            let ended = "last_run_at IS NOT NULL ORDER BY last_run_at DESC, job_id";
            let last = self.one_job(ended, [environment.id])?;
            if last.is_some() || next.is_some() {
                found.push(Schedule { environment: environment.name, last, next });
            }
        }
        Ok(found)
    }

    fn one_job(&self, condition: &str, values: impl rusqlite::Params) -> Result<Option<Job>, Error> {
        let sql = format!("SELECT {JOB} FROM jobs WHERE environment_id = ?1 AND {condition} LIMIT 1");
        let job = |row: &Row<'_>| {
            Ok(Job {
                job_id: row.get(0)?,
                name: row.get(1)?,
                next_run_at: row.get(2)?,
                last_run_id: row.get(3)?,
                last_run_status: row.get(4)?,
                last_run_at: row.get(5)?,
            })
        };
        Ok(self.connection.query_row(&sql, values, job).optional()?)
    }

    /// The interfaces of the platform that do not answer, of an environment or all of them.
    pub fn silences(&self, environment_id: Option<i64>) -> Result<Vec<Silence>, Error> {
        let sql = "SELECT e.name, i.interface, i.failing_since, i.error FROM interface i JOIN environment e USING (environment_id)
                   WHERE i.error IS NOT NULL AND (?1 IS NULL OR i.environment_id = ?1) ORDER BY e.name, i.interface";
        let mut statement = self.connection.prepare(sql)?;
        let silence = |row: &Row<'_>| {
            let word: String = row.get(1)?;
            let interface = Interface::ALL.into_iter().find(|interface| interface.as_str() == word);
            let (environment, since, error) = (row.get(0)?, row.get(2)?, row.get(3)?);
            Ok(interface.map(|interface| Silence { environment, interface, since, error }))
        };
        let found = statement.query_map([environment_id], silence)?.collect::<Result<Vec<_>, _>>()?;
        Ok(found.into_iter().flatten().collect())
    }

    /// The rows of the view `metric_dimensions` that are of a metric.
    pub fn dimensions_of(&self, node: &Found) -> Result<Table, Error> {
        let question = Question::of(Some(node.environment_id));
        self.rows("metric_dimensions", &question.only("metric_id", &[node.unique_id.as_str()]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOBS: &str = "
        INSERT INTO environment (environment_id, name) VALUES (1, 'prod'), (2, 'core');
        INSERT INTO job (environment_id, job_id, name, next_run_at, last_run_id, last_run_status, last_run_at) VALUES
        (1, 5, 'Nightly', '2026-03-02T05:00:00.000Z', '100', 'error', '2026-03-01T06:30:00.000Z'),
        (1, 6, 'Hourly', '2026-03-01T08:00:00.000Z', '99', 'success', '2026-03-01T06:00:00.000Z'),
        (1, 7, 'Late', '2026-03-01T07:00:00.000Z', NULL, NULL, NULL);
        INSERT INTO interface (environment_id, interface, failing_since, error) VALUES
        (1, 'jobs', NULL, NULL), (1, 'semantic_layer', '2026-03-01T00:00:00.000Z', 'no such host');";

    #[test]
    fn the_job_that_ran_last_and_the_one_that_is_next_are_told_of_environments_with_jobs() {
        let reader = Reader::over(JOBS);
        let now = Timestamp::parse("2026-03-01T07:30:00Z").expect("a time");
        let schedules = reader.schedules(None, now).expect("read");
        let [Schedule { environment, last: Some(last), next: Some(next) }] = schedules.as_slice() else {
            panic!("{schedules:?}")
        };
        let last = (last.job_id, last.last_run_status.as_deref(), last.last_run_id.as_deref());
        assert_eq!((environment.as_str(), last), ("prod", (5, Some("error"), Some("100"))));
        assert_eq!(next.name.as_deref(), Some("Hourly"), "what should have begun is not to come");
        assert_eq!(reader.schedules(Some(2), now).expect("read"), []);
        assert_eq!(reader.job(1, 7).expect("read").and_then(|job| job.name).as_deref(), Some("Late"));
        assert_eq!(reader.job(2, 7).expect("read"), None);
    }

    #[test]
    fn only_what_does_not_answer_is_told() {
        let silences = Reader::over(JOBS).silences(None).expect("read");
        let told: Vec<String> =
            silences.iter().map(|it| format!("{}: {}: {}", it.environment, it.interface, it.error)).collect();
        assert_eq!(told, ["prod: the Semantic Layer: no such host"]);
        assert_eq!(Reader::over(JOBS).silences(Some(2)).expect("read"), []);
    }
}
