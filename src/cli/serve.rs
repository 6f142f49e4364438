//! `lineaged serve`, and `lineaged backup`.

use std::io::Write;
use std::path::PathBuf;

use super::stop::on_signal;
use super::{Exit, Files};
use crate::catalog::{self, Writers};
use crate::config::Need;
use crate::daemon;

/// Serves until the process is told to end.
pub(super) async fn run(files: &Files) -> anyhow::Result<Exit> {
    let config = files.load(Need::Origins)?;
    let writers = Writers::default();
    let stop = on_signal(&writers, Exit::Done);
    daemon::serve(config, writers, stop).await?;
    Ok(Exit::Done)
}

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
