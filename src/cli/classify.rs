//! `triaged classify`: tickets in, decisions out, no log involved.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write, stdin};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use clap::Args;

use super::{ModelArgs, output};
use crate::desk;
use crate::log::Origin;
use crate::stage::event;
use crate::triage::Triage;
use crate::triage::model::Scratch;

#[derive(Args)]
pub struct ClassifyArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// Files with one ticket a line; `-` or none is standard input
    files: Vec<PathBuf>,
}

pub fn classify(args: &ClassifyArgs) -> Result<()> {
    let (config, triage) = args.model.load()?;
    let limit = config.route.max_input_bytes;
    let mut scratch = Scratch::default();
    let stdin_only = [PathBuf::from("-")];
    let files = if args.files.is_empty() { &stdin_only[..] } else { &args.files };
    output::print(|out| {
        let mut out = BufWriter::new(out);
        for path in files {
            let from = path.display().to_string();
            if from == "-" {
                lines(stdin().lock(), "-", limit, &triage, &mut scratch, &mut out)?;
            } else {
                let file = File::open(path).with_context(|| format!("cannot open {from}"))?;
                lines(BufReader::new(file), &from, limit, &triage, &mut scratch, &mut out)?;
            }
        }
        Ok(out.flush()?)
    })
}

/// One decision a line, or what is wrong with it; `origin` says the file and the line, from 1.
fn lines(
    mut input: impl BufRead,
    from: &str,
    limit: usize,
    triage: &Triage,
    scratch: &mut Scratch,
    out: &mut impl Write,
) -> Result<()> {
    let topic: Arc<str> = from.into();
    let mut line = Vec::new();
    for offset in 1.. {
        line.clear();
        if input.read_until(b'\n', &mut line).with_context(|| format!("cannot read {from}"))? == 0 {
            break;
        }
        let value = line.trim_ascii();
        if value.is_empty() {
            continue;
        }
        let origin = Origin { topic: Arc::clone(&topic), partition: 0, offset };
        match desk::parse(&desk::Input { value: Some(value), headers: &[], max_bytes: limit }) {
            Ok(ticket) => {
                let decision = triage.decide(scratch, &ticket);
                out.write_all(&event::data(&origin, &ticket, &decision))?;
            }
            Err(malformed) => {
                let wrong = serde_json::json!({
                    "outcome": "dead",
                    "reason": malformed.reason(),
                    "message": malformed.to_string(),
                    "origin": { "topic": from, "partition": 0, "offset": offset },
                });
                serde_json::to_writer(&mut *out, &wrong)?;
            }
        }
        out.write_all(b"\n")?;
    }
    Ok(())
}
