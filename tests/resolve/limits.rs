//! How much is done, and in what time.

use std::num::NonZeroU32;
use std::sync::{Arc, Barrier, mpsc};
use std::time::Duration;

use serde_json::json;
use triaged::resolve::limits::{Cap, SwitchOff};

use crate::runbook::{Reply, Request, Runbook};
use crate::world::{World, action, said, undo};

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
fn the_calls_of_a_batch_are_in_flight_together_and_so_are_its_undos() {
    const TICKETS: usize = 8;
    let together = || {
        let barrier = Arc::new(Barrier::new(TICKETS));
        move |_: &Request| Reply::Together(Arc::clone(&barrier))
    };
    let mut world = World::new("at-least-once", Runbook::start(together()));
    // One that waits for the others gets no answer; those that come together need much less.
    world.edit(|text| text.replace("timeout_ms = 1000", "timeout_ms = 5000"));
    let ids: Vec<String> = (0..TICKETS).map(|n| format!("T-{n}")).collect();
    ids.iter().for_each(|id| world.act(id));
    world.run_turns(&[TICKETS]);
    for id in &ids {
        assert_eq!(world.outcome(id), said("done", None), "{id}");
    }
    world.runbook.script(together());
    ids.iter().for_each(|id| world.put("tickets.actions", id, &undo(id, "kim")));
    world.run_turns(&[TICKETS]);
    for id in &ids {
        assert_eq!(world.outcomes()[id], [said("done", None), said("undone", None)], "{id}");
    }
    assert_eq!(world.runbook.requests().len(), 2 * TICKETS);
}

#[test]
fn the_calls_of_a_batch_end_together_and_an_undo_gets_what_is_left_of_the_time() {
    let mut world = World::new("at-least-once", Runbook::start(|_| Reply::Done));
    world.act("T-1");
    world.run_until(1);
    world.runbook.script(|_| Reply::Silent(Duration::from_secs(5)));
    // Shorter than the playbook's own timeout of a second.
    world.longest_batch = Duration::from_millis(600);
    world.act("T-2");
    world.put("tickets.actions", "T-1", &undo("T-1", "kim"));
    world.run_until(3);
    assert_eq!(world.outcome("T-2"), said("unknown", Some("unknown")));
    // It was not begun, so that it can be ordered again.
    assert_eq!(world.outcomes()["T-1"][1], said("not_undone", Some("busy")));
    assert_eq!(world.runbook.requests().len(), 2);
    world.longest_batch = Duration::from_secs(60);
    world.runbook.script(|_| Reply::Done);
    world.put("tickets.actions", "T-1", &undo("T-1", "kim"));
    world.run_until(4);
    assert_eq!(world.outcomes()["T-1"][2], said("undone", None));
}

#[test]
fn a_worker_whose_calls_take_their_time_is_not_stalled() {
    let world = World::new("at-least-once", Runbook::start(|_| Reply::Done));
    let (say, heard) = mpsc::channel();
    let health = Arc::clone(&world.health);
    let slow = Duration::from_millis(50);
    world.runbook.script(move |_| {
        std::thread::sleep(slow);
        let _ = say.send((health.since_progress(), health.stalled_for()));
        Reply::Done
    });
    world.act("T-1");
    world.run_until(1);
    let (since_progress, stalled_for) = heard.recv().expect("a call");
    assert!(since_progress >= slow);
    assert_eq!(stalled_for, Duration::ZERO);
}
