//! Which playbook answers a ticket's request, and what keeps the machine's hands off it.

use std::sync::Arc;

use jiff::civil::Date;
use serde_json::Value;

use super::Mismatch;
use super::decision::{KnownRequest, RecognisedBy, Rounded};
use super::model::Scratch;
use super::policy::{Pattern, fitting_none};
use super::requests::{self, Doubt, Requests};
use super::text::{Text, fields};
use super::ticket::Ticket;
use crate::playbook::{
    Facts, Known, Library, MatchedBy, Mode, Playbook, Preconditions, Standing, TicketView,
};
use crate::resolve::guard::Guard;

/// The owner's rules about tickets that no machine may touch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HandsOff {
    /// JSON pointers into the ticket; what stands there counts unless it says no.
    pub vip: Vec<String>,
    pub security: Vec<String>,
    pub reopened: Vec<String>,
    pub touched: Vec<String>,
    /// Categories that are a matter of security.
    pub security_categories: Vec<Pattern>,
}

/// Playbooks, with what recognises the requests that they answer.
#[derive(Clone)]
pub struct Playbooks {
    pub library: Arc<Library>,
    /// Without a model only the playbooks' own rules recognise anything.
    pub requests: Option<Arc<Requests>>,
    pub hands_off: HandsOff,
}

impl Playbooks {
    /// The request behind a ticket, if a playbook answers it, and whether it is left to that.
    pub fn known_request(
        &self,
        scratch: &mut Scratch,
        ticket: &Ticket<'_>,
        facts: &Facts<'_>,
    ) -> Option<KnownRequest<'_>> {
        // It was read as JSON before, so this cannot fail.
        let json: Value = serde_json::from_str(&ticket.original).ok()?;
        let judged = self.requests.as_ref().map(|requests| {
            let fields = fields::entries(requests.model().fields(), &json);
            let text = Text { subject: &ticket.subject, body: &ticket.body, fields: &fields };
            requests.known(scratch, &text)
        });
        let proposed = judged.as_ref().and_then(proposed);
        let view = TicketView::new(ticket, &json);
        // How long it lies there is asked when it is acted on: there is no clock here.
        let created = json.get("created_at").and_then(Value::as_str);
        let facts = Facts { now: created.and_then(|at| at.parse().ok()), ..*facts };
        let sure = judged.as_ref().and_then(sure);
        let (playbook, by, other) =
            self.answering(&view, &facts, sure.as_ref(), proposed.as_ref())?;
        let doubt = match &by {
            MatchedBy::Request(_) => judged.as_ref().and_then(|j| doubt(j, playbook)),
            MatchedBy::Rule(_) => None,
        };
        let slots = playbook.slots(&view);
        let held = match (doubt, &slots) {
            _ if playbook.standing(Date::MIN) != Standing::Approved => {
                Some((Guard::NotApproved, None))
            }
            _ if other.is_some() => {
                let other = other.map_or("", |other| &other.id);
                Some((Guard::TooClose, Some(format!("the playbook {other} takes it as well"))))
            }
            (Some(guard), _) => Some((guard, None)),
            (None, Err(missing)) => Some((Guard::MissingSlot, Some(missing.to_string()))),
            (None, Ok(_)) => self.held(playbook, &view, &facts),
        };
        let known = proposed.filter(|_| matches!(by, MatchedBy::Request(_)));
        Some(KnownRequest {
            playbook: &playbook.id,
            version: playbook.version,
            recognised_by: match by {
                MatchedBy::Request(_) => RecognisedBy::Model,
                MatchedBy::Rule(_) => RecognisedBy::Rule,
            },
            confidence: known.as_ref().map(|k| Rounded(k.confidence)),
            margin: known.as_ref().map(|k| Rounded(k.margin)),
            request: known.map(|k| k.request),
            slots: slots.unwrap_or_default(),
            held_by: held.as_ref().map(|(guard, _)| *guard),
            detail: held.map(|(guard, detail)| detail.unwrap_or_else(|| guard.detail().to_owned())),
        })
    }

    /// The playbook that takes the ticket, and another one that takes it too. Rules come before a
    /// request that model or playbook is not sure of: that one is a suggestion to people.
    fn answering(
        &self,
        view: &TicketView<'_>,
        facts: &Facts<'_>,
        sure: Option<&Known>,
        proposed: Option<&Known>,
    ) -> Option<(&Playbook, MatchedBy, Option<&Playbook>)> {
        let mut taking =
            self.library.iter().filter_map(|p| p.matches(view, facts, sure).map(|by| (p, by)));
        if let Some((playbook, by)) = taking.next() {
            return Some((playbook, by, taking.next().map(|(other, _)| other)));
        }
        let raised = Known { confidence: 1.0, margin: 1.0, ..proposed?.clone() };
        let playbook = self.library.answering(&raised.request)?;
        let by = playbook.matches(view, facts, Some(&raised))?;
        Some((playbook, by, None))
    }

    /// What playbooks and hands-off rules name that is not there, and playbooks that cannot act.
    pub fn mismatches(&self, categories: &[Arc<str>], priorities: &[Arc<str>]) -> Vec<Mismatch> {
        let mut found = Vec::new();
        for playbook in self.library.iter() {
            let id = || playbook.id.clone();
            let Preconditions { priorities_below, categories: more, .. } = &playbook.preconditions;
            let asked = &playbook.matching.requests;
            match &self.requests {
                Some(requests) => {
                    let has = |name: &String| requests.names().any(|known| **known == **name);
                    let unknown: Vec<String> =
                        asked.iter().filter(|name| !has(name)).cloned().collect();
                    if !unknown.is_empty() {
                        found.push(Mismatch::UnknownRequests { playbook: id(), requests: unknown });
                    }
                }
                None if playbook.matching.rules.is_empty() => {
                    found.push(Mismatch::NeverActs(id()));
                }
                None => {}
            }
            let unknown = unfit(playbook.matching.categories().chain(more), categories);
            if !unknown.is_empty() {
                found.push(Mismatch::PlaybookCategories { playbook: id(), categories: unknown });
            }
            let known = |name: &String| priorities.iter().any(|p| p.eq_ignore_ascii_case(name));
            if let Some(priority) = priorities_below.as_ref().filter(|name| !known(name)) {
                let priority = priority.clone();
                found.push(Mismatch::UnknownPriority { playbook: id(), priority });
            }
        }
        let unknown = unfit(&self.hands_off.security_categories, categories);
        if !unknown.is_empty() {
            found.push(Mismatch::SecurityCategories(unknown));
        }
        found
    }

    /// The first guard that holds, the weightiest first; what the playbook itself holds back comes
    /// last, so that a dry run shows what would have been done.
    fn held(
        &self,
        playbook: &Playbook,
        view: &TicketView<'_>,
        facts: &Facts<'_>,
    ) -> Option<(Guard, Option<String>)> {
        let any = |pointers: &[String]| pointers.iter().any(|p| view.at(p).is_some_and(says_yes));
        let security = |label: &str| {
            self.hands_off.security_categories.iter().any(|pattern| pattern.matches(label))
        };
        let guard = if facts.priority == Some(0) {
            Guard::HighestPriority
        } else if any(&self.hands_off.vip) {
            Guard::Vip
        } else if any(&self.hands_off.security) || facts.category.is_some_and(security) {
            Guard::Security
        } else if any(&self.hands_off.reopened) {
            Guard::Reopened
        } else if any(&self.hands_off.touched) {
            Guard::Touched
        } else if let Err(unmet) = playbook.preconditions(view, facts) {
            return Some((Guard::Precondition, Some(unmet.to_string())));
        } else {
            match playbook.mode {
                Mode::Live => return None,
                Mode::Suggest => Guard::SuggestOnly,
                Mode::DryRun => Guard::DryRun,
            }
        };
        Some((guard, None))
    }
}

/// What the model is sure of; with this a playbook asks whether the ticket is its own.
pub fn sure(judged: &requests::Known) -> Option<Known> {
    proposed(judged).filter(|_| judged.doubt.is_none())
}

/// What the model proposes, if it is worth telling a person.
fn proposed(judged: &requests::Known) -> Option<Known> {
    match judged.doubt {
        None | Some(Doubt::LowConfidence | Doubt::TooClose) => Some(Known {
            request: judged.likeliest.to_string(),
            confidence: judged.confidence,
            margin: judged.margin,
        }),
        Some(Doubt::UnknownWords | Doubt::TooShort | Doubt::Other) => None,
    }
}

/// Why the model's answer is not enough to act on.
fn doubt(judged: &requests::Known, playbook: &Playbook) -> Option<Guard> {
    match judged.doubt {
        Some(Doubt::TooClose) => Some(Guard::TooClose),
        Some(_) => Some(Guard::BelowFloor),
        None if judged.confidence < playbook.matching.min_confidence => Some(Guard::BelowFloor),
        None if judged.margin < playbook.matching.min_margin => Some(Guard::TooClose),
        None => None,
    }
}

/// Those patterns that fit none of the categories, each once.
fn unfit<'p>(
    patterns: impl IntoIterator<Item = &'p Pattern>,
    categories: &[Arc<str>],
) -> Vec<String> {
    let mut unknown = fitting_none(patterns, categories);
    unknown.sort();
    unknown.dedup();
    unknown
}

/// Whether a value in a ticket says yes: anything but false, zero, nothing and "no".
fn says_yes(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(yes) => *yes,
        Value::Number(n) => n.as_f64() != Some(0.0),
        Value::String(text) => {
            !matches!(text.trim().to_ascii_lowercase().as_str(), "" | "0" | "no" | "false")
        }
        Value::Array(list) => !list.is_empty(),
        Value::Object(object) => !object.is_empty(),
    }
}
