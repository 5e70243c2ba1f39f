//! A log in memory, for tests: partitions, groups, transactions that can be left dangling, and
//! faults that strike on schedule. It never waits on its own and nothing in it is random, so
//! that every interleaving can be replayed.

mod fault;
mod follow;

use std::collections::{BTreeMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::sync::lock;

use super::{
    AbortReason, Batch, Limit, Log, LogError, NewRecord, NextOffset, Origin, Outgoing, Positions,
    Record, TopicPartition,
};

pub use fault::Fault;
pub use follow::MemoryFollow;

/// A record that a careful (read-committed) reader sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    pub record: Record,
    /// The input record that it answers; `None` if it was put from outside.
    pub cause: Option<Origin>,
}

struct Stored {
    record: NewRecord,
    written: Option<(usize, Origin)>,
}

enum State {
    Open,
    Committed,
    Aborted,
}

struct Transaction {
    member: (String, String),
    positions: Positions,
    state: State,
}

#[derive(Default)]
struct Group {
    inputs: Vec<TopicPartition>,
    /// Each member's name and how often it joined: an earlier life of it is fenced.
    members: BTreeMap<String, u64>,
    joins: u64,
    generation: u64,
    rotation: usize,
    positions: Positions,
}

impl Group {
    fn assignment(&self, member: &str) -> Vec<TopicPartition> {
        let names: Vec<_> = self.members.keys().collect();
        let owner = |i: usize| names[(i + self.rotation) % names.len()];
        let owned = |(i, tp): (usize, &TopicPartition)| (owner(i) == member).then(|| tp.clone());
        if names.is_empty() {
            return Vec::new();
        }
        self.inputs.iter().enumerate().filter_map(owned).collect()
    }
}

#[derive(Default)]
struct Cluster {
    topics: BTreeMap<Arc<str>, Vec<Vec<Stored>>>,
    transactions: Vec<Transaction>,
    groups: BTreeMap<String, Group>,
    faults: VecDeque<Option<Fault>>,
    largest_value: Option<usize>,
    without_fencing: bool,
}

/// A cluster that lives in memory; clones are handles to the same one.
#[derive(Clone, Default)]
pub struct MemoryCluster(Arc<Mutex<Cluster>>);

impl MemoryCluster {
    /// A cluster with these topics, each with its number of partitions.
    pub fn new(topics: &[(&str, usize)]) -> Self {
        let topics = topics.iter().map(|(name, partitions)| {
            (Arc::from(*name), (0..*partitions).map(|_| Vec::new()).collect())
        });
        Self(Arc::new(Mutex::new(Cluster { topics: topics.collect(), ..Cluster::default() })))
    }

    fn lock(&self) -> MutexGuard<'_, Cluster> {
        lock(&self.0)
    }

    /// What happens in the coming commits, whoever makes them; `None` lets one pass.
    pub fn schedule(&self, faults: impl IntoIterator<Item = Option<Fault>>) {
        self.lock().faults.extend(faults);
    }

    /// From now on every output whose value is larger is refused.
    pub fn refuse_values_larger_than(&self, bytes: usize) {
        self.lock().largest_value = Some(bytes);
    }

    /// Takes the check away that a batch was read in the present generation: broken on purpose,
    /// to show that a test notices.
    pub fn without_fencing(&self) {
        self.lock().without_fencing = true;
    }

    /// Appends a record, committed at once. Unknown topics and partitions are ignored.
    pub fn put(&self, topic: &str, partition: usize, record: NewRecord) {
        let mut cluster = self.lock();
        if let Some(log) = cluster.topics.get_mut(topic).and_then(|p| p.get_mut(partition)) {
            log.push(Stored { record, written: None });
        }
    }

    /// Joins `group` as `member`, which aborts what an earlier life of the member left open and
    /// deals the partitions of `inputs` out anew.
    pub fn join(&self, group: &str, member: &str, inputs: &[&str]) -> MemoryLog {
        let mut cluster = self.lock();
        cluster.abort_dangling(group, member);
        let partitions = inputs.iter().flat_map(|name| {
            let count = cluster.topics.get(*name).map_or(0, Vec::len);
            let topic: Arc<str> = Arc::from(*name);
            (0_i32..)
                .take(count)
                .map(move |partition| TopicPartition { topic: Arc::clone(&topic), partition })
        });
        let partitions: Vec<_> = partitions.collect();
        let state = cluster.groups.entry(group.to_owned()).or_default();
        state.inputs = partitions;
        state.joins += 1;
        state.generation += 1;
        let life = state.joins;
        state.members.insert(member.to_owned(), life);
        drop(cluster);
        MemoryLog {
            cluster: self.clone(),
            group: group.to_owned(),
            member: member.to_owned(),
            life,
            generation: 0,
            at: Positions::new(),
            turn: 0,
            crashed: false,
        }
    }

    /// The member is gone for good: its partitions go to the others, its transaction times out.
    pub fn leave(&self, group: &str, member: &str) {
        let mut cluster = self.lock();
        cluster.abort_dangling(group, member);
        if let Some(group) = cluster.groups.get_mut(group) {
            group.members.remove(member);
            group.generation += 1;
        }
    }

    /// All that a read-committed reader of `topic` sees, partition by partition.
    pub fn committed(&self, topic: &str) -> Vec<Committed> {
        let cluster = self.lock();
        let Some((name, partitions)) = cluster.topics.get_key_value(topic) else {
            return Vec::new();
        };
        let read = |partition: i32| {
            let tp = TopicPartition { topic: Arc::clone(name), partition };
            cluster.read(&tp, 0, usize::MAX)
        };
        (0_i32..).take(partitions.len()).flat_map(read).collect()
    }

    /// The committed positions of `group`.
    pub fn positions(&self, group: &str) -> Positions {
        self.lock().groups.get(group).map(|g| g.positions.clone()).unwrap_or_default()
    }
}

impl Cluster {
    fn abort_dangling(&mut self, group: &str, member: &str) {
        for transaction in &mut self.transactions {
            let theirs = transaction.member.0 == group && transaction.member.1 == member;
            if theirs && matches!(transaction.state, State::Open) {
                transaction.state = State::Aborted;
            }
        }
    }

    /// Up to `most` committed records of a partition from `from` on; an open transaction ends it.
    fn read(&self, tp: &TopicPartition, from: i64, most: usize) -> Vec<Committed> {
        let index = |number: i64| usize::try_from(number).unwrap_or(0);
        let Some(log) =
            self.topics.get(&tp.topic).and_then(|t| t.get(index(i64::from(tp.partition))))
        else {
            return Vec::new();
        };
        let mut records = Vec::new();
        for (offset, stored) in (0_i64..).zip(log).skip(index(from)) {
            let state = stored.written.as_ref().map(|(id, _)| &self.transactions[*id].state);
            match state {
                Some(State::Open) => break,
                Some(State::Aborted) => continue,
                Some(State::Committed) | None => {}
            }
            if records.len() == most {
                break;
            }
            let NewRecord { key, value, headers, timestamp_ms } = stored.record.clone();
            let origin = Origin { topic: Arc::clone(&tp.topic), partition: tp.partition, offset };
            records.push(Committed {
                record: Record { origin, key, value, headers, timestamp_ms },
                cause: stored.written.as_ref().map(|(_, cause)| cause.clone()),
            });
        }
        records
    }

    /// Writes an output as part of an open transaction.
    fn write(&mut self, transaction: usize, output: Outgoing) {
        let partitions = self
            .topics
            .entry(Arc::clone(&output.topic))
            .or_insert_with(|| (0..1).map(|_| Vec::new()).collect());
        let mut hasher = DefaultHasher::new();
        output.key.hash(&mut hasher);
        // The remainder is smaller than the number of partitions, a `usize`.
        let partition = (hasher.finish() % partitions.len() as u64) as usize;
        let (record, cause) = output.into_parts();
        partitions[partition].push(Stored { record, written: Some((transaction, cause)) });
    }
}

/// One worker's view of a [`MemoryCluster`].
pub struct MemoryLog {
    cluster: MemoryCluster,
    group: String,
    member: String,
    life: u64,
    generation: u64,
    at: Positions,
    turn: usize,
    crashed: bool,
}

impl MemoryLog {
    /// Reads on from the committed positions of the partitions held at present.
    fn rewind(&mut self, cluster: &Cluster) {
        let Some(group) = cluster.groups.get(&self.group) else { return };
        self.generation = group.generation;
        let start = |tp: TopicPartition| {
            let position = group.positions.get(&tp).copied().unwrap_or(NextOffset::at(0));
            (tp, position)
        };
        self.at = group.assignment(&self.member).into_iter().map(start).collect();
    }

    fn crash(&mut self) -> LogError {
        self.crashed = true;
        LogError::Fatal("the process died on schedule".to_owned())
    }

    fn check_alive(&self, cluster: &Cluster) -> Result<(), LogError> {
        let group = cluster.groups.get(&self.group);
        let life = group.and_then(|g| g.members.get(&self.member)).copied();
        if self.crashed || life != Some(self.life) {
            return Err(LogError::Fatal("another life of this member took over".to_owned()));
        }
        Ok(())
    }
}

impl Log for MemoryLog {
    fn next(&mut self, limit: Limit) -> Result<Batch, LogError> {
        let handle = self.cluster.clone();
        let cluster = handle.lock();
        self.check_alive(&cluster)?;
        if cluster.groups.get(&self.group).map(|g| g.generation) != Some(self.generation) {
            self.rewind(&cluster);
        }
        let mut records: Vec<Record> = Vec::new();
        let held: Vec<_> = self.at.iter().collect();
        for i in 0..held.len() {
            let (tp, position) = held[(i + self.turn) % held.len()];
            let room = limit.records.saturating_sub(records.len());
            records.extend(
                cluster
                    .read(tp, position.get(), room)
                    .into_iter()
                    .map(|committed| committed.record),
            );
        }
        self.turn = self.turn.wrapping_add(1);
        drop(cluster);
        if records.is_empty() {
            std::thread::sleep(limit.linger);
        }
        let batch = Batch::of(records);
        self.at.extend(batch.upto.clone());
        Ok(batch)
    }

    fn commit(
        &mut self,
        _: &Positions,
        upto: &Positions,
        outputs: Vec<Outgoing>,
    ) -> Result<(), LogError> {
        let handle = self.cluster.clone();
        let mut cluster = handle.lock();
        self.check_alive(&cluster)?;
        let fault = cluster.faults.pop_front().flatten();
        if fault == Some(Fault::CrashBeforeSend) {
            return Err(self.crash());
        }

        let id = cluster.transactions.len();
        cluster.transactions.push(Transaction {
            member: (self.group.clone(), self.member.clone()),
            positions: Positions::new(),
            state: State::Open,
        });
        let mut abort = match fault {
            Some(Fault::Abort(reason)) => Some(reason),
            _ => None,
        };
        for output in outputs {
            let size = output.value.as_ref().map_or(0, Vec::len);
            if cluster.largest_value.is_some_and(|largest| size > largest) {
                abort = Some(AbortReason::RecordRefused);
                break;
            }
            cluster.write(id, output);
        }
        if fault == Some(Fault::CrashAfterSend) {
            return Err(self.crash());
        }

        if fault == Some(Fault::Rebalance)
            && let Some(group) = cluster.groups.get_mut(&self.group)
        {
            group.rotation += 1;
            group.generation += 1;
        }
        let generation = cluster.groups.get(&self.group).map(|g| g.generation);
        if generation != Some(self.generation) && !cluster.without_fencing {
            abort = abort.or(Some(AbortReason::Rebalance));
        }
        if let Some(reason) = abort {
            cluster.transactions[id].state = State::Aborted;
            self.rewind(&cluster);
            return Err(LogError::Aborted(reason));
        }

        cluster.transactions[id].positions = upto.clone();
        if fault == Some(Fault::CrashBeforeCommit) {
            return Err(self.crash());
        }
        cluster.transactions[id].state = State::Committed;
        let positions = std::mem::take(&mut cluster.transactions[id].positions);
        if let Some(group) = cluster.groups.get_mut(&self.group) {
            group.positions.extend(positions);
        }
        match fault {
            Some(Fault::CrashAfterCommit) => Err(self.crash()),
            Some(Fault::AnswerLost) => {
                self.rewind(&cluster);
                Err(LogError::Aborted(AbortReason::Unknown))
            }
            _ => Ok(()),
        }
    }

    fn close(self: Box<Self>, _: i32) {
        if !self.crashed {
            self.cluster.leave(&self.group, &self.member);
        }
    }
}
