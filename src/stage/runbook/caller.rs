//! The guarded caller: the one way from a call as data to what came of it.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Client, Url};
use thiserror::Error;

use super::attempt::{self, Reply};
use super::call::{Answer, Terms};
use super::client::Clients;
use super::credential::{self, Loaded};
use super::dns::{FilteredResolver, Lookup, system_lookup};
use super::failure::{CallError, Failure};
use super::host::{Host, Observer, pause};
use super::settings::CallerSettings;
use super::signature;
use super::tls;
use crate::playbook::Call;
use crate::resolve::host::AllowedHost;

/// Why there is no caller: settings that only show themselves when they are used.
#[derive(Debug, Error)]
pub enum CallerProblem {
    #[error("no certificate authorities: {0}")]
    Authorities(String),
    #[error("{0}")]
    Client(String),
}

/// Calls runbooks. Built once a worker; its connections belong to the runtime that drives it.
pub struct Caller {
    settings: CallerSettings,
    hosts: BTreeMap<AllowedHost, Host>,
    clients: Clients,
    observer: Arc<dyn Observer>,
}

/// A request that failed, and how long the runbook asks to be left alone.
struct Failed {
    failure: Failure,
    asked: Option<Duration>,
}

impl From<Failure> for Failed {
    fn from(failure: Failure) -> Self {
        Self { failure, asked: None }
    }
}

/// What a call has done so far.
#[derive(Default)]
struct Trail {
    requests: u32,
    may_have_acted: bool,
}

impl Caller {
    /// A caller that looks names up as the system does.
    ///
    /// # Errors
    /// When the authorities cannot be read, or the HTTP client refuses its settings.
    pub fn new(
        settings: CallerSettings,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, CallerProblem> {
        Self::with_lookup(settings, observer, system_lookup())
    }

    /// A caller with its own way to look names up. The address filter stays in between.
    ///
    /// # Errors
    /// As [`Caller::new`].
    pub fn with_lookup(
        settings: CallerSettings,
        observer: Arc<dyn Observer>,
        lookup: Lookup,
    ) -> Result<Self, CallerProblem> {
        let roots = tls::roots(settings.ca_file.as_deref()).map_err(CallerProblem::Authorities)?;
        if roots.is_empty() && settings.hosts.iter().any(AllowedHost::is_https) {
            let hint = "this system has none: install its CA certificates or name a file of them";
            return Err(CallerProblem::Authorities(hint.to_owned()));
        }
        let resolver = FilteredResolver { lookup, filter: settings.addresses.clone() };
        let clients = Clients::new(roots, resolver, settings.connect_timeout)
            .map_err(CallerProblem::Client)?;
        let hosts = settings.hosts.iter();
        let hosts = hosts.map(|host| (host.clone(), Host::new(host.clone(), &settings))).collect();
        Ok(Self { settings, hosts, clients, observer })
    }

    /// Makes `call` on `terms`, with as many requests as the guards allow, the last of which begins
    /// within the longest wait.
    ///
    /// A future that is dropped leaves open whether the runbook acted.
    ///
    /// # Errors
    /// Why the runbook did not do what was asked, or why it was not asked.
    pub async fn call(&self, call: &Call, terms: &Terms<'_>) -> Result<Answer, CallError> {
        let mut trail = Trail::default();
        match self.requests(call, terms, &mut trail).await {
            Ok(Reply { status, body, .. }) => Ok(Answer { status, body, requests: trail.requests }),
            Err(failure) => Err(CallError {
                failure,
                requests: trail.requests,
                // A request that only asks has no effect, however it ends.
                unknown: trail.may_have_acted && !call.method.is_safe(),
            }),
        }
    }

    /// Requests until one is answered as expected, or must not or need not be sent again.
    async fn requests(
        &self,
        call: &Call,
        terms: &Terms<'_>,
        trail: &mut Trail,
    ) -> Result<Reply, Failure> {
        let (url, host) = self.target(call)?;
        let refused = |failure| self.refused(host, failure);
        let headers = attempt::headers(call, terms.key).map_err(refused)?;
        // Waiting for room takes nothing of a request's own time: one that is cut short says nothing.
        let latest = Instant::now() + self.settings.longest_wait;
        host.called();
        let (mut failures, mut waits) = (0, 0);
        loop {
            let request = self.request(call, terms, &url, &headers, host, latest, trail);
            let Failed { failure, asked } = match request.await {
                Ok(reply) => return Ok(reply),
                Err(failed) => failed,
            };
            // Whatever comes of a later request, this one may have had its effect.
            trail.may_have_acted |= failure.may_have_acted();
            let never_sent = failure == Failure::Connect;
            let may_repeat = terms.retry || call.method.is_safe() || never_sent;
            let in_flight = failure == Failure::Conflict;
            if !may_repeat || !(in_flight || failure.is_passing()) {
                return Err(failure);
            }
            failures += u32::from(!in_flight);
            if failures >= self.settings.retries.attempts {
                return Err(failure);
            }
            waits += 1;
            let wait = self.settings.retries.wait(waits, asked, chance());
            if wait >= latest.saturating_duration_since(Instant::now()) {
                return Err(failure);
            }
            // Who says "in flight" is up: asking after it is no load that failures add.
            if !in_flight && !host.take_retry() {
                return Err(refused(Failure::BudgetSpent { last: Box::new(failure) }));
            }
            pause(wait, terms.stopped).await.map_err(refused)?;
            self.observer.retried(&host.label);
        }
    }

    /// Where a call leads, if it may lead there. Comes before anything else.
    fn target(&self, call: &Call) -> Result<(Url, &Host), Failure> {
        let url = attempt::target(call)?;
        let host = AllowedHost::of(&url).and_then(|host| self.hosts.get(&host));
        let host = host.ok_or(Failure::HostNotAllowed)?;
        // An address in the URL is never looked up, so the resolver cannot filter it.
        let literal = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        if let Ok(address) = literal.parse::<IpAddr>()
            && !self.settings.addresses.allows(address)
        {
            return Err(Failure::AddressForbidden);
        }
        Ok((url, host))
    }

    /// One request: its turn, its credential, the breaker's leave, the exchange, the verdict.
    #[expect(clippy::too_many_arguments, reason = "what one request is made of")]
    async fn request(
        &self,
        call: &Call,
        terms: &Terms<'_>,
        url: &Url,
        headers: &HeaderMap,
        host: &Host,
        latest: Instant,
        trail: &mut Trail,
    ) -> Result<Reply, Failed> {
        let refused = |failure| self.refused(host, failure);
        let _slot = host.turn(latest, terms.stopped).await.map_err(refused)?;
        let mut headers = headers.clone();
        let client = self.identify(call, terms.key, host, &mut headers).map_err(refused)?;
        let request = attempt::request(call, url.clone(), headers);
        let admission = host.admit(self.observer.as_ref()).map_err(refused)?;

        trail.requests += 1;
        let began = Instant::now();
        let reply = attempt::send(&client, request, self.settings.answer_bytes).await;
        let asked = reply.as_ref().ok().and_then(|reply| reply.asked);
        let outcome = reply.and_then(|reply| judge(call, terms, reply));
        let name = outcome.as_ref().map_or_else(Failure::reason, |_| "ok");
        admission.done(outcome.as_ref().is_err_and(Failure::blames_the_host), name);
        self.observer.called(&host.label, name, began.elapsed().as_secs_f64());
        outcome.map_err(|failure| Failed { failure, asked })
    }

    /// Tells that no request is sent, and why.
    fn refused(&self, host: &Host, failure: Failure) -> Failure {
        self.observer.refused(&host.label, failure.reason());
        failure
    }

    /// Adds what the call's credential asks for; returns the client to send it with.
    fn identify(
        &self,
        call: &Call,
        key: &str,
        host: &Host,
        headers: &mut HeaderMap,
    ) -> Result<Client, Failure> {
        let Some(name) = &call.credential else { return Ok(self.clients.plain()) };
        match credential::load(&self.settings.credentials, name, &host.address)? {
            Loaded::Authorization(value) => {
                headers.insert(AUTHORIZATION, value);
            }
            Loaded::Identity { certificate, key } => {
                return self.clients.identified(name, &certificate, &key);
            }
            Loaded::Secrets(secrets) => {
                let now =
                    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
                let body = call.body.as_deref().unwrap_or_default();
                let signatures = signature::signatures(&secrets, key, now, body);
                let plain = |text: &str| {
                    HeaderValue::from_str(text)
                        .map_err(|_| Failure::InvalidCall("the idempotency key is not plain text"))
                };
                headers.insert("webhook-id", plain(key)?);
                headers.insert("webhook-timestamp", HeaderValue::from(now));
                headers.insert("webhook-signature", plain(&signatures)?);
            }
        }
        Ok(self.clients.plain())
    }
}

/// Whether an answer is the success that the playbook describes, and what it is if not.
fn judge(call: &Call, terms: &Terms<'_>, reply: Reply) -> Result<Reply, Failure> {
    if (300..400).contains(&reply.status) {
        return Err(Failure::Redirect(reply.status));
    }
    let Err(why) = (terms.expect)(reply.status, &reply.body) else { return Ok(reply) };
    // The Idempotency-Key draft gives these two their meaning, for requests that carry a key.
    Err(match reply.status {
        409 if !call.method.is_safe() => Failure::Conflict,
        422 if !call.method.is_safe() => Failure::KeyReuse,
        200..300 => Failure::Condition(why),
        status => Failure::Status(status),
    })
}

/// A random number, for jitter only: the standard library's hash keys differ each time.
fn chance() -> u64 {
    RandomState::new().hash_one(())
}
