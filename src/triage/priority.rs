//! Priority: a named impact x urgency matrix decides; model, reporter and policy propose the sides.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::model::{HeadJudgement, Judgement, Model, Target};
use super::ticket::Ticket;

/// A checked impact x urgency matrix. `cells[impact][urgency]` indexes `priorities`, which are
/// ordered from the highest to the lowest.
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix {
    pub name: String,
    pub priorities: Vec<Arc<str>>,
    /// Other spellings of the priorities, in lower case, with the index of the one that they mean.
    pub priority_aliases: BTreeMap<String, usize>,
    pub impact: Scale,
    pub urgency: Scale,
    pub cells: Vec<Vec<usize>>,
}

/// One side of the matrix: its values, other spellings of them, and the one to fall back to.
#[derive(Clone, Debug, PartialEq)]
pub struct Scale {
    pub values: Vec<Arc<str>>,
    /// Other spellings, in lower case, with the index of the value that they mean.
    pub aliases: BTreeMap<String, usize>,
    pub default: usize,
}

impl Scale {
    /// The index of `text` among the values, by name or alias, whatever its case.
    pub fn index(&self, text: &str) -> Option<usize> {
        index(&self.values, &self.aliases, text)
    }
}

/// The place of `text` among `names`, by name or alias, whatever its case.
fn index(names: &[Arc<str>], aliases: &BTreeMap<String, usize>, text: &str) -> Option<usize> {
    let text = text.trim();
    names
        .iter()
        .position(|name| name.eq_ignore_ascii_case(text))
        .or_else(|| aliases.get(&text.to_lowercase()).copied())
}

impl Matrix {
    /// The index of a priority, by name or alias, whatever its case.
    pub fn priority(&self, text: &str) -> Option<usize> {
        index(&self.priorities, &self.priority_aliases, text)
    }
}

/// Who proposed a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Proposer {
    Model,
    Reporter,
    Default,
}

/// How the priority came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DecidedBy {
    /// The matrix, from impact and urgency.
    Matrix,
    /// The model's own priority, where the training data had no impact and urgency.
    Model,
    /// The priority that the ticket arrived with, for want of anything better.
    Arrived,
    /// It arrived with the highest priority, which is never lowered.
    KeptHighest,
}

/// What the model says of one target: calibrated, with the bar it has to pass.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Proposal {
    pub best: usize,
    pub confidence: f64,
    pub threshold: f64,
    pub runner_up: Option<(usize, f64)>,
}

impl Proposal {
    /// The judgement of `target`, if the model has that head.
    pub fn of(model: &Model, judgement: &Judgement, target: Target) -> Option<Self> {
        let head = model.head(target)?;
        let judged: &HeadJudgement = judgement.head(target)?;
        Some(Self {
            best: judged.best,
            confidence: judged.probabilities[judged.best],
            threshold: head.thresholds[judged.best],
            runner_up: judged.runner_up.map(|i| (i, judged.probabilities[i])),
        })
    }

    pub fn is_confident(&self) -> bool {
        self.confidence >= self.threshold
    }
}

/// One side of the matrix as decided for a ticket: an index into the scale and where it is from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Side {
    pub value: usize,
    pub by: Proposer,
    pub proposal: Option<Proposal>,
}

/// A decided priority. All indices are into the matrix' scales and priorities.
#[derive(Clone, Debug, PartialEq)]
pub struct Decided {
    pub priority: usize,
    pub by: DecidedBy,
    /// The model's probability that this is the priority; absent where a rule decided alone.
    pub confidence: Option<f64>,
    /// What the confidence had to reach.
    pub threshold: Option<f64>,
    pub runner_up: Option<(usize, f64)>,
    pub impact: Side,
    pub urgency: Side,
}

/// Maps the model's labels onto a matrix, once when model and policy meet.
#[derive(Clone, Debug)]
pub struct Mapping {
    impact: Vec<usize>,
    urgency: Vec<usize>,
    priority: Vec<usize>,
}

impl Mapping {
    /// # Errors
    /// The labels that the matrix does not know, as `target: label`.
    pub fn new(model: &Model, matrix: &Matrix) -> Result<Self, Vec<String>> {
        let mut unknown = Vec::new();
        let mut map = |target: Target, index: &dyn Fn(&str) -> Option<usize>| -> Vec<usize> {
            let labels = model.head(target).map_or(&[][..], |head| &head.labels);
            let mut indices = Vec::with_capacity(labels.len());
            for label in labels {
                match index(label) {
                    Some(i) => indices.push(i),
                    None => unknown.push(format!("{}: {label}", target.as_str())),
                }
            }
            indices
        };
        let impact = map(Target::Impact, &|l| matrix.impact.index(l));
        let urgency = map(Target::Urgency, &|l| matrix.urgency.index(l));
        let priority = map(Target::Priority, &|l| matrix.priority(l));
        if unknown.is_empty() { Ok(Self { impact, urgency, priority }) } else { Err(unknown) }
    }
}

/// Decides the priority of a ticket.
///
/// Each side is the model's where it is confident, else the reporter's hint, else the policy's
/// default. Without impact and urgency in the model, its own priority counts where it is
/// confident. A ticket that arrived as the highest stays the highest.
pub fn decide(
    model: &Model,
    judgement: &Judgement,
    mapping: &Mapping,
    matrix: &Matrix,
    ticket: &Ticket<'_>,
) -> Decided {
    let side = |target, map: &[usize], scale: &Scale, hint: Option<&str>| {
        let proposal = Proposal::of(model, judgement, target);
        let (value, by) = match proposal {
            Some(p) if p.is_confident() => (map[p.best], Proposer::Model),
            _ => match hint.and_then(|h| scale.index(h)) {
                Some(value) => (value, Proposer::Reporter),
                None => (scale.default, Proposer::Default),
            },
        };
        Side { value, by, proposal }
    };
    let impact_hint = ticket.impact.as_deref();
    let urgency_hint = ticket.urgency.as_deref();
    let impact = side(Target::Impact, &mapping.impact, &matrix.impact, impact_hint);
    let urgency = side(Target::Urgency, &mapping.urgency, &matrix.urgency, urgency_hint);
    let arrived = ticket.priority.as_deref().and_then(|p| matrix.priority(p));

    let mut decided = Decided {
        priority: matrix.cells[impact.value][urgency.value],
        by: DecidedBy::Matrix,
        confidence: None,
        threshold: None,
        runner_up: None,
        impact,
        urgency,
    };
    let by_rule = impact.by != Proposer::Model && urgency.by != Proposer::Model;
    let own = Proposal::of(model, judgement, Target::Priority);
    match own {
        Some(p) if by_rule && p.is_confident() => {
            decided.by = DecidedBy::Model;
            decided.priority = mapping.priority[p.best];
            decided.confidence = Some(p.confidence);
            decided.threshold = Some(p.threshold);
            decided.runner_up = p.runner_up.map(|(i, c)| (mapping.priority[i], c));
        }
        _ if by_rule && impact.by == Proposer::Default && urgency.by == Proposer::Default => {
            if let Some(arrived) = arrived {
                decided.by = DecidedBy::Arrived;
                decided.priority = arrived;
            }
        }
        _ if !by_rule => matrix_confidence(model, judgement, mapping, matrix, &mut decided),
        _ => {}
    }
    let arrived_highest = arrived == Some(0) || hinted_highest(matrix, impact_hint, urgency_hint);
    if arrived_highest && decided.priority != 0 {
        decided.by = DecidedBy::KeptHighest;
        decided.priority = 0;
        // The model's numbers speak of another priority than the one that is kept.
        decided.confidence = None;
        decided.threshold = None;
        decided.runner_up = None;
    }
    decided
}

fn hinted_highest(matrix: &Matrix, impact: Option<&str>, urgency: Option<&str>) -> bool {
    let impact = impact.and_then(|h| matrix.impact.index(h));
    let urgency = urgency.and_then(|h| matrix.urgency.index(h));
    matches!((impact, urgency), (Some(i), Some(u)) if matrix.cells[i][u] == 0)
}

/// The probability of each priority is the mass of the matrix cells that name it, the two sides
/// taken as independent given the text; a side that the model did not decide is certain.
fn matrix_confidence(
    model: &Model,
    judgement: &Judgement,
    mapping: &Mapping,
    matrix: &Matrix,
    decided: &mut Decided,
) {
    let distribution = |target, map: &[usize], side: &Side, scale: &Scale| {
        let mut mass = vec![0.0; scale.values.len()];
        match (side.by, judgement.head(target)) {
            (Proposer::Model, Some(judged)) => {
                for (label, p) in judged.probabilities.iter().enumerate() {
                    mass[map[label]] += p;
                }
            }
            _ => mass[side.value] = 1.0,
        }
        mass
    };
    let impacts = distribution(Target::Impact, &mapping.impact, &decided.impact, &matrix.impact);
    let urgencies =
        distribution(Target::Urgency, &mapping.urgency, &decided.urgency, &matrix.urgency);
    let mut mass = vec![0.0; matrix.priorities.len()];
    for (i, p) in impacts.iter().enumerate() {
        for (u, q) in urgencies.iter().enumerate() {
            mass[matrix.cells[i][u]] += p * q;
        }
    }
    let threshold = |side: &Side| match (side.by, side.proposal) {
        (Proposer::Model, Some(p)) => p.threshold,
        _ => 1.0,
    };
    debug_assert!(model.head(Target::Impact).is_some() || model.head(Target::Urgency).is_some());
    decided.confidence = Some(mass[decided.priority]);
    // Both sides have to pass their own bars: together that asks for the product.
    decided.threshold = Some(threshold(&decided.impact) * threshold(&decided.urgency));
    decided.runner_up = mass
        .iter()
        .copied()
        .enumerate()
        .filter(|(i, p)| *i != decided.priority && *p > 0.0)
        .max_by(|a, b| a.1.total_cmp(&b.1));
}
