//! Writes the synthetic sample corpus from the grammar beside this file: `cargo run --release --example corpus -- --out target/corpus --seed 7`

mod grammar;
mod korean;
mod near;
mod noise;
mod requests;
mod rng;
#[cfg(test)]
mod tests;
mod text;
mod ticket;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Parser;
use serde::Serialize;

use grammar::Grammar;
use requests::Part;
use ticket::{Stream, Ticket, ticket};

#[derive(Parser)]
#[command(name = "corpus", about = "Generate the synthetic sample corpus")]
struct Args {
    /// Folder to write tickets.jsonl and demo.jsonl to
    #[arg(long, default_value = "target/corpus")]
    out: PathBuf,
    /// The same seed gives the same bytes
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Tickets in tickets.jsonl [default: 12000], requests.jsonl [12000] or day.jsonl [20000]; more of
    /// them leave the earlier ones as they were
    #[arg(long)]
    count: Option<u32>,
    /// Tickets in demo.jsonl
    #[arg(long, default_value_t = 400)]
    demo: u32,
    /// Only the most frequent categories, so many of them
    #[arg(long)]
    categories: Option<usize>,
    /// Bytes of text that a ticket has at least; short ones say more of the same
    #[arg(long, default_value_t = 0)]
    bytes: usize,
    /// Tickets with known requests among them instead of the corpus: requests.jsonl to train on, or
    /// day.jsonl, a day's stream in other words
    #[arg(long)]
    requests: Option<Part>,
    /// Folder with the grammar
    #[arg(long, default_value = GRAMMAR)]
    grammar: PathBuf,
}

const GRAMMAR: &str = "training/corpus/grammar";
/// In tickets.jsonl.
const TICKETS: u32 = 12_000;
/// Comes after all categories.
const TOTAL: &str = "~total";

fn main() -> Result<()> {
    let args = Args::parse();
    let mut grammar = Grammar::load(&args.grammar)?;
    if let Some(categories) = args.categories {
        grammar.leaves.sort_by_key(|leaf| Reverse(leaf.weight));
        grammar.leaves.truncate(categories);
    }
    fs::create_dir_all(&args.out).with_context(|| format!("creating {}", args.out.display()))?;
    if let Some(part) = args.requests {
        let requests = requests::load(&args.grammar.join("requests"), &grammar)?;
        let count = args.count.unwrap_or(part.count());
        let lines = (1..=count).map(|n| requests::line(&grammar, &requests, args.seed, part, n));
        return write(&args.out.join(part.file()), lines);
    }
    let make = |stream, count| tickets(&grammar, args.seed, stream, count, args.bytes);
    let mut rows = Rows::default();
    let training =
        make(Stream::Training, args.count.unwrap_or(TICKETS)).inspect(|ticket| rows.count(ticket));
    write(&args.out.join("tickets.jsonl"), training)?;
    write(&args.out.join("demo.jsonl"), make(Stream::Demo, args.demo))?;
    print!("{}", rows.table());
    Ok(())
}

fn tickets(
    grammar: &Grammar,
    seed: u64,
    stream: Stream,
    count: u32,
    bytes: usize,
) -> impl Iterator<Item = Ticket> {
    (1..=count).map(move |n| ticket(grammar, seed, stream, n, bytes))
}

/// One by one: a million tickets need not fit into memory.
fn jsonl(tickets: impl Iterator<Item = impl Serialize>, out: &mut impl Write) -> Result<()> {
    for ticket in tickets {
        serde_json::to_writer(&mut *out, &ticket)?;
        out.write_all(b"\n")?;
    }
    Ok(out.flush()?)
}

fn write(path: &Path, tickets: impl Iterator<Item = impl Serialize>) -> Result<()> {
    let file = File::create(path).with_context(|| format!("creating {}", path.display()))?;
    jsonl(tickets, &mut BufWriter::new(file)).with_context(|| format!("writing {}", path.display()))
}

/// Tickets by category and language tag.
#[derive(Default)]
struct Rows(BTreeMap<String, [usize; 3]>);

impl Rows {
    fn count(&mut self, ticket: &Ticket) {
        let column = match ticket.language {
            Some("en") => 0,
            Some(_) => 1,
            None => 2,
        };
        for label in [&ticket.label_category, TOTAL] {
            self.0.entry(label.to_owned()).or_default()[column] += 1;
        }
    }

    /// The README's table.
    fn table(&self) -> String {
        let mut out =
            String::from("| category | en | ko | no tag | all |\n|---|--:|--:|--:|--:|\n");
        for (label, [en, ko, none]) in &self.0 {
            let label = label.trim_start_matches('~');
            out.push_str(&format!("| {label} | {en} | {ko} | {none} | {} |\n", en + ko + none));
        }
        out
    }
}
