//! The calls of a batch: all in flight together, each with signs of life and an end.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::Value;

use super::Resolve;
use super::input::Action;
use super::perform::{Carried, Run, Trouble};
use super::plan::Plan;
use crate::desk;
use crate::log::{Batch, Record};
use crate::playbook::{Playbook, TicketView, Values};
use crate::resolve::guard::Guard;
use crate::resolve::ledger::State;

/// The longest that one action may take; its end is unknown then.
const LONGEST: Duration = Duration::from_secs(180);
/// How often a waiting worker shows signs of life and looks for a stop.
const LOOK: Duration = Duration::from_millis(100);

impl Resolve {
    /// Holds back what should have been noted as started and is not: then it must not be called.
    pub(super) fn check_started(&mut self, batch: &Batch) {
        let first: Vec<usize> = self.starting(batch).map(|(i, ..)| i).collect();
        if first.is_empty() {
            return;
        }
        let seen = self.catch_up().is_ok();
        for i in first {
            let Ok(action) = Action::read(&batch.records[i]) else { continue };
            let Plan::Go { called_ms } = self.plans[i] else { continue };
            let known = self.ledger.find(&action.ticket_id);
            let noted =
                known.is_some_and(|k| k.state == State::Started && k.called_ms == Some(called_ms));
            if !(seen && noted) {
                self.plans[i] = Plan::Held(Trouble::of(Guard::NotRecorded));
            }
        }
    }

    /// Makes all planned calls together.
    pub(super) fn call_all(&mut self, batch: &Batch) {
        let going = self.plans.iter().zip(&batch.records).filter_map(|(plan, record)| match plan {
            Plan::Go { called_ms } => Some((record, *called_ms)),
            _ => None,
        });
        let stage = &*self;
        let calls = going.map(|(record, called_ms)| async move {
            (record.origin.clone(), (called_ms, stage.call(record, false).await))
        });
        let done = self.runtime.block_on(join_all(calls));
        self.kept.extend(done);
    }

    /// Carries one action out, or takes it back.
    pub(super) async fn call(&self, record: &Record, undo: bool) -> Carried {
        let nothing = |trouble: Trouble| Carried {
            state: trouble.state(),
            trouble: Some(trouble),
            requests: 0,
            took: Duration::ZERO,
        };
        let planner = self.planner();
        let Ok(action) = Action::read(record) else {
            return nothing(Trouble::of(Guard::Failed));
        };
        let Some(playbook) = planner.playbook(&action) else {
            return nothing(Trouble::of(Guard::PlaybookChanged));
        };
        // Routing read it before.
        let (Ok(ticket), Ok(json)) = (
            desk::parse_text(action.ticket.get()),
            serde_json::from_str::<Value>(action.ticket.get()),
        ) else {
            return nothing(Trouble::of(Guard::Failed));
        };
        let view = TicketView::new(&ticket, &json);
        // Taking something back is a person's order: a kill switch is no reason against it.
        let stopped = || !undo && self.controls.stopped(&playbook.id);
        let run = Run {
            caller: &self.caller,
            playbook,
            values: values(&action, playbook),
            view: &view,
            key: &|step| action.key(step),
            repeat: !planner.starts_first(&action),
            stopped: &stopped,
        };
        let work = async { if undo { run.undo().await } else { run.carry_out().await } };
        tokio::select! {
            carried = work => carried,
            detail = self.out_of_time() => Carried {
                state: State::Unknown,
                trouble: Some(Trouble {
                    guard: Guard::Unknown,
                    detail: detail.to_owned(),
                    failure: None,
                }),
                requests: 1,
                took: LONGEST,
            },
        }
    }

    /// Waits, with signs of life, until nothing may be waited for any more.
    async fn out_of_time(&self) -> &'static str {
        let until = tokio::time::Instant::now() + LONGEST;
        loop {
            tokio::time::sleep(LOOK).await;
            self.health.turned();
            if self.stop.overdue() {
                return "the service had to stop before the runbook answered";
            }
            if tokio::time::Instant::now() >= until {
                return "the playbook took too long";
            }
        }
    }
}

/// What placeholders stand for, but the key of a step.
pub(super) fn values<'a>(action: &'a Action<'_>, playbook: &'a Playbook) -> Values<'a> {
    Values {
        ticket_id: &action.ticket_id,
        playbook_id: &playbook.id,
        idempotency_key: "",
        slots: &action.known_request.slots,
    }
}
