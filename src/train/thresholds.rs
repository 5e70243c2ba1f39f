//! A threshold for each class from held-out answers: the lowest confidence above which the class
//! is shown to be right as often as asked.

use super::calibrate::NEVER;
use super::wilson::{ONE_SIDED_95, wilson_interval, wilson_lower};

/// How many tickets the prior of a class with little evidence counts as.
const PRIOR_TICKETS: f64 = 10.0;

/// One answer on a ticket that was not fitted on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Answer {
    /// The index of the label that was answered.
    pub label: usize,
    /// From 0 to 1.
    pub confidence: f64,
    pub right: bool,
}

/// Answers at or above a confidence, and how many of them were right.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Step {
    pub confidence: f64,
    pub n: u64,
    pub right: u64,
}

/// For each of `labels` labels the lowest confidence at which its answers are right in a share of
/// `target` or more; [`NEVER`] where no confidence can be trusted so far.
///
/// 1. *Its own evidence says yes*: the lowest confidence with `min_tickets` answers or more at or
///    above it whose share of right ones has a lower bound of at least `target` (Wilson 1927, 95 %,
///    one-sided).
/// 2. *Its own evidence says no*: wherever there are enough answers to show the target, the upper
///    bound is below it. The class abstains.
/// 3. *Too few answers to say*: all such classes are pooled, and the pool's threshold is found as
///    in 1; without one they abstain. The classes that could say are kept out of the pool, so that
///    the bound speaks of those tickets that it decides. A class' threshold is raised above the
///    pool's, up to its own most confident answers, until its share of right answers, shrunk
///    towards the pool's, reaches the target: the mean of a beta posterior whose prior has the
///    pool's precision as its mean and counts as 10 tickets (partial pooling; Gelman et al., "Bayesian
///    Data Analysis", chapter 5). A class without an answer that high abstains.
///
/// A bound that holds for one confidence holds a little less for the lowest of many; the tests
/// measure by how much. Answers with a label of `labels` or more are not looked at.
pub fn thresholds_by_class(
    answers: &[Answer],
    labels: usize,
    target: f64,
    min_tickets: u64,
) -> Vec<f64> {
    let asked = Asked { target, min_tickets };
    let mut by_class = vec![Vec::new(); labels];
    for answer in answers {
        if let Some(own) = by_class.get_mut(answer.label) {
            own.push((answer.confidence, answer.right));
        }
    }
    let ladders: Vec<Vec<Step>> = by_class.iter().map(|own| ladder(own)).collect();
    let own: Vec<Option<f64>> = ladders.iter().map(|steps| asked.own(steps)).collect();
    let undecided = by_class.iter().zip(&own).filter(|(_, own)| own.is_none());
    let pool: Vec<(f64, bool)> = undecided.flat_map(|(class, _)| class.iter().copied()).collect();
    let pooled = asked.lowest_shown(&ladder(&pool));
    let fall_back = |steps: &[Step]| pooled.map_or(NEVER, |pooled| asked.raised(pooled, steps));
    ladders.iter().zip(own).map(|(steps, own)| own.unwrap_or_else(|| fall_back(steps))).collect()
}

/// The steps from the highest confidence down. Answers of equal confidence stand or fall together.
pub(super) fn ladder(answers: &[(f64, bool)]) -> Vec<Step> {
    let mut sorted = answers.to_vec();
    sorted.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    let mut steps: Vec<Step> = Vec::new();
    let (mut n, mut right) = (0, 0);
    for (confidence, is_right) in sorted {
        n += 1;
        right += u64::from(is_right);
        match steps.last_mut() {
            Some(last) if last.confidence == confidence => (last.n, last.right) = (n, right),
            _ => steps.push(Step { confidence, n, right }),
        }
    }
    steps
}

/// What a threshold must show.
pub(super) struct Asked {
    pub target: f64,
    pub min_tickets: u64,
}

impl Asked {
    fn is_enough(&self, n: u64) -> bool {
        n >= self.min_tickets && wilson_lower(n, n, ONE_SIDED_95) >= self.target
    }

    pub fn lowest_shown(&self, steps: &[Step]) -> Option<Step> {
        let shown = |s: &&Step| {
            s.n >= self.min_tickets && wilson_lower(s.right, s.n, ONE_SIDED_95) >= self.target
        };
        steps.iter().rev().find(shown).copied()
    }

    /// What the class' own answers say: a threshold, [`NEVER`], or nothing yet.
    fn own(&self, steps: &[Step]) -> Option<f64> {
        if let Some(step) = self.lowest_shown(steps) {
            return Some(step.confidence);
        }
        let hopeless = |s: &Step| wilson_interval(s.right, s.n, ONE_SIDED_95).1 < self.target;
        let mut telling = steps.iter().filter(|s| self.is_enough(s.n)).peekable();
        (telling.peek().is_some() && telling.all(hopeless)).then_some(NEVER)
    }

    /// The pool's threshold, raised until the class' own answers do not speak against it.
    pub fn raised(&self, pooled: Step, steps: &[Step]) -> f64 {
        let prior = PRIOR_TICKETS * pooled.right as f64 / pooled.n as f64;
        let carries =
            |s: &Step| prior + s.right as f64 >= self.target * (PRIOR_TICKETS + s.n as f64);
        let above = steps.partition_point(|s| s.confidence >= pooled.confidence);
        match steps[..above].iter().rposition(carries) {
            Some(lowest) if lowest + 1 < above => steps[lowest].confidence,
            Some(_) => pooled.confidence,
            None => NEVER,
        }
    }
}

#[cfg(test)]
mod tests;
