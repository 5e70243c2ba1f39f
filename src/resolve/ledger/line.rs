//! The lines of the ledger's topic.

use serde::{Deserialize, Serialize};

/// How far a ticket's resolution has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// A call was about to be made. If nothing follows, nobody knows whether it was.
    Started,
    Done,
    /// Left to people before anything was called, or after it was taken back.
    HandedBack,
    /// Left to people after the runbook failed.
    Failed,
    /// Left to people because nobody knows what the runbook did.
    Unknown,
    /// Done, and taken back.
    Undone,
    /// Done, and the ticket came back.
    Reopened,
}

/// One line of the ledger, under the ticket's id as key; a later line replaces an earlier one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub ticket: String,
    pub playbook: String,
    pub version: u64,
    pub state: State,
    /// When the runbook was called, in milliseconds since 1970; none if it was not.
    pub called_ms: Option<i64>,
    /// Who asked, as a digest: enough to count, too little to read.
    pub requester: u64,
    /// Of the ticket as it was read: tells a repetition from a ticket that changed.
    pub content: u64,
    /// The order that had last switched the playbook on when the call was planned, by its time; the
    /// earliest of all times if there was none. Lines without a call and old lines do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_ms: Option<i64>,
    /// When the line was written, in milliseconds since 1970.
    pub at_ms: i64,
}

/// A playbook that switched itself off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Off {
    pub playbook: String,
    pub at_ms: i64,
    /// As in [`Entry`]: any other order to switch it on came later, whatever its clock says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_ms: Option<i64>,
    pub why: Why,
}

/// Why a playbook switched itself off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    Failures,
    Reopenings,
}

/// A record of the ledger's topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    Ticket(Entry),
    Off(Off),
}

impl Line {
    /// Under which compaction keeps the last line only.
    pub fn key(&self) -> String {
        match self {
            Self::Ticket(entry) => format!("ticket/{}", entry.ticket),
            Self::Off(off) => format!("off/{}", off.playbook),
        }
    }
}
