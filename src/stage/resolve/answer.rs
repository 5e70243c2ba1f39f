//! The outputs of each record, from what came of it.

use std::collections::{BTreeMap, HashMap};

use super::Resolve;
use super::input::{Action, Feedback, Members};
use super::note::{Note, written_ms};
use super::outcome::{Came, Outcome, UndoBy};
use super::perform::Trouble;
use super::plan::Plan;
use super::settle::Settled;
use crate::clock::now_ms;
use crate::log::{Batch, Outgoing, Record};
use crate::playbook::Undo;
use crate::resolve::guard::Guard;
use crate::resolve::ledger::{Entry, Line, Off, State, Why};
use crate::stage::event::Keep;
use crate::stage::{Stage as _, size};

/// What a batch has done so far, by ticket.
pub(super) type States = HashMap<String, State>;

/// What a batch has done for one playbook: tickets with their states, and a record of them.
type OfPlaybook<'a> = (Vec<(&'a str, State)>, &'a Record);

impl Resolve {
    /// The outputs of one record, none larger than the log takes.
    pub(super) fn answer(
        &mut self,
        plan: &Plan,
        record: &Record,
        now: &mut States,
    ) -> Vec<Outgoing> {
        let mut outputs = self.whole_answer(plan, record, now);
        let limit = self.parts.settings.max_output_bytes;
        let too_large = outputs.iter().find_map(|output| size::check(output, limit).err());
        if let Some(too_large) = too_large.filter(|_| !matches!(plan, Plan::Dead(_))) {
            tracing::warn!(origin = %record.origin, %too_large, "writing a dead letter");
            outputs.retain(|output| self.stays(output));
            outputs.insert(0, self.dead(record, &too_large, Keep::Value));
        }
        outputs
    }

    fn whole_answer(&mut self, plan: &Plan, record: &Record, now: &mut States) -> Vec<Outgoing> {
        match plan {
            Plan::Dead(malformed) => vec![self.dead(record, malformed, Keep::Value)],
            Plan::Feedback(feedback) => self.feedback(feedback, record, now),
            Plan::Undo(action) => self.undo(action, record, now),
            Plan::Act(action, verdict) => {
                let settled = Settled::of(verdict, self.kept.get(&record.origin));
                let mut outputs = self.settle(action, &settled, record);
                if let Some(state) = settled.state {
                    let on_ms = self.ledger.on_ms(&action.ticket_id);
                    let entry = entry(action, state, settled.called_ms, on_ms);
                    outputs.push(self.remember(entry, record, now));
                }
                outputs
            }
        }
    }

    /// Says what came of an action.
    fn settle(&mut self, action: &Action, settled: &Settled, record: &Record) -> Vec<Outgoing> {
        let wanted = &action.known_request;
        let playbook = self.parts.library.get(&wanted.playbook);
        let first = playbook.and_then(|p| match &p.undo {
            Undo::Step(undo) if action.undo.is_some() => Some(&**undo),
            _ => p.steps.first(),
        });
        let trouble = settled.trouble.as_ref();
        let done = playbook.filter(|_| settled.came == Came::Done);
        let outcome = Outcome {
            reason: trouble.map(|t| t.guard),
            detail: trouble.map(|t| t.detail.clone()),
            failure: trouble.and_then(|t| t.failure),
            idempotency_key: first.filter(|_| settled.requests > 0).map(|s| action.key(&s.name)),
            called_ms: settled.called_ms,
            requests: settled.requests,
            seconds: settled.took.as_secs_f64(),
            reply: done.and_then(|p| p.reply(&action.language, &action.values()).ok()),
            undo: action.undo.as_ref().map(UndoBy::from),
            ..Outcome::uncalled(&action.ticket_id, settled.came, &wanted.playbook, wanted.version)
        };
        self.tell(&outcome, &action.members, &action.queue, record)
    }

    /// Says what came of an order to take a resolution back.
    fn undo(&mut self, action: &Action, record: &Record, now: &mut States) -> Vec<Outgoing> {
        let ticket = &*action.ticket_id;
        let known = self.ledger.find(ticket).copied();
        let settled = match self.kept.get(&record.origin) {
            Some((_, carried)) => {
                let came = if carried.trouble.is_none() { Came::Undone } else { Came::NotUndone };
                Settled { came, state: None, called_ms: None, ..Settled::carried(carried, 0) }
            }
            None => Settled {
                trouble: Some(Trouble {
                    detail: String::from(
                        "there is nothing to take back for this ticket, or another order just tried",
                    ),
                    ..Trouble::of(Guard::Failed)
                }),
                ..Settled::quiet(Came::NotUndone)
            },
        };
        let mut outputs = self.settle(action, &settled, record);
        if settled.came == Came::Undone {
            let called_ms = known.and_then(|k| k.called_ms);
            let entry = entry(action, State::Undone, called_ms, self.ledger.on_ms(ticket));
            outputs.push(self.remember(entry, record, now));
        }
        outputs
    }

    /// Hands a ticket that came back to people.
    fn feedback(
        &mut self,
        feedback: &Feedback,
        record: &Record,
        now: &mut States,
    ) -> Vec<Outgoing> {
        let ticket = &*feedback.ticket_id;
        let state = now.get(ticket).copied().or(self.ledger.find(ticket).map(|k| k.state));
        let undone = state == Some(State::Undone);
        let complaint = feedback.complaint().filter(|_| undone || state == Some(State::Done));
        let back = complaint.is_some();
        // What was taken back is not taken back once more, nor does it speak against the playbook.
        let then = if undone { State::HandedBack } else { State::Reopened };
        let known = self.ledger.entry(ticket, then, now_ms());
        let came = if back { Came::HandedBack } else { Came::AlreadyHandled };
        let (playbook, version) = known.as_ref().map_or(("", 0), |k| (&k.playbook, k.version));
        let outcome = Outcome {
            reason: complaint.map(|_| Guard::NotHelped),
            detail: complaint.map(str::to_owned),
            called_ms: known.as_ref().and_then(|k| k.called_ms),
            ..Outcome::uncalled(ticket, came, playbook, version)
        };
        let queue = self.parts.settings.default_queue.clone();
        let mut outputs = self.tell(&outcome, &feedback.members, &queue, record);
        if let (true, Some(entry)) = (back, known) {
            outputs.push(self.remember(entry, record, now));
        }
        outputs
    }

    /// The outcome, and the ticket for people if they have to see it, in the queue of the playbook
    /// or, if that is gone, in `otherwise`.
    fn tell(
        &mut self,
        outcome: &Outcome<'_>,
        members: &Members,
        otherwise: &str,
        record: &Record,
    ) -> Vec<Outgoing> {
        let settings = &self.parts.settings;
        let mut outputs = vec![settings.writer.outcome(record, outcome, members)];
        if outcome.outcome.goes_to_people() {
            let playbook = self.parts.library.get(outcome.playbook);
            let queue = playbook.map_or(otherwise, |p| &p.fallback_queue);
            let topic = (settings.routed)(queue);
            outputs.push(settings.writer.handed_back(record, outcome, members, queue, topic));
        }
        self.notes.push(Note {
            origin: record.origin.clone(),
            playbook: outcome.playbook.to_owned(),
            came: Some(outcome.outcome),
            guard: outcome.reason,
            since_ms: written_ms(record),
            dead: None,
        });
        outputs
    }

    /// A line of the ledger, which counts for the rest of the batch too.
    fn remember(&self, entry: Entry, record: &Record, now: &mut States) -> Outgoing {
        now.insert(entry.ticket.clone(), entry.state);
        self.parts.settings.writer.line(record, &Line::Ticket(entry))
    }

    /// Lines for the playbooks that have to go off after this batch.
    pub(super) fn switch_off(
        &mut self,
        plans: &[Plan],
        batch: &Batch,
        now: &States,
    ) -> Vec<Outgoing> {
        let mut by_playbook: BTreeMap<&str, OfPlaybook<'_>> = BTreeMap::new();
        for (plan, record) in plans.iter().zip(&batch.records) {
            let (ticket, playbook) = match plan {
                Plan::Dead(_) => continue,
                Plan::Act(action, _) | Plan::Undo(action) => {
                    (&action.ticket_id, &*action.known_request.playbook)
                }
                Plan::Feedback(feedback) => match self.ledger.find(&feedback.ticket_id) {
                    Some(known) => (&feedback.ticket_id, self.ledger.playbook(known)),
                    None => continue,
                },
            };
            if let Some(state) = now.get(ticket) {
                let states = &mut by_playbook.entry(playbook).or_insert((Vec::new(), record)).0;
                if states.iter().all(|(other, _)| other != ticket) {
                    states.push((ticket, *state));
                }
            }
        }
        let rule = &self.parts.settings.limits.switch_off;
        let offs = by_playbook.into_iter().filter_map(|(playbook, (states, record))| {
            let on_again = self.parts.controls.on_again_ms(playbook);
            if self.ledger.is_off(playbook, on_again) {
                return None;
            }
            let why = self.ledger.goes_off(rule, playbook, &states, on_again)?;
            self.say_off(playbook, why, &states, self.last_failure(plans, batch, playbook));
            let (playbook, on_ms) = (playbook.to_owned(), Some(on_again));
            Some((Off { playbook, at_ms: now_ms(), on_ms, why }, record))
        });
        let offs: Vec<(Off, &Record)> = offs.collect();
        self.went_off = offs.iter().map(|(off, _)| off.playbook.clone()).collect();
        let writer = &self.parts.settings.writer;
        offs.into_iter().map(|(off, record)| writer.line(record, &Line::Off(off))).collect()
    }

    /// Says that a playbook goes off, why, and how it is let go again. `states` are those of the batch.
    fn say_off(&self, playbook: &str, why: Why, states: &[(&str, State)], last: Option<Trouble>) {
        let rule = &self.parts.settings.limits.switch_off;
        let count = |counts: fn(State) -> bool| states.iter().filter(|(_, s)| counts(*s)).count();
        let (share, what, in_batch) = match why {
            Why::Failures => (rule.failures, "failed", count(is_failure)),
            Why::Reopenings => (rule.reopenings, "came back", count(|s| s == State::Reopened)),
        };
        let of_batch = count(|state| state != State::HandedBack);
        let last_failure = last.map_or_else(|| String::from("none in this batch"), |t| t.detail);
        tracing::warn!(
            playbook,
            ?why,
            last_failure,
            "the playbook switches itself off: more than {:.0} % of its last calls ({} at most) {what}, \
             {in_batch} of {of_batch} in this batch; `triaged playbook {playbook} on` lets it go again",
            share * 100.0,
            rule.of,
        );
    }

    /// What failed last in a batch that a playbook was carried out for.
    fn last_failure(&self, plans: &[Plan], batch: &Batch, playbook: &str) -> Option<Trouble> {
        plans.iter().zip(&batch.records).rev().find_map(|(plan, record)| {
            let Plan::Act(action, verdict) = plan else { return None };
            let trouble = Settled::of(verdict, self.kept.get(&record.origin)).trouble?;
            (is_failure(trouble.state()) && action.known_request.playbook == playbook)
                .then_some(trouble)
        })
    }
}

/// Whether it counts as a failure of the playbook.
fn is_failure(state: State) -> bool {
    matches!(state, State::Failed | State::Unknown)
}

/// The ledger's entry for an action.
pub(super) fn entry(
    action: &Action,
    state: State,
    called_ms: Option<i64>,
    on_ms: Option<i64>,
) -> Entry {
    let asked = action.asked();
    Entry {
        ticket: asked.ticket.to_owned(),
        playbook: asked.playbook.to_owned(),
        version: action.known_request.version,
        state,
        called_ms,
        requester: asked.requester,
        content: asked.content,
        on_ms,
        at_ms: now_ms(),
    }
}
