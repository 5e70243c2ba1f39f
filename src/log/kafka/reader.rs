//! The consumer: batches that no rebalance crossed, rewinding, and lag.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::Message;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerGroupMetadata};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode as Code};
use rdkafka::message::BorrowedMessage;
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::{Offset, TopicPartitionList};

use super::classify;
use super::context::{ConsumerEvents, REFUSALS_AT_WORK};
use super::lag;
use super::often::Seldom;
use super::record::record;
use super::settings::KafkaSettings;
use super::wait::Patience;
use crate::log::{Batch, Limit, NextOffset, Origin, Positions, Record, TopicPartition};
use crate::metrics::{Metrics, unix_seconds};

/// The longest that one poll blocks.
const SLICE: Duration = Duration::from_millis(500);
/// Longer would keep the thread from polling until the session is lost.
const QUERY: Duration = Duration::from_secs(2);

/// Why a consumer cannot go on.
#[derive(Debug)]
pub(super) enum Broken {
    /// A new consumer puts it right.
    Rebuild(String),
    /// Another member took this one's name. A new consumer takes it back.
    Fenced(String),
    Denied(String),
}

pub(super) struct Reader {
    consumer: BaseConsumer<ConsumerEvents>,
    topics: Vec<Arc<str>>,
    drop_revoked: bool,
    /// Where each owned partition goes on after what was committed, once this worker knows.
    positions: Positions,
    /// The same after what was handed out.
    read: Positions,
    metrics: Arc<Metrics>,
    patience: Patience,
    worker: String,
    epoch: u64,
    warning: Seldom,
}

impl Reader {
    pub fn open(
        settings: &KafkaSettings,
        metrics: &Arc<Metrics>,
        patience: &Patience,
        worker: usize,
    ) -> KafkaResult<Self> {
        let events = ConsumerEvents::new(Arc::clone(metrics), Arc::clone(&patience.health));
        let consumer: BaseConsumer<_> = settings.consumer().create_with_context(events)?;
        Ok(Self {
            consumer,
            topics: settings.inputs.clone(),
            drop_revoked: settings.defences.rebalances,
            positions: Positions::new(),
            read: Positions::new(),
            metrics: Arc::clone(metrics),
            patience: patience.clone(),
            worker: worker.to_string(),
            epoch: 0,
            warning: Seldom::default(),
        })
    }

    pub fn subscribe(&self) -> KafkaResult<()> {
        let topics: Vec<&str> = self.topics.iter().map(|t| &**t).collect();
        self.consumer.subscribe(&topics)
    }

    pub fn consumer(&self) -> &BaseConsumer<ConsumerEvents> {
        &self.consumer
    }

    fn events(&self) -> &ConsumerEvents {
        self.consumer.context()
    }

    /// Collects records until the limit is reached. Partitions that are revoked meanwhile take
    /// their records with them: their next owner reads them again.
    pub fn next(&mut self, limit: Limit) -> Result<Batch, Broken> {
        let until = Instant::now() + limit.linger;
        let mut records: Vec<Record> = Vec::new();
        let mut bytes = 0;
        self.show_life();
        while records.len() < limit.records && bytes < limit.bytes {
            let wait = until.saturating_duration_since(Instant::now());
            let polled = self.poll(wait.min(SLICE));
            if self.events().epoch() != self.epoch {
                self.after_rebalance(&mut records);
            }
            match polled? {
                Some(record) => {
                    bytes += record.value.as_ref().map_or(0, Vec::len);
                    records.push(record);
                }
                None => {
                    self.show_life();
                    if Instant::now() >= until || self.patience.stop.requested() {
                        break;
                    }
                }
            }
        }
        if !records.is_empty() {
            self.patience.health.connected(true);
            self.events().accepted();
        }
        if let Some(again) = read_again(&mut self.read, &records) {
            return Err(Broken::Rebuild(format!("{again} was read already")));
        }
        self.report_lag(&records);
        Ok(Batch::of(records))
    }

    fn poll(&mut self, wait: Duration) -> Result<Option<Record>, Broken> {
        match self.consumer.poll(wait) {
            None => Ok(None),
            Some(Ok(message)) => Ok(Some(self.record(&message))),
            Some(Err(error @ KafkaError::MessageConsumptionFatal(_))) => {
                // The error itself only says that there is one.
                match self.consumer.client().fatal_error() {
                    Some((Code::FencedInstanceId, why)) => Err(Broken::Fenced(why)),
                    Some((_, why)) => Err(Broken::Rebuild(why)),
                    None => Err(Broken::Rebuild(error.to_string())),
                }
            }
            Some(Err(error)) => self.note(&error).map(|()| None),
        }
    }

    fn record(&self, message: &BorrowedMessage<'_>) -> Record {
        let name = message.topic();
        let topic = self.topics.iter().find(|t| &***t == name);
        record(message, topic.map_or_else(|| name.into(), Arc::clone))
    }

    /// Errors that polling reports are news, not the end: librdkafka goes on by itself.
    fn note(&mut self, error: &KafkaError) -> Result<(), Broken> {
        match error.rdkafka_error_code() {
            // The consumer's context has counted this one already.
            Some(code)
                if classify::is_unauthorized(code)
                    && self.events().refusals() >= REFUSALS_AT_WORK =>
            {
                return Err(Broken::Denied(error.to_string()));
            }
            Some(Code::AllBrokersDown) => self.patience.health.connected(false),
            _ => {}
        }
        if self.warning.due() {
            tracing::warn!(%error, "reading from Kafka is disturbed; going on");
        }
        Ok(())
    }

    fn after_rebalance(&mut self, records: &mut Vec<Record>) {
        self.epoch = self.events().epoch();
        let departed = self.events().take_departed();
        self.positions.retain(|partition, _| !departed.partitions.contains(partition));
        self.read.retain(|partition, _| !departed.partitions.contains(partition));
        if self.drop_revoked && !departed.partitions.is_empty() {
            records.retain(|r| !departed.partitions.contains(&r.origin.topic_partition()));
        }
        let owned = self.events().owned().len();
        if departed.lost {
            self.patience.health.unassigned();
        } else {
            self.patience.health.assigned(owned);
        }
        self.metrics
            .assigned_partitions
            .with_label_values(&[&self.worker])
            .set(i64::try_from(owned).unwrap_or(i64::MAX));
        tracing::info!(
            owned,
            departed = departed.partitions.len(),
            lost = departed.lost,
            "partitions were handed out anew"
        );
    }

    fn show_life(&self) {
        self.patience.health.turned();
        self.metrics.last_poll.with_label_values(&[&self.worker]).set(unix_seconds());
    }

    /// `open` is what was handed on and is not committed.
    fn report_lag(&self, open: &[Record]) {
        let Some(ends) = self.events().take_ends() else { return };
        let open: BTreeSet<_> = open.iter().map(|r| r.origin.topic_partition()).collect();
        let owned = |p: &TopicPartition| self.events().owns(p);
        let mut behind = lag::behind(&ends, &self.positions, owned, |p| open.contains(p));
        let mut total = 0;
        for topic in &self.topics {
            let lag = behind.remove(&**topic).unwrap_or(0);
            total += lag;
            self.metrics.lag_messages.with_label_values(&[&**topic, &self.worker]).set(lag);
        }
        self.patience.health.lag(total);
    }

    /// Whether all of these partitions are still this worker's.
    pub fn holds(&self, positions: &Positions) -> bool {
        !self.consumer.assignment_lost() && positions.keys().all(|p| self.events().owns(p))
    }

    /// The group's generation as of now, by which the broker tells members from leavers.
    pub fn group(&self) -> Option<ConsumerGroupMetadata> {
        self.consumer.group_metadata()
    }

    /// Notes that everything before `upto` is done with.
    pub fn advance(&mut self, upto: &Positions) {
        self.positions.extend(upto.iter().map(|(p, o)| (p.clone(), *o)));
    }

    pub fn positions(&self) -> &Positions {
        &self.positions
    }

    /// Notes what the broker says is committed of this worker's partitions.
    pub fn stand_at(&mut self, committed: &Positions) {
        let ours = committed.iter().filter(|(p, _)| self.consumer.context().owns(p));
        self.positions.extend(ours.map(|(p, at)| (p.clone(), *at)));
    }

    /// Reads on from `starts`, where the partition is still this worker's. What is known to be
    /// committed stays: it may be before the end of a transaction, and the first record behind it.
    pub fn seek(&mut self, starts: &Positions) -> KafkaResult<()> {
        let mut ours = starts.clone();
        ours.retain(|partition, _| self.events().owns(partition));
        if ours.is_empty() {
            return Ok(());
        }
        let done = self.consumer.seek_partitions(list(&ours)?, QUERY)?;
        self.read.extend(ours);
        done.elements().iter().try_for_each(TopicPartitionListElem::error)
    }

    /// What the broker says is committed; partitions without a commit are absent.
    pub fn committed<'a>(
        &self,
        partitions: impl Iterator<Item = &'a TopicPartition>,
    ) -> KafkaResult<BTreeMap<TopicPartition, NextOffset>> {
        let mut list = TopicPartitionList::new();
        for partition in partitions {
            list.add_partition(&partition.topic, partition.partition);
        }
        if list.count() == 0 {
            return Ok(BTreeMap::new());
        }
        let list = self.consumer.committed_offsets(list, QUERY)?;
        let mut committed = BTreeMap::new();
        for element in list.elements() {
            element.error()?;
            if let Offset::Offset(offset) = element.offset() {
                let partition = TopicPartition {
                    topic: element.topic().into(),
                    partition: element.partition(),
                };
                committed.insert(partition, NextOffset::at(offset));
            }
        }
        Ok(committed)
    }
}

/// The first record from before where its partition was read to, if there is one: nobody asked for
/// it, so the client's position is not what it should be. Otherwise notes all as read.
fn read_again(read: &mut Positions, records: &[Record]) -> Option<Origin> {
    for Record { origin, .. } in records {
        let next = read.entry(origin.topic_partition()).or_insert(NextOffset::at(origin.offset));
        if NextOffset::at(origin.offset) < *next {
            return Some(origin.clone());
        }
        *next = NextOffset::after(origin.offset);
    }
    None
}

/// Positions as librdkafka wants them.
pub(super) fn list(positions: &Positions) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::with_capacity(positions.len());
    for (partition, offset) in positions {
        list.add_partition_offset(
            &partition.topic,
            partition.partition,
            Offset::Offset(offset.get()),
        )?;
    }
    Ok(list)
}

#[cfg(test)]
mod tests;
