//! The layers of the configuration: the built-in reference, a file, the environment, flags.
//!
//! `config/default.toml` is complete, so it is also the schema: a key that it does not have is
//! unknown, and a value must have the type that stands there. All problems are found at once.

use std::fmt;

use toml::{Table, Value};

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

/// Tables whose keys the user chooses, and what stands below each key.
enum Below {
    Anything,
    /// The same shape as the named entry of the reference.
    Like(&'static str),
}

fn user_keyed(path: &str) -> Option<Below> {
    match path {
        "kafka.properties" | "kafka.secrets" | "policy.thresholds" | "resolve.credentials" => {
            Some(Below::Anything)
        }
        "priority.matrices" => Some(Below::Like("itil")),
        "priority.matrices.itil.impact_aliases" | "priority.matrices.itil.urgency_aliases" => {
            Some(Below::Anything)
        }
        _ => None,
    }
}

/// Keys that may be left out of an entry of a list of tables.
const ROUTE_KEYS: [&str; 5] = ["category", "priority", "source", "language", "queue"];

/// Merges the layers over the reference.
///
/// `env` are variables (only those that start with `TRIAGED_` count), `sets` are `path=value`.
///
/// # Errors
/// Every unknown key and every wrong type, with its path.
pub fn merge(
    file: Option<&str>,
    env: impl IntoIterator<Item = (String, String)>,
    sets: &[String],
) -> Result<Table, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut merged = reference();
    if let Some(text) = file {
        match text.parse::<Table>() {
            Ok(table) => {
                compare("", "", &merged, &table, &mut problems);
                overlay(&mut merged, table);
            }
            Err(e) => problems.push(Problem::new("(file)", format!("is not TOML: {e}"))),
        }
    }
    let mut env: Vec<_> = env.into_iter().collect();
    env.sort();
    for (name, value) in env {
        let Some(rest) = name.strip_prefix("TRIAGED_") else { continue };
        // Variables of the test harness and the like have no section.
        let Some((section, key)) = rest.split_once("__") else { continue };
        let path = format!("{section}.{}", key.replace("__", ".")).to_lowercase();
        set(&mut merged, &path, &value, &format!("{path} (from {name})"), &mut problems);
    }
    for given in sets {
        match given.split_once('=') {
            Some((path, value)) => set(&mut merged, path, value, path, &mut problems),
            None => problems.push(Problem::new(given, "--set takes section.key=value")),
        }
    }
    if problems.is_empty() { Ok(merged) } else { Err(problems) }
}

/// The reference as a table.
pub fn reference() -> Table {
    // The file is part of the program; a test reads it, so this cannot fail in a build that passed.
    DEFAULT.parse().unwrap_or_default()
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// Compares `given` with the reference table at `shape` and notes what does not fit. `path` is
/// what the user wrote; `shape` differs from it below keys that the user chose.
fn compare(path: &str, shape: &str, reference: &Table, given: &Table, out: &mut Vec<Problem>) {
    let below = user_keyed(shape);
    for (key, value) in given {
        let path = join(path, key);
        match &below {
            Some(Below::Anything) => {}
            Some(Below::Like(name)) => {
                if let Some(like) = reference.get(*name) {
                    compare_value(&path, &join(shape, name), like, value, out);
                    if !reference.contains_key(key) {
                        complete(&path, like, value, out);
                    }
                }
            }
            None => match reference.get(key) {
                Some(like) => compare_value(&path, &join(shape, key), like, value, out),
                None => {
                    let known: Vec<&str> = reference.keys().map(String::as_str).collect();
                    let what = format!("is not a setting; there are {}", known.join(", "));
                    out.push(Problem::new(path, what));
                }
            },
        }
    }
}

/// A new entry has nothing below it to fall back to, so it must have every key but the aliases.
fn complete(path: &str, like: &Value, given: &Value, out: &mut Vec<Problem>) {
    if let (Value::Table(like), Value::Table(given)) = (like, given) {
        let needed = like.keys().filter(|k| !k.ends_with("_aliases"));
        for key in needed.filter(|k| !given.contains_key(*k)) {
            out.push(Problem::new(join(path, key), "is missing"));
        }
    }
}

fn compare_value(path: &str, shape: &str, like: &Value, given: &Value, out: &mut Vec<Problem>) {
    match (like, given) {
        (Value::Table(like), Value::Table(given)) => compare(path, shape, like, given, out),
        (Value::Array(_), Value::Array(given)) if shape == "policy.routes" => {
            for (i, route) in given.iter().enumerate() {
                compare_route(&format!("{path}[{i}]"), route, out);
            }
        }
        (Value::Array(like), Value::Array(given)) => {
            for (i, value) in given.iter().enumerate() {
                if let Some(like) = like.first() {
                    compare_value(&format!("{path}[{i}]"), shape, like, value, out);
                }
            }
        }
        (Value::Float(_), Value::Integer(_)) => {}
        _ if like.same_type(given) => {}
        _ => {
            let what = format!("must be of type {}, not {}", like.type_str(), given.type_str());
            out.push(Problem::new(path, what));
        }
    }
}

fn compare_route(path: &str, route: &Value, out: &mut Vec<Problem>) {
    let Value::Table(route) = route else {
        out.push(Problem::new(path, "must be a table"));
        return;
    };
    for (key, value) in route {
        let path = join(path, key);
        match (key.as_str(), value) {
            ("queue", Value::String(_)) => {}
            ("queue", _) => out.push(Problem::new(path, "must be of type string")),
            (k, Value::Array(list)) if ROUTE_KEYS.contains(&k) => {
                if !list.iter().all(Value::is_str) {
                    out.push(Problem::new(path, "must be a list of strings"));
                }
            }
            (k, _) if ROUTE_KEYS.contains(&k) => {
                out.push(Problem::new(path, "must be a list of strings"));
            }
            _ => {
                let what = format!("is not a setting; there are {}", ROUTE_KEYS.join(", "));
                out.push(Problem::new(path, what));
            }
        }
    }
    if !route.contains_key("queue") {
        out.push(Problem::new(join(path, "queue"), "is missing"));
    }
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

/// Sets one value from text, read by the type that the setting has.
fn set(table: &mut Table, path: &str, text: &str, shown: &str, out: &mut Vec<Problem>) {
    // A librdkafka property has dots of its own.
    let (parents, key) = match path.strip_prefix("kafka.properties.") {
        Some(property) => (vec!["kafka", "properties"], property),
        None => match path.rsplit_once('.') {
            Some((parents, key)) => (parents.split('.').collect(), key),
            None => (Vec::new(), path),
        },
    };
    let mut at = &mut *table;
    for parent in &parents {
        match at.get_mut(*parent) {
            Some(Value::Table(next)) => at = next,
            _ => {
                out.push(Problem::new(shown, "is not a setting"));
                return;
            }
        }
    }
    let value = match at.get(key) {
        _ if parents == ["kafka", "properties"] => Some(Value::String(text.to_owned())),
        Some(Value::String(_)) => Some(Value::String(text.to_owned())),
        Some(Value::Integer(_)) => text.parse().ok().map(Value::Integer),
        Some(Value::Float(_)) => text.parse().ok().map(Value::Float),
        Some(Value::Boolean(_)) => text.parse().ok().map(Value::Boolean),
        Some(Value::Array(list)) if list.iter().all(Value::is_str) => Some(Value::Array(
            text.split(',').map(|item| Value::String(item.trim().to_owned())).collect(),
        )),
        Some(_) => {
            out.push(Problem::new(shown, "can only be set in a file"));
            return;
        }
        None => {
            out.push(Problem::new(shown, "is not a setting"));
            return;
        }
    };
    match value {
        Some(value) => {
            at.insert(key.to_owned(), value);
        }
        None => {
            let kind = at.get(key).map_or("", Value::type_str);
            out.push(Problem::new(shown, format!("must be of type {kind}")));
        }
    }
}
