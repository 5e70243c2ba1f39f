//! Auto-resolution under fire: the built daemon on a real Kafka, with a real runbook, killed
//! between the runbook's work and the commit. What is idempotent takes effect once, what is not
//! is called at most once, and every ticket has one outcome.

#[path = "support/playbook.rs"]
mod playbook;
#[path = "support/runbook.rs"]
mod runbook;
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Failed, Trial};
use runbook::{Reply, Runbook};
use serde_json::{Value, json};
use support::broker::{self, Kafka, NEWEST, Setup};
use support::daemon::{self, Instance, Settings};
use support::verify::Topics;
use tempfile::TempDir;

const DAEMON: &str = env!("CARGO_BIN_EXE_triaged");
const KILLS: usize = 100;

fn main() {
    let skip = broker::missing(NEWEST);
    let trials = vec![
        Trial::test("kill_9_between_the_call_and_the_commit", kill_9).with_ignored_flag(skip),
        Trial::test("a_kill_switch_is_heard_within_a_second", kill_switch).with_ignored_flag(skip),
        Trial::test("topics_that_forget_are_told", forgetting).with_ignored_flag(skip),
    ];
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    libtest_mimic::run(&arguments, trials).exit();
}

/// A broker, a runbook and a daemon that stands between them.
struct World {
    kafka: Kafka,
    runbook: Runbook,
    folder: TempDir,
    extra: String,
    topics: Topics,
}

impl World {
    fn new(
        script: impl FnMut(&runbook::Request) -> Reply + Send + 'static,
    ) -> Result<Self, Failed> {
        let kafka = Kafka::start(Setup::single(NEWEST)).map_err(|skipped| skipped.to_string())?;
        let topics = Topics::named("");
        daemon::create(&kafka, &topics);
        daemon::create_resolving(&kafka, "tickets.");
        let runbook = Runbook::start(script);
        let folder = tempfile::tempdir()?;
        let playbooks = folder.path().join("playbooks");
        playbook::write(
            &playbooks,
            [
                playbook::text("unlock", runbook.port, "at-least-once"),
                playbook::text("order", runbook.port, "at-most-once"),
            ],
        );
        let token = folder.path().join("token");
        std::fs::write(&token, "a-token-that-is-long-enough\n")?;
        let extra = format!(
            "[stages]\nrun = [\"route\", \"resolve\"]\n\
             [resolve]\nplaybooks = \"{}\"\nhosts = [\"{}\"]\nnetworks = [\"127.0.0.0/8\"]\n\
             batch = 4\nremember_days = 0\ncalls_per_minute_per_host = 100000\n\
             [resolve.caps]\nplaybook_per_minute = 100000\nplaybook_per_hour = 100000\n\
             requester_per_minute = 100000\nrequester_per_hour = 100000\n\
             overall_per_minute = 100000\noverall_per_hour = 100000\n\
             [resolve.switch_off]\nof = 1000\nat_least = 1000\nfailures = 1.0\nreopenings = 1.0\n\
             [control]\nlisten = \"127.0.0.1:0\"\ntoken_file = \"{}\"\n",
            playbooks.display(),
            runbook.host(),
            token.display(),
        );
        Ok(Self { kafka, runbook, folder, extra, topics })
    }

    fn daemon(&self) -> Instance {
        let brokers = self.kafka.direct();
        Instance::daemon(
            Path::new(DAEMON),
            &Settings {
                brokers: &brokers,
                topics: &self.topics,
                group: "resolving",
                name: "0",
                workers: 1,
                extra: &self.extra,
            },
        )
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(DAEMON);
        command.args(arguments).arg("--set").arg(format!("kafka.brokers={}", self.kafka.direct()));
        command.args(["--set", "kafka.name=tool", "--set", "logging.level=error"]);
        command
    }

    fn put(&self, tickets: impl Iterator<Item = Value>) -> Result<(), Failed> {
        let file = self.folder.path().join("tickets.jsonl");
        let lines: Vec<String> = tickets.map(|ticket| ticket.to_string()).collect();
        std::fs::write(&file, lines.join("\n"))?;
        let file = file.display().to_string();
        let status = self.command(&["put", &self.topics.input, &file]).status()?;
        ensure(status.success(), "put failed")
    }

    /// All committed values of a topic.
    fn values(&self, topic: &str) -> Result<Vec<Value>, Failed> {
        let output = self.command(&["tail", topic, "--values"]).stderr(Stdio::null()).output()?;
        let text = String::from_utf8(output.stdout)?;
        text.lines().map(|line| serde_json::from_str(line).map_err(Failed::from)).collect()
    }
}

fn ticket(n: usize) -> Value {
    let what = if n.is_multiple_of(2) { "unlock" } else { "order" };
    let user: String = format!("{n:04}").bytes().map(|b| char::from(b - b'0' + b'a')).collect();
    json!({
        "ticket_id": format!("T-{n:04}"), "subject": format!("please do {what}"), "body": "",
        "user": user, "created_at": "2026-03-04T09:12:00Z",
        "requester": format!("{user}@example.com"), "source": "portal",
    })
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

/// Topics whose settings drop what an undo, or the stage itself, has to find.
fn forgetting() -> Result<(), Failed> {
    let mut world = World::new(|_| Reply::Done)?;
    let mut launched = |prefix: &str, dropping: &str| {
        world.topics = Topics::named(prefix);
        daemon::create(&world.kafka, &world.topics);
        let week = [("retention.ms", "604800000")];
        world.kafka.create_topic(&format!("{prefix}tickets.{dropping}"), 1, 1, &week);
        daemon::create_resolving(&world.kafka, &format!("{prefix}tickets."));
        let mut daemon = world.daemon();
        daemon.launch();
        daemon
    };
    let mut daemon = launched("a.", "outcomes");
    daemon.wait_ready(Duration::from_secs(30));
    let log = daemon.log();
    ensure(log.contains("retention.ms is 604800000; set retention.ms=-1"), log)?;
    daemon.term(Duration::from_secs(40));

    let mut daemon = launched("b.", "ledger");
    let mut ended = None;
    let waited = wait(|| {
        ended = daemon.ended();
        Ok(ended.is_some())
    });
    ensure(waited.is_ok(), format!("it goes on:\n{}", daemon.log()))?;
    let told = daemon.log().contains("topic b.tickets.ledger does not keep what is needed");
    let failed = ended.is_some_and(|status| !status.success());
    ensure(told && failed, format!("{ended:?}:\n{}", daemon.log()))
}

fn wait(mut until: impl FnMut() -> Result<bool, Failed>) -> Result<(), Failed> {
    let start = Instant::now();
    while !until()? {
        ensure(start.elapsed() < Duration::from_secs(60), "it took too long")?;
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

fn ensure(holds: bool, otherwise: impl Into<String>) -> Result<(), Failed> {
    if holds { Ok(()) } else { Err(otherwise.into().into()) }
}
