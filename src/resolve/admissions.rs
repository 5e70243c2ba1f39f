//! Which requests of one batch may be done: the ledger as it stands, with what this batch has
//! admitted so far on top. Dropped with the batch if that is aborted; if it is committed, what it
//! did comes back through the ledger's topic.

use std::collections::HashMap;

use super::guard::Guard;
use super::ledger::{Call, Ledger, State};
use super::limits::{HOUR_MS, Limits, MINUTE_MS};

/// What a request to act meets before anything is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It may be done.
    Go,
    /// It was done, or is being done, for this very ticket.
    Already,
    /// A call was started at this time, in milliseconds since 1970, and how it ended nobody wrote down.
    Started { called_ms: i64 },
    /// People have to do it.
    Held(Guard),
}

/// Who asks for what.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    pub ticket: &'a str,
    /// Digest of the ticket as it was read.
    pub content: u64,
    /// Digest of who asks.
    pub requester: u64,
    pub playbook: &'a str,
    /// When the ticket was created, in milliseconds since 1970.
    pub created_ms: i64,
}

/// The admissions of one batch.
pub struct Admissions<'l> {
    ledger: &'l Ledger,
    limits: &'l Limits,
    /// By ticket, its content.
    seen: HashMap<String, u64>,
    calls: Vec<(String, Call)>,
}

impl<'l> Admissions<'l> {
    pub fn new(ledger: &'l Ledger, limits: &'l Limits) -> Self {
        Self { ledger, limits, seen: HashMap::new(), calls: Vec::new() }
    }

    /// What the ticket's past says: none if it was never seen.
    pub fn before(&self, asked: &Asked<'_>) -> Option<Admission> {
        let (content, started_ms) = match self.seen.get(asked.ticket) {
            Some(content) => (*content, None),
            None => {
                let known = self.ledger.find(asked.ticket)?;
                let called_ms = known.called_ms.unwrap_or(known.at_ms);
                (known.content, (known.state == State::Started).then_some(called_ms))
            }
        };
        Some(match started_ms {
            _ if content != asked.content => Admission::Held(Guard::SeenBefore),
            Some(called_ms) => Admission::Started { called_ms },
            None => Admission::Already,
        })
    }

    /// Notes a ticket of this batch that is handled without a new call.
    pub fn see(&mut self, asked: &Asked<'_>) {
        self.seen.insert(asked.ticket.to_owned(), asked.content);
    }

    /// Whether the request may be done now. `on_again_ms` is the order by which a person last
    /// switched the playbook on. An admitted request counts against the caps from now on.
    pub fn admit(&mut self, asked: &Asked<'_>, on_again_ms: i64, now_ms: i64) -> Admission {
        if let Some(past) = self.before(asked) {
            return past;
        }
        self.see(asked);
        if !self.ledger.reaches(asked.created_ms, now_ms) {
            return Admission::Held(Guard::TooOld);
        }
        if self.is_off(asked.playbook, on_again_ms) {
            return Admission::Held(Guard::SwitchedOff);
        }
        if let Some(guard) = self.over(asked, now_ms) {
            return Admission::Held(guard);
        }
        let call =
            Call { at_ms: now_ms, until_ms: now_ms, playbook: 0, requester: asked.requester };
        self.calls.push((asked.playbook.to_owned(), call));
        Admission::Go
    }

    /// Whether a playbook has switched itself off since a person last switched it on.
    pub fn is_off(&self, playbook: &str, on_again_ms: i64) -> bool {
        self.ledger.is_off(playbook, on_again_ms)
    }

    /// The cap that one more call would break.
    fn over(&self, asked: &Asked<'_>, now_ms: i64) -> Option<Guard> {
        let Limits { playbook, requester, overall, .. } = self.limits;
        let windows = [
            (MINUTE_MS, [playbook.a_minute, requester.a_minute, overall.a_minute]),
            (HOUR_MS, [playbook.an_hour, requester.an_hour, overall.an_hour]),
        ];
        let place = self.ledger.place(asked.playbook);
        for (window, caps) in windows {
            let since = now_ms - window;
            let mut counts = [0_u32; 3];
            let mut add = |same_playbook: bool, call: &Call| {
                counts[0] += u32::from(same_playbook);
                counts[1] += u32::from(call.requester == asked.requester);
                counts[2] += 1;
            };
            for call in self.ledger.calls_after(since) {
                add(Some(call.playbook) == place, call);
            }
            for (name, call) in self.calls.iter().filter(|(_, call)| call.at_ms > since) {
                add(name == asked.playbook, call);
            }
            let guards = [Guard::CapPlaybook, Guard::CapRequester, Guard::CapOverall];
            for ((count, cap), guard) in counts.into_iter().zip(caps).zip(guards) {
                if count >= cap {
                    return Some(guard);
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;
