//! The log in a file, from outside: what goes in comes out byte for byte, a process that is killed
//! at any moment, with others writing and reading, loses and doubles nothing, and the commands that
//! write to it do so only where that is meant.

use std::borrow::Cow;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::ops::ControlFlow;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use triaged::health::{Stop, WorkerHealth};
use triaged::log::embedded::{EmbeddedLog, EmbeddedSettings, Store};
use triaged::log::{Batch, Headers, Limit, Log, NewRecord, Outgoing, Record};
use triaged::metrics::{Labels, Metrics};
use triaged::stage::Stage;
use triaged::stage::drive::drive;

fn open(dir: &Path, stop: &Stop) -> (EmbeddedLog, Arc<Metrics>, Arc<WorkerHealth>) {
    let settings = EmbeddedSettings {
        dir: dir.to_owned(),
        group: "g".to_owned(),
        inputs: vec!["in".into()],
        outputs: vec!["out".into()],
        retention: None,
    };
    let metrics = Metrics::new(&Labels::default(), 1).unwrap();
    let health = WorkerHealth::new();
    let log =
        EmbeddedLog::open(settings, metrics.clone(), health.clone(), 0, stop.clone()).unwrap();
    (log, metrics, health)
}

/// Copies each record to `out` as it is.
struct Copy<F: FnMut(usize)>(F);

fn copy(record: &Record) -> Outgoing {
    Outgoing {
        cause: record.origin.clone(),
        topic: "out".into(),
        key: record.key.clone(),
        value: record.value.clone(),
        headers: record.headers.clone(),
        timestamp_ms: record.timestamp_ms,
    }
}

impl<F: FnMut(usize)> Stage for Copy<F> {
    fn run(&mut self, batch: &Batch) -> Vec<Outgoing> {
        batch.records.iter().map(copy).collect()
    }
    fn refuse(&mut self, record: &Record) -> Outgoing {
        copy(record)
    }
    fn refuse_by_reference(&mut self, record: &Record) -> Outgoing {
        copy(record)
    }
    fn committed(&mut self, batch: &Batch) {
        (self.0)(batch.records.len());
    }
}

fn all(store: &Store, topic: &str) -> Vec<Record> {
    let mut records = Vec::new();
    let each = |record| {
        records.push(record);
        ControlFlow::Continue(())
    };
    store.tail(topic, 0, None, each).unwrap();
    records
}

fn bytes() -> impl Strategy<Value = Option<Vec<u8>>> {
    proptest::option::of(proptest::collection::vec(any::<u8>(), 0..200))
}

fn headers() -> impl Strategy<Value = Headers> {
    // A few names, so that some repeat, and any text at all.
    let name = prop_oneof!["[ab]", any::<String>()].prop_map(Cow::Owned);
    proptest::collection::vec((name, bytes()), 0..6)
}

fn record() -> impl Strategy<Value = NewRecord> {
    (bytes(), bytes(), headers(), proptest::option::of(any::<i64>())).prop_map(
        |(key, value, headers, timestamp_ms)| NewRecord { key, value, headers, timestamp_ms },
    )
}

fn same(read: &Record, put: &NewRecord) -> bool {
    read.key == put.key
        && read.value == put.value
        && read.headers == put.headers
        && (put.timestamp_ms.is_none() || read.timestamp_ms == put.timestamp_ms)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    /// Through `put`, a batch, a commit and `tail`.
    #[test]
    fn any_bytes_come_back_as_they_were(records in proptest::collection::vec(record(), 1..20)) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        store.put("in", &records).unwrap();
        let (mut log, ..) = open(dir.path(), &Stop::new());
        let limit = Limit { records: 100, bytes: usize::MAX, linger: Duration::ZERO };
        let batch = log.next(limit).unwrap();
        let outputs = batch.records.iter().map(copy).collect();
        log.commit(&batch.from, &batch.upto, outputs).unwrap();
        for topic in ["in", "out"] {
            let read = all(&store, topic);
            prop_assert_eq!(read.len(), records.len());
            prop_assert!(read.iter().zip(&records).all(|(read, put)| same(read, put)));
        }
    }
}

/// A small generator of numbers: the test is the same in every run, but for the machine's pace.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, n: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

const CHILD_DIR: &str = "TRIAGED_TEST_EMBEDDED_DIR";
const CHILD_BATCH: &str = "TRIAGED_TEST_EMBEDDED_BATCH";

/// Not a test: the process that `kills_lose_and_double_nothing` starts and kills.
#[test]
#[ignore = "the child process of another test"]
fn child() {
    let Ok(dir) = std::env::var(CHILD_DIR) else { return };
    let records = std::env::var(CHILD_BATCH).unwrap().parse().unwrap();
    let stop = Stop::new();
    let (mut log, metrics, health) = open(Path::new(&dir), &stop);
    let limit = Limit { records, bytes: 1 << 20, linger: Duration::from_millis(2) };
    drive(&mut log, &mut Copy(|_| ()), limit, &stop, &metrics, &health, 0).unwrap();
}

#[test]
fn kills_lose_and_double_nothing() {
    const KILLS: usize = 30;
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    store.put("out", &[]).unwrap();
    let killing = AtomicBool::new(true);
    let followed = Stop::new();
    let (killing, followed) = (&killing, &followed);

    std::thread::scope(|scope| {
        // A failed assertion must end the helpers too, or the scope waits for them for ever.
        let _end = AtEnd(|| {
            killing.store(false, Ordering::Relaxed);
            followed.request(Duration::ZERO);
        });
        let writers: Vec<_> = (0..2_u8)
            .map(|w| {
                let dir = dir.path();
                scope.spawn(move || write(dir, w, killing))
            })
            .collect();
        let (follower_dir, stop) = (dir.path(), followed.clone());
        let follower = scope.spawn(move || {
            let store = Store::open_existing(follower_dir).unwrap();
            let mut seen = Vec::new();
            let each = |record: Record| {
                seen.push(record.value);
                ControlFlow::Continue(())
            };
            store.tail("out", 0, Some(&stop), each).unwrap();
            seen
        });

        let mut numbers = Numbers(7);
        for kill in 0..KILLS {
            let end = || store.topics().unwrap()["out"].end;
            let before = end();
            let mut child = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "child", "--ignored", "--nocapture"])
                .env(CHILD_DIR, dir.path())
                .env(CHILD_BATCH, (1 + numbers.below(20)).to_string())
                .stdout(Stdio::null())
                .spawn()
                .unwrap();
            // Half of them are let get to work first, the others die wherever they are.
            let start = Instant::now();
            while kill % 2 == 0 && end() == before && start.elapsed() < Duration::from_secs(60) {
                std::thread::sleep(Duration::from_millis(1));
            }
            std::thread::sleep(Duration::from_millis(numbers.below(100)));
            child.kill().unwrap();
            assert!(!child.wait().unwrap().success(), "the child ended before it was killed");
            assert!(kill % 2 == 1 || end() > before, "the child never got to work");
        }

        killing.store(false, Ordering::Relaxed);
        let written: Vec<u64> = writers.into_iter().map(|w| w.join().unwrap()).collect();
        let total = written.iter().sum::<u64>();
        drain(dir.path(), total);

        let out = all(&store, "out");
        for (writer, written) in (0..2_u8).zip(&written) {
            let theirs = out.iter().filter(|r| r.key.as_deref() == Some(&[writer]));
            let numbers =
                theirs.map(|r| u64::from_be_bytes(r.value.clone().unwrap().try_into().unwrap()));
            assert!(numbers.eq(0..*written), "lost, doubled or disordered records of {writer}");
        }
        assert_eq!(out.len() as u64, total);
        followed.request(Duration::ZERO);
        let seen = follower.join().unwrap();
        assert!(seen.iter().eq(out.iter().map(|r| &r.value)), "a reader saw something else");
    });
}

/// Calls its function when it goes.
struct AtEnd<F: Fn()>(F);

impl<F: Fn()> Drop for AtEnd<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// Puts numbered records in chunks until the kills are over; returns how many.
fn write(dir: &Path, writer: u8, killing: &AtomicBool) -> u64 {
    let store = Store::open(dir).unwrap();
    let mut numbers = Numbers(u64::from(writer));
    let mut next = 0_u64;
    while killing.load(Ordering::Relaxed) {
        let end = next + 1 + numbers.below(20);
        let record = |n: u64| NewRecord {
            key: Some(vec![writer]),
            value: Some(n.to_be_bytes().to_vec()),
            ..NewRecord::default()
        };
        store.put("in", &(next..end).map(record).collect::<Vec<_>>()).unwrap();
        next = end;
        std::thread::sleep(Duration::from_millis(numbers.below(6)));
    }
    next
}

/// Drives the rest through, until `total` records are in `out`.
fn drain(dir: &Path, total: u64) {
    let stop = Stop::new();
    let (mut log, metrics, health) = open(dir, &stop);
    let store = Store::open_existing(dir).unwrap();
    let done = || store.topics().unwrap()["out"].end as u64 >= total;
    if done() {
        return;
    }
    let finished = stop.clone();
    let mut stage = Copy(move |_| {
        if done() {
            finished.request(Duration::ZERO);
        }
    });
    let limit = Limit { records: 500, bytes: 1 << 20, linger: Duration::from_millis(2) };
    drive(&mut log, &mut stage, limit, &stop, &metrics, &health, 0).unwrap();
}

fn triaged(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_triaged"));
    command.current_dir(dir).env_clear().env("HOSTNAME", "test").args(args);
    command.env("TRIAGED_MODEL__DIR", concat!(env!("CARGO_MANIFEST_DIR"), "/models/default"));
    command
}

#[test]
fn tickets_are_put_into_topics_that_somebody_knows() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("in.jsonl"), "{\"ticket_id\":12.0}\n").unwrap();
    let put = |topic: &str| {
        let kept = ["--set", "log.kind=embedded", "--set", "embedded.dir=log"];
        let args = [&["put", topic, "in.jsonl"][..], &kept].concat();
        let output = triaged(dir.path(), &args).output().unwrap();
        (output.status.success(), String::from_utf8(output.stderr).unwrap())
    };
    let (taken, message) = put("ticket.new");
    assert!(!taken && message.contains("`ticket.new`"), "{message}");
    assert!(message.contains("tickets.new") && message.contains("tickets.feedback"), "{message}");
    assert!(!dir.path().join("log").exists(), "the log is left as it was");
    for topic in ["tickets.new", "tickets.feedback", "tickets.outcomes", "tickets.routed"] {
        assert!(put(topic).0, "{topic}");
    }
    let store = Store::open_existing(&dir.path().join("log")).unwrap();
    assert_eq!(all(&store, "tickets.new")[0].key.as_deref(), Some(&b"12"[..]));
    store.put("mine", &[]).unwrap();
    assert!(put("mine").0, "a topic that is there already");
    assert!(put("your").1.contains("mine, tickets.actions"));
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_log_is_made_for_its_user_alone() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("in.jsonl"), "{\"ticket_id\":\"1\"}\n").unwrap();
    let kept = ["--set", "log.kind=embedded", "--set", "embedded.dir=new/log"];
    let args = [&["put", "tickets.new", "in.jsonl"][..], &kept].concat();
    assert!(triaged(dir.path(), &args).output().unwrap().status.success());
    let log = dir.path().join("new/log");
    // The files beside the database are there while it is open.
    let opened = open(&log, &Stop::new());
    assert_eq!((mode(&dir.path().join("new")), mode(&log)), (0o700, 0o700));
    let files: Vec<_> = fs::read_dir(&log).unwrap().map(|e| e.unwrap().path()).collect();
    for file in &files {
        assert_eq!(mode(file), 0o600, "{}", file.display());
    }
    for name in ["triaged.db", "triaged.db-wal", "triaged.db-shm", "g.lock"] {
        assert!(files.contains(&log.join(name)), "{name}");
    }
    drop(opened);
}

#[test]
fn a_log_that_is_there_keeps_its_modes() {
    let dir = tempfile::tempdir().unwrap();
    let (log, file) = (dir.path().join("log"), dir.path().join("log/triaged.db"));
    drop(Store::open(&log).unwrap());
    for (path, bits) in [(&log, 0o750), (&file, 0o640)] {
        fs::set_permissions(path, fs::Permissions::from_mode(bits)).unwrap();
    }
    Store::open(&log).unwrap().put("in", &[NewRecord::default()]).unwrap();
    assert_eq!((mode(&log), mode(&file)), (0o750, 0o640));
}

#[test]
fn the_demonstration_keeps_out_of_a_log_that_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("log")).unwrap();
    store.put("tickets.new", &[NewRecord::default()]).unwrap();
    let output = triaged(dir.path(), &["demo", "--keep", "log"]).output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && message.contains("log is not empty"), "{message}");
    assert_eq!(store.topics().unwrap()["tickets.new"], 0..1);
}

#[test]
fn a_demonstration_that_is_stopped_leaves_nothing_behind() {
    for signal in ["INT", "TERM"] {
        let dir = tempfile::tempdir().unwrap();
        let temporary = dir.path().join("tmp");
        fs::create_dir(&temporary).unwrap();
        let left = || fs::read_dir(&temporary).unwrap().count();
        // It would take several minutes.
        let args = ["demo", "--rate", "2", "--set", "admin.listen=127.0.0.1:0"];
        let mut child = triaged(dir.path(), &args)
            .env("TMPDIR", &temporary)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.next().is_some_and(|line| line.is_ok()), "no decision came");
        assert_eq!(left(), 1);
        let id = child.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &id]).status().unwrap().success());
        let start = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if start.elapsed() > Duration::from_secs(30) {
                child.kill().unwrap();
                panic!("SIG{signal} did not end it");
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        assert_eq!((status.code(), left()), (Some(0), 0), "SIG{signal}");
    }
}
