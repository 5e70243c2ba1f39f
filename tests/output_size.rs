//! No output is larger than what the log takes, as Kafka's own client counts it, and a ticket that would
//! leave no room for what comes of it is not left to a playbook.

#[path = "support/playbook.rs"]
mod playbook;
#[path = "support/tickets.rs"]
mod tickets;

use std::sync::{Arc, LazyLock};

use proptest::prelude::*;
use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord};
use serde_json::{Value, json};
use triaged::log::{Batch, Headers, Origin, Outgoing};
use triaged::playbook::Library;
use triaged::stage::Stage as _;
use triaged::stage::route::Route;
use triaged::stage::size;
use triaged::triage::Triage;
use triaged::triage::playbooks::{HandsOff, Playbooks};
use triaged::triage::ticket::Malformed;

/// The largest record of these tests, in bytes.
const LIMIT: usize = 30_000;

/// Nobody listens there: what is too large is refused before anything is sent.
static KAFKA: LazyLock<BaseProducer> = LazyLock::new(|| {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", "127.0.0.1:1").set("message.max.bytes", LIMIT.to_string());
    config.create().expect("a producer")
});

fn kafka_takes(output: &Outgoing) -> bool {
    let mut headers = OwnedHeaders::new();
    for (name, value) in &output.headers {
        headers = headers.insert(Header { key: name, value: value.as_deref() });
    }
    let mut record = BaseRecord::<[u8], [u8]>::to(&output.topic).headers(headers);
    record.key = output.key.as_deref();
    record.payload = output.value.as_deref();
    KAFKA.send(record).is_ok()
}

fn output(key: Option<usize>, value: usize, headers: &[(usize, Option<usize>)]) -> Outgoing {
    let bytes = |length: usize| vec![b'x'; length];
    let headers = headers.iter().map(|(name, value)| ("h".repeat(*name).into(), value.map(bytes)));
    Outgoing {
        cause: Origin { topic: "in".into(), partition: 0, offset: 0 },
        topic: "out".into(),
        key: key.map(bytes),
        value: Some(bytes(value)),
        headers: headers.collect::<Headers>(),
        timestamp_ms: None,
    }
}

proptest! {
    #[test]
    fn what_passes_as_small_enough_is_taken_and_little_is_given_away(
        key in prop::option::of(0..300_usize),
        headers in prop::collection::vec((1..40_usize, prop::option::of(0..3_000_usize)), 0..8),
        spare in 0..400_usize,
    ) {
        let in_headers: usize = headers.iter().map(|(name, value)| name + value.unwrap_or(0)).sum();
        let output = output(key, LIMIT - spare - in_headers - key.unwrap_or(0), &headers);
        let taken = kafka_takes(&output);
        match size::check(&output, LIMIT) {
            Ok(()) => prop_assert!(taken),
            Err(Malformed::OutputTooLarge { bytes, limit }) => {
                prop_assert_eq!(limit, LIMIT);
                prop_assert!(!taken || bytes <= LIMIT + 100 + 8 * headers.len(), "{}", bytes);
            }
            Err(other) => prop_assert!(false, "{}", other),
        }
    }
}

/// Triage with one playbook that takes every ticket that says "do unlock".
fn triage() -> Arc<Triage> {
    let (files, lock) = playbook::approved([playbook::text("unlock", 9, "at-least-once")]);
    let library = Library::read(&files, Some(&lock)).expect("a playbook");
    let plain = Triage::clone(&tickets::fixture().triage);
    Arc::new(plain.with_playbooks(Playbooks {
        library: Arc::new(library),
        requests: None,
        hands_off: HandsOff::default(),
    }))
}

#[test]
fn a_ticket_goes_as_far_as_its_size_lets_it() {
    let fixture = tickets::fixture();
    let mut settings = fixture.settings.clone();
    settings.actions = Some("tickets.actions".into());
    settings.max_output_bytes = LIMIT;
    let mut stage = Route::new(triage(), settings, Arc::clone(&fixture.metrics));
    let mut went: Vec<&str> = Vec::new();
    for padding in (0..LIMIT + 1_000).step_by(101) {
        let mut ticket = tickets::ticket("T-1", "do unlock", "please, since my account is locked");
        ticket["user"] = json!("kim");
        ticket["x_padding"] = json!("x".repeat(padding));
        let record = tickets::record(0, ticket.to_string().as_bytes());
        let output = stage.run(&Batch::of(vec![record])).remove(0);
        if &*output.topic == "tickets.dead" {
            let reason = ("triaged.errors.reason".into(), Some(b"too_large".to_vec()));
            assert!(output.headers.contains(&reason), "{padding}");
            went.push("dead");
            continue;
        }
        assert!(size::check(&output, LIMIT).is_ok() && kafka_takes(&output), "{padding}");
        let event = output.value.as_deref().expect("a value");
        let event: Value = serde_json::from_slice(event).expect("JSON");
        let held_by = &event["known_request"]["held_by"];
        if &*output.topic == "tickets.actions" {
            assert!(size::leaves_room(&output, LIMIT) && held_by.is_null(), "{padding}");
            went.push("acted on");
        } else {
            assert_eq!(held_by, "not_recorded", "{padding}");
            assert_eq!(event["known_request"]["playbook"], "unlock");
            assert_ne!(event["outcome"], "resolve", "{padding}");
            went.push("to people");
        }
    }
    went.dedup();
    assert_eq!(went, ["acted on", "to people", "dead"]);
}
