//! How long records are kept.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Which old records go.
#[derive(Clone, Debug)]
pub struct Retention {
    /// Records that are stored for longer go once every group has passed them.
    pub age: Duration,
    /// Topics with another age; `None`: nothing of them ever goes.
    pub ages: BTreeMap<Arc<str>, Option<Duration>>,
}

impl Retention {
    /// The age of a topic's records; `None` keeps all.
    pub(super) fn age_of(&self, topic: &str) -> Option<Duration> {
        self.ages.get(topic).copied().unwrap_or(Some(self.age))
    }
}
