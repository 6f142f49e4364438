//! `lineaged check`: asks each environment one small question per document, and the platform's other interfaces next to nothing, and says
//! in plain words what is wrong and what to do; or looks whether the catalog's file is whole.

mod accounts;
mod discovery;
mod files;
mod interfaces;
mod row;
mod webhooks;

use std::io::Write;

use self::interfaces::Interfaces;
use super::{Exit, Files};
use crate::catalog;
use crate::config::{Need, OriginConfig};
use crate::origin::discovery::Limits;
use crate::output::sanitize;
use crate::sync::{self, Environment};

#[derive(Debug, clap::Args)]
pub(super) struct Check {
    /// Read the catalog's file instead, and say whether it is whole
    #[arg(long)]
    integrity: bool,
}

impl Check {
    pub(super) fn run(self, files: &Files, out: &mut dyn Write) -> anyhow::Result<Exit> {
        if !self.integrity {
            return super::block_on(ask(files, out));
        }
        let path = files.load(Need::Reading)?.catalog.path;
        catalog::check_integrity(&path)?;
        writeln!(out, "{} is whole", path.display())?;
        Ok(Exit::Done)
    }
}

async fn ask(files: &Files, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let config = files.load(Need::Origins)?;
    writeln!(out, "the configuration is valid; the catalog is {}", config.catalog.path.display())?;
    let limits = Limits::new(config.concurrency(), 1);
    let sync::Found { config, failed, .. } = sync::as_found(config, &limits).await?;
    let mut exit = match &failed {
        Some(failed) if failed.is_misuse => Exit::Usage,
        Some(_) => Exit::Failed,
        None => Exit::Done,
    };
    tell(failed.into_iter().map(|failed| Finding::wrong(failed.text)).collect(), out)?;
    let mut interfaces = Interfaces::new(&config, &limits);
    for environment in sync::environments(&config)? {
        head(&environment, out)?;
        let is_well = match &environment.config.origin {
            OriginConfig::Discovery(platform) => {
                let (state, findings) = discovery::ask(platform, &limits, out).await?;
                let is_well = tell(findings, out)?;
                row::write(&interfaces.ask(platform, state).await, out)?;
                is_well
            }
            OriginConfig::Artifacts(place) => tell(self::files::look(place, out)?, out)?,
        };
        exit = if is_well || exit == Exit::Usage { exit } else { Exit::Failed };
    }
    Ok(exit)
}

/// Which environment it is, where it is, and when it is synced.
fn head(Environment { id, config }: &Environment, out: &mut dyn Write) -> std::io::Result<()> {
    let place = match &config.origin {
        OriginConfig::Discovery(platform) => format!("at {}", platform.access),
        OriginConfig::Artifacts(files) => {
            let paths: Vec<String> = files.paths.iter().map(|path| path.display().to_string()).collect();
            format!("in {}", paths.join(", "))
        }
    };
    writeln!(out, "\n{} (environment {id}) {}", sanitize(&config.name), sanitize(&place))?;
    writeln!(out, "  `lineaged serve` syncs next at {}", config.schedule.next_three())
}

/// Prints the findings. True if nothing is wrong.
fn tell(findings: Vec<Finding>, out: &mut dyn Write) -> std::io::Result<bool> {
    for Finding { wrong, text } in &findings {
        writeln!(out, "  {} {}", if *wrong { "✗" } else { "!" }, sanitize(text))?;
    }
    Ok(findings.iter().all(|finding| !finding.wrong))
}

/// Something to tell: either no sync can work, or one works but with less than there could be.
struct Finding {
    wrong: bool,
    text: String,
}

impl Finding {
    fn wrong(text: impl Into<String>) -> Self {
        Self { wrong: true, text: text.into() }
    }

    fn note(text: impl Into<String>) -> Self {
        Self { wrong: false, text: text.into() }
    }
}
