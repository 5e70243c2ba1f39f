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
use std::sync::Arc;

use serde::Serialize;

use crate::bundle::{Bundle, BundleError, HeldOut};
use crate::triage::model::Target;
use assemble::{assemble, metrics, probes, split_facts};
use audit::noise::{Prediction, Suspect, noise_suspects};
use audit::{Audit, audit};
use data::{Data, Example, Rejection};
use documents::Documents;
use evaluate::{Evaluation, HeadEvaluation, HeadPredictions, predict};
use head::{Choice, Corpus, Trained};
use recipe::{Features, Purpose, Recipe, RecipeError};
use report::{LabelWords, LearningPoint, Mistake, mistakes};
use texts::Texts;
use vocabulary::Vocabulary;

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
    let data = data::read(files, recipe, progress)?;
    progress(Progress { step: Step::Audit, done: 0, total: Some(2) });
    let duplicates = audit::duplicates::find(&data.examples);
    progress(Progress { step: Step::Audit, done: 1, total: Some(2) });
    let split::Split { parts, mut summary } =
        split::split(&data.examples, &duplicates.groups, &recipe.split)?;
    let groups = duplicates.groups.clone();
    let audit = audit(&data, duplicates, recipe.fit.min_tickets);
    progress(Progress { step: Step::Audit, done: 2, total: Some(2) });
    split::check(&data.examples, &parts, &summary)?;

    let mut step = |step, done: usize, total: usize| {
        progress(Progress { step, done: done as u64, total: Some(total as u64) });
    };
    step(Step::Count, 0, data.examples.len());
    let mut done = 0;
    let texts = Texts::read(&data.examples, || {
        done += 1;
        if done % 1000 == 0 {
            step(Step::Count, done, data.examples.len());
        }
    });
    let mut development = [parts.fit.clone(), parts.calibrate.clone()].concat();
    development.sort_unstable();
    step(Step::Vocabulary, 0, 1);
    let labels = audit.labels.iter().filter(|size| size.tickets >= recipe.fit.min_tickets).count();
    let features = Features {
        size: vocabulary::size_for(labels, recipe.features.size),
        ..recipe.features.clone()
    };
    let (vocabulary, corpus) = corpus(&data, &texts, &development, &features);
    step(Step::Vocabulary, 1, 1);

    let rounds = turns::rounds(&development, &parts, &data.examples, &groups, recipe.split.seed);
    let in_turns = rounds.len() > 1;
    if in_turns {
        turns::tell(&mut summary, &data.examples, &development);
    }
    // Requests are all that a model of requests tells.
    let is_told =
        |target: &Target| recipe.purpose == Purpose::Triage || *target == Target::Category;
    let is_learnt = |target: &Target| corpus.labels(*target, recipe.fit.min_tickets).len() > 1;
    let targets = || Target::ALL.into_iter().filter(is_told);
    let steps = select::steps(&recipe.fit, rounds.len());
    let (mut done, total) = (0, steps * targets().filter(is_learnt).count());
    step(Step::Fit, done, total);
    let mut choices = Vec::new();
    let mut omitted = Vec::new();
    let mut too_small = BTreeMap::new();
    for target in targets() {
        let small = corpus.small_labels(target, recipe.fit.min_tickets);
        if !small.is_empty() {
            too_small.insert(target, small);
        }
        let each = || {
            done += 1;
            step(Step::Fit, done, total);
        };
        match head::choose(target, &corpus, &groups, &rounds, recipe, each)? {
            Ok(choice) => choices.push(choice),
            Err(why) => omitted.push((target, why)),
        }
    }
    let mut warnings = warnings::of_heads(&choices);
    warnings.extend(data.remarks());
    warnings.extend(warnings::cut(&vocabulary, &features, &recipe.features, labels));
    warnings.extend(warnings::unread(recipe, &vocabulary));
    warnings.extend(warnings::dates(&data, recipe.split.by, &summary));
    let category = choices.iter().find(|choice| choice.target == Target::Category);
    let min = recipe.fit.min_tickets;
    let left = too_small.get(&Target::Category);
    warnings.extend(category.and_then(|category| {
        warnings::too_few_left(&audit, &category.labels, left, min, summary.by)
    }));
    let learning = category.map(|c| c.learning.clone()).unwrap_or_default();
    // What tells nothing of a label cannot tell that it is wrong.
    let no_signal = category.is_some_and(|c| c.no_signal.is_some());
    let telling = category.filter(|_| !no_signal);
    let suspects = telling.map(|c| suspects(c, &data.examples)).unwrap_or_default();
    let held_out = category.map(|c| HeadPredictions::held_out(c, &data.examples, &texts).whole());
    let counts = Counts {
        fitted_on: development.len() as u64,
        calibrated_on: category.map_or(0, |c| c.held_out.len() as u64),
        tested_on: parts.test.len() as u64,
    };
    let total = choices.len();
    step(Step::Final, 0, total);
    let mut heads: Vec<Trained> = Vec::new();
    for choice in choices {
        heads.push(choice.fit(&corpus));
        step(Step::Final, heads.len(), total);
    }
    let mut bundle = assemble(&data, counts, &heads, &omitted, &too_small, &vocabulary, recipe);
    let model = bundle.model_without_probes()?;
    let test: Vec<Example> = parts.test.iter().map(|i| data.examples[*i].clone()).collect();
    // What else the matcher of requests is asked about, it knows as `other`.
    let held_back = match recipe.purpose {
        Purpose::Triage => recipe.threshold.out_of_scope,
        Purpose::Requests => 0.0,
    };
    let scope = scope::bounds(&model, &test, held_back);
    let model = model.with_scope(scope.clone()).map_err(BundleError::Parts)?;
    step(Step::Evaluate, 0, test.len());
    let mut asked = 0;
    // A group is never in two parts, so those of the test are what they would be by themselves.
    let test_groups: Vec<u32> = parts.test.iter().map(|i| groups[*i]).collect();
    let predictions = predict(&model, &test, &test_groups, || {
        asked += 1;
        if asked % 100 == 0 || asked == test.len() {
            step(Step::Evaluate, asked, test.len());
        }
    });
    let evaluation = predictions.evaluation(model.id.as_str(), &model.version);
    let category = predictions.head(Target::Category);
    if recipe.split.refit {
        drop((corpus, model));
        // The vocabulary, and then each head.
        let total = heads.len() + 1;
        step(Step::Refit, 0, total);
        let all: Vec<usize> = (0..data.examples.len()).collect();
        let (again, corpus) = self::corpus(&data, &texts, &all, &features);
        drop(texts);
        let from = again.places_in(&vocabulary);
        let vocabulary = again;
        let refitted = heads.into_iter().enumerate().map(|(i, head)| {
            step(Step::Refit, i + 1, total);
            head.again(&corpus, &from)
        });
        let heads: Vec<Trained> = refitted.collect();
        bundle = assemble(&data, counts, &heads, &omitted, &too_small, &vocabulary, recipe);
    }
    bundle.manifest.scope = scope;
    bundle.manifest.metrics = metrics(&evaluation);
    bundle.manifest.training.split = Some(split_facts(&summary));
    let ids = |part: &[usize]| part.iter().map(|i| data.examples[*i].id.clone()).collect();
    let calibrate = if in_turns { Vec::new() } else { ids(&parts.calibrate) };
    bundle.held_out = HeldOut { calibrate, test: ids(&parts.test) };
    step(Step::Report, 0, 2);
    let model = bundle.model_without_probes()?;
    bundle.probes = probes(&model, &test);
    step(Step::Report, 1, 2);
    let report = TrainReport {
        rows: data.rows,
        rejected: data.rejected.clone(),
        audit,
        split: summary,
        counts,
        features: model.lexicon().len() - 1,
        too_small,
        omitted,
        warnings,
        evaluation,
        held_out,
        no_signal,
        learning,
        top_words: report::top_words(&model, &data.examples),
        mistakes: category.map(|c| mistakes(c, &test)).unwrap_or_default(),
        suspects,
    };
    bundle.card = card::write(&bundle.manifest, &report);
    step(Step::Report, 2, 2);
    Ok((bundle, report))
}

/// Vocabulary and features of some of the examples.
fn corpus<'a>(
    data: &'a Data,
    texts: &Texts,
    of: &'a [usize],
    features: &Features,
) -> (Vocabulary, Corpus<'a>) {
    let vocabulary = vocabulary::learn(texts, of, features);
    let documents = Documents::new(texts, of, &vocabulary, features.subject_weight);
    (vocabulary, Corpus { examples: &data.examples, of: of.into(), documents })
}

fn suspects(category: &Choice, examples: &[Example]) -> Vec<Suspect> {
    let prediction = |t: &head::HeldOut| Prediction {
        index: t.example,
        probability_of_given_label: t.probabilities[t.truth],
        best_label: Arc::clone(&category.labels[t.best]),
        best_probability: t.probabilities[t.best],
    };
    noise_suspects(examples, &category.held_out.iter().map(prediction).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests;
