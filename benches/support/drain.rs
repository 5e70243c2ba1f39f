//! A backlog, and how fast a program drains it.
#![allow(dead_code, reason = "each binary that includes this uses its own part of it")]

use crate::support::broker::{Kafka, NEWEST, Setup, client};
use crate::support::daemon::{Instance, Settings};
use crate::support::feed;
use crate::support::process::Process;
use crate::support::verify::Topics;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaErrorCode;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// The first argument that makes the bench's binary a copy.
pub const COPY: &str = "--copy";
pub const INPUT: &str = "backlog";

/// What every measurement of a backlog can be told.
#[derive(clap::Args)]
pub struct Common {
    /// Tickets of the backlog that each run drains.
    #[arg(long, default_value_t = 400_000)]
    pub tickets: u64,
    /// Runs of each kind, taking turns.
    #[arg(long, default_value_t = 3)]
    pub rounds: usize,
    #[arg(long, default_value = NEWEST)]
    pub kafka: String,
    /// Rewrite the table in benches/README.md.
    #[arg(long)]
    pub write: bool,
    /// Given by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
}

impl Common {
    /// A broker of the measurement's own; where there is none to be had, says why.
    pub fn start(&self) -> Option<Kafka> {
        Kafka::start(Setup::single(&self.kafka)).inspect_err(|why| eprintln!("{why}")).ok()
    }
}

pub struct Backlog {
    tickets: u64,
}

impl Backlog {
    /// Writes the backlog; `value` is the ticket of that number.
    pub fn fill(kafka: &Kafka, tickets: u64, value: impl Fn(u64) -> String) -> Self {
        kafka.create_topic(INPUT, feed::PARTITIONS, 1, &[]);
        let producer: ThreadedProducer<DefaultProducerContext> = client(&kafka.direct())
            .set("enable.idempotence", "true")
            .set("linger.ms", "20")
            .set("compression.type", "lz4")
            .create()
            .expect("a producer");
        for seq in 0..tickets {
            let (key, value) = (format!("INC{seq:08}"), value(seq));
            let mut record = BaseRecord::to(INPUT).key(&key).payload(&value);
            while let Err((error, again)) = producer.send(record) {
                let full = KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull);
                assert_eq!(error, full, "a ticket was refused");
                std::thread::sleep(Duration::from_millis(5));
                record = again;
            }
        }
        producer.flush(Duration::from_secs(120)).expect("the backlog is written");
        Self { tickets }
    }

    /// Tickets per second of the plain copy, with so many records a transaction.
    pub fn copy(&self, kafka: &Kafka, group: &str, workers: usize, records: usize) -> f64 {
        let [workers, records] = [workers, records].map(|n| n.to_string());
        self.drained(kafka, group, |output| {
            let mut command = Command::new(std::env::current_exe().expect("this binary"));
            command.args([COPY, &kafka.bootstrap(), group, &workers, &records, INPUT, output]);
            vec![command]
        })
    }

    /// Tickets per second of processes that share the work, given the topic that they write to.
    pub fn drained(
        &self,
        kafka: &Kafka,
        group: &str,
        processes: impl Fn(&str) -> Vec<Command>,
    ) -> f64 {
        let output = format!("{group}.copied");
        kafka.create_topic(&output, feed::PARTITIONS, 1, &SHORT_LIVED);
        let spawn = |mut command: Command| Process::spawn(&mut command).expect("it starts");
        let running: Vec<_> = processes(&output).into_iter().map(spawn).collect();
        let rate = self.rate(kafka, group);
        drop(running);
        rate
    }

    /// Tickets per second of the daemon, likewise.
    pub fn daemon(
        &self,
        kafka: &Kafka,
        program: &Path,
        group: &str,
        workers: usize,
        records: usize,
    ) -> f64 {
        let extra = format!("[batch]\nrecords = {records}");
        let mut daemon = self.start(kafka, program, group, "0", workers, &extra);
        let rate = self.rate(kafka, group);
        let ended = daemon.ended();
        assert!(ended.is_none(), "the daemon ended: {ended:?}\n{}", daemon.log());
        rate
    }

    /// The daemon under a name, with more lines of configuration.
    pub fn start(
        &self,
        kafka: &Kafka,
        program: &Path,
        group: &str,
        name: &str,
        workers: usize,
        extra: &str,
    ) -> Instance {
        let mut topics = Topics::named(&format!("{group}."));
        topics.input = INPUT.into();
        for topic in topics.outputs() {
            kafka.create_topic(topic, feed::PARTITIONS, 1, &SHORT_LIVED);
        }
        let brokers = kafka.bootstrap();
        let settings = Settings { brokers: &brokers, topics: &topics, group, name, workers, extra };
        let mut daemon = Instance::daemon(program, &settings);
        daemon.launch();
        daemon
    }

    /// From the first tenth to the last: neither the start nor the dwindling end counts.
    pub fn rate(&self, kafka: &Kafka, group: &str) -> f64 {
        let consumer: BaseConsumer =
            client(&kafka.direct()).set("group.id", group).create().expect("a consumer");
        let deadline = Instant::now() + Duration::from_secs(300);
        let mut first = None;
        loop {
            assert!(Instant::now() < deadline, "{group} does not drain the backlog");
            std::thread::sleep(Duration::from_millis(20));
            let now = (Instant::now(), committed(&consumer));
            if now.1 < self.tickets / 10 {
                continue;
            }
            let (since, start) = *first.get_or_insert(now);
            if now.1 >= self.tickets / 10 * 9 {
                return (now.1 - start) as f64 / (now.0 - since).as_secs_f64();
            }
        }
    }
}

/// Outputs of one run must not fill the disk while the next is measured.
const SHORT_LIVED: [(&str, &str); 2] =
    [("retention.bytes", "1048576"), ("segment.bytes", "67108864")];

/// Input records that the group has done with; unlike the outputs' ends they count no markers.
fn committed(consumer: &BaseConsumer) -> u64 {
    let mut all = TopicPartitionList::new();
    all.add_partition_range(INPUT, 0, feed::PARTITIONS - 1);
    let Ok(committed) = consumer.committed_offsets(all, Duration::from_secs(10)) else { return 0 };
    let offsets = committed.elements().into_iter().map(|element| match element.offset() {
        Offset::Offset(next) => next as u64,
        _ => 0,
    });
    offsets.sum()
}
