//! What came of calls whose batch was not committed yet: they are not made again when it comes back.

use std::collections::HashMap;

use super::perform::Carried;
use crate::log::{Origin, Positions};

/// When a call was made, in milliseconds since 1970, and what came of it.
pub(super) type Call = (i64, Carried);

/// Calls by the record that asked for them.
#[derive(Default)]
pub(super) struct Kept(HashMap<Origin, Call>);

impl Kept {
    pub fn get(&self, origin: &Origin) -> Option<&Call> {
        self.0.get(origin)
    }

    pub fn has(&self, origin: &Origin) -> bool {
        self.0.contains_key(origin)
    }

    pub fn add(&mut self, calls: impl IntoIterator<Item = (Origin, Call)>) {
        self.0.extend(calls);
    }

    /// The record is done with.
    pub fn drop_one(&mut self, origin: &Origin) {
        self.0.remove(origin);
    }

    /// A batch begins at `from`, so whatever is before was committed, by whomever.
    pub fn drop_before(&mut self, from: &Positions) {
        self.0.retain(|origin, _| {
            from.get(&origin.topic_partition()).is_none_or(|first| origin.offset >= first.get())
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::{NextOffset, TopicPartition};
    use crate::resolve::guard::Guard;
    use crate::stage::resolve::perform::Trouble;

    #[test]
    fn what_is_before_the_batch_is_let_go_and_nothing_else() {
        let origin = |topic: &str, offset| Origin { topic: topic.into(), partition: 0, offset };
        let call = (0, Carried::uncalled(Trouble::of(Guard::Busy)));
        let mut kept = Kept::default();
        kept.add((0..6).map(|offset| (origin("a", offset), call.clone())));
        kept.add([(origin("b", 0), call.clone())]);
        let tp = |topic: &str| TopicPartition { topic: topic.into(), partition: 0 };
        kept.drop_before(&[(tp("a"), NextOffset::at(4))].into());
        let left = (0..6).filter(|offset| kept.has(&origin("a", *offset)));
        assert_eq!(left.collect::<Vec<_>>(), [4, 5]);
        // Of a partition that the batch has nothing of, nothing is known.
        assert_eq!(kept.get(&origin("b", 0)), Some(&call));
        kept.drop_one(&origin("b", 0));
        assert!(!kept.has(&origin("b", 0)));
    }
}
