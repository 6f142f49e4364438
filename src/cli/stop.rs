//! SIGTERM and Control-C: what is read is dropped at once, what is being written may take a while, and then the process is gone,
//! whatever it is doing.

use std::time::Duration;

use super::Exit;
use crate::catalog::Writers;
use crate::sync::Stop;

/// So long a write or a check may go on; then it is rolled back.
const WRITE: Duration = Duration::from_secs(8);

/// So long that may take; then the process ends. What was not committed by then never was.
const ROLL_BACK: Duration = Duration::from_millis(1500);

/// A stop that a signal pulls. A process that is still there some time after that ends with `exit`.
pub(super) fn on_signal(writers: &Writers, exit: Exit) -> Stop {
    let (pull, stop) = Stop::new();
    let writers = writers.clone();
    tokio::spawn(async move {
        if told_to_end().await.is_ok() {
            // In this order: who stops waiting knows why.
            let _ = pull.send(true);
            writers.stop_waiting();
            // A thread of its own, since all others may be busy or asleep.
            let _ = std::thread::Builder::new().spawn(move || see_to_the_end(&writers, exit));
        }
        pull.closed().await;
    });
    stop
}

fn see_to_the_end(writers: &Writers, exit: Exit) {
    std::thread::sleep(WRITE);
    writers.interrupt();
    std::thread::sleep(ROLL_BACK);
    tracing::warn!("what is still under way is dropped; the catalog is as of the last commit");
    std::process::exit(exit as i32);
}

/// Waits for either signal.
#[cfg(unix)]
pub(super) async fn told_to_end() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// Waits for Control-C.
#[cfg(not(unix))]
pub(super) async fn told_to_end() -> std::io::Result<()> {
    tokio::signal::ctrl_c().await
}
