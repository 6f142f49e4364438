//! `lineaged serve`: the daemon.

use super::stop::on_signal;
use super::{Exit, Files};
use crate::catalog::Writers;
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
