//! The built binary without a broker: the demonstration, the daemon on the embedded log, and how it
//! ends.

#[path = "support/command.rs"]
mod command;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use command::{MODEL, bad, good};

/// Tickets that come with the project.
const SAMPLE: &str = command::SAMPLE[1];

fn triaged(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_triaged"));
    command.current_dir(dir).env_clear().env("TRIAGED_MODEL__DIR", MODEL).env("HOSTNAME", "test");
    command
}

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
    let mut child = triaged(dir.path())
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

/// A running daemon on the embedded log, killed with the test.
struct Daemon {
    child: Child,
    admin: String,
}

impl Daemon {
    fn start(dir: &Path) -> Self {
        Self::start_with(dir, &["log.kind=embedded"])
    }

    fn start_with(dir: &Path, sets: &[&str]) -> Self {
        let mut child = triaged(dir)
            .args(["run", "--set", "logging.format=json"])
            .args(sets.iter().flat_map(|set| ["--set", set]))
            .args(["--set", "admin.listen=127.0.0.1:0"])
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let mut lines = BufReader::new(child.stderr.take().expect("stderr")).lines();
        let started = lines
            .by_ref()
            .map(|l| l.expect("a line"))
            .find(|l| l.contains("\"started\""))
            .expect("it says that it started");
        let started: Value = serde_json::from_str(&started).expect("a JSON log line");
        let admin = started["listen"].as_str().expect("an address").to_owned();
        // Somebody has to read on, or the daemon would block on a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, admin }
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().expect("kill").success());
    }

    fn exit_code(&mut self) -> Option<i32> {
        let by = Instant::now() + Duration::from_secs(30);
        while Instant::now() < by {
            if let Some(status) = self.child.try_wait().expect("a status") {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the daemon did not end");
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("a connection");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let by = Instant::now() + Duration::from_secs(30);
    while !done() {
        assert!(Instant::now() < by, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(20));
    }
}

const EMBEDDED: [&str; 2] = ["--set", "log.kind=embedded"];

#[test]
fn a_small_desk_without_a_broker() {
    let dir = folder();
    let here = dir.path();
    let mut input = fs::read_to_string(SAMPLE).expect("the sample");
    input.push_str("not a ticket\n");
    fs::write(here.join("in.jsonl"), input).expect("a file");
    let mut daemon = Daemon::start(here);
    good(here, &[&["put", "tickets.new", "in.jsonl"][..], &EMBEDDED].concat());
    wait_for("all decided", || {
        let page = get(&daemon.admin, "/metrics");
        let count = |outcome: &str| {
            let name = format!("triaged_records_out_total{{outcome=\"{outcome}\"}} ");
            let line = page.lines().find(|l| l.starts_with(&name)).expect("the metric");
            line[name.len()..].parse::<f64>().expect("a number") as u32
        };
        assert!(page.contains("triaged_malformed_total{reason=\"not_json\"}"));
        count("routed") + count("review") + count("dead") == 401
    });
    assert!(get(&daemon.admin, "/readyz").starts_with("HTTP/1.1 200"));
    assert!(get(&daemon.admin, "/livez").starts_with("HTTP/1.1 200"));
    daemon.signal("TERM");
    assert_eq!(daemon.exit_code(), Some(0));

    let tail = |topic: &str| json_lines(&good(here, &[&["tail", topic][..], &EMBEDDED].concat()));
    let (routed, review, dead) =
        (tail("tickets.routed"), tail("tickets.review"), tail("tickets.dead"));
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
    fs::write(here.join("in.jsonl"), &sample).expect("a file");
    for _ in 0..5 {
        let mut daemon = Daemon::start(here);
        good(here, &[&["put", "tickets.new", "in.jsonl"][..], &EMBEDDED].concat());
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
        let records = json_lines(&good(here, &[&["tail", topic][..], &EMBEDDED].concat()));
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
