//! The webhooks that the platform sends.

use serde_json::Value;

use super::client::Client;
use super::error::Error;
use super::list::List;
use super::value::{number, text};

/// Whom the platform tells of runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// Its name.
    pub name: String,
    /// Where events are sent.
    pub client_url: String,
    /// Of which kinds.
    pub event_types: Vec<String>,
    /// Of which jobs; empty for all.
    pub job_ids: Vec<i64>,
    /// False where it was switched off.
    pub is_active: bool,
    /// Why it was.
    pub deactivate_reason: Option<String>,
    /// What the address answered last.
    pub http_status_code: Option<String>,
}

impl Client {
    /// All subscriptions of an account.
    ///
    /// # Errors
    /// If the list can't be read completely.
    pub async fn subscriptions(&self, account_id: i64) -> Result<Vec<Subscription>, Error> {
        let path = format!("api/v3/accounts/{account_id}/webhooks/subscriptions");
        let found = self.list(List { what: "webhook subscriptions", path: &path, query: Vec::new() }).await?;
        Ok(found.iter().filter_map(subscription).collect())
    }
}

fn subscription(item: &Value) -> Option<Subscription> {
    let list = |name: &str| item[name].as_array().cloned().unwrap_or_default();
    Some(Subscription {
        name: text(&item["name"]).unwrap_or_default(),
        client_url: text(&item["client_url"])?,
        event_types: list("event_types").iter().filter_map(text).collect(),
        job_ids: list("job_ids").iter().filter_map(number).collect(),
        is_active: item["active"].as_bool().unwrap_or(true),
        deactivate_reason: text(&item["deactivate_reason"]),
        http_status_code: text(&item["http_status_code"])
            .or_else(|| number(&item["http_status_code"]).map(|code| code.to_string())),
    })
}
