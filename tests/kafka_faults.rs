//! The two faults that break a plain consume-transform-produce loop silently, on a real broker:
//! the end of a transaction that arrives late, and a rebalance within a batch. Each is shown
//! twice: with the defences nothing is lost or doubled; without the one in question it is.

mod support;

use libtest_mimic::{Arguments, Failed, Trial};
use rdkafka::consumer::{BaseConsumer, Consumer};
use std::ops::ControlFlow;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use support::broker::{self, Kafka, NEWEST, Setup};
use support::copying::{Copier, Tally, feed, tally};
use support::proxy::{Late, Proxy};
use triaged::log::NewRecord;
use triaged::log::kafka::tool;
use triaged::log::kafka::{Defences, KafkaSettings};
use triaged::log::{AbortReason, Limit, Log, LogError, Outgoing};
use triaged::metrics::RecreateReason;

const NO_DISCONNECTS: Defences = Defences { disconnects: false, rebalances: true };
const NO_REBALANCES: Defences = Defences { disconnects: true, rebalances: false };

type Test = fn(&World) -> Result<(), Failed>;

/// One broker behind one proxy for all tests of this file; each has its own topics and names. Tests
/// that any broker will do for run on the named one, if there is one.
#[derive(Default)]
struct World {
    proxied: OnceLock<(Proxy, Kafka)>,
    named: OnceLock<Kafka>,
}

fn main() {
    // RUST_LOG=triaged=debug,librdkafka=trace shows what the log does.
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let world = Arc::new(World::default());
    let skip = broker::missing(NEWEST);
    let trial = |name: &str, test: Test| {
        let world = Arc::clone(&world);
        Trial::test(name, move || test(&world)).with_ignored_flag(skip)
    };
    let any = |name: &str, test: Test| {
        trial(name, test).with_ignored_flag(skip && broker::named().is_none())
    };
    let trials = vec![
        trial("copies_everything_once", copies_everything_once),
        trial("late_abort", |w| late(w, "late-abort", Late::Aborts, Defences::ALL)),
        trial("late_abort_undefended", |w| {
            late(w, "late-abort-undefended", Late::Aborts, NO_DISCONNECTS)
        }),
        trial("late_commit", |w| late(w, "late-commit", Late::Commits, Defences::ALL)),
        trial("late_commit_undefended", |w| {
            late(w, "late-commit-undefended", Late::Commits, NO_DISCONNECTS)
        }),
        trial("rebalance_in_a_batch", |w| rebalance(w, "rebalance", Defences::ALL)),
        trial("rebalance_in_a_batch_undefended", |w| {
            rebalance(w, "rebalance-undefended", NO_REBALANCES)
        }),
        trial("too_large_a_record", too_large_a_record),
        trial("a_consumer_whose_name_was_taken_is_rebuilt", taken_name),
        any("missing_topics_are_named", missing_topics_are_named),
        any("put_and_tail", put_and_tail),
    ];
    let conclusion = libtest_mimic::run(&Arguments::from_args(), trials);
    // `exit` runs no destructors, and the broker must not outlive the tests.
    drop(world);
    conclusion.exit();
}

impl World {
    fn proxied(&self) -> &(Proxy, Kafka) {
        self.proxied.get_or_init(|| {
            let proxy = Proxy::start();
            let setup = Setup { version: NEWEST, nodes: 1, advertise: vec![proxy.address()] };
            let kafka = Kafka::start(setup).expect("a broker");
            proxy.forward_to(kafka.node(0).address());
            (proxy, kafka)
        })
    }

    /// A worker behind the proxy, with so many records to copy.
    fn stage(&self, name: &str, partitions: i32, fed: u64) -> KafkaSettings {
        let (proxy, kafka) = self.proxied();
        let settings = stage(kafka, proxy.address(), name, partitions);
        feed(&kafka.direct(), &settings.inputs[0], 0..fed);
        settings
    }

    /// A worker on whichever broker there is.
    fn stage_anywhere(&self, name: &str, partitions: i32) -> KafkaSettings {
        let named = || Kafka::obtain(NEWEST).expect("the named broker");
        let kafka = match broker::named() {
            Some(_) => self.named.get_or_init(named),
            None => &self.proxied().1,
        };
        stage(kafka, kafka.bootstrap(), &broker::unique(name), partitions)
    }

    fn tally(&self, name: &str, fed: u64) -> Tally {
        tally(&self.proxied().1.direct(), &format!("{name}.out"), fed)
    }
}

/// Topics `<name>.in` and `<name>.out`, and settings of a worker between them.
fn stage(kafka: &Kafka, brokers: String, name: &str, partitions: i32) -> KafkaSettings {
    let (input, output) = (format!("{name}.in"), format!("{name}.out"));
    kafka.create_topic(&input, partitions, 1, &[]);
    kafka.create_topic(&output, partitions, 1, &[("max.message.bytes", "65536")]);
    let mut settings = KafkaSettings::new(brokers, name, format!("{name}-0"));
    settings.inputs = vec![input.into()];
    settings.outputs = vec![output.into()];
    settings.session_timeout_ms = 10_000;
    // So that a record of one letter a hundred thousand times stays too large.
    settings.compression = "none".into();
    settings
}

fn limit(records: usize) -> Limit {
    Limit { records, bytes: 1 << 20, linger: Duration::from_millis(20) }
}

fn check(holds: bool, what: impl FnOnce() -> String) -> Result<(), Failed> {
    if holds { Ok(()) } else { Err(what().into()) }
}

fn copies_everything_once(world: &World) -> Result<(), Failed> {
    let settings = world.stage("plain", 3, 20_000);
    let mut copier = Copier::open(settings.clone())?;
    let begun = Instant::now();
    let aborted = copier.run(limit(1000), Duration::from_secs(3), |_, _| None);
    let health = Arc::clone(&copier.health);
    println!("plain: {:?}, aborted {aborted:?}", begun.elapsed());
    check(health.has_assignment() && health.is_connected(), || format!("{health:?}"))?;
    let recreated = RecreateReason::ALL.map(|r| copier.recreations(r.as_str()));
    check(recreated == [0; 5], || format!("producers were replaced: {recreated:?}"))?;
    copier.close();
    // The same worker comes back and finds nothing left to do.
    let mut again = Copier::open(settings)?;
    check(again.batch(limit(10), Duration::from_secs(4)).is_none(), || "read twice".into())?;
    check(again.health.lag_messages() <= 3, || format!("lag {}", again.health.lag_messages()))?;
    again.close();
    let tally = world.tally("plain", 20_000);
    check(tally == Tally { seen: 20_000, lost: 0, doubled: 0 }, || format!("{tally:?}"))
}

/// The proxy makes aborts and commits take turns, and one kind of them arrives late.
fn late(world: &World, name: &str, late: Late, defences: Defences) -> Result<(), Failed> {
    const FED: u64 = 400;
    let mut settings = world.stage(name, 1, FED);
    settings.defences = defences;
    let proxy = &world.proxied().0;
    proxy.delay(&settings.name, late, 10);
    let begun = Instant::now();
    let mut copier = Copier::open(settings.clone())?;
    let aborted = copier.run(limit(20), Duration::from_secs(3), |_, _| None);
    let recreated = copier.recreations("disconnect");
    copier.close();
    let (tally, counts) = (world.tally(name, FED), proxy.counts(&settings.name));
    println!(
        "{name}: {tally:?}, {counts:?}, {} aborts, {recreated} producers replaced, {:?}",
        aborted.len(),
        begun.elapsed()
    );
    check(counts.kept >= 5, || format!("only {} requests were delayed", counts.kept))?;
    if defences == Defences::ALL {
        check(tally.lost + tally.doubled == 0, || format!("{tally:?}"))
    } else {
        check(tally.lost + tally.doubled > 0, || "the fault did no harm".into())
    }
}

fn oversized(topic: &Arc<str>, cause: triaged::log::Origin) -> Outgoing {
    Outgoing {
        cause,
        topic: Arc::clone(topic),
        key: None,
        value: Some(vec![b'x'; 100_000]),
        headers: Vec::new(),
        timestamp_ms: None,
    }
}

/// One worker collects a batch so slowly that a second one joins and takes half of the
/// partitions before the batch is complete.
fn rebalance(world: &World, name: &str, defences: Defences) -> Result<(), Failed> {
    const FED: u64 = 600;
    let begun = Instant::now();
    let mut first = world.stage(name, 6, FED);
    first.defences = defences;
    let mut second = first.clone();
    second.name = format!("{name}-1");
    let slow = std::thread::spawn(move || -> Result<_, Failed> {
        let mut copier = Copier::open(first)?;
        let patient = Limit { records: 10_000, bytes: 1 << 30, linger: Duration::from_secs(12) };
        let batch = copier.log.next(patient).map_err(|e| e.to_string())?;
        let outputs = batch.records.iter().map(|r| copier.copy_of(r)).collect();
        let committed = copier.log.commit(&batch.from, &batch.upto, outputs);
        // Whatever it was not given now it gets after the other one has left.
        let aborted = copier.run(limit(100), Duration::from_secs(2), |_, _| None);
        copier.close();
        Ok((batch.records.len(), committed, aborted))
    });
    std::thread::sleep(Duration::from_secs(3));
    let mut copier = Copier::open(second)?;
    copier.run(limit(100), Duration::from_secs(6), |_, _| None);
    let (held, committed, aborted) = slow.join().expect("the slow worker ends")?;
    copier.run(limit(100), Duration::from_secs(1), |_, _| None);
    copier.close();
    let tally = world.tally(name, FED);
    println!(
        "{name}: {tally:?}, slow batch of {held}: {committed:?}, later {aborted:?}, {:?}",
        begun.elapsed()
    );
    if defences == Defences::ALL {
        check(tally.lost + tally.doubled == 0, || format!("{tally:?}"))
    } else {
        check(tally.doubled > 0, || "the fault did no harm".into())
    }
}

fn too_large_a_record(world: &World) -> Result<(), Failed> {
    let settings = world.stage("large", 1, 100);
    let topic = Arc::clone(&settings.outputs[0]);
    let mut copier = Copier::open(settings)?;
    let aborted = copier.run(limit(10), Duration::from_secs(2), |tries, batch| {
        (tries < 3).then(|| oversized(&topic, batch.records[0].origin.clone()))
    });
    copier.close();
    check(aborted == [AbortReason::RecordRefused; 3], || format!("{aborted:?}"))?;
    let tally = world.tally("large", 100);
    check(tally == Tally { seen: 100, lost: 0, doubled: 0 }, || format!("{tally:?}"))
}

/// Another client takes the worker's name and goes again, as a second instance under the same name
/// would: the old consumer is lost for good, and a new one goes on where it was.
fn taken_name(world: &World) -> Result<(), Failed> {
    const FED: u64 = 1_000;
    let settings = world.stage("taken", 1, FED);
    let (brokers, input) = (world.proxied().1.direct(), Arc::clone(&settings.inputs[0]));
    let mut copier = Copier::open(settings.clone())?;
    copier.run(limit(100), Duration::from_secs(3), |_, _| None);
    let rebuilds = copier.metrics.consumer_rebuilds.clone();
    check(rebuilds.get() == 0, || "rebuilt without need".into())?;

    let other: BaseConsumer = broker::client(&brokers)
        .set("group.id", &settings.group)
        .set("group.instance.id", &settings.name)
        .set("session.timeout.ms", "10000")
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("enable.auto.commit", "false")
        .create()?;
    other.subscribe(&[&*input])?;
    let until = Instant::now() + Duration::from_secs(20);
    while other.assignment()?.count() == 0 {
        check(Instant::now() < until, || "the name was not taken".into())?;
        let _ = other.poll(Duration::from_millis(100));
    }
    drop(other);

    feed(&brokers, &input, FED..2 * FED);
    let aborted = copier.run(limit(100), Duration::from_secs(8), |_, _| None);
    copier.close();
    check(rebuilds.get() == 1, || format!("{} rebuilds, {aborted:?}", rebuilds.get()))?;
    let tally = world.tally("taken", 2 * FED);
    check(tally == Tally { seen: 2 * FED as usize, lost: 0, doubled: 0 }, || format!("{tally:?}"))
}

fn missing_topics_are_named(world: &World) -> Result<(), Failed> {
    let mut settings = world.stage_anywhere("missing", 1);
    let input = Arc::clone(&settings.inputs[0]);
    settings.outputs.push("no.such.topic".into());
    match Copier::open(settings) {
        Err(LogError::Fatal(why)) => {
            check(why.contains("no.such.topic") && !why.contains(&*input), || why.clone())
        }
        Err(other) => Err(other.to_string().into()),
        Ok(_) => Err("a missing topic was not noticed".into()),
    }
}

fn put_and_tail(world: &World) -> Result<(), Failed> {
    let settings = world.stage_anywhere("tool", 3);
    let topic = &settings.inputs[0];
    let records = (0..50).map(|id: u32| NewRecord {
        key: Some(id.to_string().into_bytes()),
        value: (id > 0).then(|| id.to_string().into_bytes()),
        headers: vec![("h".into(), Some(vec![0, 255])), ("none".into(), None)],
        timestamp_ms: Some(1_700_000_000_000),
    });
    let put = tool::put(&settings, topic, records)?;
    check(put == tool::Put { written: 50, ..tool::Put::default() }, || format!("{put:?}"))?;
    let mut seen = Vec::new();
    tool::tail(&settings, topic, None, |record| {
        seen.push(record);
        ControlFlow::Continue(())
    })?;
    let whole = seen.iter().all(|r| {
        r.headers.len() == 2
            && r.headers[1].1.is_none()
            && r.timestamp_ms == Some(1_700_000_000_000)
    });
    let whole = whole && seen.len() == 50 && seen.iter().any(|r| r.value.is_none());
    check(whole, || format!("{seen:?}"))?;
    let mut left = 7;
    tool::tail(&settings, topic, None, |_| {
        left -= 1;
        if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    check(left == 0, || format!("{left} of 7 left"))?;
    match tool::put(&settings, "no.such.topic", [NewRecord::default()]) {
        Err(tool::ToolError::MissingTopic(topic)) if topic == "no.such.topic" => Ok(()),
        other => Err(format!("{other:?}").into()),
    }
}
