//! What other programs read, made of answers: one file or folder for each format. Bytes out, page by page, and the same for the same
//! catalog: there is no clock, no SQL and no network here.

mod artifacts;
mod between;
mod datahub;
mod drawing;
mod openlineage;
mod scope;
#[cfg(test)]
mod tests;

use std::io;

use crate::answers;

pub(crate) use artifacts::{MARK, artifacts};
pub(crate) use datahub::{DataHub, datahub};
pub(crate) use drawing::{Drawing, Shape};
pub(crate) use openlineage::{OpenLineage, openlineage, without_namespace};
pub(crate) use scope::{Scope, Told, Wanted};

/// Why an export broke off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The catalog could not answer.
    #[error(transparent)]
    Answers(#[from] answers::Error),
    /// Whatever takes the bytes refused them.
    #[error(transparent)]
    Io(#[from] io::Error),
}
