//! What to tell whoever brought the data: what is odd about its files, what is there instead of
//! what was asked for, and why nothing can be used.

use std::collections::BTreeSet;
use std::fmt;
use std::io::{Error, ErrorKind};
use std::path::Path;

use super::{Data, Rejection};

/// How text in another encoding becomes readable.
const SAVE: &str = "save it as UTF-8 (in Excel: CSV UTF-8)";
/// How files begin that some program has compressed, and what undoes it.
const COMPRESSED: [(&[u8], &str); 2] =
    [(b"\x1f\x8b", "gunzip it first"), (b"\x28\xb5\x2f\xfd", "decompress it with zstd first")];
/// Columns that a message names at most, and characters of each.
const NAMES: usize = 20;
const NAME: usize = 60;

/// Where a row stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file's name without its folder: a model's card may show it.
    pub file: String,
    pub line: u64,
}

impl Place {
    pub(super) fn new(path: &Path, line: u64) -> Self {
        let file = path.file_name().unwrap_or(path.as_os_str());
        Self { file: file.to_string_lossy().into_owned(), line }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} of {}", self.line, self.file)
    }
}

impl Data {
    /// What is odd about the data, a sentence each.
    pub fn remarks(&self) -> Vec<String> {
        let says = |column: &String| format!("no row has the column {column}, which was asked for");
        let mut out: Vec<String> = self.absent.iter().map(says).collect();
        out.extend(self.damage());
        out
    }

    /// Rows that were not written as they can be read.
    fn damage(&self) -> Vec<String> {
        let mut out = Vec::new();
        if let Some(place) = self.first.get(&Rejection::NotUtf8) {
            let rows = self.rejected.get(&Rejection::NotUtf8).copied().unwrap_or_default();
            out.push(format!("{rows} rows are not UTF-8, the first in {place}: {SAVE}"));
        }
        if let Some((place, lines)) = self.long.first() {
            let more = match self.long.len() - 1 {
                0 => String::new(),
                n => format!(" (and {n} more are as long)"),
            };
            out.push(format!(
                "the record that begins in {place} is {lines} lines long{more}: if one of its \
                 quotes is not closed, it has swallowed other rows"
            ));
        }
        out
    }

    /// Why no row can be used, and what to do about it. `found` are the columns that there are.
    pub(super) fn why_none(&self, found: &BTreeSet<String>) -> String {
        let reasons = self.rejected.iter().map(|(why, n)| format!("{n} {}", why.as_str()));
        let mut out = vec![reasons.collect::<Vec<_>>().join(", ")];
        if self.rejected.is_empty() {
            out = vec!["the files have none".to_owned()];
        }
        out.extend(self.damage());
        if let Some(place) = self.first.get(&Rejection::Unreadable) {
            out.push(format!(
                "{place} is the first that cannot be read: it must be one JSON object or, where \
                 the file's name ends in .csv, have as many cells as the header"
            ));
        }
        let lacks = |why: &Rejection| {
            matches!(why, Rejection::NoText | Rejection::NoCategory | Rejection::NoLevel(_))
        };
        if self.rejected.keys().any(lacks) && !found.is_empty() {
            out.push(format!(
                "name the right columns in the recipe's [columns]; there are {}",
                names(found.iter().map(String::as_str), "")
            ));
        }
        out.join("; ")
    }
}

/// Columns for a message, first those that differ from the one that was `wanted` in case only.
pub(super) fn names<'n>(found: impl Iterator<Item = &'n str>, wanted: &str) -> String {
    let mut names: Vec<&str> = found.filter(|name| !name.is_empty()).collect();
    names.sort_by_key(|name| name.to_lowercase() != wanted.to_lowercase());
    let shown = names.iter().take(NAMES).map(|name| {
        // What steers a terminal has no place in a message.
        let plain: String = name.chars().filter(|c| !c.is_control()).take(NAME).collect();
        format!("`{plain}`")
    });
    let mut list: Vec<String> = shown.collect();
    match names.len().saturating_sub(NAMES) {
        0 if list.is_empty() => list.push("none".to_owned()),
        0 => {}
        more => list.push(format!("{more} more")),
    }
    list.join(", ")
}

/// Why a file that begins with these bytes is not read, where that can be told from them.
pub(super) fn no_text(start: &[u8]) -> Option<Error> {
    if let Some((_, advice)) = COMPRESSED.iter().find(|(magic, _)| start.starts_with(magic)) {
        return Some(invalid(format!("it is compressed: {advice}")));
    }
    let marked = start.starts_with(b"\xff\xfe") || start.starts_with(b"\xfe\xff");
    // In UTF-16 every Latin letter has a zero beside it.
    if marked || start.iter().take(4).any(|byte| *byte == 0) {
        return Some(invalid(format!("it is UTF-16, not UTF-8: {SAVE}")));
    }
    start.starts_with(b"PK\x03\x04").then(|| {
        invalid("it is a workbook or an archive: save the sheet as CSV UTF-8, or unpack it".into())
    })
}

/// Of a table in which several columns have the name of one that is used.
pub(super) fn twice(column: &str) -> Error {
    let name = names([column].into_iter(), column);
    invalid(format!("it has several columns {name}: rename all but the one that is meant"))
}

/// Of text in another encoding.
pub(super) fn not_utf8(line: u64) -> Error {
    invalid(format!("line {line} is not UTF-8: {SAVE}"))
}

/// Of a file that is one JSON array, where these are its first bytes.
pub(super) fn json_array(start: &[u8]) -> Option<Error> {
    let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start);
    let (blank, rest) = start.split_at(start.len() - start.trim_ascii_start().len());
    rest.starts_with(b"[").then(|| {
        let line = 1 + blank.iter().filter(|byte| **byte == b'\n').count();
        invalid(format!(
            "line {line} begins a JSON array: one object a line is needed, such as \
             `jq -c '.[]' FILE` writes"
        ))
    })
}

fn invalid(why: String) -> Error {
    Error::new(ErrorKind::InvalidData, why)
}
