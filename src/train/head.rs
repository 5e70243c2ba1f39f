//! One head: its kind of model chosen, calibrated and given thresholds on held-out tickets, and
//! asked whether it is worth having.

use std::collections::BTreeMap;
use std::sync::Arc;

use linfa_bayes::NaiveBayes;
use ndarray::Array2;

use super::TrainError;
use super::calibrate::{Scored, brier, by_language, chance_of_wins, temperature};
use super::data::Example;
use super::documents::Documents;
use super::fit::Sparse;
use super::method::{Fitter, Method, Scaling, Scorer, Weights};
use super::recipe::{Kind, Recipe};
use super::thresholds::{Answer, thresholds_by_class};
use crate::triage::model::{Calibrations, Target, log_softmax};

/// A head must beat the most frequent label by less chance than this.
const SIGNIFICANCE: f64 = 0.01;
/// Tickets on which scores are compared with linfa's.
const COMPARED: usize = 50;
/// Shares of naive Bayes that are tried beside the sharpened model.
const SHARES: [f64; 3] = [0.25, 0.5, 0.75];

/// The examples that may be learnt from, as features.
pub struct Corpus<'a> {
    pub examples: &'a [Example],
    /// Which of them, in the order of `documents`.
    pub of: &'a [usize],
    pub documents: Documents,
}

impl Corpus<'_> {
    fn label(&self, place: usize, target: Target) -> Option<&Arc<str>> {
        self.examples[self.of[place]].labels[target as usize].as_ref()
    }

    fn label_counts(&self, target: Target) -> BTreeMap<&Arc<str>, u64> {
        let mut counts = BTreeMap::new();
        for label in (0..self.of.len()).filter_map(|i| self.label(i, target)) {
            *counts.entry(label).or_default() += 1;
        }
        counts
    }

    /// Labels with fewer tickets than are needed, with their tickets.
    pub fn small_labels(&self, target: Target, min: u64) -> BTreeMap<String, u64> {
        let counts = self.label_counts(target).into_iter().filter(|(_, n)| *n < min);
        counts.map(|(label, n)| (label.to_string(), n)).collect()
    }

    /// Places with the labels' own places.
    fn labelled(
        &self,
        target: Target,
        labels: &[Arc<str>],
        places: impl Iterator<Item = usize>,
    ) -> Vec<(usize, usize)> {
        let label = |i| labels.binary_search(self.label(i, target)?).ok();
        places.filter_map(|i| Some((i, label(i)?))).collect()
    }
}

/// What was chosen for a head, and how it did on held-out tickets.
pub struct Choice {
    pub target: Target,
    pub labels: Vec<Arc<str>>,
    pub method: Method,
    pub calibration: Calibrations,
    pub thresholds: Vec<f64>,
    /// The probability that its lead over the most frequent label is chance, if that is too high.
    pub no_signal: Option<f64>,
    /// What the head said of tickets that it had not seen.
    pub held_out: Vec<HeldOut>,
}

/// A held-out ticket's place among the examples, with calibrated probabilities by label.
pub struct HeldOut {
    pub example: usize,
    pub truth: usize,
    pub best: usize,
    pub probabilities: Vec<f64>,
}

/// A fitted head.
pub struct Trained {
    pub choice: Choice,
    /// Tickets of each label that it was fitted on.
    pub tickets: Vec<u64>,
    pub fitted: Weights,
}

/// Chooses for one head. Each round is a list of places that are held out while the rest is
/// fitted on. The inner error says in words why the model goes without the head; only the
/// category is kept whatever it is worth.
///
/// # Errors
/// When there is no category to learn, or scores differ from linfa's.
pub fn choose(
    target: Target,
    corpus: &Corpus<'_>,
    rounds: &[Vec<usize>],
    recipe: &Recipe,
) -> Result<Result<Choice, String>, TrainError> {
    let min = recipe.fit.min_tickets.max(1);
    let counts = corpus.label_counts(target);
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
    let held_out: usize =
        rounds.iter().map(|r| corpus.labelled(target, &labels, r.iter().copied()).len()).sum();
    if held_out == 0 {
        return match target {
            Target::Category => Err(TrainError::TooFewTickets { what: "calibrate" }),
            _ => Ok(Err("no held-out ticket has such a label".to_owned())),
        };
    }
    let (method, held_out) = best(target, &labels, corpus, rounds, recipe)?;
    let scored: Vec<Scored> = held_out.iter().map(|(_, s)| s.clone()).collect();
    let calibration = by_language(&scored);
    let answers: Vec<Answer> = scored.iter().map(|t| answer(t, &calibration)).collect();
    let all = corpus.labelled(target, &labels, 0..corpus.of.len());
    let majority = majority(labels.len(), &all);
    let (mut wins, mut losses) = (0, 0);
    for (ticket, answer) in scored.iter().zip(&answers) {
        match (answer.right, ticket.truth == majority) {
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
            scored.len(),
            labels[majority]
        )));
    }
    let settings = &recipe.threshold;
    let thresholds =
        thresholds_by_class(&answers, labels.len(), settings.precision, settings.min_tickets);
    let held_out = held_out.into_iter().map(|(place, ticket)| {
        let mut probabilities = ticket.scores.clone();
        let scale = calibration.of(ticket.language).scale(ticket.words);
        log_softmax(&mut probabilities, scale);
        probabilities.iter_mut().for_each(|p| *p = p.exp());
        let best = answer(&ticket, &calibration).label;
        HeldOut { example: corpus.of[place], truth: ticket.truth, best, probabilities }
    });
    let held_out = held_out.collect();
    Ok(Ok(Choice { target, labels, method, calibration, thresholds, no_signal, held_out }))
}

impl Choice {
    /// Fits what was chosen on the whole corpus.
    pub fn fit(self, corpus: &Corpus<'_>) -> Trained {
        let of = corpus.labelled(self.target, &self.labels, 0..corpus.of.len());
        let fitter = Fitter::new(&corpus.documents, self.labels.clone(), &of);
        let fitted = fitter.fit(self.method);
        Trained { tickets: fitter.counts.tickets, fitted, choice: self }
    }
}

/// Held-out scores by method.
type Candidates = Vec<(Method, Vec<(usize, Scored)>)>;

/// The method of least calibrated Brier score on held-out tickets, of equals the first.
fn best(
    target: Target,
    labels: &[Arc<str>],
    corpus: &Corpus<'_>,
    rounds: &[Vec<usize>],
    recipe: &Recipe,
) -> Result<(Method, Vec<(usize, Scored)>), TrainError> {
    let mut candidates: Candidates = Vec::new();
    for (i, round) in rounds.iter().enumerate() {
        let rest = (0..corpus.of.len()).filter(|place| round.binary_search(place).is_err());
        let fit_on = corpus.labelled(target, labels, rest);
        let held_out = corpus.labelled(target, labels, round.iter().copied());
        let fitter = Fitter::new(&corpus.documents, labels.to_vec(), &fit_on);
        if i == 0 {
            compare_with_linfa(&fitter, &corpus.documents, &held_out, recipe.fit.alpha[0])?;
        }
        for (method, weights) in fits(&fitter, recipe) {
            let scorer = Scorer::new(&corpus.documents, &fitter.active, &weights);
            let scored = held_out.iter().map(|(place, truth)| {
                let scored = Scored {
                    scores: scorer.scores(*place),
                    words: corpus.documents.known[*place],
                    truth: *truth,
                    language: corpus.examples[corpus.of[*place]].language,
                };
                (*place, scored)
            });
            match candidates.iter_mut().find(|(m, _)| *m == method) {
                Some((_, all)) => all.extend(scored),
                None => candidates.push((method, scored.collect())),
            }
        }
    }
    if recipe.fit.kind == Kind::Auto {
        candidates.extend(mixtures(&candidates));
    }
    let losses = candidates.iter().map(|(_, tickets)| loss(tickets));
    let least = losses.enumerate().min_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(i, _)| i);
    Ok(candidates.swap_remove(least))
}

/// What the recipe wants tried, fitted.
fn fits(fitter: &Fitter<'_>, recipe: &Recipe) -> Vec<(Method, Weights)> {
    let settings = &recipe.fit;
    let wanted = |kind| settings.kind == kind || settings.kind == Kind::Auto;
    let mut fits = Vec::new();
    for alpha in &settings.alpha {
        let methods = [
            (Kind::NaiveBayes, Method::NaiveBayes { alpha: *alpha }),
            (Kind::Complement, Method::Complement { alpha: *alpha }),
        ];
        let methods = methods.into_iter().filter(|(kind, _)| wanted(*kind));
        fits.extend(methods.map(|(_, method)| (method, fitter.fit(method))));
    }
    if wanted(Kind::Sharpened) {
        for scaling in [Scaling::Label, Scaling::None] {
            let solved = fitter.sharpened(&settings.lambda, scaling);
            let method = |lambda: &f64| Method::Sharpened { lambda: *lambda, scaling };
            fits.extend(settings.lambda.iter().map(method).zip(solved));
        }
    }
    fits
}

/// The best sharpened candidate and the best naive Bayes one in several shares.
fn mixtures(candidates: &Candidates) -> Candidates {
    let best = |wanted: fn(&Method) -> bool| {
        let of_kind = candidates.iter().filter(|(method, _)| wanted(method));
        of_kind.map(|(m, t)| (loss(t), m, t)).min_by(|a, b| a.0.total_cmp(&b.0))
    };
    let sharpened = best(|m| matches!(m, Method::Sharpened { .. }));
    let bayes = best(|m| matches!(m, Method::NaiveBayes { .. } | Method::Complement { .. }));
    let (
        Some((_, Method::Sharpened { lambda, scaling }, sharp)),
        Some((_, Method::NaiveBayes { alpha } | Method::Complement { alpha }, rest)),
    ) = (sharpened, bayes)
    else {
        return Vec::new();
    };
    let complement = matches!(bayes, Some((_, Method::Complement { .. }, _)));
    let scale = |tickets: &[(usize, Scored)]| cooled(tickets).1;
    let (sharp_scale, rest_scale) = (scale(sharp), scale(rest));
    let mixed = |share: &f64| {
        let (a, b) = ((1.0 - share) * sharp_scale, share * rest_scale);
        let tickets = sharp.iter().zip(rest).map(|((place, x), (_, y))| {
            let scores = x.scores.iter().zip(&y.scores).map(|(x, y)| a * x + b * y).collect();
            (*place, Scored { scores, ..x.clone() })
        });
        let (lambda, scaling, alpha) = (*lambda, *scaling, *alpha);
        let method =
            Method::Mixed { lambda, scaling, alpha, complement, of_sharpened: a, of_bayes: b };
        (method, tickets.collect())
    };
    SHARES.iter().map(mixed).collect()
}

fn loss(tickets: &[(usize, Scored)]) -> f64 {
    cooled(tickets).0
}

/// Brier score at the best temperature, and what scores are multiplied by there.
fn cooled(tickets: &[(usize, Scored)]) -> (f64, f64) {
    let scored: Vec<Scored> = tickets.iter().map(|(_, s)| s.clone()).collect();
    let calibration = temperature(&scored, 0.0);
    (brier(&scored, calibration), calibration.scale(1))
}

/// The best label with its confidence.
fn answer(ticket: &Scored, calibration: &Calibrations) -> Answer {
    let mut scores = ticket.scores.clone();
    log_softmax(&mut scores, calibration.of(ticket.language).scale(ticket.words));
    let mut best = 0;
    for (i, score) in scores.iter().enumerate() {
        if *score > scores[best] {
            best = i;
        }
    }
    Answer { label: best, confidence: scores[best].exp(), right: best == ticket.truth }
}

/// The place of the most frequent label; of equals the first.
fn majority(labels: usize, of: &[(usize, usize)]) -> usize {
    let mut tickets = vec![0u64; labels];
    of.iter().for_each(|(_, label)| tickets[*label] += 1);
    let most = tickets.iter().max();
    tickets.iter().position(|n| Some(n) == most).unwrap_or(0)
}

/// Naive Bayes scores against linfa's dense ones, on the first held-out tickets.
fn compare_with_linfa(
    fitter: &Fitter<'_>,
    documents: &Documents,
    held_out: &[(usize, usize)],
    alpha: f64,
) -> Result<(), TrainError> {
    let squares = documents.squares(&fitter.active);
    let sparse = |(place, _): &(usize, usize)| documents.sparse(*place, &fitter.active, &squares);
    let tickets: Vec<Sparse> = held_out.iter().take(COMPARED).map(sparse).collect();
    let mut features: Vec<u32> = tickets.iter().flatten().map(|(id, _)| *id).collect();
    features.sort_unstable();
    features.dedup();
    let fail = |e: String| TrainError::Linfa(e);
    let fitted = fitter.counts.fit(alpha);
    let linfa = fitted.to_linfa(&features).map_err(|e| fail(e.to_string()))?;
    let mut rows = Array2::zeros((tickets.len(), features.len()));
    for (ticket, mut row) in tickets.iter().zip(rows.rows_mut()) {
        for (id, value) in ticket {
            if let Ok(column) = features.binary_search(id) {
                row[column] = *value;
            }
        }
    }
    let theirs = linfa.joint_log_likelihood(rows.view());
    let weights = fitter.fit(Method::NaiveBayes { alpha });
    let scorer = Scorer::new(documents, &fitter.active, &weights);
    for (i, (place, _)) in held_out.iter().take(COMPARED).enumerate() {
        for (label, ours) in scorer.scores(*place).into_iter().enumerate() {
            let theirs = theirs.get(&label).map_or(f64::NAN, |scores| scores[i]);
            // Written so that a NaN on either side fails. Weights have single precision.
            let near = (ours - theirs).abs() <= 1e-4 * ours.abs().max(1.0);
            if !near {
                return Err(fail(format!("ticket {i}, label {label}: {ours} against {theirs}")));
            }
        }
    }
    Ok(())
}
