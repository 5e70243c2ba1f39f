use proptest::prelude::*;

use super::*;
use crate::triage::text::fields;

fn head(target: Target, labels: &[&str], calibration: Calibration) -> Head {
    let n = labels.len();
    Head {
        target,
        labels: labels.iter().map(|l| Arc::from(*l)).collect(),
        thresholds: vec![0.5; n],
        calibration: calibration.into(),
        bias: (0..n).map(|i| -1.0 - i as f64 * 0.1).collect(),
    }
}

/// Two heads over words, n-grams, a pair and fields.
fn parts(calibration: Calibration) -> Parts {
    let vocabulary = [
        "[UNK]",
        "error",
        "printer",
        "vpn",
        "#<co",
        "#con",
        "#onn",
        "#nne",
        "#ect",
        "#ct>",
        "vpn error",
        "@site=head office",
        "@via=email",
    ];
    let heads = vec![
        head(Target::Category, &["Network", "Printing", "Software"], calibration),
        head(Target::Urgency, &["high", "low"], Calibration::NONE),
    ];
    let weights = (0..vocabulary.len() * 5).map(|i| (i * 7 % 11) as f32 * 0.3 - 1.5).collect();
    Parts {
        id: ModelId::new("test"),
        version: "test".to_owned(),
        lexicon: Lexicon::new(vocabulary).unwrap(),
        subject_weight: 2.0,
        heads,
        scales: (0..vocabulary.len()).map(|i| 0.5 + i as f32 * 0.25).collect(),
        weights,
    }
}

fn model() -> Model {
    Model::new(parts(Calibration { temperature: 0.7, exponent: 0.5, ..Calibration::NONE })).unwrap()
}

fn check(model: &Model, text: &Text<'_>) {
    let judgement = model.judge(&mut Scratch::default(), text);
    for head in judgement.heads.iter().flatten() {
        let sum: f64 = head.probabilities.iter().sum();
        assert!((sum - 1.0).abs() < 1e-9, "{sum}");
        assert!(head.probabilities.iter().all(|p| (0.0..=1.0).contains(p)));
    }
    let category = judgement.head(Target::Category).unwrap();
    let all = model.explain_all(&mut Scratch::default(), text).explanation;
    for e in [&judgement.explanation, &all] {
        let parts: f64 = e.words.iter().map(|w| w.weight).sum::<f64>() + e.other + e.prior;
        assert!((parts - e.total).abs() < 1e-9 * e.total.abs().max(1.0), "{parts} {}", e.total);
        let runner_up = category.probabilities[category.runner_up.unwrap()];
        if runner_up > 1e-300 {
            let odds = (category.probabilities[category.best] / runner_up).ln();
            assert!((odds - e.total).abs() < 1e-9 * odds.abs().max(1.0), "{odds} {}", e.total);
        }
        assert!(e.total >= -1e-9);
    }
    assert!(judgement.explanation.words.len() <= SHOWN);
    // Sums are of single precision.
    let largest = all.words.iter().map(|w| w.weight.abs()).fold(1.0, f64::max);
    assert!(all.other.abs() < 1e-4 * largest, "{} of {largest}", all.other);
}

#[test]
fn n_grams_fold_into_words_and_unknown_words_count_apart() {
    let model = model();
    let judged = model.judge(
        &mut Scratch::default(),
        &Text::new("Connect VPN error!", "vpn? zzz kim@example.com"),
    );
    // Of "connect" a few n-grams are known, of "zzz" none.
    assert_eq!((judged.words, judged.unknown), (5, 2));
    assert_eq!(judged.masks.total(), 1);
    assert_eq!(judged.language, Language::En);
    let mut words: Vec<(&str, u32)> =
        judged.explanation.words.iter().map(|w| (w.word.as_str(), w.count)).collect();
    words.sort_unstable();
    assert_eq!(words, [("connect", 1), ("error", 1), ("vpn", 2), ("vpn error", 1)]);
    check(&model, &Text::new("Connect VPN!", "vpn? zzz"));
}

/// The formula of [`table::Table`] written out a feature at a time, without any folding.
#[test]
fn scores_equal_the_formula() {
    let parts = parts(Calibration::NONE);
    let of = |entry: &str| match entry {
        "error" => 1,
        "printer" => 2,
        "vpn" => 3,
        "#<co" => 4,
        "#con" => 5,
        "#onn" => 6,
        "#nne" => 7,
        "#ect" => 8,
        "#ct>" => 9,
        "vpn error" => 10,
        _ => 11,
    };
    // Subject "vpn error", body "vpn connect": vpn counts 2 + 1, error and the pair 2, the field 1.
    let g = |t: f64| 1.0 + t.ln();
    let share = 6f64.sqrt().recip();
    let mut features =
        vec![("vpn", g(3.0)), ("error", g(2.0)), ("vpn error", g(2.0)), ("@site", 1.0)];
    features.extend(["#<co", "#con", "#onn", "#nne", "#ect", "#ct>"].map(|gram| (gram, share)));
    let value = |(entry, g): &(&str, f64)| g * f64::from(parts.scales[of(entry)]);
    let length = features.iter().map(|f| value(f).powi(2)).sum::<f64>().sqrt();
    let expected: Vec<f64> = (0..5)
        .map(|column| {
            let weight = |entry| f64::from(parts.weights[of(entry) * 5 + column]);
            let sum: f64 = features.iter().map(|f| value(f) * weight(f.0)).sum();
            let bias = if column < 3 { column } else { column - 3 };
            -1.0 - bias as f64 * 0.1 + sum / length
        })
        .collect();
    let fields = ["@site=head office", "@site=nowhere"].map(str::to_owned);
    let text = Text { subject: "vpn error", body: "vpn connect", fields: &fields };
    let model = Model::new(self::parts(Calibration::NONE)).unwrap();
    let found = model.scores(&mut Scratch::default(), &text);
    for (found, expected) in found.iter().zip(&expected) {
        assert!((found - expected).abs() < 1e-5, "{found} {expected}");
    }
}

#[test]
fn a_field_is_explained_like_a_word_and_an_unknown_value_changes_nothing() {
    let model = model();
    let fields = ["@via=email", "@site=head office"].map(str::to_owned);
    let (subject, body) = ("vpn error", "printer");
    let text = Text { subject, body, fields: &fields };
    let judged = model.judge(&mut Scratch::default(), &text);
    let words: Vec<(&str, u32)> =
        judged.explanation.words.iter().map(|w| (w.word.as_str(), w.count)).collect();
    for field in ["via: email", "site: head office"] {
        assert!(words.contains(&(field, 1)), "{words:?}");
    }
    assert_eq!((judged.words, judged.unknown), (3, 0));
    check(&model, &text);
    let without = model.judge(&mut Scratch::default(), &Text::new(subject, body));
    assert_ne!(judged.heads, without.heads);
    let fields = ["@via=fax", "@new=email", "via: email", "vpn", ""].map(str::to_owned);
    let unknown = Text { subject, body, fields: &fields };
    assert_eq!(model.judge(&mut Scratch::default(), &unknown), without);
}

#[test]
fn nothing_known_leaves_the_priors() {
    let model = model();
    for text in ["", "zzz qqq", "!!! 🙂", "[EMAIL]"] {
        let judged = model.judge(&mut Scratch::default(), &Text::new(text, ""));
        assert_eq!(judged.words, judged.unknown);
        assert_eq!(judged.head(Target::Category).unwrap().best, 0);
        assert_eq!(judged.explanation.total, judged.explanation.prior);
        check(&model, &Text::new(text, ""));
    }
}

#[test]
fn very_long_texts_stay_finite() {
    let text = "vpn error connect ".repeat(40_000);
    for calibration in [
        Calibration::NONE,
        Calibration { temperature: 1e-6, exponent: 0.0, ..Calibration::NONE },
        Calibration { temperature: 1e6, exponent: 1.0, ..Calibration::NONE },
    ] {
        check(&Model::new(parts(calibration)).unwrap(), &Text::new("printer", &text));
    }
}

#[test]
fn a_scratch_carries_nothing_over() {
    let model = model();
    let mut scratch = Scratch::default();
    let text = Text::new("vpn error", "printer");
    let fresh = model.judge(&mut scratch, &text);
    let fields = ["@via=email".to_owned()];
    let (subject, body) = ("printer printer con", "프린터 [EMAIL] 010-1234-5678");
    let _ = model.judge(&mut scratch, &Text { subject, body, fields: &fields });
    assert_eq!(model.judge(&mut scratch, &text), fresh);
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
    assert!(matches!(error(|p| p.heads[0].bias[0] = f64::NAN), ModelError::Range { .. }));
    assert!(matches!(
        error(|p| p.heads[0].calibration.overall.temperature = 0.0),
        ModelError::Range { .. }
    ));
    let too_many_wrong = |p: &mut Parts| {
        let calibration = &mut p.heads[0].calibration.overall;
        (calibration.noise, calibration.confusion) = (0.5, 0.5);
    };
    assert!(matches!(error(too_many_wrong), ModelError::Range { .. }));
    assert!(matches!(
        error(|p| p.heads[0].calibration.overall.confusion = -0.1),
        ModelError::Range { .. }
    ));
    assert!(matches!(error(|p| p.weights.truncate(3)), ModelError::Weights { .. }));
    let not_a_number = error(|p| p.weights[7] = f32::INFINITY);
    assert_eq!(error(|p| p.scales[3] = -1.0), ModelError::Scale { entry: 3 });
    assert_eq!(error(|p| p.subject_weight = f32::NAN), ModelError::SubjectWeight);
    assert_eq!(not_a_number, ModelError::NotANumber { entry: 1, label: 2 });
}

#[test]
fn the_best_two_and_ties() {
    assert_eq!(top_two(&[1.0]), (0, None));
    assert_eq!(top_two(&[1.0, 1.0, 1.0]), (0, Some(1)));
    assert_eq!(top_two(&[1.0, 3.0, 2.0]), (1, Some(2)));
    assert_eq!(top_two(&[3.0, 1.0, 2.0]), (0, Some(2)));
}

#[test]
fn a_sure_answer_is_no_surer_than_sure() {
    // Found at random: 1 less two shares and both of them again is more than 1.
    let (noise, confusion) = (0.269_137_846_499_384_16, 0.034_797_5);
    for step in 0..1000 {
        let confusion = confusion + f64::from(step) * 1e-6;
        let mut one = [0.0];
        Calibration { noise, confusion, ..Calibration::NONE }.probabilities(&mut one, 1);
        assert!(one[0] <= 1.0 && one[0] > 1.0 - 1e-12, "{one:?}");
    }
}

proptest! {
    #[test]
    fn any_text_is_judged(
        subject in "\\PC{0,40}",
        words in prop::collection::vec("vpn|error|connect|printer|con|x|한글|\\PC", 0..60),
        fields in prop::collection::vec("email|head office|Head  Office |\\PC{0,70}|@via=email", 0..4),
    ) {
        let name = |i| if i % 2 == 0 { "via" } else { "site" };
        let entries = fields.iter().enumerate().filter_map(|(i, v)| fields::entry(name(i), v));
        // As they come, too: a model must bear any text in their place.
        let fields: Vec<String> = entries.chain(fields.iter().cloned()).collect();
        check(&model(), &Text { subject: &subject, body: &words.join(" "), fields: &fields });
    }

    #[test]
    fn any_scores_become_probabilities(
        mut scores in prop::collection::vec(-1e12f64..1e12, 1..40),
        temperature in 1e-6f64..1e6,
        exponent in 0.0f64..=1.0,
        noise in 0.0f64..0.9,
        of_the_rest in 0.0f64..1.0,
        n in any::<u32>(),
    ) {
        let before = scores.clone();
        let confusion = of_the_rest * (0.99 - noise);
        Calibration { temperature, exponent, noise, confusion }.probabilities(&mut scores, n);
        prop_assert!(scores.iter().all(|p| p.is_finite() && (0.0..=1.0).contains(p)));
        prop_assert!((scores.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        // Within a length the order stays, and no answer is surer than labels are right.
        let floor = noise / scores.len() as f64;
        prop_assert!(scores.iter().all(|p| *p <= 1.0 - noise + floor + 1e-12));
        for (a, p) in before.iter().zip(&scores) {
            for (b, q) in before.iter().zip(&scores) {
                prop_assert!(a < b || p >= q);
            }
        }
    }
}
