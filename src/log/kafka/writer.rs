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
use crate::log::{AbortReason, Outgoing};
use crate::metrics::RecreateReason;

/// How long one call may block before the worker shows signs of life.
const SLICE: Duration = Duration::from_secs(3);
/// How long a call is repeated before its outcome is left to the broker.
const PATIENCE: Duration = Duration::from_secs(60);

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
}

impl Writer {
    pub fn create(settings: &KafkaSettings, patience: &Patience) -> KafkaResult<Self> {
        let producer = settings
            .producer()
            .create_with_context(ProducerEvents::new(Arc::clone(&patience.health)))?;
        Ok(Self {
            producer,
            sent: 0,
            baseline: 0,
            indefinite: false,
            watch_disconnects: settings.defences.disconnects,
        })
    }

    /// One try to take over the transactional id, which ends whatever was open under it.
    pub fn init(&mut self) -> Result<(), (KafkaError, Class)> {
        match self.producer.init_transactions(SLICE) {
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

    pub fn authentications_failed(&self) -> u64 {
        self.events().authentications_failed()
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
            loop {
                match self.send(index, output) {
                    Ok(()) => break,
                    Err(Code::QueueFull) => {
                        let wanted = self.events().handled() + 1;
                        self.wait_for(wanted, outputs, patience)?;
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
    /// others may hang until their time-out.
    fn wait_for(
        &self,
        wanted: u64,
        outputs: &[Outgoing],
        patience: &Patience,
    ) -> Result<(), Trouble> {
        let events = self.events();
        events.wake_at(wanted);
        loop {
            if let Some(failed) = events.failed() {
                return Err(refused(failed.code, outputs.get(failed.index)));
            }
            if events.handled() >= wanted {
                return Ok(());
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
            let error = match attempt(&self.producer, SLICE) {
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
