//! Labelled tickets from JSON lines, CSV or Parquet. Rows that cannot be used are counted by reason.
//!
//! Each format has a reader that only finds the cells of a row. Rows become examples in blocks, on
//! two threads, in their order.

mod bad_dates;
mod csv;
mod json;
#[cfg(feature = "parquet")]
mod parquet;
#[cfg(not(feature = "parquet"))]
#[path = "data/no_parquet.rs"]
mod parquet;
mod rejection;
mod remarks;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::dates;
use super::recipe::{Columns, Field, Purpose, Recipe};
use super::{Progress, Step, TrainError};
use crate::triage::model::Target;
use crate::triage::requests::OTHER;
use crate::triage::text::Text;
use crate::triage::text::fields;
use crate::triage::text::language::{Language, language};
use crate::triage::text::redact::redact;

pub use bad_dates::BadDates;
pub use rejection::Rejection;
pub use remarks::Place;

/// A labelled ticket. Its text is redacted at once: nothing later sees what was masked.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    pub id: String,
    pub subject: String,
    pub body: String,
    /// The recipe's fields that the row has a value for, as entries of the vocabulary.
    pub fields: Vec<String>,
    /// By target, in the order of [`Target::ALL`].
    pub labels: [Option<Arc<str>>; 4],
    pub language: Language,
    /// Seconds since 1970, where the row has a date that can be read.
    pub created_at: Option<i64>,
}

impl Example {
    /// What a model reads of it.
    pub fn text(&self) -> Text<'_> {
        Text { subject: &self.subject, body: &self.body, fields: &self.fields }
    }

    pub fn label(&self, target: Target) -> Option<&str> {
        self.labels[target as usize].as_deref()
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
    /// By category, how the rows spell it before blanks are trimmed and aliases applied, with the
    /// tickets of each spelling.
    pub spellings: BTreeMap<Arc<str>, BTreeMap<String, u64>>,
    /// The recipe's aliases with the tickets that each renamed.
    pub aliases: BTreeMap<String, u64>,
    /// Dates of examples that cannot be read.
    pub bad_dates: Option<BadDates>,
    /// Tickets were to have dates: some have the column, or the recipe names one of its own.
    pub dates_expected: bool,
    /// Columns that the recipe names, other than by default, and that no example has.
    pub absent: Vec<String>,
    /// Where the first row stands that could not be read, by reason.
    pub first: BTreeMap<Rejection, Place>,
    /// Records of very many lines, with their number.
    pub long: Vec<(Place, u64)>,
}

/// A row that can be used, with its category as the row spells it and as it was read, before
/// aliases.
struct Row {
    example: Example,
    spelling: String,
    category: String,
    /// Its date, if that cannot be read.
    bad_date: Option<String>,
    /// Whether it has each of the recipe's columns.
    present: Vec<bool>,
}

/// Reads all rows of all files: CSV where the name ends in `.csv` or `.tsv`, Parquet where it ends in
/// `.parquet`, JSON lines otherwise.
///
/// # Errors
/// When a file cannot be read, has no such columns, or when no row can be used.
pub fn read(
    files: &[PathBuf],
    recipe: &Recipe,
    progress: &mut dyn FnMut(Progress),
) -> Result<Data, TrainError> {
    let aliases = recipe.labels.aliases.keys().map(|old| (old.clone(), 0)).collect();
    let data = Data { aliases, ..Data::default() };
    let columns = recipe.columns.names();
    let present = vec![false; columns.len()];
    let (path, found) = (Path::new(""), BTreeSet::new());
    let mut reading = Reading { recipe, columns, path, before: 0, data, present, found, progress };
    let mut sum = Sha256::new();
    for path in files {
        reading.path = path;
        reading.before = reading.data.rows;
        let fail = |source| TrainError::Read { path: path.clone(), source };
        let file = File::open(path).map_err(fail)?;
        let ending = path.extension().unwrap_or_default().to_ascii_lowercase();
        match ending.to_str() {
            Some("csv" | "tsv") => {
                csv::read(Hashing { inner: file, sum: &mut sum }, path, &mut reading)?;
            }
            Some("parquet") => parquet::read(file, &mut sum, path, &mut reading)?,
            _ => json::read(Hashing { inner: file, sum: &mut sum }, &mut reading).map_err(fail)?,
        }
    }
    let (absent, dates_expected) = (reading.absent(), reading.dates_expected());
    let Reading { data, found, .. } = reading;
    let data = Data { absent, dates_expected, sha256: format!("{:x}", sum.finalize()), ..data };
    if data.examples.is_empty() {
        return Err(TrainError::Empty { rows: data.rows, why: data.why_none(&found) });
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

/// What a row holds in [`Reading::columns`] and then in the recipe's fields, one after the other.
type Cells<'a> = Vec<Option<Cow<'a, str>>>;

/// The line of a row that cannot be read, and why.
type Unread = (u64, Rejection);

/// What has been read so far, and what is wanted of the rows to come.
struct Reading<'a> {
    recipe: &'a Recipe,
    /// All that the recipe names but for its fields.
    columns: Vec<&'a str>,
    /// The file that is being read.
    path: &'a Path,
    /// Rows of the files before it.
    before: u64,
    data: Data,
    /// Which of the columns an example had so far.
    present: Vec<bool>,
    /// The columns of tables, and the keys of the first object of each file.
    found: BTreeSet<String>,
    progress: &'a mut dyn FnMut(Progress),
}

impl<'a> Reading<'a> {
    /// Where a table has what a row's [`Cells`] hold, given the names of its columns; none for one
    /// that cannot be read.
    fn places(&mut self, names: &[Option<&str>]) -> Result<Vec<Option<usize>>, TrainError> {
        let place = |column: &str| names.iter().position(|name| *name == Some(column));
        let recipe = self.recipe;
        let fields = || recipe.fields.iter().map(Field::table_column);
        let mut needed = recipe.columns.category.iter().map(String::as_str).chain(fields());
        let found = || names.iter().copied().flatten();
        if let Some(missing) = needed.find(|column| place(column).is_none()) {
            let found = remarks::names(found(), missing);
            let (path, column) = (self.path.to_owned(), missing.to_owned());
            return Err(TrainError::NoColumn { path, column, found });
        }
        let used = || self.columns.iter().copied().chain(fields());
        if let Some(twice) = used().find(|column| found().filter(|name| name == column).count() > 1)
        {
            let (path, source) = (self.path.to_owned(), remarks::twice(twice));
            return Err(TrainError::Read { path, source });
        }
        let places = used().map(place).collect();
        self.found.extend(found().map(str::to_owned));
        Ok(places)
    }

    /// Takes some rows in; `cells` reads one, if it can be read.
    fn take<'c, T: Sync>(
        &mut self,
        rows: &'c [T],
        cells: impl Fn(&'c T) -> Result<Cells<'c>, Unread> + Sync,
    ) {
        let Self { recipe, columns, .. } = self;
        let read = in_two(rows, |row| match cells(row) {
            Ok(cells) => example(recipe, columns, &cells).map_err(|why| (None, why)),
            Err((line, why)) => Err((Some(line), why)),
        });
        for row in read {
            match &row {
                Ok(row) => {
                    self.present.iter_mut().zip(&row.present).for_each(|(all, one)| *all |= one);
                    if let Some(date) = &row.bad_date {
                        self.data.add_bad_date(date, self.before, self.path, self.recipe);
                    }
                }
                Err((Some(line), why)) if !self.data.first.contains_key(why) => {
                    self.data.first.insert(why.clone(), Place::new(self.path, *line));
                }
                Err(_) => {}
            }
            self.data.push(row.map_err(|(_, why)| why));
            if self.data.rows.is_multiple_of(1_000) {
                let done = self.data.rows;
                (self.progress)(Progress { step: Step::Read, done, total: None });
            }
        }
    }

    /// Data need not have all that a recipe names by default; who gives a name of his own expects it.
    fn absent(&self) -> Vec<String> {
        let usual = Columns::default();
        let usual = usual.names();
        let named = self.columns.iter().zip(&self.present);
        let absent = named.filter(|(name, present)| !**present && !usual.contains(name));
        absent.map(|(name, _)| (*name).to_owned()).collect()
    }

    fn dates_expected(&self) -> bool {
        let column = self.recipe.columns.created_at.as_deref();
        let mut named = self.columns.iter().zip(&self.present);
        let found = named.any(|(name, present)| *present && Some(*name) == column);
        found || (column.is_some() && column != Columns::default().created_at.as_deref())
    }
}

/// The results of `work` in the order of `items`; each half of them has a thread of its own.
fn in_two<'i, T: Sync, R: Send>(items: &'i [T], work: impl Fn(&'i T) -> R + Sync) -> Vec<R> {
    let (first, second) = items.split_at(items.len() / 2);
    let mut later: Vec<R> = Vec::new();
    let mut results: Vec<R> = Vec::with_capacity(items.len());
    std::thread::scope(|scope| {
        scope.spawn(|| later = second.iter().map(&work).collect());
        results.extend(first.iter().map(&work));
    });
    results.append(&mut later);
    results
}

impl Data {
    /// Of the row that is pushed next; `before` are those of the files before its own.
    fn add_bad_date(&mut self, date: &str, before: u64, path: &Path, recipe: &Recipe) {
        match &mut self.bad_dates {
            Some(bad) => bad.tickets += 1,
            None => {
                let row = self.rows + 1 - before;
                let format = recipe.columns.created_at_format.as_deref();
                self.bad_dates = Some(BadDates::first(date, row, path, format));
            }
        }
    }

    fn push(&mut self, row: Result<Row, Rejection>) {
        self.rows += 1;
        match row {
            Ok(Row { mut example, spelling, category, .. }) => {
                if example.id.is_empty() {
                    example.id = format!("row-{}", self.rows);
                }
                if let Some(renamed) = self.aliases.get_mut(&category) {
                    *renamed += 1;
                }
                if let Some(label) = &example.labels[Target::Category as usize] {
                    let spellings = self.spellings.entry(Arc::clone(label)).or_default();
                    *spellings.entry(spelling).or_default() += 1;
                }
                self.examples.push(example);
            }
            Err(why) => *self.rejected.entry(why).or_default() += 1,
        }
    }
}

/// A row as an example, from what it holds in the columns with these `names`.
fn example(recipe: &Recipe, names: &[&str], cells: &Cells<'_>) -> Result<Row, Rejection> {
    let columns = &recipe.columns;
    let get = |column: &str| cells.get(names.iter().position(|name| *name == column)?)?.as_deref();
    let text = |column: &Option<String>| column.as_deref().and_then(get).unwrap_or_default();
    let (subject, body) = (text(&columns.subject), text(&columns.body));
    if subject.trim().is_empty() && body.trim().is_empty() {
        return Err(Rejection::NoText);
    }
    let levels: Vec<&str> =
        columns.category.iter().map(|column| get(column).unwrap_or_default()).collect();
    let mut named = columns.category.iter().zip(&levels);
    let (spelling, category) = match named.find(|(_, level)| level.trim().is_empty()) {
        None => {
            let trimmed: Vec<&str> = levels.iter().map(|level| level.trim()).collect();
            (levels.join("/"), trimmed.join("/"))
        }
        Some(_) if recipe.purpose == Purpose::Requests => {
            let about = text(&columns.other).trim();
            let label = if about.is_empty() { OTHER.into() } else { format!("{OTHER}/{about}") };
            (label.clone(), label)
        }
        Some((column, _)) => return Err(Rejection::no_category(column, levels.len())),
    };
    let label: Arc<str> =
        Arc::from(recipe.labels.aliases.get(&category).unwrap_or(&category).as_str());
    let other = |target| {
        let label = get(recipe.column(target)?)?;
        Some(label.trim()).filter(|l| !l.is_empty()).map(Arc::from)
    };
    let labels = Target::ALL.map(|target| match target {
        Target::Category => Some(Arc::clone(&label)),
        target => other(target),
    });
    if labels.iter().flatten().any(|label| label.contains(breaks_line)) {
        return Err(Rejection::ControlCharacter);
    }
    let subject = redact(subject).0.into_owned();
    let body = redact(body).0.into_owned();
    // As the model tells it, whatever the desk noted: its confidence is calibrated by this.
    let language = language(&format!("{subject}\n{body}"));
    let date = text(&columns.created_at).trim();
    let format = columns.created_at_format.as_deref();
    let as_told = format.and_then(|format| dates::parse_as(format, date));
    let created_at = as_told.or_else(|| dates::parse(date));
    let bad_date = (created_at.is_none() && !date.is_empty()).then(|| date.to_owned());
    let id = text(&columns.id).to_owned();
    let fields = recipe.fields.iter().zip(cells.iter().skip(names.len()));
    let fields = fields.filter_map(|(field, cell)| fields::entry(&field.name, cell.as_deref()?));
    let fields = fields.collect();
    let example = Example { id, subject, body, fields, labels, language, created_at };
    let present = cells.iter().take(names.len()).map(Option::is_some).collect();
    Ok(Row { example, spelling, category, bad_date, present })
}

/// What no name may have: control characters, and the line breaks that are none.
fn breaks_line(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod oddities;
#[cfg(test)]
mod tests;
