//! What the metrics of routing say after a handful of known tickets.

#[path = "support/command.rs"]
mod command;
#[path = "support/desk.rs"]
mod desk;
#[path = "support/process.rs"]
#[allow(dead_code, reason = "used in part")]
mod process;

use std::path::Path;

use desk::{Daemon, get, metric, put, tail, wait_for};
use serde_json::{Value, json};
use triaged::metrics::{OUTCOMES, RecreateReason, unix_seconds};
use triaged::stage::route::mask_kinds;
use triaged::triage::decision::Doubt;
use triaged::triage::ticket::Malformed;

fn ticket(id: &str, subject: &str, body: &str) -> String {
    let ticket = json!({
        "ticket_id": id, "subject": subject, "body": body,
        "created_at": "2026-03-04T09:12:00Z", "requester": "kim", "source": "email",
    });
    format!("{ticket}\n")
}

/// One for the network's people, one with two addresses for others, one for review, one broken.
fn tickets() -> String {
    [
        ticket("T-1", "VPN error 691", "The VPN client disconnects since this morning."),
        ticket(
            "T-2",
            "Printer paper jam",
            "The printer jams at every page, please write to kim@example.com or lee@example.com",
        ),
        ticket("T-3", "hello", ""),
        String::from("not a ticket\n"),
    ]
    .concat()
}

/// The page after these tickets, which were all in one batch, and what was written about them.
fn after_one_batch(dir: &Path) -> (String, Vec<Value>) {
    put(dir, "tickets.new", &tickets(), &[]);
    let mut daemon = Daemon::start(dir);
    wait_for("all decided", || daemon.decided() == 4);
    // It is measured before the next batch, when all of this one has been counted.
    let lag = "triaged_lag_messages{topic=\"tickets.new\",worker=\"0\"}";
    wait_for("the next look for tickets", || daemon.metric(lag) == 0.0);
    let page = get(&daemon.admin, "/metrics");
    daemon.signal("TERM");
    assert_eq!(daemon.exit_code(), Some(0), "{}", daemon.log());
    let topics = ["tickets.routed", "tickets.review"];
    let events = topics.into_iter().flat_map(|topic| tail(dir, topic));
    (page, events.map(|record| record["value"].clone()).collect())
}

/// Of a family with one label, these are the series that are not zero; `all` are the label's values.
fn by_label(page: &str, family: &str, label: &str, all: &[&str], counted: &[(&str, f64)]) {
    for value in all {
        let found = counted.iter().find(|(counted, _)| counted == value);
        let series = format!("{family}{{{label}=\"{value}\"}}");
        assert_eq!(metric(page, &series), found.map_or(0.0, |(_, count)| *count), "{series}");
    }
}

#[test]
fn every_metric_of_routing_has_the_value_of_what_was_done() {
    let folder = tempfile::tempdir().expect("a folder");
    let started = unix_seconds();
    let (page, events) = after_one_batch(folder.path());
    let ended = unix_seconds();
    let page = &page;
    assert_eq!(events.len(), 3);

    decisions(page, &events);
    confidence(page, &events);

    let doubts = Doubt::ALL.map(Doubt::as_str);
    by_label(page, "triaged_reviews_total", "reason", &doubts, &[("too_short", 1.0)]);
    by_label(page, "triaged_malformed_total", "reason", &Malformed::REASONS, &[("not_json", 1.0)]);
    by_label(page, "triaged_masked_total", "kind", &mask_kinds(), &[("email", 2.0)]);
    by_label(page, "triaged_records_in_total", "topic", &["tickets.new"], &[("tickets.new", 4.0)]);
    let out = [("routed", 2.0), ("review", 1.0), ("dead", 1.0)];
    by_label(page, "triaged_records_out_total", "outcome", &OUTCOMES, &out);

    for family in ["triaged_stage_seconds", "triaged_commit_seconds", "triaged_batch_records"] {
        assert_eq!(metric(page, &format!("{family}_count")), 1.0, "{family}: one batch");
    }
    for family in ["triaged_stage_seconds", "triaged_commit_seconds"] {
        let seconds = metric(page, &format!("{family}_sum"));
        assert!(seconds > 0.0 && seconds < ended - started, "{family}: {seconds}");
    }
    assert_eq!(metric(page, "triaged_batch_records_sum"), 4.0);
    assert_eq!(metric(page, "triaged_batch_records_bucket{le=\"2\"}"), 0.0);
    assert_eq!(metric(page, "triaged_batch_records_bucket{le=\"5\"}"), 1.0);
    let results = ["committed", "aborted"];
    by_label(page, "triaged_transactions_total", "result", &results, &[("committed", 1.0)]);

    for event in ["last_poll", "last_commit"] {
        let series = format!("triaged_{event}_timestamp_seconds{{worker=\"0\"}}");
        let at = metric(page, &series);
        assert!(started <= at && at <= ended, "{event}: {at} is not in {started}..{ended}");
    }
    let model = &events[0]["model"];
    let info = format!("triaged_model_info{{id={},version={}}}", model["id"], model["version"]);
    assert_eq!(metric(page, &info), 1.0);
    assert_eq!(page.matches("triaged_model_info{").count(), 1, "one model is in use");

    assert_eq!(metric(page, "triaged_consumer_rebuilds_total"), 0.0);
    let reasons = RecreateReason::ALL.map(RecreateReason::as_str);
    by_label(page, "triaged_producer_recreations_total", "reason", &reasons, &[]);
}

/// Each decision counts once, by its category and its queue, one that people look at as well.
fn decisions(page: &str, events: &[Value]) {
    for event in events {
        // A JSON string of plain letters is a label's value as it stands on the page.
        let (category, queue) = (&event["category"]["label"], &event["queue"]);
        let series = format!("triaged_decisions_total{{category={category},queue={queue}}}");
        assert_eq!(metric(page, &series), 1.0, "{series}");
    }
    let vpn = "triaged_decisions_total{category=\"Network/VPN\",queue=\"network\"}";
    assert_eq!(metric(page, vpn), 1.0);
    let all = page.lines().filter(|line| line.starts_with("triaged_decisions_total{"));
    let counts = all.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
    assert_eq!(counts.sum::<f64>(), 3.0, "no other decision is counted");
}

/// Each confidence is in its outcome's histogram, and in the right buckets.
fn confidence(page: &str, events: &[Value]) {
    for outcome in ["routed", "review", "resolve"] {
        let of = events.iter().filter(|event| event["outcome"] == outcome);
        let confidences: Vec<f64> =
            of.filter_map(|event| event["category"]["confidence"].as_f64()).collect();
        let series = |what: &str, le: &str| {
            format!("triaged_confidence_ratio_{what}{{outcome=\"{outcome}\"{le}}}")
        };
        let count = confidences.len() as f64;
        assert_eq!(metric(page, &series("count", "")), count, "{outcome}");
        // Events have six decimals.
        let sum = metric(page, &series("sum", ""));
        assert!((sum - confidences.iter().sum::<f64>()).abs() < 1e-5, "{outcome}: {sum}");
        for bound in ["0.1", "0.5", "0.95", "1"] {
            let upto: f64 = bound.parse().expect("a number");
            let below = confidences.iter().filter(|confidence| **confidence <= upto).count();
            let bucket = metric(page, &series("bucket", &format!(",le=\"{bound}\"")));
            assert_eq!(bucket, below as f64, "{outcome} up to {bound}");
        }
    }
}
