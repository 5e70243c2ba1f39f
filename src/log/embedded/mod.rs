//! The log in one file, without a broker: SQLite in write-ahead mode, every commit on disk before
//! it counts. `triaged put` and `triaged tail` may use the file while the service runs.
//!
//! Every topic has one partition, 0. Processes of one group do not share work: one of them has the
//! group's lock and all its partitions, the others stand by until that one ends.

mod error;
mod follow;
mod lock;
mod records;
mod retention;
mod store;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};

pub use self::error::StoreError;
pub use self::follow::EmbeddedFollow;
use self::lock::GroupLock;
use self::records::{Appender, weight};
pub use self::retention::Retention;
use self::store::longer;
pub use self::store::{FILE, Store};
use super::{
    AbortReason, Batch, Limit, Log, LogError, NewRecord, Outgoing, Positions, Record,
    TopicPartition,
};
use crate::clock::now_ms;
use crate::health::{Stop, WorkerHealth};
use crate::metrics::Metrics;

/// How often old records are looked for, and how many go at once so that nobody waits long.
const RETENTION_EVERY: Duration = Duration::from_secs(3600);
const RETENTION_CHUNK: usize = 5_000;
/// Not before: after a long standstill, every worker of the process has its group's lock by then.
const RETENTION_FIRST: Duration = Duration::from_secs(60);
/// How often one that stands by looks whether the group's lock is free.
const STAND_BY: Duration = Duration::from_millis(50);

/// Where an [`EmbeddedLog`] reads and writes.
#[derive(Clone, Debug)]
pub struct EmbeddedSettings {
    /// The directory of the file; made if there is none.
    pub dir: PathBuf,
    /// Whose positions these are.
    pub group: String,
    pub inputs: Vec<Arc<str>>,
    /// Made at the start, so that readers find them.
    pub outputs: Vec<Arc<str>>,
    /// `None` keeps all.
    pub retention: Option<Retention>,
}

struct Input {
    topic: Arc<str>,
    id: i64,
    /// What the file says, as far as we know: what a commit compares with.
    committed: i64,
    /// What is read next.
    at: i64,
}

/// One worker's log in the file.
pub struct EmbeddedLog {
    store: Store,
    group: String,
    inputs: Vec<Input>,
    /// Which input is read first; moves on, so that a flood in one does not starve the others.
    first: usize,
    idle: Duration,
    retention: Option<Retention>,
    retain_at: Instant,
    metrics: Arc<Metrics>,
    health: Arc<WorkerHealth>,
    worker: String,
    stop: Stop,
    /// The group's lock is ours, and we read on from what is committed.
    holds: bool,
    /// The last field: freed when the file is closed already.
    lock: GroupLock,
}

impl EmbeddedLog {
    /// Opens the file and reads on from the group's positions; a new group starts at the
    /// earliest records. While another one works for the group, this one stands by.
    ///
    /// # Errors
    /// When the file cannot be opened or is not ours; the message says what to do.
    pub fn open(
        settings: EmbeddedSettings,
        metrics: Arc<Metrics>,
        health: Arc<WorkerHealth>,
        worker: usize,
        stop: Stop,
    ) -> Result<Self, StoreError> {
        let store = Store::open(&settings.dir)?;
        for output in &settings.outputs {
            store.topic(output)?;
        }
        let mut inputs = Vec::new();
        for topic in settings.inputs {
            inputs.push(Input { id: store.topic(&topic)?, topic, committed: 0, at: 0 });
        }
        let lock = GroupLock::open(&settings.dir, &settings.group)?;
        health.connected(true);
        let mut log = Self {
            store,
            group: settings.group,
            inputs,
            first: 0,
            idle: Duration::ZERO,
            retention: settings.retention,
            retain_at: Instant::now() + RETENTION_FIRST,
            metrics,
            health,
            worker: worker.to_string(),
            stop,
            holds: false,
            lock,
        };
        if !log.hold()? {
            tracing::warn!(group = log.group, "another process works for the group, standing by");
            log.assigned(0);
            log.health.lag(0);
        }
        Ok(log)
    }

    /// Whether this one works for the group; one that takes over reads on from what is committed.
    fn hold(&mut self) -> Result<bool, StoreError> {
        if self.holds || !self.lock.take()? {
            return Ok(self.holds);
        }
        let Some(positions) = self.patiently(|| self.positions())? else { return Ok(false) };
        self.rewind(&positions);
        self.holds = true;
        self.assigned(self.inputs.len());
        tracing::info!(group = self.group, "working for the group");
        Ok(true)
    }

    fn assigned(&self, partitions: usize) {
        self.health.assigned(partitions);
        self.metrics
            .assigned_partitions
            .with_label_values(&[&self.worker])
            .set(i64::try_from(partitions).unwrap_or(i64::MAX));
    }

    /// Waits until `deadline` to work for the group; whether it does.
    fn stand_by(&mut self, deadline: Instant) -> Result<bool, StoreError> {
        while !self.hold()? {
            self.health.turned();
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || self.stop.requested() {
                return Ok(false);
            }
            std::thread::sleep(left.min(STAND_BY));
        }
        Ok(true)
    }

    fn positions(&self) -> Result<Vec<i64>, StoreError> {
        self.store
            .sql(|c| self.inputs.iter().map(|input| position(c, &self.group, input.id)).collect())
    }

    /// Reads on from the committed positions.
    fn rewind(&mut self, committed: &[i64]) {
        for (input, committed) in self.inputs.iter_mut().zip(committed) {
            input.committed = *committed;
            input.at = *committed;
        }
    }

    /// Runs `work` until the file is not locked by others; `None` if there is no time for that.
    fn patiently<T>(
        &self,
        mut work: impl FnMut() -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        loop {
            self.health.turned();
            match work() {
                Err(busy @ StoreError::Busy { .. }) => {
                    if self.stop.overdue() {
                        return Ok(None);
                    }
                    tracing::warn!(%busy, "waiting");
                }
                other => return other.map(Some),
            }
        }
    }

    fn read(&self, limit: Limit) -> Result<Vec<Record>, StoreError> {
        let mut taken: Vec<Record> = Vec::new();
        let mut bytes = 0_usize;
        for i in 0..self.inputs.len() {
            let input = &self.inputs[(self.first + i) % self.inputs.len()];
            let room = limit.records.saturating_sub(taken.len());
            let bytes_left = limit.bytes.saturating_sub(bytes);
            if room == 0 || bytes_left == 0 {
                break;
            }
            let more = self
                .store
                .sql(|c| records::read(c, input.id, &input.topic, input.at, room, bytes_left))?;
            bytes = more.iter().map(weight).fold(bytes, usize::saturating_add);
            taken.extend(more);
        }
        Ok(taken)
    }

    /// Tells how much there is that is not committed.
    fn measure(&self) -> Result<(), StoreError> {
        let mut total = 0;
        for input in &self.inputs {
            let end: i64 = self.store.sql(|c| {
                c.prepare_cached("SELECT next FROM topics WHERE id = ?1")?
                    .query_row([input.id], |row| row.get(0))
            })?;
            let lag = (end - input.committed).max(0);
            total += lag;
            self.metrics.lag_messages.with_label_values(&[&*input.topic, &*self.worker]).set(lag);
        }
        self.health.lag(total);
        Ok(())
    }

    /// Waits until `deadline` or until somebody wrote after `version`; says which.
    fn wait(&mut self, version: i64, deadline: Instant) -> Result<bool, StoreError> {
        loop {
            self.health.turned();
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || self.stop.requested() {
                return Ok(false);
            }
            self.idle = longer(self.idle);
            std::thread::sleep(left.min(self.idle));
            if self.store.version()? != version {
                return Ok(true);
            }
        }
    }

    fn take(&mut self, limit: Limit) -> Result<Batch, StoreError> {
        let deadline = Instant::now() + limit.linger;
        if !self.stand_by(deadline)? {
            return Ok(Batch::default());
        }
        self.retain_when_due()?;
        loop {
            // Asked before reading: what is written in between then counts as new.
            let version = self.store.version()?;
            self.measure()?;
            let records = self.read(limit)?;
            if !records.is_empty() {
                self.idle = Duration::ZERO;
                self.first = (self.first + 1) % self.inputs.len();
                let batch = Batch::of(records);
                for input in &mut self.inputs {
                    input.at = position_of(&input.topic, &batch.upto).unwrap_or(input.at);
                }
                return Ok(batch);
            }
            if !self.wait(version, deadline)? {
                return Ok(Batch::default());
            }
        }
    }

    fn retain_when_due(&mut self) -> Result<(), StoreError> {
        let Some(retention) = &self.retention else { return Ok(()) };
        if Instant::now() < self.retain_at {
            return Ok(());
        }
        let removed = self.store.retain(retention, RETENTION_CHUNK)?;
        if removed < RETENTION_CHUNK {
            self.retain_at = Instant::now() + RETENTION_EVERY;
        }
        if removed > 0 {
            tracing::info!(removed, "old records removed");
        }
        Ok(())
    }

    /// One transaction: the outputs, and the positions if they are still where we took them
    /// from. `false`, and nothing written, if they are not.
    fn write(
        &self,
        upto: &Positions,
        outputs: &[(Arc<str>, NewRecord)],
    ) -> Result<bool, StoreError> {
        self.store.sql(|c| {
            let transaction = Transaction::new_unchecked(c, TransactionBehavior::Immediate)?;
            for input in &self.inputs {
                let Some(next) = position_of(&input.topic, upto) else { continue };
                let moved = transaction
                    .prepare_cached(
                        "UPDATE positions SET next = ?4, committed_ms = ?5 \
                         WHERE consumer_group = ?1 AND topic = ?2 AND next = ?3",
                    )?
                    .execute((&self.group, input.id, input.committed, next, now_ms()))?;
                if moved == 0 {
                    return Ok(false);
                }
            }
            let mut appender = Appender::new(&transaction);
            for (topic, record) in outputs {
                appender.append(topic, record)?;
            }
            appender.finish()?;
            transaction.commit()?;
            Ok(true)
        })
    }
}

impl Log for EmbeddedLog {
    fn next(&mut self, limit: Limit) -> Result<Batch, LogError> {
        loop {
            match self.take(limit) {
                Err(StoreError::Busy { .. }) if !self.stop.requested() => self.health.turned(),
                Err(StoreError::Busy { .. }) => return Ok(Batch::default()),
                other => return other.map_err(fatal),
            }
        }
    }

    fn commit(
        &mut self,
        _: &Positions,
        upto: &Positions,
        outputs: Vec<Outgoing>,
    ) -> Result<(), LogError> {
        if !self.holds {
            return Err(LogError::Aborted(AbortReason::Rebalance));
        }
        let outputs: Vec<_> =
            outputs.into_iter().map(|o| (Arc::clone(&o.topic), o.into_parts().0)).collect();
        let reason = match self.patiently(|| self.write(upto, &outputs)) {
            Ok(Some(true)) => {
                for input in &mut self.inputs {
                    input.committed = position_of(&input.topic, upto).unwrap_or(input.committed);
                }
                return Ok(());
            }
            Ok(Some(false)) => AbortReason::Rebalance,
            Ok(None) => AbortReason::Shutdown,
            Err(StoreError::TooLarge { .. }) => AbortReason::RecordRefused,
            Err(other) => return Err(fatal(other)),
        };
        match self.patiently(|| self.positions()).map_err(fatal)? {
            Some(positions) => self.rewind(&positions),
            None => return Err(LogError::Aborted(AbortReason::Shutdown)),
        }
        Err(LogError::Aborted(reason))
    }

    fn close(self: Box<Self>, _: i32) {
        self.health.unassigned();
    }
}

fn fatal(error: StoreError) -> LogError {
    LogError::Fatal(error.to_string())
}

fn position_of(topic: &Arc<str>, positions: &Positions) -> Option<i64> {
    let tp = TopicPartition { topic: Arc::clone(topic), partition: 0 };
    positions.get(&tp).map(|next| next.get())
}

/// The group's position in a topic; a new group starts at the topic's earliest record.
fn position(connection: &Connection, group: &str, topic: i64) -> rusqlite::Result<i64> {
    let find = || {
        connection
            .prepare_cached("SELECT next FROM positions WHERE consumer_group = ?1 AND topic = ?2")?
            .query_row((group, topic), |row| row.get(0))
            .optional()
    };
    if let Some(next) = find()? {
        return Ok(next);
    }
    connection
        .prepare_cached(
            "INSERT INTO positions (consumer_group, topic, next, committed_ms)
             SELECT ?1, id, coalesce((SELECT min(offset) FROM records WHERE topic = id), next), ?3
             FROM topics WHERE id = ?2 ON CONFLICT DO NOTHING",
        )?
        .execute((group, topic, now_ms()))?;
    find()?.ok_or(rusqlite::Error::QueryReturnedNoRows)
}
