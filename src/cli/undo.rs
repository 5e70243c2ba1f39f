//! `triaged undo`: orders that what playbooks did be taken back.

use std::io::Write as _;

use anyhow::{Result, bail};
use clap::Args;
use jiff::Timestamp;

use super::{ConfigArgs, logging};
use crate::undo::{self, Which};

#[derive(Args)]
pub struct UndoArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Take back what was done for this ticket
    #[arg(long, value_name = "ID", conflicts_with = "playbook")]
    ticket: Option<String>,
    /// Take back all that this playbook did within a time
    #[arg(long, value_name = "ID", requires = "from")]
    playbook: Option<String>,
    /// The time's beginning (2026-03-04T09:00:00Z)
    #[arg(long, value_name = "TIME")]
    from: Option<Timestamp>,
    /// The time's end; now, without it
    #[arg(long, value_name = "TIME")]
    to: Option<Timestamp>,
    /// Who orders it, for the record
    #[arg(long, value_name = "NAME", default_value = "triaged undo")]
    by: String,
}

pub fn undo(args: &UndoArgs) -> Result<()> {
    let config = args.config.load()?;
    logging::start(&config.logging);
    let which = match (&args.ticket, &args.playbook, args.from) {
        (Some(ticket), ..) => Which::Ticket(ticket.clone()),
        (None, Some(id), Some(from)) => {
            let to = args.to.unwrap_or_else(Timestamp::now);
            Which::Playbook { id: id.clone(), from, to }
        }
        _ => bail!("say what to take back: --ticket ID, or --playbook ID with --from TIME"),
    };
    let tickets = undo::order(&config, &which, &args.by)?;
    let mut out = std::io::stdout().lock();
    for ticket in &tickets {
        writeln!(out, "{ticket}")?;
    }
    let topic = &config.resolve.topics.outcomes;
    eprintln!("{} undo orders written; what comes of them is in {topic}", tickets.len());
    Ok(())
}
