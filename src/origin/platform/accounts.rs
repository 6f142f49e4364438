//! Which environments there are: the accounts that a token sees, their projects, and the environments of those.

use serde_json::Value;

use super::client::Client;
use super::error::Error;
use super::list::List;
use super::value::{number, text};
use crate::outbound::printable;

/// An environment of the platform, as its Admin API tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlatformEnvironment {
    /// Its id there.
    pub platform_id: i64,
    /// The account that it is of.
    pub account_id: i64,
    /// The name of its project.
    pub project: String,
    /// Its own name.
    pub name: String,
    /// production, staging, or nothing for others.
    pub deployment_type: Option<String>,
    /// True for one that people develop in.
    pub is_development: bool,
    /// The dbt version that it runs by default.
    pub dbt_version: Option<String>,
}

impl Client {
    /// The account: the one that is configured, else the only one that the token sees.
    ///
    /// # Errors
    /// If that is none or several, or the platform does not tell.
    pub async fn account(&self) -> Result<i64, Error> {
        if let Some(id) = self.account_id() {
            return Ok(id);
        }
        let accounts = self.accounts().await?;
        match accounts.as_slice() {
            [] => Err(Error::NoAccount),
            [(id, _)] => Ok(*id),
            several => {
                let names: Vec<String> = several.iter().map(|(id, name)| format!("{id} {name}")).collect();
                Err(Error::SeveralAccounts(names.join(", ")))
            }
        }
    }

    /// The environments of the account that is configured, else of every account that the token sees; by account, project and id.
    ///
    /// # Errors
    /// If one of the lists can't be read completely.
    pub async fn environments(&self) -> Result<Vec<PlatformEnvironment>, Error> {
        let accounts = match self.account_id() {
            Some(id) => vec![id],
            None => self.accounts().await?.into_iter().map(|(id, _)| id).collect(),
        };
        if accounts.is_empty() {
            return Err(Error::NoAccount);
        }
        let mut found = Vec::new();
        for account_id in accounts {
            let path = format!("api/v3/accounts/{account_id}/projects/");
            let query = vec![("state", "1".to_owned())];
            let list = List { what: "projects", path: &path, query: query.clone() };
            let named = |error: Error| error.of(format!("account {account_id}"));
            for project in self.list(list).await.map_err(named)? {
                let Some(project_id) = number(&project["id"]).filter(|_| is_active(&project)) else { continue };
                let path = format!("api/v3/accounts/{account_id}/projects/{project_id}/environments/");
                let list = List { what: "environments", path: &path, query: query.clone() };
                let project = text(&project["name"]).unwrap_or_else(|| project_id.to_string());
                let named = |error: Error| error.of(format!("project `{}`", printable(&project, 80)));
                let environments = self.list(list).await.map_err(named)?;
                found.extend(environments.iter().filter_map(|item| environment(item, account_id, &project)));
            }
        }
        Ok(found)
    }

    /// The accounts that the token sees: id and name.
    async fn accounts(&self) -> Result<Vec<(i64, String)>, Error> {
        let accounts = self.list(List { what: "accounts", path: "api/v3/accounts/", query: Vec::new() }).await?;
        let named = |account: &Value| Some((number(&account["id"])?, text(&account["name"]).unwrap_or_default()));
        Ok(accounts.iter().filter(|account| is_active(account)).filter_map(named).collect())
    }
}

/// False for what was deleted: the platform keeps it with another state.
pub(super) fn is_active(item: &Value) -> bool {
    number(&item["state"]).is_none_or(|state| state == 1)
}

fn environment(item: &Value, account_id: i64, project: &str) -> Option<PlatformEnvironment> {
    let platform_id = number(&item["id"]).filter(|_| is_active(item))?;
    Some(PlatformEnvironment {
        platform_id,
        account_id,
        project: printable(project, 200),
        name: printable(&text(&item["name"]).unwrap_or_else(|| platform_id.to_string()), 200),
        deployment_type: text(&item["deployment_type"]).map(|word| word.to_lowercase()),
        is_development: text(&item["type"]).is_some_and(|word| word.eq_ignore_ascii_case("development")),
        dbt_version: text(&item["dbt_version"]),
    })
}
