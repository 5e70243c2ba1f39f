//! What the page of metrics says after tickets of every kind.

use serde_json::json;
use triaged::log::AbortReason;
use triaged::log::memory::Fault;

use crate::runbook::{Reply, Runbook};
use crate::world::{World, action, undo};

/// The lines of these metrics that are not zero, in the order of the alphabet.
fn page(world: &World, metrics: &[&str]) -> Vec<String> {
    let page = world.metrics.render().expect("a page");
    let is_one = |line: &&str| metrics.iter().any(|name| line.starts_with(*name));
    let lines = page.lines().filter(is_one).filter(|line| !line.ends_with(" 0"));
    let mut lines: Vec<_> = lines.map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn every_outcome_and_every_guard_is_counted_once() {
    let runbook = Runbook::start(|request| match &*request.path {
        "/unlock/lee" => Reply::Status(404),
        "/unlock/park" => Reply::Status(500),
        _ => Reply::Done,
    });
    let world = World::new("at-least-once", runbook);
    // The first attempt at the batch counts nothing; the first commit is that of the starts.
    world.cluster.schedule([None, Some(Fault::Abort(AbortReason::Rebalance))]);
    for (id, user) in [("T-done", "kim"), ("T-failed", "lee"), ("T-unknown", "park")] {
        world.put("tickets.actions", id, &action(id, user));
    }
    let mut gone = action("T-gone", "kim");
    gone["known_request"]["playbook"] = json!("gone");
    world.put("tickets.actions", "T-gone", &gone);
    world.run_until(4);
    world.act("T-done");
    world.run_until(5);
    for outcomes in 6..8 {
        world.put("tickets.actions", "T-done", &undo("T-done", "kim"));
        world.run_until(outcomes);
    }
    assert_eq!(
        page(&world, &["triaged_actions_total", "triaged_guards_total", "triaged_remembered"]),
        [
            r#"triaged_actions_total{outcome="already_handled",playbook="unlock"} 1"#,
            r#"triaged_actions_total{outcome="done",playbook="unlock"} 1"#,
            r#"triaged_actions_total{outcome="handed_back",playbook="other"} 1"#,
            r#"triaged_actions_total{outcome="handed_back",playbook="unlock"} 1"#,
            r#"triaged_actions_total{outcome="not_undone",playbook="unlock"} 1"#,
            r#"triaged_actions_total{outcome="undone",playbook="unlock"} 1"#,
            r#"triaged_actions_total{outcome="unknown",playbook="unlock"} 1"#,
            // The failed call, and the second order to take back.
            r#"triaged_guards_total{reason="failed"} 2"#,
            r#"triaged_guards_total{reason="playbook_changed"} 1"#,
            r#"triaged_guards_total{reason="unknown"} 1"#,
            "triaged_remembered_tickets 4",
        ]
    );
}
