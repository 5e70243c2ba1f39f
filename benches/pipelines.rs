//! The daemon beside what a team would put together instead, on the same backlog of a real Kafka: Kafka Streams that
//! only copies, and confluent-kafka with scikit-learn. All deliver exactly once; the rounds take turns.
//!
//! `make pipelines` fetches what it needs and puts the result into `benches/README.md`.

#[path = "support/drain.rs"]
mod drain;
#[path = "support/page.rs"]
mod page;
#[path = "../tests/support/mod.rs"]
mod support;
#[path = "support/tickets.rs"]
mod tickets;

use clap::Parser;
use drain::{Backlog, Common, INPUT};
use page::median;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::broker::Kafka;
use support::{feed, jars};
use triaged::config::Config;

const DAEMON: &str = env!("CARGO_BIN_EXE_triaged");
const NAMES: [&str; 3] = [
    "triaged, deciding and explaining",
    "Kafka Streams, copying only",
    "confluent-kafka with scikit-learn",
];

/// Measures the daemon and what could stand in its place.
#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    common: Common,
    /// Threads or processes of each.
    #[arg(long, default_value_t = 2)]
    workers: usize,
    /// A folder with the jars of Kafka Streams.
    #[arg(long)]
    jars: PathBuf,
    /// A Python that has confluent-kafka and scikit-learn.
    #[arg(long)]
    python: PathBuf,
    /// What `benches/pipelines/stage.py train` has written.
    #[arg(long)]
    model: PathBuf,
}

fn main() {
    let arguments = Arguments::parse();
    let Some(kafka) = arguments.common.start() else { return };
    let text = table(&kafka, &arguments);
    println!("{text}");
    if arguments.common.write {
        page::rewrite("pipelines", &text);
    }
}

fn table(kafka: &Kafka, arguments: &Arguments) -> String {
    let Common { tickets, rounds, .. } = arguments.common;
    let backlog = Backlog::fill(kafka, tickets, |seq| tickets::value(seq, feed::now_us()));
    let records = Config::load(None, &[]).expect("the default configuration").batch.records;
    let mut rates = [const { Vec::new() }; NAMES.len()];
    for round in 0..rounds {
        let group = |name| format!("{name}-{round}");
        let (daemon, streams, python) = (group("triaged"), group("streams"), group("python"));
        let new = [
            backlog.daemon(kafka, Path::new(DAEMON), &daemon, arguments.workers, records),
            backlog.drained(kafka, &streams, |to| {
                vec![streams_copy(kafka, arguments, &streams, records, to)]
            }),
            backlog.drained(kafka, &python, |to| {
                python_stages(kafka, arguments, &python, records, to)
            }),
        ];
        eprintln!("tickets/s: {new:.0?}");
        for (all, new) in rates.iter_mut().zip(new) {
            all.push(new);
        }
    }
    let ratios = |other: &[f64]| -> Vec<f64> {
        rates[0].iter().zip(other).map(|(ours, other)| ours / other).collect()
    };
    let mut text = format!(
        "Draining {tickets} tickets of 1 KB, Kafka {}, {} threads or processes each, {records} records a poll, one \
         broker on the same machine, median of {rounds} rounds in which all take turns (all ratios in brackets):\n\n\
         | | tickets/s | triaged has so many times that |\n|---|---|---|\n",
        arguments.common.kafka, arguments.workers
    );
    for (name, rates) in NAMES.iter().zip(&rates) {
        let mut ratios = ratios(rates);
        let all: Vec<_> = ratios.iter().map(|ratio| format!("{ratio:.2}")).collect();
        let (rate, ratio) = (median(&mut rates.clone()), median(&mut ratios));
        writeln!(text, "| {name} | {rate:.0} | {ratio:.2} ({}) |", all.join(", "))
            .expect("a string takes all");
    }
    text
}

fn streams_copy(
    kafka: &Kafka,
    arguments: &Arguments,
    group: &str,
    records: usize,
    to: &str,
) -> Command {
    let mut command = Command::new("java");
    command.arg("-cp").arg(format!("{}/*", arguments.jars.display()));
    command.arg(folder().join("StreamsCopy.java")).args([&kafka.bootstrap(), group]);
    command.args([&arguments.workers.to_string(), &records.to_string(), INPUT, to]);
    command
}

fn python_stages(
    kafka: &Kafka,
    arguments: &Arguments,
    group: &str,
    records: usize,
    to: &str,
) -> Vec<Command> {
    let process = |number| {
        let mut command = Command::new(&arguments.python);
        command.arg(folder().join("stage.py")).arg("run").arg(&arguments.model);
        command.args([
            &kafka.bootstrap(),
            group,
            &format!("{group}-{number}"),
            &records.to_string(),
            INPUT,
            to,
        ]);
        command
    };
    (0..arguments.workers).map(process).collect()
}

fn folder() -> PathBuf {
    jars::root().join("benches/pipelines")
}
