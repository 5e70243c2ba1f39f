//! The kill switch, and playbooks that go off by themselves.

use serde_json::{Value, json};
use triaged::controls::Controls;
use triaged::resolve::control::{Order, Switch};
use triaged::resolve::limits::{DAY_MS, SwitchOff};

use crate::runbook::{Reply, Runbook};
use crate::world::{World, said};

const RULE: SwitchOff = SwitchOff { of: 10, at_least: 4, failures: 0.5, reopenings: 0.5 };

/// Tickets one after the other, each in a batch of its own.
fn act_one_by_one(world: &World, tickets: std::ops::Range<usize>) {
    for n in tickets {
        world.act(&format!("T-{n}"));
        world.run_turns(&[1]);
    }
}

fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

fn switched_on(at_ms: i64) -> Order {
    let switch = Switch::Playbook(String::from("unlock"));
    Order { switch, on: true, by: String::from("ops"), at_ms }
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
    world.limits.switch_off = RULE;
    (0..8).for_each(|n| world.act(&format!("T-{n}")));
    world.run_until(8);
    world.act("T-8");
    world.run_until(9);
    assert_eq!(world.outcome("T-8"), said("handed_back", Some("switched_off")));
    let lines = world.values("tickets.ledger");
    let offs = lines.iter().filter(|line| line["off"].is_object()).count();
    assert_eq!(offs, 1, "it goes off once");
    world.runbook.script(|_| Reply::Done);
    world.controls.apply([switched_on(now_ms())]);
    world.act("T-9");
    world.run_until(10);
    assert_eq!(world.outcome("T-9"), said("done", None));
}

#[test]
fn failures_before_the_first_request_switch_a_playbook_off_as_well_and_count_in_no_cap() {
    let mut world = World::new("at-least-once", Runbook::start(|_| Reply::Done));
    world.limits.switch_off = RULE;
    world.limits.playbook.a_minute = 1;
    // As a credential whose file is gone, it fails before anything is sent.
    let hosts = std::mem::take(&mut world.calls.hosts);
    act_one_by_one(&world, 0..5);
    for n in 0..4 {
        assert_eq!(world.outcome(&format!("T-{n}")), said("handed_back", Some("failed")));
    }
    assert_eq!(world.outcome("T-4"), said("handed_back", Some("switched_off")));
    world.calls.hosts = hosts;
    world.controls.apply([switched_on(now_ms())]);
    act_one_by_one(&world, 5..6);
    assert_eq!(world.outcome("T-5"), said("done", None));
}

#[test]
fn tickets_that_come_back_switch_their_playbook_off_until_a_person_switches_it_on() {
    let mut world = World::new("at-least-once", Runbook::start(|_| Reply::Done));
    world.limits.switch_off = RULE;
    act_one_by_one(&world, 0..4);
    let offs = || -> Vec<_> {
        let lines = world.values("tickets.ledger").into_iter();
        lines.map(|mut line| line["off"].take()).filter(Value::is_object).collect()
    };
    let back = [("helped", false), ("reopened", true), ("helped", false)];
    for (n, (member, value)) in back.into_iter().enumerate() {
        // Half of them is not yet more than half.
        assert!(offs().is_empty() && !world.controls.shows_off("unlock"), "{n}");
        let id = format!("T-{n}");
        world.put("tickets.feedback", &id, &json!({ "ticket_id": id, member: value }));
        world.run_turns(&[1]);
        let expected = [said("done", None), said("handed_back", Some("not_helped"))];
        assert_eq!(world.outcomes()[&id], expected);
    }
    let off = offs();
    assert_eq!(off.len(), 1, "{off:?}");
    assert_eq!((&off[0]["playbook"], &off[0]["why"]), (&json!("unlock"), &json!("reopenings")));
    assert!(world.controls.shows_off("unlock"));
    act_one_by_one(&world, 4..6);
    for n in 4..6 {
        let held = said("handed_back", Some("switched_off"));
        assert_eq!(world.outcome(&format!("T-{n}")), held);
    }
    let routed = world.values("tickets.routed").into_iter();
    let reasons: Vec<_> = routed.map(|mut event| event["handed_back"]["reason"].take()).collect();
    let expected = ["not_helped", "not_helped", "not_helped", "switched_off", "switched_off"];
    assert_eq!(reasons, expected);
    assert_eq!(world.runbook.requests().len(), 4);
    world.controls.apply([switched_on(now_ms())]);
    act_one_by_one(&world, 6..7);
    assert_eq!(world.outcome("T-6"), said("done", None));
}

#[test]
fn a_clock_that_is_wrong_neither_keeps_a_playbook_on_nor_off() {
    let mut world = World::new("at-least-once", Runbook::start(|_| Reply::Status(404)));
    world.limits.switch_off = RULE;
    // Each process reads the ledger anew, so that what counts is what stands there.
    let ahead = now_ms() + 30 * DAY_MS;
    world.controls.apply([switched_on(ahead)]);
    act_one_by_one(&world, 0..5);
    assert_eq!(world.outcome("T-3"), said("handed_back", Some("failed")));
    assert_eq!(world.outcome("T-4"), said("handed_back", Some("switched_off")));
    world.controls.apply([switched_on(1)]);
    act_one_by_one(&world, 5..10);
    for n in 5..9 {
        assert_eq!(world.outcome(&format!("T-{n}")), said("handed_back", Some("failed")), "{n}");
    }
    assert_eq!(world.outcome("T-9"), said("handed_back", Some("switched_off")));
    // One that is ahead again.
    world.controls.apply([switched_on(ahead + 1)]);
    act_one_by_one(&world, 10..11);
    assert_eq!(world.outcome("T-10"), said("handed_back", Some("failed")));
}

#[test]
fn a_playbook_that_went_off_is_shown_before_the_next_batch_and_after_a_restart() {
    let mut world = World::new("at-least-once", Runbook::start(|_| Reply::Status(404)));
    world.limits.switch_off = RULE;
    act_one_by_one(&world, 0..3);
    assert!(!world.controls.shows_off("unlock"));
    act_one_by_one(&world, 3..4);
    assert!(world.controls.shows_off("unlock"));
    let on = switched_on(now_ms());
    world.controls.apply([on.clone()]);
    assert!(!world.controls.shows_off("unlock"));
    act_one_by_one(&world, 4..8);
    let fresh = World { controls: Controls::new(None), ..world };
    fresh.controls.apply([on]);
    assert!(!fresh.controls.shows_off("unlock"));
    fresh.stage().catch_up().expect("the ledger");
    assert!(fresh.controls.shows_off("unlock"));
}
