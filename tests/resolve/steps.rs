//! Playbooks of several calls: the ticket read again, the steps in their order, the check afterwards.

use crate::runbook::{Reply, Request, Runbook};
use crate::world::{World, said};

/// What a desk says of a ticket that nobody changed.
pub const CREATED: &str = r#"{"created_at":"2026-03-04T09:12:00+09:00"}"#;

pub const UNCHANGED: &str = r#"
    [unchanged]
    method = "GET"
    url = "HOST/tickets/{{ticket.id}}"
    same = [{ pointer = "/created_at", ticket = "/created_at" }]
"#;

pub const SECOND_STEP: &str = r#"
    [[steps]]
    name = "tell"
    method = "POST"
    url = "HOST/tell/{{slot.user}}"
"#;

pub fn verify(within_seconds: u32) -> String {
    format!(
        r#"
        [verify]
        method = "GET"
        url = "HOST/accounts/{{{{slot.user}}}}"
        success.json = [{{ pointer = "/locked", equals = false }}]
        within_seconds = {within_seconds}
        every_seconds = 1
        "#
    )
}

/// A world with these tables in its playbook, after one ticket.
fn after_a_ticket(tables: &str, script: impl FnMut(&Request) -> Reply + Send + 'static) -> World {
    let mut world = World::new("at-least-once", Runbook::start(script));
    world.add(tables);
    world.act("T-1");
    world.run_until(1);
    world
}

/// Methods and paths of what was asked, in order.
pub fn asked(world: &World) -> Vec<String> {
    let requests = world.runbook.requests().into_iter();
    requests.map(|request| format!("{} {}", request.method, request.path)).collect()
}

/// What a check finds.
pub fn locked(locked: bool) -> Reply {
    Reply::Json(format!(r#"{{"locked":{locked}}}"#))
}

#[test]
fn a_ticket_that_a_person_changed_is_left_alone() {
    let edited = Reply::Json(CREATED.replace("09:12", "09:13"));
    for (again, outcome) in [
        (Reply::Json(CREATED.to_owned()), said("done", None)),
        (edited, said("handed_back", Some("edited"))),
        (Reply::Status(404), said("handed_back", Some("failed"))),
    ] {
        let reply = again.clone();
        let world = after_a_ticket(UNCHANGED, move |request| match &*request.method {
            "GET" => reply.clone(),
            _ => Reply::Done,
        });
        assert_eq!(world.outcome("T-1"), outcome, "{again:?}");
        let mut expected = vec!["GET /tickets/T-1"];
        expected.extend((outcome.0 == "done").then_some("POST /unlock/kim"));
        assert_eq!(asked(&world), expected, "{again:?}");
    }
}

#[test]
fn the_effect_is_asked_for_until_it_shows() {
    let mut questions = 0;
    let world = after_a_ticket(&verify(30), move |request| {
        if request.method != "GET" {
            return Reply::Done;
        }
        questions += 1;
        locked(questions < 3)
    });
    assert_eq!(world.outcome("T-1"), said("done", None));
    let check = "GET /accounts/kim";
    assert_eq!(asked(&world), ["POST /unlock/kim", check, check, check]);
}

#[test]
fn an_effect_that_does_not_show_in_time_is_unknown_and_people_look() {
    let world = after_a_ticket(&verify(1), |request| match &*request.method {
        "GET" => locked(true),
        _ => Reply::Done,
    });
    assert_eq!(world.outcome("T-1"), said("unknown", Some("not_verified")));
    assert_eq!(world.values("tickets.outcomes")[0]["failure"], "condition");
    assert_eq!(world.values("tickets.routed")[0]["handed_back"]["reason"], "not_verified");
    assert_eq!(asked(&world), ["POST /unlock/kim", "GET /accounts/kim"]);
}

#[test]
fn steps_are_made_in_their_order_each_with_a_key_of_its_own() {
    let world = after_a_ticket(SECOND_STEP, |_| Reply::Done);
    assert_eq!(world.outcome("T-1"), said("done", None));
    assert_eq!(asked(&world), ["POST /unlock/kim", "POST /tell/kim"]);
    assert_eq!(world.runbook.acted().len(), 2);
}

#[test]
fn a_step_that_fails_after_another_went_through_leaves_an_unknown_effect() {
    for (failing, outcome, requests) in [
        ("/unlock/kim", said("handed_back", Some("failed")), 1),
        ("/tell/kim", said("unknown", Some("unknown")), 2),
    ] {
        let world = after_a_ticket(SECOND_STEP, move |request| {
            if request.path == failing { Reply::Status(404) } else { Reply::Done }
        });
        assert_eq!(world.outcome("T-1"), outcome);
        assert_eq!(world.values("tickets.outcomes")[0]["failure"], "status");
        assert_eq!(world.runbook.requests().len(), requests);
    }
}
