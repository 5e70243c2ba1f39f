//! Evaluations and training reports as plain text for a terminal.

use std::fmt::Write as _;

use super::TrainReport;
use super::audit;
use super::evaluate::{Evaluation, HeadEvaluation};
use super::report::SUSPECTS;
use super::report::words::{self, USES};
use crate::page::is_hostile;

/// Labels whose lines are shown at most; the weakest are named first.
const LABELS: usize = 40;
/// Confusions listed.
const CONFUSIONS: usize = 10;
/// Names in a list.
const LISTED: usize = 40;

/// An evaluation as text.
pub fn evaluation(e: &Evaluation) -> String {
    measured(e, None)
}

/// The same. `held_out` is the category on tickets that chose and calibrated it.
fn measured(e: &Evaluation, held_out: Option<&HeadEvaluation>) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "Model {} ({}), {} tickets, {} of the words unknown",
        one_line(&e.version),
        one_line(&e.model),
        e.tickets,
        percent(e.unknown_words)
    );
    if e.held_back > 0 {
        let _ = writeln!(out, "{}", words::held_back(e.held_back));
    }
    for head in &e.heads {
        out.push('\n');
        one_head(&mut out, head, held_out);
    }
    out
}

/// A training report as text.
pub fn report(r: &TrainReport) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "{} rows read; fitted on {}, {} of them held out to choose and calibrate, tested on {}; {} words, \
         n-grams and pairs",
        r.rows, r.counts.fitted_on, r.counts.calibrated_on, r.counts.tested_on, r.features
    );
    for (why, n) in &r.rejected {
        let _ = writeln!(out, "  {n} rows not used: {}", why.as_str());
    }
    let _ = writeln!(out, "  split {}", r.split);
    for (target, labels) in &r.too_small {
        let list = listed(labels.iter().map(|(label, n)| format!("{} ({n})", one_line(label))));
        let _ = writeln!(out, "  {target} labels with too few tickets to learn: {list}");
    }
    for (target, why) in &r.omitted {
        let _ = writeln!(out, "  no {target} head: {}", one_line(why));
    }
    for warning in &r.warnings {
        let _ = writeln!(out, "  warning: {}", one_line(warning));
    }
    if r.no_signal {
        let _ = writeln!(out, "  {}", words::NO_SIGNAL);
    }
    if !r.suspects.is_empty() {
        let _ = writeln!(
            out,
            "  {} held-out tickets whose category is probably wrong, in {SUSPECTS} of the report",
            r.suspects.len()
        );
    }
    out.push('\n');
    out.push_str(&audit::render::text(&r.audit));
    if let Some(head) = &r.held_out {
        out.push('\n');
        uses(&mut out, head);
    }
    out.push('\n');
    out.push_str(&measured(&r.evaluation, r.held_out.as_ref()));
    out
}

/// Which labels are good for what.
fn uses(out: &mut String, head: &HeadEvaluation) {
    let _ = writeln!(
        out,
        "what each {} is good for, on {} held-out tickets",
        head.target, head.tickets
    );
    for use_for in USES {
        let of = head.labels.iter().filter(|l| l.support > 0 && l.use_for == use_for);
        let list = listed(of.map(|l| one_line(&l.label)));
        if !list.is_empty() {
            let (name, _, meaning) = words::use_for(use_for);
            let _ = writeln!(out, "  {name} ({meaning}): {list}");
        }
    }
}

/// Names with commas between them; of many the first ones, and how many there are beside them.
pub(super) fn listed(names: impl Iterator<Item = String>) -> String {
    let mut names: Vec<String> = names.collect();
    if names.len() > LISTED {
        let more = names.len() - LISTED;
        names.truncate(LISTED);
        names.push(format!("and {more} more"));
    }
    names.join(", ")
}

fn one_head(out: &mut String, h: &HeadEvaluation, held_out: Option<&HeadEvaluation>) {
    let level = if h.first_level { ", first level" } else { "" };
    let _ = writeln!(out, "{}{level}: {} tickets, {} labels", h.target, h.tickets, h.labels.len());
    let line = |out: &mut String, name: &str, value: String| {
        let _ = writeln!(out, "  {name:<24} {value}");
    };
    line(
        out,
        "accuracy",
        format!("{}  (most frequent label: {})", percent(h.accuracy), percent(h.majority)),
    );
    let (low, high) = h.accuracy_interval();
    line(out, "95 % interval of that", format!("{} to {}", percent(low), percent(high)));
    if h.copies > 0 {
        line(out, "copies", copies(h.copies));
    }
    line(out, "macro F1", percent(h.macro_f1));
    line(
        out,
        "calibration error",
        match words::calibration_error(h, held_out, percent) {
            own if words::tells_calibration(h) => format!("{own}  (15 bins of equal width)"),
            other => other,
        },
    );
    line(out, "log loss, Brier score", words::scores(h));
    if !h.first_level {
        let decided = match h.precision_alone() {
            Some(right) => {
                format!("{} of tickets, {} of those right", percent(h.coverage), percent(right))
            }
            None => "none of the tickets".to_owned(),
        };
        line(out, "decided alone", decided);
    }
    for c in &h.coverage_at {
        let at = c.threshold.map_or("never".to_owned(), |t| format!("confidence {t:.3}"));
        line(
            out,
            &format!("coverage at {}", percent(c.precision)),
            format!("{}  ({at})", percent(c.coverage)),
        );
    }
    if !h.unknown_labels.is_empty() {
        let n: u64 = h.unknown_labels.values().sum();
        line(
            out,
            "labels not in the model",
            format!("{} with {n} tickets, which count as wrong", h.unknown_labels.len()),
        );
    }
    labels(out, h);
    confusions(out, h);
}

fn labels(out: &mut String, h: &HeadEvaluation) {
    let width = h.labels.iter().map(|l| one_line(&l.label).chars().count()).max();
    let width = width.unwrap_or(5).clamp(5, 40);
    let _ = writeln!(out, "  {:<width$}  tickets  precision  recall     F1", "label");
    let mut shown: Vec<_> = h.labels.iter().filter(|l| l.support > 0).collect();
    if shown.len() > LABELS {
        shown.sort_by(|a, b| a.f1.total_cmp(&b.f1));
    }
    for l in shown.iter().take(LABELS) {
        let _ = writeln!(
            out,
            "  {:<width$}  {:>7}  {:>9}  {:>6}  {:>5}",
            one_line(&l.label),
            l.support,
            percent(l.precision),
            percent(l.recall),
            percent(l.f1)
        );
    }
    if shown.len() > LABELS {
        let _ = writeln!(out, "  and {} labels with a higher F1", shown.len() - LABELS);
    }
}

fn confusions(out: &mut String, h: &HeadEvaluation) {
    if !h.confusions.is_empty() {
        let _ = writeln!(out, "  most frequent mistakes");
    }
    for c in h.confusions.iter().take(CONFUSIONS) {
        let (truth, answer) = (one_line(&c.truth), one_line(&c.answer));
        let _ = writeln!(out, "  {:>7}  {truth} taken for {answer}", c.tickets);
    }
}

/// What copies of other tickets count for.
pub(crate) fn copies(n: u64) -> String {
    format!("{n} of the tickets repeat another's text and label; as evidence each text counts once")
}

/// Without what steers a terminal, breaks a line or turns the direction of writing.
pub(crate) fn one_line(text: &str) -> String {
    let hostile = |c: char| is_hostile(c) || matches!(c, '\n' | '\t' | '\u{2028}' | '\u{2029}');
    text.chars().map(|c| if hostile(c) { ' ' } else { c }).collect()
}

/// A share with one decimal.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.1}%", share * 100.0)
}
