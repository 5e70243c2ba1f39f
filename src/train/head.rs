//! One head: fitted, calibrated, with its threshold, and asked whether it is worth having.

use std::collections::BTreeMap;
use std::sync::Arc;

use linfa_bayes::NaiveBayes;
use ndarray::Array2;

use super::TrainError;
use super::calibrate::{NEVER, Scored, brier, calibrate, chance_of_wins, threshold};
use super::data::Example;
use super::fit::{Counts, Fitted, Sparse};
use super::recipe::Recipe;
use crate::triage::model::{Calibration, Target, log_softmax};

/// A head must beat the most frequent label by less chance than this.
const SIGNIFICANCE: f64 = 0.01;
/// Held-out tickets on which scores are compared with linfa's.
const COMPARED: usize = 100;

/// Some of the examples, with their pieces.
pub struct Tickets<'a> {
    pub examples: &'a [Example],
    /// Which of them.
    pub of: &'a [usize],
    /// The pieces of each.
    pub pieces: Vec<Sparse>,
}

impl Tickets<'_> {
    /// Pieces and label of every ticket that has one.
    fn labelled(&self, target: Target) -> impl Iterator<Item = (&Sparse, &Arc<str>)> {
        let label = move |i: &usize| self.examples[*i].labels[target as usize].as_ref();
        self.pieces.iter().zip(self.of).filter_map(move |(p, i)| Some((p, label(i)?)))
    }

    fn label_counts(&self, target: Target) -> BTreeMap<&Arc<str>, u64> {
        let mut counts = BTreeMap::new();
        for (_, label) in self.labelled(target) {
            *counts.entry(label).or_default() += 1;
        }
        counts
    }

    /// Labels with fewer tickets than are needed, with their tickets.
    pub fn small_labels(&self, target: Target, min: u64) -> BTreeMap<String, u64> {
        let counts = self.label_counts(target).into_iter().filter(|(_, n)| *n < min);
        counts.map(|(label, n)| (label.to_string(), n)).collect()
    }
}

/// A head and where it comes from.
pub struct Trained {
    pub target: Target,
    pub labels: Vec<Arc<str>>,
    /// Tickets of each label that it was fitted on.
    pub tickets: Vec<u64>,
    pub fitted: Fitted,
    pub alpha: f64,
    pub calibration: Calibration,
    pub threshold: f64,
    /// The probability that its lead over the most frequent label is chance, if that is too high.
    pub no_signal: Option<f64>,
}

/// Trains one head. The inner error says in words why the model goes without it; only the
/// category is kept whatever it is worth.
///
/// # Errors
/// When there is no category to learn, or scores differ from linfa's.
pub fn train(
    target: Target,
    fit_on: &Tickets<'_>,
    held_out: &Tickets<'_>,
    pieces: usize,
    recipe: &Recipe,
) -> Result<Result<Trained, String>, TrainError> {
    let min = recipe.fit.min_tickets.max(1);
    let counts = fit_on.label_counts(target);
    let labels: Vec<Arc<str>> =
        counts.into_iter().filter(|(_, n)| *n >= min).map(|(label, _)| Arc::clone(label)).collect();
    if labels.len() < 2 {
        if target == Target::Category {
            return Err(TrainError::TooFewLabels { found: labels.len(), min });
        }
        let why = if labels.is_empty() {
            "the data has no labels"
        } else {
            "the data has one label only"
        };
        return Ok(Err(why.to_owned()));
    }
    let mut sums = Counts::new(labels.clone(), pieces);
    for (ticket, label) in fit_on.labelled(target) {
        if let Ok(i) = labels.binary_search(label) {
            sums.add(i, ticket);
        }
    }
    let known: Vec<(&Sparse, usize)> = held_out
        .labelled(target)
        .filter_map(|(ticket, label)| Some((ticket, labels.binary_search(label).ok()?)))
        .collect();
    if known.is_empty() {
        return match target {
            Target::Category => Err(TrainError::TooFewTickets { what: "calibrate" }),
            _ => Ok(Err("no held-out ticket has such a label".to_owned())),
        };
    }

    let (alpha, fitted, scored, calibration) = best_alpha(&sums, &known, &recipe.fit.alpha);
    compare_with_linfa(&fitted, &known)?;
    let answers: Vec<(f64, bool)> = scored.iter().map(|t| answer(t, calibration)).collect();
    let majority = majority(&sums.tickets);
    let (mut wins, mut losses) = (0, 0);
    for (ticket, (_, right)) in scored.iter().zip(&answers) {
        match (*right, ticket.truth == majority) {
            (true, false) => wins += 1,
            (false, true) => losses += 1,
            _ => {}
        }
    }
    let chance = chance_of_wins(wins, losses);
    let no_signal = (chance >= SIGNIFICANCE).then_some(chance);
    if let (Some(p), true) = (no_signal, target != Target::Category) {
        return Ok(Err(format!(
            "no usable signal: on {} held-out tickets the text does not tell it better than always \
             saying \"{}\" (p = {p:.3})",
            known.len(),
            labels[majority]
        )));
    }
    let settings = &recipe.threshold;
    let min = usize::try_from(settings.min_tickets).unwrap_or(usize::MAX);
    let threshold = threshold(&answers, settings.precision, min).map_or(NEVER, |(t, _)| t);
    let tickets = sums.tickets;
    Ok(Ok(Trained { target, labels, tickets, fitted, alpha, calibration, threshold, no_signal }))
}

/// The smoothing whose calibrated Brier score is least; of equals the first.
fn best_alpha(
    sums: &Counts,
    known: &[(&Sparse, usize)],
    alphas: &[f64],
) -> (f64, Fitted, Vec<Scored>, Calibration) {
    let mut best = None;
    for alpha in alphas {
        let fitted = sums.fit(*alpha);
        let scored: Vec<Scored> = known
            .iter()
            .map(|(ticket, truth)| Scored {
                scores: fitted.joint_log_likelihood(ticket),
                pieces: ticket.iter().map(|(_, n)| n).sum(),
                truth: *truth,
            })
            .collect();
        let calibration = calibrate(&scored);
        let loss = brier(&scored, calibration);
        if best.as_ref().is_none_or(|(least, _)| loss < *least) {
            best = Some((loss, (*alpha, fitted, scored, calibration)));
        }
    }
    // A recipe without any smoothing is refused before.
    best.map_or_else(|| (1.0, sums.fit(1.0), Vec::new(), Calibration::NONE), |(_, best)| best)
}

/// The confidence of the best label, and whether it is right.
fn answer(ticket: &Scored, calibration: Calibration) -> (f64, bool) {
    let mut scores = ticket.scores.clone();
    log_softmax(&mut scores, calibration.scale(ticket.pieces));
    let mut best = 0;
    for (i, score) in scores.iter().enumerate() {
        if *score > scores[best] {
            best = i;
        }
    }
    (scores[best].exp(), best == ticket.truth)
}

/// The place of the most frequent label; of equals the first.
fn majority(tickets: &[u64]) -> usize {
    let most = tickets.iter().max();
    tickets.iter().position(|n| Some(n) == most).unwrap_or(0)
}

/// The sparse scores against linfa's dense ones, on the first held-out tickets.
fn compare_with_linfa(fitted: &Fitted, known: &[(&Sparse, usize)]) -> Result<(), TrainError> {
    let tickets: Vec<&Sparse> = known.iter().take(COMPARED).map(|(ticket, _)| *ticket).collect();
    let mut features: Vec<u32> = tickets.iter().flat_map(|t| t.iter().map(|(id, _)| *id)).collect();
    features.sort_unstable();
    features.dedup();
    let fail = |e: String| TrainError::Linfa(e);
    let linfa = fitted.to_linfa(&features).map_err(|e| fail(e.to_string()))?;
    let mut rows = Array2::zeros((tickets.len(), features.len()));
    for (ticket, mut row) in tickets.iter().zip(rows.rows_mut()) {
        for (id, n) in *ticket {
            if let Ok(column) = features.binary_search(id) {
                row[column] = f64::from(*n);
            }
        }
    }
    let theirs = linfa.joint_log_likelihood(rows.view());
    for (i, ticket) in tickets.iter().enumerate() {
        for (label, ours) in fitted.joint_log_likelihood(ticket).into_iter().enumerate() {
            let theirs = theirs.get(&label).map_or(f64::NAN, |scores| scores[i]);
            // Written so that a NaN on either side fails.
            let near = (ours - theirs).abs() <= 1e-9 * ours.abs().max(1.0);
            if !near {
                return Err(fail(format!("ticket {i}, label {label}: {ours} against {theirs}")));
            }
        }
    }
    Ok(())
}
