//! A real Kafka for a test: somebody's broker, or our own of one or three nodes.
//!
//! Every own node has two listeners for clients: the one that [`Kafka::bootstrap`] names, which
//! may advertise a proxy's address, and a direct one ([`Kafka::direct`]) that the nodes use among
//! themselves and that readers and feeders use so that a fault in the proxy cannot blind them.

use super::node::Node;
use super::ports::Port;
use super::{feed, jars};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::metadata::{MetadataPartition, MetadataTopic};
use rdkafka::types::RDKafkaErrorCode;
use std::fmt;
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub const VERSIONS: [&str; 2] = ["3.9.1", "4.1.1"];
pub const NEWEST: &str = VERSIONS[1];

/// Names a broker that is already there, for tests that any broker will do for.
pub const EXTERNAL: &str = "TRIAGED_TEST_KAFKA";

/// The broker that [`EXTERNAL`] names, if it does.
pub fn named() -> Option<String> {
    std::env::var(EXTERNAL).ok().filter(|address| !address.is_empty())
}

/// A name for the topics and groups of one test that no other run has: a named broker may see many.
pub fn unique(test: &str) -> String {
    format!("triaged-test-{:x}-{test}", feed::now_us())
}

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

/// Whether tests on an own broker cannot run here; says why on stderr. Those that any broker will do
/// for can nevertheless where one is [`named`]. Where all must run, as in CI,
/// `TRIAGED_TEST_KAFKA_REQUIRED=1` makes it a failure.
pub fn missing(version: &str) -> bool {
    let Err(why) = jars::fetch(version) else { return false };
    let others = match named() {
        Some(address) => format!("; those that need no broker of their own run on {address}"),
        None => format!(" and {EXTERNAL} is not set"),
    };
    let skipped = Skipped { why: why + &others };
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
        let Some(address) = named() else { return Self::start(Setup::single(version)) };
        wait_for_metadata(&address, 1)
            .map_err(|why| Skipped { why: format!("{EXTERNAL}={address}: {why}") })?;
        Ok(Self { external: Some(address), nodes: Vec::new(), _folder: None })
    }

    /// Always an own cluster; with three nodes replication factor 3, at least 2 in sync.
    pub fn cluster(version: &str, nodes: usize) -> Result<Self, Skipped> {
        Self::start(Setup { version, nodes, advertise: Vec::new() })
    }

    /// Always an own one, as `setup` says.
    pub fn start(setup: Setup<'_>) -> Result<Self, Skipped> {
        let jars = jars::fetch(setup.version).map_err(|why| Skipped { why })?;
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
            Node::prepare(&setup, index, ports, &voters, jars.clone(), folder)
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

    /// Creates a topic and waits until it is settled. `configs` are topic settings. A named broker has
    /// a replication factor of its own.
    pub fn create_topic(&self, name: &str, partitions: i32, rf: i32, configs: &[(&str, &str)]) {
        let admin: AdminClient<DefaultClientContext> =
            client(&self.direct()).create().expect("an admin client");
        let rf = if self.external.is_some() { -1 } else { rf };
        let mut topic = NewTopic::new(name, partitions, TopicReplication::Fixed(rf));
        for (key, value) in configs {
            topic = topic.set(key, value);
        }
        let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(20)));
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let deadline = Instant::now() + Duration::from_secs(30);
        let results = loop {
            match runtime.block_on(admin.create_topics([&topic], &options)) {
                Ok(results) => break results,
                // The client lets go of the address that it began with once it knows the brokers.
                Err(error)
                    if error.rdkafka_error_code() == Some(RDKafkaErrorCode::DestroyBroker)
                        && Instant::now() < deadline => {}
                Err(error) => panic!("create_topics is not answered: {error}"),
            }
        };
        for result in results {
            match result {
                Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((name, code)) => panic!("topic {name} was not created: {code}"),
            }
        }
        self.wait_until(Some(name), "settle", Duration::from_secs(30), settled);
    }

    /// Waits until every partition has a leader and all of its replicas in sync, so that the next
    /// fault hits a whole cluster.
    pub fn wait_settled(&self, within: Duration) {
        self.wait_until(None, "settle", within, settled);
    }

    /// Waits until the others lead all that a dead node led. One that comes back before goes on as the
    /// leader that it was, with records that only it has (docs/decisions/0012).
    pub fn wait_taken_over(&self, index: usize, within: Duration) {
        let dead = index as i32 + 1;
        self.wait_until(None, "take over", within, |partition| {
            partition.leader() >= 0 && partition.leader() != dead
        });
    }

    /// Of one topic, or of all.
    fn wait_until(
        &self,
        topic: Option<&str>,
        what: &str,
        within: Duration,
        holds: impl Fn(&MetadataPartition) -> bool,
    ) {
        let consumer: BaseConsumer = client(&self.direct()).create().expect("a consumer");
        let deadline = Instant::now() + within;
        loop {
            let all = consumer.fetch_metadata(topic, Duration::from_secs(2)).is_ok_and(|m| {
                // A topic that a broker has not heard of yet has no partitions.
                m.topics().iter().all(|topic| !topic.partitions().is_empty())
                    && m.topics().iter().flat_map(MetadataTopic::partitions).all(&holds)
            });
            if all {
                return;
            }
            assert!(Instant::now() < deadline, "Kafka did not {what} within {within:?}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

fn settled(partition: &MetadataPartition) -> bool {
    partition.error().is_none()
        && partition.leader() >= 0
        && partition.isr().len() == partition.replicas().len()
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

/// Waits until so many nodes answer.
pub fn wait_for_metadata(brokers: &str, nodes: usize) -> Result<(), String> {
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
