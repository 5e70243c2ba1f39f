//! Tickets with sequence numbers, fed at a steady rate so that every fault hits work in flight.

use super::broker::client;
use rdkafka::client::ClientContext;
use rdkafka::error::KafkaError;
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

pub const PARTITIONS: i32 = 6;

/// A ticket is updated this often, each time [`KEYS`] tickets later: within one transaction, over
/// two, and over a restart.
const UPDATES: u64 = 10;
const KEYS: u64 = 50;

/// Every hundredth record is no ticket, for the dead letters.
const MALFORMED_EVERY: u64 = 100;

const TEXTS: [(&str, &str); 6] = [
    (
        "VPN drops every few minutes",
        "Since this morning the VPN client disconnects while I am in calls.",
    ),
    (
        "Password reset for SAP",
        "My SAP account is locked after three attempts. Please reset the password.",
    ),
    ("Printer on floor 3 jams", "The printer next to room 3.14 jams at every second page."),
    (
        "New laptop for a colleague",
        "Please order a laptop with docking station for a new colleague.",
    ),
    ("Outlook does not start", "Outlook shows a white window and closes. A restart did not help."),
    ("hello", "please help"),
];

pub fn now_us() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.expect("a clock after 1970").as_micros() as u64
}

fn ticket_number(seq: u64) -> u64 {
    seq / (KEYS * UPDATES) * KEYS + seq % KEYS
}

pub fn ticket_id(seq: u64) -> String {
    format!("INC{:07}", ticket_number(seq))
}

/// Chosen here, not by a hash, so that the checker knows which partition a sequence number is in.
pub fn partition(seq: u64) -> i32 {
    (ticket_number(seq) % PARTITIONS as u64) as i32
}

pub fn malformed(seq: u64) -> bool {
    seq % MALFORMED_EVERY == MALFORMED_EVERY - 1
}

/// The record's value. All updates of a ticket have the same text, hence the same destination:
/// order is promised within a topic.
pub fn value(seq: u64, padding: usize) -> String {
    let fed_us = now_us();
    if malformed(seq) {
        return format!(r#"{{"seq":{seq},"fed_us":{fed_us}}}"#);
    }
    let padding = " The same happened last week.".chars().cycle().take(padding).collect::<String>();
    let (subject, body) = text(seq);
    ticket(seq, fed_us, subject, &format!("{body}{padding}"))
}

/// The same ticket with another body.
pub fn with_body(seq: u64, body: &str) -> String {
    ticket(seq, now_us(), text(seq).0, body)
}

fn text(seq: u64) -> (&'static str, &'static str) {
    TEXTS[(ticket_number(seq) % TEXTS.len() as u64) as usize]
}

fn ticket(seq: u64, fed_us: u64, subject: &str, body: &str) -> String {
    let (id, requester) = (ticket_id(seq), seq % 400);
    format!(
        r#"{{"ticket_id":"{id}","subject":"{subject}","body":"{body}","created_at":"2026-11-02T08:15:00Z","requester":"user{requester}@example.com","source":"portal","seq":{seq},"fed_us":{fed_us}}}"#
    )
}

#[derive(Clone)]
pub struct Feed {
    pub brokers: String,
    pub topic: String,
    pub tickets: u64,
    pub per_second: u64,
    /// Bytes added to each body.
    pub padding: usize,
}

pub struct Feeder {
    sent: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

impl Feeder {
    pub fn start(feed: Feed) -> Self {
        let sent = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&sent);
        Self { sent, thread: std::thread::spawn(move || run(&feed, &count)) }
    }

    /// How many have been handed to the producer so far.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    pub fn done(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits until the broker has all.
    pub fn join(self) {
        self.thread.join().expect("every ticket was delivered");
    }
}

#[derive(Default)]
struct Deliveries {
    done: AtomicU64,
    failed: AtomicU64,
}

struct Context(Arc<Deliveries>);

impl ClientContext for Context {}

impl ProducerContext for Context {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let counter = if result.is_ok() { &self.0.done } else { &self.0.failed };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

fn run(feed: &Feed, sent: &AtomicU64) {
    let deliveries = Arc::new(Deliveries::default());
    let producer: ThreadedProducer<Context> = client(&feed.brokers)
        .set("enable.idempotence", "true")
        // Each ticket on its own: times are counted from here.
        .set("linger.ms", "0")
        .set("message.timeout.ms", "300000")
        .create_with_context(Context(Arc::clone(&deliveries)))
        .expect("a feeding producer");
    let start = Instant::now();
    for seq in 0..feed.tickets {
        let due = start + Duration::from_micros(seq * 1_000_000 / feed.per_second.max(1));
        // Sleeping for less than this costs more than it evens out.
        let early = due.saturating_duration_since(Instant::now());
        if early > Duration::from_millis(1) {
            std::thread::sleep(early);
        }
        send(&producer, feed, seq);
        sent.store(seq + 1, Ordering::Relaxed);
    }
    producer.flush(Duration::from_secs(300)).expect("the feed is flushed");
    assert_eq!(deliveries.failed.load(Ordering::Relaxed), 0, "tickets could not be fed");
    assert_eq!(deliveries.done.load(Ordering::Relaxed), feed.tickets);
}

fn send(producer: &ThreadedProducer<Context>, feed: &Feed, seq: u64) {
    let value = value(seq, feed.padding);
    let key = ticket_id(seq);
    loop {
        let record =
            BaseRecord::to(&feed.topic).key(&key).payload(&value).partition(partition(seq));
        match producer.send(record) {
            Ok(()) => return,
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                std::thread::sleep(Duration::from_millis(5));
            }
            Err((error, _)) => panic!("ticket {seq} could not be fed: {error}"),
        }
    }
}
