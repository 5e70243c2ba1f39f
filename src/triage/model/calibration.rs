//! From scores to probabilities that mean what they say.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::triage::text::language::Language;

/// Scores to probabilities. With `p = softmax(score / (temperature * n^exponent))`, where `n` is the
/// number of known words in the text, and `q` the fourth roots of `p`, made to sum to 1, they are
/// `(1 - noise - confusion) * p + noise / k + confusion * q` for `k` labels: a temperature (Guo et
/// al. 2017) that knows the text's length, a share of tickets whose label has nothing to do with
/// what they say, and one of those whose label is a near one, taken for the right one. Without
/// these the surest answers claim more than any answer can. (Zhang et al. 2020 mix a tempered
/// softmax, a plain one and an even one; here the second follows from the first.)
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Above 0.
    pub temperature: f64,
    /// From -1 (long texts are surer) over 0 (length is ignored) to 1.
    pub exponent: f64,
    /// From 0; together with `confusion` below 1.
    pub noise: f64,
    /// From 0.
    pub confusion: f64,
}

impl Calibration {
    /// No calibration.
    pub const NONE: Self = Self { temperature: 1.0, exponent: 0.0, noise: 0.0, confusion: 0.0 };

    /// What scores are multiplied by for a text of `n` words. Finite and above 0.
    pub fn scale(&self, n: u32) -> f64 {
        let length = f64::from(n.max(1)).powf(self.exponent);
        (self.temperature * length).recip()
    }

    pub fn is_valid(&self) -> bool {
        (1e-6..=1e6).contains(&self.temperature)
            && (-1.0..=1.0).contains(&self.exponent)
            && self.noise >= 0.0
            && self.confusion >= 0.0
            && self.noise + self.confusion < 1.0
    }

    /// Turns the scores of a text of `n` words into probabilities, in place. They sum to 1 and keep
    /// the scores' order, for any finite scores.
    pub fn probabilities(&self, scores: &mut [f64], n: u32) {
        softmax(scores, self.scale(n));
        let (noise, confusion) = (self.noise, self.confusion);
        let (rest, floor) = (1.0 - noise - confusion, noise / scores.len().max(1) as f64);
        let each = if confusion > 0.0 { confusion / fourth_roots(scores) } else { 0.0 };
        // Most heads of clean data have none: they need no roots.
        let near = |p: f64| if each > 0.0 { each * fourth_root(p) } else { 0.0 };
        // The parts of a sure answer can add up to a hair more than 1.
        scores.iter_mut().for_each(|p| *p = (rest * *p + floor + near(*p)).min(1.0));
    }
}

/// A probability made more like the others; to be divided by the [`fourth_roots`] of all.
pub fn fourth_root(p: f64) -> f64 {
    p.sqrt().sqrt()
}

/// The sum of the probabilities' fourth roots. Above 0, as they sum up to 1.
pub fn fourth_roots(probabilities: &[f64]) -> f64 {
    probabilities.iter().map(|p| fourth_root(*p)).sum()
}

/// A head's calibration, with one of its own for each language that had tickets enough.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibrations {
    #[serde(flatten)]
    pub overall: Calibration,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub languages: BTreeMap<Language, Calibration>,
}

impl Calibrations {
    pub fn of(&self, language: Language) -> Calibration {
        self.languages.get(&language).copied().unwrap_or(self.overall)
    }

    pub fn is_valid(&self) -> bool {
        self.overall.is_valid() && self.languages.values().all(Calibration::is_valid)
    }
}

impl From<Calibration> for Calibrations {
    fn from(overall: Calibration) -> Self {
        Self { overall, languages: BTreeMap::new() }
    }
}

/// Turns `scores` into probabilities in place, after multiplying them by `scale`; they sum to 1
/// for any finite scores.
fn softmax(scores: &mut [f64], scale: f64) {
    let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut sum = 0.0;
    for score in scores.iter_mut() {
        *score = ((*score - top) * scale).exp();
        sum += *score;
    }
    scores.iter_mut().for_each(|p| *p /= sum);
}
