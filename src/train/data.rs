//! Labelled tickets from JSON lines or CSV. Rows that cannot be used are counted by reason.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::dates;
use super::recipe::Recipe;
use super::{Progress, Step, TrainError};
use crate::bundle::manifest::hex;
use crate::triage::model::Target;
use crate::triage::text::language::{Language, language};
use crate::triage::text::redact::redact;

/// A labelled ticket. Its text is redacted at once: nothing later sees what was masked.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    pub id: String,
    pub subject: String,
    pub body: String,
    /// By target, in the order of [`Target::ALL`].
    pub labels: [Option<Arc<str>>; 4],
    pub language: Language,
    /// Seconds since 1970, where the row has a date that can be read.
    pub created_at: Option<i64>,
}

impl Example {
    pub fn label(&self, target: Target) -> Option<&str> {
        self.labels[target as usize].as_deref()
    }
}

/// Why a row was not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rejection {
    /// Not a JSON object, or a CSV record of the wrong length or encoding.
    Unreadable,
    /// Subject and body are missing or blank.
    NoText,
    /// The category is missing or blank.
    NoCategory,
}

impl Rejection {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::NoText => "no_text",
            Self::NoCategory => "no_category",
        }
    }
}

/// What was read from all files.
#[derive(Clone, Debug, Default)]
pub struct Data {
    pub examples: Vec<Example>,
    pub rows: u64,
    pub rejected: BTreeMap<Rejection, u64>,
    /// Of the files' bytes, one file after the other.
    pub sha256: String,
    /// Categories as the rows spell them, before blanks are trimmed and aliases applied, with
    /// their tickets.
    pub spellings: BTreeMap<String, u64>,
    /// The recipe's aliases with the tickets that each renamed.
    pub aliases: BTreeMap<String, u64>,
}

/// A row that can be used, with its category as the row spells it and as it was read, before
/// aliases.
struct Row {
    example: Example,
    spelling: String,
    category: String,
}

/// Reads all rows of all files: CSV where the name ends in `.csv`, JSON lines otherwise.
///
/// # Errors
/// When a file cannot be read, has no such columns, or when no row can be used.
pub fn read(
    files: &[PathBuf],
    recipe: &Recipe,
    progress: &mut dyn FnMut(Progress),
) -> Result<Data, TrainError> {
    let aliases = recipe.labels.aliases.keys().map(|old| (old.clone(), 0)).collect();
    let mut data = Data { aliases, ..Data::default() };
    let mut sum = Sha256::new();
    for path in files {
        let fail = |source| TrainError::Read { path: path.clone(), source };
        let source = Hashing { inner: File::open(path).map_err(fail)?, sum: &mut sum };
        if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("csv")) {
            read_csv(source, path, recipe, &mut data, progress)?;
        } else {
            read_json_lines(source, recipe, &mut data, progress).map_err(fail)?;
        }
    }
    data.sha256 = hex(&sum.finalize());
    if data.examples.is_empty() {
        return Err(TrainError::Empty { rows: data.rows, rejected: data.rejected });
    }
    Ok(data)
}

/// Passes bytes on and adds them to a checksum.
struct Hashing<'a> {
    inner: File,
    sum: &'a mut Sha256,
}

impl Read for Hashing<'_> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.sum.update(&buf[..n]);
        Ok(n)
    }
}

fn read_json_lines(
    source: impl Read,
    recipe: &Recipe,
    data: &mut Data,
    progress: &mut dyn FnMut(Progress),
) -> std::io::Result<()> {
    let mut lines = BufReader::with_capacity(1 << 16, source);
    let mut line = Vec::new();
    loop {
        line.clear();
        if lines.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let trimmed = line.trim_ascii();
        let trimmed = trimmed.strip_prefix(b"\xef\xbb\xbf").unwrap_or(trimmed);
        if trimmed.is_empty() {
            continue;
        }
        let row = serde_json::from_slice::<Map<String, Value>>(trimmed);
        let row = row.map_err(|_| Rejection::Unreadable);
        data.push(
            row.and_then(|row| example(recipe, |column| json_text(row.get(column)))),
            progress,
        );
    }
}

/// Strings as they are, numbers and booleans as they are written; anything else is no text.
fn json_text(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(text) => Some(text.clone()),
        value @ (Value::Number(_) | Value::Bool(_)) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn read_csv(
    source: impl Read,
    path: &Path,
    recipe: &Recipe,
    data: &mut Data,
    progress: &mut dyn FnMut(Progress),
) -> Result<(), TrainError> {
    let fail = |e: csv::Error| TrainError::Csv { path: path.to_owned(), source: e };
    let mut reader = csv::ReaderBuilder::new().from_reader(source);
    let headers = reader.headers().map_err(fail)?.clone();
    let place = |column: &str| {
        headers.iter().position(|h| h.trim_start_matches('\u{feff}').trim() == column)
    };
    if let Some(missing) = recipe.columns.category.iter().find(|c| place(c).is_none()) {
        return Err(TrainError::NoColumn { path: path.to_owned(), column: missing.clone() });
    }
    for record in reader.records() {
        let row = match record {
            Ok(record) => example(recipe, |column| {
                place(column).and_then(|i| record.get(i)).map(str::to_owned)
            }),
            Err(e) if e.is_io_error() => return Err(fail(e)),
            Err(_) => Err(Rejection::Unreadable),
        };
        data.push(row, progress);
    }
    Ok(())
}

impl Data {
    fn push(&mut self, row: Result<Row, Rejection>, progress: &mut dyn FnMut(Progress)) {
        self.rows += 1;
        match row {
            Ok(Row { mut example, spelling, category }) => {
                if example.id.is_empty() {
                    example.id = format!("row-{}", self.rows);
                }
                self.examples.push(example);
                if let Some(renamed) = self.aliases.get_mut(&category) {
                    *renamed += 1;
                }
                *self.spellings.entry(spelling).or_default() += 1;
            }
            Err(why) => *self.rejected.entry(why).or_default() += 1,
        }
        if self.rows.is_multiple_of(1_000) {
            progress(Progress { step: Step::Read, done: self.rows, total: None });
        }
    }
}

/// A row as an example; `get` gives the text of a column.
fn example(recipe: &Recipe, get: impl Fn(&str) -> Option<String>) -> Result<Row, Rejection> {
    let columns = &recipe.columns;
    let text = |column: &Option<String>| column.as_deref().and_then(&get).unwrap_or_default();
    let (subject, body) = (text(&columns.subject), text(&columns.body));
    if subject.trim().is_empty() && body.trim().is_empty() {
        return Err(Rejection::NoText);
    }
    let written: Option<Vec<String>> = columns.category.iter().map(|c| get(c)).collect();
    let written = written.ok_or(Rejection::NoCategory)?;
    let levels: Vec<&str> = written.iter().map(|level| level.trim()).collect();
    if levels.iter().any(|level| level.is_empty()) {
        return Err(Rejection::NoCategory);
    }
    let category = levels.join("/");
    let label = Arc::from(recipe.labels.aliases.get(&category).unwrap_or(&category).as_str());
    let subject = redact(&subject).0.into_owned();
    let body = redact(&body).0.into_owned();
    let language = match text(&columns.language).get(..2) {
        Some("ko") => Language::Ko,
        Some("en") => Language::En,
        _ => language(&format!("{subject}\n{body}")),
    };
    let other = |target| {
        let label = get(recipe.column(target)?)?;
        Some(label.trim()).filter(|l| !l.is_empty()).map(Arc::from)
    };
    let labels = Target::ALL.map(|target| match target {
        Target::Category => Some(Arc::clone(&label)),
        target => other(target),
    });
    let created_at = dates::parse(&text(&columns.created_at));
    let example = Example { id: text(&columns.id), subject, body, labels, language, created_at };
    Ok(Row { example, spelling: written.join("/"), category })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(name: &str, content: &str, recipe: &str) -> Result<Data, TrainError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        read(&[path], &Recipe::parse(recipe).unwrap(), &mut |_| {})
    }

    #[test]
    fn json_lines_and_csv_give_the_same_examples() {
        let recipe = "[columns]\nbody = \"text\"\ncategory = [\"a\", \"b\"]";
        let json = r#"{"id": 7, "subject": "VPN", "text": "mail kim@example.com", "a": "Network", "b": "VPN", "urgency": "1"}"#;
        let csv = "\u{feff}id,subject,text,a,b,urgency\n7,VPN,mail kim@example.com,Network,VPN,1\n";
        let from_json = read_text("x.jsonl", json, recipe).unwrap();
        let from_csv = read_text("x.csv", csv, recipe).unwrap();
        assert_eq!(from_json.examples, from_csv.examples);
        let example = &from_json.examples[0];
        assert_eq!(example.label(Target::Category), Some("Network/VPN"));
        assert_eq!(example.label(Target::Urgency), Some("1"));
        assert_eq!(example.label(Target::Impact), None);
        assert_eq!(example.body, "mail [EMAIL]");
    }

    #[test]
    fn bad_rows_are_counted_by_reason() {
        let rows = [
            r#"{"body": "fine", "category": "A"}"#,
            "not json",
            "[1]",
            "",
            r#"{"body": "  ", "category": "A"}"#,
            r#"{"body": "x"}"#,
            r#"{"body": "x", "category": " "}"#,
            r#"{"body": "x", "category": {"name": "A"}}"#,
        ];
        let data = read_text("x.jsonl", &rows.join("\n"), "").unwrap();
        assert_eq!((data.rows, data.examples.len()), (7, 1));
        assert_eq!(data.rejected[&Rejection::Unreadable], 2);
        assert_eq!(data.rejected[&Rejection::NoText], 1);
        assert_eq!(data.rejected[&Rejection::NoCategory], 3);
    }

    #[test]
    fn spellings_are_counted_and_old_names_replaced() {
        let rows = [
            r#"{"body": "x", "category": "VPN", "created_at": "2026-03-04"}"#,
            r#"{"body": "y", "category": "VPN ", "created_at": 1772582400}"#,
            r#"{"body": "z", "category": " Tunnel", "created_at": "soon"}"#,
        ];
        let recipe = "[labels.aliases]\n\"Tunnel\" = \"VPN\"\n\"Fax\" = \"Printing\"";
        let data = read_text("x.jsonl", &rows.join("\n"), recipe).unwrap();
        assert!(data.examples.iter().all(|e| e.label(Target::Category) == Some("VPN")));
        let dates: Vec<_> = data.examples.iter().map(|e| e.created_at).collect();
        assert_eq!(dates, [Some(1_772_582_400), Some(1_772_582_400), None]);
        let spellings: Vec<&str> = data.spellings.keys().map(String::as_str).collect();
        assert_eq!(spellings, [" Tunnel", "VPN", "VPN "]);
        assert_eq!((data.aliases["Tunnel"], data.aliases["Fax"]), (1, 0));
    }

    #[test]
    fn nothing_usable_is_an_error_that_counts() {
        let error = read_text("x.jsonl", "x\ny", "").unwrap_err();
        assert!(matches!(error, TrainError::Empty { rows: 2, .. }), "{error}");
        let error = read_text("x.csv", "a,b\n1,2\n", "").unwrap_err();
        assert!(matches!(error, TrainError::NoColumn { .. }), "{error}");
    }
}
