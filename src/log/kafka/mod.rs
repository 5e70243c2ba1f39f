//! The log on Kafka: the only place that names rdkafka.
//!
//! A batch and its positions are committed in one transaction. A plain consume-transform-produce
//! loop keeps that promise through crashes of either side, and breaks it silently in two ways:
//!
//! * *A late request.* The connection breaks while a transaction ends, librdkafka repeats the
//!   request on a new connection and says Ok, and the first request reaches the broker later, in
//!   the middle of the next transaction, which it commits or aborts. So a producer that saw a
//!   connection break, or that had to repeat a call, is replaced before its next transaction:
//!   the new one's epoch shuts the old request out (`writer`, `recover`).
//! * *A rebalance within a batch.* Records are polled, their partition is given away by a later
//!   poll, and the commit carries the new generation, so the broker accepts positions that are
//!   not ours any more. So records of revoked partitions are dropped after each poll (`reader`).
//!
//! One thread a worker; no transactional call within a callback; every wait in slices that show
//! signs of life. What leaves [`Log::commit`] as `Aborted` is rewound; how long to wait before the
//! next attempt is the caller's to say.

mod admin;
mod classify;
mod context;
mod coverage;
mod follow;
mod lag;
mod often;
mod reader;
mod record;
mod recover;
mod retention;
mod settings;
pub mod tool;
mod wait;
mod writer;

use std::sync::Arc;
use std::time::{Duration, Instant};

use self::coverage::Coverage;
pub use self::follow::{KafkaFollow, check_one_partition};
use self::often::Recent;
use self::reader::{Broken, Reader};
pub use self::retention::{Keeps, RetentionError, check_retention};
pub use self::settings::{Defences, KafkaSettings, refused_property};
use self::wait::{Backoff, Patience};
use self::writer::{Trouble, Writer};
use super::{AbortReason, Batch, Limit, Log, LogError, Outgoing, Positions, watchdog};
use crate::health::{Stop, WorkerHealth};
use crate::metrics::{Metrics, RecreateReason};

/// One worker's log on Kafka.
pub struct KafkaLog {
    settings: KafkaSettings,
    metrics: Arc<Metrics>,
    patience: Patience,
    worker: usize,
    /// Absent only while a new one is made.
    reader: Option<Reader>,
    writer: Option<Writer>,
    /// The consumer is to be replaced before it is used again.
    rebuild: bool,
    /// Producers that were lost for good and consumers whose name another one took, to see a worker
    /// that fights another one.
    lost: Recent,
    recreations: Backoff,
    last_recreation: Option<Instant>,
    coverage: Coverage,
}

impl KafkaLog {
    /// Connects, checks that all topics exist and takes over the worker's name. Waits for
    /// brokers that cannot be reached until `stop` is requested.
    ///
    /// # Errors
    /// [`LogError::Fatal`] for what waiting will not mend: a refused property, missing topics,
    /// refused credentials. [`LogError::Aborted`] if `stop` came first.
    pub fn new(
        settings: KafkaSettings,
        metrics: Arc<Metrics>,
        health: Arc<WorkerHealth>,
        worker: usize,
        stop: Stop,
    ) -> Result<Self, LogError> {
        let problems = settings.problems();
        if !problems.is_empty() {
            return Err(LogError::Fatal(problems.join("; ")));
        }
        let patience = Patience { health, stop };
        let reader = Reader::open(&settings, &metrics, &patience, worker).map_err(unusable)?;
        let topics: Vec<_> =
            settings.inputs.iter().chain(&settings.outputs).map(Arc::clone).collect();
        admin::wait_for_topics(reader.consumer(), &settings.brokers, &topics, &patience)?;
        let mut log = Self {
            settings,
            metrics,
            patience,
            worker,
            reader: None,
            writer: None,
            rebuild: false,
            lost: Recent::new(recover::WITHIN),
            recreations: Backoff::new(Duration::from_millis(20), Duration::from_secs(2)),
            last_recreation: None,
            coverage: Coverage::new(),
        };
        // Before the group assigns anything: taking over the name ends an old transaction, whose
        // positions would otherwise be waited for.
        log.open_writer()?;
        reader.subscribe().map_err(unusable)?;
        log.reader = Some(reader);
        tracing::info!(
            name = log.settings.name,
            group = log.settings.group,
            inputs = log.settings.inputs.join(", "),
            "connected to Kafka"
        );
        Ok(log)
    }

    fn attempt(&mut self, upto: &Positions, outputs: &[Outgoing]) -> Result<(), Trouble> {
        let (Some(reader), Some(writer)) = (&self.reader, &mut self.writer) else {
            return Err(Trouble::NotBegun(AbortReason::Unknown));
        };
        let guarded = self.settings.defences.rebalances;
        if guarded && !reader.holds(upto) {
            return Err(Trouble::NotBegun(AbortReason::Rebalance));
        }
        let positions = reader::list(upto).map_err(|_| Trouble::NotBegun(AbortReason::Offsets))?;
        writer.begin()?;
        writer.send_all(outputs, &self.patience)?;
        if guarded && !reader.holds(upto) {
            return Err(Trouble::Abort(AbortReason::Rebalance));
        }
        let group = reader.group().ok_or(Trouble::Abort(AbortReason::Offsets))?;
        writer.send_offsets(&positions, &group, &self.patience)?;
        writer.commit(&self.patience)
    }
}

impl Log for KafkaLog {
    fn next(&mut self, limit: Limit) -> Result<Batch, LogError> {
        loop {
            if self.patience.stop.requested() {
                return Ok(Batch::default());
            }
            match self.prepare() {
                // Whatever it was, the reader now stands where the broker says.
                Ok(()) | Err(LogError::Aborted(_)) => {}
                Err(fatal) => return Err(fatal),
            }
            let Some(reader) = &mut self.reader else { continue };
            self.coverage.look(reader.consumer(), &self.settings, &self.metrics);
            match reader.next(limit) {
                Ok(batch) => return Ok(batch),
                Err(Broken::Rebuild(error)) => self.lose_reader(&error),
                Err(Broken::Fenced(error)) => {
                    self.note_lost()?;
                    self.lose_reader(&error);
                }
                Err(Broken::Denied(error)) => {
                    return Err(admin::denied(&self.settings.brokers, &error));
                }
            }
        }
    }

    fn commit(
        &mut self,
        from: &Positions,
        upto: &Positions,
        outputs: Vec<Outgoing>,
    ) -> Result<(), LogError> {
        self.prepare()?;
        let result = match self.attempt(upto, &outputs) {
            Ok(()) => {
                if let Some(reader) = &mut self.reader {
                    reader.advance(upto);
                }
                Ok(())
            }
            Err(trouble) => self.recover(from, upto, trouble),
        };
        match &result {
            Ok(()) => self.patience.health.connected(true),
            Err(LogError::Aborted(reason)) => {
                tracing::debug!(reason = reason.as_str(), "the batch was aborted");
            }
            Err(LogError::Fatal(_)) => {}
        }
        result
    }

    fn close(mut self: Box<Self>, exit_code: i32) {
        // Nothing is open: what was committed is committed, so hanging here must not keep a
        // restart waiting.
        watchdog::within(Duration::from_secs(5), "closing the Kafka clients", exit_code, || {
            self.coverage.leave();
            self.reader = None;
            self.writer = None;
        });
    }
}

impl KafkaLog {
    fn permissions(&self) -> String {
        format!(
            "Kafka does not authorise this service: it needs Write and Describe on the topics {}, \
             Write and Describe on the transactional id {}, Read on the group {} and on the \
             topics {}",
            self.settings.outputs.join(", "),
            self.settings.name,
            self.settings.group,
            self.settings.inputs.join(", ")
        )
    }

    fn count(&self, reason: RecreateReason) {
        self.metrics.producer_recreations.with_label_values(&[reason.as_str()]).inc();
    }
}

fn unusable(error: rdkafka::error::KafkaError) -> LogError {
    LogError::Fatal(format!("Kafka's client library does not accept the configuration: {error}"))
}
