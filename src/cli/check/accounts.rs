//! What is the same for all environments of an account, and is asked once: which account it is, and what webhooks it has.

use std::collections::BTreeMap;
use std::time::Duration;

use secrecy::ExposeSecret;
use tokio::time::timeout;

use crate::config::InterfacesConfig;
use crate::origin::platform::{Client, Error, Subscription};

/// Where, and with which token.
type Asker = (String, String);

/// What was answered so far.
#[derive(Default)]
pub(super) struct Accounts {
    ids: BTreeMap<(Asker, Option<i64>), Result<i64, Error>>,
    subscriptions: BTreeMap<(Asker, i64), Result<Vec<Subscription>, Error>>,
}

/// Asks for one environment.
pub(super) struct Asking<'a> {
    pub(super) config: &'a InterfacesConfig,
    pub(super) client: &'a Client,
    /// So long does each question wait for its answer.
    pub(super) patience: Duration,
}

impl Accounts {
    /// The account of the environment.
    pub(super) async fn id(&mut self, asking: &Asking<'_>) -> Result<i64, Error> {
        let key = (asking.asker(), asking.config.account_id);
        if let Some(known) = self.ids.get(&key) {
            return known.clone();
        }
        let told = asking.in_time(asking.client.account()).await;
        self.ids.entry(key).or_insert(told).clone()
    }

    /// The webhooks of an account.
    pub(super) async fn subscriptions(
        &mut self,
        asking: &Asking<'_>,
        account: i64,
    ) -> &Result<Vec<Subscription>, Error> {
        let key = (asking.asker(), account);
        if !self.subscriptions.contains_key(&key) {
            let told = asking.in_time(asking.client.subscriptions(account)).await;
            self.subscriptions.insert(key.clone(), told);
        }
        &self.subscriptions[&key]
    }
}

impl Asking<'_> {
    /// The answer, unless it takes too long.
    pub(super) async fn in_time<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let late = || Error::TimedOut { host: self.config.access.host_str().unwrap_or_default().to_owned() };
        timeout(self.patience, work).await.unwrap_or_else(|_| Err(late()))
    }

    fn asker(&self) -> Asker {
        let token = self.config.token.as_ref().map(|token| token.expose_secret().to_owned());
        (self.config.access.to_string(), token.unwrap_or_default())
    }
}
