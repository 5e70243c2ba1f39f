//! The ledger: what was done about which ticket. Built from the entries of one topic, in their
//! order, and from nothing else, so that whoever reads the topic knows the same.

use std::collections::{HashMap, VecDeque};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::limits::{HOUR_MS, SwitchOff};

/// How far a ticket's resolution has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// An at-most-once call was about to be made. If nothing follows, nobody knows.
    Started,
    Done,
    /// Left to people before anything was called.
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
}

/// A playbook that switched itself off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Off {
    pub playbook: String,
    pub at_ms: i64,
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

/// A call as caps count it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub at_ms: i64,
    pub playbook: u16,
    pub requester: u64,
}

/// What is known of a ticket. Small on purpose: there is one for each ticket within retention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    pub state: State,
    pub content: u64,
    pub called_ms: Option<i64>,
    pub requester: u64,
    pub playbook: u16,
    pub version: u64,
}

/// Everything that the topic's entries say.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    tickets: HashMap<u128, Known>,
    playbooks: Vec<String>,
    /// Of the last hour before the newest, in order of their entries.
    calls: VecDeque<Call>,
    /// By playbook, the tickets of its last calls.
    recent: HashMap<u16, VecDeque<u128>>,
    off: HashMap<u16, Off>,
}

/// So many of a playbook's last calls are kept at most; [`super::limits::SwitchOff::of`] is bounded
/// by it.
pub const RECENT: usize = 1000;

impl Ledger {
    /// Takes in the next line of the topic.
    pub fn apply(&mut self, line: Line) {
        match line {
            Line::Ticket(entry) => self.ticket(&entry),
            Line::Off(off) => {
                let playbook = self.number(&off.playbook);
                self.off.insert(playbook, off);
            }
        }
    }

    fn ticket(&mut self, entry: &Entry) {
        let playbook = self.number(&entry.playbook);
        let key = digest(&entry.ticket);
        let known = Known {
            state: entry.state,
            content: entry.content,
            called_ms: entry.called_ms,
            requester: entry.requester,
            playbook,
            version: entry.version,
        };
        let before = self.tickets.insert(key, known);
        let Some(at_ms) = entry.called_ms else { return };
        // The outcome of a call that was counted when it started is no second call.
        if before.and_then(|k| k.called_ms) == Some(at_ms) {
            return;
        }
        self.calls.push_back(Call { at_ms, playbook, requester: entry.requester });
        while self.calls.front().is_some_and(|call| call.at_ms <= at_ms - HOUR_MS) {
            self.calls.pop_front();
        }
        let recent = self.recent.entry(playbook).or_default();
        recent.retain(|ticket| *ticket != key);
        recent.push_back(key);
        if recent.len() > RECENT {
            recent.pop_front();
        }
    }

    /// What is known of a ticket.
    pub fn find(&self, ticket: &str) -> Option<&Known> {
        self.tickets.get(&digest(ticket))
    }

    /// The name of a playbook in [`Known`].
    pub fn playbook(&self, known: &Known) -> &str {
        self.playbooks.get(usize::from(known.playbook)).map_or("", String::as_str)
    }

    /// Whether a playbook has switched itself off since a person last switched it on.
    pub fn is_off(&self, playbook: &str, on_again_ms: i64) -> bool {
        let off = self.place(playbook).and_then(|place| self.off.get(&place));
        off.is_some_and(|off| off.at_ms > on_again_ms)
    }

    /// How many tickets are known.
    pub fn len(&self) -> usize {
        self.tickets.len()
    }

    pub fn is_empty(&self) -> bool {
        self.tickets.is_empty()
    }

    pub(super) fn place(&self, playbook: &str) -> Option<u16> {
        let place = self.playbooks.iter().position(|p| p == playbook)?;
        u16::try_from(place).ok()
    }

    /// The calls after `since_ms`.
    pub(super) fn calls_after(&self, since_ms: i64) -> impl Iterator<Item = &Call> {
        self.calls.iter().filter(move |call| call.at_ms > since_ms)
    }

    /// Why a playbook has to go off, if so, by its last calls since a person last switched it on
    /// and since it last went off. `new` are the states that this batch adds.
    pub fn goes_off(
        &self,
        rule: &SwitchOff,
        playbook: &str,
        new: &[State],
        on_again_ms: i64,
    ) -> Option<Why> {
        let recent = self.place(playbook).and_then(|place| self.recent.get(&place));
        let old = recent.into_iter().flatten().rev().filter_map(|ticket| {
            let known = self.tickets.get(ticket)?;
            (known.called_ms? > on_again_ms).then_some(known.state)
        });
        let (mut all, mut failed, mut reopened) = (0_usize, 0_usize, 0_usize);
        for state in new.iter().rev().copied().chain(old).take(rule.of) {
            all += 1;
            failed += usize::from(matches!(state, State::Failed | State::Unknown));
            reopened += usize::from(state == State::Reopened);
        }
        let share = |n: usize| n as f64 / all.max(1) as f64;
        if all < rule.at_least {
            None
        } else if share(failed) > rule.failures {
            Some(Why::Failures)
        } else if share(reopened) > rule.reopenings {
            Some(Why::Reopenings)
        } else {
            None
        }
    }

    fn number(&mut self, playbook: &str) -> u16 {
        match self.place(playbook) {
            Some(place) => place,
            None => {
                self.playbooks.push(playbook.to_owned());
                // More than 65,536 playbooks would share the last number.
                u16::try_from(self.playbooks.len() - 1).unwrap_or(u16::MAX)
            }
        }
    }
}

/// A digest of a name, wide enough that two never meet.
pub fn digest(text: &str) -> u128 {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, text.as_bytes()).as_u128()
}

#[cfg(test)]
mod tests;
