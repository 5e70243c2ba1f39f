//! When an answer counts as success: its status, and what its JSON says.

use std::ops::RangeInclusive;

use serde_json::Value as Json;
use toml::Value;

use super::fields::{self, Fields};
use super::problem::Found;
use super::template::has_marks;
use super::unmet::Unmet;

/// A checked success condition: one of the statuses, and every JSON condition.
#[derive(Clone, Debug, PartialEq)]
pub struct Expect {
    pub status: Vec<RangeInclusive<u16>>,
    pub json: Vec<Condition>,
}

/// A condition on one place of the answer's JSON.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// JSON pointer into the answer.
    pub pointer: String,
    pub test: Test,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    Equals(Json),
    OneOf(Vec<Json>),
    /// Null counts as absent.
    Exists(bool),
}

impl Default for Expect {
    fn default() -> Self {
        Self { status: vec![200..=299], json: Vec::new() }
    }
}

impl Expect {
    /// # Errors
    /// What does not hold, without anything of the answer but its status.
    pub fn holds(&self, status: u16, body: &[u8]) -> Result<(), Unmet> {
        if !self.status.iter().any(|range| range.contains(&status)) {
            return Err(Unmet::Status(status));
        }
        if self.json.is_empty() {
            return Ok(());
        }
        let answer: Json = serde_json::from_slice(body).map_err(|_| Unmet::NotJson)?;
        match self.json.iter().find(|condition| !condition.holds(&answer)) {
            Some(condition) => Err(Unmet::Answer(condition.pointer.clone())),
            None => Ok(()),
        }
    }
}

impl Condition {
    fn holds(&self, answer: &Json) -> bool {
        let value = answer.pointer(&self.pointer).filter(|v| !v.is_null());
        match &self.test {
            Test::Equals(expected) => value == Some(expected),
            Test::OneOf(list) => value.is_some_and(|v| list.contains(v)),
            Test::Exists(expected) => value.is_some() == *expected,
        }
    }
}

/// Reads `success` of a step.
pub(super) fn read(table: Option<Fields>, found: &mut Found<'_>) -> Expect {
    let mut expect = Expect::default();
    let Some(mut table) = table else { return expect };
    let path = table.path("status");
    let status: Vec<_> = table.list("status", found);
    let status = status.into_iter().enumerate();
    let status: Vec<_> =
        status.filter_map(|(i, value)| range(&format!("{path}[{i}]"), &value, found)).collect();
    if !status.is_empty() {
        expect.status = status;
    }
    for item in table.tables("json", found) {
        expect.json.extend(condition(item, found));
    }
    table.end(found);
    expect
}

/// `200`, or `"200-299"`.
fn range(path: &str, value: &Value, found: &mut Found<'_>) -> Option<RangeInclusive<u16>> {
    let (low, high) = match value {
        Value::Integer(n) => (u16::try_from(*n).ok(), u16::try_from(*n).ok()),
        Value::String(text) => match text.split_once('-') {
            Some((low, high)) => (low.trim().parse().ok(), high.trim().parse().ok()),
            None => (text.trim().parse().ok(), text.trim().parse().ok()),
        },
        _ => (None, None),
    };
    match (low, high) {
        (Some(low), Some(high)) if (200..=599).contains(&low) && (low..=599).contains(&high) => {
            if (300..=399).contains(&low) || (300..=399).contains(&high) || low < 300 && high > 399
            {
                found.add(path, "must not take in 300 to 399: redirects are never followed");
            }
            Some(low..=high)
        }
        _ => {
            found.add(path, "must be a status such as 200, or a range such as \"200-299\"");
            None
        }
    }
}

fn condition(mut table: Fields, found: &mut Found<'_>) -> Option<Condition> {
    let pointer = table.text("pointer", found);
    fields::pointer(&table.path("pointer"), &pointer, found);
    let mut tests = Vec::new();
    if let Some(value) = table.take("equals") {
        tests.push(Test::Equals(literal(&table.path("equals"), value, found)));
    }
    let path = table.path("one_of");
    let list = table.list("one_of", found).into_iter().enumerate();
    let list: Vec<Json> =
        list.map(|(i, value)| literal(&format!("{path}[{i}]"), value, found)).collect();
    if !list.is_empty() {
        tests.push(Test::OneOf(list));
    }
    match table.take("exists") {
        None => {}
        Some(Value::Boolean(expected)) => tests.push(Test::Exists(expected)),
        Some(other) => fields::wrong(&table.path("exists"), "a boolean", &other, found),
    }
    if tests.len() != 1 {
        found.add(table.here(), "needs one of equals, one_of, exists");
    }
    table.end(found);
    tests.pop().map(|test| Condition { pointer, test })
}

fn literal(path: &str, value: Value, found: &mut Found<'_>) -> Json {
    let json = fields::json(path, value, found);
    if json.as_str().is_some_and(has_marks) {
        found.add(path, "must be literal: nothing is filled in here");
    }
    json
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expect(toml: &str) -> Expect {
        let mut found = Found::new("f");
        let expect = read(Some(Fields::new("success", toml.parse().expect("TOML"))), &mut found);
        assert_eq!(found.into_list(), []);
        expect
    }

    #[test]
    fn status_and_json_must_hold() {
        let plain = expect("");
        assert_eq!(plain.holds(204, b""), Ok(()));
        assert_eq!(plain.holds(302, b""), Err(Unmet::Status(302)));
        let e = expect(
            "status = [200, '202-203']
             json = [{pointer = '/state', one_of = ['ready', 1]},
                     {pointer = '/error', exists = false}, {pointer = '/n', equals = 0}]",
        );
        assert_eq!(e.holds(203, br#"{"state":"ready","n":0,"error":null}"#), Ok(()));
        assert_eq!(e.holds(201, b"{}"), Err(Unmet::Status(201)));
        assert_eq!(e.holds(200, b"<html>"), Err(Unmet::NotJson));
        for (body, at) in [
            (r#"{"state":"done","n":0}"#, "/state"),
            (r#"{"n":0}"#, "/state"),
            (r#"{"state":1,"error":"x","n":0}"#, "/error"),
            (r#"{"state":1,"n":"0"}"#, "/n"),
        ] {
            assert_eq!(e.holds(200, body.as_bytes()), Err(Unmet::Answer(at.to_owned())), "{body}");
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let mut found = Found::new("f");
        let toml = "status = [99, '200-399', 301]
            json = [{pointer = 'a', equals = 1, exists = true}, {pointer = '/b', equals = '{{x}}'}]";
        read(Some(Fields::new("success", toml.parse().expect("TOML"))), &mut found);
        let problems: Vec<String> = found.into_list().iter().map(ToString::to_string).collect();
        let problems = problems.join("\n");
        for says in [
            "success.status[0]: must be a status",
            "success.status[1]: must not take in 300",
            "success.status[2]: must not take in 300",
            "success.json[0].pointer: must be a JSON pointer",
            "success.json[0]: needs one of",
            "success.json[1].equals: must be literal",
        ] {
            assert!(problems.contains(says), "{says}: {problems}");
        }
    }
}
