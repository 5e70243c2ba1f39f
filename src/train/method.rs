//! The kinds of model that a head can be. All come out as weights by feature and label.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::documents::Documents;
use super::fit::Counts;
use super::head::Labelled;
use super::lbfgs::Limits;
use super::sharpen::Problem;

/// Smoothing of the naive Bayes ratios that scale the sharpened model's features.
const RATIO_ALPHA: f64 = 0.1;
/// From zero, and from the parameters of a similar problem.
const COLD: Limits = Limits { iterations: 40, tolerance: 1e-3 };
const WARM: Limits = Limits { iterations: 15, tolerance: 1e-3 };

/// A kind of model with its settings.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Method {
    /// Multinomial naive Bayes.
    NaiveBayes { alpha: f64 },
    /// Complement naive Bayes.
    Complement { alpha: f64 },
    /// A linear layer over features scaled by a power of naive Bayes' log-count ratio in each
    /// label: with 1 what tells little is hardly learnt, with 0 all features are alike, which is
    /// better where labels are many and have few tickets each.
    Sharpened { lambda: f64, power: f64 },
    /// Sharpened and plain (or complement) naive Bayes added up, weights and biases alike, each
    /// multiplied by its factor (the interpolation of Wang and Manning 2012).
    Mixed {
        lambda: f64,
        power: f64,
        alpha: f64,
        complement: bool,
        of_sharpened: f64,
        of_bayes: f64,
    },
}

impl std::fmt::Display for Method {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NaiveBayes { alpha } => write!(f, "naive Bayes, alpha {alpha}"),
            Self::Complement { alpha } => write!(f, "complement naive Bayes, alpha {alpha}"),
            Self::Sharpened { lambda, power } => {
                write!(f, "sharpened naive Bayes, lambda {lambda}, ratio to the power of {power}")
            }
            Self::Mixed { lambda, power, alpha, complement, .. } => {
                let bayes = if *complement { "complement" } else { "plain" };
                write!(
                    f,
                    "sharpened (lambda {lambda}, ratio to the power of {power}) and {bayes} (alpha \
                     {alpha}) naive Bayes"
                )
            }
        }
    }
}

/// What a fit gives.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Weights {
    /// `[feature][label]`.
    pub weights: Vec<f32>,
    /// By label.
    pub biases: Vec<f64>,
}

impl Weights {
    /// `a * self + b * other`.
    fn mixed(&self, a: f64, other: &Self, b: f64) -> Self {
        let mix = |(x, y): (f64, f64)| a * x + b * y;
        let both = self.weights.iter().zip(&other.weights);
        Self {
            weights: both.map(|(x, y)| mix((f64::from(*x), f64::from(*y))) as f32).collect(),
            biases: self.biases.iter().zip(&other.biases).map(|(x, y)| mix((*x, *y))).collect(),
        }
    }
}

/// A fit, and where a similar one may start from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fit {
    pub weights: Weights,
    /// `[feature][label]`, the biases last; empty where nothing was searched for.
    parameters: Vec<f32>,
}

impl Fit {
    fn of(weights: Weights) -> Self {
        Self { weights, parameters: Vec::new() }
    }

    fn start(&self) -> Option<&[f32]> {
        Some(self.parameters.as_slice()).filter(|p| !p.is_empty())
    }

    /// What a similar fit starts from, without the weights.
    pub fn into_start(self) -> Self {
        Self { weights: Weights::default(), ..self }
    }

    /// The parameters over other features: `from` has for each of them its place in this one, if
    /// any.
    pub fn moved(&self, from: &[Option<u32>]) -> Self {
        let k = self.weights.biases.len();
        let Some(old) = self.start() else { return Self::default() };
        let mut parameters = vec![0.0; (from.len() + 1) * k];
        let rows = parameters.chunks_mut(k.max(1));
        let last = old.len() / k - 1;
        for (row, from) in rows.zip(from.iter().copied().chain([Some(last as u32)])) {
            if let Some(from) = from {
                row.copy_from_slice(&old[from as usize * k..][..k]);
            }
        }
        Self { weights: Weights::default(), parameters }
    }
}

/// Tickets with labels, ready to be fitted by any method.
pub struct Fitter<'a> {
    documents: &'a Documents,
    of: &'a [Labelled],
    /// Features that occur in these tickets.
    pub active: Vec<bool>,
    pub counts: Counts,
}

impl<'a> Fitter<'a> {
    /// `of` are places in the documents, each with its label's place in `labels`.
    pub fn new(documents: &'a Documents, labels: Vec<Arc<str>>, of: &'a [Labelled]) -> Self {
        let places: Vec<usize> = of.iter().map(|(i, _)| *i).collect();
        let active = documents.active(&places);
        let counts = Counts::of(labels, documents, of, &active);
        Self { documents, of, active, counts }
    }

    /// Fits what `method` says. What has to be searched for starts from a similar `start`, if
    /// there is one.
    pub fn fit(&self, method: Method, start: Option<&Fit>) -> Fit {
        match method {
            Method::NaiveBayes { alpha } => {
                let fitted = self.counts.fit(alpha);
                let weights = self.by_feature(&fitted.log_probabilities, 1.0);
                Fit::of(Weights { weights, biases: fitted.log_priors })
            }
            Method::Complement { alpha } => {
                let weights = self.by_feature(&self.counts.complement(alpha), -1.0);
                Fit::of(Weights { weights, biases: vec![0.0; self.counts.labels.len()] })
            }
            Method::Sharpened { lambda, power } => {
                self.sharpened(&[lambda], power, start, |_, _| ()).unwrap_or_default()
            }
            Method::Mixed { lambda, power, alpha, complement, of_sharpened, of_bayes } => {
                let bayes = if complement {
                    Method::Complement { alpha }
                } else {
                    Method::NaiveBayes { alpha }
                };
                let Fit { weights, parameters } =
                    self.fit(Method::Sharpened { lambda, power }, start);
                let bayes = self.fit(bayes, None).weights;
                Fit { weights: weights.mixed(of_sharpened, &bayes, of_bayes), parameters }
            }
        }
    }

    /// The sharpened model for each penalty, each started from where the last one ended. `each` is
    /// shown every one of them; the last is given back.
    pub fn sharpened(
        &self,
        lambdas: &[f64],
        power: f64,
        start: Option<&Fit>,
        mut each: impl FnMut(f64, &Fit),
    ) -> Option<Fit> {
        let ratios = self.counts.ratios(RATIO_ALPHA);
        let problem = Problem::new(self.documents, self.of, &self.active, ratios, power as f32);
        let mut last: Option<Fit> = None;
        for lambda in lambdas {
            last = last.map(Fit::into_start);
            let start = last.as_ref().or(start).and_then(Fit::start);
            let limits = if start.is_some() { WARM } else { COLD };
            let (weights, parameters) = problem.solve(*lambda, start, limits);
            let fit = Fit { weights, parameters };
            each(*lambda, &fit);
            last = Some(fit);
        }
        last
    }

    /// `[label][feature]` turned around; features that do not occur weigh nothing.
    fn by_feature(&self, rows: &[Vec<f64>], sign: f64) -> Vec<f32> {
        let weight = |feature: usize| {
            let on = if self.active[feature] { sign } else { 0.0 };
            rows.iter().map(move |row| (on * row[feature]) as f32)
        };
        (0..self.documents.features).flat_map(weight).collect()
    }
}

/// Scores of tickets under some weights, a unit at a time: what the model itself would say.
pub struct Scorer<'a> {
    documents: &'a Documents,
    biases: &'a [f64],
    units: Vec<f32>,
    squares: Vec<f32>,
}

impl<'a> Scorer<'a> {
    pub fn new(documents: &'a Documents, active: &[bool], weights: &'a Weights) -> Self {
        let k = weights.biases.len();
        let mut units = vec![0.0f32; documents.units.len() * k];
        for (unit, row) in units.chunks_mut(k.max(1)).enumerate() {
            for (id, value) in documents.units.values(unit, &documents.scales, active) {
                for (sum, weight) in row.iter_mut().zip(&weights.weights[id as usize * k..][..k]) {
                    *sum += value * weight;
                }
            }
        }
        let squares = documents.squares(active);
        Self { documents, biases: &weights.biases, units, squares }
    }

    pub fn scores(&self, ticket: usize) -> Vec<f64> {
        let k = self.biases.len();
        let mut sums = vec![0.0f32; k];
        for (unit, g) in self.documents.ticket(ticket) {
            for (sum, weight) in sums.iter_mut().zip(&self.units[unit * k..][..k]) {
                *sum += g * weight;
            }
        }
        let by = f64::from(self.documents.inverse_length(ticket, &self.squares));
        self.biases.iter().zip(sums).map(|(b, sum)| b + f64::from(sum) * by).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::audit::tests::example;
    use crate::train::fit::Sparse;
    use crate::train::recipe::Features;
    use crate::train::texts::Texts;
    use crate::train::vocabulary;
    use crate::triage::model::{Calibration, Head, Model, ModelId, Parts, Scratch, Target};
    use crate::triage::text::lexicon::Lexicon;

    const LABELS: [&str; 3] = ["Mail", "Printing", "VPN"];
    /// Each with its label's place; labels have unlike shares.
    const TICKETS: [(&str, usize); 11] = [
        ("vpn tunnel drops", 2),
        ("vpn gateway timeout again", 2),
        ("remote vpn drops at home", 2),
        ("the tunnel is slow", 2),
        ("vpn error after update", 2),
        ("printer jams paper", 1),
        ("paper jam in the printer again", 1),
        ("toner is low", 1),
        ("printer error after update", 1),
        ("mailbox is full", 0),
        ("mail is slow at home", 0),
    ];

    /// Naive Bayes' score of a ticket in double precision, from the tickets of the label; or its
    /// complement's, from those of all other labels.
    fn bayes(
        rows: &[Sparse],
        features: usize,
        alpha: f64,
        complement: bool,
        label: usize,
        ticket: &[(u32, f64)],
    ) -> f64 {
        let mut sums = vec![alpha; features];
        let mut counted = 0.0;
        for (row, (_, truth)) in rows.iter().zip(TICKETS) {
            if (truth == label) != complement {
                row.iter().for_each(|(id, value)| sums[*id as usize] += value);
                counted += 1.0;
            }
        }
        let all: f64 = sums.iter().sum();
        let said: f64 =
            ticket.iter().map(|(id, value)| value * (sums[*id as usize] / all).ln()).sum();
        if complement { -said } else { (counted / rows.len() as f64).ln() + said }
    }

    /// The score of a label for a ticket's features.
    type Formula<'a> = &'a dyn Fn(usize, &[(u32, f64)]) -> f64;

    #[test]
    fn every_kind_scores_as_its_formula_says_in_training_and_in_service() {
        let examples: Vec<_> = TICKETS.iter().map(|(body, _)| example(0, body, "")).collect();
        let texts = Texts::read(&examples, || ());
        let all: Vec<usize> = (0..examples.len()).collect();
        let vocabulary = vocabulary::learn(&texts, &all, &Features::default());
        let documents = Documents::new(&texts, &all, &vocabulary, 2.0);
        let labels: Vec<Arc<str>> = LABELS.map(Arc::from).to_vec();
        let of: Vec<Labelled> = TICKETS.iter().map(|(_, label)| *label).enumerate().collect();
        let fitter = Fitter::new(&documents, labels.clone(), &of);
        let squares = documents.squares(&fitter.active);
        let rows: Vec<Sparse> =
            all.iter().map(|i| documents.sparse(*i, &fitter.active, &squares)).collect();

        let check = |method: Method, formula: Formula<'_>| {
            let fit = fitter.fit(method, None).weights;
            let scorer = Scorer::new(&documents, &fitter.active, &fit);
            let entries = vocabulary.entries.iter().map(String::as_str);
            let head = Head {
                target: Target::Category,
                labels: labels.clone(),
                thresholds: vec![0.5; LABELS.len()],
                calibration: Calibration::NONE.into(),
                bias: fit.biases.clone(),
            };
            let model = Model::new(Parts {
                id: ModelId::new("test"),
                version: "test".to_owned(),
                lexicon: Lexicon::new(entries).unwrap(),
                subject_weight: 2.0,
                heads: vec![head],
                scales: vocabulary.scales.clone(),
                weights: fit.weights.clone(),
            })
            .unwrap();
            for (place, row) in rows.iter().enumerate() {
                let served = model.scores(&mut Scratch::default(), &examples[place].text());
                let both = scorer.scores(place).into_iter().zip(served).enumerate();
                for (label, (trained, served)) in both {
                    let expected = formula(label, row);
                    let near =
                        |score: f64| (score - expected).abs() < 1e-4 * expected.abs().max(1.0);
                    assert!(
                        near(trained) && near(served),
                        "{method}, ticket {place}, {}: {trained}, {served}, not {expected}",
                        LABELS[label]
                    );
                }
            }
        };
        let bayes = |complement: bool, label: usize, ticket: &[(u32, f64)]| {
            bayes(&rows, documents.features, 0.3, complement, label, ticket)
        };
        check(Method::NaiveBayes { alpha: 0.3 }, &|label, ticket| bayes(false, label, ticket));
        check(Method::Complement { alpha: 0.3 }, &|label, ticket| bayes(true, label, ticket));
        let (lambda, power) = (0.3, 0.5);
        let fit = fitter.fit(Method::Sharpened { lambda, power }, None).weights;
        let sharpened = |label: usize, ticket: &[(u32, f64)]| -> f64 {
            let weight = |id: u32| f64::from(fit.weights[id as usize * LABELS.len() + label]);
            fit.biases[label] + ticket.iter().map(|(id, value)| value * weight(*id)).sum::<f64>()
        };
        check(Method::Sharpened { lambda, power }, &sharpened);
        for complement in [false, true] {
            let (of_sharpened, of_bayes) = (2.1, 0.6);
            let method =
                Method::Mixed { lambda, power, alpha: 0.3, complement, of_sharpened, of_bayes };
            check(method, &|label, ticket| {
                of_sharpened * sharpened(label, ticket)
                    + of_bayes * bayes(complement, label, ticket)
            });
        }
    }
}
