//! JSON lines: an object a line.

use std::borrow::Cow;
use std::fmt;
use std::io::{BufRead, BufReader, Read};

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use super::{Cells, Reading};

/// Bytes that are read before their rows are taken in.
const BLOCK: u64 = 1 << 20;

pub(super) fn read(source: impl Read, reading: &mut Reading<'_>) -> std::io::Result<()> {
    let mut source = BufReader::with_capacity(1 << 16, source);
    let columns = reading.columns.clone();
    let mut block = Vec::new();
    loop {
        block.clear();
        source.by_ref().take(BLOCK).read_to_end(&mut block)?;
        // The last line is rarely whole.
        source.read_until(b'\n', &mut block)?;
        if block.is_empty() {
            return Ok(());
        }
        let lines = block.split(|byte| *byte == b'\n').map(|line| {
            let line = line.trim_ascii();
            line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line)
        });
        let lines: Vec<&[u8]> = lines.filter(|line| !line.is_empty()).collect();
        reading.take(&lines, |line| cells(line, &columns));
    }
}

/// What an object has under the keys `columns`; nothing for what is no object.
fn cells<'a>(line: &'a [u8], columns: &[&str]) -> Option<Cells<'a>> {
    let mut json = serde_json::Deserializer::from_slice(line);
    let cells = Wanted(columns).deserialize(&mut json).ok()?;
    json.end().ok()?;
    Some(cells)
}

/// Reads the values of these keys and skips all others.
struct Wanted<'c>(&'c [&'c str]);

impl<'de> DeserializeSeed<'de> for Wanted<'_> {
    type Value = Cells<'de>;

    fn deserialize<D: Deserializer<'de>>(self, row: D) -> Result<Self::Value, D::Error> {
        row.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Wanted<'_> {
    type Value = Cells<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut row: M) -> Result<Self::Value, M::Error> {
        let mut cells = vec![None; self.0.len()];
        while let Some(Key(key)) = row.next_key()? {
            match self.0.iter().position(|column| *column == key) {
                Some(place) => cells[place] = text(row.next_value()?),
                None => drop(row.next_value::<IgnoredAny>()?),
            }
        }
        Ok(cells)
    }
}

/// A key, borrowed from the line where it has no escapes.
#[derive(serde::Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

/// Strings as they are, numbers and booleans as they are written; anything else is no text.
fn text(value: Value) -> Option<Cow<'static, str>> {
    match value {
        Value::String(text) => Some(text.into()),
        value @ (Value::Number(_) | Value::Bool(_)) => Some(value.to_string().into()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}
