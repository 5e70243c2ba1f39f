//! What librdkafka calls back. Callbacks note facts and do nothing else: those of the consumer
//! run inside `poll` on the worker's thread, those of the producer on its polling thread.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::Thread;
use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::producer::{DeliveryResult, ProducerContext};

use super::classify;
use super::lag::{self, PartitionEnd};
use super::often::Recent;
use crate::health::WorkerHealth;
use crate::log::TopicPartition;
use crate::metrics::Metrics;
use crate::sync::lock;

/// So many refusals while a service starts will not mend themselves: most likely its credentials are
/// wrong.
pub(super) const REFUSALS_AT_START: usize = 5;
/// The same at work, where they were right before: brokers that start may refuse for a while.
pub(super) const REFUSALS_AT_WORK: usize = 10;
/// How long a refusal counts. librdkafka tells the same one of the same broker every 30 s at most.
const REFUSALS_WITHIN: Duration = Duration::from_secs(600);

/// librdkafka's own log, at levels that say whether a person needs to act. It names brokers and
/// requests, never what records contain.
pub(super) fn forward_log(level: RDKafkaLogLevel, fac: &str, message: &str) {
    use RDKafkaLogLevel as L;
    match level {
        // Properties for producers are given to consumers too, and the other way round.
        _ if fac == "CONFWARN" => tracing::debug!(target: "librdkafka", fac, "{message}"),
        L::Emerg | L::Alert | L::Critical | L::Error => {
            tracing::warn!(target: "librdkafka", fac, "{message}");
        }
        L::Warning | L::Notice => tracing::info!(target: "librdkafka", fac, "{message}"),
        L::Info => tracing::debug!(target: "librdkafka", fac, "{message}"),
        L::Debug => tracing::trace!(target: "librdkafka", fac, "{message}"),
    }
}

/// What an error of a client as a whole means for the worker's health.
fn note_error(
    client: &str,
    health: &WorkerHealth,
    refusals: &Mutex<Recent>,
    error: &KafkaError,
    reason: &str,
) {
    match error.rdkafka_error_code() {
        Some(Code::AllBrokersDown) => health.connected(false),
        Some(code) if classify::is_unauthorized(code) => lock(refusals).note(),
        _ => {}
    }
    tracing::debug!(target: "librdkafka", "{client}: {error}: {reason}");
}

/// The first output of a transaction that could not be delivered for a reason of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FailedDelivery {
    /// Its place in the list of outputs.
    pub index: usize,
    pub code: Code,
}

/// What the producer reports: deliveries, and every sign of a broken connection.
pub(super) struct ProducerEvents {
    health: Arc<WorkerHealth>,
    handled: AtomicU64,
    wanted: AtomicU64,
    disconnects: AtomicU64,
    refusals: Mutex<Recent>,
    failed: Mutex<Option<FailedDelivery>>,
    purged: AtomicU64,
    waiter: Mutex<Option<Thread>>,
}

impl ProducerEvents {
    pub fn new(health: Arc<WorkerHealth>) -> Self {
        Self {
            health,
            handled: AtomicU64::new(0),
            wanted: AtomicU64::new(0),
            disconnects: AtomicU64::new(0),
            refusals: Mutex::new(Recent::new(REFUSALS_WITHIN)),
            failed: Mutex::default(),
            purged: AtomicU64::new(0),
            waiter: Mutex::default(),
        }
    }

    /// Deliveries reported so far, good or bad.
    pub fn handled(&self) -> u64 {
        self.handled.load(Ordering::Acquire)
    }

    /// Have this thread unparked once `wanted` deliveries were reported, or one failed.
    pub fn wake_at(&self, wanted: u64) {
        *lock(&self.waiter) = Some(std::thread::current());
        self.wanted.store(wanted, Ordering::Release);
    }

    /// Signs of a broken connection so far: a request may still be on its way on the old one.
    pub fn disconnects(&self) -> u64 {
        self.disconnects.load(Ordering::Acquire)
    }

    /// How often Kafka refused this client lately.
    pub fn refusals(&self) -> usize {
        lock(&self.refusals).count()
    }

    /// Forgets the failures of the last transaction.
    pub fn begin(&self) {
        *lock(&self.failed) = None;
        self.purged.store(0, Ordering::Release);
    }

    pub fn failed(&self) -> Option<FailedDelivery> {
        *lock(&self.failed)
    }

    /// Whether outputs were thrown out of the queue.
    pub fn purged(&self) -> bool {
        self.purged.load(Ordering::Acquire) > 0
    }
}

impl ClientContext for ProducerEvents {
    fn log(&self, level: RDKafkaLogLevel, fac: &str, message: &str) {
        // The error callback is silent about a connection that breaks and comes back, and the
        // call that was under way says Ok: the log is the only place that tells.
        if matches!(fac, "FAIL" | "REQTMOUT") {
            self.disconnects.fetch_add(1, Ordering::AcqRel);
        }
        forward_log(level, fac, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        note_error("producer", &self.health, &self.refusals, &error, reason);
    }

    fn stats_raw(&self, _: &[u8]) {}
}

impl ProducerContext for ProducerEvents {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, index: usize) {
        let mut wake = false;
        if let Err((error, _)) = result {
            let code = error.rdkafka_error_code().unwrap_or(Code::Fail);
            if classify::is_purged(code) {
                self.purged.fetch_add(1, Ordering::AcqRel);
            } else {
                lock(&self.failed).get_or_insert(FailedDelivery { index, code });
                wake = true;
            }
        }
        let handled = self.handled.fetch_add(1, Ordering::AcqRel) + 1;
        wake |= handled >= self.wanted.load(Ordering::Acquire);
        if wake && let Some(thread) = lock(&self.waiter).as_ref() {
            thread.unpark();
        }
    }
}

/// What the consumer reports: who owns what, how long the partitions are, is anybody there.
pub(super) struct ConsumerEvents {
    epoch: AtomicU64,
    refusals: Mutex<Recent>,
    noted: Mutex<Noted>,
    metrics: Arc<Metrics>,
    health: Arc<WorkerHealth>,
}

#[derive(Default)]
struct Noted {
    owned: BTreeSet<TopicPartition>,
    revoked: BTreeSet<TopicPartition>,
    lost: bool,
    ends: Option<Vec<PartitionEnd>>,
}

/// Partitions that left this worker since it last asked.
#[derive(Debug, Default)]
pub(super) struct Departed {
    pub partitions: BTreeSet<TopicPartition>,
    /// They were taken away instead of asked back: the assignment is unknown for now.
    pub lost: bool,
}

impl ConsumerEvents {
    pub fn new(metrics: Arc<Metrics>, health: Arc<WorkerHealth>) -> Self {
        Self {
            epoch: AtomicU64::new(0),
            refusals: Mutex::new(Recent::new(REFUSALS_WITHIN)),
            noted: Mutex::default(),
            metrics,
            health,
        }
    }

    /// Counts rebalance events; a batch must not span one.
    pub fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    pub fn owns(&self, partition: &TopicPartition) -> bool {
        lock(&self.noted).owned.contains(partition)
    }

    pub fn owned(&self) -> BTreeSet<TopicPartition> {
        lock(&self.noted).owned.clone()
    }

    pub fn take_departed(&self) -> Departed {
        let mut noted = lock(&self.noted);
        Departed {
            partitions: std::mem::take(&mut noted.revoked),
            lost: std::mem::take(&mut noted.lost),
        }
    }

    /// The ends of the partitions, if there are newer ones than last time.
    pub fn take_ends(&self) -> Option<Vec<PartitionEnd>> {
        lock(&self.noted).ends.take()
    }

    /// How often Kafka refused this client lately.
    pub fn refusals(&self) -> usize {
        lock(&self.refusals).count()
    }

    /// Kafka let this client read: earlier refusals have passed.
    pub fn accepted(&self) {
        lock(&self.refusals).clear();
    }
}

fn partitions(list: &TopicPartitionList) -> impl Iterator<Item = TopicPartition> {
    list.elements()
        .into_iter()
        .map(|e| TopicPartition { topic: e.topic().into(), partition: e.partition() })
        .collect::<Vec<_>>()
        .into_iter()
}

impl ClientContext for ConsumerEvents {
    fn log(&self, level: RDKafkaLogLevel, fac: &str, message: &str) {
        forward_log(level, fac, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        note_error("consumer", &self.health, &self.refusals, &error, reason);
    }

    fn stats_raw(&self, statistics: &[u8]) {
        if let Some(seen) = lag::read(statistics) {
            self.health.connected(seen.connected);
            lock(&self.noted).ends = Some(seen.ends);
        }
    }
}

impl ConsumerContext for ConsumerEvents {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let kind = match rebalance {
            Rebalance::Assign(list) => {
                lock(&self.noted).owned.extend(partitions(list));
                "assigned"
            }
            Rebalance::Revoke(list) => {
                let lost = consumer.assignment_lost();
                let mut noted = lock(&self.noted);
                for partition in partitions(list) {
                    noted.owned.remove(&partition);
                    noted.revoked.insert(partition);
                }
                noted.lost |= lost;
                if lost { "lost" } else { "revoked" }
            }
            Rebalance::Error(_) => return,
        };
        self.epoch.fetch_add(1, Ordering::AcqRel);
        self.metrics.rebalances.with_label_values(&[kind]).inc();
    }
}
