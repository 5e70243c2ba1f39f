//! What a command prints, where readers may leave early and somebody waits for the exit code.

use std::fmt::Display;
use std::fs;
use std::io::{self, StdoutLock, Write as _};
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use crate::files;

/// What a page begins with.
const PAGE: &[u8] = b"<!DOCTYPE html>";

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

/// Writes a page, in the place of an older page but of nothing else.
///
/// # Errors
/// When it cannot be written, or `file` is there and is no page.
pub(super) fn page(file: &Path, html: &str) -> Result<()> {
    let shown = file.display();
    if file.is_file() {
        let there = fs::read(file).with_context(|| format!("cannot read {shown}"))?;
        if !there.is_empty() && !there.starts_with(PAGE) {
            bail!("{shown} is there and is no page; choose another name");
        }
    }
    files::replace(file, html.as_bytes()).with_context(|| format!("cannot write {shown}"))
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

    #[test]
    fn a_page_takes_the_place_of_a_page_and_of_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("x.html");
        let is = |text: &str| assert_eq!(fs::read_to_string(&file).unwrap(), text);
        for html in ["<!DOCTYPE html>1", "<!DOCTYPE html>2"] {
            page(&file, html).unwrap();
            is(html);
        }
        fs::write(&file, "{\"id\": 1}\n").unwrap();
        let error = page(&file, "<!DOCTYPE html>3").unwrap_err().to_string();
        assert!(error.ends_with("is no page; choose another name"), "{error}");
        is("{\"id\": 1}\n");
    }

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
