//! `lineaged backup`: a verified copy of the catalog.

use std::io::Write;
use std::path::PathBuf;

use super::{Exit, Files};
use crate::catalog;
use crate::config::Need;

#[derive(Debug, clap::Args)]
pub(super) struct Backup {
    /// The copy; it must not exist yet
    file: PathBuf,
}

impl Backup {
    pub(super) fn run(self, files: &Files, out: &mut dyn Write) -> anyhow::Result<Exit> {
        let config = files.load(Need::Reading)?;
        catalog::backup(&config.catalog.path, &self.file)?;
        writeln!(out, "{} is a verified copy of {}", self.file.display(), config.catalog.path.display())?;
        Ok(Exit::Done)
    }
}
