//! What is done about a host that fails: when it is left alone, and when a request is sent again.

use serde::Deserialize;

use crate::config::check::Problems;
use crate::stage::runbook::LONGEST_WAIT;
use crate::stage::runbook::breaker::BreakerRule;
use crate::stage::runbook::retry::RetryRule;

/// An hour: a host that is back is not left alone for longer.
const LONGEST_OPEN_MS: i64 = 3_600_000;

/// The most requests that a breaker can look at.
const LARGEST_WINDOW: i64 = 1000;

/// Extra requests for each call, at most: a host that is down already must not be struck much harder.
const LARGEST_BUDGET: f64 = 0.2;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BreakerSection {
    window: i64,
    minimum: i64,
    failure_share: f64,
    open_ms: i64,
    open_at_most_ms: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RetriesSection {
    attempts: i64,
    base_ms: i64,
    cap_ms: i64,
    budget_share: f64,
    budget_reserve: i64,
}

pub(super) fn breaker(section: &BreakerSection, p: &mut Problems) -> BreakerRule {
    let &BreakerSection { window, minimum, failure_share, open_ms, open_at_most_ms } = section;
    let longest = LONGEST_OPEN_MS;
    // No bound may come from a value that is out of bounds itself.
    let (seen, shortest) = (window.clamp(1, LARGEST_WINDOW), open_ms.clamp(1, longest));
    BreakerRule {
        window: p.within("resolve.breaker.window", window, 1, LARGEST_WINDOW),
        minimum: p.within("resolve.breaker.minimum", minimum, 1, seen),
        failure_share: p.share("resolve.breaker.failure_share", failure_share),
        open_for: p.millis("resolve.breaker.open_ms", open_ms, 1, longest),
        open_at_most: p.millis(
            "resolve.breaker.open_at_most_ms",
            open_at_most_ms,
            shortest,
            longest,
        ),
    }
}

pub(super) fn retries(section: &RetriesSection, p: &mut Problems) -> RetryRule {
    let &RetriesSection { attempts, base_ms, cap_ms, budget_share, budget_reserve } = section;
    // A longer wait would never be made.
    let longest = i64::try_from(LONGEST_WAIT.as_millis()).unwrap_or(i64::MAX);
    if !(0.0..=LARGEST_BUDGET).contains(&budget_share) {
        let what = format!("must be between 0 and {LARGEST_BUDGET}, not {budget_share}");
        p.add("resolve.retries.budget_share", what);
    }
    RetryRule {
        attempts: p.within("resolve.retries.attempts", attempts, 1, 10),
        base: p.millis("resolve.retries.base_ms", base_ms, 1, longest),
        cap: p.millis("resolve.retries.cap_ms", cap_ms, base_ms.clamp(1, longest), longest),
        budget_share,
        budget_reserve: f64::from(p.within::<u32>(
            "resolve.retries.budget_reserve",
            budget_reserve,
            0,
            100,
        )),
    }
}
