use proptest::prelude::*;

use super::*;
use crate::config::Config;
use crate::triage::model::Calibration;

fn head() -> Head {
    Head {
        target: Target::Category,
        labels: ["A", "B"].map(Arc::from).to_vec(),
        thresholds: vec![0.6, 0.8],
        calibration: Calibration::NONE.into(),
        bias: vec![-1.0; 2],
    }
}

fn policy(file: &str) -> Policy {
    let none: [(String, String); 0] = [];
    Config::from_layers(Some(file), none, &[]).expect("a good configuration").policy
}

fn prediction(truth: usize, answer: usize, confidence: f64) -> Prediction {
    let truth = Some(truth).filter(|t| *t < 2);
    Prediction { truth, answer, confidence, held_back: false, copy: false, language: Language::En }
}

const WANTED: Wanted =
    Wanted { precision: 0.9, min_tickets: 30, per_day: 100.0, one_threshold: false };

#[test]
fn numbers_by_hand() {
    let predictions = [
        prediction(0, 0, 0.9),
        prediction(1, 0, 0.7),
        Prediction { held_back: true, ..prediction(0, 0, 0.95) },
        Prediction { language: Language::Ko, ..prediction(1, 1, 0.9) },
        prediction(1, 1, 0.7),
    ];
    let s = simulate(&head(), &policy(""), &predictions, WANTED);
    assert_eq!((s.tickets, s.held_back), (5, 1));
    let all = s.in_force.outcomes.all;
    assert_eq!((all.decided, all.right, all.coverage, all.automation), (3, 2, 0.8, 0.6));
    assert_eq!((all.precision, all.misroutes_a_day), (Some(2.0 / 3.0), 20.0));
    let classes = &s.in_force.outcomes.classes;
    assert_eq!((classes["A"].decided, classes["B"].decided, classes["B"].tickets), (2, 1, 2));
    assert_eq!(s.in_force.outcomes.languages["ko"].precision, Some(1.0));
    let never = &s.recommended;
    assert_eq!((never.thresholds["A"], never.outcomes.all.precision), (NEVER, None));
    assert_eq!(s.sweep[0].outcomes.all.decided, 4);
}

#[test]
fn the_policys_thresholds_are_in_force() {
    let s = simulate(
        &head(),
        &policy("[policy]\nmin_confidence = 0.65\n[policy.thresholds]\nB = 0.7"),
        &[prediction(1, 1, 0.7)],
        WANTED,
    );
    assert_eq!((s.in_force.thresholds["A"], s.in_force.thresholds["B"]), (0.65, 0.7));
    assert_eq!(s.in_force.outcomes.all.decided, 1);
}

#[test]
fn a_label_that_the_model_does_not_have_is_a_mistake() {
    let s = simulate(&head(), &policy(""), &[prediction(9, 1, 0.99)], WANTED);
    assert_eq!(s.in_force.outcomes.all.precision, Some(0.0));
}

#[test]
fn copies_recommend_nothing() {
    let twenty = |times: usize| -> Vec<Prediction> {
        let of = |i: usize| Prediction { copy: i >= 20, ..prediction(0, 0, 0.9) };
        (0..20 * times).map(of).collect()
    };
    let s = simulate(&head(), &policy(""), &twenty(3), WANTED);
    assert_eq!((s.tickets, s.copies, s.held_back), (60, 40, 0));
    assert_eq!((s.recommended.thresholds["A"], s.recommended.outcomes.all.decided), (NEVER, 0));
    let once = simulate(&head(), &policy(""), &twenty(1), WANTED);
    let lower = |s: &Simulation| s.in_force.outcomes.all.precision_lower;
    assert_eq!((s.in_force.outcomes.all.decided, lower(&s)), (60, lower(&once)));
    // Sixty tickets of their own show it.
    let alone: Vec<Prediction> =
        twenty(3).into_iter().map(|p| Prediction { copy: false, ..p }).collect();
    let s = simulate(&head(), &policy(""), &alone, WANTED);
    assert_eq!((s.recommended.thresholds["A"], s.copies), (0.9, 0));
}

#[test]
fn one_threshold_is_the_lowest_that_all_show_together() {
    let right = |n: usize, label: usize, confidence| vec![prediction(label, label, confidence); n];
    let wrong = vec![prediction(0, 1, 0.5); 10];
    let predictions = [right(25, 0, 0.9), right(25, 1, 0.7), wrong].concat();
    let one = Wanted { one_threshold: true, ..WANTED };
    let s = simulate(&head(), &policy(""), &predictions, one);
    assert_eq!((s.recommended.thresholds["A"], s.recommended.thresholds["B"]), (0.7, 0.7));
    assert_eq!((s.recommended.outcomes.all.decided, s.one_threshold), (50, true));
    // What repeats others or is held back anyway shows nothing.
    for (copy, held_back) in [(true, false), (false, true)] {
        let silent = predictions.iter().map(|p| Prediction { copy, held_back, ..*p });
        let silent: Vec<Prediction> = silent.collect();
        let s = simulate(&head(), &policy(""), &silent, one);
        assert_eq!((s.recommended.thresholds["A"], s.recommended.thresholds["B"]), (NEVER, NEVER));
    }
    let twenty = simulate(&head(), &policy(""), &right(20, 0, 0.9), one);
    assert_eq!(twenty.recommended.thresholds["B"], NEVER);
}

#[test]
fn floors() {
    let predictions = [prediction(0, 0, 0.9), prediction(1, 0, 0.9), prediction(0, 0, 0.1)];
    let all = simulate(&head(), &policy(""), &predictions, WANTED).in_force.outcomes.all;
    assert_eq!(below_floors(&all, None, None), []);
    assert_eq!(below_floors(&all, Some(0.5), Some(0.6)), []);
    let both = below_floors(&all, Some(0.9), Some(0.7));
    assert_eq!(both.len(), 2);
    assert_eq!(
        both[0].to_string(),
        "of the tickets decided alone 50.0% are right, less than 90.0%"
    );
    let none = simulate(&head(), &policy(""), &[], WANTED).in_force.outcomes.all;
    assert!(matches!(
        below_floors(&none, Some(1.0), Some(0.1))[..],
        [BelowFloor::Automation { .. }]
    ));
    // A model that decides nothing is never wrong, and shows nothing.
    assert_eq!(below_floors(&none, Some(0.95), None), [BelowFloor::Nothing]);
    assert_eq!(below_floors(&none, Some(0.95), Some(0.0)), []);
    assert_eq!(below_floors(&none, None, None), []);
}

proptest! {
    #[test]
    fn a_higher_threshold_decides_less_and_parts_add_up(
        drawn in prop::collection::vec(
            (0usize..3, 0usize..2, 0.0..=1.0f64, any::<bool>(), any::<bool>()), 0..300),
    ) {
        let predictions: Vec<Prediction> = drawn
            .iter()
            .map(|&(truth, answer, confidence, held_back, korean)| Prediction {
                held_back,
                language: if korean { Language::Ko } else { Language::En },
                ..prediction(truth, answer, confidence)
            })
            .collect();
        let s = simulate(&head(), &policy(""), &predictions, WANTED);
        for pair in s.sweep.windows(2) {
            let (low, high) = (&pair[0].outcomes.all, &pair[1].outcomes.all);
            prop_assert!(high.decided <= low.decided && high.coverage <= low.coverage);
        }
        for outcomes in s.sweep.iter().map(|w| &w.outcomes).chain([&s.in_force.outcomes, &s.recommended.outcomes]) {
            let all = &outcomes.all;
            prop_assert!(all.right <= all.decided && all.automation <= all.coverage);
            prop_assert!(all.precision.is_none_or(|p| all.precision_lower <= p));
            prop_assert_eq!(all.tickets, predictions.len() as u64);
            let parts: [Vec<&Outcome>; 2] =
                [outcomes.classes.values().collect(), outcomes.languages.values().collect()];
            for parts in parts {
                prop_assert_eq!(parts.iter().map(|o| o.tickets).sum::<u64>(), all.tickets);
                prop_assert_eq!(parts.iter().map(|o| o.decided).sum::<u64>(), all.decided);
                let misroutes: f64 = parts.iter().map(|o| o.misroutes_a_day).sum();
                prop_assert!((misroutes - all.misroutes_a_day).abs() < 1e-6);
            }
        }
    }
}
