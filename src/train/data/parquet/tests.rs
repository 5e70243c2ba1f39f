use std::path::Path;
use std::sync::Arc;

use ::parquet::basic::{Compression, ZstdLevel};
use ::parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, Int32Type, Int64Type};
use ::parquet::file::properties::WriterProperties;
use ::parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use ::parquet::schema::parser::parse_message_type;

use super::*;
use crate::train::data::{self, Data, Rejection};
use crate::train::recipe::Recipe;

const SCHEMA: &str = "message tickets {
    required int64 id;
    optional binary subject (UTF8);
    required binary body;
    required binary team (ENUM);
    required int32 level (INTEGER(8, true));
    required boolean vip;
    optional double urgency;
    required int64 created_at (TIMESTAMP(MICROS, false));
    required group tags (LIST) { repeated group list { required binary element (UTF8); } }
}";

/// The same five rows twice, a group each.
const ROWS: usize = 5;

fn write(path: &Path, compression: Compression) -> Result<(), ParquetError> {
    let schema = Arc::new(parse_message_type(SCHEMA)?);
    let properties = Arc::new(WriterProperties::builder().set_compression(compression).build());
    let mut writer = SerializedFileWriter::new(File::create(path)?, schema, properties)?;
    for _ in 0..2 {
        let mut group = writer.next_row_group()?;
        let texts = |texts: &[&str]| texts.iter().map(|t| ByteArray::from(*t)).collect::<Vec<_>>();
        let some = [1, 0, 1, 1, 1];
        column::<Int64Type>(&mut group, &[7, 8, 9, 10, 11], None, None)?;
        let subjects = texts(&["VPN", "VPN", "메일", "VPN"]);
        column::<ByteArrayType>(&mut group, &subjects, Some(&some), None)?;
        let bodies = texts(&["mail kim@example.com", "slow", "오류", " ", "it rings"]);
        column::<ByteArrayType>(&mut group, &bodies, None, None)?;
        let teams = texts(&["Net", "Net", "Mail", "Net", "Phone"]);
        column::<ByteArrayType>(&mut group, &teams, None, None)?;
        column::<Int32Type>(&mut group, &[1, 2, 1, 1, -1], None, None)?;
        column::<BoolType>(&mut group, &[true, false, false, true, true], None, None)?;
        column::<DoubleType>(&mut group, &[1.0, 2.5, f64::NAN, 1e21], Some(&some), None)?;
        let moments = [1_772_583_125_000_000; ROWS];
        column::<Int64Type>(&mut group, &moments, None, None)?;
        let tags = texts(&["a", "b", "c", "d", "e"]);
        column::<ByteArrayType>(&mut group, &tags, Some(&[1; ROWS]), Some(&[0; ROWS]))?;
        group.close()?;
    }
    writer.close()?;
    Ok(())
}

fn column<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, File>,
    values: &[T::T],
    levels: Option<&[i16]>,
    repetitions: Option<&[i16]>,
) -> Result<(), ParquetError> {
    let mut column = group.next_column()?.expect("a column");
    column.typed::<T>().write_batch(values, levels, repetitions)?;
    column.close()
}

const RECIPE: &str = "[columns]\ncategory = [\"team\", \"level\"]\nimpact = \"vip\"
    [[fields]]\nname = \"vip\"\nfrom = \"/requester/vip\"
    [[fields]]\nname = \"urgency\"\nfrom = \"/custom/4\"\ncolumn = \"urgency\"";

fn read(path: &Path, recipe: &str) -> Result<Data, TrainError> {
    data::read(&[path.to_owned()], &Recipe::parse(recipe).unwrap(), &mut |_| {})
}

#[test]
fn parquet_and_csv_give_the_same_examples() {
    let dir = tempfile::tempdir().unwrap();
    let csv = dir.path().join("x.csv");
    let rows = "7,VPN,mail kim@example.com,Net,1,true,1.0,2026-03-04T00:12:05Z\n\
                8,,slow,Net,2,false,,2026-03-04T00:12:05Z\n\
                9,VPN,오류,Mail,1,false,2.5,2026-03-04T00:12:05Z\n\
                10,메일, ,Net,1,true,,2026-03-04T00:12:05Z\n\
                11,VPN,it rings,Phone,-1,true,1e+21,2026-03-04T00:12:05Z\n";
    let header = "id,subject,body,team,level,vip,urgency,created_at\n";
    std::fs::write(&csv, format!("{header}{rows}{rows}")).unwrap();
    let from_csv = read(&csv, RECIPE).unwrap();
    assert_eq!(from_csv.examples.len(), 2 * ROWS);
    assert_eq!(from_csv.examples[0].fields, ["@vip=true", "@urgency=1.0"]);
    let zstd = Compression::ZSTD(ZstdLevel::default());
    for compression in [Compression::UNCOMPRESSED, Compression::SNAPPY, zstd] {
        let path = dir.path().join("x.PARQUET");
        write(&path, compression).unwrap();
        let from_parquet = read(&path, RECIPE).unwrap();
        assert_eq!(from_parquet.examples, from_csv.examples, "{compression}");
        assert_eq!(from_parquet.rows, from_csv.rows);
        let bytes = std::fs::read(&path).unwrap();
        let sum = crate::bundle::manifest::FileSum::of(&bytes);
        assert_eq!(from_parquet.sha256, sum.sha256);
    }
}

#[test]
fn what_cannot_be_read_is_an_error_or_no_text() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.parquet");
    write(&path, Compression::SNAPPY).unwrap();
    for column in ["queue", "tags", "element"] {
        let error = read(&path, &format!("[columns]\ncategory = [\"{column}\"]")).unwrap_err();
        assert!(matches!(error, TrainError::NoColumn { .. }), "{error}");
        let error =
            read(&path, &format!("{RECIPE}\n[[fields]]\nname = \"{column}\"\nfrom = \"/x\""));
        assert!(matches!(error, Err(TrainError::NoColumn { .. })), "{error:?}");
    }
    let data = read(&path, "[columns]\ncategory = [\"urgency\"]").unwrap();
    assert_eq!(data.rejected[&Rejection::NoCategory], 4);
    let bytes = std::fs::read(&path).unwrap();
    for damaged in [&bytes[..bytes.len() / 2], b"id,body\n1,x\n", b""] {
        std::fs::write(&path, damaged).unwrap();
        let error = read(&path, RECIPE).unwrap_err();
        assert!(matches!(error, TrainError::Read { .. }), "{error}");
    }
}

#[test]
fn decimals_dates_and_moments_are_written_out() {
    assert_eq!(decimal(-5, 2).as_deref(), Some("-0.05"));
    assert_eq!(decimal(12_345, 2).as_deref(), Some("123.45"));
    assert_eq!(decimal(7, 0).as_deref(), Some("7"));
    assert_eq!(big_endian(&[0xff, 0xfe]), Some(-2));
    assert_eq!(big_endian(&[1, 0]), Some(256));
    assert_eq!(big_endian(&[0; 17]), None);
    assert_eq!(moment(1_772_583_125_500, 1_000).as_deref(), Some("2026-03-04T00:12:05.5Z"));
    assert_eq!(moment(i64::MAX, 1_000), None);
}
