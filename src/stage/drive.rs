//! The loop that drives any stage over any log: take a batch, run the stage, commit outputs and
//! positions together, repeat until asked to stop.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{Duration, Instant};

use super::Stage;
use super::abort_memory::{AbortMemory, Sentence};
use crate::health::{Stop, WorkerHealth};
use crate::log::{AbortReason, Batch, Limit, Log, LogError, Outgoing};
use crate::metrics::{Metrics, unix_seconds};

/// Drives `stage` over `log` until `stop` is requested. A batch that was begun is finished.
///
/// # Errors
/// [`LogError::Fatal`] when the process must end; the message says what to do.
pub fn drive(
    log: &mut dyn Log,
    stage: &mut dyn Stage,
    limits: Limit,
    stop: &Stop,
    metrics: &Metrics,
    health: &WorkerHealth,
    worker: usize,
) -> Result<(), LogError> {
    let mut driver = Driver::new(limits, metrics, health, worker);
    while !stop.requested() {
        if let Some(pause) = driver.turn(log, stage)? {
            wait(jittered(pause), stop, health);
        }
    }
    Ok(())
}

/// The loop's state between turns; [`drive`] is what runs it in a process.
pub struct Driver<'a> {
    limits: Limit,
    memory: AbortMemory,
    metrics: &'a Metrics,
    health: &'a WorkerHealth,
    worker: String,
    /// Since when the oldest record of the last batch that held any has waited, in seconds since
    /// 1970; nothing without lag.
    waiting_since: Option<f64>,
}

impl<'a> Driver<'a> {
    /// A driver that has seen nothing yet.
    pub fn new(
        limits: Limit,
        metrics: &'a Metrics,
        health: &'a WorkerHealth,
        worker: usize,
    ) -> Self {
        let memory = AbortMemory::new(limits.records);
        let worker = worker.to_string();
        Self { limits, memory, metrics, health, worker, waiting_since: None }
    }

    /// One turn of the loop: one batch, or none. Returns how long to wait before the next turn
    /// if the batch was aborted.
    ///
    /// # Errors
    /// [`LogError::Fatal`] only.
    pub fn turn(
        &mut self,
        log: &mut dyn Log,
        stage: &mut dyn Stage,
    ) -> Result<Option<Duration>, LogError> {
        self.health.turned();
        let limit = Limit { records: self.memory.records(), ..self.limits };
        let batch = log.next(limit)?;
        self.polled(&batch);
        if batch.is_empty() {
            return Ok(None);
        }

        if let Err(error) = prepare(log, stage, &batch) {
            return match error {
                LogError::Aborted(reason) => self.aborted(reason, &batch).map(Some),
                fatal @ LogError::Fatal(_) => Err(fatal),
            };
        }
        let start = Instant::now();
        let outputs = self.outputs(stage, &batch);
        self.metrics.stage_seconds.observe(start.elapsed().as_secs_f64());

        self.health.turned();
        let start = Instant::now();
        match log.commit(&batch.from, &batch.upto, outputs) {
            Ok(()) => {
                self.metrics.commit_seconds.observe(start.elapsed().as_secs_f64());
                self.committed(&batch);
                stage.committed(&batch);
                Ok(None)
            }
            Err(LogError::Aborted(reason)) => self.aborted(reason, &batch).map(Some),
            Err(fatal) => Err(fatal),
        }
    }

    /// The stage's answer, with dead letters in place of what the log refuses.
    fn outputs(&self, stage: &mut dyn Stage, batch: &Batch) -> Vec<Outgoing> {
        let mut outputs = stage.run(batch);
        for record in &batch.records {
            let dead = match self.memory.sentence(&record.origin) {
                None => continue,
                Some(Sentence::DeadLetter) => stage.refuse(record),
                Some(Sentence::Reference) => stage.refuse_by_reference(record),
            };
            tracing::warn!(origin = %record.origin, "record refused by the log, writing a dead letter");
            let place = outputs.iter().position(|o| o.cause == record.origin);
            outputs.retain(|o| o.cause != record.origin || stage.stays(o));
            outputs.insert(place.unwrap_or(outputs.len()), dead);
        }
        outputs
    }

    fn polled(&mut self, batch: &Batch) {
        let now = unix_seconds();
        self.metrics.last_poll.with_label_values(&[&self.worker]).set(now);
        let behind = self.health.lag_messages() > 0;
        if batch.is_empty() && !behind {
            self.health.progressed();
        }
        // Times before 1970 are those of broken clocks.
        let times = batch.records.iter().filter_map(|r| r.timestamp_ms.filter(|ms| *ms > 0));
        self.waiting_since = match times.min() {
            _ if !behind => None,
            // The records' clocks are not ours: a record from the future is no lag.
            Some(ms) => Some((ms as f64 / 1000.0).min(now)),
            // There is something to read and it does not come: what waits gets older.
            None if batch.is_empty() => self.waiting_since.or(Some(now)),
            None => Some(now),
        };
        let age = self.waiting_since.map_or(0.0, |since| (now - since).max(0.0));
        self.metrics.lag_seconds.with_label_values(&[&self.worker]).set(age);
    }

    fn committed(&mut self, batch: &Batch) {
        self.memory.committed(batch);
        self.health.progressed();
        self.metrics.transactions.with_label_values(&["committed"]).inc();
        self.metrics.batch_records.observe(batch.records.len() as f64);
        self.metrics.last_commit.with_label_values(&[&self.worker]).set(unix_seconds());
        let mut by_topic: BTreeMap<&str, u64> = BTreeMap::new();
        for record in &batch.records {
            *by_topic.entry(&record.origin.topic).or_default() += 1;
        }
        for (topic, records) in by_topic {
            self.metrics.records_in.with_label_values(&[topic]).inc_by(records);
        }
    }

    fn aborted(&mut self, reason: AbortReason, batch: &Batch) -> Result<Duration, LogError> {
        self.metrics.transactions.with_label_values(&["aborted"]).inc();
        self.metrics.aborts.with_label_values(&[reason.as_str()]).inc();
        let pause = self.memory.aborted(reason, batch).map_err(LogError::Fatal)?;
        tracing::info!(
            reason = reason.as_str(),
            records = batch.records.len(),
            next_batch = self.memory.records(),
            pause_ms = pause.as_millis(),
            "batch aborted, it will be read again"
        );
        Ok(pause)
    }
}

/// Commits what has to be known before the stage runs. The positions stay where the batch begins:
/// committing them all the same lets the log refuse those who no longer hold the partitions.
fn prepare(log: &mut dyn Log, stage: &mut dyn Stage, batch: &Batch) -> Result<(), LogError> {
    let before = stage.prepare(batch)?;
    if before.is_empty() {
        return Ok(());
    }
    log.commit(&batch.from, &batch.from, before)
}

/// Between half of `pause` and all of it, so that workers do not march in step.
fn jittered(pause: Duration) -> Duration {
    // Every `RandomState` has new random keys: enough chance for a pause.
    let chance = f64::from((RandomState::new().build_hasher().finish() >> 32) as u32);
    pause.mul_f64(0.5 + 0.5 * chance / f64::from(u32::MAX))
}

/// Waits under control: a stop ends it, and the worker counts as alive meanwhile.
fn wait(pause: Duration, stop: &Stop, health: &WorkerHealth) {
    const SLICE: Duration = Duration::from_millis(20);
    let start = Instant::now();
    while !stop.requested() {
        health.turned();
        let left = pause.saturating_sub(start.elapsed());
        if left.is_zero() {
            return;
        }
        std::thread::sleep(left.min(SLICE));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_in_a_long_pause_counts_as_alive_and_hears_a_stop() {
        let (stop, health) = (Stop::new(), WorkerHealth::new());
        let start = Instant::now();
        std::thread::scope(|scope| {
            scope.spawn(|| wait(Duration::from_secs(600), &stop, &health));
            let (mut turns, mut before) = (0, Duration::ZERO);
            while turns < 5 && start.elapsed() < Duration::from_secs(60) {
                let now = health.since_turn();
                turns += usize::from(now < before);
                before = now;
                std::thread::sleep(Duration::from_millis(3));
            }
            stop.request(Duration::ZERO);
        });
        assert!(start.elapsed() < Duration::from_secs(60));
    }

    #[test]
    fn jitter_keeps_at_least_half_of_a_pause() {
        let pause = Duration::from_secs(1);
        let pauses: Vec<_> = (0..100).map(|_| jittered(pause)).collect();
        assert!(pauses.iter().all(|p| (pause / 2..=pause).contains(p)));
        assert!(pauses.iter().any(|p| *p != pauses[0]));
    }
}
