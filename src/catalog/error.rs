//! What can be wrong with a catalog file, with the way out.

use std::path::PathBuf;

use rusqlite::ErrorCode;

use crate::time::Timestamp;

/// Why the catalog could not be opened, read or written. Nothing is half-written on any of these.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no file.
    #[error("there is no catalog at `{0}`: `lineaged sync` makes it, `--catalog` or `catalog.path` names another")]
    Missing(PathBuf),
    /// The file is something else.
    #[error(
        "`{0}` is not a catalog of lineaged, so it is left alone: name another file with `--catalog` or `catalog.path`"
    )]
    NotOurs(PathBuf),
    /// The file was written by a newer version.
    #[error(
        "`{path}` has schema version {found}, and this lineaged knows {known}: use the newer lineaged that wrote it"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// The file is of a time when nothing was released yet.
    #[error(
        "`{0}` was made before the first release, and its tables are others now: move it away and run `lineaged sync`, which reads everything anew"
    )]
    Outdated(PathBuf),
    /// The file is of an older version, and only a writer may migrate it.
    #[error(
        "`{path}` has schema version {found}, and this lineaged reads {known}: run `lineaged sync` once, which migrates it"
    )]
    Older {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// The file's content is broken.
    #[error(
        "`{path}` is damaged ({what}), so it is left alone: restore a backup, or move it away and let `lineaged sync` read everything anew"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        what: String,
    },
    /// The file is no longer the one that was opened.
    #[error("`{0}` was removed or replaced while it was being written: nothing was saved, run the sync again")]
    Replaced(PathBuf),
    /// Another process wrote the environment while it was being read.
    #[error(
        "another process wrote this environment while it was being read, so nothing of this sync was written: run it again, and let all writers reach the catalog by one path"
    )]
    Overtaken,
    /// Two environments would have one number.
    #[error(
        "environment {number} is `{}` in the catalog, and `{}` is configured with that id: give it another id, or forget the first with `lineaged forget {}`", names[0], names[1], names[0]
    )]
    NumberTaken {
        /// The number.
        number: i64,
        /// Who has it, and who asks for it.
        names: [String; 2],
    },
    /// The process was told to end.
    #[error("told to end: nothing was written")]
    Interrupted,
    /// Another process writes.
    #[error("`{path}` is held by {holder}{}: try again when that has ended", Waited(*waited))]
    Busy {
        /// The lock file.
        path: PathBuf,
        /// Who holds it.
        holder: String,
        /// How long it was waited for, in seconds.
        waited: u64,
    },
    /// The folder is not there.
    #[error("there is no folder `{0}`: make it, or name a file elsewhere")]
    NoFolder(PathBuf),
    /// A folder, not a file.
    #[error("`{0}` is a folder: name a file in it with `--catalog` or `catalog.path`")]
    Folder(PathBuf),
    /// A device, a pipe or a socket.
    #[error("`{0}` is no ordinary file, so it can't hold a catalog: name another with `--catalog` or `catalog.path`")]
    NoFile(PathBuf),
    /// A file with several hard links.
    #[error(
        "`{path}` has {names} names (hard links), and SQLite would write a log for each of them: keep one and remove the others, or copy the catalog with `lineaged backup`"
    )]
    SeveralNames {
        /// One of them.
        path: PathBuf,
        /// How many there are.
        names: u64,
    },
    /// The operating system does not let this user open it.
    #[error("`{0}` can't be opened: may this user read and write it, and its folder?")]
    Closed(PathBuf),
    /// A file operation failed.
    #[error("can't {what} `{path}`")]
    File {
        /// The act.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A time was asked for that the history does not reach back to.
    #[error(
        "the catalog can't be shown as of {asked}: {}",
        first.map_or("it has had no sync yet".to_owned(), |first| format!("its history begins at {first}"))
    )]
    TooEarly {
        /// The time.
        asked: Timestamp,
        /// Where the history begins, if it does.
        first: Option<Timestamp>,
    },
    /// The sync that was named can't be approved.
    #[error("{0}")]
    NotHeld(String),
    /// SQLite met a broken part of the file.
    #[error(
        "the catalog could not be {doing}, since its file is damaged: restore a backup, or move it away and let `lineaged sync` read everything anew (`lineaged check --integrity` says more)"
    )]
    Corrupt {
        /// The act.
        doing: &'static str,
        /// The cause.
        source: rusqlite::Error,
    },
    /// SQLite refused something.
    #[error("the catalog could not be {doing}")]
    Sqlite {
        /// The act: `read`, `written`, …
        doing: &'static str,
        /// The cause.
        source: rusqlite::Error,
    },
}

impl Error {
    /// For `map_err`: names what was being done.
    pub(crate) fn sqlite(doing: &'static str) -> impl FnOnce(rusqlite::Error) -> Self {
        move |source| match source.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt) => Self::Corrupt { doing, source },
            _ => Self::Sqlite { doing, source },
        }
    }

    /// True if the process was told to end while it was being done, or the time for it was over.
    pub fn is_interrupted(&self) -> bool {
        match self {
            Self::Interrupted => true,
            Self::Sqlite { source, .. } => source.sqlite_error_code() == Some(ErrorCode::OperationInterrupted),
            _ => false,
        }
    }
}

/// How long somebody waited, if at all.
struct Waited(u64);

impl std::fmt::Display for Waited {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            0 => Ok(()),
            seconds => write!(f, ", for which it was waited {seconds} s"),
        }
    }
}
