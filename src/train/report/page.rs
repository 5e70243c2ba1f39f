//! The report as a page.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::{LearningPoint, Report, SUSPECTS, classes, words};
use crate::page::chart::{Axis, Mark, chart};
use crate::page::{count, counted, document, exact, percent};
use crate::train::audit::noise::Suspect;
use crate::train::evaluate::{HeadEvaluation, WANTED};
use crate::train::wilson::{TWO_SIDED_95, interval_of_share};
use crate::triage::text::language::Language;

/// Kinds of probably wrong labels that are shown.
const KINDS: usize = 10;
/// Labels that the model does not know, as far as they are listed.
const UNKNOWN: usize = 40;

/// The whole page.
pub(super) fn page(report: &Report) -> String {
    let evaluation = &report.evaluation;
    let title = format!("How good is {}?", evaluation.version);
    let body = html! {
        h1 { (title) }
        p.soft {
            "Model " (evaluation.version) " (" (evaluation.model) ") on "
            (counted(evaluation.tickets, "labelled ticket", "labelled tickets")) "."
        }
        @match evaluation.heads.first() {
            Some(head) => (summary(head, report)),
            None => div.lead { p { "Nothing could be measured: the tickets have no labels that the model tells." } },
        }
        @for head in &evaluation.heads { (section(head, report.held_out.as_ref())) }
        @if let Some(head) = &report.held_out { (held_out(head)) }
        (learning(report))
        (top_words(report))
        (mistakes(report))
        (suspects(&report.suspects))
        (notes(report))
        h2 { "The model" }
        dl {
            @for fact in &report.facts { dt { (fact.name) } dd { (fact.value) } }
        }
    };
    document(&title, &body)
}

fn summary(head: &HeadEvaluation, report: &Report) -> Markup {
    let tile = |value: String, what: &str| html! { div.tile { b { (value) } span { (what) } } };
    let held_out = report.held_out.as_ref().filter(|h| h.target == head.target);
    html! {
        div.lead {
            @for sentence in words::headline(head, held_out, report.unseen) { p { (sentence) } }
            @for warning in &report.warnings { p { b { (warning) } } }
        }
        div.tiles {
            (tile(exact(head.accuracy), "of answers are right"))
            (tile(exact(head.majority), "would be, always saying the most frequent label"))
            (tile(exact(head.coverage), "of tickets it decides alone"))
            (tile(head.precision_alone().map_or("-".to_owned(), exact), "of those are right"))
            (tile(exact(head.macro_f1), "macro F1: every label counts the same"))
            (tile(exact(report.evaluation.unknown_words), "of words are unknown to it"))
        }
        p { (words::calibration(head, held_out)) }
        @if report.evaluation.held_back > 0 {
            p.soft { (words::held_back(report.evaluation.held_back)) "." }
        }
        @if !report.unseen {
            p.soft {
                "If the model was trained on these very tickets, all numbers are too good: measure on others."
            }
        }
    }
}

fn section(head: &HeadEvaluation, held_out: Option<&HeadEvaluation>) -> Markup {
    html! {
        h2 { (words::name(head)) }
        @if head.tickets == 0 {
            p { "None of the tickets has a label that the model knows." }
        } @else {
            (numbers(head, held_out))
            div.charts { (reliability(head)) (coverage(head)) }
            h3 { "Label by label" }
            (classes::table(head))
            h3 { "What is taken for what" }
            (classes::confusion(head))
            (languages(head))
        }
        @if !head.unknown_labels.is_empty() {
            h3 { "Labels that the model does not know" }
            p {
                @let labels = head.unknown_labels.iter().take(UNKNOWN).map(|(l, n)| format!("{l} ({n})"));
                (labels.collect::<Vec<_>>().join(", "))
                ". Whatever it says of their tickets counts as wrong."
            }
            (classes::more(UNKNOWN, head.unknown_labels.len()))
        }
    }
}

fn held_out(head: &HeadEvaluation) -> Markup {
    html! {
        h2 { "What each category is good for" }
        p {
            "On " (counted(head.tickets, "ticket", "tickets")) " that were held out while the model was chosen and "
            "calibrated, each from the model that was asked about it. The thresholds come from these very tickets; the "
            "test above does not, but it has fewer of them."
        }
        (classes::table(head))
    }
}

fn numbers(head: &HeadEvaluation, held_out: Option<&HeadEvaluation>) -> Markup {
    let row = |name: &str, value: String| html! { tr { th.text { (name) } td.text { (value) } } };
    html! {
        div.wide {
            table {
                tbody {
                    (row("Tickets, labels", format!("{}, {}", count(head.tickets), head.labels.len())))
                    (row("Right (accuracy)", exact(head.accuracy)))
                    (row("Most frequent label alone", exact(head.majority)))
                    (row("Macro F1", exact(head.macro_f1)))
                    (row("Calibration error", words::calibration_error(head, held_out, exact)))
                    (row("Log loss, Brier score", words::scores(head)))
                    (row("Decides alone", alone(head)))
                    @for c in &head.coverage_at {
                        @let at = c.threshold.map_or("never".to_owned(), |t| format!("from a confidence of {}", exact(t)));
                        (row(&format!("Alone with {} right, with hindsight", percent(c.precision)), format!(
                            "{} of tickets, {at}", exact(c.coverage)
                        )))
                    }
                }
            }
        }
    }
}

fn alone(head: &HeadEvaluation) -> String {
    let share =
        |right| format!("{} of tickets, {} of those right", exact(head.coverage), exact(right));
    head.precision_alone().map_or("none of the tickets".to_owned(), share)
}

fn reliability(head: &HeadEvaluation) -> Markup {
    let (x, y) =
        (Axis::shares("how sure it was", 0.0), Axis::shares("how often it was right", 0.0));
    let mut marks = vec![Mark::Line { points: vec![(0.0, 0.0), (1.0, 1.0)], class: "guide" }];
    for bin in &head.bins {
        let (low, high) = interval_of_share(bin.accuracy, bin.tickets - bin.copies, TWO_SIDED_95);
        marks.push(Mark::Whisker { x: bin.confidence, low, high });
        let share = bin.tickets as f64 / head.tickets.max(1) as f64;
        marks.push(Mark::Dot {
            at: (bin.confidence, bin.accuracy),
            radius: (0.7 + 3.0 * share.sqrt()).min(3.5),
            class: "",
            tip: format!(
                "{}: {} sure, {} right",
                counted(bin.tickets, "ticket", "tickets"),
                exact(bin.confidence),
                exact(bin.accuracy)
            ),
        });
    }
    html! {
        figure {
            h3 { "Can its confidence be believed?" }
            (chart("Confidence against accuracy", &x, &y, &marks))
            figcaption {
                (words::calibration(head, None)) " On the dashed line, \"80 % sure\" is right 80 % of the time; below it, "
                "the model is too sure. A larger dot is more tickets, the bars are 95 % intervals."
            }
        }
    }
}

fn coverage(head: &HeadEvaluation) -> Markup {
    let lowest = head.curve.iter().map(|p| p.precision).fold(0.9, f64::min);
    let floor = ((lowest * 10.0).floor() / 10.0).clamp(0.0, 0.9);
    let (x, y) =
        (Axis::shares("tickets that it decides alone", 0.0), Axis::shares("of those right", floor));
    let points = head.curve.iter().map(|p| (p.coverage, p.precision)).collect();
    let mut marks = vec![
        Mark::Line { points: vec![(0.0, WANTED), (1.0, WANTED)], class: "guide" },
        Mark::Line { points, class: "main" },
    ];
    if head.coverage > 0.0 {
        marks.push(Mark::Dot {
            at: (head.coverage, head.precision),
            radius: 1.3,
            class: "mark",
            tip: format!(
                "its own thresholds: {} of tickets, {} right",
                exact(head.coverage),
                exact(head.precision)
            ),
        });
    }
    html! {
        figure {
            h3 { "How much can it decide alone?" }
            (chart("Coverage against precision", &x, &y, &marks))
            figcaption {
                "The surer it has to be, the fewer tickets it decides (further left) and the more often it is right. "
                "The dashed line is " (percent(WANTED)) ". "
                @if head.coverage > 0.0 { "The green dot: the thresholds that are stored in the model. " }
                "The line was drawn on these very tickets; expect a little less on new ones."
            }
        }
    }
}

fn languages(head: &HeadEvaluation) -> Markup {
    html! {
        h3 { "By language" }
        div.wide {
            table {
                thead {
                    tr {
                        th.text { "Language" } th { "Tickets" } th { "Right" } th { "Calibration error" }
                        th { "Alone with " (percent(WANTED)) " right, with hindsight" }
                    }
                }
                tbody {
                    @for l in &head.languages {
                        tr {
                            th.text { (language(l.language)) }
                            td { (count(l.tickets)) } td { (exact(l.accuracy)) } td { (words::calibration_error_of(l)) }
                            td { (exact(l.coverage_at_95)) }
                        }
                    }
                }
            }
        }
    }
}

fn language(language: Language) -> &'static str {
    match language {
        Language::En => "English, or in Latin letters",
        Language::Ko => "Korean",
        Language::Und => "Other, or none",
    }
}

fn learning(report: &Report) -> Markup {
    if report.no_signal {
        return html! { h2 { "Is more data worth it?" } p { (words::NO_SIGNAL) "." } };
    }
    let points = &report.learning;
    let Some(says) = words::learning(points) else { return html! {} };
    let most = points.iter().map(|p| p.tickets).max().unwrap_or(1) as f64;
    let ticks = [0.0, 0.25, 0.5, 0.75, 1.0].map(|s| (most * s, count((most * s).round() as u64)));
    let x = Axis { name: "tickets to learn from", from: 0.0, to: most, ticks: ticks.to_vec() };
    let worst = points.iter().map(|p| p.accuracy.min(p.macro_f1)).fold(0.9, f64::min);
    let y =
        Axis::shares("on tickets it had not seen", ((worst * 10.0).floor() / 10.0).clamp(0.0, 0.9));
    let line = |class, value: fn(&LearningPoint) -> f64| Mark::Line {
        points: points.iter().map(|p| (p.tickets as f64, value(p))).collect(),
        class,
    };
    let mut marks = vec![line("main", |p| p.accuracy), line("other", |p| p.macro_f1)];
    for p in points {
        let x = p.tickets as f64;
        for (y, class, name) in
            [(p.accuracy, "main", "accuracy"), (p.macro_f1, "other", "macro F1")]
        {
            let tip = format!("{} tickets: {name} {}", count(p.tickets), exact(y));
            marks.push(Mark::Dot { at: (x, y), radius: 0.8, class, tip });
        }
    }
    html! {
        h2 { "Is more data worth it?" }
        p { (says) }
        figure.alone {
            (chart("Accuracy and macro F1 by tickets", &x, &y, &marks))
            figcaption { "Blue: share of right answers. Yellow: macro F1, where small labels count as much as large ones." }
        }
    }
}

fn top_words(report: &Report) -> Markup {
    if report.top_words.is_empty() {
        return html! {};
    }
    html! {
        h2 { "What it goes by" }
        p {
            "The words that did most for each label over all its tickets. A name or a number among them is a warning: "
            "it may be gone tomorrow."
        }
        div.wide {
            table {
                tbody {
                    @for label in report.top_words.iter().take(classes::ROWS) {
                        tr {
                            th.text { (label.label) }
                            td.text.words {
                                @for (word, weight) in &label.words {
                                    span title={ "weight " (format!("{weight:.2}")) } { (word) } " "
                                }
                            }
                        }
                    }
                }
            }
        }
        (classes::more(classes::ROWS, report.top_words.len()))
    }
}

fn mistakes(report: &Report) -> Markup {
    if report.mistakes.is_empty() {
        return html! {};
    }
    html! {
        h2 { "Sure and wrong" }
        p {
            "The tickets that it was surest about and got wrong. "
            @if !report.no_signal {
                "Often the label is what is wrong: read them before blaming the model. "
            }
            "Addresses, numbers and secrets are masked, people's names are not: "
            "treat these texts as tickets."
        }
        @for m in &report.mistakes {
            div.mistake {
                p { b { (m.truth) } " taken for " b { (m.answer) } ", " (percent(m.confidence)) " sure "
                    span.soft { "(" (m.id) ")" } }
                p.excerpt { (m.excerpt) }
            }
        }
    }
}

/// Which labels are probably wrong, without the tickets' texts: those are in the file beside.
fn suspects(suspects: &[Suspect]) -> Markup {
    if suspects.is_empty() {
        return html! {};
    }
    let mut kinds: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for s in suspects {
        *kinds.entry((&s.given, &s.suggested)).or_default() += 1;
    }
    let mut kinds: Vec<_> = kinds.into_iter().collect();
    kinds.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    html! {
        h2 { "Labels that are probably wrong" }
        p {
            (counted(suspects.len() as u64, "ticket", "tickets")) ": the model, which had not seen them, is as sure of "
            "another label as it usually is of that label's own. They are in " code { (SUSPECTS) }
            " beside this page, the surest first. A label that is mended is worth more than a new ticket."
        }
        div.wide {
            table {
                thead { tr { th.text { "Label given" } th.text { "the model says" } th { "Tickets" } } }
                tbody {
                    @for ((given, suggested), n) in kinds.into_iter().take(KINDS) {
                        tr { td.text { (given) } td.text { (suggested) } td { (count(n)) } }
                    }
                }
            }
        }
    }
}

fn notes(report: &Report) -> Markup {
    if report.notes.is_empty() {
        return html! {};
    }
    html! {
        h2 { "About the data" }
        ul { @for note in &report.notes { li { (note) } } }
    }
}
