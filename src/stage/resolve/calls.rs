//! The calls of a batch: all in flight together, with signs of life and one end for all.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use futures_util::future::join_all;

use super::Resolve;
use super::input::Action;
use super::perform::{Carried, Run, Trouble};
use super::plan::{Plan, Verdict};
use super::settle::Settled;
use crate::log::Batch;
use crate::playbook::Delivery;
use crate::resolve::guard::Guard;
use crate::resolve::ledger::State;
use crate::resolve::limits::LONGEST_RUN;
use crate::stage::runbook::LONGEST_WAIT;

/// The longest that a batch may take from its records to the end of its last call: as long as one
/// action at its slowest, waits and repetitions included. How a call ends that takes longer is unknown.
pub const LONGEST_BATCH: Duration = LONGEST_RUN.saturating_add(LONGEST_WAIT);
/// How often a waiting worker shows signs of life and looks for a stop.
const LOOK: Duration = Duration::from_millis(100);

impl Resolve {
    /// Holds back what should have been noted as started and is not: then it must not be called.
    pub(super) fn check_started(&mut self, plans: &mut [Plan]) {
        let starts = |plan: &Plan| matches!(plan, Plan::Act(_, Verdict::Go { .. }));
        if !plans.iter().any(starts) {
            return;
        }
        let seen = self.catch_up().is_ok();
        for plan in plans {
            let Plan::Act(action, verdict) = plan else { continue };
            let Verdict::Go { called_ms } = *verdict else { continue };
            let known = self.ledger.find(&action.ticket_id);
            let noted =
                known.is_some_and(|k| k.state == State::Started && k.called_ms == Some(called_ms));
            if !(seen && noted) {
                *verdict = Verdict::Held(Trouble::of(Guard::NotRecorded));
            }
        }
    }

    /// Carries out what is planned, all together.
    pub(super) fn act_all(&mut self, plans: &[Plan], batch: &Batch) {
        let stage = &*self;
        let calls = plans.iter().zip(&batch.records).filter_map(|(plan, record)| {
            let Plan::Act(action, verdict) = plan else { return None };
            let (called_ms, again) = match *verdict {
                Verdict::Go { called_ms } => (called_ms, false),
                Verdict::Again { called_ms } => (called_ms, true),
                _ => return None,
            };
            Some(async move {
                let carried = stage.call(action, false).await;
                let carried = if again { carried.again() } else { carried };
                (record.origin.clone(), (called_ms, carried))
            })
        });
        let done = self.parts.runtime.block_on(join_all(calls));
        self.kept.add(done);
    }

    /// Takes back what is ordered and can be, all together, in what the actions left of the batch's
    /// time. Of several orders for one ticket the first is carried out.
    pub(super) fn undo_all(&mut self, plans: &[Plan], batch: &Batch) {
        let mut states: HashMap<&str, State> = HashMap::new();
        let mut orders = Vec::new();
        for (plan, record) in plans.iter().zip(&batch.records) {
            match plan {
                Plan::Act(action, verdict) => {
                    let settled = Settled::of(verdict, self.kept.get(&record.origin));
                    states.extend(settled.state.map(|state| (&*action.ticket_id, state)));
                }
                Plan::Undo(action) => {
                    let ticket = &*action.ticket_id;
                    let known = || self.ledger.find(ticket).map(|known| known.state);
                    let state = states.get(ticket).copied().or_else(known);
                    // One that is kept from an aborted attempt was the first then.
                    if self.kept.has(&record.origin) {
                        states.insert(ticket, State::Undone);
                    } else if matches!(state, Some(State::Done | State::Unknown | State::Reopened))
                    {
                        states.insert(ticket, State::Undone);
                        orders.push((action, record));
                    }
                }
                Plan::Dead(_) | Plan::Feedback(_) => {}
            }
        }
        let calls = orders.into_iter().map(|(action, record)| async {
            (record.origin.clone(), (0, self.call(action, true).await))
        });
        let done = self.parts.runtime.block_on(join_all(calls));
        self.kept.add(done);
    }

    /// Carries one action out, or takes it back.
    async fn call(&self, action: &Action, undo: bool) -> Carried {
        let Some(playbook) = action.playbook(&self.parts.library) else {
            return Carried::uncalled(Trouble::of(Guard::PlaybookChanged));
        };
        let start = Instant::now();
        if self.is_over() {
            let detail = String::from("its batch had no time left for the call");
            return Carried::uncalled(Trouble { detail, ..Trouble::of(Guard::Busy) });
        }
        // Taking something back is a person's order: a kill switch is no reason against it.
        let stopped = || !undo && self.parts.controls.stopped(&playbook.id);
        let run = Run {
            caller: &self.parts.caller,
            playbook,
            values: action.values(),
            view: &action.view(),
            key: &|step| action.key(step),
            // An undo is made at least once, whatever the playbook's delivery.
            repeat: undo || playbook.delivery == Delivery::AtLeastOnce,
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
                took: start.elapsed(),
            },
        }
    }

    /// Waits, with signs of life, until nothing may be waited for any more.
    async fn out_of_time(&self) -> &'static str {
        loop {
            tokio::time::sleep(LOOK).await;
            self.parts.health.turned();
            if self.parts.stop.overdue() {
                return "the service had to stop before the runbook answered";
            }
            if self.is_over() {
                return "the playbook took too long";
            }
        }
    }

    /// Whether the batch's time is over.
    fn is_over(&self) -> bool {
        self.begun.elapsed() >= self.longest
    }
}
