//! What thresholds would have done: tickets whose category is known are judged once, and any
//! thresholds are then tried on the answers.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use super::audit::duplicates;
use super::calibrate::NEVER;
use super::copies::Copies;
use super::data::Example;
use super::evaluate;
use super::thresholds::{Answer, Asked, ladder, thresholds_by_class};
use super::wilson::{ONE_SIDED_95, interval_of_share};
use crate::triage::model::{Head, Model, Scratch, Target};
use crate::triage::policy::Policy;
use crate::triage::priority::Proposal;
use crate::triage::text::language::Language;

/// One threshold for all categories, as tried in turn.
const SWEEP: [f64; 12] = [0.0, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99];

/// A ticket's category as the model answered it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prediction {
    /// The index of the true label; none where the model does not have it, and so cannot be right.
    pub truth: Option<usize>,
    pub answer: usize,
    /// From 0 to 1.
    pub confidence: f64,
    /// A person has to look at it whatever its category's threshold: too short, too many unknown
    /// words, a runner-up too close, below the policy's least confidence.
    pub held_back: bool,
    /// Its text, or nearly so, and its label came before: it shows nothing new.
    pub copy: bool,
    pub language: Language,
}

impl Prediction {
    fn is_right(&self) -> bool {
        self.truth == Some(self.answer)
    }
}

/// What is asked of a simulation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wanted {
    /// The share of tickets decided alone that must be right, 0 to 1.
    pub precision: f64,
    /// Answers that a threshold must be shown on.
    pub min_tickets: u64,
    /// Tickets that arrive in a day.
    pub per_day: f64,
    /// One threshold for all categories is recommended, instead of one for each.
    pub one_threshold: bool,
}

/// What came of all thresholds that were tried.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Simulation {
    pub tickets: u64,
    /// Those of them whose text, or nearly so, and label came before. Shares are over all tickets;
    /// lower bounds and recommended thresholds count a text and its label once.
    #[serde(skip_serializing_if = "evaluate::is_zero")]
    pub copies: u64,
    /// Tickets that a person has to look at whatever the thresholds are.
    pub held_back: u64,
    /// Tickets whose true label the model does not have: always wrong.
    pub unknown_truth: u64,
    pub precision: f64,
    pub per_day: f64,
    /// Whether one threshold for all categories is recommended.
    pub one_threshold: bool,
    /// One threshold for all categories, from low to high.
    pub sweep: Vec<Swept>,
    /// The thresholds as the policy and the model have them.
    pub in_force: Tried,
    /// Those that keep the precision: each category's by [`thresholds_by_class`], or the lowest one
    /// that all categories show together.
    pub recommended: Tried,
}

/// One threshold for all categories.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Swept {
    pub threshold: f64,
    #[serde(flatten)]
    pub outcomes: Outcomes,
}

/// A threshold for each category.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Tried {
    pub thresholds: BTreeMap<String, f64>,
    #[serde(flatten)]
    pub outcomes: Outcomes,
}

/// What thresholds do, in all and in parts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outcomes {
    pub all: Outcome,
    /// By the category that was answered.
    pub classes: BTreeMap<String, Outcome>,
    pub languages: BTreeMap<&'static str, Outcome>,
}

/// What thresholds do with some tickets. Shares are from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Outcome {
    pub tickets: u64,
    /// Tickets decided without a person.
    pub decided: u64,
    /// Those of them that are right.
    pub right: u64,
    /// Share of the tickets whose confidence reaches the threshold.
    pub coverage: f64,
    /// Share of the tickets that are decided without a person: nothing else holds them back.
    pub automation: f64,
    /// Share of those decided that are right; none where none is decided.
    pub precision: Option<f64>,
    /// Wilson's lower bound of the precision, 95 %, one-sided; copies make it no surer.
    pub precision_lower: f64,
    /// Tickets a day that are decided wrongly without a person.
    pub misroutes_a_day: f64,
}

/// Judges every ticket as the policy would have it; nothing if the model has no categories. `each`
/// is called after every ticket.
pub fn predict<'a>(
    model: &Model,
    policy: &Policy,
    examples: &'a [Example],
    mut each: impl FnMut(),
) -> Vec<Prediction> {
    let Some(head) = model.head(Target::Category) else { return Vec::new() };
    let mut scratch = Scratch::default();
    let groups = duplicates::find(examples).groups;
    let mut copies = Copies::new();
    let one = |(example, group): (&'a Example, u32)| {
        let judgement = model.judge(&mut scratch, &example.text());
        each();
        let proposal = Proposal::of(model, &judgement, Target::Category)?;
        let label = example.label(Target::Category)?;
        Some(Prediction {
            truth: head.labels.binary_search_by(|l| (**l).cmp(label)).ok(),
            answer: proposal.best,
            confidence: proposal.confidence,
            held_back: evaluate::held_back(policy, &judgement, proposal),
            copy: copies.is_copy(group, label),
            language: example.language,
        })
    };
    examples.iter().zip(groups).filter_map(one).collect()
}

/// Tries thresholds on predictions. `head` is the model's category head.
pub fn simulate(
    head: &Head,
    policy: &Policy,
    predictions: &[Prediction],
    wanted: Wanted,
) -> Simulation {
    let labels = &head.labels;
    let names = || labels.iter().map(ToString::to_string);
    let outcomes = |thresholds: &[f64]| outcomes(labels, predictions, thresholds, wanted.per_day);
    let tried = |thresholds: Vec<f64>| Tried {
        outcomes: outcomes(&thresholds),
        thresholds: names().zip(thresholds).collect(),
    };
    let swept =
        |threshold: f64| Swept { threshold, outcomes: outcomes(&vec![threshold; labels.len()]) };
    // What is held back anyway says nothing of those that a threshold decides, and a copy nothing
    // that the first did not say.
    let telling = predictions.iter().filter(|p| !p.held_back && !p.copy);
    let answers: Vec<Answer> = telling
        .map(|p| Answer { label: p.answer, confidence: p.confidence, right: p.is_right() })
        .collect();
    let Wanted { precision, min_tickets, per_day, one_threshold } = wanted;
    let recommended = if one_threshold {
        vec![threshold_for_all(&answers, precision, min_tickets); labels.len()]
    } else {
        thresholds_by_class(&answers, labels.len(), precision, min_tickets)
    };
    let number = |is: fn(&Prediction) -> bool| predictions.iter().filter(|p| is(p)).count() as u64;
    Simulation {
        tickets: predictions.len() as u64,
        copies: number(|p| p.copy),
        held_back: number(|p| p.held_back),
        unknown_truth: number(|p| p.truth.is_none()),
        precision,
        per_day,
        one_threshold,
        sweep: SWEEP.into_iter().map(swept).collect(),
        in_force: tried(policy.thresholds(head)),
        recommended: tried(recommended),
    }
}

/// The lowest confidence at or above which all answers together show the `target`; [`NEVER`] where
/// none does.
fn threshold_for_all(answers: &[Answer], target: f64, min_tickets: u64) -> f64 {
    let pairs: Vec<(f64, bool)> = answers.iter().map(|a| (a.confidence, a.right)).collect();
    let shown = Asked { target, min_tickets }.lowest_shown(&ladder(&pairs));
    shown.map_or(NEVER, |step| step.confidence)
}

fn outcomes(
    labels: &[Arc<str>],
    predictions: &[Prediction],
    thresholds: &[f64],
    per_day: f64,
) -> Outcomes {
    let mut all = Count::default();
    let mut classes = vec![Count::default(); labels.len()];
    let mut languages: BTreeMap<&'static str, Count> = BTreeMap::new();
    for p in predictions {
        let covered = p.confidence >= thresholds[p.answer];
        let language = languages.entry(p.language.as_str()).or_default();
        for count in [&mut all, &mut classes[p.answer], language] {
            count.add(p, covered);
        }
    }
    let names = labels.iter().map(ToString::to_string);
    let outcome = |count: &Count| count.outcome(all.tickets, per_day);
    Outcomes {
        all: outcome(&all),
        classes: names.zip(classes.iter().map(outcome)).collect(),
        languages: languages.iter().map(|(name, count)| (*name, outcome(count))).collect(),
    }
}

#[derive(Clone, Copy, Default)]
struct Count {
    tickets: u64,
    covered: u64,
    decided: u64,
    right: u64,
    /// Of those decided.
    copies: u64,
}

impl Count {
    fn add(&mut self, p: &Prediction, covered: bool) {
        let decided = covered && !p.held_back;
        self.tickets += 1;
        self.covered += u64::from(covered);
        self.decided += u64::from(decided);
        self.right += u64::from(decided && p.is_right());
        self.copies += u64::from(decided && p.copy);
    }

    /// `all` tickets are those of a day's mix, so that the parts' misroutes add up to the whole's.
    fn outcome(&self, all: u64, per_day: f64) -> Outcome {
        let share = |part: u64, of: u64| if of == 0 { 0.0 } else { part as f64 / of as f64 };
        let Self { tickets, covered, decided, right, copies } = *self;
        let precision = share(right, decided);
        Outcome {
            tickets,
            decided,
            right,
            coverage: share(covered, tickets),
            automation: share(decided, tickets),
            precision: (decided > 0).then_some(precision),
            precision_lower: interval_of_share(precision, decided - copies, ONE_SIDED_95).0,
            misroutes_a_day: per_day * share(decided - right, all),
        }
    }
}

/// Why thresholds do not pass a gate.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum BelowFloor {
    #[error(
        "nothing is decided alone, so nothing shows how much of it would be right; where that is \
         meant, give --floor-automation 0"
    )]
    Nothing,
    #[error("of the tickets decided alone {:.1}% are right, less than {:.1}%", .is * 100.0, .floor * 100.0)]
    Precision { is: f64, floor: f64 },
    #[error("{:.1}% of the tickets are decided alone, less than {:.1}%", .is * 100.0, .floor * 100.0)]
    Automation { is: f64, floor: f64 },
}

/// The floors that an outcome does not reach. Where nothing is decided, a floor of the precision
/// is reached only if one of the automation says that this is enough.
pub fn below_floors(
    outcome: &Outcome,
    precision: Option<f64>,
    automation: Option<f64>,
) -> Vec<BelowFloor> {
    if outcome.decided == 0 && precision.is_some() && automation.is_none() {
        return vec![BelowFloor::Nothing];
    }
    let is_below = |is: f64, floor: Option<f64>| floor.filter(|f| is < *f).map(|f| (is, f));
    let precision = is_below(outcome.precision.unwrap_or(1.0), precision)
        .map(|(is, floor)| BelowFloor::Precision { is, floor });
    let automation = is_below(outcome.automation, automation)
        .map(|(is, floor)| BelowFloor::Automation { is, floor });
    precision.into_iter().chain(automation).collect()
}

#[cfg(test)]
mod tests;
