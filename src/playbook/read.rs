//! From a playbook's file to a checked [`Playbook`].

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::civil::Date;
use toml::{Table, Value};

use super::fields::{self, Fields};
use super::lock::{Approval, digest};
use super::problem::Found;
use super::template::{Allowed, Template};
use super::{
    Delivery, Mode, Playbook, Problem, Step, Unchanged, Undo, Verify, examples, matching,
    preconditions, slots, step,
};
use crate::resolve::limits::LONGEST_RUN;

/// Reads one file. `file` is its name, for problems.
///
/// # Errors
/// Every problem in it.
pub(super) fn playbook(file: &str, text: &str) -> Result<Playbook, Vec<Problem>> {
    let mut found = Found::new(file);
    let table = match text.parse::<Table>() {
        Ok(table) => table,
        Err(error) => {
            let what = format!("is not TOML: {}", error.to_string().trim_end());
            return Err(vec![Problem::new(file, "", what)]);
        }
    };
    let digest = digest(&table);
    let read = fill(file, digest, Fields::new("", table), &mut found);
    let problems = found.into_list();
    match read {
        Some(playbook) if problems.is_empty() => Ok(playbook),
        _ => Err(problems),
    }
}

fn fill(file: &str, digest: String, mut table: Fields, found: &mut Found<'_>) -> Option<Playbook> {
    let id = table.text("id", found);
    if !id.is_empty() {
        fields::name("id", &id, found);
    }
    let version = whole_version(&mut table, found);
    let title = table.text("title", found);
    let owner = table.text("owner", found);
    let mode =
        one_of(&mut table, "mode", &[Mode::DryRun, Mode::Suggest, Mode::Live], Mode::as_str, found);
    let deliveries = [Delivery::AtLeastOnce, Delivery::AtMostOnce];
    let delivery = one_of(&mut table, "delivery", &deliveries, Delivery::as_str, found);
    let minutes_saved = minutes(&mut table, found);
    let fallback_queue = table.text("fallback_queue", found);
    let approval = table.optional_table("approval", found).and_then(|t| approval(t, found));
    if approval.as_ref().is_some_and(|a| same_person(&a.approver, &owner)) {
        found.add("approval.approver", "must not be the owner: two people have to agree");
    }
    let matching = table.optional_table("match", found);
    let matching = matching::read(matching, found);
    let preconditions = table.optional_table("preconditions", found);
    let preconditions = preconditions::read(preconditions, found);
    let slots = table.optional_table("slots", found);
    let slots = slots::read(slots, found);
    let allowed = Allowed { slots: &slots, reply: false };

    let (unchanged, unread) = unchanged(&mut table, allowed, found);
    let mut steps = Vec::new();
    let mut names = Vec::new();
    let items = table.tables("steps", found);
    if items.is_empty() {
        found.add("steps", "needs at least one [[steps]]");
    }
    for mut item in items {
        if let Some(step) = step::read(&mut item, None, allowed, found) {
            let reserved = ["verify", "undo", "unchanged"].contains(&step.name.as_str());
            if reserved || names.contains(&step.name) {
                found.add(item.path("name"), "must be a name that no other step has");
            }
            names.push(step.name.clone());
            steps.push(step);
        }
        item.end(found);
    }
    let verify = table.optional_table("verify", found);
    let verify = step::read_verify(verify, allowed, found);
    let longest = longest(unchanged.as_ref(), &steps, verify.as_ref());
    if longest > LONGEST_RUN {
        let (may, has) = (longest.as_secs_f64(), LONGEST_RUN.as_secs());
        let what = format!(
            "may take {may} seconds, timeout_ms of [unchanged], [[steps]] and [verify] together with \
             verify.within_seconds, but a playbook has {has}"
        );
        found.add("steps", what);
    }
    let undo = undo(&mut table, allowed, found);
    let reply = reply(&mut table, Allowed { slots: &slots, reply: true }, found);
    let examples = examples::read(table.tables("examples", found), Some(&slots), found);
    let counter_examples = examples::read(table.tables("counter_examples", found), None, found);
    table.end(found);
    Some(Playbook {
        id,
        version: version?,
        title,
        owner,
        mode: mode?,
        delivery: delivery?,
        minutes_saved,
        fallback_queue,
        approval,
        matching,
        preconditions,
        slots,
        unchanged,
        unread,
        steps,
        verify,
        undo: undo?,
        examples,
        counter_examples,
        file: file.to_owned(),
        digest,
        locked: None,
        reply,
    })
}

/// How long it may take to carry a playbook out, by its timeouts and the time of its check, the last
/// request of which may begin at the end of that.
fn longest(unchanged: Option<&Unchanged>, steps: &[Step], verify: Option<&Verify>) -> Duration {
    let steps: Duration = steps.iter().map(|step| step.timeout).sum();
    let unchanged = unchanged.map_or(Duration::ZERO, |unchanged| unchanged.step.timeout);
    let verify = verify.map_or(Duration::ZERO, |verify| verify.within + verify.step.timeout);
    unchanged + steps + verify
}

/// Whether two names mean one person, as far as can be told.
pub(super) fn same_person(a: &str, b: &str) -> bool {
    a.trim().to_lowercase() == b.trim().to_lowercase()
}

fn whole_version(table: &mut Fields, found: &mut Found<'_>) -> Option<u64> {
    match table.required("version", found)? {
        Value::Integer(n) if n >= 1 => u64::try_from(n).ok(),
        Value::Integer(_) => {
            found.add("version", "must be at least 1");
            None
        }
        other => {
            fields::wrong("version", "an integer", &other, found);
            None
        }
    }
}

/// A key that has one of a few values, of which the first is the default.
fn one_of<T: Copy>(
    table: &mut Fields,
    key: &'static str,
    all: &[T],
    name: fn(T) -> &'static str,
    found: &mut Found<'_>,
) -> Option<T> {
    let Some(text) = table.optional_text(key, found) else { return all.first().copied() };
    let value = all.iter().copied().find(|value| name(*value) == text);
    if value.is_none() {
        let names: Vec<String> = all.iter().map(|v| format!("\"{}\"", name(*v))).collect();
        found.add(key, format!("must be one of {}", names.join(", ")));
    }
    value
}

fn minutes(table: &mut Fields, found: &mut Found<'_>) -> f64 {
    let minutes = match table.required("minutes_saved", found) {
        None => return 0.0,
        Some(Value::Integer(n)) => n as f64,
        Some(Value::Float(x)) => x,
        Some(other) => {
            fields::wrong("minutes_saved", "a number", &other, found);
            return 0.0;
        }
    };
    if !(0.0..=1440.0).contains(&minutes) {
        found.add("minutes_saved", "must be between 0 and 1440 minutes");
    }
    minutes
}

fn approval(mut table: Fields, found: &mut Found<'_>) -> Option<Approval> {
    let approver = table.text("approver", found);
    let path = table.path("until");
    let until = match table.required("until", found)? {
        Value::String(text) => text,
        Value::Datetime(at) => at.to_string(),
        other => {
            fields::wrong(&path, "a date", &other, found);
            return None;
        }
    };
    let date = date(&until);
    if date.is_none() {
        found.add(path, "must be a date such as 2027-12-31");
    }
    table.end(found);
    Some(Approval { approver, until: date? })
}

/// A full-date of RFC 3339 and nothing else.
pub(super) fn date(text: &str) -> Option<Date> {
    text.parse::<Date>().ok().filter(|date| date.to_string() == text)
}

/// What reads the ticket again, or why nothing does.
fn unchanged(
    table: &mut Fields,
    allowed: Allowed<'_>,
    found: &mut Found<'_>,
) -> (Option<Unchanged>, Option<String>) {
    let call = "reads the ticket again just before acting";
    let (unchanged, unread) = call_or_reason(table, ("unchanged", call), "unread", found);
    (step::read_unchanged(unchanged, allowed, found), unread)
}

fn undo(table: &mut Fields, allowed: Allowed<'_>, found: &mut Found<'_>) -> Option<Undo> {
    let (undo, irreversible) =
        call_or_reason(table, ("undo", "takes it back"), "irreversible", found);
    let step = step::read_alone(undo, "undo", allowed, found);
    let step = step.map(|step| Undo::Step(Box::new(step)));
    irreversible.map(Undo::Irreversible).or(step)
}

/// The table of a call, which has a name and does something, or the text that says why there is none:
/// one of the two, and not both.
fn call_or_reason(
    table: &mut Fields,
    (call, does): (&'static str, &str),
    reason: &'static str,
    found: &mut Found<'_>,
) -> (Option<Fields>, Option<String>) {
    let why = table.optional_text(reason, found);
    let there = table.optional_table(call, found);
    match (&there, &why) {
        (Some(_), Some(_)) => {
            found.add(reason, format!("contradicts [{call}]: keep one of the two"));
        }
        (None, None) => {
            let what = format!(
                "is missing: add the call that {does}, or say why there is none with {reason} = \"...\""
            );
            found.add(call, what);
        }
        _ => {}
    }
    (there, why)
}

fn reply(
    table: &mut Fields,
    allowed: Allowed<'_>,
    found: &mut Found<'_>,
) -> BTreeMap<String, Template> {
    let mut replies = BTreeMap::new();
    let Some(reply) = table.optional_table("reply", found) else {
        found.add("reply", "is missing: at least en = \"...\"");
        return replies;
    };
    let mut english = false;
    for (language, value) in reply.rest() {
        let path = format!("reply.{language}");
        english |= language == "en";
        if !(2..=3).contains(&language.len()) || !language.bytes().all(|b| b.is_ascii_lowercase()) {
            found.add(&path, "must be a language such as en or ko");
        }
        let Some(text) = fields::text(&path, value, found) else { continue };
        if let Some(template) = Template::read(&path, &text, allowed, found) {
            replies.insert(language, template);
        }
    }
    if !english {
        found.add("reply.en", "is missing: it goes to everyone without a reply in their language");
    }
    replies
}
