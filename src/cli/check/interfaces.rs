//! Which of the platform's interfaces this host and this token reach, and what to do where they do not. Only Discovery is needed.

use std::time::Duration;

use secrecy::ExposeSecret;
use url::Url;

use super::accounts::{Accounts, Asking};
use super::row::{Row, State};
use super::webhooks::Hooks;
use crate::config::{Config, InterfacesConfig, PlatformConfig};
use crate::inventory::platform::Job;
use crate::origin::discovery::Limits;
use crate::origin::platform::{Client, Error};

const DISCOVERY: &str = "Discovery";
const ADMIN: &str = "Admin";
const SEMANTIC_LAYER: &str = "Semantic Layer";
pub(super) const WEBHOOKS: &str = "webhooks";

const NO_ACCESS_URL: &str =
    "the access URL does not follow from Discovery's address: set `platform.url`, and `platform.token`";
const OTHER_REGION: &str =
    "this environment is of another region, where only its own `token` goes: give it one that reaches the Admin API";
const ADMIN_OFF: &str =
    "`platform.token` asks for jobs and runs: a token with the permission set Job Viewer or Read-Only, for example";
const SEMANTIC_LAYER_OFF: &str = "`platform.semantic_layer = true` asks for the dimensions of metrics";
const WEBHOOKS_OFF: &str = "where the Admin API is asked, it tells whether one points here";

/// A person waits: nobody is asked longer than this.
const PATIENCE: Duration = Duration::from_secs(60);

/// Asks for one environment after the other.
pub(super) struct Interfaces<'a> {
    config: &'a Config,
    limits: &'a Limits,
    accounts: Accounts,
}

impl<'a> Interfaces<'a> {
    /// Nobody was asked yet.
    pub(super) fn new(config: &'a Config, limits: &'a Limits) -> Self {
        Self { config, limits, accounts: Accounts::default() }
    }

    /// A row for each interface of an environment; how it is with Discovery is known.
    pub(super) async fn ask(&mut self, platform: &PlatformConfig, discovery: State) -> Vec<Row> {
        let mut rows = vec![Row::new(DISCOVERY, discovery, platform.access.to_string())];
        match &platform.interfaces {
            None => rows.extend(self.unasked(platform)),
            Some(interfaces) => {
                rows.insert(0, access_row(&interfaces.access, interfaces.is_access_said));
                rows.extend(self.asked(platform, interfaces).await);
            }
        }
        rows
    }

    /// Nobody is asked: why, and what would change that.
    fn unasked(&self, platform: &PlatformConfig) -> Vec<Row> {
        let access = platform.access.access_url();
        let shared = self.config.interfaces.as_ref().map(|shared| &shared.access);
        let (state, why) = match &access {
            None => (State::Unknown, NO_ACCESS_URL),
            Some(own) if shared.is_some_and(|shared| shared != own) => (State::NotAsked, OTHER_REGION),
            Some(_) => (State::NotAsked, ADMIN_OFF),
        };
        let mut rows: Vec<Row> = access.iter().map(|access| access_row(access, false)).collect();
        rows.push(Row::new(ADMIN, state, why));
        rows.push(Row::new(SEMANTIC_LAYER, State::NotAsked, SEMANTIC_LAYER_OFF));
        rows.push(Row::new(WEBHOOKS, State::NotAsked, WEBHOOKS_OFF));
        rows
    }

    async fn asked(&mut self, platform: &PlatformConfig, interfaces: &InterfacesConfig) -> Vec<Row> {
        let client = match Client::new(interfaces, self.limits) {
            Ok(client) => client,
            Err(error) => {
                let names = [ADMIN, SEMANTIC_LAYER, WEBHOOKS];
                return names.map(|name| Row::new(name, State::Failed, error.to_string())).into();
            }
        };
        let patience = platform.access.give_up_after.min(PATIENCE);
        let asking = Asking { config: interfaces, client: &client, patience };
        let account = self.accounts.id(&asking).await;
        let jobs = match &account {
            Ok(account) => asking.in_time(client.jobs(*account, platform.platform_id)).await,
            Err(error) => Err(error.clone()),
        };
        vec![
            admin_row(platform, interfaces, account.as_ref().ok(), &jobs),
            self.semantic_layer_row(platform.platform_id, &asking).await,
            self.webhooks_row(&asking, account, jobs.ok()).await,
        ]
    }

    async fn semantic_layer_row(&self, platform_id: i64, asking: &Asking<'_>) -> Row {
        let Some(url) = &asking.config.semantic_layer else {
            let is_wanted = self.config.interfaces.as_ref().is_some_and(|shared| shared.semantic_layer.is_some());
            return match is_wanted {
                true => Row::new(SEMANTIC_LAYER, State::Unknown, "its address does not follow from the access URL"),
                false => Row::new(SEMANTIC_LAYER, State::NotAsked, SEMANTIC_LAYER_OFF),
            };
        };
        match asking.in_time(asking.client.metrics(platform_id)).await {
            Ok(metrics) => Row::new(
                SEMANTIC_LAYER,
                State::Reached,
                format!("{}, {}", shown(url), counted(metrics.len(), "metric")),
            ),
            Err(error) => Row::new(SEMANTIC_LAYER, State::of(&error), error.to_string()),
        }
    }

    async fn webhooks_row(&mut self, asking: &Asking<'_>, account: Result<i64, Error>, jobs: Option<Vec<Job>>) -> Row {
        let Ok(account) = account else {
            return Row::new(
                WEBHOOKS,
                State::Unknown,
                "they are an account's, and the Admin API does not tell which it is",
            );
        };
        let hooks = Hooks {
            access: &asking.config.access,
            account,
            own: self.config.webhook_url.as_ref(),
            has_secret: self.config.webhook_secret.is_some(),
            jobs,
        };
        match self.accounts.subscriptions(asking, account).await {
            Ok(subscriptions) => hooks.row(subscriptions),
            Err(Error::Refused { status, said, .. }) => Row::new(
                WEBHOOKS,
                State::Refused,
                format!(
                    "the token may not list them ({status}{said}): look in the platform, Account settings > Webhooks"
                ),
            ),
            Err(error) => Row::new(WEBHOOKS, State::of(error), error.to_string()),
        }
    }
}

fn access_row(access: &Url, is_said: bool) -> Row {
    let from = if is_said { "as `platform.url` says" } else { "follows from Discovery's address" };
    Row { name: "access URL", state: None, text: format!("{}, {from}", shown(access)), more: Vec::new() }
}

fn admin_row(
    platform: &PlatformConfig,
    interfaces: &InterfacesConfig,
    account: Option<&i64>,
    jobs: &Result<Vec<Job>, Error>,
) -> Row {
    match (jobs, account) {
        (Ok(jobs), Some(account)) => {
            let last = jobs.iter().filter_map(|job| job.last_run_at).max();
            let last = last.map_or_else(|| "no run has ended".to_owned(), |at| format!("the last run ended at {at}"));
            let (access, jobs) = (shown(&interfaces.access), counted(jobs.len(), "job"));
            Row::new(ADMIN, State::Reached, format!("{access}, account {account}: {jobs}, {last}"))
        }
        (Err(error), _) => {
            let row = Row::new(ADMIN, State::of(error), error.to_string());
            let is_discoverys = matches!(error, Error::Refused { .. }) && has_discoverys_token(platform, interfaces);
            if is_discoverys {
                row.and("this is Discovery's token: `platform.token` is not set, or the same")
            } else {
                row
            }
        }
        (Ok(_), None) => Row::new(ADMIN, State::Unknown, "the account is not known"),
    }
}

fn has_discoverys_token(platform: &PlatformConfig, interfaces: &InterfacesConfig) -> bool {
    let [own, other] =
        [&platform.access.token, &interfaces.token].map(|it| it.as_ref().map(ExposeSecret::expose_secret));
    own == other
}

/// An address without its query, which may hold a secret, and without a last slash.
pub(super) fn shown(url: &Url) -> String {
    url[..url::Position::AfterPath].trim_end_matches('/').to_owned()
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rows of an environment that is read at `discovery`, where the access URL of the others is `shared`.
    fn unasked(discovery: &str, shared: Option<&str>) -> Vec<Row> {
        let mut config =
            Config::for_one(834, "prod", discovery.into(), "dbtc_1234".into(), "x.db".into()).expect("valid");
        config.interfaces = shared.map(|access| InterfacesConfig {
            access: Url::parse(access).expect("an address"),
            is_access_said: true,
            account_id: None,
            token: None,
            semantic_layer: None,
            ca_file: None,
            partner_source: None,
        });
        let limits = Limits::new(1, 1);
        let platform = config.environments[0].origin.platform().expect("of the platform");
        Interfaces::new(&config, &limits).unasked(platform)
    }

    #[test]
    fn where_nobody_is_asked_the_reason_is_said() {
        let eu = "https://metadata.emea.dbt.com/graphql";
        let own = unasked(eu, Some("https://emea.dbt.com/"));
        assert_eq!(own[0].text, "https://emea.dbt.com, follows from Discovery's address");
        assert_eq!((own[1].state, own[1].text.as_str()), (Some(State::NotAsked), ADMIN_OFF));
        let other = unasked(eu, Some("https://cloud.getdbt.com/"));
        assert_eq!((other[1].state, other[1].text.as_str()), (Some(State::NotAsked), OTHER_REGION));
        let proxy = unasked("https://dbt-proxy.example.com/graphql", None);
        assert_eq!((proxy[0].state, proxy[0].text.as_str()), (Some(State::Unknown), NO_ACCESS_URL));
    }
}
