//! Tickets that are nearly as large as what a log takes.

use serde_json::{Value, json};

use crate::runbook::{Reply, Runbook};
use crate::world::{World, action, said, undo};

/// The largest record of these tests, in bytes.
const LIMIT: usize = 20_000;

/// The same action or order, so many bytes long.
fn of_bytes(mut value: Value, bytes: usize) -> Value {
    value["ticket"]["body"] = json!("");
    let rest = value.to_string().len();
    value["ticket"]["body"] = json!("x".repeat(bytes - rest));
    value
}

/// The states that the ledger has had for a ticket.
fn states(world: &World, id: &str) -> Vec<Value> {
    let lines = world.values("tickets.ledger").into_iter();
    let mine = lines.filter(|line| line["ticket"]["ticket"] == id);
    mine.map(|line| line["ticket"]["state"].clone()).collect()
}

#[test]
fn an_action_that_leaves_no_room_for_what_follows_goes_to_people_and_nothing_is_called() {
    let mut world = World::new("at-least-once", Runbook::start(|_| Reply::Done));
    world.max_output_bytes = LIMIT;
    world.put("tickets.actions", "T-large", &of_bytes(action("T-large", "kim"), LIMIT - 8_192));
    world.put("tickets.actions", "T-small", &of_bytes(action("T-small", "kim"), LIMIT - 8_500));
    world.run_until(2);
    assert_eq!(world.outcome("T-large"), said("handed_back", Some("not_recorded")));
    assert_eq!(world.outcome("T-small"), said("done", None));
    assert_eq!(world.runbook.requests().len(), 1);
    let routed = world.values("tickets.routed");
    assert_eq!(routed.len(), 1);
    let why = routed[0]["handed_back"]["detail"].as_str().expect("why");
    assert!(why.contains("so large"), "{why}");
}

#[test]
fn what_was_done_and_is_too_large_to_be_told_is_a_dead_letter_and_is_remembered() {
    let mut world = World::new("at-least-once", Runbook::start(|_| Reply::Done));
    world.act("T-1");
    world.run_until(1);
    world.max_output_bytes = LIMIT;
    // What comes of it has headers, and says more.
    world.put("tickets.actions", "T-1", &of_bytes(undo("T-1", "kim"), LIMIT - 200));
    world.run_turns(&[1]);
    assert_eq!(world.outcomes()["T-1"], [said("done", None)]);
    let dead = world.cluster.committed("tickets.dead");
    assert_eq!(dead.len(), 1);
    let reason = ("triaged.errors.reason".into(), Some(b"too_large".to_vec()));
    assert!(dead[0].record.headers.contains(&reason));
    assert_eq!(states(&world, "T-1"), ["started", "done", "undone"]);
    world.put("tickets.actions", "T-1", &undo("T-1", "kim"));
    world.run_until(2);
    assert_eq!(world.outcomes()["T-1"][1], said("not_undone", Some("failed")));
    assert_eq!(world.runbook.requests().len(), 2);
}

#[test]
fn what_was_done_is_remembered_even_if_the_log_refuses_to_be_told() {
    let world = World::new("at-least-once", Runbook::start(|_| Reply::Done));
    let large = of_bytes(action("T-large", "kim"), 5_000);
    // The dead letter is as large as the action, and the outcome is larger.
    world.cluster.refuse_values_larger_than(5_000);
    world.put("tickets.actions", "T-large", &large);
    world.act("T-small");
    world.run_until(1);
    assert_eq!(world.outcome("T-small"), said("done", None));
    assert_eq!(world.cluster.committed("tickets.dead").len(), 1);
    assert_eq!(states(&world, "T-large"), ["started", "done"]);
    // Once more, and there is nothing to do.
    world.put("tickets.actions", "T-large", &large);
    world.cluster.refuse_values_larger_than(LIMIT);
    world.run_until(2);
    assert_eq!(world.outcome("T-large"), said("already_handled", None));
    assert_eq!(world.runbook.requests().len(), 2);
}
