//! The sharpened model: multinomial logistic regression over features scaled by how naive Bayes
//! tells the labels apart (Wang and Manning 2012, with their ratio for each label against all
//! others).
//!
//! Label `k` weighs feature `f` with `|r[k][f]| * u[k][f]`, where `r` is the log-count ratio of
//! naive Bayes. The `u` are penalised by `lambda / 2 * u^2`, so a feature that naive Bayes finds
//! telling may get its weight cheaply and one that it finds empty may hardly get any. A ticket
//! counts by one over the root of how many its label has, so that small labels are learnt beside
//! great ones. The sum over tickets of the negative log likelihood and the penalty is convex;
//! [`super::lbfgs`] finds its minimum, in variables that are scaled by how much the sum bends in
//! each, which takes fewer steps. The work is shared by two threads in a fixed way, so that any
//! machine gives the same weights.

use super::documents::Documents;
use super::head::Labelled;
use super::lbfgs::{Limits, minimise};
use super::method::Weights;

/// One problem: which tickets, which labels, which scaling.
pub struct Problem<'a> {
    documents: &'a Documents,
    of: &'a [Labelled],
    labels: usize,
    active: &'a [bool],
    inverse_lengths: Vec<f32>,
    /// `[feature][label]`: what a parameter is multiplied by to be a weight.
    ratios: Vec<f32>,
    /// For each feature the sum of its squares over the tickets, and for each label `p (1 - p)` of
    /// its share `p` of them: about how much the likelihood bends.
    squares: Vec<f32>,
    spreads: Vec<f32>,
    /// By label: how much each of its tickets counts, 1 on average over all.
    counts: Vec<f32>,
    /// For each feature the units that bring it, with their shares: the units turned around.
    feature_starts: Vec<u32>,
    unit_of: Vec<(u32, f32)>,
    /// Where units and features are cut in two parts with as much work each.
    middle_unit: usize,
    middle_feature: usize,
}

/// What one penalty makes of the problem.
struct Scaled {
    lambda: f32,
    /// What a variable's square costs, twice: `[feature][label]`, the biases last.
    penalties: Vec<f32>,
}

impl<'a> Problem<'a> {
    /// `ratios` are by feature and label; their `power` is what scales.
    pub fn new(
        documents: &'a Documents,
        of: &'a [Labelled],
        active: &'a [bool],
        mut ratios: Vec<f32>,
        power: f32,
    ) -> Self {
        let labels = ratios.len() / documents.features.max(1);
        let lengths = documents.squares(active);
        for (row, active) in ratios.chunks_mut(labels.max(1)).zip(active) {
            row.iter_mut().for_each(|r| *r = if *active { r.abs().powf(power) } else { 0.0 });
        }
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
        let inverse_lengths: Vec<f32> =
            of.iter().map(|(i, _)| documents.inverse_length(*i, &lengths)).collect();
        let mut by_unit = vec![0.0f32; units.len()];
        let mut tickets = vec![0u32; labels];
        for ((i, label), by) in of.iter().zip(&inverse_lengths) {
            tickets[*label] += 1;
            documents.ticket(*i).for_each(|(unit, g)| by_unit[unit] += (g * by).powi(2));
        }
        let mut squares = vec![0.0f32; documents.features];
        each().for_each(|(unit, id, v)| squares[id as usize] += v * v * by_unit[unit as usize]);
        let share = |n: &u32| *n as f32 / of.len().max(1) as f32;
        let roots: f32 = tickets.iter().map(|n| (*n as f32).sqrt()).sum();
        let count = |n: &u32| of.len() as f32 / roots / (*n as f32).max(1.0).sqrt();
        let counts = tickets.iter().map(count).collect();
        let spreads = tickets.iter().map(share).map(|p| p * (1.0 - p)).collect();
        Self {
            documents,
            of,
            labels,
            active,
            inverse_lengths,
            ratios,
            squares,
            spreads,
            counts,
            middle_unit: middle(units.gram_starts()),
            middle_feature: middle(&feature_starts),
            feature_starts,
            unit_of,
        }
    }

    /// The weights of least loss under one penalty, searched from the parameters given or from
    /// zero; and the parameters that they come from.
    pub fn solve(&self, lambda: f64, start: Option<&[f32]>, limits: Limits) -> (Weights, Vec<f32>) {
        let scaled = self.scaled(lambda as f32);
        let units = self.units(&scaled);
        let mut x = vec![0.0f32; scaled.penalties.len()];
        if let Some(start) = start {
            for ((x, parameter), unit) in x.iter_mut().zip(start).zip(self.units(&scaled)) {
                *x = if unit > 0.0 { parameter / unit } else { 0.0 };
            }
        }
        let mut buffers = Buffers::new(self);
        minimise(&mut x, limits, |x, g| self.loss(x, &scaled, g, &mut buffers));
        drop(buffers);
        let mut weights: Vec<f32> =
            x.iter().zip(self.factors(&scaled)).map(|(x, f)| x * f).collect();
        let biases = weights.split_off(self.documents.features * self.labels);
        let weights = Weights { weights, biases: biases.into_iter().map(f64::from).collect() };
        for (x, unit) in x.iter_mut().zip(units) {
            *x = if unit.is_finite() { *x * unit } else { 0.0 };
        }
        (weights, x)
    }

    fn scaled(&self, lambda: f32) -> Scaled {
        let mut penalties = Vec::with_capacity(self.ratios.len() + self.labels);
        for feature in 0..self.documents.features {
            penalties.extend(self.bends(feature, lambda).map(|(_, bend)| lambda / bend));
        }
        penalties.extend(vec![0.0; self.labels]);
        Scaled { lambda, penalties }
    }

    /// For each label of a feature its ratio, and about how much the penalised sum bends there.
    fn bends(&self, feature: usize, lambda: f32) -> impl Iterator<Item = (f32, f32)> {
        let squares = self.squares[feature];
        let ratios = &self.ratios[feature * self.labels..][..self.labels];
        let bend = move |(ratio, spread): (&f32, &f32)| {
            (*ratio, squares * spread * ratio * ratio + lambda)
        };
        ratios.iter().zip(&self.spreads).map(bend)
    }

    /// What the variables of a feature are multiplied by to be weights. As many numbers as there
    /// are variables would be too much to keep.
    fn factors_of(&self, feature: usize, scaled: &Scaled) -> impl Iterator<Item = f32> {
        self.bends(feature, scaled.lambda).map(|(ratio, bend)| ratio / bend.sqrt())
    }

    fn bias_factors(&self) -> impl Iterator<Item = f32> {
        let tickets = self.of.len() as f32;
        self.spreads.iter().map(move |spread| (tickets * spread).max(1.0).sqrt().recip())
    }

    /// What all variables are multiplied by to be weights and biases.
    fn factors(&self, scaled: &Scaled) -> impl Iterator<Item = f32> {
        let features = (0..self.documents.features).flat_map(|f| self.factors_of(f, scaled));
        features.chain(self.bias_factors())
    }

    /// What all variables are multiplied by to be parameters.
    fn units(&self, scaled: &Scaled) -> impl Iterator<Item = f32> {
        let ratios = self.ratios.iter().copied().chain(std::iter::repeat(1.0));
        self.factors(scaled).zip(ratios).map(|(factor, ratio)| factor / ratio)
    }

    /// The penalised negative log likelihood and its gradient.
    fn loss(&self, x: &[f32], scaled: &Scaled, gradient: &mut [f32], buffers: &mut Buffers) -> f64 {
        let k = self.labels;
        let features = self.documents.features;
        let penalties = &scaled.penalties;
        let Buffers { weights, biases, units, halves, costs } = buffers;
        in_two(weights, k, features / 2, |from, rows| {
            for (i, row) in rows.chunks_mut(k).enumerate() {
                let (factors, u) = (self.factors_of(from + i, scaled), &x[(from + i) * k..][..k]);
                row.iter_mut().zip(u).zip(factors).for_each(|((w, u), factor)| *w = u * factor);
            }
        });
        let u = &x[features * k..];
        biases.iter_mut().zip(u).zip(self.bias_factors()).for_each(|((b, u), f)| *b = u * f);
        in_two(units, k, self.middle_unit, |from, rows| {
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
        in_two(&mut first.units, k, self.middle_unit, |from, sums| {
            let more = &second.units[from * k..][..sums.len()];
            sums.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
        });
        let (first, second) = (&*first, &*second);
        let (by_feature, by_bias) = gradient.split_at_mut(features * k);
        in_two(by_feature, k, self.middle_feature, |from, rows| {
            for (i, row) in rows.chunks_mut(k).enumerate() {
                let at = (from + i) * k;
                self.feature_gradient(from + i, &first.units, row);
                let (factors, u) = (self.factors_of(from + i, scaled), &x[at..][..k]);
                let penalties = &penalties[at..][..k];
                for (((g, factor), penalty), u) in row.iter_mut().zip(factors).zip(penalties).zip(u)
                {
                    *g = *g * factor + penalty * u;
                }
            }
        });
        let ends = first.biases.iter().zip(&second.biases).zip(self.bias_factors());
        for (g, ((a, b), factor)) in by_bias.iter_mut().zip(ends) {
            *g = (a + b) as f32 * factor;
        }
        let middle = costs.len() / 2;
        in_two(costs, 1, middle, |from, costs| {
            for (i, cost) in costs.iter_mut().enumerate() {
                let block = (from + i) * BLOCK..((from + i + 1) * BLOCK).min(x.len());
                let pairs = x[block.clone()].iter().zip(&penalties[block]);
                *cost = pairs.map(|(u, penalty)| penalty * u * u).sum();
            }
        });
        let penalty: f64 = costs.iter().map(|cost| f64::from(*cost)).sum();
        first.loss + second.loss + 0.5 * penalty
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
            let count = self.counts[truth];
            half.loss += f64::from(count * (sum.ln() - of_truth));
            for score in &mut scores {
                *score *= count / sum;
            }
            scores[truth] -= count;
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

    fn feature_gradient(&self, feature: usize, units: &[f32], row: &mut [f32]) {
        row.fill(0.0);
        let k = self.labels;
        let range =
            self.feature_starts[feature] as usize..self.feature_starts[feature + 1] as usize;
        for (unit, value) in &self.unit_of[range] {
            for (sum, error) in row.iter_mut().zip(&units[*unit as usize * k..][..k]) {
                *sum += value * error;
            }
        }
    }
}

/// Variables whose penalties are added up at a time.
const BLOCK: usize = 4096;

/// What one evaluation needs, kept for the next.
struct Buffers {
    /// `[feature][label]`.
    weights: Vec<f32>,
    biases: Vec<f32>,
    units: Vec<f32>,
    halves: [Half; 2],
    /// The penalty of each block of variables.
    costs: Vec<f32>,
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
            biases: vec![0.0; k],
            units: vec![0.0; units * k],
            halves: [half(), half()],
            costs: vec![0.0; ((problem.documents.features + 1) * k).div_ceil(BLOCK)],
        }
    }
}

/// Calls `work` for both parts of a table of rows at once, each with its first row's number.
fn in_two(
    table: &mut [f32],
    columns: usize,
    middle: usize,
    work: impl Fn(usize, &mut [f32]) + Sync,
) {
    let (first, second) = table.split_at_mut(middle * columns);
    std::thread::scope(|scope| {
        let work = &work;
        scope.spawn(move || work(0, first));
        work(middle, second);
    });
}

/// Where to cut rows whose ends in some longer list these are, so that both parts have as much
/// work: an entry of the list is as much as a row.
fn middle(ends: &[u32]) -> usize {
    let cost = |row: usize| ends[row] as usize + row;
    let half = cost(ends.len() - 1) / 2;
    (0..ends.len()).find(|row| cost(*row) >= half).unwrap_or(0)
}

#[cfg(test)]
mod tests;
