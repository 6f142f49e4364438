//! `lineaged approve`: lets a held sync take away what it listed.

use std::io::Write;

use super::{Exit, Files, note};
use crate::answers::Reader;
use crate::catalog::{Approval, Catalog, SyncId, Writers};
use crate::config::Need;
use crate::output::sanitize;
use crate::time::Timestamp;

#[derive(Debug, clap::Args)]
pub(super) struct Approve {
    /// The number of the held sync, as `lineaged status` shows it
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    sync: Option<i64>,
    /// Approve everything that is held
    #[arg(long)]
    all: bool,
    /// Why, for those who look at it later
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

impl Approve {
    pub(super) fn run(self, files: &Files, out: &mut dyn Write) -> anyhow::Result<Exit> {
        let path = files.load(Need::Reading)?.catalog.path;
        // Read before it is opened to write, so that a mistyped path makes no catalog.
        let held = Reader::open(&path, None)?.status(None)?.held;
        let waiting = |holder: &str| note(&format!("waiting for {holder}"));
        let mut catalog = Catalog::open(&path, &Writers::default(), "approve", &waiting)?;
        let syncs = match self.sync {
            Some(sync) => vec![SyncId(sync)],
            None => held.into_iter().map(|held| held.sync_id).collect(),
        };
        if syncs.is_empty() {
            writeln!(out, "nothing is held")?;
        }
        let approval = Approval { by: user(), reason: self.reason };
        for sync in syncs {
            let held = catalog.approve(sync, &approval, Timestamp::now())?;
            let (SyncId(number), name) = (held.sync_id, held.environment);
            let what = match held.losses.len() {
                0 => "what it read".to_owned(),
                1 => "the one loss that it listed".to_owned(),
                count => format!("the {count} losses that it listed"),
            };
            writeln!(out, "{}: approved sync {number}: the next `lineaged sync` may apply {what}", sanitize(&name))?;
        }
        Ok(Exit::Done)
    }
}

/// Who runs this command, as the operating system tells it.
fn user() -> Option<String> {
    ["USER", "LOGNAME", "USERNAME"].iter().find_map(|name| std::env::var(name).ok()).filter(|name| !name.is_empty())
}
