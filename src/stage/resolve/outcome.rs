//! What came of an action, as events: the outcome, and for people the ticket with its queue.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;

use super::input::{Members, UndoOrder};
use crate::log::{Headers, Outgoing, Record};
use crate::resolve::guard::Guard;
use crate::stage::event::{self, HandedBack, Keep};
use crate::triage::decision;
use crate::triage::ticket::Malformed;

pub const OUTCOME_TYPE: &str = "triaged.ticket.outcome.v1";
pub const CAME_BACK_TYPE: &str = "triaged.ticket.came_back.v1";

/// What became of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Came {
    /// The playbook went through.
    Done,
    /// The same ticket was acted on before; nothing was called.
    AlreadyHandled,
    /// People have to do it.
    HandedBack,
    /// The runbook was called and nobody knows what it did; people have to look.
    Unknown,
    /// The effect was taken back.
    Undone,
    /// The effect was to be taken back and was not.
    NotUndone,
}

impl Came {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::AlreadyHandled => "already_handled",
            Self::HandedBack => "handed_back",
            Self::Unknown => "unknown",
            Self::Undone => "undone",
            Self::NotUndone => "not_undone",
        }
    }

    /// Whether the ticket goes to people as well.
    pub fn goes_to_people(self) -> bool {
        matches!(self, Self::HandedBack | Self::Unknown)
    }
}

/// The outcome event's data, besides the ticket and the action that it answers.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Outcome<'a> {
    pub ticket_id: &'a str,
    pub outcome: Came,
    pub playbook: &'a str,
    pub version: u64,
    /// Why it was not done; null if it was.
    pub reason: Option<Guard>,
    /// The same in words, with what failed.
    pub detail: Option<String>,
    /// The reason of the call that failed, as in the metrics.
    pub failure: Option<&'static str>,
    /// The idempotency key of the first step; null where nothing was called.
    pub idempotency_key: Option<String>,
    /// When the runbook was called, in milliseconds since 1970.
    pub called_ms: Option<i64>,
    /// Requests that were sent, repetitions included.
    pub requests: u32,
    /// How long the calls took.
    pub seconds: f64,
    /// What the requester is to be told, in the ticket's language.
    pub reply: Option<String>,
    /// Who wanted it taken back.
    pub undo: Option<UndoBy<'a>>,
}

impl<'a> Outcome<'a> {
    /// What came of a record for which nothing was called.
    pub fn uncalled(ticket_id: &'a str, outcome: Came, playbook: &'a str, version: u64) -> Self {
        Self {
            ticket_id,
            outcome,
            playbook,
            version,
            reason: None,
            detail: None,
            failure: None,
            idempotency_key: None,
            called_ms: None,
            requests: 0,
            seconds: 0.0,
            reply: None,
            undo: None,
        }
    }
}

/// Who ordered an undo.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct UndoBy<'a> {
    pub by: &'a str,
}

impl<'a> From<&'a UndoOrder> for UndoBy<'a> {
    fn from(order: &'a UndoOrder) -> Self {
        Self { by: &order.by }
    }
}

/// Writes the stage's events.
pub struct Writer {
    pub outcomes: Arc<str>,
    pub ledger: Arc<str>,
    pub dead: Arc<str>,
    /// `source` of the events.
    pub source: String,
}

impl Writer {
    /// The outcome of an action: its own members, then what the action said.
    pub fn outcome(&self, record: &Record, outcome: &Outcome<'_>, action: &Members) -> Outgoing {
        const KEPT: [&str; 6] =
            ["known_request", "queue", "category", "priority", "language", "ticket"];
        let said = action.iter().filter(|(name, _)| KEPT.contains(&name.as_str()));
        let said = said.map(|(name, value)| (name.as_str(), &**value)).collect();
        let topic = Arc::clone(&self.outcomes);
        let data = Event { own: outcome, said };
        self.event(record, outcome.ticket_id, OUTCOME_TYPE, topic, &data)
    }

    /// The ticket for people: what was `said` of it, which is its decision or the feedback about it,
    /// with the queue to fall back to and why it was handed back.
    pub fn handed_back(
        &self,
        record: &Record,
        outcome: &Outcome<'_>,
        said: &Members,
        queue: &str,
        topic: Arc<str>,
    ) -> Outgoing {
        const REPLACED: [&str; 4] = ["outcome", "queue", "undo", "handed_back"];
        let said = said.iter().filter(|(name, _)| !REPLACED.contains(&name.as_str()));
        let said = said.map(|(name, value)| (name.as_str(), &**value)).collect();
        let handed_back = HandedBack {
            playbook: outcome.playbook,
            version: outcome.version,
            reason: outcome.reason,
            detail: outcome.detail.as_deref(),
        };
        let own = Routed { outcome: decision::Outcome::Routed, queue, handed_back };
        let kind = match outcome.reason {
            Some(Guard::NotHelped) => CAME_BACK_TYPE,
            _ => event::event_type(decision::Outcome::Routed),
        };
        self.event(record, outcome.ticket_id, kind, topic, &Event { own: &own, said })
    }

    /// A line of the ledger.
    pub fn line(&self, record: &Record, line: &crate::resolve::ledger::Line) -> Outgoing {
        Outgoing {
            cause: record.origin.clone(),
            topic: Arc::clone(&self.ledger),
            key: Some(line.key().into_bytes()),
            value: serde_json::to_vec(line).ok(),
            headers: Vec::new(),
            timestamp_ms: None,
        }
    }

    /// The dead letter of a record that is no action.
    pub fn dead(&self, record: &Record, why: &Malformed, now_ms: i64, keep: Keep) -> Outgoing {
        event::dead(record, why, Arc::clone(&self.dead), now_ms, keep)
    }

    fn event(
        &self,
        record: &Record,
        ticket_id: &str,
        kind: &'static str,
        topic: Arc<str>,
        data: &impl Serialize,
    ) -> Outgoing {
        let id = event::event_id(&record.origin, kind).hyphenated().to_string();
        let text = |text: &str| Some(text.as_bytes().to_vec());
        let headers: Headers = vec![
            (Cow::Borrowed("content-type"), text("application/json")),
            (Cow::Borrowed("ce_specversion"), text("1.0")),
            (Cow::Borrowed("ce_id"), text(&id)),
            (Cow::Borrowed("ce_source"), text(&self.source)),
            (Cow::Borrowed("ce_type"), text(kind)),
            (Cow::Borrowed("ce_subject"), text(ticket_id)),
        ];
        Outgoing {
            cause: record.origin.clone(),
            topic,
            key: text(ticket_id),
            value: serde_json::to_vec(data).ok(),
            headers,
            timestamp_ms: None,
        }
    }
}

/// What a handed-back ticket says in place of its decision's own.
#[derive(Serialize, JsonSchema)]
struct Routed<'a> {
    outcome: decision::Outcome,
    /// The playbook's `fallback_queue`, or the default one if the playbook is gone.
    queue: &'a str,
    handed_back: HandedBack<'a>,
}

/// An event's own members, and those of the action as they were written.
#[derive(Serialize)]
struct Event<'a, T> {
    #[serde(flatten)]
    own: &'a T,
    #[serde(flatten)]
    said: BTreeMap<&'a str, &'a RawValue>,
}

/// The outcome event's data as its JSON Schema describes it. Never built.
#[derive(JsonSchema)]
#[schemars(title = "Outcome", extend("$id" = "https://triaged.dev/schema/outcome.json"))]
#[allow(dead_code, reason = "the type exists for its schema")]
pub struct OutcomeSchema {
    #[schemars(flatten)]
    outcome: Outcome<'static>,
    /// The queue that the decision proposed; these six are the action's own, and absent where
    /// feedback about a ticket was answered.
    queue: Option<String>,
    category: Option<serde_json::Value>,
    priority: Option<serde_json::Value>,
    language: Option<String>,
    known_request: Option<serde_json::Value>,
    ticket: Option<serde_json::Value>,
}

/// The data of the event for a resolved ticket that came back, as its JSON Schema describes it. Never
/// built.
#[derive(JsonSchema)]
#[schemars(title = "CameBack", extend("$id" = "https://triaged.dev/schema/came_back.json"))]
#[allow(dead_code, reason = "the type exists for its schema")]
pub struct CameBackSchema {
    ticket_id: String,
    #[schemars(flatten)]
    routed: Routed<'static>,
    /// What the requester said, as the feedback had it.
    helped: Option<bool>,
    /// Whether the ticket was reopened, as the feedback had it.
    reopened: Option<bool>,
}
