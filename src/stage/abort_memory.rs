//! How the loop answers an abort: how long to wait, how large the next batch may be, which record
//! to give up on, and when to give up altogether. Pure: no clock, no log.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::log::{AbortReason, Batch, Origin};

/// Aborts of one kind in a row before they are taken for lasting.
const PATIENCE: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What is written in place of the outputs of a record that the log refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sentence {
    /// A dead letter with the record's value.
    DeadLetter,
    /// A dead letter without the value: the log refused that one too.
    Reference,
}

/// The loop's memory of aborts, and what follows from it.
///
/// A batch that the log refuses for its content [`PATIENCE`] times is halved, again at every
/// further refusal, until the poisonous record stands alone; its dead letter takes the place of
/// its outputs, and the batch size recovers. Aborts for any other reason only cost time.
#[derive(Debug)]
pub struct AbortMemory {
    configured: usize,
    records: usize,
    aborts: u32,
    refusals: u32,
    unauthorized: u32,
    commits_since_refusal: u32,
    condemned: BTreeMap<Origin, Sentence>,
}

impl AbortMemory {
    /// The memory of a loop whose batches hold up to `records` records.
    pub fn new(records: usize) -> Self {
        let configured = records.max(1);
        Self {
            configured,
            records: configured,
            aborts: 0,
            refusals: 0,
            unauthorized: 0,
            commits_since_refusal: 0,
            condemned: BTreeMap::new(),
        }
    }

    /// How many records the next batch may hold.
    pub fn records(&self) -> usize {
        self.records
    }

    /// Whether and how the record at `origin` is given up on.
    pub fn sentence(&self, origin: &Origin) -> Option<Sentence> {
        self.condemned.get(origin).copied()
    }

    /// `batch` was committed.
    pub fn committed(&mut self, batch: &Batch) {
        self.aborts = 0;
        self.refusals = 0;
        self.unauthorized = 0;
        let hunted = self.condemned.len();
        self.condemned.retain(|origin, _| {
            batch.upto.get(&origin.topic_partition()).is_none_or(|upto| upto.get() <= origin.offset)
        });
        let caught = self.condemned.len() < hunted;
        self.commits_since_refusal =
            if caught { 2 } else { self.commits_since_refusal.saturating_add(1) };
        // The first half of a refused batch went through: the poison is in the second half, so a
        // larger batch would only be refused again.
        if self.commits_since_refusal >= 2 {
            self.records = self.records.saturating_mul(2).min(self.configured);
        }
    }

    /// `batch` was aborted. Returns how long to wait before the next one.
    ///
    /// # Errors
    /// When waiting cannot help any more; the message says what to do.
    pub fn aborted(&mut self, reason: AbortReason, batch: &Batch) -> Result<Duration, String> {
        self.aborts = self.aborts.saturating_add(1);
        self.unauthorized =
            if reason == AbortReason::Unauthorized { self.unauthorized + 1 } else { 0 };
        if self.unauthorized >= PATIENCE {
            return Err(format!(
                "not authorised, {PATIENCE} times in a row: allow this service's user to write to \
                 its output topics, to read its input topics and its consumer group, and to use \
                 its transactional id"
            ));
        }
        if reason.blames_a_record() {
            self.refused(batch)?;
        }
        Ok(self.pause())
    }

    fn refused(&mut self, batch: &Batch) -> Result<(), String> {
        self.refusals = self.refusals.saturating_add(1);
        self.commits_since_refusal = 0;
        let hunting = self.records < self.configured;
        if !hunting && self.refusals < PATIENCE {
            return Ok(());
        }
        self.aborts = 1;
        self.records = (batch.records.len() / 2).max(1);
        if let [alone] = batch.records.as_slice() {
            let sentence = match self.sentence(&alone.origin) {
                None => Sentence::DeadLetter,
                Some(Sentence::DeadLetter) => Sentence::Reference,
                Some(Sentence::Reference) => {
                    return Err(format!(
                        "the log refuses the record {} as an output, as a dead letter, and as a \
                         dead letter without its value: raise max.message.bytes of the \
                         dead-letter topic, or move the group past this offset",
                        alone.origin
                    ));
                }
            };
            self.condemned.insert(alone.origin.clone(), sentence);
        }
        Ok(())
    }

    fn pause(&self) -> Duration {
        let doublings = self.aborts.saturating_sub(1).min(16);
        (FIRST_PAUSE * 2_u32.pow(doublings)).min(LONGEST_PAUSE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Record;

    fn batch(offsets: std::ops::Range<i64>) -> Batch {
        let record = |offset| Record {
            origin: Origin { topic: "in".into(), partition: 0, offset },
            key: None,
            value: None,
            headers: Vec::new(),
            timestamp_ms: None,
        };
        Batch::of(offsets.map(record).collect())
    }

    /// Commits everything but the batches that hold `poison`; returns the condemned record and
    /// the number of aborts it took.
    fn hunt(poison: i64, size: usize, end: i64) -> (i64, u32) {
        let mut memory = AbortMemory::new(size);
        let (mut position, mut aborts) = (0, 0);
        while position < end {
            let upto = (position + i64::try_from(memory.records()).unwrap()).min(end);
            let batch = batch(position..upto);
            if batch.records.iter().any(|r| memory.sentence(&r.origin).is_some()) {
                assert_eq!(batch.records.len(), 1);
                return (batch.records[0].origin.offset, aborts);
            }
            if (position..upto).contains(&poison) {
                aborts += 1;
                memory.aborted(AbortReason::RecordRefused, &batch).unwrap();
            } else {
                memory.committed(&batch);
                position = upto;
            }
        }
        panic!("the poison was never found");
    }

    #[test]
    fn halving_finds_exactly_the_poisonous_record_wherever_it_is() {
        for poison in 0..64 {
            for size in [1, 2, 3, 16, 50, 64, 100] {
                let (found, aborts) = hunt(poison, size, 64);
                assert_eq!(found, poison);
                assert!(aborts <= 3 + 7, "{aborts} aborts for {poison} in batches of {size}");
            }
        }
    }

    #[test]
    fn the_limit_recovers_by_doubling_after_the_dead_letter() {
        let mut memory = AbortMemory::new(8);
        for size in [8, 8, 8, 4, 2, 1] {
            assert_eq!(memory.records(), size);
            memory
                .aborted(AbortReason::RecordRefused, &batch(0..i64::try_from(size).unwrap()))
                .unwrap();
        }
        let sentence = |p: &AbortMemory| p.sentence(&batch(0..1).records[0].origin);
        assert_eq!(sentence(&memory), Some(Sentence::DeadLetter));
        memory.committed(&batch(0..1));
        assert_eq!(sentence(&memory), None);
        assert_eq!(memory.records(), 2);
        memory.committed(&batch(1..3));
        memory.committed(&batch(3..7));
        memory.committed(&batch(7..15));
        assert_eq!(memory.records(), 8);
    }

    #[test]
    fn a_refused_dead_letter_is_tried_by_reference_and_then_the_loop_gives_up() {
        let mut memory = AbortMemory::new(1);
        let alone = batch(7..8);
        let sentence = |p: &AbortMemory| p.sentence(&alone.records[0].origin);
        for _ in 0..3 {
            assert_eq!(sentence(&memory), None);
            memory.aborted(AbortReason::RecordRefused, &alone).unwrap();
        }
        assert_eq!(sentence(&memory), Some(Sentence::DeadLetter));
        memory.aborted(AbortReason::RecordRefused, &alone).unwrap();
        assert_eq!(sentence(&memory), Some(Sentence::Reference));
        let why = memory.aborted(AbortReason::RecordRefused, &alone).unwrap_err();
        assert!(why.contains("in/0@7"), "{why}");
    }

    #[test]
    fn the_environment_is_never_blamed_on_a_record() {
        let mut memory = AbortMemory::new(8);
        for _ in 0..100 {
            for reason in AbortReason::ALL {
                if !reason.blames_a_record() {
                    memory.aborted(reason, &batch(0..1)).unwrap();
                }
            }
        }
        assert_eq!(memory.records(), 8);
        assert!(memory.condemned.is_empty());
    }

    #[test]
    fn only_unauthorized_in_a_row_ends_the_process() {
        let mut memory = AbortMemory::new(8);
        for _ in 0..10 {
            memory.aborted(AbortReason::Unauthorized, &batch(0..1)).unwrap();
            memory.aborted(AbortReason::Unauthorized, &batch(0..1)).unwrap();
            memory.aborted(AbortReason::Delivery, &batch(0..1)).unwrap();
        }
        memory.aborted(AbortReason::Unauthorized, &batch(0..1)).unwrap();
        memory.aborted(AbortReason::Unauthorized, &batch(0..1)).unwrap();
        assert!(memory.aborted(AbortReason::Unauthorized, &batch(0..1)).is_err());
    }

    #[test]
    fn pauses_grow_to_a_bound_and_start_over_after_a_commit() {
        let mut memory = AbortMemory::new(8);
        let mut pauses = Vec::new();
        for _ in 0..40 {
            pauses.push(memory.aborted(AbortReason::Delivery, &batch(0..1)).unwrap());
        }
        assert!(pauses.is_sorted());
        assert_eq!((pauses[0], pauses[39]), (FIRST_PAUSE, LONGEST_PAUSE));
        memory.committed(&batch(0..1));
        assert_eq!(memory.aborted(AbortReason::Delivery, &batch(1..2)).unwrap(), FIRST_PAUSE);
    }
}
