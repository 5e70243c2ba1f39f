//! A worker that copies records from one topic to another through the log under test, and the
//! independent count of what came out.

use super::broker::client;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use triaged::health::{Stop, WorkerHealth};
use triaged::log::kafka::{KafkaLog, KafkaSettings};
use triaged::log::{AbortReason, Batch, Limit, Log, LogError, Outgoing, Record};
use triaged::metrics::{Labels, Metrics};

/// Writes ids `0..count`, keyed by themselves.
pub fn feed(brokers: &str, topic: &str, ids: std::ops::Range<u64>) {
    let producer: ThreadedProducer<DefaultProducerContext> =
        client(brokers).set("enable.idempotence", "true").create().expect("a feeder");
    for id in ids {
        let id = id.to_string();
        producer
            .send(BaseRecord::to(topic).key(&id).payload(&id))
            .map_err(|(e, _)| e)
            .expect("room");
    }
    producer.flush(Duration::from_secs(30)).expect("everything was fed");
}

/// What a reader of committed records finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tally {
    pub seen: usize,
    pub lost: usize,
    pub doubled: usize,
}

/// Reads `topic` from beginning to end as its consumers do.
pub fn tally(brokers: &str, topic: &str, fed: u64) -> Tally {
    let consumer: BaseConsumer = client(brokers)
        .set("group.id", "tally")
        .set("isolation.level", "read_committed")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .create()
        .expect("a reader");
    let metadata = consumer.fetch_metadata(Some(topic), Duration::from_secs(10)).expect("metadata");
    let partitions = metadata.topics()[0].partitions().len();
    let mut list = TopicPartitionList::new();
    for partition in 0..partitions {
        list.add_partition_offset(topic, partition as i32, Offset::Beginning).expect("an offset");
    }
    consumer.assign(&list).expect("assigned");
    let mut times: BTreeMap<u64, usize> = BTreeMap::new();
    let mut ended = std::collections::BTreeSet::new();
    let deadline = Instant::now() + Duration::from_secs(30);
    while ended.len() < partitions {
        assert!(Instant::now() < deadline, "an open transaction hides the end of {topic}");
        match consumer.poll(Duration::from_millis(200)) {
            Some(Ok(message)) => {
                let id = std::str::from_utf8(message.payload().unwrap_or_default()).unwrap_or("");
                *times.entry(id.parse().unwrap_or(u64::MAX)).or_default() += 1;
            }
            Some(Err(rdkafka::error::KafkaError::PartitionEOF(partition))) => {
                ended.insert(partition);
            }
            _ => {}
        }
    }
    let seen = times.values().sum();
    Tally {
        seen,
        lost: (0..fed).filter(|id| !times.contains_key(id)).count(),
        doubled: times.values().map(|n| n - 1).sum(),
    }
}

/// One worker over the log under test.
pub struct Copier {
    pub log: Box<KafkaLog>,
    pub metrics: Arc<Metrics>,
    pub health: Arc<WorkerHealth>,
    pub stop: Stop,
    pub output: Arc<str>,
}

impl Copier {
    pub fn open(settings: KafkaSettings) -> Result<Self, LogError> {
        let topics = settings.inputs.iter().map(ToString::to_string).collect();
        let labels = Labels { topics, ..Labels::default() };
        let metrics = Metrics::new(&labels, 1).expect("metrics");
        let (health, stop) = (WorkerHealth::new(), Stop::new());
        let output = Arc::clone(&settings.outputs[0]);
        let log =
            KafkaLog::new(settings, Arc::clone(&metrics), Arc::clone(&health), 0, stop.clone())?;
        Ok(Self { log: Box::new(log), metrics, health, stop, output })
    }

    pub fn copy_of(&self, record: &Record) -> Outgoing {
        Outgoing {
            cause: record.origin.clone(),
            topic: Arc::clone(&self.output),
            key: record.key.clone(),
            value: record.value.clone(),
            headers: record.headers.clone(),
            timestamp_ms: None,
        }
    }

    /// Waits for a batch with something in it.
    pub fn batch(&mut self, limit: Limit, within: Duration) -> Option<Batch> {
        let until = Instant::now() + within;
        while Instant::now() < until && !self.stop.requested() {
            let batch = self.log.next(limit).expect("next() fails for good reasons only");
            if !batch.is_empty() {
                return Some(batch);
            }
        }
        None
    }

    /// Copies until nothing came for `quiet`; what aborted, in order. `extra` may add outputs
    /// to a batch, given how often the worker has tried to commit.
    pub fn run(
        &mut self,
        limit: Limit,
        quiet: Duration,
        mut extra: impl FnMut(usize, &Batch) -> Option<Outgoing>,
    ) -> Vec<AbortReason> {
        let mut aborted = Vec::new();
        let mut tries = 0;
        while let Some(batch) = self.batch(limit, quiet) {
            let mut outputs: Vec<_> = batch.records.iter().map(|r| self.copy_of(r)).collect();
            outputs.extend(extra(tries, &batch));
            tries += 1;
            match self.log.commit(&batch.from, &batch.upto, outputs) {
                Ok(()) => {}
                Err(LogError::Aborted(reason)) => {
                    aborted.push(reason);
                    std::thread::sleep(Duration::from_millis(20));
                }
                Err(LogError::Fatal(why)) => panic!("{why}"),
            }
        }
        aborted
    }

    pub fn recreations(&self, reason: &str) -> u64 {
        self.metrics.producer_recreations.with_label_values(&[reason]).get()
    }

    pub fn close(self) {
        self.log.close(0);
    }
}
