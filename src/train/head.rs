//! One head: its kind of model chosen, calibrated and given thresholds on held-out tickets, and
//! asked whether it is worth having.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::TrainError;
use super::calibrate::{NEVER, Scored, by_language, chance_of_wins};
use super::copies::Copies;
use super::data::Example;
use super::documents::Documents;
use super::method::{Fit, Fitter, Method};
use super::recipe::{Purpose, Recipe};
use super::report::LearningPoint;
use super::requests::{self, Evidence};
use super::select::{Question, Selected};
use super::thresholds::{Answer, thresholds_by_class};
use crate::triage::model::{Calibrations, Target};
use crate::triage::requests::is_other;

/// A head must beat the most frequent label by less chance than this.
const SIGNIFICANCE: f64 = 0.01;

/// A ticket's place in the corpus, with its label's place among the labels.
pub type Labelled = (usize, usize);

/// The examples that may be learnt from, as features.
pub struct Corpus<'a> {
    pub examples: &'a [Example],
    /// Which of them, in the order of `documents`.
    pub of: Cow<'a, [usize]>,
    pub documents: Documents,
}

impl Corpus<'_> {
    /// Of the labels with too few tickets the one with most, in words.
    fn most_of_few(&self, target: Target, min: u64) -> String {
        let few = self.label_counts(target).into_iter().filter(|(_, n)| *n < min);
        // Of equals the first.
        let Some((label, left)) = few.rev().max_by_key(|(_, n)| *n) else { return String::new() };
        let has = |e: &&Example| e.labels[target as usize].as_ref() == Some(label);
        let all = self.examples.iter().filter(has).count();
        format!("; of the others {label} has most: {left} of its {all} are left to learn from")
    }

    /// Some places of this one, in their order, over the features that occur there.
    pub fn some(&self, places: impl Iterator<Item = usize> + Clone) -> Corpus<'_> {
        Corpus {
            examples: self.examples,
            of: places.clone().map(|place| self.of[place]).collect(),
            documents: self.documents.some(places),
        }
    }

    fn label(&self, place: usize, target: Target) -> Option<&Arc<str>> {
        self.examples[self.of[place]].labels[target as usize].as_ref()
    }

    fn label_counts(&self, target: Target) -> BTreeMap<&Arc<str>, u64> {
        let mut counts = BTreeMap::new();
        for label in (0..self.of.len()).filter_map(|i| self.label(i, target)) {
            *counts.entry(label).or_default() += 1;
        }
        counts
    }

    /// Labels with as many tickets as are needed, in byte order.
    pub fn labels(&self, target: Target, min: u64) -> Vec<Arc<str>> {
        let enough = self.label_counts(target).into_iter().filter(|(_, n)| *n >= min.max(1));
        enough.map(|(label, _)| Arc::clone(label)).collect()
    }

    /// Labels with fewer tickets than are needed, with their tickets.
    pub fn small_labels(&self, target: Target, min: u64) -> BTreeMap<String, u64> {
        let counts = self.label_counts(target).into_iter().filter(|(_, n)| *n < min);
        counts.map(|(label, n)| (label.to_string(), n)).collect()
    }

    /// Places with the labels' own places.
    pub fn labelled(
        &self,
        target: Target,
        labels: &[Arc<str>],
        places: impl Iterator<Item = usize>,
    ) -> Vec<Labelled> {
        let label = |i| labels.binary_search(self.label(i, target)?).ok();
        places.filter_map(|i| Some((i, label(i)?))).collect()
    }
}

/// What was chosen for a head, and how it did on held-out tickets.
pub struct Choice {
    pub target: Target,
    pub labels: Vec<Arc<str>>,
    pub method: Method,
    pub calibration: Calibrations,
    pub thresholds: Vec<f64>,
    /// Of known requests: what their thresholds rest on.
    pub evidence: Option<Evidence>,
    /// The probability that its lead over the most frequent label is chance, if that is too high.
    pub no_signal: Option<f64>,
    /// What the head said of tickets that it had not seen.
    pub held_out: Vec<HeldOut>,
    /// How good it was on those of them that the first fit had not seen, from fewer tickets.
    pub learning: Vec<LearningPoint>,
    /// A similar fit, to start from.
    fit: Fit,
}

/// A held-out ticket's place among the examples, with calibrated probabilities by label.
pub struct HeldOut {
    pub example: usize,
    /// Words of it that the model knows.
    pub known: u32,
    pub truth: usize,
    pub best: usize,
    pub probabilities: Vec<f64>,
    /// Its text and its label came before: it shows nothing new.
    pub copy: bool,
}

/// A fitted head.
pub struct Trained {
    pub choice: Choice,
    /// Tickets of each label that it was fitted on.
    pub tickets: Vec<u64>,
    pub fit: Fit,
}

/// Chooses for one head. `groups` has the group of equal and nearly equal texts of each example:
/// copies are fitted on, but no threshold and no signal rests on them. Each round is a list of
/// places that are held out while the rest is fitted on; `done` is called after each of [`steps`](super::select::steps). The inner error says
/// in words why the model goes without the head; only the category is kept whatever it is worth.
///
/// # Errors
/// When there is no category to learn, or scores differ from linfa's.
pub fn choose(
    target: Target,
    corpus: &Corpus<'_>,
    groups: &[u32],
    rounds: &[Vec<usize>],
    recipe: &Recipe,
    done: impl FnMut(),
) -> Result<Result<Choice, String>, TrainError> {
    let min = recipe.fit.min_tickets.max(1);
    let labels = corpus.labels(target, min);
    if labels.len() < 2 {
        if target == Target::Category {
            let (found, most) = (labels.len(), corpus.most_of_few(target, min));
            return Err(TrainError::TooFewLabels { found, min, most });
        }
        let why = match (corpus.label_counts(target).len(), labels.len()) {
            (0, _) => "the data has no labels".to_owned(),
            (1, 1) => "the data has one label only".to_owned(),
            (_, found) => format!(
                "{found} of its labels have {min} or more tickets to learn from, and at least 2 must{}",
                corpus.most_of_few(target, min)
            ),
        };
        return Ok(Err(why));
    }
    let all = corpus.labelled(target, &labels, 0..corpus.of.len());
    let held_out = rounds.iter().map(|r| corpus.labelled(target, &labels, r.iter().copied()).len());
    let (held_out, most) = (held_out.clone().sum::<usize>(), held_out.max().unwrap_or(0));
    if held_out == 0 {
        return match target {
            Target::Category => Err(TrainError::TooFewTickets { what: "calibrate" }),
            _ => Ok(Err("no held-out ticket has such a label".to_owned())),
        };
    }
    if most == all.len() {
        return match target {
            Target::Category => Err(TrainError::TooFewTickets { what: "fit" }),
            _ => Ok(Err("all tickets with such a label are held out at once".to_owned())),
        };
    }
    let question = Question { target, labels: &labels, corpus, recipe };
    let Selected { method, held_out, fit, learning } = question.select(rounds, done)?;
    let scored: Vec<Scored> = held_out.iter().map(|(_, s)| s.clone()).collect();
    let calibration = by_language(&scored);
    let mut copies = Copies::new();
    let is_copy = |(place, t): &(usize, Scored)| copies.is_copy(groups[corpus.of[*place]], t.truth);
    let copies: Vec<bool> = held_out.iter().map(is_copy).collect();
    let evidence = || scored.iter().zip(&copies).filter(|(_, copy)| !**copy).map(|(t, _)| t);
    let answers: Vec<Answer> = evidence().map(|t| answer(t, &calibration)).collect();
    let majority = majority(labels.len(), &all);
    let (mut wins, mut losses) = (0, 0);
    for (ticket, answer) in evidence().zip(&answers) {
        match (answer.right, ticket.truth == majority) {
            (true, false) => wins += 1,
            (false, true) => losses += 1,
            _ => {}
        }
    }
    let chance = chance_of_wins(wins, losses);
    let no_signal = (chance >= SIGNIFICANCE).then_some(chance);
    if let (Some(p), true) = (no_signal, target != Target::Category) {
        return Ok(Err(format!(
            "no usable signal: on {} held-out tickets the text does not tell it better than always \
             saying \"{}\" (p = {p:.3})",
            answers.len(),
            labels[majority]
        )));
    }
    let settings = &recipe.threshold;
    let (precision, min_tickets) = (settings.precision, settings.min_tickets);
    let (thresholds, shown) = match recipe.purpose {
        // Where one label is nearly all there is, even guesses are right often enough.
        _ if no_signal.is_some() => (vec![NEVER; labels.len()], None),
        Purpose::Triage => {
            (thresholds_by_class(&answers, labels.len(), precision, min_tickets), None)
        }
        Purpose::Requests => {
            let asked = evidence().filter(|t| !is_other(&labels[t.truth])).count() as u64;
            let (thresholds, shown) =
                requests::thresholds(&answers, &labels, precision, min_tickets, asked);
            (thresholds, Some(shown))
        }
    };
    let held_out = held_out.into_iter().zip(copies).map(|((place, ticket), copy)| {
        let best = ticket.best();
        let mut probabilities = ticket.scores;
        calibration.of(ticket.language).probabilities(&mut probabilities, ticket.words);
        let (example, known) = (corpus.of[place], ticket.words);
        HeldOut { example, known, truth: ticket.truth, best, probabilities, copy }
    });
    let held_out = held_out.collect();
    Ok(Ok(Choice {
        target,
        labels,
        method,
        calibration,
        thresholds,
        evidence: shown,
        no_signal,
        held_out,
        learning,
        fit,
    }))
}

impl Choice {
    /// Fits what was chosen on the whole corpus.
    pub fn fit(self, corpus: &Corpus<'_>) -> Trained {
        let of = corpus.labelled(self.target, &self.labels, 0..corpus.of.len());
        let fitter = Fitter::new(&corpus.documents, self.labels.clone(), &of);
        let fit = fitter.fit(self.method, Some(&self.fit));
        let tickets = fitter.counts.tickets;
        Trained { choice: Self { fit: Fit::default(), ..self }, tickets, fit }
    }
}

impl Trained {
    /// Fits the same on another corpus, of whose features `from` tells where they were here.
    pub fn again(self, corpus: &Corpus<'_>, from: &[Option<u32>]) -> Self {
        Choice { fit: self.fit.moved(from), ..self.choice }.fit(corpus)
    }
}

/// The best label with its confidence.
fn answer(ticket: &Scored, calibration: &Calibrations) -> Answer {
    let mut scores = ticket.scores.clone();
    let best = ticket.best();
    calibration.of(ticket.language).probabilities(&mut scores, ticket.words);
    Answer { label: best, confidence: scores[best], right: best == ticket.truth }
}

/// The place of the most frequent label; of equals the first.
fn majority(labels: usize, of: &[(usize, usize)]) -> usize {
    let mut tickets = vec![0u64; labels];
    of.iter().for_each(|(_, label)| tickets[*label] += 1);
    let most = tickets.iter().max();
    tickets.iter().position(|n| Some(n) == most).unwrap_or(0)
}
