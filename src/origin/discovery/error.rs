//! What can go wrong between us and the Discovery API, each with its place and the way out. Never a URL's query string;
//! what a server repeats of the token is taken out where the message is printed.

use std::fmt;
use std::time::Duration;

/// Why the platform could not be read.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}{kind}{}", Prefix(.place), GaveUp(.gave_up))]
#[non_exhaustive]
pub struct Error {
    place: Option<Place>,
    kind: Box<Kind>,
    gave_up: Option<(u32, Duration)>,
}

/// What was being read when it went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Place {
    /// dbt's environment id.
    pub environment_id: i64,
    /// The document, e.g. `models`.
    pub resource: &'static str,
    /// The page, from 1; 0 where there are no pages.
    pub page: u32,
}

/// The kinds of failure, so that `check` can explain them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs)] // The messages say it.
pub enum Kind {
    #[error("{0}")]
    Setup(String),
    #[error(
        "dbt refused the token (401{detail}): set `LINEAGED_DISCOVERY__TOKEN` to a valid service token with the metadata-only permission"
    )]
    Unauthorized { detail: String },
    #[error(
        "the token may not read this (403{detail}): give it the metadata-only permission for this environment's project, and check that the plan includes the Discovery API"
    )]
    Forbidden { detail: String },
    #[error(
        "`{host}` did not answer as a GraphQL server (status {status}, content type `{content_type}`, begins `{start}`): check `discovery.url`, and whether a proxy or a login page answers in its place"
    )]
    NotGraphql { host: String, status: u16, content_type: String, start: String },
    #[error(
        "the platform holds no data for it (`{message}`): check the environment's id, that `discovery.url` is of the account's region, and that a job has run in this environment"
    )]
    NoData { message: String },
    #[error(
        "the server does not know the field `{field}` of `{type_name}`: this version of lineaged needs it, look for a newer one"
    )]
    UnknownField { field: String, type_name: String },
    #[error("the server refused the question (status {status}): `{message}`")]
    Refused { status: u16, message: String },
    #[error(
        "the rate limit is reached (429), the platform asks to wait {} s: lower `discovery.requests_per_minute`, or raise `discovery.give_up_after` above that time",
        wait.as_secs()
    )]
    RateLimited { wait: Duration },
    #[error("the server failed (status {status}): `{message}`")]
    Server { status: u16, message: String },
    #[error("environment is busy: it changed during each of {reads} reads, try again when its jobs are done")]
    Busy { reads: u32 },
    #[error("the environment changed while it was read ({what})")]
    Moved { what: String },
    #[error("the read is not complete: {what}; nothing was changed, try again")]
    Incomplete { what: String },
    #[error("`{host}` cannot be reached ({reason}): check `discovery.url`, the network and the proxy settings")]
    Unreachable { host: String, reason: String },
    #[error(
        "the certificate of `{host}` is not trusted ({reason}): if a company's proxy stands between, set `discovery.ca_file`"
    )]
    Tls { host: String, reason: String },
    #[error(
        "the server redirects to `{host}` (status {status}), which is not followed: set `discovery.url` to the right address"
    )]
    Redirect { status: u16, host: String },
    #[error("an answer is larger than {} MiB, and cannot be asked for in smaller pages", limit / (1 << 20))]
    BodyTooLarge { limit: usize },
    #[error("the connection broke off: {reason}")]
    Cut { reason: String },
    #[error("no answer in time: raise `discovery.timeout`, or lower `discovery.page_size`")]
    TimedOut,
    #[error(
        "the read did not end within `discovery.read_deadline` = {} s: raise it, or see why the platform is slow",
        deadline.as_secs()
    )]
    PastDeadline { deadline: Duration },
    #[error(
        "a text of {size} bytes came (`{field}`{node}): a text may have {limit} bytes at most",
        node = Of(.node)
    )]
    TextTooLarge { field: String, node: Option<String>, size: usize, limit: usize },
    #[error(
        "an answer of {values} JSON values and more came, {limit} are taken at most: it cannot be asked for in smaller pages"
    )]
    TooManyValues { values: usize, limit: usize },
    #[error(
        "the answer does not fit the schema at `{path}`: {reason}; if that stays, look for a newer version of lineaged"
    )]
    Decode { path: String, reason: String },
    #[error("the catalog no longer takes what is read")]
    SinkClosed,
}

impl Error {
    pub(crate) fn setup(what: impl Into<String>) -> Self {
        Self { place: None, kind: Box::new(Kind::Setup(what.into())), gave_up: None }
    }

    pub(crate) fn at(place: &Place, kind: Kind) -> Self {
        Self { place: Some(place.clone()), kind: Box::new(kind), gave_up: None }
    }

    pub(crate) fn after_tries(mut self, tries: u32, time: Duration) -> Self {
        self.gave_up = (tries > 1).then_some((tries, time));
        self
    }

    /// What went wrong.
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// What was being read.
    pub fn place(&self) -> Option<&Place> {
        self.place.as_ref()
    }

    /// True if the same read may succeed later, without anybody changing anything.
    pub fn is_transient(&self) -> bool {
        self.kind.is_transient()
            || matches!(
                *self.kind,
                Kind::Busy { .. } | Kind::Moved { .. } | Kind::Incomplete { .. } | Kind::PastDeadline { .. }
            )
    }
}

impl Kind {
    /// True for what is worth asking again at once.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::RateLimited { .. }
            | Self::Server { .. }
            | Self::Unreachable { .. }
            | Self::Cut { .. }
            | Self::TimedOut => true,
            Self::Setup(_)
            | Self::Unauthorized { .. }
            | Self::Forbidden { .. }
            | Self::NotGraphql { .. }
            | Self::NoData { .. }
            | Self::UnknownField { .. }
            | Self::Refused { .. }
            | Self::Busy { .. }
            | Self::Moved { .. }
            | Self::Incomplete { .. }
            | Self::Tls { .. }
            | Self::Redirect { .. }
            | Self::BodyTooLarge { .. }
            | Self::PastDeadline { .. }
            | Self::TextTooLarge { .. }
            | Self::TooManyValues { .. }
            | Self::Decode { .. }
            | Self::SinkClosed => false,
        }
    }
}

struct Of<'a>(&'a Option<String>);

impl fmt::Display for Of<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |node| write!(f, " of `{node}`"))
    }
}

struct Prefix<'a>(&'a Option<Place>);

impl fmt::Display for Prefix<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => Ok(()),
            Some(Place { environment_id, resource, page: 0 }) => {
                write!(f, "environment {environment_id}, {resource}: ")
            }
            Some(Place { environment_id, resource, page }) => {
                write!(f, "environment {environment_id}, {resource}, page {page}: ")
            }
        }
    }
}

struct GaveUp<'a>(&'a Option<(u32, Duration)>);

impl fmt::Display for GaveUp<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => Ok(()),
            Some((tries, time)) => write!(f, " (gave up after {tries} tries in {} s)", time.as_secs()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::origin::printable;

    #[test]
    fn a_message_says_where_and_what_to_do() {
        let place = Place { environment_id: 834, resource: "models", page: 3 };
        let error = Error::at(&place, Kind::TimedOut).after_tries(4, Duration::from_secs(600));
        assert_eq!(
            error.to_string(),
            "environment 834, models, page 3: no answer in time: raise `discovery.timeout`, or lower `discovery.page_size` (gave up after 4 tries in 600 s)"
        );
        assert!(error.is_transient());
        let refused = Error::at(&place, Kind::Unauthorized { detail: String::new() });
        assert!(!refused.is_transient());
        assert!(refused.to_string().contains("LINEAGED_DISCOVERY__TOKEN"));
    }

    #[test]
    fn text_from_outside_cannot_steer_the_terminal() {
        assert_eq!(printable("a\u{1b}]0;x\u{7}\nb", 80), "a ]0;x  b");
        assert_eq!(printable("abcdef", 3), "abc…");
    }
}
