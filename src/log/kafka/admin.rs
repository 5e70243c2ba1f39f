//! Before the first batch: is anybody there, and do all topics exist?

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use super::context::{ConsumerEvents, REFUSALS_AT_START};
use super::often::Seldom;
use super::wait::{Backoff, Patience};
use crate::log::{AbortReason, LogError};
use rdkafka::consumer::BaseConsumer;

const QUERY: Duration = Duration::from_secs(3);
/// A topic that was just made may take a moment until every broker knows it.
const GRACE: Duration = Duration::from_secs(15);

/// Waits until brokers answer and all `topics` exist. Unreachable brokers are waited for without
/// end; missing topics and refused credentials are not.
pub(super) fn wait_for_topics(
    consumer: &BaseConsumer<ConsumerEvents>,
    brokers: &str,
    topics: &[Arc<str>],
    patience: &Patience,
) -> Result<(), LogError> {
    let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(2));
    let mut warning = Seldom::default();
    let mut missing_since: Option<Instant> = None;
    loop {
        patience.health.turned();
        match look(consumer, topics) {
            Ok(missing) if missing.is_empty() => {
                patience.health.connected(true);
                return Ok(());
            }
            Ok(missing) => {
                patience.health.connected(true);
                let since = *missing_since.get_or_insert_with(Instant::now);
                if since.elapsed() > GRACE {
                    return Err(LogError::Fatal(format!(
                        "these topics do not exist or may not be described: {}; create them \
                         (the service creates none) or correct their names",
                        missing.join(", ")
                    )));
                }
                if warning.due() {
                    tracing::warn!(
                        topics = missing.join(", "),
                        "waiting for topics that are missing"
                    );
                }
            }
            Err(error) => {
                patience.health.connected(false);
                // Refusals arrive as events that only polling serves.
                for _ in 0..8 {
                    let _ = consumer.poll(Duration::ZERO);
                }
                if consumer.context().refusals() >= REFUSALS_AT_START {
                    return Err(denied(brokers, &error));
                }
                if warning.due() {
                    tracing::warn!(brokers, %error, "waiting for Kafka, which cannot be reached");
                }
            }
        }
        if patience.stop.requested() || !patience.sleep(backoff.delay()) {
            return Err(LogError::Aborted(AbortReason::Shutdown));
        }
    }
}

pub(super) fn denied(brokers: &str, error: &dyn std::fmt::Display) -> LogError {
    LogError::Fatal(format!(
        "Kafka at {brokers} refuses this service ({error}); check security.protocol, \
         sasl.mechanism, the credentials and the certificates"
    ))
}

/// The topics that are missing.
fn look(
    consumer: &BaseConsumer<ConsumerEvents>,
    topics: &[Arc<str>],
) -> Result<Vec<String>, KafkaError> {
    let mut missing = Vec::new();
    for topic in topics {
        match consumer.fetch_metadata(Some(topic), QUERY) {
            Ok(metadata) => {
                let there = metadata.topics().iter().any(|t| {
                    t.name() == &**topic && t.error().is_none() && !t.partitions().is_empty()
                });
                if !there {
                    missing.push(topic.to_string());
                }
            }
            Err(KafkaError::MetadataFetch(
                Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::TopicAuthorizationFailed,
            )) => missing.push(topic.to_string()),
            Err(error) => return Err(error),
        }
    }
    Ok(missing)
}
