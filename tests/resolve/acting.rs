//! What becomes of one ticket.

use serde_json::json;
use triaged::log::NewRecord;
use triaged::resolve::limits::DAY_MS;

use crate::runbook::{Reply, Runbook};
use crate::world::{World, action, said};

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
