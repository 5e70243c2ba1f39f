//! The lock: what was approved, by whom, and until when. It stands beside the playbooks, so that
//! a file that changed after its approval is seen to have changed.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::Span;
use jiff::civil::Date;
use sha2::{Digest as _, Sha256};
use toml::{Table, Value};

use super::fields::{Fields, name};
use super::library::{NoPlaybook, ids};
use super::problem::Found;
use super::read::{date, same_person};
use super::{Library, Problem, Problems, TextFile};

/// The lock's file name in a playbook folder.
pub const LOCK_FILE: &str = "playbooks.lock";

/// An approval ends after so many years at most, so that somebody looks at the playbook again.
const LONGEST_YEARS: i64 = 2;

const HEAD: &str =
    "# Written by `triaged approve`: what was approved, by whom, until when. Not to be edited.\n";

/// Who approved, and the last day on which it may run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    pub approver: String,
    pub until: Date,
}

/// One playbook's entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Locked {
    pub version: u64,
    /// SHA-256 of the playbook's content without its approval, in hexadecimal.
    pub sha256: String,
    pub approval: Approval,
}

/// The entries by playbook id.
pub(super) type Lock = BTreeMap<String, Locked>;

/// The digest of a playbook: of its content, so that comments and layout may change, and without
/// its approval, which is given to a content.
pub(super) fn digest(table: &Table) -> String {
    let mut text = String::new();
    let content = table.iter().filter(|(key, _)| *key != "approval");
    canonical_table(content, &mut text);
    format!("{:x}", Sha256::digest(text.as_bytes()))
}

fn canonical_table<'v>(entries: impl Iterator<Item = (&'v String, &'v Value)>, out: &mut String) {
    let mut entries: Vec<_> = entries.collect();
    entries.sort_by_key(|(key, _)| *key);
    out.push('{');
    for (key, value) in entries {
        // Writing to a string cannot fail.
        let _ = write!(out, "{}:", serde_json::Value::from(key.as_str()));
        canonical(value, out);
        out.push(',');
    }
    out.push('}');
}

/// Keys sorted, strings as JSON writes them, everything else as TOML does.
fn canonical(value: &Value, out: &mut String) {
    match value {
        Value::Table(table) => canonical_table(table.iter(), out),
        Value::Array(list) => {
            out.push('[');
            for value in list {
                canonical(value, out);
                out.push(',');
            }
            out.push(']');
        }
        Value::String(text) => {
            let _ = write!(out, "{}", serde_json::Value::from(text.as_str()));
        }
        other => {
            let _ = write!(out, "{other}");
        }
    }
}

/// Reads the lock's text.
pub(super) fn read(text: &str) -> Result<Lock, Vec<Problem>> {
    let mut found = Found::new(LOCK_FILE);
    let mut lock = Lock::new();
    match text.parse::<Table>() {
        Ok(table) => {
            for (id, value) in table {
                name(&id, &id, &mut found);
                match value {
                    Value::Table(table) => {
                        let entry = entry(Fields::new(&*id, table), &mut found);
                        lock.extend(entry.map(|entry| (id, entry)));
                    }
                    other => super::fields::wrong(&id, "a table", &other, &mut found),
                }
            }
        }
        Err(error) => found.add("", format!("is not TOML: {}", error.to_string().trim_end())),
    }
    let problems = found.into_list();
    if problems.is_empty() { Ok(lock) } else { Err(problems) }
}

fn entry(mut table: Fields, found: &mut Found<'_>) -> Option<Locked> {
    let version = table.optional_whole("version", 1, i64::MAX, found);
    let sha256 = table.text("sha256", found);
    let approver = table.text("approver", found);
    let until = table.text("until", found);
    let until = date(&until);
    if version.is_none() || until.is_none() {
        found.add(table.here(), "needs version and until: run `triaged approve` again");
    }
    table.end(found);
    Some(Locked { version: version?, sha256, approval: Approval { approver, until: until? } })
}

fn write(lock: &Lock) -> String {
    let mut text = HEAD.to_owned();
    for (id, locked) in lock {
        let approver = Value::String(locked.approval.approver.clone());
        let _ = write!(
            text,
            "\n[{id}]\nversion = {}\nsha256 = \"{}\"\napprover = {approver}\nuntil = \"{}\"\n",
            locked.version, locked.sha256, locked.approval.until
        );
    }
    text
}

/// Why an approval was not given.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error(transparent)]
    Problems(#[from] Problems),
    #[error(transparent)]
    Unknown(#[from] NoPlaybook),
    #[error("the owner of {0} cannot approve it: two people have to agree")]
    Owner(String),
    #[error("an approval must end on {0} or later")]
    Over(Date),
    #[error(
        "an approval must end within {LONGEST_YEARS} years, on {0} at the latest; approve the same \
         version again to renew it"
    )]
    TooLong(Date),
    #[error("{0} has no {1}: write at least one before it is approved")]
    NoExample(String, &'static str),
    #[error("{0} was approved as version {1} with other content: give it a new version")]
    SameVersion(String, u64),
    #[error("{0} cannot be edited: {1}")]
    Edit(String, String),
}

/// Approves the playbook `id` of a folder until a day. Returns its file and the lock, both as
/// they have to be written, the file first.
///
/// The examples are the caller's to run: they may need a model.
///
/// # Errors
/// [`Refused`] with the reason; nothing is approved then.
pub fn approve(
    files: &[TextFile],
    lock: Option<&str>,
    id: &str,
    approval: &Approval,
    today: Date,
) -> Result<(TextFile, String), Refused> {
    // A lock that speaks against this very file is what approving is about; see below.
    let library = Library::read(files, None)?;
    let playbook = library.get(id).ok_or_else(|| NoPlaybook::new(id, &ids(files)))?;
    if same_person(&playbook.owner, &approval.approver) {
        return Err(Refused::Owner(id.to_owned()));
    }
    if approval.until < today {
        return Err(Refused::Over(today));
    }
    let latest = today.saturating_add(Span::new().years(LONGEST_YEARS));
    if approval.until > latest {
        return Err(Refused::TooLong(latest));
    }
    if playbook.examples.is_empty() {
        return Err(Refused::NoExample(id.to_owned(), "[[examples]]"));
    }
    if playbook.counter_examples.is_empty() {
        return Err(Refused::NoExample(id.to_owned(), "[[counter_examples]]"));
    }
    let mut lock = read(lock.unwrap_or_default()).map_err(Problems)?;
    if let Some(before) = lock.get(id) {
        let older = playbook.version < before.version;
        let changed = playbook.version == before.version && playbook.digest != before.sha256;
        if older || changed {
            return Err(Refused::SameVersion(id.to_owned(), before.version));
        }
    }
    let text = files.iter().find(|f| f.name == playbook.file).map_or("", |f| f.text.as_str());
    let text = with_approval(text, approval)
        .map_err(|error| Refused::Edit(playbook.file.clone(), error.to_string()))?;
    let (version, sha256) = (playbook.version, playbook.digest.clone());
    lock.insert(id.to_owned(), Locked { version, sha256, approval: approval.clone() });
    Ok((TextFile { name: playbook.file.clone(), text }, write(&lock)))
}

/// A playbook's text with this approval, everything else as it was, comments included.
fn with_approval(text: &str, approval: &Approval) -> Result<String, toml_edit::TomlError> {
    let mut document: toml_edit::DocumentMut = text.parse()?;
    let table = document.entry("approval").or_insert_with(toml_edit::table);
    table["approver"] = toml_edit::value(approval.approver.as_str());
    table["until"] = toml_edit::value(approval.until.to_string());
    Ok(document.to_string())
}
