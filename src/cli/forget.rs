//! `lineaged forget`: an environment goes from the catalog, with its history.

use std::io::{BufRead, IsTerminal, Write};

use super::{Exit, Files, Misuse, note};
use crate::answers::{Environment, Reader};
use crate::catalog::{Catalog, Writers};
use crate::config::Need;
use crate::output::sanitize;

#[derive(Debug, clap::Args)]
pub(super) struct Forget {
    /// The environment's name, or its number
    name: String,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

impl Forget {
    pub(super) fn run(self, files: &Files, out: &mut dyn Write) -> anyhow::Result<Exit> {
        let config = files.load(Need::Reading)?;
        // Read first, so that a mistyped path makes no catalog, and nobody is asked about what is not there.
        let Environment { id, name } = Reader::open(&config.catalog.path, None)?.environment(&self.name)?;
        if !self.yes && !agreed(&sanitize(&name))? {
            writeln!(out, "nothing was forgotten")?;
            return Ok(Exit::No);
        }
        let waiting = |holder: &str| note(&format!("waiting for {holder}"));
        let mut catalog = Catalog::open(&config.catalog.path, &Writers::default(), "forget", &waiting)?;
        catalog.forget_environment(id)?;
        catalog.checkpoint()?;
        writeln!(out, "{}: forgotten, with its history", sanitize(&name))?;
        if config.environments.iter().any(|environment| environment.name == name) {
            note(&format!("`{}` is still configured: the next sync reads it anew", sanitize(&name)));
        }
        Ok(Exit::Done)
    }
}

/// Asks the person at the terminal.
fn agreed(name: &str) -> anyhow::Result<bool> {
    if !std::io::stdin().is_terminal() {
        return Err(Misuse(format!("to forget `{name}` and its history for ever, add `--yes`")).into());
    }
    eprint!("Forget `{name}` and all its history for ever? [y/N] ");
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
