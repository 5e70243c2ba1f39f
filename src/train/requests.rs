//! From what confidence a known request is taken for one.
//!
//! Requests have few examples each, so they are judged together: what counts is how many of all
//! answers that name a request are right, whichever request it is.

use super::calibrate::NEVER;
use super::thresholds::{Answer, Asked, Step, ladder};
use super::wilson::{ONE_SIDED_95, wilson_lower};
use crate::triage::requests::is_other;

/// What held-out tickets say of the requests' common threshold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evidence {
    /// The share of right answers that was asked for.
    pub target: f64,
    /// Held-out tickets that are a known request.
    pub requests: u64,
    /// Answers that name a request at or above the threshold, and how many of them were right.
    pub taken: u64,
    pub right: u64,
    /// Whether those answers show the target (Wilson's lower bound, 95 %, one-sided).
    pub shown: bool,
    /// Above 1: nothing is taken.
    pub threshold: f64,
}

/// For each label the lowest confidence at which a request is taken, [`NEVER`] for what is none.
///
/// All requests have one threshold: the lowest confidence at or above which the share of right
/// answers has a lower bound of the target or more (Wilson 1927, 95 %, one-sided). Where no
/// confidence can show that, mostly for want of answers, it is the lowest one at which the target
/// holds with one more wrong answer counted than there was, and at which the mean confidence,
/// which is what calibration expects to be right, reaches it too. The evidence then says that the
/// target is not shown.
///
/// A request whose own answers speak against the common threshold gets a higher one, as in
/// [`super::thresholds::thresholds_by_class`].
pub fn thresholds(
    answers: &[Answer],
    labels: &[std::sync::Arc<str>],
    target: f64,
    min_tickets: u64,
    requests: u64,
) -> (Vec<f64>, Evidence) {
    let asked = Asked { target, min_tickets };
    let named = |label: usize| labels.get(label).is_some_and(|name| !is_other(name));
    let pairs = |wanted: &dyn Fn(usize) -> bool| {
        let own = answers.iter().filter(|a| wanted(a.label));
        ladder(&own.map(|a| (a.confidence, a.right)).collect::<Vec<_>>())
    };
    let pool = pairs(&named);
    let expected = expected(answers.iter().filter(|a| named(a.label)), &pool);
    let shown = asked.lowest_shown(&pool);
    let is_likely = |(step, expected): &(&Step, f64)| {
        step.n >= min_tickets
            && step.right as f64 >= target * (step.n + 1) as f64
            && *expected >= target
    };
    let likely = || pool.iter().zip(expected).rev().find(is_likely).map(|(step, _)| *step);
    let common = shown.or_else(likely);
    let own = |label: usize| match common {
        Some(common) if named(label) => asked.raised(common, &pairs(&|other| other == label)),
        _ => NEVER,
    };
    let evidence = Evidence {
        target,
        requests,
        taken: common.map_or(0, |step| step.n),
        right: common.map_or(0, |step| step.right),
        shown: shown.is_some(),
        threshold: common.map_or(NEVER, |step| step.confidence),
    };
    ((0..labels.len()).map(own).collect(), evidence)
}

/// For each step the mean confidence of the answers at or above it.
fn expected<'a>(answers: impl Iterator<Item = &'a Answer>, steps: &[Step]) -> Vec<f64> {
    let mut confidences: Vec<f64> = answers.map(|a| a.confidence).collect();
    confidences.sort_by(|a, b| b.total_cmp(a));
    let (mut sum, mut counted) = (0.0, 0);
    let mean = |step: &Step| {
        let upto = step.n as usize;
        sum += confidences[counted..upto].iter().sum::<f64>();
        counted = upto;
        sum / step.n as f64
    };
    steps.iter().map(mean).collect()
}

impl std::fmt::Display for Evidence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { target, requests, taken, right, shown, threshold } = *self;
        let target = target * 100.0;
        if threshold >= NEVER {
            return write!(
                f,
                "known requests: at no confidence are {target:.1} % of the answers right on \
                 held-out tickets, {requests} of which are a request, so none is taken for one"
            );
        }
        write!(
            f,
            "known requests: from a confidence of {threshold:.3}, {taken} answers on held-out \
             tickets name a request, and {right} of them are right; {requests} of the tickets are \
             one. "
        )?;
        if shown {
            return write!(f, "That shows {target:.1} % precision with 95 % certainty");
        }
        let bound = wilson_lower(right, taken, ONE_SIDED_95) * 100.0;
        write!(
            f,
            "That is too little to show {target:.1} % precision: with 95 % certainty it shows \
             {bound:.1} %. Let people confirm what it proposes until more examples show more"
        )
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;

    fn labels() -> Vec<Arc<str>> {
        ["other", "other/vpn", "reset", "unlock"].map(Arc::from).to_vec()
    }

    fn answers(label: usize, confidence: f64, right: usize, wrong: usize) -> Vec<Answer> {
        let one = |right| Answer { label, confidence, right };
        [vec![one(true); right], vec![one(false); wrong]].concat()
    }

    fn thresholds_of(answers: &[Answer], requests: u64) -> (Vec<f64>, Evidence) {
        thresholds(answers, &labels(), 0.99, 30, requests)
    }

    #[test]
    fn many_right_answers_show_the_target_together() {
        let some = [answers(2, 0.999, 150, 0), answers(3, 0.995, 150, 0), answers(0, 0.9, 50, 9)];
        let (found, evidence) = thresholds_of(&some.concat(), 300);
        assert_eq!(found, [NEVER, NEVER, 0.995, 0.995]);
        assert!(evidence.shown);
        assert_eq!((evidence.taken, evidence.right), (300, 300));
    }

    #[test]
    fn few_right_answers_are_taken_but_show_nothing() {
        let some = [answers(2, 0.999, 60, 0), answers(3, 0.995, 60, 0)].concat();
        let (found, evidence) = thresholds_of(&some, 140);
        assert_eq!(found[2], 0.995);
        assert!(!evidence.shown);
        assert!(evidence.to_string().contains("too little to show 99.0 %"), "{evidence}");
        // Below 100 answers even none wrong is not enough, with one more counted.
        let (found, evidence) = thresholds_of(&some[..90], 140);
        assert_eq!(found, [NEVER; 4]);
        assert!(evidence.to_string().contains("none is taken"), "{evidence}");
    }

    #[test]
    fn where_few_show_nothing_calibration_must_expect_the_target() {
        let some = [answers(2, 0.999, 110, 0), answers(3, 0.9, 110, 0)].concat();
        assert_eq!(thresholds_of(&some, 250).0[2], 0.999);
        // Where many show it, what was seen counts for more than what was expected.
        let some = [answers(2, 0.999, 300, 0), answers(3, 0.9, 300, 0)].concat();
        assert_eq!(thresholds_of(&some, 600).0[2], 0.9);
    }

    #[test]
    fn a_request_that_is_often_wrong_is_not_carried_by_the_others() {
        let some = [answers(2, 0.999, 1_000, 0), answers(3, 0.999, 20, 4)].concat();
        let (found, evidence) = thresholds_of(&some, 1_100);
        assert!(evidence.shown);
        assert_eq!((found[2], found[3]), (0.999, NEVER));
    }

    proptest! {
        #[test]
        fn what_is_no_request_is_never_taken_and_the_rest_keeps_the_target(
            some in prop::collection::vec((0usize..4, 0.5..1.0f64, any::<bool>()), 0..300),
        ) {
            let some: Vec<Answer> = some
                .into_iter()
                .map(|(label, confidence, right)| Answer { label, confidence, right })
                .collect();
            let (found, evidence) = thresholds(&some, &labels(), 0.6, 10, 0);
            prop_assert_eq!(&found[..2], &[NEVER, NEVER]);
            prop_assert!(found[2..].iter().all(|t| *t >= evidence.threshold));
            let taken = some.iter().filter(|a| a.label > 1 && a.confidence >= evidence.threshold);
            prop_assert_eq!(taken.clone().count() as u64, evidence.taken);
            prop_assert!(evidence.right as f64 >= 0.6 * evidence.taken as f64);
        }
    }
}
