//! The ledger: what was done about which ticket. Built from the entries of one topic, in their
//! order, and from nothing else, so that whoever reads the topic knows the same.

mod line;

use std::collections::{HashMap, HashSet, VecDeque};

use uuid::Uuid;

pub use self::line::{Entry, Line, Off, State, Why};
use super::limits::{DAY_MS, HOUR_MS, SwitchOff};

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

/// One of a playbook's last calls, or a failure before its first request, for the switch-off.
#[derive(Clone, Copy, Debug)]
struct Recent {
    ticket: u128,
    /// As in [`Entry`].
    on_ms: Option<i64>,
}

/// Everything that the topic's entries say, but for what is forgotten.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    tickets: HashMap<u128, Known>,
    playbooks: Vec<String>,
    /// Those that ended in the last hour before the newest, or later, in order of their entries.
    calls: VecDeque<Call>,
    /// By playbook, its last calls.
    recent: HashMap<u16, VecDeque<Recent>>,
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
                self.call(counted(called_ms));
                self.note_recent(playbook, Recent { ticket: key, on_ms: entry.on_ms });
            }
            (Some(_), Some(called_ms)) if was_open => {
                self.end(&open(called_ms), counted(called_ms));
            }
            (Some(started_ms), None) if was_open => self.uncall(key, &open(started_ms)),
            _ => {}
        }
        // Nothing was sent, so no cap counts it; it speaks against the playbook all the same.
        if entry.called_ms.is_none() && entry.state == State::Failed {
            self.note_recent(playbook, Recent { ticket: key, on_ms: entry.on_ms });
        }
        self.drop_if_old(playbook, key);
    }

    /// Counts a call for the caps.
    fn call(&mut self, call: Call) {
        self.calls.push_back(call);
        while self.calls.front().is_some_and(|first| first.until_ms <= call.at_ms - HOUR_MS) {
            self.calls.pop_front();
        }
    }

    /// Counts a call for the switch-off.
    fn note_recent(&mut self, playbook: u16, call: Recent) {
        let recent = self.recent.entry(playbook).or_default();
        recent.retain(|other| other.ticket != call.ticket);
        recent.push_back(call);
        if recent.len() > RECENT
            && let Some(oldest) = recent.pop_front()
        {
            self.drop_if_old(playbook, oldest.ticket);
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
            recent.retain(|other| other.ticket != ticket);
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
        let recent: HashSet<u128> = self.recent.values().flatten().map(|r| r.ticket).collect();
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
            && !recent.is_some_and(|recent| recent.iter().any(|r| r.ticket == ticket))
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
            on_ms: self.on_ms(ticket),
            at_ms,
        })
    }

    /// By which order the playbook was on when it was last called for a ticket, as in [`Entry`];
    /// none where that does not matter any more.
    pub fn on_ms(&self, ticket: &str) -> Option<i64> {
        let recent = self.recent.get(&self.find(ticket)?.playbook)?;
        let ticket = digest(ticket);
        recent.iter().rev().find(|recent| recent.ticket == ticket)?.on_ms
    }

    /// The name of a playbook in [`Known`].
    pub fn playbook(&self, known: &Known) -> &str {
        self.playbooks.get(usize::from(known.playbook)).map_or("", String::as_str)
    }

    /// Whether a playbook has switched itself off since a person last switched it on, which
    /// `on_again_ms` names.
    pub fn is_off(&self, playbook: &str, on_again_ms: i64) -> bool {
        let off = self.place(playbook).and_then(|place| self.off.get(&place));
        off.is_some_and(|off| is_since(off.on_ms, off.at_ms, on_again_ms))
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

    /// Why a playbook has to go off, if so, by its calls since the order `on_again_ms`: by the
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
        let recent: Vec<Recent> = recent.into_iter().flatten().rev().copied().collect();
        let new: Vec<(u128, State)> = new.iter().rev().map(|(t, s)| (digest(t), *s)).collect();
        let now = |ticket: u128| new.iter().find(|(other, _)| *other == ticket).map(|(_, s)| *s);
        let is_recent = |ticket: u128| recent.iter().any(|recent| recent.ticket == ticket);
        // The batch's own calls are the last ones; what it says of earlier ones takes their place.
        let own = new.iter().filter(|(ticket, _)| !is_recent(*ticket)).map(|(_, s)| *s);
        let earlier = recent.iter().filter_map(|recent| {
            let known = self.tickets.get(&recent.ticket)?;
            let at_ms = known.called_ms.unwrap_or(known.at_ms);
            let counts = is_since(recent.on_ms, at_ms, on_again_ms);
            counts.then(|| now(recent.ticket).unwrap_or(known.state))
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

/// Whether something of the time `at_ms`, when `on_ms` was the last order to switch its playbook on,
/// came after the order that is the last one now. Orders are told apart, not ordered: no clock that is
/// ahead or behind keeps a switch-off from working, or an order from lifting it.
fn is_since(on_ms: Option<i64>, at_ms: i64, on_again_ms: i64) -> bool {
    match on_ms {
        Some(order) => order == on_again_ms || on_again_ms == i64::MIN,
        None => at_ms > on_again_ms,
    }
}

/// A digest of a name, wide enough that two never meet.
pub fn digest(text: &str) -> u128 {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, text.as_bytes()).as_u128()
}

#[cfg(test)]
mod tests;
