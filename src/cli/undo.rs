//! `triaged undo`: orders that what playbooks did be taken back.

use std::io::Write as _;

use anyhow::{Result, bail};
use clap::Args;
use jiff::Timestamp;

use super::{By, ConfigArgs, logging, output, switch};
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
    #[arg(long, value_name = "TIME", conflicts_with = "ticket")]
    from: Option<Timestamp>,
    /// The time's end; now, without it
    #[arg(long, value_name = "TIME", conflicts_with = "ticket")]
    to: Option<Timestamp>,
    #[command(flatten)]
    by: By,
}

pub fn undo(args: &UndoArgs) -> Result<()> {
    let config = args.config.load_for_records()?;
    logging::start(&config.logging);
    let (which, known) = match (&args.ticket, &args.playbook, args.from) {
        (Some(ticket), ..) => (Which::Ticket(ticket.clone()), Vec::new()),
        (None, Some(id), Some(from)) => {
            let to = args.to.unwrap_or_else(Timestamp::now);
            (Which::Playbook { id: id.clone(), from, to }, switch::known(&config)?)
        }
        _ => bail!("say what to take back: --ticket ID, or --playbook ID with --from TIME"),
    };
    which.check(&known)?;
    let tickets = undo::order(&config, &which, &args.by.name)?;
    output::print(|out| {
        for ticket in &tickets {
            writeln!(out, "{ticket}")?;
        }
        Ok(())
    })?;
    let (written, topic) = (tickets.len(), &config.resolve.topics.outcomes);
    output::note(format_args!("{written} undo orders written; what comes of them is in {topic}"));
    Ok(())
}
