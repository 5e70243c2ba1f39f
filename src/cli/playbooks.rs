//! `triaged test` and `triaged approve`: playbooks tried against their examples, and approved.
//! `triaged check` shows how they stand.

use std::cell::RefCell;
use std::io::{self, IsTerminal as _, Write};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Result, bail};
use clap::Args;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::output;
use super::show::Palette;
use crate::bundle;
use crate::playbook::{
    self, Approval, Known, Library, Playbook, Recognise, Standing, TextFile, TicketView, Tried,
    Verdict,
};
use crate::playbook_dir as dir;
use crate::triage::model::Scratch;
use crate::triage::playbooks::sure;
use crate::triage::requests::{self, Requests};
use crate::triage::text::{Text, fields};

#[derive(Args)]
pub struct TestArgs {
    #[command(flatten)]
    given: Given,
    /// Print the results as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub struct ApproveArgs {
    /// The playbook's id
    id: String,
    /// Who approves it; not its owner
    #[arg(long, value_name = "NAME")]
    by: String,
    /// The last day on which it may run (2027-06-30)
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
    until: Date,
    #[command(flatten)]
    given: Given,
}

fn day(text: &str) -> Result<Date, String> {
    text.parse().map_err(|_| String::from("must be a date as YYYY-MM-DD, such as 2027-06-30"))
}

/// Playbooks, and a model to try them with.
#[derive(Args)]
struct Given {
    /// The folder with the playbooks
    #[arg(long, value_name = "DIR")]
    playbooks: PathBuf,
    /// The known-request model's bundle; without it only rules and slots are tried
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// Let examples pass that only the model can tell, where none is given
    #[arg(long, conflicts_with = "model")]
    untried: bool,
}

impl Given {
    fn try_all<'p>(&self, playbooks: impl Iterator<Item = &'p Playbook>) -> Result<Vec<Tried>> {
        let open = |dir: &PathBuf| -> Result<_> {
            let model = Arc::new(bundle::open(dir)?);
            Ok(recogniser(Requests::new(model, requests::Limits::default())?))
        };
        let recognise = self.model.as_ref().map(open).transpose()?;
        let recognise = recognise.as_ref().map(|r| r as &Recognise<'_>);
        Ok(playbooks.flat_map(|p| playbook::tried(p, recognise)).collect())
    }

    /// Why examples do not pass, if they do not.
    fn objection(&self, tried: &[Tried]) -> Option<String> {
        let (failed, open) = (count(tried, has_failed), count(tried, is_open));
        if failed > 0 {
            return Some(format!("{failed} of {} examples failed", tried.len()));
        }
        (open > 0 && !self.untried).then(|| {
            format!(
                "{open} of {} examples were not tried: give the known-request model with --model, \
                 or let them pass with --untried",
                tried.len()
            )
        })
    }
}

/// What a known-request model is sure of, as the daemon asks it.
fn recogniser(requests: Requests) -> impl Fn(&TicketView<'_>) -> Option<Known> {
    let scratch = RefCell::new(Scratch::default());
    move |ticket| {
        let fields = fields::entries(requests.model().fields(), ticket.json);
        let text = Text { subject: ticket.subject, body: ticket.body, fields: &fields };
        sure(&requests.known(&mut scratch.borrow_mut(), &text))
    }
}

pub fn test(args: &TestArgs) -> Result<()> {
    let library = dir::library(&args.given.playbooks)?;
    let tried = args.given.try_all(library.iter())?;
    warn(library.iter());
    output::json_or(args.json, &tried, |out| {
        let palette = Palette::new(out.is_terminal());
        table(out, &tried, palette)
    })?;
    match args.given.objection(&tried) {
        Some(objection) => bail!(objection),
        None => Ok(()),
    }
}

fn count(tried: &[Tried], is_so: fn(&Tried) -> bool) -> usize {
    tried.iter().filter(|t| is_so(t)).count()
}

fn has_failed(tried: &Tried) -> bool {
    matches!(tried.verdict, Verdict::Failed { .. })
}

fn is_open(tried: &Tried) -> bool {
    tried.verdict == Verdict::NeedsModel
}

/// Says on standard error what is allowed in these playbooks and may still not be meant.
fn warn<'p>(playbooks: impl Iterator<Item = &'p Playbook>) {
    for risk in playbooks.flat_map(Playbook::risks) {
        output::note(format_args!("warning: {risk}"));
    }
}

fn table(out: &mut impl Write, tried: &[Tried], p: Palette) -> io::Result<()> {
    let width = tried.iter().map(|t| t.playbook.len()).max().unwrap_or(0);
    for t in tried {
        let (style, word, detail) = match &t.verdict {
            Verdict::Ok { detail } => (p.good, "ok", detail.as_str()),
            Verdict::Failed { detail } => (p.against, "FAILED", detail.as_str()),
            Verdict::NeedsModel => (p.doubt, "open", "only the known-request model can tell"),
        };
        let kind = if t.kind == "example" { "matches" } else { "must not" };
        let subject: String = t.subject.chars().take(40).collect();
        writeln!(
            out,
            "{style}{word:<6}{style:#} {:<width$}  {kind:<8} {:>2}  {subject}  {}{detail}{:#}",
            t.playbook, t.number, p.faint, p.faint
        )?;
    }
    let (failed, open) = (count(tried, has_failed), count(tried, is_open));
    let ok = tried.len() - failed - open;
    write!(out, "{} examples: {ok} ok, {failed} failed", tried.len())?;
    if open > 0 {
        write!(out, ", {open} open (give --model to try them)")?;
    }
    writeln!(out)
}

pub fn approve(args: &ApproveArgs) -> Result<()> {
    let folder = dir::read(&args.given.playbooks)?;
    let library = Library::read(&folder.files, None)?;
    let tried = args.given.try_all(library.get(&args.id).into_iter())?;
    warn(library.get(&args.id).into_iter());
    if let Some(objection) = args.given.objection(&tried) {
        output::print(|out| Ok(table(out, &tried, Palette::default())?))?;
        bail!("{} is not approved: {objection}", args.id);
    }
    let approval = Approval { approver: args.by.trim().to_owned(), until: args.until };
    if approval.approver.is_empty() {
        bail!("--by must name a person or a board");
    }
    let lock = folder.lock.as_deref();
    let (TextFile { name, text }, lock) =
        playbook::approve(&folder.files, lock, &args.id, &approval, today())?;
    // In this order: a file without its lock entry is unapproved, which is safe.
    dir::replace(&args.given.playbooks, &name, &text)?;
    dir::replace(&args.given.playbooks, playbook::LOCK_FILE, &lock)?;
    let library = dir::library(&args.given.playbooks)?;
    let Some(playbook) = library.get(&args.id) else { return Ok(()) };
    output::print(|out| {
        let version = playbook.version;
        writeln!(out, "{} version {version} is approved until {}", args.id, args.until)?;
        let open = count(&tried, is_open);
        if open > 0 {
            writeln!(out, "{open} of its examples were not tried: they need --model")?;
        }
        Ok(())
    })
}

/// The day by which approvals count: that of UTC.
fn today() -> Date {
    jiff::Timestamp::now().to_zoned(TimeZone::UTC).date()
}

/// Writes one line a playbook: how it stands, its mode and how often it may call.
pub(super) fn standing(out: &mut impl Write, library: &Library) -> io::Result<()> {
    let width = library.iter().map(|p| p.id.len()).max().unwrap_or(0);
    for playbook in library.iter() {
        let standing = playbook.standing(today());
        let until = match &playbook.approval {
            Some(approval) if standing != Standing::Unapproved => {
                format!(" until {}", approval.until)
            }
            _ => String::new(),
        };
        writeln!(
            out,
            "playbook  {:<width$}  version {}, {}{until}, {}, {}",
            playbook.id,
            playbook.version,
            standing.as_str(),
            playbook.mode.as_str(),
            playbook.delivery.as_str(),
        )?;
    }
    Ok(())
}

/// Writes one line for whatever is allowed in these playbooks and may still not be meant.
pub(super) fn warnings(
    out: &mut impl Write,
    library: &Library,
    queues: &[String],
) -> io::Result<()> {
    let risks = library.iter().flat_map(Playbook::risks);
    for warning in risks.chain(library.strange_queues(queues)) {
        writeln!(out, "warning   {warning}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_a_date_and_nothing_else_is_said_of_it() {
        assert_eq!(day("2027-06-30"), Ok(jiff::civil::date(2027, 6, 30)));
        for text in ["2027-06-30T00:00Z", "30.06.2027", "2027-02-30", ""] {
            let refused = day(text).unwrap_err();
            assert!(refused.contains("YYYY-MM-DD") && !refused.contains("jiff"), "{refused}");
        }
    }
}
