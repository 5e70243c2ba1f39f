//! What is to be done about each record of a batch, before anything is called.

use std::sync::Arc;

use jiff::Timestamp;

use super::input::{Action, Feedback};
use super::perform::Trouble;
use crate::controls::Controls;
use crate::desk;
use crate::log::Record;
use crate::playbook::{Delivery, Facts, Library, Mode, Playbook, Standing, TicketView};
use crate::resolve::admissions::{Admission, Admissions, Asked};
use crate::resolve::guard::Guard;
use crate::triage::ticket::Malformed;

/// What is to be done about one record.
#[derive(Clone, Debug, PartialEq)]
pub enum Plan {
    /// It is no action and no feedback.
    Dead(Malformed),
    /// The playbook is carried out, and counts as called at this time.
    Go {
        called_ms: i64,
    },
    /// It was carried out in an attempt at this batch that was aborted.
    Kept,
    /// The same ticket was acted on before.
    Already,
    /// An at-most-once call was started before and its end is not known.
    Lost,
    /// People have to do it.
    Held(Trouble),
    Undo,
    /// The ticket came back, or its requester says something.
    Feedback,
}

/// What planning looks at besides the ledger.
pub struct Planner<'a> {
    pub library: &'a Library,
    pub controls: &'a Controls,
    /// The matrix' priorities, the highest first.
    pub priorities: &'a [Arc<str>],
    pub feedback: &'a str,
    pub now: Timestamp,
}

impl Planner<'_> {
    /// The plan for a record. `kept` is when its call was made, if it was.
    pub fn plan(
        &self,
        record: &Record,
        kept: Option<i64>,
        admissions: &mut Admissions<'_>,
    ) -> Plan {
        if *record.origin.topic == *self.feedback {
            return match Feedback::read(record) {
                Ok(_) => Plan::Feedback,
                Err(malformed) => Plan::Dead(malformed),
            };
        }
        let action = match Action::read(record) {
            Ok(action) if action.undo.is_some() => return Plan::Undo,
            Ok(action) => action,
            Err(malformed) => return Plan::Dead(malformed),
        };
        let wanted = &action.known_request;
        let asked = asked(&action);
        if let Some(called_ms) = kept {
            admissions.count(&asked, called_ms);
            return Plan::Kept;
        }
        let admission = admissions.before(&asked).unwrap_or_else(|| {
            if let Err(guard) = self.may(&action) {
                admissions.see(&asked);
                return Admission::Held(guard);
            }
            let on_again = self.controls.on_again_ms(&wanted.playbook);
            admissions.admit(&asked, on_again, self.now.as_millisecond())
        });
        match admission {
            Admission::Go => Plan::Go { called_ms: self.now.as_millisecond() },
            Admission::Already => Plan::Already,
            Admission::Lost => Plan::Lost,
            Admission::Held(guard) => Plan::Held(Trouble::of(guard)),
        }
    }

    /// Whether the playbook may be carried out now, as far as its file and the switches say.
    fn may(&self, action: &Action<'_>) -> Result<(), Guard> {
        let wanted = &action.known_request;
        let playbook = self.playbook(action).ok_or(Guard::PlaybookChanged)?;
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
        let ticket = desk::parse_text(action.ticket.get()).map_err(|_| Guard::Precondition)?;
        let json = serde_json::from_str(action.ticket.get()).map_err(|_| Guard::Precondition)?;
        let view = TicketView { language: &action.language, ..TicketView::new(&ticket, &json) };
        let priority = self.priorities.iter().position(|p| **p == *action.priority.label);
        let facts = Facts {
            category: Some(&action.category.label),
            priority,
            priorities: self.priorities,
            now: Some(self.now),
        };
        playbook.preconditions(&view, &facts).map_err(|_| Guard::Precondition)
    }

    /// The playbook in the version that was asked for.
    pub fn playbook(&self, action: &Action<'_>) -> Option<&Playbook> {
        let wanted = &action.known_request;
        self.library.get(&wanted.playbook).filter(|p| p.version == wanted.version)
    }

    /// Whether the start of a planned call has to be in the ledger before it is made.
    pub fn starts_first(&self, action: &Action<'_>) -> bool {
        self.playbook(action).is_some_and(|p| p.delivery == Delivery::AtMostOnce)
    }
}

/// What the ledger and the caps want to know of an action.
pub fn asked<'a>(action: &'a Action<'_>) -> Asked<'a> {
    Asked {
        ticket: &action.ticket_id,
        content: action.content(),
        requester: action.requester(),
        playbook: &action.known_request.playbook,
        created_ms: action.created_ms(),
    }
}
