//! The plain loop to compare with: read, write, commit afterwards. At least once.
//!
//! A static member, as the daemon is: with dynamic ones a group that is killed every few seconds
//! does nothing but rebalance, and shows none of its doubles.
//!
//! Arguments: brokers, group, name, input, routed, dead.

mod copy;

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::producer::{BaseProducer, Producer};
use std::error::Error;
use std::time::Duration;

fn main() -> Result<(), Box<dyn Error>> {
    let settings = copy::Settings::from_arguments();
    let consumer: BaseConsumer =
        copy::consumer(&settings).set("group.instance.id", &settings.name).create()?;
    consumer.subscribe(&[&settings.input])?;
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", &settings.brokers)
        .set("enable.idempotence", "true")
        .create()?;
    loop {
        let batch = copy::batch(&consumer)?;
        if batch.is_empty() {
            continue;
        }
        for message in &batch {
            copy::send(&producer, message, &settings)?;
        }
        producer.flush(Duration::from_secs(60))?;
        consumer.commit_consumer_state(CommitMode::Sync)?;
    }
}
