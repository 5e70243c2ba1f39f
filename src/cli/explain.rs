//! `triaged explain`: one ticket's decision with every word's weight.

use std::fs;
use std::io::{IsTerminal as _, Read as _, Write as _, stdin, stdout};
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use serde_json::Value;

use super::ModelArgs;
use super::show::Palette;
use crate::desk;
use crate::files;
use crate::page::explanation;
use crate::triage::change::{Change, change};
use crate::triage::decision::{Category, Decision};
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
        Err(malformed) => bail!("not a ticket ({}): {malformed}", malformed.reason()),
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
        files::replace(file, page.as_bytes())
            .with_context(|| format!("cannot write {}", file.display()))?;
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
        writeln!(stdout(), "{value:#}")?;
    } else {
        let palette = Palette::new(stdout().is_terminal());
        stdout().write_all(page(&decision, &all, change.as_ref(), palette).as_bytes())?;
    }
    Ok(())
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
            format!(", then {} {:.1}%", r.label, r.confidence.0 * 100.0)
        });
        format!("{l}{}{l:#} {:.1}% ({bar}{next})", c.label, c.confidence.0 * 100.0)
    };
    row("ticket", decision.ticket_id.to_owned());
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
    match &decision.review {
        Some(review) => {
            row("outcome", format!("{}review{:#}: {}", p.doubt, p.doubt, review.detail));
        }
        None => row("outcome", format!("{}routed{:#}", p.good, p.good)),
    }
    row("language", decision.language.to_owned());
    for (kind, n) in &decision.masked {
        row("masked", format!("{kind} x {n}"));
    }
    row("model", format!("{} {}", decision.model.version, decision.model.id));
    let other = decision.category.runner_up.as_ref().map_or("nothing else", |r| r.label);
    let _ = writeln!(
        page,
        "\nwhy {l}{}{l:#} and not {other}, in calibrated log-odds:",
        decision.category.label
    );
    let largest = all.words.iter().map(|w| w.weight.abs()).fold(1e-9, f64::max);
    for word in &all.words {
        let bar = "█".repeat((word.weight.abs() / largest * 30.0).round() as usize);
        let style = if word.weight < 0.0 { p.against } else { p.good };
        let times = if word.count > 1 { format!(" x {}", word.count) } else { String::new() };
        let _ =
            writeln!(page, "  {:>8.3}  {style}{bar}{style:#} {}{times}", word.weight, word.word);
    }
    let _ = writeln!(page, "  {:>8.3}  how common the category is", all.prior);
    if all.other != 0.0 {
        let _ = writeln!(page, "  {:>8.3}  other", all.other);
    }
    let _ = writeln!(page, "  {:>8.3}  {l}in all{l:#}", all.total);
    let _ = writeln!(page, "\nwhat would have changed it:");
    for sentence in explanation::changes(decision, all, change) {
        let _ = writeln!(page, "  {sentence}");
    }
    page
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::ExplainArgs;

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
}
