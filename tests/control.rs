//! The endpoint for people's orders: who may call it, that an order is a record, and what it stops
//! when it cannot be one.

#[path = "support/tickets.rs"]
mod tickets;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::ops::ControlFlow;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use triaged::admin::AdminLimits;
use triaged::admin::control::Control;
use triaged::config::Config;
use triaged::controls::Controls;
use triaged::health::Stop;
use triaged::log::NewRecord;
use triaged::log::embedded::FILE;
use triaged::metrics::{Labels, Metrics};
use triaged::service::{self, Service, ServiceError};
use triaged::topics;

const TOKEN: &str = "a-token-that-is-long-enough";

/// What a client may take in a test of slowness, and what it then has to wait for.
const SHORT: Duration = Duration::from_millis(300);
const LONG: Duration = Duration::from_millis(1200);
/// Longer than anything here should take on a busy machine.
const SOON: Duration = Duration::from_secs(20);

struct World {
    control: Control,
    controls: Arc<Controls>,
    config: Config,
    metrics: Arc<Metrics>,
    folder: tempfile::TempDir,
}

fn world() -> World {
    limited(AdminLimits::default())
}

/// Where clients have to be quick.
fn hurried() -> World {
    limited(AdminLimits {
        body_timeout: SHORT,
        connection_timeout: Some(SHORT),
        ..AdminLimits::default()
    })
}

fn limited(limits: AdminLimits) -> World {
    start(limits, true)
}

/// Where no order can be recorded. `calls` says whether the process calls runbooks.
fn unrecorded(calls: bool) -> World {
    let world = start(AdminLimits::default(), calls);
    // A file where the log's folder should be.
    std::fs::write(world.folder.path().join("log"), "").expect("a file");
    world
}

fn start(limits: AdminLimits, calls: bool) -> World {
    let folder = tempfile::tempdir().expect("a folder");
    let token = folder.path().join("token");
    std::fs::write(&token, format!("{TOKEN}\n")).expect("a token");
    let set = |name: &str, value: &str| format!("{name}={value}");
    let sets = [
        set("log.kind", "embedded"),
        set("embedded.dir", &folder.path().join("log").display().to_string()),
        set("control.listen", "127.0.0.1:0"),
    ];
    let none: [(String, String); 0] = [];
    let config = Config::from_layers(None, none, &sets).expect("a configuration");
    let metrics = Metrics::new(&Labels::default(), 1).expect("metrics");
    let playbooks = vec![String::from("unlock")];
    let controls = Controls::new(None);
    controls.apply([]);
    let of_calls = calls.then(|| Arc::clone(&controls));
    let control = Control::start(&config, token, playbooks, of_calls, Arc::clone(&metrics), limits);
    World { control: control.expect("an endpoint"), controls, config, metrics, folder }
}

impl World {
    /// A call whose body is said to have so many bytes.
    fn call(&self, method: &str, path: &str, token: &str, length: usize, body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.control.local_addr()).expect("a connection");
        stream.set_read_timeout(Some(SOON)).expect("a time-out");
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\
             content-length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).expect("a request");
        stream
    }

    /// The status and the body of an answer.
    fn ask(&self, method: &str, path: &str, token: &str, body: &str) -> (u16, String) {
        let mut stream = self.call(method, path, token, body.len(), body);
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let status = answer.split_whitespace().nth(1).and_then(|s| s.parse().ok());
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        (status.expect("a status"), body.to_owned())
    }

    /// How often a call has come to this, by its metric.
    fn counted(&self, call: &str, result: &str) -> u64 {
        self.metrics.resolve.control_calls.with_label_values(&[call, result]).get()
    }

    fn is_counted(&self, call: &str, result: &str) {
        let start = Instant::now();
        while self.counted(call, result) == 0 {
            assert!(start.elapsed() < SOON, "{call} {result} is not counted");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Runs `work` while somebody else holds the log, for so long that every time-out is over.
    fn while_locked<T>(&self, work: impl FnOnce() -> T) -> T {
        let file = self.folder.path().join("log").join(FILE);
        let (locked, is_locked) = mpsc::channel();
        let holder = std::thread::spawn(move || {
            let other = rusqlite::Connection::open(file).expect("the log");
            other.execute_batch("BEGIN IMMEDIATE").expect("a lock");
            locked.send(()).expect("somebody waits");
            std::thread::sleep(LONG);
            other.execute_batch("COMMIT").expect("no lock");
        });
        is_locked.recv().expect("a lock");
        let done = work();
        holder.join().expect("the lock is gone");
        done
    }

    /// The values of a topic, each with its key.
    fn values(&self, topic: &str) -> Vec<(String, Value)> {
        let mut values = Vec::new();
        let read = topics::read(&self.config, topic, false, |record| {
            let key = String::from_utf8(record.key.unwrap_or_default()).expect("UTF-8");
            let value = record.value.unwrap_or_default();
            values.push((key, serde_json::from_slice(&value).expect("JSON")));
            ControlFlow::Continue(())
        });
        // Without a record there is no topic yet.
        let _ = read;
        values
    }

    fn orders(&self) -> Vec<Value> {
        let orders = self.values(&self.config.resolve.topics.control).into_iter();
        orders.map(|(_, order)| order).collect()
    }
}

#[test]
fn only_who_has_the_token_is_heard_and_only_by_post() {
    let world = world();
    for token in ["", "wrong", "a-token-that-is-long-enoug", "a-token-that-is-long-enough2"] {
        assert_eq!(world.ask("POST", "/kill", token, "").0, 401, "{token:?}");
    }
    assert_eq!(world.ask("GET", "/kill", TOKEN, "").0, 405);
    assert!(world.orders().is_empty());
    assert!(!world.controls.killed(), "who is not heard stops nothing");
}

#[test]
fn a_token_that_nobody_could_show_is_said_to_whoever_calls() {
    let world = world();
    let token = world.folder.path().join("token");
    // A short token is no token, even if it is the one in the file.
    std::fs::write(&token, "short").expect("a token");
    let (status, body) = world.ask("POST", "/kill", "short", "");
    assert_eq!((status, body.contains("fewer than 16 characters")), (503, true), "{body}");
    assert!(!body.contains("short"), "{body}");
    std::fs::remove_file(&token).expect("a token");
    let (status, body) = world.ask("POST", "/kill", TOKEN, "");
    assert_eq!((status, body.contains("cannot be read")), (503, true), "{body}");
    assert_eq!((world.counted("kill", "failed"), world.counted("kill", "refused")), (2, 0));
    assert!(world.orders().is_empty() && !world.controls.killed());
    std::fs::write(&token, TOKEN).expect("a token");
    assert_eq!(world.ask("POST", "/kill", TOKEN, "").0, 200);
}

#[test]
fn the_service_does_not_start_with_a_token_that_nobody_could_show() {
    let folder = tempfile::tempdir().expect("a folder");
    let token = folder.path().join("token");
    let mut config = tickets::config();
    config.admin.listen.set_port(0);
    config.control.listen.set_port(0);
    config.control.token_file = Some(token.clone());
    let triage = service::triage(&config).expect("the default model");
    for text in [None, Some("short")] {
        if let Some(text) = text {
            std::fs::write(&token, text).expect("a token");
        }
        let refused = Service::start(&config, triage.clone(), Stop::new()).err();
        let Some(ServiceError::Token(error)) = refused else { panic!("{text:?} is taken") };
        assert!(error.to_string().contains(&token.display().to_string()), "{error}");
    }
}

#[test]
fn an_order_is_a_record_with_who_gave_it() {
    let world = world();
    assert_eq!(world.ask("POST", "/kill", TOKEN, r#"{"by":"kim"}"#).0, 200);
    assert_eq!(world.ask("POST", "/playbooks/unlock/off", TOKEN, "").0, 200);
    assert_eq!(world.ask("POST", "/resume", TOKEN, "").0, 200);
    let orders = world.orders();
    assert_eq!((&orders[0]["switch"], &orders[0]["on"]), (&"everything".into(), &false.into()));
    assert_eq!(orders[0]["by"], "kim");
    assert_eq!(orders[1]["switch"]["playbook"], "unlock");
    assert_eq!((orders.len(), &orders[2]["on"]), (3, &true.into()));
}

#[test]
fn a_wrong_order_is_refused_with_its_reason() {
    let world = world();
    let (status, body) = world.ask("POST", "/playbooks/other/off", TOKEN, "");
    assert_eq!((status, body.contains("other")), (400, true));
    assert_eq!(world.ask("POST", "/kill", TOKEN, r#"{"who":"kim"}"#).0, 400);
    assert_eq!(world.ask("POST", "/undo", TOKEN, r#"{"which":{}}"#).0, 400);
    assert!(world.orders().is_empty());
}

#[test]
fn what_was_done_is_ordered_to_be_taken_back_for_a_ticket_and_for_a_time() {
    let world = world();
    let outcome = |ticket: &str, called: &str| {
        let called: jiff::Timestamp = called.parse().expect("a time");
        let value = json!({
            "ticket_id": ticket, "outcome": "done", "playbook": "unlock",
            "called_ms": called.as_millisecond(), "queue": "identity",
            "known_request": { "playbook": "unlock", "version": 1, "slots": {} },
            "ticket": { "body": ticket },
        });
        NewRecord { value: Some(value.to_string().into_bytes()), ..NewRecord::default() }
    };
    let outcomes = [
        outcome("T-1", "2026-11-02T08:59:59Z"),
        outcome("T-2", "2026-11-02T09:00:00Z"),
        outcome("T-3", "2026-11-02T10:00:00Z"),
        outcome("T-4", "2026-11-02T10:00:01Z"),
    ];
    topics::put(&world.config, &world.config.resolve.topics.outcomes, outcomes).expect("outcomes");
    let by_ticket = r#"{"by":"kim","which":{"ticket":"T-4"}}"#;
    let by_time = r#"{"by":"lee","which":{"playbook":
        {"id":"unlock","from":"2026-11-02T09:00:00Z","to":"2026-11-02T10:00:00Z"}}}"#;
    for (body, ordered) in [(by_ticket, json!(["T-4"])), (by_time, json!(["T-2", "T-3"]))] {
        let (status, answer) = world.ask("POST", "/undo", TOKEN, body);
        assert_eq!(status, 200, "{answer}");
        let answer: Value = serde_json::from_str(&answer).expect("JSON");
        assert_eq!(answer, json!({ "ordered": ordered }));
    }
    let order = |ticket: &str, by: &str| {
        let value = json!({
            "ticket_id": ticket, "queue": "identity", "category": null, "priority": null,
            "language": null,
            "known_request": { "playbook": "unlock", "version": 1, "slots": {} },
            "ticket": { "body": ticket }, "undo": { "by": by },
        });
        (ticket.to_owned(), value)
    };
    let expected = [order("T-4", "kim"), order("T-2", "lee"), order("T-3", "lee")];
    assert_eq!(world.values(&world.config.resolve.topics.actions), expected);
    assert_eq!(world.counted("undo", "done"), 2);
}

#[test]
fn what_calls_nothing_known_is_told_what_there_is() {
    let world = world();
    for path in ["/", "/kil", "/kill/", "/playbooks/unlock", "/playbooks/unlock/of"] {
        let (status, body) = world.ask("POST", path, TOKEN, "");
        assert_eq!(status, 404, "{path}");
        for order in ["/kill", "/resume", "/playbooks/ID/off", "/playbooks/ID/on", "/undo"] {
            assert!(body.contains(order), "{path}: {body}");
        }
    }
    assert_eq!(world.counted("unknown", "bad"), 5);
    assert!(world.orders().is_empty());
}

#[test]
fn what_cannot_be_recorded_is_stopped_here_and_said_so() {
    let world = unrecorded(true);
    let (status, body) = world.ask("POST", "/playbooks/unlock/off", TOKEN, "");
    assert_eq!(status, 503);
    for said in ["not recorded", "in this process only", "repeat it", "the kill file"] {
        assert!(body.contains(said), "{body}");
    }
    assert!(world.controls.off("unlock") && !world.controls.killed());
    assert_eq!(world.ask("POST", "/kill", TOKEN, "").0, 503);
    assert!(world.controls.killed() && world.controls.stopped("another"));
    // Nothing goes again before that is recorded.
    for path in ["/resume", "/playbooks/unlock/on"] {
        let (status, body) = world.ask("POST", path, TOKEN, "");
        assert_eq!((status, body.contains("nothing goes again")), (503, true), "{body}");
    }
    assert!(world.controls.killed() && world.controls.off("unlock"));
    assert_eq!((world.counted("kill", "failed"), world.counted("off", "failed")), (1, 1));
}

#[test]
fn a_process_that_calls_nothing_does_not_say_that_it_stopped_anything() {
    let world = unrecorded(false);
    let (status, body) = world.ask("POST", "/kill", TOKEN, "");
    assert_eq!((status, body.contains("nothing is stopped")), (503, true), "{body}");
    assert!(!world.controls.killed());
}

#[test]
fn a_kill_stops_before_it_is_recorded() {
    let world = world();
    assert_eq!(world.ask("POST", "/resume", TOKEN, "").0, 200);
    let stopped = world.while_locked(|| {
        let mut caller = world.call("POST", "/kill", TOKEN, 0, "");
        let start = Instant::now();
        while !world.controls.killed() {
            assert!(start.elapsed() < SOON, "it waits for the record");
            std::thread::sleep(Duration::from_millis(5));
        }
        let counted = world.counted("kill", "done");
        let mut answer = String::new();
        caller.read_to_string(&mut answer).expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        counted
    });
    assert_eq!((stopped, world.orders().len()), (0, 2));
}

#[test]
fn an_order_that_takes_long_is_answered() {
    let world = hurried();
    assert_eq!(world.ask("POST", "/kill", TOKEN, "").0, 200);
    let start = Instant::now();
    let (status, body) = world.while_locked(|| {
        let answer = world.ask("POST", "/resume", TOKEN, "");
        assert!(start.elapsed() > SHORT, "{:?}", start.elapsed());
        answer
    });
    assert_eq!((status, body.contains("resume")), (200, true));
    assert_eq!((world.counted("resume", "done"), world.orders().len()), (1, 2));
}

#[test]
fn an_order_whose_caller_has_gone_is_carried_out_and_counted() {
    let world = hurried();
    assert_eq!(world.ask("POST", "/kill", TOKEN, "").0, 200);
    world.while_locked(|| {
        let caller = world.call("POST", "/resume", TOKEN, 0, "");
        // So that it is heard before the connection ends.
        std::thread::sleep(LONG / 2);
        drop(caller);
    });
    world.is_counted("resume", "done");
    assert_eq!(world.orders().len(), 2);
}

#[test]
fn whatever_is_no_order_is_counted() {
    let world = hurried();
    assert_eq!(world.ask("GET", "/kill", TOKEN, "").0, 405);
    world.is_counted("kill", "bad");
    let large = "x".repeat(100 << 10);
    // Who sends too much may be cut off before it has read the answer.
    let _caller = world.call("POST", "/resume", TOKEN, large.len(), &large[..20 << 10]);
    world.is_counted("resume", "bad");
    let mut slow = world.call("POST", "/undo", TOKEN, 100, "{");
    let mut answer = String::new();
    slow.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    world.is_counted("undo", "bad");
    // Who has no token is told so, however much of the body is still to come.
    let mut stranger = world.call("POST", "/kill", "wrong", 1000, "");
    let mut answer = String::new();
    stranger.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    assert_eq!(world.counted("kill", "refused"), 1);
    assert!(world.orders().is_empty());
}
