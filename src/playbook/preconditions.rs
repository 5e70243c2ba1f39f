//! `[preconditions]`: what must be so of a ticket before a playbook may act on it.

use jiff::Timestamp;
use serde_json::Value;

use super::fields::{self, Fields};
use super::matching::{in_categories, named, patterns};
use super::problem::Found;
use super::unmet::Unmet;
use super::view::{Facts, TicketView};
use crate::triage::policy::{Pattern, takes_language};

/// Checked conditions; an empty list takes any value.
#[derive(Clone, Debug, Default)]
pub struct Preconditions {
    /// Only tickets with a lower priority than this one. The highest is never acted on.
    pub priorities_below: Option<String>,
    pub sources: Vec<String>,
    pub languages: Vec<String>,
    pub categories: Vec<Pattern>,
    pub max_age_minutes: Option<u64>,
    /// JSON pointers into the ticket with the values that must stand there.
    pub requires: Vec<(String, Value)>,
}

impl Preconditions {
    /// # Errors
    /// The first condition that does not hold; one on a fact that is not known does not hold.
    pub fn hold(&self, ticket: &TicketView<'_>, facts: &Facts<'_>) -> Result<(), Unmet> {
        self.priority(facts)?;
        self.of_ticket(ticket)?;
        if !in_categories(&self.categories, facts) {
            return Err(Unmet::Category);
        }
        match self.max_age_minutes {
            Some(minutes) if !is_young(ticket, facts.now, minutes) => Err(Unmet::TooOld),
            _ => Ok(()),
        }
    }

    /// The conditions that need nothing but the ticket.
    ///
    /// # Errors
    /// As [`Self::hold`].
    pub fn of_ticket(&self, ticket: &TicketView<'_>) -> Result<(), Unmet> {
        if !named(&self.sources, ticket.source) {
            return Err(Unmet::Source);
        }
        if !takes_language(&self.languages, ticket.language) {
            return Err(Unmet::Language);
        }
        match self.requires.iter().find(|(pointer, value)| ticket.at(pointer) != Some(value)) {
            Some((pointer, _)) => Err(Unmet::Requires(pointer.clone())),
            None => Ok(()),
        }
    }

    fn priority(&self, facts: &Facts<'_>) -> Result<(), Unmet> {
        let bar = match &self.priorities_below {
            None => 0,
            Some(name) => {
                let place = facts.priorities.iter().position(|p| p.eq_ignore_ascii_case(name));
                place.ok_or(Unmet::Priority)?
            }
        };
        match facts.priority {
            // Without a bar only what is known to be the highest is held back.
            None if self.priorities_below.is_none() => Ok(()),
            Some(priority) if priority > bar => Ok(()),
            _ => Err(Unmet::Priority),
        }
    }
}

fn is_young(ticket: &TicketView<'_>, now: Option<Timestamp>, minutes: u64) -> bool {
    let created = ticket.at("/created_at").and_then(Value::as_str);
    let created = created.and_then(|text| text.parse::<Timestamp>().ok());
    let (Some(created), Some(now)) = (created, now) else { return false };
    let age = now.as_second().saturating_sub(created.as_second());
    u64::try_from(age).unwrap_or(0) <= minutes * 60
}

/// Reads `[preconditions]`.
pub(super) fn read(table: Option<Fields>, found: &mut Found<'_>) -> Preconditions {
    let Some(mut table) = table else { return Preconditions::default() };
    let read = Preconditions {
        priorities_below: table.optional_text("priorities_below", found),
        sources: table.texts("sources", found),
        languages: table.texts("languages", found),
        categories: patterns(&mut table, found),
        max_age_minutes: table.optional_whole("max_age_minutes", 1, 525_600, found),
        requires: requires(&mut table, found),
    };
    table.end(found);
    read
}

fn requires(table: &mut Fields, found: &mut Found<'_>) -> Vec<(String, Value)> {
    let mut requires = Vec::new();
    for mut item in table.tables("requires", found) {
        let at = item.text("pointer", found);
        fields::pointer(&item.path("pointer"), &at, found);
        if let Some(value) = item.required("equals", found) {
            requires.push((at, fields::json(&item.path("equals"), value, found)));
        }
        item.end(found);
    }
    requires
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;

    fn conditions(toml: &str) -> Preconditions {
        let mut found = Found::new("f");
        let table = Fields::new("preconditions", toml.parse().expect("TOML"));
        let read = read(Some(table), &mut found);
        assert_eq!(found.into_list(), []);
        read
    }

    #[test]
    fn each_condition_can_hold_and_fail() {
        let json = json!({"created_at": "2026-03-04T09:00:00Z", "vip": false, "gone": null});
        let ticket = TicketView {
            id: "1",
            subject: "",
            body: "",
            source: "Chat",
            language: "ko",
            json: &json,
        };
        let priorities: Vec<Arc<str>> = ["P1", "P2", "P3"].map(Arc::from).to_vec();
        let now = "2026-03-04T09:30:00Z".parse().ok();
        let category = Some("Account/Locked");
        let facts = Facts { category, priority: Some(1), priorities: &priorities, now };
        for (toml, expected) in [
            ("", Ok(())),
            ("priorities_below = 'p1'", Ok(())),
            ("priorities_below = 'P2'", Err(Unmet::Priority)),
            ("priorities_below = 'P9'", Err(Unmet::Priority)),
            ("sources = ['chat']", Ok(())),
            ("sources = ['email']", Err(Unmet::Source)),
            ("languages = ['ko', 'en']", Ok(())),
            ("languages = ['en']", Err(Unmet::Language)),
            ("categories = ['Account/*']", Ok(())),
            ("categories = ['Network/*']", Err(Unmet::Category)),
            ("max_age_minutes = 30", Ok(())),
            ("max_age_minutes = 29", Err(Unmet::TooOld)),
            ("requires = [{pointer = '/vip', equals = false}]", Ok(())),
            (
                "requires = [{pointer = '/vip', equals = 'false'}]",
                Err(Unmet::Requires("/vip".to_owned())),
            ),
            (
                "requires = [{pointer = '/gone', equals = 0}]",
                Err(Unmet::Requires("/gone".to_owned())),
            ),
        ] {
            assert_eq!(conditions(toml).hold(&ticket, &facts), expected, "{toml}");
        }
        let unknown = Facts::default();
        for toml in ["priorities_below = 'P1'", "categories = ['*']", "max_age_minutes = 9"] {
            assert!(conditions(toml).hold(&ticket, &unknown).is_err(), "{toml}");
        }
        let highest = Facts { priority: Some(0), ..facts };
        assert_eq!(conditions("").hold(&ticket, &highest), Err(Unmet::Priority));
    }
}
