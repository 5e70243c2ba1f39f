//! Writes the synthetic sample corpus from the grammar beside this file: `cargo run --release --example corpus -- --out target/corpus --seed 7`

mod grammar;
mod korean;
mod noise;
mod rng;
#[cfg(test)]
mod tests;
mod text;
mod ticket;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Parser;

use grammar::Grammar;
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
    /// Tickets in tickets.jsonl; more of them leave the earlier ones as they were
    #[arg(long, default_value_t = 12_000)]
    count: u32,
    /// Tickets in demo.jsonl
    #[arg(long, default_value_t = 400)]
    demo: u32,
    /// Folder with the grammar
    #[arg(long, default_value = GRAMMAR)]
    grammar: PathBuf,
}

const GRAMMAR: &str = "training/corpus/grammar";

fn main() -> Result<()> {
    let args = Args::parse();
    let grammar = Grammar::load(&args.grammar)?;
    fs::create_dir_all(&args.out).with_context(|| format!("creating {}", args.out.display()))?;
    let tickets = tickets(&grammar, args.seed, Stream::Training, args.count);
    write(&args.out.join("tickets.jsonl"), &tickets)?;
    write(
        &args.out.join("demo.jsonl"),
        &self::tickets(&grammar, args.seed, Stream::Demo, args.demo),
    )?;
    print!("{}", composition(&tickets));
    Ok(())
}

fn tickets(grammar: &Grammar, seed: u64, stream: Stream, count: u32) -> Vec<Ticket> {
    (1..=count).map(|n| ticket(grammar, seed, stream, n)).collect()
}

fn jsonl(tickets: &[Ticket]) -> Result<String> {
    let mut out = String::new();
    for ticket in tickets {
        out.push_str(&serde_json::to_string(ticket)?);
        out.push('\n');
    }
    Ok(out)
}

fn write(path: &Path, tickets: &[Ticket]) -> Result<()> {
    fs::write(path, jsonl(tickets)?).with_context(|| format!("writing {}", path.display()))
}

/// The README's table: tickets by category and language tag.
fn composition(tickets: &[Ticket]) -> String {
    let mut rows: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
    for ticket in tickets {
        let column = match ticket.language {
            Some("en") => 0,
            Some(_) => 1,
            None => 2,
        };
        rows.entry(&ticket.label_category).or_default()[column] += 1;
        rows.entry("~total").or_default()[column] += 1;
    }
    let mut out = String::from("| category | en | ko | no tag | all |\n|---|--:|--:|--:|--:|\n");
    for (label, [en, ko, none]) in rows {
        let label = label.trim_start_matches('~');
        out.push_str(&format!("| {label} | {en} | {ko} | {none} | {} |\n", en + ko + none));
    }
    out
}
