//! Whether routing feels a runbook that is down: the built daemon on a real Kafka drains the same backlog, a share of
//! which goes to actions, while the runbook answers, refuses, or never answers; the rounds take turns.
//!
//! `cargo bench --bench runbook_down -- --write` puts the result into `benches/README.md`.

#[path = "support/drain.rs"]
mod drain;
#[path = "support/page.rs"]
mod page;
#[path = "../tests/support/playbook.rs"]
mod playbook;
#[path = "../tests/support/runbook.rs"]
mod runbook;
#[path = "../tests/support/mod.rs"]
mod support;
#[path = "support/tickets.rs"]
mod tickets;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use clap::Parser;
use drain::{Backlog, Common};
use page::median;
use runbook::{Reply, Runbook};
use support::broker::Kafka;
use support::daemon::Instance;

const DAEMON: &str = env!("CARGO_BIN_EXE_triaged");

/// Measures routing while a runbook is down.
#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    common: Common,
    /// One ticket in so many becomes an action.
    #[arg(long, default_value_t = 100)]
    one_in: u64,
}

/// What the runbook does.
#[derive(Clone, Copy)]
struct Kind {
    name: &'static str,
    reply: fn() -> Reply,
    /// Whether the resolve stage has a process of its own.
    apart: bool,
}

/// The first of those with the same processes is what the others are compared with.
const KINDS: [Kind; 6] = [
    Kind { name: "answers", reply: || Reply::Done, apart: false },
    Kind { name: "refuses (503)", reply: || Reply::Status(503), apart: false },
    Kind { name: "never answers", reply: silent, apart: false },
    Kind { name: "answers", reply: || Reply::Done, apart: true },
    Kind { name: "refuses (503)", reply: || Reply::Status(503), apart: true },
    Kind { name: "never answers", reply: silent, apart: true },
];

/// Longer than the playbook waits.
fn silent() -> Reply {
    Reply::Silent(Duration::from_secs(5))
}

/// What one run came to.
struct Run {
    /// Tickets a second.
    rate: f64,
    requests: usize,
    /// Actions that the runbook heard of.
    keys: usize,
    /// Actions that were finished when the backlog was drained, and those of them that were done.
    finished: f64,
    done: f64,
}

fn main() {
    let arguments = Arguments::parse();
    let Some(kafka) = arguments.common.start() else { return };
    let backlog =
        Backlog::fill(&kafka, arguments.common.tickets, |seq| ticket(seq, arguments.one_in));
    let mut runs: [Vec<Run>; KINDS.len()] = Default::default();
    for round in 0..arguments.common.rounds {
        for (i, (kind, runs)) in KINDS.iter().zip(&mut runs).enumerate() {
            let run = run(&kafka, &backlog, &format!("run-{round}-{i}"), *kind);
            eprintln!(
                "{}, apart {}: {:.0} tickets/s, {} requests for {} actions, {} of {} done",
                kind.name, kind.apart, run.rate, run.requests, run.keys, run.done, run.finished
            );
            runs.push(run);
        }
    }
    let text = table(&arguments, &runs);
    println!("{text}");
    if arguments.common.write {
        page::rewrite("runbook-down", &text);
    }
}

/// A ticket of the usual kind; one in so many asks for what the playbook does.
fn ticket(seq: u64, one_in: u64) -> String {
    let ticket = tickets::value(seq, support::feed::now_us());
    if !seq.is_multiple_of(one_in) {
        return ticket;
    }
    let user: String = format!("{seq:08}").bytes().map(|b| char::from(b - b'0' + b'a')).collect();
    let asking = format!("\"user\":\"{user}\",\"subject\":\"please do unlock, ");
    ticket.replacen("\"subject\":\"", &asking, 1)
}

fn run(kafka: &Kafka, backlog: &Backlog, group: &str, kind: Kind) -> Run {
    let runbook = Runbook::start(move |_| (kind.reply)());
    let folder = tempfile::tempdir().expect("a folder");
    let playbooks = folder.path().join("playbooks");
    playbook::write(&playbooks, [playbook::text("unlock", runbook.port, "at-least-once")]);
    support::daemon::create_resolving(kafka, &format!("{group}.tickets."));
    let extra = |stages: &str| configuration(stages, &playbooks, &runbook.host());
    let program = Path::new(DAEMON);
    let start = |name, stages| backlog.start(kafka, program, group, name, 1, &extra(stages));
    let mut router = start("0", if kind.apart { "\"route\"" } else { "\"route\", \"resolve\"" });
    let mut resolver = kind.apart.then(|| start("1", "\"resolve\""));
    let rate = backlog.rate(kafka, group);
    let metrics = resolver.as_ref().unwrap_or(&router).get("/metrics");
    let page = metrics.map(|(_, page)| page).unwrap_or_default();
    for instance in [Some(&mut router), resolver.as_mut()].into_iter().flatten() {
        healthy(instance);
    }
    let seen = runbook.requests();
    let keys: BTreeSet<_> = seen.iter().map(|request| request.key.clone()).collect();
    Run {
        rate,
        requests: seen.len(),
        keys: keys.len(),
        finished: sum(&page, "triaged_actions_total{"),
        done: sum(&page, "triaged_actions_total{outcome=\"done\""),
    }
}

fn healthy(instance: &mut Instance) {
    let ended = instance.ended();
    assert!(ended.is_none(), "the daemon ended: {ended:?}\n{}", instance.log());
}

/// The sum of the metrics whose lines begin so.
fn sum(page: &str, begin: &str) -> f64 {
    let lines = page.lines().filter(|line| line.starts_with(begin));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

/// Caps and the switch-off are out of the way: what bounds the calls is the breaker and the budget.
fn configuration(stages: &str, playbooks: &Path, host: &str) -> String {
    format!(
        "[stages]\nrun = [{stages}]\n\
         [resolve]\nplaybooks = \"{}\"\nhosts = [\"{host}\"]\nnetworks = [\"127.0.0.0/8\"]\n\
         remember_days = 0\ncalls_per_minute_per_host = 1000000\n\
         [resolve.caps]\nplaybook_per_minute = 1000000\nplaybook_per_hour = 1000000\n\
         requester_per_minute = 1000000\nrequester_per_hour = 1000000\n\
         overall_per_minute = 1000000\noverall_per_hour = 1000000\n\
         [resolve.switch_off]\nof = 1000\nat_least = 1000\nfailures = 1.0\nreopenings = 1.0\n",
        playbooks.display(),
    )
}

fn table(arguments: &Arguments, runs: &[Vec<Run>]) -> String {
    let mut text = format!(
        "Draining {} tickets of 1 KB, one in {} an action, Kafka {}, one broker and one routing worker on the same \
         machine, median of {} runs that take turns (all ratios in brackets):\n\n\
         | stages | the runbook | tickets/s | ratio | actions finished, done | requests | extra |\n\
         |---|---|---|---|---|---|---|\n",
        arguments.common.tickets, arguments.one_in, arguments.common.kafka, arguments.common.rounds
    );
    for (i, (kind, of_kind)) in KINDS.iter().zip(runs).enumerate() {
        let base = KINDS.iter().position(|other| other.apart == kind.apart).unwrap_or(i);
        let ratios = of_kind.iter().zip(&runs[base]).map(|(run, base)| run.rate / base.rate);
        let mut ratios: Vec<f64> = ratios.collect();
        let all: Vec<_> = ratios.iter().map(|ratio| format!("{ratio:.2}")).collect();
        let middle = |of: fn(&Run) -> f64| median(&mut of_kind.iter().map(of).collect::<Vec<_>>());
        writeln!(
            text,
            "| {} | {} | {:.0} | {:.2} ({}) | {:.0}, {:.0} | {:.0} | {:.1} % |",
            if kind.apart { "two processes" } else { "one process" },
            kind.name,
            middle(|run| run.rate),
            median(&mut ratios),
            all.join(", "),
            middle(|run| run.finished),
            middle(|run| run.done),
            middle(|run| run.requests as f64),
            middle(|run| (run.requests as f64 / run.keys.max(1) as f64 - 1.0) * 100.0),
        )
        .expect("a string takes all");
    }
    text
}
