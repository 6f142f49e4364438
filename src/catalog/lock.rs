//! One writing process at a time: a lock file beside the catalog. The operating system lets go of it when its holder ends,
//! however it ends. Within the process that holds it, SQLite itself lets one transaction in after the other.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::Error;

/// How long a writer waits for another one.
pub const PATIENCE: Duration = Duration::from_secs(60);

const POLL: Duration = Duration::from_millis(50);

/// The right of this process to write one catalog, shared by all syncs that it runs at the same time. It is taken by the first
/// of them and given back after the last.
#[derive(Debug, Clone, Default)]
pub struct Writers(Arc<Mutex<Weak<WriterLock>>>);

impl Writers {
    /// The lock, and whether it was taken now: then no other sync of the catalog runs anywhere.
    pub(super) fn lock(
        &self,
        catalog: &Path,
        purpose: &str,
        patience: Duration,
        on_wait: &dyn Fn(&str),
    ) -> Result<(Arc<WriterLock>, bool), Error> {
        let mut current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lock) = current.upgrade() {
            return Ok((lock, false));
        }
        let lock = Arc::new(WriterLock::take(&beside(catalog, ".lock"), purpose, patience, on_wait)?);
        *current = Arc::downgrade(&lock);
        Ok((lock, true))
    }
}

/// Held for life by the daemon of a catalog, so that there is only one.
#[derive(Debug)]
pub struct DaemonLock(#[expect(dead_code, reason = "held, not used")] WriterLock);

impl DaemonLock {
    /// Takes it, or says who has it.
    ///
    /// # Errors
    /// If another daemon serves this catalog.
    pub fn take(catalog: &Path) -> Result<Self, Error> {
        WriterLock::take(&beside(catalog, ".serve.lock"), "lineaged serve", Duration::ZERO, &|_| ()).map(Self)
    }
}

/// A lock file that this process holds, until it is dropped.
#[derive(Debug)]
pub(super) struct WriterLock(File);

impl WriterLock {
    /// Takes the lock for `purpose` (e.g. `sync of prod`), waiting up to `patience` while another process holds it. `on_wait` is
    /// told once who that is.
    fn take(path: &Path, purpose: &str, patience: Duration, on_wait: &dyn Fn(&str)) -> Result<Self, Error> {
        let failed = |what| move |source| Error::File { what, path: path.to_owned(), source };
        let mut options = OpenOptions::new();
        let mut file =
            options.read(true).write(true).create(true).truncate(false).open(path).map_err(failed("open"))?;
        let began = Instant::now();
        let mut told = false;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::Error(source)) => return Err(failed("lock")(source)),
                Err(TryLockError::WouldBlock) => {
                    let holder = holder(&mut file);
                    if began.elapsed() >= patience {
                        return Err(Error::Busy { path: path.to_owned(), holder, waited: patience.as_secs() });
                    }
                    if !told {
                        on_wait(&holder);
                        told = true;
                    }
                    std::thread::sleep(POLL);
                }
            }
        }
        let text = format!("{purpose} (process {})\n", std::process::id());
        let write = |file: &mut File| {
            file.set_len(0)?;
            file.seek(SeekFrom::Start(0))?;
            file.write_all(text.as_bytes())
        };
        write(&mut file).map_err(failed("write"))?;
        Ok(Self(file))
    }
}

impl Drop for WriterLock {
    fn drop(&mut self) {
        // The lock goes with the file in any case; an error here changes nothing.
        let _ = self.0.set_len(0);
        let _ = self.0.unlock();
    }
}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    let read = file.seek(SeekFrom::Start(0)).and_then(|_| file.read_to_string(&mut text));
    let text = text.trim();
    if read.is_err() || text.is_empty() { "another process".to_owned() } else { text.to_owned() }
}

fn beside(catalog: &Path, ending: &str) -> PathBuf {
    let mut name = catalog.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn who_waits_is_told_for_whom_and_gives_up() {
        let folder = tempfile::tempdir().expect("a folder");
        let catalog = folder.path().join("c.db");
        let (first, other) = (Writers::default(), Writers::default());
        let held = first.lock(&catalog, "sync of prod", PATIENCE, &|_| {}).expect("free");
        assert!(held.1);
        let told = RefCell::new(Vec::new());
        let tell = |holder: &str| told.borrow_mut().push(holder.to_owned());
        let error = other.lock(&catalog, "approve", Duration::ZERO, &tell).expect_err("held");
        assert!(error.to_string().contains("sync of prod (process "), "{error}");
        assert!(!first.lock(&catalog, "sync of dev", Duration::ZERO, &tell).expect("shared").1);
        drop(held);
        assert!(other.lock(&catalog, "approve", Duration::ZERO, &tell).expect("free again").1);
    }

    #[test]
    fn a_second_daemon_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let catalog = folder.path().join("c.db");
        let first = DaemonLock::take(&catalog).expect("free");
        let error = DaemonLock::take(&catalog).expect_err("held");
        assert!(error.to_string().contains("lineaged serve (process "), "{error}");
        drop(first);
        DaemonLock::take(&catalog).expect("free again");
    }
}
