//! What a model needs for tickets that are in memory, on one thread: redaction, words, scores,
//! calibration and explanation. `judge MODEL_DIR TICKETS.jsonl` prints how many tickets it judged
//! and in how many seconds of CPU time; `benches/predict.py` asks it.

use std::hint::black_box;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use triaged::bundle;
use triaged::triage::model::Scratch;
use triaged::triage::text::Text;

#[derive(Deserialize)]
struct Ticket {
    subject: String,
    body: String,
}

/// CPU time is measured over at least so long.
const SECONDS: f64 = 2.0;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, tickets] = &arguments[..] else { anyhow::bail!("usage: judge MODEL_DIR TICKETS") };
    let model = bundle::open(Path::new(model))?;
    let tickets = std::fs::read_to_string(tickets).with_context(|| format!("reading {tickets}"))?;
    let tickets: Vec<Ticket> =
        tickets.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    ensure!(!tickets.is_empty(), "there are no tickets");
    let mut scratch = Scratch::default();
    let mut pass = || {
        for ticket in &tickets {
            black_box(model.judge(&mut scratch, &Text::new(&ticket.subject, &ticket.body)));
        }
    };
    pass();
    let (start, mut judged, mut seconds) = (cpu_seconds()?, 0, 0.0);
    while seconds < SECONDS {
        pass();
        judged += tickets.len();
        seconds = cpu_seconds()? - start;
    }
    println!("{judged} {seconds}");
    Ok(())
}

/// Of this thread, as Linux counts it.
fn cpu_seconds() -> Result<f64> {
    let counted = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanoseconds: u64 = counted.split(' ').next().unwrap_or_default().parse()?;
    Ok(nanoseconds as f64 / 1e9)
}
