//! Values that must never be printed.

use std::fmt;

/// A setting's value that `Debug` hides, so that no log line or error can show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself, for the one place that needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Fetches a secret from where the configuration says; the message never shows a value.
pub(super) fn secret(from: &toml::Value) -> Result<Secret, String> {
    let one = from.as_table().filter(|t| t.len() == 1).and_then(|t| t.iter().next());
    match one {
        Some((kind, toml::Value::String(name))) if kind == "env" => std::env::var(name)
            .map(Secret::new)
            .map_err(|_| format!("the environment variable {name} is not set")),
        Some((kind, toml::Value::String(path))) if kind == "file" => std::fs::read_to_string(path)
            .map(|text| Secret::new(text.trim_end_matches(['\r', '\n'])))
            .map_err(|e| format!("cannot read {path}: {e}")),
        _ => Err(String::from("must be { env = \"NAME\" } or { file = \"PATH\" }")),
    }
}
