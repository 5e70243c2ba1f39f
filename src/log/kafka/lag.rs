//! Lag, from the figures that librdkafka hands out every few seconds and our own positions. Its
//! own `consumer_lag` knows nothing of positions that are committed in transactions.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::log::{Positions, TopicPartition};

/// How far a partition reaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PartitionEnd {
    pub topic: String,
    pub partition: i32,
    /// The last stable offset: readers of committed records get no further.
    pub end: i64,
    /// Where the consumer began, if it knows.
    pub start: Option<i64>,
    /// All that there is was fetched and handed on. Behind the last record may still be ends of
    /// transactions, which nobody reads and which are no lag.
    pub drained: bool,
}

/// What one report of figures says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub connected: bool,
    pub ends: Vec<PartitionEnd>,
}

#[derive(Deserialize)]
struct Statistics {
    #[serde(default)]
    brokers: BTreeMap<String, Broker>,
    #[serde(default)]
    topics: BTreeMap<String, Topic>,
}

#[derive(Deserialize)]
struct Broker {
    #[serde(default)]
    state: String,
}

#[derive(Deserialize)]
struct Topic {
    #[serde(default)]
    partitions: BTreeMap<String, Partition>,
}

#[derive(Deserialize)]
struct Partition {
    partition: i32,
    ls_offset: i64,
    hi_offset: i64,
    committed_offset: i64,
    lo_offset: i64,
    #[serde(default)]
    fetchq_cnt: u64,
    #[serde(default)]
    next_offset: i64,
}

/// Reads a report; `None` if it is not one.
pub(super) fn read(statistics: &[u8]) -> Option<Seen> {
    let statistics: Statistics = serde_json::from_slice(statistics).ok()?;
    let known = |offset: i64| (offset >= 0).then_some(offset);
    let ends = statistics
        .topics
        .into_iter()
        .flat_map(|(topic, t)| t.partitions.into_values().map(move |p| (topic.clone(), p)))
        .filter_map(|(topic, p)| {
            let stable = known(p.ls_offset);
            let drained = p.fetchq_cnt == 0 && stable.is_some_and(|stable| p.next_offset >= stable);
            Some(PartitionEnd {
                topic,
                partition: p.partition,
                end: stable.or(known(p.hi_offset))?,
                start: known(p.committed_offset).or(known(p.lo_offset)),
                drained,
            })
        })
        .collect();
    let connected = statistics.brokers.values().any(|b| b.state == "UP");
    Some(Seen { connected, ends })
}

/// Messages behind, by topic, over the partitions that `owned` admits. Of those that `open` admits
/// something was handed on that is not committed.
pub(super) fn behind(
    ends: &[PartitionEnd],
    positions: &Positions,
    owned: impl Fn(&TopicPartition) -> bool,
    open: impl Fn(&TopicPartition) -> bool,
) -> BTreeMap<String, i64> {
    let mut lag = BTreeMap::new();
    for end in ends {
        let partition =
            TopicPartition { topic: end.topic.as_str().into(), partition: end.partition };
        if !owned(&partition) {
            continue;
        }
        let at = positions.get(&partition).map(|p| p.get()).or(end.start).unwrap_or(end.end);
        let nothing_left = end.drained && !open(&partition);
        let behind = if nothing_left { 0 } else { (end.end - at).max(0) };
        *lag.entry(end.topic.clone()).or_insert(0) += behind;
    }
    lag
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::NextOffset;

    #[test]
    fn lag_is_the_stable_end_less_our_own_position() {
        let json = br#"{"brokers":{"b:1":{"state":"UP"},"c":{"state":"DOWN"}},"topics":{"t":{
            "age":1,"partitions":{
              "0":{"partition":0,"ls_offset":100,"hi_offset":120,"lo_offset":0,"committed_offset":40,"x":[1]},
              "1":{"partition":1,"ls_offset":50,"hi_offset":50,"lo_offset":10,"committed_offset":-1001},
              "2":{"partition":2,"ls_offset":-1001,"hi_offset":7,"lo_offset":-1001,"committed_offset":-1001},
              "-1":{"partition":-1,"ls_offset":-1001,"hi_offset":-1001,"lo_offset":-1001,"committed_offset":-1001}}}}}"#;
        let seen = read(json).unwrap();
        assert!(seen.connected);
        assert_eq!(seen.ends.len(), 3);
        let at = |partition| TopicPartition { topic: "t".into(), partition };
        let positions = Positions::from([(at(0), NextOffset::at(90))]);
        let behind = |owned: fn(&TopicPartition) -> bool| {
            super::behind(&seen.ends, &positions, owned, |_| false)["t"]
        };
        assert_eq!((behind(|_| true), behind(|p| p.partition == 1)), (10 + 40, 40));
        assert!(read(b"{").is_none());
    }

    #[test]
    fn ends_of_transactions_behind_the_last_record_are_no_lag() {
        let report = |queued: u32, next: i64| {
            let json = format!(
                r#"{{"topics":{{"t":{{"partitions":{{"0":{{"partition":0,"ls_offset":12,"hi_offset":12,
                "lo_offset":0,"committed_offset":4,"fetchq_cnt":{queued},"next_offset":{next}}}}}}}}}}}"#
            );
            read(json.as_bytes()).unwrap().ends
        };
        let partition = TopicPartition { topic: "t".into(), partition: 0 };
        let behind = |ends: &[PartitionEnd], at: i64, open: bool| {
            let positions = Positions::from([(partition.clone(), NextOffset::at(at))]);
            super::behind(ends, &positions, |_| true, |_| open)["t"]
        };
        // The last record is number 10, and everything was handed on: what is not committed counts.
        assert_eq!(behind(&report(0, 12), 11, false), 0);
        assert_eq!(behind(&report(0, 12), 8, true), 4);
        // Not everything was fetched, or handed on.
        assert_eq!(behind(&report(0, 11), 11, false), 1);
        assert_eq!(behind(&report(1, 12), 9, false), 3);
    }
}
