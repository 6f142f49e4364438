//! What can go wrong between us and these interfaces, each with the way out. Never a query string.

use std::time::Duration;

/// Why one of the platform's other interfaces could not be asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs)] // The messages say it.
pub enum Error {
    #[error("{0}")]
    Setup(String),
    #[error("dbt refused the token ({status}{said}): set `platform.token` to {need}")]
    Refused { status: u16, said: String, need: &'static str },
    #[error("`{host}` has nothing there ({status}{said}): check `platform.url` and `platform.account_id`")]
    Missing { host: String, status: u16, said: String },
    #[error("the rate limit is reached (429): it is not asked for {} s", wait.as_secs())]
    RateLimited { wait: Duration },
    #[error("`{host}` failed ({status}{said})")]
    Failed { host: String, status: u16, said: String },
    #[error(
        "`{host}` did not answer as this interface ({status}, begins `{start}`): check `platform.url`, and whether a proxy answers in its place"
    )]
    Foreign { host: String, status: u16, start: String },
    #[error("`{host}` cannot be reached ({reason}): check `platform.url`, the network and the proxy settings")]
    Unreachable { host: String, reason: String },
    #[error("`{host}` redirects elsewhere ({status}), which is not followed: set `platform.url` to the right address")]
    Redirect { host: String, status: u16 },
    #[error("the connection to `{host}` broke off ({reason})")]
    Cut { host: String, reason: String },
    #[error("`{host}` did not answer in time")]
    TimedOut { host: String },
    #[error("the list of {what} is not complete: {why}")]
    Incomplete { what: &'static str, why: String },
    #[error("the token sees several accounts ({0}): set `platform.account_id` to one of them")]
    SeveralAccounts(String),
    #[error("{what}: {source}")]
    Of { what: String, source: Box<Error> },
    #[error("the token sees no account: set `platform.token` to a token of yours")]
    NoAccount,
}

impl Error {
    /// The same, and what was asked for.
    pub(super) fn of(self, what: String) -> Self {
        Self::Of { what, source: self.into() }
    }

    /// True if the same question may be answered a moment later. Whoever hangs would hang again.
    pub(super) fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Cut { .. } | Self::Failed { status: 500.., .. })
    }
}
