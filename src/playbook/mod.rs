//! Playbooks: versioned, approved standard changes. Pure: texts in, values out; what is to be
//! called comes out as data ([`Call`]), and the day is passed in.
//!
//! A [`Library`] is a folder's playbooks together with its lock. The language is described in
//! `docs/playbooks.md`.

mod boundary;
mod examples;
mod expect;
mod fields;
mod library;
mod lock;
mod matching;
mod preconditions;
mod problem;
mod read;
mod slots;
mod step;
mod template;
mod unmet;
mod url_template;
mod view;

use std::collections::BTreeMap;

use jiff::civil::Date;

pub use examples::{Example, Recognise, Tried, Verdict, tried};
pub use expect::{Condition, Expect, Test};
pub use library::{Library, NoPlaybook, TextFile, ids};
pub use lock::{Approval, LOCK_FILE, Locked, Refused, approve};
pub use matching::{Known, Match, MatchedBy, Rule};
pub use preconditions::Preconditions;
pub use problem::{Problem, Problems};
pub use slots::{Kind, MissingSlots, Slot, SlotValue, Slots, Why};
pub use step::{Call, Method, RESERVED_HEADERS, Step, Unchanged, Verify};
pub use template::{Template, Unfit, Values};
pub use unmet::Unmet;
pub use view::{Facts, TicketView};

/// A checked playbook.
#[derive(Clone, Debug)]
pub struct Playbook {
    pub id: String,
    pub version: u64,
    pub title: String,
    pub owner: String,
    pub mode: Mode,
    pub delivery: Delivery,
    /// People's minutes that one run saves.
    pub minutes_saved: f64,
    pub fallback_queue: String,
    /// What the file says and, once the lock agrees, what counts.
    pub approval: Option<Approval>,
    pub matching: Match,
    pub preconditions: Preconditions,
    pub slots: Vec<Slot>,
    /// What reads the ticket again just before acting.
    pub unchanged: Option<Unchanged>,
    /// Why nothing does. It is there where `unchanged` is not, and only there.
    pub unread: Option<String>,
    pub steps: Vec<Step>,
    pub verify: Option<Verify>,
    pub undo: Undo,
    pub examples: Vec<Example>,
    pub counter_examples: Vec<Example>,
    /// The file that it was read from.
    pub file: String,
    /// Of all that the file says but its approval.
    pub digest: String,
    locked: Option<Locked>,
    reply: BTreeMap<String, Template>,
}

/// What a playbook may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Everything but the calls: what it would have done is recorded.
    DryRun,
    /// People get the ticket with the playbook and its values as a suggestion.
    Suggest,
    /// It acts.
    Live,
}

impl Mode {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DryRun => "dry-run",
            Self::Suggest => "suggest",
            Self::Live => "live",
        }
    }
}

/// What happens to a call of which nobody knows whether it arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Delivery {
    /// It is repeated with the same idempotency key.
    AtLeastOnce,
    /// It is never repeated: people look.
    AtMostOnce,
}

impl Delivery {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AtLeastOnce => "at-least-once",
            Self::AtMostOnce => "at-most-once",
        }
    }
}

/// How a run is taken back.
#[derive(Clone, Debug)]
pub enum Undo {
    Step(Box<Step>),
    /// It cannot be, for this reason.
    Irreversible(String),
}

/// Whether a playbook may run at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    Approved,
    /// Never approved, or not in this version.
    Unapproved,
    /// Its last day is over.
    Expired,
}

impl Standing {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Unapproved => "unapproved",
            Self::Expired => "expired",
        }
    }
}

impl Playbook {
    /// Whether it may run on a day. The day named in the approval is the last one.
    pub fn standing(&self, today: Date) -> Standing {
        match &self.locked {
            Some(locked) if today > locked.approval.until => Standing::Expired,
            Some(_) => Standing::Approved,
            None => Standing::Unapproved,
        }
    }

    /// The values of its slots in a ticket.
    ///
    /// # Errors
    /// Every required slot without a value, with why.
    pub fn slots(&self, ticket: &TicketView<'_>) -> Result<Slots, MissingSlots> {
        slots::find(&self.slots, ticket)
    }

    /// Whether values that come from elsewhere, such as a record, are ones that its slots could
    /// have found.
    pub fn takes(&self, values: &Slots) -> bool {
        let known = |name: &String| self.slots.iter().any(|slot| slot.name == *name);
        values.keys().all(known)
            && self.slots.iter().all(|slot| match values.get(&slot.name) {
                Some(value) => slot.value(&value.to_string()).as_ref() == Some(value),
                None => !slot.required,
            })
    }

    /// Whether a ticket is one that it answers; `known` is what the known-request model says.
    pub fn matches(
        &self,
        ticket: &TicketView<'_>,
        facts: &Facts<'_>,
        known: Option<&Known>,
    ) -> Option<MatchedBy> {
        self.matching.matches(ticket, facts, known)
    }

    /// # Errors
    /// The first precondition that does not hold.
    pub fn preconditions(&self, ticket: &TicketView<'_>, facts: &Facts<'_>) -> Result<(), Unmet> {
        self.preconditions.hold(ticket, facts)
    }

    /// The reply to the requester in a language, in English where there is none in it.
    ///
    /// # Errors
    /// [`Unfit::NoValue`] for a placeholder without a value.
    pub fn reply(&self, language: &str, values: &Values<'_>) -> Result<String, Unfit> {
        let primary = language.trim().split(['-', '_']).next().unwrap_or_default();
        let primary = primary.to_ascii_lowercase();
        let template = self.reply.get(&primary).or_else(|| self.reply.get("en"));
        template.map_or_else(|| Ok(String::new()), |template| template.fill(values))
    }

    /// What it acts without, though it could have it: allowed, and worth a warning.
    pub fn risks(&self) -> Vec<Problem> {
        if self.mode != Mode::Live {
            return Vec::new();
        }
        let without = |path: &str, what: &str| {
            Problem::new(&*self.file, path, format!("is missing, and it is live: {what}"))
        };
        let unread = self.unread.as_ref().map(|why| {
            let edits = "what people change between the decision and the call is not looked at";
            without("unchanged", &format!("{edits} ({why})"))
        });
        let no_look = || without("verify", "nobody looks whether it helped");
        let unverified = self.verify.is_none().then(no_look);
        unread.into_iter().chain(unverified).collect()
    }

    /// All its calls: the steps, and what stands beside them.
    pub fn calls(&self) -> impl Iterator<Item = &Step> {
        let undo = match &self.undo {
            Undo::Step(step) => Some(&**step),
            Undo::Irreversible(_) => None,
        };
        let beside =
            [self.unchanged.as_ref().map(|u| &u.step), self.verify.as_ref().map(|v| &v.step), undo];
        self.steps.iter().chain(beside.into_iter().flatten())
    }
}

#[cfg(test)]
mod tests;
