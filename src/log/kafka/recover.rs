//! After something went wrong: replace what is lost, find out from the broker what is committed,
//! and stand there.

use std::time::{Duration, Instant};

use rdkafka::error::KafkaResult;

use super::classify::Class;
use super::reader::Reader;
use super::wait::Backoff;
use super::writer::{Trouble, Writer};
use super::{KafkaLog, admin, unusable};
use crate::log::{AbortReason, Batch, LogError, Positions, watchdog};
use crate::metrics::RecreateReason;

/// So many producers lost for good within [`WITHIN`] end the process: something fights it.
const TOO_MANY: usize = 20;
const WITHIN: Duration = Duration::from_secs(60);
const DENIALS: u64 = 5;
const SAME_WARNING: Duration = Duration::from_secs(10);

impl KafkaLog {
    /// Replaces what must not be used again. `Aborted` says that the reader was moved, so an
    /// open batch is void.
    pub(super) fn prepare(&mut self) -> Result<(), LogError> {
        let stale = match &self.writer {
            Some(writer) => writer.stale(),
            None => Some(RecreateReason::Init),
        };
        if let Some(reason) = stale {
            self.recreate(reason)?;
            self.align();
        }
        if self.rebuild || self.reader.is_none() {
            self.rebuild_reader()?;
            return Err(LogError::Aborted(AbortReason::Unknown));
        }
        Ok(())
    }

    /// Ends the transaction of `batch` and rewinds. `Ok` says that the broker has the batch as
    /// committed after all.
    pub(super) fn recover(&mut self, batch: &Batch, trouble: Trouble) -> Result<(), LogError> {
        let reason = match trouble {
            Trouble::OutOfTime | Trouble::Abort(AbortReason::Shutdown) => {
                // Starting again under the same name ends the transaction; trying is polite.
                if let Some(writer) = &mut self.writer {
                    let _ = writer.abort(&self.patience);
                }
                return Err(LogError::Aborted(AbortReason::Shutdown));
            }
            Trouble::NotBegun(reason) => {
                self.rewind(&batch.starts());
                return Err(LogError::Aborted(reason));
            }
            Trouble::Abort(reason) => {
                let aborted = match &mut self.writer {
                    Some(writer) => writer.abort(&self.patience).map(|()| writer.stale()),
                    None => Err(Trouble::Recreate(reason)),
                };
                match aborted {
                    Ok(None) => {
                        self.rewind(&batch.starts());
                        return Err(LogError::Aborted(reason));
                    }
                    Ok(Some(stale)) => self.recreate(stale)?,
                    Err(Trouble::OutOfTime) => {
                        return Err(LogError::Aborted(AbortReason::Shutdown));
                    }
                    Err(Trouble::Recreate(AbortReason::Unknown)) => {
                        tracing::error!(
                            "Kafka knows of no transaction to abort: it may have been committed; \
                             the committed positions decide"
                        );
                        self.recreate(RecreateReason::Fatal)?;
                    }
                    Err(_) => self.recreate(RecreateReason::Fatal)?,
                }
                reason
            }
            Trouble::Recreate(reason) => {
                let why = if reason == AbortReason::Unknown {
                    RecreateReason::Indefinite
                } else {
                    RecreateReason::Fatal
                };
                self.recreate(why)?;
                reason
            }
        };
        self.take_committed(batch, reason)
    }

    /// The new producer has settled the transaction of `batch`; the broker says how.
    fn take_committed(&mut self, batch: &Batch, reason: AbortReason) -> Result<(), LogError> {
        let Some(reader) = &mut self.reader else { return Err(LogError::Aborted(reason)) };
        let Ok(committed) = reader.committed(batch.upto.keys()) else {
            self.rebuild = true;
            return Err(LogError::Aborted(reason));
        };
        if reader.holds(&batch.upto)
            && batch.upto.iter().all(|(partition, upto)| committed.get(partition) == Some(upto))
        {
            tracing::warn!(reason = reason.as_str(), "the batch turned out to be committed");
            reader.advance(&batch.upto);
            return Ok(());
        }
        // A partition without any commit is where this batch found it.
        let mut starts = batch.starts();
        for (partition, start) in &mut starts {
            if let Some(at) = committed.get(partition) {
                *start = *at;
            }
        }
        self.rewind(&starts);
        Err(LogError::Aborted(reason))
    }

    /// Compares our positions with the committed ones, which a late request may have moved. Where they
    /// differ, or cannot be had, a new consumer begins at the committed ones.
    fn align(&mut self) {
        let Some(reader) = &mut self.reader else { return };
        let expected = reader.positions();
        let Ok(committed) = reader.committed(expected.keys()) else {
            self.rebuild = true;
            return;
        };
        let moved = committed.iter().filter(|(partition, at)| expected.get(partition) != Some(at));
        let moved = moved.count();
        if moved > 0 {
            tracing::warn!(
                partitions = moved,
                "the committed positions are not where this worker left them; it goes on from there"
            );
            // Not a rewind of these alone: an open batch is void, and with it what it has of others.
            self.rebuild = true;
        }
    }

    fn rewind(&mut self, starts: &Positions) {
        let sought = self.reader.as_mut().map(|reader| reader.seek(starts));
        if let Some(Err(error)) = sought {
            // A new consumer begins at the committed positions, which is where we want to be.
            tracing::warn!(%error, "rewinding failed; a new consumer takes over");
            self.rebuild = true;
        }
    }

    fn rebuild_reader(&mut self) -> Result<(), LogError> {
        self.patience.health.turned();
        self.patience.health.unassigned();
        self.metrics.consumer_rebuilds.inc();
        let old = self.reader.take();
        watchdog::within(Duration::from_secs(30), "closing a Kafka consumer", 1, || drop(old));
        let open = || -> KafkaResult<Reader> {
            let reader = Reader::open(&self.settings, &self.metrics, &self.patience, self.worker)?;
            reader.subscribe()?;
            Ok(reader)
        };
        self.reader = Some(open().map_err(unusable)?);
        self.rebuild = false;
        Ok(())
    }

    /// A new producer under the same name: what the old one left open is ended, and its late
    /// requests are refused from now on.
    pub(super) fn recreate(&mut self, reason: RecreateReason) -> Result<(), LogError> {
        self.count(reason);
        tracing::info!(reason = reason.as_str(), "the producer is replaced");
        let old = self.writer.take();
        watchdog::within(Duration::from_secs(30), "closing a Kafka producer", 1, || drop(old));
        if reason == RecreateReason::Fatal {
            self.note_lost_producer()?;
        }
        // After a refused record the caller waits, and it takes many to find the poisonous one.
        if reason != RecreateReason::Refused {
            self.space_out()?;
        }
        self.open_writer()
    }

    /// Keeps a connection that breaks again and again from turning into a flood of producers.
    fn space_out(&mut self) -> Result<(), LogError> {
        if self.last_recreation.is_none_or(|at| at.elapsed() > Duration::from_secs(10)) {
            self.recreations.reset();
        } else if !self.patience.sleep(self.recreations.delay()) {
            return Err(LogError::Aborted(AbortReason::Shutdown));
        }
        self.last_recreation = Some(Instant::now());
        Ok(())
    }

    fn note_lost_producer(&mut self) -> Result<(), LogError> {
        self.lost_producers.push_back(Instant::now());
        while self.lost_producers.front().is_some_and(|at| at.elapsed() > WITHIN) {
            self.lost_producers.pop_front();
        }
        if self.lost_producers.len() < TOO_MANY {
            return Ok(());
        }
        Err(LogError::Fatal(format!(
            "the producer {} was fenced or failed {TOO_MANY} times within {} s; most likely \
             another process uses the same name: each worker needs one of its own",
            self.settings.name,
            WITHIN.as_secs()
        )))
    }

    /// Makes a producer and waits until it has taken over the transactional id.
    pub(super) fn open_writer(&mut self) -> Result<(), LogError> {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));
        let mut writer = Writer::create(&self.settings, &self.patience).map_err(unusable)?;
        let mut said: Option<Instant> = None;
        let mut denied = 0;
        loop {
            self.patience.health.turned();
            let (error, class) = match writer.init() {
                Ok(()) => {
                    self.patience.health.connected(true);
                    self.writer = Some(writer);
                    return Ok(());
                }
                Err(failed) => failed,
            };
            if said.is_none_or(|at| at.elapsed() > SAME_WARNING) {
                said = Some(Instant::now());
                tracing::warn!(
                    name = self.settings.name,
                    %error,
                    "waiting for Kafka's transaction coordinator"
                );
            }
            self.patience.health.connected(false);
            match class {
                Class::Retry => {}
                Class::Abort(reason) | Class::Recreate(reason) => {
                    if reason == AbortReason::Unauthorized {
                        denied += 1;
                    }
                    if let Some(hint) = hopeless(&error) {
                        return Err(LogError::Fatal(hint.into()));
                    }
                    self.count(RecreateReason::Init);
                    writer = Writer::create(&self.settings, &self.patience).map_err(unusable)?;
                }
            }
            if writer.authentications_failed() >= DENIALS {
                return Err(admin::denied(&self.settings.brokers, &error));
            }
            if denied >= DENIALS {
                return Err(LogError::Fatal(self.permissions()));
            }
            // Nothing is lost by leaving now: the next start settles what is open.
            if self.patience.stop.requested() || !self.patience.sleep(backoff.delay()) {
                return Err(LogError::Aborted(AbortReason::Shutdown));
            }
        }
    }
}

/// What no further try will mend.
fn hopeless(error: &rdkafka::error::KafkaError) -> Option<&'static str> {
    use rdkafka::error::RDKafkaErrorCode as Code;
    match error.rdkafka_error_code()? {
        Code::InvalidTransactionTimeout => Some(
            "the transaction time-out is longer than the brokers' transaction.max.timeout.ms allows",
        ),
        Code::UnsupportedFeature | Code::UnsupportedVersion => {
            Some("these brokers do not support transactions; Kafka 2.5 or newer is needed")
        }
        _ => None,
    }
}
