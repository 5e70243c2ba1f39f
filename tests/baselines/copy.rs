//! What both loops do with a ticket: wrap it as an output that the checker can read.

use rdkafka::config::ClientConfig;
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{Message, OwnedMessage};
use rdkafka::producer::{BaseProducer, BaseRecord};
use rdkafka::types::RDKafkaErrorCode;
use serde_json::value::RawValue;
use std::time::{Duration, Instant};

const BATCH: usize = 500;
const WINDOW: Duration = Duration::from_millis(20);

pub struct Settings {
    pub brokers: String,
    pub group: String,
    pub name: String,
    pub input: String,
    pub routed: String,
    pub dead: String,
}

impl Settings {
    pub fn from_arguments() -> Self {
        let mut arguments = std::env::args().skip(1);
        let mut next = |name: &str| arguments.next().unwrap_or_else(|| panic!("no {name} given"));
        Self {
            brokers: next("brokers"),
            group: next("group"),
            name: next("name"),
            input: next("input"),
            routed: next("routed"),
            dead: next("dead"),
        }
    }
}

/// The same session timeout as the daemon's, so that the times to recover can be compared.
pub fn consumer(settings: &Settings) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &settings.brokers)
        .set("group.id", &settings.group)
        .set("client.id", &settings.name)
        .set("session.timeout.ms", "10000")
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "false");
    config
}

pub fn batch(consumer: &BaseConsumer) -> KafkaResult<Vec<OwnedMessage>> {
    let mut batch = Vec::new();
    let deadline = Instant::now() + WINDOW;
    while batch.len() < BATCH && Instant::now() < deadline {
        match consumer.poll(deadline.saturating_duration_since(Instant::now())) {
            Some(Ok(message)) => batch.push(message.detach()),
            // A broker that is away comes back.
            Some(Err(KafkaError::MessageConsumption(
                RDKafkaErrorCode::AllBrokersDown | RDKafkaErrorCode::BrokerTransportFailure,
            ))) => {}
            Some(Err(error)) => return Err(error),
            None => break,
        }
    }
    Ok(batch)
}

#[derive(serde::Deserialize)]
struct Head<'a> {
    ticket_id: &'a str,
}

#[derive(serde::Serialize)]
struct Output<'a> {
    ticket_id: &'a str,
    ticket: &'a RawValue,
}

pub fn send(
    producer: &BaseProducer,
    message: &OwnedMessage,
    settings: &Settings,
) -> KafkaResult<()> {
    let original = message.payload().unwrap_or_default();
    let (topic, value) = match serde_json::from_slice::<Head<'_>>(original) {
        Ok(Head { ticket_id }) => {
            let ticket = serde_json::from_slice(original).expect("it was read once already");
            let output = Output { ticket_id, ticket };
            (&settings.routed, serde_json::to_vec(&output).expect("strings can be written"))
        }
        Err(_) => (&settings.dead, original.to_vec()),
    };
    let mut record = BaseRecord::to(topic).payload(&value);
    if let Some(key) = message.key() {
        record = record.key(key);
    }
    loop {
        match producer.send(record) {
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), again)) => {
                producer.poll(Duration::from_millis(5));
                record = again;
            }
            other => return other.map_err(|(error, _)| error),
        }
    }
}
