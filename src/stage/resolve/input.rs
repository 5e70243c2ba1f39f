//! What the resolve stage reads: actions and undo orders from one topic, feedback from another.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::log::Record;
use crate::playbook::Slots;
use crate::triage::ticket::Malformed;

/// Namespace of the idempotency keys (UUIDv5).
const KEY_NAMESPACE: Uuid = Uuid::from_u128(0x2f0b_6f0e_51c5_5a4b_8d3c_77b1_90ce_42d7);

/// A request to act, as routing wrote it.
#[derive(Deserialize)]
pub struct Action<'a> {
    #[serde(borrow)]
    pub ticket_id: Cow<'a, str>,
    #[serde(borrow)]
    pub queue: Cow<'a, str>,
    #[serde(borrow)]
    pub language: Cow<'a, str>,
    pub category: Labelled,
    pub priority: Labelled,
    pub known_request: Wanted,
    /// The ticket as it came.
    #[serde(borrow)]
    pub ticket: &'a RawValue,
    /// There only if the playbook's effect is to be taken back.
    pub undo: Option<UndoOrder>,
}

#[derive(Deserialize)]
pub struct Labelled {
    pub label: String,
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

impl<'a> Action<'a> {
    /// Reads an action from a record's value.
    ///
    /// # Errors
    /// [`Malformed`] if it is none.
    pub fn read(record: &'a Record) -> Result<Self, Malformed> {
        let text = text(record)?;
        serde_json::from_str(text).map_err(|error| Malformed::NotJson(place(&error)))
    }

    /// The same for every attempt at this ticket's step, before and after a crash.
    pub fn key(&self, step: &str) -> String {
        let Wanted { playbook, version, .. } = &self.known_request;
        let name = format!("{}\0{playbook}\0{version}\0{step}", self.ticket_id);
        Uuid::new_v5(&KEY_NAMESPACE, name.as_bytes()).hyphenated().to_string()
    }

    /// A digest of the ticket as it came.
    pub fn content(&self) -> u64 {
        digest(self.ticket.get().as_bytes())
    }

    /// When the ticket says that it was created, in milliseconds since 1970; the beginning of time
    /// if it does not say.
    pub fn created_ms(&self) -> i64 {
        #[derive(Deserialize)]
        struct Created {
            created_at: jiff::Timestamp,
        }
        let created = serde_json::from_str::<Created>(self.ticket.get());
        created.map_or(i64::MIN, |ticket| ticket.created_at.as_millisecond())
    }

    /// A digest of who asks: what stands in the ticket's `requester`.
    pub fn requester(&self) -> u64 {
        #[derive(Deserialize)]
        struct Asked<'a> {
            #[serde(borrow)]
            requester: Option<&'a RawValue>,
        }
        let asked = serde_json::from_str::<Asked<'_>>(self.ticket.get()).ok();
        let requester = asked.and_then(|a| a.requester).map_or("null", RawValue::get);
        digest(requester.as_bytes())
    }
}

/// What a desk tells about a ticket that was resolved.
#[derive(Debug, Deserialize)]
pub struct Feedback<'a> {
    #[serde(borrow)]
    pub ticket_id: Cow<'a, str>,
    /// What the requester says; absent where nobody asked.
    pub helped: Option<bool>,
    #[serde(default)]
    pub reopened: bool,
}

impl<'a> Feedback<'a> {
    /// Reads feedback from a record's value.
    ///
    /// # Errors
    /// [`Malformed`] if it is none.
    pub fn read(record: &'a Record) -> Result<Self, Malformed> {
        serde_json::from_str(text(record)?).map_err(|error| Malformed::NotJson(place(&error)))
    }

    /// Whether a person has to look at the ticket again.
    pub fn is_bad(&self) -> bool {
        self.reopened || self.helped == Some(false)
    }
}

/// All members of an event, their values as they were written.
pub type Members<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;

/// The members of a record's value.
///
/// # Errors
/// [`Malformed`] if it is no JSON object.
pub fn members(record: &Record) -> Result<Members<'_>, Malformed> {
    serde_json::from_str(text(record)?).map_err(|error| Malformed::NotJson(place(&error)))
}

fn text(record: &Record) -> Result<&str, Malformed> {
    let value = record.value.as_deref().filter(|v| !v.is_empty()).ok_or(Malformed::Empty)?;
    std::str::from_utf8(value).map_err(|e| Malformed::NotUtf8 { at: e.valid_up_to() })
}

/// Where it is wrong; what stands there may be a ticket's.
fn place(error: &serde_json::Error) -> String {
    format!(
        "as an action or feedback it is wrong at line {} column {}",
        error.line(),
        error.column()
    )
}

fn digest(bytes: &[u8]) -> u64 {
    let hash = Sha256::digest(bytes);
    hash.iter().take(8).fold(0, |n, byte| n << 8 | u64::from(*byte))
}
