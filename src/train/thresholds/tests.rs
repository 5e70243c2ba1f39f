use proptest::prelude::*;

use super::*;

fn answers(label: usize, groups: &[(f64, u64, u64)]) -> Vec<Answer> {
    let of = |&(confidence, right, wrong): &(f64, u64, u64)| {
        (0..right + wrong).map(move |i| Answer { label, confidence, right: i < right })
    };
    groups.iter().flat_map(of).collect()
}

#[test]
fn a_class_with_evidence_of_its_own_stands_alone() {
    let good = answers(0, &[(0.9, 100, 0), (0.7, 100, 2), (0.5, 50, 50)]);
    let bad = answers(1, &[(0.99, 60, 15), (0.6, 60, 40)]);
    let both = [good, bad].concat();
    assert_eq!(thresholds_by_class(&both, 2, 0.95, 30), [0.7, NEVER]);
    assert_eq!(thresholds_by_class(&both, 2, 0.95, 250), [NEVER, NEVER], "too few tickets");
    assert_eq!(thresholds_by_class(&both, 2, 1.0, 30), [NEVER, NEVER], "nothing shows certainty");
    assert_eq!(thresholds_by_class(&[], 2, 0.95, 30), [NEVER, NEVER]);
}

#[test]
fn many_small_classes_carry_each_other() {
    let mut all: Vec<Answer> =
        (0..40).flat_map(|c| answers(c, &[(0.9, 6, 0), (0.4, 3, 3)])).collect();
    // One is wrong where the others are right, one is right again above its mistake, one is never
    // sure, one never came.
    all.extend(answers(40, &[(0.9, 2, 2)]));
    all.extend(answers(41, &[(0.95, 9, 0), (0.9, 0, 2)]));
    all.extend(answers(42, &[(0.3, 9, 0)]));
    let thresholds = thresholds_by_class(&all, 44, 0.95, 30);
    assert!(thresholds[..40].iter().all(|t| *t == 0.9), "{thresholds:?}");
    assert_eq!(thresholds[40..], [NEVER, 0.95, NEVER, NEVER]);
}

#[test]
fn what_large_classes_show_is_not_lent_to_small_ones() {
    let large = answers(0, &[(0.8, 500, 0)]);
    let small = answers(1, &[(0.9, 8, 0)]);
    let thresholds = thresholds_by_class(&[large, small].concat(), 2, 0.95, 30);
    assert_eq!(thresholds, [0.8, NEVER]);
}

/// SplitMix64 (Steele et al. 2014), from 0 to 1.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// A made-up model: how often it is right on a class at a confidence.
type Truth = fn(usize, f64) -> f64;

fn draw(random: &mut Random, n: usize, labels: usize, truth: Truth) -> Vec<Answer> {
    let one = |_| {
        // The first classes are the most frequent.
        let label = (random.next().powi(2) * labels as f64) as usize;
        let confidence = 1.0 - random.next().powi(2);
        Answer { label, confidence, right: random.next() < truth(label, confidence) }
    };
    (0..n).map(one).collect()
}

/// The share of 200 simulations in which thresholds from `n` answers keep the target within
/// `slack` on 20,000 fresh ones, and the mean share of those that are decided.
fn kept(n: usize, labels: usize, truth: Truth, target: f64, slack: f64) -> (f64, f64) {
    let (mut kept, mut decided_sum) = (0, 0.0);
    for seed in 0..200 {
        let mut random = Random(seed);
        let held_out = draw(&mut random, n, labels, truth);
        let thresholds = thresholds_by_class(&held_out, labels, target, 30);
        let fresh = draw(&mut random, 20_000, labels, truth);
        let decided: Vec<_> =
            fresh.iter().filter(|a| a.confidence >= thresholds[a.label]).collect();
        let right = decided.iter().filter(|a| a.right).count() as f64;
        kept += u32::from(right >= (target - slack) * decided.len() as f64);
        decided_sum += decided.len() as f64 / fresh.len() as f64;
    }
    (f64::from(kept) / 200.0, decided_sum / 200.0)
}

#[test]
fn the_promise_is_kept_on_fresh_tickets() {
    let calibrated: Truth = |_, c| c;
    let overconfident: Truth = |_, c| 0.75 * c + 0.22 * c.powi(8);
    let unlike: Truth = |label, c| if label % 3 == 0 { 0.8 * c } else { c.powf(0.5) };
    let cases = [
        ("calibrated", 2_000, 8, calibrated, 0.9, 0.35),
        ("calibrated, asked for more", 2_000, 8, calibrated, 0.95, 0.2),
        ("calibrated, few tickets", 600, 40, calibrated, 0.9, 0.3),
        ("overconfident", 2_000, 8, overconfident, 0.9, 0.15),
        ("overconfident, few tickets", 600, 40, overconfident, 0.9, 0.1),
        ("classes unlike each other", 2_000, 12, unlike, 0.9, 0.2),
        ("classes unlike each other, few tickets", 600, 40, unlike, 0.9, 0.05),
    ];
    for (name, n, labels, truth, target, least) in cases {
        let (kept, decided) = kept(n, labels, truth, target, 0.01);
        assert!(kept >= 0.95, "{name}: kept in {kept}, deciding {decided}");
        assert!(decided >= least, "{name}: decides only {decided}");
    }
    let near_miss: Truth = |_, _| 0.885;
    let (_, decided) = kept(2_000, 8, near_miss, 0.9, 0.01);
    assert!(decided < 0.05, "what is always just too bad is decided in {decided}");
}

proptest! {
    #[test]
    fn order_does_not_matter(
        rows in prop::collection::vec((0usize..4, 0u8..20, prop::bool::weighted(0.9)), 0..400),
        target in 0.5..0.99f64,
    ) {
        let all: Vec<Answer> = rows
            .iter()
            .map(|(label, c, right)| Answer { label: *label, confidence: f64::from(*c) / 20.0, right: *right })
            .collect();
        let thresholds = thresholds_by_class(&all, 4, target, 20);
        prop_assert_eq!(thresholds.len(), 4);
        let reversed: Vec<Answer> = all.iter().rev().copied().collect();
        prop_assert_eq!(&thresholds_by_class(&reversed, 4, target, 20), &thresholds);
        // A label that nobody has abstains and changes nothing for the others.
        let more = thresholds_by_class(&all, 5, target, 20);
        prop_assert_eq!(&more[..4], &thresholds[..]);
        prop_assert_eq!(more[4], NEVER);
        for t in thresholds {
            prop_assert!(t == NEVER || (0.0..1.0).contains(&t));
        }
    }
}
