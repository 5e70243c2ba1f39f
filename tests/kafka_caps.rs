//! A cap on a real Kafka: it holds over instances, one of which is killed between the runbook's work
//! and the commit, and what is above it reaches people.

#[path = "support/playbook.rs"]
mod playbook;
#[path = "support/runbook.rs"]
mod runbook;
mod support;
#[path = "kafka_resolve/world.rs"]
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use libtest_mimic::{Arguments, Failed, Trial};
use runbook::{Reply, Request};
use support::broker::{self, NEWEST};
use support::daemon::Instance;
use world::{BATCH, World, ensure, ticket, wait};

const TICKETS: usize = 60;

/// Calls within an hour.
const CAP: usize = 20;

fn main() {
    let skip = broker::missing(NEWEST);
    let trials = vec![
        Trial::test("a_cap_holds_over_two_instances_and_a_kill", two_instances)
            .with_ignored_flag(skip),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn two_instances() -> Result<(), Failed> {
    let (struck, strike) = channel();
    let mut world = World::with_timeout(10_000, striking(struck))?;
    let cap = format!("overall_per_hour = {CAP}\n");
    world.extra = world.extra.replace("overall_per_hour = 100000\n", &cap);
    let [mut first, mut second] = ["0", "1"].map(|name| world.instance(name));
    for daemon in [&mut first, &mut second] {
        daemon.launch();
        daemon.wait_ready(Duration::from_secs(60));
    }
    world.put((0..TICKETS).map(ticket))?;
    let key = strike.recv_timeout(Duration::from_secs(60))?;
    // One of them has the topic of actions and makes the calls; the other one takes it over.
    let (killed, survivor) =
        if has_called(&first) { (&mut first, &second) } else { (&mut second, &first) };
    ensure(has_called(killed), "nobody has called")?;
    killed.kill9();
    wait(|| Ok(world.values("tickets.outcomes")?.len() >= TICKETS))?;
    ensure(has_called(survivor), format!("no call after the kill:\n{}", survivor.log()))?;

    let requests = world.runbook.requests();
    let again = requests.iter().filter(|request| request.key == key).count();
    ensure(again == 2, format!("the call that was cut off was made {again} times"))?;
    // What was cut off before it was sent, and must not be made again, counts all the same.
    let called: BTreeSet<&str> = requests.iter().map(|request| &*request.body).collect();
    let within = called.len() <= CAP && called.len() + BATCH >= CAP;
    ensure(within, format!("the runbook was called for {} tickets", called.len()))?;

    let mut outcomes: BTreeMap<String, (String, String)> = BTreeMap::new();
    let told = world.values("tickets.outcomes")?;
    for outcome in &told {
        let text = |name: &str| outcome[name].as_str().unwrap_or_default().to_owned();
        outcomes.insert(text("ticket_id"), (text("outcome"), text("reason")));
    }
    let once = told.len() == TICKETS && outcomes.len() == TICKETS;
    ensure(once, format!("{} outcomes of {} tickets", told.len(), outcomes.len()))?;
    let mut capped = 0;
    for n in 0..TICKETS {
        let id = format!("T-{n:04}");
        let (outcome, reason) = &outcomes[&id];
        let is_capped = outcome == "handed_back" && reason == "cap_overall";
        capped += usize::from(is_capped);
        let may_be_unknown = !n.is_multiple_of(2);
        let fits = is_capped || outcome == "done" || may_be_unknown && outcome == "unknown";
        ensure(fits, format!("{id}: {outcome}, {reason}"))?;
        let calls = requests.iter().filter(|request| request.body.contains(&id)).count();
        ensure(!is_capped || calls == 0, format!("{id} is above the cap and was called"))?;
        ensure(n.is_multiple_of(2) || calls <= 1, format!("{id} was called {calls} times"))?;
    }
    ensure(capped == TICKETS - CAP, format!("{capped} were above the cap"))?;

    let routed = world.values(&world.topics.routed)?;
    let reached: BTreeSet<_> = routed.iter().filter_map(|e| e["ticket_id"].as_str()).collect();
    let left = outcomes.iter().filter(|(_, (outcome, _))| outcome != "done");
    let left: BTreeSet<_> = left.map(|(id, _)| id.as_str()).collect();
    let all = reached == left && routed.len() == left.len();
    ensure(all, format!("{} events for {} tickets left to people", routed.len(), left.len()))
}

/// Acts. At the tenth ticket or a later one, at the first that is done at least once, it does not
/// answer, and tells its key: then the instance is killed.
fn striking(struck: Sender<Option<String>>) -> impl FnMut(&Request) -> Reply + Send + 'static {
    let (mut seen, mut has_struck) = (BTreeSet::new(), false);
    move |request| {
        let is_new = seen.insert(request.key.clone());
        let strikes = is_new && seen.len() >= 10 && request.path.starts_with("/unlock/");
        if has_struck || !strikes {
            return Reply::Done;
        }
        has_struck = true;
        // The receiver goes when the test is over.
        let _ = struck.send(request.key.clone());
        Reply::Silent(Duration::from_secs(10))
    }
}

/// Whether this instance has made calls that were answered.
fn has_called(daemon: &Instance) -> bool {
    let (_, page) = daemon.get("/metrics").unwrap_or_default();
    let mut calls = page.lines().filter(|line| line.starts_with("triaged_calls_total{"));
    calls.any(|line| line.contains("result=\"ok\"") && !line.ends_with(" 0"))
}
