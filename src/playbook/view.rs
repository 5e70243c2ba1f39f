//! What a playbook may look at of a ticket.

use serde_json::Value;

use super::problem::Found;
use crate::triage::text::language::language;
use crate::triage::text::window;
use crate::triage::ticket::Ticket;

/// A ticket with its JSON parsed, so that pointers reach the desk's own fields.
#[derive(Clone)]
pub struct TicketView<'a> {
    pub id: &'a str,
    pub subject: &'a str,
    pub body: &'a str,
    pub source: &'a str,
    /// As reported, else by the script of the text, as triage does it.
    pub language: &'a str,
    /// The ticket's JSON object as it came.
    pub json: &'a Value,
}

impl<'a> TicketView<'a> {
    /// The view of a ticket; `json` is its `original` text, parsed.
    pub fn new(ticket: &'a Ticket<'_>, json: &'a Value) -> Self {
        let language = ticket.language.as_deref();
        Self {
            id: &ticket.id,
            subject: &ticket.subject,
            body: &ticket.body,
            source: &ticket.source,
            language: language.unwrap_or_else(|| written(&ticket.subject, &ticket.body)),
            json,
        }
    }

    /// The value at a JSON pointer; null counts as absent.
    pub fn at(&self, pointer: &str) -> Option<&'a Value> {
        self.json.pointer(pointer).filter(|value| !value.is_null())
    }
}

// Ticket text must never reach a log line.
impl std::fmt::Debug for TicketView<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TicketView({} bytes of text)", self.subject.len() + self.body.len())
    }
}

/// What triage found out about a ticket, and when it is judged: what no ticket says of itself.
/// Conditions on what is `None` do not hold.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts<'a> {
    pub category: Option<&'a str>,
    /// The decided priority; its place in `priorities`.
    pub priority: Option<usize>,
    /// The matrix' priorities, the highest first.
    pub priorities: &'a [std::sync::Arc<str>],
    pub now: Option<jiff::Timestamp>,
}

/// The language of a subject and a body by their scripts.
pub(super) fn written(subject: &str, body: &str) -> &'static str {
    let (head, tail) = window(body);
    language(&[subject, head, tail].join("\n")).as_str()
}

/// A made-up ticket of a playbook's example: a full ticket, so that nothing is tested that the
/// desk's parser would refuse.
pub(super) fn example_json(
    subject: &str,
    body: &str,
    fields: serde_json::Map<String, Value>,
    path: &str,
    found: &mut Found<'_>,
) -> Value {
    let mut ticket = serde_json::json!({
        "ticket_id": "EXAMPLE-1",
        "created_at": "2026-01-01T00:00:00Z",
        "requester": null,
        "source": "portal",
    });
    if let Some(object) = ticket.as_object_mut() {
        object.extend(fields);
        object.insert("subject".to_owned(), subject.into());
        object.insert("body".to_owned(), body.into());
    }
    if let Err(malformed) = crate::desk::parse_text(&ticket.to_string()) {
        found.add(path, format!("would be no ticket: {malformed}"));
    }
    ticket
}
