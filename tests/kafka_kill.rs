//! The promise under fire: the built daemon on a real Kafka, killed, stopped, fenced and fed
//! with poison. Nothing is lost, doubled or reordered.

mod support;

use libtest_mimic::{Arguments, Failed, Trial};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use std::path::Path;
use std::time::Duration;
use support::broker::{self, Kafka, NEWEST, Setup};
use support::daemon::{self, Instance, Settings};
use support::feed::{self, Feed, Feeder};
use support::storm::{Random, Storm};
use support::verify::{self, Reader, Topics};

const DAEMON: &str = env!("CARGO_BIN_EXE_triaged");

/// Two instances at a steady rate, and no fault.
const STEADY: Storm = Storm {
    seed: 0,
    tickets: 0,
    per_second: 700,
    kills: 0,
    terms: 0,
    zombie: None,
    bounces: 0,
    early: false,
    instances: 2,
    workers: 1,
    quiet: Duration::from_secs(40),
};

fn main() {
    let skip = broker::missing(NEWEST);
    let own = |name: &str, test: fn() -> Result<(), Failed>| {
        Trial::test(name, test).with_ignored_flag(skip)
    };
    let any = |name: &str, test: fn() -> Result<(), Failed>| {
        Trial::test(name, test).with_ignored_flag(skip && broker::named().is_none())
    };
    let trials = vec![
        own("kill_9_loses_and_doubles_nothing", kill_9_loses_and_doubles_nothing),
        own("three_brokers_lose_and_double_nothing", three_brokers_lose_and_double_nothing),
        any("sigterm_under_load_ends_cleanly", sigterm_under_load_ends_cleanly),
        any("poison_is_set_aside", poison_is_set_aside),
        any("a_missing_output_topic_is_named", a_missing_output_topic_is_named),
        any("two_input_topics_come_out_once", two_input_topics_come_out_once),
    ];
    let mut arguments = Arguments::from_args();
    // One after the other: side by side they would compete for the processor and starve the
    // brokers' sessions, which is a fault that none of them is about.
    arguments.test_threads = Some(1);
    libtest_mimic::run(&arguments, trials).exit();
}

/// The broker that is named, or an own one.
fn any_kafka() -> Result<Kafka, Failed> {
    Ok(Kafka::obtain(NEWEST).map_err(|skipped| skipped.to_string())?)
}

/// Topics, and a group, that no other run has.
fn own_topics(test: &str) -> (Topics, String) {
    let name = broker::unique(test);
    (Topics::named(&format!("{name}.")), name)
}

fn instance(settings: &Settings<'_>) -> Instance {
    Instance::daemon(Path::new(DAEMON), settings)
}

fn kill_9_loses_and_doubles_nothing() -> Result<(), Failed> {
    let zombie = Some(Duration::from_secs(14));
    let storm = Storm { seed: 1, tickets: 50_000, kills: 16, zombie, bounces: 1, ..STEADY };
    let kafka = Kafka::start(Setup::single(NEWEST)).map_err(|skipped| skipped.to_string())?;
    let outcome = storm.run(&kafka, &Topics::named(""), instance);
    for kill in &outcome.kills {
        eprintln!("{kill:?}");
    }
    ensure(outcome.verdict.is_clean(), format!("{:?}", outcome.verdict))?;
    ensure(outcome.kills.len() == 16 && outcome.bounces == 1, "not all faults were made")?;
    ensure(outcome.exits == 0, format!("{} ends that nobody asked for", outcome.exits))
}

/// Instances of two workers each, and a broker whose work two others take over.
fn three_brokers_lose_and_double_nothing() -> Result<(), Failed> {
    let quiet = Duration::from_secs(60);
    let storm =
        Storm { seed: 3, tickets: 6_000, kills: 3, bounces: 1, workers: 2, quiet, ..STEADY };
    let kafka = Kafka::cluster(NEWEST, 3).map_err(|skipped| skipped.to_string())?;
    let outcome = storm.run(&kafka, &Topics::named(""), instance);
    ensure(outcome.verdict.is_clean(), format!("{:?}", outcome.verdict))?;
    ensure(outcome.kills.len() == 3 && outcome.bounces == 1, "not all faults were made")?;
    ensure(outcome.exits == 0, format!("{} ends that nobody asked for", outcome.exits))
}

fn sigterm_under_load_ends_cleanly() -> Result<(), Failed> {
    let storm = Storm { seed: 2, tickets: 10_000, terms: 6, ..STEADY };
    let outcome = storm.run(&any_kafka()?, &own_topics("sigterm").0, instance);
    ensure(outcome.verdict.is_clean(), format!("{:?}", outcome.verdict))?;
    for (status, took) in &outcome.terms {
        // The grace of 20 s is for what is open; here nothing is slow.
        let clean = status.is_some_and(|s| s.success()) && *took < Duration::from_secs(20);
        ensure(clean, format!("SIGTERM ended with {status:?} after {took:?}"))?;
    }
    ensure(outcome.terms.len() == 6, "not all instances were told to end")
}

/// A ticket whose event is larger than the topic takes is a dead letter; all others pass.
fn poison_is_set_aside() -> Result<(), Failed> {
    let kafka = any_kafka()?;
    let (topics, group) = own_topics("poison");
    daemon::create_small(&kafka, &topics, 200_000);
    let tickets = 3_000;
    let brokers = kafka.direct();
    let settings = settings(&brokers, &topics, &group);
    let mut daemon = instance(&settings);
    daemon.launch();
    let reader = Reader::start(&brokers, &topics);
    let feed = Feed {
        brokers: brokers.clone(),
        topic: topics.input.clone(),
        tickets,
        per_second: 1_000,
        padding: 0,
    };
    let feeder = Feeder::start(feed);
    let producer: BaseProducer = broker::client(&brokers).create()?;
    for seq in tickets..tickets + 3 {
        let (key, value) = (feed::ticket_id(seq), noisy(seq, 400_000));
        let record =
            BaseRecord::to(&topics.input).key(&key).payload(&value).partition(feed::partition(seq));
        producer.send(record).map_err(|(error, _)| error)?;
        producer.flush(Duration::from_secs(10))?;
        std::thread::sleep(Duration::from_millis(500));
    }
    feeder.join();
    reader.wait(tickets + 3, Duration::from_secs(40));
    let seen = reader.finish();
    let ended = daemon.term(Duration::from_secs(30));
    ensure(ended.is_some_and(|s| s.success()), format!("{ended:?}\n{}", daemon.log()))?;

    let verdict = verify::check(&brokers, &topics, &group, tickets + 3);
    let poison: Vec<_> = seen.iter().filter(|s| s.seq >= tickets).collect();
    let set_aside = poison.len() == 3 && poison.iter().all(|s| *s.topic == *topics.dead);
    ensure(set_aside, format!("the poison came out as {poison:?}\n{}", daemon.log()))?;
    let sound = verdict.lost + verdict.doubled + verdict.out_of_order + verdict.uncommitted == 0;
    ensure(sound && verdict.misplaced == 3, format!("{verdict:?}"))
}

fn a_missing_output_topic_is_named() -> Result<(), Failed> {
    let kafka = any_kafka()?;
    let (mut topics, group) = own_topics("missing");
    daemon::create(&kafka, &topics);
    topics.review = format!("{group}.nowhere");
    let brokers = kafka.direct();
    let mut daemon = instance(&settings(&brokers, &topics, &group));
    daemon.launch();
    // It may end or wait for the topic; it must not say that it is ready, and it must say why.
    let told = |daemon: &Instance| daemon.log().contains(&topics.review);
    for _ in 0..300 {
        if told(&daemon) {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    ensure(told(&daemon), format!("the log does not name the topic:\n{}", daemon.log()))?;
    let ready = daemon.ended().is_none() && daemon.get("/readyz").is_some_and(|(s, _)| s == 200);
    ensure(!ready, "it says that it is ready")
}

/// All tickets of both topics, each once.
fn two_input_topics_come_out_once() -> Result<(), Failed> {
    const TICKETS: u64 = 2_000;
    let kafka = any_kafka()?;
    let (topics, group) = own_topics("two");
    daemon::create(&kafka, &topics);
    let inputs = [topics.input.clone(), format!("{group}.tickets.imported")];
    kafka.create_topic(&inputs[1], feed::PARTITIONS, 1, &[]);
    let brokers = kafka.direct();
    // The configuration puts its one input in quotes and brackets.
    let both = Topics { input: inputs.join("\", \""), ..topics.clone() };
    let mut daemon = instance(&settings(&brokers, &both, &group));
    daemon.launch();
    let reader = Reader::start(&brokers, &topics);
    let producer: BaseProducer = broker::client(&brokers).create()?;
    for seq in 0..TICKETS {
        let (key, value) = (feed::ticket_id(seq), feed::value(seq, 0));
        let record = BaseRecord::to(&inputs[(seq % 2) as usize]);
        let record = record.key(&key).payload(&value).partition(feed::partition(seq));
        producer.send(record).map_err(|(error, _)| error)?;
    }
    producer.flush(Duration::from_secs(30))?;
    reader.wait(TICKETS, Duration::from_secs(40));
    drop(reader.finish());
    let ended = daemon.term(Duration::from_secs(30));
    ensure(ended.is_some_and(|s| s.success()), format!("{ended:?}\n{}", daemon.log()))?;

    let seen = verify::read_all(&brokers, "read_committed", &topics);
    let mut seen: Vec<u64> = seen.iter().map(|output| output.seq).collect();
    seen.sort_unstable();
    let once = seen.iter().copied().eq(0..TICKETS);
    ensure(once, format!("{} outputs of {TICKETS} tickets\n{}", seen.len(), daemon.log()))
}

fn settings<'a>(brokers: &'a str, topics: &'a Topics, group: &'a str) -> Settings<'a> {
    Settings { brokers, topics, group, name: "0", workers: 1, extra: "" }
}

/// A ticket that compression cannot make small.
fn noisy(seq: u64, bytes: usize) -> String {
    let mut random = Random::new(seq);
    let noise: String = (0..bytes).map(|_| char::from(b'a' + random.below(26) as u8)).collect();
    feed::with_body(seq, &noise)
}

fn ensure(holds: bool, otherwise: impl Into<String>) -> Result<(), Failed> {
    if holds { Ok(()) } else { Err(otherwise.into().into()) }
}
