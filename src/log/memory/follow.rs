//! Reading a whole topic without a group.

use super::MemoryCluster;
use crate::log::{Follow, LogError, Record, TopicPartition};

impl MemoryCluster {
    /// A reader of a topic's first partition.
    pub fn follow(&self, topic: &str) -> MemoryFollow {
        let topic = TopicPartition { topic: topic.into(), partition: 0 };
        MemoryFollow { cluster: self.clone(), topic, at: 0 }
    }
}

/// A reader of one partition of a [`MemoryCluster`].
pub struct MemoryFollow {
    cluster: MemoryCluster,
    topic: TopicPartition,
    at: i64,
}

impl Follow for MemoryFollow {
    fn catch_up(&mut self, each: &mut dyn FnMut(Record)) -> Result<(), LogError> {
        let found = self.cluster.lock().read(&self.topic, self.at, usize::MAX);
        for committed in found {
            self.at = committed.record.origin.offset + 1;
            each(committed.record);
        }
        Ok(())
    }
}
