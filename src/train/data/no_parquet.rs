//! In place of the Parquet reader, where it was not built in.

use std::fs::File;
use std::io::{Error, ErrorKind};
use std::path::Path;

use sha2::Sha256;

use super::Reading;
use crate::train::TrainError;

pub(super) fn read(
    _: File,
    _: &mut Sha256,
    path: &Path,
    _: &mut Reading<'_>,
) -> Result<(), TrainError> {
    let why = "this triaged was built without the feature `parquet`; build it with \
               `cargo install --path . --locked --features parquet`, or bring CSV or JSON lines";
    let source = Error::new(ErrorKind::Unsupported, why);
    Err(TrainError::Read { path: path.to_owned(), source })
}
