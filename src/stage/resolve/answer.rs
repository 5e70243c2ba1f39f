//! The outputs of each record, from what came of it.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;

use super::Resolve;
use super::calls::values;
use super::input::{self, Action, Feedback};
use super::note::Note;
use super::outcome::{Outcome, Result as Came, UndoBy};
use super::perform::Trouble;
use super::plan::{Plan, asked};
use super::settle::Settled;
use crate::log::{Batch, Outgoing, Record};
use crate::playbook::Undo;
use crate::resolve::guard::Guard;
use crate::resolve::ledger::{Entry, Line, Off, State};
use crate::triage::ticket::Malformed;

impl Resolve {
    /// The outputs of one record. `now` holds what this batch has done so far, by ticket.
    pub(super) fn answer(
        &mut self,
        plan: &Plan,
        record: &Record,
        now: &mut HashMap<String, State>,
    ) -> Result<Vec<Outgoing>, Malformed> {
        match plan {
            Plan::Dead(malformed) => Err(malformed.clone()),
            Plan::Feedback => self.feedback(record, now),
            Plan::Undo => self.undo(record, now),
            plan => {
                let action = Action::read(record)?;
                let settled = Settled::of(plan, self.kept.get(&record.origin));
                if let Some(state) = settled.state {
                    now.insert(action.ticket_id.to_string(), state);
                }
                let mut outputs = self.events(record, &action, &settled)?;
                let line = settled.state.map(|state| line(&action, state, settled.called_ms));
                outputs.extend(line.map(|line| self.settings.writer.line(record, &line)));
                Ok(outputs)
            }
        }
    }

    /// The outcome, and the ticket for people if they have to see it.
    fn events(
        &mut self,
        record: &Record,
        action: &Action<'_>,
        settled: &Settled,
    ) -> Result<Vec<Outgoing>, Malformed> {
        let members = input::members(record)?;
        let wanted = &action.known_request;
        let playbook = self.library.get(&wanted.playbook);
        let first = playbook.and_then(|p| match &p.undo {
            Undo::Step(undo) if action.undo.is_some() => Some(&**undo),
            _ => p.steps.first(),
        });
        let trouble = settled.trouble.as_ref();
        let outcome = Outcome {
            ticket_id: &action.ticket_id,
            outcome: settled.came,
            playbook: &wanted.playbook,
            version: wanted.version,
            reason: trouble.map(|t| t.guard),
            detail: trouble.map(|t| t.detail.clone()),
            failure: trouble.and_then(|t| t.failure),
            idempotency_key: first.filter(|_| settled.requests > 0).map(|s| action.key(&s.name)),
            called_ms: settled.called_ms,
            requests: settled.requests,
            seconds: settled.took.as_secs_f64(),
            reply: playbook.filter(|_| settled.came == Came::Done).and_then(|p| {
                let values = values(action, p);
                p.reply(&action.language, &values).ok()
            }),
            undo: action.undo.as_ref().map(UndoBy::from),
        };
        let writer = &self.settings.writer;
        let mut outputs = vec![writer.outcome(record, &outcome, &members)];
        if settled.came.goes_to_people() {
            let queue = playbook.map_or(&*action.queue, |p| &p.fallback_queue);
            let topic = (self.settings.routed)(queue);
            outputs.push(writer.handed_back(record, &outcome, &members, queue, topic));
        }
        let note = Note {
            origin: record.origin.clone(),
            playbook: wanted.playbook.clone(),
            came: Some(settled.came),
            guard: outcome.reason,
            since_ms: record.timestamp_ms,
            minutes: playbook.map_or(0.0, |p| p.minutes_saved),
            dead: None,
        };
        self.notes.push(note);
        Ok(outputs)
    }

    /// Takes a resolution back, if there is one.
    fn undo(
        &mut self,
        record: &Record,
        now: &mut HashMap<String, State>,
    ) -> Result<Vec<Outgoing>, Malformed> {
        let action = Action::read(record)?;
        let ticket = &*action.ticket_id;
        let known = self.ledger.find(ticket).copied();
        let state = now.get(ticket).copied().or(known.map(|k| k.state));
        let doable = matches!(state, Some(State::Done | State::Unknown | State::Reopened));
        let carried = match self.kept.get(&record.origin) {
            Some((_, carried)) => Some(carried.clone()),
            None if doable => Some(self.runtime.block_on(self.call(record, true))),
            None => None,
        };
        let settled = match carried {
            Some(carried) => {
                self.kept.insert(record.origin.clone(), (0, carried.clone()));
                let came = if carried.trouble.is_none() { Came::Undone } else { Came::NotUndone };
                Settled { came, state: None, called_ms: None, ..Settled::carried(&carried, 0) }
            }
            None => Settled {
                trouble: Some(Trouble {
                    detail: String::from("there is nothing to take back for this ticket"),
                    ..Trouble::of(Guard::Failed)
                }),
                ..Settled::quiet(Came::NotUndone)
            },
        };
        let mut outputs = self.events(record, &action, &settled)?;
        if settled.came == Came::Undone {
            now.insert(ticket.to_owned(), State::Undone);
            let line = line(&action, State::Undone, known.and_then(|k| k.called_ms));
            outputs.push(self.settings.writer.line(record, &line));
        }
        Ok(outputs)
    }

    /// Hands a ticket that came back to people.
    fn feedback(
        &mut self,
        record: &Record,
        now: &mut HashMap<String, State>,
    ) -> Result<Vec<Outgoing>, Malformed> {
        let feedback = Feedback::read(record)?;
        let members = input::members(record)?;
        let ticket = &*feedback.ticket_id;
        let known = self.ledger.find(ticket).copied();
        let state = now.get(ticket).copied().or(known.map(|k| k.state));
        let name = known.map(|k| self.ledger.playbook(&k).to_owned()).unwrap_or_default();
        let back = feedback.is_bad() && state == Some(State::Done);
        let came = if back { Came::HandedBack } else { Came::AlreadyHandled };
        let guard = back.then_some(Guard::NotHelped);
        let outcome = Outcome {
            ticket_id: ticket,
            outcome: came,
            playbook: &name,
            version: known.map_or(0, |k| k.version),
            reason: guard,
            detail: guard.map(|g| g.detail().to_owned()),
            failure: None,
            idempotency_key: None,
            called_ms: known.and_then(|k| k.called_ms),
            requests: 0,
            seconds: 0.0,
            reply: None,
            undo: None,
        };
        let writer = &self.settings.writer;
        let mut outputs = vec![writer.outcome(record, &outcome, &members)];
        if back {
            let playbook = self.library.get(&name);
            let queue = playbook.map_or(&*self.settings.default_queue, |p| &p.fallback_queue);
            let topic = (self.settings.routed)(queue);
            outputs.push(writer.handed_back(record, &outcome, &members, queue, topic));
            now.insert(ticket.to_owned(), State::Reopened);
            let line = known.map(|k| {
                Line::Ticket(Entry {
                    ticket: ticket.to_owned(),
                    playbook: name.clone(),
                    version: k.version,
                    state: State::Reopened,
                    called_ms: k.called_ms,
                    requester: k.requester,
                    content: k.content,
                    at_ms: Timestamp::now().as_millisecond(),
                })
            });
            outputs.extend(line.map(|line| writer.line(record, &line)));
        }
        self.notes.push(Note {
            origin: record.origin.clone(),
            playbook: name,
            came: Some(came),
            guard,
            since_ms: None,
            minutes: 0.0,
            dead: None,
        });
        Ok(outputs)
    }

    /// Lines for the playbooks that have to go off after this batch.
    pub(super) fn switch_off(&self, batch: &Batch, now: &HashMap<String, State>) -> Vec<Outgoing> {
        let mut by_playbook: BTreeMap<String, (Vec<State>, &Record)> = BTreeMap::new();
        for record in &batch.records {
            let (ticket, playbook) = if *record.origin.topic == *self.settings.feedback {
                let Ok(feedback) = Feedback::read(record) else { continue };
                let known = self.ledger.find(&feedback.ticket_id);
                let Some(known) = known else { continue };
                (feedback.ticket_id, self.ledger.playbook(known).to_owned())
            } else {
                let Ok(action) = Action::read(record) else { continue };
                (action.ticket_id, action.known_request.playbook)
            };
            let Some(state) = now.get(&*ticket) else { continue };
            by_playbook.entry(playbook).or_insert((Vec::new(), record)).0.push(*state);
        }
        let rule = &self.settings.limits.switch_off;
        let at_ms = Timestamp::now().as_millisecond();
        let lines = by_playbook.into_iter().filter_map(|(playbook, (states, record))| {
            let on_again = self.controls.on_again_ms(&playbook);
            if self.ledger.is_off(&playbook, on_again) {
                return None;
            }
            let states: Vec<State> =
                states.into_iter().filter(|s| *s != State::HandedBack).collect();
            let why = self.ledger.goes_off(rule, &playbook, &states, on_again)?;
            tracing::warn!(playbook, ?why, "the playbook switches itself off");
            let line = Line::Off(Off { playbook, at_ms, why });
            Some(self.settings.writer.line(record, &line))
        });
        lines.collect()
    }
}

/// The ledger's line for an action.
pub(super) fn line(action: &Action<'_>, state: State, called_ms: Option<i64>) -> Line {
    let asked = asked(action);
    Line::Ticket(Entry {
        ticket: asked.ticket.to_owned(),
        playbook: asked.playbook.to_owned(),
        version: action.known_request.version,
        state,
        called_ms,
        requester: asked.requester,
        content: asked.content,
        at_ms: Timestamp::now().as_millisecond(),
    })
}
