//! Partitions that nobody has. A static member that dies between giving partitions away and joining
//! again comes back to what it had then: its return is no rebalance, so what it gave away stays with
//! nobody, and is in no member's lag. So members look at the whole group, and where something is left
//! over the first of them has a guest join and leave again, which makes the group deal anew.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaResult;
use rdkafka::groups::GroupMemberInfo;
use rdkafka::metadata::MetadataTopic;

use super::context::ConsumerEvents;
use super::settings::KafkaSettings;
use super::tool::Quiet;
use crate::log::{TopicPartition, watchdog};
use crate::metrics::Metrics;

/// How often the group is looked at. What is left over at two looks is dealt anew.
const EVERY: Duration = Duration::from_secs(10);
/// The same after the start, while the group is dealing, and where something was left over.
const SOON: Duration = Duration::from_secs(2);
/// A look that has to wait, as for a broker that is away, takes this part of a worker's time at most.
const PART: u32 = 60;
const QUERY: Duration = Duration::from_secs(1);
/// A guest that was given nothing by then leaves all the same.
const STAY: Duration = Duration::from_secs(10);

pub(super) struct Coverage {
    next: Instant,
    /// Something was left over at the last look.
    open: bool,
    guest: Option<(BaseConsumer<Quiet>, Instant)>,
}

impl Coverage {
    pub fn new() -> Self {
        Self { next: Instant::now() + SOON, open: false, guest: None }
    }

    /// Sends a guest away, if there is one.
    pub fn leave(&mut self) {
        let guest = self.guest.take();
        watchdog::within(Duration::from_secs(30), "closing a Kafka consumer", 1, || drop(guest));
    }

    /// Looks at the group through a member's `consumer`, if it is time to.
    pub fn look(
        &mut self,
        consumer: &BaseConsumer<ConsumerEvents>,
        settings: &KafkaSettings,
        metrics: &Metrics,
    ) {
        if let Some((guest, since)) = &self.guest {
            // What it reads is thrown away: it has come to be counted. Answers come while polling.
            let _ = guest.poll(Duration::ZERO);
            let came = guest.assignment().is_ok_and(|list| list.count() > 0);
            if came || since.elapsed() > STAY {
                self.leave();
            }
            return;
        }
        let begin = Instant::now();
        if begin < self.next {
            return;
        }
        let seen = left_over(consumer, settings, metrics);
        let pause = match &seen {
            Ok(Some((_, 0))) | Err(_) => EVERY,
            Ok(_) => SOON,
        };
        self.next = Instant::now() + pause.max(begin.elapsed() * PART);
        // Brokers that do not answer, or do not let us ask, are somebody else's news.
        let Ok(Some((mine, left_over))) = seen else { return };
        let before = std::mem::replace(&mut self.open, left_over > 0);
        if left_over == 0 || !before || !mine {
            return;
        }
        tracing::warn!(partitions = left_over, "nobody in the group has them; they are dealt anew");
        self.open = false;
        self.guest = invite(settings).ok().map(|guest| (guest, Instant::now()));
    }
}

/// How many partitions nobody has, and whether it is this member's turn to do something about it; none
/// while the group is dealing.
fn left_over(
    consumer: &BaseConsumer<ConsumerEvents>,
    settings: &KafkaSettings,
    metrics: &Metrics,
) -> KafkaResult<Option<(bool, usize)>> {
    let groups = consumer.fetch_group_list(Some(&settings.group), QUERY)?;
    let Some(group) = groups.groups().first().filter(|group| group.state() == "Stable") else {
        return Ok(None);
    };
    let mut taken = BTreeSet::new();
    for member in group.members() {
        match member.assignment().and_then(assigned) {
            Some(partitions) => taken.extend(partitions),
            // Nothing can be said of a group whose members are not understood.
            None => return Ok(None),
        }
    }
    let mut all = 0;
    for topic in &settings.inputs {
        let metadata = consumer.fetch_metadata(Some(topic), QUERY)?;
        let partitions = metadata.topics().iter().flat_map(MetadataTopic::partitions);
        let open = partitions.filter(|p| !taken.contains(&at(topic, p.id()))).count();
        all += open;
        let gauge = &metrics.unassigned_partitions;
        gauge.with_label_values(&[&**topic]).set(i64::try_from(open).unwrap_or(i64::MAX));
    }
    let first = group.members().iter().map(GroupMemberInfo::client_id).min();
    Ok(Some((first == Some(settings.name.as_str()), all)))
}

/// A member without a name of its own: its coming and going are rebalances.
fn invite(settings: &KafkaSettings) -> KafkaResult<BaseConsumer<Quiet>> {
    let guest: BaseConsumer<Quiet> = settings.guest().create_with_context(Quiet)?;
    let topics: Vec<&str> = settings.inputs.iter().map(|topic| &**topic).collect();
    guest.subscribe(&topics)?;
    Ok(guest)
}

/// A member's partitions, as the consumer protocol writes them (`ConsumerProtocolAssignment`: a version,
/// then topics with their partitions); none if it is written otherwise.
fn assigned(bytes: &[u8]) -> Option<Vec<TopicPartition>> {
    // A member that has nothing may have no assignment at all.
    if bytes.is_empty() {
        return Some(Vec::new());
    }
    let mut rest = bytes.get(2..)?;
    let mut found = Vec::new();
    for _ in 0..number(&mut rest)? {
        let (length, after) = rest.split_first_chunk::<2>()?;
        let (name, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        rest = after;
        let topic = Arc::from(std::str::from_utf8(name).ok()?);
        for _ in 0..number(&mut rest)? {
            found.push(at(&topic, number(&mut rest)?));
        }
    }
    Some(found)
}

fn at(topic: &Arc<str>, partition: i32) -> TopicPartition {
    TopicPartition { topic: Arc::clone(topic), partition }
}

fn number(rest: &mut &[u8]) -> Option<i32> {
    let (bytes, after) = rest.split_first_chunk::<4>()?;
    *rest = after;
    Some(i32::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assignments_are_read_and_others_are_not() {
        let mut bytes = vec![0, 3, 0, 0, 0, 2];
        for (topic, partitions) in [("a.new", &[0, 4][..]), ("b", &[])] {
            bytes.extend([0, topic.len() as u8]);
            bytes.extend(topic.as_bytes());
            bytes.extend((partitions.len() as i32).to_be_bytes());
            partitions.iter().for_each(|p: &i32| bytes.extend(p.to_be_bytes()));
        }
        let whole = bytes.clone();
        bytes.extend([255, 255, 255, 255]);
        let expected = vec![at(&"a.new".into(), 0), at(&"a.new".into(), 4)];
        assert_eq!(assigned(&bytes), Some(expected));
        assert_eq!(assigned(&[]), Some(Vec::new()));
        for cut in 1..whole.len() {
            assert_eq!(assigned(&whole[..cut]), None, "{cut} bytes");
        }
    }
}
