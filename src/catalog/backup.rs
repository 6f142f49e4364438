//! A consistent copy of the catalog, also while a sync writes it.

use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::backup::Backup;

use super::file::{beside, canonical, folder_of, same_mode};
use super::integrity::integrity;
use super::{Error, open_to_read};

/// Copies the catalog at `path` to `copy` by SQLite's online backup, verifies the copy, and only then gives it its name. The copy
/// is in the mode that also readers without write permission can open, and as readable as the catalog. The first writer that opens
/// it gives it another `catalog_id`.
///
/// # Errors
/// If `copy` exists, or if the copy can't be made or is not whole; then nothing is left behind.
pub fn backup(path: &Path, copy: &Path) -> Result<(), Error> {
    if copy.symlink_metadata().is_ok() {
        let source = std::io::Error::new(std::io::ErrorKind::AlreadyExists, "it exists already and is left as it is");
        return Err(Error::File { what: "make", path: copy.to_owned(), source });
    }
    let folder = folder_of(copy);
    if !folder.is_dir() {
        return Err(Error::NoFolder(folder));
    }
    whole_copy(&open_to_read(path)?, &canonical(path)?, copy)
}

/// Copies `source`, the catalog at `path`, to a part of a file that gets the name `copy` when it is whole. What was left of an
/// earlier part is made anew.
pub(super) fn whole_copy(source: &Connection, path: &Path, copy: &Path) -> Result<(), Error> {
    let part = beside(copy, ".part");
    clear(&part);
    let named =
        |()| std::fs::rename(&part, copy).map_err(|source| Error::File { what: "name", path: copy.to_owned(), source });
    let made = make(source, path, &part).and_then(named);
    if made.is_err() {
        clear(&part);
    }
    made
}

/// Removes a part with all that SQLite makes beside it.
fn clear(part: &Path) {
    for ending in ["", "-journal", "-wal", "-shm"] {
        // Where it can't be removed it can't be made either, and that is told.
        let _ = std::fs::remove_file(beside(part, ending));
    }
}

fn make(source: &Connection, path: &Path, part: &Path) -> Result<(), Error> {
    let mut target = Connection::open_with_flags(part, super::WRITING).map_err(Error::sqlite("copied"))?;
    same_mode(path, part)?;
    let copy = |target: &mut Connection| -> rusqlite::Result<()> {
        // In one step: nothing that is written meanwhile makes it begin again.
        Backup::new(source, target)?.run_to_completion(i32::MAX, Duration::ZERO, None)?;
        target.query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(()))?;
        target.execute("UPDATE identity SET is_copy = 1", []).map(drop)
    };
    copy(&mut target).map_err(Error::sqlite("copied"))?;
    integrity(&target, part)?;
    drop(target);
    // It is on the disk before it has its name.
    let synced = std::fs::File::open(part).and_then(|file| file.sync_all());
    synced.map_err(|source| Error::File { what: "write", path: part.to_owned(), source })
}
