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

#[cfg(test)]
mod tests {
    use std::process::{Command, Output};
    use std::time::Instant;

    use super::*;

    /// How long the work of the child takes, in milliseconds.
    const WORK: &str = "TRIAGED_TEST_WATCHDOG_WORK_MS";
    const LIMIT: Duration = Duration::from_secs(1);
    /// Ended by the watchdog, or by itself after the work.
    const ENDED: i32 = 41;
    const LIVED: i32 = 42;

    /// Not a test: the process that the tests start, which the watchdog may end.
    #[test]
    #[ignore = "the child process of other tests"]
    fn child() {
        let Ok(work) = std::env::var(WORK) else { return };
        let work = Duration::from_millis(work.parse().unwrap());
        tracing_subscriber::fmt().with_writer(std::io::stderr).init();
        let result = within(LIMIT, "the work", ENDED, || {
            std::thread::sleep(work);
            7
        });
        assert_eq!(result, 7);
        // A watchdog that was left behind would bite now.
        std::thread::sleep(LIMIT + LIMIT / 2);
        std::process::exit(LIVED);
    }

    fn child_whose_work_takes(work: Duration) -> Output {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "log::watchdog::tests::child", "--ignored", "--nocapture"]);
        command.env(WORK, work.as_millis().to_string()).output().unwrap()
    }

    #[test]
    fn work_that_hangs_ends_the_process_with_the_given_code_and_says_what_hung() {
        let start = Instant::now();
        // No longer, so that the child of a test that fails goes away.
        let hangs = Duration::from_secs(60);
        let output = child_whose_work_takes(hangs);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(ENDED), "{said}");
        let took = start.elapsed();
        assert!(took >= LIMIT && took < hangs, "it took {took:?}");
        assert!(said.contains("the work did not return"), "{said}");
    }

    #[test]
    fn work_that_returns_in_time_lets_the_process_live() {
        let output = child_whose_work_takes(Duration::ZERO);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(LIVED), "{said}");
        assert!(!said.contains("did not return"), "{said}");
    }
}
