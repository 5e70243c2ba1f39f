//! What is taken back, and what comes back by itself.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use triaged::log::AbortReason;
use triaged::log::memory::Fault;
use triaged::triage::ticket::Malformed;

use crate::runbook::{Reply, Runbook};
use crate::world::{World, said, undo};

#[test]
fn undo_takes_back_what_was_done_and_nothing_else() {
    let world = World::new("at-least-once", Runbook::start(|_| Reply::Done));
    world.act("T-1");
    world.run_until(1);
    for id in ["T-1", "T-1", "T-2"] {
        world.put("tickets.actions", id, &undo(id, "kim"));
    }
    world.run_until(4);
    let expected = [said("done", None), said("undone", None), said("not_undone", Some("failed"))];
    assert_eq!(world.outcomes()["T-1"], expected);
    assert_eq!(world.outcome("T-2"), said("not_undone", Some("failed")));
    let told = world.values("tickets.outcomes");
    assert!(told[0]["undo"].is_null());
    assert_eq!(told[1]["undo"]["by"], "ops");
    let paths: Vec<_> = world.runbook.requests().into_iter().map(|r| r.path).collect();
    assert_eq!(paths, ["/unlock/kim", "/undo-unlock/kim"]);
}

#[test]
fn of_several_orders_to_undo_a_ticket_one_is_carried_out_though_the_batch_comes_again() {
    let world = World::new("at-least-once", Runbook::start(|_| Reply::Done));
    world.act("T-1");
    world.run_until(1);
    world.cluster.schedule([Some(Fault::Abort(AbortReason::Commit))]);
    for _ in 0..2 {
        world.put("tickets.actions", "T-1", &undo("T-1", "kim"));
    }
    world.run_turns(&[10, 10]);
    let expected = [said("done", None), said("undone", None), said("not_undone", Some("failed"))];
    assert_eq!(world.outcomes()["T-1"], expected);
    assert_eq!(world.runbook.requests().len(), 2);
}

#[test]
fn an_undo_is_made_again_until_it_goes_through_whatever_the_delivery() {
    let mut world = World::new("at-most-once", Runbook::start(|_| Reply::Done));
    world.calls.retries.attempts = 3;
    world.calls.retries.base = Duration::from_millis(1);
    world.act("T-1");
    world.run_until(1);
    let mut refusals = 2;
    world.runbook.script(move |_| {
        refusals -= 1;
        if refusals < 0 { Reply::Done } else { Reply::Status(503) }
    });
    world.put("tickets.actions", "T-1", &undo("T-1", "kim"));
    world.run_until(2);
    assert_eq!(world.outcomes()["T-1"], [said("done", None), said("undone", None)]);
    let requests = world.runbook.requests();
    assert_eq!(requests.len(), 4);
    assert!(requests[1..].iter().all(|r| r.path == "/undo-unlock/kim" && r.key == requests[1].key));
}

#[test]
fn an_undo_that_failed_can_be_ordered_again_though_its_runbook_remembers_answers() {
    let world = World::new("at-least-once", Runbook::start(|_| Reply::Done));
    world.act("T-1");
    world.run_until(1);
    let (mut answered, mut works) = (BTreeMap::new(), false);
    world.runbook.script(move |request| {
        // Whoever comes with its first key finds it broken, now and for ever.
        let done = *answered.entry(request.key.clone()).or_insert(works);
        works = true;
        if done { Reply::Done } else { Reply::Status(500) }
    });
    for outcomes in 2..4 {
        world.put("tickets.actions", "T-1", &undo("T-1", "kim"));
        world.run_until(outcomes);
    }
    let expected = [said("done", None), said("not_undone", Some("unknown")), said("undone", None)];
    assert_eq!(world.outcomes()["T-1"], expected);
    let keys: Vec<_> = world.runbook.requests().into_iter().map(|r| r.key).collect();
    assert_eq!(keys.len(), 3);
    assert_ne!(keys[1], keys[2]);
    let told = world.values("tickets.outcomes");
    assert_eq!(told[2]["idempotency_key"].as_str(), keys[2].as_deref());
}

#[test]
fn an_order_to_undo_that_a_crash_cut_off_keeps_its_key() {
    let world = World::new("at-least-once", Runbook::start(|_| Reply::Done));
    world.act("T-1");
    world.run_until(1);
    world.cluster.schedule([Some(Fault::CrashBeforeCommit)]);
    world.put("tickets.actions", "T-1", &undo("T-1", "kim"));
    world.run_until(2);
    assert_eq!(world.outcomes()["T-1"], [said("done", None), said("undone", None)]);
    let keys: Vec<_> = world.runbook.requests().into_iter().map(|r| r.key).collect();
    assert_eq!(keys.len(), 3);
    assert_eq!(keys[1], keys[2]);
}

#[test]
fn a_ticket_that_was_taken_back_and_did_not_help_goes_to_people_once() {
    let world = World::new("at-least-once", Runbook::start(|_| Reply::Done));
    world.act("T-1");
    world.run_until(1);
    world.put("tickets.actions", "T-1", &undo("T-1", "kim"));
    world.run_until(2);
    let complaint = json!({ "ticket_id": "T-1", "helped": false });
    for _ in 0..2 {
        world.put("tickets.feedback", "T-1", &complaint);
    }
    world.run_until(4);
    // It was taken back already.
    world.put("tickets.actions", "T-1", &undo("T-1", "kim"));
    world.run_until(5);
    let expected = [
        said("done", None),
        said("undone", None),
        said("handed_back", Some("not_helped")),
        said("already_handled", None),
        said("not_undone", Some("failed")),
    ];
    assert_eq!(world.outcomes()["T-1"], expected);
    assert_eq!(world.values("tickets.routed").len(), 1);
    assert_eq!(world.runbook.requests().len(), 2);
}

#[test]
fn a_ticket_that_came_back_goes_to_people_once() {
    let world = World::new("at-least-once", Runbook::start(|_| Reply::Done));
    world.act("T-1");
    world.run_until(1);
    for id in ["T-1", "T-1", "T-9"] {
        world.put("tickets.feedback", id, &json!({ "ticket_id": id, "helped": false }));
    }
    world.run_until(4);
    let expected = [
        said("done", None),
        said("handed_back", Some("not_helped")),
        said("already_handled", None),
    ];
    assert_eq!(world.outcomes()["T-1"], expected);
    let routed = world.values("tickets.routed");
    assert_eq!(routed.len(), 1);
    assert_eq!(routed[0]["queue"], "identity");
}

#[test]
fn a_ticket_that_came_back_says_who_brought_it_back() {
    let world = World::new("at-least-once", Runbook::start(|_| Reply::Done));
    world.act("T-1");
    world.act("T-2");
    world.run_until(2);
    world.put("tickets.feedback", "T-1", &json!({ "ticket_id": "T-1", "helped": false }));
    world.put("tickets.feedback", "T-2", &json!({ "ticket_id": "T-2", "reopened": true }));
    world.run_until(4);
    let outcomes = world.values("tickets.outcomes");
    let routed = world.values("tickets.routed");
    for (id, detail) in
        [("T-1", "the requester says that it did not help"), ("T-2", "the ticket was reopened")]
    {
        let of = |value: &&Value| value["ticket_id"] == id;
        let outcome = outcomes.iter().rfind(of).expect("an outcome");
        assert_eq!(outcome["reason"], "not_helped", "{id}");
        assert_eq!(outcome["detail"], detail, "{id}");
        let event = routed.iter().find(of).expect("an event");
        assert_eq!(event["handed_back"]["reason"], "not_helped", "{id}");
        assert_eq!(event["handed_back"]["detail"], detail, "{id}");
    }
}

#[test]
fn feedback_that_says_nothing_is_a_dead_letter_that_names_what_is_understood() {
    let world = World::new("at-least-once", Runbook::start(|_| Reply::Done));
    world.act("T-1");
    world.run_until(1);
    world.put("tickets.feedback", "T-1", &json!({ "ticket_id": "T-1", "reopen": true }));
    world.run_turns(&[1]);
    assert_eq!(world.outcomes()["T-1"], [said("done", None)]);
    let dead = world.cluster.committed("tickets.dead");
    assert_eq!(dead.len(), 1);
    let header = |name: &str| {
        let found = dead[0].record.headers.iter().find(|(other, _)| other == name);
        String::from_utf8(found.and_then(|(_, value)| value.clone()).expect(name)).expect("UTF-8")
    };
    let reason = header("triaged.errors.reason");
    assert!(Malformed::REASONS.iter().any(|known| *known == reason), "{reason}");
    let message = header("triaged.errors.message");
    assert!(message.contains("\"helped\"") && message.contains("\"reopened\""), "{message}");
}
