//! Multinomial naive Bayes from sums of features.
//!
//! The model is that of `linfa-bayes`: smoothed sums, log probabilities, log priors. Its own
//! `fit` takes dense rows only and prints its whole state on the standard error stream for every
//! class, so the sufficient statistics, which are sums, are counted here sparsely and the fit is
//! handed to linfa's type ([`Fitted::to_linfa`]). Tests hold that it equals linfa's fit of the
//! same rows, and every training run compares its scores with linfa's.

use std::sync::Arc;

use linfa_bayes::MultinomialNb;
use serde_json::{Map, Value, json};

use super::documents::Documents;

/// The features of one ticket: distinct ids with their values.
pub type Sparse = Vec<(u32, f64)>;

/// Sums over a head's tickets.
#[derive(Clone, Debug)]
pub struct Counts {
    pub labels: Vec<Arc<str>>,
    /// For each label, its tickets.
    pub tickets: Vec<u64>,
    /// For each label, the sum of each feature's values over its tickets.
    pub features: Vec<Vec<f64>>,
}

impl Counts {
    pub fn new(labels: Vec<Arc<str>>, features: usize) -> Self {
        let n = labels.len();
        Self { labels, tickets: vec![0; n], features: vec![vec![0.0; features]; n] }
    }

    /// Adds a ticket of the label at `label`.
    pub fn add(&mut self, label: usize, ticket: &Sparse) {
        self.tickets[label] += 1;
        for (id, value) in ticket {
            self.features[label][*id as usize] += value;
        }
    }

    /// As [`Self::add`] for each ticket of `of`, which are places in `documents` with labels, but
    /// a unit at a time.
    pub fn of(
        labels: Vec<Arc<str>>,
        documents: &Documents,
        of: &[(usize, usize)],
        active: &[bool],
    ) -> Self {
        let squares = documents.squares(active);
        let mut new = Self::new(labels, documents.features);
        // By unit and label, then by feature and label: what is added up together is together.
        let k = new.labels.len();
        let mut units = vec![0.0f32; documents.units.len() * k];
        for (i, label) in of {
            new.tickets[*label] += 1;
            let by = documents.inverse_length(*i, &squares);
            for (unit, g) in documents.ticket(*i) {
                units[unit * k + label] += g * by;
            }
        }
        let mut features = vec![0.0f64; documents.features * k];
        for (unit, row) in units.chunks(k.max(1)).enumerate() {
            for (id, value) in documents.units.values(unit, &documents.scales, active) {
                let sums = &mut features[id as usize * k..][..k];
                for (sum, unit) in sums.iter_mut().zip(row) {
                    *sum += f64::from(value) * f64::from(*unit);
                }
            }
        }
        drop(units);
        for (label, own) in new.features.iter_mut().enumerate() {
            let rows = features.iter().skip(label).step_by(k.max(1));
            own.iter_mut().zip(rows).for_each(|(own, sum)| *own = *sum);
        }
        new
    }

    /// `ln((count + alpha) / sum(count + alpha))`, label by label; priors are shares of tickets.
    pub fn fit(&self, alpha: f64) -> Fitted {
        let all: u64 = self.tickets.iter().sum();
        let log_probabilities = self.features.iter().map(|counts| {
            let total: f64 = counts.iter().map(|n| n + alpha).sum();
            counts.iter().map(|n| (n + alpha).ln() - total.ln()).collect()
        });
        Fitted {
            log_priors: self.tickets.iter().map(|n| (*n as f64 / all as f64).ln()).collect(),
            log_probabilities: log_probabilities.collect(),
        }
    }

    /// How much more often each feature occurs in a label than in the others: the log of naive
    /// Bayes' probability over that of its complement, by feature and label.
    pub fn ratios(&self, alpha: f64) -> Vec<f32> {
        let labels = self.features.len();
        let width = self.features.first().map_or(0, Vec::len);
        let mut own = vec![0.0; labels];
        let mut all = vec![0.0; width];
        for (total, features) in own.iter_mut().zip(&self.features) {
            all.iter_mut().zip(features).for_each(|(sum, value)| *sum += value);
            *total = features.iter().map(|n| n + alpha).sum::<f64>();
        }
        let smoothed: f64 = all.iter().map(|n| n + alpha).sum();
        let alphas = alpha * width as f64;
        let bias = |total: &f64| (smoothed - total + alphas).ln() - total.ln();
        let biases: Vec<f64> = own.iter().map(bias).collect();
        let mut ratios = vec![0.0; width * labels];
        for (label, (features, bias)) in self.features.iter().zip(biases).enumerate() {
            for (feature, (n, all)) in features.iter().zip(&all).enumerate() {
                // What is left of a difference of sums can be a trifle below zero.
                let rest = (all - n).max(0.0) + alpha;
                ratios[feature * labels + label] = (((n + alpha) / rest).ln() + bias) as f32;
            }
        }
        ratios
    }

    /// The log probability of each feature in the tickets of all other labels, label by label
    /// (complement naive Bayes; Rennie et al. 2003, without their normalisation of weights).
    pub fn complement(&self, alpha: f64) -> Vec<Vec<f64>> {
        let width = self.features.first().map_or(0, Vec::len);
        let mut all = vec![0.0; width];
        for features in &self.features {
            all.iter_mut().zip(features).for_each(|(sum, value)| *sum += value);
        }
        let of = |features: &Vec<f64>| -> Vec<f64> {
            let rest: Vec<f64> = all.iter().zip(features).map(|(a, f)| a - f + alpha).collect();
            let total = rest.iter().sum::<f64>().ln();
            rest.iter().map(|n| n.max(f64::MIN_POSITIVE).ln() - total).collect()
        };
        self.features.iter().map(of).collect()
    }
}

/// A fitted head.
#[derive(Clone, Debug, PartialEq)]
pub struct Fitted {
    /// By label.
    pub log_priors: Vec<f64>,
    /// `[label][feature]`.
    pub log_probabilities: Vec<Vec<f64>>,
}

impl Fitted {
    /// Unnormalised log posterior of a ticket, one for each label.
    pub fn joint_log_likelihood(&self, ticket: &Sparse) -> Vec<f64> {
        let sum = |row: &Vec<f64>| -> f64 {
            ticket.iter().map(|(id, value)| value * row[*id as usize]).sum()
        };
        self.log_priors.iter().zip(&self.log_probabilities).map(|(p, row)| p + sum(row)).collect()
    }

    /// The fit as linfa's own type, over `features` only: those that do not occur in what is to
    /// be scored add nothing. Classes are named by their place.
    ///
    /// linfa keeps its fields private, so they go through serde; a change of their form in a later
    /// version of linfa comes back as the error.
    ///
    /// # Errors
    /// When linfa's type does not take them.
    pub fn to_linfa(
        &self,
        features: &[u32],
    ) -> Result<MultinomialNb<f64, usize>, serde_json::Error> {
        let array = |values: Vec<f64>| json!({"v": 1, "dim": [values.len()], "data": values});
        let class = |(i, (prior, row)): (usize, (&f64, &Vec<f64>))| {
            let info = json!({
                "class_count": 1,
                "prior": prior.exp(),
                "feature_count": array(vec![0.0; features.len()]),
                "feature_log_prob": array(features.iter().map(|f| row[*f as usize]).collect()),
            });
            (i.to_string(), info)
        };
        let classes: Map<String, Value> =
            self.log_priors.iter().zip(&self.log_probabilities).enumerate().map(class).collect();
        serde_json::from_value(json!({"class_info": classes}))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hand_computed_fit() {
        let labels = ["a", "b"].map(Arc::from).to_vec();
        let mut counts = Counts::new(labels, 2);
        counts.add(0, &vec![(0, 3.0)]);
        counts.add(0, &vec![(0, 1.0), (1, 1.0)]);
        counts.add(1, &vec![(1, 2.0)]);
        let fitted = counts.fit(1.0);
        assert_eq!(fitted.log_priors, [(2.0f64 / 3.0).ln(), (1.0f64 / 3.0).ln()]);
        assert!((fitted.log_probabilities[0][0] - (5.0f64 / 7.0).ln()).abs() < 1e-15);
        assert!((fitted.log_probabilities[1][0] - (1.0f64 / 4.0).ln()).abs() < 1e-15);
        let scores = fitted.joint_log_likelihood(&vec![(0, 2.0)]);
        let expected = (2.0f64 / 3.0).ln() + 2.0 * (5.0f64 / 7.0).ln();
        assert!((scores[0] - expected).abs() < 1e-14);
        // Of the other label's tickets.
        let complement = counts.complement(1.0);
        let ratio = fitted.log_probabilities[0][1] - complement[0][1];
        assert!((f64::from(counts.ratios(1.0)[2]) - ratio).abs() < 1e-6);
        assert!((complement[0][0] - (1.0f64 / 4.0).ln()).abs() < 1e-15);
        assert!((complement[1][1] - (2.0f64 / 7.0).ln()).abs() < 1e-15);
    }
}
