//! The files that dbt leaves, as an origin: what a `target` folder holds, or many of them, becomes a [`Reading`](crate::inventory::Reading) of the same nodes that the
//! platform's API would tell. What of it depends on what was read before is settled where a reading is completed, not here.

mod catalog;
mod declared;
mod error;
mod externals;
mod files;
mod json;
mod manifest;
mod meaning;
mod metadata;
mod node;
mod older;
mod place;
mod read;
mod results;
mod runs;
mod stamps;
mod surrogates;
mod survey;
#[cfg(test)]
mod tests;

pub use error::Error;
pub use files::FileKind;
pub use read::{Read, read};
pub use stamps::{Stamps, probe};
pub use survey::{Survey, Surveyed, survey};
