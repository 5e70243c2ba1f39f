//! How good a model is on labelled tickets, in the numbers that a service desk asks for.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use super::calibrate::threshold;
use super::data::Example;
use crate::triage::model::{Model, Scratch, Target};

/// Bins of the calibration error, each with the same number of tickets.
const BINS: usize = 15;
/// Precisions that the coverage is reported at.
const PRECISIONS: [f64; 3] = [0.90, 0.95, 0.99];
/// A probability of the truth below this counts as this in the log loss.
const LEAST: f64 = 1e-15;

/// Everything measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evaluation {
    pub model: String,
    pub version: String,
    pub tickets: u64,
    /// Share of the words that the model does not know.
    pub unknown_words: f64,
    /// One a head; the category twice when its labels have two levels (`Network/VPN`).
    pub heads: Vec<HeadEvaluation>,
}

/// One head, or the first level of one. Shares are from 0 to 1.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HeadEvaluation {
    pub target: Target,
    /// The labels' parts before the `/` only; the probabilities of those alike are added up.
    pub first_level: bool,
    /// Tickets with a label that the model knows; all numbers are over these.
    pub tickets: u64,
    /// Labels that the model does not know, with their tickets.
    pub unknown_labels: BTreeMap<String, u64>,
    pub accuracy: f64,
    /// What always saying these tickets' most frequent label would reach.
    pub majority: f64,
    /// Mean of the labels' F1, over the labels that these tickets have.
    pub macro_f1: f64,
    /// Expected calibration error over `bins`.
    pub calibration_error: f64,
    /// Mean of `-ln p(truth)`.
    pub log_loss: f64,
    /// Mean of the squared differences between probabilities and truth, summed over labels.
    pub brier: f64,
    /// Share of tickets that may be decided alone at a precision, with the threshold chosen on
    /// these very tickets.
    pub coverage_at: Vec<Coverage>,
    /// Share of tickets at or above the model's own threshold.
    pub coverage: f64,
    /// Share of those that were right.
    pub precision: f64,
    pub labels: Vec<LabelScores>,
    pub bins: Vec<Bin>,
    /// `[truth][answer]`, in the order of `labels`.
    pub confusion: Vec<Vec<u64>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Coverage {
    pub precision: f64,
    /// None when no threshold reaches the precision.
    pub threshold: Option<f64>,
    pub coverage: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LabelScores {
    pub label: String,
    /// Tickets that have this label.
    pub support: u64,
    pub precision: f64,
    pub recall: f64,
    pub f1: f64,
}

/// Tickets of like confidence: what was claimed and what was right.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Bin {
    pub from: f64,
    pub to: f64,
    pub tickets: u64,
    pub confidence: f64,
    pub accuracy: f64,
}

/// One judged ticket.
struct Answer {
    truth: usize,
    probabilities: Vec<f64>,
    best: usize,
    /// At or above the model's threshold.
    decided: bool,
}

impl Answer {
    fn confidence(&self) -> f64 {
        self.probabilities[self.best]
    }

    fn is_right(&self) -> bool {
        self.best == self.truth
    }
}

/// Judges every ticket and measures every head that both the model and the tickets have.
pub fn evaluate(model: &Model, examples: &[Example]) -> Evaluation {
    let mut scratch = Scratch::default();
    let (mut words, mut unknown) = (0u64, 0u64);
    let mut answers: [Vec<Answer>; 4] = Default::default();
    let mut unknown_labels: [BTreeMap<String, u64>; 4] = Default::default();
    for example in examples {
        let judgement = model.judge(&mut scratch, &example.subject, &example.body);
        words += u64::from(judgement.words);
        unknown += u64::from(judgement.unknown);
        for target in Target::ALL {
            let parts = (model.head(target), judgement.head(target), example.label(target));
            let (Some(head), Some(judged), Some(label)) = parts else { continue };
            let i = target as usize;
            match head.labels.binary_search_by(|l| l.as_ref().cmp(label)) {
                Ok(truth) => answers[i].push(Answer {
                    truth,
                    probabilities: judged.probabilities.clone(),
                    best: judged.best,
                    decided: judged.confidence() >= head.thresholds[judged.best],
                }),
                Err(_) => *unknown_labels[i].entry(label.to_owned()).or_default() += 1,
            }
        }
    }
    let mut heads = Vec::new();
    for ((target, answers), unknown) in Target::ALL.into_iter().zip(&answers).zip(&unknown_labels) {
        let Some(head) = model.head(target) else { continue };
        if answers.is_empty() && unknown.is_empty() {
            continue;
        }
        let measure = |first_level, labels: &[Arc<str>], answers: &[Answer]| {
            measure(target, first_level, labels, answers, unknown.clone())
        };
        heads.push(measure(false, &head.labels, answers));
        if let Some((labels, answers)) = first_level(&head.labels, answers) {
            heads.push(measure(true, &labels, &answers));
        }
    }
    Evaluation {
        model: model.id.to_string(),
        version: model.version.clone(),
        tickets: examples.len() as u64,
        unknown_words: share(unknown, words),
        heads,
    }
}

/// Answers with labels cut before the `/`, or none where no labels would fall together.
fn first_level(labels: &[Arc<str>], answers: &[Answer]) -> Option<(Vec<Arc<str>>, Vec<Answer>)> {
    let first = |label: &str| label.split('/').next().map(str::to_owned).unwrap_or_default();
    let mut parents: Vec<String> = labels.iter().map(|l| first(l)).collect();
    let parent_of = parents.clone();
    parents.sort();
    parents.dedup();
    if parents.len() == labels.len() || parents.len() < 2 {
        return None;
    }
    let place: Vec<usize> =
        parent_of.iter().map(|p| parents.binary_search(p).unwrap_or_default()).collect();
    let merged = answers.iter().map(|answer| {
        let mut probabilities = vec![0.0; parents.len()];
        for (p, parent) in answer.probabilities.iter().zip(&place) {
            probabilities[*parent] += p;
        }
        let best = (0..parents.len())
            .max_by(|a, b| probabilities[*a].total_cmp(&probabilities[*b]).then(b.cmp(a)))
            .unwrap_or_default();
        Answer { truth: place[answer.truth], probabilities, best, decided: answer.decided }
    });
    let merged = merged.collect();
    Some((parents.into_iter().map(Arc::from).collect(), merged))
}

fn measure(
    target: Target,
    first_level: bool,
    labels: &[Arc<str>],
    answers: &[Answer],
    unknown_labels: BTreeMap<String, u64>,
) -> HeadEvaluation {
    let n = answers.len();
    let mut confusion = vec![vec![0u64; labels.len()]; labels.len()];
    for answer in answers {
        confusion[answer.truth][answer.best] += 1;
    }
    let scores = label_scores(labels, &confusion);
    let right = answers.iter().filter(|a| a.is_right()).count();
    let decided: Vec<&Answer> = answers.iter().filter(|a| a.decided).collect();
    let decided_right = decided.iter().filter(|a| a.is_right()).count();
    let mean = |value: fn(&Answer) -> f64| answers.iter().map(value).sum::<f64>() / n.max(1) as f64;
    let with_support: Vec<&LabelScores> = scores.iter().filter(|s| s.support > 0).collect();
    let pairs: Vec<(f64, bool)> = answers.iter().map(|a| (a.confidence(), a.is_right())).collect();
    let (bins, calibration_error) = reliability(&pairs);
    let coverage_at = PRECISIONS.map(|precision| {
        let found = threshold(&pairs, precision, 1);
        let covered = found.map_or(0, |(_, covered)| covered);
        Coverage { precision, threshold: found.map(|(t, _)| t), coverage: share(covered, n) }
    });
    HeadEvaluation {
        target,
        first_level,
        tickets: n as u64,
        unknown_labels,
        accuracy: share(right, n),
        majority: share(scores.iter().map(|s| s.support).max().unwrap_or(0) as usize, n),
        macro_f1: with_support.iter().map(|s| s.f1).sum::<f64>() / with_support.len().max(1) as f64,
        calibration_error,
        log_loss: mean(|a| -a.probabilities[a.truth].max(LEAST).ln()),
        brier: mean(|a| {
            let truth = |i: usize| if i == a.truth { 1.0 } else { 0.0 };
            a.probabilities.iter().enumerate().map(|(i, p)| (p - truth(i)).powi(2)).sum()
        }),
        coverage_at: coverage_at.to_vec(),
        coverage: share(decided.len(), n),
        precision: share(decided_right, decided.len()),
        labels: scores,
        bins,
        confusion,
    }
}

fn label_scores(labels: &[Arc<str>], confusion: &[Vec<u64>]) -> Vec<LabelScores> {
    let of = |(i, label): (usize, &Arc<str>)| {
        let right = confusion[i][i];
        let support: u64 = confusion[i].iter().sum();
        let answered: u64 = confusion.iter().map(|row| row[i]).sum();
        LabelScores {
            label: label.to_string(),
            support,
            precision: share(right, answered),
            recall: share(right, support),
            f1: share(2 * right, support + answered),
        }
    };
    labels.iter().enumerate().map(of).collect()
}

/// Bins of equal numbers of tickets in order of confidence, and the mean distance between what
/// they claim and what was right (expected calibration error).
fn reliability(pairs: &[(f64, bool)]) -> (Vec<Bin>, f64) {
    let mut sorted = pairs.to_vec();
    sorted.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    let n = sorted.len();
    let bins: Vec<Bin> = (0..BINS)
        .map(|i| &sorted[n * i / BINS..n * (i + 1) / BINS])
        .filter_map(|bin| {
            let ((from, _), (to, _)) = (bin.first()?, bin.last()?);
            let right = bin.iter().filter(|(_, right)| *right).count();
            Some(Bin {
                from: *from,
                to: *to,
                tickets: bin.len() as u64,
                confidence: bin.iter().map(|(c, _)| c).sum::<f64>() / bin.len() as f64,
                accuracy: share(right, bin.len()),
            })
        })
        .collect();
    let error =
        bins.iter().map(|b| b.tickets as f64 * (b.confidence - b.accuracy).abs()).sum::<f64>();
    (bins, error / n.max(1) as f64)
}

/// `part / all`, 0 of nothing.
fn share<T: TryInto<u64>>(part: T, all: T) -> f64 {
    let (part, all) = (part.try_into().unwrap_or(0), all.try_into().unwrap_or(0));
    if all == 0 { 0.0 } else { part as f64 / all as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(truth: usize, probabilities: &[f64]) -> Answer {
        let best = (0..probabilities.len())
            .max_by(|a, b| probabilities[*a].total_cmp(&probabilities[*b]))
            .unwrap();
        let decided = probabilities[best] >= 0.7;
        Answer { truth, probabilities: probabilities.to_vec(), best, decided }
    }

    #[test]
    fn numbers_by_hand() {
        let labels: Vec<Arc<str>> = ["A/x", "A/y", "B"].map(Arc::from).to_vec();
        let answers = [
            answer(0, &[0.8, 0.1, 0.1]),
            answer(0, &[0.3, 0.6, 0.1]),
            answer(1, &[0.1, 0.8, 0.1]),
            answer(2, &[0.35, 0.25, 0.4]),
        ];
        let m = measure(Target::Category, false, &labels, &answers, BTreeMap::new());
        assert_eq!((m.tickets, m.accuracy, m.majority), (4, 0.75, 0.5));
        assert_eq!(m.confusion, [[1, 1, 0], [0, 1, 0], [0, 0, 1]]);
        assert_eq!(m.labels[0].recall, 0.5);
        assert_eq!(m.labels[1].precision, 0.5);
        assert!((m.macro_f1 - (2.0 / 3.0 + 2.0 / 3.0 + 1.0) / 3.0).abs() < 1e-12);
        assert_eq!((m.coverage, m.precision), (0.5, 1.0));
        // 0.8 0.8 | 0.6 wrong | 0.4 right
        assert_eq!(m.coverage_at[0].threshold, Some(0.8));
        assert_eq!(m.coverage_at[0].coverage, 0.5);
        let expected = -(0.8f64.ln() + 0.3f64.ln() + 0.8f64.ln() + 0.4f64.ln()) / 4.0;
        assert!((m.log_loss - expected).abs() < 1e-12);
        assert!((m.calibration_error - (0.2 + 0.2 + 0.6 + 0.6) / 4.0).abs() < 1e-12);

        let (parents, merged) = first_level(&labels, &answers).unwrap();
        assert_eq!(parents.iter().map(std::convert::AsRef::as_ref).collect::<Vec<_>>(), ["A", "B"]);
        // The last ticket's A/x and A/y together beat B.
        let m = measure(Target::Category, true, &parents, &merged, BTreeMap::new());
        assert_eq!(m.confusion, [[3, 0], [1, 0]]);
        assert!(first_level(&parents, &merged).is_none());
    }

    #[test]
    fn nothing_to_measure_is_no_division_by_zero() {
        let labels: Vec<Arc<str>> = vec![Arc::from("A")];
        let m = measure(Target::Category, false, &labels, &[], BTreeMap::new());
        assert_eq!((m.accuracy, m.log_loss, m.calibration_error), (0.0, 0.0, 0.0));
    }
}
