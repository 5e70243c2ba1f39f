//! A broker, a runbook, and daemons that stand between them.
#![allow(dead_code, reason = "each binary that includes this uses its own part of it")]

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::Failed;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::playbook;
use crate::runbook::{Reply, Request, Runbook};
use crate::support::broker::{Kafka, NEWEST, Setup};
use crate::support::daemon::{self, Instance, Settings};
use crate::support::verify::Topics;

const DAEMON: &str = env!("CARGO_BIN_EXE_triaged");

/// Actions that are handled together, at most.
pub const BATCH: usize = 4;

pub struct World {
    pub kafka: Kafka,
    pub runbook: Runbook,
    folder: TempDir,
    /// What the daemons' configuration has besides topics, model and brokers.
    pub extra: String,
    pub topics: Topics,
}

impl World {
    pub fn new(script: impl FnMut(&Request) -> Reply + Send + 'static) -> Result<Self, Failed> {
        Self::with_timeout(1_000, script)
    }

    /// The same with playbooks that wait for so many milliseconds.
    pub fn with_timeout(
        timeout_ms: u32,
        script: impl FnMut(&Request) -> Reply + Send + 'static,
    ) -> Result<Self, Failed> {
        let kafka = Kafka::start(Setup::single(NEWEST)).map_err(|skipped| skipped.to_string())?;
        let topics = Topics::named("");
        daemon::create(&kafka, &topics);
        daemon::create_resolving(&kafka, "tickets.");
        let runbook = Runbook::start(script);
        let folder = tempfile::tempdir()?;
        let playbooks = folder.path().join("playbooks");
        let texts =
            [("unlock", "at-least-once"), ("order", "at-most-once")].map(|(id, delivery)| {
                let text = playbook::text(id, runbook.port, delivery);
                text.replace("timeout_ms = 1000", &format!("timeout_ms = {timeout_ms}"))
            });
        playbook::write(&playbooks, texts);
        let token = folder.path().join("token");
        std::fs::write(&token, "a-token-that-is-long-enough\n")?;
        let extra = format!(
            "[stages]\nrun = [\"route\", \"resolve\"]\n\
             [resolve]\nplaybooks = \"{}\"\nhosts = [\"{}\"]\nnetworks = [\"127.0.0.0/8\"]\n\
             batch = {BATCH}\nremember_days = 0\ncalls_per_minute_per_host = 100000\n\
             [resolve.caps]\nplaybook_per_minute = 100000\nplaybook_per_hour = 100000\n\
             requester_per_minute = 100000\nrequester_per_hour = 100000\n\
             overall_per_minute = 100000\noverall_per_hour = 100000\n\
             [resolve.switch_off]\nof = 1000\nat_least = 1000\nfailures = 1.0\nreopenings = 1.0\n\
             [control]\nlisten = \"127.0.0.1:0\"\ntoken_file = \"{}\"\n",
            playbooks.display(),
            runbook.host(),
            token.display(),
        );
        Ok(Self { kafka, runbook, folder, extra, topics })
    }

    pub fn daemon(&self) -> Instance {
        self.instance("0")
    }

    /// A daemon with this stable name.
    pub fn instance(&self, name: &str) -> Instance {
        let brokers = self.kafka.direct();
        Instance::daemon(
            Path::new(DAEMON),
            &Settings {
                brokers: &brokers,
                topics: &self.topics,
                group: "resolving",
                name,
                workers: 1,
                extra: &self.extra,
            },
        )
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(DAEMON);
        command.args(arguments).arg("--set").arg(format!("kafka.brokers={}", self.kafka.direct()));
        command.args(["--set", "kafka.name=tool", "--set", "logging.level=error"]);
        command
    }

    pub fn put(&self, tickets: impl Iterator<Item = Value>) -> Result<(), Failed> {
        let file = self.folder.path().join("tickets.jsonl");
        let lines: Vec<String> = tickets.map(|ticket| ticket.to_string()).collect();
        std::fs::write(&file, lines.join("\n"))?;
        let file = file.display().to_string();
        let status = self.command(&["put", &self.topics.input, &file]).status()?;
        ensure(status.success(), "put failed")
    }

    /// All committed values of a topic.
    pub fn values(&self, topic: &str) -> Result<Vec<Value>, Failed> {
        let output = self.command(&["tail", topic, "--values"]).stderr(Stdio::null()).output()?;
        let text = String::from_utf8(output.stdout)?;
        text.lines().map(|line| serde_json::from_str(line).map_err(Failed::from)).collect()
    }
}

/// Every other one asks for what is done at least once, the others for what is done at most once.
pub fn ticket(n: usize) -> Value {
    let what = if n.is_multiple_of(2) { "unlock" } else { "order" };
    let user: String = format!("{n:04}").bytes().map(|b| char::from(b - b'0' + b'a')).collect();
    json!({
        "ticket_id": format!("T-{n:04}"), "subject": format!("please do {what}"), "body": "",
        "user": user, "created_at": "2026-03-04T09:12:00Z",
        "requester": format!("{user}@example.com"), "source": "portal",
    })
}

pub fn wait(mut until: impl FnMut() -> Result<bool, Failed>) -> Result<(), Failed> {
    let start = Instant::now();
    while !until()? {
        ensure(start.elapsed() < Duration::from_secs(120), "it took too long")?;
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

pub fn ensure(holds: bool, otherwise: impl Into<String>) -> Result<(), Failed> {
    if holds { Ok(()) } else { Err(otherwise.into().into()) }
}
