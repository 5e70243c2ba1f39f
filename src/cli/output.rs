//! What a command prints, where readers may leave early and somebody waits for the exit code.

use std::fmt::Display;
use std::io::{self, StdoutLock, Write as _};

use anyhow::Result;

/// Prints to standard output. A reader that leaves early (`triaged … | head`) holds nothing up: files
/// are written and gates count all the same.
///
/// # Errors
/// When it cannot be written for another reason.
pub(super) fn print(write: impl FnOnce(&mut StdoutLock<'static>) -> Result<()>) -> Result<()> {
    let mut out = io::stdout().lock();
    unless_closed(write(&mut out).and_then(|()| Ok(out.flush()?)))
}

/// What came of printing; that the reader has left is no failure.
///
/// # Errors
/// Any other error.
pub(super) fn unless_closed(printed: Result<()>) -> Result<()> {
    match printed {
        Err(error) if is_broken_pipe(&error) => Ok(()),
        other => other,
    }
}

/// Says a line on standard error. Where nobody reads it, `eprintln!` would end the process.
pub(super) fn note(line: impl Display) {
    let _ = writeln!(io::stderr(), "{line}");
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let io = cause.downcast_ref::<io::Error>().map(io::Error::kind);
        let json =
            cause.downcast_ref::<serde_json::Error>().and_then(serde_json::Error::io_error_kind);
        io.or(json) == Some(io::ErrorKind::BrokenPipe)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pipe whose reader has left.
    struct Left;

    impl io::Write for Left {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn only_a_reader_that_has_left_is_no_failure() {
        let failed = |kind: io::ErrorKind| -> Result<()> { Err(io::Error::from(kind).into()) };
        assert!(unless_closed(Ok(())).is_ok());
        assert!(unless_closed(failed(io::ErrorKind::BrokenPipe)).is_ok());
        assert!(unless_closed(serde_json::to_writer(Left, &1).map_err(Into::into)).is_ok());
        assert!(unless_closed(failed(io::ErrorKind::StorageFull)).is_err());
        assert!(unless_closed(Err(anyhow::anyhow!("below the floor"))).is_err());
        assert!(print(|_| failed(io::ErrorKind::BrokenPipe)).is_ok());
    }
}
