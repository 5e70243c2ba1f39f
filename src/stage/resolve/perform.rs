//! Carrying a playbook out: the ticket read again, the steps, the check afterwards.

use std::time::{Duration, Instant};

use crate::playbook::{Call, Expect, Playbook, Step, TicketView, Undo, Values};
use crate::resolve::guard::Guard;
use crate::resolve::ledger::State;
use crate::stage::runbook::{Answer, CallError, Caller, Failure, Success, Terms};

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Carried {
    pub state: State,
    /// Why people have to do it; none if it is done.
    pub trouble: Option<Trouble>,
    /// Requests that were sent.
    pub requests: u32,
    pub took: Duration,
}

impl Carried {
    /// Nothing was called.
    pub fn uncalled(trouble: Trouble) -> Self {
        let state = trouble.state();
        Self { state, trouble: Some(trouble), requests: 0, took: Duration::ZERO }
    }

    /// What this means for a call that an earlier process had started: where it did not go through
    /// now, it may have then.
    pub fn again(self) -> Self {
        let Some(trouble) = self.trouble else { return self };
        let lost = Trouble::lost();
        let detail = format!("{}; made again, {}", lost.detail, trouble.detail);
        let trouble = Trouble { detail, failure: trouble.failure, ..lost };
        Self { state: trouble.state(), trouble: Some(trouble), ..self }
    }

    /// Whether the runbook was called, as far as anybody knows.
    pub fn may_have_acted(&self) -> bool {
        self.requests > 0 || self.state == State::Unknown
    }
}

/// Why something was not done, or not for certain.
#[derive(Clone, Debug, PartialEq)]
pub struct Trouble {
    pub guard: Guard,
    /// In words. Holds nothing of the ticket.
    pub detail: String,
    /// The caller's reason, where a call failed.
    pub failure: Option<&'static str>,
}

impl Trouble {
    /// A guard that needs no further words.
    pub fn of(guard: Guard) -> Self {
        Self { guard, detail: guard.detail().to_owned(), failure: None }
    }

    /// A call was started, and nobody wrote down how it ended.
    pub fn lost() -> Self {
        let detail = "an earlier process started the call and ended before it knew how it went";
        Self { detail: detail.to_owned(), ..Self::of(Guard::Unknown) }
    }

    /// What the ledger says of a ticket that met it.
    pub fn state(&self) -> State {
        match self.guard {
            Guard::Unknown | Guard::NotVerified => State::Unknown,
            Guard::Failed => State::Failed,
            _ => State::HandedBack,
        }
    }
}

/// One playbook with one ticket's values.
pub struct Run<'a> {
    pub caller: &'a Caller,
    pub playbook: &'a Playbook,
    pub values: Values<'a>,
    pub view: &'a TicketView<'a>,
    /// The idempotency key of a step.
    pub key: &'a dyn Fn(&str) -> String,
    /// Whether a call whose effect is not known may be made again.
    pub repeat: bool,
    pub stopped: &'a dyn Fn() -> bool,
}

/// How far a run has come.
#[derive(Default)]
struct Progress {
    requests: u32,
    /// A step that changes something went through.
    acted: bool,
}

impl Run<'_> {
    /// Runs all of it. Never fails: what goes wrong is an outcome.
    pub async fn carry_out(&self) -> Carried {
        let start = Instant::now();
        let mut progress = Progress::default();
        let result = self.all(&mut progress).await;
        progress.carried(result, State::Done, start)
    }

    /// Takes the effect back.
    pub async fn undo(&self) -> Carried {
        let start = Instant::now();
        let mut progress = Progress::default();
        let result = match &self.playbook.undo {
            Undo::Irreversible(why) => Err(Trouble {
                guard: Guard::Failed,
                detail: format!("the playbook cannot be taken back: {why}"),
                failure: None,
            }),
            Undo::Step(step) => self.step(step, &mut progress).await,
        };
        progress.carried(result, State::Undone, start)
    }

    async fn all(&self, progress: &mut Progress) -> Result<(), Trouble> {
        if let Some(unchanged) = &self.playbook.unchanged {
            let expect = |status: u16, body: &[u8]| {
                unchanged.holds(status, body, self.view).map_err(|unmet| unmet.to_string())
            };
            if let Err(error) = self.call(&unchanged.step, &expect, progress).await {
                let trouble = judged(progress, &unchanged.step.name, &error);
                let edited = matches!(error.failure, Failure::Condition(_));
                let guard = if edited { Guard::Edited } else { trouble.guard };
                return Err(Trouble { guard, ..trouble });
            }
        }
        for step in &self.playbook.steps {
            self.step(step, progress).await?;
        }
        self.verify(progress).await
    }

    async fn step(&self, step: &Step, progress: &mut Progress) -> Result<(), Trouble> {
        match self.call(step, &holds(&step.expect), progress).await {
            Ok(_) => {
                progress.acted |= !step.method.is_safe();
                Ok(())
            }
            Err(error) => Err(judged(progress, &step.name, &error)),
        }
    }

    /// Asks until the effect shows or the time is over.
    async fn verify(&self, progress: &mut Progress) -> Result<(), Trouble> {
        let Some(verify) = &self.playbook.verify else { return Ok(()) };
        let until = Instant::now() + verify.within;
        loop {
            let expect = holds(&verify.step.expect);
            let Err(error) = self.call(&verify.step, &expect, progress).await else {
                return Ok(());
            };
            if Instant::now() + verify.every > until || (self.stopped)() {
                return Err(Trouble {
                    guard: Guard::NotVerified,
                    detail: format!("{}: {error}", verify.step.name),
                    failure: Some(error.reason()),
                });
            }
            tokio::time::sleep(verify.every).await;
        }
    }

    async fn call(
        &self,
        step: &Step,
        expect: Success<'_>,
        progress: &mut Progress,
    ) -> Result<Answer, CallError> {
        let key = (self.key)(&step.name);
        let values = Values { idempotency_key: &key, ..self.values };
        let call: Call = match step.call(&values) {
            Ok(call) => call,
            Err(_) => return Err(CallError::never_sent(Failure::InvalidCall(UNFIT))),
        };
        let terms = Terms { key: &key, retry: self.repeat, expect, stopped: self.stopped };
        let result = self.caller.call(&call, &terms).await;
        progress.requests += match &result {
            Ok(answer) => answer.requests,
            Err(error) => error.requests,
        };
        result
    }
}

impl Progress {
    fn carried(self, result: Result<(), Trouble>, good: State, start: Instant) -> Carried {
        let trouble = result.err();
        let state = trouble.as_ref().map_or(good, Trouble::state);
        Carried { state, trouble, requests: self.requests, took: start.elapsed() }
    }
}

/// What a failed call means for the whole run.
fn judged(progress: &Progress, step: &str, error: &CallError) -> Trouble {
    let guard = match error.failure {
        _ if progress.acted || error.is_unknown() => Guard::Unknown,
        Failure::BreakerOpen => Guard::BreakerOpen,
        Failure::RateLimited => Guard::Busy,
        Failure::Stopped => Guard::Killed,
        _ => Guard::Failed,
    };
    let before = if progress.acted { "earlier steps went through, then " } else { "" };
    Trouble { guard, detail: format!("{before}{step}: {error}"), failure: Some(error.reason()) }
}

const UNFIT: &str = "a value cannot stand where the playbook puts it";

fn holds(expect: &Expect) -> impl Fn(u16, &[u8]) -> Result<(), String> + '_ {
    |status, body| expect.holds(status, body).map_err(|unmet| unmet.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_even_asked_is_no_failure_of_the_playbook() {
        for (failure, guard, state) in [
            (Failure::BreakerOpen, Guard::BreakerOpen, State::HandedBack),
            (Failure::RateLimited, Guard::Busy, State::HandedBack),
            (Failure::Stopped, Guard::Killed, State::HandedBack),
            (Failure::Connect, Guard::Failed, State::Failed),
            (Failure::Status(404), Guard::Failed, State::Failed),
        ] {
            let error = CallError::never_sent(failure);
            let first = judged(&Progress::default(), "unlock", &error);
            assert_eq!((first.guard, first.state()), (guard, state), "{error}");
            assert_eq!(first.failure, Some(error.reason()));
            // Behind a step that went through, nobody knows what there is to be done.
            let later = judged(&Progress { requests: 1, acted: true }, "mail", &error);
            assert_eq!((later.guard, later.state()), (Guard::Unknown, State::Unknown), "{error}");
            assert!(later.detail.starts_with("earlier steps went through, then mail: "));
        }
    }
}
