//! A ticket's fields as entries of the vocabulary: `@department=human resources` is the field
//! `department` with that value.
//!
//! A value goes through the rules for text: personal data is masked, masks and invisible
//! characters go, NFKC, lower case; then each run of white space is one space. What is longer than
//! [`MAX_CHARS`] is a text and no choice from a list, so it is no feature.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::redact::redact;
use super::tokens::normal;

/// Marks a field in the vocabulary. No word begins with it.
pub const FIELD: char = '@';
/// The longest value, in characters.
pub const MAX_CHARS: usize = 64;

/// A field that a model reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// What the vocabulary and explanations call it.
    pub name: String,
    /// JSON pointer into the ticket (RFC 6901).
    pub from: String,
}

/// The entries of a ticket's fields, given its JSON text. Nothing is read where there are no
/// `sources`.
pub fn read(sources: &[Source], json: &str) -> Vec<String> {
    if sources.is_empty() {
        return Vec::new();
    }
    serde_json::from_str(json).map_or_else(|_| Vec::new(), |ticket| entries(sources, &ticket))
}

/// As [`read`], from parsed JSON. A field that the ticket lacks, or that is a list, an object or
/// null, has no entry.
pub fn entries(sources: &[Source], ticket: &Value) -> Vec<String> {
    let of = |source: &Source| entry(&source.name, &value(ticket.pointer(&source.from)?.clone())?);
    sources.iter().filter_map(of).collect()
}

/// A field's value as text: strings as they are, numbers and booleans as they are written.
pub fn value(json: Value) -> Option<String> {
    match json {
        Value::String(text) => Some(text),
        json @ (Value::Number(_) | Value::Bool(_)) => Some(json.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The entry of a field with this value, if it can be a feature.
pub fn entry(name: &str, value: &str) -> Option<String> {
    let normal = normal(&redact(value).0);
    let mut entry = format!("{FIELD}{name}");
    for (i, part) in normal.split_whitespace().enumerate() {
        entry.push(if i == 0 { '=' } else { ' ' });
        entry.push_str(part);
    }
    let value = parts(&entry)?.1;
    (value.chars().count() <= MAX_CHARS).then_some(entry)
}

/// Name and value of an entry; none where it is not of a field or lacks either.
pub fn parts(entry: &str) -> Option<(&str, &str)> {
    let parts = entry.strip_prefix(FIELD)?.split_once('=')?;
    (!parts.0.is_empty() && !parts.1.is_empty()).then_some(parts)
}

/// An entry as people see it among words: `department: human resources`.
pub fn shown(entry: &str) -> String {
    parts(entry).map_or_else(|| entry.to_owned(), |(name, value)| format!("{name}: {value}"))
}

/// Whether what stands among an explanation's words is a field: no word or pair has such a sign.
pub fn is_shown(word: &str) -> bool {
    word.contains(':')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn values_go_by_the_rules_for_text() {
        let of = |value: &str| entry("dept", value).map(|entry| shown(&entry));
        for (value, found) in [
            ("  Human\u{a0} Resources\n", Some("dept: human resources")),
            ("ＩＴ\u{200b}-Betrieb (Süd)", Some("dept: it-betrieb (süd)")),
            ("A=B: c", Some("dept: a=b: c")),
            ("총무팀", Some("dept: 총무팀")),
            ("kim@example.com", None),
            ("[UNK] kim@example.com", Some("dept: [unk]")),
            (" \u{feff} ", None),
            ("", None),
        ] {
            assert_eq!(of(value).as_deref(), found, "{value:?}");
        }
        assert!(of(&"x".repeat(MAX_CHARS)).is_some());
        assert_eq!(of(&"x".repeat(MAX_CHARS + 1)), None);
    }

    #[test]
    fn what_is_no_value_has_no_entry() {
        let source = |from: &str| Source { name: "f".to_owned(), from: from.to_owned() };
        let sources = ["/a/b", "/a~1b", "/n", "/yes", "/null", "/list", "/a", "/gone", "/list/0"];
        let sources = sources.map(source);
        let ticket = json!({
            "a": {"b": "Deep"}, "a/b": "Slash", "n": 7, "yes": true, "null": null, "list": ["One"],
        });
        let found = ["@f=deep", "@f=slash", "@f=7", "@f=true", "@f=one"];
        assert_eq!(entries(&sources, &ticket), found);
        assert_eq!(read(&sources, &ticket.to_string()), found);
        assert_eq!(read(&sources, "no JSON"), [""; 0]);
        assert_eq!(read(&[], "no JSON"), [""; 0]);
    }

    proptest! {
        #[test]
        fn any_value_is_read(value in "(\\PC|\\s|=|@|:|\\[EMAIL\\]){0,80}") {
            if let Some(entry) = entry("f", &value) {
                let (name, read) = parts(&entry).unwrap();
                prop_assert_eq!(name, "f");
                prop_assert!(read.chars().count() <= MAX_CHARS && read.trim() == read);
            }
        }
    }
}
