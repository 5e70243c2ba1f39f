//! The log: where records come from and where outputs go, together with the positions.
//!
//! [`Log`] has two methods that matter. [`Log::next`] hands out a batch whose records carry
//! where they came from; [`Log::commit`] makes *all* outputs and the batch's positions visible,
//! or nothing. Behind it stand Kafka transactions ([`kafka`]), an embedded transactional store
//! ([`embedded`]) and memory with scripted faults ([`memory`]).

pub mod embedded;
pub mod kafka;
pub mod memory;
pub mod watchdog;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A partition of a topic.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    pub topic: Arc<str>,
    pub partition: i32,
}

/// Where a record was read from.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin {
    pub topic: Arc<str>,
    pub partition: i32,
    pub offset: i64,
}

impl Origin {
    pub fn topic_partition(&self) -> TopicPartition {
        TopicPartition { topic: Arc::clone(&self.topic), partition: self.partition }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}@{}", self.topic, self.partition, self.offset)
    }
}

/// The offset to read next: the `+ 1` of every position lives in [`NextOffset::after`] alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NextOffset(i64);

impl NextOffset {
    /// The position after the record at `offset` was handled.
    pub fn after(offset: i64) -> Self {
        Self(offset + 1)
    }

    /// The position at which `offset` is read (again).
    pub fn at(offset: i64) -> Self {
        Self(offset)
    }

    pub fn get(self) -> i64 {
        self.0
    }
}

/// Positions to commit, one a partition.
pub type Positions = BTreeMap<TopicPartition, NextOffset>;

/// Record headers in their order; names may repeat, values may be null.
pub type Headers = Vec<(Cow<'static, str>, Option<Vec<u8>>)>;

/// A record as it was read, byte for byte.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    pub origin: Origin,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Headers,
    /// Milliseconds since 1970, as the log stores it.
    pub timestamp_ms: Option<i64>,
}

/// A record to write. `cause` names the input record that it answers.
#[derive(Clone, PartialEq, Eq)]
pub struct Outgoing {
    pub cause: Origin,
    pub topic: Arc<str>,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Headers,
    /// Milliseconds since 1970; `None` lets the log stamp it.
    pub timestamp_ms: Option<i64>,
}

/// A record to put into a log from outside, with no input record behind it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct NewRecord {
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Headers,
    /// Milliseconds since 1970; `None` lets the log stamp it.
    pub timestamp_ms: Option<i64>,
}

impl Outgoing {
    /// What is written, and the record that it answers.
    pub fn into_parts(self) -> (NewRecord, Origin) {
        let Self { cause, topic: _, key, value, headers, timestamp_ms } = self;
        (NewRecord { key, value, headers, timestamp_ms }, cause)
    }
}

// Ticket text must never reach a log line, so `Debug` shows where and how long, not what.
impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Record({}, {} bytes)", self.origin, self.value.as_ref().map_or(0, Vec::len))
    }
}

impl fmt::Debug for NewRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NewRecord({} bytes)", self.value.as_ref().map_or(0, Vec::len))
    }
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Outgoing({} -> {}, {} bytes)",
            self.cause,
            self.topic,
            self.value.as_ref().map_or(0, Vec::len)
        )
    }
}

/// Records together with the positions that mark them as done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    pub records: Vec<Record>,
    /// The first position of each partition in the batch: where to rewind to.
    pub from: Positions,
    /// The positions after the records.
    pub upto: Positions,
}

impl Batch {
    /// The batch of `records`, which must be in offset order within each partition.
    pub fn of(records: Vec<Record>) -> Self {
        let (mut from, mut upto) = (Positions::new(), Positions::new());
        for Record { origin, .. } in &records {
            let partition = origin.topic_partition();
            from.entry(partition.clone()).or_insert(NextOffset::at(origin.offset));
            upto.insert(partition, NextOffset::after(origin.offset));
        }
        Self { records, from, upto }
    }

    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }
}

/// How much one batch may hold, and how long to wait for it.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    pub records: usize,
    pub bytes: usize,
    pub linger: Duration,
}

/// Why a batch was not committed. A closed list: it is a metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AbortReason {
    /// The log refused a record of the batch for what it is (too large, invalid): poison.
    RecordRefused,
    /// An output could not be delivered in time.
    Delivery,
    /// Partitions moved between reading and committing.
    Rebalance,
    /// The positions were not accepted.
    Offsets,
    /// The commit itself was not accepted.
    Commit,
    /// Another producer took over, or the broker ended the transaction.
    Fenced,
    /// Not authorised to write or to commit.
    Unauthorized,
    /// The outcome of a commit stayed unknown; the committed positions decided.
    Unknown,
    /// The service is stopping and the deadline left no time.
    Shutdown,
}

impl AbortReason {
    pub const ALL: [Self; 9] = [
        Self::RecordRefused,
        Self::Delivery,
        Self::Rebalance,
        Self::Offsets,
        Self::Commit,
        Self::Fenced,
        Self::Unauthorized,
        Self::Unknown,
        Self::Shutdown,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::RecordRefused => "record_refused",
            Self::Delivery => "delivery",
            Self::Rebalance => "rebalance",
            Self::Offsets => "offsets",
            Self::Commit => "commit",
            Self::Fenced => "fenced",
            Self::Unauthorized => "unauthorized",
            Self::Unknown => "unknown",
            Self::Shutdown => "shutdown",
        }
    }

    /// Whether the batch's own content is the cause, so that a smaller batch may pass.
    pub fn blames_a_record(self) -> bool {
        matches!(self, Self::RecordRefused)
    }
}

/// What a log could not do.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Nothing of the batch happened; the log has rewound itself, so call [`Log::next`] again.
    #[error("the batch was aborted: {}", .0.as_str())]
    Aborted(AbortReason),
    /// This process cannot go on; the message says what to do about it.
    #[error("{0}")]
    Fatal(String),
}

/// Reads one topic from its start, without a group: for state that lives in the log.
pub trait Follow: Send {
    /// Hands every committed record that was not handed out before to `each`, up to what was
    /// written when this was called. Waits for transactions that are open at that moment.
    ///
    /// # Errors
    /// [`LogError::Aborted`] only when the service stops, [`LogError::Fatal`] when the process must
    /// end, also because the topic is shorter than it was: everything that may pass is waited for.
    fn catch_up(&mut self, each: &mut dyn FnMut(Record)) -> Result<(), LogError>;
}

/// A durable, partitioned sequence of records with atomic consume-transform-produce.
pub trait Log {
    /// Waits up to `limit.linger` for records; an empty batch means that none came.
    ///
    /// # Errors
    /// [`LogError::Fatal`] only: everything that may pass is retried inside.
    fn next(&mut self, limit: Limit) -> Result<Batch, LogError>;

    /// Makes all of `outputs` and the positions `upto` of a batch that begins at `from` visible, or
    /// none of it. `upto` may be `from`: then the outputs come and no position moves.
    ///
    /// # Errors
    /// [`LogError::Aborted`]: nothing happened and the log has rewound to `from` (or to what the
    /// broker says is committed). Where no position moves, none can tell how a commit of unknown
    /// outcome ended: it counts as aborted, so such outputs must bear being there already.
    /// [`LogError::Fatal`]: the process must end.
    fn commit(
        &mut self,
        from: &Positions,
        upto: &Positions,
        outputs: Vec<Outgoing>,
    ) -> Result<(), LogError>;

    /// Leaves cleanly: no batch may be open. Must return within a few seconds; if a library hangs, the
    /// process ends with `exit_code`.
    fn close(self: Box<Self>, exit_code: i32);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_knows_where_each_partition_begins_and_goes_on() {
        let record = |(partition, offset)| {
            let origin = Origin { topic: "t".into(), partition, offset };
            Record { origin, key: None, value: None, headers: Vec::new(), timestamp_ms: None }
        };
        let batch = Batch::of([(0, 5), (1, 2), (0, 9)].map(record).to_vec());
        let offsets = |positions: &Positions| {
            positions.iter().map(|(tp, at)| (tp.partition, at.get())).collect::<Vec<_>>()
        };
        assert_eq!(offsets(&batch.from), [(0, 5), (1, 2)]);
        assert_eq!(offsets(&batch.upto), [(0, 10), (1, 3)]);
        assert_eq!(Batch::of(Vec::new()), Batch::default());
    }
}
