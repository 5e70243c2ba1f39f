//! One decision as a page: what was decided, and which words of the ticket did it.

use std::collections::HashMap;

use maud::{Markup, html};

use super::{document, exact, percent};
use crate::triage::change::Change;
use crate::triage::decision::{Category, Decision, Doubt, Outcome};
use crate::triage::model::Explanation;
use crate::triage::text::redact::MaskKind;
use crate::triage::text::tokens::Words;

/// The page of a decision. `explanation` lists every word; subject and body are redacted.
pub fn page(
    decision: &Decision<'_>,
    explanation: &Explanation,
    change: Option<&Change>,
    subject: &str,
    body: &str,
) -> String {
    let category = &decision.category;
    let title = format!("Why {}?", category.label);
    let weights: HashMap<&str, f64> =
        explanation.words.iter().map(|w| (w.word.as_str(), w.weight)).collect();
    let second = runner_up(category);
    let page = html! {
        h1 { (title) }
        p.soft { "Ticket " (decision.ticket_id) ", model " (decision.model.version) " (" (decision.model.id) ")" }
        div.lead {
            p {
                "The model is " (percent(category.confidence.0)) " sure that this is " b { (category.label) }
                @if let Some(next) = &category.runner_up {
                    "; next comes " (next.label) " with " (percent(next.confidence.0))
                }
                "."
            }
            @match decision.outcome {
                Outcome::Review => p {
                    "A person has to look" @if let Some(review) = &decision.review { ": " (review.detail) } "."
                },
                Outcome::Routed => p { "It goes to " b { (decision.queue) } " without a person." },
                Outcome::Resolve => p { "A playbook acts on it without a person." },
            }
            @if let Some(known) = &decision.known_request {
                p {
                    "The playbook " b { (known.playbook) } ", version " (known.version) ", answers it"
                    @if let Some(guard) = known.held_by { ", but is held back by " (guard.as_str()) }
                    @if let Some(detail) = &known.detail { ": " (detail) }
                    "."
                }
            }
        }
        h2 { "The words that did it" }
        p {
            mark.for style="--s:.6" { "Blue" } " speaks for " (category.label) ", "
            mark.against style="--s:.6" { "red" } " for " (second) ". The stronger the colour, the weightier. "
            "Personal data was masked before the model read it."
        }
        div.ticket {
            @if !subject.trim().is_empty() { b { (highlighted(subject, &weights)) } "\n" }
            (highlighted(body, &weights))
        }
        h2 { "What would have changed it" }
        ul { @for sentence in changes(decision, explanation, change) { li { (sentence) } } }
        h2 { "Every weight" }
        p {
            "In calibrated log-odds of " (category.label) " against " (second) ": each adds to the lead, 0.7 doubles "
            "it, a weight below 0 takes away. The confidences differ by less where labels that it learnt from are partly wrong."
        }
        (weight_table(explanation))
        h2 { "The decision" }
        (facts(decision))
    };
    document(&title, &page)
}

fn runner_up<'a>(category: &'a Category<'_>) -> &'a str {
    category.runner_up.as_ref().map_or("anything else", |r| r.label)
}

/// The text with the words that have a weight marked. Masks are left alone.
fn highlighted(text: &str, weights: &HashMap<&str, f64>) -> Markup {
    let largest = largest(weights.values());
    let mut words = Words::default();
    let mut weight_of = |run: &str| {
        words.read(run);
        let weights = words.iter().filter_map(|word| weights.get(word));
        weights.copied().reduce(|sum, weight| sum + weight)
    };
    html! {
        @for run in runs(text) {
            @match weight_of(run) {
                Some(weight) => mark class=(side(weight)) style=(shade(weight, largest))
                    title={ (format!("{weight:+.3}")) } { (run) },
                None => (run),
            }
        }
    }
}

/// The text cut into runs of letters and digits, what is between them, and masks.
fn runs(text: &str) -> Vec<&str> {
    let mut runs = Vec::new();
    let (mut start, mut in_word, mut skip) = (0, false, 0);
    for (i, c) in text.char_indices() {
        if i < skip {
            continue;
        }
        let mask = MaskKind::mask_len(&text.as_bytes()[i..]);
        if mask.is_some() || i == skip || c.is_alphanumeric() != in_word {
            runs.push(&text[start..i]);
            (start, in_word) = (i, c.is_alphanumeric());
        }
        if let Some(length) = mask {
            skip = i + length;
        }
    }
    runs.push(&text[start..]);
    runs.retain(|run| !run.is_empty());
    runs
}

fn largest<'a>(weights: impl Iterator<Item = &'a f64>) -> f64 {
    weights.map(|w| w.abs()).fold(1e-9, f64::max)
}

fn side(weight: f64) -> &'static str {
    if weight < 0.0 { "against" } else { "for" }
}

fn shade(weight: f64, largest: f64) -> String {
    format!("--s:{:.3}", weight.abs() / largest)
}

/// What the ticket or the settings would have to be for another outcome, a sentence each.
pub fn changes(
    decision: &Decision<'_>,
    explanation: &Explanation,
    change: Option<&Change>,
) -> Vec<String> {
    let category = &decision.category;
    let second = runner_up(category);
    let mut sentences: Vec<String> = change.map(|c| struck(category, c)).into_iter().collect();
    let against = explanation.words.iter().filter(|w| w.weight < 0.0).take(3);
    let against: Vec<&str> = against.map(|w| w.word.as_str()).collect();
    if !against.is_empty() {
        sentences
            .push(format!("Its lead over {second} would be larger without {}.", quoted(&against)));
    }
    sentences.push(match decision.outcome {
        Outcome::Resolve => {
            String::from("A playbook acts on it, however sure the model is of the category.")
        }
        _ => needed(category, decision.review.as_ref().map(|review| review.reason)),
    });
    sentences
}

/// What the ticket needs to be decided without a person, by why a person looks at it.
fn needed(category: &Category<'_>, doubt: Option<Doubt>) -> String {
    let Category { label, confidence, threshold, .. } = category;
    if threshold.0 > 1.0 {
        return format!("Nothing in the text: {label} is never decided without a person.");
    }
    let (has, needs) = (exact(confidence.0), exact(threshold.0));
    let text = match doubt {
        None | Some(Doubt::LowConfidence) => {
            return format!("To be decided without a person, {label} needs {needs}; it has {has}.");
        }
        Some(Doubt::TooClose) => {
            let (second, next) = match &category.runner_up {
                Some(next) => (next.label, exact(next.confidence.0)),
                None => ("anything else", exact(0.0)),
            };
            return format!(
                "To be decided without a person, {label} has to be further ahead of {second} \
                 (policy.min_margin); it has {has}, {second} {next}."
            );
        }
        Some(Doubt::TooShort) => {
            "the text needs more words that the model knows (policy.min_known_words)"
        }
        Some(Doubt::UnknownWords) => {
            "fewer of the text's words may be unknown to the model (policy.max_unknown_share)"
        }
        Some(Doubt::OutOfScope) => {
            "more of the text's words have to be those of the tickets that the model was made for"
        }
    };
    let confidence = match confidence.0 >= threshold.0 {
        true => String::from("it is sure enough"),
        false => format!("and {label} needs {needs}; it has {has}"),
    };
    format!("To be decided without a person, {text}; {confidence}.")
}

/// What the model says without some words. It was asked; nothing is estimated.
fn struck(category: &Category<'_>, change: &Change) -> String {
    let words: Vec<&str> = change.without.iter().map(String::as_str).collect();
    if words.is_empty() {
        return format!("No word of it speaks for {0}: {0} is more frequent.", category.label);
    }
    if change.label == category.label {
        return format!("Even without {} the model says {}.", quoted(&words), category.label);
    }
    let needed = if words.len() > 1 { " Each of these words is needed for that." } else { "" };
    format!(
        "Without {} the model says {}, {} sure.{needed}",
        quoted(&words),
        change.label,
        exact(change.confidence)
    )
}

/// `"a", "b" and "c"`.
fn quoted(words: &[&str]) -> String {
    let each: Vec<String> = words.iter().map(|w| format!("\u{201c}{w}\u{201d}")).collect();
    match each.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => each.join(""),
    }
}

fn weight_table(explanation: &Explanation) -> Markup {
    let weights: Vec<f64> = explanation.words.iter().map(|w| w.weight).collect();
    let largest = largest(weights.iter().chain([&explanation.prior]));
    let row = |name: Markup, weight: f64| {
        html! {
            tr {
                th.text { (name) }
                td { (format!("{weight:+.3}")) }
                td.text { span class={ "bar " (side(weight)) } style=(shade(weight, largest)) {} }
            }
        }
    };
    html! {
        div.wide {
            table {
                thead { tr { th.text { "Word" } th { "Weight" } th {} } }
                tbody {
                    @for w in &explanation.words {
                        (row(html! { (w.word) @if w.count > 1 { span.soft { " × " (w.count) } } }, w.weight))
                    }
                    (row(html! { i { "how frequent the category is" } }, explanation.prior))
                    @if explanation.other.abs() >= 0.000_5 {
                        tr { th.text { i { "other" } } td { (format!("{:+.3}", explanation.other)) } td {} }
                    }
                    tr { th.text { b { "in all" } } td { b { (format!("{:+.3}", explanation.total)) } } td {} }
                }
            }
        }
    }
}

fn facts(decision: &Decision<'_>) -> Markup {
    let (category, priority) = (&decision.category, &decision.priority);
    let masked: Vec<String> =
        decision.masked.iter().map(|(kind, n)| format!("{kind} × {n}")).collect();
    html! {
        dl {
            dt { "Outcome" } dd { (decision.outcome.as_str()) }
            dt { "Queue" } dd { (decision.queue) }
            dt { "Category" } dd { (category.label) ", " (exact(category.confidence.0)) }
            dt { "Priority" }
            dd {
                (priority.label) " (impact " (priority.impact.value) ", urgency " (priority.urgency.value)
                ", matrix " (priority.matrix) ")"
            }
            dt { "Language" } dd { (decision.language) }
            dt { "Masked" } dd { @if masked.is_empty() { "nothing" } @else { (masked.join(", ")) } }
            dt { "Model" } dd { (decision.model.version) " " (decision.model.id) }
            dt { "Policy" } dd { (decision.policy.version) }
        }
    }
}

#[cfg(test)]
mod tests;
