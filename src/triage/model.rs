//! The model: a calibrated sum over a ticket's words, their n-grams, pairs of neighbours and fields.
//!
//! A label's score is its bias plus, for each feature of the ticket, the feature's value
//! ([`table::Table`]) by its weight in that label. How the weights were learnt, by naive Bayes,
//! its complement or the sharpened form, makes no difference here. Scores become probabilities
//! through a length-aware temperature ([`Calibration`]).

pub mod calibration;
mod explain;
pub mod scope;
pub mod table;

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::text::Text;
use super::text::bag::Bag;
use super::text::fields::Source;
use super::text::language::{Language, Letters};
use super::text::lexicon::Lexicon;
use super::text::redact::{MaskCounts, redact};
use super::text::window;
use scope::Scope;
use table::{Sums, Table};

pub use calibration::{Calibration, Calibrations};
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

/// One thing that the model tells: its labels and how its scores become probabilities.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    pub target: Target,
    /// In byte order. An index into these is what a judgement holds.
    pub labels: Vec<Arc<str>>,
    /// For each label, the lowest confidence at which it is right often enough. Above 1: never.
    pub thresholds: Vec<f64>,
    pub calibration: Calibrations,
    /// For each label, its score before any word is read.
    pub bias: Vec<f64>,
}

/// What [`Model::new`] builds a model from.
pub struct Parts {
    pub id: ModelId,
    pub version: String,
    pub lexicon: Lexicon,
    /// How often a word of the subject counts, where one of the body counts once.
    pub subject_weight: f32,
    /// At most one a target.
    pub heads: Vec<Head>,
    /// By entry of the lexicon: the value of the feature where it occurs once.
    pub scales: Vec<f32>,
    /// `[entry][label]`, the labels of all heads side by side in the order of `heads`.
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
    #[error("{found} weights and {scales} scales for {entries} entries and {labels} labels")]
    Weights { found: usize, scales: usize, entries: usize, labels: usize },
    #[error("the weight of entry {entry} and label {label} is not a number")]
    NotANumber { entry: usize, label: usize },
    #[error("the scale of entry {entry} is out of range or not a number")]
    Scale { entry: usize },
    #[error("the weight of the subject is out of range or not a number")]
    SubjectWeight,
    #[error("a bound of its scope is out of range or not a number")]
    Scope,
}

/// A fitted, calibrated model. Immutable; one is shared by all who use it.
pub struct Model {
    /// From the contents of the bundle.
    pub id: ModelId,
    /// The name that people gave it.
    pub version: String,
    lexicon: Lexicon,
    subject_weight: f32,
    fields: Vec<Source>,
    scope: Scope,
    heads: Vec<Head>,
    /// For each target, its place in `heads` and its first column.
    places: [Option<(usize, usize)>; 4],
    columns: usize,
    table: Table,
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Model")
            .field("id", &self.id)
            .field("version", &self.version)
            .field("entries", &self.lexicon.len())
            .field("labels", &self.columns)
            .finish_non_exhaustive()
    }
}

/// Buffers that are kept from one ticket to the next. What is in them never changes an outcome.
#[derive(Default)]
pub struct Scratch {
    bag: Bag,
    sums: Sums,
}

impl Scratch {
    /// How many words of the last ticket are in the vocabulary, and how many there are.
    pub fn words(&self) -> (u32, u32) {
        (self.bag.listed(), self.bag.occurrences())
    }
}

/// What the model says about one ticket.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement {
    /// By target, in the order of [`Target::ALL`]; none where the model has no such head.
    pub heads: [Option<HeadJudgement>; 4],
    pub masks: MaskCounts,
    /// Words, repetitions included.
    pub words: u32,
    /// Words among them that the model does not know, nor half of their n-grams.
    pub unknown: u32,
    /// Whether too few of the words are in the vocabulary for a ticket that the model was made for.
    pub out_of_scope: bool,
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
        let Parts { id, version, lexicon, subject_weight, heads, scales, weights } = parts;
        if !(0.0..=100.0).contains(&subject_weight) {
            return Err(ModelError::SubjectWeight);
        }
        let mut places = [None; 4];
        let mut columns = 0;
        for (i, head) in heads.iter().enumerate() {
            check(head)?;
            if places[head.target as usize].replace((i, columns)).is_some() {
                return Err(ModelError::Twice(head.target));
            }
            columns += head.labels.len();
        }
        let table = Table::new(&lexicon, columns, &scales, &weights)?;
        let (fields, scope) = (Vec::new(), Scope::default());
        Ok(Self {
            id,
            version,
            lexicon,
            subject_weight,
            fields,
            scope,
            heads,
            places,
            columns,
            table,
        })
    }

    pub fn head(&self, target: Target) -> Option<&Head> {
        self.places[target as usize].map(|(i, _)| &self.heads[i])
    }

    /// The heads in the order of the weights' columns.
    pub fn heads(&self) -> &[Head] {
        &self.heads
    }

    pub fn lexicon(&self) -> &Lexicon {
        &self.lexicon
    }

    /// The same, with the fields that it reads of a ticket beside subject and body.
    #[must_use]
    pub fn with_fields(self, fields: Vec<Source>) -> Self {
        Self { fields, ..self }
    }

    /// The same, with bounds for what it is asked about.
    ///
    /// # Errors
    /// When a bound is out of range.
    pub fn with_scope(self, scope: Scope) -> Result<Self, ModelError> {
        if scope.is_valid() { Ok(Self { scope, ..self }) } else { Err(ModelError::Scope) }
    }

    pub fn fields(&self) -> &[Source] {
        &self.fields
    }

    /// What the model says about a ticket. Same model and same text, same judgement, to the bit.
    pub fn judge(&self, scratch: &mut Scratch, text: &Text<'_>) -> Judgement {
        let (masks, language) = self.read(scratch, text);
        self.score(scratch);
        let heads = self.probabilities(scratch, language);
        let explanation = self.explain(scratch, &heads, language, Some(SHOWN));
        let bag = &scratch.bag;
        Judgement {
            heads,
            masks,
            words: bag.occurrences(),
            unknown: bag.unknown(),
            out_of_scope: self.scope.is_outside(language, bag.listed(), bag.occurrences()),
            language,
            explanation,
        }
    }

    /// As [`Self::judge`], but the explanation lists every word.
    pub fn explain_all(&self, scratch: &mut Scratch, text: &Text<'_>) -> Judgement {
        let mut judgement = self.judge(scratch, text);
        judgement.explanation = self.explain(scratch, &judgement.heads, judgement.language, None);
        judgement
    }

    /// Uncalibrated scores of a ticket, one for each column: for tests.
    pub fn scores(&self, scratch: &mut Scratch, text: &Text<'_>) -> Vec<f64> {
        self.read(scratch, text);
        self.score(scratch);
        let biases = self.heads.iter().flat_map(|h| &h.bias);
        let sums = &scratch.sums;
        let score = |(i, b): (usize, &f64)| b + f64::from(sums.score(i)) * sums.inverse_length;
        biases.enumerate().map(score).collect()
    }

    /// First step of [`Self::judge`]: the ticket's redacted words and its fields into the scratch.
    pub fn read(&self, scratch: &mut Scratch, text: &Text<'_>) -> (MaskCounts, Language) {
        let bag = &mut scratch.bag;
        bag.clear();
        let mut masks = MaskCounts::default();
        let mut letters = Letters::default();
        for (text, weight) in [(text.subject, self.subject_weight), (text.body, 1.0)] {
            let (text, found) = redact(text);
            masks = masks.plus(found);
            let (head, tail) = window(&text);
            for part in [head, tail] {
                letters = letters.plus(Letters::of(part));
                bag.add(&self.lexicon, part, weight);
            }
        }
        text.fields.iter().for_each(|entry| bag.add_field(&self.lexicon, entry));
        (masks, letters.language())
    }

    /// Second step: the sums of the words in the scratch.
    pub fn score(&self, scratch: &mut Scratch) {
        self.table.sum(&scratch.bag, &mut scratch.sums);
    }

    /// Third step: sums to probabilities.
    pub fn probabilities(
        &self,
        scratch: &Scratch,
        language: Language,
    ) -> [Option<HeadJudgement>; 4] {
        let known = scratch.bag.occurrences() - scratch.bag.unknown();
        let sums = &scratch.sums;
        Target::ALL.map(|target| {
            let (i, first) = self.places[target as usize]?;
            let head = &self.heads[i];
            let score =
                |(i, b): (usize, &f64)| b + f64::from(sums.score(first + i)) * sums.inverse_length;
            let mut scores: Vec<f64> = head.bias.iter().enumerate().map(score).collect();
            let (best, runner_up) = top_two(&scores);
            head.calibration.of(language).probabilities(&mut scores, known);
            Some(HeadJudgement { probabilities: scores, best, runner_up })
        })
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
    for (what, found) in [("thresholds", head.thresholds.len()), ("biases", head.bias.len())] {
        if found != labels || labels == 0 {
            return Err(ModelError::Count { target, labels, what, found });
        }
    }
    if !head.labels.is_sorted_by(|a, b| a < b) {
        return Err(ModelError::Order(target));
    }
    let range = |ok, what| if ok { Ok(()) } else { Err(ModelError::Range { target, what }) };
    range(head.thresholds.iter().all(|t| (0.0..=2.0).contains(t)), "threshold")?;
    range(head.bias.iter().all(|b| b.is_finite()), "bias")?;
    range(head.calibration.is_valid(), "calibration")
}

#[cfg(test)]
mod tests;
