//! The proof at length: the daemon and two plain loops through the same storm of faults on a
//! cluster of real brokers, and a table of what came out.
//!
//! `cargo run --release --example chaos -- --kafka 3.9.1,4.1.1 --tickets 100000 --kills 50 --nodes 3`

mod report;
#[path = "../support/mod.rs"]
mod support;

use clap::Parser;
use report::Row;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use support::broker::{Kafka, VERSIONS};
use support::daemon::Instance;
use support::jars;
use support::storm::Storm;
use support::verify::Topics;

/// Kills the daemon and the brokers under load and counts what was lost or doubled.
#[derive(Parser)]
struct Arguments {
    /// Versions of Kafka, each with a cluster of its own.
    #[arg(long, value_delimiter = ',', default_values = VERSIONS)]
    kafka: Vec<String>,
    #[arg(long, default_value_t = 100_000)]
    tickets: u64,
    /// Tickets fed per second.
    #[arg(long, default_value_t = 500)]
    rate: u64,
    /// kill -9 of an instance.
    #[arg(long, default_value_t = 50)]
    kills: usize,
    /// kill -9 of a broker, one node after the other.
    #[arg(long, default_value_t = 3)]
    bounces: usize,
    /// Let killed brokers come back before the others have noticed, which can make Kafka itself tear a
    /// transaction: see docs/decisions/0012.
    #[arg(long)]
    early: bool,
    /// Brokers in the cluster: 1 or 3.
    #[arg(long, default_value_t = 3)]
    nodes: usize,
    #[arg(long, default_value_t = 2)]
    instances: usize,
    /// Seconds for which one instance is stopped (SIGSTOP) halfway; 0 for none.
    #[arg(long, default_value_t = 14)]
    zombie: u64,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// What to run: triaged, at_least_once, tutorial. The others keep what an earlier run of the same
    /// storm wrote into the folder.
    #[arg(long, value_delimiter = ',', default_values = ["triaged", "at_least_once", "tutorial"])]
    programs: Vec<String>,
    /// Rewrite the table between the markers in this file.
    #[arg(long)]
    write: Option<PathBuf>,
    /// Where the results go as JSON, and what each instance said.
    #[arg(long, default_value = "target/chaos")]
    folder: PathBuf,
}

fn main() {
    let arguments = Arguments::parse();
    let built = build();
    let storm = Storm {
        seed: arguments.seed,
        tickets: arguments.tickets,
        per_second: arguments.rate,
        kills: arguments.kills,
        terms: 0,
        zombie: (arguments.zombie > 0).then(|| Duration::from_secs(arguments.zombie)),
        bounces: arguments.bounces,
        early: arguments.early,
        instances: arguments.instances,
        workers: 1,
        quiet: Duration::from_secs(90),
    };
    let words = report::describe(&storm, arguments.nodes);
    let mut rows = report::earlier(&arguments.folder, &words);
    let mut broken = false;
    for version in &arguments.kafka {
        let kafka = Kafka::cluster(version, arguments.nodes).unwrap_or_else(|why| panic!("{why}"));
        for program in &arguments.programs {
            eprintln!("Kafka {version}: {program}");
            let topics = Topics::named(&format!("{program}."));
            let outcome = storm.run(&kafka, &topics, |settings| match program.as_str() {
                "triaged" => Instance::daemon(&built.join("triaged"), settings),
                baseline => Instance::baseline(&built.join("examples").join(baseline), settings),
            });
            report::write_logs(&arguments.folder, &format!("{version}-{program}"), &outcome.logs);
            broken |= program == "triaged" && !outcome.verdict.is_clean();
            report::put(&mut rows, Row::new(version, program, words.clone(), &outcome));
            report::write_json(&arguments.folder, &rows);
            eprintln!("{}", report::table(&rows));
        }
    }
    let text = format!("{words}\n\n{}", report::table(&rows));
    println!("{text}");
    if let Some(page) = &arguments.write {
        report::rewrite(page, &text);
    }
    if broken {
        eprintln!("the daemon lost, doubled or reordered something");
        std::process::exit(1);
    }
}

/// `cargo run --example` builds the example alone: the programs that it starts are built here, in
/// the same profile. The folder that they are in.
fn build() -> PathBuf {
    let release = !cfg!(debug_assertions);
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .current_dir(jars::root())
        .args(["build", "--bin", "triaged", "--example", "at_least_once", "--example", "tutorial"])
        .args(release.then_some("--release"))
        .status()
        .expect("`cargo` starts");
    assert!(built.success(), "the programs were not built");
    jars::target().join(if release { "release" } else { "debug" })
}
