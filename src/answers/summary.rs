//! All of an environment in a few figures: how many nodes of each type, and how they are.

use serde::Serialize;

use super::{Chosen, Error, Question, Reader, Table};

/// How many nodes of an environment are in which state.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub struct HealthSummary {
    /// The environment's number.
    pub environment_id: i64,
    /// Its name.
    pub environment: String,
    /// So many are degraded.
    pub degraded: usize,
    /// Of so many there is something to be said.
    pub caution: usize,
    /// Of so many nothing is known.
    pub unknown: usize,
    /// So many are well.
    pub healthy: usize,
}

impl Reader {
    /// How many nodes are in which state, for each environment or one: of the root project's own packages, or of all.
    pub fn health_summary(
        &self,
        environment_id: Option<i64>,
        chosen: Option<Chosen>,
        all_packages: bool,
    ) -> Result<Vec<HealthSummary>, Error> {
        let columns = &["environment_id", "unique_id", "status"];
        let rows = self.rows("health", &Question { chosen, columns, ..Question::of(environment_id) })?;
        let installed = if all_packages { Default::default() } else { self.installed(environment_id)? };
        let all = self.environments()?.into_iter().filter(|it| environment_id.is_none_or(|id| id == it.id));
        let summary = all.map(|environment| {
            let of = |status: &str| {
                let counts = rows.iter().filter(|row| row.int("environment_id") == Some(environment.id));
                let counts = counts.filter(|row| row.str("status") == status);
                counts.filter(|row| !installed.contains(&(environment.id, row.str("unique_id").to_owned()))).count()
            };
            let [degraded, caution, unknown, healthy] = super::HEALTH.map(of);
            let (environment_id, environment) = (environment.id, environment.name.clone());
            HealthSummary { environment_id, environment, degraded, caution, unknown, healthy }
        });
        Ok(summary.collect())
    }

    /// The environments, each with how many nodes of each type it has (`resource_types`), and how they are (`health`).
    pub fn standing(&self, environment_id: Option<i64>) -> Result<Table, Error> {
        let mut all = self.rows("environments", &Question::of(environment_id))?;
        let health = self.health_summary(environment_id, None, false)?;
        let ids: Vec<i64> = all.iter().filter_map(|row| row.int("environment_id")).collect();
        let types = ids.iter().map(|id| Ok(json(&self.summary(*id)?))).collect::<Result<_, Error>>()?;
        let health = ids.iter().map(|id| json(&health.iter().find(|it| it.environment_id == *id))).collect();
        all.add_json("resource_types", types);
        all.add_json("health", health);
        Ok(all)
    }
}

/// Tables and structs of ours can be written.
fn json<T: Serialize>(answer: &T) -> String {
    serde_json::to_string(answer).unwrap_or_else(|_| "null".to_owned())
}
