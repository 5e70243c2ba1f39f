//! The numbers of one head from its predictions.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::{
    Bin, Confusion, Coverage, CurvePoint, HeadEvaluation, HeadPredictions, LabelScores,
    LanguageScores, PRECISIONS, Predicted, Use, WANTED,
};
use crate::train::calibrate::threshold;
use crate::train::wilson::{ONE_SIDED_95, TWO_SIDED_95, interval_of_share, wilson_interval};
use crate::triage::text::language::Language;

/// Bins of the reliability diagram and of the calibration error, of equal width.
const BINS: usize = 15;
/// Points of the curve of coverage and precision.
const POINTS: usize = 50;
/// Confusions listed.
const CONFUSIONS: usize = 20;
/// A probability of the truth below this counts as this in the log loss.
const LEAST: f64 = 1e-15;
/// What [`Use`] asks for.
const TRUSTED: f64 = 0.90;
const ENOUGH_ANSWERS: f64 = 0.1;
const FAIR_F1: f64 = 0.5;
const FEW: u64 = 20;

/// Measures one head; `first_level` is only noted.
pub(super) fn measure(head: &HeadPredictions, first_level: bool) -> HeadEvaluation {
    let HeadPredictions { target, labels, thresholds, tickets, unknown } = head;
    let n = tickets.len();
    // Labels by labels would be millions of zeros where there are thousands of them.
    let mut confusion: BTreeMap<(usize, usize), u64> = BTreeMap::new();
    let mut unknown_labels: BTreeMap<String, u64> = BTreeMap::new();
    for ticket in tickets {
        match ticket.truth.checked_sub(labels.len()) {
            None => *confusion.entry((ticket.truth, ticket.best)).or_default() += 1,
            Some(i) => *unknown_labels.entry(unknown[i].to_string()).or_default() += 1,
        }
    }
    let scores = label_scores(labels, thresholds, tickets);
    let right = tickets.iter().filter(|a| a.is_right()).count();
    let decided: u64 = scores.iter().map(|s| s.decided).sum();
    let decided_right: u64 = scores.iter().map(|s| s.decided_right).sum();
    let known = || tickets.iter().filter(|t| t.truth < labels.len());
    let mean = |value: fn(&Predicted) -> f64| {
        let n = known().count();
        (n > 0).then(|| known().map(value).sum::<f64>() / n as f64)
    };
    let with_support: Vec<&LabelScores> = scores.iter().filter(|s| s.support > 0).collect();
    let (bins, calibration_error) = reliability(tickets.iter());
    let free = pairs(tickets.iter().filter(|t| !t.held_back));
    let coverage_at = PRECISIONS.map(|precision| {
        let found = threshold(&free, precision, 1);
        let covered = found.map_or(0, |(_, covered)| covered);
        Coverage { precision, threshold: found.map(|(t, _)| t), coverage: share(covered, n) }
    });
    HeadEvaluation {
        target: *target,
        first_level,
        tickets: n as u64,
        copies: tickets.iter().filter(|t| t.copy).count() as u64,
        unknown_labels,
        accuracy: share(right, n),
        majority: share(scores.iter().map(|s| s.support).max().unwrap_or(0), n as u64),
        // The sum of nothing is -0.
        macro_f1: with_support.iter().map(|s| s.f1).sum::<f64>().abs()
            / (with_support.len() + unknown.len()).max(1) as f64,
        calibration_error,
        log_loss: mean(|a| 0.0 - a.probabilities[a.truth].max(LEAST).ln()),
        brier: mean(|a| {
            let truth = |i: usize| if i == a.truth { 1.0 } else { 0.0 };
            a.probabilities.iter().enumerate().map(|(i, p)| (p - truth(i)).powi(2)).sum()
        }),
        coverage_at: coverage_at.to_vec(),
        coverage: share(decided, n as u64),
        precision: share(decided_right, decided),
        bins,
        curve: curve(&free, n),
        confusions: confusions(&scores, &confusion),
        languages: languages(tickets),
        labels: scores,
        confusion: confusion.into_iter().map(|((truth, answer), n)| (truth, answer, n)).collect(),
    }
}

/// Confidences, and whether the answers were right.
fn pairs<'a>(tickets: impl Iterator<Item = &'a Predicted>) -> Vec<(f64, bool)> {
    tickets.map(|t| (t.confidence(), t.is_right())).collect()
}

/// How often a label is there, is said, and is decided alone.
#[derive(Clone, Copy, Default)]
struct Tally {
    support: u64,
    answered: u64,
    right: u64,
    decided: u64,
    decided_right: u64,
}

fn tallies<'a>(labels: usize, tickets: impl Iterator<Item = &'a Predicted>) -> Vec<Tally> {
    let mut tallies = vec![Tally::default(); labels];
    for ticket in tickets {
        let right = u64::from(ticket.is_right());
        if let Some(true_one) = tallies.get_mut(ticket.truth) {
            true_one.support += 1;
        }
        let said = &mut tallies[ticket.best];
        said.answered += 1;
        said.right += right;
        if ticket.decided {
            said.decided += 1;
            said.decided_right += right;
        }
    }
    tallies
}

fn label_scores(
    labels: &[Arc<str>],
    thresholds: &[f64],
    tickets: &[Predicted],
) -> Vec<LabelScores> {
    let all = tallies(labels.len(), tickets.iter());
    let distinct = tallies(labels.len(), tickets.iter().filter(|t| !t.copy));
    let of = |(i, label): (usize, &Arc<str>)| {
        let (own, once) = (all[i], distinct[i]);
        let precision = share(own.right, own.answered);
        let recall = share(own.right, own.support);
        LabelScores {
            label: label.to_string(),
            support: own.support,
            answered: own.answered,
            precision,
            precision_interval: interval_of_share(precision, once.answered, TWO_SIDED_95),
            recall,
            recall_interval: interval_of_share(recall, once.support, TWO_SIDED_95),
            f1: share(2 * own.right, own.support + own.answered),
            threshold: thresholds.get(i).copied(),
            decided: own.decided,
            decided_right: own.decided_right,
            decided_copies: own.decided - once.decided,
            use_for: use_for(own, once),
        }
    };
    labels.iter().enumerate().map(of).collect()
}

/// `once` leaves copies out: how sure one can be is up to those alone.
fn use_for(all: Tally, once: Tally) -> Use {
    let bounds = |right, n| wilson_interval(right, n, ONE_SIDED_95);
    // What the model decides alone must not be called a proposal, and the other way round.
    let alone = all.decided > 0 && all.decided as f64 >= ENOUGH_ANSWERS * all.answered as f64;
    let (lower, upper) = bounds(once.decided_right, once.decided);
    if alone && bounds(once.right, once.answered).0 >= TRUSTED {
        Use::Always
    } else if alone && lower >= TRUSTED {
        Use::WhenSure
    } else if alone && (upper >= TRUSTED || once.decided < FEW) {
        Use::WhenSureTogether
    } else if alone {
        Use::WhenSureBelow
    } else if once.support < FEW {
        Use::TooFew
    } else if share(2 * all.right, all.support + all.answered) >= FAIR_F1 {
        Use::Proposal
    } else {
        Use::NotYet
    }
}

/// The bins that have tickets, and the mean distance between what they claim and what was right
/// (expected calibration error; Guo et al. 2017).
fn reliability<'a>(tickets: impl Iterator<Item = &'a Predicted>) -> (Vec<Bin>, f64) {
    let mut by_bin: Vec<Vec<&Predicted>> = vec![Vec::new(); BINS];
    for ticket in tickets {
        let bin = (ticket.confidence() * BINS as f64) as usize;
        by_bin[bin.min(BINS - 1)].push(ticket);
    }
    let edge = |i: usize| i as f64 / BINS as f64;
    let of = |(i, bin): (usize, &Vec<&Predicted>)| {
        let n = bin.len();
        (n > 0).then(|| Bin {
            from: edge(i),
            to: edge(i + 1),
            tickets: n as u64,
            copies: bin.iter().filter(|t| t.copy).count() as u64,
            confidence: bin.iter().map(|t| t.confidence()).sum::<f64>() / n as f64,
            accuracy: share(bin.iter().filter(|t| t.is_right()).count(), n),
        })
    };
    let bins: Vec<Bin> = by_bin.iter().enumerate().filter_map(of).collect();
    let all: u64 = bins.iter().map(|b| b.tickets).sum();
    let apart = bins.iter().map(|b| b.tickets as f64 * (b.confidence - b.accuracy).abs());
    // The sum of nothing is -0.
    let error = apart.sum::<f64>().abs() / all.max(1) as f64;
    (bins, error)
}

/// `pairs` are those of `all` tickets that may be decided alone.
fn curve(pairs: &[(f64, bool)], all: usize) -> Vec<CurvePoint> {
    let mut sorted = pairs.to_vec();
    sorted.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    let n = sorted.len();
    let mut points = Vec::new();
    let (mut right, mut step) = (0usize, 1);
    for (i, (confidence, is_right)) in sorted.iter().enumerate() {
        right += usize::from(*is_right);
        let covered = i + 1;
        // Tickets of equal confidence stand or fall together.
        let last_of_equals = sorted.get(covered).is_none_or(|(next, _)| next < confidence);
        if last_of_equals && covered * POINTS >= step * n {
            step = covered * POINTS / n + 1;
            points.push(CurvePoint {
                threshold: *confidence,
                coverage: share(covered, all),
                precision: share(right, covered),
            });
        }
    }
    points
}

fn confusions(labels: &[LabelScores], confusion: &BTreeMap<(usize, usize), u64>) -> Vec<Confusion> {
    let mut wrong: Vec<_> =
        confusion.iter().filter(|((truth, answer), _)| truth != answer).collect();
    // The sort keeps the labels' order among equals.
    wrong.sort_by_key(|(_, tickets)| Reverse(**tickets));
    let shown = |((truth, answer), tickets): (&(usize, usize), &u64)| Confusion {
        truth: labels[*truth].label.clone(),
        answer: labels[*answer].label.clone(),
        tickets: *tickets,
        share: share(*tickets, labels[*truth].support),
    };
    wrong.into_iter().take(CONFUSIONS).map(shown).collect()
}

fn languages(tickets: &[Predicted]) -> Vec<LanguageScores> {
    let of = |language: Language| {
        let own = || tickets.iter().filter(|t| t.language == language);
        let free = pairs(own().filter(|t| !t.held_back));
        let n = own().count();
        let covered = threshold(&free, WANTED, 1).map_or(0, |(_, covered)| covered);
        (n > 0).then(|| LanguageScores {
            language,
            tickets: n as u64,
            accuracy: share(own().filter(|t| t.is_right()).count(), n),
            calibration_error: reliability(own()).1,
            coverage_at_95: share(covered, n),
        })
    };
    Language::ALL.into_iter().filter_map(of).collect()
}

/// `part / all`, 0 of nothing.
fn share<T: TryInto<u64>>(part: T, all: T) -> f64 {
    let (part, all) = (part.try_into().unwrap_or(0), all.try_into().unwrap_or(0));
    if all == 0 { 0.0 } else { part as f64 / all as f64 }
}

#[cfg(test)]
mod tests;
