//! The ledger: what was done about which ticket. Built from the entries of one topic, in their
//! order, and from nothing else, so that whoever reads the topic knows the same.

use std::collections::{HashMap, HashSet, VecDeque};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::limits::{DAY_MS, HOUR_MS, SwitchOff};

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
    /// When the line was written, in milliseconds since 1970.
    pub at_ms: i64,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Call {
    /// When it was planned.
    pub at_ms: i64,
    /// Until when its requests may have been sent: calls wait for room, and are sent again.
    pub until_ms: i64,
    pub playbook: u16,
    pub requester: u64,
}

/// What is known of a ticket. Small on purpose: there is one for each ticket that is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    pub state: State,
    pub content: u64,
    pub called_ms: Option<i64>,
    pub requester: u64,
    pub playbook: u16,
    pub version: u64,
    pub at_ms: i64,
}

/// Everything that the topic's entries say, but for what is forgotten.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    tickets: HashMap<u128, Known>,
    playbooks: Vec<String>,
    /// Those that ended in the last hour before the newest, or later, in order of their entries.
    calls: VecDeque<Call>,
    /// By playbook, the tickets of its last calls.
    recent: HashMap<u16, VecDeque<u128>>,
    off: HashMap<u16, Off>,
    /// Tickets created after this time are held against all that was ever done.
    reach_ms: Option<i64>,
}

/// How far the clocks of desks and instances may be apart.
const APART_MS: i64 = DAY_MS;

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
            at_ms: entry.at_ms,
        };
        let before = self.tickets.insert(key, known);
        let was_open = before.is_some_and(|known| known.state == State::Started);
        // An outcome may never be written: what is open does not count for ever.
        let open = |at_ms: i64| {
            let until_ms = at_ms.saturating_add(HOUR_MS);
            Call { at_ms, until_ms, playbook, requester: entry.requester }
        };
        let counted = |at_ms: i64| match entry.state {
            State::Started => open(at_ms),
            _ => Call { until_ms: entry.at_ms.clamp(at_ms, open(at_ms).until_ms), ..open(at_ms) },
        };
        match (before.and_then(|known| known.called_ms), entry.called_ms) {
            // The outcome of a call that was counted when it started is no second call.
            (before, Some(called_ms)) if before != Some(called_ms) => {
                self.call(key, counted(called_ms));
            }
            (Some(_), Some(called_ms)) if was_open => {
                self.end(&open(called_ms), counted(called_ms));
            }
            (Some(started_ms), None) if was_open => self.uncall(key, &open(started_ms)),
            _ => {}
        }
        self.drop_if_old(playbook, key);
    }

    /// Counts a call.
    fn call(&mut self, ticket: u128, call: Call) {
        self.calls.push_back(call);
        while self.calls.front().is_some_and(|first| first.until_ms <= call.at_ms - HOUR_MS) {
            self.calls.pop_front();
        }
        let recent = self.recent.entry(call.playbook).or_default();
        recent.retain(|other| *other != ticket);
        recent.push_back(ticket);
        if recent.len() > RECENT
            && let Some(oldest) = recent.pop_front()
        {
            self.drop_if_old(call.playbook, oldest);
        }
    }

    /// Notes when a call ended that was counted when it started.
    fn end(&mut self, open: &Call, ended: Call) {
        if let Some(place) = self.calls.iter_mut().rfind(|other| **other == *open) {
            *place = ended;
        }
    }

    /// Takes back a call that was counted when it started and was never made.
    fn uncall(&mut self, ticket: u128, call: &Call) {
        if let Some(place) = self.calls.iter().rposition(|other| other == call) {
            self.calls.remove(place);
        }
        if let Some(recent) = self.recent.get_mut(&call.playbook) {
            recent.retain(|other| *other != ticket);
        }
    }

    /// Forgets what was written longer than `age_ms` ago, as far as no cap and no switch-off looks
    /// at it. From then on a ticket that was created as long ago is out of reach: what was done
    /// for it may be forgotten.
    pub fn forget(&mut self, now_ms: i64, age_ms: i64) {
        let reach_ms = now_ms - age_ms.max(DAY_MS);
        // All tickets are gone through: not for every batch.
        if self.reach_ms.is_some_and(|before| reach_ms < before + HOUR_MS) {
            return;
        }
        self.reach_ms = Some(reach_ms);
        let recent: HashSet<u128> = self.recent.values().flatten().copied().collect();
        let written_after = reach_ms - APART_MS;
        self.tickets.retain(|ticket, k| k.at_ms > written_after || recent.contains(ticket));
    }

    /// Whether all that was ever done for a ticket would still be known, by when it was created.
    /// One of a day that has not come yet would outlive what is known of it.
    pub fn reaches(&self, created_ms: i64, now_ms: i64) -> bool {
        created_ms <= now_ms + APART_MS && self.reach_ms.is_none_or(|reach| created_ms > reach)
    }

    /// Keeps a ticket that was forgotten already from coming back with its old line.
    fn drop_if_old(&mut self, playbook: u16, ticket: u128) {
        let Some(reach_ms) = self.reach_ms else { return };
        let old = |known: &Known| known.at_ms <= reach_ms - APART_MS;
        let recent = self.recent.get(&playbook);
        if self.tickets.get(&ticket).is_some_and(old)
            && !recent.is_some_and(|recent| recent.contains(&ticket))
        {
            self.tickets.remove(&ticket);
        }
    }

    /// What is known of a ticket.
    pub fn find(&self, ticket: &str) -> Option<&Known> {
        self.tickets.get(&digest(ticket))
    }

    /// A further line for a known ticket, which says what became of it.
    pub fn entry(&self, ticket: &str, state: State, at_ms: i64) -> Option<Entry> {
        let known = self.find(ticket)?;
        Some(Entry {
            ticket: ticket.to_owned(),
            playbook: self.playbook(known).to_owned(),
            version: known.version,
            state,
            called_ms: known.called_ms,
            requester: known.requester,
            content: known.content,
            at_ms,
        })
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

    /// The calls whose requests may have been sent after `since_ms`.
    pub(super) fn calls_after(&self, since_ms: i64) -> impl Iterator<Item = &Call> {
        self.calls.iter().filter(move |call| call.until_ms > since_ms)
    }

    /// Why a playbook has to go off, if so, by its calls since a person last switched it on: by the
    /// failures among the last ones, or by the reopenings among as many in a row, which come hours
    /// after the calls, when others have followed. `new` are tickets of this batch with their states.
    pub fn goes_off(
        &self,
        rule: &SwitchOff,
        playbook: &str,
        new: &[(&str, State)],
        on_again_ms: i64,
    ) -> Option<Why> {
        let recent = self.place(playbook).and_then(|place| self.recent.get(&place));
        let recent: Vec<u128> = recent.into_iter().flatten().rev().copied().collect();
        let new: Vec<(u128, State)> = new.iter().rev().map(|(t, s)| (digest(t), *s)).collect();
        let now = |ticket: &u128| new.iter().find(|(other, _)| other == ticket).map(|(_, s)| *s);
        // The batch's own calls are the last ones; what it says of earlier ones takes their place.
        let own = new.iter().filter(|(ticket, _)| !recent.contains(ticket)).map(|(_, s)| *s);
        let earlier = recent.iter().filter_map(|ticket| {
            let known = self.tickets.get(ticket)?;
            (known.called_ms? > on_again_ms).then(|| now(ticket).unwrap_or(known.state))
        });
        // Where nothing was done, nothing failed either.
        let states = own.chain(earlier).filter(|state| *state != State::HandedBack);
        let states: Vec<State> = states.collect();
        let over = |calls: &[State], most: f64, counts: fn(State) -> bool| {
            let n = calls.iter().filter(|state| counts(**state)).count();
            calls.len() >= rule.at_least && n as f64 / calls.len().max(1) as f64 > most
        };
        let window = rule.of.min(states.len()).max(1);
        let failed = |state| matches!(state, State::Failed | State::Unknown);
        let last = states.get(..window).unwrap_or_default();
        if over(last, rule.failures, failed) {
            return Some(Why::Failures);
        }
        let came_back = |state| state == State::Reopened;
        let mut in_a_row = states.windows(window);
        in_a_row.any(|calls| over(calls, rule.reopenings, came_back)).then_some(Why::Reopenings)
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
