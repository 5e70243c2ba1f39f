//! What the resolve stage reads: actions and undo orders from one topic, feedback from another.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::desk;
use crate::log::{Origin, Record};
use crate::playbook::{Library, Playbook, Slots, TicketView, Values};
use crate::resolve::admissions::Asked;
use crate::resolve::guard::Guard;
use crate::triage::ticket::Malformed;

/// Namespace of the idempotency keys (UUIDv5).
const KEY_NAMESPACE: Uuid = Uuid::from_u128(0x2f0b_6f0e_51c5_5a4b_8d3c_77b1_90ce_42d7);

/// All members of an event, their values as they were written.
pub type Members = BTreeMap<String, Box<RawValue>>;

/// A request to act, as routing wrote it. Read once, with all that is made of it later.
pub struct Action {
    pub ticket_id: String,
    pub queue: String,
    pub language: String,
    pub category: String,
    pub priority: String,
    pub known_request: Wanted,
    /// There only if the playbook's effect is to be taken back.
    pub undo: Option<UndoOrder>,
    pub members: Members,
    origin: Origin,
    subject: String,
    body: String,
    source: String,
    /// The ticket's JSON object.
    ticket: Value,
    /// Of the ticket as it came.
    content: u64,
}

/// The members that an action must have.
#[derive(Deserialize)]
struct Written<'a> {
    ticket_id: String,
    queue: String,
    language: String,
    category: Labelled,
    priority: Labelled,
    known_request: Wanted,
    #[serde(borrow)]
    ticket: &'a RawValue,
    undo: Option<UndoOrder>,
}

#[derive(Deserialize)]
struct Labelled {
    label: String,
}

/// The playbook that was chosen, with its values.
#[derive(Clone, Debug, Deserialize)]
pub struct Wanted {
    pub playbook: String,
    pub version: u64,
    pub slots: Slots,
}

/// Who wants a playbook's effect taken back.
#[derive(Clone, Debug, Deserialize, serde::Serialize)]
pub struct UndoOrder {
    pub by: String,
}

impl Action {
    /// Reads an action from a record's value.
    ///
    /// # Errors
    /// [`Malformed`] if it is none, or its ticket is none.
    pub fn read(record: &Record) -> Result<Self, Malformed> {
        let members = parse(record)?;
        let written: Written<'_> = parse(record)?;
        let text = written.ticket.get();
        let ticket = serde_json::from_str(text).map_err(|error| misplaced(&error))?;
        let parsed = desk::parse_text(text)?;
        Ok(Self {
            ticket_id: written.ticket_id,
            queue: written.queue,
            language: written.language,
            category: written.category.label,
            priority: written.priority.label,
            known_request: written.known_request,
            undo: written.undo,
            members,
            origin: record.origin.clone(),
            subject: parsed.subject.into_owned(),
            body: parsed.body.into_owned(),
            source: parsed.source.into_owned(),
            ticket,
            content: digest(text),
        })
    }

    /// The same for every attempt at this ticket's step, before and after a crash. An undo that failed
    /// may be ordered again, and a runbook must not answer that with what it remembers: each order has
    /// a key of its own.
    pub fn key(&self, step: &str) -> String {
        let Wanted { playbook, version, .. } = &self.known_request;
        let order = self.undo.as_ref().map_or_else(String::new, |_| format!("\0{}", self.origin));
        let name = format!("{}\0{playbook}\0{version}\0{step}{order}", self.ticket_id);
        Uuid::new_v5(&KEY_NAMESPACE, name.as_bytes()).hyphenated().to_string()
    }

    /// The playbook in the version that was asked for.
    pub fn playbook<'l>(&self, library: &'l Library) -> Option<&'l Playbook> {
        let wanted = &self.known_request;
        library.get(&wanted.playbook).filter(|p| p.version == wanted.version)
    }

    /// What the playbook may look at.
    pub fn view(&self) -> TicketView<'_> {
        TicketView {
            id: &self.ticket_id,
            subject: &self.subject,
            body: &self.body,
            source: &self.source,
            language: &self.language,
            json: &self.ticket,
        }
    }

    /// What placeholders stand for, but the key of a step.
    pub fn values(&self) -> Values<'_> {
        Values {
            ticket_id: &self.ticket_id,
            playbook_id: &self.known_request.playbook,
            idempotency_key: "",
            slots: &self.known_request.slots,
        }
    }

    /// What the ledger and the caps want to know.
    pub fn asked(&self) -> Asked<'_> {
        // A ticket always says when it was created; if not, it is as old as can be.
        let created = self.ticket["created_at"].as_str().and_then(|at| at.parse().ok());
        Asked {
            ticket: &self.ticket_id,
            content: self.content,
            requester: digest(&requester(&self.ticket, &self.ticket_id)),
            playbook: &self.known_request.playbook,
            created_ms: created.map_or(i64::MIN, Timestamp::as_millisecond),
        }
    }
}

/// What a desk tells about a ticket that was resolved; at least one of the two must be there.
#[derive(Deserialize)]
pub struct Feedback {
    pub ticket_id: String,
    /// What the requester says; absent where nobody asked.
    pub helped: Option<bool>,
    pub reopened: Option<bool>,
    #[serde(skip)]
    pub members: Members,
}

impl Feedback {
    /// Reads feedback from a record's value.
    ///
    /// # Errors
    /// [`Malformed`] if it is none, or says nothing that is understood.
    pub fn read(record: &Record) -> Result<Self, Malformed> {
        let feedback = Self { members: parse(record)?, ..parse(record)? };
        if feedback.helped.is_none() && feedback.reopened.is_none() {
            // A misspelt member must not pass for a requester who has nothing to complain of.
            return Err(Malformed::MissingMember("\"helped\" or \"reopened\", true or false"));
        }
        Ok(feedback)
    }

    /// Why a person has to look at the ticket again, in words; none if nobody has to.
    pub fn complaint(&self) -> Option<&'static str> {
        match (self.helped, self.reopened) {
            (Some(false), Some(true)) => {
                Some("the requester says that it did not help, and the ticket was reopened")
            }
            (Some(false), _) => Some(Guard::NotHelped.detail()),
            (_, Some(true)) => Some(Guard::Reopened.detail()),
            _ => None,
        }
    }
}

fn parse<'a, T: Deserialize<'a>>(record: &'a Record) -> Result<T, Malformed> {
    let value = record.value.as_deref().filter(|v| !v.is_empty()).ok_or(Malformed::Empty)?;
    let text = std::str::from_utf8(value)
        .map_err(|error| Malformed::NotUtf8 { at: error.valid_up_to() })?;
    serde_json::from_str(text).map_err(|error| misplaced(&error))
}

/// Where it is wrong; what stands there may be a ticket's.
fn misplaced(error: &serde_json::Error) -> Malformed {
    Malformed::NotJson(format!(
        "as an action or feedback it is wrong at line {} column {}",
        error.line(),
        error.column()
    ))
}

/// Who asks, in one spelling. A ticket that does not say stands for itself alone.
fn requester(ticket: &Value, ticket_id: &str) -> String {
    let plain = |value: &Value| match value {
        Value::String(text) => Some(text.trim().to_lowercase()).filter(|text| !text.is_empty()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let named = match &ticket["requester"] {
        Value::Null => None,
        Value::Object(of) if !of.is_empty() => {
            let names = ["id", "email", "name"].into_iter();
            let name = names.filter_map(|name| of.get(name)).find_map(plain);
            name.or_else(|| serde_json::to_string(of).ok())
        }
        value @ (Value::Bool(_) | Value::Array(_)) => Some(value.to_string()),
        value => plain(value),
    };
    // No requester begins with a zero character, so no ticket counts as one.
    named.unwrap_or_else(|| format!("\0{ticket_id}"))
}

fn digest(text: &str) -> u64 {
    let hash = Sha256::digest(text.as_bytes());
    hash.iter().take(8).fold(0, |n, byte| n << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_requester_counts_as_one_in_every_spelling() {
        let of = |value: Value| requester(&json!({ "requester": value }), "T-1");
        for (one, same) in [
            (json!("Kim@x"), json!("kim@x ")),
            (json!("Kim@x"), json!({ "email": "KIM@x", "name": "Kim" })),
            (json!({ "id": 7, "email": "kim@x" }), json!({ "email": "lee@x", "id": "7" })),
            (json!({ "id": null, "name": "Kim" }), json!({ "name": " kim", "id": "" })),
            (json!({ "a": 1, "b": 2 }), json!({ "b": 2, "a": 1 })),
            (json!(7), json!("7")),
        ] {
            assert_eq!(of(one.clone()), of(same.clone()), "{one} {same}");
        }
        for (one, other) in [
            (json!("kim@x"), json!("lee@x")),
            (json!({ "a": 1 }), json!({ "a": 2 })),
            (json!({ "id": 7, "name": "Kim" }), json!({ "id": 8, "name": "Kim" })),
        ] {
            assert_ne!(of(one.clone()), of(other.clone()), "{one} {other}");
        }
    }

    #[test]
    fn feedback_says_something_or_is_none() {
        let read = |value: Value| {
            Feedback::read(&Record {
                origin: crate::log::Origin { topic: "f".into(), partition: 0, offset: 0 },
                key: None,
                value: Some(value.to_string().into_bytes()),
                headers: Vec::new(),
                timestamp_ms: None,
            })
        };
        let not_helped = "the requester says that it did not help";
        for (said, complaint) in [
            (json!({ "ticket_id": "T", "helped": true }), None),
            (json!({ "ticket_id": "T", "helped": false }), Some(not_helped)),
            (json!({ "ticket_id": "T", "helped": false, "reopened": false }), Some(not_helped)),
            (json!({ "ticket_id": "T", "reopened": false }), None),
            (
                json!({ "ticket_id": "T", "reopened": true, "helped": null }),
                Some("the ticket was reopened"),
            ),
            (
                json!({ "ticket_id": "T", "reopened": true, "helped": true }),
                Some("the ticket was reopened"),
            ),
            (
                json!({ "ticket_id": "T", "reopened": true, "helped": false }),
                Some("the requester says that it did not help, and the ticket was reopened"),
            ),
        ] {
            let feedback = read(said.clone()).unwrap_or_else(|error| panic!("{said}: {error}"));
            assert_eq!(feedback.complaint(), complaint, "{said}");
        }
        for nothing in [
            json!({ "ticket_id": "T" }),
            json!({ "ticket_id": "T", "reopen": true }),
            json!({ "ticket_id": "T", "helped": null, "Reopened": true }),
        ] {
            let Err(error) = read(nothing.clone()) else { panic!("{nothing}") };
            assert!(Malformed::REASONS.contains(&error.reason()), "{error}");
            let error = error.to_string();
            assert!(error.contains("\"helped\"") && error.contains("\"reopened\""), "{error}");
        }
    }

    #[test]
    fn where_nobody_is_named_each_ticket_counts_by_itself() {
        for ticket in [json!({}), json!({ "requester": null }), json!({ "requester": " " })] {
            assert_eq!(requester(&ticket, "T-1"), requester(&ticket, "T-1"), "{ticket}");
            assert_ne!(requester(&ticket, "T-1"), requester(&ticket, "T-2"), "{ticket}");
        }
    }
}
