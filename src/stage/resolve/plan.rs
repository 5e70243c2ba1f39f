//! What is to be done about each record of a batch, before anything is called.

use std::sync::Arc;

use jiff::Timestamp;

use super::input::{Action, Feedback};
use super::perform::Trouble;
use crate::controls::Controls;
use crate::log::Record;
use crate::playbook::{Delivery, Facts, Library, Mode, Standing};
use crate::resolve::admissions::{Admission, Admissions};
use crate::resolve::guard::Guard;
use crate::stage::size;
use crate::triage::ticket::Malformed;

/// A record, read once, and what is to be done about it.
pub enum Plan {
    /// It is no action and no feedback.
    Dead(Malformed),
    Act(Box<Action>, Verdict),
    Undo(Box<Action>),
    /// The ticket came back, or its requester says something.
    Feedback(Feedback),
}

/// What is to be done about an action.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// The playbook is carried out, and counts as called at this time.
    Go { called_ms: i64 },
    /// The same, after a process that started the call at this time and did not live to say how it
    /// ended. The runbook knows the call by its idempotency key.
    Again { called_ms: i64 },
    /// It was carried out in an attempt at this batch that was aborted.
    Kept,
    /// The same ticket was acted on before.
    Already,
    /// A call was started at this time, its end is not known, and it must not be made again.
    Lost { called_ms: i64 },
    /// People have to do it.
    Held(Trouble),
}

/// What planning looks at besides the ledger.
pub struct Planner<'a> {
    pub library: &'a Library,
    pub controls: &'a Controls,
    /// The matrix' priorities, the highest first.
    pub priorities: &'a [Arc<str>],
    pub feedback: &'a str,
    /// The largest output that the log takes.
    pub max_output_bytes: usize,
    pub now: Timestamp,
}

impl Planner<'_> {
    /// The plan for a record. `kept` says whether its call was made already.
    pub fn plan(&self, record: &Record, kept: bool, admissions: &mut Admissions<'_>) -> Plan {
        if *record.origin.topic == *self.feedback {
            return Feedback::read(record).map_or_else(Plan::Dead, Plan::Feedback);
        }
        match Action::read(record).map(Box::new) {
            Err(malformed) => Plan::Dead(malformed),
            Ok(action) if action.undo.is_some() => Plan::Undo(action),
            Ok(action) => {
                let has_room = size::left_room(record, self.max_output_bytes);
                let verdict = self.verdict(&action, kept, has_room, admissions);
                Plan::Act(action, verdict)
            }
        }
    }

    fn verdict(
        &self,
        action: &Action,
        kept: bool,
        has_room: bool,
        admissions: &mut Admissions<'_>,
    ) -> Verdict {
        let asked = action.asked();
        let before = admissions.before(&asked);
        // Where the ledger knows the end, another process has settled it meanwhile.
        if kept && matches!(before, None | Some(Admission::Started { .. })) {
            admissions.see(&asked);
            return Verdict::Kept;
        }
        let now_ms = self.now.as_millisecond();
        let on_again_ms = self.controls.on_again_ms(asked.playbook);
        let may = || if has_room { self.may(action) } else { Err(Guard::NotRecorded) };
        let admission = before.unwrap_or_else(|| match may() {
            Ok(()) => admissions.admit(&asked, on_again_ms, now_ms),
            Err(guard) => {
                admissions.see(&asked);
                Admission::Held(guard)
            }
        });
        match admission {
            Admission::Go => Verdict::Go { called_ms: now_ms },
            Admission::Already => Verdict::Already,
            Admission::Started { called_ms } => {
                admissions.see(&asked);
                let off = admissions.is_off(asked.playbook, on_again_ms);
                if !off && self.repeats(action) && may().is_ok() {
                    Verdict::Again { called_ms }
                } else {
                    Verdict::Lost { called_ms }
                }
            }
            // Before the start, only the size can be why.
            Admission::Held(guard @ Guard::NotRecorded) => {
                let detail = size::NO_ROOM.to_owned();
                Verdict::Held(Trouble { detail, ..Trouble::of(guard) })
            }
            Admission::Held(guard) => Verdict::Held(Trouble::of(guard)),
        }
    }

    /// Whether the runbook may get the same call twice.
    fn repeats(&self, action: &Action) -> bool {
        let playbook = action.playbook(self.library);
        playbook.is_some_and(|playbook| playbook.delivery == Delivery::AtLeastOnce)
    }

    /// Whether the playbook may be carried out now, as far as its file and the switches say.
    fn may(&self, action: &Action) -> Result<(), Guard> {
        let wanted = &action.known_request;
        let playbook = action.playbook(self.library).ok_or(Guard::PlaybookChanged)?;
        let today = self.now.to_zoned(jiff::tz::TimeZone::UTC).date();
        match playbook.standing(today) {
            Standing::Approved if playbook.mode == Mode::Live => {}
            Standing::Approved => return Err(Guard::PlaybookChanged),
            Standing::Unapproved => return Err(Guard::NotApproved),
            Standing::Expired => return Err(Guard::Expired),
        }
        if !playbook.takes(&wanted.slots) {
            return Err(Guard::MissingSlot);
        }
        if self.controls.killed() {
            return Err(Guard::Killed);
        }
        if self.controls.off(&wanted.playbook) {
            return Err(Guard::SwitchedOff);
        }
        let priority = self.priorities.iter().position(|p| **p == *action.priority);
        let facts = Facts {
            category: Some(&action.category),
            priority,
            priorities: self.priorities,
            now: Some(self.now),
        };
        playbook.preconditions(&action.view(), &facts).map_err(|_| Guard::Precondition)
    }
}
