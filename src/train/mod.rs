//! Training: labelled tickets and a recipe in, a bundle and a report out. The text path and the
//! model are those that serve; nothing here is used while serving.

mod assemble;
pub mod audit;
pub mod calibrate;
mod card;
pub mod compare;
mod copies;
pub mod data;
mod dates;
mod documents;
pub mod evaluate;
pub mod fit;
mod head;
mod lbfgs;
pub mod method;
mod progress;
pub mod recipe;
pub mod render;
pub mod report;
mod requests;
mod run;
mod scope;
mod select;
mod sharpen;
pub mod simulate;
pub mod split;
mod texts;
pub mod thresholds;
mod turns;
pub mod vocabulary;
mod warnings;
pub mod wilson;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use crate::bundle::{Bundle, BundleError};
use crate::triage::model::Target;
use assemble::assemble;
use audit::Audit;
use audit::noise::Suspect;
use data::Rejection;
use evaluate::{Evaluation, HeadEvaluation};
use recipe::{Recipe, RecipeError};
use report::{LabelWords, LearningPoint, Mistake};
use run::{Chosen, Findings, Fitted, LeftOut, Tested, Tickets};

pub use progress::{Progress, Step};

/// Why there is no model.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    #[error("cannot read {path}: {source}", path = path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{path}: {source}", path = path.display())]
    Csv { path: PathBuf, source: csv::Error },
    #[error(
        "{path} has no column `{column}`; it has {found}; name the right one in the recipe's \
         [columns], or as the `column` of its [[fields]]",
        path = path.display()
    )]
    NoColumn { path: PathBuf, column: String, found: String },
    #[error("none of the {rows} rows can be used: {why}")]
    Empty { rows: u64, why: String },
    #[error(
        "{found} of the labels have {min} or more tickets to learn from, and at least 2 must{most}; \
         bring tickets of more labels, or set a lower fit.min_tickets"
    )]
    TooFewLabels { found: usize, min: u64, most: String },
    #[error(
        "split.by is \"time\", but only {dated} of {tickets} tickets have a date that can be read \
         ({needed} % are needed), or all are of one day; check columns.created_at",
        needed = split::DATED
    )]
    NoDates { dated: usize, tickets: usize },
    #[error(
        "no tickets are left to {what}, as those with nearly the same text stay together; bring \
         more data or a larger share for it"
    )]
    TooFewTickets { what: &'static str },
    #[error(transparent)]
    Lack(#[from] split::Lack),
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    #[error(transparent)]
    Bundle(#[from] BundleError),
    #[error(
        "the scores differ from linfa's ({0}); this is a fault of the program, please report it"
    )]
    Linfa(String),
}

/// Tickets by what they were good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// That the model was fitted on when its numbers were taken.
    pub fitted_on: u64,
    /// Those of them that were held out, at once or in turns, while it was chosen and calibrated.
    pub calibrated_on: u64,
    /// That it had not seen, and of which its numbers are.
    pub tested_on: u64,
}

/// What came out of a training run beside the bundle.
#[derive(Clone, Debug, Serialize)]
pub struct TrainReport {
    pub rows: u64,
    pub rejected: BTreeMap<Rejection, u64>,
    /// Of all tickets, before they were split.
    pub audit: Audit,
    pub split: split::Summary,
    #[serde(flatten)]
    pub counts: Counts,
    /// Words, n-grams, pairs and values of fields.
    pub features: usize,
    /// Labels with too few tickets to learn, with their tickets. Those tickets were not used.
    pub too_small: BTreeMap<Target, BTreeMap<String, u64>>,
    /// Targets left out, with the reason.
    pub omitted: Vec<(Target, String)>,
    /// What the user should know before using the model.
    pub warnings: Vec<String>,
    /// On the test tickets.
    pub evaluation: Evaluation,
    /// Of the category, on the tickets that were held out to choose and calibrate it.
    pub held_out: Option<HeadEvaluation>,
    /// The text does not tell the category: which labels are wrong and whether more tickets would
    /// help cannot be said either.
    pub no_signal: bool,
    /// From fewer tickets, if that was tried.
    pub learning: Vec<LearningPoint>,
    /// What the model goes by, if that was asked for.
    pub top_words: Vec<LabelWords>,
    /// Among the test tickets. They hold texts, so they are in the written report only.
    #[serde(skip)]
    pub mistakes: Vec<Mistake>,
    /// Held-out tickets whose category is probably wrong, the surest first. They hold texts too:
    /// written out is their number, and the rest in a file of its own.
    #[serde(serialize_with = "audit::noise::number")]
    pub suspects: Vec<Suspect>,
}

/// Trains a model on labelled tickets.
///
/// One head for each target that has labels and, the category apart, a signal. Its kind of model,
/// its length-aware temperature and its thresholds come from held-out tickets. The same files and
/// recipe give the same bundle, byte for byte.
///
/// # Errors
/// [`TrainError`] says what to change.
pub fn train(
    files: &[PathBuf],
    recipe: &Recipe,
    progress: &mut dyn FnMut(Progress),
) -> Result<(Bundle, TrainReport), TrainError> {
    recipe.check()?;
    let tickets = Tickets::read(files, recipe, progress)?;
    let texts = run::read_texts(&tickets.data.examples, progress);
    let features = tickets.features(recipe);
    let (vocabulary, corpus) = run::learn_vocabulary(&tickets, &texts, &features, progress);

    let chosen = run::choose_heads(&tickets, &corpus, recipe, progress)?;
    let warnings = run::all_warnings(&tickets, &chosen, &vocabulary, &features, recipe);
    let findings = Findings::new(&tickets, &chosen, &texts, warnings);
    let Chosen { choices, left_out } = chosen;

    let fitted = Fitted { heads: run::fit_heads(choices, &corpus, progress), vocabulary };
    // A million tickets take much memory: what is large goes as soon as it is not needed.
    drop(corpus);
    let bundle_of = |Fitted { heads, vocabulary }: &Fitted| {
        let LeftOut { omitted, too_small } = &left_out;
        assemble(&tickets.data, findings.counts, heads, omitted, too_small, vocabulary, recipe)
    };
    let model = bundle_of(&fitted).model_without_probes()?;
    let tested = Tested::new(model, &tickets, recipe, progress)?;
    let bundle = if recipe.split.refit {
        bundle_of(&run::refit(fitted, &tickets, texts, &features, progress))
    } else {
        bundle_of(&fitted)
    };
    run::finish(bundle, tickets, left_out, findings, tested, progress)
}

#[cfg(test)]
mod tests;
