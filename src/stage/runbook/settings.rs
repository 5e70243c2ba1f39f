//! What a caller is built from: plain data, checked.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use super::address::AddressFilter;
use super::breaker::BreakerRule;
use super::credential::Bound;
use super::retry::RetryRule;
use crate::resolve::host::AllowedHost;

/// How long a call waits at most, unless the settings say otherwise. With it an action has more time
/// than its playbook asks for.
pub const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Everything a caller needs to know. `new` gives the defaults.
#[derive(Clone, Debug)]
pub struct CallerSettings {
    /// The only hosts that are ever called.
    pub hosts: Vec<AllowedHost>,
    pub addresses: AddressFilter,
    pub credentials: BTreeMap<String, Bound>,
    /// The only authorities that are trusted (PEM), in place of the system's.
    pub ca_file: Option<PathBuf>,
    /// How long a connection, TLS included, may take to stand.
    pub connect_timeout: Duration,
    /// How long after a call its last request may begin: what may go by in waiting for room at the
    /// host and before repetitions. Each request then has its own timeout.
    pub longest_wait: Duration,
    /// The largest answer that is read.
    pub answer_bytes: usize,
    pub retries: RetryRule,
    pub breaker: BreakerRule,
    /// Requests in flight at once, for each host.
    pub in_flight: NonZeroU32,
    /// Requests within any minute, for each host; a tenth of them may follow each other at once.
    pub per_minute: NonZeroU32,
}

impl CallerSettings {
    /// The defaults, for these hosts.
    pub fn new(hosts: Vec<AllowedHost>) -> Self {
        const fn count(n: u32) -> NonZeroU32 {
            match NonZeroU32::new(n) {
                Some(n) => n,
                None => NonZeroU32::MIN,
            }
        }
        Self {
            hosts,
            addresses: AddressFilter::default(),
            credentials: BTreeMap::new(),
            ca_file: None,
            connect_timeout: Duration::from_secs(2),
            longest_wait: LONGEST_WAIT,
            answer_bytes: 64 * 1024,
            retries: RetryRule::default(),
            breaker: BreakerRule::default(),
            in_flight: const { count(16) },
            per_minute: const { count(600) },
        }
    }
}
