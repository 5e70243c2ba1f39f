//! Training: labelled tickets and a recipe in, a bundle and a report out. The text path and the
//! model are those that serve; nothing here is used while serving.

pub mod audit;
pub mod calibrate;
mod card;
pub mod compare;
pub mod data;
mod dates;
pub mod evaluate;
pub mod fit;
mod head;
pub mod recipe;
pub mod render;
pub mod report;
pub mod simulate;
pub mod split;
pub mod thresholds;
pub mod vocabulary;
pub mod wilson;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;

use crate::bundle::{
    Bundle, BundleError, Expected, FORMAT, HeadEntry, HeadMetrics, Manifest, Omitted, Probe,
    TrainingFacts,
};
use crate::triage::model::{Head, Model, ModelId, Parts, Scratch, Target};
use crate::triage::text::definition;
use crate::triage::text::model_text;
use crate::triage::text::pieces::{Bag, WordPieces};
use audit::{Audit, audit};
use data::{Data, Example, Rejection};
use evaluate::{Evaluation, predict};
use head::Trained;
use recipe::{Recipe, RecipeError};
use report::{LabelWords, LearningPoint, Mistake, mistakes};

/// Tickets in `probes.jsonl`.
const PROBES: usize = 12;

/// Why there is no model.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    #[error("cannot read {path}: {source}", path = path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{path}: {source}", path = path.display())]
    Csv { path: PathBuf, source: csv::Error },
    #[error(
        "{path} has no column `{column}`; name the right one in the recipe's [columns]",
        path = path.display()
    )]
    NoColumn { path: PathBuf, column: String },
    #[error(
        "none of the {rows} rows can be used ({}); check the recipe's [columns]",
        reasons(rejected)
    )]
    Empty { rows: u64, rejected: BTreeMap<Rejection, u64> },
    #[error("{found} of the labels have {min} or more tickets to learn from; at least 2 must")]
    TooFewLabels { found: usize, min: u64 },
    #[error(
        "split.by is \"time\", but only {dated} of {tickets} tickets have a date that can be read, \
         or all are of one day; check columns.created_at"
    )]
    NoDates { dated: usize, tickets: usize },
    #[error(
        "no tickets are left to {what}, as those with nearly the same text stay together; bring \
         more data or a larger share for it"
    )]
    TooFewTickets { what: &'static str },
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    #[error("the vocabulary cannot be learnt: {0}")]
    Vocabulary(String),
    #[error(transparent)]
    Bundle(#[from] BundleError),
    #[error(
        "the scores differ from linfa's ({0}); this is a fault of the program, please report it"
    )]
    Linfa(String),
}

fn reasons(rejected: &BTreeMap<Rejection, u64>) -> String {
    let each: Vec<String> =
        rejected.iter().map(|(why, n)| format!("{n} {}", why.as_str())).collect();
    each.join(", ")
}

/// What training is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    pub step: Step,
    pub done: u64,
    pub total: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    Read,
    Vocabulary,
    Count,
    Fit,
    Evaluate,
}

impl Step {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "reading tickets",
            Self::Vocabulary => "learning the vocabulary",
            Self::Count => "counting pieces",
            Self::Fit => "fitting and calibrating",
            Self::Evaluate => "testing",
        }
    }
}

/// What came out of a training run beside the bundle.
#[derive(Clone, Debug, Serialize)]
pub struct TrainReport {
    pub rows: u64,
    pub rejected: BTreeMap<Rejection, u64>,
    /// Of all tickets, before they were split.
    pub audit: Audit,
    pub split: split::Summary,
    pub fitted_on: u64,
    pub calibrated_on: u64,
    pub tested_on: u64,
    pub pieces: usize,
    /// Labels with too few tickets to learn, with their tickets. Those tickets were not used.
    pub too_small: BTreeMap<Target, BTreeMap<String, u64>>,
    /// Targets left out, with the reason.
    pub omitted: Vec<(Target, String)>,
    /// What the user should know before using the model.
    pub warnings: Vec<String>,
    /// On the test tickets.
    pub evaluation: Evaluation,
    /// From fewer tickets, if that was tried.
    pub learning: Vec<LearningPoint>,
    /// What the model goes by, if that was asked for.
    pub top_words: Vec<LabelWords>,
    /// Among the test tickets. They hold texts, so they are in the written report only.
    #[serde(skip)]
    pub mistakes: Vec<Mistake>,
}

/// Trains a model on labelled tickets.
///
/// Multinomial naive Bayes over word pieces, one head for each target that has labels and, the
/// category apart, a signal; a length-aware temperature and a threshold for each head from
/// held-out tickets. The same files and recipe give the same bundle, byte for byte.
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
    let duplicates = audit::duplicates::find(&data.examples);
    let split::Split { parts, summary } =
        split::split(&data.examples, &duplicates.groups, &recipe.split)?;
    let audit = audit(&data, duplicates, recipe.fit.min_tickets);
    for (part, what) in
        [(&parts.fit, "fit"), (&parts.calibrate, "calibrate"), (&parts.test, "test")]
    {
        if part.is_empty() {
            return Err(TrainError::TooFewTickets { what });
        }
    }

    let mut step = |step, done: usize, total: usize| {
        progress(Progress { step, done: done as u64, total: Some(total as u64) });
    };
    step(Step::Vocabulary, 0, 1);
    let text = |i: &usize| model_text(&data.examples[*i].subject, &data.examples[*i].body);
    let texts: Vec<String> = parts.fit.iter().map(text).collect();
    let tokenizer = definition::write(&vocabulary::learn(&texts, &recipe.vocabulary)?);
    let pieces = definition::parse(tokenizer.as_bytes()).map_err(BundleError::from)?;
    step(Step::Vocabulary, 1, 1);

    let fit_on =
        head::Tickets { examples: &data.examples, of: &parts.fit, pieces: count(&pieces, &texts) };
    let texts: Vec<String> = parts.calibrate.iter().map(text).collect();
    let held_out = head::Tickets {
        examples: &data.examples,
        of: &parts.calibrate,
        pieces: count(&pieces, &texts),
    };
    step(Step::Count, 1, 1);

    let mut heads = Vec::new();
    let mut omitted = Vec::new();
    let mut too_small = BTreeMap::new();
    for (i, target) in Target::ALL.into_iter().enumerate() {
        step(Step::Fit, i, Target::ALL.len());
        let small = fit_on.small_labels(target, recipe.fit.min_tickets);
        if !small.is_empty() {
            too_small.insert(target, small);
        }
        match head::train(target, &fit_on, &held_out, pieces.len(), recipe)? {
            Ok(trained) => heads.push(trained),
            Err(why) => omitted.push((target, why)),
        }
    }
    step(Step::Fit, Target::ALL.len(), Target::ALL.len());

    let mut bundle = Bundle {
        manifest: manifest(&data, &parts, &heads, &omitted, &too_small, recipe),
        tokenizer,
        weights: weights(&heads, pieces.len()),
        log_priors: heads.iter().map(|h| h.fitted.log_priors.clone()).collect(),
        probes: Vec::new(),
        card: String::new(),
    };
    let model = assemble(&heads, &bundle.weights, pieces, recipe)?;
    let test: Vec<Example> = parts.test.iter().map(|i| data.examples[*i].clone()).collect();
    step(Step::Evaluate, 0, 1);
    let predictions = predict(&model, &test);
    let evaluation = predictions.evaluation(model.id.as_str(), &model.version);
    let category = predictions.head(Target::Category);
    bundle.manifest.metrics = metrics(&evaluation);
    bundle.probes = probes(&model, &test);
    let report = TrainReport {
        rows: data.rows,
        rejected: data.rejected.clone(),
        audit,
        split: summary,
        fitted_on: parts.fit.len() as u64,
        calibrated_on: parts.calibrate.len() as u64,
        tested_on: parts.test.len() as u64,
        pieces: model.pieces().len(),
        too_small,
        omitted,
        warnings: warnings(&heads),
        evaluation,
        learning: Vec::new(),
        top_words: Vec::new(),
        mistakes: category.map(|c| mistakes(c, &test)).unwrap_or_default(),
    };
    bundle.card = card::write(&bundle.manifest, &report);
    step(Step::Evaluate, 1, 1);
    Ok((bundle, report))
}

/// The pieces of each text.
fn count(pieces: &WordPieces, texts: &[String]) -> Vec<fit::Sparse> {
    let mut bag = Bag::default();
    let sparse = |text: &String| {
        bag.clear();
        bag.add(pieces, text);
        let mut sums: BTreeMap<u32, u32> = BTreeMap::new();
        for word in bag.words() {
            for id in word.ids {
                *sums.entry(*id).or_default() += word.count;
            }
        }
        sums.into_iter().collect()
    };
    texts.iter().map(sparse).collect()
}

/// `[piece][label]` over all heads.
fn weights(heads: &[Trained], pieces: usize) -> Vec<f32> {
    let rows = || heads.iter().flat_map(|h| &h.fitted.log_probabilities);
    (0..pieces).flat_map(|piece| rows().map(move |row| row[piece] as f32)).collect()
}

fn assemble(
    heads: &[Trained],
    weights: &[f32],
    pieces: WordPieces,
    recipe: &Recipe,
) -> Result<Model, BundleError> {
    let heads = heads.iter().map(|h| Head {
        target: h.target,
        labels: h.labels.clone(),
        thresholds: vec![h.threshold; h.labels.len()],
        calibration: h.calibration,
        log_priors: h.fitted.log_priors.clone(),
    });
    Ok(Model::new(Parts {
        id: ModelId::new("in training"),
        version: recipe.version.clone(),
        pieces,
        heads: heads.collect(),
        weights: weights.to_vec(),
    })?)
}

fn manifest(
    data: &Data,
    parts: &split::Parts,
    heads: &[Trained],
    omitted: &[(Target, String)],
    too_small: &BTreeMap<Target, BTreeMap<String, u64>>,
    recipe: &Recipe,
) -> Manifest {
    let entry = |h: &Trained| HeadEntry {
        target: h.target,
        labels: h.labels.iter().map(std::string::ToString::to_string).collect(),
        tickets: h.tickets.clone(),
        thresholds: vec![h.threshold; h.labels.len()],
        calibration: h.calibration,
        alpha: h.alpha,
    };
    let rejected = data.rejected.iter().map(|(why, n)| (why.as_str().to_owned(), *n));
    Manifest {
        format: FORMAT,
        version: recipe.version.clone(),
        heads: heads.iter().map(entry).collect(),
        omitted: omitted
            .iter()
            .map(|(target, why)| Omitted { target: *target, why: why.clone() })
            .collect(),
        training: TrainingFacts {
            data_sha256: data.sha256.clone(),
            rows: data.rows,
            rejected: rejected.collect(),
            fitted_on: parts.fit.len() as u64,
            calibrated_on: parts.calibrate.len() as u64,
            tested_on: parts.test.len() as u64,
            too_small: too_small.clone(),
            recipe: serde_json::to_value(recipe).unwrap_or_default(),
        },
        metrics: BTreeMap::new(),
        files: BTreeMap::new(),
    }
}

fn metrics(evaluation: &Evaluation) -> BTreeMap<Target, HeadMetrics> {
    let whole = evaluation.heads.iter().filter(|h| !h.first_level);
    whole
        .map(|h| {
            let metrics = HeadMetrics {
                tickets: h.tickets,
                accuracy: h.accuracy,
                majority: h.majority,
                macro_f1: h.macro_f1,
                calibration_error: h.calibration_error,
                log_loss: h.log_loss,
                brier: h.brier,
                coverage: h.coverage,
                precision: h.precision,
            };
            (h.target, metrics)
        })
        .collect()
}

/// A dozen test tickets that the model gets right, in turn from every label.
fn probes(model: &Model, test: &[Example]) -> Vec<Probe> {
    let mut scratch = Scratch::default();
    let mut by_label: BTreeMap<Arc<str>, Vec<Probe>> = BTreeMap::new();
    let mut wrong = Vec::new();
    for example in test {
        let judgement = model.judge(&mut scratch, &example.subject, &example.body);
        let expect: Vec<Expected> = model
            .heads()
            .iter()
            .filter_map(|head| {
                let judged = judgement.head(head.target)?;
                let label = head.labels.get(judged.best)?.to_string();
                Some(Expected { target: head.target, label, confidence: judged.confidence() })
            })
            .collect();
        let right =
            expect.first().is_some_and(|e| example.label(e.target) == Some(e.label.as_str()));
        let probe = Probe { subject: example.subject.clone(), body: example.body.clone(), expect };
        match &example.labels[Target::Category as usize] {
            Some(label) if right => by_label.entry(Arc::clone(label)).or_default().push(probe),
            _ => wrong.push(probe),
        }
    }
    let rounds = by_label.values().map(Vec::len).max().unwrap_or(0);
    let mut chosen: Vec<Probe> = (0..rounds)
        .flat_map(|i| by_label.values().filter_map(move |probes| probes.get(i)))
        .take(PROBES)
        .cloned()
        .collect();
    if chosen.is_empty() {
        chosen.extend(wrong.into_iter().take(PROBES));
    }
    chosen
}

fn warnings(heads: &[Trained]) -> Vec<String> {
    let mut warnings = Vec::new();
    for head in heads {
        if let Some(p) = head.no_signal {
            warnings.push(format!(
                "{}: no usable signal: on held-out tickets it is not better than always saying the \
                 most frequent label (p = {p:.3})",
                head.target
            ));
        }
        if head.threshold >= calibrate::NEVER {
            warnings.push(format!(
                "{}: no confidence reaches the wanted precision on held-out tickets, so nothing is \
                 decided without a person",
                head.target
            ));
        }
    }
    warnings
}
