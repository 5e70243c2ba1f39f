//! The calls of a batch: all in flight together, each with signs of life and an end.

use std::time::Duration;

use futures_util::future::join_all;

use super::Resolve;
use super::input::Action;
use super::perform::{Carried, Run, Trouble};
use super::plan::{Plan, Verdict};
use crate::log::Batch;
use crate::playbook::Delivery;
use crate::resolve::guard::Guard;
use crate::resolve::ledger::State;

/// The longest that one action may take; its end is unknown then.
const LONGEST: Duration = Duration::from_secs(180);
/// How often a waiting worker shows signs of life and looks for a stop.
const LOOK: Duration = Duration::from_millis(100);

impl Resolve {
    /// The action whose start has to be in the ledger before it is carried out, and its time.
    pub(super) fn starts<'p>(&self, plan: &'p Plan) -> Option<(&'p Action, i64)> {
        let Plan::Act(action, Verdict::Go { called_ms }) = plan else { return None };
        let playbook = action.playbook(&self.parts.library)?;
        (playbook.delivery == Delivery::AtMostOnce).then_some((&**action, *called_ms))
    }

    /// Holds back what should have been noted as started and is not: then it must not be called.
    pub(super) fn check_started(&mut self, plans: &mut [Plan]) {
        if !plans.iter().any(|plan| self.starts(plan).is_some()) {
            return;
        }
        let seen = self.catch_up().is_ok();
        for plan in plans {
            let Some((action, called_ms)) = self.starts(plan) else { continue };
            let known = self.ledger.find(&action.ticket_id);
            let noted =
                known.is_some_and(|k| k.state == State::Started && k.called_ms == Some(called_ms));
            if let (false, Plan::Act(_, verdict)) = (seen && noted, plan) {
                *verdict = Verdict::Held(Trouble::of(Guard::NotRecorded));
            }
        }
    }

    /// Makes all planned calls together.
    pub(super) fn call_all(&mut self, plans: &[Plan], batch: &Batch) {
        let stage = &*self;
        let calls = plans.iter().zip(&batch.records).filter_map(|(plan, record)| match plan {
            Plan::Act(action, Verdict::Go { called_ms }) => Some(async {
                (record.origin.clone(), (*called_ms, stage.call(action, false).await))
            }),
            _ => None,
        });
        let done = self.parts.runtime.block_on(join_all(calls));
        self.kept.extend(done);
    }

    /// Carries one action out, or takes it back.
    pub(super) async fn call(&self, action: &Action, undo: bool) -> Carried {
        let Some(playbook) = action.playbook(&self.parts.library) else {
            let trouble = Trouble::of(Guard::PlaybookChanged);
            return Carried {
                state: trouble.state(),
                trouble: Some(trouble),
                requests: 0,
                took: Duration::ZERO,
            };
        };
        // Taking something back is a person's order: a kill switch is no reason against it.
        let stopped = || !undo && self.parts.controls.stopped(&playbook.id);
        let run = Run {
            caller: &self.parts.caller,
            playbook,
            values: action.values(),
            view: &action.view(),
            key: &|step| action.key(step),
            repeat: playbook.delivery == Delivery::AtLeastOnce,
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
            self.parts.health.turned();
            if self.parts.stop.overdue() {
                return "the service had to stop before the runbook answered";
            }
            if tokio::time::Instant::now() >= until {
                return "the playbook took too long";
            }
        }
    }
}
