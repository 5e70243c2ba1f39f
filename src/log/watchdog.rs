//! A last resort against calls that may never return, such as closing a client library.

use std::sync::mpsc;
use std::time::Duration;

/// Does `work` on this thread. If it takes longer than `limit`, the process exits with
/// `exit_code`: a supervisor starts it again, while a thread that hangs in foreign code cannot be
/// ended in any other way. Only for work after which nothing is left to lose.
pub fn within<T>(
    limit: Duration,
    what: &'static str,
    exit_code: i32,
    work: impl FnOnce() -> T,
) -> T {
    let (done, wait) = mpsc::channel::<()>();
    let guard = std::thread::Builder::new().name("watchdog".into()).spawn(move || {
        if wait.recv_timeout(limit) == Err(mpsc::RecvTimeoutError::Timeout) {
            tracing::error!(
                seconds = limit.as_secs(),
                "{what} did not return; everything committed is safe, the process ends now"
            );
            std::process::exit(exit_code);
        }
    });
    let result = work();
    drop(done);
    if let Ok(guard) = guard {
        let _ = guard.join();
    }
    result
}
