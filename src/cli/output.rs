//! What a command prints, where readers may leave early and somebody waits for the exit code.

use std::fmt::Display;
use std::fs;
use std::io::{self, StdoutLock, Write};
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use serde::Serialize;

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

/// Prints `value` as JSON, or what `text` prints.
///
/// # Errors
/// As [`print()`].
pub(super) fn json_or(
    json: bool,
    value: &impl Serialize,
    text: impl FnOnce(&mut StdoutLock<'static>) -> io::Result<()>,
) -> Result<()> {
    print(|out| if json { self::json(out, value) } else { Ok(text(out)?) })
}

/// Writes `value` as JSON, to the end of a line.
///
/// # Errors
/// When it cannot be written.
pub(super) fn json(out: &mut impl Write, value: &impl Serialize) -> Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    Ok(writeln!(out)?)
}

/// Writes a page, in the place of an older page but of nothing else.
///
/// # Errors
/// When it cannot be written, or `file` is there and is no page.
pub(super) fn page(file: &Path, html: &str) -> Result<()> {
    let is_page = |there: &[u8]| there.is_empty() || there.starts_with(PAGE);
    replace(file, html, |there| there.is_none_or(is_page), "is no page")
}

/// Writes a file, but not over one that is not `ours` by what it holds, which is nothing to look at
/// where it is a pipe or a terminal; `otherwise` says what is wrong with such a one.
///
/// # Errors
/// When it cannot be written, or is there and is not ours.
pub(super) fn replace(
    file: &Path,
    content: &str,
    ours: impl FnOnce(Option<&[u8]>) -> bool,
    otherwise: &str,
) -> Result<()> {
    let shown = file.display();
    let look = |there: fs::Metadata| there.is_file().then(|| fs::read(file)).transpose();
    match fs::metadata(file).and_then(look) {
        Ok(there) if !ours(there.as_deref()) => {
            bail!("{shown} is there and {otherwise}; choose another name")
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("cannot read {shown}")),
    }
    files::replace(file, content.as_bytes()).with_context(|| format!("cannot write {shown}"))
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
