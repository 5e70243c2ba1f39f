//! What auto-resolution may do at most, as the owner sets it.

/// Calls within a sliding minute and a sliding hour; none allows any number.
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
    /// The share of them whose tickets came back.
    pub reopenings: f64,
}

/// All limits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    pub playbook: Cap,
    pub requester: Cap,
    pub overall: Cap,
    pub switch_off: SwitchOff,
}

pub const MINUTE_MS: i64 = 60_000;
pub const HOUR_MS: i64 = 3_600_000;
