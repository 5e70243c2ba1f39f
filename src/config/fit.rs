//! What of a file fits the reference, which is also the schema. What does not is named and left
//! out, so that the rest can be checked in the same run; what only follows from that is not named.

use toml::{Table, Value};

use super::layers::{Below, Problem, join, user_keyed};

/// Keys that may be left out of an entry of a list of tables.
const ROUTE_KEYS: [&str; 5] = ["category", "priority", "source", "language", "queue"];

/// Settings that are a bound for another one.
const BOUNDS: [(&str, &str); 4] = [
    ("resolve.switch_off.of", "resolve.switch_off.at_least"),
    ("resolve.breaker.window", "resolve.breaker.minimum"),
    ("resolve.breaker.open_ms", "resolve.breaker.open_at_most_ms"),
    ("resolve.retries.base_ms", "resolve.retries.cap_ms"),
];

/// Takes what does not fit the reference table at `shape` out of `given`, and notes why. `path` is
/// what the user wrote; `shape` differs from it below keys that the user chose.
pub(super) fn fit(
    path: &str,
    shape: &str,
    reference: &Table,
    given: &mut Table,
    out: &mut Vec<Problem>,
) {
    let below = user_keyed(shape);
    given.retain(|key, value| {
        let path = join(path, key);
        match &below {
            Some(Below::Property | Below::Number | Below::Table) => true,
            Some(Below::Text) => fits(&path, shape, &text(), value, out),
            Some(Below::Like(name)) => {
                let Some(like) = reference.get(*name) else { return true };
                let is_new = !reference.contains_key(key);
                let before = out.len();
                if is_new {
                    complete(&path, like, value, out);
                }
                // One that is new has nothing below it to fall back to.
                fits(&path, &join(shape, name), like, value, out) && !(is_new && out.len() > before)
            }
            None => match reference.get(key) {
                Some(like) => fits(&path, &join(shape, key), like, value, out),
                None => {
                    let known: Vec<&str> = reference.keys().map(String::as_str).collect();
                    let what = format!("is not a setting; there are {}", known.join(", "));
                    out.push(Problem::new(path, what));
                    false
                }
            },
        }
    });
}

fn text() -> Value {
    Value::String(String::new())
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

/// Whether a value is of the type that it has in the reference; a table is one once what does not
/// fit is taken out of it.
fn fits(path: &str, shape: &str, like: &Value, given: &mut Value, out: &mut Vec<Problem>) -> bool {
    match (like, given) {
        (Value::Table(like), Value::Table(given)) => {
            fit(path, shape, like, given, out);
            true
        }
        (Value::Array(like), Value::Array(given)) => {
            // Where the reference has no item, they are texts.
            let like = like.first().cloned().unwrap_or_else(text);
            let mut all = true;
            for (i, item) in given.iter_mut().enumerate() {
                let path = format!("{path}[{i}]");
                if shape == "policy.routes" {
                    fit_route(&path, item, out);
                } else {
                    // All or none: without one item the others would go by other numbers.
                    all &= fits(&path, shape, &like, item, out);
                }
            }
            all
        }
        (Value::Float(_), Value::Integer(_)) => true,
        (like, given) => {
            let same = like.same_type(given);
            if !same {
                let what = format!("must be of type {}, not {}", like.type_str(), given.type_str());
                out.push(Problem::new(path, what));
            }
            same
        }
    }
}

/// Makes a rule one, so that it keeps its place among the others, and notes what was wrong.
fn fit_route(path: &str, route: &mut Value, out: &mut Vec<Problem>) {
    let mut rule = match std::mem::replace(route, text()) {
        Value::Table(rule) => {
            if !rule.contains_key("queue") {
                out.push(Problem::new(join(path, "queue"), "is missing"));
            }
            rule
        }
        _ => {
            out.push(Problem::new(path, "must be a table"));
            Table::new()
        }
    };
    rule.retain(|key, value| {
        let wrong = match (key, value) {
            ("queue", Value::String(_)) => return true,
            ("queue", _) => String::from("must be of type string"),
            (k, Value::Array(list)) if ROUTE_KEYS.contains(&k) => {
                if list.iter().all(Value::is_str) {
                    return true;
                }
                String::from("must be a list of strings")
            }
            (k, _) if ROUTE_KEYS.contains(&k) => String::from("must be a list of strings"),
            _ => format!("is not a setting; there are {}", ROUTE_KEYS.join(", ")),
        };
        out.push(Problem::new(join(path, key), wrong));
        false
    });
    if !rule.contains_key("queue") {
        rule.insert(String::from("queue"), Value::String(String::from("any")));
    }
    *route = Value::Table(rule);
}

/// Whether `found` may be there only because the setting of `cause` was left out.
pub(super) fn follows(found: &Problem, cause: &Problem) -> bool {
    // A variable's path has its name behind it.
    let cause = cause.path.split(" (from ").next().unwrap_or_default();
    let found = found.path.as_str();
    let of_matrix = within(found, "priority") || found.ends_with(".priority");
    within(found, cause)
        || within(cause, found)
        || within(cause, "priority") && of_matrix
        || within(cause, "resolve.hosts") && within(found, "resolve.credentials")
        || BOUNDS.contains(&(cause, found))
}

/// Whether the setting at `path` is the one at `of` or a part of it.
fn within(path: &str, of: &str) -> bool {
    path.strip_prefix(of).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

#[cfg(test)]
mod tests;
