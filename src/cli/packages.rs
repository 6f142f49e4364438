//! The root project's own packages, and those that are installed: what coverage and health count.

use std::collections::BTreeSet;

use rusqlite::Connection;

use super::note;
use crate::answers::Environment;
use crate::catalog;
use crate::output::sanitize;

/// Whose nodes count.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(super) struct Packages {
    /// The root project's own packages, or also those that are installed
    #[arg(long, value_enum, default_value_t = Which::Own)]
    packages: Which,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Which {
    Own,
    All,
}

impl Packages {
    /// True if those that are installed count, too.
    pub(super) fn are_all(self) -> bool {
        self.packages == Which::All
    }

    /// Where it is unknown which package is the project's own, each may be.
    pub(super) fn want(self, is_own: Option<bool>) -> bool {
        self.are_all() || is_own.unwrap_or(true)
    }

    /// Says how many nodes of installed packages were left out.
    pub(super) fn tell(self, left_out: usize) {
        if left_out > 0 {
            note(&format!("{left_out} nodes of installed packages are left out: `--packages all` counts them, too"));
        }
    }

    /// Says where it is unknown which package is the project's own. `nodes` are the environment of each, whether its package is the
    /// project's own, and its package.
    pub(super) fn warn<'a>(
        self,
        connection: &Connection,
        environments: &[Environment],
        nodes: impl Iterator<Item = (i64, Option<bool>, &'a Option<String>)>,
    ) -> anyhow::Result<()> {
        let unknown =
            |(_, is_own, package): &(i64, Option<bool>, &Option<String>)| is_own.is_none() && package.is_some();
        let unknown: BTreeSet<i64> = nodes.filter(unknown).map(|(id, ..)| id).collect();
        for environment in environments.iter().filter(|it| !self.are_all() && unknown.contains(&it.id)) {
            let name = sanitize(&environment.name);
            let reason = match catalog::environment_facts(connection, environment.id)?.project_name {
                Some(project) => {
                    format!("the project of `{name}` is called `{}`, but no package is", sanitize(&project))
                }
                None => format!("the name of the project in `{name}` is unknown"),
            };
            note(&format!("warning: {reason}: so each of its packages counts as its own"));
        }
        Ok(())
    }
}
