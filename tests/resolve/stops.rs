//! A stop while a playbook is under way, and orders to take something back while all is stopped.

use std::sync::Arc;

use crate::runbook::{Reply, Runbook};
use crate::steps::{CREATED, SECOND_STEP, UNCHANGED, asked, locked, verify};
use crate::world::{World, said, stops, undo};

#[test]
fn a_stop_between_two_calls_forbids_the_second_one() {
    for (tables, only, outcome) in [
        (UNCHANGED, "GET /tickets/T-1", said("handed_back", Some("killed"))),
        // The first step went through.
        (SECOND_STEP, "POST /unlock/kim", said("unknown", Some("unknown"))),
    ] {
        for stop in stops() {
            let mut world = World::new("at-least-once", Runbook::start(|_| Reply::Done));
            world.add(tables);
            let controls = Arc::clone(&world.controls);
            world.runbook.script(move |_| {
                controls.apply([stop.clone()]);
                Reply::Json(CREATED.to_owned())
            });
            world.act("T-1");
            world.run_until(1);
            assert_eq!(world.outcome("T-1"), outcome);
            assert_eq!(world.values("tickets.outcomes")[0]["failure"], "stopped");
            assert_eq!(asked(&world), [only]);
        }
    }
}

#[test]
fn a_stop_ends_the_check_afterwards_at_once() {
    for stop in stops() {
        let mut world = World::new("at-least-once", Runbook::start(|_| Reply::Done));
        world.add(&verify(10));
        let controls = Arc::clone(&world.controls);
        world.runbook.script(move |request| {
            if request.method != "GET" {
                return Reply::Done;
            }
            controls.apply([stop.clone()]);
            locked(true)
        });
        world.act("T-1");
        world.run_until(1);
        assert_eq!(world.outcome("T-1"), said("unknown", Some("not_verified")));
        // What the check found, and not a later one that was stopped.
        assert_eq!(world.values("tickets.outcomes")[0]["failure"], "condition");
        assert_eq!(asked(&world), ["POST /unlock/kim", "GET /accounts/kim"]);
    }
}

#[test]
fn what_was_done_can_be_taken_back_while_all_is_stopped() {
    for stop in stops() {
        let world = World::new("at-least-once", Runbook::start(|_| Reply::Done));
        world.act("T-1");
        world.run_until(1);
        world.controls.apply([stop]);
        world.put("tickets.actions", "T-1", &undo("T-1", "kim"));
        world.run_until(2);
        assert_eq!(world.outcomes()["T-1"], [said("done", None), said("undone", None)]);
        assert_eq!(asked(&world), ["POST /unlock/kim", "POST /undo-unlock/kim"]);
    }
}
