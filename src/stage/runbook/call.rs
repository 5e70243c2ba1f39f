//! The terms a call is made on, and the answer.

use std::fmt;

/// Says whether status and body are the success that the playbook describes, and if not, why. What
/// it says ends up in records and logs: nothing of a ticket and nothing secret.
pub type Success<'a> = &'a dyn Fn(u16, &[u8]) -> Result<(), String>;

/// What a call must hold to.
#[derive(Clone, Copy)]
pub struct Terms<'a> {
    /// The idempotency key: the same for every request of this call, before and after a crash.
    pub key: &'a str,
    /// Whether the request may be sent again when its effect is not known (at least once). Without
    /// it only a request that was never sent is tried again.
    pub retry: bool,
    pub expect: Success<'a>,
    /// The kill switch: once true, no request begins. One that is under way ends by itself, since
    /// breaking it off would leave open what it did.
    pub stopped: &'a dyn Fn() -> bool,
}

/// The answer of a runbook that met its success condition.
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
    /// Requests begun for it, the successful one included.
    pub requests: u32,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("status", &self.status)
            .field("body_bytes", &self.body.len())
            .field("requests", &self.requests)
            .finish()
    }
}
