//! The model card: what a person should know before using a model.

use std::fmt::Write as _;

use super::TrainReport;
use super::audit;
use super::evaluate::HeadEvaluation;
use super::render::{listed, one_line, percent};
use super::report::words::{self, USES};
use crate::bundle::Manifest;

/// The card as Markdown. It depends on the manifest and the report alone.
pub(super) fn write(manifest: &Manifest, report: &TrainReport) -> String {
    let mut out = String::new();
    let recipe = &manifest.training.recipe;
    let _ = writeln!(out, "# Model card: {}\n", plain(&manifest.version));
    if let Some(about) = recipe["about"].as_str().filter(|a| !a.is_empty()) {
        let _ = writeln!(out, "{about}\n");
    }
    intended_use(&mut out, manifest);
    training(&mut out, manifest, report);
    numbers(&mut out, report);
    limits(&mut out, report);
    files(&mut out, manifest);
    out
}

fn intended_use(out: &mut String, manifest: &Manifest) {
    let fields = manifest.fields.iter().map(|f| format!(" **{}** (`{}`),", f.name, f.from));
    let fields: String = fields.collect();
    let (its, and_values) = match fields.is_empty() {
        true => ("", ""),
        false => (", its fields", ", and of these fields' values"),
    };
    let _ = writeln!(
        out,
        "## What it is for\n\n\
         It reads the subject and the text of a service desk ticket{its}{fields} and proposes:\n"
    );
    for head in &manifest.heads {
        let (target, labels) = (head.target, head.labels.len());
        let _ = writeln!(out, "- **{target}**: {labels} labels, {}", alone(&head.thresholds));
    }
    for omitted in &manifest.omitted {
        let _ = writeln!(out, "- not **{}**: {}", omitted.target, plain(&omitted.why));
    }
    let _ = writeln!(
        out,
        "\nIt adds up the weights of words, of character n-grams within words and of pairs of \
         neighbouring words{and_values}, learnt by naive Bayes and, where that is better on held-out tickets, \
         sharpened by logistic regression. Its confidence is calibrated on tickets \
         that it was not fitted on. It is not for texts other than tickets, for judging people, or \
         for languages that the tickets below are not in.\n"
    );
}

/// From when on labels with these thresholds are decided without a person.
fn alone(thresholds: &[f64]) -> String {
    let mut reached: Vec<f64> = thresholds.iter().copied().filter(|t| *t <= 1.0).collect();
    reached.sort_by(f64::total_cmp);
    let (Some(least), Some(most)) = (reached.first(), reached.last()) else {
        return "never decided without a person".to_owned();
    };
    let from = match format!("{least:.3}") == format!("{most:.3}") {
        true => format!("{least:.3}"),
        false => format!("{least:.3} to {most:.3}, by label"),
    };
    let never = match thresholds.len() - reached.len() {
        0 => String::new(),
        n => format!("; {n} of them never"),
    };
    format!("decided without a person from a confidence of {from}{never}")
}

fn training(out: &mut String, manifest: &Manifest, report: &TrainReport) {
    let t = &manifest.training;
    let features = match manifest.fields.is_empty() {
        true => "words, n-grams and pairs",
        false => "words, n-grams, pairs and values of fields",
    };
    let _ = writeln!(
        out,
        "## What it was trained on\n\n\
         {} rows (SHA-256 of the files `{}`): {} to fit, {} of these held out while the model was \
         chosen and calibrated, {} to test, split {}. Personal data and secrets were masked \
         before anything was counted. {} {features}.\n",
        t.rows,
        t.data_sha256,
        t.fitted_on,
        t.calibrated_on,
        t.tested_on,
        report.split,
        report.features
    );
    for finding in audit::render::markdown(&report.audit) {
        let _ = writeln!(out, "{finding}");
    }
    for (why, n) in &t.rejected {
        let _ = writeln!(out, "- {n} rows could not be used: {why}");
    }
    for (target, labels) in &t.too_small {
        let list = listed(labels.iter().map(|(label, n)| format!("{} ({n})", plain(label))));
        let _ = writeln!(out, "- {target} labels with too few tickets to learn: {list}");
    }
    for head in &manifest.heads {
        let _ = writeln!(
            out,
            "- {}: {}; temperature {:.4}, length exponent {:.2}, noise {:.4}, \
             confusion {:.4}",
            head.target,
            head.method,
            head.calibration.overall.temperature,
            head.calibration.overall.exponent,
            head.calibration.overall.noise,
            head.calibration.overall.confusion
        );
    }
    out.push('\n');
}

fn numbers(out: &mut String, report: &TrainReport) {
    let category = report.evaluation.heads.iter().find(|head| !head.first_level);
    let unknown: u64 = category.iter().flat_map(|head| head.unknown_labels.values()).sum();
    let without = match unknown {
        0 => String::new(),
        n => format!(" ({n} of them of categories that were not learnt, which count as wrong)"),
    };
    let _ = writeln!(
        out,
        "## How good it is\n\n\
         On the {} test tickets{without}, which neither fitting nor calibrating saw:\n\n\
         | | accuracy | most frequent label | macro F1 | calibration error | decided alone | of those right | coverage at 95 % precision, with hindsight |\n\
         |---|---|---|---|---|---|---|---|",
        report.counts.tested_on
    );
    for h in &report.evaluation.heads {
        let level = if h.first_level { ", first level" } else { "" };
        let own =
            |share: Option<f64>| share.filter(|_| !h.first_level).map_or("-".to_owned(), percent);
        let at = h.coverage_at_wanted().map_or(0.0, |c| c.coverage);
        let _ = writeln!(
            out,
            "| {}{level} | {} | {} | {} | {} | {} | {} | {} |",
            h.target,
            percent(h.accuracy),
            percent(h.majority),
            percent(h.macro_f1),
            words::calibration_error(h, report.held_out.as_ref(), percent),
            own(Some(h.coverage)),
            own(h.precision_alone()),
            percent(at)
        );
    }
    let _ = writeln!(
        out,
        "\nCalibration error is the mean distance between confidence and accuracy over 15 bins of \
         equal width. Tickets of one desk resemble each other: expect less on another desk's.\n"
    );
    let Some(category) = category else { return };
    let held_out = report.held_out.as_ref();
    if let Some(sentence) = words::few(category, held_out) {
        let _ = writeln!(out, "{sentence}\n");
    }
    if report.no_signal {
        let _ = writeln!(out, "{}.\n", words::NO_SIGNAL);
    }
    if let Some(held_out) = held_out {
        uses(out, held_out);
    }
    let _ = writeln!(
        out,
        "| {} | tickets | precision | recall | F1 |\n|---|---|---|---|---|",
        category.target
    );
    for l in category.labels.iter().filter(|l| l.support > 0) {
        let (p, r, f1) = (percent(l.precision), percent(l.recall), percent(l.f1));
        let _ = writeln!(out, "| {} | {} | {p} | {r} | {f1} |", plain(&l.label), l.support);
    }
    out.push('\n');
}

/// Which labels are good for what, as the report says it.
fn uses(out: &mut String, head: &HeadEvaluation) {
    let _ = writeln!(
        out,
        "What each {} is good for, on {} tickets that were held out while the model was chosen:\n",
        head.target, head.tickets
    );
    for use_for in USES {
        let of = head.labels.iter().filter(|l| l.support > 0 && l.use_for == use_for);
        let list = listed(of.map(|l| plain(&l.label)));
        if !list.is_empty() {
            let (name, _, meaning) = words::use_for(use_for);
            let _ = writeln!(out, "- **{name}** ({meaning}): {list}");
        }
    }
    out.push('\n');
}

/// Text that is no markup, ends no cell of a table and no line.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in one_line(text).chars() {
        if matches!(c, '\\' | '|' | '<' | '`') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

fn limits(out: &mut String, report: &TrainReport) {
    let _ = writeln!(
        out,
        "## Limits\n\n\
         - It knows the words and labels of its training tickets; a new product or label needs new \
         training.\n\
         - It reads words, not sentences: \"not\" and word order are lost on it.\n\
         - A ticket about two things gets one category.\n\
         - Thresholds hold for tickets like those it was calibrated on; evaluate it on your own \
         (`triaged evaluate`) before it decides anything alone."
    );
    for warning in &report.warnings {
        let _ = writeln!(out, "- {}", one_line(warning));
    }
    out.push('\n');
}

fn files(out: &mut String, manifest: &Manifest) {
    let _ = writeln!(
        out,
        "## Files\n\n\
         `manifest.json` lists everything above as data, with the checksums of the other files. \
         `tokenizer.json` is read by the `tokenizers` libraries: its normalizer and pre-tokenizer \
         give the words, its vocabulary words, n-grams (`#`) and pairs. `weights.safetensors` holds \
         `weights` (entries by labels), `scales` (by entry) and `bias.*`. `probes.jsonl` holds \
         redacted test tickets that are judged each time the model is loaded: a model that no \
         longer gives these answers is refused. `split.csv` has the ids of the tickets that were \
         held out to test and, where some tickets alone did that, to calibrate (these were fitted \
         on afterwards).{}",
        refit(manifest)
    );
}

fn refit(manifest: &Manifest) -> &'static str {
    match manifest.training.recipe["split"]["refit"].as_bool() {
        Some(true) => {
            " When the numbers above had been taken, the model was fitted once more, on all tickets: \
             it must be measured on newer ones."
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::calibrate::NEVER;

    #[test]
    fn a_label_breaks_no_table() {
        assert_eq!(plain("Network/VPN & more"), "Network/VPN & more");
        assert_eq!(plain("a|b\n| c \\| <b>\u{1b}[1m"), "a\\|b \\| c \\\\\\| \\<b> [1m");
    }

    #[test]
    fn from_when_on_labels_are_decided_alone() {
        let start = "decided without a person from a confidence of ";
        for (thresholds, expected) in [
            (&[0.5, 0.5][..], format!("{start}0.500")),
            (&[0.9, NEVER, 0.25], format!("{start}0.250 to 0.900, by label; 1 of them never")),
            (&[NEVER], "never decided without a person".to_owned()),
        ] {
            assert_eq!(alone(thresholds), expected);
        }
    }
}
