//! The resolve stage on a log in memory, with real HTTP: whatever goes wrong, each action has one
//! outcome, what is idempotent takes effect once, and what is not is never called twice.

#[path = "../support/playbook.rs"]
mod playbook;
#[path = "../support/runbook.rs"]
mod runbook;
mod world;

use std::num::NonZeroU32;
use std::time::Duration;

use proptest::prelude::*;
use runbook::{Reply, Runbook};
use serde_json::json;
use triaged::log::memory::Fault;
use triaged::log::{AbortReason, NewRecord};
use triaged::resolve::control::{Order, Switch};
use triaged::resolve::limits::{Cap, DAY_MS, SwitchOff};
use world::{World, action, said, undo};

#[test]
fn a_request_is_carried_out_and_the_outcome_says_so() {
    let world = World::new("at-least-once", Runbook::start(|_| Reply::Done));
    world.act("T-1");
    world.run_until(1);
    assert_eq!(world.outcome("T-1"), said("done", None));
    let requests = world.runbook.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!((&*requests[0].method, &*requests[0].path), ("POST", "/unlock/kim"));
    assert_eq!(requests[0].body, r#"{"ticket":"T-1"}"#);
    let event = &world.values("tickets.outcomes")[0];
    assert_eq!(event["reply"], "kim 계정이 풀렸습니다.");
    assert_eq!(event["idempotency_key"].as_str(), requests[0].key.as_deref());
    assert!(world.values("tickets.routed").is_empty());
    let saved = world.metrics.resolve.minutes_saved.with_label_values(&["unlock"]).get();
    assert!((saved - 6.0).abs() < 1e-9);
}

#[test]
fn a_failed_request_goes_to_people_with_the_ticket_untouched() {
    let world = World::new("at-least-once", Runbook::start(|_| Reply::Status(404)));
    world.act("T-1");
    world.run_until(1);
    assert_eq!(world.outcome("T-1"), said("handed_back", Some("failed")));
    let routed = &world.values("tickets.routed")[0];
    assert_eq!((&routed["outcome"], &routed["queue"]), (&json!("routed"), &json!("identity")));
    assert_eq!(routed["handed_back"]["reason"], "failed");
    let raw = world.cluster.committed("tickets.routed")[0].record.value.clone().unwrap();
    assert!(String::from_utf8(raw).unwrap().contains(r#""n":1.5"#));
}

#[test]
fn what_is_no_action_is_a_dead_letter() {
    let world = World::new("at-least-once", Runbook::start(|_| Reply::Done));
    world.put("tickets.actions", "x", &json!({ "ticket_id": "x" }));
    world.act("T-1");
    world.run_until(1);
    assert_eq!(world.values("tickets.dead").len(), 1);
    assert_eq!(world.outcome("T-1"), said("done", None));
}

#[test]
fn the_same_ticket_twice_is_acted_on_once_and_a_changed_one_goes_to_people() {
    let world = World::new("at-least-once", Runbook::start(|_| Reply::Done));
    world.act("T-1");
    world.act("T-1");
    world.run_until(2);
    world.put("tickets.actions", "T-1", &action("T-1", "lee"));
    world.act("T-1");
    world.run_until(4);
    let expected = [
        said("done", None),
        said("already_handled", None),
        said("handed_back", Some("seen_before")),
        said("already_handled", None),
    ];
    assert_eq!(world.outcomes()["T-1"], expected);
    assert_eq!(world.runbook.requests().len(), 1);
}

#[test]
fn caps_send_the_rest_to_people() {
    let mut world = World::new("at-least-once", Runbook::start(|_| Reply::Done));
    world.limits.playbook = Cap { a_minute: 3, an_hour: 100 };
    (0..10).for_each(|n| world.act(&format!("T-{n}")));
    world.run_until(10);
    let all = world.outcomes();
    let done = all.values().filter(|o| o[0] == said("done", None)).count();
    let capped = all.values().filter(|o| o[0] == said("handed_back", Some("cap_playbook"))).count();
    assert_eq!((done, capped), (3, 7));
    assert_eq!(world.values("tickets.routed").len(), 7);
}

#[test]
fn a_requester_has_one_cap_in_every_spelling() {
    let mut world = World::new("at-least-once", Runbook::start(|_| Reply::Done));
    world.limits.requester = Cap { a_minute: 1, an_hour: 1 };
    let of = |id: &str, requester| {
        let mut action = action(id, "kim");
        action["ticket"]["requester"] = requester;
        world.put("tickets.actions", id, &action);
    };
    of("T-1", json!("Kim@x"));
    of("T-2", json!("kim@x "));
    of("T-3", json!(null));
    of("T-4", json!(null));
    world.run_until(4);
    assert_eq!(world.outcome("T-2"), said("handed_back", Some("cap_requester")));
    for id in ["T-1", "T-3", "T-4"] {
        assert_eq!(world.outcome(id), said("done", None));
    }
}

#[test]
fn calls_that_find_no_room_go_to_people_and_do_not_switch_their_playbook_off() {
    let mut world = World::new("at-least-once", Runbook::start(|_| Reply::Done));
    world.limits.switch_off = SwitchOff { of: 10, at_least: 4, failures: 0.5, reopenings: 0.5 };
    world.calls.per_minute = NonZeroU32::MIN;
    world.calls.longest_wait = Duration::from_secs(1);
    (0..8).for_each(|n| world.act(&format!("T-{n}")));
    world.run_until(8);
    let all = world.outcomes();
    let busy = all.values().filter(|of| of[0] == said("handed_back", Some("busy"))).count();
    assert_eq!((busy, world.runbook.requests().len()), (7, 1));
    assert_eq!(world.values("tickets.routed").len(), 7);
    assert!(world.values("tickets.ledger").iter().all(|line| line.get("off").is_none()));
}

#[test]
fn the_time_to_a_resolution_begins_with_the_ticket() {
    let world = World::new("at-least-once", Runbook::start(|_| Reply::Done));
    let hour_ago = jiff::Timestamp::now().as_millisecond() - 3_600_000;
    let hour_ago = jiff::Timestamp::from_millisecond(hour_ago).expect("a time");
    let record = NewRecord {
        value: Some(action("T-1", "kim").to_string().into_bytes()),
        headers: vec![("ce_time".into(), Some(hour_ago.to_string().into_bytes()))],
        ..NewRecord::default()
    };
    world.cluster.put("tickets.actions", 0, record);
    world.run_until(1);
    let waited = world.metrics.resolve.resolution_seconds.get_sample_sum();
    assert!((3_600.0..3_700.0).contains(&waited), "{waited}");
}

#[test]
fn a_ticket_that_is_older_than_what_is_remembered_goes_to_people() {
    let mut world = World::new("at-least-once", Runbook::start(|_| Reply::Done));
    world.limits.remember_ms = Some(90 * DAY_MS);
    let dated = |id: &str, days: i64| {
        let mut action = action(id, "kim");
        let at_ms = jiff::Timestamp::now().as_millisecond() - days * DAY_MS;
        let at = jiff::Timestamp::from_millisecond(at_ms).expect("a time");
        action["ticket"]["created_at"] = json!(at.to_string());
        action
    };
    for (id, days) in [("T-new", 0), ("T-89", 89), ("T-91", 91), ("T-future", -2)] {
        world.put("tickets.actions", id, &dated(id, days));
    }
    world.run_until(4);
    for id in ["T-new", "T-89"] {
        assert_eq!(world.outcome(id), said("done", None));
    }
    for id in ["T-91", "T-future"] {
        assert_eq!(world.outcome(id), said("handed_back", Some("too_old")));
    }
    assert_eq!(world.runbook.requests().len(), 2);
    assert_eq!(world.values("tickets.routed").len(), 2);
}

#[test]
fn a_kill_switch_stops_all_calls_and_lifting_it_starts_them_again() {
    let world = World::new("at-least-once", Runbook::start(|_| Reply::Done));
    let order = |on| Order { switch: Switch::Everything, on, by: String::from("ops"), at_ms: 1 };
    world.controls.apply([order(false)]);
    world.act("T-1");
    world.run_until(1);
    assert_eq!(world.outcome("T-1"), said("handed_back", Some("killed")));
    world.controls.apply([order(true)]);
    world.act("T-2");
    world.run_until(2);
    assert_eq!(world.outcome("T-2"), said("done", None));
    assert_eq!(world.runbook.requests().len(), 1);
}

#[test]
fn a_playbook_that_fails_too_often_switches_itself_off_until_a_person_switches_it_on() {
    let mut world = World::new("at-least-once", Runbook::start(|_| Reply::Status(404)));
    world.limits.switch_off = SwitchOff { of: 10, at_least: 4, failures: 0.5, reopenings: 0.5 };
    (0..8).for_each(|n| world.act(&format!("T-{n}")));
    world.run_until(8);
    world.act("T-8");
    world.run_until(9);
    assert_eq!(world.outcome("T-8"), said("handed_back", Some("switched_off")));
    world.runbook.script(|_| Reply::Done);
    let on = Order {
        switch: Switch::Playbook(String::from("unlock")),
        on: true,
        by: String::from("ops"),
        at_ms: jiff::Timestamp::now().as_millisecond() + 1,
    };
    world.controls.apply([on]);
    world.act("T-9");
    world.run_until(10);
    assert_eq!(world.outcome("T-9"), said("done", None));
}

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
fn calls_of_a_batch_that_was_aborted_are_not_made_again_when_it_comes_back_in_parts() {
    for delivery in ["at-least-once", "at-most-once"] {
        let world = World::new(delivery, Runbook::start(|_| Reply::Done));
        // The first commit is that of the starts.
        world.cluster.schedule([None, Some(Fault::Abort(AbortReason::RecordRefused))]);
        (0..3).for_each(|n| world.act(&format!("T-{n}")));
        world.run_turns(&[10, 1, 1, 1]);
        for n in 0..3 {
            assert_eq!(world.outcome(&format!("T-{n}")), said("done", None), "{delivery}");
        }
        assert_eq!(world.runbook.requests().len(), 3, "{delivery}");
    }
}

#[test]
fn a_call_of_which_nobody_knows_how_it_went_keeps_its_time() {
    let world = World::new("at-most-once", Runbook::start(|_| Reply::Done));
    world.cluster.schedule([None, Some(Fault::CrashBeforeCommit)]);
    world.act("T-1");
    world.run_until(1);
    assert_eq!(world.outcome("T-1"), said("unknown", Some("unknown")));
    // Undo by a window of time, the caps and the switch-off go by it.
    assert!(world.values("tickets.outcomes")[0]["called_ms"].is_i64());
    let last = world.values("tickets.ledger").pop().expect("a line");
    assert!(last["called_ms"].is_i64() || last["ticket"]["called_ms"].is_i64(), "{last}");
}

/// A process that dies between a call and the commit, and another one that reads the ticket again.
fn struck_after_its_call(delivery: &'static str) -> World {
    let world = World::new(delivery, Runbook::start(|_| Reply::Done));
    world.cluster.schedule([None, Some(Fault::CrashBeforeCommit)]);
    world.act("T-1");
    world.run_until_it_dies();
    assert_eq!(world.runbook.requests().len(), 1);
    world
}

#[test]
fn a_call_that_a_crash_cut_off_counts_in_the_caps_and_is_made_again_all_the_same() {
    let mut world = struck_after_its_call("at-least-once");
    world.limits.overall.an_hour = 1;
    world.act("T-2");
    world.run_until(2);
    assert_eq!(world.outcome("T-1"), said("done", None));
    assert_eq!(world.outcome("T-2"), said("handed_back", Some("cap_overall")));
    assert_eq!(world.runbook.requests().len(), 2);
    assert_eq!(world.runbook.acted().len(), 1);
}

#[test]
fn a_call_that_a_crash_cut_off_and_that_must_not_be_made_again_is_told_as_unknown() {
    let world = struck_after_its_call("at-least-once");
    let killed = Order { switch: Switch::Everything, on: false, by: String::from("ops"), at_ms: 1 };
    world.controls.apply([killed]);
    world.run_until(1);
    assert_eq!(world.outcome("T-1"), said("unknown", Some("unknown")));
    assert_eq!(world.runbook.requests().len(), 1);
    assert!(world.values("tickets.outcomes")[0]["called_ms"].is_i64());
}

#[test]
fn a_call_that_fails_when_it_is_made_again_may_have_gone_through_before() {
    let world = struck_after_its_call("at-least-once");
    world.runbook.script(|_| Reply::Status(409));
    world.run_until(1);
    assert_eq!(world.outcome("T-1"), said("unknown", Some("unknown")));
}

fn fault() -> impl Strategy<Value = Option<Fault>> {
    prop_oneof![
        3 => Just(None),
        1 => Just(Some(Fault::CrashBeforeSend)),
        1 => Just(Some(Fault::CrashAfterSend)),
        1 => Just(Some(Fault::CrashBeforeCommit)),
        1 => Just(Some(Fault::CrashAfterCommit)),
        1 => Just(Some(Fault::AnswerLost)),
        1 => Just(Some(Fault::Abort(AbortReason::Commit))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    /// At least once: one outcome a ticket, and one effect for each key.
    #[test]
    fn whatever_strikes_an_idempotent_runbook_acts_once(
        faults in prop::collection::vec(fault(), 0..8),
        tickets in 1..20_usize,
    ) {
        let world = World::new("at-least-once", Runbook::start(|_| Reply::Done));
        world.cluster.schedule(faults);
        (0..tickets).for_each(|n| world.act(&format!("T-{n}")));
        world.run_until(tickets);
        prop_assert_eq!(world.outcomes().len(), tickets);
        for of in world.outcomes().values() {
            prop_assert_eq!(of, &[said("done", None)]);
        }
        prop_assert_eq!(world.runbook.acted().len(), tickets);
    }

    /// At most once: never a second call, and every ticket whose call is not known goes to people.
    #[test]
    fn whatever_strikes_an_at_most_once_runbook_is_called_at_most_once(
        faults in prop::collection::vec(fault(), 0..8),
        tickets in 1..20_usize,
    ) {
        let world = World::new("at-most-once", Runbook::start(|_| Reply::Done));
        world.cluster.schedule(faults);
        (0..tickets).for_each(|n| world.act(&format!("T-{n}")));
        world.run_until(tickets);
        let outcomes = world.outcomes();
        prop_assert_eq!(outcomes.len(), tickets);
        let mut people = 0;
        for of in outcomes.values() {
            prop_assert_eq!(of.len(), 1);
            people += usize::from(of[0].0 != "done");
        }
        prop_assert_eq!(world.values("tickets.routed").len(), people);
        let acted = world.runbook.acted();
        prop_assert!(acted.values().all(|calls| *calls == 1), "{:?}", acted);
        prop_assert!(acted.len() >= tickets - people);
    }
}
