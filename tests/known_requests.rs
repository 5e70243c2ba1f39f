//! Which tickets are left to a playbook: by a rule, and held back by each guard that a ticket alone
//! can show.

#[path = "support/playbook.rs"]
mod playbook;
#[path = "support/tickets.rs"]
mod tickets;

use std::sync::Arc;

use serde_json::{Value, json};
use triaged::desk::parse_text;
use triaged::log::Batch;
use triaged::metrics::{Labels, Metrics};
use triaged::playbook::Library;
use triaged::resolve::guard::Guard;
use triaged::stage::Stage as _;
use triaged::stage::route::Route;
use triaged::triage::decision::{Outcome, RecognisedBy};
use triaged::triage::model::Scratch;
use triaged::triage::playbooks::Playbooks;
use triaged::triage::policy::Pattern;
use triaged::triage::requests::{Limits, Requests};
use triaged::triage::{Mismatch, Triage};

fn triage(edit: impl Fn(String) -> String, approved: bool) -> Triage {
    with([edit(playbook::text("unlock", 9, "at-least-once"))], approved)
}

/// The request model that ships, sure of a request from this confidence on.
fn requests(min_confidence: f64) -> Option<Arc<Requests>> {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/models/requests");
    let model = triaged::bundle::open(dir.as_ref()).expect("the model that ships");
    let limits = Limits { min_confidence, ..Limits::default() };
    Some(Arc::new(Requests::new(Arc::new(model), limits).expect("a model of requests")))
}

fn with(texts: impl IntoIterator<Item = String>, approved: bool) -> Triage {
    asking(None, texts, approved)
}

fn asking(
    requests: Option<Arc<Requests>>,
    texts: impl IntoIterator<Item = String>,
    approved: bool,
) -> Triage {
    let (files, lock) = playbook::approved(texts);
    let lock = approved.then_some(lock.as_str());
    let library = Library::read(&files, lock).expect("a playbook");
    let plain = Triage::clone(&tickets::fixture().triage);
    plain.with_playbooks(Playbooks {
        library: Arc::new(library),
        requests,
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
fn a_ticket_of_a_security_category_is_held_back() {
    let security = json!({ "body": "I got a suspicious mail that asks for my password, it looks \
        like phishing, and I clicked on the link. The virus scanner found a trojan." });
    let text = ticket(security.clone());
    let ticket = parse_text(&text).expect("a ticket");
    let live = triage(|text| text, true);
    let decision = live.decide(&mut Scratch::default(), &ticket);
    let category = decision.category.label;
    assert!(category.starts_with("Security/"), "the test's ticket counts as {category}");
    assert_eq!(decision.known_request.and_then(|known| known.held_by), Some(Guard::Security));
    assert_ne!(decision.outcome, Outcome::Resolve);
    // Nothing else holds it back.
    let mut playbooks = live.playbooks().expect("playbooks").clone();
    playbooks.hands_off.security_categories.clear();
    let unguarded = Triage::clone(&live).with_playbooks(playbooks);
    assert_eq!(decide(&unguarded, security), (Outcome::Resolve, Some(None)));
}

#[test]
fn guards_are_counted_at_routing_once_the_batch_is_committed() {
    let metrics = Metrics::new(&Labels::default(), 1).expect("metrics");
    let mut settings = tickets::fixture().settings.clone();
    settings.actions = Some("tickets.actions".into());
    let live = Arc::new(triage(|text| text, true));
    let mut stage = Route::new(live, settings, Arc::clone(&metrics));
    let held = [json!({ "vip": true }), json!({ "vip": "yes" }), json!({ "assignee": "lee" })];
    let all = held.into_iter().chain([json!({}), json!({ "subject": "nothing known" })]);
    let records = (0..).zip(all).map(|(at, more)| tickets::record(at, ticket(more).as_bytes()));
    let batch = Batch::of(records.collect());
    let counted = || -> Vec<(&str, u64)> {
        let of = |guard: Guard| metrics.resolve.guards.with_label_values(&[guard.as_str()]).get();
        let all = Guard::ALL.iter().map(|guard| (guard.as_str(), of(*guard)));
        all.filter(|(_, n)| *n > 0).collect()
    };
    // The first attempt is aborted.
    for _ in 0..2 {
        let outputs = stage.run(&batch);
        let actions = outputs.iter().filter(|output| *output.topic == *"tickets.actions").count();
        assert_eq!((outputs.len(), actions), (5, 1));
        assert!(counted().is_empty());
    }
    stage.committed(&batch);
    assert_eq!(counted(), [("vip", 2), ("touched", 1)]);
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

#[test]
fn a_rule_lets_a_ticket_in_that_the_model_is_not_sure_of() {
    let unlock = playbook::text("unlock", 9, "at-least-once");
    let asked = unlock.replace("requests = [\"unlock\"]", "requests = [\"unlock_account\"]");
    let without_rule = asked.replace("do unlock\"] }]", "do something else\"] }]");
    let choosy = asked.replace("rules = [", "min_confidence = 1.0\n        rules = [");
    let never = 1.1;
    // Whether it is below the model's bar or the playbook's.
    let unsure = |text: &String| decide(&asking(requests(never), [text.clone()], true), json!({}));
    assert_eq!(unsure(&without_rule).1, Some(Some(Guard::BelowFloor)));
    assert_eq!(unsure(&asked), (Outcome::Resolve, Some(None)));
    let sure = |texts: &[&String]| {
        let texts = texts.iter().map(|text| (*text).clone());
        decide(&asking(requests(0.0), texts, true), json!({}))
    };
    assert_eq!(sure(&[&choosy]), (Outcome::Resolve, Some(None)));
    assert_eq!(sure(&[&without_rule]), (Outcome::Resolve, Some(None)));
    // A request of another playbook stands against a rule only if the model is sure of it.
    let order = playbook::text("order", 9, "at-least-once");
    let other = order.replace("requests = [\"order\"]", "requests = [\"unlock_account\"]");
    assert_eq!(sure(&[&unlock, &other]).1, Some(Some(Guard::TooClose)));
    let triage = asking(requests(never), [unlock, other], true);
    assert_eq!(decide(&triage, json!({})), (Outcome::Resolve, Some(None)));
}

#[test]
fn what_a_playbook_names_must_be_there() {
    let names = |text: String| {
        text.replace("[\"do unlock\"]", "[\"do unlock\"], categories = [\"Access/*\", \"Nope/*\"]")
            .replace("[slots.user]", "[preconditions]\npriorities_below = \"P9\"\n[slots.user]")
    };
    let unlock = || playbook::text("unlock", 9, "at-least-once");
    let playbook = String::from("unlock");
    let list = |name: &str| vec![name.to_owned()];
    assert_eq!(with([unlock()], true).playbook_mismatches(), [], "no model, but a rule");
    let wrong = asking(requests(0.0), [names(unlock())], true).playbook_mismatches();
    let unknown =
        Mismatch::UnknownRequests { playbook: playbook.clone(), requests: list("unlock") };
    assert!(wrong.contains(&unknown), "{wrong:?}");
    let priority = String::from("P9");
    let unknown = Mismatch::UnknownPriority { playbook: playbook.clone(), priority };
    assert!(wrong.contains(&unknown), "{wrong:?}");
    assert!(wrong.iter().any(|m| matches!(m, Mismatch::PlaybookCategories { categories, .. }
        if categories.contains(&String::from("Nope/*")))));
    assert_eq!(wrong.len(), 3, "{wrong:?}");

    let rule = "rules = [{ all_words = [\"do unlock\"] }]";
    let idle = with([unlock().replace(rule, "")], true);
    assert_eq!(idle.playbook_mismatches(), [Mismatch::NeverActs(playbook)]);
    let mut playbooks = idle.playbooks().expect("playbooks").clone();
    playbooks.requests = requests(0.0);
    playbooks.hands_off.security_categories = vec![Pattern::new("Nope/*")];
    let found = idle.with_playbooks(playbooks).playbook_mismatches();
    assert!(found.contains(&Mismatch::SecurityCategories(list("Nope/*"))), "{found:?}");
}
