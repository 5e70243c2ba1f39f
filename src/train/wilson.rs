//! How sure a counted share is: Wilson's score interval (Wilson 1927, "Probable inference, the law
//! of succession, and statistical inference", JASA 22, 209-212). Unlike the textbook interval it
//! holds for few tickets and for shares near 0 and 1.

/// The `z` of a bound on one side that holds with 95 %.
pub const ONE_SIDED_95: f64 = 1.644_853_626_951_472_2;
/// The `z` of an interval that holds with 95 %.
pub const TWO_SIDED_95: f64 = 1.959_963_984_540_054;

/// The lower and the upper bound of the share that `successes` of `n` stand for, from 0 to 1.
/// Nothing counted says nothing: 0 to 1.
pub fn wilson_interval(successes: u64, n: u64, z: f64) -> (f64, f64) {
    interval_of_share(successes.min(n) as f64 / n as f64, n, z)
}

/// The same around a `share` from 0 to 1 that was counted on more rows than the `n` that are
/// evidence, as some of those were copies of others.
pub fn interval_of_share(share: f64, n: u64, z: f64) -> (f64, f64) {
    if n == 0 {
        return (0.0, 1.0);
    }
    let n = n as f64;
    let widening = 1.0 + z * z / n;
    let centre = (share + z * z / (2.0 * n)) / widening;
    let half = z * (share * (1.0 - share) / n + z * z / (4.0 * n * n)).sqrt() / widening;
    // Rounding must not put the share itself outside.
    ((centre - half).clamp(0.0, share), (centre + half).clamp(share, 1.0))
}

/// The lower bound of [`wilson_interval`].
pub fn wilson_lower(successes: u64, n: u64, z: f64) -> f64 {
    wilson_interval(successes, n, z).0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_intervals() {
        let close = |(a, b): (f64, f64), (c, d): (f64, f64)| {
            assert!((a - c).abs() < 5e-5 && (b - d).abs() < 5e-5, "{a} {b}");
        };
        // Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I.
        close(wilson_interval(81, 263, TWO_SIDED_95), (0.2553, 0.3662));
        close(wilson_interval(15, 148, TWO_SIDED_95), (0.0624, 0.1605));
        close(wilson_interval(0, 20, TWO_SIDED_95), (0.0, 0.1611));
        close(wilson_interval(1, 29, TWO_SIDED_95), (0.0061, 0.1718));
        assert_eq!(wilson_interval(0, 0, TWO_SIDED_95), (0.0, 1.0));
        for n in 1..2_000 {
            assert_eq!(wilson_lower(0, n, ONE_SIDED_95), 0.0, "{n}");
            assert_eq!(wilson_interval(n, n, ONE_SIDED_95).1, 1.0, "{n}");
        }
        // 52 right answers in a row show 95 %, 51 do not.
        assert!(wilson_lower(52, 52, ONE_SIDED_95) >= 0.95);
        assert!(wilson_lower(51, 51, ONE_SIDED_95) < 0.95);
    }

    proptest! {
        #[test]
        fn an_interval_holds_its_share_and_shrinks(n in 1u64..5_000, part in 0.0..=1.0f64) {
            let successes = (n as f64 * part) as u64;
            let share = successes as f64 / n as f64;
            let (low, high) = wilson_interval(successes, n, TWO_SIDED_95);
            prop_assert!((0.0..=1.0).contains(&low) && (0.0..=1.0).contains(&high));
            prop_assert!(low <= share + 1e-12 && share <= high + 1e-12);
            let (more_low, more_high) = wilson_interval(4 * successes, 4 * n, TWO_SIDED_95);
            prop_assert!(more_high - more_low < high - low);
            if successes < n {
                prop_assert!(wilson_lower(successes + 1, n, ONE_SIDED_95)
                    > wilson_lower(successes, n, ONE_SIDED_95));
            }
        }
    }
}
