//! Tables of a head's labels: how good each is, and which is taken for which.

use maud::{Markup, html};

use super::words::{self, USES};
use crate::page::{chart, count, exact, percent};
use crate::train::evaluate::{HeadEvaluation, LabelScores, Use};

/// Labels in the confusion matrix; the others are folded into one.
const MATRIX: usize = 20;
/// Labels in a table.
pub(super) const ROWS: usize = 200;

/// Says how many are not listed and where they are, if there are more than are listed.
pub(super) fn more(listed: usize, all: usize) -> Markup {
    html! {
        @if all > listed {
            p.soft {
                "And " (count((all - listed) as u64)) " more: what " code { "--json" } " prints has all, and so has "
                code { "report.json" } " where a training wrote this page."
            }
        }
    }
}

/// The labels that have tickets, the one with most tickets first.
pub(super) fn table(head: &HeadEvaluation) -> Markup {
    let mut labels: Vec<&LabelScores> = head.labels.iter().filter(|l| l.support > 0).collect();
    labels.sort_by_key(|l| std::cmp::Reverse(l.support));
    let all = labels.len();
    html! {
        p { (summary(&labels)) }
        div.wide {
            table {
                thead {
                    tr {
                        th.text { "Label" } th { "Tickets" } th.text { "To use" }
                        th colspan="2" { "Precision" } th colspan="2" { "Recall" } th { "F1" }
                        th { "Alone from" } th { "Decided alone" } th { "of those right" }
                    }
                }
                tbody {
                    @for l in labels.into_iter().take(ROWS) { (row(l)) }
                }
            }
        }
        (more(ROWS, all))
        p.soft {
            "Precision: how often the label is right where the model says it. Recall: how many of the label's "
            "tickets it finds. F1 is the mean of both that punishes the lower. The lines span what the true value "
            "may be (95 % interval); few tickets make them long. \"Alone from\" is how sure the model must be of the "
            "label to decide without a person; below it, and where it says never, a person looks. "
            @for use_for in USES {
                @let (name, _, meaning) = words::use_for(use_for);
                b { (name) } ": " (meaning) ". "
            }
        }
    }
}

fn row(l: &LabelScores) -> Markup {
    let (name, class, meaning) = words::use_for(l.use_for);
    let span =
        |(low, high): (f64, f64)| format!("95 % interval: {} to {}", exact(low), exact(high));
    html! {
        tr {
            th.text { (l.label) }
            td { (count(l.support)) }
            td.text { span class={ "badge " (class) } title=(meaning) { (name) } }
            @if l.answered > 0 {
                td { (exact(l.precision)) }
                td title=(span(l.precision_interval)) { (chart::range(l.precision, l.precision_interval)) }
            } @else {
                td { "-" } td.text.soft { "never said" }
            }
            td { (exact(l.recall)) }
            td title=(span(l.recall_interval)) { (chart::range(l.recall, l.recall_interval)) }
            td { (exact(l.f1)) }
            td { (l.threshold.map_or("-".to_owned(), |t| if t > 1.0 { "never".to_owned() } else { exact(t) })) }
            td.whole { (count(l.decided)) " of " (count(l.answered)) }
            td { @if l.decided > 0 { (exact(l.decided_right as f64 / l.decided as f64)) } @else { "-" } }
        }
    }
}

/// How many labels are good for what, and how many of the tickets those are.
fn summary(labels: &[&LabelScores]) -> String {
    let all: u64 = labels.iter().map(|l| l.support).sum();
    let part = |use_for: Use| {
        let of: Vec<_> = labels.iter().filter(|l| l.use_for == use_for).collect();
        let tickets: u64 = of.iter().map(|l| l.support).sum();
        let share = tickets as f64 / all.max(1) as f64;
        (!of.is_empty()).then(|| {
            format!("{} {} ({} of tickets)", of.len(), words::use_for(use_for).0, percent(share))
        })
    };
    let parts: Vec<String> = USES.into_iter().filter_map(part).collect();
    format!("{} labels: {}.", labels.len(), parts.join(", "))
}

/// A confusion matrix of a size that can be read.
#[derive(Debug, PartialEq, Eq)]
struct Folded<'a> {
    labels: Vec<&'a str>,
    /// `[truth][answer]`; when labels were folded, those are last.
    cells: Vec<Vec<u64>>,
    folded: usize,
}

/// The `keep` labels with most tickets in their old order, the others as one.
fn fold(head: &HeadEvaluation, keep: usize) -> Folded<'_> {
    let met = |i: &usize| head.labels[*i].support + head.labels[*i].answered > 0;
    let mut order: Vec<usize> = (0..head.labels.len()).filter(met).collect();
    let all = order.len();
    order.sort_by_key(|i| std::cmp::Reverse(head.labels[*i].support));
    order.truncate(keep);
    order.sort_unstable();
    let folded = all - order.len();
    let size = order.len() + usize::from(folded > 0);
    let place = |i: usize| order.binary_search(&i).unwrap_or(order.len());
    let mut cells = vec![vec![0; size]; size];
    for (truth, answer, n) in &head.confusion {
        cells[place(*truth)][place(*answer)] += n;
    }
    let labels = order.iter().map(|i| head.labels[*i].label.as_str());
    Folded { labels: labels.chain((folded > 0).then_some("all others")).collect(), cells, folded }
}

/// The confusion matrix, and the most frequent mistakes in words.
pub(super) fn confusion(head: &HeadEvaluation) -> Markup {
    let Folded { labels, cells, folded } = fold(head, MATRIX);
    let shade = |n: u64, row: &[u64]| {
        let all = row.iter().sum::<u64>().max(1);
        format!("--s:{:.3}", n as f64 / all as f64)
    };
    html! {
        p {
            "A row is the truth, a column what the model said (by number). Blue is right, red is wrong; "
            "the stronger the colour, the greater the share of the row."
            @if folded > 0 {
                " The " (MATRIX) " labels with most tickets; the other " (folded) " are one, whose blue field holds "
                "mistakes among them too."
            }
        }
        div.wide {
            table.matrix {
                thead {
                    tr { th {} @for i in 1..=labels.len() { th { (i) } } }
                }
                tbody {
                    @for (i, (label, row)) in labels.iter().zip(&cells).enumerate() {
                        tr {
                            th { (i + 1) " " (label) }
                            @for (j, n) in row.iter().enumerate() {
                                @if *n == 0 {
                                    td {}
                                } @else {
                                    td class=(if i == j { "hit" } else { "miss" }) style=(shade(*n, row))
                                        title={ (label) " → " (labels[j]) } { (n) }
                                }
                            }
                        }
                    }
                }
            }
        }
        @if !head.confusions.is_empty() {
            h3 { "Most frequent mistakes" }
            div.wide {
                table {
                    thead {
                        tr { th.text { "True label" } th.text { "taken for" } th { "Tickets" } th { "of the label" } }
                    }
                    tbody {
                        @for c in &head.confusions {
                            tr {
                                td.text { (c.truth) } td.text { (c.answer) }
                                td { (count(c.tickets)) } td { (exact(c.share)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::report::tests::report;

    #[test]
    fn folding_keeps_every_ticket() {
        let report = report("x");
        let head = &report.evaluation.heads[0];
        assert_eq!(fold(head, 20).cells, [[1, 1, 0], [0, 1, 0], [0, 0, 1]]);
        let small = fold(head, 1);
        // Both of A/x's tickets, one taken for another; the two others are among themselves.
        assert_eq!(small.labels, [head.labels[0].label.as_str(), "all others"]);
        assert_eq!((small.cells, small.folded), (vec![vec![1, 1], vec![0, 2]], 2));
    }

    #[test]
    fn of_thousands_of_labels_the_largest_are_listed_and_the_rest_is_counted() {
        let mut head = report("x").evaluation.heads.remove(0);
        let label = |i: usize| LabelScores {
            label: format!("label {i}"),
            support: i as u64 + 1,
            ..head.labels[0].clone()
        };
        head.labels = (0..2_500).map(label).collect();
        let table = table(&head).into_string();
        assert_eq!(table.matches("class=\"badge").count(), ROWS);
        assert!(table.contains(">label 2499<") && !table.contains(">label 2299<"));
        assert!(table.contains("And 2,300 more"), "{}", &table[table.len() - 900..]);
    }
}
