//! How the daemon ends: while a runbook keeps it waiting, and when a worker cannot go on.

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

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use desk::{Daemon, ask, put, resolving, tail, wait_for};
use runbook::{Reply, Runbook};
use serde_json::json;

/// A daemon that waits for a runbook which never answers, and may do so for `grace_ms` after a stop.
fn waiting(dir: &Path, grace_ms: u32) -> (Daemon, Runbook) {
    let runbook = Runbook::start(|_| Reply::Silent(Duration::from_secs(600)));
    let text = playbook::text("unlock", runbook.port, "at-least-once");
    let text = text.replace("timeout_ms = 1000", "timeout_ms = 60000");
    playbook::write(&dir.join("playbooks"), [text]);
    let mut sets = resolving(&runbook.host());
    sets.push(format!("shutdown.grace_ms={grace_ms}"));
    let daemon = Daemon::start_with(dir, &sets);
    let ticket = json!({
        "ticket_id": "T-1", "subject": "do unlock", "body": "please", "user": "kim",
        "created_at": "2026-03-04T09:12:00Z", "requester": "kim@example.com", "source": "portal",
    });
    put(dir, "tickets.new", &ticket.to_string(), &[]);
    wait_for("a call", || !runbook.requests().is_empty());
    (daemon, runbook)
}

/// Tells it to stop, and waits until it says that it does.
fn stop(daemon: &Daemon) {
    daemon.signal("TERM");
    let mut last = String::new();
    wait_for("its word that it stops", || {
        last = ask(&daemon.admin, "/readyz").unwrap_or_default();
        last.contains("the process is stopping")
    });
    assert!(last.starts_with("HTTP/1.1 503"), "{last}");
}

#[test]
fn a_stop_waits_for_a_runbook_no_longer_than_it_may() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path();
    let (mut daemon, _runbook) = waiting(dir, 2_000);
    stop(&daemon);
    assert_eq!(daemon.exit_code(), Some(0), "{}", daemon.log());

    let outcome = &tail(dir, "tickets.outcomes")[0]["value"];
    assert_eq!(outcome["outcome"], "unknown");
    let detail = outcome["detail"].as_str().expect("a detail");
    assert!(detail.contains("had to stop before the runbook answered"), "{detail}");
    let routed = tail(dir, "tickets.routed");
    assert_eq!(routed.len(), 1, "it never reached people");
    assert_eq!(routed[0]["value"]["ticket_id"], "T-1");
}

#[test]
fn a_second_signal_ends_the_process_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path();
    let (mut daemon, _runbook) = waiting(dir, 60_000);
    stop(&daemon);
    let start = Instant::now();
    daemon.signal("TERM");
    assert_eq!(daemon.exit_code(), Some(143), "{}", daemon.log());
    assert!(start.elapsed() < Duration::from_secs(10), "it took {:?}", start.elapsed());
    assert!(daemon.log().contains("SIGTERM again, leaving at once"), "{}", daemon.log());
    assert!(tail(dir, "tickets.outcomes").is_empty(), "nothing came of what was open");
}

#[test]
fn a_worker_that_cannot_go_on_ends_the_process_and_says_why() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path();
    fs::write(dir.join("log"), "no folder").expect("a file");
    // It has started, as it says, before a worker fails.
    let mut daemon = Daemon::start_with(dir, &["log.kind=embedded", "embedded.dir=log"]);
    assert_eq!(daemon.exit_code(), Some(1), "an end that nobody asks for: {}", daemon.log());
    let log = daemon.log();
    assert!(log.contains("worker 0: ") && log.contains("log"), "{log}");
}
