//! The root project's own packages, and those that are installed: what coverage and health count.

use super::note;
use crate::answers::{self, Reader};
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

    /// Says how many nodes of installed packages were left out.
    pub(super) fn tell(self, left_out: usize) {
        if left_out > 0 {
            note(&format!("{left_out} nodes of installed packages are left out: `--packages all` counts them, too"));
        }
    }

    /// Says where it is unknown which package is the project's own.
    pub(super) fn warn(self, reader: &Reader, environment_id: Option<i64>) -> Result<(), answers::Error> {
        if self.are_all() {
            return Ok(());
        }
        for (environment, project) in reader.without_own_package(environment_id)? {
            let name = sanitize(&environment.name);
            let reason = match project {
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
