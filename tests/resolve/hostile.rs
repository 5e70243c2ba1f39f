//! Answers that are none, and places that are closed: the ticket reaches people with the reason.

use serde_json::json;
use triaged::stage::runbook::address::AddressFilter;

use crate::runbook::{Reply, Runbook};
use crate::world::{World, said};

/// One ticket. `certain` says whether it is known that nothing was done.
fn reaches_people(world: &World, failure: &str, certain: bool) {
    let (outcome, reason) =
        if certain { ("handed_back", "failed") } else { ("unknown", "unknown") };
    world.act("T-1");
    world.run_until(1);
    assert_eq!(world.outcome("T-1"), said(outcome, Some(reason)), "{failure}");
    assert_eq!(world.values("tickets.outcomes")[0]["failure"], failure);
    let routed = world.values("tickets.routed");
    assert_eq!(routed.len(), 1, "{failure}");
    let event = &routed[0];
    assert_eq!((&event["ticket_id"], &event["queue"]), (&json!("T-1"), &json!("identity")));
    assert_eq!(event["handed_back"]["reason"], reason, "{failure}");
}

#[test]
fn an_answer_that_says_nothing_leaves_open_what_was_done() {
    let head = "HTTP/1.1 200 OK\r\ncontent-length";
    for (reply, failure) in [
        (Reply::Raw(String::new()), "truncated"),
        (Reply::Raw(format!("{head}: 100\r\n\r\n{{}}")), "truncated"),
        (Reply::Json(format!("\"{}\"", "x".repeat(64 * 1024))), "body_too_large"),
    ] {
        let world = World::new("at-least-once", Runbook::start(move |_| reply.clone()));
        reaches_people(&world, failure, false);
        assert_eq!(world.runbook.requests().len(), 1, "{failure}");
    }
}

#[test]
fn a_redirect_is_not_followed() {
    // "Done, look there" leaves open what was done; "send it there instead" does not.
    for (status, certain) in [(302, false), (303, false), (307, true), (308, true)] {
        let world = World::new("at-least-once", Runbook::start(|_| Reply::Done));
        let there = format!("{}/elsewhere", world.runbook.host());
        world.runbook.script(move |_| {
            Reply::Raw(format!(
                "HTTP/1.1 {status} X\r\nlocation: {there}\r\ncontent-length: 0\r\n\r\n"
            ))
        });
        reaches_people(&world, "redirect", certain);
        let requests = world.runbook.requests();
        let paths: Vec<_> = requests.iter().map(|request| &*request.path).collect();
        assert_eq!(paths, ["/unlock/kim"], "{status}");
    }
}

#[test]
fn a_closed_address_is_not_called_though_its_host_is_allowed() {
    let mut world = World::new("at-least-once", Runbook::start(|_| Reply::Done));
    world.calls.addresses = AddressFilter::default();
    reaches_people(&world, "address_forbidden", true);
    assert!(world.runbook.requests().is_empty());
}
