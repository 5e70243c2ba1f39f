//! Parquet: flat columns of text, numbers, booleans, dates and times. Nested columns are not read.

use std::borrow::Cow;
use std::fs::File;
use std::io::{Error, Seek};
use std::path::Path;

use ::parquet::basic::{ConvertedType, LogicalType, TimeUnit};
use ::parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use ::parquet::data_type::DataType;
use ::parquet::errors::ParquetError;
use ::parquet::file::reader::{FileReader, RowGroupReader, SerializedFileReader};
use ::parquet::schema::types::{ColumnDescriptor, SchemaDescriptor};
use jiff::Timestamp;
use jiff::civil::date;
use serde::Serialize;
use sha2::Sha256;

use super::{Hashing, Reading};
use crate::train::TrainError;

/// Rows that are read before they are taken in.
const BLOCK: usize = 1_000;

pub(super) fn read(
    file: File,
    sum: &mut Sha256,
    path: &Path,
    reading: &mut Reading<'_>,
) -> Result<(), TrainError> {
    let fail = |source| TrainError::Read { path: path.to_owned(), source };
    let damaged = |e: ParquetError| fail(Error::other(e));
    let mut source = Hashing { inner: file, sum };
    std::io::copy(&mut source, &mut std::io::sink()).map_err(fail)?;
    source.inner.rewind().map_err(fail)?;
    let reader = SerializedFileReader::new(source.inner).map_err(damaged)?;
    let schema = reader.metadata().file_metadata().schema_descr();
    let names = schema.columns().iter().map(|column| is_flat(column).then(|| column.name()));
    let places = reading.places(&names.collect::<Vec<_>>())?;
    for group in 0..reader.num_row_groups() {
        let group = reader.get_row_group(group).map_err(damaged)?;
        rows(&*group, schema, &places, reading).map_err(damaged)?;
    }
    Ok(())
}

/// Whether each row has one value, or none.
fn is_flat(column: &ColumnDescriptor) -> bool {
    column.path().parts().len() == 1 && column.max_rep_level() == 0
}

/// All rows of a group, block by block.
fn rows(
    group: &dyn RowGroupReader,
    schema: &SchemaDescriptor,
    places: &[Option<usize>],
    reading: &mut Reading<'_>,
) -> Result<(), ParquetError> {
    let open = |place: &Option<usize>| place.map(|i| group.get_column_reader(i)).transpose();
    let mut readers: Vec<Option<ColumnReader>> =
        places.iter().map(open).collect::<Result<_, _>>()?;
    let all = usize::try_from(group.metadata().num_rows()).unwrap_or(0);
    for first in (0..all).step_by(BLOCK) {
        let count = BLOCK.min(all - first);
        let mut columns: Vec<Option<Vec<Option<String>>>> = Vec::with_capacity(places.len());
        for (reader, place) in readers.iter_mut().zip(places) {
            let texts = match (reader, place) {
                (Some(reader), Some(place)) => Some(texts(reader, &schema.column(*place), count)?),
                _ => None,
            };
            columns.push(texts);
        }
        let rows: Vec<usize> = (0..count).collect();
        reading.take(&rows, |row| {
            let cells = columns.iter().map(|texts| texts.as_ref()?.get(*row)?.as_deref());
            Ok(cells.map(|cell| cell.map(Cow::Borrowed)).collect())
        });
    }
    Ok(())
}

/// The next `count` values of a column as text.
fn texts(
    reader: &mut ColumnReader,
    column: &ColumnDescriptor,
    count: usize,
) -> Result<Vec<Option<String>>, ParquetError> {
    use ColumnReader as Of;
    let top = column.max_def_level();
    let decimal = (column.converted_type() == ConvertedType::DECIMAL).then(|| column.type_scale());
    let bytes = |bytes: &[u8]| match decimal {
        Some(scale) => self::decimal(big_endian(bytes)?, scale),
        None => std::str::from_utf8(bytes).ok().map(str::to_owned),
    };
    match reader {
        Of::BoolColumnReader(r) => next(r, top, count, |v| json(&v)),
        Of::Int32ColumnReader(r) => next(r, top, count, |v| int32(v, column)),
        Of::Int64ColumnReader(r) => next(r, top, count, |v| int64(v, column)),
        Of::Int96ColumnReader(r) => next(r, top, count, |v| moment(v.to_nanos(), 1_000_000_000)),
        Of::FloatColumnReader(r) => next(r, top, count, |v| v.is_finite().then(|| json(&v))?),
        Of::DoubleColumnReader(r) => next(r, top, count, |v| v.is_finite().then(|| json(&v))?),
        Of::ByteArrayColumnReader(r) => next(r, top, count, |v| bytes(v.data())),
        Of::FixedLenByteArrayColumnReader(r) => next(r, top, count, |v| bytes(v.data())),
    }
}

/// The next `count` values; those that are there have the definition level `top`.
fn next<T: DataType>(
    reader: &mut ColumnReaderImpl<T>,
    top: i16,
    count: usize,
    text: impl Fn(T::T) -> Option<String>,
) -> Result<Vec<Option<String>>, ParquetError> {
    let (mut levels, mut values) = (Vec::new(), Vec::new());
    let (read, ..) = reader.read_records(count, Some(&mut levels), None, &mut values)?;
    if read < count {
        return Err(ParquetError::EOF(format!("{read} values where {count} were expected")));
    }
    let mut values = values.into_iter();
    if top == 0 {
        return Ok(values.map(text).collect());
    }
    Ok(levels.iter().map(|level| if *level == top { text(values.next()?) } else { None }).collect())
}

/// As JSON writes it.
fn json(value: &impl Serialize) -> Option<String> {
    serde_json::to_string(value).ok()
}

fn int32(value: i32, column: &ColumnDescriptor) -> Option<String> {
    match column.converted_type() {
        ConvertedType::DATE => {
            let days = jiff::Span::new().try_days(value).ok()?;
            Some(date(1970, 1, 1).checked_add(days).ok()?.to_string())
        }
        ConvertedType::DECIMAL => decimal(value.into(), column.type_scale()),
        ConvertedType::UINT_32 => Some(value.cast_unsigned().to_string()),
        _ => Some(value.to_string()),
    }
}

fn int64(value: i64, column: &ColumnDescriptor) -> Option<String> {
    let unit = match (column.logical_type_ref(), column.converted_type()) {
        (Some(LogicalType::Timestamp(time)), _) => Some(time.unit),
        (_, ConvertedType::TIMESTAMP_MILLIS) => Some(TimeUnit::MILLIS),
        (_, ConvertedType::TIMESTAMP_MICROS) => Some(TimeUnit::MICROS),
        _ => None,
    };
    match (unit, column.converted_type()) {
        (Some(TimeUnit::MILLIS), _) => moment(value, 1_000),
        (Some(TimeUnit::MICROS), _) => moment(value, 1_000_000),
        (Some(TimeUnit::NANOS), _) => moment(value, 1_000_000_000),
        (None, ConvertedType::DECIMAL) => decimal(value.into(), column.type_scale()),
        (None, ConvertedType::UINT_64) => Some(value.cast_unsigned().to_string()),
        (None, _) => Some(value.to_string()),
    }
}

/// A number of parts of a second since 1970, as RFC 3339.
fn moment(value: i64, per_second: i64) -> Option<String> {
    let nanoseconds = i128::from(value) * i128::from(1_000_000_000 / per_second);
    Timestamp::from_nanosecond(nanoseconds).ok().map(|moment| moment.to_string())
}

/// A number with `scale` digits after the point.
fn decimal(value: i128, scale: i32) -> Option<String> {
    let places = usize::try_from(scale).ok()?;
    let digits = format!("{:0>width$}", value.unsigned_abs(), width = places + 1);
    let (whole, part) = digits.split_at_checked(digits.len() - places)?;
    let sign = if value < 0 { "-" } else { "" };
    Some(if places == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{part}") })
}

/// A signed number, if it is not too long.
fn big_endian(bytes: &[u8]) -> Option<i128> {
    let negative = bytes.first().is_some_and(|byte| *byte >= 0x80);
    let mut all = [if negative { 0xff } else { 0 }; 16];
    all[16usize.checked_sub(bytes.len())?..].copy_from_slice(bytes);
    Some(i128::from_be_bytes(all))
}

#[cfg(test)]
mod tests;
