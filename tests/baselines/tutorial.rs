//! The transactional loop as tutorials have it: begin, send, offsets, commit. Members come and go
//! under new names, nothing looks for a rebalance within a batch or a broken connection within a
//! commit, and any error ends the process, to be started again.
//!
//! Arguments: brokers, group, name, input, routed, dead.

mod copy;

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, Producer};
use std::error::Error;
use std::time::Duration;

fn main() -> Result<(), Box<dyn Error>> {
    let settings = copy::Settings::from_arguments();
    let consumer: BaseConsumer = copy::consumer(&settings).create()?;
    consumer.subscribe(&[&settings.input])?;
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", &settings.brokers)
        .set("transactional.id", format!("{}-{}", settings.group, settings.name))
        .create()?;
    let within = Duration::from_secs(60);
    producer.init_transactions(within)?;
    loop {
        let batch = copy::batch(&consumer)?;
        if batch.is_empty() {
            continue;
        }
        producer.begin_transaction()?;
        for message in &batch {
            copy::send(&producer, message, &settings)?;
        }
        let metadata = consumer.group_metadata().ok_or("no group")?;
        producer.send_offsets_to_transaction(&consumer.position()?, &metadata, within)?;
        producer.commit_transaction(within)?;
    }
}
