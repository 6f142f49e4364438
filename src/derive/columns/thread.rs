//! The one thread on which SQL is parsed, resolved and dropped. Its stack is large, since code is a tree as deep as its author likes: on
//! a normal one a long chain of `or` overflows even when it is dropped, which ends the process.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::resolver::{Dialect, Failure, Relation, Resolved, Status, resolve};

/// Memory is taken as it is used: next to none for nearly all code.
const STACK: usize = 256 << 20;

/// What is to be resolved.
pub(super) struct Job {
    pub(super) code: String,
    pub(super) dialect: Dialect,
    pub(super) relations: Vec<Relation>,
}

type Outcome = Result<Resolved, Failure>;

/// Hands jobs to the thread.
pub(super) struct Thread {
    jobs: SyncSender<Job>,
    outcomes: Receiver<Outcome>,
}

impl Thread {
    /// Resolves one job after the other.
    pub(super) fn resolve(&self, job: Job) -> Outcome {
        let gone =
            || Failure { status: Status::Unparsed, reason: "the thread that resolves columns has ended".to_owned() };
        self.jobs.send(job).map_err(|_| gone())?;
        self.outcomes.recv().unwrap_or_else(|_| Err(gone()))
    }
}

/// Runs `work` with such a thread, which ends with it.
///
/// # Errors
/// If there can be no such thread.
pub(super) fn with_thread<T>(work: impl FnOnce(&Thread) -> T) -> std::io::Result<T> {
    std::thread::scope(|scope| {
        let (jobs, todo) = sync_channel::<Job>(1);
        let (done, outcomes) = sync_channel(1);
        let builder = std::thread::Builder::new().name("columns".to_owned()).stack_size(STACK);
        builder.spawn_scoped(scope, move || {
            for job in todo {
                if done.send(resolve_safely(&job)).is_err() {
                    break;
                }
            }
        })?;
        Ok(work(&Thread { jobs, outcomes }))
    })
}

/// A parser that panics is a parser that did not understand.
fn resolve_safely(job: &Job) -> Outcome {
    let resolved = catch_unwind(AssertUnwindSafe(|| resolve(&job.code, job.dialect, &job.relations)));
    let failed = |_| Err(Failure { status: Status::Unparsed, reason: "the parser failed on it".to_owned() });
    resolved.unwrap_or_else(failed)
}
