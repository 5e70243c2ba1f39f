//! The built binary without a broker: the demonstration, the daemon on the embedded log, and how it
//! ends.

#[path = "support/command.rs"]
mod command;
#[path = "support/desk.rs"]
mod desk;
#[path = "support/process.rs"]
#[allow(dead_code, reason = "used in part")]
mod process;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use command::{MODEL, bad, good};
use desk::{Daemon, EMBEDDED, get, put, tail, wait_for};

/// Tickets that come with the project.
const SAMPLE: &str = command::SAMPLE[1];

fn json_lines(text: &str) -> Vec<Value> {
    text.lines().map(|l| serde_json::from_str(l).expect("a JSON line")).collect()
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

#[test]
fn the_demo_decides_every_ticket_once_and_serves_metrics() {
    let dir = folder();
    let free = ["demo", "--rate", "400", "--set", "admin.listen=127.0.0.1:0"];
    let mut child = Command::new(env!("CARGO_BIN_EXE_triaged"))
        .current_dir(dir.path())
        .env_clear()
        .env("TRIAGED_MODEL__DIR", MODEL)
        .env("HOSTNAME", "test")
        .args(free)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut stderr = BufReader::new(child.stderr.take().expect("stderr"));
    let mut first = String::new();
    stderr.read_line(&mut first).expect("a line");
    let address = first.split("http://").nth(1).and_then(|r| r.split('/').next());
    let page = get(address.unwrap_or_else(|| panic!("no address in {first}")), "/metrics");
    assert!(page.contains("triaged_records_out_total{outcome=\"routed\"}"), "{page}");
    let mut stdout = String::new();
    child.stdout.take().expect("stdout").read_to_string(&mut stdout).expect("text");
    let mut summary = String::new();
    stderr.read_to_string(&mut summary).expect("text");
    assert!(child.wait().expect("an end").success(), "{summary}");
    let lines = json_lines(&stdout);
    let (decisions, resolved) = lines.split_at(400);
    let mut ids: Vec<_> = decisions.iter().map(|d| d["ticket_id"].as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 400);
    assert!(summary.contains("400 tickets"), "{summary}");
    let of = |outcome: &str| resolved.iter().filter(|e| e["outcome"] == outcome).count();
    assert_eq!((of("done"), of("undone"), resolved.len()), (4, 1, 6));
    assert!(resolved.iter().any(|e| e["known_request"]["held_by"] == "vip"), "{stdout}");
    assert!(good(dir.path(), &["demo", "--help"]).contains("resolves some by playbooks"));
}

#[test]
fn a_small_desk_without_a_broker() {
    let dir = folder();
    let here = dir.path();
    let mut input = fs::read_to_string(SAMPLE).expect("the sample");
    input.push_str("not a ticket\n");
    let mut daemon = Daemon::start(here);
    put(here, "tickets.new", &input, &[]);
    wait_for("all decided", || daemon.decided() == 401);
    assert!(get(&daemon.admin, "/readyz").starts_with("HTTP/1.1 200"));
    assert!(get(&daemon.admin, "/livez").starts_with("HTTP/1.1 200"));
    daemon.signal("TERM");
    assert_eq!(daemon.exit_code(), Some(0));

    let (routed, review, dead) =
        (tail(here, "tickets.routed"), tail(here, "tickets.review"), tail(here, "tickets.dead"));
    assert_eq!(routed.len() + review.len() + dead.len(), 401);
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0]["value"], "not a ticket");
    assert_eq!(dead[0]["headers"]["triaged.errors.reason"], "not_json");
    assert_eq!(routed[0]["headers"]["ce_specversion"], "1.0");
    assert_eq!(routed[0]["key"], routed[0]["value"]["ticket_id"]);
    let two =
        good(here, &[&["tail", "tickets.routed", "-n", "2", "--values"][..], &EMBEDDED].concat());
    assert_eq!(two.lines().count(), 2);
    let unknown = bad(here, &[&["tail", "no.such"][..], &EMBEDDED].concat());
    assert!(unknown.contains("no.such"), "{unknown}");
}

/// A ticket that the model is sure about, on its line.
fn ticket(id: &str, text: &str) -> String {
    let ticket = serde_json::json!({
        "ticket_id": id, "subject": text, "body": text, "created_at": "2026-03-04T09:12:00Z",
        "requester": "kim", "source": "email",
    });
    format!("{ticket}\n")
}

const VPN: &str = "The VPN client disconnects with error 691 since this morning.";
const PRINTER: &str = "The printer jams at every page, there is paper in the tray.";

#[test]
fn with_a_topic_a_queue_a_ticket_is_in_that_of_its_queue_alone() {
    let dir = folder();
    let here = dir.path();
    let mut daemon = Daemon::start_with(here, &["log.kind=embedded", "topics.per_queue=true"]);
    put(here, "tickets.new", &(ticket("T-1", VPN) + &ticket("T-2", PRINTER)), &[]);
    wait_for("all decided", || daemon.decided() == 2);
    daemon.signal("TERM");
    assert_eq!(daemon.exit_code(), Some(0));
    for (queue, id) in [("network", "T-1"), ("workplace", "T-2")] {
        let records = tail(here, &format!("tickets.routed.{queue}"));
        assert_eq!(records.len(), 1, "{records:?}");
        assert_eq!(records[0]["key"], id);
        assert_eq!(records[0]["value"]["queue"], queue);
    }
    assert!(tail(here, "tickets.routed.servers").is_empty());
    let none = bad(here, &[&["tail", "tickets.routed"][..], &EMBEDDED].concat());
    assert!(none.contains("there is no topic `tickets.routed`"), "{none}");
}

#[test]
fn tickets_of_all_input_topics_are_routed() {
    let dir = folder();
    let here = dir.path();
    let inputs = "topics.input=tickets.new,tickets.mail";
    let mut daemon = Daemon::start_with(here, &["log.kind=embedded", inputs]);
    let more = ["--set", inputs];
    put(here, "tickets.new", &ticket("T-1", VPN), &more);
    put(here, "tickets.mail", &(ticket("M-1", VPN) + &ticket("M-2", PRINTER)), &more);
    wait_for("all decided", || daemon.decided() == 3);
    for (topic, records) in [("tickets.new", 1.0), ("tickets.mail", 2.0)] {
        let series = format!("triaged_records_in_total{{topic=\"{topic}\"}}");
        assert_eq!(daemon.metric(&series), records, "{topic}");
    }
    daemon.signal("TERM");
    assert_eq!(daemon.exit_code(), Some(0));
    let routed = tail(here, "tickets.routed");
    let from = |record: &Value| {
        let value = &record["value"];
        [&value["ticket_id"], &value["origin"]["topic"]].map(|v| v.as_str().map(str::to_owned))
    };
    let mut from: Vec<_> = routed.iter().map(from).collect();
    from.sort();
    let pairs = [("M-1", "tickets.mail"), ("M-2", "tickets.mail"), ("T-1", "tickets.new")];
    assert_eq!(from, pairs.map(|(id, topic)| [id, topic].map(|s| Some(s.to_owned()))));
}

#[test]
fn a_log_that_is_made_by_the_way_is_told_with_its_place() {
    let dir = folder();
    fs::write(dir.path().join("in.jsonl"), "{}\n").expect("a file");
    let put = |set: &str| {
        let args = [&["put", "tickets.new", "in.jsonl"][..], &EMBEDDED, &["--set", set]].concat();
        let output = command::run(dir.path(), &args);
        let said = String::from_utf8(output.stderr).expect("UTF-8");
        assert!(output.status.success(), "{said}");
        said
    };
    let here = fs::canonicalize(dir.path()).expect("the folder");
    let new = format!("a new log was made in {}", here.join("log").display());
    let said = put("embedded.dir=log");
    assert!(said.contains(&new) && said.contains("an absolute embedded.dir"), "{said}");
    assert!(!put("embedded.dir=log").contains("a new log"), "it is there");
    let said = put(&format!("embedded.dir={}", here.join("other").display()));
    assert!(said.contains("a new log was made in") && !said.contains("start `triaged"), "{said}");
}

#[test]
fn a_killed_daemon_goes_on_where_it_was() {
    let dir = folder();
    let here = dir.path();
    let sample = fs::read_to_string(SAMPLE).expect("the sample");
    let count = sample.lines().count();
    for _ in 0..5 {
        let mut daemon = Daemon::start(here);
        put(here, "tickets.new", &sample, &[]);
        daemon.signal("KILL");
        daemon.exit_code();
    }
    let mut daemon = Daemon::start(here);
    wait_for("no lag", || {
        get(&daemon.admin, "/readyz").contains("\"lag_messages\":0")
            && get(&daemon.admin, "/readyz").starts_with("HTTP/1.1 200")
    });
    daemon.signal("TERM");
    assert_eq!(daemon.exit_code(), Some(0));
    let mut origins = Vec::new();
    for topic in ["tickets.routed", "tickets.review"] {
        let records = tail(here, topic);
        origins.extend(records.iter().map(|r| r["value"]["origin"]["offset"].as_u64()));
    }
    origins.sort();
    let expected: Vec<Option<u64>> = (0..5 * count as u64).map(Some).collect();
    assert!(origins == expected, "{} outputs for {} inputs", origins.len(), expected.len());
}

#[test]
fn a_daemon_that_waits_for_brokers_ends_cleanly_when_it_is_told_to() {
    let dir = folder();
    // Nobody listens there.
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr();
    let brokers = format!("kafka.brokers={}", free.expect("an address"));
    let mut daemon = Daemon::start_with(dir.path(), &["log.kind=kafka", &brokers]);
    wait_for("an answer", || get(&daemon.admin, "/readyz").starts_with("HTTP/1.1 503"));
    daemon.signal("TERM");
    assert_eq!(daemon.exit_code(), Some(0));
}

#[test]
fn a_port_that_is_taken_ends_the_start_with_a_clear_message() {
    let dir = folder();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let listen = format!("admin.listen={}", taken.local_addr().expect("an address"));
    let message = bad(dir.path(), &["run", "--set", "log.kind=embedded", "--set", &listen]);
    assert!(message.contains("cannot listen on"), "{message}");
}
