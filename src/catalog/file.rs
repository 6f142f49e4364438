//! The catalog's file as the operating system sees it: where it really is, what may stand there, and who may read it. By its metadata
//! alone: whoever opens the file beside SQLite and closes it again takes SQLite's own locks away.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::Error;
use super::schema::state;

/// So many links may lead from one to the next.
const LINKS: usize = 40;

/// The smallest page, so the smallest file, of SQLite.
const SMALLEST: u64 = 512;

/// The one path of a catalog that has several names: links are followed, also where nothing is at their end yet.
///
/// # Errors
/// If its folder is not there, or if the links lead nowhere.
pub fn canonical(path: &Path) -> Result<PathBuf, Error> {
    let failed = |source| Error::File { what: "open", path: path.to_owned(), source };
    let mut target = path.to_owned();
    for _ in 0..LINKS {
        match std::fs::canonicalize(&target) {
            Ok(found) => return Ok(found),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(source) => return Err(failed(source)),
        }
        let folder = folder_of(&target);
        match (std::fs::read_link(&target), target.file_name()) {
            (Ok(next), _) => target = folder.join(next),
            (Err(_), Some(name)) => {
                let folder = std::fs::canonicalize(&folder).map_err(|_| Error::NoFolder(folder.clone()))?;
                return Ok(folder.join(name));
            }
            (Err(source), None) => return Err(failed(source)),
        }
    }
    Err(failed(std::io::Error::other("its links lead from one to the next without an end")))
}

/// The folder of a file that is named.
pub(super) fn folder_of(path: &Path) -> PathBuf {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new(".")).to_owned()
}

/// The file of the same name with something after it.
pub(super) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// What tells a file from another one of the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileId(u64, u64);

impl FileId {
    #[cfg(unix)]
    pub(super) fn of(path: &Path) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        std::fs::metadata(path).ok().map(|file| Self(file.dev(), file.ino()))
    }

    #[cfg(not(unix))]
    pub(super) fn of(path: &Path) -> Option<Self> {
        path.exists().then_some(Self(0, 0))
    }
}

/// Refuses what can't be a catalog, before anything is made beside it. False if there is nothing yet, or an empty file.
///
/// # Errors
/// If something else stands there: a folder, a device, a file of other contents, or one that has several names.
pub(super) fn is_there(path: &Path) -> Result<bool, Error> {
    let file = match std::fs::metadata(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(source) => return Err(Error::File { what: "open", path: path.to_owned(), source }),
    };
    if file.is_dir() {
        return Err(Error::Folder(path.to_owned()));
    }
    if !file.is_file() {
        return Err(Error::NoFile(path.to_owned()));
    }
    let names = names(&file);
    if names > 1 {
        return Err(Error::SeveralNames { path: path.to_owned(), names });
    }
    match file.len() {
        0 => return Ok(false),
        // SQLite would take so short a file for an empty one.
        1..SMALLEST => return Err(Error::NotOurs(path.to_owned())),
        _ => {}
    }
    // With one of these beside it, the file alone does not tell; then whoever opens it in earnest looks again.
    if !beside(path, "-wal").exists() && !beside(path, "-journal").exists() {
        refuse_foreign(path)?;
    }
    Ok(true)
}

/// How many names (hard links) a file has. SQLite keeps a log for each of them, so that two are two catalogs in one.
#[cfg(unix)]
fn names(file: &std::fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::nlink(file)
}

#[cfg(not(unix))]
fn names(_: &std::fs::Metadata) -> u64 {
    1
}

/// Looks at the file as if nobody ever wrote it: without locks, and without making a log.
fn refuse_foreign(path: &Path) -> Result<(), Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let address = format!("file:{}?immutable=1", in_an_address(path.as_os_str()));
    let look = || state(&Connection::open_with_flags(address, flags)?);
    match look() {
        Ok(state) => state.check(path).map(drop),
        Err(error) => match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => Err(Error::NotOurs(path.to_owned())),
            Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => Err(Error::Closed(path.to_owned())),
            // It may be written at this moment.
            _ => Ok(()),
        },
    }
}

/// A path as a part of an address: whatever means something else there is written as its number.
fn in_an_address(path: &OsStr) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte);
    let letter = |byte: &u8| if plain(*byte) { char::from(*byte).to_string() } else { format!("%{byte:02X}") };
    path.as_encoded_bytes().iter().map(letter).collect()
}

/// A new file is its owner's alone, whatever the umask says: SQLite gives its log the same mode.
pub(super) fn owner_only(path: &Path) -> Result<(), Error> {
    set_mode(path, 0o600)
}

/// Makes a copy as readable as what it is a copy of.
pub(super) fn same_mode(of: &Path, path: &Path) -> Result<(), Error> {
    #[cfg(unix)]
    if let Ok(file) = std::fs::metadata(of) {
        return set_mode(path, std::os::unix::fs::MetadataExt::mode(&file) & 0o666);
    }
    set_mode(path, 0o600)
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) -> Result<(), Error> {
    let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
    let failed = |source| Error::File { what: "set the mode of", path: path.to_owned(), source };
    std::fs::set_permissions(path, mode).map_err(failed)
}

#[cfg(not(unix))]
fn set_mode(_: &Path, _: u32) -> Result<(), Error> {
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn every_name_of_a_file_leads_to_the_same_path_also_before_it_is_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let real = std::fs::canonicalize(folder.path()).expect("a path").join("real");
        std::fs::create_dir(&real).expect("made");
        let at = |name: &str| folder.path().join(name);
        symlink("real", at("linked")).expect("linked");
        symlink("linked/c.db", at("dangling.db")).expect("linked");
        symlink("dangling.db", at("twice.db")).expect("linked");
        let names = ["real/c.db", "linked/c.db", "linked/../real/./c.db", "dangling.db", "twice.db"];
        for _ in ["before", "after"] {
            for name in names {
                assert_eq!(canonical(&at(name)).expect(name), real.join("c.db"), "{name}");
            }
            std::fs::write(real.join("c.db"), "").expect("made");
        }
        symlink("round.db", at("round.db")).expect("linked");
        canonical(&at("round.db")).expect_err("it leads to itself");
        assert!(matches!(canonical(&at("none/c.db")), Err(Error::NoFolder(_))));
    }

    #[test]
    fn a_path_in_an_address_means_itself() {
        assert_eq!(in_an_address(OsStr::new("/a b/c?d#e%/ä.db")), "/a%20b/c%3Fd%23e%25/%C3%A4.db");
    }
}
