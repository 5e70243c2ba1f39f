//! Asks a known-request model about tickets: `cargo run --release --example known -- models/requests tickets.jsonl`
//! writes a line of JSON for each.

use std::io::{BufRead as _, BufReader, BufWriter, Write as _, stdout};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use triaged::bundle;
use triaged::triage::model::Scratch;
use triaged::triage::requests::{Limits, Requests};
use triaged::triage::text::{Text, fields};

fn main() -> Result<()> {
    let mut arguments = std::env::args_os().skip(1);
    let usage = "usage: known MODEL TICKETS";
    let model = arguments.next().context(usage)?;
    let tickets = arguments.next().context(usage)?;
    let requests = Requests::new(Arc::new(bundle::open(Path::new(&model))?), Limits::default())?;
    let mut scratch = Scratch::default();
    let mut out = BufWriter::new(stdout().lock());
    for line in BufReader::new(std::fs::File::open(tickets)?).lines() {
        let ticket: Value = serde_json::from_str(&line?)?;
        let text = |key: &str| ticket[key].as_str().unwrap_or_default();
        let fields = fields::entries(requests.model().fields(), &ticket);
        let text = Text { subject: text("subject"), body: text("body"), fields: &fields };
        let known = requests.known(&mut scratch, &text);
        let answer = json!({
            "ticket_id": ticket["ticket_id"],
            "request": known.request.as_deref(),
            "likeliest": &*known.likeliest,
            "confidence": known.confidence,
            "margin": known.margin,
            "doubt": known.doubt.map(triaged::triage::requests::Doubt::as_str),
        });
        serde_json::to_writer(&mut out, &answer)?;
        writeln!(out)?;
    }
    Ok(out.flush()?)
}
