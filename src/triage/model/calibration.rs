//! From scores to probabilities that mean what they say.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::triage::text::language::Language;

/// Scores to probabilities: `(1 - noise) * softmax(score / (temperature * n^exponent)) + noise / k`,
/// where `n` is the number of known words in the text and `k` that of the labels. A temperature
/// (Guo et al. 2017) that knows the text's length, and a share of tickets whose label has nothing
/// to do with what they say: without it the surest answers claim more than any answer can.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Above 0.
    pub temperature: f64,
    /// From -1 (long texts are surer) over 0 (length is ignored) to 1.
    pub exponent: f64,
    /// From 0 to below 1.
    #[serde(default)]
    pub noise: f64,
}

impl Calibration {
    /// No calibration.
    pub const NONE: Self = Self { temperature: 1.0, exponent: 0.0, noise: 0.0 };

    /// What scores are multiplied by for a text of `n` words. Finite and above 0.
    pub fn scale(&self, n: u32) -> f64 {
        let length = f64::from(n.max(1)).powf(self.exponent);
        (self.temperature * length).recip()
    }

    pub fn is_valid(&self) -> bool {
        (1e-6..=1e6).contains(&self.temperature)
            && (-1.0..=1.0).contains(&self.exponent)
            && (0.0..1.0).contains(&self.noise)
    }

    /// Turns the scores of a text of `n` words into probabilities, in place. They sum to 1 and keep
    /// the scores' order, for any finite scores.
    pub fn probabilities(&self, scores: &mut [f64], n: u32) {
        softmax(scores, self.scale(n));
        let (rest, floor) = (1.0 - self.noise, self.noise / scores.len().max(1) as f64);
        scores.iter_mut().for_each(|p| *p = rest * *p + floor);
    }
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
