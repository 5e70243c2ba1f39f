//! A real Kafka for a test: somebody's broker, or our own of one or three nodes.
//!
//! Every own node has two listeners for clients: the one that [`Kafka::bootstrap`] names, which
//! may advertise a proxy's address, and a direct one ([`Kafka::direct`]) that the nodes use among
//! themselves and that readers and feeders use so that a fault in the proxy cannot blind them.

use super::jars;
use super::ports::Port;
use super::process::Process;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::types::RDKafkaErrorCode;
use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub const VERSIONS: [&str; 2] = ["3.9.1", "4.1.1"];
pub const NEWEST: &str = VERSIONS[1];

/// Names a broker that is already there, instead of starting one.
pub const EXTERNAL: &str = "TRIAGED_TEST_KAFKA";

/// Sixteen bytes in base64, as Kafka wants a cluster's id.
const CLUSTER_ID: &str = "dHJpYWdlZC10ZXN0LWthZg";
const START_WITHIN: Duration = Duration::from_secs(90);

/// Why the tests that need a broker did not run.
#[derive(Debug)]
pub struct Skipped {
    pub why: String,
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kafka tests did not run: {}", self.why)
    }
}

/// Whether tests on an own broker cannot run here; says why on stderr. Where they must run, as in
/// CI, `TRIAGED_TEST_KAFKA_REQUIRED=1` makes that a failure.
pub fn missing(version: &str) -> bool {
    let Err(why) = jars::fetch(version) else { return false };
    let skipped = Skipped { why };
    assert!(std::env::var_os("TRIAGED_TEST_KAFKA_REQUIRED").is_none(), "{skipped}");
    eprintln!("{skipped}");
    true
}

pub struct Setup<'a> {
    pub version: &'a str,
    /// One or three.
    pub nodes: usize,
    /// What each node tells clients to connect to; empty: its own address.
    pub advertise: Vec<String>,
}

impl<'a> Setup<'a> {
    pub fn single(version: &'a str) -> Self {
        Self { version, nodes: 1, advertise: Vec::new() }
    }
}

pub struct Kafka {
    external: Option<String>,
    nodes: Vec<Node>,
    // Behind the nodes: they must be dead before their folder goes.
    _folder: Option<TempDir>,
}

impl Kafka {
    /// The broker that `TRIAGED_TEST_KAFKA` names, or an own one.
    pub fn obtain(version: &str) -> Result<Self, Skipped> {
        match std::env::var(EXTERNAL) {
            Ok(address) if !address.is_empty() => {
                wait_for_metadata(&address, 1)
                    .map_err(|why| Skipped { why: format!("{EXTERNAL}={address}: {why}") })?;
                Ok(Self { external: Some(address), nodes: Vec::new(), _folder: None })
            }
            _ => Self::start(Setup::single(version)),
        }
    }

    /// Always an own cluster: replication factor 3, at least 2 in sync.
    pub fn cluster(version: &str, nodes: usize) -> Result<Self, Skipped> {
        Self::start(Setup { version, nodes, advertise: Vec::new() })
    }

    /// Always an own one, as `setup` says.
    pub fn start(setup: Setup<'_>) -> Result<Self, Skipped> {
        let jars = jars::fetch(setup.version)
            .map_err(|why| Skipped { why: format!("{why} and {EXTERNAL} is not set") })?;
        let folder = tempfile::Builder::new()
            .prefix("triaged-kafka-")
            .disable_cleanup(std::env::var_os("TRIAGED_TEST_KEEP").is_some())
            .tempdir()
            .expect("a temporary folder");
        let ports: Vec<_> =
            (0..setup.nodes).map(|_| [Port::reserve(), Port::reserve(), Port::reserve()]).collect();
        let voters: Vec<_> =
            (1..).zip(&ports).map(|(id, p)| format!("{id}@{}", p[2].address())).collect();
        let voters = voters.join(",");
        let nodes = ports.into_iter().enumerate().map(|(index, ports)| {
            let folder = folder.path().join((index + 1).to_string());
            fs::create_dir(&folder).expect("a folder for the node");
            let properties = properties(&setup, index, &ports, &voters, &folder);
            fs::write(folder.join("server.properties"), properties).expect("the node's settings");
            let [client, direct, controller] = ports;
            let running = Mutex::new(Running::default());
            Node { client, direct, _controller: controller, jars: jars.clone(), folder, running }
        });
        let kafka = Self { external: None, nodes: nodes.collect(), _folder: Some(folder) };

        // All at once: a controller waits for its quorum before it says that it has started.
        std::thread::scope(|scope| {
            for node in &kafka.nodes {
                scope.spawn(|| {
                    node.format();
                    node.launch();
                    node.wait_for_log();
                });
            }
        });
        wait_for_metadata(&kafka.direct(), setup.nodes).expect("a fresh Kafka answers");
        Ok(kafka)
    }

    /// Whether faults can be made: only on brokers that are ours.
    pub fn own(&self) -> bool {
        self.external.is_none()
    }

    /// Where the client under test connects to.
    pub fn bootstrap(&self) -> String {
        self.addresses(|node| node.client.address())
    }

    /// The same brokers past any proxy.
    pub fn direct(&self) -> String {
        self.addresses(|node| node.direct.address())
    }

    fn addresses(&self, of: impl Fn(&Node) -> String) -> String {
        match &self.external {
            Some(address) => address.clone(),
            None => self.nodes.iter().map(of).collect::<Vec<_>>().join(","),
        }
    }

    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    pub fn node(&self, index: usize) -> &Node {
        &self.nodes[index]
    }

    /// Creates a topic and waits until every partition has a leader. `configs` are topic settings.
    pub fn create_topic(&self, name: &str, partitions: i32, rf: i32, configs: &[(&str, &str)]) {
        let admin: AdminClient<DefaultClientContext> =
            client(&self.direct()).create().expect("an admin client");
        let mut topic = NewTopic::new(name, partitions, TopicReplication::Fixed(rf));
        for (key, value) in configs {
            topic = topic.set(key, value);
        }
        let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(20)));
        let results = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime")
            .block_on(admin.create_topics([&topic], &options))
            .expect("create_topics is answered");
        for result in results {
            match result {
                Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((name, code)) => panic!("topic {name} was not created: {code}"),
            }
        }
        self.wait_settled(Duration::from_secs(30));
    }

    /// Waits until every partition has a leader and all of its replicas in sync, so that the next
    /// fault hits a whole cluster.
    pub fn wait_settled(&self, within: Duration) {
        let consumer: BaseConsumer = client(&self.direct()).create().expect("a consumer");
        let deadline = Instant::now() + within;
        loop {
            let settled = consumer.fetch_metadata(None, Duration::from_secs(2)).is_ok_and(|m| {
                m.topics().iter().flat_map(rdkafka::metadata::MetadataTopic::partitions).all(|p| {
                    p.leader() >= 0 && p.error().is_none() && p.isr().len() == p.replicas().len()
                })
            });
            if settled {
                return;
            }
            assert!(Instant::now() < deadline, "Kafka did not settle within {within:?}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// One broker process, which is also a controller.
pub struct Node {
    client: Port,
    direct: Port,
    _controller: Port,
    jars: PathBuf,
    folder: PathBuf,
    running: Mutex<Running>,
}

#[derive(Default)]
struct Running {
    process: Option<Process>,
    starts: u32,
}

impl Node {
    /// Its own address, whatever it advertises.
    pub fn address(&self) -> String {
        self.client.address()
    }

    pub fn kill9(&self) {
        drop(self.take());
    }

    /// SIGTERM: hands its partitions over, then ends.
    pub fn stop(&self) {
        let mut process = self.take().expect("the node is running");
        process.signal("TERM");
        process.wait(Duration::from_secs(60)).expect("a broker ends within a minute of SIGTERM");
    }

    /// SIGSTOP: connections stay open, nothing answers.
    pub fn pause(&self) {
        self.signal("STOP");
    }

    pub fn resume(&self) {
        self.signal("CONT");
    }

    /// Starts it again and waits until it serves.
    pub fn start(&self) {
        self.launch();
        self.wait_for_log();
        wait_for_metadata(&self.direct.address(), 1).expect("a started node answers");
    }

    /// The log of its latest run.
    pub fn log(&self) -> String {
        let starts = self.running.lock().expect("not poisoned").starts;
        fs::read_to_string(self.log_file(starts)).unwrap_or_default()
    }

    fn log_file(&self, starts: u32) -> PathBuf {
        self.folder.join(format!("run-{starts}.log"))
    }

    fn signal(&self, name: &str) {
        let running = self.running.lock().expect("not poisoned");
        running.process.as_ref().expect("the node is running").signal(name);
    }

    fn take(&self) -> Option<Process> {
        self.running.lock().expect("not poisoned").process.take()
    }

    fn java(&self) -> Command {
        let kafka = jars::root().join("tests/kafka");
        let mut command = Command::new("java");
        command
            .current_dir(&self.folder)
            .args(["-Xmx512m", "-Xms256m", "-XX:+UseSerialGC"])
            .arg(format!("-Dlog4j.configuration=file:{}/log4j.properties", kafka.display()))
            .arg(format!("-Dlog4j2.configurationFile=file:{}/log4j2.properties", kafka.display()))
            .arg("-cp")
            .arg(self.jars.join("*"));
        command
    }

    fn format(&self) {
        let output = self
            .java()
            .args(["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID])
            .args(["-c", "server.properties"])
            .output()
            .expect("`java` starts");
        assert!(
            output.status.success(),
            "Kafka's storage was not formatted: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }

    fn launch(&self) {
        let mut running = self.running.lock().expect("not poisoned");
        assert!(running.process.is_none(), "the node is running already");
        running.starts += 1;
        let log = File::create(self.log_file(running.starts)).expect("the node's log");
        let mut command = self.java();
        command.args(["kafka.Kafka", "server.properties"]);
        command.stdout(log.try_clone().expect("a second handle")).stderr(log);
        running.process = Some(Process::spawn(&mut command).expect("`java` starts"));
    }

    fn wait_for_log(&self) {
        let deadline = Instant::now() + START_WITHIN;
        while !self.log().contains("Kafka Server started") {
            let ended = {
                let mut running = self.running.lock().expect("not poisoned");
                running.process.as_mut().is_none_or(|process| process.ended().is_some())
            };
            assert!(
                !ended && Instant::now() < deadline,
                "Kafka did not start ({}):\n{}",
                if ended { "it ended" } else { "too slow" },
                self.log()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

fn properties(
    setup: &Setup<'_>,
    index: usize,
    [client, direct, controller]: &[Port; 3],
    voters: &str,
    folder: &Path,
) -> String {
    let advertised = setup.advertise.get(index).cloned().unwrap_or_else(|| client.address());
    let replicas = setup.nodes.min(3);
    let in_sync = replicas.min(2);
    format!(
        "process.roles=broker,controller
node.id={id}
controller.quorum.voters={voters}
listeners=PLAINTEXT://{client},DIRECT://{direct},CONTROLLER://{controller}
advertised.listeners=PLAINTEXT://{advertised},DIRECT://{direct}
inter.broker.listener.name=DIRECT
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,DIRECT:PLAINTEXT
log.dirs={data}
num.partitions=3
default.replication.factor={replicas}
min.insync.replicas={in_sync}
offsets.topic.replication.factor={replicas}
offsets.topic.num.partitions=3
transaction.state.log.replication.factor={replicas}
transaction.state.log.min.isr={in_sync}
transaction.state.log.num.partitions=3
share.coordinator.state.topic.replication.factor={replicas}
share.coordinator.state.topic.min.isr={in_sync}
group.initial.rebalance.delay.ms=0
transaction.max.timeout.ms=900000
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
auto.create.topics.enable=false
metrics.jmx.exclude=.*
",
        id = index + 1,
        client = client.address(),
        direct = direct.address(),
        controller = controller.address(),
        data = folder.join("data").display(),
    )
}

/// A client's settings towards `brokers`, with reconnects quick enough for bounces.
pub fn client(brokers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", brokers)
        .set("allow.auto.create.topics", "false")
        .set("reconnect.backoff.ms", "50")
        .set("reconnect.backoff.max.ms", "500")
        // Connections that a bounce cuts are expected here and would flood stderr.
        .set("log.connection.close", "false")
        .set_log_level(rdkafka::config::RDKafkaLogLevel::Emerg);
    config
}

fn wait_for_metadata(brokers: &str, nodes: usize) -> Result<(), String> {
    let consumer: BaseConsumer = client(brokers).create().map_err(|e| e.to_string())?;
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        match consumer.fetch_metadata(None, Duration::from_secs(2)) {
            Ok(metadata) if metadata.brokers().len() >= nodes => return Ok(()),
            Ok(_) if Instant::now() < deadline => {}
            Ok(metadata) => return Err(format!("only {} brokers", metadata.brokers().len())),
            Err(_) if Instant::now() < deadline => {}
            Err(error) => return Err(error.to_string()),
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}
