//! CSV with a line of headers.

use std::borrow::Cow;
use std::io::Read;
use std::path::Path;

use ::csv::{Error, ReaderBuilder, StringRecord};

use super::Reading;
use crate::train::TrainError;

/// Records that are read before they are taken in.
const BLOCK: usize = 1_000;

pub(super) fn read(
    source: impl Read,
    path: &Path,
    reading: &mut Reading<'_>,
) -> Result<(), TrainError> {
    let fail = |e: Error| TrainError::Csv { path: path.to_owned(), source: e };
    let mut reader = ReaderBuilder::new().buffer_capacity(1 << 16).from_reader(source);
    let headers = reader.headers().map_err(fail)?.clone();
    let place = |column: &str| {
        headers.iter().position(|h| h.trim_start_matches('\u{feff}').trim() == column)
    };
    let missing = |column: &str| TrainError::no_column(path, column);
    let places = reading.places(place).map_err(missing)?;
    let mut records = reader.into_records();
    loop {
        let mut block: Vec<Option<StringRecord>> = Vec::with_capacity(BLOCK);
        for record in records.by_ref().take(BLOCK) {
            match record {
                Err(e) if e.is_io_error() => return Err(fail(e)),
                record => block.push(record.ok()),
            }
        }
        if block.is_empty() {
            return Ok(());
        }
        reading.take(&block, |record| {
            let record = record.as_ref()?;
            Some(places.iter().map(|place| record.get((*place)?).map(Cow::Borrowed)).collect())
        });
    }
}
