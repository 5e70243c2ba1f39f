//! The layers of the configuration: the built-in reference, a file, the environment, flags.
//!
//! `config/default.toml` is complete, so it is also the schema: a key that it does not have is
//! unknown, and a value must have the type that stands there. All problems are found at once.

use std::fmt;

use toml::{Table, Value};

use super::fit::fit;

/// The reference configuration, comments included.
pub const DEFAULT: &str = include_str!("../../config/default.toml");

/// What is wrong with a setting, and where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Dotted path of the setting.
    pub path: String,
    pub what: String,
}

impl Problem {
    pub fn new(path: impl Into<String>, what: impl Into<String>) -> Self {
        Self { path: path.into(), what: what.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.what)
    }
}

/// Tables whose keys the user chooses, and what stands below each key: what the text of a variable
/// or a flag becomes there. What a file holds there is checked later.
#[derive(Clone, Copy)]
pub(super) enum Below {
    Text,
    /// Text, for which a file may hold another simple value.
    Property,
    Number,
    /// A table, which has no form as text.
    Table,
    /// The same shape as the named entry of the reference.
    Like(&'static str),
}

pub(super) fn user_keyed(path: &str) -> Option<Below> {
    match path {
        "kafka.properties" => Some(Below::Property),
        "priority.matrices.itil.impact_aliases"
        | "priority.matrices.itil.urgency_aliases"
        | "priority.matrices.itil.priority_aliases" => Some(Below::Text),
        "policy.thresholds" => Some(Below::Number),
        "kafka.secrets" | "resolve.credentials" => Some(Below::Table),
        "priority.matrices" => Some(Below::Like("itil")),
        _ => None,
    }
}

/// Merges the layers over the reference. `None` instead of a table says that the file is no TOML,
/// so that there is nothing to check.
///
/// `env` are variables (only those that start with `TRIAGED_` count), `sets` are `path=value`. The
/// problems are every unknown key, every wrong type and every variable that was surely meant for a
/// setting, with its path or name; none of these is in the table.
pub fn merge(
    file: Option<&str>,
    env: impl IntoIterator<Item = (String, String)>,
    sets: &[String],
) -> (Option<Table>, Vec<Problem>) {
    let mut problems = Vec::new();
    let mut merged = reference();
    let mut readable = true;
    if let Some(text) = file {
        match text.parse::<Table>() {
            Ok(mut table) => {
                flatten_properties(&mut table, &mut problems);
                fit("", "", &merged, &mut table, &mut problems);
                drop_aliases(&mut merged, &table);
                overlay(&mut merged, table);
            }
            Err(e) => {
                problems.push(Problem::new("(file)", not_toml(text, &e)));
                readable = false;
            }
        }
    }
    let mut env: Vec<_> = env.into_iter().collect();
    env.sort();
    for (name, value) in env {
        let Some(rest) = name.strip_prefix("TRIAGED_") else { continue };
        let Some((section, key)) = rest.split_once("__") else {
            if let Some(meant) = meant(rest) {
                let what = format!("is not read: two underscores make it a setting, as in {meant}");
                problems.push(Problem::new(name, what));
            }
            continue;
        };
        let path = format!("{section}.{}", key.replace("__", ".")).to_lowercase();
        set(&mut merged, &path, &value, &format!("{path} (from {name})"), &mut problems);
    }
    for given in sets {
        match given.split_once('=') {
            Some((path, value)) => set(&mut merged, path, value, path, &mut problems),
            None => problems.push(Problem::new(given, "--set takes section.key=value")),
        }
    }
    (readable.then_some(merged), problems)
}

/// Gives librdkafka's dotted names one key each: without quotes, TOML reads them as tables in
/// tables.
fn flatten_properties(file: &mut Table, out: &mut Vec<Problem>) {
    let Some(Value::Table(kafka)) = file.get_mut("kafka") else { return };
    for section in ["properties", "secrets"] {
        if let Some(Value::Table(nested)) = kafka.get_mut(section) {
            let mut flat = Table::new();
            flatten("", std::mem::take(nested), &mut flat, &mut |name| {
                let path = format!("kafka.{section}.{name}");
                out.push(Problem::new(path, "is given twice, with quotes and without"));
            });
            *nested = flat;
        }
    }
}

fn flatten(prefix: &str, nested: Table, flat: &mut Table, twice: &mut dyn FnMut(&str)) {
    for (key, value) in nested {
        let name = join(prefix, &key);
        match value {
            Value::Table(inner) if !is_source(&inner) => flatten(&name, inner, flat, twice),
            _ if flat.contains_key(&name) => twice(&name),
            _ => {
                flat.insert(name, value);
            }
        }
    }
}

/// Whether this says where a secret comes from.
fn is_source(table: &Table) -> bool {
    !table.is_empty() && table.keys().all(|key| matches!(key.as_str(), "env" | "file"))
}

/// What is wrong with a text that is no TOML, and where. The error's own words would show the line,
/// and a secret with it.
fn not_toml(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start));
    let place = before.map_or_else(String::new, |before| {
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        format!(" at line {line} column {column}")
    });
    format!("is not TOML{place}: {}", error.message())
}

/// The name that a variable without two underscores in a row should surely have: it begins with a
/// section. Others, such as those of a test harness, mean something else.
fn meant(rest: &str) -> Option<String> {
    let (section, key) = rest.split_once('_')?;
    // Kubernetes sets such variables for a service by the name of, for instance, triaged-admin.
    let of_a_service = key.split('_').any(|part| matches!(part, "SERVICE" | "PORT"));
    let known = reference().contains_key(&section.to_lowercase());
    (known && !of_a_service).then(|| format!("TRIAGED_{section}__{key}"))
}

/// Takes the reference's priority aliases away where the file has priorities of its own: they would
/// rank tickets by a list that is gone.
fn drop_aliases(merged: &mut Table, file: &Table) {
    let own = file.get("priority").and_then(|v| v.get("matrices"));
    let own = own.and_then(|v| v.get("itil")).and_then(|v| v.get("priorities"));
    let itil = merged.get_mut("priority").and_then(|v| v.get_mut("matrices"));
    let itil = itil.and_then(|v| v.get_mut("itil")).and_then(Value::as_table_mut);
    if let (Some(own), Some(itil)) = (own, itil)
        && itil.get("priorities") != Some(own)
    {
        itil.insert(String::from("priority_aliases"), Value::Table(Table::new()));
    }
}

/// The reference as a table.
pub fn reference() -> Table {
    // The file is part of the program; a test reads it, so this cannot fail in a build that passed.
    DEFAULT.parse().unwrap_or_default()
}

pub(super) fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// Lays `over` onto `under`: tables merge, everything else replaces.
fn overlay(under: &mut Table, over: Table) {
    for (key, value) in over {
        match (under.get_mut(&key), value) {
            (Some(Value::Table(under)), Value::Table(over)) => overlay(under, over),
            (_, value) => {
                under.insert(key, value);
            }
        }
    }
}

/// Sets one value from text.
fn set(table: &mut Table, path: &str, text: &str, shown: &str, out: &mut Vec<Problem>) {
    let Some((at, key, below)) = find(table, path) else {
        out.push(Problem::new(shown, "is not a setting"));
        return;
    };
    match read(text, below, at.get(key)) {
        Ok(value) => {
            at.insert(key.to_owned(), value);
        }
        Err(what) => out.push(Problem::new(shown, what)),
    }
}

/// The table that a setting stands in, its key there, and what the user may put there.
fn find<'t, 'p>(
    table: &'t mut Table,
    path: &'p str,
) -> Option<(&'t mut Table, &'p str, Option<Below>)> {
    let (mut at, mut shape, mut rest) = (table, String::new(), path);
    loop {
        let below = user_keyed(&shape);
        let next = match below {
            // A key that the user chose can have dots of its own, as librdkafka's properties do.
            Some(Below::Text | Below::Property | Below::Number | Below::Table) => None,
            Some(Below::Like(_)) | None => rest.split_once('.'),
        };
        let Some((name, after)) = next else {
            return (!rest.is_empty()).then_some((at, rest, below));
        };
        let Some(Value::Table(inner)) = at.get_mut(name) else { return None };
        shape = match below {
            Some(Below::Like(like)) => join(&shape, like),
            _ => join(&shape, name),
        };
        (at, rest) = (inner, after);
    }
}

/// A value from text: what the user may put there, else of the type that the setting has now.
fn read(text: &str, below: Option<Below>, now: Option<&Value>) -> Result<Value, String> {
    let of_type =
        |kind: &str, value: Option<Value>| value.ok_or_else(|| format!("must be of type {kind}"));
    let string = || Ok(Value::String(text.to_owned()));
    let float = || of_type("float", text.parse().ok().map(Value::Float));
    let only_in_a_file = || Err(String::from("can only be set in a file"));
    match (below, now) {
        (Some(Below::Text | Below::Property), _) => string(),
        (Some(Below::Number), _) => float(),
        (Some(Below::Table), _) => only_in_a_file(),
        (_, None) => Err(String::from("is not a setting")),
        (_, Some(Value::String(_))) => string(),
        (_, Some(Value::Float(_))) => float(),
        (_, Some(Value::Integer(_))) => of_type("integer", text.parse().ok().map(Value::Integer)),
        (_, Some(Value::Boolean(_))) => of_type("boolean", text.parse().ok().map(Value::Boolean)),
        (_, Some(Value::Array(list))) if list.iter().all(Value::is_str) => Ok(Value::Array(
            text.split(',').map(|item| Value::String(item.trim().to_owned())).collect(),
        )),
        (_, Some(_)) => only_in_a_file(),
    }
}
