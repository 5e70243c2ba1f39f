//! A daemon on the embedded log in a folder, what it says by HTTP and what it writes into its log.
#![allow(dead_code, reason = "each binary that includes this uses its own part of it")]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::command::{MODEL, good};
use super::process::Process;

pub const EMBEDDED: [&str; 2] = ["--set", "log.kind=embedded"];
/// Within this time everything has happened, on the slowest machine.
pub const SOON: Duration = Duration::from_secs(30);

/// The settings of a daemon that routes, and resolves with the playbooks beside it by the runbook at
/// `host`.
pub fn resolving(host: &str) -> Vec<String> {
    let host = format!("resolve.hosts={host}");
    let sets = [
        "log.kind=embedded",
        "stages.run=route,resolve",
        "resolve.playbooks=playbooks",
        "resolve.networks=127.0.0.0/8",
        "resolve.remember_days=0",
        &host,
    ];
    sets.map(str::to_owned).into()
}

/// A running daemon, killed with the test.
pub struct Daemon {
    process: Process,
    log: PathBuf,
    pub admin: String,
}

impl Daemon {
    pub fn start(dir: &Path) -> Self {
        Self::start_with(dir, &["log.kind=embedded"])
    }

    /// With these settings; comes back when the daemon has said that it started.
    pub fn start_with(dir: &Path, sets: &[impl AsRef<str>]) -> Self {
        let log = dir.join("daemon.log");
        let mut command = Command::new(env!("CARGO_BIN_EXE_triaged"));
        command.current_dir(dir).env_clear().env("HOSTNAME", "test");
        command.env("TRIAGED_MODEL__DIR", MODEL).args(["run", "--set", "logging.format=json"]);
        command.args(sets.iter().flat_map(|set| ["--set", set.as_ref()]));
        command.args(["--set", "admin.listen=127.0.0.1:0"]);
        command.stderr(fs::File::create(&log).expect("a file"));
        let mut process = Process::spawn(&mut command).expect("a daemon");
        wait_for("a start", || listens(&log).is_some() || process.ended().is_some());
        let admin = listens(&log);
        let admin = admin.unwrap_or_else(|| panic!("it did not start: {}", read(&log)));
        Self { process, log, admin }
    }

    pub fn signal(&self, name: &str) {
        self.process.signal(name);
    }

    /// The code that it ends with, none if a signal ended it.
    pub fn exit_code(&mut self) -> Option<i32> {
        self.process.wait(SOON).expect("an end").code()
    }

    /// All that it has logged so far.
    pub fn log(&self) -> String {
        read(&self.log)
    }

    /// How many records it has decided about or given up.
    pub fn decided(&self) -> u32 {
        let page = get(&self.admin, "/metrics");
        let of = |outcome: &str| {
            metric(&page, &format!("triaged_records_out_total{{outcome=\"{outcome}\"}}"))
        };
        ["routed", "review", "resolve", "dead"].map(of).iter().sum::<f64>() as u32
    }

    /// The value of one series of its metrics, which has to be there.
    pub fn metric(&self, series: &str) -> f64 {
        metric(&get(&self.admin, "/metrics"), series)
    }
}

fn read(log: &Path) -> String {
    fs::read_to_string(log).expect("a log")
}

/// Where the daemon says that it serves its pages.
fn listens(log: &Path) -> Option<String> {
    let log = read(log);
    let mut lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.find_map(|line| Some(line["listen"].as_str()?.to_owned()))
}

/// The whole answer, with its head.
pub fn get(address: &str, path: &str) -> String {
    ask(address, path).expect("an answer")
}

/// The same where the process may end meanwhile.
pub fn ask(address: &str, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// The value of one series on a page of metrics.
pub fn metric(page: &str, series: &str) -> f64 {
    let mut values = page.lines().filter_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    let value = values.next().unwrap_or_else(|| panic!("no {series} in\n{page}"));
    value.parse().expect("a number")
}

pub fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < SOON, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Writes tickets into the embedded log, one a line, with these settings beside it.
pub fn put(dir: &Path, topic: &str, lines: &str, more: &[&str]) {
    fs::write(dir.join("in.jsonl"), lines).expect("a file");
    good(dir, &[&["put", topic, "in.jsonl"][..], &EMBEDDED, more].concat());
}

/// The records of a topic of the embedded log, with their keys and headers.
pub fn tail(dir: &Path, topic: &str) -> Vec<Value> {
    let lines = good(dir, &[&["tail", topic][..], &EMBEDDED].concat());
    lines.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
}
