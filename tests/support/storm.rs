//! A schedule of faults, the same for every program that it is run on.

use super::broker::Kafka;
use super::daemon::{self, Instance, Settings};
use super::feed::{self, Feed, Feeder};
use super::verify::{self, Reader, Topics, Verdict};
use std::process::ExitStatus;
use std::sync::Mutex;
use std::time::{Duration, Instant};

#[derive(Clone, Debug)]
pub struct Storm {
    pub seed: u64,
    pub tickets: u64,
    pub per_second: u64,
    /// `kill -9` of an instance.
    pub kills: usize,
    /// `SIGTERM` of an instance.
    pub terms: usize,
    /// `SIGSTOP` of an instance for this long, then `SIGCONT`.
    pub zombie: Option<Duration>,
    /// `kill -9` of a broker, one node after the other.
    pub bounces: usize,
    /// A killed broker of several comes back before the others have noticed.
    pub early: bool,
    pub instances: usize,
    /// Of each instance.
    pub workers: usize,
    /// How long without any output until the rest is given up as lost.
    pub quiet: Duration,
}

#[derive(Clone, Debug)]
pub struct Outcome {
    pub verdict: Verdict,
    /// In the order in which they were made.
    pub kills: Vec<Kill>,
    pub bounces: usize,
    /// Ends that nobody asked for; each was answered by a restart.
    pub exits: usize,
    /// Exit status and how long it took, for each SIGTERM.
    pub terms: Vec<(Option<ExitStatus>, Duration)>,
    pub duration: Duration,
    /// What each instance said.
    pub logs: Vec<String>,
}

/// A kill of an instance, and how long it was felt.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Kill {
    pub seconds: f64,
    pub recovery: Duration,
    /// A broker was down meanwhile: some of the time is its failover's.
    pub broker_down: bool,
}

impl Outcome {
    /// The times to recover, sorted: of the kills that met whole brokers, or of the others.
    pub fn recoveries(&self, broker_down: bool) -> Vec<Duration> {
        let of = self.kills.iter().filter(|kill| kill.broker_down == broker_down);
        let mut times: Vec<_> = of.map(|kill| kill.recovery).collect();
        times.sort_unstable();
        times
    }
}

/// Ends that nobody asked for: a program that cannot even start is not worth the wait.
const TOO_MANY: usize = 200;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    Kill(usize),
    Term(usize),
    Zombie(usize),
}

/// Small, seeded, and the same everywhere.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

impl Storm {
    /// Faults by the number of tickets fed, so that each hits work in flight however slow the
    /// machine is.
    fn schedule(&self) -> Vec<(u64, Fault)> {
        let mut random = Random::new(self.seed);
        let slots = (self.kills + self.terms) as u64;
        let asleep = self.zombie.map_or(0, |d| d.as_secs() * self.per_second);
        let awake = (self.tickets * 94 / 100).saturating_sub(asleep);
        let mut faults = Vec::new();
        for slot in 0..slots {
            let instance = random.below(self.instances as u64) as usize;
            let jitter = random.below(50) + 25;
            let mut at = self.tickets * 3 / 100 + awake * (slot * 100 + jitter) / (slots * 100);
            // Nobody is killed while one of them sleeps: the times to recover would be its own.
            if slot >= slots / 2 {
                at += asleep;
            }
            let term = (slot as usize) < self.terms;
            faults.push((at, if term { Fault::Term(instance) } else { Fault::Kill(instance) }));
        }
        if self.zombie.is_some() {
            let instance = random.below(self.instances as u64) as usize;
            let at = self.tickets * 3 / 100 + awake / 2;
            let middle = faults.partition_point(|(earlier, _)| *earlier <= at);
            faults.insert(middle, (at, Fault::Zombie(instance)));
        }
        faults
    }

    /// Runs `program` through the storm on topics of its own and judges what came out.
    pub fn run(
        &self,
        kafka: &Kafka,
        topics: &Topics,
        program: impl Fn(&Settings<'_>) -> Instance,
    ) -> Outcome {
        daemon::create(kafka, topics);
        let group = topics.input.replace("tickets.new", "triage");
        let (brokers, direct) = (kafka.bootstrap(), kafka.direct());
        let (started, started_us) = (Instant::now(), feed::now_us());
        let mut instances: Vec<_> = (0..self.instances)
            .map(|index| {
                let name = index.to_string();
                let settings = Settings {
                    brokers: &brokers,
                    topics,
                    group: &group,
                    name: &name,
                    workers: self.workers,
                    extra: "",
                };
                program(&settings)
            })
            .collect();
        instances.iter_mut().for_each(Instance::launch);

        let reader = Reader::start(&direct, topics);
        let feeder = Feeder::start(Feed {
            brokers: direct.clone(),
            topic: topics.input.clone(),
            tickets: self.tickets,
            per_second: self.per_second,
            padding: 300,
        });
        let bounces = Mutex::new(Vec::new());
        let mut faults = Faults { instances, exits: 0, kills_us: Vec::new(), terms: Vec::new() };
        std::thread::scope(|scope| {
            scope.spawn(|| self.bounce_brokers(kafka, &feeder, &bounces));
            for (at, fault) in self.schedule() {
                while feeder.sent() < at {
                    faults.restart_ended();
                    std::thread::sleep(Duration::from_millis(5));
                }
                faults.make(fault, self.zombie.unwrap_or_default());
            }
            while !feeder.done() {
                faults.restart_ended();
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        feeder.join();
        reader.wait_with(self.tickets, self.quiet, || faults.restart_ended());
        // Late doubles come late, and so do the last positions.
        std::thread::sleep(Duration::from_secs(2));
        let live = reader.finish();
        let duration = started.elapsed();

        // A reader in the midst of the faults and one afterwards must agree.
        let verdict = verify::check(&direct, topics, &group, self.tickets);
        if verdict.lost == 0 {
            assert_eq!(live.len() as u64, verdict.outputs, "two readers saw different outputs");
        }
        let bounces = bounces.into_inner().expect("not poisoned");
        let kills =
            verify::recoveries(&live, &faults.kills_us).into_iter().map(|(at, recovery)| {
                let recovered = at + recovery.as_micros() as u64;
                Kill {
                    seconds: at.saturating_sub(started_us) as f64 / 1e6,
                    recovery,
                    broker_down: bounces.iter().any(|(down, up)| *down <= recovered && at <= *up),
                }
            });
        Outcome {
            verdict,
            kills: kills.collect(),
            bounces: bounces.len(),
            exits: faults.exits,
            terms: faults.terms,
            duration,
            logs: faults.instances.iter().map(Instance::log).collect(),
        }
    }

    /// Notes from when to when a broker was away.
    fn bounce_brokers(&self, kafka: &Kafka, feeder: &Feeder, done: &Mutex<Vec<(u64, u64)>>) {
        let mut random = Random::new(self.seed ^ 0xB0);
        for bounce in 0..self.bounces {
            let at = self.tickets * (2 * bounce as u64 + 1) / (2 * self.bounces as u64);
            while feeder.sent() < at && !feeder.done() {
                std::thread::sleep(Duration::from_millis(20));
            }
            if feeder.done() {
                return;
            }
            let node = kafka.node(bounce % kafka.nodes().len());
            let down = feed::now_us();
            node.kill9();
            if kafka.nodes().len() > 1 && !self.early {
                kafka.wait_taken_over(bounce % kafka.nodes().len(), Duration::from_secs(60));
            }
            std::thread::sleep(Duration::from_millis(500 + random.below(2500)));
            node.start();
            // Two of three must never be down at once, or nothing could be written at all.
            kafka.wait_settled(Duration::from_secs(120));
            done.lock().expect("not poisoned").push((down, feed::now_us()));
        }
    }
}

struct Faults {
    instances: Vec<Instance>,
    exits: usize,
    kills_us: Vec<u64>,
    terms: Vec<(Option<ExitStatus>, Duration)>,
}

impl Faults {
    fn make(&mut self, fault: Fault, asleep: Duration) {
        match fault {
            Fault::Kill(index) => {
                self.kills_us.push(feed::now_us());
                self.instances[index].kill9();
                // A supervisor needs a moment too.
                std::thread::sleep(Duration::from_millis(100));
                self.instances[index].launch();
            }
            Fault::Term(index) => {
                let since = Instant::now();
                let status = self.instances[index].term(Duration::from_secs(40));
                self.terms.push((status, since.elapsed()));
                self.instances[index].launch();
            }
            Fault::Zombie(index) => {
                self.instances[index].stop();
                std::thread::sleep(asleep);
                self.instances[index].cont();
            }
        }
    }

    /// What a supervisor does: whoever ended by itself is started again.
    fn restart_ended(&mut self) {
        for instance in &mut self.instances {
            if instance.ended().is_some() {
                self.exits += 1;
                assert!(self.exits <= TOO_MANY, "it keeps ending by itself:\n{}", instance.log());
                std::thread::sleep(Duration::from_millis(100));
                instance.launch();
            }
        }
    }
}
