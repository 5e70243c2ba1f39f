//! CSV with a line of headers. Cells are parted by commas or, where the header has none, by
//! semicolons or tabs. A line `sep=;` above it, as Excel reads and writes, says what parts them.

use std::borrow::Cow;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use ::csv::{Error, ErrorKind, ReaderBuilder, StringRecord};

use super::remarks::{Place, no_text, not_utf8};
use super::{Reading, Rejection, Unread};
use crate::train::TrainError;

/// Records that are read before they are taken in.
const BLOCK: usize = 1_000;
/// Of a record with more lines one of the quotes is probably not closed.
const LONG: u64 = 200;

pub(super) fn read(
    source: impl Read,
    path: &Path,
    reading: &mut Reading<'_>,
) -> Result<(), TrainError> {
    let fail = |e: Error| TrainError::Csv { path: path.to_owned(), source: e };
    let refuse = |source| TrainError::Read { path: path.to_owned(), source };
    let mut source = BufReader::with_capacity(1 << 16, source);
    let start = source.fill_buf().map_err(refuse)?;
    if let Some(why) = no_text(start) {
        return Err(refuse(why));
    }
    let (skipped, delimiter) = separator(start).unwrap_or_else(|| (0, delimiter(start)));
    let above = u64::from(skipped > 0);
    let start = &start[skipped..];
    // The reader counts a line at its line feed: of CR LF, when the next record has begun.
    let feed = start.iter().position(|byte| *byte == b'\n');
    let late = above + u64::from(feed.is_some_and(|at| start[..at].ends_with(b"\r")));
    source.consume(skipped);
    let mut reader =
        ReaderBuilder::new().delimiter(delimiter).buffer_capacity(1 << 16).from_reader(source);
    let headers = match reader.headers() {
        Ok(headers) => headers.clone(),
        Err(e) if is_encoding(&e) => return Err(refuse(not_utf8(1 + above))),
        Err(e) => return Err(fail(e)),
    };
    let names = headers.iter().map(|h| Some(h.trim_start_matches('\u{feff}').trim()));
    let places = reading.places(&names.collect::<Vec<_>>())?;
    let mut records = reader.into_records();
    loop {
        let mut block: Vec<Result<StringRecord, Unread>> = Vec::with_capacity(BLOCK);
        while block.len() < BLOCK {
            let line = records.reader().position().line();
            let Some(record) = records.next() else { break };
            let lines = records.reader().position().line() - line;
            if lines > LONG {
                reading.data.long.push((Place::new(path, line + late), lines));
            }
            block.push(match record {
                Err(e) if e.is_io_error() => return Err(fail(e)),
                Err(e) if is_encoding(&e) => Err((line + late, Rejection::NotUtf8)),
                Err(_) => Err((line + late, Rejection::Unreadable)),
                Ok(record) => Ok(record),
            });
        }
        if block.is_empty() {
            return Ok(());
        }
        reading.take(&block, |record| {
            let record = record.as_ref().map_err(Clone::clone)?;
            Ok(places.iter().map(|place| record.get((*place)?).map(Cow::Borrowed)).collect())
        });
    }
}

fn is_encoding(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Utf8 { .. })
}

/// Of a file that begins with a line `sep=;`: the length of that line, and the separator.
fn separator(start: &[u8]) -> Option<(usize, u8)> {
    let line = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start);
    let [s, e, p, b'=', separator, rest @ ..] = line else { return None };
    let rest = [&b"\r\n"[..], b"\n", b"\r"].iter().find_map(|end| rest.strip_prefix(*end))?;
    let is_one = separator.is_ascii_punctuation() || *separator == b'\t';
    let says = [*s, *e, *p].eq_ignore_ascii_case(b"sep") && is_one && *separator != b'"';
    says.then_some((start.len() - rest.len(), *separator))
}

/// What parts the cells of a file that begins so: a comma, unless that makes the header one cell
/// and a semicolon or a tab does not.
fn delimiter(start: &[u8]) -> u8 {
    let cells = |delimiter: &u8| {
        let mut builder = ReaderBuilder::new();
        let mut reader = builder.delimiter(*delimiter).has_headers(false).from_reader(start);
        let header = reader.byte_records().next().and_then(Result::ok);
        header.map_or(0, |header| header.len())
    };
    let comma = b',';
    if cells(&comma) > 1 {
        return comma;
    }
    // Of equals the last.
    [b'\t', b';', comma].into_iter().max_by_key(cells).unwrap_or(comma)
}
