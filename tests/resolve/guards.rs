//! The second look, just before a call: what forbids by now what routing let through.

use jiff::civil::date;
use serde_json::json;
use triaged::log::memory::Fault;
use triaged::playbook::TextFile;
use triaged::resolve::ledger::{Line, Off, Why};

use crate::playbook;
use crate::runbook::{Reply, Runbook};
use crate::world::{World, action, library, said, stops};

/// The reason that a change leads to, and the change.
type Change = (&'static str, fn(&mut World));

/// What can change between the decision and the call.
const CHANGES: [Change; 7] = [
    ("expired", |world| {
        world.library = library(&playbook::approved_on(date(2020, 1, 1), [world.text()]));
    }),
    ("not_approved", |world| {
        let file = TextFile { name: String::from("unlock.toml"), text: world.text() };
        world.library = library(&(vec![file], String::new()));
    }),
    ("playbook_changed", |world| {
        world.edit(|text| text.replace("\"live\"", "\"suggest\""));
    }),
    ("playbook_changed", |world| {
        world.edit(|text| text.replace("version = 1", "version = 2"));
    }),
    ("precondition", |world| {
        world.add("[preconditions]\nrequires = [{ pointer = \"/source\", equals = \"phone\" }]");
    }),
    ("switched_off", |world| {
        let [_, off] = stops();
        world.controls.apply([off]);
    }),
    ("switched_off", by_itself),
];

/// The playbook has switched itself off.
fn by_itself(world: &mut World) {
    let playbook = String::from("unlock");
    let line = Line::Off(Off { playbook, at_ms: 1, on_ms: None, why: Why::Failures });
    world.put("tickets.ledger", &line.key(), &serde_json::to_value(&line).expect("JSON"));
}

#[test]
fn what_changed_since_the_decision_sends_the_ticket_to_people_and_nothing_is_called() {
    for (n, (reason, change)) in CHANGES.into_iter().enumerate() {
        let mut world = World::new("at-least-once", Runbook::start(|_| Reply::Done));
        change(&mut world);
        world.act("T-1");
        world.run_until(1);
        assert_eq!(world.outcome("T-1"), said("handed_back", Some(reason)), "{n}");
        assert_eq!(world.values("tickets.routed").len(), 1, "{n}");
        assert!(world.runbook.requests().is_empty(), "{n}");
    }
}

#[test]
fn what_an_action_says_is_looked_at_again() {
    for (pointer, value, reason) in [
        ("/known_request/playbook", json!("gone"), "playbook_changed"),
        ("/known_request/version", json!(2), "playbook_changed"),
        ("/known_request/slots/user", json!("k"), "missing_slot"),
        ("/known_request/slots", json!({}), "missing_slot"),
        ("/priority/label", json!("P1"), "precondition"),
    ] {
        let world = World::new("at-least-once", Runbook::start(|_| Reply::Done));
        let mut action = action("T-1", "kim");
        *action.pointer_mut(pointer).expect("a member") = value;
        world.put("tickets.actions", "T-1", &action);
        world.run_until(1);
        assert_eq!(world.outcome("T-1"), said("handed_back", Some(reason)), "{pointer}");
        assert!(world.runbook.requests().is_empty(), "{pointer}");
    }
}

#[test]
fn what_forbids_a_call_forbids_that_it_is_made_again_after_a_crash() {
    for (n, (reason, change)) in CHANGES.into_iter().enumerate() {
        let mut world = World::new("at-least-once", Runbook::start(|_| Reply::Done));
        // The process dies between the call and the commit.
        world.cluster.schedule([None, Some(Fault::CrashBeforeCommit)]);
        world.act("T-1");
        world.run_until_it_dies();
        change(&mut world);
        world.run_until(1);
        assert_eq!(world.outcome("T-1"), said("unknown", Some("unknown")), "{n}: {reason}");
        assert!(world.values("tickets.outcomes")[0]["called_ms"].is_i64(), "{n}: {reason}");
        assert_eq!(world.runbook.requests().len(), 1, "{n}: {reason}");
    }
}
