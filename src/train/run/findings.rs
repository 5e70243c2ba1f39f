//! What choosing the heads of a model showed, for its report.

use std::sync::Arc;

use super::{Chosen, Tickets};
use crate::train::audit::noise::{Prediction, Suspect, noise_suspects};
use crate::train::data::Example;
use crate::train::evaluate::{HeadEvaluation, HeadPredictions};
use crate::train::head::{Choice, HeldOut};
use crate::train::recipe::{Features, Recipe};
use crate::train::report::LearningPoint;
use crate::train::texts::Texts;
use crate::train::vocabulary::Vocabulary;
use crate::train::{Counts, warnings};
use crate::triage::model::Target;

/// Each as in [`TrainReport`](crate::train::TrainReport).
pub struct Findings {
    pub counts: Counts,
    pub warnings: Vec<String>,
    pub held_out: Option<HeadEvaluation>,
    pub no_signal: bool,
    pub learning: Vec<LearningPoint>,
    pub suspects: Vec<Suspect>,
}

impl Findings {
    /// `texts` are those of the tickets' examples.
    pub fn new(tickets: &Tickets, chosen: &Chosen, texts: &Texts, warnings: Vec<String>) -> Self {
        let examples = &tickets.data.examples;
        let category = chosen.category();
        let no_signal = category.is_some_and(|c| c.no_signal.is_some());
        // What tells nothing of a label cannot tell that it is wrong.
        let telling = category.filter(|_| !no_signal);
        Self {
            counts: Counts {
                fitted_on: tickets.development.len() as u64,
                calibrated_on: category.map_or(0, |c| c.held_out.len() as u64),
                tested_on: tickets.parts.test.len() as u64,
            },
            warnings,
            held_out: category.map(|c| HeadPredictions::held_out(c, examples, texts).whole()),
            no_signal,
            learning: category.map(|c| c.learning.clone()).unwrap_or_default(),
            suspects: telling.map(|c| suspects(c, examples)).unwrap_or_default(),
        }
    }
}

/// What the user should know before using a model of these heads. `features` are those of the
/// recipe as far as they could be had.
pub fn all_warnings(
    tickets: &Tickets,
    chosen: &Chosen,
    vocabulary: &Vocabulary,
    features: &Features,
    recipe: &Recipe,
) -> Vec<String> {
    let (data, min) = (&tickets.data, recipe.fit.min_tickets);
    let mut all = warnings::of_heads(&chosen.choices);
    all.extend(data.remarks());
    all.extend(warnings::cut(vocabulary, features, &recipe.features, tickets.categories_with(min)));
    all.extend(warnings::unread(recipe, vocabulary));
    all.extend(warnings::dates(data, recipe.split.by, &tickets.summary));
    let left = chosen.left_out.too_small.get(&Target::Category);
    all.extend(chosen.category().and_then(|category| {
        warnings::too_few_left(&tickets.audit, &category.labels, left, min, tickets.summary.by)
    }));
    all
}

/// Held-out tickets whose category is probably wrong.
fn suspects(category: &Choice, examples: &[Example]) -> Vec<Suspect> {
    let prediction = |t: &HeldOut| Prediction {
        index: t.example,
        probability_of_given_label: t.probabilities[t.truth],
        best_label: Arc::clone(&category.labels[t.best]),
        best_probability: t.probabilities[t.best],
    };
    noise_suspects(examples, &category.held_out.iter().map(prediction).collect::<Vec<_>>())
}
