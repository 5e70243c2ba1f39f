//! Calling runbooks: everything between a call as data ([`Call`]) and what came of it.
//!
//! This folder is the only place that names the HTTP client. [`Caller`] holds the guards in one
//! place: hosts from an allow-list, addresses filtered in the resolver, limits, retries within a
//! budget, a circuit breaker a host, credentials from files.

pub mod address;
mod attempt;
pub mod breaker;
pub mod call;
pub mod caller;
mod client;
pub mod credential;
mod dns;
pub mod failure;
mod host;
pub mod retry;
pub mod settings;
pub mod signature;
mod tls;

pub use crate::playbook::{Call, Method};
pub use crate::resolve::host::AllowedHost;
pub use call::{Answer, Success, Terms};
pub use caller::Caller;
pub use caller::CallerProblem;
pub use dns::{Lookup, system_lookup};
pub use failure::{CallError, Failure};
pub use host::Observer;
pub use settings::{CallerSettings, LONGEST_WAIT};
