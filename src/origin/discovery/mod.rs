//! Reads one environment of the dbt platform through its Discovery API: all of it, proved complete and of one moment, or an
//! error. GraphQL, HTTP and retries live here and nowhere else; what comes out is plain [`crate::inventory`] data.

#[cfg(feature = "demo")]
mod bench;
mod check;
mod data_tests;
mod error;
mod exposures;
mod groups;
mod metrics;
mod models;
mod read;
mod saved_queries;
mod seeds;
mod semantic_models;
mod snapshots;
mod sources;
mod wire;

#[cfg(feature = "demo")]
pub use bench::decode_models;
pub use check::{CheckReport, DocumentCheck, check};
pub use error::{Error, Kind, Place};
pub use read::environment::{Moment, Stamps, StateStamp, probe};
pub use read::fetch;
pub use wire::client::{Client, Limits, share_a_pace};
