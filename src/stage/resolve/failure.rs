//! What can come of a call but success: a closed list, since it is a metric's label.

use thiserror::Error;

/// Why a call, or one request of it, failed. No text holds a secret or anything of a ticket.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Failure {
    #[error("the host is not on the allow-list")]
    HostNotAllowed,
    #[error("the call cannot be sent: {0}")]
    InvalidCall(&'static str),
    #[error("the host's address is in a range that is closed")]
    AddressForbidden,
    #[error("too many calls to the host failed, so none is made for a while")]
    BreakerOpen,
    #[error("the host's limits left no room in time")]
    RateLimited,
    #[error("the host's budget of retries is spent; the last request failed: {last}")]
    BudgetSpent { last: Box<Failure> },
    #[error("no connection to the host")]
    Connect,
    #[error("no trusted connection to the host: its certificate or ours was refused")]
    Tls,
    #[error("no complete answer in time")]
    Timeout,
    #[error("the runbook answered with status {0}")]
    Status(u16),
    #[error("the runbook answered with a redirect ({0}), which is not followed")]
    Redirect(u16),
    #[error("the answer is too large")]
    BodyTooLarge,
    #[error("the answer ended early or is not HTTP")]
    Truncated,
    #[error("the answer does not meet the success condition: {0}")]
    Condition(String),
    #[error("an earlier request with this idempotency key is still being worked on")]
    Conflict,
    #[error("the runbook refuses the request, or knows its idempotency key from another one")]
    KeyReuse,
    #[error("{0}")]
    Credential(String),
    #[error("stopped by the kill switch")]
    Stopped,
}

impl Failure {
    /// Every reason, for metrics and their page.
    pub const REASONS: [&'static str; 18] = [
        "address_forbidden",
        "body_too_large",
        "breaker_open",
        "budget_spent",
        "condition",
        "conflict",
        "connect",
        "credential",
        "host_not_allowed",
        "invalid_call",
        "key_reuse",
        "rate_limited",
        "redirect",
        "status",
        "stopped",
        "timeout",
        "tls",
        "truncated",
    ];

    /// The name of the failure in metrics, outcomes and documentation.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::HostNotAllowed => "host_not_allowed",
            Self::InvalidCall(_) => "invalid_call",
            Self::AddressForbidden => "address_forbidden",
            Self::BreakerOpen => "breaker_open",
            Self::RateLimited => "rate_limited",
            Self::BudgetSpent { .. } => "budget_spent",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::Status(_) => "status",
            Self::Redirect(_) => "redirect",
            Self::BodyTooLarge => "body_too_large",
            Self::Truncated => "truncated",
            Self::Condition(_) => "condition",
            Self::Conflict => "conflict",
            Self::KeyReuse => "key_reuse",
            Self::Credential(_) => "credential",
            Self::Stopped => "stopped",
        }
    }

    /// Whether a request that ended so may have had its effect. Where the answer says nothing
    /// about it, it may.
    pub(super) fn may_have_acted(&self) -> bool {
        match self {
            Self::HostNotAllowed
            | Self::InvalidCall(_)
            | Self::AddressForbidden
            | Self::BreakerOpen
            | Self::RateLimited
            | Self::Connect
            | Self::Tls
            | Self::KeyReuse
            | Self::Credential(_)
            | Self::Stopped => false,
            Self::BudgetSpent { last } => last.may_have_acted(),
            // A server error can come after the work was done, a refusal comes instead of it.
            Self::Status(status) => !(400..500).contains(status),
            // Only these two say "send it there instead"; a 302 or 303 often means "done, look there".
            Self::Redirect(status) => !matches!(status, 307 | 308),
            Self::Timeout
            | Self::BodyTooLarge
            | Self::Truncated
            | Self::Condition(_)
            | Self::Conflict => true,
        }
    }

    /// Whether the same request may go better a moment later.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Connect | Self::Timeout => true,
            Self::Status(status) => {
                matches!(status, 408 | 425 | 429 | 500 | 502 | 503 | 504)
            }
            _ => false,
        }
    }

    /// Whether it speaks against the host (for the breaker), and not against this one request.
    pub(super) fn blames_the_host(&self) -> bool {
        match self {
            Self::Connect
            | Self::Tls
            | Self::AddressForbidden
            | Self::Timeout
            | Self::Truncated
            | Self::BodyTooLarge => true,
            Self::Status(status) => *status >= 500,
            _ => false,
        }
    }
}

/// A call that failed for good.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{failure}")]
pub struct CallError {
    /// How its last request, or the attempt to make one, ended.
    pub failure: Failure,
    /// Requests begun before it was given up.
    pub requests: u32,
    pub(super) unknown: bool,
}

impl CallError {
    /// The name of the failure in metrics, outcomes and documentation.
    pub fn reason(&self) -> &'static str {
        self.failure.reason()
    }

    /// Whether any request of the call may have had its effect. False means that surely nothing
    /// happened: never sent, refused, or a request that only asks.
    pub fn is_unknown(&self) -> bool {
        self.unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<Failure> {
        vec![
            Failure::AddressForbidden,
            Failure::BodyTooLarge,
            Failure::BreakerOpen,
            Failure::BudgetSpent { last: Box::new(Failure::Timeout) },
            Failure::Condition(String::new()),
            Failure::Conflict,
            Failure::Connect,
            Failure::Credential(String::new()),
            Failure::HostNotAllowed,
            Failure::InvalidCall(""),
            Failure::KeyReuse,
            Failure::RateLimited,
            Failure::Redirect(302),
            Failure::Status(503),
            Failure::Stopped,
            Failure::Timeout,
            Failure::Tls,
            Failure::Truncated,
        ]
    }

    #[test]
    fn every_failure_has_its_reason_in_the_list() {
        let reasons: Vec<_> = all().iter().map(Failure::reason).collect();
        assert_eq!(reasons, Failure::REASONS);
    }

    #[test]
    fn what_may_have_had_an_effect_is_said_to() {
        let unknown: Vec<_> =
            all().iter().filter(|f| f.may_have_acted()).map(Failure::reason).collect();
        assert_eq!(
            unknown,
            [
                "body_too_large",
                "budget_spent",
                "condition",
                "conflict",
                "redirect",
                "status",
                "timeout",
                "truncated"
            ]
        );
        assert!(!Failure::Status(404).may_have_acted());
        assert!(!Failure::Status(429).may_have_acted());
        assert!(!Failure::Redirect(307).may_have_acted());
        assert!(!Failure::BudgetSpent { last: Box::new(Failure::Connect) }.may_have_acted());
    }

    #[test]
    fn only_what_passes_is_tried_again() {
        for status in [408, 425, 429, 500, 502, 503, 504] {
            assert!(Failure::Status(status).is_passing(), "{status}");
        }
        for status in [400, 401, 403, 404, 410, 501, 505] {
            assert!(!Failure::Status(status).is_passing(), "{status}");
        }
        let passing: Vec<_> =
            all().iter().filter(|f| f.is_passing()).map(Failure::reason).collect();
        assert_eq!(passing, ["connect", "status", "timeout"]);
    }
}
