//! What auto-resolution may do at most, as the owner sets it, and how long one action may take.

use std::time::Duration;

/// Calls within any minute and any hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cap {
    pub a_minute: u32,
    pub an_hour: u32,
}

/// When a playbook switches itself off.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SwitchOff {
    /// Looks at the last so many calls of a playbook.
    pub of: usize,
    /// But at no fewer than so many.
    pub at_least: usize,
    /// The share of them that failed.
    pub failures: f64,
    /// The share of as many in a row, among those that are remembered, whose tickets came back.
    pub reopenings: f64,
}

/// All limits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    pub playbook: Cap,
    pub requester: Cap,
    pub overall: Cap,
    pub switch_off: SwitchOff,
    /// For how long tickets are remembered, in milliseconds, at least a day; none: for ever.
    pub remember_ms: Option<i64>,
}

/// How long a playbook may take by what it says itself: the timeouts of its calls and the time of its
/// check.
pub const LONGEST_RUN: Duration = Duration::from_secs(120);

pub const MINUTE_MS: i64 = 60_000;
pub const HOUR_MS: i64 = 60 * MINUTE_MS;
pub const DAY_MS: i64 = 24 * HOUR_MS;
