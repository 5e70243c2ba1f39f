//! From topic to topic on a real Kafka: tickets per second against a plain transactional copy,
//! and the time until a `read_committed` reader sees a decision.
//!
//! `cargo bench --bench end_to_end -- --write` puts the result into `benches/README.md`.

#[path = "support/copy.rs"]
mod copy;
#[path = "support/drain.rs"]
mod drain;
#[path = "support/page.rs"]
mod page;
#[path = "../tests/support/mod.rs"]
mod support;
#[path = "support/tickets.rs"]
mod tickets;

use clap::Parser;
use drain::{Backlog, Common};
use page::median;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;
use support::broker::Kafka;
use support::daemon::{self, Instance, Settings};
use support::feed::{self, Feed, Feeder};
use support::verify::{Reader, Topics, percentile};
use triaged::config::Config;

const DAEMON: &str = env!("CARGO_BIN_EXE_triaged");

/// Measures the whole daemon on a real Kafka.
#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    common: Common,
    #[arg(long, value_delimiter = ',', default_values_t = [1, 2])]
    workers: Vec<usize>,
    /// Records a transaction. The daemon's default if none is given.
    #[arg(long, default_value_t = default_records())]
    records: usize,
    /// Seconds of the latency measurement, at 500 tickets a second.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
}

fn main() {
    let raw: Vec<_> = std::env::args().skip(1).collect();
    if let [first, rest @ ..] = raw.as_slice()
        && first == drain::COPY
    {
        copy::main(rest);
        return;
    }
    let arguments = Arguments::parse();
    let Some(kafka) = arguments.common.start() else { return };
    let mut text = throughput(&kafka, &arguments);
    text += &latency(&kafka, arguments.seconds);
    println!("{text}");
    if arguments.common.write {
        page::rewrite("end-to-end", &text);
    }
}

fn default_records() -> usize {
    Config::load(None, &[]).expect("the default configuration").batch.records
}

fn throughput(kafka: &Kafka, arguments: &Arguments) -> String {
    let backlog =
        Backlog::fill(kafka, arguments.common.tickets, |seq| tickets::value(seq, feed::now_us()));
    let records = arguments.records;
    let mut text = format!(
        "Draining {} tickets of 1 KB, Kafka {}, {records} records a transaction, one broker on the \
         same machine, median of {} runs that take turns (all ratios in brackets):\n\n\
         | workers | copy, tickets/s | triaged, tickets/s | ratio |\n|---|---|---|---|\n",
        arguments.common.tickets, arguments.common.kafka, arguments.common.rounds
    );
    for &workers in &arguments.workers {
        let (mut copies, mut daemons, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..arguments.common.rounds {
            let copy = backlog.copy(kafka, &format!("copy-{workers}-{round}"), workers, records);
            let group = format!("triaged-{workers}-{round}");
            let daemon = backlog.daemon(kafka, Path::new(DAEMON), &group, workers, records);
            eprintln!("{workers} workers: copy {copy:.0}/s, triaged {daemon:.0}/s");
            copies.push(copy);
            daemons.push(daemon);
            ratios.push(daemon / copy);
        }
        let all: Vec<_> = ratios.iter().map(|ratio| format!("{ratio:.2}")).collect();
        writeln!(
            text,
            "| {workers} | {:.0} | {:.0} | {:.2} ({}) |",
            median(&mut copies),
            median(&mut daemons),
            median(&mut ratios),
            all.join(", ")
        )
        .expect("a string takes all");
    }
    text
}

fn latency(kafka: &Kafka, seconds: u64) -> String {
    const PER_SECOND: u64 = 500;
    let topics = Topics::named("latency.");
    daemon::create(kafka, &topics);
    let brokers = kafka.bootstrap();
    let settings = Settings {
        brokers: &brokers,
        topics: &topics,
        group: "latency",
        name: "0",
        workers: 1,
        extra: "",
    };
    let mut daemon = Instance::daemon(Path::new(DAEMON), &settings);
    daemon.launch();
    daemon.wait_ready(Duration::from_secs(30));
    let reader = Reader::start(&kafka.direct(), &topics);
    let total = PER_SECOND * seconds;
    let feeder = Feeder::start(Feed {
        brokers: kafka.direct(),
        topic: topics.input.clone(),
        tickets: total,
        per_second: PER_SECOND,
        padding: 700,
    });
    feeder.join();
    reader.wait(total, Duration::from_secs(20));
    // The first tenth warms connections and caches up.
    let mut seen: Vec<_> = reader
        .finish()
        .into_iter()
        .filter(|output| output.seq >= total / 10)
        .map(|output| Duration::from_micros(output.visible_us.saturating_sub(output.fed_us)))
        .collect();
    seen.sort_unstable();
    let [p50, p99, max] = [0.5, 0.99, 1.0].map(|part| percentile(&seen, part).as_secs_f64() * 1e3);
    format!(
        "\nFrom produce to a `read_committed` reader at {PER_SECOND} tickets/s: p50 {p50:.0} ms, \
         p99 {p99:.0} ms, max {max:.0} ms ({} tickets).\n",
        seen.len()
    )
}
