//! What the Kafka log is told, and how that becomes librdkafka's configuration: defaults first,
//! then the operator's properties, then what the guarantee rests on.

use std::collections::BTreeMap;
use std::sync::Arc;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;

/// Everything that one worker's Kafka log needs to know.
#[derive(Clone)]
pub struct KafkaSettings {
    /// `host:port` pairs, separated by commas.
    pub brokers: String,
    /// The consumer group that all workers of a stage share.
    pub group: String,
    /// This worker's stable name, for example `triaged-0-0`. It is both the `transactional.id`
    /// and the `group.instance.id`: a worker that comes back under its old name ends its old
    /// transaction and takes back its old partitions within a second.
    pub name: String,
    pub inputs: Vec<Arc<str>>,
    pub outputs: Vec<Arc<str>>,
    pub session_timeout_ms: u32,
    pub max_poll_interval_ms: u32,
    pub transaction_timeout_ms: u32,
    pub message_max_bytes: usize,
    pub compression: String,
    /// Further librdkafka properties, secrets included.
    pub properties: BTreeMap<String, String>,
    #[doc(hidden)]
    pub defences: Defences,
}

/// Switches for the defences against silent loss and doubling. They exist so that tests can show
/// that the defences bite; no configuration reaches them.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Defences {
    /// A producer that saw a broken connection is replaced before its next transaction.
    pub disconnects: bool,
    /// Records of partitions that were given away are dropped from the open batch.
    pub rebalances: bool,
}

impl Defences {
    pub const ALL: Self = Self { disconnects: true, rebalances: true };
}

impl Default for Defences {
    fn default() -> Self {
        Self::ALL
    }
}

impl KafkaSettings {
    /// Settings with the values that suit most clusters; inputs and outputs are still empty.
    pub fn new(
        brokers: impl Into<String>,
        group: impl Into<String>,
        name: impl Into<String>,
    ) -> Self {
        Self {
            brokers: brokers.into(),
            group: group.into(),
            name: name.into(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            session_timeout_ms: 15_000,
            max_poll_interval_ms: 300_000,
            transaction_timeout_ms: 15_000,
            message_max_bytes: 1_000_000,
            compression: "lz4".into(),
            properties: BTreeMap::new(),
            defences: Defences::ALL,
        }
    }

    /// Every property that is refused, unknown to librdkafka or has a value it does not take.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        for (key, value) in &self.properties {
            if let Some(reason) = refused_property(key, value) {
                problems.push(format!("property {key:?} cannot be set: {reason}"));
                continue;
            }
            // One at a time, so that each problem is named; the value may be a secret.
            if ClientConfig::new().set(key, value).create_native_config().is_err() {
                problems.push(format!(
                    "property {key:?} is unknown to librdkafka or does not take this value"
                ));
            }
        }
        problems
    }

    /// What producer, consumer and the tools' clients share.
    pub(super) fn base(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        // By default librdkafka waits up to 10 s before it tries a broker that came back.
        config.set("reconnect.backoff.ms", RECONNECT_MS.to_string());
        config.set("reconnect.backoff.max.ms", "500");
        config.set("client.id", &self.name);
        config
    }

    fn finish(&self, config: &mut ClientConfig) {
        for (key, value) in &self.properties {
            config.set(key, value);
        }
        config.set("bootstrap.servers", &self.brokers);
    }

    pub(super) fn consumer(&self) -> ClientConfig {
        let mut config = self.base();
        // Small prefetch queues with a short back-off feed batches of 500 to 2,000 records at full
        // speed (the default back-off of 1 s starves them) and bound the memory.
        config.set("fetch.queue.backoff.ms", "10");
        config.set("queued.min.messages", "5000");
        config.set("queued.max.messages.kbytes", "8192");
        config.set("heartbeat.interval.ms", "1000");
        self.finish(&mut config);
        config.set("group.id", &self.group);
        config.set("group.instance.id", &self.name);
        config.set("session.timeout.ms", self.session_timeout_ms.to_string());
        config.set("max.poll.interval.ms", self.max_poll_interval_ms.to_string());
        config.set("partition.assignment.strategy", "cooperative-sticky");
        config.set("isolation.level", "read_committed");
        config.set("enable.auto.commit", "false");
        config.set("enable.auto.offset.store", "false");
        config.set("auto.offset.reset", "earliest");
        config.set("allow.auto.create.topics", "false");
        config.set("statistics.interval.ms", STATISTICS_MS.to_string());
        let debug = self.properties.contains_key("debug");
        config.set_log_level(if debug { RDKafkaLogLevel::Debug } else { RDKafkaLogLevel::Info });
        config
    }

    /// For writing a few records by hand: idempotent, without a transaction.
    pub(super) fn plain_producer(&self) -> ClientConfig {
        let mut config = self.base();
        config.set("partitioner", "murmur2_random");
        config.set("linger.ms", "5");
        self.finish(&mut config);
        config.set("compression.type", &self.compression);
        config.set("message.max.bytes", self.message_max_bytes.to_string());
        config.set("enable.idempotence", "true");
        config.set_log_level(RDKafkaLogLevel::Info);
        config
    }

    /// For looking at a topic: joins no group and commits nothing. librdkafka wants a group's
    /// name nevertheless, and this one the service's user may use.
    pub(super) fn plain_consumer(&self) -> ClientConfig {
        let mut config = self.base();
        self.finish(&mut config);
        config.set("group.id", &self.group);
        config.set("isolation.level", "read_committed");
        config.set("enable.auto.commit", "false");
        config.set("enable.auto.offset.store", "false");
        config.set("auto.offset.reset", "earliest");
        config.set("allow.auto.create.topics", "false");
        config.set("enable.partition.eof", "true");
        config.set_log_level(RDKafkaLogLevel::Info);
        config
    }

    /// A member of the group for a moment, under no name that would outlast it.
    pub(super) fn guest(&self) -> ClientConfig {
        let mut config = self.consumer();
        config.remove("group.instance.id");
        config.set("client.id", format!("{}-guest", self.name));
        config
    }

    pub(super) fn producer(&self) -> ClientConfig {
        let mut config = self.base();
        config.set("partitioner", "murmur2_random"); // as Java clients do
        config.set("queue.buffering.max.kbytes", "131072");
        self.finish(&mut config);
        config.set("compression.type", &self.compression);
        config.set("linger.ms", "0");
        config.set("message.max.bytes", self.message_max_bytes.to_string());
        config.set("transactional.id", &self.name);
        config.set("transaction.timeout.ms", self.transaction_timeout_ms.to_string());
        config.set("enable.idempotence", "true");
        config.set("acks", "all");
        // Not less: a commit that needed a second connection is known by the time it took.
        config.set("reconnect.backoff.ms", RECONNECT_MS.to_string());
        watch_connections(&mut config, self.properties.get("debug"));
        config
    }
}

/// How long librdkafka waits before it connects again, give or take a half.
pub(super) const RECONNECT_MS: u64 = 50;

/// How often librdkafka hands out the figures that lag and connection state are read from.
pub(super) const STATISTICS_MS: u32 = 2_000;

/// Makes librdkafka log *every* broken connection: its ordinary log drops a line that equals the
/// last one for 30 s and leaves out what it takes for idle, the `broker` debug log does neither.
fn watch_connections(config: &mut ClientConfig, debug: Option<&String>) {
    let debug = debug.filter(|d| !d.is_empty()).map_or("broker".into(), |d| format!("broker,{d}"));
    config.set("debug", debug);
    config.set("log.connection.close", "true");
    config.set_log_level(RDKafkaLogLevel::Debug);
}

const HAS_SETTING: &str = "there is a setting of its own for it";
const POSITIONS: &str = "positions are committed inside the transaction and nowhere else";
const RETRIES: &str = "retries and order are what the transactional producer rests on";
const OURS: &str = "the service sets it itself";

/// Why the librdkafka property `key` cannot be set to `value`, if so: it would break exactly once,
/// or it has a setting of its own.
pub fn refused_property(key: &str, value: &str) -> Option<&'static str> {
    let value = value.trim();
    let unless = |allowed: &[&str], reason| (!allowed.contains(&value)).then_some(reason);
    match key.trim() {
        "bootstrap.servers"
        | "metadata.broker.list"
        | "group.id"
        | "group.instance.id"
        | "transactional.id"
        | "session.timeout.ms"
        | "max.poll.interval.ms"
        | "transaction.timeout.ms"
        | "message.max.bytes"
        | "compression.type"
        | "compression.codec" => Some(HAS_SETTING),
        "enable.auto.commit"
        | "enable.auto.offset.store"
        | "auto.commit.enable"
        | "auto.commit.interval.ms"
        | "offset.store.method"
        | "offset.store.path" => Some(POSITIONS),
        "message.timeout.ms" | "delivery.timeout.ms" => {
            Some("it follows the transaction's time-out")
        }
        "message.send.max.retries" | "retries" => Some(RETRIES),
        "enable.idempotence" => unless(&["true"], RETRIES),
        "acks" | "request.required.acks" => unless(&["all", "-1"], RETRIES),
        "max.in.flight" | "max.in.flight.requests.per.connection" => {
            unless(&["1", "2", "3", "4", "5"], RETRIES)
        }
        "linger.ms" | "queue.buffering.max.ms" => {
            Some("waiting in the producer only delays the commit; batches are sized by the service")
        }
        "isolation.level" => {
            unless(&["read_committed"], "records of aborted transactions would be triaged")
        }
        "auto.offset.reset" => unless(
            &["earliest", "smallest", "beginning"],
            "any other start loses the tickets that came before the first commit",
        ),
        "partition.assignment.strategy" => unless(
            &["cooperative-sticky"],
            "one strategy must hold for the group; the service uses cooperative-sticky",
        ),
        "group.protocol" => unless(
            &["classic"],
            "with the consumer protocol a restarted worker is locked out until its session ends",
        ),
        "reconnect.backoff.ms" | "group.remote.assignor" | "group.protocol.type" => Some(OURS),
        "enable.partition.eof" => unless(&["false"], OURS),
        "allow.auto.create.topics" => {
            unless(&["false"], "a mistyped topic would be made instead of reported")
        }
        "statistics.interval.ms" => Some("lag is read from the statistics"),
        "log.connection.close" => {
            unless(&["true"], "a broken connection must be seen, or a late request can do harm")
        }
        "log_level" | "log.queue" => {
            Some("a broken connection is seen in librdkafka's own log, which must stay on")
        }
        "test.mock.num.brokers" | "test.mock.broker.rtt" => {
            Some("a mock cluster keeps no positions and shows aborted records")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_that_break_the_guarantee_are_refused() {
        for (key, value) in [
            ("enable.auto.commit", "true"),
            ("enable.auto.commit", "false"),
            ("isolation.level", "read_uncommitted"),
            ("auto.offset.reset", "latest"),
            ("acks", "1"),
            ("max.in.flight", "6"),
            ("enable.idempotence", "false"),
            ("partition.assignment.strategy", "range"),
            ("group.protocol", "consumer"),
            ("log_level", "3"),
            ("log.connection.close", "false"),
            ("transactional.id", "x"),
        ] {
            assert!(refused_property(key, value).is_some(), "{key}={value}");
        }
        for (key, value) in [
            ("sasl.username", "triaged"),
            ("acks", "all"),
            ("auto.offset.reset", "earliest"),
            ("debug", "cgrp"),
            ("fetch.wait.max.ms", "100"),
        ] {
            assert_eq!(refused_property(key, value), None, "{key}={value}");
        }
    }

    #[test]
    fn what_the_guarantee_rests_on_is_set_last() {
        let mut settings = KafkaSettings::new("b:9092", "g", "n");
        for (key, value) in [
            ("enable.auto.commit", "true"),
            ("isolation.level", "read_uncommitted"),
            ("acks", "0"),
            ("log.connection.close", "false"),
            ("debug", "cgrp"),
            ("bootstrap.servers", "elsewhere:9092"),
        ] {
            settings.properties.insert(key.into(), value.into());
        }
        let consumer = settings.consumer();
        assert_eq!(consumer.get("enable.auto.commit"), Some("false"));
        assert_eq!(consumer.get("isolation.level"), Some("read_committed"));
        assert_eq!(consumer.get("bootstrap.servers"), Some("b:9092"));
        let producer = settings.producer();
        assert_eq!(producer.get("acks"), Some("all"));
        assert_eq!(producer.get("log.connection.close"), Some("true"));
        assert_eq!(producer.get("debug"), Some("broker,cgrp"));
    }

    #[test]
    fn every_problem_of_the_properties_is_named_without_its_value() {
        let mut settings = KafkaSettings::new("b:9092", "g", "n");
        settings.properties.insert("no.such.property".into(), "secret-1".into());
        settings.properties.insert("socket.timeout.ms".into(), "secret-2".into());
        settings.properties.insert("group.id".into(), "secret-3".into());
        let problems = settings.problems();
        assert_eq!(problems.len(), 3, "{problems:?}");
        assert!(problems.iter().all(|p| !p.contains("secret")), "{problems:?}");
        assert!(KafkaSettings::new("b:9092", "g", "n").problems().is_empty());
    }
}
