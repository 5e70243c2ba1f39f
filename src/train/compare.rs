//! Two models on the same tickets: is the new one worse, in all or for one class?

use std::collections::BTreeMap;

use serde::Serialize;

use super::audit::duplicates;
use super::calibrate::chance_of_wins;
use super::copies::Copies;
use super::data::Example;
use super::evaluate::{held_back, is_zero, usual_policy};
use crate::triage::model::{Model, Scratch, Target};
use crate::triage::priority::Proposal;

/// A new model fails when it is less often right and that is less likely than this by chance.
const SIGNIFICANT: f64 = 0.05;
/// A class with fewer tickets than this, copies left out, cannot fail the gate.
const CLASS_TICKETS: u64 = 50;

/// One model's category for a ticket.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Answer<'a> {
    pub label: &'a str,
    /// Its confidence reaches the model's own threshold, and the default policy does not hold the
    /// ticket back.
    pub decided: bool,
    /// The model has the ticket's true label at all.
    pub knows_truth: bool,
}

/// A ticket and both answers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row<'a> {
    pub id: &'a str,
    pub truth: &'a str,
    pub old: Answer<'a>,
    pub new: Answer<'a>,
    /// Its text, or nearly so, and its label came before: it shows nothing new.
    pub copy: bool,
}

/// What the gate lets pass, and how much is listed.
#[derive(Clone, Debug, PartialEq)]
pub struct Gate<'a> {
    /// Points of recall that a class may lose, 0 to 100.
    pub max_drop: f64,
    /// Classes that may lose more.
    pub allowed: &'a [String],
    /// Tickets listed at most whose answer changed.
    pub listed: usize,
}

/// Everything that differs. Shares are from 0 to 1.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    pub tickets: u64,
    /// Those of them whose text, or nearly so, and label came before. The test and the classes that
    /// can fail the gate count a text and its label once, all other numbers every ticket.
    #[serde(skip_serializing_if = "is_zero")]
    pub copies: u64,
    pub old: Side,
    pub new: Side,
    /// Tickets that only the new model gets right.
    pub wins: u64,
    /// Tickets that only the old model gets right.
    pub losses: u64,
    /// How likely so many losses or more are if the models are equally good: McNemar's test,
    /// one-sided, mid-p.
    pub p_worse: f64,
    /// The same for wins.
    pub p_better: f64,
    /// By true label, in byte order.
    pub classes: Vec<ClassChange>,
    /// Changed answers, the most frequent change first.
    pub flips: Vec<Flip>,
    /// The first tickets whose answer changed, without their text.
    pub flipped: Vec<Flipped>,
    /// Why the new model does not pass; empty when it does.
    pub failures: Vec<Failure>,
}

/// One model's numbers.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Side {
    pub accuracy: f64,
    /// Share of the tickets that are decided alone: at or above the model's own thresholds, and not
    /// held back by the default policy.
    pub decided: f64,
    /// Share of those that are right; none where there are none.
    pub precision: Option<f64>,
    /// True labels that the model does not have, with their tickets, all of which count as wrong.
    pub unknown_labels: BTreeMap<String, u64>,
}

/// What became of one class' tickets.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassChange {
    pub label: String,
    pub tickets: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub copies: u64,
    pub old_recall: f64,
    pub new_recall: f64,
    pub wins: u64,
    pub losses: u64,
}

/// Tickets whose answer changed from one label to another.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Flip {
    pub old: String,
    pub new: String,
    pub tickets: u64,
    pub wins: u64,
    pub losses: u64,
}

/// A ticket whose answer changed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Flipped {
    pub id: String,
    pub truth: String,
    pub old: String,
    pub new: String,
}

/// Why the new model does not pass.
#[derive(Clone, Debug, PartialEq, Serialize, thiserror::Error)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Failure {
    #[error(
        "it is right on {:.1}% of the tickets, the old one on {:.1}%, and that is not chance \
         (p {p})",
        .new * 100.0,
        .old * 100.0,
        p = p_value(*p)
    )]
    Worse { old: f64, new: f64, p: f64 },
    #[error(
        "{label}: recall falls from {:.1}% to {:.1}% on {tickets} tickets (--allow-class lets it \
         pass)",
        .old * 100.0,
        .new * 100.0
    )]
    Class { label: String, tickets: u64, old: f64, new: f64 },
}

/// Asks both models for the category of every ticket; nothing where one has no categories. `each`
/// is called after every ticket.
pub fn rows<'a>(
    old: &'a Model,
    new: &'a Model,
    examples: &'a [Example],
    mut each: impl FnMut(),
) -> Vec<Row<'a>> {
    let mut scratch = Scratch::default();
    let policy = usual_policy();
    let mut answer = |model: &'a Model, example: &Example, truth: &str| {
        let head = model.head(Target::Category)?;
        let judgement = model.judge(&mut scratch, &example.text());
        let proposal = Proposal::of(model, &judgement, Target::Category)?;
        Some(Answer {
            label: head.labels.get(proposal.best)?,
            decided: proposal.is_confident() && !held_back(&policy, &judgement, proposal),
            knows_truth: head.labels.iter().any(|l| &**l == truth),
        })
    };
    let groups = duplicates::find(examples).groups;
    let mut copies = Copies::new();
    let row = |(example, group): (&'a Example, u32)| {
        each();
        let truth = example.label(Target::Category)?;
        let (old, new) = (answer(old, example, truth)?, answer(new, example, truth)?);
        Some(Row { id: &example.id, truth, old, new, copy: copies.is_copy(group, truth) })
    };
    examples.iter().zip(groups).filter_map(row).collect()
}

/// Compares two models' answers and says whether the new one may replace the old one.
///
/// It fails when it is less often right and a one-sided McNemar test says that this is not chance
/// (p < 0.05), or when a class of 50 or more tickets loses more than `gate.max_drop` points of
/// recall and is not among `gate.allowed`. A ticket whose true label a model does not have counts
/// as wrong for that model. Copies of other tickets count for neither of the two bars.
pub fn compare(rows: &[Row<'_>], gate: &Gate<'_>) -> Comparison {
    let mut all = Tally::default();
    let mut distinct = Tally::default();
    let mut classes: BTreeMap<&str, Tally> = BTreeMap::new();
    let mut flips: BTreeMap<(&str, &str), Tally> = BTreeMap::new();
    for row in rows {
        all.add(row);
        if !row.copy {
            distinct.add(row);
        }
        classes.entry(row.truth).or_default().add(row);
        if row.old.label != row.new.label {
            flips.entry((row.old.label, row.new.label)).or_default().add(row);
        }
    }
    let mut flips: Vec<Flip> = flips
        .into_iter()
        .map(|((old, new), t)| Flip {
            old: old.to_owned(),
            new: new.to_owned(),
            tickets: t.tickets,
            wins: t.wins,
            losses: t.losses,
        })
        .collect();
    flips.sort_by_key(|f| std::cmp::Reverse(f.tickets));
    let flipped = rows.iter().filter(|r| r.old.label != r.new.label).take(gate.listed);
    let mut comparison = Comparison {
        tickets: all.tickets,
        copies: all.copies,
        old: side(rows, |row| row.old),
        new: side(rows, |row| row.new),
        wins: all.wins,
        losses: all.losses,
        p_worse: mid_p(distinct.losses, distinct.wins),
        p_better: mid_p(distinct.wins, distinct.losses),
        classes: classes.into_iter().map(|(label, tally)| tally.class(label)).collect(),
        flips,
        flipped: flipped
            .map(|r| Flipped {
                id: r.id.to_owned(),
                truth: r.truth.to_owned(),
                old: r.old.label.to_owned(),
                new: r.new.label.to_owned(),
            })
            .collect(),
        failures: Vec::new(),
    };
    comparison.failures = failures(&comparison, gate);
    comparison
}

fn failures(c: &Comparison, gate: &Gate<'_>) -> Vec<Failure> {
    let (old, new, p) = (c.old.accuracy, c.new.accuracy, c.p_worse);
    let worse = (new < old && p < SIGNIFICANT).then_some(Failure::Worse { old, new, p });
    let dropped = c.classes.iter().filter(|class| {
        // A hair of slack, or a drop of exactly the points allowed would fail by rounding.
        class.tickets - class.copies >= CLASS_TICKETS
            && (class.old_recall - class.new_recall) * 100.0 > gate.max_drop + 1e-9
            && !gate.allowed.contains(&class.label)
    });
    let dropped = dropped.map(|class| Failure::Class {
        label: class.label.clone(),
        tickets: class.tickets,
        old: class.old_recall,
        new: class.new_recall,
    });
    worse.into_iter().chain(dropped).collect()
}

/// The mid-p value of McNemar's test, one-sided: of all ways in which the tickets that only one
/// model gets right could have fallen, the share with more than `worse` on that side and half of
/// those with as many. Exact for any number of tickets, and less timid than the exact conditional
/// test for few (Fagerland, Lydersen and Laake 2013, "The McNemar test for binary matched-pairs
/// data", BMC Medical Research Methodology 13:91).
fn mid_p(worse: u64, better: u64) -> f64 {
    let or_more = chance_of_wins(worse, better);
    let more = better.checked_sub(1).map_or(0.0, |fewer| chance_of_wins(worse + 1, fewer));
    f64::midpoint(or_more, more)
}

/// A p-value behind its sign, `= 0.0312`; next to nothing and next to certainty are no numbers.
pub(crate) fn p_value(p: f64) -> String {
    if p < 0.0001 {
        "< 0.0001".to_owned()
    } else if p > 0.9999 {
        "> 0.9999".to_owned()
    } else {
        format!("= {p:.4}")
    }
}

#[derive(Default)]
struct Tally {
    tickets: u64,
    copies: u64,
    old_right: u64,
    new_right: u64,
    wins: u64,
    losses: u64,
}

impl Tally {
    fn add(&mut self, row: &Row<'_>) {
        let (old, new) = (row.old.label == row.truth, row.new.label == row.truth);
        self.tickets += 1;
        self.copies += u64::from(row.copy);
        self.old_right += u64::from(old);
        self.new_right += u64::from(new);
        self.wins += u64::from(new && !old);
        self.losses += u64::from(old && !new);
    }

    fn class(&self, label: &str) -> ClassChange {
        ClassChange {
            label: label.to_owned(),
            tickets: self.tickets,
            copies: self.copies,
            old_recall: share(self.old_right, self.tickets),
            new_recall: share(self.new_right, self.tickets),
            wins: self.wins,
            losses: self.losses,
        }
    }
}

fn side<'a>(rows: &[Row<'a>], answer: impl Fn(&Row<'a>) -> Answer<'a>) -> Side {
    let (mut right, mut decided, mut decided_right) = (0, 0, 0);
    let mut unknown_labels: BTreeMap<String, u64> = BTreeMap::new();
    for row in rows {
        let answer = answer(row);
        let is_right = answer.label == row.truth;
        right += u64::from(is_right);
        decided += u64::from(answer.decided);
        decided_right += u64::from(answer.decided && is_right);
        if !answer.knows_truth {
            *unknown_labels.entry(row.truth.to_owned()).or_default() += 1;
        }
    }
    Side {
        accuracy: share(right, rows.len() as u64),
        decided: share(decided, rows.len() as u64),
        precision: (decided > 0).then(|| share(decided_right, decided)),
        unknown_labels,
    }
}

fn share(part: u64, all: u64) -> f64 {
    if all == 0 { 0.0 } else { part as f64 / all as f64 }
}

#[cfg(test)]
mod tests;
