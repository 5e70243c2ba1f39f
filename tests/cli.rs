//! The built binary, each time in a directory of its own: what people type and what they get.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/models/default");
const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/training/corpus/demo.jsonl");
const TICKET: &str = r#"{"ticket_id":"T-1","subject":"VPN","body":"vpn error 691, mail kim@example.com","created_at":"2026-03-04T09:12:00Z","requester":"kim","source":"email","z":{"kept":1}}"#;

fn triaged(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_triaged"));
    command.current_dir(dir).env_clear().env("TRIAGED_MODEL__DIR", MODEL).env("HOSTNAME", "test");
    command
}

fn run(dir: &Path, args: &[&str], input: &str) -> Output {
    let mut child = triaged(dir)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut stdin = child.stdin.take().expect("stdin");
    let input = input.to_owned();
    let writer = std::thread::spawn(move || {
        // The child may rightly end before it read everything.
        let _ = stdin.write_all(input.as_bytes());
    });
    let output = child.wait_with_output().expect("an end");
    writer.join().expect("the writer");
    output
}

fn good(dir: &Path, args: &[&str], input: &str) -> String {
    let output = run(dir, args, input);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {stderr}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn bad(dir: &Path, args: &[&str]) -> String {
    let output = run(dir, args, "");
    assert!(!output.status.success(), "{args:?} should have failed");
    String::from_utf8(output.stderr).expect("UTF-8")
}

fn json_lines(text: &str) -> Vec<Value> {
    text.lines().map(|l| serde_json::from_str(l).expect("a JSON line")).collect()
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

#[test]
fn classify_answers_every_line_and_masks() {
    let dir = folder();
    let input = format!("{TICKET}\n\nnonsense\n[]\n");
    let answers = json_lines(&good(dir.path(), &["classify"], &input));
    assert_eq!(answers.len(), 3);
    assert_eq!(answers[0]["category"]["label"], "Network/VPN");
    assert_eq!(answers[0]["masked"]["email"], 1);
    assert_eq!(answers[0]["ticket"]["z"]["kept"], 1);
    assert_eq!(answers[1]["reason"], "not_json");
    assert_eq!(answers[1]["origin"]["offset"], 3);
    assert_eq!(answers[2]["reason"], "not_an_object");
    let words = answers[0]["explanation"]["words"].to_string();
    assert!(!words.contains("example"), "personal data in the explanation: {words}");
    fs::write(dir.path().join("t.jsonl"), TICKET).expect("a file");
    assert_eq!(json_lines(&good(dir.path(), &["classify", "t.jsonl"], "")).len(), 1);
}

#[test]
fn explain_shows_every_word_and_adds_up() {
    let dir = folder();
    let page = good(dir.path(), &["explain"], TICKET);
    for part in ["Network/VPN", "vpn", "in all", "why Network/VPN and not"] {
        assert!(page.contains(part), "{part} is missing in\n{page}");
    }
    let json: Value =
        serde_json::from_str(&good(dir.path(), &["explain", "--json"], TICKET)).expect("JSON");
    let explanation = &json["explanation"];
    let words = explanation["words"].as_array().expect("words");
    let number = |v: &Value| v.as_f64().expect("a number");
    let sum: f64 = words.iter().map(|w| number(&w["weight"])).sum::<f64>()
        + number(&explanation["other"])
        + number(&explanation["prior"]);
    assert!((sum - number(&explanation["total"])).abs() < 1e-9);
    // What is said to change the answer changes it: the ticket is asked about without the words.
    let struck = json["change"]["without"].as_array().expect("words");
    let mut text = "vpn error 691, mail".to_owned();
    for word in struck.iter().filter_map(Value::as_str) {
        text = text.replace(word, "");
    }
    let after: Value =
        serde_json::from_str(&good(dir.path(), &["explain", "--json", "--text", &text], ""))
            .expect("JSON");
    assert_ne!(json["category"]["label"], json["change"]["category"]["label"]);
    assert_eq!(after["category"]["label"], json["change"]["category"]["label"], "{text}");
    assert!(page.contains("what would have changed it") && page.contains("Without “"), "{page}");
    assert!(bad(dir.path(), &["explain", "--text", "x", "file"]).contains("cannot be used with"));
}

#[test]
fn check_names_every_problem_and_what_does_not_fit() {
    let dir = folder();
    assert!(good(dir.path(), &["check"], "").contains("ok:"));
    fs::write(
        dir.path().join("bad.toml"),
        "[kafka]\nworker = 1\n[batch]\nrecords = \"many\"\n[[policy.routes]]\nqueue = 1\n",
    )
    .expect("a file");
    let problems = bad(dir.path(), &["check", "--config", "bad.toml"]);
    for path in ["kafka.worker:", "batch.records:", "policy.routes[0].queue:"] {
        assert!(problems.contains(path), "{path} is missing in\n{problems}");
    }
    fs::write(
        dir.path().join("gaps.toml"),
        "[[policy.routes]]\ncategory = [\"Network/*\", \"No/such\"]\nqueue = \"q\"\n",
    )
    .expect("a file");
    let gaps = bad(dir.path(), &["check", "--config", "gaps.toml"]);
    assert!(gaps.contains("Printing/Printer") && gaps.contains("No/such"), "{gaps}");
    assert!(!gaps.contains("Network/VPN"), "{gaps}");
    for (setting, problem) in [
        ("nosuch.property=1", "kafka.properties.nosuch.property: is refused"),
        // Both are properties, and do not go together.
        ("socket.timeout.ms=60000", "kafka.properties: `socket.timeout.ms`"),
    ] {
        let set = format!("kafka.properties.{setting}");
        let told = bad(dir.path(), &["check", "--set", &set]);
        assert!(told.contains(problem), "{told}");
    }
    let missing = bad(dir.path(), &["check", "--config", "none.toml"]);
    assert!(
        missing.contains("none.toml") && missing.matches("os error 2").count() == 1,
        "{missing}"
    );
    let damaged = bad(dir.path(), &["check", "--set", "model.dir=nowhere"]);
    assert_eq!(damaged.matches("nowhere/manifest.json: No such file").count(), 1, "{damaged}");
}

#[test]
fn schema_is_what_is_published() {
    let dir = folder();
    for contract in ["ticket", "decision", "outcome", "came-back"] {
        let file = contract.replace('-', "_");
        let file = format!("{}/docs/schema/{file}.json", env!("CARGO_MANIFEST_DIR"));
        let published = fs::read_to_string(file).expect("the published schema");
        assert_eq!(good(dir.path(), &["schema", contract], ""), published);
    }
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
    assert!(good(dir.path(), &["demo", "--help"], "").contains("resolves some by playbooks"));
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
    good(here, &[&["put", "tickets.new", "in.jsonl"][..], &EMBEDDED].concat(), "");
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

    let tail =
        |topic: &str| json_lines(&good(here, &[&["tail", topic][..], &EMBEDDED].concat(), ""));
    let (routed, review, dead) =
        (tail("tickets.routed"), tail("tickets.review"), tail("tickets.dead"));
    assert_eq!(routed.len() + review.len() + dead.len(), 401);
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0]["value"], "not a ticket");
    assert_eq!(dead[0]["headers"]["triaged.errors.reason"], "not_json");
    assert_eq!(routed[0]["headers"]["ce_specversion"], "1.0");
    assert_eq!(routed[0]["key"], routed[0]["value"]["ticket_id"]);
    let two = good(
        here,
        &[&["tail", "tickets.routed", "-n", "2", "--values"][..], &EMBEDDED].concat(),
        "",
    );
    assert_eq!(two.lines().count(), 2);
    let unknown = bad(here, &[&["tail", "no.such"][..], &EMBEDDED].concat());
    assert!(unknown.contains("no.such"), "{unknown}");
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
        good(here, &[&["put", "tickets.new", "in.jsonl"][..], &EMBEDDED].concat(), "");
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
        let records = json_lines(&good(here, &[&["tail", topic][..], &EMBEDDED].concat(), ""));
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

#[test]
fn training_twice_gives_the_same_bytes_and_evaluation_reads_them() {
    let dir = folder();
    let here = dir.path();
    let mut csv = String::from("no,summary,text,group\n");
    let groups = [
        ("network", "the vpn tunnel drops and wifi is slow"),
        ("printing", "the printer on floor two has no toner and paper jams"),
        ("account", "my account is locked and the password expired"),
    ];
    for i in 0..240 {
        let (group, words) = groups[i % 3];
        let words: Vec<&str> = words.split(' ').collect();
        // Not nearly the same text every time: such tickets would all stay in one part.
        let some = |k: u32| words[i * 7_919 / 5usize.pow(k) % words.len()];
        let text: Vec<&str> = (0..6).map(some).collect();
        csv.push_str(&format!("{i},{},\"{}, ticket {i}\",{group}\n", some(7), text.join(" ")));
    }
    fs::write(here.join("t.csv"), csv).expect("a file");
    let columns = [
        "--data",
        "t.csv",
        "--id-column",
        "no",
        "--subject-column",
        "summary",
        "--body-column",
        "text",
        "--category-column",
        "group",
    ];
    for out in ["a", "b"] {
        let report = good(here, &[&["train", "--out", out][..], &columns].concat(), "");
        assert!(report.contains("written to"), "{report}");
    }
    for file in
        ["manifest.json", "tokenizer.json", "weights.safetensors", "probes.jsonl", "README.md"]
    {
        let read = |out: &str| fs::read(here.join(out).join(file)).expect("a bundle's file");
        assert!(read("a") == read("b"), "{file} differs");
    }
    let json = good(here, &[&["evaluate", "--model", "a", "--json"][..], &columns].concat(), "");
    let evaluation: Value = serde_json::from_str(&json).expect("JSON");
    assert!(evaluation["heads"][0]["accuracy"].as_f64().expect("a number") > 0.9);
    let missing = bad(here, &["train", "--out", "c", "--data", "t.csv"]);
    assert!(missing.contains("column"), "{missing}");
}
