//! How long to wait before a request is sent again, and how many extra requests a host gets.
//! Pure: time and chance are passed in.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822;

/// When a request is sent again.
#[derive(Clone, Debug, PartialEq)]
pub struct RetryRule {
    /// Requests at most for one call, the first included. Asking after an earlier request that is
    /// still in flight (409) does not count and takes nothing of the budget; the longest wait bounds
    /// it.
    pub attempts: u32,
    /// The longest first wait, and the shortest that `Retry-After` may ask for. Doubles with each
    /// failure.
    pub base: Duration,
    /// The longest wait of all.
    pub cap: Duration,
    /// Extra requests a host gets for each call.
    pub budget_share: f64,
    /// Extra requests that a host gets beyond its share: what quiet times save up.
    pub budget_reserve: f64,
}

impl Default for RetryRule {
    fn default() -> Self {
        Self {
            attempts: 3,
            base: Duration::from_millis(500),
            cap: Duration::from_secs(10),
            budget_share: 0.1,
            budget_reserve: 10.0,
        }
    }
}

impl RetryRule {
    /// The wait after the `failures`th failure (from 1): as the runbook asks, within `base` and
    /// `cap`, or full jitter (AWS, "Exponential backoff and jitter"): anything up to the doubled
    /// base, as `chance` (the whole range of a u64) says.
    pub(super) fn wait(&self, failures: u32, asked: Option<Duration>, chance: u64) -> Duration {
        if let Some(asked) = asked {
            return asked.max(self.base).min(self.cap);
        }
        let doubled = 2_u32.saturating_pow(failures.saturating_sub(1).min(31));
        let longest = self.base.saturating_mul(doubled).min(self.cap);
        longest.mul_f64(chance as f64 / u64::MAX as f64)
    }
}

/// What `Retry-After` asks for: seconds, or a date. None if it is neither.
pub(super) fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = rfc2822::parse(value).ok()?.timestamp();
    Some(Duration::try_from(until.duration_since(now)).unwrap_or(Duration::ZERO))
}

/// The extra requests that a host has left: a share of the calls, and a reserve. Over any time
/// they are at most `share` x calls + `reserve`, whatever the host answers but "in flight" (409).
#[derive(Debug)]
pub(super) struct RetryBudget {
    share: f64,
    reserve: f64,
    left: f64,
}

impl RetryBudget {
    pub fn new(rule: &RetryRule) -> Self {
        let (share, reserve) = (rule.budget_share, rule.budget_reserve);
        Self { share, reserve, left: reserve }
    }

    /// A call begins.
    pub fn called(&mut self) {
        self.left = (self.left + self.share).min(self.reserve.max(1.0));
    }

    /// Takes one extra request, if there is one.
    pub fn take(&mut self) -> bool {
        let enough = self.left >= 1.0;
        if enough {
            self.left -= 1.0;
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn now() -> Timestamp {
        "2026-11-24T08:00:00Z".parse().unwrap()
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let seconds = Duration::from_secs;
        for (value, wait) in [
            ("0", Some(seconds(0))),
            (" 120 ", Some(seconds(120))),
            ("Tue, 24 Nov 2026 08:00:30 GMT", Some(seconds(30))),
            ("Tue, 24 Nov 2026 07:00:00 GMT", Some(seconds(0))),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
            ("", None),
            ("99999999999999999999999999", None),
        ] {
            assert_eq!(retry_after(value, now()), wait, "{value:?}");
        }
    }

    #[test]
    fn a_runbook_can_ask_for_no_less_than_the_base_and_no_more_than_the_cap() {
        let rule = RetryRule::default();
        let wait = |asked| rule.wait(1, Some(asked), 0);
        assert_eq!(wait(Duration::ZERO), rule.base);
        assert_eq!(wait(Duration::from_secs(3)), Duration::from_secs(3));
        assert_eq!(wait(Duration::MAX), rule.cap);
    }

    #[test]
    fn the_jitter_is_full_and_doubles_up_to_the_cap() {
        let rule = RetryRule::default();
        for (failures, longest) in
            [(1, 500), (2, 1_000), (3, 2_000), (5, 8_000), (6, 10_000), (u32::MAX, 10_000)]
        {
            let longest = Duration::from_millis(longest);
            assert_eq!(rule.wait(failures, None, 0), Duration::ZERO);
            assert_eq!(rule.wait(failures, None, u64::MAX), longest);
            let half = rule.wait(failures, None, u64::MAX / 2).as_secs_f64();
            assert!((half - longest.as_secs_f64() / 2.0).abs() < 1e-6);
        }
    }

    proptest! {
        #[test]
        fn the_budget_is_never_exceeded(
            steps in prop::collection::vec(any::<bool>(), 0..2_000),
            share in 0.0..0.5,
            reserve in 0.0..20.0,
        ) {
            let rule = RetryRule { budget_share: share, budget_reserve: reserve, ..RetryRule::default() };
            let mut budget = RetryBudget::new(&rule);
            let (mut calls, mut extra) = (0_u32, 0_u32);
            for is_call in steps {
                if is_call {
                    calls += 1;
                    budget.called();
                } else if budget.take() {
                    extra += 1;
                }
                prop_assert!(f64::from(extra) <= share * f64::from(calls) + reserve + 1e-6);
            }
        }
    }
}
