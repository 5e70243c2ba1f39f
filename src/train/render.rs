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
/// Labels of a confusion matrix at most: more of them do not fit into a line.
const MATRIX: usize = 12;
/// Confusions listed where there are more labels.
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
    if h.labels.len() <= MATRIX && !h.confusion.is_empty() {
        matrix(out, h);
    } else {
        confusions(out, h);
    }
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

/// All answers by their true labels; the rows' names are the legend of the columns.
fn matrix(out: &mut String, h: &HeadEvaluation) {
    let name = |i: usize| format!("{:>2} {}", i + 1, one_line(&h.labels[i].label));
    let names: Vec<String> = (0..h.labels.len()).map(name).collect();
    let name_width = names.iter().map(|n| n.chars().count()).max().unwrap_or(0).min(40);
    let most = h.confusion.iter().map(|(_, _, tickets)| *tickets).max().unwrap_or(0);
    let width = most.to_string().len().max(2);
    let mut cells = vec![vec![".".to_owned(); names.len()]; names.len()];
    for (truth, answer, tickets) in &h.confusion {
        cells[*truth][*answer] = tickets.to_string();
    }
    let row = |name: &str, cells: &[String]| {
        let cells: Vec<String> = cells.iter().map(|cell| format!("{cell:>width$}")).collect();
        format!("  {name:<name_width$}  {}\n", cells.join(" "))
    };
    out.push_str("  confusion matrix: a row is the truth, a column the answer, by its number\n");
    let numbers: Vec<String> = (1..=names.len()).map(|i| i.to_string()).collect();
    out.push_str(&row("", &numbers));
    for (name, cells) in names.iter().zip(&cells) {
        out.push_str(&row(name, cells));
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::train::evaluate::{HeadPredictions, Predicted};
    use crate::triage::model::Target;
    use crate::triage::text::language::Language;

    /// Tickets as truth and answer, of labels that are named by letters.
    fn head(labels: usize, tickets: &[(usize, usize)]) -> HeadEvaluation {
        let predicted = |(truth, answer): &(usize, usize)| {
            let mut probabilities = vec![0.0; labels];
            probabilities[*answer] = 1.0;
            Predicted::example(*truth, &probabilities, Language::En)
        };
        let names = ('A'..).take(labels).map(|letter| Arc::from(letter.to_string()));
        let predictions = HeadPredictions {
            target: Target::Category,
            labels: names.collect(),
            thresholds: vec![0.7; labels],
            tickets: tickets.iter().map(predicted).collect(),
            unknown: vec![],
        };
        predictions.whole()
    }

    fn text(head: &HeadEvaluation) -> String {
        let mut out = String::new();
        one_head(&mut out, head, None);
        out
    }

    #[test]
    fn of_few_labels_all_answers_are_told_by_their_true_label() {
        let tickets = [vec![(0, 0); 120], vec![(0, 2); 3], vec![(1, 1); 9], vec![(2, 0); 1]];
        let text = text(&head(3, &tickets.concat()));
        let expected = "  confusion matrix: a row is the truth, a column the answer, by its number
          1   2   3
   1 A  120   .   3
   2 B    .   9   .
   3 C    1   .   .
";
        assert!(text.ends_with(expected), "{text}");
        assert!(!text.contains("taken for"), "{text}");
    }

    #[test]
    fn of_many_labels_the_most_frequent_mistakes_are_told() {
        let tickets = [(0, 0), (0, 12), (0, 12), (3, 1)];
        let many = text(&head(MATRIX + 1, &tickets));
        let listed =
            "  most frequent mistakes\n        2  A taken for M\n        1  D taken for B\n";
        assert!(many.ends_with(listed) && !many.contains("matrix"), "{many}");
        let few = text(&head(MATRIX, &tickets[..1]));
        assert!(few.contains("matrix") && few.contains("\n  12 L"), "{few}");
    }
}
