use proptest::prelude::*;

use super::*;

fn head(target: Target, labels: &[&str], calibration: Calibration) -> Head {
    let n = labels.len();
    Head {
        target,
        labels: labels.iter().map(|l| Arc::from(*l)).collect(),
        thresholds: vec![0.5; n],
        calibration,
        log_priors: (0..n).map(|i| -1.0 - i as f64 * 0.1).collect(),
    }
}

/// Two heads over five pieces and the unknown one.
fn parts(calibration: Calibration) -> Parts {
    let vocabulary = ["[UNK]", "vpn", "printer", "error", "con", "##nect"];
    let heads = vec![
        head(Target::Category, &["Network", "Printing", "Software"], calibration),
        head(Target::Urgency, &["high", "low"], Calibration::NONE),
    ];
    let weights = (0..vocabulary.len() * 5).map(|i| -1.0 - (i * 7 % 11) as f32 * 0.3).collect();
    Parts {
        id: ModelId::new("test"),
        version: "test".to_owned(),
        pieces: WordPieces::new(vocabulary),
        heads,
        weights,
    }
}

fn model() -> Model {
    Model::new(parts(Calibration { temperature: 0.7, exponent: 0.5 })).unwrap()
}

fn check(model: &Model, subject: &str, body: &str) {
    let judgement = model.judge(&mut Scratch::default(), subject, body);
    for head in judgement.heads.iter().flatten() {
        let sum: f64 = head.probabilities.iter().sum();
        assert!((sum - 1.0).abs() < 1e-9, "{sum}");
        assert!(head.probabilities.iter().all(|p| (0.0..=1.0).contains(p)));
    }
    let category = judgement.head(Target::Category).unwrap();
    let all = model.explain_all(&mut Scratch::default(), subject, body).explanation;
    for e in [&judgement.explanation, &all] {
        let parts: f64 = e.words.iter().map(|w| w.weight).sum::<f64>() + e.other + e.prior;
        assert!((parts - e.total).abs() < 1e-9 * e.total.abs().max(1.0), "{parts} {}", e.total);
        let runner_up = category.probabilities[category.runner_up.unwrap()];
        if runner_up > 1e-300 {
            let odds = (category.probabilities[category.best] / runner_up).ln();
            assert!((odds - e.total).abs() < 1e-9 * odds.abs().max(1.0), "{odds} {}", e.total);
        }
        assert!(e.total >= 0.0);
    }
    assert!(judgement.explanation.words.len() <= SHOWN);
    assert!(all.other.abs() < 1e-9 * all.total.abs().max(1.0));
}

#[test]
fn pieces_fold_into_words_and_unknown_words_count_apart() {
    let model = model();
    let judged = model.judge(&mut Scratch::default(), "Connect VPN!", "vpn? zzz kim@example.com");
    assert_eq!((judged.tokens, judged.unknown), (4, 1));
    assert_eq!(judged.masks.total(), 1);
    assert_eq!(judged.language, Language::En);
    let mut words: Vec<(&str, u32)> =
        judged.explanation.words.iter().map(|w| (w.word.as_str(), w.count)).collect();
    words.sort_unstable();
    assert_eq!(words, [("connect", 1), ("vpn", 2)]);
    check(&model, "Connect VPN!", "vpn? zzz");
}

#[test]
fn nothing_known_leaves_the_priors() {
    let model = model();
    for text in ["", "zzz qqq", "!!! 🙂", "[EMAIL]"] {
        let judged = model.judge(&mut Scratch::default(), text, "");
        assert_eq!(judged.tokens, 0);
        assert_eq!(judged.head(Target::Category).unwrap().best, 0);
        assert_eq!(judged.explanation.total, judged.explanation.prior);
        check(&model, text, "");
    }
}

#[test]
fn very_long_texts_stay_finite() {
    let text = "vpn error connect ".repeat(40_000);
    for calibration in [
        Calibration::NONE,
        Calibration { temperature: 1e-6, exponent: 0.0 },
        Calibration { temperature: 1e6, exponent: 1.0 },
    ] {
        check(&Model::new(parts(calibration)).unwrap(), "printer", &text);
    }
}

#[test]
fn a_scratch_carries_nothing_over() {
    let model = model();
    let mut scratch = Scratch::default();
    let fresh = model.judge(&mut scratch, "vpn error", "printer");
    let _ = model.judge(&mut scratch, "printer printer con", "프린터 [EMAIL] 010-1234-5678");
    assert_eq!(model.judge(&mut scratch, "vpn error", "printer"), fresh);
}

#[test]
fn parts_that_do_not_fit_are_refused() {
    let fine = || parts(Calibration::NONE);
    let error = |change: fn(&mut Parts)| {
        let mut parts = fine();
        change(&mut parts);
        Model::new(parts).unwrap_err()
    };
    assert!(matches!(error(|p| p.heads[1].target = Target::Category), ModelError::Twice(_)));
    assert!(matches!(error(|p| p.heads[0].labels.reverse()), ModelError::Order(_)));
    assert!(matches!(error(|p| p.heads[0].thresholds.clear()), ModelError::Count { .. }));
    assert!(matches!(error(|p| p.heads[0].log_priors[0] = f64::NAN), ModelError::Range { .. }));
    assert!(matches!(
        error(|p| p.heads[0].calibration.temperature = 0.0),
        ModelError::Range { .. }
    ));
    assert!(matches!(error(|p| p.weights.truncate(3)), ModelError::Weights { .. }));
    let not_a_number = error(|p| p.weights[7] = f32::INFINITY);
    assert_eq!(not_a_number, ModelError::NotANumber { piece: 1, label: 2 });
}

#[test]
fn the_best_two_and_ties() {
    assert_eq!(top_two(&[1.0]), (0, None));
    assert_eq!(top_two(&[1.0, 1.0, 1.0]), (0, Some(1)));
    assert_eq!(top_two(&[1.0, 3.0, 2.0]), (1, Some(2)));
    assert_eq!(top_two(&[3.0, 1.0, 2.0]), (0, Some(2)));
}

proptest! {
    #[test]
    fn any_text_is_judged(subject in "\\PC{0,40}", words in prop::collection::vec("vpn|error|connect|printer|con|x|한글|\\PC", 0..60)) {
        check(&model(), &subject, &words.join(" "));
    }

    #[test]
    fn any_scores_become_probabilities(
        mut scores in prop::collection::vec(-1e12f64..1e12, 1..40),
        temperature in 1e-6f64..1e6,
        exponent in 0.0f64..=1.0,
        n in any::<u32>(),
    ) {
        let scale = Calibration { temperature, exponent }.scale(n);
        log_softmax(&mut scores, scale);
        prop_assert!(scores.iter().all(|s| s.is_finite() && *s <= 0.0));
        let sum: f64 = scores.iter().map(|s| s.exp()).sum();
        prop_assert!((sum - 1.0).abs() < 1e-9);
    }
}
