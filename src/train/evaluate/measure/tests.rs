use proptest::prelude::*;

use super::*;
use crate::triage::model::Target;

fn predicted(truth: usize, probabilities: &[f64], language: Language) -> Predicted {
    Predicted::example(truth, probabilities, language)
}

fn head(labels: &[&str], tickets: Vec<Predicted>) -> HeadPredictions {
    let labels = labels.iter().map(|l| Arc::from(*l)).collect();
    HeadPredictions {
        target: Target::Category,
        labels,
        thresholds: vec![0.7; 3],
        tickets,
        unknown: vec![],
    }
}

fn four() -> HeadPredictions {
    let tickets = vec![
        predicted(0, &[0.8, 0.1, 0.1], Language::En),
        predicted(0, &[0.3, 0.6, 0.1], Language::En),
        predicted(1, &[0.1, 0.8, 0.1], Language::Ko),
        predicted(2, &[0.35, 0.25, 0.4], Language::Ko),
    ];
    head(&["A/x", "A/y", "B"], tickets)
}

#[test]
fn numbers_by_hand() {
    let m = measure(&four(), false);
    assert_eq!((m.tickets, m.accuracy, m.majority), (4, 0.75, 0.5));
    assert_eq!(m.confusion, [(0, 0, 1), (0, 1, 1), (1, 1, 1), (2, 2, 1)]);
    assert_eq!((m.labels[0].recall, m.labels[0].answered), (0.5, 1));
    assert_eq!((m.labels[1].precision, m.labels[1].answered), (0.5, 2));
    assert_eq!(m.labels[1].precision_interval, wilson_interval(1, 2, TWO_SIDED_95));
    assert_eq!((m.labels[1].decided, m.labels[1].decided_right), (1, 1));
    assert_eq!(m.labels[1].threshold, Some(0.7));
    assert!((m.macro_f1 - (2.0 / 3.0 + 2.0 / 3.0 + 1.0) / 3.0).abs() < 1e-12);
    assert_eq!((m.coverage, m.precision), (0.5, 1.0));
    assert_eq!((m.decided(), m.precision_alone()), ((2, 2), Some(1.0)));
    assert_eq!(m.accuracy_interval(), wilson_interval(3, 4, TWO_SIDED_95));
    // 0.8 0.8 | 0.6 wrong | 0.4 right
    let at = m.coverage_at_wanted().unwrap();
    assert_eq!((at.threshold, at.coverage), (Some(0.8), 0.5));
    let expected = -(0.8f64.ln() + 0.3f64.ln() + 0.8f64.ln() + 0.4f64.ln()) / 4.0;
    assert!((m.log_loss.unwrap() - expected).abs() < 1e-12);
    assert!((m.calibration_error - (0.2 + 0.2 + 0.6 + 0.6) / 4.0).abs() < 1e-12);
    let bins: Vec<_> = m.bins.iter().map(|b| (b.tickets, b.confidence, b.accuracy)).collect();
    assert_eq!(bins, [(1, 0.4, 1.0), (1, 0.6, 0.0), (2, 0.8, 1.0)]);
    assert_eq!((m.bins[2].from, m.bins[2].to), (12.0 / 15.0, 13.0 / 15.0));
    let curve: Vec<_> = m.curve.iter().map(|p| (p.threshold, p.coverage, p.precision)).collect();
    assert_eq!(curve, [(0.8, 0.5, 1.0), (0.6, 0.75, 2.0 / 3.0), (0.4, 1.0, 0.75)]);
    let mistake = Confusion { truth: "A/x".into(), answer: "A/y".into(), tickets: 1, share: 0.5 };
    assert_eq!(m.confusions, [mistake]);
}

#[test]
fn tickets_of_a_label_that_the_model_does_not_know_count_as_wrong() {
    let mut head = four();
    head.unknown = vec!["A/z".into(), "C".into()];
    head.tickets.push(predicted(3, &[0.9, 0.05, 0.05], Language::En));
    head.tickets.push(predicted(4, &[0.1, 0.1, 0.8], Language::En));
    let m = measure(&head, false);
    assert_eq!((m.tickets, m.accuracy), (6, 0.5));
    assert_eq!(m.unknown_labels, [("A/z".into(), 1), ("C".into(), 1)].into());
    assert_eq!((m.coverage, m.precision), (4.0 / 6.0, 0.5));
    assert_eq!((m.labels[0].answered, m.labels[0].precision), (2, 0.5));
    assert_eq!(m.coverage_at_wanted().unwrap().coverage, 0.0);
    assert_eq!((m.known(), m.log_loss), (4, measure(&four(), false).log_loss));
    assert!(m.macro_f1 < measure(&four(), false).macro_f1);
    // That of A/z is A, which is known.
    let first = measure(&head.first_level().unwrap(), true);
    assert_eq!((first.accuracy, first.unknown_labels), (4.0 / 6.0, [("C".into(), 1)].into()));
}

#[test]
fn what_the_daemon_holds_back_is_decided_by_nobody_and_in_no_hindsight() {
    let mut head = four();
    (head.tickets[2].held_back, head.tickets[2].decided) = (true, false);
    let m = measure(&head, false);
    assert_eq!((m.accuracy, m.coverage, m.decided()), (0.75, 0.25, (1, 1)));
    assert_eq!((m.labels[1].answered, m.labels[1].decided), (2, 0));
    assert_eq!(m.coverage_at_wanted().unwrap().coverage, 0.25);
    let curve: Vec<_> = m.curve.iter().map(|p| (p.threshold, p.coverage)).collect();
    assert_eq!(curve, [(0.8, 0.25), (0.6, 0.5), (0.4, 0.75)]);
    // Its confidence can be believed or not, all the same.
    assert_eq!(m.bins, measure(&four(), false).bins);
    assert_eq!(m.languages[1].coverage_at_95, 0.5);
}

#[test]
fn languages_by_hand() {
    let m = measure(&four(), false);
    let [en, ko] = m.languages[..] else { panic!("two languages") };
    assert_eq!(
        (en.language, en.tickets, en.accuracy, en.coverage_at_95),
        (Language::En, 2, 0.5, 0.5)
    );
    assert!((en.calibration_error - 0.4).abs() < 1e-12);
    assert_eq!(
        (ko.language, ko.tickets, ko.accuracy, ko.coverage_at_95),
        (Language::Ko, 2, 1.0, 1.0)
    );
    assert!((ko.calibration_error - 0.4).abs() < 1e-12);
}

#[test]
fn the_first_level_adds_probabilities_up() {
    let first = four().first_level().unwrap();
    assert_eq!(first.labels.iter().map(AsRef::as_ref).collect::<Vec<_>>(), ["A", "B"]);
    // The last ticket's A/x and A/y together beat B.
    assert_eq!(measure(&first, true).confusion, [(0, 0, 3), (1, 0, 1)]);
    assert!(first.first_level().is_none());
}

#[test]
fn nothing_to_measure_is_no_division_by_zero() {
    let m = measure(&head(&["A"], vec![]), false);
    assert_eq!((m.accuracy, m.calibration_error), (0.0, 0.0));
    assert_eq!((m.log_loss, m.brier, m.known()), (None, None, 0));
    assert!(m.macro_f1.is_sign_positive() && m.calibration_error.is_sign_positive());
    assert_eq!((m.decided(), m.precision_alone()), ((0, 0), None));
    assert!(m.bins.is_empty() && m.curve.is_empty() && m.languages.is_empty());
}

#[test]
fn where_no_label_is_known_nothing_is_said_of_probabilities_and_no_zero_has_a_sign() {
    let mut head = head(&["A", "B"], vec![]);
    head.unknown = vec!["C".into()];
    head.tickets = vec![predicted(2, &[0.9, 0.1], Language::En)];
    let m = measure(&head, false);
    assert_eq!((m.known(), m.log_loss, m.brier), (0, None, None));
    assert_eq!((m.macro_f1, m.macro_f1.is_sign_positive()), (0.0, true));
    // Nor has that of a model that is sure and right.
    head.tickets = vec![predicted(0, &[1.0, 0.0], Language::En)];
    let m = measure(&head, false);
    assert!(m.log_loss.is_some_and(|loss| loss == 0.0 && loss.is_sign_positive()));
}

#[test]
fn copies_make_no_label_good_for_more() {
    let right = |n: usize| -> Vec<Predicted> {
        let of = |i: usize| Predicted { copy: i >= 10, ..predicted(0, &[0.9, 0.1], Language::En) };
        (0..n).map(of).collect()
    };
    let m = measure(&head(&["A", "B"], right(100)), false);
    assert_eq!((m.tickets, m.copies, m.distinct()), (100, 90, 10));
    assert_eq!((m.labels[0].decided, m.labels[0].decided_copies, m.bins[0].copies), (100, 90, 90));
    assert_eq!(m.accuracy_interval(), wilson_interval(10, 10, TWO_SIDED_95));
    assert_eq!(m.labels[0].precision_interval, wilson_interval(10, 10, TWO_SIDED_95));
    assert_eq!(m.labels[0].recall_interval, wilson_interval(10, 10, TWO_SIDED_95));
    assert_eq!(m.labels[0].use_for, Use::WhenSureTogether);
    assert_eq!(
        measure(&head(&["A", "B"], right(10)), false).labels[0].use_for,
        m.labels[0].use_for
    );
}

#[test]
fn what_a_label_is_good_for() {
    let many = |n, truth, p: f64| vec![predicted(truth, &[p, 1.0 - p], Language::En); n];
    let first = |tickets: Vec<Vec<Predicted>>| {
        measure(&head(&["A", "B"], tickets.concat()), false).labels[0].use_for
    };
    assert_eq!(first(vec![many(19, 0, 0.6)]), Use::TooFew);
    assert_eq!(first(vec![many(100, 0, 0.9), many(1, 1, 0.9)]), Use::Always);
    assert_eq!(first(vec![many(100, 0, 0.9), many(50, 1, 0.6)]), Use::WhenSure);
    assert_eq!(first(vec![many(100, 0, 0.6), many(50, 1, 0.6)]), Use::Proposal);
    assert_eq!(first(vec![many(20, 0, 0.6), many(80, 1, 0.6)]), Use::NotYet);
    // What it decides alone is not called a proposal, however few its tickets are.
    let few = vec![many(20, 0, 0.9), many(2, 1, 0.9), many(3, 0, 0.6)];
    assert_eq!(first(few), Use::WhenSureTogether);
    assert_eq!(first(vec![many(5, 0, 0.9)]), Use::WhenSureTogether);
    assert_eq!(first(vec![many(100, 0, 0.9), many(50, 1, 0.9)]), Use::WhenSureBelow);
    // And what it never decides alone is not called alone, even if it were right.
    assert_eq!(first(vec![many(100, 0, 0.6), many(1, 1, 0.6)]), Use::Proposal);
    assert_eq!(first(vec![many(5, 0, 0.9), many(95, 0, 0.6), many(9, 1, 0.6)]), Use::Proposal);
}

proptest! {
    #[test]
    fn parts_add_up(pairs in prop::collection::vec((0.0..=1.0f64, any::<bool>()), 1..400)) {
        let n = pairs.len();
        let right = pairs.iter().filter(|(_, right)| *right).count();
        let of = |&(confidence, right): &(f64, bool)| {
            predicted(usize::from(!right), &[confidence], Language::En)
        };
        let tickets: Vec<Predicted> = pairs.iter().map(of).collect();
        let (bins, error) = reliability(tickets.iter());
        prop_assert_eq!(bins.iter().map(|b| b.tickets).sum::<u64>(), n as u64);
        prop_assert!((0.0..=1.0).contains(&error));
        for bin in &bins {
            prop_assert!(bin.from <= bin.confidence + 1e-12 && bin.confidence <= bin.to + 1e-12);
        }
        let points = curve(&pairs, n);
        prop_assert!(points.len() <= POINTS);
        prop_assert!(points.is_sorted_by(|a, b| a.threshold > b.threshold && a.coverage < b.coverage));
        let last = points.last().unwrap();
        prop_assert_eq!((last.coverage, last.precision), (1.0, share(right, n)));
    }
}
