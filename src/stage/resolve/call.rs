//! A call as data, the terms it is made on, and the answer.

use std::fmt;
use std::time::Duration;

/// The methods a playbook may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

impl Method {
    /// Whether a request asks only, so that asking again changes nothing (RFC 9110, 9.2.1).
    pub fn is_safe(self) -> bool {
        self == Self::Get
    }
}

/// One request to a runbook, ready to be sent.
#[derive(Clone, PartialEq, Eq)]
pub struct Call {
    pub method: Method,
    pub url: String,
    /// The host that the playbook names literally; the URL must lead to it and to nothing else.
    pub host: String,
    pub port: u16,
    pub headers: Vec<(String, String)>,
    pub body: Option<Vec<u8>>,
    /// The name of a credential in the settings.
    pub credential: Option<String>,
    /// How long one request may take, from the first look-up to the last byte of the answer.
    pub timeout: Duration,
}

/// Path, query, headers and body hold values from tickets, which no log may show.
impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("method", &self.method)
            .field("host", &self.host)
            .field("port", &self.port)
            .field("body_bytes", &self.body.as_ref().map(Vec::len))
            .field("credential", &self.credential)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// Says whether status and body are the success that the playbook describes, and if not, why. What
/// it says ends up in records and logs: nothing of a ticket and nothing secret.
pub type Expect<'a> = &'a dyn Fn(u16, &[u8]) -> Result<(), String>;

/// What a call must hold to.
#[derive(Clone, Copy)]
pub struct Terms<'a> {
    /// The idempotency key: the same for every request of this call, before and after a crash.
    pub key: &'a str,
    /// Whether the request may be sent again when its effect is not known (at least once). Without
    /// it only a request that was never sent is tried again.
    pub retry: bool,
    pub expect: Expect<'a>,
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
