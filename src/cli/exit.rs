//! How a command ended, as its exit code tells.

use std::process::ExitCode;

use crate::config::Problems;
use crate::sync::Interrupted;
use crate::{answers, catalog};

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Everything was done.
    Done = 0,
    /// Something failed: network, API or I/O.
    Failed = 1,
    /// The command or the configuration is wrong.
    Usage = 2,
    /// A check said no.
    No = 3,
    /// A sync was held for approval.
    Held = 4,
    /// It was told to end before it was done.
    Interrupted = 130,
}

impl Exit {
    /// What tells of several ends: the first that holds.
    pub(super) fn of_all(exits: &[Self]) -> Self {
        let order = [Self::Interrupted, Self::Usage, Self::Failed, Self::Held, Self::No];
        order.into_iter().find(|exit| exits.contains(exit)).unwrap_or(Self::Done)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// The command can't be done as it was given; the text says what to do instead.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Misuse(pub(super) String);

/// How a command ended that failed.
pub(super) fn exit_of(error: &anyhow::Error) -> Exit {
    if error.is::<Interrupted>() {
        return Exit::Interrupted;
    }
    let is_usage = match (error.downcast_ref(), error.downcast_ref()) {
        (Some(answers::Error::Catalog(error)), _) | (None, Some(error)) => {
            matches!(
                error,
                catalog::Error::NotHeld(_) | catalog::Error::TooEarly { .. } | catalog::Error::NumberTaken { .. }
            )
        }
        (Some(answers::Error::TookTooLong(_) | answers::Error::Sqlite(_)), _) => false,
        (Some(_), _) => true,
        (None, None) => error.is::<Problems>() || error.is::<Misuse>(),
    };
    if is_usage { Exit::Usage } else { Exit::Failed }
}

#[cfg(test)]
mod tests {
    use super::Exit::{self, Done, Failed, Held, Interrupted, No, Usage};

    #[test]
    fn the_gravest_of_several_ends_is_told() {
        let grave = [Interrupted, Usage, Failed, Held, No, Done];
        for (place, exit) in grave.into_iter().enumerate() {
            let mut rest = grave[place..].to_vec();
            rest.reverse();
            assert_eq!(Exit::of_all(&rest), exit);
        }
        assert_eq!(Exit::of_all(&[]), Done);
    }
}
