//! What came of a record, ready to be written.

use std::time::Duration;

use super::outcome::Came;
use super::perform::{Carried, Trouble};
use super::plan::Verdict;
use crate::resolve::guard::Guard;
use crate::resolve::ledger::State;

/// What came of an action.
pub struct Settled {
    pub came: Came,
    pub trouble: Option<Trouble>,
    /// For the ledger; none leaves it as it is.
    pub state: Option<State>,
    /// When the runbook was called; none if it was not.
    pub called_ms: Option<i64>,
    pub requests: u32,
    pub took: Duration,
}

impl Settled {
    /// Of a verdict; `kept` is what came of its call, with the call's time.
    pub fn of(verdict: &Verdict, kept: Option<&(i64, Carried)>) -> Self {
        match (verdict, kept) {
            (
                Verdict::Go { .. } | Verdict::Again { .. } | Verdict::Kept,
                Some((called_ms, carried)),
            ) => Self::carried(carried, *called_ms),
            (Verdict::Already, _) => Self::quiet(Came::AlreadyHandled),
            // What was done for the ticket before stays what is known of it.
            (Verdict::Held(trouble), _) if trouble.guard == Guard::SeenBefore => {
                Self { state: None, ..Self::left(trouble.clone()) }
            }
            (Verdict::Held(trouble), _) => Self::left(trouble.clone()),
            // It may have arrived when it was started: undo, caps and switch-off go by that time.
            (Verdict::Lost { called_ms } | Verdict::Again { called_ms }, _) => {
                Self { called_ms: Some(*called_ms), ..Self::left(Trouble::lost()) }
            }
            (Verdict::Go { .. } | Verdict::Kept, None) => Self::left(Trouble::lost()),
        }
    }

    /// Of a call that was made, or was about to be.
    pub fn carried(carried: &Carried, called_ms: i64) -> Self {
        Self {
            came: match carried.state {
                State::Done => Came::Done,
                State::Unknown => Came::Unknown,
                _ => Came::HandedBack,
            },
            trouble: carried.trouble.clone(),
            state: Some(carried.state),
            called_ms: Some(called_ms).filter(|_| carried.may_have_acted()),
            requests: carried.requests,
            took: carried.took,
        }
    }

    /// Nothing was called, and nothing changes.
    pub fn quiet(came: Came) -> Self {
        Self {
            came,
            trouble: None,
            state: None,
            called_ms: None,
            requests: 0,
            took: Duration::ZERO,
        }
    }

    fn left(trouble: Trouble) -> Self {
        let state = trouble.state();
        let came = if state == State::Unknown { Came::Unknown } else { Came::HandedBack };
        Self { state: Some(state), trouble: Some(trouble), ..Self::quiet(came) }
    }
}
