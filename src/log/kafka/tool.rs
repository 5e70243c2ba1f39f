//! Records in and out by hand, for `put` and `tail`: no group, no transaction.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::metadata::MetadataPartition;
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};
use rdkafka::{Offset, TopicPartitionList};

use super::context::forward_log;
use super::often::Seldom;
use super::record::{headers, record};
use super::settings::KafkaSettings;
use crate::health::Stop;
use crate::log::{NewRecord, Record};
use crate::sync::lock;

const CONNECT: Duration = Duration::from_secs(10);
const FLUSH: Duration = Duration::from_secs(60);
/// After so long without a sign of partitions that are not at their end, nobody may be there.
const SILENCE: Duration = Duration::from_secs(30);

/// What a tool could not do.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// Nobody answered.
    #[error("Kafka at {brokers} cannot be reached: {why}")]
    Unreachable { brokers: String, why: String },
    /// The topic is not there.
    #[error("topic {0} does not exist or may not be described; create it or correct its name")]
    MissingTopic(String),
    /// librdkafka refused the configuration.
    #[error("Kafka's client library does not accept the configuration: {0}")]
    Configuration(String),
    /// Some topics are one sequence: what is said in one place must come before what follows.
    #[error(
        "topic {topic} has {found} partitions and must have exactly one: what it holds counts in order"
    )]
    Partitions { topic: String, found: usize },
    /// Kafka refuses this user.
    #[error("not authorised: {0}")]
    Denied(String),
}

/// How [`put`] went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Put {
    pub written: u64,
    pub failed: u64,
    /// Why the first record that failed did.
    pub error: Option<String>,
}

impl Put {
    fn note(&mut self, outcome: Result<(), &KafkaError>) {
        match outcome {
            Ok(()) => self.written += 1,
            Err(error) => {
                self.failed += 1;
                self.error.get_or_insert_with(|| error.to_string());
            }
        }
    }
}

/// Logs like the others and listens to nothing but what became of records that were sent.
pub(super) struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, level: RDKafkaLogLevel, fac: &str, message: &str) {
        forward_log(level, fac, message);
    }
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(target: "librdkafka", "{error}: {reason}");
    }
}

impl ConsumerContext for Quiet {}

impl ProducerContext for Quiet {
    type DeliveryOpaque = Arc<Mutex<Put>>;
    fn delivery(&self, result: &DeliveryResult<'_>, put: Arc<Mutex<Put>>) {
        lock(&put).note(result.as_ref().map(|_| ()).map_err(|(error, _)| error));
    }
}

/// Writes `records` to `topic`, in order for each key, and waits until each was acknowledged.
///
/// # Errors
/// If nothing could be written at all; records that fail one by one are counted.
pub fn put(
    settings: &KafkaSettings,
    topic: &str,
    records: impl IntoIterator<Item = NewRecord>,
) -> Result<Put, ToolError> {
    partitions(settings, &consumer(settings)?, topic)?;
    let producer: ThreadedProducer<Quiet> = settings
        .plain_producer()
        .create_with_context(Quiet)
        .map_err(|e| ToolError::Configuration(e.to_string()))?;
    let put = Arc::new(Mutex::new(Put::default()));
    for record in records {
        send(&producer, topic, &record, &put);
    }
    let flushed = producer.flush(FLUSH);
    let mut put = lock(&put).clone();
    if let Err(error) = flushed {
        put.failed += u64::try_from(producer.in_flight_count()).unwrap_or(0);
        put.error.get_or_insert_with(|| error.to_string());
    }
    Ok(put)
}

fn send(
    producer: &ThreadedProducer<Quiet>,
    topic: &str,
    record: &NewRecord,
    put: &Arc<Mutex<Put>>,
) {
    loop {
        let mut message = BaseRecord::<[u8], [u8], _>::with_opaque_to(topic, Arc::clone(put));
        message.key = record.key.as_deref();
        message.payload = record.value.as_deref();
        message.timestamp = record.timestamp_ms;
        message.headers = headers(&record.headers);
        match producer.send(message) {
            Ok(()) => return,
            Err((error, _)) if error.rdkafka_error_code() == Some(Code::QueueFull) => {
                std::thread::sleep(Duration::from_millis(5));
            }
            Err((error, _)) => return lock(put).note(Err(&error)),
        }
    }
}

/// Hands every committed record of `topic` to `show`, from the beginning until the end, a break, or,
/// with `follow`, until that stop is requested.
///
/// # Errors
/// If the topic cannot be read. Without `follow` that is so as well when nothing comes for a while.
pub fn tail(
    settings: &KafkaSettings,
    topic: &str,
    follow: Option<&Stop>,
    show: impl FnMut(Record) -> ControlFlow<()>,
) -> Result<(), ToolError> {
    tail_within(settings, topic, follow, SILENCE, show)
}

fn tail_within(
    settings: &KafkaSettings,
    topic: &str,
    follow: Option<&Stop>,
    silence: Duration,
    mut show: impl FnMut(Record) -> ControlFlow<()>,
) -> Result<(), ToolError> {
    let consumer = consumer(settings)?;
    // Those that are not at their end.
    let mut open: BTreeSet<i32> = partitions(settings, &consumer, topic)?.into_iter().collect();
    let mut list = TopicPartitionList::new();
    for partition in &open {
        list.add_partition_offset(topic, *partition, Offset::Beginning)
            .map_err(|e| unreadable(settings, &e))?;
    }
    consumer.assign(&list).map_err(|e| unreadable(settings, &e))?;
    let topic: Arc<str> = topic.into();
    let mut heard = Instant::now();
    let mut warning = Seldom::default();
    while follow.is_none_or(|stop| !stop.requested()) {
        match consumer.poll(Duration::from_millis(200)) {
            Some(Ok(message)) => {
                open.insert(rdkafka::Message::partition(&message));
                if show(record(&message, Arc::clone(&topic))).is_break() {
                    break;
                }
                // Not before: whoever shows it may take long.
                heard = Instant::now();
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                heard = Instant::now();
                open.remove(&partition);
                if follow.is_none() && open.is_empty() {
                    break;
                }
            }
            Some(Err(error)) => match error.rdkafka_error_code() {
                Some(Code::TopicAuthorizationFailed | Code::SaslAuthenticationFailed) => {
                    return Err(ToolError::Denied(error.to_string()));
                }
                _ if warning.due() => tracing::warn!(%error, "reading is disturbed; going on"),
                _ => {}
            },
            None => {}
        }
        if open.is_empty() || heard.elapsed() < silence {
            continue;
        }
        let silent: Vec<String> = open.iter().map(i32::to_string).collect();
        let silent = silent.join(", ");
        if follow.is_none() {
            let seconds = silence.as_secs();
            let why = format!("nothing came of {topic} for {seconds} s; not at the end: {silent}");
            return Err(ToolError::Unreachable { brokers: settings.brokers.clone(), why });
        }
        if warning.due() {
            tracing::warn!(%topic, partitions = silent, "nothing comes; waiting");
        }
    }
    Ok(())
}

fn consumer(settings: &KafkaSettings) -> Result<BaseConsumer<Quiet>, ToolError> {
    settings
        .plain_consumer()
        .create_with_context(Quiet)
        .map_err(|e| ToolError::Configuration(e.to_string()))
}

/// The topic's partitions; waits a little for brokers that are just starting.
pub(super) fn partitions(
    settings: &KafkaSettings,
    consumer: &BaseConsumer<Quiet>,
    topic: &str,
) -> Result<Vec<i32>, ToolError> {
    let until = Instant::now() + CONNECT;
    loop {
        match consumer.fetch_metadata(Some(topic), Duration::from_secs(3)) {
            Ok(metadata) => {
                let found = metadata.topics().iter().find(|t| t.name() == topic);
                let ids: Vec<i32> =
                    found.iter().flat_map(|t| t.partitions()).map(MetadataPartition::id).collect();
                if ids.is_empty() {
                    return Err(ToolError::MissingTopic(topic.into()));
                }
                return Ok(ids);
            }
            Err(KafkaError::MetadataFetch(Code::UnknownTopicOrPartition | Code::UnknownTopic)) => {
                return Err(ToolError::MissingTopic(topic.into()));
            }
            Err(error) if Instant::now() >= until => return Err(unreadable(settings, &error)),
            Err(_) => std::thread::sleep(Duration::from_millis(200)),
        }
    }
}

fn unreadable(settings: &KafkaSettings, error: &KafkaError) -> ToolError {
    ToolError::Unreachable { brokers: settings.brokers.clone(), why: error.to_string() }
}

#[cfg(test)]
mod tests {
    use rdkafka::mocking::MockCluster;

    use super::*;

    #[test]
    fn a_partition_that_nobody_serves_is_not_waited_for_without_end() {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("t", 2, 1).unwrap();
        let settings = KafkaSettings::new(cluster.bootstrap_servers(), "g", "n");
        let put = put(&settings, "t", vec![NewRecord::default(); 20]).unwrap();
        assert_eq!(put, Put { written: 20, ..Put::default() });
        let read = |silence: Duration| {
            let mut shown = 0;
            let ended = tail_within(&settings, "t", None, silence, |_| {
                shown += 1;
                ControlFlow::Continue(())
            });
            ended.map(|()| shown)
        };
        assert_eq!(read(SILENCE).unwrap(), 20);
        cluster.partition_leader("t", 1, None).unwrap();
        match read(Duration::from_secs(2)) {
            Err(ToolError::Unreachable { why, .. }) => {
                assert!(why.starts_with("nothing came of t for 2 s"), "{why}");
            }
            other => panic!("{other:?}"),
        }
    }
}
