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
