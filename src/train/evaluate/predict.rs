//! What a model says about labelled tickets, beside what is true.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::measure::measure;
use super::{Evaluation, HeadEvaluation};
use crate::train::data::Example;
use crate::train::head::{Choice, HeldOut};
use crate::triage::model::{Model, Scratch, Target};
use crate::triage::text::language::Language;

/// What a head says about one ticket.
#[derive(Clone, Debug, PartialEq)]
pub struct Predicted {
    /// The ticket's place in the data.
    pub ticket: usize,
    /// Index of the true label.
    pub truth: usize,
    /// For each label, from 0 to 1; they sum to 1.
    pub probabilities: Vec<f64>,
    /// Index of the label that the head chose.
    pub best: usize,
    /// At or above the model's own threshold.
    pub decided: bool,
    pub language: Language,
}

impl Predicted {
    /// The probability of the label that was chosen.
    pub fn confidence(&self) -> f64 {
        self.probabilities.get(self.best).copied().unwrap_or(0.0)
    }

    pub fn is_right(&self) -> bool {
        self.best == self.truth
    }
}

/// What one head says about all tickets with a label that it knows. Indexes of labels in
/// `tickets` are below the number of `labels`.
#[derive(Clone, Debug, PartialEq)]
pub struct HeadPredictions {
    pub target: Target,
    pub labels: Vec<Arc<str>>,
    /// The model's own, by label; empty where labels were folded together.
    pub thresholds: Vec<f64>,
    pub tickets: Vec<Predicted>,
    /// Labels that the head does not know, with their tickets.
    pub unknown_labels: BTreeMap<String, u64>,
}

/// What a model says about labelled tickets; or what several models say, each about tickets that
/// it was not fitted on.
#[derive(Clone, Debug, PartialEq)]
pub struct Predictions {
    pub tickets: u64,
    /// Share of the words that the model does not know.
    pub unknown_words: f64,
    pub heads: Vec<HeadPredictions>,
}

/// Judges every ticket with every head that both the model and the tickets have. `each` is called
/// after every ticket.
pub fn predict(model: &Model, examples: &[Example], mut each: impl FnMut()) -> Predictions {
    let mut scratch = Scratch::default();
    let (mut words, mut unknown) = (0u64, 0u64);
    let empty = |target| {
        let head = model.head(target)?;
        Some(HeadPredictions {
            target,
            labels: head.labels.clone(),
            thresholds: head.thresholds.clone(),
            tickets: vec![],
            unknown_labels: BTreeMap::new(),
        })
    };
    let mut heads = Target::ALL.map(empty);
    for (ticket, example) in examples.iter().enumerate() {
        let judgement = model.judge(&mut scratch, &example.text());
        words += u64::from(judgement.words);
        unknown += u64::from(judgement.unknown);
        for found in heads.iter_mut().flatten() {
            let target = found.target;
            let parts = (model.head(target), judgement.head(target), example.label(target));
            let (Some(head), Some(judged), Some(label)) = parts else { continue };
            match head.labels.binary_search_by(|l| l.as_ref().cmp(label)) {
                Ok(truth) => found.tickets.push(Predicted {
                    ticket,
                    truth,
                    probabilities: judged.probabilities.clone(),
                    best: judged.best,
                    decided: judged.confidence() >= head.thresholds[judged.best],
                    language: example.language,
                }),
                Err(_) => *found.unknown_labels.entry(label.to_owned()).or_default() += 1,
            }
        }
        each();
    }
    let judged = |h: &HeadPredictions| !h.tickets.is_empty() || !h.unknown_labels.is_empty();
    Predictions {
        tickets: examples.len() as u64,
        unknown_words: if words == 0 { 0.0 } else { unknown as f64 / words as f64 },
        heads: heads.into_iter().flatten().filter(judged).collect(),
    }
}

impl Predictions {
    pub fn head(&self, target: Target) -> Option<&HeadPredictions> {
        self.heads.iter().find(|h| h.target == target)
    }

    /// All numbers about these predictions.
    pub fn evaluation(&self, model: &str, version: &str) -> Evaluation {
        Evaluation {
            model: model.to_owned(),
            version: version.to_owned(),
            tickets: self.tickets,
            unknown_words: self.unknown_words,
            heads: self.heads.iter().flat_map(HeadPredictions::levels).collect(),
        }
    }
}

impl HeadPredictions {
    /// What was said of held-out tickets while the head was chosen: each time by a model that had
    /// not seen them.
    pub(in crate::train) fn held_out(choice: &Choice, examples: &[Example]) -> Self {
        let predicted = |t: &HeldOut| Predicted {
            ticket: t.example,
            truth: t.truth,
            probabilities: t.probabilities.clone(),
            best: t.best,
            decided: t.probabilities[t.best] >= choice.thresholds[t.best],
            language: examples[t.example].language,
        };
        Self {
            target: choice.target,
            labels: choice.labels.clone(),
            thresholds: choice.thresholds.clone(),
            tickets: choice.held_out.iter().map(predicted).collect(),
            unknown_labels: BTreeMap::new(),
        }
    }

    /// The head's numbers, labels as they are.
    pub(in crate::train) fn whole(&self) -> HeadEvaluation {
        measure(self, false)
    }

    /// The head's numbers and, where labels have two levels, those of the first.
    fn levels(&self) -> impl Iterator<Item = HeadEvaluation> {
        let first = self.first_level().map(|first| measure(&first, true));
        std::iter::once(measure(self, false)).chain(first)
    }

    /// The same with labels cut before the `/`, or none where no labels would fall together.
    pub(super) fn first_level(&self) -> Option<Self> {
        let first = |label: &str| Arc::from(label.split('/').next().unwrap_or_default());
        let parent_of: Vec<Arc<str>> = self.labels.iter().map(|l| first(l)).collect();
        let mut parents = parent_of.clone();
        parents.sort();
        parents.dedup();
        if parents.len() == self.labels.len() || parents.len() < 2 {
            return None;
        }
        let place: Vec<usize> =
            parent_of.iter().map(|p| parents.binary_search(p).unwrap_or_default()).collect();
        let merge = |ticket: &Predicted| {
            let mut probabilities = vec![0.0; parents.len()];
            for (p, parent) in ticket.probabilities.iter().zip(&place) {
                probabilities[*parent] += p;
            }
            let best = (0..parents.len())
                .max_by(|a, b| probabilities[*a].total_cmp(&probabilities[*b]).then(b.cmp(a)))
                .unwrap_or_default();
            Predicted { truth: place[ticket.truth], probabilities, best, ..*ticket }
        };
        Some(Self {
            target: self.target,
            tickets: self.tickets.iter().map(merge).collect(),
            labels: parents,
            thresholds: Vec::new(),
            unknown_labels: self.unknown_labels.clone(),
        })
    }
}
