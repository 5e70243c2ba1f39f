//! The sharpened model: multinomial logistic regression over features scaled by how naive Bayes
//! tells the labels apart (Wang and Manning 2012, with their ratio for each label against all
//! others).
//!
//! Label `k` weighs feature `f` with `|r[k][f]| * u[k][f]`, where `r` is the log-count ratio of
//! naive Bayes. The `u` are penalised by `lambda / 2 * u^2`, so a feature that naive Bayes finds
//! telling may get its weight cheaply and one that it finds empty may hardly get any. The sum over
//! tickets of the negative log likelihood and the penalty is convex; [`super::lbfgs`] finds its
//! minimum. The work is shared by two threads in a fixed way, so that any machine gives the same
//! weights.

use super::documents::Documents;
use super::lbfgs::{Limits, minimise};

/// Fitted or to be fitted on these: a ticket's place in the documents, and its label's.
type Labelled = [(usize, usize)];

/// One problem: which tickets, which labels, which scaling.
pub struct Problem<'a> {
    documents: &'a Documents,
    of: &'a Labelled,
    labels: usize,
    active: &'a [bool],
    inverse_lengths: Vec<f32>,
    /// `[feature][label]`: what a parameter is multiplied by to be a weight.
    factors: Vec<f32>,
    /// For each feature the units that bring it, with their shares: the units turned around.
    feature_starts: Vec<u32>,
    unit_of: Vec<(u32, f32)>,
}

impl<'a> Problem<'a> {
    /// `ratios` are by label and feature.
    pub fn new(
        documents: &'a Documents,
        of: &'a Labelled,
        active: &'a [bool],
        ratios: &[Vec<f64>],
    ) -> Self {
        let labels = ratios.len();
        let squares = documents.squares(active);
        let factor = |feature: usize| {
            let on = if active[feature] { 1.0 } else { 0.0 };
            ratios.iter().map(move |r| on * r[feature].abs() as f32)
        };
        let factors = (0..documents.features).flat_map(factor).collect();
        let mut feature_starts = vec![0u32; documents.features + 1];
        let units = &documents.units;
        let each = || {
            (0..units.len()).flat_map(|u| {
                units.values(u, &documents.scales, active).map(move |(id, v)| (u as u32, id, v))
            })
        };
        each().for_each(|(_, id, _)| feature_starts[id as usize + 1] += 1);
        for i in 1..feature_starts.len() {
            feature_starts[i] += feature_starts[i - 1];
        }
        let mut at = feature_starts.clone();
        let mut unit_of = vec![(0, 0.0); at[documents.features] as usize];
        for (unit, id, value) in each() {
            unit_of[at[id as usize] as usize] = (unit, value);
            at[id as usize] += 1;
        }
        let inverse_lengths =
            of.iter().map(|(i, _)| documents.inverse_length(*i, &squares)).collect();
        Self { documents, of, labels, active, inverse_lengths, factors, feature_starts, unit_of }
    }

    /// Parameters to start from: all zero, biases after the features.
    pub fn start(&self) -> Vec<f32> {
        vec![0.0; (self.documents.features + 1) * self.labels]
    }

    /// Moves the parameters to the minimum for one penalty.
    pub fn solve(&self, parameters: &mut Vec<f32>, lambda: f64, limits: Limits) {
        let mut buffers = Buffers::new(self);
        minimise(parameters, limits, |x, g| self.loss(x, lambda as f32, g, &mut buffers));
    }

    /// The weights `[feature][label]` and the biases that parameters stand for.
    pub fn weights(&self, parameters: &[f32]) -> (Vec<f32>, Vec<f64>) {
        let weights: Vec<f32> =
            parameters.iter().zip(&self.factors).map(|(u, factor)| u * factor).collect();
        let biases = &parameters[self.documents.features * self.labels..];
        (weights, biases.iter().map(|b| f64::from(*b)).collect())
    }

    /// The penalised negative log likelihood and its gradient.
    fn loss(&self, x: &[f32], lambda: f32, gradient: &mut [f32], buffers: &mut Buffers) -> f64 {
        let k = self.labels;
        let (parameters, biases) = x.split_at(self.documents.features * k);
        let Buffers { weights, units, halves } = buffers;
        for ((weight, u), factor) in weights.iter_mut().zip(parameters).zip(&self.factors) {
            *weight = u * factor;
        }
        let weights = &*weights;
        in_two(units, k, |from, rows| {
            for (i, row) in rows.chunks_mut(k).enumerate() {
                self.unit_row(from + i, weights, row);
            }
        });
        let units = &*units;
        let middle = self.of.len() / 2;
        let [first, second] = halves;
        std::thread::scope(|scope| {
            scope.spawn(|| self.tickets(0..middle, units, biases, first));
            self.tickets(middle..self.of.len(), units, biases, second);
        });
        let (first, second) = (&*first, &*second);
        let (by_feature, by_bias) = gradient.split_at_mut(self.documents.features * k);
        in_two(by_feature, k, |from, rows| {
            for (i, row) in rows.chunks_mut(k).enumerate() {
                let at = (from + i) * k;
                self.feature_gradient(from + i, [&first.units, &second.units], row);
                let (factors, u) = (&self.factors[at..][..k], &parameters[at..][..k]);
                for ((g, factor), u) in row.iter_mut().zip(factors).zip(u) {
                    *g = *g * factor + lambda * u;
                }
            }
        });
        for ((g, a), b) in by_bias.iter_mut().zip(&first.biases).zip(&second.biases) {
            *g = (a + b) as f32;
        }
        let penalty: f64 =
            parameters.chunks(4096).map(|c| f64::from(c.iter().map(|u| u * u).sum::<f32>())).sum();
        first.loss + second.loss + 0.5 * f64::from(lambda) * penalty
    }

    fn unit_row(&self, unit: usize, weights: &[f32], row: &mut [f32]) {
        row.fill(0.0);
        let k = self.labels;
        for (id, value) in self.documents.units.values(unit, &self.documents.scales, self.active) {
            for (sum, weight) in row.iter_mut().zip(&weights[id as usize * k..][..k]) {
                *sum += value * weight;
            }
        }
    }

    /// Losses of some tickets, and what their errors ask of units and biases.
    fn tickets(
        &self,
        range: std::ops::Range<usize>,
        units: &[f32],
        biases: &[f32],
        half: &mut Half,
    ) {
        let k = self.labels;
        half.units.fill(0.0);
        half.biases.fill(0.0);
        half.loss = 0.0;
        let mut scores = vec![0.0f32; k];
        for at in range {
            let (i, truth) = self.of[at];
            let by = self.inverse_lengths[at];
            scores.fill(0.0);
            for (unit, g) in self.documents.ticket(i) {
                for (score, weight) in scores.iter_mut().zip(&units[unit * k..][..k]) {
                    *score += g * weight;
                }
            }
            for (score, bias) in scores.iter_mut().zip(biases) {
                *score = *score * by + bias;
            }
            let top = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let of_truth = scores[truth] - top;
            let mut sum = 0.0;
            for score in &mut scores {
                *score = (*score - top).exp();
                sum += *score;
            }
            half.loss += f64::from(sum.ln() - of_truth);
            for score in &mut scores {
                *score /= sum;
            }
            scores[truth] -= 1.0;
            for (bias, error) in half.biases.iter_mut().zip(&scores) {
                *bias += f64::from(*error);
            }
            scores.iter_mut().for_each(|error| *error *= by);
            for (unit, g) in self.documents.ticket(i) {
                for (sum, error) in half.units[unit * k..][..k].iter_mut().zip(&scores) {
                    *sum += g * error;
                }
            }
        }
    }

    fn feature_gradient(&self, feature: usize, halves: [&[f32]; 2], row: &mut [f32]) {
        row.fill(0.0);
        let k = self.labels;
        let range =
            self.feature_starts[feature] as usize..self.feature_starts[feature + 1] as usize;
        for (unit, value) in &self.unit_of[range] {
            for half in halves {
                for (sum, error) in row.iter_mut().zip(&half[*unit as usize * k..][..k]) {
                    *sum += value * error;
                }
            }
        }
    }
}

/// What one evaluation needs, kept for the next.
struct Buffers {
    weights: Vec<f32>,
    units: Vec<f32>,
    halves: [Half; 2],
}

/// What one half of the tickets adds up to.
struct Half {
    units: Vec<f32>,
    biases: Vec<f64>,
    loss: f64,
}

impl Buffers {
    fn new(problem: &Problem<'_>) -> Self {
        let (k, units) = (problem.labels, problem.documents.units.len());
        let half = || Half { units: vec![0.0; units * k], biases: vec![0.0; k], loss: 0.0 };
        Self {
            weights: vec![0.0; problem.documents.features * k],
            units: vec![0.0; units * k],
            halves: [half(), half()],
        }
    }
}

/// Calls `work` for both halves of a table of rows at once, each with its first row's number.
fn in_two(table: &mut [f32], columns: usize, work: impl Fn(usize, &mut [f32]) + Sync) {
    let rows = table.len() / columns.max(1);
    let (first, second) = table.split_at_mut(rows / 2 * columns);
    std::thread::scope(|scope| {
        let work = &work;
        scope.spawn(move || work(0, first));
        work(rows / 2, second);
    });
}
