//! `lineaged init`: a commented configuration to begin with.

use std::io::Write;
use std::path::PathBuf;

use super::{Exit, Files};
use crate::config;

pub(super) fn run(files: Files, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let path = files.config.unwrap_or_else(|| PathBuf::from(config::DEFAULT_FILE));
    config::init(&path)?;
    let next =
        "set the token, name the environments (`lineaged discover --write` appends them), then run `lineaged check`";
    writeln!(out, "wrote {}: {next}", path.display())?;
    Ok(Exit::Done)
}
