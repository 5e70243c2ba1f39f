//! Which kind of model a head becomes: every kind that the recipe wants is tried on held-out
//! tickets, in turns where tickets are few, and the best one says what it thinks of all of them.

mod trial;

use linfa_bayes::NaiveBayes;
use ndarray::Array2;

use super::TrainError;
use super::calibrate::{Scored, brier, temperature};
use super::documents::Documents;
use super::fit::Sparse;
use super::head::{Corpus, Labelled};
use super::method::{Fit, Fitter, Method, Scorer};
use super::recipe::{self, Kind, Recipe};
use super::report::LearningPoint;
use crate::triage::model::Target;
use trial::{Few, Trial};

/// Tickets on which scores are compared with linfa's.
const COMPARED: usize = 50;
/// Powers of naive Bayes' ratio that are tried.
const POWERS: [f64; 3] = [1.0, 0.5, 0.0];
/// Shares of naive Bayes that are tried beside the sharpened model.
const SHARES: [f64; 3] = [0.25, 0.5, 0.75];
/// Kinds are tried on so many tickets at most, fewer where labels are many: it takes as long.
const TRIED_ON: std::ops::RangeInclusive<usize> = 4_000..=20_000;
const TRIED_ON_BY_LABELS: usize = 200_000;
const ASKED: usize = 4_000;
/// Kinds are tried in as many turns as together have so many tickets, and in one at least: what one
/// turn says of few tickets is chance.
const TRIED_IN_TURNS: usize = 20_000;
/// A search on many tickets begins on this share of them, again and again.
const STEP: usize = 2;
const STEPS: usize = 3;
/// Not worth a step of its own.
const FEW: usize = 100;

/// A head's kind of model, and what it said of tickets that it was not fitted on.
pub struct Selected {
    pub method: Method,
    /// Places with scores.
    pub held_out: Vec<(usize, Scored)>,
    /// Fitted without the tickets of the first round.
    pub fit: Fit,
    pub learning: Vec<LearningPoint>,
}

/// How often [`Question::select`] calls `done`: after every method that is tried, every fit on
/// more tickets, and every further round.
pub fn steps(settings: &recipe::Fit, rounds: usize) -> usize {
    let bayes = [Kind::NaiveBayes, Kind::Complement].into_iter().filter(|k| wanted(settings, *k));
    let sharpened = match wanted(settings, Kind::Sharpened) {
        true => POWERS.len() + settings.lambda.len().saturating_sub(1),
        false => 0,
    };
    bayes.count() * settings.alpha.len() + sharpened + STEPS + rounds.saturating_sub(1)
}

/// Whether a recipe has this kind tried.
fn wanted(settings: &recipe::Fit, kind: Kind) -> bool {
    settings.kind == kind || settings.kind == Kind::Auto
}

/// What a selection is about.
pub struct Question<'a> {
    pub target: Target,
    pub labels: &'a [std::sync::Arc<str>],
    pub corpus: &'a Corpus<'a>,
    pub recipe: &'a Recipe,
}

impl Question<'_> {
    /// The method of least calibrated Brier score on held-out tickets, of equals the first. Each
    /// round is a list of places that are held out while the rest is fitted on; methods are tried
    /// in the first ones. `done` is called after each of [`steps`].
    ///
    /// # Errors
    /// When scores differ from linfa's.
    pub fn select(
        &self,
        rounds: &[Vec<usize>],
        mut done: impl FnMut(),
    ) -> Result<Selected, TrainError> {
        let Some((first, others)) = rounds.split_first() else {
            return Err(TrainError::TooFewTickets { what: "calibrate" });
        };
        let method = self.try_all(self.tried_in(rounds), &mut done)?;
        let (fit_on, held_out) = self.parts(first);
        let mut learning = Vec::new();
        let mut fit: Option<Fit> = None;
        let mut answers = Vec::new();
        for step in (0..STEPS).rev() {
            let on = fit_on.len() / STEP.pow(step as u32);
            if step > 0 && on < FEW {
                done();
                continue;
            }
            let on = sample(&fit_on, on);
            let fitter = self.fitter(&on);
            let fitted = fitter.fit(method, fit.as_ref());
            answers = self.scores(&fitter, &fitted, &held_out);
            learning.push(point(on.len(), &answers, self.labels.len()));
            fit = Some(fitted);
            done();
        }
        for round in others {
            let (fit_on, held_out) = self.parts(round);
            let fitter = self.fitter(&fit_on);
            answers.extend(self.scores(&fitter, &fitter.fit(method, None), &held_out));
            done();
        }
        Ok(Selected { method, held_out: answers, fit: fit.unwrap_or_default(), learning })
    }

    /// Places to fit on and places held out, with their labels.
    fn parts(&self, round: &[usize]) -> (Vec<Labelled>, Vec<Labelled>) {
        let rest = (0..self.corpus.of.len()).filter(|place| round.binary_search(place).is_err());
        let labelled = |places: &mut dyn Iterator<Item = usize>| {
            self.corpus.labelled(self.target, self.labels, places)
        };
        (labelled(&mut rest.into_iter()), labelled(&mut round.iter().copied()))
    }

    fn fitter<'f>(&'f self, of: &'f [Labelled]) -> Fitter<'f> {
        Fitter::new(&self.corpus.documents, self.labels.to_vec(), of)
    }

    fn scores(&self, fitter: &Fitter<'_>, fit: &Fit, of: &[Labelled]) -> Vec<(usize, Scored)> {
        let corpus = self.corpus;
        let scorer = Scorer::new(&corpus.documents, &fitter.active, &fit.weights);
        let scored = |(place, truth): &Labelled| {
            let scored = Scored {
                scores: scorer.scores(*place),
                words: corpus.documents.known[*place],
                truth: *truth,
                language: corpus.examples[corpus.of[*place]].language,
            };
            (*place, scored)
        };
        of.iter().map(scored).collect()
    }

    /// The rounds that methods are tried in.
    fn tried_in<'r>(&self, rounds: &'r [Vec<usize>]) -> &'r [Vec<usize>] {
        let turns = TRIED_IN_TURNS / self.corpus.of.len().max(1);
        &rounds[..turns.clamp(1, rounds.len())]
    }

    fn try_all(&self, rounds: &[Vec<usize>], done: &mut dyn FnMut()) -> Result<Method, TrainError> {
        let few: Vec<Few> = rounds.iter().map(|round| self.few(round)).collect();
        let trials: Vec<Trial> = few.iter().map(|few| Trial::new(self, few)).collect();
        let settings = &self.recipe.fit;
        if let Some(Trial { question, fitter, held_out }) = trials.first() {
            compare_with_linfa(fitter, &question.corpus.documents, held_out, settings.alpha[0])?;
        }
        let mut candidates = Vec::new();
        for alpha in &settings.alpha {
            let methods = [
                (Kind::NaiveBayes, Method::NaiveBayes { alpha: *alpha }),
                (Kind::Complement, Method::Complement { alpha: *alpha }),
            ];
            for (_, method) in methods.into_iter().filter(|(kind, _)| wanted(settings, *kind)) {
                candidates.push(trial::tried(&trials, method).0);
                done();
            }
        }
        if wanted(settings, Kind::Sharpened) {
            let bayes = best(&candidates);
            let sharpened = trial::sharpened(&trials, &settings.lambda, done);
            let pair = best(&sharpened).zip(bayes);
            let mixed = pair.map(|(s, b)| mixtures(&sharpened[s], &candidates[b]));
            candidates.extend(sharpened);
            candidates.extend(mixed.unwrap_or_default());
        }
        // A recipe without anything to try is refused by its check.
        let none = Method::NaiveBayes { alpha: settings.alpha[0] };
        Ok(best(&candidates).map_or(none, |i| candidates[i].method))
    }
}

/// A method with its scores of held-out tickets.
struct Candidate {
    method: Method,
    tickets: Vec<Scored>,
    /// The Brier score at the best temperature, and what scores are multiplied by there.
    loss: f64,
    scale: f64,
}

impl Candidate {
    fn new(method: Method, tickets: Vec<Scored>) -> Self {
        let calibration = temperature(&tickets, 0.0);
        let (loss, scale) = (brier(&tickets, calibration), calibration.scale(1));
        Self { method, tickets, loss, scale }
    }
}

/// The candidate of least loss, of equals the first.
fn best(candidates: &[Candidate]) -> Option<usize> {
    let losses = candidates.iter().map(|c| c.loss).enumerate();
    losses.min_by(|a, b| a.1.total_cmp(&b.1)).map(|(i, _)| i)
}

/// A sharpened candidate and a naive Bayes one in several shares.
fn mixtures(sharp: &Candidate, bayes: &Candidate) -> Vec<Candidate> {
    let Method::Sharpened { lambda, power } = sharp.method else { return Vec::new() };
    let (alpha, complement) = match bayes.method {
        Method::Complement { alpha } => (alpha, true),
        Method::NaiveBayes { alpha } => (alpha, false),
        _ => return Vec::new(),
    };
    let mixed = |share: &f64| {
        let (a, b) = ((1.0 - share) * sharp.scale, share * bayes.scale);
        let tickets = sharp.tickets.iter().zip(&bayes.tickets).map(|(x, y)| {
            let scores = x.scores.iter().zip(&y.scores).map(|(x, y)| a * x + b * y).collect();
            Scored { scores, ..x.clone() }
        });
        let method =
            Method::Mixed { lambda, power, alpha, complement, of_sharpened: a, of_bayes: b };
        Candidate::new(method, tickets.collect())
    };
    SHARES.iter().map(mixed).collect()
}

/// Every so-manieth, so that `most` are left at most.
fn sample(of: &[Labelled], most: usize) -> Vec<Labelled> {
    let most = most.min(of.len());
    (0..most).map(|i| of[i * of.len() / most]).collect()
}

fn point(tickets: usize, answers: &[(usize, Scored)], labels: usize) -> LearningPoint {
    let pairs: Vec<(usize, usize)> =
        answers.iter().map(|(_, scored)| (scored.truth, scored.best())).collect();
    let (mut there, mut said, mut hits) = (vec![0u64; labels], vec![0u64; labels], vec![0; labels]);
    for (truth, answer) in pairs.iter().copied() {
        there[truth] += 1;
        said[answer] += 1;
        hits[truth] += u64::from(truth == answer);
    }
    let right: u64 = hits.iter().sum();
    let f1 = |i: usize| 2.0 * hits[i] as f64 / (there[i] + said[i]) as f64;
    let f1: Vec<f64> = (0..labels).filter(|i| there[*i] > 0).map(f1).collect();
    LearningPoint {
        tickets: tickets as u64,
        accuracy: right as f64 / pairs.len().max(1) as f64,
        macro_f1: f1.iter().sum::<f64>() / f1.len().max(1) as f64,
    }
}

/// Naive Bayes scores against linfa's dense ones, on the first held-out tickets.
fn compare_with_linfa(
    fitter: &Fitter<'_>,
    documents: &Documents,
    held_out: &[Labelled],
    alpha: f64,
) -> Result<(), TrainError> {
    let squares = documents.squares(&fitter.active);
    let sparse = |(place, _): &Labelled| documents.sparse(*place, &fitter.active, &squares);
    let tickets: Vec<Sparse> = held_out.iter().take(COMPARED).map(sparse).collect();
    let mut features: Vec<u32> = tickets.iter().flatten().map(|(id, _)| *id).collect();
    features.sort_unstable();
    features.dedup();
    let fail = |e: String| TrainError::Linfa(e);
    let linfa = fitter.counts.fit(alpha).to_linfa(&features).map_err(|e| fail(e.to_string()))?;
    let mut rows = Array2::zeros((tickets.len(), features.len()));
    for (ticket, mut row) in tickets.iter().zip(rows.rows_mut()) {
        for (id, value) in ticket {
            if let Ok(column) = features.binary_search(id) {
                row[column] = *value;
            }
        }
    }
    let theirs = linfa.joint_log_likelihood(rows.view());
    let fit = fitter.fit(Method::NaiveBayes { alpha }, None);
    let scorer = Scorer::new(documents, &fitter.active, &fit.weights);
    for (i, (place, _)) in held_out.iter().take(COMPARED).enumerate() {
        for (label, ours) in scorer.scores(*place).into_iter().enumerate() {
            let theirs = theirs.get(&label).map_or(f64::NAN, |scores| scores[i]);
            // A label of which no ticket is fitted on has the logarithm of zero on both sides. Written so
            // that a NaN on either side fails. Weights have single precision.
            let near = ours == theirs || (ours - theirs).abs() <= 1e-4 * ours.abs().max(1.0);
            if !near {
                return Err(fail(format!("ticket {i}, label {label}: {ours} against {theirs}")));
            }
        }
    }
    Ok(())
}
