//! The phases of a training run, in their order; `train` goes through them.

mod findings;
mod tested;
mod tickets;

use std::collections::BTreeMap;

use super::assemble::{metrics, probes, split_facts};
use super::data::Example;
use super::documents::Documents;
use super::head::{self, Choice, Corpus, Trained};
use super::recipe::{Features, Purpose, Recipe};
use super::texts::Texts;
use super::vocabulary::{self, Vocabulary};
use super::{Progress, Step, TrainError, TrainReport, card, report, select};
use crate::bundle::Bundle;
use crate::triage::model::Target;

pub use findings::{Findings, all_warnings};
pub use tested::Tested;
pub use tickets::Tickets;

/// The heads that are worth having, not yet fitted on all development tickets.
pub struct Chosen {
    pub choices: Vec<Choice>,
    pub left_out: LeftOut,
}

impl Chosen {
    pub fn category(&self) -> Option<&Choice> {
        self.choices.iter().find(|choice| choice.target == Target::Category)
    }
}

/// What the model goes without.
#[derive(Default)]
pub struct LeftOut {
    /// Targets without a head, with the reason.
    pub omitted: Vec<(Target, String)>,
    /// Labels with too few tickets to learn, with their tickets.
    pub too_small: BTreeMap<Target, BTreeMap<String, u64>>,
}

/// Fitted heads and the vocabulary that their weights are for.
pub struct Fitted {
    pub heads: Vec<Trained>,
    pub vocabulary: Vocabulary,
}

/// Says what is being done and how much of it is.
fn tell(progress: &mut dyn FnMut(Progress), step: Step, done: usize, total: usize) {
    progress(Progress { step, done: done as u64, total: Some(total as u64) });
}

/// The words and fields of all tickets, as numbers.
pub fn read_texts(examples: &[Example], progress: &mut dyn FnMut(Progress)) -> Texts {
    let (mut done, total) = (0, examples.len());
    tell(progress, Step::Count, done, total);
    Texts::read(examples, || {
        done += 1;
        if done % 1000 == 0 {
            tell(progress, Step::Count, done, total);
        }
    })
}

/// Vocabulary and features of the development tickets.
pub fn learn_vocabulary<'t>(
    tickets: &'t Tickets,
    texts: &Texts,
    features: &Features,
    progress: &mut dyn FnMut(Progress),
) -> (Vocabulary, Corpus<'t>) {
    tell(progress, Step::Vocabulary, 0, 1);
    let learnt = corpus(&tickets.data.examples, &tickets.development, texts, features);
    tell(progress, Step::Vocabulary, 1, 1);
    learnt
}

/// Vocabulary and features of some of the examples.
fn corpus<'e>(
    examples: &'e [Example],
    of: &'e [usize],
    texts: &Texts,
    features: &Features,
) -> (Vocabulary, Corpus<'e>) {
    let vocabulary = vocabulary::learn(texts, of, features);
    let documents = Documents::new(texts, of, &vocabulary, features.subject_weight);
    (vocabulary, Corpus { examples, of: of.into(), documents })
}

/// Chooses the head of each target on the held-out tickets of each round.
///
/// # Errors
/// When there is no category to learn, or scores differ from linfa's.
pub fn choose_heads(
    tickets: &Tickets,
    corpus: &Corpus<'_>,
    recipe: &Recipe,
    progress: &mut dyn FnMut(Progress),
) -> Result<Chosen, TrainError> {
    let min = recipe.fit.min_tickets;
    // Requests are all that a model of requests tells.
    let is_told =
        |target: &Target| recipe.purpose == Purpose::Triage || *target == Target::Category;
    let is_learnt = |target: &Target| corpus.labels(*target, min).len() > 1;
    let targets = || Target::ALL.into_iter().filter(is_told);
    let steps = select::steps(&recipe.fit, tickets.rounds.len());
    let (mut done, total) = (0, steps * targets().filter(is_learnt).count());
    tell(progress, Step::Fit, done, total);
    let (mut choices, mut left_out) = (Vec::new(), LeftOut::default());
    for target in targets() {
        let small = corpus.small_labels(target, min);
        if !small.is_empty() {
            left_out.too_small.insert(target, small);
        }
        let each = || {
            done += 1;
            tell(progress, Step::Fit, done, total);
        };
        match head::choose(target, corpus, tickets.groups(), &tickets.rounds, recipe, each)? {
            Ok(choice) => choices.push(choice),
            Err(why) => left_out.omitted.push((target, why)),
        }
    }
    Ok(Chosen { choices, left_out })
}

/// Fits what was chosen on all development tickets.
pub fn fit_heads(
    choices: Vec<Choice>,
    corpus: &Corpus<'_>,
    progress: &mut dyn FnMut(Progress),
) -> Vec<Trained> {
    let total = choices.len();
    tell(progress, Step::Final, 0, total);
    let mut heads = Vec::with_capacity(total);
    for choice in choices {
        heads.push(choice.fit(corpus));
        tell(progress, Step::Final, heads.len(), total);
    }
    heads
}

/// Fits the same heads once more, on all tickets, with the vocabulary of all.
pub fn refit(
    first: Fitted,
    tickets: &Tickets,
    texts: Texts,
    features: &Features,
    progress: &mut dyn FnMut(Progress),
) -> Fitted {
    // The vocabulary, and then each head.
    let total = first.heads.len() + 1;
    tell(progress, Step::Refit, 0, total);
    let examples = &tickets.data.examples;
    let all: Vec<usize> = (0..examples.len()).collect();
    let (vocabulary, corpus) = corpus(examples, &all, &texts, features);
    drop(texts);
    let from = vocabulary.places_in(&first.vocabulary);
    drop(first.vocabulary);
    let refitted = first.heads.into_iter().enumerate().map(|(i, head)| {
        tell(progress, Step::Refit, i + 1, total);
        head.again(&corpus, &from)
    });
    Fitted { heads: refitted.collect(), vocabulary }
}

/// The bundle with all that stands in it beside the fitted heads, and the report on the run.
///
/// # Errors
/// When the parts of the bundle do not fit each other.
pub fn finish(
    mut bundle: Bundle,
    tickets: Tickets,
    left_out: LeftOut,
    findings: Findings,
    tested: Tested,
    progress: &mut dyn FnMut(Progress),
) -> Result<(Bundle, TrainReport), TrainError> {
    bundle.manifest.scope = tested.scope;
    bundle.manifest.metrics = metrics(&tested.evaluation);
    bundle.manifest.training.split = Some(split_facts(&tickets.summary));
    bundle.held_out = tickets.held_out();
    tell(progress, Step::Report, 0, 2);
    let model = bundle.model_without_probes()?;
    bundle.probes = probes(&model, &tested.examples);
    tell(progress, Step::Report, 1, 2);
    let report = TrainReport {
        rows: tickets.data.rows,
        rejected: tickets.data.rejected,
        audit: tickets.audit,
        split: tickets.summary,
        counts: findings.counts,
        features: model.lexicon().len() - 1,
        too_small: left_out.too_small,
        omitted: left_out.omitted,
        warnings: findings.warnings,
        evaluation: tested.evaluation,
        held_out: findings.held_out,
        no_signal: findings.no_signal,
        learning: findings.learning,
        top_words: report::top_words(&model, &tickets.data.examples),
        mistakes: tested.mistakes,
        suspects: findings.suspects,
    };
    bundle.card = card::write(&bundle.manifest, &report);
    tell(progress, Step::Report, 2, 2);
    Ok((bundle, report))
}
