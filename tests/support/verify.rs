//! An independent reader of the outputs, and the judgement: lost, doubled, out of order.

use super::broker::client;
use super::feed;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The topics of one run.
#[derive(Clone, Debug)]
pub struct Topics {
    pub input: String,
    pub routed: String,
    pub review: String,
    pub dead: String,
    /// Of the topics that only resolving needs.
    pub prefix: String,
}

impl Topics {
    /// `prefix` keeps several runs on one broker apart.
    pub fn named(prefix: &str) -> Self {
        let name = |suffix: &str| format!("{prefix}tickets.{suffix}");
        Self {
            input: name("new"),
            routed: name("routed"),
            review: name("review"),
            dead: name("dead"),
            prefix: prefix.to_owned(),
        }
    }

    pub fn outputs(&self) -> [&str; 3] {
        [&self.routed, &self.review, &self.dead]
    }
}

/// One output as a reader saw it.
#[derive(Clone, Debug)]
pub struct Seen {
    pub seq: u64,
    pub topic: Arc<str>,
    pub partition: i32,
    pub key: Option<String>,
    pub fed_us: u64,
    pub visible_us: u64,
    pub offset: i64,
}

/// Doubles that are shown.
const SHOWN: usize = 100;

/// Reads along while faults happen, and notes when each output became visible.
pub struct Reader {
    seen: Arc<Mutex<Vec<Seen>>>,
    /// Inputs answered so far.
    answered: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Reader {
    pub fn start(brokers: &str, topics: &Topics) -> Self {
        let consumer = reader(brokers, "read_committed", &topics.outputs(), false);
        let seen = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let answered = Arc::new(AtomicU64::new(0));
        let (into, count) = (Arc::clone(&seen), Arc::clone(&answered));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut known = HashSet::new();
            while !stopped.load(Ordering::Relaxed) {
                // Errors are brokers that come and go; what is missing shows in the count.
                if let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) {
                    let output = parse(&message);
                    known.insert(output.seq);
                    count.store(known.len() as u64, Ordering::Relaxed);
                    into.lock().expect("not poisoned").push(output);
                }
            }
        });
        Self { seen, answered, stop, thread: Some(thread) }
    }

    /// How many inputs have been answered so far.
    pub fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// Waits until so many inputs were answered, or nothing new came for `quiet`, calling
    /// `meanwhile` often.
    pub fn wait_with(&self, inputs: u64, quiet: Duration, mut meanwhile: impl FnMut()) {
        let mut last = (self.answered(), Instant::now());
        while last.0 < inputs && last.1.elapsed() < quiet {
            meanwhile();
            std::thread::sleep(Duration::from_millis(20));
            let answered = self.answered();
            if answered != last.0 {
                last = (answered, Instant::now());
            }
        }
    }

    pub fn wait(&self, inputs: u64, quiet: Duration) {
        self.wait_with(inputs, quiet, || {});
    }

    pub fn finish(mut self) -> Vec<Seen> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().expect("joined once").join().expect("the reader did not panic");
        std::mem::take(&mut self.seen.lock().expect("not poisoned"))
    }
}

/// All outputs from the beginning to the end, by fresh readers.
pub fn read_all(brokers: &str, isolation: &str, topics: &Topics) -> Vec<Seen> {
    read_topics(brokers, isolation, &topics.outputs())
}

fn read_topics(brokers: &str, isolation: &str, topics: &[&str]) -> Vec<Seen> {
    let mut seen = Vec::new();
    let deadline = Instant::now() + Duration::from_secs(120);
    // One reader a topic: the end of a partition is told without its topic.
    for topic in topics {
        let consumer = reader(brokers, isolation, &[*topic], true);
        let mut open: HashSet<_> = (0..feed::PARTITIONS).collect();
        while !open.is_empty() {
            assert!(Instant::now() < deadline, "{topic} could not be read to its end");
            match consumer.poll(Duration::from_millis(200)) {
                Some(Ok(message)) => seen.push(parse(&message)),
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    open.remove(&partition);
                }
                _ => {}
            }
        }
    }
    seen
}

fn reader(brokers: &str, isolation: &str, topics: &[&str], to_the_end: bool) -> BaseConsumer {
    let consumer: BaseConsumer = client(brokers)
        // A group is required by the client but never joined: partitions are assigned by hand.
        .set("group.id", "verifier")
        .set("enable.auto.commit", "false")
        .set("isolation.level", isolation)
        .set("fetch.wait.max.ms", "50")
        .set("enable.partition.eof", if to_the_end { "true" } else { "false" })
        .create()
        .expect("a reader");
    let mut all = TopicPartitionList::new();
    for topic in topics {
        for partition in 0..feed::PARTITIONS {
            all.add_partition_offset(topic, partition, Offset::Beginning).expect("an offset");
        }
    }
    consumer.assign(&all).expect("an assignment");
    consumer
}

/// Only what the checks need: the ticket is passed through, so its numbers are where they were.
#[derive(serde::Deserialize)]
struct Numbers {
    seq: u64,
    fed_us: u64,
}

#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Output {
    Decided { ticket: Numbers },
    Dead(Numbers),
}

fn parse(message: &impl Message) -> Seen {
    let visible_us = feed::now_us();
    let value = message.payload().expect("an output has a value");
    let output: Output = serde_json::from_slice(value).unwrap_or_else(|error| {
        panic!("{}: {error}: {}", message.topic(), String::from_utf8_lossy(value))
    });
    let (Output::Decided { ticket: numbers } | Output::Dead(numbers)) = output;
    Seen {
        seq: numbers.seq,
        topic: message.topic().into(),
        partition: message.partition(),
        key: message.key().map(|key| String::from_utf8_lossy(key).into_owned()),
        fed_us: numbers.fed_us,
        offset: message.offset(),
        visible_us,
    }
}

/// What became of `inputs` tickets.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Verdict {
    pub inputs: u64,
    pub outputs: u64,
    pub lost: u64,
    /// Outputs beyond as many as the input has.
    pub doubled: u64,
    /// The first of them, and where they are: topic, partition and offset.
    pub doubles: Vec<(u64, String)>,
    /// First outputs that come after one of an update of the same ticket that stands behind it in the
    /// input.
    pub out_of_order: u64,
    /// Inputs that the feeder's client wrote after a later update of the same ticket, or twice: if
    /// brokers that die make it do so, then this is what has to be kept.
    pub fed_out_of_order: u64,
    pub fed_twice: u64,
    /// Outputs that do not carry their ticket's id as key.
    pub wrong_key: u64,
    pub dead: u64,
    /// Tickets in the dead-letter topic, and malformed records outside of it.
    pub misplaced: u64,
    /// Input records after the group's committed positions.
    pub uncommitted: u64,
    /// Output records hidden from readers by a transaction that nobody ended.
    pub hanging: u64,
}

impl Verdict {
    /// Exactly once, in order, all committed.
    pub fn is_clean(&self) -> bool {
        let clean = Self {
            inputs: self.inputs,
            dead: self.dead,
            outputs: self.inputs + self.fed_twice,
            fed_out_of_order: self.fed_out_of_order,
            fed_twice: self.fed_twice,
            ..Self::default()
        };
        *self == clean
    }
}

/// Judges `seen` against the first `inputs` sequence numbers and what was `fed`, both in the order of
/// each partition.
pub fn judge(seen: &[Seen], fed: &[Seen], inputs: u64, topics: &Topics) -> Verdict {
    let mut verdict = Verdict { inputs, outputs: seen.len() as u64, ..Verdict::default() };
    let mut places: HashMap<u64, u64> = HashMap::new();
    let mut latest: HashMap<&Option<String>, u64> = HashMap::new();
    let mut left: HashMap<u64, u64> = HashMap::new();
    for (place, input) in fed.iter().enumerate() {
        places.entry(input.seq).or_insert(place as u64);
        *left.entry(input.seq).or_default() += 1;
        let last = latest.entry(&input.key).or_default();
        verdict.fed_out_of_order += u64::from(input.seq < *last);
        *last = input.seq.max(*last);
    }
    verdict.fed_twice = fed.len() as u64 - left.len() as u64;
    let mut known = HashSet::new();
    let mut latest: HashMap<(&str, i32, &Option<String>), u64> = HashMap::new();
    for output in seen {
        let dead = *output.topic == *topics.dead;
        verdict.dead += u64::from(dead);
        verdict.misplaced += u64::from(dead != feed::malformed(output.seq));
        verdict.wrong_key += u64::from(output.key != Some(feed::ticket_id(output.seq)));
        let left = left.entry(output.seq).or_default();
        if *left == 0 {
            verdict.doubled += 1;
            if verdict.doubles.len() < SHOWN {
                let all = seen.iter().filter(|other| other.seq == output.seq);
                verdict.doubles.extend(all.map(|one| {
                    (one.seq, format!("{}/{}@{}", one.topic, one.partition, one.offset))
                }));
            }
        }
        *left = left.saturating_sub(1);
        if !known.insert(output.seq) {
            continue;
        }
        let place = places.get(&output.seq).copied().unwrap_or_default();
        let last = latest.entry((&output.topic, output.partition, &output.key)).or_default();
        verdict.out_of_order += u64::from(place < *last);
        *last = place.max(*last);
    }
    verdict.lost = (0..inputs).filter(|seq| !known.contains(seq) || left[seq] > 0).count() as u64;
    verdict
}

/// Reads everything afresh and judges it, with the group's positions and open transactions.
pub fn check(brokers: &str, topics: &Topics, group: &str, inputs: u64) -> Verdict {
    let fed = read_topics(brokers, "read_uncommitted", &[&topics.input]);
    let mut verdict = judge(&read_all(brokers, "read_committed", topics), &fed, inputs, topics);
    verdict.uncommitted = uncommitted(brokers, group, &topics.input);
    verdict.hanging = hanging(brokers, topics);
    verdict
}

fn uncommitted(brokers: &str, group: &str, topic: &str) -> u64 {
    let consumer: BaseConsumer =
        client(brokers).set("group.id", group).create().expect("a consumer");
    let mut all = TopicPartitionList::new();
    all.add_partition_range(topic, 0, feed::PARTITIONS - 1);
    let within = Duration::from_secs(30);
    let committed = consumer.committed_offsets(all, within).expect("committed offsets");
    let behind = committed.elements().into_iter().map(|element| {
        let (_, end) = consumer
            .fetch_watermarks(topic, element.partition(), within)
            .expect("the end of a partition");
        let next = if let Offset::Offset(next) = element.offset() { next } else { 0 };
        end.abs_diff(next)
    });
    behind.sum()
}

fn hanging(brokers: &str, topics: &Topics) -> u64 {
    // The end of a partition is the last stable offset for one of them and the last for the other.
    let [stable, last] = ["read_committed", "read_uncommitted"].map(|isolation| {
        let consumer: BaseConsumer =
            client(brokers).set("isolation.level", isolation).create().expect("a consumer");
        let mut ends = 0;
        for topic in topics.outputs() {
            for partition in 0..feed::PARTITIONS {
                let ends_at = consumer.fetch_watermarks(topic, partition, Duration::from_secs(30));
                ends += ends_at.expect("the end of a partition").1 as u64;
            }
        }
        ends
    });
    last - stable
}

/// For each fault: the time until every input partition has delivered a ticket that was fed after
/// it. An instance that survives does not hide one that does not. Faults after the last ticket
/// have none.
pub fn recoveries(seen: &[Seen], faults_us: &[u64]) -> Vec<(u64, Duration)> {
    // Sorted by feeding time; the earliest sight of anything fed later, from the back.
    let mut by_partition: BTreeMap<i32, Vec<(u64, u64)>> = BTreeMap::new();
    for output in seen {
        let list = by_partition.entry(feed::partition(output.seq)).or_default();
        list.push((output.fed_us, output.visible_us));
    }
    for list in by_partition.values_mut() {
        list.sort_unstable();
        let mut earliest = u64::MAX;
        for (_, visible) in list.iter_mut().rev() {
            earliest = earliest.min(*visible);
            *visible = earliest;
        }
    }
    let recovery = |fault: u64| {
        let visible = by_partition.values().filter_map(|list| {
            let after = list.partition_point(|(fed, _)| *fed <= fault);
            list.get(after).map(|(_, visible)| visible.saturating_sub(fault))
        });
        visible.max().map(|longest| (fault, Duration::from_micros(longest)))
    };
    faults_us.iter().filter_map(|fault| recovery(*fault)).collect()
}

/// The value below which `part` of the sorted values lie.
pub fn percentile(sorted: &[Duration], part: f64) -> Duration {
    let Some(last) = sorted.len().checked_sub(1) else { return Duration::ZERO };
    sorted[(last as f64 * part).ceil() as usize]
}
