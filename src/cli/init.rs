//! `lineaged init`: a commented configuration to begin with.

use std::io::Write;
use std::path::PathBuf;

use super::{Exit, Files};
use crate::config;

pub(super) fn run(files: Files, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let path = files.config.unwrap_or_else(|| PathBuf::from(config::DEFAULT_FILE));
    config::init(&path)?;
    writeln!(out, "wrote {}: set the token and the environments, then run `lineaged check`", path.display())?;
    Ok(Exit::Done)
}
