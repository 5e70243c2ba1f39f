//! The loop as a process runs it: poison is found and only it is given up on, the environment is
//! never blamed on a record, and the metrics tell.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use triaged::health::{Stop, WorkerHealth};
use triaged::log::memory::{Fault, MemoryCluster};
use triaged::log::{AbortReason, Batch, Limit, LogError, NewRecord, Outgoing, Record};
use triaged::metrics::{Labels, Metrics, unix_seconds};
use triaged::stage::Stage;
use triaged::stage::drive::{Driver, drive};

const LIMIT: Limit = Limit { records: 50, bytes: usize::MAX, linger: Duration::from_millis(1) };

/// Writes every value twice in a row, and asks to stop once `expected` records are committed.
struct Doubling {
    expected: usize,
    seen: usize,
    stop: Stop,
}

fn answer(record: &Record, topic: &str, value: Option<Vec<u8>>) -> Outgoing {
    Outgoing {
        cause: record.origin.clone(),
        topic: topic.into(),
        key: None,
        value,
        headers: Vec::new(),
        timestamp_ms: None,
    }
}

impl Stage for Doubling {
    fn run(&mut self, batch: &Batch) -> Vec<Outgoing> {
        batch
            .records
            .iter()
            .map(|r| answer(r, "out", r.value.as_ref().map(|v| v.repeat(2))))
            .collect()
    }
    fn refuse(&mut self, record: &Record) -> Outgoing {
        answer(record, "dead", record.value.clone())
    }
    fn refuse_by_reference(&mut self, record: &Record) -> Outgoing {
        answer(record, "dead", None)
    }
    fn committed(&mut self, batch: &Batch) {
        self.seen += batch.records.len();
        if self.seen >= self.expected {
            self.stop.request(Duration::from_secs(1));
        }
    }
}

/// `records` small records in two partitions, of which those at `large` hold `size` bytes.
fn filled(records: usize, large: &[usize], size: usize) -> MemoryCluster {
    let cluster = MemoryCluster::new(&[("in", 2), ("out", 1), ("dead", 1)]);
    cluster.refuse_values_larger_than(100);
    for n in 0..records {
        let value = vec![b'x'; if large.contains(&n) { size } else { 10 }];
        cluster.put("in", n % 2, NewRecord { value: Some(value), ..NewRecord::default() });
    }
    cluster
}

struct Ran {
    result: Result<(), LogError>,
    metrics: Arc<Metrics>,
}

fn run(cluster: &MemoryCluster, expected: usize) -> Ran {
    let metrics = Metrics::new(&Labels::default(), 1).unwrap();
    let health = WorkerHealth::new();
    let stop = Stop::new();
    let mut stage = Doubling { expected, seen: 0, stop: stop.clone() };
    let mut log = cluster.join("g", "a", &["in"]);
    let result = drive(&mut log, &mut stage, LIMIT, &stop, &metrics, &health, 0);
    Ran { result, metrics }
}

fn aborts(metrics: &Metrics, reason: AbortReason) -> u64 {
    metrics.aborts.with_label_values(&[reason.as_str()]).get()
}

#[test]
fn only_the_poisonous_records_become_dead_letters() {
    let cluster = filled(300, &[77, 140, 141], 60);
    let ran = run(&cluster, 300);
    ran.result.unwrap();
    let dead = cluster.committed("dead");
    let mut causes: Vec<_> =
        dead.iter().filter_map(|d| d.cause.clone()).map(|c| (c.partition, c.offset)).collect();
    causes.sort_unstable();
    assert_eq!(causes, [(0, 70), (1, 38), (1, 70)]);
    assert!(dead.iter().all(|d| d.record.value.as_ref().is_some_and(|v| v.len() == 60)));
    assert_eq!(cluster.committed("out").len(), 297);
    assert!(aborts(&ran.metrics, AbortReason::RecordRefused) <= 40);
    assert_eq!(ran.metrics.records_in.with_label_values(&["in"]).get(), 300);
}

#[test]
fn a_dead_letter_that_is_itself_too_large_goes_by_reference() {
    let cluster = filled(20, &[5], 101);
    run(&cluster, 20).result.unwrap();
    let dead = cluster.committed("dead");
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0].record.value, None);
    assert_eq!(dead[0].cause.as_ref().map(|c| (c.partition, c.offset)), Some((1, 2)));
    assert_eq!(cluster.committed("out").len(), 19);
}

#[test]
fn the_environment_never_makes_a_dead_letter() {
    let cluster = filled(100, &[], 0);
    let reasons = AbortReason::ALL.into_iter().filter(|r| !r.blames_a_record());
    cluster.schedule(reasons.map(|reason| Some(Fault::Abort(reason))).take(5));
    let ran = run(&cluster, 100);
    ran.result.unwrap();
    assert_eq!(cluster.committed("dead").len(), 0);
    assert_eq!(cluster.committed("out").len(), 100);
    assert_eq!(ran.metrics.transactions.with_label_values(&["aborted"]).get(), 5);
    assert_eq!(ran.metrics.transactions.with_label_values(&["committed"]).get(), 2);
}

#[test]
fn unauthorized_for_good_ends_the_process_with_a_way_out() {
    let cluster = filled(10, &[], 0);
    cluster.schedule([Some(Fault::Abort(AbortReason::Unauthorized)); 3]);
    match run(&cluster, 10).result {
        Err(LogError::Fatal(why)) => assert!(why.contains("not authorised"), "{why}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(cluster.committed("out").len(), 0);
}

#[test]
fn an_abort_is_no_progress_and_a_commit_is() {
    let cluster = filled(10, &[], 0);
    cluster.schedule([Some(Fault::Abort(AbortReason::Delivery)), None]);
    let metrics = Metrics::new(&Labels::default(), 1).unwrap();
    let health = WorkerHealth::new();
    let mut driver = Driver::new(LIMIT, &metrics, &health, 0);
    let mut log = cluster.join("g", "a", &["in"]);
    let mut stage = Doubling { expected: usize::MAX, seen: 0, stop: Stop::new() };
    std::thread::sleep(Duration::from_millis(50));
    assert!(driver.turn(&mut log, &mut stage).unwrap().is_some());
    let stale = health.since_progress();
    assert!(stale >= Duration::from_millis(50));
    assert!(driver.turn(&mut log, &mut stage).unwrap().is_none());
    assert!(health.since_progress() < stale);
    assert_eq!(cluster.committed("out").len(), 10);
}

#[test]
fn lag_grows_while_there_is_something_and_nothing_is_read() {
    let cluster = filled(0, &[], 0);
    let value = Some(vec![b'x']);
    let timestamp_ms = Some((unix_seconds() * 1000.0) as i64 - 61_000);
    cluster.put("in", 0, NewRecord { value, timestamp_ms, ..NewRecord::default() });
    let metrics = Metrics::new(&Labels::default(), 1).unwrap();
    let health = WorkerHealth::new();
    let mut driver = Driver::new(LIMIT, &metrics, &health, 0);
    let mut log = cluster.join("g", "a", &["in"]);
    let mut stage = Doubling { expected: usize::MAX, seen: 0, stop: Stop::new() };
    let mut lag_after = |messages: i64| {
        health.lag(messages);
        driver.turn(&mut log, &mut stage).unwrap();
        metrics.lag_seconds.with_label_values(&["0"]).get()
    };
    let read = lag_after(5);
    assert!(read >= 60.0, "{read}");
    let stuck = lag_after(5);
    assert!(stuck >= read, "{stuck} after {read}");
    let caught_up = lag_after(0);
    assert!(caught_up == 0.0, "{caught_up}");
    let anew = lag_after(5);
    assert!(anew < 60.0, "{anew}: what was read before there was lag again is none");
}

fn fault() -> impl Strategy<Value = Option<Fault>> {
    prop_oneof![
        4 => Just(None),
        1 => Just(Some(Fault::Abort(AbortReason::Delivery))),
        1 => Just(Some(Fault::Rebalance)),
        1 => Just(Some(Fault::AnswerLost)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 200,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Whatever the batch size, wherever the poison is, whatever else goes wrong meanwhile.
    #[test]
    fn dead_letters_are_exactly_the_poisonous_records(
        poison in proptest::collection::btree_set(0_usize..60, 0..8),
        records in 1_usize..40,
        faults in proptest::collection::vec(fault(), 0..40),
    ) {
        let poison: Vec<_> = poison.into_iter().collect();
        let cluster = filled(60, &poison, 60);
        cluster.schedule(faults);
        let metrics = Metrics::new(&Labels::default(), 1).unwrap();
        let health = WorkerHealth::new();
        let limits = Limit { records, linger: Duration::ZERO, ..LIMIT };
        let mut driver = Driver::new(limits, &metrics, &health, 0);
        let mut log = cluster.join("g", "a", &["in"]);
        let stop = Stop::new();
        let mut stage = Doubling { expected: usize::MAX, seen: 0, stop };
        for _ in 0..1000 {
            driver.turn(&mut log, &mut stage).unwrap();
        }
        let causes = |topic: &str| {
            let mut numbers: Vec<_> = cluster
                .committed(topic)
                .into_iter()
                .filter_map(|c| c.cause)
                .map(|c| usize::try_from(c.offset * 2 + i64::from(c.partition)).unwrap())
                .collect();
            numbers.sort_unstable();
            numbers
        };
        let well: Vec<_> = (0..60).filter(|n| !poison.contains(n)).collect();
        prop_assert_eq!(causes("dead"), poison);
        prop_assert_eq!(causes("out"), well);
    }
}
