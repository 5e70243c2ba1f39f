//! How good a model is on labelled tickets, in the numbers that a service desk asks for.

mod doubt;
mod measure;
mod predict;

use std::collections::BTreeMap;

use serde::Serialize;

use super::audit::duplicates;
use super::data::Example;
use super::wilson::{TWO_SIDED_95, interval_of_share};
use crate::triage::model::{Model, Target};
use crate::triage::text::language::Language;

pub(in crate::train) use doubt::{held_back, usual_policy};
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
    /// Tickets that people look at by the default policy, however sure the model is: too short, too
    /// many unknown words, or out of scope.
    pub held_back: u64,
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
    /// Those of them whose text, or nearly so, and label came before. Shares are over all tickets;
    /// intervals, bounds and `use_for` count a text and its label once.
    #[serde(skip_serializing_if = "is_zero")]
    pub copies: u64,
    /// Labels that the model does not know, with their tickets: it cannot be right about them.
    pub unknown_labels: BTreeMap<String, u64>,
    pub accuracy: f64,
    /// What always saying these tickets' most frequent label would reach.
    pub majority: f64,
    /// Mean of the labels' F1, over the labels that these tickets have.
    pub macro_f1: f64,
    /// Expected calibration error over `bins`.
    pub calibration_error: f64,
    /// Mean of `-ln p(truth)`, over the tickets whose label the model knows; none without any.
    pub log_loss: Option<f64>,
    /// Mean of the squared differences between probabilities and truth, summed over labels; over the same
    /// tickets.
    pub brier: Option<f64>,
    /// Share of tickets that may be decided alone at a precision, with the threshold chosen on
    /// these very tickets.
    pub coverage_at: Vec<Coverage>,
    /// Share of tickets that are decided alone: at or above the model's own threshold, and not held
    /// back by the default policy. At the first level, too, it is the whole label's threshold.
    pub coverage: f64,
    /// Share of those that were right; 0 where there are none.
    pub precision: f64,
    pub labels: Vec<LabelScores>,
    /// Those with tickets, of 15 of equal width from 0 to 1.
    pub bins: Vec<Bin>,
    /// From the surest tickets to all that may be decided alone, in about 50 steps.
    pub curve: Vec<CurvePoint>,
    /// `[truth, answer, tickets]`, the first two as places in `labels`, where there are any tickets.
    pub confusion: Vec<(usize, usize, u64)>,
    /// The most frequent mistakes, the most frequent first.
    pub confusions: Vec<Confusion>,
    pub languages: Vec<LanguageScores>,
}

impl HeadEvaluation {
    /// How many tickets may be decided alone if [`WANTED`] of those are to be right.
    pub fn coverage_at_wanted(&self) -> Option<&Coverage> {
        self.coverage_at.iter().find(|c| c.precision == WANTED)
    }

    /// Tickets that are decided alone, and how many of them were right.
    pub fn decided(&self) -> (u64, u64) {
        let sum = |of: fn(&LabelScores) -> u64| self.labels.iter().map(of).sum::<u64>();
        (sum(|l| l.decided), sum(|l| l.decided_right))
    }

    /// Share of those that were right, where there are any.
    pub fn precision_alone(&self) -> Option<f64> {
        (self.decided().0 > 0).then_some(self.precision)
    }

    /// What the accuracy may be of all such tickets, with 95 % (Wilson's interval).
    pub fn accuracy_interval(&self) -> (f64, f64) {
        interval_of_share(self.accuracy, self.distinct(), TWO_SIDED_95)
    }

    /// Tickets that are no copies of others.
    pub fn distinct(&self) -> u64 {
        self.tickets.saturating_sub(self.copies)
    }

    /// Tickets whose label the model knows.
    pub fn known(&self) -> u64 {
        self.tickets.saturating_sub(self.unknown_labels.values().sum())
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
    /// Answers that are decided alone, as in [`HeadEvaluation::coverage`], and how many of those
    /// were right.
    pub decided: u64,
    pub decided_right: u64,
    /// Those of the answers decided alone that are copies of others.
    #[serde(skip)]
    pub decided_copies: u64,
    pub use_for: Use,
}

/// What a label is good for, as far as the tickets show, copies left out. Lower bounds are
/// one-sided, 95 %.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Use {
    /// Of all its answers, 90 % or more are right at the lower bound. This and the two below ask
    /// that it decides a tenth of its answers or more alone.
    Always,
    /// So are those that it decides alone.
    WhenSure,
    /// Those that it decides alone are too few to show that without the other small labels'.
    WhenSureTogether,
    /// F1 of 0.5 or more: a proposal to a person.
    Proposal,
    /// It decides alone, and at the upper bound fewer than 90 % of that are right.
    WhenSureBelow,
    /// Worse than a proposal.
    NotYet,
    /// Fewer than 20 tickets have it, and it decides next to nothing alone.
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
    /// Those of them that are copies of others.
    #[serde(skip)]
    pub copies: u64,
    pub confidence: f64,
    pub accuracy: f64,
}

/// Where there are no copies, nothing is said of them.
pub(super) fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// Judges every ticket and measures every head that both the model and the tickets have.
pub fn evaluate(model: &Model, examples: &[Example]) -> Evaluation {
    let groups = duplicates::find(examples).groups;
    predict(model, examples, &groups, || ()).evaluation(model.id.as_str(), &model.version)
}
