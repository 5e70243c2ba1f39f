//! The transactional producer: one transaction at a time, every call in slices.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode as Code};
use rdkafka::producer::{BaseRecord, Producer, ThreadedProducer};

use super::classify::{self, Call, Class, Failure, classify};
use super::context::ProducerEvents;
use super::record::headers;
use super::settings::{KafkaSettings, RECONNECT_MS};
use super::wait::{Backoff, Patience};
use crate::health::Stop;
use crate::log::{AbortReason, Outgoing};
use crate::metrics::RecreateReason;

/// How long one call may block before the worker shows signs of life.
const SLICE: Duration = Duration::from_secs(3);
/// The same once a stop was requested, whose grace must not be exceeded by much.
const SHORT_SLICE: Duration = Duration::from_millis(500);
/// How long a call is repeated before its outcome is left to the broker.
const PATIENCE: Duration = Duration::from_secs(60);
/// What comes on top of librdkafka's own time-out of a delivery before its report counts as lost.
const MARGIN: Duration = Duration::from_secs(10);
/// A report comes a moment before its record's place in the queue is free.
const ROOM: Duration = Duration::from_millis(1);

/// What stopped a transaction.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Nothing was begun.
    NotBegun(AbortReason),
    /// The transaction is open and must be aborted.
    Abort(AbortReason),
    /// The producer is done for; how the transaction ended only the broker knows.
    Recreate(AbortReason),
    /// The grace of a stop is over; whatever is open is ended by the next start.
    OutOfTime,
}

pub(super) struct Writer {
    producer: ThreadedProducer<ProducerEvents>,
    sent: u64,
    /// Disconnects that had been seen when the producer became ready.
    baseline: u64,
    /// A call had to be repeated: its first request may still be on its way.
    indefinite: bool,
    watch_disconnects: bool,
    /// How long a delivery report may take at most.
    report_within: Duration,
    stop: Stop,
}

impl Writer {
    pub fn create(settings: &KafkaSettings, patience: &Patience) -> KafkaResult<Self> {
        let producer = settings
            .producer()
            .create_with_context(ProducerEvents::new(Arc::clone(&patience.health)))?;
        // librdkafka gives a delivery up when the transaction's time is over, and reports that.
        let timeout = Duration::from_millis(settings.transaction_timeout_ms.into());
        Ok(Self {
            producer,
            sent: 0,
            baseline: 0,
            indefinite: false,
            watch_disconnects: settings.defences.disconnects,
            report_within: timeout + MARGIN,
            stop: patience.stop.clone(),
        })
    }

    /// One try to take over the transactional id, which ends whatever was open under it.
    pub fn init(&mut self) -> Result<(), (KafkaError, Class)> {
        match self.producer.init_transactions(slice(&self.stop)) {
            Ok(()) => {
                self.baseline = self.events().disconnects();
                Ok(())
            }
            Err(error) => {
                let class = classify(Call::Init, Failure::of(&error));
                Err((error, class))
            }
        }
    }

    fn events(&self) -> &ProducerEvents {
        self.producer.context()
    }

    /// How often Kafka refused this producer lately.
    pub fn refusals(&self) -> usize {
        self.events().refusals()
    }

    /// Why this producer must not begin another transaction, if so. A request of an earlier
    /// transaction that was cut off and repeated may reach the broker late, in the middle of the
    /// next one, and commit or abort that. A new producer's epoch shuts it out. It also numbers
    /// its records from zero: after one that the broker refused, the old numbers have a gap.
    pub fn stale(&self) -> Option<RecreateReason> {
        if self.events().failed().is_some() {
            Some(RecreateReason::Refused)
        } else if !self.watch_disconnects {
            None
        } else if self.indefinite {
            Some(RecreateReason::Indefinite)
        } else if self.events().disconnects() != self.baseline {
            Some(RecreateReason::Disconnect)
        } else {
            None
        }
    }

    pub fn begin(&mut self) -> Result<(), Trouble> {
        // Late reports of an earlier transaction would be taken for this one's.
        if self.events().handled() != self.sent {
            return Err(Trouble::Recreate(AbortReason::Delivery));
        }
        self.events().begin();
        self.producer.begin_transaction().map_err(|error| {
            tracing::warn!(%error, "a transaction could not begin");
            match classify(Call::Begin, Failure::of(&error)) {
                Class::Retry => Trouble::NotBegun(AbortReason::Commit),
                Class::Abort(reason) => Trouble::Abort(reason),
                Class::Recreate(reason) => Trouble::Recreate(reason),
            }
        })
    }

    /// Sends all outputs and waits until each was reported. Every refusal counts: librdkafka
    /// commits a transaction without the records that its full queue refused.
    pub fn send_all(&mut self, outputs: &[Outgoing], patience: &Patience) -> Result<(), Trouble> {
        for (index, output) in outputs.iter().enumerate() {
            let until = Instant::now() + self.report_within;
            loop {
                match self.send(index, output) {
                    Ok(()) => break,
                    Err(Code::QueueFull) if Instant::now() < until => {
                        // All may have been reported meanwhile: then no other will be.
                        let wanted = self.sent.min(self.events().handled() + 1);
                        self.wait_for(wanted, outputs, patience)?;
                        if !patience.sleep(ROOM) {
                            return Err(Trouble::Abort(AbortReason::Shutdown));
                        }
                    }
                    Err(code) => return Err(refused(code, Some(output))),
                }
            }
        }
        self.wait_for(self.sent, outputs, patience)?;
        if self.events().purged() {
            return Err(Trouble::Abort(AbortReason::Delivery));
        }
        Ok(())
    }

    fn send(&mut self, index: usize, output: &Outgoing) -> Result<(), Code> {
        let mut record = BaseRecord::<[u8], [u8], usize>::with_opaque_to(&output.topic, index);
        record.key = output.key.as_deref();
        record.payload = output.value.as_deref();
        record.timestamp = output.timestamp_ms;
        record.headers = headers(&output.headers);
        match self.producer.send(record) {
            Ok(()) => {
                self.sent += 1;
                Ok(())
            }
            Err((error, _)) => Err(error.rdkafka_error_code().unwrap_or(Code::InvalidArgument)),
        }
    }

    /// Waits until so many deliveries were reported. The first failure ends it: after one, the
    /// others may hang until their time-out. What librdkafka gives up it reports as well, so the
    /// deadline is only for a report that never comes.
    fn wait_for(
        &self,
        wanted: u64,
        outputs: &[Outgoing],
        patience: &Patience,
    ) -> Result<(), Trouble> {
        let events = self.events();
        let until = Instant::now() + self.report_within;
        events.wake_at(wanted);
        loop {
            if let Some(failed) = events.failed() {
                return Err(refused(failed.code, outputs.get(failed.index)));
            }
            let handled = events.handled();
            if handled >= wanted {
                return Ok(());
            }
            if Instant::now() >= until {
                let missing = self.sent.saturating_sub(handled);
                tracing::warn!(missing, "deliveries were not reported; the batch is aborted");
                return Err(Trouble::Abort(AbortReason::Delivery));
            }
            patience.health.turned();
            if patience.stop.overdue() {
                return Err(Trouble::Abort(AbortReason::Shutdown));
            }
            thread::park_timeout(Duration::from_millis(100));
        }
    }

    pub fn send_offsets(
        &mut self,
        offsets: &TopicPartitionList,
        group: &ConsumerGroupMetadata,
        patience: &Patience,
    ) -> Result<(), Trouble> {
        self.in_slices(Call::Offsets, patience, |producer, slice| {
            producer.send_offsets_to_transaction(offsets, group, slice)
        })
    }

    pub fn commit(&mut self, patience: &Patience) -> Result<(), Trouble> {
        self.in_slices(Call::Commit, patience, Producer::commit_transaction)
    }

    /// Aborts what is open. [`Trouble::Recreate`] with [`AbortReason::Unknown`] says that the
    /// broker did not know of an open transaction: it may well have been committed.
    pub fn abort(&mut self, patience: &Patience) -> Result<(), Trouble> {
        self.in_slices(Call::Abort, patience, Producer::abort_transaction)
    }

    fn in_slices(
        &mut self,
        call: Call,
        patience: &Patience,
        mut attempt: impl FnMut(&ThreadedProducer<ProducerEvents>, Duration) -> KafkaResult<()>,
    ) -> Result<(), Trouble> {
        let start = Instant::now();
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(1));
        loop {
            patience.health.turned();
            let error = match attempt(&self.producer, slice(&self.stop)) {
                Ok(()) => {
                    self.settle(start.elapsed());
                    return Ok(());
                }
                Err(error) => error,
            };
            match classify(call, Failure::of(&error)) {
                Class::Abort(reason) => {
                    tracing::warn!(?call, %error, "the transaction must be aborted");
                    return Err(Trouble::Abort(reason));
                }
                Class::Recreate(reason) => {
                    tracing::warn!(?call, %error, "the producer is lost");
                    return Err(Trouble::Recreate(reason));
                }
                Class::Retry => {
                    tracing::debug!(?call, %error, "trying again");
                    self.indefinite = true;
                }
            }
            if start.elapsed() > PATIENCE {
                tracing::warn!(?call, %error, "given up; the broker decides how it ended");
                return Err(match call {
                    Call::Offsets => Trouble::Abort(AbortReason::Offsets),
                    _ => Trouble::Recreate(AbortReason::Unknown),
                });
            }
            if !patience.sleep(backoff.delay()) {
                return Err(match call {
                    Call::Offsets => Trouble::Abort(AbortReason::Shutdown),
                    _ => Trouble::OutOfTime,
                });
            }
        }
    }

    /// Lets the news of a broken connection arrive. They come through a queue that another
    /// thread serves, so a call that was repeated inside may return before they are counted. Such
    /// a call took at least as long as connecting again does; only then is it worth a pause.
    fn settle(&self, took: Duration) {
        if self.watch_disconnects && took >= Duration::from_millis(RECONNECT_MS / 2) {
            for _ in 0..8 {
                thread::sleep(Duration::from_millis(1));
                self.producer.poll(Duration::ZERO);
            }
        }
    }
}

/// How long one call may block now.
fn slice(stop: &Stop) -> Duration {
    if stop.requested() { SHORT_SLICE } else { SLICE }
}

/// A refused output, told with where it came from and not with what it says.
fn refused(code: Code, output: Option<&Outgoing>) -> Trouble {
    let reason = classify::delivery(code);
    if let Some(output) = output {
        tracing::warn!(
            cause = %output.cause,
            topic = %output.topic,
            bytes = output.value.as_ref().map_or(0, Vec::len),
            error = %code,
            "an output was not accepted"
        );
    }
    Trouble::Abort(reason)
}

#[cfg(test)]
mod tests {
    use rdkafka::mocking::MockCluster;

    use super::*;
    use crate::health::WorkerHealth;
    use crate::log::Origin;

    fn patience() -> Patience {
        Patience { health: WorkerHealth::new(), stop: Stop::new() }
    }

    /// A producer whose brokers do not answer.
    fn alone(patience: &Patience) -> Writer {
        let settings = KafkaSettings::new("127.0.0.1:1", "g", "n");
        Writer::create(&settings, patience).unwrap()
    }

    fn output(bytes: usize) -> Outgoing {
        Outgoing {
            cause: Origin { topic: "in".into(), partition: 0, offset: 0 },
            topic: "out".into(),
            key: None,
            value: Some(vec![b'x'; bytes]),
            headers: Vec::new(),
            timestamp_ms: None,
        }
    }

    #[test]
    fn a_report_that_does_not_come_ends_the_wait() {
        let patience = patience();
        let mut writer = alone(&patience);
        assert_eq!(writer.report_within, Duration::from_secs(15) + MARGIN);
        writer.report_within = Duration::from_millis(20);
        writer.sent = 1;
        let waited = writer.wait_for(1, &[], &patience);
        assert_eq!(waited, Err(Trouble::Abort(AbortReason::Delivery)));
    }

    #[test]
    fn calls_are_short_once_a_stop_was_requested() {
        let patience = patience();
        let mut writer = alone(&patience);
        patience.stop.request(Duration::from_secs(60));
        let begun = Instant::now();
        assert!(writer.init().is_err());
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    }

    #[test]
    fn a_full_queue_is_waited_for_but_not_where_a_record_never_fits() {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("out", 1, 1).unwrap();
        let settings = KafkaSettings::new(cluster.bootstrap_servers(), "g", "n");
        let mut config = settings.producer();
        config.set("queue.buffering.max.kbytes", "1").set("queue.buffering.max.messages", "1");
        let patience = patience();
        let mut writer = Writer::create(&settings, &patience).unwrap();
        let events = ProducerEvents::new(Arc::clone(&patience.health));
        writer.producer = config.create_with_context(events).unwrap();
        let until = Instant::now() + Duration::from_secs(30);
        while writer.init().is_err() {
            assert!(Instant::now() < until, "the mock cluster does not answer");
        }
        writer.begin().unwrap();
        let small: Vec<_> = (0..30).map(|_| output(100)).collect();
        assert_eq!(writer.send_all(&small, &patience), Ok(()));
        writer.report_within = Duration::from_millis(100);
        let large = writer.send_all(&[output(5000)], &patience);
        assert_eq!(large, Err(Trouble::Abort(AbortReason::Delivery)));
    }
}
