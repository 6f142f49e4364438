//! `lineaged serve`, and `lineaged backup`.

use std::io::Write;
use std::path::PathBuf;

use super::{Exit, Files};
use crate::config::Need;
use crate::sync::Stop;
use crate::{catalog, daemon};

/// Serves until the process is told to end.
pub(super) async fn run(files: &Files) -> anyhow::Result<Exit> {
    let config = files.load(Need::Platform)?;
    let (pull, stop) = Stop::new();
    tokio::spawn(async move {
        if told_to_end().await.is_ok() {
            let _ = pull.send(true);
        }
        pull.closed().await;
    });
    daemon::serve(config, stop).await?;
    Ok(Exit::Done)
}

#[cfg(unix)]
async fn told_to_end() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

#[cfg(not(unix))]
async fn told_to_end() -> std::io::Result<()> {
    tokio::signal::ctrl_c().await
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
