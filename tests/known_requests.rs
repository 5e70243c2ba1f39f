//! Which tickets are left to a playbook: by a rule, and held back by each guard that a ticket alone
//! can show.

#[path = "support/playbook.rs"]
mod playbook;
#[path = "support/tickets.rs"]
mod tickets;

use std::sync::Arc;

use serde_json::{Value, json};
use triaged::desk::parse_text;
use triaged::playbook::Library;
use triaged::resolve::guard::Guard;
use triaged::triage::Triage;
use triaged::triage::decision::{Outcome, RecognisedBy};
use triaged::triage::model::Scratch;
use triaged::triage::playbooks::Playbooks;

fn triage(edit: impl Fn(String) -> String, approved: bool) -> Triage {
    with([edit(playbook::text("unlock", 9, "at-least-once"))], approved)
}

fn with(texts: impl IntoIterator<Item = String>, approved: bool) -> Triage {
    let (files, lock) = playbook::approved(texts);
    let lock = approved.then_some(lock.as_str());
    let library = Library::read(&files, lock).expect("a playbook");
    let plain = Triage::clone(&tickets::fixture().triage);
    plain.with_playbooks(Playbooks {
        library: Arc::new(library),
        requests: None,
        hands_off: tickets::config().resolve.hands_off,
    })
}

fn ticket(more: Value) -> String {
    let mut ticket = tickets::ticket("T-1", "do unlock", "please, since my account is locked");
    let own = ticket.as_object_mut().expect("an object");
    own.insert(String::from("user"), json!("kim"));
    own.extend(more.as_object().expect("an object").clone());
    ticket.to_string()
}

/// The outcome, and what held the playbook back.
fn decide(triage: &Triage, more: Value) -> (Outcome, Option<Option<Guard>>) {
    let text = ticket(more);
    let ticket = parse_text(&text).expect("a ticket");
    let decision = triage.decide(&mut Scratch::default(), &ticket);
    (decision.outcome, decision.known_request.map(|known| known.held_by))
}

#[test]
fn a_ticket_that_a_live_playbook_takes_becomes_an_action() {
    let triage = triage(|text| text, true);
    assert_eq!(decide(&triage, json!({})), (Outcome::Resolve, Some(None)));
    let text = ticket(json!({}));
    let ticket = parse_text(&text).expect("a ticket");
    let decision = triage.decide(&mut Scratch::default(), &ticket);
    let known = decision.known_request.expect("a request");
    assert_eq!((known.playbook, known.version), ("unlock", 1));
    assert_eq!(known.recognised_by, RecognisedBy::Rule);
    assert_eq!((known.confidence, known.request), (None, None));
    assert_eq!(known.slots["user"].to_string(), "kim");
}

#[test]
fn what_no_playbook_takes_is_routed_as_ever() {
    let triage = triage(|text| text, true);
    let (outcome, known) = decide(&triage, json!({ "subject": "the printer is jammed" }));
    assert!(outcome != Outcome::Resolve && known.is_none());
}

#[test]
fn every_guard_holds_and_says_so() {
    let live = triage(|text| text, true);
    for (more, guard) in [
        (json!({ "user": "12" }), Guard::MissingSlot),
        (json!({ "priority": "P1" }), Guard::HighestPriority),
        (json!({ "vip": true }), Guard::Vip),
        (json!({ "requester": { "vip": "yes" } }), Guard::Vip),
        (json!({ "security": 1 }), Guard::Security),
        (json!({ "reopen_count": 2 }), Guard::Reopened),
        (json!({ "assignee": "lee" }), Guard::Touched),
    ] {
        let (outcome, known) = decide(&live, more.clone());
        assert_eq!(known, Some(Some(guard)), "{more}");
        assert_ne!(outcome, Outcome::Resolve, "{more}");
    }
    for (more, name) in [
        (json!({ "vip": false }), "false"),
        (json!({ "vip": "no" }), "no"),
        (json!({ "reopen_count": 0 }), "0"),
        (json!({ "assignee": "" }), "nothing"),
        (json!({ "assignee": null }), "null"),
    ] {
        assert_eq!(decide(&live, more).0, Outcome::Resolve, "{name} is no reason");
    }
}

#[test]
fn a_playbook_that_may_not_act_is_a_suggestion() {
    let mode = |mode: &'static str| {
        triage(move |text| text.replace("mode = \"live\"", &format!("mode = \"{mode}\"")), true)
    };
    assert_eq!(decide(&mode("dry-run"), json!({})).1, Some(Some(Guard::DryRun)));
    assert_eq!(decide(&mode("suggest"), json!({})).1, Some(Some(Guard::SuggestOnly)));
    assert_eq!(decide(&triage(|text| text, false), json!({})).1, Some(Some(Guard::NotApproved)));
    // The weightier reason is told.
    assert_eq!(decide(&mode("dry-run"), json!({ "vip": true })).1, Some(Some(Guard::Vip)));
}

#[test]
fn a_ticket_that_two_playbooks_take_is_for_people() {
    let order = playbook::text("order", 9, "at-least-once");
    let both = order.replace("do order", "do unlock");
    let triage = with([playbook::text("unlock", 9, "at-least-once"), both], true);
    assert_eq!(decide(&triage, json!({})).1, Some(Some(Guard::TooClose)));
}
