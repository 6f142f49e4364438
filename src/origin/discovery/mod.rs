//! Reads one environment of the dbt platform through its Discovery API: all of it, proved complete and of one moment, or an
//! error. GraphQL, HTTP and retries live here and nowhere else; what comes out is plain [`crate::inventory`] data.

mod check;
mod data_tests;
mod error;
mod exposures;
mod groups;
mod metrics;
mod models;
pub(crate) mod read;
mod saved_queries;
mod seeds;
mod semantic_models;
mod snapshots;
mod sources;
mod wire;

#[cfg(test)]
mod server;

use crate::inventory::Code;

pub use check::{CheckReport, DocumentCheck, check};
pub use error::{Error, Kind, Place};
pub use read::environment::{Moment, Stamps, StateStamp, probe};
pub use read::fetch;
pub use wire::client::{Client, Cost, Limits};

/// A source text on its way to the catalog; nodes hold only the hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeText {
    /// The hash under which nodes refer to it.
    pub code: Code,
    /// The text itself.
    pub text: String,
}

/// Called after each page with the list's name, the nodes seen so far and their total.
pub type Progress<'a> = &'a (dyn Fn(&'static str, u64, u64) + Send + Sync);
