//! What the Kafka log is told, and how that becomes librdkafka's configuration: defaults first,
//! then the operator's properties, then what the guarantee rests on.

mod refused;

use std::collections::BTreeMap;
use std::sync::Arc;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::producer::BaseProducer;

pub use self::refused::refused_property;

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

    /// Every property that is refused.
    pub fn problems(&self) -> Vec<String> {
        let refused = |(key, value): (&String, &String)| {
            let why = refused_property(key, value)?;
            Some(format!("property {key:?} cannot be set: {why}"))
        };
        self.properties.iter().filter_map(refused).collect()
    }

    /// What librdkafka has against the settings as a whole: properties that do not go together,
    /// files that it cannot read. A worker's clients are made for it, without brokers: no network
    /// is touched.
    pub fn trial(&self) -> Vec<String> {
        let alone = |mut config: ClientConfig| {
            config.remove("bootstrap.servers");
            config
        };
        let producer: KafkaResult<BaseProducer> = alone(self.producer()).create();
        let consumer: KafkaResult<BaseConsumer> = alone(self.consumer()).create();
        let refusals = [producer.err(), consumer.err()];
        let mut found: Vec<_> = refusals.iter().flatten().map(without_values).collect();
        // Both say the same of what they share, but for OpenSSL's details behind a colon.
        found.dedup_by(|a, b| a.split(':').next() == b.split(':').next());
        found
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

    /// For asking about topics, neither reading nor writing.
    pub(super) fn plain(&self) -> ClientConfig {
        let mut config = self.base();
        self.finish(&mut config);
        config.set_log_level(RDKafkaLogLevel::Info);
        config
    }

    /// For writing a few records by hand: idempotent, without a transaction.
    pub(super) fn plain_producer(&self) -> ClientConfig {
        let mut config = self.base();
        config.set("linger.ms", "5");
        self.finish(&mut config);
        config.set("partitioner", PARTITIONER);
        config.set("compression.type", &self.compression);
        config.set("message.max.bytes", self.message_max_bytes.to_string());
        config.set("enable.idempotence", "true");
        config.set_log_level(RDKafkaLogLevel::Info);
        config
    }

    /// For looking at a topic: joins no group and commits nothing. librdkafka wants a group's
    /// name nevertheless, and this one the service's user may use.
    pub(super) fn plain_consumer(&self) -> ClientConfig {
        let mut config = self.plain();
        config.set("group.id", &self.group);
        config.set("isolation.level", "read_committed");
        config.set("enable.auto.commit", "false");
        config.set("enable.auto.offset.store", "false");
        config.set("auto.offset.reset", "earliest");
        config.set("allow.auto.create.topics", "false");
        config.set("enable.partition.eof", "true");
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
        self.finish(&mut config);
        // The largest record must fit, or its place in the queue would be waited for in vain.
        let queue = QUEUE_KBYTES.max(self.message_max_bytes / 1024 + 1);
        config.set("queue.buffering.max.kbytes", queue.to_string());
        config.set("partitioner", PARTITIONER);
        config.set("delivery.report.only.error", "false");
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

/// Which partition a key goes to, as Java clients have it.
const PARTITIONER: &str = "murmur2_random";

/// What the producer holds back at most, unless one record may be larger.
const QUEUE_KBYTES: usize = 131_072;

/// What librdkafka said. Of values it quotes those that are no secrets, but for a property that it
/// does not take.
fn without_values(error: &KafkaError) -> String {
    match error {
        KafkaError::ClientCreation(why) => why.clone(),
        KafkaError::ClientConfig(_, _, key, _) => format!("{key} does not take its value"),
        other => other.to_string(),
    }
}

/// Makes librdkafka log *every* broken connection: its ordinary log drops a line that equals the
/// last one for 30 s and leaves out what it takes for idle, the `broker` debug log does neither.
fn watch_connections(config: &mut ClientConfig, debug: Option<&String>) {
    // Last, or "-broker" of the operator's would take it away.
    let debug = debug.filter(|d| !d.is_empty()).map_or("broker".into(), |d| format!("{d},broker"));
    config.set("debug", debug);
    config.set("log.connection.close", "true");
    config.set_log_level(RDKafkaLogLevel::Debug);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_guarantee_rests_on_is_set_last() {
        let mut settings = KafkaSettings::new("b:9092", "g", "n");
        for (key, value) in [
            ("enable.auto.commit", "true"),
            ("isolation.level", "read_uncommitted"),
            ("acks", "0"),
            ("log.connection.close", "false"),
            ("debug", "cgrp,-broker"),
            ("partitioner", "random"),
            ("delivery.report.only.error", "true"),
            ("queue.buffering.max.kbytes", "1"),
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
        assert_eq!(producer.get("debug"), Some("cgrp,-broker,broker"));
        assert_eq!(producer.get("delivery.report.only.error"), Some("false"));
        assert_eq!(producer.get("queue.buffering.max.kbytes"), Some("131072"));
        for producer in [producer, settings.plain_producer()] {
            assert_eq!(producer.get("partitioner"), Some("murmur2_random"));
        }
        settings.message_max_bytes = 1_000_000_000;
        let queue = settings.producer().get("queue.buffering.max.kbytes").unwrap().to_owned();
        assert!(queue.parse::<usize>().unwrap() * 1024 > settings.message_max_bytes, "{queue}");
    }

    #[test]
    fn a_worker_is_a_lasting_member_that_shares_step_by_step_and_reads_from_the_start() {
        let mut settings = KafkaSettings::new("b:9092", "g", "triaged-pod-0");
        for (key, value) in [
            ("group.id", "other"),
            ("group.instance.id", "other"),
            ("transactional.id", "other"),
            ("partition.assignment.strategy", "range"),
            ("auto.offset.reset", "latest"),
            ("enable.auto.offset.store", "true"),
            ("enable.idempotence", "false"),
        ] {
            settings.properties.insert(key.into(), value.into());
        }
        let (consumer, producer) = (settings.consumer(), settings.producer());
        assert_eq!(consumer.get("group.id"), Some("g"));
        assert_eq!(consumer.get("group.instance.id"), Some("triaged-pod-0"));
        assert_eq!(producer.get("transactional.id"), consumer.get("group.instance.id"));
        assert_eq!(consumer.get("partition.assignment.strategy"), Some("cooperative-sticky"));
        assert_eq!(consumer.get("auto.offset.reset"), Some("earliest"));
        assert_eq!(consumer.get("enable.auto.offset.store"), Some("false"));
        assert_eq!(producer.get("enable.idempotence"), Some("true"));
        // A guest leaves nothing behind that the group would wait for.
        assert_eq!(settings.guest().get("group.instance.id"), None);
        assert_eq!(
            settings.guest().get("partition.assignment.strategy"),
            Some("cooperative-sticky")
        );
    }

    #[test]
    fn what_waits_in_the_clients_is_bounded_and_an_operator_may_set_what_is_read_ahead() {
        let mut settings = KafkaSettings::new("b:9092", "g", "n");
        let consumer = settings.consumer();
        assert_eq!(consumer.get("queued.min.messages"), Some("5000"));
        assert_eq!(consumer.get("queued.max.messages.kbytes"), Some("8192"));
        assert_eq!(consumer.get("fetch.queue.backoff.ms"), Some("10"));
        assert_eq!(settings.producer().get("queue.buffering.max.kbytes"), Some("131072"));
        settings.properties.insert("queued.max.messages.kbytes".into(), "1024".into());
        assert_eq!(settings.consumer().get("queued.max.messages.kbytes"), Some("1024"));
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

    #[test]
    fn what_only_goes_wrong_together_is_found_without_a_network() {
        let mut settings = KafkaSettings::new("nowhere.invalid:9092", "g", "n");
        assert_eq!(settings.trial(), Vec::<String>::new());
        let set = |settings: &mut KafkaSettings, key: &str, value: &str| {
            settings.properties.insert(key.into(), value.into());
        };
        set(&mut settings, "socket.timeout.ms", "60000");
        set(&mut settings, "fetch.max.bytes", "1000");
        assert_eq!(settings.problems(), Vec::<String>::new());
        let found = settings.trial();
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("socket.timeout.ms") && found[1].contains("fetch.max.bytes"));
        settings.properties.clear();
        set(&mut settings, "security.protocol", "sasl_plaintext");
        set(&mut settings, "sasl.mechanism", "NONE-SUCH");
        assert_eq!(settings.trial().len(), 1, "both clients say the same: {:?}", settings.trial());
        settings.properties.clear();
        settings.message_max_bytes = 1 << 30;
        let found = settings.trial();
        assert_eq!(found, ["message.max.bytes does not take its value"]);
    }
}
