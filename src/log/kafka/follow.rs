//! Reading a whole topic of one partition without a group: state that lives in the log.

use std::cmp::Ordering;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{Message as _, Offset, TopicPartitionList};

use super::record::record;
use super::settings::KafkaSettings;
use super::tool::{Quiet, ToolError, partitions};
use super::wait::Patience;
use crate::health::{Stop, WorkerHealth};
use crate::log::{AbortReason, Follow, LogError, Record};

const QUERY: Duration = Duration::from_secs(3);
/// The longest that one poll blocks.
const SLICE: Duration = Duration::from_millis(100);
/// How often it is asked again whether an open transaction has ended.
const OPEN: Duration = Duration::from_millis(20);
/// After so long without getting to the end, the reading begins anew where it stands.
const ANEW: Duration = Duration::from_secs(10);
/// For so long a topic must be seen shorter than it was: a broker that is behind may say so once.
const SURE: Duration = Duration::from_secs(2);

/// A reader of one topic's committed records, from its start.
pub struct KafkaFollow {
    topic: Arc<str>,
    /// Sees committed records only, and its end is the last stable offset.
    consumer: BaseConsumer<Quiet>,
    /// Sees where the topic really ends, open transactions included.
    watcher: BaseConsumer<Quiet>,
    /// The offset to read next.
    at: i64,
    /// Everything before it was read.
    end: i64,
    patience: Patience,
}

impl KafkaFollow {
    /// Connects; the topic must be there and have one partition.
    ///
    /// # Errors
    /// [`LogError::Fatal`] says what is wrong with the topic or the connection.
    pub fn open(
        settings: &KafkaSettings,
        topic: &Arc<str>,
        health: Arc<WorkerHealth>,
        stop: Stop,
    ) -> Result<Self, LogError> {
        let client = |isolation: &str| {
            let mut config = settings.plain_consumer();
            config.set("isolation.level", isolation);
            // An empty fetch would wait for all of this.
            config.set("fetch.wait.max.ms", "5");
            config.create_with_context(Quiet).map_err(super::unusable)
        };
        let consumer: BaseConsumer<Quiet> = client("read_committed")?;
        one_partition(settings, &consumer, topic).map_err(|e| LogError::Fatal(e.to_string()))?;
        let watcher = client("read_uncommitted")?;
        Ok(Self {
            topic: Arc::clone(topic),
            consumer,
            watcher,
            at: 0,
            end: 0,
            patience: Patience { health, stop },
        })
    }

    /// Where everything that was written before this call ends. Waits for the transactions that
    /// are open: they may belong to the one that worked here before.
    fn settled_end(&self) -> Result<Option<(i64, i64)>, KafkaError> {
        let (low, high) = self.watcher.fetch_watermarks(&self.topic, 0, QUERY)?;
        let (_, stable) = self.consumer.fetch_watermarks(&self.topic, 0, QUERY)?;
        Ok((stable >= high).then_some((low, high)))
    }

    fn read_to(
        &mut self,
        low: i64,
        end: i64,
        each: &mut dyn FnMut(Record),
    ) -> Result<bool, KafkaError> {
        // A new assignment, so that the end that is reported is the end as of now.
        let mut list = TopicPartitionList::new();
        self.at = self.at.max(low);
        list.add_partition_offset(&self.topic, 0, Offset::Offset(self.at))?;
        self.consumer.assign(&list)?;
        let until = Instant::now() + ANEW;
        while Instant::now() < until && !self.patience.stop.overdue() {
            self.patience.health.turned();
            match self.consumer.poll(SLICE) {
                Some(Ok(message)) => {
                    self.at = message.offset() + 1;
                    each(record(&message, Arc::clone(&self.topic)));
                    if self.at >= end {
                        self.end = end;
                        return Ok(true);
                    }
                }
                Some(Err(KafkaError::PartitionEOF(_))) => {
                    self.end = end;
                    return Ok(true);
                }
                Some(Err(error)) => tracing::debug!(%error, "reading is disturbed; going on"),
                None => {}
            }
        }
        Ok(false)
    }

    /// What was read is not what the topic holds now, and cannot be read again.
    fn shrunk(&self, high: i64) -> LogError {
        LogError::Fatal(format!(
            "the topic {} was read up to offset {} and now ends at {high}: it was deleted and made \
             anew, or cut short, so that what was recorded in it is not known any more; see that it \
             holds what it should, then start this service again",
            self.topic, self.end
        ))
    }
}

impl Follow for KafkaFollow {
    fn catch_up(&mut self, each: &mut dyn FnMut(Record)) -> Result<(), LogError> {
        let mut said = false;
        let mut shorter: Option<Instant> = None;
        loop {
            match self.settled_end() {
                Ok(Some((low, high))) => match high.cmp(&self.end) {
                    Ordering::Equal => return Ok(()),
                    Ordering::Greater => {
                        shorter = None;
                        if self.read_to(low, high, each).map_err(super::unusable)? {
                            return Ok(());
                        }
                    }
                    Ordering::Less => {
                        if shorter.get_or_insert_with(Instant::now).elapsed() >= SURE {
                            return Err(self.shrunk(high));
                        }
                    }
                },
                Ok(None) => {}
                Err(error) if !said => {
                    said = true;
                    tracing::warn!(%error, topic = %self.topic, "waiting for Kafka to say where the topic ends");
                }
                Err(_) => {}
            }
            self.patience.health.turned();
            if !self.patience.sleep(OPEN) {
                return Err(LogError::Aborted(AbortReason::Shutdown));
            }
        }
    }
}

/// Refuses a topic that is missing or has several partitions.
///
/// # Errors
/// [`ToolError`] says which.
fn one_partition(
    settings: &KafkaSettings,
    consumer: &BaseConsumer<Quiet>,
    topic: &str,
) -> Result<(), ToolError> {
    match partitions(settings, consumer, topic)?.len() {
        1 => Ok(()),
        found => Err(ToolError::Partitions { topic: topic.to_owned(), found }),
    }
}

/// Whether a topic that must have one partition has it.
///
/// # Errors
/// [`LogError::Fatal`] if it is missing, has more, or cannot be looked at.
pub fn check_one_partition(settings: &KafkaSettings, topic: &str) -> Result<(), LogError> {
    let consumer = settings.plain_consumer().create_with_context(Quiet);
    let consumer: BaseConsumer<Quiet> = consumer.map_err(super::unusable)?;
    one_partition(settings, &consumer, topic).map_err(|e| LogError::Fatal(e.to_string()))
}

#[cfg(test)]
mod tests {
    use rdkafka::mocking::MockCluster;

    use super::super::tool;
    use super::*;
    use crate::log::NewRecord;

    #[test]
    fn a_topic_that_is_shorter_than_it_was_ends_its_reader() {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("state", 1, 1).unwrap();
        let settings = KafkaSettings::new(cluster.bootstrap_servers(), "g", "n");
        let put = || tool::put(&settings, "state", vec![NewRecord::default(); 2]).unwrap();
        assert_eq!(put().written, 2);
        let topic = "state".into();
        let mut follow =
            KafkaFollow::open(&settings, &topic, WorkerHealth::new(), Stop::new()).unwrap();
        let read = |follow: &mut KafkaFollow| {
            let mut records = 0;
            follow.catch_up(&mut |_| records += 1)?;
            Ok::<_, LogError>(records)
        };
        assert_eq!(read(&mut follow).unwrap(), 2);
        assert_eq!(read(&mut follow).unwrap(), 0, "nothing is new");
        assert_eq!(put().written, 2);
        assert_eq!(read(&mut follow).unwrap(), 2);
        // As if it had held six records more when it was read.
        follow.end += 6;
        let error = read(&mut follow).expect_err("it is another topic now").to_string();
        assert!(error.contains("state was read up to offset 10 and now ends at 4"), "{error}");
    }
}
