//! How good a model is on labelled tickets, in the numbers that a service desk asks for.

mod measure;
mod predict;

use std::collections::BTreeMap;

use serde::Serialize;

use super::data::Example;
use crate::triage::model::{Model, Target};
use crate::triage::text::language::Language;

pub use predict::{HeadPredictions, Predicted, Predictions, predict};

/// The precision that a head's and a language's usefulness is compared at.
pub const WANTED: f64 = 0.95;
/// Precisions that the coverage is reported at.
const PRECISIONS: [f64; 3] = [0.90, WANTED, 0.99];

/// Everything measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evaluation {
    pub model: String,
    pub version: String,
    pub tickets: u64,
    /// Share of the words that the model does not know.
    pub unknown_words: f64,
    /// One a head; the category twice when its labels have two levels (`Network/VPN`).
    pub heads: Vec<HeadEvaluation>,
}

/// One head, or the first level of one. Shares are from 0 to 1.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HeadEvaluation {
    pub target: Target,
    /// The labels' parts before the `/` only; the probabilities of those alike are added up.
    pub first_level: bool,
    /// Tickets with a label; all numbers are over these, but for the two scores of probabilities.
    pub tickets: u64,
    /// Labels that the model does not know, with their tickets: it cannot be right about them.
    pub unknown_labels: BTreeMap<String, u64>,
    pub accuracy: f64,
    /// What always saying these tickets' most frequent label would reach.
    pub majority: f64,
    /// Mean of the labels' F1, over the labels that these tickets have.
    pub macro_f1: f64,
    /// Expected calibration error over `bins`.
    pub calibration_error: f64,
    /// Mean of `-ln p(truth)`, over the tickets whose label the model knows.
    pub log_loss: f64,
    /// Mean of the squared differences between probabilities and truth, summed over labels; over the same
    /// tickets.
    pub brier: f64,
    /// Share of tickets that may be decided alone at a precision, with the threshold chosen on
    /// these very tickets.
    pub coverage_at: Vec<Coverage>,
    /// Share of tickets at or above the model's own threshold; at the first level, too, that of
    /// the whole label.
    pub coverage: f64,
    /// Share of those that were right.
    pub precision: f64,
    pub labels: Vec<LabelScores>,
    /// Those with tickets, of 15 of equal width from 0 to 1.
    pub bins: Vec<Bin>,
    /// From the surest tickets to all of them, in about 50 steps.
    pub curve: Vec<CurvePoint>,
    /// `[truth][answer]`, in the order of `labels`.
    pub confusion: Vec<Vec<u64>>,
    /// The most frequent mistakes, the most frequent first.
    pub confusions: Vec<Confusion>,
    pub languages: Vec<LanguageScores>,
}

impl HeadEvaluation {
    /// How many tickets may be decided alone if [`WANTED`] of those are to be right.
    pub fn coverage_at_wanted(&self) -> Option<&Coverage> {
        self.coverage_at.iter().find(|c| c.precision == WANTED)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Coverage {
    pub precision: f64,
    /// None when no threshold reaches the precision.
    pub threshold: Option<f64>,
    pub coverage: f64,
}

/// Deciding alone at or above a confidence: how many tickets that takes in, and how many of
/// those are right.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct CurvePoint {
    pub threshold: f64,
    pub coverage: f64,
    pub precision: f64,
}

/// One label. Intervals hold the true share with 95 % (Wilson's).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LabelScores {
    pub label: String,
    /// Tickets that have this label.
    pub support: u64,
    /// Tickets that the model gave this label.
    pub answered: u64,
    pub precision: f64,
    pub precision_interval: (f64, f64),
    pub recall: f64,
    pub recall_interval: (f64, f64),
    pub f1: f64,
    /// The model's own threshold for it, above 1 for never; none at the first level.
    pub threshold: Option<f64>,
    /// Answers at or above the model's own threshold, and how many of those were right.
    pub decided: u64,
    pub decided_right: u64,
    pub use_for: Use,
}

/// What a label is good for, as far as the tickets show. Lower bounds are one-sided, 95 %.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Use {
    /// Of all its answers, 90 % or more are right at the lower bound.
    Always,
    /// So are those at or above its threshold, and these are a tenth of its answers or more.
    WhenSure,
    /// F1 of 0.5 or more: a proposal to a person.
    Proposal,
    /// Worse than that.
    NotYet,
    /// Fewer than 20 tickets have it.
    TooFew,
}

/// Tickets of one label that were given another.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Confusion {
    pub truth: String,
    pub answer: String,
    pub tickets: u64,
    /// Of the tickets with the true label.
    pub share: f64,
}

/// The tickets of one language.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct LanguageScores {
    pub language: Language,
    pub tickets: u64,
    pub accuracy: f64,
    pub calibration_error: f64,
    /// Share that may be decided alone with 95 % of those right, with a threshold of its own.
    pub coverage_at_95: f64,
}

/// Tickets of like confidence: what was claimed and what was right.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Bin {
    pub from: f64,
    pub to: f64,
    pub tickets: u64,
    pub confidence: f64,
    pub accuracy: f64,
}

/// Judges every ticket and measures every head that both the model and the tickets have.
pub fn evaluate(model: &Model, examples: &[Example]) -> Evaluation {
    predict(model, examples, || ()).evaluation(model.id.as_str(), &model.version)
}
