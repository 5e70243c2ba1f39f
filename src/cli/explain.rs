//! `triaged explain`: one ticket's decision with every word's weight.

use std::fs;
use std::io::{IsTerminal as _, Read as _, Write as _, stdin};
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use serde_json::Value;

use super::show::Palette;
use super::{ModelArgs, output};
use crate::desk;
use crate::page::explanation;
use crate::train::render::one_line;
use crate::triage::change::{Change, change};
use crate::triage::decision::{Category, Decision, KnownRequest, Outcome};
use crate::triage::model::{Explanation, Scratch};
use crate::triage::text::redact::redact;
use crate::triage::text::{Text, fields};

#[derive(Args)]
pub struct ExplainArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// The words of a ticket, instead of a file
    #[arg(long, value_name = "TEXT", conflicts_with = "file", allow_hyphen_values = true)]
    text: Option<String>,
    /// Print JSON instead of a page for people
    #[arg(long)]
    json: bool,
    /// Write the decision as a page, too
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// A file with one ticket; `-` or none is standard input
    file: Option<PathBuf>,
}

pub fn explain(args: &ExplainArgs) -> Result<()> {
    let (config, triage) = args.model.load()?;
    let bytes = match (&args.text, &args.file) {
        (Some(text), _) => ticket_of(text),
        (None, Some(path)) if path.as_os_str() != "-" => {
            fs::read(path).with_context(|| format!("cannot read {}", path.display()))?
        }
        (None, _) => {
            let mut bytes = Vec::new();
            stdin().read_to_end(&mut bytes).context("cannot read standard input")?;
            bytes
        }
    };
    let input = desk::Input {
        value: Some(bytes.trim_ascii()),
        headers: &[],
        max_bytes: config.route.max_input_bytes,
    };
    let ticket = match desk::parse(&input) {
        Ok(ticket) => ticket,
        Err(malformed) => {
            bail!("not a ticket ({}): {}", malformed.reason(), one_line(&malformed.to_string()))
        }
    };
    let mut scratch = Scratch::default();
    let decision = triage.decide(&mut scratch, &ticket);
    let fields = fields::read(triage.model().fields(), &ticket.original);
    let text = Text { subject: &ticket.subject, body: &ticket.body, fields: &fields };
    let all = triage.model().explain_all(&mut scratch, &text).explanation;
    let change = change(triage.model(), &mut scratch, &text);
    if let Some(file) = &args.html {
        let (subject, body) = (redact(&ticket.subject).0, redact(&ticket.body).0);
        let page = explanation::page(&decision, &all, change.as_ref(), &subject, &body);
        output::page(file, &page)?;
    }
    if args.json {
        let words = all.words.iter();
        let words: Vec<_> = words
            .map(|w| serde_json::json!({"word": w.word, "weight": w.weight, "count": w.count}))
            .collect();
        let mut value = serde_json::to_value(&decision)?;
        value["explanation"] = serde_json::json!({
            "words": words, "other": all.other, "prior": all.prior, "total": all.total,
        });
        value["change"] = change.map_or(Value::Null, |c| {
            serde_json::json!({
                "without": c.without, "category": { "label": c.label, "confidence": c.confidence },
            })
        });
        output::print(|out| Ok(writeln!(out, "{value:#}")?))
    } else {
        output::print(|out| {
            let palette = Palette::new(out.is_terminal());
            Ok(write!(out, "{}", page(&decision, &all, change.as_ref(), palette))?)
        })
    }
}

/// The smallest ticket around some words.
fn ticket_of(text: &str) -> Vec<u8> {
    serde_json::json!({
        "ticket_id": "(text)",
        "subject": "",
        "body": text,
        "created_at": "1970-01-01T00:00:00Z",
        "requester": null,
        "source": "",
    })
    .to_string()
    .into_bytes()
}

/// What stands in it is of the ticket or of a model that may be anybody's: it steers no terminal.
fn page(decision: &Decision<'_>, all: &Explanation, change: Option<&Change>, p: Palette) -> String {
    use std::fmt::Write as _;
    let mut page = String::new();
    let (l, f) = (p.label, p.faint);
    // Writing to a string cannot fail.
    let mut row = |name: &str, value: String| {
        let _ = writeln!(page, "{f}{name:<10}{f:#} {value}");
    };
    let verdict = |c: &Category<'_>| {
        let bar = if c.threshold.0 > 1.0 {
            String::from("never sure enough alone")
        } else {
            format!("needs {:.0}%", c.threshold.0 * 100.0)
        };
        let next = c.runner_up.as_ref().map_or(String::new(), |r| {
            format!(", then {} {:.1}%", one_line(r.label), r.confidence.0 * 100.0)
        });
        format!("{l}{}{l:#} {:.1}% ({bar}{next})", one_line(c.label), c.confidence.0 * 100.0)
    };
    row("ticket", one_line(decision.ticket_id));
    row("category", verdict(&decision.category));
    let priority = &decision.priority;
    let sure = priority.confidence.map_or(String::new(), |c| format!(" {:.1}%", c.0 * 100.0));
    row(
        "priority",
        format!(
            "{l}{}{l:#}{sure} by {:?}: impact {} ({:?}), urgency {} ({:?})",
            priority.label,
            priority.decided_by,
            priority.impact.value,
            priority.impact.by,
            priority.urgency.value,
            priority.urgency.by
        ),
    );
    row("queue", decision.queue.to_owned());
    let style = if decision.outcome == Outcome::Review { p.doubt } else { p.good };
    let why = decision.review.as_ref().map_or(String::new(), |r| format!(": {}", r.detail));
    row("outcome", format!("{style}{}{style:#}{why}", decision.outcome.as_str()));
    if let Some(known) = &decision.known_request {
        row("playbook", playbook(known, p));
    }
    row("language", one_line(decision.language));
    for (kind, n) in &decision.masked {
        row("masked", format!("{kind} x {n}"));
    }
    row("model", format!("{} {}", one_line(decision.model.version), decision.model.id));
    let other = decision.category.runner_up.as_ref().map_or("nothing else", |r| r.label);
    let (label, other) = (one_line(decision.category.label), one_line(other));
    let _ = writeln!(page, "\nwhy {l}{label}{l:#} and not {other}, in calibrated log-odds:");
    let largest = all.words.iter().map(|w| w.weight.abs()).fold(1e-9, f64::max);
    for word in &all.words {
        let bar = "█".repeat((word.weight.abs() / largest * 30.0).round() as usize);
        let style = if word.weight < 0.0 { p.against } else { p.good };
        let times = if word.count > 1 { format!(" x {}", word.count) } else { String::new() };
        let text = one_line(&word.word);
        let _ = writeln!(page, "  {:>8.3}  {style}{bar}{style:#} {text}{times}", word.weight);
    }
    let _ = writeln!(page, "  {:>8.3}  how common the category is", all.prior);
    if all.other != 0.0 {
        let _ = writeln!(page, "  {:>8.3}  other", all.other);
    }
    let _ = writeln!(
        page,
        "  {:>8.3}  {l}in all{l:#}, before it is allowed for that labels may be wrong",
        all.total
    );
    let _ = writeln!(page, "\nwhat would have changed it:");
    for sentence in explanation::changes(decision, all, change) {
        let _ = writeln!(page, "  {}", one_line(&sentence));
    }
    page
}

/// The playbook that answers the ticket, and what holds it back, if anything does.
fn playbook(known: &KnownRequest<'_>, p: Palette) -> String {
    let said = format!("{} version {}", one_line(known.playbook), known.version);
    let Some(guard) = known.held_by else { return format!("{said}, acts on it") };
    let detail = known.detail.as_deref().map_or(String::new(), |d| format!(": {}", one_line(d)));
    format!("{said}, held by {}{}{:#}{detail}", p.doubt, guard.as_str(), p.doubt)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use clap::Parser;

    use super::*;
    use crate::bundle::tests::bundle;
    use crate::config::Config;
    use crate::resolve::guard::Guard;
    use crate::triage::Triage;
    use crate::triage::policy::Route;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: ExplainArgs,
    }

    #[test]
    fn a_text_may_begin_with_a_hyphen() {
        let text = "- VPN does not connect";
        let line = Line::try_parse_from(["explain", "--text", text, "--json"]).unwrap();
        assert_eq!(line.args.text.as_deref(), Some(text));
        assert!(line.args.json);
    }

    /// The page of a ticket with hostile text wherever a ticket has text, after some change.
    fn shown(change: impl Fn(&mut Decision<'_>)) -> String {
        shown_in(Palette::default(), change)
    }

    fn shown_in(palette: Palette, change: impl Fn(&mut Decision<'_>)) -> String {
        let none: [(String, String); 0] = [];
        let mut policy = Config::from_layers(None, none, &[]).unwrap().policy;
        policy.routes = vec![Route::any("desk".into())];
        let triage = Triage::new(Arc::new(bundle().model().unwrap()), Arc::new(policy)).unwrap();
        let hostile = "\u{1b}[31mPWN\u{1b}]0;title\u{7}\u{202e}";
        let ticket = serde_json::json!({
            "ticket_id": "T\u{202e}1", "subject": "vpn", "body": format!("{hostile} printer error"),
            "created_at": "2026-03-04T09:12:00Z", "requester": "kim", "source": "email",
            "language": hostile,
        })
        .to_string();
        let ticket = desk::parse_text(&ticket).unwrap();
        let mut scratch = Scratch::default();
        let mut decision = triage.decide(&mut scratch, &ticket);
        change(&mut decision);
        let text = Text::new(&ticket.subject, &ticket.body);
        let all = triage.model().explain_all(&mut scratch, &text).explanation;
        page(&decision, &all, None, palette)
    }

    #[test]
    fn the_words_that_decide_are_in_colour_on_a_terminal_and_plain_elsewhere() {
        let word = |page: &str, word: &str| {
            let line = page.lines().find(|line| line.ends_with(&format!(" {word}")));
            line.unwrap_or_else(|| panic!("no {word} in {page}")).to_owned()
        };
        let page = shown_in(Palette::new(true), |_| ());
        // Green for the category, red against it; the colour ends before the word.
        let (vpn, printer) = (word(&page, "vpn"), word(&page, "printer"));
        assert!(vpn.contains("\u{1b}[32m█") && vpn.ends_with("█\u{1b}[0m vpn"), "{vpn:?}");
        assert!(printer.contains("\u{1b}[31m█"), "{printer:?}");
        assert!(printer.ends_with("█\u{1b}[0m printer"), "{printer:?}");
        let plain = shown(|_| ());
        assert!(word(&plain, "vpn").ends_with(&format!("  {} vpn", "█".repeat(30))), "{plain}");
        assert!(!plain.contains('\u{1b}'), "{plain:?}");
    }

    #[test]
    fn a_ticket_does_not_steer_a_terminal() {
        let page = shown(|_| ());
        let steers = |c: char| c.is_control() && c != '\n';
        assert!(!page.contains(steers) && !page.contains('\u{202e}'), "{page:?}");
        assert!(page.contains("language    [31mPWN ]0;title"), "{page}");
    }

    #[test]
    fn an_outcome_is_the_decisions_with_the_playbook_and_what_holds_it_back() {
        let acts = shown(|decision| {
            (decision.outcome, decision.review) = (Outcome::Resolve, None);
            decision.known_request = Some(KnownRequest::example(None));
        });
        assert!(acts.contains("outcome    resolve\n"), "{acts}");
        assert!(acts.contains("playbook   unlock_account version 3, acts on it\n"), "{acts}");
        assert!(acts.contains("however sure") && !acts.contains("routed"), "{acts}");
        let held = shown(|decision| {
            (decision.outcome, decision.review) = (Outcome::Routed, None);
            decision.known_request = Some(KnownRequest::example(Some(Guard::Vip)));
        });
        assert!(held.contains("outcome    routed\n"), "{held}");
        let by = format!("unlock_account version 3, held by vip: {}\n", Guard::Vip.detail());
        assert!(held.contains(&by), "{held}");
    }
}
