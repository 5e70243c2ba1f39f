//! The table of a chaos run, as markdown and as JSON.

use crate::support::storm::{Kill, Outcome, Storm};
use crate::support::verify::percentile;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

const BEGIN: &str = "<!-- chaos:begin -->";
const END: &str = "<!-- chaos:end -->";
const RESULTS: &str = "results.json";

#[derive(serde::Serialize, serde::Deserialize)]
pub struct Row {
    /// What it was measured with.
    pub storm: String,
    pub kafka: String,
    pub program: String,
    pub clean: bool,
    pub kills: usize,
    pub broker_bounces: usize,
    pub own_exits: usize,
    pub outputs: u64,
    pub lost: u64,
    pub doubled: u64,
    pub doubles: Vec<(u64, String)>,
    pub fed_twice: u64,
    pub fed_out_of_order: u64,
    pub out_of_order: u64,
    pub uncommitted: u64,
    pub hanging: u64,
    /// p50, p99 and maximum of the kills while all brokers were up.
    pub recovery_s: [f64; 3],
    /// The same of the kills that met a broker that was away.
    pub recovery_broker_down_s: [f64; 3],
    pub duration_s: f64,
    pub each_kill: Vec<Kill>,
}

impl Row {
    pub fn new(kafka: &str, program: &str, storm: String, outcome: &Outcome) -> Self {
        let verdict = &outcome.verdict;
        let seconds = |duration: Duration| (duration.as_secs_f64() * 100.0).round() / 100.0;
        let recovery = |broker_down| {
            let times = outcome.recoveries(broker_down);
            [0.5, 0.99, 1.0].map(|part| seconds(percentile(&times, part)))
        };
        Self {
            storm,
            kafka: kafka.into(),
            program: program.into(),
            clean: verdict.is_clean(),
            kills: outcome.kills.len(),
            broker_bounces: outcome.bounces,
            own_exits: outcome.exits,
            outputs: verdict.outputs,
            lost: verdict.lost,
            doubled: verdict.doubled,
            doubles: verdict.doubles.clone(),
            fed_twice: verdict.fed_twice,
            fed_out_of_order: verdict.fed_out_of_order,
            out_of_order: verdict.out_of_order,
            uncommitted: verdict.uncommitted,
            hanging: verdict.hanging,
            recovery_s: recovery(false),
            recovery_broker_down_s: recovery(true),
            duration_s: seconds(outcome.duration),
            each_kill: outcome.kills.clone(),
        }
    }
}

pub fn table(rows: &[Row]) -> String {
    let mut text = String::from(
        "| Kafka | program | kills | broker bounces | own exits | lost | doubled | out of order | recovery p50, p99, max | with a broker down | took |\n\
         |---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for row in rows {
        let program = row.program.replace('_', " ");
        writeln!(
            text,
            "| {} | {program} | {} | {} | {} | {} | {} | {} | {} | {} | {:.0} s |",
            row.kafka,
            row.kills,
            row.broker_bounces,
            row.own_exits,
            row.lost,
            row.doubled,
            row.out_of_order,
            times(row.recovery_s),
            times(row.recovery_broker_down_s),
            row.duration_s,
        )
        .expect("a string takes all");
    }
    text
}

/// Nothing recovers in no time at all: zeros say that no kill of the kind was followed by a
/// recovery before the next one.
fn times([p50, p99, max]: [f64; 3]) -> String {
    if max == 0.0 {
        return String::from("none between kills");
    }
    format!("{p50:.1}, {p99:.1}, {max:.1} s")
}

/// The storm in words.
pub fn describe(storm: &Storm, nodes: usize) -> String {
    let Storm { seed, tickets, per_second, instances, zombie, .. } = storm;
    let zombie = zombie.map_or(String::new(), |d| {
        format!(", one instance stopped for {} s and continued", d.as_secs())
    });
    format!(
        "{tickets} tickets at {per_second}/s, {nodes} brokers, {instances} instances{zombie}, seed {seed}."
    )
}

/// Puts a row in place of the one of the same program and version, if there is one.
pub fn put(rows: &mut Vec<Row>, new: Row) {
    let is_same = |row: &&mut Row| row.kafka == new.kafka && row.program == new.program;
    match rows.iter_mut().find(is_same) {
        Some(old) => *old = new,
        None => rows.push(new),
    }
}

/// The rows of earlier runs of the same storm: a program that is not run again keeps its row.
pub fn earlier(folder: &Path, storm: &str) -> Vec<Row> {
    let text = fs::read_to_string(folder.join(RESULTS)).unwrap_or_default();
    let mut rows: Vec<Row> = serde_json::from_str(&text).unwrap_or_default();
    rows.retain(|row| row.storm == storm);
    rows
}

pub fn write_json(folder: &Path, rows: &[Row]) {
    fs::create_dir_all(folder).expect("a folder for the results");
    let json = serde_json::to_string_pretty(rows).expect("rows can be written as JSON");
    fs::write(folder.join(RESULTS), json + "\n").expect("the results are written");
}

pub fn write_logs(folder: &Path, run: &str, logs: &[String]) {
    fs::create_dir_all(folder).expect("a folder for the logs");
    for (instance, log) in logs.iter().enumerate() {
        fs::write(folder.join(format!("{run}-{instance}.log")), log).expect("a log is written");
    }
}

/// Replaces what is between the markers in `page`.
pub fn rewrite(page: &Path, text: &str) {
    let old = fs::read_to_string(page).expect("the page can be read");
    let (before, rest) = old.split_once(BEGIN).expect("the page has the first marker");
    let (_, after) = rest.split_once(END).expect("the page has the second marker");
    let new = format!("{before}{BEGIN}\n{text}{END}{after}");
    fs::write(page, new).expect("the page can be written");
}
