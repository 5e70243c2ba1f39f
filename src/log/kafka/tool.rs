//! Records in and out by hand, for `put` and `tail`: no group, no transaction.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::metadata::MetadataPartition;
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};
use rdkafka::{Offset, TopicPartitionList};

use super::context::forward_log;
use super::record::{headers, record};
use super::settings::KafkaSettings;
use crate::health::Stop;
use crate::log::{NewRecord, Record};

const CONNECT: Duration = Duration::from_secs(10);
const FLUSH: Duration = Duration::from_secs(60);

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

#[derive(Default)]
struct Deliveries(Mutex<Put>);

impl Deliveries {
    fn note(&self, outcome: Result<(), &KafkaError>) {
        let mut put = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            Ok(()) => put.written += 1,
            Err(error) => {
                put.failed += 1;
                put.error.get_or_insert_with(|| error.to_string());
            }
        }
    }
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, fac: &str, message: &str) {
        forward_log(level, fac, message);
    }
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(target: "librdkafka", "{error}: {reason}");
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();
    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        self.note(result.as_ref().map(|_| ()).map_err(|(error, _)| error));
    }
}

/// Logs like the others and listens to nothing.
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
    let producer: ThreadedProducer<Deliveries> = settings
        .plain_producer()
        .create_with_context(Deliveries::default())
        .map_err(|e| ToolError::Configuration(e.to_string()))?;
    for record in records {
        send(&producer, topic, &record);
    }
    let flushed = producer.flush(FLUSH);
    let mut put = producer.context().0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if let Err(error) = flushed {
        put.failed += u64::try_from(producer.in_flight_count()).unwrap_or(0);
        put.error.get_or_insert_with(|| error.to_string());
    }
    Ok(put)
}

fn send(producer: &ThreadedProducer<Deliveries>, topic: &str, record: &NewRecord) {
    loop {
        let mut message = BaseRecord::<[u8], [u8]>::to(topic);
        message.key = record.key.as_deref();
        message.payload = record.value.as_deref();
        message.timestamp = record.timestamp_ms;
        message.headers = headers(&record.headers);
        match producer.send(message) {
            Ok(()) => return,
            Err((error, _)) if error.rdkafka_error_code() == Some(Code::QueueFull) => {
                std::thread::sleep(Duration::from_millis(5));
            }
            Err((error, _)) => return producer.context().note(Err(&error)),
        }
    }
}

/// What [`tail`] shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tail {
    /// From the first record instead of the last ones.
    pub from_beginning: bool,
    /// Wait for more instead of ending at the end.
    pub follow: bool,
    /// End after so many records. Without `from_beginning` and `follow`, it is also how many of
    /// each partition's last records are shown, 10 if not given.
    pub max: Option<u64>,
}

/// Hands every committed record of `topic` to `show` until the end, `stop` or a break; how many
/// there were.
///
/// # Errors
/// If the topic cannot be read.
pub fn tail(
    settings: &KafkaSettings,
    topic: &str,
    tail: Tail,
    stop: &Stop,
    mut show: impl FnMut(Record) -> ControlFlow<()>,
) -> Result<u64, ToolError> {
    let consumer = consumer(settings)?;
    let partitions = partitions(settings, &consumer, topic)?;
    let start = match tail {
        Tail { from_beginning: true, .. } => Offset::Beginning,
        Tail { follow: true, .. } => Offset::End,
        // The last offset of a transaction is its marker, so this may show one record less.
        _ => Offset::OffsetTail(tail.max.and_then(|n| i64::try_from(n).ok()).unwrap_or(10)),
    };
    let mut list = TopicPartitionList::new();
    for partition in &partitions {
        list.add_partition_offset(topic, *partition, start)
            .map_err(|e| unreadable(settings, &e))?;
    }
    consumer.assign(&list).map_err(|e| unreadable(settings, &e))?;
    let topic: std::sync::Arc<str> = topic.into();
    let mut ended = BTreeSet::new();
    let mut shown = 0;
    while !stop.requested() && tail.max.is_none_or(|max| shown < max) {
        match consumer.poll(Duration::from_millis(200)) {
            Some(Ok(message)) => {
                ended.remove(&rdkafka::Message::partition(&message));
                shown += 1;
                if show(record(&message, topic.clone())).is_break() {
                    break;
                }
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                ended.insert(partition);
                if !tail.follow && ended.len() == partitions.len() {
                    break;
                }
            }
            Some(Err(error)) => match error.rdkafka_error_code() {
                Some(Code::TopicAuthorizationFailed | Code::SaslAuthenticationFailed) => {
                    return Err(ToolError::Denied(error.to_string()));
                }
                _ => tracing::debug!(%error, "reading is disturbed; going on"),
            },
            None => {}
        }
    }
    Ok(shown)
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
