//! One TOML table, read key by key: what is missing, of a wrong type or unknown becomes a problem
//! with its path. Serde stops at the first problem; a person who writes a playbook wants them all.

use toml::{Table, Value};

use super::problem::Found;

/// A table of which keys are taken one by one; [`Fields::end`] reports those that are left.
pub(super) struct Fields {
    path: String,
    table: Table,
    known: Vec<&'static str>,
}

/// A path one key further down.
pub(super) fn below(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

impl Fields {
    pub fn new(path: impl Into<String>, table: Table) -> Self {
        Self { path: path.into(), table, known: Vec::new() }
    }

    pub fn path(&self, key: &str) -> String {
        below(&self.path, key)
    }

    /// The path of the table itself.
    pub fn here(&self) -> &str {
        &self.path
    }

    pub fn take(&mut self, key: &'static str) -> Option<Value> {
        self.known.push(key);
        self.table.remove(key)
    }

    pub fn required(&mut self, key: &'static str, found: &mut Found<'_>) -> Option<Value> {
        let value = self.take(key);
        if value.is_none() {
            found.add(self.path(key), "is missing");
        }
        value
    }

    /// A text that must be there and not be blank; empty where it is not.
    pub fn text(&mut self, key: &'static str, found: &mut Found<'_>) -> String {
        let value = self.required(key, found);
        value.and_then(|v| text(&self.path(key), v, found)).unwrap_or_default()
    }

    pub fn optional_text(&mut self, key: &'static str, found: &mut Found<'_>) -> Option<String> {
        let value = self.take(key)?;
        text(&self.path(key), value, found)
    }

    pub fn boolean(&mut self, key: &'static str, default: bool, found: &mut Found<'_>) -> bool {
        match self.take(key) {
            None => default,
            Some(Value::Boolean(value)) => value,
            Some(other) => {
                wrong(&self.path(key), "a boolean", &other, found);
                default
            }
        }
    }

    /// A whole number within bounds.
    pub fn optional_whole(
        &mut self,
        key: &'static str,
        low: i64,
        high: i64,
        found: &mut Found<'_>,
    ) -> Option<u64> {
        let path = self.path(key);
        match self.take(key)? {
            Value::Integer(n) if (low..=high).contains(&n) => u64::try_from(n).ok(),
            Value::Integer(n) => {
                found.add(path, format!("must be between {low} and {high}, not {n}"));
                None
            }
            other => {
                wrong(&path, "an integer", &other, found);
                None
            }
        }
    }

    /// A share from 0 to 1.
    pub fn optional_share(&mut self, key: &'static str, found: &mut Found<'_>) -> Option<f64> {
        let path = self.path(key);
        let share = match self.take(key)? {
            Value::Float(x) => x,
            Value::Integer(n) => n as f64,
            other => {
                wrong(&path, "a number", &other, found);
                return None;
            }
        };
        if !(0.0..=1.0).contains(&share) {
            found.add(path, format!("must be between 0 and 1, not {share}"));
            return None;
        }
        Some(share)
    }

    /// A list of texts, empty where it is absent.
    pub fn texts(&mut self, key: &'static str, found: &mut Found<'_>) -> Vec<String> {
        let path = self.path(key);
        let list = self.list(key, found).into_iter().enumerate();
        list.filter_map(|(i, value)| text(&format!("{path}[{i}]"), value, found)).collect()
    }

    /// A list of any values, empty where it is absent.
    pub fn list(&mut self, key: &'static str, found: &mut Found<'_>) -> Vec<Value> {
        match self.take(key) {
            None => Vec::new(),
            Some(Value::Array(list)) => list,
            Some(other) => {
                wrong(&self.path(key), "a list", &other, found);
                Vec::new()
            }
        }
    }

    /// A table below this one.
    pub fn optional_table(&mut self, key: &'static str, found: &mut Found<'_>) -> Option<Self> {
        let path = self.path(key);
        match self.take(key)? {
            Value::Table(table) => Some(Self::new(path, table)),
            other => {
                wrong(&path, "a table", &other, found);
                None
            }
        }
    }

    /// A list of tables (`[[key]]`), empty where it is absent.
    pub fn tables(&mut self, key: &'static str, found: &mut Found<'_>) -> Vec<Self> {
        let path = self.path(key);
        let mut tables = Vec::new();
        for (i, value) in self.list(key, found).into_iter().enumerate() {
            let path = format!("{path}[{i}]");
            match value {
                Value::Table(table) => tables.push(Self::new(path, table)),
                other => wrong(&path, "a table", &other, found),
            }
        }
        tables
    }

    /// What is left, where the keys are the author's own.
    pub fn rest(self) -> Table {
        self.table
    }

    /// Reports every key that nobody asked for.
    pub fn end(self, found: &mut Found<'_>) {
        for key in self.table.keys() {
            let known = self.known.join(", ");
            found.add(below(&self.path, key), format!("is not a key here; there are {known}"));
        }
    }
}

/// Says that a value has the wrong type.
pub(super) fn wrong(path: &str, expected: &str, value: &Value, found: &mut Found<'_>) {
    found.add(path, format!("must be {expected}, not of type {}", value.type_str()));
}

/// A value as a text that is not blank.
pub(super) fn text(path: &str, value: Value, found: &mut Found<'_>) -> Option<String> {
    match value {
        Value::String(text) if text.trim().is_empty() => {
            found.add(path, "must not be empty");
            None
        }
        Value::String(text) => Some(text),
        other => {
            wrong(path, "a string", &other, found);
            None
        }
    }
}

/// A name that can be part of a path, a metric label or a table key: `a-z 0-9 _ -`, a letter
/// first, at most 64.
pub(super) fn name(path: &str, name: &str, found: &mut Found<'_>) {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    let first = name.chars().next().is_some_and(|c| c.is_ascii_lowercase());
    if !first || name.len() > 64 || !name.chars().all(plain) {
        found.add(path, "must be 1 to 64 of the characters a-z 0-9 _ - and begin with a letter");
    }
}

/// A JSON pointer (RFC 6901), as it is written.
pub(super) fn pointer(path: &str, pointer: &str, found: &mut Found<'_>) {
    if !pointer.is_empty() && !pointer.starts_with('/') {
        found.add(path, "must be a JSON pointer, such as /custom/user_id");
    }
}

/// A TOML value as JSON; dates become texts, numbers that JSON does not have are a problem.
pub(super) fn json(path: &str, value: Value, found: &mut Found<'_>) -> serde_json::Value {
    use serde_json::Value as Json;
    match value {
        Value::String(text) => Json::String(text),
        Value::Integer(n) => n.into(),
        Value::Boolean(b) => b.into(),
        Value::Datetime(at) => Json::String(at.to_string()),
        Value::Float(x) => serde_json::Number::from_f64(x).map_or_else(
            || {
                found.add(path, "is a number that JSON cannot write");
                Json::Null
            },
            Json::Number,
        ),
        Value::Array(list) => Json::Array(
            list.into_iter()
                .enumerate()
                .map(|(i, v)| json(&format!("{path}[{i}]"), v, found))
                .collect(),
        ),
        Value::Table(table) => Json::Object(
            table
                .into_iter()
                .map(|(key, v)| {
                    let path = below(path, &key);
                    (key, json(&path, v, found))
                })
                .collect(),
        ),
    }
}
