//! What the built daemon writes when it resolves, against the published schemas: a request that is
//! done, one that fails, one that no playbook answers, feedback, an undo.

#[path = "support/command.rs"]
mod command;
#[path = "support/desk.rs"]
mod desk;
#[path = "support/playbook.rs"]
mod playbook;
#[path = "support/process.rs"]
#[allow(dead_code, reason = "used in part")]
mod process;
#[path = "support/runbook.rs"]
mod runbook;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use command::{good, run};
use desk::{Daemon, EMBEDDED, put, resolving, wait_for};
use runbook::{Reply, Runbook};
use serde_json::{Value, json};

fn ticket(id: &str, subject: &str, user: &str) -> Value {
    json!({
        "ticket_id": id, "subject": subject, "body": "please", "user": user,
        "created_at": "2026-03-04T09:12:00Z", "requester": format!("{id}@example.com"),
        "source": "portal",
    })
}

/// All records of a topic; none while the daemon has not made it.
fn tail(dir: &Path, topic: &str) -> Vec<Value> {
    let output = run(dir, &[&["tail", topic][..], &EMBEDDED].concat());
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    text.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
}

fn wait_for_outcomes(dir: &Path, records: usize) {
    wait_for("an outcome", || tail(dir, "tickets.outcomes").len() >= records);
}

/// The published schema of the events of one type.
fn schema(kind: &str) -> Value {
    let name = match kind {
        "triaged.ticket.outcome.v1" => "outcome",
        "triaged.ticket.came_back.v1" => "came_back",
        _ => "decision",
    };
    let file = format!("{}/docs/schema/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&fs::read_to_string(file).expect("a schema")).expect("JSON")
}

#[test]
fn every_event_of_resolving_keeps_to_its_schema() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path();
    let fails = |request: &runbook::Request| request.path.ends_with("/lee");
    let runbook = Runbook::start(
        move |request| {
            if fails(request) { Reply::Status(404) } else { Reply::Done }
        },
    );
    playbook::write(
        &dir.join("playbooks"),
        [playbook::text("unlock", runbook.port, "at-least-once")],
    );
    let sets = resolving(&runbook.host());
    let _daemon = Daemon::start_with(dir, &sets);
    let with: Vec<&str> = sets.iter().flat_map(|set| ["--set", set]).collect();
    let put = |topic: &str, records: &[Value]| {
        let lines: Vec<String> = records.iter().map(Value::to_string).collect();
        put(dir, topic, &lines.join("\n"), &with);
    };
    let tickets = [
        ticket("T-done", "do unlock", "kim"),
        ticket("T-failed", "do unlock", "lee"),
        ticket("T-other", "vpn is slow", "kim"),
    ];
    put("tickets.new", &tickets);
    wait_for_outcomes(dir, 2);
    put("tickets.feedback", &[json!({ "ticket_id": "T-done", "helped": false })]);
    wait_for_outcomes(dir, 3);
    good(dir, &[&["undo", "--ticket", "T-done", "--by", "ops"][..], &with].concat());
    wait_for_outcomes(dir, 4);

    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for topic in ["routed", "review", "actions", "outcomes"] {
        for record in tail(dir, &format!("tickets.{topic}")) {
            let event = &record["value"];
            // Orders to take something back are no events.
            let Some(kind) = record["headers"]["ce_type"].as_str() else {
                assert_eq!(event["undo"]["by"], "ops");
                continue;
            };
            let schema = jsonschema::validator_for(&schema(kind)).expect("a schema");
            let errors: Vec<String> = schema.iter_errors(event).map(|e| e.to_string()).collect();
            assert!(errors.is_empty(), "{topic}: {kind}: {errors:#?}");
            *seen.entry(kind.to_owned()).or_default() += 1;
        }
    }
    assert_eq!(seen["triaged.ticket.outcome.v1"], 4, "{seen:?}");
    assert_eq!(seen["triaged.ticket.came_back.v1"], 1, "{seen:?}");
    assert_eq!(seen["triaged.ticket.action.v1"], 2, "{seen:?}");
    let decided = seen.get("triaged.ticket.routed.v1").copied().unwrap_or_default()
        + seen.get("triaged.ticket.review.v1").copied().unwrap_or_default();
    assert_eq!(decided, 2, "one handed back, one that no playbook answers: {seen:?}");
}
