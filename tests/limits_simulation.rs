//! A million requests to act, decided in turns by two processes that die in the midst of their calls,
//! on a host that goes down again and again: no cap is ever exceeded, and no breaker lets through what
//! it holds back.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use triaged::resolve::admissions::{Admission, Admissions, Asked};
use triaged::resolve::ledger::{Entry, Ledger, Line, State};
use triaged::resolve::limits::{Cap, HOUR_MS, Limits, MINUTE_MS, SwitchOff};
use triaged::stage::runbook::breaker::{Breaker, BreakerRule, BreakerState, Pass};

const DECISIONS: u64 = 1_000_000;
/// How fast requests come.
const STEP_MS: i64 = 150;
const REQUESTERS: u64 = 8;
/// The last one is called at most once.
const PLAYBOOKS: [&str; 3] = ["unlock", "resend", "order"];

const LIMITS: Limits = Limits {
    playbook: Cap { a_minute: 12, an_hour: 60 },
    requester: Cap { a_minute: 8, an_hour: 30 },
    overall: Cap { a_minute: 20, an_hour: 120 },
    // Would end the simulation at the first outage; it has tests of its own.
    switch_off: SwitchOff { of: 1000, at_least: 1000, failures: 1.0, reopenings: 1.0 },
    remember_ms: None,
};

/// Ten minutes of every fifty: no part of the hour that the caps are about, or all calls of an hour
/// would come before its outages.
fn is_down(at_ms: i64) -> bool {
    at_ms / (10 * MINUTE_MS) % 5 == 4
}

/// Knuth's MMIX generator; the high bits are the good ones.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn one_in(&mut self, bound: u64) -> bool {
        self.below(bound) == 0
    }

    fn ms(&mut self, bound: u64) -> i64 {
        i64::try_from(self.below(bound)).expect("a small number")
    }
}

/// Somebody asks for something.
#[derive(Clone)]
struct Request {
    ticket: String,
    playbook: usize,
    requester: u64,
}

impl Request {
    fn asked(&self) -> Asked<'_> {
        Asked {
            ticket: &self.ticket,
            content: 1,
            requester: self.requester,
            playbook: PLAYBOOKS[self.playbook],
            created_ms: 0,
        }
    }

    fn line(&self, state: State, called_ms: Option<i64>, at_ms: i64) -> Line {
        Line::Ticket(Entry {
            ticket: self.ticket.clone(),
            playbook: PLAYBOOKS[self.playbook].to_owned(),
            version: 1,
            state,
            called_ms,
            requester: self.requester,
            content: 1,
            on_ms: None,
            at_ms,
        })
    }
}

/// What a process knows; its death leaves nothing of it.
struct Process {
    ledger: Ledger,
    /// Lines of the topic that it has read.
    read: usize,
    breaker: Breaker,
    /// When the breaker opened last, while it is not closed.
    opened_ms: Option<i64>,
    /// Requests into the outage that goes on, or the last one.
    into_outage: (i64, u32),
}

impl Process {
    fn start(topic: &[Line], compacted: bool) -> Self {
        let mut ledger = Ledger::default();
        let last: HashMap<String, usize> =
            topic.iter().enumerate().map(|(i, line)| (line.key(), i)).collect();
        for (i, line) in topic.iter().enumerate() {
            if !compacted || last[&line.key()] == i {
                ledger.apply(line.clone());
            }
        }
        Self {
            ledger,
            read: topic.len(),
            breaker: Breaker::new(BreakerRule::default()),
            opened_ms: None,
            into_outage: (0, 0),
        }
    }

    fn catch_up(&mut self, topic: &[Line]) {
        topic[self.read..].iter().cloned().for_each(|line| self.ledger.apply(line));
        self.read = topic.len();
    }

    /// Asks the breaker for one request, and holds it to what it promises.
    fn send(&mut self, at_ms: i64, in_flight: usize, epoch: Instant) -> Option<Pass> {
        let pass = self.breaker.admit(time(epoch, at_ms))?;
        let rule = BreakerRule::default();
        if let Some(opened_ms) = self.opened_ms {
            let pause = i64::try_from(rule.open_for.as_millis()).expect("a short time");
            assert!(at_ms >= opened_ms + pause, "sent while the breaker was open");
            assert_eq!(self.breaker.state(), BreakerState::HalfOpen);
            assert_eq!(in_flight, 0, "more than one probe");
        }
        if is_down(at_ms) {
            let outage = at_ms / (10 * MINUTE_MS);
            let (last, sent) = self.into_outage;
            self.into_outage = (outage, if last == outage { sent + 1 } else { 1 });
            // Half of the window has to fail, a minute's calls may be in flight then, and probes
            // begin after 10, 30, 70, 150, 310 seconds.
            let most = u32::try_from(rule.window / 2).expect("a small number")
                + LIMITS.overall.a_minute
                + 5;
            assert!(self.into_outage.1 <= most, "{} requests into one outage", self.into_outage.1);
        }
        Some(pass)
    }

    fn hear(&mut self, pass: &Pass, failed: bool, at_ms: i64, epoch: Instant) {
        let before = self.breaker.state();
        self.breaker.report(pass, failed, time(epoch, at_ms));
        match self.breaker.state() {
            BreakerState::Closed => self.opened_ms = None,
            BreakerState::Open if before != BreakerState::Open => self.opened_ms = Some(at_ms),
            BreakerState::Open | BreakerState::HalfOpen => {}
        }
    }
}

fn time(epoch: Instant, at_ms: i64) -> Instant {
    epoch + Duration::from_millis(at_ms.unsigned_abs())
}

/// What both processes share, and what the host saw.
struct World {
    chance: Chance,
    epoch: Instant,
    now_ms: i64,
    /// The ledger's topic.
    topic: Vec<Line>,
    /// Read, and not committed: they come again.
    open: Vec<Request>,
    tickets: u64,
    decided: u64,
    /// The first request of each ticket.
    sent: Vec<(i64, Request)>,
    sent_for: HashSet<String>,
    openings: u32,
    deaths: u32,
    unknown: u32,
}

/// A call that was planned.
struct Call {
    request: Request,
    called_ms: i64,
    /// An earlier process had started it.
    again: bool,
    begins_ms: i64,
    ends_ms: i64,
    pass: Option<Pass>,
    state: State,
}

impl World {
    fn new() -> Self {
        Self {
            chance: Chance(7),
            epoch: Instant::now(),
            now_ms: 0,
            topic: Vec::new(),
            open: Vec::new(),
            tickets: 0,
            decided: 0,
            sent: Vec::new(),
            sent_for: HashSet::new(),
            openings: 0,
            deaths: 0,
            unknown: 0,
        }
    }

    /// What came again, and some that are new.
    fn batch(&mut self) -> Vec<Request> {
        let mut batch = std::mem::take(&mut self.open);
        for _ in 0..=self.chance.below(40) {
            self.now_ms += STEP_MS;
            self.tickets += 1;
            batch.push(Request {
                ticket: format!("T-{}", self.tickets),
                playbook: usize::try_from(self.chance.below(3)).expect("a small number"),
                requester: self.chance.below(REQUESTERS),
            });
        }
        batch
    }

    /// One batch of one process, which is another one afterwards if it died.
    fn turn(&mut self, process: &mut Process) {
        process.catch_up(&self.topic);
        let batch = self.batch();
        let (mut calls, mut lines) = self.plan(process, &batch);
        if self.chance.one_in(10) {
            // The starts are not committed, and nothing is called.
            self.open = batch;
            return;
        }
        let planned = calls.iter().filter(|call| !call.again);
        self.topic.extend(
            planned.map(|c| c.request.line(State::Started, Some(c.called_ms), self.now_ms)),
        );
        let dies_ms = self.chance.one_in(60).then(|| self.now_ms + self.chance.ms(4_000));
        self.carry_out(process, &mut calls, dies_ms.unwrap_or(i64::MAX));
        if let Some(dies_ms) = dies_ms {
            self.now_ms = dies_ms;
            self.deaths += 1;
            self.open = batch;
            *process = Process::start(&self.topic, self.chance.one_in(2));
            return;
        }
        self.now_ms = calls.iter().map(|call| call.ends_ms).fold(self.now_ms, i64::max);
        lines.extend(calls.iter().map(|call| {
            let called_ms = (call.state != State::HandedBack).then_some(call.called_ms);
            call.request.line(call.state, called_ms, self.now_ms)
        }));
        self.topic.extend(lines);
    }

    /// The calls that may be made, and lines about those that must not be made again.
    fn plan(&mut self, process: &Process, batch: &[Request]) -> (Vec<Call>, Vec<Line>) {
        let mut admissions = Admissions::new(&process.ledger, &LIMITS);
        let (mut calls, mut lines) = (Vec::new(), Vec::new());
        for request in batch {
            self.decided += 1;
            let (called_ms, again) = match admissions.admit(&request.asked(), 0, self.now_ms) {
                Admission::Go => (self.now_ms, false),
                Admission::Started { called_ms } if request.playbook == 2 => {
                    self.unknown += 1;
                    lines.push(request.line(State::Unknown, Some(called_ms), self.now_ms));
                    continue;
                }
                Admission::Started { called_ms } => (called_ms, true),
                Admission::Already | Admission::Held(_) => continue,
            };
            // Calls wait for room, and the host takes its time.
            let begins_ms = self.now_ms + self.chance.ms(3_000);
            calls.push(Call {
                request: request.clone(),
                called_ms,
                again,
                begins_ms,
                ends_ms: begins_ms + 50 + self.chance.ms(2_000),
                pass: None,
                state: if again { State::Unknown } else { State::HandedBack },
            });
        }
        (calls, lines)
    }

    /// Makes calls until the process dies, all that happens in the order of its time.
    fn carry_out(&mut self, process: &mut Process, calls: &mut [Call], dies_ms: i64) {
        let times = calls.iter().enumerate();
        let mut events: Vec<(i64, bool, usize)> =
            times.flat_map(|(i, c)| [(c.begins_ms, false, i), (c.ends_ms, true, i)]).collect();
        events.sort_unstable();
        let mut in_flight = 0;
        for (at_ms, ends, i) in events.into_iter().take_while(|(at_ms, ..)| *at_ms < dies_ms) {
            let call = &mut calls[i];
            if !ends {
                call.pass = process.send(at_ms, in_flight, self.epoch);
                if call.pass.is_some() {
                    in_flight += 1;
                    let first = self.sent_for.insert(call.request.ticket.clone());
                    assert!(first || call.request.playbook != 2, "called twice");
                    if first {
                        self.sent.push((at_ms, call.request.clone()));
                    }
                }
            } else if let Some(pass) = call.pass.take() {
                in_flight -= 1;
                let failed = is_down(call.begins_ms);
                call.state = if failed { State::Failed } else { State::Done };
                let was_open = process.opened_ms;
                process.hear(&pass, failed, at_ms, self.epoch);
                self.openings += u32::from(process.opened_ms.is_some() && was_open.is_none());
            }
        }
    }

    /// Whether any window of the requests that the host saw holds more than it may.
    fn check_caps(&mut self) {
        self.sent.sort_by_key(|(at_ms, _)| *at_ms);
        let Limits { playbook, requester, overall, .. } = LIMITS;
        for (window_ms, [of_playbook, of_requester, of_all]) in [
            (MINUTE_MS, [playbook.a_minute, requester.a_minute, overall.a_minute]),
            (HOUR_MS, [playbook.an_hour, requester.an_hour, overall.an_hour]),
        ] {
            let mut first = 0;
            for (i, (end_ms, _)) in self.sent.iter().enumerate() {
                while self.sent[first].0 <= end_ms - window_ms {
                    first += 1;
                }
                let inside = &self.sent[first..=i];
                let count = |of: &dyn Fn(&Request) -> bool| {
                    let n = inside.iter().filter(|(_, request)| of(request)).count();
                    u32::try_from(n).expect("a small number")
                };
                assert!(count(&|_| true) <= of_all);
                for place in 0..PLAYBOOKS.len() {
                    assert!(count(&|request| request.playbook == place) <= of_playbook);
                }
                for who in 0..REQUESTERS {
                    assert!(count(&|request| request.requester == who) <= of_requester);
                }
            }
        }
    }
}

#[test]
fn a_million_decisions_over_restarts_and_two_instances_keep_caps_and_breakers() {
    let mut world = World::new();
    let mut processes = [(); 2].map(|()| Process::start(&[], false));
    while world.decided < DECISIONS {
        let turn = usize::try_from(world.chance.below(2)).expect("one of two");
        world.turn(&mut processes[turn]);
    }
    world.check_caps();
    let World { sent, deaths, openings, unknown, .. } = &world;
    eprintln!("{} calls, {deaths} deaths, {openings} openings, {unknown} unknown", sent.len());
    // Enough of everything that it is about.
    assert!(sent.len() > 2_000 && *deaths > 200 && *openings > 30 && *unknown > 20);
}
