//! Slots: the values a playbook needs from a ticket, each found by a strict pattern.

use std::collections::BTreeMap;
use std::fmt;

use regex::Regex;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::boundary::{each_whole, ends_a_sentence, is_safe};
use super::fields::{self, Fields};
use super::problem::Found;
use super::view::TicketView;

/// The longest value of a slot, in characters.
pub const MAX_CHARS: usize = 128;

/// Who reported the ticket.
const REQUESTER: &str = "/requester";
const HOSTNAME: &str = r"[a-zA-Z0-9]([a-zA-Z0-9-]{0,30}[a-zA-Z0-9])?(\.[a-zA-Z0-9]([a-zA-Z0-9-]{0,30}[a-zA-Z0-9])?){0,2}";
const EMAIL: &str =
    r"[a-zA-Z0-9][a-zA-Z0-9._%+-]{0,59}@[a-zA-Z0-9-]{1,30}(\.[a-zA-Z0-9-]{1,20}){1,3}";
/// Fits nothing: for a slot whose own pattern was refused.
const NEVER: &str = "[a&&b]";
const INTEGER: &str = "-?[0-9]{1,18}";

/// A checked slot.
#[derive(Clone, Debug)]
pub struct Slot {
    pub name: String,
    pub kind: Kind,
    pub required: bool,
    /// Values are brought to lower case (ASCII) before the pattern looks at them.
    lowercase: bool,
    /// The text must not name another value than the one that a field has.
    agree: bool,
    from: Vec<From>,
    /// The patterns that a whole value has to fit, and the same for how a value begins.
    whole: Vec<Regex>,
    begin: Regex,
}

/// What a slot's value is; a pattern of the playbook's own may narrow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    /// A number in JSON bodies.
    Integer,
    Email,
    Hostname,
}

/// Where a value may come from, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
enum From {
    Pointer(String),
    Text,
}

/// A slot's value. An integer is written as a number into bodies.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(untagged)]
pub enum SlotValue {
    Integer(i64),
    Text(String),
}

impl fmt::Display for SlotValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(n) => write!(f, "{n}"),
            Self::Text(text) => f.write_str(text),
        }
    }
}

impl SlotValue {
    pub fn to_json(&self) -> Value {
        match self {
            Self::Integer(n) => (*n).into(),
            Self::Text(text) => text.as_str().into(),
        }
    }
}

/// The values found in one ticket, by slot.
pub type Slots = BTreeMap<String, SlotValue>;

/// Why a slot has no value. A closed list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// Nothing in the ticket fits the pattern.
    Absent,
    /// The text has more than one value that fits.
    Ambiguous,
    /// The structured field names another value than the text, or one that does not fit.
    Differs,
}

impl Why {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Ambiguous => "ambiguous",
            Self::Differs => "differs",
        }
    }
}

/// The required slots that a ticket does not give, with why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no value for {}", .0.iter().map(|(name, why)| format!("{name} ({})", why.as_str())).collect::<Vec<_>>().join(", "))]
pub struct MissingSlots(pub Vec<(String, Why)>);

impl Slot {
    /// Looks for the value in a ticket: fields first, then the text.
    fn find(&self, ticket: &TicketView<'_>) -> Result<SlotValue, Why> {
        let mut why = Why::Absent;
        for from in &self.from {
            let found = match from {
                From::Pointer(pointer) => {
                    let value = ticket.at(pointer).filter(|value| !is_blank(value));
                    let found = value.and_then(|v| self.structured(v));
                    if self.agree && found.is_none() && value.is_some() && pointer != REQUESTER {
                        // The field names something else than the playbook takes: whose it is, a
                        // person has to say. Who reports need not be what the text is about.
                        return Err(Why::Differs);
                    }
                    found.ok_or(Why::Absent)
                }
                From::Text => self.in_text(ticket),
            };
            match found {
                Ok(value) if self.agree && *from != From::Text => {
                    return match self.in_text(ticket) {
                        Err(Why::Absent) => Ok(value),
                        Ok(other) if other == value => Ok(value),
                        _ => Err(Why::Differs),
                    };
                }
                Ok(value) => return Ok(value),
                Err(worse) => why = worse,
            }
        }
        Err(why)
    }

    fn structured(&self, value: &Value) -> Option<SlotValue> {
        match value {
            Value::String(text) => self.value(text.trim()),
            Value::Number(number) if number.is_i64() => self.value(&number.to_string()),
            _ => None,
        }
    }

    /// A text as this slot's value, if the whole of it fits.
    pub fn value(&self, text: &str) -> Option<SlotValue> {
        let text = if self.lowercase { text.to_ascii_lowercase() } else { text.to_owned() };
        if text.chars().count() > MAX_CHARS || !text.chars().all(is_safe) {
            return None;
        }
        if !self.whole.iter().all(|pattern| pattern.is_match(&text)) {
            return None;
        }
        match self.kind {
            // Bodies get a number: a text that no number is written as, such as 007, would be lost.
            Kind::Integer => {
                let number = text.parse().ok().filter(|n: &i64| n.to_string() == text);
                number.map(SlotValue::Integer)
            }
            Kind::Text | Kind::Email | Kind::Hostname => Some(SlotValue::Text(text)),
        }
    }

    /// The one value that subject and body name, however often.
    fn in_text(&self, ticket: &TicketView<'_>) -> Result<SlotValue, Why> {
        let mut only: Option<SlotValue> = None;
        for written in [ticket.subject, ticket.body] {
            let folded;
            let text = if self.lowercase {
                folded = written.to_ascii_lowercase();
                &folded
            } else {
                written
            };
            let several = each_whole(text, &self.begin, |place| {
                // Looked for as it is written: lower case would hide the capital.
                if self.kind != Kind::Email && ends_a_sentence(&written[place.clone()]) {
                    return true;
                }
                match self.value(&text[place]) {
                    Some(value) => only.get_or_insert_with(|| value.clone()) == &value,
                    None => true,
                }
            });
            if several.is_err() {
                return Err(Why::Ambiguous);
            }
        }
        only.ok_or(Why::Absent)
    }
}

/// Whether a field is there in name only.
fn is_blank(value: &Value) -> bool {
    value.is_null() || value.as_str().is_some_and(|text| text.trim().is_empty())
}

/// The values of all `slots` in a ticket; optional ones may be absent.
pub(super) fn find(slots: &[Slot], ticket: &TicketView<'_>) -> Result<Slots, MissingSlots> {
    let mut found = Slots::new();
    let mut missing = Vec::new();
    for slot in slots {
        match slot.find(ticket) {
            Ok(value) => {
                found.insert(slot.name.clone(), value);
            }
            Err(Why::Absent) if !slot.required => {}
            Err(why) => missing.push((slot.name.clone(), why)),
        }
    }
    if missing.is_empty() { Ok(found) } else { Err(MissingSlots(missing)) }
}

/// Reads `[slots.NAME]` tables.
pub(super) fn read(table: Option<Fields>, found: &mut Found<'_>) -> Vec<Slot> {
    let Some(table) = table else { return Vec::new() };
    let base = table.here().to_owned();
    let mut slots = Vec::new();
    for (name, value) in table.rest() {
        let path = format!("{base}.{name}");
        fields::name(&path, &name, found);
        match value {
            toml::Value::Table(table) => {
                slots.extend(slot(name, Fields::new(path, table), found));
            }
            other => fields::wrong(&path, "a table", &other, found),
        }
    }
    slots
}

fn slot(name: String, mut table: Fields, found: &mut Found<'_>) -> Option<Slot> {
    let kind = match table.optional_text("type", found).as_deref() {
        None | Some("string") => Kind::Text,
        Some("integer") => Kind::Integer,
        Some("email") => Kind::Email,
        Some("hostname") => Kind::Hostname,
        Some(_) => {
            let what = "must be \"string\", \"integer\", \"email\" or \"hostname\"";
            found.add(table.path("type"), what);
            Kind::Text
        }
    };
    let builtin = match kind {
        Kind::Text => None,
        Kind::Integer => Some(INTEGER),
        Kind::Email => Some(EMAIL),
        Kind::Hostname => Some(HOSTNAME),
    };
    let own = table.optional_text("pattern", found);
    let path = table.path("pattern");
    if kind == Kind::Text && own.is_none() {
        found.add(&path, "is missing: a string needs one");
    }
    let own = own.filter(|own| bounded(&path, own, found));
    let required = table.boolean("required", true, found);
    let lowercase = table.boolean("lowercase", false, found);
    let agree = table.boolean("agree", false, found);
    let from = sources(&mut table, found);
    table.end(found);
    let patterns = || own.as_deref().into_iter().chain(builtin);
    let whole = patterns().filter_map(|p| Regex::new(&format!(r"\A(?:{p})\z")).ok()).collect();
    let begin = Regex::new(&format!(r"\A(?:{})", patterns().next().unwrap_or(NEVER))).ok()?;
    Some(Slot { name, kind, required, lowercase, agree, from, whole, begin })
}

fn sources(table: &mut Fields, found: &mut Found<'_>) -> Vec<From> {
    let path = table.path("from");
    let mut sources = Vec::new();
    for (i, text) in table.texts("from", found).into_iter().enumerate() {
        let path = format!("{path}[{i}]");
        let source = match text.as_str() {
            "text" => From::Text,
            "requester" => From::Pointer(REQUESTER.to_owned()),
            pointer if pointer.starts_with('/') => From::Pointer(text),
            _ => {
                let what = "must be \"requester\", \"text\" or a JSON pointer into the ticket, \
                            such as /custom/user_id";
                found.add(path, what);
                continue;
            }
        };
        if matches!(&source, From::Pointer(p) if p == "/subject" || p == "/body") {
            found.add(path, "the subject and the body are read by \"text\"");
        } else if sources.last() == Some(&From::Text) {
            found.add(path, "must stand before \"text\": what a field says goes first");
        } else if sources.contains(&source) {
            found.add(path, "stands twice");
        }
        sources.push(source);
    }
    if sources.is_empty() {
        found.add(path, "must name at least one place: a field of the ticket or \"text\"");
    }
    sources
}

/// Whether a pattern is a regular expression that takes at least one and at most [`MAX_CHARS`]
/// characters.
fn bounded(path: &str, pattern: &str, found: &mut Found<'_>) -> bool {
    let hir = match regex_syntax::parse(pattern) {
        Ok(hir) => hir,
        Err(error) => {
            let last = error.to_string();
            let last = last.lines().last().unwrap_or_default().trim_start_matches("error: ");
            found.add(path, format!("is no regular expression: {last}"));
            return false;
        }
    };
    let properties = hir.properties();
    // Lengths are in bytes; a character has up to four.
    let longest = properties.maximum_len().filter(|n| *n <= MAX_CHARS * 4);
    if properties.minimum_len().is_none_or(|n| n == 0) {
        found.add(path, "can match nothing at all: say what must be there");
    } else if !properties.look_set().is_empty() {
        found.add(path, "must not have anchors or word boundaries: the whole value has to fit it");
    } else if longest.is_none() {
        let what = format!("has no upper length of {MAX_CHARS}: write {{1,32}} instead of + or *");
        found.add(path, what);
    } else if let Err(error) = Regex::new(&format!(r"\A(?:{pattern})\z")) {
        found.add(path, format!("is no usable regular expression: {error}"));
    } else {
        return true;
    }
    false
}

#[cfg(test)]
mod tests;
