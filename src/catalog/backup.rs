//! A consistent copy of the catalog, also while a sync writes it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::backup::Backup;

use super::{Error, open_to_read, quick_check};

/// Pages that are copied before others may use the file again.
const PAGES: i32 = 4096;

/// Copies the catalog at `path` to `copy` by SQLite's online backup, verifies the copy, and only then gives it its name. The copy
/// keeps `catalog_id` and `last_seq`; it is in the mode that also readers without write permission can open.
///
/// # Errors
/// If `copy` exists, or if the copy can't be made or is not whole; then nothing is left behind.
pub fn backup(path: &Path, copy: &Path) -> Result<(), Error> {
    let file = |what, path: &Path| {
        let path = path.to_owned();
        move |source| Error::File { what, path, source }
    };
    if copy.exists() {
        let source = std::io::Error::new(std::io::ErrorKind::AlreadyExists, "it exists already and is left as it is");
        return Err(file("make", copy)(source));
    }
    let mut part = copy.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let made = make(path, &part).and_then(|()| std::fs::rename(&part, copy).map_err(file("name", copy)));
    if made.is_err() {
        let _ = std::fs::remove_file(&part);
    }
    made
}

fn make(path: &Path, part: &Path) -> Result<(), Error> {
    let source = open_to_read(path)?;
    let mut target = Connection::open(part).map_err(Error::sqlite("copied"))?;
    let copy = |target: &mut Connection| -> rusqlite::Result<()> {
        Backup::new(&source, target)?.run_to_completion(PAGES, Duration::ZERO, None)?;
        target.query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(()))
    };
    copy(&mut target).map_err(Error::sqlite("copied"))?;
    quick_check(&target, part)
}
