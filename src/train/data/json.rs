//! JSON lines: an object a line.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::io::{BufRead, BufReader, Read};

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use super::remarks::{json_array, no_text};
use super::{Cells, Reading, Rejection};
use crate::train::recipe::Field;
use crate::triage::text::fields;

/// Bytes that are read before their rows are taken in.
const BLOCK: u64 = 1 << 20;

pub(super) fn read(source: impl Read, reading: &mut Reading<'_>) -> std::io::Result<()> {
    let mut source = BufReader::with_capacity(1 << 16, source);
    let start = source.fill_buf()?;
    if let Some(why) = no_text(start).or_else(|| json_array(start)) {
        return Err(why);
    }
    let columns = reading.columns.clone();
    let wanted = Wanted {
        columns: &columns,
        fields: reading.recipe.fields.iter().map(Field::place).collect(),
    };
    let (mut block, mut first_line, mut keys_found) = (Vec::new(), 1, false);
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
        let lines = (first_line..).zip(lines).filter(|(_, line)| !line.is_empty());
        let lines: Vec<(u64, &[u8])> = lines.collect();
        if !keys_found && let Some(keys) = lines.iter().find_map(|(_, line)| keys(line)) {
            reading.found.extend(keys.into_keys());
            keys_found = true;
        }
        reading.take(&lines, |(number, line)| {
            cells(line, &wanted).ok_or_else(|| match std::str::from_utf8(line) {
                Ok(_) => (*number, Rejection::Unreadable),
                Err(_) => (*number, Rejection::NotUtf8),
            })
        });
        first_line += block.iter().filter(|byte| **byte == b'\n').count() as u64;
    }
}

/// What an object has, to tell somebody who looked for something else.
fn keys(line: &[u8]) -> Option<BTreeMap<String, IgnoredAny>> {
    serde_json::from_slice(line).ok()
}

/// What an object has of all that is wanted; nothing for what is no object.
fn cells<'a>(line: &'a [u8], wanted: &Wanted<'_>) -> Option<Cells<'a>> {
    let mut json = serde_json::Deserializer::from_slice(line);
    let cells = wanted.deserialize(&mut json).ok()?;
    json.end().ok()?;
    Some(cells)
}

/// Reads the values of these keys and at these places, and skips all others.
struct Wanted<'c> {
    columns: &'c [&'c str],
    /// Keys, and pointers into what is there.
    fields: Vec<(String, &'c str)>,
}

impl<'de> DeserializeSeed<'de> for &Wanted<'_> {
    type Value = Cells<'de>;

    fn deserialize<D: Deserializer<'de>>(self, row: D) -> Result<Self::Value, D::Error> {
        row.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for &Wanted<'_> {
    type Value = Cells<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut row: M) -> Result<Self::Value, M::Error> {
        let (columns, fields) = (self.columns.len(), self.fields.iter());
        let mut cells = vec![None; columns + self.fields.len()];
        while let Some(Key(key)) = row.next_key()? {
            let column = self.columns.iter().position(|column| *column == key);
            let below = fields.clone().zip(columns..).filter(|((first, _), _)| *first == key);
            if column.is_none() && below.clone().next().is_none() {
                row.next_value::<IgnoredAny>()?;
                continue;
            }
            let value: Value = row.next_value()?;
            for ((_, rest), place) in below {
                cells[place] = value.pointer(rest).cloned().and_then(text);
            }
            if let Some(place) = column {
                cells[place] = text(value);
            }
        }
        Ok(cells)
    }
}

/// A key, borrowed from the line where it has no escapes.
#[derive(serde::Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

fn text(value: Value) -> Option<Cow<'static, str>> {
    fields::value(value).map(Cow::Owned)
}
