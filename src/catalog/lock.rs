//! One writing process at a time: a lock file beside the catalog, wherever links lead to it. The operating system lets go of it when
//! its holder ends, however it ends. Within the process that holds it, SQLite itself lets one transaction in after the other.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::Error;
use super::file::{beside, canonical};

/// How long a writer waits for another one.
pub const PATIENCE: Duration = Duration::from_secs(60);

const POLL: Duration = Duration::from_millis(50);

/// The right of this process to write one catalog, shared by all syncs that it runs at the same time. It is taken by the first
/// of them and given back after the last. It is also how they are told to end.
#[derive(Debug, Clone, Default)]
pub struct Writers(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    lock: Mutex<Weak<WriterLock>>,
    opening: Mutex<()>,
    waits_no_more: AtomicBool,
    is_interrupted: AtomicBool,
}

impl Writers {
    /// From now on nobody waits for another process.
    pub fn stop_waiting(&self) {
        self.0.waits_no_more.store(true, Ordering::Relaxed);
    }

    /// From now on what is being read, checked or written is given up: nothing of it is committed.
    pub fn interrupt(&self) {
        self.0.is_interrupted.store(true, Ordering::Relaxed);
    }

    /// Held while a catalog is opened: whoever takes it over closes what others left open, so none of its own may have begun by then.
    pub(super) fn opening(&self) -> MutexGuard<'_, ()> {
        self.0.opening.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_interrupted(&self) -> bool {
        self.0.is_interrupted.load(Ordering::Relaxed)
    }

    /// The lock beside the catalog at this canonical path, and whether it was taken now: then no other sync of the catalog runs
    /// anywhere.
    pub(super) fn lock(
        &self,
        catalog: &Path,
        purpose: &str,
        patience: Duration,
        on_wait: &dyn Fn(&str),
    ) -> Result<(Arc<WriterLock>, bool), Error> {
        let mut current = self.0.lock.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lock) = current.upgrade() {
            return Ok((lock, false));
        }
        let stopped = || self.0.waits_no_more.load(Ordering::Relaxed);
        let wait = Wait { patience, on_wait, stopped: &stopped };
        let lock = Arc::new(WriterLock::take(&beside(catalog, ".lock"), purpose, &wait)?);
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
    /// If another daemon serves this catalog, or if there can't be a catalog at that path.
    pub fn take(catalog: &Path) -> Result<Self, Error> {
        let catalog = canonical(catalog)?;
        super::file::is_there(&catalog)?;
        let wait = Wait { patience: Duration::ZERO, on_wait: &|_| (), stopped: &|| false };
        WriterLock::take(&beside(&catalog, ".serve.lock"), "lineaged serve", &wait).map(Self)
    }
}

/// How another process is waited for.
struct Wait<'a> {
    patience: Duration,
    /// Is told once who that is.
    on_wait: &'a dyn Fn(&str),
    /// Ends the wait.
    stopped: &'a dyn Fn() -> bool,
}

/// A lock file that this process holds, until it is dropped. As long as it is held its holder's name stands in it; a name that is
/// found there was left by a process that was killed.
#[derive(Debug)]
pub(super) struct WriterLock {
    file: File,
    was_left: bool,
    is_kept: AtomicBool,
}

impl WriterLock {
    /// Takes the lock for `purpose` (e.g. `sync of prod`), waiting while another process holds it.
    fn take(path: &Path, purpose: &str, wait: &Wait<'_>) -> Result<Self, Error> {
        let failed = |what| move |source| Error::File { what, path: path.to_owned(), source };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path).map_err(failed("open"))?;
        let began = Instant::now();
        let mut told = false;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::Error(source)) => return Err(failed("lock")(source)),
                Err(TryLockError::WouldBlock) if (wait.stopped)() => return Err(Error::Interrupted),
                Err(TryLockError::WouldBlock) => {
                    let holder = holder(&mut file);
                    if began.elapsed() >= wait.patience {
                        let waited = wait.patience.as_secs();
                        return Err(Error::Busy { path: path.to_owned(), holder, waited });
                    }
                    if !told {
                        (wait.on_wait)(&holder);
                        told = true;
                    }
                    std::thread::sleep(POLL);
                }
            }
        }
        let was_left = file.metadata().map_err(failed("read"))?.len() > 0;
        let text = format!("{purpose} (process {})\n", std::process::id());
        let write = |file: &mut File| {
            file.set_len(0)?;
            file.seek(SeekFrom::Start(0))?;
            file.write_all(text.as_bytes())
        };
        write(&mut file).map_err(failed("write"))?;
        Ok(Self { file, was_left, is_kept: AtomicBool::new(false) })
    }

    /// Whether its last holder was killed, or found the catalog damaged.
    pub(super) fn was_left(&self) -> bool {
        self.was_left
    }

    /// Leaves the name in the file, so that whoever takes it next looks at the catalog as well.
    pub(super) fn keep_name(&self) {
        self.is_kept.store(true, Ordering::Relaxed);
    }
}

impl Drop for WriterLock {
    fn drop(&mut self) {
        // The lock goes with the file in any case; an error here changes nothing.
        if !self.is_kept.load(Ordering::Relaxed) {
            let _ = self.file.set_len(0);
        }
        let _ = self.file.unlock();
    }
}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    let read = file.seek(SeekFrom::Start(0)).and_then(|_| file.read_to_string(&mut text));
    let text = text.trim();
    if read.is_err() || text.is_empty() { "another process".to_owned() } else { text.to_owned() }
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

    #[test]
    fn a_wait_ends_when_it_is_told_to() {
        let folder = tempfile::tempdir().expect("a folder");
        let catalog = folder.path().join("c.db");
        let (first, other) = (Writers::default(), Writers::default());
        let _held = first.lock(&catalog, "sync of prod", PATIENCE, &|_| {}).expect("free");
        let error = other.lock(&catalog, "approve", PATIENCE, &|_| other.stop_waiting()).expect_err("told to end");
        assert!(matches!(error, Error::Interrupted), "{error}");
    }

    #[test]
    fn a_name_that_is_left_in_the_lock_tells_of_a_kill() {
        let folder = tempfile::tempdir().expect("a folder");
        let catalog = folder.path().join("c.db");
        let lock = |writers: &Writers| writers.lock(&catalog, "test", PATIENCE, &|_| {}).expect("free").0;
        assert!(!lock(&Writers::default()).was_left());
        std::fs::write(beside(&catalog, ".lock"), "sync of prod (process 1)").expect("written");
        let left = lock(&Writers::default());
        assert!(left.was_left());
        left.keep_name();
        drop(left);
        assert!(lock(&Writers::default()).was_left(), "nobody has looked yet");
        assert!(!lock(&Writers::default()).was_left());
    }
}
