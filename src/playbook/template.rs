//! Placeholders, and the three places they may stand in: a text, a JSON body, a URL. Each place
//! writes values its own way, so that a value can never leave the place it was put into.

use std::fmt;

use serde_json::{Map, Value as Json};
use toml::Value;

use super::fields::below;
use super::problem::Found;
use super::slots::{Slot, Slots};

/// What can be filled in. Free text of a ticket cannot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    TicketId,
    PlaybookId,
    IdempotencyKey,
    Slot(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TicketId => f.write_str("ticket.id"),
            Self::PlaybookId => f.write_str("playbook.id"),
            Self::IdempotencyKey => f.write_str("idempotency_key"),
            Self::Slot(name) => write!(f, "slot.{name}"),
        }
    }
}

/// What placeholders stand for in one call.
#[derive(Clone, Copy)]
pub struct Values<'a> {
    pub ticket_id: &'a str,
    pub playbook_id: &'a str,
    pub idempotency_key: &'a str,
    pub slots: &'a Slots,
}

/// Why a call cannot be built from these values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    #[error("there is no value for {0}")]
    NoValue(String),
    #[error("the value of {0} cannot be a part of a path")]
    Path(String),
}

impl Values<'_> {
    fn json(&self, place: &Place) -> Option<Json> {
        match place {
            Place::Slot(name) => self.slots.get(name).map(super::slots::SlotValue::to_json),
            _ => self.text(place).map(Json::String),
        }
    }

    pub(super) fn text(&self, place: &Place) -> Option<String> {
        match place {
            Place::TicketId => Some(self.ticket_id.to_owned()),
            Place::PlaybookId => Some(self.playbook_id.to_owned()),
            Place::IdempotencyKey => Some(self.idempotency_key.to_owned()),
            Place::Slot(name) => self.slots.get(name).map(ToString::to_string),
        }
    }

    pub(super) fn need(&self, place: &Place) -> Result<String, Unfit> {
        self.text(place).ok_or_else(|| Unfit::NoValue(place.to_string()))
    }
}

/// Which placeholders a text may have.
#[derive(Clone, Copy)]
pub(super) struct Allowed<'a> {
    pub slots: &'a [Slot],
    /// Replies go to people: the ticket's id and slots only.
    pub reply: bool,
}

impl Allowed<'_> {
    /// The placeholder of that name. `whole`: it stands alone as a JSON value, which may be null.
    fn place(self, path: &str, name: &str, whole: bool, found: &mut Found<'_>) -> Option<Place> {
        let place = match name.trim() {
            "ticket.id" => Place::TicketId,
            "playbook.id" if !self.reply => Place::PlaybookId,
            "idempotency_key" if !self.reply => Place::IdempotencyKey,
            name => {
                let slot = name.strip_prefix("slot.").unwrap_or_default();
                match self.slots.iter().find(|s| s.name == slot) {
                    Some(slot) if slot.required || whole => Place::Slot(slot.name.clone()),
                    Some(_) => {
                        let what = "names an optional slot, which can only be a whole JSON value";
                        found.add(path, format!("{{{{{name}}}}} {what}"));
                        return None;
                    }
                    None => {
                        let slots = self.slots.iter().map(|s| format!("slot.{}", s.name));
                        let others = ["playbook.id", "idempotency_key"].map(str::to_owned);
                        let others = others.into_iter().filter(|_| !self.reply);
                        let known: Vec<String> = ["ticket.id".to_owned()]
                            .into_iter()
                            .chain(others)
                            .chain(slots)
                            .collect();
                        let known = known.join(", ");
                        found.add(
                            path,
                            format!("{{{{{name}}}}} is nothing to fill in; there are {known}"),
                        );
                        return None;
                    }
                }
            }
        };
        Some(place)
    }
}

/// Whether a text has the marks of a placeholder.
pub(super) fn has_marks(text: &str) -> bool {
    text.contains("{{") || text.contains("}}")
}

/// The name in a text that is one placeholder and nothing else.
fn sole(text: &str) -> Option<&str> {
    text.strip_prefix("{{")?.strip_suffix("}}").filter(|name| !has_marks(name))
}

/// Text with placeholders in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(String),
    Place(Place),
}

impl Template {
    pub(super) fn read(
        path: &str,
        text: &str,
        allowed: Allowed<'_>,
        found: &mut Found<'_>,
    ) -> Option<Self> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(start) = rest.find("{{") {
            let Some(len) = rest[start..].find("}}") else { break };
            parts.push(Part::Literal(rest[..start].to_owned()));
            let name = &rest[start + 2..start + len];
            parts.push(Part::Place(allowed.place(path, name, false, found)?));
            rest = &rest[start + len + 2..];
        }
        parts.push(Part::Literal(rest.to_owned()));
        if parts.iter().any(|p| matches!(p, Part::Literal(text) if has_marks(text))) {
            found.add(path, "has {{ without }} or the reverse");
            return None;
        }
        Some(Self(parts))
    }

    /// # Errors
    /// [`Unfit::NoValue`] for a placeholder without a value.
    pub fn fill(&self, values: &Values<'_>) -> Result<String, Unfit> {
        let mut text = String::new();
        for part in &self.0 {
            match part {
                Part::Literal(literal) => text.push_str(literal),
                Part::Place(place) => text.push_str(&values.need(place)?),
            }
        }
        Ok(text)
    }
}

/// A JSON body with placeholders in its string values. It is filled as a value and written by the
/// JSON writer, so a text cannot leave its string.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Body {
    Literal(Json),
    /// A string that is one placeholder: it becomes the value with its own type.
    Place(Place),
    Text(Template),
    List(Vec<Body>),
    Object(Vec<(String, Body)>),
}

impl Body {
    pub fn read(
        path: &str,
        value: Value,
        allowed: Allowed<'_>,
        found: &mut Found<'_>,
    ) -> Option<Self> {
        match value {
            Value::String(text) => match sole(&text) {
                Some(name) => allowed.place(path, name, true, found).map(Self::Place),
                None => Template::read(path, &text, allowed, found).map(Self::Text),
            },
            Value::Array(list) => {
                let items = list.into_iter().enumerate();
                Some(Self::List(
                    items
                        .filter_map(|(i, v)| Self::read(&format!("{path}[{i}]"), v, allowed, found))
                        .collect(),
                ))
            }
            Value::Table(table) => {
                let mut object = Vec::new();
                for (key, value) in table {
                    let path = below(path, &key);
                    if has_marks(&key) {
                        found.add(&path, "must be literal: only values are filled in");
                    }
                    object.extend(Self::read(&path, value, allowed, found).map(|v| (key, v)));
                }
                Some(Self::Object(object))
            }
            other => Some(Self::Literal(super::fields::json(path, other, found))),
        }
    }

    pub fn fill(&self, values: &Values<'_>) -> Result<Json, Unfit> {
        Ok(match self {
            Self::Literal(value) => value.clone(),
            // Only optional slots can be absent here; reading saw to that.
            Self::Place(place) => values.json(place).unwrap_or(Json::Null),
            Self::Text(template) => Json::String(template.fill(values)?),
            Self::List(list) => {
                Json::Array(list.iter().map(|v| v.fill(values)).collect::<Result<_, _>>()?)
            }
            Self::Object(object) => {
                let filled = object.iter().map(|(k, v)| Ok((k.clone(), v.fill(values)?)));
                Json::Object(filled.collect::<Result<Map<_, _>, Unfit>>()?)
            }
        })
    }
}

/// A literal, or one placeholder that is the whole of it: a path segment, a query value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Literal(String),
    Place(Place),
}

impl Piece {
    pub fn read(
        path: &str,
        text: &str,
        allowed: Allowed<'_>,
        found: &mut Found<'_>,
    ) -> Option<Self> {
        if let Some(name) = sole(text) {
            return allowed.place(path, name, false, found).map(Self::Place);
        }
        if has_marks(text) {
            let what = "a placeholder must be a whole path segment or a whole query value";
            found.add(path, what);
            return None;
        }
        Some(Self::Literal(text.to_owned()))
    }
}
