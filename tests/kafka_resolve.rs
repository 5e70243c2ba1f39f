//! Auto-resolution under fire: the built daemon on a real Kafka, with a real runbook, killed
//! between the runbook's work and the commit. What is idempotent takes effect once, what is not
//! is called at most once, and every ticket has one outcome.

#[path = "support/playbook.rs"]
mod playbook;
#[path = "support/runbook.rs"]
mod runbook;
mod support;
#[path = "kafka_resolve/world.rs"]
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Failed, Trial};
use runbook::Reply;
use support::broker::{self, NEWEST};
use support::daemon::{self, Instance};
use support::verify::Topics;
use world::{BATCH, World, ensure, ticket, wait};

const KILLS: usize = 100;

fn main() {
    let skip = broker::missing(NEWEST);
    let trials = vec![
        Trial::test("kill_9_between_the_call_and_the_commit", kill_9).with_ignored_flag(skip),
        Trial::test("a_kill_switch_is_heard_within_a_second", kill_switch).with_ignored_flag(skip),
        Trial::test("a_kill_stops_calls_that_wait", kill_under_way).with_ignored_flag(skip),
        Trial::test("routing_never_waits_for_a_runbook", runbook_down).with_ignored_flag(skip),
        Trial::test("topics_that_do_not_fit_are_told", unfit_topics).with_ignored_flag(skip),
    ];
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    libtest_mimic::run(&arguments, trials).exit();
}

/// The lag of all topics together, as the metrics page has it.
fn lag(page: &str) -> Option<f64> {
    let lines = page.lines().filter(|line| line.starts_with("triaged_lag_messages{"));
    lines.map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
}

fn kill_9() -> Result<(), Failed> {
    const TICKETS: usize = 600;
    let (struck, strike) = channel();
    let world = World::new(striking(struck))?;
    world.put((0..TICKETS).map(ticket))?;
    let mut daemon = world.daemon();
    daemon.launch();
    let mut kills = 0;
    let deadline = Instant::now() + Duration::from_secs(900);
    loop {
        if struck_within(&strike, Duration::from_secs(5)) {
            daemon.kill9();
            while strike.try_recv().is_ok() {}
            kills += 1;
            daemon.launch();
        } else if world.values("tickets.outcomes")?.len() >= TICKETS {
            break;
        }
        ensure(daemon.ended().is_none(), format!("it ended:\n{}", daemon.log()))?;
        ensure(Instant::now() < deadline, format!("{kills} kills, too slow:\n{}", daemon.log()))?;
    }
    // The topic of actions ends with the end of a transaction: nobody waits for that.
    let deadline = Instant::now() + Duration::from_secs(30);
    let idle = |daemon: &Instance| {
        daemon.get("/readyz").is_some_and(|(status, _)| status == 200)
            && daemon.get("/metrics").is_some_and(|(_, page)| lag(&page) == Some(0.0))
    };
    while !idle(&daemon) {
        let (ready, page) = (daemon.get("/readyz"), daemon.get("/metrics").unwrap_or_default().1);
        let lines: Vec<&str> =
            page.lines().filter(|line| line.contains("_lag_messages{")).collect();
        ensure(Instant::now() < deadline, format!("idle, with lag: {ready:?} {lines:?}"))?;
        std::thread::sleep(Duration::from_millis(200));
    }
    daemon.term(Duration::from_secs(40));
    ensure(kills >= KILLS, format!("only {kills} kills"))?;

    let mut outcomes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for outcome in world.values("tickets.outcomes")? {
        let text = |name: &str| outcome[name].as_str().unwrap_or_default().to_owned();
        outcomes.entry(text("ticket_id")).or_default().push(text("outcome"));
    }
    let twice: Vec<_> = outcomes.iter().filter(|(_, of)| of.len() != 1).collect();
    ensure(twice.is_empty() && outcomes.len() == TICKETS, format!("not once each: {twice:?}"))?;
    let routed: BTreeSet<String> = world
        .values(&world.topics.routed)?
        .iter()
        .filter_map(|event| event["ticket_id"].as_str().map(str::to_owned))
        .collect();
    let (mut effects, mut calls) = (BTreeMap::new(), BTreeMap::new());
    for request in world.runbook.requests() {
        let keys: &mut BTreeSet<_> = effects.entry(request.path.clone()).or_default();
        keys.insert(request.key);
        *calls.entry(request.path).or_insert(0) += 1;
    }
    let mut unknown = 0;
    for n in 0..TICKETS {
        let ticket = ticket(n);
        let id = ticket["ticket_id"].as_str().unwrap_or_default();
        let user = ticket["user"].as_str().unwrap_or_default();
        let outcome = &*outcomes[id][0];
        if n.is_multiple_of(2) {
            let keys = effects.get(&format!("/unlock/{user}")).map_or(0, BTreeSet::len);
            ensure(keys == 1 && outcome == "done", format!("{id}: {keys} keys, {outcome}"))?;
        } else {
            let calls = calls.get(&format!("/order/{user}")).copied().unwrap_or(0);
            ensure(calls <= 1, format!("{id} was called {calls} times"))?;
            ensure(calls == 1 || outcome != "done", format!("{id} is done without a call"))?;
            unknown += usize::from(outcome == "unknown");
            ensure(outcome == "done" || routed.contains(id), format!("{id} is lost: {outcome}"))?;
        }
    }
    eprintln!("{kills} kills, {unknown} of {} at most once unknown", TICKETS / 2);
    ensure(unknown > 0, "no kill struck an at-most-once call")
}

/// Acts, and at every fifth new key lets the daemon be killed: before it has the answer, or just
/// after it.
fn striking(
    struck: std::sync::mpsc::Sender<()>,
) -> impl FnMut(&runbook::Request) -> Reply + Send + 'static {
    let (mut seen, mut kept) = (BTreeSet::new(), 0_usize);
    move |request| {
        if !seen.insert(request.key.clone()) {
            return Reply::Done;
        }
        kept += 1;
        if !kept.is_multiple_of(5) {
            return Reply::Done;
        }
        // The receiver goes when the test is over.
        let _ = struck.send(());
        if kept.is_multiple_of(2) { Reply::Done } else { Reply::Silent(Duration::from_secs(2)) }
    }
}

fn struck_within(strike: &Receiver<()>, time: Duration) -> bool {
    strike.recv_timeout(time).is_ok()
}

fn kill_switch() -> Result<(), Failed> {
    let world = World::new(|_| Reply::Done)?;
    let mut daemon = world.daemon();
    daemon.launch();
    daemon.wait_ready(Duration::from_secs(30));
    let done = |n| -> Result<bool, Failed> { Ok(world.values("tickets.outcomes")?.len() >= n) };
    world.put((0..10).map(ticket))?;
    wait(|| done(10))?;
    ensure(world.command(&["kill", "--by", "ops"]).status()?.success(), "kill failed")?;
    let heard = Instant::now();
    while !daemon.get("/metrics").is_some_and(|(_, page)| page.contains("triaged_kill_switch 1")) {
        ensure(heard.elapsed() < Duration::from_secs(1), "it was not heard within a second")?;
        std::thread::sleep(Duration::from_millis(10));
    }
    world.put((10..20).map(ticket))?;
    wait(|| done(20))?;
    ensure(world.runbook.requests().len() == 10, "the runbook was called after the kill")?;
    let killed = world.values("tickets.outcomes")?;
    let killed = killed.iter().filter(|outcome| outcome["reason"] == "killed").count();
    ensure(killed == 10, format!("{killed} of 10 were held back"))
}

/// With calls under way and hundreds that wait: what was sent is waited for, and no more is sent.
fn kill_under_way() -> Result<(), Failed> {
    const TICKETS: usize = 400;
    let world = World::new(|_| Reply::Late(Duration::from_millis(200)))?;
    let mut daemon = world.daemon();
    daemon.launch();
    world.put((0..TICKETS).map(ticket))?;
    wait(|| Ok(world.runbook.requests().len() >= 20))?;
    ensure(world.command(&["kill", "--by", "ops"]).status()?.success(), "kill failed")?;
    let recorded = Instant::now();
    wait(|| Ok(world.values("tickets.outcomes")?.len() >= TICKETS))?;
    let requests = world.runbook.requests();
    let late = requests.iter().filter(|r| r.at > recorded + Duration::from_secs(1)).count();
    ensure(late == 0, format!("{late} calls began more than a second after the kill"))?;
    let outcomes = world.values("tickets.outcomes")?;
    let count = |name, value| outcomes.iter().filter(|outcome| outcome[name] == value).count();
    let (done, killed) = (count("outcome", "done"), count("reason", "killed"));
    let all = done == requests.len() && done + killed == TICKETS && killed > 0;
    ensure(all, format!("{} calls, {done} done, {killed} held back", requests.len()))
}

/// A runbook that does not answer, and then only fails: all tickets are routed before the first call
/// has ended, extra requests are few, and every ticket reaches people.
fn runbook_down() -> Result<(), Failed> {
    const TICKETS: usize = 400;
    let mut world = World::with_timeout(60_000, |_| Reply::Silent(Duration::from_secs(600)))?;
    // The breaker would end the requests after the first five; this is about the budget of retries.
    world.extra.push_str("[resolve.breaker]\nwindow = 1000\nminimum = 1000\n");
    world.extra.push_str("[resolve.retries]\nbase_ms = 10\ncap_ms = 50\n");
    let mut daemon = world.daemon();
    daemon.launch();
    world.put((0..TICKETS).map(ticket))?;
    wait(|| Ok(world.values("tickets.actions")?.len() >= TICKETS))?;
    let ended = world.values("tickets.outcomes")?.len();
    ensure(ended == 0, format!("{ended} calls ended while tickets were routed"))?;
    wait(|| Ok(!world.runbook.requests().is_empty()))?;

    daemon.kill9();
    world.runbook.script(|_| Reply::Status(503));
    daemon.launch();
    wait(|| Ok(world.values("tickets.outcomes")?.len() >= TICKETS))?;
    let requests = world.runbook.requests();
    let keys: BTreeSet<_> = requests.iter().map(|request| &request.key).collect();
    let found = format!("{} requests with {} keys", requests.len(), keys.len());
    // Of the calls that the kill cut off, those that are made at most once may never have been sent,
    // and the others are made again, which is no matter of the budget.
    ensure(keys.len() + BATCH >= TICKETS, format!("{found} for {TICKETS} tickets"))?;
    ensure(requests.len() > keys.len() + BATCH, format!("{found}: none was sent again"))?;
    ensure(requests.len() * 10 <= keys.len() * 12 + BATCH * 10, found)?;
    let handed = world.values(&world.topics.routed)?;
    let ids: BTreeSet<_> = handed.iter().filter_map(|event| event["ticket_id"].as_str()).collect();
    ensure(ids.len() == TICKETS && handed.len() == TICKETS, format!("{} reached people", ids.len()))
}

/// Topics whose settings drop what an undo, or the stage itself, has to find, or that have no order.
fn unfit_topics() -> Result<(), Failed> {
    let mut world = World::new(|_| Reply::Done)?;
    let mut launched = |prefix: &str, unfit: &str, partitions: i32| {
        world.topics = Topics::named(prefix);
        daemon::create(&world.kafka, &world.topics);
        let week = [("retention.ms", "604800000")];
        world.kafka.create_topic(&format!("{prefix}tickets.{unfit}"), partitions, 1, &week);
        daemon::create_resolving(&world.kafka, &format!("{prefix}tickets."));
        let mut daemon = world.daemon();
        daemon.launch();
        daemon
    };
    let mut daemon = launched("a.", "outcomes", 1);
    daemon.wait_ready(Duration::from_secs(30));
    let log = daemon.log();
    ensure(log.contains("retention.ms is 604800000; set retention.ms=-1"), log)?;
    daemon.term(Duration::from_secs(40));

    let daemon = launched("b.", "ledger", 1);
    ends_and_says(daemon, "topic b.tickets.ledger does not keep what is needed")?;
    let daemon = launched("c.", "actions", 2);
    ends_and_says(daemon, "topic c.tickets.actions has 2 partitions and must have exactly one")
}

fn ends_and_says(mut daemon: Instance, what: &str) -> Result<(), Failed> {
    let mut ended = None;
    let waited = wait(|| {
        ended = daemon.ended();
        Ok(ended.is_some())
    });
    ensure(waited.is_ok(), format!("it goes on:\n{}", daemon.log()))?;
    let failed = ended.is_some_and(|status| !status.success());
    let told = daemon.log().contains(what);
    ensure(told && failed, format!("{ended:?}:\n{}", daemon.log()))
}
