//! How the bundled project evolves in `lineaged demo`: twice, as a team's project does in a day.

use super::project::{Project, tested};

/// One thing that happened, for the demo to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evolution {
    /// The node that it happened to.
    pub unique_id: String,
    /// What happened, in plain words.
    pub what: &'static str,
}

impl Project {
    /// The first (1) or second (2) evolution of the bundled project, and what it did.
    ///
    /// # Panics
    /// When this is not the bundled project, or the steps are taken out of order.
    pub fn evolve(&mut self, step: usize) -> Vec<Evolution> {
        let happened = match step {
            1 => self.first_evolution(),
            2 => self.second_evolution(),
            _ => panic!("there are two evolutions, not {step}"),
        };
        happened.into_iter().map(|(id, what)| Evolution { unique_id: id, what }).collect()
    }

    fn first_evolution(&mut self) -> Vec<(String, &'static str)> {
        let orders = "model.mini_shop.orders";
        let added = self.add_model("fct_daily_revenue", &[orders, "model.mini_shop.time_spine_daily"]);
        self.describe(&added, "Revenue per day, with days without orders.");
        self.retype_column(orders, "amount", "DECIMAL(18,4)");
        let test = "test.mini_shop.not_null_orders_amount.106140f9fd";
        self.fail_test(test, 3, "Got 3 results, configured to fail if != 0");
        vec![
            (added, "a model was added"),
            (orders.to_owned(), "its column `amount` got another type"),
            (test.to_owned(), "a test fails that passed before"),
        ]
    }

    fn second_evolution(&mut self) -> Vec<(String, &'static str)> {
        let removed = "model.mini_shop.dim_customers.v1";
        let tests: Vec<String> = self
            .nodes()
            .filter(|(_, node)| tested(node).iter().any(|id| id.as_str() == removed))
            .map(|(id, _)| id.to_owned())
            .collect();
        for test in &tests {
            self.remove(test);
        }
        self.remove(removed);
        let source = "source.mini_shop.raw_shop.customers";
        self.freshness(source, "error", Some(self.clock.plus_millis(-72 * 3_600_000)));
        vec![(removed.to_owned(), "a model was removed, and its tests"), (source.to_owned(), "a source went stale")]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    #[test]
    fn both_evolutions_change_what_they_say() {
        let now = Timestamp::now();
        let mut project = Project::bundled(now);
        let before = project.ids().len();
        let first = project.evolve(1);
        assert_eq!(project.ids().len(), before + 1);
        assert!(first.iter().all(|it| project.node(&it.unique_id).is_some()));
        project.evolve(2);
        assert!(project.node("model.mini_shop.dim_customers.v1").is_none());
        let source = project.node("source.mini_shop.raw_shop.customers").expect("there");
        assert_eq!(source.freshness.status.as_deref(), Some("error"));
    }
}
