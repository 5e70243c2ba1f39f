//! After something went wrong: replace what is lost, find out from the broker what is committed,
//! and stand there.

use std::time::{Duration, Instant};

use rdkafka::error::KafkaResult;

use super::classify::Class;
use super::context::{REFUSALS_AT_START, REFUSALS_AT_WORK};
use super::often::{Recent, Seldom};
use super::reader::Reader;
use super::wait::Backoff;
use super::writer::{Trouble, Writer};
use super::{KafkaLog, admin, unusable};
use crate::log::{AbortReason, LogError, Positions, watchdog};
use crate::metrics::RecreateReason;

/// So many clients lost for good within [`WITHIN`] end the process: something fights it.
const TOO_MANY: usize = 20;
pub(super) const WITHIN: Duration = Duration::from_secs(60);

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

    /// Ends the transaction that was to lead from `from` to `upto` and rewinds. `Ok` says that the
    /// broker has it as committed after all.
    pub(super) fn recover(
        &mut self,
        from: &Positions,
        upto: &Positions,
        trouble: Trouble,
    ) -> Result<(), LogError> {
        let reason = match trouble {
            Trouble::OutOfTime | Trouble::Abort(AbortReason::Shutdown) => {
                // Starting again under the same name ends the transaction; trying is polite.
                if let Some(writer) = &mut self.writer {
                    let _ = writer.abort(&self.patience);
                }
                return Err(LogError::Aborted(AbortReason::Shutdown));
            }
            Trouble::NotBegun(reason) => {
                self.rewind(from);
                return Err(LogError::Aborted(reason));
            }
            Trouble::Abort(reason) => {
                let aborted = match &mut self.writer {
                    Some(writer) => writer.abort(&self.patience).map(|()| writer.stale()),
                    None => Err(Trouble::Recreate(reason)),
                };
                match aborted {
                    Ok(None) => {
                        self.rewind(from);
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
        self.take_committed(from, upto, reason)
    }

    /// The new producer has settled the transaction; the broker says how.
    fn take_committed(
        &mut self,
        from: &Positions,
        upto: &Positions,
        reason: AbortReason,
    ) -> Result<(), LogError> {
        let Some(reader) = &mut self.reader else { return Err(LogError::Aborted(reason)) };
        let Ok(committed) = reader.committed(upto.keys()) else {
            self.rebuild = true;
            return Err(LogError::Aborted(reason));
        };
        if reader.holds(upto) && went_through(from, upto, &committed) {
            tracing::warn!(reason = reason.as_str(), "the batch turned out to be committed");
            reader.advance(upto);
            return Ok(());
        }
        reader.stand_at(&committed);
        // A partition without any commit is where this batch found it.
        let mut starts = from.clone();
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

    /// Has the consumer replaced before it is used again.
    pub(super) fn lose_reader(&mut self, error: &str) {
        tracing::warn!(error, "the consumer is lost; a new one takes its place");
        self.rebuild = true;
        self.patience.sleep(Duration::from_secs(1));
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
            self.note_lost()?;
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

    /// Counts a client that was lost for good; too many are the end.
    pub(super) fn note_lost(&mut self) -> Result<(), LogError> {
        if !too_many(&mut self.lost) {
            return Ok(());
        }
        Err(LogError::Fatal(format!(
            "the worker {} was fenced, or its producer failed, {TOO_MANY} times within {} s; most \
             likely another process uses the same name: each worker needs one of its own",
            self.settings.name,
            WITHIN.as_secs()
        )))
    }

    /// Makes a producer and waits until it has taken over the transactional id.
    pub(super) fn open_writer(&mut self) -> Result<(), LogError> {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));
        let mut writer = Writer::create(&self.settings, &self.patience).map_err(unusable)?;
        let mut warning = Seldom::default();
        let since = Instant::now();
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
            if warning.due() {
                tracing::warn!(
                    name = self.settings.name,
                    brokers = self.settings.brokers,
                    %error,
                    seconds = since.elapsed().as_secs(),
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
                        return Err(LogError::Fatal(format!("{hint} ({error})")));
                    }
                    self.count(RecreateReason::Init);
                    writer = Writer::create(&self.settings, &self.patience).map_err(unusable)?;
                }
            }
            if writer.refusals() >= REFUSALS_AT_WORK {
                return Err(admin::denied(&self.settings.brokers, &error));
            }
            if denied >= REFUSALS_AT_START {
                return Err(LogError::Fatal(self.permissions()));
            }
            // Nothing is lost by leaving now: the next start settles what is open.
            if self.patience.stop.requested() || !self.patience.sleep(backoff.delay()) {
                return Err(LogError::Aborted(AbortReason::Shutdown));
            }
        }
    }
}

/// Whether the committed positions show that a transaction from `from` to `upto` went through. One
/// that moves no position leaves no trace in them: it may have, and counts as if it had not.
fn went_through(from: &Positions, upto: &Positions, committed: &Positions) -> bool {
    from != upto && upto.iter().all(|(partition, at)| committed.get(partition) == Some(at))
}

/// Notes that one was lost; whether that is one too many.
fn too_many(lost: &mut Recent) -> bool {
    lost.note();
    lost.count() >= TOO_MANY
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::{NextOffset, TopicPartition};

    fn positions(offsets: &[(i32, i64)]) -> Positions {
        let at = |(partition, offset): &(i32, i64)| {
            (TopicPartition { topic: "t".into(), partition: *partition }, NextOffset::at(*offset))
        };
        offsets.iter().map(at).collect()
    }

    #[test]
    fn a_worker_that_loses_its_clients_again_and_again_gives_up() {
        let mut lost = Recent::new(Duration::from_secs(3600));
        let ends: Vec<bool> = (0..TOO_MANY).map(|_| too_many(&mut lost)).collect();
        assert_eq!(ends.iter().position(|end| *end), Some(TOO_MANY - 1));
    }

    #[test]
    fn committed_positions_tell_only_of_transactions_that_move_them() {
        let (from, upto) = (positions(&[(0, 5), (1, 7)]), positions(&[(0, 9), (1, 8)]));
        assert!(went_through(&from, &upto, &upto));
        for committed in [&from, &positions(&[(0, 9), (1, 7)]), &positions(&[(0, 9)])] {
            assert!(!went_through(&from, &upto, committed), "{committed:?}");
        }
        // What a stage commits before it acts, of a batch that is read again: the positions stood
        // there before, so an aborted transaction looks the same.
        assert!(!went_through(&from, &from, &from));
    }
}
