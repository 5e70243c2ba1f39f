//! The measure of the daemon: a loop with the same clients, the same transactions and nothing
//! between input and output.

use rdkafka::client::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, DeliveryResult, Message};
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaErrorCode;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

// The daemon's own default for [batch].
const LINGER: Duration = Duration::from_millis(20);
const WITHIN: Duration = Duration::from_secs(30);

/// Arguments: brokers, group, workers, records a transaction, input, output. Runs until it is
/// killed.
pub fn main(arguments: &[String]) {
    let [brokers, group, workers, records, input, output] = arguments else {
        panic!("brokers, group, workers, records, input and output are needed");
    };
    let records = records.parse().expect("a number of records");
    thread::scope(|scope| {
        for worker in 0..workers.parse().expect("a number of workers") {
            scope.spawn(move || run(brokers, group, worker, records, input, output));
        }
    });
}

struct Delivered {
    count: AtomicUsize,
    worker: Thread,
}

struct Context(Arc<Delivered>);

impl ClientContext for Context {}

impl ProducerContext for Context {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        assert!(result.is_ok(), "a record was not delivered");
        self.0.count.fetch_add(1, Ordering::Release);
        self.0.worker.unpark();
    }
}

fn run(brokers: &str, group: &str, worker: usize, records: usize, input: &str, output: &str) {
    let name = format!("{group}-{worker}");
    let consumer: BaseConsumer = consumer(brokers, group, &name).create().expect("a consumer");
    consumer.subscribe(&[input]).expect("a subscription");
    let delivered = Arc::new(Delivered { count: AtomicUsize::new(0), worker: thread::current() });
    let producer: ThreadedProducer<Context> = producer(brokers, &name)
        .create_with_context(Context(Arc::clone(&delivered)))
        .expect("a producer");
    producer.init_transactions(WITHIN).expect("transactions");

    let mut sent = 0;
    loop {
        let batch = next(&consumer, records);
        if batch.is_empty() {
            continue;
        }
        producer.begin_transaction().expect("a transaction begins");
        let (mut from, mut upto) = (BTreeMap::new(), BTreeMap::new());
        for message in &batch {
            send(&producer, output, message);
            from.entry(message.partition()).or_insert(message.offset());
            upto.insert(message.partition(), message.offset() + 1);
        }
        sent += batch.len();
        // The wake-up may come between the look and the sleep: never sleep for long.
        while delivered.count.load(Ordering::Acquire) < sent {
            thread::park_timeout(Duration::from_millis(10));
        }
        let mut offsets = TopicPartitionList::new();
        for (partition, next) in upto {
            offsets
                .add_partition_offset(input, partition, Offset::Offset(next))
                .expect("an offset");
        }
        let metadata = consumer.group_metadata().expect("a group");
        if producer.send_offsets_to_transaction(&offsets, &metadata, WITHIN).is_ok() {
            producer.commit_transaction(WITHIN).expect("a commit");
        } else {
            // The other worker has joined meanwhile: read the batch again.
            producer.abort_transaction(WITHIN).expect("an abort");
            for (partition, offset) in from {
                let _ = consumer.seek(input, partition, Offset::Offset(offset), WITHIN);
            }
        }
    }
}

fn next(consumer: &BaseConsumer, records: usize) -> Vec<BorrowedMessage<'_>> {
    let mut batch = Vec::with_capacity(records);
    let deadline = Instant::now() + LINGER;
    while batch.len() < records {
        match consumer.poll(deadline.saturating_duration_since(Instant::now())) {
            Some(message) => batch.push(message.expect("a message")),
            None => break,
        }
    }
    batch
}

fn send(producer: &ThreadedProducer<Context>, output: &str, message: &BorrowedMessage<'_>) {
    let mut record = BaseRecord::to(output)
        .payload(message.payload().unwrap_or_default())
        .key(message.key().unwrap_or_default());
    while let Err((error, again)) = producer.send(record) {
        let full = matches!(error, KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull));
        assert!(full, "a record was refused: {error}");
        thread::sleep(Duration::from_millis(1));
        record = again;
    }
}

// What follows must stay equal to what the daemon's Kafka log sets.

fn consumer(brokers: &str, group: &str, name: &str) -> ClientConfig {
    let mut config = base(brokers, name);
    config
        .set("group.id", group)
        .set("group.instance.id", name)
        .set("session.timeout.ms", "10000")
        .set("heartbeat.interval.ms", "1000")
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("isolation.level", "read_committed")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "earliest")
        .set("fetch.queue.backoff.ms", "10")
        .set("queued.min.messages", "5000")
        .set("queued.max.messages.kbytes", "8192")
        .set("statistics.interval.ms", "2000");
    config
}

fn producer(brokers: &str, name: &str) -> ClientConfig {
    let mut config = base(brokers, name);
    config
        .set("transactional.id", name)
        .set("transaction.timeout.ms", "15000")
        .set("partitioner", "murmur2_random")
        .set("queue.buffering.max.kbytes", "131072")
        .set("compression.type", "lz4")
        .set("linger.ms", "0")
        .set("acks", "all");
    config
}

fn base(brokers: &str, name: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", brokers)
        .set("client.id", name)
        .set("reconnect.backoff.ms", "50")
        .set("reconnect.backoff.max.ms", "500");
    config
}
