//! A program under test, started from its own folder, with the faults that hit it.

use super::broker::Kafka;
use super::ports::Port;
use super::process::Process;
use super::verify::Topics;
use super::{feed, jars};
use std::fs::{self, OpenOptions};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub struct Instance {
    program: PathBuf,
    arguments: Vec<String>,
    /// Where it says whether it is ready, if it does.
    admin: Option<Port>,
    process: Option<Process>,
    folder: TempDir,
}

/// What an instance of the daemon is told. `name` is its stable name.
pub struct Settings<'a> {
    pub brokers: &'a str,
    pub topics: &'a Topics,
    pub group: &'a str,
    pub name: &'a str,
    pub workers: usize,
    /// More lines of configuration.
    pub extra: &'a str,
}

impl Instance {
    pub fn daemon(program: &Path, settings: &Settings<'_>) -> Self {
        let folder =
            tempfile::Builder::new().prefix("triaged-daemon-").tempdir().expect("a folder");
        let admin = Port::reserve();
        let file = folder.path().join("triaged.toml");
        fs::write(&file, configuration(settings, &admin.address())).expect("its configuration");
        let arguments = vec!["run".into(), "--config".into(), file.display().to_string()];
        Self { program: program.into(), arguments, admin: Some(admin), process: None, folder }
    }

    /// One of the loops that the daemon is compared with.
    pub fn baseline(program: &Path, settings: &Settings<'_>) -> Self {
        let folder =
            tempfile::Builder::new().prefix("triaged-daemon-").tempdir().expect("a folder");
        let topics = settings.topics;
        let arguments = [
            settings.brokers,
            settings.group,
            settings.name,
            &topics.input,
            &topics.routed,
            &topics.dead,
        ]
        .map(String::from);
        let arguments = arguments.into();
        Self { program: program.into(), arguments, admin: None, process: None, folder }
    }

    pub fn launch(&mut self) {
        assert!(self.process.is_none(), "it is running already");
        let log = OpenOptions::new().create(true).append(true).open(self.log_file());
        let log = log.expect("its log");
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).current_dir(self.folder.path());
        command.stdout(log.try_clone().expect("a second handle")).stderr(log);
        self.process = Some(Process::spawn(&mut command).expect("the program starts"));
    }

    pub fn kill9(&mut self) {
        self.process = None;
    }

    /// SIGTERM, and the exit status if it ends in time.
    pub fn term(&mut self, within: Duration) -> Option<ExitStatus> {
        let mut process = self.process.take().expect("it is running");
        process.signal("TERM");
        process.wait(within)
    }

    /// The exit status if it ends by itself in time.
    pub fn wait(&mut self, within: Duration) -> Option<ExitStatus> {
        let status = self.process.as_mut().expect("it is running").wait(within)?;
        self.process = None;
        Some(status)
    }

    /// Whether it was running and has ended by itself.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        let status = self.process.as_mut()?.ended()?;
        self.process = None;
        Some(status)
    }

    pub fn running(&self) -> bool {
        self.process.is_some()
    }

    pub fn stop(&self) {
        self.process.as_ref().expect("it is running").signal("STOP");
    }

    pub fn cont(&self) {
        self.process.as_ref().expect("it is running").signal("CONT");
    }

    pub fn wait_ready(&mut self, within: Duration) {
        let deadline = Instant::now() + within;
        while self.get("/readyz").is_none_or(|(status, _)| status != 200) {
            let ended = self.ended();
            assert!(
                ended.is_none() && Instant::now() < deadline,
                "it did not get ready ({}):\n{}",
                ended.map_or("too slow".into(), |status| status.to_string()),
                self.log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Status and body of a GET on its admin port; `None` while nobody answers.
    pub fn get(&self, path: &str) -> Option<(u16, String)> {
        let address = self.admin.as_ref().expect("it has an admin port").address();
        let mut stream = TcpStream::connect(address).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .ok()?;
        let mut reply = String::new();
        stream.read_to_string(&mut reply).ok()?;
        let status = reply.split_whitespace().nth(1)?.parse().ok()?;
        let body = reply.split_once("\r\n\r\n")?.1.to_owned();
        Some((status, body))
    }

    /// Everything it has said, over all of its runs.
    pub fn log(&self) -> String {
        let bytes = fs::read(self.log_file()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("log")
    }
}

fn configuration(settings: &Settings<'_>, admin: &str) -> String {
    let Settings { brokers, topics, group, name, workers, extra } = settings;
    let Topics { input, routed, review, dead, prefix } = topics;
    // The program runs in a folder of its own; the model lies in the repository.
    let model = jars::root().join("models/default").display().to_string();
    format!(
        "[log]
kind = \"kafka\"

[kafka]
brokers = \"{brokers}\"
group = \"{group}\"
name = \"{name}\"
workers = {workers}

[topics]
input = [\"{input}\"]
routed = \"{routed}\"
review = \"{review}\"
dead = \"{dead}\"
actions = \"{prefix}tickets.actions\"
outcomes = \"{prefix}tickets.outcomes\"
ledger = \"{prefix}tickets.ledger\"
control = \"{prefix}tickets.control\"
feedback = \"{prefix}tickets.feedback\"

[model]
dir = \"{model}\"

[admin]
listen = \"{admin}\"

{extra}"
    )
}

/// Creates the topics of a run.
pub fn create(kafka: &Kafka, topics: &Topics) {
    for topic in [&topics.input, &topics.routed, &topics.review, &topics.dead] {
        kafka.create_topic(topic, feed::PARTITIONS, replicas(kafka), &[]);
    }
}

/// The same with topics for decided tickets that take only so many bytes at once.
pub fn create_small(kafka: &Kafka, topics: &Topics, bytes: u32) {
    let limit = bytes.to_string();
    for topic in [&topics.routed, &topics.review] {
        let limited = [("max.message.bytes", limit.as_str())];
        kafka.create_topic(topic, feed::PARTITIONS, replicas(kafka), &limited);
    }
    create(kafka, topics);
}

/// Creates the topics of the resolve stage, whose names begin with `prefix`.
pub fn create_resolving(kafka: &Kafka, prefix: &str) {
    let create = |topic: &str, configs: &[(&str, &str)]| {
        kafka.create_topic(&format!("{prefix}{topic}"), 1, 1, configs);
    };
    create("actions", &[]);
    create("feedback", &[]);
    create("ledger", &[("cleanup.policy", "compact")]);
    create("control", &[("cleanup.policy", "compact")]);
    create("outcomes", &[("retention.ms", "-1")]);
}

fn replicas(kafka: &Kafka) -> i32 {
    kafka.nodes().len().clamp(1, 3) as i32
}
