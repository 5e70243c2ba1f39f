//! The crash model: the real loop over the log in memory, under every schedule of faults up to
//! four commits long, with one worker and with two in fixed interleavings. Whatever happens,
//! each input must have exactly one committed output, order per key must hold, and the positions
//! must end at the end. Broken loops show that the checker bites.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use triaged::health::WorkerHealth;
use triaged::log::memory::{Fault, MemoryCluster, MemoryLog};
use triaged::log::{
    AbortReason, Batch, Limit, Log, LogError, NewRecord, Outgoing, Positions, Record,
};
use triaged::metrics::{Labels, Metrics};
use triaged::stage::Stage;
use triaged::stage::drive::Driver;

const PARTITIONS: usize = 2;
const RECORDS: usize = 4;
const ENOUGH_TURNS: usize = 80;
const LIMIT: Limit = Limit { records: 3, bytes: usize::MAX, linger: Duration::ZERO };

/// One step of a schedule: what may happen in a commit.
const STEPS: [Option<Fault>; 9] = [
    None,
    Some(Fault::CrashBeforeSend),
    Some(Fault::CrashAfterSend),
    Some(Fault::CrashBeforeCommit),
    Some(Fault::CrashAfterCommit),
    Some(Fault::AnswerLost),
    Some(Fault::Rebalance),
    Some(Fault::Abort(AbortReason::Delivery)),
    Some(Fault::Abort(AbortReason::RecordRefused)),
];

/// Every schedule of four steps; shorter ones are among them, with `None` at their end.
fn schedules() -> impl Iterator<Item = [Option<Fault>; 4]> {
    let n = STEPS.len();
    (0..n.pow(4)).map(move |i| {
        [STEPS[i % n], STEPS[i / n % n], STEPS[i / n.pow(2) % n], STEPS[i / n.pow(3)]]
    })
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Workers {
    One,
    /// Two workers take turns.
    Alternating,
    /// The second worker has whole turns while the first is between reading and committing.
    Nested,
}

#[derive(Clone, Copy, Debug)]
enum Restart {
    AtOnce,
    /// The others get its partitions meanwhile.
    Later,
}

/// Copies each record to `out`; `between` runs after reading and before committing.
struct Copy<'a> {
    between: Box<dyn FnMut() + 'a>,
}

fn answer(record: &Record, topic: &str, value: Option<Vec<u8>>) -> Outgoing {
    Outgoing {
        cause: record.origin.clone(),
        topic: topic.into(),
        key: record.key.clone(),
        value,
        headers: record.headers.clone(),
        timestamp_ms: record.timestamp_ms,
    }
}

impl Stage for Copy<'_> {
    fn run(&mut self, batch: &Batch) -> Vec<Outgoing> {
        (self.between)();
        batch.records.iter().map(|r| answer(r, "out", r.value.clone())).collect()
    }
    fn refuse(&mut self, record: &Record) -> Outgoing {
        answer(record, "dead", record.value.clone())
    }
    fn refuse_by_reference(&mut self, record: &Record) -> Outgoing {
        answer(record, "dead", None)
    }
    fn committed(&mut self, _: &Batch) {}
}

/// How a worker's log is made of the cluster's: as it is, or broken on purpose.
type Wrap = fn(MemoryLog) -> Box<dyn Log>;

struct Worker<'a> {
    name: &'static str,
    cluster: MemoryCluster,
    wrap: Wrap,
    restart: Restart,
    /// `None` while the process is down; then turns until it is back.
    log: Option<Box<dyn Log>>,
    down: usize,
    driver: Driver<'a>,
    world: &'a World,
}

impl<'a> Worker<'a> {
    fn start(
        world: &'a World,
        cluster: &MemoryCluster,
        name: &'static str,
        wrap: Wrap,
        restart: Restart,
    ) -> Self {
        let log = Some(wrap(cluster.join("g", name, &["in"])));
        let driver = world.driver();
        Self { name, cluster: cluster.clone(), wrap, restart, log, down: 0, driver, world }
    }

    fn turn(&mut self, stage: &mut dyn Stage) {
        if self.down > 0 {
            self.down -= 1;
            return;
        }
        let log =
            self.log.get_or_insert_with(|| (self.wrap)(self.cluster.join("g", self.name, &["in"])));
        match self.driver.turn(log.as_mut(), stage) {
            Ok(_) => {}
            Err(LogError::Aborted(_)) => panic!("the loop handles every abort itself"),
            // A new process knows nothing but what the log tells it.
            Err(LogError::Fatal(_)) => {
                self.log = None;
                self.driver = self.world.driver();
                if let Restart::Later = self.restart {
                    self.cluster.leave("g", self.name);
                    self.down = 3;
                }
            }
        }
    }
}

/// What all runs share, as metrics are dear to make.
struct World {
    metrics: Arc<Metrics>,
    health: Arc<WorkerHealth>,
}

impl World {
    fn new() -> Self {
        Self { metrics: Metrics::new(&Labels::default(), 2).unwrap(), health: WorkerHealth::new() }
    }

    fn driver(&self) -> Driver<'_> {
        Driver::new(LIMIT, &self.metrics, &self.health, 0)
    }

    /// One run of the whole model; says what is wrong with its result.
    fn run(
        &self,
        workers: Workers,
        restart: Restart,
        wrap: Wrap,
        fenced: bool,
        faults: [Option<Fault>; 4],
    ) -> Result<(), String> {
        let cluster = filled();
        if !fenced {
            cluster.without_fencing();
        }
        let first = RefCell::new(Worker::start(self, &cluster, "a", wrap, restart));
        let second = match workers {
            Workers::One => None,
            _ => Some(Rc::new(RefCell::new(Worker::start(self, &cluster, "b", wrap, restart)))),
        };
        cluster.schedule(faults);

        let mut plain = Copy { between: Box::new(|| {}) };
        let mut inner = Copy { between: Box::new(|| {}) };
        let mut nested = Copy {
            between: Box::new(|| {
                if let Some(second) = &second {
                    for _ in 0..3 {
                        second.borrow_mut().turn(&mut inner);
                    }
                }
            }),
        };
        for _ in 0..ENOUGH_TURNS {
            if workers == Workers::Nested {
                first.borrow_mut().turn(&mut nested);
            } else {
                first.borrow_mut().turn(&mut plain);
            }
            if let Some(second) = &second {
                second.borrow_mut().turn(&mut plain);
            }
            if at_end(&cluster) {
                break;
            }
        }
        check(&cluster)
    }
}

fn filled() -> MemoryCluster {
    let cluster = MemoryCluster::new(&[("in", PARTITIONS), ("out", 3), ("dead", 1)]);
    for partition in 0..PARTITIONS {
        for n in 0..RECORDS {
            let key = format!("{partition}-{}", n % 2).into_bytes();
            let value = format!("{partition}/{n}").into_bytes();
            let record = NewRecord { key: Some(key), value: Some(value), ..NewRecord::default() };
            cluster.put("in", partition, record);
        }
    }
    cluster
}

fn at_end(cluster: &MemoryCluster) -> bool {
    let positions = cluster.positions("g");
    positions.len() == PARTITIONS && positions.values().all(|p| p.get() == RECORDS as i64)
}

fn check(cluster: &MemoryCluster) -> Result<(), String> {
    if !at_end(cluster) {
        return Err(format!("stuck at {:?}", cluster.positions("g")));
    }
    let mut answers: BTreeMap<_, usize> = BTreeMap::new();
    for input in cluster.committed("in") {
        answers.insert(input.record.origin, 0);
    }
    let mut disorder = Ok(());
    for topic in ["out", "dead"] {
        let mut last = BTreeMap::new();
        for output in cluster.committed(topic) {
            let cause = output.cause.expect("every output has a cause");
            let value = format!("{}/{}", cause.partition, cause.offset).into_bytes();
            if output.record.value.as_ref() != Some(&value) {
                return Err(format!("the output of {cause} is another record's"));
            }
            let before = last.insert(output.record.key, cause.offset);
            if before.is_some_and(|before| before > cause.offset) {
                disorder = Err(format!("disordered: {before:?} before {cause}"));
            }
            *answers.entry(cause).or_default() += 1;
        }
    }
    for (origin, count) in answers {
        match count {
            0 => return Err(format!("lost: {origin}")),
            1 => {}
            _ => return Err(format!("doubled: {origin}")),
        }
    }
    disorder
}

fn sound(log: MemoryLog) -> Box<dyn Log> {
    Box::new(log)
}

fn every_schedule_passes(workers: Workers) {
    let world = World::new();
    for restart in [Restart::AtOnce, Restart::Later] {
        for faults in schedules() {
            if let Err(wrong) = world.run(workers, restart, sound, true, faults) {
                panic!("{wrong}; {workers:?}, restart {restart:?}, faults {faults:?}");
            }
        }
    }
}

#[test]
fn one_worker_is_exactly_once_under_every_schedule() {
    every_schedule_passes(Workers::One);
}

#[test]
fn two_workers_taking_turns_are_exactly_once_under_every_schedule() {
    every_schedule_passes(Workers::Alternating);
}

#[test]
fn a_worker_overtaken_within_its_batch_is_exactly_once_under_every_schedule() {
    every_schedule_passes(Workers::Nested);
}

/// Which kinds of wrong results the checker reports over all schedules.
fn findings(workers: Workers, wrap: Wrap, fenced: bool) -> BTreeMap<String, usize> {
    let world = World::new();
    world.run(workers, Restart::AtOnce, wrap, true, [None; 4]).expect("sound without faults");
    let mut findings = BTreeMap::new();
    for faults in schedules() {
        if let Err(wrong) = world.run(workers, Restart::AtOnce, wrap, fenced, faults) {
            let kind = wrong.split([':', ' ']).next().unwrap_or_default().to_owned();
            *findings.entry(kind).or_default() += 1;
        }
    }
    findings
}

/// Commits outputs and positions one after the other.
struct Apart {
    log: MemoryLog,
    outputs_first: bool,
}

impl Log for Apart {
    fn next(&mut self, limit: Limit) -> Result<Batch, LogError> {
        self.log.next(limit)
    }
    fn commit(
        &mut self,
        from: &Positions,
        upto: &Positions,
        outputs: Vec<Outgoing>,
    ) -> Result<(), LogError> {
        if self.outputs_first {
            self.log.commit(from, &Positions::new(), outputs)?;
            self.log.commit(from, upto, Vec::new())
        } else {
            self.log.commit(from, upto, Vec::new())?;
            self.log.commit(from, &Positions::new(), outputs)
        }
    }
    fn close(self: Box<Self>, exit_code: i32) {
        Box::new(self.log).close(exit_code);
    }
}

#[test]
fn the_checker_catches_outputs_committed_before_positions() {
    let wrap: Wrap = |log| Box::new(Apart { log, outputs_first: true });
    assert!(findings(Workers::One, wrap, true).contains_key("doubled"));
}

#[test]
fn the_checker_catches_positions_committed_before_outputs() {
    let wrap: Wrap = |log| Box::new(Apart { log, outputs_first: false });
    assert!(findings(Workers::One, wrap, true).contains_key("lost"));
}

/// Does not ask what became of a commit whose answer is lost.
struct Careless(MemoryLog);

impl Log for Careless {
    fn next(&mut self, limit: Limit) -> Result<Batch, LogError> {
        self.0.next(limit)
    }
    fn commit(
        &mut self,
        from: &Positions,
        upto: &Positions,
        outputs: Vec<Outgoing>,
    ) -> Result<(), LogError> {
        match self.0.commit(from, upto, outputs.clone()) {
            Err(LogError::Aborted(AbortReason::Unknown)) => {
                self.0.commit(from, &Positions::new(), outputs)
            }
            other => other,
        }
    }
    fn close(self: Box<Self>, exit_code: i32) {
        Box::new(self.0).close(exit_code);
    }
}

#[test]
fn the_checker_catches_outputs_written_again_when_the_answer_is_lost() {
    assert!(findings(Workers::One, |log| Box::new(Careless(log)), true).contains_key("doubled"));
}

#[test]
fn the_checker_catches_a_log_that_does_not_fence_overtaken_workers() {
    assert!(findings(Workers::Nested, sound, false).contains_key("doubled"));
}
