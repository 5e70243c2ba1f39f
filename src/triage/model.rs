//! The model: multinomial naive Bayes over word pieces, calibrated.
//!
//! A class's score is its log prior plus, for each piece of the text, the piece's log
//! probability in that class: the joint log-likelihood. Scores become probabilities through a
//! length-aware temperature ([`Calibration`]), because naive Bayes counts every piece as
//! independent evidence and so grows too sure with the text's length.

mod explain;

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::text::language::{Language, Letters};
use super::text::pieces::{Bag, WordPieces};
use super::text::redact::{MaskCounts, redact};
use super::text::window;

pub use explain::{Explanation, SHOWN, WordWeight};

/// What a head tells about a ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    Category,
    Priority,
    Impact,
    Urgency,
}

impl Target {
    pub const ALL: [Self; 4] = [Self::Category, Self::Priority, Self::Impact, Self::Urgency];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Category => "category",
            Self::Priority => "priority",
            Self::Impact => "impact",
            Self::Urgency => "urgency",
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Names a model by what is in it: equal ids, equal decisions.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModelId(Arc<str>);

impl ModelId {
    pub fn new(id: impl Into<Arc<str>>) -> Self {
        Self(id.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ModelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Scores to probabilities: `softmax(score / (temperature * n^exponent))`, where `n` is the
/// number of pieces in the text. A temperature (Guo et al. 2017) that knows the text's length.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Above 0.
    pub temperature: f64,
    /// From 0 (length is ignored) to 1 (the score is a mean over the text).
    pub exponent: f64,
}

impl Calibration {
    /// No calibration: the plain naive Bayes posterior.
    pub const NONE: Self = Self { temperature: 1.0, exponent: 0.0 };

    /// What scores are multiplied by for a text of `n` pieces. Finite and above 0.
    pub fn scale(&self, n: u32) -> f64 {
        let length = f64::from(n.max(1)).powf(self.exponent);
        (self.temperature * length).recip()
    }

    pub fn is_valid(&self) -> bool {
        (1e-6..=1e6).contains(&self.temperature) && (0.0..=1.0).contains(&self.exponent)
    }
}

/// Turns `scores` into log-probabilities in place, after multiplying them by `scale`. Finite and
/// of probabilities that sum to 1, for any finite scores.
pub fn log_softmax(scores: &mut [f64], scale: f64) {
    let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut sum = 0.0;
    for score in scores.iter_mut() {
        *score = (*score - top) * scale;
        sum += score.exp();
    }
    // The greatest score adds 1, so the sum is at least 1.
    let log_sum = sum.ln();
    for score in scores.iter_mut() {
        *score -= log_sum;
    }
}

/// One thing that the model tells: its labels and how its scores become probabilities.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    pub target: Target,
    /// In byte order. An index into these is what a judgement holds.
    pub labels: Vec<Arc<str>>,
    /// For each label, the lowest confidence at which it is right often enough. Above 1: never.
    pub thresholds: Vec<f64>,
    pub calibration: Calibration,
    /// For each label, the logarithm of its share in the training data.
    pub log_priors: Vec<f64>,
}

/// What [`Model::new`] builds a model from.
pub struct Parts {
    pub id: ModelId,
    pub version: String,
    pub pieces: WordPieces,
    /// At most one a target.
    pub heads: Vec<Head>,
    /// `[piece][label]`, the labels of all heads side by side in the order of `heads`: log
    /// probabilities of the piece in the label's texts. The row of the unknown piece is not read.
    pub weights: Vec<f32>,
}

/// Why parts do not make a model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    #[error("the {0} head is there twice")]
    Twice(Target),
    #[error("the {target} head has {labels} labels but {found} {what}")]
    Count { target: Target, labels: usize, what: &'static str, found: usize },
    #[error("the labels of the {0} head are not distinct and in order")]
    Order(Target),
    #[error("the {target} head has a {what} that is out of range or not a number")]
    Range { target: Target, what: &'static str },
    #[error("{found} weights for {pieces} pieces and {labels} labels: {} were expected", pieces * labels)]
    Weights { found: usize, pieces: usize, labels: usize },
    #[error("the weight of piece {piece} and label {label} is not a number")]
    NotANumber { piece: usize, label: usize },
}

/// A fitted, calibrated model. Immutable; one is shared by all who use it.
pub struct Model {
    /// From the contents of the bundle.
    pub id: ModelId,
    /// The name that people gave it.
    pub version: String,
    pieces: WordPieces,
    heads: Vec<Head>,
    /// For each target, its place in `heads` and its first column.
    places: [Option<(usize, usize)>; 4],
    columns: usize,
    weights: Vec<f32>,
    log_priors: Vec<f64>,
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Model")
            .field("id", &self.id)
            .field("version", &self.version)
            .field("pieces", &self.pieces.len())
            .field("labels", &self.columns)
            .finish_non_exhaustive()
    }
}

/// Buffers that are kept from one ticket to the next. What is in them never changes an outcome.
#[derive(Default)]
pub struct Scratch {
    bag: Bag,
    scores: Vec<f64>,
}

/// What the model says about one ticket.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement {
    /// By target, in the order of [`Target::ALL`]; none where the model has no such head.
    pub heads: [Option<HeadJudgement>; 4],
    pub masks: MaskCounts,
    /// Pieces that were counted, repetitions included.
    pub tokens: u32,
    /// Words, repetitions included.
    pub words: u32,
    /// Words among them that the model does not know: no piece covers them, or only single letters
    /// do.
    pub unknown: u32,
    pub language: Language,
    /// Of the category: the best label against the runner-up.
    pub explanation: Explanation,
}

impl Judgement {
    pub fn head(&self, target: Target) -> Option<&HeadJudgement> {
        self.heads[target as usize].as_ref()
    }
}

/// One head's answer. Ties go to the label that comes first.
#[derive(Clone, Debug, PartialEq)]
pub struct HeadJudgement {
    /// For each label, calibrated; they sum to 1.
    pub probabilities: Vec<f64>,
    pub best: usize,
    /// None when the head has one label only.
    pub runner_up: Option<usize>,
}

impl HeadJudgement {
    /// The probability of the best label.
    pub fn confidence(&self) -> f64 {
        self.probabilities.get(self.best).copied().unwrap_or(0.0)
    }
}

impl Model {
    /// Checks the parts and builds the model.
    ///
    /// # Errors
    /// [`ModelError`] says which part does not fit.
    pub fn new(parts: Parts) -> Result<Self, ModelError> {
        let Parts { id, version, pieces, heads, weights } = parts;
        let mut places = [None; 4];
        let mut columns = 0;
        for (i, head) in heads.iter().enumerate() {
            check(head)?;
            if places[head.target as usize].replace((i, columns)).is_some() {
                return Err(ModelError::Twice(head.target));
            }
            columns += head.labels.len();
        }
        if weights.len() != pieces.len() * columns {
            let (found, pieces) = (weights.len(), pieces.len());
            return Err(ModelError::Weights { found, pieces, labels: columns });
        }
        if let Some(i) = weights.iter().position(|w| !w.is_finite()) {
            return Err(ModelError::NotANumber { piece: i / columns, label: i % columns });
        }
        let log_priors = heads.iter().flat_map(|h| h.log_priors.iter().copied()).collect();
        Ok(Self { id, version, pieces, heads, places, columns, weights, log_priors })
    }

    pub fn head(&self, target: Target) -> Option<&Head> {
        self.places[target as usize].map(|(i, _)| &self.heads[i])
    }

    /// The heads in the order of the weights' columns.
    pub fn heads(&self) -> &[Head] {
        &self.heads
    }

    pub fn pieces(&self) -> &WordPieces {
        &self.pieces
    }

    /// `[piece][label]` as in [`Parts`].
    pub fn weights(&self) -> &[f32] {
        &self.weights
    }

    /// What the model says about a ticket. Same model and same text, same judgement, to the bit.
    pub fn judge(&self, scratch: &mut Scratch, subject: &str, body: &str) -> Judgement {
        let (masks, language) = self.read(scratch, subject, body);
        self.score(scratch);
        let heads = self.probabilities(scratch);
        let explanation = self.explain(scratch, &heads, Some(SHOWN));
        let bag = &scratch.bag;
        Judgement {
            heads,
            masks,
            tokens: bag.features(),
            words: bag.occurrences(),
            unknown: bag.unknown() + bag.spelt(),
            language,
            explanation,
        }
    }

    /// As [`Self::judge`], but the explanation lists every word.
    pub fn explain_all(&self, scratch: &mut Scratch, subject: &str, body: &str) -> Judgement {
        let mut judgement = self.judge(scratch, subject, body);
        judgement.explanation = self.explain(scratch, &judgement.heads, None);
        judgement
    }

    /// Joint log-likelihoods of a text's pieces, uncalibrated, one for each column: for tests and
    /// for fitting the calibration.
    pub fn joint_log_likelihood(&self, scratch: &mut Scratch, text: &str) -> (Vec<f64>, u32) {
        scratch.bag.clear();
        scratch.bag.add(&self.pieces, text);
        self.score(scratch);
        (scratch.scores.clone(), scratch.bag.features())
    }

    /// First step of [`Self::judge`]: the ticket's redacted words into the scratch.
    pub fn read(&self, scratch: &mut Scratch, subject: &str, body: &str) -> (MaskCounts, Language) {
        let bag = &mut scratch.bag;
        bag.clear();
        let mut masks = MaskCounts::default();
        let mut letters = Letters::default();
        for text in [subject, body] {
            let (text, found) = redact(text);
            masks = masks.plus(found);
            let (head, tail) = window(&text);
            for part in [head, tail] {
                letters = letters.plus(Letters::of(part));
                bag.add(&self.pieces, part);
            }
        }
        (masks, letters.language())
    }

    /// Second step: the scores of the words in the scratch, one row of weights a piece.
    pub fn score(&self, scratch: &mut Scratch) {
        let Scratch { bag, scores } = scratch;
        scores.clear();
        scores.extend_from_slice(&self.log_priors);
        for word in bag.words() {
            let count = f64::from(word.count);
            for id in word.ids {
                for (score, weight) in scores.iter_mut().zip(self.row(*id)) {
                    *score += count * f64::from(*weight);
                }
            }
        }
    }

    fn row(&self, id: u32) -> &[f32] {
        let start = id as usize * self.columns;
        &self.weights[start..start + self.columns]
    }

    /// Third step: scores to probabilities.
    pub fn probabilities(&self, scratch: &Scratch) -> [Option<HeadJudgement>; 4] {
        Target::ALL.map(|target| {
            let (i, first) = self.places[target as usize]?;
            let head = &self.heads[i];
            let scores = &scratch.scores[first..first + head.labels.len()];
            let (best, runner_up) = top_two(scores);
            let mut probabilities = scores.to_vec();
            log_softmax(&mut probabilities, head.calibration.scale(scratch.bag.features()));
            for p in &mut probabilities {
                *p = p.exp();
            }
            Some(HeadJudgement { probabilities, best, runner_up })
        })
    }

    /// Last step: why the best category beat the runner-up; the `shown` weightiest words, or all.
    pub fn explain(
        &self,
        scratch: &Scratch,
        heads: &[Option<HeadJudgement>; 4],
        shown: Option<usize>,
    ) -> Explanation {
        let judged = heads[Target::Category as usize].as_ref();
        let place = self.places[Target::Category as usize];
        let (Some(judged), Some((i, first))) = (judged, place) else {
            return Explanation::default();
        };
        let Some(runner_up) = judged.runner_up else { return Explanation::default() };
        let scale = self.heads[i].calibration.scale(scratch.bag.features());
        let (best, second) = (first + judged.best, first + runner_up);
        let words = scratch.bag.words().filter(|w| !w.ids.is_empty()).map(|w| {
            let sum: f64 = w
                .ids
                .iter()
                .map(|id| self.row(*id))
                .map(|row| f64::from(row[best]) - f64::from(row[second]))
                .sum();
            (w, sum * f64::from(w.count) * scale)
        });
        let prior = (self.log_priors[best] - self.log_priors[second]) * scale;
        let total = (scratch.scores[best] - scratch.scores[second]) * scale;
        Explanation::new(words, prior, total, shown)
    }
}

/// The places of the greatest and the second greatest score; the first of equals.
fn top_two(scores: &[f64]) -> (usize, Option<usize>) {
    let mut best = 0;
    let mut second = None;
    for (i, score) in scores.iter().enumerate().skip(1) {
        if *score > scores[best] {
            second = Some(best);
            best = i;
        } else if second.is_none_or(|s: usize| *score > scores[s]) {
            second = Some(i);
        }
    }
    (best, second)
}

fn check(head: &Head) -> Result<(), ModelError> {
    let target = head.target;
    let labels = head.labels.len();
    for (what, found) in [("thresholds", head.thresholds.len()), ("priors", head.log_priors.len())]
    {
        if found != labels || labels == 0 {
            return Err(ModelError::Count { target, labels, what, found });
        }
    }
    if !head.labels.is_sorted_by(|a, b| a < b) {
        return Err(ModelError::Order(target));
    }
    let range = |ok, what| if ok { Ok(()) } else { Err(ModelError::Range { target, what }) };
    range(head.thresholds.iter().all(|t| (0.0..=2.0).contains(t)), "threshold")?;
    range(head.log_priors.iter().all(|p| p.is_finite() && *p <= 0.0), "prior")?;
    range(head.calibration.is_valid(), "calibration")
}

#[cfg(test)]
mod tests;
